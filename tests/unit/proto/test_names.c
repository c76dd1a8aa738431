/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of channels, patterns and events, and what a pattern matches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/names.h"

static enum rc_name_kind classify(const char *name)
{
	return rc_name_classify(rc_str_of(name));
}

static bool match(const char *pattern, const char *channel)
{
	assert_int_equal(classify(pattern), RC_NAME_PATTERN);
	assert_int_equal(classify(channel), RC_NAME_CHANNEL);
	return rc_pattern_match(rc_str_of(pattern), rc_str_of(channel));
}

static void classify_knows_exactly_the_bytes_of_a_channel(void **state)
{
	static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    "_.:/$@=-";

	(void)state;
	for (int c = 0; c < 256; c++) {
		char name[3] = {'a', (char)c, 'b'};
		bool want = c != 0 && strchr(legal, c) != NULL;

		assert_int_equal(rc_name_classify((struct rc_str){name, 3}),
			want ? RC_NAME_CHANNEL : RC_NAME_BAD);
	}
}

static void classify_bounds_the_length(void **state)
{
	char name[RC_CHANNEL_MAX + 1];

	(void)state;
	memset(name, 'x', sizeof(name));
	assert_int_equal(rc_name_classify((struct rc_str){name, 0}), RC_NAME_BAD);
	assert_int_equal(rc_name_classify((struct rc_str){NULL, 0}), RC_NAME_BAD);
	assert_int_equal(rc_name_classify((struct rc_str){name, 1}), RC_NAME_CHANNEL);
	assert_int_equal(rc_name_classify((struct rc_str){name, 255}), RC_NAME_CHANNEL);
	assert_int_equal(rc_name_classify((struct rc_str){name, 256}), RC_NAME_BAD);
	memcpy(name + 252, ":**", 3);
	assert_int_equal(rc_name_classify((struct rc_str){name, 255}), RC_NAME_PATTERN);
}

static void classify_takes_a_wildcard_only_as_a_whole_level(void **state)
{
	static const char *const patterns[] = {
		"*",
		"**",
		"a:*",
		"*:a",
		"a:*:b",
		"*:*",
		"a:**",
		"*:**",
		"a:b:*:**",
		"$sys:*",
	};
	static const char *const bad[] = {
		"a*",
		"*a",
		"a:b*",
		"a:*b:c",
		"***",
		"a:***",
		"**:a",
		"a:**:b",
		"**:**",
		"**:*",
		"a::*",
		":*",
		"*:",
		"a:**:",
		"a**",
		"*:a:",
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(patterns); i++) {
		if (classify(patterns[i]) != RC_NAME_PATTERN)
			fail_msg("no pattern: %s", patterns[i]);
	}
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		if (classify(bad[i]) != RC_NAME_BAD)
			fail_msg("taken: %s", bad[i]);
	}
}

static void classify_leaves_empty_levels_to_channels(void **state)
{
	(void)state;
	assert_int_equal(classify(":"), RC_NAME_CHANNEL);
	assert_int_equal(classify("a::b"), RC_NAME_CHANNEL);
	assert_int_equal(classify("a:"), RC_NAME_CHANNEL);
	assert_int_equal(classify(":a"), RC_NAME_CHANNEL);
}

static void star_takes_exactly_one_level(void **state)
{
	(void)state;
	assert_true(match("analytics:*", "analytics:agents"));
	assert_false(match("analytics:*", "analytics"));
	assert_false(match("analytics:*", "analytics:agents:1"));
	assert_false(match("analytics:*", "analytic:agents"));
	assert_false(match("analytics:*", "analyticsx:agents"));
	assert_true(match("*", "news"));
	assert_false(match("*", "news:a"));
	assert_true(match("*:b", "a:b"));
	assert_false(match("*:b", "a:c"));
	assert_false(match("*:b", "b"));
	assert_true(match("a:*:c", "a:b:c"));
	assert_false(match("a:*:c", "a:b:d"));
	assert_false(match("a:*:c", "a:c"));
	assert_false(match("a:*:c", "a:b:b:c"));
	assert_true(match("*:*", "a:b"));
}

static void double_star_takes_one_level_or_more(void **state)
{
	(void)state;
	assert_true(match("agent:**", "agent:1"));
	assert_true(match("agent:**", "agent:1:x"));
	assert_true(match("agent:**", "agent:1:x:y:z"));
	assert_false(match("agent:**", "agent"));
	assert_false(match("agent:**", "agents:1"));
	assert_true(match("**", "a"));
	assert_true(match("**", "a:b:c"));
	assert_true(match("*:**", "a:b"));
	assert_false(match("*:**", "a"));
}

static void wildcards_take_no_empty_level(void **state)
{
	(void)state;
	assert_false(match("agent:*", "agent:"));
	assert_false(match("agent:**", "agent:"));
	assert_false(match("agent:**", "agent::x"));
	assert_false(match("agent:**", "agent:x:"));
	assert_false(match("**", ":"));
	assert_false(match("*:b", ":b"));
	assert_false(match("a:*:c", "a::c"));
}

static void wildcards_in_the_first_level_spare_reserved_channels(void **state)
{
	(void)state;
	assert_false(match("*", "$sys"));
	assert_false(match("**", "$sys:metrics"));
	assert_false(match("*:metrics", "$sys:metrics"));
	assert_true(match("$sys:*", "$sys:metrics"));
	assert_true(match("$sys:**", "$sys:metrics:loop"));
	assert_true(match("a:*", "a:$b"));
	assert_true(rc_name_reserved(RC_STR("$sys:metrics")));
	assert_false(rc_name_reserved(RC_STR("sys$")));
	assert_false(rc_name_reserved(RC_STR("")));
}

/* Every name over few levels: whoever is covered matches nothing else than what covers it matches. */
static void a_pattern_covers_another_when_it_matches_all_that_it_matches(void **state)
{
	static const char *const levels[] = {"a", "b", "*", "**"};
	char names[84][16];
	uint32_t count = 0, covered = 0;

	(void)state;
	for (uint32_t len = 1; len <= 3; len++) {
		for (uint32_t n = 0; n < (1u << 2 * len); n++) {
			char *name = names[count++];
			name[0] = 0;
			for (uint32_t i = 0; i < len; i++) {
				if (i)
					strcat(name, ":");
				strcat(name, levels[n >> 2 * i & 3]);
			}
		}
	}
	for (uint32_t w = 0; w < count; w++) {
		for (uint32_t n = 0; n < count; n++) {
			struct rc_str wide = rc_str_of(names[w]), narrow = rc_str_of(names[n]);
			bool all = true;
			if (rc_name_classify(wide) == RC_NAME_BAD ||
				rc_name_classify(narrow) == RC_NAME_BAD)
				continue;
			/* Deeper channels than the patterns tell '**' from all else; "c" tells '*' from a literal. */
			for (uint32_t x = 0; x < 3 + 9 + 27 + 81; x++) {
				char channel[16] = "";
				uint32_t rest = x, depth = 1;
				for (uint32_t size = 3; rest >= size; size *= 3, depth++)
					rest -= size;
				for (uint32_t i = 0; i < depth; i++, rest /= 3) {
					if (i)
						strcat(channel, ":");
					strcat(channel, (const char *[]){"a", "b", "c"}[rest % 3]);
				}
				struct rc_str c = rc_str_of(channel);
				bool in_narrow = rc_name_is_pattern(narrow)
							 ? rc_pattern_match(narrow, c)
							 : rc_str_eq(narrow, c);
				bool in_wide = rc_name_is_pattern(wide) ? rc_pattern_match(wide, c)
									: rc_str_eq(wide, c);
				all &= !in_narrow || in_wide;
			}
			if (rc_pattern_covers(wide, narrow) != all)
				fail_msg("'%s' covers '%s': %d", names[w], names[n], !all);
			covered += all;
		}
	}
	assert_in_range(covered, 100, 2000);
	assert_false(rc_pattern_covers(RC_STR("**"), RC_STR("$sys:*")));
	assert_false(rc_pattern_covers(RC_STR("*:a"), RC_STR("$sys:*")));
	assert_false(rc_pattern_covers(RC_STR("**"), RC_STR("$sys:a")));
	assert_true(rc_pattern_covers(RC_STR("$sys:*"), RC_STR("$sys:*")));
	assert_false(rc_pattern_covers(RC_STR("$sys:**"), RC_STR("*:a")));
}

static void event_names_are_text_without_control_characters(void **state)
{
	static const char *const good[] = {
		"agent:created",
		"x",
		"a b",
		"{\"}",
		"gr\xc3\xbcn",
		"\xe5\xae\x8c\xe4\xba\x86",
		"\xf0\x9f\x98\x80",
		"\xc2\xa0",
	};
	static const char *const bad[] = {
		"",
		"a\nb",
		"a\r",
		"\t",
		"\x1f",
		"\x7f",
		"\xc2\x80",
		"x\xc2\x9f",
		"\xff",
		"\xc2",
		"\xed\xa0\x80",
		"\xc0\x80",
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(good); i++)
		assert_true(rc_event_name_valid(rc_str_of(good[i])));
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++)
		assert_false(rc_event_name_valid(rc_str_of(bad[i])));
	assert_false(rc_event_name_valid((struct rc_str){"a\0b", 3}));
}

static void event_names_are_at_most_128_bytes(void **state)
{
	char name[RC_EVENT_NAME_MAX + 1];

	(void)state;
	memset(name, 'e', sizeof(name));
	assert_true(rc_event_name_valid((struct rc_str){name, RC_EVENT_NAME_MAX}));
	assert_false(rc_event_name_valid((struct rc_str){name, RC_EVENT_NAME_MAX + 1}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classify_knows_exactly_the_bytes_of_a_channel),
		cmocka_unit_test(classify_bounds_the_length),
		cmocka_unit_test(classify_takes_a_wildcard_only_as_a_whole_level),
		cmocka_unit_test(classify_leaves_empty_levels_to_channels),
		cmocka_unit_test(star_takes_exactly_one_level),
		cmocka_unit_test(double_star_takes_one_level_or_more),
		cmocka_unit_test(wildcards_take_no_empty_level),
		cmocka_unit_test(wildcards_in_the_first_level_spare_reserved_channels),
		cmocka_unit_test(a_pattern_covers_another_when_it_matches_all_that_it_matches),
		cmocka_unit_test(event_names_are_text_without_control_characters),
		cmocka_unit_test(event_names_are_at_most_128_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
