/* SPDX-License-Identifier: Apache-2.0
 *
 * traceparent, by the rules of W3C Trace Context, and in an event's frame.
 */
#include "../unit.h"

#include "proto/event.h"
#include "proto/trace.h"

#define IDS "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"

static bool taken(const char *text)
{
	unsigned char trace[RC_TRACE_BYTES];

	return rc_trace_parse(rc_str_of(text), trace);
}

static void a_traceparent_comes_out_as_it_went_in(void **state)
{
	(void)state;
	static const char text[] = "00-" IDS "-a5";
	unsigned char trace[RC_TRACE_BYTES];
	char out[RC_TRACE_TEXT];

	assert_true(rc_trace_parse(rc_str_of(text), trace));
	assert_int_equal(trace[0], 0x0a);
	assert_int_equal(trace[16], 0xb7);
	assert_int_equal(trace[24], 0xa5);
	rc_trace_text(trace, out);
	assert_memory_equal(out, text, sizeof(out));
}

static void what_is_not_right_is_none(void **state)
{
	(void)state;
	assert_true(taken("00-" IDS "-00"));
	assert_false(taken(""));
	assert_false(taken("00-" IDS "-0"));
	assert_false(taken("00-" IDS "-01-"));
	assert_false(taken("00-" IDS "-01 "));
	assert_false(taken("00-" IDS "-0g"));
	assert_false(taken("00-" IDS "-0A"));
	assert_false(taken("00_" IDS "-01"));
	assert_false(taken("ff-" IDS "-01"));
	assert_false(taken("0x-" IDS "-01"));
	assert_false(taken("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
	assert_false(taken("00-00000000000000000000000000000000-b7ad6b7169203331-01"));
	assert_false(taken("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"));
}

static void a_later_version_is_read_as_far_as_it_is_known(void **state)
{
	(void)state;
	unsigned char trace[RC_TRACE_BYTES];
	char out[RC_TRACE_TEXT];

	assert_true(taken("01-" IDS "-01"));
	assert_true(taken("01-" IDS "-01-what-ever"));
	assert_false(taken("01-" IDS "-01what"));
	assert_true(rc_trace_parse(RC_STR("cc-" IDS "-ff-x"), trace));
	rc_trace_text(trace, out);
	assert_memory_equal(out, "00-" IDS "-01", sizeof(out));
}

static struct rc_event event_of(const unsigned char *trace, bool json)
{
	return (struct rc_event){.channel = RC_STR("c"),
		.event = RC_STR("e"),
		.data = RC_STR("{\"traceparent\":\"x\"}"),
		.trace = trace,
		.offset = 7,
		.timestamp_ms = 1,
		.json = json};
}

static void an_event_carries_it_in_front_of_its_data(void **state)
{
	(void)state;
	unsigned char trace[RC_TRACE_BYTES], frame[512], with[512];
	struct rc_event_encoder encoder = {0};
	struct rc_event_view v;

	assert_true(rc_trace_parse(RC_STR("00-" IDS "-01"), trace));
	for (int json = 0; json < 2; json++) {
		struct rc_event e = event_of(trace, json), none = event_of(NULL, json);
		size_t len = rc_event_ws_encode(&encoder, frame, &e, false);

		assert_true(len <= rc_event_ws_bound(&e, false));
		assert_non_null(memmem(frame, len, "Z\",\"traceparent\":\"00-" IDS "-01\",\"", 76));
		assert_true(rc_event_ws_parse(frame, len, &v));
		assert_true(rc_str_eq(v.trace, RC_STR("00-" IDS "-01")));
		assert_int_equal(v.base64, !json);
		if (json)
			assert_true(rc_str_eq(v.data, e.data));
		len = rc_event_ws_position(with, frame, len, RC_STR("aaaaaaaaab~1"));
		assert_true(rc_event_ws_parse(with, len, &v));
		assert_true(rc_str_eq(v.trace, RC_STR("00-" IDS "-01")));
		assert_true(rc_str_eq(v.position, RC_STR("aaaaaaaaab~1")));
		len = rc_event_ws_encode(&encoder, frame, &none, false);
		assert_true(rc_event_ws_parse(frame, len, &v));
		assert_int_equal(v.trace.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_traceparent_comes_out_as_it_went_in),
		cmocka_unit_test(what_is_not_right_is_none),
		cmocka_unit_test(a_later_version_is_read_as_far_as_it_is_known),
		cmocka_unit_test(an_event_carries_it_in_front_of_its_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
