/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshakes on real sockets with OpenSSL's client: every version, cipher and kind of key; tickets; names; clients' certificates; those
 * that fail and why; and that the keys that are taken out are the right ones.
 */
#include "shake.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

/* Our wall clock can be set; OpenSSL's, which is time(), stays. */
static time_t shift_s;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	long rc = syscall(SYS_clock_gettime, id, ts);

	if (id == CLOCK_REALTIME)
		ts->tv_sec += shift_s;
	return (int)rc;
}

static struct cert ca, ec, rsa, alice, foreign, expired, unprintable, by_san;
static struct rc_tls_tickets *tickets;
static struct rc_tls_context *with_ec, *with_rsa, *with_ca, *with_staple;
static struct rc_tls_engine *engine;

static const char *const names_13[] = {
	"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};
static const char *const names_12[] = {
	"AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"};

static struct rc_tls_context *open_context(struct rc_tls_options o)
{
	struct rc_tls_context *c;
	struct rc_error err = {{0}};

	o.key = o.key ? o.key : "";
	o.folder = o.folder ? o.folder : "";
	o.ocsp = o.ocsp ? o.ocsp : "";
	o.client_ca = o.client_ca ? o.client_ca : "";
	if (rc_tls_context_open(&c, &o, tickets, &err) != 0)
		fail_msg("%s", err.text);
	return c;
}

static int setup(void **state)
{
	(void)state;
	certs_open_dir();
	ca = certs_make(&(struct cert_want){.cn = "Test CA", .ca = true});
	ec = certs_make(&(struct cert_want){.cn = "x", .san = "DNS:ec.example", .issuer = &ca});
	rsa = certs_make(
		&(struct cert_want){.rsa_bits = 2048, .san = "DNS:rsa.example", .issuer = &ca});
	alice = certs_make(&(struct cert_want){.cn = "alice", .issuer = &ca});
	by_san = certs_make(
		&(struct cert_want){.san = "IP:10.0.0.1,email:bob@example,DNS:b", .issuer = &ca});
	foreign = certs_make(&(struct cert_want){.cn = "alice"});
	expired = certs_make(
		&(struct cert_want){.cn = "old", .issuer = &ca, .from_days = -9, .until_days = -2});
	unprintable = certs_make(&(struct cert_want){.cn = "al\xc3\xafs", .issuer = &ca});
	const struct cert *authorities[] = {&ca, NULL};
	(void)certs_write("ca.pem", authorities, NULL);
	(void)certs_write_both("ec.pem", &ec);
	(void)certs_write_both("rsa.pem", &rsa);
	(void)certs_write_staple("ec.ocsp", &ec, &ca, V_OCSP_CERTSTATUS_GOOD, -1, 2);
	assert_int_equal(mkdir(certs_path("more"), 0700), 0);
	static const char *const sans[] = {
		"DNS:one.example", "DNS:*.two.example", "DNS:a.two.example"};
	for (size_t i = 0; i < RC_ARRAY_LEN(sans); i++) {
		struct cert c = certs_make(
			&(struct cert_want){.cn = sans[i] + 4, .san = sans[i], .issuer = &ca});
		char name[32];

		(void)snprintf(name, sizeof(name), "more/%zu.pem", i);
		(void)certs_write_both(name, &c);
		certs_free(&c);
	}
	tickets = rc_tls_tickets_open(3600);
	assert_non_null(tickets);
	with_ec = open_context((struct rc_tls_options){
		.certificate = certs_path("ec.pem"), .folder = certs_path("more")});
	with_rsa = open_context((struct rc_tls_options){.certificate = certs_path("rsa.pem")});
	with_staple = open_context((struct rc_tls_options){
		.certificate = certs_path("ec.pem"), .ocsp = certs_path("ec.ocsp")});
	with_ca = open_context((struct rc_tls_options){.certificate = certs_path("ec.pem"),
		.client_ca = certs_path("ca.pem"),
		.ask = {RC_TLS_ASK_OPTIONAL, RC_TLS_ASK_REQUIRED}});
	engine = rc_tls_engine_open();
	assert_non_null(engine);
	return 0;
}

static int teardown(void **state)
{
	struct cert *all[] = {&ca, &ec, &rsa, &alice, &foreign, &expired, &unprintable, &by_san};

	(void)state;
	rc_tls_engine_close(engine);
	rc_tls_context_close(with_ec);
	rc_tls_context_close(with_rsa);
	rc_tls_context_close(with_ca);
	rc_tls_context_close(with_staple);
	rc_tls_tickets_close(tickets);
	for (size_t i = 0; i < RC_ARRAY_LEN(all); i++)
		certs_free(all[i]);
	certs_remove_dir();
	return 0;
}

static void done(struct shake *s, const struct rc_tls_context *c, struct shake_want w)
{
	shake_open(s, c, &w);
	if (shake_run(s) != RC_TLS_DONE)
		fail_msg("failed: %s", s->h.why);
}

static void fails(const struct rc_tls_context *c, struct shake_want w, enum rc_tls_failure why)
{
	struct shake s;

	shake_open(&s, c, &w);
	assert_int_equal(shake_run(&s), RC_TLS_FAILED);
	if (s.h.failure != why)
		fail_msg("failure %d, %s", (int)s.h.failure, s.h.why);
	assert_true(s.h.why[0] != '\0');
	shake_close(&s);
}

/* ---- the keys ------------------------------------------------------------------------------------- */

static void talk(struct shake *s)
{
	shake_send(s, engine, "hello");
	shake_send(s, engine, "again");
	assert_int_equal(SSL_write(s->client, "ping", 4), 4);
	shake_receive(s, engine, "ping", 4);
}

static void keys_fit_for_every_version_cipher_and_kind_of_key(void **state)
{
	(void)state;
	for (int cipher = 0; cipher < RC_TLS_CIPHERS; cipher++) {
		for (int kind = 0; kind < 2; kind++) {
			char name_12[64];
			struct shake s;

			done(&s, kind ? with_rsa : with_ec,
				(struct shake_want){
					.version = TLS1_3_VERSION, .suites = names_13[cipher]});
			assert_int_equal(s.h.keys.version, RC_TLS_1_3);
			assert_int_equal(s.h.keys.cipher, cipher);
			assert_int_equal(s.h.keys.send.sequence, 1);
			assert_int_equal(s.h.keys.receive.sequence, 0);
			assert_false(s.h.resumed);
			talk(&s);
			shake_close(&s);

			(void)snprintf(name_12, sizeof(name_12), "ECDHE-%s-%s",
				kind ? "RSA" : "ECDSA", names_12[cipher]);
			done(&s, kind ? with_rsa : with_ec,
				(struct shake_want){.version = TLS1_2_VERSION, .suites = name_12});
			assert_int_equal(s.h.keys.version, RC_TLS_1_2);
			assert_int_equal(s.h.keys.cipher, cipher);
			talk(&s);
			shake_close(&s);
		}
	}
}

static void secrets_are_wiped_when_it_is_done_and_all_when_it_ends(void **state)
{
	static const struct rc_tls_handshake zero;
	struct shake s;

	(void)state;
	done(&s, with_ec, (struct shake_want){0});
	assert_memory_equal(s.h.client_secret, zero.client_secret, sizeof(zero.client_secret));
	assert_memory_equal(s.h.server_secret, zero.server_secret, sizeof(zero.server_secret));
	rc_tls_handshake_end(&s.h);
	assert_memory_equal(&s.h, &zero, sizeof(zero));
	shake_close(&s);
	done(&s, with_ec, (struct shake_want){.version = TLS1_2_VERSION});
	assert_memory_equal(s.h.master, zero.master, sizeof(zero.master));
	shake_close(&s);
}

/* The client's last flight and 20,000 bytes of data arrive in one piece. */
static void nothing_behind_finished_is_taken_off_the_socket(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	static char data[20000];

	(void)state;
	memset(data, 'd', sizeof(data));
	for (size_t v = 0; v < RC_ARRAY_LEN(versions); v++) {
		struct shake s, first;

		/* In 1.2 the client's Finished is the last one only of a resumed session; else the server's is. */
		done(&first, with_ec, (struct shake_want){.version = versions[v]});
		shake_send(&first, engine, "x");
		shake_open(&s, with_ec,
			&(struct shake_want){.version = versions[v], .resume = first.session});
		shake_close(&first);
		(void)SSL_do_handshake(s.client);
		shake_step(&s);
		assert_int_equal(s.step, RC_TLS_WANTS_READ);
		assert_int_equal(SSL_do_handshake(s.client), 1);
		assert_int_equal(SSL_write(s.client, data, sizeof(data)), sizeof(data));
		shake_step(&s);
		assert_int_equal(s.step, RC_TLS_DONE);
		assert_true(s.h.resumed);
		shake_receive(&s, engine, data, sizeof(data));
		shake_close(&s);
	}
}

static size_t fill(int fd)
{
	static const char bytes[256];
	size_t filled = 0;
	ssize_t n;

	while ((n = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		filled += (size_t)n;
	return filled;
}

static void drain(int fd, size_t len)
{
	char bytes[256];

	while (len) {
		ssize_t n = recv(fd, bytes, RC_MIN(len, sizeof(bytes)), MSG_DONTWAIT);

		assert_true(n > 0);
		len -= (size_t)n;
	}
}

/* Each of the server's two flights finds the socket full; the second one is the ticket, and in 1.2 its Finished. */
static void every_write_may_have_to_wait(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t v = 0; v < RC_ARRAY_LEN(versions); v++) {
		struct shake s;

		shake_open(&s, with_rsa, &(struct shake_want){.version = versions[v], .buffer = 1});
		for (int flight = 0; flight < 2; flight++) {
			s.client_done = SSL_do_handshake(s.client) == 1;
			ERR_clear_error();
			size_t filled = fill(s.fd[0]);

			assert_true(filled > 0);
			for (int again = 0; again < 3; again++) {
				shake_step(&s);
				assert_int_equal(s.step, RC_TLS_WANTS_WRITE);
			}
			drain(s.fd[1], filled);
			shake_step(&s);
			assert_int_equal(s.step, flight == 0 ? RC_TLS_WANTS_READ : RC_TLS_DONE);
		}
		assert_int_equal(shake_run(&s), RC_TLS_DONE);
		assert_int_equal(s.h.keys.send.sequence, 1);
		talk(&s);
		shake_close(&s);
	}
}

/* ---- sessions ------------------------------------------------------------------------------------- */

static SSL_SESSION *session_of(const struct rc_tls_context *c, struct shake_want w)
{
	struct shake s;

	done(&s, c, w);
	shake_send(&s, engine, "x");
	assert_non_null(s.session);
	SSL_SESSION_up_ref(s.session);
	SSL_SESSION *session = s.session;
	shake_close(&s);
	return session;
}

static bool resumes(const struct rc_tls_context *c, SSL_SESSION *session, struct shake_want w)
{
	struct shake s;

	w.resume = session;
	done(&s, c, w);
	bool resumed = s.h.resumed;
	assert_int_equal(resumed, SSL_session_reused(s.client));
	talk(&s);
	shake_close(&s);
	return resumed;
}

static const struct shake_want both[] = {{.version = TLS1_2_VERSION}, {.version = TLS1_3_VERSION}};

static void a_session_is_resumed_in_another_context_with_the_same_tickets(void **state)
{
	(void)state;
	struct rc_tls_context *again =
		open_context((struct rc_tls_options){.certificate = certs_path("ec.pem")});

	for (size_t v = 0; v < RC_ARRAY_LEN(both); v++) {
		SSL_SESSION *session = session_of(with_ec, both[v]);

		assert_true(resumes(with_ec, session, both[v]));
		assert_true(resumes(again, session, both[v]));
		SSL_SESSION_free(session);
	}
	rc_tls_context_close(again);
}

static void a_session_outlives_one_rotation_and_not_its_lifetime(void **state)
{
	(void)state;
	for (size_t v = 0; v < RC_ARRAY_LEN(both); v++) {
		struct rc_tls_tickets *saved = tickets;
		uint64_t now_s = 1000000000; /* long after any machine was started */

		tickets = rc_tls_tickets_open(3600);
		struct rc_tls_context *c =
			open_context((struct rc_tls_options){.certificate = certs_path("ec.pem")});
		SSL_SESSION *session = session_of(c, both[v]);
		assert_true(rc_tls_tickets_rotate(tickets, now_s));
		assert_true(resumes(c, session, both[v]));
		assert_true(rc_tls_tickets_rotate(tickets, now_s + 1800));
		assert_true(resumes(c, session, both[v]));
		assert_true(rc_tls_tickets_rotate(tickets, now_s + 3600));
		assert_false(resumes(c, session, both[v]));
		SSL_SESSION_free(session);
		rc_tls_context_close(c);
		rc_tls_tickets_close(tickets);
		tickets = saved;
	}
}

static void a_ticket_of_an_older_key_is_renewed(void **state)
{
	(void)state;
	for (size_t v = 0; v < RC_ARRAY_LEN(both); v++) {
		struct rc_tls_tickets *saved = tickets;
		struct shake_want w = both[v];
		struct shake s;

		tickets = rc_tls_tickets_open(3600);
		struct rc_tls_context *c =
			open_context((struct rc_tls_options){.certificate = certs_path("ec.pem")});
		w.resume = session_of(c, both[v]);
		assert_true(rc_tls_tickets_rotate(tickets, 1000000000));
		done(&s, c, w);
		assert_true(s.h.resumed);
		shake_send(&s, engine, "x");
		/* In 1.2 the client's callback is not called for a renewed ticket. */
		SSL_SESSION *renewed = SSL_get1_session(s.client);
		if (s.session) {
			SSL_SESSION_free(renewed);
			renewed = s.session;
			s.session = NULL;
		}
		/* The old key's time is over, the new ticket's is not. */
		assert_true(rc_tls_tickets_rotate(tickets, 1000003600));
		assert_false(resumes(c, w.resume, both[v]));
		assert_true(resumes(c, renewed, both[v]));
		shake_close(&s);
		SSL_SESSION_free(renewed);
		SSL_SESSION_free(w.resume);
		rc_tls_context_close(c);
		rc_tls_tickets_close(tickets);
		tickets = saved;
	}
}

static void a_session_is_not_resumed_at_another_name_or_port(void **state)
{
	(void)state;
	for (size_t v = 0; v < RC_ARRAY_LEN(both); v++) {
		struct shake_want one = both[v], two = both[v], other_port = both[v];

		one.sni = "one.example";
		two.sni = "a.two.example";
		other_port.sni = "one.example";
		other_port.port = RC_TLS_PUBLISHERS;
		SSL_SESSION *session = session_of(with_ec, one);
		assert_true(resumes(with_ec, session, one));
		assert_false(resumes(with_ec, session, two));
		assert_false(resumes(with_ec, session, other_port));
		assert_false(resumes(with_ec, session, both[v]));
		SSL_SESSION_free(session);
	}
}

/* ---- names, protocols, staples -------------------------------------------------------------------- */

static void served(const char *sni, const char *cn)
{
	for (size_t v = 0; v < RC_ARRAY_LEN(both); v++) {
		struct shake_want w = both[v];
		struct shake s;
		char got[64] = "";

		w.sni = sni;
		done(&s, with_ec, w);
		(void)X509_NAME_get_text_by_NID(
			X509_get_subject_name(SSL_get0_peer_certificate(s.client)), NID_commonName,
			got, sizeof(got));
		assert_string_equal(got, cn);
		talk(&s);
		shake_close(&s);
	}
}

static void the_name_chooses_the_certificate(void **state)
{
	(void)state;
	served(NULL, "x");
	served("ec.example", "x");
	served("unknown.example", "x");
	served("one.example", "one.example");
	served("ONE.Example", "one.example");
	served("sub.one.example", "x");
	served("b.two.example", "*.two.example");
	served("a.two.example", "a.two.example");
	served("c.b.two.example", "x");
	served("two.example", "x");
}

static void http_11_is_agreed_on_and_others_are_refused(void **state)
{
	(void)state;
	for (size_t v = 0; v < RC_ARRAY_LEN(both); v++) {
		struct shake_want w = both[v];
		const unsigned char *chosen;
		unsigned int len;
		struct shake s;

		w.alpn = "\x02h2\x08http/1.1";
		done(&s, with_ec, w);
		SSL_get0_alpn_selected(s.client, &chosen, &len);
		assert_int_equal(len, 8);
		assert_memory_equal(chosen, "http/1.1", 8);
		shake_close(&s);
		w.alpn = "\x02h2\x08http/1.0";
		fails(with_ec, w, RC_TLS_FAILED_PROTOCOL);
		w.port = RC_TLS_PUBLISHERS;
		done(&s, with_ec, w);
		shake_close(&s);
	}
}

static void a_staple_is_given_to_those_who_ask_until_it_ends(void **state)
{
	(void)state;
	for (size_t v = 0; v < RC_ARRAY_LEN(both); v++) {
		struct shake_want w = both[v];
		const unsigned char *staple;
		struct shake s;

		done(&s, with_staple, w);
		assert_int_equal(SSL_get_tlsext_status_ocsp_resp(s.client, &staple), -1);
		shake_close(&s);
		w.staple = true;
		done(&s, with_staple, w);
		assert_true(SSL_get_tlsext_status_ocsp_resp(s.client, &staple) > 100);
		shake_close(&s);
		shift_s = 3 * 86400;
		done(&s, with_staple, w);
		assert_int_equal(SSL_get_tlsext_status_ocsp_resp(s.client, &staple), -1);
		shake_close(&s);
		shift_s = 0;
		done(&s, with_ec, w);
		assert_int_equal(SSL_get_tlsext_status_ocsp_resp(s.client, &staple), -1);
		shake_close(&s);
	}
}

/* ---- ciphers, versions, groups -------------------------------------------------------------------- */

static void aes_128_comes_first_but_for_clients_that_put_chacha_first(void **state)
{
	struct shake s;

	(void)state;
	done(&s, with_ec,
		(struct shake_want){.version = TLS1_3_VERSION,
			.suites = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"});
	assert_int_equal(s.h.keys.cipher, RC_TLS_AES_128_GCM);
	shake_close(&s);
	done(&s, with_ec,
		(struct shake_want){.version = TLS1_3_VERSION,
			.suites = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"});
	assert_int_equal(s.h.keys.cipher, RC_TLS_CHACHA20_POLY1305);
	shake_close(&s);
	done(&s, with_ec,
		(struct shake_want){.version = TLS1_2_VERSION,
			.suites = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256"});
	assert_int_equal(s.h.keys.cipher, RC_TLS_CHACHA20_POLY1305);
	shake_close(&s);
}

static void what_is_not_in_common_is_told_apart(void **state)
{
	struct rc_tls_context *only_13;

	(void)state;
	fails(with_ec, (struct shake_want){.version = TLS1_1_VERSION}, RC_TLS_FAILED_VERSION);
	fails(with_ec,
		(struct shake_want){
			.version = TLS1_2_VERSION, .suites = "ECDHE-RSA-AES128-GCM-SHA256"},
		RC_TLS_FAILED_CIPHER);
	fails(with_rsa,
		(struct shake_want){.version = TLS1_2_VERSION, .suites = "AES128-GCM-SHA256"},
		RC_TLS_FAILED_CIPHER);
	fails(with_ec, (struct shake_want){.version = TLS1_3_VERSION, .groups = "P-521"},
		RC_TLS_FAILED_CIPHER);
	only_13 = open_context(
		(struct rc_tls_options){.certificate = certs_path("ec.pem"), .only_13 = true});
	fails(only_13, (struct shake_want){.version = TLS1_2_VERSION}, RC_TLS_FAILED_VERSION);
	rc_tls_context_close(only_13);
}

static void a_hello_retry_request_leads_to_the_same_end(void **state)
{
	struct shake s;

	(void)state;
	/* The client's key share is for the first group, which the server does not have. */
	done(&s, with_ec, (struct shake_want){.version = TLS1_3_VERSION, .groups = "P-521:P-384"});
	talk(&s);
	shake_close(&s);
}

static void early_data_is_passed_over(void **state)
{
	struct shake s;
	size_t written = 0;

	(void)state;
	SSL_SESSION *session = session_of(with_ec, (struct shake_want){.version = TLS1_3_VERSION});
	/* The server never said that it takes any; a client that believes so sends it all the same. */
	assert_int_equal(SSL_SESSION_set_max_early_data(session, 4096), 1);
	shake_open(&s, with_ec, &(struct shake_want){.version = TLS1_3_VERSION, .resume = session});
	assert_int_equal(SSL_write_early_data(s.client, "GET / HTTP/1.1", 14, &written), 1);
	assert_int_equal(written, 14);
	assert_int_equal(shake_run(&s), RC_TLS_DONE);
	assert_int_equal(SSL_get_early_data_status(s.client), SSL_EARLY_DATA_REJECTED);
	talk(&s);
	shake_close(&s);
	SSL_SESSION_free(session);
}

/* ---- clients' certificates ------------------------------------------------------------------------ */

static void identified(const struct cert *cert, enum rc_tls_port port, const char *identity)
{
	for (size_t v = 0; v < RC_ARRAY_LEN(both); v++) {
		struct shake_want w = both[v];

		w.port = port;
		w.cert = cert;
		w.resume = session_of(with_ca, w);
		for (int round = 0; round < 2; round++) {
			struct shake s;

			done(&s, with_ca, w);
			assert_true(s.h.resumed);
			assert_int_equal(s.h.identity_len, strlen(identity));
			assert_memory_equal(s.h.identity, identity, strlen(identity));
			talk(&s);
			/* In 1.3 the new ticket is used next: it has the certificate too. */
			if (s.session) {
				SSL_SESSION_free(w.resume);
				w.resume = s.session;
				s.session = NULL;
			}
			shake_close(&s);
		}
		SSL_SESSION_free(w.resume);
	}
}

static void a_client_certificate_is_an_identity_and_stays_one_when_resumed(void **state)
{
	(void)state;
	identified(&alice, RC_TLS_PUBLISHERS, "alice");
	identified(&alice, RC_TLS_CLIENTS, "alice");
	identified(&by_san, RC_TLS_PUBLISHERS, "bob@example");
	identified(NULL, RC_TLS_CLIENTS, "");
}

static void an_expired_client_certificate_is_not_resumed(void **state)
{
	(void)state;
	for (size_t v = 0; v < RC_ARRAY_LEN(both); v++) {
		struct shake_want w = both[v];

		w.port = RC_TLS_PUBLISHERS;
		w.cert = &alice;
		SSL_SESSION *session = session_of(with_ca, w);
		assert_true(resumes(with_ca, session, w));
		shift_s = 91 * 86400;
		assert_false(resumes(with_ca, session, w));
		shift_s = 0;
		SSL_SESSION_free(session);
	}
}

static void bad_client_certificates_are_refused(void **state)
{
	(void)state;
	for (size_t v = 0; v < RC_ARRAY_LEN(both); v++) {
		struct shake_want w = both[v];
		const struct cert *bad[] = {&foreign, &expired, &unprintable};

		w.port = RC_TLS_PUBLISHERS;
		fails(with_ca, w, RC_TLS_FAILED_CLIENT_CERT);
		for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
			w.cert = bad[i];
			w.port = RC_TLS_PUBLISHERS;
			fails(with_ca, w, RC_TLS_FAILED_CLIENT_CERT);
			w.port = RC_TLS_CLIENTS;
			fails(with_ca, w, RC_TLS_FAILED_CLIENT_CERT);
		}
	}
}

/* The session was made where nobody is asked, or by the rules of a file that is another one now. */
static void a_session_does_not_lead_around_the_certificate(void **state)
{
	const struct cert *authorities[] = {&ca, &foreign, NULL};

	(void)state;
	struct rc_tls_context *other =
		open_context((struct rc_tls_options){.certificate = certs_path("ec.pem"),
			.client_ca = certs_write("ca2.pem", authorities, NULL),
			.ask = {RC_TLS_ASK_OPTIONAL, RC_TLS_ASK_REQUIRED}});
	for (size_t v = 0; v < RC_ARRAY_LEN(both); v++) {
		struct shake_want w = both[v];

		w.resume = session_of(with_ca, both[v]);
		w.port = RC_TLS_PUBLISHERS;
		fails(with_ca, w, RC_TLS_FAILED_CLIENT_CERT);
		SSL_SESSION_free(w.resume);
		w.resume = NULL;
		w.resume = session_of(with_ec, w);
		fails(with_ca, w, RC_TLS_FAILED_CLIENT_CERT);
		SSL_SESSION_free(w.resume);
		w.cert = &alice;
		w.resume = NULL;
		SSL_SESSION *session = session_of(with_ca, w);
		assert_false(resumes(other, session, w));
		SSL_SESSION_free(session);
	}
	rc_tls_context_close(other);
}

/* ---- those that go wrong -------------------------------------------------------------------------- */

static enum rc_tls_step after_bytes(struct rc_tls_handshake *h, const void *bytes, size_t len,
	bool close_it, char *left, ssize_t *left_len)
{
	enum rc_tls_step step;
	int fd[2];

	memset(h, 0, sizeof(*h));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(rc_tls_handshake_begin(h, with_ec, RC_TLS_CLIENTS, fd[0]), 0);
	assert_int_equal(rc_tls_looks_like_tls(fd[0]), -1);
	assert_int_equal(rc_tls_handshake_step(h), RC_TLS_WANTS_READ);
	assert_int_equal(send(fd[1], bytes, len, 0), len);
	if (close_it)
		assert_int_equal(shutdown(fd[1], SHUT_WR), 0);
	step = rc_tls_handshake_step(h);
	*left_len = recv(fd[1], left, 64, 0);
	(void)close(fd[0]);
	(void)close(fd[1]);
	return step;
}

static void plain_text_is_left_alone_and_not_answered(void **state)
{
	struct rc_tls_handshake h;
	ssize_t answered;
	char answer[64];

	(void)state;
	assert_int_equal(after_bytes(&h, "GET / HTTP/1.1\r\n\r\n", 18, false, answer, &answered),
		RC_TLS_FAILED);
	assert_int_equal(h.failure, RC_TLS_FAILED_PLAIN);
	assert_true(answered < 0);
	assert_int_equal(after_bytes(&h, "\x16GET", 4, false, answer, &answered), RC_TLS_FAILED);
	assert_int_equal(h.failure, RC_TLS_FAILED_PLAIN);
}

static void a_cut_hello_is_waited_for_and_its_end_is_a_close(void **state)
{
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
	struct rc_tls_handshake h;
	ssize_t answered;
	char answer[64];

	(void)state;
	for (size_t len = 1; len < sizeof(hello); len++) {
		assert_int_equal(
			after_bytes(&h, hello, len, false, answer, &answered), RC_TLS_WANTS_READ);
		rc_tls_handshake_end(&h);
		assert_int_equal(
			after_bytes(&h, hello, len, true, answer, &answered), RC_TLS_FAILED);
		assert_int_equal(h.failure, RC_TLS_FAILED_CLOSED);
	}
	assert_int_equal(after_bytes(&h, "", 0, true, answer, &answered), RC_TLS_FAILED);
	assert_int_equal(h.failure, RC_TLS_FAILED_CLOSED);
}

static void malformed_records_end_with_an_alert(void **state)
{
	static const char short_hello[] = "\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03";
	static const char too_long[] = "\x16\x03\x01\xff\xff\x01\x00\x00\x02\x03\x03";
	static const char no_hello[] = "\x16\x03\x03\x00\x04\x14\x00\x00\x00";
	static const struct rc_str bad[] = {{short_hello, 11}, {too_long, 11}, {no_hello, 9}};
	struct rc_tls_handshake h;
	ssize_t answered;
	char answer[64];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		assert_int_equal(after_bytes(&h, bad[i].ptr, bad[i].len, false, answer, &answered),
			RC_TLS_FAILED);
		assert_int_equal(h.failure, RC_TLS_FAILED_PROTOCOL);
		assert_int_equal(answered, 7);
		assert_int_equal(answer[0], 21);
	}
}

static void a_client_that_mistrusts_us_is_counted_as_such(void **state)
{
	struct shake s;

	(void)state;
	shake_open(&s, with_ec, &(struct shake_want){0});
	SSL_set_verify(s.client, SSL_VERIFY_PEER, NULL);
	assert_int_equal(shake_run(&s), RC_TLS_FAILED);
	assert_int_equal(s.h.failure, RC_TLS_FAILED_ALERT);
	shake_close(&s);
}

static void a_client_that_goes_away_is_counted_as_such(void **state)
{
	(void)state;
	for (size_t v = 0; v < RC_ARRAY_LEN(both); v++) {
		struct shake s;

		shake_open(&s, with_ec, &both[v]);
		(void)SSL_do_handshake(s.client);
		shake_step(&s);
		assert_int_equal(s.step, RC_TLS_WANTS_READ);
		assert_int_equal(shutdown(s.fd[1], SHUT_RDWR), 0);
		shake_step(&s);
		assert_int_equal(s.step, RC_TLS_FAILED);
		assert_int_equal(s.h.failure, RC_TLS_FAILED_CLOSED);
		shake_close(&s);
	}
}

/* A reload: the old certificates are let go while somebody still shakes hands with them. */
static void a_handshake_outlives_its_context(void **state)
{
	struct shake s;

	(void)state;
	struct rc_tls_context *c = open_context((struct rc_tls_options){
		.certificate = certs_path("ec.pem"), .folder = certs_path("more")});
	shake_open(&s, c, &(struct shake_want){.sni = "one.example"});
	(void)SSL_do_handshake(s.client);
	rc_tls_context_close(c);
	assert_int_equal(shake_run(&s), RC_TLS_DONE);
	talk(&s);
	shake_close(&s);
}

static void *shard(void *failed)
{
	struct shake_want w = {.sni = "one.example"};

	for (int i = 0; i < 25; i++) {
		struct shake s;

		w.version = i % 2 ? TLS1_3_VERSION : TLS1_2_VERSION;
		shake_open(&s, with_ec, &w);
		*(bool *)failed = *(bool *)failed || shake_run(&s) != RC_TLS_DONE;
		shake_close(&s);
	}
	return NULL;
}

static void shards_share_a_context_while_keys_rotate(void **state)
{
	pthread_t thread[3];
	bool failed[3] = {false};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, shard, &failed[i]), 0);
	for (uint64_t i = 0; i < 100; i++)
		assert_true(rc_tls_tickets_rotate(tickets, 1000000000 + i * 3600));
	for (size_t i = 0; i < RC_ARRAY_LEN(thread); i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_false(failed[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_fit_for_every_version_cipher_and_kind_of_key),
		cmocka_unit_test(secrets_are_wiped_when_it_is_done_and_all_when_it_ends),
		cmocka_unit_test(nothing_behind_finished_is_taken_off_the_socket),
		cmocka_unit_test(every_write_may_have_to_wait),
		cmocka_unit_test(a_session_is_resumed_in_another_context_with_the_same_tickets),
		cmocka_unit_test(a_session_outlives_one_rotation_and_not_its_lifetime),
		cmocka_unit_test(a_ticket_of_an_older_key_is_renewed),
		cmocka_unit_test(a_session_is_not_resumed_at_another_name_or_port),
		cmocka_unit_test(the_name_chooses_the_certificate),
		cmocka_unit_test(http_11_is_agreed_on_and_others_are_refused),
		cmocka_unit_test(a_staple_is_given_to_those_who_ask_until_it_ends),
		cmocka_unit_test(aes_128_comes_first_but_for_clients_that_put_chacha_first),
		cmocka_unit_test(what_is_not_in_common_is_told_apart),
		cmocka_unit_test(a_hello_retry_request_leads_to_the_same_end),
		cmocka_unit_test(early_data_is_passed_over),
		cmocka_unit_test(a_client_certificate_is_an_identity_and_stays_one_when_resumed),
		cmocka_unit_test(an_expired_client_certificate_is_not_resumed),
		cmocka_unit_test(bad_client_certificates_are_refused),
		cmocka_unit_test(a_session_does_not_lead_around_the_certificate),
		cmocka_unit_test(plain_text_is_left_alone_and_not_answered),
		cmocka_unit_test(a_cut_hello_is_waited_for_and_its_end_is_a_close),
		cmocka_unit_test(malformed_records_end_with_an_alert),
		cmocka_unit_test(a_client_that_mistrusts_us_is_counted_as_such),
		cmocka_unit_test(a_client_that_goes_away_is_counted_as_such),
		cmocka_unit_test(a_handshake_outlives_its_context),
		cmocka_unit_test(shards_share_a_context_while_keys_rotate),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
