/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream of ingest frames from anybody. The properties: what the framer says does not depend on how the bytes come in
 * pieces; it never takes more than is there; each slice lies inside the input; what was read and written again gives the
 * same bytes; and a batch passes its check exactly when a walk over it ends well.
 */
#include "proto/ingest.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAME_MAX 4096

static void within(struct rc_str part, struct rc_str whole)
{
	if (part.len != 0)
		RC_ASSERT(part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

/* What was encoded again against what was read. */
static void same(
	const uint8_t *again, size_t len, const uint8_t *at, const struct rc_ingest_frame *frame)
{
	RC_ASSERT(len == frame->total);
	RC_ASSERT(memcmp(again, at, len) == 0);
}

static void check_event(const struct rc_ingest_publish *event, struct rc_str body)
{
	RC_ASSERT(event->sequence != 0);
	within(event->channel, body);
	within(event->event, body);
	within(event->payload, body);
}

static void batch(const uint8_t *at, const struct rc_ingest_frame *frame)
{
	uint8_t again[FRAME_MAX];
	struct rc_ingest_batch it;
	struct rc_ingest_publish event;
	uint64_t last = 0;
	bool grows = true;
	size_t used = rc_ingest_batch_encode_begin(again, sizeof(again), frame->flags);
	int rc = rc_ingest_batch_begin(frame->body, &it);

	while (rc == 0 && (rc = rc_ingest_batch_next(&it, &event)) == 1) {
		check_event(&event, frame->body);
		grows = grows && event.sequence > last;
		last = event.sequence;
		used = rc_ingest_batch_encode_add(again, sizeof(again), used, &event);
		RC_ASSERT(used != 0);
		rc = 0;
		if (it.left == 0) {
			rc = rc_ingest_batch_next(&it, &event);
			if (rc == 0)
				same(again, rc_ingest_batch_encode_end(again, used), at, frame);
			break;
		}
	}
	RC_ASSERT((rc_ingest_batch_check(frame->body) == 0) == (rc == 0 && grows));
}

static void hello(const uint8_t *at, const struct rc_ingest_frame *frame)
{
	uint8_t again[FRAME_MAX];
	struct rc_ingest_hello in;
	struct rc_ingest_welcome out;
	size_t len;

	if (rc_ingest_hello_parse(frame->body, &in) == 0) {
		within(in.publisher, frame->body);
		within(in.token, frame->body);
		len = rc_ingest_hello_encode(again, sizeof(again), &in);
		RC_ASSERT(len != 0 && len <= frame->total);
		RC_ASSERT(memcmp(again + 8, at + 8, len - 8) == 0);
	}
	if (rc_ingest_welcome_parse(frame->body, &out) == 0) {
		within(out.server, frame->body);
		len = rc_ingest_welcome_encode(again, sizeof(again), &out);
		RC_ASSERT(len != 0 && len <= frame->total);
		RC_ASSERT(memcmp(again + 8, at + 8, len - 8) == 0);
	}
}

static void body(const uint8_t *at, struct rc_ingest_frame *frame)
{
	uint8_t again[FRAME_MAX];
	struct rc_ingest_publish event;
	struct rc_ingest_ack ack;
	struct rc_ingest_nack nack;
	struct rc_ingest_error error;
	struct rc_ingest_bye bye;
	uint32_t credit;
	uint64_t token;

	switch (frame->type) {
	case RINGCAST_FRAME_HELLO:
		hello(at, frame);
		return;
	case RINGCAST_FRAME_PUBLISH:
		if (rc_ingest_publish_parse(frame->body, &event) == 0) {
			check_event(&event, frame->body);
			same(again,
				rc_ingest_publish_encode(
					again, sizeof(again), frame->flags, &event),
				at, frame);
		}
		return;
	case RINGCAST_FRAME_BROADCAST:
		if (rc_ingest_broadcast_parse(frame->body, &event) == 0) {
			check_event(&event, frame->body);
			same(again,
				rc_ingest_broadcast_encode(
					again, sizeof(again), frame->flags, &event),
				at, frame);
		}
		return;
	case RINGCAST_FRAME_BATCH:
		batch(at, frame);
		return;
	default:
		break;
	}
	/* The encoders of what follows set the flags themselves. */
	if ((frame->flags & ~rc_ingest_flags_known(frame->type)) != 0)
		return;
	switch (frame->type) {
	case RINGCAST_FRAME_ACK:
		if (rc_ingest_ack_parse(frame->body, frame->flags, &ack) == 0)
			same(again, rc_ingest_ack_encode(again, sizeof(again), &ack), at, frame);
		return;
	case RINGCAST_FRAME_NACK:
		if (rc_ingest_nack_parse(frame->body, &nack) == 0)
			same(again, rc_ingest_nack_encode(again, sizeof(again), &nack), at, frame);
		return;
	case RINGCAST_FRAME_FLOW:
		if (rc_ingest_flow_parse(frame->body, &credit) == 0)
			same(again, rc_ingest_flow_encode(again, sizeof(again), credit), at, frame);
		return;
	case RINGCAST_FRAME_PING:
		if (rc_ingest_ping_parse(frame->body, &token) == 0)
			same(again, rc_ingest_ping_encode(again, sizeof(again), token), at, frame);
		return;
	case RINGCAST_FRAME_PONG:
		if (rc_ingest_ping_parse(frame->body, &token) == 0)
			same(again, rc_ingest_pong_encode(again, sizeof(again), token), at, frame);
		return;
	case RINGCAST_FRAME_ERROR:
		if (rc_ingest_error_parse(frame->body, &error) == 0)
			same(again, rc_ingest_error_encode(again, sizeof(again), &error), at,
				frame);
		return;
	case RINGCAST_FRAME_BYE:
		if (rc_ingest_bye_parse(frame->body, &bye) == 0)
			same(again, rc_ingest_bye_encode(again, sizeof(again), &bye), at, frame);
		return;
	default:
		return;
	}
}

/* The same frame, seen when only the first bytes of it were there. */
static void in_pieces(
	const uint8_t *at, size_t len, int whole_rc, const struct rc_ingest_frame *whole)
{
	struct rc_ingest_frame part;
	size_t limit = whole_rc == 0 ? whole->total : len;

	for (size_t cut = 0; cut < limit; cut += 1 + cut / 8) {
		int rc = rc_ingest_frame(at, cut, FRAME_MAX, &part);
		RC_ASSERT(rc == 1 || rc == whole_rc);
		if (whole_rc == 0)
			RC_ASSERT(rc == 1 && (part.total == 0) == (cut < 4));
		if (rc == 1 && part.total != 0)
			RC_ASSERT(part.total > cut && part.total <= FRAME_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	while (true) {
		/* A copy of its own for each step, so that a read beyond the end is seen. */
		uint8_t *at = malloc(size ? size : 1);
		struct rc_ingest_frame frame;
		int rc;

		if (!at)
			return 0;
		if (size)
			memcpy(at, data, size);
		rc = rc_ingest_frame(at, size, FRAME_MAX, &frame);
		RC_ASSERT(rc == 0 || rc == 1 || rc == -EMSGSIZE || rc == -EBADMSG);
		in_pieces(at, size, rc, &frame);
		if (rc == 0) {
			RC_ASSERT(frame.total >= 8 && frame.total <= size &&
				  frame.total <= FRAME_MAX);
			within(frame.body, (struct rc_str){(char *)at, frame.total});
			body(at, &frame);
			data += frame.total;
			size -= frame.total;
		}
		free(at);
		if (rc != 0)
			return 0;
	}
}
