// SPDX-License-Identifier: Apache-2.0
// Servers that are gone, false, slow, mute or mad. The client ends in a state that says so, leaves nothing open, and nothing it throws goes uncaught. HOSTILE_SEED has the garbage again.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { BINARY, CLOSE, Fake, PING, PONG, TEXT, event, frame, listen, now, proper, status } from "./fake.mjs";
import { chance, connect, Gateway, heapUsed, kept, RingcastError, seedOf, sleep, slow, token, until, Way, watchForUncaught, within, withTokens } from "./gateway.mjs";

const uncaught = watchForUncaught();
const quick = { minDelay: 1, maxDelay: 20, timeout: 5000 * slow };

/** A test with a client that is closed behind it, and whatever else. */
function hostile(name, work) {
	test(name, { timeout: 120000 * slow }, async (t) => {
		const open = [];
		const use = (thing) => {
			open.unshift(thing);
			return thing;
		};
		try {
			await work(use, t);
		} finally {
			for (const thing of open) await (thing.stop ?? thing.close).call(thing);
		}
		// Whatever was left undone would be told by the next turns of the loop.
		for (let i = 0; i < 5; i++) await sleep(1);
		assert.deepEqual(uncaught.splice(0), []);
	});
}

function open(use, url, options = {}) {
	const client = use(connect(url, { ...quick, ...options }));
	client.told = listen(client);
	return client;
}

/** Nothing happens for some turns of everything that could: a bound on what is checked, no wait for something. */
async function staysQuiet(client, count) {
	const before = count();
	await sleep(150);
	assert.equal(count(), before);
	assert.equal(client.state, "closed");
}

async function deadPort() {
	const server = net.createServer().listen(0, "127.0.0.1");
	await until(() => server.listening, "a port");
	const { port } = server.address();
	await new Promise((closed) => server.close(closed));
	return port;
}

// ---- Gone, false, refusing

hostile("a server that is gone: tries, then reconnect_failed, and reconnect() begins anew", async (use) => {
	const port = await deadPort();
	const client = open(use, `http://127.0.0.1:${port}`, { maxTries: 4 });
	const seen = [];
	const subscription = client.subscribe("news", (e) => seen.push(e.data));
	assert.equal(client.state, "connecting");
	const error = await client.told.until("reconnect_failed");
	assert.ok(error instanceof RingcastError);
	assert.equal(client.state, "closed");
	assert.equal(client.metrics.quality, "offline");
	const attempts = client.told.of("reconnecting").map((r) => r.attempt);
	assert.ok(attempts.length >= 2 && attempts.length <= 4 && attempts.every((a, i) => i === 0 || a > attempts[i - 1]), `${attempts}`);
	assert.ok(client.told.of("reconnecting").every((r) => r.delay >= 0 && r.delay <= 20));
	assert.deepEqual(client.told.of("fallback"), []);
	await staysQuiet(client, () => client.told.length);
	// Somebody is there now.
	const gateway = use(await Gateway.start({}, { listen: `127.0.0.1:${port}` }));
	client.reconnect();
	await within(subscription.ready, "the subscription");
	await gateway.publish("news", 1);
	await until(() => seen.length === 1, "the event");
	assert.equal(client.state, "connected");
});

hostile("close() while it still tries: at once, for good, promises are told", async (use) => {
	const client = open(use, `http://127.0.0.1:${await deadPort()}`);
	const subscription = client.subscribe("news", () => {});
	const asked = [client.publish("news", "e", 1), client.history("news"), client.presence("news"), client.command({ do: 1 }), subscription.ready];
	await client.told.until("reconnecting");
	client.close();
	for (const promise of asked) await assert.rejects(within(promise, "an end"), (e) => e instanceof RingcastError && typeof e.code === "string");
	assert.equal(client.state, "closed");
	assert.equal(subscription.state, "closed");
	await assert.rejects(async () => client.publish("news", "e", 1), { code: "closed" });
	client.close();
	await staysQuiet(client, () => client.told.length);
});

function selfSigned() {
	const folder = mkdtempSync(join(tmpdir(), "rc-"));
	const [key, cert] = [join(folder, "key"), join(folder, "cert")];
	execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=elsewhere.example"], { stdio: "ignore" });
	const files = { key: readFileSync(key), cert: readFileSync(cert) };
	rmSync(folder, { recursive: true });
	return files;
}

hostile("a certificate that nobody signed: no word of the token, no way around TLS", async (use) => {
	const fake = use(await Fake.start({ tls: selfSigned() }));
	const way = use(await Way.to({ host: "127.0.0.1", port: fake.port }));
	// What goes over the wire, in front of TLS.
	const wire = [];
	way.server.on("connection", (socket) => socket.on("data", (bytes) => wire.push(bytes)));
	const secret = token({ sub: "ann" });
	for (const scheme of ["wss", "https"]) {
		const client = open(use, `${scheme}://127.0.0.1:${way.port}`, { maxTries: 3, token: secret });
		const error = await client.told.until("reconnect_failed");
		const words = [error, error.cause, ...client.told.of("error"), ...client.told.of("disconnected")].map((e) => `${e?.message ?? ""} ${e?.code ?? ""} ${e?.reason ?? ""} ${e?.cause?.message ?? ""} ${e?.cause?.code ?? ""}`).join(" | ");
		assert.match(words, /certificate|self.signed|altname/i);
		assert.equal(client.state, "closed");
		assert.deepEqual(client.told.of("connected"), []);
		await staysQuiet(client, () => way.accepted);
	}
	assert.equal(fake.requests.length, 0);
	assert.ok(wire.length > 0);
	for (const bytes of wire) {
		assert.ok(!bytes.includes(secret) && !bytes.includes("GET "), "something was said in plain");
	}
});

hostile("a token that is refused: its provider is asked once more, then reconnect_failed", async (use) => {
	const gateway = use(await Gateway.start(withTokens));
	const way = use(await Way.to(gateway));
	let asked = 0;
	const client = open(use, way.http, {
		token: () => {
			asked++;
			return "not.a.token";
		},
	});
	const error = await client.told.until("reconnect_failed");
	assert.equal(error.code, "unauthorized");
	assert.equal(asked, 2);
	assert.equal(client.state, "closed");
	await staysQuiet(client, () => way.accepted + asked);
	// Once more when it is asked to, and no oftener.
	client.reconnect();
	await client.told.until("reconnect_failed", 2);
	assert.ok(asked <= 4, `${asked}`);
	// A text alone has nothing new to say.
	const fixed = open(use, way.http, { token: "not.a.token" });
	assert.equal((await fixed.told.until("reconnect_failed")).code, "unauthorized");
	await staysQuiet(fixed, () => way.accepted);
});

hostile("a provider that gives a better token the second time", async (use) => {
	const gateway = use(await Gateway.start(withTokens));
	let asked = 0;
	const client = open(use, gateway.http, { token: async () => (asked++ ? token({ sub: "ann" }) : token({ sub: "ann" }, -3600)) });
	await client.told.until("connected");
	assert.equal(asked, 2);
	assert.equal(client.user, "ann");
	assert.deepEqual(client.told.of("reconnect_failed"), []);
});

for (const [name, provider] of Object.entries({
	throws: () => {
		throw new Error("no token today");
	},
	"rejects with nothing": () => Promise.reject(),
	"never answers": () => new Promise(() => {}),
	"gives a number": () => 7,
	"gives an object": () => ({}),
})) {
	hostile(`a provider that ${name}`, async (use) => {
		const fake = use(await Fake.start());
		let asked = 0;
		const client = open(use, fake.url, {
			timeout: 100,
			maxTries: 3,
			token: () => {
				asked++;
				return provider();
			},
		});
		// Whether it is tried again or given up: it is said, and ends.
		await until(() => client.told.of("reconnect_failed").length || client.told.of("connected").length || client.told.of("error").length, () => `something is told: ${JSON.stringify(client.told)}`);
		await sleep(200);
		assert.ok(asked < 20, `asked ${asked} times`);
		client.close();
		assert.equal(client.state, "closed");
	});
}

// ---- Refused upgrades, redirects, HTTP that is none

for (const code of [400, 401, 403, 404, 426, 429, 500, 502, 503]) {
	hostile(`an upgrade that is refused with ${code}`, async (use) => {
		const fake = use(await Fake.start({ refuse: status(code, { "Retry-After": "0" }), request: (_, res) => res.writeHead(code, { "Retry-After": "0" }).end("no\n") }));
		const client = open(use, fake.url, { maxTries: 5, token: "t" });
		const error = await client.told.until("reconnect_failed");
		assert.ok(error instanceof RingcastError);
		assert.equal(client.state, "closed");
		assert.deepEqual(client.told.of("connected"), []);
		assert.ok(fake.requests.length <= 24, `${fake.requests.length} requests`);
		await staysQuiet(client, () => fake.requests.length);
		// It was only then.
		fake.refuse = undefined;
		client.reconnect();
		await client.told.until("connected");
		assert.equal(client.transport, "ws");
	});
}

hostile("a WebSocket that can't even be made: server-sent events, and no storm of requests", async (use) => {
	const gateway = use(await Gateway.start(kept("keep")));
	const way = use(await Way.to(gateway));
	let made = 0;
	class Blocked {
		constructor() {
			made++;
			throw new Error("blocked");
		}
	}
	const client = open(use, way.http, { WebSocket: Blocked });
	const seen = [];
	await within(client.subscribe("keep:a", (e) => seen.push(e.data)).ready, "the subscription");
	assert.equal(client.transport, "sse");
	assert.deepEqual(client.told.of("fallback").map((f) => f.transport), ["sse"]);
	await gateway.publish("keep:a", 1);
	await until(() => seen.length === 1, "the event");
	assert.ok(made <= 4, `made ${made} times`);
	assert.ok(way.accepted <= 8, `${way.accepted} connections`);
});

hostile("a redirect is not followed with the token", async (use) => {
	const elsewhere = use(await Fake.start({ request: (req, res) => (req.url.startsWith("/events") ? res.writeHead(200, { "Content-Type": "text/event-stream" }).write("id: aaaaaaaaaa~1\n\n") : res.end("ok\n")) }));
	for (const code of [301, 302, 307, 308]) {
		const to = (req) => ({ Location: `${elsewhere.url}${req.url}` });
		const fake = use(await Fake.start({
			refuse: (socket, req) => status(code, to(req))(socket),
			request: (req, res) => res.writeHead(code, to(req)).end(),
		}));
		const client = open(use, fake.url, { maxTries: 3, token: "a-token-to-keep" });
		const { ready } = client.subscribe("news", () => {});
		await Promise.race([ready.catch(() => {}), client.told.until("reconnect_failed")]);
		client.close();
	}
	for (const req of elsewhere.requests) {
		assert.ok(!JSON.stringify([req.url, req.headers]).includes("a-token-to-keep"), `${req.url} ${JSON.stringify(req.headers)}`);
	}
	assert.equal(elsewhere.peers.length, 0);
});

hostile("answers that are no HTTP", async (use) => {
	const rnd = chance(seedOf("HOSTILE_SEED"));
	const noise = (n) => Buffer.from(Array.from({ length: n }, () => rnd.below(256)));
	const answers = [
		() => "", () => "\r\n\r\n", () => "HTTP/1.1\r\n\r\n", () => "HTTP/1.1 101 Switching Protocols\r\n\r\n", () => "SSH-2.0-OpenSSH_9.0\r\n", () => noise(2000), () => `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(5000)}\r\n`,
		() => "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
		() => "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", () => "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello",
		() => "HTTP/1.1 99999 Odd\r\n\r\n", () => Buffer.concat([Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"), noise(500)]),
	];
	for (const answer of answers) {
		const sockets = new Set();
		const server = net.createServer((socket) => {
			sockets.add(socket);
			socket.on("error", () => {}).on("close", () => sockets.delete(socket)).once("data", () => socket.end(answer()));
		});
		await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
		const client = open(use, `http://127.0.0.1:${server.address().port}`, { maxTries: 3, timeout: 1000 });
		client.subscribe("news", () => assert.fail("no event was sent")).ready.catch(() => {});
		await client.told.until("reconnect_failed");
		assert.deepEqual(client.told.of("connected"), []);
		client.close();
		await until(() => sockets.size === 0, "no socket is left");
		server.close();
	}
});

// ---- Slow and mute

/** What a server does instead of answering; open sockets are counted. */
async function mute(use, does) {
	const fake = use({ sockets: new Set(), most: 0, count: 0, timers: new Set() });
	fake.server = net.createServer((socket) => {
		fake.sockets.add(socket);
		fake.most = Math.max(fake.most, fake.sockets.size);
		// A connection that was given up before anything was said on it may still be made.
		socket.on("error", () => {}).on("end", () => socket.destroy()).on("close", () => fake.sockets.delete(socket)).once("data", () => fake.count++);
		does(socket, fake);
	});
	fake.close = async () => {
		for (const timer of fake.timers) clearInterval(timer);
		for (const socket of fake.sockets) socket.destroy();
		fake.server.close();
	};
	await new Promise((listening) => fake.server.listen(0, "127.0.0.1", listening));
	fake.url = `http://127.0.0.1:${fake.server.address().port}`;
	return fake;
}

const loris = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n".padEnd(4000, "X-Pad: 1\r\n");
for (const [name, does] of Object.entries({
	"accepts and says nothing": () => {},
	"answers a byte at a time, for ever": (socket, fake) => {
		let at = 0;
		const timer = setInterval(() => socket.writable && socket.write(loris[at++ % loris.length]), 2);
		fake.timers.add(timer);
		socket.on("close", () => clearInterval(timer));
	},
})) {
	hostile(`a server that ${name}: each try ends by its timeout, and leaves nothing open`, async (use) => {
		const fake = await mute(use, does);
		const client = open(use, fake.url, { timeout: 60, maxTries: 5 });
		client.subscribe("news", () => {}).ready.catch(() => {});
		await client.told.until("reconnect_failed");
		await until(() => fake.sockets.size === 0, () => `${fake.sockets.size} sockets are still open`);
		assert.ok(fake.most <= 3, `${fake.most} sockets at once`);
		assert.ok(fake.count <= 16, `${fake.count} requests`);
		await staysQuiet(client, () => fake.count);
	});
}

hostile("a WebSocket that is let in and told nothing", async (use) => {
	const fake = use(await Fake.start({ upgrade: () => {} }));
	const client = open(use, fake.url, { timeout: 60, maxTries: 3 });
	await client.told.until("reconnect_failed");
	await until(() => fake.sockets.size === 0, "nothing stays open");
	assert.deepEqual(client.told.of("connected"), []);
	// And one that says it at last.
	fake.upgrade = proper;
	client.reconnect();
	await client.told.until("connected");
});

hostile("requests that are never answered end by their timeout, one by one", async (use) => {
	const fake = use(await Fake.start({
		upgrade: (peer) => {
			peer.onMessage = ({ type, id }) => type === "ping" && peer.say({ type: "pong", id, timestamp: now() });
			peer.say({ type: "connected", session: "s", heartbeat: 30000, version: "0.1.0" });
		},
	}));
	const client = open(use, fake.url, { timeout: 150 });
	await client.told.until("connected");
	const refusals = await Promise.allSettled([
		client.publish("news", "e", 1), client.history("news"), client.presence("news"), client.command({ do: 1 }), client.command({ do: 1 }, { timeout: 50 }), client.send("chat:send", {}),
	].map((p) => within(p, "an end")));
	for (const r of refusals) {
		assert.equal(r.status, "rejected");
		assert.ok(r.reason instanceof RingcastError && ["timeout", "unknown"].includes(r.reason.code), `${r.reason}`);
	}
});

// ---- Ends

const codes = {
	// code: comes back by itself, as far as the table says so.
	1000: undefined, 1001: undefined, 1002: undefined, 1003: undefined, 1007: undefined, 1008: undefined, 1009: undefined, 1011: true, 1012: true, 1013: true, 3000: undefined,
	4000: false, 4001: false, 4003: false, 4004: false, 4099: false, 4100: true, 4101: true, 4105: true, 4199: true, 4201: true, 4202: true, 4299: true, 4300: undefined, 4999: undefined,
};
for (const [code, again] of Object.entries(codes)) {
	hostile(`a close with ${code}`, async (use) => {
		const fake = use(await Fake.start());
		const client = open(use, fake.url);
		const subscription = client.subscribe("news", () => {});
		await subscription.ready;
		const peer = await fake.peer(0);
		peer.close(Number(code), "because");
		const told = await client.told.until("disconnected");
		assert.equal(told.code, Number(code));
		assert.equal(told.reason, "because");
		if (again !== undefined) assert.equal(told.again, again);
		if (told.again) {
			await client.told.until("connected", 2);
			await fake.peers[1].heard("subscribe");
			assert.equal(client.told.of("connected")[1].again, true);
		} else {
			assert.equal(client.state, "closed");
			await staysQuiet(client, () => fake.connections);
			client.reconnect();
			await client.told.until("connected", 2);
			await fake.peers[1].heard("subscribe");
		}
	});
}

hostile("42xx comes back at once, 41xx after its pause", async (use) => {
	const fake = use(await Fake.start());
	const client = open(use, fake.url, { minDelay: 100000, maxDelay: 100000 });
	await client.told.until("connected");
	for (let n = 1; n <= 3; n++) {
		(await fake.peer(n - 1)).close(4201, "");
		await client.told.until("connected", n + 1);
	}
	fake.peers[3].close(4100, "");
	const { delay } = await client.told.until("reconnecting", client.told.of("reconnecting").length + 1);
	assert.ok(delay > 50, `${delay}`);
	assert.equal(client.state, "reconnecting");
});

hostile("`bye` says when, and that is kept", async (use) => {
	const fake = use(await Fake.start());
	const client = open(use, fake.url);
	await client.told.until("connected");
	const peer = await fake.peer(0);
	const begin = performance.now();
	peer.say({ type: "bye", code: "shutdown", reconnect: { after: 300 } });
	peer.close(1012, "");
	await client.told.until("connected", 2);
	const took = performance.now() - begin;
	assert.ok(took >= 290, `came back after ${took} ms`);
});

for (const after of [-1, 1e308, "soon", null, {}, 0.5]) {
	hostile(`\`bye\` with a pause of ${JSON.stringify(after)}`, async (use) => {
		const fake = use(await Fake.start());
		const client = open(use, fake.url);
		await client.told.until("connected");
		const peer = await fake.peer(0);
		peer.say({ type: "bye", code: "shutdown", reconnect: { after } });
		peer.close(1012, "");
		await client.told.until("disconnected");
		assert.ok(client.told.of("reconnecting").every((r) => Number.isFinite(r.delay) && r.delay >= 0), JSON.stringify(client.told));
		client.reconnect();
		await client.told.until("connected", 2);
	});
}

hostile("an end in the middle of a message, and of a frame", async (use) => {
	const fake = use(await Fake.start());
	const client = open(use, fake.url);
	const seen = [];
	await client.subscribe("news", (e) => seen.push(e.data)).ready;
	const whole = frame(TEXT, JSON.stringify(event("news", 1, "cut")));
	for (let n = 0; n < 10; n++) {
		const peer = await fake.peer(n);
		await peer.heard("subscribe");
		peer.write(whole.subarray(0, Math.floor((whole.length * (n + 0.5)) / 10)));
		peer.socket.end();
		await client.told.until("connected", n + 2);
	}
	const peer = await fake.peer(10);
	await peer.heard("subscribe");
	peer.write(whole);
	await until(() => seen.length, "the event");
	assert.deepEqual(seen, ["cut"]);
});

// ---- Garbage

const junk = [null, true, false, 0, -1, 1e308, 2 ** 53, 0.1, "", "x", "x".repeat(3000), "\u0000", "\ud800", "é💩", [], [[]], {}, { a: 1 }, [null], "aaaaaaaaaa@1", "aaaaaaaaaa~1.2", "a@b@c", "@", "~", "__proto__", "constructor", "toString"];
/** One right message of each type that the protocol has; the id is that of a request that waits. */
function templates(id) {
	const timestamp = "2026-01-15T10:15:00.000Z";
	const e = event("news", 7, { n: 1 });
	return [
		{ type: "connected", session: "s", heartbeat: 30000, version: "0.1.0", user: "ann", expires: 99999999999999 },
		{ type: "subscription-ack", id, timestamp, data: { channels: ["news", "agent:*"], positions: { news: "aaaaaaaaaa@41" }, recovered: { news: false }, reasons: { news: "trimmed" } } },
		{ type: "unsubscription-ack", id, timestamp, data: { channels: ["other"] } },
		e,
		{ ...e, type: "join", user: "ann", data: { users: [{ user: "ann" }], count: 1 } }, { ...e, type: "leave" }, { ...e, type: "presence", data: { count: 1 } },
		{ type: "presence", id, timestamp, channel: "news", users: [{ user: "ann", connections: 2 }], count: 1, clients: 3, anonymous: 1, complete: true },
		{ type: "events", channel: "news", events: [e, e] },
		{ type: "summary", channel: "news", counts: { click: 17, "": 2 }, from: timestamp, to: timestamp, offset: 59 },
		{ type: "event", event: "note", direct: true, timestamp, data: { n: 1 } },
		{ type: "event", channel: "$all", event: "note", offset: 1, timestamp, data: { n: 1 } },
		{ type: "gap", channel: "news", reason: "slow", missed: 17, position: "aaaaaaaaaa@59" },
		{ type: "positions", timestamp, positions: { "agent:*": "aaaaaaaaaa~12.9" } },
		{ type: "error", id, code: "bad_channel", temporary: false, message: "no", timestamp, data: { error: "no" } },
		{ type: "error", code: "replaced", temporary: false, message: "no", timestamp, channel: "news" },
		{ type: "pong", id, timestamp }, { type: "ping", timestamp }, { type: "ack", id, timestamp, channel: "news", position: "aaaaaaaaaa@43" },
		{ type: "reply", id, timestamp, data: { order: 17 } }, { type: "refreshed", id, timestamp, expires: 99999999999999 },
		{ type: "history", id, timestamp, channel: "news", events: [e], position: "aaaaaaaaaa@60", first: "aaaaaaaaaa@12", complete: true, more: false },
	];
}

function mutated(rnd, value, depth = 0) {
	if (rnd() < 0.25 || depth > 4) return rnd.of(junk);
	if (Array.isArray(value)) return value.flatMap((v) => (rnd() < 0.2 ? [] : rnd() < 0.3 ? [mutated(rnd, v, depth + 1), v] : [v]));
	if (value && typeof value === "object") {
		const copy = { ...value };
		for (const key of Object.keys(copy)) {
			if (rnd() < 0.25) copy[key] = mutated(rnd, copy[key], depth + 1);
			else if (rnd() < 0.08) delete copy[key];
		}
		return copy;
	}
	return rnd() < 0.5 ? rnd.of(junk) : value;
}

/** A message that is none, as frames. [what it is, bytes] */
function garbage(rnd, id) {
	const noise = (n) => Buffer.from(Array.from({ length: n }, () => rnd.below(256)));
	const letters = (n) => Buffer.from(Array.from({ length: n }, () => 32 + rnd.below(95)));
	const kind = rnd.below(14);
	// Mostly JSON: what breaks the framing ends the connection, and all that stands behind it.
	if (kind < 8) {
		const template = rnd.of(templates(id));
		const message = mutated(rnd, template);
		// Members that are wrong, while the type is right.
		if (message && typeof message === "object" && !Array.isArray(message) && rnd() < 0.8) message.type = template.type;
		return ["json", frame(TEXT, JSON.stringify(message))];
	}
	if (kind === 8) return ["text", frame(TEXT, letters(rnd.below(3000)))];
	if (kind === 9) {
		const text = JSON.stringify(rnd.of(templates(id)));
		return ["cut json", frame(TEXT, text.slice(0, rnd.below(text.length)))];
	}
	if (kind === 10) {
		const text = Buffer.from(JSON.stringify(mutated(rnd, rnd.of(templates(id)))));
		const parts = [];
		for (let at = 0; at < text.length; at += 1 + rnd.below(20)) parts.push(at);
		return ["fragments", Buffer.concat(parts.map((at, i) => frame(i ? 0 : TEXT, text.subarray(at, parts[i + 1] ?? text.length), { fin: i === parts.length - 1 })))];
	}
	if (kind === 11) return ["several", frame(TEXT, Array.from({ length: 1 + rnd.below(5) }, () => JSON.stringify(mutated(rnd, rnd.of(templates(id))))).join(rnd.of(["\n", "\n\n", "\r\n", " "])))];
	if (kind === 12) return ["pings", Buffer.concat([frame(PING, letters(rnd.below(125))), frame(PONG, letters(rnd.below(125)))])];
	return rnd.of([
		() => ["deep", frame(TEXT, "[".repeat(1 + rnd.below(20000)))],
		() => ["binary", frame(BINARY, noise(rnd.below(3000)))],
		() => ["no utf-8", frame(TEXT, noise(1 + rnd.below(300)))],
		() => ["bytes", noise(1 + rnd.below(300))],
		() => ["rsv", frame(TEXT, "{}", { rsv: 1 + rnd.below(7) })],
		() => ["opcode", frame(3 + rnd.below(5), "{}")],
		() => ["long ping", frame(PING, letters(200))],
		() => ["huge", frame(TEXT, "", { length: 2 ** 40 })],
		() => ["masked", frame(TEXT, "{}", { masked: true })],
		() => ["odd close", frame(CLOSE, rnd.of([Buffer.from([3]), Buffer.from([0, 0]), Buffer.from([3, 238]), Buffer.from([15, 160, 255, 254]), noise(50)]))],
	])();
}

/** Something that was subscribed and asked for while garbage comes: what it may look like to the application. */
function application(client, wrong) {
	const all = { events: 0, asked: 0, ended: 0 };
	const take = (e) => {
		all.events++;
		if (!e || typeof e !== "object" || typeof e.channel !== "string") wrong.push(["event", e]);
	};
	const follow = (...given) => client.subscribe(...given).ready.catch(() => {});
	follow("news", take);
	follow("agent:*", take);
	follow("counts", take, { window: 1000, summary: true });
	follow("acked", take, { ack: true });
	all.ask = () => {
		for (const promise of [client.publish("news", "e", 1), client.history("news"), client.presence("news"), client.command({ do: 1 }, { timeout: 300 })]) {
			all.asked++;
			promise.then(() => all.ended++, (e) => {
				all.ended++;
				if (!(e instanceof RingcastError)) wrong.push(["rejected", e]);
			});
		}
	};
	return all;
}

hostile("a megabyte of garbage in every shape, and then it works", async (use) => {
	const rnd = chance(seedOf("HOSTILE_SEED"));
	const kinds = {};
	let mad = true, bytes = 0;
	const fake = use(await Fake.start({
		upgrade: (peer) => {
			proper(peer);
			if (!mad) return;
			const answer = peer.onMessage;
			peer.onMessage = (m) => {
				answer(m);
				if (m.type !== "subscribe" || peer.pouring) return;
				// A little at a time: what breaks the connection hides all that stands behind it.
				peer.pouring = true;
				const pour = () => {
					if (peer.over || !peer.socket.writable || !mad) return;
					const [kind, raw] = garbage(rnd, rnd() < 0.5 ? m.id : rnd.of(junk));
					kinds[kind] = (kinds[kind] ?? 0) + 1;
					bytes += raw.length;
					peer.write(raw);
					setImmediate(pour);
				};
				pour();
			};
		},
	}));
	const client = open(use, fake.url, { minDelay: 0, maxDelay: 0, timeout: 500 });
	const wrong = [];
	const asked = application(client, wrong);
	while (bytes < 1 << 20) {
		asked.ask();
		await sleep(5);
		// Told not to come back, or that it is not welcome: that is believed. This test goes on.
		if (client.state === "closed") client.reconnect();
		assert.equal(typeof client.metrics.quality, "string");
	}
	mad = false;
	for (const peer of fake.peers) peer.socket.destroy();
	const before = fake.peers.length;
	await until(() => {
		if (client.state === "closed") client.reconnect();
		return client.state === "connected" && fake.peers.length > before;
	}, () => `it is connected: ${client.state}, ${JSON.stringify(client.told.slice(-5))}`, 40);
	await until(() => asked.ended === asked.asked, () => `each request ends: ${asked.ended} of ${asked.asked}`);
	const seen = [];
	await within(client.subscribe("fresh", (e) => seen.push(e)).ready, "a new subscription");
	fake.peers.at(-1).say(event("fresh", 1, { fine: true }));
	await until(() => seen.length, "its event");
	assert.deepEqual(seen[0].data, { fine: true });
	console.log(`${bytes} bytes in ${fake.peers.length} connections, ${JSON.stringify(kinds)}; ${asked.events} events, ${asked.asked} requests`);
	assert.deepEqual(wrong.slice(0, 5), []);
	assert.equal({}.polluted, undefined);
});

hostile("messages of wrong types, ten thousand of each connection's life, without a network between", async (use) => {
	const rnd = chance(seedOf("HOSTILE_SEED"));
	let socket, made = 0, mad = true;
	class Pretended {
		constructor() {
			made++;
			this.waiting = new Set();
			setImmediate(() => {
				if (this.gone) return;
				socket = this;
				this.onopen?.({});
				this.hear({ type: "connected", session: "s", heartbeat: 30000, version: "0.1.0" });
			});
		}

		hear(message) {
			if (!this.gone) this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
		}

		send(text) {
			const m = JSON.parse(text);
			this.waiting.add(m.id);
			if (mad && rnd() < 0.2 && m.type !== "ping") return;
			setImmediate(() => {
				const answer = { id: m.id, timestamp: now() };
				if (m.type === "ping") this.hear({ type: "pong", ...answer });
				if (m.type === "subscribe") this.hear({ type: "subscription-ack", ...answer, data: { channels: m.channels, positions: Object.fromEntries(m.channels.map((c) => [c, "aaaaaaaaaa@0"])) } });
			});
		}

		close() {
			this.gone = true;
		}
	}
	const client = open(use, "ws://127.0.0.1:1", { minDelay: 0, maxDelay: 0, timeout: 500, WebSocket: Pretended, transports: ["ws"] });
	const wrong = [];
	const asked = application(client, wrong);
	const counts = { fed: 0, ended: 0 };
	for (let n = 0; n < 10000; n++) {
		if (n % 50 === 0) asked.ask();
		await until(() => {
			if (client.state === "closed") client.reconnect();
			return client.state === "connected" && socket && !socket.gone;
		}, () => `it is connected: ${client.state} ${JSON.stringify(client.told.slice(-3))}`);
		const id = rnd.of([...socket.waiting, ...junk]);
		const template = rnd.of(templates(id));
		const message = mutated(rnd, template);
		if (message && typeof message === "object" && !Array.isArray(message) && rnd() < 0.9) {
			message.type = template.type;
			if (rnd() < 0.7 && template.channel) message.channel = rnd.of(["news", "agent:1", "counts", "acked"]);
		}
		counts.fed++;
		const before = socket;
		before.hear(rnd() < 0.05 ? JSON.stringify(message).slice(1) : message);
		if (before.gone) counts.ended++;
		if (n % 20 === 0) await new Promise(setImmediate);
	}
	mad = false;
	await until(() => {
		if (client.state === "closed") client.reconnect();
		return client.state === "connected" && asked.ended === asked.asked;
	}, () => `each request ends: ${asked.ended} of ${asked.asked}`);
	const seen = [];
	await within(client.subscribe("fresh", (e) => seen.push(e)).ready, "a new subscription");
	socket.hear(event("fresh", 1, { fine: true }));
	await until(() => seen.length === 1, "its event");
	console.log(`${counts.fed} messages, ${counts.ended} of them ended their connection, ${made} connections; ${asked.events} events, ${asked.asked} requests`);
	assert.deepEqual(wrong.slice(0, 5), []);
	assert.ok(asked.events > 100);
	assert.equal({}.polluted, undefined);
});

hostile("a stream of garbage where server-sent events are asked for, and then it works", async (use) => {
	const rnd = chance(seedOf("HOSTILE_SEED"));
	let mad = true, bytes = 0;
	const pieces = [
		() => "data: \n\n", () => ":\n\n", () => "id: aaaaaaaaaa~1.2\n\n", () => "id: \u0000\n\n", () => "retry: soon\n\n", () => "retry: -5\n\n", () => "retry: 99999999999999999999\n\n", () => `${"x".repeat(2000)}\n`,
		() => "event: gap\ndata: {}\n\n", () => "event: gap\ndata: null\n\n", () => "data: {\ndata: }\n\n", () => "data\ndata\n\n", () => "\r\r\n\n", () => `data: ${"[".repeat(5000)}\n\n`,
		() => `data: ${JSON.stringify(mutated(rnd, rnd.of(templates("1"))))}\nid: ${rnd.of(junk)}\n\n`, () => Buffer.from([0xff, 0xfe, 0xc0, 0x80, 10]), () => "\ufeffdata: 1\n\n", () => `event: ${"e".repeat(2000)}\ndata: 1\n\n`,
	];
	const fake = use(await Fake.start({
		refuse: status(404),
		request: (req, res) => {
			if (!req.url.startsWith("/events")) {
				res.end("ok\n");
				return;
			}
			res.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
			if (!mad) {
				fake.stream = res;
				res.write("retry: 10\nid: aaaaaaaaaa~1\n\n");
				return;
			}
			const pour = () => {
				if (res.destroyed || !mad) return;
				for (let i = 0; i < 20; i++) {
					const piece = rnd.of(pieces)();
					bytes += piece.length;
					res.write(piece);
				}
				if (rnd() < 0.01) res.destroy();
				else setImmediate(pour);
			};
			pour();
		},
	}));
	const wrong = [];
	const seen = [];
	const client = open(use, fake.url, { transports: ["sse"], maxDelay: 3, timeout: 500 });
	client.subscribe("news", (e) => {
		if (!e || typeof e !== "object" || e.channel !== "news") wrong.push(e);
		seen.push(e);
	}).ready.catch(() => {});
	await until(() => {
		if (client.state === "closed") client.reconnect();
		return bytes > 1 << 20;
	}, "a megabyte", 40);
	mad = false;
	fake.stream = undefined;
	for (const socket of fake.sockets) socket.destroy();
	await until(() => {
		if (client.state === "closed") client.reconnect();
		return fake.stream;
	}, "it asks again", 40);
	const many = seen.length;
	// An offset that no garbage had.
	fake.stream.write(`event: e\ndata: ${JSON.stringify(event("news", 2 ** 40, { fine: true }))}\nid: aaaaaaaaaa~2\n\n`);
	await until(() => seen.slice(many).some((e) => e.data?.fine === true), () => `the event; ${JSON.stringify(client.told.slice(-4))}`);
	assert.deepEqual(wrong.slice(0, 3), []);
});

for (const [name, part] of [["one line", Buffer.alloc(1 << 16, 120)], ["one block", Buffer.from(`data: ${"x".repeat(100)}\n`.repeat(600))]]) {
	hostile(`an event stream of a hundred megabytes in ${name}`, async (use) => {
		const before = await heapUsed();
		let sent = 0;
		const fake = use(await Fake.start({
			refuse: status(404),
			request: (req, res) => {
				if (!req.url.startsWith("/events")) {
					res.end("ok\n");
					return;
				}
				res.on("error", () => {});
				res.writeHead(200, { "Content-Type": "text/event-stream" });
				const pour = () => {
					while (!res.destroyed && sent < 100 << 20) {
						sent += part.length;
						if (!res.write(part)) {
							res.once("drain", pour);
							return;
						}
					}
					res.destroy();
				};
				pour();
			},
		}));
		const client = open(use, fake.url, { transports: ["sse"], maxTries: 3 });
		client.subscribe("news", () => assert.fail("no event was sent")).ready.catch(() => {});
		let most = 0;
		await until(async () => {
			most = Math.max(most, (await heapUsed()) - before);
			return sent >= 100 << 20 || client.told.of("reconnect_failed").length;
		}, () => `the flood; ${sent} bytes`, 60);
		client.close();
		assert.ok(most < 40 << 20, `${most} bytes more than before`);
		await until(async () => (await heapUsed()) - before < 8 << 20, "what was held to be let go");
	});
}

// ---- Handlers and listeners of the application

hostile("handlers and listeners that throw or reject: told as errors, and nobody else misses anything", async (use) => {
	const gateway = use(await Gateway.start({ ...kept("keep") }));
	const client = open(use, gateway.http);
	const seen = [];
	for (const name of ["connected", "subscribed", "error"]) {
		client.on(name, () => {
			throw new Error(`a listener for ${name}`);
		});
	}
	const bad = client.subscribe("keep:a", () => {
		throw new Error("a handler");
	});
	const worse = client.subscribe("keep:a", async () => {
		throw new Error("later");
	});
	const good = client.subscribe("keep:a", (e) => seen.push(e.data));
	await Promise.all([bad.ready, worse.ready, good.ready]);
	for (let n = 0; n < 5; n++) await gateway.publish("keep:a", n);
	await until(() => seen.length === 5, "all of them");
	assert.deepEqual(seen, [0, 1, 2, 3, 4]);
	await until(() => client.told.of("error").filter((e) => e.code === "handler").length >= 5, () => `it is told: ${JSON.stringify(client.told.of("error"))}`);
	assert.equal(client.state, "connected");
});

hostile("arguments that are none are refused with bad_argument, and at once", async (use) => {
	const gateway = use(await Gateway.start());
	for (const url of ["", "no url", "ftp://127.0.0.1", "http://", {}, 7, null]) {
		await assert.rejects(async () => use(connect(url, quick)), (e) => e instanceof RingcastError && e.code === "bad_argument", `${url}`);
	}
	const client = open(use, gateway.http);
	for (const channel of ["", {}, [], "a b", "a*"]) {
		await assert.rejects(async () => {
			await within(client.subscribe(channel, () => {}).ready, `an answer for ${channel}`);
		}, (e) => e instanceof RingcastError, `${channel}`);
	}
	const circle = {};
	circle.circle = circle;
	for (const data of [circle, 1n]) await assert.rejects(async () => client.publish("news", "e", data), (e) => e instanceof RingcastError && e.code === "bad_argument");
	await assert.rejects(within(client.subscribe("a**", () => {}).ready, "an answer"), { code: "bad_channel" });
	await assert.rejects(within(client.subscribe("news", () => {}, { filter: "data.a >" }).ready, "an answer"), { code: "bad_filter" });
	// And the connection lives.
	await within(client.subscribe("news", () => {}).ready, "a good one");
});
