/* SPDX-License-Identifier: Apache-2.0
 *
 * A server of ours and a client of OpenSSL's at the two ends of a socketpair, in one thread. Each side goes as far as it can in
 * its turn, so nobody waits for a clock.
 */
#ifndef RC_TESTS_UNIT_TLS_SHAKE_H
#define RC_TESTS_UNIT_TLS_SHAKE_H

#include <sys/socket.h>

#include <openssl/ssl.h>

#include "certs.h"
#include "tls/handshake.h"
#include "tls/record.h"

struct shake_want {
	enum rc_tls_port port;
	int version;             /* TLS1_2_VERSION, …; 0 = any */
	const char *suites;      /* of that version; NULL = the client's own */
	const char *groups;      /* NULL = the client's own */
	const char *sni;         /* NULL = none */
	const char *alpn;        /* wire form; NULL = none */
	const struct cert *cert; /* the client's */
	SSL_SESSION *resume;
	bool staple; /* asks for one */
	int buffer;  /* SO_SNDBUF of the server's end; 0 = as it is */
};

struct shake {
	int fd[2]; /* the server's, the client's */
	SSL_CTX *ctx;
	SSL *client;
	SSL_SESSION *session; /* the last one that the server gave */
	struct rc_tls_handshake h;
	enum rc_tls_step step;
	bool client_done;
	uint32_t blocked; /* times that the server could not write */
};

static inline int shake_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct shake *s = SSL_get_app_data(ssl);

	SSL_SESSION_free(s->session);
	s->session = session;
	return 1;
}

/* A copy: OpenSSL's client marks a session as used up when a new ticket comes. */
static inline void shake_resume(SSL *client, SSL_SESSION *session)
{
	SSL_SESSION *copy = SSL_SESSION_dup(session);

	assert_non_null(copy);
	assert_int_equal(SSL_SESSION_is_resumable(copy), 1);
	assert_int_equal(SSL_set_session(client, copy), 1);
	SSL_SESSION_free(copy);
}

static inline void shake_client(struct shake *s, const struct shake_want *w)
{
	s->ctx = SSL_CTX_new(TLS_client_method());
	assert_non_null(s->ctx);
	SSL_CTX_set_session_cache_mode(s->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(s->ctx, shake_new_session);
	if (w->version) {
		assert_int_equal(SSL_CTX_set_min_proto_version(s->ctx, w->version), 1);
		assert_int_equal(SSL_CTX_set_max_proto_version(s->ctx, w->version), 1);
	}
	if (w->version < TLS1_2_VERSION && w->version)
		SSL_CTX_set_security_level(s->ctx, 0);
	if (w->suites)
		assert_int_equal(w->version == TLS1_3_VERSION
					 ? SSL_CTX_set_ciphersuites(s->ctx, w->suites)
					 : SSL_CTX_set_cipher_list(s->ctx, w->suites),
			1);
	if (w->groups)
		assert_int_equal(SSL_CTX_set1_groups_list(s->ctx, w->groups), 1);
	if (w->cert) {
		assert_int_equal(SSL_CTX_use_certificate(s->ctx, w->cert->x), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(s->ctx, w->cert->key), 1);
	}
	s->client = SSL_new(s->ctx);
	assert_non_null(s->client);
	SSL_set_app_data(s->client, s);
	if (w->sni)
		assert_int_equal(SSL_set_tlsext_host_name(s->client, w->sni), 1);
	if (w->alpn)
		assert_int_equal(SSL_set_alpn_protos(s->client, (const unsigned char *)w->alpn,
					 (unsigned int)strlen(w->alpn)),
			0);
	if (w->resume)
		shake_resume(s->client, w->resume);
	if (w->staple)
		SSL_set_tlsext_status_type(s->client, TLSEXT_STATUSTYPE_ocsp);
	assert_int_equal(SSL_set_fd(s->client, s->fd[1]), 1);
	SSL_set_connect_state(s->client);
}

static inline void shake_open(
	struct shake *s, const struct rc_tls_context *c, const struct shake_want *w)
{
	memset(s, 0, sizeof(*s));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s->fd), 0);
	if (w->buffer)
		assert_int_equal(
			setsockopt(s->fd[0], SOL_SOCKET, SO_SNDBUF, &w->buffer, sizeof(w->buffer)),
			0);
	shake_client(s, w);
	assert_int_equal(rc_tls_handshake_begin(&s->h, c, w->port, s->fd[0]), 0);
	s->step = RC_TLS_WANTS_READ;
}

/* One step of the server's. */
static inline void shake_step(struct shake *s)
{
	if (s->step == RC_TLS_DONE || s->step == RC_TLS_FAILED)
		return;
	s->step = rc_tls_handshake_step(&s->h);
	s->blocked += s->step == RC_TLS_WANTS_WRITE;
	assert_int_equal(ERR_peek_error(), 0);
	assert_true((s->h.ssl == NULL) == (s->step == RC_TLS_DONE || s->step == RC_TLS_FAILED));
}

/* Until both know how it ended. */
static inline enum rc_tls_step shake_run(struct shake *s)
{
	for (int round = 0; round < 10000; round++) {
		int rc = s->client_done ? 1 : SSL_do_handshake(s->client);

		s->client_done = rc == 1;
		ERR_clear_error();
		bool over = s->step == RC_TLS_DONE || s->step == RC_TLS_FAILED;
		if (over && (s->step == RC_TLS_FAILED || s->client_done))
			return s->step;
		shake_step(s);
		/* A ticket that does not fit into the socket: the client makes room. */
		if (s->client_done && s->step == RC_TLS_WANTS_WRITE) {
			char byte;
			(void)SSL_read(s->client, &byte, 1);
			ERR_clear_error();
		}
	}
	fail_msg("the handshake does not end");
	return RC_TLS_FAILED;
}

static inline void shake_close(struct shake *s)
{
	SSL_set_quiet_shutdown(s->client, 1);
	(void)SSL_shutdown(s->client);
	SSL_free(s->client);
	SSL_CTX_free(s->ctx);
	SSL_SESSION_free(s->session);
	rc_tls_handshake_end(&s->h);
	if (s->fd[0] >= 0)
		(void)close(s->fd[0]);
	(void)close(s->fd[1]);
	ERR_clear_error();
}

/* What the client reads of a record that we seal with the keys of the handshake; this also takes its tickets in. */
static inline void shake_send(struct shake *s, struct rc_tls_engine *e, const char *text)
{
	unsigned char record[512], got[512];
	size_t len = rc_tls_seal(
		e, &s->h.keys, RC_TLS_DATA, text, strlen(text), RC_TLS_PLAIN_MAX, record);

	assert_true(len > 0);
	assert_int_equal(send(s->fd[0], record, len, 0), len);
	assert_int_equal(SSL_read(s->client, got, sizeof(got)), strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

/* The client's records, opened with the keys of the handshake: all of it is what the client wrote. */
static inline void shake_receive(
	struct shake *s, struct rc_tls_engine *e, const void *text, size_t len)
{
	static unsigned char in[65536];
	ssize_t got = recv(s->fd[0], in, sizeof(in), 0);
	size_t at = 0, seen = 0;

	assert_true(got > 0);
	while (at < (size_t)got) {
		struct rc_tls_opened o;
		uint32_t need;
		int32_t n = rc_tls_open(e, &s->h.keys, in + at, (size_t)got - at, &o, &need);

		assert_true(n > 0);
		assert_int_equal(o.type, RC_TLS_DATA);
		assert_true(seen + o.len <= len);
		assert_memory_equal((const char *)text + seen, o.data, o.len);
		seen += o.len;
		at += (size_t)n;
	}
	assert_int_equal(seen, len);
}

#endif
