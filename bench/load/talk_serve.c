/* SPDX-License-Identifier: Apache-2.0
 *
 * A backend: it says which commands it takes, and answers each with the event that the command carries, in the length of an answer.
 * By the ingest protocol, or by the target's templates, where commands are found by their events in the stream. See talk.h.
 */
#include <errno.h>
#include <stdio.h>

#include "talk.h"

#define FRAME_MAX (LOAD_EVENT_MAX + 65536u)
/* What stands between commands of a stream: more of it is no stream of commands. */
#define BETWEEN_MAX 65536u

int load_serve_begin(struct load_talk *t, struct rc_error *err)
{
	static const struct rc_ingest_entry entry = {.type = {"command", 7}};
	const struct load_values values = {.number = t->session, .session = t->session};
	unsigned char *out;
	int rc;

	t->step = LOAD_TALK_SERVING;
	if (t->target->url.scheme == LOAD_INGEST) {
		out = load_outbuf_room(&t->out, RC_INGEST_ANSWER_MAX);
		if (out == NULL)
			return load_talk_no_memory(err);
		t->out.len += rc_ingest_register_encode(
			out, RC_INGEST_ANSWER_MAX, t->hooks.credit, &entry, 1);
		return 0;
	}
	rc = load_text_say(t, t->target->serve, &values, err);
	if (rc == 0 && t->target->serving[0] == '\0')
		t->step = LOAD_TALK_OPEN;
	/* Its length was checked when the link was opened. */
	RC_ASSERT(load_match_open(&t->wait, t->target->serving));
	return rc;
}

/* The event of a command, made into that of its answer, in t->payload at `at`. */
static void encode(struct load_talk *t, const struct load_event *asked, size_t at)
{
	struct load_event answer = *asked;

	answer.len = (uint32_t)t->event_len;
	load_event_encode(t->payload + at, &answer);
}

/* ---- ingest ------------------------------------------------------------------------------------- */

static int registered(
	struct load_talk *t, const struct rc_ingest_frame *frame, struct rc_error *err)
{
	struct rc_ingest_registered r;

	if (rc_ingest_registered_parse(frame->body, &r) < 0)
		return load_ingest_nonsense("an answer to REGISTER came that can't be read", err);
	if (r.count != 1 || r.credit == 0) {
		rc_error_set(err, "the server gives this backend no commands. Give it more credit "
				  "(credit_max), or look for other backends");
		return -EPROTO;
	}
	t->step = LOAD_TALK_OPEN;
	return 0;
}

/* Whether the client's own id of the command, in quotes, is its number. */
static bool named(struct rc_str id, uint64_t sequence)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "\"%llu\"", (unsigned long long)sequence);

	return rc_str_eq(id, (struct rc_str){text, (size_t)len}) ||
	       rc_str_eq(id, (struct rc_str){text + 1, (size_t)len - 2});
}

static int command(struct load_talk *t, const struct rc_ingest_frame *frame, struct rc_error *err)
{
	struct rc_ingest_reply reply = {.payload = {t->payload, t->event_len + 2}};
	struct rc_ingest_command c;
	struct load_event event = {0};
	const char *at;
	size_t left, cap = RINGCAST_WIRE_HEADER_LEN + 16 + reply.payload.len;
	unsigned char *out;

	if (rc_ingest_command_parse(frame->body, &c) < 0)
		return load_ingest_nonsense("a command came that can't be read", err);
	at = load_event_find(c.payload.ptr, c.payload.len);
	left = (size_t)(c.payload.ptr + c.payload.len - at);
	if (left == 0 || load_event_verify(&event, at, left) != LOAD_EVENT_OK) {
		t->hooks.asked(t->hooks.ctx, false);
		return 0;
	}
	if (c.id == 0 || !named(c.message, event.sequence)) {
		t->hooks.asked(t->hooks.ctx, false);
		return 0;
	}
	out = load_outbuf_room(&t->out, cap);
	if (out == NULL)
		return load_talk_no_memory(err);
	t->payload[0] = t->payload[t->event_len + 1] = '"';
	encode(t, &event, 1);
	reply.id = c.id;
	t->out.len += rc_ingest_reply_encode(out, cap, RINGCAST_FLAG_JSON, &reply);
	t->hooks.asked(t->hooks.ctx, true);
	return 0;
}

int load_serve_frame(struct load_talk *t, const struct rc_ingest_frame *frame, struct rc_error *err)
{
	switch (frame->type) {
	case RINGCAST_FRAME_REGISTER:
		return registered(t, frame, err);
	case RINGCAST_FRAME_COMMAND:
		return command(t, frame, err);
	default:
		return load_ingest_nonsense("a frame came that no backend gets", err);
	}
}

static int take_frames(struct load_talk *t, const unsigned char *bytes, size_t len, size_t *used,
	struct rc_error *err)
{
	struct rc_ingest_frame frame;
	int rc;

	while ((rc = rc_ingest_frame(bytes + *used, len - *used, FRAME_MAX, &frame)) == 0) {
		rc = load_ingest_frame(t, &frame, err);
		if (rc < 0)
			return rc;
		*used += frame.total;
	}
	return rc == 1 ? 0 : load_ingest_nonsense("bytes came that are no frame", err);
}

/* ---- text --------------------------------------------------------------------------------------- */

/* The target's word of the last line before a command's event: {"", 0} when there is none. */
static struct rc_str address(const struct load_talk *t, struct rc_str before)
{
	const char *at = before.ptr, *end = before.ptr + before.len, *line;

	while (end > at && (end[-1] == '\n' || end[-1] == '\r'))
		end--;
	line = end > at ? memrchr(at, '\n', (size_t)(end - at)) : NULL;
	at = line ? line + 1 : at;
	for (uint32_t word = 1; at < end; word++) {
		size_t len = 0;

		while (at + len < end && at[len] != ' ')
			len++;
		if (word == t->target->reply_to)
			return (struct rc_str){at, len};
		at += RC_MIN(len + 1, (size_t)(end - at));
	}
	return (struct rc_str){"", 0};
}

static int answer_pings(struct load_talk *t, const char *bytes, size_t len, struct rc_error *err)
{
	const struct load_values values = {.number = t->session, .session = t->session};
	const char *at = bytes, *end = bytes + len;
	int rc = 0;

	if (t->ping.len == 0)
		return 0;
	while (rc == 0 && (at = memmem(at, (size_t)(end - at), t->ping.text, t->ping.len))) {
		rc = load_text_say(t, t->target->pong, &values, err);
		at += t->ping.len;
	}
	return rc;
}

static int asked(struct load_talk *t, const struct load_event *event, struct rc_str before,
	struct rc_error *err)
{
	struct load_values values = {.channel = address(t, before),
		.number = (uint32_t)event->sequence,
		.session = event->channel,
		.payload = {t->payload, t->event_len}};
	int rc = answer_pings(t, before.ptr, before.len, err);

	if (rc < 0)
		return rc;
	if (t->target->reply_to > 0 && values.channel.len == 0) {
		t->hooks.asked(t->hooks.ctx, false);
		return 0;
	}
	encode(t, event, 0);
	rc = load_text_say(t, t->target->reply, &values, err);
	if (rc == 0)
		t->hooks.asked(t->hooks.ctx, true);
	return rc;
}

/* No command in these: whole lines are done with, but for what may be needed yet. */
static int between(
	struct load_talk *t, const char *bytes, size_t len, size_t *used, struct rc_error *err)
{
	const char *line = len ? memrchr(bytes, '\n', len) : NULL;
	/* The line of a command ends before its event begins: it is kept whole. */
	size_t done = line && line > bytes ? (size_t)(line - bytes) : 0;

	line = done ? memrchr(bytes, '\n', done) : NULL;
	done = line ? (size_t)(line + 1 - bytes) : 0;
	if (len - done > BETWEEN_MAX) {
		rc_error_set(err, "what a backend gets holds no commands. See that the target's "
				  "serve asks for them");
		return -EPROTO;
	}
	*used += done;
	return answer_pings(t, bytes, done, err);
}

static int take_text(struct load_talk *t, const unsigned char *from, size_t len, size_t *used,
	struct rc_error *err)
{
	const char *bytes = (const char *)from, *end = bytes + len, *at = bytes;
	int rc = 0;

	while (rc == 0) {
		const char *magic = load_event_find(at, (size_t)(end - at));
		enum load_event_result result = LOAD_EVENT_PARTIAL;
		struct load_event event = {0};

		*used = (size_t)(at - bytes);
		if (end - magic >= (ptrdiff_t)LOAD_MAGIC_LEN)
			result = load_event_verify(&event, magic, (size_t)(end - magic));
		if (result == LOAD_EVENT_PARTIAL)
			return between(t, at, (size_t)(magic - at), used, err);
		if (result == LOAD_EVENT_CORRUPT) {
			t->hooks.asked(t->hooks.ctx, false);
			rc = answer_pings(t, at, (size_t)(magic - at), err);
			at = magic + LOAD_MAGIC_LEN;
			continue;
		}
		rc = asked(t, &event, (struct rc_str){at, (size_t)(magic - at)}, err);
		at = magic + event.len;
	}
	return rc;
}

/* ---- both --------------------------------------------------------------------------------------- */

static int take(struct load_talk *t, const unsigned char *bytes, size_t len, size_t *used,
	struct rc_error *err)
{
	*used = 0;
	return t->target->url.scheme == LOAD_INGEST ? take_frames(t, bytes, len, used, err)
						    : take_text(t, bytes, len, used, err);
}

int load_serve_take(
	struct load_talk *t, const unsigned char *bytes, size_t len, struct rc_error *err)
{
	struct load_outbuf *kept = &t->asked;
	unsigned char *room;
	size_t used;
	int rc;

	if (load_outbuf_waiting(kept) == 0) {
		rc = take(t, bytes, len, &used, err);
		if (rc < 0)
			return rc;
		bytes += used;
		len -= used;
	}
	if (len == 0)
		return 0;
	room = load_outbuf_room(kept, len);
	if (room == NULL)
		return load_talk_no_memory(err);
	memcpy(room, bytes, len);
	kept->len += len;
	rc = take(t, kept->ptr + kept->at, load_outbuf_waiting(kept), &used, err);
	if (rc == 0)
		load_outbuf_took(kept, used);
	return rc;
}
