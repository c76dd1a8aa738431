/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/sign.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "proto/base64.h"

#define COORDINATE 32

int rc_signer_secret(
	struct rc_signer *s, enum rc_alg alg, struct rc_str secret, struct rc_error *err)
{
	s->alg = alg;
	s->pkey = EVP_PKEY_new_raw_private_key_ex(
		NULL, "HMAC", NULL, (const unsigned char *)secret.ptr, secret.len);
	ERR_clear_error();
	return s->pkey ? 0 : rc_error_set(err, "OpenSSL makes no HMAC with this secret");
}

/* OpenSSL would ask at the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *asked)
{
	(void)buf, (void)size, (void)writing;
	*(bool *)asked = true;
	return -1;
}

static bool fits(enum rc_alg alg, EVP_PKEY *pkey)
{
	char group[32] = "";

	switch (alg) {
	case RC_ALG_RS256:
	case RC_ALG_PS256:
		return EVP_PKEY_is_a(pkey, "RSA");
	case RC_ALG_ES256:
		return EVP_PKEY_is_a(pkey, "EC") &&
		       EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
		       strcmp(group, "prime256v1") == 0;
	case RC_ALG_EDDSA:
		return EVP_PKEY_is_a(pkey, "ED25519");
	default:
		return false;
	}
}

int rc_signer_pem(struct rc_signer *s, enum rc_alg alg, struct rc_str pem, const char *where,
	struct rc_error *err)
{
	BIO *in = BIO_new_mem_buf(pem.len ? pem.ptr : "", (int)pem.len);
	bool asked = false;

	s->pkey = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, &asked) : NULL;
	BIO_free(in);
	ERR_clear_error();
	if (!s->pkey)
		return rc_error_set(err, "%s: %s", where,
			asked ? "the key is locked with a passphrase; write it unlocked with "
				"`openssl pkey`"
			      : "there is no private key in it (\"-----BEGIN PRIVATE KEY-----\")");
	for (uint32_t a = RC_ALG_RS256; alg == RC_ALGS && a < RC_ALGS; a++)
		if (fits((enum rc_alg)a, s->pkey))
			alg = (enum rc_alg)a;
	s->alg = alg;
	if (alg != RC_ALGS && fits(alg, s->pkey) &&
		EVP_PKEY_get_size(s->pkey) <= (int)RC_SIGNATURE_MAX)
		return 0;
	rc_signer_close(s);
	return rc_error_set(err, "%s: the key can't sign with %s", where,
		alg == RC_ALGS ? "any algorithm that tokens have here" : rc_alg_name(alg));
}

void rc_signer_close(struct rc_signer *s)
{
	EVP_PKEY_free(s->pkey);
	s->pkey = NULL;
}

static const char *digest(enum rc_alg alg)
{
	switch (alg) {
	case RC_ALG_EDDSA:
		return NULL;
	case RC_ALG_HS384:
		return "SHA384";
	case RC_ALG_HS512:
		return "SHA512";
	default:
		return "SHA256";
	}
}

/* From OpenSSL's DER to r and s one behind the other. */
static bool raw_of(unsigned char signature[RC_SIGNATURE_MAX], size_t *len)
{
	const unsigned char *at = signature;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)*len);
	bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, COORDINATE) == COORDINATE &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + COORDINATE, COORDINATE) ==
			  COORDINATE;

	ECDSA_SIG_free(sig);
	*len = 2 * (size_t)COORDINATE;
	return ok;
}

static bool sign(const struct rc_signer *s, struct rc_str input,
	unsigned char out[RC_SIGNATURE_MAX], size_t *len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	bool ok = ctx &&
		  EVP_DigestSignInit_ex(ctx, &pctx, digest(s->alg), NULL, NULL, s->pkey, NULL) == 1;

	*len = RC_SIGNATURE_MAX;
	if (ok && s->alg == RC_ALG_PS256)
		ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestSign(ctx, out, len, (const unsigned char *)input.ptr, input.len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok && (s->alg != RC_ALG_ES256 || raw_of(out, len));
}

int64_t rc_token_sign(
	const struct rc_signer *s, struct rc_str header, struct rc_str payload, char *out)
{
	unsigned char signature[RC_SIGNATURE_MAX];
	size_t len = rc_base64url_encode(header.ptr, header.len, out), signature_len;

	out[len++] = '.';
	len += rc_base64url_encode(payload.ptr, payload.len, out + len);
	if (!sign(s, (struct rc_str){out, len}, signature, &signature_len))
		return -1;
	out[len++] = '.';
	return (int64_t)(len + rc_base64url_encode(signature, signature_len, out + len));
}
