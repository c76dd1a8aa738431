/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole messages deflated and inflated: what zlib makes of ours, what ours makes of the RFC's examples, and every bound.
 */
#include "../unit.h"

#include <zlib.h>

#include "proto/deflate.h"

#define BIG (1u << 20)

static struct rc_deflater *deflater;
static struct rc_inflater *inflater;
static unsigned char text[BIG], packed[2 * BIG], plain[BIG + 1];

static int setup(void **state)
{
	(void)state;
	void *memory = aligned_alloc(64, rc_align_up(rc_deflater_bytes(), 64));
	deflater = rc_deflater_init(memory, 3);
	memory = aligned_alloc(64, rc_align_up(rc_inflater_bytes(), 64));
	inflater = rc_inflater_init(memory);
	for (uint32_t i = 0; i < BIG; i++)
		text[i] = (unsigned char)('a' + (i * i / 7 + i / 300) % 23);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(deflater);
	free(inflater);
	return 0;
}

/* The way a client does it, with a window of exactly that many bits. */
static void assert_zlib_reads(
	const void *bytes, size_t len, int bits, const void *expected, size_t size)
{
	z_stream z = {0};
	unsigned char *in = malloc(len + 4), *out = malloc(size + 1);

	memcpy(in, bytes, len);
	memcpy(in + len, "\0\0\xff\xff", 4);
	assert_int_equal(inflateInit2(&z, -bits), Z_OK);
	z.next_in = in;
	z.avail_in = (uInt)len + 4;
	z.next_out = out;
	z.avail_out = (uInt)size + 1;
	assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
	assert_int_equal(z.avail_in, 0);
	assert_int_equal(z.avail_out, 1);
	assert_memory_equal(out, expected, size);
	(void)inflateEnd(&z);
	free(in);
	free(out);
}

static enum rc_inflated inflated(const void *bytes, size_t len, size_t cap, size_t *out_len)
{
	unsigned char *in = malloc(len + (len == 0)), *out = malloc(cap + 1);
	enum rc_inflated result;

	memcpy(in, bytes, len);
	result = rc_inflate(inflater, in, len, out, cap, out_len);
	if (result == RC_INFLATED)
		memcpy(plain, out, *out_len);
	free(in);
	free(out);
	return result;
}

static void assert_inflates(const char *bytes, size_t len, const char *expected)
{
	size_t size;

	assert_int_equal(inflated(bytes, len, 100, &size), RC_INFLATED);
	assert_int_equal(size, strlen(expected));
	assert_memory_equal(plain, expected, size);
}

static void message_of_any_length_comes_back_in_any_window(void **state)
{
	static const size_t lens[] = {1, 2, 100, 511, 512, 513, 1000, 5000, 16384, 65536, BIG};
	size_t size;

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(lens); i++) {
		for (int bits = RC_DEFLATE_BITS_MIN; bits <= RC_DEFLATE_BITS_MAX; bits++) {
			size_t made =
				rc_deflate(deflater, bits, text, lens[i], packed, sizeof(packed));
			assert_in_range(made, 1, lens[i] + 16);
			assert_zlib_reads(packed, made, bits, text, lens[i]);
			assert_int_equal(inflated(packed, made, BIG, &size), RC_INFLATED);
			assert_int_equal(size, lens[i]);
			assert_memory_equal(plain, text, size);
		}
	}
}

static void message_that_finds_no_room_is_told_and_harms_no_other(void **state)
{
	size_t made = rc_deflate(deflater, 15, text, 4096, packed, sizeof(packed));

	(void)state;
	for (size_t cap = 0; cap < made + 5; cap++) {
		unsigned char *out = malloc(cap + (cap == 0));
		assert_int_equal(rc_deflate(deflater, 15, text, 4096, out, cap), 0);
		free(out);
	}
	assert_int_equal(rc_deflate(deflater, 15, text, 4096, packed, made + 5), made);
	assert_zlib_reads(packed, made, 15, text, 4096);
}

static void examples_of_the_rfc_are_read(void **state)
{
	(void)state;
	/* RFC 7692, 7.2.3: one block, two fragments of it, no compression, BFINAL, two blocks, an empty message. */
	assert_inflates("\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello");
	assert_inflates("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11, "Hello");
	assert_inflates("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, "Hello");
	assert_inflates("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13, "Hello");
	assert_inflates("\x00", 1, "");
	/* The same without the byte of the empty block behind the last one, and with the tail that should be gone. */
	assert_inflates("\xf3\x48\xcd\xc9\xc9\x07\x00", 7, "Hello");
	assert_inflates("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", 11, "Hello");
}

static void what_is_cut_is_refused_unless_it_ends_between_blocks(void **state)
{
	size_t made = rc_deflate(deflater, 15, text, 3000, packed, sizeof(packed)), size;

	(void)state;
	assert_int_equal(inflated("", 0, 100, &size), RC_INFLATE_BROKEN);
	for (size_t len = 0; len < made; len++)
		assert_int_not_equal(inflated(packed, len, 3000, &size), RC_INFLATED);
	/* A byte of 0 is an empty message; with one letter the tail is the other four; with five letters the block is whole. */
	for (size_t len = 0; len < 11; len++)
		assert_int_equal(inflated("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", len, 100,
					 &size) == RC_INFLATED,
			len == 1 || len == 6 || len == 10);
}

static void garbage_is_broken_and_what_comes_next_is_not(void **state)
{
	size_t size;

	(void)state;
	assert_int_equal(inflated("\x07", 1, 100, &size), RC_INFLATE_BROKEN);
	assert_int_equal(inflated("\x00\x05\x00\x05\x00hello", 10, 100, &size), RC_INFLATE_BROKEN);
	assert_int_equal(
		inflated("\xf3\x48\xcd\xc9\xc9\x07\x00\xff", 8, 100, &size), RC_INFLATE_BROKEN);
	assert_inflates("\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello");
}

static void what_is_too_big_ends_at_the_bound(void **state)
{
	size_t size;

	(void)state;
	memset(plain, ' ', BIG);
	size_t made = rc_deflate(deflater, 15, plain, BIG, packed, sizeof(packed));
	assert_in_range(made, 1, BIG / 200);
	for (size_t cap = 0; cap < 600; cap++)
		assert_int_equal(inflated(packed, made, cap, &size), RC_INFLATE_TOO_BIG);
	assert_int_equal(inflated(packed, made, BIG - 1, &size), RC_INFLATE_TOO_BIG);
	assert_int_equal(inflated(packed, made, BIG, &size), RC_INFLATED);
	assert_int_equal(size, BIG);
}

static void blocks_without_content_have_a_bound(void **state)
{
	static unsigned char empty[5000 * 5];
	size_t size;

	(void)state;
	/* Stored blocks of no bytes: 5 bytes each. */
	for (size_t i = 0; i < sizeof(empty); i += 5)
		memcpy(empty + i, "\x00\x00\x00\xff\xff", 5);
	assert_int_equal(inflated(empty, sizeof(empty), 100, &size), RC_INFLATE_TOO_BIG);
	assert_int_equal(inflated(empty, 5 * 64, 100, &size), RC_INFLATED);
	assert_int_equal(size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_of_any_length_comes_back_in_any_window),
		cmocka_unit_test(message_that_finds_no_room_is_told_and_harms_no_other),
		cmocka_unit_test(examples_of_the_rfc_are_read),
		cmocka_unit_test(what_is_cut_is_refused_unless_it_ends_between_blocks),
		cmocka_unit_test(garbage_is_broken_and_what_comes_next_is_not),
		cmocka_unit_test(what_is_too_big_ends_at_the_bound),
		cmocka_unit_test(blocks_without_content_have_a_bound),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
