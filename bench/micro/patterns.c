/* SPDX-License-Identifier: Apache-2.0
 *
 * Which patterns match a channel, with 10 and with 10,000 patterns in the trie: "tenant:N:orders:*", so that each channel
 * is matched by one of them, and two that match everything below a word.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "hub/trie.h"
#include "shim.h"

#define ROUND       64u
#define ARENA_BYTES (64u << 20)
#define NAME_SIZE   40u

struct state {
	struct rc_buddy buddy;
	struct rc_pool pool;
	struct rc_trie trie;
	struct rc_prng prng;
	void *arena, *units, *nodes, *cells;
	uint32_t count;
	char (*channel)[NAME_SIZE];
	char (*other)[NAME_SIZE];
};

static void hold(struct state *s, const char *pattern)
{
	if (!rc_trie_hold(&s->trie, rc_str_of(pattern), 0, true))
		RC_FAIL("no room for one more pattern");
}

static void *state_open(uint64_t count)
{
	static const struct rc_hash_key key = {1, 2};
	struct state *s = micro_alloc(sizeof(*s));
	uint32_t nodes = rc_trie_nodes((uint32_t)count + 2);
	char pattern[NAME_SIZE];

	s->count = (uint32_t)count;
	s->arena = micro_alloc(ARENA_BYTES);
	s->units = micro_alloc(rc_buddy_state_bytes(ARENA_BYTES));
	s->nodes = micro_alloc(nodes * sizeof(struct rc_trie_node));
	s->cells = micro_alloc(rc_table_cells(nodes) * sizeof(struct rc_table_cell));
	s->channel = micro_alloc(count * NAME_SIZE);
	s->other = micro_alloc(count * NAME_SIZE);
	rc_prng_seed(&s->prng, 1);
	rc_buddy_init(&s->buddy, s->arena, ARENA_BYTES, s->units);
	rc_pool_init(&s->pool, &s->buddy);
	rc_trie_init(&s->trie, &key, &s->pool, s->nodes, s->cells, nodes);
	hold(s, "tenant:**");
	hold(s, "audit:**");
	for (uint32_t i = 0; i < s->count; i++) {
		(void)snprintf(pattern, sizeof(pattern), "tenant:%u:orders:*", 100000 + i);
		hold(s, pattern);
		(void)snprintf(s->channel[i], NAME_SIZE, "tenant:%u:orders:created", 100000 + i);
		(void)snprintf(s->other[i], NAME_SIZE, "market:%u:orders:created", 100000 + i);
	}
	return s;
}

static void state_close(void *state)
{
	struct state *s = state;

	free(s->arena);
	free(s->units);
	free(s->nodes);
	free(s->cells);
	free(s->channel);
	free(s->other);
	free(s);
}

static uint64_t ask(struct state *s, char (*channel)[NAME_SIZE])
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ROUND; i++) {
		const char *name = channel[rc_prng_below(&s->prng, s->count)];

		sum += rc_trie_shards(&s->trie, (struct rc_str){name, 28});
	}
	return sum;
}

static void match(void *state)
{
	struct state *s = state;

	RC_ASSERT(ask(s, s->channel) == ROUND);
}

static void none(void *state)
{
	struct state *s = state;

	RC_ASSERT(ask(s, s->other) == 0);
}

const struct micro_case micro_patterns[] = {
	{"patterns/match/10", 10, ROUND, 0, state_open, match, state_close},
	{"patterns/none/10", 10, ROUND, 0, state_open, none, state_close},
	{"patterns/match/10k", 10000, ROUND, 0, state_open, match, state_close},
	{"patterns/none/10k", 10000, ROUND, 0, state_open, none, state_close},
	{0},
};
