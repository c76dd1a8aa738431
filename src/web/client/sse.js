// SPDX-License-Identifier: Apache-2.0
// Where WebSocket is blocked: the messages of the protocol over event streams and HTTP. The client says the same as on a WebSocket and hears the same;
// what can't be had this way is answered by an error `unsupported`, by the gateway where it is asked at all.

/** get(path, init) is fetch; hear(message), lost(code, reason); signal: of its end; link.names: whom what is heard is for. Returns what sends a message. */
export function streams(get, search, hear, lost, signal, link) {
	/** Each: names, since where, stop(), now: it has those who have no place of their own in the past. */
	let open = [];
	/** Streams are opened one after the other, behind the first ping: so whoever is refused knows that he is meant. */
	let start;
	let chain = new Promise((resolve) => (start = resolve));

	const all = (names, value) => Object.fromEntries(names.map((name) => [name, value]));
	const refuse = (id, code, message) => hear({ type: "error", id, code, message });

	signal.onabort = () => {
		for (const s of open) {
			// What a stream has come to, all that is in it has come to.
			hear({ type: "positions", positions: all([...s.names], s.since) });
			s.stop();
		}
	};

	/** A message and its answer, which is that of a WebSocket. */
	const call = async (id, path, init) => {
		try {
			const answer = await get(path, init);
			const m = init ? await answer.json() : { type: "pong" };
			// What stands between us and the gateway has words of its own.
			if (!m.type) throw Error("HTTP " + answer.status);
			if (answer.status == 401) lost(4001, m.message);
			else hear({ ...m, id });
		} catch (cause) {
			// A ping without an answer is noticed by its time.
			if (init) refuse(id, "unknown", cause.message);
		}
	};

	/** Opens a stream anew, with more names: the client's message `ask` wants them from `given` on; cut: why they don't get that. */
	const begin = (s, ask, names = [], given, cut) =>
		new Promise(async (known) => {
			const control = new AbortController();
			const query = new URLSearchParams(search);
			const end = (code, reason) => control.signal.aborted || lost(code, reason);
			let rest = "";
			let data = [];
			/** What came since the last block was complete. */
			let size = 0;
			let id;
			let timer;
			// A heartbeat comes every 30 seconds, unless the operator said otherwise.
			const alive = () => {
				clearTimeout(timer);
				// What was read before the end may be looked at behind it.
				if (!control.signal.aborted) timer = setTimeout(end, 65000, 4201, "silence");
			};
			const block = () => {
				const text = data.join("\n");
				const m = text ? JSON.parse(text) : {};
				const gap = m.type == "gap";
				data = [];
				size = 0;
				// What is for the client, and for none of its channels, each of its streams brings.
				if (s != open[0] && (m.direct || m.channel == "$all")) return;
				// What is sent to the user has no id, nor has the first block where a gap follows, which has it.
				if (!id && !gap) return text && hear(m);
				const position = (s.since = id || s.since);
				const old = [...s.names];
				id = "";
				for (const name of names) s.names.add(name);
				if (names.length) hear({ type: "subscription-ack", id: ask, data: { channels: names, positions: all(names, position), recovered: all(names, given === undefined ? given : !gap && !cut), reasons: all(names, cut || m.reason) } });
				names = [];
				known();
				if (gap) for (const channel of old.filter((name) => name == (m.channel ?? name))) hear({ ...m, channel, position });
				else if (text) {
					link.names = s.names;
					hear({ ...m, position });
				}
			};
			s.stop?.();
			s.stop = () => {
				clearTimeout(timer);
				control.abort();
				known();
			};
			for (const name of [...s.names, ...names]) query.append("channel", name);
			if (s.since !== undefined) query.set(s.names.size ? "lastEventId" : "since", s.since);
			if (signal.aborted || (!s.names.size && !names.length)) {
				open = open.filter((other) => other != s);
				return known();
			}
			alive();
			try {
				const answer = await get("/events?" + query, { signal: control.signal });
				const { status, body } = answer;
				if (status != 200) {
					// To who was here before it says no more than that it can't be.
					const [text, code, why] = /^(\w+): ([^]*)|[^]*/.exec(status == 204 ? "forbidden: not for this client" : status == 414 || status == 431 ? "limit_exceeded: too many" : await answer.text());
					if (control.signal.aborted) return;
					if (!code || !names.length) return end(status == 401 ? 4001 : 1013, text.slice(0, 99));
					refuse(ask, code, why);
					return begin(s).then(known);
				}
				const reader = body.pipeThrough(new TextDecoderStream()).getReader();
				for (;;) {
					const { value, done } = await reader.read();
					if (done) return end(1012, "it ended");
					alive();
					// A CR at the end may be half of a line end.
					const lines = (rest + value).split(/\r\n|\n|\r(?=[^])/);
					rest = lines.pop();
					if ((size += value.length) > 1e7) throw Error("no end");
					for (const line of lines) {
						const [, field, text] = /^([^:]*):? ?([^]*)$/.exec(line);
						if (control.signal.aborted) return;
						if (field == "data") data.push(text);
						else if (field == "id") id = text;
						else if (field == "retry") hear({ type: "bye", reconnect: { after: text } });
						else if (!line) block();
					}
				}
			} catch (cause) {
				end(1006, (cause.cause || cause).message);
			}
		});

	return (text) => {
		const { type, id, channels, since, filter, rate, window, ack } = JSON.parse(text);
		if (type == "ping") call(id, "/healthz").then(start);
		else if (type == "unsubscribe") {
			chain = chain.then(async () => {
				for (const s of open) if (channels.filter((name) => s.names.delete(name)).length) await begin(s);
			});
		} else if (type != "subscribe") type == "auth" || call(id, "/events?" + search, { method: "POST", body: text, headers: { "Content-Type": "application/json" } });
		else if (filter || rate || window || ack) refuse(id, "unsupported", "not without WebSocket");
		else
			chain = chain.then(async () => {
				for (const at of new Set(channels.map((name) => since?.[name]))) {
					let cut;
					let s = open.find((s) => (at === undefined ? s.now : s.since === at));
					if (!s && open.length > 3) [s, cut] = [open[0], "transport"];
					if (!s) open.push((s = { names: new Set(), since: at, now: at === undefined }));
					await begin(s, id, channels.filter((name) => since?.[name] === at), at, cut);
				}
			});
	};
}
