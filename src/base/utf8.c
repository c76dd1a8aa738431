/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte by byte, the state says which bytes may come next and which state follows. Only the second byte of a character is ever
 * restricted further than 80..BF: there overlong forms, surrogates, and what lies above U+10FFFF show.
 */
#include "base/utf8.h"

#include <endian.h>

#include "base/simd.h"

enum {
	LAST = 2,    /* one continuation byte to come */
	LAST_TWO,    /* two to come */
	AFTER_E0,    /* two, the first not below A0: else overlong */
	AFTER_ED,    /* two, the first not above 9F: else a surrogate */
	AFTER_F0,    /* three, the first not below 90: else overlong */
	AFTER_F1_F3, /* three */
	AFTER_F4,    /* three, the first not above 8F: else above U+10FFFF */
};

static const struct {
	unsigned char low, high, next;
} step[] = {
	[LAST] = {0x80, 0xbf, RC_UTF8_ACCEPT},
	[LAST_TWO] = {0x80, 0xbf, LAST},
	[AFTER_E0] = {0xa0, 0xbf, LAST},
	[AFTER_ED] = {0x80, 0x9f, LAST},
	[AFTER_F0] = {0x90, 0xbf, LAST_TWO},
	[AFTER_F1_F3] = {0x80, 0xbf, LAST_TWO},
	[AFTER_F4] = {0x80, 0x8f, LAST_TWO},
};

/* By first byte, from C0 on; 80..BF can't begin a character. */
static const unsigned char lead[64] = {
	[0x00 ... 0x01] = RC_UTF8_REJECT,
	[0x02 ... 0x1f] = LAST,
	[0x20] = AFTER_E0,
	[0x21 ... 0x2c] = LAST_TWO,
	[0x2d] = AFTER_ED,
	[0x2e ... 0x2f] = LAST_TWO,
	[0x30] = AFTER_F0,
	[0x31 ... 0x33] = AFTER_F1_F3,
	[0x34] = AFTER_F4,
	[0x35 ... 0x3f] = RC_UTF8_REJECT,
};

#define HIGH_BITS 0x8080808080808080u

/* Skips ASCII eight bytes at a time; stops at a byte above 7F or within eight bytes of the end. */
static const unsigned char *skip_ascii(const unsigned char *p, const unsigned char *end)
{
	while (end - p >= 8) {
		uint64_t word;
		memcpy(&word, p, 8);
		uint64_t high = le64toh(word) & HIGH_BITS;
		if (high != 0)
			return p + __builtin_ctzll(high) / 8;
		p += 8;
	}
	return p;
}

uint32_t rc_utf8_feed_plain(uint32_t state, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	if (state == RC_UTF8_REJECT || len == 0)
		return state;
	RC_DASSERT(state <= AFTER_F4);

	for (const unsigned char *end = p + len; p < end; p++) {
		if (state == RC_UTF8_ACCEPT) {
			p = skip_ascii(p, end);
			if (p == end)
				break;
			if (*p < 0x80)
				continue;
			if (*p < 0xc0)
				return RC_UTF8_REJECT;
			state = lead[*p - 0xc0];
			if (state == RC_UTF8_REJECT)
				return RC_UTF8_REJECT;
		} else {
			if (*p < step[state].low || *p > step[state].high)
				return RC_UTF8_REJECT;
			state = step[state].next;
		}
	}
	return state;
}

/* ---- sixteen bytes at a time ---------------------------------------------------------------------
 *
 * A character is wrong in a pair of neighbouring bytes: each kind of mistake has a bit, and stands in three tables, by the
 * first byte's halves and by the upper half of the second. The bit that all three have in common is a mistake that was made.
 * One bit, CONTINUED, is none by itself: two continuation bytes in a row belong where two or three bytes before
 * stands the first of a longer character, and nowhere else.
 */

#define TOO_SHORT (1 << 0) /* a first byte, and no continuation after it */
#define TOO_LONG  (1 << 1) /* a continuation after ASCII */
#define OVER_2    (1 << 2) /* C0, C1: would fit into one byte */
#define OVER_3    (1 << 3) /* E0 80..9F: into two */
#define SURROGATE (1 << 4) /* ED A0..BF */
#define HUGE_9    (1 << 5) /* F4 90..BF and beyond */
#define EDGE_8    (1 << 6) /* F0 80..8F would fit into three bytes; F5..FF 80..8F is too large */
#define CONTINUED (1 << 7)
#define ALWAYS    (TOO_SHORT | TOO_LONG | CONTINUED) /* whatever the first byte's lower half */

RC_SIMD_LOOKUP_CODE static inline rc_v16 mistakes(rc_v16 before, rc_v16 v)
{
	const rc_v16 first_high = {TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
		TOO_LONG, TOO_LONG, CONTINUED, CONTINUED, CONTINUED, CONTINUED, TOO_SHORT | OVER_2,
		TOO_SHORT, TOO_SHORT | OVER_3 | SURROGATE, TOO_SHORT | HUGE_9 | EDGE_8};
	const rc_v16 first_low = {ALWAYS | OVER_2 | OVER_3 | EDGE_8, ALWAYS | OVER_2, ALWAYS,
		ALWAYS, ALWAYS | HUGE_9, ALWAYS | HUGE_9 | EDGE_8, ALWAYS | HUGE_9 | EDGE_8,
		ALWAYS | HUGE_9 | EDGE_8, ALWAYS | HUGE_9 | EDGE_8, ALWAYS | HUGE_9 | EDGE_8,
		ALWAYS | HUGE_9 | EDGE_8, ALWAYS | HUGE_9 | EDGE_8, ALWAYS | HUGE_9 | EDGE_8,
		ALWAYS | HUGE_9 | EDGE_8 | SURROGATE, ALWAYS | HUGE_9 | EDGE_8,
		ALWAYS | HUGE_9 | EDGE_8};
	const uint8_t any = TOO_LONG | OVER_2 | CONTINUED;
	const rc_v16 second_high = {TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
		TOO_SHORT, TOO_SHORT, TOO_SHORT, any | OVER_3 | EDGE_8, any | OVER_3 | HUGE_9,
		any | SURROGATE | HUGE_9, any | SURROGATE | HUGE_9, TOO_SHORT, TOO_SHORT, TOO_SHORT,
		TOO_SHORT};
	rc_v16 first = rc_v16_behind(before, v, 1);
	rc_v16 found = rc_v16_lookup(first_high, first >> 4) &
		       rc_v16_lookup(first_low, first & 15) & rc_v16_lookup(second_high, v >> 4);
	rc_v16 third = (rc_v16)(rc_v16_behind(before, v, 2) >= rc_v16_splat(0xe0));
	rc_v16 fourth = (rc_v16)(rc_v16_behind(before, v, 3) >= rc_v16_splat(0xf0));

	return found ^ ((third | fourth) & rc_v16_splat(CONTINUED));
}

/* How many bytes at the end of [p, p + len), len >= 3, belong to a character that wants more. */
static uint32_t unfinished(const unsigned char *end)
{
	if (end[-1] >= 0xc0)
		return 1;
	if (end[-2] >= 0xe0)
		return 2;
	return end[-3] >= 0xf0 ? 3 : 0;
}

/* Up to the first sixteen bytes that are not all ASCII, or less than sixteen before the end. */
static inline const unsigned char *skip_ascii_blocks(
	const unsigned char *p, const unsigned char *end)
{
	while (end - p >= (ptrdiff_t)(4 * RC_V16) &&
		!rc_v16_high(rc_v16_load(p) | rc_v16_load(p + RC_V16) |
			     rc_v16_load(p + 2 * RC_V16) | rc_v16_load(p + 3 * RC_V16)))
		p += 4 * RC_V16;
	while (end - p >= (ptrdiff_t)RC_V16 && !rc_v16_high(rc_v16_load(p)))
		p += RC_V16;
	return p;
}

/*
 * p is where a character begins. Returns how far all is right, at the beginning of a character again and less than 16 + 3
 * bytes before the end; NULL when something is wrong.
 */
RC_SIMD_LOOKUP_CODE static const unsigned char *check_blocks(
	const unsigned char *p, const unsigned char *end)
{
	rc_v16 before = {0};
	const unsigned char *begin = p;

	while (end - p >= (ptrdiff_t)RC_V16) {
		rc_v16 v = rc_v16_load(p);

		if (rc_v16_high(v)) {
			if (rc_v16_high((rc_v16)(mistakes(before, v) != rc_v16_splat(0))))
				return NULL;
			before = v;
			p += RC_V16;
			continue;
		}
		/* ASCII: wrong only behind a character that wants more. */
		if (rc_v16_high(before) && unfinished(p))
			return NULL;
		before = v;
		p = skip_ascii_blocks(p + RC_V16, end);
	}
	return p == begin ? p : p - unfinished(p);
}

uint32_t rc_utf8_feed(uint32_t state, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	const unsigned char *end = p + len;

	if (len < RC_V16 || state == RC_UTF8_REJECT)
		return rc_utf8_feed_plain(state, bytes, len);
	/* What is left of a character that began in an earlier piece. */
	while (state != RC_UTF8_ACCEPT) {
		state = rc_utf8_feed_plain(state, p++, 1);
		if (state == RC_UTF8_REJECT)
			return state;
	}
	p = skip_ascii_blocks(p, end);
	if (end - p >= (ptrdiff_t)RC_V16 && rc_simd_has_lookup()) {
		p = check_blocks(p, end);
		if (!p)
			return RC_UTF8_REJECT;
	}
	/* Most texts end in ASCII, which may be looked at twice. */
	if (end - p <= (ptrdiff_t)RC_V16 && !rc_v16_high(rc_v16_load(end - RC_V16)))
		return RC_UTF8_ACCEPT;
	return rc_utf8_feed_plain(RC_UTF8_ACCEPT, p, (size_t)(end - p));
}
