// SPDX-License-Identifier: Apache-2.0
// The connection: tokens, close codes, silence, nonsense, its end.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import net from "node:net";
import { test } from "node:test";
import { KEPT, KEYS, OPEN, NodeWebSocket, RingcastError, client, connect, connectNode, gateway, root, scripted, soon, token, tunnel, until, version } from "./rig.mjs";

test("an address may have any scheme, a path, /ws at its end, and else is refused", async (t) => {
	const g = await gateway(t);
	for (const url of [g.url, `${g.url}/`, `ws://127.0.0.1:${g.port}/ws`, new URL(g.url), `${g.url}/ws/?x=1#y`]) {
		const c = client(t, url);
		await until(() => c.state == "connected", String(url));
		const { session, user, transport, again } = c.record.connected[0];
		assert.match(session, /^\w/);
		assert.deepEqual([session, user, transport, again], [c.session, undefined, "ws", false]);
		c.close();
		assert.equal(c.state, "closed");
		assert.equal(c.session, undefined);
		assert.deepEqual(c.record.disconnected, [{ code: 1000, reason: "", again: false }]);
	}
	const server = await scripted(t);
	const c = client(t, `${server.url}/base/path/?a=b`, { query: { scope: "read" } });
	await until(() => c.state == "connected");
	assert.equal(server.connections[0].request.url, "/base/path/ws?heartbeat=json&batch=1&a=b&scope=read");
	for (const url of ["", undefined, "nonsense", "ftp://x", "http://", "//", {}]) assert.throws(() => connect(url), (e) => e instanceof RingcastError && e.code == "bad_argument" && e instanceof Error);
	assert.match(version, /^\d+\.\d+\.\d+$/);
});

test("with a token it is somebody, also where anonymous ones are let in, and what is said at once waits for it", async (t) => {
	for (const anonymous of ["yes", "no"]) {
		const g = await gateway(t, { ...KEYS, "auth.anonymous": anonymous });
		const c = client(t, g.url, { token: token({ sub: "ann", channels: ["secret"] }) });
		await soon(c.subscribe("secret", () => {}).ready);
		assert.equal(c.user, "ann");
		assert.deepEqual(c.record.connected.map((info) => info.user), ["ann"]);
		assert.deepEqual(c.record.error, []);
	}
});

test("a gateway without keys takes nobody's token: it says so once, and all else works", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url, { token: "whatever" });
	await soon(c.subscribe("news", () => {}).ready);
	assert.equal(c.state, "connected");
	assert.deepEqual(c.record.error.map((e) => e.code), ["unsupported"]);
});

test("a token that is refused ends it; a provider is asked once more", async (t) => {
	for (const anonymous of ["yes", "no"]) {
		const g = await gateway(t, { ...KEYS, "auth.anonymous": anonymous });
		const c = client(t, g.url, { token: "x.y.z" });
		const waits = c.subscribe("news", () => {});
		const error = await until(() => c.record.reconnect_failed[0]);
		assert.equal(error.code, "unauthorized");
		assert.match(error.message, /malformed/);
		assert.equal(c.state, "closed");
		assert.equal(waits.state, "waiting");
		await assert.rejects(c.command(1), { code: "offline" });

		let asked = 0;
		const stubborn = client(t, g.url, { token: () => `bad.${++asked}` });
		await until(() => stubborn.record.reconnect_failed.length);
		assert.equal(asked, 2);
		stubborn.reconnect();
		await until(() => stubborn.record.reconnect_failed.length == 2);

		const good = client(t, g.url, { token: async () => (asked++ % 2 ? token({ sub: "ann", channels: ["**"] }) : "bad") });
		asked = 0;
		await soon(good.subscribe("news", () => {}).ready);
		assert.deepEqual([asked, good.record.reconnect_failed.length], [2, 0]);
	}
	const g = await gateway(t, { ...KEYS, "auth.anonymous": "no" });
	const none = client(t, g.url);
	await until(() => none.record.reconnect_failed[0]?.code == "unauthorized");
});

test("a provider that throws is asked again after a pause, one that hangs is not waited for without end", async (t) => {
	const g = await gateway(t, { ...KEYS });
	let asked = 0;
	const c = client(t, g.url, {
		timeout: 1000,
		token() {
			if (++asked == 1) throw new Error("no network");
			if (asked == 2) return new Promise(() => {});
			return token({ sub: "ann" });
		},
	});
	await until(() => c.user == "ann");
	assert.equal(asked, 3);
	assert.deepEqual(c.record.error.map((e) => [e.code, e.cause.message]), [["unauthorized", "no network"]]);
});

test("a token is renewed before it runs out, by the gateway's clock", async (t) => {
	const g = await gateway(t, { ...KEYS, heartbeat: "1s" });
	let asked = 0;
	const tokens = [3, 300].map((seconds) => token({ sub: "ann", channels: ["**"] }, seconds));
	const c = client(t, g.url, { token: () => tokens[asked++] });
	// A machine whose own clock is a year off.
	const real = Date.now;
	Date.now = () => real() + 365 * 86400e3;
	t.after(() => (Date.now = real));
	await until(() => c.state == "connected");
	Date.now = real;
	await until(() => asked == 2);
	await new Promise((done) => setTimeout(done, 1500));
	assert.equal(c.record.disconnected.length, 0);
	assert.equal(c.metrics.reconnects, 0);
});

test("each range of close codes means what the protocol says", async (t) => {
	const server = await scripted(t);
	for (const [code, again, least, most] of [[4001, false], [4003, false], [4004, false], [4100, true, 3000, 3200], [4105, true, 3000, 3200], [4201, true, 0, 250], [4202, true, 0, 250], [1013, true, 3000, 3200], [1006, true, 0, 200], [1001, true, 0, 200]]) {
		const c = client(t, server.url);
		await until(() => c.state == "connected");
		const connection = server.connections.at(-1);
		if (code == 1006) connection.socket.destroy();
		else connection.close(code, "why");
		const info = await until(() => c.record.disconnected[0]);
		assert.deepEqual([info.code, info.again], [code, again]);
		if (again) {
			const { attempt, delay } = await until(() => c.record.reconnecting[0]);
			assert.ok(attempt == 1 && delay >= least && delay <= most, `${code}: ${delay}`);
		} else {
			assert.equal(info.reason, "why");
			assert.equal(c.record.reconnect_failed[0].code, { 4001: "unauthorized", 4003: "replaced", 4004: "closed" }[code]);
			const count = server.connections.length;
			c.reconnect();
			await until(() => c.state == "connected");
			assert.equal(server.connections.length, count + 1);
		}
		c.close();
	}
});

test("a gateway that stops says when to come back", async (t) => {
	const server = await scripted(t);
	const c = client(t, server.url);
	await until(() => c.state == "connected");
	server.connections[0].say({ type: "bye", code: "shutdown", reconnect: { after: 700 } });
	server.connections[0].close(1012, "shutdown");
	const { delay } = await until(() => c.record.reconnecting[0]);
	assert.ok(delay >= 700 && delay <= 900, delay);
	await until(() => c.metrics.reconnects == 1);
	const g = await gateway(t, { ...KEPT, reconnect_jitter: "100ms" });
	const other = client(t, g.url);
	await until(() => other.state == "connected");
	await g.stop();
	const info = await until(() => other.record.disconnected[0]);
	assert.deepEqual([info.code, info.again], [1012, true]);
});

test("pauses double up to their bound, at random, and tries end where they are to", async (t) => {
	const c = client(t, "http://127.0.0.1:1", { transports: ["ws"], minDelay: 4, maxDelay: 40, maxTries: 9 });
	const error = await until(() => c.record.reconnect_failed[0]);
	assert.equal(error.code, "offline");
	assert.equal(c.state, "closed");
	const pauses = c.record.reconnecting;
	assert.deepEqual(pauses.map((p) => p.attempt), [2, 3, 4, 5, 6, 7, 8, 9]);
	pauses.forEach(({ delay }, i) => assert.ok(delay >= 0 && delay <= Math.min(40, 4 * 2 ** i), delay));
	assert.ok(new Set(pauses.map((p) => p.delay)).size > 4);
	assert.equal(c.record.disconnected.length, 0);
	assert.equal(c.metrics.quality, "offline");
});

test("silence is noticed: the dead connection is given up, and what was missed comes", async (t) => {
	const g = await gateway(t, { ...KEPT, heartbeat: "500ms" });
	const way = await tunnel(t, g.port);
	const c = client(t, way.url);
	const seen = [];
	await soon(c.subscribe("news", (e) => seen.push(e.data)).ready);
	assert.ok(c.metrics.rtt > 0 && c.metrics.quality == "good");
	way.swallow = true;
	await g.fill("news", 3);
	await until(() => c.metrics.quality == "poor");
	const info = await until(() => c.record.disconnected[0]);
	assert.equal(info.code, 4201);
	way.swallow = false;
	way.cut();
	await until(() => seen.length == 3);
	assert.deepEqual(c.record.gap, []);
	// A gateway that says nothing but its heartbeats is alive.
	await new Promise((done) => setTimeout(done, 1500));
	assert.equal(c.record.disconnected.length, 1);
});

test("a request into a connection that is dead finds out soon, by a ping", async (t) => {
	const g = await gateway(t, { ...KEYS, "namespace.allow_publish": "anyone" });
	const way = await tunnel(t, g.port);
	const c = client(t, way.url, { token: token({ sub: "ann" }) });
	await soon(c.publish("a", "n", 1));
	way.swallow = true;
	await new Promise((done) => setTimeout(done, 5200));
	const result = c.publish("a", "n", 2);
	await until(() => c.record.disconnected.length, "the end of it", 6);
	way.swallow = false;
	assert.match((await soon(result)).position, /@2$/);
});

test("a try that is not answered is given up, the next one is not disturbed by it", async (t) => {
	const sockets = [];
	const server = net.createServer((socket) => sockets.push(socket.on("error", () => {})));
	await new Promise((done) => server.listen(0, "127.0.0.1", done));
	t.after(() => {
		for (const socket of sockets) socket.destroy();
		server.close();
	});
	const c = client(t, `ws://127.0.0.1:${server.address().port}`, { timeout: 60, transports: ["ws"] });
	await until(() => sockets.length >= 3);
	assert.equal(c.state, "connecting");
});

for (const [what, bytes] of Object.entries({
	"1 MB of garbage": (c) => c.frame(1, "garbage ".repeat(131072)),
	"garbage that is no text": (c) => c.frame(2, Buffer.alloc(1 << 20, 7)),
	"half an object": (c) => c.say('{"type":"event"'),
	"no object": (c) => c.say("null"),
	"a number": (c) => c.say("17"),
	"an array": (c) => c.say("[]"),
	"several of nothing": (c) => c.say("1,2"),
	"no type": (c) => c.say("{}"),
	"a type that is none": (c) => c.say({ type: { a: 1 } }),
	"an event without a channel": (c) => c.say({ type: "event", event: "x", offset: 1 }),
	"an offset that is none": (c) => c.say({ type: "event", channel: "a", event: "x", offset: "1" }),
	"a channel that is none": (c) => c.say({ type: "event", channel: ["a"], event: "x", offset: 1 }),
	"an acknowledgement without data": (c) => c.say({ type: "subscription-ack", id: "x" }),
	"one of no channels": (c) => c.say({ type: "subscription-ack", data: { channels: 7 } }),
	"a gap at no place": (c) => c.say({ type: "gap", channel: "a", reason: "slow", position: 7 }),
	"events that are none": (c) => c.say({ type: "events", channel: "a", events: 5 }),
	"an event that is null": (c) => c.say({ type: "events", channel: "a", events: [null] }),
	"deep nesting": (c) => c.say("[".repeat(500000)),
	"a frame with reserved bits": (c) => c.raw(Buffer.from([0xf1, 0])),
	"a frame that is masked": (c) => c.raw(Buffer.from([0x81, 0x81, 1, 2, 3, 4, 5])),
	"text that is not UTF-8": (c) => c.frame(1, Buffer.from([0xff, 0xfe])),
	"a close of one byte": (c) => c.frame(8, Buffer.from([3])),
	"a frame of 8 exabytes": (c) => c.raw(Buffer.from([0x81, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255])),
	"half a frame, then its end": (c) => c.socket.end(Buffer.from([0x81, 100, 65])),
	"half of the connection closed": (c) => c.socket.end(),
	"a reset": (c) => c.socket.resetAndDestroy(),
}))
	test(`what can't be understood costs the connection and nothing else: ${what}`, async (t) => {
		const server = await scripted(t);
		const c = client(t, server.url);
		const seen = [];
		const s = c.subscribe("a", (e) => seen.push(e.data));
		await soon(s.ready);
		const event = (offset) => ({ type: "event", channel: "a", event: "x", offset, timestamp: "2026-01-15T10:15:00.000Z", data: offset });
		server.connections[0].say(event(1));
		bytes(server.connections[0]);
		await until(() => c.metrics.reconnects == 1 && s.state == "subscribed");
		const { since } = server.connections[1].got.find((m) => m.type == "subscribe");
		assert.deepEqual(since, { a: "aaaaaaaaab@1" });
		server.connections[1].say(event(2));
		await until(() => seen.length == 2);
		assert.ok(c.record.error.every((e) => e.code == "protocol"));
		assert.equal(c.record.reconnect_failed.length, 0);
	});

test("a message of a type that is not known is an error event, many of them are the end of the connection", async (t) => {
	const server = await scripted(t);
	const c = client(t, server.url);
	await until(() => c.state == "connected");
	server.connections[0].say({ type: "novelty" }, { type: "novelty" });
	await until(() => c.record.error.length == 2);
	assert.equal(c.state, "connected");
	server.connections[0].say(...Array.from({ length: 10 }, () => ({ type: "novelty" })));
	await until(() => c.metrics.reconnects == 1);
	assert.ok(c.record.error.every((e) => e.code == "protocol"));
});

test("an error without an id is an error event", async (t) => {
	const server = await scripted(t);
	const c = client(t, server.url);
	await until(() => c.state == "connected");
	server.connections[0].say({ type: "error", code: "rate_limited", temporary: true, message: "slower" });
	const error = await until(() => c.record.error[0]);
	assert.deepEqual([error.code, error.temporary, error.message, error.name], ["rate_limited", true, "slower", "RingcastError"]);
});

test("what a user of the class does from inside a listener does no harm", async (t) => {
	const server = await scripted(t);
	for (const name of ["connected", "disconnected", "reconnecting", "subscribed"])
		for (const act of ["close", "reconnect"]) {
			const c = client(t, server.url);
			c.subscribe("a", () => {});
			let acted = false;
			c.on(name, () => {
				if (!acted) c[act]();
				acted = true;
			});
			await until(() => c.state == "connected" || acted);
			if (name[0] != "c" && name[0] != "s") server.connections.at(-1).socket.destroy();
			await until(() => acted);
			await until(() => c.state == (act == "close" ? "closed" : "connected"));
			c.close();
		}
	const c = connect(server.url, { WebSocket: NodeWebSocket });
	const before = server.connections.length;
	c.close();
	await new Promise((done) => setTimeout(done, 30));
	assert.equal(server.connections.length, before);
	const off = c.on("connected", () => {});
	off();
	off();
	c.off("nothing", () => {});
});

test("pages that are shown, networks that come and machines that wake are heard of", async (t) => {
	const target = new EventTarget();
	const server = await scripted(t);
	const saved = { addEventListener: globalThis.addEventListener, removeEventListener: globalThis.removeEventListener, document: globalThis.document };
	const navigator = Object.getOwnPropertyDescriptor(globalThis, "navigator");
	globalThis.addEventListener = target.addEventListener.bind(target);
	globalThis.removeEventListener = target.removeEventListener.bind(target);
	globalThis.document = { visibilityState: "visible" };
	const network = { onLine: true };
	Object.defineProperty(globalThis, "navigator", { value: network, configurable: true });
	t.after(() => {
		Object.assign(globalThis, saved);
		if (navigator) Object.defineProperty(globalThis, "navigator", navigator);
		else delete globalThis.navigator;
	});
	const c = client(t, server.url, { minDelay: 20000, maxDelay: 20000 });
	await until(() => c.state == "connected");
	const pings = () => server.connections.at(-1).got.filter((m) => m.type == "ping").length;
	for (const [where, name] of [[target, "online"], [target, "offline"], [target, "pageshow"], [target, "visibilitychange"]]) {
		const before = pings();
		where.dispatchEvent(new Event(name));
		await until(() => pings() == before + 1, name);
		await until(() => c.metrics.rtt);
	}
	server.connections[0].socket.destroy();
	await until(() => c.state == "reconnecting");
	target.dispatchEvent(new Event("online"));
	await until(() => c.state == "connected");
	// A ping that is not answered in time ends it.
	server.connections[1].onmessage = () => {};
	target.dispatchEvent(new Event("online"));
	await until(() => c.record.disconnected.length == 2);
	assert.equal(c.record.disconnected[1].code, 4201);
	// Without a network no try is made.
	await until(() => c.state == "connected");
	c.close();
	network.onLine = false;
	const other = client(t, server.url, { minDelay: 1, maxDelay: 300 });
	await until(() => other.state == "connected");
	const before = server.connections.length;
	server.connections.at(-1).socket.destroy();
	await until(() => other.record.reconnecting.length);
	await new Promise((done) => setTimeout(done, 100));
	assert.equal(server.connections.length, before);
	await until(() => other.state == "connected");
	assert.equal(other.record.reconnecting.length, 1);
});

test("a program stays while a client waits, and ends when it is closed", async (t) => {
	const g = await gateway(t);
	const run = (code) => {
		const child = spawn(process.execPath, ["--input-type=module", "-e", `import { connect } from ${JSON.stringify(new URL("src/web/client/node.js", `file://${root}`).href)}; ${code}`], { stdio: ["ignore", "pipe", "inherit"] });
		const done = new Promise((end) => child.on("exit", end));
		t.after(() => child.exitCode === null && child.kill());
		return { child, done };
	};
	const ends = run(`const c = connect("${g.url}"); c.on("connected", () => c.close());`);
	assert.equal(await soon(ends.done), 0);
	const fails = run(`const c = connect("http://127.0.0.1:1", { maxTries: 2, minDelay: 1 }); c.publish("a", "b", 1);`);
	assert.equal(await soon(fails.done), 0);
	const stays = run(`const c = connect("${g.url}"); c.subscribe("news", (e) => { console.log(e.data); c.close(); });`);
	await until(async () => (await g.get("/api/channels/news")).subscribers == 1);
	assert.equal(stays.child.exitCode, null);
	await g.publish("news", "n", 1);
	assert.equal(await soon(stays.done), 0);
});

test("the entry for Node needs nothing more", async (t) => {
	const g = await gateway(t, OPEN);
	const c = connectNode(g.url);
	t.after(() => c.close());
	const reader = c.subscribe("news");
	await soon(reader.ready);
	c.publish("news", "n", "x".repeat(60000));
	for await (const event of reader) {
		assert.equal(event.data.length, 60000);
		break;
	}
});
