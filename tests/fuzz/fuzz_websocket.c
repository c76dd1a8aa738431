/* SPDX-License-Identifier: Apache-2.0
 *
 * WebSocket frames from arbitrary bytes. The first two bytes choose the side, the limits and how the rest is cut; the same stream
 * is then fed whole and cut, each part in memory of its own. Property: both yield the same messages, controls and failure; pieces
 * before a failure may only be longer where the input was cut finer. The messages are then encoded and must decode to themselves.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "proto/websocket.h"

#define INPUT_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Payload as it comes, and a mark of two bytes at each message's start and end and around each control. */
struct story {
	size_t len;
	uint16_t failure;
	bool at_rest;
	unsigned char bytes[INPUT_MAX * 4];
};

static void tell(struct story *s, const void *bytes, size_t len)
{
	RC_ASSERT(len <= sizeof(s->bytes) - s->len);
	if (len > 0)
		memcpy(s->bytes + s->len, bytes, len);
	s->len += len;
}

static void mark(struct story *s, uint8_t what, uint8_t opcode)
{
	const unsigned char two[2] = {what, opcode};

	tell(s, two, 2);
}

static void check_piece(const struct rc_ws_limits *lim, enum rc_ws_result result,
	const struct rc_ws_piece *p, uint64_t *message, uint32_t *utf8)
{
	if (result == RC_WS_CONTROL) {
		RC_ASSERT(p->opcode >= RC_WS_CLOSE && p->opcode <= RC_WS_PONG);
		RC_ASSERT(p->len <= RC_WS_CONTROL_MAX && p->first && p->last);
		if (p->opcode == RC_WS_CLOSE && p->len > 0)
			RC_ASSERT(rc_ws_close_code_valid(p->close_code) &&
				  rc_utf8_valid(p->ptr + 2, p->len - 2));
		return;
	}
	RC_ASSERT(p->opcode == RC_WS_TEXT || p->opcode == RC_WS_BINARY);
	RC_ASSERT(p->len > 0 || p->last);
	if (p->first) {
		*message = 0;
		*utf8 = RC_UTF8_ACCEPT;
	}
	*message += p->len;
	RC_ASSERT(p->message_total == *message &&
		  *message <=
			  (p->deflated ? RC_WS_DEFLATED_MAX(lim->message_max) : lim->message_max));
	if (p->opcode == RC_WS_TEXT && lim->check_utf8 && !p->deflated) {
		*utf8 = rc_utf8_feed(*utf8, p->ptr, p->len);
		RC_ASSERT(*utf8 != RC_UTF8_REJECT && (!p->last || *utf8 == RC_UTF8_ACCEPT));
	}
}

/* cut_seed 0 feeds all at once to one decoder; otherwise it draws parts of 1 to 16 bytes, and takes a new one at each rest. */
static void feed(const struct rc_ws_limits *lim, const uint8_t *data, size_t size,
	uint32_t cut_seed, struct story *s)
{
	struct rc_ws_decoder d = {0};
	uint64_t message = 0;
	uint32_t utf8 = 0, random = cut_seed;

	s->len = 0;
	s->failure = 0;
	while (size > 0 && s->failure == 0) {
		size_t part = size;
		unsigned char *copy, *at;
		size_t left;

		if (cut_seed != 0) {
			random = random * 1664525 + 1013904223;
			part = RC_MIN(size, (random >> 24) % 16 + 1);
		}
		copy = malloc(part);
		memcpy(copy, data, part);
		at = copy;
		left = part;
		for (;;) {
			struct rc_ws_piece p;
			enum rc_ws_result result;

			if (cut_seed != 0 && rc_ws_at_rest(&d))
				memset(&d, 0, sizeof(d));
			result = rc_ws_next(&d, lim, &at, &left, &p);
			RC_ASSERT(at + left == copy + part);
			if (result == RC_WS_MORE)
				break;
			if (result == RC_WS_FAIL) {
				RC_ASSERT(p.close_code != 0 && p.reason != NULL);
				s->failure = p.close_code;
				break;
			}
			check_piece(lim, result, &p, &message, &utf8);
			if (p.first)
				mark(s, 1, p.opcode);
			tell(s, p.ptr, p.len);
			if (p.last)
				mark(s, 2, p.opcode);
		}
		RC_ASSERT(left == 0);
		free(copy);
		data += part;
		size -= part;
	}
	s->at_rest = rc_ws_at_rest(&d);
}

/* The bytes as the payload of a message in two fragments with a ping between, encoded for the side that reads them. */
static void check_round_trip(const struct rc_ws_limits *lim, const uint8_t *data, size_t size)
{
	static unsigned char wire[INPUT_MAX + 64], joined[INPUT_MAX];
	struct rc_ws_limits wide = *lim;
	struct rc_ws_decoder d = {0};
	struct rc_ws_piece p;
	enum rc_ws_result result;
	unsigned char *at = wire;
	size_t first = size / 3, len = 0, total = 0;
	uint32_t mask = lim->masked ? 0xa1b2c3d4u + (uint32_t)size : 0;
	bool pinged = false;

	wide.message_max = size;
	wide.fragments_max = 2;
	for (int i = 0; i < 3; i++) {
		uint8_t opcode = i == 0 ? RC_WS_BINARY : i == 1 ? RC_WS_PING : RC_WS_CONTINUATION;
		size_t from = i == 2 ? first : 0, to = i == 0 ? first : i == 1 ? 0 : size;

		len += lim->masked ? rc_ws_masked_header(wire + len, opcode, i > 0, to - from, mask)
				   : rc_ws_header(wire + len, opcode, i > 0, to - from);
		if (to > from)
			memcpy(wire + len, data + from, to - from);
		rc_ws_mask(wire + len, to - from, mask, 0);
		len += to - from;
	}
	while ((result = rc_ws_next(&d, &wide, &at, &len, &p)) != RC_WS_MORE) {
		RC_ASSERT(result != RC_WS_FAIL);
		if (result == RC_WS_CONTROL) {
			pinged = true;
			continue;
		}
		memcpy(joined + total, p.ptr, p.len);
		total += p.len;
	}
	RC_ASSERT(pinged && total == size && rc_ws_at_rest(&d));
	RC_ASSERT(size == 0 || memcmp(joined, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct story whole, cut;
	struct rc_ws_limits lim;

	if (size < 2 || size > INPUT_MAX)
		return 0;
	lim = (struct rc_ws_limits){
		.message_max = data[0] & 4 ? 64 : 4096,
		.fragments_max = data[0] & 8 ? 2 : 16,
		.masked = data[0] & 1,
		.check_utf8 = data[0] & 2,
		.deflate = data[0] & 16,
	};
	feed(&lim, data + 2, size - 2, 0, &whole);
	feed(&lim, data + 2, size - 2, data[1] + 1u, &cut);
	RC_ASSERT(whole.failure == cut.failure && whole.at_rest == cut.at_rest);
	RC_ASSERT(whole.failure != 0 ? cut.len >= whole.len : cut.len == whole.len);
	RC_ASSERT(memcmp(whole.bytes, cut.bytes, whole.len) == 0);
	check_round_trip(&lim, data + 2, size - 2);
	return 0;
}
