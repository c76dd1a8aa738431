/* SPDX-License-Identifier: Apache-2.0
 *
 * One shard without its loop, on a real ring, with a few WebSocket clients: for those who look at the flush alone.
 */
#ifndef RC_TESTS_UNIT_FLUSHRIG_H
#define RC_TESTS_UNIT_FLUSHRIG_H

#include "../io/rings.h"

#include "mem/poison.h"
#include "shard/shard.h"

#ifndef ARENA
#define ARENA ((size_t)256 << 10)
#endif
enum { CONNS = 8 };

static struct ring ring;
static struct rc_config config;
static struct rc_gateway gateway;
static struct rc_shard shard;
static struct rc_counters_shard counters;
static void *table, *hub_memory, *arena_memory, *arena_state;
static int peers[CONNS];

static struct rc_hub_limits limits = {.shards = 1,
	.channels_max = UINT32_MAX,
	.owned_max = 16,
	.replicas_max = 16,
	.subs_max = 64,
	.patterns_max = 4,
	.frame_max = 65536,
	.views_max = 4,
	.view_bytes = 4096};

static inline void on_gone(void *ctx, struct rc_conn *c)
{
	rc_serve_gone(ctx, c);
}

static inline void on_timer(void *ctx, struct rc_conn *c)
{
	rc_serve_timer(ctx, c);
}

static inline void on_drained(void *ctx, struct rc_conn *c)
{
	rc_serve_drained(ctx, c);
}

static inline void begin(enum rc_slow_policy policy, struct rc_str key)
{
	static const struct rc_hash_key hash_key = {1, 2};
	struct rc_shard *s = &shard;
	const struct rc_conn_events events = {&s->serve, on_gone, on_timer, on_drained};
	struct rc_hub_port hub_port;
	struct rc_home_port home_port;

	ring_open(&ring, &rings_options);
	rc_config_init(&config);
	memset(&gateway, 0, sizeof(gateway));
	memset(s, 0, sizeof(*s));
	memset(&counters, 0, sizeof(counters));
	gateway.config = &config;
	gateway.count = 1;
	gateway.shards = s;
	gateway.key = hash_key;
	gateway.namespaces[0] = (struct rc_hub_namespace){
		.lag_bytes = 65536, .policy = policy, .key = key, .channel_ttl_ms = 1000};
	s->gateway = &gateway;
	s->io = ring.io;
	s->counters = &counters;
	table = calloc(1, rc_conns_bytes(CONNS));
	hub_memory = aligned_alloc(64, rc_align_up(rc_hub_bytes(&limits), 64));
	arena_memory = aligned_alloc(4096, ARENA);
	arena_state = calloc(1, rc_buddy_state_bytes(ARENA));
	s->scratch = malloc(RC_SHARD_SCRATCH);
	assert_true(table && hub_memory && arena_memory && arena_state && s->scratch);
	memset(hub_memory, 0, rc_hub_bytes(&limits));
	rc_buddy_init(&s->arena, arena_memory, ARENA, arena_state);
	rc_pool_init(&s->pool, &s->arena);
	rc_conns_init(&s->conns, table, CONNS, s->io, &s->pool, &counters, &events, 1000, 1000);
	rc_route_hub_port(s, &hub_port);
	rc_route_serve_ports(s, &home_port, &s->serve.port);
	rc_hub_init(&s->hub, &limits, &hub_port, gateway.namespaces, &hash_key, &s->arena, &s->pool,
		&counters, hub_memory);
	rc_hub_time(&s->hub, 1000000000);
	s->serve.config = &config;
	s->serve.hub = &s->hub;
	s->serve.conns = &s->conns;
	s->serve.pool = &s->pool;
	s->serve.counters = &counters;
}

static inline int setup(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	return 0;
}

static inline int teardown(void **state)
{
	struct rc_shard *s = &shard;
	struct rc_conn *c;

	(void)state;
	if (!ring.io)
		return 0;
	for (uint32_t i = 0; i < s->conns.mark; i++)
		rc_conn_kill(&s->conns, &s->conns.at[i]);
	while ((c = rc_conn_next_ready(&s->conns)) != NULL)
		rc_conn_reclaim(&s->conns, c);
	rc_hub_check(&s->hub);
	assert_int_equal(s->hub.subs.used, 0);
	assert_int_equal(s->hub.replicas.used, 0);
	rc_io_submit(ring.io);
	ring_close(&ring);
	for (uint32_t i = 0; i < s->conns.mark; i++)
		(void)close(peers[i]);
	RC_UNPOISON(hub_memory, rc_hub_bytes(&limits));
	RC_UNPOISON(arena_memory, ARENA);
	free(table);
	free(hub_memory);
	free(arena_memory);
	free(arena_state);
	free(s->scratch);
	return 0;
}

static inline struct rc_conn *open_client(void)
{
	int fd[2];

	ring_pair(fd);
	struct rc_conn *c = rc_conn_open(&shard.conns, fd[0], RC_CONN_WS);
	assert_non_null(c);
	peers[rc_conn_slot(&shard.conns, c)] = fd[1];
	shard.serve.clients++;
	return c;
}

static inline uint32_t subscribe(struct rc_conn *c, const char *name)
{
	bool pattern = strchr(name, '*') != NULL;
	uint32_t sub;

	assert_int_equal(rc_replica_subscribe(&shard.hub, rc_conn_slot(&shard.conns, c), &c->subs,
				 rc_str_of(name), pattern, 0, &sub),
		RC_SUBSCRIBED);
	c->sub_count++;
	return sub;
}

#endif
