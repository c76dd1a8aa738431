/* SPDX-License-Identifier: Apache-2.0
 *
 * Two OpenSSL ends in memory that shook hands for real, and the keys as the server would take them: what ours makes is read
 * by OpenSSL, and the other way round.
 */
#ifndef RC_TESTS_UNIT_TLS_PAIR_H
#define RC_TESTS_UNIT_TLS_PAIR_H

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "../unit.h"
#include "hex.h"
#include "tls/keys.h"
#include "tls/record.h"

struct pair {
	SSL *client, *server;
	uint8_t client_secret[RC_TLS_SECRET_MAX], server_secret[RC_TLS_SECRET_MAX];
	uint8_t master[RC_TLS_SECRET_MAX];
	uint32_t secret_len;
};

static const char *const pair_suites_12[RC_TLS_CIPHERS] = {"ECDHE-ECDSA-AES128-GCM-SHA256",
	"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"};
static const char *const pair_suites_13[RC_TLS_CIPHERS] = {
	"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};

static inline void pair_keylog(const SSL *ssl, const char *line)
{
	struct pair *p = SSL_get_app_data(ssl);
	const char *last = strrchr(line, ' ');

	if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0)
		p->secret_len = hex_bytes(last + 1, p->client_secret, RC_TLS_SECRET_MAX);
	else if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0)
		(void)hex_bytes(last + 1, p->server_secret, RC_TLS_SECRET_MAX);
	else if (strncmp(line, "CLIENT_RANDOM ", 14) == 0)
		assert_int_equal(hex_bytes(last + 1, p->master, RC_TLS_SECRET_MAX), 48);
}

static inline void pair_certify(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	assert_true(key != NULL && cert != NULL);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static inline SSL *pair_end(
	const SSL_METHOD *method, enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	int number = version == RC_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
	SSL *ssl;

	assert_non_null(ctx);
	assert_int_equal(SSL_CTX_set_min_proto_version(ctx, number), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, number), 1);
	if (version == RC_TLS_1_3)
		assert_int_equal(SSL_CTX_set_ciphersuites(ctx, pair_suites_13[cipher]), 1);
	else
		assert_int_equal(SSL_CTX_set_cipher_list(ctx, pair_suites_12[cipher]), 1);
	if (method == TLS_server_method()) {
		pair_certify(ctx);
		SSL_CTX_set_keylog_callback(ctx, pair_keylog);
	}
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	assert_non_null(ssl);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	return ssl;
}

/* What one end wrote is what the other reads. */
static inline void pair_move(SSL *from, SSL *to)
{
	char bytes[4096];
	int len;

	while ((len = BIO_read(SSL_get_wbio(from), bytes, sizeof(bytes))) > 0)
		assert_int_equal(BIO_write(SSL_get_rbio(to), bytes, len), len);
}

static inline void pair_open(struct pair *p, enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	memset(p, 0, sizeof(*p));
	p->client = pair_end(TLS_client_method(), version, cipher);
	p->server = pair_end(TLS_server_method(), version, cipher);
	SSL_set_app_data(p->server, p);
	SSL_set_connect_state(p->client);
	SSL_set_accept_state(p->server);
	for (int round = 0; round < 4; round++) {
		(void)SSL_do_handshake(p->client);
		pair_move(p->client, p->server);
		(void)SSL_do_handshake(p->server);
		pair_move(p->server, p->client);
	}
	ERR_clear_error();
	assert_true(SSL_is_init_finished(p->client) && SSL_is_init_finished(p->server));
}

static inline void pair_close(struct pair *p)
{
	SSL_free(p->client);
	SSL_free(p->server);
	ERR_clear_error();
}

/* The keys of one end, by what the server's side of the handshake told. */
static inline void pair_keys(const struct pair *p, enum rc_tls_version version,
	enum rc_tls_cipher cipher, bool server, struct rc_tls_keys *k)
{
	uint8_t client_random[RC_TLS_RANDOM], server_random[RC_TLS_RANDOM];

	if (version == RC_TLS_1_3) {
		/* Two tickets were sent under the application keys. */
		assert_int_equal(rc_tls_keys_13(k, cipher, p->client_secret, p->server_secret,
					 p->secret_len, server ? 2 : 0, server),
			0);
		if (!server)
			k->receive.sequence = 2;
		return;
	}
	assert_int_equal(SSL_get_client_random(p->server, client_random, RC_TLS_RANDOM), 32);
	assert_int_equal(SSL_get_server_random(p->server, server_random, RC_TLS_RANDOM), 32);
	assert_int_equal(rc_tls_keys_12(k, cipher, cipher == RC_TLS_AES_256_GCM ? 48 : 32,
				 p->master, client_random, server_random, server),
		0);
}

#endif
