/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "floor.h"
#include "proto/websocket.h"

#define RING_BYTES (8u << 20)
#define FRAMES_MAX 65536u /* ends of frames that are remembered */

static bool raw;
static unsigned char *ring;
static uint64_t tail, frame_tail;
static uint64_t frame_end[FRAMES_MAX];
static uint64_t offset;                    /* of the last event */
static char channel[RINGCAST_CHANNEL_MAX]; /* and its channel: another one begins at offset 1 */
static size_t channel_len;

void floor_ring_open(bool raw_frames)
{
	int fd = memfd_create("floor", MFD_CLOEXEC);
	unsigned char *room =
		mmap(NULL, 2 * (size_t)RING_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || ftruncate(fd, RING_BYTES) || room == MAP_FAILED ||
		mmap(room, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
			MAP_FAILED ||
		mmap(room + RING_BYTES, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			fd, 0) == MAP_FAILED)
		floor_die_errno("the ring's memory");
	close(fd);
	ring = room;
	raw = raw_frames;
}

uint64_t floor_ring_tail(void)
{
	return tail;
}

uint64_t floor_ring_frames(void)
{
	return frame_tail;
}

uint64_t floor_ring_frame_end(uint64_t frame)
{
	return frame_end[frame % FRAMES_MAX];
}

const unsigned char *floor_ring_at(uint64_t pos)
{
	if (tail - pos > RING_BYTES)
		floor_die("a client is more than %u bytes behind", RING_BYTES);
	return ring + (pos & (RING_BYTES - 1));
}

static unsigned char *append(unsigned char *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

static unsigned char *encode(unsigned char *first, const struct rc_ingest_publish *event)
{
	char text[64 + RINGCAST_CHANNEL_MAX + RINGCAST_EVENT_MAX], iso[RC_ISO8601_LEN];
	unsigned char *at;
	size_t len, body;

	if (!rc_str_eq(event->channel, (struct rc_str){channel, channel_len})) {
		channel_len = event->channel.len;
		memcpy(channel, event->channel.ptr, channel_len);
		offset = 0;
	}
	len = (size_t)snprintf(text, sizeof(text),
		"{\"type\":\"event\",\"channel\":\"%.*s\",\"event\":\"%.*s\",\"offset\":%llu",
		(int)event->channel.len, event->channel.ptr, (int)event->event.len,
		event->event.ptr, (unsigned long long)++offset);
	body = len + sizeof(",\"timestamp\":\"\",\"data\":}") - 1 + sizeof(iso) +
	       event->payload.len;
	rc_clock_iso8601(rc_clock_wall_ms(), iso);
	at = first + rc_ws_header(first, RC_WS_TEXT, true, body);
	at = append(at, text, len);
	at = append(at, ",\"timestamp\":\"", 14);
	at = append(at, iso, sizeof(iso));
	at = append(at, "\",\"data\":", 9);
	at = append(at, event->payload.ptr, event->payload.len);
	*at++ = '}';
	RC_ASSERT((size_t)(at - first) == body + rc_ws_header_len(body));
	return at;
}

void floor_ring_append(const struct rc_ingest_publish *event)
{
	unsigned char *first = ring + (tail & (RING_BYTES - 1)), *end;

	if (raw) {
		end = first + rc_ws_header(first, RC_WS_TEXT, true, event->payload.len);
		end = append(end, event->payload.ptr, event->payload.len);
	} else {
		end = encode(first, event);
	}
	tail += (size_t)(end - first);
	frame_end[frame_tail++ % FRAMES_MAX] = tail;
}
