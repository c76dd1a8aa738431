/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/say.h"

#include "serve/session.h"

/* ---- answers ------------------------------------------------------------------------------------ */

static int status_of(const char *code)
{
	static const struct {
		const char *code;
		int status;
	} table[] = {
		{"forbidden", 403},
		{"conflict", 409},
		{"too_large", 413},
		{"invalid_data", 422},
		{"key_reused", 422},
		{"server_capacity_exceeded", 503},
	};

	for (size_t i = 0; i < RC_ARRAY_LEN(table); i++) {
		if (strcmp(table[i].code, code) == 0)
			return table[i].status;
	}
	return 400;
}

static void tell_error(struct rc_serve *sv, const struct rc_say *s, const char *code,
	bool temporary, const char *message, struct rc_str field)
{
	int status = status_of(code);

	rc_count(sv->counters, RC_C_messages_bad, 1);
	s->call->id = s->id;
	rc_http_fail_said(sv, s->call, status, status == 503 ? "Retry-After: 5\r\n" : NULL, code,
		temporary, message, field);
}

void rc_say_error(struct rc_serve *sv, const struct rc_say *s, const char *code, bool temporary,
	const char *message)
{
	if (s->call)
		tell_error(sv, s, code, temporary, message, (struct rc_str){NULL, 0});
	else
		rc_ws_error(sv, s->c, s->id, code, temporary, message);
}

void rc_say_error_field(struct rc_serve *sv, const struct rc_say *s, const char *code,
	const char *message, const char *field)
{
	if (s->call)
		tell_error(sv, s, code, false, message, rc_str_of(field));
	else
		rc_ws_error_field(sv, s->c, s->id, code, message, field);
}

bool rc_say_within(
	struct rc_serve *sv, const struct rc_say *s, enum rc_rate_kind kind, const char *message)
{
	uint32_t wait_s;

	if (!s->call) {
		if (rc_limits_request(sv, s->c, kind, 1))
			return true;
		rc_ws_error(sv, s->c, s->id, "rate_limited", true, message);
		return false;
	}
	uint32_t n = kind == RC_RATE_BYTE ? (uint32_t)s->call->body.len : 1;
	if (rc_limits_spoken(sv, s->c, kind, n, &wait_s))
		return true;
	rc_count(sv->counters, RC_C_messages_bad, 1);
	s->call->id = s->id;
	rc_http_limited(sv, s->call, wait_s, message);
	return false;
}

/* ---- POST /events ------------------------------------------------------------------------------- */

/* A page of another origin can't send this without a preflight, also where origins are not checked. */
static bool is_json(const struct rc_http_request *r)
{
	return rc_http_header_count(r, "content-type") == 1 &&
	       rc_http_same(rc_http_media_type(r), RC_STR("application/json"));
}

static void say(struct rc_serve *sv, struct rc_say *s)
{
	struct rc_str text = s->call->body;
	struct rc_msg_fault fault;
	struct rc_msg m;

	rc_count(sv->counters, RC_C_messages_in, 1);
	if (!rc_say_within(sv, s, RC_RATE_BYTE, "more bytes than a client may send; slow down"))
		return;
	int parsed = rc_msg_parse(text, &m, &fault);
	s->id = m.id_raw;
	if (parsed < 0)
		rc_say_error(sv, s, fault.code, false, fault.message);
	else if (m.type == RC_MSG_PUBLISH)
		rc_say_publish(sv, s, &m, text);
	else if (m.type == RC_MSG_HISTORY)
		rc_say_history(sv, s, &m);
	else if (m.type == RC_MSG_PRESENCE)
		rc_say_presence(sv, s, &m);
	else
		rc_say_error(sv, s, "unsupported", false,
			"without a WebSocket a client says publish, history and presence");
}

bool rc_say_expects(struct rc_serve *sv, struct rc_http_call *call)
{
	bool known = rc_http_known(sv, call);

	/* It is asked once more when all is there: a body that is waited for holds nothing else. */
	rc_session_forget(sv, call->c);
	return known;
}

enum rc_http_result rc_say_http(struct rc_serve *sv, struct rc_http_call *call)
{
	struct rc_say s = {.c = call->c, .call = call, .result = RC_HTTP_DONE};

	if (sv->draining) {
		/* Its head may have come before. */
		call->reply.close = true;
		rc_http_fail(sv, call, 503, "server_capacity_exceeded", "the gateway stops");
	} else if (!is_json(call->request)) {
		rc_count(sv->counters, RC_C_http_bad, 1);
		rc_http_fail(sv, call, 415, "bad_request", "what is said is application/json");
	} else if (rc_http_known(sv, call)) {
		struct rc_str user = rc_session_user(sv, call->c);
		call->reply.who_len = (uint8_t)RC_MIN(user.len, sizeof(call->reply.who));
		if (user.len)
			memcpy(call->reply.who, user.ptr, call->reply.who_len);
		/* Its token vouches for it. */
		if (rc_session_claims(sv, call->c))
			rc_limits_admitted(sv, call->c);
		say(sv, &s);
		/* The connection goes on, and who it is has to be said again. */
		rc_session_forget(sv, call->c);
	}
	return s.result;
}
