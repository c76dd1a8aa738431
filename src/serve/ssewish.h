/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request for an event stream asks for: channels and patterns, from where on, in which form. Memory: the caller's, borrowed for as
 * long as the request is at hand.
 */
#ifndef RC_SERVE_SSEWISH_H
#define RC_SERVE_SSEWISH_H

#include "auth/claims.h"
#include "proto/http1.h"
#include "proto/since.h"
#include "serve/serve.h"

/* Names of one stream: what a question to another shard can carry. */
#define RC_SSE_NAMES_MAX 12288u

struct rc_sse_wish {
	unsigned char *
		names; /* RC_SSE_NAMES_MAX bytes; each name behind a byte with its length, in order */
	uint32_t len, count;
	bool bare;
	bool back;  /* it was here before */
	bool blind; /* and may not see what it missed */
	struct rc_since since;
};

/* Why a request does not become a stream. */
enum rc_sse_refusal {
	RC_SSE_NOTHING,
	RC_SSE_BAD_REQUEST,
	RC_SSE_BAD_CHANNEL,
	RC_SSE_FORBIDDEN,
	RC_SSE_TOO_MANY,
	RC_SSE_NOT_ACCEPTABLE,
	RC_SSE_FULL,
	RC_SSE_STOP, /* it was here before, and can't be served any more */
};

/* w: zeroed but for names. claims: of who asks; NULL: anonymous. */
enum rc_sse_refusal rc_sse_wish_read(const struct rc_serve *sv, struct rc_sse_wish *w,
	const struct rc_http_request *r, const struct rc_claims *claims);

#endif
