/* SPDX-License-Identifier: Apache-2.0
 *
 * The OCSP response that is stapled to a certificate. It comes from a file; we check that it is a good answer about this very
 * certificate. Its signature is the client's to check.
 */
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "tls/certificate.h"

/* Is the answer about this certificate? By its number and its issuer's name, and by the issuer's key when the chain has it. */
static bool is_about(const OCSP_SINGLERESP *one, const struct rc_tls_certificate *c)
{
	OCSP_CERTID *id = (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(one);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	ASN1_OCTET_STRING *name, *key;
	ASN1_INTEGER *serial;
	ASN1_OBJECT *algorithm;

	if (!OCSP_id_get0_info(&name, &algorithm, &key, &serial, id) ||
		ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(c->leaf)) != 0)
		return false;
	const EVP_MD *md = EVP_get_digestbyobj(algorithm);
	if (!md || !X509_NAME_digest(X509_get_issuer_name(c->leaf), md, digest, &len) ||
		(int)len != ASN1_STRING_length(name) ||
		memcmp(digest, ASN1_STRING_get0_data(name), len) != 0)
		return false;
	if (sk_X509_num(c->chain) == 0)
		return true;
	return X509_pubkey_digest(sk_X509_value(c->chain, 0), md, digest, &len) &&
	       (int)len == ASN1_STRING_length(key) &&
	       memcmp(digest, ASN1_STRING_get0_data(key), len) == 0;
}

static int check(
	struct rc_tls_certificate *c, OCSP_BASICRESP *basic, const char *file, struct rc_error *err)
{
	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *one = OCSP_resp_get0(basic, i);
		ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;

		if (!is_about(one, c))
			continue;
		if (OCSP_single_get0_status(one, NULL, NULL, &from, &until) !=
			V_OCSP_CERTSTATUS_GOOD)
			return rc_error_set(err,
				"%s: says that the certificate in %s is revoked or unknown; replace it",
				file, c->file);
		c->staple.from_s = rc_tls_time_s(from);
		c->staple.until_s = until ? rc_tls_time_s(until) : UINT64_MAX;
		return 0;
	}
	return rc_error_set(
		err, "%s: this answer is not about the certificate in %s", file, c->file);
}

static int parse(struct rc_tls_certificate *c, const struct rc_file *f, const char *file,
	struct rc_error *err)
{
	const unsigned char *begin = (const unsigned char *)f->bytes, *at = begin;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)f->len);
	OCSP_BASICRESP *basic = NULL;
	int rc = -1;

	if (!response || at != begin + f->len)
		(void)rc_error_set(err, "%s: is not an OCSP response in DER", file);
	else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		(void)rc_error_set(err, "%s: the responder refused to answer: %s", file,
			OCSP_response_status_str(OCSP_response_status(response)));
	else if ((basic = OCSP_response_get1_basic(response)) == NULL)
		(void)rc_error_set(err, "%s: there is no answer in it", file);
	else
		rc = check(c, basic, file, err);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	return rc;
}

int rc_tls_staple_load(struct rc_tls_certificate *c, const char *file, struct rc_error *err)
{
	struct rc_file f;

	if (rc_file_read(&f, file, err) != 0)
		return -1;
	if (parse(c, &f, file, err) != 0) {
		rc_file_free(&f);
		return -1;
	}
	c->staple.der = (unsigned char *)f.bytes;
	c->staple.len = f.len;
	return 0;
}
