/* SPDX-License-Identifier: Apache-2.0
 *
 * The record ring between shards, both ends on one thread: what a record costs apart from the cache lines that travel.
 * A round is one batch: 64 records written and made visible at once, then read and given back at once.
 */
#include <stdlib.h>

#include "base/base.h"
#include "shim.h"
#include "sync/spsc.h"

#define BATCH    64u
#define CAPACITY (1u << 20)

struct state {
	struct rc_spsc ring;
	size_t len;
};

static void *state_open(uint64_t len)
{
	struct state *s = micro_alloc(sizeof(*s));

	s->len = len;
	rc_spsc_init(&s->ring, micro_alloc(CAPACITY), CAPACITY);
	return s;
}

static void state_close(void *state)
{
	struct state *s = state;

	free(s->ring.data);
	free(s);
}

static void push_pop(void *state)
{
	struct state *s = state;
	struct rc_spsc_record record;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < BATCH; i++) {
		void *room = rc_spsc_reserve(&s->ring, s->len);

		RC_ASSERT(room);
		memset(room, (int)i, s->len);
		rc_spsc_commit(&s->ring, 1, s->len);
	}
	rc_spsc_publish(&s->ring);
	while (rc_spsc_peek(&s->ring, &record)) {
		sum += *(const unsigned char *)record.payload;
		rc_spsc_consume(&s->ring, &record);
	}
	rc_spsc_release(&s->ring);
	micro_keep(sum);
}

const struct micro_case micro_spsc[] = {
	{"spsc/push_pop/64B", 64, BATCH, BATCH * 64, state_open, push_pop, state_close},
	{"spsc/push_pop/1KiB", 1024, BATCH, BATCH * 1024, state_open, push_pop, state_close},
	{0},
};
