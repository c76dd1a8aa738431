/* SPDX-License-Identifier: Apache-2.0
 *
 * WebSocket frames (RFC 6455, section 5): a decoder that is fed whatever arrived, and headers for what is sent. Pure; one
 * decoder belongs to one direction of one connection.
 *
 * Payload is not gathered: it is unmasked where it lies and handed on as pieces that point into the input. Only what
 * the decoder must see whole (a cut header, a control frame's 125 bytes) is kept inside it. Between messages it holds
 * nothing, and the zero value is that state: an owner may throw it away whenever rc_ws_at_rest() and begin again with zeros.
 *
 *   input   | H payload | H pay      and then      load | H ping | H payload | H
 *   pieces    whole        its part                rest   control  whole       (kept)
 */
#ifndef RC_PROTO_WEBSOCKET_H
#define RC_PROTO_WEBSOCKET_H

#include "base/base.h"

#define RC_WS_CONTINUATION              0
#define RC_WS_TEXT                      1
#define RC_WS_BINARY                    2
#define RC_WS_CLOSE                     8
#define RC_WS_PING                      9
#define RC_WS_PONG                      10
#define RC_WS_CONTROL_MAX               125
#define RC_WS_CLOSE_FRAME_MAX           127 /* an unmasked control frame at its largest */
#define RC_WS_RSV1                      0x40 /* of a frame's first byte: the message is compressed (RFC 7692) */
#define RC_WS_DEFLATED_MAX(message_max) ((message_max) + (message_max) / 8 + 64)

/* Of one decoder. May change between calls, but not masked and not check_utf8 inside a message. */
struct rc_ws_limits {
	uint64_t
		message_max; /* payload bytes of a message: above it 1009, from the header, before payload is taken. A
		                compressed one may have RC_WS_DEFLATED_MAX of it: what can't be compressed grows a little */
	uint32_t fragments_max; /* frames of a message, at least 1: above it 1008 */
	bool masked; /* true: server side, masked frames required; false: client side, unmasked required */
	bool check_utf8; /* of text messages that are not compressed; close reasons are always checked */
	bool deflate; /* permessage-deflate was agreed: the first frame of a message may have RSV1 */
};

struct rc_ws_decoder {
	uint64_t frame_left;    /* payload bytes of the present frame that are still to come */
	uint64_t frame_pos;     /* and those that came */
	uint64_t message_total; /* payload bytes of the present message that came */
	uint32_t mask;
	uint32_t fragments; /* frames of the present message so far */
	uint32_t utf8;
	uint8_t failure; /* why, once it has failed; it stays so */
	uint8_t message; /* opcode of the message that is open, 0: none */
	uint8_t frame;   /* opcode of the frame whose payload is coming */
	bool in_payload;
	bool fin;      /* of that frame */
	bool begun;    /* a piece of the open message was handed on */
	bool deflated; /* the open message is compressed */
	uint8_t head_len;
	unsigned char head[14];
	unsigned char control[RC_WS_CONTROL_MAX];
};

enum rc_ws_result {
	RC_WS_MORE,    /* the input is used up */
	RC_WS_DATA,    /* a piece of a message */
	RC_WS_CONTROL, /* a whole close, ping or pong */
	RC_WS_FAIL, /* the peer broke the rules: answer with close_code and end; every further call fails alike */
};

struct rc_ws_piece {
	uint8_t opcode;   /* 1 text or 2 binary, of the message; 8, 9, 10 for control */
	bool first, last; /* of the message; both for control */
	bool deflated;    /* it is a piece of compressed bytes, which nobody has looked at */
	unsigned char *
		ptr; /* into the input, or for control into the decoder: valid until the next call */
	size_t len;  /* 0 only for control and for a message's last piece */
	uint64_t message_total; /* bytes of this message so far, this piece included */
	uint16_t
		close_code; /* close: the code received, 1005 when none; RC_WS_FAIL: the code to answer with */
	const char *reason; /* RC_WS_FAIL: a static text */
};

/*
 * Consumes from *bytes and *len, at most one piece per call; call until it returns RC_WS_MORE or RC_WS_FAIL. A data frame
 * whose payload lies complete in the input comes as one piece, one that is cut as several; an empty frame that does not end its
 * message comes as none. A close's ptr and len are its whole payload, code included.
 */
RC_MUST_USE enum rc_ws_result rc_ws_next(struct rc_ws_decoder *d, const struct rc_ws_limits *lim,
	unsigned char **bytes, size_t *len, struct rc_ws_piece *out);
/* No partial frame, and not inside a fragmented message. */
bool rc_ws_at_rest(const struct rc_ws_decoder *d);

/* Bytes written, which is rc_ws_header_len(len). */
size_t rc_ws_header(unsigned char out[10], uint8_t opcode, bool fin, uint64_t len);
size_t rc_ws_header_len(uint64_t len);
/*
 * The way back: one unmasked data frame that is a message by itself, with the header that rc_ws_header writes, and nothing
 * behind it. Any bytes are safe. opcode is RC_WS_TEXT or RC_WS_BINARY.
 */
RC_MUST_USE bool rc_ws_message_in(
	const unsigned char *frame, size_t len, uint8_t *opcode, struct rc_str *payload);
/* The client's side. A mask is four bytes as they lie in memory and on the wire, not a number. */
size_t rc_ws_masked_header(
	unsigned char out[14], uint8_t opcode, bool fin, uint64_t len, uint32_t mask);
/* Masks and unmasks. phase: how many bytes of the same frame went before. */
void rc_ws_mask(void *bytes, size_t len, uint32_t mask, uint64_t phase);
/* The same without vectors: what the other is measured against and compared with. */
void rc_ws_mask_plain(void *bytes, size_t len, uint32_t mask, uint64_t phase);

/* An unmasked close; code 1005 sends an empty one. A reason over 123 bytes is cut between characters; NULL: none. */
size_t rc_ws_close_frame(
	unsigned char out[RC_WS_CLOSE_FRAME_MAX], uint16_t code, const char *reason);
/* May stand in a close frame: RFC 6455 section 7.4, the registry (1012 to 1014), and 3000 to 4999. */
bool rc_ws_close_code_valid(uint16_t code);

#endif
