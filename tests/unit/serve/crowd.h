/* SPDX-License-Identifier: Apache-2.0
 *
 * A few shards of one gateway in one thread, with users and their connections but no sockets: what they say to each other lies
 * in real rings, which may be small, until the test has it delivered.
 */
#ifndef RC_TESTS_UNIT_CROWD_H
#define RC_TESTS_UNIT_CROWD_H

#include "../io/rings.h"

#include "base/random.h"
#include "serve/users.h"
#include "sync/spsc.h"

#define CROWD_SHARDS 3
#define CROWD_FRAME  16384u

enum crowd_record { CROWD_USER = 1, CROWD_OUTCOME };

struct crowd;

struct crowd_shard {
	struct crowd *all;
	struct rc_hub hub;
	struct rc_buddy arena;
	struct rc_pool pool;
	struct rc_conns conns;
	struct rc_serve sv;
	struct rc_counters_shard counters;
	void *memory, *state, *table, *users;
};

struct crowd {
	struct ring ring;
	struct rc_config config;
	uint32_t count;
	struct crowd_shard shard[CROWD_SHARDS];
	struct rc_spsc asks[CROWD_SHARDS][CROWD_SHARDS], tells[CROWD_SHARDS][CROWD_SHARDS];
	void *rings;
	uint64_t outcomes, connections; /* that came back, and what they add up to */
};

static inline uint32_t crowd_index(const struct crowd_shard *s)
{
	return (uint32_t)(s - s->all->shard);
}

static inline struct rc_spsc *crowd_ring(struct crowd_shard *s, uint32_t shard, bool is_ask)
{
	struct crowd *k = s->all;

	assert_int_not_equal(crowd_index(s), shard);
	return is_ask ? &k->asks[crowd_index(s)][shard] : &k->tells[crowd_index(s)][shard];
}

static inline bool crowd_room(void *ctx, uint32_t shard, bool is_ask, size_t len)
{
	return rc_spsc_has_room(crowd_ring(ctx, shard, is_ask), len);
}

static inline void *crowd_reserve(void *ctx, uint32_t shard, bool is_ask, size_t len)
{
	return rc_spsc_reserve(crowd_ring(ctx, shard, is_ask), len);
}

static inline void crowd_commit(void *ctx, uint32_t shard, bool is_ask, size_t len)
{
	rc_spsc_commit(crowd_ring(ctx, shard, is_ask), CROWD_USER, len);
	(void)rc_spsc_publish(crowd_ring(ctx, shard, is_ask));
}

static inline void crowd_outcome(void *ctx, uint32_t shard, const struct rc_outcome *outcome)
{
	struct rc_spsc *ring = crowd_ring(ctx, shard, false);
	void *room = rc_spsc_reserve(ring, sizeof(*outcome));

	assert_non_null(room);
	memcpy(room, outcome, sizeof(*outcome));
	rc_spsc_commit(ring, CROWD_OUTCOME, sizeof(*outcome));
	(void)rc_spsc_publish(ring);
}

static inline void crowd_gone(void *ctx, struct rc_conn *c)
{
	rc_serve_gone(ctx, c);
}

static inline void crowd_nothing(void *ctx, struct rc_conn *c)
{
	(void)ctx;
	(void)c;
}

static inline void crowd_open_shard(
	struct crowd *k, uint32_t index, uint32_t conns_max, size_t arena_bytes)
{
	struct crowd_shard *s = &k->shard[index];
	const struct rc_conn_events events = {&s->sv, crowd_gone, crowd_nothing, crowd_nothing};

	s->all = k;
	s->memory = aligned_alloc(2u << 20, arena_bytes);
	s->state = calloc(1, rc_buddy_state_bytes(arena_bytes));
	s->table = calloc(1, rc_conns_bytes(conns_max));
	s->users = calloc(1, rc_users_bytes(conns_max, conns_max, CROWD_FRAME));
	assert_true(s->memory && s->state && s->table && s->users);
	rc_buddy_init(&s->arena, s->memory, arena_bytes, s->state);
	rc_pool_init(&s->pool, &s->arena);
	rc_conns_init(&s->conns, s->table, conns_max, k->ring.io, &s->pool, &s->counters, &events,
		1000, 1000);
	s->hub.limits = (struct rc_hub_limits){
		.shards = k->count, .shard = index, .frame_max = CROWD_FRAME};
	s->hub.key = (struct rc_hash_key){7, 9};
	s->hub.now_s = 100;
	s->sv.config = &k->config;
	s->sv.hub = &s->hub;
	s->sv.conns = &s->conns;
	s->sv.pool = &s->pool;
	s->sv.counters = &s->counters;
	s->sv.shard = index;
	s->sv.wall_ms = 1768472100000;
	s->sv.port = (struct rc_serve_port){
		.ctx = s,
		.user_room = crowd_room,
		.user_reserve = crowd_reserve,
		.user_commit = crowd_commit,
		.outcome = crowd_outcome,
	};
	rc_prng_seed(&s->sv.prng, 1 + index);
	rc_users_init(&s->sv, s->users, conns_max, conns_max);
}

/* ring_bytes: of each ring. */
static inline void crowd_open(
	struct crowd *k, uint32_t shards, uint32_t conns_max, size_t ring_bytes, size_t arena_bytes)
{
	memset(k, 0, sizeof(*k));
	ring_open(&k->ring, &rings_options);
	rc_config_init(&k->config);
	k->count = shards;
	k->rings = aligned_alloc(64, 2 * (size_t)shards * shards * ring_bytes);
	assert_non_null(k->rings);
	unsigned char *at = k->rings;
	for (uint32_t i = 0; i < shards; i++) {
		for (uint32_t j = 0; j < shards; j++, at += 2 * ring_bytes) {
			rc_spsc_init(&k->asks[i][j], at, ring_bytes);
			rc_spsc_init(&k->tells[i][j], at + ring_bytes, ring_bytes);
		}
		crowd_open_shard(k, i, conns_max, arena_bytes);
	}
}

static inline void crowd_close(struct crowd *k)
{
	for (uint32_t i = 0; i < k->count; i++) {
		free(k->shard[i].memory);
		free(k->shard[i].state);
		free(k->shard[i].table);
		free(k->shard[i].users);
	}
	free(k->rings);
	ring_close(&k->ring);
}

/* A connection whose token names that user. It has not joined. */
static inline struct rc_conn *crowd_client(
	struct crowd_shard *s, const char *user, uint32_t max_connections)
{
	size_t len = strlen(user);
	struct rc_conn *c = rc_conn_open(&s->conns, -1, RC_CONN_WS);

	if (!c)
		return NULL;
	s->sv.clients++;
	c->secret = rc_prng_next(&s->sv.prng);
	struct rc_session *session = rc_session_need(&s->sv, c);
	session->claims = rc_pool_get(&s->pool, sizeof(*session->claims) + len);
	assert_non_null(session->claims);
	memset(session->claims, 0, sizeof(*session->claims));
	session->claims->size = (uint32_t)(sizeof(*session->claims) + len);
	session->claims->max_connections = max_connections;
	session->claims->user_len = (uint16_t)len;
	memcpy(session->claims->bytes, user, len);
	return c;
}

static inline void crowd_reap(struct crowd_shard *s)
{
	struct rc_conn *c;

	while ((c = rc_conn_next_ready(&s->conns)) != NULL)
		rc_conn_reclaim(&s->conns, c);
}

static inline void crowd_kill(struct crowd_shard *s, struct rc_conn *c)
{
	rc_conn_kill(&s->conns, c);
	crowd_reap(s);
}

/* One record from one shard to another. False: none, or no room for what follows from it. */
static inline bool crowd_step(struct crowd *k, uint32_t from, uint32_t to, bool is_ask)
{
	struct rc_spsc *ring = is_ask ? &k->asks[from][to] : &k->tells[from][to];
	struct rc_serve *sv = &k->shard[to].sv;
	struct rc_spsc_record r;

	if (!rc_spsc_peek(ring, &r))
		return false;
	if (r.type == CROWD_OUTCOME) {
		k->outcomes++;
		k->connections += ((const struct rc_outcome *)r.payload)->offset;
	} else if (!is_ask) {
		rc_users_told(sv, r.payload, r.len);
	} else if (!rc_users_asked(sv, r.payload, r.len)) {
		return false;
	}
	rc_spsc_consume(ring, &r);
	rc_spsc_release(ring);
	return true;
}

static inline bool crowd_silent(struct crowd *k)
{
	for (uint32_t i = 0; i < k->count; i++) {
		if (rc_users_waiting(&k->shard[i].sv))
			return false;
		for (uint32_t j = 0; j < k->count; j++) {
			if (!rc_spsc_empty(&k->asks[i][j]) || !rc_spsc_empty(&k->tells[i][j]))
				return false;
		}
	}
	return true;
}

/* Until nobody has anything to say. */
static inline void crowd_settle(struct crowd *k)
{
	do {
		for (uint32_t i = 0; i < k->count; i++) {
			rc_users_turn(&k->shard[i].sv);
			for (uint32_t j = 0; j < k->count; j++) {
				while (i != j &&
					(crowd_step(k, j, i, false) || crowd_step(k, j, i, true)))
					;
			}
		}
	} while (!crowd_silent(k));
}

static inline void crowd_check(const struct crowd *k)
{
	for (uint32_t i = 0; i < k->count; i++)
		rc_users_check(&k->shard[i].sv);
}

static inline uint64_t crowd_sum(const struct crowd *k, enum rc_counter counter)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < k->count; i++)
		sum += rc_counter_get(&k->shard[i].counters, counter);
	return sum;
}

#endif
