/* SPDX-License-Identifier: Apache-2.0
 *
 * Links that speak by the target's templates: what is sent is expanded from them, what comes is searched for the target's texts. See
 * talk.h.
 */
#include <errno.h>

#include "talk.h"

static void begin_waiting(struct load_talk *t, enum load_talk_step step, const char *text)
{
	t->step = step;
	/* Its length was checked when the link was opened. */
	RC_ASSERT(load_match_open(&t->wait, text));
}

int load_text_say(struct load_talk *t, const struct load_template *what,
	const struct load_values *values, struct rc_error *err)
{
	size_t bound = load_template_bound(
		what, values->channel.len, values->payload.len, values->since.len);
	/* Behind the text there is room for the header of a frame, which is then moved in front of it. */
	unsigned char *out = load_outbuf_room(&t->out, bound + 14);
	size_t from = t->out.len;

	if (out == NULL)
		return load_talk_no_memory(err);
	t->out.len += load_template_expand(what, values, out, bound);
	if (load_talk_is_ws(t))
		load_ws_wrap(t, from, t->target->binary ? RC_WS_BINARY : RC_WS_TEXT);
	return 0;
}

/* {n} of a hello and of a pong is the connection's number too. */
static int say(struct load_talk *t, const struct load_template *what, struct rc_error *err)
{
	const struct load_values values = {.number = t->session, .session = t->session};

	if (what == NULL || load_template_empty(what))
		return 0;
	return load_text_say(t, what, &values, err);
}

static int say_hello(struct load_talk *t, struct rc_error *err)
{
	int rc = say(t, t->target->hello, err);

	if (rc == 0 && t->target->welcome[0] != '\0')
		begin_waiting(t, LOAD_TALK_WELCOME, t->target->welcome);
	else if (rc == 0)
		rc = load_talk_welcomed(t, err);
	return rc;
}

int load_text_begin(struct load_talk *t, struct rc_error *err)
{
	if (t->target->greeting[0] == '\0')
		return say_hello(t, err);
	begin_waiting(t, LOAD_TALK_GREETING, t->target->greeting);
	return 0;
}

/* An answer of HTTP that is no success never becomes an acknowledgement: it is said instead of waiting for one. */
static int watch_status(
	struct load_talk *t, const unsigned char *bytes, size_t len, struct rc_error *err)
{
	char text[80];

	while (len > 0) {
		if (!t->in_status) {
			if (!load_match_next(&t->status, &bytes, &len))
				return 0;
			t->in_status = true;
			t->status_len = 0;
		}
		for (; len > 0; bytes++, len--) {
			if (*bytes == '\r' || *bytes == '\n' ||
				t->status_len == sizeof(t->status_line))
				break;
			t->status_line[t->status_len++] = (char)*bytes;
		}
		if (len == 0)
			return 0;
		t->in_status = false;
		/* "1 200 OK"; 1xx announces another answer */
		if (t->status_len > 2 && (t->status_line[2] == '2' || t->status_line[2] == '1'))
			continue;
		rc_error_set(err,
			"the server answered an event with HTTP/1.%s. See that the target's event is a "
			"request that it takes",
			load_talk_printable(text, sizeof(text), t->status_line, t->status_len));
		return -EPROTO;
	}
	return 0;
}

/* How many pings are in these bytes: a WebSocket message is one when it begins so, a stream has them anywhere. */
static uint64_t count_pings(struct load_talk *t, const unsigned char *bytes, size_t len, bool first)
{
	size_t take;

	if (t->ping.len == 0)
		return 0;
	if (!load_talk_is_ws(t))
		return load_match_count(&t->ping, bytes, len);
	if (first)
		t->ping_at = 0;
	if (t->ping_at >= t->ping.len)
		return 0;
	take = RC_MIN(len, t->ping.len - t->ping_at);
	if (memcmp(bytes, t->ping.text + t->ping_at, take) != 0) {
		t->ping_at = SIZE_MAX;
		return 0;
	}
	t->ping_at += take;
	return t->ping_at == t->ping.len;
}

static int answer_pings(struct load_talk *t, uint64_t pings, struct rc_error *err)
{
	for (; pings > 0; pings--) {
		int rc = say(t, t->target->pong, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* What the text that is waited for says when it has come. */
static int take_step(struct load_talk *t, struct rc_error *err)
{
	if (t->step == LOAD_TALK_GREETING)
		return say_hello(t, err);
	if (t->step == LOAD_TALK_WELCOME)
		return load_talk_welcomed(t, err);
	t->step = LOAD_TALK_OPEN;
	return 0;
}

/* Step by step, so that what is answered does not depend on how the stream was cut. */
int load_text_take(struct load_talk *t, const unsigned char *bytes, size_t len, bool first,
	struct rc_error *err)
{
	size_t tail = RC_MIN(len, sizeof(t->said) - 1);
	int rc = 0;

	(void)load_talk_printable(t->said, sizeof(t->said), bytes + len - tail, tail);
	if (first) {
		load_match_reset(&t->wait);
		load_match_reset(&t->ack);
	}
	if (t->target->url.scheme == LOAD_HTTP)
		rc = watch_status(t, bytes, len, err);
	while (rc == 0 && len > 0) {
		const unsigned char *from = bytes;
		bool open = t->step == LOAD_TALK_OPEN, found = false;

		/* What comes in one piece with the last answer is commands already. */
		if (open && load_talk_serves(t))
			return load_serve_take(t, bytes, len, err);
		if (open) {
			bytes += len;
			len = 0;
		} else {
			found = load_match_next(&t->wait, &bytes, &len);
		}
		rc = answer_pings(t, count_pings(t, from, (size_t)(bytes - from), first), err);
		first = false;
		if (rc == 0 && found)
			rc = take_step(t, err);
		if (rc == 0 && open && t->acks)
			rc = load_talk_acked(t,
				t->through +
					load_match_count(&t->ack, from, (size_t)(bytes - from)),
				err);
	}
	return rc;
}
