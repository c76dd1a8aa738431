/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/decimal.h"

#define EXPONENT_MAX 1000000000000ll
#define PLAIN_MAX    18u /* digits that an int64_t always holds */

/* 0.DIGITS times 10^point; the first and the last digit are not 0. No digits: it is zero. */
struct decimal {
	const char *whole, *fraction; /* where the digits of either begin */
	size_t whole_len;
	size_t first, count; /* of the digits, in both as one row */
	int64_t point;
	bool negative;
};

static bool is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

static size_t digits(const char *p, const char *end)
{
	const char *from = p;

	while (p < end && is_digit(*p))
		p++;
	return (size_t)(p - from);
}

static int64_t exponent(const char *p, const char *end)
{
	bool negative = p < end && *p == '-';
	int64_t value = 0;

	if (p < end && (*p == '-' || *p == '+'))
		p++;
	for (; p < end && is_digit(*p) && value < EXPONENT_MAX; p++)
		value = value * 10 + (*p - '0');
	value = RC_MIN(value, EXPONENT_MAX);
	return negative ? -value : value;
}

static char digit(const struct decimal *d, size_t i)
{
	i += d->first;
	return i < d->whole_len ? d->whole[i] : d->fraction[i - d->whole_len];
}

static struct decimal read(struct rc_str text)
{
	const char *p = text.ptr, *end = text.ptr + text.len;
	struct decimal d = {0};
	size_t fraction_len = 0;
	int64_t shift = 0;

	d.negative = p < end && *p == '-';
	p += d.negative;
	d.whole = p;
	d.whole_len = digits(p, end);
	p += d.whole_len;
	d.fraction = p;
	if (p < end && *p == '.') {
		d.fraction = ++p;
		fraction_len = digits(p, end);
		p += fraction_len;
	}
	if (p < end && (*p == 'e' || *p == 'E'))
		shift = exponent(p + 1, end);
	d.count = d.whole_len + fraction_len;
	while (d.count && digit(&d, 0) == '0') {
		d.first++;
		d.count--;
	}
	while (d.count && digit(&d, d.count - 1) == '0')
		d.count--;
	d.point = (int64_t)d.whole_len - (int64_t)d.first + shift;
	if (d.count == 0)
		d.negative = false;
	return d;
}

static int compare_digits(const struct decimal *a, const struct decimal *b)
{
	size_t both = RC_MIN(a->count, b->count);

	for (size_t i = 0; i < both; i++) {
		char x = digit(a, i), y = digit(b, i);
		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a->count > b->count) - (a->count < b->count);
}

/* A whole number of a few digits, as most are. */
static bool plain(struct rc_str text, int64_t *value)
{
	bool negative = text.len && text.ptr[0] == '-';
	size_t i = negative;

	if (text.len - i > PLAIN_MAX || text.len == i)
		return false;
	*value = 0;
	for (; i < text.len; i++) {
		if (!is_digit(text.ptr[i]))
			return false;
		*value = *value * 10 + (text.ptr[i] - '0');
	}
	if (negative)
		*value = -*value;
	return true;
}

int rc_decimal_compare(struct rc_str a, struct rc_str b)
{
	int64_t i, j;

	if (plain(a, &i) && plain(b, &j))
		return (i > j) - (i < j);
	struct decimal x = read(a), y = read(b);
	if (x.negative != y.negative)
		return x.negative ? -1 : 1;
	int order;
	if (x.count == 0 || y.count == 0)
		order = (x.count != 0) - (y.count != 0);
	else if (x.point != y.point)
		order = x.point < y.point ? -1 : 1;
	else
		order = compare_digits(&x, &y);
	return x.negative ? -order : order;
}

bool rc_decimal_whole(struct rc_str text)
{
	int64_t value;

	if (plain(text, &value))
		return true;
	struct decimal d = read(text);
	return d.count == 0 || (d.point > 0 && (uint64_t)d.point >= d.count);
}
