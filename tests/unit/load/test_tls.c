/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.c against a real OpenSSL server in a thread, with a certificate that is made here: for the name server.example and the address
 * 127.0.0.1, signed by itself.
 */
#include "publish_rig.h"

#include <pthread.h>
#include <semaphore.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "load/link.h"
#include "load/tls.h"

#define BULK (3u << 20)

struct server {
	pthread_t thread;
	int fd;
	SSL_CTX *ctx;
	void (*serve)(SSL *ssl);
	char name[64]; /* that the client asked for */
};

static EVP_PKEY *key;
static unsigned char ticket_keys[80];
static X509 *certificate;
static char ca_path[] = "/tmp/ringcast-load-ca-XXXXXX";

static void add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static int make_certificate(void **state)
{
	X509_NAME *name;
	FILE *file;
	int fd = mkstemp(ca_path);

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	assert_true(fd >= 0);
	key = EVP_EC_gen("P-256");
	certificate = X509_new();
	assert_true(key != NULL && certificate != NULL);
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_ASC, (const unsigned char *)"server.example", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(certificate, NID_subject_alt_name, "DNS:server.example,IP:127.0.0.1");
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	file = fdopen(fd, "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	return fclose(file);
}

static int remove_certificate(void **state)
{
	(void)state;
	X509_free(certificate);
	EVP_PKEY_free(key);
	return unlink(ca_path);
}

/* ---- the server --------------------------------------------------------------------------------- */

static void *server_thread(void *arg)
{
	struct server *s = arg;
	SSL *ssl = SSL_new(s->ctx);
	const char *name;

	SSL_set_fd(ssl, s->fd);
	if (SSL_accept(ssl) == 1) {
		name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
		(void)snprintf(s->name, sizeof(s->name), "%s", name != NULL ? name : "");
		s->serve(ssl);
	}
	SSL_free(ssl);
	(void)close(s->fd);
	ERR_clear_error();
	return NULL;
}

static void server_start(struct server *s, int fd, int version, void (*serve)(SSL *ssl))
{
	const struct timeval patience = {20, 0};

	*s = (struct server){.fd = fd, .serve = serve};
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	s->ctx = SSL_CTX_new(TLS_server_method());
	assert_non_null(s->ctx);
	assert_int_equal(SSL_CTX_use_certificate(s->ctx, certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(s->ctx, key), 1);
	/* One server's tickets are understood by the next one. */
	assert_true(SSL_CTX_set_tlsext_ticket_keys(s->ctx, ticket_keys, sizeof(ticket_keys)) == 1);
	if (version != 0) {
		SSL_CTX_set_min_proto_version(s->ctx, version);
		SSL_CTX_set_max_proto_version(s->ctx, version);
	}
	assert_int_equal(pthread_create(&s->thread, NULL, server_thread, s), 0);
}

static void server_stop(struct server *s)
{
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	SSL_CTX_free(s->ctx);
}

static void hang_up(SSL *ssl)
{
	(void)ssl;
}

static void say_and_close(SSL *ssl)
{
	(void)SSL_write(ssl, "hello", 5);
	(void)SSL_shutdown(ssl);
}

static sem_t may_read;

/* All that comes goes back. Nothing is read before the socket was full. */
static void echo_bulk(SSL *ssl)
{
	static char bytes[BULK];
	size_t got = 0;

	(void)sem_wait(&may_read);
	while (got < BULK) {
		int n = SSL_read(ssl, bytes + got, (int)(BULK - got));

		if (n <= 0)
			return;
		got += (size_t)n;
	}
	(void)SSL_write(ssl, bytes, BULK);
}

/* ---- the client --------------------------------------------------------------------------------- */

static void ready(int fd, short want)
{
	struct pollfd p = {.fd = fd, .events = want};

	assert_true(want == POLLIN || want == POLLOUT);
	assert_int_equal(poll(&p, 1, 20000), 1);
}

static struct load_tls_context *context(const char *ca, bool insecure)
{
	static struct load_plan plan;
	struct load_tls_context *c;
	struct rc_error err;

	memset(&plan, 0, sizeof(plan));
	strcpy(plan.ca_file, ca);
	plan.insecure = insecure;
	assert_int_equal(load_tls_context_open(&c, &plan, &err), 0);
	return c;
}

/* A connection with a server behind it. */
struct pair {
	struct load_tls_context *context;
	struct load_tls *tls;
	struct server server;
	int fd;
};

static void pair_open(struct pair *p, struct load_tls_context *c, const char *host, int version,
	void (*serve)(SSL *ssl))
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	server_start(&p->server, fds[1], version, serve);
	p->fd = fds[0];
	p->context = c;
	p->tls = load_tls_open(c, p->fd, host);
	assert_non_null(p->tls);
}

static int pair_shake(struct pair *p)
{
	short want = 0;
	int rc;

	while ((rc = load_tls_handshake(p->tls, &want)) == -EAGAIN)
		ready(p->fd, want);
	assert_int_equal(ERR_peek_error(), 0);
	return rc;
}

static void pair_close(struct pair *p)
{
	load_tls_close(p->tls);
	close(p->fd);
	server_stop(&p->server);
	load_tls_context_close(p->context);
	assert_int_equal(ERR_peek_error(), 0);
}

static void trusted_server_is_talked_to_in_tls_1_2_and_1_3(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(versions); i++) {
		struct pair p;
		char in[16];
		short want = 0;
		ssize_t n;

		pair_open(
			&p, context(ca_path, false), "server.example", versions[i], say_and_close);
		assert_int_equal(pair_shake(&p), 0);
		while ((n = load_tls_read(p.tls, in, sizeof(in), &want)) == -EAGAIN)
			ready(p.fd, want);
		assert_int_equal(n, 5);
		assert_memory_equal(in, "hello", 5);
		while ((n = load_tls_read(p.tls, in, sizeof(in), &want)) == -EAGAIN)
			ready(p.fd, want);
		assert_int_equal(n, 0);
		pair_close(&p);
		assert_string_equal(p.server.name, "server.example");
	}
}

static void old_tls_is_not_spoken(void **state)
{
	struct pair p;
	int rc;

	(void)state;
	pair_open(&p, context("", true), "server.example", TLS1_1_VERSION, hang_up);
	rc = pair_shake(&p);
	/* A server whose OpenSSL does not speak it either hangs up without a word. */
	assert_true(rc == -EPROTO || rc == -EPIPE || rc == -ECONNRESET);
	assert_true(strlen(load_tls_why(p.tls)) > 0);
	pair_close(&p);
}

static void address_is_verified_as_an_address_and_not_sent_as_a_name(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, context(ca_path, false), "127.0.0.1", 0, hang_up);
	assert_int_equal(pair_shake(&p), 0);
	pair_close(&p);
	assert_string_equal(p.server.name, "");
	pair_open(&p, context(ca_path, false), "127.0.0.2", 0, hang_up);
	assert_int_equal(pair_shake(&p), -EPROTO);
	assert_contains(load_tls_why(p.tls), "IP address mismatch");
	pair_close(&p);
	pair_open(&p, context(ca_path, false), "[::1]", 0, hang_up);
	assert_int_equal(pair_shake(&p), -EPROTO);
	assert_contains(load_tls_why(p.tls), "IP address mismatch");
	pair_close(&p);
}

static void wrong_name_and_untrusted_certificate_are_refused_unless_insecure(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, context(ca_path, false), "other.example", 0, hang_up);
	assert_int_equal(pair_shake(&p), -EPROTO);
	assert_contains(load_tls_why(p.tls), "hostname mismatch");
	pair_close(&p);
	/* The system's store does not know it. */
	pair_open(&p, context("", false), "server.example", 0, hang_up);
	assert_int_equal(pair_shake(&p), -EPROTO);
	assert_contains(load_tls_why(p.tls), "self-signed");
	pair_close(&p);
	pair_open(&p, context("", true), "other.example", 0, hang_up);
	assert_int_equal(pair_shake(&p), 0);
	pair_close(&p);
}

/* One after the other with the same context, as a worker's clients have it. */
static void shake_with(struct load_tls_context *c, int version, bool *resumed)
{
	struct pair p;
	char in[16];
	short want = 0;
	ssize_t n;

	pair_open(&p, c, "server.example", version, say_and_close);
	load_tls_resume(p.tls, c);
	assert_int_equal(pair_shake(&p), 0);
	*resumed = load_tls_resumed(p.tls);
	/* Tickets of TLS 1.3 come before what is said. */
	while ((n = load_tls_read(p.tls, in, sizeof(in), &want)) == -EAGAIN)
		ready(p.fd, want);
	assert_int_equal(n, 5);
	load_tls_close(p.tls);
	close(p.fd);
	server_stop(&p.server);
}

static void sessions_are_resumed_again_and_again_where_a_group_asks_for_it(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	static struct load_plan plan = {.insecure = true, .groups = 2};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(versions); i++) {
		struct load_tls_context *c;
		struct rc_error err;
		bool resumed;

		plan.group[1].resume = true;
		assert_int_equal(load_tls_context_open(&c, &plan, &err), 0);
		assert_false(load_tls_can_resume(c));
		shake_with(c, versions[i], &resumed);
		assert_false(resumed);
		assert_true(load_tls_can_resume(c));
		for (int n = 0; n < 3; n++) {
			shake_with(c, versions[i], &resumed);
			assert_true(resumed);
		}
		load_tls_context_close(c);

		plan.group[1].resume = false;
		assert_int_equal(load_tls_context_open(&c, &plan, &err), 0);
		for (int n = 0; n < 2; n++) {
			shake_with(c, versions[i], &resumed);
			assert_false(resumed || load_tls_can_resume(c));
		}
		load_tls_context_close(c);
	}
	assert_int_equal(ERR_peek_error(), 0);
}

static void version_that_was_asked_for_is_the_only_one_spoken(void **state)
{
	static const struct {
		enum load_tls_version asked;
		int server;
		bool fits;
	} cases[] = {{LOAD_TLS_12, TLS1_2_VERSION, true}, {LOAD_TLS_12, TLS1_3_VERSION, false},
		{LOAD_TLS_13, TLS1_3_VERSION, true}, {LOAD_TLS_13, TLS1_2_VERSION, false}};
	static struct load_plan plan = {.insecure = true};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct load_tls_context *c;
		struct rc_error err;
		struct pair p;

		plan.tls = cases[i].asked;
		assert_int_equal(load_tls_context_open(&c, &plan, &err), 0);
		pair_open(&p, c, "server.example", cases[i].server, hang_up);
		assert_int_equal(pair_shake(&p), cases[i].fits ? 0 : -EPROTO);
		pair_close(&p);
	}
}

static void file_without_certificates_is_a_sentence(void **state)
{
	static struct load_plan plan;
	struct load_tls_context *c;
	struct rc_error err;

	(void)state;
	strcpy(plan.ca_file, "/nowhere/ca.pem");
	assert_int_equal(load_tls_context_open(&c, &plan, &err), -EINVAL);
	assert_contains(err.text, "/nowhere/ca.pem: no certificates");
	strcpy(plan.ca_file, "/dev/null");
	assert_int_equal(load_tls_context_open(&c, &plan, &err), -EINVAL);
	assert_null(c);
	assert_int_equal(ERR_peek_error(), 0);
}

static void large_output_is_taken_in_parts_and_comes_back_whole(void **state)
{
	struct pair p;
	char *out = malloc(BULK), *in = malloc(BULK);
	size_t sent = 0, got = 0, waits = 0;
	short want = 0;

	(void)state;
	assert_true(out != NULL && in != NULL);
	assert_int_equal(sem_init(&may_read, 0, 0), 0);
	for (size_t i = 0; i < BULK; i++)
		out[i] = (char)(i * 7 + i / 1000);
	pair_open(&p, context(ca_path, false), "server.example", 0, echo_bulk);
	assert_int_equal(pair_shake(&p), 0);
	while (sent < BULK) {
		/* From other memory each time, as an output that was moved. */
		char *moved = malloc(BULK - sent);
		ssize_t n;

		assert_non_null(moved);
		memcpy(moved, out + sent, BULK - sent);
		n = load_tls_write(p.tls, moved, BULK - sent, &want);
		free(moved);
		if (n == -EAGAIN) {
			if (waits++ == 0)
				assert_int_equal(sem_post(&may_read), 0);
			ready(p.fd, want);
			continue;
		}
		assert_true(n > 0);
		sent += (size_t)n;
	}
	assert_true(waits > 0);
	while (got < BULK) {
		ssize_t n = load_tls_read(p.tls, in + got, BULK - got, &want);

		if (n == -EAGAIN) {
			ready(p.fd, want);
			continue;
		}
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_memory_equal(in, out, BULK);
	pair_close(&p);
	assert_int_equal(sem_destroy(&may_read), 0);
	free(in);
	free(out);
}

static void peer_that_is_gone_is_an_error_and_no_signal(void **state)
{
	struct pair p;
	char byte = 'x';
	short want = 0;
	ssize_t n = 0;

	(void)state;
	/* A SIGPIPE that is not ignored would end the test. */
	pair_open(&p, context("", true), "server.example", 0, hang_up);
	assert_int_equal(pair_shake(&p), 0);
	server_stop(&p.server);
	for (int i = 0; i < 100 && n >= 0; i++)
		n = load_tls_write(p.tls, &byte, 1, &want);
	assert_int_equal(n, -EPIPE);
	assert_string_equal(load_tls_why(p.tls), "Broken pipe");
	load_tls_close(p.tls);
	close(p.fd);
	load_tls_context_close(p.context);
}

static void other_side_that_speaks_no_tls_is_told_in_words(void **state)
{
	static const char plain[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
	struct load_tls_context *c = context("", true);
	struct load_tls *t;
	int fds[2];
	short want = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	t = load_tls_open(c, fds[0], "server.example");
	assert_non_null(t);
	assert_int_equal(load_tls_handshake(t, &want), -EAGAIN);
	assert_int_equal(want, POLLIN);
	assert_int_equal(send(fds[1], plain, sizeof(plain) - 1, 0), (ssize_t)sizeof(plain) - 1);
	assert_int_equal(load_tls_handshake(t, &want), -EPROTO);
	assert_contains(load_tls_why(t), "wrong version number");
	load_tls_close(t);
	close(fds[0]);
	close(fds[1]);
	load_tls_context_close(c);
}

/* ---- a publisher over TLS ----------------------------------------------------------------------- */

/* Answers each line with +OK, until the client goes. */
static void acknowledge_lines(SSL *ssl)
{
	char bytes[16384];
	int n;

	while ((n = SSL_read(ssl, bytes, sizeof(bytes))) > 0) {
		for (int i = 0; i < n; i++) {
			if (bytes[i] == '\n' && SSL_write(ssl, "+OK\r\n", 5) != 5)
				return;
		}
	}
}

static void publisher_speaks_through_tls(void **state)
{
	struct rig *r = rig_open(LOAD_TLS);
	struct server s;

	(void)state;
	strcpy(r->plan.ca_file, ca_path);
	r->target.publisher.event = rig_template("{payload}\n");
	r->target.publisher.ack = "+OK\r\n";
	r->plan.group[0].acks_only = true;
	r->plan.group[0].in_flight = 50;
	rig_begin(r);
	while (r->fd < 0)
		r->fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
	server_start(&s, r->fd, 0, acknowledge_lines);
	/* The server's thread has it now. */
	r->fd = r->listener;
	rig_until(r, load_publisher_ready(r->p));
	rig_phase(r, LOAD_MEASURE);
	rig_until(r, load_get(&rig_counts(r)->acked) >= 2000);
	rig_phase(r, LOAD_DRAIN);
	rig_until(r, load_publisher_idle(r->p));
	assert_int_equal(load_get(&rig_counts(r)->acked), load_get(&rig_counts(r)->published));
	r->fd = -1;
	rig_close(r);
	server_stop(&s);
}

static void publisher_does_not_talk_to_a_server_that_it_does_not_trust(void **state)
{
	struct rig *r = rig_open(LOAD_TLS);
	struct server s;

	(void)state;
	r->target.publisher.event = rig_template("{payload}\n");
	rig_begin(r);
	while (r->fd < 0)
		r->fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
	server_start(&s, r->fd, 0, hang_up);
	r->fd = r->listener;
	assert_contains(rig_until_failed(r), "no TLS: self-signed certificate. See that");
	r->fd = -1;
	rig_close(r);
	server_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trusted_server_is_talked_to_in_tls_1_2_and_1_3),
		cmocka_unit_test(old_tls_is_not_spoken),
		cmocka_unit_test(address_is_verified_as_an_address_and_not_sent_as_a_name),
		cmocka_unit_test(wrong_name_and_untrusted_certificate_are_refused_unless_insecure),
		cmocka_unit_test(sessions_are_resumed_again_and_again_where_a_group_asks_for_it),
		cmocka_unit_test(version_that_was_asked_for_is_the_only_one_spoken),
		cmocka_unit_test(file_without_certificates_is_a_sentence),
		cmocka_unit_test(large_output_is_taken_in_parts_and_comes_back_whole),
		cmocka_unit_test(peer_that_is_gone_is_an_error_and_no_signal),
		cmocka_unit_test(other_side_that_speaks_no_tls_is_told_in_words),
		cmocka_unit_test(publisher_speaks_through_tls),
		cmocka_unit_test(publisher_does_not_talk_to_a_server_that_it_does_not_trust),
	};

	return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
