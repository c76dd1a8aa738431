/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys and tokens for the tests of src/auth: made when they are needed, by OpenSSL.
 */
#ifndef RC_TESTS_UNIT_AUTH_TOKENS_H
#define RC_TESTS_UNIT_AUTH_TOKENS_H

#include <stdio.h>
#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "../unit.h"
#include "auth/sign.h"
#include "proto/base64.h"

#define NOW_S  1700000000ull
#define NOW_MS (NOW_S * 1000)
#define SECRET "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct rc_config config;
static union {
	struct rc_claims claims;
	char bytes[RC_CLAIMS_MAX];
} block;
static char token_text[65536];

static inline int tokens_reset(void **state)
{
	(void)state;
	rc_config_init(&config);
	return 0;
}

static inline struct rc_keys *keys_of_secret(enum rc_alg alg)
{
	struct rc_keys *keys = rc_keys_new(&config);
	struct rc_error err;

	assert_non_null(keys);
	if (rc_keys_add_secret(keys, alg, RC_STR(SECRET), (struct rc_str){0}, "the secret", &err) <
		0)
		fail_msg("%s", err.text);
	return keys;
}

static inline EVP_PKEY *new_pkey(enum rc_alg alg)
{
	EVP_PKEY *pkey = alg == RC_ALG_ES256   ? EVP_EC_gen("P-256")
			 : alg == RC_ALG_EDDSA ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
					       : EVP_RSA_gen(2048);

	assert_non_null(pkey);
	return pkey;
}

/* The text stays until the next call. */
static inline struct rc_str pem_of(EVP_PKEY *pkey, bool private)
{
	static char text[16384];
	BIO *out = BIO_new(BIO_s_mem());
	int len;

	assert_int_equal(private ? PEM_write_bio_PrivateKey(out, pkey, NULL, NULL, 0, NULL, NULL)
				 : PEM_write_bio_PUBKEY(out, pkey),
		1);
	len = BIO_read(out, text, sizeof(text));
	BIO_free(out);
	assert_true(len > 0);
	return (struct rc_str){text, (size_t)len};
}

static inline struct rc_signer signer_of_secret(enum rc_alg alg)
{
	struct rc_signer s;
	struct rc_error err;

	if (rc_signer_secret(&s, alg, RC_STR(SECRET), &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static inline struct rc_str signed_by(
	const struct rc_signer *s, const char *header, const char *payload)
{
	int64_t len = rc_token_sign(s, rc_str_of(header), rc_str_of(payload), token_text);

	assert_true(len > 0 && (size_t)len <= sizeof(token_text));
	return (struct rc_str){token_text, (size_t)len};
}

/* By the secret, with HS256. */
static inline struct rc_str token(const char *header, const char *payload)
{
	struct rc_signer s = signer_of_secret(RC_ALG_HS256);
	struct rc_str t = signed_by(&s, header, payload);

	rc_signer_close(&s);
	return t;
}

#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define GOOD  "{\"sub\":\"anna\",\"exp\":1700000300}"

static inline enum rc_token_result verify(const struct rc_keys *keys, struct rc_str t)
{
	/* Of exactly its size, so that a byte behind it is seen to be touched. */
	char *copy = malloc(t.len ? t.len : 1);
	enum rc_token_result result;

	assert_non_null(copy);
	(void)rc_str_copy(copy, t);
	memset(&block, 0xa5, sizeof(block));
	result = rc_token_verify(keys, (struct rc_str){copy, t.len}, NOW_MS, &block.claims);
	free(copy);
	return result;
}

#define assert_result(got, wanted)                                                  \
	do {                                                                        \
		enum rc_token_result got_ = (got);                                  \
		if (got_ != (wanted))                                               \
			fail_msg("%s: %s; wanted: %s", #got, rc_token_reason(got_), \
				rc_token_reason(wanted));                           \
	} while (0)

#endif
