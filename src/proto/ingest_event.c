/* SPDX-License-Identifier: Apache-2.0
 *
 * The events of the ingest protocol: PUBLISH, BROADCAST, and a BATCH of them. Runs once for each event that the gateway
 * takes. Pure, any thread.
 */
#include "proto/ingest_cursor.h"

static inline struct rc_str take_trace(struct in *in, bool traced)
{
	return traced ? take_bytes(in, RINGCAST_TRACE_LEN) : (struct rc_str){NULL, 0};
}

/* What PUBLISH and an event of a BATCH have in common: all but the payload. */
static inline void take_head(struct in *in, bool traced, struct rc_ingest_publish *out)
{
	out->sequence = take_u64(in);
	out->channel = take_bytes(in, take_u8(in));
	out->event = take_bytes(in, take_u8(in));
	out->timestamp_ms = take_u64(in);
	out->trace = take_trace(in, traced);
}

int rc_ingest_publish_parse(struct rc_str body, uint8_t flags, struct rc_ingest_publish *out)
{
	struct in in = in_of(body);

	take_head(&in, (flags & RINGCAST_FLAG_TRACE) != 0, out);
	out->payload = take_bytes(&in, in.left);
	return in.short_of || out->sequence == 0 ? -EBADMSG : 0;
}

int rc_ingest_broadcast_parse(struct rc_str body, uint8_t flags, struct rc_ingest_publish *out)
{
	struct in in = in_of(body);

	out->sequence = take_u64(&in);
	out->channel = (struct rc_str){"", 0};
	out->event = take_bytes(&in, take_u8(&in));
	out->timestamp_ms = take_u64(&in);
	out->trace = take_trace(&in, (flags & RINGCAST_FLAG_TRACE) != 0);
	out->payload = take_bytes(&in, in.left);
	return in.short_of || out->sequence == 0 ? -EBADMSG : 0;
}

static void put_head(struct out *out, const struct rc_ingest_publish *event)
{
	put(out, event->sequence, 8);
	put_str(out, event->channel, 1);
	put_str(out, event->event, 1);
	put(out, event->timestamp_ms, 8);
	put_bytes(out, event->trace);
}

static uint8_t flags_of(uint8_t flags, const struct rc_ingest_publish *event)
{
	RC_DASSERT(event->trace.len == 0 || event->trace.len == RINGCAST_TRACE_LEN);
	return event->trace.len ? flags | RINGCAST_FLAG_TRACE : flags;
}

size_t rc_ingest_publish_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_ingest_publish *event)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_PUBLISH, flags_of(flags, event));

	put_head(&o, event);
	put_bytes(&o, event->payload);
	return finish(&o);
}

size_t rc_ingest_broadcast_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_ingest_publish *event)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_BROADCAST, flags_of(flags, event));

	put(&o, event->sequence, 8);
	put_str(&o, event->event, 1);
	put(&o, event->timestamp_ms, 8);
	put_bytes(&o, event->trace);
	put_bytes(&o, event->payload);
	return finish(&o);
}

int rc_ingest_batch_begin(struct rc_str body, uint8_t flags, struct rc_ingest_batch *it)
{
	struct in in = in_of(body);

	it->left = take_u16(&in);
	it->traced = (flags & RINGCAST_FLAG_TRACE) != 0;
	it->rest = take_bytes(&in, in.left);
	return in.short_of || it->left == 0 ? -EBADMSG : 0;
}

int rc_ingest_batch_next(struct rc_ingest_batch *it, struct rc_ingest_publish *out)
{
	struct in in = in_of(it->rest);

	if (it->left == 0)
		return it->rest.len == 0 ? 0 : -EBADMSG;
	take_head(&in, it->traced, out);
	out->payload = take_bytes(&in, take_u32(&in));
	if (in.short_of || out->sequence == 0)
		return -EBADMSG;
	it->rest = take_bytes(&in, in.left);
	it->left--;
	return 1;
}

int rc_ingest_batch_check(struct rc_str body, uint8_t flags)
{
	struct rc_ingest_batch it;
	struct rc_ingest_publish event;
	uint64_t last = 0;
	int rc = rc_ingest_batch_begin(body, flags, &it);

	if (rc)
		return rc;
	while ((rc = rc_ingest_batch_next(&it, &event)) == 1) {
		if (event.sequence <= last)
			return -EBADMSG;
		last = event.sequence;
	}
	return rc;
}

#define BATCH_COUNT_AT RINGCAST_WIRE_HEADER_LEN

size_t rc_ingest_batch_encode_begin(void *out, size_t cap, uint8_t flags)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_BATCH, flags);

	put(&o, 0, 2);
	return o.full ? 0 : o.used;
}

size_t rc_ingest_batch_encode_add(
	void *out, size_t cap, size_t used, const struct rc_ingest_publish *event)
{
	struct out o = {out, cap, used, false};
	uint16_t count = load_u16(o.first + BATCH_COUNT_AT);

	RC_DASSERT(used >= BATCH_COUNT_AT + 2 && used <= cap);
	if (count == RINGCAST_BATCH_MAX)
		return 0;
	put_head(&o, event);
	put_str(&o, event->payload, 4);
	if (o.full)
		return 0;
	store(o.first + BATCH_COUNT_AT, count + 1u, 2);
	return o.used;
}

size_t rc_ingest_batch_encode_end(void *out, size_t used)
{
	struct out o = {out, used, used, false};

	return finish(&o);
}
