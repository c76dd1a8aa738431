// SPDX-License-Identifier: Apache-2.0
// The hooks in Chromium, one case at a time; test_browser_react.py runs them. REACT is the folder with react and react-dom, which may be another than that of MODULES.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Fake, event, proper } from "../../client/fake.mjs";
import { kept, slow, until, Way } from "../../client/gateway.mjs";
import { clientOf, modules, run, upTo } from "./browser.mjs";

const quick = { minDelay: 10, maxDelay: 100, timeout: 5000 * slow };

/** React as one ES module with all that the page imports; as it is for development, which does each effect twice in StrictMode. */
function reactModule() {
	const react = createRequire(`${process.env.REACT}/`);
	const names = Object.keys(react("react")).filter((name) => /^[A-Za-z]\w*$/.test(name));
	const { outputFiles } = modules("esbuild").buildSync({
		stdin: {
			contents: `import React from "react"; import Client from "react-dom/client"; import Server from "react-dom/server.browser";
				export const { ${names.join(", ")} } = React; export const { createRoot, hydrateRoot } = Client; export const { renderToString } = Server; export default React;`,
			resolveDir: process.env.REACT,
		},
		bundle: true, format: "esm", platform: "browser", write: false, define: { "process.env.NODE_ENV": '"development"' }, nodePaths: [process.env.REACT],
	});
	return outputFiles[0].text;
}

async function staged(stage, settings = {}) {
	stage.extra = { "/react.mjs": reactModule() };
	const gateway = await stage.gateway({ ...kept("keep"), "namespace.allow_publish": "anyone", ...settings });
	const way = stage.use(await Way.to(gateway));
	stage.client = await clientOf(gateway, stage.site);
	const served = (await gateway.ask("/ringcast-react.js")).status === 200;
	const context = await stage.context();
	const page = await stage.page(context, way.http, {}, { file: "react.html", more: { react: served ? `${gateway.http}/ringcast-react.js` : `${stage.site.url}/client/react.js` } });
	const show = (what) => page.evaluate((w) => globalThis.show(w), { options: quick, ...what });
	const reads = (id, text, seconds) => {
		let last;
		return until(async () => (last = await page.evaluate((i) => globalThis.text(i), id)) === text, () => `#${id} reads '${text}', not '${last}'`, seconds);
	};
	const says = (id, name, value) => page.waitForFunction(([i, n, v]) => document.getElementById(i)?.dataset[n] === v, [id, name, value]);
	const publish = async (from, to, channel = "keep:a") => {
		for (let n = from; n <= to; n++) await gateway.publish(channel, { n });
	};
	const calls = (name) => page.evaluate((n) => globalThis.calls.filter((c) => c[0] === n).map((c) => c[1]), name);
	const heard = async () => (await gateway.status()).subscriptions;
	return { gateway, way, page, show, reads, says, publish, calls, heard };
}

async function rendersAndHears(stage, strict) {
	const { gateway, page, show, reads, says, publish, calls, heard } = await staged(stage);
	await show({ strict, lines: [["keep:a"]] });
	await says("keep:a", "state", "subscribed");
	await reads("state", "connected");
	await publish(1, 10);
	await reads("keep:a", upTo(10).join(" "));
	// Whatever StrictMode does twice: one connection, one subscription, one call for each event.
	assert.deepEqual(await calls("keep:a"), upTo(10));
	const { connectedClients } = await gateway.status();
	assert.equal(connectedClients, 1);
	assert.deepEqual(await heard(), { "keep:a": 1 });
	assert.equal(await page.evaluate(() => globalThis.client.metrics.reconnects), 0);
	// Gone with the component, and with the provider.
	await show({ strict, lines: [] });
	await until(async () => Object.keys(await heard()).length === 0, "it is unsubscribed");
	assert.equal((await gateway.status()).connectedClients, 1);
	await show({ strict, provider: false });
	await until(async () => (await gateway.status()).connectedClients === 0, "the connection is closed");
	await until(async () => await page.evaluate(() => [...globalThis.clients].every((c) => c.state === "closed" || c.session === undefined)), "every client is closed");
	// And again.
	await show({ strict, lines: [["keep:a", { since: "beginning" }]] });
	await reads("keep:a", upTo(10).join(" "));
	await until(async () => (await gateway.status()).connectedClients === 1, "one connection");
}

const cases = {
	async "renders, hears, and ends with its components"(stage) {
		await rendersAndHears(stage, false);
	},

	async "the same in StrictMode, which does every effect twice"(stage) {
		await rendersAndHears(stage, true);
	},

	async "another channel, other options, and options of the same value"(stage) {
		const { gateway, page, show, reads, says, publish, heard } = await staged(stage);
		await show({ lines: [["keep:a", { keep: 3 }, "line"]] });
		await says("line", "state", "subscribed");
		await publish(1, 5);
		await reads("line", "3 4 5");
		const session = await page.evaluate(() => globalThis.client.session);
		// Written anew each time: nothing changes.
		for (let i = 0; i < 5; i++) await show({ lines: [["keep:a", { keep: 3 }, "line"]] });
		await reads("line", "3 4 5");
		await show({ lines: [["keep:b", { keep: 3 }, "line"]] });
		await reads("line", "");
		await says("line", "state", "subscribed");
		await until(async () => JSON.stringify(await heard()) === '{"keep:b":1}', "only the new channel is subscribed");
		await publish(6, 6, "keep:a");
		await publish(7, 8, "keep:b");
		await reads("line", "7 8");
		await show({ lines: [["keep:b", { keep: 3 }, "live"], ["keep:b", { keep: 3 }, "line"]] });
		await show({ lines: [["keep:b", { keep: 3 }, "live"]] });
		await says("live", "state", "subscribed");
		await reads("live", "");
		// From the past on, in the moment in which what is live ends.
		await show({ lines: [["keep:b", { keep: 3, since: "beginning" }, "live"]] });
		await reads("live", "7 8");
		await show({ lines: [["keep:b", { keep: 3, since: "beginning", filter: "data.n = 8" }, "line"]] });
		await reads("line", "8");
		assert.equal(await page.evaluate(() => globalThis.client.session), session);
		// Another address is another client.
		await show({ url: gateway.http, lines: [["keep:b", { since: "beginning" }, "line"]] });
		await reads("line", "7 8");
		assert.notEqual(await page.evaluate(() => globalThis.client.session), session);
		await until(async () => (await gateway.status()).connectedClients === 1, "the first one is closed");
	},

	async "skip, and on again: what came meanwhile is not lost"(stage) {
		const { show, reads, says, publish, calls, heard } = await staged(stage);
		await show({ lines: [["keep:a", { skip: true }]] });
		await says("keep:a", "state", "closed");
		await reads("state", "connected");
		assert.deepEqual(await heard(), {});
		await show({ lines: [["keep:a", { skip: false }]] });
		await says("keep:a", "state", "subscribed");
		await publish(1, 3);
		await reads("keep:a", "1 2 3");
		await show({ lines: [["keep:a", { skip: true }]] });
		await until(async () => Object.keys(await heard()).length === 0, "it is unsubscribed");
		await publish(4, 6);
		await show({ lines: [["keep:a"]] });
		await reads("keep:a", "1 2 3 4 5 6");
		assert.deepEqual(await calls("keep:a"), upTo(6));
	},

	async "cut, killed and back: the state is shown, and the gap"(stage) {
		const { gateway, way, page, show, reads, says, publish, calls } = await staged(stage);
		await show({ strict: true, lines: [["keep:a"], ["keep:*"]] });
		await says("keep:a", "state", "subscribed");
		await says("keep:*", "state", "subscribed");
		await publish(1, 3);
		for (let round = 1; round <= 3; round++) {
			way.shut = true;
			way.cut();
			await reads("state", "reconnecting");
			await publish(3 * round + 1, 3 * round + 3);
			way.shut = false;
			await reads("state", "connected");
			for (const id of ["keep:a", "keep:*"]) await reads(id, upTo(3 * round + 3).join(" "));
		}
		for (const id of ["keep:a", "keep:*"]) assert.deepEqual(await calls(id), upTo(12));
		assert.equal(await page.evaluate(() => document.getElementById("keep:a").dataset.gap), undefined);
		way.target = undefined;
		await gateway.kill();
		stage.open.splice(stage.open.indexOf(gateway), 1);
		const next = await stage.gateway(kept("keep"));
		way.target = next;
		await says("keep:a", "gap", "epoch");
		await says("keep:*", "gap", "epoch");
		await says("keep:a", "state", "subscribed");
		await next.publish("keep:a", { n: 13 });
		await reads("keep:a", upTo(13).join(" "));
		// Metrics are looked at again when the state changes.
		await says("state", "reconnects", "4");
	},

	async "what is refused is shown, and nothing else breaks"(stage) {
		const { show, reads, says, publish } = await staged(stage);
		await show({ lines: [["a**"], ["keep:a", { filter: "data.n >" }, "filter"], ["keep:b"]] });
		await says("a**", "error", "bad_channel");
		await says("a**", "state", "closed");
		await says("filter", "error", "bad_filter");
		await publish(1, 2, "keep:b");
		await reads("keep:b", "1 2");
	},

	async "what is refused for a while is shown until it is subscribed"(stage) {
		const { page, way, show, reads, says } = await staged(stage);
		let full = true;
		const fake = stage.use(await Fake.start({
			upgrade(peer) {
				proper(peer);
				const { onMessage } = peer;
				peer.onMessage = (m) => (full && m.type === "subscribe" ? peer.say({ type: "error", id: m.id, code: "server_capacity_exceeded", temporary: true, message: "no room" }) : onMessage(m));
			},
		}));
		way.target = { host: "127.0.0.1", port: fake.port };
		await show({ lines: [["keep:a"], ["keep:a", { filter: "data.n = 1" }, "other"]] });
		await says("keep:a", "error", "server_capacity_exceeded");
		await says("keep:a", "state", "waiting");
		await says("other", "error", "bad_argument");
		full = false;
		await says("keep:a", "state", "subscribed");
		fake.peers.at(-1).say(event("keep:a", 1, { n: 1 }));
		await reads("keep:a", "1");
		assert.equal(await page.evaluate(() => document.getElementById("keep:a").dataset.error), undefined);
		// That of another is its own.
		assert.equal(await page.evaluate(() => document.getElementById("other").dataset.error), "bad_argument");
	},

	async "without a provider, and with an address that is none: an error that a boundary catches"(stage) {
		const { page, show } = await staged(stage);
		await show({ provider: false, outside: true });
		await page.waitForFunction(() => /RingcastProvider/.test(globalThis.text("broken")));
		// React says what was caught.
		stage.wrong.length = 0;
		await page.reload();
		await page.waitForFunction(() => globalThis.ready);
		await page.evaluate(() => globalThis.show({ url: "ftp://127.0.0.1" }));
		await page.waitForFunction(() => /address/.test(globalThis.text("broken")));
		stage.wrong.length = 0;
	},

	async "a client of the application's own stays open"(stage) {
		const { gateway, page, show, reads, says, publish } = await staged(stage);
		await show({ strict: true, own: true, lines: [["keep:a"]] });
		await says("keep:a", "state", "subscribed");
		await publish(1, 2);
		await reads("keep:a", "1 2");
		await show({ provider: false });
		await until(async () => Object.keys((await gateway.status()).subscriptions).length === 0, "it is unsubscribed");
		assert.equal(await page.evaluate(() => globalThis.mine.state), "connected");
		assert.equal((await gateway.status()).connectedClients, 1);
		await show({ strict: true, own: true, lines: [["keep:a", { since: "beginning" }]] });
		await reads("keep:a", "1 2");
	},

	async "many components on one channel, coming and going"(stage) {
		const { gateway, page, show, says, reads, publish, calls, heard } = await staged(stage);
		const lines = upTo(20).map((i) => ["keep:a", { keep: 5 }, `line${i}`]);
		await show({ strict: true, lines });
		await says("line20", "state", "subscribed");
		await publish(1, 5);
		for (let i = 1; i <= 20; i++) await reads(`line${i}`, "1 2 3 4 5");
		assert.deepEqual(await heard(), { "keep:a": 1 });
		await show({ strict: true, lines: lines.slice(10) });
		await page.waitForFunction(() => globalThis.text("line1") === undefined && globalThis.text("line20"));
		await publish(6, 6);
		await reads("line20", "2 3 4 5 6");
		assert.deepEqual(await calls("line1"), upTo(5));
		assert.deepEqual(await calls("line20"), upTo(6));
		await show({ strict: true, lines: [] });
		await until(async () => Object.keys(await heard()).length === 0, "nobody is subscribed");
		assert.equal((await gateway.status()).connectedClients, 1);
	},

	async "a thousand events at once: no more renders than needed, and snapshots that stay"(stage) {
		const { gateway, page, show, says, calls } = await staged(stage);
		await show({ lines: [["keep:a", { keep: 10 }]] });
		await says("keep:a", "state", "subscribed");
		const before = await page.evaluate(() => globalThis.snapshots.at(-1));
		const first = await page.evaluate(() => {
			globalThis.held = globalThis.snapshots.at(-1);
			return JSON.stringify(globalThis.held);
		});
		const lines = upTo(1000).map((n) => JSON.stringify({ channel: "keep:a", event: "e", data: { n } })).join("\n");
		assert.equal((await gateway.ask("/api/publish", { method: "POST", body: lines })).status, 200);
		await says("keep:a", "last", "1000");
		assert.deepEqual(await calls("keep:a"), upTo(1000));
		assert.equal(await page.evaluate(() => globalThis.text("keep:a")), upTo(1000, 991).join(" "));
		assert.equal(await page.evaluate(() => JSON.stringify(globalThis.held)), first);
		assert.equal(before.events.length, 0);
		const renders = await page.evaluate(() => globalThis.renders["keep:a"]);
		assert.ok(renders < 700, `${renders} renders`);
	},

	async "acknowledged by what the handler returns"(stage) {
		const { show, reads, says, publish, calls } = await staged(stage);
		await show({ strict: true, lines: [["keep:a", { ack: true }]] });
		await says("keep:a", "state", "subscribed");
		await publish(1, 50);
		await reads("keep:a", upTo(50).join(" "));
		assert.deepEqual(await calls("keep:a"), upTo(50));
	},

	async "rendered on a server, and taken over by the page"(stage) {
		const { gateway, page, reads, says, publish } = await staged(stage);
		const html = await page.evaluate((options) => globalThis.hydrate({ strict: true, options, lines: [["keep:a"]] }), quick);
		assert.match(html, /connecting/);
		assert.match(html, /data-state="waiting"/);
		await says("keep:a", "state", "subscribed");
		await publish(1, 2);
		await reads("keep:a", "1 2");
		// What was rendered for the server has opened nothing.
		assert.equal((await gateway.status()).connectedClients, 1);
	},
};

await run(cases);
