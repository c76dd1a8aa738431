/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of server-sent events from arbitrary frames and ids. Properties: the bound is the length; a reader that follows the
 * standard finds one event, complete, with the id that was given and the data that the frame held, its line ends made
 * LF; nothing follows it. The same for an event whose payload these bytes are, with and without a position.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "proto/base64.h"
#include "proto/event.h"
#include "proto/names.h"
#include "proto/sse.h"
#include "proto/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct block {
	struct rc_str event, id; /* ptr NULL: no such line */
	char *data;              /* malloc */
	size_t data_len;
	bool has_data;
};

static bool has(struct rc_str s, char c)
{
	return s.len > 0 && memchr(s.ptr, c, s.len) != NULL;
}

/* One line, as a reader takes it. */
static void take_line(struct block *b, struct rc_str line)
{
	const char *colon = memchr(line.ptr, ':', line.len);
	struct rc_str name, value;

	RC_ASSERT(colon != NULL);
	name = (struct rc_str){line.ptr, (size_t)(colon - line.ptr)};
	value = (struct rc_str){colon + 1, line.len - name.len - 1};
	RC_ASSERT(value.len > 0 && value.ptr[0] == ' ');
	value = (struct rc_str){value.ptr + 1, value.len - 1};
	if (rc_str_eq(name, RC_STR("data"))) {
		RC_ASSERT(b->id.ptr == NULL);
		if (b->has_data)
			b->data[b->data_len++] = '\n';
		b->has_data = true;
		rc_str_copy(b->data + b->data_len, value);
		b->data_len += value.len;
	} else if (rc_str_eq(name, RC_STR("event"))) {
		RC_ASSERT(!b->has_data && b->event.ptr == NULL && value.len > 0);
		b->event = value;
	} else {
		RC_ASSERT(rc_str_eq(name, RC_STR("id")));
		RC_ASSERT(b->has_data && b->id.ptr == NULL && value.len > 0);
		b->id = value;
	}
}

static struct block read_block(const unsigned char *bytes, size_t len)
{
	struct block b = {.data = malloc(len + 1)};
	const char *p = (const char *)bytes, *end = p + len;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		struct rc_str line;

		RC_ASSERT(lf != NULL);
		line = (struct rc_str){p, (size_t)(lf - p)};
		RC_ASSERT(!has(line, '\r'));
		p = lf + 1;
		if (line.len == 0) {
			RC_ASSERT(p == end && b.has_data);
			return b;
		}
		take_line(&b, line);
	}
	RC_FAIL("a block without its empty line");
}

/* CR and CRLF as LF. In place. */
static size_t plain_lines(char *text, size_t len)
{
	size_t to = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\r') {
			text[to++] = '\n';
			if (i + 1 < len && text[i + 1] == '\n')
				i++;
		} else {
			text[to++] = text[i];
		}
	}
	return to;
}

static void check_data(const struct block *b, struct rc_str want)
{
	char *text = malloc(want.len + 1);
	size_t len;

	rc_str_copy(text, want);
	len = plain_lines(text, want.len);
	RC_ASSERT(len == b->data_len && memcmp(text, b->data, len) == 0);
	free(text);
}

static unsigned char *encode(
	const unsigned char *frame, size_t frame_len, struct rc_str id, bool bare, size_t *len)
{
	size_t bound = rc_sse_bound(frame, frame_len, id, bare);
	unsigned char *out = malloc(bound + 1);

	*len = rc_sse_encode(out, frame, frame_len, id, bare);
	RC_ASSERT(*len == bound);
	return out;
}

static void check_frame(const unsigned char *frame, size_t frame_len, struct rc_str id, bool bare)
{
	struct rc_str payload;
	struct rc_event_view v;
	uint8_t opcode;
	size_t len;
	unsigned char *out = encode(frame, frame_len, id, bare, &len);
	bool good = rc_ws_message_in(frame, frame_len, &opcode, &payload);

	RC_ASSERT((len == 0) == (!good || has(id, '\n') || has(id, '\r') || has(id, 0)));
	if (len > 0) {
		struct block b = read_block(out, len);
		bool event = rc_event_ws_parse(frame, frame_len, &v);

		RC_ASSERT(rc_str_eq(b.id, id));
		RC_ASSERT(b.event.ptr == NULL || (event && rc_event_name_valid(b.event)));
		if (opcode == RC_WS_TEXT && !(bare && event && v.base64))
			check_data(&b, bare && event ? v.data : payload);
		free(b.data);
	}
	free(out);
}

/* Opaque data comes as itself where it is text, as base64 where it is not. */
static void check_opaque(const unsigned char *frame, size_t frame_len, struct rc_str opaque)
{
	size_t len;
	unsigned char *out = encode(frame, frame_len, RC_STR("i"), true, &len);
	struct block b = read_block(out, len);

	if (rc_utf8_valid(opaque.ptr, opaque.len) && !has(opaque, 0)) {
		check_data(&b, opaque);
	} else {
		char *text = malloc(rc_base64_len(opaque.len) + 1);
		struct rc_str base64 = {text, rc_base64_encode(opaque.ptr, opaque.len, text)};

		check_data(&b, base64);
		free(text);
	}
	free(b.data);
	free(out);
}

static void check_event(struct rc_str bytes)
{
	struct rc_event_encoder encoder = {0};
	size_t name_len = bytes.len > 0 ? (unsigned char)bytes.ptr[0] % 16u : 0;
	struct rc_str position = RC_STR("aaaaaaaaab~1.2");
	struct rc_event e = {RC_STR("c"), {NULL, 0}, {NULL, 0}, 7, 8, false, 0, {NULL, 0}, NULL};

	if (bytes.len < 1 + name_len)
		return;
	e.event = (struct rc_str){bytes.ptr + 1, name_len};
	e.data = (struct rc_str){bytes.ptr + 1 + name_len, bytes.len - 1 - name_len};
	if (!rc_event_name_valid(e.event))
		return;
	for (int i = 0; i < 2; i++) {
		unsigned char *frame = malloc(rc_event_ws_bound(&e, false));
		size_t len = rc_event_ws_encode(&encoder, frame, &e, false);
		unsigned char *placed = malloc(RC_EVENT_POSITION_BOUND(len, position.len));
		size_t placed_len = rc_event_ws_position(placed, frame, len, position);
		struct rc_event_view v;

		RC_ASSERT(rc_event_ws_parse(frame, len, &v) && v.position.len == 0);
		RC_ASSERT(rc_event_ws_parse(placed, placed_len, &v));
		RC_ASSERT(rc_str_eq(v.position, position));
		check_frame(frame, len, position, false);
		check_frame(placed, placed_len, position, true);
		if (!e.json)
			check_opaque(placed, placed_len, e.data);
		free(frame);
		free(placed);
		/* The next time as what the gateway itself says. */
		e.json = true;
		e.kind = (uint8_t)(1 + name_len % (RC_EVENT_KINDS - 1));
		e.user = e.event;
		e.data = RC_STR("\",\\\"position\\\":\\\"1\"");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t id_len = size > 0 ? data[0] % 32u : 0;
	struct rc_str rest;

	if (size < 1 + id_len || size > 1 << 14)
		return 0;
	struct rc_str id = {(const char *)data + 1, id_len};
	rest = (struct rc_str){(const char *)data + 1 + id_len, size - 1 - id_len};
	for (int bare = 0; bare < 2; bare++) {
		unsigned char *frame = malloc(rest.len + 10);
		size_t header;

		/* As a frame of its own; and in one, as text and as bytes. */
		memcpy(frame, rest.ptr, rest.len);
		check_frame(frame, rest.len, id, bare);
		for (uint8_t opcode = RC_WS_TEXT; opcode <= RC_WS_BINARY; opcode++) {
			header = rc_ws_header(frame, opcode, true, rest.len);
			memcpy(frame + header, rest.ptr, rest.len);
			check_frame(frame, header + rest.len, id, bare);
		}
		free(frame);
	}
	check_event(rest);
	return 0;
}
