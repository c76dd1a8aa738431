// SPDX-License-Identifier: Apache-2.0
// A channel or pattern as the gateway knows it, which any number of handlers and readers share.

export const noop = () => {};

/** What stands between the colons, behind whether it is a name of the gateway's own: only a pattern that begins so means such. */
export const levels = (name) => [name[0] == "$", ...name.split(":")];

/** Whether some channel is meant by both: names and patterns as arrays of their levels. */
export function meets([x, ...a], [y, ...b]) {
	if (x == "**" || y == "**") return ![x, y, ...a, ...b].includes("");
	if (x != y && (x != "*" || !y) && (y != "*" || !x)) return false;
	return a.length && b.length ? meets(a, b) : a.length == b.length;
}

export class Feed {
	/** Who is told of its events: a function for each. */
	uses = new Set();
	tries = 0;
	/** The offset of the newest event. */
	seen = -1;
	/** With ack: what became of the last events, by offset. 1: in the handler's hands, 2: handled, 3: and the gateway knows; 0: failed; below 0: failed
	 *  for good, and until when the gateway may still wait. */
	done = new Map();
	/** Of a pattern, by channel: offset and timestamp of the last event that it was given. */
	last = new Map();

	// live: acknowledged by the gateway, and its events are wanted. was: it was so once. id: of the message that asked for it. asked: the `since` of
	// that. mixed: it overlaps another, and may get its copies. shares: it has had such that can't be told apart from its own. paused: 1 by a reader that is full, 2 and soon no more. alone: asked for by itself. bare: without
	// `since`. hole: why there is a gap if nothing is recovered. over: it ended, and not by its users.
	constructor(channel, wish, since) {
		this.channel = channel;
		this.wish = wish;
		this.since = since;
		this.kind = JSON.stringify(wish);
		this.levels = levels(channel);
		this.pattern = channel.includes("*");
		this.view = wish.filter || wish.rate || wish.window;
		this.ready = new Promise((resolve, reject) => {
			this.accept = resolve;
			this.reject = reject;
		});
		this.ready.catch(noop);
	}

	/** A position that the gateway told: what comes next is behind it. */
	moveTo(position, replayed) {
		if (!position) return;
		const [epoch, offset] = position.split("@");
		if (this.epoch != epoch) this.done.clear();
		this.position = position;
		this.epoch = offset && epoch;
		// Without `since` the newest event may follow, which this position stands behind.
		this.seen = offset && replayed ? +offset : -1;
	}
}
