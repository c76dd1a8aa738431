/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1 heads from arbitrary bytes. Properties: a prefix is PARTIAL or gets the verdict of the whole; what follows the head
 * changes nothing; slices lie in order inside the head; the request written out again from its parts parses to the same parts; no
 * accepted head holds what smuggling needs.
 */
#include <stdlib.h>

#include "proto/http1.h"
#include "proto/wsupgrade.h"

#define HEAD_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct rc_str s, const char *bytes, size_t len)
{
	return s.ptr >= bytes && s.ptr + s.len <= bytes + len;
}

static int parse_copy(const uint8_t *data, size_t size, struct rc_http_request *out)
{
	/* Its own memory, so that reading past the end of a prefix is seen. */
	void *copy = malloc(size);
	int rc;

	if (size > 0)
		memcpy(copy, data, size);
	rc = rc_http_parse(copy, size, HEAD_MAX, out);
	free(copy);
	return rc;
}

static void check_prefixes(const uint8_t *data, size_t size, int verdict, size_t head_len)
{
	/* All of them for small inputs, a spread of them for large ones. */
	size_t step = size / 256 + 1;
	struct rc_http_request r;

	for (size_t n = 0; n < size; n += step) {
		int rc = parse_copy(data, n, &r);

		RC_ASSERT(rc == verdict || rc == RC_HTTP_PARTIAL);
		if (verdict == 0)
			RC_ASSERT((rc == 0) == (n >= head_len));
	}
}

static void check_slices(const char *bytes, const struct rc_http_request *r)
{
	const char *after = bytes;

	RC_ASSERT(r->head_len <= HEAD_MAX && memcmp(bytes + r->head_len - 4, "\r\n\r\n", 4) == 0);
	RC_ASSERT(memchr(bytes, '\0', r->head_len) == NULL);
	for (size_t i = 0; i < r->head_len; i++) {
		if (bytes[i] == '\n')
			RC_ASSERT(i > 0 && bytes[i - 1] == '\r');
		if (bytes[i] == '\r')
			RC_ASSERT(bytes[i + 1] == '\n');
	}
	RC_ASSERT(inside(r->method, bytes, r->head_len) && r->method.len > 0);
	RC_ASSERT(inside(r->target, bytes, r->head_len) && r->target.len > 0);
	RC_ASSERT(r->path.len > 0 && (r->path.ptr[0] == '/' || rc_str_eq(r->path, RC_STR("*"))));
	for (uint32_t i = 0; i < r->header_count; i++) {
		RC_ASSERT(inside(r->header[i].name, bytes, r->head_len));
		RC_ASSERT(inside(r->header[i].value, bytes, r->head_len));
		RC_ASSERT(r->header[i].name.ptr > after);
		RC_ASSERT(r->header[i].value.ptr > r->header[i].name.ptr);
		after = r->header[i].value.ptr + r->header[i].value.len;
	}
}

static void check_framing(const struct rc_http_request *r)
{
	uint32_t lengths = rc_http_header_count(r, "content-length");
	uint32_t codings = rc_http_header_count(r, "TRANSFER-ENCODING");
	uint32_t hosts = rc_http_header_count(r, "Host");

	RC_ASSERT(lengths + codings <= 1);
	RC_ASSERT((r->content_length >= 0) == (lengths == 1));
	RC_ASSERT(r->chunked == (codings == 1));
	RC_ASSERT(hosts <= 1 && (r->minor == 0 || hosts == 1));
}

static size_t put(char *out, size_t at, struct rc_str s)
{
	if (s.len > 0)
		memcpy(out + at, s.ptr, s.len);
	return at + s.len;
}

static void check_round_trip(const struct rc_http_request *r)
{
	static char out[2 * HEAD_MAX];
	static struct rc_http_request again;
	size_t len = put(out, 0, r->method);

	len = put(out, len, RC_STR(" "));
	len = put(out, len, r->target);
	len = put(out, len, r->minor == 0 ? RC_STR(" HTTP/1.0\r\n") : RC_STR(" HTTP/1.1\r\n"));
	for (uint32_t i = 0; i < r->header_count; i++) {
		len = put(out, len, r->header[i].name);
		len = put(out, len, RC_STR(":"));
		len = put(out, len, r->header[i].value);
		len = put(out, len, RC_STR("\r\n"));
	}
	len = put(out, len, RC_STR("\r\n"));
	RC_ASSERT(rc_http_parse(out, len, sizeof(out), &again) == 0);
	RC_ASSERT(again.head_len == len && again.header_count == r->header_count);
	RC_ASSERT(rc_str_eq(again.path, r->path) && rc_str_eq(again.query, r->query));
	RC_ASSERT(again.keep_alive == r->keep_alive && again.chunked == r->chunked);
	RC_ASSERT(again.content_length == r->content_length && again.minor == r->minor);
	for (uint32_t i = 0; i < r->header_count; i++)
		RC_ASSERT(rc_str_eq(again.header[i].value, r->header[i].value));
}

static void check_uses(const struct rc_http_request *r)
{
	struct rc_str rest = r->query, key, value;
	struct rc_ws_upgrade up;
	char out[HEAD_MAX];

	while (rc_http_query_next(&rest, &key, &value)) {
		int len = rc_http_unescape(value, true, out, sizeof(out));

		/* Of a bare "=" both are empty. */
		RC_ASSERT(inside(key, r->query.ptr, r->query.len) && rest.len < r->query.len);
		RC_ASSERT(len <= (int)value.len);
	}
	for (uint32_t i = 0; i < r->header_count; i++) {
		rest = r->header[i].value;
		while (rc_http_list_next(&rest, &key)) {
			RC_ASSERT(key.len > 0 && memchr(key.ptr, ',', key.len) == NULL);
			RC_ASSERT(inside(key, r->header[i].value.ptr, r->header[i].value.len));
		}
	}
	if (rc_ws_upgrade_check(r, &up) == 0) {
		RC_ASSERT(!r->chunked && r->content_length <= 0);
		RC_ASSERT(rc_ws_upgrade_answer(out, sizeof(out), up.key, (struct rc_str){0}) > 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rc_http_request r;
	int verdict = rc_http_parse(data, size, HEAD_MAX, &r);

	RC_ASSERT(verdict == 0 || verdict == RC_HTTP_PARTIAL || verdict == -400 ||
		  verdict == -414 || verdict == -431 || verdict == -501 || verdict == -505);
	RC_ASSERT(verdict != RC_HTTP_PARTIAL || size < HEAD_MAX);
	check_prefixes(data, size, verdict, r.head_len);
	if (verdict == 0) {
		check_slices((const char *)data, &r);
		check_framing(&r);
		check_round_trip(&r);
		check_uses(&r);
	}
	return 0;
}
