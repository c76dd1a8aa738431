/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-1 over a buffer in one go (FIPS 180-4). See sha1.h.
 */
#include "proto/sha1.h"

#define BLOCK_LEN 64

static uint32_t rotate(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static void block(uint32_t h[5], const unsigned char *p)
{
	uint32_t w[80];
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (int i = 0; i < 16; i++) {
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	}
	for (int i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f, k, t;

		if (i < 20) {
			f = (b & c) | (~b & d);
			k = 0x5a827999;
		} else if (i < 40) {
			f = b ^ c ^ d;
			k = 0x6ed9eba1;
		} else if (i < 60) {
			f = (b & c) | (b & d) | (c & d);
			k = 0x8f1bbcdc;
		} else {
			f = b ^ c ^ d;
			k = 0xca62c1d6;
		}
		t = rotate(a, 5) + f + e + k + w[i];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

void rc_sha1(const void *bytes, size_t len, unsigned char out[RC_SHA1_LEN])
{
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	const unsigned char *p = bytes;
	unsigned char tail[2 * BLOCK_LEN] = {0};
	size_t left = len, tail_len;
	uint64_t bits = (uint64_t)len * 8;

	for (; left >= BLOCK_LEN; left -= BLOCK_LEN, p += BLOCK_LEN)
		block(h, p);
	if (left > 0)
		memcpy(tail, p, left);
	tail[left] = 0x80;
	tail_len = left + 9 <= BLOCK_LEN ? BLOCK_LEN : 2 * BLOCK_LEN;
	for (size_t i = 0; i < 8; i++)
		tail[tail_len - 1 - i] = (unsigned char)(bits >> (8 * i));
	for (size_t at = 0; at < tail_len; at += BLOCK_LEN)
		block(h, tail + at);
	for (int i = 0; i < RC_SHA1_LEN; i++)
		out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}
