/* SPDX-License-Identifier: Apache-2.0
 *
 * Is it JSON? UTF-8 is not looked at on the way; it is checked once for the whole text, and only when a byte above 0x7f
 * was seen. Nesting is kept as one bit a level, so a hostile text costs a bounded stack. Pure, any thread.
 */
#include "proto/json.h"

#include <errno.h>

#include "base/utf8.h"
#include "proto/json_scan.h"

/* p is behind the opening quote. Returns what is behind the closing one, NULL when the string is broken. */
static inline const char *check_string(const char *p, const char *end, uint64_t *seen)
{
	for (;;) {
		p = rc_scan_plain_end(p, end, seen);
		if (p == end)
			return NULL;
		if (*p == '"')
			return p + 1;
		if (*p != '\\' || ++p == end)
			return NULL;
		if (*p == 'u') {
			if (rc_scan_hex4(p + 1, end) < 0)
				return NULL;
			p += 5;
		} else if (rc_scan_escape_meaning(*p) != 0) {
			p++;
		} else {
			return NULL;
		}
	}
}

static inline const char *skip_digits(const char *p, const char *end)
{
	while (p < end && rc_scan_is_digit(*p))
		p++;
	return p;
}

/* p is at the first character. Returns what is behind the number, NULL when it is none. */
static inline const char *check_number(const char *p, const char *end)
{
	const char *digits;

	if (*p == '-')
		p++;
	digits = p;
	p = skip_digits(p, end);
	if (p == digits || (*digits == '0' && p - digits > 1))
		return NULL;
	if (p < end && *p == '.') {
		digits = ++p;
		p = skip_digits(p, end);
		if (p == digits)
			return NULL;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		digits = p;
		p = skip_digits(p, end);
		if (p == digits)
			return NULL;
	}
	return p;
}

static inline const char *check_word(const char *p, const char *end, const char *word, size_t len)
{
	return (size_t)(end - p) >= len && memcmp(p, word, len) == 0 ? p + len : NULL;
}

/* Anything but an object or an array; NULL when it is broken. */
static inline const char *check_scalar(const char *p, const char *end, uint64_t *seen)
{
	switch (*p) {
	case '"':
		return check_string(p + 1, end, seen);
	case 't':
		return check_word(p, end, "true", 4);
	case 'f':
		return check_word(p, end, "false", 5);
	case 'n':
		return check_word(p, end, "null", 4);
	default:
		return check_number(p, end);
	}
}

/* The grammar; leaves the bytes seen inside strings in *seen. */
static bool check_text(const char *p, const char *end, uint32_t depth_max, uint64_t *seen)
{
	uint64_t objects[RC_JSON_DEPTH_LIMIT / 64]; /* a bit per level: it is an object */
	uint32_t depth = 0;
	bool object = false; /* the level that p is in */

value:
	p = rc_scan_skip_space(p, end);
	if (p == end)
		return false;
	if (*p == '{' || *p == '[') {
		uint64_t bit = (uint64_t)1 << (depth & 63);

		if (depth == depth_max)
			return false;
		object = *p == '{';
		if ((depth & 63) == 0)
			objects[depth / 64] = 0;
		if (object)
			objects[depth / 64] |= bit;
		else
			objects[depth / 64] &= ~bit;
		depth++;
		p = rc_scan_skip_space(p + 1, end);
		if (p == end)
			return false;
		if (*p == (object ? '}' : ']'))
			goto close;
		if (object)
			goto key;
		goto value;
	}
	p = check_scalar(p, end, seen);
	if (p == NULL)
		return false;

after:
	p = rc_scan_skip_space(p, end);
	if (depth == 0)
		return p == end;
	if (p == end)
		return false;
	if (*p == ',') {
		p++;
		if (!object)
			goto value;
		p = rc_scan_skip_space(p, end);
		goto key;
	}
	if (*p != (object ? '}' : ']'))
		return false;

close:
	p++;
	depth--;
	if (depth > 0)
		object = (objects[(depth - 1) / 64] >> ((depth - 1) & 63)) & 1;
	goto after;

key:
	if (p == end || *p != '"')
		return false;
	p = check_string(p + 1, end, seen);
	if (p == NULL)
		return false;
	p = rc_scan_skip_space(p, end);
	if (p == end || *p != ':')
		return false;
	p++;
	goto value;
}

int rc_json_validate(struct rc_str text, uint32_t depth_max)
{
	uint64_t seen = 0;

	RC_ASSERT(depth_max <= RC_JSON_DEPTH_LIMIT);
	if (text.len == 0 || !check_text(text.ptr, text.ptr + text.len, depth_max, &seen))
		return -EINVAL;
	if (seen != 0 && !rc_utf8_valid(text.ptr, text.len))
		return -EINVAL;
	return 0;
}
