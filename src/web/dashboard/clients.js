// SPDX-License-Identifier: Apache-2.0
// Clients: who is connected, who is behind, one user with his sessions, one session.
import { ApiError, Poll, words } from "./api.js";
import { channelsOf, pager } from "./channels.js";
import { disconnectDialog, sendCard } from "./dialog.js";
import { bidi, button, card, definitions, el, field, say, table, time } from "./dom.js";
import { bytes, millis, moment, plural, short, whole } from "./format.js";
import { laggardTable, listOf, sessionHref, told, userHref } from "./overview.js";
import { TRANSPORTS } from "./words.js";

const PEOPLE = 25;

// Maps of sessions by id, as /api/status and /api/users have them.
function valuesOf(map) {
	return typeof map === "object" && map !== null ? Object.values(map).filter((s) => typeof s === "object" && s !== null) : [];
}

function since(session) {
	return moment(session.connectedAt)?.text;
}

function quality(session) {
	return [session.quality, typeof session.rtt === "number" && millis(session.rtt)].filter(Boolean).join(", ");
}

function sessionTable(caption, empty, withLag) {
	return table(caption, [
		{ head: "Session", text: (s) => s.id, href: (s) => sessionHref(s.id) },
		!withLag && { head: "User", text: (s) => s.user ?? "", href: (s) => s.user && userHref(s.user) },
		{ head: "Over", wide: true, text: (s) => TRANSPORTS[s.transport] || s.transport },
		{ head: "Address", wide: true, text: (s) => s.address },
		{ head: "Since", wide: true, text: since, sub: (s) => s.connectedAt },
		{ head: "Subscriptions", num: true, wide: true, text: (s) => whole(s.subscriptionCount) },
		withLag && { head: "Behind", num: true, text: (s) => bytes(s.lag?.bytes) },
		{ head: "Events out", num: true, wide: true, text: (s) => short(s.eventsOut) },
		{ head: "Quality", text: quality },
	].filter(Boolean), (s) => s.id, empty);
}

export function clientList(app) {
	const search = el("input", { type: "search", spellcheck: "false", autocapitalize: "off", autocomplete: "off", dir: "auto" });
	const found = el("p", { class: "answer", role: "status" });
	const behind = laggardTable();
	const users = table("Users", [
		{ head: "User", text: (u) => u.user, href: (u) => userHref(u.user) },
		{ head: "Connections", num: true, text: (u) => whole(u.connections) },
		{ head: "Came back at once", num: true, wide: true, text: (u) => whole(u.reconnects) },
	], (u) => u.user, "No client's token names a user.");
	const sessions = sessionTable("Connections", "Nobody is connected.");
	const wrong = [0, 1, 2].map(() => el("p", { class: "hint error", hidden: true }));
	const userPages = pager(() => polls[1].now());
	const sessionPages = pager(() => polls[2].now());
	const counted = el("p", { class: "hint" });
	const polls = [
		new Poll(3000, () => told(wrong[0], behind, async () => behind.set(listOf(await app.api.ask("api/laggards?top=20"), "laggards")))),
		new Poll(5000, () => told(wrong[1], users, async () => {
			const data = await app.api.ask("api/users?limit=" + PEOPLE + userPages.after);
			users.set(listOf(data, "users"));
			userPages.set(data?.next);
			say(counted, typeof data?.count === "number" ? plural(data.count, "user", "users") + " in all." : "");
		})),
		new Poll(5000, () => told(wrong[2], sessions, async () => {
			const data = await app.api.ask("api/status?limit=" + PEOPLE + sessionPages.after);
			sessions.set(valuesOf(data?.clientDetails));
			sessionPages.set(data?.clientDetailsNext);
		})),
	];

	async function find(e) {
		e.preventDefault();
		const id = search.value.trim();
		if (!id) return;
		say(found, "Looking");
		found.className = "answer";
		for (const what of ["user", "session"]) {
			try {
				await app.api.ask("api/" + what + "s/" + encodeURIComponent(id) + (what === "user" ? "?limit=1" : ""));
				location.hash = "#/clients/" + what + "/" + encodeURIComponent(id);
				return;
			} catch (error) {
				// Of another form than such an id has, or of nobody: the other kind is left to try.
				if (error instanceof ApiError && [400, 404].includes(error.status)) continue;
				found.className = "answer bad";
				say(found, words(error));
				return;
			}
		}
		found.className = "answer bad";
		say(found, "Neither a user nor a session of that id is connected.");
	}

	return {
		title: "Clients",
		node: el("div", {}, el("h1", {}, "Clients"),
			el("form", { class: "controls", role: "search", onsubmit: find }, field("User or session", search),
				el("div", { class: "buttons" }, el("button", { type: "submit", class: "primary" }, "Find")), found),
			el("div", { class: "cards" }, card("Who is behind", behind.node, wrong[0]), card("Users", users.node, userPages.node, counted, wrong[1])),
			card("Connections", sessions.node, sessionPages.node, wrong[2])),
		stop() {
			for (const poll of polls) poll.stop();
		},
	};
}

// The part that a user's and a session's page have in common.
function page(app, what, id, parts) {
	const answer = el("p", { class: "answer good", role: "status" });
	const gone = el("p", { class: "hint error", hidden: true });
	const poll = new Poll(3000, () => told(gone, null, parts.ask));
	const end = button("Disconnect " + what, () => disconnectDialog(app, what, id, (text) => {
		say(answer, text);
		poll.now();
	}), "danger");
	return {
		title: (what === "user" ? "User " : "Session ") + id,
		node: el("div", {}, el("p", { class: "crumbs" }, el("a", { href: "#/clients" }, "All clients")),
			el("h1", {}, what === "user" ? "User " : "Session ", bidi(id)), el("p", { class: "buttons" }, end), answer, gone,
			parts.nodes, sendCard(app, what, id)),
		stop: () => poll.stop(),
	};
}

export function oneUser(app, id) {
	const facts = definitions();
	const sessions = sessionTable("Sessions of the user", "This user has no connection now.", true);
	return page(app, "user", id, {
		nodes: [card("Sessions", facts.node, sessions.node)],
		async ask() {
			try {
				const data = await app.api.ask("api/users/" + encodeURIComponent(id) + "?limit=100");
				facts.set([["Connections", whole(data?.connections)], ["Came back at once", whole(data?.reconnects)], ...(data?.more ? [["Shown", "the first 100"]] : [])]);
				sessions.set(valuesOf(data?.sessions));
			} catch (e) {
				if (e.status === 404) sessions.set([]);
				throw e;
			}
		},
	});
}

export function oneSession(app, id) {
	const facts = definitions();
	const names = el("ul", { class: "names" });
	let listed = "";
	return page(app, "session", id, {
		nodes: [el("div", { class: "cards" }, card("Connection", facts.node), card("Subscriptions", names))],
		async ask() {
			const data = await app.api.ask("api/sessions/" + encodeURIComponent(id));
			const s = data?.session && typeof data.session === "object" ? data.session : data ?? {};
			facts.set([
				["User", s.user == null ? "none: anonymous" : el("a", { href: userHref(s.user) }, bidi(s.user))], ["Over", TRANSPORTS[s.transport] || s.transport], ["Address", s.address],
				["Connected since", time(s.connectedAt)], ["TLS", s.tls ? "records by the " + (s.tls === "kernel" ? "kernel" : "gateway") : "no"],
				["Round trip", millis(s.rtt)], ["Quality", s.quality],
				["Behind", bytes(s.lag?.bytes) + ", " + whole(s.lag?.events) + " events, " + millis(s.lag?.ms)],
				["Events out", whole(s.eventsOut)], ["Bytes out", bytes(s.bytesOut)], ["Messages in", whole(s.messagesIn)], ["Bytes in", bytes(s.bytesIn)],
				["Compression", s.deflate ? "yes" : "no"], ["Shard", whole(s.shard)], ["Subscriptions", whole(s.subscriptionCount)],
			]);
			const all = Array.isArray(s.subscriptions) ? s.subscriptions.map(String) : [];
			if (all.join(" ") === listed) return;
			listed = all.join(" ");
			names.replaceChildren(...channelsOf(all), ...(s.subscriptionCount > all.length ? [el("li", {}, "and " + whole(s.subscriptionCount - all.length) + " more")] : []));
		},
	});
}
