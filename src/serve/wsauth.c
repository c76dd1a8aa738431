/* SPDX-License-Identifier: Apache-2.0
 *
 * How a WebSocket client says who it is: by the token of its upgrade, by its first message, by a later one; and how it goes on being
 * who it is. See session.h.
 */
#include "auth/auth.h"
#include "proto/http1.h"
#include "proto/message.h"
#include "proto/wsdeflate.h"
#include "serve/binary.h"
#include "serve/commands.h"
#include "serve/credentials.h"
#include "serve/limits.h"
#include "serve/presence.h"
#include "serve/session.h"
#include "serve/wish.h"
#include "serve/wsauth.h"

static bool greet(struct rc_serve *sv, struct rc_conn *c)
{
	const struct rc_claims *claims = rc_session_claims(sv, c);
	char session[RC_WS_SESSION_LEN];

	if (rc_bin_is(c)) {
		rc_bin_greet(sv, c);
		rc_client_connected(sv, c);
		return c->state == RC_CONN_OPEN;
	}
	struct rc_textbuf b = rc_ws_begin(sv, c, 512 + 6 * RC_USER_MAX);

	if (!b.ptr)
		return false;
	rc_ws_session(sv, c, session);
	rc_msg_connected(&b, (struct rc_str){session, sizeof(session)}, rc_session_user(sv, c),
		claims ? claims->expires_ms : 0, sv->config->heartbeat_ms, RC_STR(RC_VERSION));
	rc_ws_end(sv, c, &b);
	rc_client_connected(sv, c);
	return true;
}

void rc_ws_known(struct rc_serve *sv, struct rc_conn *c, struct rc_str query)
{
	uint32_t sub;

	rc_ws_set_stage(c, RC_WS_LIVE);
	rc_limits_admitted(sv, c);
	if (!greet(sv, c))
		return;
	struct rc_view_spec spec = {0};

	if (!rc_wish_is_plain(c, NULL))
		spec = rc_wish_view(sv, c, NULL, RC_STR(RC_HUB_BROADCAST));
	if (rc_view_subscribe(sv->hub, rc_conn_slot(sv->conns, c), &c->subs,
		    RC_STR(RC_HUB_BROADCAST), false, &spec, RC_SUB_HIDDEN, &sub) != RC_SUBSCRIBED) {
		rc_count(sv->counters, RC_C_subscribe_refused_full, 1);
		rc_ws_error(sv, c, (struct rc_str){NULL, 0}, "server_capacity_exceeded", true,
			"the gateway has no room for one more client");
		rc_ws_close(sv, c, RC_CLOSE_OVER_CAPACITY, "over capacity", RC_C_close_capacity);
		return;
	}
	/* Spread over the interval, so that clients who came together are not all pinged together. */
	rc_conn_timer(sv->conns, c,
		rc_session_clamp(sv, c, 1 + rc_prng_below(&sv->prng, sv->config->heartbeat_ms)));
	rc_ws_subscribe_query(sv, c, query);
	if (c->state == RC_CONN_OPEN)
		rc_ws_subscribe_claims(sv, c);
}

static void refuse_token(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw, bool ends,
	enum rc_token_result why)
{
	const char *text = why == RC_TOKEN_RESULTS ? "the gateway has no memory for this token"
						   : rc_token_reason(why);

	rc_ws_error(sv, c, id_raw,
		why == RC_TOKEN_RESULTS ? "server_capacity_exceeded" : "unauthorized",
		why == RC_TOKEN_RESULTS, text);
	if (ends && why == RC_TOKEN_RESULTS)
		rc_ws_close(sv, c, 1013, text, RC_C_close_capacity);
	else if (ends)
		rc_ws_close(sv, c, RC_CLOSE_TOKEN, text, RC_C_close_token);
}

void rc_ws_too_many_failures(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw)
{
	rc_ws_error(sv, c, id_raw, "rate_limited", true, "too many tokens were refused, try later");
	rc_ws_close(sv, c, RC_CLOSE_RATE, "too many tokens were refused", RC_C_close_rate);
}

static bool too_many_failures(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw)
{
	if (rc_limits_may_try(sv, c))
		return false;
	rc_ws_too_many_failures(sv, c, id_raw);
	return true;
}

bool rc_ws_keep_query(struct rc_serve *sv, struct rc_conn *c, struct rc_str query)
{
	struct rc_session *s = rc_session_need(sv, c);

	if (s && query.len) {
		s->query = rc_pool_get(sv->pool, query.len);
		s->query_len = s->query ? (uint32_t)query.len : 0;
		if (s->query)
			(void)rc_str_copy(s->query, query);
	}
	if (s && (s->query || !query.len))
		return true;
	rc_ws_close(
		sv, c, 1013, "no memory for one more client, try again later", RC_C_close_capacity);
	return false;
}

/* Its token is good. What it says from here on waits for the home of its user. */
static void join(struct rc_serve *sv, struct rc_conn *c)
{
	/* Its claims name somebody who is not counted as being here yet. */
	rc_ws_set_stage(c, RC_WS_JOINING);
	if (!rc_ws_line_begun(sv, c)) {
		rc_ws_close(sv, c, 1013, "no memory for one more client, try again later",
			RC_C_close_capacity);
		return;
	}
	/* Of one that was anonymous the next heartbeat may be due. */
	rc_conn_timer(sv->conns, c, sv->config->auth_timeout_ms);
	rc_session_join(sv, c);
}

void rc_ws_joined(struct rc_serve *sv, struct rc_conn *c, bool taken)
{
	struct rc_session *s = rc_session_of(sv, c);
	struct rc_str query = {s->query, s->query_len};
	bool newcomer = c->subs == RC_NONE;

	if (c->state != RC_CONN_OPEN || rc_ws_stage(c) != RC_WS_JOINING)
		return;
	/* Anonymous ones have a subscription, too: that to what everybody hears. */
	if (!taken) {
		rc_ws_error(sv, c, (struct rc_str){NULL, 0}, "limit_exceeded", true,
			"this user has as many connections as it may have");
		rc_ws_close(sv, c, RC_CLOSE_OVER_CAPACITY, "too many connections of this user",
			RC_C_close_capacity);
		return;
	}
	s->query = NULL;
	s->query_len = 0;
	if (rc_session_user(sv, c).len)
		rc_gauge_add(sv->counters, RC_C_clients_known, 1);
	rc_ws_line_ends(sv, c);
	if (newcomer) {
		/* What its query asks for goes before what it said since. */
		sv->from_line = true;
		rc_ws_known(sv, c, query);
		sv->from_line = false;
	} else {
		/* Anonymous before, and somebody now. */
		rc_presence_identify(sv, c);
		rc_ws_set_stage(c, RC_WS_LIVE);
		rc_conn_timer(sv->conns, c, rc_session_clamp(sv, c, sv->config->heartbeat_ms));
		if (greet(sv, c))
			rc_ws_subscribe_claims(sv, c);
	}
	rc_pool_put(sv->pool, (void *)(uintptr_t)query.ptr, query.len);
	if (c->state == RC_CONN_OPEN)
		rc_ws_line_goes_on(sv, c);
}

struct rc_str rc_ws_token_of(const struct rc_msg *m, char *buf, size_t cap)
{
	const struct rc_json_value *v = &m->token;

	if (m->token_text.ptr)
		return m->token_text;
	int len = v->kind == RC_JSON_STRING ? rc_json_string_decode(v->raw, buf, cap) : -1;

	return (struct rc_str){buf, len < 0 ? 0 : (size_t)len};
}

void rc_ws_auth(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m)
{
	char buf[RC_CREDENTIALS_MAX];
	struct rc_str token = rc_ws_token_of(m, buf, sizeof(buf));
	bool first = rc_ws_stage(c) == RC_WS_WAITS_TOKEN;

	if (first && rc_session_watches(sv, c)) {
		rc_ws_watch_auth(sv, c, m->id_raw, token, false);
		return;
	}
	if (rc_session_claims(sv, c)) {
		rc_ws_error(sv, c, m->id_raw, "bad_request", false,
			"this connection has a token already; refresh renews it");
		return;
	}
	if (!sv->auth || !sv->auth->keys) {
		rc_ws_error(sv, c, m->id_raw, "unsupported", false,
			"this gateway has no keys to verify tokens with");
		return;
	}
	if (too_many_failures(sv, c, m->id_raw))
		return;
	enum rc_token_result why = rc_session_verify(sv, c, token);
	if (why != RC_TOKEN_OK)
		refuse_token(sv, c, m->id_raw, first, why);
	else
		join(sv, c);
}

bool rc_ws_tell_refreshed(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw)
{
	if (rc_bin_is(c)) {
		rc_bin_refreshed(sv, c);
		return c->state == RC_CONN_OPEN;
	}
	struct rc_textbuf b = rc_ws_begin(sv, c, 256 + id_raw.len);
	if (!b.ptr)
		return false;
	rc_msg_refreshed(&b, id_raw, sv->wall_ms, rc_session_claims(sv, c)->expires_ms);
	rc_ws_end(sv, c, &b);
	return true;
}

void rc_ws_refresh(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m)
{
	char buf[RC_CREDENTIALS_MAX];
	struct rc_str token = rc_ws_token_of(m, buf, sizeof(buf));

	if (!rc_session_claims(sv, c)) {
		rc_ws_error(sv, c, m->id_raw, "bad_request", false,
			"this connection has no token; auth gives it one");
		return;
	}
	if (rc_session_watches(sv, c)) {
		rc_ws_watch_auth(sv, c, m->id_raw, token, true);
		return;
	}
	if (too_many_failures(sv, c, m->id_raw))
		return;
	enum rc_token_result why = rc_session_renew(sv, c, token);
	if (why == RC_TOKEN_CLAIM) {
		rc_ws_error(sv, c, m->id_raw, "forbidden", false,
			"a token that renews must name the same user");
		return;
	}
	if (why != RC_TOKEN_OK) {
		refuse_token(sv, c, m->id_raw, false, why);
		return;
	}
	if (!rc_ws_tell_refreshed(sv, c, m->id_raw))
		return;
	rc_presence_renewed(sv, c);
	rc_ws_drop_forbidden(sv, c);
	/* The timer may stand for the end of the token before. */
	if (c->state == RC_CONN_OPEN)
		rc_conn_timer(sv->conns, c, rc_session_clamp(sv, c, sv->config->heartbeat_ms));
}

void rc_ws_opened(struct rc_serve *sv, struct rc_conn *c, struct rc_str query,
	const struct rc_ws_deflate *deflate)
{
	struct rc_str rest = query, key, value;

	c->kind = RC_CONN_WS;
	c->window_bits = deflate->window_bits & 15u;
	if (c->window_bits)
		rc_gauge_add(sv->counters, RC_C_clients_deflate, 1);
	c->secret = rc_random_secret(&sv->secrets);
	sv->clients++;
	rc_gauge_set(sv->counters, RC_C_clients, sv->clients);
	rc_count(sv->counters, RC_C_clients_opened, 1);
	while (rc_http_query_next(&rest, &key, &value)) {
		if (rc_str_eq(key, RC_STR("heartbeat")) && rc_str_eq(value, RC_STR("json")))
			c->flags |= RC_CONN_JSON_HEARTBEAT;
		if (rc_str_eq(key, RC_STR("batch")) && rc_str_eq(value, RC_STR("1")))
			c->stage |= RC_WS_BATCH;
	}
}

void rc_ws_waits_token(struct rc_serve *sv, struct rc_conn *c, struct rc_str query)
{
	rc_ws_set_stage(c, RC_WS_WAITS_TOKEN);
	if (rc_ws_keep_query(sv, c, query))
		rc_conn_timer(sv->conns, c, sv->config->auth_timeout_ms);
}

void rc_ws_open(struct rc_serve *sv, struct rc_conn *c, struct rc_str query, int given,
	struct rc_str token, const struct rc_ws_deflate *deflate)
{
	struct rc_str none = {NULL, 0};

	rc_ws_opened(sv, c, query, deflate);
	/* Without keys nobody can say who he is, and a token is as good as none. */
	if (!sv->auth || !sv->auth->keys)
		given = 0;
	if (given == 0 && rc_config_anonymous(sv->config)) {
		rc_ws_known(sv, c, query);
		return;
	}
	if (given != 0) {
		rc_ws_set_stage(c, RC_WS_JOINING);
		if (too_many_failures(sv, c, none))
			return;
		enum rc_token_result why =
			given < 0 ? RC_TOKEN_MALFORMED : rc_session_verify(sv, c, token);
		if (why != RC_TOKEN_OK)
			refuse_token(sv, c, none, true, why);
		else if (rc_ws_keep_query(sv, c, query))
			join(sv, c);
		return;
	}
	rc_ws_waits_token(sv, c, query);
}

bool rc_ws_admits(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m, int parsed,
	struct rc_str text)
{
	if (rc_ws_stage(c) == RC_WS_JOINING) {
		(void)rc_ws_waits_in_line(sv, c, m, text);
		return false;
	}
	if (parsed == 0 && m->type == RC_MSG_AUTH)
		return true;
	rc_ws_error(sv, c, m->id_raw, "unauthorized", false,
		"the first message must be auth, with a token");
	rc_ws_close(sv, c, RC_CLOSE_TOKEN, "the first message was not auth", RC_C_close_token);
	return false;
}

void rc_ws_not_known(struct rc_serve *sv, struct rc_conn *c)
{
	if (rc_ws_stage(c) == RC_WS_WAITS_TOKEN)
		rc_ws_close(sv, c, RC_CLOSE_TOKEN, "no token came in time", RC_C_close_token);
	else
		rc_ws_close(sv, c, 1013, "the gateway is too busy, try again later",
			RC_C_close_capacity);
}
