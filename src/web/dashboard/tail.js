// SPDX-License-Identifier: Apache-2.0
// What comes to one channel, as it comes: the newest on top, at most 500 rows, and at most so many a second. What is left out is counted, by
// the offsets that are skipped; with a filter these are also the events that it leaves out.
import { Poll, words } from "./api.js";
import { button, el, field, say, show } from "./dom.js";
import { eventRow, eventTable, isEnvelope } from "./event.js";
import { plural, whole } from "./format.js";

const ROWS = 500;
// A screen can't be read faster than it is written anew.
const DRAW_MS = 250;
const RATES = [1, 5, 20, 100];

function epochOf(event) {
	return String(event?.position ?? "").split("@")[0];
}

export function tail(app, channel) {
	const grid = eventTable("Live events of the channel, the newest first");
	const filter = el("input", { type: "text", maxlength: "1024", spellcheck: "false", autocapitalize: "off", autocomplete: "off", dir: "auto" });
	const pace = el("select", {}, RATES.map((n) => el("option", { value: n, selected: n === 20 }, n + " a second")));
	const start = button("Start", () => (subscription ? stop() : begin()), "primary");
	const pause = button("Pause", () => hold(!paused));
	const clear = button("Clear", wipe);
	const status = el("p", { class: "hint", role: "status" });
	const numbers = el("p", { class: "hint" });
	const node = el("section", { class: "card live" }, el("h2", {}, "Live"),
		el("form", { class: "controls", onsubmit: submit }, field("Filter", filter, "Such as: event = 'order:*' and data.total >= 100"),
			field("At most", pace), el("div", { class: "buttons" }, start, pause, clear)),
		status, numbers, grid.node);
	let subscription = null;
	let waiting = [];
	let timer = 0;
	let paused = false;
	let last = null;
	let epoch = null;
	let listening = "";
	// The connection was lost since `last`: what is missing up to the next one has that reason.
	let afterCut = false;
	// Offsets of a pattern are those of many channels.
	const many = channel.includes("*");
	const count = { shown: 0, skipped: 0, paused: 0, hidden: 0, cut: 0, gaps: 0, holes: 0 };

	grid.node.hidden = true;
	pause.disabled = true;
	pace.addEventListener("change", () => subscription && begin());

	function submit(e) {
		e.preventDefault();
		begin();
	}

	function begin() {
		stop();
		// This page hears it already, whole, and one connection hears a channel in one way only.
		if (channel === "$sys:metrics") listen();
		else listen({ rate: Number(pace.value), filter: filter.value.trim() || undefined });
	}

	function listen(options) {
		last = null;
		afterCut = false;
		say(status, "Subscribing");
		listening = "Listening" + (options?.filter ? " through the filter" : "") + ". What comes is not read aloud.";
		let own;
		try {
			own = app.client.subscribe(channel, (event) => take(event), options);
		} catch (error) {
			say(status, error.message);
			return;
		}
		subscription = own;
		say(start, "Stop");
		pause.disabled = false;
		own.ready.then(() => {
			if (subscription === own) say(status, listening);
		}, (error) => {
			if (subscription !== own) return;
			if (error.code === "unsupported" && !options?.filter) {
				own.unsubscribe();
				follow();
				return;
			}
			stop();
			say(status, (error.message || "It was refused") + " (" + error.code + ")");
		});
	}

	// Raw namespaces have no rates, and what comes of them live does not say which channel it is of. Their history does.
	function follow() {
		const path = "api/channels/" + encodeURIComponent(channel) + "/history?limit=";
		let from = null;
		const poll = new Poll(1000, async () => {
			try {
				const data = await app.api.ask(path + (from ? ROWS + "&since=" + encodeURIComponent(from) : 1));
				if (subscription !== own) return;
				const events = from && Array.isArray(data?.events) ? data.events : [];
				for (const event of events.slice(-Number(pace.value))) take(event);
				const [epoch, offset] = String(from ?? data.position).split("@");
				count.skipped += Math.max(0, events.length - Number(pace.value));
				from = data.more && String(data.position).startsWith(epoch + "@") ? epoch + "@" + (Number(offset) + events.length) : String(data.position);
				say(status, "A raw channel: its history is looked at once a second.");
			} catch (error) {
				say(status, words(error));
				throw error;
			}
		});
		const own = { polls: true, unsubscribe: () => poll.stop() };
		subscription = own;
	}

	function stop() {
		if (!subscription) return;
		subscription.unsubscribe();
		subscription = null;
		say(start, "Start");
		say(status, "Stopped.");
		pause.disabled = true;
		if (paused) hold(false);
	}

	function hold(on) {
		paused = on;
		say(pause, on ? "Go on" : "Pause");
		pause.setAttribute("aria-pressed", String(on));
		tellLater();
	}

	function wipe() {
		waiting = [];
		for (const key in count) count[key] = 0;
		grid.body.replaceChildren();
		show(grid.node, false);
		tellLater();
	}

	function gap(info) {
		if (!subscription || info.channel !== channel) return;
		if (info.missed > 0) count.gaps += info.missed;
		// The next offset will tell how many it were.
		else if (afterCut && last !== null && epoch === epochOf(info)) return;
		else count.holes++;
		last = null;
		tellLater();
	}

	function cut() {
		if (!subscription || subscription.polls) return;
		afterCut = true;
		say(status, "Not connected; it goes on when the gateway is there again.");
	}

	function resumed(info) {
		if (subscription && info.channel === channel) say(status, listening);
	}

	function take(event) {
		const offset = isEnvelope(event) && typeof event.offset === "number" ? event.offset : null;
		if (!many && offset !== null && last !== null && offset > last + 1) count[afterCut ? "cut" : "skipped"] += offset - last - 1;
		afterCut = false;
		epoch = epochOf(event);
		if (offset !== null) last = offset;
		if (paused) {
			count.paused++;
		} else {
			waiting.push(event);
			if (waiting.length > ROWS) {
				waiting.shift();
				count.hidden++;
			}
		}
		tellLater();
	}

	function tellLater() {
		if (!timer) timer = setTimeout(draw, DRAW_MS);
	}

	function draw() {
		timer = 0;
		// While nobody looks rows wait, no more of them than there is room for.
		if (document.hidden) return;
		count.shown += waiting.length;
		if (waiting.length) {
			grid.body.prepend(...waiting.reverse().map((event) => eventRow(event, event?.offset, many)));
			waiting = [];
			while (grid.body.childElementCount > ROWS) grid.body.lastChild.remove();
			show(grid.node, true);
		}
		const left = filter.value.trim() ? " left out by filter or rate" : " left out to keep the rate";
		say(numbers, [
			whole(count.shown) + " shown", count.skipped && whole(count.skipped) + left, count.paused && whole(count.paused) + " passed while paused",
			count.cut && whole(count.cut) + " passed while not connected",
			count.hidden && whole(count.hidden) + " passed while nobody looked",
			count.gaps && plural(count.gaps, "event", "events") + " lost on the way (gap)",
			count.holes && "some lost on the way, " + plural(count.holes, "time", "times"), count.shown > ROWS && "the newest " + ROWS + " are kept",
		].filter(Boolean).join(", ") + ".");
	}

	const seen = () => document.hidden || tellLater();
	document.addEventListener("visibilitychange", seen);
	const off = Object.entries({ gap, disconnected: cut, subscribed: resumed }).map(([name, heard]) => app.client?.on(name, heard));
	if (!app.client) start.disabled = true;
	return {
		node,
		stop() {
			stop();
			for (const one of off) one?.();
			clearTimeout(timer);
			document.removeEventListener("visibilitychange", seen);
		},
	};
}
