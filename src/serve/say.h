/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client says, and where its answer goes: a message on its WebSocket, or the body of a POST /events, which is for those whom
 * only HTTP is left. Publishing, history and presence are judged here for both, and none of them asks by which way it came.
 *
 *   WebSocket ──────────── message ─▶ struct rc_say ─▶ judge ─▶ job, request ─▶ … ─▶ frame
 *   POST /events ─▶ who? ─▶ body ─┘                       └ refused ──────────────▶ or answer, with a status
 *
 * A POST belongs to no client: it has no session once it is answered, counts in no presence and not for max_clients. One thread.
 */
#ifndef RC_SERVE_SAY_H
#define RC_SERVE_SAY_H

#include "proto/message.h"
#include "serve/http.h"
#include "serve/limits.h"

struct rc_api_job;

/* Borrowed, for as long as a handler runs. */
struct rc_say {
	struct rc_conn *c;
	struct rc_http_call *call;  /* of the POST; NULL: a WebSocket */
	struct rc_str id;           /* of the message, as it was written; empty: none */
	enum rc_http_result result; /* what the POST's handler returns */
};

/* Whether the body of such a request, which is on its way still, is waited for: a stranger's is not. False: it is answered. */
bool rc_say_expects(struct rc_serve *sv, struct rc_http_call *call) RC_MUST_USE;
/* The route. */
enum rc_http_result rc_say_http(struct rc_serve *sv, struct rc_http_call *call);

/* ---- the judges: each is answered, now or later. */

/* clientpublish.c; text: the whole message. */
void rc_say_publish(
	struct rc_serve *sv, struct rc_say *s, const struct rc_msg *m, struct rc_str text);
/* What became of it. call: to answer with; NULL: its WebSocket, if it is still there. */
void rc_say_published(struct rc_serve *sv, const struct rc_api_job *j, struct rc_http_call *call);
/* history.c, presence.c */
void rc_say_history(struct rc_serve *sv, struct rc_say *s, const struct rc_msg *m);
void rc_say_presence(struct rc_serve *sv, struct rc_say *s, const struct rc_msg *m);

/* ---- answers */

void rc_say_error(struct rc_serve *sv, const struct rc_say *s, const char *code, bool temporary,
	const char *message);
/* With the field that is wrong, a JSON Pointer. */
void rc_say_error_field(struct rc_serve *sv, const struct rc_say *s, const char *code,
	const char *message, const char *field);
/* Whether this one is within its rate; false: it is answered, with the message. */
bool rc_say_within(struct rc_serve *sv, const struct rc_say *s, enum rc_rate_kind kind,
	const char *message) RC_MUST_USE;

#endif
