/* SPDX-License-Identifier: Apache-2.0
 *
 * Against SipHash-c-d written a second time, straight from its definition, with c and d as parameters: it is first shown
 * right by the published result of 2-4, then used with 1-3.
 */
#include "../unit.h"

#include "base/hash.h"

static uint64_t left(uint64_t x, int n)
{
	return (x << n) | (x >> (64 - n));
}

static void rounds(uint64_t v[4], int n)
{
	for (int i = 0; i < n; i++) {
		v[0] += v[1];
		v[1] = left(v[1], 13);
		v[1] ^= v[0];
		v[0] = left(v[0], 32);
		v[2] += v[3];
		v[3] = left(v[3], 16);
		v[3] ^= v[2];
		v[0] += v[3];
		v[3] = left(v[3], 21);
		v[3] ^= v[0];
		v[2] += v[1];
		v[1] = left(v[1], 17);
		v[1] ^= v[2];
		v[2] = left(v[2], 32);
	}
}

static uint64_t siphash(
	int c, int d, const struct rc_hash_key *key, const unsigned char *in, size_t len)
{
	uint64_t v[4] = {0x736f6d6570736575u ^ key->k0, 0x646f72616e646f6du ^ key->k1,
		0x6c7967656e657261u ^ key->k0, 0x7465646279746573u ^ key->k1};
	size_t words = len / 8 + 1;
	for (size_t w = 0; w < words; w++) {
		uint64_t m = 0;
		for (size_t i = 0; i < 8; i++) {
			size_t at = w * 8 + i;
			uint64_t byte = at < len ? in[at] : 0;
			if (w == words - 1 && i == 7)
				byte = len & 0xff;
			m |= byte << (8 * i);
		}
		v[3] ^= m;
		rounds(v, c);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	rounds(v, d);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static const struct rc_hash_key counting_key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

static void the_second_implementation_gives_the_published_result(void **state)
{
	unsigned char in[15];
	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)i;
	assert_true(siphash(2, 4, &counting_key, in, sizeof(in)) == 0xa129ca6149be45e5u);
}

static void hash_is_siphash_1_3_at_every_length_and_alignment(void **state)
{
	unsigned char in[300];
	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)(i * 7 + i / 256);
	for (size_t offset = 0; offset < 8; offset++)
		for (size_t len = 0; len + offset <= sizeof(in); len++)
			assert_true(rc_hash(&counting_key, in + offset, len) ==
				    siphash(1, 3, &counting_key, in + offset, len));
}

static void hash_of_a_word_equals_hash_of_its_bytes(void **state)
{
	struct rc_hash_key key = {1, 2};
	uint64_t word = 0;
	(void)state;
	for (int i = 0; i < 1000; i++) {
		unsigned char bytes[8];
		for (int b = 0; b < 8; b++)
			bytes[b] = (unsigned char)(word >> (8 * b));
		assert_true(rc_hash_u64(&key, word) == rc_hash(&key, bytes, 8));
		word = word * 6364136223846793005u + 1442695040888963407u;
		key.k0 += word;
		key.k1 ^= word >> 7;
	}
}

static void the_key_and_every_bit_matter(void **state)
{
	unsigned char in[24] = {0};
	struct rc_hash_key other = counting_key;
	uint64_t plain = rc_hash(&counting_key, in, sizeof(in));
	(void)state;
	for (size_t bit = 0; bit < sizeof(in) * 8; bit++) {
		in[bit / 8] ^= (unsigned char)(1u << (bit % 8));
		assert_true(rc_hash(&counting_key, in, sizeof(in)) != plain);
		in[bit / 8] ^= (unsigned char)(1u << (bit % 8));
	}
	other.k1 ^= 1;
	assert_true(rc_hash(&other, in, sizeof(in)) != plain);
}

static void hash_takes_nothing(void **state)
{
	(void)state;
	assert_true(rc_hash(&counting_key, NULL, 0) ==
		    siphash(1, 3, &counting_key, (const unsigned char *)"", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_second_implementation_gives_the_published_result),
		cmocka_unit_test(hash_is_siphash_1_3_at_every_length_and_alignment),
		cmocka_unit_test(hash_of_a_word_equals_hash_of_its_bytes),
		cmocka_unit_test(the_key_and_every_bit_matter),
		cmocka_unit_test(hash_takes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
