/* SPDX-License-Identifier: Apache-2.0
 *
 * A PEM file of public keys and certificates, in any number and order. What else stands in it is passed over, but for a
 * private key, which has no business in a gateway.
 */
#include <stdio.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "auth/keys.h"

static EVP_PKEY *key_of(const char *name, const unsigned char *der, long len, bool *expired)
{
	EVP_PKEY *pkey = NULL;

	if (strcmp(name, PEM_STRING_PUBLIC) == 0)
		return d2i_PUBKEY(NULL, &der, len);
	if (strcmp(name, PEM_STRING_RSA_PUBLIC) == 0)
		return d2i_PublicKey(EVP_PKEY_RSA, NULL, &der, len);
	X509 *x = d2i_X509(NULL, &der, len);

	if (x) {
		pkey = X509_get_pubkey(x);
		*expired = X509_cmp_current_time(X509_get0_notAfter(x)) < 0;
	}
	X509_free(x);
	return pkey;
}

static bool is_key(const char *name)
{
	return strcmp(name, PEM_STRING_PUBLIC) == 0 || strcmp(name, PEM_STRING_RSA_PUBLIC) == 0 ||
	       strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0 ||
	       strcmp(name, PEM_STRING_X509_TRUSTED) == 0;
}

static enum rc_alg wanted(const struct rc_config *c)
{
	static const enum rc_alg alg[] = {
		[RC_CONFIG_ALG_AUTO] = RC_ALGS,
		[RC_CONFIG_RS256] = RC_ALG_RS256,
		[RC_CONFIG_PS256] = RC_ALG_PS256,
		[RC_CONFIG_ES256] = RC_ALG_ES256,
		[RC_CONFIG_EDDSA] = RC_ALG_EDDSA,
	};

	return alg[c->auth_public_key_algorithm];
}

static int take_block(struct rc_keys *keys, const char *name, const unsigned char *der, long len,
	const char *where, struct rc_error *err)
{
	bool expired = false;

	if (strstr(name, "PRIVATE KEY"))
		return rc_error_set(err,
			"%s: is a private key; the gateway needs its public half only: "
			"`openssl pkey -in FILE -pubout`",
			where);
	if (!is_key(name))
		return 0;
	EVP_PKEY *pkey = key_of(name, der, len, &expired);
	int rc;

	if (!pkey) {
		ERR_clear_error();
		return rc_error_set(
			err, "%s: the %s is damaged, or of an unknown kind", where, name);
	}
	rc = rc_keys_add_public(keys, wanted(keys->config), pkey, (struct rc_str){0}, where, err);
	EVP_PKEY_free(pkey);
	if (rc == 0 && expired)
		rc_keys_warn(keys, "%s: the certificate has expired; its key is taken all the same",
			where);
	return rc == 0 ? 0 : -1;
}

int rc_pem_read(struct rc_keys *keys, struct rc_str text, const char *path, struct rc_error *err)
{
	BIO *in = BIO_new_mem_buf(text.len ? text.ptr : "", (int)text.len);
	uint32_t before = keys->count, block = 0;
	char *name, *header, where[300];
	unsigned char *der;
	long len;
	int rc = 0;

	if (!in)
		return rc_error_set(err, "%s: no memory to read it", path);
	ERR_clear_error();
	while (rc == 0 && PEM_read_bio(in, &name, &header, &der, &len) == 1) {
		(void)snprintf(where, sizeof(where), "%s: block %u in it", path, ++block);
		rc = take_block(keys, name, der, len, where, err);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)len);
	}
	BIO_free(in);
	/* NO_START_LINE is how the end of the file is told. */
	bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

	ERR_clear_error();
	if (rc < 0)
		return -1;
	if (!at_end)
		return rc_error_set(err, "%s: block %u in it is damaged", path, block + 1);
	if (keys->count == before)
		return rc_error_set(err,
			"%s: there is no public key and no certificate in it (\"-----BEGIN PUBLIC "
			"KEY-----\")",
			path);
	return 0;
}
