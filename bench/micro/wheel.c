/* SPDX-License-Identifier: Apache-2.0
 *
 * The timer wheel with a timer per connection. "set" moves timers that run, as each sign of life from a client does;
 * "advance" is the heartbeat of all: every tick fires 128 timers, and each sets itself again.
 */
#include <stdlib.h>

#include "base/random.h"
#include "base/wheel.h"
#include "shim.h"

#define TIMERS   65536u
#define ROUND    64u
#define PERIOD   512u /* ticks between two firings of a timer */
#define PER_TICK (TIMERS / PERIOD)

struct state {
	struct rc_wheel wheel;
	struct rc_prng prng;
	struct rc_timer timer[TIMERS];
};

static void *state_open(uint64_t arg)
{
	struct state *s = micro_alloc(sizeof(*s));

	(void)arg;
	rc_prng_seed(&s->prng, 1);
	rc_wheel_init(&s->wheel, s->timer, sizeof(s->timer[0]), 1);
	for (uint32_t i = 0; i < TIMERS; i++)
		rc_wheel_set(&s->wheel, i, 2 + i % PERIOD);
	return s;
}

static void set(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i++)
		rc_wheel_set(&s->wheel, rc_prng_below(&s->prng, TIMERS),
			2 + rc_prng_below(&s->prng, 8192));
}

static void fire(void *ctx, uint32_t index)
{
	struct state *s = ctx;

	rc_wheel_set(&s->wheel, index, s->wheel.tick + PERIOD);
}

static void advance(void *state)
{
	struct state *s = state;

	micro_keep(rc_wheel_advance(&s->wheel, s->wheel.tick + 1, UINT32_MAX, fire, s));
}

const struct micro_case micro_wheel[] = {
	{"wheel/set", 0, ROUND, 0, state_open, set, free},
	{"wheel/advance", 0, PER_TICK, 0, state_open, advance, free},
	{0},
};
