/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may ask what: routes, methods, the admin token; for origins see httporigin.c. All of it is decided by the head, before a body costs anything.
 */
#include "serve/edge.h"
#include "serve/proof.h"
#include "serve/httpexchange.h"
#include "serve/session.h"

#include "serve/limits.h"

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

static bool asks_to_watch(const struct rc_http_request *r)
{
	struct rc_str rest = r->query, key, value;

	while (rc_http_query_next(&rest, &key, &value)) {
		if (rc_str_eq(key, RC_STR("scope")))
			return true;
	}
	return false;
}

static const struct rc_http_route *find(const struct rc_http_request *r)
{
	struct rc_str path = r->path;

	if (rc_str_eq(path, rc_str_of(rc_http_watch.path)) && asks_to_watch(r))
		return &rc_http_watch;
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

/* 1: here it is. 0: it can't be one, or there are two. -1: none. */
static int bearer(const struct rc_http_request *r, struct rc_str *given)
{
	*given = rc_http_header_get(r, "authorization");
	if (!given->ptr)
		return -1;
	if (rc_http_header_count(r, "authorization") != 1 || given->len < 7 ||
		!rc_http_same((struct rc_str){given->ptr, 7}, RC_STR("bearer ")))
		return 0;
	given->ptr += 7;
	given->len -= 7;
	while (given->len && *given->ptr == ' ') {
		given->ptr++;
		given->len--;
	}
	return 1;
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

/* Somebody asks for somebody else, who may be anybody. */
static bool passed_on(const struct rc_http_request *r)
{
	return rc_http_header_get(r, "forwarded").ptr || rc_http_header_get(r, "via").ptr ||
	       rc_http_header_get(r, "x-forwarded-for").ptr ||
	       rc_http_header_get(r, "x-real-ip").ptr;
}

static enum rc_port port_of(const struct rc_conn *c)
{
	if (c->stage & RC_HTTP_ON_ADMIN_PORT)
		return RC_PORT_ADMIN;
	return c->flags & (RC_CONN_TLS | RC_CONN_KTLS) ? RC_PORT_HTTPS : RC_PORT_HTTP;
}

static const struct rc_address *listener(const struct rc_serve *sv, enum rc_port port)
{
	return port == RC_PORT_ADMIN   ? &sv->config->admin_listen
	       : port == RC_PORT_HTTPS ? &sv->config->tls_listen
				       : &sv->config->listen;
}

/* Nobody comes from this host himself where a proxy on it is in front. */
static bool behind_proxy(const struct rc_serve *sv, const struct rc_conn *c)
{
	struct rc_netaddr peer;

	if (rc_edge_proxy(sv->config, port_of(c)) != RC_CONFIG_PROXY_OFF)
		return true;
	if (sv->config->admin_open_on_loopback == RC_CONFIG_OPEN_YES)
		return false; /* said in so many words; passed_on() still holds */
	peer = rc_session_connection(sv, c);
	return rc_netset_has(&sv->config->trusted, &peer);
}

static bool open_here(const struct rc_serve *sv, const struct rc_conn *c)
{
	uint32_t open = sv->config->admin_open_on_loopback;

	if (open == RC_CONFIG_OPEN_NO || !rc_address_is_loopback(listener(sv, port_of(c))) ||
		behind_proxy(sv, c))
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
		if (rc_http_origin_is_ours(sv, r))
			return NULL;
		return "without the admin token, pages of this origin are not answered";
	}
	if (site.ptr && !rc_str_eq(site, RC_STR("same-origin")) && !rc_str_eq(site, RC_STR("none")))
		return "without the admin token, pages of other sites are not answered";
	return NULL;
}

static bool too_many_requests(struct rc_serve *sv, struct rc_http_call *call)
{
	if (call->again || rc_limits_http(sv, call->c))
		return false;
	rc_http_limited(sv, call, 1, "more requests a second than one address may make");
	return true;
}

/* False: answered. Neither a token nor the open port. */
static bool unauthorized(struct rc_serve *sv, struct rc_http_call *call, const char *why)
{
	static const char ask[] = "WWW-Authenticate: Bearer realm=\"ringcast\"\r\n";
	static const char text[] =
		"{\"error\":{\"code\":\"unauthorized\",\"message\":\"the token is missing or wrong\"}}\n";

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

static bool without_token(struct rc_serve *sv, struct rc_http_call *call)
{
	const char *why = NULL;

	if (open_here(sv, call->c)) {
		why = suspicious(sv, call->request);
		if (!why)
			return true;
	} else if (!rc_credential_possible(sv)) {
		why = "there is no admin token: set token_file in [admin]";
	}
	rc_credential_failed(sv, call->c, RC_AUTH_AT_HTTP, false);
	return !too_many_requests(sv, call) && unauthorized(sv, call, why);
}

static uint8_t asked(const struct rc_http_call *call)
{
	uint32_t access = call->route->access;

	if (access < 256 || call->method == RC_HTTP_GET)
		return (uint8_t)access;
	return (uint8_t)(call->method == RC_HTTP_DELETE ? access >> 16 : access >> 8);
}

/* The bearer, or the port, is good for what the route asks. False: answered. */
static bool allowed(struct rc_serve *sv, struct rc_http_call *call)
{
	struct rc_str token;
	int given = bearer(call->request, &token);

	if (given < 0 && call->route == &rc_http_watch && !open_here(sv, call->c) &&
		rc_credential_possible(sv)) {
		call->unproven = true;
		return !too_many_requests(sv, call);
	}
	if (given < 0)
		return without_token(sv, call);
	if (!given) {
		rc_credential_failed(sv, call->c, RC_AUTH_AT_HTTP, true);
		return !too_many_requests(sv, call) && unauthorized(sv, call, NULL);
	}
	switch (rc_credential_token(sv, call->c, RC_AUTH_AT_HTTP, token, &call->grant)) {
	case RC_CREDENTIAL_GOOD:
		break;
	case RC_CREDENTIAL_TOO_MANY:
		rc_count(sv->counters, RC_C_http_unauthorized, 1);
		rc_http_limited(sv, call, rc_limits_retry_s(sv),
			"too many refused tokens came from this address");
		return false;
	default:
		call->grant = NULL;
		return !too_many_requests(sv, call) &&
		       unauthorized(sv, call,
			       rc_credential_possible(sv)
				       ? NULL
				       : "there is no admin token: set token_file in [admin]");
	}
	call->reply.who_len = (uint8_t)RC_MIN(call->grant->name_len, sizeof(call->reply.who));
	memcpy(call->reply.who, call->grant->name, call->reply.who_len);
	if (call->grant->scopes & asked(call))
		return true;
	rc_count(sv->counters, RC_C_http_forbidden, 1);
	rc_http_fail(sv, call, 403, "forbidden", "the token does not allow this");
	return false;
}

/* ---- all together ------------------------------------------------------------------------------- */

static bool needs_token(const struct rc_http_route *route)
{
	return (route->access & ~(uint32_t)RC_HTTP_ANYWHERE) != RC_HTTP_PUBLIC;
}

static bool elsewhere(const struct rc_serve *sv, const struct rc_http_call *call)
{
	return needs_token(call->route) && sv->config->admin_listen.family &&
	       !(call->c->stage & RC_HTTP_ON_ADMIN_PORT);
}

static bool fail(struct rc_serve *sv, struct rc_http_call *call, int status, const char *code,
	const char *message)
{
	rc_count(sv->counters, status == 404 ? RC_C_http_404 : RC_C_http_bad, 1);
	rc_http_fail(sv, call, status, code, message);
	return false;
}

static void note_trace(struct rc_http_call *call)
{
	unsigned char trace[RC_TRACE_BYTES];

	call->reply.traced = rc_trace_parse(rc_http_trace(call->request), trace);
	if (call->reply.traced)
		rc_trace_text(trace, call->reply.trace);
}

bool rc_http_admit(struct rc_serve *sv, struct rc_http_call *call)
{
	const struct rc_http_request *r = call->request;
	bool asks_options = rc_str_eq(r->method, RC_STR("OPTIONS"));
	struct rc_str expect = rc_http_header_get(r, "expect");

	call->route = find(r);
	/* What needs a token is counted when it has none; one that comes again was counted. */
	if ((!call->route || !needs_token(call->route) || asks_options) && !call->again &&
		too_many_requests(sv, call))
		return false;
	if (call->reply.json)
		note_trace(call);
	if (asks_options && rc_str_eq(r->path, RC_STR("*"))) {
		options(sv, call, RC_HTTP_GET | RC_HTTP_POST | RC_HTTP_DELETE);
		return false;
	}
	if (!call->route || elsewhere(sv, call))
		return fail(sv, call, 404, "not_found",
			call->reply.json ? "there is nothing at this path" : "404 Not Found");
	if (asks_options) {
		options(sv, call, call->route->methods);
		return false;
	}
	call->method = rc_http_method_of(r->method);
	call->reply.method = (uint8_t)call->method;
	call->reply.path = call->route->path;
	if (!(call->route->methods & call->method)) {
		not_allowed(sv, call, call->route->methods);
		return false;
	}
	if (call->route->access != RC_HTTP_ANYWHERE && !rc_http_origin_may_ask(sv, call->c, r)) {
		rc_count(sv->counters, RC_C_upgrades_refused_origin, 1);
		rc_http_fail(sv, call, 403, "forbidden", "pages of this origin are not let in");
		return false;
	}
	call->reply.admin = needs_token(call->route);
	if (call->reply.admin && !allowed(sv, call))
		return false;
	call->reply.admitted = call->reply.admin && !call->unproven;
	if (call->reply.admitted)
		rc_limits_admitted(sv, call->c);
	call->reply.publishes = call->reply.admin && asked(call) == RC_HTTP_PUBLISH;
	if (r->minor && expect.ptr &&
		(rc_http_header_count(r, "expect") != 1 ||
			!rc_http_same(expect, RC_STR("100-continue"))))
		return fail(sv, call, 417, "bad_request", "417 Expectation Failed");
	if (r->content_length > (int64_t)rc_http_body_max(sv, &call->reply))
		return fail(sv, call, 413, "too_large", rc_http_body_too_large(&call->reply));
	return true;
}
