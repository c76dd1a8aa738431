/* SPDX-License-Identifier: Apache-2.0
 *
 * The histogram: one value counted, as the gateway's counters do it, and a quantile asked of a full one.
 */
#include <stdlib.h>

#include "base/random.h"
#include "ops/counters.h"
#include "shim.h"

#define ROUND 64u

struct state {
	struct rc_counters_shard counters;
	uint64_t value[ROUND];
};

static void record(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i++)
		rc_count_hist(&s->counters, RC_H_publish_to_flush_ns, s->value[i], 1);
}

static void *state_open(uint64_t arg)
{
	struct state *s = micro_alloc(sizeof(*s));
	struct rc_prng prng;

	(void)arg;
	rc_prng_seed(&prng, 1);
	for (uint32_t i = 0; i < ROUND; i++)
		s->value[i] = rc_prng_next(&prng) >> rc_prng_below(&prng, 64);
	record(s);
	return s;
}

static void quantile(void *state)
{
	const struct state *s = state;

	micro_keep(rc_hist_quantile(
		(const uint64_t *)(const void *)s->counters.hist[RC_H_publish_to_flush_ns], 0.99));
}

const struct micro_case micro_hist[] = {
	{"hist/record", 0, ROUND, 0, state_open, record, free},
	{"hist/quantile", 0, 1, 0, state_open, quantile, free},
	{0},
};
