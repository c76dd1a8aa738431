// SPDX-License-Identifier: Apache-2.0
//
// The page of bench/compare: ringcast, its peers and the floors, case by case.

const KINDS = [["gateway", "ringcast"], ["peer", "other servers"], ["floor", "floors: bare programs that only send"]];
const COLORS = { gateway: "--accent", peer: "--slate", floor: "--teal" };

function sortedRows(c, index) {
	const key = c.primary || "deliveries_per_second";
	const sign = (c.better || figureOf(key).better) === "lower" ? 1 : -1;
	const value = (row) => at(row, `median.${key}`);
	return (c.rows || []).map((row, i) => [row, `cases.${index}.rows.${i}`])
		.filter(([row]) => !row.skipped)
		.sort(([a], [b]) => (isNumber(value(b)) - isNumber(value(a))) || sign * (value(a) - value(b)) || 0);
}

function figuresOf(c) {
	const present = new Set((c.rows || []).flatMap((row) => Object.keys(row.median || {}).filter((k) => isNumber(row.median[k]))));
	return [...new Set([c.primary, ...Object.keys(FIGURES), ...present])].filter((k) => present.has(k));
}

function targetUnit(t) {
	return t.unit in FIGURES ? FIGURES[t.unit].unit : t.unit === "ratio" ? "ratio" : "count";
}

function targetState(t) {
	if (t.met === true)
		return make("span", { class: "state is-good" }, mark("good", ""), "met");
	if (t.met === false)
		return make("span", { class: "state is-bad" }, mark("bad", ""), "missed");
	return make("span", { class: "state soft" }, mark("none", ""), "not measured");
}

function targetSection(d) {
	const targets = d.targets || [];
	if (!targets.length)
		return null;
	const title = (name) => (((d.cases || []).find((c) => c.name === name) || {}).title || name || DASH);
	return section("Targets", panel(table("Targets",
		[{ name: "Target" }, { name: "Measured", number: true }, { name: "Bound", number: true }, { name: "" }],
		targets.map((t, i) => [make("span", { class: "target" }, t.text, make("small", {}, title(t.case))),
			figure(d, `targets.${i}.value`, targetUnit(t), "td", { class: "number" }),
			figure(d, `targets.${i}.bound`, targetUnit(t), "td", { class: "number" }), targetState(t)]))));
}

// ringcast's own figure of each case, and how far the best of the others is.
function compareCards(d) {
	return cardGrid((d.cases || []).map((c, index) => {
		const key = c.primary || "deliveries_per_second";
		const rows = sortedRows(c, index);
		const us = rows.find(([row]) => row.server === "ringcast");
		const peer = rows.find(([row]) => row.kind === "peer" && isNumber(at(row, `median.${key}`)));
		const ratio = us && peer && at(us[0], `median.${key}`) / at(peer[0], `median.${key}`);
		const beside = peer && `${ratio < 1 ? `1 / ${show("ratio", 1 / ratio)} of` : `${show("ratio", ratio)} ×`} ${peer[0].server}, `
			+ show(figureOf(key).unit, at(peer[0], `median.${key}`));
		const own = (c.rows || []).findIndex((row) => row.server === "ringcast");
		return card(d, { name: c.title || c.name, path: `cases.${index}.rows.${Math.max(own, 0)}.median.${key}`, unit: figureOf(key).unit,
			more: isNumber(ratio) ? beside : figureOf(key).name, reason: (own >= 0 && c.rows[own].skipped) || "not measured" });
	}));
}

function chips(c) {
	const asked = [["clients", "clients"], ["payload", "B an event"], ["in_flight", "in flight"], ["rate", "events a second"]];
	return make("ul", { class: "chips" }, asked.filter(([k]) => c[k]).map(([k, name]) => make("li", {}, `${show("count", c[k])} ${name}`)),
		KINDS.filter(([kind]) => (c.rows || []).some((r) => r.kind === kind && !r.skipped)).map(([kind, name]) =>
			make("li", {}, make("span", { class: "state", style: "font-weight:400" },
				make("i", { class: "swatch box", style: `color:var(${COLORS[kind]})${kind === "floor" ? ";opacity:.4" : ""}` }), name))));
}

function caseSection(d, c, index) {
	const rows = sortedRows(c, index);
	const said = (c.rows || []).flatMap((row) => [...(row.skipped ? [[row.server, `not measured: ${row.skipped}`]] : []),
		...(row.notes || []).map((n) => [row.server, n])]);
	return section(c.title || c.name, chips(c),
		make("div", { class: "grid figures" }, figuresOf(c).map((key, i) => barPanel(d, rows, key, { wide: i === 0, better: key === c.primary ? c.better : undefined }))),
		said.length ? panel(pairs("Notes", said)) : null);
}

function comparePage(d) {
	const targets = d.targets || [];
	const met = targets.filter((t) => t.met === true).length;
	const missed = targets.filter((t) => t.met === false).length;
	const unknown = targets.length - met - missed;
	const host = typeof d.host === "object" && d.host ? d.host : { name: d.host };
	return [
		heading("bench/compare " + (d.version || ""), "ringcast beside its peers and its floors",
			`${show("count", d.rounds)} rounds, interleaved` + (isNumber(d.seconds) ? `, ${Math.round(d.seconds / 6) / 10} minutes` : "") + (d.quick ? ", quick" : "")
			+ `, started ${d.started || DASH}`),
		verdict(!targets.length ? "warn" : missed ? "bad" : unknown ? "warn" : "good", "targets.met", targets.length ? `${met} of ${targets.length} targets met` : "No targets",
			[missed ? `${missed} missed` : "", unknown ? `${unknown} not measured` : ""].filter(Boolean).join(", "), d.notes || []),
		compareCards(d),
		targetSection(d),
		...(d.cases || []).map((c, i) => caseSection(d, c, i)),
		section("How it was measured", make("div", { class: "grid" },
			make("div", { class: "panel" }, make("h3", {}, "Settings"), pairs("Settings", Object.entries(d.settings || {}).map(([k, v]) => [words(k), plainly(v)]))),
			make("div", { class: "panel" }, make("h3", {}, "Host"), pairs("Host", Object.entries(host).map(([k, v]) =>
				[words(k), k === "memory" && isNumber(v) ? show("bytes", v) : plainly(v)]))))),
		make("p", { class: "foot" }, "A bar is the median of the rounds; the line through its end reaches from the lowest round to the highest. "
			+ "Ratios are to ringcast's median of the same case. The data stands as JSON in the source of this page."),
	];
}
