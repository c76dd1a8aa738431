// SPDX-License-Identifier: Apache-2.0
// Acknowledged delivery: each event is handled until that succeeds, and once it has not again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { KEPT, KEYS, client, gateway, soon, token, tunnel, until } from "./rig.mjs";

const numbers = (count, from = 0) => Array.from({ length: count }, (_, i) => from + i);
const unacknowledged = async (g, channel) => (await g.get(`/api/channels/${channel}`)).consumers?.unacknowledged;

test("events are acknowledged when their handlers are done, far fewer messages than events", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const seen = [];
	const s = c.subscribe("jobs", async (e) => seen.push(e.data), { ack: { window: 200 } });
	await soon(s.ready);
	await g.fill("jobs", 900);
	await until(() => seen.length == 900);
	await until(async () => (await unacknowledged(g, "jobs")) === 0, "all acknowledged");
	assert.deepEqual(seen, numbers(900));
	await until(() => s.position.endsWith("@900"));
	const status = await g.get("/api/status");
	const [detail] = Object.values(status.clientDetails);
	assert.ok(detail.messagesIn < 60, `${detail.messagesIn} messages`);
	assert.deepEqual(c.record.error, []);
});

test("one that failed comes again, those behind it do not, and nothing waits for it", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const calls = [];
	let fail = 2;
	await soon(
		c.subscribe(
			"jobs",
			(e) => {
				calls.push(e.data);
				if (e.data == 3 && fail-- > 0) throw new Error("not now");
			},
			{ ack: { timeout: 200 } },
		).ready,
	);
	await g.fill("jobs", 10);
	await until(() => calls.length == 12);
	await until(async () => (await unacknowledged(g, "jobs")) === 0);
	assert.deepEqual(calls.filter((n) => n != 3), numbers(10).filter((n) => n != 3));
	assert.equal(c.record.error.length, 2);
	assert.equal(c.record.error[0].code, "handler");
});

test("what is still in a handler's hands is not given to it again", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const calls = [];
	let release;
	const slow = new Promise((done) => (release = done));
	await soon(c.subscribe("jobs", (e) => (calls.push(e.data), e.data == 0 ? slow : undefined), { ack: { timeout: 100, retries: 50 } }).ready);
	await g.fill("jobs", 5);
	await until(() => c.metrics.duplicates >= 3);
	release();
	await until(async () => (await unacknowledged(g, "jobs")) === 0);
	assert.deepEqual(calls, numbers(5));
});

test("an event that fails to the last becomes a dead letter, whatever is acknowledged behind it", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const seen = [];
	await soon(
		c.subscribe(
			"jobs",
			(e) => {
				if (e.data == 1) throw new Error("never");
				seen.push(e.data);
			},
			{ ack: { timeout: 150, retries: 1 } },
		).ready,
	);
	await g.fill("jobs", 3);
	await until(async () => {
		await g.publish("jobs", "n", 9);
		const { events = [] } = await g.get("/api/channels/$dead:jobs/history");
		return events.some((e) => e.data.data === 1);
	}, "a dead letter");
	assert.deepEqual(seen.slice(0, 2), [0, 2]);
});

test("over cuts each event is handled once, by a consumer with a name and by one without", async (t) => {
	const g = await gateway(t, { ...KEYS, "namespace.allow_subscribe": "anyone", "namespace.allow_publish": "anyone" });
	const way = await tunnel(t, g.port);
	const publisher = client(t, g.url);
	for (const options of [{ clientId: "desk", token: token({ sub: "ann", channels: ["**"] }) }, {}]) {
		const channel = options.clientId || "nobody";
		const c = client(t, way.url, options);
		const seen = [];
		await soon(
			c.subscribe(
				channel,
				async (e) => {
					await new Promise((done) => setTimeout(done, (e.data * 7) % 5));
					seen.push(e.data);
				},
				{ ack: true },
			).ready,
		);
		for (let round = 0; round < 6; round++) {
			for (const n of numbers(25, round * 25)) await publisher.publish(channel, "n", n);
			if (round % 2) way.cut();
		}
		await until(() => seen.length >= 150);
		assert.deepEqual([...seen].sort((a, b) => a - b), numbers(150));
		assert.deepEqual(c.record.gap, []);
	}
});

test("a reader acknowledges an event when it asks for the next", async (t) => {
	const g = await gateway(t, { ...KEPT });
	const c = client(t, g.url);
	const reader = c.subscribe("jobs", { ack: { window: 4 } });
	await soon(reader.ready);
	await g.fill("jobs", 20);
	const seen = [];
	for await (const event of reader) {
		seen.push(event.data);
		if (seen.length == 10) await until(async () => (await unacknowledged(g, "jobs")) == 11, "9 of 20 acknowledged");
		if (seen.length == 20) break;
	}
	assert.deepEqual(seen, numbers(20));
});

test("of two tabs with one clientId the newer has the channel, and the older does not fight", async (t) => {
	const g = await gateway(t, { ...KEYS, "namespace.allow_subscribe": "anyone" });
	const options = { clientId: "tab", token: token({ sub: "ann", channels: ["**"] }) };
	const older = client(t, g.url, options);
	const first = older.subscribe("jobs", () => {}, { ack: true });
	await soon(first.ready);
	const newer = client(t, g.url, options);
	const second = newer.subscribe("jobs", () => {}, { ack: true });
	await soon(second.ready);
	await until(() => first.state == "closed");
	assert.deepEqual(older.record.error.map((e) => [e.code, e.channel]), [["replaced", "jobs"]]);
	assert.equal(second.state, "subscribed");
	assert.equal(older.state, "connected");
	assert.deepEqual(newer.record.error, []);
});
