/* SPDX-License-Identifier: Apache-2.0
 *
 * `ringcast publish`: one event from the command line, or one per line of standard input, through libringcast. Ends
 * when every event was acknowledged or refused. Main thread.
 *
 * Events are numbered 1, 2, 3 … by the library or go on behind what the gateway holds for the publisher id; line_of
 * remembers for each that is under way which line it came from, so that a refusal can name it.
 */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/args.h"
#include "cli/lines.h"
#include "proto/json.h"
#include "proto/names.h"
#include "ringcast.h"
#include "ringcast/wire.h"

#define REFUSED    1
#define USAGE      2
#define NO_GATEWAY 3
#define SERVER     "127.0.0.1:7400"
#define TIMEOUT_MS 10000
#define TOKEN_MAX  4095
#define WINDOW     4096u /* a power of two */
/* No gateway takes a larger payload: the upper bound of its option max_message. */
#define PAYLOAD_MAX ((size_t)1 << 20)

static const char usage[] =
	"usage: ringcast publish [options] CHANNEL EVENT [DATA]\n"
	"       ringcast publish [options] --broadcast EVENT [DATA]\n"
	"\n"
	"Publishes one event, or with '-' as DATA one event per line of standard input (also without\n"
	"DATA, when standard input is a pipe or a file). Empty lines are passed over. Without any data\n"
	"the event carries null. Ends when the gateway has acknowledged or refused everything.\n"
	"\n"
	"  --server HOST:PORT  the gateway's ingest port (" SERVER "; RINGCAST_INGEST_SERVER);\n"
	"                      tls://HOST:PORT for the one that speaks TLS\n" RC_ARGS_TLS_HELP
	"  --token TOKEN       (RINGCAST_INGEST_TOKEN, which other users can't see)\n"
	"  --token-file PATH   the token is the first line of this file\n"
	"  --id PUBLISHER      publish each event once even when the connection breaks; without an id,\n"
	"                      an event whose acknowledgement was lost is published again\n"
	"  --text              DATA is opaque bytes; otherwise it must be JSON\n"
	"  --broadcast         to every client that is connected; there is no CHANNEL\n"
	"  --traceparent ID    the W3C trace that the events belong to\n"
	"  --position          print where each event stands in its channel, as epoch@offset\n"
	"  --timeout TIME      give up after so long without progress, such as 500ms (10s)\n"
	"  --quiet             say nothing when all went well\n"
	"  -h, --help\n"
	"\n"
	"DATA that begins with '-' stands behind '--'.\n"
	"\n"
	"Status: 0 all acknowledged; 1 the gateway refused an event or the token, or a line was none\n"
	"that can be sent; 2 wrong usage; 3 no gateway answers, or not in time.\n";

struct options {
	const char *server;
	const char *token;
	const char *id;
	const char *channel; /* NULL: broadcast */
	const char *event;
	const char *trace;
	struct rc_str data;
	struct rc_args_tls tls;
	bool over_tls;
	int timeout_ms;
	bool lines;
	bool text;
	bool position;
	bool quiet;
};

struct publish {
	const struct options *o;
	struct ringcast *r;
	uint64_t taken;   /* events that are or were in the window */
	uint64_t refused; /* of those, by the gateway */
	uint64_t unsent;  /* lines that could not be sent */
	uint64_t progress_ns;
	char failed[256]; /* what the library said when it gave up */
	uint64_t line_of[WINDOW];
};

/* ---- the command line ----------------------------------------------------------------------- */

static int RC_PRINTF(1, 2) wrong(const char *format, ...)
{
	va_list args;

	(void)fputs("ringcast publish: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputs("; 'ringcast publish --help' says what there is\n", stderr);
	return USAGE;
}

/* The first line of the file. */
static int read_token(const char *path, char token[TOKEN_MAX + 2])
{
	FILE *in = fopen(path, "re");

	if (in == NULL)
		return wrong("--token-file %s: %s", path, strerror(errno));
	size_t len = fread(token, 1, TOKEN_MAX + 1, in);
	bool failed = ferror(in) != 0;
	(void)fclose(in);
	token[len] = '\0';
	token[strcspn(token, "\r\n")] = '\0';
	if (failed || token[0] == '\0' || strlen(token) > TOKEN_MAX)
		return wrong("--token-file %s: its first line is no token", path);
	return 0;
}

static int check_channel(const char *channel)
{
	switch (rc_name_classify(rc_str_of(channel))) {
	case RC_NAME_CHANNEL:
		return 0;
	case RC_NAME_PATTERN:
		return wrong("'%s' is a pattern; events are published on one channel", channel);
	case RC_NAME_BAD:
	default:
		return wrong(
			"'%s' is not a channel: it has 1 to %d of letters, digits and _.:/$@=-",
			channel, RC_CHANNEL_MAX);
	}
}

/* A terminal has nobody to type an event per line, and /dev/null, as of a cron job, has none. */
static bool stdin_has_lines(void)
{
	struct stat st;

	return fstat(STDIN_FILENO, &st) == 0 && !S_ISCHR(st.st_mode);
}

static int parse_operands(struct options *o, bool broadcast, int count, char **operands)
{
	int names = broadcast ? 1 : 2;

	if (count < names)
		return wrong(broadcast ? "the EVENT is missing" : "CHANNEL and EVENT are needed");
	if (count > names + 1)
		return wrong("'%s' is one argument too many; data with spaces needs quotes",
			operands[names + 1]);
	if (!broadcast) {
		o->channel = operands[0];
		if (check_channel(o->channel) != 0)
			return USAGE;
	}
	o->event = operands[names - 1];
	if (!rc_event_name_valid(rc_str_of(o->event)))
		return wrong("the event's name has 1 to %d bytes of text, without control "
			     "characters",
			RC_EVENT_NAME_MAX);
	const char *data = count > names ? operands[names] : NULL;
	o->lines = data != NULL ? strcmp(data, "-") == 0 : stdin_has_lines();
	if (data != NULL)
		o->data = rc_str_of(data);
	else if (!o->text)
		o->data = RC_STR("null");
	if (!o->lines && !o->text && rc_json_validate(o->data, RC_JSON_DEPTH_LIMIT) != 0)
		return wrong(
			"the data is not JSON, where text has quotes of its own ('\"like this\"'); "
			"--text sends any bytes");
	return 0;
}

/* 0; USAGE; -1 when help was printed. The token lies in the caller's buffer. */
static int parse(struct options *o, char token[TOKEN_MAX + 2], int argc, char **argv)
{
	enum {
		SERVER_ = 256,
		TOKEN,
		TOKEN_FILE,
		ID,
		TEXT,
		BROADCAST,
		TRACE,
		POSITION,
		TIMEOUT,
		QUIET
	};
	static const struct option longs[] = {{"server", required_argument, NULL, SERVER_},
		{"token", required_argument, NULL, TOKEN},
		{"token-file", required_argument, NULL, TOKEN_FILE},
		{"id", required_argument, NULL, ID}, {"text", no_argument, NULL, TEXT},
		{"broadcast", no_argument, NULL, BROADCAST},
		{"traceparent", required_argument, NULL, TRACE},
		{"position", no_argument, NULL, POSITION},
		{"timeout", required_argument, NULL, TIMEOUT}, {"quiet", no_argument, NULL, QUIET},
		RC_ARGS_TLS_LONGS, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *env_server = getenv("RINGCAST_INGEST_SERVER");
	const char *file = NULL;
	bool broadcast = false;
	char host[RC_ARGS_HOST_SIZE];
	uint16_t port;

	*o = (struct options){.server = env_server != NULL && *env_server ? env_server : SERVER,
		.timeout_ms = TIMEOUT_MS};
	optind = 0; /* starts anew, also when this is not the first command line that getopt sees */
	for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
		switch (c) {
		case SERVER_:
			o->server = optarg;
			break;
		case TOKEN:
			o->token = optarg;
			break;
		case TOKEN_FILE:
			file = optarg;
			break;
		case ID:
			o->id = optarg;
			break;
		case TEXT:
			o->text = true;
			break;
		case BROADCAST:
			broadcast = true;
			break;
		case TRACE:
			o->trace = optarg;
			break;
		case POSITION:
			o->position = true;
			break;
		case TIMEOUT:
			if (!rc_args_duration(optarg, &o->timeout_ms))
				return wrong("--timeout: '%s' is not a time such as 500ms or 10s",
					optarg);
			break;
		case QUIET:
			o->quiet = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return -1;
		default:
			if (rc_args_tls_take(&o->tls, c, optarg))
				break;
			(void)fputs("'ringcast publish --help' says what there is\n", stderr);
			return USAGE;
		}
	}
	const char *behind = rc_args_behind("tls://", o->server);
	o->over_tls = behind != NULL;
	if (!rc_args_server(o->over_tls ? behind : o->server, host, &port))
		return wrong("'%s' is not a server: HOST:PORT, for example " SERVER
			     ", or tls://HOST:PORT",
			o->server);
	const char *clash = rc_args_tls_wrong(&o->tls, o->over_tls);
	if (clash != NULL)
		return wrong("%s%s", clash, o->over_tls ? "" : ", which tls:// asks for");
	if (o->token != NULL && file != NULL)
		return wrong("--token and --token-file name the same thing; give one");
	if (o->token != NULL && strlen(o->token) > TOKEN_MAX)
		return wrong("the token is longer than %d bytes", TOKEN_MAX);
	if (file != NULL) {
		if (read_token(file, token) != 0)
			return USAGE;
		o->token = token;
	} else if (o->token == NULL) {
		o->token = getenv("RINGCAST_INGEST_TOKEN");
	}
	return parse_operands(o, broadcast, argc - optind, argv + optind);
}

/* ---- what the gateway says ------------------------------------------------------------------ */

static const char *nack_name(int code)
{
	switch (code) {
	case RINGCAST_NACK_BAD_CHANNEL:
		return "bad channel";
	case RINGCAST_NACK_BAD_EVENT:
		return "bad event name";
	case RINGCAST_NACK_BAD_PAYLOAD:
		return "bad payload";
	case RINGCAST_NACK_TOO_LARGE:
		return "too large";
	case RINGCAST_NACK_FORBIDDEN:
		return "forbidden";
	case RINGCAST_NACK_NOT_SUPPORTED:
		return "not supported";
	case RINGCAST_NACK_INVALID_DATA:
		return "invalid data";
	case RINGCAST_NACK_OVER_CAPACITY:
		return "over capacity";
	case RINGCAST_NACK_RATE_LIMIT:
		return "rate limit";
	case RINGCAST_NACK_SHUTTING_DOWN:
		return "shutting down";
	case RINGCAST_NACK_JOURNAL_FAILED:
		return "journal failed";
	case RINGCAST_NACK_INTERNAL:
		return "internal";
	default:
		return "refused";
	}
}

/* line 0: there is none. */
static void say_refused(uint64_t line, const char *what, const char *text)
{
	(void)fputs("ringcast publish: ", stderr);
	if (line != 0)
		(void)fprintf(stderr, "line %" PRIu64 ": ", line);
	(void)fprintf(stderr, "%s%s%s\n", what, *text ? ": " : "", text);
}

static void on_ack(void *user, uint64_t sequence, const char *epoch, uint64_t offset)
{
	struct publish *p = user;

	(void)sequence;
	p->progress_ns = rc_clock_mono_ns();
	if (p->o->position && epoch != NULL)
		(void)printf("%s@%" PRIu64 "\n", epoch, offset);
}

static void on_nack(void *user, uint64_t sequence, int code, const char *text)
{
	struct publish *p = user;
	char what[64];

	p->progress_ns = rc_clock_mono_ns();
	p->refused++;
	(void)snprintf(what, sizeof(what), "refused, %s (%d)", nack_name(code), code);
	say_refused(p->line_of[sequence % WINDOW], what, text);
}

static void on_state(void *user, enum ringcast_state state, const char *text)
{
	struct publish *p = user;

	if (state == RINGCAST_STATE_FAILED)
		(void)snprintf(p->failed, sizeof(p->failed), "%s", text);
}

static uint64_t acknowledged(const struct publish *p)
{
	return p->taken - p->refused - (p->r != NULL ? ringcast_unacked(p->r) : 0);
}

/* ---- the connection ------------------------------------------------------------------------- */

/* What is left of the time without progress, in milliseconds. */
static int left_ms(const struct publish *p)
{
	uint64_t gone = (rc_clock_mono_ns() - p->progress_ns) / 1000000;

	return gone >= (uint64_t)p->o->timeout_ms ? 0 : p->o->timeout_ms - (int)gone;
}

static int give_up(const struct publish *p, const char *why)
{
	const char *last = ringcast_last_error(p->r);
	bool more = *last != '\0' && strcmp(last, why) != 0;

	(void)fprintf(stderr, "ringcast publish: %s: %s%s%s; ", p->o->server, why, more ? ": " : "",
		more ? last : "");
	if (p->taken == 0)
		(void)fputs("nothing was published\n", stderr);
	else
		(void)fprintf(stderr, "%" PRIu64 " of %" PRIu64 " events acknowledged\n",
			acknowledged(p), p->taken);
	return NO_GATEWAY;
}

/* The gateway says that coming back can't help: its answer is no. */
static int told_no(const struct publish *p)
{
	(void)give_up(p, ringcast_last_error(p->r));
	return REFUSED;
}

/*
 * Unlike the library, which comes back for ever, nobody who types a command wants to wait for a gateway that does not
 * run: when every address was tried once, that is the answer.
 */
static int connect_once(struct publish *p)
{
	while (ringcast_state(p->r) != RINGCAST_STATE_READY) {
		int left = left_ms(p);

		if (ringcast_state(p->r) == RINGCAST_STATE_FAILED)
			return told_no(p);
		if (ringcast_state(p->r) == RINGCAST_STATE_WAITING && ringcast_timeout(p->r) > 0)
			return give_up(p,
				p->o->over_tls ? "no TLS connection" : "no gateway answers there");
		if (left == 0)
			return give_up(p, "no answer in time");
		(void)ringcast_poll(p->r, left);
	}
	p->progress_ns = rc_clock_mono_ns();
	return 0;
}

static int open_link(struct publish *p)
{
	const struct options *o = p->o;
	struct ringcast_options ro;

	ringcast_options_init(&ro, sizeof(ro));
	ro.host = o->server;
	ro.token = o->token;
	ro.publisher = o->id;
	ro.window_events = WINDOW;
	ro.connect_timeout_ms = o->timeout_ms;
	ro.ack_timeout_ms = o->timeout_ms;
	ro.publish_timeout_ms = o->timeout_ms;
	ro.user = p;
	ro.ack = on_ack;
	ro.nack = on_nack;
	ro.state = on_state;
	ro.tls_ca = o->tls.ca;
	ro.tls_certificate = o->tls.certificate;
	ro.tls_key = o->tls.key;
	ro.tls_name = o->tls.name;
	ro.tls_insecure = o->tls.insecure ? RINGCAST_TLS_TRUST_ANYBODY : 0;
	p->progress_ns = rc_clock_mono_ns();
	int rc = ringcast_open(&p->r, &ro);
	if (rc == RINGCAST_INVALID)
		return wrong(
			"--id has up to %d of letters, digits and _.:-", RINGCAST_PUBLISHER_ID_MAX);
	if (rc == RINGCAST_TLS)
		return wrong("%s", p->failed);
	if (rc != RINGCAST_OK) {
		(void)fprintf(
			stderr, "ringcast publish: %s: %s\n", o->server, ringcast_strerror(rc));
		return NO_GATEWAY;
	}
	if (ringcast_set_trace(p->r, o->trace) != RINGCAST_OK)
		return wrong("--traceparent '%s' is none: 00-TRACE-PARENT-FLAGS, all in lower-case "
			     "hex digits",
			o->trace);
	return connect_once(p);
}

/* ---- events --------------------------------------------------------------------------------- */

/* line 0: from the command line. More events follow at once when `more`. 0, or the status to end with. */
static int send_event(struct publish *p, struct rc_str data, uint64_t line, bool more)
{
	const struct options *o = p->o;
	unsigned flags = (o->text ? 0 : RINGCAST_JSON) | (o->position ? RINGCAST_POSITION : 0) |
			 (more ? RINGCAST_MORE : 0);
	uint64_t sequence = 0;
	int rc;

	if (ringcast_unacked(p->r) == 0)
		p->progress_ns = rc_clock_mono_ns();
	if (o->channel != NULL)
		rc = ringcast_publish(
			p->r, o->channel, o->event, data.ptr, data.len, flags, &sequence);
	else
		rc = ringcast_broadcast(p->r, o->event, data.ptr, data.len, flags, &sequence);
	switch (rc) {
	case RINGCAST_OK:
		p->line_of[sequence % WINDOW] = line;
		p->taken++;
		return 0;
	case RINGCAST_TOO_LARGE:
		p->unsent++;
		say_refused(line, "not sent, the data is larger than the gateway takes", "");
		return 0;
	case RINGCAST_FAILED:
		return told_no(p);
	default:
		return give_up(
			p, rc == RINGCAST_AGAIN ? "no answer in time" : ringcast_strerror(rc));
	}
}

static bool blank(struct rc_str line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.ptr[i] != ' ' && line.ptr[i] != '\t' && line.ptr[i] != '\r')
			return false;
	}
	return true;
}

/* All whole lines that are there. */
static int send_lines(struct publish *p, struct rc_lines *l)
{
	struct rc_str line;
	enum rc_line got;
	int status = 0;

	while (status == 0 && (got = rc_lines_next(l, &line)) != RC_LINE_MORE) {
		if (got == RC_LINE_LONG) {
			p->unsent++;
			say_refused(l->number, "not sent, the line is longer than 1 MiB", "");
		} else if (p->o->text ? line.len == 0 : blank(line)) {
			continue;
		} else if (!p->o->text && rc_json_validate(line, RC_JSON_DEPTH_LIMIT) != 0) {
			p->unsent++;
			say_refused(l->number, "not sent, the line is not JSON", "");
		} else {
			status = send_event(p, line, l->number, true);
		}
	}
	return status;
}

/* Waits for input, and meanwhile for answers. 1: there is input, or it has ended; 0; or minus the status to end with. */
static int wait_for_input(struct publish *p)
{
	int want = ringcast_want(p->r), due = ringcast_timeout(p->r);
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = ringcast_fd(p->r)}};

	if (want & RINGCAST_WANT_READ)
		fds[1].events |= POLLIN;
	if (want & RINGCAST_WANT_WRITE)
		fds[1].events |= POLLOUT;
	/* Input may take its time; answers may not. */
	if (ringcast_unacked(p->r) > 0) {
		int left = left_ms(p);
		if (left == 0)
			return -give_up(p, "no answer in time");
		if (due < 0 || left < due)
			due = left;
	}
	if (poll(fds, 2, due) < 0 && errno != EINTR)
		return -give_up(p, strerror(errno));
	if (ringcast_poll(p->r, 0) == RINGCAST_FAILED)
		return -told_no(p);
	(void)fflush(stdout);
	return fds[0].revents != 0;
}

static int publish_lines(struct publish *p)
{
	struct rc_lines l = {.size = PAYLOAD_MAX + 1};
	int status = 0;

	l.buf = malloc(l.size);
	if (l.buf == NULL)
		return give_up(p, "out of memory");
	while (status == 0 && !l.ended) {
		int ready = wait_for_input(p);
		size_t room;
		if (ready <= 0) {
			status = -ready;
			continue;
		}
		char *at = rc_lines_room(&l, &room);
		ssize_t n = read(STDIN_FILENO, at, room);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0) {
			(void)fprintf(
				stderr, "ringcast publish: standard input: %s\n", strerror(errno));
			p->unsent++;
		}
		l.ended = n <= 0;
		l.end += n > 0 ? (size_t)n : 0;
		status = send_lines(p, &l);
	}
	free(l.buf);
	return status;
}

static int await_answers(struct publish *p)
{
	while (ringcast_unacked(p->r) > 0) {
		int left = left_ms(p);

		if (left == 0)
			return give_up(p, "no answer in time");
		if (ringcast_poll(p->r, left) == RINGCAST_FAILED)
			return told_no(p);
	}
	return p->refused + p->unsent > 0 ? REFUSED : 0;
}

static void say_done(const struct publish *p)
{
	uint64_t count = acknowledged(p), lost = p->refused + p->unsent;

	if (p->o->quiet && lost == 0)
		return;
	(void)fprintf(stderr, "ringcast publish: %" PRIu64 " event%s acknowledged", count,
		count == 1 ? "" : "s");
	if (lost > 0)
		(void)fprintf(stderr, ", %" PRIu64 " refused", lost);
	(void)fputc('\n', stderr);
}

int rc_cli_publish(int argc, char **argv)
{
	static char token[TOKEN_MAX + 2];
	static struct publish p;
	struct options o;
	int status = parse(&o, token, argc, argv);

	if (status != 0)
		return status < 0 ? 0 : status;
	p = (struct publish){.o = &o};
	status = open_link(&p);
	if (status == 0)
		status = o.lines ? publish_lines(&p) : send_event(&p, o.data, 0, false);
	if (status == 0) {
		status = await_answers(&p);
		if (status <= REFUSED)
			say_done(&p);
	}
	ringcast_close(p.r);
	if (fflush(stdout) != 0 && status == 0) {
		(void)fprintf(stderr, "ringcast publish: standard output: %s\n", strerror(errno));
		status = REFUSED;
	}
	return status;
}
