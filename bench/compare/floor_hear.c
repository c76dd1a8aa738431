/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/socket.h>

#include "floor.h"
#include "proto/websocket.h"
#include "proto/wsupgrade.h"

#define FRAME_MAX (2u << 20)
#define CREDIT    65535u

/* ---- clients ----------------------------------------------------------------------------------- */

static void answer(struct floor_client *c, const void *bytes, size_t len)
{
	if (c->ssl)
		floor_tls_send(c, bytes, len);
	else
		floor_send_all(c->fd, bytes, len);
}

static ssize_t receive(struct floor_client *c, void *bytes, size_t size)
{
	return c->ssl ? floor_tls_receive(c, bytes, size) : recv(c->fd, bytes, size, MSG_DONTWAIT);
}

/* The key is all that is read of the request. */
static void upgrade(struct floor_client *c, const char *request, size_t len)
{
	static const char field[] = "Sec-WebSocket-Key: ";
	const char *at = memmem(request, len, field, sizeof(field) - 1);
	struct rc_str key = {.len = 24};
	char head[512];

	if (!at)
		floor_die("an upgrade without Sec-WebSocket-Key");
	key.ptr = at + sizeof(field) - 1;
	if (key.ptr + key.len > request + len)
		floor_die("an upgrade came in pieces");
	answer(c, head, rc_ws_upgrade_answer(head, sizeof(head), key, (struct rc_str){0}));
}

/* Whether a frame asks for a subscription: what else clients say is of no interest. */
static bool subscribes(unsigned char *frame, size_t len)
{
	size_t head = len > 1 && (frame[1] & 0x7f) == 126 ? 8 : 6;
	uint32_t mask;

	if (len <= head)
		return false;
	memcpy(&mask, frame + head - sizeof(mask), sizeof(mask));
	rc_ws_mask(frame + head, len - head, mask, 0);
	return memmem(frame + head, len - head, "subscribe", 9);
}

/* A client says one thing at a time here, whole: the upgrade, then a subscription to the channel that there is. */
bool floor_hear_client(struct floor_client *c)
{
	static const char ack[] = "\x81\x1b{\"type\":\"subscription-ack\"}";
	unsigned char bytes[4096];
	ssize_t n;

	while ((n = receive(c, bytes, sizeof(bytes))) > 0) {
		if (!c->upgraded) {
			upgrade(c, (const char *)bytes, (size_t)n);
			c->upgraded = true;
		} else if (!c->subscribed && subscribes(bytes, (size_t)n)) {
			answer(c, ack, sizeof(ack) - 1);
			c->subscribed = true;
			c->pos = floor_ring_tail();
			c->frame = floor_ring_frames();
		}
	}
	return n < 0 && errno == EAGAIN;
}

/* ---- publishers -------------------------------------------------------------------------------- */

static void acknowledge(int fd, uint64_t sequence)
{
	struct rc_ingest_ack ack = {.sequence = sequence};
	unsigned char out[64];

	floor_send_all(fd, out, rc_ingest_ack_encode(out, sizeof(out), &ack));
}

/* *last: the sequence to acknowledge when all that is there was read, as the gateway does it; 0: none. */
static void obey(int fd, const struct rc_ingest_frame *frame, uint64_t *last)
{
	struct rc_ingest_publish event;
	struct rc_ingest_batch batch;
	struct rc_ingest_welcome welcome = {.version = RINGCAST_WIRE_VERSION,
		.server = RC_STR("floor"),
		.frame_max = FRAME_MAX,
		.message_max = UINT16_MAX,
		.credit = CREDIT};
	unsigned char out[128];

	switch (frame->type) {
	case RINGCAST_FRAME_HELLO:
		floor_send_all(fd, out, rc_ingest_welcome_encode(out, sizeof(out), &welcome));
		return;
	case RINGCAST_FRAME_PUBLISH:
		if (rc_ingest_publish_parse(frame->body, frame->flags, &event))
			floor_die("a PUBLISH can't be read");
		floor_ring_append(&event);
		*last = event.sequence;
		return;
	case RINGCAST_FRAME_BATCH:
		if (rc_ingest_batch_begin(frame->body, frame->flags, &batch))
			floor_die("a BATCH can't be read");
		while (rc_ingest_batch_next(&batch, &event) > 0)
			floor_ring_append(&event);
		*last = event.sequence;
		return;
	default:
		return;
	}
}

bool floor_hear_feed(int fd, struct floor_feed *feed)
{
	struct rc_ingest_frame frame;
	uint64_t last = 0;
	bool alive;
	size_t at = 0;
	ssize_t n;
	int rc;

	while ((n = recv(fd, feed->bytes + feed->len, sizeof(feed->bytes) - feed->len,
			MSG_DONTWAIT)) > 0) {
		feed->len += (size_t)n;
		if (feed->len == sizeof(feed->bytes))
			break;
	}
	alive = n > 0 || (n < 0 && errno == EAGAIN);
	while ((rc = rc_ingest_frame(feed->bytes + at, feed->len - at, FRAME_MAX, &frame)) == 0) {
		obey(fd, &frame, &last);
		at += frame.total;
	}
	if (last)
		acknowledge(fd, last);
	feed->len -= at;
	memmove(feed->bytes, feed->bytes + at, feed->len);
	return alive && rc >= 0;
}
