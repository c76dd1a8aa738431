/* SPDX-License-Identifier: Apache-2.0
 *
 * Delivery that is acknowledged, as several shards ask and one owner decides: random orders with rings that refuse, against a model in
 * which every event ends as acknowledged, as a dead letter, or as missed and told so; windows, times, take-overs, full tables.
 */
#include "hubs.h"

#include "proto/event.h"
#include "proto/json.h"

enum {
	CHANNELS = 3,
	NAMES = 5,
	EVENTS = 4096,
	HOLDERS = 20000,
	TIMEOUT_MS = 200,
	TTL_MS = 5000,
	RETRIES = 2
};

static struct hubs h;

/* What became of an event, as its consumer sees it. */
enum fate { NEVER, PENDING, ACKED, FIRM, DEAD };

struct reader {
	uint32_t channel;
	const char *user, *client;
	uint32_t holder; /* that it attached with last; RC_NONE: none */
	bool known;      /* the owner has it, as far as is known here */
	uint64_t start;  /* the offset before its first event */
	uint64_t missed;
	uint8_t fate[EVENTS];
	uint8_t had[EVENTS]; /* how often it was sent */
};

struct holder {
	uint32_t reader, shard, consumer, life, round;
	uint64_t skipped, sent;
	bool answered, taken, too_many, live, gone, left, stalled;
};

static struct reader readers[NAMES * CHANNELS];
static struct holder holders[HOLDERS];
static uint32_t holder_count;
static uint64_t published[CHANNELS];
static uint64_t letters[CHANNELS]; /* that were read */
static char channels[CHANNELS][64];

static struct rc_hub *owner_hub(uint32_t channel)
{
	return &h.shard[hubs_owner(&h, channels[channel])].hub;
}

static void publish(uint32_t channel)
{
	struct rc_hub *hub = owner_hub(channel);
	char data[512];
	int len = snprintf(data, sizeof(data), "{\"n\":%u,\"pad\":\"%0*u\"}",
		(unsigned)published[channel] + 1, (int)rc_prng_below(&h.prng, 300) + 1, 7u);
	const struct rc_publish p = {
		.from = {.shard = RC_NONE},
		.channel = rc_str_of(channels[channel]),
		.event = RC_STR("an \"event\""),
		.data = {data, (size_t)len},
		.timestamp_ms = 1768472100000,
		.time_ms = 1768472100000,
		.taken_ns = h.now_ns,
		.json = true,
	};
	struct rc_outcome outcome;

	if (published[channel] + 1 == EVENTS || !rc_owner_publish(hub, &p, &outcome))
		return;
	assert_int_equal(outcome.nack, 0);
	assert_int_equal(outcome.offset, ++published[channel]);
}

/* ---- what is asked ------------------------------------------------------------------------------ */

static bool say(uint32_t index, enum rc_consumer_asks kind, uint64_t offset)
{
	const struct holder *a = &holders[index];
	const struct reader *r = &readers[a->reader];
	struct rc_consumer_ask ask = {
		.kind = (uint8_t)kind,
		.shard = a->shard,
		.slot = index,
		.generation = index ^ 5,
		.consumer = a->consumer,
		.life = a->life,
		.round = a->round,
		.offset = offset,
	};

	if (kind == RC_CONSUMER_GO)
		ask.after = a->sent;
	if (kind == RC_CONSUMER_ATTACH) {
		ask.timeout_ms = TIMEOUT_MS;
		ask.retries = RETRIES;
		ask.window = 1 + rc_prng_below(&h.prng, 6);
		ask.channel = rc_str_of(channels[r->channel]);
		ask.user = rc_str_of(r->user);
		ask.client = rc_str_of(r->client);
		ask.who = rc_hash(&h.shard[0].hub.key, r->user, strlen(r->user));
	}
	return hubs_consumer(&h.shard[a->shard], hubs_owner(&h, channels[r->channel]), &ask);
}

/* As a connection's shard does, which never gives up: here until there is room. */
static void insist(uint32_t index, enum rc_consumer_asks kind, uint64_t offset)
{
	uint32_t refuse = h.refuse_percent;

	h.refuse_percent = 0;
	assert_true(say(index, kind, offset));
	h.refuse_percent = refuse;
}

static uint32_t attach(uint32_t reader, uint32_t shard)
{
	uint32_t index = holder_count++;

	assert_true(index < HOLDERS);
	holders[index] = (struct holder){.reader = reader, .shard = shard, .skipped = UINT64_MAX};
	readers[reader].holder = index;
	/* What another has acknowledged a moment ago may come too late. */
	for (uint32_t i = 0; i < EVENTS; i++) {
		if (readers[reader].fate[i] == ACKED)
			readers[reader].fate[i] = PENDING;
	}
	insist(index, RC_CONSUMER_ATTACH, 0);
	return index;
}

static bool named(const struct reader *r)
{
	return r->user[0] && r->client[0];
}

static void forget(struct reader *r)
{
	r->known = false;
	r->missed = 0;
	memset(r->fate, NEVER, sizeof(r->fate));
	memset(r->had, 0, sizeof(r->had));
}

static void leave(uint32_t index, bool end)
{
	struct holder *a = &holders[index];
	struct reader *r = &readers[a->reader];

	if (!a->answered || !a->taken || a->gone || a->left)
		return;
	a->left = true;
	insist(index, end ? RC_CONSUMER_END : RC_CONSUMER_DETACH, 0);
	if (r->holder != index)
		return;
	r->holder = RC_NONE;
	if (end || !named(r))
		forget(r);
}

/* ---- what is told ------------------------------------------------------------------------------- */

/* Events that were buried since; their consumer never gets them again. */
static void read_letters(uint32_t channel)
{
	const struct rc_hub *hub = owner_hub(channel);
	char name[80];

	(void)snprintf(name, sizeof(name), RC_DEAD_PREFIX "%s", channels[channel]);
	uint32_t index = rc_owner_find(hub, rc_str_of(name), rc_hub_hash(hub, rc_str_of(name)));
	if (index == RC_NONE)
		return;
	const struct rc_replica *rep = rc_hub_replica(hub, rc_hub_owned(hub, index)->replica);
	uint64_t i = RC_MAX(rc_log_count_head(&rep->log), letters[channel]);
	for (; i < rep->log.count_tail; i++) {
		struct rc_log_frame f;
		struct rc_event_view v;
		char user[64] = "", client[64] = "", text[1024];
		unsigned offset, tries;
		rc_log_frame_number(&rep->log, i, &f);
		assert_true(rc_event_ws_parse(f.bytes, f.len, &v));
		assert_true(rc_json_validate(v.payload, 16) == 0);
		(void)snprintf(text, sizeof(text), "%.*s", (int)v.data.len, v.data.ptr);
		const char *at = strstr(text, "\"offset\":");
		assert_non_null(at);
		assert_int_equal(sscanf(at,
					 "\"offset\":%u,\"event\":\"an \\\"event\\\"\",\"reason\":"
					 "\"retries\",\"tries\":%u",
					 &offset, &tries),
			2);
		assert_true(tries >= RETRIES + 1);
		at = strstr(text, "\"user\":\"");
		if (at)
			(void)sscanf(at, "\"user\":\"%63[^\"]\"", user);
		at = strstr(text, "\"clientId\":\"");
		if (at)
			(void)sscanf(at, "\"clientId\":\"%63[^\"]\"", client);
		for (uint32_t k = 0; k < RC_ARRAY_LEN(readers); k++) {
			struct reader *r = &readers[k];
			if (r->channel == channel && r->known && strcmp(r->user, user) == 0 &&
				strcmp(r->client, client) == 0 && offset > r->start &&
				r->fate[offset] != FIRM)
				r->fate[offset] = DEAD;
		}
	}
	letters[channel] = i;
}

static void got(struct holder *a, const struct rc_consumer_told *t)
{
	struct reader *r = &readers[a->reader];
	struct rc_event_view v;
	char text[64];
	int len = snprintf(text, sizeof(text), "\"n\":%u", (unsigned)t->offset);

	assert_true(a->live && !a->gone);
	/* One that was replaced may get what was on its way to it. */
	if (a->left || t->round != a->round || r->holder != t->slot)
		return;
	if (a->stalled) {
		a->skipped = RC_MIN(a->skipped, t->offset);
		return;
	}
	assert_true(rc_event_ws_parse(t->frame, t->frame_len, &v));
	assert_memory_equal(v.data.ptr + 1, text, (size_t)len);
	assert_true(t->offset > r->start && t->offset <= published[r->channel]);
	/* What the owner knows to be acknowledged does not come again. */
	assert_true(r->fate[t->offset] != FIRM);
	if (r->had[t->offset])
		assert_true(t->tries > 0);
	a->sent = RC_MAX(a->sent, t->offset);
	r->had[t->offset]++;
	if (r->fate[t->offset] != DEAD)
		r->fate[t->offset] = PENDING;
}

static void attached(uint32_t index, const struct rc_consumer_told *t)
{
	struct holder *a = &holders[index];
	struct reader *r = &readers[a->reader];

	assert_false(a->answered);
	a->answered = true;
	a->taken = t->taken;
	a->too_many = t->too_many;
	a->consumer = t->consumer;
	a->life = t->life;
	if (!t->taken)
		return;
	if (r->holder != index) {
		/* Another is on its way already. */
		return;
	}
	if (!t->known) {
		forget(r);
		r->start = t->offset;
	}
	r->known = true;
	if (t->known && t->verdict == RC_VERDICT_TRIMMED)
		r->missed = EVENTS; /* how many is not told */
	assert_true(t->sent >= t->offset);
	a->sent = t->sent;
	/* What it never had is not done with, but by history or as a dead letter. */
	for (uint64_t i = r->start + 1; i <= t->offset; i++)
		assert_true(r->fate[i] != NEVER || r->missed);
}

static void told(struct hubs_shard *s, const struct rc_consumer_told *t)
{
	struct holder *a = &holders[t->slot];

	assert_int_equal(t->generation, t->slot ^ 5);
	assert_int_equal(a->shard, s->index);
	switch (t->kind) {
	case RC_CONSUMER_ATTACHED:
		attached(t->slot, t);
		break;
	case RC_CONSUMER_EVENT:
		got(a, t);
		break;
	case RC_CONSUMER_GAP:
		readers[a->reader].missed += t->missed;
		break;
	default:
		a->gone = true;
	}
}

/* ---- running it --------------------------------------------------------------------------------- */

static void turn(void)
{
	for (uint32_t i = 0; i < h.count; i++)
		rc_consumer_turn(&h.shard[i].hub);
	/* Before history lets go of them too. */
	for (uint32_t c = 0; c < CHANNELS; c++)
		read_letters(c);
}

static void settle(void)
{
	uint32_t refuse = h.refuse_percent;

	h.refuse_percent = 0;
	for (int i = 0; i < 200; i++) {
		turn();
		hubs_settle(&h);
	}
	for (uint32_t i = 0; i < h.count; i++)
		assert_false(rc_consumer_busy(&h.shard[i].hub));
	h.refuse_percent = refuse;
	/* What was acknowledged by those who have it still is with the owner now. */
	for (uint32_t k = 0; k < RC_ARRAY_LEN(readers); k++) {
		for (uint32_t i = 0; i < EVENTS; i++) {
			if (readers[k].fate[i] == ACKED)
				readers[k].fate[i] = FIRM;
		}
	}
	hubs_check(&h);
}

static void open_with(uint32_t shards, uint32_t history, uint64_t seed)
{
	static const char *const users[NAMES] = {"ann", "ann", "bob", "", "cid"};
	static const char *const clients[NAMES] = {"one", "two", "one", "one", ""};
	const struct rc_hub_limits limits = {
		.owned_max = 32,
		.replicas_max = 64,
		.subs_max = 64,
		.patterns_max = 4,
		.frame_max = 16384,
		.fetch_bytes = 16384,
		.history_bytes_max = 4u << 20,
		.keeps_history = true,
		.namespaces = 2,
		.consumers_max = NAMES * CHANNELS,
		.ack_ttl_ms = TTL_MS,
		.ack_window_bytes = 1200,
	};

	hubs_open(&h, shards, &limits, 16u << 20, seed);
	h.consumer = told;
	h.namespaces[1] = (struct rc_hub_namespace){.lag_bytes = 1u << 20,
		.channel_ttl_ms = 1000,
		.history_size = history,
		.history_bytes = 1u << 20,
		.history_ttl_ms = 3600000};
	memset(readers, 0, sizeof(readers));
	memset(published, 0, sizeof(published));
	memset(letters, 0, sizeof(letters));
	holder_count = 0;
	for (uint32_t c = 0; c < CHANNELS; c++) {
		char prefix[16];
		(void)snprintf(prefix, sizeof(prefix), "keyed:%u:", c);
		(void)hubs_name_of(&h, c % shards, prefix, channels[c]);
		publish(c);
		for (uint32_t n = 0; n < NAMES; n++)
			readers[c * NAMES + n] = (struct reader){.channel = c,
				.user = users[n],
				.client = clients[n],
				.holder = RC_NONE};
	}
}

/* Consumers end when their time is over, and channels after them. */
static void close_all(void)
{
	settle();
	for (uint32_t i = 0; i < holder_count; i++)
		leave(i, i % 2);
	for (int i = 0; i < 20; i++) {
		hubs_time(&h, TTL_MS / 10);
		settle();
	}
	for (uint32_t i = 0; i < h.count; i++) {
		struct rc_hub *hub = &h.shard[i].hub;
		assert_int_equal(hub->consumers.slab.used, 0);
		assert_int_equal(hub->consumers.channels.used, 0);
		assert_int_equal(hub->consumers.table.count, 0);
		assert_int_equal(hub->consumers.payers.used, 0);
		assert_int_equal(hub->consumers.payer_table.count, 0);
		assert_int_equal(rc_counter_get(hub->counters, RC_C_consumers), 0);
	}
	hubs_time(&h, 2 * 3600000u);
	for (uint32_t i = 0; i < h.count; i++)
		rc_owner_sweep(&h.shard[i].hub, 1000);
	hubs_assert_empty(&h);
	hubs_close(&h);
}

static void let_go_live(uint32_t index)
{
	struct holder *a = &holders[index];

	if (!a->answered || !a->taken || a->live || a->gone || a->left)
		return;
	a->live = true;
	insist(index, RC_CONSUMER_GO, UINT64_MAX);
}

static void ack(uint32_t index, bool one)
{
	const struct holder *a = &holders[index];
	struct reader *r = &readers[a->reader];
	uint64_t last = published[r->channel], offset = 0;

	/* The first that waits, or some behind it. */
	for (uint64_t i = r->start + 1; i <= last; i++) {
		/* Nobody acknowledges all up to an event before he has them, or was told of a gap. */
		if (!one && r->fate[i] == NEVER && !r->missed)
			break;
		if (r->fate[i] == PENDING && (offset == 0 || rc_prng_below(&h.prng, 3) == 0))
			offset = i;
	}
	if (offset == 0 || !a->live || a->gone || a->left || r->holder != index)
		return;
	insist(index, one ? RC_CONSUMER_ACK_ONE : RC_CONSUMER_ACK, offset);
	for (uint64_t i = one ? offset : r->start + 1; i <= offset; i++) {
		if (r->fate[i] == PENDING || r->fate[i] == NEVER)
			r->fate[i] = ACKED;
	}
}

static void stall_or_not(uint32_t index)
{
	struct holder *a = &holders[index];

	if (!a->live || a->gone || a->left)
		return;
	a->stalled = !a->stalled;
	if (a->stalled) {
		a->skipped = UINT64_MAX;
		insist(index, RC_CONSUMER_HOLD, 0);
	} else {
		a->round++;
		insist(index, RC_CONSUMER_GO, a->skipped);
	}
}

static void random_step(void)
{
	uint32_t reader = rc_prng_below(&h.prng, RC_ARRAY_LEN(readers));
	uint32_t index = readers[reader].holder;
	uint32_t what = rc_prng_below(&h.prng, 100);

	if (what < 30) {
		publish(rc_prng_below(&h.prng, CHANNELS));
	} else if (what < 33) {
		/* A named one may be attached already: then it is taken over. An unnamed one is another each time. */
		if (index == RC_NONE || (named(&readers[reader]) && holders[index].answered))
			(void)attach(reader, rc_prng_below(&h.prng, h.count));
	} else if (what < 55 && index != RC_NONE) {
		ack(index, what % 2);
	} else if (what < 57 && index != RC_NONE) {
		leave(index, what % 2 && rc_prng_below(&h.prng, 4) == 0);
	} else if (what < 60 && index != RC_NONE) {
		stall_or_not(index);
	} else if (what < 64) {
		hubs_time(&h, rc_prng_below(&h.prng, TIMEOUT_MS / 2));
	} else if (what < 65) {
		settle();
	} else if (what < 80) {
		turn();
	} else {
		uint32_t from = rc_prng_below(&h.prng, h.count);
		uint32_t to = rc_prng_below(&h.prng, h.count);
		(void)hubs_take_ask(&h, from, to);
		(void)hubs_take_tell(&h, from, to);
	}
	for (uint32_t k = 0; k < RC_ARRAY_LEN(readers); k++) {
		if (readers[k].holder != RC_NONE)
			let_go_live(readers[k].holder);
	}
}

/* Everybody is there, reads and acknowledges, until nothing is left. */
static void finish(void)
{
	settle();
	for (uint32_t k = 0; k < RC_ARRAY_LEN(readers); k++) {
		struct reader *r = &readers[k];
		if (!r->known)
			continue;
		uint32_t index = r->holder;
		if (index == RC_NONE || holders[index].gone || !holders[index].taken)
			index = attach(k, 0);
		settle();
		let_go_live(index);
		if (holders[index].stalled)
			stall_or_not(index);
		settle();
		for (uint32_t n = 0; n < EVENTS; n++) {
			bool more = false;
			for (uint64_t i = r->start + 1; i <= published[r->channel]; i++)
				more |= r->fate[i] == PENDING;
			if (!more)
				break;
			ack(index, false);
			settle();
		}
		read_letters(r->channel);
		uint64_t open = 0;
		for (uint64_t i = r->start + 1; i <= published[r->channel]; i++)
			open += r->fate[i] != FIRM && r->fate[i] != DEAD;
		assert_true(open <= r->missed);
		const struct rc_consumer *c =
			rc_slab_at(&owner_hub(r->channel)->consumers.slab, holders[index].consumer);
		assert_int_equal(c->count, 0);
		assert_int_equal(c->next_offset, published[r->channel] + 1);
	}
}

static void run(uint32_t shards, uint32_t history, uint64_t seed, uint32_t steps)
{
	open_with(shards, history, seed);
	h.refuse_percent = 20;
	for (uint32_t i = 0; i < steps; i++) {
		random_step();
		if (i % 64 == 0)
			hubs_check(&h);
	}
	h.refuse_percent = 0;
	finish();
	close_all();
}

static void every_event_ends_as_acknowledged_dead_or_missed(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++)
		run(1 + (uint32_t)seed % HUBS_MAX, 100000, seed, 2500);
}

static void what_history_lets_go_is_told(void **state)
{
	(void)state;
	for (uint64_t seed = 100; seed < 112; seed++)
		run(1 + (uint32_t)seed % HUBS_MAX, 8, seed, 2500);
}

static void comes(uint32_t reader, bool taken, bool too_many)
{
	uint32_t index = attach(reader, 0);

	settle();
	assert_true(holders[index].answered);
	assert_int_equal(holders[index].taken, taken);
	assert_int_equal(holders[index].too_many, too_many);
	if (!taken)
		readers[reader].holder = RC_NONE;
}

/* ann has three at most, whatever their names: in one channel or several, connected or not; nobody else notices. */
static void one_user_has_the_room_of_one_user(void **state)
{
	(void)state;
	open_with(1, 100, 7);
	h.shard[0].hub.limits.consumers_per_user = 3;
	struct rc_counters_shard *counters = h.shard[0].hub.counters;
	comes(0, true, false);
	comes(1, true, false);
	comes(NAMES, true, false);
	comes(NAMES + 1, false, true);
	assert_int_equal(rc_counter_get(counters, RC_C_consumers_refused_user), 1);
	assert_int_equal(rc_counter_get(counters, RC_C_consumers_refused), 0);
	/* Others have their own; those without a name are one of each address. */
	comes(2, true, false);
	comes(NAMES + 2, true, false);
	for (uint32_t c = 0; c < CHANNELS; c++)
		comes(c * NAMES + 3, true, false);
	comes(3, false, true);
	/* Who is there is not refused, and without a connection it counts all the same. */
	leave(readers[0].holder, false);
	comes(NAMES + 1, false, true);
	comes(0, true, false);
	leave(readers[1].holder, true);
	comes(NAMES + 1, true, false);
	comes(1, false, true);
	leave(readers[0].holder, false);
	hubs_time(&h, TTL_MS + 100);
	settle();
	comes(1, true, false);
	assert_int_equal(rc_counter_get(counters, RC_C_consumers_expired), 1);
	close_all();
}

static void random_orders_keep_to_the_bound(void **state)
{
	(void)state;
	for (uint64_t seed = 200; seed < 206; seed++) {
		open_with(1 + (uint32_t)seed % HUBS_MAX, 100000, seed);
		for (uint32_t i = 0; i < h.count; i++)
			h.shard[i].hub.limits.consumers_per_user = 2;
		h.refuse_percent = 20;
		for (uint32_t i = 0; i < 2500; i++) {
			random_step();
			for (uint32_t k = 0; k < RC_ARRAY_LEN(readers); k++) {
				const struct holder *a = readers[k].holder == RC_NONE
								 ? NULL
								 : &holders[readers[k].holder];
				if (a && a->answered && !a->taken)
					readers[k].holder = RC_NONE;
			}
			if (i % 16 == 0)
				hubs_check(&h);
		}
		h.refuse_percent = 0;
		close_all();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_ends_as_acknowledged_dead_or_missed),
		cmocka_unit_test(what_history_lets_go_is_told),
		cmocka_unit_test(one_user_has_the_room_of_one_user),
		cmocka_unit_test(random_orders_keep_to_the_bound),
	};

	return cmocka_run_group_tests_name("hub/consumer", tests, NULL, NULL);
}
