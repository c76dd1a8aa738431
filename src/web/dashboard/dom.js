// SPDX-License-Identifier: Apache-2.0
// Elements. Whatever comes from outside becomes text, never markup: there is no innerHTML in this page.
import { moment, NONE } from "./format.js";

export function byId(id) {
	return document.getElementById(id);
}

// el("a", { class: "x", href: "#", onclick: f }, "text", node). null, undefined and false add nothing.
export function el(tag, props, ...kids) {
	const node = document.createElement(tag);
	for (const name in props) {
		const value = props[name];
		if (value == null || value === false) continue;
		if (typeof value === "function") node.addEventListener(name.slice(2), value);
		else node.setAttribute(name, value === true ? "" : value);
	}
	node.append(...kids.flat().filter((kid) => kid != null && kid !== false));
	return node;
}

// Not touched when it says so already: selections and screen readers are left alone.
export function say(node, text) {
	if (node.textContent !== text) node.textContent = text;
}

export function show(node, on) {
	if (node.hidden === on) node.hidden = !on;
}

// A name from outside: isolated, so that its direction stays its own, and broken where it must be.
export function bidi(text) {
	return el("bdi", { class: "name" }, String(text ?? NONE));
}

export function time(value) {
	const at = moment(value);
	return at ? el("time", { datetime: at.iso, title: at.iso }, at.text) : el("span", {}, NONE);
}

export function definitions() {
	const list = el("dl", { class: "facts" });
	const rows = new Map();
	return {
		node: list,
		// [[term, text or node]]; a term that is missing goes.
		set(pairs) {
			const seen = new Set();
			for (const [term, value] of pairs) {
				seen.add(term);
				let row = rows.get(term);
				if (!row) {
					row = el("dd");
					rows.set(term, row);
					list.append(el("div", {}, el("dt", {}, term), row));
				}
				if (value instanceof Node) {
					if (row.textContent !== value.textContent) row.replaceChildren(value);
				} else {
					say(row, String(value ?? NONE));
				}
			}
			for (const [term, row] of rows) {
				if (seen.has(term)) continue;
				row.parentNode.remove();
				rows.delete(term);
			}
		},
	};
}

// Makes what the element says a link, or no link any more.
function linkTo(node, href) {
	const inside = node.firstElementChild;
	if (!href) {
		if (inside) node.textContent = inside.textContent;
	} else if (!inside) {
		node.replaceChildren(el("a", { href }, node.textContent));
	} else if (inside.getAttribute("href") !== href) {
		inside.setAttribute("href", href);
	}
}

// What can be scrolled must be reached by keys; what can't must not be in their way.
const widths = new ResizeObserver((changes) => {
	for (const { target } of changes) {
		const box = target.closest(".scroll");
		if (!box) continue;
		if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
		else box.removeAttribute("tabindex");
	}
});

// A table in what scrolls it.
export function scroller(label, grid) {
	const node = el("div", { class: "scroll", role: "region", "aria-label": label }, grid);
	widths.observe(node);
	widths.observe(grid);
	return node;
}

// columns: {head, text(item)} or {head, node(item), update(cell, item)}; href(item) makes it a link, unless empty; num, wide (not on a phone), sub (a second reading as title).
// Rows are kept by key, so that focus, selection and open details survive an update.
export function table(caption, columns, keyOf, empty) {
	const body = el("tbody");
	const head = columns.map((c) => el("th", { scope: "col", class: classes(c) }, c.head));
	const grid = el("table", {}, el("caption", { class: "unseen" }, caption), el("thead", {}, el("tr", {}, head)), body);
	const nothing = el("p", { class: "empty", hidden: true }, empty || "Nothing.");
	const node = scroller(caption, grid);
	const rows = new Map();

	function make(item) {
		const cells = columns.map((c, i) => {
			const cell = el(i ? "td" : "th", { scope: i ? null : "row", class: classes(c) });
			if (c.node) cell.append(c.node(item));
			else if (c.href) cell.append(el("bdi", { class: "name" }));
			return cell;
		});
		return { tr: el("tr", {}, cells), cells };
	}

	function fill(row, item) {
		columns.forEach((c, i) => {
			if (!c.text) {
				if (c.update) c.update(row.cells[i], item);
				return;
			}
			const cell = row.cells[i];
			const text = c.href ? cell.firstChild : cell;
			say(text.firstElementChild || text, String(c.text(item) ?? NONE));
			if (c.sub && cell.title !== c.sub(item)) cell.title = c.sub(item) || "";
			if (c.href) linkTo(text, c.href(item));
		});
		row.item = item;
	}

	return {
		node: el("div", {}, node, nothing),
		grid,
		nothing,
		set(items) {
			const focus = body.contains(document.activeElement) ? document.activeElement : null;
			const seen = new Set();
			let next = body.firstChild;
			for (const item of items) {
				const key = keyOf(item);
				if (seen.has(key)) continue;
				seen.add(key);
				let row = rows.get(key);
				if (!row) {
					row = make(item);
					rows.set(key, row);
				}
				fill(row, item);
				if (row.tr === next) next = next.nextSibling;
				else body.insertBefore(row.tr, next);
			}
			for (const [key, row] of rows) {
				if (seen.has(key)) continue;
				row.tr.remove();
				rows.delete(key);
			}
			if (focus && focus !== document.activeElement && focus.isConnected) focus.focus({ preventScroll: true });
			show(node, seen.size > 0);
			show(nothing, seen.size === 0);
		},
	};
}

function classes(column) {
	return [column.num && "num", column.wide && "wide", column.class].filter(Boolean).join(" ") || null;
}

export function card(title, ...kids) {
	return el("section", { class: "card" }, el("h2", {}, title), kids);
}

export function button(text, onclick, kind) {
	return el("button", { type: "button", class: kind, onclick }, text);
}

let fields = 0;

// A label and its control, with words about it that belong to the control for screen readers too.
export function field(label, control, hint) {
	control.id = control.id || "field" + ++fields;
	if (hint) control.setAttribute("aria-describedby", control.id + "-hint");
	return el("div", { class: "field" }, el("label", { for: control.id }, label), control,
		hint && el("p", { class: "hint", id: control.id + "-hint" }, hint));
}
