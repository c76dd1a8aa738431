/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of the scenario mixed:
 *
 *   [run]                   options of the run; those on the command line win
 *   seconds = 10
 *   [readers]               a group; its name is free
 *   clients = 1000
 *   publishers = 1
 *   rate = 5000
 *   [sleepers]
 *   channels-of = readers   the channels of a group before it
 *   clients = 50
 *   read-rate = 0
 *   may-lose = yes
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "config/nearest.h"
#include "options.h"

#define FILE_BYTES_MAX (1 << 20)
#define WORD_SIZE      1024

struct reading {
	struct load_settings *s;
	const char *path;
	uint32_t line;
	bool in_run, in_group;
	struct load_group standard;
	char name[32];          /* of the group */
	uint32_t first_channel; /* RC_NONE: its own */
	uint64_t given;         /* rows of this section */
	struct rc_error *err;
};

static int refuse(struct reading *r, const char *format, ...) RC_PRINTF(2, 3);
static int refuse(struct reading *r, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	rc_error_set(r->err, "%.255s:%u: %s", r->path, r->line, text);
	return -EINVAL;
}

static struct rc_str trim(struct rc_str s)
{
	while (s.len && strchr(" \t\r", s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len && strchr(" \t\r", s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static bool given(const struct reading *r, const char *name)
{
	return r->given >> load_option_find(name) & 1;
}

static int end_section(struct reading *r)
{
	struct load_group *g = &r->s->group;

	if (!r->in_group)
		return 0;
	r->in_group = false;
	if (given(r, "rate") && given(r, "in-flight"))
		return refuse(r,
			"[%s]: rate is an open loop and in-flight a closed one; leave out one of "
			"them",
			r->name);
	if (r->first_channel != RC_NONE && (given(r, "channels") || g->publishers))
		return refuse(r,
			"[%s]: channels and publishers are those of the group that channels-of "
			"names; leave them out here",
			r->name);
	if (r->first_channel != RC_NONE && g->spread == LOAD_OWN)
		return refuse(r,
			"[%s]: spread = own needs channels of the group's own; leave out "
			"channels-of",
			r->name);
	if (given(r, "read-rate"))
		g->reading = g->read_bytes_per_second ? LOAD_READS_SLOWLY : LOAD_READS_NEVER;
	return load_group_add(r->s, r->name, r->first_channel, r->err);
}

static int begin_section(struct reading *r, struct rc_str line)
{
	struct rc_str name;
	int rc = end_section(r);

	if (rc < 0)
		return rc;
	if (line.ptr[line.len - 1] != ']')
		return refuse(r, "the section's closing ] is missing");
	name = trim((struct rc_str){line.ptr + 1, line.len - 2});
	if (name.len == 0 || name.len >= sizeof(r->name))
		return refuse(r, "a section's name has 1 to %zu letters", sizeof(r->name) - 1);
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] < ' ' || (unsigned char)name.ptr[i] > '~')
			return refuse(r, "a section's name is plain ASCII");
	r->given = 0;
	r->in_run = rc_str_eq(name, RC_STR("run"));
	if (r->in_run)
		return 0;
	memcpy(r->name, name.ptr, name.len);
	r->name[name.len] = 0;
	for (uint32_t i = 0; i < r->s->plan.groups; i++)
		if (strcmp(r->s->plan.group[i].name, r->name) == 0)
			return refuse(r,
				"there is a group [%s] already; give this one another name",
				r->name);
	r->in_group = true;
	r->s->group = r->standard;
	r->first_channel = RC_NONE;
	return 0;
}

static int unknown_key(struct reading *r, const char *key)
{
	struct rc_nearest nearest;
	enum load_option_scope scope = r->in_run ? LOAD_OF_RUN : LOAD_OF_GROUP;

	rc_nearest_init(&nearest, key);
	for (uint32_t row = 0; row < load_option_count; row++)
		if (load_option_table[row].scope == scope)
			rc_nearest_offer(&nearest, load_option_table[row].name);
	if (scope == LOAD_OF_GROUP)
		rc_nearest_offer(&nearest, "channels-of");
	if (nearest.best)
		return refuse(r, "unknown key '%.60s' in [%s]; did you mean '%s'?", key,
			r->in_run ? "run" : r->name, nearest.best);
	return refuse(r, "unknown key '%.60s' in [%s]; see ringcast-load --help", key,
		r->in_run ? "run" : r->name);
}

static int take_channels_of(struct reading *r, const char *name)
{
	const struct load_plan *plan = &r->s->plan;

	for (uint32_t i = 0; i < plan->groups; i++)
		if (strcmp(plan->group[i].name, name) == 0) {
			r->first_channel = plan->group[i].first_channel;
			r->s->group.channels = plan->group[i].channels;
			return 0;
		}
	return refuse(r, "channels-of: there is no group [%.60s] before this one", name);
}

static int take_key(struct reading *r, const char *key, const char *value)
{
	uint32_t row = load_option_find(key);
	char what[400];

	if (!r->in_run && !r->in_group)
		return refuse(
			r, "a key before the first section; begin with [run] or a group's [name]");
	if (r->in_group && strcmp(key, "channels-of") == 0)
		return take_channels_of(r, value);
	if (row == RC_NONE ||
		load_option_table[row].scope != (r->in_run ? LOAD_OF_RUN : LOAD_OF_GROUP))
		return unknown_key(r, key);
	if ((r->given >> row & 1) && load_option_table[row].kind != LOAD_OPTION_PID)
		return refuse(r, "%s is set a second time in this section", key);
	r->given |= UINT64_C(1) << row;
	if (r->in_run && (r->s->by_user >> row & 1))
		return 0;
	snprintf(what, sizeof(what), "%.255s:%u: %.60s", r->path, r->line, key);
	return load_option_set(r->s, row, what, value, r->err);
}

static int take_line(struct reading *r, struct rc_str line)
{
	char key[WORD_SIZE], value[WORD_SIZE];
	const char *equals, *comment;
	struct rc_str left, right;

	if (memchr(line.ptr, 0, line.len))
		return refuse(r, "contains a NUL byte");
	line = trim(line);
	if (line.len == 0 || line.ptr[0] == ';' || line.ptr[0] == '#')
		return 0;
	/* A comment behind a value begins with a blank and ; as in the gateway's file. */
	comment = memmem(line.ptr, line.len, " ;", 2);
	if (comment)
		line = trim((struct rc_str){line.ptr, (size_t)(comment - line.ptr)});
	if (line.ptr[0] == '[')
		return begin_section(r, line);
	equals = memchr(line.ptr, '=', line.len);
	if (!equals)
		return refuse(r, "is neither 'key = value', nor [section], nor a comment");
	left = trim((struct rc_str){line.ptr, (size_t)(equals - line.ptr)});
	right = trim((struct rc_str){equals + 1, line.len - (size_t)(equals + 1 - line.ptr)});
	if (left.len == 0 || left.len >= sizeof(key) || right.len >= sizeof(value))
		return refuse(r, "a key or a value of a wrong length; at most %zu bytes",
			sizeof(key) - 1);
	*(char *)rc_str_copy(key, left) = 0;
	*(char *)rc_str_copy(value, right) = 0;
	return take_key(r, key, value);
}

int load_mixed_text(
	struct load_settings *s, const char *path, struct rc_str text, struct rc_error *err)
{
	struct reading r = {.s = s, .path = path, .standard = s->group, .err = err};
	int rc = 0;

	if (rc_str_starts(text, RC_STR("\xef\xbb\xbf"))) {
		text.ptr += 3;
		text.len -= 3;
	}
	while (rc == 0 && text.len) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t len = end ? (size_t)(end - text.ptr) : text.len;

		r.line++;
		rc = take_line(&r, (struct rc_str){text.ptr, len});
		len += end ? 1 : 0;
		text.ptr += len;
		text.len -= len;
	}
	if (rc == 0)
		rc = end_section(&r);
	if (rc == 0 && s->plan.groups == 0) {
		rc_error_set(err,
			"%.255s: has no group; add a section such as [readers] with clients = "
			"100",
			path);
		rc = -EINVAL;
	}
	return rc;
}

int load_mixed(struct load_settings *s, struct rc_error *err)
{
	FILE *in;
	char *text;
	size_t len;
	int rc;

	if (!s->file[0]) {
		rc_error_set(
			err, "the scenario mixed needs --file FILE with a section for each group");
		return -EINVAL;
	}
	in = fopen(s->file, "re");
	if (!in) {
		rc_error_set(err, "--file: cannot open %s: %s", s->file, strerror(errno));
		return -EINVAL;
	}
	text = malloc(FILE_BYTES_MAX + 1);
	errno = 0;
	len = text ? fread(text, 1, FILE_BYTES_MAX + 1, in) : 0;
	if (!text || ferror(in) || len > FILE_BYTES_MAX) {
		rc_error_set(err, "--file: cannot read %s: %s", s->file,
			len > FILE_BYTES_MAX ? "it is larger than 1 MiB, so it is no such file"
					     : strerror(text ? errno : ENOMEM));
		rc = -EINVAL;
	} else {
		rc = load_mixed_text(s, s->file, (struct rc_str){text, len}, err);
	}
	fclose(in);
	free(text);
	return rc;
}
