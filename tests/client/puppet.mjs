// SPDX-License-Identifier: Apache-2.0
// A client in a process of its own, so that the process can be stopped, have another clock, or live in another network. It does what it is told over IPC and tells all that it hears; puppets.mjs has the other end.
import { execFileSync } from "node:child_process";

const RealDate = Date;
let shift = Number(process.env.PUPPET_CLOCK ?? 0);
globalThis.Date = class extends RealDate {
	constructor(...given) {
		if (given.length) super(...given);
		else super(RealDate.now() + shift);
	}
	static now() {
		return RealDate.now() + shift;
	}
};

const tell = (what) => process.connected && process.send(what);
for (const name of ["unhandledRejection", "uncaughtException"]) process.on(name, (e) => tell({ uncaught: `${name}: ${e?.stack ?? e}` }));
const { connect } = await import("./gateway.mjs");
const plain = (e) => (e instanceof Error ? { message: e.message, code: e.code, channel: e.channel, temporary: e.temporary, cause: e.cause && String(e.cause) } : e);
const tokens = [];
let client, asked = 0;

const does = {
	open({ url, options = {}, ask }) {
		client = connect(url, ask ? { ...options, token: () => (asked++, tokens.length > 1 ? tokens.shift() : tokens[0]) } : options);
		for (const name of ["connected", "disconnected", "reconnecting", "reconnect_failed", "subscribed", "gap", "error", "fallback", "direct", "broadcast"]) {
			client.on(name, (what) => tell({ told: [name, plain(what)] }));
		}
	},
	async subscribe({ channel, options }) {
		const { ready } = client.subscribe(channel, (event) => tell({ event }), options);
		return ready;
	},
	publish: ({ channel, event, data, options }) => client.publish(channel, event, data, options),
	metrics: () => ({ ...client.metrics, asked }),
	tokens: ({ list }) => void tokens.splice(0, tokens.length, ...list),
	clock: ({ by }) => void (shift += by),
	run: ({ command }) => execFileSync(command[0], command.slice(1), { encoding: "utf8" }),
	close: () => client.close(),
};

process.on("message", async ({ id, name, args }) => {
	try {
		tell({ id, value: await does[name](args) });
	} catch (e) {
		tell({ id, error: plain(e) });
	}
});
process.on("disconnect", () => process.exit(0));
tell({ here: true });
