/* SPDX-License-Identifier: Apache-2.0
 *
 * Backends on the shard of their connection: what they say goes to the desk, what it gives them is written. See commands.h.
 */
#include "serve/commands.h"

#include <stdio.h>

#include "base/utf8.h"
#include "proto/json.h"
#include "serve/users.h"
#include "serve/webhook.h"

#define JSON_DEPTH 128u

static struct rc_backend_who who_of(const struct rc_serve *sv, const struct rc_publisher *p)
{
	return (struct rc_backend_who){sv->shard, rc_publisher_slot(sv, p), p->generation};
}

static bool ask(struct rc_serve *sv, const void *record, size_t len)
{
	return rc_commands_put(sv, sv->commands->home, true, record, len);
}

static void bad_body(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p)
{
	rc_publisher_fail(
		sv, c, p, RINGCAST_ERROR_BAD_BODY, "the body of this frame can't be read");
}

/* ---- REGISTER, FLOW ------------------------------------------------------------------------------ */

bool rc_backend_type_valid(struct rc_str type)
{
	if (!rc_event_name_valid(type) || type.len > RINGCAST_TYPE_MAX)
		return false;
	if (type.ptr[0] != '$')
		return rc_str_eq(type, RC_STR("command")) || !rc_msg_type_known(type);
	for (uint32_t i = 0; i < RC_DESK_EVENTS; i++) {
		if (rc_str_eq(type, rc_str_of(rc_desk_events[i])))
			return true;
	}
	return false;
}

static bool entry_valid(const struct rc_ingest_entry *e)
{
	if (!rc_backend_type_valid(e->type) || (e->flags & ~RINGCAST_ENTRY_IDEMPOTENT))
		return false;
	if (e->mode == RINGCAST_MODE_FIELD)
		return e->field.len > 0 && e->field.len <= RINGCAST_FIELD_MAX;
	return e->mode < RINGCAST_MODE_FIELD && e->field.len == 0;
}

static void refuse(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *text)
{
	rc_count(sv->counters, RC_C_backends_refused, 1);
	rc_publisher_error(sv, c, code, text);
}

static bool take_register(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_frame *f)
{
	struct rc_backend_record *r;
	struct rc_ingest_register m;
	struct rc_ingest_entry e;
	size_t len;

	if (rc_ingest_register_parse(f->body, &m) < 0) {
		bad_body(sv, c, p);
		return true;
	}
	if (!rc_publisher_may(sv, p, RC_SCOPE_BACKEND, (struct rc_str){NULL, 0})) {
		refuse(sv, c, RINGCAST_ERROR_NOT_ALLOWED,
			"the token does not allow to be a backend");
		return true;
	}
	struct rc_str rest = m.list;
	bool valid = m.count <= RINGCAST_TYPES_MAX;
	while (valid && rc_ingest_register_next(&rest, &e))
		valid = entry_valid(&e);
	if (!valid) {
		refuse(sv, c, RINGCAST_ERROR_NOT_ALLOWED,
			"at most 256 types, each one that clients may say and that is not the gateway's own, "
			"with mode 0 to 2 and a field where the mode needs it");
		return true;
	}
	len = sizeof(*r) + m.list.len;
	r = len <= sv->commands->record_max ? rc_pool_get(sv->pool, len) : NULL;
	if (!r) {
		refuse(sv, c, RINGCAST_ERROR_NO_ROOM, "no memory for these types");
		return true;
	}
	*r = (struct rc_backend_record){
		.kind = RC_COMMAND_REGISTER,
		.who = who_of(sv, p),
		.credit = m.credit,
		.count = m.count,
		.list_len = (uint32_t)m.list.len,
	};
	(void)rc_str_copy(r->list, m.list);
	/* What it is given may come before this returns. */
	bool was = p->backend;
	p->backend = true;
	bool asked = ask(sv, r, len);
	rc_pool_put(sv->pool, r, len);
	if (!asked)
		p->backend = was;
	return asked;
}

void rc_backend_registered(struct rc_serve *sv, const struct rc_backend_record *r)
{
	struct rc_publisher *p = rc_publisher_find(sv, r->who.slot, r->who.generation);
	struct rc_conn *c = p ? rc_publisher_conn(sv, p) : NULL;
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_registered m = {
		.credit = r->credit,
		.timeout_ms = sv->config->command_timeout_ms,
		.count = r->count,
	};

	if (!c || c->state != RC_CONN_OPEN)
		return;
	if (!r->taken) {
		refuse(sv, c, RINGCAST_ERROR_NO_ROOM,
			"no room for one more backend, or for its types");
		return;
	}
	rc_publisher_reply(sv, c, frame, rc_ingest_registered_encode(frame, sizeof(frame), &m));
}

static bool take_flow(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_frame *f)
{
	struct rc_backend_record r = {.kind = RC_COMMAND_FLOW, .who = who_of(sv, p)};

	if (rc_ingest_flow_parse(f->body, &r.credit) < 0) {
		rc_publisher_fail(sv, c, p, RINGCAST_ERROR_BAD_BODY, "a FLOW carries four bytes");
		return true;
	}
	/* Who is no backend is sent nothing but answers to what it sent, so its window holds by itself. */
	return !p->backend || ask(sv, &r, sizeof(r));
}

bool rc_backend_leave(struct rc_serve *sv, struct rc_publisher *p)
{
	struct rc_backend_record r = {.kind = RC_COMMAND_LEAVE, .who = who_of(sv, p)};

	if (!p->backend)
		return true;
	if (!ask(sv, &r, sizeof(r)))
		return false;
	p->backend = false;
	rc_count(sv->counters, RC_C_client_events_lost, p->events_lost);
	p->events_lost = 0;
	return true;
}

/* ---- COMMAND ------------------------------------------------------------------------------------- */

static void write_command(
	struct rc_serve *sv, struct rc_conn *c, uint8_t flags, const struct rc_ingest_command *m)
{
	size_t len = rc_ingest_command_bytes(m);
	unsigned char *room = rc_conn_reserve(sv->conns, c, (uint32_t)len, RC_PUBLISHER_OUT_MAX);

	if (!room) {
		rc_count(sv->counters, RC_C_backends_stalled, 1);
		rc_conn_kill(sv->conns, c);
		return;
	}
	len = rc_ingest_command_encode(room, len, flags, m);
	RC_ASSERT(len > 0);
	rc_conn_commit(sv->conns, c, (uint32_t)len);
}

void rc_backend_drained(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p)
{
	char text[48];
	struct rc_textbuf b = {.ptr = text, .cap = sizeof(text)};
	struct rc_ingest_command m = {.type = RC_STR("$lost")};

	if (!p->backend || p->stage != RC_STAGE_LIVE || c->state != RC_CONN_OPEN ||
		p->events_lost == 0)
		return;
	rc_textbuf_add_text(&b, "{\"events\":");
	rc_textbuf_add_u64(&b, p->events_lost);
	rc_textbuf_add_char(&b, '}');
	m.payload = rc_textbuf_str(&b);
	p->events_lost = 0;
	write_command(sv, c, RINGCAST_FLAG_JSON, &m);
}

static uint32_t left_ms(const struct rc_serve *sv, uint64_t deadline_ns)
{
	uint64_t left = deadline_ns > sv->now_ns ? deadline_ns - sv->now_ns : 0;

	return (uint32_t)RC_MAX(left / 1000000u, (uint64_t)1);
}

static void give_connected(struct rc_serve *sv, const struct rc_backend_who *to, uint64_t id,
	const struct rc_command *cmd)
{
	struct rc_publisher *p = rc_publisher_find(sv, to->slot, to->generation);
	struct rc_conn *c = p ? rc_publisher_conn(sv, p) : NULL;
	struct rc_ingest_command m = {
		.id = id,
		.deadline_ms = id ? left_ms(sv, cmd->deadline_ns) : 0,
		.session = cmd->session,
		.user = cmd->user,
		.type = cmd->type,
		.message = cmd->message,
		.payload = cmd->data,
	};
	bool event = id == 0 && cmd->type.len;

	/* What it does not get the desk hands to another: it is told of the end, or was. */
	if (!c || c->state != RC_CONN_OPEN || !p->backend || p->stage != RC_STAGE_LIVE)
		return;
	p->events_lost += cmd->lost;
	if (c->out_len <= RC_PUBLISHER_OUT_HIGH)
		rc_backend_drained(sv, c, p);
	if (c->state != RC_CONN_OPEN || (id == 0 && !event))
		return;
	if (event && p->events_lost + (c->out_len > RC_PUBLISHER_OUT_HIGH)) {
		p->events_lost++;
		rc_count(sv->counters, RC_C_client_events_lost, 1);
		return;
	}
	rc_count(sv->counters, RC_C_client_events, event);
	write_command(
		sv, c, (uint8_t)(RINGCAST_FLAG_JSON | (cmd->again ? RINGCAST_FLAG_AGAIN : 0)), &m);
}

void rc_backend_give(struct rc_serve *sv, const struct rc_backend_who *to, uint64_t id,
	const struct rc_command *cmd)
{
	if (to->slot == RC_WEBHOOK_SLOT)
		rc_webhook_give(sv, id, cmd);
	else
		give_connected(sv, to, id, cmd);
}

bool rc_backend_stalled(struct rc_serve *sv, struct rc_conn *c)
{
	uint64_t blocked = (uint64_t)(sv->conns->tick - c->blocked_tick) * RC_CONN_TICK_MS;

	if (!(c->flags & RC_CONN_BLOCKED) || blocked < sv->config->heartbeat_ms)
		return false;
	rc_count(sv->counters, RC_C_backends_stalled, 1);
	rc_conn_kill(sv->conns, c);
	return true;
}

/* ---- REPLY --------------------------------------------------------------------------------------- */

static const char *bad_reply(
	const struct rc_serve *sv, const struct rc_ingest_reply *m, uint8_t flags)
{
	if (m->code.len && !rc_ingest_code_valid(m->code))
		return "the code of an error is 1 to 64 bytes of a-z, 0-9 and _";
	if (m->payload.len > sv->config->max_message)
		return "the payload is larger than max_message";
	if (m->code.len && (m->payload.len > RINGCAST_TEXT_MAX ||
				   !rc_utf8_valid(m->payload.ptr, m->payload.len)))
		return "the text of an error is at most 255 bytes of UTF-8";
	if (!m->code.len && (flags & RINGCAST_FLAG_JSON) &&
		rc_json_validate(m->payload, JSON_DEPTH) < 0)
		return "the payload is not JSON";
	return NULL;
}

static bool take_reply(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_frame *f)
{
	struct rc_answer_record *r;
	struct rc_ingest_reply m;
	const char *bad;
	bool asked;

	if (rc_ingest_reply_parse(f->body, &m) < 0) {
		bad_body(sv, c, p);
		return true;
	}
	bad = bad_reply(sv, &m, f->flags);
	if (bad) {
		rc_count(sv->counters, RC_C_replies_bad, 1);
		rc_publisher_error(sv, c, RINGCAST_ERROR_BAD_REPLY, bad);
		return true;
	}
	struct rc_backend_record unknown = {.who = who_of(sv, p), .id = m.id};
	if (!p->backend) {
		rc_backend_unknown(sv, &unknown);
		return true;
	}
	struct rc_command_answer answer = {
		.verdict = RC_COMMAND_REPLIED,
		.code = m.code,
		.data = m.payload,
		.json = (f->flags & RINGCAST_FLAG_JSON) != 0,
	};
	if (sv->commands->here) {
		enum rc_desk_reply said =
			rc_desk_reply(&sv->commands->desk, &unknown.who, m.id, &answer);
		if (said == RC_DESK_UNKNOWN)
			rc_backend_unknown(sv, &unknown);
		return said != RC_DESK_FULL;
	}
	size_t len = sizeof(*r) + m.code.len + m.payload.len;
	r = rc_commands_reserve(sv, sv->commands->home, true, len);
	asked = r != NULL;
	if (asked) {
		*r = (struct rc_answer_record){
			.kind = RC_COMMAND_REPLY,
			.who = unknown.who,
			.id = m.id,
			.data_len = (uint32_t)m.payload.len,
			.verdict = RC_COMMAND_REPLIED,
			.code_len = (uint8_t)m.code.len,
			.json = answer.json,
		};
		(void)rc_str_copy(rc_str_copy(r->bytes, m.code), m.payload);
		rc_commands_commit(sv, sv->commands->home, true, len);
	}
	return asked;
}

void rc_backend_unknown(struct rc_serve *sv, const struct rc_backend_record *r)
{
	const struct rc_publisher *p = rc_publisher_find(sv, r->who.slot, r->who.generation);
	struct rc_conn *c = p ? rc_publisher_conn(sv, p) : NULL;
	char text[96];

	rc_count(sv->counters, RC_C_replies_unknown, 1);
	if (!c || c->state != RC_CONN_OPEN)
		return;
	(void)snprintf(text, sizeof(text), "no command %llu is outstanding here",
		(unsigned long long)r->id);
	rc_publisher_error(sv, c, RINGCAST_ERROR_UNKNOWN_COMMAND, text);
}

/* ---- ASSIGN -------------------------------------------------------------------------------------- */

static uint16_t judge_assign(const struct rc_serve *sv, struct rc_publisher *p,
	const struct rc_ingest_assign *m, uint8_t flags, const char **text)
{
	struct rc_str rest = m->names, name;

	if (flags) {
		*text = "the frame has flags that this gateway does not know";
		return RINGCAST_NACK_NOT_SUPPORTED;
	}
	if (!rc_publisher_may(sv, p, RC_SCOPE_BACKEND, (struct rc_str){NULL, 0})) {
		*text = "the token does not allow this";
		return RINGCAST_NACK_FORBIDDEN;
	}
	if (m->session.len != RC_WS_SESSION_LEN || m->count > RINGCAST_ASSIGN_MAX ||
		sizeof(struct rc_assign_record) + m->names.len > sv->commands->record_max) {
		*text = "a session's id has 17 bytes, and at most 1000 channels are named";
		return RINGCAST_NACK_BAD_TARGET;
	}
	while (rc_claims_next(&rest, &name)) {
		if (rc_name_classify(name) == RC_NAME_BAD || rc_name_reserved(name)) {
			*text = "not the name of a channel or a pattern that a client may have";
			return RINGCAST_NACK_BAD_CHANNEL;
		}
	}
	return 0;
}

/* Whoever it is for is here. 0, or a NACK; *found: how many there are. */
static uint16_t assign_here(
	struct rc_serve *sv, struct rc_str session, bool on, struct rc_str names, uint64_t *found)
{
	struct rc_conn *c = rc_session_find(sv, session);

	*found = 0;
	if (!c) {
		rc_count(sv->counters, RC_C_direct_nobody, 1);
		return 0;
	}
	*found = 1;
	rc_count(sv->counters, RC_C_assigns, 1);
	if (c->kind != RC_CONN_WS || rc_ws_stage(c) != RC_WS_LIVE)
		return RINGCAST_NACK_NOT_SUPPORTED;
	return rc_ws_assign(sv, c, on, names);
}

bool rc_assign_asked(struct rc_serve *sv, const struct rc_assign_record *r)
{
	struct rc_outcome outcome = {.to = r->from};
	uint16_t nack;

	if (!sv->port.user_room(
		    sv->port.ctx, r->from.shard, false, sizeof(outcome) + RC_USER_RECORD_ROOM))
		return false;
	nack = assign_here(sv, (struct rc_str){r->session, sizeof(r->session)}, r->on,
		(struct rc_str){r->names, r->names_len}, &outcome.offset);
	outcome.nack = nack;
	sv->port.outcome(sv->port.ctx, r->from.shard, &outcome);
	return true;
}

static void settle(struct rc_serve *sv, struct rc_publisher *p, uint32_t index)
{
	p->window[index & (p->size - 1)].remaining--;
	rc_publisher_list_ack(sv, p);
}

/* False: no room. */
static bool assign(struct rc_serve *sv, struct rc_publisher *p, const struct rc_ingest_assign *m,
	uint32_t index)
{
	struct rc_outcome here = {0};
	uint32_t shard, slot;
	size_t len = sizeof(struct rc_assign_record) + m->names.len;

	if (!rc_session_decode(sv, m->session, &shard, &slot))
		shard = sv->shard;
	if (shard == sv->shard) {
		here.nack = assign_here(sv, m->session, m->on, m->names, &here.offset);
		rc_publisher_decided(sv, p, index, &here, m->sequence);
		return true;
	}
	struct rc_assign_record *r = rc_commands_reserve(sv, shard, true, len);
	if (!r)
		return false;
	*r = (struct rc_assign_record){
		.kind = RC_COMMAND_ASSIGN,
		.from = {sv->shard, rc_publisher_slot(sv, p), p->generation, index, m->sequence},
		.names_len = (uint32_t)m->names.len,
		.on = m->on,
	};
	(void)rc_str_copy(r->session, m->session);
	(void)rc_str_copy(r->names, m->names);
	rc_commands_commit(sv, shard, true, len);
	p->outstanding++;
	return true;
}

static bool take_assign(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_frame *f)
{
	struct rc_ingest_assign m;
	const char *text = NULL;
	uint16_t code;

	if (rc_ingest_assign_parse(f->body, &m) < 0) {
		bad_body(sv, c, p);
		return true;
	}
	if (!rc_publisher_room(sv, p))
		return false;
	uint32_t index = rc_publisher_push(p, m.sequence, f->flags, 1);
	if (m.sequence <= p->taken) {
		rc_count(sv->counters, RC_C_events_deduplicated, 1);
		settle(sv, p, index);
		return true;
	}
	code = judge_assign(sv, p, &m, f->flags, &text);
	if (code) {
		rc_count(sv->counters, rc_ingest_refused_counter(code), 1);
		p->taken = m.sequence;
		settle(sv, p, index);
		rc_publisher_nack(sv, c, m.sequence, code, text);
		return true;
	}
	if (!assign(sv, p, &m, index)) {
		p->tail--;
		return false;
	}
	p->taken = m.sequence;
	return true;
}

bool rc_backend_frame(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_frame *f)
{
	switch (f->type) {
	case RINGCAST_FRAME_REGISTER:
		return take_register(sv, c, p, f);
	case RINGCAST_FRAME_FLOW:
		return take_flow(sv, c, p, f);
	case RINGCAST_FRAME_REPLY:
		return take_reply(sv, c, p, f);
	default:
		return take_assign(sv, c, p, f);
	}
}
