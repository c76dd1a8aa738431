/* SPDX-License-Identifier: Apache-2.0
 *
 * SEND and CLOSE of the ingest protocol: to users and sessions. Pure, any thread.
 */
#include "proto/ingest_cursor.h"

static void take_target(struct in *in, struct rc_ingest_target *out)
{
	const unsigned char *from;

	out->kind = take_u8(in);
	out->count = 1;
	if (out->kind == RINGCAST_TARGET_SESSION) {
		out->list = take_bytes(in, take_u8(in));
		return;
	}
	if (out->kind == RINGCAST_TARGET_USERS)
		out->count = take_u16(in);
	else if (out->kind != RINGCAST_TARGET_USER)
		in->short_of = true;
	in->short_of |= out->count == 0;
	from = in->at;
	for (uint32_t i = 0; i < out->count && !in->short_of; i++)
		(void)take_bytes(in, take_u8(in));
	out->list = (struct rc_str){(const char *)from, (size_t)(in->at - from)};
}

int rc_ingest_send_parse(struct rc_str body, struct rc_ingest_send *out)
{
	struct in in = in_of(body);

	*out = (struct rc_ingest_send){.event.channel = {"", 0}};
	out->event.sequence = take_u64(&in);
	take_target(&in, &out->target);
	out->event.event = take_bytes(&in, take_u8(&in));
	out->event.timestamp_ms = take_u64(&in);
	out->event.payload = take_bytes(&in, in.left);
	return in.short_of || out->event.sequence == 0 ? -EBADMSG : 0;
}

int rc_ingest_close_parse(struct rc_str body, struct rc_ingest_close *out)
{
	struct in in = in_of(body);

	*out = (struct rc_ingest_close){.sequence = take_u64(&in)};
	take_target(&in, &out->target);
	out->code = take_u16(&in);
	out->reason = take_bytes(&in, take_u8(&in));
	return all_read(&in) || out->sequence == 0 ? -EBADMSG : 0;
}

static void put_target(struct out *out, const struct rc_ingest_target *target)
{
	put(out, target->kind, 1);
	if (target->kind == RINGCAST_TARGET_SESSION) {
		put_str(out, target->list, 1);
		return;
	}
	if (target->kind == RINGCAST_TARGET_USERS)
		put(out, target->count, 2);
	put_bytes(out, target->list);
}

size_t rc_ingest_send_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_ingest_send *send)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_SEND, flags);

	put(&o, send->event.sequence, 8);
	put_target(&o, &send->target);
	put_str(&o, send->event.event, 1);
	put(&o, send->event.timestamp_ms, 8);
	put_bytes(&o, send->event.payload);
	return finish(&o);
}

size_t rc_ingest_close_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_ingest_close *close)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_CLOSE, flags);

	put(&o, close->sequence, 8);
	put_target(&o, &close->target);
	put(&o, close->code, 2);
	put_str(&o, close->reason, 1);
	return finish(&o);
}
