/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL's side of a certificate: an SSL_CTX for each port, and what OpenSSL asks us in a handshake: which certificate, which
 * protocol, which ticket key, which staple.
 */
#include "tls/site.h"

#include <pthread.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/clock.h"
#include "tls/tickets.h"

static const char suites_13[] =
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char suites_12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
				"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
				"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char groups[] = "X25519:P-256:P-384";
static const unsigned char http_11[] = "\x08http/1.1";

/* A client's chain that is longer than this is nobody's. */
enum { CLIENT_CHAIN_MAX = 32 * 1024 };

/* Where an SSL keeps its context and port, and an SSL_CTX its site. */
static enum rc_tls_port ports[RC_TLS_PORTS] = {RC_TLS_CLIENTS, RC_TLS_PUBLISHERS};
static int context_index = -1, port_index = -1, site_index = -1;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_indices(void)
{
	context_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	port_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	site_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static struct rc_tls_context *context_of(const SSL *ssl)
{
	return SSL_get_ex_data(ssl, context_index);
}

/* ---- the name that the client asks for ------------------------------------------------------------ */

/* The host name in a server_name extension (RFC 6066, 3); empty when there is none or it is malformed. */
static struct rc_str host_name(const unsigned char *ext, size_t len)
{
	const struct rc_str none = {0};

	/* list length, type 0, name length, name */
	if (len < 5 || ((size_t)ext[0] << 8 | ext[1]) != len - 2 || ext[2] != 0)
		return none;
	size_t name = (size_t)ext[3] << 8 | ext[4];
	return name > len - 5 ? none : (struct rc_str){(const char *)ext + 5, name};
}

/* The first thing that happens to a hello, before a session is looked for: so that a session is only ever resumed at the
 * certificate that it was made with (the session id context belongs to the SSL_CTX). */
static int on_hello(SSL *ssl, int *alert, void *unused)
{
	struct rc_tls_context *c = context_of(ssl);
	const unsigned char *ext;
	size_t len;

	(void)unused;
	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &len))
		return SSL_CLIENT_HELLO_SUCCESS;
	const struct rc_tls_site *s = rc_tls_site_find(c, host_name(ext, len));
	const enum rc_tls_port *port = SSL_get_ex_data(ssl, port_index);
	SSL_CTX *ctx = s->ctx[*port];
	if (ctx != SSL_get_SSL_CTX(ssl) && !SSL_set_SSL_CTX(ssl, ctx)) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* ---- what else OpenSSL asks ----------------------------------------------------------------------- */

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *offered, unsigned int offered_len, void *unused)
{
	(void)ssl, (void)unused;
	for (unsigned int at = 0; at < offered_len; at += 1u + offered[at]) {
		if (offered[at] == http_11[0] && offered_len - at > http_11[0] &&
			memcmp(offered + at, http_11, 1u + http_11[0]) == 0) {
			*out = offered + at + 1;
			*out_len = http_11[0];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int on_staple(SSL *ssl, void *unused)
{
	const struct rc_tls_site *site = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), site_index);
	const struct rc_tls_staple *s = &site->certificate.staple;
	uint64_t now_s = rc_clock_wall_ms() / 1000;

	(void)unused;
	if (!s->der || now_s < s->from_s || now_s >= s->until_s)
		return SSL_TLSEXT_ERR_NOACK;
	unsigned char *copy = OPENSSL_memdup(s->der, s->len);
	if (!copy)
		return SSL_TLSEXT_ERR_NOACK;
	(void)SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)s->len);
	return SSL_TLSEXT_ERR_OK;
}

static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int seal)
{
	return rc_tls_tickets_key(context_of(ssl)->tickets, name, iv, cipher, mac, seal != 0);
}

/* A session outlives no client certificate: with an expired one in it, the handshake is a full one, which refuses it. */
static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
	size_t name_len, SSL_TICKET_STATUS status, void *unused)
{
	(void)ssl, (void)name, (void)name_len, (void)unused;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	const X509 *peer = SSL_SESSION_get0_peer(session);
	if (peer && rc_tls_time_s(X509_get0_notAfter(peer)) <= rc_clock_wall_ms() / 1000)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* ---- the SSL_CTX ---------------------------------------------------------------------------------- */

/*
 * A session may be resumed where the same names are served on the same kind of port with the same demands on clients; a renewed
 * certificate of the same names goes on with the sessions of the old one.
 */
static bool session_context(const struct rc_tls_context *c, const struct rc_tls_site *s,
	enum rc_tls_port port, unsigned char out[32])
{
	const unsigned char rules[] = {(unsigned char)port, (unsigned char)c->ask[port]};
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) &&
		  EVP_DigestUpdate(md, rules, sizeof(rules)) &&
		  EVP_DigestUpdate(md, c->client_ca_digest, sizeof(c->client_ca_digest));

	for (uint32_t i = 0; ok && i < s->certificate.name_count; i++)
		ok = EVP_DigestUpdate(
			md, s->certificate.name[i], strlen(s->certificate.name[i]) + 1);
	/* Nobody's names: then the certificate itself tells them apart. */
	if (ok && s->certificate.name_count == 0) {
		unsigned char print[EVP_MAX_MD_SIZE];
		unsigned int len;

		ok = X509_digest(s->certificate.leaf, EVP_sha256(), print, &len) &&
		     EVP_DigestUpdate(md, print, len);
	}
	ok = ok && EVP_DigestFinal_ex(md, out, NULL);
	EVP_MD_CTX_free(md);
	return ok;
}

static bool set_rules(SSL_CTX *ctx, const struct rc_tls_context *c)
{
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					       SSL_OP_CIPHER_SERVER_PREFERENCE |
					       SSL_OP_PRIORITIZE_CHACHA);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 0);
	SSL_CTX_set_quiet_shutdown(ctx, 1);
	SSL_CTX_set_max_cert_list(ctx, CLIENT_CHAIN_MAX);
	/* Whatever the distribution's configuration says: keys below 112 bits of strength and SHA-1 are refused. */
	if (SSL_CTX_get_security_level(ctx) < 2)
		SSL_CTX_set_security_level(ctx, 2);
	return SSL_CTX_set_min_proto_version(ctx, c->only_13 ? TLS1_3_VERSION : TLS1_2_VERSION) &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	       SSL_CTX_set_ciphersuites(ctx, suites_13) &&
	       SSL_CTX_set_cipher_list(ctx, suites_12) && SSL_CTX_set1_groups_list(ctx, groups) &&
	       SSL_CTX_set_max_early_data(ctx, 0) && SSL_CTX_set_num_tickets(ctx, 1);
}

static bool set_tickets(SSL_CTX *ctx, const struct rc_tls_context *c, const struct rc_tls_site *s,
	enum rc_tls_port port)
{
	unsigned char id[32];

	(void)SSL_CTX_set_timeout(ctx, (long)rc_tls_tickets_lifetime_s(c->tickets));
	return session_context(c, s, port, id) &&
	       SSL_CTX_set_session_id_context(ctx, id, sizeof(id)) &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket_key) &&
	       SSL_CTX_set_session_ticket_cb(ctx, NULL, on_ticket, NULL);
}

static bool set_clients(SSL_CTX *ctx, const struct rc_tls_context *c, enum rc_tls_port port)
{
	if (c->ask[port] == RC_TLS_ASK_NO)
		return true;
	STACK_OF(X509_NAME) *names = SSL_dup_CA_list(c->client_ca_names);
	if (!names)
		return false;
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set1_cert_store(ctx, c->client_ca);
	SSL_CTX_set_verify(ctx,
		SSL_VERIFY_PEER |
			(c->ask[port] == RC_TLS_ASK_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
		rc_tls_on_verify);
	return true;
}

static SSL_CTX *make_ctx(struct rc_tls_context *c, struct rc_tls_site *s, enum rc_tls_port port,
	struct rc_error *err)
{
	const struct rc_tls_certificate *cert = &s->certificate;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx || !set_rules(ctx, c) || !set_tickets(ctx, c, s, port) ||
		!set_clients(ctx, c, port) || !SSL_CTX_set_ex_data(ctx, site_index, s)) {
		(void)rc_error_set(err, "OpenSSL can't be set up: %s", rc_tls_openssl_says());
		SSL_CTX_free(ctx);
		return NULL;
	}
	if (!SSL_CTX_use_cert_and_key(ctx, cert->leaf, cert->key, cert->chain, 1)) {
		(void)rc_error_set(err, "%s: OpenSSL refuses the certificate: %s", cert->file,
			rc_tls_openssl_says());
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
	if (port == RC_TLS_CLIENTS)
		SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	(void)SSL_CTX_set_tlsext_status_cb(ctx, on_staple);
	SSL_CTX_set_keylog_callback(ctx, rc_tls_on_keylog);
	return ctx;
}

int rc_tls_site_open(struct rc_tls_context *c, struct rc_tls_site *s, struct rc_error *err)
{
	(void)pthread_once(&once, make_indices);
	ERR_clear_error();
	for (int port = 0; port < RC_TLS_PORTS; port++) {
		s->ctx[port] = make_ctx(c, s, (enum rc_tls_port)port, err);
		if (!s->ctx[port])
			return -1;
	}
	ERR_clear_error();
	return 0;
}

void rc_tls_site_close(struct rc_tls_site *s)
{
	for (int port = 0; port < RC_TLS_PORTS; port++)
		SSL_CTX_free(s->ctx[port]);
	rc_tls_certificate_free(&s->certificate);
}

/* ---- an SSL --------------------------------------------------------------------------------------- */

SSL *rc_tls_ssl_new(struct rc_tls_context *c, enum rc_tls_port port)
{
	SSL *ssl = SSL_new(c->site[0].ctx[port]);

	if (!ssl)
		return NULL;
	if (!SSL_set_ex_data(ssl, port_index, &ports[port]) ||
		!SSL_set_ex_data(ssl, context_index, c)) {
		SSL_free(ssl);
		return NULL;
	}
	(void)atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return ssl;
}

void rc_tls_ssl_free(SSL *ssl)
{
	struct rc_tls_context *c = context_of(ssl);

	SSL_free(ssl);
	rc_tls_context_close(c);
}
