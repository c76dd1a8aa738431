/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates, keys and rules of the TLS listeners. Made by the main thread from files; never changed afterwards; every
 * shard reads the same one. A reload makes a new one and lets the old one go when no shard looks at it any more;
 * handshakes under way hold what they need of it themselves.
 *
 *   context ── default certificate
 *           └─ certificates of the folder, found by the names in them (exact, then *.one.level)
 */
#ifndef RC_TLS_CONTEXT_H
#define RC_TLS_CONTEXT_H

#include "base/base.h"
#include "base/error.h"

enum rc_tls_ask { RC_TLS_ASK_NO, RC_TLS_ASK_OPTIONAL, RC_TLS_ASK_REQUIRED };
enum rc_tls_port { RC_TLS_CLIENTS, RC_TLS_PUBLISHERS, RC_TLS_PORTS };

struct rc_tls_options {
	const char *
		certificate; /* PEM: the server's first, then the chain; the key too when `key` is "" */
	const char *key;
	const char *
		folder; /* NAME.pem (or .crt) with NAME.key beside it or the key within, NAME.ocsp when there is one; "" none */
	const char *ocsp;      /* DER response for the default certificate; "" none */
	const char *client_ca; /* PEM; "" none */
	enum rc_tls_ask ask[RC_TLS_PORTS];
	bool only_13;
};

/* The keys of session tickets: one set for all shards and all reloads. New tickets are made with the newest; older ones are
 * understood until their lifetime is over. Any thread. */
struct rc_tls_tickets;
struct rc_tls_tickets *rc_tls_tickets_open(uint32_t lifetime_s) RC_MUST_USE;
void rc_tls_tickets_close(struct rc_tls_tickets *t);
/* Makes a new key when the newest has served its time (half a lifetime), and forgets those that nobody needs. The main thread
 * calls it now and then, with the monotonic clock. True: a new key was made. */
bool rc_tls_tickets_rotate(struct rc_tls_tickets *t, uint64_t now_s);

struct rc_tls_context;
/* 0, or -1 with the file and what is wrong with it. tickets outlives the context. */
int rc_tls_context_open(struct rc_tls_context **out, const struct rc_tls_options *options,
	struct rc_tls_tickets *tickets, struct rc_error *err) RC_MUST_USE;
void rc_tls_context_close(struct rc_tls_context *c);
/* One line per certificate: names, issuer, until when, staple; and what deserves a warning (ends within 14 days, staple expired,
 * key readable by everybody). */
void rc_tls_context_describe(const struct rc_tls_context *c, uint64_t wall_s,
	void (*say)(void *ctx, bool warning, const char *text), void *ctx);
/* When the first of the certificates ends, seconds since 1970. */
uint64_t rc_tls_context_ends_s(const struct rc_tls_context *c);

#endif
