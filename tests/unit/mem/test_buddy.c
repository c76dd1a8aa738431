/* SPDX-License-Identifier: Apache-2.0
 *
 * Against a model that is one bool per unit: a get must succeed exactly when somewhere an aligned run of free units
 * exists, and may go above top only when none lies below.
 */
#include "../unit.h"

#include "base/error.h"
#include "base/random.h"
#include "mem/buddy.h"
#include "mem/poison.h"
#include "mem/region.h"

#define UNITS_MAX 4096

struct live {
	unsigned char *block;
	uint32_t unit;
	uint32_t size; /* units */
	uint32_t tag;
};

struct bench {
	struct rc_buddy buddy;
	struct rc_region memory;
	unsigned char *state;
	uint32_t units;
	bool used[UNITS_MAX];
	struct live live[UNITS_MAX];
	uint32_t count;
	uint32_t tags;
	struct rc_prng prng;
};

static void start(struct bench *b, uint32_t units, uint64_t seed)
{
	struct rc_error err;
	size_t bytes = (size_t)units * RC_BUDDY_MIN;
	memset(b, 0, sizeof(*b));
	b->units = units;
	assert_int_equal(rc_region_open(&b->memory, bytes, 0, -1, &err), 0);
	b->state = calloc(1, rc_buddy_state_bytes(bytes));
	assert_non_null(b->state);
	rc_buddy_init(&b->buddy, b->memory.base, bytes, b->state);
	rc_prng_seed(&b->prng, seed);
}

static void stop(struct bench *b)
{
	rc_region_close(&b->memory);
	free(b->state);
}

/* The lowest aligned run of `size` free units that ends at or below `limit`; RC_NONE when there is none. */
static uint32_t free_run(const struct bench *b, uint32_t size, uint32_t limit)
{
	for (uint32_t unit = 0; unit + size <= limit; unit += size) {
		uint32_t n = 0;
		while (n < size && !b->used[unit + n])
			n++;
		if (n == size)
			return unit;
	}
	return RC_NONE;
}

static void stamp(const struct live *l)
{
	memset(l->block, (int)(l->tag & 0xff), RC_BUDDY_MIN);
	memset(l->block + (size_t)(l->size - 1) * RC_BUDDY_MIN, (int)(l->tag & 0xff), RC_BUDDY_MIN);
	memcpy(l->block, &l->tag, sizeof(l->tag));
}

static void check_stamp(const struct live *l)
{
	uint32_t tag;
	memcpy(&tag, l->block, sizeof(tag));
	assert_int_equal(tag, l->tag);
	const unsigned char *last = l->block + (size_t)l->size * RC_BUDDY_MIN - 1;
	assert_int_equal(*last, tag & 0xff);
}

static bool get(struct bench *b, size_t bytes)
{
	uint32_t top = b->buddy.top;
	uint32_t size =
		(uint32_t)(rc_pow2_ceil(RC_MAX(bytes, (size_t)RC_BUDDY_MIN)) / RC_BUDDY_MIN);
	unsigned char *block = rc_buddy_get(&b->buddy, bytes);
	uint32_t lowest = free_run(b, size, b->units);
	assert_int_equal(block == NULL, lowest == RC_NONE);
	if (block == NULL) {
		assert_int_equal(b->buddy.top, top);
		return false;
	}
	size_t pos = (size_t)(block - (unsigned char *)b->memory.base);
	uint32_t unit = (uint32_t)(pos / RC_BUDDY_MIN);
	assert_int_equal(pos % ((size_t)size * RC_BUDDY_MIN), 0);
	assert_true(unit + size <= b->units);
	assert_int_equal(rc_buddy_size(&b->buddy, block), (size_t)size * RC_BUDDY_MIN);
	if (free_run(b, size, top) != RC_NONE)
		assert_int_equal(b->buddy.top, top);
	else
		assert_int_equal(unit, lowest);
	for (uint32_t i = 0; i < size; i++) {
		assert_false(b->used[unit + i]);
		b->used[unit + i] = true;
	}
	struct live *l = &b->live[b->count++];
	*l = (struct live){block, unit, size, b->tags++};
	stamp(l);
	return true;
}

static void put(struct bench *b, uint32_t n)
{
	struct live l = b->live[n];
	check_stamp(&l);
	for (uint32_t i = 0; i < l.size; i++)
		b->used[l.unit + i] = false;
	b->live[n] = b->live[--b->count];
	rc_buddy_put(&b->buddy, l.block);
}

static void check(const struct bench *b)
{
	uint64_t used = 0;
	rc_buddy_check(&b->buddy);
	for (uint32_t i = 0; i < b->count; i++)
		used += (uint64_t)b->live[i].size * RC_BUDDY_MIN;
	assert_true(b->buddy.used_bytes == used);
	assert_true(rc_buddy_free_bytes(&b->buddy) == (uint64_t)b->units * RC_BUDDY_MIN - used);
}

static void play(uint32_t units, uint64_t seed)
{
	static struct bench b;
	start(&b, units, seed);
	uint32_t orders = 1;
	while (orders < RC_BUDDY_ORDERS - 1 && 1u << orders < units)
		orders++;
	uint64_t peak = 0;
	for (int round = 0; round < 4000; round++) {
		/* Fills up and drains in turn; small blocks more often than large ones. */
		uint32_t share = round / 500 % 2 == 0 ? 7 : 4;
		if (b.count == 0 || rc_prng_below(&b.prng, 10) < share) {
			uint32_t order =
				rc_prng_below(&b.prng, 1 + rc_prng_below(&b.prng, orders + 1));
			uint32_t bytes = RC_BUDDY_MIN << order;
			get(&b, bytes - rc_prng_below(&b.prng, bytes / 2));
		} else {
			put(&b, rc_prng_below(&b.prng, b.count));
		}
		peak = RC_MAX(peak, b.buddy.used_bytes);
		if (round % 16 == 0)
			check(&b);
	}
	while (b.count > 0)
		put(&b, b.count - 1);
	check(&b);
	assert_true(b.buddy.peak_bytes == peak);
	assert_true(b.buddy.used_bytes == 0);
	/* Everything has merged again: the largest aligned run can be had. */
	uint32_t largest = 1;
	while (largest * 2 <= units && largest < 1u << (RC_BUDDY_ORDERS - 1))
		largest *= 2;
	assert_true(get(&b, (size_t)largest * RC_BUDDY_MIN));
	put(&b, 0);
	check(&b);
	stop(&b);
}

static void blocks_are_found_whenever_an_aligned_run_is_free(void **state)
{
	static const uint32_t units[] = {1, 2, 3, 7, 37, 64, 100, 1000, 1023, 1024, 1025, 4096};
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(units); i++)
		for (uint64_t seed = 0; seed < 4; seed++)
			play(units[i], seed + i * 100);
}

static void sizes_round_up_to_powers_of_two(void **state)
{
	static struct bench b;
	static const struct {
		size_t bytes, size;
	} expected[] = {{1, 1024}, {1023, 1024}, {1024, 1024}, {1025, 2048}, {2048, 2048},
		{2049, 4096}, {4097, 8192}, {65536, 65536}, {65537, 131072}};
	(void)state;
	start(&b, 1024, 0);
	for (size_t i = 0; i < RC_ARRAY_LEN(expected); i++) {
		void *block = rc_buddy_get(&b.buddy, expected[i].bytes);
		assert_non_null(block);
		assert_int_equal(rc_buddy_size(&b.buddy, block), expected[i].size);
		rc_buddy_put(&b.buddy, block);
	}
	stop(&b);
}

static void used_memory_is_preferred_to_untouched(void **state)
{
	static struct bench b;
	(void)state;
	start(&b, 1024, 0);
	for (int i = 0; i < 100; i++)
		assert_true(get(&b, 4096));
	assert_int_equal(b.buddy.top, 400);
	for (int round = 0; round < 1000; round++) {
		put(&b, rc_prng_below(&b.prng, b.count));
		assert_true(get(&b, 4096));
	}
	assert_int_equal(b.buddy.top, 400);
	while (b.count > 0)
		put(&b, 0);
	for (int i = 0; i < 400; i++)
		assert_true(get(&b, 1));
	assert_int_equal(b.buddy.top, 400);
	/* The one that is put ends at top: a larger one may begin with it. */
	while (b.count > 0)
		put(&b, 0);
	assert_true(get(&b, (size_t)512 * 1024));
	assert_int_equal(b.live[0].unit, 0);
	assert_int_equal(b.buddy.top, 512);
	stop(&b);
}

static void memory_above_top_is_never_touched(void **state)
{
	static struct bench b;
	(void)state;
	start(&b, 1024, 0);
	const unsigned char *base = b.memory.base;
	memset(b.memory.base, 0xee, b.memory.len);
	assert_true(get(&b, 1024));
	assert_true(get(&b, 16384));
	put(&b, 0);
	assert_true(get(&b, 8192));
	put(&b, 0);
	assert_true(b.buddy.top <= 64);
	for (size_t i = (size_t)b.buddy.top * RC_BUDDY_MIN; i < b.memory.len; i++)
		assert_int_equal(base[i], 0xee);
	stop(&b);
}

static void the_largest_blocks_lie_side_by_side(void **state)
{
	struct rc_buddy b;
	struct rc_region r;
	struct rc_error err;
	const size_t largest = (size_t)64 << 20;
	const size_t bytes = 3 * largest + (size_t)5 * RC_BUDDY_MIN;
	void *block[3];
	(void)state;
	assert_int_equal(rc_region_open(&r, bytes, 0, -1, &err), 0);
	unsigned char *units = calloc(1, rc_buddy_state_bytes(bytes));
	assert_non_null(units);
	rc_buddy_init(&b, r.base, bytes, units);
	for (size_t i = 0; i < 3; i++) {
		block[i] = rc_buddy_get(&b, largest - i);
		assert_ptr_equal(block[i], (unsigned char *)r.base + i * largest);
	}
	assert_null(rc_buddy_get(&b, largest));
	assert_null(rc_buddy_get(&b, 8192));
	void *small = rc_buddy_get(&b, 4096);
	assert_non_null(small);
	rc_buddy_check(&b);
	for (size_t i = 0; i < 3; i++)
		rc_buddy_put(&b, block[2 - i]);
	rc_buddy_put(&b, small);
	rc_buddy_check(&b);
	assert_true(rc_buddy_free_bytes(&b) == bytes);
	rc_region_close(&r);
	free(units);
}

struct wrong {
	struct rc_buddy *buddy;
	void *block;
};

static void put_it(void *ctx)
{
	const struct wrong *w = ctx;
	rc_buddy_put(w->buddy, w->block);
}

static void a_wrong_put_aborts(void **state)
{
	static struct bench b;
	(void)state;
	start(&b, 64, 0);
	unsigned char *base = rc_buddy_get(&b.buddy, 8192);
	unsigned char *other = rc_buddy_get(&b.buddy, 8192);
	assert_non_null(base);
	assert_non_null(other);
	rc_buddy_put(&b.buddy, base);
	const struct {
		const char *what;
		void *block;
	} wrong[] = {{"twice", base}, {"inside a block", other + 1024}, {"unaligned", other + 8},
		{"above top", base + 40960}, {"outside", base + 65536}, {"below", base - 1024}};
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong); i++)
		if (!unit_aborts(put_it, &(struct wrong){&b.buddy, wrong[i].block}))
			fail_msg("%s", wrong[i].what);
	rc_buddy_put(&b.buddy, other);
	stop(&b);
}

static void free_blocks_are_poisoned(void **state)
{
	(void)state;
#ifdef RC_ASAN
	static struct bench b;
	start(&b, 64, 0);
	unsigned char *one = rc_buddy_get(&b.buddy, 4096);
	unsigned char *two = rc_buddy_get(&b.buddy, 4096);
	assert_non_null(one);
	assert_non_null(two);
	assert_null(__asan_region_is_poisoned(one, 8192));
	rc_buddy_put(&b.buddy, one);
	for (size_t i = 0; i < 4096; i++)
		assert_true(__asan_address_is_poisoned(one + i));
	assert_null(__asan_region_is_poisoned(two, 4096));
	/* Split: what was not asked for stays poisoned. */
	unsigned char *half = rc_buddy_get(&b.buddy, 2048);
	assert_ptr_equal(half, one);
	assert_null(__asan_region_is_poisoned(half, 2048));
	assert_ptr_equal(__asan_region_is_poisoned(one, 4096), one + 2048);
	rc_buddy_put(&b.buddy, half);
	rc_buddy_put(&b.buddy, two);
	unsigned char *base = b.memory.base;
	size_t len = b.memory.len;
	stop(&b);
	assert_null(__asan_region_is_poisoned(base, len));
#else
	print_message("needs AddressSanitizer\n");
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_found_whenever_an_aligned_run_is_free),
		cmocka_unit_test(sizes_round_up_to_powers_of_two),
		cmocka_unit_test(used_memory_is_preferred_to_untouched),
		cmocka_unit_test(memory_above_top_is_never_touched),
		cmocka_unit_test(the_largest_blocks_lie_side_by_side),
		cmocka_unit_test(a_wrong_put_aborts),
		cmocka_unit_test(free_blocks_are_poisoned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
