/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom a connection is counted for: prefixes of IPv6, mapped IPv4, the clients of a proxy, this host; and what a client's meter
 * gives over simulated time. Addresses are given as a proxy gives them, so that any can be had.
 */
#include "../hub/hubs.h"
#include "../io/rings.h"

#include <sys/socket.h>

#include "serve/limits.h"
#include "serve/session.h"

enum { CONNS = 32 };
#define SECOND UINT64_C(1000000000)

static struct hubs h;
static struct ring ring;
static struct rc_config config;
static struct rc_conns conns;
static struct rc_limits limits;
static struct rc_serve sv;
static void *table, *addresses;
static int peers[CONNS];

static void on_gone(void *ctx, struct rc_conn *c)
{
	rc_serve_gone(ctx, c);
}

static void on_other(void *ctx, struct rc_conn *c)
{
	(void)ctx;
	(void)c;
}

static uint64_t sum(void *ctx, enum rc_counter counter)
{
	(void)ctx;
	return rc_counter_get(sv.counters, counter);
}

static void begin(void (*choose)(void))
{
	const struct rc_hub_limits hub_limits = {.owned_max = 8,
		.replicas_max = 8,
		.subs_max = 64,
		.patterns_max = 8,
		.frame_max = 65536};
	const struct rc_conn_events events = {&sv, on_gone, on_other, on_other};

	ring_open(&ring, &rings_options);
	hubs_open(&h, 1, &hub_limits, (size_t)1 << 20, 1);
	rc_config_init(&config);
	choose();
	table = calloc(1, rc_conns_bytes(CONNS));
	assert_non_null(table);
	rc_conns_init(&conns, table, CONNS, ring.io, &h.shard[0].pool, &h.shard[0].counters,
		&events, 1000, 1000);
	memset(&sv, 0, sizeof(sv));
	sv.config = &config;
	sv.hub = &h.shard[0].hub;
	sv.conns = &conns;
	sv.pool = &h.shard[0].pool;
	sv.counters = &h.shard[0].counters;
	sv.wall_ms = 1768472100000;
	sv.now_ns = 5 * SECOND;
	sv.http_go_first = RC_NONE;
	sv.port.sum = sum;
	size_t bytes = rc_limits_bytes(&config, CONNS);
	addresses = bytes ? aligned_alloc(64, bytes) : NULL;
	if (bytes)
		memset(addresses, 0, bytes);
	rc_limits_init(&limits, &config, addresses, CONNS);
	sv.limits = &limits;
	for (uint32_t i = 0; i < CONNS; i++)
		peers[i] = -1;
}

static int end(void **state)
{
	(void)state;
	if (!ring.io)
		return 0;
	for (uint32_t i = 0; i < conns.mark; i++) {
		if (conns.at[i].state != RC_CONN_FREE)
			rc_conn_kill(&conns, &conns.at[i]);
	}
	assert_int_equal(sum(NULL, RC_C_unauthenticated), 0);
	if (limits.addresses.set_count)
		assert_int_equal(rc_tally_count(&limits.addresses), 0);
	for (struct rc_conn *c; (c = rc_conn_next_ready(&conns)) != NULL;)
		rc_conn_reclaim(&conns, c);
	for (uint32_t i = 0; i < CONNS; i++) {
		if (peers[i] >= 0)
			(void)close(peers[i]);
	}
	rc_io_submit(ring.io);
	ring_close(&ring);
	hubs_settle(&h);
	hubs_close(&h);
	free(table);
	free(addresses);
	addresses = NULL;
	memset(&ring, 0, sizeof(ring));
	return 0;
}

static struct rc_conn *arrive(void)
{
	int fd[2];

	ring_pair(fd);
	struct rc_conn *c = rc_conn_open(&conns, fd[0], RC_CONN_HTTP);
	assert_non_null(c);
	uint32_t slot = rc_conn_slot(&conns, c);
	if (peers[slot] >= 0)
		(void)close(peers[slot]);
	peers[slot] = fd[1];
	rc_limits_arrived(&sv, c);
	return c;
}

static void tell(struct rc_conn *c, const char *address)
{
	struct rc_session *s = rc_session_need(&sv, c);

	assert_non_null(s);
	assert_true(rc_netaddr_parse(rc_str_of(address), &s->peer));
}

/* A connection from there, whose address was told before anything else. NULL: refused. */
static struct rc_conn *from(const char *address)
{
	struct rc_conn *c = arrive();

	tell(c, address);
	return rc_limits_accepted(&sv, c, RC_PORT_HTTPS) ? c : NULL;
}

/* ---- addresses ---------------------------------------------------------------------------------- */

static void one_each(void)
{
	config.limit_connections_per_address = 1;
}

static void all_of_ipv4_is_an_address_however_it_is_written(void **state)
{
	(void)state;
	begin(one_each);
	assert_non_null(from("192.0.2.1"));
	assert_null(from("192.0.2.1"));
	assert_null(from("::ffff:192.0.2.1"));
	assert_non_null(from("192.0.2.2"));
	assert_non_null(from("193.0.2.1"));
	/* The same bytes in the other family. */
	assert_non_null(from("c000:201::"));
	assert_int_equal(sum(NULL, RC_C_accept_refused_address), 2);
}

static void of_ipv6_the_first_64_bits_are(void **state)
{
	(void)state;
	begin(one_each);
	assert_non_null(from("2001:db8:1:2::1"));
	assert_null(from("2001:db8:1:2:ffff:ffff:ffff:ffff"));
	assert_non_null(from("2001:db8:1:3::1"));
}

static void by_52_bits(void)
{
	one_each();
	config.limit_ipv6_prefix = 52;
}

static void by_128_bits(void)
{
	one_each();
	config.limit_ipv6_prefix = 128;
}

static void or_as_many_bits_as_is_said(void **state)
{
	(void)state;
	begin(by_52_bits);
	assert_non_null(from("2001:db8:1:1234::1"));
	assert_null(from("2001:db8:1:1fff::1"));
	assert_non_null(from("2001:db8:1:2234::1"));
	end(state);
	begin(by_128_bits);
	assert_non_null(from("2001:db8::1"));
	assert_non_null(from("2001:db8::2"));
	assert_null(from("2001:db8::1"));
}

static void this_host_is_free_and_nobody_who_looks_like_it(void **state)
{
	(void)state;
	begin(one_each);
	for (int i = 0; i < 3; i++) {
		assert_non_null(from("127.0.0.1"));
		assert_non_null(from("127.255.1.2"));
		assert_non_null(from("::1"));
		assert_non_null(from("::ffff:127.0.0.1"));
	}
	assert_non_null(from("128.0.0.1"));
	assert_null(from("128.0.0.1"));
	assert_non_null(from("::2"));
	assert_null(from("::2"));
	assert_non_null(from("7f00:1::"));
	assert_null(from("7f00:1::"));
}

static void who_leaves_makes_room(void **state)
{
	(void)state;
	begin(one_each);
	struct rc_conn *c = from("192.0.2.1");
	assert_non_null(c);
	assert_null(from("192.0.2.1"));
	rc_conn_kill(&conns, c);
	assert_non_null(from("192.0.2.1"));
}

/* The connection is one of the proxy's, from this host; what it says of its client comes with the request. */
static void a_proxys_client_is_counted_when_it_becomes_one(void **state)
{
	(void)state;
	begin(one_each);
	struct rc_conn *first = from("127.0.0.1"), *second = from("127.0.0.1");
	tell(first, "192.0.2.1");
	tell(second, "192.0.2.1");
	assert_true(rc_limits_client(&sv, first));
	assert_false(rc_limits_client(&sv, second));
	tell(second, "192.0.2.2");
	assert_true(rc_limits_client(&sv, second));
	/* Once. */
	assert_true(rc_limits_client(&sv, second));
	rc_conn_kill(&conns, first);
	struct rc_conn *third = from("127.0.0.1");
	tell(third, "192.0.2.1");
	assert_true(rc_limits_client(&sv, third));
}

static void few_failures(void)
{
	config.limit_auth_failures = 2;
	config.limit_auth_failures_window_ms = 60000;
}

static void failures_are_the_addresss_that_was_told(void **state)
{
	(void)state;
	begin(few_failures);
	struct rc_conn *bad = from("127.0.0.1"), *good = from("127.0.0.1");
	tell(bad, "192.0.2.1");
	tell(good, "192.0.2.9");
	for (int i = 0; i < 2; i++) {
		assert_true(rc_limits_may_try(&sv, bad));
		rc_limits_failed(&sv, bad);
	}
	assert_false(rc_limits_may_try(&sv, bad));
	assert_true(rc_limits_may_try(&sv, good));
	assert_int_equal(rc_limits_retry_s(&sv), 31);
	sv.now_ns += 30 * SECOND;
	assert_true(rc_limits_may_try(&sv, bad));
	rc_limits_failed(&sv, bad);
	assert_false(rc_limits_may_try(&sv, bad));
}

static void few_requests(void)
{
	config.limit_request_rate_per_address = 10;
	config.limit_request_burst_per_address = 3;
}

static void requests_are_the_addresss_that_was_told_last(void **state)
{
	(void)state;
	begin(few_requests);
	struct rc_conn *proxy = from("127.0.0.1");
	for (int i = 0; i < 10; i++)
		assert_true(rc_limits_http(&sv, proxy));
	tell(proxy, "192.0.2.1");
	for (int i = 0; i < 3; i++)
		assert_true(rc_limits_http(&sv, proxy));
	assert_false(rc_limits_http(&sv, proxy));
	tell(proxy, "192.0.2.2");
	assert_true(rc_limits_http(&sv, proxy));
	/* One that came by itself has the same bucket. */
	struct rc_conn *direct = from("192.0.2.1");
	assert_non_null(direct);
	assert_false(rc_limits_http(&sv, direct));
	sv.now_ns += SECOND / 10;
	assert_true(rc_limits_http(&sv, direct));
}

static void nothing(void)
{
	config.limit_connections_per_address = 0;
	config.limit_accept_rate_per_address = 0;
	config.limit_handshake_rate_per_address = 0;
	config.limit_request_rate_per_address = 0;
	config.limit_auth_failures = 0;
	config.limit_max_unauthenticated = 0;
	config.limit_message_rate = config.limit_byte_rate = config.limit_subscribe_rate = 0;
	config.limit_publish_rate = config.limit_command_rate = 0;
}

static void without_limits_there_is_no_table_and_no_refusal(void **state)
{
	(void)state;
	begin(nothing);
	assert_null(addresses);
	for (int i = 0; i < 20; i++) {
		struct rc_conn *c = from("192.0.2.1");
		assert_non_null(c);
		assert_true(rc_limits_http(&sv, c));
		assert_true(rc_limits_handshake(&sv, c));
		rc_limits_failed(&sv, c);
		assert_true(rc_limits_may_try(&sv, c));
		assert_true(rc_limits_request(&sv, c, RC_RATE_SUBSCRIBE, 1000000));
	}
}

/* ---- meters ------------------------------------------------------------------------------------- */

static void slow_talk(void)
{
	config.limit_message_rate = 4;
	config.limit_message_burst = 10;
	config.limit_byte_rate = 0;
	config.limit_grace_ms = 60000;
	config.limit_subscribe_rate = 2;
	config.limit_subscribe_burst = 5;
}

static struct rc_conn *client(const char *address)
{
	struct rc_conn *c = from(address);

	assert_non_null(c);
	assert_true(rc_limits_client(&sv, c));
	rc_limits_admitted(&sv, c);
	c->kind = RC_CONN_WS;
	sv.clients++;
	return c;
}

static void a_client_has_its_burst_then_its_rate(void **state)
{
	(void)state;
	begin(slow_talk);
	struct rc_conn *c = client("192.0.2.1");
	for (int i = 0; i < 10; i++)
		assert_true(rc_limits_message(&sv, c, 100));
	assert_false(rc_limits_message(&sv, c, 100));
	for (int i = 0; i < 40; i++) {
		sv.now_ns += SECOND / 4;
		assert_true(rc_limits_message(&sv, c, 100));
		assert_false(i % 10 == 0 && rc_limits_message(&sv, c, 100));
	}
	assert_int_equal(c->state, RC_CONN_OPEN);
	assert_int_equal(sum(NULL, RC_C_messages_rate_limited), 5);
}

static void a_meter_is_kept_as_long_as_it_knows_something(void **state)
{
	(void)state;
	begin(slow_talk);
	struct rc_conn *c = client("192.0.2.1");
	struct rc_conn_aside *aside = rc_conn_aside(&conns, c);
	assert_true(rc_limits_pong(&sv, c, 0));
	rc_limits_rest(&sv, c);
	assert_int_equal(aside->meter, RC_NONE);
	for (int i = 0; i < 8; i++)
		assert_true(rc_limits_message(&sv, c, 1));
	sv.now_ns += SECOND;
	rc_limits_rest(&sv, c);
	assert_int_not_equal(aside->meter, RC_NONE);
	sv.now_ns += SECOND;
	rc_limits_rest(&sv, c);
	assert_int_equal(aside->meter, RC_NONE);
	/* The second pong without a heartbeat between is a message. */
	assert_true(rc_limits_pong(&sv, c, 0));
	for (int i = 0; i < 20; i++)
		assert_true(rc_limits_pong(&sv, c, 0) || i > 0);
	assert_int_not_equal(sum(NULL, RC_C_messages_rate_limited), 0);
}

static void what_is_larger_than_the_burst_counts_as_the_burst(void **state)
{
	(void)state;
	begin(slow_talk);
	struct rc_conn *c = client("192.0.2.1");
	assert_true(rc_limits_request(&sv, c, RC_RATE_SUBSCRIBE, 1000));
	assert_false(rc_limits_request(&sv, c, RC_RATE_SUBSCRIBE, 1));
	sv.now_ns += SECOND;
	assert_true(rc_limits_request(&sv, c, RC_RATE_SUBSCRIBE, 2));
	assert_false(rc_limits_request(&sv, c, RC_RATE_SUBSCRIBE, 1));
}

static void who_is_free_has_no_meter(void **state)
{
	(void)state;
	begin(slow_talk);
	struct rc_conn *c = client("127.0.0.1");
	for (int i = 0; i < 1000; i++)
		assert_true(rc_limits_message(&sv, c, 1000000));
	assert_int_equal(rc_conn_aside(&conns, c)->meter, RC_NONE);
}

/* ---- what is said over HTTP --------------------------------------------------------------------- */

static void is(struct rc_conn *c, const char *user)
{
	struct rc_session *s = rc_session_need(&sv, c);
	size_t size = sizeof(struct rc_claims) + strlen(user);

	s->claims = rc_pool_get(sv.pool, size);
	assert_non_null(s->claims);
	memset(s->claims, 0, size);
	s->claims->size = (uint32_t)size;
	s->claims->user_len = (uint8_t)strlen(user);
	memcpy(s->claims->bytes, user, strlen(user));
	assert_true(rc_str_eq(rc_session_user(&sv, c), rc_str_of(user)));
}

static bool speaks(struct rc_conn *c, uint32_t n)
{
	uint32_t wait_s = 0;
	bool may = rc_limits_spoken(&sv, c, RC_RATE_PUBLISH, n, &wait_s);

	assert_int_equal(may, wait_s == 0);
	return may;
}

static void what_is_said_over_http_is_the_users_wherever_he_says_it(void **state)
{
	(void)state;
	begin(slow_talk);
	struct rc_conn *ann = from("192.0.2.1"), *again = from("192.0.2.2");
	struct rc_conn *bo = from("192.0.2.1");
	is(ann, "ann");
	is(again, "ann");
	is(bo, "bo");
	uint32_t burst = config.limit_publish_burst;
	for (uint32_t i = 0; i < burst; i++)
		assert_true(speaks(i % 2 ? ann : again, 1));
	assert_false(speaks(ann, 1));
	assert_false(speaks(again, 1));
	assert_true(speaks(bo, burst + 1));
	assert_false(speaks(bo, 1));
	/* Other kinds have buckets of their own. */
	uint32_t wait_s = 0;
	assert_true(rc_limits_spoken(&sv, ann, RC_RATE_COMMAND, 1, &wait_s));
	assert_true(rc_limits_spoken(&sv, ann, RC_RATE_BYTE, 1, &wait_s));
	assert_int_equal(sum(NULL, RC_C_publish_rate_limited), 3);
}

static void of_who_is_no_user_it_is_the_addresss(void **state)
{
	(void)state;
	begin(slow_talk);
	struct rc_conn *one = from("2001:db8:1:2::1"), *near = from("2001:db8:1:2::2");
	struct rc_conn *far = from("2001:db8:1:3::1"), *free = from("127.0.0.1");
	for (uint32_t i = 0; i < config.limit_publish_burst; i++)
		assert_true(speaks(i % 2 ? one : near, 1));
	assert_false(speaks(near, 1));
	assert_true(speaks(far, 1));
	for (uint32_t i = 0; i < 3 * config.limit_publish_burst; i++)
		assert_true(speaks(free, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(all_of_ipv4_is_an_address_however_it_is_written, end),
		cmocka_unit_test_teardown(of_ipv6_the_first_64_bits_are, end),
		cmocka_unit_test_teardown(or_as_many_bits_as_is_said, end),
		cmocka_unit_test_teardown(this_host_is_free_and_nobody_who_looks_like_it, end),
		cmocka_unit_test_teardown(who_leaves_makes_room, end),
		cmocka_unit_test_teardown(a_proxys_client_is_counted_when_it_becomes_one, end),
		cmocka_unit_test_teardown(failures_are_the_addresss_that_was_told, end),
		cmocka_unit_test_teardown(requests_are_the_addresss_that_was_told_last, end),
		cmocka_unit_test_teardown(without_limits_there_is_no_table_and_no_refusal, end),
		cmocka_unit_test_teardown(a_client_has_its_burst_then_its_rate, end),
		cmocka_unit_test_teardown(a_meter_is_kept_as_long_as_it_knows_something, end),
		cmocka_unit_test_teardown(what_is_larger_than_the_burst_counts_as_the_burst, end),
		cmocka_unit_test_teardown(who_is_free_has_no_meter, end),
		cmocka_unit_test_teardown(
			what_is_said_over_http_is_the_users_wherever_he_says_it, end),
		cmocka_unit_test_teardown(of_who_is_no_user_it_is_the_addresss, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
