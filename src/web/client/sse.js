// SPDX-License-Identifier: Apache-2.0
// Where WebSocket is blocked: the messages of the protocol over event streams and HTTP. The client says the same as on a WebSocket, and hears the
// same; what can't be had this way is answered by an error `unsupported`.

export class Streams {
	#base;
	#query;
	#fetch;
	#token;
	#hear;
	#gone;
	/** The first is shared by all that has no place of its own in the past, or the same. Each: names, since where, and what waits for its begin. */
	#streams = [];
	#control = new AbortController();

	constructor(base, query, fetch, token, hear, gone) {
		this.#base = base;
		this.#query = query;
		this.#fetch = fetch;
		this.#token = token;
		this.#hear = hear;
		this.#gone = gone;
	}

	close() {
		this.#control.abort();
		for (const stream of this.#streams) stream.control?.abort();
	}

	send(text) {
		const { type, id, channel, event, data, channels, since, ...rest } = JSON.parse(text);
		const path = `/api/channels/${encodeURIComponent(channel)}/`;
		if (type == "ping") this.#call(id, "/healthz", "pong");
		else if (type == "subscribe" && !rest.filter && !rest.rate && !rest.window && !rest.ack) this.#subscribe(id, channels, since);
		else if (type == "unsubscribe") this.#leave(channels);
		else if (type == "publish") this.#call(id, "/api/publish", "ack", { method: "POST", body: JSON.stringify({ channel, event, data }), headers: { "Idempotency-Key": id } });
		else if (type == "presence") this.#call(id, path + type, type);
		else if (type == "history") this.#call(id, `${path}history?${new URLSearchParams(JSON.parse(JSON.stringify({ since, ...rest })))}`, type);
		else if (type != "auth") this.#refuse(id, "unsupported", "not without WebSocket");
	}

	#refuse(id, code, message, more) {
		this.#hear({ temporary: false, ...more, type: "error", id, code, message });
	}

	#get(path, { headers, ...init } = {}) {
		const bearer = this.#token && { Authorization: "Bearer " + this.#token };
		return (0, this.#fetch)(this.#base + path, { signal: this.#control.signal, ...init, headers: { ...bearer, ...headers } });
	}

	/** A request and its answer, as if it had been said on a WebSocket. */
	async #call(id, path, type, init) {
		try {
			const answer = await this.#get(path, init);
			const data = type == "pong" ? {} : await answer.json();
			if (answer.ok) return this.#hear({ ...data, type, id });
			const { code = "unknown", message, field } = data.error || {};
			this.#refuse(id, code, message, { field, temporary: answer.status == 409 || answer.status == 429 || answer.status > 499 });
		} catch (cause) {
			// What does not even answer a ping is gone; that is noticed by its time.
			if (type != "pong" && !this.#control.signal.aborted) this.#refuse(id, "unknown", cause.message, { temporary: true });
		}
	}

	// ---- streams

	#subscribe(id, channels, since) {
		const streams = this.#streams;
		const touched = new Map();
		for (const name of channels) {
			const at = since[name];
			let stream = at === undefined ? streams[0] : streams.find((stream) => stream.since === at);
			let cut;
			if (!stream) {
				cut = streams.length > 3;
				stream = cut ? streams[0] : { names: new Set(), since: at, waits: [] };
				if (!cut) streams.push(stream);
			}
			stream.names.add(name);
			if (!touched.has(stream)) stream.waits.push(touched.set(stream, { id, channels: [], given: at, cut: [] }).get(stream));
			touched.get(stream).channels.push(name);
			if (cut) touched.get(stream).cut.push(name);
		}
		for (const stream of touched.keys()) this.#soon(stream);
	}

	#leave(channels) {
		for (const stream of [...this.#streams]) {
			const before = stream.names.size;
			for (const name of channels) stream.names.delete(name);
			if (stream.names.size < before) this.#soon(stream);
		}
	}

	/** Once for all that changes in one moment. */
	#soon(stream) {
		if (!stream.soon) queueMicrotask(() => this.#open(stream));
		stream.soon = true;
	}

	async #open(stream) {
		const control = new AbortController();
		const query = new URLSearchParams(this.#query);
		const lost = (code, reason) => {
			clearTimeout(stream.timer);
			if (control.signal.aborted) return;
			// What they share they have all come to.
			for (const { names, begun, since } of this.#streams)
				if (begun) this.#hear({ type: "positions", positions: Object.fromEntries([...names].map((name) => [name, since])) });
			this.#gone(code, reason);
		};
		// A heartbeat comes every 30 seconds, unless the operator said otherwise.
		const alive = () => {
			clearTimeout(stream.timer);
			stream.timer = setTimeout(() => lost(4201, "nothing comes any more"), 65000);
		};
		stream.soon = false;
		stream.control?.abort();
		clearTimeout(stream.timer);
		stream.control = control;
		control.signal.onabort = () => clearTimeout(stream.timer);
		if (!stream.names.size) {
			this.#streams = this.#streams.filter((other) => other != stream);
			return;
		}
		for (const name of stream.names) query.append("channel", name);
		if (stream.since !== undefined) query.set(stream.begun ? "lastEventId" : "since", stream.since);
		alive();
		try {
			const answer = await this.#get("/events?" + query, { signal: control.signal, headers: { Accept: "text/event-stream" } });
			const { status } = answer;
			if (status != 200 || !/^text\/event-stream/.test(answer.headers.get("content-type"))) {
				const text = await answer.text();
				if (control.signal.aborted) return;
				const wait = stream.waits.splice(0);
				if (status == 401) return lost(4001, text);
				if (!wait.length || status > 428 || status == 200) return lost(1013, text.slice(0, 99));
				const [, code = "unsupported", why] = /^(\w+): ([^]*)/.exec(text) || [];
				for (const { id, channels } of wait) {
					for (const name of channels) stream.names.delete(name);
					this.#refuse(id, code, why || `status ${status}`);
				}
				return this.#soon(stream);
			}
			const reader = answer.body.getReader();
			const decoder = new TextDecoder();
			const block = { data: [] };
			let rest = "";
			for (;;) {
				const { value, done } = await reader.read();
				if (control.signal.aborted) return;
				if (done) return lost(1006, "the stream ended");
				alive();
				// A CR at the end may be half of a line end.
				const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?=[^])/);
				rest = lines.pop();
				if (rest.length > 1e7) throw new TypeError("a line without an end");
				for (const line of lines) {
					if (line) {
						const [, field, text] = /^([^:]*):? ?([^]*)$/.exec(line);
						if (field == "data") block.data.push(text);
						else if (field == "id") block.id = text;
					} else this.#block(stream, block);
					if (control.signal.aborted) return;
				}
			}
		} catch (cause) {
			lost(1006, cause.message);
		}
	}

	#block(stream, block) {
		const { data, id } = block;
		const message = data.length ? JSON.parse(data.join("\n")) : {};
		const gap = message.type == "gap" && message;
		block.data = [];
		block.id = undefined;
		// The first block has no id where a gap follows, which has it.
		if (id === undefined && !gap) return;
		if (id !== undefined) stream.since = id;
		const fresh = new Set();
		for (const { id: ask, channels, given, cut } of stream.waits.splice(0)) {
			const recovered = {};
			const reasons = {};
			const positions = {};
			for (const name of channels) {
				fresh.add(name);
				positions[name] = stream.since;
				if (given === undefined) continue;
				recovered[name] = !gap && !cut.includes(name);
				if (!recovered[name]) reasons[name] = gap ? gap.reason : "transport";
			}
			this.#hear({ type: "subscription-ack", id: ask, data: { channels, positions, recovered, reasons } });
		}
		stream.begun = true;
		if (gap) {
			for (const channel of gap.channel ? [gap.channel] : stream.names) if (!fresh.has(channel)) this.#hear({ ...gap, channel, position: stream.since });
		} else if (message.type) this.#hear({ position: stream.since, ...message });
	}
}
