// SPDX-License-Identifier: Apache-2.0
// Publishes from a server of yours, over HTTP. Each request has a key of its own, so it may be sent again when nobody knows what became of it:
//
//   node publisher.mjs [GATEWAY [CHANNEL [COUNT]]]        RINGCAST_ADMIN_TOKEN, or the token of a service, where the gateway asks for one

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

const [gateway = "http://127.0.0.1:8080", channel = "ticks", count = "10"] = process.argv.slice(2);
const token = process.env.RINGCAST_ADMIN_TOKEN;

async function publish(event, data) {
	const headers = { "Content-Type": "application/json", "Idempotency-Key": randomUUID() };
	if (token) headers.Authorization = `Bearer ${token}`;
	for (let delay = 100; ; delay = Math.min(2 * delay, 5000)) {
		const answer = await fetch(`${gateway}/api/publish`, { method: "POST", headers, body: JSON.stringify({ channel, event, data }), signal: AbortSignal.timeout(5000) }).catch(() => undefined);
		if (answer?.ok) return (await answer.json()).position;
		// 409: the first try is still under way. What is wrong with the request itself does not get better.
		if (answer && answer.status < 500 && answer.status != 409 && answer.status != 429) throw new Error((await answer.json()).error.message);
		await pause(delay * Math.random());
	}
}

for (let n = 1; n <= Number(count); n++) console.log(await publish("tick", { n }));
