// SPDX-License-Identifier: Apache-2.0
// Where WebSocket is blocked: the messages of the protocol over event streams and HTTP. The client says the same as on a WebSocket and hears the same;
// what can't be had this way is answered by an error `unsupported`.

/** get(path, init) is fetch; hear(message), lost(code, reason). */
export function streams(get, search, hear, lost) {
	/** Each: names, since where, what waits for its begin, and what for its next. Whoever has no place of his own in the past joins the first. */
	let open = [];

	const refuse = (id, code, message, more) => hear({ temporary: false, ...more, type: "error", id, code, message });

	/** A request and its answer, as if it had been said on a WebSocket. */
	const call = async (type, id, path, init) => {
		try {
			const answer = await get(path, init);
			const { status } = answer;
			const { error, ...data } = type == "pong" ? {} : await answer.json();
			if (answer.ok) hear({ ...data, type, id });
			else refuse(id, error.code, error.message, { field: error.field, temporary: status == 409 || status == 429 || status > 499 });
		} catch (cause) {
			// A ping without an answer is noticed by its time.
			if (type != "pong") refuse(id, "unknown", cause.message);
		}
	};

	/** Opens it anew, once for all that changes in one moment. */
	const begin = async (stream) => {
		if (stream.soon) return;
		stream.soon = true;
		await 0;
		stream.soon = false;
		stream.stop?.();
		// What was refused with others is asked for by itself.
		if (!stream.waits.length) stream.waits = stream.queue.filter(({ id }) => id == stream.queue[0].id);
		stream.queue = stream.queue.filter((wait) => !stream.waits.includes(wait));
		const names = [...stream.names, ...stream.waits.map(({ name }) => name)];
		if (!names.length) {
			open = open.filter((other) => other != stream);
			return;
		}
		const control = new AbortController();
		const { signal } = control;
		const query = new URLSearchParams(search);
		let timer;
		let rest = "";
		let data = [];
		let id;
		stream.stop = () => {
			clearTimeout(timer);
			control.abort();
		};
		const end = (code, reason) => {
			if (signal.aborted) return;
			// What a stream has come to, all that is in it has come to.
			for (const { names, begun, since } of open) if (begun) hear({ type: "positions", positions: Object.fromEntries([...names].map((name) => [name, since])) });
			lost(code, reason);
		};
		// A heartbeat comes every 30 seconds, unless the operator said otherwise.
		const alive = () => {
			clearTimeout(timer);
			timer = setTimeout(end, 65000, 4201, "nothing comes any more");
		};
		const block = () => {
			const text = data.join("\n");
			const message = text ? JSON.parse(text) : {};
			const gap = message.type == "gap";
			data = [];
			stream.since = id ?? stream.since;
			// The first block has no id where a gap follows, which has it.
			if (!id && !gap) return;
			const position = stream.since;
			const fresh = stream.waits.splice(0);
			for (const { id, name, given, cut } of fresh) {
				const recovered = given === undefined ? given : !gap && !cut;
				stream.names.add(name);
				hear({ type: "subscription-ack", id, data: { channels: [name], positions: { [name]: position }, recovered: { [name]: recovered }, reasons: { [name]: cut || message.reason } } });
			}
			stream.begun = true;
			if (gap) for (const channel of message.channel ? [message.channel] : stream.names) fresh.some(({ name }) => name == channel) || hear({ ...message, channel, position });
			else if (text) hear({ ...message, position });
			if (stream.queue.length) begin(stream);
		};
		for (const name of names) query.append("channel", name);
		if (stream.since !== undefined) query.set(stream.begun ? "lastEventId" : "since", stream.since);
		alive();
		try {
			const answer = await get("/events?" + query, { signal, headers: { Accept: "text/event-stream" } });
			const { status, body } = answer;
			if (status != 200) {
				const text = await answer.text();
				// To who was here before it says no more than that it can't be.
				const [, code, why] = /^(\w+): ([^]*)/.exec(status == 204 ? "forbidden: not for this client" : text) || [];
				if (signal.aborted) return;
				if (status == 401 || !code || !stream.waits.length) return end(status == 401 ? 4001 : 1013, text.slice(0, 99));
				const ids = new Set(stream.waits.map(({ id }) => id));
				if (ids.size > 1) stream.queue = [...stream.waits, ...stream.queue];
				else for (const id of ids) refuse(id, code, why);
				stream.waits = [];
				return begin(stream);
			}
			const reader = body.pipeThrough(new TextDecoderStream()).getReader();
			for (;;) {
				const { value, done } = await reader.read();
				if (signal.aborted) return;
				if (done) return end(1006, "the stream ended");
				alive();
				// A CR at the end may be half of a line end.
				const lines = (rest + value).split(/\r\n|\n|\r(?=[^])/);
				rest = lines.pop();
				if (rest.length > 1e7) throw new TypeError("a line without an end");
				for (const line of lines) {
					const [, field, text] = /^([^:]*):? ?([^]*)$/.exec(line);
					if (field == "data") data.push(text);
					else if (field == "id") id = text;
					else if (!line) {
						block();
						id = undefined;
					}
					if (signal.aborted) return;
				}
			}
		} catch (cause) {
			end(1006, cause.message);
		}
	};

	return {
		close: () => open.forEach((stream) => stream.stop?.()),
		send(text) {
			const { type, id, channel, event, data, channels, since, filter, rate, window, ack, ...rest } = JSON.parse(text);
			const path = "/api/channels/" + encodeURIComponent(channel) + "/" + type;
			if (type == "ping") call("pong", id, "/healthz");
			else if (type == "publish") call("ack", id, "/api/publish", { method: "POST", body: JSON.stringify({ channel, event, data }), headers: { "Idempotency-Key": id } });
			else if (type == "presence") call(type, id, path);
			else if (type == "history") call(type, id, path + "?" + new URLSearchParams(since === undefined ? rest : { ...rest, since }));
			else if (type == "unsubscribe") {
				for (const stream of open) {
					const stays = ({ name }) => !channels.includes(name);
					stream.waits = stream.waits.filter(stays);
					stream.queue = stream.queue.filter(stays);
					for (const name of channels) stream.names.delete(name);
					begin(stream);
				}
				hear({ type: "unsubscription-ack", id });
			} else if (type != "subscribe" || filter || rate || window || ack) type == "auth" || refuse(id, "unsupported", "not without WebSocket");
			else
				for (const name of channels) {
					const given = since?.[name];
					let cut;
					let stream = given === undefined ? open[0] : open.find(({ since }) => since === given);
					if (!stream && open.length > 3) {
						stream = open[0];
						cut = "transport";
					}
					if (!stream) open.push((stream = { names: new Set(), since: given, waits: [], queue: [] }));
					// The position of a channel is for that channel alone: others come when the stream has one of its own.
					stream[stream.since === given || stream.begun ? "waits" : "queue"].push({ id, name, given, cut });
					begin(stream);
				}
		},
	};
}
