/* SPDX-License-Identifier: Apache-2.0
 *
 * The table from hash to index: probing over the end, deletion that closes the holes, equal hashes, and a random walk
 * against a plain array.
 */
#include "../unit.h"

#include "base/random.h"
#include "hub/table.h"

enum { MAX = 64, CELLS = 128 };

static struct rc_table table;
static struct rc_table_cell cells[CELLS];
/* What the objects are: a name each. */
static uint32_t name_of[MAX];

static int setup(void **state)
{
	(void)state;
	assert_int_equal(rc_table_cells(MAX), CELLS);
	memset(cells, 0, sizeof(cells));
	rc_table_init(&table, cells, CELLS);
	return 0;
}

static bool same(const void *ctx, uint32_t index)
{
	return name_of[index] == *(const uint32_t *)ctx;
}

static uint32_t find(uint32_t hash, uint32_t name)
{
	return rc_table_find(&table, hash, same, &name);
}

static void add(uint32_t hash, uint32_t index, uint32_t name)
{
	name_of[index] = name;
	rc_table_add(&table, hash, index);
}

static void cells_are_a_power_of_two_and_half_full_at_most(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 5000; n++) {
		uint32_t c = rc_table_cells(n);
		assert_true(rc_is_pow2(c) && c >= 2 * n && c >= 16);
	}
	assert_int_equal(rc_table_cells(1u << 30), 1u << 31);
}

static void nothing_is_found_in_an_empty_table(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 300; h++)
		assert_int_equal(find(h, 1), RC_NONE);
}

static void equal_hashes_are_told_apart_by_the_object(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		add(5, i, 100 + i);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(find(5, 100 + i), i);
	assert_int_equal(find(5, 99), RC_NONE);
	rc_table_remove(&table, 5, 3);
	assert_int_equal(find(5, 103), RC_NONE);
	for (uint32_t i = 4; i < 10; i++)
		assert_int_equal(find(5, 100 + i), i);
	assert_int_equal(table.count, 9);
}

static void a_run_over_the_end_of_the_table_is_found_and_closed(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 6; i++)
		add(CELLS - 3, i, i);
	assert_int_not_equal(cells[0].used, 0);
	assert_int_not_equal(cells[2].used, 0);
	/* One that is at home behind the end. */
	add(CELLS + 1, 6, 6);
	rc_table_remove(&table, CELLS - 3, 0);
	rc_table_remove(&table, CELLS - 3, 4);
	for (uint32_t i = 0; i < 7; i++)
		assert_int_equal(
			find(i == 6 ? CELLS + 1 : CELLS - 3, i), i == 0 || i == 4 ? RC_NONE : i);
	for (uint32_t i = 1; i < 6; i++) {
		if (i != 4)
			rc_table_remove(&table, CELLS - 3, i);
	}
	assert_int_equal(find(CELLS + 1, 6), 6);
	/* Everybody is back at home: nothing is left of the run. */
	assert_int_equal(cells[1].used, 7);
	rc_table_remove(&table, CELLS + 1, 6);
	for (uint32_t i = 0; i < CELLS; i++)
		assert_int_equal(cells[i].used, 0);
}

static void remove_nine(void *ctx)
{
	(void)ctx;
	rc_table_remove(&table, 9, 9);
}

static void removing_what_is_not_there_ends_the_process(void **state)
{
	(void)state;
	add(9, 0, 0);
	add(9, 9, 9);
	assert_false(unit_aborts(remove_nine, NULL));
	rc_table_remove(&table, 9, 9);
	assert_true(unit_aborts(remove_nine, NULL));
}

static void a_random_walk_agrees_with_an_array(void **state)
{
	struct rc_prng prng;
	uint32_t hash_of[MAX] = {0};
	bool in[MAX] = {false};

	(void)state;
	rc_prng_seed(&prng, 3);
	for (int step = 0; step < 200000; step++) {
		uint32_t i = rc_prng_below(&prng, MAX);
		if (in[i]) {
			rc_table_remove(&table, hash_of[i], i);
			in[i] = false;
		} else {
			/* Few hashes, so that runs are long; the upper bits differ. */
			hash_of[i] = rc_prng_below(&prng, 24) * 5 + rc_prng_below(&prng, 3) * CELLS;
			add(hash_of[i], i, i);
			in[i] = true;
		}
		uint32_t k = rc_prng_below(&prng, MAX);
		if (in[k])
			assert_int_equal(find(hash_of[k], k), k);
		if (step % 64 == 0) {
			uint32_t count = 0;
			for (uint32_t j = 0; j < MAX; j++) {
				count += in[j];
				if (in[j])
					assert_int_equal(find(hash_of[j], j), j);
			}
			assert_int_equal(table.count, count);
			for (uint32_t h = 0; h < 3 * CELLS; h++)
				assert_int_equal(find(h, MAX + 1), RC_NONE);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cells_are_a_power_of_two_and_half_full_at_most),
		TEST(nothing_is_found_in_an_empty_table),
		TEST(equal_hashes_are_told_apart_by_the_object),
		TEST(a_run_over_the_end_of_the_table_is_found_and_closed),
		TEST(removing_what_is_not_there_ends_the_process),
		TEST(a_random_walk_agrees_with_an_array),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
