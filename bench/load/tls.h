/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's side of TLS on a non-blocking descriptor, by OpenSSL. A context belongs to a worker, a connection to the client or
 * publisher that has its descriptor.
 */
#ifndef LOAD_TLS_H
#define LOAD_TLS_H

#include <sys/types.h>

#include "plan.h"

struct load_tls_context; /* one a worker */
struct load_tls;         /* one a connection */

int load_tls_context_open(struct load_tls_context **out, const struct load_plan *plan,
	struct rc_error *err) RC_MUST_USE;
void load_tls_context_close(struct load_tls_context *c);

/* NULL: no memory. host: for SNI and for the certificate's name. */
struct load_tls *load_tls_open(struct load_tls_context *c, int fd, const char *host) RC_MUST_USE;
void load_tls_close(struct load_tls *t);
/*
 * Before the handshake: with the session that the context keeps, when it keeps one. It does so from the first ticket on that a
 * server gave a connection, if a group of the plan resumes; with TLS 1.3 a ticket comes after the handshake and is taken by a read.
 */
void load_tls_resume(struct load_tls *t, struct load_tls_context *c);
bool load_tls_can_resume(const struct load_tls_context *c);
bool load_tls_resumed(const struct load_tls *t);
/*
 * All three return -EAGAIN when the descriptor is not ready (POLLIN or POLLOUT into *want), -EPROTO after a failure of TLS,
 * other -errno of the socket. Handshake: 0 when done. Read: bytes, 0 at the end. Write: bytes taken.
 */
int load_tls_handshake(struct load_tls *t, short *want) RC_MUST_USE;
ssize_t load_tls_read(struct load_tls *t, void *out, size_t cap, short *want) RC_MUST_USE;
ssize_t load_tls_write(struct load_tls *t, const void *bytes, size_t len, short *want) RC_MUST_USE;
/* What failed when the last call did, and why, in words. */
const char *load_tls_what(const struct load_tls *t);
const char *load_tls_why(const struct load_tls *t);

#endif
