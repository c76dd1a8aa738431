/* SPDX-License-Identifier: Apache-2.0
 *
 * `ringcast subscribe`: prints the events of channels and patterns as they come, one a line, until it is told to stop.
 * `ringcast command` says one thing to a backend and prints its answer. What is neither goes to standard error. Main thread; a signal only writes a byte into a pipe.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/subscribeargs.h"
#include "cli/wsclient.h"
#include "proto/json.h"
#include "proto/names.h"
#include "proto/textbuf.h"

#define NO                 1
#define NO_GATEWAY         3
#define PROTOCOL           "ringcast.v1.json"
#define CONNECT_TIMEOUT_MS 10000
/* For the gateway's answer to our close. */
#define FAREWELL_MS 1000
/* Heartbeats that may stay out before the gateway counts as gone. */
#define SILENT_HEARTBEATS 3
#define OUT_BUFFER        65536

struct subscribe {
	const struct rc_subscribe_options *o;
	struct rc_wsclient ws;
	uint64_t events;
	uint64_t event_ns; /* when the last one came */
	uint64_t heard_ns; /* when anything did */
	uint64_t heartbeat_ms;
	int status; /* to end with; -1: go on */
};

static volatile sig_atomic_t stop_signal;
static int wake[2] = {-1, -1};

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
		rc_subscribe_say("standard output: %s", strerror(error));
	end(s, error == EPIPE ? 0 : NO);
}

static void flush(struct subscribe *s)
{
	if (fflush(stdout) != 0)
		output_failed(s, errno);
}

static void gap_came(const struct rc_eventline *m)
{
	char channel[RC_CHANNEL_MAX + 1], reason[32];
	bool counted = m->missed.kind == RC_JSON_NUMBER;
	const char *why = rc_eventline_text(m->reason, reason, sizeof(reason));

	rc_subscribe_say("%.*s events of %s were missed%s", counted ? (int)m->missed.raw.len : 4,
		counted ? m->missed.raw.ptr : "some",
		rc_eventline_text(m->channel, channel, sizeof(channel)),
		strcmp(why, "slow") == 0      ? ": they came faster than they were read"
		: strcmp(why, "trimmed") == 0 ? ": they are not kept any more"
					      : "");
}

/* The channels whose missed events are not given, or not all of them. */
static void reasons_came(const struct rc_eventline *m)
{
	char channel[RC_CHANNEL_MAX + 1], reason[32];
	struct rc_json_value v = rc_eventline_member(m->data, RC_STR("reasons"));
	struct rc_json_iter it;
	struct rc_str key;

	if (v.kind != RC_JSON_OBJECT)
		return;
	rc_json_object_begin(&it, v.raw);
	while (rc_json_object_next(&it, &key, &v)) {
		struct rc_json_value name = {RC_JSON_STRING, {key.ptr - 1, key.len + 2}};

		rc_subscribe_say("not all events of %s since then can be given (%s)",
			rc_eventline_text(name, channel, sizeof(channel)),
			rc_eventline_text(v, reason, sizeof(reason)));
	}
}

static void control_came(struct subscribe *s, const struct rc_eventline *m, struct rc_str text)
{
	char first[RC_CHANNEL_MAX + 1], second[512];

	if (s->o->all) {
		(void)!rc_eventline_print(stderr, RC_EVENTLINE_MESSAGE, m, text);
	} else if (m->kind == RC_EVENTLINE_ERROR) {
		rc_subscribe_say("the gateway says: %s (%s)",
			rc_eventline_text(m->message, second, sizeof(second)),
			rc_eventline_text(m->code, first, sizeof(first)));
	} else if (m->kind == RC_EVENTLINE_GAP) {
		gap_came(m);
	} else if (m->kind == RC_EVENTLINE_ACK) {
		reasons_came(m);
	} else if (m->kind == RC_EVENTLINE_BYE) {
		rc_subscribe_say("the gateway says good-bye: %s",
			rc_eventline_text(m->code, first, sizeof(first)));
	}
	if (m->kind == RC_EVENTLINE_CONNECTED)
		s->heartbeat_ms = rc_eventline_number(m->heartbeat);
	/* Ours is the only request that has an id. */
	if (m->kind == RC_EVENTLINE_ERROR && m->id.kind != RC_JSON_NONE)
		end(s, NO);
}

static void reply_came(struct subscribe *s, const struct rc_eventline *m, struct rc_str text)
{
	struct rc_str answer = s->o->format == RC_EVENTLINE_MESSAGE ? text : m->data.raw;

	if (fwrite(answer.ptr, 1, answer.len, stdout) != answer.len || fputc('\n', stdout) == EOF)
		output_failed(s, errno);
	end(s, 0);
}

static void message_came(struct subscribe *s, struct rc_str text, bool binary)
{
	enum rc_eventline_format format = s->o->format;
	struct rc_eventline m;

	rc_eventline_parse(&m, text, binary);
	bool event = m.kind == RC_EVENTLINE_EVENT || m.kind == RC_EVENTLINE_BARE;
	if (s->o->type != NULL && m.kind == RC_EVENTLINE_REPLY) {
		reply_came(s, &m, text);
		return;
	}
	/* What the backend makes it hear besides is not asked for. */
	if (s->o->type != NULL && event)
		return;
	if (m.kind == RC_EVENTLINE_GATHERED) {
		format = RC_EVENTLINE_MESSAGE;
	} else if (!event) {
		control_came(s, &m, text);
		return;
	}
	s->event_ns = rc_clock_mono_ns();
	if (!rc_eventline_print(stdout, format, &m, text))
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
	rc_subscribe_say("the gateway closed the connection: %u%s%s", s->ws.close_code,
		*reason ? ", " : "", reason);
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
			rc_subscribe_say("%s", err.text);
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
		rc_subscribe_say("no %s came within %d ms", s->o->type != NULL ? "answer" : "event",
			s->o->timeout_ms);
	else
		rc_subscribe_say("the gateway has gone silent");
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
		rc_subscribe_say("poll: %s", strerror(errno));
		end(s, NO);
	} else if (rc > 0 && fds[2].revents & (POLLERR | POLLHUP | POLLNVAL)) {
		end(s, 0);
	} else if (rc > 0 && fds[0].revents != 0) {
		rc = rc_wsclient_receive(&s->ws, &err);
		s->heard_ns = rc_clock_mono_ns();
		if (rc < 0) {
			rc_subscribe_say("%s", err.text);
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

static void add_since(struct rc_textbuf *b, const char *since)
{
	uint64_t ms;

	if (since == NULL)
		return;
	rc_textbuf_add_text(b, ",\"since\":");
	if (rc_u64_parse(rc_str_of(since), &ms) == 0)
		rc_textbuf_add_u64(b, ms);
	else
		rc_textbuf_add_string(b, rc_str_of(since));
}

static size_t length(const char *text)
{
	return text != NULL ? 6 * strlen(text) : 0;
}

static void add_less(struct rc_textbuf *b, const struct rc_subscribe_options *o)
{
	if (o->filter != NULL) {
		rc_textbuf_add_text(b, ",\"filter\":");
		rc_textbuf_add_string(b, rc_str_of(o->filter));
	}
	if (o->rate != NULL) {
		rc_textbuf_add_text(b, ",\"rate\":");
		rc_textbuf_add_text(b, o->rate);
	}
	if (o->key != NULL) {
		rc_textbuf_add_text(b, ",\"key\":");
		rc_textbuf_add_string(b, rc_str_of(o->key));
	}
	if (o->window_ms > 0) {
		rc_textbuf_add_text(b, ",\"window\":");
		rc_textbuf_add_u64(b, (uint64_t)o->window_ms);
	}
	if (o->summary)
		rc_textbuf_add_text(b, ",\"summary\":true");
}

static void put_command(struct rc_textbuf *b, const struct rc_subscribe_options *o)
{
	rc_textbuf_add_text(b, "{\"type\":");
	rc_textbuf_add_string(b, rc_str_of(o->type));
	rc_textbuf_add_text(b, strcmp(o->type, "command") == 0 ? ",\"id\":\"1\",\"action\":"
							       : ",\"id\":\"1\",\"payload\":");
	rc_textbuf_add_text(b, o->payload);
	rc_textbuf_add_char(b, '}');
}

static void put_subscribe(struct rc_textbuf *b, const struct rc_subscribe_options *o)
{
	rc_textbuf_add_text(b, "{\"type\":\"subscribe\",\"id\":\"1\",\"channels\":[");
	for (size_t i = 0; i < o->channel_count; i++) {
		if (i > 0)
			rc_textbuf_add_char(b, ',');
		rc_textbuf_add_string(b, rc_str_of(o->channels[i]));
	}
	rc_textbuf_add_char(b, ']');
	add_since(b, o->since);
	add_less(b, o);
	rc_textbuf_add_char(b, '}');
}

static int send_request(struct subscribe *s, struct rc_error *err)
{
	const struct rc_subscribe_options *o = s->o;
	struct rc_textbuf b = {.cap = 256 + o->channel_count * (RC_CHANNEL_MAX + 3) +
				      length(o->since) + length(o->filter) + length(o->rate) +
				      length(o->key) + length(o->type) + length(o->payload)};

	b.ptr = malloc(b.cap);
	if (b.ptr == NULL)
		return rc_error_set(err, "out of memory");
	if (o->type != NULL)
		put_command(&b, o);
	else
		put_subscribe(&b, o);
	RC_ASSERT(!b.full);
	int rc = rc_wsclient_send(&s->ws, RC_WS_TEXT, rc_textbuf_str(&b), err);
	free(b.ptr);
	return rc;
}

/* 0 with NULL when there is to be none. */
static int prepare_tls(const struct rc_subscribe_options *o, struct rc_client_tls **tls)
{
	struct rc_client_tls_options t = {.host = o->tls.name != NULL ? o->tls.name : o->host,
		.ca = o->tls.ca,
		.certificate = o->tls.certificate,
		.key = o->tls.key,
		.protocol = "http/1.1",
		.trust_anybody = o->tls.insecure};
	char why[RC_CLIENT_TLS_WHY];

	*tls = NULL;
	return o->over_tls && rc_client_tls_open(tls, &t, why) < 0 ? rc_subscribe_say("%s", why)
								   : 0;
}

static void say_deflated(const struct rc_wsclient *w)
{
	if (w->inflater == NULL)
		(void)rc_subscribe_say(
			"the gateway does not deflate: no namespace has deflate = yes");
	else
		(void)rc_subscribe_say("%llu of %llu messages came deflated, %llu bytes for %llu",
			(unsigned long long)w->seen.deflated, (unsigned long long)w->seen.messages,
			(unsigned long long)w->seen.wire, (unsigned long long)w->seen.plain);
}

static int run(struct subscribe *s)
{
	const struct rc_subscribe_options *o = s->o;
	struct rc_client_tls *tls;
	struct rc_error err;
	int timeout_ms =
		o->timeout_ms > 0 ? RC_MIN(o->timeout_ms, CONNECT_TIMEOUT_MS) : CONNECT_TIMEOUT_MS;

	int rc = prepare_tls(o, &tls);
	if (rc != 0)
		return rc;
	if (rc_wsclient_open(&s->ws, tls, o->host, o->port, o->path, PROTOCOL, o->token, o->deflate,
		    timeout_ms, &err) < 0 ||
		send_request(s, &err) < 0) {
		rc_subscribe_say("%s: %s", o->server, err.text);
		return NO_GATEWAY;
	}
	rc = catch_signals();
	if (rc < 0) {
		rc_subscribe_say("%s", strerror(-rc));
		return NO;
	}
	(void)setvbuf(stdout, NULL, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, OUT_BUFFER);
	s->event_ns = s->heard_ns = rc_clock_mono_ns();
	take_messages(s);
	while (s->status < 0)
		turn(s);
	say_farewell(s);
	if (o->deflate)
		say_deflated(&s->ws);
	return s->status;
}

static int go(const struct rc_subscribe_options *o, int status)
{
	static struct subscribe s;

	if (status != 0)
		return status < 0 ? 0 : status;
	s = (struct subscribe){.o = o, .status = -1};
	rc_wsclient_init(&s.ws, -1);
	status = run(&s);
	rc_wsclient_deinit(&s.ws);
	return status;
}

int rc_cli_subscribe(int argc, char **argv)
{
	struct rc_subscribe_options o;
	int status = rc_subscribe_parse(&o, argc, argv);

	return go(&o, status);
}

int rc_cli_command(int argc, char **argv)
{
	struct rc_subscribe_options o;

	rc_subscribe_as("command");
	int status = rc_command_parse(&o, argc, argv);
	return go(&o, status);
}
