/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/random.h"
#include "mem/poison.h"
#include "mem/slab.h"

#define COUNT  300
#define STRIDE ((size_t)40)

static _Alignas(8) unsigned char memory[COUNT * STRIDE];

static void fresh_objects_come_in_order_and_only_when_needed(void **state)
{
	struct rc_slab s;
	(void)state;
	RC_UNPOISON(memory, sizeof(memory));
	memset(memory, 0xee, sizeof(memory));
	rc_slab_init(&s, memory, STRIDE, COUNT);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(rc_slab_get(&s), i);
		assert_ptr_equal(rc_slab_at(&s, i), memory + i * STRIDE);
	}
	assert_int_equal(s.mark, 10);
	for (size_t i = 10 * STRIDE; i < sizeof(memory); i++)
		assert_int_equal(memory[i], 0xee);
	rc_slab_put(&s, 4);
	assert_int_equal(rc_slab_get(&s), 4);
	assert_int_equal(s.mark, 10);
}

static void a_full_slab_says_none_until_something_comes_back(void **state)
{
	struct rc_slab s;
	(void)state;
	rc_slab_init(&s, memory, STRIDE, COUNT);
	for (uint32_t i = 0; i < COUNT; i++)
		assert_int_not_equal(rc_slab_get(&s), RC_NONE);
	assert_int_equal(rc_slab_get(&s), RC_NONE);
	assert_int_equal(rc_slab_get(&s), RC_NONE);
	assert_int_equal(s.used, COUNT);
	rc_slab_put(&s, 17);
	assert_int_equal(rc_slab_get(&s), 17);
	assert_int_equal(rc_slab_get(&s), RC_NONE);
	for (uint32_t i = 0; i < COUNT; i++)
		rc_slab_put(&s, i);
	assert_int_equal(s.used, 0);
}

static void objects_in_use_are_never_given_twice_or_touched(void **state)
{
	struct rc_slab s;
	struct rc_prng prng;
	bool used[COUNT] = {false};
	uint32_t live[COUNT];
	uint32_t count = 0;
	(void)state;
	rc_prng_seed(&prng, 3);
	rc_slab_init(&s, memory, STRIDE, COUNT);
	for (int round = 0; round < 100000; round++) {
		if (rc_prng_below(&prng, 20) < (round / 5000 % 2 == 0 ? 12u : 8u)) {
			uint32_t index = rc_slab_get(&s);
			assert_int_equal(index == RC_NONE, count == COUNT);
			if (index == RC_NONE)
				continue;
			assert_true(index < COUNT && !used[index]);
			used[index] = true;
			live[count++] = index;
			memset(rc_slab_at(&s, index), (int)(index & 0xff), STRIDE);
		} else if (count > 0) {
			uint32_t n = rc_prng_below(&prng, count);
			uint32_t index = live[n];
			const unsigned char *p = rc_slab_at(&s, index);
			for (size_t i = 0; i < STRIDE; i++)
				assert_int_equal(p[i], index & 0xff);
			live[n] = live[--count];
			used[index] = false;
			rc_slab_put(&s, index);
		}
		assert_int_equal(s.used, count);
	}
	while (count > 0)
		rc_slab_put(&s, live[--count]);
}

static void put_twice(void *ctx)
{
	struct rc_slab *s = ctx;
	rc_slab_put(s, 1);
}

static void put_what_was_never_got(void *ctx)
{
	struct rc_slab *s = ctx;
	rc_slab_put(s, s->mark);
}

static void a_wrong_put_aborts(void **state)
{
	struct rc_slab s;
	(void)state;
	rc_slab_init(&s, memory, STRIDE, COUNT);
	for (uint32_t i = 0; i < 3; i++)
		(void)!rc_slab_get(&s);
	assert_true(unit_aborts(put_what_was_never_got, &s));
	rc_slab_put(&s, 1);
	rc_slab_put(&s, 2);
#ifdef RC_DEBUG
	assert_true(unit_aborts(put_twice, &s));
#else
	(void)put_twice;
#endif
}

static void contents_that_look_free_can_be_put(void **state)
{
	struct rc_slab s;
	unsigned char image[STRIDE];
	(void)state;
	rc_slab_init(&s, memory, STRIDE, COUNT);
	uint32_t index = rc_slab_get(&s);
	rc_slab_put(&s, index);
	RC_UNPOISON(memory, STRIDE);
	memcpy(image, memory, STRIDE);
	assert_int_equal(rc_slab_get(&s), index);
	memcpy(rc_slab_at(&s, index), image, STRIDE);
	rc_slab_put(&s, index);
	assert_int_equal(rc_slab_get(&s), index);
}

static void a_free_object_is_poisoned_and_its_neighbours_are_not(void **state)
{
	(void)state;
#ifdef RC_ASAN
	struct rc_slab s;
	rc_slab_init(&s, memory, STRIDE, COUNT);
	for (uint32_t i = 0; i < 3; i++)
		(void)!rc_slab_get(&s);
	rc_slab_put(&s, 1);
	for (size_t i = 0; i < (size_t)3 * STRIDE; i++)
		assert_int_equal(__asan_address_is_poisoned(memory + i), i / STRIDE == 1);
	assert_int_equal(rc_slab_get(&s), 1);
	assert_null(__asan_region_is_poisoned(memory, (size_t)3 * STRIDE));
#else
	print_message("needs AddressSanitizer\n");
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fresh_objects_come_in_order_and_only_when_needed),
		cmocka_unit_test(a_full_slab_says_none_until_something_comes_back),
		cmocka_unit_test(objects_in_use_are_never_given_twice_or_touched),
		cmocka_unit_test(a_wrong_put_aborts),
		cmocka_unit_test(contents_that_look_free_can_be_put),
		cmocka_unit_test(a_free_object_is_poisoned_and_its_neighbours_are_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
