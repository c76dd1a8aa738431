/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of those who listen, field by field. See binary.h.
 */
#include "proto/binary.h"

#include "proto/ingest_cursor.h"

static struct rc_str take_str8(struct in *in)
{
	return take_bytes(in, take_u8(in));
}

static struct rc_str take_str16(struct in *in)
{
	return take_bytes(in, take_u16(in));
}

int rc_bin_subscribe_parse(struct rc_str body, struct rc_bin_subscribe *out)
{
	struct in in = in_of(body);

	out->name = take_str8(&in);
	out->since = take_str16(&in);
	return all_read(&in);
}

size_t rc_bin_subscribe_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_bin_subscribe *s)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_SUBSCRIBE, flags);

	put_str(&o, s->name, 1);
	put_str(&o, s->since, 2);
	return finish(&o);
}

int rc_bin_subscribed_parse(struct rc_str body, struct rc_bin_subscribed *out)
{
	struct in in = in_of(body);

	out->name = take_str8(&in);
	out->verdict = take_u8(&in);
	out->text = take_str16(&in);
	return all_read(&in);
}

size_t rc_bin_subscribed_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_bin_subscribed *s)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_SUBSCRIBE, flags);

	put_str(&o, s->name, 1);
	put(&o, s->verdict, 1);
	put_str(&o, s->text, 2);
	return finish(&o);
}

int rc_bin_gap_parse(struct rc_str body, struct rc_bin_gap *out)
{
	struct in in = in_of(body);

	out->reason = take_u8(&in);
	out->missed = take_u64(&in);
	out->channel = take_str8(&in);
	out->position = take_str8(&in);
	return all_read(&in);
}

size_t rc_bin_gap_encode(void *out, size_t cap, const struct rc_bin_gap *gap)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_GAP, 0);

	put(&o, gap->reason, 1);
	put(&o, gap->missed, 8);
	put_str(&o, gap->channel, 1);
	put_str(&o, gap->position, 1);
	return finish(&o);
}

int rc_bin_position_parse(struct rc_str body, struct rc_bin_position *out)
{
	struct in in = in_of(body);

	out->name = take_str8(&in);
	out->position = take_str16(&in);
	return all_read(&in);
}

size_t rc_bin_position_encode(void *out, size_t cap, const struct rc_bin_position *position)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_POSITION, 0);

	put_str(&o, position->name, 1);
	put_str(&o, position->position, 2);
	return finish(&o);
}

int rc_bin_command_parse(struct rc_str body, struct rc_bin_command *out)
{
	struct in in = in_of(body);

	out->id = take_u64(&in);
	out->type = take_str8(&in);
	out->payload = take_bytes(&in, in.left);
	return all_read(&in);
}

size_t rc_bin_command_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_bin_command *command)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_COMMAND, flags);

	put(&o, command->id, 8);
	put_str(&o, command->type, 1);
	put_bytes(&o, command->payload);
	return finish(&o);
}

int rc_bin_token_parse(struct rc_str body, struct rc_str *token)
{
	struct in in = in_of(body);

	*token = take_str16(&in);
	return all_read(&in);
}

size_t rc_bin_token_encode(void *out, size_t cap, uint8_t type, struct rc_str token)
{
	struct out o = out_of(out, cap, type, 0);

	put_str(&o, token, 2);
	return finish(&o);
}

int rc_bin_refreshed_parse(struct rc_str body, uint64_t *expires_ms)
{
	struct in in = in_of(body);

	*expires_ms = take_u64(&in);
	return all_read(&in);
}

size_t rc_bin_refreshed_encode(void *out, size_t cap, uint64_t expires_ms)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_REFRESH, 0);

	put(&o, expires_ms, 8);
	return finish(&o);
}

int rc_bin_welcome_parse(struct rc_str body, struct rc_bin_welcome *out)
{
	struct in in = in_of(body);
	int rc = rc_ingest_welcome_parse(body, &out->common);

	if (rc)
		return rc;
	/* What a publisher is told: its length is known now. */
	(void)take(&in, RINGCAST_WIRE_MAGIC_LEN + 1u);
	(void)take_str8(&in);
	(void)take(&in, 8u + 3u * 4u);
	out->session = take_str8(&in);
	out->user = take_str8(&in);
	out->heartbeat_ms = take_u32(&in);
	out->expires_ms = take_u64(&in);
	return in.short_of ? -EBADMSG : 0;
}

size_t rc_bin_welcome_encode(void *out, size_t cap, const struct rc_bin_welcome *welcome)
{
	struct out o = {out, cap, rc_ingest_welcome_encode(out, cap, &welcome->common), false};

	if (o.used == 0)
		return 0;
	put_str(&o, welcome->session, 1);
	put_str(&o, welcome->user, 1);
	put(&o, welcome->heartbeat_ms, 4);
	put(&o, welcome->expires_ms, 8);
	return finish(&o);
}

int rc_bin_event_parse(struct rc_str body, uint8_t flags, struct rc_bin_event *out)
{
	struct in in = in_of(body);
	bool traced = (flags & RINGCAST_FLAG_TRACE) != 0;
	bool placed = (flags & RINGCAST_FLAG_POSITION) != 0;

	out->flags = flags;
	out->offset = take_u64(&in);
	out->timestamp_ms = take_u64(&in);
	out->trace = traced ? take_bytes(&in, RINGCAST_TRACE_LEN) : (struct rc_str){"", 0};
	out->channel = take_str8(&in);
	out->event = take_str8(&in);
	out->position = placed ? take_str16(&in) : (struct rc_str){"", 0};
	out->payload = take_bytes(&in, in.left);
	/* One that is flagged and empty can't be told from none. */
	return in.short_of || (placed && out->position.len == 0) ? -EBADMSG : 0;
}

size_t rc_bin_event_encode(void *out, size_t cap, const struct rc_bin_event *e)
{
	uint8_t flags = e->flags & (uint8_t) ~(RINGCAST_FLAG_TRACE | RINGCAST_FLAG_POSITION);

	RC_DASSERT(e->trace.len == 0 || e->trace.len == RINGCAST_TRACE_LEN);
	if (e->trace.len)
		flags |= RINGCAST_FLAG_TRACE;
	if (e->position.len)
		flags |= RINGCAST_FLAG_POSITION;
	struct out o = out_of(out, cap, RINGCAST_FRAME_EVENT, flags);
	put(&o, e->offset, 8);
	put(&o, e->timestamp_ms, 8);
	put_bytes(&o, e->trace);
	put_str(&o, e->channel, 1);
	put_str(&o, e->event, 1);
	if (e->position.len)
		put_str(&o, e->position, 2);
	put_bytes(&o, e->payload);
	return finish(&o);
}
