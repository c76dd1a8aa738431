// SPDX-License-Identifier: Apache-2.0
// For bench/client: reads a channel until its standard input ends. From the first event on it measures its own CPU time.
import { NodeWebSocket, connect } from "../../src/web/client/node.js";

const [how, url, channel] = process.argv.slice(2);
let events = 0;
let missed = 0;
let newest;
let began;
let cpu;
let ended;
let spent;

function count({ offset }) {
	if (!events++) {
		began = performance.now();
		cpu = process.cpuUsage();
	}
	if (newest !== undefined) missed += offset - newest - 1;
	newest = offset;
	if (!(events & 1023)) mark();
}

/** Up to the last events: what comes behind them is not a part of it. */
function mark() {
	ended = performance.now();
	spent = process.cpuUsage(cpu);
}

if (how == "client") {
	const client = connect(url);
	client.on("gap", (gap) => (missed += gap.missed ?? 0));
	await client.subscribe(channel, count).ready;
} else {
	const socket = new NodeWebSocket(url.replace("http", "ws") + "/ws?batch=1&channel=" + channel, "ringcast.v1.json");
	await new Promise((ready) => {
		socket.onmessage = ({ data }) => {
			for (const line of data.split("\n")) {
				const message = JSON.parse(line);
				if (message.type == "event") count(message);
				else if (message.type == "events") message.events.forEach(count);
				else if (message.type == "subscription-ack") ready();
			}
		};
	});
}
console.log("ready");
process.stdin.on("end", () => {
	if (events) mark();
	console.log(JSON.stringify({ events, missed, seconds: events ? (ended - began) / 1000 : 1, cpu: events ? (spent.user + spent.system) / 1e6 : 0 }));
	process.exit();
});
process.stdin.resume();
