/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys from the configuration and its files, each pinned to its algorithm. The contract is in keys.h.
 */
#include "auth/keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

static const char *const names[RC_ALGS] = {
	[RC_ALG_HS256] = "HS256",
	[RC_ALG_HS384] = "HS384",
	[RC_ALG_HS512] = "HS512",
	[RC_ALG_RS256] = "RS256",
	[RC_ALG_PS256] = "PS256",
	[RC_ALG_ES256] = "ES256",
	[RC_ALG_EDDSA] = "EdDSA",
};

enum rc_alg rc_alg_of(struct rc_str name)
{
	uint32_t alg = 0;

	while (alg < RC_ALGS && !rc_str_eq(name, rc_str_of(names[alg])))
		alg++;
	return (enum rc_alg)alg;
}

const char *rc_alg_name(enum rc_alg alg)
{
	return names[alg];
}

void rc_keys_warn(struct rc_keys *keys, const char *format, ...)
{
	va_list args;

	if (keys->warnings++ >= RC_ARRAY_LEN(keys->warning))
		return;
	va_start(args, format);
	(void)vsnprintf(keys->warning[keys->warnings - 1], sizeof(keys->warning[0]), format, args);
	va_end(args);
}

static struct rc_key *next_key(struct rc_keys *keys, const char *where, struct rc_error *err)
{
	if (keys->count < RC_KEYS_MAX)
		return &keys->key[keys->count];
	(void)rc_error_set(err, "%s: there are more than %u keys", where, RC_KEYS_MAX);
	return NULL;
}

static int name_key(struct rc_key *key, struct rc_str kid, const char *where, struct rc_error *err)
{
	key->has_kid = kid.ptr != NULL;
	if (kid.len > RC_KID_MAX)
		return rc_error_set(err, "%s: its kid is longer than %u bytes", where, RC_KID_MAX);
	key->kid_len = (uint16_t)kid.len;
	if (key->has_kid)
		memcpy(key->kid, kid.ptr, kid.len);
	return 0;
}

static int openssl_failed(const char *where, const char *what, struct rc_error *err)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return rc_error_set(
		err, "%s: %s: %s", where, what, text ? text : "OpenSSL gives no reason");
}

/* ---- secrets ------------------------------------------------------------------------------------ */

/* By RFC 7518 at least as long as what the digest gives. */
static size_t secret_min(enum rc_alg alg)
{
	return alg == RC_ALG_HS512 ? 64 : alg == RC_ALG_HS384 ? 48 : 32;
}

static EVP_MAC_CTX *keyed(enum rc_alg alg, struct rc_str secret)
{
	char sha256[] = "SHA256", sha384[] = "SHA384", sha512[] = "SHA512";
	char *digest = alg == RC_ALG_HS512 ? sha512 : alg == RC_ALG_HS384 ? sha384 : sha256;
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	EVP_MAC_free(mac);
	if (ctx && EVP_MAC_init(ctx, (const unsigned char *)secret.ptr, secret.len, params) == 1)
		return ctx;
	EVP_MAC_CTX_free(ctx);
	return NULL;
}

int rc_keys_add_secret(struct rc_keys *keys, enum rc_alg alg, struct rc_str secret,
	struct rc_str kid, const char *where, struct rc_error *err)
{
	struct rc_key *key = next_key(keys, where, err);

	RC_ASSERT(alg <= RC_ALG_HS512);
	if (!key || name_key(key, kid, where, err) < 0)
		return -1;
	if (secret.len < secret_min(alg))
		return rc_error_set(err,
			"%s: the secret has %zu bytes, but %s needs %zu at least; make one with "
			"`openssl rand -base64 48`",
			where, secret.len, names[alg], secret_min(alg));
	if (secret.len > RC_SECRET_MAX)
		return rc_error_set(
			err, "%s: the secret is longer than %u bytes", where, RC_SECRET_MAX);
	/* Everybody who has the public key could then make tokens. */
	if (memmem(secret.ptr, secret.len, "-----BEGIN", 10))
		return rc_error_set(
			err, "%s: a PEM file is no secret; name it as public_key of [auth]", where);
	key->alg = alg;
	key->mac = keyed(alg, secret);
	if (!key->mac)
		return openssl_failed(where, "no HMAC with it", err);
	keys->count++;
	return 0;
}

/* ---- public keys -------------------------------------------------------------------------------- */

static enum rc_alg alg_by_type(EVP_PKEY *pkey)
{
	char group[32] = "";

	if (EVP_PKEY_is_a(pkey, "RSA"))
		return RC_ALG_RS256;
	if (EVP_PKEY_is_a(pkey, "RSA-PSS"))
		return RC_ALG_PS256;
	if (EVP_PKEY_is_a(pkey, "ED25519"))
		return RC_ALG_EDDSA;
	if (EVP_PKEY_is_a(pkey, "EC") &&
		EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
		strcmp(group, "prime256v1") == 0)
		return RC_ALG_ES256;
	return RC_ALGS;
}

/* What is slow to verify with would be a lever for strangers. */
static int check_rsa(EVP_PKEY *pkey, const char *where, struct rc_error *err)
{
	int bits = EVP_PKEY_get_bits(pkey);
	BIGNUM *e = NULL;
	bool small = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
		     BN_num_bits(e) <= 64 && BN_num_bits(e) >= 2 && BN_is_odd(e);

	BN_free(e);
	if (bits < RSA_BITS_MIN)
		return rc_error_set(err,
			"%s: the RSA key has %d bits, which can be broken; %d are the least", where,
			bits, RSA_BITS_MIN);
	if (bits > RSA_BITS_MAX)
		return rc_error_set(err, "%s: the RSA key has %d bits; %d are the most", where,
			bits, RSA_BITS_MAX);
	return small ? 0 : rc_error_set(err, "%s: the RSA key has an odd exponent", where);
}

/* Each verification begins with one. */
static bool can_be_copied(const EVP_MD_CTX *ctx)
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	bool can = copy && EVP_MD_CTX_copy_ex(copy, ctx) == 1;

	EVP_MD_CTX_free(copy);
	return can;
}

static EVP_MD_CTX *set_up(enum rc_alg alg, EVP_PKEY *pkey)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	bool ok = ctx && EVP_DigestVerifyInit_ex(ctx, &pctx, alg == RC_ALG_EDDSA ? NULL : "SHA256",
				 NULL, NULL, pkey, NULL) == 1;

	if (ok && alg == RC_ALG_RS256)
		ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) == 1;
	if (ok && alg == RC_ALG_PS256)
		ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	if (ok && can_be_copied(ctx))
		return ctx;
	EVP_MD_CTX_free(ctx);
	return NULL;
}

int rc_keys_add_public(struct rc_keys *keys, enum rc_alg alg, EVP_PKEY *pkey, struct rc_str kid,
	const char *where, struct rc_error *err)
{
	struct rc_key *key = next_key(keys, where, err);
	enum rc_alg by_type = alg_by_type(pkey);

	if (!key || name_key(key, kid, where, err) < 0)
		return -1;
	if (by_type == RC_ALGS) {
		(void)rc_error_set(err,
			"%s: no algorithm here is for this key; it must be RSA, EC on P-256, or Ed25519",
			where);
		return RC_KEY_OTHER_TYPE;
	}
	if (alg == RC_ALGS)
		alg = by_type;
	if (alg != by_type && !(alg == RC_ALG_PS256 && by_type == RC_ALG_RS256))
		return rc_error_set(err,
			"%s: the key can't be one for %s: by its type it is for %s", where,
			names[alg], names[by_type]);
	if ((alg == RC_ALG_RS256 || alg == RC_ALG_PS256) && check_rsa(pkey, where, err) < 0)
		return -1;
	key->alg = alg;
	key->verifier = set_up(alg, pkey);
	if (!key->verifier)
		return openssl_failed(where, "OpenSSL can't verify with it", err);
	keys->count++;
	return 0;
}

/* ---- all of them -------------------------------------------------------------------------------- */

int rc_secret_read(struct rc_secret *s, const struct rc_config *c, struct rc_error *err)
{
	memset(s, 0, sizeof(*s));
	s->where = "[auth] hmac_secret";
	s->text = rc_str_of(c->auth_hmac_secret);
	if (s->text.len || !c->auth_hmac_secret_file[0])
		return 0;
	s->where = c->auth_hmac_secret_file;
	if (rc_file_read(&s->file, s->where, err) < 0)
		return -1;
	s->text = (struct rc_str){s->file.bytes, s->file.len};
	if (s->text.len && s->text.ptr[s->text.len - 1] == '\n')
		s->text.len--;
	if (s->text.len && s->text.ptr[s->text.len - 1] == '\r')
		s->text.len--;
	return 0;
}

static int take_secret(struct rc_keys *keys, struct rc_error *err)
{
	const struct rc_config *c = keys->config;
	struct rc_secret s;
	int rc;

	if (!c->auth_hmac_secret[0] && !c->auth_hmac_secret_file[0])
		return 0;
	if (rc_secret_read(&s, c, err) < 0)
		return -1;
	rc = rc_keys_add_secret(keys, (enum rc_alg)c->auth_hmac_algorithm, s.text,
		(struct rc_str){0}, s.where, err);
	if (rc == 0 && s.file.open_to_all)
		rc_keys_warn(keys, "%s can be read by everybody; chmod 600 %s", s.where, s.where);
	rc_file_free(&s.file);
	return rc;
}

static bool holds_secret(const struct rc_keys *keys, uint32_t from)
{
	while (from < keys->count && !keys->key[from].mac)
		from++;
	return from < keys->count;
}

static int read_file(struct rc_keys *keys, const char *path,
	int (*take)(struct rc_keys *, struct rc_str, const char *, struct rc_error *),
	struct rc_error *err)
{
	uint32_t before = keys->count;
	struct rc_file f;
	int rc;

	if (!path[0])
		return 0;
	if (rc_file_read(&f, path, err) < 0)
		return -1;
	rc = take(keys, (struct rc_str){f.bytes, f.len}, path, err);
	if (rc == 0 && f.open_to_all && holds_secret(keys, before))
		rc_keys_warn(keys, "%s holds a secret and can be read by everybody; chmod 600 %s",
			path, path);
	rc_file_free(&f);
	return rc;
}

struct rc_keys *rc_keys_new(const struct rc_config *config)
{
	struct rc_keys *keys = calloc(1, sizeof(*keys));

	if (keys)
		keys->config = config;
	return keys;
}

int rc_keys_open(struct rc_keys **out, const struct rc_config *config, struct rc_error *err)
{
	struct rc_keys *keys = rc_keys_new(config);

	*out = NULL;
	if (!keys)
		return rc_error_set(err, "no memory for the keys of tokens");
	if (take_secret(keys, err) < 0 ||
		read_file(keys, config->auth_public_key, rc_pem_read, err) < 0 ||
		read_file(keys, config->auth_jwks, rc_jwks_read, err) < 0) {
		rc_keys_close(keys);
		return -1;
	}
	*out = keys;
	return 0;
}

void rc_keys_close(struct rc_keys *keys)
{
	if (!keys)
		return;
	for (uint32_t i = 0; i < keys->count; i++) {
		EVP_MAC_CTX_free(keys->key[i].mac);
		EVP_MD_CTX_free(keys->key[i].verifier);
	}
	free(keys);
}

void rc_keys_describe(const struct rc_keys *keys,
	void (*say)(void *ctx, bool warning, const char *text), void *ctx)
{
	uint32_t of[RC_ALGS] = {0};
	char text[256] = "";
	size_t len = 0;

	for (uint32_t i = 0; i < keys->count; i++)
		of[keys->key[i].alg]++;
	for (uint32_t alg = 0; alg < RC_ALGS; alg++)
		if (of[alg])
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u for %s",
				len ? ", " : "", of[alg], names[alg]);
	if (keys->count) {
		char line[300];

		(void)snprintf(line, sizeof(line), "%u key%s: %s", keys->count,
			keys->count == 1 ? "" : "s", text);
		say(ctx, false, line);
	}
	for (uint32_t i = 0; i < RC_MIN(keys->warnings, (uint32_t)RC_ARRAY_LEN(keys->warning)); i++)
		say(ctx, true, keys->warning[i]);
}
