/* SPDX-License-Identifier: Apache-2.0
 *
 * A WebSocket client that says who it is: what is counted of it, and what its timer stands for meanwhile.
 */
#include "crowd.h"

#include "../auth/tokens.h"
#include "auth/auth.h"
#include "proto/wsdeflate.h"
#include "serve/request.h"

#define ARENA ((size_t)2 << 20)

static struct crowd k;
static struct rc_auth auth;

static int teardown(void **state)
{
	(void)state;
	rc_keys_close(auth.keys);
	crowd_close(&k);
	return 0;
}

/* The client's first words, with a token. */
static void say(struct crowd_shard *s, struct rc_conn *c)
{
	char text[1024];
	struct rc_str t = token(HS256, GOOD);
	int len = snprintf(
		text, sizeof(text), "{\"type\":\"auth\",\"token\":\"%.*s\"}", (int)t.len, t.ptr);

	rc_ws_message(&s->sv, c, (struct rc_str){text, (size_t)len});
}

static struct rc_conn *newcomer(struct crowd_shard *s, uint16_t stage)
{
	struct rc_conn *c = rc_conn_open(&s->conns, -1, RC_CONN_WS);

	assert_non_null(c);
	s->sv.clients++;
	s->sv.auth = &auth;
	s->sv.wall_ms = NOW_MS;
	c->stage = stage;
	return c;
}

static void open_crowd(uint32_t shards)
{
	crowd_open(&k, shards, 8, 65536, ARENA);
	(void)tokens_reset(NULL);
	auth.keys = keys_of_secret(RC_ALG_HS256);
}

/* All objects of this size; the last two. */
static void exhaust(struct rc_pool *p, size_t size, void *last[2])
{
	for (void *got; (got = rc_pool_get(p, size)) != NULL;) {
		last[0] = last[1];
		last[1] = got;
	}
}

/* Room for a session and its claims is left, and for nothing else of these sizes. */
static void leave_little(struct crowd_shard *s)
{
	struct rc_conn *c = newcomer(s, RC_WS_WAITS_TOKEN);
	assert_int_equal(rc_session_verify(&s->sv, c, token(HS256, GOOD)), RC_TOKEN_OK);
	size_t claims = rc_session_claims(&s->sv, c)->size;
	const size_t size[] = {sizeof(struct rc_session), claims, sizeof(struct rc_request)};
	void *last[3][2] = {{NULL}};

	crowd_kill(s, c);
	for (int i = 0; i < 3; i++) {
		void *kept = rc_pool_get(&s->pool, size[i]);
		assert_non_null(kept);
	}
	exhaust(&s->pool, RC_POOL_PAGE, last[2]);
	for (int i = 0; i < 3; i++)
		exhaust(&s->pool, size[i], last[i]);
	bool same = rc_pool_size(size[0]) == rc_pool_size(size[1]);
	rc_pool_put(&s->pool, last[0][1], size[0]);
	rc_pool_put(&s->pool, same ? last[0][0] : last[1][1], size[1]);
}

static void one_for_whom_there_is_no_memory_was_never_counted(void **state)
{
	(void)state;
	open_crowd(1);
	struct crowd_shard *s = &k.shard[0];
	leave_little(s);
	/* It was anonymous before. */
	struct rc_conn *c = newcomer(s, RC_WS_LIVE);
	say(s, c);
	assert_int_not_equal(c->state, RC_CONN_OPEN);
	assert_int_equal(crowd_sum(&k, RC_C_close_capacity), 1);
	assert_int_equal(crowd_sum(&k, RC_C_clients_known), 0);
}

static void one_whose_query_finds_no_memory_was_never_counted(void **state)
{
	char query[sizeof(struct rc_request)];

	(void)state;
	open_crowd(1);
	struct crowd_shard *s = &k.shard[0];
	leave_little(s);
	struct rc_conn *c = newcomer(s, 0);
	memset(query, 'x', sizeof(query));
	rc_ws_open(&s->sv, c, (struct rc_str){query, sizeof(query)}, 1, token(HS256, GOOD),
		&(struct rc_ws_deflate){0});
	assert_int_not_equal(c->state, RC_CONN_OPEN);
	assert_int_equal(crowd_sum(&k, RC_C_close_capacity), 1);
	assert_int_equal(crowd_sum(&k, RC_C_clients_known), 0);
}

static void a_heartbeat_that_is_due_does_not_end_one_whose_users_home_is_asked(void **state)
{
	(void)state;
	open_crowd(2);
	struct rc_str anna = RC_STR("anna");
	uint32_t home = rc_user_home(&k.shard[0].sv, rc_user_hash(&k.shard[0].sv, anna));
	struct crowd_shard *s = &k.shard[1 - home];
	struct rc_conn *c = newcomer(s, RC_WS_LIVE);

	rc_conn_timer(&s->conns, c, 1);
	say(s, c);
	assert_int_equal(c->stage, RC_WS_JOINING);
	assert_int_equal(c->timer.due - s->conns.tick, k.config.auth_timeout_ms / RC_CONN_TICK_MS);
	crowd_kill(s, c);
	crowd_settle(&k);
	assert_int_equal(crowd_sum(&k, RC_C_clients_known), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			one_for_whom_there_is_no_memory_was_never_counted, teardown),
		cmocka_unit_test_teardown(
			one_whose_query_finds_no_memory_was_never_counted, teardown),
		cmocka_unit_test_teardown(
			a_heartbeat_that_is_due_does_not_end_one_whose_users_home_is_asked,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
