/* SPDX-License-Identifier: Apache-2.0
 *
 * One table of keys yields the parser, the hints and the bounds.
 */
#include "profile_key.h"

#include <assert.h>
#include <errno.h>

#define S(field) offsetof(struct load_target, subscriber.field)
#define P(field) offsetof(struct load_target, publisher.field)

const struct load_key load_keys[] = {
	{"name", LOAD_OF_TARGET, LOAD_FORM_NAME, offsetof(struct load_target, name)},
	{"about", LOAD_OF_TARGET, LOAD_FORM_ABOUT, offsetof(struct load_target, about)},
	{"url", LOAD_OF_SUBSCRIBER, LOAD_FORM_URL, S(url)},
	{"echo_url", LOAD_OF_SUBSCRIBER, LOAD_FORM_URL, S(echo_url)},
	{"protocol", LOAD_OF_SUBSCRIBER, LOAD_FORM_PLAIN, S(protocol)},
	{"header", LOAD_OF_SUBSCRIBER, LOAD_FORM_HEADER, S(headers)},
	{"frames", LOAD_OF_SUBSCRIBER, LOAD_FORM_FRAMES, S(binary)},
	{"greeting", LOAD_OF_SUBSCRIBER, LOAD_FORM_TEXT, S(greeting)},
	{"hello", LOAD_OF_SUBSCRIBER, LOAD_FORM_TEMPLATE, S(hello)},
	{"welcome", LOAD_OF_SUBSCRIBER, LOAD_FORM_TEXT, S(welcome)},
	{"subscribe", LOAD_OF_SUBSCRIBER, LOAD_FORM_TEMPLATE, S(subscribe)},
	{"subscribed", LOAD_OF_SUBSCRIBER, LOAD_FORM_TEXT, S(subscribed)},
	{"refused", LOAD_OF_SUBSCRIBER, LOAD_FORM_TEXT, S(refused)},
	{"since", LOAD_OF_SUBSCRIBER, LOAD_FORM_TEXT, S(since)},
	{"ping", LOAD_OF_SUBSCRIBER, LOAD_FORM_TEXT, S(ping)},
	{"pong", LOAD_OF_SUBSCRIBER, LOAD_FORM_TEMPLATE, S(pong)},
	{"gap", LOAD_OF_SUBSCRIBER, LOAD_FORM_TEXT, S(gap)},
	{"recover", LOAD_OF_SUBSCRIBER, LOAD_FORM_RECOVER, S(recover)},
	{"command", LOAD_OF_SUBSCRIBER, LOAD_FORM_TEMPLATE, S(command)},
	{"inbox", LOAD_OF_SUBSCRIBER, LOAD_FORM_TEMPLATE, S(inbox)},
	{"answer", LOAD_OF_SUBSCRIBER, LOAD_FORM_TEMPLATE, S(answer)},
	{"url", LOAD_OF_PUBLISHER, LOAD_FORM_URL, P(url)},
	{"protocol", LOAD_OF_PUBLISHER, LOAD_FORM_PLAIN, P(protocol)},
	{"header", LOAD_OF_PUBLISHER, LOAD_FORM_HEADER, P(headers)},
	{"frames", LOAD_OF_PUBLISHER, LOAD_FORM_FRAMES, P(binary)},
	{"greeting", LOAD_OF_PUBLISHER, LOAD_FORM_TEXT, P(greeting)},
	{"hello", LOAD_OF_PUBLISHER, LOAD_FORM_TEMPLATE, P(hello)},
	{"welcome", LOAD_OF_PUBLISHER, LOAD_FORM_TEXT, P(welcome)},
	{"event", LOAD_OF_PUBLISHER, LOAD_FORM_TEMPLATE, P(event)},
	{"ack", LOAD_OF_PUBLISHER, LOAD_FORM_TEXT, P(ack)},
	{"ping", LOAD_OF_PUBLISHER, LOAD_FORM_TEXT, P(ping)},
	{"pong", LOAD_OF_PUBLISHER, LOAD_FORM_TEMPLATE, P(pong)},
	{"window", LOAD_OF_PUBLISHER, LOAD_FORM_COUNT, P(window)},
	{"serve", LOAD_OF_PUBLISHER, LOAD_FORM_TEMPLATE, P(serve)},
	{"serving", LOAD_OF_PUBLISHER, LOAD_FORM_TEXT, P(serving)},
	{"reply", LOAD_OF_PUBLISHER, LOAD_FORM_TEMPLATE, P(reply)},
	{"reply_to", LOAD_OF_PUBLISHER, LOAD_FORM_COUNT, P(reply_to)},
};

const uint32_t load_key_count = RC_ARRAY_LEN(load_keys);

static_assert(RC_ARRAY_LEN(load_keys) <= LOAD_KEYS_MAX, "room to remember which were set");

int load_reading_refuse(struct load_reading *r, const char *sentence)
{
	rc_error_set(r->err, "%s", sentence);
	return -EINVAL;
}

static bool has_control(struct rc_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
			return true;
	return false;
}

static int take_fixed(struct load_reading *r, char *out, size_t size, struct rc_str value)
{
	if (value.len >= size || value.len == 0 || has_control(value)) {
		rc_error_set(r->err, "must be 1 to %zu bytes without control characters", size - 1);
		return -EINVAL;
	}
	memset(out, 0, size);
	rc_str_copy(out, value);
	return 0;
}

/* escapes: the text may hold them, and control characters by them. */
static int take_text(struct load_reading *r, const char **out, struct rc_str value, bool escapes)
{
	int len;

	*out = r->strings;
	if (!escapes && has_control(value))
		return load_reading_refuse(r, "must be without control characters");
	if (escapes) {
		len = load_text_unescape(r->strings, value, r->err);
		if (len < 0)
			return len;
	} else {
		rc_str_copy(r->strings, value);
		len = (int)value.len;
	}
	if (memchr(*out, 0, (size_t)len))
		return load_reading_refuse(
			r, "can't hold \\x00; wait for the bytes before or behind it");
	r->strings[len] = 0;
	r->strings += len + 1;
	return 0;
}

static int take_header(struct load_reading *r, struct rc_str value)
{
	const char *colon = value.len ? memchr(value.ptr, ':', value.len) : NULL;
	char *end;

	if (!colon || colon == value.ptr || has_control(value))
		return load_reading_refuse(
			r, "must be a header line such as Authorization: Bearer abc");
	end = rc_str_copy(r->headers[r->section], value);
	memcpy(end, "\r\n", 3);
	r->headers[r->section] = end + 2;
	return 0;
}

static int take_template(struct load_reading *r, struct load_template **out, struct rc_str value)
{
	load_template_free(*out);
	return load_template_compile(out, value, r->err);
}

static int take_url(
	struct load_reading *r, const char *name, struct load_url *out, struct rc_str value)
{
	char text[LOAD_PROFILE_VALUE_MAX + 1];

	memcpy(text, value.ptr, value.len);
	text[value.len] = 0;
	return load_url_parse(out, name, text, r->err);
}

static int take_count(struct load_reading *r, uint32_t *out, struct rc_str value)
{
	uint32_t count = 0;

	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9' || i == 6)
			return load_reading_refuse(r, "must be a number from 0 to 999999");
		count = count * 10 + (uint32_t)(value.ptr[i] - '0');
	}
	*out = count;
	return value.len ? 0 : load_reading_refuse(r, "must be a number from 0 to 999999");
}

static int take_choice(
	struct load_reading *r, bool *out, struct rc_str value, const char *off, const char *on)
{
	*out = rc_str_eq(value, rc_str_of(on));
	if (*out || rc_str_eq(value, rc_str_of(off)))
		return 0;
	rc_error_set(r->err, "must be %s or %s", off, on);
	return -EINVAL;
}

int load_key_take(struct load_reading *r, const struct load_key *key, struct rc_str value)
{
	void *field = (char *)r->target + key->at;

	RC_ASSERT(value.len <= LOAD_PROFILE_VALUE_MAX);
	switch (key->form) {
	case LOAD_FORM_NAME:
		return take_fixed(r, field, sizeof(r->target->name), value);
	case LOAD_FORM_ABOUT:
		return take_fixed(r, field, sizeof(r->target->about), value);
	case LOAD_FORM_PLAIN:
	case LOAD_FORM_TEXT:
		return take_text(r, field, value, key->form == LOAD_FORM_TEXT);
	case LOAD_FORM_HEADER:
		return take_header(r, value);
	case LOAD_FORM_TEMPLATE:
		return take_template(r, field, value);
	case LOAD_FORM_URL:
		return take_url(r, key->name, field, value);
	case LOAD_FORM_FRAMES:
		return take_choice(r, field, value, "text", "binary");
	case LOAD_FORM_RECOVER:
		return take_choice(r, field, value, "none", "ringcast");
	case LOAD_FORM_COUNT:
		return take_count(r, field, value);
	}
	RC_FAIL("a key of no form");
}

/* Empty strings and templates for all that the profile will not set, and its name. */
int load_keys_begin(struct load_reading *r, const char *file, size_t room)
{
	const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
	size_t len = strlen(name);
	int rc = 0;

	if (len > 4 && strcmp(name + len - 4, ".ini") == 0)
		len -= 4;
	snprintf(r->target->name, sizeof(r->target->name), "%.*s",
		(int)RC_MIN(len, sizeof(r->target->name) - 1), name);
	r->strings = (char *)(r->target + 1);
	r->headers[LOAD_OF_SUBSCRIBER] = r->strings + room;
	r->headers[LOAD_OF_PUBLISHER] = r->headers[LOAD_OF_SUBSCRIBER] + room;
	for (uint32_t i = 0; i < load_key_count && rc == 0; i++) {
		void *field = (char *)r->target + load_keys[i].at;

		if (load_keys[i].form == LOAD_FORM_TEMPLATE)
			rc = load_template_compile(field, (struct rc_str){0}, r->err);
		else if (load_keys[i].form == LOAD_FORM_TEXT ||
			 load_keys[i].form == LOAD_FORM_PLAIN)
			*(const char **)field = "";
		else if (load_keys[i].form == LOAD_FORM_HEADER)
			*(const char **)field = r->headers[load_keys[i].section];
	}
	return rc;
}
