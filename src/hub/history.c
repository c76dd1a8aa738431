/* SPDX-License-Identifier: Apache-2.0
 *
 * What the owner keeps of its channels, and how others get it.
 *
 * The history of a channel is the log of its replica on the owner's own shard, which then exists without subscribers too. Those of this shard
 * read the very chunks. The namespace bounds it in events, bytes and age: exactly in what is answered, by whole chunks in memory. All
 * histories of the shard share a budget; their chunks stand in a queue, and the oldest goes first.
 *
 * Offsets count on: the log's frames are the channel's last ones without a hole, so an offset is an ordinal.
 */
#include "hub/replica.h"

#define YIELD_TRIES 256u

/* ---- keeping ------------------------------------------------------------------------------------ */

void rc_history_keep(struct rc_hub *h, uint32_t index)
{
	struct rc_owned *o = rc_hub_owned(h, index);

	if (o->replica != RC_NONE || h->namespaces[o->ns].history_size == 0)
		return;
	uint32_t replica = rc_replica_named(h, rc_owned_name(o), o->hash);
	struct rc_replica *r;
	if (replica == RC_NONE) {
		replica = rc_replica_create(h, rc_owned_name(o), o->hash, false);
		if (replica == RC_NONE)
			return;
		r = rc_hub_replica(h, replica);
		r->state = RC_REPLICA_ACTIVE;
		r->ask_shards = 0;
		r->oks_left = 0;
	} else {
		r = rc_hub_replica(h, replica);
		/* On its way out; the next event tries again. */
		if (r->state == RC_REPLICA_LEAVING)
			return;
		/* What the subscribers' log holds may be less than the channel's last events: the history begins now. */
		if (r->behind)
			return;
		rc_replica_clear(h, r);
	}
	r->epoch = o->epoch;
	r->offset = o->offset;
	r->owned = index;
	r->log.trimmed_stamp = o->stamp;
	r->log.trimmed_when = o->lost_when;
	r->log.trimmed_time_ms = o->time_ms;
	rc_log_enqueue(&r->log, &h->history, replica);
	o->replica = replica;
}

void rc_history_drop(struct rc_hub *h, uint32_t index)
{
	struct rc_owned *o = rc_hub_owned(h, index);

	if (o->replica == RC_NONE)
		return;
	struct rc_replica *r = rc_hub_replica(h, o->replica);
	rc_log_dequeue(&r->log);
	r->owned = RC_NONE;
	if (!rc_replica_used(r)) {
		/* No owner has to be told: we are it. */
		r->ask_shards = r->held_by = 0;
		rc_replica_destroy(h, o->replica);
	} else if (r->behind == 0) {
		rc_replica_settled(h, r);
	}
	o->replica = RC_NONE;
}

struct rc_history_bounds rc_history_bounds(const struct rc_hub *h, const struct rc_replica *r)
{
	const struct rc_hub_namespace *ns = &h->namespaces[r->ns];
	const struct rc_log *log = &r->log;
	uint64_t head = rc_log_count_head(log);
	struct rc_history_bounds b = {.ordinal = head};
	struct rc_log_frame f;

	if (log->count_tail - head > ns->history_size)
		b.ordinal = log->count_tail - ns->history_size;
	if (log->tail - log->head > ns->history_bytes) {
		uint64_t pos = log->tail - ns->history_bytes;
		rc_log_frame_at(log, pos, &f);
		b.ordinal = RC_MAX(b.ordinal, f.ordinal + (f.pos < pos));
	}
	if (b.ordinal < log->count_tail) {
		uint64_t young = rc_log_since_tick(log, h->now_ms - ns->history_ttl_ms);
		b.ordinal = RC_MAX(b.ordinal, young);
	}
	b.trimmed_stamp = log->trimmed_stamp;
	b.trimmed_time_ms = log->trimmed_time_ms;
	if (b.ordinal > head) {
		rc_log_frame_number(log, b.ordinal - 1, &f);
		b.trimmed_stamp = f.stamp;
		b.trimmed_time_ms = f.time_ms;
	}
	return b;
}

struct rc_history_bounds rc_history_bounds_of_log(const struct rc_replica *r)
{
	return (struct rc_history_bounds){
		.ordinal = rc_log_count_head(&r->log),
		.trimmed_stamp = r->log.trimmed_stamp,
		.trimmed_time_ms = r->log.trimmed_time_ms,
	};
}

uint64_t rc_history_low(const struct rc_hub *h, const struct rc_replica *r)
{
	const struct rc_log *log = &r->log;
	struct rc_log_frame f;

	if (!log->first)
		return log->tail;
	struct rc_history_bounds b = rc_history_bounds(h, r);
	if (b.ordinal == log->count_tail)
		return log->tail;
	rc_log_frame_number(log, b.ordinal, &f);
	return f.pos;
}

bool rc_history_find(
	const struct rc_hub *h, const struct rc_replica *r, uint64_t after, uint64_t *pos)
{
	struct rc_log_frame f;

	if (r->owned == RC_NONE || after > r->offset)
		return false;
	if (after == r->offset) {
		*pos = r->log.tail;
		return true;
	}
	struct rc_history_bounds b = rc_history_bounds(h, r);
	if (b.ordinal == r->log.count_tail || after + 1 < rc_history_offset(r, b.ordinal))
		return false;
	rc_log_frame_number(&r->log, rc_history_ordinal(r, after + 1), &f);
	*pos = f.pos;
	return true;
}

/* ---- the budget --------------------------------------------------------------------------------- */

/* The oldest chunk that no reader holds goes. */
static bool drop_oldest(struct rc_hub *h)
{
	uint32_t tries = 0;

	for (const struct rc_log_chunk *c = h->history.first; c && tries < YIELD_TRIES;
		c = c->newer, tries++) {
		struct rc_replica *r = rc_hub_replica(h, c->tag);
		if (r->behind)
			continue;
		uint32_t held = r->log.held;
		rc_log_trim(&r->log, h->arena, c->pos + c->len);
		rc_replica_held_changed(h, r, held);
		rc_count(h->counters, RC_C_history_squeezed, 1);
		return true;
	}
	return false;
}

void rc_history_squeeze(struct rc_hub *h)
{
	while (h->history.bytes > h->limits.history_bytes_max && drop_oldest(h))
		;
}

bool rc_history_yield(struct rc_hub *h)
{
	return drop_oldest(h);
}

void rc_history_sweep(struct rc_hub *h, uint32_t budget)
{
	struct rc_log_queue *q = &h->history;

	if (!q->swept)
		q->swept = q->first;
	while (budget-- > 0 && q->swept) {
		struct rc_log_chunk *c = q->swept;
		struct rc_replica *r = rc_hub_replica(h, c->tag);
		/* What stands behind it in the queue may be of the same log, and go with it. */
		if (r->behind == 0)
			rc_replica_trim(h, r, r->log.tail);
		if (q->swept == c)
			q->swept = c->newer;
	}
	rc_gauge_set(h->counters, RC_C_history_bytes, q->bytes);
}
