/* SPDX-License-Identifier: Apache-2.0
 *
 * The request with which every client begins. It is read strictly, answered, and either becomes a WebSocket or ends.
 */
#include "serve/serve.h"

#include <stdio.h>

#include "proto/http1.h"
#include "proto/message.h"
#include "proto/websocket.h"
#include "proto/wsupgrade.h"

#define ANSWER_MAX 1024u

static void answer(struct rc_serve *sv, struct rc_conn *c, int status, const char *headers,
	const char *body, bool head_only)
{
	char text[ANSWER_MAX];
	struct rc_str b = rc_str_of(body);
	size_t len = rc_http_answer(
		text, sizeof(text), status, headers, "text/plain; charset=utf-8", b, true);

	if (head_only)
		len -= b.len;
	if (len == 0 || !rc_conn_write(sv->conns, c, text, (uint32_t)len, ANSWER_MAX * 2))
		rc_conn_kill(sv->conns, c);
	else
		rc_conn_finish(sv->conns, c);
}

static void refuse(struct rc_serve *sv, struct rc_conn *c, int status)
{
	char body[96];
	const char *headers = status == 426 ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
			      : status == 405 ? "Allow: GET, HEAD\r\n"
			      : status == 503 ? "Retry-After: 5\r\n"
					      : NULL;

	rc_count(sv->counters, status == 404 ? RC_C_http_404 : RC_C_http_bad, status != 503);
	(void)snprintf(body, sizeof(body), "%d %s\n", status, rc_http_reason(status));
	answer(sv, c, status, headers, body, false);
}

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

static void upgrade(
	struct rc_serve *sv, struct rc_conn *c, const struct rc_http_request *r, bool echo)
{
	struct rc_ws_upgrade up;
	char text[512];
	int rc = rc_ws_upgrade_check(r, &up);

	if (rc < 0) {
		refuse(sv, c, -rc);
		return;
	}
	if (sv->draining || sv->port.sum(sv->port.ctx, RC_C_clients) >= sv->config->max_clients) {
		rc_count(sv->counters, RC_C_upgrades_refused_capacity, 1);
		refuse(sv, c, 503);
		return;
	}
	size_t len = rc_ws_upgrade_answer(text, sizeof(text), up.key, choose_protocol(r));
	if (len == 0 || !rc_conn_write(sv->conns, c, text, (uint32_t)len, ANSWER_MAX)) {
		rc_conn_kill(sv->conns, c);
		return;
	}
	rc_count(sv->counters, RC_C_upgrades, 1);
	if (echo)
		rc_echo_open(sv, c);
	else
		rc_ws_open(sv, c, r->query);
}

static void respond(struct rc_serve *sv, struct rc_conn *c, const struct rc_http_request *r)
{
	bool head = rc_str_eq(r->method, RC_STR("HEAD"));
	bool get = head || rc_str_eq(r->method, RC_STR("GET"));

	rc_count(sv->counters, RC_C_http_requests, 1);
	if (rc_str_eq(r->path, RC_STR("/ws"))) {
		upgrade(sv, c, r, false);
	} else if (rc_str_eq(r->path, RC_STR("/echo")) && sv->config->echo) {
		upgrade(sv, c, r, true);
	} else if (rc_str_eq(r->path, RC_STR("/healthz")) ||
		   rc_str_eq(r->path, RC_STR("/health")) || rc_str_eq(r->path, RC_STR("/livez")) ||
		   rc_str_eq(r->path, RC_STR("/readyz"))) {
		if (!get)
			refuse(sv, c, 405);
		else if (sv->draining && rc_str_eq(r->path, RC_STR("/readyz")))
			refuse(sv, c, 503);
		else
			answer(sv, c, 200, "Cache-Control: no-store\r\n", "ok\n", head);
	} else if (rc_str_eq(r->path, RC_STR("/"))) {
		if (!get)
			refuse(sv, c, 405);
		else
			answer(sv, c, 200, NULL,
				"ringcast " RC_VERSION
				"\nOpen a WebSocket on /ws, for example /ws?channel=news\n",
				head);
	} else {
		refuse(sv, c, 404);
	}
}

void rc_http_wants_tls(struct rc_serve *sv, struct rc_conn *c)
{
	answer(sv, c, 400, NULL, "400 Bad Request\nThis port speaks TLS: use https:// or wss://\n",
		false);
}

/* A TLS client on the plain port is told in its own tongue. */
static void wants_plain(struct rc_serve *sv, struct rc_conn *c)
{
	static const unsigned char handshake_failure[] = {0x15, 3, 1, 0, 2, 2, 40};

	rc_count(sv->counters, RC_C_tls_on_plain_port, 1);
	if (rc_conn_write(sv->conns, c, handshake_failure, sizeof(handshake_failure), ANSWER_MAX))
		rc_conn_finish(sv->conns, c);
	else
		rc_conn_kill(sv->conns, c);
}

void rc_http_input(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len)
{
	uint32_t limit = sv->config->request_head_max + sv->config->receive_buffer_bytes;
	struct rc_http_request r;
	unsigned char *all = bytes;
	uint32_t all_len = len;

	if (rc_serve_is_tls_hello(c, bytes, len)) {
		wants_plain(sv, c);
		return;
	}
	if (c->in_len) {
		if (!rc_conn_keep(sv->conns, c, bytes, len, limit)) {
			refuse(sv, c, 431);
			return;
		}
		all = c->in;
		all_len = c->in_len;
	}
	int rc = rc_http_parse(all, all_len, sv->config->request_head_max, &r);
	if (rc == RC_HTTP_PARTIAL) {
		if (!c->in_len && !rc_conn_keep(sv->conns, c, bytes, len, limit))
			refuse(sv, c, 503);
		return;
	}
	if (rc < 0) {
		refuse(sv, c, -rc);
		return;
	}
	/* What follows the request belongs to the WebSocket. It outlives `in`, which the new protocol may want itself. */
	unsigned char *kept = c->in;
	uint32_t kept_size = c->in_size;
	c->in = NULL;
	c->in_len = c->in_size = 0;
	uint32_t generation = c->generation;
	respond(sv, c, &r);
	if (c->generation == generation && c->state == RC_CONN_OPEN && c->kind != RC_CONN_HTTP &&
		all_len > r.head_len)
		rc_serve_plain(sv, c, all + r.head_len, all_len - (uint32_t)r.head_len);
	rc_pool_put(sv->pool, kept, kept_size);
}

void rc_http_timer(struct rc_serve *sv, struct rc_conn *c)
{
	if (c->state != RC_CONN_OPEN) {
		rc_conn_kill(sv->conns, c);
		return;
	}
	rc_count(sv->counters, RC_C_close_handshake_timeout, 1);
	if (c->in_len == 0) {
		/* It never said a word: nobody waits for an answer. */
		rc_conn_finish(sv->conns, c);
		return;
	}
	answer(sv, c, 408, NULL, "408 Request Timeout\n", false);
}
