// SPDX-License-Identifier: Apache-2.0
// Two tabs with one clientId, of one user: the newer one has the acknowledged channel, the older is told and stays quiet. There is no fight for it, whatever happens to the connections.
import assert from "node:assert/strict";
import test from "node:test";
import { listen } from "./fake.mjs";
import { connect, Gateway, kept, slow, token, until, watchForUncaught, Way, within, withTokens } from "./gateway.mjs";

const uncaught = watchForUncaught();

function tab(url, user = "ann") {
	const client = connect(url, { minDelay: 5, maxDelay: 50, timeout: 5000 * slow, clientId: "desk", token: () => token({ sub: user }) });
	return { client, told: listen(client), events: [], numbers: [] };
}

async function follow(t, options = { ack: true }) {
	t.subscription = t.client.subscribe("keep:a", (e) => {
		t.events.push(e);
		t.numbers.push(e.data.n);
		return t.gate;
	}, options);
	return within(t.subscription.ready, "the acknowledgement");
}

function withTabs(name, work) {
	test(name, { timeout: 120000 * slow }, async () => {
		const gateway = await Gateway.start({ ...withTokens, ...kept("keep") });
		const way = await Way.to(gateway);
		const tabs = [];
		try {
			await work(gateway, way, (user) => {
				tabs.push(tab(way.http, user));
				return tabs.at(-1);
			});
			assert.deepEqual(uncaught, []);
		} finally {
			for (const { client } of tabs) client.close();
			await way.close();
			await gateway.stop();
		}
	});
}

const replaced = (t) => until(() => t.told.of("error").find((e) => e.code === "replaced"), () => `it is told: ${JSON.stringify(t.told)}`);

withTabs("the older tab is told `replaced`, and does not take the channel back", async (gateway, way, open) => {
	const one = open(), two = open();
	await follow(one);
	await gateway.publish("keep:a", { n: 1 });
	await until(() => one.numbers.length === 1, "the first event");
	await follow(two);
	const error = await replaced(one);
	assert.equal(error.channel, "keep:a");
	assert.equal(one.subscription.state, "closed");
	assert.equal(two.subscription.state, "subscribed");
	for (let n = 2; n <= 20; n++) await gateway.publish("keep:a", { n });
	await until(() => two.numbers.includes(20), "the second has them");
	assert.deepEqual(one.numbers, [1]);
	assert.deepEqual(two.numbers.filter((n) => n > 1), Array.from({ length: 19 }, (_, i) => i + 2));
	// Cut both, twice: the older one comes back without it.
	for (let n = 21; n <= 22; n++) {
		way.cut();
		await one.told.until("connected", n - 19);
		await two.told.until("connected", n - 19);
		await gateway.publish("keep:a", { n });
		await until(() => two.numbers.includes(n), `event ${n}`);
	}
	assert.deepEqual(one.numbers, [1]);
	assert.equal(two.told.of("error").filter((e) => e.code === "replaced").length, 0);
	assert.equal(one.told.of("error").filter((e) => e.code === "replaced").length, 1);
	// Asked again it has it again, and now the other one is told.
	await follow(one);
	await replaced(two);
	await gateway.publish("keep:a", { n: 23 });
	await until(() => one.numbers.includes(23), "the first has it again");
	assert.equal(two.numbers.includes(23), false);
	// What one had handled, and not yet said so, the other gets once more, marked.
	for (const [t, other] of [[one, two], [two, one]]) {
		assert.equal(new Set(t.numbers).size, t.numbers.length);
		for (const e of t.events) if (!e.redelivered) assert.ok(!other.events.some((o) => o.data.n === e.data.n && !o.redelivered), `${e.data.n} came to both`);
	}
});

withTabs("what the older tab did not finish comes to the newer one", async (gateway, way, open) => {
	const one = open(), two = open();
	one.gate = new Promise(() => {});
	await follow(one);
	for (let n = 1; n <= 5; n++) await gateway.publish("keep:a", { n });
	await until(() => one.numbers.length >= 1, "it begins");
	await follow(two);
	await replaced(one);
	await until(() => two.numbers.length === 5, () => `all five: ${two.numbers}`);
	assert.deepEqual([...two.numbers].sort(), [1, 2, 3, 4, 5]);
	assert.ok(two.events.some((e) => e.redelivered >= 1));
});

withTabs("without `ack`, and for another user, two tabs are two clients", async (gateway, way, open) => {
	const one = open(), two = open(), other = open("bo");
	await follow(one, {});
	await follow(two, {});
	await follow(other);
	for (let n = 1; n <= 10; n++) await gateway.publish("keep:a", { n });
	for (const t of [one, two, other]) {
		await until(() => t.numbers.length === 10, "ten events");
		assert.deepEqual(t.numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
		assert.deepEqual(t.told.of("error"), []);
	}
});

withTabs("a tab that is reloaded a dozen times goes on where it was", async (gateway, way, open) => {
	const all = [];
	let n = 0;
	for (let load = 0; load < 12; load++) {
		const t = open();
		await follow(t);
		for (let i = 0; i < 5; i++) await gateway.publish("keep:a", { n: ++n });
		const want = n;
		await until(() => t.numbers.includes(want), `event ${want}; ${t.numbers}`);
		all.push(...t.numbers);
		// As a page goes: without a word, and no new one of its own.
		if (load % 2) t.client.close();
		else way.cut();
		t.client.close();
	}
	// An acknowledgement may be lost with the connection; then an event is seen by two loads of the page, and says so.
	assert.deepEqual([...new Set(all)].sort((a, b) => a - b), Array.from({ length: n }, (_, i) => i + 1));
});
