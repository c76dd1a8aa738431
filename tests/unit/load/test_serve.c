/* SPDX-License-Identifier: Apache-2.0
 *
 * A backend of the generator, without its socket: what it says, finds and answers, however its stream is cut.
 */
#include "../unit.h"

#include <errno.h>
#include <stdio.h>

#include "load/talk.h"

#define REPLY 70u

struct rig {
	struct load_publisher_target target;
	struct load_talk talk;
	uint64_t sound, unsound;
	struct rc_error err;
};

static void on_asked(void *ctx, bool sound)
{
	struct rig *r = ctx;

	r->sound += sound;
	r->unsound += !sound;
}

static struct load_template *template_of(const char *text)
{
	struct load_template *t;
	struct rc_error err;

	assert_int_equal(load_template_compile(&t, rc_str_of(text), &err), 0);
	return t;
}

static void rig_open(struct rig *r, enum load_scheme scheme)
{
	struct load_publisher_target *to = &r->target;
	const struct load_talk_hooks hooks = {.ctx = r, .asked = on_asked, .credit = 9};

	memset(r, 0, sizeof(*r));
	to->url.scheme = scheme;
	to->protocol = to->headers = to->ack = "";
	to->greeting = "INFO";
	to->welcome = "PONG";
	to->ping = "PING";
	to->serving = "+OK";
	to->hello = template_of("CONNECT\\r\\n");
	to->pong = template_of("PONG\\r\\n");
	to->serve = template_of("SUB commands 1\\r\\n");
	to->reply = template_of("PUB {channel} {n} {session} {len}\\r\\n{payload}\\r\\n");
	to->reply_to = 4;
	assert_int_equal(load_talk_open(&r->talk, to, RC_STR("/"), 7, REPLY, &hooks, &r->err), 0);
	assert_int_equal(load_talk_begin(&r->talk, &r->err), 0);
}

static void rig_close(struct rig *r)
{
	load_talk_close(&r->talk);
	load_template_free(r->target.hello);
	load_template_free(r->target.pong);
	load_template_free(r->target.serve);
	load_template_free(r->target.reply);
}

static int take(struct rig *r, const void *bytes, size_t len)
{
	unsigned char *copy = test_malloc(len);
	int rc;

	memcpy(copy, bytes, len);
	rc = load_talk_take(&r->talk, copy, len, &r->err);
	test_free(copy);
	return rc;
}

static int said(struct rig *r, const char *text)
{
	return take(r, text, strlen(text));
}

/* What it said since the last time. */
static struct rc_str heard(struct rig *r)
{
	struct load_outbuf *out = &r->talk.out;
	struct rc_str s = {(const char *)out->ptr + out->at, load_outbuf_waiting(out)};

	out->at = out->len;
	return s;
}

static struct load_event event_of(uint32_t client, uint64_t sequence, uint32_t len)
{
	return (struct load_event){
		.channel = client, .sequence = sequence, .len = len, .time_ns = 5 * sequence};
}

static void open_text(struct rig *r)
{
	rig_open(r, LOAD_TCP);
	assert_int_equal(said(r, "INFO {}\r\n"), 0);
	assert_int_equal(said(r, "PONG\r\n"), 0);
	assert_true(rc_str_eq(heard(r), RC_STR("CONNECT\r\nSUB commands 1\r\n")));
	assert_int_equal(r->talk.step, LOAD_TALK_SERVING);
	assert_int_equal(said(r, "+OK\r\n"), 0);
	assert_int_equal(r->talk.step, LOAD_TALK_OPEN);
}

static size_t message_of(char *out, const char *to, const struct load_event *event)
{
	size_t len = (size_t)sprintf(out, "MSG commands 1 %s %u\r\n", to, event->len);

	load_event_encode(out + len, event);
	memcpy(out + len + event->len, "\r\n", 2);
	return len + event->len + 2;
}

static void expected_of(struct rc_str *rest, const char *to, const struct load_event *asked)
{
	struct load_event answer = *asked;
	char text[512];
	size_t len = (size_t)sprintf(text, "PUB %s %u %u %u\r\n", to, (unsigned)asked->sequence,
		(unsigned)asked->channel, REPLY);

	answer.len = REPLY;
	load_event_encode(text + len, &answer);
	memcpy(text + len + REPLY, "\r\n", 2);
	len += REPLY + 2;
	assert_true(rc_str_starts(*rest, (struct rc_str){text, len}));
	rest->ptr += len;
	rest->len -= len;
}

static void commands_of_a_stream_are_answered_however_it_is_cut(void **state)
{
	struct load_event first = event_of(3, 17, 64), second = event_of(4, 1, 3000);
	static char stream[8192];
	size_t len = message_of(stream, "inbox.3.17", &first);

	(void)state;
	len += (size_t)sprintf(stream + len, "PING\r\n");
	len += message_of(stream + len, "inbox.4.1", &second);
	for (size_t part = 1; part < len; part += part < 80 ? 1 : 997) {
		struct rig r;
		struct rc_str rest;

		open_text(&r);
		for (size_t at = 0; at < len; at += part)
			assert_int_equal(take(&r, stream + at, RC_MIN(part, len - at)), 0);
		assert_int_equal(r.sound, 2);
		assert_int_equal(r.unsound, 0);
		rest = heard(&r);
		expected_of(&rest, "inbox.3.17", &first);
		assert_true(rc_str_starts(rest, RC_STR("PONG\r\n")));
		rest.ptr += 6;
		rest.len -= 6;
		expected_of(&rest, "inbox.4.1", &second);
		assert_int_equal(rest.len, 0);
		rig_close(&r);
	}
}

static void a_command_that_is_altered_or_has_no_address_is_not_answered(void **state)
{
	struct load_event event = event_of(3, 17, 200);
	char message[512];
	size_t len = message_of(message, "inbox.3.17", &event);
	struct rig r;

	(void)state;
	open_text(&r);
	message[len - 10] ^= 1;
	assert_int_equal(take(&r, message, len), 0);
	assert_int_equal(r.unsound, 1);
	assert_int_equal(said(&r, "MSG commands 1\r\n"), 0);
	message[len - 10] ^= 1;
	assert_int_equal(take(&r, message + len - 202, 202), 0);
	assert_int_equal(r.unsound, 2);
	assert_int_equal(r.sound, 0);
	assert_int_equal(heard(&r).len, 0);
	rig_close(&r);
}

static void a_stream_without_commands_ends_it(void **state)
{
	static char nothing[70000];
	struct rig r;

	(void)state;
	memset(nothing, 'x', sizeof(nothing));
	open_text(&r);
	assert_int_equal(take(&r, nothing, sizeof(nothing)), -EPROTO);
	assert_non_null(strstr(r.err.text, "holds no commands"));
	rig_close(&r);
}

static void open_ingest(struct rig *r)
{
	const struct rc_ingest_welcome welcome = {.version = RINGCAST_WIRE_VERSION,
		.frame_max = 1 << 20,
		.message_max = 1 << 16,
		.credit = 40};
	const struct rc_ingest_registered registered = {.credit = 9, .count = 1};
	struct rc_ingest_register asked;
	struct rc_ingest_frame frame;
	struct rc_str out;
	char text[512];

	rig_open(r, LOAD_INGEST);
	(void)heard(r);
	assert_int_equal(take(r, text, rc_ingest_welcome_encode(text, sizeof(text), &welcome)), 0);
	out = heard(r);
	assert_int_equal(rc_ingest_frame(out.ptr, out.len, 1 << 20, &frame), 0);
	assert_int_equal(frame.type, RINGCAST_FRAME_REGISTER);
	assert_int_equal(rc_ingest_register_parse(frame.body, &asked), 0);
	assert_int_equal(asked.credit, 9);
	assert_int_equal(asked.count, 1);
	assert_int_equal(r->talk.step, LOAD_TALK_SERVING);
	assert_int_equal(
		take(r, text, rc_ingest_registered_encode(text, sizeof(text), &registered)), 0);
	assert_int_equal(r->talk.step, LOAD_TALK_OPEN);
}

static size_t command_of(char *out, size_t cap, const char *message, const struct load_event *event)
{
	char payload[4096] = "\"";
	const struct rc_ingest_command c = {.id = 77,
		.session = RC_STR("s"),
		.type = RC_STR("command"),
		.message = rc_str_of(message),
		.payload = {payload, event->len + 2}};

	load_event_encode(payload + 1, event);
	payload[event->len + 1] = '"';
	return rc_ingest_command_encode(out, cap, RINGCAST_FLAG_JSON, &c);
}

static void commands_of_ingest_are_answered_however_they_are_cut(void **state)
{
	struct load_event event = event_of(3, 17, 3000), found = {0};
	static char frame[8192];
	size_t len = command_of(frame, sizeof(frame), "\"17\"", &event);

	(void)state;
	assert_true(len > 3000);
	for (size_t part = 1; part < len; part += part < 20 ? 1 : 997) {
		struct rc_ingest_frame answer;
		struct rc_ingest_reply reply;
		struct rc_str out;
		struct rig r;

		open_ingest(&r);
		for (size_t at = 0; at < len; at += part)
			assert_int_equal(take(&r, frame + at, RC_MIN(part, len - at)), 0);
		assert_int_equal(r.sound, 1);
		out = heard(&r);
		assert_int_equal(rc_ingest_frame(out.ptr, out.len, 1 << 20, &answer), 0);
		assert_int_equal(answer.total, out.len);
		assert_int_equal(answer.type, RINGCAST_FRAME_REPLY);
		assert_int_equal(rc_ingest_reply_parse(answer.body, &reply), 0);
		assert_int_equal(reply.id, 77);
		assert_int_equal(reply.code.len, 0);
		assert_int_equal(reply.payload.len, REPLY + 2);
		assert_int_equal(
			load_event_verify(&found, reply.payload.ptr + 1, REPLY), LOAD_EVENT_OK);
		assert_int_equal(found.sequence, 17);
		assert_int_equal(found.len, REPLY);
		rig_close(&r);
	}
}

static void a_command_under_another_id_is_not_answered(void **state)
{
	struct load_event event = event_of(3, 17, 100);
	char frame[512];
	struct rig r;

	(void)state;
	open_ingest(&r);
	assert_int_equal(take(&r, frame, command_of(frame, sizeof(frame), "\"18\"", &event)), 0);
	assert_int_equal(r.unsound, 1);
	assert_int_equal(r.sound, 0);
	assert_int_equal(heard(&r).len, 0);
	rig_close(&r);
}

static void a_backend_that_gets_no_credit_says_so(void **state)
{
	const struct rc_ingest_registered none = {.credit = 0, .count = 1};
	char frame[64];
	struct rig r;

	(void)state;
	open_ingest(&r);
	assert_int_equal(
		take(&r, frame, rc_ingest_registered_encode(frame, sizeof(frame), &none)), -EPROTO);
	assert_non_null(strstr(r.err.text, "no commands"));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_of_a_stream_are_answered_however_it_is_cut),
		cmocka_unit_test(a_command_that_is_altered_or_has_no_address_is_not_answered),
		cmocka_unit_test(a_stream_without_commands_ends_it),
		cmocka_unit_test(commands_of_ingest_are_answered_however_they_are_cut),
		cmocka_unit_test(a_command_under_another_id_is_not_answered),
		cmocka_unit_test(a_backend_that_gets_no_credit_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
