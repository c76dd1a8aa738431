/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients send: masked text frames, unmasked in place and checked as UTF-8. Unmasking twice gives the first bytes
 * again; the mask is small, so that both are ASCII and every round decodes valid text. And the header of what they are sent.
 */
#include <stdlib.h>

#include "proto/websocket.h"
#include "shim.h"

#define FRAMES 64u
#define MASK   0x04030201u

static const struct rc_ws_limits limits = {
	.message_max = 1 << 20, .fragments_max = 64, .masked = true, .check_utf8 = true};

struct state {
	size_t len; /* of all frames, or of a payload */
	unsigned char bytes[FRAMES * (14 + 1024)];
};

static void *frames_open(uint64_t payload_len)
{
	struct state *s = micro_alloc(sizeof(*s));
	unsigned char *at = s->bytes;

	for (uint32_t i = 0; i < FRAMES; i++) {
		at += rc_ws_masked_header(at, RC_WS_TEXT, true, payload_len, MASK);
		memset(at, 'a', payload_len);
		rc_ws_mask(at, payload_len, MASK, 0);
		at += payload_len;
	}
	s->len = (size_t)(at - s->bytes);
	return s;
}

static void decode(void *state)
{
	struct state *s = state;
	struct rc_ws_decoder decoder = {0};
	struct rc_ws_piece piece;
	unsigned char *at = s->bytes;
	size_t left = s->len;
	uint32_t messages = 0;

	while (rc_ws_next(&decoder, &limits, &at, &left, &piece) == RC_WS_DATA)
		messages += piece.last;
	RC_ASSERT(messages == FRAMES && left == 0);
}

static void *state_open(uint64_t len)
{
	struct state *s = micro_alloc(sizeof(*s));

	s->len = len;
	return s;
}

static void header(void *state)
{
	struct state *s = state;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < FRAMES; i++)
		sum += rc_ws_header(s->bytes, RC_WS_TEXT, true, s->len + i);
	micro_keep(sum);
}

const struct micro_case micro_websocket[] = {
	{"websocket/decode/40B", 40, FRAMES, FRAMES * 40, frames_open, decode, free},
	{"websocket/decode/75B", 75, FRAMES, FRAMES * 75, frames_open, decode, free},
	{"websocket/decode/1KiB", 1024, FRAMES, FRAMES * 1024, frames_open, decode, free},
	{"websocket/header/40B", 20, FRAMES, 0, state_open, header, free},
	{"websocket/header/1KiB", 1024, FRAMES, 0, state_open, header, free},
	{"websocket/header/1MiB", 1 << 20, FRAMES, 0, state_open, header, free},
	{0},
};
