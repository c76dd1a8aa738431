// SPDX-License-Identifier: Apache-2.0
// Chromium by playwright-core, one page at a time, told by a line of JSON what to do: {"do": name, …}. Answers each with a line,
// {"value": …} or {"error": …}. Ends when its input does.
'use strict';
const fs = require('fs');
const readline = require('readline');
const { chromium } = require('playwright-core');

const [executablePath, axePath, ...more] = process.argv.slice(2);
let browser, context, page, said;

const watch = () => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
    // What the live region says, in order.
    window.announced = [];
    document.addEventListener('DOMContentLoaded', () => {
        const region = document.getElementById('announce');
        if (region) new MutationObserver(() => window.announced.push(region.textContent)).observe(region, { childList: true, characterData: true, subtree: true });
    });
};

const find = ({ role, name, label, css, exact = true, nth = 0 }) =>
    (role ? page.getByRole(role, { name, exact }) : label ? page.getByLabel(label, { exact }) : page.locator(css)).nth(nth);

const commands = {
    async open({ url, width = 1280, height = 900, scheme = 'light', mobile = false, axe = false, timeout }) {
        if (context) await context.close();
        context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, locale: 'en-US', isMobile: mobile, hasTouch: mobile, deviceScaleFactor: mobile ? 2 : 1 });
        context.setDefaultTimeout(timeout);
        page = await context.newPage();
        said = { console: [], errors: [], bad: [] };
        page.on('console', (m) => ['error', 'warning'].includes(m.type()) && said.console.push({ text: m.text(), url: m.location().url }));
        page.on('pageerror', (e) => said.errors.push(e.stack || e.message));
        page.on('request', (r) => new URL(r.url()).origin !== new URL(url).origin && !r.url().startsWith('data:') && said.bad.push(r.url()));
        await page.addInitScript(watch);
        if (axe) await page.addInitScript(fs.readFileSync(axePath, 'utf8'));
        const answer = await page.goto(url, { waitUntil: 'load' });
        return { status: answer.status(), headers: answer.headers(), size: (await answer.body()).length };
    },
    // An expression in the page; functions are called with what is given.
    run: ({ js, given }) => page.evaluate(`(${js})(${JSON.stringify(given ?? null)})`),
    click: (what) => find(what).click(),
    hover: ({ x, y, ...what }) => find(what).hover({ position: { x, y } }),
    fill: ({ text, ...what }) => find(what).fill(text),
    choose: ({ value, ...what }) => find(what).selectOption(value).then(() => null),
    focus: (what) => find(what).focus(),
    text: (what) => find(what).innerText(),
    count: ({ role, name, css }) => (role ? page.getByRole(role, { name }) : page.locator(css)).count(),
    async press({ keys }) {
        for (const key of keys) await page.keyboard.press(key);
    },
    type: ({ text }) => page.keyboard.type(text),
    back: () => page.goBack().then(() => null),
    reload: () => page.reload().then(() => null),
    scheme: ({ scheme }) => page.emulateMedia({ colorScheme: scheme }),
    shot: ({ path }) => page.screenshot({ path, fullPage: true }).then(() => null),
    axe: () => page.evaluate(async () => {
        const found = await window.axe.run(document, { resultTypes: ['violations'] });
        return found.violations.map((v) => ({ id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 4).map((n) => `${n.target} ${n.failureSummary} ${n.html.slice(0, 200)}`) }));
    }),
    said: async () => ({ ...said, violations: await page.evaluate(() => window.violations) }),
};

(async () => {
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', ...more] });
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const { do: name, ...given } = JSON.parse(line);
        let answer;
        try {
            answer = { value: (await commands[name](given)) ?? null };
        } catch (e) {
            answer = { error: e.message };
        }
        process.stdout.write(JSON.stringify(answer) + '\n');
    }
    await browser.close();
})();
