// SPDX-License-Identifier: Apache-2.0
// Drawings over time, on canvas. All of a page have one time axis and one cursor (metrics.cursor), set by pointer or by keys. To a screen
// reader each is a slider over time whose value is told in words when somebody asks; the canvas itself says nothing.
import { el } from "./dom.js";
import { ago, clock } from "./format.js";
import { KEPT_MS } from "./metrics.js";

const WINDOWS_MS = [60000, 120000, 300000, KEPT_MS];
const STEPS = 32;
const RAMPS = {
	// They begin with what can be told from the ground: one value in a second is what is looked for.
	light: ["#7fb2c1", "#3e8fa6", "#2f5a8f", "#3a1d5c"],
	dark: ["#2f6b97", "#2b9089", "#8cc75f", "#f8e75c"],
};

let paints = null;

// Colours as the style sheet has them now; forgotten when the theme changes.
export function paint() {
	if (paints) return paints;
	const style = getComputedStyle(document.documentElement);
	const get = (key) => style.getPropertyValue("--" + key).trim();
	paints = { ramp: ramp(RAMPS[get("ramp")] || RAMPS.light) };
	for (const key of ["text", "dim", "line", "s1", "s2", "s3", "fill"]) paints[key] = get(key);
	return paints;
}

export function repaint() {
	paints = null;
}

function ramp(stops) {
	const parts = stops.map((s) => [1, 3, 5].map((at) => parseInt(s.slice(at, at + 2), 16)));
	return Array.from({ length: STEPS }, (_, i) => {
		const at = (i / (STEPS - 1)) * (parts.length - 1);
		const k = Math.min(parts.length - 2, Math.floor(at));
		return "rgb(" + parts[k].map((c, j) => Math.round(c + (parts[k + 1][j] - c) * (at - k))).join(",") + ")";
	});
}

// The next round number, 1, 2 or 5 times a power of ten, or of 1024 with that before it.
export function roundUp(n, binary) {
	if (!(n > 0)) return 1;
	let unit = 1;
	while (binary && n / unit >= 1024) unit *= 1024;
	const power = 10 ** Math.floor(Math.log10(n / unit));
	for (const step of [1, 2, 5, 10]) {
		const round = step * power * unit;
		if (round >= n * 0.9999) return binary && unit === 1 ? Math.max(1, round) : round;
	}
	return n;
}

// The shortest window that shows all there is.
export function windowOf(metrics) {
	const have = metrics.samples.length ? metrics.last.at - metrics.samples[0].at : 0;
	return WINDOWS_MS.find((w) => w >= have) || KEPT_MS;
}

export class Plot {
	left = 0;
	bottom = 0;
	top = 4;
	#canvas = el("canvas", { "aria-hidden": "true" });
	#seen = false;
	#asked = 0;
	#unlisten;
	#watch;
	#size;

	// tell(sample): what it shows there, in words.
	constructor(metrics, label, tell, kind) {
		this.metrics = metrics;
		this.tell = tell;
		this.node = el("div", {
			class: "plot " + kind, tabindex: "0", role: "slider", "aria-label": label + ", over time", "aria-valuemin": "0",
			"aria-valuemax": "600", "aria-valuenow": "0", "aria-valuetext": "now",
			onkeydown: (e) => this.#key(e),
			onfocus: () => this.#words(),
			onblur: () => metrics.point(null),
			onpointermove: (e) => this.#pointer(e),
			onpointerdown: (e) => this.#pointer(e),
			onpointerleave: () => metrics.point(null),
		}, this.#canvas);
		this.#unlisten = metrics.listen(() => this.ask());
		this.#watch = new IntersectionObserver((seen) => {
			this.#seen = seen[seen.length - 1].isIntersecting;
			this.ask();
		});
		this.#watch.observe(this.node);
		this.#size = new ResizeObserver(() => this.ask());
		this.#size.observe(this.node);
	}

	stop() {
		this.#unlisten();
		this.#watch.disconnect();
		this.#size.disconnect();
		cancelAnimationFrame(this.#asked);
	}

	ask() {
		if (!this.#asked && this.#seen) this.#asked = requestAnimationFrame(() => this.#draw());
	}

	get samples() {
		return this.metrics.samples;
	}

	x(at) {
		return this.left + (1 - (this.metrics.last.at - at) / this.span) * (this.width - this.left);
	}

	#draw() {
		this.#asked = 0;
		const box = this.node.getBoundingClientRect();
		const scale = window.devicePixelRatio || 1;
		this.width = Math.round(box.width);
		this.height = Math.round(box.height);
		const [w, h] = [Math.round(this.width * scale), Math.round(this.height * scale)];
		if (this.#canvas.width !== w || this.#canvas.height !== h) {
			this.#canvas.width = w;
			this.#canvas.height = h;
		}
		const ctx = this.#canvas.getContext("2d");
		ctx.setTransform(scale, 0, 0, scale, 0, 0);
		ctx.clearRect(0, 0, this.width, this.height);
		if (!this.metrics.last || !this.width) return;
		this.span = windowOf(this.metrics);
		ctx.font = "11px system-ui, sans-serif";
		this.draw(ctx);
		const cursor = this.metrics.cursor;
		if (cursor === null) return;
		const x = Math.round(this.x(cursor)) + 0.5;
		ctx.strokeStyle = paint().text;
		ctx.lineWidth = 1;
		ctx.setLineDash([]);
		ctx.beginPath();
		ctx.moveTo(x, 0);
		ctx.lineTo(x, this.height - this.bottom);
		ctx.stroke();
	}

	// Times below, where there is room for them.
	timeAxis(ctx) {
		const y = this.height - 3;
		const minutes = this.span / 60000;
		const every = minutes > 5 ? 2 : minutes > 2 ? 1 : minutes > 1 ? 0.5 : 0.25;
		ctx.fillStyle = paint().dim;
		for (let m = 0; m <= minutes; m += every) {
			const x = this.x(this.metrics.last.at - m * 60000);
			ctx.textAlign = m === 0 ? "right" : m >= minutes ? "left" : "center";
			ctx.fillText(m === 0 ? "now" : every < 1 && m < 1 ? "−" + m * 60 + " s" : "−" + m + " min", x, y);
		}
	}

	#pointer(e) {
		const box = this.node.getBoundingClientRect();
		if (!this.metrics.last || box.width <= this.left) return;
		const part = Math.min(1, Math.max(0, (e.clientX - box.left - this.left) / (box.width - this.left)));
		this.#go(this.metrics.last.at - (1 - part) * windowOf(this.metrics));
	}

	#key(e) {
		const last = this.metrics.last;
		if (!last) return;
		const span = windowOf(this.metrics);
		const at = this.metrics.cursor ?? last.at;
		const to = {
			ArrowLeft: at - 1000, ArrowDown: at - 1000, ArrowRight: at + 1000, ArrowUp: at + 1000, PageDown: at - span / 10,
			PageUp: at + span / 10, Home: last.at - span, End: last.at,
		}[e.key];
		if (e.key === "Escape") this.metrics.point(null);
		else if (to === undefined) return;
		else this.#go(Math.min(last.at, Math.max(last.at - span, to)));
		e.preventDefault();
		this.#words();
	}

	// To the sample that is next; where there is none, the hole is what there is to tell.
	#go(at) {
		this.metrics.point(this.metrics.near(at)?.at ?? Math.round(at));
	}

	#words() {
		const { last, cursor, shown } = this.metrics;
		const at = cursor ?? last?.at;
		const past = last ? (last.at - at) / 1000 : 0;
		const words = shown ? this.tell(shown) : "nothing is known of this time";
		this.node.setAttribute("aria-valuenow", String(Math.round(600 - past)));
		this.node.setAttribute("aria-valuetext", last ? clock(at) + ", " + ago(past) + ": " + words : "no figures yet");
	}
}

// series: [{get(sample), colour: "s1", dash: [], label}]. unit(n): a value as text. options: log: () => [low, high] or null; binary; axes.
export class Lines extends Plot {
	#series;
	#unit;
	#options;
	scale = 1;

	constructor(metrics, label, series, unit, options = {}) {
		super(metrics, label, (s) => series.map((one) => (one.label ? one.label + " " : "") + unit(one.get(s))).join(", "),
			options.axes ? "tall" : "spark");
		this.#series = series;
		this.#unit = unit;
		this.#options = options;
		if (options.axes) {
			this.left = 52;
			this.bottom = 16;
		}
	}

	draw(ctx) {
		const from = this.metrics.last.at - this.span;
		const samples = this.samples.filter((s) => s.at >= from - 1000);
		const log = this.#options.log?.();
		let max = 0;
		for (const one of this.#series) for (const s of samples) max = Math.max(max, one.get(s) ?? 0);
		this.scale = this.#options.limit?.() || roundUp(max, this.#options.binary);
		const bottom = this.height - this.bottom - 1;
		const high = bottom - this.top;
		const y = log
			? (v) => bottom - (Math.log(Math.max(v, log[0]) / log[0]) / Math.log(log[1] / log[0])) * high
			: (v) => bottom - (v / this.scale) * high;
		const colours = paint();
		if (this.#options.axes) {
			this.#grid(ctx, y, log, colours);
			this.timeAxis(ctx);
		} else {
			ctx.fillStyle = colours.line;
			ctx.fillRect(0, bottom, this.width, 1);
		}
		for (const one of this.#series) this.#line(ctx, one, samples, y, bottom, colours);
		const shown = this.metrics.cursor === null ? null : this.metrics.shown;
		if (!shown) return;
		for (const one of this.#series) {
			const value = one.get(shown);
			if (value === null) continue;
			ctx.fillStyle = colours[one.colour];
			ctx.beginPath();
			ctx.arc(this.x(shown.at), y(value), 3, 0, 7);
			ctx.fill();
		}
	}

	#line(ctx, one, samples, y, bottom, colours) {
		ctx.strokeStyle = colours[one.colour];
		ctx.lineWidth = 1.5;
		ctx.lineJoin = "round";
		ctx.setLineDash(one.dash || []);
		const runs = [];
		let run = null;
		for (const s of samples) {
			const value = one.get(s);
			if (s.hole || value === null) run = null;
			if (value === null) continue;
			if (!run) runs.push((run = []));
			run.push([this.x(s.at), y(value)]);
		}
		for (const points of runs) {
			ctx.beginPath();
			ctx.moveTo(...points[0]);
			for (const p of points) ctx.lineTo(...p);
			// What stands alone is seen as a point.
			if (points.length === 1) ctx.lineTo(points[0][0] + 1.5, points[0][1]);
			ctx.stroke();
			if (this.#options.axes) continue;
			ctx.lineTo(points[points.length - 1][0], bottom);
			ctx.lineTo(points[0][0], bottom);
			ctx.fillStyle = colours.fill;
			ctx.fill();
		}
		ctx.setLineDash([]);
	}

	#grid(ctx, y, log, colours) {
		const ticks = log ? logTicks(log) : [0, this.scale / 2, this.scale];
		ctx.textAlign = "right";
		for (const tick of ticks) {
			const at = Math.round(y(tick));
			ctx.fillStyle = colours.line;
			ctx.fillRect(this.left, at, this.width - this.left, 1);
			ctx.fillStyle = colours.dim;
			ctx.fillText(this.#unit(tick), this.left - 6, Math.max(9, at + 4));
		}
	}
}

// At most five of 1, 10, 100 … between two values, or of 1, 2, 5 … where that would be too few.
function logTicks([low, high]) {
	for (const steps of [[1], [1, 3], [1, 2, 5]]) {
		const ticks = [];
		for (let p = 10 ** Math.floor(Math.log10(low)); p <= high; p *= 10) {
			for (const s of steps) if (p * s >= low * 0.999 && p * s <= high * 1.001) ticks.push(p * s);
		}
		if (ticks.length >= 3 || steps.length === 3) return ticks.slice(0, 7);
	}
	return [];
}

// The latencies that are worth showing: from the lowest bucket that has something in the window to the highest, in µs. null: none has.
export function latencyRange(metrics) {
	const bounds = metrics.last?.bounds || [];
	if (bounds.length < 2) return null;
	const from = metrics.last.at - windowOf(metrics);
	let low = bounds.length;
	let high = -1;
	for (const s of metrics.samples) {
		if (s.at < from || !s.buckets || !s.values) continue;
		for (let i = 0; i < s.buckets.length; i++) {
			if (!s.buckets[i]) continue;
			low = Math.min(low, i);
			high = Math.max(high, i);
		}
	}
	if (high < 0) return null;
	const below = (i) => (i > 0 ? bounds[i - 1] : (bounds[0] * bounds[0]) / bounds[1]);
	const top = (i) => (i < bounds.length ? bounds[i] : bounds[bounds.length - 1] * 2);
	// A decade at least, so that little noise does not look like mountains.
	let range = [below(low), top(high)];
	while (range[1] / range[0] < 10) {
		if (low > 0) low--;
		high++;
		range = [below(low), low > 0 || high < bounds.length ? top(high) : range[0] * 10];
		if (high > bounds.length) break;
	}
	return range[0] > 0 ? range : [bounds[0] / 10, range[1]];
}

// Time to the right, latency upwards, darker (or brighter) where more values were.
export class Heat extends Plot {
	left = 52;
	bottom = 16;
	most = 0;
	#unit;

	constructor(metrics, label, tell, unit) {
		super(metrics, label, tell, "heat");
		this.#unit = unit;
	}

	draw(ctx) {
		const { metrics } = this;
		const range = latencyRange(metrics);
		const colours = paint();
		if (!range) {
			ctx.fillStyle = colours.dim;
			ctx.textAlign = "center";
			ctx.fillText("Nothing was published in this time.", (this.width + this.left) / 2, this.height / 2);
			this.timeAxis(ctx);
			return;
		}
		const bounds = metrics.last.bounds;
		const bottom = this.height - this.bottom - 1;
		const [low, high] = range.map(Math.log);
		const y = (v) => bottom - ((Math.log(v) - low) / (high - low)) * (bottom - this.top);
		const from = metrics.last.at - this.span;
		// Columns of three pixels at least: more of them than there is room for would only cost.
		const step = Math.max(1000, Math.ceil((this.span / Math.max(1, (this.width - this.left) / 3)) / 1000) * 1000);
		const columns = new Map();
		this.most = 0;
		for (const s of this.samples) {
			if (!s.buckets || s.at < from) continue;
			const column = Math.floor(s.at / step);
			let sums = columns.get(column);
			if (!sums) columns.set(column, (sums = new Array(bounds.length + 1).fill(0)));
			s.buckets.forEach((n, i) => {
				if (i < sums.length) sums[i] += n;
			});
		}
		for (const sums of columns.values()) this.most = Math.max(this.most, ...sums);
		const most = Math.log1p(this.most);
		const rows = bounds.map((b, i) => [y(i ? Math.max(bounds[i - 1], range[0]) : range[0]), y(Math.min(b, range[1]))]);
		rows.push([y(Math.min(bounds[bounds.length - 1], range[1])), y(range[1])]);
		for (const [column, sums] of columns) {
			const x = Math.max(this.left, Math.floor(this.x(column * step)));
			const width = Math.min(this.width, Math.ceil(this.x((column + 1) * step))) - x;
			sums.forEach((n, i) => {
				if (!n || rows[i][0] <= this.top) return;
				ctx.fillStyle = colours.ramp[Math.min(STEPS - 1, Math.floor((Math.log1p(n) / most) * STEPS))];
				ctx.fillRect(x, Math.floor(rows[i][1]), width, Math.max(1, Math.ceil(rows[i][0]) - Math.floor(rows[i][1])));
			});
		}
		ctx.textAlign = "right";
		ctx.fillStyle = colours.dim;
		for (const tick of logTicks(range)) ctx.fillText(this.#unit(tick), this.left - 6, Math.max(9, Math.round(y(tick)) + 4));
		this.timeAxis(ctx);
	}
}

// The colours of the heat map from few to many.
export function rampKey() {
	const canvas = el("canvas", { class: "ramp", width: STEPS, height: "1", "aria-hidden": "true" });
	const draw = () => {
		const ctx = canvas.getContext("2d");
		paint().ramp.forEach((colour, i) => {
			ctx.fillStyle = colour;
			ctx.fillRect(i, 0, 1, 1);
		});
	};
	return { node: canvas, draw };
}
