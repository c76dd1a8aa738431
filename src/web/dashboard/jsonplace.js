// SPDX-License-Identifier: Apache-2.0
// Where JSON goes wrong. JSON.parse says that it does, and where only in some browsers and in words of its own.

// {at, line, column, message} of the first thing that can't be, or null where the text is JSON.
export function jsonFault(text) {
	try {
		JSON.parse(text);
		return null;
	} catch {
		// Where, is what follows.
	}
	const found = new JsonReader(text).fault();
	const before = text.slice(0, found.at).split("\n");
	return { ...found, line: before.length, column: before[before.length - 1].length + 1 };
}

const TOKEN = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;
const BLANK = /[ \t\r\n]*/y;

class JsonReader {
	#text;
	#at = 0;

	constructor(text) {
		this.#text = text;
	}

	fault() {
		try {
			this.#value(0);
			this.#blank();
			if (this.#at < this.#text.length) this.#fail("nothing more may follow");
			return { at: this.#at, message: "this is not JSON" };
		} catch (e) {
			if (typeof e.at !== "number") throw e;
			return e;
		}
	}

	#fail(message) {
		throw { at: this.#at, message: this.#at >= this.#text.length ? "it ends too early, " + message : message };
	}

	#match(pattern) {
		pattern.lastIndex = this.#at;
		const found = pattern.exec(this.#text);
		if (found) this.#at += found[0].length;
		return found !== null && found[0] !== "";
	}

	#blank() {
		this.#match(BLANK);
	}

	#next(char) {
		this.#blank();
		if (this.#text[this.#at] !== char) return false;
		this.#at++;
		return true;
	}

	#string() {
		this.#blank();
		if (this.#text[this.#at] !== "\"") this.#fail("a name in double quotes is missing");
		this.#match(STRING);
		if (this.#text[this.#at] !== "\"") this.#fail(this.#text[this.#at] === "\\" ? "there is no such escape" : "the string is not closed");
		this.#at++;
	}

	#value(depth) {
		this.#blank();
		if (depth > 1000) this.#fail("it nests too deep");
		if (this.#text[this.#at] === "\"") return this.#string();
		if (this.#next("{")) {
			if (this.#next("}")) return;
			do {
				this.#string();
				if (!this.#next(":")) this.#fail("a colon is missing");
				this.#value(depth + 1);
			} while (this.#next(","));
			if (!this.#next("}")) this.#fail("a comma or } is missing");
		} else if (this.#next("[")) {
			if (this.#next("]")) return;
			do {
				this.#value(depth + 1);
			} while (this.#next(","));
			if (!this.#next("]")) this.#fail("a comma or ] is missing");
		} else if (!this.#match(TOKEN)) {
			this.#fail("a value is missing or wrong");
		}
	}
}
