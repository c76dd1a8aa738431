// SPDX-License-Identifier: Apache-2.0
// What the snapshots of $sys:metrics become: ten minutes of figures, a sample for each. A sample that follows a hole (reconnect, restart,
// clock put back, snapshots missed) has gauges but no rates, and `hole` is true: lines do not cross it.
import { isNumber } from "./format.js";
import { GAUGES } from "./words.js";

export const KEPT_MS = 600000;
// Snapshots come once a second; one that is as late as this leaves a hole.
const LATE_MS = 3500;
// And with one as late as this nobody knows how it is now.
export const STALE_MS = 5000;
const RATE_MS = 10000;

function isObject(value) {
	return typeof value === "object" && value !== null;
}

function numbersOf(value) {
	return Array.isArray(value) ? value.map((n) => (isNumber(n) && n >= 0 ? n : 0)) : [];
}

// Only what has the form of the contract comes through: the rest of the page may rely on it. null: that was none.
function readSnapshot(data) {
	if (!isObject(data) || !isNumber(data.at) || !isObject(data.counters)) return null;
	const counters = {};
	for (const key in data.counters) {
		if (isNumber(data.counters[key])) counters[key] = data.counters[key];
	}
	const shards = Array.isArray(data.perShard) ? data.perShard.filter(isObject) : [];
	const latency = isObject(data.latency) ? data.latency : {};
	const memory = Array.isArray(data.memory) ? data.memory.filter((row) => isObject(row) && isNumber(row.bytes)) : [];
	return {
		at: data.at,
		uptime: isNumber(data.uptime) ? data.uptime : 0,
		version: String(data.version ?? ""),
		counters,
		shards,
		bounds: numbersOf(latency.bounds),
		sent: numbersOf(latency.publishToSocket),
		memory,
	};
}

// The value below which so many of the counted lie; in a bucket they are taken to lie evenly. null: nothing was counted.
export function quantile(bounds, counts, q) {
	let total = 0;
	for (const n of counts) total += n;
	if (!total) return null;
	let left = total * q;
	for (let i = 0; i < counts.length; i++) {
		if (left <= counts[i] && counts[i]) {
			const low = i ? bounds[i - 1] : 0;
			return i < bounds.length ? low + ((bounds[i] - low) * left) / counts[i] : low;
		}
		left -= counts[i];
	}
	return bounds[bounds.length - 1] ?? null;
}

export class Metrics {
	samples = [];
	last = null;
	// The time that charts and tiles show instead of now; null: now.
	cursor = null;
	#recent = [];
	#marks = [];
	#broken = true;
	#silence = false;
	#listeners = new Set();
	// Of the performance clock: when the last snapshot came.
	came = 0;

	listen(listener) {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}

	#tell() {
		for (const listener of this.#listeners) listener();
	}

	point(at) {
		if (at === this.cursor) return;
		this.cursor = at;
		this.#tell();
	}

	// The connection is lost: what comes next does not continue what was.
	cut() {
		this.#broken = true;
		this.look();
	}

	// What was told last is not how it is now.
	get silent() {
		return this.last !== null && (this.#broken || performance.now() - this.came > STALE_MS);
	}

	// To be called now and then: nothing that comes says that nothing comes.
	look() {
		if (this.silent === this.#silence) return;
		this.#silence = this.silent;
		this.#tell();
	}

	// False: that was no snapshot.
	take(data) {
		const now = readSnapshot(data);
		if (!now) return false;
		const before = this.last;
		const past = before ? now.at - before.at : 0;
		const restarted = before && (now.uptime + 1 < before.uptime || shrunk(before.counters, now.counters));
		const hole = !before || this.#broken || restarted || past <= 0 || past > LATE_MS;
		if (past <= 0) this.samples = this.samples.filter((s) => s.at < now.at);
		if (hole) this.#recent = [];
		if (restarted || past < 0) this.#marks = [];
		this.#broken = false;
		this.last = now;
		this.came = performance.now();
		this.#silence = false;
		this.samples.push(sample(now, hole ? null : before, past));
		const first = this.samples.findIndex((s) => s.at > now.at - KEPT_MS);
		if (first > 0) this.samples.splice(0, first);
		this.#recent.push(now);
		while (this.#recent[0].at < now.at - RATE_MS) this.#recent.shift();
		// One snapshot of ten seconds is kept whole, for what is asked of the last ten minutes.
		const mark = this.#marks[this.#marks.length - 1];
		if (!mark || now.at - mark.at >= RATE_MS) this.#marks.push(now);
		while (this.#marks[0].at < now.at - KEPT_MS) this.#marks.shift();
		this.#tell();
		return true;
	}

	counter(key) {
		return this.last?.counters[key] ?? 0;
	}

	// A second, over the last ten. null: not known, or a gauge.
	rateOf(key) {
		const from = this.#recent[0];
		if (!this.last || GAUGES.has(key) || from === this.last) return null;
		return Math.max(0, this.counter(key) - (from.counters[key] ?? 0)) / ((this.last.at - from.at) / 1000);
	}

	// By how much it grew in the ten minutes, or since the page or the gateway began.
	grown(key) {
		const from = this.#marks[0];
		return from ? Math.max(0, this.counter(key) - (from.counters[key] ?? 0)) : 0;
	}

	// What `grown` looks back over, in seconds.
	get reach() {
		return this.last && this.#marks.length ? (this.last.at - this.#marks[0].at) / 1000 : 0;
	}

	// The sample at the cursor, else the newest one; null where the cursor stands in a hole.
	get shown() {
		if (this.cursor === null) return this.samples[this.samples.length - 1] ?? null;
		return this.near(this.cursor);
	}

	near(at) {
		let best = null;
		for (const s of this.samples) {
			if (!best || Math.abs(s.at - at) < Math.abs(best.at - at)) best = s;
		}
		return best && Math.abs(best.at - at) <= LATE_MS / 2 ? best : null;
	}
}

// A gateway that began anew counts from zero; uptimes of whole seconds alone would not show a quick one.
function shrunk(before, now) {
	return ["turns", "accepts", "clients_opened", "deliveries"].some((key) => (now[key] ?? 0) < (before[key] ?? 0));
}

function sample(now, before, past) {
	const seconds = past / 1000;
	const c = now.counters;
	const per = (key) => (before ? Math.max(0, (c[key] ?? 0) - (before.counters[key] ?? 0)) / seconds : null);
	const out = {
		at: now.at,
		hole: !before,
		clients: c.clients ?? 0,
		sse: c.clients_sse ?? 0,
		deliveries: per("deliveries"),
		// Snapshots, and what else the gateway tells of itself, nobody has published.
		events: before ? Math.max(0, per("events_published") - per("sys_events")) : null,
		sent: per("send_bytes"),
		received: per("recv_bytes"),
		opened: per("clients_opened"),
		closed: per("clients_closed"),
		behind: c.clients_behind ?? 0,
		lag: c.lag_max_bytes ?? 0,
		memory: c.arena_used_bytes ?? 0,
		buckets: null,
		values: 0,
		p50: null,
		p90: null,
		p99: null,
		loads: now.shards.map((shard, i) => {
			const was = before?.shards[i];
			return was && isNumber(shard.busy_ns) && isNumber(was.busy_ns)
				? Math.min(1, Math.max(0, (shard.busy_ns - was.busy_ns) / 1e6 / past)) : null;
		}),
		shardDeliveries: now.shards.map((shard, i) => {
			const was = before?.shards[i];
			return was && isNumber(shard.deliveries) && isNumber(was.deliveries) ? Math.max(0, shard.deliveries - was.deliveries) / seconds : null;
		}),
	};
	if (before && now.sent.length === before.sent.length && now.bounds.length) {
		out.buckets = now.sent.map((n, i) => Math.max(0, n - before.sent[i]));
		for (const n of out.buckets) out.values += n;
		out.p50 = quantile(now.bounds, out.buckets, 0.5);
		out.p90 = quantile(now.bounds, out.buckets, 0.9);
		out.p99 = quantile(now.bounds, out.buckets, 0.99);
	}
	return out;
}
