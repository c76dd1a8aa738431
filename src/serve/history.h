/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of the events that a channel keeps, for whoever asks: a WebSocket client, the HTTP API.
 */
#ifndef RC_SERVE_HISTORY_H
#define RC_SERVE_HISTORY_H

#include "proto/since.h"
#include "proto/textbuf.h"
#include "serve/say.h"

/* To whom the answer goes. */
struct rc_history_asker {
	bool http;
	struct rc_http_ref
		ref; /* of the HTTP exchange, a POST /events or one to /api, once it waits */
	struct rc_http_call *call; /* until then */
	bool *answered;
	uint32_t slot, generation; /* of the WebSocket */
	uint8_t id_len;            /* 0: it is no message that asks, or it has none */
	char id[RC_MSG_ID_MAX];
};

/* GET /api/channels/NAME/history */
enum rc_http_result rc_history_http(
	struct rc_serve *sv, struct rc_http_call *call, struct rc_str channel);

size_t rc_history_bytes(void);
void rc_history_init(struct rc_serve *sv, void *memory);
/* False: too many at once. The answer may come before this returns, and slot is free again then. */
bool rc_history_ask(struct rc_serve *sv, const struct rc_history_asker *asker,
	const struct rc_msg_history *h, uint32_t *slot) RC_MUST_USE;
/* The events of an answer and what ends its object, into a buffer with room for so much. */
size_t rc_history_bound(const struct rc_fetched *f);
void rc_history_write(struct rc_textbuf *b, const struct rc_fetched *f, bool complete);

/* Of what a client says. answered: as in the asker, where it comes by HTTP. */
struct rc_history_asker rc_history_asker_of(
	const struct rc_serve *sv, const struct rc_say *s, bool *answered);
/* Whoever asked by HTTP waits, unless it is answered. asker: where it is kept; NULL: it could not be asked, which is answered with
 * the message. */
enum rc_http_result rc_history_waits(struct rc_serve *sv, struct rc_http_call *call, bool answered,
	struct rc_history_asker *asker, const char *message);
/* To answer over HTTP with; NULL: nobody waits any more. */
struct rc_http_call *rc_history_call(
	struct rc_serve *sv, const struct rc_history_asker *asker, struct rc_http_call *later);

#endif
