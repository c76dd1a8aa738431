/* SPDX-License-Identifier: Apache-2.0
 *
 * The table itself, and every row's values at and beyond its bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "config/apply.h"
#include "config/value.h"

static struct rc_config config;

static const struct rc_option *row_of(const char *section, const char *key)
{
	uint32_t row = rc_option_find(section, key);

	assert_true(row != RC_NONE);
	return &rc_options[row];
}

static bool is_number(const struct rc_option *o)
{
	return o->type == RC_OPTION_COUNT || o->type == RC_OPTION_BYTES ||
	       o->type == RC_OPTION_DURATION;
}

static uint64_t number_in(const struct rc_option *o, const union rc_value *value)
{
	return o->size == 8 ? value->u64 : value->u32;
}

static void every_row_is_complete_and_its_field_fits_its_type(void **state)
{
	static const size_t sizes[] = {
		[RC_OPTION_BOOL] = sizeof(bool),
		[RC_OPTION_ENUM] = sizeof(uint32_t),
		[RC_OPTION_PATH] = RC_CONFIG_TEXT_SIZE,
		[RC_OPTION_ADDRESS] = sizeof(struct rc_address),
		[RC_OPTION_CPUS] = sizeof(struct rc_config_cpus),
	};

	(void)state;
	for (uint32_t row = 0; row < rc_option_count; row++) {
		const struct rc_option *o = &rc_options[row];

		assert_non_null(o->standard);
		assert_true(strlen(o->help) > 10 && strlen(o->help) < 120);
		assert_true(strlen(o->why) > 10);
		assert_true(strlen(o->key) < 32);
		if (is_number(o)) {
			assert_true(o->size == 4 || o->size == 8);
			assert_true(o->min < o->max);
			assert_true(o->size == 8 || o->max <= UINT32_MAX);
			assert_true(!o->pow2 || (rc_is_pow2(o->min) && rc_is_pow2(o->max)));
			assert_true(!o->zero || o->min > 0);
			assert_true(o->type != RC_OPTION_DURATION || o->unit_ns > 0);
		} else if (o->type == RC_OPTION_TEXT) {
			assert_true(o->max < o->size && o->max < RC_CONFIG_TEXT_SIZE);
		} else {
			assert_int_equal(o->size, sizes[o->type]);
		}
	}
}

static void namespace_rows_come_last_and_all_have_an_origin(void **state)
{
	uint32_t first = rc_option_first_namespace();

	(void)state;
	for (uint32_t row = 0; row < rc_option_count; row++)
		assert_int_equal(rc_option_is_namespace(&rc_options[row]), row >= first);
	assert_true(rc_option_count - first <= RC_CONFIG_NS_OPTIONS_MAX);
}

/* --example-config prints a section's name where it begins: one that comes twice would be taken for two. */
static void rows_of_a_section_stand_together_in_the_order_of_the_sections(void **state)
{
	uint32_t section = 0;

	(void)state;
	for (uint32_t row = 0; row < rc_option_count; row++) {
		while (rc_option_sections[section] &&
			strcmp(rc_options[row].section, rc_option_sections[section]) != 0)
			section++;
		if (!rc_option_sections[section])
			fail_msg("[%s] %s stands behind a section that comes after its own",
				rc_options[row].section, rc_options[row].key);
	}
}

static void every_key_finds_its_own_row_and_every_alias_one(void **state)
{
	(void)state;
	for (uint32_t row = 0; row < rc_option_count; row++)
		assert_int_equal(rc_option_find(rc_options[row].section, rc_options[row].key), row);
	for (uint32_t i = 0; i < rc_option_alias_count; i++) {
		const struct rc_option_alias *a = &rc_option_aliases[i];

		assert_true(rc_option_find(a->of_section, a->of_key) != RC_NONE);
		assert_int_equal(rc_option_find(a->section, a->key),
			rc_option_find(a->of_section, a->of_key));
	}
	assert_int_equal(rc_option_find("server", "nothing"), RC_NONE);
}

static void defaults_are_within_bounds_and_written_canonically(void **state)
{
	char out[RC_VALUE_TEXT_SIZE];

	(void)state;
	rc_config_init(&config);
	for (uint32_t row = 0; row < rc_option_count; row++) {
		rc_value_format(&rc_options[row], rc_config_field(&config, row, 0), out);
		assert_string_equal(out, rc_options[row].standard);
		assert_int_equal(rc_config_origin(&config, row, 0)->source, RC_CONFIG_DEFAULT);
	}
}

static void the_documented_defaults_hold(void **state)
{
	char out[RC_ADDRESS_TEXT_SIZE];

	(void)state;
	rc_config_init(&config);
	rc_address_format(&config.listen, out);
	assert_string_equal(out, "127.0.0.1:8080");
	rc_address_format(&config.ingest_listen, out);
	assert_string_equal(out, "127.0.0.1:7400");
	assert_int_equal(config.max_clients, 10000);
	assert_int_equal(config.max_message, 64 << 10);
	assert_int_equal(config.heartbeat_ms, 30000);
	assert_int_equal(config.memory, 256 << 20);
	assert_int_equal(config.log_level, RC_LEVEL_INFO);
	assert_int_equal(config.publisher_ttl_ms, 3600000);
	assert_int_equal(config.ns[0].lag_bytes, 1 << 20);
	assert_int_equal(config.ns[0].channel_ttl_ms, 60000);
	assert_false(config.echo);
	assert_false(config.ingest_open);
}

static void check_taken(const struct rc_option *o, uint64_t number)
{
	char text[RC_VALUE_TEXT_SIZE], why[RC_VALUE_WHY_SIZE] = "", again[RC_VALUE_TEXT_SIZE];
	union rc_value value;

	rc_value_format_number(o, number, text);
	if (rc_value_parse(o, &value, text, why) < 0)
		fail_msg("%s = %s was refused: %s", o->key, text, why);
	assert_true(number_in(o, &value) == number);
	rc_value_format(o, &value, again);
	assert_string_equal(text, again);
}

static void check_refused(const struct rc_option *o, uint64_t number)
{
	char text[RC_VALUE_TEXT_SIZE], why[RC_VALUE_WHY_SIZE], bound[RC_VALUE_TEXT_SIZE];
	union rc_value value, before;

	memset(&before, 0x5a, sizeof(before));
	value = before;
	rc_value_format_number(o, number, text);
	if (rc_value_parse(o, &value, text, why) == 0)
		fail_msg("%s = %s was taken", o->key, text);
	assert_memory_equal(&value, &before, sizeof(value));
	rc_value_format_number(o, o->max, bound);
	if (!strstr(why, bound))
		fail_msg("%s = %s: '%s' does not say the bound", o->key, text, why);
}

static void every_number_is_taken_at_its_bounds_and_refused_beyond(void **state)
{
	(void)state;
	for (uint32_t row = 0; row < rc_option_count; row++) {
		const struct rc_option *o = &rc_options[row];

		if (!is_number(o))
			continue;
		check_taken(o, o->min);
		check_taken(o, o->max);
		check_refused(o, o->max + 1);
		check_refused(o, o->max * 2);
		if (o->min > 1)
			check_refused(o, o->min - 1);
		if (o->zero)
			check_taken(o, 0);
		else if (o->min > 0)
			check_refused(o, 0);
		if (o->pow2)
			check_refused(o, o->min + o->min / 2);
	}
}

static void numbers_beyond_64_bits_are_refused(void **state)
{
	static const char *const digits[] = {"18446744073709551615", "18446744073709551616",
		"99999999999999999999999999999999999999"};
	static const char *const units[] = {"", "B", "KiB", "TiB", "us", "ms", "h"};
	char text[80], why[RC_VALUE_WHY_SIZE];
	union rc_value value;

	(void)state;
	for (uint32_t row = 0; row < rc_option_count; row++)
		for (size_t i = 0; i < RC_ARRAY_LEN(digits); i++)
			for (size_t u = 0; u < RC_ARRAY_LEN(units); u++) {
				if (!is_number(&rc_options[row]))
					continue;
				snprintf(text, sizeof(text), "%s%s", digits[i], units[u]);
				assert_int_equal(
					rc_value_parse(&rc_options[row], &value, text, why), -1);
			}
}

static void check_values(const struct rc_option *o, const char *const *good, const char *const *bad)
{
	char why[RC_VALUE_WHY_SIZE], text[RC_VALUE_TEXT_SIZE];
	union rc_value value;

	for (; *good; good += 2) {
		if (rc_value_parse(o, &value, good[0], why) < 0)
			fail_msg("%s = '%s' was refused: %s", o->key, good[0], why);
		rc_value_format(o, &value, text);
		assert_string_equal(text, good[1]);
	}
	for (; *bad; bad++) {
		why[0] = 0;
		if (rc_value_parse(o, &value, *bad, why) == 0)
			fail_msg("%s = '%s' was taken", o->key, *bad);
		assert_true(strlen(why) > 10);
	}
}

static void counts_are_plain_whole_numbers(void **state)
{
	static const char *const good[] = {"20", "20", "0000000000000000000000000100", "100", NULL};
	static const char *const bad[] = {"", "-20", "+20", "20.0", "1e3", "0x20", "20k", "20 ",
		" 20", "1_000", "many", NULL};

	(void)state;
	check_values(row_of("server", "max_clients"), good, bad);
}

static void bytes_take_units_of_1024(void **state)
{
	static const char *const good[] = {"65536", "64KiB", "64KiB", "64KiB", "64K", "64KiB",
		"64k", "64KiB", "64 KiB", "64KiB", "65536B", "64KiB", "1MiB", "1MiB", "1m", "1MiB",
		"1000", "1000", "1025", "1025", NULL};
	static const char *const bad[] = {
		"", "K", "64KB", "64MB", "1.5MiB", "-64K", "64KiBs", "64K K", "64kibi", NULL};

	(void)state;
	check_values(row_of("server", "max_message"), good, bad);
}

static void durations_need_a_unit(void **state)
{
	static const char *const good[] = {"0", "0", "0s", "0", "000", "0", "1ms", "1ms", "1000us",
		"1ms", "20ms", "20ms", "30s", "30s", "60s", "1m", "5m", "5m", "90s", "90s", "10 s",
		"10s", "600000ms", "10m", NULL};
	static const char *const bad[] = {"", "30", "s", "-1s", "1.5s", "30S", "30sec", "30 s s",
		"1h30m", "1d", "500us", "1ns", NULL};
	static const char *const good_us[] = {
		"500us", "500us", "20ms", "20ms", "1s", "1s", "0", "0", "1500us", "1500us", NULL};
	static const char *const bad_us[] = {"500", "2s", "1000001us", NULL};

	(void)state;
	check_values(row_of("server", "drain_timeout"), good, bad);
	check_values(row_of("server", "busy_poll"), good_us, bad_us);
}

static void switches_take_yes_and_no_in_six_words(void **state)
{
	static const char *const good[] = {"yes", "yes", "no", "no", "true", "yes", "false", "no",
		"on", "yes", "off", "no", "YES", "yes", "Off", "no", NULL};
	static const char *const bad[] = {"", "1", "0", "y", "yess", "enabled", NULL};

	(void)state;
	check_values(row_of("ingest", "open"), good, bad);
}

static void words_are_those_of_the_list(void **state)
{
	static const char *const good[] = {
		"error", "error", "warn", "warn", "info", "info", "debug", "debug", NULL};
	static const char *const bad[] = {"", "Error", "warning", "trace", "info ", NULL};
	char why[RC_VALUE_WHY_SIZE];
	union rc_value value;

	(void)state;
	check_values(row_of("server", "log_level"), good, bad);
	assert_int_equal(
		rc_value_parse(row_of("namespace", "slow_policy"), &value, "disconect", why), -1);
	assert_non_null(strstr(why, "did you mean disconnect?"));
}

static void text_is_what_a_file_can_hold(void **state)
{
	static const char *const good[] = {"", "", "symbol", "symbol", "a b", "a b", "a;b", "a;b",
		"\xc3\xbc", "\xc3\xbc", "a#b = c", "a#b = c",
		"0123456789012345678901234567890123456789012345678901234567890123",
		"0123456789012345678901234567890123456789012345678901234567890123", NULL};
	static const char *const bad[] = {" a", "a ", "a\tb", "a\nb", "a\x7f", ";a", "a ;b",
		"01234567890123456789012345678901234567890123456789012345678901234", NULL};
	char why[RC_VALUE_WHY_SIZE];
	union rc_value value;

	(void)state;
	check_values(row_of("namespace", "slow_key"), good, bad);
	assert_int_equal(rc_value_parse(row_of("ingest", "token"), &value, "***", why), -1);
}

static void edit_distance_counts_changes_and_swaps(void **state)
{
	char lengthy[80];

	(void)state;
	memset(lengthy, 'a', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = 0;
	assert_int_equal(rc_edit_distance("", ""), 0);
	assert_int_equal(rc_edit_distance("abc", ""), 3);
	assert_int_equal(rc_edit_distance("", "abc"), 3);
	assert_int_equal(rc_edit_distance("listen", "lisetn"), 1);
	assert_int_equal(rc_edit_distance("listen", "lsten"), 1);
	assert_int_equal(rc_edit_distance("listen", "listenn"), 1);
	assert_int_equal(rc_edit_distance("listen", "tinsel"), 4);
	assert_int_equal(rc_edit_distance(lengthy, "a"), UINT32_MAX);
}

static void hint_names_the_nearest_key_or_its_section(void **state)
{
	char hint[RC_HINT_SIZE];

	(void)state;
	rc_option_hint("server", "max_client", hint);
	assert_non_null(strstr(hint, "max_clients"));
	rc_option_hint("server", "ehco", hint);
	assert_non_null(strstr(hint, "echo"));
	rc_option_hint("server", "lag_time", hint);
	assert_non_null(strstr(hint, "[namespace]"));
	rc_option_hint("server", "zzzzzzzz", hint);
	assert_string_equal(hint, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_complete_and_its_field_fits_its_type),
		cmocka_unit_test(namespace_rows_come_last_and_all_have_an_origin),
		cmocka_unit_test(rows_of_a_section_stand_together_in_the_order_of_the_sections),
		cmocka_unit_test(every_key_finds_its_own_row_and_every_alias_one),
		cmocka_unit_test(defaults_are_within_bounds_and_written_canonically),
		cmocka_unit_test(the_documented_defaults_hold),
		cmocka_unit_test(every_number_is_taken_at_its_bounds_and_refused_beyond),
		cmocka_unit_test(numbers_beyond_64_bits_are_refused),
		cmocka_unit_test(counts_are_plain_whole_numbers),
		cmocka_unit_test(bytes_take_units_of_1024),
		cmocka_unit_test(durations_need_a_unit),
		cmocka_unit_test(switches_take_yes_and_no_in_six_words),
		cmocka_unit_test(words_are_those_of_the_list),
		cmocka_unit_test(text_is_what_a_file_can_hold),
		cmocka_unit_test(edit_distance_counts_changes_and_swaps),
		cmocka_unit_test(hint_names_the_nearest_key_or_its_section),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
