/* SPDX-License-Identifier: Apache-2.0
 *
 * `ringcast send` and `ringcast disconnect`: a message to a user or a session, or their end, through libringcast. Prints to how
 * many connections it went. Main thread.
 */
#include "cli/cli.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/args.h"
#include "proto/json.h"
#include "proto/names.h"
#include "ringcast.h"
#include "ringcast/wire.h"

#define NOBODY     1
#define USAGE      2
#define NO_GATEWAY 3
#define SERVER     "127.0.0.1:7400"
#define TIMEOUT_MS 10000

/* clang-format off */
#define COMMON_HELP                                                                                  \
	"  --user USER         all connections of this user\n"                                       \
	"  --session SESSION   this one, by the id that its `connected` told\n"                      \
	"  --server HOST:PORT  the gateway's ingest port (" SERVER "; RINGCAST_INGEST_SERVER);\n"    \
	"                      tls://HOST:PORT for the one that speaks TLS\n" RC_ARGS_TLS_HELP       \
	"  --token TOKEN       (RINGCAST_INGEST_TOKEN, which other users can't see)\n"               \
	"  --timeout TIME      give up after so long, such as 500ms (10s)\n"                         \
	"  -h, --help\n"                                                                             \
	"\n"                                                                                         \
	"Status: 0 it went to somebody; 1 nobody was there, or the gateway refused it or the token;\n"\
	"2 wrong usage; 3 no gateway answers, or not in time.\n"
/* clang-format on */

static const char send_usage[] =
	"usage: ringcast send [options] --user USER | --session SESSION EVENT [DATA]\n"
	"\n"
	"Sends a message to a user or a session and prints to how many connections it went. DATA is\n"
	"JSON; without any it is null.\n"
	"\n"
	"  --text              DATA is opaque bytes\n" COMMON_HELP;

static const char disconnect_usage[] =
	"usage: ringcast disconnect [options] --user USER | --session SESSION\n"
	"\n"
	"Ends all connections of a user, or a session, and prints how many.\n"
	"\n"
	"  --code CODE         the close code, 4000 to 4999 (4004: do not come back by yourself)\n"
	"  --reason TEXT       said along with it, at most 123 bytes\n" COMMON_HELP;

struct options {
	const char *command; /* "send" or "disconnect" */
	const char *server, *token, *user, *session, *reason;
	const char *event;
	struct rc_str data;
	struct rc_args_tls tls;
	int timeout_ms, code;
	bool text, closes;
};

struct outcome {
	const char *command;
	uint64_t connections;
	bool refused;
	char why[256];
};

static int RC_PRINTF(2, 3) wrong(const struct options *o, const char *format, ...)
{
	va_list args;

	(void)fprintf(stderr, "ringcast %s: ", o->command);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fprintf(stderr, "; 'ringcast %s --help' says what there is\n", o->command);
	return USAGE;
}

/* ---- the command line --------------------------------------------------------------------------- */

static int check_server(const struct options *o)
{
	const char *behind = rc_args_behind("tls://", o->server);
	char host[RC_ARGS_HOST_SIZE];
	uint16_t port;

	if (!rc_args_server(behind ? behind : o->server, host, &port))
		return wrong(o, "'%s' is not a server: HOST:PORT, or tls://HOST:PORT", o->server);
	const char *clash = rc_args_tls_wrong(&o->tls, behind != NULL);
	if (clash)
		return wrong(o, "%s", clash);
	return 0;
}

static int check(struct options *o, int count, char **operands)
{
	int names = o->closes ? 0 : 1;

	if (!o->user == !o->session)
		return wrong(o, "either --user or --session says whom it is for");
	if (count < names)
		return wrong(o, "the EVENT is missing");
	if (count > (o->closes ? 0 : 2))
		return wrong(o, "'%s' is one argument too many", operands[count - 1]);
	if (o->code && (o->code < RINGCAST_CLOSE_MIN || o->code > RINGCAST_CLOSE_MAX))
		return wrong(o, "--code is %d to %d", RINGCAST_CLOSE_MIN, RINGCAST_CLOSE_MAX);
	if (o->closes)
		return check_server(o);
	o->event = operands[0];
	if (!rc_event_name_valid(rc_str_of(o->event)))
		return wrong(o, "the event's name has 1 to %d bytes of text", RC_EVENT_NAME_MAX);
	o->data = count > 1 ? rc_str_of(operands[1]) : o->text ? RC_STR("") : RC_STR("null");
	if (!o->text && rc_json_validate(o->data, RC_JSON_DEPTH_LIMIT) != 0)
		return wrong(o, "the data is not JSON; --text sends any bytes");
	return check_server(o);
}

/* 0; USAGE; -1 when help was printed. */
static int parse(struct options *o, bool closes, int argc, char **argv)
{
	enum { SERVER_ = 256, TOKEN, USER, SESSION, TEXT, CODE, REASON, TIMEOUT };
	static const struct option longs[] = {{"server", required_argument, NULL, SERVER_},
		{"token", required_argument, NULL, TOKEN}, {"user", required_argument, NULL, USER},
		{"session", required_argument, NULL, SESSION}, {"text", no_argument, NULL, TEXT},
		{"code", required_argument, NULL, CODE},
		{"reason", required_argument, NULL, REASON},
		{"timeout", required_argument, NULL, TIMEOUT}, RC_ARGS_TLS_LONGS,
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *server = getenv("RINGCAST_INGEST_SERVER");

	*o = (struct options){.command = closes ? "disconnect" : "send",
		.server = server && *server ? server : SERVER,
		.token = getenv("RINGCAST_INGEST_TOKEN"),
		.timeout_ms = TIMEOUT_MS,
		.closes = closes};
	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
		bool other = closes ? c == TEXT : c == CODE || c == REASON;
		if (other)
			return wrong(o, "that option is for the other of the two");
		if (c == SERVER_)
			o->server = optarg;
		else if (c == TOKEN)
			o->token = optarg;
		else if (c == USER)
			o->user = optarg;
		else if (c == SESSION)
			o->session = optarg;
		else if (c == TEXT)
			o->text = true;
		else if (c == CODE)
			o->code =
				(int)strtol(optarg, NULL, 10) ? (int)strtol(optarg, NULL, 10) : -1;
		else if (c == REASON)
			o->reason = optarg;
		else if (c == TIMEOUT && !rc_args_duration(optarg, &o->timeout_ms))
			return wrong(o, "--timeout: '%s' is not a time such as 500ms", optarg);
		else if (c == 'h')
			return fputs(closes ? disconnect_usage : send_usage, stdout) < 0 ? USAGE
											 : -1;
		else if (c != TIMEOUT && !rc_args_tls_take(&o->tls, c, optarg))
			return USAGE;
	}
	return check(o, argc - optind, argv + optind);
}

/* ---- the gateway -------------------------------------------------------------------------------- */

static void on_ack(void *user, uint64_t sequence, const char *epoch, uint64_t offset)
{
	struct outcome *out = user;

	(void)sequence;
	if (epoch)
		out->connections = offset;
}

static void on_nack(void *user, uint64_t sequence, int code, const char *text)
{
	struct outcome *out = user;

	(void)sequence;
	out->refused = true;
	(void)snprintf(out->why, sizeof(out->why), "refused (%d): %s", code, text);
}

static void on_state(void *user, enum ringcast_state state, const char *text)
{
	struct outcome *out = user;

	if (state == RINGCAST_STATE_FAILED || !out->why[0])
		(void)snprintf(out->why, sizeof(out->why), "%s", text);
}

static int put(struct ringcast *r, const struct options *o)
{
	unsigned flags = RINGCAST_WANT_ACK | RINGCAST_POSITION;

	if (o->closes && o->user)
		return ringcast_disconnect_user(r, o->user, o->code, o->reason, flags, NULL);
	if (o->closes)
		return ringcast_disconnect_session(r, o->session, o->code, o->reason, flags, NULL);
	flags |= o->text ? 0 : RINGCAST_JSON;
	if (o->user)
		return ringcast_send_user(
			r, o->user, o->event, o->data.ptr, o->data.len, flags, NULL);
	return ringcast_send_session(
		r, o->session, o->event, o->data.ptr, o->data.len, flags, NULL);
}

static int told(const struct options *o, int rc, const struct outcome *out)
{
	if (rc == RINGCAST_OK && !out->refused) {
		(void)printf("%" PRIu64 "\n", out->connections);
		return fflush(stdout) != 0 || out->connections == 0 ? NOBODY : 0;
	}
	if (rc == RINGCAST_INVALID || rc == RINGCAST_TOO_LARGE)
		return wrong(o, "%s", ringcast_strerror(rc));
	(void)fprintf(stderr, "ringcast %s: %s: %s\n", o->command, o->server,
		out->why[0] ? out->why : ringcast_strerror(rc));
	return out->refused || rc == RINGCAST_FAILED ? NOBODY : NO_GATEWAY;
}

static int run(bool closes, int argc, char **argv)
{
	struct options o;
	struct outcome out = {0};
	struct ringcast *r = NULL;
	struct ringcast_options ro;
	int rc = parse(&o, closes, argc, argv);

	if (rc)
		return rc < 0 ? 0 : rc;
	ringcast_options_init(&ro, sizeof(ro));
	ro.host = o.server;
	ro.token = o.token;
	ro.connect_timeout_ms = o.timeout_ms;
	ro.ack_timeout_ms = o.timeout_ms;
	ro.publish_timeout_ms = o.timeout_ms;
	ro.user = &out;
	ro.ack = on_ack;
	ro.nack = on_nack;
	ro.state = on_state;
	ro.tls_ca = o.tls.ca;
	ro.tls_certificate = o.tls.certificate;
	ro.tls_key = o.tls.key;
	ro.tls_name = o.tls.name;
	ro.tls_insecure = o.tls.insecure ? RINGCAST_TLS_TRUST_ANYBODY : 0;
	rc = ringcast_open(&r, &ro);
	if (rc == RINGCAST_OK)
		rc = ringcast_wait_ready(r, o.timeout_ms);
	if (rc == RINGCAST_OK)
		rc = put(r, &o);
	if (rc == RINGCAST_OK)
		rc = ringcast_flush(r, o.timeout_ms);
	rc = told(&o, rc, &out);
	ringcast_close(r);
	return rc;
}

int rc_cli_send(int argc, char **argv)
{
	return run(false, argc, argv);
}

int rc_cli_disconnect(int argc, char **argv)
{
	return run(true, argc, argv);
}
