// SPDX-License-Identifier: Apache-2.0
// The gateway itself: what it is, what it has, and every counter.
import { Poll } from "./api.js";
import { card, definitions, el, field, say, table } from "./dom.js";
import { bytes, moment, rate, span, whole } from "./format.js";
import { told } from "./overview.js";
import { CLOSES, GAUGES, TROUBLES } from "./words.js";

const FEATURES = {
	tls: "TLS", kernel_tls: "TLS records by the kernel", send_zc: "Sends without a copy", min_wait: "Waits for several completions",
};

const MEANING = Object.fromEntries(TROUBLES);

// What /metrics calls otherwise, besides its units.
const METRIC = { send_bytes: "sent_bytes", recv_bytes: "received_bytes", lag_max_ms: "blocked_max_seconds" };

// {features, help, arenaLimit, clientsLimit} out of the text of /metrics: what snapshots do not have, since it never changes.
export function readMetrics(text) {
	const found = { features: [], help: {}, arenaLimit: 0, clientsLimit: 0 };
	for (const line of String(text).split("\n")) {
		const help = line.match(/^# HELP ringcast_(\S+?)(?:_total)? (.*)$/);
		if (help) found.help[help[1]] = help[2];
		const feature = line.match(/^ringcast_feature_(\w+) ([01])$/);
		if (feature) found.features.push([feature[1], feature[2] === "1"]);
		const limit = line.match(/^ringcast_(arena|clients)_limit(?:_bytes)? (\d+)$/);
		if (limit) found[limit[1] + "Limit"] = Number(limit[2]);
	}
	return found;
}

function countersCard(app) {
	const filter = el("input", { type: "search", spellcheck: "false", autocapitalize: "off", autocomplete: "off" });
	const words = el("p", { class: "hint", role: "status" });
	const grid = table("Every counter that is not 0, over all shards", [
		{ head: "Counter", class: "counter", text: (r) => r.key, sub: (r) => r.help },
		{ head: "Value", num: true, text: (r) => whole(r.value) },
		{ head: "A second", num: true, text: (r) => (GAUGES.has(r.key) ? "" : rate(r.rate)) },
		{ head: "What it counts", wide: true, class: "what", text: (r) => r.help },
	], (r) => r.key, "No counter has that in its name.");
	const rows = new Map();

	const helpOf = (key) => app.help[METRIC[key] ?? key] || CLOSES[key] || MEANING[key] || app.help[key.replace(/[num]s$/, "seconds")] || "";

	function update() {
		const wanted = filter.value.trim().toLowerCase();
		const { last } = app.metrics;
		const found = [];
		for (const key in last?.counters) {
			const help = helpOf(key);
			if (wanted && !key.includes(wanted) && !help.toLowerCase().includes(wanted)) continue;
			const row = rows.get(key) || { key };
			rows.set(key, row);
			found.push(Object.assign(row, { help, value: last.counters[key], rate: app.metrics.rateOf(key) }));
		}
		grid.set(found);
		return found.length;
	}

	filter.addEventListener("input", () => say(words, whole(update()) + " of them are shown."));
	return { node: card("Counters", field("Name or words", filter), words, grid.node), update };
}

export function gatewayView(app) {
	const facts = definitions();
	const features = el("ul", { class: "features" });
	const budget = table("Memory set aside at start, and what the kernel would hold", [
		{ head: "For", text: (r) => r.name },
		{ head: "Size", num: true, text: (r) => bytes(r.bytes), sub: (r) => whole(r.bytes) + " bytes" },
	], (r) => r.name, "No row is known.");
	const backends = table("Backends, by the type of message that they take", [
		{ head: "Type", text: (r) => r.type },
		{ head: "Backends", num: true, text: (r) => whole(r.count) },
	], (r) => r.type, "No backend has registered.");
	const hooks = definitions();
	const error = el("p", { class: "hint error", hidden: true });
	const counters = countersCard(app);
	let frame = 0;
	const poll = new Poll(5000, () => told(error, backends, async () => {
		const data = await app.api.ask("api/status?limit=20");
		backends.set(Object.entries(data?.backends ?? {}).map(([type, count]) => ({ type, count })));
		const w = data?.webhooks;
		hooks.set(w ? [
			["URL", w.url], ["Addresses", Array.isArray(w.addresses) ? w.addresses.join(", ") : null], ["Connections", whole(w.connections)],
			["Under way", whole(w.outstanding)], ["Waiting", whole(w.waiting) + " commands, " + whole(w.eventsWaiting) + " events"], ["Failures", whole(w.failures)],
			["Last error", w.lastError ? w.lastError.message + " (" + (moment(w.lastError.timestamp)?.text ?? "") + ")" : "none"],
		] : [["Webhooks", "none are set up"]]);
	}));

	function update() {
		frame = 0;
		const { last } = app.metrics;
		const own = app.client?.metrics;
		facts.set([
			["Version", last?.version], ["Up for", span(last?.uptime)],
			["Started", last ? moment(last.at - last.uptime * 1000)?.text : null], ["Shards", whole(last?.shards.length)],
			["Clients", whole(app.metrics.counter("clients"))], ["Publishers", whole(app.metrics.counter("publishers"))],
			["Channels", whole(app.metrics.counter("channels"))], ["Subscriptions", whole(app.metrics.counter("subscriptions"))],
			["This page", own ? "round trip " + (own.rtt == null ? "not measured yet" : Math.round(own.rtt) + " ms") + ", " + whole(own.reconnects ?? 0) + " reconnects" : null],
		]);
		budget.set(last?.memory.map((row) => ({ name: String(row.name), bytes: row.bytes })) || []);
		counters.update();
		if (features.childElementCount !== app.features.length) {
			features.replaceChildren(...app.features.map(([key, on]) => el("li", {}, el("b", { class: on ? "yes" : "no" }, on ? "yes" : "no"), " ", FEATURES[key] || key)));
		}
	}

	const unlisten = app.metrics.listen(() => {
		if (!frame) frame = requestAnimationFrame(update);
	});
	update();
	return {
		title: "Gateway",
		node: el("div", {}, el("h1", {}, "Gateway"),
			el("div", { class: "cards" }, el("div", { class: "stack" }, card("What runs", facts.node, el("h3", {}, "Features"), features),
				card("Backends", backends.node, error), card("Webhooks", hooks.node)), card("Memory budget", budget.node)),
			counters.node),
		stop() {
			unlisten();
			cancelAnimationFrame(frame);
			poll.stop();
		},
	};
}
