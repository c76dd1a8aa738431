/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames between the gateway and its backends: REGISTER both ways, COMMAND, REPLY, ASSIGN. Pure, any thread.
 */
#include "proto/ingest_cursor.h"

static void take_entry(struct in *in, struct rc_ingest_entry *out)
{
	out->type = take_bytes(in, take_u8(in));
	out->mode = take_u8(in);
	out->flags = take_u8(in);
	out->field = take_bytes(in, take_u8(in));
}

int rc_ingest_register_parse(struct rc_str body, struct rc_ingest_register *out)
{
	struct in in = in_of(body);
	struct rc_ingest_entry entry;
	const unsigned char *from;

	*out = (struct rc_ingest_register){.credit = take_u32(&in)};
	out->count = take_u16(&in);
	from = in.at;
	for (uint32_t i = 0; i < out->count && !in.short_of; i++)
		take_entry(&in, &entry);
	if (all_read(&in) < 0)
		return -EBADMSG;
	if (out->count)
		out->list = (struct rc_str){(const char *)from, (size_t)(in.at - from)};
	return 0;
}

bool rc_ingest_register_next(struct rc_str *list, struct rc_ingest_entry *out)
{
	struct in in = in_of(*list);

	if (!list->len)
		return false;
	take_entry(&in, out);
	*list = (struct rc_str){(const char *)in.at, in.left};
	return !in.short_of;
}

size_t rc_ingest_register_encode(void *out, size_t cap, uint32_t credit,
	const struct rc_ingest_entry *entries, uint16_t count)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_REGISTER, 0);

	put(&o, credit, 4);
	put(&o, count, 2);
	for (uint32_t i = 0; i < count; i++) {
		put_str(&o, entries[i].type, 1);
		put(&o, entries[i].mode, 1);
		put(&o, entries[i].flags, 1);
		put_str(&o, entries[i].field, 1);
	}
	return finish(&o);
}

int rc_ingest_registered_parse(struct rc_str body, struct rc_ingest_registered *out)
{
	struct in in = in_of(body);

	out->credit = take_u32(&in);
	out->timeout_ms = take_u32(&in);
	out->count = take_u16(&in);
	return all_read(&in);
}

size_t rc_ingest_registered_encode(
	void *out, size_t cap, const struct rc_ingest_registered *registered)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_REGISTER, 0);

	put(&o, registered->credit, 4);
	put(&o, registered->timeout_ms, 4);
	put(&o, registered->count, 2);
	return finish(&o);
}

int rc_ingest_command_parse(struct rc_str body, struct rc_ingest_command *out)
{
	struct in in = in_of(body);

	out->id = take_u64(&in);
	out->deadline_ms = take_u32(&in);
	out->session = take_bytes(&in, take_u8(&in));
	out->user = take_bytes(&in, take_u8(&in));
	out->type = take_bytes(&in, take_u8(&in));
	out->message = take_bytes(&in, take_u8(&in));
	out->payload = take_bytes(&in, in.left);
	return in.short_of ? -EBADMSG : 0;
}

size_t rc_ingest_command_bytes(const struct rc_ingest_command *command)
{
	return RINGCAST_WIRE_HEADER_LEN + 8 + 4 + 4 + command->session.len + command->user.len +
	       command->type.len + command->message.len + command->payload.len;
}

size_t rc_ingest_command_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_ingest_command *command)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_COMMAND, flags);

	put(&o, command->id, 8);
	put(&o, command->deadline_ms, 4);
	put_str(&o, command->session, 1);
	put_str(&o, command->user, 1);
	put_str(&o, command->type, 1);
	put_str(&o, command->message, 1);
	put_bytes(&o, command->payload);
	return finish(&o);
}

bool rc_ingest_code_valid(struct rc_str code)
{
	if (code.len == 0 || code.len > RINGCAST_CODE_MAX)
		return false;
	for (size_t i = 0; i < code.len; i++) {
		char c = code.ptr[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return true;
}

int rc_ingest_reply_parse(struct rc_str body, struct rc_ingest_reply *out)
{
	struct in in = in_of(body);

	out->id = take_u64(&in);
	out->code = take_bytes(&in, take_u8(&in));
	out->payload = take_bytes(&in, in.left);
	return in.short_of ? -EBADMSG : 0;
}

size_t rc_ingest_reply_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_ingest_reply *reply)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_REPLY, flags);

	put(&o, reply->id, 8);
	put_str(&o, reply->code, 1);
	put_bytes(&o, reply->payload);
	return finish(&o);
}

int rc_ingest_assign_parse(struct rc_str body, struct rc_ingest_assign *out)
{
	struct in in = in_of(body);
	const unsigned char *from;

	*out = (struct rc_ingest_assign){.sequence = take_u64(&in)};
	out->session = take_bytes(&in, take_u8(&in));
	out->on = take_u8(&in) != 0;
	out->count = take_u16(&in);
	from = in.at;
	for (uint32_t i = 0; i < out->count && !in.short_of; i++)
		(void)take_bytes(&in, take_u8(&in));
	if (all_read(&in) < 0 || out->sequence == 0 || out->count == 0)
		return -EBADMSG;
	out->names = (struct rc_str){(const char *)from, (size_t)(in.at - from)};
	return 0;
}

size_t rc_ingest_assign_encode(void *out, size_t cap, const struct rc_ingest_assign *assign)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_ASSIGN, 0);

	put(&o, assign->sequence, 8);
	put_str(&o, assign->session, 1);
	put(&o, assign->on, 1);
	put(&o, assign->count, 2);
	put_bytes(&o, assign->names);
	return finish(&o);
}
