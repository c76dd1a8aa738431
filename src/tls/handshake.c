/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/handshake.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "io/socket.h"
#include "tls/identity.h"
#include "tls/site.h"

static int handshake_index = -1;
static BIO_METHOD *socket_method;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- the socket, as OpenSSL sees it --------------------------------------------------------------- */

static int fd_of(BIO *b)
{
	return (int)(intptr_t)BIO_get_data(b);
}

static int bio_read(BIO *b, char *out, size_t size, size_t *got)
{
	ssize_t n = rc_socket_read(fd_of(b), out, size);

	BIO_clear_retry_flags(b);
	*got = n > 0 ? (size_t)n : 0;
	if (n == -EAGAIN)
		BIO_set_retry_read(b);
	if (n == 0)
		BIO_set_flags(b, BIO_FLAGS_IN_EOF);
	if (n < 0)
		errno = (int)-n;
	return n > 0;
}

static int bio_write(BIO *b, const char *bytes, size_t len, size_t *put)
{
	ssize_t n = rc_socket_write(fd_of(b), bytes, len);

	BIO_clear_retry_flags(b);
	*put = n > 0 ? (size_t)n : 0;
	if (n == -EAGAIN)
		BIO_set_retry_write(b);
	if (n < 0)
		errno = (int)-n;
	return n > 0;
}

static long bio_ctrl(BIO *b, int what, long number, void *pointer)
{
	(void)number, (void)pointer;
	switch (what) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
	default:
		return 0;
	}
}

static void make_statics(void)
{
	handshake_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rc socket");
	if (m && BIO_meth_set_read_ex(m, bio_read) && BIO_meth_set_write_ex(m, bio_write) &&
		BIO_meth_set_ctrl(m, bio_ctrl))
		socket_method = m;
}

int rc_tls_looks_like_tls(int fd)
{
	unsigned char first[2];
	ssize_t n = rc_socket_peek(fd, first, sizeof(first));

	if (n == -EAGAIN)
		return -1;
	/* A handshake record of some version 3.x. Of a peer that is gone the handshake will tell. */
	return n <= 0 || (first[0] == 0x16 && (n == 1 || first[1] == 0x03));
}

/* ---- what OpenSSL tells on the way ---------------------------------------------------------------- */

static struct rc_tls_handshake *handshake_of(const SSL *ssl)
{
	return SSL_get_ex_data(ssl, handshake_index);
}

static int nibble(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Hexadecimal up to the end of the line; its length in bytes, or 0. */
static uint8_t unhex(const char *text, uint8_t out[RC_TLS_SECRET_MAX])
{
	uint8_t len = 0;

	for (; text[0] && text[1]; text += 2) {
		int high = nibble(text[0]), low = nibble(text[1]);

		if (high < 0 || low < 0 || len == RC_TLS_SECRET_MAX)
			return 0;
		out[len++] = (uint8_t)(high << 4 | low);
	}
	return len;
}

/* "LABEL client-random secret", the format of a key log file. */
void rc_tls_on_keylog(const SSL *ssl, const char *line)
{
	static const struct rc_str client = {"CLIENT_TRAFFIC_SECRET_0 ", 24},
				   server = {"SERVER_TRAFFIC_SECRET_0 ", 24};
	struct rc_tls_handshake *h = handshake_of(ssl);
	struct rc_str text = rc_str_of(line);
	const char *secret = strrchr(line, ' ');

	if (!h || !secret)
		return;
	if (rc_str_starts(text, client))
		h->secret_len = unhex(secret + 1, h->client_secret);
	else if (rc_str_starts(text, server))
		h->secret_len = unhex(secret + 1, h->server_secret);
}

/* Records that go out behind our Finished in TLS 1.3 go out under the application keys: the kernel's count begins behind them. */
static void on_message(
	int out, int version, int type, const void *bytes, size_t len, SSL *ssl, void *unused)
{
	struct rc_tls_handshake *h = handshake_of(ssl);

	(void)version, (void)unused;
	if (!h || !out)
		return;
	if (type == SSL3_RT_HEADER)
		h->tickets++;
	else if (type == SSL3_RT_HANDSHAKE && len && *(const uint8_t *)bytes == SSL3_MT_FINISHED)
		h->tickets = 0;
}

/* OpenSSL has judged signatures, dates and purpose; a name that cannot be an identity is as bad. */
int rc_tls_on_verify(int ok, X509_STORE_CTX *store)
{
	char identity[RC_TLS_IDENTITY_MAX];

	if (ok && X509_STORE_CTX_get_error_depth(store) == 0 &&
		rc_tls_identity_of(
			X509_STORE_CTX_get_current_cert(store), identity, sizeof(identity)) == 0) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
		return 0;
	}
	return ok;
}

/* ---- why it failed -------------------------------------------------------------------------------- */

static const struct {
	int reason;
	enum rc_tls_failure failure;
} failures[] = {
	{SSL_R_HTTP_REQUEST, RC_TLS_FAILED_PLAIN},
	{SSL_R_HTTPS_PROXY_REQUEST, RC_TLS_FAILED_PLAIN},
	{SSL_R_UNSUPPORTED_PROTOCOL, RC_TLS_FAILED_VERSION},
	{SSL_R_UNKNOWN_PROTOCOL, RC_TLS_FAILED_VERSION},
	{SSL_R_WRONG_SSL_VERSION, RC_TLS_FAILED_VERSION},
	{SSL_R_VERSION_TOO_LOW, RC_TLS_FAILED_VERSION},
	{SSL_R_VERSION_TOO_HIGH, RC_TLS_FAILED_VERSION},
	{SSL_R_INAPPROPRIATE_FALLBACK, RC_TLS_FAILED_VERSION},
	{SSL_R_NO_SHARED_CIPHER, RC_TLS_FAILED_CIPHER},
	{SSL_R_NO_SUITABLE_KEY_SHARE, RC_TLS_FAILED_CIPHER},
	{SSL_R_NO_SHARED_GROUPS, RC_TLS_FAILED_CIPHER},
	{SSL_R_NO_SUITABLE_GROUPS, RC_TLS_FAILED_CIPHER},
	{SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, RC_TLS_FAILED_CIPHER},
	{SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, RC_TLS_FAILED_CIPHER},
	{SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, RC_TLS_FAILED_CLIENT_CERT},
	{SSL_R_CERTIFICATE_VERIFY_FAILED, RC_TLS_FAILED_CLIENT_CERT},
	{SSL_R_EE_KEY_TOO_SMALL, RC_TLS_FAILED_CLIENT_CERT},
	{SSL_R_CA_KEY_TOO_SMALL, RC_TLS_FAILED_CLIENT_CERT},
	{SSL_R_CA_MD_TOO_WEAK, RC_TLS_FAILED_CLIENT_CERT},
	{SSL_R_NO_CLIENT_CERT_METHOD, RC_TLS_FAILED_CLIENT_CERT},
	{SSL_R_UNEXPECTED_EOF_WHILE_READING, RC_TLS_FAILED_CLOSED},
};

static enum rc_tls_failure failure_of(int reason)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(failures); i++)
		if (failures[i].reason == reason)
			return failures[i].failure;
	/* The peer's alerts have reasons of their own, above all others. */
	return reason > SSL_AD_REASON_OFFSET ? RC_TLS_FAILED_ALERT : RC_TLS_FAILED_PROTOCOL;
}

static void let_go(struct rc_tls_handshake *h)
{
	if (h->ssl)
		rc_tls_ssl_free(h->ssl);
	h->ssl = NULL;
	OPENSSL_cleanse(h->client_secret, sizeof(h->client_secret));
	OPENSSL_cleanse(h->server_secret, sizeof(h->server_secret));
	OPENSSL_cleanse(h->master, sizeof(h->master));
	ERR_clear_error();
}

static enum rc_tls_step fail(
	struct rc_tls_handshake *h, enum rc_tls_failure failure, const char *why)
{
	(void)snprintf(h->why, sizeof(h->why), "%s", why);
	h->failure = failure;
	let_go(h);
	rc_tls_keys_wipe(&h->keys);
	return RC_TLS_FAILED;
}

static enum rc_tls_step fail_by_queue(struct rc_tls_handshake *h)
{
	/* The first is the cause; what follows it tells who passed it on. But certificate errors may hide behind ASN.1's. */
	unsigned long first = 0, e;

	while ((e = ERR_get_error()) != 0)
		if (!first || (ERR_GET_LIB(first) != ERR_LIB_SSL && ERR_GET_LIB(e) == ERR_LIB_SSL))
			first = e;
	const char *text = first ? ERR_reason_error_string(first) : NULL;
	enum rc_tls_failure failure = ERR_GET_LIB(first) == ERR_LIB_SSL
					      ? failure_of(ERR_GET_REASON(first))
					      : RC_TLS_FAILED_PROTOCOL;
	long verdict = SSL_get_verify_result(h->ssl);

	if (failure == RC_TLS_FAILED_CLIENT_CERT && verdict == X509_V_ERR_APPLICATION_VERIFICATION)
		text = "the name in the client certificate is missing, too long or not printable ASCII";
	else if (failure == RC_TLS_FAILED_CLIENT_CERT && verdict != X509_V_OK)
		text = X509_verify_cert_error_string(verdict);
	return fail(h, failure, text ? text : "OpenSSL gives no reason");
}

/* ---- the end that is hoped for -------------------------------------------------------------------- */

static int cipher_of(const SSL_CIPHER *c)
{
	switch (SSL_CIPHER_get_cipher_nid(c)) {
	case NID_aes_128_gcm:
		return RC_TLS_AES_128_GCM;
	case NID_aes_256_gcm:
		return RC_TLS_AES_256_GCM;
	case NID_chacha20_poly1305:
		return RC_TLS_CHACHA20_POLY1305;
	default:
		return -1;
	}
}

static int take_keys_12(struct rc_tls_handshake *h, enum rc_tls_cipher cipher, uint32_t hash_len)
{
	uint8_t client_random[RC_TLS_RANDOM], server_random[RC_TLS_RANDOM];

	if (SSL_get_client_random(h->ssl, client_random, RC_TLS_RANDOM) != RC_TLS_RANDOM ||
		SSL_get_server_random(h->ssl, server_random, RC_TLS_RANDOM) != RC_TLS_RANDOM ||
		SSL_SESSION_get_master_key(SSL_get_session(h->ssl), h->master, sizeof(h->master)) !=
			48)
		return -1;
	return rc_tls_keys_12(
		&h->keys, cipher, hash_len, h->master, client_random, server_random, true);
}

static int take_keys(struct rc_tls_handshake *h)
{
	const SSL_CIPHER *c = SSL_get_current_cipher(h->ssl);
	const EVP_MD *md = c ? SSL_CIPHER_get_handshake_digest(c) : NULL;
	int cipher = c ? cipher_of(c) : -1;

	if (cipher < 0 || !md)
		return -1;
	uint32_t hash_len = (uint32_t)EVP_MD_get_size(md);
	if (SSL_version(h->ssl) == TLS1_2_VERSION)
		return take_keys_12(h, (enum rc_tls_cipher)cipher, hash_len);
	if (h->secret_len != hash_len)
		return -1;
	return rc_tls_keys_13(&h->keys, (enum rc_tls_cipher)cipher, h->client_secret,
		h->server_secret, h->secret_len, h->tickets, true);
}

static enum rc_tls_step finish(struct rc_tls_handshake *h)
{
	SSL *ssl = h->ssl;
	const X509 *peer = SSL_get0_peer_certificate(ssl);

	/* Something that shares the Finished's record: nobody could ever read it. */
	if (SSL_has_pending(ssl))
		return fail(h, RC_TLS_FAILED_PROTOCOL, "bytes behind Finished in its record");
	if (peer) {
		h->identity_len = rc_tls_identity_of(peer, h->identity, sizeof(h->identity));
		if (h->identity_len == 0 || SSL_get_verify_result(ssl) != X509_V_OK)
			return fail(
				h, RC_TLS_FAILED_CLIENT_CERT, "the session's client certificate");
	}
	if (take_keys(h) != 0)
		return fail(
			h, RC_TLS_FAILED_PROTOCOL, "the keys could not be taken out of OpenSSL");
	h->resumed = SSL_session_reused(ssl) != 0;
	let_go(h);
	return RC_TLS_DONE;
}

/* ---- the calls ------------------------------------------------------------------------------------ */

int rc_tls_handshake_begin(
	struct rc_tls_handshake *h, const struct rc_tls_context *c, enum rc_tls_port port, int fd)
{
	(void)pthread_once(&once, make_statics);
	RC_ASSERT(h->ssl == NULL);
	/* Counted, and otherwise never changed: that is what the const promises. */
	SSL *ssl = rc_tls_ssl_new((struct rc_tls_context *)c, port);
	BIO *b = socket_method ? BIO_new(socket_method) : NULL;

	if (!ssl || !b) {
		BIO_free(b);
		if (ssl)
			rc_tls_ssl_free(ssl);
		ERR_clear_error();
		return -1;
	}
	BIO_set_data(b, (void *)(intptr_t)fd);
	BIO_set_init(b, 1);
	SSL_set_bio(ssl, b, b);
	SSL_set_accept_state(ssl);
	SSL_set_msg_callback(ssl, on_message);
	h->ssl = ssl;
	return 0;
}

enum rc_tls_step rc_tls_handshake_step(struct rc_tls_handshake *h)
{
	SSL *ssl = h->ssl;

	RC_ASSERT(ssl != NULL);
	/* OpenSSL would answer plain text with an alert, and it would have taken it off the socket. */
	if (SSL_in_before(ssl)) {
		int tls = rc_tls_looks_like_tls((int)(intptr_t)BIO_get_data(SSL_get_rbio(ssl)));

		if (tls < 0)
			return RC_TLS_WANTS_READ;
		if (tls == 0)
			return fail(h, RC_TLS_FAILED_PLAIN, "what came is no TLS");
	}
	/* At each step: h may have moved. */
	if (!SSL_set_ex_data(ssl, handshake_index, h))
		return fail(h, RC_TLS_FAILED_PROTOCOL, "no memory");
	ERR_clear_error();
	errno = 0;
	int rc = SSL_accept(ssl);
	if (rc == 1)
		return finish(h);
	switch (SSL_get_error(ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return RC_TLS_WANTS_READ;
	case SSL_ERROR_WANT_WRITE:
		return RC_TLS_WANTS_WRITE;
	case SSL_ERROR_SSL:
		return fail_by_queue(h);
	case SSL_ERROR_ZERO_RETURN:
		return fail(h, RC_TLS_FAILED_CLOSED, "the client closed");
	case SSL_ERROR_SYSCALL:
		return fail(
			h, RC_TLS_FAILED_CLOSED, errno ? strerror(errno) : "the client went away");
	default:
		return fail(h, RC_TLS_FAILED_PROTOCOL, "OpenSSL wants something unknown");
	}
}

void rc_tls_handshake_end(struct rc_tls_handshake *h)
{
	let_go(h);
	OPENSSL_cleanse(h, sizeof(*h));
}
