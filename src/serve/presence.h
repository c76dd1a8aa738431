/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients in channels, as hub/presence.h keeps them: those of a WebSocket by each subscription, those of an SSE stream in each
 * channel of the stream. A client counts under the user of its token; its subscriptions to patterns put it into no channel.
 */
#ifndef RC_SERVE_PRESENCE_H
#define RC_SERVE_PRESENCE_H

#include "serve/http.h"

/* The subscription has come into being (its channels were reserved), or is about to go. */
void rc_presence_entered(struct rc_serve *sv, const struct rc_conn *c, uint32_t sub);
void rc_presence_left(struct rc_serve *sv, const struct rc_conn *c, uint32_t sub);
/* A client that was anonymous has been taken in as somebody: its session is JOINED from now on. */
void rc_presence_identify(struct rc_serve *sv, const struct rc_conn *c);
/* A newer token of the same user: what it says of him is shown from now on. */
void rc_presence_renewed(struct rc_serve *sv, const struct rc_conn *c);

/* GET /api/channels/NAME/presence */
enum rc_http_result rc_presence_http(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_str channel);

size_t rc_presence_request_bytes(void);
void rc_presence_init(struct rc_serve *sv, void *memory);

#endif
