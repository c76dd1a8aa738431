/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/hub.h"

struct name_probe {
	const struct rc_hub *hub;
	struct rc_str name;
};

struct sub_probe {
	const struct rc_hub *hub;
	uint32_t conn, replica;
};

static bool same_name(const void *ctx, uint32_t index)
{
	const struct name_probe *p = ctx;

	return rc_str_eq(rc_replica_name(rc_hub_replica(p->hub, index)), p->name);
}

static bool same_sub(const void *ctx, uint32_t index)
{
	const struct sub_probe *p = ctx;
	const struct rc_sub *s = rc_hub_sub(p->hub, index);

	return s->conn == p->conn && s->replica == p->replica;
}

static uint32_t sub_hash(const struct rc_hub *h, uint32_t conn, uint32_t replica)
{
	return (uint32_t)rc_hash_u64(&h->key, (uint64_t)conn << 32 | replica);
}

static uint64_t all_shards(const struct rc_hub *h)
{
	return h->limits.shards == 64 ? UINT64_MAX : ((uint64_t)1 << h->limits.shards) - 1;
}

static void held_changed(struct rc_hub *h, const struct rc_replica *r, uint32_t before)
{
	if (r->log.held == before)
		return;
	h->log_bytes += (uint64_t)r->log.held - before;
	rc_gauge_set(h->counters, RC_C_log_bytes, h->log_bytes);
}

static unsigned char *log_reserve(struct rc_hub *h, struct rc_replica *r, uint32_t len)
{
	uint32_t held = r->log.held;
	unsigned char *room = rc_log_reserve(&r->log, h->arena, len);

	held_changed(h, r, held);
	return room;
}

static void log_clear(struct rc_hub *h, struct rc_replica *r)
{
	uint32_t held = r->log.held;

	rc_log_clear(&r->log, h->arena);
	held_changed(h, r, held);
}

/* ---- asking the owners -------------------------------------------------------------------------- */

static void destroy(struct rc_hub *h, uint32_t index);

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
	return r->ask_shards == 0;
}

static void ask_or_list(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);

	if (!ask_owners(h, index))
		ask_list(h, index);
	else if (r->state == RC_REPLICA_LEAVING && !r->ask_listed && r->answers_due == 0)
		destroy(h, index);
}

void rc_replica_ask_again(struct rc_hub *h)
{
	uint32_t index = h->ask_first;

	h->ask_first = RC_NONE;
	while (index != RC_NONE) {
		struct rc_replica *r = rc_hub_replica(h, index);
		uint32_t next = r->ask_next;
		r->ask_listed = false;
		ask_or_list(h, index);
		index = next;
	}
}

/* ---- coming and going --------------------------------------------------------------------------- */

static uint32_t create(struct rc_hub *h, struct rc_str name, uint32_t hash, bool pattern)
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
	r->ask_shards = pattern ? all_shards(h) : (uint64_t)1 << rc_hub_owner(h, hash);
	r->oks_left = (uint32_t)__builtin_popcountll(r->ask_shards);
	r->dirty_next = r->ask_next = RC_NONE;
	rc_last_values_init(&r->last);
	rc_table_add(&h->replica_table, hash, index);
	return index;
}

static void dirty_unlink(struct rc_hub *h, uint32_t index)
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

static void destroy(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);

	RC_ASSERT(r->count == 0 && !r->ask_listed);
	if (r->dirty)
		dirty_unlink(h, index);
	if (r->pattern)
		rc_gauge_add(h->counters, RC_C_patterns, -1);
	log_clear(h, r);
	rc_last_values_clear(&r->last, h->pool);
	if (r->subs != r->inline_subs)
		rc_pool_put(h->pool, r->subs, r->capacity * sizeof(*r->subs));
	rc_table_remove(&h->replica_table, r->hash, index);
	rc_pool_put(h->pool, r->name, r->name_len);
	rc_slab_put(&h->replicas, index);
}

/* The last subscriber left. */
static void leave(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);

	if (r->pinned)
		return;
	log_clear(h, r);
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
	ask_or_list(h, index);
}

/* Somebody came back before the owners heard that all had left. */
static void come_back(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);
	uint64_t want = r->pattern ? all_shards(h) : (uint64_t)1 << rc_hub_owner(h, r->hash);

	/* A new life: answers to the earlier one are not for it, and events between are not complete. */
	r->token = h->token_next++;
	r->state = RC_REPLICA_ASKING;
	r->refused = false;
	r->ask_shards = want;
	r->oks_left = (uint32_t)__builtin_popcountll(want);
	ask_or_list(h, index);
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

static uint32_t find_replica(const struct rc_hub *h, struct rc_str name, uint32_t hash)
{
	struct name_probe probe = {h, name};

	return rc_table_find(&h->replica_table, hash, same_name, &probe);
}

/*
 * The first RC_SUB_WALK of a connection's list are found by walking it, and every one of those that are not in the table is
 * among them: who comes later goes behind them and into the table.
 */
static uint32_t find_sub(
	const struct rc_hub *h, uint32_t conn, uint32_t first_sub, uint32_t replica)
{
	uint32_t sub = first_sub;

	for (uint32_t i = 0; i < RC_SUB_WALK && sub != RC_NONE; i++) {
		if (rc_hub_sub(h, sub)->replica == replica)
			return sub;
		sub = rc_hub_sub(h, sub)->next;
	}
	if (sub == RC_NONE)
		return RC_NONE;
	struct sub_probe probe = {h, conn, replica};
	return rc_table_find(&h->sub_table, sub_hash(h, conn, replica), same_sub, &probe);
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
	rc_table_add(&h->sub_table, sub_hash(h, s->conn, s->replica), index);
}

enum rc_subscribe_result rc_replica_subscribe(struct rc_hub *h, uint32_t conn, uint32_t *first_sub,
	struct rc_str name, bool pattern, uint32_t flags, uint32_t *out)
{
	uint32_t hash = rc_hub_hash(h, name);
	uint32_t index = find_replica(h, name, hash);
	bool fresh = index == RC_NONE;

	*out = RC_NONE;
	if (!fresh) {
		*out = find_sub(h, conn, *first_sub, index);
		if (*out != RC_NONE)
			return RC_SUBSCRIBED_ALREADY;
	}
	uint32_t sub = rc_slab_get(&h->subs);
	if (sub == RC_NONE)
		return RC_SUBSCRIBE_FULL;
	if (fresh)
		index = create(h, name, hash, pattern);
	if (index == RC_NONE) {
		rc_slab_put(&h->subs, sub);
		return RC_SUBSCRIBE_FULL;
	}
	struct rc_replica *r = rc_hub_replica(h, index);
	if (r->count == r->capacity && !grow(h, r)) {
		rc_slab_put(&h->subs, sub);
		return RC_SUBSCRIBE_FULL;
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
	/* It stands in the way of the flush that comes round to the places before it. */
	if (r->flush_left)
		r->flush_left++;
	r->paused += (flags & RC_SUB_PAUSED) != 0;
	link_sub(h, sub, first_sub);
	h->own_subs += (flags & RC_SUB_HIDDEN) != 0;
	rc_gauge_set(h->counters, RC_C_subscriptions, h->subs.used - h->own_subs);
	*out = sub;
	if (fresh) {
		if (pattern)
			rc_gauge_add(h->counters, RC_C_patterns, 1);
		ask_or_list(h, index);
	} else if (r->state == RC_REPLICA_LEAVING) {
		come_back(h, index);
	}
	if (r->refused) {
		/* The owner was ourselves, and has no room. */
		rc_replica_unsubscribe(h, sub, first_sub);
		*out = RC_NONE;
		return RC_SUBSCRIBE_FULL;
	}
	return RC_SUBSCRIBED;
}

uint32_t rc_replica_find_sub(
	struct rc_hub *h, uint32_t conn, uint32_t first_sub, struct rc_str name)
{
	uint32_t index = find_replica(h, name, rc_hub_hash(h, name));

	if (index == RC_NONE)
		return RC_NONE;
	return find_sub(h, conn, first_sub, index);
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
	r->subs[s->place] = last;
	rc_hub_sub(h, last)->place = s->place;
	/* The one that moved may have jumped over the flush's place: everybody is visited again. */
	if (r->flush_left)
		r->flush_left = r->count;
	if (r->flush_next >= r->count)
		r->flush_next = 0;
	if (s->flags & RC_SUB_INDEXED)
		rc_table_remove(&h->sub_table, sub_hash(h, s->conn, index), sub);
	h->own_subs -= (s->flags & RC_SUB_HIDDEN) != 0;
	rc_slab_put(&h->subs, sub);
	rc_gauge_set(h->counters, RC_C_subscriptions, h->subs.used - h->own_subs);
	if (r->behind == 0)
		log_clear(h, r);
	shrink(h, r);
	if (r->count == 0)
		leave(h, index);
}

/* ---- cursors ------------------------------------------------------------------------------------ */

void rc_replica_resume(struct rc_hub *h, uint32_t sub)
{
	struct rc_sub *s = rc_hub_sub(h, sub);

	struct rc_replica *r = rc_hub_replica(h, s->replica);

	RC_DASSERT(s->flags & RC_SUB_PAUSED);
	s->flags &= ~(uint32_t)RC_SUB_PAUSED;
	s->cursor = r->log.tail;
	r->paused--;
}

void rc_replica_advance(struct rc_hub *h, struct rc_sub *s, uint64_t cursor)
{
	struct rc_replica *r = rc_hub_replica(h, s->replica);

	RC_DASSERT(cursor >= s->cursor && cursor <= r->log.tail);
	if (s->cursor < r->log.tail && cursor == r->log.tail) {
		RC_DASSERT(r->behind > 0);
		if (--r->behind == 0)
			log_clear(h, r);
	}
	s->cursor = cursor;
}

void rc_replica_release(struct rc_hub *h, struct rc_replica *r, uint64_t low)
{
	uint32_t held = r->log.held;

	rc_log_trim(&r->log, h->arena, low);
	held_changed(h, r, held);
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

/* ---- events ------------------------------------------------------------------------------------- */

static void mark_dirty(struct rc_hub *h, uint32_t index)
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
		mark_dirty(h, index);
		r->flush_left = left;
		r->flush_low = low;
	}
}

static void append(struct rc_hub *h, uint32_t index, const struct rc_tell *t)
{
	struct rc_replica *r = rc_hub_replica(h, index);

	if (r->count == 0)
		return;
	unsigned char *room = log_reserve(h, r, t->frame_len);
	if (!room) {
		/* The arena is full. Whoever is behind here is dealt with as too slow, which frees this log. */
		bool pinned = r->pinned;
		rc_count(h->counters, RC_C_arena_refused, 1);
		r->pinned = true; /* it may lose its last subscriber meanwhile */
		h->port.replica_overrun(h->port.ctx, index);
		room = r->count ? log_reserve(h, r, t->frame_len) : NULL;
		if (!room && r->count) {
			rc_count(h->counters, RC_C_events_skipped, r->count);
			rc_count_ns(h->counters, RC_N_skipped, r->ns, r->count);
			h->port.replica_lost(h->port.ctx, index);
		}
		r->pinned = pinned;
		if (!room) {
			if (r->count == 0)
				leave(h, index);
			return;
		}
	}
	memcpy(room, t->frame, t->frame_len);
	const struct rc_hub_namespace *ns = &h->namespaces[r->ns];
	if (ns->policy == RC_SLOW_LATEST && ns->key.len &&
		!rc_last_values_put(&r->last, h->pool, t->key, r->log.tail, t->frame, t->frame_len,
			ns->lag_bytes))
		rc_count(h->counters, RC_C_arena_refused, 1);
	rc_log_commit(&r->log, t->frame_len, h->now_ms, t->key);
	r->behind = r->count - r->paused;
	if (r->taken_ns == 0)
		r->taken_ns = t->taken_ns;
	rc_count(h->counters, RC_C_events_appended, 1);
	mark_dirty(h, index);
}

static void append_pattern(void *ctx, const struct rc_trie_leaf *leaf)
{
	void **pair = ctx;
	struct rc_hub *h = pair[0];
	const struct rc_tell *t = pair[1];

	if (leaf->replica == RC_NONE)
		return;
	struct rc_replica *r = rc_hub_replica(h, leaf->replica);
	if (r->state == RC_REPLICA_ACTIVE)
		append(h, leaf->replica, t);
}

void rc_replica_tell(struct rc_hub *h, const struct rc_tell *t)
{
	if (t->direct) {
		uint32_t index = find_replica(h, t->channel, t->hash);
		if (index != RC_NONE) {
			struct rc_replica *r = rc_hub_replica(h, index);
			if (r->state == RC_REPLICA_ACTIVE) {
				r->epoch = t->epoch;
				r->offset = t->offset;
				append(h, index, t);
			}
		}
	}
	if (t->pattern) {
		void *pair[2] = {h, (void *)(uintptr_t)t};
		rc_trie_match(&h->trie, t->channel, append_pattern, pair);
	}
}

void rc_replica_interest_ok(struct rc_hub *h, const struct rc_interest_ok *ok)
{
	struct rc_replica *r = rc_hub_replica(h, ok->replica);

	RC_ASSERT(r->answers_due > 0);
	r->answers_due--;
	if (r->token != ok->token || r->state != RC_REPLICA_ASKING) {
		/* The answer to an earlier life. */
		if (r->state == RC_REPLICA_LEAVING && !r->ask_listed && r->ask_shards == 0 &&
			r->answers_due == 0)
			destroy(h, ok->replica);
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
	h->port.replica_ready(h->port.ctx, ok->replica, !r->refused);
}
