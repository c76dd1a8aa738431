/* SPDX-License-Identifier: Apache-2.0
 *
 * The WebSocket frame decoder. See websocket.h; the sending side is in wsframe.c.
 *
 * Each byte of a header is judged as soon as it is there, in the order in which it stands on the wire, so the verdict does not
 * depend on how the input was cut.
 */
#include "proto/websocket.h"

#include <assert.h>

#include "base/utf8.h"

static_assert(sizeof(struct rc_ws_decoder) <= 224, "kept per connection while a frame is cut");

enum failure {
	NONE,
	RESERVED_BITS,
	RESERVED_OPCODE,
	CONTROL_FRAGMENTED,
	CONTROL_TOO_LONG,
	NOTHING_TO_CONTINUE,
	MESSAGE_IN_MESSAGE,
	TOO_MANY_FRAGMENTS,
	NOT_MASKED,
	MASKED,
	LENGTH_NOT_MINIMAL,
	LENGTH_TOP_BIT,
	MESSAGE_TOO_BIG,
	CLOSE_TOO_SHORT,
	CLOSE_CODE,
	CLOSE_REASON,
	TEXT_INVALID,
};

static const struct {
	uint16_t code;
	const char *reason;
} failures[] = {
	[RESERVED_BITS] = {1002, "reserved bits set without an extension"},
	[RESERVED_OPCODE] = {1002, "reserved opcode"},
	[CONTROL_FRAGMENTED] = {1002, "fragmented control frame"},
	[CONTROL_TOO_LONG] = {1002, "control frame over 125 bytes"},
	[NOTHING_TO_CONTINUE] = {1002, "continuation without a message"},
	[MESSAGE_IN_MESSAGE] = {1002, "new message inside a fragmented one"},
	[TOO_MANY_FRAGMENTS] = {1008, "message in too many fragments"},
	[NOT_MASKED] = {1002, "frame is not masked"},
	[MASKED] = {1002, "frame is masked"},
	[LENGTH_NOT_MINIMAL] = {1002, "length not in its shortest form"},
	[LENGTH_TOP_BIT] = {1002, "length over 63 bits"},
	[MESSAGE_TOO_BIG] = {1009, "message too big"},
	[CLOSE_TOO_SHORT] = {1002, "close code cut short"},
	[CLOSE_CODE] = {1002, "invalid close code"},
	[CLOSE_REASON] = {1007, "close reason is not UTF-8"},
	[TEXT_INVALID] = {1007, "text is not UTF-8"},
};

struct head {
	size_t len; /* as far as known: all of it once that many bytes were there */
	uint8_t opcode;
	bool fin;
	bool deflated; /* the message that it is of */
	uint64_t payload;
	uint32_t mask;
};

static enum rc_ws_result fail(struct rc_ws_decoder *d, enum failure failure, unsigned char **bytes,
	size_t *len, struct rc_ws_piece *out)
{
	d->failure = (uint8_t)failure;
	*out = (struct rc_ws_piece){
		.close_code = failures[failure].code,
		.reason = failures[failure].reason,
	};
	*bytes += *len;
	*len = 0;
	return RC_WS_FAIL;
}

static bool opens_message(uint8_t opcode)
{
	return opcode == RC_WS_TEXT || opcode == RC_WS_BINARY;
}

static enum failure check_opcode(
	const struct rc_ws_decoder *d, const struct rc_ws_limits *lim, uint8_t first)
{
	uint8_t opcode = first & 0x0f;

	/* RFC 7692, 6: the first frame of a data message says that it is compressed, and no other says anything. */
	if (RC_UNLIKELY(first & 0x70) &&
		!(lim->deflate && opens_message(opcode) && (first & 0x70) == RC_WS_RSV1))
		return RESERVED_BITS;
	if (opcode > RC_WS_PONG || (opcode > RC_WS_BINARY && opcode < RC_WS_CLOSE))
		return RESERVED_OPCODE;
	if (opcode >= RC_WS_CLOSE)
		return first & 0x80 ? NONE : CONTROL_FRAGMENTED;
	if (opcode == RC_WS_CONTINUATION && d->message == 0)
		return NOTHING_TO_CONTINUE;
	if (opcode != RC_WS_CONTINUATION && d->message != 0)
		return MESSAGE_IN_MESSAGE;
	return d->fragments >= lim->fragments_max ? TOO_MANY_FRAGMENTS : NONE;
}

/* Judges as much of a header as is there; have > 0. Called anew from its first byte, 14 times at most. */
static enum failure read_head(const struct rc_ws_decoder *d, const struct rc_ws_limits *lim,
	const unsigned char *h, size_t have, struct head *out)
{
	enum failure failure = check_opcode(d, lim, h[0]);
	uint64_t message_max = lim->message_max;
	size_t len_end;

	out->opcode = h[0] & 0x0f;
	/* Between two messages none is open; and only the first frame of one has the bit. */
	out->deflated = (h[0] & RC_WS_RSV1) || d->deflated;
	if (RC_UNLIKELY(out->deflated))
		message_max = RC_WS_DEFLATED_MAX(message_max);
	out->fin = h[0] & 0x80;
	out->len = 2;
	if (failure != NONE || have < 2)
		return failure;
	if (lim->masked != !!(h[1] & 0x80))
		return lim->masked ? NOT_MASKED : MASKED;
	out->payload = h[1] & 0x7f;
	if (out->opcode >= RC_WS_CLOSE && out->payload > RC_WS_CONTROL_MAX)
		return CONTROL_TOO_LONG;
	len_end = out->payload == 127 ? 10 : out->payload == 126 ? 4 : 2;
	out->len = len_end + (lim->masked ? 4 : 0);
	if (have < len_end)
		return NONE;
	if (len_end > 2) {
		out->payload = 0;
		for (size_t i = 2; i < len_end; i++)
			out->payload = out->payload << 8 | h[i];
		if (out->payload >> 63)
			return LENGTH_TOP_BIT;
		if (out->payload < (len_end == 4 ? 126 : 0x10000))
			return LENGTH_NOT_MINIMAL;
	}
	if (out->opcode < RC_WS_CLOSE &&
		(d->message_total > message_max || out->payload > message_max - d->message_total))
		return MESSAGE_TOO_BIG;
	if (lim->masked && have >= out->len)
		memcpy(&out->mask, h + len_end, 4);
	return NONE;
}

/* Afterwards either d->in_payload, or the input is used up; *len > 0. */
static enum failure take_head(
	struct rc_ws_decoder *d, const struct rc_ws_limits *lim, unsigned char **bytes, size_t *len)
{
	const unsigned char *h = *bytes;
	size_t kept = d->head_len, have = *len;
	struct head head = {0};
	enum failure failure;

	if (kept > 0) {
		size_t take = RC_MIN(sizeof(d->head) - kept, *len);

		memcpy(d->head + kept, *bytes, take);
		h = d->head;
		have = kept + take;
	}
	failure = read_head(d, lim, h, have, &head);
	if (failure != NONE)
		return failure;
	if (have < head.len) {
		if (kept == 0)
			memcpy(d->head, h, have);
		d->head_len = (uint8_t)have;
		*bytes += *len;
		*len = 0;
		return NONE;
	}
	*bytes += head.len - kept;
	*len -= head.len - kept;
	d->head_len = 0;
	d->in_payload = true;
	d->frame = head.opcode;
	d->fin = head.fin;
	d->frame_left = head.payload;
	d->frame_pos = 0;
	d->mask = head.mask;
	if (opens_message(head.opcode)) {
		d->message = head.opcode;
		d->deflated = head.deflated;
	}
	if (head.opcode < RC_WS_CLOSE)
		d->fragments++;
	return NONE;
}

static enum failure check_close(const unsigned char *payload, size_t len, uint16_t *code)
{
	*code = 1005;
	if (len == 0)
		return NONE;
	if (len == 1)
		return CLOSE_TOO_SHORT;
	*code = (uint16_t)(payload[0] << 8 | payload[1]);
	if (!rc_ws_close_code_valid(*code))
		return CLOSE_CODE;
	return rc_utf8_valid(payload + 2, len - 2) ? NONE : CLOSE_REASON;
}

static enum rc_ws_result take_control(struct rc_ws_decoder *d, const struct rc_ws_limits *lim,
	unsigned char **bytes, size_t *len, struct rc_ws_piece *out)
{
	size_t take = RC_MIN(d->frame_left, *len), total;
	uint16_t code = 0;

	if (take > 0)
		memcpy(d->control + d->frame_pos, *bytes, take);
	*bytes += take;
	*len -= take;
	d->frame_pos += take;
	d->frame_left -= take;
	if (d->frame_left > 0)
		return RC_WS_MORE;
	d->in_payload = false;
	total = (size_t)d->frame_pos;
	if (lim->masked)
		rc_ws_mask(d->control, total, d->mask, 0);
	if (d->frame == RC_WS_CLOSE) {
		enum failure failure = check_close(d->control, total, &code);

		if (failure != NONE)
			return fail(d, failure, bytes, len, out);
	}
	*out = (struct rc_ws_piece){
		.opcode = d->frame,
		.first = true,
		.last = true,
		.ptr = d->control,
		.len = total,
		.message_total = total,
		.close_code = code,
	};
	return RC_WS_CONTROL;
}

static enum rc_ws_result take_data(struct rc_ws_decoder *d, const struct rc_ws_limits *lim,
	unsigned char **bytes, size_t *len, struct rc_ws_piece *out)
{
	unsigned char *p = *bytes;
	size_t take = RC_MIN(d->frame_left, *len);
	bool frame_ends = take == d->frame_left;
	bool last = frame_ends && d->fin;

	if (lim->masked)
		rc_ws_mask(p, take, d->mask, d->frame_pos);
	*bytes += take;
	*len -= take;
	d->frame_pos += take;
	d->frame_left -= take;
	d->message_total += take;
	d->in_payload = !frame_ends;
	if (lim->check_utf8 && d->message == RC_WS_TEXT && !d->deflated) {
		d->utf8 = rc_utf8_feed(d->utf8, p, take);
		if (d->utf8 == RC_UTF8_REJECT || (last && d->utf8 != RC_UTF8_ACCEPT))
			return fail(d, TEXT_INVALID, bytes, len, out);
	}
	if (take == 0 && !last)
		return RC_WS_MORE;
	*out = (struct rc_ws_piece){
		.opcode = d->message,
		.first = !d->begun,
		.last = last,
		.deflated = d->deflated,
		.ptr = p,
		.len = take,
		.message_total = d->message_total,
	};
	d->begun = true;
	if (last) {
		d->message = 0;
		d->message_total = 0;
		d->fragments = 0;
		d->begun = false;
		d->deflated = false;
	}
	return RC_WS_DATA;
}

enum rc_ws_result rc_ws_next(struct rc_ws_decoder *d, const struct rc_ws_limits *lim,
	unsigned char **bytes, size_t *len, struct rc_ws_piece *out)
{
	RC_DASSERT(lim->fragments_max > 0);
	if (d->failure != NONE)
		return fail(d, (enum failure)d->failure, bytes, len, out);
	/* Payload of no bytes is dealt with together with its header, so an empty input never yields anything. */
	while (*len > 0) {
		enum rc_ws_result result;

		if (!d->in_payload) {
			enum failure failure = take_head(d, lim, bytes, len);

			if (failure != NONE)
				return fail(d, failure, bytes, len, out);
			if (!d->in_payload)
				break;
		}
		result = d->frame >= RC_WS_CLOSE ? take_control(d, lim, bytes, len, out)
						 : take_data(d, lim, bytes, len, out);
		if (result != RC_WS_MORE)
			return result;
	}
	return RC_WS_MORE;
}

bool rc_ws_at_rest(const struct rc_ws_decoder *d)
{
	return !d->in_payload && d->head_len == 0 && d->message == 0 && d->failure == NONE;
}
