/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/forwarded.h"

#define NODE_MAX 80u /* of a quoted one, without its escapes */

/* ---- one node ----------------------------------------------------------------------------------- */

static bool is_token(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool read_port(struct rc_str text, uint16_t *port)
{
	if (text.len < 2 || text.ptr[0] != '_')
		return rc_netaddr_parse_port(text, port);
	for (size_t i = 1; i < text.len; i++) {
		if (!is_token((unsigned char)text.ptr[i]))
			return false;
	}
	return true;
}

bool rc_forwarded_node(struct rc_str text, struct rc_netaddr *out)
{
	const char *end = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
	struct rc_str ip = text, port = {NULL, 0};

	if (text.len && text.ptr[0] == '[') {
		const char *close = memchr(text.ptr, ']', text.len);
		if (!close)
			return false;
		ip = (struct rc_str){text.ptr + 1, (size_t)(close - text.ptr) - 1};
		port = (struct rc_str){close + 1, text.len - ip.len - 2};
		if (!ip.len || !memchr(ip.ptr, ':', ip.len) || (port.len && *port.ptr != ':'))
			return false;
	} else if (end && end == memchr(text.ptr, ':', text.len)) {
		/* One colon: a port. More: an IPv6 address. */
		ip.len = (size_t)(end - text.ptr);
		port = (struct rc_str){end, text.len - ip.len};
	}
	if (!rc_netaddr_parse(ip, out))
		return false;
	return !port.len || read_port((struct rc_str){port.ptr + 1, port.len - 1}, &out->port);
}

/* ---- the list, from the right ------------------------------------------------------------------- */

struct walk {
	const struct rc_http_request *r;
	const char *name;
	bool quotes;        /* commas in quoted strings separate nothing */
	uint32_t line;      /* fields before this one are to come */
	struct rc_str rest; /* of the line, to the left of what was taken */
	bool in_line;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct rc_str trim(struct rc_str s)
{
	while (s.len && is_space(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static bool previous_line(struct walk *w)
{
	struct rc_str name = rc_str_of(w->name);

	while (w->line) {
		const struct rc_http_header *h = &w->r->header[--w->line];

		if (rc_http_same(h->name, name)) {
			w->rest = h->value;
			w->in_line = true;
			return true;
		}
	}
	return false;
}

/* A quote that an odd number of backslashes stands before is a part of the string. */
static bool escaped(struct rc_str s, size_t at)
{
	size_t slashes = 0;

	while (slashes < at && s.ptr[at - 1 - slashes] == '\\')
		slashes++;
	return slashes % 2;
}

/* The element that ends the rest. False: a quoted string has no beginning. */
static bool cut_last(struct walk *w, struct rc_str *element)
{
	struct rc_str s = w->rest;
	size_t at = s.len;
	bool quoted = false;

	while (at && (quoted || s.ptr[at - 1] != ',')) {
		at--;
		if (w->quotes && s.ptr[at] == '"' && !(quoted && escaped(s, at)))
			quoted = !quoted;
	}
	*element = trim((struct rc_str){s.ptr + at, s.len - at});
	w->in_line = at != 0;
	w->rest.len = at ? at - 1 : 0;
	return !quoted;
}

/* 1: an element, which may be empty. 0: there is none any more. -1: it can't be read. */
static int previous(struct walk *w, struct rc_str *element)
{
	if (!w->in_line && !previous_line(w))
		return 0;
	return cut_last(w, element) ? 1 : -1;
}

/* ---- an element of Forwarded -------------------------------------------------------------------- */

/* Takes a value, quoted or not, off the front. */
static bool take_value(struct rc_str *rest, char out[NODE_MAX], struct rc_str *value)
{
	size_t at = 0, len = 0;
	bool quoted = rest->len && rest->ptr[0] == '"';

	for (at += quoted; at < rest->len; at++) {
		char c = rest->ptr[at];

		if (quoted ? c == '"' : c == ';' || is_space(c))
			break;
		/* Strictly an address with a colon or brackets is quoted. Not all who write it do so, and it means one thing. */
		if (!quoted && !is_token((unsigned char)c) && !strchr("[]:", c))
			return false;
		if (quoted && c == '\\' && ++at == rest->len)
			return false;
		/* Of what is longer than any address only that matters. */
		if (len < NODE_MAX)
			out[len] = rest->ptr[at];
		len++;
	}
	if (quoted && at++ == rest->len)
		return false;
	*value = (struct rc_str){out, RC_MIN(len, (size_t)NODE_MAX)};
	rest->ptr += at;
	rest->len -= at;
	return len != 0 || quoted;
}

struct element {
	struct rc_netaddr from;
	enum rc_forwarded_scheme scheme;
	bool has_from, has_scheme;
};

static enum rc_forwarded_scheme scheme_of(struct rc_str text)
{
	return rc_http_same(text, RC_STR("https"))  ? RC_SCHEME_HTTPS
	       : rc_http_same(text, RC_STR("http")) ? RC_SCHEME_HTTP
						    : RC_SCHEME_UNKNOWN;
}

static bool take_pair(struct rc_str *rest, struct element *e)
{
	struct rc_str name = {rest->ptr, 0}, value;
	char buf[NODE_MAX];

	while (name.len < rest->len && is_token((unsigned char)name.ptr[name.len]))
		name.len++;
	if (!name.len || name.len == rest->len || name.ptr[name.len] != '=')
		return false;
	rest->ptr += name.len + 1;
	rest->len -= name.len + 1;
	if (!take_value(rest, buf, &value))
		return false;
	if (rc_http_same(name, RC_STR("for"))) {
		if (e->has_from || !rc_forwarded_node(value, &e->from))
			return false;
		e->has_from = true;
	} else if (rc_http_same(name, RC_STR("proto"))) {
		if (e->has_scheme)
			return false;
		e->has_scheme = true;
		e->scheme = scheme_of(value);
	}
	return true;
}

/* False: malformed, or it names no address. */
static bool read_element(struct rc_str text, struct element *e)
{
	memset(e, 0, sizeof(*e));
	while (text.len) {
		if (*text.ptr != ';' && !take_pair(&text, e))
			return false;
		text = trim(text);
		if (!text.len)
			break;
		if (*text.ptr != ';')
			return false;
		text.ptr++;
		text.len--;
		text = trim(text);
	}
	return e->has_from;
}

/* ---- all together ------------------------------------------------------------------------------- */

/* Which of several was meant for this client nobody can say. */
static enum rc_forwarded_scheme only_scheme(const struct rc_http_request *r)
{
	if (rc_http_header_count(r, "x-forwarded-proto") != 1)
		return RC_SCHEME_UNKNOWN;
	return scheme_of(rc_http_header_get(r, "x-forwarded-proto"));
}

struct rc_forwarded rc_forwarded_read(const struct rc_http_request *r,
	enum rc_forwarded_header header, const struct rc_netset *trusted, struct rc_netaddr peer)
{
	struct rc_forwarded out = {.client = peer};
	struct walk w = {.r = r, .line = r->header_count, .quotes = header == RC_FORWARDED};
	struct rc_str text;

	w.name = header == RC_FORWARDED ? "forwarded" : "x-forwarded-for";
	if (!rc_netset_has(trusted, &peer))
		return out;
	if (header == RC_X_FORWARDED_FOR)
		out.scheme = only_scheme(r);
	for (int hops = 0; hops < RC_FORWARDED_HOPS_MAX; hops++) {
		struct element e = {.scheme = out.scheme};

		if (!rc_netset_has(trusted, &out.client) || previous(&w, &text) <= 0)
			break;
		if (header == RC_FORWARDED ? !read_element(text, &e)
					   : !rc_forwarded_node(text, &e.from))
			break;
		out.client = e.from;
		out.scheme = e.scheme;
	}
	return out;
}
