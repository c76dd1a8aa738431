// SPDX-License-Identifier: Apache-2.0
// Clocks that jump, are wrong from the beginning, and a process that sleeps: timers that come late, and a gateway that has given the client up meanwhile.
import assert from "node:assert/strict";
import test from "node:test";
import { Gateway, kept, slow, token, until, withTokens } from "./gateway.mjs";
import { Puppet, upTo } from "./puppets.mjs";

const hour = 3600_000;
const quick = { minDelay: 10, maxDelay: 100, timeout: 5000 * slow };

function withPuppet(name, settings, options, work) {
	test(name, { timeout: 120000 * slow }, async () => {
		const gateway = await Gateway.start({ ...kept("keep"), ...settings });
		const puppet = await Puppet.start(options);
		try {
			await work(gateway, puppet);
			assert.deepEqual(puppet.uncaught, []);
		} finally {
			await puppet.close();
			await gateway.stop();
		}
	});
}

withPuppet("the clock jumps for hours, forward and back: nothing happens", { heartbeat: "1s" }, {}, async (gateway, puppet) => {
	await puppet.ask("open", { url: gateway.http, options: quick });
	await puppet.ask("subscribe", { channel: "keep:a" });
	let n = 0;
	for (const by of [5 * hour, -10 * hour, 24 * 365 * hour, -24 * 365 * hour, 5 * hour]) {
		await puppet.ask("clock", { by });
		// Over a heartbeat of either side, by what the gateway counts.
		const pings = (await puppet.ask("metrics")).connectedFor;
		await until(async () => (await puppet.ask("metrics")).connectedFor > pings + 1300, "a heartbeat later");
		await gateway.publish("keep:a", { n: ++n });
		await puppet.numbers(n);
	}
	assert.deepEqual(puppet.events.map((e) => e.data.n), upTo(n));
	assert.equal(puppet.of("connected").length, 1);
	for (const quiet of ["disconnected", "reconnecting", "gap", "error"]) assert.deepEqual(puppet.of(quiet), []);
});

withPuppet("the clock jumps while it waits for a try: it comes back all the same", {}, {}, async (gateway, puppet) => {
	await puppet.ask("open", { url: gateway.http, options: { ...quick, minDelay: 200, maxDelay: 400 } });
	await puppet.ask("subscribe", { channel: "keep:a" });
	const [session] = Object.keys((await gateway.status()).clientDetails);
	await gateway.ask(`/api/sessions/${session}?code=4101`, { method: "DELETE" });
	await puppet.heard("disconnected");
	await puppet.ask("clock", { by: -24 * hour });
	await puppet.heard("connected", 2);
	await gateway.publish("keep:a", { n: 1 });
	assert.deepEqual(await puppet.numbers(1), [1]);
});

for (const [name, clock] of [["ahead", 5 * hour], ["behind", -5 * hour]]) {
	withPuppet(`a clock that is hours ${name} from the beginning, and a token that is good for an hour: no storm of new ones`, withTokens, { clock }, async (gateway, puppet) => {
		await puppet.ask("tokens", { list: [token({ sub: "ann" })] });
		await puppet.ask("open", { url: gateway.http, options: quick, ask: true });
		await puppet.ask("subscribe", { channel: "keep:a" });
		for (let n = 1; n <= 3; n++) {
			await gateway.publish("keep:a", { n });
			await puppet.numbers(n);
		}
		const { connectedFor } = await puppet.ask("metrics");
		await until(async () => (await puppet.ask("metrics")).connectedFor > connectedFor + 1500, "some time");
		const { asked } = await puppet.ask("metrics");
		assert.ok(asked <= 3, `asked for ${asked} tokens`);
		assert.deepEqual(puppet.of("disconnected"), []);
	});
}

withPuppet("a clock that is behind, and a token that runs out: another one, and nothing is missing", { ...withTokens, "auth.leeway": "0" }, { clock: -5 * hour }, async (gateway, puppet) => {
	await puppet.ask("tokens", { list: [token({ sub: "ann" }, 4), token({ sub: "ann" }, 3600)] });
	await puppet.ask("open", { url: gateway.http, options: quick, ask: true });
	await puppet.ask("subscribe", { channel: "keep:a" });
	let n = 0;
	// Either it was renewed in time, or it ended with 4001 and came back with the other.
	const over = Date.now() + 6000;
	await until(async () => {
		await gateway.publish("keep:a", { n: ++n });
		return Date.now() > over && (await puppet.ask("metrics")).asked >= 2 && (await puppet.ask("metrics")).state === "connected";
	}, () => `another token; ${JSON.stringify(puppet.told)}`, 30);
	await gateway.publish("keep:a", { n: ++n });
	assert.deepEqual(await puppet.numbers(n), upTo(n));
	assert.deepEqual(puppet.of("reconnect_failed"), []);
	assert.deepEqual(puppet.of("gap"), []);
});

withPuppet("asleep until the gateway has given it up: it comes back and misses nothing", { heartbeat: "1s" }, {}, async (gateway, puppet) => {
	await puppet.ask("open", { url: gateway.http, options: quick });
	await puppet.ask("subscribe", { channel: "keep:a" });
	await puppet.ask("subscribe", { channel: "keep:*", options: {} });
	let n = 0;
	for (let round = 1; round <= 2; round++) {
		await gateway.publish("keep:a", { n: ++n });
		await puppet.numbers(2 * n);
		puppet.process.kill("SIGSTOP");
		await until(async () => (await gateway.status()).connectedClients === 0, "the gateway gives it up", 40);
		for (let i = 0; i < 20; i++) await gateway.publish("keep:a", { n: ++n });
		puppet.process.kill("SIGCONT");
		await puppet.heard("connected", round + 1);
		const numbers = await puppet.numbers(2 * n);
		// Each once by the channel, and once by the pattern, each in order.
		assert.deepEqual([...numbers].sort((a, b) => a - b), upTo(n).flatMap((i) => [i, i]));
		for (const mark of ["@", "~"]) assert.deepEqual(puppet.events.filter((e) => e.position.includes(mark)).map((e) => e.data.n), upTo(n));
	}
	assert.deepEqual(puppet.of("gap"), []);
	assert.equal((await puppet.ask("metrics")).reconnects, 2);
});

withPuppet("asleep for less than the gateway notices: the connection goes on", { heartbeat: "3s" }, {}, async (gateway, puppet) => {
	await puppet.ask("open", { url: gateway.http, options: quick });
	await puppet.ask("subscribe", { channel: "keep:a" });
	puppet.process.kill("SIGSTOP");
	for (let n = 1; n <= 200; n++) await gateway.publish("keep:a", { n });
	puppet.process.kill("SIGCONT");
	assert.deepEqual(await puppet.numbers(200), upTo(200));
	assert.deepEqual(puppet.of("gap"), []);
});
