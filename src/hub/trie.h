/* SPDX-License-Identifier: Apache-2.0
 *
 * The patterns that anybody subscribed to, level by level, so that a channel's matches are found by a walk over its own
 * levels, however many patterns there are.
 *
 *   analytics:*     root ─ "analytics" ─ [*]             a node per level; "*" is a child like any other, "**" is the
 *   agent:**        root ─ "agent" ─ [**]                mark of a node that all that lies deeper matches
 *
 * An entry names the shards that hold the pattern and, where this shard does, its replica. One thread.
 */
#ifndef RC_HUB_TRIE_H
#define RC_HUB_TRIE_H

#include "base/base.h"
#include "base/hash.h"
#include "hub/table.h"
#include "mem/pool.h"
#include "mem/slab.h"

struct rc_trie_leaf {
	uint64_t shards;  /* a bit per shard that holds the pattern; 0 = no such pattern */
	uint32_t replica; /* this shard's, RC_NONE = not here */
};

struct rc_trie_node {
	char *level; /* from the pool */
	uint32_t level_len;
	uint32_t parent;
	uint32_t children;
	uint32_t hash;
	struct rc_trie_leaf here; /* a pattern that ends at this node */
	struct rc_trie_leaf deep; /* a pattern that ends in ** below this node */
};

struct rc_trie {
	struct rc_hash_key key;
	struct rc_pool *pool;
	struct rc_slab nodes;
	struct rc_table table; /* (parent, level) to node */
	uint32_t patterns;
	uint32_t generation; /* changes with every change of any pattern's shards */
};

/* Nodes that patterns_max patterns may need; what goes beyond is refused. */
uint32_t rc_trie_nodes(uint32_t patterns_max);
void rc_trie_init(struct rc_trie *t, const struct rc_hash_key *key, struct rc_pool *pool,
	void *node_memory, struct rc_table_cell *cells, uint32_t nodes_max);
/* The pattern's leaf, made when make is true; NULL when there is none or no room. Valid until the next change. */
struct rc_trie_leaf *rc_trie_leaf(struct rc_trie *t, struct rc_str pattern, bool make);
/* Shard holds the pattern from now on, or no longer. False when there is no room. */
bool rc_trie_hold(struct rc_trie *t, struct rc_str pattern, uint32_t shard, bool hold);
/* Every leaf that matches. `found` may let go of patterns, also of the one that it was called for; it may not add any. */
void rc_trie_match(const struct rc_trie *t, struct rc_str channel,
	void (*found)(void *ctx, const struct rc_trie_leaf *leaf), void *ctx);
/* The shards of all that match. */
uint64_t rc_trie_shards(const struct rc_trie *t, struct rc_str channel);
void rc_trie_check(const struct rc_trie *t);

#endif
