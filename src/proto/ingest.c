/* SPDX-License-Identifier: Apache-2.0
 *
 * The ingest protocol's frames but for the events in them (ingest_event.c): where a frame ends, HELLO, the answers and
 * the control frames. Pure, any thread.
 */
#include "proto/ingest_cursor.h"

/* ---- frames ------------------------------------------------------------------------------------ */

int rc_ingest_frame(const void *bytes, size_t len, size_t frame_max, struct rc_ingest_frame *out)
{
	const unsigned char *at = bytes;
	uint64_t total;

	*out = (struct rc_ingest_frame){.body = {"", 0}};
	if (len < RINGCAST_WIRE_LENGTH_LEN)
		return 1;
	total = (uint64_t)load_u32(at) + RINGCAST_WIRE_LENGTH_LEN;
	if (total < RINGCAST_WIRE_HEADER_LEN)
		return -EBADMSG;
	/* Before the frame is here: nobody should have to buffer what will be refused. */
	if (total > frame_max)
		return -EMSGSIZE;
	if (len >= RINGCAST_WIRE_HEADER_LEN && load_u16(at + 6) != 0)
		return -EBADMSG;
	out->total = (size_t)total;
	if (len < total)
		return 1;
	out->type = at[4];
	out->flags = at[5];
	if (total > RINGCAST_WIRE_HEADER_LEN)
		out->body = (struct rc_str){(const char *)at + RINGCAST_WIRE_HEADER_LEN,
			(size_t)total - RINGCAST_WIRE_HEADER_LEN};
	return 0;
}

uint8_t rc_ingest_flags_known(uint8_t type)
{
	switch (type) {
	case RINGCAST_FRAME_PUBLISH:
	case RINGCAST_FRAME_BATCH:
	case RINGCAST_FRAME_BROADCAST:
		return RINGCAST_FLAGS_EVENT;
	case RINGCAST_FRAME_SEND:
		return RINGCAST_FLAGS_SEND;
	case RINGCAST_FRAME_CLOSE:
		return RINGCAST_FLAGS_CLOSE;
	case RINGCAST_FRAME_ACK:
		return RINGCAST_FLAGS_ACK;
	case RINGCAST_FRAME_COMMAND:
		return RINGCAST_FLAGS_COMMAND;
	case RINGCAST_FRAME_REPLY:
		return RINGCAST_FLAGS_REPLY;
	case RINGCAST_FRAME_SUBSCRIBE:
		return RINGCAST_FLAG_OFF;
	case RINGCAST_FRAME_EVENT:
		return RINGCAST_FLAGS_DELIVERED;
	default:
		return 0;
	}
}

const char *rc_ingest_type_name(uint8_t type)
{
	static const char *const names[] = {
		[RINGCAST_FRAME_HELLO] = "HELLO",
		[RINGCAST_FRAME_PUBLISH] = "PUBLISH",
		[RINGCAST_FRAME_BATCH] = "BATCH",
		[RINGCAST_FRAME_ACK] = "ACK",
		[RINGCAST_FRAME_NACK] = "NACK",
		[RINGCAST_FRAME_BROADCAST] = "BROADCAST",
		[RINGCAST_FRAME_FLOW] = "FLOW",
		[RINGCAST_FRAME_PING] = "PING",
		[RINGCAST_FRAME_PONG] = "PONG",
		[RINGCAST_FRAME_ERROR] = "ERROR",
		[RINGCAST_FRAME_BYE] = "BYE",
		[RINGCAST_FRAME_SEND] = "SEND",
		[RINGCAST_FRAME_CLOSE] = "CLOSE",
		[RINGCAST_FRAME_REGISTER] = "REGISTER",
		[RINGCAST_FRAME_COMMAND] = "COMMAND",
		[RINGCAST_FRAME_REPLY] = "REPLY",
		[RINGCAST_FRAME_SUBSCRIBE] = "SUBSCRIBE",
		[RINGCAST_FRAME_EVENT] = "EVENT",
		[RINGCAST_FRAME_ASSIGN] = "ASSIGN",
		[RINGCAST_FRAME_GAP] = "GAP",
		[RINGCAST_FRAME_AUTH] = "AUTH",
		[RINGCAST_FRAME_REFRESH] = "REFRESH",
		[RINGCAST_FRAME_POSITION] = "POSITION",
	};

	return type < RC_ARRAY_LEN(names) && names[type] ? names[type] : "unknown";
}

/* ---- HELLO ------------------------------------------------------------------------------------- */

/* Magic and version, alike in both directions. */
static int take_greeting(struct in *in, uint8_t *version)
{
	struct rc_str magic = take_bytes(in, RINGCAST_WIRE_MAGIC_LEN);

	*version = take_u8(in);
	if (!in->short_of && !rc_str_eq(magic, RC_STR(RINGCAST_WIRE_MAGIC)))
		return -EPROTO;
	if (in->short_of)
		return -EBADMSG;
	return *version == RINGCAST_WIRE_VERSION ? 0 : -EPROTONOSUPPORT;
}

bool rc_ingest_publisher_valid(struct rc_str publisher)
{
	if (publisher.len > RINGCAST_PUBLISHER_ID_MAX)
		return false;
	for (size_t i = 0; i < publisher.len; i++) {
		char c = publisher.ptr[i];
		bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			  (c >= '0' && c <= '9') || c == '_' || c == '.' || c == ':' || c == '-';
		if (!ok)
			return false;
	}
	return true;
}

int rc_ingest_hello_parse(struct rc_str body, struct rc_ingest_hello *out)
{
	struct in in = in_of(body);
	int rc;

	*out = (struct rc_ingest_hello){.publisher = {"", 0}, .token = {"", 0}};
	rc = take_greeting(&in, &out->version);
	if (rc)
		return rc;
	out->publisher = take_bytes(&in, take_u8(&in));
	out->token = take_bytes(&in, take_u16(&in));
	out->last_known = take_u64(&in);
	if (in.short_of)
		return -EBADMSG;
	return rc_ingest_publisher_valid(out->publisher) ? 0 : -EINVAL;
}

size_t rc_ingest_hello_encode(void *out, size_t cap, const struct rc_ingest_hello *hello)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_HELLO, 0);

	put_bytes(&o, RC_STR(RINGCAST_WIRE_MAGIC));
	put(&o, hello->version, 1);
	put_str(&o, hello->publisher, 1);
	put_str(&o, hello->token, 2);
	put(&o, hello->last_known, 8);
	return finish(&o);
}

int rc_ingest_welcome_parse(struct rc_str body, struct rc_ingest_welcome *out)
{
	struct in in = in_of(body);
	int rc;

	*out = (struct rc_ingest_welcome){.server = {"", 0}};
	rc = take_greeting(&in, &out->version);
	if (rc)
		return rc;
	out->server = take_bytes(&in, take_u8(&in));
	out->last_sequence = take_u64(&in);
	out->frame_max = take_u32(&in);
	out->message_max = take_u32(&in);
	out->credit = take_u32(&in);
	return in.short_of ? -EBADMSG : 0;
}

size_t rc_ingest_welcome_encode(void *out, size_t cap, const struct rc_ingest_welcome *welcome)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_HELLO, 0);

	put_bytes(&o, RC_STR(RINGCAST_WIRE_MAGIC));
	put(&o, welcome->version, 1);
	put_text(&o, welcome->server);
	put(&o, welcome->last_sequence, 8);
	put(&o, welcome->frame_max, 4);
	put(&o, welcome->message_max, 4);
	put(&o, welcome->credit, 4);
	return finish(&o);
}

/* ---- answers and control ----------------------------------------------------------------------- */

int rc_ingest_ack_parse(struct rc_str body, uint8_t flags, struct rc_ingest_ack *out)
{
	struct in in = in_of(body);

	*out = (struct rc_ingest_ack){.sequence = take_u64(&in), .epoch = {"", 0}};
	out->positioned = (flags & RINGCAST_FLAG_POSITION) != 0;
	if (out->positioned) {
		out->epoch = take_bytes(&in, take_u8(&in));
		out->offset = take_u64(&in);
	}
	return all_read(&in);
}

size_t rc_ingest_ack_encode(void *out, size_t cap, const struct rc_ingest_ack *ack)
{
	uint8_t flags = ack->positioned ? RINGCAST_FLAG_POSITION : 0;
	struct out o = out_of(out, cap, RINGCAST_FRAME_ACK, flags);

	put(&o, ack->sequence, 8);
	if (ack->positioned) {
		put_str(&o, ack->epoch, 1);
		put(&o, ack->offset, 8);
	}
	return finish(&o);
}

int rc_ingest_nack_parse(struct rc_str body, struct rc_ingest_nack *out)
{
	struct in in = in_of(body);

	out->sequence = take_u64(&in);
	out->code = take_u16(&in);
	out->text = take_bytes(&in, take_u8(&in));
	return all_read(&in);
}

size_t rc_ingest_nack_encode(void *out, size_t cap, const struct rc_ingest_nack *nack)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_NACK, 0);

	put(&o, nack->sequence, 8);
	put(&o, nack->code, 2);
	put_text(&o, nack->text);
	return finish(&o);
}

int rc_ingest_flow_parse(struct rc_str body, uint32_t *credit)
{
	struct in in = in_of(body);

	*credit = take_u32(&in);
	return all_read(&in);
}

size_t rc_ingest_flow_encode(void *out, size_t cap, uint32_t credit)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_FLOW, 0);

	put(&o, credit, 4);
	return finish(&o);
}

int rc_ingest_ping_parse(struct rc_str body, uint64_t *token)
{
	struct in in = in_of(body);

	*token = take_u64(&in);
	return all_read(&in);
}

size_t rc_ingest_ping_encode(void *out, size_t cap, uint64_t token)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_PING, 0);

	put(&o, token, 8);
	return finish(&o);
}

size_t rc_ingest_pong_encode(void *out, size_t cap, uint64_t token)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_PONG, 0);

	put(&o, token, 8);
	return finish(&o);
}

int rc_ingest_error_parse(struct rc_str body, struct rc_ingest_error *out)
{
	struct in in = in_of(body);

	out->code = take_u16(&in);
	out->text = take_bytes(&in, take_u8(&in));
	return all_read(&in);
}

size_t rc_ingest_error_encode(void *out, size_t cap, const struct rc_ingest_error *error)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_ERROR, 0);

	put(&o, error->code, 2);
	put_text(&o, error->text);
	return finish(&o);
}

int rc_ingest_bye_parse(struct rc_str body, struct rc_ingest_bye *out)
{
	struct in in = in_of(body);

	out->code = take_u16(&in);
	out->reconnect_after_ms = take_u32(&in);
	return all_read(&in);
}

size_t rc_ingest_bye_encode(void *out, size_t cap, const struct rc_ingest_bye *bye)
{
	struct out o = out_of(out, cap, RINGCAST_FRAME_BYE, 0);

	put(&o, bye->code, 2);
	put(&o, bye->reconnect_after_ms, 4);
	return finish(&o);
}
