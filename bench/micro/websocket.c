/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients send: the head of the upgrade, and masked text frames, unmasked in place and checked as UTF-8. Unmasking
 * twice gives the first bytes again; the mask is small, so that both are ASCII and every round decodes valid text.
 */
#include <stdlib.h>

#include "proto/http1.h"
#include "proto/websocket.h"
#include "proto/wsupgrade.h"
#include "shim.h"

#define FRAMES 64u
#define MASK   0x04030201u

static const struct rc_ws_limits limits = {
	.message_max = 1 << 20, .fragments_max = 64, .masked = true, .check_utf8 = true};

static const char request[] =
	"GET /ws?channel=orders%3Aeu HTTP/1.1\r\n"
	"Host: rt.example.org\r\n"
	"Connection: Upgrade\r\n"
	"Pragma: no-cache\r\n"
	"Cache-Control: no-cache\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
	"Upgrade: websocket\r\n"
	"Origin: https://app.example.org\r\n"
	"Sec-WebSocket-Version: 13\r\n"
	"Accept-Encoding: gzip, deflate, br, zstd\r\n"
	"Accept-Language: en-GB,en;q=0.9\r\n"
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

struct state {
	size_t len; /* of all frames, or of what is masked */
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

static void *mask_open(uint64_t len)
{
	struct state *s = micro_alloc(sizeof(*s));

	s->len = len;
	return s;
}

static void mask(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < FRAMES; i++)
		rc_ws_mask(s->bytes, s->len, MASK, 0);
}

static void upgrade(void *state)
{
	struct rc_http_request parsed;
	struct rc_ws_upgrade wanted;
	char answer[512];

	(void)state;
	RC_ASSERT(rc_http_parse(request, sizeof(request) - 1, 8192, &parsed) == 0);
	RC_ASSERT(rc_ws_upgrade_check(&parsed, &wanted) == 0);
	micro_keep(rc_ws_upgrade_answer(answer, sizeof(answer), wanted.key, (struct rc_str){0}));
}

const struct micro_case micro_websocket[] = {
	{"websocket/decode/40B", 40, FRAMES, FRAMES * 40, frames_open, decode, free},
	{"websocket/decode/1KiB", 1024, FRAMES, FRAMES * 1024, frames_open, decode, free},
	{"websocket/mask/40B", 40, FRAMES, FRAMES * 40, mask_open, mask, free},
	{"websocket/mask/1KiB", 1024, FRAMES, FRAMES * 1024, mask_open, mask, free},
	{"websocket/upgrade", 0, 1, sizeof(request) - 1, mask_open, upgrade, free},
	{0},
};
