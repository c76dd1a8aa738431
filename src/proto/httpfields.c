/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking into a request that was parsed: fields by name, comma lists, queries. See http1.h.
 */
#include "proto/http1.h"

#include <errno.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool rc_http_same(struct rc_str a, struct rc_str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (lower(a.ptr[i]) != lower(b.ptr[i]))
			return false;
	}
	return true;
}

static struct rc_str trim(struct rc_str s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

bool rc_http_header_next(
	const struct rc_http_request *r, const char *name, uint32_t *index, struct rc_str *value)
{
	struct rc_str wanted = rc_str_of(name);

	while (*index < r->header_count) {
		const struct rc_http_header *h = &r->header[(*index)++];

		if (rc_http_same(h->name, wanted)) {
			*value = h->value;
			return true;
		}
	}
	return false;
}

struct rc_str rc_http_header_get(const struct rc_http_request *r, const char *name)
{
	struct rc_str value = {0};
	uint32_t index = 0;

	(void)rc_http_header_next(r, name, &index, &value);
	return value;
}

uint32_t rc_http_header_count(const struct rc_http_request *r, const char *name)
{
	struct rc_str value;
	uint32_t index = 0, count = 0;

	while (rc_http_header_next(r, name, &index, &value))
		count++;
	return count;
}

/* Takes what stands before the separator off the front of rest, and the separator with it. */
static struct rc_str cut(struct rc_str *rest, char separator)
{
	struct rc_str part = *rest;
	const char *at = rest->len > 0 ? memchr(rest->ptr, separator, rest->len) : NULL;

	if (at == NULL) {
		*rest = (struct rc_str){0};
		return part;
	}
	part.len = (size_t)(at - part.ptr);
	rest->ptr += part.len + 1;
	rest->len -= part.len + 1;
	return part;
}

bool rc_http_list_next(struct rc_str *rest, struct rc_str *token)
{
	while (rest->len > 0) {
		*token = trim(cut(rest, ','));
		if (token->len > 0)
			return true;
	}
	return false;
}

bool rc_http_list_has(struct rc_str value, const char *token)
{
	struct rc_str wanted = rc_str_of(token), element;

	while (rc_http_list_next(&value, &element)) {
		if (rc_http_same(element, wanted))
			return true;
	}
	return false;
}

bool rc_http_query_next(struct rc_str *rest, struct rc_str *key, struct rc_str *value)
{
	while (rest->len > 0) {
		struct rc_str pair = cut(rest, '&');

		if (pair.len > 0) {
			*key = cut(&pair, '=');
			*value = pair;
			return true;
		}
	}
	return false;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int rc_http_unescape(struct rc_str in, bool plus_is_space, char *out, size_t cap)
{
	size_t len = 0;

	RC_ASSERT(in.len <= INT32_MAX);
	for (size_t i = 0; i < in.len; i++) {
		char c = in.ptr[i];

		if (c == '%') {
			int high = in.len - i > 2 ? hex(in.ptr[i + 1]) : -1;
			int low = high >= 0 ? hex(in.ptr[i + 2]) : -1;

			if (low < 0)
				return -EINVAL;
			c = (char)(high * 16 + low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		if (len == cap)
			return -ENOSPC;
		out[len++] = c;
	}
	return (int)len;
}
