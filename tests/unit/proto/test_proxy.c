/* SPDX-License-Identifier: Apache-2.0
 *
 * PROXY headers: both versions, whole, cut everywhere, and wrong in every way.
 */
#include <stdio.h>

#include "../unit.h"

#include "proto/proxy.h"

static struct rc_proxy_header h;

/* A header of version 2 that is being made. */
static unsigned char v2[4096];
static uint32_t v2_len;

static const unsigned char mark[12] = {
	'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

static void v2_length(uint32_t len)
{
	v2[14] = (unsigned char)(len >> 8);
	v2[15] = (unsigned char)len;
}

static void v2_add(const void *bytes, uint32_t len)
{
	memcpy(v2 + v2_len, bytes, len);
	v2_len += len;
	v2_length(v2_len - 16);
}

static void v2_begin(uint8_t command, uint8_t family)
{
	memcpy(v2, mark, sizeof(mark));
	v2[12] = command;
	v2[13] = family;
	v2_len = 16;
	v2_length(0);
}

static void v2_tcp4(void)
{
	v2_begin(0x21, 0x11);
	v2_add("\xc0\x00\x02\x07\xcb\x00\x71\x01\x30\x39\x1f\x90", 12);
}

static void v2_tlv(uint8_t type, const void *bytes, uint32_t len)
{
	unsigned char head[3] = {type, (unsigned char)(len >> 8), (unsigned char)len};

	v2_add(head, 3);
	v2_add(bytes, len);
}

/* With a table, as the parser has none. */
static uint32_t sum(const unsigned char *p, uint32_t len)
{
	uint32_t table[256], crc = UINT32_MAX;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int k = 0; k < 8; k++)
			table[i] = table[i] & 1 ? 0x82f63b78u ^ table[i] >> 1 : table[i] >> 1;
	}
	for (uint32_t i = 0; i < len; i++)
		crc = table[(crc ^ p[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}

static void v2_sum(void)
{
	uint32_t at = v2_len + 3;

	v2_tlv(3, "\0\0\0\0", 4);
	uint32_t crc = sum(v2, v2_len);
	for (int i = 0; i < 4; i++)
		v2[at + (uint32_t)i] = (unsigned char)(crc >> (24 - 8 * i));
}

static int parse_v2(void)
{
	return rc_proxy_parse(v2, v2_len, &h);
}

static int parse(const char *text)
{
	return rc_proxy_parse(text, strlen(text), &h);
}

static void expect_source(const char *text)
{
	char out[RC_NETADDR_TEXT];

	(void)rc_netaddr_format(&h.source, out);
	assert_string_equal(out, text);
}

/* Every beginning of it is undecided, and asks for more than there is but never for more than the whole. */
static void expect_partial_everywhere(const void *bytes, uint32_t len)
{
	for (uint32_t n = 0; n < len; n++) {
		unsigned char *exact = malloc(n ? n : 1);
		assert_non_null(exact);
		memcpy(exact, bytes, n);
		assert_int_equal(rc_proxy_parse(exact, n, &h), RC_PROXY_PARTIAL);
		assert_true(h.need > n && h.need <= len);
		assert_int_equal(h.source.family, 0);
		free(exact);
	}
}

static void version_1_tells_the_source(void **state)
{
	static const struct {
		const char *line, *source;
	} cases[] = {
		{"PROXY TCP4 192.0.2.7 203.0.113.1 12345 8080\r\n", "192.0.2.7:12345"},
		{"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
			"255.255.255.255:65535"},
		{"PROXY TCP4 192.0.2.7 203.0.113.1 0 0\r\n", "192.0.2.7"},
		{"PROXY TCP6 2001:db8::7 ::1 12345 443\r\n", "[2001:db8::7]:12345"},
		{"PROXY TCP6 ::ffff:192.0.2.7 ::1 5 443\r\n", "192.0.2.7:5"},
		{"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
			"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
		{"PROXY UNKNOWN\r\n", "?"},
		{"PROXY UNKNOWN 192.0.2.7 203.0.113.1 12345 8080\r\n", "?"},
		{"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
			"?"},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		char more[200];
		uint32_t len = (uint32_t)strlen(cases[i].line);

		assert_int_equal(parse(cases[i].line), len);
		expect_source(cases[i].source);
		assert_true(h.begun);
		expect_partial_everywhere(cases[i].line, len);
		(void)snprintf(more, sizeof(more), "%sGET / HTTP/1.1\r\n", cases[i].line);
		assert_int_equal(parse(more), len);
		expect_source(cases[i].source);
	}
}

static void version_1_is_read_strictly(void **state)
{
	static const char *const bad[] = {
		"PROXY \r\n",
		"PROXY TCP4\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 12345\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 12345 8080 \r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 12345 8080 1\r\n",
		"PROXY  TCP4 192.0.2.7 203.0.113.1 12345 8080\r\n",
		"PROXY TCP4  192.0.2.7 203.0.113.1 12345 8080\r\n",
		"PROXY TCP4\t192.0.2.7 203.0.113.1 12345 8080\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 12345 8080\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 12345 8080\r\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 12345 8080\rx",
		"PROXY TCP4 192.0.2.7 203.0.113.1 012345 8080\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 01 8080\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 65536 8080\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 1 65536\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 -1 8080\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113 1 8080\r\n",
		"PROXY TCP4 192.0.2.07 203.0.113.1 1 8080\r\n",
		"PROXY TCP4 192.0.2.256 203.0.113.1 1 8080\r\n",
		"PROXY TCP4 2001:db8::7 ::1 12345 443\r\n",
		"PROXY TCP6 192.0.2.7 203.0.113.1 12345 8080\r\n",
		"PROXY TCP6 2001:db8::7 203.0.113.1 12345 8080\r\n",
		"PROXY TCP6 2001:db8::g ::1 12345 443\r\n",
		"PROXY TCP6 fe80::1%eth0 ::1 12345 443\r\n",
		"PROXY TCP6 [2001:db8::7] ::1 12345 443\r\n",
		"PROXY TCP5 192.0.2.7 203.0.113.1 12345 8080\r\n",
		"PROXY tcp4 192.0.2.7 203.0.113.1 12345 8080\r\n",
		"PROXY UDP4 192.0.2.7 203.0.113.1 12345 8080\r\n",
		"PROXY UNKNOWNS\r\n",
		"PROXY unknown\r\n",
		"PROXY UNKNOWN \x01\r\n",
	};
	char line[200];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		if (parse(bad[i]) != RC_PROXY_BAD)
			fail_msg("taken: %s", bad[i]);
		assert_true(h.begun);
	}
	assert_int_equal(rc_proxy_parse("PROXY UNKNOWN\0\r\n", 16, &h), RC_PROXY_BAD);
	/* One byte over the length of the longest, and an endless one. */
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	memcpy(line + 105, "\r\n", 2);
	assert_int_equal(rc_proxy_parse(line, 107, &h), 107);
	line[105] = 'x';
	memcpy(line + 106, "\r\n", 2);
	assert_int_equal(rc_proxy_parse(line, 108, &h), RC_PROXY_BAD);
	assert_int_equal(rc_proxy_parse(line, 107, &h), RC_PROXY_BAD);
	line[106] = line[107] = 'x';
	assert_int_equal(rc_proxy_parse(line, sizeof(line), &h), RC_PROXY_BAD);
	assert_int_equal(rc_proxy_parse(line, 106, &h), RC_PROXY_PARTIAL);
	assert_int_equal(h.need, 107);
}

static void what_begins_otherwise_is_no_header(void **state)
{
	static const char *const others[] = {"GET / HTTP/1.1\r\n", "POST /", "PUT /", "PROPFIND /",
		"PROXYS x", "proxy TCP4", "\r\nGET /", "\r\n\r\nGET /", "\x16\x03\x01", "x", "\n",
		"P ", "PRI * HTTP/2.0"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(others); i++) {
		assert_int_equal(parse(others[i]), RC_PROXY_NONE);
		assert_false(h.begun);
	}
	assert_int_equal(rc_proxy_parse("\0", 1, &h), RC_PROXY_NONE);
	/* One that may still become one is waited for by a single byte. */
	assert_int_equal(parse("PR"), RC_PROXY_PARTIAL);
	assert_int_equal(h.need, 3);
	assert_false(h.begun);
	assert_int_equal(parse("\r\n\r\n"), RC_PROXY_PARTIAL);
	assert_int_equal(h.need, 5);
}

static void version_2_tells_the_source(void **state)
{
	(void)state;
	v2_tcp4();
	assert_int_equal(parse_v2(), 28);
	expect_source("192.0.2.7:12345");
	expect_partial_everywhere(v2, v2_len);
	v2_begin(0x21, 0x21);
	v2_add("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 16);
	v2_add("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x30\x39\x1f\x90", 20);
	assert_int_equal(parse_v2(), 52);
	expect_source("[2001:db8::7]:12345");
	expect_partial_everywhere(v2, v2_len);
	/* IPv4 within IPv6 is IPv4. */
	memset(v2 + 16, 0, 10);
	memcpy(v2 + 26, "\xff\xff\xc0\x00\x02\x09", 6);
	assert_int_equal(parse_v2(), 52);
	expect_source("192.0.2.9:12345");
	/* What comes behind belongs to others. */
	v2_tcp4();
	memset(v2 + v2_len, 0x16, 5);
	assert_int_equal(rc_proxy_parse(v2, v2_len + 5, &h), 28);
}

static void version_2_may_tell_nothing(void **state)
{
	static unsigned char path[216];

	(void)state;
	v2_begin(0x20, 0);
	assert_int_equal(parse_v2(), 16);
	expect_source("?");
	/* Of LOCAL nothing else counts, whatever it is. */
	v2_begin(0x20, 0x77);
	v2_add("\xff\xff\xff\xff\xff", 5);
	assert_int_equal(parse_v2(), 21);
	expect_source("?");
	v2_tcp4();
	v2[12] = 0x20;
	assert_int_equal(parse_v2(), 28);
	expect_source("?");
	v2_begin(0x21, 0);
	v2_add("abc", 3);
	assert_int_equal(parse_v2(), 19);
	expect_source("?");
	v2_begin(0x21, 0x31);
	v2_add(path, 216);
	v2_tlv(4, "x", 1);
	assert_int_equal(parse_v2(), 16 + 216 + 4);
	expect_source("?");
}

static void version_2_additions_are_passed_over(void **state)
{
	static unsigned char filling[RC_PROXY_MAX];

	(void)state;
	v2_tcp4();
	v2_tlv(1, "h2", 2);
	v2_tlv(4, "", 0);
	v2_tlv(0xee, filling, 300);
	assert_int_equal(parse_v2(), v2_len);
	expect_source("192.0.2.7:12345");
	expect_partial_everywhere(v2, v2_len);
	/* Up to the bound, and one byte over. */
	v2_tcp4();
	v2_tlv(4, filling, RC_PROXY_MAX - 28 - 3);
	assert_int_equal(parse_v2(), RC_PROXY_MAX);
	v2_tcp4();
	v2_tlv(4, filling, RC_PROXY_MAX - 28 - 3 + 1);
	assert_int_equal(parse_v2(), RC_PROXY_BAD);
	/* That is said by the first 16 bytes. */
	assert_int_equal(rc_proxy_parse(v2, 16, &h), RC_PROXY_BAD);
	v2_length(65535);
	assert_int_equal(rc_proxy_parse(v2, 16, &h), RC_PROXY_BAD);
}

static void version_2_sums_are_verified(void **state)
{
	(void)state;
	/* The check value of the specification's CRC. */
	assert_int_equal(sum((const unsigned char *)"123456789", 9), 0xe3069283u);
	v2_tcp4();
	v2_tlv(4, "noise", 5);
	v2_sum();
	uint32_t with = v2_len;
	assert_int_equal(parse_v2(), with);
	expect_source("192.0.2.7:12345");
	/* Any bit, in the sum too; those of the mark, version, family, and lengths are wrong for another reason. */
	for (uint32_t i = 12; i < with; i++) {
		for (int bit = 0; bit < 8; bit++) {
			v2[i] ^= (unsigned char)(1 << bit);
			int rc = parse_v2();
			bool local = i == 12 && v2[12] == 0x20;
			if (rc > 0 && !local && i != 13 && i < 28)
				fail_msg("byte %u, bit %d", i, bit);
			if (i >= 16 && i < 28)
				assert_int_equal(rc, RC_PROXY_BAD);
			v2[i] ^= (unsigned char)(1 << bit);
		}
	}
	for (uint32_t i = with - 4; i < with; i++) {
		v2[i] ^= 0x10;
		assert_int_equal(parse_v2(), RC_PROXY_BAD);
		v2[i] ^= 0x10;
	}
	/* Behind it may be more, which it covers. */
	v2_sum();
	assert_int_equal(parse_v2(), RC_PROXY_BAD); /* two of them */
	v2_tcp4();
	v2_tlv(3, "\0\0\0", 3);
	assert_int_equal(parse_v2(), RC_PROXY_BAD);
	v2_tcp4();
	v2_tlv(3, "\0\0\0\0\0", 5);
	assert_int_equal(parse_v2(), RC_PROXY_BAD);
}

static void version_2_is_read_strictly(void **state)
{
	static const uint8_t families[] = {
		0x01, 0x02, 0x10, 0x12, 0x13, 0x20, 0x22, 0x30, 0x32, 0x41, 0xff};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(families); i++) {
		v2_tcp4();
		v2[13] = families[i];
		assert_int_equal(parse_v2(), RC_PROXY_BAD);
	}
	for (uint32_t command = 0; command < 256; command++) {
		v2_tcp4();
		v2[12] = (unsigned char)command;
		assert_int_equal(
			parse_v2(), command == 0x20 || command == 0x21 ? 28 : RC_PROXY_BAD);
		/* It is said by that byte. */
		if (command >> 4 != 2)
			assert_int_equal(rc_proxy_parse(v2, 13, &h), RC_PROXY_BAD);
	}
	/* Lengths that are too short for their addresses. */
	for (uint32_t len = 0; len < 12; len++) {
		v2_tcp4();
		v2_length(len);
		assert_int_equal(parse_v2(), RC_PROXY_BAD);
	}
	v2_tcp4();
	v2[13] = 0x21;
	assert_int_equal(parse_v2(), RC_PROXY_BAD);
	v2_tcp4();
	v2[13] = 0x31;
	assert_int_equal(parse_v2(), RC_PROXY_BAD);
	/* An addition that is cut, or longer than what is there. */
	for (uint32_t more = 1; more < 3; more++) {
		v2_tcp4();
		v2_add("\4\0\0", more);
		assert_int_equal(parse_v2(), RC_PROXY_BAD);
	}
	v2_tcp4();
	v2_add("\4\0\2x", 4);
	assert_int_equal(parse_v2(), RC_PROXY_BAD);
	v2_tcp4();
	v2_add("\4\xff\xffx", 4);
	assert_int_equal(parse_v2(), RC_PROXY_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1_tells_the_source),
		cmocka_unit_test(version_1_is_read_strictly),
		cmocka_unit_test(what_begins_otherwise_is_no_header),
		cmocka_unit_test(version_2_tells_the_source),
		cmocka_unit_test(version_2_may_tell_nothing),
		cmocka_unit_test(version_2_additions_are_passed_over),
		cmocka_unit_test(version_2_sums_are_verified),
		cmocka_unit_test(version_2_is_read_strictly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
