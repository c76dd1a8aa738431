/* SPDX-License-Identifier: Apache-2.0
 *
 * One certificate with its chain, key and staple, read from files and checked. Made and freed by the main thread (or by the last
 * handshake that looks at it), never changed in between.
 */
#ifndef RC_TLS_CERTIFICATE_H
#define RC_TLS_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/base.h"
#include "base/error.h"
#include "base/file.h"

/* What the operator should hear though it is no reason to refuse. More than fit are not kept. */
struct rc_tls_warnings {
	char *text[16];
	uint32_t count;
};
void rc_tls_warn(struct rc_tls_warnings *w, const char *format, ...) RC_PRINTF(2, 3);
void rc_tls_warnings_free(struct rc_tls_warnings *w);

struct rc_tls_staple {
	unsigned char *der; /* NULL = none */
	size_t len;
	uint64_t from_s, until_s; /* it may be sent between them */
};

struct rc_tls_certificate {
	char *file, *key_file;
	X509 *leaf;
	STACK_OF(X509) * chain; /* without the leaf */
	EVP_PKEY *key;
	char **name; /* lower case: exact, or "*.rest" */
	uint32_t name_count;
	uint64_t ends_s;
	bool key_open_to_all;
	struct rc_tls_staple staple;
	struct rc_tls_warnings warnings;
};

/* key_file "": the key is in file. ocsp_file "": none. 0, or -1 with the file and what is wrong with it. c is zeroed. */
int rc_tls_certificate_load(struct rc_tls_certificate *c, const char *file, const char *key_file,
	const char *ocsp_file, struct rc_error *err) RC_MUST_USE;
void rc_tls_certificate_free(struct rc_tls_certificate *c);

/* Reads the response and checks that it is about the leaf. */
int rc_tls_staple_load(
	struct rc_tls_certificate *c, const char *file, struct rc_error *err) RC_MUST_USE;

/* Seconds since 1970; 0 when it cannot be read. */
uint64_t rc_tls_time_s(const ASN1_TIME *t);
/* What OpenSSL says about its last error, without its own file names; empties its queue. Never NULL. */
const char *rc_tls_openssl_says(void);

#endif
