/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's side of TLS with OpenSSL; the contract is in tls.h.
 */
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* A record and a KeyUpdate before it; a handshake's flight may take several turns. */
#define OUT_ROOM ((size_t)20 * 1024)

struct rc_client_tls {
	SSL_CTX *context;
	BIO_METHOD *socket_method;
	SSL_SESSION *session; /* the newest that the server gave */
	SSL *ssl;             /* NULL: no connection */
	int fd;
	int read_error, write_error; /* errno of the socket */
	bool eof;                    /* the socket has */
	bool up;                     /* the handshake is done */
	bool broken;
	bool trust_anybody;
	char *host;
	bool host_is_address;
	unsigned char protocol[32]; /* as ALPN has it: with its length in front */
	char why[RC_CLIENT_TLS_WHY];
	size_t out_begin, out_end; /* of out: what the socket has not taken yet */
	unsigned char out[OUT_ROOM];
	unsigned char stage[RC_CLIENT_TLS_STAGE];
};

/* ---- the socket: OpenSSL's own BIO would raise SIGPIPE ------------------------------------------ */

/* What lies in out. 0: nothing does any more; -EAGAIN; -EPROTO. */
static int send_out(struct rc_client_tls *t)
{
	while (t->write_error == 0 && t->out_begin < t->out_end) {
		ssize_t sent = send(t->fd, t->out + t->out_begin, t->out_end - t->out_begin,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent >= 0)
			t->out_begin += (size_t)sent;
		else if (errno == EAGAIN)
			return -EAGAIN;
		else if (errno != EINTR)
			t->write_error = errno;
	}
	t->out_begin = t->out_end = 0;
	if (t->write_error == 0)
		return 0;
	snprintf(t->why, sizeof(t->why), "%ssending: %s",
		t->up ? "" : "in the TLS handshake: ", strerror(t->write_error));
	return -EPROTO;
}

/*
 * OpenSSL must not see that the socket is full: with a record held back it can't answer a KeyUpdate (3.0, "bad length").
 * Nor that sending failed: so reading goes on, for what the server said before it hung up.
 */
static int socket_write(BIO *bio, const char *bytes, int len)
{
	struct rc_client_tls *t = BIO_get_data(bio);
	size_t room, part;

	BIO_clear_retry_flags(bio);
	if (send_out(t) == -EPROTO)
		return len;
	room = sizeof(t->out) - t->out_end;
	part = (size_t)len < room ? (size_t)len : room;
	if (part == 0) {
		BIO_set_retry_write(bio);
		return -1;
	}
	memcpy(t->out + t->out_end, bytes, part);
	t->out_end += part;
	(void)send_out(t);
	return (int)part;
}

static int socket_read(BIO *bio, char *room, int len)
{
	struct rc_client_tls *t = BIO_get_data(bio);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	do
		got = recv(t->fd, room, (size_t)len, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		t->eof = true;
	else if (got < 0 && errno == EAGAIN)
		BIO_set_retry_read(bio);
	else if (got < 0)
		t->read_error = errno;
	return (int)got;
}

static long socket_control(BIO *bio, int command, long number, void *at)
{
	const struct rc_client_tls *t = BIO_get_data(bio);

	(void)number;
	(void)at;
	if (command == BIO_CTRL_EOF)
		return t->eof;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_socket_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "ringcast socket");

	if (method && BIO_meth_set_write(method, socket_write) &&
		BIO_meth_set_read(method, socket_read) && BIO_meth_set_ctrl(method, socket_control))
		return method;
	BIO_meth_free(method);
	return NULL;
}

/* ---- open and close ---------------------------------------------------------------------------- */

/* Nobody is asked on a terminal that may be somebody else's. */
static int no_passphrase(char *room, int size, int writing, void *user)
{
	bool *asked = user;

	(void)room;
	(void)size;
	(void)writing;
	*asked = true;
	return -1;
}

/* The newest one counts; each is used for the next connection. */
static int session_came(SSL *ssl, SSL_SESSION *session)
{
	struct rc_client_tls *t = SSL_get_app_data(ssl);

	SSL_SESSION_free(t->session);
	t->session = session;
	return 1;
}

static int refuse_file(const char *path, bool locked, char why[RC_CLIENT_TLS_WHY])
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);

	if (locked)
		reason = "it is locked with a passphrase";
	else if (ERR_GET_LIB(code) == ERR_LIB_SYS)
		reason = strerror(ERR_GET_REASON(code));
	else if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE)
		reason = "it holds no PEM block of that kind";
	else if (ERR_GET_LIB(code) == ERR_LIB_OSSL_DECODER)
		reason = "it holds no private key in PEM";
	snprintf(why, RC_CLIENT_TLS_WHY, "%s: %s", path, reason ? reason : "it can't be read");
	ERR_clear_error();
	return -1;
}

static int read_files(
	SSL_CTX *c, const struct rc_client_tls_options *o, char why[RC_CLIENT_TLS_WHY])
{
	const char *key = o->key ? o->key : o->certificate;
	bool asked = false;

	ERR_clear_error();
	SSL_CTX_set_default_passwd_cb(c, no_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(c, &asked);
	if (o->ca && SSL_CTX_load_verify_locations(c, o->ca, NULL) != 1)
		return refuse_file(o->ca, false, why);
	if (!o->ca && !o->trust_anybody && SSL_CTX_set_default_verify_paths(c) != 1)
		return refuse_file("the system's certificates", false, why);
	if (o->certificate && SSL_CTX_use_certificate_chain_file(c, o->certificate) != 1)
		return refuse_file(o->certificate, asked, why);
	if (o->certificate && (SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1 ||
				      SSL_CTX_check_private_key(c) != 1))
		return refuse_file(key, asked, why);
	return 0;
}

static int set_host(struct rc_client_tls *t, const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	t->host = strdup(host);
	t->host_is_address =
		inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
	return t->host ? 0 : -1;
}

static int make_context(struct rc_client_tls *t, const struct rc_client_tls_options *o)
{
	size_t protocol_len = o->protocol ? strlen(o->protocol) : 0;

	t->context = SSL_CTX_new(TLS_client_method());
	if (!t->context || protocol_len >= sizeof(t->protocol))
		return -1;
	SSL_CTX_set_min_proto_version(t->context, TLS1_2_VERSION);
	/* An end without close_notify is told apart by t->eof; as an error it would spoil the session. */
	SSL_CTX_set_options(t->context,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_verify(t->context, o->trust_anybody ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(
		t->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(t->context, session_came);
	if (protocol_len == 0)
		return 0;
	t->protocol[0] = (unsigned char)protocol_len;
	memcpy(t->protocol + 1, o->protocol, protocol_len);
	return SSL_CTX_set_alpn_protos(t->context, t->protocol, (unsigned)protocol_len + 1) == 0
		       ? 0
		       : -1;
}

int rc_client_tls_open(struct rc_client_tls **out, const struct rc_client_tls_options *options,
	char why[RC_CLIENT_TLS_WHY])
{
	struct rc_client_tls *t = calloc(1, sizeof(*t));
	int rc = -1;

	*out = NULL;
	snprintf(why, RC_CLIENT_TLS_WHY, "out of memory");
	if (!t)
		return -1;
	t->fd = -1;
	t->trust_anybody = options->trust_anybody;
	t->socket_method = make_socket_method();
	if (t->socket_method && set_host(t, options->host) == 0 && make_context(t, options) == 0)
		rc = read_files(t->context, options, why);
	if (rc != 0) {
		rc_client_tls_close(t);
		return -1;
	}
	*out = t;
	return 0;
}

void rc_client_tls_close(struct rc_client_tls *t)
{
	if (!t)
		return;
	rc_client_tls_end(t);
	SSL_SESSION_free(t->session);
	SSL_CTX_free(t->context);
	BIO_meth_free(t->socket_method);
	free(t->host);
	free(t);
}

/* ---- one connection ---------------------------------------------------------------------------- */

static int ask_for_host(struct rc_client_tls *t)
{
	X509_VERIFY_PARAM *rules = SSL_get0_param(t->ssl);

	if (t->host_is_address)
		return X509_VERIFY_PARAM_set1_ip_asc(rules, t->host);
	X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(t->ssl, t->host) == 1 &&
	       X509_VERIFY_PARAM_set1_host(rules, t->host, 0) == 1;
}

int rc_client_tls_begin(struct rc_client_tls *t, int fd)
{
	BIO *bio;

	rc_client_tls_end(t);
	t->fd = fd;
	t->ssl = SSL_new(t->context);
	bio = BIO_new(t->socket_method);
	if (!t->ssl || !bio || ask_for_host(t) != 1) {
		BIO_free(bio);
		rc_client_tls_end(t);
		return -1;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, t);
	SSL_set_connect_state(t->ssl);
	/* One that the server no longer knows costs nothing: it makes a new one. */
	if (t->session)
		(void)SSL_set_session(t->ssl, t->session);
	return 0;
}

void rc_client_tls_end(struct rc_client_tls *t)
{
	if (t->ssl) {
		/* Without this OpenSSL counts the session of a connection that just broke as spoilt. */
		if (t->up)
			SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_free(t->ssl);
		if (!t->up) {
			/* Perhaps it failed because of the session: the next try does without. */
			SSL_SESSION_free(t->session);
			t->session = NULL;
		}
	}
	t->ssl = NULL;
	t->fd = -1;
	t->out_begin = t->out_end = 0;
	t->read_error = t->write_error = 0;
	t->up = t->eof = t->broken = false;
}

static void say_untrusted(struct rc_client_tls *t, long verdict)
{
	const char *reason = X509_verify_cert_error_string(verdict);

	if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
		snprintf(t->why, sizeof(t->why),
			"the server's certificate is not accepted: %s, it is not for '%s'", reason,
			t->host);
	else
		snprintf(t->why, sizeof(t->why), "the server's certificate is not accepted: %s",
			reason);
}

static void say_protocol_error(struct rc_client_tls *t)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);
	int number = ERR_GET_REASON(code);

	if (!reason)
		reason = "unknown error";
	if (!t->up && number == SSL_R_WRONG_VERSION_NUMBER)
		snprintf(t->why, sizeof(t->why), "what answers there does not speak TLS");
	else if (number > SSL_AD_REASON_OFFSET)
		snprintf(t->why, sizeof(t->why), "the server ended TLS: %s", reason);
	else
		snprintf(t->why, sizeof(t->why), "TLS: %s", reason);
}

/* Why a call of OpenSSL came to nothing: -EAGAIN; 0, the server ended it; -EPROTO. */
static int outcome(struct rc_client_tls *t, int rc)
{
	int error = SSL_get_error(t->ssl, rc);
	long verdict = t->up || t->trust_anybody ? X509_V_OK : SSL_get_verify_result(t->ssl);

	if (error == SSL_ERROR_WANT_READ)
		return -EAGAIN;
	if (error == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	t->broken = true;
	if (error == SSL_ERROR_ZERO_RETURN) {
		snprintf(t->why, sizeof(t->why), "the server %s",
			!t->up   ? "hung up in the TLS handshake"
			: t->eof ? "closed the connection without ending TLS"
				 : "closed the connection");
		return 0;
	}
	if (verdict != X509_V_OK)
		say_untrusted(t, verdict);
	else if (error == SSL_ERROR_SSL)
		say_protocol_error(t);
	else
		snprintf(t->why, sizeof(t->why), "%s%s", t->up ? "" : "in the TLS handshake: ",
			t->read_error ? strerror(t->read_error) : "the server hung up");
	ERR_clear_error();
	return -EPROTO;
}

int rc_client_tls_shake(struct rc_client_tls *t)
{
	int rc;

	if (!t->ssl || t->broken)
		return -1;
	(void)send_out(t);
	/* SSL_get_error looks at the thread's queue, so that must be empty before each call. */
	ERR_clear_error();
	rc = SSL_connect(t->ssl);
	if (rc == 1) {
		t->up = true;
		return 1;
	}
	if (outcome(t, rc) != -EAGAIN)
		return -1;
	return send_out(t) == -EPROTO ? -1 : 0;
}

ssize_t rc_client_tls_read(struct rc_client_tls *t, void *room, size_t len)
{
	size_t got;
	int rc;

	if (!t->up || t->broken)
		return -EPROTO;
	ERR_clear_error();
	rc = SSL_read_ex(t->ssl, room, len, &got);
	return rc == 1 ? (ssize_t)got : outcome(t, rc);
}

int rc_client_tls_flush(struct rc_client_tls *t)
{
	return !t->up || t->broken ? -EPROTO : send_out(t);
}

ssize_t rc_client_tls_write(struct rc_client_tls *t, const struct iovec *pieces, size_t count)
{
	const void *bytes = t->stage;
	size_t len = 0, taken;
	int rc = rc_client_tls_flush(t);

	if (rc != 0)
		return rc;
	if (count == 1 || pieces[0].iov_len >= sizeof(t->stage)) {
		bytes = pieces[0].iov_base;
		len = pieces[0].iov_len;
		len = len < sizeof(t->stage) ? len : sizeof(t->stage);
		count = 0;
	}
	for (size_t i = 0; i < count && len < sizeof(t->stage); i++) {
		size_t room = sizeof(t->stage) - len;
		size_t part = pieces[i].iov_len < room ? pieces[i].iov_len : room;

		memcpy(t->stage + len, pieces[i].iov_base, part);
		len += part;
	}
	ERR_clear_error();
	rc = SSL_write_ex(t->ssl, bytes, len, &taken);
	if (rc != 1) {
		(void)outcome(t, rc);
		return -EPROTO;
	}
	return send_out(t) == -EPROTO ? -EPROTO : (ssize_t)taken;
}

void rc_client_tls_bye(struct rc_client_tls *t)
{
	if (!t->up || t->broken)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

bool rc_client_tls_holds(const struct rc_client_tls *t)
{
	return t->up && !t->broken && SSL_pending(t->ssl) > 0;
}

bool rc_client_tls_wants_write(const struct rc_client_tls *t)
{
	return t->out_end > t->out_begin;
}

const char *rc_client_tls_why(const struct rc_client_tls *t)
{
	return t->why;
}
