/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool of small objects: classes, pages that come and go, the arena running full, and a random walk against a plain
 * list of what is held.
 */
#include "../unit.h"

#include "base/random.h"
#include "mem/pool.h"

#define ARENA       ((size_t)1 << 20)
#define PAGE_HEADER 64u

struct arena {
	struct rc_buddy buddy;
	struct rc_pool pool;
	void *memory, *state;
};

static struct arena a;

static int open_arena(void **state)
{
	(void)state;
	a.memory = aligned_alloc(4096, ARENA);
	a.state = calloc(1, rc_buddy_state_bytes(ARENA));
	assert_non_null(a.memory);
	assert_non_null(a.state);
	rc_buddy_init(&a.buddy, a.memory, ARENA, a.state);
	rc_pool_init(&a.pool, &a.buddy);
	return 0;
}

static int close_arena(void **state)
{
	(void)state;
	rc_buddy_check(&a.buddy);
	/* All of it may be written again by whoever gets the memory next. */
	rc_buddy_init(&a.buddy, a.memory, ARENA, a.state);
	free(a.memory);
	free(a.state);
	return 0;
}

static void a_size_is_rounded_up_by_less_than_the_half_of_it(void **state)
{
	(void)state;
	for (size_t bytes = 1; bytes <= 5000; bytes++) {
		size_t size = rc_pool_size(bytes);
		assert_true(size >= bytes);
		assert_true(bytes <= 16 || size < bytes + bytes / 2 + 16 ||
			    size == rc_pow2_ceil(bytes));
		/* What is held is itself a size that is held: who grows by rc_pool_size wastes nothing. */
		assert_int_equal(rc_pool_size(size), size);
	}
}

static void objects_are_aligned_and_do_not_overlap(void **state)
{
	static const size_t sizes[] = {
		1, 16, 17, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1008, 1009, 3000};
	unsigned char *object[RC_ARRAY_LEN(sizes)][20];

	(void)state;
	for (size_t s = 0; s < RC_ARRAY_LEN(sizes); s++) {
		for (size_t i = 0; i < 20; i++) {
			object[s][i] = rc_pool_get(&a.pool, sizes[s]);
			assert_non_null(object[s][i]);
			assert_int_equal((uintptr_t)object[s][i] % 16, 0);
			memset(object[s][i], (int)(s * 20 + i) & 0xff, sizes[s]);
		}
	}
	for (size_t s = 0; s < RC_ARRAY_LEN(sizes); s++) {
		for (size_t i = 0; i < 20; i++) {
			for (size_t b = 0; b < sizes[s]; b++)
				assert_int_equal(object[s][i][b], (s * 20 + i) & 0xff);
			rc_pool_put(&a.pool, object[s][i], sizes[s]);
		}
	}
	assert_int_equal(a.pool.used_bytes, 0);
}

static void a_class_that_is_empty_keeps_one_page_at_most(void **state)
{
	enum { COUNT = 500 }; /* of 256 bytes: eight pages */
	void *object[COUNT];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < COUNT; i++) {
			object[i] = rc_pool_get(&a.pool, 200);
			assert_non_null(object[i]);
		}
		assert_int_equal(a.pool.used_bytes, COUNT * 256);
		uint64_t pages = (COUNT + (RC_POOL_PAGE - PAGE_HEADER) / 256 - 1) /
				 ((RC_POOL_PAGE - PAGE_HEADER) / 256);
		assert_int_equal(a.buddy.used_bytes, pages * RC_POOL_PAGE);
		/* Every second one first: all pages are half empty, then go. */
		for (int i = 0; i < COUNT; i += 2)
			rc_pool_put(&a.pool, object[i], 200);
		assert_int_equal(a.buddy.used_bytes, pages * RC_POOL_PAGE);
		for (int i = 1; i < COUNT; i += 2)
			rc_pool_put(&a.pool, object[i], 200);
		assert_int_equal(a.pool.used_bytes, 0);
		assert_int_equal(a.buddy.used_bytes, RC_POOL_PAGE);
	}
}

static void an_object_over_the_classes_is_a_block_of_the_arena(void **state)
{
	(void)state;
	void *big = rc_pool_get(&a.pool, 70000);
	assert_non_null(big);
	assert_int_equal(rc_pool_size(70000), 131072);
	assert_int_equal(a.pool.used_bytes, 131072);
	assert_int_equal(a.buddy.used_bytes, 131072);
	rc_pool_put(&a.pool, big, 70000);
	assert_int_equal(a.pool.used_bytes, 0);
	assert_int_equal(a.buddy.used_bytes, 0);
	rc_pool_put(&a.pool, NULL, 70000);
	assert_int_equal(a.pool.used_bytes, 0);
}

static void a_full_arena_answers_null_and_a_put_makes_room_again(void **state)
{
	static void *object[ARENA / 1008 + 1];
	uint32_t count = 0;

	(void)state;
	while ((object[count] = rc_pool_get(&a.pool, 1000)) != NULL)
		count++;
	assert_int_equal(count, ARENA / RC_POOL_PAGE * ((RC_POOL_PAGE - PAGE_HEADER) / 1008));
	assert_null(rc_pool_get(&a.pool, 1000));
	assert_null(rc_pool_get(&a.pool, 16));
	assert_null(rc_pool_get(&a.pool, 2000));
	rc_pool_put(&a.pool, object[count / 2], 1000);
	void *again = rc_pool_get(&a.pool, 990);
	assert_ptr_equal(again, object[count / 2]);
	assert_null(rc_pool_get(&a.pool, 1000));
	for (uint32_t i = 0; i < count; i++)
		rc_pool_put(&a.pool, object[i], 1000);
	assert_int_equal(a.pool.used_bytes, 0);
}

struct held {
	unsigned char *object;
	size_t bytes;
	unsigned char fill;
};

static void a_random_walk_keeps_every_byte_and_gives_all_back(void **state)
{
	static struct held held[400];
	struct rc_prng prng;
	uint64_t used = 0;

	(void)state;
	rc_prng_seed(&prng, 7);
	memset(held, 0, sizeof(held));
	for (int step = 0; step < 60000; step++) {
		struct held *h = &held[rc_prng_below(&prng, RC_ARRAY_LEN(held))];
		if (h->object) {
			for (size_t i = 0; i < h->bytes; i++)
				assert_int_equal(h->object[i], h->fill);
			rc_pool_put(&a.pool, h->object, h->bytes);
			used -= rc_pool_size(h->bytes);
			h->object = NULL;
		} else {
			uint32_t bits = 1 + rc_prng_below(&prng, 13);
			h->bytes = 1 + rc_prng_below(&prng, 1u << bits);
			h->object = rc_pool_get(&a.pool, h->bytes);
			if (h->object) {
				h->fill = (unsigned char)step;
				memset(h->object, h->fill, h->bytes);
				used += rc_pool_size(h->bytes);
			}
		}
		assert_int_equal(a.pool.used_bytes, used);
		if (step % 1000 == 0)
			rc_buddy_check(&a.buddy);
	}
	for (size_t i = 0; i < RC_ARRAY_LEN(held); i++)
		rc_pool_put(&a.pool, held[i].object, held[i].bytes);
	assert_int_equal(a.pool.used_bytes, 0);
	assert_true(a.buddy.used_bytes <= RC_POOL_CLASSES * (uint64_t)RC_POOL_PAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_size_is_rounded_up_by_less_than_the_half_of_it),
		TEST(objects_are_aligned_and_do_not_overlap),
		TEST(a_class_that_is_empty_keeps_one_page_at_most),
		TEST(an_object_over_the_classes_is_a_block_of_the_arena),
		TEST(a_full_arena_answers_null_and_a_put_makes_room_again),
		TEST(a_random_walk_keeps_every_byte_and_gives_all_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
