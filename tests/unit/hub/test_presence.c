/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is in a channel, as several shards count and one owner adds up: random orders with rings that refuse, against a model; what
 * join and leave events add up to; lingering, limits, full tables, storms.
 */
#include "hubs.h"

#include "proto/json.h"
#include "proto/textbuf.h"

enum { USERS = 10, CLIENTS = 60, CONNS = 128, ENTRIES = 4096, LINGER_MS = 100, INTERVAL_MS = 20 };

static struct hubs h;
static uint32_t heads[HUBS_MAX][CONNS];

struct client {
	bool in;
	uint32_t shard, conn, sub, user; /* user 0: anonymous */
	const char *channel;
};

static struct client clients[CLIENTS];

/* ---- asking ------------------------------------------------------------------------------------- */

static struct {
	uint32_t answers, count, clients, anonymous;
	bool complete;
	char users[65536];
} said;

static void told(struct hubs_shard *s, const struct rc_presence_told *t)
{
	(void)s;
	assert_int_equal(t->slot, 7);
	assert_int_equal(t->generation, 9);
	said.answers++;
	said.count = t->count;
	said.clients = t->clients;
	said.anonymous = t->anonymous;
	said.complete = t->complete;
	assert_true(t->users_len < sizeof(said.users));
	memcpy(said.users, t->users, t->users_len);
	said.users[t->users_len] = 0;
}

static void ask_from(uint32_t shard, const char *channel, bool counts)
{
	const struct rc_presence_ask q = {
		.shard = shard,
		.slot = 7,
		.generation = 9,
		.counts = counts,
		.channel = rc_str_of(channel),
	};
	uint32_t before = said.answers;

	assert_true(hubs_presence(&h.shard[shard], hubs_owner(&h, channel), &q));
	hubs_settle(&h);
	assert_int_equal(said.answers, before + 1);
}

/* ---- a channel's events ------------------------------------------------------------------------- */

/* A subscriber that adds up what it is told. */
static struct watcher {
	uint32_t shard, sub, head;
	const char *channel;
	bool in[4096];
	uint32_t users, count, joins, leaves, counts, largest, most;
	bool names; /* the sum is that of all users */
	uint64_t offset;
} watcher;

static uint32_t number_of(struct rc_str user)
{
	uint32_t n = 0;

	assert_true(user.len > 1 && user.ptr[0] == 'u');
	for (size_t i = 1; i < user.len; i++)
		n = n * 10 + (uint32_t)(user.ptr[i] - '0');
	assert_true(n < RC_ARRAY_LEN(watcher.in));
	return n;
}

static struct rc_json_value member(struct rc_json_value object, const char *name)
{
	struct rc_json_iter it;
	struct rc_json_value value, none = {0};
	struct rc_str key;

	rc_json_object_begin(&it, object.raw);
	while (rc_json_object_next(&it, &key, &value)) {
		if (rc_str_eq(key, rc_str_of(name)))
			return value;
	}
	return none;
}

static struct rc_str string(struct rc_json_value v)
{
	RC_ASSERT(v.kind == RC_JSON_STRING && v.raw.ptr);
	return (struct rc_str){v.raw.ptr + 1, v.raw.len - 2};
}

static uint32_t number(struct rc_json_value v)
{
	uint64_t n = 0;

	assert_int_equal(rc_u64_parse(v.raw, &n), 0);
	return (uint32_t)n;
}

static void take_users(struct watcher *w, struct rc_json_value event, bool join)
{
	struct rc_json_value data = member(event, "data"), item;
	struct rc_json_iter it;
	uint32_t listed = 0;

	rc_json_array_begin(&it, member(data, "users").raw);
	while (rc_json_array_next(&it, &item)) {
		uint32_t user = number_of(string(member(item, "user")));
		assert_true(w->in[user] != join);
		w->in[user] = join;
		w->users += join ? 1 : UINT32_MAX;
		listed++;
	}
	assert_true(listed >= 1 && listed <= RC_PRESENCE_EVENT_USERS);
	w->most = RC_MAX(w->most, listed);
	assert_int_equal(member(event, "user").kind == RC_JSON_STRING, listed == 1);
	assert_int_equal(number(member(data, "count")), w->users);
}

static void take_event(struct watcher *w, const unsigned char *frame, uint32_t len)
{
	struct rc_event_view v;

	assert_true(rc_event_ws_parse(frame, len, &v));
	struct rc_json_value event = rc_json_root(v.payload);
	struct rc_str type = string(member(event, "type"));
	assert_true(rc_json_validate(v.payload, 16) == 0);
	assert_true(rc_str_eq(type, v.event_raw));
	assert_true(rc_str_eq(string(member(event, "channel")), rc_str_of(w->channel)));
	uint64_t offset = number(member(event, "offset"));
	assert_int_equal(offset, w->offset + 1);
	w->offset = offset;
	w->largest = RC_MAX(w->largest, len);
	w->count = number(member(member(event, "data"), "count"));
	if (rc_str_eq(type, RC_STR("join"))) {
		take_users(w, event, true);
		w->joins++;
	} else if (rc_str_eq(type, RC_STR("leave"))) {
		take_users(w, event, false);
		w->leaves++;
	} else {
		assert_true(rc_str_eq(type, RC_STR("presence")));
		w->names = member(member(event, "data"), "complete").kind == RC_JSON_TRUE;
		w->counts++;
	}
}

static void clean(struct rc_hub *hub)
{
	while (hub->dirty_first != RC_NONE) {
		assert_non_null(rc_replica_dirty(hub));
		rc_replica_clean(hub, false);
	}
}

static void watch(uint32_t shard, const char *channel)
{
	struct watcher *w = &watcher;

	memset(w, 0, sizeof(*w));
	w->shard = shard;
	w->channel = channel;
	w->names = true;
	w->head = RC_NONE;
	assert_int_equal(rc_replica_subscribe(&h.shard[shard].hub, CONNS, &w->head,
				 rc_str_of(channel), false, 0, &w->sub),
		RC_SUBSCRIBED);
	hubs_settle(&h);
}

static void unwatch(void)
{
	rc_replica_unsubscribe(&h.shard[watcher.shard].hub, watcher.sub, &watcher.head);
	hubs_settle(&h);
}

static void read_events(void)
{
	struct rc_hub *hub = &h.shard[watcher.shard].hub;
	struct rc_sub *s = rc_hub_sub(hub, watcher.sub);
	const struct rc_replica *r = rc_hub_replica(hub, s->replica);
	struct rc_log_frame f;

	while (s->cursor < r->log.tail) {
		rc_log_frame_at(&r->log, s->cursor, &f);
		take_event(&watcher, f.bytes, f.len);
		rc_replica_advance(hub, s, f.pos + f.len);
	}
}

/* ---- coming and going --------------------------------------------------------------------------- */

static struct rc_str user_name(uint32_t user, char out[16])
{
	if (user == 0)
		return (struct rc_str){NULL, 0};
	(void)snprintf(out, 16, "u%u", user);
	return rc_str_of(out);
}

static void enter(
	struct client *c, uint32_t shard, uint32_t conn, uint32_t user, const char *channel)
{
	struct rc_hub *hub = &h.shard[shard].hub;
	char name[16];

	*c = (struct client){
		.in = true, .shard = shard, .conn = conn, .user = user, .channel = channel};
	heads[shard][conn] = RC_NONE;
	assert_true(rc_presence_reserve(hub, rc_str_of(channel)));
	assert_int_equal(rc_replica_subscribe(hub, conn, &heads[shard][conn], rc_str_of(channel),
				 false, RC_SUB_PAUSED, &c->sub),
		RC_SUBSCRIBED);
	rc_presence_enter(hub, rc_str_of(channel), user_name(user, name),
		user ? RC_STR("{\"n\":1}") : RC_STR(""));
}

static void leave(struct client *c)
{
	struct rc_hub *hub = &h.shard[c->shard].hub;
	char name[16];

	rc_presence_leave(hub, rc_str_of(c->channel), user_name(c->user, name));
	rc_replica_unsubscribe(hub, c->sub, &heads[c->shard][c->conn]);
	c->in = false;
}

static void turn(void)
{
	for (uint32_t i = 0; i < h.count; i++) {
		rc_presence_turn(&h.shard[i].hub);
		clean(&h.shard[i].hub);
	}
}

/* Everything is told and nobody lingers. */
static void come_to_rest(void)
{
	for (uint32_t i = 0; i < 200; i++) {
		hubs_settle(&h);
		turn();
		hubs_settle(&h);
		if (watcher.channel)
			read_events();
		hubs_time(&h, INTERVAL_MS);
	}
	hubs_check(&h);
}

static void open_hubs(uint32_t count, uint32_t entries, uint64_t seed)
{
	const struct rc_hub_limits limits = {
		.owned_max = 64,
		.replicas_max = 64,
		.subs_max = 8192,
		.patterns_max = 16,
		.frame_max = 16384,
		.fetch_bytes = 60000,
		.history_bytes_max = 1 << 20,
		.namespaces = 2,
		.presence_max = entries,
	};

	hubs_open(&h, count, &limits, 32u << 20, seed);
	h.told = told;
	for (int i = 0; i < 2; i++) {
		h.namespaces[i].raw = false;
		h.namespaces[i].key = RC_STR("");
		h.namespaces[i].channel_ttl_ms = 1000;
		h.namespaces[i].presence = true;
		h.namespaces[i].join_leave = true;
		h.namespaces[i].presence_linger_ms = LINGER_MS;
		h.namespaces[i].presence_interval_ms = INTERVAL_MS;
		h.namespaces[i].presence_max = 1000;
	}
	memset(&watcher, 0, sizeof(watcher));
	memset(clients, 0, sizeof(clients));
	memset(&said, 0, sizeof(said));
}

static void close_empty(void)
{
	if (watcher.channel)
		unwatch();
	watcher.channel = NULL;
	come_to_rest();
	hubs_time(&h, 60000);
	for (uint32_t i = 0; i < h.count; i++)
		rc_owner_sweep(&h.shard[i].hub, 1000);
	for (uint32_t i = 0; i < h.count; i++) {
		const struct rc_presence *p = &h.shard[i].hub.presence;
		assert_int_equal(p->heres.used, 0);
		assert_int_equal(p->guests.used, 0);
		assert_int_equal(p->presents.used, 0);
		assert_int_equal(p->users.used, 0);
	}
	hubs_assert_empty(&h);
	hubs_close(&h);
}

static uint64_t counted(enum rc_counter which)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < h.count; i++)
		sum += rc_counter_get(&h.shard[i].counters, which);
	return sum;
}

/* ---- tests -------------------------------------------------------------------------------------- */

static void compare(const char *channel, uint32_t shards)
{
	uint32_t connections[USERS + 1] = {0}, all = 0, users = 0;

	for (uint32_t i = 0; i < CLIENTS; i++) {
		if (!clients[i].in || strcmp(clients[i].channel, channel) != 0)
			continue;
		all++;
		users += connections[clients[i].user]++ == 0 && clients[i].user;
	}
	ask_from(rc_prng_below(&h.prng, shards), channel, false);
	assert_true(said.complete);
	assert_int_equal(said.count, users);
	assert_int_equal(said.clients, all);
	assert_int_equal(said.anonymous, connections[0]);
	for (uint32_t u = 1; u <= USERS; u++) {
		char text[80];
		(void)snprintf(text, sizeof(text),
			"{\"user\":\"u%u\",\"connections\":%u,\"info\":{\"n\":1}}", u,
			connections[u]);
		assert_int_equal(strstr(said.users, text) != NULL, connections[u] != 0);
	}
	if (strcmp(channel, watcher.channel) != 0)
		return;
	/* What its events add up to is what is answered. */
	assert_int_equal(watcher.users, users);
	for (uint32_t u = 1; u <= USERS; u++)
		assert_int_equal(watcher.in[u], connections[u] != 0);
}

static void random_orders(uint32_t shards, uint32_t refuse, uint32_t queue_max, uint64_t seed)
{
	static const char *const names[] = {"a", "keyed:b", "c"};

	open_hubs(shards, ENTRIES, seed);
	watch(rc_prng_below(&h.prng, shards), "a");
	for (uint32_t round = 0; round < 12; round++) {
		h.refuse_percent = refuse;
		h.queue_max = queue_max;
		for (uint32_t step = 0; step < 400; step++) {
			struct client *c = &clients[rc_prng_below(&h.prng, CLIENTS)];
			uint32_t what = rc_prng_below(&h.prng, 10);
			uint32_t a = rc_prng_below(&h.prng, shards);
			uint32_t b = rc_prng_below(&h.prng, shards);
			if (what < 4 && c->in)
				leave(c);
			else if (what < 4)
				enter(c, a, (uint32_t)(c - clients),
					rc_prng_below(&h.prng, USERS + 1),
					names[rc_prng_below(&h.prng, 3)]);
			else if (what < 6)
				(void)hubs_take_ask(&h, a, b);
			else if (what < 8)
				(void)hubs_take_tell(&h, a, b);
			else if (what == 8)
				turn();
			else
				hubs_time(&h, rc_prng_below(&h.prng, 30));
			for (uint32_t i = 0; i < shards; i++) {
				if (h.shard[i].hub.ask_first != RC_NONE)
					rc_replica_ask_again(&h.shard[i].hub);
			}
			if (step % 50 == 0) {
				read_events();
				hubs_check(&h);
			}
		}
		h.refuse_percent = 0;
		h.queue_max = UINT32_MAX / 2;
		come_to_rest();
		for (int i = 0; i < 3; i++)
			compare(names[i], shards);
	}
	assert_true(counted(RC_C_presence_lingered) > 0);
	assert_int_equal(counted(RC_C_presence_full), 0);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		if (clients[i].in)
			leave(&clients[i]);
	}
	close_empty();
}

static void what_is_answered_and_told_is_who_is_there(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		random_orders(1, 0, UINT32_MAX / 2, seed);
		random_orders(2, 0, UINT32_MAX / 2, seed);
		random_orders(3, 30, UINT32_MAX / 2, seed);
		random_orders(3, 50, 3, seed);
	}
}

static void who_comes_back_in_time_has_not_left(void **state)
{
	(void)state;
	open_hubs(2, ENTRIES, 1);
	watch(0, "a");
	enter(&clients[0], 0, 0, 1, "a");
	come_to_rest();
	assert_int_equal(watcher.joins, 1);
	leave(&clients[0]);
	turn();
	hubs_settle(&h);
	ask_from(1, "a", false);
	assert_string_equal(said.users, "{\"user\":\"u1\",\"connections\":0,\"info\":{\"n\":1}}");
	assert_int_equal(said.count, 1);
	assert_int_equal(said.clients, 0);
	hubs_time(&h, LINGER_MS - 1);
	turn();
	/* On the other shard. */
	enter(&clients[0], 1, 0, 1, "a");
	come_to_rest();
	assert_int_equal(watcher.joins + watcher.leaves, 1);
	assert_int_equal(counted(RC_C_presence_lingered), 1);
	assert_int_equal(counted(RC_C_presence_leaves), 0);
	leave(&clients[0]);
	come_to_rest();
	assert_int_equal(watcher.leaves, 1);
	assert_int_equal(watcher.users, 0);
	close_empty();
}

static void a_channel_is_remembered_while_somebody_lingers(void **state)
{
	(void)state;
	open_hubs(1, ENTRIES, 1);
	h.namespaces[0].presence_linger_ms = 60000;
	enter(&clients[0], 0, 0, 1, "a");
	turn();
	leave(&clients[0]);
	turn();
	hubs_time(&h, 50000);
	turn();
	rc_owner_sweep(&h.shard[0].hub, 1000);
	ask_from(0, "a", true);
	assert_int_equal(said.count, 1);
	hubs_time(&h, 10000);
	turn();
	ask_from(0, "a", true);
	assert_int_equal(said.count, 0);
	assert_int_equal(said.users[0], 0);
	close_empty();
}

static void a_full_ring_loses_no_leave(void **state)
{
	char name[64];

	(void)state;
	open_hubs(2, ENTRIES, 1);
	hubs_name_of(&h, 1, "x", name);
	watch(1, name);
	for (uint32_t i = 0; i < 5; i++)
		enter(&clients[i], 0, i, i + 1, name);
	come_to_rest();
	assert_int_equal(watcher.users, 5);
	h.queue_max = 0;
	for (uint32_t i = 0; i < 4; i++)
		leave(&clients[i]);
	turn();
	assert_true(h.shard[0].hub.presence.blocked);
	assert_int_equal(h.asks[0][1].count, 0);
	/* One of them is back before its leave could be told: nothing is left to tell of it. */
	enter(&clients[0], 0, 0, 1, name);
	h.queue_max = UINT32_MAX / 2;
	come_to_rest();
	assert_false(h.shard[0].hub.presence.blocked);
	assert_int_equal(watcher.users, 2);
	assert_true(watcher.in[1] && watcher.in[5]);
	assert_int_equal(counted(RC_C_presence_lingered), 0);
	leave(&clients[0]);
	leave(&clients[4]);
	close_empty();
}

static void nobody_is_told_of_before_the_owner_took_the_channel(void **state)
{
	char name[64];

	(void)state;
	open_hubs(2, ENTRIES, 1);
	hubs_name_of(&h, 1, "x", name);
	enter(&clients[0], 0, 0, 1, name);
	turn();
	assert_int_equal(h.asks[0][1].count, 1); /* the wish alone */
	assert_false(h.shard[0].hub.presence.blocked);
	leave(&clients[0]);
	turn();
	hubs_settle(&h);
	turn();
	assert_int_equal(counted(RC_C_presence_joins), 0);
	close_empty();
}

static void above_the_limit_only_counts_are_told(void **state)
{
	(void)state;
	open_hubs(1, ENTRIES, 1);
	h.namespaces[0].presence_max = 16;
	watch(0, "a");
	for (uint32_t i = 0; i < 16; i++)
		enter(&clients[i], 0, i, i + 1, "a");
	come_to_rest();
	assert_int_equal(watcher.users, 16);
	assert_int_equal(watcher.counts, 0);
	ask_from(0, "a", false);
	assert_true(said.complete && said.users[0]);
	uint32_t names = watcher.joins;
	for (uint32_t i = 16; i < 40; i++)
		enter(&clients[i], 0, i, i + 1, "a");
	come_to_rest();
	assert_int_equal(watcher.joins, names);
	assert_int_equal(watcher.counts, 1);
	assert_int_equal(watcher.count, 40);
	assert_false(watcher.names);
	ask_from(0, "a", false);
	assert_false(said.complete);
	assert_int_equal(said.users[0], 0);
	assert_int_equal(said.count, 40);
	assert_int_equal(said.clients, 40);
	ask_from(0, "a", true);
	assert_true(said.complete);
	/* Few enough again: who reads asks for the list, and then hears names. */
	for (uint32_t i = 10; i < 40; i++)
		leave(&clients[i]);
	come_to_rest();
	assert_true(watcher.names);
	assert_int_equal(watcher.count, 10);
	assert_int_equal(watcher.leaves, 0);
	ask_from(0, "a", false);
	assert_true(said.complete && said.users[0]);
	memset(watcher.in, 0, sizeof(watcher.in));
	for (uint32_t u = 1; u <= 10; u++)
		watcher.in[u] = true;
	watcher.users = 10;
	leave(&clients[3]);
	enter(&clients[20], 0, 20, 21, "a");
	come_to_rest();
	assert_int_equal(watcher.users, 10);
	assert_true(watcher.in[21] && !watcher.in[4]);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		if (clients[i].in)
			leave(&clients[i]);
	}
	close_empty();
}

static void who_finds_no_room_is_counted(void **state)
{
	(void)state;
	open_hubs(2, 4, 1);
	watch(0, "a");
	for (uint32_t i = 0; i < 12; i++)
		enter(&clients[i], i % 2, i, 1 + i / 2, "a");
	enter(&clients[12], 0, 12, 0, "a");
	come_to_rest();
	assert_true(counted(RC_C_presence_full) > 0);
	ask_from(1, "a", false);
	assert_int_equal(said.clients, 13);
	assert_int_equal(said.anonymous, 1);
	assert_true(said.count >= 4 && said.count < 6);
	assert_false(said.complete);
	/* Those who had found room leave first, then the others, whom nobody finds. */
	for (uint32_t i = 0; i < 6; i++)
		leave(&clients[i]);
	come_to_rest();
	ask_from(0, "a", false);
	assert_int_equal(said.clients, 7);
	/* There is room again. */
	enter(&clients[20], 1, 20, 9, "a");
	come_to_rest();
	ask_from(0, "a", false);
	assert_non_null(strstr(said.users, "u9"));
	for (uint32_t i = 6; i <= 12; i++)
		leave(&clients[i]);
	come_to_rest();
	ask_from(0, "a", false);
	assert_int_equal(said.clients, 1);
	assert_int_equal(said.count, 1);
	assert_true(said.complete);
	assert_true(watcher.users == 1 && watcher.in[9]);
	leave(&clients[20]);
	close_empty();
}

static void a_list_ends_where_its_room_does(void **state)
{
	static char info[900];
	const struct rc_str long_info = {info, sizeof(info)};
	uint32_t head = RC_NONE, sub;

	(void)state;
	open_hubs(1, ENTRIES, 1);
	memset(info, 'x', sizeof(info));
	info[0] = info[sizeof(info) - 1] = '"';
	struct rc_hub *hub = &h.shard[0].hub;
	assert_true(rc_presence_reserve(hub, RC_STR("a")));
	assert_int_equal(
		rc_replica_subscribe(hub, 0, &head, RC_STR("a"), false, RC_SUB_PAUSED, &sub),
		RC_SUBSCRIBED);
	for (uint32_t u = 1; u <= 100; u++) {
		char name[16];
		rc_presence_enter(hub, RC_STR("a"), user_name(u, name), long_info);
	}
	turn();
	ask_from(0, "a", false);
	assert_false(said.complete);
	assert_int_equal(said.count, 100);
	size_t len = strlen(said.users);
	assert_true(len > 50000 && len <= 60000 + 16384);
	assert_true(said.users[len - 1] == '}' && said.users[len - 2] == '"');
	for (uint32_t u = 1; u <= 100; u++) {
		char name[16];
		rc_presence_leave(hub, RC_STR("a"), user_name(u, name));
	}
	rc_replica_unsubscribe(hub, sub, &head);
	close_empty();
}

static void the_newest_info_is_shown(void **state)
{
	(void)state;
	open_hubs(2, ENTRIES, 1);
	enter(&clients[0], 0, 0, 1, "a");
	come_to_rest();
	struct rc_hub *hub = &h.shard[0].hub;
	rc_presence_renew(hub, RC_STR("a"), RC_STR("u1"), RC_STR("[2]"));
	come_to_rest();
	ask_from(1, "a", false);
	assert_string_equal(said.users, "{\"user\":\"u1\",\"connections\":1,\"info\":[2]}");
	/* As that of another connection on the other shard does. */
	enter(&clients[1], 1, 0, 1, "a");
	come_to_rest();
	ask_from(1, "a", false);
	assert_string_equal(said.users, "{\"user\":\"u1\",\"connections\":2,\"info\":{\"n\":1}}");
	leave(&clients[0]);
	leave(&clients[1]);
	close_empty();
}

static void names_are_escaped(void **state)
{
	uint32_t head = RC_NONE, sub;

	(void)state;
	open_hubs(1, ENTRIES, 1);
	watch(0, "a");
	struct rc_hub *hub = &h.shard[0].hub;
	assert_true(rc_presence_reserve(hub, RC_STR("a")));
	assert_int_equal(
		rc_replica_subscribe(hub, 0, &head, RC_STR("a"), false, RC_SUB_PAUSED, &sub),
		RC_SUBSCRIBED);
	rc_presence_enter(hub, RC_STR("a"), RC_STR("x\",\"data\":\\"), RC_STR("{}"));
	turn();
	const struct rc_sub *s = rc_hub_sub(hub, watcher.sub);
	const struct rc_replica *r = rc_hub_replica(hub, s->replica);
	struct rc_log_frame f;
	struct rc_event_view v;
	rc_log_frame_at(&r->log, s->cursor, &f);
	assert_true(rc_event_ws_parse(f.bytes, f.len, &v));
	assert_int_equal(rc_json_validate(v.payload, 16), 0);
	struct rc_json_value event = rc_json_root(v.payload);
	static const char escaped[] = "\"x\\\",\\\"data\\\":\\\\\"";
	assert_true(rc_str_eq(member(event, "user").raw, rc_str_of(escaped)));
	assert_int_equal(v.data.ptr[0], '{');
	assert_true(rc_str_eq(v.event_raw, RC_STR("join")));
	rc_replica_advance(hub, rc_hub_sub(hub, watcher.sub), f.pos + f.len);
	rc_presence_leave(hub, RC_STR("a"), RC_STR("x\",\"data\":\\"));
	rc_replica_unsubscribe(hub, sub, &head);
	watcher.channel = NULL;
	come_to_rest();
	rc_replica_advance(hub, rc_hub_sub(hub, watcher.sub), r->log.tail);
	watcher.channel = "a";
	close_empty();
}

/* So many users come into one channel, some per turn of a millisecond. Events: how many there were. */
static void storm(uint32_t users, uint32_t presence_max, uint32_t per_ms)
{
	uint32_t head = RC_NONE, sub, intervals = 0;
	char name[16];

	open_hubs(1, ENTRIES, 1);
	h.namespaces[0].presence_max = presence_max;
	watch(0, "a");
	struct rc_hub *hub = &h.shard[0].hub;
	assert_true(rc_presence_reserve(hub, RC_STR("a")));
	assert_int_equal(
		rc_replica_subscribe(hub, 0, &head, RC_STR("a"), false, RC_SUB_PAUSED, &sub),
		RC_SUBSCRIBED);
	for (uint32_t u = 1; u <= users; u++) {
		rc_presence_enter(hub, RC_STR("a"), user_name(u, name), RC_STR("{\"n\":1}"));
		if (u % per_ms)
			continue;
		turn();
		hubs_time(&h, 1);
	}
	intervals = 1 + users / per_ms / INTERVAL_MS;
	come_to_rest();
	intervals += 200;
	uint32_t events = watcher.joins + watcher.counts;
	assert_true(events <= intervals);
	assert_true(watcher.largest <= RC_PRESENCE_DATA_MAX + 512);
	assert_int_equal(watcher.count, users);
	if (users > presence_max) {
		/* Names for the first of them, then a count per interval. */
		assert_true(watcher.joins <= presence_max / RC_PRESENCE_EVENT_USERS + 1);
		assert_true(watcher.counts <= 2 + users / per_ms / INTERVAL_MS);
	} else {
		assert_int_equal(watcher.users, users);
		assert_true(events <=
			    users / RC_PRESENCE_EVENT_USERS + 2 + users / per_ms / INTERVAL_MS);
	}
	for (uint32_t u = 1; u <= users; u++)
		rc_presence_leave(hub, RC_STR("a"), user_name(u, name));
	rc_replica_unsubscribe(hub, sub, &head);
	close_empty();
}

static void a_storm_costs_one_event_of_bounded_size_per_interval(void **state)
{
	(void)state;
	storm(2000, 4000, 10);
	storm(2000, 4000, 1000);
	storm(2000, 1000, 10);
	storm(2000, 1000, 2000);
}

static void where_it_is_not_wanted_nothing_is_kept(void **state)
{
	(void)state;
	open_hubs(1, ENTRIES, 1);
	h.namespaces[1].presence = false;
	const struct rc_hub *hub = &h.shard[0].hub;
	assert_true(rc_presence_wanted(hub, RC_STR("a")));
	assert_false(rc_presence_wanted(hub, RC_STR("keyed:a")));
	assert_false(rc_presence_wanted(hub, RC_STR("$all")));
	assert_false(rc_presence_wanted(hub, RC_STR("a:*")));
	enter(&clients[0], 0, 0, 1, "keyed:a");
	turn();
	assert_int_equal(hub->presence.heres.used, 0);
	leave(&clients[0]);
	/* And without the events the list alone. */
	h.namespaces[0].join_leave = false;
	watch(0, "a");
	enter(&clients[0], 0, 0, 1, "a");
	come_to_rest();
	ask_from(0, "a", false);
	assert_int_equal(said.count, 1);
	leave(&clients[0]);
	come_to_rest();
	ask_from(0, "a", false);
	assert_int_equal(said.count, 0);
	assert_int_equal(watcher.offset, 0);
	close_empty();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_answered_and_told_is_who_is_there),
		cmocka_unit_test(who_comes_back_in_time_has_not_left),
		cmocka_unit_test(a_channel_is_remembered_while_somebody_lingers),
		cmocka_unit_test(a_full_ring_loses_no_leave),
		cmocka_unit_test(nobody_is_told_of_before_the_owner_took_the_channel),
		cmocka_unit_test(above_the_limit_only_counts_are_told),
		cmocka_unit_test(who_finds_no_room_is_counted),
		cmocka_unit_test(a_list_ends_where_its_room_does),
		cmocka_unit_test(the_newest_info_is_shown),
		cmocka_unit_test(names_are_escaped),
		cmocka_unit_test(a_storm_costs_one_event_of_bounded_size_per_interval),
		cmocka_unit_test(where_it_is_not_wanted_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
