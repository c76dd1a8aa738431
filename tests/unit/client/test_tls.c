/* SPDX-License-Identifier: Apache-2.0
 *
 * libringcast over TLS against OpenSSL's server: who is trusted, what is said when nobody is, and that no event is lost
 * whatever TLS does underneath.
 */
#include "scripted_gateway.h"
#include "pki.h"

static struct ringcast_options tls_options_for(const struct gateway *g, struct seen *seen)
{
	struct ringcast_options o = options_for(g, seen);

	o.host = "tls://127.0.0.1";
	o.tls_ca = pki.ca;
	return o;
}

static struct gateway *start(void (*script)(struct gateway *g))
{
	return gateway_start_tls(script, pki_server(&pki.server));
}

/* Until a try has come to nothing, so that there are words. */
static void poll_until_told(struct ringcast *r, const struct seen *seen)
{
	while (seen->waiting == 0)
		assert_int_equal(ringcast_poll(r, PATIENCE_MS), RINGCAST_OK);
}

#define assert_said(r, words)                                                           \
	do {                                                                            \
		if (!strstr(ringcast_last_error(r), words))                             \
			fail_msg("'%s' is not in '%s'", words, ringcast_last_error(r)); \
	} while (0)

/* ---- events ------------------------------------------------------------------------------------ */

static void break_and_resume(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	expect(g, !SSL_session_reused(g->ssl));
	gateway_publish(g, 1);
	gateway_ack(g, 1);
	gateway_publish(g, 2);
	/* Without a good-bye of any kind. */
	gateway_hang_up(g);
	gateway_greet(g, 1, 100);
	expect(g, SSL_session_reused(g->ssl));
	gateway_publish(g, 2);
	gateway_ack(g, 2);
	gateway_publish(g, 3);
	/* With one. */
	(void)SSL_shutdown(g->ssl);
	gateway_hang_up(g);
	gateway_greet(g, 2, 100);
	expect(g, SSL_session_reused(g->ssl));
	gateway_publish(g, 3);
	gateway_ack(g, 3);
	gateway_until_gone(g);
	expect(g, (SSL_get_shutdown(g->ssl) & SSL_RECEIVED_SHUTDOWN) != 0);
}

static void reconnect(int version)
{
	SSL_CTX *context = pki_server(&pki.server);
	struct gateway *g;
	struct seen seen;
	struct ringcast_options o;
	struct ringcast *r;

	SSL_CTX_set_max_proto_version(context, version);
	g = gateway_start_tls(break_and_resume, context);
	o = tls_options_for(g, &seen);
	o.publisher = "p";
	r = opened(&o);
	published(r, "x");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	published(r, "y");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_said(r, "without ending TLS");
	published(r, "z");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_string_equal(ringcast_last_error(r), "the server closed the connection");
	ringcast_close(r);
	gateway_stop(g);
}

static void connection_that_breaks_comes_back_with_its_session_in_tls_1_3(void **state)
{
	(void)state;
	reconnect(TLS1_3_VERSION);
}

static void connection_that_breaks_comes_back_with_its_session_in_tls_1_2(void **state)
{
	(void)state;
	reconnect(TLS1_2_VERSION);
}

/* Takes each sequence once, and breaks the connection every so often, with events unread in it. */
static void be_unreliable(struct gateway *g)
{
	uint64_t taken = 0;

	while (taken < 2000) {
		uint64_t life = 0;

		gateway_greet(g, taken, 64);
		expect(g, (SSL_session_reused(g->ssl) != 0) == (g->note > 0));
		g->note++;
		while (taken < 2000 && ++life < 5 + g->note * 7 % 90) {
			gateway_publish(g, ++taken);
			if (taken % 10 == 0)
				gateway_ack(g, taken);
		}
		if (taken < 2000)
			gateway_hang_up(g);
	}
	gateway_ack(g, taken);
	gateway_until_gone(g);
}

static void each_event_arrives_once_over_many_broken_connections(void **state)
{
	struct gateway *g = start(be_unreliable);
	struct seen seen;
	struct ringcast_options o = tls_options_for(g, &seen);
	struct ringcast *r;
	char data[200];

	(void)state;
	memset(data, 'd', sizeof(data));
	o.publisher = "steady";
	o.window_bytes = 5000;
	o.window_events = 100;
	r = opened(&o);
	for (uint64_t i = 1; i <= 2000; i++)
		assert_int_equal(
			ringcast_publish(r, "c", "e", data, i % 200, 0, NULL), RINGCAST_OK);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_true(seen.ready > 20);
	assert_int_equal(seen.acked[seen.acks - 1], 2000);
	ringcast_close(r);
	gateway_stop(g);
}

#define LARGE      500000
#define LARGE_ONES 16
#define SMALL_ONES 600

static char large_byte(size_t i)
{
	return (char)('a' + i % 23);
}

static void ping(struct gateway *g, uint64_t token)
{
	unsigned char out[RC_INGEST_ANSWER_MAX];

	gateway_send(g, out, rc_ingest_ping_encode(out, sizeof(out), token));
}

/* The next event. PONGs come between two frames, wherever the client was when it was asked; they are counted. */
static uint64_t next_event(struct gateway *g)
{
	struct rc_ingest_publish event;
	struct rc_ingest_frame frame;
	uint64_t token;

	while (true) {
		expect(g, gateway_frame(g, &frame));
		if (frame.type != RINGCAST_FRAME_PONG)
			break;
		expect(g, rc_ingest_ping_parse(frame.body, &token) == 0 && token == ++g->note);
	}
	expect(g, frame.type == RINGCAST_FRAME_PUBLISH);
	expect(g, rc_ingest_publish_parse(frame.body, frame.flags, &event) == 0);
	if (event.sequence > LARGE_ONES)
		return event.sequence;
	expect(g, event.payload.len == LARGE);
	for (size_t i = 0; i < event.payload.len; i++)
		expect(g, event.payload.ptr[i] == large_byte(i));
	return event.sequence;
}

/* Asks, and changes keys, while the client has more to send than goes; answers with more than the client reads at once. */
static void read_late(struct gateway *g)
{
	static unsigned char many[64 << 10];
	struct rc_ingest_nack nack = {0, 1, RC_STR("a text that makes each of these frames long")};
	size_t len = 0;

	gateway_greet(g, 0, 1000);
	ping(g, 1);
	for (uint64_t i = 1; i <= LARGE_ONES + SMALL_ONES; i++) {
		if (i == 4 || i == 8) {
			expect(g, SSL_key_update(g->ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
			ping(g, 1 + i / 4);
		}
		expect(g, next_event(g) == i);
	}
	while (g->note < 3) {
		struct rc_ingest_frame frame = gateway_expect(g, RINGCAST_FRAME_PONG);
		uint64_t token;

		expect(g, rc_ingest_ping_parse(frame.body, &token) == 0 && token == ++g->note);
	}
	for (nack.sequence = LARGE_ONES + 1; nack.sequence <= LARGE_ONES + SMALL_ONES;
		nack.sequence++)
		len += rc_ingest_nack_encode(many + len, sizeof(many) - len, &nack);
	/* In records of 16 KiB: a frame begins in one and ends in the next. */
	gateway_send(g, many, len);
	gateway_ack(g, LARGE_ONES);
	gateway_until_gone(g);
}

static void large_frames_and_many_answers_go_over_many_records_and_new_keys(void **state)
{
	static char data[LARGE];
	struct gateway *g = start(read_late);
	struct seen seen;
	struct ringcast_options o = tls_options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = large_byte(i);
	o.window_bytes = (size_t)10 << 20;
	r = opened(&o);
	for (int i = 0; i < LARGE_ONES; i++)
		assert_int_equal(
			ringcast_publish(r, "c", "e", data, sizeof(data), 0, NULL), RINGCAST_OK);
	for (int i = 0; i < SMALL_ONES; i++)
		published(r, "x");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(seen.nacks, SMALL_ONES);
	assert_int_equal(ringcast_acked(r), LARGE_ONES + SMALL_ONES);
	assert_int_equal(seen.ready, 1);
	ringcast_close(r);
	gateway_stop(g);
}

static void acknowledge_ten(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	for (uint64_t i = 1; i <= 10; i++) {
		gateway_publish(g, i);
		gateway_ack(g, i);
	}
	gateway_until_gone(g);
}

static void loop_of_the_caller_can_drive_it(void **state)
{
	struct gateway *g = start(acknowledge_ten);
	struct seen seen;
	struct ringcast_options o = tls_options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	o.coalesce_bytes = 1 << 20;
	r = opened(&o);
	for (int i = 0; i < 10; i++)
		published(r, "x");
	drive_until_acked(r);
	assert_int_equal(ringcast_acked(r), 10);
	ringcast_close(r);
	gateway_stop(g);
}

static void ask_to_negotiate_again(struct gateway *g)
{
	unsigned char out[RC_INGEST_ANSWER_MAX];

	gateway_greet(g, 0, 100);
	gateway_publish(g, 1);
	expect(g, SSL_renegotiate(g->ssl) == 1);
	/* The request leaves with this; the client says no. What OpenSSL's server makes of that is its business. */
	(void)SSL_write(g->ssl, out, (int)rc_ingest_ping_encode(out, sizeof(out), 1));
	(void)SSL_read(g->ssl, g->in, sizeof(g->in));
	gateway_hang_up(g);
	gateway_greet(g, 1, 100);
	gateway_publish(g, 2);
	gateway_ack(g, 2);
	gateway_until_gone(g);
}

static void renegotiation_is_refused_and_loses_nothing(void **state)
{
	SSL_CTX *context = pki_server(&pki.server);
	struct gateway *g;
	struct seen seen;
	struct ringcast_options o;
	struct ringcast *r;

	(void)state;
	SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	g = gateway_start_tls(ask_to_negotiate_again, context);
	o = tls_options_for(g, &seen);
	o.publisher = "p";
	r = opened(&o);
	published(r, "x");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	published(r, "y");
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
}

/* ---- who is trusted ---------------------------------------------------------------------------- */

static const char *expected_alert;

/* The client refuses; then, so that the test ends with the right one, it comes again and is greeted. */
static void be_refused_once(struct gateway *g)
{
	gateway_accept_tcp(g);
	expect(g, gateway_shake(g) != 1);
	expect(g, strcmp(SSL_alert_desc_string_long(
				 ERR_GET_REASON(ERR_peek_error()) - SSL_AD_REASON_OFFSET),
			  expected_alert) == 0);
	/* Certificates are renewed. */
	expect(g, SSL_CTX_use_certificate(g->context, pki.server.certificate) == 1);
	expect(g, SSL_CTX_use_PrivateKey(g->context, pki.server.key) == 1);
	gateway_greet(g, 0, 100);
	expect(g, strcmp(g->token, "secret") == 0);
	gateway_publish(g, 1);
	gateway_ack(g, 1);
	gateway_until_gone(g);
}

static void is_refused(struct pki_pair p, const char *name, const char *alert, const char *words)
{
	SSL_CTX *context = pki_server(&p);
	struct gateway *g;
	struct seen seen;
	struct ringcast_options o;
	struct ringcast *r;

	expected_alert = alert;
	g = gateway_start_tls(be_refused_once, context);
	o = tls_options_for(g, &seen);
	o.host = name;
	o.token = "secret";
	r = opened(&o);
	published(r, "x");
	poll_until_told(r, &seen);
	/* The name may have another address too, with nobody there. */
	for (int turns = 0; strstr(ringcast_last_error(r), "connecting: "); turns++) {
		assert_true(turns < 1000);
		assert_int_equal(ringcast_poll(r, PATIENCE_MS), RINGCAST_OK);
	}
	assert_said(r, "the server's certificate is not accepted: ");
	assert_said(r, words);
	assert_int_equal(seen.ready, 0);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
	pki_free(&p);
}

static void certificate_that_nobody_signed_is_refused_with_words(void **state)
{
	(void)state;
	is_refused(pki_issue("gateway", "DNS:localhost,IP:127.0.0.1", -PKI_DAY, PKI_DAY, NULL),
		"tls://localhost", "unknown CA", "self-signed certificate");
}

static void certificate_of_another_name_is_refused_with_words(void **state)
{
	(void)state;
	is_refused(
		pki_issue("localhost", "DNS:elsewhere.example", -PKI_DAY, PKI_DAY, &pki.authority),
		"tls://localhost", "bad certificate",
		"hostname mismatch, it is not for 'localhost'");
}

static void certificate_of_another_address_is_refused_with_words(void **state)
{
	(void)state;
	is_refused(pki_issue("127.0.0.1", "IP:127.0.0.2", -PKI_DAY, PKI_DAY, &pki.authority),
		"tls://127.0.0.1", "bad certificate",
		"IP address mismatch, it is not for '127.0.0.1'");
}

static void certificate_that_is_over_is_refused_with_words(void **state)
{
	(void)state;
	is_refused(pki_issue("gateway", "IP:127.0.0.1", -2 * PKI_DAY, -PKI_DAY, &pki.authority),
		"tls://127.0.0.1", "certificate expired", "certificate has expired");
}

static void greet_and_wait(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	gateway_until_gone(g);
}

/* Ready at the first try? */
static void is_taken(struct gateway *g, const struct ringcast_options *o, struct seen *seen)
{
	struct ringcast *r = opened(o);

	assert_int_equal(ringcast_wait_ready(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(seen->waiting, 0);
	ringcast_close(r);
	gateway_stop(g);
}

static void asked_for_elsewhere(struct gateway *g)
{
	gateway_greet(g, 0, 100);
	expect(g, strcmp(SSL_get_servername(g->ssl, TLSEXT_NAMETYPE_host_name),
			  "a.elsewhere.example") == 0);
	gateway_until_gone(g);
}

static void name_that_is_given_is_asked_for_and_looked_for(void **state)
{
	struct pki_pair p =
		pki_issue("x", "DNS:*.elsewhere.example", -PKI_DAY, PKI_DAY, &pki.authority);
	struct gateway *g = gateway_start_tls(asked_for_elsewhere, pki_server(&p));
	struct seen seen;
	struct ringcast_options o = tls_options_for(g, &seen);

	(void)state;
	o.tls_name = "a.elsewhere.example";
	is_taken(g, &o, &seen);
	pki_free(&p);
}

static void whoever_trusts_anybody_must_say_so_and_then_does(void **state)
{
	struct pki_pair p = pki_issue("x", "DNS:x", -2 * PKI_DAY, -PKI_DAY, NULL);
	struct gateway *g = gateway_start_tls(greet_and_wait, pki_server(&p));
	struct seen seen;
	struct ringcast_options o = tls_options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	o.tls_ca = NULL;
	o.tls_insecure = 1;
	assert_int_equal(ringcast_open(&r, &o), RINGCAST_INVALID);
	o.tls_insecure = RINGCAST_TLS_TRUST_ANYBODY;
	is_taken(g, &o, &seen);
	pki_free(&p);
}

static void authority_of_the_system_is_the_default(void **state)
{
	struct gateway *g = start(greet_and_wait);
	struct seen seen;
	struct ringcast_options o = tls_options_for(g, &seen);

	(void)state;
	/* Where OpenSSL looks for the system's. */
	assert_int_equal(setenv("SSL_CERT_FILE", pki.ca, 1), 0);
	o.tls_ca = NULL;
	is_taken(g, &o, &seen);
	unsetenv("SSL_CERT_FILE");
}

static void look_at_the_client(struct gateway *g)
{
	char cn[32];
	X509 *certificate;

	gateway_greet(g, 0, 100);
	certificate = SSL_get1_peer_certificate(g->ssl);
	expect(g, certificate);
	X509_NAME_get_text_by_NID(
		X509_get_subject_name(certificate), NID_commonName, cn, sizeof(cn));
	X509_free(certificate);
	expect(g, strcmp(cn, "billing-1") == 0);
	gateway_until_gone(g);
}

static SSL_CTX *asking_server(void)
{
	SSL_CTX *context = pki_server(&pki.server);

	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	assert_int_equal(SSL_CTX_load_verify_locations(context, pki.ca, NULL), 1);
	return context;
}

static void certificate_of_the_client_is_shown_to_a_server_that_asks(void **state)
{
	struct pki_pair p = pki_issue("billing-1", "", -PKI_DAY, PKI_DAY, &pki.authority);
	struct gateway *g = gateway_start_tls(look_at_the_client, asking_server());
	struct seen seen;
	struct ringcast_options o = tls_options_for(g, &seen);

	(void)state;
	pki_write(&p, pki.file, NULL);
	o.tls_certificate = pki.file;
	is_taken(g, &o, &seen);
	pki_free(&p);
}

static void know_the_certificate(struct gateway *g)
{
	gateway_greet(g, 41, 100);
	expect(g, g->publisher[0] == 0);
	gateway_publish(g, 42);
	gateway_publish(g, 43);
	gateway_ack(g, 42);
	gateway_hang_up(g);
	gateway_greet(g, 43, 100);
	expect(g, g->last_known == 42);
	gateway_publish(g, 44);
	gateway_ack(g, 44);
	gateway_until_gone(g);
}

/* Or the first events of a second process would be taken for those of the first, and thrown away. */
static void who_is_known_by_a_certificate_goes_on_behind_what_the_gateway_holds(void **state)
{
	struct pki_pair p = pki_issue("billing-1", "", -PKI_DAY, PKI_DAY, &pki.authority);
	struct gateway *g = gateway_start_tls(know_the_certificate, asking_server());
	struct seen seen;
	struct ringcast_options o = tls_options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	pki_write(&p, pki.file, NULL);
	o.tls_certificate = pki.file;
	r = opened(&o);
	assert_int_equal(published(r, "a"), 42);
	assert_int_equal(published(r, "b"), 43);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	assert_int_equal(published(r, "c"), 44);
	assert_int_equal(ringcast_flush(r, PATIENCE_MS), RINGCAST_OK);
	ringcast_close(r);
	gateway_stop(g);
	pki_free(&p);
}

static void shake_and_fail(struct gateway *g)
{
	gateway_accept_tcp(g);
	expect(g, gateway_shake(g) != 1);
	gateway_hang_up(g);
}

static void client_without_a_certificate_is_told_that_one_is_wanted(void **state)
{
	struct gateway *g = gateway_start_tls(shake_and_fail, asking_server());
	struct seen seen;
	struct ringcast_options o = tls_options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	o.backoff_max_ms = o.backoff_min_ms = 1000000;
	r = opened(&o);
	poll_until_told(r, &seen);
	assert_said(r, "the server ended TLS: ");
	assert_said(r, "certificate required");
	ringcast_close(r);
	gateway_stop(g);
}

/* ---- servers that are none --------------------------------------------------------------------- */

static void told_after(void (*script)(struct gateway *g), int timeout_ms, const char *words)
{
	struct gateway *g = start(script);
	struct seen seen;
	struct ringcast_options o = tls_options_for(g, &seen);
	struct ringcast *r;

	o.backoff_max_ms = o.backoff_min_ms = 1000000;
	o.connect_timeout_ms = timeout_ms;
	r = opened(&o);
	poll_until_told(r, &seen);
	assert_said(r, words);
	assert_int_equal(ringcast_state(r), RINGCAST_STATE_WAITING);
	ringcast_close(r);
	gateway_stop(g);
}

static void speak_plain(struct gateway *g)
{
	gateway_accept_tcp(g);
	gateway_error(g, RINGCAST_ERROR_BAD_FRAME, "what is this");
	/* Until it has gone. */
	while (recv(g->fd, g->in, sizeof(g->in), 0) > 0)
		;
}

static void server_without_tls_is_told(void **state)
{
	(void)state;
	told_after(speak_plain, PATIENCE_MS, "what answers there does not speak TLS");
}

static void hang_up_at_once(struct gateway *g)
{
	gateway_accept_tcp(g);
	expect(g, recv(g->fd, g->in, 5, 0) == 5);
	(void)shutdown(g->fd, SHUT_WR);
	while (recv(g->fd, g->in, sizeof(g->in), 0) > 0)
		;
}

static void server_that_closes_in_the_handshake_is_told(void **state)
{
	(void)state;
	told_after(hang_up_at_once, PATIENCE_MS, "the server hung up in the TLS handshake");
}

static void reset_at_once(struct gateway *g)
{
	gateway_accept_tcp(g);
	/* The hello is not read, so this resets. */
	expect(g, recv(g->fd, g->in, 1, 0) == 1);
	gateway_hang_up(g);
}

static void server_that_resets_in_the_handshake_is_told(void **state)
{
	(void)state;
	told_after(reset_at_once, PATIENCE_MS, "in the TLS handshake");
}

static void say_nothing(struct gateway *g)
{
	gateway_accept_tcp(g);
	while (recv(g->fd, g->in, sizeof(g->in), 0) > 0)
		;
}

static void server_that_stalls_in_the_handshake_is_left(void **state)
{
	(void)state;
	told_after(say_nothing, 50, "the TLS handshake was not done in time");
}

static void garble_a_record(struct gateway *g)
{
	static const unsigned char forged[] = {23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
		12, 13, 14, 15, 16, 17, 18, 19, 20};

	gateway_greet(g, 0, 100);
	expect(g, send(g->fd, forged, sizeof(forged), MSG_NOSIGNAL) == sizeof(forged));
	(void)SSL_read(g->ssl, g->in, sizeof(g->in));
	gateway_hang_up(g);
}

static void forged_record_ends_the_connection(void **state)
{
	(void)state;
	told_after(garble_a_record, PATIENCE_MS, "TLS: ");
}

static void send_an_alert(struct gateway *g)
{
	static const unsigned char alert[] = {21, 3, 3, 0, 2, 2, 70};

	gateway_accept_tcp(g);
	gateway_read_hello(g);
	gateway_send(g, alert, sizeof(alert));
	gateway_hang_up(g);
}

static void client_without_tls_is_told_that_the_server_has_it(void **state)
{
	struct gateway *g = gateway_start(send_an_alert);
	struct seen seen;
	struct ringcast_options o = options_for(g, &seen);
	struct ringcast *r;

	(void)state;
	o.backoff_max_ms = o.backoff_min_ms = 1000000;
	r = opened(&o);
	poll_until_told(r, &seen);
	assert_said(r, "tls://");
	ringcast_close(r);
	gateway_stop(g);
}

/* ---- options ----------------------------------------------------------------------------------- */

static char open_said[256];

static void keep_words(void *user, enum ringcast_state state, const char *text)
{
	(void)user;
	assert_int_equal(state, RINGCAST_STATE_FAILED);
	snprintf(open_said, sizeof(open_said), "%s", text);
}

static struct ringcast_options plain_options(void)
{
	struct ringcast_options o;

	ringcast_options_init(&o, sizeof(o));
	o.host = "tls://127.0.0.1:1";
	return o;
}

static void open_refuses(const struct ringcast_options *given, const char *path, const char *words)
{
	struct ringcast_options o = *given;
	struct ringcast *r = NULL;

	o.state = keep_words;
	open_said[0] = 0;
	assert_int_equal(ringcast_open(&r, &o), RINGCAST_TLS);
	assert_null(r);
	if (!strstr(open_said, path) || !strstr(open_said, words))
		fail_msg("'%s' does not say '%s' and '%s'", open_said, path, words);
}

static void file_that_cannot_be_used_is_named(void **state)
{
	struct pki_pair p = pki_issue("x", "", -PKI_DAY, PKI_DAY, &pki.authority);
	struct ringcast_options o = plain_options();

	(void)state;
	o.tls_ca = "/nowhere/ca.pem";
	open_refuses(&o, "/nowhere/ca.pem: ", "No such file");
	o.tls_ca = "/dev/null";
	open_refuses(&o, "/dev/null: ", "no certificate");
	o.tls_ca = NULL;
	o.tls_certificate = "/nowhere/cert.pem";
	open_refuses(&o, "/nowhere/cert.pem: ", "No such file");
	o.tls_certificate = pki.ca;
	pki_write(&p, pki.file, NULL);
	o.tls_key = pki.file;
	open_refuses(&o, pki.file, "key values mismatch");
	/* Nobody is asked for it on a terminal. */
	pki_write(&p, pki.file, "secret");
	o.tls_certificate = pki.file;
	o.tls_key = NULL;
	open_refuses(&o, pki.file, "passphrase");
	o.tls_key = "/dev/null";
	open_refuses(&o, "/dev/null: ", "no private key");
	pki_free(&p);
}

static void options_of_tls_without_tls_are_refused(void **state)
{
	struct ringcast_options o = plain_options();
	struct ringcast *r;

	(void)state;
	o.tls_key = "key.pem";
	assert_int_equal(ringcast_open(&r, &o), RINGCAST_INVALID);
	o.tls_key = NULL;
	o.tls_name = "";
	assert_int_equal(ringcast_open(&r, &o), RINGCAST_INVALID);
	o.tls_name = NULL;
	o.host = "127.0.0.1:1";
	o.tls_ca = pki.ca;
	assert_int_equal(ringcast_open(&r, &o), RINGCAST_INVALID);
	o.tls_ca = NULL;
	o.tls_insecure = RINGCAST_TLS_TRUST_ANYBODY;
	assert_int_equal(ringcast_open(&r, &o), RINGCAST_INVALID);
	o.tls_insecure = 0;
	o.host = "tls://127.0.0.1";
	assert_int_equal(ringcast_open(&r, &o), RINGCAST_INVALID);
	o.port = 1;
	assert_int_equal(ringcast_open(&r, &o), RINGCAST_OK);
	ringcast_close(r);
	/* Who was compiled with an older header has none of the options. */
	o.size = offsetof(struct ringcast_options, tls_ca);
	assert_int_equal(ringcast_open(&r, &o), RINGCAST_OK);
	ringcast_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connection_that_breaks_comes_back_with_its_session_in_tls_1_3),
		cmocka_unit_test(connection_that_breaks_comes_back_with_its_session_in_tls_1_2),
		cmocka_unit_test(each_event_arrives_once_over_many_broken_connections),
		cmocka_unit_test(large_frames_and_many_answers_go_over_many_records_and_new_keys),
		cmocka_unit_test(loop_of_the_caller_can_drive_it),
		cmocka_unit_test(renegotiation_is_refused_and_loses_nothing),
		cmocka_unit_test(certificate_that_nobody_signed_is_refused_with_words),
		cmocka_unit_test(certificate_of_another_name_is_refused_with_words),
		cmocka_unit_test(certificate_of_another_address_is_refused_with_words),
		cmocka_unit_test(certificate_that_is_over_is_refused_with_words),
		cmocka_unit_test(name_that_is_given_is_asked_for_and_looked_for),
		cmocka_unit_test(whoever_trusts_anybody_must_say_so_and_then_does),
		cmocka_unit_test(authority_of_the_system_is_the_default),
		cmocka_unit_test(certificate_of_the_client_is_shown_to_a_server_that_asks),
		cmocka_unit_test(
			who_is_known_by_a_certificate_goes_on_behind_what_the_gateway_holds),
		cmocka_unit_test(client_without_a_certificate_is_told_that_one_is_wanted),
		cmocka_unit_test(server_without_tls_is_told),
		cmocka_unit_test(server_that_closes_in_the_handshake_is_told),
		cmocka_unit_test(server_that_resets_in_the_handshake_is_told),
		cmocka_unit_test(server_that_stalls_in_the_handshake_is_left),
		cmocka_unit_test(forged_record_ends_the_connection),
		cmocka_unit_test(client_without_tls_is_told_that_the_server_has_it),
		cmocka_unit_test(file_that_cannot_be_used_is_named),
		cmocka_unit_test(options_of_tls_without_tls_are_refused),
	};

	return cmocka_run_group_tests(tests, pki_set_up, pki_tear_down);
}
