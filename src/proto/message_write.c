/* SPDX-License-Identifier: Apache-2.0
 *
 * What the gateway says to a client, appended to a text buffer: the JSON alone, no frame around it. Pure, any thread.
 */
#include "proto/message.h"

#include "base/clock.h"
#include "proto/event.h"

static const char *const plurals[] = {
	[RC_WORD_CHANNELS] = "channels",
	[RC_WORD_CHANNEL] = "channels",
	[RC_WORD_CATEGORIES] = "categories",
	[RC_WORD_CATEGORY] = "categories",
	[RC_WORD_ROOMS] = "rooms",
	[RC_WORD_ROOM] = "rooms",
};

static void add_id(struct rc_textbuf *b, struct rc_str id_raw)
{
	if (id_raw.len == 0)
		return;
	rc_textbuf_add_text(b, ",\"id\":");
	rc_textbuf_add(b, id_raw);
}

static void add_timestamp(struct rc_textbuf *b, uint64_t wall_ms)
{
	char iso[RC_ISO8601_LEN];

	rc_clock_iso8601(wall_ms, iso);
	rc_textbuf_add_text(b, ",\"timestamp\":\"");
	rc_textbuf_add(b, (struct rc_str){iso, sizeof(iso)});
	rc_textbuf_add_char(b, '"');
}

/* As a JSON string. */
static void add_position(struct rc_textbuf *b, uint64_t epoch, uint64_t offset)
{
	char text[RC_POSITION_MAX];
	size_t len = rc_position_text(epoch, offset, text);

	rc_textbuf_add_char(b, '"');
	rc_textbuf_add(b, (struct rc_str){text, len});
	rc_textbuf_add_char(b, '"');
}

static void add_expires(struct rc_textbuf *b, uint64_t expires_ms)
{
	if (expires_ms == 0)
		return;
	rc_textbuf_add_text(b, ",\"expires\":");
	rc_textbuf_add_u64(b, expires_ms);
}

void rc_msg_connected(struct rc_textbuf *b, struct rc_str session, struct rc_str user,
	uint64_t expires_ms, uint32_t heartbeat_ms, struct rc_str version)
{
	rc_textbuf_add_text(b, "{\"type\":\"connected\",\"session\":");
	rc_textbuf_add_string(b, session);
	if (user.len > 0) {
		rc_textbuf_add_text(b, ",\"user\":");
		rc_textbuf_add_string(b, user);
	}
	add_expires(b, expires_ms);
	rc_textbuf_add_text(b, ",\"heartbeat\":");
	rc_textbuf_add_u64(b, heartbeat_ms);
	rc_textbuf_add_text(b, ",\"version\":");
	rc_textbuf_add_string(b, version);
	rc_textbuf_add_char(b, '}');
}

void rc_msg_refreshed(
	struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms, uint64_t expires_ms)
{
	rc_textbuf_add_text(b, "{\"type\":\"refreshed\"");
	add_id(b, id_raw);
	add_timestamp(b, wall_ms);
	add_expires(b, expires_ms);
	rc_textbuf_add_char(b, '}');
}

void rc_msg_ack(struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms, struct rc_str channel,
	uint64_t epoch, uint64_t offset)
{
	rc_textbuf_add_text(b, "{\"type\":\"ack\"");
	add_id(b, id_raw);
	add_timestamp(b, wall_ms);
	rc_textbuf_add_text(b, ",\"channel\":");
	rc_textbuf_add_string(b, channel);
	rc_textbuf_add_text(b, ",\"position\":");
	add_position(b, epoch, offset);
	rc_textbuf_add_char(b, '}');
}

void rc_msg_reply(
	struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms, struct rc_str data, bool json)
{
	rc_textbuf_add_text(b, "{\"type\":\"reply\"");
	add_id(b, id_raw);
	add_timestamp(b, wall_ms);
	if (json) {
		rc_textbuf_add_text(b, ",\"data\":");
		rc_textbuf_add(b, data.len ? data : RC_STR("null"));
	} else {
		rc_textbuf_add_text(b, ",\"encoding\":\"base64\",\"data\":\"");
		rc_textbuf_add_base64(b, data);
		rc_textbuf_add_char(b, '"');
	}
	rc_textbuf_add_char(b, '}');
}

void rc_msg_error(struct rc_textbuf *b, struct rc_str id_raw, const char *code, bool temporary,
	struct rc_str message, uint64_t wall_ms)
{
	rc_msg_error_field(b, id_raw, code, temporary, message, (struct rc_str){NULL, 0}, wall_ms);
}

void rc_msg_error_field(struct rc_textbuf *b, struct rc_str id_raw, const char *code,
	bool temporary, struct rc_str message, struct rc_str field, uint64_t wall_ms)
{
	rc_textbuf_add_text(b, "{\"type\":\"error\"");
	add_id(b, id_raw);
	rc_textbuf_add_text(b, ",\"code\":");
	rc_textbuf_add_string(b, rc_str_of(code));
	rc_textbuf_add_text(b, temporary ? ",\"temporary\":true" : ",\"temporary\":false");
	if (field.ptr) {
		rc_textbuf_add_text(b, ",\"field\":");
		rc_textbuf_add_string(b, field);
	}
	rc_textbuf_add_text(b, ",\"message\":");
	rc_textbuf_add_string(b, message);
	add_timestamp(b, wall_ms);
	rc_textbuf_add_text(b, ",\"data\":{\"error\":");
	rc_textbuf_add_string(b, message);
	rc_textbuf_add_text(b, "}}");
}

void rc_msg_pong(struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms)
{
	rc_textbuf_add_text(b, "{\"type\":\"pong\"");
	add_id(b, id_raw);
	add_timestamp(b, wall_ms);
	rc_textbuf_add_char(b, '}');
}

void rc_msg_ping(struct rc_textbuf *b, uint64_t wall_ms)
{
	rc_textbuf_add_text(b, "{\"type\":\"ping\"");
	add_timestamp(b, wall_ms);
	rc_textbuf_add_char(b, '}');
}

void rc_msg_bye(struct rc_textbuf *b, const char *code, uint32_t reconnect_after_ms)
{
	rc_textbuf_add_text(b, "{\"type\":\"bye\",\"code\":");
	rc_textbuf_add_string(b, rc_str_of(code));
	rc_textbuf_add_text(b, ",\"reconnect\":{\"after\":");
	rc_textbuf_add_u64(b, reconnect_after_ms);
	rc_textbuf_add_text(b, "}}");
}

void rc_msg_gap(struct rc_textbuf *b, struct rc_str channel, const char *reason, uint64_t missed,
	struct rc_str position)
{
	rc_textbuf_add_text(b, "{\"type\":\"gap\"");
	if (channel.len > 0) {
		rc_textbuf_add_text(b, ",\"channel\":");
		rc_textbuf_add_string(b, channel);
	}
	rc_textbuf_add_text(b, ",\"reason\":");
	rc_textbuf_add_string(b, rc_str_of(reason));
	if (missed != RC_MSG_NO_COUNT) {
		rc_textbuf_add_text(b, ",\"missed\":");
		rc_textbuf_add_u64(b, missed);
	}
	if (position.len > 0) {
		rc_textbuf_add_text(b, ",\"position\":");
		rc_textbuf_add_string(b, position);
	}
	rc_textbuf_add_char(b, '}');
}

void rc_msg_suback_begin(struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms,
	enum rc_msg_word word, bool unsubscribe)
{
	rc_textbuf_add_text(b, unsubscribe ? "{\"type\":\"unsubscription-ack\""
					   : "{\"type\":\"subscription-ack\"");
	add_id(b, id_raw);
	add_timestamp(b, wall_ms);
	rc_textbuf_add_text(b, ",\"data\":{\"");
	rc_textbuf_add_text(b, plurals[word]);
	rc_textbuf_add_text(b, "\":[");
}

void rc_msg_suback_channel(struct rc_textbuf *b, struct rc_str name, bool first)
{
	if (!first)
		rc_textbuf_add_char(b, ',');
	rc_textbuf_add_string(b, name);
}

void rc_msg_suback_positions(struct rc_textbuf *b)
{
	rc_textbuf_add_text(b, "],\"positions\":{");
}

/* A member's name, and what stands in front of it and behind. */
static void add_name(struct rc_textbuf *b, struct rc_str name, bool first)
{
	if (!first)
		rc_textbuf_add_char(b, ',');
	rc_textbuf_add_string(b, name);
	rc_textbuf_add_char(b, ':');
}

void rc_msg_suback_position(
	struct rc_textbuf *b, struct rc_str name, uint64_t epoch, uint64_t offset, bool first)
{
	add_name(b, name, first);
	add_position(b, epoch, offset);
}

void rc_msg_suback_stream(struct rc_textbuf *b, struct rc_str name, struct rc_str text, bool first)
{
	add_name(b, name, first);
	/* A position is letters and digits, and nothing that is escaped. */
	rc_textbuf_add_char(b, '"');
	rc_textbuf_add(b, text);
	rc_textbuf_add_char(b, '"');
}

void rc_msg_suback_recovered(struct rc_textbuf *b)
{
	rc_textbuf_add_text(b, "},\"recovered\":{");
}

void rc_msg_suback_outcome(struct rc_textbuf *b, struct rc_str name, bool recovered, bool first)
{
	add_name(b, name, first);
	rc_textbuf_add_text(b, recovered ? "true" : "false");
}

void rc_msg_suback_reasons(struct rc_textbuf *b)
{
	rc_textbuf_add_text(b, "},\"reasons\":{");
}

void rc_msg_suback_reason(struct rc_textbuf *b, struct rc_str name, const char *reason, bool first)
{
	add_name(b, name, first);
	rc_textbuf_add_string(b, rc_str_of(reason));
}

void rc_msg_suback_end(struct rc_textbuf *b, bool positions)
{
	rc_textbuf_add_text(b, positions ? "}}}" : "]}}");
}

void rc_msg_positions_begin(struct rc_textbuf *b, uint64_t wall_ms)
{
	rc_textbuf_add_text(b, "{\"type\":\"positions\"");
	add_timestamp(b, wall_ms);
	rc_textbuf_add_text(b, ",\"positions\":{");
}

void rc_msg_positions_stream(
	struct rc_textbuf *b, struct rc_str name, struct rc_str text, bool first)
{
	rc_msg_suback_stream(b, name, text, first);
}

void rc_msg_positions_end(struct rc_textbuf *b)
{
	rc_textbuf_add_text(b, "}}");
}

void rc_msg_history_begin(
	struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms, struct rc_str channel)
{
	rc_textbuf_add_text(b, "{\"type\":\"history\"");
	add_id(b, id_raw);
	add_timestamp(b, wall_ms);
	rc_textbuf_add_text(b, ",\"channel\":");
	rc_textbuf_add_string(b, channel);
	rc_textbuf_add_text(b, ",\"events\":[");
}

void rc_msg_history_event(struct rc_textbuf *b, struct rc_str json, bool first)
{
	if (!first)
		rc_textbuf_add_char(b, ',');
	rc_textbuf_add(b, json);
}

void rc_msg_history_opaque(struct rc_textbuf *b, struct rc_str bytes, bool first)
{
	rc_textbuf_add_text(b, first ? "\"" : ",\"");
	rc_textbuf_add_base64(b, bytes);
	rc_textbuf_add_char(b, '"');
}

void rc_msg_history_end(struct rc_textbuf *b, uint64_t epoch, uint64_t offset,
	uint64_t first_offset, bool complete, bool more)
{
	rc_textbuf_add_text(b, "],\"position\":");
	add_position(b, epoch, offset);
	if (first_offset > 0) {
		rc_textbuf_add_text(b, ",\"first\":");
		add_position(b, epoch, first_offset);
	}
	rc_textbuf_add_text(b, complete ? ",\"complete\":true" : ",\"complete\":false");
	rc_textbuf_add_text(b, more ? ",\"more\":true}" : ",\"more\":false}");
}

void rc_msg_presence_begin(
	struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms, struct rc_str channel)
{
	rc_textbuf_add_text(b, "{\"type\":\"presence\"");
	add_id(b, id_raw);
	add_timestamp(b, wall_ms);
	rc_textbuf_add_text(b, ",\"channel\":");
	rc_textbuf_add_string(b, channel);
}

void rc_msg_presence_users(struct rc_textbuf *b, struct rc_str users)
{
	rc_textbuf_add_text(b, ",\"users\":[");
	rc_textbuf_add(b, users);
	rc_textbuf_add_char(b, ']');
}

void rc_msg_presence_end(
	struct rc_textbuf *b, uint32_t count, uint32_t clients, uint32_t anonymous, bool complete)
{
	rc_textbuf_add_text(b, ",\"count\":");
	rc_textbuf_add_u64(b, count);
	rc_textbuf_add_text(b, ",\"clients\":");
	rc_textbuf_add_u64(b, clients);
	rc_textbuf_add_text(b, ",\"anonymous\":");
	rc_textbuf_add_u64(b, anonymous);
	rc_textbuf_add_text(b, complete ? ",\"complete\":true}" : ",\"complete\":false}");
}
