/* SPDX-License-Identifier: Apache-2.0
 *
 * The owner's sum of who is in its channels, and the answers to who asks. What the channels are told of it is made in
 * presencetell.c.
 */
#include "hub/presents.h"

#include "proto/textbuf.h"

#define EXPIRIES_PER_TURN 4096u

/* ---- finding ------------------------------------------------------------------------------------ */

struct user_probe {
	const struct rc_hub *hub;
	uint32_t present;
	struct rc_str user;
};

static bool same_user(const void *ctx, uint32_t index)
{
	const struct user_probe *p = ctx;
	const struct rc_present_user *u = rc_present_user_at(p->hub, index);

	return u->present == p->present && rc_str_eq(rc_presence_user(&u->text), p->user);
}

static uint32_t present_of(struct rc_hub *h, uint32_t owned)
{
	struct rc_owned *o = rc_hub_owned(h, owned);

	if (o->presence != RC_NONE)
		return o->presence;
	uint32_t index = rc_slab_get(&h->presence.presents);
	RC_ASSERT(index != RC_NONE); /* as many as channels */
	struct rc_present *p = rc_present_at(h, index);
	memset(p, 0, sizeof(*p));
	p->owned = owned;
	p->user_first = RC_NONE;
	p->join_first = p->join_last = p->leave_first = p->leave_last = RC_NONE;
	o->presence = index;
	rc_owner_touch(h, owned);
	return index;
}

void rc_present_settle(struct rc_hub *h, uint32_t index)
{
	const struct rc_present *p = rc_present_at(h, index);

	if (p->clients || p->user_first != RC_NONE || p->state != RC_PRESENT_QUIET)
		return;
	uint32_t owned = p->owned;
	rc_slab_put(&h->presence.presents, index);
	rc_hub_owned(h, owned)->presence = RC_NONE;
	rc_owner_touch(h, owned);
}

/* ---- users -------------------------------------------------------------------------------------- */

/* RC_NONE: no room. */
static uint32_t make_user(
	struct rc_hub *h, uint32_t present, uint32_t hash, const struct rc_presence_change *c)
{
	struct rc_present *p = rc_present_at(h, present);
	uint32_t index = rc_slab_get(&h->presence.users);

	if (index == RC_NONE)
		return RC_NONE;
	struct rc_present_user *u = rc_present_user_at(h, index);
	*u = (struct rc_present_user){
		.present = present, .hash = hash, .prev = RC_NONE, .next = p->user_first};
	if (!rc_presence_text_set(h, &u->text, c->user, c->info)) {
		rc_slab_put(&h->presence.users, index);
		return RC_NONE;
	}
	rc_table_add(&h->presence.user_table, hash, index);
	if (p->user_first != RC_NONE)
		rc_present_user_at(h, p->user_first)->prev = index;
	p->user_first = index;
	rc_gauge_set(h->counters, RC_C_presence_entries, h->presence.users.used);
	return index;
}

void rc_present_user_free(struct rc_hub *h, uint32_t index)
{
	struct rc_present_user *u = rc_present_user_at(h, index);

	RC_ASSERT(!u->in && !u->changing && !u->lingering);
	if (u->prev == RC_NONE)
		rc_present_at(h, u->present)->user_first = u->next;
	else
		rc_present_user_at(h, u->prev)->next = u->next;
	if (u->next != RC_NONE)
		rc_present_user_at(h, u->next)->prev = u->prev;
	rc_table_remove(&h->presence.user_table, u->hash, index);
	rc_presence_text_clear(h, &u->text);
	rc_slab_put(&h->presence.users, index);
	rc_gauge_set(h->counters, RC_C_presence_entries, h->presence.users.used);
}

/* ---- lingering ---------------------------------------------------------------------------------- */

static struct rc_presence_line *lingering_of(struct rc_hub *h, const struct rc_present_user *u)
{
	const struct rc_present *p = rc_present_at(h, u->present);

	return &h->presence.lingering[rc_hub_owned(h, p->owned)->ns];
}

static void linger(struct rc_hub *h, uint32_t index)
{
	struct rc_present_user *u = rc_present_user_at(h, index);
	struct rc_presence_line *line = lingering_of(h, u);

	u->lingering = true;
	u->until_ns = h->now_ns +
		      rc_present_namespace(h, rc_present_at(h, u->present))->presence_linger_ms *
			      1000000ull;
	u->linger_next = RC_NONE;
	u->linger_prev = line->last;
	if (line->last == RC_NONE)
		line->first = index;
	else
		rc_present_user_at(h, line->last)->linger_next = index;
	line->last = index;
	h->presence.next_ns = RC_MIN(h->presence.next_ns, u->until_ns);
}

static void unlinger(struct rc_hub *h, uint32_t index)
{
	struct rc_present_user *u = rc_present_user_at(h, index);
	struct rc_presence_line *line = lingering_of(h, u);

	u->lingering = false;
	if (u->linger_prev == RC_NONE)
		line->first = u->linger_next;
	else
		rc_present_user_at(h, u->linger_prev)->linger_next = u->linger_next;
	if (u->linger_next == RC_NONE)
		line->last = u->linger_prev;
	else
		rc_present_user_at(h, u->linger_next)->linger_prev = u->linger_prev;
}

/* ---- joins and leaves --------------------------------------------------------------------------- */

/* It waits in a list until its channel is told; one that is in one already is looked at again there. */
static void change(struct rc_hub *h, uint32_t index)
{
	struct rc_present_user *u = rc_present_user_at(h, index);
	struct rc_present *p = rc_present_at(h, u->present);
	uint32_t *first = u->told ? &p->leave_first : &p->join_first;
	uint32_t *last = u->told ? &p->leave_last : &p->join_last;

	if (u->changing) {
		/* What it waited to tell is not so any more, and told to nobody. */
		rc_count(h->counters, RC_C_presence_coalesced, 1);
		return;
	}
	u->changing = true;
	u->change_next = RC_NONE;
	if (*first == RC_NONE)
		*first = index;
	else
		rc_present_user_at(h, *last)->change_next = index;
	*last = index;
}

static void joined(struct rc_hub *h, uint32_t index)
{
	struct rc_present_user *u = rc_present_user_at(h, index);
	struct rc_present *p = rc_present_at(h, u->present);
	const struct rc_hub_namespace *ns = rc_present_namespace(h, p);

	u->in = true;
	p->users++;
	rc_count(h->counters, RC_C_presence_joins, 1);
	if (ns->join_leave && !p->large)
		change(h, index);
	rc_present_note(h, u->present);
}

static void left(struct rc_hub *h, uint32_t index)
{
	struct rc_present_user *u = rc_present_user_at(h, index);
	uint32_t present = u->present;
	struct rc_present *p = rc_present_at(h, present);
	const struct rc_hub_namespace *ns = rc_present_namespace(h, p);

	u->in = false;
	p->users--;
	rc_count(h->counters, RC_C_presence_leaves, 1);
	/* One whose join is not told yet is let go there. */
	if (u->changing || (ns->join_leave && !p->large && u->told))
		change(h, index);
	else
		rc_present_user_free(h, index);
	rc_present_note(h, present);
}

static void expire(struct rc_hub *h)
{
	uint32_t budget = EXPIRIES_PER_TURN;

	for (uint32_t ns = 0; ns < h->limits.namespaces; ns++) {
		const struct rc_presence_line *line = &h->presence.lingering[ns];
		while (budget && line->first != RC_NONE &&
			rc_present_user_at(h, line->first)->until_ns <= h->now_ns) {
			uint32_t index = line->first;
			uint32_t present = rc_present_user_at(h, index)->present;
			unlinger(h, index);
			left(h, index);
			rc_present_settle(h, present);
			budget--;
		}
	}
}

/* So many connections of the user more, or fewer. */
static void connect(struct rc_hub *h, uint32_t index, int32_t more)
{
	struct rc_present_user *u = rc_present_user_at(h, index);
	struct rc_present *p = rc_present_at(h, u->present);
	/* What is missing belongs to those that had found no room. */
	uint32_t was = u->connections;
	int64_t now = RC_MAX((int64_t)was + more, (int64_t)0);

	u->connections = (uint32_t)now;
	p->connections += u->connections - was;
	if (u->connections && u->lingering) {
		unlinger(h, index);
		rc_count(h->counters, RC_C_presence_lingered, 1);
	} else if (u->connections && !u->in) {
		joined(h, index);
	} else if (was && !u->connections) {
		linger(h, index);
	}
}

static void take_user(struct rc_hub *h, uint32_t present, const struct rc_presence_change *c)
{
	uint32_t hash = rc_presence_hash(h, present, c->user);
	struct user_probe probe = {h, present, c->user};
	uint32_t index = rc_table_find(&h->presence.user_table, hash, same_user, &probe);
	struct rc_present_user *u;

	if (index == RC_NONE && c->connections > 0) {
		index = make_user(h, present, hash, c);
		if (index == RC_NONE)
			rc_count(h->counters, RC_C_presence_full, 1);
	}
	if (index == RC_NONE)
		return;
	u = rc_present_user_at(h, index);
	if (c->info.len && !rc_str_eq(rc_presence_info(&u->text), c->info) &&
		!rc_presence_text_set(h, &u->text, c->user, c->info))
		rc_count(h->counters, RC_C_arena_refused, 1);
	if (c->connections)
		connect(h, index, c->connections);
}

static void add(uint32_t *count, int32_t more)
{
	int64_t now = (int64_t)*count + more;

	RC_DASSERT(now >= 0);
	*count = (uint32_t)RC_MAX(now, (int64_t)0);
}

void rc_presence_take(struct rc_hub *h, const struct rc_presence_change *c)
{
	uint32_t owned = rc_owner_find(h, c->channel, c->hash);

	/* Whoever tells has subscribers, or had when he last told: the channel is known. */
	RC_DASSERT(owned != RC_NONE);
	if (owned == RC_NONE)
		return;
	uint32_t index = present_of(h, owned);
	struct rc_present *p = rc_present_at(h, index);
	if (c->user.len)
		take_user(h, index, c);
	add(&p->clients, c->connections + c->anonymous + c->unlisted);
	add(&p->anonymous, c->anonymous);
	if (c->connections || c->anonymous || c->unlisted)
		rc_present_note(h, index);
	rc_present_settle(h, index);
}

/* ---- answering ---------------------------------------------------------------------------------- */

static void add_user(struct rc_textbuf *b, const struct rc_present_user *u)
{
	if (b->len)
		rc_textbuf_add_char(b, ',');
	rc_textbuf_add_text(b, "{\"user\":");
	rc_textbuf_add_string(b, rc_presence_user(&u->text));
	rc_textbuf_add_text(b, ",\"connections\":");
	rc_textbuf_add_u64(b, u->connections);
	if (u->text.info_len) {
		rc_textbuf_add_text(b, ",\"info\":");
		rc_textbuf_add(b, rc_presence_info(&u->text));
	}
	rc_textbuf_add_char(b, '}');
}

/* False: not all of them. */
static bool list_users(struct rc_hub *h, const struct rc_present *p, struct rc_textbuf *b)
{
	for (uint32_t i = p->user_first; i != RC_NONE; i = rc_present_user_at(h, i)->next) {
		const struct rc_present_user *u = rc_present_user_at(h, i);
		size_t before = b->len;
		if (!u->in)
			continue;
		add_user(b, u);
		if (b->full) {
			b->len = before;
			return false;
		}
	}
	return true;
}

bool rc_presence_answer(struct rc_hub *h, const struct rc_presence_ask *ask)
{
	struct rc_presence_told told = {
		.slot = ask->slot, .generation = ask->generation, .complete = true};
	uint32_t room = h->port.fetch_room(h->port.ctx, ask->shard);
	struct rc_textbuf b = {.ptr = (char *)h->fetch, .cap = RC_MIN(room, h->fetch_size)};

	if (room == 0)
		return false;
	uint32_t owned = rc_owner_find(h, ask->channel, rc_hub_hash(h, ask->channel));
	uint32_t index = owned == RC_NONE ? RC_NONE : rc_hub_owned(h, owned)->presence;
	if (index != RC_NONE) {
		const struct rc_present *p = rc_present_at(h, index);
		told.count = p->users;
		told.clients = p->clients;
		told.anonymous = p->anonymous;
		/* Those who found no room are no users that anybody could list. */
		bool some_unlisted = p->clients - p->anonymous > p->connections;
		if (!ask->counts)
			told.complete = p->users <= rc_present_namespace(h, p)->presence_max &&
					list_users(h, p, &b) && !some_unlisted;
		else
			told.complete = !some_unlisted;
	}
	told.users = b.ptr;
	told.users_len = (uint32_t)b.len;
	h->port.tell_presence(h->port.ctx, ask->shard, &told);
	return true;
}

/* ---- the turn ----------------------------------------------------------------------------------- */

void rc_presence_turn(struct rc_hub *h)
{
	struct rc_presence *p = &h->presence;

	if (!p->on)
		return;
	p->blocked = false;
	rc_presence_report(h);
	expire(h);
	rc_presence_tell(h);
	p->next_ns = p->due.first == RC_NONE ? UINT64_MAX : h->now_ns;
	for (uint32_t ns = 0; ns < h->limits.namespaces; ns++) {
		uint32_t user = p->lingering[ns].first, present = p->cooling[ns].first;
		if (user != RC_NONE)
			p->next_ns = RC_MIN(p->next_ns, rc_present_user_at(h, user)->until_ns);
		if (present != RC_NONE)
			p->next_ns = RC_MIN(p->next_ns, rc_present_at(h, present)->due_ns);
	}
}

void rc_presence_check(const struct rc_hub *h)
{
	const struct rc_presence *p = &h->presence;
	uint32_t users = 0;

	if (!p->on)
		return;
	RC_ASSERT(p->here_table.count == p->heres.used && p->guest_table.count == p->guests.used);
	RC_ASSERT(p->user_table.count == p->users.used);
	for (uint32_t i = 0; i <= h->owned_table.mask; i++) {
		if (h->owned_table.cell[i].used == 0)
			continue;
		const struct rc_owned *o = rc_hub_owned(h, h->owned_table.cell[i].used - 1);
		if (o->presence == RC_NONE)
			continue;
		const struct rc_present *x = rc_present_at(h, o->presence);
		uint32_t in = 0, connections = 0;
		RC_ASSERT(rc_hub_owned(h, x->owned) == o && !o->idle);
		for (uint32_t u = x->user_first; u != RC_NONE; u = rc_present_user_at(h, u)->next) {
			in += rc_present_user_at(h, u)->in;
			connections += rc_present_user_at(h, u)->connections;
			RC_ASSERT(
				rc_present_user_at(h, u)->in || rc_present_user_at(h, u)->changing);
			RC_ASSERT(rc_present_user_at(h, u)->lingering ==
				  (rc_present_user_at(h, u)->in &&
					  !rc_present_user_at(h, u)->connections));
			users++;
		}
		RC_ASSERT(in == x->users && connections == x->connections);
		RC_ASSERT(x->clients - x->anonymous >= x->connections);
		RC_ASSERT(x->clients || x->user_first != RC_NONE || x->state != RC_PRESENT_QUIET);
	}
	RC_ASSERT(users == p->users.used);
}
