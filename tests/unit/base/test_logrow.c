/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines with fields, in both forms, and what becomes of bytes that do not belong into a log.
 */
#include "../unit.h"

#include <stdio.h>

#include "base/logrow.h"
#include "base/utf8.h"

static struct rc_logrow row;

/* The line behind its time. */
static const char *closed(void)
{
	static char text[RC_LOGLINE_MAX + 1];

	rc_logrow_close(&row);
	assert_true(row.len <= RC_LOGLINE_MAX && row.text[row.len - 1] == '\n');
	for (size_t i = 0; i + 1 < row.len; i++)
		assert_true((unsigned char)row.text[i] >= 0x20 && row.text[i] != 0x7f);
	assert_true(rc_utf8_valid(row.text, row.len));
	memcpy(text, row.text, row.len);
	text[row.len - 1] = '\0';
	return text + (row.json ? strlen("{\"ts\":\"2026-01-15T10:15:00.000Z\",") : 25);
}

static void begin(bool json)
{
	rc_logline_json(json);
	rc_logrow_begin(&row, RC_LEVEL_INFO, RC_STR("client"));
}

static void fields_stand_behind_the_words(void **state)
{
	(void)state;
	for (int json = 0; json < 2; json++) {
		begin(json);
		rc_logrow_text(&row, "user", RC_STR("bob"));
		rc_logrow_text(&row, "reason", RC_STR("a \"b\" c\\"));
		rc_logrow_text(&row, "none", RC_STR(""));
		rc_logrow_number(&row, "zero", 0);
		rc_logrow_number(&row, "most", UINT64_MAX);
		rc_logrow_true(&row, "audit");
		assert_string_equal(closed(),
			json ? "\"level\":\"info\",\"msg\":\"client\",\"user\":\"bob\",\"reason\":\"a \\\"b\\\" c\\\\\","
			       "\"none\":\"\",\"zero\":0,\"most\":18446744073709551615,\"audit\":true}"
			     : "info  client user=bob reason=\"a \\\"b\\\" c\\\\\" none=\"\" zero=0 "
			       "most=18446744073709551615 audit=true");
	}
}

static void what_does_not_belong_into_a_log_is_shown_and_not_written(void **state)
{
	(void)state;
	/* New lines, escapes, DEL, C1, a byte that is no UTF-8, one cut short, a turn of direction, a line separator. */
	static const char bad[] =
		"a\n\r\t\x1b[2J\x7f\xc2\x9b\xff\xe2\x80\xe2\x80\xae\xe2\x80\xa8\xc3\xa9";

	begin(true);
	rc_logrow_text(&row, "v", rc_str_of(bad));
	assert_string_equal(closed(),
		"\"level\":\"info\",\"msg\":\"client\",\"v\":\"a\\u000a\\u000d\\u0009\\u001b[2J\\u007f\\u009b\\ufffd\\ufffd"
		"\\ufffd\\u202e\\u2028\xc3\xa9\"}");
	begin(false);
	rc_logrow_text(&row, "v", rc_str_of(bad));
	assert_string_equal(closed(),
		"info  client v=\"a\\u000a\\u000d\\u0009\\u001b[2J\\u007f\\u009b\\xff\\xe2\\x80\\u202e\\u2028\xc3\xa9\"");
	/* A field that would look like two. */
	begin(false);
	rc_logrow_text(&row, "v", RC_STR("x user=root"));
	rc_logrow_text(&row, "w", RC_STR("x=1"));
	assert_string_equal(closed(), "info  client v=\"x user=root\" w=\"x=1\"");
}

static void long_values_are_cut_between_characters_and_it_is_said(void **state)
{
	(void)state;
	char text[600];

	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	for (int json = 0; json < 2; json++) {
		begin(json);
		rc_logrow_text(&row, "v", (struct rc_str){text + 1, 599});
		assert_non_null(strstr(closed(), json ? "\"cut\":true}" : " cut=true"));
		begin(json);
		rc_logrow_text(&row, "v", (struct rc_str){text, RC_LOGROW_VALUE_MAX});
		assert_null(strstr(closed(), "cut"));
	}
}

static void fields_without_room_are_left_out_whole(void **state)
{
	(void)state;
	char bytes[RC_LOGROW_VALUE_MAX];

	memset(bytes, 1, sizeof(bytes));
	for (int json = 0; json < 2; json++) {
		begin(json);
		for (int i = 0; i < 20; i++) {
			rc_logrow_text(&row, "v", (struct rc_str){bytes, sizeof(bytes)});
			rc_logrow_number(&row, "n", UINT64_MAX);
		}
		const char *text = closed();
		assert_non_null(strstr(text, "cut"));
		assert_true(!json || text[strlen(text) - 1] == '}');
	}
}

static void a_long_message_loses_its_end_alone(void **state)
{
	(void)state;
	static char bytes[3 * RC_LOGLINE_MAX];

	memset(bytes, 'x', sizeof(bytes));
	bytes[0] = '\n';
	for (int json = 0; json < 2; json++) {
		rc_logline_json(json);
		rc_logrow_begin(&row, RC_LEVEL_WARN, (struct rc_str){bytes, sizeof(bytes)});
		const char *text = closed();
		assert_true(row.len > RC_LOGLINE_MAX - 64);
		assert_non_null(strstr(text, "\\u000ax"));
		assert_non_null(strstr(text, "cut"));
	}
}

struct caught {
	char text[RC_LOGLINE_MAX];
	enum rc_log_where where;
};

static void catch_it(void *ctx, enum rc_log_where where, const char *line, size_t len)
{
	struct caught *c = ctx;

	memcpy(c->text, line, len);
	c->text[len] = '\0';
	c->where = where;
}

static void plain_lines_are_objects_too_and_go_to_the_sink(void **state)
{
	(void)state;
	struct caught c = {.where = RC_LOG_MAIN};
	const struct rc_logline_sink sink = {&c, catch_it};

	rc_logline_json(true);
	rc_logline_to(&sink);
	rc_warn_line("tokens: %s", "a \"b\"\n");
	assert_non_null(
		strstr(c.text, "\"level\":\"warn\",\"msg\":\"tokens: a \\\"b\\\"\\u000a\"}\n"));
	assert_int_equal(c.where, RC_LOG_MAIN);
	begin(true);
	rc_logrow_end(&row, RC_LOG_ACCESS);
	assert_int_equal(c.where, RC_LOG_ACCESS);
	rc_logline_to(NULL);
	rc_logline_json(false);
	/* Nobody is there to take it. */
	begin(false);
	rc_logrow_end(&row, RC_LOG_ACCESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_stand_behind_the_words),
		cmocka_unit_test(what_does_not_belong_into_a_log_is_shown_and_not_written),
		cmocka_unit_test(long_values_are_cut_between_characters_and_it_is_said),
		cmocka_unit_test(fields_without_room_are_left_out_whole),
		cmocka_unit_test(a_long_message_loses_its_end_alone),
		cmocka_unit_test(plain_lines_are_objects_too_and_go_to_the_sink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
