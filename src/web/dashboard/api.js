// SPDX-License-Identifier: Apache-2.0
// The HTTP API, asked by the view that is open and only while somebody can see it.
import { byId } from "./dom.js";

// Said to the document when the gateway is there again: who waits after errors need not wait on.
export const AGAIN = "ringcast-again";

export class ApiError extends Error {
	constructor(status, code, message) {
		super(message);
		this.status = status;
		this.code = code;
	}
}

export class Api {
	token = "";
	// Called with the ApiError of whatever says that the token is missing or wrong.
	onrefused = null;
	#base;

	constructor(base) {
		this.#base = base;
	}

	// The JSON of the answer, or text where it is none. Throws ApiError; status 0: there was no answer.
	async ask(path, options = {}) {
		const headers = { ...options.headers };
		if (this.token) headers.Authorization = "Bearer " + this.token;
		let answer;
		let text;
		try {
			answer = await fetch(new URL(path, this.#base), { ...options, headers, cache: "no-store", signal: AbortSignal.timeout(15000) });
			text = await answer.text();
		} catch {
			throw new ApiError(0, "no_answer", "The gateway does not answer.");
		}
		let data = text;
		try {
			data = JSON.parse(text);
		} catch {
			// A line of text: it is its own message.
		}
		if (answer.ok) return data;
		const said = data?.error;
		// A page of markup is that of a proxy, and not for reading here.
		const line = /html/.test(answer.headers.get("content-type")) ? "" : text.trim().slice(0, 300);
		const error = new ApiError(answer.status, String(said?.code ?? ""), String(said?.message ?? (line || "HTTP " + answer.status)));
		if (said?.field) error.message += " (" + said.field + ")";
		// Who may look but not do is told so where he tried.
		if ((answer.status === 401 || (answer.status === 403 && !options.method)) && this.onrefused) this.onrefused(error);
		throw error;
	}

	post(path, body) {
		return this.ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body });
	}
}

// A gateway's error as a sentence with its code.
export function words(error) {
	return error instanceof ApiError && error.code && error.status ? error.message + " (" + error.code + ")" : error?.message || String(error);
}

// A 503 of a proxy, or of a gateway that has too much to do, is none that says goodbye.
export function saysGoodbye(error) {
	return error.status === 503 && (error.code === "shutting_down" || error.message === "the gateway stops");
}

// Asks again and again: every so many milliseconds after an answer, not while the page is hidden, less often after errors.
export class Poll {
	#work;
	#timer = 0;
	#running = false;
	#again = false;
	#failures = 0;
	#over = false;
	#seen = () => {
		this.#failures = 0;
		this.now();
	};

	constructor(every, work) {
		this.#work = work;
		this.every = every;
		document.addEventListener("visibilitychange", this.#seen);
		document.addEventListener(AGAIN, this.#seen);
		this.now();
	}

	async now() {
		clearTimeout(this.#timer);
		// While a token is asked for each question would be one more failure.
		if (this.#over || document.hidden || byId("views").hidden) return;
		if (this.#running) {
			this.#again = true;
			return;
		}
		this.#running = true;
		try {
			await this.#work();
			this.#failures = 0;
		} catch {
			this.#failures = Math.min(this.#failures + 1, 4);
		}
		this.#running = false;
		if (this.#over) return;
		if (this.#again) {
			this.#again = false;
			this.now();
		} else {
			this.#timer = setTimeout(() => this.now(), this.every * 2 ** this.#failures);
		}
	}

	stop() {
		this.#over = true;
		clearTimeout(this.#timer);
		document.removeEventListener("visibilitychange", this.#seen);
		document.removeEventListener(AGAIN, this.#seen);
	}
}
