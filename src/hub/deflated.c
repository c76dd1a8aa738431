/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/deflated.h"

#include "hub/hub.h"
#include "proto/websocket.h"

size_t rc_deflated_bytes(uint32_t frame_max)
{
	return rc_align_up(rc_deflater_bytes(), 64) +
	       (RC_DEFLATED_KEPT + 1) * rc_align_up((size_t)frame_max, 64);
}

void rc_deflated_init(struct rc_deflated *d, void *memory, uint32_t frame_max, int level)
{
	unsigned char *next = (unsigned char *)memory + rc_align_up(rc_deflater_bytes(), 64);

	memset(d, 0, sizeof(*d));
	d->deflater = rc_deflater_init(memory, level);
	for (uint32_t i = 0; i < RC_DEFLATED_KEPT; i++) {
		d->made[i].bytes = next;
		next += rc_align_up((size_t)frame_max, 64);
	}
	d->own = next;
}

/* Bytes written to out, which has as many as the frame; 0: not worth it. */
static uint32_t deflate_frame(
	struct rc_hub *h, const unsigned char *frame, uint32_t len, int bits, unsigned char *out)
{
	struct rc_str payload;
	uint8_t opcode;

	if (!rc_ws_message_in(frame, len, &opcode, &payload) || payload.len < h->limits.deflate_min)
		return 0;
	/* Behind the largest header that it may need; it moves down to the one that it does need. */
	size_t header_len = rc_ws_header_len(payload.len);
	size_t worth = payload.len - payload.len / 16;
	size_t made = rc_deflate(
		h->deflated.deflater, bits, payload.ptr, payload.len, out + header_len, worth);
	rc_count(h->counters, RC_C_deflate_made, 1);
	if (made == 0) {
		rc_count(h->counters, RC_C_deflate_in_vain, 1);
		return 0;
	}
	size_t shorter = rc_ws_header_len(made);
	if (shorter < header_len)
		memmove(out + shorter, out + header_len, made);
	(void)rc_ws_header(out, opcode, true, made);
	out[0] |= RC_WS_RSV1;
	rc_count(h->counters, RC_C_deflate_bytes_in, payload.len);
	rc_count(h->counters, RC_C_deflate_bytes_out, made);
	return (uint32_t)(shorter + made);
}

static size_t take(const unsigned char *frame, uint32_t len, const unsigned char *made,
	uint32_t made_len, unsigned char *out)
{
	if (made_len == 0) {
		memcpy(out, frame, len);
		return len;
	}
	memcpy(out, made, made_len);
	return made_len;
}

size_t rc_deflated_frame(
	struct rc_hub *h, const unsigned char *frame, uint32_t len, int bits, unsigned char *out)
{
	struct rc_deflated *d = &h->deflated;
	/* A window as large as the frame is as good as any larger one. */
	uint8_t window = (uint8_t)rc_deflate_window(bits, len);
	uint32_t i = 0;

	if (!d->live || !d->deflater || len > h->limits.frame_max) {
		memcpy(out, frame, len);
		return len;
	}
	if (d->told && frame == d->told_frame && window == RC_DEFLATE_BITS_MAX)
		return take(frame, len, d->told, d->told_len, out);
	while (i < d->kept && (d->made[i].frame != frame || d->made[i].bits != window))
		i++;
	if (i == d->kept) {
		i = d->kept < RC_DEFLATED_KEPT ? d->kept++ : d->next++ % RC_DEFLATED_KEPT;
		d->made[i].frame = frame;
		d->made[i].frame_len = len;
		d->made[i].bits = window;
		d->made[i].len = deflate_frame(h, frame, len, window, d->made[i].bytes);
	}
	RC_DASSERT(d->made[i].frame_len == len);
	return take(frame, len, d->made[i].bytes, d->made[i].len, out);
}

const unsigned char *rc_deflated_of_owner(
	struct rc_hub *h, const unsigned char *frame, uint32_t len, uint32_t *deflated_len)
{
	*deflated_len = deflate_frame(h, frame, len, RC_DEFLATE_BITS_MAX, h->deflated.own);
	return h->deflated.own;
}
