/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates for the tests, made while they run: an authority and what it signed, in a folder of their own.
 */
#ifndef RC_TESTS_PKI_H
#define RC_TESTS_PKI_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct pki_pair {
	EVP_PKEY *key;
	X509 *certificate;
};

#define PKI_DAY 86400L

static inline void pki_extend(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(certificate, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* Signed by `by`, or by itself. names such as "DNS:localhost,IP:127.0.0.1"; NULL makes it an authority. */
static inline struct pki_pair pki_issue(
	const char *cn, const char *names, long begin_s, long end_s, const struct pki_pair *by)
{
	struct pki_pair p = {EVP_EC_gen("P-256"), X509_new()};
	const struct pki_pair *signer = by ? by : &p;
	X509_NAME *name = X509_get_subject_name(p.certificate);
	uint32_t serial;

	assert_int_equal(RAND_bytes((unsigned char *)&serial, sizeof(serial)), 1);
	X509_set_version(p.certificate, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(p.certificate), serial);
	X509_gmtime_adj(X509_getm_notBefore(p.certificate), begin_s);
	X509_gmtime_adj(X509_getm_notAfter(p.certificate), end_s);
	X509_set_pubkey(p.certificate, p.key);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(p.certificate, X509_get_subject_name(signer->certificate));
	pki_extend(p.certificate, NID_basic_constraints, names ? "CA:FALSE" : "critical,CA:TRUE");
	if (names && *names)
		pki_extend(p.certificate, NID_subject_alt_name, names);
	assert_true(X509_sign(p.certificate, signer->key, EVP_sha256()) > 0);
	return p;
}

static inline void pki_free(struct pki_pair *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->certificate);
}

/* Certificate and key in one file; with a passphrase when there is one. */
static inline void pki_write(const struct pki_pair *p, const char *path, const char *passphrase)
{
	FILE *to = fopen(path, "w");

	assert_non_null(to);
	assert_int_equal(PEM_write_X509(to, p->certificate), 1);
	assert_int_equal(PEM_write_PrivateKey(to, p->key, passphrase ? EVP_aes_128_cbc() : NULL,
				 (const unsigned char *)passphrase,
				 passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
		1);
	assert_int_equal(fclose(to), 0);
}

/* A server that shows this certificate. */
static inline SSL_CTX *pki_server(const struct pki_pair *p)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	assert_non_null(c);
	assert_int_equal(SSL_CTX_use_certificate(c, p->certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(c, p->key), 1);
	assert_int_equal(SSL_CTX_set_session_id_context(c, (const unsigned char *)"rc", 2), 1);
	return c;
}

/* What the tests of a file share. */
static struct {
	char folder[32];
	struct pki_pair authority, server;
	char ca[64], file[64]; /* the authority's, and one for a test of its own */
} pki;

static int pki_set_up(void **state)
{
	(void)state;
	strcpy(pki.folder, "/tmp/rc-pki-XXXXXX");
	assert_non_null(mkdtemp(pki.folder));
	snprintf(pki.ca, sizeof(pki.ca), "%s/ca.pem", pki.folder);
	snprintf(pki.file, sizeof(pki.file), "%s/file.pem", pki.folder);
	pki.authority = pki_issue("authority", NULL, -PKI_DAY, PKI_DAY, NULL);
	pki.server = pki_issue(
		"gateway", "DNS:localhost,IP:127.0.0.1", -PKI_DAY, PKI_DAY, &pki.authority);
	pki_write(&pki.authority, pki.ca, NULL);
	return 0;
}

static int pki_tear_down(void **state)
{
	(void)state;
	pki_free(&pki.server);
	pki_free(&pki.authority);
	(void)unlink(pki.ca);
	(void)unlink(pki.file);
	return rmdir(pki.folder);
}

#endif
