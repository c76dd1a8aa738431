/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 as tokens have it. See base64.h.
 */
#include <errno.h>

#include "proto/base64.h"

/* What a character stands for, and 1; so 0 is a foreign one. */
static const uint8_t value_and_one[256] = {
	['A'] = 1,
	['B'] = 2,
	['C'] = 3,
	['D'] = 4,
	['E'] = 5,
	['F'] = 6,
	['G'] = 7,
	['H'] = 8,
	['I'] = 9,
	['J'] = 10,
	['K'] = 11,
	['L'] = 12,
	['M'] = 13,
	['N'] = 14,
	['O'] = 15,
	['P'] = 16,
	['Q'] = 17,
	['R'] = 18,
	['S'] = 19,
	['T'] = 20,
	['U'] = 21,
	['V'] = 22,
	['W'] = 23,
	['X'] = 24,
	['Y'] = 25,
	['Z'] = 26,
	['a'] = 27,
	['b'] = 28,
	['c'] = 29,
	['d'] = 30,
	['e'] = 31,
	['f'] = 32,
	['g'] = 33,
	['h'] = 34,
	['i'] = 35,
	['j'] = 36,
	['k'] = 37,
	['l'] = 38,
	['m'] = 39,
	['n'] = 40,
	['o'] = 41,
	['p'] = 42,
	['q'] = 43,
	['r'] = 44,
	['s'] = 45,
	['t'] = 46,
	['u'] = 47,
	['v'] = 48,
	['w'] = 49,
	['x'] = 50,
	['y'] = 51,
	['z'] = 52,
	['0'] = 53,
	['1'] = 54,
	['2'] = 55,
	['3'] = 56,
	['4'] = 57,
	['5'] = 58,
	['6'] = 59,
	['7'] = 60,
	['8'] = 61,
	['9'] = 62,
	['-'] = 63,
	['_'] = 64,
};

/* More than 63: it is a foreign one. */
static inline uint32_t sextet(char c)
{
	return value_and_one[(unsigned char)c] - 1u;
}

/* Of the two or three characters behind the last whole group. */
static int decode_rest(const char *text, size_t count, unsigned char *at)
{
	uint32_t a = sextet(text[0]), b = sextet(text[1]), c = count == 3 ? sextet(text[2]) : 0;
	uint32_t group = a << 18 | b << 12 | c << 6;

	/* Bits that no byte takes up must be zero, or two texts would mean the same. */
	if ((a | b | c) > 63 || (group & (count == 3 ? 0xffu : 0xffffu)) != 0)
		return -EINVAL;
	at[0] = (unsigned char)(group >> 16);
	if (count == 3)
		at[1] = (unsigned char)(group >> 8);
	return 0;
}

int64_t rc_base64url_decode(struct rc_str in, void *out, size_t cap)
{
	unsigned char *at = out;
	size_t rest = in.len % 4;
	size_t len = in.len / 4 * 3 + (rest ? rest - 1 : 0);
	const char *p = in.ptr;

	if (rest == 1)
		return -EINVAL;
	if (len > cap)
		return -ENOSPC;
	for (size_t groups = in.len / 4; groups; groups--, p += 4, at += 3) {
		uint32_t a = sextet(p[0]), b = sextet(p[1]), c = sextet(p[2]), d = sextet(p[3]);
		uint32_t group = a << 18 | b << 12 | c << 6 | d;

		if ((a | b | c | d) > 63)
			return -EINVAL;
		at[0] = (unsigned char)(group >> 16);
		at[1] = (unsigned char)(group >> 8);
		at[2] = (unsigned char)group;
	}
	if (rest && decode_rest(p, rest, at) < 0)
		return -EINVAL;
	return (int64_t)len;
}
