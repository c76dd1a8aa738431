/* SPDX-License-Identifier: Apache-2.0
 *
 * Token buckets: exactly the burst, then exactly the rate, whatever the rate, and a clock that comes round.
 */
#include "../unit.h"

#include "base/random.h"
#include "base/rate.h"

#define SECOND UINT64_C(1000000000)

static void a_fresh_bucket_gives_its_burst_and_no_more(void **state)
{
	const struct rc_rate r = rc_rate_of(10, SECOND, 7);
	uint32_t full_at = rc_rate_now(&r, 123456789);
	(void)state;

	for (int i = 0; i < 7; i++)
		assert_true(rc_rate_take(&r, &full_at, 123456789, 1));
	assert_false(rc_rate_take(&r, &full_at, 123456789, 1));
	assert_int_equal(rc_rate_wait_ms(&r, full_at, 123456789), 101);
}

static void no_rate_is_no_limit(void **state)
{
	const struct rc_rate r = rc_rate_of(0, SECOND, 1);
	uint32_t full_at = 0;
	(void)state;

	for (int i = 0; i < 1000; i++)
		assert_true(rc_rate_take(&r, &full_at, 5, 1000));
	assert_int_equal(rc_rate_wait_ms(&r, full_at, 5), 0);
}

/* Asks far more often than is allowed for some simulated seconds: what is given is the burst and the rate, to one event. */
static void over_time_exactly_burst_and_rate_are_given(void **state)
{
	static const struct {
		uint32_t count, burst;
		uint64_t per_ns;
	} cases[] = {{1, 1, SECOND}, {3, 2, SECOND}, {7, 1, SECOND}, {100, 500, SECOND},
		{9999, 10, SECOND}, {20, 20, 60 * SECOND}, {13, 5, 3600 * SECOND},
		{30011, 64, SECOND}};
	(void)state;

	for (size_t k = 0; k < RC_ARRAY_LEN(cases); k++) {
		const struct rc_rate r =
			rc_rate_of(cases[k].count, cases[k].per_ns, cases[k].burst);
		/* An odd beginning, far from zero. */
		uint64_t begin = UINT64_C(987654321987654321), now = begin;
		uint64_t step = cases[k].per_ns / cases[k].count / 7 + 1;
		uint32_t full_at = rc_rate_now(&r, now);
		uint64_t given = 0;
		for (int i = 0; i < 40000; i++, now += step)
			given += rc_rate_take(&r, &full_at, now, 1);
		uint64_t earned = (now - begin) / 1000 * cases[k].count / (cases[k].per_ns / 1000);
		assert_in_range(given, cases[k].burst + earned - 1, cases[k].burst + earned + 1);
	}
}

static void bytes_are_counted_one_by_one(void **state)
{
	const struct rc_rate r = rc_rate_of_bytes(1000, 65536);
	uint64_t now = 77 * SECOND;
	uint32_t full_at = rc_rate_now(&r, now);
	(void)state;

	assert_false(rc_rate_take(&r, &full_at, now, 65537));
	assert_true(rc_rate_take(&r, &full_at, now, 65536));
	assert_false(rc_rate_take(&r, &full_at, now, 1));
	assert_false(rc_rate_take(&r, &full_at, now + SECOND, 1001));
	assert_true(rc_rate_take(&r, &full_at, now + SECOND, 1000));
	assert_false(rc_rate_take(&r, &full_at, now + SECOND, 1));
}

static void a_bucket_that_nobody_touched_is_full_again(void **state)
{
	const struct rc_rate r = rc_rate_of(5, SECOND, 10);
	uint64_t now = 3 * SECOND;
	uint32_t full_at = rc_rate_now(&r, now);
	(void)state;

	assert_true(rc_rate_take(&r, &full_at, now, 10));
	for (uint64_t later = 2; later < UINT64_C(1) << 20; later *= 3) {
		uint32_t copy = full_at;
		assert_true(rc_rate_take(&r, &copy, now + later * SECOND, 10));
	}
}

static void a_clock_that_steps_back_a_little_costs_no_more_than_that(void **state)
{
	const struct rc_rate r = rc_rate_of(1000, SECOND, 10);
	uint64_t now = 3 * SECOND;
	uint32_t full_at = rc_rate_now(&r, now);
	(void)state;

	assert_true(rc_rate_take(&r, &full_at, now, 5));
	/* Two shards whose turns began a millisecond apart. */
	assert_true(rc_rate_take(&r, &full_at, now - 1000000, 4));
	assert_false(rc_rate_take(&r, &full_at, now - 1000000, 1));
	assert_true(rc_rate_take(&r, &full_at, now, 1));
}

/* A model in nanoseconds and doubles of the textbook's bucket, random times and amounts. */
static void random_use_agrees_with_the_textbook(void **state)
{
	struct rc_prng rng;
	(void)state;

	for (uint64_t seed = 1; seed <= 50; seed++) {
		rc_prng_seed(&rng, seed);
		uint32_t count = 1 + rc_prng_below(&rng, 2000),
			 burst = 1 + rc_prng_below(&rng, 300);
		RC_ASSERT(count > 0);
		const struct rc_rate r = rc_rate_of(count, SECOND, burst);
		uint64_t now = seed * UINT64_C(1234567890123);
		uint32_t full_at = rc_rate_now(&r, now);
		double tokens = burst;
		for (int i = 0; i < 2000; i++) {
			uint64_t step = rc_prng_below(&rng, 3 * (uint32_t)(SECOND / count));
			uint32_t n = 1 + rc_prng_below(&rng, RC_MIN(burst, 4u));
			now += step;
			tokens += (double)step * count / 1e9;
			if (tokens > burst)
				tokens = burst;
			bool taken = rc_rate_take(&r, &full_at, now, n);
			/* Where the two are closer than what is rounded, either is right. */
			if (tokens > n + 0.01)
				assert_true(taken);
			if (tokens < n - 0.01)
				assert_false(taken);
			if (taken)
				tokens -= n;
			/* Rounding does not add up: it is taken over. */
			uint32_t ahead = rc_rate_ahead(&r, full_at, rc_rate_now(&r, now));
			double really = burst - (double)ahead / 1024;
			assert_true(really - tokens < 0.01 && tokens - really < 0.01);
			tokens = really;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fresh_bucket_gives_its_burst_and_no_more),
		cmocka_unit_test(no_rate_is_no_limit),
		cmocka_unit_test(over_time_exactly_burst_and_rate_are_given),
		cmocka_unit_test(bytes_are_counted_one_by_one),
		cmocka_unit_test(a_bucket_that_nobody_touched_is_full_again),
		cmocka_unit_test(a_clock_that_steps_back_a_little_costs_no_more_than_that),
		cmocka_unit_test(random_use_agrees_with_the_textbook),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
