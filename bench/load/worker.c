/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread. A turn publishes what is due, lets clients come and go, takes one batch of what arrived, and then sleeps in the ring
 * until something happens or is due (or, busy, looks without sleeping).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "worker.h"
#include "base/clock.h"
#include "local.h"

#define LOOK_NS  20000u    /* busy: no longer without looking at phase and publishers */
#define SLEEP_NS 10000000u /* nor asleep */
/* Between two looks at the thread's clocks: what they are off by at the ends of a window, of which a short one must still show 95 %. */
#define ACCOUNT_NS 10000000u
/* When a publisher's connection ends, the clients' may be ending, too: so long they are looked at before the worker gives up. */
#define BREAK_NS  200000000u
#define FIRES_MAX 1024u /* timers of one turn */

void load_worker_fail(struct load_worker *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!w->failed)
		(void)vsnprintf(w->err.text, sizeof(w->err.text), format, args);
	va_end(args);
	w->failed = true;
}

void load_worker_publisher_broke(struct load_worker *w)
{
	if (w->phase == LOAD_CONNECT)
		w->failed = true;
	else if (w->broken_ns == 0)
		w->broken_ns = w->now_ns + BREAK_NS;
}

static uint64_t thread_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * LOAD_SECOND + (uint64_t)ts.tv_nsec;
}

static void follow_phase(struct load_worker *w)
{
	enum load_phase phase = atomic_load_explicit(&w->shared->phase, memory_order_acquire);

	if (phase == w->phase)
		return;
	if (phase == LOAD_MEASURE)
		w->window_from = load_get(&w->shared->start_ns);
	if (phase >= LOAD_DRAIN && w->window_to == UINT64_MAX)
		w->window_to = load_get(&w->shared->start_ns);
	w->phase = phase;
}

static uint64_t publish(struct load_worker *w)
{
	uint64_t next = UINT64_MAX;

	if (w->broken_ns) {
		w->failed = w->now_ns >= w->broken_ns;
		return w->broken_ns;
	}
	for (uint32_t i = 0; i < w->outlets && !w->failed; i++) {
		struct load_outlet *o = &w->outlet[i];
		uint64_t wants = UINT64_MAX;
		short events;

		if (load_publisher_turn(o->publisher, w->phase, w->now_ns, &wants, &w->err)) {
			load_worker_publisher_broke(w);
			return 0;
		}
		next = RC_MIN(next, wants);
		if (!o->ready && load_publisher_ready(o->publisher)) {
			o->ready = true;
			load_add(&w->stats->group[o->group].connecting, UINT64_MAX);
			load_add(&w->stats->group[o->group].feeding, 1);
			load_add(&w->stats->group[o->group].opened, 1);
			load_add(&w->stats->group[o->group].open, 1);
		}
		events = load_publisher_events(o->publisher);
		if (events == o->armed)
			continue;
		if (o->armed)
			load_ring_cancel(&w->ring, load_tag(LOAD_OP_OUTLET, o->generation, i));
		o->generation++;
		o->armed = events;
		if (events)
			load_ring_await(&w->ring, load_publisher_fd(o->publisher), (uint32_t)events,
				load_tag(LOAD_OP_OUTLET, o->generation, i));
	}
	return next;
}

static void fire(void *ctx, uint32_t slot)
{
	struct load_worker *w = ctx;

	load_client_timer(w, &w->client[slot]);
}

static uint64_t timers(struct load_worker *w)
{
	uint32_t tick = load_tick(w, w->now_ns), ahead;

	if (tick != w->wheel.tick)
		(void)rc_wheel_advance(&w->wheel, tick, FIRES_MAX, fire, w);
	ahead = rc_wheel_next(&w->wheel);
	return ahead == UINT32_MAX ? UINT64_MAX : w->now_ns + (uint64_t)ahead * LOAD_TICK_NS;
}

static void set(load_word *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static void account(struct load_worker *w, bool now)
{
	char text[96];
	ssize_t n;

	if (!now && w->now_ns - w->account_ns < ACCOUNT_NS)
		return;
	w->account_ns = w->now_ns;
	set(&w->stats->cpu_ns, thread_ns());
	set(&w->stats->memory, w->extra_bytes);
	n = w->schedstat >= 0 ? pread(w->schedstat, text, sizeof(text) - 1, 0) : 0;
	if (n > 0) {
		char *at;

		text[n] = '\0';
		at = strchr(text, ' ');
		if (at)
			set(&w->stats->waited_ns, strtoull(at, NULL, 10));
	}
}

/* Without sleeping: the server need not wake us. What was spent in vain is told. */
static inline void breathe(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void look(struct load_worker *w, uint64_t until_ns)
{
	uint64_t began = thread_ns();

	until_ns = RC_MIN(until_ns, w->now_ns + LOOK_NS);
	while (rc_clock_mono_ns() < until_ns)
		breathe();
	load_add(&w->stats->idle_ns, thread_ns() - began);
}

static void rest(struct load_worker *w, uint64_t next_ns)
{
	if (w->ready.count > 0 || next_ns <= w->now_ns) {
		if (load_ring_stirs(&w->ring))
			load_ring_enter(&w->ring);
	} else if (w->plan->busy) {
		look(w, next_ns);
		if (load_ring_stirs(&w->ring))
			load_ring_enter(&w->ring);
	} else {
		load_ring_sleep(&w->ring, RC_MIN(next_ns - w->now_ns, SLEEP_NS));
	}
	w->now_ns = rc_clock_mono_ns();
	load_receive_completions(w);
}

static void turn(struct load_worker *w)
{
	uint64_t began, next;
	bool work;

	follow_phase(w);
	load_traffic_turn(w);
	began = w->now_ns;
	work = w->ready.count > 0;
	if (work)
		load_receive_batch(w);
	next = publish(w);
	next = RC_MIN(next, load_traffic_next(w));
	next = RC_MIN(next, timers(w));
	load_add(&w->stats->turns, 1);
	if (work && w->phase == LOAD_MEASURE)
		load_add(&w->stats->turn_ns[rc_hist_bucket(rc_clock_mono_ns() - began)], 1);
	account(w, false);
	rest(w, next);
}

int load_worker_run(const struct load_plan *plan, struct load_shared *shared, uint32_t index)
{
	struct load_worker *w = calloc(1, sizeof(*w));
	struct load_worker_stats *stats = &shared->worker[index];
	int rc;

	if (!w) {
		(void)snprintf(stats->error, sizeof(stats->error), "out of memory");
		atomic_store_explicit(&stats->ended, 2, memory_order_release);
		return -ENOMEM;
	}
	w->plan = plan;
	for (uint32_t g = 0; g < plan->groups; g++)
		w->storms |= plan->group[g].storm_after_seconds > 0;
	w->shared = shared;
	w->stats = stats;
	w->index = index;
	rc = load_worker_open(w);
	while (rc == 0 && !w->failed && w->phase != LOAD_END && !load_get(&shared->told_abort))
		turn(w);
	if (w->failed) {
		rc = rc ? rc : -EIO;
		(void)snprintf(stats->error, sizeof(stats->error), "%.*s",
			(int)sizeof(stats->error) - 1, w->err.text);
	} else if (!load_get(&shared->told_abort)) {
		/* What was still on its way when somebody pressed Ctrl-C is not lost. */
		for (uint32_t i = 0; i < w->clients; i++)
			load_client_settle(w, &w->client[i]);
	}
	w->now_ns = rc_clock_mono_ns();
	account(w, true);
	load_worker_close(w);
	free(w);
	atomic_store_explicit(&stats->ended, rc ? 2 : 1, memory_order_release);
	return rc;
}
