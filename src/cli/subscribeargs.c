/* SPDX-License-Identifier: Apache-2.0
 *
 * What `ringcast subscribe` takes from its command line; the contract is in subscribeargs.h.
 */
#include "cli/subscribeargs.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/wsclient.h"
#include "proto/json.h"
#include "proto/names.h"
#include "proto/since.h"

#define SERVER "127.0.0.1:8080"

static const char usage[] =
	"usage: ringcast subscribe [options] CHANNEL...\n"
	"\n"
	"Prints the events of channels and patterns (news:*, agent:**) as they come, each as a line\n"
	"'channel event offset data'. Opaque data is shown as text where it is text, else as base64:...\n"
	"What is sent to a user has no channel: '- event - data'; the messages of a namespace with\n"
	"raw = yes have nothing else: '- - - data'.\n"
	"\n"
	"  --server HOST:PORT  the gateway's HTTP port (" SERVER ");\n"
	"                      wss://HOST:PORT for the one that speaks TLS; a path may follow\n"
	"  --path PATH         where its WebSocket is (/ws)\n" RC_ARGS_TLS_HELP
	"  --token TOKEN       who you are (RINGCAST_TOKEN, which other users can't see)\n"
	"  --since WHERE       first what came since: a position of the one channel, a stream position,\n"
	"                      'beginning', a time such as 2026-01-15T10:15:00Z, or milliseconds since 1970\n"
	"  --count N           end after N events\n"
	"  --timeout TIME      end with status 1 when no event came for so long, such as 500ms\n"
	"  --filter TEXT       only events of which that is true: \"event = 'user:*' and data.id = 42\"\n"
	"  --rate N            at most N events a second, the newest kept; --rate-key FIELD: of each value of it\n"
	"  --window TIME       all of so long in one message; --summary: only how many of each name\n"
	"  --raw               print the data alone, opaque bytes as they are\n"
	"  --json              print the gateway's messages whole\n"
	"  --deflate           offer permessage-deflate, and tell at the end what it saved\n"
	"  --all               print on standard error what the gateway says besides events\n"
	"  -h, --help\n"
	"\n"
	"What was missed and can't be given is told on standard error. Positions are in the messages of\n"
	"--json and --all.\n"
	"\n"
	"Line ends inside data become spaces, but in opaque data under --raw.\n"
	"\n"
	"Status: 0 N events came, or nobody reads any more; 1 no event in time, a channel was refused,\n"
	"or the gateway ended it; 2 wrong usage; 3 no gateway answers; 130 and 143 on SIGINT and SIGTERM.\n";

static const char *speaker = "subscribe";

void rc_subscribe_as(const char *command)
{
	speaker = command;
}

int rc_subscribe_say(const char *format, ...)
{
	va_list args;

	(void)fprintf(stderr, "ringcast %s: ", speaker);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return RC_SUBSCRIBE_USAGE;
}

static bool path_valid(const char *path)
{
	for (const char *p = path; *p; p++) {
		if (*p <= ' ' || *p > '~' || *p == '#')
			return false;
	}
	return path[0] == '/' && strlen(path) <= 1024;
}

static bool token_valid(const char *token)
{
	size_t len = token != NULL ? strlen(token) : 1;

	for (size_t i = 0; token != NULL && i < len; i++) {
		if (token[i] <= ' ' || token[i] > '~')
			return false;
	}
	return len > 0 && len <= RC_WSCLIENT_TOKEN_MAX;
}

static int parse_channels(struct rc_subscribe_options *o, int count, char **channels)
{
	if (count == 0)
		return rc_subscribe_say(
			"a CHANNEL is needed; 'ringcast subscribe --help' says what there is");
	o->channels = channels;
	o->channel_count = (size_t)count;
	for (int i = 0; i < count; i++) {
		if (rc_name_classify(rc_str_of(channels[i])) == RC_NAME_BAD)
			return rc_subscribe_say(
				"'%s' is not a channel (1 to %d of letters, digits and "
				"_.:/$@=-) nor a pattern (with * as a level, or ** as the last)",
				channels[i], RC_CHANNEL_MAX);
	}
	return 0;
}

/* After the channels. The gateway would refuse the same, but with less to say. */
static int check_since(const struct rc_subscribe_options *o)
{
	struct rc_since since;

	if (o->since == NULL)
		return 0;
	if (rc_msg_since_text(rc_str_of(o->since), &since) < 0)
		return rc_subscribe_say("--since: '%s' is no position, no time such as "
					"2026-01-15T10:15:00Z, and not 'beginning'",
			o->since);
	if (since.kind == RC_SINCE_POSITION &&
		(o->channel_count > 1 ||
			rc_name_classify(rc_str_of(o->channels[0])) == RC_NAME_PATTERN))
		return rc_subscribe_say(
			"--since: '%s' is the position of one channel; for several, "
			"and for patterns, a stream position is needed",
			o->since);
	return 0;
}

/* As JSON writes it; what it may be the gateway says. */
static bool is_number(const char *text)
{
	return rc_json_validate(rc_str_of(text), 1) == 0 &&
	       rc_json_root(rc_str_of(text)).kind == RC_JSON_NUMBER;
}

static bool parse_count(const char *text, uint64_t *out)
{
	if (text[0] == '\0' || strspn(text, "0123456789") < strlen(text))
		return false;
	errno = 0;
	*out = strtoull(text, NULL, 10);
	return errno == 0 && *out > 0;
}

/* HOST:PORT, or an address with its scheme, to which a path may belong and whose port may be the usual one. */
int rc_subscribe_where(struct rc_subscribe_options *o)
{
	if (!token_valid(o->token))
		return rc_subscribe_say(
			"--token: that is no token, 1 to %d visible characters of ASCII",
			RC_WSCLIENT_TOKEN_MAX);

	const char *secure = rc_args_behind("wss://", o->server);
	const char *plain = rc_args_behind("ws://", o->server);
	const char *at = secure != NULL ? secure : plain != NULL ? plain : o->server;
	const char *slash = at == o->server ? NULL : strchr(at, '/');
	size_t len = slash != NULL ? (size_t)(slash - at) : strlen(at);
	char where[RC_ARGS_HOST_SIZE + 16];
	int written = snprintf(where, sizeof(where), "%.*s", (int)RC_MIN(len, sizeof(where)), at);
	bool fits = written >= 0 && (size_t)written + 5 < sizeof(where);

	o->over_tls = secure != NULL;
	if (slash != NULL && o->path != NULL)
		return rc_subscribe_say("--path: there is one in --server already");
	if (slash != NULL)
		o->path = slash;
	if (o->path == NULL)
		o->path = "/ws";
	if (!path_valid(o->path))
		return rc_subscribe_say("'%s' is not a path such as /ws", o->path);
	if (!fits || !rc_args_server(where, o->host, &o->port)) {
		if (fits && at != o->server)
			strcat(where, o->over_tls ? ":443" : ":80");
		if (!fits || !rc_args_server(where, o->host, &o->port))
			return rc_subscribe_say(
				"--server: '%s' is not HOST:PORT, for example " SERVER
				", nor wss://HOST:PORT",
				o->server);
	}
	const char *wrong = rc_args_tls_wrong(&o->tls, o->over_tls);
	return wrong != NULL ? rc_subscribe_say(
				       "%s%s", wrong, o->over_tls ? "" : ", which wss:// asks for")
			     : 0;
}

int rc_subscribe_parse(struct rc_subscribe_options *o, int argc, char **argv)
{
	enum {
		SERVER_ = 256,
		PATH,
		TOKEN,
		SINCE,
		COUNT,
		TIMEOUT,
		RAW,
		JSON,
		ALL,
		DEFLATE,
		FILTER,
		RATE,
		KEY,
		WINDOW,
		SUMMARY
	};
	static const struct option longs[] = {{"server", required_argument, NULL, SERVER_},
		{"path", required_argument, NULL, PATH}, {"token", required_argument, NULL, TOKEN},
		{"since", required_argument, NULL, SINCE},
		{"count", required_argument, NULL, COUNT},
		{"timeout", required_argument, NULL, TIMEOUT}, {"raw", no_argument, NULL, RAW},
		{"json", no_argument, NULL, JSON}, {"all", no_argument, NULL, ALL},
		{"deflate", no_argument, NULL, DEFLATE},
		{"filter", required_argument, NULL, FILTER},
		{"rate", required_argument, NULL, RATE}, {"rate-key", required_argument, NULL, KEY},
		{"window", required_argument, NULL, WINDOW},
		{"summary", no_argument, NULL, SUMMARY}, RC_ARGS_TLS_LONGS,
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	bool raw = false, json = false;

	*o = (struct rc_subscribe_options){.server = SERVER, .token = getenv("RINGCAST_TOKEN")};
	optind = 0; /* starts anew, also when this is not the first command line that getopt sees */
	for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
		switch (c) {
		case SERVER_:
			o->server = optarg;
			break;
		case PATH:
			o->path = optarg;
			break;
		case TOKEN:
			o->token = optarg;
			break;
		case SINCE:
			o->since = optarg;
			break;
		case COUNT:
			if (!parse_count(optarg, &o->count))
				return rc_subscribe_say(
					"--count: '%s' is not a number from 1", optarg);
			break;
		case TIMEOUT:
			if (!rc_args_duration(optarg, &o->timeout_ms))
				return rc_subscribe_say(
					"--timeout: '%s' is not a time such as 500ms or 10s",
					optarg);
			break;
		case RAW:
			raw = true;
			break;
		case JSON:
			json = true;
			break;
		case ALL:
			o->all = true;
			break;
		case DEFLATE:
			o->deflate = true;
			break;
		case FILTER:
			o->filter = optarg;
			break;
		case RATE:
			if (!is_number(optarg))
				return rc_subscribe_say("--rate: '%s' is not a number", optarg);
			o->rate = optarg;
			break;
		case KEY:
			o->key = optarg;
			break;
		case WINDOW:
			if (!rc_args_duration(optarg, &o->window_ms))
				return rc_subscribe_say(
					"--window: '%s' is not a time such as 500ms or 10s",
					optarg);
			break;
		case SUMMARY:
			o->summary = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return -1;
		default:
			if (rc_args_tls_take(&o->tls, c, optarg))
				break;
			(void)fputs("'ringcast subscribe --help' says what there is\n", stderr);
			return RC_SUBSCRIBE_USAGE;
		}
	}
	if (raw && json)
		return rc_subscribe_say("--raw and --json contradict each other; give one");
	o->format = raw ? RC_EVENTLINE_DATA : json ? RC_EVENTLINE_MESSAGE : RC_EVENTLINE_FIELDS;
	int status = rc_subscribe_where(o);
	if (status != 0)
		return status;
	status = parse_channels(o, argc - optind, argv + optind);
	return status != 0 ? status : check_since(o);
}
