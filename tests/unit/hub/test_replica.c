/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscribers and what they are told, over one to three hubs: by hand the orders that are easily got wrong, and then in random
 * orders against a model that knows only this: whoever subscribed to a channel reads every event from the position he was
 * told, in order and without a gap, and when all have left all memory is back.
 */
#include "hubs.h"

enum {
	CONNS = 6,
	CHANNELS = 8,
	PATTERNS = 5,
	NAMES = CHANNELS + PATTERNS,
	LISTENERS = 40,
	CONN_COUNT = 64
};

static const char *const names[NAMES] = {
	"a", "a:x", "a:y", "b:x", "b:x:1", "c", "d", "$own:x", "a:*", "**", "*:x", "b:**", "*:*:1"};

static struct hubs h;
static uint32_t first_sub[HUBS_MAX][CONN_COUNT];

/* What is true of a channel. */
struct channel {
	uint64_t count; /* events ever taken */
	uint64_t epoch;
	uint64_t base; /* events before this epoch */
};

struct listener {
	bool used;
	bool live;    /* not paused any more */
	bool ready;   /* its replica answered */
	bool refused; /* it answered no */
	bool pending; /* has more to read */
	uint32_t shard, conn, sub, name;
	uint64_t next[CHANNELS];  /* the event that has to come next; 0 = the first one tells */
	uint64_t least[CHANNELS]; /* the first one may not be later than this; 0 = it may */
	uint64_t last[CHANNELS];
	uint32_t partial; /* bytes of an unfinished frame */
	unsigned char bytes[80000];
};

static struct channel channels[CHANNELS];
static struct listener listeners[LISTENERS];
static uint32_t sub_index[HUBS_MAX][256]; /* from subscription to listener */
static uint64_t frames_read, overruns, losts, refusals;
static uint32_t payload_max;

static struct rc_hub *hub_of(const struct listener *l)
{
	return &h.shard[l->shard].hub;
}

static struct rc_replica *replica_of(const struct listener *l)
{
	return rc_hub_replica(hub_of(l), rc_hub_sub(hub_of(l), l->sub)->replica);
}

static bool is_pattern(uint32_t name)
{
	return name >= CHANNELS;
}

/* ---- reading ------------------------------------------------------------------------------------ */

static void take_frame(struct listener *l, const char *payload, size_t len)
{
	unsigned channel;
	unsigned long n;
	char text[64] = {0};

	memcpy(text, payload, RC_MIN(len, sizeof(text) - 1));
	assert_int_equal(sscanf(text, "\"%u|%lu|", &channel, &n), 2);
	assert_true(channel < CHANNELS);
	/* It is what was subscribed. */
	if (is_pattern(l->name))
		assert_true(rc_pattern_match(rc_str_of(names[l->name]), rc_str_of(names[channel])));
	else
		assert_int_equal(channel, l->name);
	assert_true(n > l->last[channel]);
	if (l->next[channel])
		assert_int_equal(n, l->next[channel]);
	else if (l->least[channel])
		assert_true(n <= l->least[channel]);
	l->last[channel] = n;
	l->next[channel] = n + 1;
	frames_read++;
}

/* Complete frames out of what came. */
static void take_bytes(struct listener *l)
{
	uint32_t at = 0;

	while (l->partial - at >= 2) {
		const unsigned char *f = l->bytes + at;
		size_t head = 2, size = f[1];
		assert_int_equal(f[0], 0x81);
		if (size == 126)
			head = 4;
		if (size == 127)
			head = 10;
		if (l->partial - at < head)
			break;
		if (head > 2) {
			size = 0;
			for (size_t i = 2; i < head; i++)
				size = size << 8 | f[i];
		}
		if (l->partial - at < head + size)
			break;
		take_frame(l, (const char *)f + head, size);
		at += (uint32_t)(head + size);
	}
	memmove(l->bytes, l->bytes + at, l->partial - at);
	l->partial -= at;
}

/* As a send does: from the cursor on, at most so many bytes, and never over the end of a chunk. */
static void read_some(struct listener *l, uint32_t most)
{
	struct rc_sub *s = rc_hub_sub(hub_of(l), l->sub);
	const struct rc_replica *r = replica_of(l);
	const unsigned char *bytes = NULL;

	assert_true(s->cursor >= r->log.head);
	uint32_t len = RC_MIN(rc_log_range(&r->log, s->cursor, &bytes), most);
	len = RC_MIN(len, (uint32_t)sizeof(l->bytes) - l->partial);
	if (len) {
		memcpy(l->bytes + l->partial, bytes, len);
		l->partial += len;
		rc_replica_advance(hub_of(l), s, s->cursor + len);
		take_bytes(l);
	}
	l->pending = s->cursor < r->log.tail;
}

/* The flush of a shard, with room for so many subscribers: as shard/flush.c does it. */
static void flush(struct hubs_shard *s, uint32_t budget, uint32_t most)
{
	uint32_t replicas = s->hub.dirty_count;

	while (replicas-- > 0 && budget > 0 && rc_replica_dirty(&s->hub)) {
		struct rc_replica *r = rc_replica_dirty(&s->hub);
		uint64_t tail = r->log.tail;
		while (r->flush_left > 0 && budget > 0) {
			uint32_t place = r->flush_next;
			assert_true(place < r->count);
			struct listener *l = &listeners[sub_index[s->index][r->subs[place]]];
			const struct rc_sub *sub = rc_hub_sub(&s->hub, r->subs[place]);
			r->flush_next = place + 1 == r->count ? 0 : place + 1;
			r->flush_left--;
			if ((sub->flags & RC_SUB_PAUSED) || sub->cursor == tail)
				continue;
			r->flush_low = RC_MIN(r->flush_low, sub->cursor);
			budget--;
			if (rc_prng_below(&h.prng, 4))
				read_some(l, most);
			else
				l->pending = true;
		}
		bool again = r->flush_left > 0;
		if (!again) {
			r->taken_ns = 0;
			rc_replica_release(&s->hub, r, r->flush_low);
		}
		rc_replica_clean(&s->hub, again);
	}
}

static void read_everything(void)
{
	for (uint32_t i = 0; i < h.count; i++) {
		for (uint32_t n = 0; n < 1000 && h.shard[i].hub.dirty_first != RC_NONE; n++)
			flush(&h.shard[i], 1000, 100000);
	}
	for (uint32_t i = 0; i < LISTENERS; i++) {
		while (listeners[i].used && listeners[i].live && listeners[i].pending)
			read_some(&listeners[i], 100000);
	}
}

/* ---- coming and going --------------------------------------------------------------------------- */

static struct listener *subscribe(uint32_t shard, uint32_t conn, uint32_t name)
{
	uint32_t i = 0, sub;

	while (i < LISTENERS && listeners[i].used)
		i++;
	if (i == LISTENERS)
		return NULL;
	struct rc_hub *hub = &h.shard[shard].hub;
	enum rc_subscribe_result result = rc_replica_subscribe(hub, conn, &first_sub[shard][conn],
		rc_str_of(names[name]), is_pattern(name), RC_SUB_PAUSED, &sub);
	if (result == RC_SUBSCRIBED_ALREADY) {
		const struct listener *l = &listeners[sub_index[shard][sub]];
		assert_true(l->used && l->shard == shard && l->conn == conn && l->name == name &&
			    l->sub == sub);
		return NULL;
	}
	if (result == RC_SUBSCRIBE_FULL) {
		assert_int_equal(sub, RC_NONE);
		refusals++;
		return NULL;
	}
	struct listener *l = &listeners[i];
	memset(l, 0, offsetof(struct listener, bytes));
	l->used = true;
	l->shard = shard;
	l->conn = conn;
	l->name = name;
	l->sub = sub;
	sub_index[shard][sub] = i;
	l->ready = replica_of(l)->state == RC_REPLICA_ACTIVE;
	assert_int_equal(
		rc_replica_find_sub(hub, conn, first_sub[shard][conn], rc_str_of(names[name])),
		sub);
	return l;
}

static void unsubscribe(struct listener *l)
{
	assert_true(l->used);
	rc_replica_unsubscribe(hub_of(l), l->sub, &first_sub[l->shard][l->conn]);
	l->used = false;
	assert_int_equal(rc_replica_find_sub(hub_of(l), l->conn, first_sub[l->shard][l->conn],
				 rc_str_of(names[l->name])),
		RC_NONE);
}

/* Everything that the connection holds ends. */
static void disconnect(uint32_t shard, uint32_t conn)
{
	while (first_sub[shard][conn] != RC_NONE)
		unsubscribe(&listeners[sub_index[shard][first_sub[shard][conn]]]);
}

static void resume(struct listener *l)
{
	assert_true(l->used && l->ready && !l->live);
	rc_replica_resume(hub_of(l), l->sub);
	l->live = true;
	const struct rc_replica *r = replica_of(l);
	assert_int_equal(r->state, RC_REPLICA_ACTIVE);
	for (uint32_t c = 0; c < CHANNELS; c++)
		l->least[c] = channels[c].count + 1;
	if (is_pattern(l->name))
		return;
	const struct channel *c = &channels[l->name];
	if (r->epoch == c->epoch) {
		l->next[l->name] = c->base + r->offset + 1;
		assert_true(l->next[l->name] <= c->count + 1);
	} else {
		/* A life of the channel in which nothing was published yet. */
		assert_int_equal(r->offset, 0);
		l->next[l->name] = c->count + 1;
	}
}

static void ready(struct hubs_shard *s, uint32_t replica, bool taken)
{
	for (uint32_t i = 0; i < LISTENERS; i++) {
		struct listener *l = &listeners[i];
		if (!l->used || l->shard != s->index ||
			rc_hub_sub(&s->hub, l->sub)->replica != replica)
			continue;
		assert_false(l->ready || l->refused);
		l->ready = taken;
		l->refused = !taken;
		refusals += !taken;
		if (!taken && rc_prng_below(&h.prng, 2)) {
			/* Sent away at once; with the last one the replica may go. */
			bool last = rc_hub_replica(&s->hub, replica)->count == 1;
			unsubscribe(l);
			if (last)
				return;
		}
	}
}

/* ---- those who are too slow --------------------------------------------------------------------- */

static void send_away(struct listener *l)
{
	if (rc_prng_below(&h.prng, 2))
		disconnect(l->shard, l->conn);
	else
		unsubscribe(l);
}

static void overrun(struct hubs_shard *s, uint32_t replica)
{
	struct rc_replica *r = rc_hub_replica(&s->hub, replica);

	overruns++;
	for (uint32_t i = 0; i < r->count;) {
		struct rc_sub *sub = rc_hub_sub(&s->hub, r->subs[i]);
		struct listener *l = &listeners[sub_index[s->index][r->subs[i]]];
		if ((sub->flags & RC_SUB_PAUSED) || sub->cursor == r->log.tail) {
			i++;
		} else if (l->partial || rc_prng_below(&h.prng, 2)) {
			send_away(l);
			i = 0;
		} else {
			rc_replica_advance(&s->hub, sub, r->log.tail);
			memset(l->next, 0, sizeof(l->next));
			memset(l->least, 0, sizeof(l->least));
			l->pending = false;
			i++;
		}
	}
}

static void lost(struct hubs_shard *s, uint32_t replica)
{
	struct rc_replica *r = rc_hub_replica(&s->hub, replica);

	losts++;
	while (r->count)
		send_away(&listeners[sub_index[s->index][r->subs[0]]]);
}

/* ---- publishing --------------------------------------------------------------------------------- */

static bool take_publish(struct hubs_shard *s, const char *name, uint32_t len)
{
	static char data[80000];
	uint32_t channel = 0;

	while (strcmp(names[channel], name) != 0)
		channel++;
	struct channel *c = &channels[channel];
	int head = snprintf(data, sizeof(data), "\"%u|%lu|", channel, (unsigned long)c->count + 1);
	memset(data + head, 'x', len);
	data[(uint32_t)head + len] = '"';
	const struct rc_publish p = {
		.from = {.shard = 0},
		.channel = rc_str_of(name),
		.event = RC_STR("e"),
		.data = {data, (uint32_t)head + len + 1},
		.timestamp_ms = 1768472100000,
		.taken_ns = 1,
		.json = true,
	};
	struct rc_outcome out;
	uint64_t before = c->count;
	if (!rc_owner_publish(&s->hub, &p, &out))
		return false;
	assert_int_equal(before, c->count);
	if (out.nack) {
		refusals++;
		return true;
	}
	if (out.epoch != c->epoch) {
		assert_int_equal(out.offset, 1);
		c->epoch = out.epoch;
		c->base = c->count;
	}
	c->count++;
	assert_int_equal(out.offset, c->count - c->base);
	return true;
}

static void publish(uint32_t from, uint32_t channel, uint32_t len)
{
	uint32_t owner = hubs_owner(&h, names[channel]);

	if (owner == from)
		(void)take_publish(&h.shard[owner], names[channel], len);
	else if (h.asks[from][owner].count < 50)
		hubs_put(&h.asks[from][owner], HUBS_PUBLISH, rc_str_of(names[channel]), NULL, 0)
			->publish_len = len;
}

/* ---- setting up --------------------------------------------------------------------------------- */

static void open_with(
	uint32_t shards, const struct rc_hub_limits *limits, size_t arena_bytes, uint64_t seed)
{
	hubs_open(&h, shards, limits, arena_bytes, seed);
	h.ready = ready;
	h.overrun = overrun;
	h.lost = lost;
	h.publish = take_publish;
	memset(first_sub, 0xff, sizeof(first_sub));
	memset(channels, 0, sizeof(channels));
	for (uint32_t i = 0; i < LISTENERS; i++)
		listeners[i].used = false;
	frames_read = overruns = losts = refusals = 0;
}

static const struct rc_hub_limits roomy = {.owned_max = 64,
	.replicas_max = 64,
	.subs_max = 256,
	.patterns_max = 32,
	.frame_max = 131072};

static int setup_one(void **state)
{
	(void)state;
	open_with(1, &roomy, (size_t)4 << 20, 1);
	return 0;
}

static int setup_two(void **state)
{
	(void)state;
	open_with(2, &roomy, (size_t)4 << 20, 1);
	return 0;
}

static int setup_three(void **state)
{
	(void)state;
	open_with(3, &roomy, (size_t)4 << 20, 1);
	return 0;
}

/* Whatever a test left: everybody leaves, all is delivered, time passes, and nothing must be held any more. */
static int teardown(void **state)
{
	(void)state;
	h.refuse_percent = 0;
	h.queue_max = UINT32_MAX / 2;
	for (uint32_t i = 0; i < LISTENERS; i++) {
		if (listeners[i].used)
			unsubscribe(&listeners[i]);
	}
	hubs_check(&h);
	hubs_settle(&h);
	for (uint32_t i = 0; i < h.count; i++) {
		while (h.shard[i].hub.dirty_first != RC_NONE)
			flush(&h.shard[i], 1000, 100000);
	}
	hubs_time(&h, 60000);
	for (uint32_t i = 0; i < h.count; i++)
		rc_owner_sweep(&h.shard[i].hub, 1000);
	hubs_assert_empty(&h);
	hubs_close(&h);
	return 0;
}

/* A name of this table that another shard than this one owns, or that this one does. */
static uint32_t name_owned(uint32_t shard, bool by_it)
{
	for (uint32_t i = 0; i < CHANNELS; i++) {
		if ((hubs_owner(&h, names[i]) == shard) == by_it)
			return i;
	}
	fail();
	return 0;
}

/* ---- by hand ------------------------------------------------------------------------------------ */

static void one_shard_answers_at_once(void **state)
{
	(void)state;
	struct listener *l = subscribe(0, 1, 0);
	assert_true(l->ready);
	resume(l);
	for (int i = 0; i < 10; i++)
		publish(0, 0, 10);
	publish(0, 1, 10);
	assert_int_equal(replica_of(l)->behind, 1);
	hubs_check(&h);
	read_everything();
	assert_int_equal(l->next[0], 11);
	/* Nobody is behind: the log holds no memory. */
	assert_int_equal(replica_of(l)->behind, 0);
	assert_int_equal(replica_of(l)->log.held, 0);
	assert_int_equal(replica_of(l)->offset, 10);
}

static void what_was_published_before_the_answer_is_not_for_the_subscriber(void **state)
{
	(void)state;
	uint32_t name = name_owned(0, false);
	publish(1, name, 5);
	struct listener *l = subscribe(0, 1, name);
	assert_false(l->ready);
	publish(1, name, 5);
	assert_true(hubs_take_ask(&h, 0, 1));
	publish(1, name, 5);
	publish(1, name, 5);
	assert_int_equal(h.tells[1][0].count, 3);
	assert_true(hubs_take_tell(&h, 1, 0));
	assert_true(l->ready);
	assert_int_equal(replica_of(l)->offset, 2);
	resume(l);
	assert_int_equal(l->next[name], 3);
	hubs_settle(&h);
	read_everything();
	assert_int_equal(l->next[name], 5);
}

static void a_paused_subscriber_gets_nothing_until_it_is_resumed(void **state)
{
	(void)state;
	struct listener *a = subscribe(0, 1, 0);
	resume(a);
	struct listener *b = subscribe(0, 2, 0);
	publish(0, 0, 10);
	publish(0, 0, 10);
	assert_int_equal(replica_of(a)->behind, 1);
	assert_int_equal(replica_of(a)->paused, 1);
	hubs_check(&h);
	read_everything();
	hubs_check(&h);
	assert_int_equal(a->next[0], 3);
	publish(0, 0, 10);
	/* Its position is the tail at this moment. */
	resume(b);
	assert_int_equal(b->next[0], 4);
	assert_int_equal(replica_of(a)->behind, 1);
	publish(0, 0, 10);
	assert_int_equal(replica_of(a)->behind, 2);
	read_everything();
	assert_int_equal(a->next[0], 5);
	assert_int_equal(b->next[0], 5);
}

static void events_for_paused_subscribers_only_leave_no_memory_behind(void **state)
{
	(void)state;
	struct listener *l = subscribe(0, 1, 0);
	for (int i = 0; i < 100; i++) {
		publish(0, 0, 1000);
		flush(&h.shard[0], 10, 1000);
		hubs_check(&h);
	}
	assert_int_equal(replica_of(l)->log.held, 0);
	resume(l);
	assert_int_equal(l->next[0], 101);
}

static void leaving_while_paused_or_behind_keeps_the_counts(void **state)
{
	(void)state;
	struct listener *l[4];
	for (uint32_t i = 0; i < 4; i++)
		l[i] = subscribe(0, i, 0);
	resume(l[0]);
	resume(l[1]);
	resume(l[2]);
	publish(0, 0, 10);
	assert_int_equal(replica_of(l[0])->behind, 3);
	unsubscribe(l[3]);
	assert_int_equal(replica_of(l[0])->paused, 0);
	assert_int_equal(replica_of(l[0])->behind, 3);
	read_some(l[1], 1000);
	unsubscribe(l[1]);
	assert_int_equal(replica_of(l[0])->behind, 2);
	unsubscribe(l[0]);
	hubs_check(&h);
	assert_true(replica_of(l[2])->log.held > 0);
	read_some(l[2], 1000);
	assert_int_equal(replica_of(l[2])->log.held, 0);
	assert_int_equal(l[2]->next[0], 2);
}

/* The last one who is behind leaves: the log goes back though somebody stays. */
static void the_log_is_freed_when_the_last_laggard_leaves(void **state)
{
	(void)state;
	struct listener *a = subscribe(0, 1, 0), *b = subscribe(0, 2, 0);
	resume(a);
	resume(b);
	publish(0, 0, 10);
	read_some(a, 1000);
	assert_true(replica_of(a)->log.held > 0);
	unsubscribe(b);
	assert_int_equal(replica_of(a)->log.held, 0);
	publish(0, 0, 10);
	read_everything();
	assert_int_equal(a->next[0], 3);
}

static void somebody_comes_back_before_the_owner_heard_that_all_had_left(void **state)
{
	(void)state;
	uint32_t name = name_owned(0, false);
	struct listener *l = subscribe(0, 1, name);
	hubs_settle(&h);
	resume(l);
	publish(1, name, 5);
	unsubscribe(l);
	assert_int_equal(h.asks[0][1].count, 1);
	l = subscribe(0, 2, name);
	assert_false(l->ready);
	/* An event of the time between is under way, and one more is published before the owner reads. */
	publish(1, name, 5);
	assert_int_equal(h.tells[1][0].count, 2);
	assert_true(hubs_take_tell(&h, 1, 0));
	assert_true(hubs_take_tell(&h, 1, 0));
	assert_int_equal(replica_of(l)->log.tail - replica_of(l)->log.head, 0);
	hubs_settle(&h);
	assert_true(l->ready);
	assert_int_equal(replica_of(l)->offset, 2);
	publish(1, name, 5);
	resume(l);
	hubs_settle(&h);
	read_everything();
	assert_int_equal(l->next[name], 4);
}

static void coming_and_going_before_any_answer_waits_for_the_last_answer(void **state)
{
	(void)state;
	uint32_t name = name_owned(0, false);
	for (int i = 0; i < 5; i++) {
		struct listener *l = subscribe(0, 1, name);
		assert_false(l->ready);
		unsubscribe(l);
		hubs_check(&h);
	}
	struct listener *l = subscribe(0, 1, name);
	struct rc_hub *hub = &h.shard[0].hub;
	assert_int_equal(hub->replicas.used, 1);
	assert_int_equal(replica_of(l)->answers_due, 6);
	/* The owner answers the first five: none of these answers is for this life. */
	while (hubs_take_ask(&h, 0, 1))
		;
	for (int i = 0; i < 5; i++) {
		assert_true(hubs_take_tell(&h, 1, 0));
		assert_false(l->ready);
	}
	assert_true(hubs_take_tell(&h, 1, 0));
	assert_true(l->ready);
	resume(l);
	publish(1, name, 5);
	hubs_settle(&h);
	read_everything();
	assert_int_equal(l->next[name], 2);
}

static void a_slot_is_not_given_to_another_channel_while_an_answer_is_due(void **state)
{
	(void)state;
	uint32_t name = name_owned(0, false);
	struct listener *l = subscribe(0, 1, name);
	unsubscribe(l);
	struct rc_hub *hub = &h.shard[0].hub;
	assert_int_equal(hub->replicas.used, 1);
	uint32_t own = name_owned(0, true);
	l = subscribe(0, 1, own);
	assert_true(l->ready);
	assert_int_equal(hub->replicas.used, 2);
	hubs_settle(&h);
	assert_int_equal(hub->replicas.used, 1);
	assert_true(replica_of(l)->state == RC_REPLICA_ACTIVE);
}

static void an_ask_without_room_is_asked_again(void **state)
{
	(void)state;
	uint32_t name = name_owned(0, false);
	struct rc_hub *hub = &h.shard[0].hub;
	h.queue_max = 0;
	struct listener *l = subscribe(0, 1, name);
	rc_replica_ask_again(hub);
	rc_replica_ask_again(hub);
	assert_true(hub->ask_first != RC_NONE);
	assert_int_equal(replica_of(l)->answers_due, 0);
	/* It leaves without having been heard: nobody is told. */
	unsubscribe(l);
	rc_replica_ask_again(hub);
	assert_int_equal(hub->replicas.used, 0);
	assert_int_equal(hub->ask_first, RC_NONE);
	assert_int_equal(h.asks[0][1].count, 0);
	l = subscribe(0, 1, name);
	h.queue_max = 10;
	rc_replica_ask_again(hub);
	assert_int_equal(hub->ask_first, RC_NONE);
	hubs_settle(&h);
	resume(l);
	/* The leave finds no room, and before it is said again somebody comes. */
	h.queue_max = 0;
	unsubscribe(l);
	l = subscribe(0, 3, name);
	hubs_check(&h);
	h.queue_max = 10;
	rc_replica_ask_again(hub);
	assert_int_equal(h.asks[0][1].count, 1);
	hubs_settle(&h);
	assert_true(l->ready);
	publish(1, name, 1);
	h.queue_max = 0;
	unsubscribe(l);
	assert_int_equal(hub->replicas.used, 1);
	h.queue_max = 10;
	rc_replica_ask_again(hub);
	hubs_settle(&h);
	assert_int_equal(hub->replicas.used, 0);
	assert_int_equal(h.shard[1].hub.owned.used, 1);
}

static void an_owner_without_room_refuses_all_who_wait(void **state)
{
	static const struct rc_hub_limits tight = {.owned_max = 1,
		.replicas_max = 8,
		.subs_max = 64,
		.patterns_max = 8,
		.frame_max = 131072};

	(void)state;
	(void)teardown(NULL);
	open_with(2, &tight, (size_t)1 << 20, 1);
	uint32_t mine = name_owned(1, true), other = mine + 1;
	while (hubs_owner(&h, names[other]) != 1)
		other++;
	struct listener *l = subscribe(1, 1, mine);
	assert_true(l->ready);
	/* Asked by the owner's own shard: refused at once. */
	assert_null(subscribe(1, 2, other));
	assert_int_equal(h.shard[1].hub.replicas.used, 1);
	/* Asked by another: when the answer comes. */
	struct listener *a = subscribe(0, 1, other), *b = subscribe(0, 2, other);
	hubs_settle(&h);
	assert_true(!a->used || a->refused);
	assert_true(!b->used || b->refused);
	/* Nobody joins those who were refused. */
	assert_null(subscribe(0, 3, other));
	if (a->used)
		unsubscribe(a);
	if (b->used)
		unsubscribe(b);
	hubs_settle(&h);
	assert_int_equal(h.shard[0].hub.replicas.used, 0);
	/* And when the owner has room again it is taken. */
	unsubscribe(l);
	a = subscribe(0, 1, other);
	hubs_settle(&h);
	assert_true(a->ready);
}

static void tables_that_are_full_refuse_and_stay_as_they_were(void **state)
{
	static const struct rc_hub_limits tight = {.owned_max = 8,
		.replicas_max = 2,
		.subs_max = 5,
		.patterns_max = 8,
		.frame_max = 131072};

	(void)state;
	(void)teardown(NULL);
	open_with(1, &tight, (size_t)1 << 20, 1);
	struct listener *l = subscribe(0, 1, 0);
	assert_non_null(l);
	assert_non_null(subscribe(0, 1, 1));
	assert_null(subscribe(0, 1, 2));
	assert_null(subscribe(0, 1, CHANNELS));
	hubs_check(&h);
	assert_non_null(subscribe(0, 2, 0));
	assert_non_null(subscribe(0, 3, 0));
	assert_non_null(subscribe(0, 4, 0));
	assert_null(subscribe(0, 5, 0));
	assert_null(subscribe(0, 5, 1));
	hubs_check(&h);
	assert_int_equal(first_sub[0][5], RC_NONE);
	unsubscribe(l);
	assert_non_null(subscribe(0, 5, 0));
}

static void a_replica_grows_and_shrinks_with_its_subscribers(void **state)
{
	struct rc_hub *hub = &h.shard[0].hub;
	static uint32_t subs[200];
	uint32_t heads[200];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 200; i++) {
			heads[i] = RC_NONE;
			assert_int_equal(rc_replica_subscribe(hub, i, &heads[i], RC_STR("big"),
						 false, 0, &subs[i]),
				RC_SUBSCRIBED);
			rc_hub_check(hub);
		}
		uint64_t most = h.shard[0].pool.used_bytes;
		assert_true(most >= 200 * 4);
		/* From the front, the back and the middle. */
		for (uint32_t n = 0; n < 200; n++) {
			uint32_t i = n % 2 ? 199 - n / 2 : n / 2;
			if (round)
				i = (n * 77) % 200;
			assert_int_equal(
				rc_replica_find_sub(hub, i, heads[i], RC_STR("big")), subs[i]);
			rc_replica_unsubscribe(hub, subs[i], &heads[i]);
			assert_int_equal(heads[i], RC_NONE);
			rc_hub_check(hub);
			/* Four times what is needed at most. */
			if (n < 199)
				assert_true(h.shard[0].pool.used_bytes <=
					    64 + RC_MAX((199 - n) * 16, 32u));
		}
		assert_int_equal(hub->replicas.used, 0);
	}
}

static void a_pinned_replica_stays_and_follows_the_position(void **state)
{
	struct rc_hub *hub = &h.shard[0].hub;
	uint32_t head = RC_NONE, sub;

	(void)state;
	assert_int_equal(
		rc_replica_subscribe(hub, 9, &head, RC_STR("a"), false, RC_SUB_HIDDEN, &sub),
		RC_SUBSCRIBED);
	uint32_t index = rc_hub_sub(hub, sub)->replica;
	struct rc_replica *r = rc_hub_replica(hub, index);
	r->pinned = true;
	rc_replica_unsubscribe(hub, sub, &head);
	assert_int_equal(hub->replicas.used, 1);
	publish(0, 0, 10);
	publish(0, 0, 10);
	assert_int_equal(r->offset, 2);
	assert_int_equal(r->log.held, 0);
	hubs_check(&h);
	struct listener *l = subscribe(0, 1, 0);
	assert_true(l->ready);
	resume(l);
	publish(0, 0, 10);
	read_everything();
	assert_int_equal(l->next[0], 4);
	unsubscribe(l);
	hubs_check(&h);
	assert_int_equal(hub->replicas.used, 1);
	/* For the test's end it goes as well. */
	r->pinned = false;
	assert_int_equal(
		rc_replica_subscribe(hub, 9, &head, RC_STR("a"), false, 0, &sub), RC_SUBSCRIBED);
	rc_replica_unsubscribe(hub, sub, &head);
}

static void one_who_comes_between_append_and_flush_hides_nobody(void **state)
{
	(void)state;
	struct listener *l[4];
	for (uint32_t i = 0; i < 3; i++) {
		l[i] = subscribe(0, i, 0);
		resume(l[i]);
	}
	publish(0, 0, 10);
	/* The first two are visited, then the budget is used up. */
	flush(&h.shard[0], 2, 1000);
	publish(0, 0, 10);
	struct rc_replica *r = replica_of(l[0]);
	assert_int_equal(r->flush_next, 2);
	assert_int_equal(r->flush_left, 3);
	l[3] = subscribe(0, 3, 0);
	/* Everybody is visited by one flush that has room for all. */
	bool seen[4] = {false};
	while (r->flush_left > 0) {
		uint32_t place = r->flush_next;
		seen[place] = true;
		r->flush_next = place + 1 == r->count ? 0 : place + 1;
		r->flush_left--;
	}
	for (uint32_t i = 0; i < 3; i++)
		assert_true(seen[rc_hub_sub(&h.shard[0].hub, l[i]->sub)->place]);
}

static void a_pattern_hears_every_shard_once_all_have_answered(void **state)
{
	(void)state;
	uint32_t any = CHANNELS + 1; /* ** */
	struct listener *l = subscribe(1, 1, any);
	assert_false(l->ready);
	assert_true(hubs_take_ask(&h, 1, 0));
	assert_true(hubs_take_tell(&h, 0, 1));
	assert_false(l->ready);
	for (uint32_t c = 0; c < CHANNELS; c++)
		publish(hubs_owner(&h, names[c]), c, 5);
	assert_true(hubs_take_ask(&h, 1, 2));
	while (hubs_take_tell(&h, 2, 1))
		;
	assert_true(l->ready);
	resume(l);
	for (uint32_t c = 0; c < CHANNELS; c++)
		publish(hubs_owner(&h, names[c]), c, 5);
	hubs_settle(&h);
	read_everything();
	for (uint32_t c = 0; c < CHANNELS; c++) {
		if (names[c][0] == '$')
			assert_int_equal(l->last[c], 0);
		else
			assert_int_equal(l->last[c], 2);
	}
}

static void channel_and_pattern_of_one_client_both_get_the_event(void **state)
{
	(void)state;
	struct listener *a = subscribe(0, 1, 1), *b = subscribe(0, 1, CHANNELS),
			*c = subscribe(0, 2, CHANNELS);
	resume(a);
	resume(b);
	resume(c);
	publish(0, 1, 5);
	publish(0, 2, 5);
	read_everything();
	assert_int_equal(a->last[1], 1);
	assert_int_equal(b->last[1], 1);
	assert_int_equal(b->last[2], 1);
	assert_int_equal(c->last[2], 1);
	unsubscribe(b);
	publish(0, 2, 5);
	read_everything();
	assert_int_equal(c->last[2], 2);
}

static void a_pattern_that_comes_back_before_all_answers_becomes_active_once(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct listener *l = subscribe(2, 1, CHANNELS);
		(void)hubs_take_ask(&h, 2, (uint32_t)i % 2);
		unsubscribe(l);
		(void)hubs_take_tell(&h, (uint32_t)i % 2, 2);
		hubs_check(&h);
	}
	struct listener *l = subscribe(2, 1, CHANNELS);
	hubs_settle(&h);
	assert_true(l->ready);
	resume(l);
	publish(0, 1, 5);
	publish(1, 2, 5);
	hubs_settle(&h);
	read_everything();
	assert_int_equal(l->last[1], 1);
	assert_int_equal(l->last[2], 1);
}

static void when_the_arena_is_full_the_slow_make_room_and_the_quick_go_on(void **state)
{
	(void)state;
	(void)teardown(NULL);
	open_with(1, &roomy, 256 * 1024, 3);
	struct listener *quick = subscribe(0, 1, 0), *slow = subscribe(0, 2, 0);
	resume(quick);
	resume(slow);
	uint64_t sent = 0;
	while (overruns == 0) {
		publish(0, 0, 2000);
		sent++;
		while (quick->used &&
			(quick->pending = rc_hub_sub(hub_of(quick), quick->sub)->cursor <
					  replica_of(quick)->log.tail))
			read_some(quick, 100000);
		hubs_check(&h);
	}
	assert_true(quick->used);
	assert_int_equal(losts, 0);
	assert_int_equal(quick->last[0], sent);
	assert_int_equal(rc_counter_get(&h.shard[0].counters, RC_C_arena_refused), 1);
}

static void when_even_then_there_is_no_room_all_are_sent_away(void **state)
{
	void *blocks[4096];
	uint32_t count = 0;

	(void)state;
	struct listener *a = subscribe(0, 1, 0), *b = subscribe(0, 2, 0),
			*c = subscribe(0, 2, CHANNELS + 1);
	resume(a);
	resume(c);
	while (count < RC_ARRAY_LEN(blocks) &&
		(blocks[count] = rc_buddy_get(&h.shard[0].arena, 1024)) != NULL)
		count++;
	publish(0, 0, 10);
	assert_false(a->used);
	assert_false(b->used);
	assert_false(c->used);
	assert_true(losts >= 1);
	hubs_check(&h);
	assert_int_equal(h.shard[0].hub.replicas.used, 0);
	while (count > 0)
		rc_buddy_put(&h.shard[0].arena, blocks[--count]);
}

/* The one that is sent away takes with it the pattern that the walk over the patterns stands on, and those after it. */
static void a_walk_over_patterns_survives_their_end(void **state)
{
	static const uint32_t held[] = {CHANNELS, CHANNELS + 1, CHANNELS + 2, CHANNELS + 3};
	void *blocks[4096];

	(void)state;
	for (uint32_t seed = 0; seed < 20; seed++) {
		uint32_t count = 0;
		rc_prng_seed(&h.prng, seed);
		for (uint32_t i = 0; i < RC_ARRAY_LEN(held); i++) {
			resume(subscribe(0, seed % 2, held[i]));
			resume(subscribe(0, 2 + i, held[i]));
		}
		while (count < RC_ARRAY_LEN(blocks) &&
			(blocks[count] = rc_buddy_get(&h.shard[0].arena, 1024)) != NULL)
			count++;
		publish(0, 1, 10);
		publish(0, 4, 10);
		hubs_check(&h);
		while (count > 0)
			rc_buddy_put(&h.shard[0].arena, blocks[--count]);
		for (uint32_t conn = 0; conn < CONNS; conn++)
			disconnect(0, conn);
		assert_int_equal(h.shard[0].hub.replicas.used, 0);
	}
}

static void the_lag_limit_falls_as_the_arena_fills(void **state)
{
	struct rc_hub *hub = &h.shard[0].hub;
	const struct rc_replica r = {.ns = 0};
	uint32_t full = h.namespaces[0].lag_bytes;

	(void)state;
	assert_int_equal(rc_replica_lag_max(hub, &r), full);
	void *half = rc_buddy_get(&h.shard[0].arena, (size_t)2 << 20);
	void *more = rc_buddy_get(&h.shard[0].arena, (size_t)1 << 20);
	void *a_little = rc_buddy_get(&h.shard[0].arena, 1024);
	assert_int_equal(rc_replica_lag_max(hub, &r), full / 4);
	void *much = rc_buddy_get(&h.shard[0].arena, (size_t)512 << 10);
	assert_int_equal(rc_replica_lag_max(hub, &r), full / 16);
	h.namespaces[0].lag_bytes = 8192;
	assert_int_equal(rc_replica_lag_max(hub, &r), 4096);
	rc_buddy_put(&h.shard[0].arena, half);
	rc_buddy_put(&h.shard[0].arena, more);
	rc_buddy_put(&h.shard[0].arena, a_little);
	rc_buddy_put(&h.shard[0].arena, much);
}

/* ---- in all orders ------------------------------------------------------------------------------ */

static struct listener *any_listener(void)
{
	struct listener *l = &listeners[rc_prng_below(&h.prng, LISTENERS)];

	return l->used ? l : NULL;
}

static uint32_t random_len(void)
{
	switch (rc_prng_below(&h.prng, 30)) {
	case 0:
		return rc_prng_below(&h.prng, payload_max);
	case 1:
		return 900 + rc_prng_below(&h.prng, 200);
	default:
		return rc_prng_below(&h.prng, 300);
	}
}

static void step(void)
{
	struct rc_prng *p = &h.prng;
	uint32_t shard = rc_prng_below(p, h.count), other = rc_prng_below(p, h.count);
	uint32_t what = rc_prng_below(p, 100);
	struct listener *l = any_listener();

	if (what < 10) {
		(void)subscribe(shard, rc_prng_below(p, CONNS), rc_prng_below(p, NAMES));
	} else if (what < 17) {
		if (l)
			unsubscribe(l);
	} else if (what < 18) {
		disconnect(shard, rc_prng_below(p, CONNS));
	} else if (what < 19 && l) {
		/* Leaves and comes at once, itself or another one. */
		uint32_t name = l->name, where = l->shard;
		unsubscribe(l);
		(void)subscribe(where, rc_prng_below(p, CONNS), name);
	} else if (what < 30) {
		if (l && l->ready && !l->live)
			resume(l);
		else if (l && l->refused)
			unsubscribe(l);
	} else if (what < 50) {
		publish(shard, rc_prng_below(p, CHANNELS), random_len());
	} else if (what < 65) {
		(void)hubs_take_ask(&h, shard, other);
	} else if (what < 80) {
		(void)hubs_take_tell(&h, shard, other);
	} else if (what < 83) {
		rc_replica_ask_again(&h.shard[shard].hub);
	} else if (what < 90) {
		flush(&h.shard[shard], 1 + rc_prng_below(p, 6), 1 + rc_prng_below(p, 3000));
	} else if (what < 97) {
		if (l && l->live && l->pending)
			read_some(l, 1 + rc_prng_below(p, 3000));
	} else if (what < 98) {
		hubs_time(&h, rc_prng_below(p, 8000));
	} else {
		rc_owner_sweep(&h.shard[shard].hub, rc_prng_below(p, 5));
	}
}

/* All is delivered, all who may are resumed, all is read: now nobody may miss anything. */
static void assert_all_is_read(void)
{
	uint32_t refuse = h.refuse_percent, most = h.queue_max;

	h.refuse_percent = 0;
	h.queue_max = UINT32_MAX / 2;
	hubs_settle(&h);
	read_everything();
	for (uint32_t i = 0; i < LISTENERS; i++) {
		struct listener *l = &listeners[i];
		if (!l->used)
			continue;
		assert_true(l->ready || l->refused);
		if (!l->live)
			continue;
		assert_int_equal(l->partial, 0);
		for (uint32_t c = 0; c < CHANNELS; c++) {
			bool wanted = is_pattern(l->name)
					      ? rc_pattern_match(rc_str_of(names[l->name]),
							rc_str_of(names[c]))
					      : l->name == c;
			if (!wanted)
				assert_int_equal(l->last[c], 0);
			else if (l->next[c])
				assert_int_equal(l->next[c], channels[c].count + 1);
			else if (l->least[c])
				assert_int_equal(l->least[c], channels[c].count + 1);
		}
	}
	hubs_check(&h);
	h.refuse_percent = refuse;
	h.queue_max = most;
}

static void walk(uint32_t shards, const struct rc_hub_limits *limits, size_t arena_bytes,
	uint32_t refuse, uint32_t queue_max, uint64_t seed, int steps)
{
	open_with(shards, limits, arena_bytes, seed);
	h.refuse_percent = refuse;
	h.queue_max = queue_max;
	for (int i = 0; i < steps; i++) {
		step();
		hubs_check(&h);
		if (i % 500 == 499)
			assert_all_is_read();
	}
	assert_all_is_read();
}

static void any_order_with_room_for_everything(void **state)
{
	uint64_t read = 0;

	(void)state;
	payload_max = 60000;
	for (uint64_t seed = 0; seed < 30; seed++) {
		walk(1 + (uint32_t)seed % HUBS_MAX, &roomy, (size_t)8 << 20, 0, UINT32_MAX / 2,
			seed, 3000);
		assert_int_equal(losts + overruns + refusals, 0);
		read += frames_read;
		(void)teardown(NULL);
	}
	assert_true(read > 10000);
}

static void any_order_with_rings_that_are_full_now_and_then(void **state)
{
	uint64_t read = 0;

	(void)state;
	payload_max = 3000;
	for (uint64_t seed = 100; seed < 130; seed++) {
		walk(2 + (uint32_t)seed % 2, &roomy, (size_t)8 << 20, 40, 1 + (uint32_t)seed % 9,
			seed, 3000);
		assert_int_equal(losts + overruns + refusals, 0);
		read += frames_read;
		(void)teardown(NULL);
	}
	assert_true(read > 2000);
}

static void any_order_with_tables_that_are_too_small(void **state)
{
	static const struct rc_hub_limits tight = {.owned_max = 2,
		.replicas_max = 7,
		.subs_max = 14,
		.patterns_max = 1,
		.frame_max = 131072};
	uint64_t refused = 0;

	(void)state;
	payload_max = 3000;
	for (uint64_t seed = 200; seed < 230; seed++) {
		walk(1 + (uint32_t)seed % HUBS_MAX, &tight, (size_t)8 << 20, 20, 5, seed, 3000);
		refused += refusals;
		(void)teardown(NULL);
	}
	assert_true(refused > 1000);
}

static void any_order_with_an_arena_that_is_too_small(void **state)
{
	uint64_t over = 0, all = 0;

	(void)state;
	payload_max = 30000;
	for (uint64_t seed = 300; seed < 340; seed++) {
		walk(1 + (uint32_t)seed % HUBS_MAX, &roomy, 128 * 1024, 10, 20, seed, 3000);
		over += overruns;
		all += losts;
		(void)teardown(NULL);
	}
	assert_true(over > 50);
	assert_true(all > 20);
}

#define ONE(name)   cmocka_unit_test_setup_teardown(name, setup_one, teardown)
#define TWO(name)   cmocka_unit_test_setup_teardown(name, setup_two, teardown)
#define THREE(name) cmocka_unit_test_setup_teardown(name, setup_three, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONE(one_shard_answers_at_once),
		TWO(what_was_published_before_the_answer_is_not_for_the_subscriber),
		ONE(a_paused_subscriber_gets_nothing_until_it_is_resumed),
		ONE(events_for_paused_subscribers_only_leave_no_memory_behind),
		ONE(leaving_while_paused_or_behind_keeps_the_counts),
		ONE(the_log_is_freed_when_the_last_laggard_leaves),
		TWO(somebody_comes_back_before_the_owner_heard_that_all_had_left),
		TWO(coming_and_going_before_any_answer_waits_for_the_last_answer),
		TWO(a_slot_is_not_given_to_another_channel_while_an_answer_is_due),
		TWO(an_ask_without_room_is_asked_again),
		TWO(an_owner_without_room_refuses_all_who_wait),
		ONE(tables_that_are_full_refuse_and_stay_as_they_were),
		ONE(a_replica_grows_and_shrinks_with_its_subscribers),
		ONE(a_pinned_replica_stays_and_follows_the_position),
		ONE(one_who_comes_between_append_and_flush_hides_nobody),
		THREE(a_pattern_hears_every_shard_once_all_have_answered),
		ONE(channel_and_pattern_of_one_client_both_get_the_event),
		THREE(a_pattern_that_comes_back_before_all_answers_becomes_active_once),
		ONE(when_the_arena_is_full_the_slow_make_room_and_the_quick_go_on),
		ONE(when_even_then_there_is_no_room_all_are_sent_away),
		ONE(a_walk_over_patterns_survives_their_end),
		ONE(the_lag_limit_falls_as_the_arena_fills),
		cmocka_unit_test(any_order_with_room_for_everything),
		cmocka_unit_test(any_order_with_rings_that_are_full_now_and_then),
		cmocka_unit_test(any_order_with_tables_that_are_too_small),
		cmocka_unit_test(any_order_with_an_arena_that_is_too_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
