/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/home.h"

struct probe {
	const struct rc_home *home;
	struct rc_str id;
};

static struct rc_home_entry *entry_at(const struct rc_home *h, uint32_t index)
{
	return rc_slab_at(&h->entries, index);
}

static bool same(const void *ctx, uint32_t index)
{
	const struct probe *p = ctx;
	const struct rc_home_entry *e = entry_at(p->home, index);

	return rc_str_eq((struct rc_str){e->id, e->id_len}, p->id);
}

static bool same_holder(const struct rc_holder *a, const struct rc_holder *b)
{
	return a->shard == b->shard && a->slot == b->slot && a->generation == b->generation;
}

size_t rc_home_bytes(uint32_t ids_max)
{
	return rc_align_up((size_t)ids_max * sizeof(struct rc_home_entry), RC_CACHE_LINE) +
	       (size_t)rc_table_cells(ids_max) * sizeof(struct rc_table_cell);
}

void rc_home_init(struct rc_home *h, const struct rc_hash_key *key, const struct rc_home_port *port,
	uint32_t ids_max, uint32_t ttl_ms, void *memory)
{
	size_t entries = rc_align_up((size_t)ids_max * sizeof(struct rc_home_entry), RC_CACHE_LINE);

	memset(h, 0, sizeof(*h));
	h->key = *key;
	h->port = *port;
	h->ttl_ms = ttl_ms;
	h->idle_first = h->idle_last = RC_NONE;
	rc_slab_init(&h->entries, memory, sizeof(struct rc_home_entry), ids_max);
	rc_table_init(
		&h->table, (void *)((unsigned char *)memory + entries), rc_table_cells(ids_max));
}

uint32_t rc_home_hash(const struct rc_hash_key *key, struct rc_str id)
{
	return (uint32_t)rc_hash(key, id.ptr, id.len);
}

static void idle_remove(struct rc_home *h, uint32_t index)
{
	struct rc_home_entry *e = entry_at(h, index);

	if (e->prev != RC_NONE)
		entry_at(h, e->prev)->next = e->next;
	else
		h->idle_first = e->next;
	if (e->next != RC_NONE)
		entry_at(h, e->next)->prev = e->prev;
	else
		h->idle_last = e->prev;
}

static void idle_add(struct rc_home *h, uint32_t index)
{
	struct rc_home_entry *e = entry_at(h, index);

	e->next = RC_NONE;
	e->prev = h->idle_last;
	if (h->idle_last != RC_NONE)
		entry_at(h, h->idle_last)->next = index;
	else
		h->idle_first = index;
	h->idle_last = index;
}

static void forget(struct rc_home *h, uint32_t index)
{
	idle_remove(h, index);
	rc_table_remove(&h->table, entry_at(h, index)->hash, index);
	rc_slab_put(&h->entries, index);
}

void rc_home_sweep(struct rc_home *h, uint32_t now_s, uint32_t budget)
{
	while (h->idle_first != RC_NONE && budget-- > 0) {
		const struct rc_home_entry *e = entry_at(h, h->idle_first);
		if ((uint64_t)(now_s - e->free_since_s) * 1000 < h->ttl_ms)
			return;
		forget(h, h->idle_first);
	}
}

bool rc_home_claim(struct rc_home *h, struct rc_str id, const struct rc_holder *who)
{
	struct probe probe = {h, id};
	uint32_t hash = rc_home_hash(&h->key, id);
	uint32_t index = rc_table_find(&h->table, hash, same, &probe);

	RC_ASSERT(id.len > 0 && id.len <= RC_PUBLISHER_ID_MAX);
	if (index != RC_NONE && entry_at(h, index)->holder.shard != RC_NONE) {
		struct rc_home_entry *e = entry_at(h, index);
		if (!h->port.can_answer(h->port.ctx, e->holder.shard, e->waiting.shard))
			return false;
		if (e->waiting.shard != RC_NONE)
			h->port.grant(h->port.ctx, &e->waiting, false, 0);
		e->waiting = *who;
		h->port.evict(h->port.ctx, &e->holder);
		return true;
	}
	if (!h->port.can_answer(h->port.ctx, who->shard, RC_NONE))
		return false;
	if (index != RC_NONE) {
		idle_remove(h, index);
	} else {
		index = rc_slab_get(&h->entries);
		if (index == RC_NONE && h->idle_first != RC_NONE) {
			/* The id that rested longest is forgotten before its time: a publisher that comes back later
			 * than all others begins anew. */
			forget(h, h->idle_first);
			index = rc_slab_get(&h->entries);
		}
		if (index == RC_NONE) {
			h->port.grant(h->port.ctx, who, false, 0);
			return true;
		}
		struct rc_home_entry *e = entry_at(h, index);
		memset(e, 0, sizeof(*e));
		memcpy(e->id, id.ptr, id.len);
		e->id_len = (uint8_t)id.len;
		e->hash = hash;
		rc_table_add(&h->table, hash, index);
	}
	struct rc_home_entry *e = entry_at(h, index);
	e->holder = *who;
	e->waiting.shard = RC_NONE;
	h->port.grant(h->port.ctx, who, true, e->sequence);
	return true;
}

bool rc_home_return(struct rc_home *h, struct rc_str id, const struct rc_holder *who,
	uint64_t sequence, uint32_t now_s)
{
	struct probe probe = {h, id};
	uint32_t index = rc_table_find(&h->table, rc_home_hash(&h->key, id), same, &probe);

	if (index == RC_NONE)
		return true;
	struct rc_home_entry *e = entry_at(h, index);
	if (same_holder(&e->waiting, who)) {
		/* It gave up before its turn came. */
		e->waiting.shard = RC_NONE;
		return true;
	}
	if (!same_holder(&e->holder, who))
		return true;
	if (!h->port.can_answer(h->port.ctx, e->waiting.shard, RC_NONE))
		return false;
	e->sequence = RC_MAX(e->sequence, sequence);
	e->holder = e->waiting;
	e->waiting.shard = RC_NONE;
	if (e->holder.shard != RC_NONE) {
		h->port.grant(h->port.ctx, &e->holder, true, e->sequence);
	} else {
		e->free_since_s = now_s;
		idle_add(h, index);
	}
	return true;
}
