/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands on the shard of the client that says them: who waits for which answer, and for how long. See commands.h.
 */
#include "serve/commands.h"

#include "auth/rules.h"
#include "serve/binary.h"
#include "serve/limits.h"

/* What a record has besides the payload. */
#define SURROUNDINGS_MAX \
	(sizeof(struct rc_command_record) + RC_EVENT_NAME_MAX + RC_USER_MAX + RC_MSG_ID_MAX)

/* ---- calls --------------------------------------------------------------------------------------- */

static struct rc_call *call_at(const struct rc_commands *k, uint32_t at)
{
	return rc_slab_at(&k->calls, at);
}

static void count_calls(struct rc_serve *sv)
{
	rc_gauge_set(sv->counters, RC_C_commands_outstanding, sv->commands->calls.used);
}

/* RC_NONE: no room. */
static uint32_t call_make(struct rc_serve *sv, struct rc_conn *c, struct rc_str id)
{
	struct rc_commands *k = sv->commands;
	uint32_t at = rc_slab_get(&k->calls);

	if (at == RC_NONE)
		return RC_NONE;
	struct rc_call *call = call_at(k, at);
	*call = (struct rc_call){
		.begun_ns = sv->now_ns,
		.deadline_ns = sv->now_ns + sv->config->command_timeout_ms * UINT64_C(1000000),
		.conn = rc_conn_slot(sv->conns, c),
		.generation = c->generation,
		.older = k->youngest,
		.younger = RC_NONE,
		.id_len = (uint8_t)id.len,
	};
	(void)rc_str_copy(call->id, id);
	if (k->youngest != RC_NONE)
		call_at(k, k->youngest)->younger = at;
	else
		k->oldest = at;
	k->youngest = at;
	count_calls(sv);
	return at;
}

/* The first of those that wait for room is said, or over: they come and go in one order. */
static void unsaid_drop(struct rc_serve *sv)
{
	struct rc_commands *k = sv->commands;
	struct rc_call *call = call_at(k, k->unsaid_first);

	rc_pool_put(sv->pool, call->unsaid, call->unsaid_len);
	call->unsaid = NULL;
	k->unsaid_bytes -= call->unsaid_len;
	k->unsaid_first = call->unsaid_next;
	if (k->unsaid_first == RC_NONE)
		k->unsaid_last = RC_NONE;
}

/* False: too much waits already. */
static bool unsaid_add(struct rc_serve *sv, uint32_t at, const struct rc_command *c)
{
	struct rc_commands *k = sv->commands;
	struct rc_call *call = call_at(k, at);
	size_t len = rc_command_bytes(c);

	if (k->unsaid_bytes + len > RC_COMMANDS_UNSAID_MAX)
		return false;
	call->unsaid = rc_pool_get(sv->pool, len);
	if (!call->unsaid)
		return false;
	rc_command_pack(call->unsaid, c);
	call->unsaid->kind = RC_COMMAND_CALL;
	call->unsaid_len = (uint32_t)len;
	call->unsaid_next = RC_NONE;
	k->unsaid_bytes += len;
	if (k->unsaid_last != RC_NONE)
		call_at(k, k->unsaid_last)->unsaid_next = at;
	else
		k->unsaid_first = at;
	k->unsaid_last = at;
	return true;
}

static void call_forget(struct rc_serve *sv, uint32_t at)
{
	struct rc_commands *k = sv->commands;
	const struct rc_call *call = call_at(k, at);

	if (call->unsaid) {
		RC_ASSERT(k->unsaid_first == at);
		unsaid_drop(sv);
	}
	if (call->older != RC_NONE)
		call_at(k, call->older)->younger = call->younger;
	else
		k->oldest = call->younger;
	if (call->younger != RC_NONE)
		call_at(k, call->younger)->older = call->older;
	else
		k->youngest = call->older;
	k->generation[at]++;
	rc_slab_put(&k->calls, at);
	count_calls(sv);
}

/* The client of a call, which is over with that; NULL: it is gone. */
static struct rc_conn *client_of(struct rc_serve *sv, const struct rc_call *call)
{
	struct rc_conn *c = rc_conn_get(sv->conns, call->conn, call->generation);

	return c && c->state == RC_CONN_OPEN ? c : NULL;
}

static void say(
	struct rc_serve *sv, struct rc_conn *c, struct rc_str id, const struct rc_command_answer *a)
{
	struct rc_textbuf b;

	switch (a->verdict) {
	case RC_COMMAND_NO_BACKEND:
		rc_count(sv->counters, RC_C_commands_no_backend, 1);
		rc_ws_error(sv, c, id, "no_backend", false, "no backend takes such messages");
		return;
	case RC_COMMAND_TIMEOUT:
		rc_count(sv->counters, RC_C_commands_timeout, 1);
		rc_ws_error(sv, c, id, "timeout", true,
			"no answer came; whether the command was carried out is not known");
		return;
	case RC_COMMAND_BUSY:
		rc_count(sv->counters, RC_C_commands_busy, 1);
		rc_ws_error(sv, c, id, "busy", true, "more commands wait than the backends take");
		return;
	case RC_COMMAND_REPLIED:
		break;
	}
	rc_count(sv->counters, RC_C_command_replies, 1);
	if (a->code.len) {
		char code[RINGCAST_CODE_MAX + 1];
		(void)rc_str_copy(code, a->code);
		code[a->code.len] = '\0';
		rc_count(sv->counters, RC_C_command_replies_error, 1);
		if (rc_bin_is(c)) {
			rc_bin_replied(sv, c, id, a->code, a->data, false);
			return;
		}
		b = rc_ws_begin(sv, c, 256 + id.len + RINGCAST_CODE_MAX + 12 * a->data.len);
		if (!b.ptr)
			return;
		rc_msg_error(&b, id, code, false, a->data, sv->wall_ms);
	} else if (rc_bin_is(c)) {
		rc_bin_replied(sv, c, id, RC_STR(""), a->data, a->json);
		return;
	} else {
		b = rc_ws_begin(sv, c, 256 + id.len + (a->json ? a->data.len : 2 * a->data.len));
		if (!b.ptr)
			return;
		rc_msg_reply(&b, id, sv->wall_ms, a->data, a->json);
	}
	rc_ws_end(sv, c, &b);
}

/* The one word that the client gets. */
void rc_call_answered(
	struct rc_serve *sv, const struct rc_command_call *to, const struct rc_command_answer *a)
{
	struct rc_commands *k = sv->commands;

	if (to->slot >= k->calls.mark || k->generation[to->slot] != to->generation) {
		rc_count(sv->counters, RC_C_replies_late, a->verdict == RC_COMMAND_REPLIED);
		return;
	}
	struct rc_call call = *call_at(k, to->slot);
	struct rc_conn *c = client_of(sv, &call);
	call_forget(sv, to->slot);
	if (!c) {
		rc_count(sv->counters, RC_C_replies_gone, a->verdict == RC_COMMAND_REPLIED);
		return;
	}
	if (a->verdict == RC_COMMAND_REPLIED)
		rc_count_hist(sv->counters, RC_H_command_ns, sv->now_ns - call.begun_ns, 1);
	say(sv, c, (struct rc_str){call.id, call.id_len}, a);
}

static void time_out(struct rc_serve *sv, uint64_t until_ns)
{
	struct rc_commands *k = sv->commands;
	const struct rc_command_answer timeout = {.verdict = RC_COMMAND_TIMEOUT};

	while (k->oldest != RC_NONE && call_at(k, k->oldest)->deadline_ns <= until_ns) {
		struct rc_command_call to = {sv->shard, k->oldest, k->generation[k->oldest]};
		rc_call_answered(sv, &to, &timeout);
	}
}

void rc_commands_give_up(struct rc_serve *sv)
{
	if (sv->commands)
		time_out(sv, UINT64_MAX);
}

/* ---- clients ------------------------------------------------------------------------------------- */

uint64_t rc_commands_key(const struct rc_serve *sv, struct rc_str user, struct rc_str session)
{
	struct rc_str who = user.len ? user : session;

	return rc_hash(&sv->hub->key, who.ptr, who.len);
}

static void call(
	struct rc_serve *sv, struct rc_conn *c, struct rc_str id, const struct rc_command *asked)
{
	const struct rc_command_answer busy = {.verdict = RC_COMMAND_BUSY};
	struct rc_command cmd = *asked;
	uint32_t at = call_make(sv, c, id);
	char session[RC_WS_SESSION_LEN], number[RC_U64_TEXT_MAX];

	rc_count(sv->counters, RC_C_commands, 1);
	if (at == RC_NONE) {
		say(sv, c, id, &busy);
		return;
	}
	rc_ws_session(sv, c, session);
	cmd.call = (struct rc_command_call){sv->shard, at, sv->commands->generation[at]};
	cmd.deadline_ns = call_at(sv->commands, at)->deadline_ns;
	cmd.session = (struct rc_str){session, sizeof(session)};
	cmd.user = rc_session_user(sv, c);
	cmd.key = rc_commands_key(sv, cmd.user, cmd.session);
	cmd.message = rc_bin_is(c) ? rc_bin_number(id, number) : id;
	/* The answer may come before this returns. */
	struct rc_command_call to = cmd.call;
	bool said = sv->commands->unsaid_first == RC_NONE &&
		    rc_commands_ask_desk(sv, RC_COMMAND_CALL, &cmd);
	if (!said && !unsaid_add(sv, at, &cmd))
		rc_call_answered(sv, &to, &busy);
}

void rc_ws_command(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m)
{
	struct rc_json_value data = m->type == RC_MSG_COMMAND ? m->action : m->payload;
	char buf[RC_EVENT_NAME_MAX];
	int len = rc_json_string_decode(m->type_raw, buf, sizeof(buf));
	struct rc_command cmd = {
		.type = {buf, len < 0 ? 0 : (size_t)len},
		.data = data.raw,
		.idempotent = m->idempotent.kind == RC_JSON_TRUE,
	};

	if (data.kind == RC_JSON_NONE) {
		rc_ws_error(sv, c, m->id_raw, "bad_request", false, "command needs an action");
	} else if (m->idempotent.kind > RC_JSON_NONE && m->idempotent.kind != RC_JSON_TRUE &&
		   m->idempotent.kind != RC_JSON_FALSE) {
		rc_ws_error(sv, c, m->id_raw, "bad_request", false, "idempotent is true or false");
	} else if (rc_session_watches(sv, c) ||
		   !rc_rules_may_command(sv->config, rc_session_claims(sv, c), cmd.type)) {
		rc_count(sv->counters, RC_C_commands_forbidden, 1);
		rc_ws_error(sv, c, m->id_raw, "forbidden", false,
			"this client may not send such messages to a backend");
	} else if (!rc_limits_request(sv, c, RC_RATE_COMMAND, 1)) {
		rc_ws_error(sv, c, m->id_raw, "rate_limited", true,
			"more commands than this client may send");
	} else if (sv->commands && cmd.data.len + SURROUNDINGS_MAX > sv->commands->record_max) {
		rc_ws_error(sv, c, m->id_raw, "too_large", false,
			"the payload is larger than this gateway passes on");
	} else if (sv->draining || !sv->commands) {
		rc_ws_error(sv, c, m->id_raw, "server_capacity_exceeded", true,
			"the gateway is shutting down");
	} else {
		call(sv, c, m->id_raw, &cmd);
	}
}

/* ---- turns, memory ------------------------------------------------------------------------------- */

void rc_calls_turn(struct rc_serve *sv)
{
	struct rc_commands *k = sv->commands;

	time_out(sv, sv->now_ns);
	while (k->unsaid_first != RC_NONE) {
		const struct rc_call *call = call_at(k, k->unsaid_first);
		if (!rc_commands_put(sv, k->home, true, call->unsaid, call->unsaid_len))
			break;
		unsaid_drop(sv);
	}
}

uint64_t rc_calls_next_ns(const struct rc_serve *sv)
{
	const struct rc_commands *k = sv->commands;

	return k->oldest == RC_NONE ? UINT64_MAX : call_at(k, k->oldest)->deadline_ns;
}

static size_t calls_bytes(uint32_t calls_max)
{
	return rc_align_up(calls_max * sizeof(struct rc_call), RC_CACHE_LINE);
}

size_t rc_calls_bytes(uint32_t calls_max)
{
	return calls_bytes(calls_max) + rc_align_up(calls_max * sizeof(uint32_t), RC_CACHE_LINE);
}

void rc_calls_init(struct rc_commands *k, unsigned char *memory, uint32_t calls_max)
{
	rc_slab_init(&k->calls, memory, sizeof(struct rc_call), calls_max);
	k->generation = (uint32_t *)(void *)(memory + calls_bytes(calls_max));
	k->oldest = k->youngest = k->unsaid_first = k->unsaid_last = RC_NONE;
}
