/* SPDX-License-Identifier: Apache-2.0
 *
 * The closed loop of a group: how much is in flight, of all its publishers together, and whether one more event may leave. An event
 * is in flight until all the deliveries that it leads to are counted; where nobody subscribes, or the group measures
 * acknowledgements only, until it is acknowledged. One per publisher; what it looks at are the words of all workers.
 *
 * Workers look one after the other, not at once, so as many events as there are workers with publishers, less one, may leave beyond K.
 */
#ifndef LOAD_CLOSED_H
#define LOAD_CLOSED_H

#include "shared.h"

/* Without any delivery for so long one more event goes out: the gap behind it shows what was lost, and the loop goes on. */
#define LOAD_CLOSED_STUCK_NS 2000000000ull

struct load_closed {
	const struct load_plan *plan;
	struct load_shared *shared;
	uint32_t group;
	uint32_t related;     /* bit g: group g has channels of this group */
	bool acks;            /* the link has acknowledgements */
	bool by_acks;         /* they are what is waited for */
	uint64_t subscribers; /* of all channels of the group, */
	uint64_t counted_ns;  /* as they were then */
	int64_t outstanding, limit;
	uint64_t arrived, arrived_ns; /* deliveries at the last look, and when they last grew */
};

void load_closed_open(struct load_closed *c, const struct load_plan *plan,
	struct load_shared *shared, uint32_t group, bool acks);
/* Once before a publisher's events of a turn. */
void load_closed_look(struct load_closed *c, uint64_t now_ns);

static inline bool load_closed_allows(const struct load_closed *c)
{
	return c->outstanding <= c->limit;
}

/* An event left for a channel with so many subscribers. */
static inline void load_closed_sent(struct load_closed *c, uint64_t subscribers)
{
	if (!c->by_acks)
		c->outstanding += (int64_t)subscribers;
	else if (c->acks)
		c->outstanding++;
}

#endif
