/* SPDX-License-Identifier: Apache-2.0
 *
 * The desk's entries: where they lie, which list each is in, what is kept of it. See desk.h.
 */
#include "serve/deskentry.h"

/* ---- records -------------------------------------------------------------------------------------- */

void rc_command_pack(struct rc_command_record *out, const struct rc_command *c)
{
	*out = (struct rc_command_record){
		.call = c->call,
		.deadline_ns = c->deadline_ns,
		.key = c->key,
		.lost = c->lost,
		.data_len = (uint32_t)c->data.len,
		.type_len = (uint8_t)c->type.len,
		.user_len = (uint8_t)c->user.len,
		.message_len = (uint8_t)c->message.len,
		.idempotent = c->idempotent,
		.again = c->again,
	};
	if (c->session.len)
		memcpy(out->session, c->session.ptr, RC_DESK_SESSION);
	char *at = rc_str_copy(out->bytes, c->type);
	at = rc_str_copy(at, c->user);
	at = rc_str_copy(at, c->message);
	(void)rc_str_copy(at, c->data);
}

struct rc_command rc_command_unpack(const struct rc_command_record *r)
{
	const char *user = r->bytes + r->type_len, *message = user + r->user_len;

	return (struct rc_command){
		.call = r->call,
		.deadline_ns = r->deadline_ns,
		.key = r->key,
		.session = {r->session, RC_DESK_SESSION},
		.type = {r->bytes, r->type_len},
		.user = {user, r->user_len},
		.message = {message, r->message_len},
		.data = {message + r->message_len, r->data_len},
		.lost = r->lost,
		.idempotent = r->idempotent,
		.again = r->again,
	};
}

/* ---- memory --------------------------------------------------------------------------------------- */

static size_t entries_bytes(const struct rc_desk_limits *l)
{
	return rc_align_up(l->commands * sizeof(struct rc_desk_entry), RC_CACHE_LINE);
}

static size_t generations_bytes(const struct rc_desk_limits *l)
{
	return rc_align_up(l->commands * sizeof(uint32_t), RC_CACHE_LINE);
}

size_t rc_desk_bytes(const struct rc_desk_limits *limits)
{
	return entries_bytes(limits) + generations_bytes(limits) +
	       rc_roster_bytes(limits->backends);
}

void rc_desk_init(struct rc_desk *d, const struct rc_desk_limits *limits,
	const struct rc_desk_port *port, const struct rc_hash_key *key, struct rc_pool *pool,
	struct rc_counters_shard *counters, void *memory)
{
	unsigned char *at = memory;

	memset(d, 0, sizeof(*d));
	d->limits = *limits;
	d->port = *port;
	d->pool = pool;
	d->counters = counters;
	d->oldest = d->youngest = d->answer_first = d->answer_last = RC_NONE;
	d->registering = RC_NONE;
	rc_slab_init(&d->entries, at, sizeof(struct rc_desk_entry), limits->commands);
	at += entries_bytes(limits);
	d->generation = (uint32_t *)(void *)at;
	at += generations_bytes(limits);
	rc_roster_init(&d->roster, key, pool, limits->backends, at);
}

/* ---- lists ---------------------------------------------------------------------------------------- */

void rc_desk_append(struct rc_desk *d, uint32_t *first, uint32_t *last, uint32_t at)
{
	struct rc_desk_entry *e = rc_desk_entry(d, at);

	e->next = RC_NONE;
	e->prev = *last;
	if (*last != RC_NONE)
		rc_desk_entry(d, *last)->next = at;
	else
		*first = at;
	*last = at;
}

void rc_desk_put_first(struct rc_desk *d, uint32_t *first, uint32_t *last, uint32_t at)
{
	struct rc_desk_entry *e = rc_desk_entry(d, at);

	e->prev = RC_NONE;
	e->next = *first;
	if (*first != RC_NONE)
		rc_desk_entry(d, *first)->prev = at;
	else if (last)
		*last = at;
	*first = at;
}

static void cut(struct rc_desk *d, uint32_t *first, uint32_t *last, uint32_t at)
{
	struct rc_desk_entry *e = rc_desk_entry(d, at);

	if (e->prev != RC_NONE)
		rc_desk_entry(d, e->prev)->next = e->next;
	else
		*first = e->next;
	if (e->next != RC_NONE)
		rc_desk_entry(d, e->next)->prev = e->prev;
	else if (last)
		*last = e->prev;
}

void rc_desk_count_waiting(struct rc_desk *d, int change)
{
	d->waiting = (uint32_t)((int64_t)d->waiting + change);
	rc_gauge_set(d->counters, RC_C_commands_waiting, d->waiting);
}

/* Out of the list that its state says. */
void rc_desk_unlist(struct rc_desk *d, uint32_t at)
{
	struct rc_desk_entry *e = rc_desk_entry(d, at);
	struct rc_roster_backend *b = &d->roster.backend[e->at];

	switch ((enum rc_desk_state)e->state) {
	case RC_DESK_WAITS_TYPE: {
		struct rc_roster_type *t = rc_roster_type(&d->roster, e->at);
		cut(d, &t->wait_first, &t->wait_last, at);
		rc_desk_count_waiting(d, -1);
		break;
	}
	case RC_DESK_WAITS_BACKEND:
		cut(d, &b->wait_first, &b->wait_last, at);
		rc_desk_count_waiting(d, -1);
		break;
	case RC_DESK_OUT:
		cut(d, &b->out_first, NULL, at);
		b->outstanding--;
		b->bytes -= e->bytes;
		break;
	case RC_DESK_ANSWERING:
		cut(d, &d->answer_first, &d->answer_last, at);
		break;
	}
}

void rc_desk_drop_copy(struct rc_desk *d, struct rc_desk_entry *e)
{
	if (e->copy)
		rc_pool_put(d->pool, e->copy, e->bytes);
	e->copy = NULL;
}

/* It is in no list of a state any more. */
void rc_desk_forget(struct rc_desk *d, uint32_t at)
{
	struct rc_desk_entry *e = rc_desk_entry(d, at);

	rc_desk_drop_copy(d, e);
	if (e->older != RC_NONE)
		rc_desk_entry(d, e->older)->younger = e->younger;
	else
		d->oldest = e->younger;
	if (e->younger != RC_NONE)
		rc_desk_entry(d, e->younger)->older = e->older;
	else
		d->youngest = e->older;
	d->generation[at]++;
	rc_slab_put(&d->entries, at);
}

uint32_t rc_desk_make(struct rc_desk *d, const struct rc_command *c)
{
	uint32_t at = rc_slab_get(&d->entries);

	if (at == RC_NONE)
		return RC_NONE;
	struct rc_desk_entry *e = rc_desk_entry(d, at);
	d->generation[at]++;
	*e = (struct rc_desk_entry){
		.deadline_ns = c->deadline_ns,
		.call = c->call,
		.bytes = (uint32_t)rc_command_bytes(c),
		.older = d->youngest,
		.younger = RC_NONE,
	};
	if (d->youngest != RC_NONE)
		rc_desk_entry(d, d->youngest)->younger = at;
	else
		d->oldest = at;
	d->youngest = at;
	return at;
}

bool rc_desk_keep(struct rc_desk *d, uint32_t at, const struct rc_command *c)
{
	struct rc_desk_entry *e = rc_desk_entry(d, at);

	if (e->copy)
		return true;
	e->copy = rc_pool_get(d->pool, e->bytes);
	if (e->copy)
		rc_command_pack(e->copy, c);
	return e->copy != NULL;
}

/* ---- invariants ----------------------------------------------------------------------------------- */

static uint32_t check_list(
	const struct rc_desk *d, uint32_t first, enum rc_desk_state state, uint32_t where)
{
	uint32_t count = 0, prev = RC_NONE;

	for (uint32_t at = first; at != RC_NONE; at = rc_desk_entry(d, at)->next) {
		const struct rc_desk_entry *e = rc_desk_entry(d, at);
		RC_ASSERT(e->state == state && e->prev == prev);
		RC_ASSERT(state == RC_DESK_ANSWERING || e->at == where);
		prev = at;
		count++;
	}
	return count;
}

void rc_desk_check(const struct rc_desk *d)
{
	const struct rc_roster *r = &d->roster;
	uint32_t waiting = 0, out = 0, all = 0;

	rc_roster_check(r);
	for (uint32_t i = 0; i < r->mark; i++) {
		const struct rc_roster_backend *b = &r->backend[i];
		if (!b->uid)
			continue;
		uint32_t has = check_list(d, b->out_first, RC_DESK_OUT, i);
		RC_ASSERT(has == b->outstanding && (has > 0) == (b->bytes > 0));
		waiting += check_list(d, b->wait_first, RC_DESK_WAITS_BACKEND, i);
		out += has;
	}
	for (uint32_t i = 0; i <= r->named.mask; i++) {
		if (r->named.cell[i].used)
			waiting += check_list(d,
				rc_roster_type(r, r->named.cell[i].used - 1)->wait_first,
				RC_DESK_WAITS_TYPE, r->named.cell[i].used - 1);
	}
	for (uint32_t at = d->oldest; at != RC_NONE; at = rc_desk_entry(d, at)->younger)
		all++;
	uint32_t answering = check_list(d, d->answer_first, RC_DESK_ANSWERING, 0);
	RC_ASSERT(waiting == d->waiting && all == d->entries.used);
	RC_ASSERT(all == waiting + out + answering);
}
