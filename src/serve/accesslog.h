/* SPDX-License-Identifier: Apache-2.0
 *
 * Who was here and what was asked: a line at a client's end, one for each request to /api and each POST /events, where [log] access says so. And what an
 * auditor wants to know, always: who failed to authenticate, who changed something, on whose behalf others were told something.
 * No line holds a token. One thread.
 */
#ifndef RC_SERVE_ACCESSLOG_H
#define RC_SERVE_ACCESSLOG_H

#include "base/logrow.h"
#include "serve/http.h"

/* A client ends, for that reason. Only the first of its life is told. */
void rc_access_client(struct rc_serve *sv, struct rc_conn *c, uint16_t code, struct rc_str reason);
/* The same of one that no code is sent to: the reason is what was counted. */
void rc_access_counted(struct rc_serve *sv, struct rc_conn *c, enum rc_counter counted);
/* A request was answered. One that changes something, by whomever, is told in the main log too. */
void rc_access_request(struct rc_serve *sv, const struct rc_http_call *call, int status);

/* Begins a line of the audit: what happened, the shard, the connection's address. False: nobody wants to see such lines. */
bool rc_audit_begin(
	struct rc_serve *sv, const struct rc_conn *c, struct rc_logrow *row, struct rc_str what);
/* One failed to authenticate. At most a line a second, which says how many it stands for. */
void rc_audit_failed(struct rc_serve *sv, const struct rc_conn *c, const char *place);
/* Of a publisher: what it did beyond publishing since the last line. */
void rc_audit_publisher(struct rc_serve *sv, const struct rc_conn *c, struct rc_str service,
	struct rc_str id, const uint32_t counts[3]);

#endif
