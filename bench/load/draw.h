/* SPDX-License-Identifier: Apache-2.0
 *
 * On which of its channels a publisher's next event goes: round in turn, or drawn with Zipf's weights out of an alias table (two
 * look-ups, however many channels there are). The seed is fixed: two runs of one plan draw alike. One owner.
 *
 * Publisher n of a group has the channels whose number modulo the group's publishers is n. Where there are fewer channels than
 * publishers some have none: count is 0.
 */
#ifndef LOAD_DRAW_H
#define LOAD_DRAW_H

#include "base/random.h"
#include "plan.h"

struct load_draw_column {
	uint32_t limit; /* of 2^32: below it this column's own channel, else the other */
	uint32_t other;
};

struct load_draw {
	uint32_t first, step, count;    /* channels: first, first + step, … */
	uint32_t next;                  /* in turn */
	struct load_draw_column *alias; /* NULL: in turn */
	struct rc_prng prng;
	/* The part of the group's events that is this publisher's: share / shares, and `before` events of others' go first. */
	uint64_t share, shares, before;
};

/* 0 or -ENOMEM. */
int load_draw_open(
	struct load_draw *d, const struct load_group *group, uint32_t number) RC_MUST_USE;
void load_draw_close(struct load_draw *d);

static inline uint32_t load_draw_channel(const struct load_draw *d, uint32_t index)
{
	return d->first + index * d->step;
}

/* The index, 0 to count - 1, of the next event's channel. count > 0. */
static inline uint32_t load_draw_next(struct load_draw *d)
{
	uint32_t index;

	if (d->alias != NULL) {
		uint64_t random = rc_prng_next(&d->prng);

		/* The high half chooses the column (its bias is count / 2^32), the low half which of its two. */
		index = (uint32_t)((random >> 32) * d->count >> 32);
		return (uint32_t)random < d->alias[index].limit ? index : d->alias[index].other;
	}
	index = d->next;
	d->next = index + 1 < d->count ? index + 1 : 0;
	return index;
}

#endif
