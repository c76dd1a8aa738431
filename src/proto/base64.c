/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 both ways. See base64.h.
 */
#include "proto/base64.h"

#include <errno.h>

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Without padding. Returns behind the last character. */
static char *encode(const char *alphabet, const void *bytes, size_t len, char *at)
{
	const unsigned char *p = bytes;

	for (; len >= 3; len -= 3, p += 3, at += 4) {
		at[0] = alphabet[p[0] >> 2];
		at[1] = alphabet[(p[0] << 4 | p[1] >> 4) & 63];
		at[2] = alphabet[(p[1] << 2 | p[2] >> 6) & 63];
		at[3] = alphabet[p[2] & 63];
	}
	if (len > 0) {
		int second = len == 2 ? p[1] : 0;

		*at++ = alphabet[p[0] >> 2];
		*at++ = alphabet[(p[0] << 4 | second >> 4) & 63];
		if (len == 2)
			*at++ = alphabet[(second << 2) & 63];
	}
	return at;
}

size_t rc_base64_encode(const void *bytes, size_t len, char *out)
{
	char *at = encode(standard, bytes, len, out);

	while ((at - out) % 4)
		*at++ = '=';
	return (size_t)(at - out);
}

size_t rc_base64url_encode(const void *bytes, size_t len, char *out)
{
	return (size_t)(encode(url, bytes, len, out) - out);
}

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int64_t rc_base64_decode(struct rc_str in, void *out, size_t cap)
{
	unsigned char *at = out;
	size_t padding = 0, len;

	if (in.len % 4 != 0)
		return -EINVAL;
	while (padding < 2 && padding < in.len && in.ptr[in.len - 1 - padding] == '=')
		padding++;
	len = in.len / 4 * 3 - padding;
	for (size_t i = 0, written = 0; i < in.len; i += 4) {
		uint32_t group = 0;
		size_t keep = i + 4 < in.len ? 3 : 3 - padding;

		for (size_t k = 0; k < 4; k++) {
			int six = k <= keep ? sextet(in.ptr[i + k]) : 0;

			if (six < 0)
				return -EINVAL;
			group = group << 6 | (uint32_t)six;
		}
		/* Bits that no byte takes up must be zero, or two texts would mean the same. */
		if ((group << (8 * keep) & 0xffffff) != 0)
			return -EINVAL;
		for (size_t k = 0; k < keep; k++, written++) {
			if (written == cap)
				return -ENOSPC;
			at[written] = (unsigned char)(group >> (16 - 8 * k));
		}
	}
	return (int64_t)len;
}
