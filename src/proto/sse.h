/* SPDX-License-Identifier: Apache-2.0
 *
 * Server-sent events: the block that a text/event-stream carries, made out of the WebSocket frame of the same event, so that
 * an event is taken apart at one place only. Nothing is allocated. Pure, any thread.
 *
 *   event: agent:created
 *   data: {"type":"event",…}          a line for each line of the data, which LF, CR and CRLF end
 *   id: aaaaaaaaab~12.0.7
 *                                     an empty line
 *
 * What no block can carry is refused, never mended: an id with CR, LF or NUL writes nothing. An empty id leaves the line out.
 */
#ifndef RC_PROTO_SSE_H
#define RC_PROTO_SSE_H

#include "base/base.h"

/* Bytes that rc_sse_encode will write; 0 when it will refuse. Looks at every byte of the data. */
size_t rc_sse_bound(const unsigned char *ws_frame, size_t ws_len, struct rc_str id, bool bare);
/*
 * Writes the block of one event and returns its length; 0 when the id is not to be sent, or the frame is not one whole
 * unmasked data frame.
 *
 * The data is the event's whole object. bare: its `data` alone; what was opaque is sent as its bytes where they are UTF-8
 * without NUL, and as base64 where they are not. A frame that is no event's object (a raw event) has no name, so no event
 * line, and all of its payload is the data; a binary one is sent as base64.
 */
size_t rc_sse_encode(unsigned char *out, const unsigned char *ws_frame, size_t ws_len,
	struct rc_str id, bool bare);

/* Any other block. No event line where the event is empty; 0 when it, or the id, holds CR, LF or NUL. */
size_t rc_sse_block_bound(struct rc_str event, struct rc_str data, struct rc_str id);
size_t rc_sse_block(unsigned char *out, struct rc_str event, struct rc_str data, struct rc_str id);

/* Bytes that the two below write at most. */
#define RC_SSE_SHORT_MAX(id_len) ((id_len) + 32)
/* ":" and the id: shows that the stream is alive, and moves the client's position without an event. */
size_t rc_sse_heartbeat(unsigned char *out, struct rc_str id);
/* The first block: "retry: N" and the id. */
size_t rc_sse_hello(unsigned char *out, uint32_t retry_ms, struct rc_str id);

/* json: what rc_msg_gap wrote. As rc_sse_block, and so is its bound. */
static inline size_t rc_sse_gap(unsigned char *out, struct rc_str json, struct rc_str id)
{
	return rc_sse_block(out, RC_STR("gap"), json, id);
}

#endif
