/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS for one who connects: a stream over a non-blocking socket that the caller opened and closes. One connection at a time;
 * the session of the last one is kept, so that the next begins by resuming it. Nothing here waits. One owner; no thread.
 *
 * What the socket does not take lies in a buffer of ours, a record at most, and goes before anything else.
 *
 *	write ─▶ stage ─▶ SSL ─▶ out ─▶ socket (send with MSG_NOSIGNAL)
 */
#ifndef RC_CLIENT_TLS_H
#define RC_CLIENT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What one write takes at most: the plain text of a record. A read with so much room leaves nothing behind in OpenSSL. */
#define RC_CLIENT_TLS_STAGE ((size_t)16384)
#define RC_CLIENT_TLS_WHY   256

struct rc_client_tls_options {
	const char *host;        /* the certificate must be for it: a name, or an address */
	const char *ca;          /* PEM; NULL: the system's */
	const char *certificate; /* PEM, ours, then its chain; NULL: none */
	const char *key;         /* PEM; NULL: in the certificate's file */
	const char *protocol;    /* asked for by ALPN; NULL: none */
	bool trust_anybody;      /* what the certificate says does not matter */
};

struct rc_client_tls;

/* Reads the files. 0, or -1 with what is wrong, the file included. The options need not live on. */
int rc_client_tls_open(struct rc_client_tls **out, const struct rc_client_tls_options *options,
	char why[RC_CLIENT_TLS_WHY]);
/* NULL is fine. */
void rc_client_tls_close(struct rc_client_tls *t);

/* A connection on a connected socket: then shake until it is 1. 0, or -1: no memory. */
int rc_client_tls_begin(struct rc_client_tls *t, int fd);
/* 1: the handshake is done and the server is who it should be; 0: not yet; -1: it failed. */
int rc_client_tls_shake(struct rc_client_tls *t);
/* Forgets the connection but not its session. Says nothing to the server. */
void rc_client_tls_end(struct rc_client_tls *t);

/* Bytes; 0: the server ends it; -EAGAIN; -EPROTO: it is broken. why() has words after 0 and -EPROTO. */
ssize_t rc_client_tls_read(struct rc_client_tls *t, void *room, size_t len);
/* Bytes that were taken, a stage at most; -EAGAIN: none, earlier ones wait for the socket; -EPROTO. */
ssize_t rc_client_tls_write(struct rc_client_tls *t, const struct iovec *pieces, size_t count);
/* Sends what was taken and waits. 0: nothing waits any more; -EAGAIN; -EPROTO. */
int rc_client_tls_flush(struct rc_client_tls *t);
/* Tells the server that nothing more comes, if the socket takes it. */
void rc_client_tls_bye(struct rc_client_tls *t);

/* Bytes that a read would give although the socket has none. */
bool rc_client_tls_holds(const struct rc_client_tls *t);
/* Whether something waits for the socket to become writable. It may have to become readable as well. */
bool rc_client_tls_wants_write(const struct rc_client_tls *t);
const char *rc_client_tls_why(const struct rc_client_tls *t);

#endif
