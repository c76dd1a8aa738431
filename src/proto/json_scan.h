/* SPDX-License-Identifier: Apache-2.0
 *
 * The small steps that all of JSON is made of; only json*.c includes this. Strings are most of a message, so they are
 * stepped over sixteen bytes at a time, and near the end of the text eight: three subtractions find the first quote, backslash
 * or control byte of a word. No step reads at or behind end. Pure, any thread.
 */
#ifndef RC_PROTO_JSON_SCAN_H
#define RC_PROTO_JSON_SCAN_H

#include <assert.h>

#include "base/simd.h"

#define RC_SCAN_ONES  0x0101010101010101ull
#define RC_SCAN_HIGHS 0x8080808080808080ull

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest of a word");

static inline uint64_t rc_scan_load8(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/*
 * The high bit of each byte that is `byte`. A borrow can set bits above the first true one, never below, so the lowest
 * bit is exact, and so is zero. The same holds for `below`, and for both or-ed.
 */
static inline uint64_t rc_scan_bytes_equal(uint64_t word, unsigned char byte)
{
	uint64_t x = word ^ (RC_SCAN_ONES * byte);

	return (x - RC_SCAN_ONES) & ~x & RC_SCAN_HIGHS;
}

static inline uint64_t rc_scan_bytes_below(uint64_t word, unsigned char bound)
{
	return (word - RC_SCAN_ONES * bound) & ~word & RC_SCAN_HIGHS;
}

/* What a JSON string may not hold as it is. */
static inline uint64_t rc_scan_bytes_special(uint64_t word)
{
	return rc_scan_bytes_equal(word, '"') | rc_scan_bytes_equal(word, '\\') |
	       rc_scan_bytes_below(word, 0x20);
}

static inline bool rc_scan_is_special(unsigned char c)
{
	return c == '"' || c == '\\' || c < 0x20;
}

static inline size_t rc_scan_first_byte(uint64_t mask)
{
	return (size_t)__builtin_ctzll(mask) >> 3;
}

static inline bool rc_scan_is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

static inline bool rc_scan_is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *rc_scan_skip_space(const char *p, const char *end)
{
	while (p < end && rc_scan_is_space(*p))
		p++;
	return p;
}

static inline int rc_scan_hex_digit(char c)
{
	if (rc_scan_is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The value of four hex digits, or -1. */
static inline int rc_scan_hex4(const char *p, const char *end)
{
	int value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = rc_scan_hex_digit(p[i]);

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* What the character after a backslash stands for; 0 for 'u' and for what may not stand there. */
static inline char rc_scan_escape_meaning(char c)
{
	switch (c) {
	case '"':
	case '\\':
	case '/':
		return c;
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default:
		return 0;
	}
}

/*
 * The first special byte, or end. *seen becomes other than 0 when a byte above 7F was passed (or stands close behind): then
 * the text is to be looked at as UTF-8.
 */
static inline const char *rc_scan_plain_end(const char *p, const char *end, uint64_t *seen)
{
	while (end - p >= (ptrdiff_t)RC_V16) {
		rc_v16 v = rc_v16_load(p);
		rc_v16 special = (rc_v16)(v == rc_v16_splat('"')) |
				 (rc_v16)(v == rc_v16_splat('\\')) | rc_v16_below_space(v);

		*seen |= rc_v16_high(v);
		if (rc_v16_high(special))
			return p + rc_v16_first(special);
		p += RC_V16;
	}
	while (end - p >= 8) {
		uint64_t word = rc_scan_load8(p);
		uint64_t mask = rc_scan_bytes_special(word);

		*seen |= word & RC_SCAN_HIGHS;
		if (mask != 0)
			return p + rc_scan_first_byte(mask);
		p += 8;
	}
	for (; p < end && !rc_scan_is_special((unsigned char)*p); p++)
		*seen |= (unsigned char)*p & 0x80;
	return p;
}

#endif
