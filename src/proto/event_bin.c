/* SPDX-License-Identifier: Apache-2.0
 *
 * The binary rendition of an event: an EVENT frame, made from the JSON that others get of it. Once per event and shard, however
 * many listen. See binary.h.
 */
#include "proto/binary.h"

#include "proto/base64.h"
#include "proto/ingest_cursor.h"
#include "proto/json.h"
#include "proto/names.h"
#include "proto/trace.h"
#include "proto/websocket.h"

/* What stands around the strings of an EVENT: header, offset, timestamp, three lengths, trace. */
#define FIXED         (RINGCAST_WIRE_HEADER_LEN + 8 + 8 + 4 + RINGCAST_TRACE_LEN)
#define WS_HEADER_MAX 10

size_t rc_bin_rendition_bound(const struct rc_bin_source *s)
{
	/* Nothing of the JSON gets longer. */
	return WS_HEADER_MAX + FIXED + s->channel.len + s->position.len + s->len;
}

static unsigned char *body_at(unsigned char *out, bool ws)
{
	return ws ? out + WS_HEADER_MAX : out;
}

/* The frame stands at body_at; the WebSocket's header comes in front of it. */
static size_t wrap(unsigned char *out, size_t len, bool ws)
{
	unsigned char header[WS_HEADER_MAX];

	if (len == 0 || !ws)
		return len;
	size_t header_len = rc_ws_header(header, RC_WS_BINARY, true, len);
	if (header_len < WS_HEADER_MAX)
		memmove(out + header_len, out + WS_HEADER_MAX, len);
	memcpy(out, header, header_len);
	return header_len + len;
}

static size_t raw_rendition(unsigned char *out, const struct rc_bin_source *s, bool ws)
{
	struct rc_bin_event e = {
		.offset = s->offset, .channel = s->channel, .position = s->position};
	uint8_t opcode;

	if (!rc_ws_message_in(s->frame, s->len, &opcode, &e.payload))
		return 0;
	e.flags = opcode == RC_WS_TEXT ? RINGCAST_FLAG_JSON : 0;
	return wrap(out,
		rc_bin_event_encode(
			body_at(out, ws), rc_bin_rendition_bound(s) - WS_HEADER_MAX, &e),
		ws);
}

/* traceparent as W3C writes it: version, trace id, parent id, flags. */
static bool trace_of(
	struct rc_str text, unsigned char out[RINGCAST_TRACE_LEN], struct rc_str *trace)
{
	*trace = (struct rc_str){"", 0};
	if (text.len == 0)
		return true;
	if (!rc_trace_parse(text, out))
		return false;
	*trace = (struct rc_str){(const char *)out, RINGCAST_TRACE_LEN};
	return true;
}

static bool name_of(const struct rc_event_view *v, char buf[RC_EVENT_NAME_MAX], struct rc_str *name)
{
	*name = v->event_raw;
	if (v->escaped) {
		struct rc_str quoted = {v->event_raw.ptr - 1, v->event_raw.len + 2};
		int len = rc_json_string_decode(quoted, buf, RC_EVENT_NAME_MAX);
		*name = (struct rc_str){buf, len < 0 ? 0 : (size_t)len};
	}
	return name->len > 0 && name->len <= RC_EVENT_NAME_MAX;
}

/* Opaque data is decoded where it stands. */
static size_t encode_opaque(
	unsigned char *body, size_t cap, const struct rc_bin_event *e, struct rc_str base64)
{
	struct out o = {body, cap, rc_bin_event_encode(body, cap, e), false};
	int64_t len = o.used ? rc_base64_decode(base64, body + o.used, cap - o.used) : -1;

	if (len < 0)
		return 0;
	o.used += (size_t)len;
	return finish(&o);
}

size_t rc_bin_rendition(unsigned char *out, const struct rc_bin_source *s, bool ws)
{
	size_t cap = rc_bin_rendition_bound(s) - WS_HEADER_MAX;
	unsigned char trace[RINGCAST_TRACE_LEN];
	char name[RC_EVENT_NAME_MAX];
	struct rc_bin_event e = {0};
	struct rc_event_view v;

	if (s->raw)
		return raw_rendition(out, s, ws);
	if (!rc_event_ws_parse(s->frame, s->len, &v) || !name_of(&v, name, &e.event) ||
		!trace_of(v.trace, trace, &e.trace) ||
		rc_clock_iso8601_parse(v.timestamp, &e.timestamp_ms) < 0)
		return 0;
	e.flags = v.own ? RINGCAST_FLAG_OWN : 0;
	e.offset = v.offset;
	e.channel = v.channel;
	e.position = v.position;
	if (v.base64)
		return wrap(out, encode_opaque(body_at(out, ws), cap, &e, v.data), ws);
	e.flags |= RINGCAST_FLAG_JSON;
	e.payload = v.data;
	return wrap(out, rc_bin_event_encode(body_at(out, ws), cap, &e), ws);
}
