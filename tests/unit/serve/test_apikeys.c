/* SPDX-License-Identifier: Apache-2.0
 *
 * The home of idempotency keys: who may go, who is told to wait, what is told again, what makes room for what; and after random
 * orders, nothing is held that is not needed.
 */
#include "../unit.h"

#include "serve/api.h"

#define KEYS  8u
#define ARENA ((size_t)1 << 20)

static struct rc_config config;
static struct rc_hub hub;
static struct rc_buddy arena;
static struct rc_pool pool;
static struct rc_counters_shard counters;
static struct rc_serve sv;
static struct rc_api api;
static void *memory, *state, *table;
static bool room;
static uint32_t told;
static struct {
	struct rc_api_key_answer head;
	struct rc_api_result results[64];
} last;

static bool tell(void *ctx, uint32_t shard, const void *bytes, size_t len)
{
	(void)ctx;
	if (!room)
		return false;
	assert_true(len <= sizeof(last));
	memcpy(&last, bytes, len);
	assert_int_equal(last.head.to.shard, shard);
	assert_int_equal(last.head.kind, RC_API_KEY_ANSWER);
	told++;
	return true;
}

static int begin(void **unused)
{
	(void)unused;
	rc_config_init(&config);
	memory = aligned_alloc(4096, ARENA);
	state = calloc(1, rc_buddy_state_bytes(ARENA));
	table = calloc(1, rc_api_keys_bytes(KEYS));
	assert_true(memory && state && table);
	memset(memory, 0, ARENA);
	memset(&counters, 0, sizeof(counters));
	memset(&hub, 0, sizeof(hub));
	memset(&sv, 0, sizeof(sv));
	memset(&api, 0, sizeof(api));
	rc_buddy_init(&arena, memory, ARENA, state);
	rc_pool_init(&pool, &arena);
	hub.limits.shards = 1;
	hub.key = (struct rc_hash_key){1, 2};
	sv.config = &config;
	sv.hub = &hub;
	sv.pool = &pool;
	sv.counters = &counters;
	sv.port.api_tell = tell;
	sv.api = &api;
	sv.now_ns = 1;
	rc_api_keys_init(&sv, table, KEYS);
	room = true;
	told = 0;
	return 0;
}

static int over(void **unused)
{
	(void)unused;
	/* All time is over: nothing is left. */
	sv.now_ns = UINT64_MAX;
	while (api.keys.first != RC_NONE)
		rc_api_keys_sweep(&sv);
	assert_int_equal(api.keys.entries.used, 0);
	assert_int_equal(api.keys.result_bytes, 0);
	assert_int_equal(pool.used_bytes, 0);
	free(memory);
	free(state);
	free(table);
	return 0;
}

static union {
	struct rc_api_key_ask ask;
	char room[sizeof(struct rc_api_key_ask) + 64 * sizeof(struct rc_api_result)];
} made;

static struct rc_api_key_ask *ask(const char *key, uint64_t print, uint32_t count, uint32_t slot)
{
	memset(&made, 0, sizeof(made));
	made.ask.count = count;
	made.ask.who = (struct rc_api_job_ref){0, slot, 7};
	made.ask.key_len = (uint32_t)strlen(key);
	made.ask.print = print;
	memcpy(made.ask.key, key, strlen(key));
	return &made.ask;
}

static enum rc_api_verdict claim(const char *key, uint64_t print, uint32_t count, uint32_t slot)
{
	uint32_t before = told;

	assert_true(rc_api_keys_claim(&sv, ask(key, print, count, slot)));
	assert_int_equal(told, before + 1);
	assert_int_equal(last.head.to.slot, slot);
	return (enum rc_api_verdict)last.head.verdict;
}

/* The results are made of the number. */
static void settle(const char *key, uint32_t count, uint32_t slot, uint64_t number)
{
	struct rc_api_key_ask *a = ask(key, 0, count, slot);

	for (uint32_t i = 0; i < count; i++)
		a->results[i] = (struct rc_api_result){number, i + 1};
	rc_api_keys_settle(&sv, a);
}

static void expect_results(uint32_t count, uint64_t number)
{
	assert_int_equal(last.head.count, count);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(last.results[i].epoch, number);
		assert_int_equal(last.results[i].offset, i + 1);
	}
}

static void the_first_goes_the_others_wait_for_it(void **unused)
{
	(void)unused;
	for (uint32_t count = 1; count <= 64; count += 21) {
		assert_int_equal(claim("key", 5, count, 1), RC_API_GO);
		assert_int_equal(claim("key", 5, count, 2), RC_API_BUSY);
		settle("key", count, 1, 99);
		for (uint32_t slot = 3; slot < 6; slot++) {
			assert_int_equal(claim("key", 5, count, slot), RC_API_REPLAYED);
			expect_results(count, 99);
		}
		sv.now_ns += (uint64_t)config.http_idempotency_ttl_ms * 1000000u;
	}
}

static void another_request_is_told_so(void **unused)
{
	(void)unused;
	assert_int_equal(claim("key", 5, 1, 1), RC_API_GO);
	assert_int_equal(claim("key", 6, 1, 2), RC_API_DIFFERS);
	assert_int_equal(claim("key", 5, 2, 2), RC_API_DIFFERS);
	assert_int_equal(claim("ke", 6, 1, 2), RC_API_GO);
	settle("key", 1, 1, 1);
	settle("ke", 1, 2, 1);
	assert_int_equal(claim("key", 6, 1, 2), RC_API_DIFFERS);
}

static void what_came_to_nothing_may_be_tried_again(void **unused)
{
	(void)unused;
	assert_int_equal(claim("key", 5, 1, 1), RC_API_GO);
	settle("key", 0, 1, 0);
	assert_int_equal(claim("key", 6, 3, 2), RC_API_GO);
	settle("key", 0, 2, 0);
}

static void an_outcome_has_its_time(void **unused)
{
	uint64_t ttl = (uint64_t)config.http_idempotency_ttl_ms * 1000000u;

	(void)unused;
	assert_int_equal(claim("key", 5, 2, 1), RC_API_GO);
	/* The time of the work itself does not count. */
	sv.now_ns += 2 * ttl;
	assert_int_equal(claim("key", 5, 2, 2), RC_API_BUSY);
	settle("key", 2, 1, 1);
	sv.now_ns += ttl - 1;
	rc_api_keys_sweep(&sv);
	assert_int_equal(claim("key", 5, 2, 2), RC_API_REPLAYED);
	sv.now_ns += 1;
	assert_int_equal(claim("key", 9, 1, 3), RC_API_GO);
	settle("key", 1, 3, 1);
}

static void without_room_for_the_answer_nothing_is_done(void **unused)
{
	(void)unused;
	room = false;
	assert_false(rc_api_keys_claim(&sv, ask("key", 5, 2, 1)));
	assert_int_equal(api.keys.entries.used, 0);
	assert_int_equal(pool.used_bytes, 0);
	room = true;
	assert_int_equal(claim("key", 5, 2, 1), RC_API_GO);
	settle("key", 2, 1, 1);
	room = false;
	assert_false(rc_api_keys_claim(&sv, ask("key", 5, 2, 2)));
	room = true;
	assert_int_equal(claim("key", 5, 2, 2), RC_API_REPLAYED);
}

static void the_oldest_outcome_makes_room_and_who_is_under_way_never_does(void **unused)
{
	char name[8];

	(void)unused;
	for (uint32_t i = 0; i < KEYS; i++) {
		snprintf(name, sizeof(name), "k%u", i);
		assert_int_equal(claim(name, i, 1, i), RC_API_GO);
	}
	assert_int_equal(claim("more", 1, 1, 99), RC_API_NO_ROOM);
	settle("k3", 1, 3, 3);
	settle("k1", 1, 1, 1);
	assert_int_equal(claim("more", 1, 1, 99), RC_API_GO);
	assert_int_equal(rc_counter_get(&counters, RC_C_http_keys_evicted), 1);
	assert_int_equal(claim("k1", 1, 1, 50), RC_API_REPLAYED);
	assert_int_equal(claim("k0", 0, 1, 50), RC_API_BUSY);
	settle("more", 0, 99, 0);
	for (uint32_t i = 0; i < KEYS; i++) {
		snprintf(name, sizeof(name), "k%u", i);
		if (i != 1 && i != 3)
			settle(name, 0, i, 0);
	}
}

static void outcomes_of_many_are_bounded_together(void **unused)
{
	uint32_t fit;
	char name[8];

	(void)unused;
	api.keys.result_bytes_max = 3 * rc_pool_size(64 * sizeof(struct rc_api_result));
	for (fit = 0; fit < 3; fit++) {
		snprintf(name, sizeof(name), "k%u", fit);
		assert_int_equal(claim(name, 1, 64, fit), RC_API_GO);
	}
	assert_int_equal(claim("one more", 1, 64, 9), RC_API_NO_ROOM);
	assert_int_equal(claim("small", 1, 1, 9), RC_API_GO);
	settle("k0", 64, 0, 1);
	assert_int_equal(claim("one more", 1, 64, 8), RC_API_GO);
	assert_int_equal(claim("k0", 1, 64, 7), RC_API_NO_ROOM);
	settle("one more", 0, 8, 0);
	settle("small", 0, 9, 0);
	settle("k1", 0, 1, 0);
	settle("k2", 0, 2, 0);
}

static void random_orders_keep_every_promise(void **unused)
{
	enum { NAMES = 12 };
	struct {
		bool held, known;
		uint32_t count, slot;
		uint64_t number, until_ns;
	} model[NAMES] = {0};
	struct rc_prng prng;
	uint64_t ttl = (uint64_t)config.http_idempotency_ttl_ms * 1000000u;

	(void)unused;
	rc_prng_seed(&prng, 42);
	for (uint32_t n = 1; n < 20000; n++) {
		uint32_t i = rc_prng_below(&prng, NAMES);
		char name[16];

		snprintf(name, sizeof(name), "name %u", i);
		sv.now_ns += rc_prng_below(&prng, 3) * (ttl / 8);
		if (rc_prng_below(&prng, 4) == 0)
			rc_api_keys_sweep(&sv);
		if (model[i].held && rc_prng_below(&prng, 2)) {
			bool keep = rc_prng_below(&prng, 3) != 0;

			settle(name, keep ? model[i].count : 0, model[i].slot, n);
			model[i].held = false;
			model[i].known = keep;
			model[i].number = n;
			model[i].until_ns = sv.now_ns + ttl;
			continue;
		}
		uint32_t count = model[i].held || model[i].known ? model[i].count
								 : rc_prng_below(&prng, 5) + 1;
		switch (claim(name, i, count, n)) {
		case RC_API_GO:
			/* New, or forgotten by time or by want of room. */
			assert_false(model[i].held);
			model[i].held = true;
			model[i].count = count;
			model[i].slot = n;
			break;
		case RC_API_BUSY:
			assert_true(model[i].held);
			break;
		case RC_API_REPLAYED:
			assert_true(model[i].known && !model[i].held);
			assert_true(sv.now_ns < model[i].until_ns);
			expect_results(model[i].count, model[i].number);
			break;
		default:
			assert_int_equal(last.head.verdict, RC_API_NO_ROOM);
			assert_int_equal(api.keys.entries.used, KEYS);
		}
	}
	for (uint32_t i = 0; i < NAMES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "name %u", i);
		if (model[i].held)
			settle(name, 0, model[i].slot, 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, over)
	const struct CMUnitTest tests[] = {
		TEST(the_first_goes_the_others_wait_for_it),
		TEST(another_request_is_told_so),
		TEST(what_came_to_nothing_may_be_tried_again),
		TEST(an_outcome_has_its_time),
		TEST(without_room_for_the_answer_nothing_is_done),
		TEST(the_oldest_outcome_makes_room_and_who_is_under_way_never_does),
		TEST(outcomes_of_many_are_bounded_together),
		TEST(random_orders_keep_every_promise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
