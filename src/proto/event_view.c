/* SPDX-License-Identifier: Apache-2.0
 *
 * An event's frame read again, for the renditions that are made from it. See event.h.
 */
#include "proto/event.h"

#include "proto/event_layout.h"
#include "proto/json_scan.h"
#include "proto/textbuf.h"
#include "proto/trace.h"
#include "proto/websocket.h"

#define OBJECT_START "{\"type\":\"event\""

/* What the gateway itself says looks like this up to its channel: a raw event that only has such a type is not taken for it. */
static const struct rc_str own_starts[] = {
	{TO_CHANNEL_JOIN, TEXT_LEN(TO_CHANNEL_JOIN)},
	{TO_CHANNEL_LEAVE, TEXT_LEN(TO_CHANNEL_LEAVE)},
	{TO_CHANNEL_PRESENCE, TEXT_LEN(TO_CHANNEL_PRESENCE)},
};

/* The length of that start; 0: it is none. */
static size_t own_start(struct rc_str payload)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(own_starts); i++) {
		if (rc_str_starts(payload, own_starts[i]))
			return own_starts[i].len;
	}
	return 0;
}

/* The frame with these texts in front of its last brace; as it is, when it is none of an event. */
static size_t insert(unsigned char *out, const unsigned char *frame, size_t frame_len,
	const struct rc_str *texts, size_t count)
{
	struct rc_str payload;
	uint8_t opcode;
	unsigned char *at;
	size_t more = 0;

	if (!rc_ws_message_in(frame, frame_len, &opcode, &payload) || opcode != RC_WS_TEXT ||
		(!rc_str_starts(payload, RC_STR(OBJECT_START)) && !own_start(payload)) ||
		payload.ptr[payload.len - 1] != '}') {
		memcpy(out, frame, frame_len);
		return frame_len;
	}
	for (size_t i = 0; i < count; i++)
		more += texts[i].len;
	at = out + rc_ws_header(out, RC_WS_TEXT, true, payload.len + more);
	payload.len--;
	at = rc_str_copy(at, payload);
	for (size_t i = 0; i < count; i++)
		at = rc_str_copy(at, texts[i]);
	at = PUT(at, "}");
	return (size_t)(at - out);
}

size_t rc_event_ws_position(
	unsigned char *out, const unsigned char *frame, size_t frame_len, struct rc_str position)
{
	const struct rc_str texts[] = {RC_STR(TO_POSITION), position, RC_STR("\"")};

	return insert(out, frame, frame_len, texts, RC_ARRAY_LEN(texts));
}

size_t rc_event_ws_redelivered(
	unsigned char *out, const unsigned char *frame, size_t frame_len, uint32_t times)
{
	char digits[RC_U64_TEXT_MAX];
	size_t digits_len = rc_u64_text(times, digits);
	const struct rc_str texts[] = {RC_STR(",\"redelivered\":"), {digits, digits_len}};

	return insert(out, frame, frame_len, texts, RC_ARRAY_LEN(texts));
}

/* *p moves behind the text, where it stands there. */
#define SKIP(p, end, literal) skip(p, end, literal, TEXT_LEN(literal))
static inline bool skip(const char **p, const char *end, const char *text, size_t len)
{
	if ((size_t)(end - *p) < len || memcmp(*p, text, len) != 0)
		return false;
	*p += len;
	return true;
}

/* To the quote that ends a name. false where there is none, or a byte that no string may hold. */
static bool take_name(const char **p, const char *end, struct rc_str *out, bool *escaped)
{
	const char *start = *p, *at = start;
	uint64_t seen = 0;

	*escaped = false;
	while ((at = rc_scan_plain_end(at, end, &seen)) < end && *at != '"') {
		if (*at != '\\' || end - at < 2)
			return false;
		*escaped = true;
		at += 2;
	}
	*out = (struct rc_str){start, (size_t)(at - start)};
	*p = at;
	return at < end;
}

/*
 * Takes ,"position":"…" off the end of what stands before the last brace. Data that is JSON can't end like that: it would be
 * a string, and one with quotes inside that no backslash precedes.
 */
static struct rc_str take_position(const char *start, const char **end)
{
	const size_t most = RC_STREAM_TEXT_MAX(RC_SHARDS_MAX);
	const char *quote, *lowest;

	if (*end - start < 2 || (*end)[-1] != '"')
		return (struct rc_str){NULL, 0};
	lowest = (size_t)(*end - 1 - start) > most + 1 ? *end - 2 - most : start;
	quote = memrchr(lowest, '"', (size_t)(*end - 1 - lowest));
	if (quote == NULL || (size_t)(quote + 1 - start) < TEXT_LEN(TO_POSITION) ||
		memcmp(quote + 1 - TEXT_LEN(TO_POSITION), TO_POSITION, TEXT_LEN(TO_POSITION)) != 0)
		return (struct rc_str){NULL, 0};
	struct rc_str found = {quote + 1, (size_t)(*end - 1 - (quote + 1))};
	*end = quote + 1 - TEXT_LEN(TO_POSITION);
	return found;
}

bool rc_event_ws_parse(const unsigned char *frame, size_t len, struct rc_event_view *out)
{
	const char *p, *end;
	uint8_t opcode;
	bool escaped, own = false;
	struct rc_str user;

	if (!rc_ws_message_in(frame, len, &opcode, &out->payload) || opcode != RC_WS_TEXT)
		return false;
	p = out->payload.ptr;
	end = p + out->payload.len;
	if (!SKIP(&p, end, TO_CHANNEL)) {
		p += own_start(out->payload);
		own = true;
	}
	if (p == out->payload.ptr || !take_name(&p, end, &out->channel, &escaped) || escaped ||
		!SKIP(&p, end, TO_EVENT) || !take_name(&p, end, &out->event_raw, &out->escaped) ||
		!SKIP(&p, end, TO_OFFSET))
		return false;
	out->offset = 0;
	while (p < end && rc_scan_is_digit(*p))
		out->offset = out->offset * 10 + (uint64_t)(*p++ - '0');
	if (!SKIP(&p, end, TO_TIMESTAMP) || end - p < RC_ISO8601_LEN)
		return false;
	out->timestamp = (struct rc_str){p, RC_ISO8601_LEN};
	out->own = own;
	p += RC_ISO8601_LEN;
	out->trace = (struct rc_str){NULL, 0};
	if (!own && SKIP(&p, end, TO_TRACE)) {
		if (end - p < RC_TRACE_TEXT)
			return false;
		out->trace = (struct rc_str){p, RC_TRACE_TEXT};
		p += RC_TRACE_TEXT;
	}
	if (own && SKIP(&p, end, TO_USER) && !take_name(&p, end, &user, &escaped))
		return false;
	out->base64 = SKIP(&p, end, TO_OPAQUE);
	if ((!out->base64 && !SKIP(&p, end, TO_JSON)) || p == end || end[-1] != '}')
		return false;
	end--;
	out->position = take_position(p, &end);
	if (out->base64) {
		if (p == end || end[-1] != '"')
			return false;
		end--;
	}
	out->data = (struct rc_str){p, (size_t)(end - p)};
	return true;
}
