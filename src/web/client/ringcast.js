// SPDX-License-Identifier: Apache-2.0
// The client of a ringcast gateway: one connection that comes back, and what it carries. The types and what they promise are in ringcast.d.ts,
// how it works inside in src/README.md, "The JavaScript client".
//
// What comes from outside is heard only while its try is the present one (#turn). Every wait is measured by performance.now(): clocks of the
// wall may jump. No timer, listener or promise outlives close().

import { Feed, levels, meets, noop } from "./feed.js";
import { streams } from "./sse.js";

export const version = "0.1.0";

const now = () => performance.now();

/** An id. Not by randomUUID, which a page that is not secure has not. */
const fresh = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/** What reaches a handler is one. */
function sound(event) {
	if (typeof event?.channel != "string" || typeof (event.offset ?? 0) != "number") throw Error("no event");
	return event;
}

export class RingcastError extends Error {
	name = "RingcastError";
	temporary = false;

	constructor(code, message = code, more) {
		super(message);
		Object.assign(this, more, { code });
	}
}

export class Client {
	#options = { maxDelay: 30000, minDelay: 500, maxTries: Infinity, timeout: 10000, queue: 100, transports: ["ws", "sse"] };
	#base;
	#query;
	#listeners = {};
	/** By channel: what is wanted, what was asked for on this connection, and for which channels these may differ. */
	#feeds = new Map();
	#asked = new Map();
	#changed = new Set();
	/** By channel of an event: which of those that were asked for it may be for. Empty when these have changed. */
	#routes = new Map();
	/** What waits for an answer, or for a connection, by id and in order. */
	#asks = new Map();
	#state = "connecting";
	/** Of the present try or connection; what belongs to an earlier one is not heard. */
	#turn = 0;
	#link;
	#transport;
	#hello;
	#timers = new Set();
	/** Tries since the last connection, and since the last one that lasted; those of WebSocket, unless it ever worked. */
	#tries = 0;
	#fails = 0;
	#blocked = 0;
	/** The gateway has answered since, by HTTP. */
	#sure;
	#fell;
	#ever;
	#over;
	/** How long the gateway wants us to wait, and said. */
	#told;
	#refused;
	#bye;
	#bad;
	#begun;
	#heard;
	#ping;
	#rtt;
	#renewal;
	#replaced;
	#acking;
	#pace = 0;
	#counts = { reconnects: 0, gaps: 0, duplicates: 0, events: 0 };
	/** Its signal takes the listeners off. */
	#life = new AbortController();

	/** Makes it and starts nothing, as what is made while React renders may be thrown away: reconnect() does. */
	constructor(url, options) {
		for (const name in options) if (options[name] !== undefined) this.#options[name] = options[name];
		try {
			const page = globalThis.location?.href;
			const { protocol, host, pathname, searchParams } = new URL(url || "/", page);
			if (!/^(http|ws)s?:$/.test(protocol)) throw 0;
			this.#base = protocol.replace("ws", "http") + "//" + host + pathname.replace(/\/(ws\/?)?$/, "");
			this.#query = searchParams;
		} catch {
			throw new RingcastError("bad_argument", `no address: ${url}`);
		}
		for (const name in this.#options.query) this.#query.set(name, this.#options.query[name]);
	}

	get state() {
		return this.#state;
	}

	get session() {
		return this.#up?.session;
	}

	get user() {
		return this.#up?.user;
	}

	get transport() {
		return this.#up && this.#transport;
	}

	/** What the gateway said at the beginning, while connected. */
	get #up() {
		return this.#state == "connected" ? this.#hello : undefined;
	}

	get #queued() {
		return [...this.#asks.values()].filter((ask) => ask.publish && !ask.sent).length;
	}

	get metrics() {
		const up = this.#up;
		const rtt = Math.max(this.#rtt || 0, this.#ping ? now() - this.#ping.at : 0);
		return {
			...this.#counts,
			state: this.#state,
			transport: this.transport,
			rtt: this.#rtt,
			quality: !up ? "offline" : rtt > 1000 ? "poor" : rtt > 300 ? "fair" : "good",
			queued: this.#queued,
			connectedFor: up ? now() - this.#begun : 0,
		};
	}

	on(name, listener) {
		(this.#listeners[name] ??= new Set()).add(listener);
		return () => this.off(name, listener);
	}

	off(name, listener) {
		this.#listeners[name]?.delete(listener);
	}

	#emit(name, value) {
		for (const listener of new Set(this.#listeners[name])) this.#call(listener, value, name);
	}

	/** name: of the event, or the channel's. A listener for errors is not told of its own. */
	#call(run, value, name) {
		const bad = (cause) => name != "error" && this.#error("handler", `a handler of '${name}' threw: ${cause?.message}`, { cause });
		try {
			run(value)?.then?.(noop, bad);
		} catch (cause) {
			bad(cause);
		}
	}

	#error(code, message, more) {
		this.#emit("error", new RingcastError(code, message, more));
	}

	/** Unless the connection, or the try for it, is over before. */
	#after(ms, run) {
		if (this.#over) return;
		const timer = setTimeout(() => {
			this.#timers.delete(timer);
			run();
		}, ms);
		this.#timers.add(timer);
	}

	// ---- the connection

	async #open(detour) {
		const { timeout, transports, fetch = globalThis.fetch, WebSocket = globalThis.WebSocket } = this.#options;
		const turn = ++this.#turn;
		const mine = () => turn == this.#turn;
		const lost = (code, reason) => mine() && this.#lost(code, reason);
		const hear = (data) => mine() && this.#hear(data);
		const could = WebSocket && transports.includes("ws");
		const ws = could && !detour;
		const control = new AbortController();
		let token;
		const greet = (send) => {
			if (!mine()) return;
			this.#link.send = send;
			this.#heard = now();
			this.#bad = 0;
			this.#hello = {};
			if (token) this.#send({ type: "auth", id: "auth", token });
			// Whatever is said behind auth is answered behind it: this answer alone says that we are in.
			this.#probe();
			this.#ask(this.#feeds.keys());
		};

		this.#told = this.#bye = this.#transport = undefined;
		this.#link = { close: noop };
		this.#after(timeout, () => this.#up || lost(1006, "no answer in time"));
		try {
			token = await this.#token();
			if (!mine()) return;
			this.#transport = ws ? "ws" : "sse";
			if (ws) {
				const socket = new WebSocket(this.#base.replace("http", "ws") + "/ws?heartbeat=json&batch=1&" + this.#query, "ringcast.v1.json");
				this.#link.close = () => {
					socket.onclose = noop;
					socket.close(1000);
				};
				socket.onopen = () => greet((text) => socket.send(text));
				socket.onmessage = ({ data }) => hear(data);
				socket.onerror = noop;
				socket.onclose = ({ code, reason }) => lost(code, reason);
				return;
			}
			const get = (path, init) => fetch(this.#base + path, { signal: control.signal, redirect: "error", ...init, headers: { ...init?.headers, ...(token && { Authorization: "Bearer " + token }) } });
			this.#link.close = () => control.abort();
			// Where the gateway can be reached by HTTP, it is WebSocket that is in the way.
			if (!/^ok/.test(await (await get("/healthz")).text())) throw Error("no gateway");
			// Or the gateway has just come up: so WebSocket is tried once more.
			if (could && !this.#sure) {
				this.#sure = true;
				return mine() && this.#open();
			}
			if (mine() && !this.#fell && transports.includes("ws")) this.#emit("fallback", { transport: "sse", reason: could ? "WebSocket is blocked" : "no WebSocket" });
			this.#fell = true;
			greet(streams(get, this.#query, (message) => hear([message]), lost, control.signal, this.#link));
		} catch (cause) {
			// A WebSocket that can't even be made is blocked, or it would be made and asked for again without end.
			this.#sure = ws;
			// What fetch says is less than what was wrong with it, as with the certificate.
			lost(1006, (cause?.cause ?? cause)?.message);
		}
	}

	async #token() {
		const { token } = this.#options;
		try {
			return typeof token == "function" ? await token() : token;
		} catch (cause) {
			this.#error("unauthorized", "no token", { cause });
			throw cause;
		}
	}

	/** The connection, or the try for one, is over. */
	#lost(code, reason) {
		const { maxDelay, minDelay, maxTries, token, transports } = this.#options;
		const was = this.#up;
		const kind = (code / 100) | 0;

		if (was && now() - this.#begun > 5000) this.#fails = this.#refused = 0;
		const renewed = code == 4001 && typeof token == "function" && !this.#refused;
		this.#refused = code == 4001;
		// On a WebSocket such a code is the gateway's, so that works.
		if (kind > 39 && this.#transport == "ws") this.#blocked = NaN;
		const detour = this.#transport == "ws" && ++this.#blocked > 1 && transports.includes("sse");
		// Here the gateway knows when it is time; that somebody comes back to the page says nothing.
		this.#told = kind == 41 || code == 1013 ? 3000 : code == 1012 ? (this.#bye ?? 1000) : 0;
		const again = (kind != 40 || renewed) && (detour || this.#tries < maxTries);
		const turn = this.#down(again);
		for (const [id, ask] of this.#asks) {
			if (ask.publish) clearTimeout(ask.timer);
			if (!ask.sent) continue;
			ask.sent = false;
			if (code == 1009) this.#refuse(id, "too_large");
			else if (!ask.again && !ask.user) this.#refuse(id, "unknown");
		}
		if (was) this.#emit("disconnected", { code, reason, again });
		if (turn != this.#turn) return;
		if (!again) this.#emit("reconnect_failed", new RingcastError({ 4001: "unauthorized", 4003: "replaced" }[code] || (kind == 40 ? "closed" : "offline"), code + " " + reason));
		else if (detour) this.#open(detour);
		else {
			const most = (kind == 42 || renewed) && this.#fails < 3 ? 250 : Math.min(maxDelay, minDelay * 2 ** this.#fails);
			const delay = Math.random() * most + this.#told;
			this.#fails++;
			this.#emit("reconnecting", { attempt: this.#tries + 1, delay });
			if (turn == this.#turn) this.#after(delay, () => this.#next());
		}
	}

	/** Where there is no network no try is wasted. But what says so may be wrong. */
	#next(sure = globalThis.navigator?.onLine !== false) {
		if (!sure) return this.#after(this.#options.maxDelay, () => this.#next(true));
		this.#tries++;
		this.#open();
	}

	#down(again) {
		this.#link?.close();
		for (const timer of this.#timers) clearTimeout(timer);
		this.#timers.clear();
		this.#state = !again ? "closed" : this.#ever ? "reconnecting" : "connecting";
		this.#link = this.#ping = this.#acking = undefined;
		this.#asked.clear();
		this.#routes.clear();
		for (const feed of this.#feeds.values()) {
			feed.live = false;
			feed.paused &= 1;
		}
		return ++this.#turn;
	}

	/** Something says that the connection may be dead, or could be had again. */
	#wake() {
		if (globalThis.document?.visibilityState == "hidden") return;
		if (this.#up) this.#probe();
		else if (!this.#link && !this.#told && this.#state != "closed") this.reconnect();
	}

	reconnect() {
		if (this.#over || this.#up) return;
		// What the page says of itself and of the network is heard from the first time on.
		if (!this.#turn) for (const name of ["online", "offline", "pageshow", "visibilitychange"]) globalThis.addEventListener?.(name, () => this.#wake(), this.#life);
		this.#down(true);
		this.#tries = 0;
		this.#next(true);
	}

	close() {
		if (this.#over) return;
		const was = this.#up;
		this.#over = new RingcastError("closed");
		this.#life.abort();
		this.#down();
		for (const id of this.#asks.keys()) this.#answer(id, this.#over);
		for (const feed of this.#feeds.values()) this.#end(feed, this.#over);
		if (was) this.#emit("disconnected", { code: 1000, reason: "", again: false });
		this.#listeners = {};
	}

	#probe() {
		if (this.#ping || !this.#link?.send) return;
		const id = fresh();
		this.#ping = { id, at: now() };
		// The first one has the time of the try.
		this.#after(3000, () => this.#up && this.#ping?.id == id && this.#lost(4201, "no answer in time"));
		this.#send({ type: "ping", id });
	}

	/** While it is connected, so often that a silence is noticed: of the gateway, or of this machine while it slept. */
	#watch() {
		const beat = +this.#hello.heartbeat || 30000;
		const pause = Math.min(beat / 3, 5000);
		const turn = this.#turn;
		const last = now();
		this.#after(pause, () => {
			const at = now();
			this.#watch();
			if (at - last > pause * 2 + 1000 || at - this.#heard > beat + Math.min(beat, 5000)) this.#probe();
			if (at > this.#renewal) {
				this.#renewal = at + 10000;
				this.#token().then((token) => token && turn == this.#turn && this.#send({ type: "refresh", token }), noop);
			}
		});
	}

	/** Before the token runs out, by the gateway's clock alone. */
	#renew({ expires }, { timestamp }) {
		const left = expires - Date.parse(timestamp);
		this.#renewal = typeof this.#options.token == "function" ? now() + left - Math.min(left / 4, 60000) : undefined;
	}

	#send(message) {
		this.#link.send(JSON.stringify(message));
	}

	// ---- what the gateway says

	/** A text of one or more objects, a line each; or a list of them. */
	#hear(data) {
		const turn = this.#turn;
		this.#heard = now();
		try {
			// Pretty data has line ends, too, but nowhere in JSON are two objects without a comma between them.
			if (typeof data == "string") data = JSON.parse("[" + data.replaceAll("}\n{", "},{") + "]");
			for (const message of data) {
				this.#take(message);
				if (turn != this.#turn) return;
			}
		} catch (cause) {
			// An event may have been lost with it: so the connection is given up, and what was missed comes by recovery.
			this.#error("protocol", `not understood: ${cause.message}`, { cause });
			if (turn == this.#turn) this.#lost(1002, "not understood");
		}
	}

	#take(m) {
		const { type, id, data, channel, code, message, temporary } = m;
		const feed = this.#feeds.get(channel);
		switch (type) {
			case "event":
			case "join":
			case "leave":
				return this.#event(m);
			case "events":
				return m.events.forEach((event) => this.#give(feed, sound(event)));
			case "summary":
				return this.#give(feed, { ...m, event: type, data: m.counts, timestamp: m.to });
			case "presence":
				return m.offset ? this.#event(m) : this.#answer(id, m);
			case "ack":
			case "history":
				return this.#answer(id, m);
			case "reply":
				return this.#answer(id, data);
			case "gap":
				if (!feed?.live) return;
				feed.moveTo(m.position, true);
				feed.last.clear();
				return this.#gap(feed, m);
			case "positions":
				for (const name in m.positions) {
					const feed = this.#feeds.get(name);
					if (feed?.live) feed.position = m.positions[name];
				}
				return;
			case "subscription-ack":
				for (const channel of data.channels) {
					const feed = this.#asked.get(channel);
					const [position, recovered, reason] = [data.positions, data.recovered, data.reasons].map((all) => all?.[channel]);
					const info = { channel, position, recovered, reason };
					if (id) feed?.id == id && this.#begin(feed, info);
					else {
						this.#emit("subscribed", info);
						// Of its own: it knows no past, and what is asked for later changes nothing. So it is ended in front of that.
						if (!feed?.live) this.#asked.set(channel, { levels: [] });
						if (feed) this.#change(channel);
					}
				}
				return;
			case "unsubscription-ack":
				// Without an id it was not asked for: taken away.
				for (const channel of id ? [] : data.channels) {
					const feed = this.#asked.get(channel);
					if (feed) this.#end(feed, new RingcastError(this.#replaced || "unsubscribed", "by the gateway", { channel }));
				}
				this.#replaced = undefined;
				return;
			case "connected":
				this.#hello = m;
				return;
			case "pong":
				return this.#pong(m);
			case "refreshed":
				return this.#renew(m, m);
			case "ping":
				return this.#probe();
			case "bye":
				this.#bye = Math.max(0, Math.min(m.reconnect.after, 6e5)) || 0;
				return;
			case "error":
				if (id == "auth" && code == "unauthorized") return this.#lost(4001, message);
				const feeds = [...this.#asked.values()].filter((feed) => id && feed.id == id && !feed.live);
				for (const feed of feeds) this.#declined(feed, m, feeds.length > 1);
				// Its channel is named by what follows.
				if (code == "replaced") this.#replaced = code;
				else if (this.#asks.has(id)) this.#refuse(id, code, message, m);
				else if (!feeds.length) {
					this.#error(code, message, { temporary: !!temporary });
					// Whatever it was that we said, it was not heard.
					if (!id && code == "rate_limited") this.#lost(4105, message);
				}
				return;
			default:
				if (typeof type != "string" || ++this.#bad > 9) throw Error("no type");
				this.#error("protocol", `unknown type '${type}'`);
		}
	}

	#pong({ id, timestamp }) {
		const ping = this.#ping;
		if (id != ping?.id) return;
		const rtt = now() - ping.at;
		this.#ping = undefined;
		this.#rtt = rtt / 4 + (this.#rtt ?? rtt) * 0.75;
		if (this.#up) return;
		const again = !!this.#ever;
		const transport = this.#transport;
		const { session, user } = this.#hello;
		this.#state = "connected";
		this.#ever = true;
		this.#begun = now();
		this.#tries = 0;
		if (transport == "ws") {
			this.#refused = false;
			this.#blocked = NaN;
			this.#fell = false;
		}
		this.#counts.reconnects += again;
		this.#renew(this.#hello, { timestamp });
		this.#watch();
		for (const id of this.#asks.keys()) this.#post(id);
		this.#emit("connected", { session, user, transport, again });
	}

	/** Hot: for each event. */
	#event(event) {
		const { channel, offset, position, timestamp } = event;
		if (event.direct) return this.#emit("direct", event);
		sound(event);
		const feeds = this.#routes.get(channel) || this.#route(channel);
		if (!feeds[0]) return channel == "$all" && this.#emit("broadcast", event);
		// A stream sends an event once for all that are in it, and a lonely feed has no other's copies.
		const { names } = this.#link;
		if (names || !feeds[0].mixed) return feeds.forEach((feed) => names?.has(feed.channel) == false || this.#give(feed, event));
		// A WebSocket sends a copy for each, and does not say which is whose; but those of patterns have a position, where any namespace keeps
		// history. So a copy goes to all who are furthest, but not as far as this, when it is their next. Else to one who has nothing of this
		// channel yet. Else offsets have a hole: to the furthest when nobody has it yet, with the last copy to all who lack it. Else it came
		// already; or this very one never did and is newer, and the channel's offsets began anew: timestamps alone don't say so, for they may go back.
		const far = (feed) => (feed.pattern ? feed.last.get(channel) : feed)?.seen ?? -1;
		const may = feeds.filter((feed) => feed.live && !position == !(feed.pattern && feed.position));
		const known = may.filter((feed) => far(feed) >= 0);
		const behind = known.filter((feed) => far(feed) < offset);
		const most = Math.max(...behind.map(far));
		const none = may.filter((feed) => far(feed) < 0);
		const { counts } = feeds;
		const key = timestamp + offset + position;
		const count = (counts.get(key) || 0) + 1;
		if (counts.size > 999) counts.clear();
		counts.set(key, count);
		let to = most == offset - 1 || (!none[0] && behind.length == known.length) ? behind.filter((feed) => far(feed) == most) : [];
		if (!to[0] && none[0]) to = [none.find((feed) => feed.asked) || none[0]];
		if (!to[0] && count == may.length) to = behind;
		if (!to[0] && count < 2 && known.every((feed) => !(timestamp <= feed.last.get(channel)?.timestamp))) to = known;
		if (!to[0]) this.#counts.duplicates++;
		for (const feed of to) this.#give(feed, event, feed.pattern);
		// Only with the last copy it is sure that each of these patterns has come so far; and only if all say the same position, which one that is
		// behind in other channels does not.
		for (const feed of may) {
			feed.shares ||= may[1];
			if (position && count == may.length && far(feed) == offset) feed.position = position;
		}
	}

	#route(channel) {
		const feeds = [...this.#asked.values()].filter((feed) => meets(feed.levels, levels(channel)));
		feeds.counts = new Map();
		if (this.#routes.size > 4095) this.#routes.clear();
		this.#routes.set(channel, feeds);
		return feeds;
	}

	/** hold: it is not said by that where the feed stands. */
	#give(feed, event, hold) {
		if (!feed?.live) return;
		const { channel, offset, timestamp } = event;
		if (feed.epoch && offset !== undefined) event.position ??= feed.epoch + "@" + offset;
		if (feed.wish.ack) return this.#once(feed, event);
		if (feed.pattern) {
			if (feed.last.size > 4095) feed.last.clear();
			// Values of a key come in the order of their turns, which is not that of the stream, whose numbers never fall.
			hold ||= feed.wish.key && event.position?.localeCompare(feed.position, "en", { numeric: true }) < 0;
			feed.last.set(channel, { seen: offset, timestamp });
		} else if (offset > feed.seen || offset === undefined) feed.seen = offset;
		// Values of a key come in the order of their turns, which is not that of their offsets.
		else if (feed.wish.key) hold = true;
		else return this.#counts.duplicates++;
		if (!hold) feed.position = event.position || feed.position;
		this.#counts.events++;
		for (const use of [...feed.uses]) use(event);
	}

	#gap(feed, { reason, missed, position }) {
		this.#counts.gaps++;
		this.#emit("gap", { channel: feed.channel, reason, missed, position });
	}

	// ---- acknowledged delivery

	/** Hands it on, unless that was done. */
	#once(feed, event) {
		const { offset, redelivered = 0 } = event;
		const { done, channel, id } = feed;
		const { timeout = 5000, retries = 3 } = feed.wish.ack;
		const entry = done.get(offset) || {};
		const settle = (fate) => {
			entry.fate = fate;
			if (this.#acking || !this.#link) return;
			this.#acking = true;
			this.#after(this.#pace - now(), () => this.#acknowledge());
		};
		// Only what was sent on this connection can be acknowledged on it.
		entry.id = id;
		if (entry.fate > 0) {
			this.#counts.duplicates++;
			if (entry.fate > 1) settle(2);
			return;
		}
		entry.fate = 1;
		done.set(offset, entry);
		this.#counts.events++;
		Promise.all([...feed.uses].map(async (use) => use(event))).then(
			() => settle(2),
			(cause) => {
				// After the last retry it becomes a dead letter, as soon as its time is over: what is acknowledged meanwhile must not mean it, too.
				settle(redelivered < retries ? 0 : -now() - timeout - 1000);
				this.#error("handler", `a handler of '${channel}' threw: ${cause?.message}`, { cause, channel });
			},
		);
	}

	/** Up to the first event that is not handled all at once, those behind it one by one; no more than 50 messages a second, half of what is allowed. */
	#acknowledge() {
		let count = 0;
		this.#acking = undefined;
		for (const feed of this.#asked.values()) {
			const { channel, epoch, done } = feed;
			let all = true;
			let low;
			let tell;
			if (!feed.live || !feed.wish.ack) continue;
			for (const [offset, entry] of [...done].sort(([a], [b]) => a - b)) {
				const { fate, id } = entry;
				all &&= fate > 1 || (fate < 0 && fate > -now());
				if (all) low = offset;
				if (fate > 2 && done.size > 1023) done.delete(offset);
				if (fate != 2) continue;
				entry.fate = 3;
				if (id != feed.id) continue;
				if (all) tell = offset;
				else if (++count) this.#send({ type: "ack", channel, id: epoch + "@" + offset });
			}
			if (low) feed.position = epoch + "@" + low;
			if (tell && ++count) this.#send({ type: "ack", channel, offset: tell });
		}
		this.#pace = now() + 20 * count;
	}

	// ---- what is asked of it

	#change(channel) {
		if (!this.#changed.size) queueMicrotask(() => this.#ask());
		this.#changed.add(channel);
	}

	/** Subscriptions that were begun or ended in one moment go in as few messages as can be. */
	#ask(channels = this.#changed) {
		const ready = this.#link?.send;
		const off = [];
		const groups = {};
		for (const channel of channels) {
			const asked = this.#asked.get(channel);
			let feed = this.#feeds.get(channel);
			if (feed && !feed.uses.size) {
				this.#feeds.delete(channel);
				feed.reject(new RingcastError("closed"));
				feed = undefined;
			}
			if (feed?.paused) feed = undefined;
			if (feed == asked) continue;
			if (asked) {
				off.push(channel);
				asked.live = false;
				this.#asked.delete(channel);
			}
			if (feed && ready) {
				this.#asked.set(channel, feed);
				(groups[feed.kind + (feed.alone ? channel : "")] ??= []).push(feed);
			}
		}
		this.#changed.clear();
		while (off.length) this.#send({ type: "unsubscribe", id: fresh(), channels: off.splice(0, 50) });
		for (const group of Object.values(groups))
			while (group.length) {
				const id = fresh();
				let since;
				const part = group.splice(0, 50);
				for (const feed of part) {
					feed.asked = feed.bare || feed.wish.summary ? undefined : (feed.position ?? feed.since);
					feed.id = id;
					if (feed.asked != null) (since ??= Object.create(null))[feed.channel] = feed.asked;
				}
				this.#send({ ...part[0].wish, type: "subscribe", id, channels: part.map(({ channel }) => channel), since });
			}
		this.#routes.clear();
	}

	#begin(feed, info) {
		const { channel, position, recovered } = info;
		const { was, asked, hole = "transport" } = feed;
		feed.moveTo(position, asked != null);
		feed.live = feed.was = true;
		feed.hole = feed.alone = undefined;
		feed.tries = 0;
		feed.accept(info);
		// Without a recovery offsets may have begun anew.
		if (!recovered) feed.last.clear();
		if (hole != "overflow") this.#emit("subscribed", info);
		if (recovered === false ? was || asked != null : was && !recovered) this.#gap(feed, { reason: info.reason || hole, position });
	}

	/** some: others were asked for with it, and any of them may be what is wrong. */
	#declined(feed, { code, message, temporary, field }, some) {
		const { channel } = feed;
		const error = new RingcastError(code, message, { temporary: !!temporary, field, channel });
		this.#asked.delete(channel);
		if (temporary) {
			this.#emit("error", error);
			this.#after((1 + Math.random()) * 1000 * 2 ** Math.min(feed.tries++, 5), () => this.#change(channel));
			return;
		}
		if (some) feed.alone = true;
		else if (code == "forbidden" && feed.was && feed.asked != null) {
			// It may be that only the past is not for this client.
			feed.bare = true;
			feed.hole = code;
		} else return this.#end(feed, error);
		this.#change(channel);
	}

	/** Not by its users. */
	#end(feed, error) {
		const { channel } = feed;
		if (this.#feeds.get(channel) != feed) return;
		this.#feeds.delete(channel);
		this.#asked.delete(channel);
		this.#routes.clear();
		feed.over = true;
		feed.live = false;
		feed.reject(error);
		for (const use of feed.uses) use(undefined, error);
		if (!this.#over) this.#emit("error", error);
	}

	#refuse(id, code, message, { temporary, field } = {}) {
		const ask = this.#asks.get(id);
		if (code != "conflict" || !ask?.user) return this.#answer(id, new RingcastError(code, message, { temporary: !!temporary, field }));
		// Sent again, while it is not decided what became of the first.
		ask.sent = false;
		this.#after(500, () => this.#post(id));
	}

	#answer(id, value) {
		const ask = this.#asks.get(id);
		clearTimeout(ask?.timer);
		this.#asks.delete(id);
		ask?.settle(value);
	}

	#request(message, { publish, idempotent: again, timeout = this.#options.timeout } = {}) {
		const id = (message.id ??= fresh());
		const late = () => this.#refuse(id, ask.sent ? "timeout" : "offline");
		const ask = { publish, again };
		ask.late = () => {
			clearTimeout(ask.timer);
			ask.timer = setTimeout(late, timeout);
		};
		const promise = new Promise((resolve, reject) => {
			ask.settle = (value) => (value instanceof Error ? reject : resolve)(value);
			ask.text = JSON.stringify(message);
			const code = this.#over
				? "closed"
				: !publish && this.#state == "closed"
					? "offline"
					: publish && !this.#up && this.#queued >= this.#options.queue
						? "queue_full"
						: this.#asks.has(id) && "conflict";
			if (code) return reject(new RingcastError(code));
			if (!publish) ask.late();
			this.#asks.set(id, ask);
			this.#post(id);
		}).catch((cause) => {
			throw cause.code ? cause : new RingcastError("bad_argument", cause.message);
		});
		promise.catch(noop);
		return promise;
	}

	#post(id) {
		const ask = this.#asks.get(id);
		if (!this.#up || !ask || ask.sent) return;
		if (ask.publish) {
			const { user } = this.#hello;
			// Only for the same user it is the same event.
			if (ask.user && ask.user != user) return this.#refuse(id, "unknown");
			ask.user = user;
			ask.late();
		}
		ask.sent = true;
		if (now() - this.#heard > 5000) this.#probe();
		this.#link.send(ask.text);
	}

	publish(channel, event, data = null, { id, echo } = {}) {
		return this.#request({ type: "publish", channel, event, data, id, echo }, { publish: true });
	}

	command(action, options) {
		return this.#request({ type: "command", action, idempotent: options?.idempotent }, options);
	}

	send(type, payload = null, options) {
		return this.#request({ type, payload, idempotent: options?.idempotent }, options);
	}

	presence(channel) {
		return this.#request({ type: "presence", channel }, { idempotent: true });
	}

	history(channel, { since, before, limit } = {}) {
		return this.#request({ type: "history", channel, since, before, limit }, { idempotent: true });
	}

	subscribe(channel, handler, options) {
		if (typeof handler != "function") [handler, options] = [undefined, handler];
		const { since, filter, rate, key, window, summary, ack, buffer = 1024 } = options || {};
		const bad = (text) => {
			throw new RingcastError("bad_argument", `'${channel}' ${text}`);
		};
		if (typeof channel != "string") bad("is none");
		const fresh = new Feed(channel, { filter, rate, key, window, summary, ack: ack || undefined, clientId: ack && this.#options.clientId }, since);
		/** What waits for a reader, with what is to be done when he asks for the next; how much had no room; what his loops have in hand; where he is. */
		const events = [];
		let missed = 0;
		const waiting = [];
		const hands = new Map();
		let over;
		let error;
		let feed = this.#feeds.get(channel);

		if (feed?.kind != fresh.kind || !feed.uses.size) {
			if (feed?.uses.size) bad("has other options");
			// Who was left in this very moment goes on; but others may have come meanwhile whom he meets.
			if (since || feed?.kind != fresh.kind) feed = fresh;
			for (const other of this.#feeds.values())
				if (other.uses.size && meets(other.levels, feed.levels)) {
					if (feed.view || other.view) bad(`overlaps '${other.channel}'`);
					feed.mixed = other.mixed = true;
				}
			this.#feeds.set(channel, feed);
		}
		let at = feed.position;
		const change = (paused) => {
			feed.paused = paused;
			this.#change(channel);
		};
		const stir = () => waiting.splice(0).forEach((go) => go());
		const end = (why) => {
			over = true;
			error = why;
			stir();
		};
		const leave = () => {
			for (const [, done] of [...events.splice(0), ...hands]) done();
			end();
			if (feed.uses.delete(use) && !feed.over) this.#change(channel);
		};
		const use = (event, why) => {
			if (why) end(this.#over ? undefined : why);
			else if (over) return;
			else if (handler) return ack ? handler(event) : this.#call(handler, event, channel);
			else if (!ack && (missed || events.length >= buffer)) missed++;
			else {
				const read = new Promise((resolve) => events.push([event, resolve]));
				stir();
				if (ack) return read;
				if (events.length < buffer || feed.uses.size > 1 || feed.shares) return;
				// Nobody else would miss it, and its place is known: the gateway keeps it.
				feed.hole = "overflow";
				feed.live = false;
				change(1);
			}
		};
		/** When a loop asks for the next it is done with what it has in hand itself. */
		const loop = (hand) => ({
			return: async () => (leave(), { done: true }),
			next: async () => {
				for (;;) {
					hands.get(hand)?.();
					if (hands.delete(hand)) at = hand.position ?? at;
					if (events.length) break;
					if (error) throw error;
					if (over) return { done: over };
					await new Promise((resolve) => waiting.push(resolve));
				}
				[hand] = events[0];
				hands.set(...events.shift());
				if (events.length <= buffer / 2) {
					if (missed) this.#gap(feed, { reason: "overflow", missed, position: feed.position });
					missed = 0;
					if (feed.paused == 1) {
						// Not at once, or a slow reader would ask more often than it may.
						feed.paused = 2;
						this.#after(50, change);
					}
				}
				return { value: hand };
			},
		});
		feed.uses.add(use);
		feed.ready.then(({ position }) => (at ??= position), noop);
		if (this.#over) this.#end(feed, this.#over);
		else change(0);
		return {
			channel,
			ready: feed.ready,
			unsubscribe: leave,
			get position() {
				return handler ? feed.position : at;
			},
			get state() {
				return over ? "closed" : feed.live ? "subscribed" : "waiting";
			},
			[Symbol.asyncIterator]: () => (handler ? bad("has a handler") : loop()),
		};
	}
}

/** As in ringcast.d.ts. */
export function connect(url, options) {
	const client = new Client(url, options);
	// Behind the listeners that whoever called this adds.
	queueMicrotask(() => client.reconnect());
	return client;
}
