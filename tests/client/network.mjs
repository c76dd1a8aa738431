// SPDX-License-Identifier: Apache-2.0
// One of the cases of network.test.mjs, within a network namespace of its own: the gateway is here, the client in another one behind a pair of veth.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { Gateway, kept, slow, token, until, within, withTokens } from "./gateway.mjs";
import { Puppet, upTo } from "./puppets.mjs";

const [here, there] = ["10.77.0.1", "10.77.0.2"];
const nobody = "02:00:00:00:00:99";
const heartbeat = 1000;
// How long after the last packet a client may think that all is well: it waits a heartbeat, asks, and waits for an answer. On a machine that has other things to do, some more.
const margin = 2 * heartbeat + 2000 + 8000 * slow;
const admin = "the admin's token";

execFileSync("ip", ["link", "set", "lo", "up"]);
const puppet = await Puppet.start({ wrap: ["unshare", "-n"] });
const ip = (...args) => execFileSync("ip", args);
const ipThere = (...args) => puppet.ask("run", { command: ["ip", ...args] });
ip("link", "add", "name", "here", "type", "veth", "peer", "name", "there", "netns", String(puppet.process.pid));
ip("addr", "add", `${here}/24`, "dev", "here");
ip("link", "set", "here", "up");
await ipThere("addr", "add", `${there}/24`, "dev", "there");
await ipThere("link", "set", "there", "up");

const gateway = await Gateway.start({ ...withTokens, ...kept("keep"), heartbeat: `${heartbeat}ms`, "admin.token": admin, insecure: "yes" }, { listen: `${here}:0` });
let n = 0;
async function publish(count = 1) {
	for (let i = 0; i < count; i++) {
		const { status, text } = await gateway.ask("/api/publish", { method: "POST", body: JSON.stringify({ channel: "keep:a", event: "e", data: { n: ++n } }), headers: { Authorization: `Bearer ${admin}` } });
		assert.equal(status, 200, text);
	}
}
/** Packets from the gateway, and to it, are lost from now on. */
async function lose(from, to) {
	if (from) ip("neigh", "replace", there, "lladdr", nobody, "dev", "here", "nud", "permanent");
	if (to) await ipThere("neigh", "replace", here, "lladdr", nobody, "dev", "there", "nud", "permanent");
	return performance.now();
}
async function mend() {
	for (const run of [() => ip("neigh", "del", there, "dev", "here"), () => ipThere("neigh", "del", here, "dev", "there")]) {
		try {
			await run();
		} catch {
			// Was not lost.
		}
	}
}
async function open(options = {}, more = {}) {
	await puppet.ask("open", { url: gateway.http, options: { minDelay: 50, maxDelay: 300, timeout: 2000, ...options }, ...more });
	await puppet.heard("connected");
	await puppet.ask("subscribe", { channel: "keep:a" });
	await publish(3);
	assert.deepEqual(await puppet.numbers(3), [1, 2, 3]);
}
/** Everything that was published has come, once and in order, and nobody spoke of a gap. */
async function whole() {
	await publish(3);
	await until(() => puppet.events.length >= n, () => `${n} events; ${JSON.stringify(puppet.events.map((e) => e.data.n))} ${JSON.stringify(puppet.told)}`, 40);
	assert.deepEqual(puppet.events.map((e) => e.data.n), upTo(n));
	assert.deepEqual(puppet.of("gap"), []);
	assert.deepEqual(puppet.uncaught, []);
}

async function noticed(from, to, options, { rounds = 2, longest = margin } = {}) {
	await open(options);
	for (let round = 1; round <= rounds; round++) {
		const begin = await lose(from, to);
		await publish(5);
		await puppet.heard("disconnected", round, 90);
		const took = performance.now() - begin;
		console.log(`noticed after ${took.toFixed(0)} ms`);
		assert.ok(took < longest, `noticed after ${took} ms`);
		await publish(5);
		assert.notEqual((await puppet.ask("metrics")).state, "connected");
		await mend();
		await puppet.heard("connected", round + 1, 60);
		await whole();
	}
}

const cases = {
	"both ways": () => noticed(true, true),
	"from the gateway": () => noticed(true, false),
	"to the gateway": () => noticed(false, true),
	// A stream does not say how often it is to be heard of: the client takes it for the usual half minute.
	"an event stream": () => noticed(true, true, { transports: ["sse"] }, { rounds: 1, longest: 45000 + 8000 * slow }),
	"shorter than a heartbeat": async () => {
		await open();
		for (let round = 0; round < 3; round++) {
			await lose(true, true);
			await publish(2);
			await mend();
			await whole();
		}
		assert.deepEqual(puppet.of("disconnected"), []);
	},
	"a publish on its way": async () => {
		await puppet.ask("tokens", { list: [token({ sub: "ann" })] });
		await open({}, { ask: true });
		await lose(true, false);
		// Arrives, but its acknowledgement does not: said again with the same id it is published once.
		const published = puppet.ask("publish", { channel: "keep:a", event: "e", data: { n: ++n } }, 60);
		published.catch(() => {});
		await puppet.heard("disconnected", 1, 60);
		await mend();
		const outcome = await within(published.then((v) => v.position, (e) => e.code), "an end", 60);
		assert.match(outcome, /^[a-z0-9]{10}@4$|^unknown$|^timeout$/);
		await whole();
	},
};

try {
	await cases[process.argv[2]]();
} finally {
	await mend();
	await puppet.close();
	await gateway.stop();
}
process.exit(0);
