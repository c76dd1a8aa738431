/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Web Tokens: read strictly, verified by OpenSSL with the key that they name, held against what the configuration asks of
 * issuer, audience and time. Which algorithm a key is for stands with the key, never in the token alone.
 *
 * The keys are read by the main thread and then only read; any thread verifies.
 */
#ifndef RC_AUTH_TOKEN_H
#define RC_AUTH_TOKEN_H

#include "auth/claims.h"
#include "base/error.h"
#include "config/config.h"

enum rc_token_result {
	RC_TOKEN_OK,
	RC_TOKEN_MALFORMED, /* no token at all, or one that is written wrong */
	RC_TOKEN_TOO_LARGE,
	RC_TOKEN_ALGORITHM, /* none, unknown, or not that of the key */
	RC_TOKEN_UNKNOWN_KEY,
	RC_TOKEN_SIGNATURE,
	RC_TOKEN_EXPIRED,
	RC_TOKEN_NOT_YET,
	RC_TOKEN_ISSUER,
	RC_TOKEN_AUDIENCE,
	RC_TOKEN_CLAIM, /* one that we read is of the wrong kind, twice, or too long */
	RC_TOKEN_RESULTS
};

struct rc_keys;

/* Reads what the configuration names. */
int rc_keys_open(
	struct rc_keys **out, const struct rc_config *config, struct rc_error *err) RC_MUST_USE;
void rc_keys_close(struct rc_keys *keys);
/* How many there are and what for; and what deserves a warning: keys that were left out, secrets that everybody can read. */
void rc_keys_describe(const struct rc_keys *keys,
	void (*say)(void *ctx, bool warning, const char *text), void *ctx);

/* out: RC_CLAIMS_MAX bytes at an address that suits the struct. Says nothing of it unless OK. */
enum rc_token_result rc_token_verify(const struct rc_keys *keys, struct rc_str token,
	uint64_t wall_ms, struct rc_claims *out) RC_MUST_USE;
/* For the log and for the bearer: says what is wrong, and nothing about keys. */
const char *rc_token_reason(enum rc_token_result result);

#endif
