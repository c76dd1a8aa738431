// SPDX-License-Identifier: Apache-2.0
// Pages in Chromium, driven by lines of JSON on standard input: {"page":"a","do":"open","with":[…]}. Each is answered by a line, {"value":…} or
// {"error":"…"}. MODULES has the folder of npm packages, CHROMIUM the browser, TIMEOUT the milliseconds that one step may take. rcpages.py is the other end.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(`${process.env.MODULES}/`)("playwright-core");
const timeout = Number(process.env.TIMEOUT);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const pages = new Map();
const said = [];
const logged = [];

async function page(name) {
	if (!pages.has(name)) {
		// A context of its own: another user's browser.
		const made = await (await browser.newContext()).newPage();
		made.setDefaultTimeout(timeout);
		made.on("console", (m) => (m.type() == "error" ? said : logged).push(`${name}: ${m.text()}`));
		made.on("pageerror", (e) => said.push(`${name}: ${e.stack}`));
		pages.set(name, made);
	}
	return pages.get(name);
}

const steps = {
	open: async (p, url) => (await p.goto(url), null),
	fill: async (p, selector, text) => (await p.fill(selector, text), null),
	click: async (p, selector) => (await p.click(selector), null),
	text: (p, selector) => p.innerText(selector),
	/** Until the element's text has that in it. */
	until: async (p, selector, text) => (await p.waitForFunction(([s, t]) => document.querySelector(s)?.innerText.includes(t), [selector, text]), null),
	/** What it told the console of errors, and what nobody caught. */
	said: async () => said.splice(0),
	/** All that it logged so far. */
	logged: async () => logged,
	close: async (p) => (await p.context().close(), null),
};

console.log(JSON.stringify({ value: "ready" }));
for await (const line of createInterface({ input: process.stdin })) {
	const { page: name, do: step, with: given } = JSON.parse(line);
	try {
		console.log(JSON.stringify({ value: await steps[step](await page(name), ...given) }));
	} catch (e) {
		console.log(JSON.stringify({ error: `${step} ${JSON.stringify(given)}: ${e.message}` }));
	}
	if (step == "close") pages.delete(name);
}
await browser.close();
