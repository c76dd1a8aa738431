/* SPDX-License-Identifier: Apache-2.0
 *
 * The channels of this owner that have most events, by samples: one event in so many, chosen so that a second has about
 * RC_TOP_SAMPLES of them however much is published. An event costs a decrement, a sample a look through a short table. What a
 * channel with less than a few percent of all events is told to have is an estimate; one that is busy is not missed. One thread.
 */
#ifndef RC_HUB_TOP_H
#define RC_HUB_TOP_H

#include "base/base.h"

#define RC_TOP_ENTRIES 128u
#define RC_TOP_SAMPLES 2048u /* a second, about */
#define RC_TOP_UNIT    256u  /* a rate of one event a second */

struct rc_top_entry {
	uint32_t owned; /* of a channel that may be gone by now; RC_NONE: free */
	uint32_t hash;
	uint64_t now;  /* events of this second */
	uint64_t rate; /* of the seconds before, the latest counting most; in RC_TOP_UNIT */
};

struct rc_top {
	uint32_t left;  /* events until the next sample */
	uint32_t step;  /* events that a sample stands for */
	uint64_t taken; /* samples of this second */
	uint32_t chance;
	struct rc_top_entry at[RC_TOP_ENTRIES];
};

void rc_top_init(struct rc_top *t);
void rc_top_sample(struct rc_top *t, uint32_t owned, uint32_t hash);
void rc_top_second(struct rc_top *t);

static inline void rc_top_event(struct rc_top *t, uint32_t owned, uint32_t hash)
{
	if (RC_UNLIKELY(--t->left == 0))
		rc_top_sample(t, owned, hash);
}

#endif
