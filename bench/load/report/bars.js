// SPDX-License-Identifier: Apache-2.0
//
// One figure of several servers: a table whose middle column is a bar. The bar is the median; the line through its end goes
// from the lowest to the highest round, with a stroke for each round.

const FIGURES = {
	deliveries_per_second: { name: "Deliveries a second", unit: "short_rate", better: "higher" },
	published_per_second: { name: "Published a second", unit: "short_rate", better: "higher" },
	commands_per_second: { name: "Commands a second", unit: "rate", better: "higher" },
	cpu_ns_per_command: { name: "Server CPU per command", unit: "ns", better: "lower" },
	rtt_p50: { name: "Round trip, p50", unit: "ns", better: "lower" },
	rtt_p99: { name: "Round trip, p99", unit: "ns", better: "lower" },
	rtt_p999: { name: "Round trip, p99.9", unit: "ns", better: "lower" },
	requests_per_second: { name: "Requests", unit: "rate", better: "higher" },
	cpu_ns_per_request: { name: "Server CPU per request", unit: "ns", better: "lower" },
	cpu_ns_per_event: { name: "Server CPU per event", unit: "ns", better: "lower" },
	back_seconds: { name: "Until all are back", unit: "seconds", better: "lower" },
	cpu_seconds_back: { name: "Server CPU meanwhile", unit: "seconds", better: "lower" },
	p99_before: { name: "p99 of those who stayed, before", unit: "ns", better: "lower" },
	p99_meanwhile: { name: "p99 of those who stayed, meanwhile", unit: "ns", better: "lower" },
	cpu_ns_per_handshake: { name: "Server CPU per handshake", unit: "ns", better: "lower" },
	handshakes_per_second: { name: "Handshakes", unit: "rate", better: "higher" },
	cpu_ns_per_delivery: { name: "Server CPU per delivery", unit: "ns", better: "lower" },
	p50: { name: "Latency p50", unit: "ns", better: "lower" },
	p99: { name: "Latency p99", unit: "ns", better: "lower" },
	p999: { name: "Latency p99.9", unit: "ns", better: "lower" },
	rss_per_client: { name: "Memory per idle client", unit: "bytes", better: "lower" },
	startup_seconds: { name: "Start-up", unit: "seconds", better: "lower" },
};
const figureOf = (key) => FIGURES[key] || { name: words(key), unit: "count" };

function bar(row, key, high) {
	const x = (v) => (Math.max(0, v) / (high || 1)) * 1000;
	const line = (cls, x1, y1, x2, y2) => make("line", { class: cls, x1, y1, x2, y2, "stroke-width": cls === "tick" ? 1 : 1.5 });
	const median = at(row, `median.${key}`);
	const low = at(row, `min.${key}`);
	const top = at(row, `max.${key}`);
	const shapes = [make("rect", { class: "fill", x: 0, y: 3, height: 14, width: Math.max(2, x(median)) })];
	for (const v of at(row, `values.${key}`) || []) {
		if (isNumber(v))
			shapes.push(line("tick", x(v), 5, x(v), 15));
	}
	if (isNumber(low) && isNumber(top) && top > low)
		shapes.push(line("spread", x(low), 10, x(top), 10), line("spread", x(low), 6, x(low), 14), line("spread", x(top), 6, x(top), 14));
	return make("svg", { viewBox: "0 0 1004 20", preserveAspectRatio: "none", "aria-hidden": "true" }, shapes);
}

// rows: of the data, each with its place in it, so that every figure names its path.
function barPanel(data, rows, key, { wide, better } = {}) {
	const f = figureOf(key);
	const best = better || f.better;
	const shown = rows.filter(([row]) => isNumber(at(row, `median.${key}`)));
	const high = Math.max(...shown.map(([row]) => Math.max(at(row, `median.${key}`), at(row, `max.${key}`) || 0)));
	const body = shown.map(([row, path]) => {
		const ratio = at(row, `ratio_to_ringcast.${key}`);
		const spread = `lowest ${show(f.unit, at(row, `min.${key}`))}, highest ${show(f.unit, at(row, `max.${key}`))}`;
		return make("tr", { class: row.kind + (row.server === "ringcast" ? " us" : ""), title: `${row.server}: ${spread}` },
			make("th", { scope: "row" }, row.server, wide && row.version ? make("small", {}, row.version) : null),
			make("td", { class: `track ${row.kind}` }, bar(row, key, high)),
			figure(data, `${path}.median.${key}`, f.unit, "td", { class: "number", "aria-label": `${show(f.unit, at(row, `median.${key}`))}, ${spread}` }),
			make("td", { class: "number soft", "data-key": `${path}.ratio_to_ringcast.${key}`, "data-value": isNumber(ratio) ? ratio : "" },
				isNumber(ratio) ? "× " + show("ratio", ratio) : DASH));
	});
	return make("div", { class: "panel" + (wide ? " wide" : "") }, make("table", { class: "bars" },
		make("caption", {}, f.name, best ? make("span", { class: "about" }, ` ${best} is better`) : null),
		make("thead", { hidden: "" }, make("tr", {}, ["Server", "Bar", "Median", "Ratio to ringcast"].map((t) => make("th", { scope: "col" }, t)))),
		make("tbody", {}, body)));
}
