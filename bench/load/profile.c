/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles: text to a target. One table of keys yields the parser, the hints and the bounds. inih is not used: it cuts lines at 200
 * bytes and takes " ;" inside a value for a comment, and templates are long and may hold anything.
 *
 * All strings of a target lie behind it in the same memory. None of them is longer than its line, so three times the text has
 * room for all, with the headers of both sections at places of their own since these grow.
 */
#include "profile.h"

#include <errno.h>
#include <stdlib.h>

#include "config/nearest.h"

enum section { TARGET, SUBSCRIBER, PUBLISHER, SECTIONS };
enum form { NAME, ABOUT, PLAIN, TEXT, HEADER, TEMPLATE, URL, FRAMES, RECOVER, COUNT };

static const char *const section_names[SECTIONS] = {"target", "subscriber", "publisher"};

#define S(field) offsetof(struct load_target, subscriber.field)
#define P(field) offsetof(struct load_target, publisher.field)

static const struct key {
	const char *name;
	enum section section;
	enum form form;
	size_t at;
} keys[] = {
	{"name", TARGET, NAME, offsetof(struct load_target, name)},
	{"about", TARGET, ABOUT, offsetof(struct load_target, about)},
	{"url", SUBSCRIBER, URL, S(url)},
	{"echo_url", SUBSCRIBER, URL, S(echo_url)},
	{"protocol", SUBSCRIBER, PLAIN, S(protocol)},
	{"header", SUBSCRIBER, HEADER, S(headers)},
	{"frames", SUBSCRIBER, FRAMES, S(binary)},
	{"greeting", SUBSCRIBER, TEXT, S(greeting)},
	{"hello", SUBSCRIBER, TEMPLATE, S(hello)},
	{"welcome", SUBSCRIBER, TEXT, S(welcome)},
	{"subscribe", SUBSCRIBER, TEMPLATE, S(subscribe)},
	{"subscribed", SUBSCRIBER, TEXT, S(subscribed)},
	{"refused", SUBSCRIBER, TEXT, S(refused)},
	{"since", SUBSCRIBER, TEXT, S(since)},
	{"ping", SUBSCRIBER, TEXT, S(ping)},
	{"pong", SUBSCRIBER, TEMPLATE, S(pong)},
	{"gap", SUBSCRIBER, TEXT, S(gap)},
	{"recover", SUBSCRIBER, RECOVER, S(recover)},
	{"url", PUBLISHER, URL, P(url)},
	{"protocol", PUBLISHER, PLAIN, P(protocol)},
	{"header", PUBLISHER, HEADER, P(headers)},
	{"frames", PUBLISHER, FRAMES, P(binary)},
	{"greeting", PUBLISHER, TEXT, P(greeting)},
	{"hello", PUBLISHER, TEMPLATE, P(hello)},
	{"welcome", PUBLISHER, TEXT, P(welcome)},
	{"event", PUBLISHER, TEMPLATE, P(event)},
	{"ack", PUBLISHER, TEXT, P(ack)},
	{"ping", PUBLISHER, TEXT, P(ping)},
	{"pong", PUBLISHER, TEMPLATE, P(pong)},
	{"window", PUBLISHER, COUNT, P(window)},
};

struct reading {
	struct load_target *target;
	char *strings;           /* the next goes here */
	char *headers[SECTIONS]; /* the end of each section's */
	enum section section;    /* SECTIONS: none yet */
	uint32_t line;
	uint32_t seen[RC_ARRAY_LEN(keys)]; /* line on which it was set */
	struct rc_error *err;
};

/* ---- values ------------------------------------------------------------------------------------ */

static int refuse(struct reading *r, const char *sentence)
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

static int take_fixed(struct reading *r, char *out, size_t size, struct rc_str value)
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
static int take_text(struct reading *r, const char **out, struct rc_str value, bool escapes)
{
	int len;

	*out = r->strings;
	if (!escapes && has_control(value))
		return refuse(r, "must be without control characters");
	if (escapes) {
		len = load_text_unescape(r->strings, value, r->err);
		if (len < 0)
			return len;
	} else {
		rc_str_copy(r->strings, value);
		len = (int)value.len;
	}
	if (memchr(*out, 0, (size_t)len))
		return refuse(r, "can't hold \\x00; wait for the bytes before or behind it");
	r->strings[len] = 0;
	r->strings += len + 1;
	return 0;
}

static int take_header(struct reading *r, struct rc_str value)
{
	const char *colon = value.len ? memchr(value.ptr, ':', value.len) : NULL;
	char *end;

	if (!colon || colon == value.ptr || has_control(value))
		return refuse(r, "must be a header line such as Authorization: Bearer abc");
	end = rc_str_copy(r->headers[r->section], value);
	memcpy(end, "\r\n", 3);
	r->headers[r->section] = end + 2;
	return 0;
}

static int take_template(struct reading *r, struct load_template **out, struct rc_str value)
{
	load_template_free(*out);
	return load_template_compile(out, value, r->err);
}

static int take_url(struct reading *r, const char *name, struct load_url *out, struct rc_str value)
{
	char text[LOAD_PROFILE_VALUE_MAX + 1];

	memcpy(text, value.ptr, value.len);
	text[value.len] = 0;
	return load_url_parse(out, name, text, r->err);
}

static int take_count(struct reading *r, uint32_t *out, struct rc_str value)
{
	uint32_t count = 0;

	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9' || i == 6)
			return refuse(r, "must be a number from 0 to 999999");
		count = count * 10 + (uint32_t)(value.ptr[i] - '0');
	}
	*out = count;
	return value.len ? 0 : refuse(r, "must be a number from 0 to 999999");
}

static int take_choice(
	struct reading *r, bool *out, struct rc_str value, const char *off, const char *on)
{
	*out = rc_str_eq(value, rc_str_of(on));
	if (*out || rc_str_eq(value, rc_str_of(off)))
		return 0;
	rc_error_set(r->err, "must be %s or %s", off, on);
	return -EINVAL;
}

static int take_value(struct reading *r, const struct key *key, struct rc_str value)
{
	void *field = (char *)r->target + key->at;

	if (value.len > LOAD_PROFILE_VALUE_MAX)
		return refuse(r, "is longer than 4096 bytes");
	switch (key->form) {
	case NAME:
		return take_fixed(r, field, sizeof(r->target->name), value);
	case ABOUT:
		return take_fixed(r, field, sizeof(r->target->about), value);
	case PLAIN:
	case TEXT:
		return take_text(r, field, value, key->form == TEXT);
	case HEADER:
		return take_header(r, value);
	case TEMPLATE:
		return take_template(r, field, value);
	case URL:
		return take_url(r, key->name, field, value);
	case FRAMES:
		return take_choice(r, field, value, "text", "binary");
	case RECOVER:
		return take_choice(r, field, value, "none", "ringcast");
	case COUNT:
		return take_count(r, field, value);
	}
	return RC_FAIL("a key of no form"), 0;
}

/* ---- lines ------------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct rc_str trim(struct rc_str s)
{
	while (s.len && is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static int take_section(struct reading *r, struct rc_str line)
{
	struct rc_str name = {line.ptr + 1, line.len - 1};
	struct rc_nearest nearest;
	char text[32];

	if (name.len && name.ptr[name.len - 1] == ']')
		name = trim((struct rc_str){name.ptr, name.len - 1});
	else
		return refuse(r, "the section's closing ] is missing at the end of the line");
	for (r->section = 0; r->section < SECTIONS; r->section++)
		if (rc_str_eq(name, rc_str_of(section_names[r->section])))
			return 0;
	snprintf(text, sizeof(text), "%.*s", (int)RC_MIN(name.len, sizeof(text) - 1), name.ptr);
	rc_nearest_init(&nearest, text);
	for (size_t i = 0; i < SECTIONS; i++)
		rc_nearest_offer(&nearest, section_names[i]);
	if (nearest.best)
		rc_error_set(
			r->err, "unknown section [%s]; did you mean [%s]?", text, nearest.best);
	else
		rc_error_set(r->err,
			"unknown section [%s]; there are [target], [subscriber] and [publisher]",
			text);
	return -EINVAL;
}

static int unknown_key(struct reading *r, struct rc_str name)
{
	struct rc_nearest nearest;
	char text[32], all[256];
	size_t len = 0;

	snprintf(text, sizeof(text), "%.*s", (int)RC_MIN(name.len, sizeof(text) - 1), name.ptr);
	rc_nearest_init(&nearest, text);
	for (size_t i = 0; i < RC_ARRAY_LEN(keys); i++)
		if (keys[i].section == r->section) {
			rc_nearest_offer(&nearest, keys[i].name);
			len += (size_t)snprintf(all + len, sizeof(all) - len, " %s", keys[i].name);
		}
	if (nearest.best)
		rc_error_set(r->err, "unknown key '%s' in [%s]; did you mean '%s'?", text,
			section_names[r->section], nearest.best);
	else
		rc_error_set(r->err, "unknown key '%s' in [%s]; there are%s", text,
			section_names[r->section], all);
	return -EINVAL;
}

static int take_key(struct reading *r, struct rc_str name, struct rc_str value)
{
	int rc;

	for (size_t i = 0; i < RC_ARRAY_LEN(keys); i++) {
		if (keys[i].section != r->section || !rc_str_eq(name, rc_str_of(keys[i].name)))
			continue;
		if (r->seen[i] && keys[i].form != HEADER) {
			rc_error_set(r->err, "%s is set a second time; line %u has it already",
				keys[i].name, r->seen[i]);
			return -EINVAL;
		}
		r->seen[i] = r->line;
		rc = take_value(r, &keys[i], value);
		if (rc < 0 && keys[i].form != URL)
			rc_error_prefix(r->err, "%s", keys[i].name);
		return rc;
	}
	return unknown_key(r, name);
}

static int take_line(struct reading *r, struct rc_str line)
{
	const char *equals;

	line = trim(line);
	if (line.len == 0 || line.ptr[0] == ';' || line.ptr[0] == '#')
		return 0;
	if (memchr(line.ptr, 0, line.len))
		return refuse(r, "the line holds a NUL byte; write \\x00");
	if (line.ptr[0] == '[')
		return take_section(r, line);
	equals = memchr(line.ptr, '=', line.len);
	if (!equals)
		return refuse(r, "is neither 'key = value', nor [section], nor a comment");
	if (r->section == SECTIONS)
		return refuse(r, "a key before the first section; begin with [target]");
	return take_key(r, trim((struct rc_str){line.ptr, (size_t)(equals - line.ptr)}),
		trim((struct rc_str){equals + 1, line.len - (size_t)(equals + 1 - line.ptr)}));
}

static int take_lines(struct reading *r, struct rc_str text)
{
	const char *at = text.ptr, *end = text.ptr + text.len, *stop;
	int rc = 0;

	if (rc_str_starts(text, RC_STR("\xef\xbb\xbf")))
		at += 3;
	for (; at < end && rc == 0; at = stop + (stop < end)) {
		stop = memchr(at, '\n', (size_t)(end - at));
		stop = stop ? stop : end;
		r->line++;
		rc = take_line(r, (struct rc_str){at, (size_t)(stop - at)});
	}
	return rc;
}

/* ---- the whole --------------------------------------------------------------------------------- */

/* Empty strings and templates for all that the profile will not set, and its name. */
static int begin(struct reading *r, const char *file, size_t room)
{
	const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
	size_t len = strlen(name);
	int rc = 0;

	if (len > 4 && strcmp(name + len - 4, ".ini") == 0)
		len -= 4;
	snprintf(r->target->name, sizeof(r->target->name), "%.*s",
		(int)RC_MIN(len, sizeof(r->target->name) - 1), name);
	r->strings = (char *)(r->target + 1);
	r->headers[SUBSCRIBER] = r->strings + room;
	r->headers[PUBLISHER] = r->headers[SUBSCRIBER] + room;
	for (size_t i = 0; i < RC_ARRAY_LEN(keys) && rc == 0; i++) {
		void *field = (char *)r->target + keys[i].at;

		if (keys[i].form == TEMPLATE)
			rc = load_template_compile(field, (struct rc_str){0}, r->err);
		else if (keys[i].form == TEXT || keys[i].form == PLAIN)
			*(const char **)field = "";
		else if (keys[i].form == HEADER)
			*(const char **)field = r->headers[keys[i].section];
	}
	return rc;
}

static int check_whole(const struct load_target *t, struct rc_error *err)
{
	const char *position = strstr(t->subscriber.since, "{position}");

	if (!t->subscriber.url.host[0] && !t->publisher.url.host[0])
		rc_error_set(err, "has no url; set one in [subscriber], [publisher] or both");
	else if (t->subscriber.recover && !position)
		rc_error_set(err, "recover = ringcast needs a since with {position} in it");
	else if (position && strstr(position + 1, "{position}"))
		rc_error_set(err, "since has {position} more than once; keep one");
	else if (t->subscriber.ping[0] && load_template_empty(t->subscriber.pong))
		rc_error_set(err, "[subscriber] ping needs a pong, the answer to it");
	else if (t->publisher.ping[0] && load_template_empty(t->publisher.pong))
		rc_error_set(err, "[publisher] ping needs a pong, the answer to it");
	else
		return 0;
	return -EINVAL;
}

int load_target_parse(
	struct load_target **out, const char *file, struct rc_str text, struct rc_error *err)
{
	size_t room = text.len + 2;
	struct reading r = {.section = SECTIONS, .err = err};
	int rc;

	*out = NULL;
	if (text.len > LOAD_PROFILE_BYTES_MAX) {
		rc_error_set(err, "%s is larger than 64 KiB, so it is no profile", file);
		return -EINVAL;
	}
	r.target = calloc(1, sizeof(*r.target) + 3 * room);
	if (!r.target) {
		rc_error_set(err, "out of memory for the profile %s; free some", file);
		return -ENOMEM;
	}
	rc = begin(&r, file, room);
	if (rc == 0 && (rc = take_lines(&r, text)) < 0)
		rc_error_prefix(err, "%s:%u", file, r.line);
	else if (rc == 0 && (rc = check_whole(r.target, err)) < 0)
		rc_error_prefix(err, "%s", file);
	if (rc < 0) {
		load_target_close(r.target);
		return rc;
	}
	*out = r.target;
	return 0;
}
