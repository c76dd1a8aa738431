/* SPDX-License-Identifier: Apache-2.0
 *
 * Schemas: what is compiled and what is refused with which place, what a payload is told; numbers compared as they are written. Schemas
 * and payloads lie in heap blocks of exactly their size, so that a sanitizer sees a step too far.
 */
#include "../unit.h"

#include <stdio.h>

#include "proto/decimal.h"
#include "proto/json.h"
#include "proto/schema.h"

static struct rc_str exact(const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len + (len == 0));

	assert_non_null(copy);
	memcpy(copy, text, len);
	return (struct rc_str){copy, len};
}

/* NULL: refused, with the fault. */
static struct rc_schema *compile(const char *text, struct rc_schema_fault *fault)
{
	struct rc_str schema = exact(text);
	size_t size = rc_schema_bound(schema);
	void *block = malloc(size);

	assert_non_null(block);
	memset(block, 0xa5, size);
	int rc = rc_schema_compile(schema, block, size, fault);
	/* The block keeps nothing of the text. */
	free((void *)(uintptr_t)schema.ptr);
	if (rc == 0)
		return block;
	free(block);
	return NULL;
}

static bool check(
	const char *schema, const char *event, const char *payload, struct rc_schema_fault *fault)
{
	struct rc_schema *s = compile(schema, fault);
	struct rc_str json = exact(payload);

	if (!s)
		fail_msg("%s: %s %s", schema, fault->place, fault->words);
	assert_int_equal(rc_json_validate(json, 128), 0);
	bool right = rc_schema_check(s, rc_str_of(event), json, fault);
	free((void *)(uintptr_t)json.ptr);
	free(s);
	return right;
}

static void schemas_that_are_none_are_refused_with_their_place(void **state)
{
	static const struct {
		const char *text, *place, *words;
		uint32_t line;
	} bad[] = {
		{"", "", "is not JSON, or nests deeper than 80", 1},
		{"[]", "", "must be a schema: an object, true or false", 1},
		{"{\"properties\":\n {\"a/b\":\n{\"minLength\":-1}}}", "/properties/a~1b/minLength",
			"must be a whole number from 0 to 999999999", 3},
		{"{\"properties\":{\"a\":{\"format\":\"date\"}}}", "/properties/a/format",
			"is not offered by this gateway", 1},
		{"{\"$ref\":\"#\"}", "/$ref", "is not offered by this gateway", 1},
		{"{\"t\\u0079pe\":\"string\"}", "/t\\u0079pe", "is not offered by this gateway", 1},
		{"{\"type\":\"string\",\"type\":\"string\"}", "/type", "stands twice", 1},
		{"{\"properties\":{\"a\":true,\"\\u0061\":true}}", "/properties/\\u0061",
			"stands twice", 1},
		{"{\"required\":[\"a\",\"b\",\"a\"]}", "/required", "names a field twice", 1},
		{"{\"required\":true}", "/required", "must be an array", 1},
		{"{\"required\":[1]}", "/required", "must be a string", 1},
		{"{\"properties\":{\"\\ud800\":true}}", "/properties/\\ud800", "is not text", 1},
		{"{\"properties\":[]}", "/properties", "must be an object", 1},
		{"{\"type\":[]}", "/type", "names no type", 1},
		{"{\"type\":\"date\"}", "/type",
			"must be object, array, string, number, integer, boolean or null", 1},
		{"{\"enum\":[]}", "/enum", "is empty", 1},
		{"{\"enum\":[[]]}", "/enum",
			"compares with an object or an array, which is not offered", 1},
		{"{\"const\":{}}", "/const",
			"compares with an object or an array, which is not offered", 1},
		{"{\"items\":[]}", "/items", "must be a schema: an object, true or false", 1},
		{"{\"minimum\":\"1\"}", "/minimum", "must be a number", 1},
		{"{\"exclusiveMinimum\":true}", "/exclusiveMinimum", "must be a number", 1},
		{"{\"items\":{\"events\":{}}}", "/items/events",
			"stands in the outermost object alone", 1},
		{"{\"events\":{\"e\":1}}", "/events/e",
			"must be a schema: an object, true or false", 1},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		struct rc_schema_fault fault;
		assert_null(compile(bad[i].text, &fault));
		assert_string_equal(fault.place, bad[i].place);
		assert_string_equal(fault.words, bad[i].words);
		assert_int_equal(fault.line, bad[i].line);
	}
}

static void schemas_nest_so_deep_and_no_deeper(void **state)
{
	(void)state;
	for (uint32_t depth = RC_SCHEMA_DEPTH_MAX - 2; depth < RC_SCHEMA_DEPTH_MAX + 2; depth++) {
		char schema[RC_SCHEMA_DEPTH_MAX * 16] = "", payload[4 * RC_SCHEMA_DEPTH_MAX] = "";
		struct rc_schema_fault fault;
		for (uint32_t i = 0; i < depth; i++) {
			(void)strcat(schema, "{\"items\":");
			(void)strcat(payload, "[");
		}
		(void)strcat(schema, "false");
		for (uint32_t i = 0; i < depth; i++)
			(void)strcat(schema, "}");
		(void)strcat(payload, "1");
		for (uint32_t i = 0; i < depth; i++)
			(void)strcat(payload, "]");
		if (depth > RC_SCHEMA_DEPTH_MAX) {
			assert_null(compile(schema, &fault));
			assert_string_equal(fault.words, "nests deeper than 32 schemas");
			continue;
		}
		assert_false(check(schema, "e", payload, &fault));
		assert_string_equal(fault.words, "is not allowed");
		assert_int_equal(strlen(fault.place), 2 * (size_t)depth);
	}
}

#define PRICE \
	"{\"properties\":{\"p\":{\"items\":{\"required\":[\"x\"],\"properties\":{\"x\":{\"type\":\"number\"}}}}}}"

static void payloads_are_told_the_field_and_what_it_must_be(void **state)
{
	static const struct {
		const char *schema, *payload, *place, *words; /* place NULL: it is right */
	} cases[] = {
		{"true", "[[[]]]", NULL, NULL},
		{"false", "1", "", "is not allowed"},
		{"{}", "{}", NULL, NULL},
		{PRICE, "{\"p\":[{\"x\":1},{\"x\":1,\"y\":{}}]}", NULL, NULL},
		{PRICE, "{\"p\":[{\"x\":1},{\"y\":1}]}", "/p/1/x", "is required"},
		{PRICE, "{\"p\":[{\"x\":1},{\"x\":[1]}]}", "/p/1/x", "must be a number"},
		{PRICE, "{\"p\":{\"x\":\"\"}}", NULL, NULL},
		{PRICE, "1", NULL, NULL},
		{"{\"type\":[\"null\",\"integer\"]}", "1.0", NULL, NULL},
		{"{\"type\":[\"null\",\"integer\"]}", "1.5e0", "",
			"must be a whole number or null"},
		{"{\"type\":\"integer\",\"maximum\":5}", "1e400", "", "must be at most 5"},
		{"{\"maxLength\":2}", "\"\xc3\xa4\xf0\x9f\x98\x80\"", NULL, NULL},
		{"{\"maxLength\":2}", "\"\\ud83d\\ude00\\n\"", NULL, NULL},
		{"{\"maxLength\":2}", "\"\\ud83d\\ud83d\\ude00x\"", "",
			"must have at most 2 characters"},
		{"{\"minLength\":3}", "\"\\ud83d\\ude00\\\"\"", "",
			"must have at least 3 characters"},
		{"{\"minLength\":1}", "\"\"", "", "must have at least 1 character"},
		{"{\"enum\":[\"\\u00e4\",1,null]}", "\"\xc3\xa4\"", NULL, NULL},
		{"{\"enum\":[\"a\",1,null]}", "\"\\u0061\"", NULL, NULL},
		{"{\"enum\":[\"a\",1,null]}", "10e-1", NULL, NULL},
		{"{\"enum\":[\"a\",1,null]}", "\"1\"", "",
			"must be one of 3 values, such as \"a\""},
		{"{\"enum\":[1]}", "[1]", "", "must be one of 1 values, such as 1"},
		{"{\"const\":false}", "0", "", "must be false"},
		{"{\"additionalProperties\":{\"type\":\"null\"},\"required\":[\"a\"]}", "{\"a\":1}",
			"/a", "must be null"},
		{"{\"additionalProperties\":false,\"properties\":{\"\":true}}",
			"{\"\":1,\"~/\\u0000\\ud800\":1}", "/~0~1\\u0000\\ud800", "is not allowed"},
		{"{\"properties\":{\"a\":{\"minItems\":2}}}", "{\"a\":[1]}", "/a",
			"must have at least 2 items"},
		{"{\"items\":{\"maxItems\":1}}", "[[],[1,2]]", "/1", "must have at most 1 item"},
		{"{\"properties\":{\"a\":{\"type\":\"null\"}}}", "{\"a\":null,\"\\u0061\":1}", "/a",
			"must be null"},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct rc_schema_fault fault = {.words = ""};
		bool right = check(cases[i].schema, "e", cases[i].payload, &fault);
		if (right != (cases[i].place == NULL))
			fail_msg("%s of %s: %s %s", cases[i].payload, cases[i].schema, fault.place,
				fault.words);
		if (right)
			continue;
		assert_string_equal(fault.place, cases[i].place);
		assert_string_equal(fault.words, cases[i].words);
	}
}

static void events_may_have_schemas_of_their_own(void **state)
{
	static const char schema[] =
		"{\"type\":\"object\",\"events\":{\"a\":{\"type\":\"string\"},\"bb\":true,\"c\":false}}";
	struct rc_schema_fault fault;

	(void)state;
	assert_true(check(schema, "a", "\"\"", &fault));
	assert_false(check(schema, "a", "{}", &fault));
	assert_true(check(schema, "bb", "1", &fault));
	assert_false(check(schema, "c", "{}", &fault));
	assert_true(check(schema, "d", "{}", &fault));
	assert_false(check(schema, "b", "1", &fault));
}

/* A long path is cut, between characters, and nothing follows the cut. */
static void a_place_that_is_too_long_is_cut(void **state)
{
	char payload[1024] = "{\"";
	struct rc_schema_fault fault;

	(void)state;
	for (int i = 0; i < 100; i++)
		(void)strcat(payload, "\xc3\xa4");
	(void)strcat(payload, "\":[{\"b\":1}]}");
	assert_false(
		check("{\"additionalProperties\":{\"items\":{\"additionalProperties\":false}}}",
			"e", payload, &fault));
	assert_int_equal(strlen(fault.place), 127);
	assert_int_equal((unsigned char)fault.place[126], 0xa4);
}

static void numbers_are_compared_as_they_are_written(void **state)
{
	/* In order; those in a row are equal. */
	static const char *const rows[][5] = {
		{"-1e1000000000001", "-1e1000000000000"},
		{"-1e400"},
		{"-9007199254740993"},
		{"-9007199254740992.5"},
		{"-9007199254740992", "-9007199254740992.000"},
		{"-1"},
		{"-0.1", "-1e-1", "-0.10"},
		{"0", "-0", "0.0", "0e99999999999999999999", "-0.000"},
		{"1e-400"},
		{"0.1", "10e-2"},
		{"0.11"},
		{"1", "1.0", "100e-2", "0.01e2", "1E+0"},
		{"10", "1e1"},
		{"999999999999999999"},
		{"1000000000000000000", "1e18"},
		{"18446744073709551616"},
		{"18446744073709551617"},
		{"1e400", "10e399"},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(rows); i++) {
		for (size_t k = 0; k < RC_ARRAY_LEN(rows); k++) {
			int want = (i > k) - (i < k);
			for (size_t a = 0; a < 5 && rows[i][a]; a++) {
				for (size_t b = 0; b < 5 && rows[k][b]; b++) {
					int got = rc_decimal_compare(
						rc_str_of(rows[i][a]), rc_str_of(rows[k][b]));
					assert_int_equal((got > 0) - (got < 0), want);
				}
			}
		}
	}
	static const char *const whole[] = {"0", "-7", "1.0", "15e-1", "150e-1", "1e400", "0.0e-9",
		"1.25e2", "1.25e1", "123456789012345678901", "0.1", "1e-1"};
	static const bool is[] = {
		true, true, true, false, true, true, true, true, false, true, false, false};
	for (size_t i = 0; i < RC_ARRAY_LEN(whole); i++)
		assert_int_equal(rc_decimal_whole(rc_str_of(whole[i])), is[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schemas_that_are_none_are_refused_with_their_place),
		cmocka_unit_test(schemas_nest_so_deep_and_no_deeper),
		cmocka_unit_test(payloads_are_told_the_field_and_what_it_must_be),
		cmocka_unit_test(events_may_have_schemas_of_their_own),
		cmocka_unit_test(a_place_that_is_too_long_is_cut),
		cmocka_unit_test(numbers_are_compared_as_they_are_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
