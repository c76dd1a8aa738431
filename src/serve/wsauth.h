/* SPDX-License-Identifier: Apache-2.0
 *
 * How a WebSocket client becomes known: what its two kinds have in common, those who bring a user's token (wsauth.c) and services
 * that look (wswatch.c).
 *
 *   opened ─┬─▶ known                                   nobody is asked who he is, or it is proven
 *           └─▶ waits for `auth`, its query kept ─▶ known
 *
 * One thread.
 */
#ifndef RC_SERVE_WSAUTH_H
#define RC_SERVE_WSAUTH_H

#include "proto/message.h"
#include "proto/wsdeflate.h"
#include "serve/session.h"

/* It is a WebSocket from here on. */
void rc_ws_opened(struct rc_serve *sv, struct rc_conn *c, struct rc_str query,
	const struct rc_ws_deflate *deflate);
/* The first message must be `auth`, in time. */
void rc_ws_waits_token(struct rc_serve *sv, struct rc_conn *c, struct rc_str query);
/* The query waits until it is known who asks. False: no memory, the connection is closing. */
bool rc_ws_keep_query(struct rc_serve *sv, struct rc_conn *c, struct rc_str query);
/* It is known who it is, or that it is nobody: from here on it is served. */
void rc_ws_known(struct rc_serve *sv, struct rc_conn *c, struct rc_str query);
/* Its address had too many tokens refused: it is told, and closed. */
void rc_ws_too_many_failures(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw);
/* The token of `auth` and `refresh`; empty where there is none. */
struct rc_str rc_ws_token_of(const struct rc_msg *m, char *buf, size_t cap);
/* False: no room, the connection is closing. */
bool rc_ws_tell_refreshed(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw);

/* ---- wswatch.c ---------------------------------------------------------------------------------- */

/* The token of its first message, or again: it has one and renews it. */
void rc_ws_watch_auth(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw,
	struct rc_str token, bool again);

#endif
