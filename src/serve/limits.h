/* SPDX-License-Identifier: Apache-2.0
 *
 * What one address, one connection, and all together may do. Each limit has an option in [limits], a counter and an answer; the
 * table is in src/proto/README.md. Addresses are counted for all shards together (sync/tally.h); what a client sends is metered by
 * its own shard (meter.c).
 *
 *   accepted ─▶ address known ─▶ rc_limits_accepted ─▶ rc_limits_handshake ─▶ rc_limits_http ─▶ rc_limits_client
 *               socket, PROXY                          TLS                    each request      upgrade: WebSocket, SSE
 *                    └ unauthenticated ────────────────────────────────── until ─▶ rc_limits_admitted
 *
 * An address of this host is free of all of it while exempt_loopback says so, and a trusted proxy's own of what is counted by
 * address: then its clients are, by the address that it told of them. One thread, but for struct rc_limits.
 */
#ifndef RC_SERVE_LIMITS_H
#define RC_SERVE_LIMITS_H

#include "base/netaddr.h"
#include "serve/serve.h"
#include "sync/tally.h"

enum rc_rate_kind {
	RC_RATE_MESSAGE,
	RC_RATE_BYTE,
	RC_RATE_SUBSCRIBE,
	RC_RATE_PUBLISH,
	RC_RATE_COMMAND,
	RC_RATES
};

/* Of the whole gateway. Fixed at start, but for what is behind the table's locks and the two buckets. */
struct rc_limits {
	struct rc_hash_key key;
	struct rc_tally addresses;
	struct rc_tally
		speakers; /* users, and addresses of those who are none, by what they say over HTTP */
	struct rc_rate accepts, handshakes; /* all together */
	struct rc_rate client[RC_RATES];
	_Atomic uint32_t accepts_full_at, handshakes_full_at;
};

/* ---- start; main thread */

/* Of both tables; 0: no limit needs one. */
size_t rc_limits_bytes(const struct rc_config *config, uint32_t connections_max);
/* memory: zeroed, of rc_limits_bytes, aligned to 64; NULL where these are 0. */
void rc_limits_init(struct rc_limits *l, const struct rc_config *config, void *memory,
	uint32_t connections_max);

/* ---- connections and addresses */

/* A connection is there: it counts as unauthenticated. */
void rc_limits_arrived(struct rc_serve *sv, struct rc_conn *c);
/* The address of a new connection is known. False: it is refused, and ended. */
bool rc_limits_accepted(struct rc_serve *sv, struct rc_conn *c, enum rc_port port);
/* It is about to cost a TLS handshake. False: one too many; the caller ends it. */
bool rc_limits_handshake(struct rc_serve *sv, struct rc_conn *c);
/* An HTTP request that nothing else vouches for. False: one too many; the caller answers 429. */
bool rc_limits_http(struct rc_serve *sv, struct rc_conn *c);
/* A connection becomes a client, of whom it is known what a proxy said (rc_session_address). False: its address has as many as it
 * may; nothing was done, the caller answers 429. */
bool rc_limits_client(struct rc_serve *sv, struct rc_conn *c);
/* It is a client or a publisher now, with a token where one is needed; once or more often. */
void rc_limits_admitted(struct rc_serve *sv, struct rc_conn *c);
/* The end of any connection. */
void rc_limits_gone(struct rc_serve *sv, struct rc_conn *c);

/* Whether this address may try to authenticate (false is counted), and that it failed to. A try that succeeds says nothing. */
bool rc_limits_may_try(struct rc_serve *sv, const struct rc_conn *c);
void rc_limits_failed(struct rc_serve *sv, const struct rc_conn *c);
/* Seconds after which who may not try may again. */
uint32_t rc_limits_retry_s(const struct rc_serve *sv);

/* ---- meter.c: what clients send */

/* A message of a client, or a ping or pong. False: it is one too many, was answered where that is due, and is to be forgotten; or the
 * client was closed. */
bool rc_limits_message(struct rc_serve *sv, struct rc_conn *c, uint32_t len);
/* The same for a pong: one in each heartbeat is what was asked for, and needs no meter. */
bool rc_limits_pong(struct rc_serve *sv, struct rc_conn *c, uint32_t len);
/* Before a request of that kind, which asks for n things. False: too many; the caller answers `rate_limited`, temporary, which
 * goes nowhere when the client was closed. */
bool rc_limits_request(struct rc_serve *sv, struct rc_conn *c, enum rc_rate_kind kind, uint32_t n);
/*
 * The same for what comes by POST /events, where a connection is nobody: all that a user says so, on whatever connections and shards,
 * is held to what one client may; what those say who have no user, by address. A request is metered as one of its address
 * (rc_limits_http), so there is no RC_RATE_MESSAGE. False: *wait_s is when to come again.
 */
bool rc_limits_spoken(struct rc_serve *sv, struct rc_conn *c, enum rc_rate_kind kind, uint32_t n,
	uint32_t *wait_s) RC_MUST_USE;
/* At each heartbeat: a meter that has nothing to remember is given back. */
void rc_limits_rest(struct rc_serve *sv, struct rc_conn *c);

/* ---- between the two: rc_conn_aside.address */

#define RC_LIMITS_PENDING 0x80000000u /* it counts as unauthenticated */
#define RC_LIMITS_TOLD    0x40000000u /* it is counted for a proxy's client */
#define RC_LIMITS_EXEMPT  0x3ffffffeu /* instead of an entry: nothing is counted */
#define RC_LIMITS_NOWHERE 0x3ffffffdu /* there was no room to count it */

static inline uint32_t rc_limits_entry(const struct rc_serve *sv, const struct rc_conn *c)
{
	return rc_conn_aside(sv->conns, c)->address & ~(RC_LIMITS_PENDING | RC_LIMITS_TOLD);
}
void rc_limits_meter_free(struct rc_serve *sv, struct rc_conn *c);

#endif
