/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/identity.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

static uint8_t take(const unsigned char *text, int len, char *out, size_t size)
{
	if (len <= 0 || (size_t)len > RC_MIN(size, (size_t)UINT8_MAX))
		return 0;
	for (int i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return 0;
	memcpy(out, text, (size_t)len);
	return (uint8_t)len;
}

/* Names come in several encodings; compared and shown they are as UTF-8. */
static uint8_t common_name(const X509_NAME *subject, int at, char *out, size_t size)
{
	unsigned char *text = NULL;
	int len = ASN1_STRING_to_UTF8(
		&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	uint8_t taken = len < 0 ? 0 : take(text, len, out, size);

	if (len >= 0)
		OPENSSL_free(text);
	return taken;
}

static uint8_t alternative_name(const X509 *x, char *out, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	uint8_t len = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != GEN_DNS && g->type != GEN_EMAIL && g->type != GEN_URI)
			continue;
		len = take(
			ASN1_STRING_get0_data(g->d.ia5), ASN1_STRING_length(g->d.ia5), out, size);
		break;
	}
	GENERAL_NAMES_free(names);
	return len;
}

uint8_t rc_tls_identity_of(const X509 *x, char *out, size_t size)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	uint8_t len =
		at >= 0 ? common_name(subject, at, out, size) : alternative_name(x, out, size);

	ERR_clear_error();
	return len;
}
