/* SPDX-License-Identifier: Apache-2.0
 *
 * The connections of users on this shard. See users.h.
 */
#include "serve/users.h"

#include "base/utf8.h"

static struct rc_user_local *local_at(const struct rc_serve *sv, uint32_t at)
{
	return rc_user_block(sv, at);
}

static struct rc_user_member *member_at(const struct rc_serve *sv, uint32_t at)
{
	return rc_user_block(sv, at);
}

bool rc_user_id_valid(struct rc_str id)
{
	if (id.len == 0 || id.len > RC_USER_MAX || !rc_utf8_valid(id.ptr, id.len))
		return false;
	for (size_t i = 0; i < id.len; i++) {
		if ((unsigned char)id.ptr[i] < 0x20 || id.ptr[i] == 0x7f)
			return false;
	}
	return true;
}

/* ---- memory ------------------------------------------------------------------------------------- */

static size_t table_bytes(uint32_t count)
{
	return rc_align_up(rc_table_cells(count) * sizeof(struct rc_table_cell), RC_CACHE_LINE);
}

size_t rc_users_bytes(uint32_t conns_max, uint32_t users_max, uint32_t frame_max)
{
	return rc_align_up(sizeof(struct rc_users), RC_CACHE_LINE) + table_bytes(conns_max) +
	       table_bytes(users_max) + frame_max;
}

void rc_users_init(struct rc_serve *sv, void *memory, uint32_t conns_max, uint32_t users_max)
{
	unsigned char *at = memory;
	struct rc_users *u = memory;

	at += rc_align_up(sizeof(*u), RC_CACHE_LINE);
	rc_table_init(&u->local, (void *)at, rc_table_cells(conns_max));
	at += table_bytes(conns_max);
	rc_table_init(&u->homed, (void *)at, rc_table_cells(users_max));
	at += table_bytes(users_max);
	u->text = (char *)at;
	u->homed_max = users_max;
	u->gone_first = u->gone_last = RC_NONE;
	u->due_first = u->due_last = RC_NONE;
	u->walk = RC_NONE;
	sv->users = u;
}

/* ---- the local user ----------------------------------------------------------------------------- */

struct probe {
	const struct rc_serve *sv;
	struct rc_str id;
};

/* All members of a user have its id in their claims. */
static bool same(const void *ctx, uint32_t index)
{
	const struct probe *p = ctx;
	const struct rc_user_member *m = member_at(p->sv, local_at(p->sv, index)->first);

	return rc_str_eq(rc_session_user(p->sv, &p->sv->conns->at[m->slot]), p->id);
}

uint32_t rc_user_local_find(const struct rc_serve *sv, struct rc_str id, uint64_t hash)
{
	struct probe probe = {sv, id};

	return rc_table_find(&sv->users->local, (uint32_t)(hash >> 32), same, &probe);
}

static void link_member(struct rc_serve *sv, struct rc_user_member *m, uint32_t local)
{
	struct rc_user_local *l = local_at(sv, local);
	uint32_t at = rc_user_block_at(sv, m);

	m->local = local;
	m->prev = RC_NONE;
	m->next = l->first;
	if (l->first != RC_NONE)
		member_at(sv, l->first)->prev = at;
	l->first = at;
}

static void unlink_member(struct rc_serve *sv, struct rc_user_member *m)
{
	struct rc_users *u = sv->users;
	struct rc_user_local *l = local_at(sv, m->local);

	if (u->walk == rc_user_block_at(sv, m))
		u->walk = m->next;
	if (m->next != RC_NONE)
		member_at(sv, m->next)->prev = m->prev;
	if (m->prev != RC_NONE)
		member_at(sv, m->prev)->next = m->next;
	else
		l->first = m->next;
	if (l->first != RC_NONE)
		return;
	rc_table_remove(&u->local, l->hash, m->local);
	rc_pool_put(sv->pool, l, sizeof(*l));
}

/* RC_NONE: no memory. */
static uint32_t need_local(struct rc_serve *sv, struct rc_str id, uint64_t hash)
{
	uint32_t at = rc_user_local_find(sv, id, hash);
	struct rc_user_local *l;

	if (at != RC_NONE)
		return at;
	l = rc_pool_get(sv->pool, sizeof(*l));
	if (!l)
		return RC_NONE;
	*l = (struct rc_user_local){.hash = (uint32_t)(hash >> 32), .first = RC_NONE};
	at = rc_user_block_at(sv, l);
	rc_table_add(&sv->users->local, l->hash, at);
	return at;
}

/* ---- asking ------------------------------------------------------------------------------------- */

static bool ask(struct rc_serve *sv, uint32_t shard, const void *bytes, size_t len)
{
	void *room;

	if (shard == sv->shard)
		return rc_users_asked(sv, bytes, len);
	room = sv->port.user_reserve(sv->port.ctx, shard, true, len);
	if (!room)
		return false;
	memcpy(room, bytes, len);
	sv->port.user_commit(sv->port.ctx, shard, true, len);
	return true;
}

static void make_due(struct rc_serve *sv, struct rc_user_member *m)
{
	struct rc_users *u = sv->users;
	uint32_t at = rc_user_block_at(sv, m);

	m->due = true;
	m->due_next = RC_NONE;
	if (u->due_last != RC_NONE)
		member_at(sv, u->due_last)->due_next = at;
	else
		u->due_first = at;
	u->due_last = at;
}

static void make_due_first(struct rc_serve *sv, struct rc_user_member *m)
{
	struct rc_users *u = sv->users;

	m->due = true;
	m->due_next = u->due_first;
	u->due_first = rc_user_block_at(sv, m);
	if (m->due_next == RC_NONE)
		u->due_last = u->due_first;
}

static bool ask_join(struct rc_serve *sv, struct rc_user_member *m)
{
	const struct rc_conn *c = &sv->conns->at[m->slot];
	const struct rc_claims *claims = rc_session_claims(sv, c);
	struct rc_str id = rc_claims_user(claims);
	struct rc_user_join j = {
		.kind = RC_USER_JOIN,
		.shard = sv->shard,
		.slot = m->slot,
		.generation = c->generation,
		.member = rc_user_block_at(sv, m),
		.limit = claims->max_connections ? claims->max_connections
						 : sv->config->limit_max_connections_per_user,
		.id_len = (uint32_t)id.len,
	};

	(void)rc_str_copy(j.id, id);
	/* The answer may come before this returns. */
	m->asked = true;
	if (ask(sv, m->home, &j, sizeof(j)))
		return true;
	m->asked = false;
	return false;
}

/* False: no room. Otherwise a member that left is no more. */
static bool tell_one(struct rc_serve *sv, struct rc_user_member *m)
{
	struct rc_user_leave leave = {RC_USER_LEAVE, m->place};

	if (m->slot != RC_NONE)
		return ask_join(sv, m);
	if (m->asked && !ask(sv, m->home, &leave, sizeof(leave)))
		return false;
	rc_pool_put(sv->pool, m, sizeof(*m));
	return true;
}

static void tell_due(struct rc_serve *sv)
{
	struct rc_users *u = sv->users;

	if (u->due_first == RC_NONE || u->telling)
		return;
	u->telling = true;
	while (u->due_first != RC_NONE) {
		struct rc_user_member *m = member_at(sv, u->due_first);

		u->due_first = m->due_next;
		if (u->due_first == RC_NONE)
			u->due_last = RC_NONE;
		m->due = false;
		if (!tell_one(sv, m)) {
			make_due_first(sv, m);
			break;
		}
	}
	u->telling = false;
}

static void refuse(struct rc_serve *sv, struct rc_conn *c)
{
	rc_count(sv->counters, RC_C_users_refused, 1);
	rc_session_joined(sv, c, false);
}

void rc_users_join(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_session *s = rc_session_of(sv, c);
	struct rc_str id = rc_claims_user(s->claims);
	uint64_t hash = rc_user_hash(sv, id);

	RC_ASSERT(s->user == RC_NONE && id.len > 0 && id.len <= RC_USER_MAX);
	struct rc_user_member *m = rc_pool_get(sv->pool, sizeof(*m));
	uint32_t local = m ? need_local(sv, id, hash) : RC_NONE;
	if (local == RC_NONE) {
		rc_pool_put(sv->pool, m, sizeof(*m));
		rc_count(sv->counters, RC_C_arena_refused, 1);
		refuse(sv, c);
		return;
	}
	*m = (struct rc_user_member){.slot = rc_conn_slot(sv->conns, c),
		.home = rc_user_home(sv, hash),
		.place = RC_NONE};
	link_member(sv, m, local);
	s->user = rc_user_block_at(sv, m);
	make_due(sv, m);
	tell_due(sv);
}

/* The home is told later: whoever calls may be in the middle of a list of connections. */
void rc_users_leave(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_session *s = rc_session_of(sv, c);

	if (!s || s->user == RC_NONE)
		return;
	struct rc_user_member *m = member_at(sv, s->user);
	s->user = RC_NONE;
	unlink_member(sv, m);
	m->slot = RC_NONE;
	/* Where the home has put it is told by its answer, if that is under way. */
	if (m->joined && !m->due)
		make_due(sv, m);
}

/* ---- what the home says -------------------------------------------------------------------------- */

void rc_user_joined(struct rc_serve *sv, const struct rc_user_joined *j)
{
	struct rc_user_member *m = member_at(sv, j->member);
	struct rc_conn *c = m->slot == RC_NONE ? NULL : &sv->conns->at[m->slot];

	RC_ASSERT(!m->joined);
	m->joined = true;
	m->place = j->place;
	if (j->verdict == RC_USER_TAKEN) {
		if (c)
			rc_session_joined(sv, c, true);
		else
			make_due(sv, m);
		return;
	}
	if (c) {
		rc_session_of(sv, c)->user = RC_NONE;
		unlink_member(sv, m);
	}
	rc_pool_put(sv->pool, m, sizeof(*m));
	if (c)
		refuse(sv, c);
}

void rc_user_end(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *reason,
	enum rc_counter counted)
{
	if (c->state != RC_CONN_OPEN)
		return;
	if (c->kind == RC_CONN_WS || c->kind == RC_CONN_SSE)
		rc_serve_end(sv, c, code, reason, counted);
	else
		rc_conn_kill(sv->conns, c);
}

void rc_user_close_one(struct rc_serve *sv, const struct rc_user_close_one *one)
{
	struct rc_conn *c = rc_conn_get(sv->conns, one->slot, one->generation);

	if (c)
		rc_user_end(sv, c, RC_CLOSE_REPLACED,
			"replaced by a newer connection of the same user", RC_C_close_replaced);
}

/* ---- the shard's ways in -------------------------------------------------------------------------- */

bool rc_users_asked(struct rc_serve *sv, const void *bytes, size_t len)
{
	const uint32_t *kind = bytes;

	RC_ASSERT(len >= sizeof(struct rc_user_leave));
	switch ((enum rc_user_kind) * kind) {
	case RC_USER_JOIN:
		return rc_user_home_join(sv, bytes);
	case RC_USER_LEAVE:
		rc_user_home_leave(sv, ((const struct rc_user_leave *)bytes)->place);
		return true;
	case RC_USER_SEND:
		return rc_user_send_asked(sv, bytes);
	default:
		RC_FAIL("unknown ask about a user");
		return true;
	}
}

void rc_users_told(struct rc_serve *sv, const void *bytes, size_t len)
{
	const uint32_t *kind = bytes;

	RC_ASSERT(len >= sizeof(struct rc_user_close_one));
	switch ((enum rc_user_kind) * kind) {
	case RC_USER_JOINED:
		rc_user_joined(sv, bytes);
		break;
	case RC_USER_DELIVER:
		rc_user_deliver_told(sv, bytes);
		break;
	case RC_USER_CLOSE_ONE:
		rc_user_close_one(sv, bytes);
		break;
	default:
		RC_FAIL("unknown tell about a user");
	}
}

void rc_users_turn(struct rc_serve *sv)
{
	tell_due(sv);
	rc_user_home_sweep(sv);
}

bool rc_users_waiting(const struct rc_serve *sv)
{
	return sv->users && sv->users->due_first != RC_NONE;
}

/* ---- invariants ----------------------------------------------------------------------------------- */

static uint32_t check_local(const struct rc_serve *sv, uint32_t local)
{
	uint32_t prev = RC_NONE, count = 0;

	for (uint32_t at = local_at(sv, local)->first; at != RC_NONE;) {
		const struct rc_user_member *m = member_at(sv, at);
		RC_ASSERT(m->local == local && m->prev == prev && m->slot < sv->conns->mark);
		RC_ASSERT(rc_session_of(sv, &sv->conns->at[m->slot])->user == at);
		prev = at;
		at = m->next;
		count++;
	}
	RC_ASSERT(count > 0);
	return count;
}

static void check_homed(const struct rc_serve *sv, const struct rc_user *u)
{
	uint32_t on[RC_SHARDS_MAX] = {0};
	uint32_t count = 0, prev = RC_NONE;

	for (uint32_t at = u->first; at != RC_NONE;) {
		const struct rc_user_place *p = rc_user_block(sv, at);
		RC_ASSERT(p->user == rc_user_block_at(sv, u) && p->prev == prev);
		on[p->shard]++;
		count++;
		prev = at;
		at = p->next;
	}
	RC_ASSERT(count == u->count && prev == u->last);
	for (uint32_t i = 0; i < sv->hub->limits.shards; i++)
		RC_ASSERT(on[i] == u->on[i]);
}

void rc_users_check(const struct rc_serve *sv)
{
	const struct rc_users *u = sv->users;
	uint64_t users = 0;
	uint32_t locals = 0, homed = 0, gone = 0;

	for (uint32_t i = 0; i <= u->local.mask; i++) {
		if (u->local.cell[i].used && check_local(sv, u->local.cell[i].used - 1))
			locals++;
	}
	for (uint32_t i = 0; i <= u->homed.mask; i++) {
		if (!u->homed.cell[i].used)
			continue;
		const struct rc_user *user = rc_user_block(sv, u->homed.cell[i].used - 1);
		check_homed(sv, user);
		homed++;
		users += user->count > 0;
	}
	for (uint32_t at = u->gone_first; at != RC_NONE;) {
		const struct rc_user *user = rc_user_block(sv, at);
		RC_ASSERT(user->count == 0);
		gone++;
		at = user->gone_next;
	}
	RC_ASSERT(locals == u->local.count && homed == u->homed.count && users == u->users);
	RC_ASSERT(homed == users + gone);
}
