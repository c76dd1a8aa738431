/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/proxy.h"

#define V1_SHORTEST 15u /* "PROXY UNKNOWN" CR LF */
#define V2_HEAD     16u

enum { LOCAL = 0x20, PROXY = 0x21 };
enum { UNSPEC = 0x00, TCP4 = 0x11, TCP6 = 0x21, UNIX = 0x31 };
enum { TLV_CRC32C = 0x03 };

static const unsigned char v1_mark[6] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const unsigned char v2_mark[12] = {
	'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

static uint32_t u16_at(const unsigned char *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static int partial(struct rc_proxy_header *out, uint32_t need)
{
	out->need = need;
	return RC_PROXY_PARTIAL;
}

/* ---- version 1 ---------------------------------------------------------------------------------- */

/* Takes what stands before the next blank; false: there is nothing. */
static bool next_word(struct rc_str *rest, struct rc_str *word)
{
	const char *end = rest->len ? memchr(rest->ptr, ' ', rest->len) : NULL;

	word->ptr = rest->ptr;
	word->len = end ? (size_t)(end - rest->ptr) : rest->len;
	rest->ptr += word->len + (end != NULL);
	rest->len -= word->len + (end != NULL);
	/* A blank at the end has nothing behind it. */
	return word->len && (!end || rest->len);
}

static bool address(struct rc_str text, uint8_t family, struct rc_netaddr *out)
{
	bool colon = text.len && memchr(text.ptr, ':', text.len);

	/* An IPv4 address in IPv6 is one of IPv6 here, and of IPv4 from here on. */
	return colon == (family == 6) && rc_netaddr_parse(text, out);
}

static bool read_line(struct rc_str line, struct rc_netaddr *source)
{
	struct rc_str kind, from, to, from_port, to_port;
	struct rc_netaddr other;
	uint16_t port;
	uint8_t family;

	if (rc_str_eq(line, RC_STR("UNKNOWN")) || rc_str_starts(line, RC_STR("UNKNOWN ")))
		return true;
	if (!next_word(&line, &kind) || !next_word(&line, &from) || !next_word(&line, &to) ||
		!next_word(&line, &from_port) || !next_word(&line, &to_port) || line.len)
		return false;
	family = rc_str_eq(kind, RC_STR("TCP4")) ? 4 : rc_str_eq(kind, RC_STR("TCP6")) ? 6 : 0;
	if (!family || !address(from, family, source) || !address(to, family, &other) ||
		!rc_netaddr_parse_port(from_port, &source->port))
		return false;
	return rc_netaddr_parse_port(to_port, &port);
}

static int version_1(const unsigned char *p, size_t len, struct rc_proxy_header *out)
{
	size_t seen = RC_MIN(len, (size_t)RC_PROXY_V1_MAX);
	size_t end = sizeof(v1_mark);

	/* No control character has a place in it, so the first one ends it. */
	while (end < seen && p[end] >= 0x20 && p[end] != 0x7f)
		end++;
	if (end == seen)
		return seen == RC_PROXY_V1_MAX
			       ? RC_PROXY_BAD
			       : partial(out, RC_MAX((uint32_t)len + 1, V1_SHORTEST));
	if (p[end] != '\r' || end + 1 == RC_PROXY_V1_MAX)
		return RC_PROXY_BAD;
	if (end + 1 == seen)
		return partial(out, (uint32_t)len + 1);
	struct rc_str line = {(const char *)p + sizeof(v1_mark), end - sizeof(v1_mark)};
	if (p[end + 1] != '\n' || !read_line(line, &out->source))
		return RC_PROXY_BAD;
	return (int)end + 2;
}

/* ---- version 2 ---------------------------------------------------------------------------------- */

/* CRC-32C (Castagnoli), bit by bit: a header is short, and there is one to a connection. */
static uint32_t crc32c(uint32_t crc, const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

/* As if the four bytes at `at`, where the sum itself stands, were zero. */
static bool sum_is_right(const unsigned char *p, uint32_t len, uint32_t at)
{
	static const unsigned char zero[4];
	uint32_t crc = crc32c(UINT32_MAX, p, at);

	crc = crc32c(crc, zero, sizeof(zero));
	crc = ~crc32c(crc, p + at + 4, len - at - 4);
	return crc == (u16_at(p + at) << 16 | u16_at(p + at + 2));
}

/* What follows the addresses: each with a type, a length, and so many bytes. */
static bool additions_fit(const unsigned char *p, uint32_t at, uint32_t len)
{
	uint32_t sum_at = 0;

	while (at < len) {
		if (len - at < 3 || u16_at(p + at + 1) > len - at - 3)
			return false;
		uint32_t size = u16_at(p + at + 1);
		if (p[at] == TLV_CRC32C) {
			if (sum_at || size != 4)
				return false;
			sum_at = at + 3;
		}
		at += 3 + size;
	}
	return !sum_at || sum_is_right(p, len, sum_at);
}

static bool read_block(const unsigned char *p, uint32_t len, struct rc_netaddr *source)
{
	uint32_t size;

	switch (p[13]) {
	case UNSPEC:
		/* What there is behind it can't be taken apart. */
		return true;
	case TCP4:
		size = 12;
		break;
	case TCP6:
		size = 36;
		break;
	case UNIX:
		size = 216;
		break;
	default:
		return false;
	}
	if (len - V2_HEAD < size || !additions_fit(p, V2_HEAD + size, len))
		return false;
	if (p[13] == TCP4)
		*source = rc_netaddr_make(4, p + 16, (uint16_t)u16_at(p + 24));
	else if (p[13] == TCP6)
		*source = rc_netaddr_make(6, p + 16, (uint16_t)u16_at(p + 48));
	return true;
}

static int version_2(const unsigned char *p, size_t len, struct rc_proxy_header *out)
{
	uint32_t whole;

	if (len > 12 && p[12] != LOCAL && p[12] != PROXY)
		return RC_PROXY_BAD;
	if (len < V2_HEAD)
		return partial(out, V2_HEAD);
	whole = V2_HEAD + u16_at(p + 14);
	if (whole > RC_PROXY_MAX)
		return RC_PROXY_BAD;
	if (len < whole)
		return partial(out, whole);
	if (p[12] == PROXY && !read_block(p, whole, &out->source))
		return RC_PROXY_BAD;
	return (int)whole;
}

int rc_proxy_parse(const void *bytes, size_t len, struct rc_proxy_header *out)
{
	const unsigned char *p = bytes;

	memset(out, 0, sizeof(*out));
	out->begun = (len >= sizeof(v1_mark) && memcmp(p, v1_mark, sizeof(v1_mark)) == 0) ||
		     (len >= sizeof(v2_mark) && memcmp(p, v2_mark, sizeof(v2_mark)) == 0);
	if (len == 0)
		return partial(out, 1);
	if (memcmp(p, v1_mark, RC_MIN(len, sizeof(v1_mark))) == 0)
		return len < sizeof(v1_mark) ? partial(out, (uint32_t)len + 1)
					     : version_1(p, len, out);
	if (memcmp(p, v2_mark, RC_MIN(len, sizeof(v2_mark))) == 0)
		return len < sizeof(v2_mark) ? partial(out, (uint32_t)len + 1)
					     : version_2(p, len, out);
	return RC_PROXY_NONE;
}
