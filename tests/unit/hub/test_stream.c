/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams: replicas that follow several channels and patterns for clients of server-sent events. Members that are shared,
 * refused, asked again; streams that end while they are told something; and random orders in which every client reads each
 * event of its channels once and in order, behind positions that never go back.
 */
#include "hubs.h"

enum { CLIENTS = 24, CONNS = 64, CHANNELS = 6, WISHES = 9 };

static const char *const channels[CHANNELS] = {"a", "a:x", "a:y", "b:x", "c", "$all"};

struct wish {
	struct rc_str names;
	const char *list[4];
};

static const struct wish wishes[WISHES] = {
	{RC_STR("\1a"), {"a"}},
	{RC_STR("\3a:x"), {"a:x"}},
	{RC_STR("\1a\3a:x"), {"a", "a:x"}},
	{RC_STR("\3a:*"), {"a:*"}},
	{RC_STR("\3a:*\3a:x"), {"a:*", "a:x"}},
	{RC_STR("\2**"), {"**"}},
	{RC_STR("\2**\1a\3a:*"), {"**", "a", "a:*"}},
	{RC_STR("\1c\4none"), {"c", "none"}},
	{RC_STR("\3*:x\3b:x\1c"), {"*:x", "b:x", "c"}},
};

static struct hubs h;
static uint64_t counts[CHANNELS]; /* events that were ever taken */
static uint32_t overruns, losts, refusals;
static uint64_t read_count;

struct client {
	bool used, live;
	uint32_t shard, conn, sub, wish;
	uint64_t next[CHANNELS]; /* 0: it may begin anywhere up to least */
	uint64_t least[CHANNELS];
	uint64_t stamps[HUBS_MAX];
};

static struct client clients[CLIENTS];
static uint32_t heads[HUBS_MAX][CONNS];

static struct rc_hub *hub_of(const struct client *c)
{
	return &h.shard[c->shard].hub;
}

static struct rc_replica *stream_of(const struct client *c)
{
	return rc_hub_replica(hub_of(c), rc_hub_sub(hub_of(c), c->sub)->replica);
}

static struct client *client_of(const struct hubs_shard *s, uint32_t sub)
{
	for (uint32_t i = 0; i < CLIENTS; i++) {
		if (clients[i].used && clients[i].shard == s->index && clients[i].sub == sub)
			return &clients[i];
	}
	return NULL;
}

static bool wants(uint32_t wish, uint32_t channel)
{
	/* Everybody hears what is for all. */
	if (strcmp(channels[channel], "$all") == 0)
		return true;
	for (uint32_t i = 0; i < 4 && wishes[wish].list[i]; i++) {
		const char *name = wishes[wish].list[i];
		if (strchr(name, '*')
				? rc_pattern_match(rc_str_of(name), rc_str_of(channels[channel]))
				: strcmp(name, channels[channel]) == 0)
			return true;
	}
	return false;
}

/* ---- reading ------------------------------------------------------------------------------------ */

static void take_position(struct client *c, const char *text)
{
	char copy[200], *at = copy;

	(void)snprintf(copy, sizeof(copy), "%s", text);
	at = strchr(copy, '~');
	assert_non_null(at);
	for (uint32_t i = 0; i < h.count; i++) {
		assert_true(i == 0 ? *at == '~' : *at == '.');
		uint64_t stamp = strtoull(at + 1, &at, 10);
		assert_true(stamp >= c->stamps[i]);
		assert_true(stamp <= h.shard[i].hub.stamp + 1);
		c->stamps[i] = stamp;
	}
	assert_int_equal(*at, '\n');
}

static void take_block(struct client *c, const char *text, size_t len)
{
	char copy[4096];
	unsigned channel;
	unsigned long n;

	assert_true(len < sizeof(copy));
	memcpy(copy, text, len);
	copy[len] = 0;
	assert_true(len > 2 && memcmp(copy + len - 2, "\n\n", 2) == 0);
	const char *data = strstr(copy, "data: "), *mark = strstr(copy, "#");
	const char *id = strstr(copy, "\nid: ");
	assert_true(data && mark && id);
	assert_int_equal(sscanf(mark, "#%u|%lu|", &channel, &n), 2);
	assert_true(channel < CHANNELS && wants(c->wish, channel));
	if (c->next[channel])
		assert_int_equal(n, c->next[channel]);
	else
		assert_true(n <= c->least[channel]);
	c->next[channel] = n + 1;
	take_position(c, id + 5);
	read_count++;
}

static void read_client(struct client *c)
{
	struct rc_sub *s = rc_hub_sub(hub_of(c), c->sub);
	const struct rc_replica *r = stream_of(c);
	struct rc_log_frame f;

	while (s->cursor < r->log.tail) {
		assert_true(s->cursor >= r->log.head);
		rc_log_frame_at(&r->log, s->cursor, &f);
		assert_int_equal(f.pos, s->cursor);
		take_block(c, (const char *)f.bytes, f.len);
		rc_replica_advance(hub_of(c), s, f.pos + f.len);
	}
}

static void clean(struct rc_hub *hub)
{
	while (hub->dirty_first != RC_NONE) {
		struct rc_replica *r = rc_replica_dirty(hub);
		r->flush_left = 0;
		rc_replica_clean(hub, false);
	}
}

static void read_everybody(void)
{
	for (uint32_t i = 0; i < CLIENTS; i++) {
		if (clients[i].used && clients[i].live)
			read_client(&clients[i]);
	}
	for (uint32_t i = 0; i < h.count; i++)
		clean(&h.shard[i].hub);
}

/* ---- coming and going --------------------------------------------------------------------------- */

static void leave(struct client *c)
{
	rc_replica_unsubscribe(hub_of(c), c->sub, &heads[c->shard][c->conn]);
	assert_int_equal(heads[c->shard][c->conn], RC_NONE);
	c->used = false;
}

static void go_live(struct client *c)
{
	rc_replica_resume(hub_of(c), c->sub);
	c->live = true;
	for (uint32_t i = 0; i < CHANNELS; i++)
		c->least[i] = counts[i] + 1;
}

static void ready(struct hubs_shard *s, uint32_t replica, bool taken)
{
	const struct rc_replica *r = rc_hub_replica(&s->hub, replica);

	assert_true(r->rendition != RC_RENDITION_WS);
	assert_int_equal(r->waiting, 0);
	for (uint32_t i = 0; i < r->count;) {
		struct client *c = client_of(s, r->subs[i]);
		uint32_t count = r->count;
		assert_false(c->live);
		if (taken) {
			go_live(c);
			i++;
			continue;
		}
		refusals++;
		leave(c);
		if (count == 1)
			return;
	}
}

static void overrun(struct hubs_shard *s, uint32_t replica)
{
	struct rc_replica *r = rc_hub_replica(&s->hub, replica);

	overruns++;
	for (uint32_t i = 0; i < r->count;) {
		struct rc_sub *sub = rc_hub_sub(&s->hub, r->subs[i]);
		if (!(sub->flags & RC_SUB_PAUSED) && sub->cursor < r->log.tail)
			leave(client_of(s, r->subs[i]));
		else
			i++;
	}
}

static void lost(struct hubs_shard *s, uint32_t replica)
{
	struct rc_replica *r = rc_hub_replica(&s->hub, replica);

	losts++;
	while (r->count)
		leave(client_of(s, r->subs[0]));
}

static struct client *come(uint32_t shard, uint32_t wish)
{
	uint32_t i = 0, conn = 0;

	while (i < CLIENTS && clients[i].used)
		i++;
	if (i == CLIENTS)
		return NULL;
	while (heads[shard][conn] != RC_NONE)
		conn++;
	struct client *c = &clients[i];
	*c = (struct client){.shard = shard, .conn = conn, .wish = wish};
	enum rc_subscribe_result result = rc_stream_subscribe(&h.shard[shard].hub, conn,
		&heads[shard][conn], wishes[wish].names, RC_RENDITION_SSE, RC_SUB_PAUSED, &c->sub);
	if (result != RC_SUBSCRIBED) {
		assert_int_equal(c->sub, RC_NONE);
		assert_int_equal(heads[shard][conn], RC_NONE);
		return NULL;
	}
	c->used = true;
	if (stream_of(c)->state == RC_REPLICA_ACTIVE)
		go_live(c);
	return c;
}

/* ---- publishing --------------------------------------------------------------------------------- */

static bool take_publish(struct hubs_shard *s, const char *name, uint32_t len)
{
	char data[3000];
	uint32_t channel = 0;
	struct rc_outcome out;

	while (strcmp(channels[channel], name) != 0)
		channel++;
	int head = snprintf(
		data, sizeof(data), "\"#%u|%lu|", channel, (unsigned long)counts[channel] + 1);
	memset(data + head, 'x', len);
	data[(uint32_t)head + len] = '"';
	const struct rc_publish p = {
		.channel = rc_str_of(name),
		.event = RC_STR("e"),
		.data = {data, (uint32_t)head + len + 1},
		.timestamp_ms = 1,
		.time_ms = 1,
		.taken_ns = 1,
		.json = true,
	};
	/* The first reader of an event may come while it is told. */
	counts[channel]++;
	if (!rc_owner_publish(&s->hub, &p, &out) || out.nack) {
		counts[channel]--;
		return out.nack != 0;
	}
	return true;
}

static void publish(uint32_t channel, uint32_t len)
{
	uint32_t owner = hubs_owner(&h, channels[channel]);

	(void)take_publish(&h.shard[owner], channels[channel], len);
	hubs_check(&h);
}

/* ---- setting up --------------------------------------------------------------------------------- */

static const struct rc_hub_limits roomy = {.owned_max = 64,
	.replicas_max = 64,
	.subs_max = 256,
	.patterns_max = 32,
	.frame_max = 8192,
	.fetch_bytes = RC_FETCH_BYTES,
	.stream_epoch = 99,
	.keeps_history = true};

static void open_with(
	uint32_t shards, const struct rc_hub_limits *limits, size_t arena_bytes, uint64_t seed)
{
	hubs_open(&h, shards, limits, arena_bytes, seed);
	h.ready = ready;
	h.overrun = overrun;
	h.lost = lost;
	h.publish = take_publish;
	/* Streams read whole events: raw ones have no name and no object. */
	h.namespaces[0].raw = false;
	memset(heads, 0xff, sizeof(heads));
	memset(clients, 0, sizeof(clients));
	memset(counts, 0, sizeof(counts));
	overruns = losts = refusals = 0;
	read_count = 0;
}

static int setup_one(void **state)
{
	(void)state;
	open_with(1, &roomy, (size_t)1 << 20, 1);
	return 0;
}

static int setup_three(void **state)
{
	(void)state;
	open_with(3, &roomy, (size_t)1 << 20, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	h.refuse_percent = 0;
	h.queue_max = UINT32_MAX / 2;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		if (clients[i].used)
			leave(&clients[i]);
	}
	hubs_check(&h);
	hubs_settle(&h);
	for (uint32_t i = 0; i < h.count; i++)
		clean(&h.shard[i].hub);
	hubs_time(&h, 60000);
	for (uint32_t i = 0; i < h.count; i++)
		rc_owner_sweep(&h.shard[i].hub, 1000);
	hubs_assert_empty(&h);
	hubs_close(&h);
	return 0;
}

static struct rc_replica *named(uint32_t shard, const char *name)
{
	const struct rc_hub *hub = &h.shard[shard].hub;

	for (uint32_t i = 0; i <= hub->replica_table.mask; i++) {
		if (hub->replica_table.cell[i].used == 0)
			continue;
		struct rc_replica *r = rc_hub_replica(hub, hub->replica_table.cell[i].used - 1);
		if (rc_str_eq(rc_replica_name(r), rc_str_of(name)))
			return r;
	}
	return NULL;
}

/* ---- by hand ------------------------------------------------------------------------------------ */

static void members_are_shared_and_go_with_the_last_stream(void **state)
{
	(void)state;
	/* In every order of leaving. */
	for (uint32_t order = 0; order < 24; order++) {
		struct client *c[4] = {come(0, 2), come(0, 0), come(0, 2), come(0, 4)};
		assert_ptr_equal(stream_of(c[0]), stream_of(c[2]));
		assert_ptr_not_equal(stream_of(c[0]), stream_of(c[1]));
		/* a, a:x, a:*, $all and three streams. */
		assert_int_equal(h.shard[0].hub.replicas.used, 7);
		assert_int_equal(named(0, "a")->linked_count, 2);
		assert_int_equal(named(0, "a:x")->linked_count, 2);
		assert_int_equal(named(0, "$all")->linked_count, 3);
		hubs_check(&h);
		publish(0, 10);
		publish(1, 10);
		publish(5, 10);
		read_everybody();
		uint32_t left = order;
		for (uint32_t n = 4; n > 0; n--) {
			uint32_t k = left % n;
			left /= n;
			for (uint32_t i = 0; i < 4; i++) {
				if (c[i] && k-- == 0) {
					leave(c[i]);
					c[i] = NULL;
					break;
				}
			}
			hubs_check(&h);
			publish(0, 10);
			read_everybody();
		}
		assert_int_equal(h.shard[0].hub.replicas.used, 0);
	}
	assert_true(read_count > 24 * 9);
}

static void an_event_that_several_members_bring_comes_once(void **state)
{
	(void)state;
	struct client *c = come(0, 6), *d = come(1, 4), *e = come(2, 8);
	hubs_settle(&h);
	assert_true(c->live && d->live && e->live);
	for (int i = 0; i < 5; i++) {
		for (uint32_t k = 0; k < CHANNELS; k++)
			publish(k, 20);
	}
	hubs_settle(&h);
	read_everybody();
	/* 6 channels, of which ** does not bring $all, but the stream does; a:x, a:y; a:x, b:x, c. */
	assert_int_equal(read_count, 5 * (6 + 3 + 4));
}

static void channels_are_read_by_streams_and_sockets_alike(void **state)
{
	struct rc_hub *hub = &h.shard[0].hub;
	uint32_t head = RC_NONE, sub;

	(void)state;
	struct client *c = come(0, 0);
	assert_int_equal(
		rc_replica_subscribe(hub, 50, &head, RC_STR("a"), false, 0, &sub), RC_SUBSCRIBED);
	publish(0, 10);
	hubs_check(&h);
	assert_int_equal(named(0, "a")->behind, 1);
	/* Whoever goes first leaves it to the other. */
	rc_replica_unsubscribe(hub, sub, &head);
	assert_non_null(named(0, "a"));
	publish(0, 10);
	read_everybody();
	assert_int_equal(read_count, 2);
	assert_int_equal(
		rc_replica_subscribe(hub, 50, &head, RC_STR("a"), false, 0, &sub), RC_SUBSCRIBED);
	leave(c);
	publish(0, 10);
	hubs_check(&h);
	assert_int_equal(named(0, "a")->behind, 1);
	rc_replica_unsubscribe(hub, sub, &head);
	assert_null(named(0, "a"));
}

static void positions_say_what_came_of_every_owner(void **state)
{
	struct rc_hub *hub = &h.shard[0].hub;
	char want[200];

	(void)state;
	struct client *c = come(0, 5);
	hubs_settle(&h);
	for (uint32_t i = 0; i < 30; i++)
		publish(i % 5, 10);
	hubs_settle(&h);
	read_everybody();
	struct rc_str text = rc_hub_position(hub);
	const char *tail = strchr(text.ptr, '~');
	int len = snprintf(want, sizeof(want), "~%lu.%lu.%lu", (unsigned long)h.shard[0].hub.stamp,
		(unsigned long)h.shard[1].hub.stamp, (unsigned long)h.shard[2].hub.stamp);
	assert_int_equal(text.len, (size_t)(tail - text.ptr) + (size_t)len);
	assert_memory_equal(tail, want, (size_t)len);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(c->stamps[i], h.shard[i].hub.stamp);
	/* An owner says how far it is without an event; an older word changes nothing. */
	rc_hub_stamped(hub, 1, h.shard[1].hub.stamp + 10);
	rc_hub_stamped(hub, 1, 1);
	(void)rc_hub_position(hub);
	assert_int_equal(hub->seen[1], h.shard[1].hub.stamp + 10);
	hub->seen[1] = h.shard[1].hub.stamp;
	hub->position_len = 0;
}

static void the_newest_of_a_key_is_that_of_each_channel(void **state)
{
	(void)state;
	h.namespaces[0].policy = RC_SLOW_LATEST;
	h.namespaces[0].key = RC_STR("k");
	struct client *c = come(0, 3);
	for (int i = 0; i < 3; i++) {
		publish(1, 10);
		publish(2, 10);
	}
	assert_int_equal(stream_of(c)->last.count, 2);
	read_everybody();
}

static void an_owner_that_has_no_room_refuses_the_whole_stream(void **state)
{
	struct rc_hub_limits tight = roomy;

	(void)state;
	(void)teardown(NULL);
	tight.owned_max = 1;
	open_with(3, &tight, (size_t)1 << 20, 1);
	/* $all takes the place of its owner; another channel of that owner then finds none. */
	uint32_t owner = hubs_owner(&h, "$all"), wish = RC_NONE;
	for (uint32_t i = 0; i < 5 && wish == RC_NONE; i++) {
		for (uint32_t k = 0; k < 3; k++) {
			if (wishes[k].list[1] == NULL && hubs_owner(&h, wishes[k].list[0]) == owner)
				wish = k;
		}
	}
	struct client *other = come(owner, 5);
	hubs_settle(&h);
	assert_true(other->live);
	if (wish != RC_NONE) {
		/* At once on that shard, later on others; whoever joins meanwhile goes with them. */
		assert_null(come(owner, wish));
		hubs_check(&h);
		struct client *a = come((owner + 1) % 3, wish), *b = come((owner + 1) % 3, wish);
		assert_true(a && b && !a->live);
		hubs_settle(&h);
		assert_int_equal(refusals, 2);
		assert_false(a->used || b->used);
		hubs_check(&h);
	}
	/* Two channels of one owner that has place for one. */
	for (uint32_t shard = 0; shard < 3; shard++) {
		uint32_t before = refusals;
		struct client *c = come(shard, 6);
		hubs_settle(&h);
		assert_true(!c || !c->used || c->live || refusals > before);
	}
	publish(0, 10);
	hubs_settle(&h);
	read_everybody();
}

static void members_that_are_asked_again_begin_once(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 12; i++) {
		/* A far channel and a pattern, which leave before any answer, before all, after all. */
		struct client *c = come(0, 6);
		for (uint32_t n = 0; n < i % 4; n++) {
			(void)hubs_take_ask(&h, 0, 1 + n % 2);
			(void)hubs_take_tell(&h, 1 + n % 2, 0);
		}
		if (c->used && i % 3)
			leave(c);
		hubs_check(&h);
		c = come(0, i % 2 ? 6 : 4);
		struct client *d = come(0, 2);
		hubs_settle(&h);
		hubs_check(&h);
		assert_true(c->live && d->live);
		publish(1, 10);
		publish(0, 10);
		hubs_settle(&h);
		read_everybody();
		for (uint32_t k = 0; k < CLIENTS; k++) {
			if (clients[k].used) {
				if (wants(clients[k].wish, 1))
					assert_int_equal(clients[k].next[1], counts[1] + 1);
				leave(&clients[k]);
			}
		}
		if (i % 2)
			hubs_settle(&h);
	}
}

static void *blocks[4096];
static uint32_t block_count;

static void fill_arenas(uint32_t spare)
{
	block_count = 0;
	for (uint32_t i = 0; i < h.count; i++) {
		while (block_count < RC_ARRAY_LEN(blocks) &&
			(blocks[block_count] = rc_buddy_get(&h.shard[i].arena, RC_BUDDY_MIN)) !=
				NULL)
			block_count++;
	}
	while (spare-- > 0 && block_count > 0 && h.count == 1)
		rc_buddy_put(&h.shard[0].arena, blocks[--block_count]);
}

static void empty_arenas(void)
{
	assert_int_equal(h.count, 1);
	while (block_count > 0)
		rc_buddy_put(&h.shard[0].arena, blocks[--block_count]);
}

static void streams_may_end_while_they_are_told(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 40; seed++) {
		uint32_t count = 4 + seed % 7, before = losts + overruns;
		for (uint32_t i = 0; i < count; i++)
			(void)come(0, (seed + i * i) % WISHES);
		publish(1, 10);
		if (seed % 3 == 0)
			read_everybody();
		fill_arenas(seed % 4);
		for (uint32_t n = 0; n < 12; n++) {
			publish(n % CHANNELS, 900);
			hubs_check(&h);
			if (seed % 2)
				read_everybody();
		}
		assert_true(losts + overruns > before || seed % 4);
		empty_arenas();
		for (uint32_t i = 0; i < CLIENTS; i++) {
			if (clients[i].used)
				leave(&clients[i]);
		}
		hubs_check(&h);
		assert_int_equal(h.shard[0].hub.replicas.used, 0);
	}
	assert_true(losts > 20);
}

static void a_stream_that_finds_no_memory_leaves_nothing_behind(void **state)
{
	uint32_t refused = 0, taken = 0;

	(void)state;
	for (uint32_t spare = 0; spare < 24; spare++) {
		for (uint32_t wish = 0; wish < WISHES; wish++) {
			fill_arenas(spare);
			struct client *c = come(0, wish);
			hubs_check(&h);
			if (c) {
				taken++;
				leave(c);
			} else {
				refused++;
			}
			assert_int_equal(h.shard[0].hub.subs.used, 0);
			assert_int_equal(h.shard[0].hub.replicas.used, 0);
			empty_arenas();
			hubs_time(&h, 60000);
			rc_owner_sweep(&h.shard[0].hub, 100);
		}
	}
	assert_true(taken > 0);
	assert_true(refused > 0);
}

static void tables_that_are_full_refuse_a_stream(void **state)
{
	struct rc_hub_limits tight = roomy;

	(void)state;
	for (uint32_t most = 1; most < 9; most++) {
		(void)teardown(NULL);
		tight.replicas_max = most;
		tight.subs_max = 3;
		open_with(1, &tight, (size_t)1 << 20, 1);
		for (uint32_t wish = 0; wish < WISHES; wish++) {
			struct client *c = come(0, wish);
			/* The stream, its members, $all. */
			uint32_t need = 3;
			for (uint32_t i = 1; i < 3; i++)
				need += wishes[wish].list[i] != NULL;
			assert_true((c != NULL) == (need <= most));
			hubs_check(&h);
			if (!c)
				continue;
			struct client *d = come(0, wish), *e = come(0, wish);
			assert_true(d && e);
			assert_null(come(0, wish));
			leave(c);
			leave(d);
			leave(e);
		}
	}
}

/* ---- in all orders ------------------------------------------------------------------------------ */

static void assert_all_is_read(bool strict)
{
	uint32_t refuse = h.refuse_percent, most = h.queue_max;

	h.refuse_percent = 0;
	h.queue_max = UINT32_MAX / 2;
	hubs_settle(&h);
	read_everybody();
	for (uint32_t i = 0; i < CLIENTS; i++) {
		const struct client *c = &clients[i];
		if (!c->used)
			continue;
		assert_true(c->live);
		for (uint32_t k = 0; k < CHANNELS && strict; k++) {
			if (!wants(c->wish, k))
				continue;
			if (c->next[k])
				assert_int_equal(c->next[k], counts[k] + 1);
			else
				assert_int_equal(c->least[k], counts[k] + 1);
		}
	}
	hubs_check(&h);
	h.refuse_percent = refuse;
	h.queue_max = most;
}

static void walk(uint32_t shards, const struct rc_hub_limits *limits, size_t arena_bytes,
	uint32_t refuse, uint32_t queue_max, uint64_t seed, bool strict)
{
	open_with(shards, limits, arena_bytes, seed);
	h.refuse_percent = refuse;
	h.queue_max = queue_max;
	for (uint32_t step = 0; step < 2000; step++) {
		struct rc_prng *p = &h.prng;
		uint32_t shard = rc_prng_below(p, shards), other = rc_prng_below(p, shards);
		uint32_t what = rc_prng_below(p, 100);
		struct client *c = &clients[rc_prng_below(p, CLIENTS)];
		if (what < 12) {
			(void)come(shard, rc_prng_below(p, WISHES));
		} else if (what < 22) {
			if (c->used)
				leave(c);
		} else if (what < 45) {
			publish(rc_prng_below(p, CHANNELS), rc_prng_below(p, 900));
		} else if (what < 65) {
			(void)hubs_take_ask(&h, shard, other);
		} else if (what < 85) {
			(void)hubs_take_tell(&h, shard, other);
		} else if (what < 88) {
			rc_replica_ask_again(&h.shard[shard].hub);
		} else if (what < 96) {
			if (c->used && c->live)
				read_client(c);
		} else if (what < 98) {
			clean(&h.shard[shard].hub);
		} else {
			hubs_time(&h, rc_prng_below(p, 8000));
			rc_owner_sweep(&h.shard[shard].hub, 5);
		}
		hubs_check(&h);
		if (step % 400 == 399)
			assert_all_is_read(strict);
	}
}

static void any_order_with_room(void **state)
{
	uint64_t all = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 24; seed++) {
		walk(1 + (uint32_t)seed % HUBS_MAX, &roomy, (size_t)4 << 20, 0, UINT32_MAX / 2,
			seed, true);
		assert_int_equal(losts + overruns + refusals, 0);
		all += read_count;
		(void)teardown(NULL);
	}
	assert_true(all > 5000);
}

static void any_order_with_rings_that_are_full(void **state)
{
	(void)state;
	for (uint64_t seed = 100; seed < 124; seed++) {
		walk(2 + (uint32_t)seed % 2, &roomy, (size_t)4 << 20, 40, 1 + (uint32_t)seed % 7,
			seed, true);
		assert_int_equal(losts + overruns + refusals, 0);
		(void)teardown(NULL);
	}
}

static void any_order_with_tables_and_arenas_that_are_too_small(void **state)
{
	struct rc_hub_limits tight = roomy;
	uint64_t ended = 0, refused = 0;

	(void)state;
	tight.owned_max = 2;
	tight.replicas_max = 8;
	for (uint64_t seed = 200; seed < 232; seed++) {
		bool tables = seed % 2;
		walk(1 + (uint32_t)seed % HUBS_MAX, tables ? &tight : &roomy,
			tables ? (size_t)4 << 20 : (size_t)48 << 10, 10, 20, seed, tables);
		ended += losts + overruns;
		refused += refusals;
		(void)teardown(NULL);
	}
	assert_true(ended > 20);
	assert_true(refused > 10);
}

#define ONE(name)   cmocka_unit_test_setup_teardown(name, setup_one, teardown)
#define THREE(name) cmocka_unit_test_setup_teardown(name, setup_three, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONE(members_are_shared_and_go_with_the_last_stream),
		THREE(an_event_that_several_members_bring_comes_once),
		ONE(channels_are_read_by_streams_and_sockets_alike),
		THREE(positions_say_what_came_of_every_owner),
		ONE(the_newest_of_a_key_is_that_of_each_channel),
		THREE(an_owner_that_has_no_room_refuses_the_whole_stream),
		THREE(members_that_are_asked_again_begin_once),
		ONE(streams_may_end_while_they_are_told),
		ONE(a_stream_that_finds_no_memory_leaves_nothing_behind),
		ONE(tables_that_are_full_refuse_a_stream),
		cmocka_unit_test(any_order_with_room),
		cmocka_unit_test(any_order_with_rings_that_are_full),
		cmocka_unit_test(any_order_with_tables_and_arenas_that_are_too_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
