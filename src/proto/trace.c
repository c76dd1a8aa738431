/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/trace.h"

#define SAMPLED 1u

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* So many bytes, twice as many lower-case digits. */
static bool take(const char *text, unsigned char *out, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static bool zero(const unsigned char *bytes, size_t len)
{
	unsigned char any = 0;

	for (size_t i = 0; i < len; i++)
		any |= bytes[i];
	return any == 0;
}

bool rc_trace_valid(const unsigned char trace[RC_TRACE_BYTES])
{
	return !zero(trace, 16) && !zero(trace + 16, 8);
}

bool rc_trace_parse(struct rc_str text, unsigned char out[RC_TRACE_BYTES])
{
	unsigned char version;

	if (text.len < RC_TRACE_TEXT || !take(text.ptr, &version, 1) || version == 0xff)
		return false;
	if (text.ptr[2] != '-' || text.ptr[35] != '-' || text.ptr[52] != '-')
		return false;
	/* A later version may say more, behind one more dash. */
	if (text.len > RC_TRACE_TEXT && (version == 0 || text.ptr[RC_TRACE_TEXT] != '-'))
		return false;
	if (!take(text.ptr + 3, out, 16) || !take(text.ptr + 36, out + 16, 8) ||
		!take(text.ptr + 53, out + 24, 1))
		return false;
	if (version)
		out[24] &= SAMPLED;
	return rc_trace_valid(out);
}

static char *put(char *at, const unsigned char *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*at++ = digits[bytes[i] >> 4];
		*at++ = digits[bytes[i] & 15];
	}
	return at;
}

void rc_trace_text(const unsigned char trace[RC_TRACE_BYTES], char out[RC_TRACE_TEXT])
{
	char *at = out;

	*at++ = '0';
	*at++ = '0';
	*at++ = '-';
	at = put(at, trace, 16);
	*at++ = '-';
	at = put(at, trace + 16, 8);
	*at++ = '-';
	(void)put(at, trace + 24, 1);
}
