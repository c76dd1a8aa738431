/* SPDX-License-Identifier: Apache-2.0
 *
 * A channel's log: a burst of frames appended, as the owner's tells bring them, and trimmed away as when all have read it.
 * "find" asks which frame holds a position, which the flush does for a cursor that is not at the tail.
 */
#include <stdlib.h>

#include "base/random.h"
#include "hub/log.h"
#include "shim.h"

#define ARENA_BYTES (64u << 20)
#define BURST       64u
#define KEPT        1024u

struct state {
	struct rc_buddy buddy;
	struct rc_log log;
	struct rc_prng prng;
	void *arena, *units;
	uint32_t len;
	unsigned char frame[4096];
};

static void append_one(struct state *s, uint32_t i)
{
	unsigned char *room = rc_log_reserve(&s->log, &s->buddy, s->len);

	RC_ASSERT(room);
	memcpy(room, s->frame, s->len);
	rc_log_commit(&s->log, s->len, &(struct rc_log_mark){.tick_ms = i, .stamp = i});
}

static void *state_open(uint64_t len)
{
	struct state *s = micro_alloc(sizeof(*s));

	s->len = (uint32_t)len;
	s->arena = micro_alloc(ARENA_BYTES);
	s->units = micro_alloc(rc_buddy_state_bytes(ARENA_BYTES));
	rc_buddy_init(&s->buddy, s->arena, ARENA_BYTES, s->units);
	rc_prng_seed(&s->prng, 1);
	return s;
}

static void *kept_open(uint64_t len)
{
	struct state *s = state_open(len);

	for (uint32_t i = 0; i < KEPT; i++)
		append_one(s, i);
	return s;
}

static void state_close(void *state)
{
	struct state *s = state;

	free(s->arena);
	free(s->units);
	free(s);
}

static void append(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < BURST; i++)
		append_one(s, i);
	rc_log_trim(&s->log, &s->buddy, s->log.tail);
}

static void find(void *state)
{
	struct state *s = state;
	struct rc_log_frame f;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < BURST; i++) {
		rc_log_frame_at(&s->log, (uint64_t)rc_prng_below(&s->prng, KEPT) * s->len, &f);
		sum += f.ordinal;
	}
	micro_keep(sum);
}

const struct micro_case micro_log[] = {
	{"log/append/256B", 256, BURST, BURST * 256, state_open, append, state_close},
	{"log/append/1KiB", 1024, BURST, BURST * 1024, state_open, append, state_close},
	{"log/find/256B", 256, BURST, 0, kept_open, find, state_close},
	{0},
};
