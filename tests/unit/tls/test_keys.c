/* SPDX-License-Identifier: Apache-2.0
 *
 * keys.c against the values of RFC 8448 (3, "Simple 1-RTT Handshake") and, for TLS 1.2, against a pseudo-random function
 * made here of nothing but HMAC. Whether whole connections agree is in test_record.c.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "../unit.h"
#include "tls/keys.h"

static const uint8_t client_secret[32] = {0x9e, 0x40, 0x64, 0x6c, 0xe7, 0x9a, 0x7f, 0x9d, 0xc0,
	0x5a, 0xf8, 0x88, 0x9b, 0xce, 0x65, 0x52, 0x87, 0x5a, 0xfa, 0x0b, 0x06, 0xdf, 0x00, 0x87,
	0xf7, 0x92, 0xeb, 0xb7, 0xc1, 0x75, 0x04, 0xa5};
static const uint8_t server_secret[32] = {0xa1, 0x1a, 0xf9, 0xf0, 0x55, 0x31, 0xf8, 0x56, 0xad,
	0x47, 0x11, 0x6b, 0x45, 0xa9, 0x50, 0x32, 0x82, 0x04, 0xb4, 0xf4, 0x4b, 0xfb, 0x6b, 0x3a,
	0x4b, 0x4f, 0x1f, 0x3f, 0xcb, 0x63, 0x16, 0x43};
static const uint8_t server_key[16] = {0x9f, 0x02, 0x28, 0x3b, 0x6c, 0x9c, 0x07, 0xef, 0xc2, 0x6b,
	0xb9, 0xf2, 0xac, 0x92, 0xe3, 0x56};
static const uint8_t server_iv[12] = {
	0xcf, 0x78, 0x2b, 0x88, 0xdd, 0x83, 0x54, 0x9a, 0xad, 0xf1, 0xe9, 0x84};
static const uint8_t client_key[16] = {0x17, 0x42, 0x2d, 0xda, 0x59, 0x6e, 0xd5, 0xd9, 0xac, 0xd8,
	0x90, 0xe3, 0xc6, 0x3f, 0x50, 0x51};
static const uint8_t client_iv[12] = {
	0x5b, 0x78, 0x92, 0x3d, 0xee, 0x08, 0x57, 0x90, 0x33, 0xe5, 0x23, 0xd9};

static void keys_13_are_those_of_the_rfc(void **state)
{
	struct rc_tls_keys k;

	(void)state;
	assert_int_equal(
		rc_tls_keys_13(&k, RC_TLS_AES_128_GCM, client_secret, server_secret, 32, 2, true),
		0);
	assert_int_equal(k.version, RC_TLS_1_3);
	assert_int_equal(k.cipher, RC_TLS_AES_128_GCM);
	assert_int_equal(k.secret_len, 32);
	assert_memory_equal(k.send.key, server_key, sizeof(server_key));
	assert_memory_equal(k.send.iv, server_iv, sizeof(server_iv));
	assert_memory_equal(k.send.secret, server_secret, sizeof(server_secret));
	assert_memory_equal(k.receive.key, client_key, sizeof(client_key));
	assert_memory_equal(k.receive.iv, client_iv, sizeof(client_iv));
	assert_memory_equal(k.receive.secret, client_secret, sizeof(client_secret));
	assert_int_equal(k.send.sequence, 2);
	assert_int_equal(k.receive.sequence, 0);
}

static void a_client_has_the_directions_the_other_way_round(void **state)
{
	struct rc_tls_keys k;

	(void)state;
	assert_int_equal(
		rc_tls_keys_13(&k, RC_TLS_AES_128_GCM, client_secret, server_secret, 32, 0, false),
		0);
	assert_memory_equal(k.send.key, client_key, sizeof(client_key));
	assert_memory_equal(k.receive.key, server_key, sizeof(server_key));
}

/* HKDF-Expand of one block, RFC 5869: T(1) = HMAC(secret, info | 01). */
static void expand(const EVP_MD *md, const uint8_t *secret, uint32_t secret_len, const char *label,
	uint8_t *out, uint32_t out_len)
{
	uint8_t info[64], block[EVP_MAX_MD_SIZE];
	uint32_t len = 0, label_len = (uint32_t)strlen(label);

	info[len++] = 0;
	info[len++] = (uint8_t)out_len;
	info[len++] = (uint8_t)label_len;
	memcpy(info + len, label, label_len);
	len += label_len;
	info[len++] = 0;
	info[len++] = 1;
	assert_non_null(HMAC(md, secret, (int)secret_len, info, len, block, NULL));
	memcpy(out, block, out_len);
}

static void next_keys_come_from_the_next_secret(void **state)
{
	struct rc_tls_keys k;
	uint8_t secret[48], next[48], key[32], iv[12];

	(void)state;
	memset(secret, 7, sizeof(secret));
	assert_int_equal(rc_tls_keys_13(&k, RC_TLS_AES_256_GCM, secret, secret, 48, 5, true), 0);
	for (int generation = 0; generation < 3; generation++) {
		expand(EVP_sha384(), secret, 48, "tls13 traffic upd", next, 48);
		memcpy(secret, next, 48);
		expand(EVP_sha384(), secret, 48, "tls13 key", key, 32);
		expand(EVP_sha384(), secret, 48, "tls13 iv", iv, 12);
		assert_int_equal(rc_tls_keys_next(&k, &k.send), 0);
		assert_memory_equal(k.send.secret, secret, 48);
		assert_memory_equal(k.send.key, key, 32);
		assert_memory_equal(k.send.iv, iv, 12);
		assert_int_equal(k.send.sequence, 0);
		k.send.sequence = 9;
	}
	/* The other direction stays. */
	memset(secret, 7, sizeof(secret));
	assert_memory_equal(k.receive.secret, secret, 48);
}

/* RFC 5246 5: P_hash. */
static void prf(const EVP_MD *md, const uint8_t *secret, const uint8_t *seed, uint32_t seed_len,
	uint8_t *out, uint32_t len)
{
	uint8_t a[EVP_MAX_MD_SIZE + 128], block[EVP_MAX_MD_SIZE];
	unsigned int a_len, n;

	assert_non_null(HMAC(md, secret, 48, seed, seed_len, a, &a_len));
	while (len > 0) {
		memcpy(a + a_len, seed, seed_len);
		assert_non_null(HMAC(md, secret, 48, a, a_len + seed_len, block, &n));
		n = RC_MIN(n, len);
		memcpy(out, block, n);
		out += n;
		len -= n;
		assert_non_null(HMAC(md, secret, 48, a, a_len, block, NULL));
		memcpy(a, block, a_len);
	}
}

static void keys_12_are_the_key_block(void **state)
{
	static const char label[] = "key expansion";
	uint8_t master[48], client_random[32], server_random[32], seed[13 + 64], block[88];
	struct rc_tls_keys k, mirror;

	(void)state;
	memset(master, 1, sizeof(master));
	memset(client_random, 2, sizeof(client_random));
	memset(server_random, 3, sizeof(server_random));
	memcpy(seed, label, 13);
	memcpy(seed + 13, server_random, 32);
	memcpy(seed + 45, client_random, 32);
	for (int cipher = 0; cipher < RC_TLS_CIPHERS; cipher++) {
		uint32_t len = rc_tls_key_len((enum rc_tls_cipher)cipher);
		uint32_t iv_len = cipher == RC_TLS_CHACHA20_POLY1305 ? 12 : 4;
		uint32_t hash_len = cipher == RC_TLS_AES_256_GCM ? 48 : 32;
		static const uint8_t zeros[8];

		prf(hash_len == 48 ? EVP_sha384() : EVP_sha256(), master, seed, sizeof(seed), block,
			2 * (len + iv_len));
		assert_int_equal(rc_tls_keys_12(&k, (enum rc_tls_cipher)cipher, hash_len, master,
					 client_random, server_random, true),
			0);
		assert_int_equal(k.version, RC_TLS_1_2);
		assert_int_equal(k.cipher, cipher);
		assert_memory_equal(k.receive.key, block, len);
		assert_memory_equal(k.send.key, block + len, len);
		assert_memory_equal(k.receive.iv, block + 2 * len, iv_len);
		assert_memory_equal(k.send.iv, block + 2 * len + iv_len, iv_len);
		if (iv_len == 4)
			assert_memory_equal(k.send.iv + 4, zeros, 8);
		assert_int_equal(k.send.sequence, 1);
		assert_int_equal(k.receive.sequence, 1);
		assert_int_equal(rc_tls_keys_12(&mirror, (enum rc_tls_cipher)cipher, hash_len,
					 master, client_random, server_random, false),
			0);
		assert_memory_equal(&mirror.send, &k.receive, sizeof(k.send));
		assert_memory_equal(&mirror.receive, &k.send, sizeof(k.send));
	}
}

static void nothing_is_left_of_wiped_keys(void **state)
{
	static const struct rc_tls_keys zero;
	struct rc_tls_keys k;

	(void)state;
	assert_int_equal(rc_tls_keys_13(&k, RC_TLS_CHACHA20_POLY1305, client_secret, server_secret,
				 32, 2, true),
		0);
	rc_tls_keys_wipe(&k);
	assert_memory_equal(&k, &zero, sizeof(k));
}

static void a_cipher_names_the_length_of_its_key(void **state)
{
	(void)state;
	assert_int_equal(rc_tls_key_len(RC_TLS_AES_128_GCM), 16);
	assert_int_equal(rc_tls_key_len(RC_TLS_AES_256_GCM), 32);
	assert_int_equal(rc_tls_key_len(RC_TLS_CHACHA20_POLY1305), 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_13_are_those_of_the_rfc),
		cmocka_unit_test(a_client_has_the_directions_the_other_way_round),
		cmocka_unit_test(next_keys_come_from_the_next_secret),
		cmocka_unit_test(keys_12_are_the_key_block),
		cmocka_unit_test(nothing_is_left_of_wiped_keys),
		cmocka_unit_test(a_cipher_names_the_length_of_its_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
