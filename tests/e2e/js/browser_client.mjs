// SPDX-License-Identifier: Apache-2.0
// The client in Chromium, one case at a time; test_browser_client.py runs them.
import assert from "node:assert/strict";
import { kept, slow, token, until, Way, withTokens } from "../../client/gateway.mjs";
import { clientOf, NoWebSocket, run, seen, Skip, stateOf, told, untilSeen, untilTold, upTo } from "./browser.mjs";

const quick = { minDelay: 10, maxDelay: 100, timeout: 5000 * slow };
/** Would not try again by itself while a test lasts. */
const patient = { minDelay: 300000, maxDelay: 300000, timeout: 5000 * slow };

async function numbered(gateway, from, to, channel = "keep:a") {
	for (let n = from; n <= to; n++) await gateway.publish(channel, { n });
	return to;
}

/** A gateway, a way to it that can be cut, and a page that follows keep:a. */
async function followed(stage, options = quick, settings = {}, wish = {}) {
	const gateway = await stage.gateway({ ...kept("keep"), "namespace.allow_publish": "anyone", ...settings });
	const way = stage.use(await Way.to(gateway));
	stage.client = await clientOf(gateway, stage.site);
	const context = await stage.context();
	const page = await stage.page(context, way.http, options);
	await page.evaluate((w) => globalThis.follow("keep:a", w), wish);
	return { gateway, way, context, page };
}

async function exactly(page, n) {
	await untilSeen(page, n);
	assert.deepEqual(await seen(page), upTo(n));
	assert.deepEqual(await told(page, "gap"), []);
}

const cases = {
	async "connects, publishes, asks and hears"(stage) {
		const { gateway, page } = await followed(stage, quick, { "namespace.keep.presence": "yes" });
		assert.deepEqual((await told(page, "connected")).map((c) => [c.transport, c.again]), [["ws", false]]);
		await numbered(gateway, 1, 5);
		const position = await page.evaluate(async () => (await globalThis.client.publish("keep:a", "e", { n: 6 })).position);
		assert.match(position, /^[a-z0-9]{10}@6$/);
		await exactly(page, 6);
		const past = await page.evaluate(() => globalThis.client.history("keep:a", { limit: 3 }));
		assert.deepEqual(past.events.map((e) => e.data.n), [6, 5, 4]);
		const who = await page.evaluate(() => globalThis.client.presence("keep:a"));
		assert.deepEqual([who.clients, who.anonymous], [1, 1]);
		const refused = await page.evaluate(() => globalThis.client.command({ do: "buy" }).catch((e) => [e.name, e.code]));
		assert.match(refused[1], /^(forbidden|no_backend)$/);
		const read = await page.evaluate(async () => {
			const got = [];
			for await (const event of globalThis.client.subscribe("keep:**", { since: "beginning" })) {
				got.push(event.data.n);
				if (got.length === 6) break;
			}
			return got;
		});
		assert.deepEqual(read, upTo(6));
		const metrics = await page.evaluate(() => globalThis.client.metrics);
		assert.deepEqual([metrics.state, metrics.transport, metrics.reconnects, metrics.gaps], ["connected", "ws", 0, 0]);
		await page.evaluate(() => globalThis.client.close());
		await until(async () => (await gateway.status()).connectedClients === 0, "the gateway sees it go");
	},

	async "the way is cut again and again"(stage) {
		const { gateway, way, page } = await followed(stage);
		let n = 0;
		for (let round = 1; round <= 10; round++) {
			n = await numbered(gateway, n + 1, n + 5);
			way.cut(round % 2 ? undefined : 200 * round);
			n = await numbered(gateway, n + 1, n + 5);
			await untilSeen(page, n);
		}
		await exactly(page, n);
		assert.ok((await page.evaluate(() => globalThis.client.metrics.reconnects)) >= 5);
	},

	async "the gateway is killed and comes back"(stage) {
		const { gateway, way, page } = await followed(stage);
		await numbered(gateway, 1, 5);
		await exactly(page, 5);
		way.target = undefined;
		await gateway.kill();
		stage.open.splice(stage.open.indexOf(gateway), 1);
		const next = await stage.gateway(kept("keep"));
		way.target = next;
		await untilTold(page, "connected", 2);
		await untilTold(page, "gap");
		assert.equal((await told(page, "gap"))[0].reason, "epoch");
		await numbered(next, 6, 10);
		await untilSeen(page, 10);
		assert.deepEqual(await seen(page), upTo(10));
	},

	async "offline and online again: at once, whatever pause was to be kept"(stage) {
		const { gateway, way, context, page } = await followed(stage, patient);
		await numbered(gateway, 1, 5);
		await exactly(page, 5);
		await context.setOffline(true);
		assert.equal(await page.evaluate(() => navigator.onLine), false);
		way.shut = true;
		way.cut();
		await untilTold(page, "disconnected");
		assert.equal(await stateOf(page), "reconnecting");
		await numbered(gateway, 6, 25);
		way.shut = false;
		await context.setOffline(false);
		await untilTold(page, "connected", 2);
		await exactly(page, 25);
		// What was published by the page meanwhile waits for the connection.
		await context.setOffline(true);
		way.shut = true;
		way.cut();
		await untilTold(page, "disconnected", 2);
		await page.evaluate(() => {
			globalThis.published = Promise.all([26, 27, 28].map((n) => globalThis.client.publish("keep:a", "e", { n })));
		});
		assert.equal(await page.evaluate(() => globalThis.client.metrics.queued), 3);
		way.shut = false;
		await context.setOffline(false);
		assert.equal((await page.evaluate(() => globalThis.published)).length, 3);
		await exactly(page, 28);
	},

	async "reloaded in the middle, again and again"(stage) {
		const { gateway, page } = await followed(stage);
		let n = await numbered(gateway, 1, 3);
		await untilSeen(page, n);
		for (let round = 0; round < 6; round++) {
			// Some while it is there, some while it is away, some while it comes back.
			const publishing = numbered(gateway, n + 1, n + 60);
			await page.reload();
			await page.waitForFunction(() => globalThis.ready);
			await page.evaluate(() => globalThis.follow("keep:a"));
			n = await publishing;
			await untilSeen(page, n);
			await until(async () => (await gateway.status()).connectedClients === 1, "the page that went is gone");
		}
		await exactly(page, n);
	},

	async "frozen, and the connection lost meanwhile"(stage) {
		const { gateway, way, context, page } = await followed(stage, quick, { heartbeat: "1s" });
		const devtools = await context.newCDPSession(page);
		let n = 0;
		for (let round = 1; round <= 3; round++) {
			n = await numbered(gateway, n + 1, n + 5);
			await exactly(page, n);
			await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
			n = await numbered(gateway, n + 1, n + 10);
			if (round > 1) way.cut();
			n = await numbered(gateway, n + 1, n + 10);
			await devtools.send("Page.setWebLifecycleState", { state: "active" });
			await exactly(page, n);
		}
	},

	async "hidden, cut, and visible again: at once"(stage) {
		const { gateway, way, page } = await followed(stage, patient);
		const show = (state) => page.evaluate((s) => {
			Object.defineProperty(document, "visibilityState", { value: s, configurable: true });
			Object.defineProperty(document, "hidden", { value: s === "hidden", configurable: true });
			document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
		}, state);
		await numbered(gateway, 1, 5);
		await exactly(page, 5);
		await show("hidden");
		way.cut();
		await untilTold(page, "disconnected");
		await numbered(gateway, 6, 30);
		await show("visible");
		await untilTold(page, "connected", 2);
		await exactly(page, 30);
	},

	async "asleep for an hour: timers come late, the clock has jumped"(stage) {
		const { gateway, way, page } = await followedAsleep(stage);
		let n = await numbered(gateway, 1, 5);
		await exactly(page, n);
		// The lid is closed: the gateway has lost it, and the page does not know.
		way.freeze();
		n = await numbered(gateway, n + 1, n + 50);
		await until(async () => (await gateway.status()).connectedClients === 0, "the gateway gives it up", 40);
		way.silent = false;
		await page.clock.fastForward("01:00:00");
		await untilTold(page, "connected", 2, 60);
		n = await numbered(gateway, n + 1, n + 5);
		await exactly(page, n);
		// And once more with a connection that lived.
		await page.clock.fastForward("01:00:00");
		n = await numbered(gateway, n + 1, n + 5);
		await exactly(page, n);
	},

	async "two tabs with one clientId"(stage) {
		const gateway = await stage.gateway({ ...withTokens, ...kept("keep") });
		const way = stage.use(await Way.to(gateway));
		stage.client = await clientOf(gateway, stage.site);
		const context = await stage.context();
		const options = { ...quick, clientId: "desk", tokens: [token({ sub: "ann" })] };
		const pages = [];
		for (let i = 0; i < 2; i++) {
			pages[i] = await stage.page(context, way.http, options);
			await pages[i].evaluate(() => globalThis.follow("keep:a", { ack: true }));
			await numbered(gateway, 2 * i + 1, 2 * i + 2);
			await pages[i].waitForFunction((n) => globalThis.seen.some((e) => e.data.n === n), 2 * i + 2);
		}
		await until(async () => (await told(pages[0], "error")).some((e) => e.code === "replaced"), "the older tab is told");
		for (let n = 5; n <= 7; n++) {
			way.cut();
			for (const page of pages) await untilTold(page, "connected", n - 3);
			await numbered(gateway, n, n);
			await pages[1].waitForFunction((last) => globalThis.seen.some((e) => e.data.n === last), n);
		}
		assert.deepEqual(await seen(pages[0]), [1, 2]);
		assert.deepEqual(await seen(pages[1]), [3, 4, 5, 6, 7]);
		assert.deepEqual(await told(pages[1], "error"), []);
		// The newer tab is closed: the older one has it again when it asks.
		await pages[1].close();
		await pages[0].evaluate(() => globalThis.follow("keep:a", { ack: true }));
		await numbered(gateway, 8, 9);
		await untilSeen(pages[0], 4);
		assert.deepEqual(await seen(pages[0]), [1, 2, 8, 9]);
	},

	async "where WebSocket is refused on the way: server-sent events, and it says so"(stage) {
		const gateway = await stage.gateway(kept("keep"));
		const way = stage.use(await NoWebSocket.to(gateway));
		stage.client = await clientOf(gateway, stage.site);
		const page = await stage.page(await stage.context(), way.http, quick);
		await page.evaluate(() => globalThis.follow("keep:a"));
		assert.deepEqual((await told(page, "fallback")).map((f) => f.transport), ["sse"]);
		assert.equal(await page.evaluate(() => globalThis.client.transport), "sse");
		let n = 0;
		for (let round = 0; round < 5; round++) {
			n = await numbered(gateway, n + 1, n + 5);
			way.cut();
			n = await numbered(gateway, n + 1, n + 5);
			await untilSeen(page, n);
		}
		await exactly(page, n);
		// A second channel, and one less, on the same stream.
		await page.evaluate(() => globalThis.follow("keep:b"));
		await numbered(gateway, n + 1, n + 3, "keep:b");
		await untilSeen(page, n + 3);
		assert.deepEqual(await seen(page), upTo(n + 3));
		await page.evaluate(() => globalThis.subscriptions[1].unsubscribe());
		await page.evaluate(() => globalThis.client.close());
		await until(async () => (await gateway.status()).connectedClients === 0, "the gateway sees it go");
	},

	async "where the browser itself blocks WebSocket"(stage) {
		const gateway = await stage.gateway(kept("keep"));
		stage.client = await clientOf(gateway, stage.site);
		// As extensions and policies do it: there is nothing of that name that works.
		const page = await stage.page(await stage.context(), gateway.http, quick, {
			prepare: (p) => p.addInitScript(() => {
				globalThis.WebSocket = class {
					constructor() {
						throw new DOMException("blocked", "SecurityError");
					}
				};
			}),
		});
		await page.evaluate(() => globalThis.follow("keep:a"));
		await numbered(gateway, 1, 10);
		await exactly(page, 10);
		assert.equal(await page.evaluate(() => globalThis.client.transport), "sse");
	},

	async "a token in a browser: who it is, renewed, refused"(stage) {
		const gateway = await stage.gateway({ ...withTokens, ...kept("keep"), "auth.leeway": "0" });
		stage.client = await clientOf(gateway, stage.site);
		const context = await stage.context();
		const page = await stage.page(context, gateway.http, { ...quick, tokens: [token({ sub: "ann" }, 5), token({ sub: "ann" }, 3600)] });
		await page.evaluate(() => globalThis.follow("keep:a"));
		assert.equal(await page.evaluate(() => globalThis.client.user), "ann");
		let n = 0;
		const over = Date.now() + 7000;
		await until(async () => {
			n = await numbered(gateway, n + 1, n + 1);
			return Date.now() > over && (await page.evaluate(() => globalThis.asked)) >= 2;
		}, "it is renewed", 40);
		await exactly(page, n);
		const other = await stage.page(context, gateway.http, { ...quick, tokens: ["no.token.atall"] });
		const failed = await untilTold(other, "reconnect_failed");
		assert.equal(failed.code, "unauthorized");
		assert.equal(await other.evaluate(() => globalThis.asked), 2);
		assert.equal(await stateOf(other), "closed");
	},

	async "as a classic script: the global ringcast"(stage) {
		const gateway = await stage.gateway(kept("keep"));
		const classic = await gateway.ask("/ringcast.classic.js");
		if (classic.status !== 200) throw new Skip("this build of the gateway serves no /ringcast.classic.js");
		stage.site.extra["/ringcast.classic.js"] = classic.text;
		stage.client = "none";
		const page = await stage.page(await stage.context(), gateway.http, quick, { file: "client_classic.html" });
		assert.deepEqual(await page.evaluate(() => [typeof globalThis.ringcast.connect, typeof globalThis.ringcast.RingcastError, typeof globalThis.ringcast.version]), ["function", "function", "string"]);
		await page.evaluate(() => globalThis.follow("keep:a"));
		await numbered(gateway, 1, 5);
		await exactly(page, 5);
		assert.equal(await page.evaluate(() => globalThis.client instanceof globalThis.ringcast.Client), true);
	},
};

/** Like followed(), with a clock that the test moves. */
async function followedAsleep(stage) {
	const gateway = await stage.gateway({ ...kept("keep"), heartbeat: "1s" });
	const way = stage.use(await Way.to(gateway));
	stage.client = await clientOf(gateway, stage.site);
	const page = await stage.page(await stage.context(), way.http, quick, { prepare: (p) => p.clock.install() });
	await page.evaluate(() => globalThis.follow("keep:a"));
	return { gateway, way, page };
}

await run(cases);
