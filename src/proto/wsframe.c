/* SPDX-License-Identifier: Apache-2.0
 *
 * WebSocket headers, masks and close frames for what is sent. See websocket.h.
 */
#include "proto/websocket.h"

#include <assert.h>

#include "base/simd.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the mask's first byte is its lowest");

size_t rc_ws_header_len(uint64_t len)
{
	return len < 126 ? 2 : len < 0x10000 ? 4 : 10;
}

size_t rc_ws_header(unsigned char out[10], uint8_t opcode, bool fin, uint64_t len)
{
	size_t header_len = rc_ws_header_len(len);

	RC_DASSERT(opcode <= 0x0f && len >> 63 == 0);
	out[0] = (unsigned char)(opcode | (fin ? 0x80 : 0));
	out[1] = (unsigned char)(header_len == 2 ? len : header_len == 4 ? 126 : 127);
	for (size_t i = header_len - 1; i >= 2; i--, len >>= 8)
		out[i] = (unsigned char)len;
	return header_len;
}

bool rc_ws_message_in(
	const unsigned char *frame, size_t len, uint8_t *opcode, struct rc_str *payload)
{
	size_t header_len;
	uint64_t size;

	if (len < 2 || (frame[0] != (0x80 | RC_WS_TEXT) && frame[0] != (0x80 | RC_WS_BINARY)))
		return false;
	header_len = frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10;
	size = header_len == 2 ? frame[1] : 0;
	if (frame[1] & 0x80 || len < header_len)
		return false;
	for (size_t i = 2; i < header_len; i++)
		size = size << 8 | frame[i];
	if (size != len - header_len || rc_ws_header_len(size) != header_len)
		return false;
	*opcode = frame[0] & 0x0f;
	*payload = (struct rc_str){(const char *)frame + header_len, (size_t)size};
	return true;
}

size_t rc_ws_masked_header(
	unsigned char out[14], uint8_t opcode, bool fin, uint64_t len, uint32_t mask)
{
	size_t header_len = rc_ws_header(out, opcode, fin, len);

	out[1] |= 0x80;
	memcpy(out + header_len, &mask, sizeof(mask));
	return header_len + sizeof(mask);
}

void rc_ws_mask_plain(void *bytes, size_t len, uint32_t mask, uint64_t phase)
{
	unsigned char *p = bytes;
	unsigned char key[8];
	uint64_t word, block;

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = ((const unsigned char *)&mask)[(phase + i) & 3];
	memcpy(&word, key, sizeof(word));
	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&block, p, sizeof(block));
		block ^= word;
		memcpy(p, &block, sizeof(block));
	}
	for (size_t i = 0; i < len; i++)
		p[i] ^= key[i];
}

static inline void mask_16(unsigned char *p, rc_v16 key)
{
	rc_v16_store(p, rc_v16_load(p) ^ key);
}

void rc_ws_mask(void *bytes, size_t len, uint32_t mask, uint64_t phase)
{
	unsigned char *p = bytes;
	uint32_t turn = (uint32_t)(phase & 3) * 8;
	/* The phase's byte becomes the first, which is the lowest. */
	uint32_t four = mask >> turn | mask << (-turn & 31);
	uint64_t eight = (uint64_t)four << 32 | four;

	if (len >= RC_V16) {
		rc_v16 key = rc_v16_twice(eight);

		for (; len >= 4 * RC_V16; len -= 4 * RC_V16, p += 4 * RC_V16) {
			mask_16(p, key);
			mask_16(p + RC_V16, key);
			mask_16(p + 2 * RC_V16, key);
			mask_16(p + 3 * RC_V16, key);
		}
		for (; len >= RC_V16; len -= RC_V16, p += RC_V16)
			mask_16(p, key);
	}
	/* What is left, by halves: most messages are too short for more. */
	if (len & 8) {
		uint64_t block;

		memcpy(&block, p, sizeof(block));
		block ^= eight;
		memcpy(p, &block, sizeof(block));
		p += sizeof(block);
	}
	if (len & 4) {
		uint32_t block;

		memcpy(&block, p, sizeof(block));
		block ^= four;
		memcpy(p, &block, sizeof(block));
		p += sizeof(block);
	}
	for (size_t i = 0; i < (len & 3); i++, four >>= 8)
		p[i] ^= (unsigned char)four;
}

size_t rc_ws_close_frame(
	unsigned char out[RC_WS_CLOSE_FRAME_MAX], uint16_t code, const char *reason)
{
	size_t reason_len = reason != NULL ? strlen(reason) : 0;

	RC_ASSERT(code == 1005 || rc_ws_close_code_valid(code));
	if (code == 1005)
		return rc_ws_header(out, RC_WS_CLOSE, true, 0);
	if (reason_len > RC_WS_CONTROL_MAX - 2) {
		reason_len = RC_WS_CONTROL_MAX - 2;
		while (reason_len > 0 && ((unsigned char)reason[reason_len] & 0xc0) == 0x80)
			reason_len--;
	}
	rc_ws_header(out, RC_WS_CLOSE, true, 2 + reason_len);
	out[2] = (unsigned char)(code >> 8);
	out[3] = (unsigned char)code;
	if (reason_len > 0)
		memcpy(out + 4, reason, reason_len);
	return 4 + reason_len;
}

bool rc_ws_close_code_valid(uint16_t code)
{
	if (code >= 3000)
		return code <= 4999;
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}
