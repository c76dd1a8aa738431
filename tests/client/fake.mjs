// SPDX-License-Identifier: Apache-2.0
// A server of the client's protocol that does what a test wants, right or wrong: HTTP below, and RFC 6455 by hand, so that it can send what no proper server would.
import { createHash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import { until } from "./gateway.mjs";

export const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

export function frame(opcode, payload = "", { fin = true, rsv = 0, length, masked = false } = {}) {
	const body = Buffer.from(payload);
	const size = length ?? body.length;
	const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
	const mask = masked ? 0x80 : 0;
	if (size < 126) head.push(mask | size);
	else if (size < 65536) head.push(mask | 126, size >> 8, size & 255);
	else {
		const wide = Buffer.alloc(8);
		wide.writeBigUInt64BE(BigInt(size));
		head.push(mask | 127, ...wide);
	}
	if (masked) head.push(0, 0, 0, 0);
	return Buffer.concat([Buffer.from(head), body]);
}

/** The other end of one client's WebSocket. `said` has the messages that came, as objects. */
export class Peer {
	constructor(socket, request) {
		Object.assign(this, { socket, request, said: [], over: false, closeCode: undefined });
		this.left = Buffer.alloc(0);
		socket.on("data", (bytes) => this.#read(bytes)).on("error", () => {}).on("close", () => (this.over = true)).on("end", () => socket.end());
	}

	#read(bytes) {
		this.left = Buffer.concat([this.left, bytes]);
		for (;;) {
			const b = this.left;
			if (b.length < 2) return;
			let size = b[1] & 127, at = 2;
			if (size === 126) [size, at] = b.length >= 4 ? [b.readUInt16BE(2), 4] : [Infinity, 0];
			else if (size === 127) [size, at] = b.length >= 10 ? [Number(b.readBigUInt64BE(2)), 10] : [Infinity, 0];
			if (b.length < at + 4 + size) return;
			const mask = b.subarray(at, at + 4);
			const payload = Buffer.from(b.subarray(at + 4, at + 4 + size)).map((x, i) => x ^ mask[i & 3]);
			this.left = b.subarray(at + 4 + size);
			const opcode = b[0] & 15;
			if (opcode === TEXT) {
				const message = JSON.parse(payload.toString());
				this.said.push(message);
				this.onMessage?.(message);
			} else if (opcode === PING) this.write(frame(PONG, payload));
			else if (opcode === CLOSE) {
				this.closeCode = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
				if (!this.closed) this.write(frame(CLOSE, payload));
				this.socket.end();
			}
		}
	}

	write(bytes) {
		if (!this.socket.destroyed && this.socket.writable) this.socket.write(bytes);
	}

	say(message) {
		this.write(frame(TEXT, JSON.stringify(message)));
	}

	close(code, reason = "") {
		this.closed = true;
		const head = Buffer.alloc(2);
		head.writeUInt16BE(code);
		this.write(frame(CLOSE, Buffer.concat([head, Buffer.from(reason)])));
	}

	/** The first message of this type, said already or still to come. */
	heard(type) {
		return until(() => this.said.find((m) => m.type === type), () => `the client says ${type}; it said ${JSON.stringify(this.said)}`);
	}
}

export function now() {
	return new Date().toISOString();
}

/** What a gateway answers, as far as these tests need one: `connected`, acknowledgements, pongs. */
export function proper(peer, { session = "s1", heartbeat = 30000, more = {} } = {}) {
	peer.onMessage = (m) => {
		const answer = (type, rest) => peer.say({ type, id: m.id, timestamp: now(), ...rest });
		const channels = [m.channels ?? m.channel ?? []].flat();
		if (m.type === "subscribe") {
			answer("subscription-ack", { data: { channels, positions: Object.fromEntries(channels.filter((c) => !c.includes("*")).map((c) => [c, "aaaaaaaaaa@0"])) } });
		} else if (m.type === "unsubscribe") answer("unsubscription-ack", { data: { channels } });
		else if (m.type === "ping") answer("pong", {});
		else if (m.type === "auth") peer.say({ type: "connected", session, heartbeat, version: "0.1.0", user: "ann" });
		else if (m.type === "publish") answer("ack", { channel: m.channel, position: "aaaaaaaaaa@1" });
	};
	peer.say({ type: "connected", session, heartbeat, version: "0.1.0", ...more });
	return peer;
}

export function event(channel, offset, data, more = {}) {
	return { type: "event", channel, event: "e", offset, timestamp: now(), data, ...more };
}

export class Fake {
	/** request(req, res) answers HTTP, 404 without it; upgrade(peer) has a WebSocket that was accepted; refuse(socket, req) instead of accepting. Any may be changed at any time. */
	static async start({ tls, ...does } = {}) {
		const fake = Object.assign(new Fake(), { peers: [], requests: [], sockets: new Set(), connections: 0 }, does);
		fake.server = (tls ? https : http).createServer(tls ?? {}, (req, res) => {
			fake.requests.push(req);
			if (fake.request) fake.request(req, res);
			else res.writeHead(404).end("not found\n");
		});
		fake.server.on("upgrade", (req, socket) => {
			fake.requests.push(req);
			socket.on("error", () => {});
			if (fake.refuse) {
				fake.refuse(socket, req);
				return;
			}
			const accept = createHash("sha1").update(`${req.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
			const offered = req.headers["sec-websocket-protocol"]?.split(",")[0].trim();
			socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n`
				+ `${offered ? `Sec-WebSocket-Protocol: ${offered}\r\n` : ""}\r\n`);
			const peer = new Peer(socket, req);
			fake.peers.push(peer);
			(fake.upgrade ?? proper)(peer);
		});
		fake.server.on("connection", (socket) => {
			fake.connections++;
			fake.sockets.add(socket);
			socket.on("error", () => {}).on("close", () => fake.sockets.delete(socket));
			fake.connection?.(socket);
		});
		fake.server.on("clientError", (_, socket) => socket.destroy());
		fake.server.on("tlsClientError", () => {});
		fake.server.listen(0, "127.0.0.1");
		await once(fake.server, "listening");
		fake.port = fake.server.address().port;
		fake.url = `${tls ? "https" : "http"}://127.0.0.1:${fake.port}`;
		return fake;
	}

	/** The n-th client that was let in, from 0. */
	peer(n = 0, seconds = 20) {
		return until(() => this.peers[n], () => `connection ${n}; there were ${this.peers.length}`, seconds);
	}

	async close() {
		const over = once(this.server, "close");
		this.server.close();
		for (const socket of this.sockets) socket.destroy();
		await over;
	}
}

/** A refusal of an upgrade in plain HTTP. */
export function status(code, headers = {}, body = "no\n") {
	return (socket) => {
		const lines = Object.entries({ "Content-Length": Buffer.byteLength(body), Connection: "close", ...headers }).map(([k, v]) => `${k}: ${v}\r\n`);
		socket.end(`HTTP/1.1 ${code} Because\r\n${lines.join("")}\r\n${body}`);
	};
}

/** Everything that a client says of itself, in order: [name, what]. */
export function listen(client) {
	const told = [];
	for (const name of ["connected", "disconnected", "reconnecting", "reconnect_failed", "subscribed", "gap", "error", "fallback", "direct", "broadcast"]) {
		client.on(name, (what) => told.push([name, what]));
	}
	told.of = (name) => told.filter((t) => t[0] === name).map((t) => t[1]);
	told.until = (name, n = 1, seconds = 20) => until(() => told.of(name)[n - 1], () => `${name} ${n}; told were ${JSON.stringify(told.map(([k, v]) => [k, v?.code ?? v?.attempt ?? v?.reason]))}`, seconds);
	return told;
}
