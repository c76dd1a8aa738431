/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor over TLS: one SSL object per client, as any program has it that uses OpenSSL the plain way, but what is to go out
 * leaves in one send(2), however many records it is.
 *
 *   SSL_write, SSL_do_handshake, … ─▶ the BIO below ─▶ gathered ─▶ send(2) ─▶ what the socket does not take: client.rest
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "floor.h"

/* Plain bytes that one send may carry: as many as the gateway's send_max. */
#define RANGE_MAX    (256u << 10)
#define GATHERED_MAX (2 * RANGE_MAX)

static SSL_CTX *context;
static BIO_METHOD *gatherer;
static unsigned char gathered[GATHERED_MAX];
static size_t gathered_len;

_Noreturn static void die(const char *what)
{
	const char *why = ERR_reason_error_string(ERR_get_error());

	floor_die("%s: %s", what, why ? why : "OpenSSL does not say why");
}

static int gather(BIO *bio, const char *bytes, size_t len, size_t *taken)
{
	(void)bio;
	if (len > sizeof(gathered) - gathered_len)
		floor_die("OpenSSL wants to send more than %u bytes at once", GATHERED_MAX);
	memcpy(gathered + gathered_len, bytes, len);
	gathered_len += len;
	*taken = len;
	return 1;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static int create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

void floor_tls_open(const char *certificate, const char *key)
{
	context = SSL_CTX_new(TLS_server_method());
	gatherer = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gatherer");
	if (!context || !gatherer || !BIO_meth_set_write_ex(gatherer, gather) ||
		!BIO_meth_set_ctrl(gatherer, control) || !BIO_meth_set_create(gatherer, create) ||
		!SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION))
		die("TLS");
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(context, 1);
	if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
		die(certificate);
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
		die(key);
}

void floor_tls_accept(struct floor_client *c)
{
	BIO *in, *out;

	if (!context)
		return;
	c->ssl = SSL_new(context);
	in = BIO_new_socket(c->fd, BIO_NOCLOSE);
	out = BIO_new(gatherer);
	if (!c->ssl || !in || !out)
		die("a connection");
	SSL_set_bio(c->ssl, in, out);
	SSL_set_accept_state(c->ssl);
}

void floor_tls_end(struct floor_client *c)
{
	SSL_free(c->ssl);
	free(c->rest);
	c->ssl = NULL;
	c->rest = NULL;
}

/* False: the socket is full and some is left. The other end of a connection that is gone is noticed by its own event. */
static bool push(struct floor_client *c, const unsigned char *bytes, size_t len)
{
	ssize_t n = len > 0 ? send(c->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
	size_t sent = n > 0 ? (size_t)n : 0;
	unsigned char *rest = NULL;

	if (sent < len) {
		rest = malloc(len - sent);
		if (!rest)
			floor_die("out of memory");
		memcpy(rest, bytes + sent, len - sent);
	}
	free(c->rest);
	c->rest = rest;
	c->rest_len = len - sent;
	c->blocked = sent < len;
	return !c->blocked;
}

/* Sends what the last call of OpenSSL made. */
static bool push_gathered(struct floor_client *c)
{
	size_t len = gathered_len;

	gathered_len = 0;
	if (c->rest && len > 0)
		floor_die("an answer while another one waits");
	return len == 0 || push(c, gathered, len);
}

ssize_t floor_tls_receive(struct floor_client *c, void *bytes, size_t size)
{
	int n, why;

	ERR_clear_error();
	n = SSL_read(c->ssl, bytes, (int)size);
	why = n > 0 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, n);
	(void)push_gathered(c);
	if (n > 0)
		return n;
	errno = why == SSL_ERROR_WANT_READ ? EAGAIN : ECONNRESET;
	return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

void floor_tls_send(struct floor_client *c, const void *bytes, size_t len)
{
	if (SSL_write(c->ssl, bytes, (int)len) != (int)len)
		die("SSL_write");
	if (!push_gathered(c))
		floor_die("an answer does not fit into a socket");
}

void floor_tls_flush(struct floor_client *c)
{
	if (c->rest) {
		unsigned char *rest = c->rest;
		bool all;

		c->rest = NULL;
		all = push(c, rest, c->rest_len);
		free(rest);
		if (!all)
			return;
	}
	while (!c->blocked && c->pos != floor_ring_tail()) {
		size_t len = RC_MIN((size_t)(floor_ring_tail() - c->pos), (size_t)RANGE_MAX);

		if (SSL_write(c->ssl, floor_ring_at(c->pos), (int)len) != (int)len)
			die("SSL_write");
		c->pos += len;
		(void)push_gathered(c);
	}
}
