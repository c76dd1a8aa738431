/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/session.h"

#include <sys/socket.h>

#include "auth/auth.h"
#include "serve/http.h"
#include "serve/proof.h"
#include "serve/users.h"

struct rc_session *rc_session_of(const struct rc_serve *sv, const struct rc_conn *c)
{
	uint32_t at = rc_conn_aside(sv->conns, c)->session;

	return at == RC_NONE
		       ? NULL
		       : (struct rc_session *)(void *)(sv->pool->arena->base + (size_t)at * 16);
}

bool rc_session_watches(const struct rc_serve *sv, const struct rc_conn *c)
{
	const struct rc_session *s = rc_session_of(sv, c);

	return s && s->watch != RC_WATCH_NOT;
}

bool rc_session_looks_on(const struct rc_serve *sv, const struct rc_conn *c)
{
	/* Backends that listen, and operators. */
	return c->kind == RC_CONN_INGEST || rc_session_watches(sv, c);
}

static const struct rc_session nobody = {
	.user = RC_NONE,
};

struct rc_session *rc_session_need(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_session *s = rc_session_of(sv, c);

	if (s)
		return s;
	s = rc_pool_get(sv->pool, sizeof(*s));
	if (!s) {
		rc_count(sv->counters, RC_C_arena_refused, 1);
		return NULL;
	}
	*s = nobody;
	rc_conn_aside(sv->conns, c)->session =
		(uint32_t)((size_t)((unsigned char *)s - sv->pool->arena->base) / 16);
	return s;
}

static void strip(struct rc_serve *sv, struct rc_conn *c, struct rc_session *s)
{
	rc_users_leave(sv, c);
	if (s->claims)
		rc_pool_put(sv->pool, s->claims, s->claims->size);
	rc_pool_put(sv->pool, s->query, s->query_len);
}

void rc_session_end(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_session *s = rc_session_of(sv, c);

	if (!s)
		return;
	strip(sv, c, s);
	rc_pool_put(sv->pool, s, sizeof(*s));
	rc_conn_aside(sv->conns, c)->session = RC_NONE;
}

void rc_session_forget(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_session *s = rc_session_of(sv, c);
	struct rc_netaddr told, peer;

	if (!s || (!s->told.family && !s->peer.family)) {
		rc_session_end(sv, c);
		return;
	}
	strip(sv, c, s);
	told = s->told;
	peer = s->peer;
	*s = nobody;
	s->told = told;
	s->peer = peer;
}

void rc_session_trace(struct rc_serve *sv, struct rc_conn *c, struct rc_str traceparent)
{
	unsigned char trace[RC_TRACE_BYTES];
	struct rc_session *s;

	if (!rc_trace_parse(traceparent, trace))
		return;
	s = rc_session_need(sv, c);
	if (!s)
		return;
	rc_trace_text(trace, s->trace);
	s->trace_len = RC_TRACE_TEXT;
}

const struct rc_claims *rc_session_claims(const struct rc_serve *sv, const struct rc_conn *c)
{
	const struct rc_session *s = rc_session_of(sv, c);

	return s ? s->claims : NULL;
}

struct rc_str rc_session_user(const struct rc_serve *sv, const struct rc_conn *c)
{
	const struct rc_claims *claims = rc_session_claims(sv, c);

	return claims ? rc_claims_user(claims) : (struct rc_str){NULL, 0};
}

struct rc_netaddr rc_session_address(const struct rc_serve *sv, const struct rc_conn *c)
{
	const struct rc_session *s = rc_session_of(sv, c);

	return s && s->peer.family ? s->peer : rc_session_connection(sv, c);
}

struct rc_netaddr rc_session_connection(const struct rc_serve *sv, const struct rc_conn *c)
{
	const struct rc_session *s = rc_session_of(sv, c);
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	if (s && s->told.family)
		return s->told;
	if (getpeername(c->fd, (struct sockaddr *)&a, &len) < 0)
		return (struct rc_netaddr){0};
	return rc_netaddr_of((const struct sockaddr *)&a);
}

uint64_t rc_session_address_hash(
	const struct rc_serve *sv, const struct rc_conn *c, const struct rc_hash_key *key)
{
	struct rc_netaddr a = rc_session_address(sv, c);

	return rc_hash(key, a.ip, a.family == 4 ? 4 : a.family == 6 ? 8 : 0);
}

/* ---- coming in ---------------------------------------------------------------------------------- */

static const struct rc_keys *keys_of(const struct rc_serve *sv)
{
	return sv->auth ? sv->auth->keys : NULL;
}

/* The claims become the session's. False: no memory. */
static bool keep(struct rc_serve *sv, struct rc_conn *c, const struct rc_claims *said)
{
	struct rc_session *s = rc_session_need(sv, c);
	struct rc_claims *kept = s ? rc_pool_get(sv->pool, said->size) : NULL;

	if (!kept) {
		rc_count(sv->counters, RC_C_arena_refused, 1);
		return false;
	}
	memcpy(kept, said, said->size);
	if (s->claims)
		rc_pool_put(sv->pool, s->claims, s->claims->size);
	s->claims = kept;
	return true;
}

/* user: NULL, or whom it must name. */
static enum rc_token_result verify(
	struct rc_serve *sv, struct rc_conn *c, struct rc_str token, const struct rc_str *user)
{
	_Alignas(struct rc_claims) unsigned char room[RC_CLAIMS_MAX];
	struct rc_claims *said = (void *)room;
	const struct rc_keys *keys = keys_of(sv);
	enum rc_token_result result =
		keys ? rc_token_verify(keys, token, sv->wall_ms, said) : RC_TOKEN_UNKNOWN_KEY;

	if (result == RC_TOKEN_OK && user && !rc_str_eq(*user, rc_claims_user(said)))
		result = RC_TOKEN_CLAIM;
	rc_count(sv->counters, (enum rc_counter)(RC_C_tokens_good + (int)result), 1);
	if (result != RC_TOKEN_OK) {
		rc_credential_failed(sv, c, RC_AUTH_OF_CLIENT, true);
		return result;
	}
	if (!keep(sv, c, said))
		return RC_TOKEN_RESULTS;
	return RC_TOKEN_OK;
}

enum rc_token_result rc_session_verify(struct rc_serve *sv, struct rc_conn *c, struct rc_str token)
{
	return verify(sv, c, token, NULL);
}

enum rc_token_result rc_session_renew(struct rc_serve *sv, struct rc_conn *c, struct rc_str token)
{
	char text[RC_USER_MAX];
	struct rc_str user = rc_session_user(sv, c);

	(void)rc_str_copy(text, user);
	user.ptr = text;
	return verify(sv, c, token, &user);
}

bool rc_session_watch(
	struct rc_serve *sv, struct rc_conn *c, enum rc_watch how, uint64_t expires_ms)
{
	const struct rc_claims claims = {.size = sizeof(claims), .expires_ms = expires_ms};

	if (!keep(sv, c, &claims))
		return false;
	struct rc_session *s = rc_session_of(sv, c);
	s->watch = (uint8_t)how;
	s->state = RC_SESSION_JOINED;
	return true;
}

void rc_session_join(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_session *s = rc_session_of(sv, c);

	RC_ASSERT(s && s->claims);
	s->state = RC_SESSION_JOINING;
	if (rc_session_user(sv, c).len)
		rc_users_join(sv, c);
	else
		rc_session_joined(sv, c, true);
}

void rc_session_joined(struct rc_serve *sv, struct rc_conn *c, bool taken)
{
	struct rc_session *s = rc_session_of(sv, c);

	if (!s || s->state != RC_SESSION_JOINING)
		return;
	s->state = taken ? RC_SESSION_JOINED : RC_SESSION_REFUSED;
	if (c->kind == RC_CONN_WS)
		rc_ws_joined(sv, c, taken);
	else if (c->kind == RC_CONN_HTTP)
		rc_http_again(sv, c);
}

uint64_t rc_session_ends_ms(const struct rc_serve *sv, const struct rc_conn *c)
{
	const struct rc_claims *claims = rc_session_claims(sv, c);

	/* As long as such a token would let it in, it may stay. */
	return claims && claims->expires_ms ? claims->expires_ms + sv->config->auth_leeway_ms : 0;
}

bool rc_session_over(const struct rc_serve *sv, const struct rc_conn *c)
{
	uint64_t ends = rc_session_ends_ms(sv, c);

	return ends && ends <= sv->wall_ms;
}

uint32_t rc_session_clamp(const struct rc_serve *sv, const struct rc_conn *c, uint32_t ms)
{
	uint64_t ends = rc_session_ends_ms(sv, c);

	if (!ends)
		return ms;
	if (ends <= sv->wall_ms)
		return 1;
	return (uint32_t)RC_MIN((uint64_t)ms, ends - sv->wall_ms);
}

bool rc_session_may(const struct rc_serve *sv, const struct rc_conn *c, enum rc_action action,
	struct rc_str name)
{
	const struct rc_session *s = rc_session_of(sv, c);

	if (s && s->watch != RC_WATCH_NOT)
		return s->claims && rc_rules_allow_watcher(action, name);
	return rc_rules_allow(sv->config, rc_session_claims(sv, c), action, name);
}
