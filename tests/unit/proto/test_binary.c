/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of those who listen: each against itself, cut anywhere; and the binary rendition of an event against what was published.
 */
#include "proto/binary.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/websocket.h"

#define FRAME_MAX (1u << 20)

#define assert_text(actual, expected) assert_true(rc_str_eq(actual, expected))

static struct rc_ingest_frame frame_of(const void *bytes, size_t len)
{
	struct rc_ingest_frame frame;

	assert_int_equal(rc_ingest_frame(bytes, len, FRAME_MAX, &frame), 0);
	assert_int_equal(frame.total, len);
	return frame;
}

typedef int parse_any(struct rc_str body);

static int parse_subscribe(struct rc_str body)
{
	struct rc_bin_subscribe s;
	return rc_bin_subscribe_parse(body, &s);
}

static int parse_subscribed(struct rc_str body)
{
	struct rc_bin_subscribed s;
	return rc_bin_subscribed_parse(body, &s);
}

static int parse_gap(struct rc_str body)
{
	struct rc_bin_gap g;
	return rc_bin_gap_parse(body, &g);
}

static int parse_position(struct rc_str body)
{
	struct rc_bin_position p;
	return rc_bin_position_parse(body, &p);
}

static int parse_token(struct rc_str body)
{
	struct rc_str token;
	return rc_bin_token_parse(body, &token);
}

static int parse_refreshed(struct rc_str body)
{
	uint64_t expires;
	return rc_bin_refreshed_parse(body, &expires);
}

/* Every shorter body, in a block of exactly its size, and one byte more. */
static void only_whole(parse_any *parse, const unsigned char *frame, size_t len)
{
	size_t body = len - RINGCAST_WIRE_HEADER_LEN;

	for (size_t cut = 0; cut < body; cut++) {
		char *copy = malloc(cut ? cut : 1);
		assert_non_null(copy);
		memcpy(copy, frame + RINGCAST_WIRE_HEADER_LEN, cut);
		assert_int_equal(parse((struct rc_str){copy, cut}), -EBADMSG);
		free(copy);
	}
	char *more = calloc(1, body + 1);
	assert_non_null(more);
	memcpy(more, frame + RINGCAST_WIRE_HEADER_LEN, body);
	assert_int_equal(parse((struct rc_str){more, body}), 0);
	assert_int_equal(parse((struct rc_str){more, body + 1}), -EBADMSG);
	free(more);
}

static void subscribe_is_what_the_specification_says(void **state)
{
	static const unsigned char expected[] = {
		15, 0, 0, 0, 17, 0x80, 0, 0, 4, 'n', 'e', 'w', 's', 4, 0, 'a', '@', '4', '1'};
	unsigned char out[64];
	struct rc_bin_subscribe s = {RC_STR("news"), RC_STR("a@41")};

	(void)state;
	assert_int_equal(
		rc_bin_subscribe_encode(out, sizeof(out), RINGCAST_FLAG_OFF, &s), sizeof(expected));
	assert_memory_equal(out, expected, sizeof(expected));
	assert_int_equal(rc_bin_subscribe_encode(out, sizeof(expected) - 1, 0, &s), 0);
	only_whole(parse_subscribe, expected, sizeof(expected));
}

static void answers_come_back_as_they_were(void **state)
{
	unsigned char out[256];
	struct rc_bin_subscribed s = {RC_STR("a:*"), RINGCAST_VERDICT_EPOCH, RC_STR("aaa~1.2")}, t;
	struct rc_bin_gap g = {
		RINGCAST_GAP_TRIMMED, RINGCAST_GAP_UNKNOWN, RC_STR("a"), RC_STR("aaaaaaaaab@7")};
	struct rc_bin_gap h;
	struct rc_bin_position p = {RC_STR("a:*"), RC_STR("aaa~1.2")}, q;
	uint64_t expires;
	struct rc_str token;
	size_t len = rc_bin_subscribed_encode(out, sizeof(out), 0, &s);

	(void)state;
	assert_int_equal(rc_bin_subscribed_parse(frame_of(out, len).body, &t), 0);
	assert_text(t.name, s.name);
	assert_text(t.text, s.text);
	assert_int_equal(t.verdict, s.verdict);
	only_whole(parse_subscribed, out, len);

	len = rc_bin_gap_encode(out, sizeof(out), &g);
	assert_int_equal(rc_bin_gap_parse(frame_of(out, len).body, &h), 0);
	assert_int_equal(h.reason, g.reason);
	assert_true(h.missed == RINGCAST_GAP_UNKNOWN);
	assert_text(h.channel, g.channel);
	assert_text(h.position, g.position);
	only_whole(parse_gap, out, len);

	len = rc_bin_position_encode(out, sizeof(out), &p);
	assert_int_equal(rc_bin_position_parse(frame_of(out, len).body, &q), 0);
	assert_text(q.position, p.position);
	only_whole(parse_position, out, len);

	len = rc_bin_token_encode(out, sizeof(out), RINGCAST_FRAME_AUTH, RC_STR("a.b.c"));
	assert_int_equal(frame_of(out, len).type, RINGCAST_FRAME_AUTH);
	assert_int_equal(rc_bin_token_parse(frame_of(out, len).body, &token), 0);
	assert_text(token, RC_STR("a.b.c"));
	only_whole(parse_token, out, len);

	len = rc_bin_refreshed_encode(out, sizeof(out), 1768472100000);
	assert_int_equal(rc_bin_refreshed_parse(frame_of(out, len).body, &expires), 0);
	assert_true(expires == 1768472100000);
	only_whole(parse_refreshed, out, len);
}

static void welcome_says_first_what_a_publisher_is_told(void **state)
{
	unsigned char out[256];
	struct rc_bin_welcome w = {
		.common = {.version = 1, .server = RC_STR("r/1"), .frame_max = 5, .credit = 7},
		.session = RC_STR("cabc"),
		.user = RC_STR("anna"),
		.heartbeat_ms = 30000,
		.expires_ms = 99};
	struct rc_bin_welcome v;
	struct rc_ingest_welcome common;
	size_t len = rc_bin_welcome_encode(out, sizeof(out), &w);

	(void)state;
	assert_int_equal(rc_ingest_welcome_parse(frame_of(out, len).body, &common), 0);
	assert_int_equal(common.credit, 7);
	assert_int_equal(rc_bin_welcome_parse(frame_of(out, len).body, &v), 0);
	assert_text(v.session, w.session);
	assert_text(v.user, w.user);
	assert_int_equal(v.heartbeat_ms, 30000);
	assert_int_equal(v.expires_ms, 99);
	for (size_t cap = 0; cap < len; cap++)
		assert_int_equal(rc_bin_welcome_encode(out, cap, &w), 0);
}

/* ---- renditions */

/* The JSON frame of an event, and of that the binary one; both in blocks of exactly their size. */
static struct rc_bin_event rendition(
	const struct rc_event *e, bool raw, struct rc_str position, bool ws, unsigned char **keep)
{
	struct rc_event_encoder encoder = {0};
	unsigned char *json = malloc(rc_event_ws_bound(e, raw));
	unsigned char *placed, *out;
	struct rc_bin_event got;
	struct rc_str body;
	uint8_t opcode;

	assert_non_null(json);
	struct rc_bin_source s = {.len = (uint32_t)rc_event_ws_encode(&encoder, json, e, raw),
		.raw = raw,
		.channel = e->channel,
		.offset = e->offset};
	placed = malloc(RC_EVENT_POSITION_BOUND(s.len, position.len));
	assert_non_null(placed);
	if (raw)
		s.position = position;
	else if (position.len)
		s.len = (uint32_t)rc_event_ws_position(placed, json, s.len, position);
	s.frame = !raw && position.len ? placed : json;
	size_t bound = rc_bin_rendition_bound(&s);
	out = malloc(bound);
	assert_non_null(out);
	size_t len = rc_bin_rendition(out, &s, ws);
	assert_true(len > 0 && len <= bound);
	body = (struct rc_str){(char *)out, len};
	if (ws) {
		assert_true(rc_ws_message_in(out, len, &opcode, &body));
		assert_int_equal(opcode, RC_WS_BINARY);
	}
	struct rc_ingest_frame f = frame_of(body.ptr, body.len);
	assert_int_equal(f.type, RINGCAST_FRAME_EVENT);
	assert_int_equal(rc_bin_event_parse(f.body, f.flags, &got), 0);
	free(json);
	free(placed);
	*keep = out;
	return got;
}

static void rendition_says_what_was_published(void **state)
{
	static const unsigned char trace[RINGCAST_TRACE_LEN] = {1, [16] = 2, [24] = 1};
	const struct rc_event events[] = {
		{.channel = RC_STR("a"),
			.event = RC_STR("e"),
			.data = RC_STR("{\"n\": 1}"),
			.json = true},
		{.channel = RC_STR("a:b"),
			.event = RC_STR("\"\\ \xc3\xa9"),
			.data = RC_STR(""),
			.json = false},
		{.channel = RC_STR("a"),
			.event = RC_STR("x"),
			.data = {"\0\xff\1", 3},
			.json = false},
		{.channel = RC_STR("a"),
			.event = RC_STR("x"),
			.data = RC_STR("\"y\""),
			.json = true,
			.trace = trace},
		{.channel = RC_STR("a"),
			.event = RC_STR("join"),
			.data = RC_STR("{}"),
			.json = true,
			.kind = RC_EVENT_JOIN,
			.user = RC_STR("an\"na")},
		{.channel = RC_STR("a"),
			.event = RC_STR("presence"),
			.data = RC_STR("{}"),
			.json = true,
			.kind = RC_EVENT_PRESENCE},
	};
	const struct rc_str positions[] = {RC_STR(""), RC_STR("aaaaaaaaab~12.9")};
	unsigned char *keep;

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(events); i++) {
		for (int how = 0; how < 4; how++) {
			struct rc_event e = events[i];
			e.offset = 18446744073709551615ull >> (how * 16);
			e.timestamp_ms = 1768472100123;
			struct rc_bin_event got =
				rendition(&e, false, positions[how & 1], how & 2, &keep);
			assert_true(got.offset == e.offset);
			assert_true(got.timestamp_ms == e.timestamp_ms);
			assert_text(got.channel, e.channel);
			assert_text(got.event, e.event);
			assert_text(got.payload, e.data);
			assert_text(got.position, positions[how & 1]);
			assert_int_equal(!!(got.flags & RINGCAST_FLAG_JSON), e.json);
			assert_int_equal(
				!!(got.flags & RINGCAST_FLAG_OWN), e.kind != RC_EVENT_PUBLISHED);
			assert_int_equal(got.trace.len, e.trace ? RINGCAST_TRACE_LEN : 0);
			if (e.trace)
				assert_memory_equal(got.trace.ptr, trace, RINGCAST_TRACE_LEN);
			free(keep);
		}
	}
}

static void payload_of_any_size_comes_back(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 3, 60, 61, 62, 125, 126, 127, 4096, 65470, 65536};
	char *data = malloc(65536);
	unsigned char *keep;

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < 65536; i++)
		data[i] = (char)(i * 31 + i / 256);
	for (size_t i = 0; i < RC_ARRAY_LEN(sizes); i++) {
		for (int how = 0; how < 4; how++) {
			struct rc_event e = {.channel = RC_STR("c"),
				.event = RC_STR("e"),
				.data = {data, sizes[i]},
				.offset = 3};
			struct rc_bin_event got =
				rendition(&e, how & 1, RC_STR(""), how & 2, &keep);
			assert_int_equal(got.payload.len, sizes[i]);
			assert_memory_equal(got.payload.ptr, data, sizes[i]);
			free(keep);
		}
	}
	free(data);
}

static void raw_event_is_never_read_as_another(void **state)
{
	struct rc_event e = {.channel = RC_STR("mine"),
		.offset = 5,
		.json = true,
		.data = RC_STR(
			"{\"type\":\"event\",\"channel\":\"other\",\"event\":\"e\",\"offset\":9,"
			"\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"data\":1}")};
	unsigned char *keep;
	struct rc_bin_event got = rendition(&e, true, RC_STR("aaaaaaaaab~1"), true, &keep);

	(void)state;
	assert_text(got.channel, RC_STR("mine"));
	assert_text(got.event, RC_STR(""));
	assert_text(got.payload, e.data);
	assert_text(got.position, RC_STR("aaaaaaaaab~1"));
	assert_true(got.offset == 5 && got.timestamp_ms == 0);
	assert_int_equal(got.flags, RINGCAST_FLAG_JSON | RINGCAST_FLAG_POSITION);
	free(keep);
}

static void frame_that_is_no_event_has_no_rendition(void **state)
{
	static const unsigned char text[] = {0x81, 2, '{', '}'};
	struct rc_bin_source s = {.frame = text, .len = sizeof(text)};
	unsigned char out[128];

	(void)state;
	assert_true(rc_bin_rendition_bound(&s) <= sizeof(out));
	assert_int_equal(rc_bin_rendition(out, &s, true), 0);
	s.len = 1;
	s.raw = true;
	assert_int_equal(rc_bin_rendition(out, &s, true), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subscribe_is_what_the_specification_says),
		cmocka_unit_test(answers_come_back_as_they_were),
		cmocka_unit_test(welcome_says_first_what_a_publisher_is_told),
		cmocka_unit_test(rendition_says_what_was_published),
		cmocka_unit_test(payload_of_any_size_comes_back),
		cmocka_unit_test(raw_event_is_never_read_as_another),
		cmocka_unit_test(frame_that_is_no_event_has_no_rendition),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
