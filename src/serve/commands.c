/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said of commands between shards, and the desk's part in it. See commands.h.
 */
#include "serve/commands.h"

#include "serve/webhook.h"

/* ---- records ------------------------------------------------------------------------------------- */

void *rc_commands_reserve(struct rc_serve *sv, uint32_t shard, bool is_ask, size_t len)
{
	return sv->port.command_reserve(sv->port.ctx, shard, is_ask, len);
}

void rc_commands_commit(struct rc_serve *sv, uint32_t shard, bool is_ask, size_t len)
{
	sv->port.command_commit(sv->port.ctx, shard, is_ask, len);
}

bool rc_commands_put(
	struct rc_serve *sv, uint32_t shard, bool is_ask, const void *record, size_t len)
{
	void *room;

	if (shard == sv->shard && is_ask)
		return rc_commands_asked(sv, record, len);
	if (shard == sv->shard) {
		rc_commands_told(sv, record, len);
		return true;
	}
	room = rc_commands_reserve(sv, shard, is_ask, len);
	if (!room)
		return false;
	memcpy(room, record, len);
	rc_commands_commit(sv, shard, is_ask, len);
	return true;
}

/* What is under way may be owed an answer in that ring, for which room was asked before: an event comes about in the middle of that. */
#define EVENT_LEAVES 4096u

static bool event_has_room(struct rc_serve *sv, uint32_t shard, size_t len)
{
	return len + EVENT_LEAVES <= sv->commands->record_max &&
	       sv->port.user_room(sv->port.ctx, shard, false, len + EVENT_LEAVES);
}

/* To another shard. */
static bool put_command(struct rc_serve *sv, uint32_t shard, enum rc_command_kind kind,
	const struct rc_backend_who *to, uint64_t id, const struct rc_command *c)
{
	bool is_ask = kind != RC_COMMAND_GIVE;
	size_t len = rc_command_bytes(c);
	struct rc_command_record *r;

	if (!is_ask && id == 0 && !event_has_room(sv, shard, len))
		return false;
	r = rc_commands_reserve(sv, shard, is_ask, len);
	if (!r)
		return false;
	rc_command_pack(r, c);
	r->kind = kind;
	r->id = id;
	if (to)
		r->to = *to;
	rc_commands_commit(sv, shard, is_ask, len);
	return true;
}

bool rc_commands_ask_desk(
	struct rc_serve *sv, enum rc_command_kind kind, const struct rc_command *c)
{
	struct rc_commands *k = sv->commands;

	if (!k->here)
		return put_command(sv, k->home, kind, NULL, 0, c);
	if (kind == RC_COMMAND_CALL)
		return rc_desk_command(&k->desk, c);
	rc_desk_event(&k->desk, c);
	return true;
}

bool rc_commands_event(struct rc_serve *sv, const struct rc_command *c)
{
	return rc_commands_ask_desk(sv, RC_COMMAND_EVENT, c);
}

/* ---- the desk's port ----------------------------------------------------------------------------- */

static bool port_give(
	void *ctx, const struct rc_backend_who *to, uint64_t id, const struct rc_command *c)
{
	struct rc_serve *sv = ctx;

	if (to->shard != sv->shard)
		return put_command(sv, to->shard, RC_COMMAND_GIVE, to, id, c);
	rc_backend_give(sv, to, id, c);
	return true;
}

static bool port_answer(
	void *ctx, const struct rc_command_call *to, const struct rc_command_answer *a)
{
	struct rc_serve *sv = ctx;
	size_t len = sizeof(struct rc_answer_record) + a->code.len + a->data.len;

	if (to->shard == sv->shard) {
		rc_call_answered(sv, to, a);
		return true;
	}
	struct rc_answer_record *r = rc_commands_reserve(sv, to->shard, false, len);
	if (!r)
		return false;
	*r = (struct rc_answer_record){
		.kind = RC_COMMAND_ANSWER,
		.call = *to,
		.data_len = (uint32_t)a->data.len,
		.verdict = (uint8_t)a->verdict,
		.code_len = (uint8_t)a->code.len,
		.json = a->json,
	};
	(void)rc_str_copy(rc_str_copy(r->bytes, a->code), a->data);
	rc_commands_commit(sv, to->shard, false, len);
	return true;
}

static struct rc_command_answer answer_of(const struct rc_answer_record *r)
{
	return (struct rc_command_answer){
		.verdict = (enum rc_command_verdict)r->verdict,
		.code = {r->bytes, r->code_len},
		.data = {r->bytes + r->code_len, r->data_len},
		.json = r->json,
	};
}

/* ---- asks ---------------------------------------------------------------------------------------- */

/* Room for one small tell, before anything is done. */
static bool room_to_tell(struct rc_serve *sv, uint32_t shard)
{
	return shard == sv->shard || sv->port.user_room(sv->port.ctx, shard, false,
					     sizeof(struct rc_backend_record) + 16);
}

static bool asked_register(struct rc_serve *sv, const struct rc_backend_record *r)
{
	struct rc_desk *d = &sv->commands->desk;
	struct rc_backend_record back = {.kind = RC_COMMAND_REGISTERED,
		.who = r->who,
		.credit = r->credit,
		.count = r->count};

	if (!room_to_tell(sv, r->who.shard))
		return false;
	back.taken =
		rc_desk_register(d, &r->who, &back.credit, (struct rc_str){r->list, r->list_len});
	/* Before the commands that it gets. */
	if (!rc_commands_put(sv, r->who.shard, false, &back, sizeof(back)))
		RC_FAIL("room for an answer was asked for before");
	rc_desk_registered(d);
	return true;
}

static bool asked_reply(struct rc_serve *sv, const struct rc_answer_record *r)
{
	struct rc_command_answer answer = answer_of(r);
	struct rc_backend_record unknown = {.kind = RC_COMMAND_UNKNOWN, .who = r->who, .id = r->id};

	if (!room_to_tell(sv, r->who.shard))
		return false;
	switch (rc_desk_reply(&sv->commands->desk, &r->who, r->id, &answer)) {
	case RC_DESK_FULL:
		return false;
	case RC_DESK_UNKNOWN:
		if (!rc_commands_put(sv, r->who.shard, false, &unknown, sizeof(unknown)))
			RC_FAIL("room for an answer was asked for before");
		return true;
	default:
		return true;
	}
}

bool rc_commands_asked(struct rc_serve *sv, const void *bytes, size_t len)
{
	struct rc_desk *d = &sv->commands->desk;
	const struct rc_backend_record *b = bytes;
	const struct rc_answer_record *a = bytes;

	(void)len;
	switch ((enum rc_command_kind)b->kind) {
	case RC_COMMAND_CALL: {
		struct rc_command c = rc_command_unpack(bytes);
		return rc_desk_command(d, &c);
	}
	case RC_COMMAND_EVENT: {
		struct rc_command c = rc_command_unpack(bytes);
		rc_desk_event(d, &c);
		return true;
	}
	case RC_COMMAND_REGISTER:
		return asked_register(sv, b);
	case RC_COMMAND_FLOW:
		rc_desk_flow(d, &b->who, b->credit);
		return true;
	case RC_COMMAND_LEAVE:
		rc_desk_leave(d, &b->who);
		return true;
	case RC_COMMAND_REPLY:
		return asked_reply(sv, a);
	case RC_COMMAND_ASSIGN:
		return rc_assign_asked(sv, bytes);
	default:
		RC_FAIL("unknown ask about a command");
		return true;
	}
}

/* ---- tells --------------------------------------------------------------------------------------- */

void rc_commands_told(struct rc_serve *sv, const void *bytes, size_t len)
{
	const struct rc_command_record *given = bytes;
	const struct rc_backend_record *b = bytes;
	const struct rc_answer_record *a = bytes;

	(void)len;
	switch ((enum rc_command_kind)b->kind) {
	case RC_COMMAND_GIVE: {
		struct rc_command c = rc_command_unpack(given);
		rc_backend_give(sv, &given->to, given->id, &c);
		break;
	}
	case RC_COMMAND_ANSWER: {
		struct rc_command_answer answer = answer_of(a);
		rc_call_answered(sv, &a->call, &answer);
		break;
	}
	case RC_COMMAND_REGISTERED:
		rc_backend_registered(sv, b);
		break;
	case RC_COMMAND_UNKNOWN:
		rc_backend_unknown(sv, b);
		break;
	case RC_COMMAND_EVENTS:
		sv->commands->events = b->credit;
		break;
	default:
		RC_FAIL("unknown tell about a command");
	}
}

/* ---- turns --------------------------------------------------------------------------------------- */

/* Which events are wanted, to all shards. */
static void tell_events(struct rc_serve *sv)
{
	struct rc_commands *k = sv->commands;
	struct rc_backend_record r = {.kind = RC_COMMAND_EVENTS, .credit = k->desk.events};

	if (k->told != k->desk.events) {
		k->told = k->desk.events;
		k->untold = sv->hub->limits.shards == 64
				    ? UINT64_MAX
				    : ((uint64_t)1 << sv->hub->limits.shards) - 1;
	}
	for (uint64_t left = k->untold; left; left &= left - 1) {
		uint32_t shard = (uint32_t)__builtin_ctzll(left);
		if (rc_commands_put(sv, shard, false, &r, sizeof(r)))
			k->untold &= ~((uint64_t)1 << shard);
	}
}

static void tell_lost(struct rc_serve *sv)
{
	struct rc_commands *k = sv->commands;
	struct rc_command none = {.lost = k->lost};

	for (uint32_t i = 0; i < RC_DESK_EVENTS && k->lost; i++) {
		if (!(k->events >> i & 1))
			continue;
		none.type = rc_str_of(rc_desk_events[i]);
		if (rc_commands_ask_desk(sv, RC_COMMAND_EVENT, &none))
			k->lost = 0;
	}
	if (!k->events)
		k->lost = 0;
}

void rc_commands_turn(struct rc_serve *sv)
{
	struct rc_commands *k = sv->commands;

	rc_calls_turn(sv);
	if (k->lost)
		tell_lost(sv);
	if (!k->here)
		return;
	rc_desk_turn(&k->desk, sv->now_ns);
	if (sv->webhooks)
		rc_webhooks_turn(sv);
	if (k->untold || k->told != k->desk.events)
		tell_events(sv);
}

uint64_t rc_commands_ns(const struct rc_serve *sv)
{
	const struct rc_commands *k = sv->commands;
	uint64_t next;

	if (k->lost || k->untold || k->unsaid_first != RC_NONE || (k->here && k->desk.blocked))
		return RC_COMMANDS_POLL_NS;
	next = rc_calls_next_ns(sv);
	if (k->here)
		next = RC_MIN(next, rc_desk_next_ns(&k->desk));
	if (next != UINT64_MAX)
		next = next > sv->now_ns ? next - sv->now_ns : 1;
	return sv->webhooks ? RC_MIN(next, rc_webhooks_ns(sv)) : next;
}

bool rc_commands_settled(const struct rc_serve *sv)
{
	return !sv->commands || sv->commands->calls.used == 0;
}

/* ---- memory -------------------------------------------------------------------------------------- */

size_t rc_commands_bytes(uint32_t calls_max)
{
	return rc_align_up(sizeof(struct rc_commands), RC_CACHE_LINE) + rc_calls_bytes(calls_max);
}

void rc_commands_init(struct rc_serve *sv, void *memory, uint32_t calls_max, void *desk,
	const struct rc_desk_limits *limits, size_t record_max)
{
	const struct rc_desk_port port = {.ctx = sv, .give = port_give, .answer = port_answer};
	struct rc_commands *k = memory;

	rc_calls_init(
		k, (unsigned char *)memory + rc_align_up(sizeof(*k), RC_CACHE_LINE), calls_max);
	k->home = sv->hub->limits.shards - 1;
	k->here = desk != NULL;
	k->record_max = record_max;
	if (desk)
		rc_desk_init(&k->desk, limits, &port, &sv->hub->key, sv->pool, sv->counters, desk);
	sv->commands = k;
}
