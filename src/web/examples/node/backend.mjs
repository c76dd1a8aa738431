// SPDX-License-Identifier: Apache-2.0
// Answers what clients say, by webhook: a backend that is connected to the gateway speaks its binary protocol, for which there is a library in C only.
// Takes what is signed with the secret and a few minutes old at most, and carries out each request once however often it comes.
//
//   node backend.mjs [PORT [SECRET_FILE]]

import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const [port = "9001", secretFile = "hook.secret"] = process.argv.slice(2);
const secret = readFileSync(secretFile, "utf8").replace(/[\r\n]+$/, "");
const votes = new Map();
/** Answers by the id of their request. Forgotten when the signature of a request that is played again would be too old anyway. */
const answered = new Map();

function isSigned(header = "", body) {
	const [, t, mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header) ?? [];
	if (!t || Math.abs(Date.now() / 1000 - t) > 300) return false;
	return timingSafeEqual(createHmac("sha256", secret).update(`${t}.`).update(body).digest(), Buffer.from(mac, "hex"));
}

function answer(m) {
	if (m.type != "poll:vote") {
		console.log(m.type, m.user ?? "somebody");
		return [204];
	}
	const choice = m.payload?.choice;
	if (typeof choice != "string" || choice.length > 100) return [422, { code: "bad_choice", message: "choice is a text of 100 letters at most" }];
	votes.set(choice, (votes.get(choice) ?? 0) + 1);
	return [200, Object.fromEntries(votes)];
}

const server = createServer(async (request, response) => {
	const say = (status, value) => response.writeHead(status, { "Content-Type": "application/json" }).end(value && JSON.stringify(value));
	try {
		const parts = [];
		for await (const part of request) parts.push(part);
		const body = Buffer.concat(parts);
		if (!isSigned(request.headers["ringcast-signature"], body)) return say(401, {});
		const m = JSON.parse(body);
		if (!answered.has(m.id)) {
			answered.set(m.id, answer(m));
			setTimeout(() => answered.delete(m.id), 600e3).unref();
		}
		say(...answered.get(m.id));
	} catch (e) {
		say(400, { message: e.message });
	}
});
server.listen(Number(port), "127.0.0.1", () => console.log("listening on", server.address().port));
