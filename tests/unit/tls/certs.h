/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates of all kinds, good and bad, made when they are needed and written to a folder of the test.
 */
#ifndef RC_TESTS_UNIT_TLS_CERTS_H
#define RC_TESTS_UNIT_TLS_CERTS_H

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "../unit.h"

struct cert {
	X509 *x;
	EVP_PKEY *key;
};

/* Zero fields: an EC key on P-256, SHA-256, self-signed, valid from yesterday for 90 days, no names. */
struct cert_want {
	int rsa_bits;
	const char *cn, *san; /* "DNS:a.example,DNS:*.b.example" */
	const struct cert *issuer;
	bool ca;
	long from_days, until_days; /* from now */
	const EVP_MD *md;
};

static char certs_dir[64];

static inline void certs_extension(struct cert *c, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, c->x, c->x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(c->x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static inline struct cert certs_make(const struct cert_want *w)
{
	struct cert c = {X509_new(),
		w->rsa_bits ? EVP_RSA_gen((unsigned int)w->rsa_bits) : EVP_EC_gen("P-256")};
	const struct cert *issuer = w->issuer ? w->issuer : &c;
	uint64_t serial;

	assert_true(c.x != NULL && c.key != NULL);
	assert_int_equal(RAND_bytes((unsigned char *)&serial, sizeof(serial)), 1);
	assert_int_equal(X509_set_version(c.x, 2), 1);
	assert_int_equal(ASN1_INTEGER_set_uint64(X509_get_serialNumber(c.x), serial >> 1), 1);
	X509_gmtime_adj(X509_getm_notBefore(c.x), (w->from_days ? w->from_days : -1) * 86400);
	X509_gmtime_adj(X509_getm_notAfter(c.x), (w->until_days ? w->until_days : 90) * 86400);
	if (w->cn)
		assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x), "CN",
					 MBSTRING_UTF8, (const unsigned char *)w->cn, -1, -1, 0),
			1);
	assert_int_equal(X509_set_issuer_name(c.x, X509_get_subject_name(issuer->x)), 1);
	assert_int_equal(X509_set_pubkey(c.x, c.key), 1);
	if (w->ca)
		certs_extension(&c, NID_basic_constraints, "critical,CA:TRUE");
	if (w->san)
		certs_extension(&c, NID_subject_alt_name, w->san);
	assert_true(X509_sign(c.x, issuer->key, w->md ? w->md : EVP_sha256()) > 0);
	return c;
}

static inline void certs_free(struct cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	*c = (struct cert){0};
}

static inline void certs_open_dir(void)
{
	(void)snprintf(certs_dir, sizeof(certs_dir), "/tmp/rc-certs-XXXXXX");
	assert_non_null(mkdtemp(certs_dir));
}

static inline void certs_remove_dir(void)
{
	char line[128];

	(void)snprintf(line, sizeof(line), "rm -rf %s", certs_dir);
	assert_int_equal(system(line), 0);
}

/* A few paths may be in use at once. */
static inline const char *certs_path(const char *name)
{
	static char path[8][PATH_MAX];
	static unsigned int turn;
	char *out = path[turn++ % RC_ARRAY_LEN(path)];

	(void)snprintf(out, PATH_MAX, "%s/%s", certs_dir, name);
	return out;
}

static inline FILE *certs_file(const char *name)
{
	FILE *f = fopen(certs_path(name), "w");

	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	return f;
}

static inline const char *certs_write_bytes(const char *name, const void *bytes, size_t len)
{
	FILE *f = certs_file(name);

	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	return certs_path(name);
}

/* The certificates in this order, NULL ends; then the key, if any. */
static inline const char *certs_write(
	const char *name, const struct cert *const *list, const struct cert *key)
{
	FILE *f = certs_file(name);

	for (; list && *list; list++)
		assert_int_equal(PEM_write_X509(f, (*list)->x), 1);
	if (key)
		assert_int_equal(PEM_write_PrivateKey(f, key->key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
	return certs_path(name);
}

/* Certificate and key in one file. */
static inline const char *certs_write_both(const char *name, const struct cert *c)
{
	const struct cert *list[] = {c, NULL};

	return certs_write(name, list, c);
}

/* An answer about c by its issuer; days from now. */
static inline const char *certs_write_staple(const char *name, const struct cert *c,
	const struct cert *issuer, int status, long from_days, long until_days)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), c->x, issuer->x);
	ASN1_TIME *from = X509_gmtime_adj(NULL, from_days * 86400),
		  *until = X509_gmtime_adj(NULL, until_days * 86400);
	ASN1_TIME *revoked = status == V_OCSP_CERTSTATUS_REVOKED ? from : NULL;
	unsigned char *der = NULL;

	assert_non_null(OCSP_basic_add1_status(basic, id, status, 0, revoked, from, until));
	assert_int_equal(OCSP_basic_sign(basic, issuer->x, issuer->key, EVP_sha256(), NULL, 0), 1);
	OCSP_RESPONSE *r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	int len = i2d_OCSP_RESPONSE(r, &der);
	assert_true(len > 0);
	const char *path = certs_write_bytes(name, der, (size_t)len);
	OPENSSL_free(der);
	OCSP_RESPONSE_free(r);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	return path;
}

#endif
