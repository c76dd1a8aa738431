/* SPDX-License-Identifier: Apache-2.0
 *
 * The idempotency keys whose home is this shard: who holds them, and what came out. Decided ones are forgotten when their time is
 * over, or the oldest of them when a new one finds no room.
 */
#include "serve/api.h"

struct entry {
	char key[RC_API_KEY_MAX];
	uint32_t key_len;
	uint32_t hash;
	uint64_t print; /* of the request that it came with */
	struct rc_api_job_ref holder;
	bool decided;
	uint32_t count;
	struct rc_api_result one;
	struct rc_api_result *many; /* count > 1; there from the claim on */
	uint32_t next, prev;
	uint64_t until_ns;
};

struct probe {
	const struct rc_api_keys *keys;
	const struct rc_api_key_ask *ask;
};

static struct entry *at(const struct rc_api_keys *k, uint32_t index)
{
	return rc_slab_at(&k->entries, index);
}

static bool same(const void *ctx, uint32_t index)
{
	const struct probe *p = ctx;
	const struct entry *e = at(p->keys, index);

	return e->key_len == p->ask->key_len && memcmp(e->key, p->ask->key, e->key_len) == 0;
}

static uint32_t hash_of(const struct rc_serve *sv, const struct rc_api_key_ask *ask)
{
	return (uint32_t)(rc_hash(&sv->hub->key, ask->key, ask->key_len) >> 32);
}

static size_t entries_bytes(uint32_t count)
{
	return rc_align_up((size_t)count * rc_align_up(sizeof(struct entry), 8), RC_CACHE_LINE);
}

size_t rc_api_keys_bytes(uint32_t count)
{
	return entries_bytes(count) + rc_table_cells(count) * sizeof(struct rc_table_cell);
}

void rc_api_keys_init(struct rc_serve *sv, void *memory, uint32_t count)
{
	struct rc_api_keys *k = &sv->api->keys;

	rc_slab_init(&k->entries, memory, (uint32_t)rc_align_up(sizeof(struct entry), 8), count);
	rc_table_init(&k->table, (void *)((unsigned char *)memory + entries_bytes(count)),
		rc_table_cells(count));
	k->first = k->last = RC_NONE;
	k->result_bytes = 0;
	k->result_bytes_max = sv->config->memory / sv->hub->limits.shards / 16;
}

static void append(struct rc_api_keys *k, uint32_t index)
{
	struct entry *e = at(k, index);

	e->next = RC_NONE;
	e->prev = k->last;
	if (k->last != RC_NONE)
		at(k, k->last)->next = index;
	else
		k->first = index;
	k->last = index;
}

static void take_out(struct rc_api_keys *k, uint32_t index)
{
	struct entry *e = at(k, index);

	if (e->prev != RC_NONE)
		at(k, e->prev)->next = e->next;
	else
		k->first = e->next;
	if (e->next != RC_NONE)
		at(k, e->next)->prev = e->prev;
	else
		k->last = e->prev;
}

static void forget(struct rc_serve *sv, uint32_t index)
{
	struct rc_api_keys *k = &sv->api->keys;
	struct entry *e = at(k, index);
	size_t bytes = e->count * sizeof(*e->many);

	if (e->decided)
		take_out(k, index);
	if (e->many) {
		k->result_bytes -= rc_pool_size(bytes);
		rc_pool_put(sv->pool, e->many, bytes);
	}
	rc_table_remove(&k->table, e->hash, index);
	rc_slab_put(&k->entries, index);
}

void rc_api_keys_sweep(struct rc_serve *sv)
{
	struct rc_api_keys *k = &sv->api->keys;

	for (uint32_t budget = 64;
		budget > 0 && k->first != RC_NONE && at(k, k->first)->until_ns <= sv->now_ns;
		budget--)
		forget(sv, k->first);
}

static bool evict(struct rc_serve *sv)
{
	struct rc_api_keys *k = &sv->api->keys;

	if (k->first == RC_NONE)
		return false;
	if (at(k, k->first)->until_ns > sv->now_ns)
		rc_count(sv->counters, RC_C_http_keys_evicted, 1);
	forget(sv, k->first);
	return true;
}

/* Room for the outcome as well, so that it can be kept whatever happens meanwhile. */
static uint32_t make(struct rc_serve *sv, const struct rc_api_key_ask *ask, uint32_t hash)
{
	struct rc_api_keys *k = &sv->api->keys;
	size_t bytes = ask->count * sizeof(struct rc_api_result);
	struct rc_api_result *many = NULL;
	uint32_t index;

	if (ask->count > 1) {
		while (k->result_bytes + rc_pool_size(bytes) > k->result_bytes_max ||
			!(many = rc_pool_get(sv->pool, bytes))) {
			if (!evict(sv))
				return RC_NONE;
		}
	}
	index = rc_slab_get(&k->entries);
	if (index == RC_NONE && evict(sv))
		index = rc_slab_get(&k->entries);
	if (index == RC_NONE) {
		rc_pool_put(sv->pool, many, bytes);
		return RC_NONE;
	}
	struct entry *e = at(k, index);
	memset(e, 0, sizeof(*e));
	if (many)
		k->result_bytes += rc_pool_size(bytes);
	memcpy(e->key, ask->key, ask->key_len);
	e->key_len = ask->key_len;
	e->hash = hash;
	e->print = ask->print;
	e->holder = ask->who;
	e->count = ask->count;
	e->many = many;
	rc_table_add(&k->table, hash, index);
	return index;
}

static bool answer(struct rc_serve *sv, const struct rc_api_key_ask *ask,
	enum rc_api_verdict verdict, const struct entry *e)
{
	struct rc_api_key_answer head = {
		.kind = RC_API_KEY_ANSWER,
		.verdict = verdict,
		.to = ask->who,
		.count = verdict == RC_API_REPLAYED ? e->count : 0,
	};
	size_t bytes = head.count * sizeof(struct rc_api_result);
	struct rc_api_key_answer *a;
	bool told;

	if (!bytes)
		return sv->port.api_tell(sv->port.ctx, ask->who.shard, &head, sizeof(head));
	a = rc_pool_get(sv->pool, sizeof(head) + bytes);
	if (!a) {
		head.verdict = RC_API_NO_ROOM;
		head.count = 0;
		return sv->port.api_tell(sv->port.ctx, ask->who.shard, &head, sizeof(head));
	}
	*a = head;
	memcpy(a->results, e->many ? e->many : &e->one, bytes);
	told = sv->port.api_tell(sv->port.ctx, ask->who.shard, a, sizeof(head) + bytes);
	rc_pool_put(sv->pool, a, sizeof(head) + bytes);
	return told;
}

bool rc_api_keys_claim(struct rc_serve *sv, const struct rc_api_key_ask *ask)
{
	struct rc_api_keys *k = &sv->api->keys;
	struct probe probe = {k, ask};
	uint32_t hash = hash_of(sv, ask);
	uint32_t index = rc_table_find(&k->table, hash, same, &probe);

	RC_ASSERT(ask->key_len > 0 && ask->key_len <= RC_API_KEY_MAX);
	if (index != RC_NONE && at(k, index)->decided && at(k, index)->until_ns <= sv->now_ns) {
		forget(sv, index);
		index = RC_NONE;
	}
	if (index != RC_NONE) {
		const struct entry *e = at(k, index);
		return answer(sv, ask,
			e->print != ask->print || e->count != ask->count ? RC_API_DIFFERS
			: e->decided                                     ? RC_API_REPLAYED
									 : RC_API_BUSY,
			e);
	}
	index = make(sv, ask, hash);
	if (index == RC_NONE)
		return answer(sv, ask, RC_API_NO_ROOM, NULL);
	if (answer(sv, ask, RC_API_GO, NULL))
		return true;
	forget(sv, index);
	return false;
}

void rc_api_keys_settle(struct rc_serve *sv, const struct rc_api_key_ask *ask)
{
	struct rc_api_keys *k = &sv->api->keys;
	struct probe probe = {k, ask};
	uint32_t index = rc_table_find(&k->table, hash_of(sv, ask), same, &probe);

	RC_ASSERT(index != RC_NONE);
	struct entry *e = at(k, index);
	RC_ASSERT(!e->decided && e->holder.shard == ask->who.shard &&
		  e->holder.slot == ask->who.slot && e->holder.generation == ask->who.generation);
	if (ask->count == 0) {
		forget(sv, index);
		return;
	}
	RC_ASSERT(ask->count == e->count);
	memcpy(e->many ? e->many : &e->one, ask->results, e->count * sizeof(*e->many));
	e->decided = true;
	e->until_ns = sv->now_ns + (uint64_t)sv->config->http_idempotency_ttl_ms * 1000000u;
	append(k, index);
}
