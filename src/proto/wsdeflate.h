/* SPDX-License-Identifier: Apache-2.0
 *
 * What is agreed on permessage-deflate (RFC 7692, section 7.1) in Sec-WebSocket-Extensions. Pure.
 *
 * Neither side ever keeps a context from one message to the next: the answer always says so for both. So nothing is kept per client
 * but the window that it asked for, and a message that was compressed once is good for everybody with that window.
 */
#ifndef RC_PROTO_WSDEFLATE_H
#define RC_PROTO_WSDEFLATE_H

#include "base/base.h"
#include "proto/deflate.h"

#define RC_WS_DEFLATE_ANSWER_MAX 128u

/* The zero value: nothing was agreed. */
struct rc_ws_deflate {
	uint8_t window_bits; /* of what the server sends: RC_DEFLATE_BITS_MIN to _MAX; 0 = nothing is deflated */
	bool told; /* the offer named them, so the answer does */
};

enum rc_ws_offer {
	RC_WS_OFFER_NONE,     /* nothing that can be agreed to */
	RC_WS_OFFER_DECLINED, /* there was permessage-deflate, each with something that can't be done */
	RC_WS_OFFER_TAKEN,
	RC_WS_OFFER_BAD, /* against the grammar of RFC 6455, 9.1, which wants the connection to fail */
};

/*
 * One line of Sec-WebSocket-Extensions, as a client sent it. Offers are looked at in their order and the first that can be
 * granted is. One with an unknown parameter, one that stands twice, a value that is wrong, missing or too much, is passed over.
 * All of the line is read, so a fault behind the offer that was taken shows.
 */
RC_MUST_USE enum rc_ws_offer rc_ws_deflate_offer(struct rc_str line, struct rc_ws_deflate *out);
/* The value of the answer's header; at most RC_WS_DEFLATE_ANSWER_MAX bytes. Something was agreed. */
size_t rc_ws_deflate_answer(
	const struct rc_ws_deflate *d, char out[RC_WS_DEFLATE_ANSWER_MAX]) RC_MUST_USE;

/* What a client offers that keeps no context either and can inflate any window. */
#define RC_WS_DEFLATE_OFFER \
	"permessage-deflate; server_no_context_takeover; client_no_context_takeover"
/* The server's answer to exactly that offer: false when it is none that may come. */
RC_MUST_USE bool rc_ws_deflate_answered(struct rc_str value);

#endif
