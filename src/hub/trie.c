/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/trie.h"

#define ROOT 0u

struct probe {
	const struct rc_trie *trie;
	uint32_t parent;
	struct rc_str level;
};

static struct rc_trie_node *node_at(const struct rc_trie *t, uint32_t index)
{
	return rc_slab_at(&t->nodes, index);
}

static bool same(const void *ctx, uint32_t index)
{
	const struct probe *p = ctx;
	const struct rc_trie_node *n = node_at(p->trie, index);

	return n->parent == p->parent &&
	       rc_str_eq((struct rc_str){n->level, n->level_len}, p->level);
}

static uint32_t hash_of(const struct rc_trie *t, uint32_t parent, struct rc_str level)
{
	struct rc_hash_key key = t->key;

	key.k0 ^= (uint64_t)parent * 0x9e3779b97f4a7c15u;
	return (uint32_t)rc_hash(&key, level.ptr, level.len);
}

static uint32_t child(const struct rc_trie *t, uint32_t parent, struct rc_str level)
{
	struct probe p = {t, parent, level};

	return rc_table_find(&t->table, hash_of(t, parent, level), same, &p);
}

uint32_t rc_trie_nodes(uint32_t patterns_max)
{
	return patterns_max * 4 + 64;
}

static void fill_node(struct rc_trie_node *n, uint32_t parent)
{
	memset(n, 0, sizeof(*n));
	n->parent = parent;
	n->here.replica = RC_NONE;
	n->deep.replica = RC_NONE;
}

void rc_trie_init(struct rc_trie *t, const struct rc_hash_key *key, struct rc_pool *pool,
	void *node_memory, struct rc_table_cell *cells, uint32_t nodes_max)
{
	memset(t, 0, sizeof(*t));
	t->key = *key;
	t->pool = pool;
	rc_slab_init(&t->nodes, node_memory, sizeof(struct rc_trie_node), nodes_max);
	rc_table_init(&t->table, cells, rc_table_cells(nodes_max));
	uint32_t root = rc_slab_get(&t->nodes);
	RC_ASSERT(root == ROOT);
	fill_node(node_at(t, ROOT), RC_NONE);
	t->generation = 1;
}

static uint32_t make_child(struct rc_trie *t, uint32_t parent, struct rc_str level)
{
	char *text = rc_pool_get(t->pool, RC_MAX(level.len, (size_t)1));
	if (!text)
		return RC_NONE;
	uint32_t index = rc_slab_get(&t->nodes);
	if (index == RC_NONE) {
		rc_pool_put(t->pool, text, RC_MAX(level.len, (size_t)1));
		return RC_NONE;
	}
	struct rc_trie_node *n = node_at(t, index);
	fill_node(n, parent);
	memcpy(text, level.ptr, level.len);
	n->level = text;
	n->level_len = (uint32_t)level.len;
	n->hash = hash_of(t, parent, level);
	rc_table_add(&t->table, n->hash, index);
	node_at(t, parent)->children++;
	return index;
}

/* Frees the node and those above it that nobody needs any more. */
static void prune(struct rc_trie *t, uint32_t index)
{
	while (index != ROOT) {
		struct rc_trie_node *n = node_at(t, index);
		if (n->children || n->here.shards || n->deep.shards || n->here.replica != RC_NONE ||
			n->deep.replica != RC_NONE)
			return;
		uint32_t parent = n->parent;
		rc_table_remove(&t->table, n->hash, index);
		rc_pool_put(t->pool, n->level, RC_MAX((size_t)n->level_len, (size_t)1));
		rc_slab_put(&t->nodes, index);
		node_at(t, parent)->children--;
		index = parent;
	}
}

static struct rc_str next_level(struct rc_str *rest)
{
	const char *colon = memchr(rest->ptr, ':', rest->len);
	struct rc_str level = *rest;

	if (colon) {
		level.len = (size_t)(colon - rest->ptr);
		rest->ptr = colon + 1;
		rest->len -= level.len + 1;
	} else {
		*rest = (struct rc_str){NULL, 0};
	}
	return level;
}

static uint32_t walk(struct rc_trie *t, struct rc_str pattern, bool make, bool *deep)
{
	uint32_t at = ROOT;
	struct rc_str rest = pattern;

	*deep = false;
	while (rest.ptr) {
		struct rc_str level = next_level(&rest);
		if (!rest.ptr && rc_str_eq(level, RC_STR("**"))) {
			*deep = true;
			return at;
		}
		uint32_t next = child(t, at, level);
		if (next == RC_NONE && make)
			next = make_child(t, at, level);
		if (next == RC_NONE) {
			if (make)
				prune(t, at);
			return RC_NONE;
		}
		at = next;
	}
	return at;
}

struct rc_trie_leaf *rc_trie_leaf(struct rc_trie *t, struct rc_str pattern, bool make)
{
	bool deep;
	uint32_t at = walk(t, pattern, make, &deep);

	if (at == RC_NONE)
		return NULL;
	struct rc_trie_node *n = node_at(t, at);
	return deep ? &n->deep : &n->here;
}

bool rc_trie_hold(struct rc_trie *t, struct rc_str pattern, uint32_t shard, bool hold)
{
	bool deep;
	uint32_t at = walk(t, pattern, hold, &deep);

	if (at == RC_NONE)
		return !hold;
	struct rc_trie_node *n = node_at(t, at);
	struct rc_trie_leaf *leaf = deep ? &n->deep : &n->here;
	uint64_t bit = (uint64_t)1 << shard;
	bool had = leaf->shards != 0;

	if (((leaf->shards & bit) != 0) == hold)
		return true;
	leaf->shards ^= bit;
	t->patterns += (uint32_t)(leaf->shards != 0) - (uint32_t)had;
	t->generation++;
	if (!hold)
		prune(t, at);
	return true;
}

static void match(const struct rc_trie *t, uint32_t at, struct rc_str rest,
	void (*found)(void *ctx, const struct rc_trie_leaf *leaf), void *ctx)
{
	const struct rc_trie_node *n = node_at(t, at);

	if (!rest.ptr) {
		if (n->here.shards)
			found(ctx, &n->here);
		return;
	}
	/* A wildcard in the first level never takes one of the gateway's own channels. */
	bool wild = at != ROOT || rest.len == 0 || rest.ptr[0] != '$';
	/* Before the call: whoever is found may take patterns away, and this node with them. */
	bool leaf = n->children == 0;
	if (n->deep.shards && wild)
		found(ctx, &n->deep);
	if (leaf)
		return;
	struct rc_str level = next_level(&rest);
	uint32_t next = child(t, at, level);
	if (next != RC_NONE)
		match(t, next, rest, found, ctx);
	next = wild ? child(t, at, RC_STR("*")) : RC_NONE;
	if (next != RC_NONE)
		match(t, next, rest, found, ctx);
}

/* Patterns know nothing of empty levels. */
static bool has_empty_level(struct rc_str channel)
{
	bool empty = true;

	for (size_t i = 0; i < channel.len; i++) {
		bool colon = channel.ptr[i] == ':';
		if (colon && empty)
			return true;
		empty = colon;
	}
	return empty;
}

void rc_trie_match(const struct rc_trie *t, struct rc_str channel,
	void (*found)(void *ctx, const struct rc_trie_leaf *leaf), void *ctx)
{
	if (t->patterns && !has_empty_level(channel))
		match(t, ROOT, channel, found, ctx);
}

static void add_shards(void *ctx, const struct rc_trie_leaf *leaf)
{
	*(uint64_t *)ctx |= leaf->shards;
}

uint64_t rc_trie_shards(const struct rc_trie *t, struct rc_str channel)
{
	uint64_t shards = 0;

	rc_trie_match(t, channel, add_shards, &shards);
	return shards;
}

void rc_trie_check(const struct rc_trie *t)
{
	RC_ASSERT(t->table.count + 1 == t->nodes.used);
	for (uint32_t i = 0; i <= t->table.mask; i++) {
		if (t->table.cell[i].used == 0)
			continue;
		const struct rc_trie_node *n = node_at(t, t->table.cell[i].used - 1);
		RC_ASSERT(n->children || n->here.shards || n->deep.shards);
		RC_ASSERT(n->parent == ROOT || n->parent < t->nodes.mark);
	}
}
