/* SPDX-License-Identifier: Apache-2.0
 *
 * Making tokens: for `ringcast token`, tests and measurements. The gateway itself signs nothing.
 */
#ifndef RC_AUTH_SIGN_H
#define RC_AUTH_SIGN_H

#include "auth/keys.h"

struct rc_signer {
	enum rc_alg alg;
	EVP_PKEY *pkey;
};

int rc_signer_secret(struct rc_signer *s, enum rc_alg alg, struct rc_str secret,
	struct rc_error *err) RC_MUST_USE;
/* pem: a private key, not locked. alg: RC_ALGS to choose by the key's type. where: for the messages. */
int rc_signer_pem(struct rc_signer *s, enum rc_alg alg, struct rc_str pem, const char *where,
	struct rc_error *err) RC_MUST_USE;
void rc_signer_close(struct rc_signer *s);

/* Bytes that a token of these takes at most. */
static inline size_t rc_token_bound(size_t header_len, size_t payload_len)
{
	return (header_len + payload_len + RC_SIGNATURE_MAX) / 3 * 4 + 16;
}

/* Header and payload are signed as they are. out: rc_token_bound(). The token's length, or -1. */
int64_t rc_token_sign(const struct rc_signer *s, struct rc_str header, struct rc_str payload,
	char *out) RC_MUST_USE;

#endif
