/* SPDX-License-Identifier: Apache-2.0
 *
 * What a WebSocket client has asked for and was not answered yet, in the order in which it asked; the answers come in the same.
 *
 *   connection.requests ─▶ request ─▶ request        request: id, word, subs[]
 *
 * A subscribe is acknowledged when the owners of all its channels have answered, with the position at which each begins, and
 * with what can be given of the past; until then its subscriptions are paused. Shared by request.c and subscribe.c.
 */
#ifndef RC_SERVE_REQUEST_H
#define RC_SERVE_REQUEST_H

#include "proto/message.h"
#include "serve/serve.h"

/* In subs[]: this request brought the subscription into being. */
#define RC_REQUEST_FRESH 0x80000000u

enum rc_request_kind {
	RC_REQUEST_SUBSCRIBE,
	RC_REQUEST_HISTORY, /* asked, and not answered yet */
	RC_REQUEST_LATER, /* a message that must not overtake those before it: text_len bytes where subs stand */
};

struct rc_request {
	struct rc_request *next;
	uint32_t remaining; /* answers that are missing */
	uint32_t count;
	uint32_t size; /* of the block */
	uint32_t text_len;
	uint8_t word;
	uint8_t id_len;

	bool refused;
	bool recovers; /* with `since` */
	uint8_t kind;
	char id[RC_MSG_ID_MAX];
	uint32_t subs[];
};

struct rc_request *rc_request_first(const struct rc_serve *sv, const struct rc_conn *c);
/* With room for so many subscriptions; NULL: no memory. */
struct rc_request *rc_request_new(
	struct rc_serve *sv, uint32_t count_max, struct rc_str id, enum rc_msg_word word);
/* It stands in the line, and whatever can be answered now is. */
void rc_request_append(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r);
/* Answers from the head of the line on what waits for nothing any more. */
void rc_request_finish(struct rc_serve *sv, struct rc_conn *c);
/* No request may name a subscription that is about to go. */
void rc_request_forget(struct rc_serve *sv, struct rc_conn *c, uint32_t sub);
/* One subscription ends. What the client has half of goes to it nevertheless. */
void rc_ws_drop_sub(struct rc_serve *sv, struct rc_conn *c, uint32_t sub);

#endif
