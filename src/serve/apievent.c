/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of a publish request: one object, an array of them, or one a line. Pure.
 */
#include "serve/api.h"

#include <errno.h>

#include "base/clock.h"

#define DEPTH RC_API_DEPTH
/* The last millisecond of the year 9999. */
#define TIMESTAMP_MAX 253402300799999ull

struct rc_api_words rc_api_words(enum rc_api_fault fault)
{
	switch (fault) {
	case RC_API_BAD_JSON:
		return (struct rc_api_words){400, "bad_json", "this is not JSON"};
	case RC_API_BAD_REQUEST:
		return (struct rc_api_words){400, "bad_request",
			"an event is an object with channel, event and data, each once at most"};
	case RC_API_BAD_ID:
		return (struct rc_api_words){
			400, "bad_request", "an id is a string or a number of at most 128 bytes"};
	case RC_API_BAD_CHANNEL:
		return (struct rc_api_words){400, "bad_channel",
			"channel must be the name of a channel that one may publish to"};
	case RC_API_BAD_EVENT:
		return (struct rc_api_words){400, "bad_event",
			"an event name is 1 to 128 bytes of UTF-8 without control characters"};
	case RC_API_BAD_TIMESTAMP:
		return (struct rc_api_words){400, "bad_request",
			"timestamp must be milliseconds since 1970, or a time of ISO 8601"};
	case RC_API_TOO_LARGE:
		return (struct rc_api_words){413, "too_large",
			"data is larger than max_message, or than its namespace takes"};
	case RC_API_FORBIDDEN:
		return (struct rc_api_words){
			403, "forbidden", "the token does not allow to publish to this channel"};
	case RC_API_BAD_ECHO:
		return (struct rc_api_words){400, "bad_request", "echo must be true or false"};
	case RC_API_WRONG_EVENT:
		return (struct rc_api_words){422, "invalid_data",
			"the namespace of this channel takes no event of this name"};
	case RC_API_INVALID:
		return (struct rc_api_words){422, "invalid_data",
			"data is not what the namespace of this channel takes"};
	default:
		return (struct rc_api_words){
			503, "over_capacity", "the gateway has no room for this at present"};
	}
}

/* ---- the walk ----------------------------------------------------------------------------------- */

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct rc_str trim(struct rc_str s)
{
	while (s.len && blank(*s.ptr)) {
		s.ptr++;
		s.len--;
	}
	while (s.len && blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static bool next_line(struct rc_str *rest, struct rc_str *line)
{
	while (rest->len) {
		const char *end = memchr(rest->ptr, '\n', rest->len);
		size_t len = end ? (size_t)(end - rest->ptr) : rest->len;

		*line = trim((struct rc_str){rest->ptr, len});
		len += end != NULL;
		rest->ptr += len;
		rest->len -= len;
		if (line->len)
			return true;
	}
	return false;
}

bool rc_api_walk_begin(struct rc_api_walk *w, struct rc_str body, bool lines)
{
	struct rc_str first, rest = body;

	*w = (struct rc_api_walk){.form = RC_API_LINES, .rest = body};
	if (lines)
		return true;
	w->rest = trim(body);
	if (rc_json_validate(w->rest, DEPTH) == 0) {
		struct rc_json_value root = rc_json_root(w->rest);
		w->form = root.kind == RC_JSON_ARRAY ? RC_API_ARRAY : RC_API_ONE;
		if (w->form == RC_API_ARRAY)
			rc_json_array_begin(&w->array, root.raw);
		return true;
	}
	/* Several lines, each a value of its own. */
	return next_line(&rest, &first) && trim(rest).len && *first.ptr == '{' &&
	       rc_json_validate(first, DEPTH) == 0;
}

bool rc_api_walk_next(struct rc_api_walk *w, struct rc_str *text)
{
	struct rc_json_value value;

	switch (w->form) {
	case RC_API_ARRAY:
		if (!rc_json_array_next(&w->array, &value))
			return false;
		*text = value.raw;
		return true;
	case RC_API_LINES:
		return next_line(&w->rest, text);
	default:
		*text = w->rest;
		w->rest.len = 0;
		return text->len != 0;
	}
}

void rc_api_walk_move(struct rc_api_walk *w, const char *from, const char *to)
{
	if (w->form == RC_API_ARRAY) {
		w->array.pos = to + (w->array.pos - from);
		w->array.end = to + (w->array.end - from);
	}
	w->rest.ptr = to + (w->rest.ptr - from);
}

/* ---- an event ----------------------------------------------------------------------------------- */

struct fields {
	struct rc_json_value channel, event, data, id, timestamp, traceparent, echo;
};

/* False: one stands twice. */
static bool gather(struct rc_str object, struct fields *f)
{
	static const struct {
		const char *name;
		size_t offset;
	} known[] = {
		{"channel", offsetof(struct fields, channel)},
		{"event", offsetof(struct fields, event)},
		{"data", offsetof(struct fields, data)},
		{"id", offsetof(struct fields, id)},
		{"timestamp", offsetof(struct fields, timestamp)},
		{"traceparent", offsetof(struct fields, traceparent)},
		{"echo", offsetof(struct fields, echo)},
	};
	struct rc_json_iter it;
	struct rc_json_value value;
	struct rc_str key;

	*f = (struct fields){0};
	rc_json_object_begin(&it, object);
	while (rc_json_object_next(&it, &key, &value)) {
		for (size_t i = 0; i < RC_ARRAY_LEN(known); i++) {
			struct rc_json_value *v = (void *)((char *)f + known[i].offset);
			if (!rc_str_eq(key, rc_str_of(known[i].name)))
				continue;
			if (v->kind != RC_JSON_NONE)
				return false;
			*v = value;
		}
	}
	return true;
}

static bool text_of(const struct rc_json_value *v, char *out, size_t cap, struct rc_str *text)
{
	int len = v->kind == RC_JSON_STRING ? rc_json_string_decode(v->raw, out, cap) : -EINVAL;

	*text = (struct rc_str){out, len > 0 ? (size_t)len : 0};
	return len > 0;
}

static bool number(struct rc_str raw, uint64_t *out)
{
	*out = 0;
	if (raw.len == 0 || raw.len > 15)
		return false;
	for (size_t i = 0; i < raw.len; i++) {
		if (raw.ptr[i] < '0' || raw.ptr[i] > '9')
			return false;
		*out = *out * 10 + (uint64_t)(raw.ptr[i] - '0');
	}
	return *out > 0 && *out <= TIMESTAMP_MAX;
}

static bool time_of(const struct rc_json_value *v, uint64_t *out)
{
	char text[64];
	struct rc_str iso;

	if (v->kind == RC_JSON_NUMBER)
		return number(v->raw, out);
	return text_of(v, text, sizeof(text), &iso) && rc_clock_iso8601_parse(iso, out) == 0 &&
	       *out > 0 && *out <= TIMESTAMP_MAX;
}

/* One that is wrong is as if it were not there. */
static void take_trace(const struct rc_json_value *v, struct rc_api_event *out)
{
	char text[128];
	struct rc_str trace;

	out->traced = text_of(v, text, sizeof(text), &trace) && rc_trace_parse(trace, out->trace);
}

static enum rc_api_fault channel_of(
	const struct fields *f, bool broadcast, struct rc_api_event *out)
{
	out->channel = RC_STR(RC_HUB_BROADCAST);
	if (broadcast)
		return f->channel.kind == RC_JSON_NONE ? RC_API_UNDECIDED : RC_API_BAD_REQUEST;
	if (!text_of(&f->channel, out->channel_text, sizeof(out->channel_text), &out->channel) ||
		rc_name_classify(out->channel) != RC_NAME_CHANNEL || rc_name_reserved(out->channel))
		return RC_API_BAD_CHANNEL;
	return RC_API_UNDECIDED;
}

enum rc_api_fault rc_api_event_read(struct rc_str text, bool validated, bool broadcast,
	uint32_t message_max, struct rc_api_event *out)
{
	struct fields f;
	enum rc_api_fault fault;

	out->id = (struct rc_str){NULL, 0};
	out->timestamp_ms = 0;
	out->traced = false;
	out->json = true;
	if (!validated && rc_json_validate(text, DEPTH) < 0)
		return RC_API_BAD_JSON;
	struct rc_json_value root = rc_json_root(text);
	if (root.kind != RC_JSON_OBJECT || !gather(root.raw, &f))
		return RC_API_BAD_REQUEST;
	if (f.id.kind == RC_JSON_STRING || f.id.kind == RC_JSON_NUMBER)
		out->id = f.id.raw;
	else if (f.id.kind != RC_JSON_NONE)
		return RC_API_BAD_ID;
	if (out->id.len > RC_MSG_ID_MAX) {
		out->id.len = 0;
		return RC_API_BAD_ID;
	}
	fault = channel_of(&f, broadcast, out);
	if (fault)
		return fault;
	out->event = RC_STR("message");
	if (f.event.kind != RC_JSON_NONE &&
		(!text_of(&f.event, out->event_text, sizeof(out->event_text), &out->event) ||
			!rc_event_name_valid(out->event)))
		return RC_API_BAD_EVENT;
	if (f.timestamp.kind != RC_JSON_NONE && !time_of(&f.timestamp, &out->timestamp_ms))
		return RC_API_BAD_TIMESTAMP;
	out->echo = f.echo.kind != RC_JSON_FALSE;
	if (f.echo.kind != RC_JSON_NONE && f.echo.kind != RC_JSON_TRUE && out->echo)
		return RC_API_BAD_ECHO;
	take_trace(&f.traceparent, out);
	if (f.data.kind == RC_JSON_NONE)
		return RC_API_BAD_REQUEST;
	out->data = f.data.raw;
	return out->data.len > message_max ? RC_API_TOO_LARGE : RC_API_UNDECIDED;
}
