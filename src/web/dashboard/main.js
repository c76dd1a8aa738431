// SPDX-License-Identifier: Apache-2.0
// The dashboard: connects, says how the gateway is, and shows the view that the address names.
import { connect } from "../client/ringcast.js";
import { AGAIN, Api, ApiError, saysGoodbye, words } from "./api.js";
import { channelList, oneChannel } from "./channels.js";
import { repaint } from "./chart.js";
import { clientList, oneSession, oneUser } from "./clients.js";
import { byId, say, show } from "./dom.js";
import { span } from "./format.js";
import { gatewayView, readMetrics } from "./gateway.js";
import { Metrics, STALE_MS } from "./metrics.js";
import { overview } from "./overview.js";

const BASE = new URL(".", location.href).href;
const KEPT_TOKEN = "ringcast-token";
const KEPT_THEME = "ringcast-theme";
const TRY_MS = 3000;
// Tokens of an address that has tried too often are not looked at for a while.
const TRY_TOKEN_MS = 10000;
const READY_MS = 10000;

const app = {
	api: new Api(BASE),
	metrics: new Metrics(),
	client: null,
	features: [],
	help: {},
	arenaLimit: 0,
	clientsLimit: 0,
	// What is shown has another address now, and stays.
	readdress(hash) {
		history.replaceState(null, "", hash);
		routed.hash = hash;
	},
};
let view = null;
let timer = 0;
// What is known beside the snapshots: "connecting", "open", "lost", "token", "refused".
let link = "connecting";
let reason = "";
let draining = false;
// Of the performance clock: when the connection came about.
let opened = 0;
let failed = false;
let subscription = null;

// Storage may be forbidden; the page does without it.
function stored(storage, key, value) {
	try {
		if (value === undefined) return window[storage].getItem(key) || "";
		if (value) window[storage].setItem(key, value);
		else window[storage].removeItem(key);
	} catch {
		// Nothing is kept, then.
	}
	return "";
}

// ---- how it is

const STATES = {
	connecting: ["wait", "Connecting"],
	healthy: ["good", "Healthy"],
	quiet: ["warn", "Connected, but no snapshot comes"],
	draining: ["warn", "Draining: the gateway takes no new clients and will stop"],
	lost: ["bad", "Not connected"],
	token: ["bad", "Not connected: a token is needed"],
	refused: ["bad", "Connected, but the gateway refuses its metrics"],
	failed: ["bad", "This page has failed; load it again"],
};

function stateNow() {
	if (failed) return "failed";
	if (link !== "open") return link === "lost" && draining ? "draining" : link;
	if (draining) return "draining";
	if (performance.now() - Math.max(app.metrics.came, opened) > STALE_MS) return "quiet";
	return app.metrics.came > opened ? "healthy" : "connecting";
}

let announced = "";

function status() {
	const state = stateNow();
	const [kind, text] = STATES[state];
	byId("state").className = "state " + kind;
	say(byId("state-text"), text);
	const { last, came } = app.metrics;
	const age = last ? (performance.now() - came) / 1000 : null;
	const why = state === "quiet" && came < opened ? "snapshots may be larger than max_message" : reason;
	say(byId("state-more"), state === "healthy" ? "live, up for " + span(last.uptime) : [why.replace(/\.$/, ""), age !== null && "last snapshot " + span(age) + " ago"].filter(Boolean).join("; "));
	document.title = (kind === "good" || kind === "wait" ? "" : text.split(":")[0] + " – ") + (view ? view.title + " – " : "") + "ringcast";
	// Changes are announced once, not the passing of time.
	if (state === announced) return;
	if (state !== "connecting") say(byId("announce"), text + (reason && kind === "bad" ? ": " + reason : ""));
	announced = state;
}

// ---- the connection

function tryLater(ms = TRY_MS) {
	clearTimeout(timer);
	timer = setTimeout(start, ms);
}

// Asks the API first: a browser does not tell a page why an upgrade was refused.
async function start() {
	clearTimeout(timer);
	try {
		await app.api.ask("api/channels?limit=1");
		await about();
	} catch (error) {
		refused(error);
		return;
	}
	const asked = byId("views").hidden;
	draining = false;
	reason = "";
	link = app.client?.state === "connected" ? "open" : "connecting";
	askToken(null);
	// The one that there is keeps what was subscribed with it, and the view that was made for it what was typed.
	if (app.client) app.client.reconnect();
	else app.client = makeClient();
	status();
	route();
	if (asked) document.dispatchEvent(new Event(AGAIN));
}

// While a token is asked for it must not try those that are not good, and waits.
function tokenNow() {
	if (link === "token") throw new ApiError(401, "unauthorized", "a token is needed");
	return app.api.token || undefined;
}

function makeClient() {
	const own = connect(BASE, { query: { scope: "read" }, token: tokenNow, transports: ["ws"], maxDelay: 5000, queue: 0 });
	own.on("connected", (info) => {
		if (app.client !== own) return;
		opened = performance.now();
		hearMetrics(own);
		if (link === "token") return;
		link = "open";
		reason = "";
		draining = false;
		status();
		if (info.again) cameBack();
	});
	own.on("disconnected", (info) => {
		if (app.client !== own) return;
		app.metrics.cut();
		const before = subscription;
		subscription = null;
		before?.unsubscribe();
		lost(info.reason || (info.code === 1006 || !info.code ? "the connection broke" : "closed with code " + info.code), info.code === 1012);
	});
	own.on("reconnecting", (info) => app.client === own && info.attempt > 1 && whyNot(own));
	// Refused for good: what the API says tells why.
	own.on("reconnect_failed", (error) => {
		if (app.client !== own) return;
		lost(error.message, false);
		if (link !== "token") tryLater();
	});
	return own;
}

// A try came to nothing. Browsers don't say why; what the API says, or that it says something, tells more.
async function whyNot(own) {
	let why = "The API answers, but no WebSocket comes about: a proxy in between does not pass Upgrade or changes Host; or the gateway is full, and others look already.";
	let drains = false;
	if (link === "token") return;
	try {
		await app.api.ask("api/channels?limit=1");
	} catch (error) {
		why = words(error);
		drains = saysGoodbye(error);
	}
	if (app.client === own && link !== "open") lost(why, drains);
}

// Anew on each connection: snapshots that were missed are of no use, and nobody needs to look for them.
function hearMetrics(own) {
	const mine = own.subscribe("$sys:metrics", (event) => {
		if (app.client !== own || event.event !== "snapshot") return;
		if (app.metrics.take(event.data)) status();
	});
	subscription = mine;
	mine.ready.catch((error) => {
		if (app.client !== own || subscription !== mine) return;
		link = "refused";
		reason = error.message || String(error.code);
		status();
	});
}

function lost(why, drains) {
	if (link === "token") return;
	link = "lost";
	reason = why;
	draining = drains;
	status();
}

async function about() {
	Object.assign(app, readMetrics(await app.api.ask("metrics")));
}

// It may be another version with other settings.
function cameBack() {
	document.dispatchEvent(new Event(AGAIN));
	about().catch(() => {
		// What was known stays.
	});
}

function refused(error) {
	if (error.status === 401 || error.status === 403 || error.status === 429) {
		link = "token";
		reason = error.message;
		clearTimeout(timer);
		askToken(error);
		// It may be a good one.
		if (error.status === 429) tryLater(TRY_TOKEN_MS);
	} else {
		link = "lost";
		lost(words(error), saysGoodbye(error));
		tryLater();
	}
	status();
	if (!view) route();
}

// While it drains the gateway says so here before it says so to clients.
async function ready() {
	if (document.hidden || link !== "open") return;
	try {
		const answer = await fetch(new URL("readyz", BASE), { headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(5000) });
		draining = answer.status === 503 && (await answer.json()).status === "draining";
	} catch {
		// The connection says it better.
	}
	status();
}

// ---- the token

function askToken(error) {
	show(byId("token"), Boolean(error));
	show(byId("views"), !error);
	show(byId("forget"), !error && Boolean(app.api.token));
	if (!error) return;
	const hints = app.api.token ? {
		401: " The token that was given is not known here, or it has run out.",
		403: " The token is good, but it lacks a right: it needs the scope read (ringcast:read in a signed one).",
	} : { 403: " From here it takes a token, or another address: the loopback is open only by its own name." };
	say(byId("token-reason"), "The gateway says: " + words(error) + "." + (hints[error.status] ?? ""));
	if (!byId("token").contains(document.activeElement)) byId("token-value").focus();
}

function useToken(e) {
	e.preventDefault();
	const input = byId("token-value");
	const token = input.value.trim();
	// What can't stand in a header is no token.
	if (!token || /[^\x21-\x7e]/.test(token)) {
		say(byId("token-reason"), "A token has visible ASCII characters only, and no blanks.");
		input.focus();
		return;
	}
	app.api.token = token;
	stored("sessionStorage", KEPT_TOKEN, byId("token-keep").checked ? token : null);
	input.value = "";
	say(byId("token-reason"), "Asking the gateway");
	start().then(() => link !== "token" && byId("main").focus());
}

function forget() {
	app.api.token = "";
	stored("sessionStorage", KEPT_TOKEN, null);
	app.metrics.cut();
	if (app.client) app.client.close();
	app.client = null;
	link = "connecting";
	start();
}

// ---- views

function decode(text) {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

const TABS = ["overview", "channels", "clients", "gateway"];

function makeView() {
	const [path, query] = location.hash.slice(2).split("?");
	const [tab, ...rest] = path.split("/").map(decode);
	if (tab === "channels") return ["channels", rest[0] ? oneChannel(app, rest[0]) : channelList(app, new URLSearchParams(query))];
	if (tab === "clients" && rest[1]) return ["clients", rest[0] === "session" ? oneSession(app, rest[1]) : oneUser(app, rest[1])];
	if (tab === "clients") return ["clients", clientList(app)];
	return tab === "gateway" ? ["gateway", gatewayView(app)] : ["overview", overview(app)];
}

let routed = null;

function route() {
	// A view made for a client that is gone is made anew.
	if (routed?.hash === location.hash && routed.client === app.client) return;
	const moved = routed && routed.hash !== location.hash;
	if (view) view.stop();
	// What it asks about is of the view before.
	document.querySelector("dialog")?.close();
	app.metrics.cursor = null;
	routed = { client: app.client, hash: location.hash };
	const [tab, made] = app.client ? makeView() : [TABS[0], null];
	view = made;
	for (const name of TABS) {
		const one = byId("tab-" + name);
		one.setAttribute("aria-selected", String(name === tab));
		one.tabIndex = name === tab ? 0 : -1;
	}
	const panel = byId("view");
	panel.setAttribute("aria-labelledby", "tab-" + tab);
	if (!view) return;
	panel.replaceChildren(view.node);
	status();
	// A link was followed: its view begins here for keys and screen readers. A tab keeps the focus.
	if (moved && !byId("tabs").contains(document.activeElement)) {
		byId("main").focus({ preventScroll: true });
		window.scrollTo(0, 0);
	}
}

function tabKeys(e) {
	const at = TABS.findIndex((name) => byId("tab-" + name) === document.activeElement);
	const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[e.key];
	if (e.key === " ") document.activeElement.click();
	else if (to === undefined || at < 0) return;
	else {
		const tab = byId("tab-" + TABS[(to + TABS.length) % TABS.length]);
		tab.focus();
		tab.click();
	}
	e.preventDefault();
}

// ---- light and dark

const THEMES = { "": "as the system", light: "light", dark: "dark" };

function setTheme(theme) {
	if (theme) document.documentElement.dataset.theme = theme;
	else delete document.documentElement.dataset.theme;
	byId("theme").value = theme;
	repaint();
	view?.theme?.();
}

function look() {
	if (document.hidden) return;
	app.metrics.look();
	status();
}

function begin() {
	const kept = stored("localStorage", KEPT_THEME);
	setTheme(kept in THEMES ? kept : "");
	byId("theme").addEventListener("change", (e) => {
		stored("localStorage", KEPT_THEME, e.target.value);
		setTheme(e.target.value);
	});
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(byId("theme").value));
	byId("tabs").addEventListener("keydown", tabKeys);
	byId("token-form").addEventListener("submit", useToken);
	byId("forget").addEventListener("click", forget);
	byId("skip").addEventListener("click", (e) => {
		// The hash is the route: it must not become #main.
		e.preventDefault();
		byId("main").focus();
	});
	window.addEventListener("hashchange", route);
	// What is no error of a script, as that an observer was late, has none.
	window.addEventListener("error", (e) => {
		failed = failed || Boolean(e.error);
		status();
	});
	document.addEventListener("visibilitychange", look);
	app.api.token = stored("sessionStorage", KEPT_TOKEN);
	byId("token-keep").checked = Boolean(app.api.token);
	app.api.onrefused = (error) => link !== "token" && refused(error);
	setInterval(look, 1000);
	setInterval(ready, READY_MS);
	start();
}

begin();
