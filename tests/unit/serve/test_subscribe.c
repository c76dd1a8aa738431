/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscribing and unsubscribing by message while the owners' answers are late: order of the acknowledgements, refusals that
 * several requests depend on, and random orders after which everything is given back.
 */
#include "../hub/hubs.h"
#include "../io/rings.h"

#include "proto/message.h"
#include "serve/serve.h"
#include "serve/survey.h"

enum { CONNS = 6 };

static struct hubs h;
static struct ring ring;
static struct rc_config config;
static struct rc_conns conns;
static struct rc_serve sv;
static void *table;
static int peers[CONNS];
static uint32_t opened;

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

/* The shard under test is the first one. */
static void ready(struct hubs_shard *s, uint32_t replica, bool taken)
{
	if (s->index == 0)
		rc_ws_replica_ready(&sv, replica, taken);
}

static void begin(uint32_t owned_max, uint64_t seed)
{
	const struct rc_hub_limits limits = {.owned_max = owned_max,
		.replicas_max = 32,
		.subs_max = 128,
		.patterns_max = 8,
		.frame_max = 65536,
		.views_max = 16,
		.view_bytes = 16384};
	const struct rc_conn_events events = {&sv, on_gone, on_timer, on_drained};

	ring_open(&ring, &rings_options);
	hubs_open(&h, 2, &limits, (size_t)1 << 20, seed);
	h.ready = ready;
	h.namespaces[0].raw = false;
	rc_config_init(&config);
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
	opened = 0;
}

static struct rc_conn *open_client(void)
{
	int fd[2];

	ring_pair(fd);
	struct rc_conn *c = rc_conn_open(&conns, fd[0], RC_CONN_WS);
	assert_non_null(c);
	peers[rc_conn_slot(&conns, c)] = fd[1];
	sv.clients++;
	opened++;
	return c;
}

static void end_client(struct rc_conn *c)
{
	uint32_t slot = rc_conn_slot(&conns, c);

	rc_conn_kill(&conns, c);
	if (conns.ready_first != RC_NONE) {
		struct rc_conn *next;
		while ((next = rc_conn_next_ready(&conns)) != NULL)
			rc_conn_reclaim(&conns, next);
	}
	(void)close(peers[slot]);
}

static int teardown(void **state)
{
	(void)state;
	if (!ring.io)
		return 0;
	h.refuse_percent = 0;
	for (uint32_t i = 0; i < conns.mark; i++) {
		if (conns.at[i].state != RC_CONN_FREE)
			end_client(&conns.at[i]);
	}
	rc_io_submit(ring.io);
	ring_close(&ring);
	hubs_settle(&h);
	for (uint32_t i = 0; i < h.count; i++) {
		struct rc_hub *hub = &h.shard[i].hub;
		while (hub->dirty_first != RC_NONE)
			rc_replica_clean(hub, false);
	}
	hubs_time(&h, 60000);
	for (uint32_t i = 0; i < h.count; i++)
		rc_owner_sweep(&h.shard[i].hub, 1000);
	hubs_assert_empty(&h);
	hubs_close(&h);
	free(table);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	return 0;
}

static void say(struct rc_conn *c, const char *text)
{
	struct rc_msg m;
	struct rc_msg_fault fault;

	assert_int_equal(rc_msg_parse(rc_str_of(text), &m, &fault), 0);
	if (m.type == RC_MSG_SUBSCRIBE)
		rc_ws_subscribe(&sv, c, &m);
	else
		rc_ws_unsubscribe(&sv, c, &m);
	hubs_check(&h);
}

static void say_names(
	struct rc_conn *c, const char *type, const char *id, const char *a, const char *b)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		"{\"type\":\"%s\",\"id\":\"%s\",\"channels\":[\"%s\"%s%s%s]}", type, id, a,
		b ? ",\"" : "", b ? b : "", b ? "\"" : "");
	say(c, text);
}

static void say_filtered(
	struct rc_conn *c, const char *id, const char *filter, const char *a, const char *b)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		"{\"type\":\"subscribe\",\"id\":\"%s\",\"filter\":\"%s\",\"channels\":[\"%s\"%s%s%s]}",
		id, filter, a, b ? ",\"" : "", b ? b : "", b ? "\"" : "");
	say(c, text);
}

/* What names a channel that waits stands in line behind it, which is not looked at here. */
static bool waits(struct rc_conn *c, const char *name)
{
	uint32_t sub = name ? rc_replica_find_sub(
				      sv.hub, rc_conn_slot(&conns, c), c->subs, rc_str_of(name))
			    : RC_NONE;

	return sub != RC_NONE && (rc_hub_sub(sv.hub, sub)->flags & RC_SUB_PAUSED);
}

/* A backend ends what the client reads. */
static void unassign(struct rc_conn *c, const char *name)
{
	char list[64];
	int len = snprintf(list, sizeof(list), "%c%s", (int)strlen(name), name);

	assert_int_equal(rc_ws_assign(&sv, c, false, (struct rc_str){list, (size_t)len}), 0);
	hubs_check(&h);
}

/* What waits for nothing has one form of each channel. */
static void check_subs(const struct rc_conn *c)
{
	uint32_t count = 0;

	for (uint32_t sub = c->subs; sub != RC_NONE; sub = rc_hub_sub(sv.hub, sub)->next) {
		assert_false(rc_hub_sub(sv.hub, sub)->flags & (RC_SUB_REPLACED | RC_SUB_PAUSED));
		count++;
	}
	assert_int_equal(c->sub_count, count);
}

static uint32_t count_of(const unsigned char *at, size_t len, const char *text)
{
	uint32_t count = 0;

	while (len > 0) {
		const unsigned char *found = memmem(at, len, text, strlen(text));
		if (!found)
			break;
		count++;
		len -= (size_t)(found + 1 - at);
		at = found + 1;
	}
	return count;
}

/* How often the text stands in what the client is to be sent. */
static uint32_t told(const struct rc_conn *c, const char *text)
{
	/* Before the first answer there is no buffer, and an address may not be reckoned from none. */
	return c->out_len > 0 ? count_of(c->out + c->out_head, c->out_len, text) : 0;
}

static void acknowledgements_keep_the_order_of_the_requests(void **state)
{
	char far[64], near[64];

	(void)state;
	begin(32, 1);
	hubs_name_of(&h, 1, "far", far);
	hubs_name_of(&h, 0, "near", near);
	struct rc_conn *c = open_client();
	say_names(c, "subscribe", "one", far, NULL);
	assert_int_equal(c->out_len, 0);
	/* Its own shard answered this one at once; it waits for its turn. */
	say_names(c, "subscribe", "two", near, NULL);
	say_names(c, "subscribe", "three", far, near);
	assert_int_equal(c->out_len, 0);
	hubs_settle(&h);
	assert_int_equal(told(c, "\"one\""), 1);
	assert_int_equal(told(c, "\"two\""), 1);
	assert_int_equal(told(c, "\"three\""), 1);
	const unsigned char *out = c->out + c->out_head;
	const unsigned char *one = memmem(out, c->out_len, "\"one\"", 5);
	const unsigned char *two = memmem(out, c->out_len, "\"two\"", 5);
	const unsigned char *three = memmem(out, c->out_len, "\"three\"", 7);
	assert_true(one < two && two < three);
	assert_int_equal(c->sub_count, 2);
	assert_int_equal(c->requests, RC_NONE);
}

static void an_unsubscribe_before_the_answer_releases_the_request(void **state)
{
	char far[64];

	(void)state;
	begin(32, 1);
	hubs_name_of(&h, 1, "far", far);
	struct rc_conn *c = open_client();
	say_names(c, "subscribe", "one", far, NULL);
	say_names(c, "subscribe", "two", far, NULL);
	say_names(c, "unsubscribe", "three", far, NULL);
	assert_int_equal(c->sub_count, 0);
	assert_int_equal(told(c, "\"one\""), 1);
	assert_int_equal(told(c, "\"two\""), 1);
	assert_int_equal(told(c, "\"three\""), 1);
	assert_int_equal(c->requests, RC_NONE);
	say_names(c, "subscribe", "four", far, NULL);
	hubs_settle(&h);
	assert_int_equal(told(c, "\"four\""), 1);
	assert_int_equal(c->sub_count, 1);
}

/* The owner of the other shard has room for one channel, which is taken. */
static void fill_owner(void)
{
	char name[64];
	struct rc_str text = rc_str_of(hubs_name_of(&h, 1, "full", name));
	struct rc_hub *hub = &h.shard[1].hub;
	uint32_t head = RC_NONE, sub;

	assert_int_equal(rc_replica_subscribe(hub, 1, &head, text, false, 0, &sub), RC_SUBSCRIBED);
}

static void empty_owner(void)
{
	struct rc_hub *hub = &h.shard[1].hub;
	uint32_t head = 0; /* the only subscription of that shard */

	rc_replica_unsubscribe(hub, 0, &head);
}

static void a_refusal_takes_with_it_the_requests_that_counted_on_it(void **state)
{
	char far[64], near[64];

	(void)state;
	begin(1, 1);
	hubs_name_of(&h, 1, "far", far);
	hubs_name_of(&h, 0, "near", near);
	fill_owner();
	struct rc_conn *c = open_client();
	struct rc_conn *other = open_client();
	say_names(c, "subscribe", "one", far, NULL);
	say_names(c, "subscribe", "two", far, near);
	say_names(c, "subscribe", "three", far, NULL);
	say_names(other, "subscribe", "theirs", far, NULL);
	hubs_settle(&h);
	hubs_check(&h);
	assert_int_equal(told(c, "server_capacity_exceeded"), 3);
	assert_int_equal(told(c, "subscribed"), 0);
	assert_int_equal(told(other, "server_capacity_exceeded"), 1);
	assert_int_equal(c->sub_count, 0);
	assert_int_equal(c->subs, RC_NONE);
	assert_int_equal(c->requests, RC_NONE);
	assert_int_equal(h.shard[0].hub.subs.used, 0);
	empty_owner();
}

static void what_ends_while_one_form_follows_another_ends_in_both(void **state)
{
	char far[64], near[64];

	(void)state;
	begin(32, 1);
	hubs_name_of(&h, 1, "far", far);
	hubs_name_of(&h, 0, "near", near);
	struct rc_conn *c = open_client();
	say_names(c, "subscribe", "one", near, NULL);
	assert_int_equal(c->sub_count, 1);
	say_filtered(c, "two", "data.n > 1", near, far);
	assert_int_equal(told(c, "\"two\""), 0);
	unassign(c, near);
	hubs_settle(&h);
	assert_int_equal(told(c, "\"two\""), 1);
	assert_int_equal(c->sub_count, 1);
	check_subs(c);
}

/* How often /api/status names it: as often as the client reads it. */
static uint32_t named(const char *name)
{
	const struct rc_survey_ask ask = {.kind = RC_SURVEY_CLIENTS, .cursor = RC_NONE};
	static struct rc_survey_piece piece;
	static const struct rc_serve_info info;
	char text[80];

	(void)snprintf(text, sizeof(text), "\"%s\"", name);
	sv.info = &info;
	rc_survey_piece(&sv, &ask, &piece);
	assert_true(piece.done && piece.len > 0);
	return count_of(piece.bytes, piece.len, text);
}

static void while_one_form_follows_another_the_channel_is_named_once(void **state)
{
	char far[64], near[64];

	(void)state;
	begin(32, 1);
	hubs_name_of(&h, 1, "far", far);
	hubs_name_of(&h, 0, "near", near);
	struct rc_conn *c = open_client();
	say_names(c, "subscribe", "one", near, NULL);
	assert_int_equal(named(near), 1);
	say_filtered(c, "two", "data.n > 1", near, far);
	assert_int_equal(told(c, "\"two\""), 0);
	assert_int_equal(named(near), 1);
	hubs_settle(&h);
	assert_int_equal(told(c, "\"two\""), 1);
	assert_int_equal(named(near), 1);
	check_subs(c);
}

static void a_client_that_ends_while_it_waits_leaves_nothing(void **state)
{
	char far[64];

	(void)state;
	begin(32, 1);
	hubs_name_of(&h, 1, "far", far);
	struct rc_conn *a = open_client(), *b = open_client();
	say_names(a, "subscribe", "one", far, "far:*");
	say_names(b, "subscribe", "two", far, NULL);
	end_client(a);
	hubs_check(&h);
	hubs_settle(&h);
	assert_int_equal(told(b, "\"two\""), 1);
	assert_int_equal(sv.clients, 1);
}

static void any_order_of_requests_and_answers_is_answered_once_each(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d", "a:*", "**", "a:x", "b:x"};

	(void)state;
	for (uint64_t seed = 0; seed < 24; seed++) {
		struct rc_conn *c[CONNS] = {NULL};
		uint32_t asked[CONNS] = {0}, answered[CONNS] = {0};
		begin(seed % 2 ? 1 : 32, seed);
		struct rc_prng *p = &h.prng;
		h.refuse_percent = seed % 3 ? 30 : 0;
		for (int step = 0; step < 1500; step++) {
			uint32_t i = rc_prng_below(p, CONNS);
			uint32_t what = rc_prng_below(p, 100);
			const char *one = names[rc_prng_below(p, RC_ARRAY_LEN(names))];
			const char *two = rc_prng_below(p, 2)
						  ? names[rc_prng_below(p, RC_ARRAY_LEN(names))]
						  : NULL;
			if (!c[i]) {
				struct rc_conn *fresh = open_client();
				i = rc_conn_slot(&conns, fresh);
				assert_null(c[i]);
				c[i] = fresh;
				asked[i] = answered[i] = 0;
			} else if (what < 30 && (waits(c[i], one) || waits(c[i], two))) {
				continue;
			} else if (what < 30) {
				asked[i]++;
				if (what < 12)
					say_filtered(c[i], "Q",
						what < 6 ? "data.n > 1" : "data.n > 2", one, two);
				else
					say_names(c[i], "subscribe", "Q", one, two);
			} else if (what < 45) {
				asked[i]++;
				say_names(c[i], "unsubscribe", "Q", one, two);
			} else if (what < 46) {
				asked[i]++;
				say(c[i], "{\"type\":\"unsubscribe\",\"id\":\"Q\"}");
			} else if (what < 47) {
				unassign(c[i], one);
			} else if (what < 48) {
				end_client(c[i]);
				c[i] = NULL;
			} else if (what < 70) {
				(void)hubs_take_ask(&h, i % 2, 1 - i % 2);
			} else if (what < 92) {
				(void)hubs_take_tell(&h, i % 2, 1 - i % 2);
			} else {
				rc_replica_ask_again(&h.shard[i % 2].hub);
			}
			hubs_check(&h);
			for (uint32_t k = 0; k < CONNS; k++) {
				if (c[k] && c[k]->out_len) {
					answered[k] += told(c[k], "\"Q\"");
					rc_conn_sent_out(&conns, c[k], c[k]->out_len);
				}
			}
		}
		h.refuse_percent = 0;
		hubs_settle(&h);
		for (uint32_t k = 0; k < CONNS; k++) {
			if (!c[k])
				continue;
			answered[k] += told(c[k], "\"Q\"");
			assert_int_equal(answered[k], asked[k]);
			assert_int_equal(c[k]->requests, RC_NONE);
			check_subs(c[k]);
		}
		(void)teardown(NULL);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(acknowledgements_keep_the_order_of_the_requests),
		TEST(an_unsubscribe_before_the_answer_releases_the_request),
		TEST(a_refusal_takes_with_it_the_requests_that_counted_on_it),
		TEST(what_ends_while_one_form_follows_another_ends_in_both),
		TEST(while_one_form_follows_another_the_channel_is_named_once),
		TEST(a_client_that_ends_while_it_waits_leaves_nothing),
		TEST(any_order_of_requests_and_answers_is_answered_once_each),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
