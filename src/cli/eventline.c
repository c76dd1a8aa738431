/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's messages as lines; the contract is in eventline.h.
 */
#include "cli/eventline.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/args.h"
#include "proto/base64.h"

/* ---- reading -------------------------------------------------------------------------------- */

static bool is_string(struct rc_json_value v, struct rc_str text)
{
	return v.kind == RC_JSON_STRING && v.raw.len == text.len + 2 &&
	       memcmp(v.raw.ptr + 1, text.ptr, text.len) == 0;
}

static enum rc_eventline_kind kind_of(const struct rc_eventline *m)
{
	static const struct {
		struct rc_str type;
		enum rc_eventline_kind kind;
	} kinds[] = {{RC_STR("event"), RC_EVENTLINE_EVENT},
		{RC_STR("connected"), RC_EVENTLINE_CONNECTED},
		{RC_STR("error"), RC_EVENTLINE_ERROR}, {RC_STR("gap"), RC_EVENTLINE_GAP},
		{RC_STR("bye"), RC_EVENTLINE_BYE}, {RC_STR("subscription-ack"), RC_EVENTLINE_ACK},
		{RC_STR("unsubscription-ack"), RC_EVENTLINE_OTHER},
		{RC_STR("reply"), RC_EVENTLINE_REPLY}, {RC_STR("events"), RC_EVENTLINE_GATHERED},
		{RC_STR("summary"), RC_EVENTLINE_GATHERED}, {RC_STR("ping"), RC_EVENTLINE_OTHER},
		{RC_STR("pong"), RC_EVENTLINE_OTHER}, {RC_STR("positions"), RC_EVENTLINE_OTHER},
		{RC_STR("history"), RC_EVENTLINE_OTHER},
		/* What the gateway says in a channel has its place among the events. */
		{RC_STR("join"), RC_EVENTLINE_EVENT}, {RC_STR("leave"), RC_EVENTLINE_EVENT},
		{RC_STR("presence"), RC_EVENTLINE_EVENT}};

	for (size_t i = 0; i < RC_ARRAY_LEN(kinds); i++) {
		if (is_string(m->type, kinds[i].type))
			return kinds[i].kind;
	}
	return RC_EVENTLINE_BARE;
}

void rc_eventline_parse(struct rc_eventline *m, struct rc_str text, bool binary)
{
	const struct {
		struct rc_str key;
		struct rc_json_value *value;
	} fields[] = {{RC_STR("type"), &m->type}, {RC_STR("channel"), &m->channel},
		{RC_STR("event"), &m->event}, {RC_STR("offset"), &m->offset},
		{RC_STR("data"), &m->data}, {RC_STR("encoding"), &m->encoding},
		{RC_STR("id"), &m->id}, {RC_STR("code"), &m->code},
		{RC_STR("message"), &m->message}, {RC_STR("missed"), &m->missed},
		{RC_STR("reason"), &m->reason}, {RC_STR("heartbeat"), &m->heartbeat}};
	struct rc_json_value root, value;
	struct rc_json_iter it;
	struct rc_str key;

	*m = (struct rc_eventline){.kind = RC_EVENTLINE_BARE};
	if (binary || rc_json_validate(text, RC_JSON_DEPTH_LIMIT) != 0)
		return;
	root = rc_json_root(text);
	if (root.kind != RC_JSON_OBJECT)
		return;
	rc_json_object_begin(&it, root.raw);
	while (rc_json_object_next(&it, &key, &value)) {
		for (size_t i = 0; i < RC_ARRAY_LEN(fields); i++) {
			if (rc_str_eq(key, fields[i].key))
				*fields[i].value = value;
		}
	}
	m->kind = kind_of(m);
}

const char *rc_eventline_text(struct rc_json_value value, char *buf, size_t size)
{
	int len = value.kind == RC_JSON_STRING ? rc_json_string_decode(value.raw, buf, size - 1)
					       : -EINVAL;

	if (len < 0 || !rc_args_printable((struct rc_str){buf, (size_t)len})) {
		buf[0] = '?';
		len = 1;
	}
	buf[len] = '\0';
	return buf;
}

struct rc_json_value rc_eventline_member(struct rc_json_value object, struct rc_str name)
{
	struct rc_json_value found = {RC_JSON_NONE, {NULL, 0}}, value;
	struct rc_json_iter it;
	struct rc_str key;

	if (object.kind != RC_JSON_OBJECT)
		return found;
	rc_json_object_begin(&it, object.raw);
	while (rc_json_object_next(&it, &key, &value)) {
		if (rc_str_eq(key, name))
			found = value;
	}
	return found;
}

uint64_t rc_eventline_number(struct rc_json_value value)
{
	uint64_t n = 0;

	if (value.kind != RC_JSON_NUMBER || value.raw.len > 18)
		return 0;
	for (size_t i = 0; i < value.raw.len; i++) {
		if (value.raw.ptr[i] < '0' || value.raw.ptr[i] > '9')
			return 0;
		n = n * 10 + (uint64_t)(value.raw.ptr[i] - '0');
	}
	return n;
}

/* ---- printing ------------------------------------------------------------------------------- */

static bool put(FILE *out, struct rc_str s)
{
	return s.len == 0 || fwrite(s.ptr, 1, s.len, out) == s.len;
}

/* In JSON a line end stands between values only, where a space says the same. */
static bool put_in_line(FILE *out, struct rc_str s)
{
	while (s.len > 0) {
		size_t len = 0;
		while (len < s.len && s.ptr[len] != '\n' && s.ptr[len] != '\r')
			len++;
		if (!put(out, (struct rc_str){s.ptr, len}))
			return false;
		if (len == s.len)
			break;
		if (putc(' ', out) == EOF)
			return false;
		s.ptr += len + 1;
		s.len -= len + 1;
	}
	return true;
}

static bool put_opaque(FILE *out, bool as_it_is, struct rc_str bytes)
{
	if (as_it_is || rc_args_printable(bytes))
		return put(out, bytes);
	size_t len = rc_base64_len(bytes.len);
	char *text = malloc(len);
	if (text == NULL) {
		errno = ENOMEM;
		return false;
	}
	(void)rc_base64_encode(bytes.ptr, bytes.len, text);
	bool fine = put(out, RC_STR("base64:")) && put(out, (struct rc_str){text, len});
	free(text);
	return fine;
}

static bool put_base64(FILE *out, bool as_it_is, struct rc_json_value data)
{
	struct rc_str text = {data.raw.ptr + 1, data.raw.len - 2};
	unsigned char *bytes = malloc(text.len + 1);

	if (bytes == NULL) {
		errno = ENOMEM;
		return false;
	}
	int64_t len = rc_base64_decode(text, bytes, text.len);
	bool fine = len < 0 ? put_in_line(out, data.raw)
			    : put_opaque(out, as_it_is,
				      (struct rc_str){(const char *)bytes, (size_t)len});
	free(bytes);
	return fine;
}

static bool put_data(FILE *out, bool as_it_is, const struct rc_eventline *m)
{
	if (is_string(m->encoding, RC_STR("base64")) && m->data.kind == RC_JSON_STRING)
		return put_base64(out, as_it_is, m->data);
	return put_in_line(out, m->data.raw);
}

static bool put_fields(FILE *out, const struct rc_eventline *m)
{
	char channel[256], event[129];

	/* Sent to a user or a session: to no channel, and so without a place in one. */
	if (m->channel.kind == RC_JSON_NONE)
		return fprintf(out, "- %s - ", rc_eventline_text(m->event, event, sizeof(event))) >=
		       0;
	return fprintf(out, "%s %s %.*s ", rc_eventline_text(m->channel, channel, sizeof(channel)),
		       rc_eventline_text(m->event, event, sizeof(event)), (int)m->offset.raw.len,
		       m->offset.raw.ptr) >= 0;
}

static bool put_bare(FILE *out, enum rc_eventline_format format, struct rc_str text)
{
	if (format == RC_EVENTLINE_FIELDS && !put(out, RC_STR("- - - ")))
		return false;
	if (rc_json_validate(text, RC_JSON_DEPTH_LIMIT) == 0)
		return put_in_line(out, text);
	return put_opaque(out, format != RC_EVENTLINE_FIELDS, text);
}

bool rc_eventline_print(FILE *out, enum rc_eventline_format format, const struct rc_eventline *m,
	struct rc_str text)
{
	bool fine = true;

	if (m->kind == RC_EVENTLINE_BARE) {
		fine = put_bare(out, format, text);
	} else if (format == RC_EVENTLINE_MESSAGE) {
		fine = put_in_line(out, text);
	} else {
		if (format == RC_EVENTLINE_FIELDS)
			fine = put_fields(out, m);
		fine = fine && put_data(out, format == RC_EVENTLINE_DATA, m);
	}
	return fine && putc('\n', out) != EOF;
}
