/* SPDX-License-Identifier: Apache-2.0
 *
 * How far behind a client is, and why: for /api/laggards, and once a second for the metrics. Bytes that wait for it, in logs and in
 * its own output; what its socket holds already is not among them. One thread.
 */
#ifndef RC_SERVE_LAG_H
#define RC_SERVE_LAG_H

#include "serve/serve.h"

struct rc_lag {
	uint32_t sub;    /* in which it is furthest behind; RC_NONE: only its own output waits */
	uint64_t bytes;  /* of all that waits */
	uint64_t events; /* of sub; what of them it will be given is the policy's to decide */
	uint64_t age_ms; /* since when the oldest of them waits */
	uint64_t
		blocked_ms; /* since when its socket is full; 0 with why saying otherwise when it is not */
	const char *why;
};

/* Clients are those whose handshake is over and who may be sent events. */
static inline bool rc_lag_is_client(const struct rc_conn *c)
{
	return (c->kind == RC_CONN_WS || c->kind == RC_CONN_SSE) && c->state == RC_CONN_OPEN;
}

/* False: nothing waits for it. At most a thousand of its subscriptions are looked at. */
bool rc_lag_of(const struct rc_serve *sv, const struct rc_conn *c, struct rc_lag *out);

#endif
