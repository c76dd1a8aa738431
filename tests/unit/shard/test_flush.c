/* SPDX-License-Identifier: Apache-2.0
 *
 * What the flush does with subscribers when the arena is full and one of them stands in the middle of a frame: one shard
 * without its loop, on a real ring.
 */
#include "../io/rings.h"

#include "mem/poison.h"
#include "shard/shard.h"

#define ARENA ((size_t)256 << 10)
enum { CONNS = 8 };

static struct ring ring;
static struct rc_config config;
static struct rc_gateway gateway;
static struct rc_shard shard;
static struct rc_counters_shard counters;
static void *table, *hub_memory, *arena_memory, *arena_state;
static int peers[CONNS];
static void *blocks[ARENA / 1024 + 1], *objects[64];
static uint32_t block_count, object_count;

static const struct rc_hub_limits limits = {.shards = 1,
	.channels_max = UINT32_MAX,
	.owned_max = 16,
	.replicas_max = 16,
	.subs_max = 64,
	.patterns_max = 4,
	.frame_max = 65536};

static void on_gone(void *ctx, struct rc_conn *c)
{
	rc_serve_gone(ctx, c);
}

static void on_timer(void *ctx, struct rc_conn *c)
{
	rc_serve_timer(ctx, c);
}

static void on_drained(void *ctx, struct rc_conn *c)
{
	rc_serve_drained(ctx, c);
}

static void begin(enum rc_slow_policy policy, struct rc_str key)
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
	rc_route_ports(s, &hub_port, &home_port, &s->serve.port);
	rc_hub_init(&s->hub, &limits, &hub_port, gateway.namespaces, &hash_key, &s->arena, &s->pool,
		&counters, hub_memory);
	rc_hub_time(&s->hub, 1000000000);
	s->serve.config = &config;
	s->serve.hub = &s->hub;
	s->serve.conns = &s->conns;
	s->serve.pool = &s->pool;
	s->serve.counters = &counters;
	block_count = object_count = 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	return 0;
}

static int teardown(void **state)
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

static struct rc_conn *open_client(void)
{
	int fd[2];

	ring_pair(fd);
	struct rc_conn *c = rc_conn_open(&shard.conns, fd[0], RC_CONN_WS);
	assert_non_null(c);
	peers[rc_conn_slot(&shard.conns, c)] = fd[1];
	shard.serve.clients++;
	return c;
}

static uint32_t subscribe(struct rc_conn *c, const char *name)
{
	uint32_t sub;

	assert_int_equal(rc_replica_subscribe(&shard.hub, rc_conn_slot(&shard.conns, c), &c->subs,
				 rc_str_of(name), false, 0, &sub),
		RC_SUBSCRIBED);
	c->sub_count++;
	return sub;
}

static void publish(const char *channel)
{
	const struct rc_publish p = {
		.channel = rc_str_of(channel),
		.event = RC_STR("e"),
		.data = RC_STR(
			"{\"k\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"),
		.timestamp_ms = 1768472100000,
		.taken_ns = 1,
		.json = true,
	};
	struct rc_outcome out;

	assert_true(rc_owner_publish(&shard.hub, &p, &out));
	assert_int_equal(out.nack, 0);
	rc_hub_check(&shard.hub);
}

/* Nothing is left for blocks, nor for objects of the size that output begins with. */
static void fill_arena(void)
{
	while ((blocks[block_count] = rc_buddy_get(&shard.arena, 1024)) != NULL)
		block_count++;
	while (object_count < RC_ARRAY_LEN(objects) &&
		(objects[object_count] = rc_pool_get(&shard.pool, 256)) != NULL)
		object_count++;
}

static void empty_arena(void)
{
	while (block_count > 0)
		rc_buddy_put(&shard.arena, blocks[--block_count]);
	while (object_count > 0)
		rc_pool_put(&shard.pool, objects[--object_count], 256);
}

/* The socket took ten bytes of the first frame. */
static void cut(struct rc_conn *c, uint32_t index)
{
	struct rc_sub *sub = rc_hub_sub(&shard.hub, index);
	struct rc_log_frame f;

	rc_log_frame_at(&rc_hub_replica(&shard.hub, sub->replica)->log, sub->cursor, &f);
	rc_replica_advance(&shard.hub, sub, sub->cursor + 10);
	c->mid_left = f.len - 10;
	c->mid_sub = index;
}

static void read_all(const struct rc_conn *c)
{
	for (uint32_t i = c->subs; i != RC_NONE; i = rc_hub_sub(&shard.hub, i)->next) {
		struct rc_sub *sub = rc_hub_sub(&shard.hub, i);
		rc_replica_advance(
			&shard.hub, sub, rc_hub_replica(&shard.hub, sub->replica)->log.tail);
	}
}

static bool no_cursor_is_lapped(void)
{
	for (uint32_t i = 0; i < shard.conns.mark; i++) {
		for (uint32_t n = shard.conns.at[i].subs; n != RC_NONE;) {
			const struct rc_sub *sub = rc_hub_sub(&shard.hub, n);
			const struct rc_log *log = &rc_hub_replica(&shard.hub, sub->replica)->log;
			if (sub->cursor < log->head && !(sub->flags & RC_SUB_CONFLATED))
				return false;
			n = sub->next;
		}
	}
	return true;
}

static void overrun_in_a_cut_frame(enum rc_slow_policy policy, struct rc_str key)
{
	begin(policy, key);
	struct rc_conn *slow = open_client(), *cut_off = open_client();
	(void)subscribe(slow, "a");
	uint32_t sub = subscribe(cut_off, "a");
	publish("a");
	publish("a");
	cut(cut_off, sub);
	fill_arena();
	/* Until the log's own chunk is full, and once more. */
	for (int i = 0; i < 20 && rc_counter_get(&counters, RC_C_arena_refused) == 0; i++)
		publish("a");
	assert_true(rc_counter_get(&counters, RC_C_arena_refused) > 0);
	assert_true(no_cursor_is_lapped());
	assert_int_equal(cut_off->subs, RC_NONE);
	assert_int_equal(cut_off->mid_left, 0);
	empty_arena();
}

static void one_with_half_a_frame_is_not_left_behind_by_skip(void **state)
{
	(void)state;
	overrun_in_a_cut_frame(RC_SLOW_SKIP, RC_STR(""));
}

static void one_with_half_a_frame_is_not_left_behind_by_latest(void **state)
{
	(void)state;
	overrun_in_a_cut_frame(RC_SLOW_LATEST, RC_STR(""));
}

static void one_with_half_a_frame_is_not_left_behind_by_latest_per_key(void **state)
{
	(void)state;
	overrun_in_a_cut_frame(RC_SLOW_LATEST, RC_STR("k"));
}

static void with_memory_the_half_frame_is_completed_and_the_client_stays(void **state)
{
	(void)state;
	begin(RC_SLOW_SKIP, RC_STR(""));
	struct rc_conn *c = open_client();
	uint32_t sub = subscribe(c, "a");
	publish("a");
	publish("a");
	cut(c, sub);
	uint32_t left = c->mid_left;
	rc_flush_overrun(&shard, rc_hub_sub(&shard.hub, sub)->replica);
	assert_int_equal(c->mid_left, 0);
	assert_int_equal(c->out_len, left);
	assert_int_equal(rc_hub_sub(&shard.hub, sub)->flags >> RC_SUB_MISSED_SHIFT, 1);
	assert_int_equal(c->state, RC_CONN_OPEN);
	assert_true(no_cursor_is_lapped());
}

/* As after an unsubscribe for which the rest of a frame found no memory. */
static struct rc_conn *client_on_the_way_out(void)
{
	struct rc_conn *c = open_client();

	(void)subscribe(c, "a");
	(void)subscribe(c, "b");
	return c;
}

static void an_overrun_ends_for_one_who_is_on_the_way_out(void **state)
{
	(void)state;
	begin(RC_SLOW_DISCONNECT, RC_STR(""));
	struct rc_conn *c = client_on_the_way_out();
	publish("a");
	c->state = RC_CONN_LINGERING;
	fill_arena();
	for (int i = 0; i < 20 && c->subs != RC_NONE; i++)
		publish("a");
	assert_int_equal(c->subs, RC_NONE);
	assert_int_equal(shard.hub.replicas.used, 0);
	empty_arena();
}

static void a_loss_ends_for_one_who_is_on_the_way_out(void **state)
{
	(void)state;
	begin(RC_SLOW_SKIP, RC_STR(""));
	struct rc_conn *c = client_on_the_way_out();
	/* The channel's name is known already: what is missing is room for its first event. */
	publish("a");
	read_all(c);
	c->state = RC_CONN_LINGERING;
	fill_arena();
	publish("a");
	assert_int_equal(c->subs, RC_NONE);
	assert_int_equal(shard.hub.replicas.used, 0);
	empty_arena();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_with_half_a_frame_is_not_left_behind_by_skip),
		TEST(one_with_half_a_frame_is_not_left_behind_by_latest),
		TEST(one_with_half_a_frame_is_not_left_behind_by_latest_per_key),
		TEST(with_memory_the_half_frame_is_completed_and_the_client_stays),
		TEST(an_overrun_ends_for_one_who_is_on_the_way_out),
		TEST(a_loss_ends_for_one_who_is_on_the_way_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
