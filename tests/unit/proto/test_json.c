/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON: what is accepted, how it is walked, how strings are decoded and escaped. Every text is tested in a heap block of
 * exactly its size, so that a sanitizer sees a step too far.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/json.h"

static int check_sized(const char *text, size_t len, uint32_t depth_max)
{
	char *copy = malloc(len > 0 ? len : 1);
	int result;

	assert_non_null(copy);
	memcpy(copy, text, len);
	result = rc_json_validate((struct rc_str){copy, len}, depth_max);
	free(copy);
	return result;
}

static int check(const char *text)
{
	return check_sized(text, strlen(text), 64);
}

static void validate_takes_every_kind_of_value(void **state)
{
	static const char *const good[] = {
		"{}",
		"[]",
		"\"\"",
		"0",
		"-0",
		"7",
		"-12",
		"120",
		"0.5",
		"-0.25",
		"1e5",
		"1E+05",
		"0e0",
		"12.50e-3",
		"123456789012345678901234567890",
		"true",
		"false",
		"null",
		" \t\r\n null \n",
		"[1,2,3]",
		"[ 1 , 2 , 3 ]",
		"[[],[[]],{}]",
		"{\"a\":1}",
		"{ \"a\" : 1 , \"b\" : [ true , null ] }",
		"{\"\":{\"\":{}}}",
		"{\"a\":1,\"a\":2}",
		"\"plain text that is longer than a word\"",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"",
		"\"\\ud800\"",
		"\"\\u0000\"",
		"\"\x7f\"",
		"\"Gr\xc3\xb6\xc3\x9f \xe5\xae\x8c \xf0\x9f\x98\x80\"",
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(good); i++) {
		if (check(good[i]) != 0)
			fail_msg("refused: %s", good[i]);
	}
}

static void validate_refuses_what_is_not_json(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"nul",
		"nulll",
		"True",
		"tru",
		"falsy",
		"+1",
		"01",
		"-01",
		"00",
		"-",
		"1.",
		".5",
		"-.5",
		"1.e5",
		"1e",
		"1e+",
		"1ee5",
		"0x10",
		"NaN",
		"Infinity",
		"1 2",
		"{} {}",
		"{}x",
		"[1,]",
		"[,1]",
		"[,]",
		"[1 2]",
		"[1",
		"[",
		"]",
		"[1}",
		"[}",
		"{",
		"}",
		"{]",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{,}",
		"{\"a\" 1}",
		"{\"a\":1 \"b\":2}",
		"{a:1}",
		"{'a':1}",
		"{1:1}",
		"{\"a\":1",
		"{\"a\":1]",
		"{\"a\"",
		"{\"a\":",
		"[{]}",
		"[[{}]",
		"\"",
		"\"a",
		"'a'",
		"\"\\",
		"\"\\\"",
		"\"\\x41\"",
		"\"\\u12\"",
		"\"\\u123",
		"\"\\u123g\"",
		"\"\\U0041\"",
		"\"\\'\"",
		"\"tab\there\"",
		"\"new\nline that is longer than a word\"",
		"\"\x1f\"",
		"// comment\n1",
		"\xef\xbb\xbf{}",
		"\xc2\xa0[]",
		"[1]\f",
		"*",
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		if (check(bad[i]) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
	}
	assert_int_equal(check_sized("1\0", 2, 64), -EINVAL);
	assert_int_equal(check_sized("\"a\0b\"", 5, 64), -EINVAL);
}

static void validate_refuses_invalid_utf8_wherever_it_stands(void **state)
{
	static const char *const broken[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xc3",
		"\xe2\x82",
		"\xe0\x80\x80",
		"\xed\xa0\x80",
		"\xf0\x80\x80\x80",
		"\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80",
		"\xff",
		"\xfe",
	};
	static const char lead[] = "abcdefghijklmnopqrst";
	char text[64];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(broken); i++) {
		for (size_t before = 0; before < sizeof(lead); before++) {
			snprintf(text, sizeof(text), "[\"%.*s%s\",\"x\"]", (int)before, lead,
				broken[i]);
			assert_int_equal(check(text), -EINVAL);
			snprintf(text, sizeof(text), "{\"%.*s%s%s\":1}", (int)before, lead,
				broken[i], lead);
			assert_int_equal(check(text), -EINVAL);
		}
	}
}

static void validate_sees_a_bad_byte_at_every_place_of_a_word(void **state)
{
	char text[] = "\"abcdefghijklmnopqrstuvwxyz\"";
	size_t len = sizeof(text) - 1;

	(void)state;
	assert_int_equal(check(text), 0);
	for (size_t i = 1; i + 1 < len; i++) {
		for (int c = 0; c < 256; c++) {
			char saved = text[i];
			bool bad = c < 0x20 || c == '"' || c >= 0x80;

			text[i] = (char)c;
			if (c != '\\')
				assert_int_equal(check_sized(text, len, 64), bad ? -EINVAL : 0);
			text[i] = saved;
		}
	}
}

static void validate_refuses_every_proper_prefix(void **state)
{
	static const char text[] =
		"{\"a\":[1.5e3,true,null,\"\\u00e9 \xc3\xa9\"],\"b\":{\"c\":false}}";

	(void)state;
	assert_int_equal(check(text), 0);
	for (size_t len = 0; len + 1 < sizeof(text); len++)
		assert_int_equal(check_sized(text, len, 64), -EINVAL);
}

static void validate_counts_the_nesting(void **state)
{
	char text[2 * RC_JSON_DEPTH_LIMIT + 4];
	static const uint32_t depths[] = {1, 2, 63, 64, 65, 128, RC_JSON_DEPTH_LIMIT};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(depths); i++) {
		uint32_t depth = depths[i];

		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		assert_int_equal(check_sized(text, 2 * (size_t)depth, depth), 0);
		assert_int_equal(check_sized(text, 2 * (size_t)depth, depth - 1), -EINVAL);
	}
	assert_int_equal(check_sized("1", 1, 0), 0);
	assert_int_equal(check_sized("[]", 2, 0), -EINVAL);
}

static void validate_remembers_what_each_level_was(void **state)
{
	char text[2048];
	size_t len = 0, open = 0;

	(void)state;
	for (; open < 200; open++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, open % 3 ? "[" : "{\"k\":");
	text[len++] = '1';
	for (size_t level = open; level-- > 0;)
		text[len++] = level % 3 ? ']' : '}';
	assert_int_equal(check_sized(text, len, 200), 0);
	for (size_t i = len - 200; i < len; i++) {
		char saved = text[i];

		text[i] = saved == ']' ? '}' : ']';
		assert_int_equal(check_sized(text, len, 200), -EINVAL);
		text[i] = saved;
	}
}

static void assert_str(struct rc_str s, const char *want)
{
	assert_int_equal(s.len, strlen(want));
	assert_memory_equal(s.ptr, want, s.len);
}

static void object_next_yields_members_in_order_with_their_bytes(void **state)
{
	static const struct {
		const char *key;
		enum rc_json_kind kind;
		const char *raw;
	} want[] = {
		{"a", RC_JSON_NUMBER, "-1.5e3"},
		{"b\\\"}", RC_JSON_STRING, "\"x,]}\\\"\""},
		{"", RC_JSON_OBJECT, "{ \"k\" : [ \"]}\" ] }"},
		{"d", RC_JSON_ARRAY, "[1, [2, {\"e\":\"\\\\\"}]]"},
		{"t", RC_JSON_TRUE, "true"},
		{"f", RC_JSON_FALSE, "false"},
		{"n", RC_JSON_NULL, "null"},
		{"z", RC_JSON_OBJECT, "{}"},
	};
	struct rc_str text = RC_STR(
		" { \"a\" : -1.5e3 ,\"b\\\"}\":\"x,]}\\\"\", \"\": { \"k\" : [ \"]}\" ] } ,"
		"\"d\":[1, [2, {\"e\":\"\\\\\"}]],\"t\":true,\"f\":false ,\"n\":null,\"z\":{}} \n");
	struct rc_json_value root = rc_json_root(text), value;
	struct rc_json_iter it;
	struct rc_str key;

	(void)state;
	assert_int_equal(rc_json_validate(text, 8), 0);
	assert_int_equal(root.kind, RC_JSON_OBJECT);
	assert_int_equal(root.raw.len, text.len - 3);
	rc_json_object_begin(&it, root.raw);
	for (size_t i = 0; i < RC_ARRAY_LEN(want); i++) {
		assert_true(rc_json_object_next(&it, &key, &value));
		assert_str(key, want[i].key);
		assert_int_equal(value.kind, want[i].kind);
		assert_str(value.raw, want[i].raw);
	}
	assert_false(rc_json_object_next(&it, &key, &value));
	assert_false(rc_json_object_next(&it, &key, &value));
}

static void array_next_yields_items_in_order(void **state)
{
	struct rc_json_iter it;
	struct rc_json_value value;

	(void)state;
	rc_json_array_begin(&it, RC_STR("[ 1 ,\"two\",[3],{\"four\":4} ,null]"));
	assert_true(rc_json_array_next(&it, &value));
	assert_str(value.raw, "1");
	assert_true(rc_json_array_next(&it, &value));
	assert_str(value.raw, "\"two\"");
	assert_true(rc_json_array_next(&it, &value));
	assert_str(value.raw, "[3]");
	assert_true(rc_json_array_next(&it, &value));
	assert_str(value.raw, "{\"four\":4}");
	assert_true(rc_json_array_next(&it, &value));
	assert_int_equal(value.kind, RC_JSON_NULL);
	assert_false(rc_json_array_next(&it, &value));
}

static void empty_containers_have_no_members(void **state)
{
	struct rc_json_iter it;
	struct rc_json_value value;
	struct rc_str key;

	(void)state;
	rc_json_object_begin(&it, RC_STR("{ }"));
	assert_false(rc_json_object_next(&it, &key, &value));
	rc_json_array_begin(&it, RC_STR("[\n]"));
	assert_false(rc_json_array_next(&it, &value));
	rc_json_array_begin(&it, (struct rc_str){NULL, 0});
	assert_false(rc_json_array_next(&it, &value));
	assert_int_equal(rc_json_root(RC_STR("")).kind, RC_JSON_NONE);
}

static int decode(const char *raw, char *out, size_t cap)
{
	return rc_json_string_decode(rc_str_of(raw), out, cap);
}

static void decode_gives_the_text_that_escapes_stand_for(void **state)
{
	char out[64];
	int len;

	(void)state;
	len = decode("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", out, sizeof(out));
	assert_int_equal(len, 10);
	assert_memory_equal(out, "a\"\\/\b\f\n\r\tz", 10);
	len = decode(
		"\"\\u0041\\u00e9\\u5b8c\\ud83d\\ude00\\uD83D\\uDE00\xc3\xa9\"", out, sizeof(out));
	assert_int_equal(len, 16);
	assert_memory_equal(
		out, "A\xc3\xa9\xe5\xae\x8c\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xc3\xa9", 16);
	len = decode("\"\\uffff\\u07ff\\u0800\\udbff\\udfff\"", out, sizeof(out));
	assert_int_equal(len, 12);
	assert_memory_equal(out, "\xef\xbf\xbf\xdf\xbf\xe0\xa0\x80\xf4\x8f\xbf\xbf", 12);
	assert_int_equal(decode("\"\"", out, 0), 0);
}

static void decode_refuses_what_is_no_text(void **state)
{
	static const char *const bad[] = {
		"\"\\u0000\"",
		"\"\\ud800\"",
		"\"\\udbff\"",
		"\"\\udc00\"",
		"\"\\ud83dx\"",
		"\"\\ud83d\\n\"",
		"\"\\ud83d\\ud83d\"",
		"\"\\ud83d\\udbff\"",
		"\"\\ud83d\\ue000\"",
		"\"\\ud83d\\u0041\"",
		"\"\\ud83d\\ude0\"",
		"\"\\ude00\\ud83d\"",
		"\"\\u12\"",
		"\"\\q\"",
		"\"\\\"",
		"\"",
		"",
		"1",
		"ab",
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		if (decode(bad[i], out, sizeof(out)) != -EINVAL)
			fail_msg("decoded: %s", bad[i]);
	}
}

static void decode_never_writes_past_the_cap(void **state)
{
	static const char raw[] = "\"ab\\n\\u00e9\\ud83d\\ude00cd\"";
	char out[16];

	(void)state;
	assert_int_equal(decode(raw, out, 11), 11);
	for (size_t cap = 0; cap < 11; cap++) {
		memset(out, 'X', sizeof(out));
		assert_int_equal(decode(raw, out, cap), -ENOSPC);
		for (size_t i = cap; i < sizeof(out); i++)
			assert_int_equal(out[i], 'X');
	}
}

static void escape_writes_what_decodes_to_the_same_text(void **state)
{
	char text[160], escaped[6 * sizeof(text)], quoted[6 * sizeof(text) + 2];
	char back[sizeof(text)];
	size_t len = 0, escaped_len;

	(void)state;
	for (char c = 1; c < 0x7f; c++)
		text[len++] = c;
	memcpy(text + len, "\x7f\xc3\xa9\xf0\x9f\x98\x80", 7);
	len += 7;
	escaped_len = rc_json_escape_len((struct rc_str){text, len});
	assert_int_equal(rc_json_escape(escaped, (struct rc_str){text, len}), escaped_len);
	quoted[0] = '"';
	memcpy(quoted + 1, escaped, escaped_len);
	quoted[escaped_len + 1] = '"';
	assert_int_equal(check_sized(quoted, escaped_len + 2, 0), 0);
	assert_int_equal(
		rc_json_string_decode((struct rc_str){quoted, escaped_len + 2}, back, sizeof(back)),
		len);
	assert_memory_equal(back, text, len);
}

static void escape_uses_the_short_forms(void **state)
{
	char out[64];
	size_t len = rc_json_escape(out, (struct rc_str){"\"\\/\b\f\n\r\t\0\x1f", 10});

	(void)state;
	assert_str((struct rc_str){out, len}, "\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f");
	assert_int_equal(rc_json_escape_len((struct rc_str){NULL, 0}), 0);
	assert_int_equal(rc_json_escape(out, (struct rc_str){NULL, 0}), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(validate_takes_every_kind_of_value),
		cmocka_unit_test(validate_refuses_what_is_not_json),
		cmocka_unit_test(validate_refuses_invalid_utf8_wherever_it_stands),
		cmocka_unit_test(validate_sees_a_bad_byte_at_every_place_of_a_word),
		cmocka_unit_test(validate_refuses_every_proper_prefix),
		cmocka_unit_test(validate_counts_the_nesting),
		cmocka_unit_test(validate_remembers_what_each_level_was),
		cmocka_unit_test(object_next_yields_members_in_order_with_their_bytes),
		cmocka_unit_test(array_next_yields_items_in_order),
		cmocka_unit_test(empty_containers_have_no_members),
		cmocka_unit_test(decode_gives_the_text_that_escapes_stand_for),
		cmocka_unit_test(decode_refuses_what_is_no_text),
		cmocka_unit_test(decode_never_writes_past_the_cap),
		cmocka_unit_test(escape_writes_what_decodes_to_the_same_text),
		cmocka_unit_test(escape_uses_the_short_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
