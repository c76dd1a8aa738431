// SPDX-License-Identifier: Apache-2.0
// Where WebSocket is blocked: the same over event streams and HTTP.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import http from "node:http";
import { test } from "node:test";
import { KEPT, KEYS, OPEN, NodeWebSocket, client, gateway, root, scripted, soon, token, tunnel, until } from "./rig.mjs";

const numbers = (count, from = 0) => Array.from({ length: count }, (_, i) => from + i);

/** A WebSocket that a proxy swallows. */
class Blocked {
	static tries = 0;
	constructor() {
		Blocked.tries++;
		setTimeout(() => this.onclose({ code: 1006, reason: "" }), 1);
	}
	close() {}
}

test("two tries in a row, a third when the gateway answers, and it is a stream; it says so once", async (t) => {
	const g = await gateway(t);
	Blocked.tries = 0;
	const c = client(t, g.url, { WebSocket: Blocked });
	const seen = [];
	const s = c.subscribe("news", (e) => seen.push(e));
	await soon(s.ready);
	assert.deepEqual(c.record.fallback, [{ transport: "sse", reason: "WebSocket is blocked" }]);
	assert.deepEqual([c.transport, c.state, Blocked.tries], ["sse", "connected", 3]);
	await g.fill("news", 300);
	await until(() => seen.length == 300);
	assert.deepEqual(seen.map((e) => e.data), numbers(300));
	assert.match(s.position, /~/);
	// Another subscription opens the stream anew, and none is lost.
	let sent = 300;
	for (let n = 0; n < 5; n++) {
		const more = [];
		const one = c.subscribe(`more:${n}`, (e) => more.push(e.data));
		await g.fill("news", 50, sent);
		sent += 50;
		await soon(one.ready);
		await g.publish(`more:${n}`, "n", n);
		await until(() => more.length);
		if (n % 2) one.unsubscribe();
	}
	await until(() => seen.length == sent);
	assert.deepEqual(seen.map((e) => e.data), numbers(sent));
	assert.deepEqual(c.record.gap, []);
	assert.deepEqual(c.record.error, []);
});

test("where WebSocket works nothing else is tried, and where nothing works neither is", async (t) => {
	const g = await gateway(t);
	const asked = [];
	const fetch = (...all) => (asked.push(all[0]), globalThis.fetch(...all));
	const way = await tunnel(t, g.port);
	const c = client(t, way.url, { fetch });
	await until(() => c.state == "connected");
	way.open = false;
	way.cut();
	await until(() => c.record.reconnecting.length > 4);
	assert.deepEqual(asked, []);
	// One whose gateway is away from the beginning has nothing to fall back to.
	const none = client(t, "http://127.0.0.1:1", { fetch });
	await until(() => none.record.reconnecting.length > 5);
	assert.equal(none.record.fallback.length, 0);
	// A page that answers everything is no gateway.
	const page = http.createServer((_, response) => response.end("<html>welcome</html>"));
	await new Promise((done) => page.listen(0, "127.0.0.1", done));
	t.after(() => (page.closeAllConnections(), page.close()));
	const captive = client(t, `http://127.0.0.1:${page.address().port}`);
	await until(() => captive.record.reconnecting.length > 5);
	assert.equal(captive.record.fallback.length, 0);
	assert.equal(captive.state, "connecting");
});

test("one that comes back tries WebSocket again, and goes on where the stream was", async (t) => {
	const g = await gateway(t);
	const way = await tunnel(t, g.port);
	let blocked = true;
	class Sometimes {
		constructor(...all) {
			return blocked ? new Blocked() : new NodeWebSocket(...all);
		}
	}
	const c = client(t, way.url, { WebSocket: Sometimes });
	const seen = [];
	const stars = [];
	await soon(Promise.all([c.subscribe("a:b", (e) => seen.push(e.data)).ready, c.subscribe("a:*", (e) => stars.push(e.data)).ready]));
	await g.fill("a:b", 10);
	await until(() => seen.length == 10 && stars.length == 10);
	for (let round = 1; round < 4; round++) {
		blocked = round == 1;
		// One that finds the way closed has a reason to try a stream.
		way.open = !blocked;
		way.cut();
		await until(() => c.state == "reconnecting");
		await g.fill("a:b", 10, round * 10);
		way.open = true;
		await until(() => seen.length == round * 10 + 10 && stars.length == seen.length);
		assert.equal(c.transport, blocked ? "sse" : "ws");
	}
	assert.deepEqual(seen, numbers(40));
	assert.deepEqual(stars, numbers(40));
	assert.deepEqual(c.record.gap, []);
	assert.equal(c.record.fallback.length, 1);
});

test("publishing, history and presence go by HTTP, what can't is refused", async (t) => {
	const g = await gateway(t, { ...KEPT, "namespace.room.presence": "yes", "namespace.closed.events": "other" });
	const c = client(t, g.url, { transports: ["sse"] });
	assert.match((await soon(c.publish("news", "n", { a: 1 }))).position, /@1$/);
	await soon(c.publish("news", "n", { a: 2 }));
	const past = await soon(c.history("news", { limit: 1 }));
	assert.deepEqual([past.events[0].data, past.more], [{ a: 2 }, true]);
	assert.deepEqual((await soon(c.history("news", { since: "beginning" }))).events.length, 2);
	assert.equal((await soon(c.presence("room:1"))).count, 0);
	await assert.rejects(soon(c.publish("a**", "n", 1)), { code: "bad_channel", temporary: false });
	await assert.rejects(soon(c.publish("closed:a", "n", 1)), { code: "invalid_data" });
	await assert.rejects(soon(c.command(1)), { code: "unsupported" });
	await assert.rejects(soon(c.send("chat:send", 1)), { code: "unsupported" });
	for (const options of [{ filter: "has data.a" }, { rate: 1 }, { window: 5 }, { ack: true }]) await assert.rejects(soon(c.subscribe("x", () => {}, options).ready), { code: "unsupported" });
	assert.equal(c.state, "connected");
	assert.ok(c.metrics.rtt > 0);
});

test("a user's token says there what it says on a WebSocket, by the same rules, and what went both ways is there once", async (t) => {
	const own = Object.fromEntries(["subscribe", "publish", "history", "presence"].map((what) => [`namespace.room.allow_${what}`, "own"]));
	const g = await gateway(t, { ...KEYS, ...own, "namespace.room.presence": "yes" });
	const by = (sub, options) => client(t, g.url, { token: () => token({ sub }), ...options });
	const c = by("ann", { transports: ["sse"] });
	const heard = [];
	await soon(c.subscribe("room:ann", (e) => heard.push(e.data)).ready);
	const first = await soon(c.publish("room:ann", "n", 1, { id: "one" }));
	// Echo can't be had without a WebSocket: it is the stream's event as everybody's.
	await soon(c.publish("room:ann", "n", 2, { echo: false }));
	await until(() => heard.length == 2);
	assert.deepEqual((await soon(c.history("room:ann"))).events.map((e) => e.data), [2, 1]);
	assert.deepEqual((await soon(c.presence("room:ann"))).users.map(({ user }) => user), ["ann"]);
	// Said again on a WebSocket it is the same event.
	const ws = by("ann");
	assert.equal((await soon(ws.publish("room:ann", "n", 1, { id: "one" }))).position, first.position);
	assert.equal(ws.transport, "ws");
	for (const refused of [c.publish("room:bo", "n", 1), c.history("room:bo"), c.presence("room:bo"), c.publish("news", "n", 1)]) await assert.rejects(soon(refused), { code: "forbidden", temporary: false });
	await assert.rejects(soon(c.publish("room:ann", "n", 3, { id: "one" })), { code: "key_reused" });
	await assert.rejects(soon(c.command(1)), { code: "unsupported" });
	await assert.rejects(soon(c.publish("room:ann", "n", "x".repeat(70000))), { code: "too_large", temporary: false });
	// Who says so in the query is the same in what he says.
	const asked = by("ann", { transports: ["sse"], token: undefined, query: { token: token({ sub: "ann" }) } });
	assert.equal((await soon(asked.publish("room:ann", "n", 1, { id: "one" }))).position, first.position);
	assert.equal(c.state, "connected");
	assert.deepEqual(c.record.error, []);
	// None of it is a credential that failed.
	assert.doesNotMatch(await (await fetch(g.url + "/metrics", { headers: { Authorization: "Bearer " + token({ scope: "ringcast:read" }) } })).text(), /^ringcast_auth_failures_total.* [1-9]/m);
});

test("what is no answer of a gateway is an answer all the same", async (t) => {
	const answers = [[502, "<html>bad gateway</html>"], [504, '{"message":"no upstream"}'], [200, "null"]];
	const g = await gateway(t);
	const fetch = async (address, init) => {
		if (init.method != "POST") return globalThis.fetch(address, init);
		const [status, body] = answers.shift();
		return new Response(body, { status });
	};
	const c = client(t, g.url, { transports: ["sse"], fetch });
	for (const n of numbers(3)) await assert.rejects(soon(c.publish("news", "n", n)), { code: "unknown" });
	assert.equal(c.state, "connected");
});

test("who is refused is told, the others hear on", async (t) => {
	const g = await gateway(t, { ...KEYS, "namespace.open.allow_subscribe": "anyone" });
	const c = client(t, g.url, { transports: ["sse"], token: token({ sub: "ann", channels: ["news"] }) });
	const seen = [];
	const good = c.subscribe("news", (e) => seen.push(e.data));
	const bad = c.subscribe("secret", () => {});
	const none = c.subscribe("a**", () => {});
	await assert.rejects(soon(bad.ready), { code: "forbidden" });
	await assert.rejects(soon(none.ready), { code: "forbidden" });
	await soon(good.ready);
	await assert.rejects(soon(c.subscribe("secret", () => {}).ready), { code: "forbidden" });
	await soon(c.subscribe("open:a", () => {}).ready);
	const wrong = client(t, g.url, { transports: ["sse"], token: "x.y.z" });
	wrong.subscribe("news", () => {});
	await until(() => wrong.record.reconnect_failed[0]?.code == "unauthorized");
});

test("channels from different places of the past have streams of their own, as far as there are", async (t) => {
	const g = await gateway(t);
	const positions = [];
	for (const n of numbers(6)) {
		await g.fill(`c:${n}`, 5);
		positions.push((await g.get(`/api/channels/c:${n}`)).position.replace("@5", "@3"));
	}
	const c = client(t, g.url, { transports: ["sse"] });
	const seen = numbers(6).map(() => []);
	const subs = numbers(6).map((n) => c.subscribe(`c:${n}`, (e) => seen[n].push(e.data), { since: positions[n] }));
	await soon(Promise.all(subs.map((s) => s.ready)));
	assert.deepEqual(c.record.gap.map((gap) => [gap.channel, gap.reason]), [["c:4", "transport"], ["c:5", "transport"]]);
	await Promise.all(numbers(6).map((n) => g.publish(`c:${n}`, "n", 5)));
	await until(() => seen.every((list) => list.at(-1) == 5));
	assert.deepEqual(seen.slice(0, 4), numbers(4).map(() => [3, 4, 5]));
});

test("what is not kept any more is a gap, right away and after a restart", async (t) => {
	const g = await gateway(t, OPEN);
	const way = await tunnel(t, g.port);
	const c = client(t, way.url, { transports: ["sse"] });
	const s = c.subscribe("news", () => {});
	await soon(s.ready);
	way.open = false;
	way.cut();
	await g.publish("news", "n", 1);
	way.open = true;
	await until(() => c.record.gap.length);
	assert.deepEqual([c.record.gap[0].channel, c.record.gap[0].reason], ["news", "trimmed"]);
	await g.stop();
	way.target = (await gateway(t, OPEN)).port;
	way.cut();
	await until(() => c.record.gap.length == 2);
	assert.equal(c.record.gap[1].reason, "epoch");
	assert.equal(c.metrics.gaps, 2);
});

test("a stream is read whatever its line ends and wherever it is cut", async (t) => {
	const event = (offset, data) => `{"type":"event","channel":"a","event":"x","offset":${offset},"timestamp":"2026-01-15T10:15:00.000Z","data":${data}}`;
	for (const end of ["\n", "\r", "\r\n"])
		for (const size of [1, 2, 3, 7, 1000]) {
			const text = ["\ufeffretry: 1000", "id: e~1", "", ":", "id:e~2", "", "event: x", `data: ${event(1, '"häß €😀"').replace(',"data"', '\ndata:,"data"')}`, "id: e~3", "", `data:${event(2, "[1,", )}`, "data: 2]}", "id: e~4", "", "event: gap", 'data: {"type":"gap","reason":"slow","missed":3}', "id: e~5", "", ""]
				.join("\n")
				.replace("[1,}", "[1,")
				.replaceAll("\n", end);
			const bytes = Buffer.from(text);
			const server = http.createServer(async (request, response) => {
				if (request.url == "/healthz") return response.end("ok");
				response.writeHead(200, { "Content-Type": "text/event-stream" });
				for (let at = 0; at < bytes.length; at += size) {
					response.write(bytes.subarray(at, at + size));
					if (size < 1000) await new Promise((done) => setImmediate(done));
				}
				if (end == "\r") response.write(":");
			});
			await new Promise((done) => server.listen(0, "127.0.0.1", done));
			const c = client(t, `http://127.0.0.1:${server.address().port}`, { transports: ["sse"] });
			const seen = [];
			const s = c.subscribe("a", (e) => seen.push(e.data));
			await until(() => c.record.gap.length, JSON.stringify([end, size]));
			assert.deepEqual(seen, ["häß €😀", [1, 2]]);
			assert.equal(s.position, "e~5");
			assert.deepEqual(c.record.error, []);
			c.close();
			server.closeAllConnections();
			server.close();
		}
});

test("a stream that says nonsense is given up and opened again", async (t) => {
	for (const nonsense of ["data: {\n\n", "data: 5\nid: x\n\n", 'data: {"type":"event"}\nid: x\n\n', "data: " + "x".repeat(11e6)]) {
		let count = 0;
		const server = http.createServer((request, response) => {
			if (request.url == "/healthz") return response.end("ok");
			count++;
			response.writeHead(200, { "Content-Type": "text/event-stream" });
			response.write("id: e~1\n\n" + nonsense);
		});
		await new Promise((done) => server.listen(0, "127.0.0.1", done));
		const c = client(t, `http://127.0.0.1:${server.address().port}`, { transports: ["sse"] });
		c.subscribe("a", () => {});
		await until(() => count > 2);
		c.close();
		server.closeAllConnections();
		server.close();
	}
});

test("a server whose WebSocket is refused while it is healthy is one to fall back from", async (t) => {
	const server = await scripted(t, undefined, { upgrade: false, healthy: true });
	const c = client(t, server.url);
	await until(() => c.record.fallback.length && c.state == "connected");
	assert.equal(c.transport, "sse");
});

test("after a token was refused on a stream it is a stream again", async (t) => {
	const g = await gateway(t, { ...KEYS, "namespace.allow_publish": "anyone" });
	let refuse;
	const fetch = (address, init) => (refuse && /\/events/.test(address) ? ((refuse = false), new Response('{"error":{"code":"unauthorized","message":"the token has expired"}}', { status: 401 })) : globalThis.fetch(address, init));
	const c = client(t, g.url, { WebSocket: Blocked, fetch, token: () => token({ sub: "ann", channels: ["**"] }) });
	const seen = [];
	await soon(c.subscribe("news", (e) => seen.push(e.data)).ready);
	refuse = true;
	await soon(c.subscribe("more", () => {}).ready);
	assert.deepEqual(c.record.disconnected.map(({ code, again }) => [code, again]), [[4001, true]]);
	await until(() => c.state == "connected");
	assert.equal(c.transport, "sse");
	await g.fill("news", 1);
	await until(() => seen.length);
	assert.equal(c.record.fallback.length, 1);
});

test("after a gateway fell silent on a stream it is a stream again", async (t) => {
	let silent;
	let count = 0;
	const server = http.createServer((request, response) => {
		if (request.url == "/healthz") return silent || response.end("ok");
		response.writeHead(200, { "Content-Type": "text/event-stream" });
		response.write("id: e~1\n\n");
		// What makes the client look whether anybody is there.
		if (count++) return;
		response.write('data: {"type":"ping"}\nid: e~2\n\n');
		silent = true;
	});
	await new Promise((done) => server.listen(0, "127.0.0.1", done));
	t.after(() => (server.closeAllConnections(), server.close()));
	const c = client(t, `http://127.0.0.1:${server.address().port}`, { WebSocket: Blocked });
	const s = c.subscribe("a", () => {});
	await until(() => c.record.disconnected.length);
	silent = false;
	assert.equal(c.record.disconnected[0].code, 4201);
	await until(() => c.record.subscribed.length == 2);
	assert.deepEqual([c.transport, s.state, s.position], ["sse", "subscribed", "e~1"]);
});

test("of a channel and a pattern in streams of their own each has each event once, and no past that it did not ask for", async (t) => {
	const g = await gateway(t);
	await g.fill("a:1", 3);
	const c = client(t, g.url, { transports: ["sse"] });
	const stars = [];
	const seen = [];
	await soon(c.subscribe("a:*", (e) => stars.push(e.data)).ready);
	await soon(c.subscribe("a:1", (e) => seen.push(e.data), { since: "beginning" }).ready);
	await g.fill("a:1", 5, 3);
	await until(() => stars.includes(7) && seen.includes(7));
	await g.fill("a:1", 1, 8);
	await until(() => stars.includes(8) && seen.includes(8));
	assert.deepEqual([stars, seen], [numbers(6, 3), numbers(9)]);
	assert.deepEqual(c.record.gap, []);
});

test("what is sent to a user, and to everybody, is heard, and once whatever the number of streams", async (t) => {
	const g = await gateway(t, KEYS);
	const c = client(t, g.url, { transports: ["sse"], token: token({ sub: "ann", channels: ["**"] }) });
	const seen = [];
	await soon(c.subscribe("a", () => {}).ready);
	await soon(c.subscribe("b", (e) => seen.push(e.data), { since: "beginning" }).ready);
	const send = (path, body) => fetch(g.url + path, { method: "POST", body: JSON.stringify(body) });
	assert.equal((await send("/api/users/ann/send", { event: "note", data: 1 })).status, 200);
	assert.equal((await send("/api/broadcast", { event: "note", data: 2 })).status, 200);
	await until(() => c.record.direct.length && c.record.broadcast.length);
	await g.publish("b", "n", 3);
	await until(() => seen.length);
	for (const name of ["direct", "broadcast"]) assert.equal(c.record[name].length, 1, name);
	assert.deepEqual([c.record.direct[0].data, c.record.broadcast[0].data], [1, 2]);
});

test("who asks for no past has none, though a stream was opened with one", async (t) => {
	const g = await gateway(t);
	await g.fill("b", 3);
	for (const together of [true, false]) {
		const c = client(t, g.url, { transports: ["sse"] });
		const seen = [];
		const first = c.subscribe("a", () => {}, { since: "beginning" });
		if (!together) await soon(first.ready);
		await soon(c.subscribe("b", (e) => seen.push(e.data)).ready);
		await g.publish("b", "n", "new");
		await until(() => seen.includes("new"));
		assert.deepEqual(seen, ["new"]);
		c.close();
	}
});

test("of more channels than a request has room for those that fit are live, the others are told", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url, { transports: ["sse"] });
	const name = (n) => `room:${1000 + n}:a:b:c:d:e:f:${"x".repeat(20)}`;
	const seen = [];
	const subs = numbers(280).map((n) => c.subscribe(name(n), (e) => seen.push(e.data)));
	const ends = await soon(Promise.all(subs.map(({ ready }) => ready.then(() => "live", (error) => error.code))));
	const live = ends.filter((end) => end == "live").length;
	assert.ok(live > 49, `${live}`);
	assert.deepEqual([...new Set(ends)].sort(), ["limit_exceeded", "live"]);
	assert.deepEqual(subs.map(({ state }) => state), ends.map((end) => (end == "live" ? "subscribed" : "closed")));
	assert.ok(c.record.error.length == 280 - live && c.record.error.every(({ code, temporary }) => code == "limit_exceeded" && !temporary));
	assert.deepEqual(c.record.disconnected, []);
	await g.publish(name(0), "n", 1);
	await until(() => seen.length);
	assert.equal(c.state, "connected");
});

test("with the client, and with a connection, all its streams end, also those that are about to be opened", async (t) => {
	const g = await gateway(t);
	const way = await tunnel(t, g.port);
	const signals = [];
	const fetch = (address, init) => (/\/events\?/.test(address) && signals.push(init.signal), globalThis.fetch(address, init));
	const begin = () => {
		const c = client(t, way.url, { transports: ["sse"], fetch });
		for (const n of numbers(3)) c.subscribe(`c:${n}`, () => {}, { since: 1000 + n });
		return c;
	};
	const all = async () => Object.keys((await g.get("/api/status")).subscriptions).length;
	const hurried = begin();
	await until(() => hurried.state == "connected");
	hurried.close();
	const c = begin();
	await until(() => c.record.subscribed.length == 3);
	assert.ok(signals.length >= 3);
	const before = signals.splice(0);
	way.open = false;
	way.cut();
	await until(() => c.state == "reconnecting");
	assert.ok(before.every((signal) => signal.aborted));
	way.open = true;
	await until(() => c.record.subscribed.length == 6);
	c.close();
	assert.ok(signals.every((signal) => signal.aborted));
	const count = signals.length;
	await until(async () => (await all()) == 0);
	assert.equal(signals.length, count);
	// Nothing is left that a process would wait for.
	const source = JSON.stringify(new URL("src/web/client/ringcast.js", `file://${root}`).href);
	const code = `import { connect } from ${source};
		const c = connect("${g.url}", { transports: ["sse"] });
		for (const n of [1, 2, 3]) c.subscribe("c:" + n, () => {}, { since: n });
		c.on("connected", () => c.close());`;
	const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: "inherit" });
	t.after(() => child.exitCode === null && child.kill());
	assert.equal(await soon(new Promise((done) => child.on("exit", done))), 0);
});

test("a provider whose token streams refuse is asked once more, and that is the end", async (t) => {
	const g = await gateway(t, KEYS);
	let asked = 0;
	const c = client(t, g.url, { transports: ["sse"], token: () => `bad.bad.${++asked}` });
	c.subscribe("news", () => {});
	assert.equal((await until(() => c.record.reconnect_failed[0])).code, "unauthorized");
	assert.deepEqual([asked, c.state], [2, "closed"]);
	// And so again, when it is asked for.
	c.reconnect();
	await until(() => c.record.reconnect_failed.length == 2);
	assert.equal(c.state, "closed");
});

test("a token that ran out is renewed when what is said with it is refused", async (t) => {
	const g = await gateway(t, { ...KEYS, "namespace.allow_publish": "user", "namespace.allow_history": "user" });
	let asked = 0;
	const c = client(t, g.url, { transports: ["sse"], token: () => token({ sub: "ann" }, asked++ ? 300 : -10) });
	await until(() => c.state == "connected");
	assert.equal(asked, 1);
	// What can be asked twice is asked again with the new one.
	assert.deepEqual((await soon(c.history("news"))).events, []);
	assert.equal(asked, 2);
	assert.match((await soon(c.publish("news", "n", 1))).position, /@1$/);
	assert.deepEqual(c.record.disconnected.map(({ code, again }) => [code, again]), [[4001, true]]);
	assert.deepEqual(c.record.error, []);
});

test("a gateway that stops says when to come back, and is obeyed", async (t) => {
	let count = 0;
	const server = http.createServer((request, response) => {
		if (request.url == "/healthz") return response.end("ok");
		response.writeHead(200, { "Content-Type": "text/event-stream" });
		if (count++) response.write("retry: 1000\nid: e~2\n\n");
		else response.end("retry: 1000\nid: e~1\n\nretry: 300\n\n");
	});
	await new Promise((done) => server.listen(0, "127.0.0.1", done));
	t.after(() => (server.closeAllConnections(), server.close()));
	const c = client(t, `http://127.0.0.1:${server.address().port}`, { transports: ["sse"] });
	await soon(c.subscribe("a", () => {}).ready);
	const { delay } = await until(() => c.record.reconnecting[0]);
	assert.ok(delay >= 300 && delay < 300 + 20, `${delay}`);
	await until(() => c.record.subscribed.length == 2);
	assert.equal(count, 2);
});
