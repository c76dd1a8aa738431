/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-1: known digests, and every length around the ends of its blocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/sha1.h"

static void assert_digest(const void *bytes, size_t len, const char *hex)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char out[RC_SHA1_LEN];
	char text[2 * RC_SHA1_LEN + 1] = {0};

	rc_sha1(bytes, len, out);
	for (size_t i = 0; i < RC_SHA1_LEN; i++) {
		text[2 * i] = digits[out[i] >> 4];
		text[2 * i + 1] = digits[out[i] & 15];
	}
	assert_string_equal(text, hex);
}

static void sha1_gives_the_digests_of_the_standard(void **state)
{
	static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

	(void)state;
	assert_digest("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	assert_digest("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
	assert_digest(two_blocks, strlen(two_blocks), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

/* The digest of all digests, computed with another implementation. */
static void sha1_is_right_at_every_length_up_to_300(void **state)
{
	static unsigned char all[301 * RC_SHA1_LEN];
	unsigned char message[300];

	(void)state;
	for (size_t len = 0; len <= 300; len++) {
		for (size_t i = 0; i < len; i++)
			message[i] = (unsigned char)(i * 31 + len);
		rc_sha1(message, len, all + len * RC_SHA1_LEN);
	}
	assert_digest(all, sizeof(all), "9094cedc823affe8cf98084e2325a372dcce1a81");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha1_gives_the_digests_of_the_standard),
		cmocka_unit_test(sha1_is_right_at_every_length_up_to_300),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
