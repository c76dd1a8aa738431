/* SPDX-License-Identifier: Apache-2.0
 *
 * The event's frame read again: its slices, and the frame with a position in it.
 */
#include "../unit.h"

#include "proto/event.h"
#include "proto/json.h"
#include "proto/websocket.h"

#define T0 1768472100000ull /* 2026-01-15T10:15:00.000Z */

static struct rc_event_encoder encoder;

#define assert_str(got, want)                                                      \
	do {                                                                       \
		struct rc_str got_ = (got);                                        \
		assert_int_equal(got_.len, strlen(want));                          \
		assert_memory_equal(got_.len > 0 ? got_.ptr : "", want, got_.len); \
	} while (0)

/* In a block of exactly its length, so that a byte too far is seen. */
static unsigned char *exact(const unsigned char *bytes, size_t len)
{
	unsigned char *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	if (len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

static unsigned char *encode(const struct rc_event *e, bool raw, size_t *len)
{
	unsigned char *room = malloc(rc_event_ws_bound(e, raw)), *frame;

	assert_non_null(room);
	*len = rc_event_ws_encode(&encoder, room, e, raw);
	frame = exact(room, *len);
	free(room);
	return frame;
}

static unsigned char *frame_of(uint8_t opcode, struct rc_str payload, size_t *len)
{
	unsigned char *frame = malloc(10 + payload.len);
	size_t header;

	assert_non_null(frame);
	header = rc_ws_header(frame, opcode, true, payload.len);
	memcpy(frame + header, payload.ptr, payload.len);
	*len = header + payload.len;
	return frame;
}

static unsigned char *with_position(
	const unsigned char *frame, size_t len, struct rc_str position, size_t *out_len)
{
	unsigned char *room = malloc(RC_EVENT_POSITION_BOUND(len, position.len)), *out;

	assert_non_null(room);
	*out_len = rc_event_ws_position(room, frame, len, position);
	assert_true(*out_len <= RC_EVENT_POSITION_BOUND(len, position.len));
	out = exact(room, *out_len);
	free(room);
	return out;
}

static void check_view(
	const struct rc_event *e, const char *event_raw, const char *data, const char *position)
{
	size_t len, placed_len;
	unsigned char *frame = encode(e, false, &len);
	unsigned char *placed = with_position(frame, len, rc_str_of(position), &placed_len);
	struct rc_event_view v;

	assert_true(rc_event_ws_parse(frame, len, &v));
	assert_str(v.event_raw, event_raw);
	assert_true(rc_str_eq(v.channel, e->channel));
	assert_str(v.data, data);
	assert_int_equal(v.position.len, 0);
	assert_int_equal(v.base64, !e->json);
	assert_int_equal(v.escaped, strchr(event_raw, '\\') != NULL);
	assert_int_equal(v.payload.len + rc_ws_header_len(v.payload.len), len);

	assert_true(rc_event_ws_parse(placed, placed_len, &v));
	assert_int_equal(rc_json_validate(v.payload, 64), 0);
	assert_str(v.event_raw, event_raw);
	assert_str(v.data, data);
	assert_str(v.position, position);
	free(frame);
	free(placed);
}

static void parse_finds_what_encode_wrote(void **state)
{
	struct rc_event e = {RC_STR("analytics:agents"), RC_STR("agent:created"),
		RC_STR("{\"id\":1}"), 42, T0, true, 0, {NULL, 0}, NULL};

	(void)state;
	check_view(&e, "agent:created", "{\"id\":1}", "aaaaaaaaab~1.2");
	e.event = RC_STR("say \"\\\xc3\xa9\"");
	e.data = RC_STR("  [\"}\", \"\\\"}\"]\n");
	check_view(&e, "say \\\"\\\\\xc3\xa9\\\"", "  [\"}\", \"\\\"}\"]\n", "aaaaaaaaab~1");
	e.data = (struct rc_str){NULL, 0};
	check_view(&e, "say \\\"\\\\\xc3\xa9\\\"", "null", "aaaaaaaaab~1");
	e.json = false;
	check_view(&e, "say \\\"\\\\\xc3\xa9\\\"", "", "aaaaaaaaab~1");
	e.data = (struct rc_str){"\x00\xff\x10\x80", 4};
	check_view(&e, "say \\\"\\\\\xc3\xa9\\\"", "AP8QgA==", "aaaaaaaaab~1");
}

static void parse_finds_what_the_gateway_itself_says(void **state)
{
	struct rc_event e = {RC_STR("c:1"), RC_STR("join"), RC_STR("{\"users\":[]}"), 1, T0, true,
		RC_EVENT_JOIN, RC_STR("x\",\"data\":\\"), NULL};

	(void)state;
	check_view(&e, "join", "{\"users\":[]}", "aaaaaaaaab~1.2");
	e.user.len = 0;
	check_view(&e, "join", "{\"users\":[]}", "aaaaaaaaab~1.2");
	e.kind = RC_EVENT_LEAVE;
	e.event = RC_STR("leave");
	check_view(&e, "leave", "{\"users\":[]}", "aaaaaaaaab~1.2");
	e.kind = RC_EVENT_PRESENCE;
	e.event = RC_STR("presence");
	check_view(&e, "presence", "{\"users\":[]}", "aaaaaaaaab~1.2");
}

static void a_raw_event_that_only_has_such_a_type_is_left_as_it_is(void **state)
{
	static const char text[] = "{\"type\":\"join\",\"who\":\"me\"}";
	size_t len, placed_len;
	unsigned char *frame = frame_of(RC_WS_TEXT, rc_str_of(text), &len);
	unsigned char *placed = with_position(frame, len, RC_STR("aaaaaaaaab~1.2"), &placed_len);
	struct rc_event_view v;

	(void)state;
	assert_int_equal(placed_len, len);
	assert_memory_equal(placed, frame, len);
	assert_false(rc_event_ws_parse(frame, len, &v));
	free(frame);
	free(placed);
}

static void parse_leaves_data_alone_that_looks_like_a_position(void **state)
{
	static const char *const data[] = {
		"\",\\\"position\\\":\\\"aaaaaaaaab~1\"",
		"{\"a\":1,\"position\":\"aaaaaaaaab~1\"}",
		"[1,\"position\",\"aaaaaaaaab~1\"]",
		"\"\"",
		"\"position\"",
		"\"\\\"\"",
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(data); i++) {
		struct rc_event e = {RC_STR("c"), RC_STR("e"), rc_str_of(data[i]), 1, T0, true, 0,
			{NULL, 0}, NULL};

		check_view(&e, "e", data[i], "aaaaaaaaab~18446744073709551615.1");
	}
}

static void parse_works_at_every_size_of_header(void **state)
{
	static const size_t sizes[] = {1, 2, 10, 20, 30, 40, 3000, 65400, 65420, 65440, 70000};
	uint64_t stamps[RC_SHARDS_MAX];
	char position[RC_STREAM_TEXT_MAX(RC_SHARDS_MAX) + 1];
	char *data = malloc(70001);

	(void)state;
	assert_non_null(data);
	memset(stamps, 0xff, sizeof(stamps));
	position[rc_stream_text(7, stamps, RC_SHARDS_MAX, position)] = 0;
	for (size_t i = 0; i < RC_ARRAY_LEN(sizes); i++) {
		struct rc_event e = {RC_STR("c"), RC_STR("e"), {data, sizes[i]}, 1, T0, true, 0,
			{NULL, 0}, NULL};

		memset(data, '7', sizes[i]);
		data[sizes[i]] = 0;
		check_view(&e, "e", data, "aaaaaaaaab~1");
		check_view(&e, "e", data, position);
		data[0] = data[sizes[i] - 1] = '"';
		if (sizes[i] > 1)
			check_view(&e, "e", data, position);
	}
	free(data);
}

static void parse_refuses_every_cut_and_every_other_frame(void **state)
{
	struct rc_event e = {
		RC_STR("c"), RC_STR("e\\"), RC_STR("{\"a\":1}"), 1, T0, true, 0, {NULL, 0}, NULL};
	struct rc_event_view v;
	size_t len;
	unsigned char *frame;

	(void)state;
	for (int json = 0; json < 2; json++) {
		e.json = json;
		frame = encode(&e, false, &len);
		for (size_t cut = 0; cut < len; cut++) {
			unsigned char *part = exact(frame, cut);
			size_t inner_len;
			unsigned char *inner;

			assert_false(rc_event_ws_parse(part, cut, &v));
			free(part);
			/* The same with a header that is true: whatever it says, nothing outside is read. */
			if (cut <= 4)
				continue;
			inner = frame_of(RC_WS_TEXT, (struct rc_str){(char *)frame + 4, cut - 4},
				&inner_len);
			part = exact(inner, inner_len);
			if (rc_event_ws_parse(part, inner_len, &v))
				assert_true(v.data.ptr + v.data.len < (char *)part + inner_len);
			free(part);
			free(inner);
		}
		free(frame);
	}
	frame = encode(&e, true, &len);
	assert_false(rc_event_ws_parse(frame, len, &v));
	frame[0] = 0x81;
	assert_false(rc_event_ws_parse(frame, len, &v));
	free(frame);
}

static void position_is_added_to_events_only(void **state)
{
	static const struct {
		uint8_t opcode;
		const char *payload, *want;
	} cases[] = {
		{RC_WS_TEXT, "{\"type\":\"event\"}", "{\"type\":\"event\",\"position\":\"p\"}"},
		{RC_WS_TEXT, "{\"type\":\"event\",\"data\":{}}",
			"{\"type\":\"event\",\"data\":{},\"position\":\"p\"}"},
		{RC_WS_TEXT, "{\"type\":\"event\"", "{\"type\":\"event\""},
		{RC_WS_TEXT, "{\"type\":\"event\"} ", "{\"type\":\"event\"} "},
		{RC_WS_TEXT, " {\"type\":\"event\"}", " {\"type\":\"event\"}"},
		{RC_WS_TEXT, "{\"type\":\"other\"}", "{\"type\":\"other\"}"},
		{RC_WS_TEXT, "}", "}"},
		{RC_WS_TEXT, "", ""},
		{RC_WS_BINARY, "{\"type\":\"event\"}", "{\"type\":\"event\"}"},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		size_t len, got_len, want_len;
		unsigned char *frame = frame_of(cases[i].opcode, rc_str_of(cases[i].payload), &len);
		unsigned char *want =
			frame_of(cases[i].opcode, rc_str_of(cases[i].want), &want_len);
		unsigned char *got = with_position(frame, len, RC_STR("p"), &got_len);

		assert_int_equal(got_len, want_len);
		assert_memory_equal(got, want, want_len);
		free(frame);
		free(got);
		free(want);
	}
}

static void position_copies_what_is_no_frame(void **state)
{
	static const struct rc_str odd[] = {
		RC_STR("\x81"),
		RC_STR("\x81\x7e"),
		RC_STR("\x81\x05{}"),
		RC_STR("\x81\x01{}"),
		RC_STR("\x01\x02{}"),
		RC_STR("\x81\x7e\x00\x02{}"),
		RC_STR("\x81\x82{}abcd"),
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(odd); i++) {
		unsigned char *frame = exact((const unsigned char *)odd[i].ptr, odd[i].len);
		size_t len;
		unsigned char *got = with_position(frame, odd[i].len, RC_STR("p"), &len);
		struct rc_str payload;
		uint8_t opcode;

		assert_int_equal(len, odd[i].len);
		assert_memory_equal(got, odd[i].ptr, len);
		assert_false(rc_ws_message_in(frame, len, &opcode, &payload));
		free(frame);
		free(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_finds_what_encode_wrote),
		cmocka_unit_test(parse_finds_what_the_gateway_itself_says),
		cmocka_unit_test(a_raw_event_that_only_has_such_a_type_is_left_as_it_is),
		cmocka_unit_test(parse_leaves_data_alone_that_looks_like_a_position),
		cmocka_unit_test(parse_works_at_every_size_of_header),
		cmocka_unit_test(parse_refuses_every_cut_and_every_other_frame),
		cmocka_unit_test(position_is_added_to_events_only),
		cmocka_unit_test(position_copies_what_is_no_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
