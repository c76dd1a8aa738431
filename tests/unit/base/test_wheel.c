/* SPDX-License-Identifier: Apache-2.0
 *
 * Against a naive model: an array of due ticks that is searched from end to end.
 */
#include "../unit.h"

#include "base/random.h"
#include "base/wheel.h"

#define TIMERS 200

/* Timers inside objects of an odd size, as they will be. */
struct object {
	uint32_t before;
	struct rc_timer timer;
	uint64_t after;
};

struct bench {
	struct rc_wheel wheel;
	struct object object[TIMERS];
	uint32_t due[TIMERS]; /* the model's; 0 = not set */
	uint32_t target;
	uint32_t last_tick;
	uint32_t fired;
	struct rc_prng prng;
	bool busy; /* fire sets and cancels timers */
};

static void start(struct bench *b, uint32_t tick, uint64_t seed)
{
	memset(b, 0, sizeof(*b));
	rc_wheel_init(&b->wheel, &b->object[0].timer, sizeof(b->object[0]), tick);
	rc_prng_seed(&b->prng, seed);
}

static void set(struct bench *b, uint32_t index, uint32_t due)
{
	rc_wheel_set(&b->wheel, index, due);
	if ((int32_t)(due - b->wheel.tick) <= 0)
		due = b->wheel.tick + 1;
	b->due[index] = due == 0 ? 1 : due;
}

static void cancel(struct bench *b, uint32_t index)
{
	rc_wheel_cancel(&b->wheel, index);
	b->due[index] = 0;
}

static uint32_t random_due(struct bench *b)
{
	static const uint32_t reach[] = {
		1, 4, 64, 70, 4096, 5000, 262144, 300000, 16777216, 100000000};
	uint32_t now = b->wheel.tick;
	if (rc_prng_below(&b->prng, 8) == 0)
		return now - rc_prng_below(&b->prng, 1000);
	return now + rc_prng_below(&b->prng, 3) +
	       rc_prng_below(&b->prng, reach[rc_prng_below(&b->prng, RC_ARRAY_LEN(reach))]);
}

static void on_fire(void *ctx, uint32_t index)
{
	struct bench *b = ctx;
	assert_true(index < TIMERS);
	/* At its tick exactly, once, and unset by now. */
	assert_int_equal(b->due[index], b->wheel.tick);
	assert_int_equal(b->object[index].timer.due, 0);
	assert_true((int32_t)(b->target - b->wheel.tick) >= 0);
	assert_true((int32_t)(b->wheel.tick - b->last_tick) >= 0);
	b->last_tick = b->wheel.tick;
	b->due[index] = 0;
	b->fired++;
	if (!b->busy)
		return;
	switch (rc_prng_below(&b->prng, 4)) {
	case 0:
		set(b, index, random_due(b));
		break;
	case 1:
		set(b, rc_prng_below(&b->prng, TIMERS), random_due(b));
		break;
	case 2:
		cancel(b, rc_prng_below(&b->prng, TIMERS));
		break;
	default:
		break;
	}
}

static uint32_t advance(struct bench *b, uint32_t tick, uint32_t budget)
{
	b->target = tick;
	b->last_tick = b->wheel.tick;
	b->fired = 0;
	uint32_t fired = rc_wheel_advance(&b->wheel, tick, budget, on_fire, b);
	assert_int_equal(fired, b->fired);
	assert_true(fired <= budget);
	if (fired < budget)
		assert_int_equal(b->wheel.tick, tick);
	return fired;
}

/* All that is due by wheel.tick has fired, and next is never late. */
static void agree(const struct bench *b)
{
	uint32_t count = 0;
	uint32_t least = UINT32_MAX;
	rc_wheel_check(&b->wheel);
	for (uint32_t i = 0; i < TIMERS; i++) {
		assert_int_equal(b->due[i], b->object[i].timer.due);
		assert_int_equal(b->object[i].before, 0);
		assert_int_equal(b->object[i].after, 0);
		if (b->due[i] == 0)
			continue;
		count++;
		uint32_t ahead = b->due[i] - b->wheel.tick;
		assert_true((int32_t)ahead > 0);
		least = RC_MIN(least, ahead);
	}
	assert_int_equal(b->wheel.count, count);
	uint32_t next = rc_wheel_next(&b->wheel);
	if (count == 0) {
		assert_int_equal(next, UINT32_MAX);
	} else {
		assert_in_range(next, 1, least);
		if (least < 64)
			assert_true(next == least || (b->wheel.tick + next) % 64 == 0);
	}
}

static void play(uint32_t tick, uint64_t seed, bool busy, int rounds)
{
	static const uint32_t stride[] = {1, 2, 63, 64, 65, 1000, 4096, 70000, 300000, 20000000};
	static struct bench b;
	start(&b, tick, seed);
	b.busy = busy;
	for (int round = 0; round < rounds; round++) {
		uint32_t index = rc_prng_below(&b.prng, TIMERS);
		switch (rc_prng_below(&b.prng, 6)) {
		case 0:
		case 1:
		case 2:
			set(&b, index, random_due(&b));
			break;
		case 3:
			cancel(&b, index);
			break;
		case 4: {
			uint32_t by = rc_prng_below(
				&b.prng, stride[rc_prng_below(&b.prng, RC_ARRAY_LEN(stride))]);
			advance(&b, b.wheel.tick + by, rc_prng_below(&b.prng, 8));
			break;
		}
		default:
			/* As the loop of a shard does it. */
			if (b.wheel.count > 0)
				advance(&b, b.wheel.tick + rc_wheel_next(&b.wheel), 1000);
			break;
		}
		agree(&b);
	}
}

static void the_wheel_does_what_a_list_would(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++)
		play((uint32_t)seed * 1000003u, seed, false, 1500);
}

static void fire_may_set_and_cancel_any_timer(void **state)
{
	(void)state;
	for (uint64_t seed = 100; seed < 110; seed++)
		play((uint32_t)seed * 777777u, seed, true, 1500);
}

static void ticks_may_wrap(void **state)
{
	(void)state;
	for (uint64_t seed = 200; seed < 210; seed++)
		play(UINT32_MAX - (uint32_t)(seed % 4) * 40000u, seed, true, 1500);
}

static void a_timer_at_any_distance_fires_at_its_tick_in_few_steps(void **state)
{
	static struct bench b;
	static const uint32_t from[] = {0, 1, 63, 64, 4095, 4097, 262143, 0xfffff, 0xfffffff0};
	(void)state;
	for (size_t f = 0; f < RC_ARRAY_LEN(from); f++) {
		for (uint32_t e = 0; e < 30; e++) {
			for (uint32_t d = 0; d < 3; d++) {
				uint32_t distance = ((uint32_t)1 << e) + d - 1;
				if (distance == 0)
					continue;
				start(&b, from[f], 0);
				set(&b, 3, from[f] + distance);
				uint32_t due = b.due[3];
				uint32_t steps = 0;
				while (b.wheel.count > 0) {
					advance(&b, b.wheel.tick + rc_wheel_next(&b.wheel), 1);
					agree(&b);
					steps++;
				}
				assert_int_equal(b.wheel.tick, due);
				/* One for each level, one for each time round the top. */
				assert_true(steps <= 5 + distance / (1u << 24));
			}
		}
	}
}

static void every_tick_within_two_levels_is_hit_one_by_one(void **state)
{
	static struct bench b;
	(void)state;
	start(&b, 37, 0);
	for (uint32_t distance = 1; distance < 9000; distance += 7) {
		uint32_t due = b.wheel.tick + distance;
		set(&b, distance % TIMERS, due);
		while (b.wheel.tick != due - 1) {
			uint32_t by = RC_MIN(due - 1 - b.wheel.tick, 61u);
			assert_int_equal(advance(&b, b.wheel.tick + by, 9), 0);
		}
		assert_int_equal(advance(&b, due, 9), 1);
	}
}

static void what_is_past_due_fires_at_the_next_advance_that_moves(void **state)
{
	static struct bench b;
	(void)state;
	start(&b, 1000, 0);
	set(&b, 0, 5);
	set(&b, 1, 1000);
	set(&b, 2, 0);
	assert_int_equal(rc_wheel_next(&b.wheel), 1);
	assert_int_equal(advance(&b, 1000, 10), 0);
	assert_int_equal(advance(&b, 1001, 10), 3);
	agree(&b);
}

static void a_spent_budget_goes_on_where_it_stopped(void **state)
{
	static struct bench b;
	(void)state;
	start(&b, 0, 0);
	for (uint32_t i = 0; i < 100; i++)
		set(&b, i, 50 + i % 2);
	uint32_t fired = 0;
	for (uint32_t calls = 0; calls < 10; calls++) {
		uint32_t n = advance(&b, 60, 10);
		assert_int_equal(n, 10);
		fired += n;
		agree(&b);
		assert_int_equal(b.wheel.count, 100 - fired);
		assert_true(calls == 9 || rc_wheel_next(&b.wheel) == 1);
	}
	assert_int_equal(advance(&b, 60, 10), 0);
	assert_int_equal(b.wheel.tick, 60);
}

static void a_budget_of_nothing_fires_nothing_and_loses_nothing(void **state)
{
	static struct bench b;
	(void)state;
	start(&b, 0, 0);
	set(&b, 7, 64);
	assert_int_equal(advance(&b, 500, 0), 0);
	agree(&b);
	assert_int_equal(advance(&b, 500, 1), 1);
}

static void set_again(void *ctx, uint32_t index)
{
	struct bench *b = ctx;
	b->fired++;
	rc_wheel_set(&b->wheel, index, b->wheel.tick);
}

static void a_timer_that_sets_itself_for_now_does_not_hold_the_tick(void **state)
{
	static struct bench b;
	(void)state;
	start(&b, 0, 0);
	rc_wheel_set(&b.wheel, 0, 1);
	assert_int_equal(rc_wheel_advance(&b.wheel, 1, 1000, set_again, &b), 1);
	assert_int_equal(rc_wheel_advance(&b.wheel, 1, 1000, set_again, &b), 0);
	assert_int_equal(rc_wheel_advance(&b.wheel, 5, 1000, set_again, &b), 4);
	rc_wheel_check(&b.wheel);
}

static void an_earlier_tick_changes_nothing(void **state)
{
	static struct bench b;
	(void)state;
	start(&b, 100, 0);
	set(&b, 0, 101);
	assert_int_equal(rc_wheel_advance(&b.wheel, 50, 10, on_fire, &b), 0);
	assert_int_equal(b.wheel.tick, 100);
	agree(&b);
}

static void cancelling_what_is_not_set_is_nothing(void **state)
{
	static struct bench b;
	(void)state;
	start(&b, 100, 0);
	cancel(&b, 5);
	set(&b, 5, 200);
	cancel(&b, 5);
	cancel(&b, 5);
	agree(&b);
	assert_int_equal(advance(&b, 1000, 10), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_wheel_does_what_a_list_would),
		cmocka_unit_test(fire_may_set_and_cancel_any_timer),
		cmocka_unit_test(ticks_may_wrap),
		cmocka_unit_test(a_timer_at_any_distance_fires_at_its_tick_in_few_steps),
		cmocka_unit_test(every_tick_within_two_levels_is_hit_one_by_one),
		cmocka_unit_test(what_is_past_due_fires_at_the_next_advance_that_moves),
		cmocka_unit_test(a_spent_budget_goes_on_where_it_stopped),
		cmocka_unit_test(a_budget_of_nothing_fires_nothing_and_loses_nothing),
		cmocka_unit_test(a_timer_that_sets_itself_for_now_does_not_hold_the_tick),
		cmocka_unit_test(an_earlier_tick_changes_nothing),
		cmocka_unit_test(cancelling_what_is_not_set_is_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
