/* SPDX-License-Identifier: Apache-2.0
 *
 * The WebSocket client of the subcommands over TLS, against OpenSSL's server in a thread.
 */
#include "../unit.h"
#include "../client/pki.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "cli/wsclient.c"
#include "cli/wsinflate.c"
#include "proto/wsupgrade.h"

#define PATIENCE_MS 20000
#define PROTOCOL    "ringcast.v1.json"
#define LONG        300000

struct server {
	int listener, fd;
	uint16_t port;
	pthread_t thread;
	SSL_CTX *context;
	SSL *ssl;
	void (*script)(struct server *s);
	bool done; /* the script came to its end */
};

/* Ends the script where it is disappointed; stop() sees that. */
#define EXPECT(condition)                                                                       \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "script: %s:%d: %s\n", __func__, __LINE__, #condition); \
			return;                                                                 \
		}                                                                               \
	} while (0)

static void *serve(void *arg)
{
	struct server *s = arg;
	struct timeval patience = {PATIENCE_MS / 1000, 0};
	sigset_t pipe;

	/* OpenSSL's own socket raises it; the client's thread must not. */
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	setsockopt(s->listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	s->fd = accept(s->listener, NULL, NULL);
	if (s->fd >= 0) {
		setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		s->script(s);
	}
	SSL_free(s->ssl);
	if (s->fd >= 0)
		close(s->fd);
	return NULL;
}

/* The context is the server's from here on. */
static void start(struct server *s, void (*script)(struct server *s), SSL_CTX *context)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);

	*s = (struct server){.fd = -1, .script = script, .context = context};
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(s->listener, 4), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &len), 0);
	s->port = ntohs(at.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->listener);
	SSL_CTX_free(s->context);
	assert_true(s->done);
}

static bool shake(struct server *s)
{
	s->ssl = SSL_new(s->context);
	return SSL_set_fd(s->ssl, s->fd) == 1 && SSL_accept(s->ssl) == 1;
}

/* TLS, and the answer to the upgrade, with `behind` in the same record. */
static bool grant(struct server *s, const char *behind, size_t behind_len)
{
	char head[4096] = "", answer[1024];
	size_t len = 0;

	if (!shake(s))
		return false;
	while (strstr(head, "\r\n\r\n") == NULL) {
		int n = SSL_read(s->ssl, head + len, (int)(sizeof(head) - 1 - len));
		if (n <= 0)
			return false;
		len += (size_t)n;
		head[len] = '\0';
	}
	const char *key = strstr(head, "Sec-WebSocket-Key: ");
	if (key == NULL || strstr(head, "Host: localhost:") == NULL)
		return false;
	key += strlen("Sec-WebSocket-Key: ");
	len = rc_ws_upgrade_answer(answer, sizeof(answer),
		(struct rc_str){key, RC_WSCLIENT_KEY_LEN}, RC_STR(PROTOCOL));
	memcpy(answer + len, behind, behind_len);
	len += behind_len;
	return SSL_write(s->ssl, answer, (int)len) == (int)len;
}

static int take_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned in_len, void *arg)
{
	(void)ssl, (void)arg;
	return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len,
		       (const unsigned char *)"\x08http/1.1", 9, in,
		       in_len) == OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static struct rc_client_tls *tls_for(const char *host, bool trust_anybody)
{
	struct rc_client_tls_options o = {.host = host,
		.ca = trust_anybody ? NULL : pki.ca,
		.protocol = "http/1.1",
		.trust_anybody = trust_anybody};
	char why[RC_CLIENT_TLS_WHY];
	struct rc_client_tls *t;

	assert_int_equal(rc_client_tls_open(&t, &o, why), 0);
	return t;
}

static struct rc_wsclient w;

static int connect_as(
	const struct server *s, const char *name, bool trust_anybody, int ms, struct rc_error *err)
{
	return rc_wsclient_open(&w, tls_for(name, trust_anybody), "localhost", s->port, "/ws",
		PROTOCOL, NULL, false, ms, err);
}

/* The next thing that comes, as the subcommand would wait for it. */
static enum rc_wsclient_event next(struct rc_str *text, struct rc_error *err)
{
	bool binary;

	while (true) {
		enum rc_wsclient_event e = rc_wsclient_next(&w, text, &binary, err);
		struct pollfd p = {.fd = w.fd, .events = POLLIN};
		if (e != RC_WSCLIENT_MORE)
			return e;
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		if (rc_wsclient_receive(&w, err) < 0)
			return RC_WSCLIENT_FAILED;
	}
}

/* ---- messages ------------------------------------------------------------------------------- */

static void talk(struct server *s)
{
	static unsigned char bytes[LONG + 64];
	const unsigned char *chosen;
	unsigned chosen_len;
	size_t len = 0;

	/* Two messages behind the answer, in its record. */
	EXPECT(grant(s, "\x81\x03one\x81\x03two", 10));
	SSL_get0_alpn_selected(s->ssl, &chosen, &chosen_len);
	EXPECT(chosen_len == 8 && memcmp(chosen, "http/1.1", 8) == 0);
	memcpy(bytes, "\x82\x7f\0\0\0\0\0\x04\x93\xe0", 10);
	memset(bytes + 10, 'x', LONG);
	memcpy(bytes + 10 + LONG, "\x89\x01p", 3);
	EXPECT(SSL_write(s->ssl, bytes, LONG + 13) == LONG + 13);
	if (SSL_version(s->ssl) == TLS1_3_VERSION)
		EXPECT(SSL_key_update(s->ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
	/* The client's message, masked, and its pong: all read only after it has begun to wait for room. */
	while (len < LONG + 14 + 7) {
		int n = SSL_read(s->ssl, bytes + len, (int)(sizeof(bytes) - len));
		EXPECT(n > 0);
		len += (size_t)n;
	}
	EXPECT(SSL_write(s->ssl, "\x88\x02\x03\xe8", 4) == 4);
	/* Its close, and that it ends TLS too. */
	EXPECT(SSL_read(s->ssl, bytes, sizeof(bytes)) == 8);
	EXPECT(SSL_read(s->ssl, bytes, sizeof(bytes)) == 0);
	EXPECT((SSL_get_shutdown(s->ssl) & SSL_RECEIVED_SHUTDOWN) != 0);
	s->done = true;
}

static void messages_go_both_ways(int version)
{
	static char large[LONG];
	SSL_CTX *context = pki_server(&pki.server);
	struct rc_error err = {""};
	struct rc_str text = {0};
	struct server s;

	SSL_CTX_set_max_proto_version(context, version);
	SSL_CTX_set_alpn_select_cb(context, take_alpn, NULL);
	start(&s, talk, context);
	assert_int_equal(connect_as(&s, "localhost", false, PATIENCE_MS, &err), 0);
	assert_int_equal(next(&text, &err), RC_WSCLIENT_MESSAGE);
	assert_true(rc_str_eq(text, RC_STR("one")));
	assert_int_equal(next(&text, &err), RC_WSCLIENT_MESSAGE);
	assert_true(rc_str_eq(text, RC_STR("two")));
	assert_int_equal(next(&text, &err), RC_WSCLIENT_MESSAGE);
	assert_int_equal(text.len, LONG);
	memset(large, 'y', sizeof(large));
	assert_int_equal(rc_wsclient_send(&w, RC_WS_TEXT, (struct rc_str){large, LONG}, &err), 0);
	assert_int_equal(next(&text, &err), RC_WSCLIENT_CLOSED);
	assert_int_equal(w.close_code, 1000);
	rc_wsclient_deinit(&w);
	stop(&s);
}

static void messages_go_both_ways_over_tls_1_3(void **state)
{
	(void)state;
	messages_go_both_ways(TLS1_3_VERSION);
}

static void messages_go_both_ways_over_tls_1_2(void **state)
{
	(void)state;
	messages_go_both_ways(TLS1_2_VERSION);
}

static void cut_off(struct server *s)
{
	EXPECT(grant(s, "\x81\x03one", 5));
	s->done = true;
}

static void an_end_without_a_close_is_told(void **state)
{
	struct rc_error err = {""};
	struct rc_str text = {0};
	struct server s;

	(void)state;
	start(&s, cut_off, pki_server(&pki.server));
	assert_int_equal(connect_as(&s, "localhost", false, PATIENCE_MS, &err), 0);
	assert_int_equal(next(&text, &err), RC_WSCLIENT_MESSAGE);
	assert_int_equal(next(&text, &err), RC_WSCLIENT_FAILED);
	assert_non_null(strstr(err.text, "hung up without a close"));
	rc_wsclient_deinit(&w);
	stop(&s);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void be_refused(struct server *s)
{
	EXPECT(!shake(s));
	s->done = true;
}

static void be_taken(struct server *s)
{
	EXPECT(grant(s, "", 0));
	s->done = true;
}

static void refused(void (*script)(struct server *s), const struct pki_pair *p, const char *name,
	int ms, const char *words)
{
	struct rc_error err = {""};
	struct server s;

	start(&s, script, pki_server(p));
	assert_int_equal(connect_as(&s, name, false, ms, &err), -1);
	if (strstr(err.text, words) == NULL)
		fail_msg("'%s' is not in '%s'", words, err.text);
	rc_wsclient_deinit(&w);
	stop(&s);
}

static void a_server_that_is_not_trusted_is_left_with_words(void **state)
{
	struct pki_pair over =
		pki_issue("x", "DNS:localhost", -2 * PKI_DAY, -PKI_DAY, &pki.authority);
	struct pki_pair own = pki_issue("x", "DNS:localhost", -PKI_DAY, PKI_DAY, NULL);
	struct rc_error err = {""};
	struct server s;

	(void)state;
	refused(be_refused, &over, "localhost", PATIENCE_MS, "certificate has expired");
	refused(be_refused, &own, "localhost", PATIENCE_MS, "self-signed certificate");
	refused(be_refused, &pki.server, "other", PATIENCE_MS, "it is not for 'other'");
	start(&s, be_taken, pki_server(&own));
	assert_int_equal(connect_as(&s, "other", true, PATIENCE_MS, &err), 0);
	rc_wsclient_deinit(&w);
	stop(&s);
	pki_free(&over);
	pki_free(&own);
}

static void until_gone(struct server *s)
{
	char bytes[4096];

	while (recv(s->fd, bytes, sizeof(bytes), 0) > 0)
		;
	s->done = true;
}

static void answer_plainly(struct server *s)
{
	static const char words[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

	EXPECT(send(s->fd, words, sizeof(words) - 1, MSG_NOSIGNAL) > 0);
	until_gone(s);
}

static void hang_up(struct server *s)
{
	EXPECT(shutdown(s->fd, SHUT_WR) == 0);
	until_gone(s);
}

static void stall_after_tls(struct server *s)
{
	EXPECT(shake(s));
	until_gone(s);
}

static void a_server_that_is_none_is_left_with_words(void **state)
{
	(void)state;
	refused(answer_plainly, &pki.server, "localhost", PATIENCE_MS, "does not speak TLS");
	refused(hang_up, &pki.server, "localhost", PATIENCE_MS, "hung up in the TLS handshake");
	refused(until_gone, &pki.server, "localhost", 50, "TLS handshake was not done in time");
	refused(stall_after_tls, &pki.server, "localhost", 500, "in time");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_go_both_ways_over_tls_1_3),
		cmocka_unit_test(messages_go_both_ways_over_tls_1_2),
		cmocka_unit_test(an_end_without_a_close_is_told),
		cmocka_unit_test(a_server_that_is_not_trusted_is_left_with_words),
		cmocka_unit_test(a_server_that_is_none_is_left_with_words),
	};

	return cmocka_run_group_tests(tests, pki_set_up, pki_tear_down);
}
