/* SPDX-License-Identifier: Apache-2.0
 *
 * A WebSocket of a service that looks (/ws?scope=read): the dashboard, a tool of an operator. What lets it in is what lets a request
 * to /api in: the open loopback, a bearer, or the token of its first message, for browsers can't send a bearer. Tokens of the query,
 * cookies and subprotocols are those of users, and not looked at. It may hear every channel and publish to none.
 */
#include "serve/limits.h"
#include "serve/proof.h"
#include "serve/wsauth.h"

static void no_memory(struct rc_serve *sv, struct rc_conn *c)
{
	rc_ws_close(
		sv, c, 1013, "no memory for one more client, try again later", RC_C_close_capacity);
}

void rc_ws_watch(struct rc_serve *sv, struct rc_conn *c, struct rc_str query, bool unproven,
	const struct rc_grant *grant, const struct rc_ws_deflate *deflate)
{
	rc_ws_opened(sv, c, query, deflate);
	if (!unproven) {
		if (rc_session_watch(sv, c, grant ? RC_WATCH_TOKEN : RC_WATCH_OPEN,
			    grant ? grant->expires_ms : 0))
			rc_ws_known(sv, c, query);
		else
			no_memory(sv, c);
		return;
	}
	struct rc_session *s = rc_session_need(sv, c);
	if (!s) {
		no_memory(sv, c);
		return;
	}
	s->watch = RC_WATCH_TOKEN;
	rc_ws_waits_token(sv, c, query);
}

static void refuse(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw, const char *code,
	const char *why, bool ends)
{
	rc_ws_error(sv, c, id_raw, code, false, why);
	if (ends)
		rc_ws_close(sv, c, RC_CLOSE_TOKEN, why, RC_C_close_token);
}

void rc_ws_watch_auth(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw,
	struct rc_str token, bool again)
{
	const struct rc_grant *grant;
	struct rc_session *s = rc_session_of(sv, c);

	switch (rc_credential_token(sv, c, RC_AUTH_AT_HTTP, token, &grant)) {
	case RC_CREDENTIAL_GOOD:
		break;
	case RC_CREDENTIAL_TOO_MANY:
		rc_ws_too_many_failures(sv, c, id_raw);
		return;
	default:
		refuse(sv, c, id_raw, "unauthorized", "the token is missing or wrong", !again);
		return;
	}
	if (!(grant->scopes & RC_SCOPE_READ)) {
		rc_count(sv->counters, RC_C_http_forbidden, 1);
		refuse(sv, c, id_raw, "forbidden", "the token lacks the scope read", !again);
		return;
	}
	if (!rc_session_watch(sv, c, RC_WATCH_TOKEN, grant->expires_ms)) {
		no_memory(sv, c);
		return;
	}
	if (!again) {
		struct rc_str query = {s->query, s->query_len};
		s->query = NULL;
		s->query_len = 0;
		rc_ws_known(sv, c, query);
		rc_pool_put(sv->pool, (void *)(uintptr_t)query.ptr, query.len);
	} else if (rc_ws_tell_refreshed(sv, c, id_raw)) {
		rc_conn_timer(sv->conns, c, rc_session_clamp(sv, c, sv->config->heartbeat_ms));
	}
}

void rc_ws_services_changed(struct rc_serve *sv)
{
	for (uint32_t i = 0; i < sv->conns->mark; i++) {
		struct rc_conn *c = &sv->conns->at[i];
		if (c->state != RC_CONN_OPEN || c->kind != RC_CONN_WS)
			continue;
		const struct rc_session *s = rc_session_of(sv, c);
		if (s && s->watch == RC_WATCH_TOKEN && s->claims)
			rc_ws_close(sv, c, RC_CLOSE_RENEW, "the services have changed: come back",
				RC_C_close_renewed);
	}
}
