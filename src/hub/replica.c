/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/replica.h"

#include "hub/view.h"

struct name_probe {
	const struct rc_hub *hub;
	struct rc_str name;
};

struct sub_probe {
	const struct rc_hub *hub;
	uint32_t conn, base;
};

static bool same_name(const void *ctx, uint32_t index)
{
	const struct name_probe *p = ctx;

	return rc_str_eq(rc_replica_name(rc_hub_replica(p->hub, index)), p->name);
}

/* The channel, pattern or stream that was asked for, whichever view of it is read. */
static uint32_t base_of(const struct rc_hub *h, const struct rc_sub *s)
{
	return RC_UNLIKELY(s->flags & RC_SUB_VIEW) ? rc_hub_replica(h, s->replica)->linked[0]
						   : s->replica;
}

static bool same_sub(const void *ctx, uint32_t index)
{
	const struct sub_probe *p = ctx;
	const struct rc_sub *s = rc_hub_sub(p->hub, index);

	return s->conn == p->conn && base_of(p->hub, s) == p->base && !(s->flags & RC_SUB_REPLACED);
}

static uint32_t sub_hash(const struct rc_hub *h, uint32_t conn, uint32_t base)
{
	return (uint32_t)rc_hash_u64(&h->key, (uint64_t)conn << 32 | base);
}

void rc_replica_held_changed(struct rc_hub *h, const struct rc_replica *r, uint32_t before)
{
	if (r->log.held == before)
		return;
	h->log_bytes += (uint64_t)r->log.held - before;
	rc_gauge_set(h->counters, RC_C_log_bytes, h->log_bytes);
}

void rc_replica_clear(struct rc_hub *h, struct rc_replica *r)
{
	uint32_t held = r->log.held;

	rc_log_clear(&r->log, h->arena);
	rc_replica_held_changed(h, r, held);
}

void rc_replica_trim(struct rc_hub *h, struct rc_replica *r, uint64_t low)
{
	uint32_t held = r->log.held;

	if (r->owned != RC_NONE)
		low = RC_MIN(low, rc_history_low(h, r));
	rc_log_trim(&r->log, h->arena, low);
	rc_replica_held_changed(h, r, held);
}

void rc_replica_settled(struct rc_hub *h, struct rc_replica *r)
{
	if (r->owned != RC_NONE)
		rc_replica_trim(h, r, r->log.tail);
	else
		rc_replica_clear(h, r);
}

/* ---- coming and going --------------------------------------------------------------------------- */

uint32_t rc_replica_create(struct rc_hub *h, struct rc_str name, uint32_t hash, bool pattern)
{
	uint32_t index = rc_slab_get(&h->replicas);
	if (index == RC_NONE)
		return RC_NONE;
	char *text = rc_pool_get(h->pool, name.len);
	if (!text) {
		rc_slab_put(&h->replicas, index);
		return RC_NONE;
	}
	memcpy(text, name.ptr, name.len);
	struct rc_replica *r = rc_hub_replica(h, index);
	memset(r, 0, sizeof(*r));
	r->name = text;
	r->name_len = (uint16_t)name.len;
	r->subs = r->inline_subs;
	r->capacity = RC_ARRAY_LEN(r->inline_subs);
	r->hash = hash;
	r->ns = (uint16_t)h->port.namespace_of(h->port.ctx, name);
	r->pattern = pattern;
	r->state = RC_REPLICA_ASKING;
	r->token = h->token_next++;
	r->ask_shards = rc_replica_owners(h, r);
	r->oks_left = (uint32_t)__builtin_popcountll(r->ask_shards);
	r->dirty_next = r->ask_next = RC_NONE;
	r->owned = RC_NONE;
	if (pattern)
		rc_gauge_add(h->counters, RC_C_patterns, 1);
	rc_last_values_init(&r->last);
	rc_table_add(&h->replica_table, hash, index);
	return index;
}

void rc_replica_destroy(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);

	RC_ASSERT(r->count == 0 && !r->ask_listed && r->owned == RC_NONE);
	if (r->dirty)
		rc_replica_unmark_dirty(h, index);
	if (r->pattern)
		rc_gauge_add(h->counters, RC_C_patterns, -1);
	rc_replica_clear(h, r);
	rc_last_values_clear(&r->last, h->pool);
	if (r->linked)
		rc_pool_put(h->pool, r->linked, r->linked_capacity * sizeof(*r->linked));
	if (r->subs != r->inline_subs)
		rc_pool_put(h->pool, r->subs, r->capacity * sizeof(*r->subs));
	h->renditions -= r->rendition != RC_RENDITION_WS;
	rc_table_remove(&h->replica_table, r->hash, index);
	rc_pool_put(h->pool, r->name, r->name_len);
	rc_slab_put(&h->replicas, index);
}

/* The last subscriber left. */
void rc_replica_leave(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);

	if (r->pinned)
		return;
	if (r->rendition != RC_RENDITION_WS) {
		rc_stream_leave(h, index);
		return;
	}
	rc_replica_settled(h, r);
	if (r->linked_count)
		return;
	if (r->owned != RC_NONE) {
		r->held_by = 0;
		rc_owner_local(h, r->owned, false);
		return;
	}
	rc_last_values_clear(&r->last, h->pool);
	if (r->pattern) {
		/* Before our own shard lets go of the pattern, so that the leaf can be given back with it. */
		struct rc_trie_leaf *leaf = rc_trie_leaf(&h->trie, rc_replica_name(r), false);
		if (leaf)
			leaf->replica = RC_NONE;
	}
	r->state = RC_REPLICA_LEAVING;
	/* An owner that was never asked need not be told. */
	r->ask_shards = r->held_by;
	rc_replica_ask(h, index);
}

static bool grow(struct rc_hub *h, struct rc_replica *r)
{
	uint32_t capacity = (uint32_t)(rc_pool_size((size_t)r->capacity * 2 * sizeof(*r->subs)) /
				       sizeof(*r->subs));
	uint32_t *subs = rc_pool_get(h->pool, capacity * sizeof(*subs));

	if (!subs)
		return false;
	memcpy(subs, r->subs, r->count * sizeof(*subs));
	if (r->subs != r->inline_subs)
		rc_pool_put(h->pool, r->subs, r->capacity * sizeof(*subs));
	r->subs = subs;
	r->capacity = capacity;
	return true;
}

/* Half of the array and more is empty: a channel that emptied gives its memory back. */
static void shrink(struct rc_hub *h, struct rc_replica *r)
{
	if (r->subs == r->inline_subs || r->count > r->capacity / 4)
		return;
	uint32_t capacity = r->capacity / 2;
	if (r->count <= RC_ARRAY_LEN(r->inline_subs)) {
		uint32_t *old = r->subs;
		memcpy(r->inline_subs, old, r->count * sizeof(*old));
		r->subs = r->inline_subs;
		rc_pool_put(h->pool, old, r->capacity * sizeof(*old));
		r->capacity = RC_ARRAY_LEN(r->inline_subs);
		return;
	}
	capacity = (uint32_t)(rc_pool_size((size_t)capacity * sizeof(*r->subs)) / sizeof(*r->subs));
	if (capacity >= r->capacity)
		return;
	uint32_t *subs = rc_pool_get(h->pool, capacity * sizeof(*subs));
	if (!subs)
		return;
	memcpy(subs, r->subs, r->count * sizeof(*subs));
	rc_pool_put(h->pool, r->subs, r->capacity * sizeof(*subs));
	r->subs = subs;
	r->capacity = capacity;
}

uint32_t rc_replica_named(const struct rc_hub *h, struct rc_str name, uint32_t hash)
{
	struct name_probe probe = {h, name};

	return rc_table_find(&h->replica_table, hash, same_name, &probe);
}

/*
 * The first RC_SUB_WALK of a connection's list are found by walking it, and every one of those that are not in the table is
 * among them: who comes later goes behind them and into the table.
 */
uint32_t rc_replica_find_by_base(
	const struct rc_hub *h, uint32_t conn, uint32_t first_sub, uint32_t base)
{
	uint32_t sub = first_sub;

	for (uint32_t i = 0; i < RC_SUB_WALK && sub != RC_NONE; i++) {
		if (base_of(h, rc_hub_sub(h, sub)) == base &&
			!(rc_hub_sub(h, sub)->flags & RC_SUB_REPLACED))
			return sub;
		sub = rc_hub_sub(h, sub)->next;
	}
	if (sub == RC_NONE)
		return RC_NONE;
	struct sub_probe probe = {h, conn, base};
	return rc_table_find(&h->sub_table, sub_hash(h, conn, base), same_sub, &probe);
}

static void link_sub(struct rc_hub *h, uint32_t index, uint32_t *first_sub)
{
	struct rc_sub *s = rc_hub_sub(h, index);
	uint32_t last = RC_NONE;
	uint32_t at = *first_sub;
	uint32_t count = 0;

	for (; count < RC_SUB_WALK && at != RC_NONE; count++) {
		last = at;
		at = rc_hub_sub(h, at)->next;
	}
	if (count < RC_SUB_WALK) {
		s->next = *first_sub;
		*first_sub = index;
		return;
	}
	s->next = at;
	rc_hub_sub(h, last)->next = index;
	s->flags |= RC_SUB_INDEXED;
	rc_table_add(&h->sub_table, sub_hash(h, s->conn, base_of(h, s)), index);
}

uint32_t rc_replica_join(
	struct rc_hub *h, uint32_t index, uint32_t conn, uint32_t *first_sub, uint32_t flags)
{
	struct rc_replica *r = rc_hub_replica(h, index);
	uint32_t sub = rc_slab_get(&h->subs);

	if (sub == RC_NONE)
		return RC_NONE;
	if (r->count == r->capacity && !grow(h, r)) {
		rc_slab_put(&h->subs, sub);
		return RC_NONE;
	}
	*rc_hub_sub(h, sub) = (struct rc_sub){
		.cursor = r->log.tail,
		.conn = conn,
		.replica = index,
		.place = r->count,
		.listed_next = RC_NONE,
		.flags = flags,
	};
	r->subs[r->count++] = sub;
	if (r->rendition != RC_RENDITION_WS)
		rc_stream_counted(h, r, 1);
	/* It stands in the way of the flush that comes round to the places before it. */
	if (r->flush_left)
		r->flush_left++;
	r->paused += (flags & RC_SUB_PAUSED) != 0;
	link_sub(h, sub, first_sub);
	h->own_subs += (flags & RC_SUB_HIDDEN) != 0;
	rc_gauge_set(h->counters, RC_C_subscriptions, h->subs.used - h->own_subs);
	return sub;
}

void rc_replica_used_again(struct rc_hub *h, uint32_t index)
{
	const struct rc_replica *r = rc_hub_replica(h, index);

	if (r->state == RC_REPLICA_LEAVING)
		rc_replica_come_back(h, index);
	else if (r->owned != RC_NONE)
		rc_owner_local(h, r->owned, true);
}

enum rc_subscribe_result rc_replica_subscribe(struct rc_hub *h, uint32_t conn, uint32_t *first_sub,
	struct rc_str name, bool pattern, uint32_t flags, uint32_t *out)
{
	uint32_t hash = rc_hub_hash(h, name);
	uint32_t index = rc_replica_named(h, name, hash);
	bool fresh = index == RC_NONE;

	*out = RC_NONE;
	if (!fresh) {
		*out = rc_replica_find_by_base(h, conn, *first_sub, index);
		if (*out != RC_NONE)
			return RC_SUBSCRIBED_ALREADY;
	} else {
		index = rc_replica_create(h, name, hash, pattern);
		if (index == RC_NONE)
			return RC_SUBSCRIBE_FULL;
	}
	struct rc_replica *r = rc_hub_replica(h, index);
	bool used = rc_replica_used(r);
	*out = rc_replica_join(h, index, conn, first_sub, flags);
	if (*out == RC_NONE) {
		if (fresh)
			rc_replica_destroy(h, index);
		return RC_SUBSCRIBE_FULL;
	}
	if (fresh)
		rc_replica_ask(h, index);
	else if (!used)
		rc_replica_used_again(h, index);
	if (r->refused) {
		/* The owner was ourselves, and has no room. */
		rc_replica_unsubscribe(h, *out, first_sub);
		*out = RC_NONE;
		return RC_SUBSCRIBE_FULL;
	}
	return RC_SUBSCRIBED;
}

uint32_t rc_replica_find_sub(
	struct rc_hub *h, uint32_t conn, uint32_t first_sub, struct rc_str name)
{
	uint32_t index = rc_replica_named(h, name, rc_hub_hash(h, name));

	if (index == RC_NONE)
		return RC_NONE;
	return rc_replica_find_by_base(h, conn, first_sub, index);
}

void rc_replica_unsubscribe(struct rc_hub *h, uint32_t sub, uint32_t *first_sub)
{
	struct rc_sub *s = rc_hub_sub(h, sub);
	struct rc_replica *r = rc_hub_replica(h, s->replica);
	uint32_t index = s->replica;
	uint32_t *link = first_sub;

	RC_DASSERT(!(s->flags & RC_SUB_LISTED));
	while (*link != sub)
		link = &rc_hub_sub(h, *link)->next;
	*link = s->next;
	if (s->flags & RC_SUB_PAUSED)
		r->paused--;
	else if (s->cursor < r->log.tail)
		r->behind--;
	uint32_t last = r->subs[--r->count];
	if (r->rendition != RC_RENDITION_WS)
		rc_stream_counted(h, r, UINT32_MAX);
	r->subs[s->place] = last;
	rc_hub_sub(h, last)->place = s->place;
	/* The one that moved may have jumped over the flush's place: everybody is visited again. */
	if (r->flush_left)
		r->flush_left = r->count;
	if (r->flush_next >= r->count)
		r->flush_next = 0;
	if (s->flags & RC_SUB_INDEXED)
		rc_table_remove(&h->sub_table, sub_hash(h, s->conn, base_of(h, s)), sub);
	h->own_subs -= (s->flags & RC_SUB_HIDDEN) != 0;
	rc_slab_put(&h->subs, sub);
	rc_gauge_set(h->counters, RC_C_subscriptions, h->subs.used - h->own_subs);
	if (r->behind == 0)
		rc_replica_settled(h, r);
	shrink(h, r);
	if (r->count == 0)
		rc_replica_leave(h, index);
}

/* ---- cursors ------------------------------------------------------------------------------------ */

void rc_replica_resume(struct rc_hub *h, uint32_t sub)
{
	struct rc_sub *s = rc_hub_sub(h, sub);

	struct rc_replica *r = rc_hub_replica(h, s->replica);

	RC_DASSERT(s->flags & RC_SUB_PAUSED);
	rc_view_settle(h, s->replica);
	s->flags &= ~(uint32_t)RC_SUB_PAUSED;
	s->cursor = r->log.tail;
	r->paused--;
}

void rc_replica_resume_at(struct rc_hub *h, uint32_t sub, uint64_t pos)
{
	struct rc_sub *s = rc_hub_sub(h, sub);
	struct rc_replica *r = rc_hub_replica(h, s->replica);

	rc_replica_resume(h, sub);
	if (pos == r->log.tail)
		return;
	RC_ASSERT(pos >= r->log.head && pos < r->log.tail);
	s->cursor = pos;
	s->flags |= RC_SUB_PAST;
	r->behind++;
	/* A flush that has passed it by already must not take what it needs. */
	if (r->flush_left)
		r->flush_low = RC_MIN(r->flush_low, pos);
}

void rc_replica_hold(struct rc_hub *h, uint32_t sub)
{
	rc_replica_resume(h, sub);
	rc_hub_sub(h, sub)->flags |= RC_SUB_HELD;
}

void rc_replica_pause(struct rc_hub *h, uint32_t sub)
{
	struct rc_sub *s = rc_hub_sub(h, sub);
	struct rc_replica *r = rc_hub_replica(h, s->replica);

	RC_DASSERT(s->flags & RC_SUB_HELD);
	if (s->cursor < r->log.tail)
		rc_replica_advance(h, s, r->log.tail);
	s->flags = (s->flags & ~(uint32_t)RC_SUB_HELD) | RC_SUB_PAUSED;
	r->paused++;
}

void rc_replica_advance(struct rc_hub *h, struct rc_sub *s, uint64_t cursor)
{
	struct rc_replica *r = rc_hub_replica(h, s->replica);

	RC_DASSERT(cursor >= s->cursor && cursor <= r->log.tail);
	if (s->cursor < r->log.tail && cursor == r->log.tail) {
		RC_DASSERT(r->behind > 0);
		s->flags &= ~(uint32_t)(RC_SUB_PAST | RC_SUB_HOLE);
		if (--r->behind == 0)
			rc_replica_settled(h, r);
	}
	s->cursor = cursor;
}

void rc_replica_release(struct rc_hub *h, struct rc_replica *r, uint64_t low)
{
	rc_replica_trim(h, r, low);
}

uint32_t rc_replica_lag_max(const struct rc_hub *h, const struct rc_replica *r)
{
	uint32_t limit = h->namespaces[r->ns].lag_bytes;
	uint64_t total = (uint64_t)h->arena->units * RC_BUDDY_MIN;

	/* The fuller the arena, the less of it a laggard may hold: memory stays for those who keep up. */
	if (h->arena->used_bytes > total / 8 * 7)
		return RC_MAX(limit / 16, 4096u);
	if (h->arena->used_bytes > total / 4 * 3)
		return RC_MAX(limit / 4, 4096u);
	return limit;
}
