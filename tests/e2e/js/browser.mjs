// SPDX-License-Identifier: Apache-2.0
// What the browser's tests of the client share: Chromium through playwright-core, a small server for pages, a way to the gateway that refuses WebSockets, and the runner of one case.
// `node FILE.mjs CASE`; MODULES has the folder of npm packages, CHROMIUM the browser. Status 77: skipped, and the last line says why.
import { readFile } from "node:fs/promises";
import http from "node:http";
import { once } from "node:events";
import net from "node:net";
import { createRequire } from "node:module";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { Gateway, root, slow, until } from "../../client/gateway.mjs";

export const modules = createRequire(`${process.env.MODULES}/`);
const { chromium } = modules("playwright-core");
const here = fileURLToPath(new URL(".", import.meta.url));
const kinds = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8" };

export class Skip extends Error {}

/** Serves pages and scripts of tests/e2e/js, the client's sources under /client/, and what `extra` has by path. As strict about scripts as a page may be. */
export class Site {
	static async start(extra = {}) {
		const site = Object.assign(new Site(), { extra, connect: "*" });
		site.server = http.createServer((req, res) => site.#serve(req, res));
		site.server.listen(0, "127.0.0.1");
		await once(site.server, "listening");
		site.port = site.server.address().port;
		site.url = `http://127.0.0.1:${site.port}`;
		return site;
	}

	async #serve(req, res) {
		const path = new URL(req.url, "http://x").pathname;
		const file = path.startsWith("/client/") ? join(root, "src/web/client", normalize(path.slice(7))) : join(here, normalize(path));
		try {
			const body = this.extra[path] ?? await readFile(file);
			// What scripts a page may have, beside its own: those that the gateway serves.
			const policy = `default-src 'none'; script-src 'self' 'nonce-page' ${this.scripts ?? ""}; connect-src ${this.connect}; style-src 'unsafe-inline'`;
			res.writeHead(200, { "Content-Type": kinds[extname(path)] ?? "application/octet-stream", "Content-Security-Policy": policy, "Cache-Control": "no-store" }).end(body);
		} catch {
			res.writeHead(404).end();
		}
	}

	async close() {
		this.server.closeAllConnections();
		this.server.close();
	}
}

/** A proxy that passes HTTP on and refuses each upgrade, as some do. */
export class NoWebSocket {
	static async to(target) {
		const proxy = Object.assign(new NoWebSocket(), { target, refused: 0, sockets: new Set() });
		proxy.server = http.createServer((req, res) => {
			const on = http.request({ host: proxy.target.host, port: proxy.target.port, path: req.url, method: req.method, headers: req.headers, agent: false }, (answer) => {
				res.writeHead(answer.statusCode, answer.headers);
				// A browser waits for the first byte of a stream no longer than for its head.
				res.flushHeaders();
				answer.pipe(res);
				answer.on("error", () => res.destroy());
			});
			on.on("error", () => res.destroy());
			res.on("close", () => on.destroy());
			req.pipe(on);
		});
		proxy.server.on("upgrade", (_, socket) => {
			proxy.refused++;
			socket.on("error", () => {}).end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
		});
		proxy.server.on("connection", (socket) => {
			proxy.sockets.add(socket);
			socket.on("error", () => {}).on("close", () => proxy.sockets.delete(socket));
		});
		proxy.server.listen(0, "127.0.0.1");
		await once(proxy.server, "listening");
		proxy.port = proxy.server.address().port;
		proxy.http = `http://127.0.0.1:${proxy.port}`;
		return proxy;
	}

	cut() {
		for (const socket of this.sockets) socket.destroy();
	}

	async close() {
		this.cut();
		this.server.close();
	}
}

async function freePort() {
	const server = net.createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address();
	await new Promise((closed) => server.close(closed));
	return port;
}

/** Where a page gets the client: from the gateway, where it serves it, else the sources. */
export async function clientOf(gateway, site) {
	const served = (await gateway.ask("/ringcast.js")).status === 200;
	return served ? `${gateway.http}/ringcast.js` : `${site.url}/client/ringcast.js`;
}

/** Everything that a case of the client in a browser starts from. */
export class Stage {
	constructor() {
		this.open = [];
		this.wrong = [];
		this.console = [];
	}

	use(thing) {
		this.open.unshift(thing);
		return thing;
	}

	async gateway(settings = {}) {
		this.site ??= this.use(await Site.start(this.extra));
		this.at ??= `127.0.0.1:${await freePort()}`;
		const gateway = this.use(await Gateway.start({ "http.origins": this.site.url, ...settings }, { listen: this.at }));
		this.site.scripts = gateway.http;
		return gateway;
	}

	async context() {
		if (!this.browser) {
			this.browser = this.use(await chromium.launch({
				executablePath: process.env.CHROMIUM, headless: true, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"], timeout: 60000 * slow,
			}));
		}
		const context = await this.browser.newContext();
		context.setDefaultTimeout(20000 * slow);
		return context;
	}

	/** A page with the client, connected to url by the options; `page.html` says how it is asked. */
	async page(context, url, options = {}, { file = "client.html", prepare, more } = {}) {
		const page = await context.newPage();
		// What nobody caught, rejections too, and what the policy forbids.
		page.on("pageerror", (e) => this.wrong.push(String(e.stack ?? e)));
		page.on("console", (m) => {
			this.console.push(m.text());
			if (/Content.Security.Policy|Uncaught|hydrat|not wrapped in act|Warning:/i.test(m.text())) this.wrong.push(m.text());
		});
		await prepare?.(page);
		const asked = new URLSearchParams({ client: this.client, url, options: JSON.stringify(options), ...more });
		await page.goto(`${this.site.url}/${file}?${asked}`);
		await page.waitForFunction(() => globalThis.ready);
		return page;
	}

	async close() {
		for (const thing of this.open) await (thing.stop ?? thing.close).call(thing);
	}
}

/** Events that the page has seen: [channel, n]. */
export const seen = (page) => page.evaluate(() => globalThis.seen.map((e) => e.data.n));
export const told = (page, name) => page.evaluate((n) => globalThis.told.filter((t) => t[0] === n).map((t) => t[1]), name);
export const stateOf = (page) => page.evaluate(() => globalThis.client.state);

export async function untilTold(page, name, n = 1, seconds = 30) {
	return until(async () => (await told(page, name))[n - 1], async () => `${name} ${n}`, seconds);
}

export async function untilSeen(page, count, seconds = 30) {
	let last;
	return until(async () => (last = await seen(page)).length >= count && last, () => `${count} events; there are ${JSON.stringify(last)}`, seconds);
}

export const upTo = (n, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i);

/** Runs the case that the command names. */
export async function run(cases) {
	const name = process.argv[2];
	if (name === "--list") {
		console.log(JSON.stringify(Object.keys(cases)));
		return;
	}
	const stage = new Stage();
	let status = 0;
	try {
		await cases[name](stage);
		if (stage.wrong.length) throw new Error(`the page said:\n${stage.wrong.join("\n")}`);
	} catch (e) {
		status = e instanceof Skip ? 77 : 1;
		console.log(status === 77 ? e.message : `${e.stack ?? e}\nconsole:\n${stage.console.slice(-30).join("\n")}`);
	}
	try {
		await stage.close();
	} catch (e) {
		console.log(e.stack ?? e);
		status ||= 1;
	}
	process.exit(status);
}
