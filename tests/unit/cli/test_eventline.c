/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's messages as lines, for people and for programs.
 */
#include "../unit.h"

#include <stdio.h>

#include "cli/args.c"
#include "cli/eventline.c"

#include "proto/event.h"
#include "proto/websocket.h"

static char line[1024];

static const char *printed(enum rc_eventline_format format, const char *text, bool binary)
{
	FILE *out = fmemopen(line, sizeof(line), "w");
	struct rc_eventline m;

	assert_non_null(out);
	rc_eventline_parse(&m, rc_str_of(text), binary);
	assert_true(rc_eventline_print(out, format, &m, rc_str_of(text)));
	assert_int_equal(fclose(out), 0);
	return line;
}

#define EVENT(rest) \
	"{\"type\":\"event\",\"channel\":\"news\",\"event\":\"add\",\"offset\":42," rest "}"

static void an_event_is_channel_event_offset_data(void **state)
{
	static const char text[] = EVENT("\"data\":{\"id\": 1}");

	(void)state;
	assert_string_equal(printed(RC_EVENTLINE_FIELDS, text, false), "news add 42 {\"id\": 1}\n");
	assert_string_equal(printed(RC_EVENTLINE_DATA, text, false), "{\"id\": 1}\n");
	assert_memory_equal(printed(RC_EVENTLINE_MESSAGE, text, false), text, sizeof(text) - 1);
}

static void an_event_is_one_line_whatever_its_data(void **state)
{
	static const char text[] = EVENT("\"data\":{\r\n\"id\":\n1\n}");

	(void)state;
	assert_string_equal(
		printed(RC_EVENTLINE_FIELDS, text, false), "news add 42 {  \"id\": 1 }\n");
	assert_string_equal(printed(RC_EVENTLINE_DATA, text, false), "{  \"id\": 1 }\n");
	assert_null(strchr(printed(RC_EVENTLINE_MESSAGE, text, false), '\r'));
}

static void opaque_data_is_shown_only_where_it_is_text(void **state)
{
	(void)state;
	assert_string_equal(
		printed(RC_EVENTLINE_FIELDS,
			EVENT("\"encoding\":\"base64\",\"data\":\"aGkgdGhlcmU=\""), false),
		"news add 42 hi there\n");
	/* "x" ESC "[0m" */
	assert_string_equal(printed(RC_EVENTLINE_FIELDS,
				    EVENT("\"encoding\":\"base64\",\"data\":\"eBtbMG0=\""), false),
		"news add 42 base64:eBtbMG0=\n");
	assert_string_equal(printed(RC_EVENTLINE_DATA,
				    EVENT("\"encoding\":\"base64\",\"data\":\"eBtbMG0=\""), false),
		"x\x1b[0m\n");
	assert_string_equal(
		printed(RC_EVENTLINE_FIELDS, EVENT("\"encoding\":\"base64\",\"data\":\"\""), false),
		"news add 42 \n");
}

static void what_the_encoder_writes_is_read(void **state)
{
	struct rc_event_encoder encoder = {0};
	struct rc_event e = {.channel = RC_STR("a:b"),
		.event = RC_STR("say \"x\""),
		.data = RC_STR("[1,2]"),
		.offset = UINT64_MAX,
		.json = true};
	unsigned char frame[512];
	size_t len = rc_event_ws_encode(&encoder, frame, &e, false);
	size_t header = rc_ws_header_len(len - 4);
	char text[512] = {0};

	(void)state;
	memcpy(text, frame + header, len - header);
	assert_string_equal(printed(RC_EVENTLINE_FIELDS, text, false),
		"a:b say \"x\" 18446744073709551615 [1,2]\n");
}

static void bytes_without_envelope_have_no_channel(void **state)
{
	(void)state;
	assert_string_equal(printed(RC_EVENTLINE_FIELDS, "{\"type\":\"order\"}", false),
		"- - - {\"type\":\"order\"}\n");
	assert_string_equal(printed(RC_EVENTLINE_FIELDS, "[1,\n2]", false), "- - - [1, 2]\n");
	assert_string_equal(printed(RC_EVENTLINE_DATA, "plain", true), "plain\n");
	assert_string_equal(printed(RC_EVENTLINE_FIELDS, "\x01", true), "- - - base64:AQ==\n");
}

static void the_gateways_own_messages_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		enum rc_eventline_kind kind;
	} messages[] = {{"{\"type\":\"connected\",\"heartbeat\":30000}", RC_EVENTLINE_CONNECTED},
		{"{\"type\":\"error\",\"code\":\"x\"}", RC_EVENTLINE_ERROR},
		{"{\"type\":\"gap\",\"missed\":17}", RC_EVENTLINE_GAP},
		{"{\"type\":\"bye\"}", RC_EVENTLINE_BYE},
		{"{\"type\":\"subscription-ack\"}", RC_EVENTLINE_ACK},
		{"{\"type\":\"positions\",\"positions\":{}}", RC_EVENTLINE_OTHER},
		{"{\"type\":\"history\"}", RC_EVENTLINE_OTHER},
		{"{\"type\":\"eventually\"}", RC_EVENTLINE_BARE},
		{"{\"type\":1}", RC_EVENTLINE_BARE}, {"{}", RC_EVENTLINE_BARE},
		{"", RC_EVENTLINE_BARE}, {"7", RC_EVENTLINE_BARE}};
	struct rc_eventline m;

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(messages); i++) {
		rc_eventline_parse(&m, rc_str_of(messages[i].text), false);
		assert_int_equal(m.kind, messages[i].kind);
	}
	rc_eventline_parse(&m, rc_str_of(messages[0].text), false);
	assert_int_equal(rc_eventline_number(m.heartbeat), 30000);
	rc_eventline_parse(&m, RC_STR("{\"type\":\"x\",\"data\":{\"a\":1,\"b\":2}}"), false);
	assert_int_equal(rc_eventline_number(rc_eventline_member(m.data, RC_STR("b"))), 2);
	assert_int_equal(rc_eventline_member(m.data, RC_STR("c")).kind, RC_JSON_NONE);
	assert_int_equal(rc_eventline_member(m.type, RC_STR("a")).kind, RC_JSON_NONE);
	rc_eventline_parse(&m, rc_str_of(messages[0].text), true);
	assert_int_equal(m.kind, RC_EVENTLINE_BARE);
}

static void words_that_can_not_be_shown_are_a_question_mark(void **state)
{
	struct rc_eventline m;
	char buf[8];

	(void)state;
	rc_eventline_parse(&m,
		RC_STR("{\"code\":\"fine\",\"message\":\"\\u001b[0m\",\"id\":\"longer than that\"}"),
		false);
	assert_string_equal(rc_eventline_text(m.code, buf, sizeof(buf)), "fine");
	assert_string_equal(rc_eventline_text(m.message, buf, sizeof(buf)), "?");
	assert_string_equal(rc_eventline_text(m.id, buf, sizeof(buf)), "?");
	assert_string_equal(rc_eventline_text(m.channel, buf, sizeof(buf)), "?");
}

static void a_full_output_is_told(void **state)
{
	FILE *out = fopen("/dev/full", "w");
	struct rc_eventline m;

	(void)state;
	assert_non_null(out);
	(void)setvbuf(out, NULL, _IONBF, 0);
	rc_eventline_parse(&m, RC_STR("1"), false);
	assert_false(rc_eventline_print(out, RC_EVENTLINE_DATA, &m, RC_STR("1")));
	(void)fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_is_channel_event_offset_data),
		cmocka_unit_test(an_event_is_one_line_whatever_its_data),
		cmocka_unit_test(opaque_data_is_shown_only_where_it_is_text),
		cmocka_unit_test(what_the_encoder_writes_is_read),
		cmocka_unit_test(bytes_without_envelope_have_no_channel),
		cmocka_unit_test(the_gateways_own_messages_are_told_apart),
		cmocka_unit_test(words_that_can_not_be_shown_are_a_question_mark),
		cmocka_unit_test(a_full_output_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
