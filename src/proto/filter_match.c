/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters applied: the members are looked up in one pass, the first time that a term asks for one; then the program goes from term to term.
 * Strings are compared as they are decoded, a byte at a time, and never copied. See filter.h.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/filter.h"
#include "proto/json.h"
#include "proto/json_scan.h"

/* ---- strings, unescaped ------------------------------------------------------------------------- */

struct chars {
	const char *p, *end;
	unsigned char rest[3]; /* of a character that an escape stood for */
	uint8_t rest_len;
};

/* Its first byte; the others go to rest. A surrogate without its other half is three bytes that no UTF-8 text holds. */
static int utf8_begin(struct chars *c, uint32_t code)
{
	if (code < 0x80)
		return (int)code;
	c->rest[0] = (unsigned char)(0x80 | (code & 0x3f));
	c->rest_len = 1;
	if (code < 0x800)
		return (int)(0xc0 | code >> 6);
	c->rest[1] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
	c->rest_len = 2;
	if (code < 0x10000)
		return (int)(0xe0 | code >> 12);
	c->rest[2] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
	c->rest_len = 3;
	return (int)(0xf0 | code >> 18);
}

static int next_escaped(struct chars *c)
{
	const char *p = c->p;

	if (c->end - p < 2) {
		c->p = c->end;
		return '\\';
	}
	c->p += 2;
	if (p[1] != 'u')
		return (unsigned char)rc_scan_escape_meaning(p[1]);
	int code = rc_scan_hex4(p + 2, c->end);
	if (code < 0)
		return 0;
	c->p += 4;
	if (code >= 0xd800 && code <= 0xdbff && c->end - c->p >= 6 && c->p[0] == '\\' &&
		c->p[1] == 'u') {
		int low = rc_scan_hex4(c->p + 2, c->end);
		if (low >= 0xdc00 && low <= 0xdfff) {
			c->p += 6;
			code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	return utf8_begin(c, (uint32_t)code);
}

/* The next byte, or -1 at the end. */
static inline int next_char(struct chars *c)
{
	if (c->rest_len)
		return c->rest[--c->rest_len];
	if (c->p == c->end)
		return -1;
	if (RC_UNLIKELY(*c->p == '\\'))
		return next_escaped(c);
	return (unsigned char)*c->p++;
}

static struct chars chars_of(struct rc_str raw)
{
	return (struct chars){.p = raw.ptr, .end = raw.len ? raw.ptr + raw.len : raw.ptr};
}

/* Less than, equal to, greater than 0, as the string is in relation to the literal. */
static int compare(struct rc_str raw, struct rc_str literal)
{
	struct chars c = chars_of(raw);

	for (size_t i = 0;; i++) {
		int ch = next_char(&c);
		if (i == literal.len)
			return ch >= 0;
		if (ch != (unsigned char)literal.ptr[i])
			return ch < 0 ? -1 : ch - (unsigned char)literal.ptr[i];
	}
}

static bool equal(struct rc_str raw, struct rc_str literal)
{
	/* An escape is longer than what it stands for. */
	if (raw.len < literal.len)
		return false;
	if (raw.len == literal.len && memcmp(raw.ptr, literal.ptr, raw.len) == 0)
		return memchr(raw.ptr, '\\', raw.len) == NULL || compare(raw, literal) == 0;
	return compare(raw, literal) == 0;
}

/* The piece begins right here. */
static bool take_here(struct chars *c, const unsigned char *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		if (next_char(c) != bytes[i])
			return false;
	}
	return true;
}

/* The piece stands somewhere from here on: moves behind its first place, or, with `last`, tells whether the string ends with it. */
static bool find(struct chars *c, const unsigned char *bytes, uint32_t len, bool last)
{
	const unsigned char *table = bytes + len;
	uint32_t k = 0;
	int ch;

	while ((ch = next_char(c)) >= 0) {
		if (k == len)
			k = table[k - 1];
		while (k && bytes[k] != ch)
			k = table[k - 1];
		k += bytes[k] == ch;
		if (k == len && !last)
			return true;
	}
	return k == len;
}

static bool match(struct rc_str raw, const unsigned char *pattern)
{
	struct chars c = chars_of(raw);
	bool first = pattern[0], last = pattern[1];
	uint32_t pieces = pattern[2];
	const unsigned char *at = pattern + RC_FILTER_PATTERN_HEAD;

	for (uint32_t i = 0; i < pieces; i++) {
		uint32_t len = (uint32_t)(at[0] | at[1] << 8);
		bool found = i == 0 && !first ? take_here(&c, at + 2, len)
					      : find(&c, at + 2, len, i + 1 == pieces && !last);
		if (!found)
			return false;
		at += 2 + 2 * (size_t)len;
	}
	return true;
}

/* ---- numbers ------------------------------------------------------------------------------------ */

#define DIGITS_MAX 40

/* Mantissa and exponent of ten; digits beyond the fortieth are told by one more. */
struct decimal {
	char digits[DIGITS_MAX + 1];
	uint32_t count;
	int64_t exponent;
	bool negative;
};

static const char *read_digits(struct decimal *d, const char *p, const char *end, bool fraction)
{
	for (; p < end && rc_scan_is_digit(*p); p++) {
		if (d->count == 0 && *p == '0') {
			d->exponent -= fraction;
		} else if (d->count < DIGITS_MAX) {
			d->digits[d->count++] = *p;
			d->exponent -= fraction;
		} else {
			d->exponent += !fraction;
			if (*p != '0' && d->count == DIGITS_MAX) {
				d->digits[d->count++] = '1';
				d->exponent--;
			}
		}
	}
	return p;
}

static void read_decimal(struct decimal *d, struct rc_str raw)
{
	const char *p = raw.ptr, *end = raw.ptr + raw.len;
	int64_t exponent = 0;
	bool below = false;

	d->count = 0;
	d->exponent = 0;
	d->negative = p < end && *p == '-';
	p = read_digits(d, p + d->negative, end, false);
	if (p < end && *p == '.')
		p = read_digits(d, p + 1, end, true);
	if (p < end && (*p | 0x20) == 'e') {
		p++;
		if (p < end && (*p == '-' || *p == '+'))
			below = *p++ == '-';
		for (; p < end && rc_scan_is_digit(*p); p++) {
			if (exponent < 1000000000)
				exponent = exponent * 10 + (*p - '0');
		}
	}
	d->exponent += below ? -exponent : exponent;
}

double rc_filter_number(struct rc_str raw)
{
	static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	struct decimal d;
	double value = 0;

	read_decimal(&d, raw);
	if (d.count == 0)
		return 0;
	/* Both are exact then, so their product or quotient is the nearest. */
	if (d.count <= 15 && d.exponent >= -22 && d.exponent <= 22) {
		uint64_t whole = 0;
		for (uint32_t i = 0; i < d.count; i++)
			whole = whole * 10 + (uint64_t)(d.digits[i] - '0');
		value = d.exponent < 0 ? (double)whole / tens[-d.exponent]
				       : (double)whole * tens[d.exponent];
	} else {
		char text[DIGITS_MAX + 32];
		int64_t exponent = RC_MAX(RC_MIN(d.exponent, (int64_t)9999), (int64_t)-9999);
		size_t len = d.count;
		memcpy(text, d.digits, len);
		text[len++] = 'e';
		if (exponent < 0)
			text[len++] = '-';
		uint64_t size = (uint64_t)(exponent < 0 ? -exponent : exponent);
		for (uint64_t unit = 1000; unit; unit /= 10)
			text[len++] = (char)('0' + size / unit % 10);
		text[len] = 0;
		value = strtod(text, NULL);
	}
	return d.negative ? -value : value;
}

/* ---- terms -------------------------------------------------------------------------------------- */

struct fields {
	struct rc_json_value value[RC_FILTER_TERMS_MAX];
	bool found;
};

static void find_fields(const struct rc_filter *f, struct rc_str data, struct fields *out)
{
	struct rc_json_iter it;
	struct rc_json_value value;
	struct rc_str key;

	out->found = true;
	memset(out->value, 0, f->fields * sizeof(out->value[0]));
	struct rc_json_value root = rc_json_root(data);
	if (root.kind != RC_JSON_OBJECT)
		return;
	rc_json_object_begin(&it, root.raw);
	while (rc_json_object_next(&it, &key, &value)) {
		for (uint32_t i = 0; i < f->fields; i++) {
			struct rc_str name = {
				(const char *)f->pool + f->field[i].at, f->field[i].len};
			if (equal(key, name)) {
				out->value[i] = value;
				break;
			}
		}
	}
}

static bool ordered(uint8_t order, int sign)
{
	switch (order) {
	case RC_FILTER_EQ:
		return sign == 0;
	case RC_FILTER_NE:
		return sign != 0;
	case RC_FILTER_LT:
		return sign < 0;
	case RC_FILTER_LE:
		return sign <= 0;
	case RC_FILTER_GT:
		return sign > 0;
	default:
		return sign >= 0;
	}
}

static bool holds_string(
	const struct rc_filter *f, const struct rc_filter_term *t, struct rc_str raw)
{
	struct rc_str literal = {(const char *)f->pool + t->at, t->len};

	if (t->kind == RC_FILTER_PATTERN)
		return match(raw, f->pool + t->at) == (t->order == RC_FILTER_EQ);
	if (t->order == RC_FILTER_EQ || t->order == RC_FILTER_NE)
		return equal(raw, literal) == (t->order == RC_FILTER_EQ);
	return ordered(t->order, compare(raw, literal));
}

static bool holds(const struct rc_filter *f, const struct rc_filter_term *t, struct rc_json_value v)
{
	double number;

	if (v.kind == RC_JSON_NONE || t->kind == RC_FILTER_HAS)
		return v.kind != RC_JSON_NONE;
	switch (t->kind) {
	case RC_FILTER_STRING:
	case RC_FILTER_PATTERN:
		if (v.kind != RC_JSON_STRING || v.raw.len < 2)
			return false;
		return holds_string(f, t, (struct rc_str){v.raw.ptr + 1, v.raw.len - 2});
	case RC_FILTER_NUMBER:
		if (v.kind != RC_JSON_NUMBER)
			return false;
		number = rc_filter_number(v.raw);
		return ordered(t->order, number < t->number ? -1 : number > t->number);
	case RC_FILTER_BOOL:
		if (v.kind != RC_JSON_TRUE && v.kind != RC_JSON_FALSE)
			return false;
		return ((v.kind == RC_JSON_TRUE) == (t->number != 0)) == (t->order == RC_FILTER_EQ);
	default:
		return (v.kind == RC_JSON_NULL) == (t->order == RC_FILTER_EQ);
	}
}

bool rc_filter_match(const struct rc_filter *f, struct rc_str event_raw, struct rc_str data)
{
	struct fields fields;
	uint32_t at = 0;

	fields.found = false;
	while (at < f->terms) {
		const struct rc_filter_term *t = &f->term[at];
		bool yes;
		if (t->field == RC_FILTER_EVENT) {
			yes = t->kind == RC_FILTER_HAS ||
			      ((t->kind == RC_FILTER_STRING || t->kind == RC_FILTER_PATTERN)
					      ? holds_string(f, t, event_raw)
					      : t->kind == RC_FILTER_NULL &&
							t->order == RC_FILTER_NE);
		} else {
			if (!fields.found)
				find_fields(f, data, &fields);
			yes = holds(f, t, fields.value[t->field]);
		}
		uint8_t to = yes ? t->yes : t->no;
		RC_DASSERT(to > at);
		at = to;
	}
	return at == RC_FILTER_TRUE;
}

struct rc_str rc_filter_member(struct rc_str data, struct rc_str name)
{
	struct rc_json_value root = rc_json_root(data), value;
	struct rc_str key, found = {NULL, 0};
	struct rc_json_iter it;

	if (root.kind != RC_JSON_OBJECT)
		return found;
	rc_json_object_begin(&it, root.raw);
	while (rc_json_object_next(&it, &key, &value)) {
		if (equal(key, name))
			found = value.raw;
	}
	return found;
}
