// SPDX-License-Identifier: Apache-2.0
// Subscriptions that overlap, begun, left and read at random while events come and the way is cut: each handler has every event behind its first
// one, once and in order. OVERLAP_SEED has a run again, OVERLAP_RUNS makes more of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { KEPT, client, gateway, soon, tunnel, until } from "./rig.mjs";

const first = Number(process.env.OVERLAP_SEED ?? Math.floor(Math.random() * 1e6));
const runs = Number(process.env.OVERLAP_RUNS ?? 3);
const channels = ["x:1", "x:2", "y:1"];
const names = ["x:1", "x:2", "y:1", "x:*", "*:1", "**"];
const settings = { ...KEPT, "namespace.history_size": 100000, "namespace.history_bytes": "16MiB" };

const matches = (name, channel) => name == "**" || name.split(":").every((level, i) => level == "*" || level == channel.split(":")[i]);

/** Numbers below n, always the same ones for a seed. */
function chance(seed) {
	let state = (seed * 7919 + 13) % 2147483647 || 1;
	return (n) => (state = (state * 48271) % 2147483647) % n;
}

class Hearer {
	got = {};
	wrong = [];

	constructor(c, name, reads) {
		this.name = name;
		this.subscription = reads ? c.subscribe(name, { buffer: 1e6 }) : c.subscribe(name, (event) => this.take(event));
		if (reads) this.reading = this.read();
	}

	async read() {
		for await (const event of this.subscription) this.take(event);
	}

	take({ channel, offset }) {
		const last = this.got[channel];
		if (this.left) this.wrong.push(`${this.name} was left, and has ${channel} ${offset}`);
		if (!matches(this.name, channel)) this.wrong.push(`${this.name} has ${channel}`);
		if (last && offset != last + 1) this.wrong.push(`${this.name} has ${channel} ${offset} behind ${last}`);
		this.got[channel] = offset;
	}

	leave() {
		this.left = true;
		this.subscription.unsubscribe();
	}
}

for (const [transport, cuts] of [["ws", true], ["sse", false]])
	for (let seed = first; seed < first + runs; seed++)
		test(`overlapping subscriptions over ${transport}, seed ${seed}`, async (t) => {
			const rnd = chance(seed);
			const g = await gateway(t, settings, { shards: 1 + rnd(2) });
			const way = await tunnel(t, g.port);
			const c = client(t, way.url, { transports: [transport], minDelay: 5, maxDelay: 30 });
			const published = Object.fromEntries(channels.map((channel) => [channel, 0]));
			const publish = (list) => {
				for (const channel of list) published[channel]++;
				return g.publish(list.map((channel) => ({ channel, event: "n", data: 1 })));
			};
			const all = [];
			const there = () => all.filter((one) => !one.left);
			const wrong = () => all.flatMap((one) => one.wrong);

			await until(() => c.state == "connected");
			for (let step = 0; step < 80 && !wrong()[0]; step++) {
				for (let n = rnd(4); n >= 0; n--) {
					const what = rnd(10);
					if (what < 4 && there().length < 8) all.push(new Hearer(c, names[rnd(names.length)], rnd(4) == 0));
					else if (what > 6 && there()[0]) there()[rnd(there().length)].leave();
				}
				const sent = publish(Array.from({ length: 1 + rnd(30) }, () => channels[rnd(3)]));
				await (rnd(2) ? sent : g.get("/api/channels?limit=1"));
				if (cuts && rnd(12) == 0) way.cut();
			}
			await until(() => c.state == "connected" && there().every((one) => one.subscription.state == "subscribed"), "all are subscribed");
			await soon(publish(channels));
			const whole = (one) => channels.every((channel) => !matches(one.name, channel) || one.got[channel] == published[channel]);
			await until(() => wrong()[0] || there().every(whole), () => `all have come: ${there().map((one) => `${one.name} ${JSON.stringify(one.got)}`)} of ${JSON.stringify(published)}`);
			assert.deepEqual(wrong(), []);
			assert.deepEqual([c.record.gap, c.record.error], [[], []]);
		});
