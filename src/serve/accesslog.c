/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/accesslog.h"

#include "serve/commands.h"
#include "serve/session.h"

static bool wanted(const struct rc_serve *sv)
{
	return strcmp(sv->config->log_access, "none") != 0;
}

static void add_address(struct rc_serve *sv, const struct rc_conn *c, struct rc_logrow *row)
{
	struct rc_netaddr a = rc_session_address(sv, c);
	char text[RC_NETADDR_TEXT];

	rc_logrow_text(row, "address", (struct rc_str){text, rc_netaddr_format(&a, text)});
}

static void add_trace(struct rc_logrow *row, struct rc_str traceparent)
{
	if (traceparent.len == RC_TRACE_TEXT)
		rc_logrow_text(row, "trace",
			(struct rc_str){traceparent.ptr + RC_TRACE_ID_AT, RC_TRACE_ID});
}

/* ---- clients ------------------------------------------------------------------------------------ */

static const char *transport(const struct rc_conn *c)
{
	bool tls = c->flags & (RC_CONN_TLS | RC_CONN_KTLS);

	if (c->kind == RC_CONN_SSE)
		return tls ? "sse+tls" : "sse";
	return tls ? "wss" : "ws";
}

/* Who it is: for every line that speaks of a client. */
static void add_client(struct rc_serve *sv, const struct rc_conn *c, struct rc_logrow *row)
{
	const struct rc_session *s = rc_session_of(sv, c);
	struct rc_str user = rc_session_user(sv, c);
	char session[RC_WS_SESSION_LEN];

	rc_ws_session(sv, c, session);
	rc_logrow_text(row, "session", (struct rc_str){session, sizeof(session)});
	if (user.len)
		rc_logrow_text(row, "user", user);
	if (s && s->trace_len)
		add_trace(row, (struct rc_str){s->trace, s->trace_len});
}

void rc_access_client(struct rc_serve *sv, struct rc_conn *c, uint16_t code, struct rc_str reason)
{
	const struct rc_conn_aside *aside = rc_conn_aside(sv->conns, c);
	struct rc_logrow row;
	char since[RC_ISO8601_LEN];

	if ((c->kind != RC_CONN_WS && c->kind != RC_CONN_SSE) || (c->flags & RC_CONN_LOGGED))
		return;
	c->flags |= RC_CONN_LOGGED;
	rc_client_disconnected(sv, c, code, reason);
	if (!wanted(sv))
		return;
	uint64_t lived_ms = (uint64_t)(sv->conns->tick - aside->opened_tick) * RC_CONN_TICK_MS;
	rc_clock_iso8601(sv->wall_ms - RC_MIN(lived_ms, sv->wall_ms), since);
	rc_logrow_begin(&row, RC_LEVEL_INFO, RC_STR("client"));
	rc_logrow_number(&row, "shard", sv->shard);
	add_address(sv, c, &row);
	add_client(sv, c, &row);
	rc_logrow_text(&row, "transport", rc_str_of(transport(c)));
	rc_logrow_text(&row, "since", (struct rc_str){since, sizeof(since)});
	rc_logrow_number(&row, "seconds", lived_ms / 1000);
	rc_logrow_number(&row, "messages_in", aside->messages_in);
	rc_logrow_number(&row, "events_out", c->events_out);
	if (code)
		rc_logrow_number(&row, "code", code);
	rc_logrow_text(&row, "reason", reason);
	rc_logrow_end(&row, RC_LOG_ACCESS);
}

void rc_access_counted(struct rc_serve *sv, struct rc_conn *c, enum rc_counter counted)
{
	static const char *const names[] = {
#define RC_COUNTER(name, kind, unit, help) #name,
#include "ops/counters_list.h"
	};

	rc_access_client(sv, c, 0, rc_str_of(names[counted]));
}

/* ---- requests ----------------------------------------------------------------------------------- */

static const char *method_name(enum rc_http_method method)
{
	return method == RC_HTTP_POST     ? "POST"
	       : method == RC_HTTP_PUT    ? "PUT"
	       : method == RC_HTTP_DELETE ? "DELETE"
	       : method == RC_HTTP_GET    ? "GET"
					  : "other";
}

static void add_request(const struct rc_http_call *call, int status, struct rc_logrow *row)
{
	const struct rc_http_reply *r = &call->reply;
	const struct rc_http_request *request = call->request;

	rc_logrow_text(row, "method",
		request ? request->method : rc_str_of(method_name((enum rc_http_method)r->method)));
	/* Whose answer came later is known by its route alone. */
	rc_logrow_text(row, "path", request ? request->path : rc_str_of(r->path ? r->path : ""));
	rc_logrow_number(row, "status", (uint64_t)status);
	if (r->who_len)
		rc_logrow_text(
			row, r->said ? "user" : "service", (struct rc_str){r->who, r->who_len});
	add_trace(row, (struct rc_str){r->trace, r->traced ? sizeof(r->trace) : 0});
}

void rc_access_request(struct rc_serve *sv, const struct rc_http_call *call, int status)
{
	struct rc_logrow row;
	bool api = call->reply.json;
	uint8_t method = call->reply.method;

	if (api && wanted(sv)) {
		rc_logrow_begin(&row, RC_LEVEL_INFO, RC_STR("request"));
		rc_logrow_number(&row, "shard", sv->shard);
		add_address(sv, call->c, &row);
		add_request(call, status, &row);
		rc_logrow_end(&row, RC_LOG_ACCESS);
	}
	/* To publish is what /api is for; all else that is no question changes something. */
	if (call->reply.admitted && method && method != RC_HTTP_GET && !(call->reply.publishes) &&
		rc_audit_begin(sv, call->c, &row, RC_STR("request that changes something"))) {
		add_request(call, status, &row);
		rc_logrow_end(&row, RC_LOG_MAIN);
	}
}

/* ---- audit -------------------------------------------------------------------------------------- */

bool rc_audit_begin(
	struct rc_serve *sv, const struct rc_conn *c, struct rc_logrow *row, struct rc_str what)
{
	if (!rc_logline_shown(RC_LEVEL_INFO))
		return false;
	rc_logrow_begin(row, RC_LEVEL_INFO, what);
	rc_logrow_true(row, "audit");
	rc_logrow_number(row, "shard", sv->shard);
	add_address(sv, c, row);
	return true;
}

void rc_audit_failed(struct rc_serve *sv, const struct rc_conn *c, const char *place)
{
	struct rc_logrow row;

	sv->audit.failed++;
	if (sv->wall_ms < sv->audit.next_ms ||
		!rc_audit_begin(sv, c, &row, RC_STR("authentication failed")))
		return;
	rc_logrow_text(&row, "place", rc_str_of(place));
	rc_logrow_number(&row, "tries", sv->audit.failed);
	rc_logrow_end(&row, RC_LOG_MAIN);
	sv->audit.failed = 0;
	sv->audit.next_ms = sv->wall_ms + 1000;
}

void rc_audit_publisher(struct rc_serve *sv, const struct rc_conn *c, struct rc_str service,
	struct rc_str id, const uint32_t counts[3])
{
	static const char *const what[3] = {"broadcasts", "sends", "disconnects"};
	struct rc_logrow row;

	if (!(counts[0] | counts[1] | counts[2]) ||
		!rc_audit_begin(sv, c, &row, RC_STR("publisher reached clients")))
		return;
	if (service.len)
		rc_logrow_text(&row, "service", service);
	if (id.len)
		rc_logrow_text(&row, "publisher", id);
	for (int i = 0; i < 3; i++)
		if (counts[i])
			rc_logrow_number(&row, what[i], counts[i]);
	rc_logrow_end(&row, RC_LOG_MAIN);
}
