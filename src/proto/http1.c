/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1 request heads. See http1.h; what is read out of them afterwards is in httpfields.c.
 *
 * One pass from left to right, and every check happens at the byte that decides it: so what a prefix is refused for, the whole
 * is refused for alike, however the bytes arrive.
 */
#include "proto/http1.h"

#include "base/simd.h"

/* Longer than any registered method; what is longer is not one. */
#define METHOD_LEN_MAX  24
#define EMPTY_LINES_MAX 2

enum {
	TOKEN = 1,  /* of a method or a field name */
	TARGET = 2, /* no '#': a fragment is never sent */
	VALUE = 4,
	HOST = 8, /* no '@' and no ',': neither user names nor two hosts in one field */
	BLANK = 16,
	GRAPH = TARGET | VALUE,
	ALL = TOKEN | TARGET | VALUE | HOST,
};

static const uint8_t classes[256] = {
	['\t'] = VALUE | BLANK,
	[' '] = VALUE | BLANK,
	['!'] = ALL,
	['"'] = GRAPH,
	['#'] = TOKEN | VALUE,
	['$' ... '\''] = ALL,
	['(' ... ')'] = GRAPH | HOST,
	['*' ... '+'] = ALL,
	[','] = GRAPH,
	['-' ... '.'] = ALL,
	['/'] = GRAPH,
	['0' ... '9'] = ALL,
	[':' ... ';'] = GRAPH | HOST,
	['<'] = GRAPH,
	['='] = GRAPH | HOST,
	['>' ... '@'] = GRAPH,
	['A' ... 'Z'] = ALL,
	['['] = GRAPH | HOST,
	['\\'] = GRAPH,
	[']'] = GRAPH | HOST,
	['^'] = GRAPH | TOKEN,
	['_'] = ALL,
	['`'] = GRAPH | TOKEN,
	['a' ... 'z'] = ALL,
	['{'] = GRAPH,
	['|'] = GRAPH | TOKEN,
	['}'] = GRAPH,
	['~'] = ALL,
	[0x80 ... 0xff] = VALUE,
};

/* What is left to read, and what the fields said that the request does not keep as such. */
struct scan {
	const char *at, *end;
	struct rc_str authority; /* of an absolute-form target */
	struct rc_str host;
	bool close, keep_alive;
};

static bool is(char c, uint8_t class)
{
	return classes[(uint8_t)c] & class;
}

static bool all_of(struct rc_str s, uint8_t class)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!is(s.ptr[i], class))
			return false;
	}
	return true;
}

/* Up to the first byte outside the class, which stays in s->at; false when the input ends before it. */
static bool span(struct scan *s, uint8_t class, struct rc_str *out)
{
	const char *start = s->at;

	while (s->at < s->end && is(*s->at, class))
		s->at++;
	*out = (struct rc_str){start, (size_t)(s->at - start)};
	return s->at < s->end;
}

/* Values are long: sixteen bytes at a time while there are so many. Up to the first byte that none may hold, or nearer. */
static const char *skip_value(const char *p, const char *end)
{
	for (; end - p >= (ptrdiff_t)RC_V16; p += RC_V16) {
		rc_v16 v = rc_v16_load(p);
		rc_v16 tab = (rc_v16)(v == rc_v16_splat('\t'));
		rc_v16 stop = (rc_v16_below_space(v) & ~tab) | (rc_v16)(v == rc_v16_splat(0x7f));

		if (rc_v16_high(stop))
			return p + rc_v16_first(stop);
	}
	return p;
}

static bool value(struct scan *s, struct rc_str *out)
{
	const char *start = s->at;
	bool whole;

	s->at = skip_value(start, s->end);
	whole = span(s, VALUE, out);
	*out = (struct rc_str){start, (size_t)(s->at - start)};
	return whole;
}

static int expect(struct scan *s, const char *text)
{
	for (; *text != '\0'; text++, s->at++) {
		if (s->at == s->end)
			return RC_HTTP_PARTIAL;
		if (*s->at != *text)
			return -400;
	}
	return 0;
}

/* Takes "http://authority" off the front of the target; what is left starts with '/' or '?', or is empty. */
static int absolute_form(struct scan *s, struct rc_str *rest)
{
	size_t scheme = 0, len = 0;

	if (rest->len >= 7 && rc_http_same((struct rc_str){rest->ptr, 7}, RC_STR("http://")))
		scheme = 7;
	else if (rest->len >= 8 && rc_http_same((struct rc_str){rest->ptr, 8}, RC_STR("https://")))
		scheme = 8;
	else
		return -400;
	rest->ptr += scheme;
	rest->len -= scheme;
	while (len < rest->len && rest->ptr[len] != '/' && rest->ptr[len] != '?')
		len++;
	s->authority = (struct rc_str){rest->ptr, len};
	if (len == 0 || !all_of(s->authority, HOST))
		return -400;
	rest->ptr += len;
	rest->len -= len;
	return 0;
}

static int target(struct scan *s, struct rc_http_request *out)
{
	bool options = rc_str_eq(out->method, RC_STR("OPTIONS"));
	struct rc_str rest;

	if (s->at < s->end && *s->at != '/' && (*s->at | 0x20) != 'h' &&
		!(*s->at == '*' && options))
		return -400;
	if (!span(s, TARGET, &out->target))
		return RC_HTTP_PARTIAL;
	if (*s->at != ' ' || out->target.len == 0)
		return -400;
	rest = out->target;
	if (*rest.ptr == '*') {
		out->path = rest;
		return rest.len == 1 ? 0 : -400;
	}
	if (*rest.ptr != '/') {
		int rc = absolute_form(s, &rest);

		if (rc != 0)
			return rc;
	}
	out->path = rest;
	for (size_t i = 0; i < rest.len; i++) {
		if (rest.ptr[i] == '?') {
			out->path.len = i;
			out->query = (struct rc_str){rest.ptr + i + 1, rest.len - i - 1};
			break;
		}
	}
	if (out->path.len == 0) {
		/* RFC 9112, 3.2.4: OPTIONS without path and query asks about the server. */
		out->path = options && rest.len == 0 ? RC_STR("*") : RC_STR("/");
	}
	return 0;
}

static int version(struct scan *s, struct rc_http_request *out)
{
	char digit[2];
	int rc = expect(s, " HTTP/");

	for (int i = 0; i < 2 && rc == 0; i++) {
		if (s->at == s->end)
			return RC_HTTP_PARTIAL;
		digit[i] = *s->at++;
		if (digit[i] < '0' || digit[i] > '9')
			return -400;
		if (i == 0 && digit[0] != '1')
			return -505;
		if (i == 0)
			rc = expect(s, ".");
	}
	if (rc != 0)
		return rc;
	out->minor = digit[1] != '0';
	return expect(s, "\r\n");
}

static int request_line(struct scan *s, struct rc_http_request *out)
{
	int rc;
	bool whole;

	for (int i = 0; i < EMPTY_LINES_MAX && s->at < s->end && *s->at == '\r'; i++) {
		rc = expect(s, "\r\n");
		if (rc != 0)
			return rc;
	}
	whole = span(s, TOKEN, &out->method);
	if (out->method.len > METHOD_LEN_MAX)
		return -501;
	if (!whole)
		return RC_HTTP_PARTIAL;
	if (*s->at != ' ' || out->method.len == 0)
		return -400;
	s->at++;
	if (rc_str_eq(out->method, RC_STR("CONNECT")))
		return -501;
	if (rc_str_eq(out->method, RC_STR("PRI"))) /* the preface of HTTP/2 */
		return -505;
	rc = target(s, out);
	return rc != 0 ? rc : version(s, out);
}

static int content_length(struct rc_http_request *out, struct rc_str value)
{
	uint64_t total = 0;

	/* 19 digits can't overflow 64 bits unsigned, and may be above what is signed. */
	if (out->content_length >= 0 || out->chunked || value.len == 0 || value.len > 19)
		return -400;
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return -400;
		total = total * 10 + (uint64_t)(value.ptr[i] - '0');
	}
	if (total > INT64_MAX)
		return -400;
	out->content_length = (int64_t)total;
	return 0;
}

static int transfer_encoding(struct rc_http_request *out, struct rc_str value)
{
	/* HTTP/1.0 has no transfer codings: whoever passed this on may have framed it in another way. */
	if (out->chunked || out->content_length >= 0 || out->minor == 0 || value.len == 0)
		return -400;
	if (!rc_http_same(value, RC_STR("chunked")))
		return -501;
	out->chunked = true;
	return 0;
}

static int host(struct scan *s, struct rc_str value)
{
	if (s->host.ptr != NULL || !all_of(value, HOST))
		return -400;
	if (s->authority.ptr != NULL && !rc_http_same(s->authority, value))
		return -400;
	s->host = value;
	return 0;
}

static int meaning(struct scan *s, struct rc_http_request *out, struct rc_http_header h)
{
	if (rc_http_same(h.name, RC_STR("host")))
		return host(s, h.value);
	if (rc_http_same(h.name, RC_STR("content-length")))
		return content_length(out, h.value);
	if (rc_http_same(h.name, RC_STR("transfer-encoding")))
		return transfer_encoding(out, h.value);
	if (rc_http_same(h.name, RC_STR("connection"))) {
		s->close |= rc_http_list_has(h.value, "close");
		s->keep_alive |= rc_http_list_has(h.value, "keep-alive");
	}
	return 0;
}

/* A folded line, space before the colon and a bare LF all fail at what may follow a name, or stand in its place. */
static int fields(struct scan *s, struct rc_http_request *out)
{
	struct rc_http_header h;
	int rc;

	for (;;) {
		if (s->at == s->end)
			return RC_HTTP_PARTIAL;
		if (*s->at == '\r')
			return expect(s, "\r\n");
		if (out->header_count == RC_HTTP_HEADERS_MAX)
			return -431;
		if (!span(s, TOKEN, &h.name))
			return RC_HTTP_PARTIAL;
		if (*s->at != ':' || h.name.len == 0)
			return -400;
		s->at++;
		if (!span(s, BLANK, &h.value) || !value(s, &h.value))
			return RC_HTTP_PARTIAL;
		while (h.value.len > 0 && is(h.value.ptr[h.value.len - 1], BLANK))
			h.value.len--;
		rc = expect(s, "\r\n");
		if (rc != 0)
			return rc;
		rc = meaning(s, out, h);
		if (rc != 0)
			return rc;
		out->header[out->header_count++] = h;
	}
}

int rc_http_parse(const void *bytes, size_t len, size_t head_max, struct rc_http_request *out)
{
	bool over = len >= head_max;
	struct scan s = {.at = bytes};
	int rc;

	/* The header array is left as it is: two KiB that header_count says nothing about. */
	memset(out, 0, offsetof(struct rc_http_request, header));
	out->content_length = -1;
	if (len == 0)
		return over ? -414 : RC_HTTP_PARTIAL;
	s.end = s.at + RC_MIN(len, head_max);
	rc = request_line(&s, out);
	if (rc == RC_HTTP_PARTIAL && over)
		return -414;
	if (rc == 0)
		rc = fields(&s, out);
	if (rc == RC_HTTP_PARTIAL && over)
		return -431;
	if (rc != 0)
		return rc;
	if (out->minor == 1 && s.host.ptr == NULL)
		return -400;
	out->keep_alive = !s.close && (out->minor == 1 || s.keep_alive);
	out->head_len = (size_t)(s.at - (const char *)bytes);
	return 0;
}
