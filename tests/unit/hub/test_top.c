/* SPDX-License-Identifier: Apache-2.0
 *
 * Samples of what is published against what is published: the busy ones are found among many, whatever the order.
 */
#include "../unit.h"

#include "base/random.h"
#include "hub/top.h"

static struct rc_top top;

static int setup(void **state)
{
	(void)state;
	rc_top_init(&top);
	return 0;
}

static uint64_t rate_of(uint32_t owned)
{
	for (uint32_t i = 0; i < RC_TOP_ENTRIES; i++) {
		if (top.at[i].owned == owned)
			return top.at[i].rate / RC_TOP_UNIT;
	}
	return 0;
}

static uint32_t known(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < RC_TOP_ENTRIES; i++)
		count += top.at[i].owned != RC_NONE;
	return count;
}

static void events(uint32_t owned, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		rc_top_event(&top, owned, owned * 7);
}

static void few_events_are_all_counted(void **state)
{
	(void)state;
	for (int second = 0; second < 40; second++) {
		events(1, 100);
		events(2, 10);
		events(3, 1);
		rc_top_second(&top);
	}
	/* The average goes up to the rate and not above it. */
	assert_in_range(rate_of(1), 99, 100);
	assert_in_range(rate_of(2), 9, 10);
	assert_in_range(rate_of(3), 0, 1);
	assert_int_equal(known(), 3);
}

static void what_is_quiet_goes(void **state)
{
	(void)state;
	events(1, 1000);
	rc_top_second(&top);
	assert_true(rate_of(1) > 0);
	for (int second = 0; second < 60; second++)
		rc_top_second(&top);
	assert_int_equal(known(), 0);
}

static void the_place_of_another_channel_is_another_channel(void **state)
{
	(void)state;
	rc_top_event(&top, 5, 1);
	rc_top_event(&top, 5, 2);
	assert_int_equal(known(), 2);
}

/* Three that have a fifth, a tenth and a twentieth of a million events; the others have one in a thousand at most. */
static void busy_ones_are_found_among_many(void **state)
{
	struct rc_prng prng;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		rc_prng_seed(&prng, seed);
		rc_top_init(&top);
		for (int second = 0; second < 12; second++) {
			for (int i = 0; i < 100000; i++) {
				uint32_t chance = rc_prng_below(&prng, 100);
				uint32_t owned = chance < 20   ? 1
						 : chance < 30 ? 2
						 : chance < 35 ? 3
							       : 10 + rc_prng_below(&prng, 50000);
				rc_top_event(&top, owned, owned * 7);
			}
			rc_top_second(&top);
		}
		assert_in_range(rate_of(1), 15000, 25000);
		assert_in_range(rate_of(2), 7000, 13000);
		assert_in_range(rate_of(3), 3000, 7000);
		/* A second has about so many samples, once it is known how much is published. */
		assert_in_range(top.step, 100000 / RC_TOP_SAMPLES / 2, 100000 / RC_TOP_SAMPLES * 2);
	}
}

/* A publisher that goes round its channels would be met at the same one again and again by every 49th event. */
static void a_publisher_that_goes_round_is_met_everywhere(void **state)
{
	(void)state;
	for (int second = 0; second < 12; second++) {
		for (uint32_t i = 0; i < 98000; i++)
			rc_top_event(&top, i % 49, i % 49 * 7);
		rc_top_second(&top);
	}
	for (uint32_t owned = 0; owned < 49; owned++)
		assert_in_range(rate_of(owned), 500, 4500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(few_events_are_all_counted, setup),
		cmocka_unit_test_setup(what_is_quiet_goes, setup),
		cmocka_unit_test_setup(the_place_of_another_channel_is_another_channel, setup),
		cmocka_unit_test_setup(busy_ones_are_found_among_many, setup),
		cmocka_unit_test_setup(a_publisher_that_goes_round_is_met_everywhere, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
