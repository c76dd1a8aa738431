/* SPDX-License-Identifier: Apache-2.0
 *
 * What is behind struct rc_tls_context, for the files of this layer only.
 *
 *   context ─▶ site[0] = the default certificate ─▶ one SSL_CTX for each port
 *           ├▶ site[1…] = those of the folder
 *           └▶ by_name: (name, site), sorted
 *
 * The context is counted: the caller of open has one reference, every handshake under way has one.
 */
#ifndef RC_TLS_SITE_H
#define RC_TLS_SITE_H

#include <stdatomic.h>

#include <openssl/ssl.h>

#include "tls/certificate.h"
#include "tls/context.h"

struct rc_tls_site {
	struct rc_tls_certificate certificate;
	SSL_CTX *ctx[RC_TLS_PORTS];
};

struct rc_tls_named {
	const char *name; /* the certificate's */
	uint32_t site;
};

struct rc_tls_context {
	atomic_uint refs;
	struct rc_tls_tickets *tickets;
	enum rc_tls_ask ask[RC_TLS_PORTS];
	bool only_13;
	struct rc_tls_site *site;
	uint32_t site_count;
	struct rc_tls_named *by_name;
	uint32_t name_count;
	X509_STORE *client_ca; /* NULL = none */
	STACK_OF(X509_NAME) * client_ca_names;
	unsigned char client_ca_digest[32];
	uint64_t ends_s;
	struct rc_tls_warnings warnings;
};

/* The certificate for a name that a client asked for; the default one for a name that nobody has. */
struct rc_tls_site *rc_tls_site_find(const struct rc_tls_context *c, struct rc_str name);
/* Makes the SSL_CTXs of a site whose certificate is loaded. */
int rc_tls_site_open(
	struct rc_tls_context *c, struct rc_tls_site *s, struct rc_error *err) RC_MUST_USE;
void rc_tls_site_close(struct rc_tls_site *s);

/* An SSL of that port, holding the context until rc_tls_ssl_free(). NULL: no memory. */
SSL *rc_tls_ssl_new(struct rc_tls_context *c, enum rc_tls_port port);
void rc_tls_ssl_free(SSL *ssl);

/* handshake.c: what a site's SSL_CTX calls while a handshake is under way. */
void rc_tls_on_keylog(const SSL *ssl, const char *line);
int rc_tls_on_verify(int ok, X509_STORE_CTX *store);

#endif
