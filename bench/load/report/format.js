// SPDX-License-Identifier: Apache-2.0
//
// Numbers as people read them, and the small tools that make elements. Texts only ever become text nodes: nothing of
// the data is read as markup.

const DASH = "–";
const isNumber = (v) => typeof v === "number" && Number.isFinite(v);
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

// Three digits that count, none behind the point from 100 on.
function digits(v) {
	const a = Math.abs(v);
	return v === 0 ? "0" : v.toFixed(a < 9.995 ? 2 : a < 99.95 ? 1 : 0);
}

// [number, unit], the unit such that the number is 1 to 999 (or 1023).
function scaled(v, step, names) {
	let i = 0;
	for (; i + 1 < names.length && Math.abs(v) >= step * 0.9995; i++)
		v /= step;
	return [i === 0 && Number.isInteger(v) ? String(v) : digits(v), names[i]];
}

const STEPS = {
	ns: [1000, ["ns", "µs", "ms", "s"]],
	bytes: [1024, ["B", "KiB", "MiB", "GiB", "TiB"]],
	short_rate: [1000, ["/s", "k/s", "M/s", "G/s"]],
	short_count: [1000, ["", "k", "M", "G"]],
};

// Each gives [number, unit]; the unit may be empty.
const UNITS = {
	ns: (v) => scaled(v, ...STEPS.ns),
	bytes: (v) => scaled(v, ...STEPS.bytes),
	rate: (v) => (v < 100 && !Number.isInteger(v) ? [v.toFixed(1), "/s"] : [whole.format(v), "/s"]),
	short_rate: (v) => (v < 10000 ? UNITS.rate(v) : scaled(v, ...STEPS.short_rate)),
	count: (v) => [Number.isInteger(v) ? whole.format(v) : String(v), ""],
	short_count: (v) => (v < 10000 ? [whole.format(v), ""] : scaled(v, ...STEPS.short_count)),
	seconds: (v) => (v > 0 && v < 0.9995 ? UNITS.ns(v * 1e9) : [digits(v), "s"]),
	cpus: (v) => [v.toFixed(2), "CPUs"],
	share: (v) => [(v * 100).toFixed(v < 0.0995 ? 1 : 0), "%"],
	ratio: (v) => [v < 0.0995 && v > 0 ? v.toPrecision(2) : digits(v), ""],
	plain: (v) => [String(v), ""],
};

// As one text: "1.02 ms". What is no number is a dash.
function show(unit, v) {
	if (!isNumber(v))
		return DASH;
	return joined(...UNITS[unit](v));
}

const joined = (number, name) => (name.startsWith("/") || name === "" ? number + name : number + "\u00a0" + name);

// For ticks of an axis to `high`: all in one unit, no zeros that say nothing.
function tickText(unit, high) {
	if (!(unit in STEPS))
		return (v) => (unit === "cpus" ? String(+v.toFixed(3)) : show(unit, v));
	const [step, names] = STEPS[unit];
	const i = unit.startsWith("short") && high < 10000 ? 0 : Math.min(names.length - 1, Math.max(0, Math.floor(Math.log(Math.max(high, 1)) / Math.log(step) + 1e-9)));
	return (v) => (v === 0 ? "0" : joined((v / step ** i).toLocaleString("en", { maximumSignificantDigits: 6 }), names[i]));
}

// make("td", {class: "number"}, "text", element, …); undefined attributes are left out.
function make(tag, attributes, ...children) {
	const e = SVG_TAGS.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
	for (const [name, value] of Object.entries(attributes || {})) {
		if (value !== undefined && value !== null)
			e.setAttribute(name, value);
	}
	e.append(...children.flat().filter((c) => c !== undefined && c !== null));
	return e;
}
const SVG_TAGS = new Set(["svg", "path", "line", "rect", "circle", "text", "g"]);

// "window.deliveries" or "cases.0.rows" of the data; undefined when it is not there.
function at(data, path) {
	return path.split(".").reduce((v, key) => (v === undefined || v === null ? undefined : v[key]), data);
}

// A figure of the data: its text, and for tests and scripts its key and its value as it is in the JSON.
function figure(data, path, unit, tag = "span", attributes = {}) {
	const v = at(data, path);
	return make(tag, { ...attributes, "data-key": path, "data-value": isNumber(v) || typeof v === "string" ? v : "" },
		typeof v === "string" ? v : show(unit, v));
}

// Signs beside words, never instead of them.
function mark(kind, cls = "mark") {
	const paths = {
		good: "M7 13.2l3.6 3.6L18 9",
		bad: "M8 8l9 9M17 8l-9 9",
		warn: "M12.5 6.5v7.5M12.5 17.6v.4",
		none: "M8 12.5h9",
	};
	return make("svg", { class: cls, viewBox: "0 0 25 25", "aria-hidden": "true", fill: "none", stroke: "currentColor",
		"stroke-width": 2.2, "stroke-linecap": "round", "stroke-linejoin": "round" },
	make("circle", { cx: 12.5, cy: 12.5, r: 11, "stroke-width": 1.6 }), make("path", { d: paths[kind] }));
}
