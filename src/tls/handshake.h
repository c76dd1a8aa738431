/* SPDX-License-Identifier: Apache-2.0
 *
 * One handshake on a non-blocking socket. OpenSSL reads and writes the socket itself and exactly to the end of a record, so
 * what the client sends behind its Finished is still in the socket when the kernel takes over. When it is done, the keys
 * are taken out and the OpenSSL object goes.
 *
 * Belongs to one shard. OpenSSL allocates: the shard bounds how many there are at once.
 */
#ifndef RC_TLS_HANDSHAKE_H
#define RC_TLS_HANDSHAKE_H

#include "tls/context.h"
#include "tls/keys.h"

#define RC_TLS_IDENTITY_MAX 64 /* as a publisher's id */

enum rc_tls_step { RC_TLS_WANTS_READ, RC_TLS_WANTS_WRITE, RC_TLS_DONE, RC_TLS_FAILED };

/* Why a handshake failed; each has a counter. */
enum rc_tls_failure {
	RC_TLS_FAILED_PLAIN,       /* what came was no TLS */
	RC_TLS_FAILED_VERSION,     /* no version in common */
	RC_TLS_FAILED_CIPHER,      /* no cipher, group or signature in common */
	RC_TLS_FAILED_CLIENT_CERT, /* missing though required, not signed by client_ca, expired */
	RC_TLS_FAILED_ALERT,       /* the client gave up: it mistrusts our certificate, mostly */
	RC_TLS_FAILED_CLOSED,      /* the client went away */
	RC_TLS_FAILED_PROTOCOL,    /* malformed, out of order, everything else */
	RC_TLS_FAILURES,
};

struct rc_tls_handshake {
	void *ssl; /* OpenSSL's object; NULL = not begun */
	uint8_t client_secret[RC_TLS_SECRET_MAX], server_secret[RC_TLS_SECRET_MAX]; /* 1.3 */
	uint8_t master[RC_TLS_SECRET_MAX];                                          /* 1.2 */
	uint8_t secret_len;
	uint8_t tickets; /* records of them that were sent under the application keys */
	/* when DONE */
	bool resumed;
	uint8_t identity_len; /* a client certificate was verified: its CN, else its first SAN (DNS, email, URI) */
	char identity[RC_TLS_IDENTITY_MAX];
	struct rc_tls_keys keys;
	/* when FAILED */
	enum rc_tls_failure failure;
	char why[96]; /* for the log */
};

/* The bytes at the socket's front are looked at, not taken: is this TLS at all? -1: none are there yet. 1 too when the peer is
 * gone: the handshake tells. rc_tls_handshake_step() asks this itself before the first byte is taken. */
int rc_tls_looks_like_tls(int fd);
/* h is zeroed. 0, or -1: no memory. The socket stays the caller's. */
int rc_tls_handshake_begin(struct rc_tls_handshake *h, const struct rc_tls_context *c,
	enum rc_tls_port port, int fd) RC_MUST_USE;
/* As far as it goes without waiting. On DONE the OpenSSL object is gone already and keys is filled. On FAILED the alert, if
 * any, was sent. */
enum rc_tls_step rc_tls_handshake_step(struct rc_tls_handshake *h);
/* Frees and wipes; h is zeroed again. Any time. */
void rc_tls_handshake_end(struct rc_tls_handshake *h);

#endif
