/* SPDX-License-Identifier: Apache-2.0
 *
 * A JWKS file (RFC 7517): secrets, RSA, EC on P-256, Ed25519. What it holds for others (another type, another use, encryption)
 * is passed over with a warning; a key that is for us and wrong refuses the whole file, so that nobody believes in it.
 */
#include <stdio.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "auth/keys.h"
#include "auth/members.h"
#include "proto/base64.h"

#define DEPTH      8u
#define NUMBER_MAX 1024u /* bytes of an RSA modulus */
#define POINT      32u   /* bytes of a coordinate of P-256, of a key of Ed25519 */

struct jwk {
	struct rc_keys *keys;
	struct rc_members m;
	char where[300];
	struct rc_str kid;
	char kid_text[RC_KID_MAX];
	struct rc_error *err;
};

static int wrong(struct jwk *k, const char *what)
{
	return rc_error_set(k->err, "%s: %s", k->where, what);
}

/* The decoded bytes of a member; -1: not there, or not base64url, or too long. */
static int64_t bytes_of(const struct jwk *k, const char *name, unsigned char *out, size_t cap)
{
	struct rc_json_value v = rc_members_find(&k->m, name);

	if (v.kind != RC_JSON_STRING)
		return -1;
	return rc_base64url_decode((struct rc_str){v.raw.ptr + 1, v.raw.len - 2}, out, cap);
}

/* ---- what it is for ------------------------------------------------------------------------------- */

static bool is_text(const struct jwk *k, const char *name, const char *text)
{
	char value[64];
	int len = rc_members_text(rc_members_find(&k->m, name), value, sizeof(value));

	return len >= 0 && rc_str_eq((struct rc_str){value, (size_t)len}, rc_str_of(text));
}

static bool has(const struct jwk *k, const char *name)
{
	return rc_members_find(&k->m, name).kind != RC_JSON_NONE;
}

static bool may_verify(const struct jwk *k)
{
	struct rc_json_value ops = rc_members_find(&k->m, "key_ops"), op;
	struct rc_json_iter it;

	if (has(k, "use") && !is_text(k, "use", "sig"))
		return false;
	if (ops.kind == RC_JSON_NONE)
		return true;
	if (ops.kind != RC_JSON_ARRAY)
		return false;
	rc_json_array_begin(&it, ops.raw);
	while (rc_json_array_next(&it, &op))
		if (rc_str_eq(op.raw, RC_STR("\"verify\"")))
			return true;
	return false;
}

/* What the configuration says of keys that do not say it; RC_ALGS: by their type. */
static enum rc_alg unsaid(const struct jwk *k, enum rc_alg by_type)
{
	const struct rc_config *c = k->keys->config;

	if (by_type == RC_ALG_HS256)
		return (enum rc_alg)c->auth_hmac_algorithm;
	if (by_type == RC_ALG_RS256 && c->auth_public_key_algorithm == RC_CONFIG_PS256)
		return RC_ALG_PS256;
	return by_type;
}

/* RC_ALGS: none that is spoken here. */
static enum rc_alg algorithm(const struct jwk *k, enum rc_alg by_type)
{
	char name[16];
	int len;

	if (!has(k, "alg"))
		return unsaid(k, by_type);
	len = rc_members_text(rc_members_find(&k->m, "alg"), name, sizeof(name));
	/* RFC 9864's own name for what EdDSA is with this key. */
	if (by_type == RC_ALG_EDDSA && is_text(k, "alg", "Ed25519"))
		return RC_ALG_EDDSA;
	return len < 0 ? RC_ALGS : rc_alg_of((struct rc_str){name, (size_t)len});
}

/* ---- the key itself ------------------------------------------------------------------------------- */

static EVP_PKEY *from_params(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (!ctx || !params || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static EVP_PKEY *rsa_key(const struct jwk *k)
{
	unsigned char n[NUMBER_MAX], e[16];
	int64_t n_len = bytes_of(k, "n", n, sizeof(n)), e_len = bytes_of(k, "e", e, sizeof(e));

	if (n_len <= 0 || e_len <= 0)
		return NULL;
	BIGNUM *n_bn = BN_bin2bn(n, (int)n_len, NULL), *e_bn = BN_bin2bn(e, (int)e_len, NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;

	if (n_bn && e_bn && bld && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n_bn) == 1 &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e_bn) == 1)
		params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY *pkey = from_params("RSA", params);

	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	BN_free(n_bn);
	BN_free(e_bn);
	return pkey;
}

static EVP_PKEY *ec_key(const struct jwk *k)
{
	unsigned char point[1 + 2 * POINT] = {4};
	char group[] = "prime256v1";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
		OSSL_PARAM_construct_end(),
	};

	/* A point that is not on the curve is refused by OpenSSL. */
	if (bytes_of(k, "x", point + 1, POINT) != POINT ||
		bytes_of(k, "y", point + 1 + POINT, POINT) != POINT)
		return NULL;
	return from_params("EC", params);
}

static EVP_PKEY *ed25519_key(const struct jwk *k)
{
	unsigned char x[POINT];

	if (bytes_of(k, "x", x, sizeof(x)) != POINT)
		return NULL;
	return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, x, sizeof(x));
}

static int take_public(struct jwk *k, enum rc_alg by_type, EVP_PKEY *(*make)(const struct jwk *))
{
	enum rc_alg alg = algorithm(k, by_type);
	EVP_PKEY *pkey;
	int rc;

	if (alg == RC_ALGS) {
		rc_keys_warn(k->keys, "%s: left out: its alg is not one of ours", k->where);
		return 0;
	}
	pkey = make(k);
	if (!pkey) {
		ERR_clear_error();
		return wrong(k, "the numbers of the key are missing or wrong");
	}
	if (alg <= RC_ALG_HS512)
		rc = wrong(k, "its alg is one for secrets, and it is a public key");
	else
		rc = rc_keys_add_public(k->keys, alg, pkey, k->kid, k->where, k->err);
	EVP_PKEY_free(pkey);
	if (rc == 0 && has(k, "d"))
		rc_keys_warn(k->keys,
			"%s: is a private key; the gateway needs its public half only", k->where);
	return rc == 0 ? 0 : -1;
}

static int take_secret(struct jwk *k)
{
	enum rc_alg alg = algorithm(k, RC_ALG_HS256);
	unsigned char secret[RC_SECRET_MAX];
	int64_t len = bytes_of(k, "k", secret, sizeof(secret));
	int rc;

	if (alg == RC_ALGS) {
		rc_keys_warn(k->keys, "%s: left out: its alg is not one of ours", k->where);
		return 0;
	}
	if (len < 0)
		return wrong(k, "its k is missing, not base64url, or longer than 1024 bytes");
	if (alg > RC_ALG_HS512)
		return wrong(k, "its alg is one for public keys, and it is a secret");
	rc = rc_keys_add_secret(k->keys, alg, (struct rc_str){(const char *)secret, (size_t)len},
		k->kid, k->where, k->err);
	OPENSSL_cleanse(secret, sizeof(secret));
	return rc;
}

static int read_kid(struct jwk *k)
{
	struct rc_json_value kid = rc_members_find(&k->m, "kid");
	int len;

	k->kid = (struct rc_str){0};
	if (kid.kind == RC_JSON_NONE)
		return 0;
	len = rc_members_text(kid, k->kid_text, sizeof(k->kid_text));
	if (len < 0)
		return wrong(k, "its kid is no text, or longer than 256 bytes");
	k->kid = (struct rc_str){k->kid_text, (size_t)len};
	return 0;
}

static int take_key(struct jwk *k)
{
	if (read_kid(k) < 0)
		return -1;
	if (!may_verify(k)) {
		rc_keys_warn(
			k->keys, "%s: left out: it is not for verifying (use, key_ops)", k->where);
		return 0;
	}
	if (is_text(k, "kty", "oct"))
		return take_secret(k);
	if (is_text(k, "kty", "RSA"))
		return take_public(k, RC_ALG_RS256, rsa_key);
	if (is_text(k, "kty", "EC") && is_text(k, "crv", "P-256"))
		return take_public(k, RC_ALG_ES256, ec_key);
	if (is_text(k, "kty", "OKP") && is_text(k, "crv", "Ed25519"))
		return take_public(k, RC_ALG_EDDSA, ed25519_key);
	rc_keys_warn(k->keys,
		"%s: left out: its kind (kty, crv) is none of oct, RSA, EC on P-256, OKP on Ed25519",
		k->where);
	return 0;
}

int rc_jwks_read(struct rc_keys *keys, struct rc_str text, const char *path, struct rc_error *err)
{
	struct jwk k = {.keys = keys, .err = err};
	struct rc_json_value list, item;
	struct rc_json_iter it;
	uint32_t before = keys->count, number = 0;

	if (rc_json_validate(text, DEPTH) < 0)
		return rc_error_set(err, "%s: is not JSON", path);
	if (rc_members_read(&k.m, rc_json_root(text)) < 0 ||
		(list = rc_members_find(&k.m, "keys")).kind != RC_JSON_ARRAY)
		return rc_error_set(err, "%s: is no JWKS: an object with an array `keys`", path);
	rc_json_array_begin(&it, list.raw);
	while (rc_json_array_next(&it, &item)) {
		(void)snprintf(k.where, sizeof(k.where), "%s: key %u in it", path, ++number);
		if (rc_members_read(&k.m, item) < 0)
			return wrong(&k, "is no object, or has a member twice, or too many");
		if (take_key(&k) < 0)
			return -1;
	}
	if (keys->count == before)
		return rc_error_set(err, "%s: there is no key in it that can verify a token", path);
	return 0;
}
