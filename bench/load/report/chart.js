// SPDX-License-Identifier: Apache-2.0
//
// Lines over an axis, as SVG. A chart is redrawn when its width changes; its height is fixed. The pointer or the arrow keys
// move a cross that names the values at one place.
//
// spec: {title, about, height, series: [{name, color, points: [[x, y], …]}], x: scale, y: scale, shade: [[from, to, text], …],
//        where: x → text, unit, area, dots, legend (also of one line), everywhere,
//        missing: why there is nothing}; y is null where a series has no value.

const MARGIN = { top: 17, right: 10, bottom: 24, left: 62 };

// A scale maps values to 0…1 and knows its ticks: {to, ticks: [[value, text], …]}.
function linearScale(low, high, unit, count = 4) {
	const base = unit === "bytes" ? 1024 ** Math.max(0, Math.floor(Math.log2(Math.max(1, high)) / 10)) : 1;
	const raw = (high - low) / count / base || 1;
	const power = 10 ** Math.floor(Math.log10(raw));
	const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999) * base;
	const first = Math.floor(low / step + 1e-9) * step;
	const last = Math.ceil(high / step - 1e-9) * step;
	const text = tickText(unit, last);
	const ticks = [];
	for (let v = first; v <= last + step / 2; v += step)
		ticks.push([v, text(Math.abs(v) < step / 1e6 ? 0 : v)]);
	return { to: (v) => (v - first) / (last - first || 1), ticks };
}

function timeScale(low, high) {
	const wide = high - low || 1;
	const step = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200].find((s) => wide / s <= 9) || 14400;
	const ticks = [];
	for (let v = Math.ceil(low / step) * step; v <= high + 1e-9; v += step)
		ticks.push([v, step < 1 ? v.toFixed(1) + " s" : Math.round(v) + " s"]);
	return { to: (v) => (v - low) / wide, ticks };
}

function logScale(low, high, unit) {
	const nice = (v, round) => {
		const power = 10 ** Math.floor(Math.log10(v) + 1e-12);
		const steps = [1, 2, 5, 10].map((m) => m * power);
		return round < 0 ? steps.filter((s) => s <= v * 1.0000001).pop() : steps.find((s) => s >= v * 0.9999999);
	};
	const first = nice(Math.max(low, 1), -1);
	const last = Math.max(nice(Math.max(high, 1), 1), first * 10);
	const decades = Math.log10(last / first);
	const ticks = [];
	for (let power = 10 ** Math.floor(Math.log10(first) + 1e-9); power <= last * 1.001; power *= 10) {
		for (const m of decades > 3.5 ? [1] : [1, 2, 5]) {
			if (m * power >= first * 0.999 && m * power <= last * 1.001)
				ticks.push([m * power, tickText(unit, m * power)(m * power)]);
		}
	}
	return { to: (v) => Math.log10(Math.max(v, first) / first) / decades, ticks };
}

// 0 %, 50 %, 90 %, 99 %, …: each nine takes as much room as the one before.
function nineScale(last) {
	const wide = Math.log10(Math.max(last, 10));
	const ticks = [[1, "0 %"], [2, "50 %"]];
	for (let n = 1; n <= Math.floor(wide + 1e-9); n++)
		ticks.push([10 ** n, n === 1 ? "90 %" : "99" + (n > 2 ? "." + "9".repeat(n - 2) : "") + " %"]);
	return { to: (v) => Math.log10(v) / wide, ticks };
}

function path(points, px, py) {
	let d = "";
	let pen = "M";
	for (const [x, y] of points) {
		if (y === null) {
			pen = "M";
			continue;
		}
		d += pen + px(x).toFixed(1) + " " + py(y).toFixed(1);
		pen = "L";
	}
	return d;
}

// [[x, [[series, y], …]], …]: what the cross can name. Of a distribution every series has a value at every place, that of
// its next point.
function placesOf(series, everywhere) {
	const all = new Map();
	for (const s of series) {
		for (const [x, y] of s.points) {
			if (y !== null)
				all.set(x, [...(all.get(x) || []), [s, y]]);
		}
	}
	const places = [...all.entries()].sort((a, b) => a[0] - b[0]);
	if (!everywhere)
		return places;
	return places.map(([x]) => [x, series.map((s) => [s, s.points.find(([at]) => at >= x)]).filter(([, p]) => p).map(([s, p]) => [s, p[1]])]);
}

// A chart knows its width once it stands in the page; begin() calls these then, so that nothing is seen empty first.
const toDraw = [];

function chart(spec) {
	const height = spec.height || 230;
	const series = spec.series.filter((s) => s.points.some(([, y]) => y !== null));
	const plot = make("div", { class: "plot", style: `height:${height}px` });
	const legend = (spec.series.length > 1 || spec.legend) && series.length ? make("ul", { class: "legend" }, series.map((s) =>
		make("li", {}, make("span", { class: "swatch", style: `color:var(${s.color})` }), s.name))) : null;
	const panel = make("figure", { class: "panel" + (spec.wide ? " wide" : "") },
		make("figcaption", {}, make("h3", {}, spec.title), spec.about ? make("p", { class: "about" }, spec.about) : null, legend), plot);
	if (!series.length) {
		plot.append(make("div", { class: "empty" }, spec.missing));
		return panel;
	}
	const svg = make("svg", { role: "img", tabindex: 0, "aria-roledescription": "chart",
		"aria-label": `${spec.title}. ${spec.about || ""} Lines: ${series.map((s) => s.name).join(", ")}. `
			+ "Arrow keys go from place to place." });
	const tip = make("div", { class: "tip", role: "status" });
	plot.append(svg, tip);
	const places = placesOf(series, spec.everywhere);
	const drawn = { width: 0, px: null, py: null, cross: null };

	function draw() {
		const width = Math.max(240, plot.clientWidth || 560);
		if (width === drawn.width)
			return;
		drawn.width = width;
		const right = width - MARGIN.right;
		const bottom = height - MARGIN.bottom;
		const px = drawn.px = (v) => MARGIN.left + spec.x.to(v) * (right - MARGIN.left);
		const py = drawn.py = (v) => bottom - spec.y.to(v) * (bottom - MARGIN.top);
		svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
		const shapes = [];
		for (const [from, to, text] of spec.shade || []) {
			const left = px(from);
			const wide = px(to) - left;
			shapes.push(make("rect", { class: "shade", x: left, y: MARGIN.top, width: wide, height: bottom - MARGIN.top }));
			if (wide > 50)
				shapes.push(make("text", { x: left + wide / 2, y: MARGIN.top - 5, "text-anchor": "middle" }, text));
		}
		for (const [v, text] of spec.y.ticks) {
			shapes.push(make("line", { class: "rule", x1: MARGIN.left, x2: right, y1: py(v), y2: py(v) }),
				make("text", { x: MARGIN.left - 8, y: py(v) + 4, "text-anchor": "end" }, text));
		}
		let taken = -Infinity;
		for (const [v, text] of spec.x.ticks) {
			const half = text.length * 3.3;
			const x = Math.min(Math.max(px(v), half), width - half);
			if (x - half < taken + 6)
				continue;
			taken = x + half;
			shapes.push(make("line", { class: "base", x1: px(v), x2: px(v), y1: bottom, y2: bottom + 4 }),
				make("text", { x, y: bottom + 17, "text-anchor": "middle" }, text));
		}
		shapes.push(make("line", { class: "base", x1: MARGIN.left, x2: right, y1: bottom, y2: bottom }));
		for (const s of series) {
			const color = `var(${s.color})`;
			const d = path(s.points, px, py);
			if (spec.area && s.points.every(([, y]) => y !== null) && s.points.length > 1) {
				const ends = [px(s.points[0][0]), px(s.points[s.points.length - 1][0])];
				shapes.push(make("path", { class: "area", style: `fill:${color}`, d: `${d}L${ends[1]} ${bottom}L${ends[0]} ${bottom}Z` }));
			}
			shapes.push(make("path", { class: "line", style: `stroke:${color}`, d }));
			if (spec.dots && s.points.length <= 40) {
				shapes.push(...s.points.filter(([, y]) => y !== null).map(([x, y]) =>
					make("circle", { cx: px(x), cy: py(y), r: 2.2, style: `fill:${color}` })));
			}
		}
		drawn.cross = make("g", { visibility: "hidden" });
		svg.replaceChildren(...shapes, drawn.cross);
		tip.style.visibility = "hidden";
	}

	function point(index) {
		const [x, values] = places[index];
		const left = drawn.px(x);
		drawn.cross.replaceChildren(
			make("line", { class: "cross", x1: left, x2: left, y1: MARGIN.top, y2: height - MARGIN.bottom }),
			...values.map(([s, y]) => make("circle", { class: "dot", cx: left, cy: drawn.py(y), r: 4.5, style: `fill:var(${s.color})` })));
		drawn.cross.setAttribute("visibility", "visible");
		tip.replaceChildren(make("b", {}, spec.where(x)), ...values.map(([s, y]) => make("span", {},
			make("i", { class: "swatch", style: `color:var(${s.color})` }), s.name, " ", make("span", { class: "number" }, show(spec.unit, y)))));
		const room = drawn.width - tip.offsetWidth;
		const beside = left + 14 > room ? left - 14 - tip.offsetWidth : left + 14;
		tip.style.transform = `translate(${Math.min(Math.max(0, beside), Math.max(0, room))}px, ${MARGIN.top}px)`;
		tip.style.visibility = "visible";
	}

	let index = -1;
	const hide = () => {
		index = -1;
		tip.style.visibility = "hidden";
		if (drawn.cross)
			drawn.cross.setAttribute("visibility", "hidden");
	};
	const follow = (event) => {
		const x = event.clientX - svg.getBoundingClientRect().left;
		const far = places.map(([v]) => Math.abs(drawn.px(v) - x));
		index = far.indexOf(Math.min(...far));
		point(index);
	};
	svg.addEventListener("pointermove", follow);
	svg.addEventListener("pointerdown", follow);
	svg.addEventListener("pointerleave", hide);
	svg.addEventListener("blur", hide);
	svg.addEventListener("keydown", (event) => {
		const last = places.length - 1;
		const moves = { ArrowRight: Math.min(index + 1, last), ArrowLeft: index < 0 ? last : Math.max(index - 1, 0), Home: 0, End: last };
		if (event.key === "Escape") {
			hide();
		} else if (event.key in moves) {
			event.preventDefault();
			index = moves[event.key];
			point(index);
		}
	});
	new ResizeObserver(draw).observe(plot);
	toDraw.push(draw);
	return panel;
}
