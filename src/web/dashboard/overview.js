// SPDX-License-Identifier: Apache-2.0
// The first view: how it goes, now and over the last ten minutes, and what is not as it should be.
import { Poll, words } from "./api.js";
import { Heat, latencyRange, Lines, paint, rampKey } from "./chart.js";
import { button, card, el, say, show, table } from "./dom.js";
import { ago, bytes, clock, isNumber, micros, millis, percent, plural, rate, short, span, whole } from "./format.js";
import { CALM_CLOSES, CLOSES, LAG_REASONS, TROUBLES } from "./words.js";

const SHARDS_SHOWN = 64;
// Of whatever has an end: soon it is full.
const MUCH = 0.85;
// Samples over which a shard must be busy, or any garbage of a second would be a warning.
const BUSY_SAMPLES = 10;

function tile(app, label, get, unit, options = {}) {
	const value = el("p", { class: "value" });
	const more = el("p", { class: "more" });
	const scale = el("p", { class: "scale" });
	const lines = new Lines(app.metrics, label, [{ get, colour: "s1" }], unit, options);
	return {
		node: el("section", { class: "tile" }, el("h3", {}, label), value, more, lines.node, scale),
		plot: lines,
		update(shown) {
			const known = shown && get(shown) !== null;
			say(value, known ? unit(get(shown)) : "–");
			say(more, shown && options.more ? options.more(shown) : "");
			if (lines.span) say(scale, "0 to " + unit(lines.scale) + ", " + span(lines.span / 1000));
		},
	};
}

const PERCENTILES = [
	{ key: "p50", colour: "s1", dash: [], label: "p50" },
	{ key: "p90", colour: "s2", dash: [6, 3], label: "p90" },
	{ key: "p99", colour: "s3", dash: [2, 2], label: "p99" },
];

function latencyCard(app) {
	const { metrics } = app;
	const series = PERCENTILES.map((p) => ({ ...p, get: (s) => s[p.key] }));
	const lines = new Lines(metrics, "Latency from publish to socket", series, micros, { axes: true, log: () => latencyRange(metrics) });
	const heat = new Heat(metrics, "How many events took how long from publish to socket", tellHeat, micros);
	const key = rampKey();
	const most = el("span");
	const figures = series.map(() => el("b"));
	const legend = el("ul", { class: "legend" }, series.map((one, i) => el("li", { class: one.colour },
		el("i", { class: "dash " + one.key, "aria-hidden": "true" }), " " + one.label + " ", figures[i])));
	const counted = el("p", { class: "hint" });
	return {
		node: el("section", { class: "card" },
			el("div", { class: "row" }, el("h2", {}, "Latency, publish to socket"), legend),
			lines.node, el("h3", {}, "Distribution over time"), heat.node,
			el("p", { class: "hint row" }, el("span", {}, "few ", key.node, " many ", most), counted)),
		plots: [lines, heat],
		update(shown) {
			series.forEach((one, i) => say(figures[i], micros(shown?.[one.key])));
			say(most, heat.most ? "(up to " + whole(heat.most) + ")" : "");
			say(counted, shown?.buckets ? plural(shown.values, "flush", "flushes") + " measured in that second" : "");
		},
		theme: key.draw,
	};
}

function tellHeat(s) {
	return s.values ? plural(s.values, "flush", "flushes") + ", half within " + micros(s.p50) + ", 99 % within " + micros(s.p99) : "nothing was published";
}

// mark: much of it is bad, and looks so.
function bar(mark) {
	const fill = el("i");
	return {
		node: el("div", { class: "bar", "aria-hidden": "true" }, fill),
		set(part) {
			const width = (isNumber(part) ? Math.min(1, Math.max(0, part)) * 100 : 0).toFixed(1) + "%";
			if (fill.style.width !== width) fill.style.width = width;
			if (mark) fill.classList.toggle("much", part > MUCH);
		},
	};
}

function shardsCard(app) {
	const spread = el("p", { class: "hint" });
	const columns = [
		{ head: "Shard", text: (r) => r.id },
		{
			head: "Load", class: "wider", node(r) {
				r.bar = bar(true);
				return r.bar.node;
			},
			update: (cell, r) => r.bar.set(r.load),
		},
		{ head: "Busy", num: true, text: (r) => percent(r.load) },
		{ head: "Clients", num: true, text: (r) => whole(r.clients) },
		{ head: "Deliveries/s", num: true, text: (r) => short(r.deliveries) },
		{ head: "Behind", num: true, wide: true, text: (r) => whole(r.behind) },
	];
	const grid = table("Load of each shard", columns, (r) => r.id, "No shard has said anything yet.");
	const rows = [];
	return {
		node: card("Shards", spread, grid.node),
		update(shown) {
			const shards = app.metrics.last?.shards || [];
			shards.forEach((shard, i) => {
				rows[i] = Object.assign(rows[i] || { id: String(i) }, {
					load: shown?.loads[i] ?? null, clients: shard.clients, deliveries: shown?.shardDeliveries[i] ?? null, behind: shard.clients_behind,
				});
			});
			rows.length = shards.length;
			grid.set(rows.length > SHARDS_SHOWN ? [...rows].sort((a, b) => b.load - a.load).slice(0, SHARDS_SHOWN) : rows);
			const loads = rows.map((r) => r.load).filter(isNumber);
			const mean = loads.reduce((a, b) => a + b, 0) / loads.length;
			const top = Math.max(...loads);
			let text = rows.length > SHARDS_SHOWN ? "The busiest " + SHARDS_SHOWN + " of " + rows.length + ". " : "";
			if (loads.length > 1) {
				// Where little is done any difference is noise.
				text += top < 0.05 ? "All have little to do." : top > mean * 1.5
					? "Uneven: the busiest does " + rate(top / mean) + " times the average." : "The work is spread evenly.";
			}
			say(spread, text);
		},
	};
}

function memoryCard(app) {
	const rows = [
		{ name: "Logs, output, input", used: () => app.metrics.shown?.memory, of: () => app.arenaLimit },
		{ name: "Events in logs", used: () => app.metrics.counter("log_bytes"), of: () => app.arenaLimit },
		{ name: "Histories", used: () => app.metrics.counter("history_bytes"), of: () => app.arenaLimit },
	];
	const grid = table("Memory in use, and of how much", [
		{ head: "For", text: (r) => r.name },
		{
			head: "Part", class: "wider", node(r) {
				r.bar = bar(true);
				return r.bar.node;
			},
			update: (cell, r) => r.bar.set(r.used() / r.of()),
		},
		{ head: "Used", num: true, text: (r) => bytes(r.used()) },
		{ head: "Of", num: true, text: (r) => bytes(r.of()) },
	], (r) => r.name);
	const total = el("p", { class: "hint" });
	return {
		node: card("Memory", grid.node, total),
		update() {
			grid.set(rows);
			const set = app.metrics.last?.memory.filter((row) => row.name !== "total" && !row.kernel) || [];
			const sum = set.reduce((n, row) => n + row.bytes, 0);
			say(total, sum ? bytes(sum) + " were set aside at start for all tables; see Gateway." : "");
		},
	};
}

// What soon has no room left, in words.
function nearFull(app) {
	const { metrics } = app;
	const samples = metrics.samples.slice(-BUSY_SAMPLES);
	const loads = (metrics.last?.shards || []).map((shard, i) => samples.reduce((sum, s) => sum + (s.loads[i] ?? 0), 0) / samples.length);
	const load = Math.max(0, ...loads);
	const memory = metrics.counter("arena_used_bytes") / app.arenaLimit;
	const clients = metrics.counter("clients") / app.clientsLimit;
	return [
		samples.length === BUSY_SAMPLES && load > MUCH && (loads.length > 1 ? "shard " + loads.indexOf(load) + " is " : "it is ") + percent(load) + " busy",
		app.arenaLimit && memory > MUCH && percent(memory) + " of the memory is in use",
		app.clientsLimit && clients > MUCH && whole(metrics.counter("clients")) + " of " + whole(app.clientsLimit) + " clients are connected",
	].filter(Boolean).join(", ");
}

// head: where its verdict stands besides, at the top of the page.
function troubleCard(app, head) {
	const line = el("p", { class: "verdict" });
	const grid = table("What is not 0 and should be", [
		{
			head: "What", class: "what", node: (r) => {
				r.sign = el("b", { class: "sign" });
				return el("span", {}, r.sign, " ", r.words);
			},
			update: (cell, r) => {
				const sign = !r.lately ? "earlier" : r.weight > 1 ? "trouble" : "watch";
				say(r.sign, sign);
				r.sign.className = "sign " + sign;
				cell.title = r.key;
			},
		},
		{ head: "Lately", num: true, text: (r) => (r.lately ? "+" + short(r.lately) : "0") },
		{ head: "In all", num: true, text: (r) => short(r.total), sub: (r) => whole(r.total) },
	], (r) => r.key, "Nothing was refused, dropped or lost.");
	const rows = new Map();
	return {
		node: card("Trouble", line, grid.node),
		update() {
			const { metrics } = app;
			if (!metrics.last) return;
			const found = [];
			const silent = metrics.silent;
			for (const [key, words, weight] of TROUBLES) {
				const total = metrics.counter(key);
				if (!total) continue;
				const row = rows.get(key) || { key, words, weight };
				rows.set(key, row);
				row.total = total;
				row.lately = metrics.grown(key);
				found.push(row);
			}
			found.sort((a, b) => (b.lately > 0) - (a.lately > 0) || b.weight - a.weight || b.lately - a.lately || b.total - a.total);
			grid.set(found);
			if (silent) show(grid.nothing, false);
			const bad = found.filter((r) => r.lately && r.weight > 1).length;
			const held = found.filter((r) => r.lately && r.weight < 2).length;
			const when = " in the last " + span(Math.max(1, metrics.reach)) + ".";
			const near = nearFull(app);
			const soon = near ? " Near its limits: " + near + "." : "";
			const text = silent ? "Not known while nothing comes." : bad ? plural(bad, "kind of loss or refusal", "kinds of loss or refusal") + when + soon
				: held ? "Nothing was lost" + when + " Some were held back or refused." + soon : (soon ? "Nothing was lost" : "No trouble") + when + soon;
			for (const node of [line, head]) {
				say(node, text);
				node.className = "verdict " + (silent ? "warn" : bad ? "bad" : held || soon ? "warn" : "good");
			}
		},
	};
}

function closesCard(app) {
	const grid = table("Why connections ended", [
		{ head: "Reason", text: (r) => r.words },
		{
			head: "Share", class: "wider", wide: true, node(r) {
				r.bar = bar(false);
				return r.bar.node;
			},
			update: (cell, r) => r.bar.set(r.share),
		},
		{ head: "A second", num: true, text: (r) => rate(r.rate) },
		{ head: "Lately", num: true, text: (r) => short(r.lately) },
		{ head: "In all", num: true, text: (r) => short(r.total), sub: (r) => whole(r.total) },
	], (r) => r.key, "No client has left yet.");
	const rows = new Map();
	const hint = el("p", { class: "hint" });
	return {
		node: card("Connections that ended", grid.node, hint),
		update() {
			const { metrics } = app;
			const found = [];
			for (const key in metrics.last?.counters) {
				const total = metrics.counter(key);
				if (!key.startsWith("close_") || !total) continue;
				const row = rows.get(key) || { key, words: CLOSES[key] || key };
				rows.set(key, row);
				found.push(Object.assign(row, { total, lately: metrics.grown(key), rate: metrics.rateOf(key) ?? 0 }));
			}
			const all = found.reduce((n, r) => n + r.total, 0);
			for (const row of found) row.share = row.total / all;
			found.sort((a, b) => b.lately - a.lately || b.total - a.total);
			grid.set(found);
			const calm = found.reduce((n, r) => n + (CALM_CLOSES.includes(r.key) ? r.total : 0), 0);
			say(hint, all ? percent(calm / all) + " of them were meant by somebody. Lately: in the last " + span(Math.max(1, metrics.reach)) + "." : "");
		},
	};
}

export function channelHref(channel) {
	return "#/channels/" + encodeURIComponent(channel);
}

export function userHref(id) {
	return "#/clients/user/" + encodeURIComponent(id);
}

export function sessionHref(id) {
	return "#/clients/session/" + encodeURIComponent(id);
}

// Whatever list an answer should have under that name; never anything else.
export function listOf(data, key) {
	return Array.isArray(data?.[key]) ? data[key].filter((item) => typeof item === "object" && item !== null) : [];
}

function topChannels(app) {
	const grid = table("Channels with most events a second", [
		{ head: "Channel", text: (c) => c.name, href: (c) => channelHref(c.name) },
		{ head: "Events/s", num: true, text: (c) => rate(c.rate) },
		{ head: "Subscribers", num: true, text: (c) => short(c.subscribers) },
	], (c) => c.name, "No channel is in use.");
	const error = el("p", { class: "hint error", hidden: true });
	const poll = new Poll(5000, async () => {
		await told(error, grid, async () => grid.set(listOf(await app.api.ask("api/channels?sort=rate&limit=8"), "channels")));
	});
	return { node: card("Busiest channels", grid.node, error), stop: () => poll.stop() };
}

// Runs it; what goes wrong is said there, and thrown on. That the table is empty says nothing then.
export async function told(place, grid, work) {
	try {
		const value = await work();
		show(place, false);
		return value;
	} catch (e) {
		say(place, words(e));
		show(place, true);
		if (grid) show(grid.nothing, false);
		throw e;
	}
}

export function laggardTable() {
	return table("Who is furthest behind", [
		{ head: "Session", text: (l) => l.session, href: (l) => sessionHref(l.session) },
		{ head: "User", text: (l) => l.user ?? "", href: (l) => l.user && userHref(l.user) },
		{ head: "Behind", num: true, text: (l) => bytes(l.lag?.bytes) },
		{ head: "Events", num: true, text: (l) => short(l.lag?.events) },
		{ head: "For", num: true, text: (l) => millis(l.lag?.ms) },
		{ head: "Why", wide: true, text: (l) => LAG_REASONS[l.reason] || l.reason },
		{ head: "Channels", wide: true, text: (l) => (Array.isArray(l.channels) ? l.channels.join(" ") : "") },
	], (l) => l.session, "Nobody is behind.");
}

function behindCard(app) {
	const grid = laggardTable();
	const error = el("p", { class: "hint error", hidden: true });
	const { metrics } = app;
	const poll = new Poll(4000, () => told(error, grid, async () => {
		// The counters say already when there is nobody to ask about.
		const nobody = metrics.last && !metrics.silent && !metrics.counter("clients_behind");
		grid.set(nobody ? [] : listOf(await app.api.ask("api/laggards?top=5"), "laggards"));
	}));
	let some = metrics.counter("clients_behind") > 0;
	const unlisten = metrics.listen(() => {
		if ((metrics.counter("clients_behind") > 0) === some) return;
		some = !some;
		poll.now();
	});
	return {
		node: card("Who is behind", grid.node, error),
		stop() {
			unlisten();
			poll.stop();
		},
	};
}

const NUMBERS = [
	["Time", (s) => clock(s.at)], ["Clients", (s) => whole(s.clients)], ["Deliveries/s", (s) => rate(s.deliveries)],
	["Events/s", (s) => rate(s.events)], ["Bytes out/s", (s) => bytes(s.sent)], ["p50", (s) => micros(s.p50)],
	["p90", (s) => micros(s.p90)], ["p99", (s) => micros(s.p99)], ["Behind", (s) => whole(s.behind)], ["Memory", (s) => bytes(s.memory)],
];

// Filled when it is opened, and when asked to: a table that changes each second can't be read.
function numbersTable(app) {
	const grid = table("One second of each ten of the last ten minutes, the newest first",
		NUMBERS.map(([head, text], i) => ({ head, text, num: i > 0 })), (s) => s.at, "No snapshot has come yet.");
	const fill = () => grid.set(app.metrics.samples.filter((s, i, all) => (all.length - 1 - i) % 10 === 0).reverse());
	const details = el("details", { class: "card numbers", ontoggle: () => details.open && fill() },
		el("summary", {}, "The same as a table"), button("Bring it up to date", fill), grid.node);
	return details;
}

export function overview(app) {
	const { metrics } = app;
	const tiles = [
		tile(app, "Clients", (s) => s.clients, short, {
			more: (s) => (app.clientsLimit ? "of " + whole(app.clientsLimit) + ", " : "") + (s.sse ? short(s.sse) + " SSE" : "all WebSocket"),
		}),
		tile(app, "Deliveries a second", (s) => s.deliveries, short, {
			more: (s) => (s.events > 0 ? rate(s.deliveries / s.events) + " for each event" : ""),
		}),
		tile(app, "Events a second", (s) => s.events, short),
		tile(app, "Bytes out a second", (s) => s.sent, bytes, { binary: true, more: (s) => bytes(s.received) + " in" }),
		tile(app, "Memory in use", (s) => s.memory, bytes, {
			binary: true, more: (s) => (app.arenaLimit ? percent(s.memory / app.arenaLimit) + " of " + bytes(app.arenaLimit) : ""),
		}),
		tile(app, "Clients behind", (s) => s.behind, short, { more: (s) => (s.lag ? "the furthest " + bytes(s.lag) : "everybody keeps up") }),
	];
	const latency = latencyCard(app);
	const verdict = el("p", { class: "verdict" });
	const [trouble, closes, shards, memory] = [troubleCard(app, verdict), closesCard(app), shardsCard(app), memoryCard(app)];
	const parts = [latency, trouble, closes, shards, memory];
	const asked = [topChannels(app), behindCard(app)];
	const when = el("p", { class: "when" });
	let frame = 0;

	function update() {
		frame = 0;
		const { shown, cursor, last, silent } = metrics;
		node.classList.toggle("old", silent);
		say(when, !last ? "Waiting for the first snapshot" : cursor === null ? silent ? "As of " + clock(last.at) + "; nothing has come since"
			: "Now. Point at a line, or step along it with the arrow keys, to see earlier values" : "At " + clock(cursor) + ", " + ago((last.at - cursor) / 1000) + (shown ? "" : ": nothing is known of this time"));
		when.classList.toggle("past", cursor !== null);
		for (const one of tiles) one.update(shown);
		for (const one of parts) one.update(shown);
	}

	function ask() {
		if (!frame) frame = requestAnimationFrame(update);
	}

	const plots = [...tiles.map((t) => t.plot), ...latency.plots];
	const node = el("div", {}, el("h1", { class: "unseen" }, "Overview"), el("div", { class: "row" }, when, verdict),
		el("div", { class: "tiles" }, tiles.map((t) => t.node)), latency.node,
		el("div", { class: "cards" }, el("div", { class: "stack" }, trouble.node, shards.node, asked[0].node),
			el("div", { class: "stack" }, closes.node, memory.node, asked[1].node)),
		numbersTable(app));
	const unlisten = metrics.listen(ask);
	update();
	paint();
	latency.theme();
	return {
		title: "Overview",
		node,
		theme() {
			latency.theme();
			for (const plot of plots) plot.ask();
		},
		stop() {
			unlisten();
			cancelAnimationFrame(frame);
			for (const plot of plots) plot.stop();
			for (const one of asked) one.stop();
		},
	};
}
