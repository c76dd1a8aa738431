/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/roster.h"

#define TYPES_MIN   8u
#define MEMBERS_MIN 4u

static size_t backends_bytes(uint32_t backends_max)
{
	return rc_align_up(backends_max * sizeof(struct rc_roster_backend), RC_CACHE_LINE);
}

static size_t types_bytes(void)
{
	return rc_align_up(RC_ROSTER_TYPES_MAX * sizeof(struct rc_roster_type), RC_CACHE_LINE);
}

size_t rc_roster_bytes(uint32_t backends_max)
{
	return backends_bytes(backends_max) + types_bytes() +
	       rc_table_cells(RC_ROSTER_TYPES_MAX) * sizeof(struct rc_table_cell);
}

void rc_roster_init(struct rc_roster *r, const struct rc_hash_key *key, struct rc_pool *pool,
	uint32_t backends_max, void *memory)
{
	unsigned char *at = memory;

	memset(r, 0, sizeof(*r));
	r->key = key;
	r->pool = pool;
	r->backend = memory;
	r->backends_max = backends_max;
	at += backends_bytes(backends_max);
	rc_slab_init(&r->types, at, sizeof(struct rc_roster_type), RC_ROSTER_TYPES_MAX);
	at += types_bytes();
	rc_table_init(&r->named, (void *)at, rc_table_cells(RC_ROSTER_TYPES_MAX));
}

/* ---- types --------------------------------------------------------------------------------------- */

struct probe {
	const struct rc_roster *r;
	struct rc_str name;
};

static bool same(const void *ctx, uint32_t index)
{
	const struct probe *p = ctx;

	return rc_str_eq(rc_roster_name(rc_roster_type(p->r, index)), p->name);
}

static uint32_t hash_of(const struct rc_roster *r, struct rc_str name)
{
	return (uint32_t)rc_hash(r->key, name.ptr, name.len);
}

uint32_t rc_roster_find(const struct rc_roster *r, struct rc_str name)
{
	struct probe probe = {r, name};

	return rc_table_find(&r->named, hash_of(r, name), same, &probe);
}

uint32_t rc_roster_route(const struct rc_roster *r, struct rc_str name)
{
	uint32_t type = rc_roster_find(r, name);

	return type == RC_NONE ? rc_roster_find(r, RC_STR("*")) : type;
}

uint32_t rc_roster_sticky(const struct rc_roster *r, const struct rc_roster_type *t, uint64_t hash)
{
	uint32_t best = RC_NONE;
	uint64_t most = 0;

	for (uint32_t i = 0; i < t->count; i++) {
		uint32_t backend = t->members[i].backend;
		uint64_t word =
			hash ^ (uint64_t)r->backend[backend].uid * UINT64_C(0x9e3779b97f4a7c15);
		uint64_t score = rc_hash_u64(r->key, word);
		if (best == RC_NONE || score > most) {
			best = backend;
			most = score;
		}
	}
	return best;
}

uint32_t rc_roster_flags(const struct rc_roster_type *t, uint32_t backend)
{
	for (uint32_t i = 0; i < t->count; i++) {
		if (t->members[i].backend == backend)
			return t->members[i].flags;
	}
	return 0;
}

static uint32_t make_type(struct rc_roster *r, struct rc_str name)
{
	uint32_t type = rc_slab_get(&r->types);

	if (type == RC_NONE)
		return RC_NONE;
	struct rc_roster_type *t = rc_roster_type(r, type);
	memset(t, 0, sizeof(*t));
	t->wait_first = t->wait_last = RC_NONE;
	t->hash = hash_of(r, name);
	t->name_len = (uint8_t)name.len;
	(void)rc_str_copy(t->name, name);
	rc_table_add(&r->named, t->hash, type);
	return type;
}

static void forget_type(struct rc_roster *r, uint32_t type)
{
	struct rc_roster_type *t = rc_roster_type(r, type);

	rc_table_remove(&r->named, t->hash, type);
	rc_pool_put(r->pool, t->members, t->size * sizeof(*t->members));
	rc_slab_put(&r->types, type);
}

static bool member_room(struct rc_roster *r, struct rc_roster_type *t)
{
	uint32_t size = RC_MAX(t->size * 2, MEMBERS_MIN);
	struct rc_roster_member *members;

	if (t->count < t->size)
		return true;
	members = rc_pool_get(r->pool, size * sizeof(*members));
	if (!members)
		return false;
	if (t->count)
		memcpy(members, t->members, t->count * sizeof(*members));
	rc_pool_put(r->pool, t->members, t->size * sizeof(*members));
	t->members = members;
	t->size = size;
	return true;
}

/* ---- backends ------------------------------------------------------------------------------------ */

uint32_t rc_roster_backend(const struct rc_roster *r, const struct rc_backend_who *who)
{
	for (uint32_t i = 0; i < r->mark; i++) {
		const struct rc_roster_backend *b = &r->backend[i];
		if (b->uid && b->who.slot == who->slot && b->who.shard == who->shard &&
			b->who.generation == who->generation)
			return i;
	}
	return RC_NONE;
}

uint32_t rc_roster_enter(struct rc_roster *r, const struct rc_backend_who *who)
{
	uint32_t at = 0;

	while (at < r->mark && r->backend[at].uid)
		at++;
	if (at == r->backends_max)
		return RC_NONE;
	r->mark = RC_MAX(r->mark, at + 1);
	r->used++;
	if (++r->uid == 0)
		r->uid = 1;
	r->backend[at] = (struct rc_roster_backend){
		.who = *who,
		.uid = r->uid,
		.out_first = RC_NONE,
		.wait_first = RC_NONE,
		.wait_last = RC_NONE,
	};
	return at;
}

void rc_roster_leave(struct rc_roster *r, uint32_t backend)
{
	struct rc_roster_backend *b = &r->backend[backend];

	RC_ASSERT(b->uid && b->type_count == 0 && b->out_first == RC_NONE &&
		  b->wait_first == RC_NONE);
	rc_pool_put(r->pool, b->types, b->types_size * sizeof(*b->types));
	memset(b, 0, sizeof(*b));
	r->used--;
}

static bool type_room(struct rc_roster *r, struct rc_roster_backend *b)
{
	uint32_t size = RC_MAX(b->types_size * 2, TYPES_MIN);
	uint32_t *types;

	if (b->type_count < b->types_size)
		return true;
	types = rc_pool_get(r->pool, size * sizeof(*types));
	if (!types)
		return false;
	if (b->type_count)
		memcpy(types, b->types, b->type_count * sizeof(*types));
	rc_pool_put(r->pool, b->types, b->types_size * sizeof(*types));
	b->types = types;
	b->types_size = size;
	return true;
}

bool rc_roster_add(struct rc_roster *r, uint32_t backend, struct rc_str name, uint8_t mode,
	uint8_t flags, struct rc_str field)
{
	struct rc_roster_backend *b = &r->backend[backend];
	uint32_t type = rc_roster_find(r, name);
	bool fresh = type == RC_NONE;

	if (!type_room(r, b))
		return false;
	if (fresh)
		type = make_type(r, name);
	if (type == RC_NONE)
		return false;
	struct rc_roster_type *t = rc_roster_type(r, type);
	if (!member_room(r, t)) {
		if (fresh)
			forget_type(r, type);
		return false;
	}
	t->mode = mode;
	t->field_len = (uint8_t)field.len;
	(void)rc_str_copy(t->field, field);
	for (uint32_t i = 0; i < t->count; i++) {
		if (t->members[i].backend == backend) {
			t->members[i].flags |= flags; /* named twice */
			return true;
		}
	}
	t->members[t->count++] = (struct rc_roster_member){backend, flags};
	b->types[b->type_count++] = type;
	return true;
}

bool rc_roster_drop(struct rc_roster *r, uint32_t backend, uint32_t *first)
{
	struct rc_roster_backend *b = &r->backend[backend];

	*first = RC_NONE;
	if (b->type_count == 0)
		return false;
	uint32_t type = b->types[--b->type_count];
	struct rc_roster_type *t = rc_roster_type(r, type);
	uint32_t i = 0;
	while (t->members[i].backend != backend)
		i++;
	t->count--;
	memmove(&t->members[i], &t->members[i + 1], (t->count - i) * sizeof(*t->members));
	if (t->next > i)
		t->next--;
	if (t->count)
		return true;
	*first = t->wait_first;
	forget_type(r, type);
	return true;
}

void rc_roster_check(const struct rc_roster *r)
{
	uint32_t used = 0, members = 0, types = 0;

	for (uint32_t i = 0; i < r->mark; i++) {
		const struct rc_roster_backend *b = &r->backend[i];
		if (!b->uid)
			continue;
		used++;
		types += b->type_count;
		for (uint32_t k = 0; k < b->type_count; k++) {
			const struct rc_roster_type *t = rc_roster_type(r, b->types[k]);
			uint32_t found = 0;
			for (uint32_t m = 0; m < t->count; m++)
				found += t->members[m].backend == i;
			RC_ASSERT(found == 1);
		}
	}
	for (uint32_t i = 0; i <= r->named.mask; i++) {
		if (!r->named.cell[i].used)
			continue;
		const struct rc_roster_type *t = rc_roster_type(r, r->named.cell[i].used - 1);
		RC_ASSERT(t->count > 0 && t->next <= t->count);
		members += t->count;
	}
	RC_ASSERT(used == r->used && members == types);
	RC_ASSERT(r->named.count == r->types.used);
}
