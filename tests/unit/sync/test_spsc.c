/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <pthread.h>
#include <sched.h>

#include "base/random.h"
#include "sync/spsc.h"

#define CAPACITY 4096
#define HEADER   RC_SPSC_RECORD_HEADER

static _Alignas(8) unsigned char memory[CAPACITY + 64];
static struct rc_spsc ring;

static void start(void)
{
	memset(memory, 0xee, sizeof(memory));
	rc_spsc_init(&ring, memory, CAPACITY);
}

static void write_record(uint32_t type, size_t len)
{
	unsigned char *p = rc_spsc_reserve(&ring, len);
	assert_non_null(p);
	memset(p, (int)(type & 0xff), len);
	rc_spsc_commit(&ring, type, len);
}

static void expect_record(uint32_t type, size_t len)
{
	struct rc_spsc_record r;
	assert_true(rc_spsc_peek(&ring, &r));
	assert_int_equal(r.type, type);
	assert_int_equal(r.len, len);
	assert_true(((uintptr_t)r.payload & 7) == 0);
	const unsigned char *p = r.payload;
	assert_true(p >= memory && p + len <= memory + CAPACITY);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(p[i], type & 0xff);
	rc_spsc_consume(&ring, &r);
}

static void expect_nothing(void)
{
	struct rc_spsc_record r;
	assert_false(rc_spsc_peek(&ring, &r));
	assert_true(rc_spsc_empty(&ring));
}

static void records_come_out_in_order(void **state)
{
	(void)state;
	start();
	expect_nothing();
	for (uint32_t i = 0; i < 50; i++)
		write_record(i, i);
	assert_true(rc_spsc_publish(&ring));
	assert_false(rc_spsc_empty(&ring));
	for (uint32_t i = 0; i < 50; i++)
		expect_record(i, i);
	expect_nothing();
}

static void nothing_is_visible_before_publish_and_all_of_it_after(void **state)
{
	(void)state;
	start();
	assert_false(rc_spsc_publish(&ring));
	write_record(1, 10);
	write_record(2, 20);
	expect_nothing();
	assert_true(rc_spsc_publish(&ring));
	assert_false(rc_spsc_publish(&ring));
	write_record(3, 30);
	expect_record(1, 10);
	expect_record(2, 20);
	expect_nothing();
	assert_true(rc_spsc_publish(&ring));
	expect_record(3, 30);
	expect_nothing();
}

static void peek_does_not_take(void **state)
{
	struct rc_spsc_record a;
	struct rc_spsc_record b;
	(void)state;
	start();
	write_record(1, 10);
	rc_spsc_publish(&ring);
	assert_true(rc_spsc_peek(&ring, &a));
	assert_true(rc_spsc_peek(&ring, &b));
	assert_ptr_equal(a.payload, b.payload);
	expect_record(1, 10);
}

static void the_same_place_comes_until_it_is_committed(void **state)
{
	(void)state;
	start();
	write_record(1, 40);
	void *p = rc_spsc_reserve(&ring, 100);
	assert_ptr_equal(rc_spsc_reserve(&ring, 100), p);
	assert_ptr_equal(rc_spsc_reserve(&ring, 8), p);
	assert_false(rc_spsc_publish(&ring) && rc_spsc_publish(&ring));
	assert_ptr_equal(rc_spsc_reserve(&ring, 100), p);
}

static void a_record_may_end_up_shorter_than_reserved(void **state)
{
	(void)state;
	start();
	for (uint32_t i = 0; i < 1000; i++) {
		unsigned char *p = rc_spsc_reserve(&ring, 1000);
		assert_non_null(p);
		memset(p, (int)(i & 0xff), 1000);
		rc_spsc_commit(&ring, i, i % 900);
		write_record(7, 3);
		rc_spsc_publish(&ring);
		expect_record(i, i % 900);
		expect_record(7, 3);
		expect_nothing();
		rc_spsc_release(&ring);
	}
}

static void a_record_that_would_cross_the_end_begins_at_the_start(void **state)
{
	(void)state;
	for (size_t last = 0; last < 200; last++) {
		start();
		/* Leaves between 8 and 208 bytes before the end. */
		size_t rest = CAPACITY - 3000 - 208 + last - HEADER;
		for (uint32_t i = 0; i < 3; i++)
			write_record(i, 1000 - HEADER);
		write_record(3, rest);
		rc_spsc_publish(&ring);
		for (uint32_t i = 0; i < 3; i++)
			expect_record(i, 1000 - HEADER);
		expect_record(3, rest);
		rc_spsc_release(&ring);
		unsigned char *p = rc_spsc_reserve(&ring, 300);
		assert_ptr_equal(p, memory + HEADER);
		memset(p, 3, 300);
		rc_spsc_commit(&ring, 3, 300);
		assert_true(rc_spsc_publish(&ring));
		expect_record(3, 300);
		expect_nothing();
		for (size_t i = CAPACITY; i < sizeof(memory); i++)
			assert_int_equal(memory[i], 0xee);
	}
}

static void a_full_ring_refuses_until_the_reader_releases(void **state)
{
	(void)state;
	start();
	uint32_t n = 0;
	while (rc_spsc_has_room(&ring, 24)) {
		write_record(n++, 24);
		assert_int_equal(rc_spsc_used(&ring), n * 32);
	}
	assert_int_equal(n, CAPACITY / 32);
	assert_null(rc_spsc_reserve(&ring, 24));
	assert_null(rc_spsc_reserve(&ring, 0));
	rc_spsc_publish(&ring);
	expect_record(0, 24);
	assert_null(rc_spsc_reserve(&ring, 24));
	rc_spsc_release(&ring);
	assert_true(rc_spsc_has_room(&ring, 24));
	write_record(n, 24);
	assert_false(rc_spsc_has_room(&ring, 0));
	rc_spsc_publish(&ring);
	for (uint32_t i = 1; i <= n; i++)
		expect_record(i, 24);
	expect_nothing();
	rc_spsc_release(&ring);
	assert_true(rc_spsc_has_room(&ring, 24));
	assert_int_equal(rc_spsc_used(&ring), 0);
}

static void the_largest_payload_fits_an_empty_ring_at_every_position(void **state)
{
	(void)state;
	size_t max = CAPACITY / 2 - HEADER;
	for (size_t pos = 0; pos < CAPACITY; pos += 8) {
		start();
		assert_int_equal(rc_spsc_payload_max(&ring), max);
		for (size_t at = 0; at < pos; at += 8) {
			write_record(1, 0);
			rc_spsc_publish(&ring);
			expect_record(1, 0);
			rc_spsc_release(&ring);
		}
		assert_true(rc_spsc_has_room(&ring, max));
		write_record(2, max);
		rc_spsc_publish(&ring);
		expect_record(2, max);
		expect_nothing();
	}
}

static void padding_alone_is_an_empty_ring(void **state)
{
	(void)state;
	start();
	write_record(1, 2000);
	write_record(2, 2000);
	rc_spsc_publish(&ring);
	expect_record(1, 2000);
	expect_record(2, 2000);
	rc_spsc_release(&ring);
	assert_non_null(rc_spsc_reserve(&ring, 1000));
	rc_spsc_publish(&ring);
	expect_nothing();
	rc_spsc_release(&ring);
	write_record(3, 1000);
	rc_spsc_publish(&ring);
	expect_record(3, 1000);
}

static void reserve_too_much(void *ctx)
{
	(void)ctx;
	(void)!rc_spsc_reserve(&ring, rc_spsc_payload_max(&ring) + 1);
}

static void more_than_the_largest_payload_aborts(void **state)
{
	(void)state;
	start();
	assert_true(unit_aborts(reserve_too_much, NULL));
}

/*
 * Two threads. Record n has a length and bytes that follow from n alone, so that the reader knows what must come.
 */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || defined(__clang__)
#define RECORDS 2000000u
#else
#define RECORDS 5000000u
#endif

struct duplex {
	struct rc_spsc ring;
	void *data;
	uint32_t records;
};

static uint64_t mix(uint64_t n)
{
	n = (n ^ n >> 31) * 0x9e3779b97f4a7c15u;
	return n ^ n >> 29;
}

static size_t length_of(uint32_t n, size_t max)
{
	uint64_t m = mix(n);
	if (m % 4096 == 0)
		return max;
	if (m % 64 == 0)
		return (m >> 8) % (max / 4);
	return (m >> 8) % 80;
}

static void fill(unsigned char *p, uint32_t n, size_t len)
{
	uint64_t word = mix(n + (uint64_t)1);
	size_t i = 0;
	for (; i + 8 <= len; i += 8, word += 0x0101010101010101u)
		memcpy(p + i, &word, 8);
	memcpy(p + i, &word, len - i);
}

static void *writer(void *arg)
{
	struct duplex *d = arg;
	struct rc_prng prng;
	size_t max = rc_spsc_payload_max(&d->ring);
	rc_prng_seed(&prng, 1);
	uint32_t batch = 0;
	for (uint32_t n = 0; n < d->records; n++) {
		size_t len = length_of(n, max);
		/* Sometimes more is reserved than is needed in the end. */
		size_t more = n % 8 == 0 ? RC_MIN(len + 50, max) : len;
		unsigned char *p;
		while ((p = rc_spsc_reserve(&d->ring, more)) == NULL) {
			rc_spsc_publish(&d->ring);
			(void)sched_yield();
		}
		fill(p, n, len);
		rc_spsc_commit(&d->ring, n, len);
		if (batch-- == 0) {
			rc_spsc_publish(&d->ring);
			batch = rc_prng_below(&prng, 40);
		}
	}
	rc_spsc_publish(&d->ring);
	return NULL;
}

/* The number of the first record that is not what it must be; all of them when all are well. */
static void *reader(void *arg)
{
	struct duplex *d = arg;
	struct rc_prng prng;
	size_t max = rc_spsc_payload_max(&d->ring);
	unsigned char *expected = malloc(max);
	uint32_t *good = malloc(sizeof(*good));
	rc_prng_seed(&prng, 2);
	uint32_t batch = 0;
	*good = 0;
	for (uint32_t n = 0; n < d->records; n++) {
		struct rc_spsc_record r;
		while (!rc_spsc_peek(&d->ring, &r)) {
			rc_spsc_release(&d->ring);
			(void)sched_yield();
		}
		size_t len = length_of(n, max);
		fill(expected, n, len);
		bool well = r.type == n && r.len == len && memcmp(r.payload, expected, len) == 0;
		if (well && *good == n)
			*good = n + 1;
		rc_spsc_consume(&d->ring, &r);
		if (batch-- == 0) {
			rc_spsc_release(&d->ring);
			batch = rc_prng_below(&prng, 40);
		}
	}
	rc_spsc_release(&d->ring);
	free(expected);
	return good;
}

static void run_two_threads(size_t capacity, uint32_t records)
{
	static struct duplex d;
	pthread_t w;
	pthread_t r;
	void *good = NULL;
	d.data = aligned_alloc(64, capacity);
	assert_non_null(d.data);
	d.records = records;
	rc_spsc_init(&d.ring, d.data, capacity);
	assert_int_equal(pthread_create(&r, NULL, reader, &d), 0);
	assert_int_equal(pthread_create(&w, NULL, writer, &d), 0);
	(void)pthread_join(w, NULL);
	(void)pthread_join(r, &good);
	assert_int_equal(*(uint32_t *)good, records);
	assert_true(rc_spsc_empty(&d.ring));
	free(good);
	free(d.data);
}

static void two_threads_pass_millions_of_records_unharmed(void **state)
{
	(void)state;
	run_two_threads(1 << 16, RECORDS);
}

static void two_threads_pass_records_through_the_smallest_ring(void **state)
{
	(void)state;
	run_two_threads(CAPACITY, RECORDS / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_out_in_order),
		cmocka_unit_test(nothing_is_visible_before_publish_and_all_of_it_after),
		cmocka_unit_test(peek_does_not_take),
		cmocka_unit_test(the_same_place_comes_until_it_is_committed),
		cmocka_unit_test(a_record_may_end_up_shorter_than_reserved),
		cmocka_unit_test(a_record_that_would_cross_the_end_begins_at_the_start),
		cmocka_unit_test(a_full_ring_refuses_until_the_reader_releases),
		cmocka_unit_test(the_largest_payload_fits_an_empty_ring_at_every_position),
		cmocka_unit_test(padding_alone_is_an_empty_ring),
		cmocka_unit_test(more_than_the_largest_payload_aborts),
		cmocka_unit_test(two_threads_pass_millions_of_records_unharmed),
		cmocka_unit_test(two_threads_pass_records_through_the_smallest_ring),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
