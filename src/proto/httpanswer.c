/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole HTTP/1.1 responses into the caller's buffer. See http1.h.
 */
#include "proto/http1.h"

struct answer {
	char *out;
	size_t cap, len;
	bool full;
};

static void put(struct answer *a, struct rc_str s)
{
	if (a->full || s.len > a->cap - a->len) {
		a->full = true;
		return;
	}
	if (s.len > 0)
		memcpy(a->out + a->len, s.ptr, s.len);
	a->len += s.len;
}

static void put_number(struct answer *a, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	put(a, (struct rc_str){digits + at, sizeof(digits) - at});
}

static bool bare(int status)
{
	return status < 200 || status == 204 || status == 304;
}

size_t rc_http_answer_head(char *out, size_t cap, int status, const char *extra_headers,
	const char *content_type, uint64_t content_length, bool close)
{
	struct answer a = {.out = out, .cap = cap};

	RC_ASSERT(status >= 100 && status <= 999);
	put(&a, RC_STR("HTTP/1.1 "));
	put_number(&a, (uint64_t)status);
	put(&a, RC_STR(" "));
	put(&a, rc_str_of(rc_http_reason(status)));
	if (content_type != NULL) {
		put(&a, RC_STR("\r\nContent-Type: "));
		put(&a, rc_str_of(content_type));
	}
	if (!bare(status)) {
		put(&a, RC_STR("\r\nContent-Length: "));
		put_number(&a, content_length);
	}
	put(&a, close ? RC_STR("\r\nConnection: close\r\n")
		      : RC_STR("\r\nConnection: keep-alive\r\n"));
	if (extra_headers != NULL)
		put(&a, rc_str_of(extra_headers));
	put(&a, RC_STR("\r\n"));
	return a.full ? 0 : a.len;
}

size_t rc_http_answer(char *out, size_t cap, int status, const char *extra_headers,
	const char *content_type, struct rc_str body, bool close)
{
	size_t head =
		rc_http_answer_head(out, cap, status, extra_headers, content_type, body.len, close);
	struct answer a = {.out = out, .cap = cap, .len = head, .full = head == 0};

	if (!bare(status))
		put(&a, body);
	return a.full ? 0 : a.len;
}

const char *rc_http_reason(int status)
{
	switch (status) {
	case 100:
		return "Continue";
	case 101:
		return "Switching Protocols";
	case 200:
		return "OK";
	case 201:
		return "Created";
	case 202:
		return "Accepted";
	case 204:
		return "No Content";
	case 206:
		return "Partial Content";
	case 301:
		return "Moved Permanently";
	case 302:
		return "Found";
	case 303:
		return "See Other";
	case 304:
		return "Not Modified";
	case 307:
		return "Temporary Redirect";
	case 308:
		return "Permanent Redirect";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 406:
		return "Not Acceptable";
	case 408:
		return "Request Timeout";
	case 409:
		return "Conflict";
	case 410:
		return "Gone";
	case 411:
		return "Length Required";
	case 412:
		return "Precondition Failed";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 415:
		return "Unsupported Media Type";
	case 416:
		return "Range Not Satisfiable";
	case 417:
		return "Expectation Failed";
	case 421:
		return "Misdirected Request";
	case 422:
		return "Unprocessable Content";
	case 426:
		return "Upgrade Required";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 501:
		return "Not Implemented";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Unknown";
	}
}
