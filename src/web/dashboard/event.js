// SPDX-License-Identifier: Apache-2.0
// One event as a row: of a history or of the live tail.
import { el, scroller, time } from "./dom.js";
import { NONE, pretty, whole } from "./format.js";

const SHOWN = 240;
const MOST = 20000;

// Long data stands behind a summary; very long data is cut, and says so.
function payload(value) {
	const text = pretty(value);
	if (text.length <= SHOWN) return el("code", { class: "data", dir: "auto" }, text);
	const all = el("code", { class: "data", dir: "auto" });
	const open = () => {
		if (all.textContent) return;
		const whole = pretty(value, 2);
		all.textContent = whole.length > MOST ? whole.slice(0, MOST) + "\n… " + (whole.length - MOST) + " characters more" : whole;
	};
	return el("details", { ontoggle: open }, el("summary", {}, el("code", { class: "data", dir: "auto" }, text.slice(0, SHOWN - 40) + " …")), all);
}

// An event of a raw namespace may be anything.
export function isEnvelope(event) {
	return typeof event === "object" && event !== null && typeof event.type === "string" && "event" in event;
}

// On a phone a row is two lines: the roles say that it stays one of a table.
export function eventRow(event, offset, withChannel) {
	const plain = !isEnvelope(event);
	return el("tr", { role: "row" },
		el("td", { role: "cell", class: "num" }, plain || event.timestamp == null ? NONE : time(event.timestamp)),
		el("td", { role: "cell", class: "num wide" }, offset == null ? NONE : whole(offset)),
		el("td", { role: "cell" }, withChannel && el("bdi", { class: "name of" }, String(event?.channel ?? NONE)), el("bdi", { class: "name" }, plain ? "(raw)" : String(event.event)),
			!plain && event.encoding === "base64" && el("span", { class: "tag" }, "base64"),
			!plain && event.type !== "event" && event.type !== event.event && el("span", { class: "tag" }, event.type)),
		el("td", { role: "cell" }, payload(plain ? event : event.type === "summary" ? event.counts : event.data)));
}

export function eventTable(caption) {
	const body = el("tbody", { role: "rowgroup" });
	const head = [["Time", "num"], ["Offset", "num wide"], ["Event", null], ["Data", "what"]];
	return {
		body,
		node: scroller(caption, el("table", { class: "events", role: "table" }, el("caption", { class: "unseen" }, caption),
			el("thead", {}, el("tr", {}, head.map(([text, kind]) => el("th", { scope: "col", class: kind }, text)))), body)),
	};
}
