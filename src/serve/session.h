/* SPDX-License-Identifier: Apache-2.0
 *
 * Who a client is: the claims of its token, its user, the address that a proxy gave it, its trace. A block of the pool that
 * hangs on the connection (rc_conn_aside.session) from when there is something to remember until the connection's end; an
 * anonymous client that came directly has none and costs nothing.
 *
 *   /ws, /events ─▶ token? ─▶ verified ─▶ home of the user ─▶ joined ─▶ connected
 *                     │ none                  └ too many connections: refused, or the oldest goes (users.h)
 *                     ├─▶ anonymous, where anonymous clients are let in
 *                     └─▶ WebSocket: waits for the first message, {"type":"auth","token":…}, until auth_timeout
 *
 * A POST /events has one for as long as its handler runs, which joins nothing (say.c).
 *
 * One thread.
 */
#ifndef RC_SERVE_SESSION_H
#define RC_SERVE_SESSION_H

#include "auth/rules.h"
#include "auth/token.h"
#include "base/netaddr.h"
#include "proto/http1.h"
#include "proto/trace.h"
#include "serve/serve.h"

#define RC_TRACE_LEN RC_TRACE_TEXT

enum rc_session_state {
	RC_SESSION_NONE,    /* no token was looked at */
	RC_SESSION_JOINING, /* the user's home was asked */
	RC_SESSION_JOINED,
	RC_SESSION_REFUSED, /* by the user's home */
};

/* A service that looks (/ws?scope=read): its claims say until when, and nothing else. */
enum rc_watch {
	RC_WATCH_NOT,
	RC_WATCH_OPEN,  /* let in without a token */
	RC_WATCH_TOKEN, /* by one, or it is still to say one */
};

struct rc_session {
	struct rc_claims *claims; /* a block of the pool; NULL: anonymous */
	struct rc_netaddr told;   /* by a PROXY header, of the connection; family 0: nothing */
	struct rc_netaddr peer; /* by the request under way, or that became this client; likewise */
	uint32_t user; /* its membership, while it has joined or asks to (users.h); RC_NONE: none */
	char *query;   /* of /ws, while it is not known who asks: a block of the pool */
	uint32_t query_len;
	uint8_t state;
	uint8_t watch; /* enum rc_watch */
	uint8_t trace_len;
	char trace[RC_TRACE_LEN];
};

/* NULL: it has none. */
struct rc_session *rc_session_of(const struct rc_serve *sv, const struct rc_conn *c);
/* It is a service that looks, or is still to prove that it is one: see wswatch.c. */
bool rc_session_watches(const struct rc_serve *sv, const struct rc_conn *c);
/* It hears what clients hear and is none: nobody is told of it. */
bool rc_session_looks_on(const struct rc_serve *sv, const struct rc_conn *c);
/* Makes one where there is none. NULL: no memory. */
struct rc_session *rc_session_need(struct rc_serve *sv, struct rc_conn *c);
/* The traceparent that its upgrade came with; what is none is forgotten, as is one for which there is no memory. */
void rc_session_trace(struct rc_serve *sv, struct rc_conn *c, struct rc_str traceparent);
/* At the end of the connection, whatever it was. */
void rc_session_end(struct rc_serve *sv, struct rc_conn *c);
/* The request did not become a client, and the connection goes on: what proxies told stays, nothing else does. */
void rc_session_forget(struct rc_serve *sv, struct rc_conn *c);
/* NULL: anonymous. */
const struct rc_claims *rc_session_claims(const struct rc_serve *sv, const struct rc_conn *c);
/* Empty: none. */
struct rc_str rc_session_user(const struct rc_serve *sv, const struct rc_conn *c);
/* The client's address: what a trusted proxy said of it, else that of the socket. */
struct rc_netaddr rc_session_address(const struct rc_serve *sv, const struct rc_conn *c);
/* Whoever made the connection, whomever its request is for. */
struct rc_netaddr rc_session_connection(const struct rc_serve *sv, const struct rc_conn *c);
/* Of that address: of all of IPv4, of the first 64 bits of IPv6, which is what one customer has. */
uint64_t rc_session_address_hash(
	const struct rc_serve *sv, const struct rc_conn *c, const struct rc_hash_key *key);
/* The home of its user has answered (users.c). */
void rc_session_joined(struct rc_serve *sv, struct rc_conn *c, bool taken);

/* ---- coming in ---------------------------------------------------------------------------------- */

/*
 * Verifies a token and keeps what it says; the session then names nobody else's claims. RC_TOKEN_OK, or why not: then nothing has
 * changed. Counts either. NULL keys: there is nothing to verify it with, RC_TOKEN_UNKNOWN_KEY.
 */
enum rc_token_result rc_session_verify(
	struct rc_serve *sv, struct rc_conn *c, struct rc_str token) RC_MUST_USE;
/* The same for one that is known already; RC_TOKEN_CLAIM where the token names another user. */
enum rc_token_result rc_session_renew(
	struct rc_serve *sv, struct rc_conn *c, struct rc_str token) RC_MUST_USE;
/* It looks from here on, until then: expires_ms by the wall clock, 0 = without an end. False: no memory, nothing has changed. */
bool rc_session_watch(
	struct rc_serve *sv, struct rc_conn *c, enum rc_watch how, uint64_t expires_ms) RC_MUST_USE;
/* What was verified becomes who it is: its user's home is asked, where it names one. The state is JOINING until rc_session_joined, which
 * may be before this returns. */
void rc_session_join(struct rc_serve *sv, struct rc_conn *c);
/* When its token runs out, by the wall clock; 0: never. */
uint64_t rc_session_ends_ms(const struct rc_serve *sv, const struct rc_conn *c);
bool rc_session_over(const struct rc_serve *sv, const struct rc_conn *c);
/* Of `ms` what is left before that, at least 1. */
uint32_t rc_session_clamp(const struct rc_serve *sv, const struct rc_conn *c, uint32_t ms);
/* May this client do that? */
bool rc_session_may(const struct rc_serve *sv, const struct rc_conn *c, enum rc_action action,
	struct rc_str name);

#endif
