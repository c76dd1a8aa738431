/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a connection whose handshake is over, taken out of OpenSSL, so that its object of some 14 KiB can be freed. From
 * here on the kernel or record.c makes the records; both start from this struct. Nothing in it points anywhere.
 *
 * Only ciphers that both the kernel and record.c know: AES-GCM and ChaCha20-Poly1305, in TLS 1.2 and 1.3.
 */
#ifndef RC_TLS_KEYS_H
#define RC_TLS_KEYS_H

#include "base/base.h"

#define RC_TLS_KEY_MAX    32
#define RC_TLS_IV         12
#define RC_TLS_SECRET_MAX 48
#define RC_TLS_RANDOM     32

enum rc_tls_cipher {
	RC_TLS_AES_128_GCM,
	RC_TLS_AES_256_GCM,
	RC_TLS_CHACHA20_POLY1305,
	RC_TLS_CIPHERS,
};

enum rc_tls_version { RC_TLS_1_2, RC_TLS_1_3, RC_TLS_VERSIONS };

struct rc_tls_direction {
	uint64_t sequence; /* of the next record */
	uint8_t key[RC_TLS_KEY_MAX];
	/* 1.3 and ChaCha20: the whole static IV. AES-GCM in 1.2: the salt in the first 4 bytes, then where the explicit nonces of
	 * this side begin: the nonce of a record is that number plus its sequence. */
	uint8_t iv[RC_TLS_IV];
	uint8_t secret
		[RC_TLS_SECRET_MAX]; /* 1.3: the traffic secret, from which a KeyUpdate makes the next keys */
};

struct rc_tls_keys {
	struct rc_tls_direction send, receive;
	uint8_t version;    /* enum rc_tls_version */
	uint8_t cipher;     /* enum rc_tls_cipher */
	uint8_t secret_len; /* 32 or 48: of the hash that the cipher suite names */
};
_Static_assert(sizeof(struct rc_tls_keys) <= 216, "what every client of user-space TLS costs");

uint32_t rc_tls_key_len(enum rc_tls_cipher cipher);

/* TLS 1.3, from the two application traffic secrets. send_sequence: records that the handshake sent under them (tickets).
 * 0 or -1: OpenSSL refused. */
int rc_tls_keys_13(struct rc_tls_keys *k, enum rc_tls_cipher cipher, const uint8_t *client_secret,
	const uint8_t *server_secret, uint32_t secret_len, uint64_t send_sequence,
	bool server) RC_MUST_USE;
/* TLS 1.2, from the master secret. Both sequences begin at 1: the Finished of each side was record 0. */
int rc_tls_keys_12(struct rc_tls_keys *k, enum rc_tls_cipher cipher, uint32_t hash_len,
	const uint8_t master[48], const uint8_t client_random[RC_TLS_RANDOM],
	const uint8_t server_random[RC_TLS_RANDOM], bool server) RC_MUST_USE;
/* TLS 1.3: the next generation of one direction (KeyUpdate); its sequence begins at 0. */
int rc_tls_keys_next(struct rc_tls_keys *k, struct rc_tls_direction *d) RC_MUST_USE;
void rc_tls_keys_wipe(struct rc_tls_keys *k);

#endif
