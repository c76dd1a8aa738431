/* SPDX-License-Identifier: Apache-2.0
 *
 * What a survey makes of the pieces of several shards: the smallest keys, each with the sum of all shards, whatever the order
 * of the pieces and however little there is room for.
 */
#include "crowd.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "serve/survey.h"

#define ARENA  (4u << 20)
#define SHARDS 3u
#define NAMES  400u

struct bench {
	struct rc_buddy arena;
	struct rc_pool pool;
	struct rc_serve *sv;
	struct rc_survey *survey;
	void *memory, *state;
};

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	assert_int_equal(posix_memalign(&b->memory, 2u << 20, ARENA), 0);
	b->state = calloc(1, rc_buddy_state_bytes(ARENA));
	b->sv = calloc(1, sizeof(*b->sv));
	b->survey = calloc(1, sizeof(*b->survey));
	assert_true(b->state && b->sv && b->survey);
	rc_buddy_init(&b->arena, b->memory, ARENA, b->state);
	rc_pool_init(&b->pool, &b->arena);
	b->sv->pool = &b->pool;
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	free(b->memory);
	free(b->state);
	free(b->sv);
	free(b->survey);
	free(b);
	return 0;
}

static struct rc_survey_set *begin(struct bench *b, enum rc_survey_kind kind, uint32_t limit)
{
	struct rc_str none = {NULL, 0};

	rc_survey_add(b->survey, kind, limit, none, none);
	struct rc_survey_set *set = &b->survey->set[b->survey->sets - 1];
	set->at = rc_pool_get(&b->pool, set->size * sizeof(void *));
	assert_non_null(set->at);
	return set;
}

/* The set's memory and that of its entries, as the survey's end gives them back. */
static void forget(struct bench *b, struct rc_survey_set *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		rc_pool_put(&b->pool, set->at[i],
			sizeof(struct rc_survey_entry) + set->at[i]->key_len + set->at[i]->len);
	rc_pool_put(&b->pool, set->at, set->size * sizeof(void *));
}

static bool put(struct rc_survey_piece *p, const char *key, const void *contents, size_t len)
{
	struct rc_survey_item item = {(uint16_t)strlen(key), (uint16_t)len};

	if (p->len + sizeof(item) + item.key_len + len > RC_SURVEY_PIECE)
		return false;
	memcpy(p->bytes + p->len, &item, sizeof(item));
	memcpy(p->bytes + p->len + sizeof(item), key, item.key_len);
	memcpy(p->bytes + p->len + sizeof(item) + item.key_len, contents, len);
	p->len += (uint32_t)(sizeof(item) + item.key_len + len);
	return true;
}

/* ---- channels of several shards ----------------------------------------------------------------- */

struct model {
	char name[24];
	uint32_t subscribers[SHARDS];
	uint32_t owner;
	uint64_t offset;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct model *)a)->name, ((const struct model *)b)->name);
}

/* One piece of a shard that walks its two tables: channels it owns, then those it has subscribers of. */
static bool walk(struct rc_survey_piece *p, const struct model *m, const uint32_t *order,
	uint32_t shard, uint32_t *cursor, const struct rc_survey_set *set, uint32_t steps)
{
	static const struct rc_survey_channel none;

	*p = (struct rc_survey_piece){.shard = shard};
	for (; *cursor < 2 * NAMES && steps > 0; (*cursor)++, steps--) {
		const struct model *c = &m[order[*cursor % NAMES]];
		struct rc_survey_channel told = none;
		bool owned = *cursor < NAMES;
		if (owned ? c->owner != shard : c->subscribers[shard] == 0)
			continue;
		if (set->count == set->limit &&
			rc_survey_compare(
				rc_str_of(c->name), rc_survey_key(set->at[set->count - 1])) > 0) {
			p->more = true;
			continue;
		}
		told.owned = owned;
		if (owned) {
			told.offset = c->offset;
			told.owner = shard;
		} else {
			told.subscribers = c->subscribers[shard];
		}
		assert_true(put(p, c->name, &told, sizeof(told)));
	}
	return *cursor < 2 * NAMES;
}

static void the_smallest_names_come_out_with_the_sums_of_all_shards(void **state)
{
	static const uint32_t limits[] = {1, 2, 7, 100, NAMES, NAMES + 5};
	static struct model m[NAMES];
	static uint32_t order[NAMES];
	struct bench *b = *state;
	struct rc_prng prng;

	for (uint32_t round = 0; round < 30; round++) {
		rc_prng_seed(&prng, round + 1);
		uint32_t there = 0;
		for (uint32_t i = 0; i < NAMES; i++) {
			memset(&m[i], 0, sizeof(m[i]));
			(void)snprintf(m[i].name, sizeof(m[i].name), "n%u:%u",
				(unsigned)rc_prng_below(&prng, 30), i);
			m[i].owner = (uint32_t)rc_prng_below(&prng, SHARDS);
			m[i].offset = rc_prng_below(&prng, 1000);
			for (uint32_t s = 0; s < SHARDS; s++)
				m[i].subscribers[s] = (uint32_t)rc_prng_below(&prng, 3);
			order[i] = i;
			there++;
		}
		for (uint32_t i = NAMES - 1; i > 0; i--) {
			uint32_t k = (uint32_t)rc_prng_below(&prng, i + 1), swap = order[i];
			order[i] = order[k];
			order[k] = swap;
		}
		qsort(m, NAMES, sizeof(m[0]), by_name);
		uint32_t limit = limits[round % RC_ARRAY_LEN(limits)];
		uint32_t cursor[SHARDS] = {0};
		b->survey->sets = 0;
		memset(b->survey, 0, sizeof(*b->survey));
		struct rc_survey_set *set = begin(b, RC_SURVEY_CHANNELS, limit);
		static struct rc_survey_piece piece;
		for (bool going = true; going;) {
			going = false;
			uint32_t s = (uint32_t)rc_prng_below(&prng, SHARDS);
			for (uint32_t k = 0; k < SHARDS; k++, s = (s + 1) % SHARDS) {
				uint32_t steps = 1 + (uint32_t)rc_prng_below(&prng, 60);
				going |= walk(&piece, m, order, s, &cursor[s], set, steps);
				rc_survey_merge(b->sv, b->survey, set, &piece);
			}
		}
		assert_int_equal(set->count, RC_MIN(limit, there));
		assert_int_equal(set->more, there > limit);
		for (uint32_t i = 0; i < set->count; i++) {
			struct rc_survey_channel c;
			struct rc_str key = rc_survey_key(set->at[i]);
			assert_true(rc_str_eq(key, rc_str_of(m[i].name)));
			memcpy(&c, rc_survey_contents(set->at[i]).ptr, sizeof(c));
			assert_true(c.owned && c.owner == m[i].owner && c.offset == m[i].offset);
			assert_int_equal(c.subscribers,
				m[i].subscribers[0] + m[i].subscribers[1] + m[i].subscribers[2]);
		}
		forget(b, set);
		assert_false(b->survey->failed);
	}
	assert_int_equal(b->pool.used_bytes, 0);
}

static void one_that_a_changing_table_shows_twice_is_counted_once(void **state)
{
	struct bench *b = *state;
	struct rc_survey_set *set = begin(b, RC_SURVEY_SUBSCRIPTIONS, 10);
	static struct rc_survey_piece piece;
	struct rc_survey_channel c = {.subscribers = 5};

	for (int twice = 0; twice < 2; twice++) {
		for (uint32_t shard = 0; shard < 2; shard++) {
			piece = (struct rc_survey_piece){.shard = shard};
			assert_true(put(&piece, "news", &c, sizeof(c)));
			rc_survey_merge(b->sv, b->survey, set, &piece);
		}
	}
	memcpy(&c, rc_survey_contents(set->at[0]).ptr, sizeof(c));
	assert_int_equal(set->count, 1);
	assert_int_equal(c.subscribers, 10);
	forget(b, set);
}

/* ---- bounds ------------------------------------------------------------------------------------- */

static void what_is_held_stays_below_its_bound_and_the_rest_is_for_the_next_page(void **state)
{
	struct bench *b = *state;
	struct rc_survey_set *set = begin(b, RC_SURVEY_CLIENTS, 1000);
	static struct rc_survey_piece piece;
	static char contents[6000];

	memset(contents, 'x', sizeof(contents));
	for (uint32_t i = 0; i < 300; i++) {
		char key[16];
		/* From the largest to the smallest: each pushes another one out. */
		(void)snprintf(key, sizeof(key), "c%04u", 300 - i);
		piece = (struct rc_survey_piece){.shard = 0};
		assert_true(put(&piece, key, contents, sizeof(contents)));
		rc_survey_merge(b->sv, b->survey, set, &piece);
		assert_true(set->bytes <= RC_SURVEY_BYTES_MAX);
	}
	assert_true(set->more && set->count > 20 && set->count < 300);
	for (uint32_t i = 0; i < set->count; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "c%04u", i + 1);
		assert_true(rc_str_eq(rc_survey_key(set->at[i]), rc_str_of(key)));
	}
	assert_false(b->survey->failed);
	forget(b, set);
	assert_int_equal(b->pool.used_bytes, 0);
}

static void without_memory_the_survey_fails_and_loses_nothing(void **state)
{
	struct bench *b = *state;
	struct rc_survey_set *set = begin(b, RC_SURVEY_CLIENTS, 100);
	static struct rc_survey_piece piece;
	static void *held[8192];
	uint32_t count = 0;

	while (count < RC_ARRAY_LEN(held) && (held[count] = rc_pool_get(&b->pool, 1024)) != NULL)
		count++;
	assert_true(count > 100 && count < RC_ARRAY_LEN(held));
	piece = (struct rc_survey_piece){.shard = 0};
	for (uint32_t i = 0; i < 10; i++) {
		char key[16], contents[1000] = "";
		(void)snprintf(key, sizeof(key), "c%u", i);
		assert_true(put(&piece, key, contents, sizeof(contents)));
	}
	rc_survey_merge(b->sv, b->survey, set, &piece);
	assert_true(b->survey->failed);
	while (count > 0)
		rc_pool_put(&b->pool, held[--count], 1024);
	forget(b, set);
	assert_int_equal(b->pool.used_bytes, 0);
}

static void nothing(struct rc_serve *sv, const struct rc_survey *survey, struct rc_http_call *call)
{
	(void)sv;
	(void)survey;
	(void)call;
}

/* Memory for its sets, but none to note who waits. */
static void who_can_not_wait_is_told_or_ended(void **state)
{
	static struct crowd k;
	static void *held[8192];
	const struct rc_str none = {NULL, 0};
	uint32_t count = 0;

	(void)state;
	crowd_open(&k, 1, 8, 65536, (size_t)2 << 20);
	struct crowd_shard *s = &k.shard[0];
	struct rc_http_call call = {
		.c = rc_conn_open(&s->conns, -1, RC_CONN_HTTP), .reply = {.json = true}};
	void *page = rc_pool_get(&s->pool, sizeof(void *));
	struct rc_survey *survey = rc_survey_new(&s->sv);
	assert_true(call.c && page && survey);
	rc_survey_add(survey, RC_SURVEY_CHANNELS, 1, none, none);
	while (count < RC_ARRAY_LEN(held) && (held[count] = rc_pool_get(&s->pool, 1024)) != NULL)
		count++;
	assert_true(count < RC_ARRAY_LEN(held));
	assert_int_equal(rc_survey_start(&s->sv, survey, &call, nothing), RC_HTTP_DONE);
	assert_true(call.c->out_len > 0 || call.c->state != RC_CONN_OPEN);
	assert_int_equal(s->sv.survey_count, 0);
	crowd_kill(s, call.c);
	rc_pool_put(&s->pool, page, sizeof(void *));
	while (count > 0)
		rc_pool_put(&s->pool, held[--count], 1024);
	assert_int_equal(s->pool.used_bytes, 0);
	crowd_close(&k);
}

static void keys_are_compared_as_bytes_and_shorter_ones_come_first(void **state)
{
	(void)state;
	assert_true(rc_survey_compare(RC_STR("a"), RC_STR("a")) == 0);
	assert_true(rc_survey_compare(RC_STR("a"), RC_STR("aa")) < 0);
	assert_true(rc_survey_compare(RC_STR("b"), RC_STR("aa")) > 0);
	assert_true(rc_survey_compare(RC_STR("\xff"), RC_STR("a")) > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_smallest_names_come_out_with_the_sums_of_all_shards),
		TEST(one_that_a_changing_table_shows_twice_is_counted_once),
		TEST(what_is_held_stays_below_its_bound_and_the_rest_is_for_the_next_page),
		TEST(without_memory_the_survey_fails_and_loses_nothing),
		cmocka_unit_test(who_can_not_wait_is_told_or_ended),
		TEST(keys_are_compared_as_bytes_and_shorter_ones_come_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
