/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may ask what: routes, methods, origins, the admin token. All of it is decided by the head, before a body costs anything.
 */
#include "serve/httpexchange.h"

static const struct {
	const char *name;
	enum rc_http_method method;
} methods[] = {
	{"GET", RC_HTTP_GET},
	{"HEAD", RC_HTTP_GET},
	{"POST", RC_HTTP_POST},
	{"PUT", RC_HTTP_PUT},
	{"DELETE", RC_HTTP_DELETE},
};

enum rc_http_method rc_http_method_of(struct rc_str name)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(methods); i++) {
		if (rc_str_eq(name, rc_str_of(methods[i].name)))
			return methods[i].method;
	}
	return (enum rc_http_method)0;
}

static const struct rc_http_route *find(struct rc_str path)
{
	for (uint32_t i = 0; i < rc_http_route_count; i++) {
		const struct rc_http_route *route = &rc_http_routes[i];
		struct rc_str known = rc_str_of(route->path);
		bool below = known.len > 1 && known.ptr[known.len - 1] == '*';

		known.len -= below;
		if (below ? rc_str_starts(path, known) && path.len > known.len
			  : rc_str_eq(path, known))
			return route;
	}
	return NULL;
}

/* ---- origins ------------------------------------------------------------------------------------ */

static bool next_origin(struct rc_str *rest, struct rc_str *origin)
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

/* The list's own text, or nothing. */
static struct rc_str listed(const struct rc_serve *sv, struct rc_str wanted)
{
	struct rc_str rest = rc_str_of(sv->config->http_origins), origin;

	while (next_origin(&rest, &origin)) {
		if (rc_str_eq(origin, wanted))
			return origin;
	}
	return (struct rc_str){NULL, 0};
}

struct rc_str rc_http_origin(const struct rc_serve *sv, const struct rc_http_request *r)
{
	struct rc_str origin = rc_http_header_get(r, "origin");
	struct rc_str found;

	if (!origin.ptr || rc_http_header_count(r, "origin") > 1)
		return (struct rc_str){NULL, 0};
	found = listed(sv, origin);
	return found.len ? found : listed(sv, RC_STR("*"));
}

size_t rc_http_cors(
	const struct rc_serve *sv, const struct rc_http_reply *reply, char *out, size_t cap)
{
	struct rc_textbuf b = {.ptr = out, .cap = cap};

	if (reply->origin.len) {
		rc_textbuf_add_text(&b, "Access-Control-Allow-Origin: ");
		rc_textbuf_add(&b, reply->origin);
		rc_textbuf_add_text(&b, "\r\n");
	}
	/* What is said depends on who asks, also where nothing is said. */
	if (sv->config->http_origins[0] &&
		!rc_str_eq(rc_str_of(sv->config->http_origins), RC_STR("*")))
		rc_textbuf_add_text(&b, "Vary: Origin\r\n");
	return b.len;
}

/* ---- methods ------------------------------------------------------------------------------------ */

static void add_methods(struct rc_textbuf *b, uint8_t of)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(methods); i++) {
		if (of & methods[i].method) {
			rc_textbuf_add_text(b, methods[i].name);
			rc_textbuf_add_text(b, ", ");
		}
	}
	rc_textbuf_add_text(b, "OPTIONS\r\n");
}

static void options(struct rc_serve *sv, struct rc_http_call *call, uint8_t of)
{
	const struct rc_http_request *r = call->request;
	char text[512];
	struct rc_textbuf b = {.ptr = text, .cap = sizeof(text) - 1};

	rc_textbuf_add_text(&b, "Allow: ");
	add_methods(&b, of);
	if (call->reply.origin.len && rc_http_header_get(r, "access-control-request-method").ptr) {
		rc_textbuf_add_text(&b, "Access-Control-Allow-Methods: ");
		add_methods(&b, of);
		rc_textbuf_add_text(&b,
			"Access-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key, "
			"Last-Event-ID, Cache-Control\r\n"
			"Access-Control-Max-Age: 600\r\n");
	}
	RC_ASSERT(!b.full);
	text[b.len] = 0;
	rc_http_respond(sv, call, 204, text, NULL, (struct rc_str){NULL, 0});
}

static void not_allowed(struct rc_serve *sv, struct rc_http_call *call, uint8_t of)
{
	static const char json[] =
		"{\"error\":{\"code\":\"bad_method\",\"message\":\"not a method of this path\"}}\n";
	char text[128];
	struct rc_textbuf b = {.ptr = text, .cap = sizeof(text) - 1};

	rc_textbuf_add_text(&b, "Allow: ");
	add_methods(&b, of);
	text[b.len] = 0;
	rc_count(sv->counters, RC_C_http_bad, 1);
	rc_http_respond(sv, call, 405, text,
		call->reply.json ? "application/json" : "text/plain; charset=utf-8",
		call->reply.json ? rc_str_of(json) : RC_STR("405 Method Not Allowed\n"));
}

/* ---- the admin ---------------------------------------------------------------------------------- */

static bool same_secret(struct rc_str given, struct rc_str wanted)
{
	unsigned char differ = given.len != wanted.len;

	/* In time that depends on the given one alone. */
	for (size_t i = 0; i < given.len; i++)
		differ |=
			(unsigned char)(given.ptr[i] ^ wanted.ptr[wanted.len ? i % wanted.len : 0]);
	return !differ;
}

/* 1: the token. 0: another, or one of two. -1: none. */
static int bearer(const struct rc_serve *sv, const struct rc_http_request *r)
{
	struct rc_str given = rc_http_header_get(r, "authorization");
	struct rc_str wanted = rc_str_of(sv->config->admin_token);

	if (!given.ptr)
		return -1;
	if (rc_http_header_count(r, "authorization") != 1 || given.len < 7 ||
		!rc_http_same((struct rc_str){given.ptr, 7}, RC_STR("bearer ")))
		return 0;
	given.ptr += 7;
	given.len -= 7;
	while (given.len && *given.ptr == ' ') {
		given.ptr++;
		given.len--;
	}
	return wanted.len && same_secret(given, wanted);
}

/* The name of the host, without its port, is the loopback's: no other name can have been led here by somebody's DNS. */
static bool loopback_host(struct rc_str host)
{
	struct rc_str name = host;

	if (host.len && host.ptr[0] == '[') {
		const char *end = memchr(host.ptr, ']', host.len);
		if (!end)
			return false;
		name.len = (size_t)(end - host.ptr) + 1;
		return rc_str_eq(name, RC_STR("[::1]")) &&
		       (name.len == host.len || host.ptr[name.len] == ':');
	}
	for (name.len = 0; name.len < host.len && host.ptr[name.len] != ':'; name.len++)
		;
	if (rc_http_same(name, RC_STR("localhost")))
		return true;
	/* 127.a.b.c, and nothing that only begins so. */
	uint32_t dots = 0, digits = 0;
	if (!rc_str_starts(name, RC_STR("127.")))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		bool dot = name.ptr[i] == '.';
		if (!dot && (name.ptr[i] < '0' || name.ptr[i] > '9'))
			return false;
		if (dot && digits == 0)
			return false;
		dots += dot;
		digits = dot ? 0 : digits + 1;
	}
	return dots == 3 && digits;
}

/* The page that asks is one of this very host and port. */
static bool same_site(struct rc_str origin, struct rc_str host)
{
	struct rc_str plain = RC_STR("http://"), tls = RC_STR("https://");
	size_t scheme = rc_str_starts(origin, plain) ? plain.len
			: rc_str_starts(origin, tls) ? tls.len
						     : 0;

	return scheme && host.len &&
	       rc_http_same((struct rc_str){origin.ptr + scheme, origin.len - scheme}, host);
}

/* Somebody asks for somebody else, who may be anybody. */
static bool passed_on(const struct rc_http_request *r)
{
	return rc_http_header_get(r, "forwarded").ptr || rc_http_header_get(r, "via").ptr ||
	       rc_http_header_get(r, "x-forwarded-for").ptr ||
	       rc_http_header_get(r, "x-real-ip").ptr;
}

static const struct rc_address *listener(const struct rc_serve *sv, const struct rc_conn *c)
{
	if (c->stage & RC_HTTP_ON_ADMIN_PORT)
		return &sv->config->admin_listen;
	return c->flags & (RC_CONN_TLS | RC_CONN_KTLS) ? &sv->config->tls_listen
						       : &sv->config->listen;
}

static bool open_here(const struct rc_serve *sv, const struct rc_conn *c)
{
	uint32_t open = sv->config->admin_open_on_loopback;

	if (open == RC_CONFIG_OPEN_NO || !rc_address_is_loopback(listener(sv, c)))
		return false;
	/* Who wrote a configuration says there who may; a port of the API's own says it too. */
	bool said = sv->config->file[0] && !(c->stage & RC_HTTP_ON_ADMIN_PORT);
	return open == RC_CONFIG_OPEN_YES || (!sv->config->admin_token[0] && !said);
}

/* Why a request without the token is not let in, though the port is open; NULL: it is. */
static const char *suspicious(const struct rc_serve *sv, const struct rc_http_request *r)
{
	struct rc_str host = rc_http_header_get(r, "host");
	struct rc_str origin = rc_http_header_get(r, "origin");
	struct rc_str site = rc_http_header_get(r, "sec-fetch-site");

	if (passed_on(r))
		return "without the admin token, only who asks from this host himself is answered";
	if (host.ptr && !loopback_host(host))
		return "without the admin token, Host must be localhost or a loopback address";
	if (origin.ptr) {
		if (rc_http_header_count(r, "origin") == 1 &&
			(same_site(origin, host) || listed(sv, origin).len))
			return NULL;
		return "without the admin token, pages of this origin are not answered";
	}
	if (site.ptr && !rc_str_eq(site, RC_STR("same-origin")) && !rc_str_eq(site, RC_STR("none")))
		return "without the admin token, pages of other sites are not answered";
	return NULL;
}

static bool admin(struct rc_serve *sv, struct rc_http_call *call)
{
	static const char ask[] = "WWW-Authenticate: Bearer realm=\"ringcast\"\r\n";
	static const char text[] =
		"{\"error\":{\"code\":\"unauthorized\",\"message\":\"the admin token is missing or wrong\"}}\n";
	int given = bearer(sv, call->request);
	const char *why = NULL;

	if (given == 1)
		return true;
	if (given < 0 && open_here(sv, call->c)) {
		why = suspicious(sv, call->request);
		if (!why)
			return true;
	} else if (!sv->config->admin_token[0]) {
		why = "there is no admin token: set token_file in [admin]";
	}
	rc_count(sv->counters, RC_C_http_unauthorized, 1);
	if (why)
		rc_http_fail(sv, call, 403, "forbidden", why);
	else if (call->reply.json)
		rc_http_respond(sv, call, 401, ask, "application/json", rc_str_of(text));
	else
		rc_http_respond(sv, call, 401, ask, "text/plain; charset=utf-8",
			RC_STR("401 Unauthorized\n"));
	return false;
}

/* ---- all together ------------------------------------------------------------------------------- */

static bool elsewhere(const struct rc_serve *sv, const struct rc_http_call *call)
{
	return call->route->access == RC_HTTP_ADMIN && sv->config->admin_listen.family &&
	       !(call->c->stage & RC_HTTP_ON_ADMIN_PORT);
}

static bool fail(struct rc_serve *sv, struct rc_http_call *call, int status, const char *code,
	const char *message)
{
	rc_count(sv->counters, status == 404 ? RC_C_http_404 : RC_C_http_bad, 1);
	rc_http_fail(sv, call, status, code, message);
	return false;
}

bool rc_http_admit(struct rc_serve *sv, struct rc_http_call *call)
{
	const struct rc_http_request *r = call->request;
	bool asks_options = rc_str_eq(r->method, RC_STR("OPTIONS"));
	struct rc_str expect = rc_http_header_get(r, "expect");

	if (asks_options && rc_str_eq(r->path, RC_STR("*"))) {
		options(sv, call, RC_HTTP_GET | RC_HTTP_POST | RC_HTTP_DELETE);
		return false;
	}
	call->route = find(r->path);
	if (!call->route || elsewhere(sv, call))
		return fail(sv, call, 404, "not_found",
			call->reply.json ? "there is nothing at this path" : "404 Not Found");
	if (asks_options) {
		options(sv, call, call->route->methods);
		return false;
	}
	call->method = rc_http_method_of(r->method);
	if (!(call->route->methods & call->method)) {
		not_allowed(sv, call, call->route->methods);
		return false;
	}
	call->reply.admin = call->route->access == RC_HTTP_ADMIN;
	if (call->reply.admin && !admin(sv, call))
		return false;
	if (r->minor && expect.ptr &&
		(rc_http_header_count(r, "expect") != 1 ||
			!rc_http_same(expect, RC_STR("100-continue"))))
		return fail(sv, call, 417, "bad_request", "417 Expectation Failed");
	if (r->content_length > (int64_t)sv->config->http_body_max)
		return fail(sv, call, 413, "too_large", "the body is larger than [http] body_max");
	return true;
}
