// SPDX-License-Identifier: Apache-2.0
//
// The page of one run of ringcast-load.

const LATENCY = [["p50", "p50", "--q0"], ["p90", "p90", "--q1"], ["p99", "p99", "--q2"], ["p999", "p99.9", "--q3"], ["max", "max", "--q4"]];

const VERDICTS = {
	ok: ["good", "what was published arrived, each event once and in order"],
	faulty: ["bad", "events or connections went wrong"],
	unusable: ["bad", "there was nothing to measure"],
	limited: ["warn", "the generator itself was the limit, so what it limits is no figure of the server and is not shown"],
	interrupted: ["warn", "the run was ended early; this is what was measured until then"],
};

// Why a figure is missing, in the order in which the reasons weigh.
function missing(data, path) {
	if (data.verdict === "limited" && /^(window|latency|ack|timeline|server\.cpu_ns)/.test(path))
		return "the generator was the limit";
	if (path.startsWith("server") && !data.server)
		return "the server's process was not found on this host";
	if (path.startsWith("server.rss"))
		return "its memory could not be read";
	if (/^(latency|server\.cpu_ns|timeline\.p)/.test(path))
		return "nothing was delivered in the window";
	return "not measured";
}

function runCards(d) {
	const c = (name, path, unit, more) => card(d, { name, path, unit, more, reason: missing(d, path) });
	const cards = [
		c("Deliveries", "window.deliveries_per_second", "short_rate",
			`${show("count", at(d, "window.deliveries"))} in ${show("seconds", at(d, "window.seconds"))}`),
		c("Latency p50", "latency.p50", "ns", "half of the events were faster"),
		c("Latency p99", "latency.p99", "ns", "1 in 100 was slower"),
		c("Latency p99.9", "latency.p999", "ns", "1 in 1,000 was slower"),
		c("CPU per delivery", "server.cpu_ns_per_delivery", "ns",
			`${show("seconds", at(d, "server.cpu_seconds"))} of the server in the window`),
		c("Memory per client", "server.rss_per_client", "bytes",
			`${show("bytes", at(d, "server.rss_connected"))} of the server with all`),
	];
	if (d.ack) {
		cards.push(c("Published", "window.published_per_second", "short_rate", `${show("count", at(d, "window.published"))} in the window`));
		cards.push(c("Acknowledged p99", "ack.p99", "ns", `half within ${show("ns", at(d, "ack.p50"))}`));
	}
	if (isNumber(at(d, "clients.storm_seconds")))
		cards.push(c("All back after the storm", "clients.storm_seconds", "seconds", `${show("count", at(d, "clients.returned"))} came back`));
	if (!d.latency && d.connect && d.verdict !== "limited")
		cards.push(c("Connect p99", "connect.p99", "ns", `half within ${show("ns", at(d, "connect.p50"))}`));
	return cardGrid(cards);
}

// Samples cover the time from t to t + seconds; a point stands in the middle.
const middle = (s) => s.t + (s.seconds || 0) / 2;

function over(d, name, color, value) {
	return { name, color, points: (d.timeline || []).map((s) => {
		const v = value(s);
		return [middle(s), isNumber(v) ? v : null];
	}) };
}

function timeChart(d, { title, about, unit, log, series, wide, height, path, floor }) {
	const line = d.timeline || [];
	const from = line.length ? Math.min(...line.map((s) => s.t), 0) : 0;
	const to = line.length ? Math.max(...line.map((s) => s.t + (s.seconds || 0)), 1) : 1;
	const values = series.flatMap((s) => s.points.map(([, y]) => y)).filter((y) => y !== null && (!log || y > 0));
	const high = values.length ? Math.max(...values) : 1;
	const low = values.length ? Math.min(...values) : 1;
	const end = at(d, "window.seconds");
	const shade = [];
	if (from < 0)
		shade.push([from, 0, "before"]);
	if (isNumber(end) && to > end + 0.2)
		shade.push([Math.max(end, 0), to, "after"]);
	return chart({ title, about, wide, height, series, unit, shade, dots: true, area: series.length === 1,
		x: timeScale(from, to), where: (x) => `at ${x.toFixed(1)} s`,
		y: log ? logScale(low, high, unit) : linearScale(floor === undefined ? 0 : Math.min(floor, low), high || 1, unit === "cpus" ? "cpus" : unit),
		missing: missing(d, path) });
}

// From the buckets: after each, which share of all lies below its end.
function distribution(q, name, color) {
	const points = [];
	let seen = 0;
	for (const [low, high, count] of q.buckets) {
		if (seen === 0)
			points.push([1, Math.max(low, 1)]);
		seen += count;
		points.push([Math.min(1 / (1 - seen / q.count), q.count), Math.min(high, q.max)]);
	}
	return { name, color, points };
}

function shareText(x) {
	const share = (1 - 1 / x) * 100;
	return `${share.toFixed(Math.min(6, Math.max(0, Math.ceil(Math.log10(x)) - 1)))} % at most`;
}

function distributionChart(d) {
	const series = [["latency", "latency", "--accent"], ["ack", "acknowledgement", "--amber"], ["connect", "connecting", "--teal"]]
		.filter(([key]) => d[key] && Array.isArray(d[key].buckets)).map(([key, name, color]) => distribution(d[key], name, color));
	const all = series.flatMap((s) => s.points);
	return chart({ title: "How latency is distributed", wide: true, height: 280, series, unit: "ns", legend: true, everywhere: true, where: shareText,
		about: "Share of events that took at most so long; each nine to the right is a tenth of the rest."
			+ (d.latency ? "" : ` Latency itself is missing: ${missing(d, "latency")}.`),
		x: nineScale(Math.max(10, ...all.map(([x]) => x))), y: logScale(Math.min(...all.map(([, y]) => y), 1e18), Math.max(...all.map(([, y]) => y), 1), "ns"),
		missing: missing(d, "latency") });
}

function percentileTable(d) {
	const columns = [["count", "Events", "count"], ["mean", "Mean", "ns"], ["p50", "p50", "ns"], ["p90", "p90", "ns"], ["p99", "p99", "ns"],
		["p999", "p99.9", "ns"], ["p9999", "p99.99", "ns"], ["max", "Max", "ns"]];
	const rows = [["latency", "Latency"], ["ack", "Acknowledgement"], ["connect", "Connecting"], ["generator.late", "Sent late by the generator"],
		["generator.turn", "A turn of the generator"]].filter(([key]) => at(d, key) || key === "latency");
	return panel(table("Percentiles", [{ name: "" }, ...columns.map(([, name]) => ({ name, number: true }))], rows.map(([key, name]) =>
		[name, ...columns.map(([column, , unit]) => figure(d, `${key}.${column}`, unit, "td", { class: "number" }))])));
}

function faultSection(d) {
	const kinds = ["lost", "duplicated", "reordered", "corrupted", "foreign"];
	const channels = at(d, "faults.channels") || [];
	const row = (name, path) => [name, ...kinds.map((k) => figure(d, `${path}.${k}`, "count", "td", { class: "number" }))];
	return section("Faults",
		panel(table("Faults", [{ name: "Channel" }, ...kinds.map((name) => ({ name: name[0].toUpperCase() + name.slice(1), number: true }))],
			[row("all", "faults"), ...channels.map((c, i) => row(c.channel, `faults.channels.${i}`))])),
		panel(pairs("Events left out", [
			["Left out, and the server said so", figure(d, "told", "count")],
			["Missed while a client was away", figure(d, "missed_away", "count")],
		])));
}

function clientRows(d) {
	return [["wanted", "Wanted"], ["opened", "Opened, ever"], ["open", "Open at the end"], ["failed", "Attempts that failed"],
		["closed", "Closed by the server"], ["dropped", "Left by themselves"], ["returned", "Came back"]]
		.map(([key, name]) => [name, figure(d, `clients.${key}`, "count")])
		.concat([["Until all were connected", figure(d, "clients.connect_seconds", "seconds")],
			["Until all were back after the storm", figure(d, "clients.storm_seconds", "seconds")]]);
}

function machineSection(d) {
	const server = d.server ? [["Processes", figure(d, "server.processes", "count")], ["CPU in the window", figure(d, "server.cpu_seconds", "seconds")],
		["Ready, and another ran", figure(d, "server.waited_seconds", "seconds")], ["Memory at the start", figure(d, "server.rss_start", "bytes")],
		["Memory with all connected", figure(d, "server.rss_connected", "bytes")], ["Memory at most", figure(d, "server.rss_max", "bytes")]]
		: [["Not known", missing(d, "server")]];
	const generator = [["CPU in the window", figure(d, "generator.cpu_seconds", "seconds")],
		["Ready, and another ran", figure(d, "generator.waited_seconds", "seconds")], ["Polling that found nothing", figure(d, "generator.idle_seconds", "seconds")],
		["Busiest thread", figure(d, "generator.busiest", "share")], ["Memory", figure(d, "generator.memory", "bytes")],
		["Memory per client", figure(d, "generator.memory_per_client", "bytes")], ["Receives", figure(d, "generator.reads", "count")],
		["Receives with a full buffer", figure(d, "generator.full_reads", "count")]];
	const box = (name, rows) => make("div", { class: "panel" }, make("h3", {}, name), pairs(name, rows));
	return make("div", { class: "grid alone" }, box(d.server && d.server.name ? `Server: ${d.server.name}` : "Server", server), box("Generator", generator));
}

function groupSection(d) {
	const asked = at(d, "parameters.groups") || [];
	const keys = [...new Set(asked.flatMap((g) => Object.keys(g)))].filter((k) => k !== "name");
	const came = [["deliveries", "count"], ["published", "count"], ["latency.p50", "ns"], ["latency.p99", "ns"], ["latency.p999", "ns"],
		["connect.p99", "ns"], ["ack.p99", "ns"], ["faults.lost", "count"], ["faults.duplicated", "count"], ["faults.reordered", "count"],
		["faults.corrupted", "count"], ["faults.foreign", "count"], ["told", "count"], ["closed", "count"]];
	const name = (path) => words(path.replace("latency.", "").replace("faults.", "").replace("connect.", "connect ").replace("ack.", "ack "))
		.replace("p999", "p99.9");
	const groups = d.groups || [];
	return section("Groups",
		groups.length ? panel(table("What each group came to", [{ name: "" }, ...groups.map((g) => ({ name: g.name, number: true }))],
			came.map(([path, unit]) => [name(path), ...groups.map((g, i) => figure(d, `groups.${i}.${path}`, unit, "td", { class: "number" }))]))) : null,
		asked.length ? panel(table("What each group was asked for", [{ name: "Asked for" }, ...asked.map((g) => ({ name: g.name, number: true }))],
			keys.map((k) => [words(k), ...asked.map((g) => plainly(g[k]))]))) : null);
}

function timelineTable(d) {
	const columns = [["clients", "Clients", "count"], ["deliveries", "Deliveries", "count"], ["published", "Published", "count"], ["connects", "Connects", "count"],
		["p50", "p50", "ns"], ["p90", "p90", "ns"], ["p99", "p99", "ns"], ["p999", "p99.9", "ns"], ["max", "Max", "ns"],
		["server_cpu", "Server CPUs", "cpus"], ["server_rss", "Server memory", "bytes"], ["generator_cpu", "Generator CPUs", "cpus"]];
	return more("Every sample as a table", panel(table("Samples", [{ name: "From" }, ...columns.map(([, name]) => ({ name, number: true }))],
		(d.timeline || []).map((s) => [`${s.t.toFixed(1)} s`, ...columns.map(([key, , unit]) => unit === "cpus" && isNumber(s[key]) ? s[key].toFixed(2) : show(unit, s[key]))]))));
}

function runPage(d) {
	const [kind, text] = VERDICTS[d.verdict] || ["warn", ""];
	const target = d.target || {};
	const rate = (key) => (s) => (s.seconds > 0 ? s[key] / s.seconds : null);
	// What the generator limits is drawn nowhere; how many were published is its own doing.
	const delivered = d.verdict === "limited" ? () => null : rate("deliveries");
	const parameters = Object.entries(d.parameters || {}).filter(([k]) => k !== "groups").map(([k, v]) => [words(k), plainly(v)]);
	return [
		heading("ringcast-load " + (d.version || ""), `${d.scenario || "a run"} of ${target.name || "a server"}`,
			`${show("count", at(d, "parameters.clients"))} clients, ${show("count", at(d, "parameters.channels"))} channels, `
			+ `${show("seconds", at(d, "window.seconds"))} measured, started ${d.started || DASH}`),
		verdict(kind, "verdict", d.verdict || "no verdict", text, d.notes || []),
		runCards(d),
		section("Latency", make("div", { class: "grid" },
			timeChart(d, { title: "Latency over time", about: "From the intended time of sending to the receive; log scale.", unit: "ns", log: true, wide: true,
				height: 280, path: "timeline.p", series: LATENCY.map(([key, name, color]) => over(d, name, color, (s) => s[key])) }),
			distributionChart(d)), percentileTable(d)),
		section("Over time", make("div", { class: "grid" },
			timeChart(d, { title: "Deliveries", about: "Events a second that reached clients.", unit: "short_rate", path: "window",
				series: [over(d, "deliveries", "--accent", delivered)] }),
			timeChart(d, { title: "Published", about: "Events a second that were sent to the server.", unit: "short_rate", path: "published",
				series: [over(d, "published", "--teal", rate("published"))] }),
			timeChart(d, { title: "CPU", about: "CPUs in use.", unit: "cpus", path: "server",
				series: [over(d, "server", "--accent", (s) => s.server_cpu), over(d, "generator", "--amber", (s) => s.generator_cpu)] }),
			timeChart(d, { title: "Server memory", about: "Resident, all its processes.", unit: "bytes", path: "server.rss",
				series: [over(d, "memory", "--violet", (s) => s.server_rss)] }),
			timeChart(d, { title: "Clients", about: "Connected and subscribed.", unit: "short_count", path: "clients",
				series: [over(d, "clients", "--teal", (s) => s.clients)] }),
			timeChart(d, { title: "Connects", about: "Connections a second that became subscribed.", unit: "short_rate", path: "connects",
				series: [over(d, "connects", "--slate", rate("connects"))] })), timelineTable(d)),
		section("Server and generator", machineSection(d)),
		faultSection(d),
		groupSection(d),
		section("The run", make("div", { class: "grid" },
			make("div", { class: "panel" }, make("h3", {}, "Connections"), pairs("Connections", clientRows(d))),
			make("div", { class: "panel" }, make("h3", {}, "Parameters"), pairs("Parameters", parameters)),
			make("div", { class: "panel wide" }, make("h3", {}, "Where"), pairs("Where", [
				["Subscribe", make("code", {}, target.subscribe || DASH)], ["Publish", make("code", {}, target.publish || DASH)],
				...(target.echo ? [["Echo", make("code", {}, target.echo)]] : []),
				["CPU", at(d, "host.cpu") || DASH], ["CPUs", figure(d, "host.cpus", "count")], ["Kernel", at(d, "host.kernel") || DASH]])))),
		make("p", { class: "foot" }, "Times are from CLOCK_MONOTONIC of one host. Percentiles come from a histogram whose buckets are at most 6.25 % wide. "
			+ "The data stands as JSON in the source of this page."),
	];
}
