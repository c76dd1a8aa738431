// SPDX-License-Identifier: Apache-2.0
// A gateway that is killed and comes back a hundred times, on a way that is cut in between: each handler sees each event once, in order, or is told of a gap. CHAOS_SEED has a run again, CHAOS_ROUNDS shortens it.
import assert from "node:assert/strict";
import test from "node:test";
import { chance, connect, Counting, Gateway, heapUsed, kept, RingcastError, Seen, seedOf, sleep, slow, token, until, Way, watchForUncaught, within, withTokens } from "./gateway.mjs";

const rounds = Number(process.env.CHAOS_ROUNDS ?? 100);
const settings = { ...withTokens, ...kept("keep"), ...kept("mine"), "namespace.mine.allow_publish": "user", "namespace.live.history_size": "0" };
const counted = ["keep:a", "keep:b", "live:c"];

function quick(way, more = {}) {
	return connect(way.http, { minDelay: 2, maxDelay: 40, timeout: 3000 * slow, ...more });
}

/** A client, and its gaps given to those that watch. */
function watched(client, ...several) {
	client.on("gap", ({ channel }) => {
		for (const seen of several) if (seen.channel === channel) seen.gap(channel);
	});
	return client;
}

function seeing(name, channel, options) {
	return Object.assign(new Seen(name, options), { channel });
}

test("each event once and in order, or a gap, over a hundred lives of the gateway", { timeout: 400000 * slow }, async (t) => {
	const rnd = chance(seedOf("CHAOS_SEED"));
	const uncaught = watchForUncaught();
	// Everybody has been there once: who never has would take a gateway that is away for a network without WebSocket.
	let gateway = await Gateway.start(settings);
	const way = await Way.to(gateway);
	const errors = [];
	const clients = [];
	const all = [];
	t.after(() => {
		for (const client of clients) client.close();
		way.shut = true;
		way.cut();
		way.server.close();
		// What a failure leaves running must not keep it from being told.
		setTimeout(() => process.exit(1), 5000).unref();
	});
	const streams = new Set();
	const streaming = (client) => {
		streams.add(client);
		return client;
	};
	const add = (client, several) => {
		client.on("error", (e) => errors.push(e));
		client.on("reconnect_failed", (e) => errors.push(e));
		clients.push(client);
		all.push(...several);
		return watched(client, ...several);
	};
	const handlers = (client, several, options) => {
		for (const seen of several) client.subscribe(seen.channel, (e) => seen.take(e), options).ready.catch((e) => errors.push(e));
	};

	// Channels with two handlers for one of them, and a pattern that has the same events once more.
	const plain = [seeing("first", "keep:a"), seeing("second", "keep:a"), seeing("b", "keep:b"), seeing("pattern", "keep:*"), seeing("without a history", "live:c")];
	handlers(add(quick(way), plain), plain);
	// One client can't have two filters that mean the same channel: two clients.
	for (const filtered of [seeing("filter", "keep:a", { step: 2 }), seeing("filtered pattern", "keep:*", { step: 2 })]) {
		handlers(add(quick(way), [filtered]), [filtered], { filter: "data.even = true" });
	}
	const streamed = [seeing("stream", "keep:a"), seeing("stream's pattern", "keep:*")];
	handlers(add(streaming(quick(way, { transports: ["sse"] })), streamed), streamed);
	// One that can't go on where it was takes all that share its stream along.
	const alone = [seeing("stream without a history", "live:c")];
	handlers(add(streaming(quick(way, { transports: ["sse"] })), alone), alone);
	const acked = [seeing("acknowledged", "keep:a", { disordered: true })];
	handlers(add(quick(way, { token: () => token({ sub: "ann" }), clientId: "desk" }), acked), acked, { ack: { timeout: 120000, retries: 100 } });

	// A reader that takes its time.
	const slowly = seeing("for await", "keep:b", { lagging: true });
	const reader = add(quick(way), [slowly]);
	const subscription = reader.subscribe("keep:b", { buffer: 64 });
	const reading = (async () => {
		for await (const event of subscription) {
			slowly.take(event);
			if (slowly.events % 50 === 0) await sleep(rnd.below(20));
		}
	})();

	// One that publishes by itself, and hears it from another.
	const heard = seeing("published", "mine:p", { again: true });
	handlers(add(quick(way), [heard]), [heard]);
	const author = add(quick(way, { token: () => token({ sub: "bo" }) }), []);
	let said = 0, refused = 0, done = false;
	const authoring = (async () => {
		while (!done) {
			const n = said + 1;
			try {
				await author.publish("mine:p", "e", { n, life: 0 });
				said = n;
			} catch (e) {
				if (!(e instanceof RingcastError)) throw e;
				// Perhaps published: the next one has another number.
				refused++;
				said = n;
				heard.gap("mine:p");
			}
			await sleep(3);
		}
		await author.publish("mine:p", "e", { n: said + 1, life: 0, last: true });
	})();

	await until(() => clients.every((c) => c.state === "connected"), () => `everybody is connected: ${clients.map((c) => c.state)}; ${errors}`);
	const counting = new Counting(counted);
	counting.run();
	let cuts = 0, early;
	for (let round = 1; round <= rounds; round++) {
		// The next one gets ready meanwhile.
		const next = Gateway.start(settings);
		counting.gateway = gateway;
		way.target = gateway;
		const witness = rnd.of(all);
		for (let part = rnd.below(3); part >= 0; part--) {
			// Now and then a life is over before anybody has heard of it.
			const enough = rnd() < 0.1 ? 0 : witness.events + 1 + rnd.below(60);
			await until(() => witness.events >= enough, () => `round ${round}: ${witness.name} goes on; ${all.map((s) => `${s.name} ${s.events}`)}; ${errors.slice(-3)}`, 60);
			if (part > 0) {
				way.cut(rnd() < 0.5 ? undefined : rnd.below(3000));
				cuts++;
			}
		}
		counting.gateway = undefined;
		if (rnd() < 0.3) way.cut(rnd.below(500));
		await gateway.kill();
		way.target = undefined;
		way.cut();
		assert.equal(all.map((s) => s.wrong.join("\n")).join(""), "", `round ${round}`);
		assert.deepEqual(uncaught, []);
		if (round === Math.ceil(rounds * 0.3)) early = await heapUsed();
		gateway = await next;
	}
	const late = await heapUsed();

	counting.gateway = gateway;
	way.target = gateway;
	// Everybody is there again before the last events, which those without a history would miss.
	const going = all.map((s) => s.events);
	await until(() => all.every((s, i) => s.events > going[i] + 2), () => `everybody hears again: ${all.map((s, i) => `${s.name} ${s.events - going[i]}`)}; ${errors.slice(-3)}`, 60);
	await within(counting.finish(), "the last events are published", 60);
	done = true;
	await within(authoring, "the author comes to an end", 60);
	for (const seen of all) {
		await until(() => seen.complete(seen.channel.includes("*") ? 2 : 1), () => `${seen.name} has seen the last event; ${seen.events} events, ${seen.gaps} gaps, ${seen.complaints}`, 60);
	}
	assert.equal(all.map((s) => s.complaints).filter(Boolean).join("\n"), "");
	// Where a history is kept only the end of a life loses something.
	assert.deepEqual(all.filter((s) => s.channel.startsWith("keep:") && s.lost).map((s) => `${s.name}: ${s.lost}`), []);
	// A stream that ended is opened again when the gateway's `retry:` says, which is longer than some lives.
	for (const client of clients) assert.ok(client.metrics.reconnects >= rounds / (streams.has(client) ? 5 : 2), `${client.metrics.reconnects} reconnects`);
	const duplicates = clients.reduce((sum, c) => sum + c.metrics.duplicates, 0);
	console.log(`${rounds} lives, ${cuts} cuts; ${all.map((s) => `${s.name}: ${s.events} events, ${s.gaps} gaps, ${s.excused} holes`).join("; ")}; ${duplicates} duplicates kept back, ${refused} of ${said} publishes failed`
		+ `; heap ${(early / 2 ** 20).toFixed(1)} to ${(late / 2 ** 20).toFixed(1)} MiB`);
	assert.ok(late - early < 6 * 2 ** 20, `the heap grew from ${early} to ${late} bytes`);

	for (const client of clients) client.close();
	await within(reading, "the reader's loop ends with its client");
	for (const client of clients) assert.equal(client.state, "closed");
	await gateway.stop();
	await way.close();
	// What is left is not the clients': no socket, no timer.
	const sockets = () => process._getActiveHandles().filter((h) => h.remotePort && !h.destroyed).map((h) => `${h.localPort} to ${h.remotePort}, ${h.readyState}`);
	const timers = () => process.getActiveResourcesInfo().filter((r) => r === "Timeout").length;
	// One is the wait's own.
	await until(() => sockets().length === 0 && timers() <= 1, () => `nothing is left open: ${sockets().join("; ")}, ${timers()} timers`);
	assert.deepEqual(uncaught, []);
	const strange = errors.filter((e) => !(e instanceof RingcastError));
	assert.deepEqual(strange, []);
});
