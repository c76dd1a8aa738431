// SPDX-License-Identifier: Apache-2.0
// Acknowledged delivery: each event is handled until that succeeds, and once it has not again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { KEPT, KEYS, client, gateway, scripted, soon, token, tunnel, until } from "./rig.mjs";

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

test("two loops over one subscription acknowledge what each of them is done with", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const jobs = c.subscribe("jobs", { ack: { timeout: 60000 } });
	await soon(jobs.ready);
	await g.fill("jobs", 4);
	const [slow, fast] = [jobs[Symbol.asyncIterator](), jobs[Symbol.asyncIterator]()];
	assert.equal((await soon(slow.next())).value.data, 0);
	for (const n of [1, 2, 3]) assert.equal((await soon(fast.next())).value.data, n);
	await until(async () => (await unacknowledged(g, "jobs")) == 2, "the first and the last are in hand");
	const rest = [slow.next(), fast.next()];
	await until(async () => (await unacknowledged(g, "jobs")) === 0, "all acknowledged");
	jobs.unsubscribe();
	assert.deepEqual((await soon(Promise.all(rest))).map(({ done }) => done), [true, true]);
	assert.equal(c.metrics.duplicates, 0);
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

test("an event that its handler still has is not acknowledged, however many behind it are done", async (t) => {
	const server = await scripted(t);
	const c = client(t, server.url);
	const calls = [];
	let fail;
	const slow = new Promise((_, reject) => (fail = reject));
	const s = c.subscribe("jobs", (e) => (calls.push(e.offset), calls.length == 1 ? slow : undefined), { ack: { timeout: 100 } });
	await soon(s.ready);
	const [connection] = server.connections;
	const event = (offset, more) => ({ type: "event", channel: "jobs", event: "n", offset, timestamp: "2026-01-15T10:15:00.000Z", data: 0, ...more });
	const acks = () => connection.got.filter((m) => m.type == "ack");
	// In one message: they are acknowledged in one go, too.
	connection.say(...numbers(1500, 1).map((offset) => event(offset)));
	await until(() => calls.length == 1500 && acks().length);
	// Behind them.
	const past = c.history("jobs");
	const { id } = await until(() => connection.got.find((m) => m.type == "history"));
	connection.say({ type: "history", id, channel: "jobs", events: [] });
	await soon(past);
	assert.deepEqual(acks().filter((m) => m.offset || m.id.endsWith("@1")), []);
	assert.equal(acks().length, 1499);
	assert.match(s.position, /@0$/);
	fail(new Error("not this time"));
	await until(() => c.record.error.length);
	connection.say(event(1, { redelivered: 1 }));
	await until(() => calls.length > 1500);
	assert.equal(calls.at(-1), 1);
	assert.equal(c.metrics.duplicates, 0);
});

test("a reader that leaves a channel which a handler shares is not waited for", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const seen = [];
	const ack = { timeout: 20000 };
	const s = c.subscribe("jobs", (e) => seen.push(e.data), { ack });
	const reader = c.subscribe("jobs", { ack });
	await soon(s.ready);
	const reading = (async () => {
		for await (const event of reader) if (event.data == 2) break;
	})();
	await g.fill("jobs", 6);
	await soon(reading);
	await until(() => seen.length == 6);
	await until(async () => (await unacknowledged(g, "jobs")) === 0, "all acknowledged");
	await g.publish("jobs", "n", 6);
	await until(() => seen.length == 7 && s.position.endsWith("@7"));
	assert.deepEqual(seen, numbers(7));
	assert.equal(c.metrics.duplicates, 0);
});

test("an event that is acknowledged is handed to nobody who has left meanwhile", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const calls = [];
	let other;
	const s = c.subscribe("jobs", () => (calls.push("one"), other.unsubscribe()), { ack: true });
	other = c.subscribe("jobs", () => calls.push("other"), { ack: true });
	await soon(s.ready);
	await g.fill("jobs", 2);
	await until(async () => calls.length > 1 && (await unacknowledged(g, "jobs")) === 0, "all acknowledged");
	assert.deepEqual(calls, ["one", "one"]);
	assert.equal(other.state, "closed");
});
