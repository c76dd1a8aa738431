/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "../unit.h"

#include "base/clock.h"

#define DAY_MS 86400000u

static uint32_t number(const char *text, size_t len)
{
	uint32_t value = 0;
	for (size_t i = 0; i < len; i++) {
		assert_in_range(text[i], '0', '9');
		value = value * 10 + (uint32_t)(text[i] - '0');
	}
	return value;
}

static void assert_text(uint64_t wall_ms, const char *expected)
{
	char text[RC_ISO8601_LEN + 2];
	memset(text, '#', sizeof(text));
	rc_clock_iso8601(wall_ms, text + 1);
	assert_memory_equal(text + 1, expected, RC_ISO8601_LEN);
	assert_int_equal(text[0], '#');
	assert_int_equal(text[RC_ISO8601_LEN + 1], '#');
}

static void iso8601_writes_known_moments(void **state)
{
	(void)state;
	assert_text(0, "1970-01-01T00:00:00.000Z");
	assert_text(951782400000u, "2000-02-29T00:00:00.000Z");
	assert_text(1768472100000u, "2026-01-15T10:15:00.000Z");
	assert_text(4107542399999u, "2100-02-28T23:59:59.999Z");
	assert_text(4107542400000u, "2100-03-01T00:00:00.000Z");
}

static void iso8601_clamps_to_the_end_of_9999(void **state)
{
	(void)state;
	assert_text(253402300799999u, "9999-12-31T23:59:59.999Z");
	assert_text(253402300800000u, "9999-12-31T23:59:59.999Z");
	assert_text(UINT64_MAX, "9999-12-31T23:59:59.999Z");
}

static void iso8601_agrees_with_a_calendar_turned_day_by_day(void **state)
{
	static const uint32_t days_in[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	uint32_t year = 1970;
	uint32_t month = 1;
	uint32_t day = 1;
	(void)state;
	for (uint64_t n = 0; year <= 9999; n++) {
		char text[RC_ISO8601_LEN];
		rc_clock_iso8601(n * DAY_MS + n % DAY_MS, text);
		if (number(text, 4) != year || number(text + 5, 2) != month ||
			number(text + 8, 2) != day)
			fail_msg("%.24s is not %u-%u-%u", text, year, month, day);
		bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
		uint32_t last = days_in[month - 1] + (month == 2 && leap ? 1 : 0);
		if (++day > last) {
			day = 1;
			if (++month > 12) {
				month = 1;
				year++;
			}
		}
	}
}

static void iso8601_writes_every_second_of_a_day(void **state)
{
	(void)state;
	for (uint32_t s = 0; s < 86400; s++) {
		char text[RC_ISO8601_LEN];
		rc_clock_iso8601(s * 1000u + s % 1000, text);
		uint32_t got = number(text + 11, 2) * 3600 + number(text + 14, 2) * 60 +
			       number(text + 17, 2);
		assert_int_equal(got, s);
		assert_int_equal(number(text + 20, 3), s % 1000);
		assert_int_equal(text[23], 'Z');
	}
}

static void the_monotonic_clock_never_goes_back(void **state)
{
	(void)state;
	uint64_t last = rc_clock_mono_ns();
	for (int i = 0; i < 1000; i++) {
		uint64_t now = rc_clock_mono_ns();
		assert_true(now >= last);
		last = now;
	}
}

static void the_wall_clock_is_after_this_was_written(void **state)
{
	(void)state;
	assert_true(rc_clock_wall_ms() > 1704067200000u);
}

static void assert_moment(const char *text, uint64_t want)
{
	uint64_t got = 1;

	if (rc_clock_iso8601_parse(rc_str_of(text), &got) != 0 || got != want)
		fail_msg("%s is not %llu but %llu", text, (unsigned long long)want,
			(unsigned long long)got);
}

static void iso8601_parse_takes_fractions_and_zones(void **state)
{
	(void)state;
	assert_moment("1970-01-01T00:00:00Z", 0);
	assert_moment("1970-01-01T00:00:00.001Z", 1);
	assert_moment("2026-01-15T10:15:00.000Z", 1768472100000u);
	assert_moment("2026-01-15T10:15:00Z", 1768472100000u);
	assert_moment("2026-01-15T10:15:00.5Z", 1768472100500u);
	assert_moment("2026-01-15T10:15:00.98Z", 1768472100980u);
	assert_moment("2026-01-15T10:15:00.123999999Z", 1768472100123u);
	assert_moment("2026-01-15T10:15:00+00:00", 1768472100000u);
	assert_moment("2026-01-15T11:15:00+01:00", 1768472100000u);
	assert_moment("2026-01-14T22:45:00.007-11:30", 1768472100007u);
	assert_moment("2000-02-29T00:00:00Z", 951782400000u);
	assert_moment("9999-12-31T23:59:59.999Z", 253402300799999u);
	assert_moment("1969-12-31T23:59:59.999Z", 0);
	assert_moment("1970-01-01T00:30:00+01:00", 0);
	assert_moment("0000-01-01T00:00:00Z", 0);
	assert_moment("0000-02-29T00:00:00+23:59", 0);
}

static void iso8601_parse_reads_what_is_written(void **state)
{
	(void)state;
	for (uint64_t ms = 0; ms < 253402300800000u; ms += 777 * DAY_MS / 10 + 1) {
		char text[RC_ISO8601_LEN];
		uint64_t back = 0;

		rc_clock_iso8601(ms, text);
		assert_int_equal(
			rc_clock_iso8601_parse((struct rc_str){text, sizeof(text)}, &back), 0);
		assert_true(back == ms);
	}
}

static void iso8601_parse_refuses_what_is_no_moment(void **state)
{
	static const char *const bad[] = {
		"",
		"2026",
		"2026-01-15",
		"2026-01-15T10:15:00",
		"2026-01-15T10:15Z",
		"2026-01-15 10:15:00Z",
		"2026-01-15t10:15:00Z",
		"2026-01-15T10:15:00z",
		"2026-1-15T10:15:00Z",
		"2026-13-15T10:15:00Z",
		"2026-00-15T10:15:00Z",
		"2026-01-32T10:15:00Z",
		"2026-01-00T10:15:00Z",
		"2026-04-31T10:15:00Z",
		"2026-02-29T10:15:00Z",
		"2100-02-29T10:15:00Z",
		"2026-01-15T24:00:00Z",
		"2026-01-15T10:60:00Z",
		"2026-01-15T10:15:60Z",
		"2026-01-15T10:15:00.Z",
		"2026-01-15T10:15:00,5Z",
		"2026-01-15T10:15:00.1234567890Z",
		"2026-01-15T10:15:00 01:00",
		"2026-01-15T10:15:00+0100",
		"2026-01-15T10:15:00+24:00",
		"2026-01-15T10:15:00+01:60",
		"2026-01-15T10:15:00+1:00",
		"2026-01-15T10:15:00Z ",
		" 2026-01-15T10:15:00Z",
		"+2026-01-15T10:15:00Z",
		"-026-01-15T10:15:00Z",
		"20260115T101500Z",
	};
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		if (rc_clock_iso8601_parse(rc_str_of(bad[i]), &ms) != -EINVAL)
			fail_msg("%s is taken", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(iso8601_writes_known_moments),
		cmocka_unit_test(iso8601_clamps_to_the_end_of_9999),
		cmocka_unit_test(iso8601_agrees_with_a_calendar_turned_day_by_day),
		cmocka_unit_test(iso8601_writes_every_second_of_a_day),
		cmocka_unit_test(the_monotonic_clock_never_goes_back),
		cmocka_unit_test(the_wall_clock_is_after_this_was_written),
		cmocka_unit_test(iso8601_parse_takes_fractions_and_zones),
		cmocka_unit_test(iso8601_parse_reads_what_is_written),
		cmocka_unit_test(iso8601_parse_refuses_what_is_no_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
