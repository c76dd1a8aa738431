/* SPDX-License-Identifier: Apache-2.0
 *
 * Against a naive decoder that knows nothing but the list of all characters: every code point is encoded once, and each
 * encoding and each beginning of one is marked in a bitmap.
 */
#include "../unit.h"

#include "base/random.h"
#include "base/utf8.h"

enum outcome { BETWEEN, INSIDE, INVALID };

/* By length - 1 (1 to 3 bytes, read as a big-endian number): may a longer character begin like this? */
static unsigned char *begins[3];
/* Is this a character? Four bytes: beginning with F0 to F4, so 27 bits do. */
static unsigned char *whole[4];
static const uint32_t bits_of[] = {8, 16, 24, 27};

static bool marked(const unsigned char *map, uint32_t n)
{
	return (map[n / 8] >> n % 8 & 1) != 0;
}

static void mark(unsigned char *map, uint32_t n)
{
	map[n / 8] |= (unsigned char)(1u << n % 8);
}

static size_t encode(uint32_t point, unsigned char out[4])
{
	if (point < 0x80) {
		out[0] = (unsigned char)point;
		return 1;
	}
	if (point < 0x800) {
		out[0] = (unsigned char)(0xc0 + point / 64);
		out[1] = (unsigned char)(0x80 + point % 64);
		return 2;
	}
	if (point < 0x10000) {
		out[0] = (unsigned char)(0xe0 + point / 4096);
		out[1] = (unsigned char)(0x80 + point / 64 % 64);
		out[2] = (unsigned char)(0x80 + point % 64);
		return 3;
	}
	out[0] = (unsigned char)(0xf0 + point / 262144);
	out[1] = (unsigned char)(0x80 + point / 4096 % 64);
	out[2] = (unsigned char)(0x80 + point / 64 % 64);
	out[3] = (unsigned char)(0x80 + point % 64);
	return 4;
}

static int set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		whole[i] = calloc(1, (size_t)1 << (bits_of[i] - 3));
		assert_non_null(whole[i]);
		if (i < 3) {
			begins[i] = calloc(1, (size_t)1 << (bits_of[i] - 3));
			assert_non_null(begins[i]);
		}
	}
	for (uint32_t point = 0; point <= 0x10ffff; point++) {
		if (point >= 0xd800 && point <= 0xdfff)
			continue;
		unsigned char c[4];
		size_t len = encode(point, c);
		uint32_t n = 0;
		for (size_t i = 0; i < len; i++) {
			n = n << 8 | c[i];
			if (i + 1 < len)
				mark(begins[i], n);
		}
		mark(whole[len - 1], n & ((1u << bits_of[len - 1]) - 1));
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		free(whole[i]);
		if (i < 3)
			free(begins[i]);
	}
	return 0;
}

static enum outcome naive(const unsigned char *p, size_t len)
{
	uint32_t n = 0;
	size_t have = 0;
	for (size_t i = 0; i < len; i++) {
		n = n << 8 | p[i];
		have++;
		/* No fourth byte follows what did not begin a character, so 27 bits tell all four apart. */
		if (marked(whole[have - 1], n & ((1u << bits_of[have - 1]) - 1))) {
			n = 0;
			have = 0;
		} else if (have == 4 || !marked(begins[have - 1], n)) {
			return INVALID;
		}
	}
	return have == 0 ? BETWEEN : INSIDE;
}

static enum outcome outcome_of(uint32_t state)
{
	return state == RC_UTF8_ACCEPT ? BETWEEN : state == RC_UTF8_REJECT ? INVALID : INSIDE;
}

static void assert_agrees(const unsigned char *p, size_t len)
{
	enum outcome expected = naive(p, len);
	for (size_t split = 0; split <= len; split++) {
		uint32_t s = rc_utf8_feed(RC_UTF8_ACCEPT, p, split);
		if (outcome_of(rc_utf8_feed(s, p + split, len - split)) == expected)
			continue;
		fail_msg("%zu bytes beginning with %02x %02x %02x %02x, split at %zu", len,
			len > 0 ? p[0] : 0u, len > 1 ? p[1] : 0u, len > 2 ? p[2] : 0u,
			len > 3 ? p[3] : 0u, split);
	}
	assert_int_equal(rc_utf8_valid(p, len), expected == BETWEEN);
}

static void every_character_is_valid(void **state)
{
	(void)state;
	for (uint32_t point = 0; point <= 0x10ffff; point++) {
		unsigned char c[4];
		size_t len = encode(point, c);
		bool surrogate = point >= 0xd800 && point <= 0xdfff;
		if (rc_utf8_valid(c, len) == surrogate)
			fail_msg("U+%04X", point);
	}
}

static void every_string_of_one_or_two_bytes_is_judged_right_at_every_split(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 256; n++) {
		const unsigned char c = (unsigned char)n;
		assert_agrees(&c, 1);
	}
	for (uint32_t n = 0; n < 65536; n++) {
		const unsigned char c[] = {(unsigned char)(n >> 8), (unsigned char)n};
		assert_agrees(c, 2);
	}
}

/* The first and last byte of every range that any rule names, and their neighbours. */
static const unsigned char edge[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1,
	0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};

static void strings_of_three_and_four_boundary_bytes_are_judged_right_at_every_split(void **state)
{
	const size_t n = sizeof(edge);
	(void)state;
	for (size_t i = 0; i < n * n * n * n; i++) {
		const unsigned char c[] = {
			edge[i / n / n / n], edge[i / n / n % n], edge[i / n % n], edge[i % n]};
		assert_agrees(c, 4);
		if (i % n == 0)
			assert_agrees(c, 3);
	}
}

static void every_third_byte_is_judged_right_after_every_first_two(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 65536; n++) {
		unsigned char c[] = {(unsigned char)(n >> 8), (unsigned char)n, 0};
		/* What is rejected already stays so whatever comes. */
		uint32_t step = naive(c, 2) == INVALID ? 51 : 1;
		for (uint32_t third = 0; third < 256; third += step) {
			c[2] = (unsigned char)third;
			if (outcome_of(rc_utf8_feed(RC_UTF8_ACCEPT, c, 3)) != naive(c, 3))
				fail_msg("%02x %02x %02x", c[0], c[1], c[2]);
		}
	}
}

static void what_is_wrong_is_found_at_any_place_in_a_long_text(void **state)
{
	unsigned char text[64];
	(void)state;
	for (size_t start = 0; start < 8; start++) {
		for (size_t len = 1; len <= 40; len++) {
			for (size_t at = 0; at < len; at++) {
				memset(text, 'a', sizeof(text));
				assert_true(rc_utf8_valid(text + start, len));
				text[start + at] = 0x80;
				assert_false(rc_utf8_valid(text + start, len));
				/* A character of two bytes, whole or cut off. */
				text[start + at] = 0xc3;
				text[start + at + 1] = 0xa9;
				assert_int_equal(rc_utf8_valid(text + start, len), at + 1 < len);
			}
		}
	}
}

static void random_mixtures_are_judged_like_the_naive_decoder_does(void **state)
{
	struct rc_prng prng;
	(void)state;
	rc_prng_seed(&prng, 7);
	for (int round = 0; round < 20000; round++) {
		unsigned char text[80];
		size_t len = 0;
		size_t want = rc_prng_below(&prng, 70);
		while (len < want) {
			uint32_t kind = rc_prng_below(&prng, 10);
			uint32_t range = kind < 4   ? 0x80
					 : kind < 6 ? 0x800
					 : kind < 8 ? 0xd800
						    : 0x110000;
			uint32_t point = rc_prng_below(&prng, range);
			len += encode(point, text + len);
		}
		if (len > 0 && rc_prng_below(&prng, 2) == 0)
			text[rc_prng_below(&prng, (uint32_t)len)] =
				(unsigned char)rc_prng_next(&prng);
		assert_agrees(text, len);
	}
}

static void rejected_stays_rejected_and_nothing_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(rc_utf8_feed(RC_UTF8_REJECT, "abc", 3), RC_UTF8_REJECT);
	assert_int_equal(rc_utf8_feed(RC_UTF8_ACCEPT, NULL, 0), RC_UTF8_ACCEPT);
	uint32_t inside = rc_utf8_feed(RC_UTF8_ACCEPT, "\xf0\x9f", 2);
	assert_int_equal(rc_utf8_feed(inside, NULL, 0), inside);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_character_is_valid),
		cmocka_unit_test(every_string_of_one_or_two_bytes_is_judged_right_at_every_split),
		cmocka_unit_test(
			strings_of_three_and_four_boundary_bytes_are_judged_right_at_every_split),
		cmocka_unit_test(every_third_byte_is_judged_right_after_every_first_two),
		cmocka_unit_test(what_is_wrong_is_found_at_any_place_in_a_long_text),
		cmocka_unit_test(random_mixtures_are_judged_like_the_naive_decoder_does),
		cmocka_unit_test(rejected_stays_rejected_and_nothing_changes_nothing),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
