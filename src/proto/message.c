/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client says, taken apart. The whole message is checked as JSON first; then one walk over its members fills in
 * the slices. A fault does not end the walk, so that an id further behind is still found and answered. Pure, any thread.
 */
#include "proto/message.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum field_kind { FIELD_TYPE, FIELD_ID, FIELD_EVENT, FIELD_CHANNELS, FIELD_VALUE };

#define FIELD(name, kind, detail)                    \
	{                                            \
		name, sizeof(name) - 1, kind, detail \
	}
#define VALUE(name, member) FIELD(name, FIELD_VALUE, offsetof(struct rc_msg, member))

/* The members that mean something. detail: the place of a value in struct rc_msg, or the word. */
static const struct field {
	const char *name;
	uint8_t len;
	uint8_t kind;
	uint16_t detail;
} fields[] = {
	FIELD("type", FIELD_TYPE, 0),
	FIELD("id", FIELD_ID, 0),
	FIELD("event", FIELD_EVENT, 0),
	FIELD("channels", FIELD_CHANNELS, RC_WORD_CHANNELS),
	FIELD("channel", FIELD_CHANNELS, RC_WORD_CHANNEL),
	FIELD("categories", FIELD_CHANNELS, RC_WORD_CATEGORIES),
	FIELD("category", FIELD_CHANNELS, RC_WORD_CATEGORY),
	FIELD("rooms", FIELD_CHANNELS, RC_WORD_ROOMS),
	FIELD("room", FIELD_CHANNELS, RC_WORD_ROOM),
	VALUE("data", data),
	VALUE("payload", payload),
	VALUE("action", action),
	VALUE("since", since),
	VALUE("before", before),
	VALUE("filter", filter),
	VALUE("ack", ack),
	VALUE("rate", rate),
	VALUE("window", window),
	VALUE("key", key),
	VALUE("summary", summary),
	VALUE("clientId", client_id),
	VALUE("limit", limit),
	VALUE("offset", offset),
	VALUE("token", token),
	VALUE("idempotent", idempotent),
};
static_assert(RC_ARRAY_LEN(fields) <= 32, "a bit each in a u32");
#define FIELD_NAME_MAX 10

static const char *const word_names[] = {
	[RC_WORD_CHANNELS] = "channels",
	[RC_WORD_CHANNEL] = "channel",
	[RC_WORD_CATEGORIES] = "categories",
	[RC_WORD_CATEGORY] = "category",
	[RC_WORD_ROOMS] = "rooms",
	[RC_WORD_ROOM] = "room",
};

bool rc_msg_word_named(struct rc_str name, enum rc_msg_word *word)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(word_names); i++) {
		if (rc_str_eq(name, rc_str_of(word_names[i]))) {
			*word = (enum rc_msg_word)i;
			return true;
		}
	}
	return false;
}

#define NAMED(text)                    \
	{                              \
		text, sizeof(text) - 1 \
	}
/* With their lengths: each message looks for its own from the top. */
static const struct rc_str type_names[] = {
	[RC_MSG_SUBSCRIBE] = NAMED("subscribe"),
	[RC_MSG_UNSUBSCRIBE] = NAMED("unsubscribe"),
	[RC_MSG_PUBLISH] = NAMED("publish"),
	[RC_MSG_COMMAND] = NAMED("command"),
	[RC_MSG_PRESENCE] = NAMED("presence"),
	[RC_MSG_HISTORY] = NAMED("history"),
	[RC_MSG_ACK] = NAMED("ack"),
	[RC_MSG_REFRESH] = NAMED("refresh"),
	[RC_MSG_AUTH] = NAMED("auth"),
	[RC_MSG_PING] = NAMED("ping"),
	[RC_MSG_PONG] = NAMED("pong"),
};
static_assert(RC_ARRAY_LEN(type_names) == RC_MSG_OTHER, "every type that is known by name");

bool rc_msg_type_known(struct rc_str type)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(type_names); i++) {
		if (rc_str_eq(type, type_names[i]))
			return true;
	}
	return false;
}

void rc_msg_blame(struct rc_msg_fault *fault, const char *code, const char *format, ...)
{
	va_list args;

	if (fault->code != NULL)
		return;
	fault->code = code;
	va_start(args, format);
	vsnprintf(fault->message, sizeof(fault->message), format, args);
	va_end(args);
}

/* Index into fields, or RC_NONE. A key may be written with escapes and still means the same. */
static uint32_t find_field(struct rc_str key_raw)
{
	char buf[FIELD_NAME_MAX];
	struct rc_str key = key_raw;

	if (key_raw.len > 0 && memchr(key_raw.ptr, '\\', key_raw.len) != NULL) {
		struct rc_str quoted = {key_raw.ptr - 1, key_raw.len + 2};
		int len = rc_json_string_decode(quoted, buf, sizeof(buf));

		if (len < 0)
			return RC_NONE;
		key = (struct rc_str){buf, (size_t)len};
	}
	for (uint32_t i = 0; i < RC_ARRAY_LEN(fields); i++) {
		if (rc_str_eq(key, (struct rc_str){fields[i].name, fields[i].len}))
			return i;
	}
	return RC_NONE;
}

static void take_type(struct rc_msg *m, struct rc_json_value v, struct rc_msg_fault *fault)
{
	char buf[RC_EVENT_NAME_MAX];
	int len;

	if (v.kind != RC_JSON_STRING) {
		rc_msg_blame(fault, "bad_request", "'type' must be a string");
		return;
	}
	len = rc_json_string_decode(v.raw, buf, sizeof(buf));
	if (len < 0 || !rc_event_name_valid((struct rc_str){buf, (size_t)len})) {
		rc_msg_blame(fault, "bad_request",
			"'type' must be 1 to %d bytes of text without control characters",
			RC_EVENT_NAME_MAX);
		return;
	}
	m->type_raw = v.raw;
	for (uint32_t i = 0; i < RC_ARRAY_LEN(type_names); i++) {
		if (rc_str_eq((struct rc_str){buf, (size_t)len}, type_names[i])) {
			m->type = (enum rc_msg_type)i;
			return;
		}
	}
}

static void take_id(struct rc_msg *m, struct rc_json_value v, struct rc_msg_fault *fault)
{
	if (v.kind != RC_JSON_STRING && v.kind != RC_JSON_NUMBER)
		rc_msg_blame(fault, "bad_request", "'id' must be a string or a number");
	else if (v.raw.len > RC_MSG_ID_MAX)
		rc_msg_blame(fault, "bad_request", "'id' is longer than %d bytes", RC_MSG_ID_MAX);
	else
		m->id_raw = v.raw;
}

static bool names_in(struct rc_json_value v)
{
	struct rc_json_iter it;
	struct rc_json_value item;

	if (v.kind == RC_JSON_STRING)
		return true;
	if (v.kind != RC_JSON_ARRAY)
		return false;
	rc_json_array_begin(&it, v.raw);
	while (rc_json_array_next(&it, &item)) {
		if (item.kind != RC_JSON_STRING)
			return false;
	}
	return true;
}

static void take_channels(struct rc_msg *m, const struct field *field, struct rc_json_value v,
	struct rc_msg_fault *fault)
{
	if (m->has_channels) {
		rc_msg_blame(fault, "bad_request", "'%s' and '%s' both name the channels; send one",
			word_names[m->word], field->name);
		return;
	}
	m->has_channels = true;
	m->word = (enum rc_msg_word)field->detail;
	if (names_in(v))
		m->channels = v;
	else
		rc_msg_blame(fault, "bad_channel", "'%s' must be a string or an array of strings",
			field->name);
}

static void take_field(struct rc_msg *m, const struct field *field, struct rc_json_value v,
	struct rc_msg_fault *fault)
{
	switch (field->kind) {
	case FIELD_TYPE:
		take_type(m, v, fault);
		break;
	case FIELD_ID:
		take_id(m, v, fault);
		break;
	case FIELD_EVENT:
		if (v.kind == RC_JSON_STRING)
			m->event_raw = v.raw;
		else
			rc_msg_blame(fault, "bad_request", "'event' must be a string");
		break;
	case FIELD_CHANNELS:
		take_channels(m, field, v, fault);
		break;
	default:
		memcpy((char *)m + field->detail, &v, sizeof(v));
		break;
	}
}

int rc_msg_parse(struct rc_str text, struct rc_msg *out, struct rc_msg_fault *fault)
{
	struct rc_json_iter it;
	struct rc_json_value root, value;
	struct rc_str key;
	uint32_t seen = 0;

	memset(out, 0, sizeof(*out));
	out->type = RC_MSG_OTHER;
	fault->code = NULL;
	fault->message[0] = 0;

	if (rc_json_validate(text, RC_MSG_DEPTH_MAX) < 0) {
		rc_msg_blame(fault, "bad_json",
			"message is not valid JSON, or nests deeper than %d", RC_MSG_DEPTH_MAX);
		return -EINVAL;
	}
	root = rc_json_root(text);
	if (root.kind != RC_JSON_OBJECT) {
		rc_msg_blame(fault, "bad_request", "message must be a JSON object");
		return -EINVAL;
	}
	rc_json_object_begin(&it, root.raw);
	while (rc_json_object_next(&it, &key, &value)) {
		uint32_t index = find_field(key);

		if (index == RC_NONE)
			continue;
		if (seen & (uint32_t)1 << index) {
			rc_msg_blame(fault, "bad_request", "'%s' stands twice in the message",
				fields[index].name);
			continue;
		}
		seen |= (uint32_t)1 << index;
		take_field(out, &fields[index], value, fault);
	}
	if (out->type_raw.len == 0)
		rc_msg_blame(fault, "bad_request", "message has no 'type'");
	return fault->code != NULL ? -EINVAL : 0;
}

void rc_msg_channels_begin(struct rc_msg_channels *it, const struct rc_msg *m)
{
	memset(it, 0, sizeof(*it));
	if (m->channels.kind == RC_JSON_ARRAY)
		rc_json_array_begin(&it->array, m->channels.raw);
	else if (m->channels.kind == RC_JSON_STRING)
		it->single = m->channels.raw;
}

struct rc_str rc_msg_excerpt(struct rc_json_value v)
{
	struct rc_str text = v.raw;

	if (v.kind == RC_JSON_STRING && text.len >= 2) {
		text.ptr++;
		text.len -= 2;
	}
	if (text.len > 64) {
		text.len = 64;
		while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xc0) == 0x80)
			text.len--;
	}
	return text;
}

int rc_msg_channels_next(
	struct rc_msg_channels *it, char buf[RC_CHANNEL_MAX + 1], struct rc_str *name)
{
	struct rc_json_value v = {RC_JSON_STRING, it->single};
	int len;

	if (it->single.len > 0)
		it->single.len = 0;
	else if (!rc_json_array_next(&it->array, &v))
		return 0;
	len = v.kind == RC_JSON_STRING ? rc_json_string_decode(v.raw, buf, RC_CHANNEL_MAX)
				       : -EINVAL;
	if (len < 0) {
		*name = rc_msg_excerpt(v);
		return -EINVAL;
	}
	buf[len] = 0;
	*name = (struct rc_str){buf, (size_t)len};
	return 1;
}
