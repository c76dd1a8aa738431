/* SPDX-License-Identifier: Apache-2.0
 *
 * Views in random orders, seeded: readers that join and leave at any moment, in every form, while events come and time goes by. Each has
 * to read all that its filter lets through from the moment at which it joined, once and in order; of a rate the newest in the end, and not
 * more than it allows; of a summary the right counts. And with too little memory all of it is given back all the same.
 */
#include "hubs.h"

#include "hub/view.h"

enum { READERS = 40, FORMS = 10, EVENTS = 4096 };

static struct hubs h;
static struct rc_hub *hub;
static uint64_t published; /* events 1 to this one */
static bool losing;        /* for want of memory readers are sent away */
static uint32_t sent_away;

#define FILTER "data.odd = true"
static const struct rc_view_spec forms[FORMS] = {
	{.filter = RC_STR(FILTER)},
	{.window_ms = 50},
	{.window_ms = 3600000},
	{.window_ms = 70, .filter = RC_STR(FILTER)},
	{.batch = true},
	{.window_ms = 90, .summary = true},
	{.rate = 20000},
	{.rate = 10000, .key = RC_STR("key")},
	{.rate = 30000, .batch = true, .filter = RC_STR(FILTER)},
	{.rate = 1, .key = RC_STR("n")},
};

struct reader {
	bool used;
	uint32_t form, sub, first_sub;
	uint64_t from;     /* the first event that is for it */
	uint64_t last[3];  /* read; of each key */
	uint64_t count;    /* read, or counted */
	uint64_t since_ms; /* when it joined */
};
static struct reader readers[READERS];

static bool odd(uint64_t n)
{
	return n % 2 == 1;
}

static bool wants(const struct reader *r, uint64_t n)
{
	return n >= r->from && (forms[r->form].filter.len == 0 || odd(n));
}

/* The next one behind `last` that it wants. */
static uint64_t next_wanted(const struct reader *r, uint64_t last)
{
	uint64_t n = RC_MAX(last + 1, r->from);

	while (!wants(r, n))
		n++;
	return n;
}

static void took(struct reader *r, uint64_t n)
{
	const struct rc_view_spec *form = &forms[r->form];
	uint64_t *last = &r->last[form->key.len && form->key.ptr[0] == 'k' ? n % 3 : 0];

	assert_true(wants(r, n) && n <= published);
	if (form->rate == 0)
		assert_int_equal(n, next_wanted(r, *last));
	else if (form->key.ptr == NULL || form->key.ptr[0] == 'k')
		assert_true(n > *last);
	*last = RC_MAX(*last, n);
	r->count++;
}

static void take_message(struct reader *r, const char *text, size_t len)
{
	static char copy[1 << 17];
	const char *at = copy;

	assert_true(len < sizeof(copy));
	memcpy(copy, text, len);
	copy[len] = 0;
	if (forms[r->form].summary) {
		assert_true(strncmp(copy, "{\"type\":\"summary\",\"channel\":\"a\",\"counts\":{",
				    42) == 0);
		/* "e":3,"xe":1 */
		for (at += 42;;) {
			while (*at != ':')
				at++;
			r->count += strtoull(at + 1, NULL, 10);
			while (*at != ',' && *at != '}')
				at++;
			if (*at == '}')
				break;
		}
		return;
	}
	if (forms[r->form].window_ms && strncmp(copy, "{\"type\":\"event\"", 15) != 0)
		assert_true(strncmp(copy, "{\"type\":\"events\",\"channel\":\"a\",\"events\":[",
				    41) == 0);
	while ((at = strstr(at, "\"data\":{\"n\":")) != NULL) {
		at += 12;
		took(r, strtoull(at, NULL, 10));
	}
}

static void read_all(struct reader *r)
{
	struct rc_sub *s = rc_hub_sub(hub, r->sub);
	const struct rc_replica *rep = rc_hub_replica(hub, s->replica);

	while (s->cursor < rep->log.tail) {
		struct rc_log_frame f;
		rc_log_frame_at(&rep->log, s->cursor, &f);
		uint32_t head = f.bytes[1] < 126 ? 2 : f.bytes[1] == 126 ? 4 : 10;
		take_message(r, (const char *)f.bytes + head, f.len - head);
		rc_replica_advance(hub, s, f.pos + f.len);
	}
}

static void leave(struct reader *r)
{
	rc_replica_unsubscribe(hub, r->sub, &r->first_sub);
	assert_int_equal(r->first_sub, RC_NONE);
	r->used = false;
}

static void send_away(uint32_t replica, bool all)
{
	assert_true(losing);
	for (uint32_t i = 0; i < READERS; i++) {
		if (!readers[i].used || rc_hub_sub(hub, readers[i].sub)->replica != replica)
			continue;
		if (!all && rc_hub_sub(hub, readers[i].sub)->cursor ==
				    rc_hub_replica(hub, replica)->log.tail)
			continue;
		leave(&readers[i]);
		sent_away++;
		/* A connection may have had the channel in another form as well, while one followed the other. */
		struct reader *other = &readers[rc_prng_below(&h.prng, READERS)];
		if (other->used)
			leave(other);
	}
}

static void overrun(struct hubs_shard *s, uint32_t replica)
{
	(void)s;
	send_away(replica, false);
}

static void lost(struct hubs_shard *s, uint32_t replica)
{
	(void)s;
	send_away(replica, true);
}

static void join(uint32_t form)
{
	for (uint32_t i = 0; i < READERS; i++) {
		struct reader *r = &readers[i];
		if (r->used)
			continue;
		*r = (struct reader){.form = form, .first_sub = RC_NONE};
		enum rc_subscribe_result result = rc_view_subscribe(hub, i, &r->first_sub,
			RC_STR("a"), false, &forms[form], RC_SUB_PAUSED, &r->sub);
		assert_true(result == RC_SUBSCRIBED || losing);
		if (result != RC_SUBSCRIBED)
			return;
		r->used = true;
		/* As a replay does it, or the acknowledgement. */
		if (rc_prng_below(&h.prng, 2)) {
			rc_replica_hold(hub, r->sub);
			rc_hub_sub(hub, r->sub)->flags &= ~(uint32_t)RC_SUB_HELD;
		} else {
			rc_replica_resume(hub, r->sub);
		}
		r->from = published + 1;
		r->since_ms = h.now_ns / 1000000;
		return;
	}
}

static void publish(uint32_t pad)
{
	char data[5000], name[8] = "e";
	struct rc_outcome out;
	uint64_t n = published + 1;
	int len = snprintf(data, sizeof(data),
		"{\"n\":%lu,\"odd\":%s,\"key\":%lu,\"pad\":\"%0*d\"}", (unsigned long)n,
		odd(n) ? "true" : "false", (unsigned long)(n % 3), (int)pad, 0);
	const struct rc_publish p = {.channel = RC_STR("a"),
		.event = rc_str_of(n % 5 ? name : "xe"),
		.data = {data, (size_t)len},
		.timestamp_ms = 1,
		.time_ms = 1000 + n,
		.taken_ns = 1,
		.json = true};

	published++; /* whoever reads it meanwhile */
	assert_true(rc_owner_publish(hub, &p, &out));
	if (out.nack)
		published--;
}

static void open_hub(size_t arena, uint32_t view_bytes, uint64_t seed)
{
	const struct rc_hub_limits limits = {.owned_max = 16,
		.replicas_max = 64,
		.subs_max = 256,
		.patterns_max = 16,
		.frame_max = 8192,
		.fetch_bytes = RC_FETCH_BYTES,
		.views_max = 32,
		.view_bytes = view_bytes};

	hubs_open(&h, 1, &limits, arena, seed);
	h.namespaces[0].raw = false;
	h.overrun = overrun;
	h.lost = lost;
	hub = &h.shard[0].hub;
	memset(readers, 0, sizeof(readers));
	published = 0;
	sent_away = 0;
}

static void close_hub(void)
{
	for (uint32_t i = 0; i < READERS; i++) {
		if (readers[i].used)
			leave(&readers[i]);
	}
	assert_int_equal(rc_view_next(hub), UINT64_MAX);
	assert_int_equal(hub->views_kept, 0);
	assert_int_equal(rc_counter_get(hub->counters, RC_C_views), 0);
	hubs_time(&h, 60000);
	for (int i = 0; i < 3; i++)
		rc_owner_sweep(hub, 100);
	hubs_assert_empty(&h);
	hubs_close(&h);
}

/* Everything that is kept back is out, and so each has what it is to have. */
static void check_end(const struct reader *r)
{
	const struct rc_view_spec *form = &forms[r->form];
	uint64_t wanted = 0, ms = h.now_ns / 1000000 - r->since_ms;

	for (uint64_t n = r->from; n <= published; n++)
		wanted += wants(r, n);
	if (form->rate == 0) {
		assert_int_equal(r->count, wanted);
		return;
	}
	assert_true(r->count <= wanted && (r->count || !wanted));
	if (form->key.len == 0 && wanted)
		assert_int_equal(next_wanted(r, r->last[0]), next_wanted(r, published));
	/* One for each interval, and one for each time that somebody joined; there are fewer joins than that. */
	if (form->key.len == 0)
		assert_true(r->count <= ms * form->rate / 1000000 + 2 + wanted / 2);
}

static void walk(uint32_t steps)
{
	for (uint32_t i = 0; i < steps; i++) {
		uint32_t what = rc_prng_below(&h.prng, 100);
		struct reader *r = &readers[rc_prng_below(&h.prng, READERS)];
		if (what < 40 && published < EVENTS)
			publish(1 + rc_prng_below(&h.prng, what < 3 ? 4000 : 60));
		else if (what < 60)
			hubs_time(&h, rc_prng_below(&h.prng, 30));
		else if (what < 75)
			rc_view_turn(hub, false);
		else if (what < 90 && r->used)
			read_all(r);
		else if (what < 97)
			join(rc_prng_below(&h.prng, FORMS));
		else if (r->used)
			leave(r);
		if (i % 16 == 0)
			hubs_check(&h);
	}
	hubs_time(&h, 1);
	rc_view_turn(hub, true);
}

static void each_reads_what_its_form_lets_through(void **state)
{
	(void)state;
	losing = false;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		open_hub((size_t)8 << 20, 16384, seed);
		walk(3000);
		for (uint32_t i = 0; i < READERS; i++) {
			if (!readers[i].used)
				continue;
			read_all(&readers[i]);
			check_end(&readers[i]);
		}
		close_hub();
	}
}

static void with_too_little_memory_all_is_given_back(void **state)
{
	uint32_t away = 0;

	(void)state;
	losing = true;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		open_hub((size_t)320 << 10, 65536, seed);
		walk(3000);
		away += sent_away;
		close_hub();
	}
	assert_true(away > 0);
}

static void the_loop_is_told_when_something_is_due(void **state)
{
	(void)state;
	losing = false;
	open_hub((size_t)8 << 20, 16384, 1);
	assert_int_equal(rc_view_next(hub), UINT64_MAX);
	join(2);
	assert_int_equal(rc_view_next(hub), UINT64_MAX);
	publish(1);
	assert_int_equal(rc_view_next(hub), h.now_ns + 3600000ull * 1000000);
	join(1);
	publish(1);
	assert_int_equal(rc_view_next(hub), h.now_ns + 50000000);
	hubs_time(&h, 49);
	rc_view_turn(hub, false);
	assert_int_equal(readers[1].count, 0);
	hubs_time(&h, 1);
	rc_view_turn(hub, false);
	read_all(&readers[1]);
	assert_int_equal(readers[1].count, 1);
	/* 20 a second: at once, then after 50 ms. */
	join(6);
	publish(1);
	publish(1);
	read_all(&readers[2]);
	assert_int_equal(readers[2].count, 1);
	assert_int_equal(rc_view_next(hub), h.now_ns + 50000000);
	join(4);
	publish(1);
	assert_int_equal(rc_view_next(hub), 0);
	rc_view_turn(hub, false);
	leave(&readers[0]);
	leave(&readers[1]);
	leave(&readers[2]);
	assert_int_equal(rc_view_next(hub), UINT64_MAX);
	close_hub();
}

static void views_are_bounded(void **state)
{
	uint32_t sub, firsts[40];

	(void)state;
	losing = false;
	open_hub((size_t)8 << 20, 16384, 1);
	for (uint32_t i = 0; i < 40; i++) {
		const struct rc_view_spec spec = {.window_ms = i + 1};
		firsts[i] = RC_NONE;
		enum rc_subscribe_result result = rc_view_subscribe(
			hub, i, &firsts[i], RC_STR("a"), false, &spec, RC_SUB_PAUSED, &sub);
		assert_int_equal(result, i < 32 ? RC_SUBSCRIBED : RC_SUBSCRIBE_FULL);
	}
	for (uint32_t i = 0; i < 32; i++) {
		sub = firsts[i];
		rc_replica_unsubscribe(hub, sub, &firsts[i]);
	}
	close_hub();
}

/* Who reads many channels in another form, one and the same or several, leaves room for the channels themselves. */
static void other_forms_leave_room_for_channels(void **state)
{
	static const struct rc_view_spec binary[] = {
		{.format = RC_VIEW_BIN_WS}, {.format = RC_VIEW_BIN_TCP}};
	uint32_t sub, first = RC_NONE, other = RC_NONE, plain = RC_NONE;
	char name[8];

	(void)state;
	losing = false;
	open_hub((size_t)8 << 20, 16384, 1);
	hub->limits.renditions_max = 6;
	for (uint32_t i = 0; i < 6; i++) {
		(void)snprintf(name, sizeof(name), "c%u", i / 2);
		assert_int_equal(rc_view_subscribe(hub, i % 2, i % 2 ? &other : &first,
					 rc_str_of(name), false, &binary[i % 2], 0, &sub),
			RC_SUBSCRIBED);
	}
	uint32_t used = hub->replicas.used;
	assert_int_equal(rc_view_subscribe(hub, 0, &first, RC_STR("d"), false, &binary[0], 0, &sub),
		RC_SUBSCRIBE_FULL);
	/* Nor is its channel there for nothing. */
	assert_int_equal(hub->replicas.used, used);
	hubs_check(&h);
	/* A form that there is takes no more room, and plain ones are not concerned. */
	assert_int_equal(
		rc_view_subscribe(hub, 2, &plain, RC_STR("c0"), false, &binary[0], 0, &sub),
		RC_SUBSCRIBED);
	assert_int_equal(rc_view_subscribe(hub, 2, &plain, RC_STR("d"), false,
				 &(struct rc_view_spec){0}, 0, &sub),
		RC_SUBSCRIBED);
	rc_replica_unsubscribe(hub, rc_replica_find_sub(hub, 1, other, RC_STR("c2")), &other);
	assert_int_equal(rc_view_subscribe(hub, 0, &first, RC_STR("d"), false, &binary[0], 0, &sub),
		RC_SUBSCRIBED);
	while (first != RC_NONE)
		rc_replica_unsubscribe(hub, first, &first);
	while (other != RC_NONE)
		rc_replica_unsubscribe(hub, other, &other);
	while (plain != RC_NONE)
		rc_replica_unsubscribe(hub, plain, &plain);
	assert_int_equal(hub->renditions, 0);
	close_hub();
}

static void one_view_takes_the_place_of_another(void **state)
{
	uint32_t first = RC_NONE, old, fresh;
	const struct rc_view_spec plain = {0};

	(void)state;
	losing = false;
	open_hub((size_t)8 << 20, 16384, 1);
	assert_int_equal(rc_view_subscribe(hub, 1, &first, RC_STR("a"), false, &forms[0],
				 RC_SUB_PAUSED, &old),
		RC_SUBSCRIBED);
	assert_true(
		rc_view_same(hub, rc_hub_replica(hub, rc_hub_sub(hub, old)->replica), &forms[0]));
	assert_false(rc_view_same(hub, rc_hub_replica(hub, rc_hub_sub(hub, old)->replica), &plain));
	rc_replica_resume(hub, old);
	assert_int_equal(
		rc_view_replace(hub, 1, &first, RC_STR("a"), false, &plain, RC_SUB_PAUSED, &fresh),
		RC_SUBSCRIBED);
	assert_int_equal(rc_replica_find_sub(hub, 1, first, RC_STR("a")), fresh);
	rc_replica_unsubscribe(hub, old, &first);
	assert_int_equal(rc_counter_get(hub->counters, RC_C_views), 0);
	rc_replica_resume(hub, fresh);
	rc_replica_unsubscribe(hub, fresh, &first);
	close_hub();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reads_what_its_form_lets_through),
		cmocka_unit_test(with_too_little_memory_all_is_given_back),
		cmocka_unit_test(the_loop_is_told_when_something_is_due),
		cmocka_unit_test(views_are_bounded),
		cmocka_unit_test(other_forms_leave_room_for_channels),
		cmocka_unit_test(one_view_takes_the_place_of_another),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
