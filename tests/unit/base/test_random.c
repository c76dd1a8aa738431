/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/random.h"

static void bytes_fills_all_of_it_and_no_more(void **state)
{
	unsigned char seen[1000] = {0};
	(void)state;
	for (int round = 0; round < 8; round++) {
		unsigned char out[1002];
		memset(out, 0, sizeof(out));
		rc_random_bytes(out + 1, 1000);
		assert_int_equal(out[0], 0);
		assert_int_equal(out[1001], 0);
		for (size_t i = 0; i < sizeof(seen); i++)
			seen[i] |= out[i + 1];
	}
	/* A byte that stays zero through eight rounds: one chance in 2^64 each. */
	for (size_t i = 0; i < sizeof(seen); i++)
		assert_int_not_equal(seen[i], 0);
}

static void secrets_differ_and_are_not_kept(void **state)
{
	struct rc_random_pool pool = {0};
	uint64_t word[300];
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(word); i++) {
		word[i] = rc_random_secret(&pool);
		for (size_t j = 0; j < i; j++)
			assert_true(word[i] != word[j]);
		for (size_t j = 0; j < RC_ARRAY_LEN(pool.word); j++)
			assert_true(word[i] != pool.word[j]);
	}
}

static void prng_is_xoshiro256_starstar(void **state)
{
	struct rc_prng prng = {{1, 2, 3, 4}};
	static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(expected); i++)
		assert_true(rc_prng_next(&prng) == expected[i]);
}

static void the_same_seed_gives_the_same_stream(void **state)
{
	struct rc_prng a;
	struct rc_prng b;
	struct rc_prng other;
	(void)state;
	rc_prng_seed(&a, 0);
	rc_prng_seed(&b, 0);
	rc_prng_seed(&other, 1);
	for (int i = 0; i < 100; i++) {
		uint64_t word = rc_prng_next(&a);
		assert_true(word == rc_prng_next(&b));
		assert_true(word != rc_prng_next(&other));
	}
}

static void below_stays_below_and_reaches_everything_evenly(void **state)
{
	struct rc_prng prng;
	static const uint32_t bounds[] = {1, 2, 3, 7, 10, 64, 100};
	(void)state;
	rc_prng_seed(&prng, 42);
	for (size_t i = 0; i < RC_ARRAY_LEN(bounds); i++) {
		uint32_t count[100] = {0};
		for (uint32_t n = 0; n < bounds[i] * 10000; n++) {
			uint32_t got = rc_prng_below(&prng, bounds[i]);
			assert_true(got < bounds[i]);
			count[got]++;
		}
		/* Ten standard deviations of 100. */
		for (uint32_t v = 0; v < bounds[i]; v++)
			assert_in_range(count[v], 9000, 11000);
	}
}

/* With a bound of three quarters of 2^32, a remainder would give the lower third twice as often, and a product that
 * nobody rejects one of three neighbours. */
static void below_is_even_for_a_huge_bound(void **state)
{
	struct rc_prng prng;
	uint32_t third[3] = {0};
	uint32_t neighbour[3] = {0};
	(void)state;
	rc_prng_seed(&prng, 43);
	for (int i = 0; i < 30000; i++) {
		uint32_t got = rc_prng_below(&prng, 0xc0000000u);
		third[got / 0x40000000u]++;
		neighbour[got % 3]++;
	}
	for (int i = 0; i < 3; i++) {
		assert_in_range(third[i], 9000, 11000);
		assert_in_range(neighbour[i], 9000, 11000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_fills_all_of_it_and_no_more),
		cmocka_unit_test(secrets_differ_and_are_not_kept),
		cmocka_unit_test(prng_is_xoshiro256_starstar),
		cmocka_unit_test(the_same_seed_gives_the_same_stream),
		cmocka_unit_test(below_stays_below_and_reaches_everything_evenly),
		cmocka_unit_test(below_is_even_for_a_huge_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
