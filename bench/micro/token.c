/* SPDX-License-Identifier: Apache-2.0
 *
 * Verification of a token as a client brings it, from its bytes to its claims, for each algorithm; and beside it the floor: what
 * OpenSSL takes for the signature alone, over the same bytes, with a context that is set up already.
 */
#include <stdlib.h>

#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "auth/sign.h"
#include "shim.h"

#define ROUND  8u
#define SECRET "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define NOW_MS 1700000000000ull
#define PAYLOAD                                                                                        \
	"{\"sub\":\"user-31415\",\"iss\":\"https://login.example.com/\",\"aud\":\"chat\","             \
	"\"channels\":[\"news\",\"room:42:*\",\"user:user-31415:**\"],\"publish\":[\"room:42:chat\"]," \
	"\"info\":{\"name\":\"Anna\"},\"iat\":1699999000,\"exp\":1700003600}"

struct state {
	struct rc_config config;
	struct rc_keys *keys;
	struct rc_signer signer;
	struct rc_str token, input;
	char text[4096];
	unsigned char signature[RC_SIGNATURE_MAX];
	size_t signature_len;
	unsigned char digest[32];
	EVP_PKEY_CTX *verify; /* of RSA and EC */
	union {
		struct rc_claims claims;
		char bytes[RC_CLAIMS_MAX];
	} block;
};

static EVP_PKEY *generate(enum rc_alg alg)
{
	if (alg == RC_ALG_ES256)
		return EVP_EC_gen("P-256");
	return alg == RC_ALG_EDDSA ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_RSA_gen(2048);
}

static void *token_open(uint64_t arg)
{
	struct state *s = micro_alloc(sizeof(*s));
	enum rc_alg alg = (enum rc_alg)arg;
	char header[64] = "{\"alg\":\"";
	struct rc_error err;
	int rc;

	rc_config_init(&s->config);
	s->keys = rc_keys_new(&s->config);
	RC_ASSERT(s->keys != NULL);
	if (alg <= RC_ALG_HS512) {
		rc = rc_signer_secret(&s->signer, alg, RC_STR(SECRET), &err);
		RC_ASSERT(rc == 0);
		rc = rc_keys_add_secret(
			s->keys, alg, RC_STR(SECRET), (struct rc_str){0}, "secret", &err);
	} else {
		s->signer = (struct rc_signer){alg, generate(alg)};
		RC_ASSERT(s->signer.pkey != NULL);
		rc = rc_keys_add_public(
			s->keys, alg, s->signer.pkey, (struct rc_str){0}, "key", &err);
	}
	RC_ASSERT(rc == 0);
	strcat(strcat(header, rc_alg_name(alg)), "\",\"typ\":\"JWT\"}");
	int64_t len = rc_token_sign(&s->signer, rc_str_of(header), RC_STR(PAYLOAD), s->text);

	RC_ASSERT(len > 0);
	s->token = (struct rc_str){s->text, (size_t)len};
	s->input = (struct rc_str){
		s->text, (size_t)((char *)memrchr(s->text, '.', (size_t)len) - s->text)};
	return s;
}

static void token_verify(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i++) {
		enum rc_token_result result =
			rc_token_verify(s->keys, s->token, NOW_MS, &s->block.claims);

		RC_ASSERT(result == RC_TOKEN_OK);
		micro_keep(s->block.claims.size);
	}
}

static void token_close(void *state)
{
	struct state *s = state;

	EVP_PKEY_CTX_free(s->verify);
	rc_keys_close(s->keys);
	rc_signer_close(&s->signer);
	free(s);
}

/* ---- floors --------------------------------------------------------------------------------------- */

static void *floor_open(uint64_t arg)
{
	struct state *s = token_open(arg);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	enum rc_alg alg = s->signer.alg;
	int ok;

	s->signature_len = sizeof(s->signature);
	ok = EVP_DigestSignInit_ex(ctx, NULL, alg == RC_ALG_EDDSA ? NULL : "SHA256", NULL, NULL,
		     s->signer.pkey, NULL) == 1 &&
	     EVP_DigestSign(ctx, s->signature, &s->signature_len,
		     (const unsigned char *)s->input.ptr, s->input.len) == 1;
	RC_ASSERT(ok);
	EVP_MD_CTX_free(ctx);
	if (alg == RC_ALG_EDDSA || alg == RC_ALG_HS256)
		return s;
	s->verify = EVP_PKEY_CTX_new_from_pkey(NULL, s->signer.pkey, NULL);
	ok = EVP_PKEY_verify_init(s->verify) == 1 &&
	     EVP_PKEY_CTX_set_signature_md(s->verify, EVP_sha256()) == 1;
	RC_ASSERT(ok);
	return s;
}

static void floor_hmac(void *state)
{
	struct state *s = state;
	EVP_MAC_CTX *ctx = s->keys->key[0].mac;
	unsigned char out[32];
	size_t len;

	for (uint32_t i = 0; i < ROUND; i++) {
		int ok = EVP_MAC_init(ctx, NULL, 0, NULL) == 1 &&
			 EVP_MAC_update(ctx, (const unsigned char *)s->input.ptr, s->input.len) ==
				 1 &&
			 EVP_MAC_final(ctx, out, &len, sizeof(out)) == 1;

		RC_ASSERT(ok && memcmp(out, s->signature, len) == 0);
	}
}

/* The digest is made with a context that is there, too. */
static void floor_pkey(void *state)
{
	struct state *s = state;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);

	for (uint32_t i = 0; i < ROUND; i++) {
		int ok = EVP_DigestInit_ex(ctx, sha256, NULL) == 1 &&
			 EVP_DigestUpdate(ctx, s->input.ptr, s->input.len) == 1 &&
			 EVP_DigestFinal_ex(ctx, s->digest, NULL) == 1 &&
			 EVP_PKEY_verify(s->verify, s->signature, s->signature_len, s->digest,
				 sizeof(s->digest)) == 1;

		RC_ASSERT(ok);
	}
	EVP_MD_free(sha256);
	EVP_MD_CTX_free(ctx);
}

/* OpenSSL takes the whole message here, and wants its context new. */
static void floor_eddsa(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i++) {
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();
		int ok = EVP_DigestVerifyInit_ex(
				 ctx, NULL, NULL, NULL, NULL, s->signer.pkey, NULL) == 1 &&
			 EVP_DigestVerify(ctx, s->signature, s->signature_len,
				 (const unsigned char *)s->input.ptr, s->input.len) == 1;

		RC_ASSERT(ok);
		EVP_MD_CTX_free(ctx);
	}
}

const struct micro_case micro_token[] = {
	{"token/verify/HS256", RC_ALG_HS256, ROUND, 0, token_open, token_verify, token_close},
	{"token/floor/HS256", RC_ALG_HS256, ROUND, 0, floor_open, floor_hmac, token_close},
	{"token/verify/RS256", RC_ALG_RS256, ROUND, 0, token_open, token_verify, token_close},
	{"token/floor/RS256", RC_ALG_RS256, ROUND, 0, floor_open, floor_pkey, token_close},
	{"token/verify/PS256", RC_ALG_PS256, ROUND, 0, token_open, token_verify, token_close},
	{"token/verify/ES256", RC_ALG_ES256, ROUND, 0, token_open, token_verify, token_close},
	{"token/floor/ES256", RC_ALG_ES256, ROUND, 0, floor_open, floor_pkey, token_close},
	{"token/verify/EdDSA", RC_ALG_EDDSA, ROUND, 0, token_open, token_verify, token_close},
	{"token/floor/EdDSA", RC_ALG_EDDSA, ROUND, 0, floor_open, floor_eddsa, token_close},
	{0},
};
