/* SPDX-License-Identifier: Apache-2.0
 *
 * The trie of patterns against the plain matcher of proto/names, over random patterns and channels, and what it does
 * without room.
 */
#include "../unit.h"

#include <stdio.h>

#include "base/random.h"
#include "hub/trie.h"
#include "proto/names.h"

#define ARENA ((size_t)1 << 20)
enum { PATTERNS = 64, SHARDS = 5 };

static struct rc_buddy arena;
static struct rc_pool pool;
static struct rc_trie trie;
static void *arena_memory, *arena_state, *nodes, *cells;
static const struct rc_hash_key key = {1, 2};

static void open_trie(uint32_t nodes_max, size_t arena_bytes)
{
	arena_memory = aligned_alloc(4096, ARENA);
	arena_state = calloc(1, rc_buddy_state_bytes(ARENA));
	nodes = aligned_alloc(64, rc_align_up(nodes_max * sizeof(struct rc_trie_node), 64));
	cells = calloc(rc_table_cells(nodes_max), sizeof(struct rc_table_cell));
	assert_non_null(arena_memory);
	assert_non_null(arena_state);
	assert_non_null(nodes);
	assert_non_null(cells);
	rc_buddy_init(&arena, arena_memory, arena_bytes, arena_state);
	rc_pool_init(&pool, &arena);
	rc_trie_init(&trie, &key, &pool, nodes, cells, nodes_max);
}

static void close_trie(void)
{
	rc_trie_check(&trie);
	/* Poison marks of the pools go with them. */
	rc_slab_init(&trie.nodes, nodes, sizeof(struct rc_trie_node), trie.nodes.count_max);
	rc_buddy_init(&arena, arena_memory, ARENA, arena_state);
	free(arena_memory);
	free(arena_state);
	free(nodes);
	free(cells);
}

static int setup(void **state)
{
	(void)state;
	open_trie(rc_trie_nodes(PATTERNS), ARENA);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_trie();
	return 0;
}

static bool hold(const char *pattern, uint32_t shard, bool on)
{
	bool ok = rc_trie_hold(&trie, rc_str_of(pattern), shard, on);

	rc_trie_check(&trie);
	return ok;
}

static uint64_t shards(const char *channel)
{
	return rc_trie_shards(&trie, rc_str_of(channel));
}

static void assert_empty(void)
{
	assert_int_equal(trie.patterns, 0);
	assert_int_equal(trie.nodes.used, 1);
	assert_int_equal(trie.table.count, 0);
	assert_int_equal(pool.used_bytes, 0);
}

static void the_examples_match(void **state)
{
	(void)state;
	assert_true(hold("analytics:*", 0, true));
	assert_true(hold("agent:**", 1, true));
	assert_true(hold("*:cpu", 2, true));
	assert_true(hold("**", 3, true));
	assert_true(hold("$sys:*", 4, true));
	assert_int_equal(shards("analytics:x"), 1 | 8);
	assert_int_equal(shards("analytics:x:y"), 8);
	assert_int_equal(shards("analytics"), 8);
	assert_int_equal(shards("agent"), 8);
	assert_int_equal(shards("agent:1"), 2 | 8);
	assert_int_equal(shards("agent:1:x"), 2 | 8);
	assert_int_equal(shards("agent:cpu"), 2 | 4 | 8);
	/* A wildcard in the first level never takes one of the gateway's own channels. */
	assert_int_equal(shards("$sys:cpu"), 16);
	assert_int_equal(shards("$sys"), 0);
	/* Patterns know nothing of empty levels. */
	assert_int_equal(shards("agent:"), 0);
	assert_int_equal(shards(":agent"), 0);
	assert_int_equal(shards("agent::x"), 0);
	assert_int_equal(shards(""), 0);
}

static void a_pattern_is_held_per_shard_and_counted_once(void **state)
{
	uint32_t generation = trie.generation;

	(void)state;
	assert_true(hold("a:*", 0, true));
	assert_int_not_equal(trie.generation, generation);
	generation = trie.generation;
	/* Held already: nothing changes, and nobody has to look anew. */
	assert_true(hold("a:*", 0, true));
	assert_int_equal(trie.generation, generation);
	assert_true(hold("a:*", 63, true));
	assert_int_equal(trie.patterns, 1);
	assert_true(shards("a:b") == (1 | (uint64_t)1 << 63));
	assert_true(hold("a:*", 0, false));
	assert_int_equal(trie.patterns, 1);
	assert_true(shards("a:b") == (uint64_t)1 << 63);
	assert_true(hold("a:*", 1, false));
	assert_true(hold("b:*", 1, false));
	assert_true(hold("a:*", 63, false));
	assert_empty();
}

static void a_leaf_with_a_replica_stays_until_both_are_gone(void **state)
{
	(void)state;
	assert_null(rc_trie_leaf(&trie, RC_STR("x:**"), false));
	assert_true(hold("x:**", 2, true));
	struct rc_trie_leaf *leaf = rc_trie_leaf(&trie, RC_STR("x:**"), false);
	assert_non_null(leaf);
	assert_int_equal(leaf->replica, RC_NONE);
	assert_int_equal(leaf->shards, 4);
	leaf->replica = 7;
	assert_int_equal(rc_trie_leaf(&trie, RC_STR("x:**"), false)->replica, 7);
	leaf->replica = RC_NONE;
	assert_true(hold("x:**", 2, false));
	assert_null(rc_trie_leaf(&trie, RC_STR("x:**"), false));
	assert_empty();
}

static void prefixes_and_wildcards_of_one_path_do_not_disturb_each_other(void **state)
{
	static const char *const all[] = {
		"*", "**", "a:*", "a:**", "a:*:c", "a:b:*", "a:b:**", "*:b:c", "*:*:*", "*:**"};

	(void)state;
	for (size_t gone = 0; gone < RC_ARRAY_LEN(all); gone++) {
		for (size_t i = 0; i < RC_ARRAY_LEN(all); i++)
			assert_true(hold(all[i], (uint32_t)i, true));
		assert_true(hold(all[gone], (uint32_t)gone, false));
		static const char *const channels[] = {
			"a", "a:b", "a:b:c", "a:b:c:d", "x", "x:b:c", "a:x:c"};
		for (size_t c = 0; c < RC_ARRAY_LEN(channels); c++) {
			uint64_t want = 0;
			for (size_t i = 0; i < RC_ARRAY_LEN(all); i++) {
				if (i != gone &&
					rc_pattern_match(rc_str_of(all[i]), rc_str_of(channels[c])))
					want |= (uint64_t)1 << i;
			}
			assert_int_equal(shards(channels[c]), want);
		}
		for (size_t i = 0; i < RC_ARRAY_LEN(all); i++)
			assert_true(hold(all[i], (uint32_t)i, false));
		assert_empty();
	}
}

/* ---- without room ------------------------------------------------------------------------------- */

static void without_nodes_a_pattern_is_refused_and_nothing_stays_behind(void **state)
{
	(void)state;
	(void)teardown(NULL);
	open_trie(6, ARENA); /* the root and five */
	assert_true(hold("a:b:*", 0, true));
	assert_int_equal(trie.nodes.used, 4);
	/* Shares one node, needs three more; only two are left. */
	assert_false(hold("a:c:d:*", 0, true));
	assert_int_equal(trie.nodes.used, 4);
	assert_false(hold("x:y:*", 1, true));
	assert_int_equal(trie.nodes.used, 4);
	assert_true(hold("a:c:*", 0, true));
	assert_false(hold("*", 0, true));
	/* The mark of the root needs no node. */
	assert_true(hold("**", 0, true));
	assert_true(hold("a:**", 3, true));
	assert_int_equal(shards("a:c:x"), 1 | 8);
	assert_true(hold("a:b:*", 0, false));
	assert_true(hold("*", 0, true));
	assert_true(hold("*", 0, false));
	assert_true(hold("**", 0, false));
	assert_true(hold("a:**", 3, false));
	assert_true(hold("a:c:*", 0, false));
	assert_empty();
}

static void without_memory_for_names_a_pattern_is_refused(void **state)
{
	char pattern[64];

	(void)state;
	(void)teardown(NULL);
	/* One page of the pool: names of one class. */
	open_trie(4096, RC_POOL_PAGE);
	uint32_t held = 0;
	for (;; held++) {
		(void)snprintf(pattern, sizeof(pattern), "name%u:*", held);
		if (!hold(pattern, 0, true))
			break;
	}
	assert_true(held > 100);
	assert_int_equal(trie.patterns, held);
	uint32_t used = trie.nodes.used;
	/* Another class has no page. */
	assert_false(hold("a-level-that-needs-more-than-sixteen-bytes:*", 0, true));
	assert_false(hold("fresh:*", 0, true));
	assert_int_equal(trie.nodes.used, used);
	for (uint32_t i = 0; i < held; i++) {
		(void)snprintf(pattern, sizeof(pattern), "name%u:*", i);
		assert_true(hold(pattern, 0, false));
	}
	assert_empty();
}

/* ---- against the plain matcher ------------------------------------------------------------------ */

static void random_name(struct rc_prng *prng, char out[64], bool pattern)
{
	static const char *const levels[] = {"a", "b", "c", "ab", "$s", "x"};
	uint32_t count = 1 + rc_prng_below(prng, 4);
	char *at = out;

	for (uint32_t i = 0; i < count; i++) {
		if (i)
			*at++ = ':';
		const char *level = levels[rc_prng_below(prng, RC_ARRAY_LEN(levels))];
		uint32_t dice = rc_prng_below(prng, 10);
		if (pattern && dice < 4)
			level = "*";
		if (pattern && dice < 6 && dice >= 4 && i + 1 == count)
			level = "**";
		if (!pattern && dice == 0)
			level = "";
		at = stpcpy(at, level);
	}
	*at = 0;
}

struct held {
	char text[64];
	uint64_t shards;
	uint32_t replica;
};

struct found {
	uint64_t shards;
	uint64_t replicas;
	uint32_t count;
};

static void add_found(void *ctx, const struct rc_trie_leaf *leaf)
{
	struct found *f = ctx;

	assert_true(leaf->shards != 0);
	f->shards |= leaf->shards;
	f->count++;
	if (leaf->replica != RC_NONE) {
		/* Each of them once. */
		assert_false(f->replicas >> leaf->replica & 1);
		f->replicas |= (uint64_t)1 << leaf->replica;
	}
}

static void random_patterns_match_as_the_plain_matcher_says(void **state)
{
	static struct held model[40];
	struct rc_prng prng;

	(void)state;
	rc_prng_seed(&prng, 5);
	memset(model, 0, sizeof(model));
	for (int step = 0; step < 20000; step++) {
		uint32_t m = rc_prng_below(&prng, RC_ARRAY_LEN(model));
		struct held *h = &model[m];
		if (h->text[0] == 0) {
			random_name(&prng, h->text, true);
			bool twice = rc_name_classify(rc_str_of(h->text)) != RC_NAME_PATTERN;
			for (uint32_t i = 0; i < RC_ARRAY_LEN(model); i++)
				twice |= i != m && strcmp(model[i].text, h->text) == 0;
			if (twice)
				h->text[0] = 0;
		}
		if (h->text[0]) {
			uint32_t shard = rc_prng_below(&prng, SHARDS);
			bool on = rc_prng_below(&prng, 2);
			uint64_t bit = (uint64_t)1 << shard;
			if (!on && h->shards == bit) {
				struct rc_trie_leaf *leaf =
					rc_trie_leaf(&trie, rc_str_of(h->text), false);
				assert_int_equal(leaf->replica, m);
				leaf->replica = RC_NONE;
			}
			assert_true(hold(h->text, shard, on));
			h->shards = on ? h->shards | bit : h->shards & ~bit;
			if (h->shards)
				rc_trie_leaf(&trie, rc_str_of(h->text), false)->replica = m;
			else
				h->text[0] = 0;
		}
		char channel[64];
		random_name(&prng, channel, false);
		struct found got = {0};
		rc_trie_match(&trie, rc_str_of(channel), add_found, &got);
		uint64_t want = 0, want_replicas = 0;
		uint32_t want_count = 0, patterns = 0;
		for (uint32_t i = 0; i < RC_ARRAY_LEN(model); i++) {
			patterns += model[i].shards != 0;
			if (model[i].shards && channel[0] &&
				rc_pattern_match(rc_str_of(model[i].text), rc_str_of(channel))) {
				want |= model[i].shards;
				want_replicas |= (uint64_t)1 << i;
				want_count++;
			}
		}
		assert_int_equal(got.shards, want);
		assert_int_equal(got.replicas, want_replicas);
		assert_int_equal(got.count, want_count);
		assert_int_equal(trie.patterns, patterns);
	}
	for (uint32_t i = 0; i < RC_ARRAY_LEN(model); i++) {
		if (!model[i].shards)
			continue;
		rc_trie_leaf(&trie, rc_str_of(model[i].text), false)->replica = RC_NONE;
		for (uint32_t shard = 0; shard < SHARDS; shard++)
			assert_true(hold(model[i].text, shard, false));
	}
	assert_empty();
}

static void the_deepest_pattern_is_taken(void **state)
{
	char pattern[RC_CHANNEL_MAX + 1], channel[RC_CHANNEL_MAX + 1];

	(void)state;
	for (int i = 0; i < RC_CHANNEL_MAX; i++) {
		pattern[i] = i % 2 ? ':' : '*';
		channel[i] = i % 2 ? ':' : 'a';
	}
	pattern[RC_CHANNEL_MAX] = channel[RC_CHANNEL_MAX] = 0;
	assert_int_equal(rc_name_classify(rc_str_of(pattern)), RC_NAME_PATTERN);
	assert_true(hold(pattern, 0, true));
	assert_int_equal(shards(channel), 1);
	assert_true(hold(pattern, 0, false));
	assert_empty();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_examples_match),
		TEST(a_pattern_is_held_per_shard_and_counted_once),
		TEST(a_leaf_with_a_replica_stays_until_both_are_gone),
		TEST(prefixes_and_wildcards_of_one_path_do_not_disturb_each_other),
		TEST(without_nodes_a_pattern_is_refused_and_nothing_stays_behind),
		TEST(without_memory_for_names_a_pattern_is_refused),
		TEST(random_patterns_match_as_the_plain_matcher_says),
		TEST(the_deepest_pattern_is_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
