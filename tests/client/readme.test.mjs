// SPDX-License-Identifier: Apache-2.0
// The examples of the client's README, run one after the other as they stand there.
import assert from "node:assert/strict";
import { readFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { spawn } from "node:child_process";
import { KEPT, gateway, root, soon, until } from "./rig.mjs";

test("every example of the README does what it says", async (t) => {
	const g = await gateway(t, KEPT);
	await g.publish("price:1", "n", 10);
	await g.publish([{ channel: "orders", event: "first", data: 1 }, { channel: "orders", event: "last", data: 2 }]);
	const text = readFileSync(join(root, "src/web/client/README.md"), "utf8");
	const examples = [...text.matchAll(/```js\n([^]*?)```/g)].map((match) => match[1]);
	assert.ok(examples.length > 6);
	const module = new URL("src/web/client/node.js", `file://${root}`).href;
	const program = examples.join("\n").replaceAll("http://127.0.0.1:8080", g.url).replace('from "ringcast"', `from ${JSON.stringify(module)}`);
	const folder = mkdtempSync(join(tmpdir(), "ringcast-"));
	t.after(() => rmSync(folder, { recursive: true, force: true }));
	writeFileSync(join(folder, "examples.mjs"), `const freshToken = async () => "a token";\n${program}`);
	const child = spawn(process.execPath, [join(folder, "examples.mjs")], { stdio: ["ignore", "pipe", "pipe"] });
	t.after(() => child.exitCode === null && child.kill());
	let out = "";
	let bad = "";
	child.stdout.on("data", (data) => (out += data));
	child.stderr.on("data", (data) => (bad += data));
	assert.equal(await soon(new Promise((done) => child.on("exit", done))), 0, bad);
	assert.equal(bad, "");
	for (const line of [/^price:1 10$/m, /^\w+@1 1$/m, /^\w+@2 2$/m, /^\{ n: 1 \}$/m, /^\w+@1 [\d.]+ (good|fair)$/m]) assert.match(out, line);
	await until(async () => (await g.get("/api/status")).connectedClients == 0, "nobody stays");
});
