/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/keys.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#define SALT_LEN        4u
#define MASTER_LEN      48u
#define HASH_MIN        32u
#define KEY_BLOCK_MAX   (2 * RC_TLS_KEY_MAX + 2 * RC_TLS_IV)
#define LABEL_MAX       32u
#define LABEL_PREFIX    "tls13 "
#define EXPANSION_LABEL "key expansion"

uint32_t rc_tls_key_len(enum rc_tls_cipher cipher)
{
	return cipher == RC_TLS_AES_128_GCM ? 16 : 32;
}

static char *hash_name(uint32_t hash_len)
{
	static char sha256[] = "SHA256", sha384[] = "SHA384";

	RC_ASSERT(hash_len == HASH_MIN || hash_len == RC_TLS_SECRET_MAX);
	return hash_len == HASH_MIN ? sha256 : sha384;
}

/* Fetched by each use, not kept: next to a handshake it costs nothing, and there is nothing to share or to free. */
static EVP_KDF_CTX *kdf_open(const char *name)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;

	EVP_KDF_free(kdf);
	return ctx;
}

/* The handshakes of this thread look into the same queue of errors. */
static int refused(void)
{
	ERR_clear_error();
	return -1;
}

/* Parameters are not const in OpenSSL, which does not write to these. */
static OSSL_PARAM octets(const char *name, const void *bytes, size_t len)
{
	return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)bytes, len);
}

/* RFC 8446 7.1, with an empty context, as all that is derived after the handshake has. out may be the secret itself. */
static int expand_label(EVP_KDF_CTX *hkdf, const uint8_t *secret, uint32_t secret_len,
	const char *label, uint8_t *out, uint32_t out_len)
{
	uint8_t info[2 + 1 + LABEL_MAX + 1], from[RC_TLS_SECRET_MAX];
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY, done;
	size_t prefix_len = sizeof(LABEL_PREFIX) - 1, label_len = strlen(label), len = 0;

	RC_ASSERT(prefix_len + label_len <= LABEL_MAX && secret_len <= sizeof(from));
	memcpy(from, secret, secret_len);
	info[len++] = (uint8_t)(out_len >> 8);
	info[len++] = (uint8_t)out_len;
	info[len++] = (uint8_t)(prefix_len + label_len);
	memcpy(info + len, LABEL_PREFIX, prefix_len);
	len += prefix_len;
	memcpy(info + len, label, label_len);
	len += label_len;
	info[len++] = 0;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash_name(secret_len), 0),
		octets(OSSL_KDF_PARAM_KEY, from, secret_len),
		octets(OSSL_KDF_PARAM_INFO, info, len),
		OSSL_PARAM_construct_end(),
	};

	/* info given twice is joined: nothing of the call before may stay. */
	EVP_KDF_CTX_reset(hkdf);
	done = EVP_KDF_derive(hkdf, out, out_len, params);
	OPENSSL_cleanse(from, sizeof(from));
	return done > 0 ? 0 : -1;
}

/* Key and IV from d->secret; the sequence begins at 0. */
static int direction_13(EVP_KDF_CTX *hkdf, const struct rc_tls_keys *k, struct rc_tls_direction *d)
{
	d->sequence = 0;
	memset(d->key, 0, sizeof(d->key));
	if (expand_label(hkdf, d->secret, k->secret_len, "key", d->key,
		    rc_tls_key_len((enum rc_tls_cipher)k->cipher)) != 0)
		return -1;
	return expand_label(hkdf, d->secret, k->secret_len, "iv", d->iv, RC_TLS_IV);
}

int rc_tls_keys_13(struct rc_tls_keys *k, enum rc_tls_cipher cipher, const uint8_t *client_secret,
	const uint8_t *server_secret, uint32_t secret_len, uint64_t send_sequence, bool server)
{
	EVP_KDF_CTX *hkdf;
	int rc = -1;

	RC_ASSERT(cipher < RC_TLS_CIPHERS);
	RC_ASSERT(secret_len == HASH_MIN || secret_len == RC_TLS_SECRET_MAX);
	memset(k, 0, sizeof(*k));
	k->version = RC_TLS_1_3;
	k->cipher = (uint8_t)cipher;
	k->secret_len = (uint8_t)secret_len;
	memcpy(k->send.secret, server ? server_secret : client_secret, secret_len);
	memcpy(k->receive.secret, server ? client_secret : server_secret, secret_len);
	hkdf = kdf_open("HKDF");
	if (hkdf && direction_13(hkdf, k, &k->send) == 0)
		rc = direction_13(hkdf, k, &k->receive);
	EVP_KDF_CTX_free(hkdf);
	if (rc != 0) {
		rc_tls_keys_wipe(k);
		return refused();
	}
	k->send.sequence = send_sequence;
	return 0;
}

int rc_tls_keys_next(struct rc_tls_keys *k, struct rc_tls_direction *d)
{
	EVP_KDF_CTX *hkdf = kdf_open("HKDF");
	int rc = -1;

	RC_ASSERT(k->version == RC_TLS_1_3);
	if (hkdf && expand_label(hkdf, d->secret, k->secret_len, "traffic upd", d->secret,
			    k->secret_len) == 0)
		rc = direction_13(hkdf, k, d);
	EVP_KDF_CTX_free(hkdf);
	return rc == 0 ? 0 : refused();
}

/* RFC 5246 6.3 */
static int key_block(uint8_t *out, size_t out_len, uint32_t hash_len, const uint8_t *master,
	const uint8_t *client_random, const uint8_t *server_random)
{
	EVP_KDF_CTX *prf = kdf_open("TLS1-PRF");
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash_name(hash_len), 0),
		octets(OSSL_KDF_PARAM_SECRET, master, MASTER_LEN),
		octets(OSSL_KDF_PARAM_SEED, EXPANSION_LABEL, sizeof(EXPANSION_LABEL) - 1),
		octets(OSSL_KDF_PARAM_SEED, server_random, RC_TLS_RANDOM),
		octets(OSSL_KDF_PARAM_SEED, client_random, RC_TLS_RANDOM),
		OSSL_PARAM_construct_end(),
	};
	int done = prf ? EVP_KDF_derive(prf, out, out_len, params) : 0;

	EVP_KDF_CTX_free(prf);
	return done > 0 ? 0 : -1;
}

int rc_tls_keys_12(struct rc_tls_keys *k, enum rc_tls_cipher cipher, uint32_t hash_len,
	const uint8_t master[48], const uint8_t client_random[RC_TLS_RANDOM],
	const uint8_t server_random[RC_TLS_RANDOM], bool server)
{
	struct rc_tls_direction *client = server ? &k->receive : &k->send;
	struct rc_tls_direction *servers = server ? &k->send : &k->receive;
	uint8_t block[KEY_BLOCK_MAX];
	uint32_t key_len = rc_tls_key_len(cipher);
	/* The salt of AES-GCM only; the rest of iv stays 0, so that the explicit nonces begin at 0 and equal the sequence, as RFC
	 * 5288 3 proposes. Record 0 was OpenSSL's: its nonce was 64 random bits (they are nowhere to be had afterwards), and the
	 * n records that follow have 1 to n. These meet with probability n / 2^64, whatever place we had begun at: less than
	 * 2^-39 for as many records as a key may serve (2^24.5), where GCM asks for 2^-32. Against a library that counts from 0,
	 * as some do, they can't meet at all. */
	uint32_t iv_len = cipher == RC_TLS_CHACHA20_POLY1305 ? RC_TLS_IV : SALT_LEN;

	RC_ASSERT(cipher < RC_TLS_CIPHERS);
	memset(k, 0, sizeof(*k));
	k->version = RC_TLS_1_2;
	k->cipher = (uint8_t)cipher;
	k->secret_len = (uint8_t)hash_len;
	if (key_block(block, 2 * (size_t)key_len + 2 * (size_t)iv_len, hash_len, master,
		    client_random, server_random) != 0) {
		OPENSSL_cleanse(block, sizeof(block));
		return refused();
	}
	memcpy(client->key, block, key_len);
	memcpy(servers->key, block + key_len, key_len);
	memcpy(client->iv, block + 2 * key_len, iv_len);
	memcpy(servers->iv, block + 2 * key_len + iv_len, iv_len);
	client->sequence = servers->sequence = 1;
	OPENSSL_cleanse(block, sizeof(block));
	return 0;
}

void rc_tls_keys_wipe(struct rc_tls_keys *k)
{
	OPENSSL_cleanse(k, sizeof(*k));
}
