// SPDX-License-Identifier: Apache-2.0
// Subscriptions against a gateway: what comes, what comes back after a cut, and who gets which copy.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { KEPT, KEYS, OPEN, RingcastError, client, gateway, scripted, soon, token, tunnel, until } from "./rig.mjs";

const numbers = (count, from = 0) => Array.from({ length: count }, (_, i) => from + i);

test("events of a channel come once, in order, and the subscription knows where it stands", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const seen = [];
	const s = c.subscribe("news", (event) => seen.push(event));
	assert.equal(s.state, "waiting");
	const info = await soon(s.ready);
	assert.equal(info.channel, "news");
	assert.equal(s.state, "subscribed");
	await g.fill("news", 1200);
	await until(() => seen.length == 1200);
	assert.deepEqual(seen.map((event) => event.data), numbers(1200));
	const { type, channel, event, offset, position } = seen[41];
	assert.deepEqual([type, channel, event, offset], ["event", "news", "n", 42]);
	assert.equal(position, info.position.replace("@0", "@42"));
	assert.equal(s.position, info.position.replace("@0", "@1200"));
	s.unsubscribe();
	assert.equal(s.state, "closed");
	await g.publish("news", "n", 0);
	await until(async () => (await g.get("/api/channels/news")).subscribers == 0);
	assert.equal(seen.length, 1200);
	assert.deepEqual(c.record.error, []);
});

test("what was published while the connection was cut comes when it is back, for channels and patterns", async (t) => {
	const g = await gateway(t);
	const way = await tunnel(t, g.port);
	const c = client(t, way.url);
	const seen = { a: [], b: [], p: [] };
	const subs = [c.subscribe("room:a", (e) => seen.a.push(e.data)), c.subscribe("room:b", (e) => seen.b.push(e.data)), c.subscribe("room:*", (e) => seen.p.push([e.channel, e.data]))];
	await soon(Promise.all(subs.map((s) => s.ready)));
	let sent = 0;
	for (let round = 0; round < 5; round++) {
		await g.fill("room:a", 20, sent);
		await g.fill("room:b", 20, sent);
		way.open = false;
		way.cut();
		await until(() => c.state == "reconnecting");
		await g.fill("room:a", 30, sent + 20);
		await g.fill("room:b", 30, sent + 20);
		sent += 50;
		way.open = true;
		await until(() => seen.a.length == sent && seen.b.length == sent && seen.p.length == 2 * sent, "all of it");
	}
	assert.deepEqual(seen.a, numbers(sent));
	assert.deepEqual(seen.b, numbers(sent));
	for (const name of ["room:a", "room:b"]) assert.deepEqual(seen.p.filter(([channel]) => channel == name).map(([, n]) => n), numbers(sent));
	assert.deepEqual(c.record.gap, []);
	assert.equal(c.metrics.reconnects, 5);
	assert.equal(c.record.connected.filter((info) => info.again).length, 5);
});

test("a gap is told where nothing is kept, and after a restart of the gateway", async (t) => {
	const g = await gateway(t, { ...OPEN, "namespace.kept.history_size": 100 });
	const way = await tunnel(t, g.port);
	const c = client(t, way.url);
	const s = c.subscribe("news", () => {});
	await soon(s.ready);
	way.open = false;
	way.cut();
	await until(() => c.state == "reconnecting");
	await g.publish("news", "n", 1);
	way.open = true;
	const gap = await until(() => c.record.gap[0]);
	assert.deepEqual([gap.channel, gap.reason], ["news", "trimmed"]);
	assert.match(gap.position, /@1$/);
	assert.equal(s.position, gap.position);
	await g.stop("SIGKILL");
	const other = await gateway(t, OPEN);
	way.target = other.port;
	way.cut();
	await until(() => c.record.gap.length == 2);
	assert.equal(c.record.gap[1].reason, "epoch");
	assert.equal(c.metrics.gaps, 2);
});

test("where no namespace keeps history a pattern that comes back says that it may lack something", async (t) => {
	const g = await gateway(t, OPEN);
	const way = await tunnel(t, g.port);
	const c = client(t, way.url);
	await soon(c.subscribe("room:*", () => {}).ready);
	way.cut();
	const gap = await until(() => c.record.gap[0]);
	assert.deepEqual([gap.channel, gap.reason], ["room:*", "transport"]);
});

for (const [what, settings] of [["with history", KEPT], ["without history", OPEN]])
	test(`of an event that several subscriptions match each handler sees one copy (${what})`, async (t) => {
		const g = await gateway(t, settings);
		const c = client(t, g.url);
		const seen = { exact: [], star: [], deep: [], odd: [] };
		const keep = (list) => (event) => list.push(event.data);
		const subs = [
			c.subscribe("a:b", keep(seen.exact)),
			c.subscribe("a:*", keep(seen.star)),
			c.subscribe("a:**", keep(seen.deep)),
			c.subscribe("other", keep(seen.odd), { filter: "event = 'odd'" }),
		];
		await soon(Promise.all(subs.map((s) => s.ready)));
		const events = numbers(400).map((n) => ({ channel: "a:b", event: n % 2 ? "odd" : "even", data: n }));
		await g.publish(events);
		await until(() => seen.exact.length + seen.star.length + seen.deep.length >= 1200, "1200 calls");
		assert.deepEqual(seen.exact, numbers(400));
		assert.deepEqual(seen.star, numbers(400));
		assert.deepEqual(seen.deep, numbers(400));
		// One that leaves takes its copies along.
		subs[1].unsubscribe();
		await g.publish(events);
		await until(() => seen.exact.length >= 800 && seen.deep.length >= 800);
		for (const list of [seen.exact, seen.deep]) assert.deepEqual(list, [...numbers(400), ...numbers(400)]);
		assert.equal(seen.star.length, 400);
		assert.equal(seen.odd.length, 0);
	});

/** A gateway that says that patterns stand so far, and what it says on its connection; c hears `**` and then `a:*`, as offsets of one channel. */
async function lagging(t) {
	const server = await scripted(t, (connection) => {
		connection.onmessage = (m) => {
			if (m.type != "subscribe") return connection.polite(m);
			const positions = Object.fromEntries(m.channels.map((name) => [name, name == "**" ? "abcdefghij~0" : "abcdefghij~5"]));
			connection.say({ type: "subscription-ack", id: m.id, data: { channels: m.channels, positions } });
		};
	});
	const c = client(t, server.url);
	const seen = { deep: [], star: [] };
	const say = async (...offsets) => {
		const before = c.metrics.events + c.metrics.duplicates;
		server.connections[0].say(...offsets.map((n) => ({ type: "event", channel: "a:1", event: "e", offset: n, timestamp: `2026-01-15T10:15:00.00${n}Z`, data: 0, position: `abcdefghij~${n}` })));
		await until(() => c.metrics.events + c.metrics.duplicates >= before + offsets.length);
	};
	await soon(c.subscribe("**", (e) => seen.deep.push(e.offset)).ready);
	await say(1, 2, 3);
	await soon(c.subscribe("a:*", (e) => seen.star.push(e.offset)).ready);
	return { seen, say };
}

test("a pattern that is behind loses nothing to one that is new", async (t) => {
	const { seen, say } = await lagging(t);
	await say(6, 4, 5, 6);
	assert.deepEqual(seen, { deep: [1, 2, 3, 4, 5, 6], star: [6] });
});

test("one whose offsets have a hole that is meant goes on beside one that is new", async (t) => {
	const { seen, say } = await lagging(t);
	await say(6, 6, 7, 7);
	assert.deepEqual(seen, { deep: [1, 2, 3, 6, 7], star: [6, 7] });
});

test("a pattern that joins late and asks for the past does not disturb one that is live", async (t) => {
	const g = await gateway(t, { ...KEPT, "namespace.history_size": 10000 });
	const c = client(t, g.url);
	const live = [];
	const late = [];
	await soon(c.subscribe("a:*", (e) => live.push(e.data)).ready);
	await g.fill("a:b", 900);
	c.subscribe("**", (e) => late.push(e.data), { since: "beginning" });
	await g.fill("a:b", 900, 900);
	await until(() => live.length >= 1800 && late.length >= 1800);
	assert.deepEqual(live, numbers(1800));
	assert.deepEqual(late, numbers(1800));
	assert.deepEqual(c.record.gap, []);
});

test("the same channel with the same options is subscribed once, with others it is an error", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	let [one, two] = [0, 0];
	const first = c.subscribe("news", () => one++);
	const second = c.subscribe("news", () => two++);
	await soon(Promise.all([first.ready, second.ready]));
	assert.throws(() => c.subscribe("news", () => {}, { filter: "event = 'x'" }), (e) => e instanceof RingcastError && e.code == "bad_argument");
	assert.throws(() => c.subscribe("**", { filter: "has data.x" }) && c.subscribe("n:*", { rate: 1 }), { code: "bad_argument" });
	assert.equal((await g.get("/api/channels/news")).subscribers, 1);
	await g.publish("news", "n", 1);
	await until(() => one && two);
	first.unsubscribe();
	first.unsubscribe();
	await g.publish("news", "n", 2);
	await until(() => two == 2);
	assert.equal(one, 1);
	// Ended and begun again in one moment, as a component that is mounted twice does: nothing is lost.
	second.unsubscribe();
	const third = c.subscribe("news", () => one++);
	await g.publish("news", "n", 3);
	await until(() => one == 2);
	assert.equal(third.state, "subscribed");
	assert.equal(c.record.subscribed.filter((info) => info.channel == "news").length, 1);
});

test("one that is left and begun again in one moment knows whom it meets since", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const seen = { exact: [], star: [] };
	const first = c.subscribe("a:1", () => {});
	await soon(first.ready);
	first.unsubscribe();
	const star = c.subscribe("a:*", (e) => seen.star.push(e.data));
	const exact = c.subscribe("a:1", (e) => seen.exact.push(e.data));
	await soon(Promise.all([star.ready, exact.ready]));
	// All copies of one come before those of the next.
	for (let n = 1; n < 5; n++) {
		await g.fill("a:1", 1, n - 1);
		await until(() => seen.exact.includes(n - 1) && seen.star.includes(n - 1));
		assert.deepEqual([seen.exact, seen.star].map((list) => list.slice(0, n)), [numbers(n), numbers(n)]);
	}
	// What is for a filter alone can't be told from what is for the channel.
	exact.unsubscribe();
	star.unsubscribe();
	const filtered = c.subscribe("a:*", () => {}, { filter: "data.n > 3" });
	assert.throws(() => c.subscribe("a:1", () => {}), { code: "bad_argument" });
	await soon(filtered.ready);
});

test("of a channel that the token subscribes to there is the past as of any other", async (t) => {
	const g = await gateway(t, KEYS);
	await g.fill("news", 5);
	await g.fill("late", 5);
	const way = await tunnel(t, g.port);
	const c = client(t, way.url, { token: token({ sub: "ann", channels: ["**"], subscribe_on_connect: ["news", "late"] }) });
	const seen = [];
	const late = [];
	const news = c.subscribe("news", (e) => seen.push(e.data), { since: "beginning" });
	assert.equal((await soon(news.ready)).recovered, true);
	await until(() => seen.length == 5);
	assert.equal((await soon(c.subscribe("late", (e) => late.push(e.data), { since: "beginning" }).ready)).recovered, true);
	await until(() => late.length == 5);
	for (let round = 1; round < 3; round++) {
		way.open = false;
		way.cut();
		await until(() => c.record.disconnected.length == round);
		await g.fill("news", 5, 5 * round);
		await g.fill("late", 5, 5 * round);
		way.open = true;
		await until(() => seen.length == 5 * round + 5 && late.length == 5 * round + 5);
	}
	assert.deepEqual([seen, late], [numbers(15), numbers(15)]);
	assert.deepEqual([c.record.gap, c.record.error], [[], []]);
});

for (const what of ["with history", "without history"])
	test(`of events whose timestamps go back each pattern has one copy (${what})`, async (t) => {
		const position = (n) => (what == "with history" ? `abcdefghij~${n}` : undefined);
		const server = await scripted(t, (connection) => {
			connection.onmessage = (m) => {
				if (m.type != "subscribe") return connection.polite(m);
				connection.say({ type: "subscription-ack", id: m.id, data: { channels: m.channels, positions: Object.fromEntries(m.channels.map((name) => [name, position(0)])) } });
			};
		});
		const c = client(t, server.url);
		const seen = { star: [], deep: [] };
		await soon(Promise.all([c.subscribe("a:*", (e) => seen.star.push(e.offset)).ready, c.subscribe("**", (e) => seen.deep.push(e.offset)).ready]));
		// Publishers give them, and those that the gateway gives are of the shard that took the event.
		const events = numbers(5, 1).map((n) => ({ type: "event", channel: "a:1", event: "e", offset: n, timestamp: `2026-01-15T10:15:00.00${6 - n}Z`, data: 0, position: position(n) }));
		server.connections[0].say(events[0], events[0], ...events.slice(1), ...events.slice(1));
		await until(() => c.metrics.events + c.metrics.duplicates >= 14);
		assert.deepEqual(seen, { star: numbers(5, 1), deep: numbers(5, 1) });
	});

test("two hundred subscriptions of one moment go in few messages, and each handler may end its own", async (t) => {
	const server = await scripted(t);
	const c = client(t, server.url);
	const subs = numbers(200).map((n) => c.subscribe(`c:${n}`, () => subs[n].unsubscribe()));
	await soon(Promise.all(subs.map((s) => s.ready)));
	assert.ok(server.connections[0].got.filter((m) => m.type == "subscribe").length <= 4);
	let calls = 0;
	const s = c.subscribe("x", () => {
		calls++;
		s.unsubscribe();
	});
	await soon(s.ready);
	server.connections[0].say(...numbers(3).map((n) => ({ type: "event", channel: "x", event: "e", offset: n + 1, timestamp: "2026-01-15T10:15:00.000Z", data: n })));
	await until(() => calls);
	await soon(c.subscribe("y", () => {}).ready);
	assert.equal(calls, 1);
});

test("one that is refused is told of it, the others of its message live", async (t) => {
	const g = await gateway(t, { ...KEPT, "namespace.secret.allow_subscribe": "nobody" });
	const c = client(t, g.url);
	const good = c.subscribe("good", () => {});
	const bad = c.subscribe("secret:x", () => {});
	const none = c.subscribe("a**", () => {});
	await assert.rejects(soon(bad.ready), { code: "forbidden", channel: "secret:x", temporary: false });
	await assert.rejects(soon(none.ready), { code: "bad_channel" });
	await soon(good.ready);
	assert.equal(bad.state, "closed");
	assert.deepEqual(c.record.error.map((e) => e.code).sort(), ["bad_channel", "forbidden"]);
	await assert.rejects(
		(async () => {
			for await (const _ of c.subscribe("secret:y"));
		})(),
		{ code: "forbidden" },
	);
});

test("where the past is for nobody a subscription comes back without it, and says so", async (t) => {
	const g = await gateway(t, { ...KEPT, "namespace.now.allow_history": "nobody" });
	const way = await tunnel(t, g.port);
	const c = client(t, way.url);
	const seen = [];
	await soon(Promise.all([c.subscribe("now:a", (e) => seen.push(e.data)).ready, c.subscribe("kept", () => {}).ready]));
	for (let round = 1; round < 3; round++) {
		way.cut();
		const gap = await until(() => c.record.gap[round - 1]);
		assert.deepEqual([gap.channel, gap.reason], ["now:a", round == 1 ? "forbidden" : "transport"]);
	}
	await g.publish("now:a", "n", 7);
	await until(() => seen.length);
	assert.deepEqual(c.record.error, []);
});

test("filter, rate, window and summary are passed on", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const seen = { filter: [], rate: [], window: [], summary: [] };
	const wishes = { filter: { filter: "data.n >= 50" }, rate: { rate: 1000 }, window: { window: 20 }, summary: { window: 20, summary: true } };
	const subs = Object.entries(wishes).map(([name, wish]) => c.subscribe(name, (e) => seen[name].push(e), wish));
	await soon(Promise.all(subs.map((s) => s.ready)));
	for (const name in wishes) await g.publish(numbers(100).map((n) => ({ channel: name, event: "n", data: { n } })));
	await until(() => seen.filter.length == 50 && seen.rate.at(-1)?.data.n == 99 && seen.window.length == 100 && seen.summary.reduce((sum, e) => sum + e.counts.n, 0) == 100);
	assert.deepEqual(seen.filter.map((e) => e.data.n), numbers(50, 50));
	assert.deepEqual(seen.window.map((e) => e.data.n), numbers(100));
	assert.equal(subs[0].position, seen.filter.at(-1).position);
	assert.equal(seen.summary[0].type, "summary");
});

test("what the gateway keeps for newcomers comes, and does not count as a duplicate", async (t) => {
	const g = await gateway(t, { ...KEPT, "namespace.on_subscribe": "latest" });
	await g.fill("news", 3);
	const c = client(t, g.url);
	const seen = [];
	c.subscribe("news", (e) => seen.push(e.data));
	await until(() => seen.length);
	await g.fill("news", 2, 3);
	await until(() => seen.length == 3);
	assert.deepEqual(seen, [2, 3, 4]);
	assert.equal(c.metrics.duplicates, 0);
});

test("duplicates are removed by offset, data with line ends is read, and copies that are late find nobody", async (t) => {
	const server = await scripted(t);
	const c = client(t, server.url);
	const seen = [];
	await soon(c.subscribe("a", (e) => seen.push(e.data)).ready);
	const text = (offset, data) => `{"type":"event","channel":"a","event":"e","offset":${offset},"timestamp":"2026-01-15T10:15:00.000Z","data":${data}}`;
	const [connection] = server.connections;
	connection.say(text(1, '{\n"x":[\n{"type":"event"},\n{}\n]\n}'), text(1, "0"), text(2, '"}\\n{"'));
	connection.say(text(2, "0"));
	connection.say(text(3, "\n3\n"));
	await until(() => seen.length == 3);
	assert.deepEqual(seen, [{ x: [{ type: "event" }, {}] }, "}\n{", 3]);
	assert.equal(c.metrics.duplicates, 2);
	assert.deepEqual(c.record.error, []);
});

test("a channel may have the name of anything", async (t) => {
	const g = await gateway(t);
	const way = await tunnel(t, g.port);
	const c = client(t, way.url);
	const names = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"];
	const seen = {};
	const subs = names.map((name) => c.subscribe(name, (e) => (seen[`#${name}`] = e.data)));
	for (const s of subs) assert.match((await soon(s.ready)).position, /@0$/);
	way.cut();
	await until(() => c.record.connected.length == 2);
	await Promise.all(names.map((name) => g.publish(name, "n", name)));
	await until(() => Object.keys(seen).length == names.length);
	assert.deepEqual(c.record.gap, []);
});

test("what a handler throws, at once or later, is an error event and nothing else", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const seen = [];
	c.on("subscribed", () => {
		throw new Error("a listener");
	});
	c.on("error", () => {
		throw new Error("a listener of errors");
	});
	c.subscribe("a", () => {
		throw undefined;
	});
	c.subscribe("a", async () => {
		throw new TypeError("later");
	});
	await soon(c.subscribe("a", (e) => seen.push(e.data)).ready);
	await g.fill("a", 3);
	await until(() => seen.length == 3 && c.record.error.length >= 7);
	assert.ok(c.record.error.every((e) => e.code == "handler"));
	assert.equal(c.state, "connected");
});

test("a reader that is slower than its events loses none, and nobody else waits for it", async (t) => {
	const g = await gateway(t, { ...KEPT, "namespace.history_size": 10000 });
	const c = client(t, g.url);
	const other = [];
	await soon(c.subscribe("other", (e) => other.push(e.data)).ready);
	const reader = c.subscribe("fast", { buffer: 50 });
	await soon(reader.ready);
	await g.fill("fast", 700);
	await until(() => c.metrics.events >= 50);
	await until(async () => (await g.get("/api/channels/fast")).subscribers == 0, "a pause");
	await g.fill("other", 100);
	await until(() => other.length == 100);
	let n = 0;
	for await (const event of reader) {
		assert.equal(event.data, n++);
		if (n == 300) await new Promise((done) => setTimeout(done, 30));
		if (n == 700) break;
	}
	assert.equal(reader.state, "closed");
	assert.deepEqual(c.record.gap, []);
	await until(async () => (await g.get("/api/channels/fast")).subscribers == 0);
});

test("a reader that is too slow for the history is told of a gap, one that shares its channel of an overflow", async (t) => {
	const g = await gateway(t, { ...KEPT, "namespace.history_size": 100 });
	const c = client(t, g.url);
	const read = async (reader, last) => {
		const seen = [];
		for await (const event of reader) {
			seen.push(event.data);
			if (event.data == last) return seen;
		}
	};
	const alone = c.subscribe("alone", { buffer: 10 });
	await soon(alone.ready);
	await g.fill("alone", 1000);
	const reading = read(alone, 1005);
	await until(() => c.record.gap.length);
	await g.fill("alone", 6, 1000);
	const seen = await soon(reading);
	assert.deepEqual(seen.slice(0, 10), numbers(10));
	assert.equal(c.record.gap[0].reason, "trimmed");
	assert.ok(seen.every((n, i) => i == 0 || n > seen[i - 1]));

	const both = [];
	const shared = c.subscribe("shared", { buffer: 10 });
	await soon(c.subscribe("shared", (e) => both.push(e.data)).ready);
	await g.fill("shared", 100);
	await until(() => both.length == 100);
	const rest = read(shared, 100);
	const gap = await until(() => c.record.gap.find((gap) => gap.channel == "shared"));
	assert.deepEqual([gap.reason, gap.missed], ["overflow", 90]);
	await g.publish("shared", "n", 100);
	assert.deepEqual(await soon(rest), [...numbers(10), 100]);
});

test("a reader that shares its events with another pattern is not paused: what has no room is a gap", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const others = [];
	const reader = c.subscribe("x:*", { buffer: 10 });
	await soon(Promise.all([reader.ready, c.subscribe("**", (e) => others.push(e.data)).ready]));
	await g.fill("x:a", 500);
	await until(() => others.length == 500);
	assert.deepEqual(others, numbers(500));
	const seen = [];
	const reading = (async () => {
		for await (const event of reader) if (seen.push(event.data) > 10) return;
	})();
	const gap = await until(() => c.record.gap[0]);
	assert.deepEqual([gap.channel, gap.reason, gap.missed], ["x:*", "overflow", 490]);
	await g.publish("x:a", "n", 500);
	await soon(reading);
	assert.deepEqual(seen, [...numbers(10), 500]);
	assert.equal(others.length, 501);
});

test("a reader that joins late stands where it joined", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const seen = [];
	await soon(c.subscribe("news", (e) => seen.push(e.position)).ready);
	await g.fill("news", 5);
	await until(() => seen.length == 5);
	const reader = c.subscribe("news");
	await soon(reader.ready);
	assert.equal(reader.position, seen[4]);
});

test("readers end when they are unsubscribed, and with the client", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const drain = async (reader) => {
		let count = 0;
		for await (const _ of reader) count++;
		return count;
	};
	const one = c.subscribe("one");
	const two = c.subscribe("two");
	const ends = [drain(one), drain(two)];
	await soon(Promise.all([one.ready, two.ready]));
	await g.fill("two", 2);
	one.unsubscribe();
	assert.equal(await soon(ends[0]), 0);
	await until(() => c.metrics.events == 2);
	c.close();
	assert.equal(await soon(ends[1]), 2);
	assert.equal(two.state, "closed");
	assert.throws(() => c.subscribe("three", () => {})[Symbol.asyncIterator](), { code: "bad_argument" });
	await assert.rejects(c.subscribe("four").ready, { code: "closed" });
});

for (const [what, settings] of [["with history", KEPT], ["without history", OPEN]])
	test(`a pattern has each event once while a channel that it meets is left (${what})`, async (t) => {
		const g = await gateway(t, settings);
		const c = client(t, g.url);
		const seen = [];
		const left = [];
		const exact = c.subscribe("a:1", (e) => left.push(e.data));
		await soon(Promise.all([exact.ready, c.subscribe("a:*", (e) => seen.push(e.data)).ready]));
		// This process stands still meanwhile: the copies of both are on the way when one is left.
		const body = JSON.stringify(numbers(3).map((data) => ({ channel: "a:1", event: "n", data })));
		execFileSync(process.execPath, ["-e", `fetch("${g.url}/api/publish", { method: "POST", body: process.argv[1] }).then((answer) => answer.text())`, body]);
		exact.unsubscribe();
		await g.publish("a:1", "n", 3);
		await until(() => seen.includes(3));
		await g.publish("a:1", "n", 4);
		await until(() => seen.includes(4));
		assert.deepEqual(seen, numbers(5));
		assert.deepEqual(left, []);
	});

for (const [channel, other] of [["p:1", "p:1"], ["p:*", "p:1"], ["p:*", "p:2"]])
	test(`where values of a key overtake each other none comes twice after a cut (${channel}, ${other})`, async (t) => {
		const g = await gateway(t);
		const way = await tunnel(t, g.port);
		const c = client(t, way.url);
		const seen = [];
		await soon(c.subscribe(channel, (e) => seen.push(e.data), { rate: 2, key: "k" }).ready);
		const publish = (k, n) => g.publish(k == "A" ? "p:1" : other, "n", { k, n });
		// Each value has its turn twice a second: that of A is in front of that of B, whose event is older.
		await publish("A", 1);
		await until(() => seen.length == 1);
		await new Promise((done) => setTimeout(done, 150));
		await publish("B", 1);
		await until(() => seen.length == 2);
		await publish("B", 2);
		await publish("A", 2);
		await until(() => seen.length == 4);
		way.cut();
		await until(() => c.record.subscribed.length == 2);
		await publish("A", 3);
		await until(() => seen.some(({ n }) => n == 3));
		assert.deepEqual(seen.map(({ k, n }) => k + n), ["A1", "B1", "A2", "B2", "A3"]);
	});

test("one that is ended and begun again in one moment, from the past, has the past", async (t) => {
	const g = await gateway(t);
	await g.fill("news", 3);
	const c = client(t, g.url);
	const seen = [];
	const first = c.subscribe("news", () => assert.fail("it was left"));
	await soon(first.ready);
	first.unsubscribe();
	const second = c.subscribe("news", (e) => seen.push(e.data), { since: "beginning" });
	await soon(second.ready);
	await g.publish("news", "n", 3);
	await until(() => seen.includes(3));
	assert.deepEqual(seen, numbers(4));
	assert.deepEqual([first.state, second.state], ["closed", "subscribed"]);
});

test("nobody is called who has unsubscribed, or whose client is closed, by a handler in front of him", async (t) => {
	const g = await gateway(t);
	for (const last of ["unsubscribe", "close"]) {
		const c = client(t, g.url);
		const calls = [];
		let second;
		const first = c.subscribe(last, () => {
			calls.push(1);
			if (last == "close") c.close();
			else second.unsubscribe();
		});
		second = c.subscribe(last, () => calls.push(2));
		await soon(first.ready);
		await g.fill(last, 1);
		await until(() => calls.length);
		assert.deepEqual([calls, second.state], [[1], "closed"]);
	}
});

for (const ack of [undefined, true])
	test(`a handler that subscribes itself again is called once for each event (ack: ${ack})`, async (t) => {
		const g = await gateway(t);
		const c = client(t, g.url);
		const calls = [];
		const again = (e) => {
			calls.push(e.data);
			if (calls.length < 20) c.subscribe("news", again, { ack });
		};
		await soon(c.subscribe("news", again, { ack }).ready);
		await g.fill("news", 1);
		await until(() => calls.length);
		await g.fill("news", 1, 1);
		await until(() => calls.includes(1));
		// Of the second there are two, who were there when it came.
		assert.deepEqual(calls, [0, 1, 1]);
	});

test("since: null is as none", async (t) => {
	const g = await gateway(t);
	await g.fill("news", 3);
	const c = client(t, g.url);
	const seen = [];
	await soon(c.subscribe("news", (e) => seen.push(e.data), { since: null }).ready);
	await g.publish("news", "n", 3);
	await until(() => seen.length);
	assert.deepEqual(seen, [3]);
	assert.deepEqual(c.record.error, []);
});

test("a loop is ended from outside, before it began and while it waits, and so is a second one", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const waits = c.subscribe("waits");
	const early = c.subscribe("early");
	const both = c.subscribe("both");
	await soon(Promise.all([waits.ready, early.ready, both.ready]));

	const loop = waits[Symbol.asyncIterator]();
	const next = loop.next();
	assert.deepEqual([(await soon(loop.return())).done, (await soon(next)).done, (await soon(loop.next())).done], [true, true, true]);
	assert.equal(waits.state, "closed");

	assert.equal((await soon(early[Symbol.asyncIterator]().return())).done, true);
	assert.equal(early.state, "closed");

	const ends = [1, 2].map(async () => {
		for await (const event of both) assert.fail(event);
	});
	await until(async () => (await g.get("/api/channels/early")).subscribers == 0);
	both.unsubscribe();
	await soon(Promise.all(ends));
	await until(async () => (await g.get("/api/channels/both")).subscribers == 0);
	assert.deepEqual(c.record.error, []);
});

test("one that is left before it is acknowledged is never ready", async (t) => {
	const g = await gateway(t);
	const c = client(t, g.url);
	const asleep = c.subscribe("a", () => {});
	asleep.unsubscribe();
	await assert.rejects(soon(asleep.ready), { code: "closed" });
	await until(() => c.state == "connected");
	const asked = c.subscribe("a", () => {});
	await Promise.resolve();
	asked.unsubscribe();
	await assert.rejects(soon(asked.ready), { code: "closed" });
	assert.deepEqual(c.record.error, []);
});

test("what a gateway did not hear for the rate of messages is asked for again", async (t) => {
	const server = await scripted(t, (connection, count) => {
		if (count > 1) return;
		connection.onmessage = (message) => {
			if (!message.channels?.includes("b")) return connection.polite(message);
			connection.say({ type: "error", code: "rate_limited", temporary: true, message: "too many messages" });
		};
	});
	const c = client(t, server.url);
	const first = c.subscribe("a", () => {});
	await soon(first.ready);
	const second = c.subscribe("b", () => {});
	const told = await until(() => c.record.reconnecting[0]);
	// Not at once, or it would be too many again.
	assert.ok(told.delay >= 3000, `${told.delay}`);
	await soon(second.ready);
	assert.deepEqual([first.state, second.state], ["subscribed", "subscribed"]);
	assert.deepEqual(c.record.error.map((e) => [e.code, e.temporary]), [["rate_limited", true]]);
});

for (const shards of [1, 2])
	test(`over random cuts each of overlapping subscriptions has each event once and in order (${shards} shards)`, async (t) => {
		const g = await gateway(t, { ...KEPT, "namespace.history_size": 100000, "namespace.history_bytes": "16MiB" }, { shards });
		const way = await tunnel(t, g.port);
		const c = client(t, way.url, { minDelay: 5, maxDelay: 40 });
		const channels = ["x:a", "x:b", "x:r", "y:z"];
		const total = 1500;
		// One for each subscription, and in it one for each channel.
		const seen = [];
		const keep = () => {
			const lists = {};
			seen.push(lists);
			return (event) => (lists[event.channel] ??= []).push(event.data);
		};
		const patterns = ["x:a", "x:*", "**", "*:a"].map((name) => c.subscribe(name, keep()));
		const readers = [c.subscribe("x:r", { buffer: 60 }), c.subscribe("*:*", { buffer: 1e6 })];
		await soon(Promise.all([...patterns, ...readers].map((s) => s.ready)));
		const reading = readers.map(async (reader) => {
			const put = keep();
			for await (const event of reader) {
				put(event);
				if (event.data % 97 == 0) await new Promise((done) => setTimeout(done, 2));
			}
		});
		let random = 4711 + shards;
		const chance = () => (random = (random * 48271) % 2147483647) / 2147483647;
		for (let sent = 0; sent < total; sent += 50) {
			await g.publish(channels.flatMap((channel) => numbers(50, sent).map((data) => ({ channel, event: "n", data }))).slice(0, 1000));
			if (chance() < 0.35) way.cut();
			if (chance() < 0.2) await new Promise((done) => setTimeout(done, chance() * 40));
		}
		const count = () => seen.flatMap((lists) => Object.values(lists)).reduce((sum, list) => sum + list.length, 0);
		await until(() => count() >= total * 14, "all of it", 60);
		const expected = numbers(total);
		for (const lists of seen) for (const channel in lists) assert.deepEqual(lists[channel], expected, channel);
		assert.deepEqual(c.record.gap, []);
		assert.deepEqual(c.record.error, []);
		for (const reader of readers) reader.unsubscribe();
		await soon(Promise.all(reading));
	});
