// SPDX-License-Identifier: Apache-2.0
"use client";
// The client in React, 18 or 19: a provider that owns a connection, and hooks that show what comes over it.
//
// A render makes nothing that has to be undone: it may be thrown away, repeated (StrictMode), or happen on a server. A client and a subscription are made there, but only an effect starts them. What an effect's
// cleanup ends is ended a microtask later, unless the effect is run again by then: StrictMode does both within one task, in which no message can come.
import { createContext, createElement, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { Client } from "./ringcast.js";

const Context = createContext(undefined);
const none = {};
const lookEvery = 5000;

// ---- The provider

// Two sets of options are the same when this is. Functions that are called are not part of it, but whether there are any: the newest are the ones that are called.
function connectionKey(url, o) {
	return JSON.stringify([
		url && String(url), typeof o.token === "function" || o.token, o.clientId, Object.entries(o.query ?? none).sort(), o.maxDelay, o.minDelay, String(o.maxTries), o.timeout, o.queue, o.transports, !!o.fetch,
	]);
}

// A client with what is known of its life. None without a key: then the application has one.
function owned(key, url, latest, options) {
	if (key === undefined) return {};
	const given = { ...options };
	if (typeof options.token === "function") given.token = () => latest.current.token();
	if (options.fetch) given.fetch = (...request) => latest.current.fetch(...request);
	// On a server there is no page that says where the gateway is, and nothing is started.
	return { key, WebSocket: options.WebSocket, client: new Client(url ?? globalThis.location?.origin ?? "http://localhost", given), started: false, held: false, over: false };
}

function useOwned(key, url, options) {
	const latest = useRef(options);
	const [kept, keep] = useState(() => owned(key, url, latest, options));
	let mine = kept;
	if (kept.key !== key || (key !== undefined && kept.WebSocket !== options.WebSocket)) keep((mine = owned(key, url, latest, options)));
	useEffect(() => {
		latest.current = options;
	});
	useEffect(() => {
		if (!mine.client) return undefined;
		// Shown again after it was hidden: that client has been closed for good.
		if (mine.over) {
			keep(owned(key, url, latest, options));
			return undefined;
		}
		mine.held = true;
		if (!mine.started) {
			mine.started = true;
			mine.client.reconnect();
		}
		return () => {
			mine.held = false;
			queueMicrotask(() => {
				if (mine.held || mine.over) return;
				mine.over = true;
				mine.client.close();
			});
		};
		// The key stands for url and options.
	}, [mine]);
	return mine.client;
}

export function RingcastProvider({ client, url, options = none, children }) {
	const own = useOwned(client ? undefined : connectionKey(url, options), url, options);
	return createElement(Context.Provider, { value: client ?? own }, children);
}

function useClient(hook) {
	const client = useContext(Context);
	if (!client) throw new Error(`${hook} needs a RingcastProvider above it`);
	return client;
}

// ---- How the connection does

// What a server shows, and the first render of a page that goes on with it, whatever the client is doing by then.
const notYet = Object.freeze({ state: "connecting", transport: undefined, rtt: undefined, quality: "offline", reconnects: 0, gaps: 0, duplicates: 0, events: 0, queued: 0, connectedFor: 0 });

// One for each client, whoever asks: what it shows is the same object until something has changed.
const watches = new WeakMap();

class Watch {
	#client;
	#listeners = new Set();
	#stops = [];
	#shown;
	#first;

	constructor(client) {
		this.#client = client;
		this.#shown = this.#look();
		this.#first = { client, state: "connecting", transport: undefined, metrics: notYet };
	}

	#look() {
		const { state, transport, metrics } = this.#client;
		return { client: this.#client, state, transport, metrics };
	}

	#tell = () => {
		this.#shown = this.#look();
		for (const listener of [...this.#listeners]) listener();
	};

	subscribe = (listener) => {
		// An own function for each: who asks twice is told twice, and stops once.
		const own = () => listener();
		this.#listeners.add(own);
		if (this.#listeners.size === 1) {
			const timer = setInterval(this.#tell, lookEvery);
			const names = ["connected", "disconnected", "reconnecting", "reconnect_failed", "fallback"];
			this.#stops = [() => clearInterval(timer), ...names.map((name) => this.#client.on(name, this.#tell))];
		}
		return () => {
			this.#listeners.delete(own);
			if (this.#listeners.size === 0) for (const stop of this.#stops.splice(0)) stop();
		};
	};

	shown = () => {
		const { state, transport } = this.#client;
		if (state !== this.#shown.state || transport !== this.#shown.transport) this.#shown = this.#look();
		return this.#shown;
	};

	first = () => this.#first;
}

function watchOf(client) {
	let watch = watches.get(client);
	if (!watch) watches.set(client, (watch = new Watch(client)));
	return watch;
}

export function useRingcast() {
	const watch = watchOf(useClient("useRingcast"));
	return useSyncExternalStore(watch.subscribe, watch.shown, watch.first);
}

// ---- A channel

function channelKey(channel, o) {
	const ack = o.ack && typeof o.ack === "object" ? [o.ack.timeout, o.ack.retries, o.ack.window] : o.ack;
	return JSON.stringify([channel, o.since, o.filter, o.rate, o.key, o.window, o.summary, ack]);
}

const empty = Object.freeze([]);
const atFirst = Object.freeze({ events: empty, last: undefined, state: "waiting", gap: undefined, error: undefined });
const skipped = Object.freeze({ ...atFirst, state: "closed" });

// Feeds that nobody shows any more, until the microtask that ends them. Of each client's.
const leaving = new WeakMap();

// What one component has of one channel. `latest` has its newest options: keep and onEvent may change without a new subscription.
class Feed {
	#client;
	#channel;
	#options;
	#latest;
	#listeners = new Set();
	#stops = [];
	#subscription;
	#position;
	// Events that are not shown yet; those that are shown are never changed.
	#fresh = [];
	#gap;
	#error;
	#shown = atFirst;

	constructor(client, channel, options, latest) {
		const { keep, onEvent, skip, ...rest } = options;
		this.#client = client;
		this.#channel = channel;
		this.#options = rest;
		this.#latest = latest;
	}

	#tell = () => {
		for (const listener of [...this.#listeners]) listener();
	};

	#keep() {
		const { keep = 100 } = this.#latest.current;
		return keep;
	}

	#take(event) {
		// One that is sent again, since it was not acknowledged, stands here already.
		const again = (e) => e.offset === event.offset && e.channel === event.channel;
		if (!event.redelivered || !(this.#fresh.some(again) || this.#shown.events.some(again))) {
			this.#fresh.push(event);
			// Nobody may look for long, as in a tab that is hidden.
			const keep = this.#keep();
			if (this.#fresh.length > 2 * keep + 64) this.#fresh.splice(0, this.#fresh.length - Math.max(keep, 1));
		}
		this.#tell();
		return this.#latest.current.onEvent?.(event);
	}

	#start() {
		this.#error = undefined;
		// A client has a channel in one way at a time: what goes makes room for what comes in the same render.
		for (const feed of [...(leaving.get(this.#client) ?? [])]) feed.#leave();
		// Where nothing could be subscribed it is another's.
		const mine = ({ channel }) => this.#subscription && channel === this.#channel;
		const fail = (error) => {
			this.#error = error;
			this.#tell();
		};
		this.#stops = [
			this.#client.on("gap", (gap) => {
				if (!mine(gap)) return;
				this.#gap = gap;
				this.#tell();
			}),
			this.#client.on("error", (error) => mine(error) && fail(error)),
			this.#client.on("subscribed", (info) => {
				// What was refused for a while is not any more.
				if (mine(info)) this.#error = undefined;
				this.#tell();
			}),
			...["disconnected", "reconnect_failed"].map((name) => this.#client.on(name, this.#tell)),
		];
		try {
			const since = this.#position ?? this.#options.since;
			const subscription = this.#client.subscribe(this.#channel, (event) => this.#take(event), { ...this.#options, since });
			this.#subscription = subscription;
			subscription.ready.then(this.#tell, (error) => this.#subscription === subscription && fail(error));
		} catch (error) {
			fail(error);
		}
	}

	#stop() {
		for (const stop of this.#stops.splice(0)) stop();
		// Who comes back goes on where this one was.
		this.#position = this.#subscription?.position ?? this.#position;
		this.#subscription?.unsubscribe();
		this.#subscription = undefined;
	}

	#leave() {
		leaving.get(this.#client)?.delete(this);
		if (this.#listeners.size === 0 && this.#stops.length) this.#stop();
	}

	subscribe = (listener) => {
		const own = () => listener();
		this.#listeners.add(own);
		if (this.#stops.length === 0) this.#start();
		return () => {
			this.#listeners.delete(own);
			if (!leaving.has(this.#client)) leaving.set(this.#client, new Set());
			leaving.get(this.#client).add(this);
			queueMicrotask(() => this.#leave());
		};
	};

	shown = () => {
		const at = this.#shown;
		// A subscription that could not be made is over as well.
		const state = this.#subscription?.state ?? (this.#error ? "closed" : "waiting");
		if (this.#fresh.length === 0 && at.state === state && at.gap === this.#gap && at.error === this.#error) return at;
		const keep = this.#keep();
		const fresh = this.#fresh.splice(0);
		const events = fresh.length === 0 ? at.events : keep > 0 ? [...at.events, ...fresh].slice(-keep) : empty;
		this.#shown = { events, last: fresh.at(-1) ?? at.last, state, gap: this.#gap, error: this.#error };
		return this.#shown;
	};

	// The same without a subscription.
	paused = () => {
		if (this.#shown === atFirst) return skipped;
		if (this.#shown.state !== "closed") this.#shown = { ...this.#shown, state: "closed" };
		return this.#shown;
	};
}

const waiting = () => atFirst;
const skipping = () => skipped;
const nothing = () => () => {};

export function useChannel(channel, options = none) {
	const client = useClient("useChannel");
	const key = channelKey(channel, options);
	const latest = useRef(options);
	const made = () => ({ client, key, feed: new Feed(client, channel, options, latest) });
	const [kept, keep] = useState(made);
	let mine = kept;
	if (kept.client !== client || kept.key !== key) keep((mine = made()));
	// In front of the subscription, whose events go to what stands here.
	useEffect(() => {
		latest.current = options;
	});
	const { feed } = mine;
	return useSyncExternalStore(options.skip ? nothing : feed.subscribe, options.skip ? feed.paused : feed.shown, options.skip ? skipping : waiting);
}
