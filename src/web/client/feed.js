// SPDX-License-Identifier: Apache-2.0
// A channel or pattern as the gateway knows it, which any number of handlers and readers share; and what is read by `for await`.

export const noop = () => {};

/** Of an object that came as JSON, where every name may be a channel's. */
export const own = (object, name) => (object && Object.hasOwn(object, name) ? object[name] : undefined);

/** Whether some channel is meant by both: names and patterns as arrays of their levels. */
export function meets(a, b) {
	const [x, ...rest] = a;
	const [y, ...more] = b;
	if (x == "**") return !b.includes("");
	if (y == "**") return !a.includes("");
	if (!a.length || !b.length) return a.length == b.length;
	return (x == y || (x == "*" && y != "") || (y == "*" && x != "")) && meets(rest, more);
}

export class Feed {
	/** Who is told of its events: a function for each. */
	uses = new Set();
	/** Acknowledged by the gateway on this connection; was: on an earlier one, too. */
	live = false;
	was = false;
	paused = false;
	tries = 0;
	/** The offset of the newest event, and in front of which epoch's it stands. */
	seen = -1;
	/** Acknowledged delivery: what became of each of the last events, by offset. 1: in the handler's hands, 2: handled, 3: and the gateway knows;
	 *  0: failed, and below 0 failed for good, with the time until which the gateway may still wait. */
	done = new Map();

	constructor(channel, wish, since) {
		this.channel = channel;
		this.wish = wish;
		this.since = since;
		this.kind = JSON.stringify(wish);
		this.levels = channel.split(":");
		this.pattern = this.levels.some((level) => level == "*" || level == "**");
		this.view = !!(wish.filter || wish.rate || wish.window);
		this.ready = new Promise((resolve, reject) => {
			this.accept = resolve;
			this.reject = reject;
		});
		this.ready.catch(noop);
	}

	matches(channel) {
		return this.pattern
			? (channel[0] != "$" || this.channel[0] == "$") && meets(this.levels, channel.split(":"))
			: this.channel == channel;
	}

	/** A position that the gateway told: what comes next is behind it. */
	moveTo(position, replayed) {
		if (typeof position != "string") return;
		const [epoch, offset] = position.split("@");
		if (this.epoch != epoch) this.done.clear();
		this.position = position;
		this.epoch = offset && epoch;
		// Without `since` the newest event may follow, which this position stands behind.
		this.seen = offset && replayed ? +offset : -1;
	}
}

/** The events that wait for a reader who takes them one by one. */
export class Reader {
	#events = [];
	#waiting = [];
	#settle = noop;
	#over = false;
	#error;
	#read;
	#leave;

	/** read(how many are left), leave(): called when an event was taken, when the reader goes. */
	constructor(read, leave) {
		this.#read = read;
		this.#leave = leave;
	}

	get size() {
		return this.#events.length;
	}

	/** settle: called when the reader has done with it. */
	push(event, settle = noop) {
		this.#events.push([event, settle]);
		this.#serve();
	}

	/** error: what the reader is told behind the last event. */
	end(error) {
		this.#over = true;
		this.#error = error;
		if (!error) this.#events = [];
		this.#serve();
	}

	#serve() {
		while (this.#waiting.length && (this.#over || this.#events.length)) {
			const [resolve, reject] = this.#waiting.shift();
			const [value, settle] = this.#events.shift() || [];
			if (settle) {
				this.#settle = settle;
				resolve({ value, done: false });
				this.#read(this.#events.length);
			} else if (this.#error) {
				reject(this.#error);
				this.#error = undefined;
			} else resolve({ value, done: true });
		}
	}

	next() {
		this.#settle();
		this.#settle = noop;
		const promise = new Promise((...both) => this.#waiting.push(both));
		promise.catch(noop);
		this.#serve();
		return promise;
	}

	return(value) {
		this.#leave();
		return Promise.resolve({ value, done: true });
	}

	[Symbol.asyncIterator]() {
		return this;
	}
}
