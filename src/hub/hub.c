/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/hub.h"

#include "base/clock.h"

/* Regions of the hub's memory, each on its own cache line. */
enum part {
	PART_OWNED,
	PART_OWNED_CELLS,
	PART_REPLICAS,
	PART_REPLICA_CELLS,
	PART_SUBS,
	PART_SUB_CELLS,
	PART_NODES,
	PART_NODE_CELLS,
	PART_SCRATCH,
	PART_PATTERN_FRAME,
	PART_FETCH,
	PART_SOURCES,
	PART_HERES,
	PART_HERE_CELLS,
	PART_GUESTS,
	PART_GUEST_CELLS,
	PART_PRESENTS,
	PART_USERS,
	PART_USER_CELLS,
	PART_PRESENCE_DATA,
	PARTS_OF_PRESENCE,
	PART_VIEW_HEAP = PARTS_OF_PRESENCE,
	PART_DEFLATED,
	PART_CONSUMERS,
	PARTS
};

static size_t cells_bytes(uint32_t count_max)
{
	return (size_t)rc_table_cells(count_max) * sizeof(struct rc_table_cell);
}

/* At least one event of any size. */
static size_t fetch_bytes(const struct rc_hub_limits *l)
{
	return rc_align_up(
		RC_MAX((size_t)l->fetch_bytes, l->frame_max + sizeof(struct rc_fetched_frame) + 8),
		8);
}

/* Of a gateway in which some namespace has presence. */
static size_t presence_bytes(const struct rc_hub_limits *l, enum part part)
{
	switch (part) {
	case PART_HERES:
		return (size_t)l->replicas_max * sizeof(struct rc_here);
	case PART_HERE_CELLS:
		return cells_bytes(l->replicas_max);
	case PART_GUESTS:
		return (size_t)l->presence_max * sizeof(struct rc_guest);
	case PART_GUEST_CELLS:
	case PART_USER_CELLS:
		return cells_bytes(l->presence_max);
	case PART_PRESENTS:
		return (size_t)l->owned_max * sizeof(struct rc_present);
	case PART_USERS:
		return (size_t)l->presence_max * sizeof(struct rc_present_user);
	case PART_PRESENCE_DATA:
		return RC_PRESENCE_DATA_MAX;
	default:
		return 0;
	}
}

static size_t part_bytes(const struct rc_hub_limits *l, enum part part)
{
	uint32_t nodes = rc_trie_nodes(l->patterns_max);

	switch (part) {
	case PART_OWNED:
		return (size_t)l->owned_max * sizeof(struct rc_owned);
	case PART_OWNED_CELLS:
		return cells_bytes(l->owned_max);
	case PART_REPLICAS:
		return (size_t)l->replicas_max * sizeof(struct rc_replica);
	case PART_REPLICA_CELLS:
		return cells_bytes(l->replicas_max);
	case PART_SUBS:
		return (size_t)l->subs_max * sizeof(struct rc_sub);
	case PART_SUB_CELLS:
		return cells_bytes(l->subs_max);
	case PART_NODES:
		return (size_t)nodes * sizeof(struct rc_trie_node);
	case PART_NODE_CELLS:
		return cells_bytes(nodes);
	case PART_SCRATCH:
		return l->frame_max;
	case PART_PATTERN_FRAME:
		return l->keeps_history ? l->frame_max + RC_STREAM_TEXT_MAX(l->shards) + 64 : 0;
	case PART_VIEW_HEAP:
		return (size_t)l->replicas_max * sizeof(uint32_t);
	case PART_FETCH:
		return fetch_bytes(l);
	case PART_SOURCES:
		return l->keeps_history ? RC_FETCH_SOURCES_MAX * sizeof(struct rc_fetch_source) : 0;
	case PART_DEFLATED:
		return l->deflate_level ? rc_deflated_bytes(l->frame_max) : 0;
	case PART_CONSUMERS:
		return rc_consumer_bytes(l->consumers_max, l->frame_max);
	default:
		return l->presence_max ? presence_bytes(l, part) : 0;
	}
}

size_t rc_hub_presence_bytes(const struct rc_hub_limits *limits)
{
	size_t total = 0;

	for (int p = PART_HERES; p < PARTS_OF_PRESENCE; p++)
		total += rc_align_up(part_bytes(limits, (enum part)p), RC_CACHE_LINE);
	return total;
}

size_t rc_hub_consumer_bytes(const struct rc_hub_limits *limits)
{
	return rc_align_up(part_bytes(limits, PART_CONSUMERS), RC_CACHE_LINE);
}

size_t rc_hub_bytes(const struct rc_hub_limits *limits)
{
	size_t total = 0;

	for (int p = 0; p < PARTS; p++)
		total += rc_align_up(part_bytes(limits, (enum part)p), RC_CACHE_LINE);
	return total;
}

static void init_presence(struct rc_hub *h, unsigned char *const at[PARTS])
{
	const struct rc_hub_limits *l = &h->limits;
	struct rc_presence *p = &h->presence;

	RC_ASSERT(l->namespaces <= RC_PRESENCE_NAMESPACES_MAX);
	p->on = l->presence_max != 0;
	p->next_ns = UINT64_MAX;
	p->pending = p->due = (struct rc_presence_line){RC_NONE, RC_NONE};
	for (uint32_t ns = 0; ns < RC_PRESENCE_NAMESPACES_MAX; ns++)
		p->cooling[ns] = p->lingering[ns] = (struct rc_presence_line){RC_NONE, RC_NONE};
	if (!p->on)
		return;
	rc_slab_init(&p->heres, at[PART_HERES], sizeof(struct rc_here), l->replicas_max);
	rc_slab_init(&p->guests, at[PART_GUESTS], sizeof(struct rc_guest), l->presence_max);
	rc_slab_init(&p->presents, at[PART_PRESENTS], sizeof(struct rc_present), l->owned_max);
	rc_slab_init(&p->users, at[PART_USERS], sizeof(struct rc_present_user), l->presence_max);
	rc_table_init(&p->here_table, (void *)at[PART_HERE_CELLS], rc_table_cells(l->replicas_max));
	rc_table_init(
		&p->guest_table, (void *)at[PART_GUEST_CELLS], rc_table_cells(l->presence_max));
	rc_table_init(&p->user_table, (void *)at[PART_USER_CELLS], rc_table_cells(l->presence_max));
	p->data = (char *)at[PART_PRESENCE_DATA];
}

void rc_hub_init(struct rc_hub *h, const struct rc_hub_limits *l, const struct rc_hub_port *port,
	const struct rc_hub_namespace *namespaces, const struct rc_hash_key *key,
	struct rc_buddy *arena, struct rc_pool *pool, struct rc_counters_shard *counters,
	void *memory)
{
	unsigned char *at[PARTS];
	unsigned char *next = memory;

	RC_ASSERT(l->shards >= 1 && l->shards <= RC_SHARDS_MAX && l->shard < l->shards);
	for (int p = 0; p < PARTS; p++) {
		at[p] = next;
		next += rc_align_up(part_bytes(l, (enum part)p), RC_CACHE_LINE);
	}
	memset(h, 0, sizeof(*h));
	h->limits = *l;
	/* Only logs can make histories give way: what connections need must be there, and with three quarters of the arena in use
	 * all that lag are pressed. */
	h->limits.history_bytes_max =
		RC_MIN(l->history_bytes_max, (uint64_t)arena->units * RC_BUDDY_MIN / 8 * 5);
	h->port = *port;
	h->namespaces = namespaces;
	h->key = *key;
	h->arena = arena;
	h->pool = pool;
	h->counters = counters;
	h->scratch = at[PART_SCRATCH];
	h->pattern_frame = at[PART_PATTERN_FRAME];
	h->fetch = at[PART_FETCH];
	h->fetch_size = (uint32_t)fetch_bytes(l);
	h->sources = (void *)at[PART_SOURCES];
	h->view_heap = (void *)at[PART_VIEW_HEAP];
	h->recent_first = h->recent_last = RC_NONE;
	h->time_ms = rc_clock_wall_ms();
	h->forgotten_time_ms = (uint32_t)h->time_ms;
	rc_slab_init(&h->owned, at[PART_OWNED], sizeof(struct rc_owned), l->owned_max);
	rc_slab_init(&h->replicas, at[PART_REPLICAS], sizeof(struct rc_replica), l->replicas_max);
	rc_slab_init(&h->subs, at[PART_SUBS], sizeof(struct rc_sub), l->subs_max);
	rc_table_init(&h->owned_table, (void *)at[PART_OWNED_CELLS], rc_table_cells(l->owned_max));
	rc_table_init(
		&h->replica_table, (void *)at[PART_REPLICA_CELLS], rc_table_cells(l->replicas_max));
	rc_table_init(&h->sub_table, (void *)at[PART_SUB_CELLS], rc_table_cells(l->subs_max));
	rc_top_init(&h->top);
	rc_trie_init(&h->trie, key, pool, at[PART_NODES], (void *)at[PART_NODE_CELLS],
		rc_trie_nodes(l->patterns_max));
	h->idle_first = h->idle_last = h->sweep_at = RC_NONE;
	h->ask_first = RC_NONE;
	h->dirty_first = h->dirty_last = RC_NONE;
	h->broadcast = RC_NONE;
	h->token_next = 1;
	init_presence(h, at);
	if (l->deflate_level)
		rc_deflated_init(
			&h->deflated, at[PART_DEFLATED], l->frame_max, (int)l->deflate_level);
	rc_consumer_init(h, at[PART_CONSUMERS]);
}

void rc_hub_time(struct rc_hub *h, uint64_t now_ns)
{
	h->now_ns = now_ns;
	h->now_ms = (uint32_t)(now_ns / 1000000u);
	h->now_s = (uint32_t)(now_ns / 1000000000u);
}

uint32_t rc_hub_hash(const struct rc_hub *h, struct rc_str name)
{
	/* The dead letters of a channel have the same owner: two names of one hash. */
	if (RC_UNLIKELY(name.len && name.ptr[0] == '$' &&
			rc_str_starts(name, RC_STR(RC_DEAD_PREFIX)))) {
		name.ptr += sizeof(RC_DEAD_PREFIX) - 1;
		name.len -= sizeof(RC_DEAD_PREFIX) - 1;
	}
	return (uint32_t)rc_hash(&h->key, name.ptr, name.len);
}

uint32_t rc_hub_owner(const struct rc_hub *h, uint32_t hash)
{
	/* The table uses the low bits, the owner the high ones. */
	return (uint32_t)(((uint64_t)hash * h->limits.shards) >> 32);
}

static void check_history(const struct rc_hub *h, const struct rc_replica *r, uint32_t index)
{
	const struct rc_owned *o = rc_slab_at(&h->owned, r->owned);

	RC_ASSERT(o->replica == index && r->log.queue == &h->history && r->log.tag == index);
	RC_ASSERT(r->epoch == o->epoch && r->offset == o->offset);
	RC_ASSERT(r->log.count_tail - rc_log_count_head(&r->log) <= r->offset);
}

void rc_hub_check(const struct rc_hub *h)
{
	uint32_t subs = 0;

	RC_ASSERT(h->owned_table.count == h->owned.used);
	RC_ASSERT(h->replica_table.count == h->replicas.used);
	RC_ASSERT(h->sub_table.count <= h->subs.used);
	for (uint32_t i = 0; i <= h->replica_table.mask; i++) {
		if (h->replica_table.cell[i].used == 0)
			continue;
		uint32_t index = h->replica_table.cell[i].used - 1;
		const struct rc_replica *r = rc_hub_replica(h, index);
		uint32_t behind = 0;
		for (uint32_t k = 0; k < r->count; k++) {
			const struct rc_sub *s = rc_hub_sub(h, r->subs[k]);
			RC_ASSERT(s->replica == index && s->place == k);
			RC_ASSERT(s->cursor <= r->log.tail);
			RC_ASSERT(!(s->flags & RC_SUB_VIEW) == (r->rendition != RC_RENDITION_VIEW));
			RC_ASSERT(!(s->flags & RC_SUB_HOLE) ||
				  (!(s->flags & RC_SUB_PAUSED) && s->cursor < r->log.tail));
			behind += !(s->flags & RC_SUB_PAUSED) && s->cursor < r->log.tail;
		}
		RC_ASSERT(behind == r->behind);
		RC_ASSERT(r->count || r->pinned || r->state == RC_REPLICA_LEAVING ||
			  r->owned != RC_NONE || (r->linked_count && !r->rendition));
		if (r->owned != RC_NONE)
			check_history(h, r, index);
		uint32_t followers = 0;
		for (uint32_t k = 0; k < r->linked_count; k++) {
			const struct rc_replica *other = rc_hub_replica(h, r->linked[k]);
			RC_ASSERT((other->rendition != 0) != (r->rendition != 0));
			followers += r->rendition ? 0 : other->count;
		}
		RC_ASSERT(followers == r->followers);
		rc_log_check(&r->log);
		subs += r->count;
	}
	RC_ASSERT(subs == h->subs.used);
	rc_trie_check(&h->trie);
	rc_presence_check(h);
	rc_consumer_check(h);
}
