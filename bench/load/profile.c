/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles: text to a target, line by line. inih is not used: it cuts lines at 200 bytes and takes " ;" inside a value for a comment,
 * and templates are long and may hold anything.
 */
#include "profile_key.h"

#include <errno.h>
#include <stdlib.h>

#include "config/nearest.h"

static const char *const section_names[LOAD_SECTIONS] = {"target", "subscriber", "publisher"};

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

static int take_section(struct load_reading *r, struct rc_str line)
{
	struct rc_str name = {line.ptr + 1, line.len - 1};
	struct rc_nearest nearest;
	char text[32];

	if (name.len && name.ptr[name.len - 1] == ']')
		name = trim((struct rc_str){name.ptr, name.len - 1});
	else
		return load_reading_refuse(
			r, "the section's closing ] is missing at the end of the line");
	for (r->section = 0; r->section < LOAD_SECTIONS; r->section++)
		if (rc_str_eq(name, rc_str_of(section_names[r->section])))
			return 0;
	snprintf(text, sizeof(text), "%.*s", (int)RC_MIN(name.len, sizeof(text) - 1), name.ptr);
	rc_nearest_init(&nearest, text);
	for (size_t i = 0; i < LOAD_SECTIONS; i++)
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

static int unknown_key(struct load_reading *r, struct rc_str name)
{
	struct rc_nearest nearest;
	char text[32], all[256];
	size_t len = 0;

	snprintf(text, sizeof(text), "%.*s", (int)RC_MIN(name.len, sizeof(text) - 1), name.ptr);
	rc_nearest_init(&nearest, text);
	for (uint32_t i = 0; i < load_key_count; i++)
		if (load_keys[i].section == r->section) {
			rc_nearest_offer(&nearest, load_keys[i].name);
			len += (size_t)snprintf(
				all + len, sizeof(all) - len, " %s", load_keys[i].name);
		}
	if (nearest.best)
		rc_error_set(r->err, "unknown key '%s' in [%s]; did you mean '%s'?", text,
			section_names[r->section], nearest.best);
	else
		rc_error_set(r->err, "unknown key '%s' in [%s]; there are%s", text,
			section_names[r->section], all);
	return -EINVAL;
}

static int take_key(struct load_reading *r, struct rc_str name, struct rc_str value)
{
	int rc;

	for (uint32_t i = 0; i < load_key_count; i++) {
		if (load_keys[i].section != r->section ||
			!rc_str_eq(name, rc_str_of(load_keys[i].name)))
			continue;
		if (r->seen[i] && load_keys[i].form != LOAD_FORM_HEADER) {
			rc_error_set(r->err, "%s is set a second time; line %u has it already",
				load_keys[i].name, r->seen[i]);
			return -EINVAL;
		}
		r->seen[i] = r->line;
		if (value.len > LOAD_PROFILE_VALUE_MAX) {
			rc_error_set(r->err, "%s is longer than %u bytes", load_keys[i].name,
				LOAD_PROFILE_VALUE_MAX);
			return -EINVAL;
		}
		rc = load_key_take(r, &load_keys[i], value);
		if (rc < 0 && load_keys[i].form != LOAD_FORM_URL)
			rc_error_prefix(r->err, "%s", load_keys[i].name);
		return rc;
	}
	return unknown_key(r, name);
}

static int take_line(struct load_reading *r, struct rc_str line)
{
	const char *equals;

	line = trim(line);
	if (line.len == 0 || line.ptr[0] == ';' || line.ptr[0] == '#')
		return 0;
	if (memchr(line.ptr, 0, line.len))
		return load_reading_refuse(r, "the line holds a NUL byte; write \\x00");
	if (line.ptr[0] == '[')
		return take_section(r, line);
	equals = memchr(line.ptr, '=', line.len);
	if (!equals)
		return load_reading_refuse(
			r, "is neither 'key = value', nor [section], nor a comment");
	if (r->section == LOAD_SECTIONS)
		return load_reading_refuse(
			r, "a key before the first section; begin with [target]");
	return take_key(r, trim((struct rc_str){line.ptr, (size_t)(equals - line.ptr)}),
		trim((struct rc_str){equals + 1, line.len - (size_t)(equals + 1 - line.ptr)}));
}

static int take_lines(struct load_reading *r, struct rc_str text)
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
	struct load_reading r = {.section = LOAD_SECTIONS, .err = err};
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
	rc = load_keys_begin(&r, file, room);
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
