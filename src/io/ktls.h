/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS in the kernel: a socket is given its keys, and from then on plain bytes are sent to it and received from it. All by
 * plain system calls, outside the ring: once or twice in the life of a connection.
 *
 * What comes in and is no data (alert, KeyUpdate) ends a plain receive with -EIO and waits until it is taken with its type.
 */
#ifndef RC_IO_KTLS_H
#define RC_IO_KTLS_H

#include "base/base.h"

enum rc_ktls_cipher {
	RC_KTLS_AES_128_GCM,
	RC_KTLS_AES_256_GCM,
	RC_KTLS_CHACHA20_POLY1305,
	RC_KTLS_CIPHERS
};

struct rc_ktls_key {
	bool tls13;
	enum rc_ktls_cipher cipher;
	const uint8_t *key; /* 16 or 32 bytes */
	const uint8_t *
		iv; /* 12 bytes; AES-GCM in 1.2: salt, then the explicit nonce of the next record */
	uint64_t sequence;
};

struct rc_ktls_ability {
	bool send[2][RC_KTLS_CIPHERS]; /* [tls13] */
	bool receive[2][RC_KTLS_CIPHERS];
	bool any; /* some version and cipher in both directions */
	char why_not
		[128]; /* when not any, or not all: which call, which error, how to mend it (modprobe tls) */
};

/* Tries on a connected pair of sockets of its own what this kernel takes. */
void rc_ktls_probe(struct rc_ktls_ability *a);
/* Both directions. 0, or -errno; after an error in the second step the socket is useless for TLS of any kind. */
int rc_ktls_engage(
	int fd, const struct rc_ktls_key *send, const struct rc_ktls_key *receive) RC_MUST_USE;
/* A record of another type than data, at once: 0 or -errno. */
int rc_ktls_send_record(int fd, uint8_t type, const void *bytes, size_t len);
/* After a receive that ended with -EBADMSG some kernels refuse to send too. Afterwards a goodbye can be sent. */
void rc_ktls_clear_error(int fd);
/*
 * Takes a control record that waits at the front. Returns its length and type, -EAGAIN when data, nothing or the end of the
 * stream is in front; nothing is taken then. -EPROTO: it is empty. Otherwise -errno. What is longer than size comes in pieces,
 * each with the type.
 * No receive may be armed on the socket.
 */
int rc_ktls_take_record(int fd, uint8_t *type, void *bytes, size_t size);

#endif
