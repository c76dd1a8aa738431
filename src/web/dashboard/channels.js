// SPDX-License-Identifier: Apache-2.0
// Channels: which there are, and all about one of them.
import { Poll, words } from "./api.js";
import { holdsJson } from "./dialog.js";
import { bidi, button, card, definitions, el, field, say, show, table } from "./dom.js";
import { eventRow, eventTable, isEnvelope } from "./event.js";
import { plural, pretty, rate, short, whole } from "./format.js";
import { channelHref, listOf, told } from "./overview.js";
import { tail } from "./tail.js";

const CHANNELS_PAGE = 50;
const HISTORY = 25;
// Sorted by name the gateway must look at all of them.
const NAMES_MS = 15000;
const TYPED_MS = 250;
const NONE_SUCH = {
	rate: "No channel had events in the last seconds. Sort by name to see all.",
	subscribers: "No channel has subscribers. Sort by name to see all.",
	name: "No such channel is in use: nobody hears one, and nothing was published to one lately.",
};

// Pages forwards by what the gateway calls `next`, backwards by what was asked before.
export function pager(load) {
	const before = [];
	let at = null;
	let next = null;
	const first = button("First", () => go([], null));
	const back = button("Previous", () => go(before.slice(0, -1), before[before.length - 1]));
	const on = button("Next", () => go([...before, at], next));
	const node = el("p", { class: "buttons pager" }, first, back, on);

	function go(trail, to) {
		before.splice(0, before.length, ...trail);
		at = to ?? null;
		load();
	}

	return {
		node,
		get after() {
			return at === null ? "" : "&after=" + encodeURIComponent(at);
		},
		reset() {
			before.length = 0;
			at = null;
		},
		set(found) {
			next = typeof found === "string" ? found : null;
			first.disabled = back.disabled = at === null;
			on.disabled = next === null;
			show(node, at !== null || next !== null);
		},
	};
}

export function channelList(app, query) {
	const prefix = el("input", { type: "search", maxlength: "255", spellcheck: "false", autocapitalize: "off", autocomplete: "off", value: query.get("prefix") });
	const sort = el("select", {}, [["rate", "most events a second"], ["subscribers", "most subscribers"], ["name", "name, all of them"]].map(
		([value, text]) => el("option", { value, selected: value === query.get("sort") }, text)));
	const grid = table("Channels", [
		{ head: "Channel", text: (c) => c.name, href: (c) => channelHref(c.name) },
		{ head: "Subscribers", num: true, text: (c) => short(c.subscribers), sub: (c) => whole(c.subscribers) },
		{ head: "Events/s", num: true, class: "pace", text: (c) => rate(c.rate) },
		{ head: "Namespace", wide: true, text: (c) => c.namespace },
		{ head: "Offset", num: true, wide: true, text: (c) => whole(c.offset) },
		{ head: "Shard", num: true, wide: true, text: (c) => whole(c.shard) },
	], (c) => c.name, NONE_SUCH.name);
	let typed = 0;
	const error = el("p", { class: "error", role: "alert", hidden: true });
	const pages = pager(() => poll.now());
	const poll = new Poll(3000, () => told(error, grid, async () => {
		const named = prefix.value || sort.value === "name";
		const ask = named ? "prefix=" + encodeURIComponent(prefix.value) + "&limit=" + CHANNELS_PAGE + pages.after : "sort=" + sort.value + "&limit=" + CHANNELS_PAGE;
		poll.every = named ? NAMES_MS : 3000;
		const data = await app.api.ask("api/channels?" + ask);
		say(grid.nothing, NONE_SUCH[named ? "name" : sort.value]);
		// A list by name has no rates.
		grid.node.classList.toggle("unpaced", Boolean(named));
		grid.set(listOf(data, "channels"));
		pages.set(named ? data?.next : null);
	}));

	function again(ms) {
		const kept = new URLSearchParams();
		if (prefix.value) kept.set("prefix", prefix.value);
		if (sort.value !== "rate") kept.set("sort", sort.value);
		app.readdress("#/channels" + (kept.size ? "?" + kept : ""));
		pages.reset();
		clearTimeout(typed);
		typed = setTimeout(() => poll.now(), ms);
	}

	function open(e) {
		e.preventDefault();
		if (prefix.value) location.hash = channelHref(prefix.value);
	}

	prefix.addEventListener("input", () => again(TYPED_MS));
	sort.addEventListener("change", () => again(0));
	return {
		title: "Channels",
		node: el("div", {}, el("h1", {}, "Channels"),
			el("form", { class: "controls", role: "search", onsubmit: open }, field("Name begins with", prefix, "Enter opens the channel of exactly that name."),
				field("Sorted by", sort)),
			error, el("div", { class: "card" }, grid.node, pages.node)),
		stop() {
			clearTimeout(typed);
			poll.stop();
		},
	};
}

function presenceCard(app, path) {
	const sum = el("p", {}, "Asking");
	const grid = table("Users in the channel", [
		{ head: "User", text: (u) => u.user, href: (u) => "#/clients/user/" + encodeURIComponent(u.user) },
		{ head: "Connections", num: true, text: (u) => whole(u.connections) },
		{ head: "Info", wide: true, text: (u) => (u.info == null ? "" : pretty(u.info).slice(0, 200)) },
	], (u) => u.user, "No user is here.");
	const node = card("Presence", sum, grid.node);
	let has = true;
	grid.node.hidden = true;
	return {
		node,
		async ask() {
			if (!has) return;
			try {
				const data = await app.api.ask(path + "/presence");
				say(sum, plural(data?.count ?? 0, "user", "users") + ", " + plural(data?.clients ?? 0, "connection", "connections") + ", "
					+ whole(data?.anonymous ?? 0) + " of them anonymous" + (data?.complete === false ? "; too many to list them all." : "."));
				grid.set(listOf(data, "users"));
				show(grid.node, true);
			} catch (e) {
				show(grid.node, false);
				has = e.code !== "unsupported";
				say(sum, !has ? "Its namespace has no presence." : e.message);
			}
		},
	};
}

function historyCard(app, path) {
	const grid = eventTable("Events that are kept, the newest first");
	const status = el("p", { class: "hint", role: "status" });
	const older = button("Older", () => load("before", oldest));
	const newer = button("Newer", () => load("since", newest));
	const first = button("Newest", () => load());
	let oldest = null;
	let newest = null;
	// Where the channel stands, and whether what is shown was the newest when it was asked for.
	let end = null;
	let atEnd = true;
	let asking = false;

	// An event's position is the epoch and its offset; raw ones are counted from where the answer begins.
	async function load(how, from) {
		asking = true;
		older.disabled = newer.disabled = first.disabled = true;
		try {
			const data = await app.api.ask(path + "/history?limit=" + HISTORY + (how ? "&" + how + "=" + encodeURIComponent(from) : ""));
			const events = Array.isArray(data?.events) ? data.events : [];
			end = String(data?.position ?? "");
			const [epoch, top] = end.split("@");
			const start = how ? Number(from.split("@")[1]) : Number(top) + 1;
			const rows = events.map((event, i) => ({
				event,
				offset: isEnvelope(event) && typeof event.offset === "number" ? event.offset : how === "since" ? start + 1 + i : start - 1 - i,
			}));
			if (how === "since") rows.reverse();
			if (rows.length) {
				newest = epoch + "@" + rows[0].offset;
				oldest = epoch + "@" + rows[rows.length - 1].offset;
				grid.body.replaceChildren(...rows.map((row) => eventRow(row.event, row.offset)));
			}
			const none = how === "since" ? "Nothing newer yet." : how ? "Nothing older is kept." : "Nothing is kept of this channel.";
			say(status, !rows.length ? none : whole(rows[rows.length - 1].offset) + " to " + whole(rows[0].offset) + " of " + data.position
				+ (data.complete === false ? ". Some before these are gone." : "."));
			show(grid.node, grid.body.childElementCount > 0);
			older.disabled = oldest === null || (how !== "since" && !data.more) || data.first === oldest;
			newer.disabled = newest === null || newest === end;
			atEnd = newer.disabled || !how;
		} catch (e) {
			say(status, words(e));
			older.disabled = oldest === null;
			newer.disabled = newest === null;
		}
		first.disabled = false;
		asking = false;
	}

	// Said when the channel may have moved. mine: who looks published himself, and wants to see it, unless he reads further back.
	function moved(position, mine) {
		if (asking || !position || position === end) return;
		if (mine && atEnd) {
			load();
			return;
		}
		end = position;
		if (newest === null) first.disabled = false;
		else newer.disabled = newest === end;
	}

	grid.node.hidden = true;
	load();
	return { node: el("section", { class: "card" }, el("h2", {}, "History"), el("p", { class: "buttons" }, first, newer, older), status, grid.node), moved };
}

function publishCard(app, channel, published) {
	const event = el("input", { type: "text", value: "test", maxlength: "128", spellcheck: "false", autocapitalize: "off", autocomplete: "off", dir: "auto" });
	const data = el("textarea", { rows: "5", spellcheck: "false", autocapitalize: "off" }, "{\n  \"hello\": \"from the dashboard\"\n}");
	const send = el("button", { type: "submit", class: "primary" }, "Publish");
	const answer = el("p", { class: "answer", role: "status" });

	async function publish(e) {
		e.preventDefault();
		if (!holdsJson(data, answer)) return;
		send.disabled = true;
		try {
			// The data goes as it was written: numbers too large for a browser stay what they are.
			const body = "{\"channel\":" + JSON.stringify(channel) + ",\"event\":" + JSON.stringify(event.value) + ",\"data\":" + data.value + "}";
			const said = await app.api.post("api/publish", body);
			answer.className = "answer good";
			say(answer, "Published at " + String(said?.position) + ".");
			published(said?.position);
		} catch (error) {
			answer.className = "answer bad";
			say(answer, "Refused: " + words(error));
		}
		send.disabled = false;
	}

	return el("section", { class: "card" }, el("h2", {}, "Publish a test event"),
		el("form", { onsubmit: publish }, field("Event name", event), field("Data (JSON)", data), el("p", { class: "buttons" }, send), answer));
}

export function oneChannel(app, channel) {
	const path = "api/channels/" + encodeURIComponent(channel);
	const facts = definitions();
	const missing = el("p", { class: "hint", hidden: true });
	const presence = presenceCard(app, path);
	const kept = historyCard(app, path);
	const live = tail(app, channel);
	let before = null;
	const poll = new Poll(3000, async () => {
		try {
			const c = await app.api.ask(path);
			const now = { at: performance.now(), offset: c?.offset };
			const perSecond = before && now.offset >= before.offset ? (now.offset - before.offset) / ((now.at - before.at) / 1000) : c?.rate;
			before = now;
			kept.moved(c?.position, false);
			facts.set([["Subscribers", whole(c?.subscribers)], ["Events a second", rate(perSecond)], ["Position", c?.position], ["Namespace", c?.namespace],
				["Shard", whole(c?.shard)], ...(c?.consumers ? [["Acknowledging consumers",
					whole(c.consumers.count) + ", " + whole(c.consumers.connected) + " connected, " + whole(c.consumers.unacknowledged) + " events behind"]] : [])]);
			show(missing, false);
		} catch (e) {
			before = null;
			say(missing, words(e));
			show(missing, true);
		}
		await presence.ask();
	});

	function published(position) {
		kept.moved(position, true);
		poll.now();
	}

	return {
		title: "Channel " + channel,
		node: el("div", {}, el("p", { class: "crumbs" }, el("a", { href: "#/channels" }, "All channels")), el("h1", {}, bidi(channel)),
			el("section", { class: "card" }, el("h2", { class: "unseen" }, "Facts"), facts.node, missing),
			live.node, el("div", { class: "cards" }, kept.node, el("div", { class: "stack" }, publishCard(app, channel, published), presence.node))),
		stop() {
			poll.stop();
			live.stop();
		},
	};
}

// Names as items of a list; patterns have no page of their own.
export function channelsOf(names) {
	return names.map((one) => el("li", {}, one.includes("*") ? bidi(one) : el("a", { href: channelHref(one) }, bidi(one))));
}
