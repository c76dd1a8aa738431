/* SPDX-License-Identifier: Apache-2.0
 *
 * Users on several shards: who joins, who is refused or replaced, who gets what is sent; rings that are full, connections that
 * end before they are told, and random orders of all that against a model.
 */
#include "crowd.h"

#include "proto/message.h"
#include "serve/commands.h"
#include "serve/sse.h"

#define ARENA ((size_t)4 << 20)

static struct crowd k;

static int teardown(void **state)
{
	(void)state;
	if (!k.ring.io)
		return 0;
	for (uint32_t i = 0; i < k.count; i++) {
		struct crowd_shard *s = &k.shard[i];
		for (uint32_t c = 0; c < s->conns.mark; c++) {
			if (s->conns.at[c].state != RC_CONN_FREE)
				crowd_kill(s, &s->conns.at[c]);
		}
	}
	crowd_settle(&k);
	crowd_check(&k);
	assert_int_equal(crowd_sum(&k, RC_C_users), 0);
	for (uint32_t i = 0; i < k.count; i++) {
		struct crowd_shard *s = &k.shard[i];
		s->hub.now_s += RC_USER_MEMORY_S;
		for (uint32_t n = 0; n < 100; n++)
			rc_users_turn(&s->sv);
		assert_int_equal(s->pool.used_bytes, 0);
	}
	crowd_close(&k);
	return 0;
}

static struct rc_session *session(struct crowd_shard *s, struct rc_conn *c)
{
	return rc_session_of(&s->sv, c);
}

static struct rc_conn *join(uint32_t shard, const char *user, uint32_t max)
{
	struct rc_conn *c = crowd_client(&k.shard[shard], user, max);

	assert_non_null(c);
	rc_session_join(&k.shard[shard].sv, c);
	return c;
}

/* How often the text stands in what waits to be sent to the client. */
static uint32_t times(const struct rc_conn *c, const char *text)
{
	const unsigned char *at = c->out + c->out_head;
	size_t left = c->out_len;
	uint32_t count = 0;

	while (left) {
		const unsigned char *hit = memmem(at, left, text, strlen(text));
		if (!hit)
			break;
		count++;
		left -= (size_t)(hit - at) + 1;
		at = hit + 1;
	}
	return count;
}

static size_t targets(char out[RC_USER_TARGETS_MAX], const char *const *users, uint32_t count)
{
	size_t len = 0;

	for (uint32_t i = 0; i < count; i++) {
		size_t n = strlen(users[i]);
		out[len] = (char)n;
		memcpy(out + len + 1, users[i], n);
		len += 1 + n;
	}
	return len;
}

/* From a shard, settled: the number of connections. */
static uint64_t send_to(uint32_t shard, const char *const *users, uint32_t count, const char *data)
{
	char list[RC_USER_TARGETS_MAX];
	struct rc_user_message m = {
		.from = {.shard = shard},
		.targets = {list, targets(list, users, count)},
		.event = RC_STR("note"),
		.data = rc_str_of(data),
		.timestamp_ms = 1768472100000,
		.json = true,
	};
	uint64_t connections;
	uint32_t parts;

	k.outcomes = k.connections = 0;
	assert_int_not_equal(
		rc_users_send(&k.shard[shard].sv, &m, &connections, &parts), RC_ROUTE_FULL);
	crowd_settle(&k);
	assert_int_equal(k.outcomes, parts);
	return connections + k.connections;
}

static void a_message_reaches_every_connection_of_a_user_on_whatever_shard(void **state)
{
	static const char *const anna[] = {"anna"}, *const both[] = {"anna", "bert", "anna"};
	static const char *const nobody[] = {"carl"};

	(void)state;
	crowd_open(&k, 3, 8, 65536, ARENA);
	struct rc_conn *a0 = join(0, "anna", 0), *a1 = join(1, "anna", 0);
	struct rc_conn *a2 = join(1, "anna", 0), *b = join(2, "bert", 0);
	crowd_settle(&k);
	crowd_check(&k);
	assert_int_equal(crowd_sum(&k, RC_C_users), 2);
	for (uint32_t from = 0; from < 3; from++)
		assert_int_equal(send_to(from, anna, 1, "[1]"), 3);
	assert_int_equal(times(a0, "\"direct\":true"), 3);
	assert_int_equal(times(a1, "\"data\":[1]}"), 3);
	assert_int_equal(times(a2, "\"event\":\"note\""), 3);
	assert_int_equal(b->out_len, 0);
	assert_int_equal(send_to(2, both, 3, "2"), 4);
	assert_int_equal(times(a0, "\"data\":2}"), 1);
	assert_int_equal(times(b, "\"data\":2}"), 1);
	assert_int_equal(send_to(1, nobody, 1, "3"), 0);
	assert_int_equal(crowd_sum(&k, RC_C_direct_nobody), 1);
	assert_int_equal(crowd_sum(&k, RC_C_direct_delivered), 13);
}

static void a_connection_over_the_limit_is_refused_and_one_that_left_makes_room(void **state)
{
	(void)state;
	crowd_open(&k, 2, 8, 65536, ARENA);
	k.config.limit_max_connections_per_user = 2;
	struct rc_conn *first = join(0, "anna", 0);
	(void)join(1, "anna", 0);
	crowd_settle(&k);
	struct rc_conn *third = join(1, "anna", 0);
	crowd_settle(&k);
	assert_int_equal(session(&k.shard[1], third)->state, RC_SESSION_REFUSED);
	assert_int_equal(crowd_sum(&k, RC_C_users_refused), 1);
	/* Its token says otherwise. */
	struct rc_conn *fourth = join(0, "anna", 3);
	crowd_settle(&k);
	assert_int_equal(session(&k.shard[0], fourth)->state, RC_SESSION_JOINED);
	crowd_kill(&k.shard[0], first);
	crowd_kill(&k.shard[0], fourth);
	struct rc_conn *fifth = join(0, "anna", 0);
	crowd_settle(&k);
	assert_int_equal(session(&k.shard[0], fifth)->state, RC_SESSION_JOINED);
	crowd_check(&k);
}

static void the_oldest_connection_is_replaced_and_told_so(void **state)
{
	static const char *const anna[] = {"anna"};

	(void)state;
	crowd_open(&k, 2, 8, 65536, ARENA);
	k.config.limit_max_connections_per_user = 2;
	k.config.limit_over_connections = RC_CONFIG_OVER_REPLACE;
	struct rc_conn *c[4];
	for (uint32_t i = 0; i < 4; i++) {
		c[i] = join(i % 2, "anna", 0);
		crowd_settle(&k);
	}
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_not_equal(c[i]->state, RC_CONN_OPEN);
		assert_int_equal(times(c[i], "\x0f\xa3replaced by a newer connection"), 1);
		assert_int_equal(c[2 + i]->state, RC_CONN_OPEN);
	}
	assert_int_equal(crowd_sum(&k, RC_C_close_replaced), 2);
	assert_int_equal(send_to(0, anna, 1, "1"), 2);
	assert_int_equal(times(c[3], "\"data\":1}"), 1);
	assert_int_equal(times(c[0], "\"data\":1}"), 0);
	crowd_check(&k);
}

static void races_between_joins_are_decided_by_the_home_in_order(void **state)
{
	(void)state;
	crowd_open(&k, 3, 8, 65536, ARENA);
	k.config.limit_max_connections_per_user = 1;
	struct rc_conn *c[3];
	for (uint32_t i = 0; i < 3; i++)
		c[i] = join(i, "anna", 0);
	crowd_settle(&k);
	uint32_t joined = 0;
	for (uint32_t i = 0; i < 3; i++)
		joined += session(&k.shard[i], c[i])->state == RC_SESSION_JOINED;
	assert_int_equal(joined, 1);
	assert_int_equal(crowd_sum(&k, RC_C_users_refused), 2);
}

static void one_that_ends_before_it_is_told_leaves_nothing_behind(void **state)
{
	static const char *const anna[] = {"anna"};

	(void)state;
	crowd_open(&k, 2, 8, 65536, ARENA);
	for (uint32_t i = 0; i < 2; i++) {
		struct rc_conn *c = join(i, "anna", 0);
		crowd_kill(&k.shard[i], c);
		(void)join(i, "anna", 0);
	}
	crowd_settle(&k);
	crowd_check(&k);
	assert_int_equal(send_to(0, anna, 1, "1"), 2);
}

static void who_comes_back_within_a_minute_is_counted_as_a_reconnect(void **state)
{
	(void)state;
	crowd_open(&k, 2, 8, 65536, ARENA);
	struct rc_conn *c = join(0, "anna", 0);
	crowd_settle(&k);
	crowd_kill(&k.shard[0], c);
	crowd_settle(&k);
	c = join(1, "anna", 0);
	crowd_settle(&k);
	assert_int_equal(crowd_sum(&k, RC_C_user_reconnects), 1);
	crowd_kill(&k.shard[1], c);
	crowd_settle(&k);
	for (uint32_t i = 0; i < 2; i++)
		k.shard[i].hub.now_s += RC_USER_MEMORY_S;
	crowd_settle(&k);
	(void)join(0, "anna", 0);
	crowd_settle(&k);
	assert_int_equal(crowd_sum(&k, RC_C_user_reconnects), 1);
}

static void a_join_waits_for_a_full_ring_and_a_leave_is_not_lost(void **state)
{
	char name[16];

	(void)state;
	crowd_open(&k, 2, 600, 4096, ARENA);
	struct crowd_shard *s = &k.shard[0];
	for (uint32_t i = 0; i < 600; i++) {
		(void)snprintf(name, sizeof(name), "user-%u", i);
		rc_session_join(&s->sv, crowd_client(s, name, 0));
	}
	assert_true(rc_users_waiting(&s->sv));
	crowd_settle(&k);
	assert_int_equal(crowd_sum(&k, RC_C_users), 600);
	/* All at once, with the ring full of them. */
	for (uint32_t i = 0; i < 600; i++)
		crowd_kill(s, &s->conns.at[i]);
	rc_users_turn(&s->sv);
	assert_true(rc_users_waiting(&s->sv));
	crowd_settle(&k);
	assert_int_equal(crowd_sum(&k, RC_C_users), 0);
	crowd_check(&k);
}

static void without_memory_a_join_is_refused_with_an_answer(void **state)
{
	struct rc_conn *c = NULL;
	char name[16];
	void *block;

	(void)state;
	crowd_open(&k, 1, 64, 4096, (size_t)2 << 20);
	struct crowd_shard *s = &k.shard[0];
	uint32_t count = 0;
	struct {
		void *at;
	} held[4096];
	c = crowd_client(s, "anna", 0);
	(void)snprintf(name, sizeof(name), "x");
	while (count < 4096 && (block = rc_pool_get(&s->pool, 1024)) != NULL)
		held[count++].at = block;
	while (count < 4096 && (block = rc_pool_get(&s->pool, 16)) != NULL)
		held[count++].at = block;
	rc_session_join(&s->sv, c);
	uint8_t refused = session(s, c)->state;
	for (uint32_t i = 0; i < count; i++)
		rc_pool_put(&s->pool, held[i].at, held[i].at == NULL ? 0 : 1024);
	assert_int_equal(refused, RC_SESSION_REFUSED);
}

static void a_session_is_found_by_its_id_and_by_no_other(void **state)
{
	char id[RC_WS_SESSION_LEN];
	uint32_t shard, slot;

	(void)state;
	crowd_open(&k, 3, 8, 65536, ARENA);
	for (uint32_t i = 0; i < 3; i++) {
		struct crowd_shard *s = &k.shard[i];
		struct rc_conn *c = crowd_client(s, "anna", 0);
		rc_ws_session(&s->sv, c, id);
		struct rc_str text = {id, sizeof(id)};
		assert_true(rc_session_decode(&k.shard[0].sv, text, &shard, &slot));
		assert_int_equal(shard, i);
		assert_ptr_equal(rc_session_find(&s->sv, text), c);
		for (uint32_t n = 0; n < sizeof(id); n++) {
			id[n] = id[n] == 'A' ? 'B' : 'A';
			assert_null(rc_session_find(&s->sv, text));
			rc_ws_session(&s->sv, c, id);
		}
		text.len--;
		assert_false(rc_session_decode(&k.shard[0].sv, text, &shard, &slot));
	}
}

static void a_message_to_a_session_reaches_it_alone(void **state)
{
	char id[RC_WS_SESSION_LEN];
	uint64_t connections;
	uint32_t parts;

	(void)state;
	crowd_open(&k, 2, 8, 65536, ARENA);
	struct rc_conn *c = join(1, "anna", 0), *other = join(1, "anna", 0);
	crowd_settle(&k);
	rc_ws_session(&k.shard[1].sv, c, id);
	struct rc_user_message m = {
		.targets = {id, sizeof(id)},
		.event = RC_STR("note"),
		.data = RC_STR("\xff\x00"),
		.timestamp_ms = 1,
		.session = true,
	};
	for (uint32_t from = 0; from < 2; from++) {
		m.from.shard = from;
		k.connections = 0;
		(void)rc_users_send(&k.shard[from].sv, &m, &connections, &parts);
		assert_int_equal(parts, from == 0);
		crowd_settle(&k);
		assert_int_equal(connections + k.connections, 1);
	}
	assert_int_equal(times(c, "\"encoding\":\"base64\",\"data\":\"/wA=\"}"), 2);
	assert_int_equal(other->out_len, 0);
	m.from.shard = 0;
	m.code = RC_CLOSE_OPERATOR;
	m.event = RC_STR("away with you");
	(void)rc_users_send(&k.shard[0].sv, &m, &connections, &parts);
	crowd_settle(&k);
	assert_int_not_equal(c->state, RC_CONN_OPEN);
	assert_int_equal(times(c, "\x0f\xa4"
				  "away with you"),
		1);
	assert_int_equal(other->state, RC_CONN_OPEN);
	assert_int_equal(crowd_sum(&k, RC_C_close_operator), 1);
	/* It is gone from its user before the socket is. */
	static const char *const anna[] = {"anna"};
	assert_int_equal(send_to(1, anna, 1, "7"), 1);
}

static void who_can_t_take_a_message_is_closed_and_so_knows(void **state)
{
	static const char *const anna[] = {"anna"};
	char data[2002];

	(void)state;
	crowd_open(&k, 2, 8, 65536, ARENA);
	k.config.output_max = 8192;
	struct rc_conn *c = join(0, "anna", 0);
	crowd_settle(&k);
	memset(data, '1', sizeof(data) - 1);
	data[sizeof(data) - 1] = '\0';
	uint32_t sent = 0;
	while (send_to(1, anna, 1, data) == 1)
		assert_true(sent++ < 100);
	assert_int_equal(rc_counter_get(&k.shard[0].counters, RC_C_close_too_slow), 1);
	assert_int_equal(times(c, "\x10\x05"
				  "answers pile up unread"),
		1);
}

static uint64_t more_than_any(void *ctx, enum rc_counter counter)
{
	(void)ctx;
	(void)counter;
	return UINT64_MAX;
}

static void a_request_that_comes_again_and_is_refused_leaves_nobody_on_its_connection(void **state)
{
	static const struct rc_http_request events = {.path = RC_STR("/events")};

	(void)state;
	crowd_open(&k, 2, 8, 65536, ARENA);
	struct crowd_shard *s = &k.shard[0];
	struct rc_conn *c = crowd_client(s, "anna", 0);
	struct rc_http_call call = {.c = c, .request = &events, .again = true};
	s->sv.port.sum = more_than_any; /* clients came while it waited */
	c->kind = RC_CONN_HTTP;
	rc_session_join(&s->sv, c);
	crowd_settle(&k);
	assert_int_equal(session(s, c)->state, RC_SESSION_JOINED);
	assert_int_equal(rc_sse_events(&s->sv, &call), RC_HTTP_DONE);
	assert_int_equal(times(c, "HTTP/1.1 503 "), 1);
	assert_int_equal(c->state, RC_CONN_OPEN);
	assert_int_equal(rc_session_user(&s->sv, c).len, 0);
	crowd_settle(&k);
	assert_int_equal(crowd_sum(&k, RC_C_users), 0);
}

static void a_request_that_is_to_come_again_keeps_its_shard_awake(void **state)
{
	(void)state;
	crowd_open(&k, 2, 64, 4096, ARENA);
	struct crowd_shard *s = &k.shard[0];
	char away[8] = "", here[8] = "";
	uint32_t n = 0;
	s->sv.http_go_first = s->sv.replay_first = s->sv.acked_first = RC_NONE;
	while (!away[0] || !here[0]) {
		char user[8];
		(void)snprintf(user, sizeof(user), "u%u", n++);
		bool self = rc_user_home(&s->sv, rc_user_hash(&s->sv, rc_str_of(user))) == 0;
		memcpy(self ? here : away, user, sizeof(user));
	}
	/* The ring to the other shard is full, and who comes waits behind those who wait for it. */
	while (!rc_users_waiting(&s->sv))
		(void)join(0, away, 0);
	struct rc_conn *c = crowd_client(s, here, 0);
	c->kind = RC_CONN_HTTP;
	c->stage = RC_HTTP_AGAIN_DUE;
	rc_session_join(&s->sv, c);
	assert_int_equal(session(s, c)->state, RC_SESSION_JOINING);
	assert_false(rc_serve_pending(&s->sv));
	while (crowd_step(&k, 0, 1, true))
		;
	rc_users_turn(&s->sv);
	assert_int_equal(session(s, c)->state, RC_SESSION_JOINED);
	assert_true(rc_serve_pending(&s->sv));
}

static void a_stream_gets_a_block_or_ends(void **state)
{
	static const char *const anna[] = {"anna"};

	(void)state;
	crowd_open(&k, 2, 8, 65536, ARENA);
	k.config.output_max = 1000;
	struct rc_conn *c = join(0, "anna", 0);
	c->kind = RC_CONN_SSE;
	crowd_settle(&k);
	assert_int_equal(send_to(1, anna, 1, "[1,\n2]"), 1);
	assert_int_equal(times(c, "event: note\ndata: {\"type\":\"event\""), 1);
	assert_int_equal(times(c, "\"data\":[1,\ndata: 2]}\n\n"), 1);
	assert_int_equal(times(c, "id:"), 0);
	uint32_t sent = 0;
	while (send_to(1, anna, 1, "1") == 1)
		assert_true(sent++ < 20);
	assert_int_not_equal(c->state, RC_CONN_OPEN);
	assert_int_equal(rc_counter_get(&k.shard[0].counters, RC_C_close_too_slow), 1);
}

static void one_that_is_about_to_become_a_stream_ends_rather_than_miss_a_message(void **state)
{
	static const char *const anna[] = {"anna"};

	(void)state;
	crowd_open(&k, 2, 8, 65536, ARENA);
	struct rc_conn *c = join(0, "anna", 0);
	crowd_settle(&k);
	k.shard[0].sv.clients--;
	c->kind = RC_CONN_HTTP;
	assert_int_equal(send_to(1, anna, 1, "1"), 1);
	crowd_reap(&k.shard[0]);
	assert_int_equal(c->state, RC_CONN_FREE);
}

/* ---- random orders ------------------------------------------------------------------------------- */

enum { USERS = 8, SLOTS = 24, SENDS = 4096 };

struct client {
	struct rc_conn *c;
	uint32_t generation, user;
	uint32_t joined_at; /* the send before which it was known to have joined; RC_NONE */
};

static struct client clients[CROWD_SHARDS][SLOTS];
static uint8_t sent_to[SENDS]; /* a bit for each user */
static const char *const names[USERS] = {"a", "b", "c", "d", "e", "f", "g", "h"};

static bool there(const struct crowd_shard *s, const struct client *c)
{
	(void)s;
	return c->c && c->c->generation == c->generation && c->c->state == RC_CONN_OPEN;
}

static bool has_joined(struct crowd_shard *s, const struct client *c)
{
	return there(s, c) && session(s, c->c)->state == RC_SESSION_JOINED;
}

static void look(uint32_t sends)
{
	for (uint32_t i = 0; i < k.count; i++) {
		for (uint32_t n = 0; n < SLOTS; n++) {
			struct client *c = &clients[i][n];
			if (c->joined_at == RC_NONE && has_joined(&k.shard[i], c))
				c->joined_at = sends;
		}
	}
}

/* Who was there all the time has each message for its user once; nobody has one twice, or another's. */
static void compare(uint32_t from, uint32_t to)
{
	char text[32];

	for (uint32_t i = 0; i < k.count; i++) {
		for (uint32_t n = 0; n < SLOTS; n++) {
			const struct client *c = &clients[i][n];
			if (!there(&k.shard[i], c))
				continue;
			for (uint32_t m = from; m < to; m++) {
				(void)snprintf(text, sizeof(text), "\"data\":%u}", m);
				uint32_t got = times(c->c, text);
				bool meant = sent_to[m] >> c->user & 1;
				assert_true(got <= meant);
				if (meant && c->joined_at <= m)
					assert_int_equal(got, 1);
			}
			/* Read by its client. */
			rc_conn_sent_out(&k.shard[i].conns, c->c, c->c->out_len);
		}
	}
}

static uint32_t joined_of(uint32_t user)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < k.count; i++) {
		for (uint32_t n = 0; n < SLOTS; n++)
			count += clients[i][n].user == user &&
				 has_joined(&k.shard[i], &clients[i][n]);
	}
	return count;
}

static void settle_all(uint32_t sends)
{
	crowd_settle(&k);
	for (uint32_t i = 0; i < k.count; i++)
		crowd_reap(&k.shard[i]);
	look(sends);
}

static void random_orders(bool replace, uint32_t limit, size_t ring_bytes, uint64_t seed)
{
	struct rc_prng prng;
	uint32_t sends = 0, checked = 0;
	uint64_t full = 0;

	crowd_open(&k, 3, 4 * SLOTS, ring_bytes, ARENA);
	k.config.limit_max_connections_per_user = limit;
	k.config.limit_over_connections = replace ? RC_CONFIG_OVER_REPLACE : RC_CONFIG_OVER_REFUSE;
	memset(clients, 0, sizeof(clients));
	rc_prng_seed(&prng, seed);
	for (uint32_t step = 0; step < 12000; step++) {
		uint32_t i = (uint32_t)rc_prng_below(&prng, 3),
			 n = (uint32_t)rc_prng_below(&prng, SLOTS);
		struct crowd_shard *s = &k.shard[i];
		struct client *c = &clients[i][n];
		uint32_t what = (uint32_t)rc_prng_below(&prng, 100);
		if (what < 25) {
			if (!there(s, c)) {
				if (c->c && c->c->generation == c->generation)
					crowd_kill(s, c->c);
				uint32_t user = (uint32_t)rc_prng_below(&prng, USERS);
				*c = (struct client){.c = crowd_client(s, names[user], 0),
					.user = user,
					.joined_at = RC_NONE};
				assert_non_null(c->c);
				c->generation = c->c->generation;
			}
			if (session(s, c->c)->state == RC_SESSION_NONE)
				rc_session_join(&s->sv, c->c);
			full += rc_users_waiting(&s->sv);
		} else if (what < 30 && there(s, c)) {
			crowd_kill(s, c->c);
		} else if (what < 33 && there(s, c)) {
			rc_ws_close(&s->sv, c->c, 1000, "done", RC_C_close_client);
			crowd_kill(s, c->c);
		} else if (what < 45 && sends < SENDS) {
			char list[RC_USER_TARGETS_MAX], data[16];
			const char *who[USERS];
			uint32_t count = 0;
			uint8_t mask = (uint8_t)rc_prng_below(&prng, 256);
			for (uint32_t u = 0; u < USERS; u++) {
				if (mask >> u & 1)
					who[count++] = names[u];
			}
			(void)snprintf(data, sizeof(data), "%u", sends);
			struct rc_user_message m = {
				.from = {.shard = i},
				.targets = {list, targets(list, who, count)},
				.event = RC_STR("e"),
				.data = rc_str_of(data),
				.json = true,
			};
			uint64_t connections;
			uint32_t parts;
			look(sends);
			if (rc_users_send(&s->sv, &m, &connections, &parts) == RC_ROUTE_FULL)
				full++;
			else
				sent_to[sends++] = mask;
		} else if (what < 95) {
			uint32_t from = (uint32_t)rc_prng_below(&prng, 3);
			if (from != i && (ring_bytes > 4096 || rc_prng_below(&prng, 30) == 0))
				(void)crowd_step(&k, from, i, what & 1);
		} else {
			rc_users_turn(&s->sv);
		}
		if (step % 2000 != 1999)
			continue;
		settle_all(sends);
		crowd_check(&k);
		compare(checked, sends);
		checked = sends;
		for (uint32_t u = 0; u < USERS; u++) {
			uint32_t count = joined_of(u);
			assert_true(limit == 0 || count <= limit);
			assert_int_equal(send_to(i, &names[u], 1, "\"count\""), count);
		}
	}
	assert_true(sends > 500);
	assert_true(ring_bytes > 4096 || full > 0);
}

/* What its connections took with them is said in the same ring: here to the desk of commands, on the other shard. */
static void what_the_end_of_a_connection_says_takes_no_room_that_was_promised(void **state)
{
	static struct rc_commands commands;
	char list[RC_USER_TARGETS_MAX], who[2][8] = {"", ""};
	const char *users[2] = {who[0], who[1]};
	uint64_t connections;
	uint32_t parts;

	(void)state;
	for (size_t left = 0; left < 400; left += 8) {
		crowd_open(&k, 2, 8, 4096, ARENA);
		struct crowd_shard *s = &k.shard[0];
		struct rc_spsc *ring = &k.asks[0][1];
		who[0][0] = who[1][0] = 0;
		for (uint32_t n = 0; !who[0][0] || !who[1][0]; n++) {
			char user[8];
			(void)snprintf(user, sizeof(user), "u%u", n);
			memcpy(who[rc_user_home(&s->sv, rc_user_hash(&s->sv, rc_str_of(user)))],
				user, sizeof(user));
		}
		struct rc_conn *c = join(0, who[0], 0);
		crowd_settle(&k);
		memset(&commands, 0, sizeof(commands));
		commands.home = 1;
		commands.events = 1u << RC_ON_DISCONNECT;
		s->sv.commands = &commands;
		s->sv.port.command_reserve = crowd_reserve;
		s->sv.port.command_commit = crowd_commit;
		rc_ws_set_stage(c, RC_WS_LIVE);
		while (rc_spsc_has_room(ring, left + 64)) {
			assert_non_null(rc_spsc_reserve(ring, 8));
			rc_spsc_commit(ring, CROWD_USER, 8);
		}
		const struct rc_user_message m = {
			.targets = {list, targets(list, users, 2)}, .code = 4004};
		bool full = rc_users_send(&s->sv, &m, &connections, &parts) == RC_ROUTE_FULL;
		assert_int_equal(full, c->state == RC_CONN_OPEN);
		s->sv.commands = NULL;
		for (struct rc_spsc_record r; rc_spsc_peek(ring, &r);)
			rc_spsc_consume(ring, &r);
		rc_spsc_release(ring);
		(void)teardown(NULL);
	}
}

static void random_orders_give_everybody_what_is_his(void **state)
{
	(void)state;
	random_orders(false, 0, 65536, 1);
}

static void random_orders_in_full_rings(void **state)
{
	(void)state;
	random_orders(false, 4, 4096, 2);
}

static void random_orders_with_replacement_in_full_rings(void **state)
{
	(void)state;
	random_orders(true, 3, 4096, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			a_message_reaches_every_connection_of_a_user_on_whatever_shard, teardown),
		cmocka_unit_test_teardown(
			a_connection_over_the_limit_is_refused_and_one_that_left_makes_room,
			teardown),
		cmocka_unit_test_teardown(the_oldest_connection_is_replaced_and_told_so, teardown),
		cmocka_unit_test_teardown(
			races_between_joins_are_decided_by_the_home_in_order, teardown),
		cmocka_unit_test_teardown(
			one_that_ends_before_it_is_told_leaves_nothing_behind, teardown),
		cmocka_unit_test_teardown(
			who_comes_back_within_a_minute_is_counted_as_a_reconnect, teardown),
		cmocka_unit_test_teardown(
			a_join_waits_for_a_full_ring_and_a_leave_is_not_lost, teardown),
		cmocka_unit_test_teardown(
			without_memory_a_join_is_refused_with_an_answer, teardown),
		cmocka_unit_test_teardown(a_session_is_found_by_its_id_and_by_no_other, teardown),
		cmocka_unit_test_teardown(a_message_to_a_session_reaches_it_alone, teardown),
		cmocka_unit_test_teardown(
			who_can_t_take_a_message_is_closed_and_so_knows, teardown),
		cmocka_unit_test_teardown(
			a_request_that_comes_again_and_is_refused_leaves_nobody_on_its_connection,
			teardown),
		cmocka_unit_test_teardown(
			a_request_that_is_to_come_again_keeps_its_shard_awake, teardown),
		cmocka_unit_test_teardown(a_stream_gets_a_block_or_ends, teardown),
		cmocka_unit_test_teardown(
			one_that_is_about_to_become_a_stream_ends_rather_than_miss_a_message,
			teardown),
		cmocka_unit_test(what_the_end_of_a_connection_says_takes_no_room_that_was_promised),
		cmocka_unit_test_teardown(random_orders_give_everybody_what_is_his, teardown),
		cmocka_unit_test_teardown(random_orders_in_full_rings, teardown),
		cmocka_unit_test_teardown(random_orders_with_replacement_in_full_rings, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
