/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers, at once or later.
 */
#include "proto/message.h"
#include "serve/accesslog.h"
#include "serve/httpexchange.h"

#include <stdio.h>

static const char plain[] = "text/plain; charset=utf-8";
static const char json[] = "application/json";

/* What every answer to this request says. Room is for the longest that any handler adds. */
static size_t head_text(const struct rc_serve *sv, const struct rc_http_reply *reply,
	char out[RC_HTTP_HEAD_ROOM], int status, const char *headers, const char *type,
	uint64_t content_length)
{
	char extra[RC_HTTP_HEAD_ROOM - 256];
	struct rc_textbuf b = {.ptr = extra, .cap = sizeof(extra) - 1};
	char cors[512];

	if (headers)
		rc_textbuf_add_text(&b, headers);
	rc_textbuf_add(&b, (struct rc_str){cors, rc_http_cors(sv, reply, cors, sizeof(cors))});
	if (reply->admin || reply->said)
		rc_textbuf_add_text(&b, "Cache-Control: no-store\r\n");
	RC_ASSERT(!b.full);
	extra[b.len] = 0;
	size_t len = rc_http_answer_head(
		out, RC_HTTP_HEAD_ROOM, status, extra, type, content_length, reply->close);
	RC_ASSERT(len);
	return len;
}

/* The answer is in `out`, or the connection is dead. */
static void done(struct rc_serve *sv, struct rc_http_call *call, int status)
{
	struct rc_conn *c = call->c;

	if (call->reply.json)
		rc_access_request(sv, call, status);

	if (call->reply.close)
		rc_conn_finish(sv->conns, c);
	if (call->resumed)
		rc_http_answered(sv, c);
}

static bool written(struct rc_serve *sv, struct rc_http_call *call, int status, const char *headers,
	const char *type, struct rc_str body)
{
	char head[RC_HTTP_HEAD_ROOM];
	size_t len = head_text(sv, &call->reply, head, status, headers, type, body.len);
	size_t rest = call->reply.head ? 0 : body.len;
	unsigned char *room;

	if (body.len > RC_HTTP_ANSWER_MAX)
		return false;
	room = rc_conn_reserve(sv->conns, call->c, (uint32_t)(len + rest), RC_HTTP_OUT_MAX);
	if (!room)
		return false;
	memcpy(room, head, len);
	if (rest)
		memcpy(room + len, body.ptr, rest);
	rc_conn_commit(sv->conns, call->c, (uint32_t)(len + rest));
	return true;
}

static void no_room(struct rc_serve *sv, struct rc_http_call *call)
{
	static const char text[] =
		"{\"error\":{\"code\":\"over_capacity\",\"message\":\"no memory for the answer\"}}\n";
	static const char message[] =
		"{\"type\":\"error\",\"code\":\"server_capacity_exceeded\",\"temporary\":true,"
		"\"message\":\"no memory for the answer\"}";
	static const char words[] = "503 Service Unavailable\n";
	const char *said = call->reply.said ? message : call->reply.json ? text : words;

	if (!written(sv, call, 503, "Retry-After: 5\r\n", said == words ? plain : json,
		    rc_str_of(said)))
		rc_conn_kill(sv->conns, call->c);
	done(sv, call, 503);
}

void rc_http_respond(struct rc_serve *sv, struct rc_http_call *call, int status,
	const char *headers, const char *type, struct rc_str body)
{
	if (written(sv, call, status, headers, type, body))
		done(sv, call, status);
	else
		no_room(sv, call);
}

struct rc_textbuf rc_http_begin(struct rc_serve *sv, struct rc_http_call *call, size_t bound)
{
	unsigned char *room = NULL;

	if (bound <= RC_HTTP_ANSWER_MAX)
		room = rc_conn_reserve(
			sv->conns, call->c, (uint32_t)bound + RC_HTTP_HEAD_ROOM, RC_HTTP_OUT_MAX);
	call->room = room != NULL;
	if (!room) {
		no_room(sv, call);
		return (struct rc_textbuf){0};
	}
	return (struct rc_textbuf){.ptr = (char *)room + RC_HTTP_HEAD_ROOM, .cap = bound};
}

void rc_http_end(struct rc_serve *sv, struct rc_http_call *call, int status, const char *headers,
	const char *type, const struct rc_textbuf *body)
{
	char head[RC_HTTP_HEAD_ROOM];
	size_t len, rest = call->reply.head ? 0 : body->len;

	if (!call->room)
		return;
	char *room = body->ptr - RC_HTTP_HEAD_ROOM;
	if (body->full) {
		rc_conn_commit(sv->conns, call->c, 0);
		no_room(sv, call);
		return;
	}
	len = head_text(sv, &call->reply, head, status, headers, type, body->len);
	if (rest)
		memmove(room + len, body->ptr, rest);
	memcpy(room, head, len);
	rc_conn_commit(sv->conns, call->c, (uint32_t)(len + rest));
	done(sv, call, status);
}

void rc_http_fail_said(struct rc_serve *sv, struct rc_http_call *call, int status,
	const char *headers, const char *code, bool temporary, const char *message,
	struct rc_str field)
{
	/* Escaped, a character is six bytes; the message stands there twice. */
	struct rc_textbuf b =
		rc_http_begin(sv, call, 256 + call->id.len + 12 * strlen(message) + 6 * field.len);

	rc_msg_error_field(&b, call->id, code, temporary, rc_str_of(message), field, sv->wall_ms);
	rc_http_end(sv, call, status, headers, json, &b);
}

static void fail_with(struct rc_serve *sv, struct rc_http_call *call, int status,
	const char *headers, const char *code, const char *message)
{
	static const struct rc_str no_field = {NULL, 0};
	char text[512];
	struct rc_textbuf b = {.ptr = text, .cap = sizeof(text)};

	if (call->reply.said) {
		/* The protocol has one word for want of room. */
		if (status == 503)
			code = "server_capacity_exceeded";
		rc_http_fail_said(sv, call, status, headers, code, status == 429 || status == 503,
			message, no_field);
		return;
	}
	if (call->reply.json) {
		rc_textbuf_add_text(&b, "{\"error\":{\"code\":");
		rc_textbuf_add_string(&b, rc_str_of(code));
		rc_textbuf_add_text(&b, ",\"message\":");
		rc_textbuf_add_string(&b, rc_str_of(message));
		rc_textbuf_add_text(&b, "}}\n");
	} else {
		rc_textbuf_add_text(&b, message);
		rc_textbuf_add_text(&b, "\n");
	}
	RC_ASSERT(!b.full);
	rc_http_respond(
		sv, call, status, headers, call->reply.json ? json : plain, rc_textbuf_str(&b));
}

void rc_http_fail(struct rc_serve *sv, struct rc_http_call *call, int status, const char *code,
	const char *message)
{
	fail_with(sv, call, status, status == 503 ? "Retry-After: 5\r\n" : NULL, code, message);
}

void rc_http_limited(
	struct rc_serve *sv, struct rc_http_call *call, uint32_t retry_s, const char *message)
{
	char headers[48];

	(void)snprintf(headers, sizeof(headers), "Retry-After: %u\r\n", retry_s);
	fail_with(sv, call, 429, headers, "rate_limited", message);
}

/* ---- later -------------------------------------------------------------------------------------- */

bool rc_http_later(struct rc_serve *sv, struct rc_http_call *call, struct rc_http_ref *ref)
{
	struct rc_http_exchange *x = rc_pool_get(sv->pool, sizeof(*x));

	if (!x)
		return false;
	memset(x, 0, sizeof(*x));
	x->phase = RC_HTTP_WAITS;
	x->number = ++sv->http_number;
	x->reply = call->reply;
	call->c->ext = x;
	call->c->flags |= RC_CONN_HELD;
	*ref = (struct rc_http_ref){
		rc_conn_slot(sv->conns, call->c), call->c->generation, x->number};
	return true;
}

bool rc_http_resume(struct rc_serve *sv, const struct rc_http_ref *ref, struct rc_http_call *call)
{
	struct rc_conn *c = rc_conn_get(sv->conns, ref->slot, ref->generation);
	const struct rc_http_exchange *x;

	if (!c || !rc_http_alive(c) || !c->ext)
		return false;
	x = c->ext;
	if (x->phase != RC_HTTP_WAITS || x->number != ref->number)
		return false;
	*call = (struct rc_http_call){.c = c, .reply = x->reply, .resumed = true};
	return true;
}

bool rc_http_take_over(struct rc_serve *sv, struct rc_http_call *call, const void *head, size_t len)
{
	if (len && rc_conn_write(sv->conns, call->c, head, (uint32_t)len, RC_HTTP_OUT_MAX)) {
		call->c->stage = 0;
		return true;
	}
	rc_conn_kill(sv->conns, call->c);
	return false;
}
