/* SPDX-License-Identifier: Apache-2.0
 *
 * record.c with OpenSSL at the other end of a real handshake, in both directions and both roles.
 */
#include "engine.h"
#include "pair.h"

/* Sealed by k, read by the peer. */
static void goes_to(SSL *peer, struct rc_tls_keys *k, size_t len, uint32_t record_max)
{
	unsigned char *bytes = filled(len), *got = malloc(len);
	size_t sealed_len = rc_tls_sealed_len(k, len, record_max), have = 0;
	unsigned char *sealed = malloc(sealed_len);

	assert_true(got != NULL && sealed != NULL);
	assert_int_equal(
		rc_tls_seal(engine, k, RC_TLS_DATA, bytes, len, record_max, sealed), sealed_len);
	assert_int_equal(BIO_write(SSL_get_rbio(peer), sealed, (int)sealed_len), sealed_len);
	while (have < len) {
		int n = SSL_read(peer, got + have, (int)(len - have));
		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_memory_equal(got, bytes, len);
	free(bytes);
	free(got);
	free(sealed);
}

/* Opens all that the peer has written into bytes, which data is compared with; renews the receiving keys when it is asked to.
 * Returns what the last record that was no data asked for. */
static int take(SSL *peer, struct rc_tls_keys *k, const unsigned char *bytes, size_t len)
{
	unsigned char *wire;
	size_t have = 0, at = 0, wire_len = (size_t)BIO_get_mem_data(SSL_get_wbio(peer), &wire);
	int asks = RC_TLS_ASKS_NOTHING;

	while (at < wire_len) {
		struct rc_tls_opened got;
		uint32_t need;
		int32_t n = rc_tls_open(engine, k, wire + at, wire_len - at, &got, &need);

		assert_true(n > 0);
		assert_int_equal(n, need);
		at += (size_t)n;
		if (got.type == RC_TLS_DATA) {
			assert_true(have + got.len <= len);
			assert_memory_equal(got.data, bytes + have, got.len);
			have += got.len;
			continue;
		}
		asks = rc_tls_asks((enum rc_tls_version)k->version, got.type, got.data, got.len);
		if (asks == RC_TLS_ASKS_UPDATE || asks == RC_TLS_ASKS_UPDATE_BOTH)
			assert_int_equal(rc_tls_keys_next(k, &k->receive), 0);
	}
	assert_int_equal(have, len);
	(void)BIO_reset(SSL_get_wbio(peer));
	return asks;
}

static int comes_from(SSL *peer, struct rc_tls_keys *k, size_t len)
{
	unsigned char *bytes = filled(len);
	int asks;

	assert_int_equal(SSL_write(peer, bytes, (int)len), len);
	asks = take(peer, k, bytes, len);
	free(bytes);
	return asks;
}

/* One record of another type. */
static void tell(
	SSL *peer, struct rc_tls_keys *k, enum rc_tls_type type, const void *bytes, size_t len)
{
	unsigned char record[64];
	size_t n = rc_tls_seal(engine, k, type, bytes, len, RC_TLS_PLAIN_MAX, record);

	assert_int_equal(n, len + rc_tls_overhead(k));
	assert_int_equal(BIO_write(SSL_get_rbio(peer), record, (int)n), n);
}

static const size_t lengths[] = {
	1, 2, 15, 16, 17, 127, 128, 1000, 16383, 16384, 16385, 32768, 65536, 100001};

/* Ours in both roles: the keys and OpenSSL's other end. */
static void roles(enum rc_tls_version version, enum rc_tls_cipher cipher,
	void (*body)(SSL *peer, struct rc_tls_keys *k))
{
	for (int server = 0; server < 2; server++) {
		struct rc_tls_keys k;
		struct pair p;

		pair_open(&p, version, cipher);
		pair_keys(&p, version, cipher, server, &k);
		body(server ? p.client : p.server, &k);
		rc_tls_keys_wipe(&k);
		pair_close(&p);
	}
}

static void all_lengths(SSL *peer, struct rc_tls_keys *k)
{
	for (uint32_t i = 0; i < RC_ARRAY_LEN(lengths); i++) {
		goes_to(peer, k, lengths[i], RC_TLS_PLAIN_MAX);
		assert_int_equal(comes_from(peer, k, lengths[i]), RC_TLS_ASKS_NOTHING);
		goes_to(peer, k, lengths[i], lengths[i] < 1000 ? 1 : 1400);
	}
}

static void talk(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	roles(version, cipher, all_lengths);
}

static void openssl_reads_ours_and_we_read_openssls(void **state)
{
	(void)state;
	each(talk);
}

static void padded(SSL *peer, struct rc_tls_keys *k)
{
	assert_int_equal(SSL_set_block_padding(peer, 4096), 1);
	for (uint32_t i = 0; i < RC_ARRAY_LEN(lengths); i++)
		assert_int_equal(comes_from(peer, k, lengths[i]), RC_TLS_ASKS_NOTHING);
}

static void the_peers_padding_is_taken_off(void **state)
{
	(void)state;
	for (int cipher = 0; cipher < RC_TLS_CIPHERS; cipher++)
		roles(RC_TLS_1_3, (enum rc_tls_cipher)cipher, padded);
}

static const uint8_t update[5] = {24, 0, 0, 1, 0}, update_both[5] = {24, 0, 0, 1, 1};

static void peer_updates(SSL *peer, struct rc_tls_keys *k)
{
	for (int round = 0; round < 3; round++) {
		assert_int_equal(SSL_key_update(peer, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(comes_from(peer, k, 1000), RC_TLS_ASKS_UPDATE);
		assert_int_equal(k->receive.sequence, 1);
		goes_to(peer, k, 1000, RC_TLS_PLAIN_MAX);

		assert_int_equal(SSL_key_update(peer, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(comes_from(peer, k, 20000), RC_TLS_ASKS_UPDATE_BOTH);
		tell(peer, k, RC_TLS_HANDSHAKE, update, sizeof(update));
		assert_int_equal(rc_tls_keys_next(k, &k->send), 0);
		goes_to(peer, k, 20000, RC_TLS_PLAIN_MAX);
		assert_int_equal(comes_from(peer, k, 10), RC_TLS_ASKS_NOTHING);
	}
}

static void data_goes_on_after_the_peers_key_update(void **state)
{
	(void)state;
	for (int cipher = 0; cipher < RC_TLS_CIPHERS; cipher++)
		roles(RC_TLS_1_3, (enum rc_tls_cipher)cipher, peer_updates);
}

static void we_update(SSL *peer, struct rc_tls_keys *k)
{
	for (int round = 0; round < 3; round++) {
		tell(peer, k, RC_TLS_HANDSHAKE, update, sizeof(update));
		assert_int_equal(rc_tls_keys_next(k, &k->send), 0);
		goes_to(peer, k, 1000, 100);
		assert_int_equal(comes_from(peer, k, 10), RC_TLS_ASKS_NOTHING);

		tell(peer, k, RC_TLS_HANDSHAKE, update_both, sizeof(update_both));
		assert_int_equal(rc_tls_keys_next(k, &k->send), 0);
		goes_to(peer, k, 1000, 100);
		assert_int_equal(comes_from(peer, k, 10), RC_TLS_ASKS_UPDATE);
		goes_to(peer, k, 1000, 100);
	}
}

static void the_peer_understands_our_key_update(void **state)
{
	(void)state;
	for (int cipher = 0; cipher < RC_TLS_CIPHERS; cipher++)
		roles(RC_TLS_1_3, (enum rc_tls_cipher)cipher, we_update);
}

static void closes(SSL *peer, struct rc_tls_keys *k)
{
	static const uint8_t close_notify[2] = {1, RC_TLS_ALERT_CLOSE_NOTIFY};
	char byte;

	assert_int_equal(SSL_shutdown(peer), 0);
	assert_int_equal(take(peer, k, NULL, 0), RC_TLS_ASKS_CLOSE);
	tell(peer, k, RC_TLS_ALERT, close_notify, sizeof(close_notify));
	assert_int_equal(SSL_read(peer, &byte, 1), 0);
	assert_int_equal(SSL_get_error(peer, 0), SSL_ERROR_ZERO_RETURN);
}

static void close_one(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	roles(version, cipher, closes);
}

static void both_ends_close_cleanly(void **state)
{
	(void)state;
	each(close_one);
}

static void forged(SSL *peer, struct rc_tls_keys *k)
{
	unsigned char *bytes = filled(100), record[200], byte;
	size_t n = rc_tls_seal(engine, k, RC_TLS_DATA, bytes, 100, RC_TLS_PLAIN_MAX, record);

	record[n - 1] ^= 1;
	assert_int_equal(BIO_write(SSL_get_rbio(peer), record, (int)n), n);
	assert_int_equal(SSL_read(peer, &byte, 1), -1);
	ERR_clear_error();
	assert_int_equal(take(peer, k, NULL, 0), RC_TLS_ASKS_END);
	free(bytes);
}

static void fail_one(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	roles(version, cipher, forged);
}

static void the_peers_fatal_alert_is_an_end(void **state)
{
	(void)state;
	each(fail_one);
}

static void renegotiation_is_refused(void **state)
{
	(void)state;
	for (int cipher = 0; cipher < RC_TLS_CIPHERS; cipher++) {
		struct rc_tls_keys k;
		struct pair p;

		pair_open(&p, RC_TLS_1_2, (enum rc_tls_cipher)cipher);
		pair_keys(&p, RC_TLS_1_2, (enum rc_tls_cipher)cipher, true, &k);
		assert_int_equal(SSL_renegotiate(p.client), 1);
		(void)SSL_do_handshake(p.client);
		assert_int_equal(take(p.client, &k, NULL, 0), -RC_TLS_ALERT_NO_RENEGOTIATION);
		pair_close(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openssl_reads_ours_and_we_read_openssls),
		cmocka_unit_test(the_peers_padding_is_taken_off),
		cmocka_unit_test(data_goes_on_after_the_peers_key_update),
		cmocka_unit_test(the_peer_understands_our_key_update),
		cmocka_unit_test(both_ends_close_cleanly),
		cmocka_unit_test(the_peers_fatal_alert_is_an_end),
		cmocka_unit_test(renegotiation_is_refused),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
