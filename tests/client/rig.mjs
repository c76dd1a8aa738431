// SPDX-License-Identifier: Apache-2.0
// What the tests of the JavaScript client share: the module under test, gateways, waiting with a deadline, servers that are wrong on purpose.
//
//   RINGCAST_BIN   the gateway; build/release/ringcast when not said
//   RINGCAST_JS    the module under test; the source when not said
//   RINGCAST_SLOW  a factor on every deadline
import { spawn } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const binary = process.env.RINGCAST_BIN || join(root, "build/release/ringcast");
const under = process.env.RINGCAST_JS ? pathToFileURL(resolve(process.env.RINGCAST_JS)).href : new URL("../../src/web/client/ringcast.js", import.meta.url).href;
const SLOW = +process.env.RINGCAST_SLOW || 1;

export const { connect, Client, RingcastError, version } = await import(under);
export const { NodeWebSocket, connect: connectNode } = await import("../../src/web/client/node.js");
export const SECRET = "a secret of the tests, long enough for its digest";

const unhandled = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

/** Every test ends with it: nobody's promise was left alone. */
export async function nothingUnhandled() {
	await new Promise((done) => setImmediate(done));
	if (unhandled.length) throw unhandled[0];
}

/** Resolves when the condition holds, with what it gave; rejects with `what`, a text or what gives one, after the deadline. */
export async function until(condition, what = String(condition), seconds = 20) {
	const end = performance.now() + seconds * 1000 * SLOW;
	for (;;) {
		const value = await condition();
		if (value) return value;
		if (performance.now() > end) throw new Error(`not in time: ${typeof what == "function" ? what() : what}`);
		await new Promise((done) => setTimeout(done, 5));
	}
}

/** What a promise becomes, within a deadline. */
export function soon(promise, what = "a promise", seconds = 20) {
	let timer;
	const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`not in time: ${what}`)), seconds * 1000 * SLOW)));
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export const token = (claims = {}, seconds = 300) => {
	const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
	const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ exp: Math.floor(Date.now() / 1000) + seconds, ...claims })}`;
	return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
};

export const OPEN = { "namespace.allow_publish": "anyone" };
export const KEPT = { ...OPEN, "namespace.history_size": 1000 };
export const KEYS = { "auth.hmac_secret": SECRET, "namespace.history_size": 1000, "auth.leeway": "0s" };

/** A gateway that lives until the test ends: its port, url, how it is ended. */
export async function gateway(t, settings = KEPT, { port = 0, shards = 2 } = {}) {
	const folder = mkdtempSync(join(tmpdir(), "ringcast-"));
	const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("RINGCAST_")));
	const flags = Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
	const child = spawn(binary, ["serve", "--listen", `127.0.0.1:${port}`, "--ingest", "127.0.0.1:0", "--shards", shards, ...flags], {
		stdio: ["ignore", "ignore", "pipe"],
		env: { ...env, RUNTIME_DIRECTORY: folder },
	});
	const lines = [];
	const ended = new Promise((done) => {
		child.on("exit", (code, signal) => done({ code, signal }));
		child.on("error", (error) => done({ error: lines.push(error.message) }));
	});
	const g = {
		child,
		lines,
		ended,
		async stop(signal = "SIGTERM") {
			child.kill(signal);
			return ended;
		},
		async publish(channel, event, data, more) {
			const body = JSON.stringify(Array.isArray(channel) ? channel : { channel, event, data, ...more });
			const answer = await fetch(`${g.url}/api/publish`, { method: "POST", body });
			const result = await answer.json();
			if (!answer.ok || result.results?.some((one) => one.error)) throw new Error(JSON.stringify(result));
			return result;
		},
		/** Events 0 to count - 1, in order. */
		async fill(channel, count, from = 0) {
			for (let n = from; n < from + count; n += 500)
				await g.publish(Array.from({ length: Math.min(500, from + count - n) }, (_, i) => ({ channel, event: "n", data: n + i })));
		},
		get: async (path) => (await fetch(g.url + path)).json(),
	};
	t.after(async () => {
		if (child.pid && child.exitCode === null && child.signalCode === null) await g.stop("SIGKILL");
		rmSync(folder, { recursive: true, force: true });
	});
	const out = createInterface(child.stderr);
	await soon(
		new Promise((done, failed) => {
			out.on("line", (line) => {
				lines.push(line);
				const found = /listening http 127\.0\.0\.1:(\d+)/.exec(line);
				if (found) g.port = +found[1];
				if (/ready$/.test(line)) done();
			});
			ended.then(() => failed(new Error(lines.join("\n"))));
		}),
		"a gateway that is ready",
		60,
	);
	g.url = `http://127.0.0.1:${g.port}`;
	return g;
}

/** A client that is closed when the test ends, and a record of what it said: record.gap is a list, and so on. */
export function client(t, url, options) {
	const c = connect(url, { WebSocket: NodeWebSocket, minDelay: 20, maxDelay: 200, ...options });
	const record = {};
	for (const name of ["connected", "disconnected", "reconnecting", "reconnect_failed", "subscribed", "gap", "error", "fallback", "direct", "broadcast"]) {
		record[name] = [];
		c.on(name, (value) => record[name].push(value));
	}
	c.record = record;
	t.after(async () => {
		c.close();
		await nothingUnhandled();
	});
	return c;
}

/** A WebSocket server of a few lines that says what the test says. serve(connection) is called behind the upgrade; .got are the client's messages. */
export async function scripted(t, serve, { upgrade = true, healthy = false } = {}) {
	const all = new Set();
	const connections = [];
	const server = http.createServer((request, response) => {
		response.writeHead(healthy ? 200 : 404, { "Content-Type": "text/plain" }).end(healthy ? "ok\n" : "no\n");
	});
	server.on("connection", (socket) => {
		all.add(socket);
		socket.on("error", () => {});
		socket.on("close", () => all.delete(socket));
	});
	server.on("upgrade", (request, socket) => {
		if (!upgrade) return socket.destroy();
		const accept = createHash("sha1").update(request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
		const connection = {
			socket,
			request,
			got: [],
			raw: (bytes) => socket.write(bytes),
			frame(opcode, payload, final = true) {
				const body = Buffer.from(payload);
				const head = body.length < 126 ? Buffer.from([0, body.length]) : body.length < 65536 ? Buffer.from([0, 126, 0, 0]) : Buffer.alloc(10);
				if (head.length == 4) head.writeUInt16BE(body.length, 2);
				if (head.length == 10) {
					head[1] = 127;
					head.writeBigUInt64BE(BigInt(body.length), 2);
				}
				head[0] = (final ? 0x80 : 0) | opcode;
				socket.write(Buffer.concat([head, body]));
			},
			say: (...messages) => connection.frame(1, messages.map((m) => (typeof m == "string" ? m : JSON.stringify(m))).join("\n")),
			close: (code, reason = "") => connection.frame(8, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)])),
			/** Answers as a gateway does until the client is in and what it subscribes to is acknowledged. */
			polite(message) {
				if (message.type == "ping") connection.say({ type: "pong", id: message.id, timestamp: "2026-01-15T10:15:00.000Z" });
				if (message.type == "subscribe") {
					const positions = Object.fromEntries(message.channels.map((name) => [name, "aaaaaaaaab@0"]));
					connection.say({ type: "subscription-ack", id: message.id, data: { channels: message.channels, positions } });
				}
			},
			onmessage: (message) => connection.polite(message),
		};
		let bytes = Buffer.alloc(0);
		socket.on("data", (data) => {
			bytes = Buffer.concat([bytes, data]);
			for (;;) {
				if (bytes.length < 6) return;
				let length = bytes[1] & 127;
				let at = 2;
				if (length == 126) [length, at] = [bytes.readUInt16BE(2), 4];
				if (length == 127) [length, at] = [Number(bytes.readBigUInt64BE(2)), 10];
				if (bytes.length < at + 4 + length) return;
				const body = Buffer.from(bytes.subarray(at + 4, at + 4 + length).map((byte, i) => byte ^ bytes[at + (i & 3)]));
				const opcode = bytes[0] & 15;
				bytes = bytes.subarray(at + 4 + length);
				if (opcode == 8) {
					connection.closed = body.length > 1 ? body.readUInt16BE(0) : 1005;
					connection.frame(8, body);
					socket.end();
				} else if (opcode == 1) {
					const message = JSON.parse(body.toString());
					connection.got.push(message);
					connection.onmessage(message);
				}
			}
		});
		socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ringcast.v1.json\r\n\r\n`);
		connections.push(connection);
		connection.say({ type: "connected", session: `s${connections.length}`, heartbeat: 30000, version: "test" });
		serve?.(connection, connections.length);
	});
	await new Promise((done) => server.listen(0, "127.0.0.1", done));
	t.after(() => {
		for (const socket of all) socket.destroy();
		server.close();
	});
	return { server, connections, port: server.address().port, url: `http://127.0.0.1:${server.address().port}` };
}

/** A tunnel to a port that can be cut, and that can swallow what goes through while it looks whole. */
export async function tunnel(t, port) {
	const pairs = new Set();
	const it = { port: 0, open: true, swallow: false, count: 0, target: port };
	const server = net.createServer((near) => {
		if (!it.open) return near.destroy();
		it.count++;
		const far = net.connect(it.target, "127.0.0.1");
		const pair = [near, far];
		pairs.add(pair);
		const end = () => {
			if (it.swallow) return;
			pairs.delete(pair);
			near.destroy();
			far.destroy();
		};
		for (const [from, to] of [pair, [far, near]]) {
			from.on("data", (data) => it.swallow || to.write(data));
			from.on("end", end);
			from.on("error", end);
			from.on("close", end);
		}
	});
	it.cut = () => {
		for (const [near, far] of pairs) {
			near.destroy();
			far.destroy();
		}
	};
	await new Promise((done) => server.listen(0, "127.0.0.1", done));
	it.port = server.address().port;
	it.url = `http://127.0.0.1:${it.port}`;
	t.after(() => {
		it.cut();
		server.close();
	});
	return it;
}
