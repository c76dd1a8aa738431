// SPDX-License-Identifier: Apache-2.0

/** Where events are wanted from: a position, a stream position, "beginning", a time in ISO 8601, or milliseconds since 1970. */
export type Since = string | number;

export type State = "connecting" | "connected" | "reconnecting" | "closed";
export type Transport = "ws" | "sse";
export type Quality = "good" | "fair" | "poor" | "offline";

export interface Options {
	/** A token, or where to get one: asked for at each connect, before it runs out, and once more when it is refused. */
	token?: string | (() => string | undefined | Promise<string | undefined>) | undefined;
	/** Names this client among those of its user, for acknowledged delivery that outlives a connection. */
	clientId?: string | undefined;
	/** Added to the query of /ws and /events. */
	query?: Record<string, string> | undefined;
	/** The longest pause before a try, in milliseconds; each is a random part of one that doubles. 30000. */
	maxDelay?: number | undefined;
	/** The first of these pauses, in milliseconds. 500. */
	minDelay?: number | undefined;
	/** Tries in a row until reconnect_failed. Infinity. */
	maxTries?: number | undefined;
	/** For one try to connect, and for an answer of the gateway, in milliseconds. 10000. */
	timeout?: number | undefined;
	/** What is published while there is no connection is kept up to so many events; 0 keeps none. Then it is sent, however long that took. 100. */
	queue?: number | undefined;
	/** Which ways may be taken; WebSocket is tried first. ["ws", "sse"]. */
	transports?: Transport[] | undefined;
	/** What stands in for the global of that name. */
	WebSocket?: unknown;
	/** What stands in for the global of that name. */
	fetch?: typeof fetch | undefined;
	/** Node's entry alone: options of node:tls, as `ca`, `cert`, `key`, `servername`. */
	tls?: object | undefined;
}

/** A subscription with filter, rate or window may not overlap another: of an event that both match nobody could tell whose copy is whose. */
export interface SubscribeOptions {
	/** Of the first subscription to a channel; whoever joins it hears what comes from then on. */
	since?: Since | undefined;
	filter?: string | undefined;
	/** Events a second, the newest kept. */
	rate?: number | undefined;
	/** With rate: for each value of this member of the data. */
	key?: string | undefined;
	/** Milliseconds whose events come as one message. */
	window?: number | undefined;
	/** With window: counts by event name instead of events. */
	summary?: boolean | undefined;
	/** Events are acknowledged when the handler has returned, or what it returned has resolved; one that throws is sent again. */
	ack?: boolean | { timeout?: number | undefined; retries?: number | undefined; window?: number | undefined } | undefined;
	/**
	 * For `for await`: events kept for a reader that is slower than they come. Beyond it the gateway is asked to pause, and goes on from there: what
	 * it does not keep is a gap. Where others share the subscription, or its events with another pattern, they are not made to wait, and what has no room is a gap `overflow`. 1024.
	 */
	buffer?: number | undefined;
}

export interface Event<T = any> {
	type: "event" | "join" | "leave" | "presence" | "summary";
	channel: string;
	event: string;
	data: T;
	timestamp: string;
	offset?: number;
	/** Behind this event: of the channel, or through a pattern the stream's, where the gateway keeps history. */
	position?: string;
	user?: string;
	/** The n-th time that it comes again. */
	redelivered?: number;
	encoding?: "base64";
	traceparent?: string;
	/** Of a summary. */
	counts?: Record<string, number>;
}

export interface Subscribed {
	channel: string;
	position?: string;
	/** Absent where nothing was to be recovered. */
	recovered?: boolean;
	reason?: string;
}

export interface Gap {
	channel: string;
	/**
	 * slow, trimmed, forbidden: the gateway's; epoch, ahead, too_many, new: a recovery that was not possible; overflow: of a reader that was too slow;
	 * transport: the way there can't say from where on, as with a pattern where no namespace keeps history.
	 */
	reason: string;
	/** Absent where nobody knows. */
	missed?: number;
	position?: string;
}

export class RingcastError extends Error {
	/**
	 * The gateway's, or one of: offline, closed, timeout, unknown (sent, and no answer), queue_full, conflict (its id waits for an answer already),
	 * too_large, bad_argument, handler, protocol (what came can't be understood), unsubscribed (by the gateway), replaced, unauthorized.
	 */
	code: string;
	temporary: boolean;
	/** Of invalid_data. */
	field?: string;
	channel?: string;
	cause?: unknown;
}

export type Handler<T = any> = (event: Event<T>) => unknown;

export interface Subscription<T = any> extends AsyncIterable<Event<T>> {
	readonly channel: string;
	/** Of the last event that was handled (of a reader: when it asks for the next), or of the acknowledgement: give it as `since` to go on there. */
	readonly position: string | undefined;
	readonly state: "waiting" | "subscribed" | "closed";
	/** Resolves with the first acknowledgement, rejects when the gateway refuses. What may pass is tried again meanwhile, and told by `error`. */
	readonly ready: Promise<Subscribed>;
	unsubscribe(): void;
}

export interface Connected {
	/** Absent on event streams. */
	session?: string;
	user?: string;
	transport: Transport;
	/** Not the first one. */
	again: boolean;
}

export interface Disconnected {
	/** Of the close; 1006 without one, 1002 and 4201 also where it was given up here: for nonsense, for silence. */
	code: number;
	reason: string;
	/** It will be tried again. */
	again: boolean;
}

export interface Events {
	connected: (info: Connected) => void;
	disconnected: (info: Disconnected) => void;
	/** Before each pause: which try follows it, and when. */
	reconnecting: (info: { attempt: number; delay: number }) => void;
	reconnect_failed: (error: RingcastError) => void;
	subscribed: (info: Subscribed) => void;
	gap: (gap: Gap) => void;
	/** What no promise carries, and each subscription that is refused or ended by the gateway. Never thrown, also when nobody listens. */
	error: (error: RingcastError) => void;
	/** WebSocket is blocked on the way; from here on it is another transport. */
	fallback: (info: { transport: Transport; reason: string }) => void;
	/** What is sent to this user or session: it is in no channel. */
	direct: (event: Omit<Event, "channel">) => void;
	/** What is sent to everybody. */
	broadcast: (event: Event) => void;
}

export interface Metrics {
	state: State;
	transport?: Transport;
	/** Milliseconds, smoothed. */
	rtt?: number;
	quality: Quality;
	/** Connections after the first. */
	reconnects: number;
	gaps: number;
	/** Events that came twice and were handed on once. */
	duplicates: number;
	events: number;
	/** Publishes that wait for a connection. */
	queued: number;
	/** Milliseconds of this connection. */
	connectedFor: number;
}

export interface HistoryOptions {
	since?: Since | undefined;
	before?: string | undefined;
	limit?: number | undefined;
}

export interface History<T = any> {
	channel: string;
	events: Event<T>[];
	position: string;
	first?: string;
	complete: boolean;
	more: boolean;
}

export interface Presence {
	channel: string;
	users: { user: string; connections: number; info?: any }[];
	count: number;
	clients: number;
	anonymous: number;
	complete: boolean;
}

export class Client {
	readonly state: State;
	readonly session: string | undefined;
	readonly user: string | undefined;
	readonly transport: Transport | undefined;
	/** A snapshot. */
	readonly metrics: Metrics;
	/**
	 * A channel or a pattern. Without a handler the subscription is read by `for await`. Each handler is called once for each event, in order, also
	 * where subscriptions overlap. Throws bad_argument where the channel is subscribed with other options.
	 */
	subscribe<T = any>(channel: string, handler: Handler<T>, options?: SubscribeOptions): Subscription<T>;
	subscribe<T = any>(channel: string, options?: SubscribeOptions): Subscription<T>;
	/** Returns what takes the listener off again. */
	on<K extends keyof Events>(name: K, listener: Events[K]): () => void;
	off<K extends keyof Events>(name: K, listener: Events[K]): void;
	/** Resolves when the event has its place. Without a connection it waits in the queue. echo: false keeps it from this client, but where WebSocket is blocked. */
	publish(channel: string, event: string, data?: unknown, options?: { id?: string | undefined; echo?: boolean | undefined }): Promise<{ position: string }>;
	/** {"type":"command"}: resolves with what the backend answers. Waits for a connection until its timeout; never said twice, unless idempotent. */
	command<R = any>(action: unknown, options?: { timeout?: number | undefined; idempotent?: boolean | undefined }): Promise<R>;
	/** A message of a type of your own. */
	send<R = any>(type: string, payload?: unknown, options?: { timeout?: number | undefined; idempotent?: boolean | undefined }): Promise<R>;
	presence(channel: string): Promise<Presence>;
	history<T = any>(channel: string, options?: HistoryOptions): Promise<History<T>>;
	/** Tries at once, also after reconnect_failed or a close that said not to. */
	reconnect(): void;
	/** For good: subscriptions end, promises are rejected with `closed`. */
	close(): void;
}

/** url: of the gateway, http, https, ws or wss, with a path where a proxy adds one. In a page without it: where the page came from. */
export function connect(url?: string | URL, options?: Options): Client;
export const version: string;
