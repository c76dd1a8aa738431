/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client subscribes to, and what it has seen of each. The first subscription lies in the client; more of them, or positions
 * to recover from, in one block of memory. One thread.
 */
#ifndef LOAD_SUBS_H
#define LOAD_SUBS_H

#include <assert.h>

#include "track.h"

enum {
	LOAD_SUB_BEGUN = 1, /* acknowledged before the first event: it is owed all of them */
	LOAD_SUB_BACK = 2,  /* came back, and what it missed is not known until the next event */
	LOAD_SUB_AGAIN = 4, /* and this subscription was acknowledged: */
	/* the bits from here up are how many events, behind the last seen, it may miss: those before the acknowledgement */
	LOAD_SUB_MAY_MISS = 8,
};

#define LOAD_SUB_MAY_MISS_MAX (UINT32_MAX / LOAD_SUB_MAY_MISS)

struct load_sub {
	uint32_t channel;
	uint32_t flags;
	struct load_track track;
};

/* Where to recover from; the epoch "" is nowhere. */
struct load_place {
	uint64_t offset;
	char epoch[40];
};

struct load_subs {
	uint32_t count; /* of sub */
	struct load_place
		*place; /* [0] of the client's first, then of sub[0], …; NULL: not asked for */
	struct load_sub sub[]; /* by channel */
};

/* It is not known any more that it came back. */
static inline void load_sub_settled(struct load_sub *sub)
{
	sub->flags &= LOAD_SUB_BEGUN;
}

/* Of so many events that a client which came back did not get: those that it should have. */
static inline uint64_t load_sub_owed(const struct load_sub *sub, uint64_t missed)
{
	uint64_t may_miss = sub->flags / LOAD_SUB_MAY_MISS;

	if (!(sub->flags & LOAD_SUB_AGAIN) || may_miss == LOAD_SUB_MAY_MISS_MAX)
		return 0;
	return missed > may_miss ? missed - may_miss : 0;
}

/* The subscription to this channel among `more`, or NULL. */
struct load_sub *load_subs_search(struct load_subs *more, uint32_t channel);

static inline struct load_sub *load_subs_find(
	struct load_sub *first, struct load_subs *more, uint32_t channel)
{
	if (RC_LIKELY(first->channel == channel))
		return first;
	return more ? load_subs_search(more, channel) : NULL;
}

/* The place of that subscription, or NULL. */
struct load_place *load_subs_place(
	struct load_sub *first, struct load_subs *more, const struct load_sub *sub);

/* NULL: no memory. channel: `count` numbers, not ordered. */
struct load_subs *load_subs_open(const uint32_t *channel, uint32_t count, bool places);
void load_subs_close(struct load_subs *more);
size_t load_subs_memory(const struct load_subs *more);

/* Reads "…epoch@offset" for a channel's name out of an acknowledgement: "name":"epoch@offset". False: it is not there. */
bool load_place_read(struct load_place *place, struct rc_str text, struct rc_str name);
/* The number behind "offset": in an event's envelope, the last there is; 0: none. */
uint64_t load_place_offset(struct rc_str before);
/* The target's `since`, {position} replaced. Bytes written, 0 when there is no place or no room. */
size_t load_place_since(const struct load_place *place, const char *since, char *out, size_t cap);

#endif
