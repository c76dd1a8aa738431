// SPDX-License-Identifier: Apache-2.0
// A network that swallows packets without a word. The gateway and the client are in two network namespaces of their own; packets are lost by a wrong hardware address of the neighbour, for each direction by itself.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { slow } from "./gateway.mjs";

const names = ["both ways", "from the gateway", "to the gateway", "shorter than a heartbeat", "a publish on its way", "an event stream"];

/** Why it can't be done here, or undefined. */
function missing() {
	for (const tool of ["unshare", "ip"]) if (spawnSync(tool, ["--version"]).error && spawnSync(tool, ["-V"]).error) return `${tool} is not installed`;
	const tried = spawnSync("unshare", ["-rn", "sh", "-c", "ip link set lo up && ip link add name one type veth peer name two && unshare -n true"], { encoding: "utf8" });
	return tried.status === 0 ? undefined : `no network namespaces: ${tried.stderr.trim().split("\n")[0]}`;
}

const why = missing();
for (const name of names) {
	test(`packets are lost: ${name}`, { skip: why, timeout: 180000 * slow }, async () => {
		const inside = spawn("unshare", ["-rn", process.execPath, fileURLToPath(new URL("network.mjs", import.meta.url)), name], { stdio: ["ignore", "pipe", "pipe"] });
		let said = "";
		for (const out of [inside.stdout, inside.stderr]) out.setEncoding("utf8").on("data", (text) => (said += text));
		const [status] = await once(inside, "close");
		assert.equal(status, 0, said);
		process.stdout.write(said);
	});
}
