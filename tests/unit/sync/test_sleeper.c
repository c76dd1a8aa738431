/* SPDX-License-Identifier: Apache-2.0
 *
 * A lost wake-up would leave the sleeper in read(2) with a record in its ring. The limit on that wait is only there to
 * turn a hang into a failure.
 */
#include "../unit.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>

#include "base/random.h"
#include "sync/sleeper.h"
#include "sync/spsc.h"

#define WRITERS    2
#define HANG_MS    20000
#define RECORDS    200000u
#define RING_BYTES 65536

static void a_sleep_is_claimed_once(void **state)
{
	struct rc_sleeper s = {0};
	(void)state;
	assert_false(rc_sleeper_claim(&s));
	rc_sleeper_prepare(&s);
	assert_true(rc_sleeper_claim(&s));
	assert_false(rc_sleeper_claim(&s));
	rc_sleeper_prepare(&s);
	rc_sleeper_awake(&s);
	assert_false(rc_sleeper_claim(&s));
	rc_sleeper_prepare(&s);
	assert_true(rc_sleeper_claim(&s));
}

/*
 * The two looks, without rings and system calls that would hide it when one of them comes too early: many sleeps, each
 * with a flag that stands for a record. Two threads walk along them side by side.
 */
#define CELLS  4096u
#define ROUNDS 100

struct cell {
	struct rc_sleeper sleeper;
	_Alignas(RC_FALSE_SHARING) _Atomic uint32_t record;
	_Alignas(RC_FALSE_SHARING) bool seen;
	_Alignas(RC_FALSE_SHARING) bool claimed;
};

static struct cell *cells;
static _Alignas(RC_FALSE_SHARING) _Atomic uint32_t sleeper_at;
static _Alignas(RC_FALSE_SHARING) _Atomic uint32_t writer_at;

/* Neither runs ahead by more than it takes for the other to see that it may follow. */
static void keep_step(_Atomic uint32_t *mine, const _Atomic uint32_t *other, uint32_t i)
{
	atomic_store_explicit(mine, i, memory_order_relaxed);
	for (uint32_t spins = 0; atomic_load_explicit(other, memory_order_relaxed) < i; spins++)
		if (spins > 1000)
			(void)sched_yield();
}

static void *sleep_in_each(void *arg)
{
	for (uint32_t i = 0; i < CELLS; i++) {
		struct cell *c = &cells[i];
		keep_step(&sleeper_at, &writer_at, i);
		rc_sleeper_prepare(&c->sleeper);
		c->seen = atomic_load_explicit(&c->record, memory_order_relaxed) != 0;
	}
	return arg;
}

static void *write_to_each(void *arg)
{
	for (uint32_t i = 0; i < CELLS; i++) {
		struct cell *c = &cells[i];
		keep_step(&writer_at, &sleeper_at, i);
		atomic_store_explicit(&c->record, 1, memory_order_relaxed);
		rc_sleeper_fence();
		c->claimed = rc_sleeper_claim(&c->sleeper);
	}
	return arg;
}

static void either_the_record_is_seen_or_the_sleeper(void **state)
{
	(void)state;
	uint32_t missed = 0;
	cells = aligned_alloc(RC_FALSE_SHARING, CELLS * sizeof(*cells));
	assert_non_null(cells);
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t sleeper;
		pthread_t other;
		memset(cells, 0, CELLS * sizeof(*cells));
		atomic_store(&sleeper_at, 0);
		atomic_store(&writer_at, 0);
		assert_int_equal(pthread_create(&sleeper, NULL, sleep_in_each, NULL), 0);
		assert_int_equal(pthread_create(&other, NULL, write_to_each, NULL), 0);
		(void)pthread_join(sleeper, NULL);
		(void)pthread_join(other, NULL);
		for (uint32_t i = 0; i < CELLS; i++)
			missed += !cells[i].seen && !cells[i].claimed;
	}
	free(cells);
	assert_int_equal(missed, 0);
}

struct line {
	struct rc_spsc ring;
	unsigned char *data;
	struct table *table;
	uint64_t claims;
	uint32_t number;
};

struct table {
	struct rc_sleeper sleeper;
	struct line line[WRITERS];
	uint32_t writers;
	int wake;
	uint64_t sleeps;
	uint64_t blocked; /* sleeps that really waited for a wake-up */
	bool hung;
};

static void *writer(void *arg)
{
	struct line *l = arg;
	struct rc_prng prng;
	rc_prng_seed(&prng, l->number);
	for (uint32_t n = 0; n < RECORDS;) {
		uint32_t batch = 1 + rc_prng_below(&prng, 3);
		for (; batch > 0 && n < RECORDS; batch--, n++) {
			void *p;
			while ((p = rc_spsc_reserve(&l->ring, sizeof(n))) == NULL)
				(void)sched_yield();
			memcpy(p, &n, sizeof(n));
			rc_spsc_commit(&l->ring, 1, sizeof(n));
		}
		rc_spsc_publish(&l->ring);
		rc_sleeper_fence();
		if (rc_sleeper_claim(&l->table->sleeper)) {
			const uint64_t one = 1;
			l->claims++;
			if (write(l->table->wake, &one, sizeof(one)) != sizeof(one))
				abort();
		}
		/* Now and then the sleeper is left the time to fall asleep. */
		if (rc_prng_below(&prng, 4) == 0)
			(void)sched_yield();
	}
	return NULL;
}

/* Takes what there is from all rings; how many records. */
static uint32_t take_all(struct table *t, uint32_t *expected, bool *well)
{
	uint32_t taken = 0;
	for (uint32_t i = 0; i < t->writers; i++) {
		struct rc_spsc_record r;
		while (rc_spsc_peek(&t->line[i].ring, &r)) {
			uint32_t n;
			memcpy(&n, r.payload, sizeof(n));
			*well = *well && n == expected[i]++;
			rc_spsc_consume(&t->line[i].ring, &r);
			taken++;
		}
		rc_spsc_release(&t->line[i].ring);
	}
	return taken;
}

static bool all_empty(struct table *t)
{
	for (uint32_t i = 0; i < t->writers; i++)
		if (!rc_spsc_empty(&t->line[i].ring))
			return false;
	return true;
}

static void run(uint32_t writers)
{
	static struct table t;
	pthread_t thread[WRITERS];
	uint32_t expected[WRITERS] = {0};
	uint64_t left = (uint64_t)writers * RECORDS;
	uint64_t claims = 0;
	bool well = true;

	memset(&t, 0, sizeof(t));
	t.writers = writers;
	t.wake = eventfd(0, EFD_CLOEXEC);
	assert_true(t.wake >= 0);
	for (uint32_t i = 0; i < writers; i++) {
		t.line[i].data = aligned_alloc(64, RING_BYTES);
		assert_non_null(t.line[i].data);
		rc_spsc_init(&t.line[i].ring, t.line[i].data, RING_BYTES);
		t.line[i].table = &t;
		t.line[i].number = i;
		assert_int_equal(pthread_create(&thread[i], NULL, writer, &t.line[i]), 0);
	}

	while (left > 0 && !t.hung) {
		uint32_t taken = take_all(&t, expected, &well);
		left -= taken;
		if (taken > 0)
			continue;
		t.sleeps++;
		rc_sleeper_prepare(&t.sleeper);
		if (all_empty(&t)) {
			struct pollfd p = {.fd = t.wake, .events = POLLIN};
			uint64_t count;
			t.blocked++;
			if (poll(&p, 1, HANG_MS) != 1)
				t.hung = true;
			else if (read(t.wake, &count, sizeof(count)) != sizeof(count))
				abort();
		}
		rc_sleeper_awake(&t.sleeper);
	}

	/* A hung run is over: the writers need nobody's wake-up, only room, and get it here. */
	while (left > 0)
		left -= take_all(&t, expected, &well);
	for (uint32_t i = 0; i < writers; i++) {
		(void)pthread_join(thread[i], NULL);
		claims += t.line[i].claims;
		free(t.line[i].data);
	}
	(void)close(t.wake);
	assert_false(t.hung);
	assert_true(well);
	assert_true(claims <= t.sleeps);
	assert_true(t.blocked > 0);
}

static void no_wake_up_is_lost_between_two_threads(void **state)
{
	(void)state;
	run(1);
}

static void no_wake_up_is_lost_with_several_writers(void **state)
{
	(void)state;
	run(WRITERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sleep_is_claimed_once),
		cmocka_unit_test(either_the_record_is_seen_or_the_sleeper),
		cmocka_unit_test(no_wake_up_is_lost_between_two_threads),
		cmocka_unit_test(no_wake_up_is_lost_with_several_writers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
