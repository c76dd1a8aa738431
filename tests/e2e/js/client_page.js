// SPDX-License-Identifier: Apache-2.0
// A page that connects as its address says, and keeps what it hears: `told` what the client says of itself, `seen` the events of what follow() subscribed to. Over a reload both stay, and so does where it was.
const asked = new URLSearchParams(location.search);
const { connect } = globalThis.ringcast ?? await import(asked.get("client"));
const { tokens, ...options } = JSON.parse(asked.get("options"));
const kept = JSON.parse(sessionStorage.getItem("kept") ?? "{}");

Object.assign(globalThis, { told: kept.told ?? [], seen: kept.seen ?? [], position: kept.position, asked: 0, subscriptions: [] });
if (tokens) options.token = () => tokens[Math.min(globalThis.asked++, tokens.length - 1)];
globalThis.client = connect(asked.get("url"), options);
for (const name of ["connected", "disconnected", "reconnecting", "reconnect_failed", "subscribed", "gap", "error", "fallback", "direct", "broadcast"]) {
	globalThis.client.on(name, (what) => globalThis.told.push([name, what instanceof Error ? { code: what.code, message: what.message, channel: what.channel } : what]));
}
globalThis.follow = (channel, wish = {}) => {
	const since = globalThis.position ?? wish.since;
	const subscription = globalThis.client.subscribe(channel, (event) => void globalThis.seen.push(event), { ...wish, ...(since !== undefined && { since }) });
	globalThis.subscriptions.push(subscription);
	return subscription.ready;
};
addEventListener("pagehide", () => {
	const position = globalThis.subscriptions[0]?.position;
	sessionStorage.setItem("kept", JSON.stringify({ told: globalThis.told, seen: globalThis.seen, position }));
});
globalThis.ready = true;
