/* SPDX-License-Identifier: Apache-2.0
 *
 * One event, one frame. The payload's length is worked out first, since the header in front of it depends on it; then
 * everything is written once, to its place. Pure; an encoder belongs to one thread.
 */
#include "proto/event.h"

#include <errno.h>

#include "proto/base64.h"
#include "proto/event_layout.h"
#include "proto/json.h"
#include "proto/textbuf.h"
#include "proto/trace.h"
#include "proto/websocket.h"

#define HEADER_MAX 10
/* The last millisecond of the year 9999, at which rc_clock_iso8601 stops. */
#define WALL_MS_MAX 253402300799999ull

#define FRAME_LEN (TEXT_LEN(TO_CHANNEL TO_EVENT TO_OFFSET TO_TIMESTAMP) + RC_ISO8601_LEN)

static const char *timestamp_text(struct rc_event_encoder *encoder, uint64_t ms)
{
	uint64_t thousandth;

	if (ms > WALL_MS_MAX)
		ms = WALL_MS_MAX;
	if (encoder->iso[0] == 0 || ms / 1000 != encoder->ms / 1000) {
		rc_clock_iso8601(ms, encoder->iso);
	} else if (ms != encoder->ms) {
		thousandth = ms % 1000;
		encoder->iso[20] = (char)('0' + thousandth / 100);
		encoder->iso[21] = (char)('0' + thousandth / 10 % 10);
		encoder->iso[22] = (char)('0' + thousandth % 10);
	}
	encoder->ms = ms;
	return encoder->iso;
}

static struct rc_str json_data(const struct rc_event *e)
{
	return e->data.len > 0 ? e->data : RC_STR("null");
}

static size_t data_len(const struct rc_event *e)
{
	if (e->json)
		return TEXT_LEN(TO_JSON "}") + json_data(e).len;
	return TEXT_LEN(TO_OPAQUE OPAQUE_END) + rc_base64_len(e->data.len);
}

static size_t trace_len(const struct rc_event *e)
{
	return e->trace ? TEXT_LEN(TO_TRACE) + RC_TRACE_TEXT : 0;
}

/* How the object begins, by kind. */
static const struct rc_str starts[RC_EVENT_KINDS] = {
	[RC_EVENT_PUBLISHED] = {TO_CHANNEL, TEXT_LEN(TO_CHANNEL)},
	[RC_EVENT_JOIN] = {TO_CHANNEL_JOIN, TEXT_LEN(TO_CHANNEL_JOIN)},
	[RC_EVENT_LEAVE] = {TO_CHANNEL_LEAVE, TEXT_LEN(TO_CHANNEL_LEAVE)},
	[RC_EVENT_PRESENCE] = {TO_CHANNEL_PRESENCE, TEXT_LEN(TO_CHANNEL_PRESENCE)},
};

/* What its kind adds to the length of a publisher's event. */
static size_t kind_len(const struct rc_event *e)
{
	if (RC_LIKELY(e->kind == RC_EVENT_PUBLISHED))
		return 0;
	return starts[e->kind].len - TEXT_LEN(TO_CHANNEL) +
	       (e->user.len ? TEXT_LEN(TO_USER) + rc_json_escape_len(e->user) : 0);
}

size_t rc_event_ws_bound(const struct rc_event *e, bool raw)
{
	if (raw)
		return HEADER_MAX + e->data.len;
	/* The event's name is looked at once, when it is written: here each of its bytes may be six. */
	return HEADER_MAX + FRAME_LEN + RC_U64_TEXT_MAX + e->channel.len + 6 * e->event.len +
	       TEXT_LEN(TO_CHANNEL_PRESENCE TO_USER) + 6 * e->user.len + trace_len(e) + data_len(e);
}

static size_t encode_raw(unsigned char *out, const struct rc_event *e)
{
	size_t len = rc_ws_header(out, e->json ? RC_WS_TEXT : RC_WS_BINARY, true, e->data.len);

	if (e->data.len > 0)
		memcpy(out + len, e->data.ptr, e->data.len);
	return len + e->data.len;
}

size_t rc_event_ws_encode(
	struct rc_event_encoder *encoder, unsigned char *out, const struct rc_event *e, bool raw)
{
	char digits[RC_U64_TEXT_MAX];
	size_t digits_len, payload_len;
	unsigned char *payload, *at;

	if (raw)
		return encode_raw(out, e);

	digits_len = rc_u64_text(e->offset, digits);
	payload_len = FRAME_LEN + digits_len + e->channel.len + rc_json_escape_len(e->event) +
		      kind_len(e) + trace_len(e) + data_len(e);
	payload = out + rc_ws_header(out, RC_WS_TEXT, true, payload_len);

	at = RC_LIKELY(e->kind == RC_EVENT_PUBLISHED) ? PUT(payload, TO_CHANNEL)
						      : rc_str_copy(payload, starts[e->kind]);
	/* A channel's name has no byte that JSON would have escaped. */
	at = rc_str_copy(at, e->channel);
	at = PUT(at, TO_EVENT);
	at += rc_json_escape((char *)at, e->event);
	at = PUT(at, TO_OFFSET);
	at = put(at, digits, digits_len);
	at = PUT(at, TO_TIMESTAMP);
	at = put(at, timestamp_text(encoder, e->timestamp_ms), RC_ISO8601_LEN);
	if (RC_UNLIKELY(e->trace != NULL)) {
		at = PUT(at, TO_TRACE);
		rc_trace_text(e->trace, (char *)at);
		at += RC_TRACE_TEXT;
	}
	if (RC_UNLIKELY(e->user.len && e->kind != RC_EVENT_PUBLISHED)) {
		at = PUT(at, TO_USER);
		at += rc_json_escape((char *)at, e->user);
	}
	if (e->json) {
		at = PUT(at, TO_JSON);
		at = put(at, json_data(e).ptr, json_data(e).len);
		at = PUT(at, "}");
	} else {
		at = PUT(at, TO_OPAQUE);
		at += rc_base64_encode(e->data.ptr, e->data.len, (char *)at);
		at = PUT(at, OPAQUE_END);
	}
	RC_DASSERT((size_t)(at - payload) == payload_len);
	return (size_t)(at - out);
}

/* ---- epoch and position */

static const char epoch_digits[] = "abcdefghijklmnopqrstuvwxyz234567";

size_t rc_epoch_text(uint64_t epoch, char out[12])
{
	RC_ASSERT(epoch >> RC_EPOCH_BITS == 0);
	for (int i = RC_EPOCH_LEN - 1; i >= 0; i--) {
		out[i] = epoch_digits[epoch & 31];
		epoch >>= 5;
	}
	return RC_EPOCH_LEN;
}

int rc_epoch_parse(struct rc_str text, uint64_t *epoch)
{
	uint64_t value = 0;

	if (text.len != RC_EPOCH_LEN)
		return -EINVAL;
	for (size_t i = 0; i < RC_EPOCH_LEN; i++) {
		char c = text.ptr[i];

		if (c >= 'a' && c <= 'z')
			value = value << 5 | (uint64_t)(c - 'a');
		else if (c >= '2' && c <= '7')
			value = value << 5 | (uint64_t)(c - '2' + 26);
		else
			return -EINVAL;
	}
	if (value >> RC_EPOCH_BITS != 0)
		return -EINVAL;
	*epoch = value;
	return 0;
}

size_t rc_position_text(uint64_t epoch, uint64_t offset, char out[RC_POSITION_MAX])
{
	size_t len = rc_epoch_text(epoch, out);

	out[len++] = '@';
	return len + rc_u64_text(offset, out + len);
}

/* The epoch, and what stands behind it and the mark. */
static int split(struct rc_str text, char mark, uint64_t *epoch, struct rc_str *rest)
{
	const size_t head = RC_EPOCH_LEN + 1;

	if (text.len < head || text.ptr[RC_EPOCH_LEN] != mark)
		return -EINVAL;
	*rest = (struct rc_str){text.ptr + head, text.len - head};
	return rc_epoch_parse((struct rc_str){text.ptr, RC_EPOCH_LEN}, epoch);
}

int rc_position_parse(struct rc_str text, uint64_t *epoch, uint64_t *offset)
{
	struct rc_str digits;

	return split(text, '@', epoch, &digits) < 0 ? -EINVAL : rc_u64_parse(digits, offset);
}

size_t rc_stream_text(uint64_t epoch, const uint64_t *stamps, uint32_t count, char *out)
{
	char *at = out + rc_epoch_text(epoch, out);

	RC_ASSERT(count >= 1 && count <= RC_SHARDS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		*at++ = i == 0 ? '~' : '.';
		at += rc_u64_text(stamps[i], at);
	}
	return (size_t)(at - out);
}

int rc_stream_parse(
	struct rc_str text, uint64_t *epoch, uint64_t stamps[RC_SHARDS_MAX], uint32_t *count)
{
	struct rc_str rest;
	const char *dot;

	if (split(text, '~', epoch, &rest) < 0)
		return -EINVAL;
	for (uint32_t n = 0; n < RC_SHARDS_MAX; n++) {
		dot = rest.len > 0 ? memchr(rest.ptr, '.', rest.len) : NULL;
		struct rc_str digits = {
			rest.ptr, dot != NULL ? (size_t)(dot - rest.ptr) : rest.len};

		if (rc_u64_parse(digits, &stamps[n]) < 0)
			return -EINVAL;
		if (dot == NULL) {
			*count = n + 1;
			return 0;
		}
		rest.ptr = dot + 1;
		rest.len -= digits.len + 1;
	}
	return -EINVAL;
}

size_t rc_stream_text_before(struct rc_str text, uint64_t stamp, char *out)
{
	uint64_t epoch, stamps[RC_SHARDS_MAX];
	uint32_t count, whose = 0, found = 0;

	if (stamp == 0 || rc_stream_parse(text, &epoch, stamps, &count) < 0)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		if (stamps[i] != stamp)
			continue;
		whose = i;
		found++;
	}
	if (found != 1)
		return 0;
	stamps[whose]--;
	return rc_stream_text(epoch, stamps, count, out);
}
