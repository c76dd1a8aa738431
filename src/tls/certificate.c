/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/certificate.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"

/* A chain of ten certificates of 8 KiB would be a large one. */

void rc_tls_warn(struct rc_tls_warnings *w, const char *format, ...)
{
	char text[512];
	va_list args;

	if (w->count == RC_ARRAY_LEN(w->text))
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	w->text[w->count] = strdup(text);
	if (w->text[w->count])
		w->count++;
}

void rc_tls_warnings_free(struct rc_tls_warnings *w)
{
	while (w->count)
		free(w->text[--w->count]);
}

const char *rc_tls_openssl_says(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return text ? text : "OpenSSL gives no reason";
}

uint64_t rc_tls_time_s(const ASN1_TIME *t)
{
	struct tm tm;

	if (!t || !ASN1_TIME_to_tm(t, &tm))
		return 0;
	time_t s = timegm(&tm);
	return s < 0 ? 0 : (uint64_t)s;
}

/* ---- certificate and chain ------------------------------------------------------------------------ */

/* OpenSSL would ask at the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *asked)
{
	(void)buf, (void)size, (void)writing;
	*(bool *)asked = true;
	return -1;
}

static bool is_pem(const struct rc_file *f)
{
	return strstr(f->bytes, "-----BEGIN ") != NULL;
}

static int parse_certificates(
	struct rc_tls_certificate *c, const struct rc_file *f, struct rc_error *err)
{
	BIO *in = BIO_new_mem_buf(f->bytes, (int)f->len);
	bool asked = false;
	X509 *x;

	c->chain = sk_X509_new_null();
	if (!in || !c->chain) {
		BIO_free(in);
		return rc_error_set(err, "%s: no memory to read it", c->file);
	}
	ERR_clear_error();
	while ((x = PEM_read_bio_X509(in, NULL, no_passphrase, &asked)) != NULL) {
		if (!c->leaf)
			c->leaf = x;
		else if (!sk_X509_push(c->chain, x))
			X509_free(x);
	}
	BIO_free(in);
	/* NO_START_LINE is how the end of the file is told. */
	bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	if (!at_end)
		return rc_error_set(err, "%s: certificate %d in it is damaged: %s", c->file,
			c->leaf ? sk_X509_num(c->chain) + 2 : 1, rc_tls_openssl_says());
	ERR_clear_error();
	if (!c->leaf)
		return rc_error_set(err, "%s: %s", c->file,
			is_pem(f) ? "there is no certificate in it"
				  : "is not PEM: no line \"-----BEGIN CERTIFICATE-----\" in it");
	return 0;
}

static void date_of(uint64_t s, char out[11])
{
	char text[RC_ISO8601_LEN];

	rc_clock_iso8601(s * 1000, text);
	memcpy(out, text, 10);
	out[10] = '\0';
}

static int check_dates(struct rc_tls_certificate *c, struct rc_error *err)
{
	uint64_t now_s = rc_clock_wall_ms() / 1000;
	uint64_t from_s = rc_tls_time_s(X509_get0_notBefore(c->leaf));
	char date[11];

	c->ends_s = rc_tls_time_s(X509_get0_notAfter(c->leaf));
	if (c->ends_s <= now_s) {
		date_of(c->ends_s, date);
		return rc_error_set(
			err, "%s: the certificate expired on %s; renew it", c->file, date);
	}
	if (from_s > now_s) {
		date_of(from_s, date);
		return rc_error_set(err,
			"%s: the certificate is not valid before %s; is the clock right?", c->file,
			date);
	}
	return 0;
}

/* Clients that do not know the issuer need the chain; a wrong one is theirs to stumble over, so it is told, not refused. */
static void check_chain(struct rc_tls_certificate *c)
{
	uint64_t now_s = rc_clock_wall_ms() / 1000;
	X509 *below = c->leaf;

	for (int i = 0; i < sk_X509_num(c->chain); i++) {
		X509 *x = sk_X509_value(c->chain, i);

		if (X509_check_issued(x, below) != X509_V_OK) {
			rc_tls_warn(&c->warnings,
				"%s: certificate %d in it did not issue certificate %d: the chain is in the wrong "
				"order or not this certificate's; clients may refuse it",
				c->file, i + 2, i + 1);
			return;
		}
		if (rc_tls_time_s(X509_get0_notAfter(x)) <= now_s)
			rc_tls_warn(&c->warnings, "%s: certificate %d of the chain has expired",
				c->file, i + 2);
		below = x;
	}
}

/* ---- names ---------------------------------------------------------------------------------------- */

/* A name with a zero byte in it, or of odd characters, is nobody's name. */
static int add_name(struct rc_tls_certificate *c, const unsigned char *text, int len)
{
	if (len <= 0 || len > 253)
		return 0;
	for (int i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return 0;
	char **more = realloc(c->name, (c->name_count + 1) * sizeof(*more));
	if (!more)
		return -1;
	c->name = more;
	char *name = strndup((const char *)text, (size_t)len);
	if (!name)
		return -1;
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	c->name[c->name_count++] = name;
	return 0;
}

static int read_names(struct rc_tls_certificate *c, struct rc_error *err)
{
	GENERAL_NAMES *sans = X509_get_ext_d2i(c->leaf, NID_subject_alt_name, NULL, NULL);
	const X509_NAME *subject = X509_get_subject_name(c->leaf);
	int rc = 0, at;

	for (int i = 0; i < sk_GENERAL_NAME_num(sans) && rc == 0; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(sans, i);

		if (g->type == GEN_DNS)
			rc = add_name(c, ASN1_STRING_get0_data(g->d.dNSName),
				ASN1_STRING_length(g->d.dNSName));
	}
	GENERAL_NAMES_free(sans);
	if (rc == 0 && c->name_count == 0 &&
		(at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)) >= 0) {
		const ASN1_STRING *cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));

		rc = add_name(c, ASN1_STRING_get0_data(cn), ASN1_STRING_length(cn));
	}
	ERR_clear_error();
	return rc == 0 ? 0 : rc_error_set(err, "%s: no memory for its names", c->file);
}

/* ---- the key -------------------------------------------------------------------------------------- */

static int parse_key(struct rc_tls_certificate *c, const struct rc_file *f, struct rc_error *err)
{
	BIO *in = BIO_new_mem_buf(f->bytes, (int)f->len);
	bool asked = false;

	ERR_clear_error();
	c->key = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, &asked) : NULL;
	BIO_free(in);
	c->key_open_to_all = f->open_to_all;
	if (c->key) {
		ERR_clear_error();
		return 0;
	}
	if (asked) {
		ERR_clear_error();
		return rc_error_set(err,
			"%s: the key is locked with a passphrase, and nobody is there to type it; "
			"write it unlocked with `openssl pkey` and protect the file",
			c->key_file);
	}
	/* What OpenSSL says about a file without a key differs from version to version. */
	if (!strstr(f->bytes, "PRIVATE KEY-----")) {
		ERR_clear_error();
		return rc_error_set(err, "%s: %s", c->key_file,
			is_pem(f) ? "there is no private key in it"
				  : "is not PEM: no line \"-----BEGIN PRIVATE KEY-----\" in it");
	}
	return rc_error_set(
		err, "%s: the key can't be read: %s", c->key_file, rc_tls_openssl_says());
}

static int check_key(struct rc_tls_certificate *c, struct rc_error *err)
{
	if (X509_check_private_key(c->leaf, c->key) == 1)
		return 0;
	ERR_clear_error();
	return rc_error_set(
		err, "%s: the key in %s is not the key of this certificate", c->file, c->key_file);
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static int load(struct rc_tls_certificate *c, const char *ocsp_file, struct rc_error *err)
{
	struct rc_file f;
	int rc;

	if (rc_file_read(&f, c->file, err) != 0)
		return -1;
	rc = parse_certificates(c, &f, err);
	rc_file_free(&f);
	if (rc != 0 || check_dates(c, err) != 0 || read_names(c, err) != 0)
		return -1;
	check_chain(c);
	if (rc_file_read(&f, c->key_file, err) != 0)
		return -1;
	rc = parse_key(c, &f, err);
	rc_file_free(&f);
	if (rc != 0 || check_key(c, err) != 0)
		return -1;
	return *ocsp_file ? rc_tls_staple_load(c, ocsp_file, err) : 0;
}

int rc_tls_certificate_load(struct rc_tls_certificate *c, const char *file, const char *key_file,
	const char *ocsp_file, struct rc_error *err)
{
	c->file = strdup(file);
	c->key_file = strdup(*key_file ? key_file : file);
	if (!c->file || !c->key_file)
		(void)rc_error_set(err, "%s: no memory to read it", file);
	else if (load(c, ocsp_file, err) == 0)
		return 0;
	rc_tls_certificate_free(c);
	return -1;
}

void rc_tls_certificate_free(struct rc_tls_certificate *c)
{
	X509_free(c->leaf);
	sk_X509_pop_free(c->chain, X509_free);
	EVP_PKEY_free(c->key);
	for (uint32_t i = 0; i < c->name_count; i++)
		free(c->name[i]);
	free(c->name);
	free(c->staple.der);
	free(c->file);
	free(c->key_file);
	rc_tls_warnings_free(&c->warnings);
	memset(c, 0, sizeof(*c));
}
