/* SPDX-License-Identifier: Apache-2.0
 *
 * The users whose home is this shard: who is where, who may come, who goes for it. See users.h.
 */
#include "serve/users.h"

#define SWEEP_PER_TURN 64u

static struct rc_user *user_at(const struct rc_serve *sv, uint32_t at)
{
	return rc_user_block(sv, at);
}

static struct rc_user_place *place_at(const struct rc_serve *sv, uint32_t at)
{
	return rc_user_block(sv, at);
}

static size_t user_bytes(const struct rc_serve *sv, size_t id_len)
{
	return sizeof(struct rc_user) + sv->hub->limits.shards * sizeof(uint32_t) + id_len;
}

struct probe {
	const struct rc_serve *sv;
	struct rc_str id;
};

static bool same(const void *ctx, uint32_t index)
{
	const struct probe *p = ctx;

	return rc_str_eq(rc_user_id(p->sv, user_at(p->sv, index)), p->id);
}

uint32_t rc_user_home_find(const struct rc_serve *sv, struct rc_str id, uint64_t hash)
{
	struct probe probe = {sv, id};

	return rc_table_find(&sv->users->homed, (uint32_t)(hash >> 32), same, &probe);
}

/* ---- those who were here ------------------------------------------------------------------------- */

static void gone_add(struct rc_serve *sv, uint32_t at)
{
	struct rc_users *us = sv->users;
	struct rc_user *u = user_at(sv, at);

	u->gone_s = sv->hub->now_s;
	u->gone_next = RC_NONE;
	u->gone_prev = us->gone_last;
	if (us->gone_last != RC_NONE)
		user_at(sv, us->gone_last)->gone_next = at;
	else
		us->gone_first = at;
	us->gone_last = at;
}

static void gone_remove(struct rc_serve *sv, uint32_t at)
{
	struct rc_users *us = sv->users;
	const struct rc_user *u = user_at(sv, at);

	if (u->gone_prev != RC_NONE)
		user_at(sv, u->gone_prev)->gone_next = u->gone_next;
	else
		us->gone_first = u->gone_next;
	if (u->gone_next != RC_NONE)
		user_at(sv, u->gone_next)->gone_prev = u->gone_prev;
	else
		us->gone_last = u->gone_prev;
}

static void forget(struct rc_serve *sv, uint32_t at)
{
	struct rc_user *u = user_at(sv, at);

	RC_ASSERT(u->count == 0);
	gone_remove(sv, at);
	rc_table_remove(&sv->users->homed, u->hash, at);
	rc_pool_put(sv->pool, u, user_bytes(sv, u->id_len));
}

void rc_user_home_sweep(struct rc_serve *sv)
{
	struct rc_users *us = sv->users;

	for (uint32_t budget = SWEEP_PER_TURN; budget > 0 && us->gone_first != RC_NONE; budget--) {
		if (sv->hub->now_s - user_at(sv, us->gone_first)->gone_s < RC_USER_MEMORY_S)
			return;
		forget(sv, us->gone_first);
	}
}

/* ---- coming and going ---------------------------------------------------------------------------- */

static void count_users(struct rc_serve *sv, int change)
{
	sv->users->users += (uint64_t)(int64_t)change;
	rc_gauge_set(sv->counters, RC_C_users, sv->users->users);
}

static void add_place(struct rc_serve *sv, uint32_t user, uint32_t place)
{
	struct rc_user *u = user_at(sv, user);
	struct rc_user_place *p = place_at(sv, place);

	p->user = user;
	p->next = RC_NONE;
	p->prev = u->last;
	if (u->last != RC_NONE)
		place_at(sv, u->last)->next = place;
	else
		u->first = place;
	u->last = place;
	u->on[p->shard]++;
	if (u->count++ == 0)
		count_users(sv, 1);
}

/* It does not count any more; the block stays until its leave comes. */
static void remove_place(struct rc_serve *sv, uint32_t place)
{
	struct rc_user_place *p = place_at(sv, place);
	struct rc_user *u = user_at(sv, p->user);

	if (p->prev != RC_NONE)
		place_at(sv, p->prev)->next = p->next;
	else
		u->first = p->next;
	if (p->next != RC_NONE)
		place_at(sv, p->next)->prev = p->prev;
	else
		u->last = p->prev;
	u->on[p->shard]--;
	p->user = RC_NONE;
	if (--u->count == 0)
		count_users(sv, -1);
}

void rc_user_home_leave(struct rc_serve *sv, uint32_t place)
{
	struct rc_user_place *p = place_at(sv, place);
	uint32_t user = p->user;

	if (user != RC_NONE) {
		remove_place(sv, place);
		if (user_at(sv, user)->count == 0)
			gone_add(sv, user);
	}
	rc_pool_put(sv->pool, p, sizeof(*p));
}

/* RC_NONE: no room. */
static uint32_t make_user(struct rc_serve *sv, struct rc_str id, uint64_t hash)
{
	struct rc_users *us = sv->users;
	struct rc_user *u = NULL;

	if (us->homed.count < us->homed_max)
		u = rc_pool_get(sv->pool, user_bytes(sv, id.len));
	/* Who was here longest ago is forgotten before his time. */
	while (!u && us->gone_first != RC_NONE) {
		forget(sv, us->gone_first);
		u = rc_pool_get(sv->pool, user_bytes(sv, id.len));
	}
	if (!u)
		return RC_NONE;
	memset(u, 0, user_bytes(sv, id.len));
	u->first = u->last = RC_NONE;
	u->hash = (uint32_t)(hash >> 32);
	u->id_len = (uint32_t)id.len;
	(void)rc_str_copy((char *)(u->on + sv->hub->limits.shards), id);
	rc_table_add(&us->homed, u->hash, rc_user_block_at(sv, u));
	gone_add(sv, rc_user_block_at(sv, u));
	return rc_user_block_at(sv, u);
}

/* ---- answers ------------------------------------------------------------------------------------- */

static bool room_for(const struct rc_serve *sv, uint32_t shard, uint32_t records)
{
	size_t each = sizeof(struct rc_user_joined) + RC_USER_RECORD_ROOM;

	return shard == sv->shard || sv->port.user_room(sv->port.ctx, shard, false, records * each);
}

static void tell(struct rc_serve *sv, uint32_t shard, const void *bytes, size_t len)
{
	if (shard == sv->shard) {
		rc_users_told(sv, bytes, len);
		return;
	}
	void *room = sv->port.user_reserve(sv->port.ctx, shard, false, len);
	RC_ASSERT(room);
	memcpy(room, bytes, len);
	sv->port.user_commit(sv->port.ctx, shard, false, len);
}

static void answer(struct rc_serve *sv, const struct rc_user_join *j, uint32_t place,
	enum rc_user_verdict verdict)
{
	struct rc_user_joined told = {RC_USER_JOINED, j->member, place, verdict};

	tell(sv, j->shard, &told, sizeof(told));
}

/* The oldest connections, as many as are too many. */
static uint32_t too_many(const struct rc_serve *sv, const struct rc_user *u, uint32_t limit,
	struct rc_user_place oldest[RC_USER_REPLACED_MAX])
{
	uint32_t count = 0, at = u->first;

	for (uint32_t left = u->count; left >= limit && count < RC_USER_REPLACED_MAX; left--) {
		oldest[count++] = *place_at(sv, at);
		at = place_at(sv, at)->next;
	}
	return count;
}

bool rc_user_home_join(struct rc_serve *sv, const struct rc_user_join *j)
{
	struct rc_str id = {j->id, j->id_len};
	uint64_t hash = rc_user_hash(sv, id);
	uint32_t user = rc_user_home_find(sv, id, hash),
		 count = user == RC_NONE ? 0 : user_at(sv, user)->count;
	bool many = j->limit && count >= j->limit;
	bool replace = sv->config->limit_over_connections == RC_CONFIG_OVER_REPLACE;
	struct rc_user_place oldest[RC_USER_REPLACED_MAX];
	uint32_t goes = many && replace ? too_many(sv, user_at(sv, user), j->limit, oldest) : 0;

	if (!room_for(sv, j->shard, 1 + goes))
		return false;
	for (uint32_t i = 0; i < goes; i++) {
		if (!room_for(sv, oldest[i].shard, 1 + goes))
			return false;
	}
	if (many && !replace) {
		answer(sv, j, RC_NONE, RC_USER_TOO_MANY);
		return true;
	}
	struct rc_user_place *p = rc_pool_get(sv->pool, sizeof(*p));
	if (p && user == RC_NONE)
		user = make_user(sv, id, hash);
	else if (p && count == 0) {
		user_at(sv, user)->reconnects++;
		rc_count(sv->counters, RC_C_user_reconnects, 1);
	}
	if (!p || user == RC_NONE) {
		rc_pool_put(sv->pool, p, sizeof(*p));
		rc_count(sv->counters, RC_C_arena_refused, 1);
		answer(sv, j, RC_NONE, RC_USER_NO_ROOM);
		return true;
	}
	if (count == 0)
		gone_remove(sv, user);
	*p = (struct rc_user_place){
		.shard = j->shard, .slot = j->slot, .generation = j->generation};
	uint32_t place = rc_user_block_at(sv, p);
	add_place(sv, user, place);
	for (uint32_t i = 0; i < goes; i++)
		remove_place(sv, user_at(sv, user)->first);
	for (uint32_t i = 0; i < goes; i++) {
		struct rc_user_close_one one = {
			RC_USER_CLOSE_ONE, oldest[i].slot, oldest[i].generation};
		tell(sv, oldest[i].shard, &one, sizeof(one));
	}
	answer(sv, j, place, RC_USER_TAKEN);
	return true;
}
