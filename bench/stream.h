/* SPDX-License-Identifier: Apache-2.0
 *
 * What one subscriber receives, checked at the price of a few instructions a frame. All events of a run have the same
 * channel, name and payload size, and offsets that begin at 1, so the length of each frame is known beforehand: every
 * frame's header is held against it, and of each stretch that arrives the last frame is compared byte by byte (all but the
 * time). A subscriber to whom an event was lost, doubled or cut can't pass, nor a server that alters events.
 *
 *   81 7e len16 | {"type":"event","channel":"…","event":"tick","offset":  42  ,"timestamp":"  …  ","data":  "…"  }
 *    header       front                                                 digits  middle      24    back     payload
 */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include "publisher.h"

#define BENCH_ISO_LEN    24
#define BENCH_HEADER_LEN 4
#define BENCH_MIDDLE     ",\"timestamp\":\""
#define BENCH_BACK       "\",\"data\":"
#define BENCH_MIDDLE_LEN (sizeof(BENCH_MIDDLE) - 1)
#define BENCH_BACK_LEN   (sizeof(BENCH_BACK) - 1)
/* Payload and envelope of a frame with a 16-bit length: no more than 64 KiB. */
#define BENCH_PAYLOAD_MAX 65000

struct bench_layout {
	char front[512];
	size_t front_len;
	size_t payload_len;
	const char *payload; /* that of any event: all but the stamp is the same in each */
	size_t total_min;    /* of a frame whose offset has one digit */
};

/* The frame of the next offset; offsets from next_pow10 on have a digit more. */
struct bench_sub {
	int fd;
	uint32_t rest_len; /* of a frame whose end has not arrived, in rest */
	uint32_t header;   /* the four bytes that the next frame begins with */
	uint32_t total;    /* and its length in all */
	uint64_t offset;   /* of the last frame that arrived */
	uint64_t pow10;    /* the first offset with one more digit than the next */
	uint64_t bytes;    /* of whole event frames */
	unsigned char *rest;
};

static inline void bench_layout_init(
	struct bench_layout *layout, const char *channel, size_t payload_len)
{
	char *payload = bench_alloc(payload_len, 1);
	int n = snprintf(layout->front, sizeof(layout->front),
		"{\"type\":\"event\",\"channel\":\"%s\",\"event\":\"" BENCH_EVENT "\",\"offset\":",
		channel);

	RC_ASSERT(n > 0 && (size_t)n < sizeof(layout->front));
	layout->front_len = (size_t)n;
	bench_payload_fill(payload, payload_len);
	layout->payload = payload;
	layout->payload_len = payload_len;
	layout->total_min = BENCH_HEADER_LEN + layout->front_len + 1 + BENCH_MIDDLE_LEN +
			    BENCH_ISO_LEN + BENCH_BACK_LEN + payload_len + 1;
}

static inline void bench_sub_expect(struct bench_sub *sub, const struct bench_layout *layout)
{
	uint32_t digits = 1, body;
	unsigned char header[BENCH_HEADER_LEN];

	sub->pow10 = 10;
	while (sub->offset + 1 >= sub->pow10) {
		sub->pow10 *= 10;
		digits++;
	}
	sub->total = (uint32_t)layout->total_min - 1 + digits;
	body = sub->total - BENCH_HEADER_LEN;
	header[0] = 0x81;
	header[1] = 126;
	header[2] = (unsigned char)(body >> 8);
	header[3] = (unsigned char)body;
	memcpy(&sub->header, header, sizeof(header));
}

static inline void bench_sub_init(struct bench_sub *sub, int fd, const struct bench_layout *layout)
{
	*sub = (struct bench_sub){.fd = fd};
	bench_sub_expect(sub, layout);
	sub->rest = bench_alloc(layout->total_min + 32, 1);
}

_Noreturn static inline void bench_sub_wrong(
	const struct bench_sub *sub, const char *what, const unsigned char *frame, size_t len)
{
	size_t head = RC_MIN(len, (size_t)BENCH_HEADER_LEN);

	bench_die("subscriber %d, after offset %llu: %s: '%.*s'", sub->fd,
		(unsigned long long)sub->offset, what, (int)RC_MIN(len - head, 300),
		(const char *)frame + head);
}

/* Reads the frame of offset sub->offset. */
static inline void bench_sub_verify(
	const struct bench_sub *sub, const struct bench_layout *layout, const unsigned char *frame)
{
	const unsigned char *at = frame + BENCH_HEADER_LEN;
	char stamp[BENCH_STAMP_LEN];
	uint64_t offset = 0;

	if (memcmp(at, layout->front, layout->front_len) != 0)
		bench_sub_wrong(sub, "not the envelope", frame, sub->total);
	for (at += layout->front_len; *at >= '0' && *at <= '9'; at++)
		offset = offset * 10 + (uint64_t)(*at - '0');
	if (offset != sub->offset)
		bench_sub_wrong(sub, "not the offset", frame, sub->total);
	bench_stamp(stamp, offset);
	if (memcmp(at, BENCH_MIDDLE, BENCH_MIDDLE_LEN) != 0)
		bench_sub_wrong(sub, "not the envelope", frame, sub->total);
	at += BENCH_MIDDLE_LEN + BENCH_ISO_LEN;
	if (memcmp(at, BENCH_BACK, BENCH_BACK_LEN) != 0)
		bench_sub_wrong(sub, "not the envelope", frame, sub->total);
	at += BENCH_BACK_LEN;
	if (at[0] != '"' || memcmp(at + 1, stamp, sizeof(stamp)) != 0 ||
		memcmp(at + 1 + sizeof(stamp), layout->payload + 1 + sizeof(stamp),
			layout->payload_len - 1 - sizeof(stamp)) != 0 ||
		at[layout->payload_len] != '}')
		bench_sub_wrong(sub, "not the payload", frame, sub->total);
}

/* A frame that is no event: bytes of it, or 0 when its end has not arrived. */
static inline size_t bench_sub_other(
	const struct bench_sub *sub, const unsigned char *frame, size_t len)
{
	static const unsigned char pong[] = {0x8a, 0x80, 0, 0, 0, 0};
	size_t head = 2, body;

	if (len < 4)
		return len == 2 && frame[1] == 0 ? 2 : 0;
	body = frame[1];
	if (body == 126) {
		head = 4;
		body = (size_t)frame[2] << 8 | frame[3];
	}
	if (body == 127 || head + body > sub->total)
		bench_sub_wrong(sub, "a frame of another length", frame, len);
	if (len < head + body)
		return 0;
	if (frame[0] == 0x89)
		bench_send_all(sub->fd, pong, sizeof(pong));
	else if (frame[0] != 0x81 || !memmem(frame, head + body, "\"type\":\"ping\"", 13))
		bench_sub_wrong(sub, "not an event", frame, len);
	return head + body;
}

/*
 * Takes the whole frames of what arrived and keeps the rest. The caller put sub->rest in front of it and gives the room
 * back afterwards.
 */
static inline void bench_sub_take(struct bench_sub *sub, const struct bench_layout *layout,
	const unsigned char *bytes, size_t len)
{
	const unsigned char *at = bytes, *end = bytes + len, *last = NULL;
	uint32_t header, last_total = 0;
	size_t other;

	for (;;) {
		size_t left = (size_t)(end - at);

		/* A ping is shorter than the four bytes that tell events apart. */
		if (left < BENCH_HEADER_LEN && !(left >= 2 && at[0] == 0x89 && at[1] == 0))
			break;
		if (at[0] == 0x89 && at[1] == 0) {
			at += bench_sub_other(sub, at, 2);
			continue;
		}
		memcpy(&header, at, sizeof(header));
		if (RC_LIKELY(header == sub->header)) {
			if (left < sub->total)
				break;
			last = at;
			last_total = sub->total;
			at += sub->total;
			sub->bytes += sub->total;
			sub->offset++;
			if (RC_UNLIKELY(sub->offset + 1 >= sub->pow10))
				bench_sub_expect(sub, layout);
			continue;
		}
		other = bench_sub_other(sub, at, left);
		if (other == 0)
			break;
		at += other;
	}
	if (last) {
		RC_DASSERT(last_total > 0);
		bench_sub_verify(sub, layout, last);
	}
	sub->rest_len = (uint32_t)(end - at);
	if (sub->rest_len)
		memcpy(sub->rest, at, sub->rest_len);
}

/* Bytes that the event frames of offsets 1 to `offset` have together. */
static inline uint64_t bench_layout_bytes(const struct bench_layout *layout, uint64_t offset)
{
	uint64_t bytes = offset * layout->total_min;

	for (uint64_t pow10 = 10; pow10 <= offset; pow10 *= 10)
		bytes += offset - pow10 + 1;
	return bytes;
}

#endif
