/* SPDX-License-Identifier: Apache-2.0
 *
 * A replica asks the owners for its events, and tells them when nobody wants them any more.
 */
#include "hub/replica.h"

uint64_t rc_replica_owners(const struct rc_hub *h, const struct rc_replica *r)
{
	if (!r->pattern)
		return (uint64_t)1 << rc_hub_owner(h, r->hash);
	return h->limits.shards == 64 ? UINT64_MAX : ((uint64_t)1 << h->limits.shards) - 1;
}

static void ask_list(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);

	if (r->ask_listed)
		return;
	r->ask_listed = true;
	r->ask_next = h->ask_first;
	h->ask_first = index;
}

/* Tells every owner that still has to know what we want; true when all do. */
static bool ask_owners(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);
	struct rc_interest ask = {
		.name = rc_replica_name(r),
		.shard = h->limits.shard,
		.replica = index,
		.token = r->token,
		.on = r->state != RC_REPLICA_LEAVING,
	};

	for (uint64_t left = r->ask_shards; left; left &= left - 1) {
		uint32_t shard = (uint32_t)__builtin_ctzll(left);
		uint64_t bit = (uint64_t)1 << shard;
		/* Before the call: asking ourselves answers at once. */
		r->ask_shards &= ~bit;
		uint64_t held = r->held_by;
		r->held_by = ask.on ? held | bit : held & ~bit;
		r->answers_due += ask.on;
		if (!h->port.ask_interest(h->port.ctx, shard, &ask)) {
			r->ask_shards |= bit;
			r->held_by = held;
			r->answers_due -= ask.on;
		}
	}
	if (r->ask_shards)
		return false;
	/* Behind the rest, in the same ring: the owner knows the channel then. */
	if (r->deflated_due && ask.on) {
		ask.deflated = true;
		ask.on = r->deflated_views > 0;
		r->deflated_due =
			!h->port.ask_interest(h->port.ctx, rc_hub_owner(h, r->hash), &ask);
		return !r->deflated_due;
	}
	return true;
}

void rc_replica_deflated(struct rc_hub *h, uint32_t index, bool more)
{
	struct rc_replica *r = rc_hub_replica(h, index);
	bool wanted = r->deflated_views > 0;

	r->deflated_views += more ? 1 : UINT32_MAX;
	if (r->pattern || wanted == (r->deflated_views > 0))
		return;
	r->deflated_due = true;
	if (r->state != RC_REPLICA_LEAVING)
		rc_replica_ask(h, index);
}

void rc_replica_ask(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);

	if (!ask_owners(h, index))
		ask_list(h, index);
	else if (r->state == RC_REPLICA_LEAVING && !r->ask_listed && r->answers_due == 0)
		rc_replica_destroy(h, index);
}

void rc_replica_ask_again(struct rc_hub *h)
{
	uint32_t index = h->ask_first;

	h->ask_first = RC_NONE;
	while (index != RC_NONE) {
		struct rc_replica *r = rc_hub_replica(h, index);
		uint32_t next = r->ask_next;
		r->ask_listed = false;
		rc_replica_ask(h, index);
		index = next;
	}
}

void rc_replica_come_back(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);
	uint64_t want = rc_replica_owners(h, r);

	/* A new life: answers to the earlier one are not for it, and events between are not complete. */
	r->token = h->token_next++;
	r->state = RC_REPLICA_ASKING;
	r->deflated_due = !r->pattern && r->deflated_views > 0;
	r->refused = false;
	r->ask_shards = want;
	r->oks_left = (uint32_t)__builtin_popcountll(want);
	rc_replica_ask(h, index);
}

void rc_replica_interest_ok(struct rc_hub *h, const struct rc_interest_ok *ok)
{
	struct rc_replica *r = rc_hub_replica(h, ok->replica);

	RC_ASSERT(r->answers_due > 0);
	rc_hub_stamped(h, ok->from, ok->stamp);
	r->answers_due--;
	if (r->token != ok->token || r->state != RC_REPLICA_ASKING) {
		/* The answer to an earlier life. */
		if (r->state == RC_REPLICA_LEAVING && !r->ask_listed && r->ask_shards == 0 &&
			r->answers_due == 0)
			rc_replica_destroy(h, ok->replica);
		return;
	}
	r->refused |= !ok->taken;
	if (!r->pattern) {
		r->epoch = ok->epoch;
		r->offset = ok->offset;
	}
	if (--r->oks_left > 0)
		return;
	if (!r->refused) {
		r->state = RC_REPLICA_ACTIVE;
		if (r->pattern) {
			struct rc_trie_leaf *leaf =
				rc_trie_leaf(&h->trie, rc_replica_name(r), false);
			/* Our own shard is among those who answered, so the leaf is there. */
			RC_ASSERT(leaf);
			leaf->replica = ok->replica;
		}
	}
	bool pinned = rc_replica_pin(r);
	bool taken = !r->refused;
	if (r->linked_count)
		rc_stream_member_ready(h, ok->replica, taken);
	if (r->count)
		h->port.replica_ready(h->port.ctx, ok->replica, taken);
	rc_replica_unpin(h, ok->replica, pinned);
}
