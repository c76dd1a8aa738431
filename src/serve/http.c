/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection that speaks HTTP: request after request, each answered before the next is begun. What arrives meanwhile waits,
 * bounded, and beyond it nothing is received. An idle connection holds no memory but its slot.
 */
#include "serve/edge.h"
#include "serve/httpexchange.h"
#include "serve/say.h"
#include "serve/session.h"

#include <stdio.h>

/* What may wait behind a request under way: a record of TLS that was opened, a receive buffer. */
#define WAITING_MAX(sv) \
	((sv)->config->request_head_max + (sv)->config->receive_buffer_bytes + 65536u)

/* Connections are not kept when fewer slots than this are free. */
#define SLOTS_SPARED 32u

void rc_http_refuse(struct rc_serve *sv, struct rc_conn *c, int status)
{
	struct rc_http_call call = {.c = c, .reply = {.close = true}};
	char text[64];

	rc_count(sv->counters, RC_C_http_bad, status != 503);
	(void)snprintf(text, sizeof(text), "%d %s", status, rc_http_reason(status));
	rc_http_fail(sv, &call, status, "bad_request", text);
}

void rc_http_wants_tls(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_http_call call = {.c = c, .reply = {.close = true}};

	rc_http_fail(sv, &call, 400, "bad_request",
		"400 Bad Request\nThis port speaks TLS: use https:// or wss://");
}

/* A TLS client on the plain port is told in its own tongue. */
static void wants_plain(struct rc_serve *sv, struct rc_conn *c)
{
	static const unsigned char handshake_failure[] = {0x15, 3, 1, 0, 2, 2, 40};

	rc_count(sv->counters, RC_C_tls_on_plain_port, 1);
	if (rc_conn_write(
		    sv->conns, c, handshake_failure, sizeof(handshake_failure), RC_HTTP_OUT_MAX))
		rc_conn_finish(sv->conns, c);
	else
		rc_conn_kill(sv->conns, c);
}

/* ---- requests ----------------------------------------------------------------------------------- */

enum rc_http_result rc_http_dispatch(struct rc_serve *sv, struct rc_http_call *call)
{
	call->rest = rc_http_rest(call->route, call->request);
	enum rc_http_result result = call->route->handler(sv, call);

	if (result == RC_HTTP_AGAIN) {
		RC_ASSERT(!call->block && !call->body.len);
		call->c->stage |= RC_HTTP_AGAIN_DUE;
		call->c->flags |= RC_CONN_HELD;
	}
	rc_http_put_body(sv, call->block, call->block_size);
	return result;
}

/* Whatever the client wants to speak next: what follows a request that asked for it may be no HTTP. */
static bool wants_upgrade(const struct rc_http_request *r)
{
	return rc_http_header_get(r, "upgrade").ptr != NULL;
}

/* Slots are about to run out: who is answered makes room. */
static bool crowded(const struct rc_serve *sv)
{
	return sv->conns->open + SLOTS_SPARED > sv->conns->count_max;
}

/* A request whose head is whole. Returns the bytes that it used. */
static uint32_t request(struct rc_serve *sv, struct rc_conn *c, const struct rc_http_request *r,
	const unsigned char *bytes, uint32_t len)
{
	uint32_t head = (uint32_t)r->head_len;
	uint64_t said = r->content_length > 0 ? (uint64_t)r->content_length : 0;
	bool here = !r->chunked && said <= len - head;
	bool close = !r->keep_alive || wants_upgrade(r) || sv->draining || crowded(sv);
	bool message =
		rc_str_eq(r->path, RC_STR("/events")) && rc_str_eq(r->method, RC_STR("POST"));
	struct rc_http_call call = {.c = c, .request = r};

	call.again = (c->stage & RC_HTTP_AGAIN_DUE) != 0;
	rc_count(sv->counters, RC_C_http_requests, !call.again);
	c->stage =
		(uint16_t)((c->stage & ~(RC_HTTP_HEAD_TIMED | RC_HTTP_AGAIN_DUE)) | RC_HTTP_SERVED);
	call.reply = (struct rc_http_reply){
		.head = rc_str_eq(r->method, RC_STR("HEAD")),
		/* A refused body that is on the way still, or may never come, is not read. */
		.close = close || !here || rc_http_header_get(r, "expect").ptr,
		.json = message || rc_str_starts(r->path, RC_STR("/api/")),
		.said = message,
	};
	rc_http_origin(sv, r, &call.reply);
	if (!rc_edge_request(sv, c, r)) {
		call.reply.close = true;
		rc_http_fail(
			sv, &call, 503, "over_capacity", "no memory for this request at present");
		return len;
	}
	if (!rc_http_admit(sv, &call)) {
		/* Who it had said it is, it may be somebody else's next request. */
		if (call.again)
			rc_session_forget(sv, c);
		return here ? head + (uint32_t)said : len;
	}
	if (!here && message && !rc_say_expects(sv, &call))
		return len;
	call.reply.close = close;
	if (!here)
		return head + rc_http_body_begin(sv, &call, bytes, bytes + head, len - head);
	call.body = (struct rc_str){(const char *)bytes + head, (size_t)said};
	if (rc_http_dispatch(sv, &call) == RC_HTTP_AGAIN)
		return 0;
	return head + (uint32_t)said;
}

/* As many requests as are whole and may be begun. Returns the bytes that are used. */
static uint32_t advance(
	struct rc_serve *sv, struct rc_conn *c, const unsigned char *bytes, uint32_t len)
{
	uint32_t used = 0;

	while (rc_http_alive(c) && used < len && !(c->flags & RC_CONN_HELD)) {
		struct rc_http_request r;

		if (c->ext) {
			used += rc_http_body_input(sv, c, bytes + used, len - used);
			continue;
		}
		if (c->out_len > RC_HTTP_OUT_HIGH) {
			c->flags |= RC_CONN_HELD;
			break;
		}
		int rc = rc_http_parse(bytes + used, len - used, sv->config->request_head_max, &r);
		if (rc == RC_HTTP_PARTIAL)
			break;
		if (rc < 0)
			rc_http_refuse(sv, c, -rc);
		else
			used += request(sv, c, &r, bytes + used, len - used);
	}
	return used;
}

/* How long it may wait, by what it waits for. */
static void settle(struct rc_serve *sv, struct rc_conn *c)
{
	if (!rc_http_alive(c) || c->ext || (c->stage & RC_HTTP_GOES_ON))
		return;
	if (c->in_len && !(c->flags & RC_CONN_HELD)) {
		/* The first head's time runs since the connection was accepted. */
		if ((c->stage & (RC_HTTP_HEAD_TIMED | RC_HTTP_SERVED)) == RC_HTTP_SERVED)
			rc_conn_timer(sv->conns, c, sv->config->handshake_timeout_ms);
		c->stage |= RC_HTTP_HEAD_TIMED;
	} else if (c->stage & RC_HTTP_SERVED) {
		/* For the next request, or for its answers to be read. */
		rc_conn_timer(sv->conns, c, sv->config->http_idle_timeout_ms);
	}
	if ((c->stage & RC_HTTP_ENDED) && !(c->flags & RC_CONN_HELD))
		rc_conn_finish(sv->conns, c);
}

/* What waits in `in`. It is taken off the connection, whose next protocol may want one of its own. */
static void go_on(struct rc_serve *sv, struct rc_conn *c)
{
	unsigned char *block = c->in;
	uint32_t size = c->in_size, len = c->in_len;

	c->in = NULL;
	c->in_len = c->in_size = 0;
	uint32_t generation = c->generation;
	uint32_t used = len ? advance(sv, c, block, len) : 0;
	if (c->generation == generation && c->state == RC_CONN_OPEN && used < len) {
		if (c->kind == RC_CONN_HTTP) {
			memmove(block, block + used, len - used);
			c->in = block;
			c->in_size = size;
			c->in_len = len - used;
			settle(sv, c);
			return;
		}
		rc_serve_plain(sv, c, block + used, len - used);
	}
	rc_pool_put(sv->pool, block, size);
	if (c->generation == generation)
		settle(sv, c);
}

void rc_http_input(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len)
{
	uint32_t used = 0;

	if (!(c->stage & RC_HTTP_SERVED) && rc_serve_is_tls_hello(c, bytes, len)) {
		wants_plain(sv, c);
		return;
	}
	if (!c->in_len && !(c->flags & RC_CONN_HELD))
		used = advance(sv, c, bytes, len);
	if (c->state != RC_CONN_OPEN)
		return;
	if (c->kind != RC_CONN_HTTP) {
		if (used < len)
			rc_serve_plain(sv, c, bytes + used, len - used);
		return;
	}
	bool waited = c->in_len != 0;
	if (used < len && !rc_conn_keep(sv->conns, c, bytes + used, len - used, WAITING_MAX(sv))) {
		if (c->ext)
			rc_conn_kill(sv->conns, c);
		else
			rc_http_refuse(sv, c, waited ? 431 : 503);
		return;
	}
	if (waited && !(c->flags & RC_CONN_HELD))
		go_on(sv, c);
	else
		settle(sv, c);
}

/* ---- answered later ----------------------------------------------------------------------------- */

static void go_next_turn(struct rc_serve *sv, struct rc_conn *c)
{
	c->stage |= RC_HTTP_GOES_ON;
	c->requests = sv->http_go_first;
	sv->http_go_first = rc_conn_slot(sv->conns, c);
}

void rc_http_answered(struct rc_serve *sv, struct rc_conn *c)
{
	rc_http_exchange_free(sv, c);
	if (rc_http_alive(c))
		go_next_turn(sv, c);
}

void rc_http_again(struct rc_serve *sv, struct rc_conn *c)
{
	if (rc_http_alive(c) && (c->stage & RC_HTTP_AGAIN_DUE) && !(c->stage & RC_HTTP_GOES_ON))
		go_next_turn(sv, c);
}

static void release(struct rc_serve *sv, struct rc_conn *c)
{
	c->flags &= (uint16_t)~RC_CONN_HELD;
	go_on(sv, c);
	if (c->state == RC_CONN_OPEN && !(c->stage & RC_HTTP_ENDED))
		rc_serve_arm(sv, c);
}

void rc_http_turn(struct rc_serve *sv)
{
	while (sv->http_go_first != RC_NONE) {
		struct rc_conn *c = &sv->conns->at[sv->http_go_first];

		sv->http_go_first = c->requests;
		c->requests = RC_NONE;
		c->stage &= (uint16_t)~RC_HTTP_GOES_ON;
		release(sv, c);
	}
}

void rc_http_drained(struct rc_serve *sv, struct rc_conn *c)
{
	if (rc_http_alive(c) && !c->ext && !(c->stage & (RC_HTTP_GOES_ON | RC_HTTP_AGAIN_DUE)) &&
		(c->flags & RC_CONN_HELD))
		release(sv, c);
}

/* ---- the end ------------------------------------------------------------------------------------ */

void rc_http_gone(struct rc_serve *sv, struct rc_conn *c)
{
	if (c->stage & RC_HTTP_GOES_ON) {
		uint32_t *link = &sv->http_go_first;

		while (*link != rc_conn_slot(sv->conns, c))
			link = &sv->conns->at[*link].requests;
		*link = c->requests;
	}
	rc_http_exchange_free(sv, c);
}

void rc_http_ended(struct rc_serve *sv, struct rc_conn *c)
{
	const struct rc_http_exchange *x = c->ext;

	c->stage |= RC_HTTP_ENDED;
	if ((x && x->phase == RC_HTTP_WAITS) || (c->flags & RC_CONN_HELD))
		return;
	if (x || (c->out_len == 0 && !(c->flags & (RC_CONN_SENDING | RC_CONN_REST))))
		rc_conn_kill(sv->conns, c);
	else
		rc_conn_finish(sv->conns, c);
}

void rc_http_bye(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_http_exchange *x = c->ext;

	if (x)
		x->reply.close = true;
	else
		rc_conn_finish(sv->conns, c);
}

/* It does not read its answers. */
static bool stuck(const struct rc_serve *sv, const struct rc_conn *c)
{
	return (c->flags & RC_CONN_BLOCKED) &&
	       (sv->conns->tick - c->blocked_tick) * RC_CONN_TICK_MS >=
		       sv->config->http_idle_timeout_ms;
}

void rc_http_timer(struct rc_serve *sv, struct rc_conn *c)
{
	const struct rc_http_exchange *x = c->ext;

	if (c->state != RC_CONN_OPEN || stuck(sv, c)) {
		rc_conn_kill(sv->conns, c);
		return;
	}
	if (x && x->phase == RC_HTTP_WAITS)
		return;
	if (!x && (c->out_len || (c->flags & RC_CONN_HELD))) {
		rc_conn_timer(sv->conns, c, sv->config->http_idle_timeout_ms);
		return;
	}
	if (!x && !c->in_len && (c->stage & RC_HTTP_SERVED)) {
		rc_conn_finish(sv->conns, c);
		return;
	}
	rc_count(sv->counters, RC_C_close_handshake_timeout, 1);
	if (!x && !c->in_len) {
		/* It never said a word: nobody waits for an answer. */
		rc_conn_finish(sv->conns, c);
		return;
	}
	rc_http_exchange_free(sv, c);
	rc_http_refuse(sv, c, 408);
}
