/* SPDX-License-Identifier: Apache-2.0
 *
 * A few hubs of one gateway in one thread, wired by queues instead of rings: asks and tells lie there until the test
 * delivers them, and room is refused when the test says so. Within a queue the order is kept, between queues the test
 * chooses it.
 */
#ifndef RC_TESTS_UNIT_HUBS_H
#define RC_TESTS_UNIT_HUBS_H

#include "../unit.h"

#include <stdio.h>

#include "base/random.h"
#include "hub/hub.h"
#include "mem/poison.h"

#define HUBS_MAX      3
#define HUBS_TEXT_MAX 4096

enum hubs_kind {
	HUBS_PUBLISH,
	HUBS_INTEREST,
	HUBS_FETCH,
	HUBS_PRESENCE,
	HUBS_PRESENCE_ASK,
	HUBS_CONSUMER_ASK,
	HUBS_EVENT,
	HUBS_INTEREST_OK,
	HUBS_FETCHED,
	HUBS_PRESENCE_TOLD,
	HUBS_CONSUMER_TOLD
};

struct hubs_record {
	struct hubs_record *next;
	enum hubs_kind kind;
	struct rc_interest interest;
	struct rc_interest_ok ok;
	struct rc_tell tell;
	struct rc_fetch fetch;
	struct rc_fetched fetched;
	struct rc_presence_change change;
	struct rc_presence_ask presence;
	struct rc_presence_told told;
	struct rc_consumer_ask consumer;
	struct rc_consumer_told consumer_told;
	uint32_t publish_len;
	char name[256];
	_Alignas(8) unsigned char bytes[];
};

struct hubs_queue {
	struct hubs_record *first, *last;
	uint32_t count;
};

struct hubs;

struct hubs_shard {
	struct hubs *all;
	uint32_t index;
	struct rc_hub hub;
	struct rc_buddy arena;
	struct rc_pool pool;
	struct rc_counters_shard counters;
	void *memory, *arena_memory, *arena_state;
};

struct hubs {
	uint32_t count;
	uint32_t refuse_percent; /* of the questions for room */
	uint32_t queue_max;
	size_t arena_bytes;
	uint64_t now_ns;
	struct rc_prng prng;
	struct rc_hub_namespace namespaces[2];
	struct hubs_shard shard[HUBS_MAX];
	struct hubs_queue asks[HUBS_MAX][HUBS_MAX], tells[HUBS_MAX][HUBS_MAX]; /* [from][to] */
	uint32_t fetch_room;
	/* What the test does; may be NULL. fetched: on the shard that asked. */
	void (*fetched)(struct hubs_shard *s, const struct rc_fetched *fetched);
	void (*told)(struct hubs_shard *s, const struct rc_presence_told *told);
	void (*consumer)(struct hubs_shard *s, const struct rc_consumer_told *told);
	void (*ready)(struct hubs_shard *s, uint32_t replica, bool taken);
	void (*overrun)(struct hubs_shard *s, uint32_t replica);
	void (*lost)(struct hubs_shard *s, uint32_t replica);
	bool (*publish)(struct hubs_shard *s, const char *channel, uint32_t len);
};

static inline struct hubs_record *hubs_put(struct hubs_queue *q, enum hubs_kind kind,
	struct rc_str name, const void *bytes, size_t len)
{
	struct hubs_record *r = malloc(sizeof(*r) + len);

	assert_non_null(r);
	assert_true(name.len < sizeof(r->name));
	memset(r, 0, sizeof(*r));
	r->kind = kind;
	if (name.len)
		memcpy(r->name, name.ptr, name.len);
	r->name[name.len] = 0;
	if (len)
		memcpy(r->bytes, bytes, len);
	if (q->last)
		q->last->next = r;
	else
		q->first = r;
	q->last = r;
	q->count++;
	return r;
}

static inline void hubs_drop_first(struct hubs_queue *q)
{
	struct hubs_record *r = q->first;

	q->first = r->next;
	if (!q->first)
		q->last = NULL;
	q->count--;
	free(r);
}

static inline bool hubs_room(struct hubs *h, const struct hubs_queue *q, uint32_t records)
{
	return q->count + records <= h->queue_max &&
	       rc_prng_below(&h->prng, 100) >= h->refuse_percent;
}

/* ---- the port ----------------------------------------------------------------------------------- */

static inline bool hubs_can_tell(void *ctx, uint64_t shards, size_t name_len, size_t frame_len)
{
	struct hubs_shard *s = ctx;

	(void)name_len;
	(void)frame_len;
	assert_true(shards >> s->all->count == 0);
	for (uint32_t i = 0; i < s->all->count; i++) {
		if (i != s->index && (shards >> i & 1) &&
			!hubs_room(s->all, &s->all->tells[s->index][i], 1))
			return false;
	}
	return true;
}

static inline void hubs_tell(void *ctx, uint32_t shard, const struct rc_tell *t)
{
	struct hubs_shard *s = ctx;

	assert_true(shard < s->all->count);
	assert_true(t->direct || t->pattern);
	if (shard == s->index) {
		rc_replica_tell(&s->hub, t);
		return;
	}
	struct hubs_record *r = hubs_put(
		&s->all->tells[s->index][shard], HUBS_EVENT, t->channel, t->frame, t->frame_len);
	r->tell = *t;
	r->tell.channel = (struct rc_str){r->name, t->channel.len};
	r->tell.frame = r->bytes;
}

static inline bool hubs_tell_interest(void *ctx, uint32_t shard, const struct rc_interest_ok *ok)
{
	struct hubs_shard *s = ctx;

	if (shard == s->index) {
		rc_replica_interest_ok(&s->hub, ok);
		return true;
	}
	if (!hubs_room(s->all, &s->all->tells[s->index][shard], 1))
		return false;
	hubs_put(&s->all->tells[s->index][shard], HUBS_INTEREST_OK, RC_STR(""), NULL, 0)->ok = *ok;
	return true;
}

static inline bool hubs_ask_interest(void *ctx, uint32_t shard, const struct rc_interest *ask)
{
	struct hubs_shard *s = ctx;

	assert_int_equal(ask->shard, s->index);
	if (shard == s->index)
		return rc_owner_interest(&s->hub, ask);
	if (!hubs_room(s->all, &s->all->asks[s->index][shard], 1))
		return false;
	struct hubs_record *r =
		hubs_put(&s->all->asks[s->index][shard], HUBS_INTEREST, ask->name, NULL, 0);
	r->interest = *ask;
	r->interest.name = (struct rc_str){r->name, ask->name.len};
	return true;
}

static inline void hubs_replica_ready(void *ctx, uint32_t replica, bool taken)
{
	struct hubs_shard *s = ctx;

	if (s->all->ready)
		s->all->ready(s, replica, taken);
}

static inline void hubs_replica_overrun(void *ctx, uint32_t replica)
{
	struct hubs_shard *s = ctx;

	if (s->all->overrun)
		s->all->overrun(s, replica);
}

static inline void hubs_replica_lost(void *ctx, uint32_t replica)
{
	struct hubs_shard *s = ctx;

	if (s->all->lost)
		s->all->lost(s, replica);
}

static inline uint32_t hubs_fetch_room(void *ctx, uint32_t shard)
{
	struct hubs_shard *s = ctx;

	if (shard != s->index && !hubs_room(s->all, &s->all->tells[s->index][shard], 1))
		return 0;
	return s->all->fetch_room;
}

static inline void hubs_tell_fetched(void *ctx, uint32_t shard, const struct rc_fetched *fetched)
{
	struct hubs_shard *s = ctx;

	if (shard == s->index) {
		if (s->all->fetched)
			s->all->fetched(s, fetched);
		return;
	}
	struct hubs_record *r = hubs_put(&s->all->tells[s->index][shard], HUBS_FETCHED, RC_STR(""),
		fetched->frames, fetched->frames_len);
	r->fetched = *fetched;
	r->fetched.frames = r->bytes;
}

/* To an owner, as the shard's port does it. */
static inline bool hubs_fetch(struct hubs_shard *s, uint32_t owner, const struct rc_fetch *q)
{
	if (owner == s->index)
		return rc_owner_fetch(&s->hub, q);
	if (!hubs_room(s->all, &s->all->asks[s->index][owner], 1))
		return false;
	struct hubs_record *r = hubs_put(
		&s->all->asks[s->index][owner], HUBS_FETCH, RC_STR(""), q->names.ptr, q->names.len);
	r->fetch = *q;
	r->fetch.names.ptr = (const char *)r->bytes;
	return true;
}

static inline bool hubs_ask_presence(void *ctx, uint32_t owner, const struct rc_presence_change *c)
{
	struct hubs_shard *s = ctx;
	char text[HUBS_TEXT_MAX];

	if (owner == s->index) {
		rc_presence_take(&s->hub, c);
		return true;
	}
	if (!hubs_room(s->all, &s->all->asks[s->index][owner], 1))
		return false;
	char *end = rc_str_copy(rc_str_copy(text, c->user), c->info);
	struct hubs_record *r = hubs_put(&s->all->asks[s->index][owner], HUBS_PRESENCE, c->channel,
		text, (size_t)(end - text));
	r->change = *c;
	r->change.channel.ptr = r->name;
	r->change.user.ptr = (const char *)r->bytes;
	r->change.info.ptr = (const char *)r->bytes + c->user.len;
	return true;
}

static inline void hubs_tell_presence(
	void *ctx, uint32_t shard, const struct rc_presence_told *told)
{
	struct hubs_shard *s = ctx;

	if (shard == s->index) {
		s->all->told(s, told);
		return;
	}
	struct hubs_record *r = hubs_put(&s->all->tells[s->index][shard], HUBS_PRESENCE_TOLD,
		RC_STR(""), told->users, told->users_len);
	r->told = *told;
	r->told.users = (const char *)r->bytes;
}

/* To an owner, as the shard's port does it. */
static inline bool hubs_presence(
	struct hubs_shard *s, uint32_t owner, const struct rc_presence_ask *q)
{
	if (owner == s->index)
		return rc_presence_answer(&s->hub, q);
	if (!hubs_room(s->all, &s->all->asks[s->index][owner], 1))
		return false;
	struct hubs_record *r =
		hubs_put(&s->all->asks[s->index][owner], HUBS_PRESENCE_ASK, q->channel, NULL, 0);
	r->presence = *q;
	r->presence.channel.ptr = r->name;
	return true;
}

static inline bool hubs_tell_consumer(
	void *ctx, uint32_t shard, const struct rc_consumer_told *told)
{
	struct hubs_shard *s = ctx;

	if (shard == s->index) {
		s->all->consumer(s, told);
		return true;
	}
	if (!hubs_room(s->all, &s->all->tells[s->index][shard], 1))
		return false;
	struct hubs_record *r = hubs_put(&s->all->tells[s->index][shard], HUBS_CONSUMER_TOLD,
		RC_STR(""), told->frame, told->frame_len);
	r->consumer_told = *told;
	r->consumer_told.frame = r->bytes;
	return true;
}

/* To an owner, as the shard's port does it. */
static inline bool hubs_consumer(
	struct hubs_shard *s, uint32_t owner, const struct rc_consumer_ask *ask)
{
	char text[HUBS_TEXT_MAX];

	if (owner == s->index)
		return rc_consumer_asked(&s->hub, ask);
	if (!hubs_room(s->all, &s->all->asks[s->index][owner], 1))
		return false;
	char *end = rc_str_copy(rc_str_copy(text, ask->user), ask->client);
	struct hubs_record *r = hubs_put(&s->all->asks[s->index][owner], HUBS_CONSUMER_ASK,
		ask->channel, text, (size_t)(end - text));
	r->consumer = *ask;
	r->consumer.channel.ptr = r->name;
	r->consumer.user.ptr = (const char *)r->bytes;
	r->consumer.client.ptr = (const char *)r->bytes + ask->user.len;
	return true;
}

static inline uint32_t hubs_namespace_of(void *ctx, struct rc_str channel)
{
	(void)ctx;
	if (rc_str_starts(channel, RC_STR(RC_DEAD_PREFIX)))
		channel = (struct rc_str){channel.ptr + 6, channel.len - 6};
	return rc_str_starts(channel, RC_STR("keyed:")) ? 1 : 0;
}

/* ---- coming and going --------------------------------------------------------------------------- */

static inline uint64_t hubs_channels(void *ctx)
{
	const struct hubs_shard *s = ctx;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < s->all->count; i++)
		sum += s->all->shard[i].hub.owned.used;
	return sum;
}

static inline void hubs_open(struct hubs *h, uint32_t count, const struct rc_hub_limits *limits,
	size_t arena_bytes, uint64_t seed)
{
	static const struct rc_hash_key key = {5, 6};

	memset(h, 0, sizeof(*h));
	h->count = count;
	h->queue_max = UINT32_MAX / 2;
	h->arena_bytes = arena_bytes;
	h->now_ns = 1000000000;
	h->fetch_room = UINT32_MAX;
	rc_prng_seed(&h->prng, seed);
	h->namespaces[0] = (struct rc_hub_namespace){
		.lag_bytes = 1u << 20, .raw = true, .channel_ttl_ms = 10000};
	h->namespaces[1] = (struct rc_hub_namespace){
		.lag_bytes = 1u << 20, .key = RC_STR("k"), .channel_ttl_ms = 20000};
	for (uint32_t i = 0; i < count; i++) {
		struct hubs_shard *s = &h->shard[i];
		struct rc_hub_limits l = *limits;
		const struct rc_hub_port port = {
			.ctx = s,
			.can_tell = hubs_can_tell,
			.tell = hubs_tell,
			.tell_interest = hubs_tell_interest,
			.ask_interest = hubs_ask_interest,
			.replica_ready = hubs_replica_ready,
			.replica_overrun = hubs_replica_overrun,
			.replica_lost = hubs_replica_lost,
			.fetch_room = hubs_fetch_room,
			.tell_fetched = hubs_tell_fetched,
			.ask_presence = hubs_ask_presence,
			.tell_presence = hubs_tell_presence,
			.tell_consumer = hubs_tell_consumer,
			.namespace_of = hubs_namespace_of,
			.channels = hubs_channels,
		};
		l.channels_max = UINT32_MAX;
		l.shards = count;
		l.shard = i;
		s->all = h;
		s->index = i;
		s->memory = aligned_alloc(64, rc_align_up(rc_hub_bytes(&l), 64));
		s->arena_memory = aligned_alloc(4096, arena_bytes);
		s->arena_state = calloc(1, rc_buddy_state_bytes(arena_bytes));
		assert_non_null(s->memory);
		assert_non_null(s->arena_memory);
		assert_non_null(s->arena_state);
		memset(s->memory, 0, rc_hub_bytes(&l));
		rc_buddy_init(&s->arena, s->arena_memory, arena_bytes, s->arena_state);
		rc_pool_init(&s->pool, &s->arena);
		rc_hub_init(&s->hub, &l, &port, h->namespaces, &key, &s->arena, &s->pool,
			&s->counters, s->memory);
		rc_hub_time(&s->hub, h->now_ns);
	}
}

static inline void hubs_close(struct hubs *h)
{
	for (uint32_t i = 0; i < h->count; i++) {
		struct hubs_shard *s = &h->shard[i];
		for (uint32_t k = 0; k < h->count; k++) {
			while (h->asks[i][k].first)
				hubs_drop_first(&h->asks[i][k]);
			while (h->tells[i][k].first)
				hubs_drop_first(&h->tells[i][k]);
		}
		/* The pools' marks of what must not be touched end with them. */
		RC_UNPOISON(s->memory, rc_hub_bytes(&s->hub.limits));
		RC_UNPOISON(s->arena_memory, h->arena_bytes);
		free(s->memory);
		free(s->arena_memory);
		free(s->arena_state);
	}
}

static inline void hubs_check(const struct hubs *h)
{
	for (uint32_t i = 0; i < h->count; i++) {
		const struct rc_hub *hub = &h->shard[i].hub;
		rc_hub_check(hub);
		assert_int_equal(rc_counter_get(hub->counters, RC_C_subscriptions),
			hub->subs.used - hub->own_subs);
		assert_int_equal(rc_counter_get(hub->counters, RC_C_channels),
			hub->owned.used - hub->own_channels);
	}
}

static inline void hubs_time(struct hubs *h, uint64_t ms)
{
	h->now_ns += ms * 1000000;
	for (uint32_t i = 0; i < h->count; i++)
		rc_hub_time(&h->shard[i].hub, h->now_ns);
}

/* ---- delivering --------------------------------------------------------------------------------- */

/* The first record of that queue reaches its shard. False when there is none, or it has to stay for want of room. */
static inline bool hubs_take_ask(struct hubs *h, uint32_t from, uint32_t to)
{
	struct hubs_queue *q = &h->asks[from][to];
	const struct hubs_record *r = q->first;

	if (!r)
		return false;
	bool done = false;
	if (r->kind == HUBS_INTEREST)
		done = rc_owner_interest(&h->shard[to].hub, &r->interest);
	else if (r->kind == HUBS_FETCH)
		done = rc_owner_fetch(&h->shard[to].hub, &r->fetch);
	else if (r->kind == HUBS_CONSUMER_ASK)
		done = rc_consumer_asked(&h->shard[to].hub, &r->consumer);
	else if (r->kind == HUBS_PRESENCE_ASK)
		done = rc_presence_answer(&h->shard[to].hub, &r->presence);
	else if (r->kind == HUBS_PRESENCE) {
		rc_presence_take(&h->shard[to].hub, &r->change);
		done = true;
	} else
		done = h->publish(&h->shard[to], r->name, r->publish_len);
	if (done)
		hubs_drop_first(q);
	return done;
}

static inline bool hubs_take_tell(struct hubs *h, uint32_t from, uint32_t to)
{
	struct hubs_queue *q = &h->tells[from][to];
	const struct hubs_record *r = q->first;

	if (!r)
		return false;
	if (r->kind == HUBS_EVENT) {
		rc_replica_tell(&h->shard[to].hub, &r->tell);
	} else if (r->kind == HUBS_FETCHED) {
		rc_hub_stamped(&h->shard[to].hub, from, r->fetched.stamp);
		if (h->fetched)
			h->fetched(&h->shard[to], &r->fetched);
	} else if (r->kind == HUBS_CONSUMER_TOLD) {
		h->consumer(&h->shard[to], &r->consumer_told);
	} else if (r->kind == HUBS_PRESENCE_TOLD) {
		h->told(&h->shard[to], &r->told);
	} else {
		rc_replica_interest_ok(&h->shard[to].hub, &r->ok);
	}
	hubs_drop_first(q);
	return true;
}

/* Delivers everything that can be. */
static inline void hubs_settle(struct hubs *h)
{
	for (bool again = true; again;) {
		again = false;
		for (uint32_t i = 0; i < h->count; i++) {
			uint32_t listed = h->shard[i].hub.ask_first;
			if (listed != RC_NONE)
				rc_replica_ask_again(&h->shard[i].hub);
			for (uint32_t k = 0; k < h->count; k++) {
				while (hubs_take_tell(h, i, k))
					again = true;
				while (hubs_take_ask(h, i, k))
					again = true;
			}
		}
	}
}

static inline uint32_t hubs_owner(const struct hubs *h, const char *channel)
{
	const struct rc_hub *hub = &h->shard[0].hub;

	return rc_hub_owner(hub, rc_hub_hash(hub, rc_str_of(channel)));
}

/* A name that this shard owns: prefix and a number. */
static inline const char *hubs_name_of(
	const struct hubs *h, uint32_t owner, const char *prefix, char out[64])
{
	for (uint32_t i = 0;; i++) {
		(void)snprintf(out, 64, "%s%u", prefix, i);
		if (hubs_owner(h, out) == owner)
			return out;
	}
}

/* All that subscribers and publishers ever took is back. */
static inline void hubs_assert_empty(struct hubs *h)
{
	hubs_check(h);
	for (uint32_t i = 0; i < h->count; i++) {
		struct hubs_shard *s = &h->shard[i];
		assert_int_equal(s->hub.subs.used, 0);
		assert_int_equal(s->hub.replicas.used, 0);
		assert_int_equal(s->hub.owned.used, 0);
		assert_int_equal(s->hub.trie.nodes.used, 1);
		assert_int_equal(s->hub.trie.patterns, 0);
		assert_int_equal(s->hub.dirty_count, 0);
		assert_int_equal(s->hub.dirty_first, RC_NONE);
		assert_int_equal(s->hub.ask_first, RC_NONE);
		assert_int_equal(s->hub.idle_first, RC_NONE);
		assert_int_equal(s->hub.idle_last, RC_NONE);
		assert_int_equal(rc_counter_get(&s->counters, RC_C_patterns), 0);
		assert_int_equal(s->pool.used_bytes, 0);
		/* The pool keeps an empty page per class. */
		assert_true(s->arena.used_bytes <= RC_POOL_CLASSES * (uint64_t)RC_POOL_PAGE);
		rc_buddy_check(&s->arena);
	}
}

#endif
