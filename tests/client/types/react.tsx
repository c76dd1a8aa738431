// SPDX-License-Identifier: Apache-2.0
// The same for the entry for React.
import { connect } from "ringcast";
import type { Client, Event, Gap, Metrics } from "ringcast";
import { RingcastProvider, useChannel, useRingcast } from "ringcast/react";
import type { ChannelOptions } from "ringcast/react";

interface Line {
	text: string;
}

export function Chat({ room }: { room: string }) {
	const { events, last, state, gap, error } = useChannel<Line>(`chat:${room}`, {
		keep: 50, since: "beginning", filter: "has data.text", skip: room === "", onEvent: (event) => event.data.text,
	});
	const read: readonly Event<Line>[] = events;
	const newest: Event<Line> | undefined = last;
	const told: [Gap | undefined, Error | undefined] = [gap, error];
	// @ts-expect-error what is shown is not changed
	events.push(last);
	// @ts-expect-error there may be none
	last.data;
	// @ts-expect-error no such member
	events[0]?.data.words;
	return <ul data-state={state} title={`${read.length} ${newest?.data.text} ${told.length}`}>{events.map((e) => <li key={e.offset}>{e.data.text}</li>)}</ul>;
}

export function State() {
	const { client, state, transport, metrics } = useRingcast();
	const c: Client = client;
	const m: Metrics = metrics;
	return <button onClick={() => c.reconnect()}>{state} {transport ?? "none"} {m.quality}</button>;
}

const options: ChannelOptions = { keep: 1, ack: true };
const unsaid: ChannelOptions = { keep: undefined, onEvent: undefined, skip: undefined, since: undefined };
// @ts-expect-error hooks read by handlers, not by `for await`
const wrong: ChannelOptions = { buffer: 10 };

export function Application() {
	// @ts-expect-error a channel is text
	useChannel(7);
	useChannel("news", options);
	useChannel("news", unsaid);
	return (
		<>
			<RingcastProvider url="wss://example.com" options={{ token: () => "t" }}><Chat room="1" /></RingcastProvider>
			<RingcastProvider client={connect()}><State /></RingcastProvider>
			<RingcastProvider><State /></RingcastProvider>
			<RingcastProvider url={undefined} options={undefined}><State /></RingcastProvider>
			{/* @ts-expect-error this is no client */}
			<RingcastProvider client="wss://example.com" />
			{/* @ts-expect-error no such option */}
			<RingcastProvider url="wss://example.com" options={{ tokens: "t" }} />
		</>
	);
}

export { wrong };
