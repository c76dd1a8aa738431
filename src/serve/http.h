/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP/1.1 server as its handlers see it. The table of routes is in httproutes.c: a path, what may be done to it, by whom, and
 * the handler. What a request must be before a handler sees it (its framing, its method, the token, where it comes from) is
 * decided by then, and its body is there as a whole.
 *
 * A handler answers in one of these ways:
 *
 *   RC_HTTP_DONE    it has called rc_http_respond, or rc_http_begin and rc_http_end, exactly once
 *   RC_HTTP_LATER   it has called rc_http_later; whoever has the reference answers after rc_http_resume. Until then the
 *                   connection's next request is not begun, and nothing more is read from it
 *   RC_HTTP_AGAIN   nothing was done: the connection has to learn first who asks. After rc_http_again the same request comes again. Only
 *                   for requests without a body
 *   RC_HTTP_TAKEN   the connection speaks something else now (another kind, or it is on its way out): the server looks at
 *                   it no more. What came behind the request is given to the new protocol's input
 *
 * Everything in a call is borrowed, and valid only until the handler returns. One thread.
 */
#ifndef RC_SERVE_HTTP_H
#define RC_SERVE_HTTP_H

#include "auth/service.h"
#include "proto/http1.h"
#include "proto/textbuf.h"
#include "proto/trace.h"
#include "serve/serve.h"

/* The longest body of an answer. */
#define RC_HTTP_ANSWER_MAX (1u << 20)

enum rc_http_result { RC_HTTP_DONE, RC_HTTP_LATER, RC_HTTP_TAKEN, RC_HTTP_AGAIN };

/* HEAD comes with GET, OPTIONS is answered for every route; neither is named. */
enum rc_http_method { RC_HTTP_GET = 1, RC_HTTP_POST = 2, RC_HTTP_PUT = 4, RC_HTTP_DELETE = 8 };

/*
 * The scope that a route asks of the bearer's token, or none. Who may do everything: the admin token, and whoever asks at the open
 * loopback. All but PUBLIC is 404 on other listeners when there is one for it.
 */
enum rc_http_access {
	RC_HTTP_PUBLIC = 0,
	RC_HTTP_PUBLISH = RC_SCOPE_PUBLISH,
	RC_HTTP_SEND = RC_SCOPE_SEND,
	RC_HTTP_DISCONNECT = RC_SCOPE_DISCONNECT,
	RC_HTTP_BROADCAST = RC_SCOPE_BROADCAST,
	RC_HTTP_READ = RC_SCOPE_READ,
	RC_HTTP_ADMIN = RC_SCOPE_ADMIN,
	RC_HTTP_ANYWHERE =
		128, /* public, and for pages of any origin, also where origins are checked */
};
/* Where GET, DELETE and the other methods ask for different scopes. */
#define RC_HTTP_BY_METHOD(get, others, remove) \
	((uint32_t)(get) | (uint32_t)(others) << 8 | (uint32_t)(remove) << 16)

struct rc_http_call;
typedef enum rc_http_result (*rc_http_handler)(struct rc_serve *sv, struct rc_http_call *call);

struct rc_http_route {
	const char *path; /* as it is, or everything below it: "/api/channels/" followed by '*' */
	uint8_t methods;
	uint32_t access; /* enum rc_http_access, or several by RC_HTTP_BY_METHOD */
	rc_http_handler handler;
};

/* In httproutes.c; the first that fits is taken. Paths below /api/ answer errors in JSON, POST /events in messages. */
extern const struct rc_http_route rc_http_routes[];
extern const uint32_t rc_http_route_count;
/* /ws?scope=read: the route of who looks. It alone may be `unproven`: browsers can't send a bearer with an upgrade. */
extern const struct rc_http_route rc_http_watch;

/* Names an exchange that is answered later. */
struct rc_http_ref {
	uint32_t slot, generation, number;
};

/* What the answer needs to know of its request. */
struct rc_http_reply {
	struct rc_str
		origin; /* for Access-Control-Allow-Origin, its * to be filled in; empty = not allowed, or not asked */
	char part[63]; /* that a * in front of the name stands for */
	uint8_t part_len;
	bool head;  /* the body is reckoned and not sent */
	bool close; /* the connection ends behind the answer */
	bool json;  /* errors are JSON */
	bool said;  /* it is POST /events: they are messages of the protocol, and bodies are */
	bool admin; /* neither kept in caches nor shown to others */
	/* for the log */
	bool admitted, publishes, traced;
	uint8_t method, who_len;
	const char *path;              /* of its route; NULL: there is none */
	char who[RC_SERVICE_NAME_MAX]; /* the service, or the user; cut where that is a longer name */
	char trace[RC_TRACE_TEXT];
};

struct rc_http_call {
	struct rc_conn *c;
	const struct rc_http_request *request; /* NULL after rc_http_resume */
	const struct rc_http_route *route;     /* NULL after rc_http_resume */
	const struct rc_grant *grant; /* whom the token names; NULL: everything is allowed */
	struct rc_str body;
	struct rc_str rest; /* of the path, where the route ends in '*'; still escaped */
	enum rc_http_method method;
	bool again; /* it was put by before, and now it is known who asks */
	struct rc_str
		id; /* of the message that a POST /events brought, for an error; empty: none */
	bool unproven; /* it may be answered, but for what needs a scope: who asks says later who it is */
	struct rc_http_reply reply;
	/* the server's own */
	unsigned char *block; /* that holds the body, if it is one of the pool */
	uint32_t block_size;
	bool resumed;
	bool room; /* rc_http_begin found some */
};

/*
 * The answer. headers: "Name: value\r\n"... or NULL; type: NULL for none. Content-Length, Connection and the headers of CORS are
 * added. A body that is too long, or finds no memory, becomes a 503.
 */
void rc_http_respond(struct rc_serve *sv, struct rc_http_call *call, int status,
	const char *headers, const char *type, struct rc_str body);
/*
 * The body is written in place: begin gives a buffer of `bound` bytes. No room: 503 is answered, ptr is NULL, cap 0, and
 * what is written into it goes nowhere; end then does nothing.
 */
struct rc_textbuf rc_http_begin(struct rc_serve *sv, struct rc_http_call *call, size_t bound);
/* A buffer that is `full` becomes a 503. */
void rc_http_end(struct rc_serve *sv, struct rc_http_call *call, int status, const char *headers,
	const char *type, const struct rc_textbuf *body);
/* {"error":{"code":"…","message":"…"}} where reply.json says so, a message where reply.said does, else the text alone. */
void rc_http_fail(struct rc_serve *sv, struct rc_http_call *call, int status, const char *code,
	const char *message);
/* The error that a WebSocket would have got. field: a JSON Pointer; without an address there is none. */
void rc_http_fail_said(struct rc_serve *sv, struct rc_http_call *call, int status,
	const char *headers, const char *code, bool temporary, const char *message,
	struct rc_str field);
/* 429 `rate_limited`, to be tried again after so many seconds. */
void rc_http_limited(
	struct rc_serve *sv, struct rc_http_call *call, uint32_t retry_s, const char *message);

/* False: no memory, and nothing is answered. */
bool rc_http_later(struct rc_serve *sv, struct rc_http_call *call, struct rc_http_ref *ref);
/* The request that was put by comes again, in the next turn. */
void rc_http_again(struct rc_serve *sv, struct rc_conn *c);
/* Makes a call to answer with. False: the client is gone, nobody waits. */
bool rc_http_resume(struct rc_serve *sv, const struct rc_http_ref *ref, struct rc_http_call *call);

/*
 * The body outlives the call: a block of the pool with its bytes at the beginning, counted among the bodies until it is given back.
 * NULL: no memory. call->body lies in it from then on.
 */
unsigned char *rc_http_keep_body(struct rc_serve *sv, struct rc_http_call *call, uint32_t *size);
/* A block for one that is whole, counted among the bodies. NULL: they have all that they may. */
unsigned char *rc_http_get_body(struct rc_serve *sv, uint32_t size);
void rc_http_put_body(struct rc_serve *sv, unsigned char *block, uint32_t size);
/* What its Content-Type says, without parameters; empty: nothing. */
struct rc_str rc_http_media_type(const struct rc_http_request *r);

/* A handler that gets ready to take the connection over: the WebSocket upgrade, an event stream. Writes the head of the answer; false:
 * no memory, the connection is gone. */
bool rc_http_take_over(
	struct rc_serve *sv, struct rc_http_call *call, const void *head, size_t len);

/*
 * httpclient.c: who asks, where that is a client: its token is verified, and what that says is the connection's session, which is the
 * caller's to forget. False: it is answered, and there is none.
 */
bool rc_http_known(struct rc_serve *sv, struct rc_http_call *call) RC_MUST_USE;
/* Its traceparent, as it was written; empty where there is none, or two. */
struct rc_str rc_http_trace(const struct rc_http_request *r);
/* The request accepts `type` ("application/json") by name. */
bool rc_http_accepts(const struct rc_http_request *r, const char *type);
/* Header lines of CORS for this request's answer, for those who write their own head. Returns the length. */
size_t rc_http_cors(
	const struct rc_serve *sv, const struct rc_http_reply *reply, char *out, size_t cap);

#endif
