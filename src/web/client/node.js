// SPDX-License-Identifier: Apache-2.0
// The client for Node: with a WebSocket of its own over node:http and node:https, since Node 20 has none, and with a choice of whom to trust.
// RFC 6455 as a client must speak it; what the other side may not do ends the connection with 1002, 1007 or 1009, which it is told.

import { createHash, randomBytes } from "node:crypto";
import { isUtf8 } from "node:buffer";
import { request as plain } from "node:http";
import { request as secure } from "node:https";
import { connect as dial } from "./ringcast.js";

export { Client, RingcastError, version } from "./ringcast.js";

const MESSAGE_MAX = 16 << 20;
const CLOSE_TIMEOUT = 2000;
const FRAMES_MAX = 65536;
const [TEXT, BINARY, CLOSE, PING, PONG] = [1, 2, 8, 9, 10];
const NONE = Buffer.alloc(0);

/** A frame of a client: final, masked by random bytes. */
function frame(opcode, payload) {
	const { length } = payload;
	const head = length < 126 ? 2 : length < 65536 ? 4 : 10;
	const out = Buffer.allocUnsafe(head + 4 + length);
	const mask = randomBytes(4);
	out[0] = 0x80 | opcode;
	out[1] = 0x80 | (head == 2 ? length : head == 4 ? 126 : 127);
	if (head == 4) out.writeUInt16BE(length, 2);
	if (head == 10) out.writeBigUInt64BE(BigInt(length), 2);
	mask.copy(out, head);
	for (let i = 0; i < length; i++) out[head + 4 + i] = payload[i] ^ mask[i & 3];
	return out;
}

class Refused extends Error {
	constructor(code, message) {
		super(message);
		this.code = code;
	}
}

/** As much of the browser's class as the client needs: on… properties, send of texts, close. */
export class NodeWebSocket {
	static tls = undefined;
	binaryType = "arraybuffer";
	onopen = null;
	onmessage = null;
	onerror = null;
	onclose = null;
	/** 0 connecting, 1 open, 2 closing, 3 closed. */
	readyState = 0;
	protocol = "";
	#request;
	#socket;
	#timer;
	/** Bytes that are no whole frame yet: pieces, and how many bytes they have; need: how many must be there before it is worth a look. */
	#pieces = [];
	#have = 0;
	#need = 2;
	/** The message that comes in fragments. */
	#parts = [];
	#size = 0;
	#opcode = 0;
	#told = { code: 1006, reason: "" };

	constructor(url, protocol) {
		const at = new URL(url);
		const key = randomBytes(16).toString("base64");
		const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": 13, "Sec-WebSocket-Key": key };
		if (protocol) headers["Sec-WebSocket-Protocol"] = protocol;
		const tls = at.protocol == "wss:";
		if (tls) at.protocol = "https:";
		else at.protocol = "http:";
		this.url = url;
		this.#request = (tls ? secure : plain)(at, { headers, agent: false, ...(tls && this.constructor.tls) });
		this.#request.on("upgrade", (answer, socket, head) => this.#open(answer, socket, head, key, protocol));
		this.#request.on("response", (answer) => {
			answer.resume();
			this.#request.destroy();
			this.#end(1006, `status ${answer.statusCode}`);
		});
		this.#request.on("error", (error) => this.#end(1006, error.message, error));
		this.#request.on("close", () => !this.#socket && this.#end(1006, "no answer"));
		this.#request.end();
	}

	#open(answer, socket, head, key, protocol) {
		const accept = createHash("sha1").update(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
		const { headers } = answer;
		this.#socket = socket;
		// Half-closed is closed: there is nobody who would answer.
		socket.on("error", (error) => this.#end(this.#told.code, this.#told.reason || error.message, error));
		socket.on("end", () => socket.destroy());
		socket.on("close", () => this.#end(this.#told.code, this.#told.reason));
		if (headers["sec-websocket-accept"] != accept || headers["sec-websocket-extensions"] || headers.upgrade?.toLowerCase() != "websocket" ||
			(headers["sec-websocket-protocol"] ?? protocol) != protocol) {
			this.#told.reason = "the answer is not that of a WebSocket";
			socket.destroy();
			return;
		}
		if (this.readyState) return void socket.destroy();
		this.protocol = headers["sec-websocket-protocol"] ?? "";
		this.readyState = 1;
		socket.setTimeout(0);
		socket.setNoDelay(true);
		this.onopen?.({ type: "open" });
		socket.on("data", (data) => this.#take(data));
		if (head.length) this.#take(head);
	}

	#end(code, reason, error) {
		if (this.readyState == 3) return;
		this.readyState = 3;
		clearTimeout(this.#timer);
		this.#pieces = this.#parts = [];
		this.#socket?.destroy();
		if (error) this.onerror?.({ type: "error", error, message: error.message });
		this.onclose?.({ type: "close", code, reason, wasClean: code != 1006 });
	}

	// ---- what comes

	#take(data) {
		if (this.readyState == 3) return;
		this.#pieces.push(data);
		this.#have += data.length;
		if (this.#have < this.#need) return;
		let bytes = this.#pieces.length == 1 ? data : Buffer.concat(this.#pieces);
		let at = 0;
		try {
			while (this.readyState < 3) {
				const next = this.#frame(bytes, at);
				if (!next) break;
				at = next;
			}
		} catch (error) {
			if (!(error instanceof Refused)) throw error;
			this.#fail(error.code, error.message);
			return;
		}
		bytes = bytes.subarray(at);
		this.#pieces = bytes.length ? [bytes] : [];
		this.#have = bytes.length;
	}

	/** Takes the frame that begins there: where it ends, or 0 where it is not complete. */
	#frame(bytes, at) {
		const left = bytes.length - at;
		this.#need = 2;
		if (left < 2) return 0;
		const first = bytes[at];
		let length = bytes[at + 1];
		const opcode = first & 15;
		const head = length == 126 ? 4 : length == 127 ? 10 : 2;
		if (first & 0x70) throw new Refused(1002, "reserved bits");
		if (length & 0x80) throw new Refused(1002, "a masked frame of a server");
		if (opcode > 7 ? length > 125 || !(first & 0x80) || opcode > PONG : opcode > BINARY) throw new Refused(1002, "no such frame");
		if (left < head) {
			this.#need = head;
			return 0;
		}
		if (head == 4) length = bytes.readUInt16BE(at + 2);
		if (head == 10) {
			const long = bytes.readBigUInt64BE(at + 2);
			length = long > MESSAGE_MAX ? MESSAGE_MAX + 1 : Number(long);
		}
		if (opcode < 8) {
			if ((opcode != 0) == (this.#opcode != 0)) throw new Refused(1002, "a fragment out of its place");
			if (length + this.#size > MESSAGE_MAX || this.#parts.length >= FRAMES_MAX) throw new Refused(1009, "a message that is too large");
		}
		if (left < head + length) {
			this.#need = head + length;
			return 0;
		}
		const payload = bytes.subarray(at + head, at + head + length);
		if (opcode == PING) this.#write(frame(PONG, payload));
		else if (opcode == CLOSE) this.#closed(payload);
		else if (opcode != PONG) this.#data(opcode, payload, first & 0x80);
		return at + head + length;
	}

	#data(opcode, payload, final) {
		opcode ||= this.#opcode;
		if (!final) {
			this.#opcode = opcode;
			this.#size += payload.length;
			// What is kept must not keep all that came with it.
			this.#parts.push(Buffer.from(payload));
			return;
		}
		if (this.#parts.length) payload = Buffer.concat([...this.#parts, payload]);
		this.#parts = [];
		this.#size = this.#opcode = 0;
		if (opcode == TEXT && !isUtf8(payload)) throw new Refused(1007, "text that is not UTF-8");
		// Behind our close nobody waits for messages.
		if (this.readyState > 1) return;
		this.onmessage?.({ type: "message", data: opcode == TEXT ? payload.toString() : new Uint8Array(payload).buffer });
	}

	#closed(payload) {
		if (this.#told.code != 1006) return;
		const { length } = payload;
		const code = length > 1 ? payload.readUInt16BE(0) : 1005;
		const reason = payload.subarray(2);
		if (length == 1 || (length > 1 && (code < 1000 || code > 4999 || (code > 1014 && code < 3000) || (code > 1003 && code < 1007))) || !isUtf8(reason))
			throw new Refused(1002, "a close that is none");
		this.#told = { code, reason: reason.toString() };
		if (this.readyState == 1) this.#write(frame(CLOSE, payload.subarray(0, 2)));
		this.readyState = 2;
		this.#socket.end();
		this.#hurry();
	}

	// ---- what goes

	#write(bytes) {
		if (this.#socket?.writable) this.#socket.write(bytes);
	}

	#hurry() {
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.#end(this.#told.code, this.#told.reason), CLOSE_TIMEOUT);
	}

	#fail(code, reason) {
		this.#told = { code, reason };
		this.#write(frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)])));
		this.#socket.end();
		this.#end(code, reason);
	}

	send(text) {
		if (this.readyState == 0) throw new Error("the WebSocket is not open yet");
		if (this.readyState == 1) this.#write(frame(TEXT, Buffer.from(text)));
	}

	close(code, reason = "") {
		if (this.readyState > 1) return;
		const opened = this.readyState;
		this.readyState = 2;
		if (!opened) {
			// Not there yet: nothing to say good-bye to.
			this.#request.destroy();
			return;
		}
		this.#write(frame(CLOSE, code ? Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]) : NONE));
		this.#hurry();
	}
}

/** As in ringcast.d.ts; options.tls: of node:tls, as `ca`, `cert`, `servername`. */
export function connect(url, options = {}) {
	const { tls } = options;
	class Own extends NodeWebSocket {
		static tls = tls;
	}
	return dial(url, { ...options, WebSocket: options.WebSocket ?? Own });
}
