/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream of ingest frames from anybody. The properties: what the framer says does not depend on how the bytes come in
 * pieces; it never takes more than is there; each slice lies inside the input; what was read and written again gives the
 * same bytes; and a batch passes its check exactly when a walk over it ends well.
 */
#include "proto/binary.h"
#include "proto/ingest.h"
#include "proto/json.h"
#include "proto/names.h"
#include "proto/websocket.h"

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

static void check_target(const struct rc_ingest_target *target, struct rc_str body)
{
	struct rc_str rest = target->list;
	uint32_t count = 0;

	within(target->list, body);
	RC_ASSERT(target->count != 0);
	if (target->kind == RINGCAST_TARGET_SESSION)
		return;
	for (; rest.len; count++) {
		size_t len = 1u + (unsigned char)rest.ptr[0];
		RC_ASSERT(len <= rest.len);
		rest.ptr += len;
		rest.len -= len;
	}
	RC_ASSERT(count == target->count);
}

static void batch(const uint8_t *at, const struct rc_ingest_frame *frame)
{
	uint8_t again[FRAME_MAX];
	struct rc_ingest_batch it;
	struct rc_ingest_publish event;
	uint64_t last = 0;
	bool grows = true;
	size_t used = rc_ingest_batch_encode_begin(again, sizeof(again), frame->flags);
	int rc = rc_ingest_batch_begin(frame->body, frame->flags, &it);

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
	RC_ASSERT((rc_ingest_batch_check(frame->body, frame->flags) == 0) == (rc == 0 && grows));
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

static void check_register(const uint8_t *at, const struct rc_ingest_frame *frame)
{
	static struct rc_ingest_entry entries[FRAME_MAX];
	uint8_t again[FRAME_MAX];
	struct rc_ingest_register in;
	struct rc_ingest_registered out;
	uint32_t count = 0;

	if (rc_ingest_registered_parse(frame->body, &out) == 0)
		same(again, rc_ingest_registered_encode(again, sizeof(again), &out), at, frame);
	if (rc_ingest_register_parse(frame->body, &in) < 0)
		return;
	within(in.list, frame->body);
	struct rc_str rest = in.list;
	while (rc_ingest_register_next(&rest, &entries[count])) {
		within(entries[count].type, frame->body);
		within(entries[count].field, frame->body);
		count++;
	}
	RC_ASSERT(count == in.count && rest.len == 0);
	same(again, rc_ingest_register_encode(again, sizeof(again), in.credit, entries, in.count),
		at, frame);
}

static void check_assign(const uint8_t *at, const struct rc_ingest_frame *frame)
{
	uint8_t again[FRAME_MAX];
	struct rc_ingest_assign in;
	uint32_t count = 0;

	if (rc_ingest_assign_parse(frame->body, &in) < 0)
		return;
	within(in.session, frame->body);
	within(in.names, frame->body);
	for (size_t i = 0; i < in.names.len; i += 1u + (unsigned char)in.names.ptr[i])
		count++;
	RC_ASSERT(in.sequence != 0 && count == in.count && count > 0);
	/* Any number but 0 is on. */
	size_t len = rc_ingest_assign_encode(again, sizeof(again), &in);
	again[8 + 8 + 1 + in.session.len] = at[8 + 8 + 1 + in.session.len];
	same(again, len, at, frame);
}

/* False: it is another frame. */
static bool of_backends(const uint8_t *at, const struct rc_ingest_frame *frame)
{
	uint8_t again[FRAME_MAX];
	struct rc_ingest_command command;
	struct rc_ingest_reply reply;

	switch (frame->type) {
	case RINGCAST_FRAME_REGISTER:
		check_register(at, frame);
		return true;
	case RINGCAST_FRAME_ASSIGN:
		check_assign(at, frame);
		return true;
	case RINGCAST_FRAME_COMMAND:
		if (rc_ingest_command_parse(frame->body, &command) == 0) {
			within(command.session, frame->body);
			within(command.user, frame->body);
			within(command.type, frame->body);
			within(command.message, frame->body);
			within(command.payload, frame->body);
			RC_ASSERT(rc_ingest_command_bytes(&command) == frame->total);
			same(again,
				rc_ingest_command_encode(
					again, sizeof(again), frame->flags, &command),
				at, frame);
		}
		return true;
	case RINGCAST_FRAME_REPLY:
		if (rc_ingest_reply_parse(frame->body, &reply) == 0) {
			within(reply.code, frame->body);
			within(reply.payload, frame->body);
			same(again,
				rc_ingest_reply_encode(again, sizeof(again), frame->flags, &reply),
				at, frame);
			(void)rc_ingest_code_valid(reply.code);
		}
		return true;
	default:
		return false;
	}
}

/* A frame of this type is read in both ways where the two sides say different things in it. */
static void listening(const uint8_t *at, const struct rc_ingest_frame *frame)
{
	uint8_t again[FRAME_MAX];
	struct rc_bin_subscribe subscribe;
	struct rc_bin_subscribed subscribed;
	struct rc_bin_event event;
	struct rc_bin_command command;
	struct rc_bin_gap gap;
	struct rc_bin_position position;
	struct rc_str token;
	uint64_t expires;

	switch (frame->type) {
	case RINGCAST_FRAME_SUBSCRIBE:
		if (rc_bin_subscribe_parse(frame->body, &subscribe) == 0)
			same(again,
				rc_bin_subscribe_encode(
					again, sizeof(again), frame->flags, &subscribe),
				at, frame);
		if (rc_bin_subscribed_parse(frame->body, &subscribed) == 0)
			same(again,
				rc_bin_subscribed_encode(
					again, sizeof(again), frame->flags, &subscribed),
				at, frame);
		return;
	case RINGCAST_FRAME_EVENT:
		if (rc_bin_event_parse(frame->body, frame->flags, &event) == 0)
			same(again, rc_bin_event_encode(again, sizeof(again), &event), at, frame);
		return;
	case RINGCAST_FRAME_COMMAND:
		if (rc_bin_command_parse(frame->body, &command) == 0)
			same(again,
				rc_bin_command_encode(again, sizeof(again), frame->flags, &command),
				at, frame);
		return;
	default:
		break;
	}
	if (frame->flags)
		return;
	switch (frame->type) {
	case RINGCAST_FRAME_GAP:
		if (rc_bin_gap_parse(frame->body, &gap) == 0)
			same(again, rc_bin_gap_encode(again, sizeof(again), &gap), at, frame);
		return;
	case RINGCAST_FRAME_POSITION:
		if (rc_bin_position_parse(frame->body, &position) == 0)
			same(again, rc_bin_position_encode(again, sizeof(again), &position), at,
				frame);
		return;
	case RINGCAST_FRAME_AUTH:
	case RINGCAST_FRAME_REFRESH:
		if (rc_bin_token_parse(frame->body, &token) == 0)
			same(again, rc_bin_token_encode(again, sizeof(again), frame->type, token),
				at, frame);
		if (frame->type == RINGCAST_FRAME_REFRESH &&
			rc_bin_refreshed_parse(frame->body, &expires) == 0)
			same(again, rc_bin_refreshed_encode(again, sizeof(again), expires), at,
				frame);
		return;
	default:
		return;
	}
}

/*
 * What is published here, as others get it of the gateway: the JSON of it, and of that the frame for those who want frames. That must
 * say what the PUBLISH said.
 */
static void delivered(const struct rc_ingest_publish *publish, uint8_t flags)
{
	static uint8_t json[8 * FRAME_MAX], out[8 * FRAME_MAX];
	struct rc_event_encoder encoder = {0};
	bool raw = (publish->sequence & 1) != 0, ws = (publish->sequence & 2) != 0;
	struct rc_event e = {
		.channel = publish->channel,
		.event = publish->event,
		.data = publish->payload,
		.offset = publish->sequence,
		.timestamp_ms = publish->timestamp_ms % 253402300800000ull,
		.json = (flags & RINGCAST_FLAG_JSON) != 0,
	};
	struct rc_ingest_frame frame;
	struct rc_bin_event got;
	struct rc_str whole;
	uint8_t opcode;

	if (rc_name_classify(e.channel) != RC_NAME_CHANNEL || !rc_event_name_valid(e.event) ||
		(e.json && (e.data.len == 0 || rc_json_validate(e.data, 64) < 0)))
		return;
	RC_ASSERT(rc_event_ws_bound(&e, raw) <= sizeof(json));
	struct rc_bin_source source = {.frame = json,
		.len = (uint32_t)rc_event_ws_encode(&encoder, json, &e, raw),
		.raw = raw,
		.channel = e.channel,
		.offset = e.offset};
	size_t bound = rc_bin_rendition_bound(&source);
	RC_ASSERT(bound <= sizeof(out));
	whole = (struct rc_str){(char *)out, rc_bin_rendition(out, &source, ws)};
	RC_ASSERT(whole.len > 0 && whole.len <= bound);
	if (ws)
		RC_ASSERT(rc_ws_message_in(out, whole.len, &opcode, &whole) &&
			  opcode == RC_WS_BINARY);
	RC_ASSERT(rc_ingest_frame(whole.ptr, whole.len, sizeof(out), &frame) == 0 &&
		  frame.total == whole.len);
	RC_ASSERT(rc_bin_event_parse(frame.body, frame.flags, &got) == 0);
	RC_ASSERT(got.offset == e.offset && rc_str_eq(got.channel, e.channel) &&
		  rc_str_eq(got.payload, e.data) && !(got.flags & RINGCAST_FLAG_JSON) == !e.json);
	RC_ASSERT(raw ? got.event.len == 0 && got.timestamp_ms == 0
		      : rc_str_eq(got.event, e.event) && got.timestamp_ms == e.timestamp_ms);
}

static void body(const uint8_t *at, struct rc_ingest_frame *frame)
{
	uint8_t again[FRAME_MAX];
	struct rc_ingest_publish event;
	struct rc_ingest_send send;
	struct rc_ingest_close close;
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
		if (rc_ingest_publish_parse(frame->body, frame->flags, &event) == 0) {
			check_event(&event, frame->body);
			delivered(&event, frame->flags);
			same(again,
				rc_ingest_publish_encode(
					again, sizeof(again), frame->flags, &event),
				at, frame);
		}
		return;
	case RINGCAST_FRAME_BROADCAST:
		if (rc_ingest_broadcast_parse(frame->body, frame->flags, &event) == 0) {
			check_event(&event, frame->body);
			same(again,
				rc_ingest_broadcast_encode(
					again, sizeof(again), frame->flags, &event),
				at, frame);
		}
		return;
	case RINGCAST_FRAME_SEND:
		if (rc_ingest_send_parse(frame->body, &send) == 0) {
			check_event(&send.event, frame->body);
			check_target(&send.target, frame->body);
			same(again,
				rc_ingest_send_encode(again, sizeof(again), frame->flags, &send),
				at, frame);
		}
		return;
	case RINGCAST_FRAME_CLOSE:
		if (rc_ingest_close_parse(frame->body, &close) == 0) {
			RC_ASSERT(close.sequence != 0);
			within(close.reason, frame->body);
			check_target(&close.target, frame->body);
			same(again,
				rc_ingest_close_encode(again, sizeof(again), frame->flags, &close),
				at, frame);
		}
		return;
	case RINGCAST_FRAME_BATCH:
		batch(at, frame);
		return;
	default:
		listening(at, frame);
		break;
	}
	/* The encoders of what follows set the flags themselves. */
	if ((frame->flags & ~rc_ingest_flags_known(frame->type)) != 0 || of_backends(at, frame))
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
