/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages and events from arbitrary bytes. Properties: a refusal names its reason and can be sent as an error that is
 * JSON; what is taken lies inside the text, and each slice is JSON; names of channels fit and decode; what the gateway
 * writes with a client's bytes in it is JSON, fits or says that it did not, and cuts nothing in half; an event's frame is as
 * long as it says and holds its fields, and reading it back finds them, also with a position in it; positions have one
 * spelling.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "proto/base64.h"
#include "proto/event.h"
#include "proto/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct rc_str s, struct rc_str text)
{
	return s.ptr >= text.ptr && s.ptr + s.len <= text.ptr + text.len;
}

static void check_slice(struct rc_str s, struct rc_str text)
{
	if (s.len == 0)
		return;
	RC_ASSERT(inside(s, text));
	RC_ASSERT(rc_json_validate(s, RC_MSG_DEPTH_MAX) == 0);
}

static void write_error(struct rc_textbuf *b, const struct rc_msg *m, const struct rc_msg_fault *f)
{
	rc_msg_error(b, m->id_raw, f->code, false, rc_str_of(f->message), 1768472100000u);
}

/* The same message into every smaller buffer: a prefix of the whole, and marked as cut. */
static void check_refusal(const struct rc_msg *m, const struct rc_msg_fault *f)
{
	char whole[1024], part[1024];
	struct rc_textbuf b = {whole, 0, sizeof(whole), false};

	RC_ASSERT(f->code != NULL && f->message[0] != 0);
	RC_ASSERT(rc_utf8_valid(f->message, strlen(f->message)));
	write_error(&b, m, f);
	RC_ASSERT(!b.full && rc_json_validate(rc_textbuf_str(&b), 8) == 0);
	for (size_t cap = m->id_raw.len; cap < b.len; cap += 7) {
		struct rc_textbuf small = {.ptr = part, .cap = cap};

		write_error(&small, m, f);
		RC_ASSERT(small.full && small.len <= cap);
		RC_ASSERT(memcmp(part, whole, small.len) == 0);
	}
}

static void check_json(struct rc_textbuf *b)
{
	RC_ASSERT(!b->full && rc_json_validate(rc_textbuf_str(b), 8) == 0);
	b->len = 0;
}

/* Everything else that names a channel. */
static void check_answers(const struct rc_msg *m, struct rc_str name)
{
	char room[16 * RC_CHANNEL_MAX + 1024];
	struct rc_textbuf b = {room, 0, sizeof(room), false};
	struct rc_str position = RC_STR("aaaaaaaaab~1.2");

	rc_msg_gap(&b, name, "slow", 17, position);
	check_json(&b);
	rc_msg_positions_begin(&b, 0);
	rc_msg_positions_stream(&b, name, position, true);
	rc_msg_positions_end(&b);
	check_json(&b);
	rc_msg_history_begin(&b, m->id_raw, 0, name);
	rc_msg_history_opaque(&b, name, true);
	rc_msg_history_event(&b, m->type_raw, false);
	rc_msg_history_end(&b, 1, 2, 1, true, false);
	check_json(&b);
	rc_msg_suback_begin(&b, m->id_raw, 0, RC_WORD_CHANNEL, false);
	rc_msg_suback_positions(&b);
	rc_msg_suback_stream(&b, name, position, true);
	rc_msg_suback_recovered(&b);
	rc_msg_suback_outcome(&b, name, false, true);
	rc_msg_suback_reasons(&b);
	rc_msg_suback_reason(&b, name, "epoch", true);
	rc_msg_suback_end(&b, true);
	check_json(&b);
}

static void check_channels(const struct rc_msg *m, struct rc_str text)
{
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name, previous = {NULL, 0};
	struct rc_textbuf b = {.ptr = malloc(8 * text.len + 512), .cap = 8 * text.len + 512};
	char last[RC_CHANNEL_MAX + 1];
	bool first = true;
	int result;

	rc_msg_suback_begin(&b, m->id_raw, 0, m->word, false);
	rc_msg_channels_begin(&it, m);
	while ((result = rc_msg_channels_next(&it, buf, &name)) != 0) {
		RC_ASSERT(rc_utf8_valid(name.ptr, name.len));
		if (result < 0) {
			RC_ASSERT(name.len <= 64 && inside(name, text));
			continue;
		}
		RC_ASSERT(name.ptr == buf && name.len <= RC_CHANNEL_MAX && buf[name.len] == 0);
		rc_msg_suback_channel(&b, name, first);
		check_answers(m, name);
		first = false;
		if (rc_name_classify(name) == RC_NAME_CHANNEL && previous.len > 0)
			(void)rc_pattern_match(previous, name);
		if (rc_name_classify(name) == RC_NAME_PATTERN) {
			memcpy(last, buf, name.len);
			previous = (struct rc_str){last, name.len};
		}
	}
	RC_ASSERT(m->has_channels || first);
	rc_msg_suback_end(&b, false);
	RC_ASSERT(!b.full && rc_json_validate(rc_textbuf_str(&b), 8) == 0);
	free(b.ptr);
}

static void check_message(struct rc_str text)
{
	struct rc_msg m;
	struct rc_msg_fault fault;
	char *end;

	if (rc_msg_parse(text, &m, &fault) < 0) {
		check_slice(m.id_raw, text);
		check_refusal(&m, &fault);
		return;
	}
	RC_ASSERT(fault.code == NULL);
	RC_ASSERT(m.type_raw.len > 2 && m.id_raw.len <= RC_MSG_ID_MAX);
	check_slice(m.type_raw, text);
	check_slice(m.id_raw, text);
	check_slice(m.channels.raw, text);
	check_slice(m.event_raw, text);
	check_slice(m.since.raw, text);
	check_slice(m.before.raw, text);
	check_slice(m.filter.raw, text);
	check_slice(m.ack.raw, text);
	check_slice(m.rate.raw, text);
	check_slice(m.window.raw, text);
	check_slice(m.key.raw, text);
	check_slice(m.summary.raw, text);
	check_slice(m.payload.raw, text);
	check_slice(m.data.raw, text);
	check_slice(m.action.raw, text);
	check_slice(m.client_id.raw, text);
	check_slice(m.limit.raw, text);
	check_slice(m.offset.raw, text);
	check_slice(m.token.raw, text);
	check_channels(&m, text);

	/* A second id behind everything else must be seen, and the message answer with the first. */
	end = malloc(text.len + 16);
	memcpy(end, text.ptr, text.len);
	for (size_t len = text.len; len > 0 && m.id_raw.len > 0; len--) {
		struct rc_msg again;

		if (end[len - 1] != '}')
			continue;
		memcpy(end + len - 1, ",\"id\":0}", 8);
		RC_ASSERT(rc_msg_parse((struct rc_str){end, len + 7}, &again, &fault) < 0);
		RC_ASSERT(rc_str_eq(again.id_raw, m.id_raw));
		break;
	}
	free(end);
}

/* ---- events: the bytes are cut into name and data */

static struct rc_str member(struct rc_str object, const char *wanted)
{
	struct rc_json_iter it;
	struct rc_json_value v;
	struct rc_str key;

	rc_json_object_begin(&it, object);
	while (rc_json_object_next(&it, &key, &v)) {
		if (rc_str_eq(key, rc_str_of(wanted)))
			return v.raw;
	}
	return (struct rc_str){NULL, 0};
}

static struct rc_str frame_payload(const unsigned char *frame, size_t len)
{
	size_t head = frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10;
	size_t size = frame[1] < 126 ? frame[1] : 0;

	for (size_t i = 2; i < head; i++)
		size = size << 8 | frame[i];
	RC_ASSERT(head + size == len);
	return (struct rc_str){(const char *)frame + head, size};
}

static void check_envelope(const struct rc_event *e, struct rc_str payload)
{
	char name[RC_EVENT_NAME_MAX];
	struct rc_str text;
	unsigned char *back = malloc(e->data.len + 1);

	RC_ASSERT(rc_json_validate(payload, RC_MSG_DEPTH_MAX + 1) == 0);
	RC_ASSERT(rc_json_string_decode(member(payload, "event"), name, sizeof(name)) ==
		  (int)e->event.len);
	RC_ASSERT(memcmp(name, e->event.ptr, e->event.len) == 0);
	RC_ASSERT(member(payload, "timestamp").len == RC_ISO8601_LEN + 2);
	text = member(payload, "data");
	if (e->json) {
		RC_ASSERT(inside(text, payload) && text.len > 0);
	} else {
		text = (struct rc_str){text.ptr + 1, text.len - 2};
		RC_ASSERT(rc_base64_decode(text, back, e->data.len + 1) == (int64_t)e->data.len);
		RC_ASSERT(e->data.len == 0 || memcmp(back, e->data.ptr, e->data.len) == 0);
	}
	free(back);
}

static struct rc_str unquoted(struct rc_str s)
{
	return s.len >= 2 && s.ptr[0] == '"' ? (struct rc_str){s.ptr + 1, s.len - 2} : s;
}

/* The reader that knows the layout agrees with the walk over the JSON. */
static void check_view(const struct rc_event *e, const unsigned char *frame, size_t len)
{
	struct rc_event_view v;
	struct rc_str data;

	RC_ASSERT(rc_event_ws_parse(frame, len, &v));
	RC_ASSERT(rc_str_eq(v.payload, frame_payload(frame, len)));
	RC_ASSERT(rc_str_eq(v.channel, e->channel) && v.base64 == !e->json);
	RC_ASSERT(rc_str_eq(v.event_raw, unquoted(member(v.payload, "event"))));
	RC_ASSERT(rc_str_eq(v.position, unquoted(member(v.payload, "position"))));
	data = member(v.payload, "data");
	if (v.base64)
		RC_ASSERT(rc_str_eq(v.data, unquoted(data)));
	else /* with the white space around it */
		RC_ASSERT(inside(data, v.data) && rc_json_validate(v.data, RC_MSG_DEPTH_MAX) == 0);
}

static void check_position_in(const struct rc_event *e, const unsigned char *frame, size_t len)
{
	struct rc_str position = RC_STR("aaaaaaaaab~12.0");
	unsigned char *out = malloc(RC_EVENT_POSITION_BOUND(len, position.len));
	size_t out_len = rc_event_ws_position(out, frame, len, position);
	struct rc_str payload = frame_payload(out, out_len);

	RC_ASSERT(out_len <= RC_EVENT_POSITION_BOUND(len, position.len));
	check_envelope(e, payload);
	check_view(e, out, out_len);
	RC_ASSERT(rc_str_eq(unquoted(member(payload, "position")), position));
	free(out);
}

static void check_event(struct rc_str bytes)
{
	static struct rc_event_encoder encoder;
	size_t name_len = bytes.len > 0 ? (unsigned char)bytes.ptr[0] % 24u : 0;
	struct rc_event e = {RC_STR("a:b"), {NULL, 0}, {NULL, 0}, 0, 0, false, 0, {NULL, 0}, NULL};

	if (bytes.len < 9 + name_len)
		return;
	memcpy(&e.timestamp_ms, bytes.ptr + 1, 8);
	e.offset = e.timestamp_ms * 31;
	e.event = (struct rc_str){bytes.ptr + 9, name_len};
	e.data = (struct rc_str){bytes.ptr + 9 + name_len, bytes.len - 9 - name_len};
	e.json = rc_json_validate(e.data, RC_MSG_DEPTH_MAX) == 0;
	if (!rc_event_name_valid(e.event))
		return;
	for (int raw = 0; raw < 2; raw++) {
		size_t bound = rc_event_ws_bound(&e, raw);
		unsigned char *frame = malloc(bound);
		size_t len = rc_event_ws_encode(&encoder, frame, &e, raw);
		struct rc_str payload;

		RC_ASSERT(len <= bound);
		RC_ASSERT(frame[0] == (raw && !e.json ? 0x82 : 0x81));
		payload = frame_payload(frame, len);
		if (raw) {
			RC_ASSERT(rc_str_eq(payload, e.data));
		} else {
			check_envelope(&e, payload);
			check_view(&e, frame, len);
			check_position_in(&e, frame, len);
		}
		free(frame);
	}
}

static void check_position(struct rc_str text)
{
	char out[RC_POSITION_MAX];
	uint64_t epoch, offset;

	if (rc_position_parse(text, &epoch, &offset) < 0)
		return;
	RC_ASSERT(rc_str_eq((struct rc_str){out, rc_position_text(epoch, offset, out)}, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rc_str text = {(const char *)data, size};

	if (size > 1 << 14)
		return 0;
	check_message(text);
	check_event(text);
	check_position(text);
	return 0;
}
