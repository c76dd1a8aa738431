/* SPDX-License-Identifier: Apache-2.0
 *
 * The replicas with something to flush, in the order in which they got it.
 */
#include "hub/replica.h"

void rc_replica_mark_dirty(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);

	if (r->flush_left == 0)
		r->flush_low = UINT64_MAX;
	r->flush_left = r->count;
	if (r->dirty)
		return;
	r->dirty = true;
	r->dirty_next = RC_NONE;
	if (h->dirty_last != RC_NONE)
		rc_hub_replica(h, h->dirty_last)->dirty_next = index;
	else
		h->dirty_first = index;
	h->dirty_last = index;
	h->dirty_count++;
}

struct rc_replica *rc_replica_dirty(struct rc_hub *h)
{
	return h->dirty_first == RC_NONE ? NULL : rc_hub_replica(h, h->dirty_first);
}

void rc_replica_clean(struct rc_hub *h, bool again)
{
	uint32_t index = h->dirty_first;
	struct rc_replica *r = rc_hub_replica(h, index);

	h->dirty_first = r->dirty_next;
	if (h->dirty_first == RC_NONE)
		h->dirty_last = RC_NONE;
	r->dirty = false;
	h->dirty_count--;
	if (again) {
		uint32_t left = r->flush_left;
		uint64_t low = r->flush_low;
		rc_replica_mark_dirty(h, index);
		r->flush_left = left;
		r->flush_low = low;
	}
}

void rc_replica_unmark_dirty(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);
	uint32_t *link = &h->dirty_first;
	uint32_t before = RC_NONE;

	while (*link != index) {
		before = *link;
		link = &rc_hub_replica(h, *link)->dirty_next;
	}
	*link = r->dirty_next;
	if (h->dirty_last == index)
		h->dirty_last = before;
	r->dirty = false;
	h->dirty_count--;
}
