/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors against one byte after the other: the few functions of simd.h, and UTF-8 with sixteen bytes at a time against
 * rc_utf8_feed_plain, which test_utf8.c holds against a decoder that knows nothing but the list of all characters.
 */
#include "../unit.h"

#include "base/random.h"
#include "base/simd.h"
#include "base/utf8.h"

#define LEN_MAX 200u
#define ROUNDS  300000u

static void first_and_high_tell_of_every_set_of_bytes(void **state)
{
	(void)state;
	for (uint32_t bits = 0; bits < 0x10000; bits++) {
		unsigned char bytes[RC_V16];

		for (uint32_t i = 0; i < RC_V16; i++)
			bytes[i] = bits >> i & 1 ? 0xff : 0x7f;
		rc_v16 v = rc_v16_load(bytes);
		assert_int_equal(rc_v16_high(v) != 0, bits != 0);
		/* 7F has no high bit; what comparisons yield is 00 and FF. */
		rc_v16 mask = (rc_v16)(v == rc_v16_splat(0xff));
		assert_int_equal(rc_v16_first(mask), bits ? (uint32_t)__builtin_ctz(bits) : RC_V16);
	}
}

static void below_space_is_so_for_every_byte_at_every_place(void **state)
{
	(void)state;
	for (uint32_t byte = 0; byte < 256; byte++) {
		for (uint32_t i = 0; i < RC_V16; i++) {
			unsigned char bytes[RC_V16];

			memset(bytes, 'x', sizeof(bytes));
			bytes[i] = (unsigned char)byte;
			assert_int_equal(rc_v16_first(rc_v16_below_space(rc_v16_load(bytes))),
				byte < 0x20 ? i : RC_V16);
		}
	}
}

static void behind_is_what_came_before_each_byte(void **state)
{
	unsigned char both[2 * RC_V16], out[RC_V16];

	(void)state;
	for (size_t i = 0; i < sizeof(both); i++)
		both[i] = (unsigned char)(i + 1);
	rc_v16 before = rc_v16_load(both), v = rc_v16_load(both + RC_V16);
	rc_v16_store(out, rc_v16_behind(before, v, 1));
	assert_memory_equal(out, both + RC_V16 - 1, RC_V16);
	rc_v16_store(out, rc_v16_behind(before, v, 2));
	assert_memory_equal(out, both + RC_V16 - 2, RC_V16);
	rc_v16_store(out, rc_v16_behind(before, v, 3));
	assert_memory_equal(out, both + RC_V16 - 3, RC_V16);
}

RC_SIMD_LOOKUP_CODE static void look_up(
	const unsigned char *table, const unsigned char *index, unsigned char *out)
{
	rc_v16_store(out, rc_v16_lookup(rc_v16_load(table), rc_v16_load(index)));
}

static void lookup_takes_each_byte_from_the_table(void **state)
{
	unsigned char table[RC_V16], index[RC_V16], out[RC_V16];
	struct rc_prng prng;

	(void)state;
	if (!rc_simd_has_lookup())
		skip();
	rc_prng_seed(&prng, 1);
	for (uint32_t n = 0; n < 1000; n++) {
		for (uint32_t i = 0; i < RC_V16; i++) {
			table[i] = (unsigned char)rc_prng_below(&prng, 256);
			index[i] = (unsigned char)rc_prng_below(&prng, 16);
		}
		look_up(table, index, out);
		for (uint32_t i = 0; i < RC_V16; i++)
			assert_int_equal(out[i], table[index[i]]);
	}
}

/* ---- UTF-8 --------------------------------------------------------------------------------------- */

/* In a block of its own, so that a sanitizer sees a byte read on either side of it. */
static void assert_same(uint32_t state, const unsigned char *text, size_t len, uint32_t offset)
{
	unsigned char *block = calloc(1, offset + len);

	assert_true(block || offset + len == 0);
	if (len)
		memcpy(block + offset, text, len);
	assert_int_equal(rc_utf8_feed(state, block + offset, len),
		rc_utf8_feed_plain(state, block + offset, len));
	free(block);
}

static const char *const kinds[] = {"x", "\xd0\xb6", "\xe4\xb8\xad", "\xf0\x9f\x98\x80",
	"x\xd0\xb6\xe4\xb8\xad\xf0\x9f\x98\x80"};

static void fill(unsigned char *out, size_t len, const char *with)
{
	size_t n = strlen(with);

	for (size_t i = 0; i < len; i++)
		out[i] = (unsigned char)with[i % n];
}

static void utf8_of_every_length_and_alignment_is_judged_alike(void **state)
{
	unsigned char text[LEN_MAX];

	(void)state;
	for (size_t k = 0; k < RC_ARRAY_LEN(kinds); k++) {
		fill(text, sizeof(text), kinds[k]);
		for (size_t len = 0; len <= LEN_MAX; len++) {
			for (uint32_t offset = 0; offset < RC_V16; offset++)
				assert_same(RC_UTF8_ACCEPT, text, len, offset);
		}
	}
}

static void utf8_with_every_byte_at_every_place_is_judged_alike(void **state)
{
	unsigned char text[80];

	(void)state;
	for (size_t k = 0; k < RC_ARRAY_LEN(kinds); k++) {
		for (size_t len = 15; len <= sizeof(text); len += 13) {
			fill(text, len, kinds[k]);
			for (size_t at = 0; at < len; at++) {
				unsigned char was = text[at];

				for (uint32_t byte = 0; byte < 256; byte++) {
					text[at] = (unsigned char)byte;
					assert_same(RC_UTF8_ACCEPT, text, len, 0);
				}
				text[at] = was;
			}
		}
	}
}

/* Every pair of bytes that decides, across every edge of a block. */
static void utf8_with_every_pair_of_bytes_is_judged_alike(void **state)
{
	unsigned char text[48];

	(void)state;
	for (size_t at = 13; at <= 17; at++) {
		for (uint32_t pair = 0; pair < 0x10000; pair++) {
			fill(text, sizeof(text), "x");
			text[at] = (unsigned char)(pair >> 8);
			text[at + 1] = (unsigned char)pair;
			text[at + 2] = 0x80;
			text[at + 3] = 0xbf;
			for (size_t tail = 1; tail <= 4; tail++) {
				text[at + tail] = 'x';
				assert_int_equal(rc_utf8_feed(RC_UTF8_ACCEPT, text, sizeof(text)),
					rc_utf8_feed_plain(RC_UTF8_ACCEPT, text, sizeof(text)));
				text[at + tail] = 0x80;
			}
		}
	}
}

static void utf8_in_random_pieces_is_judged_alike(void **state)
{
	static const char *const some[] = {"a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "\xe0\xa0\x80",
		"\xf0\x90\x80\x80", "\xc2\x80", "\xdf\xbf", "\xef\xbf\xbf"};
	unsigned char text[LEN_MAX];
	struct rc_prng prng;

	(void)state;
	rc_prng_seed(&prng, 1);
	for (uint32_t n = 0; n < ROUNDS; n++) {
		size_t len = rc_prng_below(&prng, LEN_MAX), at = 0;
		uint32_t ascii = rc_prng_below(&prng, 4);

		while (at < len) {
			const char *one = rc_prng_below(&prng, 4) < ascii
						  ? "x"
						  : some[rc_prng_below(&prng, RC_ARRAY_LEN(some))];
			size_t take = RC_MIN(strlen(one), len - at);

			memcpy(text + at, one, take);
			at += take;
		}
		if (len && n % 2)
			text[rc_prng_below(&prng, (uint32_t)len)] =
				(unsigned char)rc_prng_below(&prng, 256);
		/* Whatever an earlier piece left. */
		uint32_t before = n % 3 ? RC_UTF8_ACCEPT : rc_prng_below(&prng, 9);
		assert_int_equal(
			rc_utf8_feed(before, text, len), rc_utf8_feed_plain(before, text, len));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_and_high_tell_of_every_set_of_bytes),
		cmocka_unit_test(below_space_is_so_for_every_byte_at_every_place),
		cmocka_unit_test(behind_is_what_came_before_each_byte),
		cmocka_unit_test(lookup_takes_each_byte_from_the_table),
		cmocka_unit_test(utf8_of_every_length_and_alignment_is_judged_alike),
		cmocka_unit_test(utf8_with_every_byte_at_every_place_is_judged_alike),
		cmocka_unit_test(utf8_with_every_pair_of_bytes_is_judged_alike),
		cmocka_unit_test(utf8_in_random_pieces_is_judged_alike),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
