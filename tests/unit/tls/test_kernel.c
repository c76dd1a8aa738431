/* SPDX-License-Identifier: Apache-2.0
 *
 * From our handshake to the kernel: OpenSSL's client at the other end of a TCP connection never learns who makes the records.
 * Skipped, with the reason, where the kernel has no TLS; the VMs have it.
 */
#include "shake.h"

#include "../io/rings.h"
#include "io/ktls.h"

static struct cert cert;
static struct rc_tls_tickets *tickets;
static struct rc_tls_context *context;
static struct ring ring;

static const char *const names_13[] = {
	"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};
static const char *const names_12[] = {"ECDHE-ECDSA-AES128-GCM-SHA256",
	"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"};

static int setup(void **state)
{
	struct rc_error err = {{0}};

	(void)state;
	certs_open_dir();
	cert = certs_make(&(struct cert_want){.cn = "x", .san = "DNS:ec.example"});
	(void)certs_write_both("ec.pem", &cert);
	tickets = rc_tls_tickets_open(3600);
	assert_non_null(tickets);
	struct rc_tls_options o = {.certificate = certs_path("ec.pem"),
		.key = "",
		.folder = "",
		.ocsp = "",
		.client_ca = ""};
	if (rc_tls_context_open(&context, &o, tickets, &err) != 0)
		fail_msg("%s", err.text);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rc_tls_context_close(context);
	rc_tls_tickets_close(tickets);
	certs_free(&cert);
	certs_remove_dir();
	return 0;
}

static int close_ring(void **state)
{
	(void)state;
	if (ring.io)
		ring_close(&ring);
	return 0;
}

static void begin(void)
{
	struct rc_ktls_ability a;

	rc_ktls_probe(&a);
	if (!a.any && getenv("RINGCAST_TEST_KTLS"))
		fail_msg("RINGCAST_TEST_KTLS is set, but: %s", a.why_not);
	if (!a.any) {
		print_message("skipped: %s\n", a.why_not);
		skip();
	}
	ring_open(&ring, &rings_options);
}

/* 1.2's explicit nonce is counted up from where a side begins; the kernel is told the next one. */
static struct rc_ktls_key of(
	const struct rc_tls_keys *k, const struct rc_tls_direction *d, uint8_t iv[RC_TLS_IV])
{
	static const enum rc_ktls_cipher ciphers[RC_TLS_CIPHERS] = {
		RC_KTLS_AES_128_GCM, RC_KTLS_AES_256_GCM, RC_KTLS_CHACHA20_POLY1305};

	memcpy(iv, d->iv, RC_TLS_IV);
	if (k->version == RC_TLS_1_2 && k->cipher != RC_TLS_CHACHA20_POLY1305) {
		uint64_t carry = d->sequence;
		for (int i = RC_TLS_IV - 1; i >= 4; i--, carry >>= 8) {
			carry += iv[i];
			iv[i] = (uint8_t)carry;
		}
	}
	return (struct rc_ktls_key){.tls13 = k->version == RC_TLS_1_3,
		.cipher = ciphers[k->cipher],
		.key = d->key,
		.iv = iv,
		.sequence = d->sequence};
}

static void engaged(struct shake *s, struct shake_want w)
{
	uint8_t iv[2][RC_TLS_IV];
	int listener = ring_listener();

	memset(s, 0, sizeof(*s));
	s->fd[1] = ring_connect(listener);
	s->fd[0] = ring_accept(listener, SOCK_NONBLOCK);
	(void)close(listener);
	assert_int_equal(fcntl(s->fd[1], F_SETFL, O_NONBLOCK), 0);
	shake_client(s, &w);
	assert_int_equal(rc_tls_handshake_begin(&s->h, context, w.port, s->fd[0]), 0);
	s->step = RC_TLS_WANTS_READ;
	if (shake_run(s) != RC_TLS_DONE)
		fail_msg("failed: %s", s->h.why);
	/* Before the kernel knows the keys. */
	assert_int_equal(SSL_write(s->client, "early", 5), 5);
	struct rc_ktls_key send = of(&s->h.keys, &s->h.keys.send, iv[0]);
	struct rc_ktls_key receive = of(&s->h.keys, &s->h.keys.receive, iv[1]);
	assert_int_equal(rc_ktls_engage(s->fd[0], &send, &receive), 0);
	ring_forget(&ring);
	rc_io_recv(ring.io, s->fd[0], (struct rc_io_tag){1, 1}, RC_IO_SMALL, RC_IO_RECORDS);
	ring_until(&ring, ring_has_bytes, 5);
	assert_memory_equal(ring.data, "early", 5);
	assert_int_equal(ring.event[0].record, RC_TLS_DATA);
	ring_forget(&ring);
}

/* Both ends are on this machine, so what was sent is there at once or soon. */
static int client_reads(struct shake *s, void *bytes, int size)
{
	uint64_t end = rc_clock_mono_ns() + RINGS_PATIENCE_NS;

	for (;;) {
		int n = SSL_read(s->client, bytes, size);
		if (n > 0)
			return n;
		int why = SSL_get_error(s->client, n);
		ERR_clear_error();
		if (why == SSL_ERROR_ZERO_RETURN)
			return 0;
		assert_int_equal(why, SSL_ERROR_WANT_READ);
		assert_true(rc_clock_mono_ns() < end);
	}
}

static void sends(struct shake *s, const void *bytes, uint32_t len)
{
	uint32_t before = ring.count;

	rc_io_send(ring.io, s->fd[0], (struct rc_io_tag){1, 2}, bytes, len);
	ring_until(&ring, ring_has, before + 1);
	assert_int_equal(ring.event[before].res, (int32_t)len);
}

static void goodbye(struct shake *s)
{
	static const char close_notify[2] = {1, 0};
	char byte;

	assert_int_equal(rc_ktls_send_record(s->fd[0], RC_TLS_ALERT, close_notify, 2), 0);
	assert_int_equal(client_reads(s, &byte, 1), 0);
	assert_int_equal(
		SSL_get_shutdown(s->client) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
}

static void ended(struct shake *s)
{
	uint32_t i = ring.count;

	(void)shutdown(s->fd[1], SHUT_WR);
	/* Of the receive that is still armed. */
	ring_until(&ring, ring_has, i + 1);
	while (ring.event[ring.count - 1].res != 0)
		ring_until(&ring, ring_has, ring.count + 1);
	shake_close(s);
}

static void talk(struct shake *s)
{
	static unsigned char big[40000], got[40000];

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (unsigned char)(i * 7 + i / 256);
	for (int i = 0; i < 20; i++) {
		sends(s, "hello", 5);
		assert_int_equal(client_reads(s, got, sizeof(got)), 5);
		assert_memory_equal(got, "hello", 5);
	}
	sends(s, big, sizeof(big));
	for (size_t at = 0; at < sizeof(big);)
		at += (size_t)client_reads(s, got + at, (int)(sizeof(got) - at));
	assert_memory_equal(got, big, sizeof(big));
	ring_forget(&ring);
	for (uint32_t i = 1; i <= 30; i++) {
		assert_int_equal(SSL_write(s->client, "ping", 4), 4);
		ring_until(&ring, ring_has_bytes, (uint64_t)i * 4);
		assert_int_equal(ring.event[ring.count - 1].record, RC_TLS_DATA);
		assert_true(ring.event[ring.count - 1].more);
	}
	goodbye(s);
	/* The client's answer. */
	ring_forget(&ring);
	(void)SSL_shutdown(s->client);
	ring_until(&ring, ring_has, 1);
	assert_int_equal(ring.event[0].record, RC_TLS_ALERT);
	assert_int_equal(ring.event[0].res, 2);
	assert_memory_equal(ring.data, "\1\0", 2);
	assert_int_equal(
		rc_tls_asks((enum rc_tls_version)s->h.keys.version, RC_TLS_ALERT, ring.data, 2),
		RC_TLS_ASKS_CLOSE);
}

static void openssl_does_not_notice_under_every_version_and_cipher(void **state)
{
	(void)state;
	begin();
	for (int cipher = 0; cipher < RC_TLS_CIPHERS; cipher++) {
		struct shake s;
		engaged(&s,
			(struct shake_want){.version = TLS1_3_VERSION, .suites = names_13[cipher]});
		assert_int_equal(s.h.keys.cipher, cipher);
		talk(&s);
		ended(&s);
		engaged(&s,
			(struct shake_want){.version = TLS1_2_VERSION, .suites = names_12[cipher]});
		assert_int_equal(s.h.keys.cipher, cipher);
		talk(&s);
		ended(&s);
	}
}

/* A KeyUpdate with data right behind it, as clients send it: the goodbye arrives all the same. */
static void a_client_that_renews_its_keys_reads_our_goodbye(void **state)
{
	static const int kinds[] = {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED};
	char got[16];

	(void)state;
	begin();
	for (size_t i = 0; i < RC_ARRAY_LEN(kinds); i++) {
		struct shake s;
		engaged(&s, (struct shake_want){.version = TLS1_3_VERSION});
		assert_int_equal(SSL_key_update(s.client, kinds[i]), 1);
		assert_int_equal(SSL_write(s.client, "renewed", 7), 7);
		ring_until(&ring, ring_has, 2);
		assert_int_equal(ring.event[0].res, 5);
		assert_int_equal(ring.event[0].record, RC_TLS_HANDSHAKE);
		assert_int_equal(rc_tls_asks(RC_TLS_1_3, RC_TLS_HANDSHAKE, ring.data, 5),
			i ? RC_TLS_ASKS_UPDATE_BOTH : RC_TLS_ASKS_UPDATE);
		assert_true(ring.event[1].res == -EBADMSG || ring.event[1].res == -EKEYEXPIRED);
		assert_false(ring.event[1].more);
		rc_ktls_clear_error(s.fd[0]);
		sends(&s, "goodbye", 7);
		assert_int_equal(client_reads(&s, got, sizeof(got)), 7);
		goodbye(&s);
		shake_close(&s);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, close_ring)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(openssl_does_not_notice_under_every_version_and_cipher),
		TEST(a_client_that_renews_its_keys_reads_our_goodbye),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
