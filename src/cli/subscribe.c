/* SPDX-License-Identifier: Apache-2.0
 *
 * `ringcast subscribe`: prints the events of channels and patterns as they come, one a line, until it is told to stop.
 * What is not an event goes to standard error. Main thread; a signal only writes a byte into a pipe.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/args.h"
#include "cli/eventline.h"
#include "cli/wsclient.h"
#include "proto/json.h"
#include "proto/names.h"
#include "proto/textbuf.h"

#define NO                 1
#define USAGE              2
#define NO_GATEWAY         3
#define SERVER             "127.0.0.1:8080"
#define PROTOCOL           "ringcast.v1.json"
#define CONNECT_TIMEOUT_MS 10000
/* For the gateway's answer to our close. */
#define FAREWELL_MS 1000
/* Heartbeats that may stay out before the gateway counts as gone. */
#define SILENT_HEARTBEATS 3
#define OUT_BUFFER        65536

static const char usage[] =
	"usage: ringcast subscribe [options] CHANNEL...\n"
	"\n"
	"Prints the events of channels and patterns (news:*, agent:**) as they come, each as a line\n"
	"'channel event offset data'. Opaque data is shown as text where it is text, else as base64:...\n"
	"The messages of a namespace with raw = yes have no channel: '- - - data'.\n"
	"\n"
	"  --server HOST:PORT  the gateway's HTTP port (" SERVER ");\n"
	"                      wss://HOST:PORT for the one that speaks TLS; a path may follow\n"
	"  --path PATH         where its WebSocket is (/ws)\n" RC_ARGS_TLS_HELP
	"  --count N           end after N events\n"
	"  --timeout TIME      end with status 1 when no event came for so long, such as 500ms\n"
	"  --raw               print the data alone, opaque bytes as they are\n"
	"  --json              print the gateway's messages whole\n"
	"  --all               print on standard error what the gateway says besides events\n"
	"  -h, --help\n"
	"\n"
	"Line ends inside data become spaces, but in opaque data under --raw.\n"
	"\n"
	"Status: 0 N events came, or nobody reads any more; 1 no event in time, a channel was refused,\n"
	"or the gateway ended it; 2 wrong usage; 3 no gateway answers; 130 and 143 on SIGINT and SIGTERM.\n";

struct options {
	const char *server;
	char host[RC_ARGS_HOST_SIZE];
	uint16_t port;
	const char *path;
	bool over_tls;
	struct rc_args_tls tls;
	uint64_t count; /* 0: no end */
	int timeout_ms; /* 0: none */
	enum rc_eventline_format format;
	bool all;
	char **channels;
	size_t channel_count;
};

struct subscribe {
	const struct options *o;
	struct rc_wsclient ws;
	uint64_t events;
	uint64_t event_ns; /* when the last one came */
	uint64_t heard_ns; /* when anything did */
	uint64_t heartbeat_ms;
	int status; /* to end with; -1: go on */
};

static volatile sig_atomic_t stop_signal;
static int wake[2] = {-1, -1};

static int RC_PRINTF(1, 2) say(const char *format, ...)
{
	va_list args;

	(void)fputs("ringcast subscribe: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return USAGE;
}

/* ---- the command line ----------------------------------------------------------------------- */

static bool path_valid(const char *path)
{
	for (const char *p = path; *p; p++) {
		if (*p <= ' ' || *p > '~' || *p == '#')
			return false;
	}
	return path[0] == '/' && strlen(path) <= 1024;
}

static int parse_channels(struct options *o, int count, char **channels)
{
	if (count == 0)
		return say("a CHANNEL is needed; 'ringcast subscribe --help' says what there is");
	o->channels = channels;
	o->channel_count = (size_t)count;
	for (int i = 0; i < count; i++) {
		if (rc_name_classify(rc_str_of(channels[i])) == RC_NAME_BAD)
			return say("'%s' is not a channel (1 to %d of letters, digits and "
				   "_.:/$@=-) nor a pattern (with * as a level, or ** as the last)",
				channels[i], RC_CHANNEL_MAX);
	}
	return 0;
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
static int parse_server(struct options *o)
{
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
		return say("--path: there is one in --server already");
	if (slash != NULL)
		o->path = slash;
	if (o->path == NULL)
		o->path = "/ws";
	if (!path_valid(o->path))
		return say("'%s' is not a path such as /ws", o->path);
	if (!fits || !rc_args_server(where, o->host, &o->port)) {
		if (fits && at != o->server)
			strcat(where, o->over_tls ? ":443" : ":80");
		if (!fits || !rc_args_server(where, o->host, &o->port))
			return say("--server: '%s' is not HOST:PORT, for example " SERVER
				   ", nor wss://HOST:PORT",
				o->server);
	}
	const char *wrong = rc_args_tls_wrong(&o->tls, o->over_tls);
	return wrong != NULL ? say("%s%s", wrong, o->over_tls ? "" : ", which wss:// asks for") : 0;
}

/* 0; USAGE; -1 when help was printed. */
static int parse(struct options *o, int argc, char **argv)
{
	enum { SERVER_ = 256, PATH, COUNT, TIMEOUT, RAW, JSON, ALL };
	static const struct option longs[] = {{"server", required_argument, NULL, SERVER_},
		{"path", required_argument, NULL, PATH}, {"count", required_argument, NULL, COUNT},
		{"timeout", required_argument, NULL, TIMEOUT}, {"raw", no_argument, NULL, RAW},
		{"json", no_argument, NULL, JSON}, {"all", no_argument, NULL, ALL},
		RC_ARGS_TLS_LONGS, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	bool raw = false, json = false;

	*o = (struct options){.server = SERVER};
	optind = 0; /* starts anew, also when this is not the first command line that getopt sees */
	for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
		switch (c) {
		case SERVER_:
			o->server = optarg;
			break;
		case PATH:
			o->path = optarg;
			break;
		case COUNT:
			if (!parse_count(optarg, &o->count))
				return say("--count: '%s' is not a number from 1", optarg);
			break;
		case TIMEOUT:
			if (!rc_args_duration(optarg, &o->timeout_ms))
				return say("--timeout: '%s' is not a time such as 500ms or 10s",
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
		case 'h':
			(void)fputs(usage, stdout);
			return -1;
		default:
			if (rc_args_tls_take(&o->tls, c, optarg))
				break;
			(void)fputs("'ringcast subscribe --help' says what there is\n", stderr);
			return USAGE;
		}
	}
	if (raw && json)
		return say("--raw and --json contradict each other; give one");
	o->format = raw ? RC_EVENTLINE_DATA : json ? RC_EVENTLINE_MESSAGE : RC_EVENTLINE_FIELDS;
	int status = parse_server(o);
	if (status != 0)
		return status;
	return parse_channels(o, argc - optind, argv + optind);
}

/* ---- signals -------------------------------------------------------------------------------- */

static void on_signal(int number)
{
	int saved = errno;

	stop_signal = number;
	(void)!write(wake[1], "", 1);
	errno = saved;
}

/* The second one ends the process as if nobody had asked for it. */
static int catch_signals(void)
{
	struct sigaction stop = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	(void)sigaction(SIGINT, &stop, NULL);
	(void)sigaction(SIGTERM, &stop, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	return 0;
}

/* ---- messages ------------------------------------------------------------------------------- */

static void end(struct subscribe *s, int status)
{
	if (s->status < 0)
		s->status = status;
}

/* Nobody reads any more: that is no failure, `head` does it. */
static void output_failed(struct subscribe *s, int error)
{
	if (error == EINTR && stop_signal != 0)
		return;
	if (error != EPIPE)
		say("standard output: %s", strerror(error));
	end(s, error == EPIPE ? 0 : NO);
}

static void flush(struct subscribe *s)
{
	if (fflush(stdout) != 0)
		output_failed(s, errno);
}

static void control_came(struct subscribe *s, const struct rc_eventline *m, struct rc_str text)
{
	char first[RC_CHANNEL_MAX + 1], second[512];

	if (s->o->all) {
		(void)!rc_eventline_print(stderr, RC_EVENTLINE_MESSAGE, m, text);
	} else if (m->kind == RC_EVENTLINE_ERROR) {
		say("the gateway says: %s (%s)",
			rc_eventline_text(m->message, second, sizeof(second)),
			rc_eventline_text(m->code, first, sizeof(first)));
	} else if (m->kind == RC_EVENTLINE_GAP) {
		say("%.*s events of %s were missed", (int)m->missed.raw.len, m->missed.raw.ptr,
			rc_eventline_text(m->channel, first, sizeof(first)));
	} else if (m->kind == RC_EVENTLINE_BYE) {
		say("the gateway says good-bye: %s",
			rc_eventline_text(m->code, first, sizeof(first)));
	}
	if (m->kind == RC_EVENTLINE_CONNECTED)
		s->heartbeat_ms = rc_eventline_number(m->heartbeat);
	/* Ours is the only request that has an id. */
	if (m->kind == RC_EVENTLINE_ERROR && m->id.kind != RC_JSON_NONE)
		end(s, NO);
}

static void message_came(struct subscribe *s, struct rc_str text, bool binary)
{
	struct rc_eventline m;

	rc_eventline_parse(&m, text, binary);
	if (m.kind != RC_EVENTLINE_EVENT && m.kind != RC_EVENTLINE_BARE) {
		control_came(s, &m, text);
		return;
	}
	s->event_ns = rc_clock_mono_ns();
	if (!rc_eventline_print(stdout, s->o->format, &m, text))
		output_failed(s, errno);
	if (++s->events == s->o->count)
		end(s, 0);
}

static void closed(struct subscribe *s)
{
	const char *reason = s->ws.close_reason;

	if (s->status >= 0)
		return;
	if (!rc_args_printable(rc_str_of(reason)))
		reason = "";
	say("the gateway closed the connection: %u%s%s", s->ws.close_code, *reason ? ", " : "",
		reason);
	end(s, NO);
}

/* What has come so far. */
static void take_messages(struct subscribe *s)
{
	struct rc_error err;
	struct rc_str text;
	bool binary;

	while (s->status < 0) {
		switch (rc_wsclient_next(&s->ws, &text, &binary, &err)) {
		case RC_WSCLIENT_MESSAGE:
			message_came(s, text, binary);
			break;
		case RC_WSCLIENT_CLOSED:
			closed(s);
			break;
		case RC_WSCLIENT_FAILED:
			say("%s", err.text);
			end(s, NO);
			break;
		case RC_WSCLIENT_MORE:
		default:
			flush(s);
			return;
		}
	}
	flush(s);
}

/* ---- the loop ------------------------------------------------------------------------------- */

static uint64_t gone_ms(uint64_t since_ns)
{
	return (rc_clock_mono_ns() - since_ns) / 1000000;
}

/* Milliseconds until somebody's patience ends, -1 when nobody's does. */
static int patience(const struct subscribe *s)
{
	uint64_t left = UINT64_MAX, limit, gone;

	if (s->o->timeout_ms > 0) {
		limit = (uint64_t)s->o->timeout_ms;
		gone = gone_ms(s->event_ns);
		left = gone >= limit ? 0 : limit - gone;
	}
	if (s->heartbeat_ms > 0) {
		limit = s->heartbeat_ms * SILENT_HEARTBEATS;
		gone = gone_ms(s->heard_ns);
		left = RC_MIN(left, gone >= limit ? 0 : limit - gone);
	}
	return left == UINT64_MAX ? -1 : (int)RC_MIN(left, (uint64_t)INT32_MAX);
}

static void patience_ended(struct subscribe *s)
{
	uint64_t timeout = (uint64_t)s->o->timeout_ms;

	if (timeout > 0 && gone_ms(s->event_ns) >= timeout)
		say("no event came within %d ms", s->o->timeout_ms);
	else
		say("the gateway has gone silent");
	end(s, NO);
}

static void turn(struct subscribe *s)
{
	/* Standard output is there for its POLLERR alone: a pipe that nobody reads from any more. */
	struct pollfd fds[3] = {{.fd = s->ws.fd, .events = POLLIN},
		{.fd = wake[0], .events = POLLIN}, {.fd = STDOUT_FILENO}};
	struct rc_error err;
	int wait_ms = patience(s);
	int rc = poll(fds, 3, wait_ms);

	if (stop_signal != 0) {
		end(s, 128 + stop_signal);
	} else if (rc < 0 && errno != EINTR) {
		say("poll: %s", strerror(errno));
		end(s, NO);
	} else if (rc > 0 && fds[2].revents & (POLLERR | POLLHUP | POLLNVAL)) {
		end(s, 0);
	} else if (rc > 0 && fds[0].revents != 0) {
		rc = rc_wsclient_receive(&s->ws, &err);
		s->heard_ns = rc_clock_mono_ns();
		if (rc < 0) {
			say("%s", err.text);
			end(s, NO);
		}
		take_messages(s);
	}
	if (s->status < 0 && patience(s) == 0)
		patience_ended(s);
}

/* The closing handshake. What still comes is not looked at. */
static void say_farewell(struct subscribe *s)
{
	uint64_t since = rc_clock_mono_ns();
	struct pollfd p = {.fd = s->ws.fd, .events = POLLIN};
	struct rc_error err;
	struct rc_str text;
	bool binary;

	rc_wsclient_close(&s->ws, 1000);
	while (s->ws.close_code == 0 && gone_ms(since) < FAREWELL_MS) {
		enum rc_wsclient_event e = rc_wsclient_next(&s->ws, &text, &binary, &err);
		if (e == RC_WSCLIENT_MESSAGE)
			continue;
		if (e != RC_WSCLIENT_MORE)
			return;
		if (poll(&p, 1, FAREWELL_MS - (int)gone_ms(since)) <= 0 ||
			rc_wsclient_receive(&s->ws, &err) < 0)
			return;
	}
}

static int send_request(struct subscribe *s, struct rc_error *err)
{
	const struct options *o = s->o;
	struct rc_textbuf b = {.cap = 64 + o->channel_count * (RC_CHANNEL_MAX + 3)};

	b.ptr = malloc(b.cap);
	if (b.ptr == NULL)
		return rc_error_set(err, "out of memory");
	rc_textbuf_add_text(&b, "{\"type\":\"subscribe\",\"id\":\"1\",\"channels\":[");
	for (size_t i = 0; i < o->channel_count; i++) {
		if (i > 0)
			rc_textbuf_add_char(&b, ',');
		rc_textbuf_add_string(&b, rc_str_of(o->channels[i]));
	}
	rc_textbuf_add_text(&b, "]}");
	RC_ASSERT(!b.full);
	int rc = rc_wsclient_send(&s->ws, RC_WS_TEXT, rc_textbuf_str(&b), err);
	free(b.ptr);
	return rc;
}

/* 0 with NULL when there is to be none. */
static int prepare_tls(const struct options *o, struct rc_client_tls **tls)
{
	struct rc_client_tls_options t = {.host = o->tls.name != NULL ? o->tls.name : o->host,
		.ca = o->tls.ca,
		.certificate = o->tls.certificate,
		.key = o->tls.key,
		.protocol = "http/1.1",
		.trust_anybody = o->tls.insecure};
	char why[RC_CLIENT_TLS_WHY];

	*tls = NULL;
	return o->over_tls && rc_client_tls_open(tls, &t, why) < 0 ? say("%s", why) : 0;
}

static int run(struct subscribe *s)
{
	const struct options *o = s->o;
	struct rc_client_tls *tls;
	struct rc_error err;
	int timeout_ms =
		o->timeout_ms > 0 ? RC_MIN(o->timeout_ms, CONNECT_TIMEOUT_MS) : CONNECT_TIMEOUT_MS;

	int rc = prepare_tls(o, &tls);
	if (rc != 0)
		return rc;
	if (rc_wsclient_open(&s->ws, tls, o->host, o->port, o->path, PROTOCOL, timeout_ms, &err) <
			0 ||
		send_request(s, &err) < 0) {
		say("%s: %s", o->server, err.text);
		return NO_GATEWAY;
	}
	rc = catch_signals();
	if (rc < 0) {
		say("%s", strerror(-rc));
		return NO;
	}
	(void)setvbuf(stdout, NULL, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, OUT_BUFFER);
	s->event_ns = s->heard_ns = rc_clock_mono_ns();
	take_messages(s);
	while (s->status < 0)
		turn(s);
	say_farewell(s);
	return s->status;
}

int rc_cli_subscribe(int argc, char **argv)
{
	static struct subscribe s;
	struct options o;
	int status = parse(&o, argc, argv);

	if (status != 0)
		return status < 0 ? 0 : status;
	s = (struct subscribe){.o = &o, .status = -1};
	rc_wsclient_init(&s.ws, -1);
	status = run(&s);
	rc_wsclient_deinit(&s.ws);
	return status;
}
