// SPDX-License-Identifier: Apache-2.0
import type { ReactNode, ReactElement } from "react";
import type { Client, Event, Gap, Handler, Metrics, Options, State, SubscribeOptions, Transport } from "./ringcast.js";

/** Either a client of yours, which stays open, or where to connect: that one is closed when the provider goes. */
export function RingcastProvider(
	props: { children?: ReactNode } & ({ client: Client } | { url?: string | undefined; options?: Options | undefined })): ReactElement;

/** The provider's client, and how its connection does; renders again when that changes. */
export function useRingcast(): {
	client: Client;
	state: State;
	transport: Transport | undefined;
	/** Looked at each time the state changes, and every five seconds. */
	metrics: Metrics;
};

export interface ChannelOptions<T = any> extends Omit<SubscribeOptions, "buffer"> {
	/** Events kept in `events`, the newest last. 100. */
	keep?: number | undefined;
	/** Called for each event besides. */
	onEvent?: Handler<T> | undefined;
	/** Not subscribed while true. */
	skip?: boolean | undefined;
}

/** Subscribed while the component is there. */
export function useChannel<T = any>(channel: string, options?: ChannelOptions<T>): {
	events: readonly Event<T>[];
	last: Event<T> | undefined;
	state: "waiting" | "subscribed" | "closed";
	/** The last one since the component was there: what is shown may lack something. */
	gap: Gap | undefined;
	error: Error | undefined;
};
