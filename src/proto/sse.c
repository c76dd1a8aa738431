/* SPDX-License-Identifier: Apache-2.0
 *
 * Server-sent events. Measuring and writing are one walk over the same plan: a sink without a buffer counts. See sse.h.
 */
#include "proto/sse.h"

#include "base/utf8.h"
#include "proto/base64.h"
#include "proto/event.h"
#include "proto/json.h"
#include "proto/names.h"
#include "proto/textbuf.h"
#include "proto/websocket.h"

/* Opaque data is decoded in steps of so many characters, whole groups of four. */
#define STEP_TEXT  4096
#define STEP_BYTES (STEP_TEXT / 4 * 3)

/* at is NULL where only len is asked for. */
struct sink {
	unsigned char *at;
	size_t len;
	bool after_cr; /* the last byte of the data was a CR: an LF belongs to it */
};

enum form { FORM_AS_IS, FORM_DECODED, FORM_ENCODED };

struct plan {
	char name_text[RC_EVENT_NAME_MAX];
	struct rc_str name; /* empty: no event line */
	struct rc_str data;
	enum form form; /* how data is to be sent */
};

static void put(struct sink *s, struct rc_str bytes)
{
	if (s->at != NULL)
		s->at = rc_str_copy(s->at, bytes);
	s->len += bytes.len;
}

static bool sendable(struct rc_str line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.ptr[i] == '\n' || line.ptr[i] == '\r' || line.ptr[i] == 0)
			return false;
	}
	return true;
}

static const char *find(const char *p, const char *end, char c)
{
	const char *found = memchr(p, c, (size_t)(end - p));

	return found != NULL ? found : end;
}

/* A piece of the data. Its line is begun already, and stays open. */
static void put_data(struct sink *s, struct rc_str piece)
{
	const char *p = piece.ptr;
	const char *end = piece.len > 0 ? p + piece.len : p;
	const char *cr, *lf;

	if (p == end)
		return;
	if (s->after_cr && *p == '\n')
		p++;
	s->after_cr = end[-1] == '\r';
	/* Where the next of each is stays known until it is passed: every byte is looked at twice, not more. */
	cr = find(p, end, '\r');
	lf = find(p, end, '\n');
	while (cr < end || lf < end) {
		const char *stop = RC_MIN(cr, lf);

		put(s, (struct rc_str){p, (size_t)(stop - p)});
		put(s, RC_STR("\ndata: "));
		p = stop + 1;
		if (stop == cr && p < end && lf == p)
			p++;
		if (cr < p)
			cr = find(p, end, '\r');
		if (lf < p)
			lf = find(p, end, '\n');
	}
	put(s, (struct rc_str){p, (size_t)(end - p)});
}

static void put_line(struct sink *s, struct rc_str field, struct rc_str value)
{
	if (value.len == 0)
		return;
	put(s, field);
	put(s, value);
	put(s, RC_STR("\n"));
}

static void put_end(struct sink *s, struct rc_str id)
{
	put_line(s, RC_STR("id: "), id);
	put(s, RC_STR("\n"));
}

/* ---- base64 */

/* The next step of text, decoded. 0: at the end. -1: it is no base64. */
static int64_t decode_step(struct rc_str *text, unsigned char bytes[STEP_BYTES])
{
	struct rc_str step = {text->ptr, RC_MIN(text->len, (size_t)STEP_TEXT)};
	int64_t len = rc_base64_decode(step, bytes, STEP_BYTES);

	text->ptr += step.len;
	text->len -= step.len;
	return len < 0 ? -1 : len;
}

/* Decodes to UTF-8 without NUL. */
static bool is_text(struct rc_str base64)
{
	unsigned char bytes[STEP_BYTES];
	uint32_t utf8 = RC_UTF8_ACCEPT;

	while (base64.len > 0) {
		int64_t len = decode_step(&base64, bytes);

		if (len < 0 || memchr(bytes, 0, (size_t)len) != NULL)
			return false;
		utf8 = rc_utf8_feed(utf8, bytes, (size_t)len);
		if (utf8 == RC_UTF8_REJECT)
			return false;
	}
	return utf8 == RC_UTF8_ACCEPT;
}

static void put_decoded(struct sink *s, struct rc_str base64)
{
	unsigned char bytes[STEP_BYTES];

	while (base64.len > 0) {
		int64_t len = decode_step(&base64, bytes);

		RC_ASSERT(len >= 0); /* is_text() went before */
		put_data(s, (struct rc_str){(const char *)bytes, (size_t)len});
	}
}

static void put_encoded(struct sink *s, struct rc_str bytes)
{
	size_t len = rc_base64_len(bytes.len);

	if (s->at != NULL)
		s->at += rc_base64_encode(bytes.ptr, bytes.len, (char *)s->at);
	s->len += len;
}

/* ---- the block of an event */

/* Only a raw event that imitates an object can have a name that is none; it gets no event line then. */
static void take_name(const struct rc_event_view *v, struct plan *p)
{
	p->name = v->event_raw;
	if (v->escaped) {
		/* The quotes stand around it. */
		struct rc_str quoted = {v->event_raw.ptr - 1, v->event_raw.len + 2};
		int len = rc_json_string_decode(quoted, p->name_text, sizeof(p->name_text));

		p->name = (struct rc_str){p->name_text, len > 0 ? (size_t)len : 0};
	}
	if (!rc_event_name_valid(p->name))
		p->name.len = 0;
}

static bool make_plan(struct plan *p, const unsigned char *frame, size_t len, bool bare)
{
	struct rc_event_view v;
	uint8_t opcode;

	p->name.len = 0;
	p->form = FORM_AS_IS;
	if (rc_event_ws_parse(frame, len, &v)) {
		take_name(&v, p);
		p->data = bare ? v.data : v.payload;
		if (bare && v.base64 && is_text(v.data))
			p->form = FORM_DECODED;
		return true;
	}
	if (!rc_ws_message_in(frame, len, &opcode, &p->data))
		return false;
	if (opcode == RC_WS_BINARY)
		p->form = FORM_ENCODED;
	return true;
}

static size_t write_plan(unsigned char *out, const struct plan *p, struct rc_str id)
{
	struct sink s = {out, 0, false};

	put_line(&s, RC_STR("event: "), p->name);
	put(&s, RC_STR("data: "));
	switch (p->form) {
	case FORM_AS_IS:
		put_data(&s, p->data);
		break;
	case FORM_DECODED:
		put_decoded(&s, p->data);
		break;
	case FORM_ENCODED:
		put_encoded(&s, p->data);
		break;
	}
	put(&s, RC_STR("\n"));
	put_end(&s, id);
	return s.len;
}

size_t rc_sse_encode(unsigned char *out, const unsigned char *ws_frame, size_t ws_len,
	struct rc_str id, bool bare)
{
	struct plan p;

	if (!sendable(id) || !make_plan(&p, ws_frame, ws_len, bare))
		return 0;
	return write_plan(out, &p, id);
}

size_t rc_sse_bound(const unsigned char *ws_frame, size_t ws_len, struct rc_str id, bool bare)
{
	return rc_sse_encode(NULL, ws_frame, ws_len, id, bare);
}

/* ---- other blocks */

size_t rc_sse_block(unsigned char *out, struct rc_str event, struct rc_str data, struct rc_str id)
{
	struct plan p = {.name = event, .data = data, .form = FORM_AS_IS};

	return sendable(event) && sendable(id) ? write_plan(out, &p, id) : 0;
}

size_t rc_sse_block_bound(struct rc_str event, struct rc_str data, struct rc_str id)
{
	return rc_sse_block(NULL, event, data, id);
}

size_t rc_sse_heartbeat(unsigned char *out, struct rc_str id)
{
	struct sink s = {out, 0, false};

	if (!sendable(id))
		return 0;
	put(&s, RC_STR(":\n"));
	put_end(&s, id);
	return s.len;
}

size_t rc_sse_hello(unsigned char *out, uint32_t retry_ms, struct rc_str id)
{
	char digits[RC_U64_TEXT_MAX];
	struct sink s = {out, 0, false};

	if (!sendable(id))
		return 0;
	put_line(&s, RC_STR("retry: "), (struct rc_str){digits, rc_u64_text(retry_ms, digits)});
	put_end(&s, id);
	return s.len;
}
