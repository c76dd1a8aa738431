/* SPDX-License-Identifier: Apache-2.0
 *
 * What an owner keeps of its channels and gives to who asks: bounds that are exact to the event, the budget and the arena
 * when they are full, every way to ask, and what is told of what is missing.
 */
#include "hubs.h"

#include "base/clock.h"

enum { GOT_MAX = 6000, CONN_COUNT = 8 };

static struct hubs h;
static uint64_t wall_ms;
static uint32_t overruns, losts;

/* The answer that came last. */
static struct {
	struct rc_fetched f;
	uint32_t count;
	uint32_t number[GOT_MAX]; /* what the payload says */
	char channel[GOT_MAX][24];
	uint64_t offset[GOT_MAX], stamp[GOT_MAX];
	uint32_t answers;
} got;

static void fetched(struct hubs_shard *s, const struct rc_fetched *f)
{
	const unsigned char *at = f->frames;

	(void)s;
	got.f = *f;
	got.answers++;
	got.count = 0;
	for (uint32_t i = 0; i < f->frames_count; i++) {
		const struct rc_fetched_frame *head = (const void *)at;
		const char *text = (const char *)at + sizeof(*head);
		char copy[64] = {0};
		assert_true(got.count < GOT_MAX);
		const char *mark = memmem(text, RC_MIN(head->len, 40u), "\"#", 2);
		assert_non_null(mark);
		memcpy(copy, mark, RC_MIN(head->len - (size_t)(mark - text), sizeof(copy) - 1));
		assert_int_equal(sscanf(copy, "\"#%23[^|]|%u|", got.channel[got.count],
					 &got.number[got.count]),
			2);
		got.offset[got.count] = head->offset;
		got.stamp[got.count] = head->stamp;
		got.count++;
		at += rc_fetched_frame_bytes(head);
	}
	assert_int_equal(at - f->frames, f->frames_len);
}

/* The slow policy: skip. */
static void overrun(struct hubs_shard *s, uint32_t replica)
{
	struct rc_replica *r = rc_hub_replica(&s->hub, replica);

	overruns++;
	for (uint32_t i = 0; i < r->count; i++) {
		struct rc_sub *sub = rc_hub_sub(&s->hub, r->subs[i]);
		if (!(sub->flags & RC_SUB_PAUSED) && sub->cursor < r->log.tail)
			rc_replica_advance(&s->hub, sub, r->log.tail);
	}
}

static uint32_t heads[CONN_COUNT];

static void lost(struct hubs_shard *s, uint32_t replica)
{
	struct rc_replica *r = rc_hub_replica(&s->hub, replica);

	losts++;
	while (r->count)
		rc_replica_unsubscribe(
			&s->hub, r->subs[0], &heads[rc_hub_sub(&s->hub, r->subs[0])->conn]);
}

static const struct rc_hub_limits roomy = {.owned_max = 64,
	.replicas_max = 64,
	.subs_max = 256,
	.patterns_max = 32,
	.frame_max = 131072,
	.fetch_bytes = RC_FETCH_BYTES,
	.history_bytes_max = 64u << 20,
	.stream_epoch = 99,
	.keeps_history = true};

static void open_with(const struct rc_hub_limits *limits, size_t arena_bytes)
{
	hubs_open(&h, 1, limits, arena_bytes, 1);
	h.fetched = fetched;
	h.overrun = overrun;
	h.lost = lost;
	h.namespaces[0].history_size = 10;
	h.namespaces[0].history_bytes = 1u << 20;
	h.namespaces[0].history_ttl_ms = 1000000;
	h.namespaces[0].channel_ttl_ms = 10000;
	wall_ms = rc_clock_wall_ms() + 10;
	memset(&got, 0, sizeof(got));
	memset(heads, 0xff, sizeof(heads));
	overruns = losts = 0;
}

static int setup(void **state)
{
	(void)state;
	open_with(&roomy, (size_t)4 << 20);
	return 0;
}

static int teardown(void **state)
{
	struct rc_hub *hub = &h.shard[0].hub;

	(void)state;
	for (uint32_t i = 0; i < CONN_COUNT; i++) {
		while (heads[i] != RC_NONE)
			rc_replica_unsubscribe(hub, heads[i], &heads[i]);
	}
	hubs_check(&h);
	while (hub->dirty_first != RC_NONE)
		rc_replica_clean(hub, false);
	hubs_time(&h, 2000000);
	rc_owner_sweep(hub, 10000);
	hubs_assert_empty(&h);
	assert_int_equal(hub->history.bytes, 0);
	assert_null(hub->history.first);
	hubs_close(&h);
	return 0;
}

/* Event number n of the channel. Returns the length of its frame where it is known: 100 bytes of payload at least. */
static struct rc_outcome publish_at(const char *name, uint32_t n, uint32_t len, uint64_t time_ms)
{
	static char data[100000];
	struct rc_outcome out;

	int head = snprintf(data, sizeof(data), "\"#%s|%u|", name, n);
	assert_true((uint32_t)head + 1 <= len);
	memset(data + head, 'x', len - (uint32_t)head);
	data[len - 1] = '"';
	const struct rc_publish p = {
		.channel = rc_str_of(name),
		.event = RC_STR("e"),
		.data = {data, len},
		.timestamp_ms = 1768472100000,
		.time_ms = time_ms,
		.taken_ns = 1,
		.json = true,
	};
	assert_true(rc_owner_publish(&h.shard[0].hub, &p, &out));
	assert_int_equal(out.nack, 0);
	hubs_check(&h);
	return out;
}

static struct rc_outcome publish(const char *name, uint32_t n, uint32_t len)
{
	return publish_at(name, n, len, wall_ms);
}

static void pass(uint64_t ms)
{
	hubs_time(&h, ms);
	wall_ms += ms;
}

static bool fetch(struct rc_fetch q)
{
	uint32_t answers = got.answers;

	if (q.events_max == 0)
		q.events_max = UINT32_MAX;
	if (q.bytes_max == 0)
		q.bytes_max = RC_FETCH_BYTES;
	if (q.until == 0)
		q.until = UINT64_MAX;
	q.slot = 3;
	q.generation = 4;
	bool done = rc_owner_fetch(&h.shard[0].hub, &q);
	assert_int_equal(got.answers, answers + done);
	if (done) {
		assert_int_equal(got.f.slot, 3);
		assert_int_equal(got.f.generation, 4);
		assert_int_equal(got.f.check, q.check);
		assert_int_equal(got.f.stamp, h.shard[0].hub.stamp);
		if (q.check)
			assert_int_equal(got.count, 0);
	}
	hubs_check(&h);
	return done;
}

static void fetch_one(const char *name, enum rc_fetch_how how, uint64_t epoch, uint64_t after)
{
	assert_true(fetch((struct rc_fetch){
		.how = (uint8_t)how, .epoch = epoch, .after = after, .names = rc_str_of(name)}));
}

/* The answer has these events of the channel, whose numbers are their offsets, up or down. */
static void assert_events(uint32_t first, uint32_t last)
{
	uint32_t want = first;

	if (first == 0) {
		assert_int_equal(got.count, 0);
		return;
	}
	assert_int_equal(got.count, (first < last ? last - first : first - last) + 1);
	for (uint32_t i = 0; i < got.count; i++) {
		assert_int_equal(got.number[i], want);
		assert_int_equal(got.offset[i], want);
		want += first < last ? 1u : UINT32_MAX;
	}
}

static struct rc_replica *history_of(const char *name)
{
	struct rc_hub *hub = &h.shard[0].hub;
	uint32_t index = rc_owner_find(hub, rc_str_of(name), rc_hub_hash(hub, rc_str_of(name)));

	assert_int_not_equal(index, RC_NONE);
	const struct rc_owned *o = rc_slab_at(&hub->owned, index);
	return o->replica == RC_NONE ? NULL : rc_hub_replica(hub, o->replica);
}

static uint32_t subscribe(uint32_t conn, const char *name, uint32_t flags)
{
	uint32_t sub;

	assert_int_equal(rc_replica_subscribe(&h.shard[0].hub, conn, &heads[conn], rc_str_of(name),
				 strchr(name, '*') != NULL, flags, &sub),
		RC_SUBSCRIBED);
	hubs_check(&h);
	return sub;
}

static void unsubscribe(uint32_t conn, uint32_t sub)
{
	rc_replica_unsubscribe(&h.shard[0].hub, sub, &heads[conn]);
	hubs_check(&h);
}

/* The subscriber reads all that is there. */
static void read_all(uint32_t sub)
{
	struct rc_hub *hub = &h.shard[0].hub;
	struct rc_sub *s = rc_hub_sub(hub, sub);
	const struct rc_replica *r = rc_hub_replica(hub, s->replica);
	const unsigned char *bytes;
	uint32_t len;

	while ((len = rc_log_range(&r->log, s->cursor, &bytes)) > 0)
		rc_replica_advance(hub, s, s->cursor + len);
	hubs_check(&h);
}

/* ---- keeping ------------------------------------------------------------------------------------ */

/* Every question that can be put to a channel of which the events first..last are kept. */
static void assert_kept(const char *name, uint64_t epoch, uint32_t first, uint32_t last)
{
	for (uint32_t after = 0; after <= last + 2; after++) {
		fetch_one(name, RC_FETCH_OFFSET, epoch, after);
		assert_int_equal(got.f.offset, last);
		assert_int_equal(got.f.epoch, epoch);
		assert_int_equal(got.f.first_offset, first <= last ? first : 0);
		if (after > last) {
			assert_int_equal(got.f.verdict, RC_VERDICT_AHEAD);
			assert_events(0, 0);
			continue;
		}
		assert_int_equal(
			got.f.verdict, after + 1 < first ? RC_VERDICT_TRIMMED : RC_VERDICT_ALL);
		assert_int_equal(got.f.next, last);
		assert_false(got.f.more);
		uint32_t begin = RC_MAX(after + 1, first);
		assert_events(begin <= last ? begin : 0, last);
	}
	fetch_one(name, RC_FETCH_BEGINNING, 0, 0);
	assert_int_equal(got.f.verdict, first > 1 ? RC_VERDICT_TRIMMED : RC_VERDICT_ALL);
	assert_events(first <= last ? first : 0, last);
	for (uint32_t before = 0; before <= last + 3; before++) {
		fetch_one(name, RC_FETCH_BEFORE, epoch, before);
		assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
		uint32_t end = RC_MIN(before, last + 1);
		assert_events(end > first ? end - 1 : 0, first);
	}
	fetch_one(name, RC_FETCH_BEFORE, 0, UINT64_MAX);
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	assert_events(first <= last ? last : 0, first);
	fetch_one(name, RC_FETCH_LATEST, 0, 0);
	assert_events(first <= last ? last : 0, last);
	fetch_one(name, RC_FETCH_OFFSET, epoch + 1, last);
	assert_int_equal(got.f.verdict, RC_VERDICT_EPOCH);
	assert_events(0, 0);
	fetch_one(name, RC_FETCH_BEFORE, epoch + 1, last);
	assert_int_equal(got.f.verdict, RC_VERDICT_EPOCH);
	assert_events(0, 0);
}

static void as_many_events_are_kept_as_the_namespace_says(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 35; n++) {
		uint64_t epoch = publish("a", n, 100 + n % 5 * 200).epoch;
		assert_kept("a", epoch, n > 10 ? n - 9 : 1, n);
	}
}

static void as_many_bytes_are_kept_as_the_namespace_says(void **state)
{
	struct rc_log_frame f;
	uint64_t epoch = publish("a", 1, 500).epoch;

	(void)state;
	rc_log_frame_last(&history_of("a")->log, &f);
	uint32_t len = f.len;
	for (uint32_t n = 2; n <= 9; n++)
		publish("a", n, 500);
	h.namespaces[0].history_bytes = 4 * len;
	assert_kept("a", epoch, 6, 9);
	h.namespaces[0].history_bytes = 4 * len - 1;
	assert_kept("a", epoch, 7, 9);
	h.namespaces[0].history_bytes = 3 * len + 1;
	assert_kept("a", epoch, 7, 9);
	/* One that is larger than all that may be kept. */
	publish("a", 10, 5000);
	assert_kept("a", epoch, 11, 10);
	publish("a", 11, 500);
	assert_kept("a", epoch, 11, 11);
}

static void events_are_kept_as_long_as_the_namespace_says(void **state)
{
	(void)state;
	h.namespaces[0].history_ttl_ms = 1000;
	uint64_t epoch = publish("a", 1, 100).epoch;
	pass(400);
	publish("a", 2, 100);
	pass(600);
	assert_kept("a", epoch, 1, 2);
	pass(1);
	assert_kept("a", epoch, 2, 2);
	pass(399);
	assert_kept("a", epoch, 2, 2);
	pass(1);
	assert_kept("a", epoch, 3, 2);
	assert_true(history_of("a")->log.held > 0);
	rc_history_sweep(&h.shard[0].hub, 100);
	hubs_check(&h);
	assert_int_equal(history_of("a")->log.held, 0);
	assert_kept("a", epoch, 3, 2);
	publish("a", 3, 100);
	assert_kept("a", epoch, 3, 3);
}

static void a_channel_without_history_keeps_nothing(void **state)
{
	(void)state;
	h.namespaces[0].history_size = 0;
	uint64_t epoch = publish("a", 1, 100).epoch;
	publish("a", 2, 100);
	assert_null(history_of("a"));
	assert_int_equal(h.shard[0].arena.used_bytes, h.shard[0].pool.arena->used_bytes);
	assert_kept("a", epoch, 3, 2);
}

static void subscribers_come_and_go_over_a_history(void **state)
{
	(void)state;
	/* One that was there before the channel's first event. */
	uint32_t early = subscribe(1, "a", 0);
	uint64_t epoch = publish("a", 1, 100).epoch;
	publish("a", 2, 100);
	assert_kept("a", epoch, 1, 2);
	read_all(early);
	assert_kept("a", epoch, 1, 2);
	publish("a", 3, 100);
	unsubscribe(1, early);
	assert_kept("a", epoch, 1, 3);
	publish("a", 4, 100);
	uint32_t late = subscribe(2, "a", RC_SUB_PAUSED);
	assert_int_equal(rc_hub_sub(&h.shard[0].hub, late)->cursor, history_of("a")->log.tail);
	publish("a", 5, 100);
	assert_kept("a", epoch, 1, 5);
	rc_replica_resume(&h.shard[0].hub, late);
	/* A reader who is behind holds more than is kept; the answers don't change for it. */
	for (uint32_t n = 6; n <= 60; n++)
		publish("a", n, 400);
	assert_kept("a", epoch, 51, 60);
	assert_true(
		history_of("a")->log.count_tail - rc_log_count_head(&history_of("a")->log) >= 55);
	read_all(late);
	assert_kept("a", epoch, 51, 60);
	assert_true(
		history_of("a")->log.count_tail - rc_log_count_head(&history_of("a")->log) < 30);
	/* With nobody there the channel idles, and comes to its end with its history. */
	unsubscribe(2, late);
	assert_kept("a", epoch, 51, 60);
}

static void a_history_that_finds_no_room_begins_later(void **state)
{
	(void)state;
	h.namespaces[0].history_size = 0;
	uint32_t sub = subscribe(1, "a", 0);
	uint64_t epoch = publish("a", 1, 100).epoch;
	h.namespaces[0].history_size = 10;
	/* What the reader has not read is not the whole end of the channel, perhaps. */
	publish("a", 2, 100);
	assert_null(history_of("a"));
	assert_kept("a", epoch, 3, 2);
	read_all(sub);
	publish("a", 3, 100);
	assert_non_null(history_of("a"));
	publish("a", 4, 100);
	assert_kept("a", epoch, 3, 4);
	/* Stamps agree: those of 1 and 2 are 1 and 2. */
	fetch_one("a", RC_FETCH_STAMP, 0, 1);
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	fetch_one("a", RC_FETCH_STAMP, 0, 2);
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	assert_events(3, 4);
}

static void a_reader_is_set_back_into_the_history(void **state)
{
	struct rc_hub *hub = &h.shard[0].hub;
	uint64_t pos;

	(void)state;
	for (uint32_t n = 1; n <= 20; n++)
		publish("a", n, 300);
	const struct rc_replica *r = history_of("a");
	assert_false(rc_history_find(hub, r, 21, &pos));
	assert_false(rc_history_find(hub, r, 9, &pos));
	assert_true(rc_history_find(hub, r, 20, &pos));
	assert_int_equal(pos, r->log.tail);
	for (uint64_t after = 10; after < 20; after++) {
		uint32_t sub = subscribe(1, "a", RC_SUB_PAUSED);
		struct rc_log_frame f;
		assert_true(rc_history_find(hub, r, after, &pos));
		rc_replica_resume_at(hub, sub, pos);
		hubs_check(&h);
		assert_int_equal(r->behind, 1);
		/* Nothing that it needs goes while more comes. */
		for (uint32_t n = 0; n < 30; n++)
			publish("a", 21, 300);
		rc_history_sweep(hub, 100);
		rc_history_squeeze(hub);
		hubs_check(&h);
		rc_log_frame_at(&r->log, pos, &f);
		assert_int_equal(f.pos, pos);
		read_all(sub);
		assert_int_equal(rc_hub_sub(hub, sub)->flags & RC_SUB_PAST, 0);
		assert_int_equal(r->behind, 0);
		unsubscribe(1, sub);
		/* For the next round: the numbers fit again. */
		pass(20000);
		rc_owner_sweep(hub, 100);
		hubs_time(&h, 2000000);
		rc_owner_sweep(hub, 100);
		for (uint32_t n = 1; n <= 20; n++)
			publish("a", n, 300);
		r = history_of("a");
	}
}

/* ---- forgetting --------------------------------------------------------------------------------- */

static void a_forgotten_channel_is_another_when_it_comes_back(void **state)
{
	struct rc_hub *hub = &h.shard[0].hub;

	(void)state;
	h.namespaces[0].history_ttl_ms = 5000;
	uint64_t epoch = publish("a", 1, 100).epoch;
	publish("a", 2, 100);
	publish("b", 1, 100);
	uint64_t stamp = hub->stamp;
	/* Not before its events would have gone. */
	h.namespaces[0].channel_ttl_ms = 1000;
	pass(3000);
	rc_owner_sweep(hub, 100);
	assert_int_equal(hub->owned.used, 2);
	pass(2000);
	rc_owner_sweep(hub, 100);
	hubs_check(&h);
	assert_int_equal(hub->owned.used, 0);
	assert_int_equal(hub->replicas.used, 0);
	assert_int_equal(hub->history.bytes, 0);
	fetch_one("a", RC_FETCH_OFFSET, epoch, 2);
	assert_int_equal(got.f.verdict, RC_VERDICT_EPOCH);
	assert_false(got.f.known);
	fetch_one("a", RC_FETCH_BEFORE, 0, UINT64_MAX);
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	assert_int_equal(got.f.first_offset, 0);
	/* Somebody who had all is told so, somebody who may have missed some is told that. */
	fetch_one("a", RC_FETCH_STAMP, 0, stamp);
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	fetch_one("a", RC_FETCH_STAMP, 0, 1);
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	fetch_one("a", RC_FETCH_STAMP, 0, stamp + 1);
	assert_int_equal(got.f.verdict, RC_VERDICT_AHEAD);
	uint64_t again = publish("a", 1, 100).epoch;
	assert_int_not_equal(again, epoch);
	assert_kept("a", again, 1, 1);
	fetch_one("a", RC_FETCH_OFFSET, epoch, 1);
	assert_int_equal(got.f.verdict, RC_VERDICT_EPOCH);
	fetch_one("a", RC_FETCH_STAMP, 0, stamp);
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	assert_events(1, 1);
	fetch_one("a", RC_FETCH_STAMP, 0, stamp - 1);
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	assert_events(1, 1);
}

static void who_asks_by_the_clock_is_told_of_a_forgotten_life(void **state)
{
	struct rc_hub *hub = &h.shard[0].hub;

	(void)state;
	h.namespaces[0].history_ttl_ms = 5000;
	uint64_t begin = wall_ms;
	publish("a", 1, 100);
	pass(10000);
	rc_owner_sweep(hub, 100);
	assert_int_equal(hub->owned.used, 0);
	/* It is not known, then it lives again. */
	fetch_one("a", RC_FETCH_TIME, 0, begin);
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	fetch_one("a", RC_FETCH_TIME, 0, begin + 1);
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	publish("a", 1, 100);
	fetch_one("a", RC_FETCH_TIME, 0, begin);
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	assert_events(1, 1);
	fetch_one("a", RC_FETCH_TIME, 0, begin + 1);
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	assert_events(1, 1);
	for (uint64_t since = begin; since < begin + 2; since++) {
		assert_true(fetch((struct rc_fetch){.how = RC_FETCH_TIME,
			.broad = true,
			.after = since,
			.names = RC_STR("\1a")}));
		assert_int_equal(
			got.f.verdict, since == begin ? RC_VERDICT_TRIMMED : RC_VERDICT_ALL);
		assert_true(fetch((struct rc_fetch){.how = RC_FETCH_TIME,
			.broad = true,
			.after = since,
			.names = RC_STR("\2**")}));
		assert_int_equal(
			got.f.verdict, since == begin ? RC_VERDICT_TRIMMED : RC_VERDICT_ALL);
	}
}

static void a_full_table_gives_up_a_channel_and_its_history(void **state)
{
	struct rc_hub_limits tight = roomy;
	struct rc_hub *hub = &h.shard[0].hub;
	char name[16];

	(void)state;
	(void)teardown(NULL);
	tight.owned_max = 3;
	open_with(&tight, (size_t)1 << 20);
	uint32_t sub = subscribe(1, "kept", 0);
	publish("kept", 1, 100);
	for (uint32_t i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "c%u", i);
		publish(name, 1, 100);
		assert_int_equal(hub->owned.used, RC_MIN(i + 2, 3u));
		assert_int_equal(hub->replicas.used, hub->owned.used);
		assert_true(fetch((struct rc_fetch){.how = RC_FETCH_STAMP,
			.broad = true,
			.after = i,
			.names = RC_STR("\2**")}));
		assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
		assert_true(fetch((struct rc_fetch){.how = RC_FETCH_STAMP,
			.broad = true,
			.after = 1,
			.names = RC_STR("\2**")}));
		assert_int_equal(got.f.verdict, i < 2 ? RC_VERDICT_ALL : RC_VERDICT_TRIMMED);
	}
	unsubscribe(1, sub);
}

/* ---- memory ------------------------------------------------------------------------------------- */

static uint64_t kept_events(const char *name)
{
	const struct rc_replica *r = history_of(name);

	return r ? r->log.count_tail - rc_log_count_head(&r->log) : 0;
}

static void all_histories_together_keep_to_their_budget(void **state)
{
	struct rc_hub_limits tight = roomy;
	struct rc_hub *hub = &h.shard[0].hub;
	char name[16];

	(void)state;
	(void)teardown(NULL);
	tight.history_bytes_max = 16384;
	open_with(&tight, (size_t)1 << 20);
	for (uint32_t i = 0; i < 40; i++) {
		(void)snprintf(name, sizeof(name), "c%u", i);
		uint64_t epoch = publish(name, 1, 700).epoch;
		assert_true(hub->history.bytes <= 16384);
		assert_kept(name, epoch, 1, 1);
	}
	/* The oldest went, the newest stayed; what is gone is told. */
	assert_int_equal(kept_events("c0"), 0);
	assert_int_equal(kept_events("c39"), 1);
	fetch_one("c0", RC_FETCH_BEGINNING, 0, 0);
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	fetch_one("c0", RC_FETCH_STAMP, 0, 0);
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	assert_true(rc_counter_get(&h.shard[0].counters, RC_C_history_squeezed) > 20);
	/* One event that is larger than the budget leaves nothing. */
	uint64_t epoch = publish("big", 1, 60000).epoch;
	assert_int_equal(hub->history.bytes, 0);
	assert_kept("big", epoch, 2, 1);
}

static void a_reader_who_is_behind_keeps_its_history_from_being_squeezed(void **state)
{
	struct rc_hub_limits tight = roomy;
	struct rc_hub *hub = &h.shard[0].hub;
	char name[16];

	(void)state;
	(void)teardown(NULL);
	tight.history_bytes_max = 8192;
	open_with(&tight, (size_t)1 << 20);
	uint32_t sub = subscribe(1, "read", 0);
	for (uint32_t n = 1; n <= 8; n++)
		publish("read", n, 600);
	for (uint32_t i = 0; i < 40; i++) {
		(void)snprintf(name, sizeof(name), "c%u", i);
		publish(name, 1, 700);
	}
	assert_int_equal(kept_events("read"), 8);
	assert_int_equal(rc_hub_sub(hub, sub)->cursor, history_of("read")->log.head);
	read_all(sub);
	publish("c50", 1, 700);
	assert_true(hub->history.bytes <= 8192);
	/* More readers than are looked at in one go. */
	for (uint32_t i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "r%u", i);
		(void)subscribe(2, name, 0);
		publish(name, 1, 700);
	}
	assert_true(hub->history.bytes > 8192);
	while (heads[2] != RC_NONE)
		unsubscribe(2, heads[2]);
	publish("c51", 1, 700);
	publish("c52", 1, 700);
	assert_true(hub->history.bytes <= 8192);
}

static void histories_give_way_when_the_arena_is_full(void **state)
{
	struct rc_hub *hub = &h.shard[0].hub;
	char name[16];

	(void)state;
	(void)teardown(NULL);
	open_with(&roomy, (size_t)256 << 10);
	uint32_t sub = subscribe(1, "live", 0);
	for (uint32_t i = 0; i < 600; i++) {
		(void)snprintf(name, sizeof(name), "c%u", i % 40);
		uint64_t epoch = publish(name, i / 40 + 1, 700).epoch;
		publish("live", i + 1, 300);
		read_all(sub);
		fetch_one(name, RC_FETCH_OFFSET, epoch, i / 40);
		assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	}
	assert_int_equal(overruns + losts, 0);
	assert_int_equal(rc_counter_get(&h.shard[0].counters, RC_C_arena_refused), 0);
	assert_true(rc_counter_get(&h.shard[0].counters, RC_C_history_squeezed) > 100);
	/* And for one that is large. */
	publish("large", 1, 60000);
	assert_int_equal(overruns + losts, 0);
	assert_true(hub->history.bytes <= h.shard[0].arena.used_bytes);
}

static void an_event_without_memory_leaves_no_hole_in_the_offsets(void **state)
{
	static void *blocks[8192];
	uint32_t count = 0;

	(void)state;
	(void)teardown(NULL);
	open_with(&roomy, (size_t)256 << 10);
	for (int with_reader = 0; with_reader < 2; with_reader++) {
		const char *name = with_reader ? "b" : "a";
		uint32_t sub = with_reader ? subscribe(1, name, 0) : RC_NONE;
		uint64_t epoch = publish(name, 1, 700).epoch;
		publish(name, 2, 700);
		if (with_reader)
			read_all(sub);
		while ((blocks[count] = rc_buddy_get(&h.shard[0].arena, RC_BUDDY_MIN)) != NULL)
			count++;
		/* Its own history goes for it, then there is still too little. */
		publish(name, 3, 60000);
		fetch_one(name, RC_FETCH_OFFSET, epoch, 2);
		assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
		assert_int_equal(got.f.first_offset, 0);
		while (count > 0)
			rc_buddy_put(&h.shard[0].arena, blocks[--count]);
		publish(name, 4, 700);
		assert_kept(name, epoch, 4, 4);
		fetch_one(name, RC_FETCH_STAMP, 0, h.shard[0].hub.stamp - 2);
		assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
		fetch_one(name, RC_FETCH_STAMP, 0, h.shard[0].hub.stamp - 1);
		assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	}
	assert_int_equal(losts, 1);
}

/* ---- pages -------------------------------------------------------------------------------------- */

static void pages_both_ways_make_up_the_whole(void **state)
{
	(void)state;
	h.namespaces[0].history_size = 100;
	uint64_t epoch = 0;
	for (uint32_t n = 1; n <= 130; n++)
		epoch = publish("a", n, 100 + n % 9 * 150).epoch;
	for (uint32_t limit = 1; limit < 40; limit += 6) {
		struct rc_fetch q = {.how = RC_FETCH_OFFSET,
			.epoch = epoch,
			.after = 30,
			.events_max = limit,
			.bytes_max = limit < 20 ? 0 : 2000,
			.names = RC_STR("a")};
		uint32_t next = 31;
		do {
			assert_true(fetch(q));
			assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
			assert_true(got.count > 0 && got.count <= limit);
			for (uint32_t i = 0; i < got.count; i++)
				assert_int_equal(got.number[i], next++);
			if (q.bytes_max)
				assert_true(got.f.frames_len <= q.bytes_max || got.count == 1);
			q.after = got.f.next;
			assert_int_equal(q.after, next - 1);
			assert_int_equal(got.f.more, next <= 130);
		} while (got.f.more);
		assert_int_equal(next, 131);
		q.how = RC_FETCH_BEFORE;
		q.after = UINT64_MAX;
		next = 130;
		do {
			assert_true(fetch(q));
			assert_true(got.count > 0 && got.count <= limit);
			for (uint32_t i = 0; i < got.count; i++)
				assert_int_equal(got.number[i], next--);
			q.after = got.f.next;
			assert_int_equal(got.f.more, next > 30);
		} while (got.f.more);
		assert_int_equal(next, 30);
	}
}

static void one_event_of_any_size_fits_an_answer(void **state)
{
	(void)state;
	uint64_t epoch = publish("a", 1, 100).epoch;
	publish("a", 2, 90000);
	publish("a", 3, 90000);
	publish("a", 4, 100);
	for (uint32_t after = 0; after < 4; after++) {
		assert_true(fetch((struct rc_fetch){.how = RC_FETCH_OFFSET,
			.epoch = epoch,
			.after = after,
			.bytes_max = 1,
			.names = RC_STR("a")}));
		assert_events(after + 1, after + 1);
		assert_int_equal(got.f.more, after < 3);
	}
	/* No room for an answer: nothing is said. */
	h.fetch_room = 0;
	assert_false(fetch((struct rc_fetch){.how = RC_FETCH_BEGINNING, .names = RC_STR("a")}));
	h.fetch_room = UINT32_MAX;
}

static void a_question_may_be_lenient_about_what_is_still_there(void **state)
{
	(void)state;
	uint64_t epoch = 0;
	for (uint32_t n = 1; n <= 12; n++)
		epoch = publish("a", n, 20).epoch;
	/* All in one chunk: the first two are over the limit and there. */
	assert_int_equal(rc_log_count_head(&history_of("a")->log), 0);
	struct rc_fetch q = {.how = RC_FETCH_OFFSET, .epoch = epoch, .names = RC_STR("a")};
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	assert_events(3, 12);
	q.lenient = true;
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	assert_events(1, 12);
	q.how = RC_FETCH_STAMP;
	q.broad = true;
	q.names = RC_STR("\1a");
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	assert_events(1, 12);
	q.lenient = false;
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	assert_events(3, 12);
	/* A check says where it begins. */
	q.check = true;
	q.broad = false;
	q.how = RC_FETCH_OFFSET;
	q.names = RC_STR("a");
	assert_true(fetch(q));
	assert_int_equal(got.f.next, 2);
	assert_int_equal(got.f.next_stamp, 2);
	q.after = 7;
	assert_true(fetch(q));
	assert_int_equal(got.f.next, 7);
	assert_int_equal(got.f.next_stamp, 7);
	q.after = 12;
	assert_true(fetch(q));
	assert_int_equal(got.f.next_stamp, h.shard[0].hub.stamp);
}

/* ---- by stamps and times ------------------------------------------------------------------------ */

struct model_event {
	char channel[16];
	uint32_t number;
	uint64_t time_ms;
};

static struct model_event model[4000]; /* by stamp - 1 */

static bool model_wants(const char *names, uint32_t len, const char *channel)
{
	for (uint32_t at = 0; at < len; at += 1 + (unsigned char)names[at]) {
		struct rc_str name = {names + at + 1, (unsigned char)names[at]};
		if (memchr(name.ptr, '*', name.len) ? rc_pattern_match(name, rc_str_of(channel))
						    : rc_str_eq(name, rc_str_of(channel)))
			return true;
	}
	return false;
}

/* All pages; they are what the model has after that stamp. */
static void assert_merged(struct rc_str names, uint64_t after, uint64_t until, uint32_t page)
{
	struct rc_fetch q = {.how = RC_FETCH_STAMP,
		.broad = true,
		.after = after,
		.until = until,
		.events_max = page,
		.names = names};
	uint64_t stamp = after;

	do {
		assert_true(fetch(q));
		assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
		for (uint32_t i = 0; i < got.count; i++) {
			do
				stamp++;
			while (!model_wants(
				names.ptr, (uint32_t)names.len, model[stamp - 1].channel));
			assert_int_equal(got.stamp[i], stamp);
			assert_string_equal(got.channel[i], model[stamp - 1].channel);
			assert_int_equal(got.number[i], model[stamp - 1].number);
			assert_int_equal(got.offset[i], model[stamp - 1].number);
		}
		assert_true(got.f.next > q.after || !got.f.more);
		q.after = got.f.next;
	} while (got.f.more);
	uint64_t end = RC_MIN(until ? until : UINT64_MAX, h.shard[0].hub.stamp);
	if (after <= end)
		assert_int_equal(q.after, end);
	for (stamp++; stamp <= end; stamp++)
		assert_false(model_wants(names.ptr, (uint32_t)names.len, model[stamp - 1].channel));
}

static void many_channels_are_merged_in_the_order_of_their_stamps(void **state)
{
	static const char *const channels[] = {"a", "b", "a:x", "a:y", "b:x", "c", "$own"};
	static const struct rc_str questions[] = {RC_STR("\1a\1b"), RC_STR("\3a:*"),
		RC_STR("\1c\3a:x\4none"), RC_STR("\2**"), RC_STR("\3*:x\1a\2**"), RC_STR("\4none"),
		RC_STR("\2q*")};
	uint32_t counts[RC_ARRAY_LEN(channels)] = {0};
	struct rc_prng prng;

	(void)state;
	h.namespaces[0].history_size = 100000;
	rc_prng_seed(&prng, 3);
	for (uint32_t i = 0; i < 700; i++) {
		uint32_t c = rc_prng_below(&prng, RC_ARRAY_LEN(channels));
		/* The gateway's own are nobody's to recover. */
		(void)snprintf(model[i].channel, sizeof(model[i].channel), "%s",
			channels[c][0] == '$' ? "" : channels[c]);
		model[i].number = ++counts[c];
		publish(channels[c], counts[c], 40 + rc_prng_below(&prng, 900));
		if (i % 50)
			continue;
		for (uint32_t k = 0; k < RC_ARRAY_LEN(questions); k++) {
			for (uint64_t after = 0; after <= i + 1; after += 1 + i / 6)
				assert_merged(questions[k], after, 0, 1 + rc_prng_below(&prng, 30));
			assert_merged(questions[k], i / 3, i / 2 + 1, 7);
			/* Where it ends before it begins. */
			assert_merged(questions[k], i / 2 + 1, i / 3 + 1, 7);
		}
	}
}

static void what_is_missing_of_many_is_told(void **state)
{
	(void)state;
	publish("a", 1, 100);
	publish("b", 1, 100);
	for (uint32_t n = 2; n <= 12; n++)
		publish("b", n, 1000);
	publish("keyed:k", 1, 100); /* of a namespace that keeps none */
	struct rc_fetch q = {.how = RC_FETCH_STAMP, .broad = true, .names = RC_STR("\1a")};
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	assert_events(1, 1);
	q.names = RC_STR("\1a\1b");
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	assert_int_equal(got.count, 11);
	/* The stamps of b are 2 to 13, of which those up to 3 are over the limit. */
	q.after = 2;
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	q.after = 3;
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	assert_events(3, 12);
	q.names = RC_STR("\2**");
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	q.names = RC_STR("\7keyed:k");
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	q.after = 14;
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	q.after = 15;
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_AHEAD);
	assert_int_equal(got.count, 0);
}

static void where_no_namespace_keeps_any_all_is_said_to_be_missing(void **state)
{
	struct rc_hub_limits none = roomy;

	(void)state;
	(void)teardown(NULL);
	none.keeps_history = false;
	open_with(&none, (size_t)1 << 20);
	h.namespaces[0].history_size = 0;
	struct rc_fetch q = {.how = RC_FETCH_STAMP, .broad = true, .names = RC_STR("\2**\1a")};
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	publish("a", 1, 100);
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	q.after = 1;
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
}

static void more_channels_than_are_looked_through_is_told(void **state)
{
	struct rc_hub_limits wide = roomy;
	char name[16];

	(void)state;
	(void)teardown(NULL);
	wide.owned_max = wide.replicas_max = RC_FETCH_SOURCES_MAX + 10;
	open_with(&wide, (size_t)16 << 20);
	h.namespaces[0].history_ttl_ms = 1000;
	for (uint32_t i = 0; i <= RC_FETCH_SOURCES_MAX; i++) {
		static char data[] = "\"#x|1|\"";
		struct rc_outcome out;
		(void)snprintf(name, sizeof(name), "c%u", i);
		const struct rc_publish p = {.channel = rc_str_of(name),
			.event = RC_STR("e"),
			.data = rc_str_of(data),
			.timestamp_ms = 1,
			.time_ms = wall_ms,
			.json = true};
		assert_true(rc_owner_publish(&h.shard[0].hub, &p, &out));
	}
	struct rc_fetch q = {.how = RC_FETCH_STAMP, .broad = true, .names = RC_STR("\2**")};
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_MANY);
	q.after = 1;
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
}

static void events_are_found_by_the_time_they_came(void **state)
{
	uint64_t begin = wall_ms;

	(void)state;
	/* The time of 2 is that of a shard whose turn began earlier. */
	static const uint32_t times[] = {100, 99, 200, 300};
	for (uint32_t n = 1; n <= 4; n++)
		publish_at("a", n, 100, begin + times[n - 1]);
	static const struct {
		uint32_t since, first;
	} want[] = {{0, 1}, {99, 1}, {100, 1}, {101, 3}, {200, 3}, {201, 4}, {300, 4}, {301, 0}};
	for (uint32_t i = 0; i < RC_ARRAY_LEN(want); i++) {
		fetch_one("a", RC_FETCH_TIME, 0, begin + want[i].since);
		assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
		assert_events(want[i].first, 4);
		assert_true(fetch((struct rc_fetch){.how = RC_FETCH_TIME,
			.broad = true,
			.after = begin + want[i].since,
			.names = RC_STR("\1a")}));
		assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
		assert_events(want[i].first, 4);
	}
	/* Years ago, and years from now. */
	fetch_one("a", RC_FETCH_TIME, 0, 0);
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED); /* the gateway did not run then */
	assert_events(1, 4);
	fetch_one("a", RC_FETCH_TIME, 0, UINT64_MAX);
	assert_events(0, 0);
	for (uint32_t n = 5; n <= 12; n++)
		publish_at("a", n, 1000, begin + 400);
	fetch_one("a", RC_FETCH_TIME, 0, begin + 100);
	assert_int_equal(got.f.verdict, RC_VERDICT_TRIMMED);
	fetch_one("a", RC_FETCH_TIME, 0, begin + 101);
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	assert_events(3, 12);
}

/* The order of the newest events is not that of their times when two shards' clocks differ by a turn. */
static void an_older_time_of_a_newer_event_hides_no_channel(void **state)
{
	uint64_t begin = wall_ms;

	(void)state;
	publish_at("a", 1, 100, begin + 105);
	publish_at("b", 1, 100, begin + 103);
	struct rc_fetch q = {
		.how = RC_FETCH_TIME, .broad = true, .after = begin + 104, .names = RC_STR("\2**")};
	assert_true(fetch(q));
	assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	assert_true(got.count >= 1);
	assert_string_equal(got.channel[0], "a");
	/* Nor within a channel. */
	publish_at("c", 1, 100, begin + 205);
	publish_at("c", 2, 100, begin + 203);
	q.after = begin + 204;
	q.names = RC_STR("\1c");
	assert_true(fetch(q));
	assert_true(got.count >= 1);
	assert_int_equal(got.number[0], 1);
}

static void a_channel_without_events_is_missing_none(void **state)
{
	(void)state;
	/* Known since somebody subscribed, of a namespace without history. */
	uint32_t sub = subscribe(1, "keyed:q", 0);
	for (uint32_t i = 0; i < 40; i++) {
		assert_true(fetch((struct rc_fetch){.how = RC_FETCH_TIME,
			.broad = true,
			.after = wall_ms + i * 50000000ull,
			.names = RC_STR("\7keyed:q")}));
		assert_int_equal(got.f.verdict, RC_VERDICT_ALL);
	}
	unsubscribe(1, sub);
}

/* ---- the newest --------------------------------------------------------------------------------- */

static void publish_key(uint32_t n, uint32_t key)
{
	char data[128];
	struct rc_outcome out;

	(void)snprintf(data, sizeof(data), "{\"#k|%u|\":0,\"k\":%u}", n, key);
	const struct rc_publish p = {.channel = RC_STR("keyed:a"),
		.event = RC_STR("e"),
		.data = rc_str_of(data),
		.timestamp_ms = 1,
		.time_ms = wall_ms,
		.json = true};
	assert_true(rc_owner_publish(&h.shard[0].hub, &p, &out));
	hubs_check(&h);
}

static void the_newest_of_each_key_is_given_page_by_page(void **state)
{
	(void)state;
	h.namespaces[1].raw = true;
	h.namespaces[1].history_size = 3;
	h.namespaces[1].history_bytes = 100000;
	h.namespaces[1].history_ttl_ms = 100000;
	h.namespaces[1].first_latest = true;
	for (uint32_t n = 1; n <= 40; n++)
		publish_key(n, n % 7);
	struct rc_fetch q = {.how = RC_FETCH_LATEST, .events_max = 2, .names = RC_STR("keyed:a")};
	uint32_t number = 34;
	do {
		assert_true(fetch(q));
		assert_true(got.count > 0);
		for (uint32_t i = 0; i < got.count; i++) {
			/* With the stamp, though it is over the limits of the history. */
			assert_int_equal(got.number[i], number);
			assert_int_equal(got.stamp[i], number++);
		}
		q.after = got.f.next;
	} while (got.f.more);
	assert_int_equal(number, 41);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(as_many_events_are_kept_as_the_namespace_says),
		TEST(as_many_bytes_are_kept_as_the_namespace_says),
		TEST(events_are_kept_as_long_as_the_namespace_says),
		TEST(a_channel_without_history_keeps_nothing),
		TEST(subscribers_come_and_go_over_a_history),
		TEST(a_history_that_finds_no_room_begins_later),
		TEST(a_reader_is_set_back_into_the_history),
		TEST(a_forgotten_channel_is_another_when_it_comes_back),
		TEST(who_asks_by_the_clock_is_told_of_a_forgotten_life),
		TEST(a_full_table_gives_up_a_channel_and_its_history),
		TEST(all_histories_together_keep_to_their_budget),
		TEST(a_reader_who_is_behind_keeps_its_history_from_being_squeezed),
		TEST(histories_give_way_when_the_arena_is_full),
		TEST(an_event_without_memory_leaves_no_hole_in_the_offsets),
		TEST(pages_both_ways_make_up_the_whole),
		TEST(one_event_of_any_size_fits_an_answer),
		TEST(a_question_may_be_lenient_about_what_is_still_there),
		TEST(many_channels_are_merged_in_the_order_of_their_stamps),
		TEST(what_is_missing_of_many_is_told),
		TEST(where_no_namespace_keeps_any_all_is_said_to_be_missing),
		TEST(more_channels_than_are_looked_through_is_told),
		TEST(events_are_found_by_the_time_they_came),
		TEST(an_older_time_of_a_newer_event_hides_no_channel),
		TEST(a_channel_without_events_is_missing_none),
		TEST(the_newest_of_each_key_is_given_page_by_page),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
