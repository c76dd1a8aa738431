/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the HTTP server share. An exchange is a request that can't be answered in the moment it arrives: its body is
 * on the way, or a handler answers later. It hangs on the connection (ext), which has one at most:
 *
 *   head ──▶ answered at once                                        no exchange
 *     ├────▶ BODY ──▶ whole, the handler answers at once             gone before the handler is called
 *     └──────────────▶ LATER ──▶ answered ──▶ next request           input waits in `in`, and is read no more
 */
#ifndef RC_SERVE_HTTPEXCHANGE_H
#define RC_SERVE_HTTPEXCHANGE_H

#include "proto/chunked.h"
#include "serve/http.h"

/* Unread answers above which no request is begun. */
#define RC_HTTP_OUT_HIGH 65536u
/* Room for the head of an answer. */
#define RC_HTTP_HEAD_ROOM 1536u
#define RC_HTTP_OUT_MAX   (RC_HTTP_OUT_HIGH + RC_HTTP_ANSWER_MAX + 2 * RC_HTTP_HEAD_ROOM)

enum rc_http_phase { RC_HTTP_BODY, RC_HTTP_WAITS };

struct rc_http_exchange {
	uint32_t number;
	uint8_t phase;
	struct rc_http_reply reply;
	/* BODY */
	bool is_chunked;
	const struct rc_http_route *route;
	unsigned char *head; /* a copy: it is read again when the body is there */
	uint32_t head_len;
	uint32_t body_len, body_size;
	unsigned char *body;
	struct rc_grant *grant; /* a copy; NULL: everything is allowed */
	uint64_t left;          /* of a body whose length was said */
	struct rc_chunked chunked;
};

static inline bool rc_http_alive(const struct rc_conn *c)
{
	return c->kind == RC_CONN_HTTP && c->state == RC_CONN_OPEN;
}

/* The longest body that is read for it. */
static inline uint32_t rc_http_body_max(
	const struct rc_serve *sv, const struct rc_http_reply *reply)
{
	uint32_t most = sv->config->http_body_max;

	return reply->said ? RC_MIN(most, sv->config->client_message_max) : most;
}

static inline const char *rc_http_body_too_large(const struct rc_http_reply *reply)
{
	return reply->said
		       ? "the message is larger than client_message_max, or than [http] body_max"
		       : "the body is larger than [http] body_max";
}

static inline struct rc_str rc_http_rest(
	const struct rc_http_route *route, const struct rc_http_request *r)
{
	size_t len = strlen(route->path);

	if (len == 0 || route->path[len - 1] != '*')
		return (struct rc_str){NULL, 0};
	return (struct rc_str){r->path.ptr + len - 1, r->path.len - (len - 1)};
}

/* httpadmit.c: whether the request may go to its route's handler, as far as its head tells. False: it is answered. */
bool rc_http_admit(struct rc_serve *sv, struct rc_http_call *call);
/* httporigin.c */
/* For CORS: which of the listed origins the request comes from, if any. */
void rc_http_origin(
	const struct rc_serve *sv, const struct rc_http_request *r, struct rc_http_reply *reply);
/* The one Origin is that of this host and port, or is listed, and not by the star alone. */
bool rc_http_origin_is_ours(const struct rc_serve *sv, const struct rc_http_request *r);
/* No page asks, or one that may; or origins are not checked. */
bool rc_http_origin_may_ask(
	const struct rc_serve *sv, const struct rc_conn *c, const struct rc_http_request *r);

enum rc_http_method rc_http_method_of(struct rc_str name);

/* httpbody.c */
/* The head is read, the body is not there. Returns what was used of its bytes. */
uint32_t rc_http_body_begin(struct rc_serve *sv, struct rc_http_call *call, const void *head,
	const unsigned char *bytes, uint32_t len);
uint32_t rc_http_body_input(
	struct rc_serve *sv, struct rc_conn *c, const unsigned char *bytes, uint32_t len);
void rc_http_exchange_free(struct rc_serve *sv, struct rc_conn *c);

/* http.c */
enum rc_http_result rc_http_dispatch(struct rc_serve *sv, struct rc_http_call *call);
/* The answer to what was read later is written. */
void rc_http_answered(struct rc_serve *sv, struct rc_conn *c);
/* What can't be read: answered, and the connection ends. */
void rc_http_refuse(struct rc_serve *sv, struct rc_conn *c, int status);

#endif
