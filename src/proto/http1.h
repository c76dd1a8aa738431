/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of an HTTP/1 request, read strictly (RFC 9112), and whole small answers. Pure: slices into the caller's
 * bytes, valid as long as those are; any thread.
 *
 * The parser keeps no state: it is called again with all bytes since the start of the request until the head is whole.
 * Whatever two parsers could understand differently is refused, so that no request can hide inside another: bare LF or
 * CR, folded lines, space before a colon, control bytes, two framings, two lengths, two hosts.
 */
#ifndef RC_PROTO_HTTP1_H
#define RC_PROTO_HTTP1_H

#include "base/base.h"

#define RC_HTTP_HEADERS_MAX 64
#define RC_HTTP_PARTIAL     1

struct rc_http_header {
	struct rc_str name, value; /* the value without the space around it */
};

struct rc_http_request {
	struct rc_str method;
	struct rc_str target; /* as it was sent */
	struct rc_str path;   /* starts with '/', or is "*" for OPTIONS; still escaped */
	struct rc_str query;  /* behind the '?', still escaped */
	uint8_t minor;        /* 0 or 1; HTTP/1.2 and above is treated as 1.1 */
	bool keep_alive;
	bool chunked;
	int64_t content_length; /* -1: none */
	size_t head_len;        /* the body, or the next request, starts here */
	uint32_t header_count;
	struct rc_http_header header[RC_HTTP_HEADERS_MAX];
};

/*
 * 0, RC_HTTP_PARTIAL, or minus the status to answer with: 400, 414 (the request line alone is over head_max), 431 (the
 * head is, or has more than RC_HTTP_HEADERS_MAX fields), 501 (transfer coding, CONNECT, overlong method), 505.
 * Refuses at the first byte that can't be right. At most two empty lines before the request are passed over.
 * After anything but 0, *out says nothing.
 *
 * An absolute-form target (http or https) is taken apart like any other; its authority must equal Host when there is
 * one, so that Host can be trusted to be the only name of the host.
 */
RC_MUST_USE int rc_http_parse(
	const void *bytes, size_t len, size_t head_max, struct rc_http_request *out);

/* Equal but for the case of ASCII letters. */
bool rc_http_same(struct rc_str a, struct rc_str b);
/* The first field of that name, in any case; ptr is NULL when there is none. */
struct rc_str rc_http_header_get(const struct rc_http_request *r, const char *name);
/* Walks all fields of that name: *index starts at 0, false at the end. */
bool rc_http_header_next(
	const struct rc_http_request *r, const char *name, uint32_t *index, struct rc_str *value);
uint32_t rc_http_header_count(const struct rc_http_request *r, const char *name);

/* Comma lists. Empty elements are passed over; quoted strings are not understood. */
bool rc_http_list_has(struct rc_str value, const char *token);
bool rc_http_list_next(struct rc_str *rest, struct rc_str *token);

/* key=value pairs of a query, raw: still escaped. A key without '=' has an empty value; empty pairs are passed over. */
bool rc_http_query_next(struct rc_str *rest, struct rc_str *key, struct rc_str *value);
/* Length of what was written to out; -EINVAL for a bad %xx, -ENOSPC. out may be where `in` lies. %00 yields a NUL byte. */
RC_MUST_USE int rc_http_unescape(struct rc_str in, bool plus_is_space, char *out, size_t cap);

/*
 * A whole response with Content-Length and Connection; 0 if it does not fit. extra_headers is "Name: value\r\n"... or
 * NULL, content_type may be NULL. 1xx, 204 and 304 carry neither body nor Content-Length.
 */
size_t rc_http_answer(char *out, size_t cap, int status, const char *extra_headers,
	const char *content_type, struct rc_str body, bool close);
/* Its head alone: of an answer to HEAD, or of one whose body of `content_length` bytes the caller writes behind it. */
size_t rc_http_answer_head(char *out, size_t cap, int status, const char *extra_headers,
	const char *content_type, uint64_t content_length, bool close);
/* Never NULL. */
const char *rc_http_reason(int status);

#endif
