/* SPDX-License-Identifier: Apache-2.0
 *
 * The state says which bytes may come next and which state follows. Only the second byte of a character is ever
 * restricted further than 80..BF: there overlong forms, surrogates, and what lies above U+10FFFF show.
 */
#include "base/utf8.h"

#include <endian.h>

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

uint32_t rc_utf8_feed(uint32_t state, const void *bytes, size_t len)
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
