/* SPDX-License-Identifier: Apache-2.0
 *
 * Hostile bytes into the server's side of a handshake, over a socketpair. The first byte of the input says to whom: the port, whether
 * they come in pieces, and whether they come instead of the client's hello or behind a good one. Properties: it never ends
 * in DONE, it never waits once the client has closed, OpenSSL's error queue is empty after each step, and the object is there exactly as
 * long as the handshake lasts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "tls/handshake.h"

enum { INPUT_MAX = 65536, PORT = 1, PIECES = 2, BEHIND_HELLO = 4, ONLY_12 = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rc_tls_context *context;
static SSL_CTX *client_ctx;

/* A certificate in a file that has no name; its path. */
static void make_certificate(char path[64])
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	int fd = memfd_create("certificate", 0);
	FILE *f = fdopen(dup(fd), "w");

	RC_ASSERT(key && x && f);
	(void)X509_set_version(x, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(x), -86400);
	(void)X509_gmtime_adj(X509_getm_notAfter(x), 30 * 86400);
	(void)X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
		(const unsigned char *)"fuzz.example", -1, -1, 0);
	(void)X509_set_issuer_name(x, X509_get_subject_name(x));
	RC_ASSERT(X509_set_pubkey(x, key) && X509_sign(x, key, EVP_sha256()));
	RC_ASSERT(PEM_write_X509(f, x) && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
	RC_ASSERT(fclose(f) == 0);
	X509_free(x);
	EVP_PKEY_free(key);
	(void)snprintf(path, 64, "/proc/self/fd/%d", fd);
}

static void start(void)
{
	char path[64];
	struct rc_error err;
	struct rc_tls_tickets *tickets = rc_tls_tickets_open(3600);

	make_certificate(path);
	/* Clients are asked for a certificate, so that it is parsed; publishers are not. */
	struct rc_tls_options o = {.certificate = path,
		.key = "",
		.folder = "",
		.ocsp = "",
		.client_ca = path,
		.ask = {RC_TLS_ASK_OPTIONAL, RC_TLS_ASK_NO}};
	RC_ASSERT(tickets && rc_tls_context_open(&context, &o, tickets, &err) == 0);
	client_ctx = SSL_CTX_new(TLS_client_method());
	RC_ASSERT(client_ctx);
}

static enum rc_tls_step step(struct rc_tls_handshake *h, enum rc_tls_step before)
{
	if (before == RC_TLS_FAILED)
		return before;
	enum rc_tls_step s = rc_tls_handshake_step(h);

	RC_ASSERT(s != RC_TLS_DONE);
	RC_ASSERT((h->ssl == NULL) == (s == RC_TLS_FAILED));
	RC_ASSERT(ERR_peek_error() == 0);
	if (s == RC_TLS_FAILED)
		RC_ASSERT(h->failure < RC_TLS_FAILURES && h->why[0] != '\0');
	return s;
}

/* A real client says hello, and the server answers; then the client falls silent. */
static enum rc_tls_step good_hello(struct rc_tls_handshake *h, int fd, bool only_12)
{
	SSL *ssl = SSL_new(client_ctx);
	char answer[8192];

	RC_ASSERT(ssl && SSL_set_fd(ssl, fd));
	if (only_12)
		(void)SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
	SSL_set_connect_state(ssl);
	(void)SSL_do_handshake(ssl);
	SSL_free(ssl);
	ERR_clear_error();
	enum rc_tls_step s = step(h, RC_TLS_WANTS_READ);
	RC_ASSERT(s == RC_TLS_WANTS_READ);
	(void)recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rc_tls_handshake h = {0};
	int fd[2];

	if (!context)
		start();
	if (size < 1 || size > INPUT_MAX)
		return 0;
	uint8_t how = data[0];
	enum rc_tls_step s = RC_TLS_WANTS_READ;
	RC_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	RC_ASSERT(rc_tls_handshake_begin(&h, context,
			  how & PORT ? RC_TLS_PUBLISHERS : RC_TLS_CLIENTS, fd[0]) == 0);
	if (how & BEHIND_HELLO)
		s = good_hello(&h, fd[1], (how & ONLY_12) != 0);
	data++;
	size--;
	/* At most 16 pieces. */
	size_t piece = how & PIECES ? size / 16 + 1 : size;
	while (size > 0) {
		size_t take = RC_MIN(piece, size);

		if (send(fd[1], data, take, MSG_NOSIGNAL) != (ssize_t)take)
			break;
		s = step(&h, s);
		data += take;
		size -= take;
	}
	(void)shutdown(fd[1], SHUT_WR);
	s = step(&h, s);
	RC_ASSERT(s == RC_TLS_FAILED);
	rc_tls_handshake_end(&h);
	(void)close(fd[0]);
	(void)close(fd[1]);
	return 0;
}
