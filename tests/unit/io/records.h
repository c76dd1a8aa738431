/* SPDX-License-Identifier: Apache-2.0
 *
 * For the tests of kernel TLS: TCP pairs of which one or both ends have keys, and records made and opened by OpenSSL's
 * ciphers straight from RFC 5246, 5288, 7905 and 8446, so that two ends of one kernel can't agree on something wrong.
 */
#ifndef RC_TESTS_UNIT_RECORDS_H
#define RC_TESTS_UNIT_RECORDS_H

#include "rings.h"

#include <linux/tls.h>
#include <openssl/evp.h>

#include "io/ktls.h"

#define RECORD_HEAD  5
#define RECORD_TAG   16
#define RECORD_PLAIN 16384
#define RECORD_MAX   (RECORD_HEAD + RECORD_PLAIN + 256)

enum { ALERT = 21, HANDSHAKE = 22, DATA = 23 };

static const uint8_t records_key[2][32] = {
	{0x11, 0x22, 0x33, 0x44, 0x55, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x80, 0x90, 0xa0, 0xb0,
		13},
	{0xff, 0xee, 0xdd, 0xcc, 0xbb, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0xaa, 0x99, 0x70, 0x60, 0x50, 14},
};
/* As 1.2 wants AES-GCM's: four bytes of salt, then a number that carries over its last byte soon. */
static const uint8_t records_iv[2][12] = {
	{0xa0, 0xa1, 0xa2, 0xa3, 0, 0, 0, 0, 0, 0, 0x0f, 0xfe},
	{0xb0, 0xb1, 0xb2, 0xb3, 0x77, 0, 0, 0, 0, 0, 0, 0xff},
};

/* What end `from` sends with. */
static inline struct rc_ktls_key records_key_of(bool tls13, enum rc_ktls_cipher cipher, int from)
{
	return (struct rc_ktls_key){.tls13 = tls13,
		.cipher = cipher,
		.key = records_key[from],
		.iv = records_iv[from],
		.sequence = from ? 254 : 1};
}

/* Leaves the test as skipped where the kernel has no TLS; fails where the caller said that it must have (the VMs do). */
static inline void records_needed(void)
{
	static struct rc_ktls_ability a;

	if (!a.any)
		rc_ktls_probe(&a);
	if (a.any)
		return;
	if (getenv("RINGCAST_TEST_KTLS"))
		fail_msg("RINGCAST_TEST_KTLS is set, but: %s", a.why_not);
	print_message("skipped: %s\n", a.why_not);
	skip();
}

/* Both ends block; the ring does not care. */
static inline void records_tcp(int fd[2])
{
	int listener = ring_listener();

	fd[1] = ring_connect(listener);
	fd[0] = ring_accept(listener, 0);
	(void)close(listener);
}

static inline void records_engage(int fd, bool tls13, enum rc_ktls_cipher cipher, int end)
{
	struct rc_ktls_key send = records_key_of(tls13, cipher, end);
	struct rc_ktls_key receive = records_key_of(tls13, cipher, 1 - end);

	assert_int_equal(rc_ktls_engage(fd, &send, &receive), 0);
}

static inline void records_pair(int fd[2], bool tls13, enum rc_ktls_cipher cipher)
{
	records_tcp(fd);
	records_engage(fd[0], tls13, cipher, 0);
	records_engage(fd[1], tls13, cipher, 1);
}

static inline void records_close(int fd[2])
{
	(void)close(fd[0]);
	(void)close(fd[1]);
}

static inline const EVP_CIPHER *records_cipher(enum rc_ktls_cipher cipher)
{
	return cipher == RC_KTLS_AES_128_GCM   ? EVP_aes_128_gcm()
	       : cipher == RC_KTLS_AES_256_GCM ? EVP_aes_256_gcm()
					       : EVP_chacha20_poly1305();
}

static inline bool records_explicit(const struct rc_ktls_key *k)
{
	return !k->tls13 && k->cipher != RC_KTLS_CHACHA20_POLY1305;
}

/* AEAD in place; the tag stands behind. False: forged. */
static inline bool records_crypt(const struct rc_ktls_key *k, bool seal, const uint8_t nonce[12],
	const uint8_t *aad, int aad_len, uint8_t *text, int len)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n;

	assert_non_null(c);
	assert_true(
		EVP_CipherInit_ex(c, records_cipher(k->cipher), NULL, k->key, nonce, seal) == 1);
	assert_int_equal(EVP_CipherUpdate(c, NULL, &n, aad, aad_len), 1);
	if (len)
		assert_int_equal(EVP_CipherUpdate(c, text, &n, text, len), 1);
	if (!seal)
		assert_int_equal(
			EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, RECORD_TAG, text + len), 1);
	bool good = EVP_CipherFinal_ex(c, text + len, &n) == 1;
	if (seal)
		assert_int_equal(
			EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, RECORD_TAG, text + len), 1);
	EVP_CIPHER_CTX_free(c);
	return good;
}

static inline void records_number(uint8_t out[8], uint64_t n)
{
	for (int i = 7; i >= 0; i--, n >>= 8)
		out[i] = (uint8_t)n;
}

static inline void records_nonce(
	uint8_t nonce[12], const struct rc_ktls_key *k, uint64_t sequence, const uint8_t *explicit8)
{
	uint8_t s[8];

	memcpy(nonce, k->iv, 12);
	records_number(s, sequence);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] = explicit8 ? explicit8[i] : (uint8_t)(nonce[4 + i] ^ s[i]);
}

static inline int records_aad(uint8_t aad[13], const struct rc_ktls_key *k, uint64_t sequence,
	const uint8_t head[RECORD_HEAD], size_t plain)
{
	if (k->tls13) {
		memcpy(aad, head, RECORD_HEAD);
		return RECORD_HEAD;
	}
	records_number(aad, sequence);
	memcpy(aad + 8, head, 3);
	aad[11] = (uint8_t)(plain >> 8);
	aad[12] = (uint8_t)plain;
	return 13;
}

/* The record with number k->sequence, which moves on. `pad` zero bytes hide its length in 1.3. Returns its length. */
static inline size_t records_seal(uint8_t out[RECORD_MAX], struct rc_ktls_key *k, uint8_t type,
	const void *bytes, size_t len, size_t pad)
{
	uint8_t nonce[12], aad[13];
	uint8_t *text = out + RECORD_HEAD + (records_explicit(k) ? 8 : 0);
	size_t plain = len;

	assert_true(len + pad < RECORD_PLAIN);
	memcpy(text, bytes, len);
	if (k->tls13) {
		text[len] = type;
		memset(text + len + 1, 0, pad);
		plain += 1 + pad;
	}
	size_t wire = (size_t)(text - out) - RECORD_HEAD + plain + RECORD_TAG;
	out[0] = k->tls13 ? DATA : type;
	out[1] = 3;
	out[2] = 3;
	out[3] = (uint8_t)(wire >> 8);
	out[4] = (uint8_t)wire;
	/* A receiver takes any explicit nonce; this one counts from nowhere in particular. */
	if (records_explicit(k))
		records_number(out + RECORD_HEAD, k->sequence * 3 + 99);
	records_nonce(nonce, k, k->sequence, records_explicit(k) ? out + RECORD_HEAD : NULL);
	int aad_len = records_aad(aad, k, k->sequence, out, plain);
	assert_true(records_crypt(k, true, nonce, aad, aad_len, text, (int)plain));
	k->sequence++;
	return RECORD_HEAD + wire;
}

static inline void records_read(int fd, void *bytes, size_t len)
{
	assert_int_equal(recv(fd, bytes, len, MSG_WAITALL), (ssize_t)len);
}

/* Reads one record from a socket without keys and opens it. Returns the length of its plain bytes. */
static inline size_t records_open(
	int fd, struct rc_ktls_key *k, uint8_t *type, uint8_t bytes[RECORD_MAX])
{
	uint8_t nonce[12], aad[13], head[RECORD_HEAD], explicit8[8];

	records_read(fd, head, sizeof(head));
	size_t wire = (size_t)head[3] << 8 | head[4];
	assert_int_equal(head[1] << 8 | head[2], 0x0303);
	assert_in_range(wire, RECORD_TAG, RECORD_MAX - RECORD_HEAD);
	if (records_explicit(k)) {
		records_read(fd, explicit8, 8);
		wire -= 8;
	}
	records_read(fd, bytes, wire);
	size_t plain = wire - RECORD_TAG;
	records_nonce(nonce, k, k->sequence, records_explicit(k) ? explicit8 : NULL);
	int aad_len = records_aad(aad, k, k->sequence, head, plain);
	assert_true(records_crypt(k, false, nonce, aad, aad_len, bytes, (int)plain));
	k->sequence++;
	*type = head[0];
	if (k->tls13) {
		assert_int_equal(head[0], DATA);
		while (plain > 0 && bytes[plain - 1] == 0)
			plain--;
		assert_true(plain > 0);
		*type = bytes[--plain];
	}
	return plain;
}

#endif
