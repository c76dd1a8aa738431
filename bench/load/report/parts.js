// SPDX-License-Identifier: Apache-2.0
//
// What both pages are made of: head, verdict, cards, tables. And where it begins.

function heading(kind, title, ...lead) {
	document.title = title;
	return make("header", {}, make("p", { class: "kind" }, kind), make("h1", {}, title), make("p", { class: "lead" }, ...lead));
}

function section(title, ...children) {
	return make("section", {}, make("h2", {}, title), ...children);
}

// A large figure. reason: why there is none, shown in place of `more`.
function card(data, { name, path, unit, more, reason }) {
	const v = at(data, path);
	const value = make("div", { class: "value number", "data-key": path, "data-value": isNumber(v) ? v : "",
		title: isNumber(v) ? `${v}` : reason });
	if (isNumber(v)) {
		const [number, name_] = UNITS[unit](v);
		value.append(number, make("small", {}, name_));
	} else {
		value.append(DASH);
	}
	return make("div", { class: "card" }, make("div", { class: "name" }, name), value,
		make("div", { class: "more" }, isNumber(v) ? more : reason));
}

// In rows that come out even where that is possible.
function cardGrid(cards) {
	const across = [6, 5, 4, 3].find((n) => cards.length % n === 0 || n >= cards.length) || 4;
	return make("div", { class: "cards", style: `--across:${Math.max(2, Math.min(across, cards.length))}` }, cards);
}

function verdict(kind, key, word, text, notes) {
	return make("div", { class: `verdict ${kind}`, role: "status" }, mark(kind), make("div", {},
		make("p", {}, make("strong", { "data-key": key, "data-value": word }, word), text ? ": " + text : ""),
		notes.length ? make("ul", {}, notes.map((n) => make("li", {}, n))) : null));
}

// What may be wider than the page moves inside its own frame; the keyboard can move it too.
function scroll(name, child) {
	return make("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": name }, child);
}

// columns: [{name, number}], rows: lists of cells (texts or elements); the first cell heads its row.
function table(name, columns, rows) {
	return scroll(name, make("table", {},
		make("thead", {}, make("tr", {}, columns.map((c) => make("th", { scope: "col", class: c.number ? "number" : undefined }, c.name)))),
		make("tbody", {}, rows.map((cells) => make("tr", {}, cells.map((cell, i) => i === 0
			? make("th", { scope: "row" }, cell)
			: cell instanceof Element && cell.tagName === "TD" ? cell
				: make("td", { class: columns[i].number ? "number" : undefined }, cell)))))));
}

function pairs(name, rows) {
	return scroll(name, make("table", { class: "pairs" }, make("tbody", {}, rows.map(([key, value]) =>
		make("tr", {}, make("th", { scope: "row" }, key), make("td", {}, value))))));
}

function panel(...children) {
	return make("div", { class: "panel alone" }, ...children);
}

function more(title, child) {
	return make("details", {}, make("summary", {}, title), child);
}

// "in_flight" → "in flight"
const words = (key) => key.replaceAll("_", " ");

function plainly(v) {
	if (v === null || v === undefined || v === "")
		return DASH;
	if (typeof v === "number")
		return show("count", v);
	if (typeof v === "boolean")
		return v ? "yes" : "no";
	return typeof v === "object" ? JSON.stringify(v) : v;
}

// Everything of the data is shown or named as missing; when drawing fails all the same, the page says so itself.
function begin() {
	const page = document.getElementById("page");
	try {
		const data = JSON.parse(document.getElementById("data").textContent);
		page.replaceChildren(...(data.ringcast_compare ? comparePage(data) : runPage(data)));
		toDraw.forEach((draw) => draw());
		document.documentElement.dataset.drawn = data.ringcast_compare ? "compare" : "run";
	} catch (error) {
		page.replaceChildren(make("div", { class: "verdict bad", role: "alert" }, mark("bad"), make("p", {},
			make("strong", {}, "This result could not be drawn"), ": " + error.message
			+ ". Was it written by a newer ringcast-load? Its JSON stands in the source of this page.")));
		console.error(error);
	}
}
