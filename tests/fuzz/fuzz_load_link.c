/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server may answer on a publisher's link. The first byte chooses the language, whether the link is open already, and whether a
 * refusal ends it, and whether it is a backend's; the second how the rest is cut. The same answers are then taken whole and cut, each part in memory of its own.
 * Properties: both fail or neither does; when they don't, they stand at the same step, have counted alike, and have said the same bytes,
 * which are frames where they should be; never more is decided than was sent.
 */
#include <stdlib.h>

#include "load/talk.h"
#include "proto/wsupgrade.h"

#define INPUT_MAX 8192
#define EVENTS    50

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct story {
	struct load_talk talk;
	uint64_t hooked_acks, hooked_refusals, asked[2];
	bool tolerant;
	int rc;
	struct rc_error err;
};

static struct load_publisher_target targets[4];

static void on_acked(void *ctx, uint64_t time_ns)
{
	struct story *s = ctx;

	RC_ASSERT(time_ns >= 1 && time_ns <= EVENTS);
	s->hooked_acks++;
}

static int on_refused(void *ctx, uint16_t code, const struct rc_error *err)
{
	struct story *s = ctx;

	(void)code;
	RC_ASSERT(err->text[0] != '\0');
	s->hooked_refusals++;
	return s->tolerant ? 0 : -1;
}

static void on_asked(void *ctx, bool sound)
{
	struct story *s = ctx;

	s->asked[sound]++;
}

static struct load_template *template_of(const char *text)
{
	struct load_template *t;
	struct rc_error err;

	RC_ASSERT(load_template_compile(&t, rc_str_of(text), &err) == 0);
	return t;
}

static void make_targets(void)
{
	static const enum load_scheme schemes[] = {LOAD_INGEST, LOAD_TCP, LOAD_HTTP, LOAD_WS};

	for (size_t i = 0; i < RC_ARRAY_LEN(targets); i++) {
		struct load_publisher_target *t = &targets[i];
		/* An HTTP server says nothing before it is asked. */
		bool asked = schemes[i] == LOAD_HTTP;

		t->url.scheme = schemes[i];
		strcpy(t->url.host, "h");
		t->protocol = t->headers = "";
		t->greeting = asked ? "" : "INFO";
		t->welcome = asked ? "" : "PONG";
		t->ping = asked ? "" : "PING";
		t->ack = asked ? "HTTP/1.1 20" : "+OK";
		t->hello = template_of(asked ? "" : "CONNECT\\r\\nPING\\r\\n");
		t->pong = template_of(asked ? "" : "PONG\\r\\n");
		t->event = template_of("PUB {channel}\\r\\n{payload}\\r\\n");
		t->serve = template_of("SUB c 1\\r\\n");
		t->serving = "+OK";
		t->reply = template_of("PUB {channel} {len}\\r\\n{payload}\\r\\n");
		t->reply_to = 4;
	}
}

/* Exactly as large as the part, so that a sanitizer sees a read behind it. */
static void take(struct story *s, const void *bytes, size_t len)
{
	unsigned char *copy = malloc(len);

	RC_ASSERT(copy != NULL);
	memcpy(copy, bytes, len);
	s->rc = load_talk_take(&s->talk, copy, len, &s->err);
	RC_ASSERT(s->rc <= 0 && (s->rc == 0 || strlen(s->err.text) > 10));
	free(copy);
}

/* What a good server says until the link is open, and the events that are then in flight. */
static void open_it(struct story *s)
{
	const struct rc_ingest_welcome welcome = {
		.version = RINGCAST_WIRE_VERSION,
		.frame_max = 1 << 20,
		.message_max = 1 << 16,
		.credit = 40,
	};
	const struct rc_ingest_registered registered = {.credit = 40, .count = 1};
	struct load_event event = {.len = LOAD_EVENT_MIN};
	char out[512];

	switch (s->talk.target->url.scheme) {
	case LOAD_INGEST:
		take(s, out, rc_ingest_welcome_encode(out, sizeof(out), &welcome));
		if (load_talk_serves(&s->talk))
			take(s, out, rc_ingest_registered_encode(out, sizeof(out), &registered));
		break;
	case LOAD_TCP:
		take(s, "INFO PONG", 9);
		if (load_talk_serves(&s->talk))
			take(s, "+OK\r\n", 5);
		break;
	case LOAD_WS:
		take(s, out,
			rc_ws_upgrade_answer(out, sizeof(out),
				(struct rc_str){s->talk.key, sizeof(s->talk.key)}, RC_STR("")));
		take(s, "\x81\x04INFO\x81\x04PONG", 12);
		break;
	default:
		break;
	}
	RC_ASSERT(s->rc == 0 && s->talk.step == LOAD_TALK_OPEN);
	for (uint32_t i = 1; i <= EVENTS && !load_talk_serves(&s->talk); i++) {
		event.time_ns = event.sequence = i;
		RC_ASSERT(load_talk_put(&s->talk, RC_STR("c"), &event, i < EVENTS, &s->err) == 0);
	}
}

/* cut_seed 0: all at once. */
static void run(
	struct story *s, uint8_t choice, const uint8_t *data, size_t size, uint32_t cut_seed)
{
	const struct load_talk_hooks hooks = {.ctx = s,
		.acked = on_acked,
		.refused = on_refused,
		.asked = choice & 16 ? on_asked : NULL,
		.credit = 40};
	uint32_t random = cut_seed;

	memset(s, 0, sizeof(*s));
	s->tolerant = choice & 8;
	RC_ASSERT(load_talk_open(&s->talk, &targets[choice & (choice & 16 ? 1 : 3)], RC_STR("/"), 7,
			  LOAD_EVENT_MIN, &hooks, &s->err) == 0);
	RC_ASSERT(load_talk_begin(&s->talk, &s->err) == 0);
	if (choice & 4)
		open_it(s);
	while (size > 0 && s->rc == 0) {
		size_t part = size;

		if (cut_seed != 0) {
			random = random * 1664525 + 1013904223;
			part = RC_MIN(size, (random >> 24) % 16 + 1);
		}
		take(s, data, part);
		data += part;
		size -= part;
	}
	RC_ASSERT(s->hooked_acks == s->talk.acked && s->hooked_refusals == s->talk.refused);
	RC_ASSERT(s->talk.acked + s->talk.refused <= s->talk.sent);
	RC_ASSERT(load_talk_room(&s->talk) == 0 || s->talk.step == LOAD_TALK_OPEN);
}

/* What the client said is what its server would take. */
static void check_output(const struct load_talk *t)
{
	const unsigned char *at = t->out.ptr;
	size_t left = load_outbuf_waiting(&t->out);
	struct rc_ingest_frame frame;

	/* Nothing was sent: it begins at 0. */
	RC_ASSERT(t->out.at == 0);
	if (t->target->url.scheme != LOAD_INGEST)
		return;
	while (left > 0) {
		RC_ASSERT(rc_ingest_frame(at, left, 1 << 20, &frame) == 0);
		RC_ASSERT(frame.type != RINGCAST_FRAME_BATCH ||
			  rc_ingest_batch_check(frame.body, frame.flags) == 0);
		at += frame.total;
		left -= frame.total;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct story whole, cut;
	size_t waiting;

	if (size < 2 || size > INPUT_MAX)
		return 0;
	if (targets[0].event == NULL)
		make_targets();
	run(&whole, data[0], data + 2, size - 2, 0);
	run(&cut, data[0], data + 2, size - 2, data[1] + 1u);
	RC_ASSERT(whole.rc == 0 ? cut.rc == 0 : cut.rc < 0);
	waiting = load_outbuf_waiting(&whole.talk.out);
	if (whole.rc == 0) {
		RC_ASSERT(whole.talk.step == cut.talk.step);
		RC_ASSERT(whole.talk.acked == cut.talk.acked);
		RC_ASSERT(memcmp(whole.asked, cut.asked, sizeof(whole.asked)) == 0);
		RC_ASSERT(whole.talk.refused == cut.talk.refused);
		RC_ASSERT(whole.talk.window == cut.talk.window);
		RC_ASSERT(waiting == load_outbuf_waiting(&cut.talk.out));
		RC_ASSERT(
			waiting == 0 || memcmp(whole.talk.out.ptr + whole.talk.out.at,
						cut.talk.out.ptr + cut.talk.out.at, waiting) == 0);
	}
	check_output(&whole.talk);
	check_output(&cut.talk);
	load_talk_close(&whole.talk);
	load_talk_close(&cut.talk);
	return 0;
}
