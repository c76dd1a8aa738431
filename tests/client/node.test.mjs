// SPDX-License-Identifier: Apache-2.0
// The WebSocket of the entry for Node: RFC 6455 as a client must speak it, and whom it trusts.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { KEPT, NodeWebSocket, connectNode, gateway, nothingUnhandled, root, scripted, soon, until } from "./rig.mjs";

/** A socket with what it heard: messages, how it ended. */
function listen(t, url, protocol = "ringcast.v1.json") {
	const ws = new NodeWebSocket(url, protocol);
	const heard = { ws, messages: [], opened: 0, errors: [] };
	ws.onopen = () => heard.opened++;
	ws.onmessage = ({ data }) => heard.messages.push(data);
	ws.onerror = (event) => heard.errors.push(event.message);
	ws.onclose = ({ code, reason, wasClean }) => {
		assert.equal(heard.end, undefined, "one end only");
		heard.end = { code, reason, wasClean };
	};
	t.after(() => ws.close());
	return heard;
}

const wsOf = (server) => server.url.replace("http", "ws") + "/ws";

test("fragments, control frames between them, and text cut inside of a character are one message", async (t) => {
	const server = await scripted(t, (c) => {
		const text = Buffer.from("häß €😀");
		c.frame(1, text.subarray(0, 2), false);
		c.frame(9, "are you there");
		c.frame(0, text.subarray(2, 6), false);
		c.frame(10, "not asked for");
		c.frame(0, "", false);
		c.frame(0, text.subarray(6), true);
		c.frame(1, "");
		c.frame(2, Buffer.from([1, 2, 3]));
	});
	const heard = listen(t, wsOf(server));
	await until(() => heard.messages.length == 4);
	assert.equal(heard.messages[1], "häß €😀");
	assert.equal(heard.messages[2], "");
	assert.deepEqual([...new Uint8Array(heard.messages[3])], [1, 2, 3]);
	assert.equal(heard.ws.protocol, "ringcast.v1.json");
});

test("frames that come byte by byte, and many at once, are the same", async (t) => {
	const sizes = [0, 1, 125, 126, 127, 65535, 65536, 300000];
	const server = await scripted(t, async (c, count) => {
		const { socket } = c;
		if (count == 1) for (const size of sizes) c.frame(1, "x".repeat(size));
		else {
			const all = [];
			c.socket = null;
			const write = socket.write.bind(socket);
			socket.write = (bytes) => all.push(bytes);
			for (const size of sizes.slice(0, 5)) c.frame.call(c, 1, "x".repeat(size));
			socket.write = write;
			for (const byte of Buffer.concat(all)) {
				write(Buffer.from([byte]));
				if (byte != 120) await new Promise((done) => setImmediate(done));
			}
		}
	});
	const whole = listen(t, wsOf(server));
	await until(() => whole.messages.length == sizes.length + 1);
	assert.deepEqual(whole.messages.slice(1).map((m) => m.length), sizes);
	const pieces = listen(t, wsOf(server));
	await until(() => pieces.messages.length == 6);
	assert.deepEqual(pieces.messages.slice(1).map((m) => m.length), sizes.slice(0, 5));
});

test("what is sent arrives whole, masked by bytes that differ", async (t) => {
	const server = await scripted(t, (c) => (c.onmessage = () => {}));
	const heard = listen(t, wsOf(server));
	await until(() => heard.opened);
	const sent = [0, 1, 100, 125, 126, 65535, 65536, 200000].map((n) => ({ type: "x", text: "ü".repeat(n) }));
	for (const message of sent) heard.ws.send(JSON.stringify(message));
	await until(() => server.connections[0].got.length == sent.length);
	assert.deepEqual(server.connections[0].got, sent);
});

test("both may close, each once, and the other's code is told", async (t) => {
	const server = await scripted(t);
	const ours = listen(t, wsOf(server));
	await until(() => ours.opened);
	ours.ws.close(1000, "done");
	ours.ws.close(1000);
	ours.ws.send("{}");
	assert.deepEqual((await until(() => ours.end)).code, 1000);
	assert.equal(server.connections[0].closed, 1000);
	const theirs = listen(t, wsOf(server));
	await until(() => theirs.opened);
	server.connections[1].close(4003, "replaced");
	assert.deepEqual(await until(() => theirs.end), { code: 4003, reason: "replaced", wasClean: true });
	assert.equal(theirs.ws.readyState, 3);
	// One that does not answer is not waited for.
	const deaf = await scripted(t, (c) => c.socket.removeAllListeners("data").pause());
	const alone = listen(t, wsOf(deaf));
	await until(() => alone.opened);
	alone.ws.close(1000);
	await until(() => alone.end);
	const early = listen(t, wsOf(server));
	assert.throws(() => early.ws.send("x"));
	early.ws.close();
	assert.equal((await until(() => early.end)).code, 1006);
});

test("what a server may not do ends it, with the code that says why", async (t) => {
	const wrong = [
		[1002, (c) => c.raw(Buffer.from([0xc1, 0]))],
		[1002, (c) => c.raw(Buffer.from([0x83, 0]))],
		[1002, (c) => c.raw(Buffer.from([0x8b, 0]))],
		[1002, (c) => c.raw(Buffer.from([0x09, 0]))],
		[1002, (c) => c.raw(Buffer.from([0x89, 126, 0, 200]))],
		[1002, (c) => c.raw(Buffer.from([0x80, 0]))],
		[1002, (c) => (c.frame(1, "a", false), c.frame(1, "b"))],
		[1002, (c) => c.frame(8, Buffer.from([1]))],
		[1002, (c) => c.close(1005)],
		[1002, (c) => c.close(999)],
		[1007, (c) => c.frame(1, Buffer.from([0xc3]))],
		[1007, (c) => c.frame(1, Buffer.from([0xed, 0xa0, 0x80]))],
		[1009, (c) => c.raw(Buffer.from([0x81, 127, 0, 0, 0, 0, 0x7f, 255, 255, 255]))],
	];
	for (const [code, act] of wrong) {
		const server = await scripted(t, act);
		const heard = listen(t, wsOf(server));
		assert.equal((await until(() => heard.end, String(act))).code, code, String(act));
		await until(() => server.connections[0].closed == code, `${act} is told ${code}`);
	}
});

test("an answer that is none of a WebSocket is no connection", async (t) => {
	const accept = (key) => createHash("sha1").update(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
	for (const head of [
		() => "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
		(key) => `HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept(key)}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n`,
		(key) => `HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept(key)}\r\nSec-WebSocket-Protocol: other\r\n\r\n`,
		(key) => `HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept(key)}\r\n\r\n`,
		() => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		() => "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
		() => "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n",
		() => "nonsense\r\n\r\n",
		() => "",
	]) {
		const server = http.createServer((request, response) => answer(request, response.socket));
		const answer = (request, socket) => socket.end(head(request.headers["sec-websocket-key"]));
		server.on("upgrade", answer);
		await new Promise((done) => server.listen(0, "127.0.0.1", done));
		const heard = listen(t, `ws://127.0.0.1:${server.address().port}`);
		assert.equal((await until(() => heard.end)).code, 1006);
		assert.equal(heard.opened, 0);
		server.closeAllConnections();
		server.close();
	}
	await nothingUnhandled();
});

test("over TLS: who is not trusted gets nothing, who is named by option or environment is", async (t) => {
	const folder = mkdtempSync(join(tmpdir(), "ringcast-"));
	t.after(() => rmSync(folder, { recursive: true, force: true }));
	const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
	execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], { stdio: "ignore" });
	const g = await gateway(t, { ...KEPT, "tls.listen": "127.0.0.1:0", "tls.certificate": certificate, "tls.key": key });
	const port = /listening https 127\.0\.0\.1:(\d+)/.exec(g.lines.join("\n"))[1];
	const { readFileSync } = await import("node:fs");
	const trusted = connectNode(`wss://localhost:${port}`, { tls: { ca: readFileSync(certificate) } });
	t.after(() => trusted.close());
	await until(() => trusted.state == "connected");
	assert.match((await soon(trusted.publish("a", "n", 1))).position, /@1$/);
	for (const options of [{}, { tls: { ca: readFileSync(certificate), servername: "other.example" } }]) {
		const c = connectNode(`wss://localhost:${port}`, { maxTries: 3, minDelay: 1, maxDelay: 5, ...options });
		const failed = [];
		c.on("reconnect_failed", (error) => failed.push(error));
		c.on("connected", () => failed.push("connected"));
		await until(() => failed.length);
		assert.equal(failed[0].code, "offline");
		c.close();
	}
	const module = new URL("src/web/client/node.js", `file://${root}`).href;
	const child = spawn(process.execPath, ["--input-type=module", "-e", `import { connect } from ${JSON.stringify(module)}; const c = connect("wss://localhost:${port}"); c.on("connected", () => c.close());`], {
		env: { ...process.env, NODE_EXTRA_CA_CERTS: certificate },
		stdio: "inherit",
	});
	t.after(() => child.exitCode === null && child.kill());
	assert.equal(await soon(new Promise((done) => child.on("exit", done))), 0);
});

test("an option that is undefined is none: the WebSocket is that of the entry", async (t) => {
	const g = await gateway(t, KEPT);
	const c = connectNode(g.url, { WebSocket: undefined, transports: undefined, tls: undefined });
	t.after(() => c.close());
	const fallback = [];
	c.on("fallback", (what) => fallback.push(what));
	await soon(c.subscribe("news", () => {}).ready);
	assert.deepEqual([c.transport, fallback], ["ws", []]);
});
