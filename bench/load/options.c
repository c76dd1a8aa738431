/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of options. A row says everything about one: to add one, add a field and a row here.
 */
#include <assert.h>

#include "event.h"
#include "options.h"

#define FIELD(field)                                     \
	.offset = offsetof(struct load_settings, field), \
	.size = sizeof(((struct load_settings *)0)->field)
#define PROGRAM(field) .scope = LOAD_OF_PROGRAM, FIELD(field)
#define RUN(field)     .scope = LOAD_OF_RUN, FIELD(plan.field)
#define TEXTS(field)   .scope = LOAD_OF_RUN, FIELD(field)
#define GROUP(field)   .scope = LOAD_OF_GROUP, FIELD(group.field)

#define COUNT(lo, hi)   .kind = LOAD_OPTION_COUNT, .argument = "N", .min = (lo), .max = (hi)
#define NUMBER(lo, hi)  .kind = LOAD_OPTION_NUMBER, .argument = "N", .min = (lo), .max = (hi)
#define SECONDS(lo, hi) .kind = LOAD_OPTION_NUMBER, .argument = "SECONDS", .min = (lo), .max = (hi)
#define BYTES(lo, hi)   .kind = LOAD_OPTION_BYTES, .argument = "BYTES", .min = (lo), .max = (hi)
#define FLAG            .kind = LOAD_OPTION_FLAG
#define TEXT(what)      .kind = LOAD_OPTION_TEXT, .argument = (what)
#define STANDARD(s)     .standard = (s)
#define HELP(s)         .help = (s)

static const char *const spreads[] = {
	[LOAD_EVEN] = "even",
	[LOAD_ZIPF] = "zipf",
	[LOAD_OWN] = "own",
	NULL,
};

static const char *const tls_versions[] = {
	[LOAD_TLS_ANY] = "any",
	[LOAD_TLS_12] = "1.2",
	[LOAD_TLS_13] = "1.3",
	NULL,
};

/* One row, one paragraph. */
/* clang-format off */
const struct load_option load_option_table[] = {
	{"target", TEXT("NAME|FILE"), TEXTS(target), STANDARD("ringcast"),
		HELP("which kind of server: a built-in profile (see --targets) or a file of your own")},
	{"url", TEXT("URL"), TEXTS(url),
		HELP("where clients connect: ws wss (WebSocket), http https (SSE); default: the profile's")},
	{"publish-url", TEXT("URL"), TEXTS(publish_url),
		HELP("where events are published, and backends come: ingest tcp tls ws wss http; default: the profile's")},
	{"echo-url", TEXT("URL"), TEXTS(echo_url),
		HELP("where every message comes back (echo); default: the profile's")},
	{"ca", TEXT("FILE"), RUN(ca_file),
		HELP("certificates to trust, for wss and https; default: the system's")},
	{"insecure", FLAG, RUN(insecure),
		HELP("certificates are not verified")},
	{"deflate", FLAG, RUN(deflate),
		HELP("subscribers offer permessage-deflate, and take what comes deflated, up to 4 KiB a message")},
	{"tls", .kind = LOAD_OPTION_WORD, .argument = "any|1.2|1.3", .words = tls_versions, RUN(tls), STANDARD("any"),
		HELP("the version of TLS, for wss and https")},

	{"clients", COUNT(0, 4000000), GROUP(clients), STANDARD("0"),
		HELP("subscribers")},
	{"connect-rate", NUMBER(0, 1e6), RUN(connect_rate), STANDARD("0"),
		HELP("connections a second; 0: as fast as answers come")},
	{"connect-at-once", COUNT(1, 100000), RUN(connect_at_once), STANDARD("128"),
		HELP("connections on the way at the same time, each worker")},
	{"connect-timeout", SECONDS(0.01, 3600), RUN(connect_timeout), STANDARD("10"),
		HELP("from connect() to the last acknowledged subscription of a client")},
	{"sources", TEXT("LIST"), TEXTS(sources),
		HELP("source addresses, 127.0.0.1-127.0.0.8 or a,b,c; default: as many of 127.0.0.0/8 as the port range needs "
		     "when the server is on loopback")},
	{"channels", COUNT(1, 4000000), GROUP(channels), STANDARD("1"),
		HELP("channels")},
	{"subscriptions", COUNT(1, 100000), GROUP(subscriptions), STANDARD("1"),
		HELP("channels that each client subscribes to")},
	{"filters", COUNT(1, 1000000), GROUP(filters), STANDARD("1"),
		HELP("different values of {filter} in the profile's subscription, as in that of the target filtered")},
	{"spread", .kind = LOAD_OPTION_WORD, .argument = "even|zipf|own", .words = spreads, GROUP(spread),
		STANDARD("even"),
		HELP("who gets which channels, and events go to which: evenly, by Zipf's law, or a channel for each client")},
	{"zipf", NUMBER(0, 10), GROUP(zipf), STANDARD("1"),
		HELP("Zipf's exponent: channel r has the weight 1 / r^N")},
	{"prefix", TEXT("TEXT"), RUN(channel_prefix), STANDARD("load:"),
		HELP("what the names of channels begin with")},

	{"payload", BYTES(LOAD_EVENT_MIN, LOAD_EVENT_MAX), GROUP(payload), STANDARD("128"),
		HELP("size of an event")},
	{"rate", NUMBER(0, 1e8), GROUP(rate), STANDARD("0"),
		HELP("open loop: events a second, all publishers together; a late event's wait is in its latency")},
	{"in-flight", COUNT(1, 1000000), GROUP(in_flight), STANDARD("0"),
		HELP("closed loop: events that are not yet with everybody, all publishers together (echo, command: of each client)")},
	{"publishers", COUNT(0, 100000), GROUP(publishers), STANDARD("0"),
		HELP("connections that publish; each has channels of its own")},

	{"backends", COUNT(1, 1000), GROUP(backends), STANDARD("1"),
		HELP("connections that answer the commands (command)")},
	{"reply-size", BYTES(LOAD_EVENT_MIN, LOAD_EVENT_MAX), GROUP(reply), STANDARD("128"),
		HELP("size of an answer to a command")},

	{"churn", NUMBER(0, 1e6), GROUP(churn_per_second), STANDARD("0"),
		HELP("clients that leave and come back, a second")},
	{"storm-after", SECONDS(0, 86400), GROUP(storm_after_seconds), STANDARD("0"),
		HELP("when all of the storming clients drop, in seconds of the window")},
	{"storm-away", SECONDS(0, 86400), GROUP(storm_away_seconds), STANDARD("0"),
		HELP("how long they stay away before they begin to come back")},
	{"share", .kind = LOAD_OPTION_NUMBER, .argument = "PERCENT", .min = 0, .max = 100, PROGRAM(share),
		STANDARD("0"),
		HELP("the part of the clients that reads slowly (slow), comes and goes (churn), drops (storm)")},
	{"read-rate", BYTES(0, 1e12), GROUP(read_bytes_per_second), STANDARD("0"),
		HELP("bytes a second that a slow client reads; 0: it never reads")},
	{"recover", FLAG, GROUP(recover),
		HELP("clients that come back ask for what they missed")},
	{"resume", FLAG, GROUP(resume),
		HELP("handshakes resume the session of the first one")},
	{"handshakes", FLAG, GROUP(handshakes), .file_only = true,
		HELP("clients make TLS handshakes one after the other and nothing else; connect-at-once has to be as many")},
	{"may-lose", FLAG, GROUP(may_lose), .file_only = true,
		HELP("lost events and closed connections are counted and are no faults")},
	{"echo", FLAG, GROUP(echo), .file_only = true,
		HELP("clients send their events to the echo address themselves and wait for them")},
	{"command", FLAG, GROUP(command), .file_only = true,
		HELP("clients send commands, which backends of the generator's answer")},
	{"acks-only", FLAG, GROUP(acks_only), .file_only = true,
		HELP("latency is from sending to the acknowledgement")},

	{"seconds", SECONDS(0.1, 86400), RUN(seconds), STANDARD("5"),
		HELP("length of the window that is measured")},
	{"warm", SECONDS(0, 3600), RUN(warm), STANDARD("1"),
		HELP("time that events flow before the window")},
	{"drain", SECONDS(0.1, 3600), RUN(drain), STANDARD("5"),
		HELP("the longest time without progress: after the window, and with events in flight")},
	{"threads", COUNT(1, LOAD_WORKERS_MAX), RUN(threads), STANDARD("1"),
		HELP("workers in each process")},
	{"processes", COUNT(1, LOAD_WORKERS_MAX), RUN(processes), STANDARD("0"),
		HELP("default: as many as the limit on descriptors makes necessary")},
	{"cpus", TEXT("LIST"), TEXTS(cpus),
		HELP("0-3,8: worker i runs on the i-th of them; default: where the kernel puts it")},
	{"busy", FLAG, RUN(busy),
		HELP("workers poll and never sleep: the server does not pay for waking them")},
	{"own-limit", FLAG, RUN(own_limit),
		HELP("the generator itself is what is measured: it may be the bottleneck")},
	{"file", TEXT("FILE"), PROGRAM(file),
		HELP("mixed: a [run] section with options of the run, and a section with options for each group of clients")},

	{"pid", .kind = LOAD_OPTION_PID, .argument = "N", RUN(pid), .min = 1, .max = 1 << 22,
		HELP("the server's process, for its CPU and memory; may be repeated; default: found by its port")},
	{"json", .kind = LOAD_OPTION_OUTPUT, .argument = "[FILE]", RUN(json),
		HELP("the result as JSON, to standard output or into a file")},
	{"report", TEXT("FILE.html"), RUN(report),
		HELP("the result as one page that needs nothing else")},
	{"quiet", FLAG, RUN(quiet),
		HELP("no live line")},

	{"compare", .kind = LOAD_OPTION_COMPARE, .argument = "A.json B.json", PROGRAM(compare_a),
		HELP("two kept results beside each other")},
	{"render", TEXT("RESULT.json"), PROGRAM(render),
		HELP("the page --report of a kept result")},
	{"targets", .kind = LOAD_OPTION_MODE, PROGRAM(mode), .min = LOAD_TARGETS,
		HELP("the built-in profiles")},
	{"help", .kind = LOAD_OPTION_MODE, PROGRAM(mode), .min = LOAD_HELP,
		HELP("this list")},
};
/* clang-format on */

const uint32_t load_option_count = RC_ARRAY_LEN(load_option_table);

static_assert(RC_ARRAY_LEN(load_option_table) <= LOAD_OPTIONS_MAX, "by_user is 64 bits");

uint32_t load_option_find(const char *name)
{
	for (uint32_t row = 0; row < load_option_count; row++)
		if (strcmp(load_option_table[row].name, name) == 0)
			return row;
	return RC_NONE;
}

bool load_option_given(const struct load_settings *s, const char *name)
{
	uint32_t row = load_option_find(name);

	RC_ASSERT(row != RC_NONE);
	return s->by_user >> row & 1;
}
