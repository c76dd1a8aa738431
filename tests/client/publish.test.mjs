// SPDX-License-Identifier: Apache-2.0
// What a client asks for: publishing with and without a connection, commands, history, presence.
import assert from "node:assert/strict";
import { test } from "node:test";
import { KEYS, OPEN, RingcastError, client, gateway, scripted, soon, token, tunnel, until } from "./rig.mjs";

const numbers = (count, from = 0) => Array.from({ length: count }, (_, i) => from + i);

test("what is published while there is no connection waits, in order, and no longer than the queue", async (t) => {
	const g = await gateway(t);
	const way = await tunnel(t, g.port);
	way.open = false;
	const c = client(t, way.url, { queue: 50 });
	const results = numbers(50).map((n) => c.publish("news", "n", n));
	await assert.rejects(c.publish("news", "n", 50), { code: "queue_full" });
	assert.equal(c.metrics.queued, 50);
	way.open = true;
	const positions = (await soon(Promise.all(results))).map((r) => +r.position.split("@")[1]);
	assert.deepEqual(positions, numbers(50, 1));
	const { events } = await soon(c.history("news", { since: "beginning" }));
	assert.deepEqual(events.map((e) => e.data), numbers(50));
	assert.equal(c.metrics.queued, 0);
	const none = client(t, "http://127.0.0.1:1", { queue: 0 });
	await assert.rejects(none.publish("a", "b", 1), { code: "queue_full" });
});

test("a user's events that were sent and not answered are sent again and are there once; anybody else's are not", async (t) => {
	const g = await gateway(t, { ...KEYS, "namespace.allow_publish": "anyone", "namespace.allow_subscribe": "anyone" });
	for (const user of ["ann", undefined]) {
		const way = await tunnel(t, g.port);
		const channel = `of:${user}`;
		const c = client(t, way.url, { token: user && token({ sub: user, channels: ["**"], publish: ["**"] }) });
		await soon(c.publish(channel, "n", 0));
		const results = [];
		for (let round = 0; round < 4; round++) {
			// The answers are swallowed, and the requests, from somewhere on.
			results.push(...numbers(5).map((n) => c.publish(channel, "n", round * 10 + n)));
			way.swallow = true;
			results.push(...numbers(5, 5).map((n) => c.publish(channel, "n", round * 10 + n)));
			await new Promise((done) => setTimeout(done, 5));
			way.cut();
			way.swallow = false;
			await until(() => c.state == "connected");
		}
		const outcomes = await soon(Promise.allSettled(results));
		const { events } = await soon(c.history(channel, { since: "beginning" }));
		const times = new Map();
		for (const e of events.slice(1)) times.set(e.data, (times.get(e.data) || 0) + 1);
		assert.ok([...times.values()].every((count) => count == 1), "none twice");
		if (user) {
			assert.deepEqual(outcomes.filter((o) => o.status != "fulfilled"), []);
			assert.equal(times.size, 40);
		} else {
			for (const o of outcomes) if (o.status != "fulfilled") assert.equal(o.reason.code, "unknown");
			assert.ok(outcomes.some((o) => o.status != "fulfilled"));
		}
	}
});

test("a publish is refused with the gateway's words", async (t) => {
	const g = await gateway(t, { ...OPEN, "namespace.closed.allow_publish": "nobody", "namespace.payload_max": 1000 });
	const c = client(t, g.url);
	await assert.rejects(soon(c.publish("closed:a", "n", 1)), (e) => e instanceof RingcastError && e.code == "forbidden" && !e.temporary);
	await assert.rejects(soon(c.publish("a", "", 1)), { code: "bad_event" });
	await assert.rejects(soon(c.publish("a", "n", "x".repeat(2000))), { code: "too_large" });
	const circle = {};
	circle.circle = circle;
	await assert.rejects(c.publish("a", "n", circle), { code: "bad_argument" });
	await assert.rejects(c.publish("a", "n", 1n), { code: "bad_argument" });
	assert.match((await soon(c.publish("a", "n"))).position, /@1$/);
	// Larger than any message may be: the connection goes, the promise is told, and it is not tried for ever.
	await assert.rejects(soon(c.publish("a", "n", "x".repeat(200000))), { code: "too_large" });
	await until(() => c.record.connected.length == 2);
	await soon(c.publish("a", "n", 2));
	assert.deepEqual(c.record.error, []);
});

test("echo: false keeps an event from its own publisher", async (t) => {
	const g = await gateway(t);
	const [a, b] = [client(t, g.url), client(t, g.url)];
	const seen = { a: [], b: [] };
	await soon(Promise.all([a.subscribe("room", (e) => seen.a.push(e.data)).ready, b.subscribe("room", (e) => seen.b.push(e.data)).ready]));
	await soon(a.publish("room", "n", 1, { echo: false }));
	await soon(a.publish("room", "n", 2));
	await until(() => seen.b.length == 2 && seen.a.length == 1);
	assert.deepEqual(seen.a, [2]);
});

test("an event that is not decided yet is sent again after a moment", async (t) => {
	const server = await scripted(t, (connection) => {
		let tries = 0;
		connection.say({ type: "connected", session: "s", user: "ann", heartbeat: 30000 });
		connection.onmessage = (m) => {
			connection.polite(m);
			if (m.type == "publish") connection.say(tries++ ? { type: "ack", id: m.id, position: "aaaaaaaaab@1" } : { type: "error", id: m.id, code: "conflict", temporary: true, message: "not yet" });
		};
	});
	const c = client(t, server.url);
	await until(() => c.state == "connected");
	assert.equal((await soon(c.publish("a", "n", 1))).position, "aaaaaaaaab@1");
	const sent = server.connections[0].got.filter((m) => m.type == "publish");
	assert.equal(sent.length, 2);
	assert.deepEqual(sent[0], sent[1]);
});

test("an event that is not decided yet waits for a connection as long as any other", async (t) => {
	const server = await scripted(t, (connection, count) => {
		connection.say({ type: "connected", session: "s", user: "ann", heartbeat: 30000 });
		connection.onmessage = (m) => {
			connection.polite(m);
			if (m.type != "publish") return;
			if (count == 1) {
				connection.say({ type: "error", id: m.id, code: "conflict", temporary: true, message: "not yet" });
				connection.close(4102);
			} else connection.say({ type: "ack", id: m.id, position: "aaaaaaaaab@1" });
		};
	});
	// It comes back later than an answer may take.
	const c = client(t, server.url, { timeout: 1000 });
	await until(() => c.state == "connected");
	assert.equal((await soon(c.publish("a", "n", 1))).position, "aaaaaaaaab@1");
	assert.ok(c.record.reconnecting.some(({ delay }) => delay >= 3000));
});

test("a command is answered, refused, out of time, or lost with its connection, and never said twice by itself", async (t) => {
	const server = await scripted(t, (connection, count) => {
		connection.onmessage = (m) => {
			connection.polite(m);
			if (m.type == "command" && m.action.do == "buy") connection.say({ type: "reply", id: m.id, data: { order: 17 } });
			if (m.type == "chat:send") connection.say({ type: "error", id: m.id, code: "sold_out", temporary: false, message: "no cups left" });
			if (m.action == "cut" && count == 1) connection.socket.destroy();
			else if (m.action == "cut") connection.say({ type: "reply", id: m.id, data: count });
		};
	});
	const c = client(t, server.url, { timeout: 2000 });
	// Said before there is a connection: it waits for one.
	assert.deepEqual(await soon(c.command({ do: "buy" })), { order: 17 });
	await assert.rejects(soon(c.send("chat:send", { text: "hi" })), { code: "sold_out", message: "no cups left" });
	await assert.rejects(soon(c.command("nothing", { timeout: 50 })), { code: "timeout" });
	const lost = c.command("cut");
	const again = c.command("cut", { idempotent: true });
	await assert.rejects(soon(lost), { code: "unknown" });
	assert.equal(await soon(again), 2);
	assert.equal(server.connections[1].got.filter((m) => m.type == "command").length, 1);
	const offline = client(t, "http://127.0.0.1:1");
	await assert.rejects(soon(offline.command(1, { timeout: 50 })), { code: "offline" });
	await assert.rejects(soon(offline.presence("a").finally(() => {}), "", 0.001).catch(() => offline.close() || offline.presence("a")), { code: "closed" });
});

test("presence and history are asked for", async (t) => {
	const g = await gateway(t, { ...KEYS, "namespace.room.presence": "yes", "namespace.room.join_leave": "yes" });
	const c = client(t, g.url, { token: token({ sub: "ann", channels: ["room:*"], publish: ["room:*"], info: { name: "Ann" } }) });
	const seen = [];
	await soon(c.subscribe("room:1", (e) => seen.push(e)).ready);
	assert.equal(c.user, "ann");
	const { users, count } = await soon(c.presence("room:1"));
	assert.equal(count, 1);
	assert.deepEqual(users, [{ user: "ann", connections: 1, info: { name: "Ann" } }]);
	await until(() => seen[0]?.type == "join");
	assert.equal(seen[0].user, "ann");
	for (const n of numbers(5)) await c.publish("room:1", "n", n);
	const past = await soon(c.history("room:1", { limit: 2 }));
	assert.deepEqual(past.events.map((e) => e.data), [4, 3]);
	assert.equal(past.more, true);
	await assert.rejects(soon(c.history("other")), { code: "forbidden" });
	await assert.rejects(soon(c.presence("room:*")), { code: "bad_request" });
});

test("what is sent to a user, and to everybody, is heard", async (t) => {
	const g = await gateway(t, { ...KEYS, "admin.open_on_loopback": "yes" });
	const c = client(t, g.url, { token: token({ sub: "ann" }) });
	await until(() => c.state == "connected");
	const send = (path, body) => fetch(g.url + path, { method: "POST", body: JSON.stringify(body) });
	assert.equal((await send("/api/users/ann/send", { event: "note", data: 1 })).status, 200);
	assert.equal((await send("/api/broadcast", { event: "all", data: 2 })).status, 200);
	await until(() => c.record.direct.length && c.record.broadcast.length);
	assert.deepEqual([c.record.direct[0].event, c.record.broadcast[0].data], ["note", 2]);
});

test("what is published when the connection is back comes behind what waited for that", async (t) => {
	const g = await gateway(t);
	const way = await tunnel(t, g.port);
	const c = client(t, way.url);
	await until(() => c.state == "connected");
	way.open = false;
	way.cut();
	await until(() => c.state == "reconnecting");
	const results = numbers(3).map((n) => c.publish("news", "n", n));
	c.on("connected", () => results.push(c.publish("news", "n", 3)));
	way.open = true;
	await until(() => results.length == 4);
	assert.deepEqual((await soon(Promise.all(results))).map((r) => +r.position.split("@")[1]), numbers(4, 1));
	const { events } = await soon(c.history("news", { since: "beginning" }));
	assert.deepEqual(events.map((e) => e.data), numbers(4));
});
