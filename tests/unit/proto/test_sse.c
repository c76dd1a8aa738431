/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of server-sent events, byte for byte.
 */
#include <stdio.h>

#include "../unit.h"

#include "proto/event.h"
#include "proto/sse.h"
#include "proto/websocket.h"

#define T0   1768472100000ull /* 2026-01-15T10:15:00.000Z */
#define HEAD "{\"type\":\"event\",\"channel\":\"c\",\"event\":\""
#define REST "\",\"offset\":1,\"timestamp\":\"2026-01-15T10:15:00.000Z\""

static struct rc_event_encoder encoder;

static void assert_block(const unsigned char *block, size_t len, size_t bound, const char *want)
{
	assert_int_equal(len, bound);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(block, want, len);
}

static void assert_frame(
	const unsigned char *frame, size_t len, struct rc_str id, bool bare, const char *want)
{
	size_t bound = rc_sse_bound(frame, len, id, bare);
	unsigned char *block = malloc(bound > 0 ? bound : 1);

	assert_non_null(block);
	assert_block(block, rc_sse_encode(block, frame, len, id, bare), bound, want);
	free(block);
}

static void assert_event(const struct rc_event *e, bool raw, bool bare, const char *want)
{
	unsigned char *frame = malloc(rc_event_ws_bound(e, raw));
	size_t len;

	assert_non_null(frame);
	len = rc_event_ws_encode(&encoder, frame, e, raw);
	assert_frame(frame, len, RC_STR("aaaaaaaaab~1.2"), bare, want);
	free(frame);
}

static void assert_data(struct rc_str data, const char *want)
{
	size_t bound = rc_sse_block_bound((struct rc_str){NULL, 0}, data, RC_STR(""));
	unsigned char *block = malloc(bound);

	assert_non_null(block);
	assert_block(block, rc_sse_block(block, (struct rc_str){NULL, 0}, data, RC_STR("")), bound,
		want);
	free(block);
}

static void encode_writes_name_object_and_id(void **state)
{
	struct rc_event e = {
		RC_STR("c"), RC_STR("a:b"), RC_STR("{\"n\":1}"), 1, T0, true, 0, {NULL, 0}, NULL};

	(void)state;
	assert_event(&e, false, false,
		"event: a:b\n"
		"data: " HEAD "a:b" REST ",\"data\":{\"n\":1}}\n"
		"id: aaaaaaaaab~1.2\n\n");
	e.json = false;
	assert_event(&e, false, false,
		"event: a:b\n"
		"data: " HEAD "a:b" REST ",\"encoding\":\"base64\",\"data\":\"eyJuIjoxfQ==\"}\n"
		"id: aaaaaaaaab~1.2\n\n");
}

static void encode_names_the_block_after_what_the_gateway_says(void **state)
{
	struct rc_event e = {RC_STR("c"), RC_STR("join"), RC_STR("{\"count\":1}"), 1, T0, true,
		RC_EVENT_JOIN, RC_STR("u"), NULL};

	(void)state;
	assert_event(&e, false, false,
		"event: join\n"
		"data: {\"type\":\"join\",\"channel\":\"c\",\"event\":\"join\",\"offset\":1,"
		"\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"user\":\"u\",\"data\":{\"count\":1}}\n"
		"id: aaaaaaaaab~1.2\n\n");
	assert_event(&e, false, true, "event: join\ndata: {\"count\":1}\nid: aaaaaaaaab~1.2\n\n");
}

static void encode_writes_the_name_as_it_was(void **state)
{
	struct rc_event e = {RC_STR("c"), RC_STR("say \"\\\xc3\xa9\""), RC_STR("1"), 1, T0, true, 0,
		{NULL, 0}, NULL};

	(void)state;
	assert_event(&e, false, true, "event: say \"\\\xc3\xa9\"\ndata: 1\nid: aaaaaaaaab~1.2\n\n");
}

static void encode_of_bare_data_sends_bytes_where_they_are_text(void **state)
{
	struct rc_event e = {
		RC_STR("c"), RC_STR("e"), RC_STR(" {\"n\": 1} "), 1, T0, true, 0, {NULL, 0}, NULL};
	char text[3200];

	(void)state;
	assert_event(&e, false, true, "event: e\ndata:  {\"n\": 1} \nid: aaaaaaaaab~1.2\n\n");
	e.data = (struct rc_str){NULL, 0};
	assert_event(&e, false, true, "event: e\ndata: null\nid: aaaaaaaaab~1.2\n\n");
	e.json = false;
	assert_event(&e, false, true, "event: e\ndata: \nid: aaaaaaaaab~1.2\n\n");
	e.data = RC_STR("h\xc3\xa9\r\n\nid: 7\r");
	assert_event(&e, false, true,
		"event: e\ndata: h\xc3\xa9\ndata: \ndata: id: 7\ndata: \nid: aaaaaaaaab~1.2\n\n");
	e.data = (struct rc_str){"a\x00", 2};
	assert_event(&e, false, true, "event: e\ndata: YQA=\nid: aaaaaaaaab~1.2\n\n");
	e.data = RC_STR("\xff");
	assert_event(&e, false, true, "event: e\ndata: /w==\nid: aaaaaaaaab~1.2\n\n");
	e.data = RC_STR("\xc3");
	assert_event(&e, false, true, "event: e\ndata: ww==\nid: aaaaaaaaab~1.2\n\n");

	/* Longer than a step: a character, and a CRLF, across its end. */
	memset(text, 'x', sizeof(text));
	e.data = (struct rc_str){text, sizeof(text)};
	for (size_t at = 3068; at < 3076; at++) {
		char want[sizeof(text) + 100];
		int len;

		memcpy(text + at, "\xe2\x82\xac\r\n", 5);
		len = snprintf(want, sizeof(want), "event: e\ndata: %.*s\ndata: %.*s\n%s",
			(int)at + 3, text, (int)(sizeof(text) - at - 5), text + at + 5,
			"id: aaaaaaaaab~1.2\n\n");
		assert_true(len > 0 && (size_t)len < sizeof(want));
		assert_event(&e, false, true, want);
		memset(text + at, 'x', 5);
	}
}

static void encode_of_raw_has_no_name(void **state)
{
	struct rc_event e = {
		RC_STR("c"), RC_STR("e"), RC_STR("[1,\n2]"), 1, T0, true, 0, {NULL, 0}, NULL};

	(void)state;
	assert_event(&e, true, false, "data: [1,\ndata: 2]\nid: aaaaaaaaab~1.2\n\n");
	assert_event(&e, true, true, "data: [1,\ndata: 2]\nid: aaaaaaaaab~1.2\n\n");
	e.json = false;
	assert_event(&e, true, false, "data: WzEsCjJd\nid: aaaaaaaaab~1.2\n\n");
	assert_event(&e, true, true, "data: WzEsCjJd\nid: aaaaaaaaab~1.2\n\n");
	e.data = (struct rc_str){NULL, 0};
	assert_event(&e, true, false, "data: \nid: aaaaaaaaab~1.2\n\n");
}

static void encode_leaves_out_a_name_that_would_break_the_block(void **state)
{
	static const char *const names[] = {
		"", "a\\nid: 1", "a\\r", "\\u0000", "\\ud800", "\\u0085", "\x7f", "\xff"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(names); i++) {
		struct rc_event e = {
			RC_STR("c"), RC_STR("e"), {NULL, 0}, 1, T0, true, 0, {NULL, 0}, NULL};
		char imitation[256], want[300];

		snprintf(imitation, sizeof(imitation), HEAD "%s" REST ",\"data\":1}", names[i]);
		snprintf(want, sizeof(want), "data: %s\nid: aaaaaaaaab~1.2\n\n", imitation);
		e.data = rc_str_of(imitation);
		assert_event(&e, true, false, want);
	}
}

static void encode_refuses_what_is_no_frame_and_no_id(void **state)
{
	static const struct rc_str frames[] = {
		{"", 0},
		{"\x81", 1},
		{"\x81\x03{}", 4},
		{"\x88\x02{}", 4},
		{"\x01\x02{}", 4},
		{"\x81\x82{}abcd", 8},
		{"\x81\x02{}\x81\x02{}", 8},
	};
	static const struct rc_str ids[] = {{"a\n", 2}, {"\rb", 2}, {"a\x00", 2}};
	const unsigned char *good = (const unsigned char *)"\x81\x02{}";
	unsigned char out[128];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(frames); i++)
		assert_frame((const unsigned char *)frames[i].ptr, frames[i].len, RC_STR("i"),
			false, "");
	for (size_t i = 0; i < RC_ARRAY_LEN(ids); i++) {
		assert_frame(good, 4, ids[i], false, "");
		assert_int_equal(rc_sse_heartbeat(out, ids[i]), 0);
		assert_int_equal(rc_sse_hello(out, 1, ids[i]), 0);
		assert_int_equal(rc_sse_gap(out, RC_STR("{}"), ids[i]), 0);
		assert_int_equal(rc_sse_block(out, ids[i], RC_STR("{}"), RC_STR("i")), 0);
	}
	assert_frame(good, 4, RC_STR(""), false, "data: {}\n\n");
}

static void data_is_split_at_every_end_of_line(void **state)
{
	(void)state;
	assert_data((struct rc_str){NULL, 0}, "data: \n\n");
	assert_data(RC_STR("a"), "data: a\n\n");
	assert_data(RC_STR("\n"), "data: \ndata: \n\n");
	assert_data(RC_STR("\r"), "data: \ndata: \n\n");
	assert_data(RC_STR("\r\n"), "data: \ndata: \n\n");
	assert_data(RC_STR("\n\r"), "data: \ndata: \ndata: \n\n");
	assert_data(RC_STR("\r\r\n\n"), "data: \ndata: \ndata: \ndata: \n\n");
	assert_data(RC_STR("a\nb\rc\r\nd"), "data: a\ndata: b\ndata: c\ndata: d\n\n");
	assert_data(RC_STR("a\r\n\r\nb\r"), "data: a\ndata: \ndata: b\ndata: \n\n");
}

static void short_blocks_are_written_as_the_protocol_shows(void **state)
{
	unsigned char out[RC_SSE_SHORT_MAX(14)], gap[64];
	size_t len;

	(void)state;
	len = rc_sse_heartbeat(out, RC_STR("aaaaaaaaab~1.2"));
	assert_block(out, len, len, ":\nid: aaaaaaaaab~1.2\n\n");
	len = rc_sse_hello(out, UINT32_MAX, RC_STR("aaaaaaaaab~1.2"));
	assert_block(out, len, len, "retry: 4294967295\nid: aaaaaaaaab~1.2\n\n");
	len = rc_sse_hello(out, 0, RC_STR(""));
	assert_block(out, len, len, "retry: 0\n\n");
	len = rc_sse_gap(gap, RC_STR("{\"type\":\"gap\"}"), RC_STR("e~1"));
	assert_block(gap, len, len, "event: gap\ndata: {\"type\":\"gap\"}\nid: e~1\n\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encode_writes_name_object_and_id),
		cmocka_unit_test(encode_names_the_block_after_what_the_gateway_says),
		cmocka_unit_test(encode_writes_the_name_as_it_was),
		cmocka_unit_test(encode_of_bare_data_sends_bytes_where_they_are_text),
		cmocka_unit_test(encode_of_raw_has_no_name),
		cmocka_unit_test(encode_leaves_out_a_name_that_would_break_the_block),
		cmocka_unit_test(encode_refuses_what_is_no_frame_and_no_id),
		cmocka_unit_test(data_is_split_at_every_end_of_line),
		cmocka_unit_test(short_blocks_are_written_as_the_protocol_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
