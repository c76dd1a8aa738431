/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of addresses against a model that never forgets, what it forgets when it is full, and several threads at once.
 */
#include "../unit.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/random.h"
#include "sync/tally.h"

#define SECOND UINT64_C(1000000000)

static struct rc_tally tally;
static void *memory;

static void begin(uint32_t connections)
{
	size_t bytes = rc_tally_bytes(connections);

	free(memory);
	memory = aligned_alloc(64, bytes);
	assert_non_null(memory);
	memset(memory, 0, bytes);
	memset(&tally, 0, sizeof(tally));
	rc_tally_init(&tally, memory, connections);
}

static int end(void **state)
{
	(void)state;
	free(memory);
	memory = NULL;
	return 0;
}

static uint64_t address(uint32_t n)
{
	const struct rc_hash_key key = {1, 2};

	return rc_hash_u64(&key, n);
}

static void an_address_has_as_many_connections_as_it_may(void **state)
{
	uint32_t entry[4];
	bool forgot = false;
	(void)state;

	begin(100);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rc_tally_enter(&tally, address(1), 3, SECOND, &entry[i], &forgot),
			RC_TALLY_TAKEN);
	assert_int_equal(rc_tally_enter(&tally, address(1), 3, SECOND, &entry[3], &forgot),
		RC_TALLY_TOO_MANY);
	assert_int_equal(entry[3], RC_NONE);
	assert_int_equal(rc_tally_connections(&tally, address(1)), 3);
	assert_int_equal(
		rc_tally_enter(&tally, address(2), 3, SECOND, &entry[3], &forgot), RC_TALLY_TAKEN);
	assert_int_equal(rc_tally_count(&tally), 2);
	rc_tally_leave(&tally, entry[1]);
	assert_int_equal(
		rc_tally_enter(&tally, address(1), 3, SECOND, &entry[1], &forgot), RC_TALLY_TAKEN);
	/* 0: any number. */
	assert_int_equal(
		rc_tally_enter(&tally, address(1), 0, SECOND, &entry[0], &forgot), RC_TALLY_TAKEN);
	assert_false(forgot);
}

static void debts_stay_when_the_connection_goes(void **state)
{
	uint32_t entry;
	bool forgot = false;
	(void)state;

	begin(100);
	tally.rate[RC_TALLY_ACCEPTS] = rc_rate_of(1, SECOND, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rc_tally_enter(&tally, address(1), 0, SECOND, &entry, &forgot),
			RC_TALLY_TAKEN);
		rc_tally_leave(&tally, entry);
	}
	assert_int_equal(
		rc_tally_enter(&tally, address(1), 0, SECOND, &entry, &forgot), RC_TALLY_TOO_FAST);
	assert_int_equal(rc_tally_wait_ms(&tally, address(1), RC_TALLY_ACCEPTS, SECOND), 1001);
	assert_int_equal(rc_tally_wait_ms(&tally, address(2), RC_TALLY_ACCEPTS, SECOND), 0);
	assert_int_equal(
		rc_tally_enter(&tally, address(1), 0, 2 * SECOND, &entry, &forgot), RC_TALLY_TAKEN);
}

static void each_bucket_is_its_own(void **state)
{
	uint32_t entry;
	bool forgot = false;
	(void)state;

	begin(100);
	for (uint32_t b = 0; b < RC_TALLY_BUCKETS; b++)
		tally.rate[b] = rc_rate_of(1, SECOND, b + 1);
	assert_int_equal(
		rc_tally_enter(&tally, address(9), 0, SECOND, &entry, &forgot), RC_TALLY_TAKEN);
	for (uint32_t b = 1; b < RC_TALLY_BUCKETS; b++) {
		for (uint32_t i = 0; i <= b; i++)
			assert_true(
				rc_tally_take_of(&tally, entry, (enum rc_tally_bucket)b, SECOND));
		assert_false(rc_tally_take(
			&tally, address(9), (enum rc_tally_bucket)b, 1, SECOND, &forgot));
	}
}

static void several_are_taken_at_once_or_none_and_more_than_the_burst_counts_as_that(void **state)
{
	bool forgot = false;
	(void)state;

	begin(100);
	tally.rate[RC_TALLY_REQUESTS] = rc_rate_of(1, SECOND, 10);
	assert_true(rc_tally_take(&tally, address(1), RC_TALLY_REQUESTS, 7, SECOND, &forgot));
	assert_false(rc_tally_take(&tally, address(1), RC_TALLY_REQUESTS, 4, SECOND, &forgot));
	assert_true(rc_tally_take(&tally, address(1), RC_TALLY_REQUESTS, 3, SECOND, &forgot));
	assert_false(rc_tally_take(&tally, address(1), RC_TALLY_REQUESTS, 1, SECOND, &forgot));
	assert_true(rc_tally_take(&tally, address(2), RC_TALLY_REQUESTS, 1000, SECOND, &forgot));
	assert_false(rc_tally_take(&tally, address(2), RC_TALLY_REQUESTS, 1, SECOND, &forgot));
}

static void without_a_table_nothing_is_counted_or_refused(void **state)
{
	uint32_t entry;
	bool forgot = false;
	(void)state;

	memset(&tally, 0, sizeof(tally));
	assert_int_equal(
		rc_tally_enter(&tally, address(1), 1, SECOND, &entry, &forgot), RC_TALLY_UNCOUNTED);
	assert_int_equal(entry, RC_NONE);
	assert_true(rc_tally_take(&tally, address(1), RC_TALLY_FAILURES, 1, SECOND, &forgot));
	assert_int_equal(rc_tally_wait_ms(&tally, address(1), RC_TALLY_FAILURES, SECOND), 0);
}

/* A table for one connection has one set: all addresses meet in it. */
static void a_full_set_lets_in_uncounted_and_counts_again_when_one_goes(void **state)
{
	uint32_t entry[RC_TALLY_WAYS], more;
	bool forgot = false;
	(void)state;

	begin(1);
	assert_int_equal(tally.set_count, 1);
	for (uint32_t i = 0; i < RC_TALLY_WAYS; i++)
		assert_int_equal(rc_tally_enter(&tally, address(i), 1, SECOND, &entry[i], &forgot),
			RC_TALLY_TAKEN);
	assert_int_equal(
		rc_tally_enter(&tally, address(99), 1, SECOND, &more, &forgot), RC_TALLY_UNCOUNTED);
	assert_int_equal(more, RC_NONE);
	assert_true(rc_tally_take(&tally, address(99), RC_TALLY_FAILURES, 1, SECOND, &forgot));
	/* Those who are in it are held to what they may. */
	assert_int_equal(
		rc_tally_enter(&tally, address(3), 1, SECOND, &more, &forgot), RC_TALLY_TOO_MANY);
	assert_false(forgot);
	rc_tally_leave(&tally, entry[7]);
	assert_int_equal(
		rc_tally_enter(&tally, address(99), 1, SECOND, &more, &forgot), RC_TALLY_TAKEN);
	assert_int_equal(more, entry[7]);
	assert_false(forgot);
}

static void who_owes_least_is_forgotten_first_and_failures_last(void **state)
{
	bool forgot = false;
	(void)state;

	begin(1);
	tally.rate[RC_TALLY_REQUESTS] = rc_rate_of(1, SECOND, 100);
	tally.rate[RC_TALLY_FAILURES] = rc_rate_of(1, SECOND, 100);
	assert_true(rc_tally_take(&tally, address(0), RC_TALLY_FAILURES, 1, SECOND, &forgot));
	for (uint32_t i = 1; i < RC_TALLY_WAYS; i++) {
		for (uint32_t k = 0; k < 20 - i; k++)
			assert_true(rc_tally_take(
				&tally, address(i), RC_TALLY_REQUESTS, 1, SECOND, &forgot));
	}
	assert_false(forgot);
	/* The last one owes six, the fewest. */
	assert_true(rc_tally_take(&tally, address(50), RC_TALLY_REQUESTS, 1, SECOND, &forgot));
	assert_true(forgot);
	forgot = false;
	/* Its place went to 50, which now owes the least itself. */
	assert_true(rc_tally_take(&tally, address(51), RC_TALLY_FAILURES, 1, SECOND, &forgot));
	assert_true(forgot);
	for (uint32_t i = 1; i < RC_TALLY_WAYS - 1; i++)
		assert_true(rc_tally_take(
			&tally, address(60 + i), RC_TALLY_FAILURES, 1, SECOND, &forgot));
	/* All others have made room, the first who failed has not. */
	for (int i = 0; i < 99; i++)
		assert_true(
			rc_tally_take(&tally, address(0), RC_TALLY_FAILURES, 1, SECOND, &forgot));
	assert_false(rc_tally_take(&tally, address(0), RC_TALLY_FAILURES, 1, SECOND, &forgot));
	/* A minute and forty seconds later nobody owes anything, and nothing is lost by a new one. */
	forgot = false;
	assert_true(
		rc_tally_take(&tally, address(80), RC_TALLY_FAILURES, 1, 102 * SECOND, &forgot));
	assert_false(forgot);
}

/* As long as nothing had to be forgotten, the table and the model agree on every answer. */
static void random_orders_agree_with_a_model(void **state)
{
	enum { ADDRESSES = 40, HELD = 400 };
	struct rc_prng rng;
	(void)state;

	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct {
			uint32_t connections, full_at[RC_TALLY_BUCKETS];
		} model[ADDRESSES] = {0};
		struct {
			uint32_t entry, address;
		} held[HELD];
		uint32_t held_count = 0, most = 1 + (uint32_t)seed % 20;
		uint64_t now = SECOND * seed;
		bool forgot = false;

		rc_prng_seed(&rng, seed);
		begin(2000);
		for (uint32_t b = 0; b < RC_TALLY_BUCKETS; b++) {
			tally.rate[b] = rc_rate_of(
				rc_prng_below(&rng, 50), SECOND, 1 + rc_prng_below(&rng, 9));
			for (uint32_t a = 0; a < ADDRESSES; a++)
				model[a].full_at[b] = rc_rate_now(&tally.rate[b], now);
		}
		for (int i = 0; i < 3000; i++) {
			uint32_t a = rc_prng_below(&rng, ADDRESSES);
			uint32_t b = rc_prng_below(&rng, RC_TALLY_BUCKETS);
			now += rc_prng_below(&rng, 20000000);
			if (rc_prng_below(&rng, 3) == 0) {
				bool expected =
					rc_rate_take(&tally.rate[b], &model[a].full_at[b], now, 1);
				assert_int_equal(rc_tally_take(&tally, address(a),
							 (enum rc_tally_bucket)b, 1, now, &forgot),
					expected);
			} else if (held_count < HELD && rc_prng_below(&rng, 2) == 0) {
				uint32_t entry;
				enum rc_tally_result expected = RC_TALLY_TAKEN;
				if (!rc_rate_take(&tally.rate[RC_TALLY_ACCEPTS],
					    &model[a].full_at[RC_TALLY_ACCEPTS], now, 1))
					expected = RC_TALLY_TOO_FAST;
				else if (model[a].connections >= most)
					expected = RC_TALLY_TOO_MANY;
				assert_int_equal(rc_tally_enter(&tally, address(a), most, now,
							 &entry, &forgot),
					expected);
				if (expected == RC_TALLY_TAKEN) {
					model[a].connections++;
					held[held_count].entry = entry;
					held[held_count++].address = a;
				}
			} else if (held_count) {
				uint32_t h = rc_prng_below(&rng, held_count);
				rc_tally_leave(&tally, held[h].entry);
				model[held[h].address].connections--;
				held[h] = held[--held_count];
			}
			if (i % 100 == 0)
				assert_int_equal(rc_tally_connections(&tally, address(a)),
					model[a].connections);
		}
		assert_false(forgot);
		while (held_count)
			rc_tally_leave(&tally, held[--held_count].entry);
		assert_int_equal(rc_tally_count(&tally), 0);
	}
}

/* Ten addresses a set on the average: how many find theirs full. */
static void as_many_addresses_as_connections_nearly_all_find_a_place(void **state)
{
	enum { N = 100000 };
	uint32_t uncounted = 0, entry;
	bool forgot = false;
	(void)state;

	begin(N);
	for (uint32_t i = 0; i < N; i++)
		uncounted += rc_tally_enter(&tally, address(i), 1, SECOND, &entry, &forgot) ==
			     RC_TALLY_UNCOUNTED;
	assert_int_equal(rc_tally_count(&tally), N - uncounted);
	assert_in_range(uncounted, 0, N / 50);
	assert_false(forgot);
}

enum { THREADS = 4, ROUNDS = 20000, SHARED = 24, MOST = 5 };

struct worker {
	pthread_t thread;
	uint64_t seed;
	uint64_t taken; /* out of the bucket that all draw from */
};

static _Atomic uint32_t inside[SHARED];

static void *work(void *arg)
{
	struct worker *w = arg;
	uint32_t entry[SHARED][MOST], count[SHARED] = {0};
	struct rc_prng rng;
	bool forgot = false;

	rc_prng_seed(&rng, w->seed);
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t a = rc_prng_below(&rng, SHARED), e;
		w->taken +=
			rc_tally_take(&tally, address(1000), RC_TALLY_REQUESTS, 1, SECOND, &forgot);
		if (count[a] && rc_prng_below(&rng, 2)) {
			(void)atomic_fetch_sub_explicit(&inside[a], 1, memory_order_relaxed);
			rc_tally_leave(&tally, entry[a][--count[a]]);
		} else if (rc_tally_enter(&tally, address(a), MOST, SECOND, &e, &forgot) ==
			   RC_TALLY_TAKEN) {
			/* Counted after it was taken, and before it is let go: never above what was allowed. */
			if (atomic_fetch_add_explicit(&inside[a], 1, memory_order_relaxed) >= MOST)
				abort();
			entry[a][count[a]++] = e;
		}
	}
	for (uint32_t a = 0; a < SHARED; a++) {
		while (count[a]) {
			(void)atomic_fetch_sub_explicit(&inside[a], 1, memory_order_relaxed);
			rc_tally_leave(&tally, entry[a][--count[a]]);
		}
	}
	return NULL;
}

static void threads_together_never_exceed_what_one_address_may(void **state)
{
	struct worker workers[THREADS] = {0};
	uint64_t taken = 0;
	(void)state;

	begin(30); /* few sets, so that they meet */
	tally.rate[RC_TALLY_REQUESTS] = rc_rate_of(1, SECOND, 5000);
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i].seed = i + 1;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		taken += workers[i].taken;
	}
	assert_int_equal(rc_tally_count(&tally), 0);
	assert_int_equal(taken, 5000);
}

static struct rc_rate overall;
static _Atomic uint32_t overall_at;

static void *draw(void *arg)
{
	uint64_t *taken = arg;

	for (int i = 0; i < ROUNDS; i++)
		*taken += rc_rate_take_shared(&overall, &overall_at, SECOND, 1);
	return NULL;
}

static void a_bucket_without_a_lock_gives_each_event_once(void **state)
{
	pthread_t threads[THREADS];
	uint64_t taken[THREADS] = {0}, sum = 0;
	(void)state;

	overall = rc_rate_of(1, SECOND, 30000);
	atomic_store_explicit(&overall_at, rc_rate_now(&overall, SECOND), memory_order_relaxed);
	for (uint32_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, draw, &taken[i]), 0);
	for (uint32_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		sum += taken[i];
	}
	assert_int_equal(sum, 30000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_has_as_many_connections_as_it_may),
		cmocka_unit_test(debts_stay_when_the_connection_goes),
		cmocka_unit_test(each_bucket_is_its_own),
		cmocka_unit_test_teardown(
			several_are_taken_at_once_or_none_and_more_than_the_burst_counts_as_that,
			end),
		cmocka_unit_test(without_a_table_nothing_is_counted_or_refused),
		cmocka_unit_test(a_full_set_lets_in_uncounted_and_counts_again_when_one_goes),
		cmocka_unit_test(who_owes_least_is_forgotten_first_and_failures_last),
		cmocka_unit_test(random_orders_agree_with_a_model),
		cmocka_unit_test(as_many_addresses_as_connections_nearly_all_find_a_place),
		cmocka_unit_test(threads_together_never_exceed_what_one_address_may),
		cmocka_unit_test(a_bucket_without_a_lock_gives_each_event_once),
	};
	return cmocka_run_group_tests(tests, NULL, end);
}
