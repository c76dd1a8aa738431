/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers for people: their digits, units and extremes.
 */
#include "../unit.h"

#include <float.h>
#include <math.h>

#include "cli/figures.c"

static char text[RC_FIGURE_SIZE];

static void counts_have_commas(void **state)
{
	(void)state;
	assert_string_equal(rc_figure_count(0, text), "0");
	assert_string_equal(rc_figure_count(999, text), "999");
	assert_string_equal(rc_figure_count(1000, text), "1,000");
	assert_string_equal(rc_figure_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
	assert_string_equal(rc_figure_signed(12345, text), "12,345");
	assert_string_equal(rc_figure_signed(-3, text), "-3");
	assert_string_equal(rc_figure_signed(INT64_MIN, text), "-9,223,372,036,854,775,808");
}

static void rates_get_a_letter_when_they_are_long(void **state)
{
	(void)state;
	assert_string_equal(rc_figure_rate(NAN, text), "-");
	assert_string_equal(rc_figure_rate(INFINITY, text), "-");
	assert_string_equal(rc_figure_rate(0, text), "0");
	assert_string_equal(rc_figure_rate(-5, text), "0");
	assert_string_equal(rc_figure_rate(0.25, text), "0.2");
	assert_string_equal(rc_figure_rate(99.94, text), "99.9");
	assert_string_equal(rc_figure_rate(99.96, text), "100");
	assert_string_equal(rc_figure_rate(1234567.4, text), "1,234,567");
	assert_string_equal(rc_figure_rate(12345678, text), "12.3 M");
	assert_string_equal(rc_figure_rate(999.6e6, text), "1 G");
	assert_true(strlen(rc_figure_rate(DBL_MAX, text)) < RC_FIGURE_SIZE - 1);
}

static void times_have_three_digits_and_never_an_exponent(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} known[] = {{0, "0 ns"}, {999, "999 ns"}, {1000, "1 us"}, {1500, "1.5 us"},
		{12345, "12.3 us"}, {999499, "999 us"}, {999999, "1 ms"}, {999499999, "999 ms"},
		{999999999, "1 s"}, {1250000000, "1.25 s"}, {3600000000000, "3600 s"}};
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(known); i++)
		assert_string_equal(rc_figure_time(known[i].ns, text), known[i].text);
	assert_null(strchr(rc_figure_time(UINT64_MAX, text), 'e'));
}

static void bytes_go_by_1024(void **state)
{
	(void)state;
	assert_string_equal(rc_figure_bytes(NAN, text), "-");
	assert_string_equal(rc_figure_bytes(-1, text), "0 B");
	assert_string_equal(rc_figure_bytes(1023, text), "1023 B");
	assert_string_equal(rc_figure_bytes(1024, text), "1 KiB");
	assert_string_equal(rc_figure_bytes(1536, text), "1.5 KiB");
	assert_string_equal(rc_figure_bytes(18446744073709551615.0, text), "16 EiB");
	assert_true(strlen(rc_figure_bytes(DBL_MAX, text)) < RC_FIGURE_SIZE - 1);
}

static void uptimes_show_days_when_there_are_any(void **state)
{
	(void)state;
	assert_string_equal(rc_figure_uptime(0, text), "00:00:00");
	assert_string_equal(rc_figure_uptime(86399, text), "23:59:59");
	assert_string_equal(rc_figure_uptime(93784, text), "1 d 02:03:04");
	assert_true(strlen(rc_figure_uptime(UINT64_MAX, text)) < RC_FIGURE_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_have_commas),
		cmocka_unit_test(rates_get_a_letter_when_they_are_long),
		cmocka_unit_test(times_have_three_digits_and_never_an_exponent),
		cmocka_unit_test(bytes_go_by_1024),
		cmocka_unit_test(uptimes_show_days_when_there_are_any),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
