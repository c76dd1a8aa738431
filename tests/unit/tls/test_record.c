/* SPDX-License-Identifier: Apache-2.0
 *
 * record.c against the records of RFC 8448, against OpenSSL itself in both directions, and against forgers.
 */
#include "pair.h"

static const enum rc_tls_version versions[] = {RC_TLS_1_2, RC_TLS_1_3};
static struct rc_tls_engine *engine;

static int open_engine(void **state)
{
	(void)state;
	engine = rc_tls_engine_open();
	return engine ? 0 : -1;
}

static int close_engine(void **state)
{
	(void)state;
	rc_tls_engine_close(engine);
	return 0;
}

/* Calls body for each version and cipher. */
static void each(void (*body)(enum rc_tls_version version, enum rc_tls_cipher cipher))
{
	for (uint32_t i = 0; i < RC_ARRAY_LEN(versions); i++)
		for (int cipher = 0; cipher < RC_TLS_CIPHERS; cipher++)
			body(versions[i], (enum rc_tls_cipher)cipher);
}

static unsigned char *filled(size_t len)
{
	unsigned char *bytes = malloc(len ? len : 1);

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(i * 7 + i / 251 + 1);
	return bytes;
}

static const uint8_t rfc_client_secret[32] = {0x9e, 0x40, 0x64, 0x6c, 0xe7, 0x9a, 0x7f, 0x9d, 0xc0,
	0x5a, 0xf8, 0x88, 0x9b, 0xce, 0x65, 0x52, 0x87, 0x5a, 0xfa, 0x0b, 0x06, 0xdf, 0x00, 0x87,
	0xf7, 0x92, 0xeb, 0xb7, 0xc1, 0x75, 0x04, 0xa5};
static const uint8_t rfc_server_secret[32] = {0xa1, 0x1a, 0xf9, 0xf0, 0x55, 0x31, 0xf8, 0x56, 0xad,
	0x47, 0x11, 0x6b, 0x45, 0xa9, 0x50, 0x32, 0x82, 0x04, 0xb4, 0xf4, 0x4b, 0xfb, 0x6b, 0x3a,
	0x4b, 0x4f, 0x1f, 0x3f, 0xcb, 0x63, 0x16, 0x43};

static void records_are_those_of_the_rfc(void **state)
{
	static const char client_data[] =
		"1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a"
		"9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";
	static const char server_data[] =
		"17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602d"
		"cb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d";
	static const char client_close[] = "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3";
	static const char server_close[] = "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9";
	static const uint8_t close_notify[2] = {1, 0};
	uint8_t wire[256], wanted[256], plain[50];
	struct rc_tls_keys k;
	struct rc_tls_opened got;
	uint32_t len, need;

	(void)state;
	for (uint32_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)i;
	assert_int_equal(rc_tls_keys_13(&k, RC_TLS_AES_128_GCM, rfc_client_secret,
				 rfc_server_secret, 32, 1, true),
		0);
	len = pair_hex(server_data, wanted, sizeof(wanted));
	assert_int_equal(
		rc_tls_seal(engine, &k, RC_TLS_DATA, plain, sizeof(plain), 16384, wire), len);
	assert_memory_equal(wire, wanted, len);
	len = pair_hex(server_close, wanted, sizeof(wanted));
	assert_int_equal(rc_tls_seal(engine, &k, RC_TLS_ALERT, close_notify, 2, 16384, wire), len);
	assert_memory_equal(wire, wanted, len);

	len = pair_hex(client_data, wire, sizeof(wire));
	len += pair_hex(client_close, wire + len, sizeof(wire) - len);
	assert_int_equal(rc_tls_open(engine, &k, wire, len, &got, &need), 72);
	assert_int_equal(got.type, RC_TLS_DATA);
	assert_int_equal(got.len, sizeof(plain));
	assert_memory_equal(got.data, plain, sizeof(plain));
	assert_int_equal(rc_tls_open(engine, &k, wire + 72, len - 72, &got, &need), 24);
	assert_int_equal(got.type, RC_TLS_ALERT);
	assert_int_equal(rc_tls_asks(RC_TLS_1_3, got.type, got.data, got.len), RC_TLS_ASKS_CLOSE);
	assert_int_equal(k.receive.sequence, 2);
}

/* ---- OpenSSL at the other end -------------------------------------------------------------------- */

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

/* What the peer wrote, opened: len bytes of data and nothing else. */
static void comes_from(SSL *peer, struct rc_tls_keys *k, size_t len)
{
	unsigned char *bytes = filled(len), *wire;
	size_t have = 0, at = 0;
	long wire_len;

	assert_int_equal(SSL_write(peer, bytes, (int)len), len);
	wire_len = BIO_get_mem_data(SSL_get_wbio(peer), &wire);
	while (at < (size_t)wire_len) {
		struct rc_tls_opened got;
		uint32_t need;
		int32_t n = rc_tls_open(engine, k, wire + at, (size_t)wire_len - at, &got, &need);

		assert_true(n > 0);
		assert_int_equal(got.type, RC_TLS_DATA);
		assert_true(have + got.len <= len);
		assert_memory_equal(got.data, bytes + have, got.len);
		have += got.len;
		at += (size_t)n;
	}
	assert_int_equal(have, len);
	(void)BIO_reset(SSL_get_wbio(peer));
	free(bytes);
}

static const size_t lengths[] = {
	1, 2, 15, 16, 17, 127, 128, 1000, 16383, 16384, 16385, 32768, 65536, 100001};

static void talk(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	for (int server = 0; server < 2; server++) {
		struct rc_tls_keys k;
		struct pair p;
		SSL *peer;

		pair_open(&p, version, cipher);
		pair_keys(&p, version, cipher, server, &k);
		peer = server ? p.client : p.server;
		for (uint32_t i = 0; i < RC_ARRAY_LEN(lengths); i++) {
			goes_to(peer, &k, lengths[i], RC_TLS_PLAIN_MAX);
			comes_from(peer, &k, lengths[i]);
			goes_to(peer, &k, lengths[i], lengths[i] < 1000 ? 1 : 1400);
		}
		rc_tls_keys_wipe(&k);
		pair_close(&p);
	}
}

static void openssl_reads_ours_and_we_read_openssls(void **state)
{
	(void)state;
	each(talk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_those_of_the_rfc),
		cmocka_unit_test(openssl_reads_ours_and_we_read_openssls),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
