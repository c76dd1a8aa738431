/* SPDX-License-Identifier: Apache-2.0
 *
 * What there is, and the small things among it. A new path is a row in the table and a handler in a file of its own.
 */
#include "serve/api.h"
#include "serve/sse.h"

#include "proto/wsupgrade.h"
#include "serve/status.h"

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

static enum rc_http_result root(struct rc_serve *sv, struct rc_http_call *call)
{
	rc_http_respond(sv, call, 200, NULL, plain,
		RC_STR("ringcast " RC_VERSION
		       "\nOpen a WebSocket on /ws, for example /ws?channel=news,\n"
		       "or an event stream on /events?channel=news\n"));
	return RC_HTTP_DONE;
}

/* ---- WebSocket ---------------------------------------------------------------------------------- */

/* ours when the client offers it; none otherwise, which a client that offered only others takes as a refusal. */
static struct rc_str choose_protocol(const struct rc_http_request *r)
{
	uint32_t index = 0;
	struct rc_str line, token;

	while (rc_http_header_next(r, "sec-websocket-protocol", &index, &line)) {
		while (rc_http_list_next(&line, &token)) {
			if (rc_str_eq(token, RC_STR("ringcast.v1.json")))
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

static enum rc_http_result upgrade(struct rc_serve *sv, struct rc_http_call *call, bool echo)
{
	struct rc_ws_upgrade up;
	struct rc_conn *c = call->c;
	char text[512];
	int rc = rc_ws_upgrade_check(call->request, &up);

	if (rc < 0)
		return refuse(sv, call, -rc);
	if (sv->draining || sv->port.sum(sv->port.ctx, RC_C_clients) >= sv->config->max_clients) {
		rc_count(sv->counters, RC_C_upgrades_refused_capacity, 1);
		return refuse(sv, call, 503);
	}
	size_t len =
		rc_ws_upgrade_answer(text, sizeof(text), up.key, choose_protocol(call->request));
	if (!rc_http_take_over(sv, call, text, len))
		return RC_HTTP_TAKEN;
	rc_count(sv->counters, RC_C_upgrades, 1);
	if (echo)
		rc_echo_open(sv, c);
	else
		rc_ws_open(sv, c, call->request->query);
	return RC_HTTP_TAKEN;
}

static enum rc_http_result ws(struct rc_serve *sv, struct rc_http_call *call)
{
	return upgrade(sv, call, false);
}

static enum rc_http_result echo(struct rc_serve *sv, struct rc_http_call *call)
{
	if (sv->config->echo)
		return upgrade(sv, call, true);
	rc_count(sv->counters, RC_C_http_404, 1);
	rc_http_fail(sv, call, 404, "not_found", "404 Not Found");
	return RC_HTTP_DONE;
}

/* ---- the table ---------------------------------------------------------------------------------- */

const struct rc_http_route rc_http_routes[] = {
	{"/ws", RC_HTTP_GET, RC_HTTP_PUBLIC, ws},
	{"/events", RC_HTTP_GET, RC_HTTP_PUBLIC, rc_sse_events},
	{"/echo", RC_HTTP_GET, RC_HTTP_PUBLIC, echo},
	{"/healthz", RC_HTTP_GET, RC_HTTP_PUBLIC, health},
	{"/health", RC_HTTP_GET, RC_HTTP_PUBLIC, health},
	{"/livez", RC_HTTP_GET, RC_HTTP_PUBLIC, health},
	{"/readyz", RC_HTTP_GET, RC_HTTP_PUBLIC, health},
	{"/api/publish", RC_HTTP_POST, RC_HTTP_ADMIN, rc_api_publish},
	{"/api/broadcast", RC_HTTP_POST, RC_HTTP_ADMIN, rc_api_broadcast},
	{"/", RC_HTTP_GET, RC_HTTP_PUBLIC, root},
	{"/metrics", RC_HTTP_GET, RC_HTTP_ADMIN, rc_status_metrics},
	{"/api/status", RC_HTTP_GET, RC_HTTP_ADMIN, rc_status_gateway},
	{"/api/websocket/status", RC_HTTP_GET, RC_HTTP_ADMIN, rc_status_gateway},
	{"/api/laggards", RC_HTTP_GET, RC_HTTP_ADMIN, rc_status_laggards},
	{"/api/channels", RC_HTTP_GET, RC_HTTP_ADMIN, rc_status_channels},
	{"/api/channels/*", RC_HTTP_GET, RC_HTTP_ADMIN, rc_status_channel},
};
const uint32_t rc_http_route_count = RC_ARRAY_LEN(rc_http_routes);
