// SPDX-License-Identifier: Apache-2.0
// Numbers, sizes and times as people read them, in the browser's language. What is no number is a dash.

const WHOLE = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const ONE = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const TWO = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const SHORT = new Intl.NumberFormat(undefined, { notation: "compact", maximumSignificantDigits: 3 });
const PERCENT = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const EXACT = new Intl.DateTimeFormat(undefined, {
	hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23",
});
export const NONE = "–";

export function isNumber(n) {
	return typeof n === "number" && Number.isFinite(n);
}

export function whole(n) {
	return isNumber(n) ? WHOLE.format(n) : NONE;
}

// Small rates have fractions, large ones have none.
export function rate(n) {
	if (!isNumber(n)) return NONE;
	return (n >= 100 || n === 0 ? WHOLE : n >= 10 ? ONE : TWO).format(n);
}

export function short(n) {
	if (!isNumber(n)) return NONE;
	return Math.abs(n) < 10000 ? rate(n) : SHORT.format(n);
}

export function percent(n) {
	return isNumber(n) ? PERCENT.format(n) : NONE;
}

export function bytes(n) {
	if (!isNumber(n)) return NONE;
	let unit = 0;
	while (n >= 1024 && unit < 5) {
		n /= 1024;
		unit++;
	}
	return (unit && n < 100 ? ONE : WHOLE).format(n) + "\u00a0" + ["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit];
}

export function micros(n) {
	if (!isNumber(n)) return NONE;
	if (n < 1000) return rate(n) + "\u00a0µs";
	return n < 1e6 ? short(n / 1000) + "\u00a0ms" : short(n / 1e6) + "\u00a0s";
}

export function millis(n) {
	return isNumber(n) ? micros(n * 1000) : NONE;
}

// The two largest units are enough.
export function span(seconds) {
	if (!isNumber(seconds) || seconds < 0) return NONE;
	const parts = [];
	let left = Math.round(seconds);
	for (const [name, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
		const count = Math.floor(left / size);
		left -= count * size;
		if (count && parts.length < 2) parts.push(WHOLE.format(count) + "\u00a0" + name);
		else if (parts.length) break;
	}
	return parts.join(" ") || "0\u00a0s";
}

export function ago(seconds) {
	return seconds < 1.5 ? "just now" : span(seconds) + " ago";
}

export function clock(at) {
	return isNumber(at) ? CLOCK.format(at) : NONE;
}

// {text, iso} of what the gateway says as a time, whichever way it says it; null when it is none.
export function moment(value) {
	const at = new Date(value ?? NaN);
	if (Number.isNaN(at.getTime())) return null;
	const today = Math.abs(Date.now() - at.getTime()) < 72e6;
	return { text: (today ? "" : DAY.format(at) + " ") + EXACT.format(at), iso: at.toISOString() };
}

export function plural(n, one, many) {
	return whole(n) + " " + (n === 1 ? one : many);
}

// What came, for a person: no member of it is taken for granted.
export function pretty(value, indent) {
	if (typeof value === "string") return value;
	try {
		return JSON.stringify(value, null, indent) ?? String(value);
	} catch {
		return String(value);
	}
}
