/* SPDX-License-Identifier: Apache-2.0
 *
 * The closed loop of a group: how much is in flight, of all its publishers together, and whether one more event may leave. An event
 * is in flight until every subscriber has it; where nobody subscribes, or the group measures acknowledgements only, until it is
 * acknowledged. One per publisher; what it looks at are the words of all workers.
 *
 * Where subscribers come and go, or something was lost, nobody can say what an event waits for. Then it is a sum that is bounded: of
 * the deliveries which are due and have not come, K - 1 times the subscribers of a channel.
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
	/* Each event by itself: those of this publisher that are in flight, the oldest first. */
	bool each;
	uint32_t share; /* of K, for this publisher */
	uint32_t first, count;
	struct load_in_flight {
		uint32_t slot;
		uint64_t due;         /* deliveries of the slot, this event's included */
	} * event;                    /* a ring of `share` */
	uint64_t arrived, arrived_ns; /* deliveries at the last look, and when they last grew */
};

/* number: of the group's publishers. -ENOMEM. */
int load_closed_open(struct load_closed *c, const struct load_plan *plan,
	struct load_shared *shared, uint32_t group, uint32_t number, bool acks) RC_MUST_USE;
void load_closed_close(struct load_closed *c);
/* Once before a publisher's events of a turn. */
void load_closed_look(struct load_closed *c, uint64_t now_ns);

static inline bool load_closed_allows(const struct load_closed *c)
{
	if (c->each && !c->by_acks)
		return c->count < c->share;
	return c->outstanding <= c->limit;
}

/* An event is about to leave, before its bytes: own are the words of the publisher's worker. */
void load_closed_sent(struct load_closed *c, struct load_worker_stats *own, uint32_t channel,
	uint64_t sequence, uint64_t subscribers);

#endif
