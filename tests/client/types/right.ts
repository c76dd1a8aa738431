// SPDX-License-Identifier: Apache-2.0
// Each part of the API as it is meant to be used, and behind @ts-expect-error what the compiler has to refuse. Compiled, never run: test_client_types.py.
import { Client, RingcastError, connect, version } from "ringcast";
import type {
	Connected, Disconnected, Event, Events, Gap, Handler, History, HistoryOptions, Metrics, Options, Presence, Quality, Since, State, SubscribeOptions, Subscribed, Subscription, Transport,
} from "ringcast";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}

interface Order {
	id: number;
	total: number;
}

// ---- connect

const client: Client = connect();
connect("wss://example.com/rt");
connect(new URL("https://example.com"), {});
const options: Options = {
	token: "t", clientId: "desk", query: { room: "1" }, maxDelay: 1, minDelay: 1, maxTries: Infinity, timeout: 1, queue: 0, transports: ["sse", "ws"], WebSocket: class {}, fetch,
};
connect("ws://x", options);
connect("ws://x", { token: () => "t" });
connect("ws://x", { token: async () => undefined });
const v: string = version;
// What may not be there is as if it were not said.
connect(undefined, {
	token: undefined, clientId: undefined, query: undefined, maxDelay: undefined, minDelay: undefined, maxTries: undefined, timeout: undefined, queue: undefined, transports: undefined, WebSocket: undefined, fetch: undefined,
	tls: undefined,
});
// @ts-expect-error a port is no address
connect(8080);
// @ts-expect-error there is no such way
connect("ws://x", { transports: ["polling"] });
// @ts-expect-error no such option
connect("ws://x", { reconnect: true });
// @ts-expect-error a token is text
connect("ws://x", { token: () => 7 });
// @ts-expect-error so is each value of the query
connect("ws://x", { query: { room: 1 } });
// @ts-expect-error and a number is no text
connect("ws://x", { maxDelay: "1s" });

// ---- subscribe

const subscription: Subscription<Order> = client.subscribe<Order>("orders", (event) => {
	same<typeof event, Event<Order>>(true);
	const total: number = event.data.total;
	const offset: number | undefined = event.offset;
	// @ts-expect-error not every event has an offset
	const sure: number = event.offset;
	// @ts-expect-error an order has no such member
	event.data.cups;
	return [total, offset, sure];
});
client.subscribe("orders:*", async () => {}, {
	since: "beginning", filter: "data.total > 1", rate: 2, key: "id", window: 1000, summary: true, ack: { timeout: 1, retries: 2, window: 3 }, buffer: 10,
});
const since: Since[] = ["f4icw7gf55@41", "2026-01-15T10:15:00.000Z", 1768472100000];
client.subscribe("orders", { since: since[0], ack: true });
const wish: SubscribeOptions = { ack: false };
client.subscribe("orders", wish);
const handler: Handler<Order> = ({ data }) => data.id;
client.subscribe("orders", handler);
client.subscribe("orders", handler, {
	since: subscription.position, filter: undefined, rate: undefined, key: undefined, window: undefined, summary: undefined, ack: undefined, buffer: undefined,
});
client.subscribe("orders", { ack: { timeout: undefined, retries: undefined, window: undefined } });
// @ts-expect-error a channel is text
client.subscribe(7, () => {});
// @ts-expect-error its handler is a function
client.subscribe("orders", "handler");
// @ts-expect-error a date is not where events are
client.subscribe("orders", { since: new Date() });
// @ts-expect-error times are numbers
client.subscribe("orders", { ack: { timeout: "5s" } });
// @ts-expect-error no such option
client.subscribe("orders", { filters: "data.total > 1" });
// @ts-expect-error this handler is for other data
client.subscribe<string>("orders", handler);

const channel: string = subscription.channel;
const position: string | undefined = subscription.position;
const state: "waiting" | "subscribed" | "closed" = subscription.state;
subscription.ready.then((ack: Subscribed) => [ack.channel, ack.position, ack.recovered, ack.reason]);
subscription.unsubscribe();
// @ts-expect-error it is the client that moves it
subscription.position = "f4icw7gf55@41";
// @ts-expect-error and the client that says how it is
subscription.state = "closed";

async function read(): Promise<void> {
	for await (const event of client.subscribe<Order>("orders")) {
		same<typeof event, Event<Order>>(true);
		if (event.type === "summary") return;
		// @ts-expect-error no such type
		if (event.type === "message") return;
	}
}

// ---- events

const off: () => void = client.on("connected", (info: Connected) => [info.session, info.user, info.transport, info.again]);
off();
client.on("disconnected", ({ code, reason, again }: Disconnected) => [code.toFixed(), reason.length, again === true]);
client.on("reconnecting", ({ attempt, delay }) => attempt + delay);
client.on("reconnect_failed", (error) => error instanceof RingcastError && error.code);
client.on("subscribed", (info) => info.position);
client.on("gap", (gap: Gap) => [gap.channel, gap.reason, gap.missed, gap.position]);
client.on("error", ({ code, temporary, field, channel, cause }) => [code, temporary, field, channel, cause]);
client.on("fallback", ({ transport, reason }) => [transport, reason]);
client.on("direct", (event) => event.data);
// @ts-expect-error it is in no channel
client.on("direct", (event) => event.channel);
client.on("broadcast", (event) => event.data);
const listener: Events["gap"] = () => {};
client.off("gap", listener);
// @ts-expect-error no such event
client.on("message", () => {});
// @ts-expect-error a gap has no offset
client.on("gap", ({ offset }) => offset);
// @ts-expect-error a listener for something else
client.off("connected", (n: number) => n);

// ---- requests

async function ask(): Promise<void> {
	const { position } = await client.publish("chat:1", "said", { text: "hi" }, { id: "1", echo: false });
	same<typeof position, string>(true);
	await client.publish("chat:1", "said", 1, { id: undefined, echo: undefined });
	await client.command(1, { timeout: undefined, idempotent: undefined });
	await client.send("chat:send", 1, { timeout: undefined, idempotent: undefined });
	await client.history("orders", { since: undefined, before: undefined, limit: undefined });
	const order = await client.command<Order>({ do: "buy" }, { timeout: 1000, idempotent: true });
	same<typeof order, Order>(true);
	same<Awaited<ReturnType<typeof client.send<number>>>, number>(true);
	await client.send("chat:send", { text: "hi" });
	const who: Presence = await client.presence("room:1");
	for (const { user, connections, info } of who.users) [user, connections, info];
	[who.channel, who.count, who.clients, who.anonymous, who.complete];
	const asked: HistoryOptions = { since: 0, before: "f4icw7gf55@41", limit: 10 };
	const past: History<Order> = await client.history<Order>("orders", asked);
	past.events.map((event) => event.data.total);
	[past.channel, past.position, past.first, past.complete, past.more];
	// @ts-expect-error the name of the event is missing
	await client.publish("chat:1", { text: "hi" });
	// @ts-expect-error an id is text
	await client.publish("chat:1", "said", {}, { id: 7 });
	// @ts-expect-error a limit is a number
	await client.history("orders", { limit: "10" });
	// @ts-expect-error an answer is awaited
	client.presence("room:1").users;
}

// ---- the client itself

const how: State = client.state;
const by: Transport | undefined = client.transport;
const session: string | undefined = client.session;
const user: string | undefined = client.user;
const metrics: Metrics = client.metrics;
const quality: Quality = metrics.quality;
const figures: number[] = [metrics.reconnects, metrics.gaps, metrics.duplicates, metrics.events, metrics.queued, metrics.connectedFor, metrics.rtt ?? 0];
client.reconnect();
client.close();
// @ts-expect-error it can't be set
client.state = "closed";
// @ts-expect-error there is no such state
if (client.state === "open") client.close();
// @ts-expect-error it may be away
client.session.length;

const error = new RingcastError("text");
same<typeof error.code, string>(true);
const caught: Error = error;

export { ask, by, caught, channel, figures, how, off, position, quality, read, session, state, user, v };
