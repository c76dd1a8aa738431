/* SPDX-License-Identifier: Apache-2.0
 *
 * What a shard knows of its own clients' channels, and what of it the owners know.
 */
#include "hub/replica.h"

/* Records that one turn writes. */
#define REPORTS_PER_TURN 2048u

static struct rc_here *here_at(const struct rc_hub *h, uint32_t index)
{
	return rc_slab_at(&h->presence.heres, index);
}

static struct rc_guest *guest_at(const struct rc_hub *h, uint32_t index)
{
	return rc_slab_at(&h->presence.guests, index);
}

uint32_t rc_presence_hash(const struct rc_hub *h, uint32_t channel, struct rc_str user)
{
	uint64_t hash = rc_hash(&h->key, user.ptr, user.len);

	return (uint32_t)rc_hash_u64(&h->key, hash ^ ((uint64_t)channel << 32));
}

bool rc_presence_text_set(
	struct rc_hub *h, struct rc_presence_text *t, struct rc_str user, struct rc_str info)
{
	char *ptr = rc_pool_get(h->pool, user.len + info.len);

	if (!ptr)
		return false;
	(void)rc_str_copy(rc_str_copy(ptr, user), info);
	if (t->ptr)
		rc_presence_text_clear(h, t);
	*t = (struct rc_presence_text){ptr, (uint16_t)user.len, (uint16_t)info.len};
	return true;
}

void rc_presence_text_clear(struct rc_hub *h, struct rc_presence_text *t)
{
	rc_pool_put(h->pool, t->ptr, (size_t)t->user_len + t->info_len);
	t->ptr = NULL;
}

/* ---- finding ------------------------------------------------------------------------------------ */

struct here_probe {
	const struct rc_hub *hub;
	struct rc_str name;
};

static bool same_here(const void *ctx, uint32_t index)
{
	const struct here_probe *p = ctx;
	const struct rc_here *x = here_at(p->hub, index);

	return rc_str_eq((struct rc_str){x->name, x->name_len}, p->name);
}

static uint32_t find_here(const struct rc_hub *h, struct rc_str name, uint32_t hash)
{
	struct here_probe probe = {h, name};

	return rc_table_find(&h->presence.here_table, hash, same_here, &probe);
}

struct guest_probe {
	const struct rc_hub *hub;
	uint32_t here;
	struct rc_str user;
};

static bool same_guest(const void *ctx, uint32_t index)
{
	const struct guest_probe *p = ctx;
	const struct rc_guest *g = guest_at(p->hub, index);

	return g->here == p->here && rc_str_eq(rc_presence_user(&g->text), p->user);
}

static uint32_t find_guest(const struct rc_hub *h, uint32_t here, struct rc_str user, uint32_t hash)
{
	struct guest_probe probe = {h, here, user};

	return rc_table_find(&h->presence.guest_table, hash, same_guest, &probe);
}

bool rc_presence_wanted(const struct rc_hub *h, struct rc_str name)
{
	if (!h->presence.on || rc_name_reserved(name) || rc_name_is_pattern(name))
		return false;
	return h->namespaces[h->port.namespace_of(h->port.ctx, name)].presence;
}

/* ---- coming and going --------------------------------------------------------------------------- */

static void pend_here(struct rc_hub *h, uint32_t index)
{
	struct rc_presence *p = &h->presence;
	struct rc_here *x = here_at(h, index);

	p->fresh = true;
	if (x->pending)
		return;
	x->pending = true;
	x->next = RC_NONE;
	if (p->pending.first == RC_NONE)
		p->pending.first = index;
	else
		here_at(h, p->pending.last)->next = index;
	p->pending.last = index;
}

static void pend_guest(struct rc_hub *h, uint32_t index)
{
	struct rc_guest *g = guest_at(h, index);
	struct rc_here *x = here_at(h, g->here);

	if (!g->pending) {
		g->pending = true;
		g->next = RC_NONE;
		if (x->guest_first == RC_NONE)
			x->guest_first = index;
		else
			guest_at(h, x->guest_last)->next = index;
		x->guest_last = index;
	}
	pend_here(h, g->here);
}

bool rc_presence_reserve(struct rc_hub *h, struct rc_str name)
{
	struct rc_presence *p = &h->presence;

	if (!rc_presence_wanted(h, name))
		return true;
	uint32_t hash = rc_hub_hash(h, name);
	if (find_here(h, name, hash) != RC_NONE)
		return true;
	uint32_t index = rc_slab_get(&p->heres);
	if (index == RC_NONE)
		return false;
	char *text = rc_pool_get(h->pool, name.len);
	if (!text) {
		rc_slab_put(&p->heres, index);
		return false;
	}
	(void)rc_str_copy(text, name);
	*here_at(h, index) = (struct rc_here){
		.name = text,
		.name_len = (uint16_t)name.len,
		.hash = hash,
		.guest_first = RC_NONE,
	};
	rc_table_add(&p->here_table, hash, index);
	pend_here(h, index);
	return true;
}

/* RC_NONE: no room. */
static uint32_t make_guest(
	struct rc_hub *h, uint32_t here, uint32_t hash, struct rc_str user, struct rc_str info)
{
	struct rc_presence *p = &h->presence;
	uint32_t index = rc_slab_get(&p->guests);

	if (index == RC_NONE)
		return RC_NONE;
	struct rc_guest *g = guest_at(h, index);
	*g = (struct rc_guest){.here = here, .hash = hash};
	if (!rc_presence_text_set(h, &g->text, user, info)) {
		rc_slab_put(&p->guests, index);
		return RC_NONE;
	}
	rc_table_add(&p->guest_table, hash, index);
	here_at(h, here)->guests++;
	return index;
}

static void renew(struct rc_hub *h, struct rc_guest *g, struct rc_str user, struct rc_str info)
{
	if (rc_str_eq(rc_presence_info(&g->text), info))
		return;
	/* Without memory the older one stays. */
	if (rc_presence_text_set(h, &g->text, user, info))
		g->renewed = true;
	else
		rc_count(h->counters, RC_C_arena_refused, 1);
}

void rc_presence_enter(struct rc_hub *h, struct rc_str name, struct rc_str user, struct rc_str info)
{
	if (!rc_presence_wanted(h, name))
		return;
	uint32_t here = find_here(h, name, rc_hub_hash(h, name));
	RC_ASSERT(here != RC_NONE);
	struct rc_here *x = here_at(h, here);
	if (user.len == 0) {
		x->anonymous++;
		pend_here(h, here);
		return;
	}
	uint32_t hash = rc_presence_hash(h, here, user);
	uint32_t guest = find_guest(h, here, user, hash);
	if (guest == RC_NONE) {
		guest = make_guest(h, here, hash, user, info);
		if (guest == RC_NONE) {
			rc_count(h->counters, RC_C_presence_full, 1);
			x->unlisted++;
			pend_here(h, here);
			return;
		}
	} else {
		renew(h, guest_at(h, guest), user, info);
	}
	guest_at(h, guest)->connections++;
	pend_guest(h, guest);
}

void rc_presence_leave(struct rc_hub *h, struct rc_str name, struct rc_str user)
{
	if (!rc_presence_wanted(h, name))
		return;
	uint32_t here = find_here(h, name, rc_hub_hash(h, name));
	RC_ASSERT(here != RC_NONE);
	struct rc_here *x = here_at(h, here);
	uint32_t guest =
		user.len ? find_guest(h, here, user, rc_presence_hash(h, here, user)) : RC_NONE;
	if (guest != RC_NONE && guest_at(h, guest)->connections) {
		guest_at(h, guest)->connections--;
		pend_guest(h, guest);
		return;
	}
	uint32_t *count = user.len ? &x->unlisted : &x->anonymous;
	RC_DASSERT(*count);
	*count -= *count > 0;
	pend_here(h, here);
}

void rc_presence_renew(struct rc_hub *h, struct rc_str name, struct rc_str user, struct rc_str info)
{
	if (!rc_presence_wanted(h, name))
		return;
	uint32_t here = find_here(h, name, rc_hub_hash(h, name));
	uint32_t guest = here == RC_NONE
				 ? RC_NONE
				 : find_guest(h, here, user, rc_presence_hash(h, here, user));
	if (guest == RC_NONE)
		return;
	renew(h, guest_at(h, guest), user, info);
	if (guest_at(h, guest)->renewed)
		pend_guest(h, guest);
}

/* ---- telling ------------------------------------------------------------------------------------ */

static struct rc_presence_change change_of(const struct rc_here *x)
{
	return (struct rc_presence_change){.channel = {x->name, x->name_len}, .hash = x->hash};
}

static bool report(struct rc_hub *h, const struct rc_presence_change *c)
{
	if (h->port.ask_presence(h->port.ctx, rc_hub_owner(h, c->hash), c))
		return true;
	h->presence.blocked = true;
	return false;
}

static void free_guest(struct rc_hub *h, uint32_t index)
{
	struct rc_guest *g = guest_at(h, index);

	here_at(h, g->here)->guests--;
	rc_table_remove(&h->presence.guest_table, g->hash, index);
	rc_presence_text_clear(h, &g->text);
	rc_slab_put(&h->presence.guests, index);
}

/* False: the owner does not know all of it yet. */
static bool report_guest(struct rc_hub *h, struct rc_here *x, struct rc_guest *g, bool may)
{
	struct rc_presence_change c = change_of(x);

	c.connections = (int32_t)(g->connections - g->told);
	if (c.connections == 0 && !(g->renewed && g->told))
		return true;
	c.user = rc_presence_user(&g->text);
	/* Who only leaves has nothing to say of himself. */
	if (c.connections > 0 || g->renewed)
		c.info = rc_presence_info(&g->text);
	if (!may || !report(h, &c))
		return false;
	x->connections_told += g->connections - g->told;
	g->told = g->connections;
	g->renewed = false;
	return true;
}

static bool report_counts(struct rc_hub *h, struct rc_here *x, bool may)
{
	struct rc_presence_change c = change_of(x);

	c.anonymous = (int32_t)(x->anonymous - x->anonymous_told);
	c.unlisted = (int32_t)(x->unlisted - x->unlisted_told);
	if (c.anonymous == 0 && c.unlisted == 0)
		return true;
	if (!may || !report(h, &c))
		return false;
	x->anonymous_told = x->anonymous;
	x->unlisted_told = x->unlisted;
	return true;
}

/*
 * The owner has the channel once it has answered the replica's wish, and as long as it knows of anybody here. Before that nobody
 * is told of: the subscribers may be refused yet.
 */
static bool may_report(const struct rc_hub *h, const struct rc_here *x)
{
	if (x->connections_told || x->anonymous_told || x->unlisted_told)
		return true;
	uint32_t replica = rc_replica_named(h, (struct rc_str){x->name, x->name_len}, x->hash);
	return replica != RC_NONE && rc_hub_replica(h, replica)->state == RC_REPLICA_ACTIVE;
}

/* False: something is left to tell. */
static bool report_here(struct rc_hub *h, uint32_t index, uint32_t *budget)
{
	struct rc_here *x = here_at(h, index);
	bool may = may_report(h, x);

	if (!report_counts(h, x, may))
		return false;
	while (x->guest_first != RC_NONE) {
		uint32_t guest = x->guest_first;
		struct rc_guest *g = guest_at(h, guest);
		if (*budget == 0 || !report_guest(h, x, g, may))
			return false;
		--*budget;
		x->guest_first = g->next;
		g->pending = false;
		if (g->connections == 0)
			free_guest(h, guest);
	}
	return true;
}

static void free_here(struct rc_hub *h, uint32_t index)
{
	struct rc_here *x = here_at(h, index);

	rc_table_remove(&h->presence.here_table, x->hash, index);
	rc_pool_put(h->pool, x->name, x->name_len);
	rc_slab_put(&h->presence.heres, index);
}

void rc_presence_report(struct rc_hub *h)
{
	struct rc_presence *p = &h->presence;
	uint32_t last = p->pending.last;
	uint32_t budget = REPORTS_PER_TURN;
	bool more = p->pending.first != RC_NONE;

	p->fresh = false;
	while (more && budget) {
		uint32_t index = p->pending.first;
		struct rc_here *x = here_at(h, index);
		more = index != last;
		p->pending.first = x->next;
		x->pending = false;
		budget--;
		if (!report_here(h, index, &budget))
			pend_here(h, index);
		else if (x->guests == 0 && x->anonymous == 0 && x->unlisted == 0)
			free_here(h, index);
	}
	/* Those that wait for their replica or for room are not new; those that this turn had no time for are. */
	p->fresh = budget == 0;
}
