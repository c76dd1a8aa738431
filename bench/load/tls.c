/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS for clients and publishers; see tls.h.
 *
 * OpenSSL writes with write(2), for which MSG_NOSIGNAL does not exist: a process that uses this file ignores SIGPIPE, which
 * its main() sees to before the first worker starts.
 *
 * The error queue is a thread's own and shared by all of its connections. Each call here begins with an empty one (SSL_get_error
 * would read another connection's mistake in it) and leaves an empty one.
 */
#include "tls.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

struct load_tls_context {
	SSL_CTX *ctx;
	SSL_SESSION *session; /* that connections may resume; NULL: none yet */
	bool insecure;
};

struct load_tls {
	SSL *ssl;
	unsigned long failure; /* the first one in OpenSSL's queue, of the last call that failed */
	int error;             /* errno of it, when the socket failed */
};

/* "no certificate or crl found": what the first error in the queue says, in OpenSSL's words. Empties the queue. */
static const char *reason(unsigned long code)
{
	const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return text != NULL ? text : "OpenSSL does not say why";
}

/* ---- the context ------------------------------------------------------------------------------- */

static int trust(SSL_CTX *ctx, const struct load_plan *plan, struct rc_error *err)
{
	if (plan->insecure) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (plan->ca_file[0] == '\0') {
		if (SSL_CTX_set_default_verify_paths(ctx) == 1)
			return 0;
		rc_error_set(err,
			"the system's trusted certificates can't be read: %s. Name a file with those "
			"to trust (--ca FILE)",
			reason(ERR_get_error()));
		return -EINVAL;
	}
	if (SSL_CTX_load_verify_file(ctx, plan->ca_file) == 1)
		return 0;
	rc_error_set(err,
		"%s: no certificates to trust can be read from it: %s. Name a PEM file with "
		"--ca",
		plan->ca_file, reason(ERR_get_error()));
	return -EINVAL;
}

/*
 * A server's ticket. The first one is kept and used as often as there are handshakes to resume; with a cache OpenSSL would make
 * a session of TLS 1.3 unfit after its first use.
 */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct load_tls_context *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (c->session != NULL || !SSL_SESSION_is_resumable(session))
		return 0;
	c->session = session;
	(void)SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
	return 1;
}

static bool resumes(const struct load_plan *plan)
{
	for (uint32_t i = 0; i < plan->groups; i++)
		if (plan->group[i].resume)
			return true;
	return false;
}

/* What browsers ask for first, so that every server's records cost the same: AES-128-GCM. */
static bool set_ciphers(SSL_CTX *ctx)
{
	return SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					     "TLS_CHACHA20_POLY1305_SHA256") == 1 &&
	       SSL_CTX_set_cipher_list(
		       ctx, "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20:DEFAULT") == 1;
}

static void set_version(SSL_CTX *ctx, enum load_tls_version version)
{
	(void)SSL_CTX_set_min_proto_version(
		ctx, version == LOAD_TLS_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	(void)SSL_CTX_set_max_proto_version(ctx, version == LOAD_TLS_12 ? TLS1_2_VERSION : 0);
}

int load_tls_context_open(
	struct load_tls_context **out, const struct load_plan *plan, struct rc_error *err)
{
	struct load_tls_context *c = calloc(1, sizeof(*c));
	int rc;

	*out = NULL;
	ERR_clear_error();
	if (c != NULL)
		c->ctx = SSL_CTX_new(TLS_client_method());
	if (c == NULL || c->ctx == NULL || !set_ciphers(c->ctx)) {
		rc_error_set(err, "TLS can't be set up: %s. Free some memory and try again",
			reason(ERR_get_error()));
		load_tls_context_close(c);
		return -ENOMEM;
	}
	c->insecure = plan->insecure;
	set_version(c->ctx, plan->tls);
	/* A hundred thousand connections: no buffers while nothing is on its way. The output may be moved and grow between two tries. */
	SSL_CTX_set_mode(c->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* A server that ends without a close_notify has ended; whether that was in order is judged above TLS. */
	SSL_CTX_set_options(c->ctx,
		SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* Every connection pays for its own handshake, where it is not resumption that is measured. */
	(void)SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
	if (resumes(plan)) {
		(void)SSL_CTX_set_app_data(c->ctx, c);
		(void)SSL_CTX_set_session_cache_mode(
			c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(c->ctx, keep_session);
	}
	rc = trust(c->ctx, plan, err);
	ERR_clear_error();
	if (rc < 0) {
		load_tls_context_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

void load_tls_context_close(struct load_tls_context *c)
{
	if (c == NULL)
		return;
	SSL_SESSION_free(c->session);
	SSL_CTX_free(c->ctx);
	free(c);
}

/* ---- connections ------------------------------------------------------------------------------- */

/* An address is looked for among the certificate's addresses and never sent as a server name (RFC 6066, section 3). */
static bool expect_name(SSL *ssl, const char *host)
{
	char bare[256];
	size_t len = strlen(host);

	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if (len >= sizeof(bare))
		return false;
	memcpy(bare, host, len);
	bare[len] = '\0';
	if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), bare) == 1)
		return true;
	return SSL_set_tlsext_host_name(ssl, bare) == 1 && SSL_set1_host(ssl, bare) == 1;
}

struct load_tls *load_tls_open(struct load_tls_context *c, int fd, const char *host)
{
	struct load_tls *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	ERR_clear_error();
	t->ssl = SSL_new(c->ctx);
	if (t->ssl == NULL || SSL_set_fd(t->ssl, fd) != 1 || !expect_name(t->ssl, host)) {
		load_tls_close(t);
		return NULL;
	}
	SSL_set_connect_state(t->ssl);
	ERR_clear_error();
	return t;
}

void load_tls_close(struct load_tls *t)
{
	if (t == NULL)
		return;
	/* Not closed in order, a connection would make its session unfit for others. */
	if (t->ssl != NULL)
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	ERR_clear_error();
	free(t);
}

void load_tls_resume(struct load_tls *t, struct load_tls_context *c)
{
	if (c->session != NULL)
		(void)SSL_set_session(t->ssl, c->session);
	ERR_clear_error();
}

bool load_tls_can_resume(const struct load_tls_context *c)
{
	return c->session != NULL;
}

bool load_tls_resumed(const struct load_tls *t)
{
	return SSL_session_reused(t->ssl) == 1;
}

/* What a call that returned rc <= 0 means: 0 is the end of the stream. */
static int outcome(struct load_tls *t, int rc, short *want)
{
	int error = errno;
	int kind = SSL_get_error(t->ssl, rc);

	t->failure = ERR_peek_error();
	t->error = 0;
	ERR_clear_error();
	switch (kind) {
	case SSL_ERROR_WANT_READ:
		*want = POLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*want = POLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		/* It had refused already, and the other side would not hear it any more. */
		if (ERR_GET_LIB(t->failure) == ERR_LIB_SSL)
			return -EPROTO;
		t->error = error != 0 ? error : ECONNRESET;
		return -t->error;
	default:
		return -EPROTO;
	}
}

int load_tls_handshake(struct load_tls *t, short *want)
{
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_do_handshake(t->ssl);
	if (rc == 1)
		return 0;
	rc = outcome(t, rc, want);
	if (rc == 0)
		t->error = ECONNRESET;
	return rc == 0 ? -ECONNRESET : rc;
}

ssize_t load_tls_read(struct load_tls *t, void *out, size_t cap, short *want)
{
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_read(t->ssl, out, (int)RC_MIN(cap, (size_t)INT_MAX));
	return rc > 0 ? rc : outcome(t, rc, want);
}

ssize_t load_tls_write(struct load_tls *t, const void *bytes, size_t len, short *want)
{
	int rc;

	if (len == 0)
		return 0;
	ERR_clear_error();
	errno = 0;
	rc = SSL_write(t->ssl, bytes, (int)RC_MIN(len, (size_t)INT_MAX));
	if (rc > 0)
		return rc;
	rc = outcome(t, rc, want);
	if (rc == 0)
		t->error = EPIPE;
	return rc == 0 ? -EPIPE : rc;
}

static bool distrusted(const struct load_tls *t)
{
	return t->failure != 0 && ERR_GET_LIB(t->failure) == ERR_LIB_SSL &&
	       ERR_GET_REASON(t->failure) == SSL_R_CERTIFICATE_VERIFY_FAILED;
}

const char *load_tls_what(const struct load_tls *t)
{
	return distrusted(t) ? "its certificate is not accepted" : "TLS failed";
}

const char *load_tls_why(const struct load_tls *t)
{
	const char *text;

	if (distrusted(t))
		return X509_verify_cert_error_string(SSL_get_verify_result(t->ssl));
	text = t->failure != 0 ? ERR_reason_error_string(t->failure) : NULL;
	if (text != NULL)
		return text;
	/* Unlike strerror: no buffer that threads would share. */
	text = t->error != 0 ? strerrordesc_np(t->error) : NULL;
	return text != NULL ? text : "the other side ended the connection";
}
