// SPDX-License-Identifier: Apache-2.0
// The client of a ringcast gateway: one connection that comes back, and what it carries. The types and what they promise are in ringcast.d.ts,
// how it works inside in src/README.md, "The JavaScript client".
//
// What comes from outside is heard only while its try is the present one (#turn). Every wait is measured by performance.now(): clocks of the
// wall may jump. No timer, listener or promise outlives close().

import { Feed, Reader, meets, noop, own } from "./feed.js";
import { Streams } from "./sse.js";

export const version = "0.1.0";

const now = () => performance.now();

/** Also where a page is not secure, and so has no randomUUID. */
const freshId = () => crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join("-");

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
	/** By channel: what is wanted, and what was asked of the gateway on this connection; then the channels for which they may differ. */
	#feeds = new Map();
	#asked = new Map();
	#changed = new Set();
	/** By channel of an event: the feeds that it is for. Looked up anew when there are other feeds. */
	#routes = new Map();
	#age = 0;
	/** What waits for an answer, or for a connection, by id and in order. */
	#asks = new Map();
	#state = "connecting";
	#turn = 0;
	#link;
	#transport;
	#hello;
	#timers = new Set();
	#pause;
	/** Tries since the last connection, and since the last one that lasted; those of WebSocket while none has ever worked. */
	#tries = 0;
	#fails = 0;
	#blocked = 0;
	#worked;
	#detour;
	#fell;
	#ever;
	#over;
	#told;
	#refused;
	#bye;
	#bad;
	#since;
	#heard;
	#ping;
	#rtt;
	#renewAt;
	#acks = new Set();
	#ackAt = 0;
	#acking;
	#soon;
	#replaced;
	#counts = { reconnects: 0, gaps: 0, duplicates: 0, events: 0 };
	#unwatch = [];

	constructor(url, options) {
		for (const name in options) if (options[name] !== undefined) this.#options[name] = options[name];
		try {
			const page = globalThis.location?.href;
			const at = new URL(url || new URL("/", page), page);
			if (!/^(http|ws)s?:$/.test(at.protocol)) throw new TypeError("neither http nor ws");
			this.#base = at.protocol.replace("ws", "http") + "//" + at.host + at.pathname.replace(/\/(ws\/?)?$/, "");
			this.#query = at.searchParams;
		} catch (cause) {
			throw new RingcastError("bad_argument", `'${url}' is not the address of a gateway`, { cause });
		}
		for (const name in this.#options.query) this.#query.set(name, this.#options.query[name]);
		const wake = () => globalThis.document?.visibilityState != "hidden" && this.#wake();
		for (const name of ["online", "offline", "pageshow", "visibilitychange"]) {
			const target = name[0] == "v" ? globalThis.document : globalThis;
			target?.addEventListener?.(name, wake);
			this.#unwatch.push(() => target?.removeEventListener?.(name, wake));
		}
		queueMicrotask(() => this.#turn || this.#next(true));
	}

	get state() {
		return this.#state;
	}

	get session() {
		return this.#up ? this.#hello.session : undefined;
	}

	get user() {
		return this.#up ? this.#hello.user : undefined;
	}

	get transport() {
		return this.#up ? this.#transport : undefined;
	}

	get #up() {
		return this.#state == "connected";
	}

	get metrics() {
		const rtt = Math.max(this.#rtt || 0, this.#ping ? now() - this.#ping.at : 0);
		return {
			...this.#counts,
			state: this.#state,
			transport: this.transport,
			rtt: this.#rtt,
			quality: !this.#up ? "offline" : rtt > 1000 ? "poor" : rtt > 300 ? "fair" : "good",
			queued: this.#queued,
			connectedFor: this.#up ? now() - this.#since : 0,
		};
	}

	get #queued() {
		let count = 0;
		for (const ask of this.#asks.values()) if (ask.publish && !ask.sent) count++;
		return count;
	}

	on(name, listener) {
		(this.#listeners[name] ??= new Set()).add(listener);
		return () => this.off(name, listener);
	}

	off(name, listener) {
		this.#listeners[name]?.delete(listener);
	}

	#emit(name, value) {
		for (const listener of [...(this.#listeners[name] || [])]) this.#call(listener, value, name);
	}

	/** name: of the event, or the channel's. A listener for errors is not told of its own. */
	#call(run, value, name) {
		const bad = (cause) => name != "error" && this.#error("handler", `a handler of '${name}' threw: ${cause?.message}`, { cause });
		try {
			run(value)?.then?.(undefined, bad);
		} catch (cause) {
			bad(cause);
		}
	}

	#error(code, message, more) {
		this.#emit("error", new RingcastError(code, message, more));
	}

	#after(ms, run) {
		const timer = setTimeout(() => {
			this.#timers.delete(timer);
			run();
		}, ms);
		this.#timers.add(timer);
		return timer;
	}

	#stop(timer) {
		clearTimeout(timer);
		this.#timers.delete(timer);
	}

	// ---- the connection

	async #open() {
		const { timeout, transports, ...options } = this.#options;
		const turn = ++this.#turn;
		const mine = () => turn == this.#turn;
		const lost = (code, reason) => mine() && this.#lost(code, reason);
		const hear = (data) => mine() && this.#hear(data);
		const Socket = transports.includes("ws") && (options.WebSocket || globalThis.WebSocket);
		const ws = Socket && !this.#detour;
		let token = options.token;

		this.#told = this.#bye = this.#detour = undefined;
		this.#transport = ws ? "ws" : "sse";
		this.#stop(this.#pause);
		// A network that swallows WebSocket gets less time to show that it has changed.
		this.#pause = this.#after(ws && this.#fell ? timeout / 4 : timeout, () => lost(1006, "no answer in time"));
		try {
			if (typeof token == "function") token = await token();
		} catch (cause) {
			if (mine()) this.#error("unauthorized", `no token was to be had: ${cause?.message}`, { cause });
			return lost(1006, "no token");
		}
		if (!mine()) return;
		const greet = (link) => {
			this.#link = link;
			this.#heard = now();
			this.#bad = 0;
			this.#hello = {};
			if (token) this.#send({ type: "auth", id: "auth", token });
			// Whatever is said behind auth is answered behind it: this answer alone says that we are in.
			this.#probe();
			for (const name of this.#feeds.keys()) this.#changed.add(name);
			this.#ask();
		};
		try {
			if (ws) {
				const query = new URLSearchParams(this.#query);
				query.set("heartbeat", "json");
				query.set("batch", 1);
				const socket = new Socket(this.#base.replace("http", "ws") + "/ws?" + query, "ringcast.v1.json");
				const close = () => socket.close(1000);
				this.#link = { close };
				socket.binaryType = "arraybuffer";
				socket.onopen = () => mine() && greet({ send: (text) => socket.send(text), close });
				socket.onmessage = (message) => hear(message.data);
				socket.onerror = noop;
				socket.onclose = (event) => lost(event.code, event.reason);
				return;
			}
			const control = new AbortController();
			const fetch = options.fetch || globalThis.fetch;
			this.#link = { close: () => control.abort() };
			// Where the gateway can be reached by HTTP, it is WebSocket that is in the way.
			const answer = await fetch(this.#base + "/healthz", { signal: control.signal });
			if (!answer.ok || !(await answer.text()).startsWith("ok")) throw new Error("this is no gateway");
			if (!mine()) return;
			if (!this.#fell) this.#emit("fallback", { transport: "sse", reason: Socket ? "WebSocket is blocked" : "there is no WebSocket" });
			this.#fell = true;
			if (mine()) greet(new Streams(this.#base, this.#query, fetch, token, (message) => hear([message]), lost));
		} catch (cause) {
			lost(1006, cause?.message);
		}
	}

	/** The connection, or the try for one, is over. */
	#lost(code, reason) {
		const { maxDelay, minDelay, maxTries, token, transports, fetch = globalThis.fetch } = this.#options;
		const turn = ++this.#turn;
		const was = this.#up;
		const kind = Math.floor(code / 100);
		const provided = code == 4001 && typeof token == "function" && !this.#refused;
		const random = Math.random();

		if (was && now() - this.#since > 5000) this.#fails = 0;
		this.#refused = code == 4001;
		// Such a code is the gateway's, so WebSocket works.
		if (kind > 39) this.#worked = true;
		this.#detour = this.#transport == "ws" && !this.#worked && ++this.#blocked > 1 && fetch && transports.includes("sse");
		const again = (kind != 40 || provided) && (this.#detour || this.#tries < maxTries);
		this.#down(again ? (this.#ever ? "reconnecting" : "connecting") : "closed");
		for (const [id, ask] of this.#asks) {
			if (!ask.sent) continue;
			ask.sent = false;
			if (ask.publish) clearTimeout(ask.timer);
			if (ask.feeds) this.#asks.delete(id);
			else if (code == 1009) this.#refuse(id, "too_large", "it is larger than the gateway takes");
			else if (!ask.again && !ask.user) this.#refuse(id, "unknown", "the connection broke before the answer");
		}
		if (was) this.#emit("disconnected", { code, reason, again });
		if (turn != this.#turn) return;
		if (!again) {
			const why = kind != 40 ? "offline" : code == 4001 ? "unauthorized" : code == 4003 ? "replaced" : "closed";
			this.#emit("reconnect_failed", new RingcastError(why, `${code} ${reason || "no connection"}`));
			return;
		}
		if (this.#detour) return this.#open();
		let delay = random * Math.min(maxDelay, minDelay * 2 ** this.#fails++);
		if ((kind == 42 || provided) && this.#fails < 4) delay = random * 250;
		// Here the gateway knows when it is time, and nobody who comes back to the page does.
		else if ((this.#told = kind == 41 || code == 1012 || code == 1013)) delay += code == 1012 ? (this.#bye ?? 1000) : 3000;
		this.#emit("reconnecting", { attempt: this.#tries + 1, delay });
		if (turn == this.#turn) this.#after(delay, () => this.#next());
	}

	/** Where there is no network no try is wasted. But what says so may be wrong. */
	#next(sure = globalThis.navigator?.onLine !== false) {
		if (!sure) return this.#after(this.#options.maxDelay, () => this.#next(true));
		this.#tries++;
		this.#open();
	}

	#down(state) {
		const link = this.#link;
		this.#state = state;
		for (const timer of this.#timers) clearTimeout(timer);
		this.#timers.clear();
		this.#link = this.#ping = this.#acking = undefined;
		try {
			link?.close();
		} catch {
			// It is gone in any case.
		}
		this.#asked.clear();
		for (const [name, feed] of this.#feeds) {
			feed.live = false;
			this.#changed.add(name);
		}
	}

	/** Something says that the connection may be dead, or could be had again. */
	#wake() {
		if (this.#up) this.#probe();
		else if (!this.#link && this.#timers.size && !this.#told && this.#turn) this.reconnect();
	}

	reconnect() {
		if (this.#over || this.#up) return this.#up && this.#probe();
		this.#turn++;
		this.#down(this.#ever ? "reconnecting" : "connecting");
		this.#tries = 0;
		this.#next(true);
	}

	close() {
		const was = this.#up;
		if (this.#over) return;
		this.#over = true;
		this.#turn++;
		this.#down("closed");
		for (const unwatch of this.#unwatch) unwatch();
		for (const id of this.#asks.keys()) this.#refuse(id, "closed", "the client was closed");
		for (const feed of this.#feeds.values()) this.#end(feed, new RingcastError("closed", "the client was closed"), true);
		if (was) this.#emit("disconnected", { code: 1000, reason: "", again: false });
	}

	#probe() {
		if (this.#ping || !this.#link?.send) return;
		this.#ping = { id: freshId(), at: now() };
		// The first one has the time of the try.
		if (this.#up) this.#ping.timer = this.#after(3000, () => this.#lost(4201, "no answer to a ping"));
		this.#send({ type: "ping", id: this.#ping.id });
	}

	/** While it is connected, so often that a silence is noticed: of the gateway, or of this machine while it slept. */
	#watch(last = now()) {
		const beat = +this.#hello.heartbeat || 30000;
		const pause = Math.min(beat / 3, 5000);
		this.#after(pause, async () => {
			const at = now();
			this.#watch();
			if (at - last > pause * 2 + 1000 || at - this.#heard > beat + Math.min(beat, 5000)) this.#probe();
			if (at < this.#renewAt || !this.#renewAt) return;
			this.#renewAt = at + 10000;
			const turn = this.#turn;
			try {
				const token = await this.#options.token();
				if (turn == this.#turn && token) this.#send({ type: "refresh", id: "refresh", token });
			} catch (cause) {
				if (turn == this.#turn) this.#error("unauthorized", `no token was to be had: ${cause?.message}`, { cause });
			}
		});
	}

	/** left: the time until the token runs out. By the gateway's clock alone. */
	#renew({ expires }, { timestamp }) {
		const left = expires - Date.parse(timestamp);
		this.#renewAt = left && typeof this.#options.token == "function" ? now() + left - Math.min(left / 4, 60000) : undefined;
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
			// Pretty data has line ends, too, but nowhere in JSON two objects without a comma between them.
			if (typeof data == "string") data = JSON.parse(`[${data.replaceAll("}\n{", "},{")}]`);
			for (const message of data) {
				this.#take(message);
				if (turn != this.#turn) return;
			}
		} catch (cause) {
			// An event may have been lost with it: so the connection is given up, and what was missed comes by recovery.
			this.#error("protocol", `the gateway, or who stands before it, said what can't be understood: ${cause.message}`, { cause });
			if (turn == this.#turn) this.#lost(1002, "the gateway can't be understood");
		}
	}

	#take(message) {
		const { type, id, data, channel, code } = message;
		const ask = this.#asks.get(id);
		switch (type) {
			case "presence":
				if (message.offset === undefined) return this.#answer(id, message);
			case "event":
			case "join":
			case "leave":
				return this.#event(message);
			case "events":
				for (const event of message.events) this.#give(this.#feeds.get(channel), event);
				return;
			case "summary":
				return this.#give(this.#feeds.get(channel), { ...message, event: type, data: message.counts, timestamp: message.to });
			case "gap":
				return this.#gap(this.#feeds.get(channel), message);
			case "positions":
				for (const name in message.positions) {
					const feed = this.#feeds.get(name);
					if (feed?.live) feed.position = message.positions[name];
				}
				return;
			case "subscription-ack":
				for (const name of data.channels) {
					const feed = ask ? ask.feeds.find((feed) => feed.channel == name) : undefined;
					const info = { channel: name, position: own(data.positions, name), recovered: own(data.recovered, name), reason: own(data.reasons, name) };
					if (!ask) this.#emit("subscribed", info);
					else if (feed && this.#asked.get(name) == feed) this.#begin(feed, info);
				}
				if (ask?.feeds.every((feed) => feed.live)) this.#asks.delete(id);
				return;
			case "unsubscription-ack":
				// Not asked for: taken away.
				for (const name of id === undefined ? data.channels : []) {
					const feed = this.#feeds.get(name);
					const { code = "unsubscribed", message = "the gateway ended this subscription" } = this.#replaced || {};
					if (feed?.live) this.#end(feed, new RingcastError(code, message, { channel: name }));
				}
				this.#replaced = undefined;
				return;
			case "ack":
			case "history":
				return this.#answer(id, message);
			case "reply":
				return this.#answer(id, data);
			case "connected":
				this.#hello = message;
				return;
			case "pong":
				return this.#pong(message);
			case "refreshed":
				return this.#renew(message, message);
			case "ping":
				return this.#probe();
			case "bye":
				this.#bye = Math.min(+message.reconnect?.after || 0, 600000);
				return;
			case "error":
				if (id == "auth" && code == "unauthorized") return this.#lost(4001, message.message);
				if (ask?.feeds) return this.#declined(ask, id, message);
				if (ask) return this.#refuse(id, code, message.message, message);
				// Its channel is named by what follows.
				if (code == "replaced") return (this.#replaced = message);
				return this.#error(code, message.message, { temporary: message.temporary });
			default:
				if (typeof type != "string" || ++this.#bad > 9) throw new TypeError("no type that is known");
				this.#error("protocol", `a message of the type '${type}'`);
		}
	}

	#pong(message) {
		if (message.id !== this.#ping?.id) return;
		const rtt = now() - this.#ping.at;
		if (this.#ping.timer) this.#stop(this.#ping.timer);
		this.#ping = undefined;
		this.#rtt = this.#rtt === undefined ? rtt : this.#rtt + (rtt - this.#rtt) / 4;
		if (this.#up) return;
		const again = !!this.#ever;
		this.#stop(this.#pause);
		this.#state = "connected";
		this.#ever = true;
		this.#since = now();
		this.#tries = 0;
		this.#refused = false;
		if (this.#transport == "ws") this.#worked = true, (this.#fell = undefined);
		if (again) this.#counts.reconnects++;
		this.#renew(this.#hello, message);
		this.#watch();
		const { session, user } = this.#hello;
		const turn = this.#turn;
		this.#emit("connected", { session, user, transport: this.#transport, again });
		for (const [id, ask] of this.#asks) if (turn == this.#turn) this.#post(id, ask);
	}

	/** Hot: for each event. */
	#event(event) {
		const { channel, offset, position } = event;
		if (event.direct) return this.#emit("direct", event);
		let route = this.#routes.get(channel);
		if (route?.age != this.#age) route = this.#route(channel, route);
		let { feeds, last } = route;
		if (offset !== undefined && typeof offset != "number") throw new TypeError("an offset that is no number");
		if (feeds.length == 1) return this.#give(feeds[0], event);
		if (!feeds.length) return channel == "$all" && this.#emit("broadcast", event);
		// A stream sends an event once for all of them.
		if (this.#transport == "sse") return feeds.forEach((feed) => this.#give(feed, { ...event }));
		// A WebSocket sends a copy for each, and does not say which is whose. Those of patterns have a position, where any namespace keeps
		// history. Of the feeds that it may be for it goes to the one that is furthest, but not as far as this: each gets its own in order, and
		// one with a filter, which does not get all, what is left. Where none is behind this event, the channel's offsets began anew.
		const may = feeds.map((feed) => feed.live && !(feed.pattern && feed.position ? !position : position));
		let best = -1;
		for (let pass = 0; best < 0 && pass < 2; pass++) {
			if (pass) last = route.last = last.map((offset, i) => (may[i] ? -1 : offset));
			for (let i = 0; i < feeds.length; i++) if (may[i] && last[i] < offset && (best < 0 || last[i] > last[best])) best = i;
			if (!may.includes(true)) return;
		}
		if (!feeds[best].paused) last[best] = offset;
		this.#give(feeds[best], event);
	}

	#route(channel, old) {
		if (typeof channel != "string") throw new TypeError("an event without a channel");
		const feeds = [...this.#feeds.values()].filter((feed) => feed.matches(channel));
		feeds.sort((a, b) => a.view - b.view || b.pattern - a.pattern);
		const route = { age: this.#age, feeds, last: feeds.map((feed) => old?.last[old.feeds.indexOf(feed)] ?? -1) };
		if (this.#routes.size > 4095) this.#routes.clear();
		this.#routes.set(channel, route);
		return route;
	}

	#give(feed, event) {
		if (!feed?.live || feed.paused) return;
		const { offset } = event;
		if (feed.epoch && offset !== undefined) event.position ??= `${feed.epoch}@${offset}`;
		if (feed.wish.ack) return this.#once(feed, event);
		if (!feed.pattern && offset <= feed.seen) {
			// Values of a key come in the order of their turns.
			if (!feed.wish.key) return this.#counts.duplicates++;
		} else {
			if (!feed.pattern) feed.seen = offset;
			if (event.position) feed.position = event.position;
		}
		this.#counts.events++;
		for (const use of feed.uses) use(event);
	}

	#gap(feed, { reason, missed, position }) {
		if (!feed?.live) return;
		feed.moveTo(position, true);
		this.#counts.gaps++;
		this.#emit("gap", { channel: feed.channel, reason, missed, position });
	}

	// ---- acknowledged delivery

	/** Hands it on, unless that was done. */
	#once(feed, event) {
		const { offset, redelivered = 0 } = event;
		const { done } = feed;
		const { timeout = 5000, retries = 3 } = feed.wish.ack;
		const fate = done.get(offset);
		if (fate) {
			this.#counts.duplicates++;
			if (fate > 1) this.#settle(feed, offset, 2);
			return;
		}
		if (done.size > 1023) done.delete(done.keys().next().value);
		done.set(offset, 1);
		this.#counts.events++;
		Promise.all([...feed.uses].map(async (use) => use(event))).then(
			() => this.#settle(feed, offset, 2),
			(cause) => {
				// After the last retry it is a dead letter, as soon as its time is over: an acknowledgement of those behind it must not come before.
				this.#settle(feed, offset, redelivered < retries ? 0 : -now() - timeout - 1000);
				this.#error("handler", `a handler of '${feed.channel}' threw: ${cause?.message}`, { cause, channel: feed.channel });
			},
		);
	}

	#settle(feed, offset, fate) {
		if (feed.done.has(offset)) feed.done.set(offset, fate);
		this.#acks.add(feed);
		if (this.#link) this.#acking ??= this.#after(Math.max(0, this.#ackAt - now()), () => this.#acknowledge());
	}

	/** Up to the first event that is not handled all at once, those behind it one by one; and so that the gateway's limit of messages is kept. */
	#acknowledge() {
		let count = 0;
		this.#acking = undefined;
		for (const feed of this.#acks) {
			const { channel, done, epoch } = feed;
			let all = true;
			let low;
			let tell;
			if (!feed.live) continue;
			for (const [offset, fate] of [...done].sort((a, b) => a[0] - b[0])) {
				if (fate == 2) {
					done.set(offset, 3);
					if (all) tell = true;
					else if (++count) this.#send({ type: "ack", channel, id: `${epoch}@${offset}` });
				} else if (fate == 1 || fate == 0 || -fate > now()) all = false;
				if (all) low = offset;
			}
			if (low !== undefined) feed.position = `${epoch}@${low}`;
			if (tell && ++count) this.#send({ type: "ack", channel, offset: low });
		}
		this.#acks.clear();
		this.#ackAt = now() + 20 * count;
	}

	// ---- what is asked of it

	#change(channel) {
		this.#age++;
		this.#changed.add(channel);
		if (!this.#soon) queueMicrotask(() => this.#ask());
		this.#soon = true;
	}

	/** Subscriptions that were begun or ended in the same moment go in as few messages as can be. */
	#ask() {
		const off = [];
		const groups = new Map();
		this.#soon = false;
		for (const channel of this.#changed) {
			const asked = this.#asked.get(channel);
			let feed = this.#feeds.get(channel);
			if (feed && !feed.uses.size) {
				this.#feeds.delete(channel);
				feed.live = false;
				feed = undefined;
			}
			if (feed?.paused) feed = undefined;
			if (feed == asked) continue;
			if (asked) {
				off.push(channel);
				asked.live = false;
				this.#asked.delete(channel);
			}
			if (!feed || !this.#link?.send) continue;
			const group = feed.kind + (feed.alone ? channel : "");
			this.#asked.set(channel, feed);
			if (groups.get(group)?.length < 100) groups.get(group).push(feed);
			else groups.set(groups.has(group) ? freshId() : group, [feed]);
		}
		this.#changed.clear();
		if (!this.#link?.send) return;
		if (off.length) this.#send({ type: "unsubscribe", channels: off });
		for (const feeds of groups.values()) {
			const id = freshId();
			const since = Object.create(null);
			for (const feed of feeds) {
				feed.asked = feed.bare || feed.wish.summary ? undefined : (feed.position ?? feed.since);
				if (feed.asked !== undefined) since[feed.channel] = feed.asked;
			}
			this.#asks.set(id, { feeds, sent: true });
			this.#send({ type: "subscribe", id, channels: feeds.map((feed) => feed.channel), since, ...feeds[0].wish });
		}
	}

	#begin(feed, info) {
		const { channel, position, recovered } = info;
		const { was, asked, hole = "transport" } = feed;
		const missing = recovered === false ? was || asked !== undefined : was && !recovered;
		feed.moveTo(position, asked !== undefined);
		feed.live = feed.was = true;
		feed.tries = 0;
		feed.hole = undefined;
		feed.accept(info);
		this.#emit("subscribed", info);
		if (missing) this.#gap(feed, { channel, reason: info.reason || hole, position });
	}

	#declined(ask, id, { code, message, temporary, field }) {
		this.#asks.delete(id);
		const feeds = ask.feeds.filter((feed) => this.#asked.get(feed.channel) == feed && !feed.live);
		for (const feed of feeds) {
			const { channel } = feed;
			this.#asked.delete(channel);
			if (temporary) {
				this.#error(code, message, { temporary, channel });
				this.#after((1 + Math.random()) * 1000 * 2 ** Math.min(feed.tries++, 5), () => this.#change(channel));
				continue;
			}
			if (feeds.length > 1) {
				// One of them; which one, each by itself will tell.
				feed.alone = true;
			} else if (code == "forbidden" && feed.was && feed.asked !== undefined) {
				// It may be that only the past is not for this client.
				feed.bare = true;
				feed.hole = code;
			} else {
				this.#end(feed, new RingcastError(code, message, { channel, field }));
				continue;
			}
			this.#change(channel);
		}
	}

	/** Not by its reader. */
	#end(feed, error, quiet) {
		this.#feeds.delete(feed.channel);
		this.#asked.delete(feed.channel);
		this.#age++;
		feed.live = false;
		feed.over = true;
		feed.reject(error);
		for (const use of feed.uses) use(undefined, error);
		feed.uses.clear();
		if (!quiet) this.#emit("error", error);
	}

	#refuse(id, code, message, more) {
		const ask = this.#asks.get(id);
		if (code == "conflict" && ask.user) {
			// Sent again, while the first one is not decided yet.
			ask.sent = false;
			this.#after(500, () => this.#post(id, ask));
			return;
		}
		const { temporary = false, field } = more || {};
		this.#answer(id, new RingcastError(code, message, { temporary, field }));
	}

	#answer(id, value) {
		const ask = this.#asks.get(id);
		if (!ask) return;
		clearTimeout(ask.timer);
		this.#asks.delete(id);
		if (ask.feeds) return;
		if (value instanceof RingcastError) ask.reject(value);
		else ask.resolve(value);
	}

	#request(message, { publish, idempotent: again, timeout = this.#options.timeout } = {}) {
		const promise = new Promise((resolve, reject) => {
			const fail = (code, text, more) => reject(new RingcastError(code, text, more));
			const { id } = message;
			const ask = { resolve, reject, publish, again };
			if (this.#over) return fail("closed", "the client was closed");
			if (this.#state == "closed" && !publish) return fail("offline", "there is no connection, and none is tried");
			if (publish && !this.#up && this.#queued >= this.#options.queue) return fail("queue_full", "too much waits for a connection");
			if (this.#asks.has(id)) return fail("conflict", "what has this id waits for its answer", { temporary: true });
			try {
				ask.text = JSON.stringify(message);
			} catch (cause) {
				return fail("bad_argument", cause.message, { cause });
			}
			ask.late = (ms) => {
				clearTimeout(ask.timer);
				ask.timer = setTimeout(() => this.#refuse(id, ask.sent ? "timeout" : "offline", "no answer in time"), ms);
			};
			if (!publish) ask.late(timeout);
			this.#asks.set(id, ask);
			this.#post(id, ask);
		});
		promise.catch(noop);
		return promise;
	}

	#post(id, ask) {
		if (!this.#up || ask.sent || this.#asks.get(id) != ask) return;
		if (ask.publish) {
			const { user } = this.#hello;
			if (ask.user && ask.user != user) return this.#refuse(id, "unknown", "it was sent by another user, and not answered");
			ask.user = user;
			ask.late(this.#options.timeout);
		}
		ask.sent = true;
		if (now() - this.#heard > 5000) this.#probe();
		this.#link.send(ask.text);
	}

	publish(channel, event, data = null, { id = freshId(), echo } = {}) {
		return this.#request({ type: "publish", channel, event, data, id, echo }, { publish: true });
	}

	command(action, options) {
		return this.#request({ type: "command", id: freshId(), action, idempotent: options?.idempotent }, options);
	}

	send(type, payload = null, options) {
		return this.#request({ type, id: freshId(), payload, idempotent: options?.idempotent }, options);
	}

	presence(channel) {
		return this.#request({ type: "presence", id: freshId(), channel }, { idempotent: true });
	}

	history(channel, { since, before, limit } = {}) {
		return this.#request({ type: "history", id: freshId(), channel, since, before, limit }, { idempotent: true });
	}

	subscribe(channel, handler, options) {
		if (typeof handler != "function") [handler, options] = [undefined, handler];
		const { since, filter, rate, key, window, summary, ack, buffer = 1024 } = options || {};
		const clientId = ack ? this.#options.clientId : undefined;
		const fresh = new Feed(channel, { filter, rate, key, window, summary, ack: ack || undefined, clientId }, since);
		let feed = this.#feeds.get(channel);
		let at;
		let lost = 0;
		let closed;

		if (feed?.kind != fresh.kind) {
			if (feed?.uses.size) throw new RingcastError("bad_argument", `'${channel}' is subscribed with other options`);
			for (const other of this.#feeds.values())
				if (fresh.view && other.view && other.uses.size && meets(other.levels, fresh.levels))
					throw new RingcastError("bad_argument", `'${channel}' and '${other.channel}' overlap: only one may have a filter, a rate or a window`);
			feed = fresh;
			if (!this.#over) this.#feeds.set(channel, feed);
		}
		const leave = () => {
			if (closed) return;
			closed = true;
			reader.end();
			feed.uses.delete(use);
			if (!feed.uses.size && !feed.over) this.#change(channel);
		};
		const reader = new Reader((left) => {
			if (left > buffer / 2) return;
			if (lost) this.#gap(feed, { reason: "overflow", missed: lost, position: feed.position });
			lost = 0;
			if (feed.paused != 1) return;
			// Not at once, or a slow reader would ask more often than it may.
			feed.paused = 2;
			setTimeout(() => {
				feed.paused = 0;
				this.#change(channel);
			}, 50);
		}, leave);
		const use = (event, error) => {
			if (error) {
				closed = true;
				reader.end(error.code == "closed" ? undefined : error);
			} else if (handler) {
				if (ack) return handler(event);
				this.#call(handler, event, channel);
			} else if (ack) return new Promise((settle) => reader.push(event, settle));
			else if (lost || reader.size >= buffer) lost++;
			else {
				reader.push(event, () => (at = event.position));
				if (reader.size < buffer || feed.uses.size > 1) return;
				feed.paused = 1;
				feed.hole = "overflow";
				this.#change(channel);
			}
		};
		feed.uses.add(use);
		if (feed.paused) feed.paused = 0;
		if (this.#over) this.#end(feed, new RingcastError("closed", "the client was closed"), true);
		else this.#change(channel);
		feed.ready.then((info) => (at ??= info.position), noop);
		return {
			channel,
			ready: feed.ready,
			unsubscribe: leave,
			get position() {
				return handler ? feed.position : at;
			},
			get state() {
				return closed || feed.over ? "closed" : feed.live ? "subscribed" : "waiting";
			},
			[Symbol.asyncIterator]() {
				if (handler) throw new RingcastError("bad_argument", "what has a handler is not read");
				return reader;
			},
		};
	}
}

/** As in ringcast.d.ts. */
export function connect(url, options) {
	return new Client(url, options);
}
