/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose pages may ask. One list decides what is answered over CORS and who may open a WebSocket or a stream: [http] origins, of
 * which config/ has made sure that it is written as browsers write it, in lower case. So an Origin is compared byte by byte,
 * and a pattern is its text in front of the star, one part of a name, and its text behind it: nothing that could be read in two
 * ways is taken apart. A request without Origin does not come from another origin's page.
 */
#include "auth/auth.h"
#include "serve/edge.h"
#include "serve/httpexchange.h"

static bool next_listed(struct rc_str *rest, struct rc_str *origin)
{
	while (rest->len && (*rest->ptr == ' ' || *rest->ptr == ',')) {
		rest->ptr++;
		rest->len--;
	}
	*origin = (struct rc_str){rest->ptr, 0};
	while (rest->len && *rest->ptr != ' ' && *rest->ptr != ',') {
		rest->ptr++;
		rest->len--;
		origin->len++;
	}
	return origin->len != 0;
}

/* What the star in front of the name stands for; empty: it is not that. */
static struct rc_str part_of(struct rc_str pattern, struct rc_str origin)
{
	const char *star = memchr(pattern.ptr, '*', pattern.len);
	size_t before = star ? (size_t)(star - pattern.ptr) : 0;
	size_t behind = star ? pattern.len - before - 1 : 0;
	struct rc_str part = {NULL, 0};

	/* A star alone is no pattern. */
	if (!before || origin.len <= before + behind ||
		memcmp(origin.ptr, pattern.ptr, before) != 0 ||
		memcmp(origin.ptr + origin.len - behind, star + 1, behind) != 0)
		return part;
	part = (struct rc_str){origin.ptr + before, origin.len - before - behind};
	for (size_t i = 0; i < part.len; i++) {
		char c = part.ptr[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return (struct rc_str){NULL, 0};
	}
	return part.len <= sizeof(((struct rc_http_reply *)0)->part) ? part
								     : (struct rc_str){NULL, 0};
}

/* The list's own text, or nothing. The star is what it is only as a word of its own. */
static struct rc_str listed(const struct rc_serve *sv, struct rc_str wanted, struct rc_str *part)
{
	struct rc_str rest = rc_str_of(sv->config->http_origins), origin;

	*part = (struct rc_str){NULL, 0};
	while (next_listed(&rest, &origin)) {
		if (rc_str_eq(origin, wanted) && !memchr(origin.ptr, '*', origin.len))
			return origin;
		*part = part_of(origin, wanted);
		if (part->len)
			return origin;
	}
	return (struct rc_str){NULL, 0};
}

static struct rc_str star(const struct rc_serve *sv)
{
	struct rc_str rest = rc_str_of(sv->config->http_origins), origin;

	while (next_listed(&rest, &origin)) {
		if (rc_str_eq(origin, RC_STR("*")))
			return origin;
	}
	return (struct rc_str){NULL, 0};
}

/* ---- CORS --------------------------------------------------------------------------------------- */

void rc_http_origin(
	const struct rc_serve *sv, const struct rc_http_request *r, struct rc_http_reply *reply)
{
	struct rc_str origin = rc_http_header_get(r, "origin"), part;

	if (!origin.ptr || rc_http_header_count(r, "origin") > 1)
		return;
	reply->origin = listed(sv, origin, &part);
	if (part.len) {
		memcpy(reply->part, part.ptr, part.len);
		reply->part_len = (uint8_t)part.len;
	}
	if (!reply->origin.len)
		reply->origin = star(sv);
}

static void add_origin(struct rc_textbuf *b, const struct rc_http_reply *reply)
{
	for (size_t i = 0; i < reply->origin.len; i++) {
		if (reply->part_len && reply->origin.ptr[i] == '*')
			rc_textbuf_add(b, (struct rc_str){reply->part, reply->part_len});
		else
			rc_textbuf_add(b, (struct rc_str){reply->origin.ptr + i, 1});
	}
}

size_t rc_http_cors(
	const struct rc_serve *sv, const struct rc_http_reply *reply, char *out, size_t cap)
{
	struct rc_textbuf b = {.ptr = out, .cap = cap};

	if (reply->origin.len) {
		rc_textbuf_add_text(&b, "Access-Control-Allow-Origin: ");
		add_origin(&b, reply);
		rc_textbuf_add_text(&b, "\r\n");
	}
	/* What is said depends on who asks, also where nothing is said. */
	if (sv->config->http_origins[0] &&
		!rc_str_eq(rc_str_of(sv->config->http_origins), RC_STR("*")))
		rc_textbuf_add_text(&b, "Vary: Origin\r\n");
	return b.len;
}

/* ---- who may ask -------------------------------------------------------------------------------- */

/* The page is one of this very host and port; its scheme is told. */
static bool same_site(struct rc_str origin, struct rc_str host, enum rc_forwarded_scheme *scheme)
{
	struct rc_str plain = RC_STR("http://"), tls = RC_STR("https://"), port;

	if (rc_str_starts(origin, plain)) {
		origin.ptr += plain.len;
		origin.len -= plain.len;
		*scheme = RC_SCHEME_HTTP;
		port = RC_STR(":80");
	} else if (rc_str_starts(origin, tls)) {
		origin.ptr += tls.len;
		origin.len -= tls.len;
		*scheme = RC_SCHEME_HTTPS;
		port = RC_STR(":443");
	} else {
		return false;
	}
	/* The scheme's own port is never in an Origin, and may be in Host. */
	if (host.len > port.len && memcmp(host.ptr + host.len - port.len, port.ptr, port.len) == 0)
		host.len -= port.len;
	return host.len && rc_http_same(origin, host);
}

bool rc_http_origin_is_ours(const struct rc_serve *sv, const struct rc_http_request *r)
{
	struct rc_str origin = rc_http_header_get(r, "origin"), part;
	enum rc_forwarded_scheme scheme;

	if (rc_http_header_count(r, "origin") != 1)
		return false;
	return same_site(origin, rc_http_header_get(r, "host"), &scheme) ||
	       listed(sv, origin, &part).len;
}

/* A page of the same host by another scheme is another origin, where it is known by which one the request was made. */
static bool same_origin(
	const struct rc_serve *sv, const struct rc_conn *c, const struct rc_http_request *r)
{
	struct rc_str origin = rc_http_header_get(r, "origin");
	enum rc_forwarded_scheme of_page, of_request;

	if (!same_site(origin, rc_http_header_get(r, "host"), &of_page))
		return false;
	of_request = rc_edge_forwarded(sv, c, r).scheme;
	return of_request == RC_SCHEME_UNKNOWN || of_request == of_page;
}

/* Tokens may come in a cookie, which a browser adds whoever's page it is that asks. */
static bool checked(const struct rc_serve *sv)
{
	uint32_t check = sv->config->http_origin_check;

	return check == RC_CONFIG_CHECK_YES ||
	       (check == RC_CONFIG_CHECK_AUTO && sv->auth && sv->auth->keys);
}

bool rc_http_origin_may_ask(
	const struct rc_serve *sv, const struct rc_conn *c, const struct rc_http_request *r)
{
	struct rc_str origin = rc_http_header_get(r, "origin"), part;

	if (!origin.ptr || !checked(sv))
		return true;
	return rc_http_header_count(r, "origin") == 1 &&
	       (listed(sv, origin, &part).len || star(sv).len || same_origin(sv, c, r));
}
