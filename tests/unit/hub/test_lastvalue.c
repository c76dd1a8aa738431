/* SPDX-License-Identifier: Apache-2.0
 *
 * The newest event of each key against a plain list: order, limits, growth, missing memory, and everything given back.
 */
#include "../unit.h"

#include "base/random.h"
#include "hub/lastvalue.h"
#include "mem/poison.h"

#define ARENA ((size_t)1 << 20)

static struct rc_buddy arena;
static struct rc_pool pool;
static struct rc_last_values values;
static void *memory, *state_bytes;

static int setup(void **state)
{
	(void)state;
	memory = aligned_alloc(4096, ARENA);
	state_bytes = calloc(1, rc_buddy_state_bytes(ARENA));
	assert_non_null(memory);
	assert_non_null(state_bytes);
	rc_buddy_init(&arena, memory, ARENA, state_bytes);
	rc_pool_init(&pool, &arena);
	rc_last_values_init(&values);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rc_last_values_clear(&values, &pool);
	assert_int_equal(pool.used_bytes, 0);
	assert_int_equal(values.count, 0);
	RC_UNPOISON(memory, ARENA);
	free(memory);
	free(state_bytes);
	return 0;
}

static bool put(uint64_t key, uint64_t pos, uint32_t len, uint64_t limit)
{
	static unsigned char frame[8192];

	assert_true(len <= sizeof(frame));
	memset(frame, (int)(key ^ pos), len);
	return rc_last_values_put(&values, &pool, key, pos, pos * 3, frame, len, limit);
}

static void the_newest_of_each_key_stays_in_the_order_of_the_log(void **state)
{
	(void)state;
	assert_int_equal(rc_last_values_from(&values, 0), RC_NONE);
	assert_true(put(1, 10, 5, 1000));
	assert_true(put(2, 20, 5, 1000));
	assert_true(put(0, 30, 5, 1000)); /* events without a key are one key */
	assert_true(put(1, 40, 6, 1000));
	assert_int_equal(values.count, 3);
	assert_int_equal(values.bytes, 16);
	uint32_t i = rc_last_values_from(&values, 0);
	assert_int_equal(values.entry[i].pos, 20);
	i = values.entry[i].newer;
	assert_int_equal(values.entry[i].pos, 30);
	i = values.entry[i].newer;
	assert_int_equal(values.entry[i].pos, 40);
	assert_int_equal(values.entry[i].len, 6);
	assert_int_equal(values.entry[i].newer, RC_NONE);
	i = rc_last_values_from(&values, 21);
	assert_int_equal(values.entry[i].pos, 30);
	assert_int_equal(rc_last_values_from(&values, 41), RC_NONE);
}

static void over_the_limit_the_oldest_key_is_given_up(void **state)
{
	(void)state;
	for (uint64_t k = 0; k < 50; k++) {
		assert_true(put(k, k, 100, 1000));
		assert_true(values.bytes <= 1000);
	}
	assert_int_equal(values.count, 10);
	assert_int_equal(values.entry[rc_last_values_from(&values, 0)].key, 40);
	/* One that is larger than the limit is alone. */
	assert_true(put(99, 99, 5000, 1000));
	assert_int_equal(values.count, 1);
}

static void without_memory_a_key_has_no_value_rather_than_an_old_one(void **state)
{
	static void *taken[1025];
	uint32_t count = 0;

	(void)state;
	assert_true(put(1, 1, 3000, 100000));
	while ((taken[count] = rc_buddy_get(&arena, 1024)) != NULL)
		count++;
	assert_false(put(1, 2, 6000, 100000));
	assert_int_equal(values.count, 0);
	assert_int_equal(values.bytes, 0);
	while (count > 0)
		rc_buddy_put(&arena, taken[--count]);
	assert_true(put(1, 3, 6000, 100000));
	assert_int_equal(values.count, 1);
}

enum { KEYS = 300 };

static void a_random_walk_agrees_with_a_list(void **state)
{
	static struct {
		uint64_t pos; /* 0 = none */
		uint32_t len;
	} model[KEYS];
	uint64_t pos = 1, bytes = 0;
	struct rc_prng prng;

	(void)state;
	rc_prng_seed(&prng, 21);
	memset(model, 0, sizeof(model));
	for (int step = 0; step < 30000; step++) {
		uint32_t k = rc_prng_below(&prng, step % 1000 < 500 ? KEYS : 10);
		uint32_t len = 1 + rc_prng_below(&prng, 700);
		uint64_t limit = 1000 + rc_prng_below(&prng, 60000);
		pos += 1 + rc_prng_below(&prng, 1000);
		bytes -= model[k].len;
		model[k].pos = model[k].len = 0;
		while (bytes && bytes + len > limit) {
			uint32_t oldest = KEYS;
			for (uint32_t i = 0; i < KEYS; i++) {
				if (model[i].pos &&
					(oldest == KEYS || model[i].pos < model[oldest].pos))
					oldest = i;
			}
			bytes -= model[oldest].len;
			model[oldest].pos = model[oldest].len = 0;
		}
		model[k].pos = pos;
		model[k].len = len;
		bytes += len;
		/* Keys that share their low bits share a bucket. */
		assert_true(put((uint64_t)k << 32 | k % 7, pos, len, limit));
		assert_int_equal(values.bytes, bytes);
		if (step % 50)
			continue;
		uint64_t from = rc_prng_below(&prng, (uint32_t)pos + 1);
		uint32_t want = 0, got = 0;
		uint64_t before = 0;
		for (uint32_t i = 0; i < KEYS; i++)
			want += model[i].pos && model[i].pos >= from;
		for (uint32_t i = rc_last_values_from(&values, from); i != RC_NONE;
			i = values.entry[i].newer) {
			const struct rc_last_value *e = &values.entry[i];
			uint32_t key = (uint32_t)(e->key >> 32);
			assert_true(e->pos > before && e->pos >= from);
			assert_int_equal(e->pos, model[key].pos);
			assert_int_equal(e->len, model[key].len);
			assert_int_equal(e->frame[0], (unsigned char)(e->key ^ e->pos));
			assert_int_equal(e->frame[e->len - 1], e->frame[0]);
			before = e->pos;
			got++;
		}
		assert_int_equal(got, want);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_newest_of_each_key_stays_in_the_order_of_the_log),
		TEST(over_the_limit_the_oldest_key_is_given_up),
		TEST(without_memory_a_key_has_no_value_rather_than_an_old_one),
		TEST(a_random_walk_agrees_with_a_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
