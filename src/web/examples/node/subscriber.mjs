// SPDX-License-Identifier: Apache-2.0
// Reads a channel one event after the other, at its own pace, and keeps where it is in a file: a restart goes on there.
//
//   node subscriber.mjs [GATEWAY [CHANNEL [FILE]]]        RINGCAST_TOKEN, where the gateway asks for one; ends on SIGINT

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { connect } from "../../client/node.js";

const [gateway = "http://127.0.0.1:8080", channel = "ticks", file = `${channel.replaceAll("/", "_")}.position`] = process.argv.slice(2);

function kept() {
	try {
		return readFileSync(file, "utf8").trim();
	} catch {
		return "beginning";
	}
}

const rc = connect(gateway, { token: process.env.RINGCAST_TOKEN });
rc.on("gap", (g) => console.error(`get the state of ${g.channel} anew: ${g.reason}`));
rc.on("error", (e) => console.error(e.message));
process.once("SIGINT", () => rc.close());
process.once("SIGTERM", () => rc.close());

const events = rc.subscribe(channel, { since: kept() });
events.ready.catch((e) => e.code == "closed" || console.error(e.message));
for await (const e of events) {
	console.log(e.event, e.offset, JSON.stringify(e.data));
	// In one piece: who is killed in the middle of it has the old one. An event that was read and not noted yet comes again.
	if (e.position) {
		writeFileSync(`${file}.new`, e.position);
		renameSync(`${file}.new`, file);
	}
}
