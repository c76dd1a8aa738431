/* SPDX-License-Identifier: Apache-2.0
 *
 * What the owners tell: an event goes into the log of its channel, of each pattern that matches, and of the streams and views
 * that follow either.
 */
#include "hub/replica.h"

/* Subscribers are sent whole chunks, so small ones cost them sends. */
#define HISTORY_CHUNK 16384u

unsigned char *rc_replica_reserve(struct rc_hub *h, struct rc_replica *r, uint32_t len)
{
	uint32_t held = r->log.held;

	/* A history goes by whole chunks: they must be small beside what is kept. */
	if (r->owned != RC_NONE)
		rc_log_plan(&r->log, (uint32_t)RC_MAX(RC_MIN(r->log.tail - r->log.head, 1u << 20),
					     r->count ? HISTORY_CHUNK : 0u));
	unsigned char *room = rc_log_reserve(&r->log, h->arena, len);

	while (!room && rc_history_yield(h)) {
		held = r->log.held;
		room = rc_log_reserve(&r->log, h->arena, len);
	}
	rc_replica_held_changed(h, r, held);
	return room;
}

unsigned char *rc_replica_room(struct rc_hub *h, uint32_t index, uint32_t len)
{
	struct rc_replica *r = rc_hub_replica(h, index);
	unsigned char *room = rc_replica_reserve(h, r, len);

	if (room)
		return room;
	/* The arena is full. Whoever is behind here is dealt with as too slow, which frees this log. */
	bool pinned = r->pinned;
	rc_count(h->counters, RC_C_arena_refused, 1);
	r->pinned = true; /* it may lose its last subscriber meanwhile */
	h->port.replica_overrun(h->port.ctx, index);
	room = r->count || r->owned != RC_NONE ? rc_replica_reserve(h, r, len) : NULL;
	if (!room && r->count) {
		rc_count(h->counters, RC_C_events_skipped, r->count);
		rc_count_ns(h->counters, RC_N_skipped, r->ns, r->count);
		h->port.replica_lost(h->port.ctx, index);
	}
	r->pinned = pinned;
	if (!room && r->count == 0) {
		rc_replica_clear(h, r);
		rc_replica_leave(h, index);
	}
	return room;
}

/* The subscription by which that connection reads the log; while one form follows another it may be the one that goes. */
static uint32_t reader(const struct rc_hub *h, uint32_t index, uint32_t conn, uint32_t first)
{
	const struct rc_replica *r = rc_hub_replica(h, index);
	uint32_t base = r->rendition == RC_RENDITION_VIEW ? r->linked[0] : index;
	uint32_t sub = rc_replica_find_by_base(h, conn, first, base);

	if (sub == RC_NONE || rc_hub_sub(h, sub)->replica == index)
		return sub;
	for (sub = first; sub != RC_NONE; sub = rc_hub_sub(h, sub)->next) {
		if (rc_hub_sub(h, sub)->replica == index)
			return sub;
	}
	return RC_NONE;
}

/*
 * The event that was just appended is not for that connection: at the tail it steps behind it, further back it will find a hole where the
 * mark says so. Whoever waits for a replay gets what that brings.
 */
__attribute__((noinline, cold)) static void pass_over(
	struct rc_hub *h, uint32_t index, const struct rc_mute *who, uint32_t len)
{
	const uint32_t *first = h->port.subs_of(h->port.ctx, who);
	struct rc_replica *r = rc_hub_replica(h, index);
	uint32_t sub = first ? reader(h, index, who->conn, *first) : RC_NONE;
	uint64_t pos = r->log.tail - len;

	if (sub == RC_NONE)
		return;
	struct rc_sub *s = rc_hub_sub(h, sub);
	if (s->flags & RC_SUB_PAUSED)
		return;
	if (s->cursor == pos) {
		rc_replica_advance(h, s, r->log.tail);
		return;
	}
	uint32_t except = rc_hub_except(who->conn, who->generation);
	rc_count(h->counters, RC_C_echo_holes, 1);
	s->flags |= RC_SUB_HOLE;
	rc_log_except_last(&r->log, except);
	if (r->last.count && r->last.entry[r->last.newest].pos == pos)
		r->last.entry[r->last.newest].except = except;
}

static void put_newest(struct rc_hub *h, struct rc_replica *r, const struct rc_tell *t,
	const unsigned char *frame, uint32_t len)
{
	/* Two channels may have the same key, and each has a newest event of it. */
	bool several = rc_hub_base(h, r)->pattern || rc_replica_is_stream(r);
	uint64_t key = several ? rc_hash_u64(&h->key, t->key + ((uint64_t)t->hash << 32)) : t->key;

	if (!rc_last_values_put(&r->last, h->pool, key, r->log.tail, t->stamp, frame, len,
		    h->namespaces[r->ns].lag_bytes))
		rc_count(h->counters, RC_C_arena_refused, 1);
}

static inline __attribute__((always_inline)) void appended(struct rc_hub *h, uint32_t index,
	const struct rc_tell *t, const unsigned char *frame, uint32_t len)
{
	struct rc_replica *r = rc_hub_replica(h, index);
	const struct rc_hub_namespace *ns = &h->namespaces[r->ns];
	bool newest = ns->policy == RC_SLOW_LATEST || (ns->first_latest && r->owned != RC_NONE);

	if (newest && ns->key.len)
		put_newest(h, r, t, frame, len);
	const struct rc_log_mark mark = {.tick_ms = h->now_ms,
		.time_ms = (uint32_t)t->time_ms,
		.key = t->key,
		.stamp = t->stamp};
	rc_log_commit(&r->log, len, &mark);
	r->behind = r->count - r->paused;
	if (r->owned != RC_NONE && h->history.bytes > h->limits.history_bytes_max)
		rc_history_squeeze(h);
	if (r->count == 0) {
		rc_replica_settled(h, r);
		return;
	}
	if (r->taken_ns == 0)
		r->taken_ns = t->taken_ns;
	rc_count(h->counters, RC_C_events_appended, 1);
	if (RC_UNLIKELY(t->mute))
		pass_over(h, index, t->mute, len);
	rc_replica_mark_dirty(h, index);
}

void rc_replica_appended(struct rc_hub *h, uint32_t index, const struct rc_tell *t,
	const unsigned char *frame, uint32_t len)
{
	appended(h, index, t, frame, len);
}

static void append(struct rc_hub *h, uint32_t index, const struct rc_tell *t)
{
	struct rc_replica *r = rc_hub_replica(h, index);

	if (r->count || r->owned != RC_NONE) {
		unsigned char *room = rc_replica_room(h, index, t->frame_len);
		if (room) {
			memcpy(room, t->frame, t->frame_len);
			appended(h, index, t, room, t->frame_len);
		} else if (r->owned != RC_NONE) {
			/* The history has a hole; it begins behind it. */
			r->log.trimmed_stamp = t->stamp;
			r->log.trimmed_when = ++h->history.losses;
			r->log.trimmed_time_ms = (uint32_t)t->time_ms;
		}
	}
}

void rc_events_position(struct rc_hub *h, struct rc_tell *t)
{
	if (!h->limits.keeps_history)
		return;
	if (h->pattern_frame_len == 0)
		h->pattern_frame_len = (uint32_t)rc_event_ws_position(
			h->pattern_frame, t->frame, t->frame_len, rc_hub_position(h));
	t->frame = h->pattern_frame;
	t->frame_len = h->pattern_frame_len;
}

static void append_pattern(void *ctx, const struct rc_trie_leaf *leaf)
{
	void **pair = ctx;
	struct rc_hub *h = pair[0];
	const struct rc_tell *t = pair[1];

	if (leaf->replica == RC_NONE)
		return;
	struct rc_replica *r = rc_hub_replica(h, leaf->replica);
	if (r->state != RC_REPLICA_ACTIVE)
		return;
	uint32_t index = leaf->replica;
	bool pinned = rc_replica_pin(r);
	if (r->linked_count)
		rc_stream_follow(h, index, t);
	struct rc_tell with = *t;
	if (r->count)
		rc_events_position(h, &with);
	append(h, index, &with);
	rc_replica_unpin(h, index, pinned);
}

void rc_replica_tell(struct rc_hub *h, const struct rc_tell *t)
{
	h->seen[t->from] = t->stamp;
	h->position_len = 0;
	h->pattern_frame_len = 0;
	if (h->deflated.deflater)
		rc_deflated_begin(&h->deflated, t->frame, t->deflated, t->deflated_len);
	if (t->direct) {
		uint32_t index = rc_replica_named(h, t->channel, t->hash);
		if (index != RC_NONE) {
			struct rc_replica *r = rc_hub_replica(h, index);
			if (r->state == RC_REPLICA_ACTIVE) {
				r->epoch = t->epoch;
				r->offset = t->offset;
				bool pinned = rc_replica_pin(r);
				bool used = rc_replica_used(r);
				if (r->linked_count)
					rc_stream_follow(h, index, t);
				append(h, index, t);
				/* One that keeps a history outlives its last reader; another may be gone by then. */
				bool owned = r->owned != RC_NONE;
				rc_replica_unpin(h, index, pinned);
				if (used && owned && !rc_replica_used(r))
					rc_replica_leave(h, index);
			}
		}
	}
	if (t->pattern) {
		void *pair[2] = {h, (void *)(uintptr_t)t};
		rc_trie_match(&h->trie, t->channel, append_pattern, pair);
	}
	if (h->deflated.deflater)
		rc_deflated_end(&h->deflated);
}
