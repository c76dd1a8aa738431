/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/web.h"

#include <stdio.h>

#include "web/assets.h"

#define HEADERS_MAX 768u

static const struct rc_asset *find(struct rc_str path)
{
	for (unsigned int i = 0; i < rc_asset_count; i++) {
		if (rc_str_eq(path, rc_str_of(rc_assets[i].path)))
			return &rc_assets[i];
	}
	RC_FAIL("a route of an asset that there is not");
}

/* ---- what the client takes ---------------------------------------------------------------------- */

static struct rc_str trimmed(const char *ptr, const char *end)
{
	while (ptr < end && (*ptr == ' ' || *ptr == '\t'))
		ptr++;
	while (ptr < end && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return (struct rc_str){ptr, (size_t)(end - ptr)};
}

/* "q=0", "q=0.0" and so on: not at all. */
static bool weighs_nothing(struct rc_str parameter)
{
	if (parameter.len < 3 || (parameter.ptr[0] | 0x20) != 'q' || parameter.ptr[1] != '=')
		return false;
	for (size_t i = 2; i < parameter.len; i++) {
		if (parameter.ptr[i] != '0' && parameter.ptr[i] != '.')
			return false;
	}
	return true;
}

/* gzip is taken when it is named, or everything is, and not with a weight of 0. What is named counts before the star. */
static bool takes_gzip(const struct rc_http_request *r)
{
	uint32_t index = 0;
	struct rc_str line, element;
	bool star = false;

	while (rc_http_header_next(r, "accept-encoding", &index, &line)) {
		while (rc_http_list_next(&line, &element)) {
			const char *end = element.ptr + element.len;
			const char *mark = memchr(element.ptr, ';', element.len);
			struct rc_str name = trimmed(element.ptr, mark ? mark : end);
			bool wanted = !mark || !weighs_nothing(trimmed(mark + 1, end));
			if (rc_http_same(name, RC_STR("gzip")))
				return wanted;
			star |= wanted && rc_str_eq(name, RC_STR("*"));
		}
	}
	return star;
}

/* It has these bytes already; a tag may be marked as weak by what stands in between. */
static bool has_it(const struct rc_http_request *r, const char *etag)
{
	uint32_t index = 0;
	struct rc_str line, tag;

	while (rc_http_header_next(r, "if-none-match", &index, &line)) {
		while (rc_http_list_next(&line, &tag)) {
			if (rc_str_starts(tag, RC_STR("W/"))) {
				tag.ptr += 2;
				tag.len -= 2;
			}
			if (rc_str_eq(tag, rc_str_of(etag)) || rc_str_eq(tag, RC_STR("*")))
				return true;
		}
	}
	return false;
}

/* ---- answers ------------------------------------------------------------------------------------ */

static void respond(struct rc_serve *sv, struct rc_http_call *call, const struct rc_asset *asset,
	const char *varies)
{
	char headers[HEADERS_MAX];
	bool gzip = takes_gzip(call->request);
	bool known = has_it(call->request, asset->etag);
	struct rc_str body = {NULL, 0};
	int len = snprintf(headers, sizeof(headers),
		"%sETag: %s\r\nVary: %s\r\nCache-Control: no-cache\r\n%s", asset->headers,
		asset->etag, varies, gzip && !known ? "Content-Encoding: gzip\r\n" : "");

	RC_ASSERT(len > 0 && (size_t)len < sizeof(headers));
	if (!known)
		body = gzip ? (struct rc_str){(const char *)asset->gzip.ptr, asset->gzip.len}
			    : (struct rc_str){(const char *)asset->plain.ptr, asset->plain.len};
	rc_http_respond(sv, call, known ? 304 : 200, headers, known ? NULL : asset->type, body);
}

enum rc_http_result rc_web_root(struct rc_serve *sv, struct rc_http_call *call)
{
	bool here = !sv->config->admin_listen.family || (call->c->stage & RC_HTTP_ON_ADMIN_PORT);

	if (here && rc_http_accepts(call->request, "text/html"))
		respond(sv, call, find(call->request->path), "Accept, Accept-Encoding");
	else
		rc_http_respond(sv, call, 200, "Vary: Accept\r\n", "text/plain; charset=utf-8",
			RC_STR("ringcast " RC_VERSION
			       "\nOpen a WebSocket on /ws, for example /ws?channel=news,\n"
			       "or an event stream on /events?channel=news\n"));
	return RC_HTTP_DONE;
}

enum rc_http_result rc_web_asset(struct rc_serve *sv, struct rc_http_call *call)
{
	/* It is the same for everybody and says nothing of anybody. */
	call->reply.origin = RC_STR("*");
	call->reply.part_len = 0;
	respond(sv, call, find(call->request->path), "Accept-Encoding");
	return RC_HTTP_DONE;
}
