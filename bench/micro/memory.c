/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunk arena and the slab. "same" gives back what it just got, which is the best case of a buddy system: it splits
 * and merges all the way. "mixed" replaces random ones of 1,024 living blocks of 1 to 64 KiB.
 */
#include <stdlib.h>

#include "base/random.h"
#include "mem/buddy.h"
#include "mem/slab.h"
#include "shim.h"

#define ROUND       64u
#define ARENA_BYTES (64u << 20)
#define LIVING      1024u
#define OBJECTS     65536u
#define OBJECT_LEN  128u

struct state {
	struct rc_buddy buddy;
	struct rc_slab slab;
	struct rc_prng prng;
	void *arena, *units, *living[LIVING];
	uint32_t object[OBJECTS];
};

static size_t mixed_len(struct state *s)
{
	return (size_t)RC_BUDDY_MIN << rc_prng_below(&s->prng, 7);
}

static void *state_open(uint64_t arg)
{
	struct state *s = micro_alloc(sizeof(*s));

	(void)arg;
	s->arena = micro_alloc(ARENA_BYTES);
	s->units = micro_alloc(rc_buddy_state_bytes(ARENA_BYTES));
	rc_prng_seed(&s->prng, 1);
	rc_buddy_init(&s->buddy, s->arena, ARENA_BYTES, s->units);
	return s;
}

static void *mixed_open(uint64_t arg)
{
	struct state *s = state_open(arg);

	for (uint32_t i = 0; i < LIVING; i++) {
		s->living[i] = rc_buddy_get(&s->buddy, mixed_len(s));
		RC_ASSERT(s->living[i]);
	}
	return s;
}

static void *slab_open(uint64_t arg)
{
	struct state *s = state_open(arg);

	rc_slab_init(&s->slab, s->arena, OBJECT_LEN, OBJECTS);
	for (uint32_t i = 0; i < OBJECTS; i++)
		s->object[i] = rc_slab_get(&s->slab);
	for (uint32_t i = OBJECTS - 1; i > 0; i--) {
		uint32_t other = rc_prng_below(&s->prng, i + 1), mine = s->object[i];

		s->object[i] = s->object[other];
		s->object[other] = mine;
	}
	for (uint32_t i = 0; i < OBJECTS / 2; i++)
		rc_slab_put(&s->slab, s->object[i]);
	return s;
}

static void state_close(void *state)
{
	struct state *s = state;

	free(s->arena);
	free(s->units);
	free(s);
}

static void buddy_same(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i++) {
		void *block = rc_buddy_get(&s->buddy, 4096);

		RC_ASSERT(block);
		rc_buddy_put(&s->buddy, block);
	}
}

static void buddy_mixed(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i++) {
		void **at = &s->living[rc_prng_below(&s->prng, LIVING)];

		rc_buddy_put(&s->buddy, *at);
		*at = rc_buddy_get(&s->buddy, mixed_len(s));
		RC_ASSERT(*at);
	}
}

static void slab_swap(void *state)
{
	struct state *s = state;
	uint32_t got[ROUND];

	for (uint32_t i = 0; i < ROUND; i++)
		got[i] = rc_slab_get(&s->slab);
	for (uint32_t i = 0; i < ROUND; i++)
		rc_slab_put(&s->slab, got[i]);
}

const struct micro_case micro_memory[] = {
	{"buddy/get_put/same", 0, ROUND, 0, state_open, buddy_same, state_close},
	{"buddy/get_put/mixed", 0, ROUND, 0, mixed_open, buddy_mixed, state_close},
	{"slab/get_put/128B", 0, ROUND, 0, slab_open, slab_swap, state_close},
	{0},
};
