/* SPDX-License-Identifier: Apache-2.0
 *
 * The contents of JSON strings: from escapes to UTF-8 and back. Pure, any thread.
 */
#include "proto/json.h"

#include <errno.h>

#include "proto/json_scan.h"

static size_t utf8_put(char out[4], uint32_t code)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* *p is at the backslash and moves behind the escape. Returns the bytes put into out, 0 when it stands for none. */
static size_t decode_escape(const char **p, const char *end, char out[4])
{
	const char *s = *p + 1;
	int code, low;

	if (s == end)
		return 0;
	if (*s != 'u') {
		out[0] = rc_scan_escape_meaning(*s);
		*p = s + 1;
		return out[0] != 0 ? 1 : 0;
	}
	code = rc_scan_hex4(s + 1, end);
	s += 5;
	if (code <= 0 || (code >= 0xdc00 && code <= 0xdfff))
		return 0;
	if (code >= 0xd800 && code <= 0xdbff) {
		if (end - s < 6 || s[0] != '\\' || s[1] != 'u')
			return 0;
		low = rc_scan_hex4(s + 2, end);
		if (low < 0xdc00 || low > 0xdfff)
			return 0;
		s += 6;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	*p = s;
	return utf8_put(out, (uint32_t)code);
}

int rc_json_string_decode(struct rc_str raw, char *out, size_t cap)
{
	const char *p, *end;
	size_t len = 0;

	if (raw.len < 2 || raw.ptr[0] != '"' || raw.ptr[raw.len - 1] != '"' || raw.len > INT32_MAX)
		return -EINVAL;
	p = raw.ptr + 1;
	end = raw.ptr + raw.len - 1;
	while (p < end) {
		const char *stop = memchr(p, '\\', (size_t)(end - p));
		size_t run = (size_t)((stop != NULL ? stop : end) - p);
		char bytes[4];
		size_t put;

		if (run > cap - len)
			return -ENOSPC;
		if (run > 0)
			memcpy(out + len, p, run);
		len += run;
		p += run;
		if (stop == NULL)
			break;
		put = decode_escape(&p, end, bytes);
		if (put == 0)
			return -EINVAL;
		if (put > cap - len)
			return -ENOSPC;
		memcpy(out + len, bytes, put);
		len += put;
	}
	return (int)len;
}

/* The letter of a two-byte escape, 0 when the byte needs \u00XX. */
static char escape_letter(unsigned char c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	default:
		return 0;
	}
}

size_t rc_json_escape_len(struct rc_str text)
{
	const char *p = text.ptr;
	const char *end = text.len > 0 ? p + text.len : p;
	size_t len = text.len;
	uint64_t seen = 0;

	while ((p = rc_scan_plain_end(p, end, &seen)) < end) {
		len += escape_letter((unsigned char)*p) != 0 ? 1 : 5;
		p++;
	}
	return len;
}

size_t rc_json_escape(char *out, struct rc_str text)
{
	static const char hex[] = "0123456789abcdef";
	const char *p = text.ptr;
	const char *end = text.len > 0 ? p + text.len : p;
	char *o = out;
	uint64_t seen = 0;

	while (p < end) {
		const char *stop = rc_scan_plain_end(p, end, &seen);
		unsigned char c;

		memcpy(o, p, (size_t)(stop - p));
		o += stop - p;
		if (stop == end)
			break;
		c = (unsigned char)*stop;
		p = stop + 1;
		*o++ = '\\';
		if (escape_letter(c) != 0) {
			*o++ = escape_letter(c);
		} else {
			memcpy(o, "u00", 3);
			o[3] = hex[c >> 4];
			o[4] = hex[c & 15];
			o += 5;
		}
	}
	return (size_t)(o - out);
}
