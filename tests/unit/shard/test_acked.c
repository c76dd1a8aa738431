/* SPDX-License-Identifier: Apache-2.0
 *
 * Acknowledged delivery on the shard of the connection, when there is no memory for what comes: nothing counts as sent that was not.
 */
#define ARENA ((size_t)1 << 20)
#include "full.h"

#include "serve/acked.h"

enum { CONSUMERS = 4 };

static void *acked_memory;
static uint32_t at_ms;

static void start(void)
{
	limits.keeps_history = true;
	limits.history_bytes_max = ARENA / 4;
	limits.consumers_max = CONSUMERS;
	limits.ack_ttl_ms = 60000;
	limits.ack_window_bytes = 1 << 20;
	begin(RC_SLOW_SKIP, RC_STR(""));
	config.ns[0].history_size = 100;
	gateway.namespaces[0].history_size = 100;
	gateway.namespaces[0].history_bytes = ARENA / 4;
	gateway.namespaces[0].history_ttl_ms = 600000;
	acked_memory = calloc(1, rc_acked_bytes(CONSUMERS));
	assert_non_null(acked_memory);
	shard.serve.acked_first = shard.serve.acked_last = RC_NONE;
	rc_acked_init(&shard.serve, acked_memory, CONSUMERS);
	at_ms = 1000;
	block_count = object_count = 0;
}

static void publish(void)
{
	const struct rc_publish p = {.channel = RC_STR("a"),
		.event = RC_STR("e"),
		.data = RC_STR("1"),
		.timestamp_ms = 1768472100000,
		.taken_ns = 1,
		.json = true};
	struct rc_outcome out;

	assert_true(rc_owner_publish(&shard.hub, &p, &out));
	assert_int_equal(out.nack, 0);
}

static void turn(void)
{
	rc_hub_time(&shard.hub, (uint64_t)++at_ms * 1000000);
	rc_acked_turn(&shard.serve);
	rc_consumer_turn(&shard.hub);
	rc_acked_turn(&shard.serve);
	rc_hub_check(&shard.hub);
}

/* As if the client had read it. */
static uint32_t read_all(struct rc_conn *c, char *out, uint32_t size)
{
	uint32_t len = RC_MIN(c->out_len, size - 1);

	if (len)
		memcpy(out, c->out + c->out_head, len);
	for (uint32_t i = 0; i < len; i++)
		out[i] = out[i] ? out[i] : '.';
	out[len] = 0;
	if (c->out_len) {
		rc_conn_sent_out(&shard.conns, c, c->out_len);
		rc_serve_drained(&shard.serve, c);
	}
	return len;
}

static void say(struct rc_conn *c, const char *text)
{
	rc_ws_message(&shard.serve, c, rc_str_of(text));
}

static void what_found_no_memory_is_not_acknowledged_with_what_did(void **state)
{
	char text[8192];

	(void)state;
	start();
	struct rc_conn *c = open_client();
	say(c, "{\"type\":\"subscribe\",\"channel\":\"a\",\"ack\":{\"timeout\":60000}}");
	turn();
	publish();
	turn();
	(void)read_all(c, text, sizeof(text));
	assert_non_null(strstr(text, "\"offset\":1"));
	fill_arena();
	publish();
	turn();
	assert_true(rc_counter_get(&counters, RC_C_arena_refused) > 0);
	assert_int_equal(c->out_len, 0);
	empty_arena();
	publish();
	turn();
	(void)read_all(c, text, sizeof(text));
	/* The second before the third, or none of them. */
	const char *second = strstr(text, "\"offset\":2"), *third = strstr(text, "\"offset\":3");
	assert_non_null(second);
	assert_non_null(third);
	assert_true(second < third);
	say(c, "{\"type\":\"ack\",\"channel\":\"a\",\"offset\":3}");
	turn();
	assert_int_equal(rc_counter_get(&counters, RC_C_acked_events), 3);
}

/* Nobody is left, and what was kept for them is forgotten in its time. */
static int end(void **state)
{
	if (!ring.io)
		return 0;
	for (uint32_t i = 0; i < shard.conns.mark; i++)
		rc_conn_kill(&shard.conns, &shard.conns.at[i]);
	turn();
	assert_int_equal(shard.serve.acked.used, 0);
	for (at_ms += 1000000; shard.hub.replicas.used; turn()) {
		rc_owner_sweep(&shard.hub, 16);
		rc_history_sweep(&shard.hub, 16);
		at_ms += 1000;
		assert_true(at_ms < 2000000);
	}
	int result = teardown(state);
	free(acked_memory);
	return result;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_found_no_memory_is_not_acknowledged_with_what_did),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
