// SPDX-License-Identifier: Apache-2.0
// What the hard tests of the client share: the gateway as a process that is killed and comes back, a way to it that is cut, tokens, deadlines, and the sums that every handler is held to.
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const here = fileURLToPath(new URL(".", import.meta.url));
export const root = resolve(here, "../..");
export const binary = resolve(process.env.RINGCAST_BIN ?? join(root, "build/asan/ringcast"));
// Stretches every deadline; for sanitizers and machines that have other things to do.
export const slow = Number(process.env.RINGCAST_SLOW ?? 1);
// The client under test: the sources, or what a build made of them, which has no WebSocket for Node with it.
const node = await import("../../src/web/client/node.js");
const packed = process.env.RINGCAST_JS && await import(pathToFileURL(resolve(process.env.RINGCAST_JS)).href);
export const connect = packed ? (url, options) => packed.connect(url, { WebSocket: node.NodeWebSocket, ...options }) : node.connect;
export const { RingcastError } = packed || node;

// ---- Deadlines

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Asks until the answer is truthy. Time only bounds how long that may take. */
export async function until(condition, what, seconds = 20) {
	const end = performance.now() + seconds * 1000 * slow;
	for (;;) {
		const answer = await condition();
		if (answer) return answer;
		if (performance.now() > end) throw new Error(`not within ${seconds * slow} s: ${typeof what === "function" ? what() : what}`);
		await sleep(5);
	}
}

/** The promise, or a failure that says what did not come. */
export function within(promise, what, seconds = 20) {
	let timer;
	const late = new Promise((_, refuse) => {
		timer = setTimeout(() => refuse(new Error(`not within ${seconds * slow} s: ${what}`)), seconds * 1000 * slow);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// ---- Chance that can be had again

/** xorshift128 by a seed: rnd() is in [0, 1), rnd.below(n) a whole number, rnd.of(list) one of them. */
export function chance(seed) {
	let [a, b, c, d] = [seed >>> 0 || 1, 0x9e3779b9, 0x243f6a88, 0xb7e15162];
	const rnd = () => {
		const t = a ^ (a << 11);
		[a, b, c] = [b, c, d];
		d = (d ^ (d >>> 19) ^ t ^ (t >>> 8)) >>> 0;
		return d / 2 ** 32;
	};
	rnd.below = (n) => Math.floor(rnd() * n);
	rnd.of = (list) => list[rnd.below(list.length)];
	for (let i = 0; i < 16; i++) rnd();
	return rnd;
}

/** From the environment, or new; it is printed, so that a failure can be had again. */
export function seedOf(name) {
	const seed = Number(process.env[name] ?? Math.floor(Math.random() * 2 ** 31));
	console.log(`${name}=${seed}`);
	return seed;
}

// ---- Memory

export function collectGarbage() {
	setFlagsFromString("--expose-gc");
	runInNewContext("gc")();
}

/** Bytes of live objects. */
export async function heapUsed() {
	for (let i = 0; i < 3; i++) {
		await new Promise(setImmediate);
		collectGarbage();
	}
	return process.memoryUsage().heapUsed;
}

/** What nobody has caught. Must stay empty. */
export function watchForUncaught() {
	const uncaught = [];
	process.on("unhandledRejection", (e) => uncaught.push(e));
	process.on("uncaughtException", (e) => uncaught.push(e));
	process.on("warning", (w) => uncaught.push(w));
	return uncaught;
}

// ---- Tokens

export const secret = "a secret that is long enough for all three of them: 64 bytes, no less";
/** What makes a gateway take such tokens; whoever has none is anonymous and may read and write as before. */
export const withTokens = {
	"auth.hmac_secret": secret, "auth.anonymous": "yes", "namespace.allow_subscribe": "anyone", "namespace.allow_publish": "anyone", "namespace.allow_history": "anyone",
};

export function token(claims = {}, lifetime = 3600) {
	const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
	const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ exp: Math.floor(Date.now() / 1000) + lifetime, ...claims })}`;
	return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

// ---- The gateway

const reports = /ERROR: (Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|WARNING: ThreadSanitizer|SUMMARY: \w+Sanitizer|runtime error:|assertion|panic|RC_ASSERT/;
const running = new Set();
process.on("exit", () => {
	for (const g of running) g.process.kill("SIGKILL");
});

export function kept(name, more = {}) {
	const settings = { history_size: "100000", history_bytes: "64MiB", history_ttl: "1h", ...more };
	return Object.fromEntries(Object.entries(settings).map(([key, value]) => [`namespace.${name}.${key}`, value]));
}

export class Gateway {
	/** Runs when this resolves. options: listen ("127.0.0.1:0"), wrap (a command in front of it). */
	static async start(settings = {}, { listen = "127.0.0.1:0", shards = 2, wrap = [] } = {}) {
		const g = new Gateway();
		g.folder = mkdtempSync(join(tmpdir(), "rc-"));
		const set = Object.entries({ reconnect_jitter: "50ms", rtt_poor: "60s", ...settings }).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
		const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("RINGCAST_")));
		Object.assign(env, {
			RUNTIME_DIRECTORY: g.folder,
			ASAN_OPTIONS: "detect_leaks=1:detect_stack_use_after_return=1:exitcode=97:quarantine_size_mb=16",
			UBSAN_OPTIONS: "print_stacktrace=1:halt_on_error=1:exitcode=97",
		});
		const wrapped = [...wrap, ...(process.env.RINGCAST_WRAP ?? "").split(" ").filter(Boolean), binary];
		const args = ["serve", "--listen", listen, "--ingest", "127.0.0.1:0", "--shards", shards, ...set];
		g.process = spawn(wrapped[0], [...wrapped.slice(1), ...args.map(String)], { env, cwd: g.folder, stdio: ["ignore", "ignore", "pipe"] });
		running.add(g);
		g.log = "";
		g.ended = once(g.process, "close");
		g.ended.catch(() => {});
		g.process.on("error", (e) => (g.log += `${e.message}\n`));
		g.process.stderr.setEncoding("utf8").on("data", (text) => {
			g.log += text;
		});
		await until(() => {
			if (g.process.exitCode !== null || g.process.pid === undefined) throw new Error(`the gateway ended with ${g.process.exitCode}:\n${g.log}`);
			return /\bready$/m.test(g.log);
		}, () => `the gateway is ready\n${g.log}`, 60);
		const [, host, port] = g.log.match(/\blistening http ([\d.]+):(\d+)$/m);
		Object.assign(g, { host, port: Number(port), http: `http://${host}:${port}` });
		return g;
	}

	/** At once, with nothing said to anybody. */
	async kill() {
		this.process.kill("SIGKILL");
		await this.#over();
	}

	/** By SIGTERM; it must end with status 0. */
	async stop() {
		if (this.process.exitCode === null) this.process.kill("SIGTERM");
		await this.#over();
		if (this.process.exitCode !== 0) throw new Error(`the gateway ended with ${this.process.exitCode}:\n${this.log.slice(-6000)}`);
	}

	async #over() {
		await within(this.ended, "the end of the gateway", 60);
		running.delete(this);
		rmSync(this.folder, { recursive: true, force: true });
		if (reports.test(this.log)) throw new Error(this.log.slice(-8000));
	}

	/** Answers like fetch, without a pool that other tests would find connections of earlier gateways in. */
	ask(path, { method = "GET", body, headers = {} } = {}) {
		return new Promise((resolved, refused) => {
			const request = http.request(`${this.http}${path}`, { method, headers, agent: this.agent, timeout: 10000 * slow }, (response) => {
				let text = "";
				response.setEncoding("utf8").on("data", (part) => (text += part)).on("end", () => {
					resolved({ status: response.statusCode, text, json: () => JSON.parse(text) });
				}).on("error", refused);
			});
			request.on("error", refused).on("timeout", () => request.destroy(new Error("no answer")));
			request.end(body);
		});
	}

	async publish(channel, data, event = "e") {
		const { status, text } = await this.ask("/api/publish", { method: "POST", body: JSON.stringify({ channel, event, data }) });
		if (status !== 200) throw new Error(`${status} ${text}`);
		return JSON.parse(text).position;
	}

	async status() {
		return (await this.ask("/api/status")).json();
	}
}

// ---- The way there

/** A port that leads to a gateway, and may be cut, stay shut, or swallow what comes. */
export class Way {
	static async to(target) {
		const way = new Way();
		way.target = target;
		way.pairs = new Set();
		way.shut = false;
		way.silent = false;
		way.accepted = 0;
		way.server = net.createServer((client) => way.#lead(client));
		way.server.listen(0, "127.0.0.1");
		await once(way.server, "listening");
		way.port = way.server.address().port;
		way.http = `http://127.0.0.1:${way.port}`;
		return way;
	}

	#lead(client) {
		this.accepted++;
		client.on("error", () => {});
		if (this.shut || !this.target) {
			client.resetAndDestroy();
			return;
		}
		if (this.silent) {
			const pair = [client];
			this.pairs.add(pair);
			client.on("close", () => this.pairs.delete(pair)).resume();
			return;
		}
		const server = net.connect(this.target.port, this.target.host);
		const pair = [client, server];
		this.pairs.add(pair);
		const over = () => {
			if (this.pairs.delete(pair)) for (const s of pair) s.destroy();
		};
		client.on("close", over);
		server.on("close", over).on("error", () => {});
		client.pipe(server);
		server.pipe(client);
	}

	/** Resets all that goes through, after so many bytes more from the gateway where that is said. */
	cut(after) {
		for (const pair of [...this.pairs]) {
			const [client, server] = pair;
			if (after !== undefined && server) {
				// One that is to be cut already: two would pass on everything twice.
				if (pair.left !== undefined) continue;
				pair.left = after;
				server.unpipe(client);
				server.on("data", (bytes) => {
					if (pair.left > 0) client.write(bytes.subarray(0, pair.left));
					pair.left -= bytes.length;
					if (pair.left > 0 || client.writableEnded) return;
					client.end();
					server.destroy();
				}).resume();
				continue;
			}
			this.pairs.delete(pair);
			// A reset behind an end would leave node 20 with a handle that never closes.
			if (client.writableEnded) client.destroy();
			else client.resetAndDestroy();
			server?.destroy();
		}
	}

	/** Nothing more comes through, either way, and nobody is told. */
	freeze() {
		this.silent = true;
		for (const [client, server] of this.pairs) {
			server?.unpipe(client);
			client.unpipe(server);
			server?.resume();
			client.resume();
		}
	}

	async close() {
		this.shut = true;
		this.cut();
		this.server.close();
		await once(this.server, "close");
	}
}

// ---- Who publishes, and who is held to what

/** Publishes numbers 1, 2, 3 … on channels, each until the gateway has said that it has it. A try in another life of the gateway is another event: `life` tells them apart. */
export class Counting {
	constructor(channels) {
		this.last = Object.fromEntries(channels.map((c) => [c, 0]));
		this.life = 0;
		this.over = false;
		this.agent = new http.Agent({ keepAlive: true, maxSockets: channels.length });
	}

	/** Where to publish from now on; undefined: nowhere, wait. */
	set gateway(g) {
		this.target = g;
		if (g) {
			g.agent = this.agent;
			this.life++;
		}
	}

	run() {
		this.done = Promise.all(Object.keys(this.last).map((channel) => this.#count(channel)));
		return this;
	}

	async #count(channel) {
		while (!this.over) {
			await this.#one(channel, this.last[channel] + 1);
			this.last[channel]++;
		}
	}

	async #one(channel, n, more = {}) {
		for (;;) {
			const { target, life } = this;
			if (!target) {
				await sleep(2);
				continue;
			}
			const body = JSON.stringify({ channel, event: "e", data: { n, life, even: n % 2 === 0, ...more } });
			try {
				const { status, text } = await target.ask("/api/publish", { method: "POST", body, headers: { "Idempotency-Key": `${channel}-${n}-${life}` } });
				if (status === 200) return;
				if (status < 500 && status !== 409 && status !== 429) throw Object.assign(new Error(`${status} ${text}`), { fatal: true });
			} catch (e) {
				if (e.fatal) throw e;
			}
			await sleep(2);
		}
	}

	/** Ends, and publishes a last event on each channel, even and marked. */
	async finish() {
		this.over = true;
		await this.done;
		for (const channel of Object.keys(this.last)) {
			const n = this.last[channel] + (this.last[channel] % 2 ? 1 : 2);
			// The numbers go on without a hole.
			for (let i = this.last[channel] + 1; i < n; i++) await this.#one(channel, i);
			await this.#one(channel, n, { last: true });
			this.last[channel] = n;
		}
		this.agent.destroy();
	}
}

/** What one subscription has seen of numbered events, for each channel: each once, in order, without a hole, or a gap was told in between. */
export class Seen {
	/**
	 * step: of the numbers that it is to see. disordered: what is sent again may come later. lagging: it reads what came some time ago, so that a gap is told long before it. again: its events may be
	 * published once more in another life, under the same number.
	 */
	constructor(name, { step = 1, disordered = false, lagging = false, again = false } = {}) {
		Object.assign(this, { name, step, disordered, lagging, again, events: 0, gaps: 0, excused: 0, lost: 0, wrong: [] });
		this.at = new Map();
	}

	#of(channel) {
		let at = this.at.get(channel);
		if (!at) this.at.set(channel, (at = { n: 0, life: 0, gap: true, seen: new Set(), holes: new Set(), last: false }));
		return at;
	}

	gap(channel) {
		this.gaps++;
		// Of a pattern: any of its channels may lack something.
		if (channel === undefined || channel.includes("*")) for (const at of this.at.values()) this.#excuse(at);
		else this.#excuse(this.#of(channel));
	}

	#excuse(at) {
		at.gap = true;
		at.holes.clear();
	}

	take(event) {
		const { n, life, last } = event.data;
		const at = this.#of(event.channel);
		const key = `${n}/${life}`;
		const say = (what) => this.wrong.length < 20 && this.wrong.push(`${this.name}: ${event.channel} ${key} ${what}, after ${at.n}/${at.life}`);
		this.events++;
		if (at.seen.has(key)) {
			if (!this.again || !at.gap) say("came twice");
			at.gap = this.lagging;
			return;
		}
		at.seen.add(key);
		// Twice is soon or never.
		if (at.seen.size > 1024) at.seen.delete(at.seen.values().next().value);
		if (at.holes.delete(key)) {
			// Came later than others: only what is acknowledged may.
		} else if (n > at.n || life > at.life) {
			const want = at.n + this.step;
			if (life > at.life && n <= at.n && !at.gap) say("is of another life, and no gap was told");
			if (n > want && !at.gap) {
				if (this.disordered && n - want < 64) for (let i = want; i < n; i += this.step) at.holes.add(`${i}/${life}`);
				else say(`came without ${want}, and no gap was told`);
			}
			const used = at.n && (n > want || life > at.life);
			if (n > want && at.n) this.excused++;
			// What this life of the gateway had, and has not given.
			if (n > want && at.n && life === at.life) this.lost++;
			[at.n, at.life, at.gap] = [n, life, at.gap && this.lagging && !used];
		} else say("came late");
		if (last) at.last = true;
	}

	/** Whether the marked event of each of so many channels is there. */
	complete(channels) {
		return [...this.at.values()].filter((at) => at.last).length === channels;
	}

	/** What must not be there, as text. */
	get complaints() {
		const holes = [...this.at].filter(([, at]) => at.holes.size).map(([channel, at]) => `${this.name}: ${channel} never came: ${[...at.holes].slice(0, 5)}`);
		return [...this.wrong, ...holes].join("\n");
	}
}
