/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of tokens, as src/auth/ itself sees them. A key is made for one algorithm and holds nothing by which another could
 * be done with it: that of a secret is keyed for HMAC, that of a public key is set up to verify with its own digest and
 * padding. What a token names only chooses among them.
 *
 *   secret, secret file ─┐
 *   PEM (public_key) ────┼─▶ rc_keys: array of rc_key, what is asked of claims, warnings
 *   JWKS ────────────────┘
 *
 * Made by the main thread, then only read; a verification works on copies of mac and verifier.
 */
#ifndef RC_AUTH_KEYS_H
#define RC_AUTH_KEYS_H

#include <openssl/evp.h>

#include "base/file.h"
#include "auth/token.h"

#define RC_KID_MAX       256u
#define RC_KEYS_MAX      128u
#define RC_SECRET_MAX    1024u
#define RC_SIGNATURE_MAX 1024u /* of RSA with 8192 bits */

enum rc_alg {
	RC_ALG_HS256,
	RC_ALG_HS384,
	RC_ALG_HS512,
	RC_ALG_RS256,
	RC_ALG_PS256,
	RC_ALG_ES256,
	RC_ALG_EDDSA,
	RC_ALGS,
};

struct rc_key {
	enum rc_alg alg;
	bool has_kid;
	uint16_t kid_len;
	char kid[RC_KID_MAX];
	EVP_MAC_CTX *mac;     /* HS…: keyed */
	EVP_MD_CTX *verifier; /* all others: set up with the key */
};

struct rc_keys {
	const struct rc_config *config;
	uint32_t count;
	uint32_t warnings; /* counted on beyond those that are kept */
	char warning[16][256];
	struct rc_key key[RC_KEYS_MAX];
};

/* "HS256" … "EdDSA". RC_ALGS: none of them. */
enum rc_alg rc_alg_of(struct rc_str name);
const char *rc_alg_name(enum rc_alg alg);

/* ---- keys.c: main thread ------------------------------------------------------------------------ */

/* Each takes what it is given only when it returns 0. kid: ptr NULL for none. where: for the messages. */
int rc_keys_add_secret(struct rc_keys *keys, enum rc_alg alg, struct rc_str secret,
	struct rc_str kid, const char *where, struct rc_error *err) RC_MUST_USE;
/* alg: RC_ALGS to choose by the key's type. Says RC_KEY_OTHER_TYPE for a key that no algorithm here is for. */
enum { RC_KEY_OTHER_TYPE = 1 };
int rc_keys_add_public(struct rc_keys *keys, enum rc_alg alg, EVP_PKEY *pkey, struct rc_str kid,
	const char *where, struct rc_error *err) RC_MUST_USE;
void rc_keys_warn(struct rc_keys *keys, const char *format, ...) RC_PRINTF(2, 3);
/* hmac_secret, or what stands in hmac_secret_file; text is empty when neither is there. rc_file_free() for its file. */
struct rc_secret {
	struct rc_str text;
	const char *where;
	struct rc_file file;
};
int rc_secret_read(
	struct rc_secret *s, const struct rc_config *c, struct rc_error *err) RC_MUST_USE;
/* Nothing in it, for whoever adds keys himself. NULL: no memory. */
struct rc_keys *rc_keys_new(const struct rc_config *config) RC_MUST_USE;

/* ---- pem.c, jwks.c: main thread; path: for the messages ------------------------------------------ */

int rc_pem_read(struct rc_keys *keys, struct rc_str text, const char *path,
	struct rc_error *err) RC_MUST_USE;
int rc_jwks_read(struct rc_keys *keys, struct rc_str text, const char *path,
	struct rc_error *err) RC_MUST_USE;

/* ---- verify.c: any thread ------------------------------------------------------------------------ */

/* Whether the signature is the key's for these bytes. */
bool rc_key_verify(
	const struct rc_key *key, struct rc_str input, const unsigned char *signature, size_t len);

/* ---- claims.c: any thread ------------------------------------------------------------------------ */

/* payload: what was signed. out: RC_CLAIMS_MAX bytes. */
enum rc_token_result rc_claims_read(struct rc_str payload, const struct rc_config *config,
	uint64_t wall_ms, struct rc_claims *out) RC_MUST_USE;

#endif
