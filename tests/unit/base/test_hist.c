/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/hist.h"
#include "base/random.h"

static void assert_within(uint64_t value)
{
	uint32_t b = rc_hist_bucket(value);
	assert_true(b < RC_HIST_BUCKETS);
	assert_true(rc_hist_low(b) <= value && value <= rc_hist_high(b));
}

static void buckets_cover_everything_without_gap_or_overlap(void **state)
{
	(void)state;
	assert_true(rc_hist_low(0) == 0);
	for (uint32_t b = 0; b + 1 < RC_HIST_BUCKETS; b++) {
		assert_true(rc_hist_low(b) <= rc_hist_high(b));
		assert_true(rc_hist_high(b) + 1 == rc_hist_low(b + 1));
	}
	assert_true(rc_hist_high(RC_HIST_BUCKETS - 1) == UINT64_MAX);
}

static void both_ends_of_a_bucket_fall_into_it(void **state)
{
	(void)state;
	for (uint32_t b = 0; b < RC_HIST_BUCKETS; b++) {
		assert_int_equal(rc_hist_bucket(rc_hist_low(b)), b);
		assert_int_equal(rc_hist_bucket(rc_hist_high(b)), b);
	}
}

static void a_bucket_is_at_most_a_sixteenth_of_its_values_wide(void **state)
{
	(void)state;
	for (uint32_t b = 0; b < RC_HIST_BUCKETS; b++)
		assert_true(rc_hist_high(b) - rc_hist_low(b) <= rc_hist_low(b) / 16);
}

static void values_lie_within_their_bucket(void **state)
{
	(void)state;
	for (uint64_t value = 0; value < 1u << 18; value++)
		assert_within(value);
	for (uint32_t e = 0; e < 64; e++)
		for (uint64_t d = 0; d < 300; d++) {
			assert_within(((uint64_t)1 << e) + d);
			assert_within(((uint64_t)1 << e) - d);
		}
	assert_within(UINT64_MAX);
}

static void quantile_of_nothing_is_zero(void **state)
{
	static uint64_t buckets[RC_HIST_BUCKETS];
	(void)state;
	assert_true(rc_hist_quantile(buckets, 0.99) == 0);
}

static void quantile_names_the_bucket_of_the_ranked_value(void **state)
{
	static uint64_t buckets[RC_HIST_BUCKETS];
	(void)state;
	memset(buckets, 0, sizeof(buckets));
	for (uint64_t value = 1; value <= 1000; value++)
		buckets[rc_hist_bucket(value)]++;
	const struct {
		double quantile;
		uint64_t value;
	} expected[] = {{-1, 1}, {0, 1}, {0.001, 1}, {0.0011, 2}, {0.5, 500}, {0.9, 900},
		{0.999, 999}, {1, 1000}, {2, 1000}};
	for (size_t i = 0; i < RC_ARRAY_LEN(expected); i++)
		assert_true(rc_hist_quantile(buckets, expected[i].quantile) ==
			    rc_hist_high(rc_hist_bucket(expected[i].value)));
}

static void quantile_of_one_value_is_its_bucket_whatever_is_asked(void **state)
{
	static uint64_t buckets[RC_HIST_BUCKETS];
	struct rc_prng prng;
	(void)state;
	rc_prng_seed(&prng, 5);
	for (int i = 0; i < 200; i++) {
		uint32_t b = rc_prng_below(&prng, RC_HIST_BUCKETS);
		memset(buckets, 0, sizeof(buckets));
		buckets[b] = 1 + rc_prng_below(&prng, 5);
		assert_true(rc_hist_quantile(buckets, 0) == rc_hist_high(b));
		assert_true(rc_hist_quantile(buckets, 0.5) == rc_hist_high(b));
		assert_true(rc_hist_quantile(buckets, 1) == rc_hist_high(b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_cover_everything_without_gap_or_overlap),
		cmocka_unit_test(both_ends_of_a_bucket_fall_into_it),
		cmocka_unit_test(a_bucket_is_at_most_a_sixteenth_of_its_values_wide),
		cmocka_unit_test(values_lie_within_their_bucket),
		cmocka_unit_test(quantile_of_nothing_is_zero),
		cmocka_unit_test(quantile_names_the_bucket_of_the_ranked_value),
		cmocka_unit_test(quantile_of_one_value_is_its_bucket_whatever_is_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
