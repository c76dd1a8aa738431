// SPDX-License-Identifier: Apache-2.0
// A page whose components show what the hooks say. The test asks for it by show({…}); `calls` has each call of onEvent, `renders` how often each component rendered.
import { Component, StrictMode, createElement, createRoot, hydrateRoot, renderToString, useEffect, version } from "react";

const asked = new URLSearchParams(location.search);
const { RingcastProvider, useChannel, useRingcast } = await import(asked.get("react"));
const { connect } = await import(asked.get("client"));
Object.assign(globalThis, { version, calls: [], renders: {}, snapshots: [], clients: new Set(), effects: 0 });

function Line({ channel, wish = {}, name = channel }) {
	const shown = useChannel(channel, {
		...wish,
		onEvent: (event) => {
			globalThis.calls.push([name, event.data.n]);
			return wish.answer;
		},
	});
	globalThis.renders[name] = (globalThis.renders[name] ?? 0) + 1;
	globalThis.snapshots.push(shown);
	return createElement("p", { id: name, "data-state": shown.state, "data-gap": shown.gap?.reason, "data-error": shown.error?.code, "data-last": shown.last?.data.n }, shown.events.map((e) => e.data.n).join(" "));
}

function State() {
	const shown = useRingcast();
	globalThis.clients.add(shown.client);
	globalThis.client = shown.client;
	globalThis.renders.state = (globalThis.renders.state ?? 0) + 1;
	// What an application does with a client in an effect works in the first one already.
	useEffect(() => {
		globalThis.effects++;
		return shown.client.on("direct", () => {});
	}, [shown.client]);
	return createElement("p", { id: "state", "data-transport": shown.transport, "data-reconnects": shown.metrics.reconnects }, shown.state);
}

class Boundary extends Component {
	state = {};
	static getDerivedStateFromError(error) {
		return { error };
	}
	render() {
		return this.state.error ? createElement("p", { id: "broken" }, this.state.error.message) : this.props.children;
	}
}

// Options are written anew with each render, as applications do it.
const tree = ({ strict, provider = true, options = {}, own, url = asked.get("url"), lines = [], outside } = {}) => {
	const inside = [createElement(State, { key: "state" }), ...lines.map(([channel, wish, name]) => createElement(Line, { key: name ?? channel, channel, wish, name }))];
	const { token, ...rest } = options;
	const given = own ? { client: (globalThis.mine ??= connect(url, rest)) } : { url, options: { ...rest, ...(token && { token: () => token }) } };
	const whole = createElement(Boundary, null, provider ? createElement(RingcastProvider, given, inside) : outside ? createElement(Line, { channel: "keep:a" }) : null);
	return strict ? createElement(StrictMode, null, whole) : whole;
};

let root;
globalThis.show = (what) => {
	root ??= createRoot(document.getElementById("root"));
	root.render(tree(what));
};
globalThis.hydrate = (what) => {
	const html = renderToString(tree(what));
	document.getElementById("root").innerHTML = html;
	root = hydrateRoot(document.getElementById("root"), tree(what), { onRecoverableError: (e) => console.error(`hydrate: ${e.message}`) });
	return html;
};
globalThis.text = (id) => document.getElementById(id)?.textContent;
globalThis.ready = true;
