/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of an HTTP/1 answer, read strictly (RFC 9112): of what a webhook says. Pure, any thread; no state: it is called again with
 * all bytes since the answer's beginning until the head is whole.
 *
 * Whatever could put the end of the body in two places is refused: two lengths, a length beside chunks, a coding that is not chunked.
 * So are bare CR and LF, folded lines, blanks before a colon and control bytes.
 */
#ifndef RC_PROTO_HTTPREPLY_H
#define RC_PROTO_HTTPREPLY_H

#include "base/base.h"

#define RC_REPLY_HEAD_FIELDS_MAX 100u
#define RC_REPLY_HEAD_PARTIAL    1

struct rc_reply_head {
	uint16_t status; /* 100 to 599 */
	uint8_t minor;
	bool keep_alive;
	bool chunked;
	int64_t content_length; /* -1: none; without chunks and with a body it ends with the connection */
	size_t head_len;
};

/* 0, RC_REPLY_HEAD_PARTIAL, or -EBADMSG at the first byte that can't be right, and when the head is longer than head_max. */
RC_MUST_USE int rc_reply_head_parse(
	const void *bytes, size_t len, size_t head_max, struct rc_reply_head *out);
/* Whether a body follows an answer of that status to a POST. */
bool rc_reply_head_has_body(uint16_t status);

#endif
