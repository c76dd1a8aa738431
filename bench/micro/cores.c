/* SPDX-License-Identifier: Apache-2.0
 *
 * The record ring between two shards on two CPUs: what it costs when the cache lines travel. One way: batches of 16 as a turn
 * makes them, the reader gives them back as they come; a round ends when the reader has had all. Round trip: one record
 * over and one back, each awaited.
 *
 * Both ends spin and never sleep, so a CPU that is wanted by others shows at once: compare medians.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/base.h"
#include "shim.h"
#include "sync/spsc.h"

#define CAPACITY (1u << 16)
#define LEN      64u
#define ROUND    1024u
#define BATCH    16u
#define TRIPS    64u

struct state {
	struct rc_spsc there, back;
	_Alignas(RC_FALSE_SHARING) _Atomic uint64_t taken;
	uint64_t sent;
	pthread_t thread;
	cpu_set_t before;
	bool answers;
	_Atomic bool stop;
};

static inline void spin(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#endif
}

static void send(struct rc_spsc *ring, uint32_t value)
{
	void *room;

	while ((room = rc_spsc_reserve(ring, LEN)) == NULL)
		spin();
	memset(room, (int)value, LEN);
	rc_spsc_commit(ring, 1, LEN);
}

static uint64_t take_all(struct rc_spsc *ring)
{
	struct rc_spsc_record record;
	uint64_t count = 0, sum = 0;

	while (rc_spsc_peek(ring, &record)) {
		sum += *(const unsigned char *)record.payload;
		rc_spsc_consume(ring, &record);
		count++;
	}
	if (count)
		rc_spsc_release(ring);
	micro_keep(sum);
	return count;
}

static void *reader(void *arg)
{
	struct state *s = arg;
	uint64_t taken = 0;

	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		uint64_t count = take_all(&s->there);

		if (count == 0) {
			spin();
			continue;
		}
		taken += count;
		if (s->answers) {
			send(&s->back, 1);
			(void)rc_spsc_publish(&s->back);
		} else {
			atomic_store_explicit(&s->taken, taken, memory_order_release);
		}
	}
	return NULL;
}

/* The first CPU of the set from `from` on, or -1. */
static int next_cpu(const cpu_set_t *set, int from)
{
	for (int cpu = from; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET((size_t)cpu, set))
			return cpu;
	}
	return -1;
}

static void pin(pthread_t thread, int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	(void)pthread_setaffinity_np(thread, sizeof(one), &one);
}

static void *state_open(uint64_t answers)
{
	struct state *s = micro_alloc(sizeof(*s));

	(void)pthread_getaffinity_np(pthread_self(), sizeof(s->before), &s->before);
	int mine = next_cpu(&s->before, 0);
	int other = next_cpu(&s->before, mine + 1);
	if (mine < 0 || other < 0) {
		free(s);
		return micro_skip("needs two CPUs that this process may use");
	}
	s->answers = answers != 0;
	rc_spsc_init(&s->there, micro_alloc(CAPACITY), CAPACITY);
	rc_spsc_init(&s->back, micro_alloc(CAPACITY), CAPACITY);
	if (pthread_create(&s->thread, NULL, reader, s) != 0)
		abort();
	pin(s->thread, other);
	pin(pthread_self(), mine);
	return s;
}

static void state_close(void *state)
{
	struct state *s = state;

	atomic_store_explicit(&s->stop, true, memory_order_relaxed);
	(void)pthread_join(s->thread, NULL);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(s->before), &s->before);
	free(s->there.data);
	free(s->back.data);
	free(s);
}

static void one_way(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i += BATCH) {
		for (uint32_t n = 0; n < BATCH; n++)
			send(&s->there, n);
		(void)rc_spsc_publish(&s->there);
	}
	s->sent += ROUND;
	while (atomic_load_explicit(&s->taken, memory_order_acquire) != s->sent)
		spin();
}

static void round_trip(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < TRIPS; i++) {
		send(&s->there, i);
		(void)rc_spsc_publish(&s->there);
		while (take_all(&s->back) == 0)
			spin();
	}
}

const struct micro_case micro_cores[] = {
	{"spsc/one_way/64B", 0, ROUND, ROUND *LEN, state_open, one_way, state_close},
	{"spsc/round_trip/64B", 1, TRIPS, 0, state_open, round_trip, state_close},
	{0},
};
