/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/deskentry.h"

#include "proto/ingest.h"
#include "proto/json.h"

const char *const rc_desk_events[RC_DESK_EVENTS] = {
	"$connect", "$disconnect", "$subscribe", "$unsubscribe"};

/* ---- answers -------------------------------------------------------------------------------------- */

/* In no list. Ends it, now or when there is room. */
static void refuse(struct rc_desk *d, uint32_t at, enum rc_command_verdict verdict)
{
	struct rc_desk_entry *e = rc_desk_entry(d, at);
	struct rc_command_answer answer = {.verdict = verdict};

	if (d->port.answer(d->port.ctx, &e->call, &answer)) {
		rc_desk_forget(d, at);
		return;
	}
	d->blocked = true;
	rc_desk_drop_copy(d, e);
	e->state = RC_DESK_ANSWERING;
	e->verdict = (uint8_t)verdict;
	rc_desk_append(d, &d->answer_first, &d->answer_last, at);
}

/* ---- giving --------------------------------------------------------------------------------------- */

static bool has_credit(const struct rc_roster_backend *b, uint32_t bytes)
{
	return b->outstanding < b->credit &&
	       (b->outstanding == 0 || b->bytes + bytes <= RC_DESK_BYTES);
}

/* In no list. False: no room. */
static bool give(struct rc_desk *d, uint32_t backend, uint32_t at, const struct rc_command *c,
	uint32_t flags)
{
	struct rc_roster_backend *b = &d->roster.backend[backend];
	struct rc_desk_entry *e = rc_desk_entry(d, at);
	uint64_t id = rc_desk_id(d, at);
	struct rc_command given = *c;
	bool kept = c->idempotent || (flags & RINGCAST_ENTRY_IDEMPOTENT);

	given.lost = b->lost;
	e->state = RC_DESK_OUT;
	e->at = backend;
	rc_desk_put_first(d, &b->out_first, NULL, at);
	b->outstanding++;
	b->bytes += e->bytes;
	if (kept)
		(void)rc_desk_keep(d, at, c);
	if (!d->port.give(d->port.ctx, &b->who, id, &given)) {
		rc_desk_unlist(d, at);
		d->blocked = true;
		return false;
	}
	b->lost = 0;
	rc_count(d->counters, RC_C_commands_given, 1);
	if (!kept)
		rc_desk_drop_copy(d, e);
	return true;
}

/* Hash of the field's value, or of the user where it has none. */
static uint64_t key_of(
	const struct rc_desk *d, const struct rc_roster_type *t, const struct rc_command *c)
{
	struct rc_json_value root = rc_json_root(c->data), value;
	struct rc_json_iter it;
	struct rc_str key;
	char buf[RINGCAST_FIELD_MAX];

	if (t->mode == RINGCAST_MODE_USER || root.kind != RC_JSON_OBJECT)
		return c->key;
	rc_json_object_begin(&it, root.raw);
	while (rc_json_object_next(&it, &key, &value)) {
		struct rc_str quoted = {key.ptr - 1, key.len + 2};
		int len = rc_json_string_decode(quoted, buf, sizeof(buf));
		if (len >= 0 && rc_str_eq((struct rc_str){buf, (size_t)len},
					(struct rc_str){t->field, t->field_len}))
			return rc_hash(d->roster.key, value.raw.ptr, value.raw.len);
	}
	return c->key;
}

/* A member whose turn it is and that has credit; RC_NONE: none has. */
static uint32_t in_turn(struct rc_desk *d, struct rc_roster_type *t, uint32_t bytes)
{
	for (uint32_t n = 0; n < t->count; n++) {
		uint32_t i = (t->next + n) % t->count;
		uint32_t backend = t->members[i].backend;
		if (bytes == 0 || has_credit(&d->roster.backend[backend], bytes)) {
			t->next = (i + 1) % t->count;
			return backend;
		}
	}
	return RC_NONE;
}

/* What a command has behind it, and where it stands among those that wait. */
enum past {
	FRESH, /* it has just come: behind all, if there is room */
	WAITED, /* it stood in another line: behind all, for its turn is with those of that line; never sent away */
	CHOSEN, /* it was with somebody, or about to be: in front of all; never sent away */
};

static bool wait(struct rc_desk *d, uint32_t at, const struct rc_command *c, enum past past,
	enum rc_desk_state state, uint32_t where)
{
	struct rc_desk_entry *e = rc_desk_entry(d, at);
	struct rc_roster_backend *b = &d->roster.backend[where];
	uint32_t *head = &b->wait_first, *tail = &b->wait_last;

	if ((past == FRESH && d->waiting >= d->limits.queue) || !rc_desk_keep(d, at, c))
		return false;
	if (state == RC_DESK_WAITS_TYPE) {
		struct rc_roster_type *t = rc_roster_type(&d->roster, where);
		head = &t->wait_first;
		tail = &t->wait_last;
	}
	e->state = (uint8_t)state;
	e->at = where;
	if (past == CHOSEN)
		rc_desk_put_first(d, head, tail, at);
	else
		rc_desk_append(d, head, tail, at);
	rc_desk_count_waiting(d, 1);
	return true;
}

/* In no list. c may be its copy. */
static void route(struct rc_desk *d, uint32_t at, const struct rc_command *c, enum past past)
{
	uint32_t type = rc_roster_route(&d->roster, c->type);

	if (type == RC_NONE) {
		refuse(d, at, RC_COMMAND_NO_BACKEND);
		return;
	}
	struct rc_roster_type *t = rc_roster_type(&d->roster, type);
	uint32_t bytes = rc_desk_entry(d, at)->bytes, backend = RC_NONE;
	if (t->mode == RINGCAST_MODE_ROUND_ROBIN) {
		/* Whoever waits goes first. */
		if (past == CHOSEN || t->wait_first == RC_NONE)
			backend = in_turn(d, t, bytes);
		if (backend != RC_NONE && give(d, backend, at, c, rc_roster_flags(t, backend)))
			return;
		if (!wait(d, at, c, past, RC_DESK_WAITS_TYPE, type))
			refuse(d, at, RC_COMMAND_BUSY);
		return;
	}
	backend = rc_roster_sticky(&d->roster, t, key_of(d, t, c));
	struct rc_roster_backend *b = &d->roster.backend[backend];
	if ((past == CHOSEN || b->wait_first == RC_NONE) && has_credit(b, bytes) &&
		give(d, backend, at, c, rc_roster_flags(t, backend)))
		return;
	if (!wait(d, at, c, past, RC_DESK_WAITS_BACKEND, backend))
		refuse(d, at, RC_COMMAND_BUSY);
}

/* False: there is no room, or it is not one that could be given. */
static bool give_waiting(struct rc_desk *d, uint32_t backend, uint32_t at)
{
	struct rc_desk_entry *e = rc_desk_entry(d, at);
	struct rc_command c = rc_command_unpack(e->copy);
	uint32_t type = rc_roster_route(&d->roster, c.type), flags = 0;
	uint8_t state = e->state;
	uint32_t where = e->at;

	if (!has_credit(&d->roster.backend[backend], e->bytes))
		return false;
	if (type != RC_NONE)
		flags = rc_roster_flags(rc_roster_type(&d->roster, type), backend);
	rc_desk_unlist(d, at);
	if (give(d, backend, at, &c, flags))
		return true;
	(void)wait(d, at, &c, CHOSEN, (enum rc_desk_state)state, where);
	return false;
}

/* It has credit again: what waits for it alone, and then of each of its types in turn. */
static void serve_backend(struct rc_desk *d, uint32_t backend)
{
	struct rc_roster_backend *b = &d->roster.backend[backend];

	for (uint32_t idle = 0; idle <= b->type_count && b->outstanding < b->credit;) {
		uint32_t at = RC_NONE, turn = b->turn++ % (b->type_count + 1);
		if (turn == b->type_count)
			at = b->wait_first;
		else
			at = rc_roster_type(&d->roster, b->types[turn])->wait_first;
		if (at != RC_NONE && give_waiting(d, backend, at))
			idle = 0;
		else
			idle++;
		if (d->blocked)
			return;
	}
}

/* ---- backends ------------------------------------------------------------------------------------- */

static void look_at_events(struct rc_desk *d)
{
	d->events = 0;
	for (uint32_t i = 0; i < RC_DESK_EVENTS; i++) {
		if (rc_roster_find(&d->roster, rc_str_of(rc_desk_events[i])) != RC_NONE)
			d->events |= 1u << i;
	}
	rc_gauge_set(d->counters, RC_C_backends, d->roster.used);
}

/* Those that were in the list of a type that is gone, or waited for a backend: chosen anew. */
static void route_all(struct rc_desk *d, uint32_t first)
{
	while (first != RC_NONE) {
		struct rc_desk_entry *e = rc_desk_entry(d, first);
		struct rc_command c = rc_command_unpack(e->copy);
		uint32_t at = first;
		first = e->next;
		rc_desk_count_waiting(d, -1);
		route(d, at, &c, WAITED);
	}
}

/* It takes no type any more. What waited for those that nobody else takes is in one list. */
static uint32_t drop_types(struct rc_desk *d, uint32_t backend)
{
	uint32_t orphans = RC_NONE, first;

	while (rc_roster_drop(&d->roster, backend, &first)) {
		while (first != RC_NONE) {
			struct rc_desk_entry *e = rc_desk_entry(d, first);
			uint32_t next = e->next;
			e->next = orphans;
			orphans = first;
			first = next;
		}
	}
	/* They are in the reverse order now. */
	for (first = RC_NONE; orphans != RC_NONE;) {
		struct rc_desk_entry *e = rc_desk_entry(d, orphans);
		uint32_t next = e->next;
		e->next = first;
		first = orphans;
		orphans = next;
	}
	return first;
}

bool rc_desk_register(
	struct rc_desk *d, const struct rc_backend_who *who, uint32_t *credit, struct rc_str list)
{
	uint32_t backend = rc_roster_backend(&d->roster, who);
	struct rc_ingest_entry entry;
	bool room = true;

	RC_ASSERT(d->registering == RC_NONE);
	if (backend == RC_NONE)
		backend = rc_roster_enter(&d->roster, who);
	if (backend == RC_NONE)
		return false;
	struct rc_roster_backend *b = &d->roster.backend[backend];
	d->orphans = drop_types(d, backend);
	while (room && rc_ingest_register_next(&list, &entry))
		room = rc_roster_add(
			&d->roster, backend, entry.type, entry.mode, entry.flags, entry.field);
	if (!room) {
		uint32_t none;
		while (rc_roster_drop(&d->roster, backend, &none))
			RC_ASSERT(none == RC_NONE);
	}
	*credit = b->credit = RC_MIN(*credit, d->limits.credit);
	d->registering = backend;
	look_at_events(d);
	return room;
}

void rc_desk_registered(struct rc_desk *d)
{
	uint32_t backend = d->registering, own;

	if (backend == RC_NONE)
		return;
	struct rc_roster_backend *b = &d->roster.backend[backend];
	d->registering = RC_NONE;
	own = b->wait_first;
	b->wait_first = b->wait_last = RC_NONE;
	route_all(d, d->orphans);
	route_all(d, own);
	serve_backend(d, backend);
}

void rc_desk_flow(struct rc_desk *d, const struct rc_backend_who *who, uint32_t credit)
{
	uint32_t backend = rc_roster_backend(&d->roster, who);

	if (backend == RC_NONE)
		return;
	d->roster.backend[backend].credit = RC_MIN(credit, d->limits.credit);
	serve_backend(d, backend);
}

void rc_desk_leave(struct rc_desk *d, const struct rc_backend_who *who)
{
	uint32_t backend = rc_roster_backend(&d->roster, who), orphans, own, out;

	if (backend == RC_NONE)
		return;
	struct rc_roster_backend *b = &d->roster.backend[backend];
	orphans = drop_types(d, backend);
	own = b->wait_first;
	b->wait_first = b->wait_last = RC_NONE;
	rc_count(d->counters, RC_C_client_events_lost, b->lost);
	while ((out = b->out_first) != RC_NONE) {
		struct rc_desk_entry *e = rc_desk_entry(d, out);
		rc_desk_unlist(d, out);
		if (!e->copy) {
			refuse(d, out, RC_COMMAND_TIMEOUT);
			continue;
		}
		struct rc_command c = rc_command_unpack(e->copy);
		c.again = e->copy->again = true;
		rc_count(d->counters, RC_C_commands_handed_over, 1);
		route(d, out, &c, CHOSEN);
	}
	rc_roster_leave(&d->roster, backend);
	look_at_events(d);
	route_all(d, orphans);
	route_all(d, own);
}

/* ---- commands ------------------------------------------------------------------------------------- */

bool rc_desk_command(struct rc_desk *d, const struct rc_command *c)
{
	struct rc_command_answer busy = {.verdict = RC_COMMAND_BUSY};
	uint32_t at = rc_desk_make(d, c);

	if (at == RC_NONE)
		return d->port.answer(d->port.ctx, &c->call, &busy);
	route(d, at, c, FRESH);
	return true;
}

void rc_desk_event(struct rc_desk *d, const struct rc_command *c)
{
	uint32_t type = rc_roster_find(&d->roster, c->type), backend;
	struct rc_command given = *c;

	if (type == RC_NONE)
		return;
	struct rc_roster_type *t = rc_roster_type(&d->roster, type);
	backend = t->mode == RINGCAST_MODE_ROUND_ROBIN
			  ? in_turn(d, t, 0)
			  : rc_roster_sticky(&d->roster, t, key_of(d, t, c));
	struct rc_roster_backend *b = &d->roster.backend[backend];
	b->lost += c->lost;
	given.lost = b->lost;
	if (d->port.give(d->port.ctx, &b->who, 0, &given)) {
		b->lost = 0;
		return;
	}
	d->blocked = true;
	b->lost++;
	rc_count(d->counters, RC_C_client_events_lost, 1);
}

enum rc_desk_reply rc_desk_reply(struct rc_desk *d, const struct rc_backend_who *who, uint64_t id,
	const struct rc_command_answer *answer)
{
	uint32_t backend = rc_roster_backend(&d->roster, who), at = (uint32_t)id;

	if (backend == RC_NONE || at >= d->entries.mark || id != rc_desk_id(d, at) ||
		d->generation[at] % 2 == 0)
		return RC_DESK_UNKNOWN;
	struct rc_desk_entry *e = rc_desk_entry(d, at);
	if (e->state != RC_DESK_OUT || e->at != backend)
		return RC_DESK_UNKNOWN;
	if (!d->port.answer(d->port.ctx, &e->call, answer)) {
		d->blocked = true;
		return RC_DESK_FULL;
	}
	rc_desk_unlist(d, at);
	rc_desk_forget(d, at);
	serve_backend(d, backend);
	return RC_DESK_TAKEN;
}

/* ---- time ----------------------------------------------------------------------------------------- */

/* True: some backend has credit again. */
static bool expire(struct rc_desk *d, uint64_t now_ns)
{
	bool freed = false;

	while (d->oldest != RC_NONE && rc_desk_entry(d, d->oldest)->deadline_ns <= now_ns) {
		uint32_t at = d->oldest;
		freed |= rc_desk_entry(d, at)->state == RC_DESK_OUT;
		rc_desk_unlist(d, at);
		rc_desk_forget(d, at);
	}
	return freed;
}

static void tell_lost(struct rc_desk *d, struct rc_roster_backend *b)
{
	struct rc_command none = {.lost = b->lost};

	if (d->port.give(d->port.ctx, &b->who, 0, &none))
		b->lost = 0;
	else
		d->blocked = true;
}

void rc_desk_turn(struct rc_desk *d, uint64_t now_ns)
{
	bool was_blocked = d->blocked;

	d->blocked = false;
	if (!expire(d, now_ns) && !was_blocked)
		return;
	for (uint32_t at = d->answer_first; at != RC_NONE && !d->blocked; at = d->answer_first) {
		rc_desk_unlist(d, at);
		refuse(d, at, (enum rc_command_verdict)rc_desk_entry(d, at)->verdict);
	}
	for (uint32_t i = 0; i < d->roster.mark; i++) {
		struct rc_roster_backend *b = &d->roster.backend[i];
		if (!b->uid)
			continue;
		if (b->lost)
			tell_lost(d, b);
		serve_backend(d, i);
	}
}

uint64_t rc_desk_next_ns(const struct rc_desk *d)
{
	return d->oldest == RC_NONE ? UINT64_MAX : rc_desk_entry(d, d->oldest)->deadline_ns;
}
