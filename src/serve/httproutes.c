/* SPDX-License-Identifier: Apache-2.0
 *
 * What there is, and the small things among it. A new path is a row in the table and a handler in a file of its own.
 */
#include "serve/apiuser.h"
#include "serve/limits.h"
#include "serve/say.h"
#include "serve/sse.h"

#include "proto/wsdeflate.h"
#include "proto/wsupgrade.h"
#include "serve/session.h"
#include "serve/credentials.h"
#include "serve/status.h"
#include "serve/web.h"

static const char plain[] = "text/plain; charset=utf-8";

bool rc_http_accepts(const struct rc_http_request *r, const char *type)
{
	uint32_t index = 0;
	struct rc_str line, element;

	while (rc_http_header_next(r, "accept", &index, &line)) {
		while (rc_http_list_next(&line, &element)) {
			const char *end = memchr(element.ptr, ';', element.len);
			if (end)
				element.len = (size_t)(end - element.ptr);
			while (element.len && (element.ptr[element.len - 1] == ' ' ||
						      element.ptr[element.len - 1] == '\t'))
				element.len--;
			if (rc_http_same(element, rc_str_of(type)))
				return true;
		}
	}
	return false;
}

struct rc_str rc_http_trace(const struct rc_http_request *r)
{
	if (rc_http_header_count(r, "traceparent") != 1)
		return (struct rc_str){NULL, 0};
	return rc_http_header_get(r, "traceparent");
}

/* ---- health ------------------------------------------------------------------------------------- */

static enum rc_http_result health(struct rc_serve *sv, struct rc_http_call *call)
{
	bool json = rc_http_accepts(call->request, "application/json");
	bool ready = !rc_str_eq(call->request->path, RC_STR("/readyz"));
	const char *type = json ? "application/json" : plain;

	if (!sv->draining || ready)
		rc_http_respond(sv, call, 200, "Cache-Control: no-store\r\n", type,
			json ? RC_STR("{\"status\":\"ok\"}\n") : RC_STR("ok\n"));
	else
		rc_http_respond(sv, call, 503, "Cache-Control: no-store\r\nRetry-After: 5\r\n",
			type,
			json ? RC_STR("{\"status\":\"draining\"}\n")
			     : RC_STR("503 Service Unavailable\n"));
	return RC_HTTP_DONE;
}

/* ---- WebSocket ---------------------------------------------------------------------------------- */

/* The first that we speak of those that the client offers; none otherwise, which one that offered only others takes as a refusal. */
static struct rc_str choose_protocol(const struct rc_http_request *r, bool echo, bool *binary)
{
	uint32_t index = 0;
	struct rc_str line, token;

	while (rc_http_header_next(r, "sec-websocket-protocol", &index, &line)) {
		while (rc_http_list_next(&line, &token)) {
			*binary = !echo && rc_str_eq(token, RC_STR("ringcast.v1.bin"));
			if (*binary || rc_str_eq(token, RC_STR("ringcast.v1.json")))
				return token;
		}
	}
	return (struct rc_str){NULL, 0};
}

static enum rc_http_result refuse(struct rc_serve *sv, struct rc_http_call *call, int status)
{
	const char *headers = status == 426 ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
			      : status == 405 ? "Allow: GET, OPTIONS\r\n"
			      : status == 503 ? "Retry-After: 5\r\n"
					      : NULL;
	struct rc_str body = status == 426   ? RC_STR("426 Upgrade Required\n")
			     : status == 405 ? RC_STR("405 Method Not Allowed\n")
			     : status == 503 ? RC_STR("503 Service Unavailable\n")
					     : RC_STR("400 Bad Request\n");

	rc_count(sv->counters, RC_C_http_bad, status != 503);
	/* What comes behind it is frames, if the client did not wait for the answer. */
	call->reply.close = true;
	rc_http_respond(sv, call, status, headers, plain, body);
	return RC_HTTP_DONE;
}

/* What can be agreed on. False: the header breaks its grammar, for which RFC 6455 (9.1) wants the connection to fail. */
static bool extensions(
	struct rc_serve *sv, const struct rc_http_request *r, struct rc_ws_deflate *out)
{
	struct rc_ws_deflate offered;
	struct rc_str line;
	uint32_t index = 0;
	bool declined = false;

	*out = (struct rc_ws_deflate){0};
	/* A gateway that has no extension does not look. */
	while (sv->inflater && rc_http_header_next(r, "Sec-WebSocket-Extensions", &index, &line)) {
		switch (rc_ws_deflate_offer(line, &offered)) {
		case RC_WS_OFFER_BAD:
			rc_count(sv->counters, RC_C_upgrades_extensions_bad, 1);
			return false;
		case RC_WS_OFFER_TAKEN:
			if (out->window_bits == 0)
				*out = offered;
			break;
		case RC_WS_OFFER_DECLINED:
			declined = true;
			break;
		case RC_WS_OFFER_NONE:
			break;
		}
	}
	rc_count(sv->counters, RC_C_upgrades_deflate_declined, declined && out->window_bits == 0);
	return true;
}

enum spoken { CLIENT, WATCHER, ECHO };

/* So many who look get in although max_clients are connected: why it is full is what they want to see. Tables of connections have room
 * for more than that beyond max_clients (CONNS_SLACK of shard/gateway.c). */
#define WATCHERS_BEYOND 4u

static bool has_room(struct rc_serve *sv, enum spoken spoken)
{
	uint64_t most = sv->config->max_clients + (spoken == WATCHER ? WATCHERS_BEYOND : 0);

	return !sv->draining && sv->port.sum(sv->port.ctx, RC_C_clients) < most;
}

static enum rc_http_result upgrade(
	struct rc_serve *sv, struct rc_http_call *call, enum spoken spoken)
{
	bool echo = spoken == ECHO;
	struct rc_ws_upgrade up;
	struct rc_conn *c = call->c;
	struct rc_str token = {NULL, 0};
	char text[512], buf[RC_CREDENTIALS_MAX], agreed_text[RC_WS_DEFLATE_ANSWER_MAX];
	bool binary = false;
	struct rc_str agreed = {agreed_text, 0};
	struct rc_ws_deflate deflate = {0};
	int given, rc = rc_ws_upgrade_check(call->request, &up);

	if (rc < 0)
		return refuse(sv, call, -rc);
	/* Whoever asked before on this connection: a proxy may have brought another. */
	rc_session_forget(sv, c);
	if (!has_room(sv, spoken)) {
		rc_count(sv->counters, RC_C_upgrades_refused_capacity, 1);
		return refuse(sv, call, 503);
	}
	if (!rc_limits_client(sv, c)) {
		call->reply.close = true;
		rc_http_limited(sv, call, 5, "this address has as many connections as it may have");
		return RC_HTTP_DONE;
	}
	if (!echo && !extensions(sv, call->request, &deflate))
		return refuse(sv, call, 400);
	if (deflate.window_bits)
		agreed.len = rc_ws_deflate_answer(&deflate, agreed_text);
	given = spoken == CLIENT ? rc_credentials(sv->config, call->request, buf, &token) : 0;
	struct rc_str protocol = choose_protocol(call->request, echo, &binary);
	size_t len = rc_ws_upgrade_accept(text, sizeof(text), up.key, protocol, agreed);
	if (!rc_http_take_over(sv, call, text, len))
		return RC_HTTP_TAKEN;
	rc_session_trace(sv, c, rc_http_trace(call->request));
	rc_count(sv->counters, RC_C_upgrades, 1);
	if (binary)
		c->stage |= RC_WS_BIN;
	if (echo)
		rc_echo_open(sv, c);
	else if (spoken == WATCHER)
		rc_ws_watch(sv, c, call->request->query, call->unproven, call->grant, &deflate);
	else
		rc_ws_open(sv, c, call->request->query, given, token, &deflate);
	return RC_HTTP_TAKEN;
}

static enum rc_http_result ws(struct rc_serve *sv, struct rc_http_call *call)
{
	return upgrade(sv, call, CLIENT);
}

/* The only scope that there is for it; another is a mistake, and no client like all others. */
static bool is_read(struct rc_str query)
{
	struct rc_str key, value;
	uint32_t read = 0, scopes = 0;

	while (rc_http_query_next(&query, &key, &value)) {
		scopes += rc_str_eq(key, RC_STR("scope"));
		read += rc_str_eq(key, RC_STR("scope")) && rc_str_eq(value, RC_STR("read"));
	}
	return read == 1 && scopes == 1;
}

static enum rc_http_result watch(struct rc_serve *sv, struct rc_http_call *call)
{
	if (!is_read(call->request->query))
		return refuse(sv, call, 400);
	return upgrade(sv, call, WATCHER);
}

/* To hear, and to say something to those who do. */
static enum rc_http_result events(struct rc_serve *sv, struct rc_http_call *call)
{
	return call->method == RC_HTTP_POST ? rc_say_http(sv, call) : rc_sse_events(sv, call);
}

static enum rc_http_result echo(struct rc_serve *sv, struct rc_http_call *call)
{
	if (sv->config->echo)
		return upgrade(sv, call, ECHO);
	rc_count(sv->counters, RC_C_http_404, 1);
	rc_http_fail(sv, call, 404, "not_found", "404 Not Found");
	return RC_HTTP_DONE;
}

/* ---- the table ---------------------------------------------------------------------------------- */

/* To look at somebody, to send him something, to end him. */
#define PEOPLE RC_HTTP_BY_METHOD(RC_HTTP_READ, RC_HTTP_SEND, RC_HTTP_DISCONNECT)

const struct rc_http_route rc_http_routes[] = {
	{"/ws", RC_HTTP_GET, RC_HTTP_PUBLIC, ws},
	{"/events", RC_HTTP_GET | RC_HTTP_POST, RC_HTTP_PUBLIC, events},
	{"/echo", RC_HTTP_GET, RC_HTTP_PUBLIC, echo},
	{"/healthz", RC_HTTP_GET, RC_HTTP_ANYWHERE, health},
	{"/health", RC_HTTP_GET, RC_HTTP_ANYWHERE, health},
	{"/livez", RC_HTTP_GET, RC_HTTP_ANYWHERE, health},
	{"/readyz", RC_HTTP_GET, RC_HTTP_ANYWHERE, health},
	{"/api/publish", RC_HTTP_POST, RC_HTTP_PUBLISH, rc_api_publish},
	{"/api/broadcast", RC_HTTP_POST, RC_HTTP_BROADCAST, rc_api_broadcast},
	{"/api/users", RC_HTTP_GET, RC_HTTP_READ, rc_user_list},
	{"/api/users/*", RC_HTTP_GET | RC_HTTP_POST | RC_HTTP_DELETE, PEOPLE, rc_user_one},
	{"/api/sessions/*", RC_HTTP_GET | RC_HTTP_POST | RC_HTTP_DELETE, PEOPLE, rc_user_session},
	{"/", RC_HTTP_GET, RC_HTTP_ANYWHERE, rc_web_root},
	{"/ringcast.js", RC_HTTP_GET, RC_HTTP_ANYWHERE, rc_web_asset},
	{"/ringcast.classic.js", RC_HTTP_GET, RC_HTTP_ANYWHERE, rc_web_asset},
	{"/ringcast-react.js", RC_HTTP_GET, RC_HTTP_ANYWHERE, rc_web_asset},
	{"/ringcast.d.ts", RC_HTTP_GET, RC_HTTP_ANYWHERE, rc_web_asset},
	{"/metrics", RC_HTTP_GET, RC_HTTP_READ, rc_status_metrics},
	{"/api/status", RC_HTTP_GET, RC_HTTP_READ, rc_status_gateway},
	{"/api/websocket/status", RC_HTTP_GET, RC_HTTP_READ, rc_status_gateway},
	{"/api/laggards", RC_HTTP_GET, RC_HTTP_READ, rc_status_laggards},
	{"/api/channels", RC_HTTP_GET, RC_HTTP_READ, rc_status_channels},
	{"/api/channels/*", RC_HTTP_GET, RC_HTTP_READ, rc_status_channel},
};
const uint32_t rc_http_route_count = RC_ARRAY_LEN(rc_http_routes);
const struct rc_http_route rc_http_watch = {"/ws", RC_HTTP_GET, RC_HTTP_READ, watch};
