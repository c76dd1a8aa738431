/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters: a table of expressions and what they say of one event, what is refused and where, and which filters are the same.
 */
#include <errno.h>
#include <stdio.h>

#include "../unit.h"

#include "../../fuzz/filter_oracle.h"
#include "proto/filter.h"

static struct rc_filter filter;
static char canonical[RC_FILTER_TEXT_MAX + 1];
static size_t canonical_len;
static struct rc_filter_fault fault;

static const char event[] = "user:cr\\u0065ated";
static const char data[] =
	"{\"userId\":\"42\",\"n\":3,\"big\":9007199254740991,\"half\":0.5,\"neg\":-1e2,"
	"\"yes\":true,\"no\":false,\"nothing\":null,\"list\":[1],\"object\":{\"n\":5,\"deep\":1},"
	"\"text\":\"a*b \\\"c\\\" \\u00e4\\ud83d\\ude00\",\"odd name\":\"x\",\"twice\":1,\"twi\\u0063e\":2,"
	"\"star\":\"*\",\"empty\":\"\",\"zero\":-0.0,\"long\":3.0000000000000000000000000000000000000000001,"
	"\"and\":\"kept\",\"lone\":\"\\ud800\",\"aab\":\"aaaaaaaaab\"}";

static int compile(const char *text)
{
	int rc = rc_filter_compile(rc_str_of(text), &filter, canonical, &canonical_len, &fault);

	canonical[rc == 0 ? canonical_len : 0] = 0;
	return rc;
}

static bool matches(const char *text)
{
	if (compile(text) != 0)
		fail_msg("%s: %s", text, fault.message);
	bool is = rc_filter_match(&filter, rc_str_of(event), rc_str_of(data));
	int slow = oracle_match(canonical, rc_str_of(event), rc_str_of(data));
	if (slow >= 0 && slow != is)
		fail_msg("%s: the slow way finds %d", text, slow);
	return is;
}

static void match_says_what_the_table_says(void **state)
{
	static const char *const yes[] = {"event = 'user:created'", "event = 'user:*'", "event='*'",
		"event = '*created'", "event = '*:*'", "event = 'u*c*d'",
		"event = \"user:created\"", "event = 'user:cr\\u0065ated'",
		"event in ('a', 'user:*')", "event not in ('a', 'b')", "event != 'user:deleted'",
		"event > 'user:' and event < 'user;'", "has event", "event != null",
		"data.userId = '42'", "DATA.userId = '42' AND HAS data.n", "data.n = 3",
		"data.n = 3.0", "data.n == 30e-1", "data.n <> 4", "data.n >= 3 and data.n <= 3",
		"data.n > 2.999 and data.n < 3.001", "data.big = 9007199254740991",
		"data.big != 9007199254740990", "data.half = 5e-1", "data.neg = -100",
		"data.neg < 0", "data.zero = 0", "data.zero = -0", "data.yes = true",
		"data.yes != false", "data.no = false", "data.nothing = null", "data.n != null",
		"has data.nothing", "not has data.missing", "not data.missing = 1",
		"not data.n = '3'", "data.list != null", "has data.object", "data.text = 'a\\*b *'",
		"data.text = \"a\\*b \\\"c\\\" ä😀\"",
		"data.text = 'a\\*b \"c\" \\u00e4\\ud83d\\ude00'", "data.text = '*😀'",
		"data.'odd name' = 'x'", "data.\"odd name\" = 'x'", "data.twice = 2",
		"data.star = '\\*'", "data.star = '*'", "data.empty = ''", "data.empty = '*'",
		"data.empty <= ''", "data.empty < 'a'", "data.long = 3",
		"data.and = 'kept' and data.userId = '42'", "has data.lone", "data.lone = '*'",
		"data.aab = '*aab'", "data.aab = 'a*aaaab*'", "data.aab = '*a*a*a*b'",
		"data.missing = 1 or data.n = 3", "data.n in (1, 2, 3)", "data.n in ('3', 3)",
		"data.nothing in (1, null)", "data.yes in (true)", "data.missing not in (1)",
		"(data.n = 1 or data.n = 3) and (event = 'x' or has data.yes)",
		"not (data.n = 1 or data.n = 2)", "not not data.n = 3", "not (not (data.n = 3))",
		"data.n = 1 and data.n = 2 or data.n = 3",
		"data.n = 3 or data.n = 1 and data.n = 2", " \t\r\n data.n\n=\n3 "};
	static const char *const no[] = {"event = 'user'", "event = 'user:'", "event = '*:create'",
		"event = 'User:*'", "event = 'user:created*d'", "event = 3", "event = null",
		"event < 'u'", "data.userId = 42", "data.userId != 42", "data.n = '3'",
		"data.n != '3'", "data.n < 3", "data.n > 3", "data.missing = 1",
		"data.missing != 1", "data.missing = null", "data.missing != null", "data.n = null",
		"data.nothing != null", "data.yes = false", "data.yes = 1", "data.yes = 'true'",
		"data.list = 1", "data.object != 1", "data.deep = 1", "has data.deep",
		"data.big = 9007199254740990", "data.text = 'a\\*b'", "data.twice = 1",
		"data.star = '\\*\\*'", "data.lone = '\\ufffd'", "data.lone = ''",
		"data.empty > ''", "data.aab = '*aab*aab'", "data.aab = 'aaaaaaaaa'",
		"not has data.n", "data.n in (1, 2, '3')", "data.n not in (3)",
		"not (data.n = 3 or data.missing = 1)", "data.n = 3 and not has event",
		"(data.n = 1 or data.n = 3) and event = 'x'"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(yes); i++) {
		if (!matches(yes[i]))
			fail_msg("%s does not match", yes[i]);
	}
	for (size_t i = 0; i < RC_ARRAY_LEN(no); i++) {
		if (matches(no[i]))
			fail_msg("%s matches", no[i]);
	}
}

static void match_finds_no_members_in_what_is_no_object(void **state)
{
	static const char *const other[] = {"", "null", "3", "\"data.n\"", "[{\"n\":3}]", "{}"};

	(void)state;
	assert_int_equal(compile("has data.n or data.n != 1"), 0);
	for (size_t i = 0; i < RC_ARRAY_LEN(other); i++)
		assert_false(rc_filter_match(&filter, RC_STR("e"), rc_str_of(other[i])));
	assert_true(rc_filter_match(&filter, RC_STR("e"), RC_STR(" {\"n\" : 3} ")));
}

static void compile_says_where_it_is_wrong(void **state)
{
	static const struct {
		const char *text;
		uint32_t at;
		const char *says;
	} bad[] = {{"", 1, "expected event"}, {"   ", 4, "ends here"},
		{"event", 6, "expected one of"}, {"event = ", 9, "expected a value"},
		{"event = user", 9, "expected a value"}, {"event = 'x", 9, "no end"},
		{"event = 'x' data.a = 1", 13, "expected and, or"},
		{"event.x = 1", 6, "expected one of"}, {"data = 1", 6, "data.name"},
		{"data. = 1", 7, "the name of a member"},
		{"data.a.b = 1", 7, "members of data itself"},
		{"data.a[0] = 1", 7, "members of data itself"},
		{"data.a = 1 &", 12, "expected and, or"}, {"data.a = 01", 10, "no number"},
		{"data.a = 1.", 10, "no number"}, {"data.a = 1e999", 10, "out of range"},
		{"data.a = +1", 10, "expected a value"}, {"data.a < 'x*'", 10, "no order"},
		{"data.a < true", 10, "no order"}, {"data.a = 'a\\x'", 12, "escape"},
		{"data.a = '\\ud800'", 11, "escape"}, {"data.a = '\\u0000'", 11, "escape"},
		{"data.a = 'a\nb'", 12, "control"}, {"(event = 'x'", 13, "expected and, or"},
		{"event = 'x')", 12, "expected and, or"}, {"data.a in 1", 11, "expected ("},
		{"data.a in ()", 12, "expected a value"},
		{"data.a in (1 2)", 14, "expected , or )"}, {"data.a not 1", 12, "expected in"},
		{"not", 4, "ends here"}, {"has 'x'", 5, "expected event"},
		{"'x' = event", 1, "expected event"}, {"event = 'x' and", 16, "ends here"},
		{"event ~ 'x'", 7, "expected one of"}, {"\xff", 1, "UTF-8"}};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		if (compile(bad[i].text) == 0)
			fail_msg("%s is taken", bad[i].text);
		if (fault.at != bad[i].at || !strstr(fault.message, bad[i].says))
			fail_msg("%s: at %u: %s", bad[i].text, fault.at, fault.message);
	}
}

/* text: n times what, between begin and end. */
static void repeated(char *text, const char *begin, const char *what, uint32_t n, const char *end)
{
	(void)strcpy(text, begin);
	for (uint32_t i = 0; i < n; i++)
		(void)strcat(text, what);
	(void)strcat(text, end);
}

static void compile_has_limits(void **state)
{
	char text[4096], half[2048];

	(void)state;
	repeated(text, "", "(", RC_FILTER_DEPTH_MAX, "has data.a");
	repeated(half, "", ")", RC_FILTER_DEPTH_MAX, "");
	(void)strcat(text, half);
	assert_int_equal(compile(text), 0);
	repeated(text, "", "(", RC_FILTER_DEPTH_MAX + 1, "has data.a");
	(void)strcat(text, half);
	assert_int_equal(compile(text), -EINVAL);
	assert_int_equal(fault.at, RC_FILTER_DEPTH_MAX + 1);

	repeated(text, "data.a in (0", ",1", RC_FILTER_TERMS_MAX - 1, ")");
	assert_int_equal(compile(text), 0);
	repeated(text, "data.a in (0", ",1", RC_FILTER_TERMS_MAX, ")");
	assert_int_equal(compile(text), -EINVAL);
	assert_non_null(strstr(fault.message, "more than 32"));
	repeated(text, "has data.a", " or has data.a", RC_FILTER_TERMS_MAX, "");
	assert_int_equal(compile(text), -EINVAL);
	/* Each of a member of its own. */
	size_t len = 0;
	for (uint32_t i = 0; i <= RC_FILTER_TERMS_MAX; i++)
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "%shas data.m%u", i ? " or " : "", i);
	assert_int_equal(compile(text), -EINVAL);
	assert_non_null(strstr(fault.message, "more than 32"));

	repeated(text, "event = '", "x", RC_FILTER_LITERAL_MAX, "'");
	assert_int_equal(compile(text), 0);
	repeated(text, "event = '", "x", RC_FILTER_LITERAL_MAX + 1, "'");
	assert_int_equal(compile(text), -EINVAL);
	assert_int_equal(fault.at, 9);
	/* Stars that follow each other are one. */
	repeated(text, "event = '", "*", 900, "'");
	assert_int_equal(compile(text), 0);
	assert_string_equal(canonical, "event = '*'");

	repeated(text, "has data.a", " ", RC_FILTER_TEXT_MAX - 10, "");
	assert_int_equal(compile(text), 0);
	repeated(text, "has data.a", " ", RC_FILTER_TEXT_MAX - 9, "");
	assert_int_equal(compile(text), -EINVAL);
	assert_int_equal(fault.at, RC_FILTER_TEXT_MAX + 1);
	repeated(text, "event in (\"'''\"", ",\"''''''''''''''''''''''''''''''''''''\"", 25, ")");
	assert_int_equal(compile(text), -EINVAL);
	assert_non_null(strstr(fault.message, "written out"));
}

static void canonical_form_is_shared_by_those_that_mean_the_same(void **state)
{
	static const struct {
		const char *text, *canonical;
	} same[] = {{"event='a'and data.b=1", "event = 'a' and data.b = 1"},
		{" EVENT == \"a\"\tAND data . 'b' = 1.0 ", "event = 'a' and data.b = 1"},
		{"data.x<>1e2", "data.x != 100"}, {"data.x in('a' ,\"b\")", "data.x in ('a', 'b')"},
		{"data.x NOT IN (0.1)", "data.x not in (0.1)"},
		{"not not has data.x", "has data.x"},
		{"not not not(has data.x)", "not (has data.x)"},
		{"data.x = \"it's\"", "data.x = 'it\\'s'"},
		{"data.x = '\\u0041\\/\\n\\u0001'", "data.x = 'A/\\n\\u0001'"},
		{"data.x = 'a**\\*'", "data.x = 'a*\\*'"}, {"data.'a b' = -0.0", "data.'a b' = 0"},
		{"data.x = 9007199254740993", "data.x = 9007199254740992"},
		{"data.x = 1e22", "data.x = 1e+22"}};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(same); i++) {
		assert_int_equal(compile(same[i].text), 0);
		assert_string_equal(canonical, same[i].canonical);
		assert_int_equal(compile(same[i].canonical), 0);
		assert_string_equal(canonical, same[i].canonical);
	}
}

static void number_is_the_nearest_double(void **state)
{
	static const char *const some[] = {"0", "-0", "1", "-1", "0.1", "1e22", "1e23",
		"123456789012345678", "9007199254740993", "1.7976931348623157e308", "4.9e-324",
		"2.2250738585072011e-308",
		"0.000000000000000000000000000000000000000000000000000000000000001", "1e-400",
		"-1e400", "100000000000000000000000000000000000000000000000000000000000000000",
		"8.5e15",
		"3.14159265358979323846264338327950288419716939937510582097494459230781640628620899"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(some); i++) {
		double want = strtod(some[i], NULL);
		double is = rc_filter_number(rc_str_of(some[i]));
		if (!(is == want))
			fail_msg("%s is %.17g", some[i], is);
	}
}

/* What a pattern that almost matches everywhere costs grows with the text, not with their product. */
static void match_of_a_bad_pattern_looks_at_each_byte_a_few_times(void **state)
{
	static char text[1 << 20], pattern[512];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[0] = text[sizeof(text) - 1] = '"';
	repeated(pattern, "event = '*", "a", 250, "b*'");
	assert_int_equal(compile(pattern), 0);
	/* A quadratic search would take minutes for all of these. */
	for (int i = 0; i < 20; i++)
		assert_false(rc_filter_match(
			&filter, (struct rc_str){text + 1, sizeof(text) - 2}, RC_STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(match_says_what_the_table_says),
		cmocka_unit_test(match_finds_no_members_in_what_is_no_object),
		cmocka_unit_test(compile_says_where_it_is_wrong),
		cmocka_unit_test(compile_has_limits),
		cmocka_unit_test(canonical_form_is_shared_by_those_that_mean_the_same),
		cmocka_unit_test(number_is_the_nearest_double),
		cmocka_unit_test(match_of_a_bad_pattern_looks_at_each_byte_a_few_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
