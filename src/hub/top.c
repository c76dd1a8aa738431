/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/top.h"

void rc_top_init(struct rc_top *t)
{
	*t = (struct rc_top){.left = 1, .step = 1, .chance = 0x9e3779b9u};
	for (uint32_t i = 0; i < RC_TOP_ENTRIES; i++)
		t->at[i].owned = RC_NONE;
}

/* Around the step and never the same: a publisher that goes round its channels would else be met at one of them each time. */
static uint32_t until_next(struct rc_top *t)
{
	t->chance ^= t->chance << 13;
	t->chance ^= t->chance >> 17;
	t->chance ^= t->chance << 5;
	return 1 + t->chance % (2 * t->step - 1);
}

static uint64_t weight(const struct rc_top_entry *e)
{
	return e->owned == RC_NONE ? 0 : e->rate + e->now * RC_TOP_UNIT;
}

void rc_top_sample(struct rc_top *t, uint32_t owned, uint32_t hash)
{
	struct rc_top_entry *least = &t->at[0];

	t->left = until_next(t);
	t->taken++;
	for (uint32_t i = 0; i < RC_TOP_ENTRIES; i++) {
		struct rc_top_entry *e = &t->at[i];
		if (e->owned == owned && e->hash == hash) {
			e->now += t->step;
			return;
		}
		if (weight(e) < weight(least))
			least = e;
	}
	*least = (struct rc_top_entry){.owned = owned, .hash = hash, .now = t->step};
}

void rc_top_second(struct rc_top *t)
{
	uint64_t events = t->taken * t->step;

	for (uint32_t i = 0; i < RC_TOP_ENTRIES; i++) {
		struct rc_top_entry *e = &t->at[i];
		if (e->owned == RC_NONE)
			continue;
		e->rate = (3 * e->rate + e->now * RC_TOP_UNIT) / 4;
		e->now = 0;
		/* Less than an event in sixteen seconds. */
		if (e->rate < RC_TOP_UNIT / 16)
			e->owned = RC_NONE;
	}
	t->taken = 0;
	t->step = (uint32_t)RC_MIN(events / RC_TOP_SAMPLES + 1, (uint64_t)1 << 24);
	/* What was chosen for a busier second would be waited for too long. */
	t->left = RC_MIN(t->left, 2 * t->step - 1);
}
