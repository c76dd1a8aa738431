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

/* Of JSON RC_MSG_ID_MAX at most; of a frame its type and the name of a channel (binary.h). */
#define RC_REQUEST_ID_MAX 256

enum rc_request_kind {
	RC_REQUEST_SUBSCRIBE,
	RC_REQUEST_HISTORY, /* asked, and not answered yet */
	RC_REQUEST_WHO,     /* it is asked who the client is */
	RC_REQUEST_LATER, /* a message that must not overtake those before it: text_len bytes where subs stand */
};

struct rc_request {
	struct rc_request *next;
	uint32_t remaining; /* answers that are missing */
	uint32_t count;
	uint32_t size; /* of the block */
	uint32_t text_len;
	uint8_t word;
	uint16_t id_len;

	bool refused;
	bool too_many; /* refused, since its user has as many consumers as it may */
	bool recovers; /* with `since` */
	bool replaces; /* some subscription takes the place of another */
	uint8_t kind;
	char id[RC_REQUEST_ID_MAX];
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
/* It names a channel whose subscription is not acknowledged yet. */
bool rc_ws_names_waiting(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m);
/* replace.c: those that its subscriptions take the place of end here, in front of the acknowledgement. It may end the connection. */
void rc_request_take_places(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r);
/* One of them takes the place of that: the client has the channel already. */
bool rc_request_is_instead(const struct rc_serve *sv, const struct rc_conn *c, uint32_t sub);
/* The new one does not come to be: the old one stays. */
void rc_request_give_back(struct rc_serve *sv, struct rc_conn *c, uint32_t sub);
/* The client reads that channel no more; the caller finishes what waited for it. Not for one that is RC_SUB_REPLACED. */
void rc_request_end_sub(struct rc_serve *sv, struct rc_conn *c, uint32_t sub);
/* One subscription ends. What the client has half of goes to it nevertheless. */
void rc_ws_drop_sub(struct rc_serve *sv, struct rc_conn *c, uint32_t sub);

#endif
