/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunked coding of a request's body (RFC 9112, 7.1), read strictly. What comes out are slices of what goes in: nothing is
 * copied, and the state is a few words, so the bytes may come in any cut.
 *
 *   SIZE ─▶ extension ─▶ CRLF ─▶ data ─▶ CRLF ─▶ SIZE …      size 0: trailer lines ─▶ CRLF ─▶ end
 *
 * Extensions and trailers are read over; together with all that is no data they may not be longer than the body earns. Bare CR or
 * LF, blanks around the size, folded trailers and control bytes are refused. Pure; the zero value is the beginning of a body.
 */
#ifndef RC_PROTO_CHUNKED_H
#define RC_PROTO_CHUNKED_H

#include "base/base.h"

/* Bytes of extensions that a whole body may have, and bytes of trailers. */
#define RC_CHUNKED_EXTRA_MAX 4096u

struct rc_chunked {
	uint64_t left;  /* of the chunk at hand */
	uint32_t extra; /* bytes of extensions and trailers so far */
	uint8_t state;
	uint8_t digits; /* of the size at hand */
};

enum rc_chunked_result {
	RC_CHUNKED_MORE, /* all of the input is used up */
	RC_CHUNKED_DATA, /* *data is the next piece of the body; call again */
	RC_CHUNKED_END,  /* the body is whole; what follows *used belongs to the next request */
};

/*
 * One of the results, or -400. *used: bytes of the input that are done with. Sizes are whatever 63 bits hold; what is too large
 * is for the caller to say, who sees left before the data comes.
 */
RC_MUST_USE int rc_chunked_next(
	struct rc_chunked *c, const void *bytes, size_t len, size_t *used, struct rc_str *data);

#endif
