/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration file. inih splits lines into keys and values; the reader that feeds it knows what inih does not
 * tell: the line's number, that a line is longer than inih's buffer, that it holds a NUL, that it was not understood,
 * and every section, keys or none. Indented lines are fed without their blanks, so that they are keys like others and
 * not the continuation of the line before.
 */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/apply.h"

#define FILE_BYTES_MAX   (1 << 20)
#define SECTION_NAME_MAX 127

struct reading {
	struct rc_config *c;
	struct rc_config_report *r;
	const char *path;
	struct rc_str left; /* not yet fed */
	uint32_t line;      /* fed last; 1 is the first */
	bool expects_key;   /* the line that was fed must lead to a call of take_key */
	const char *
		section; /* of rc_option_sections, or NULL after an unknown one: keys are skipped */
	uint32_t ns;
	/* The line on which an option was set by this file. */
	uint32_t seen[RC_CONFIG_OPTIONS_MAX][1 + RC_CONFIG_NAMESPACES_MAX];
};

static const char *where(const struct reading *f, char out[300])
{
	snprintf(out, 300, "%.255s:%u", f->path, f->line);
	return out;
}

static void expect_no_more(struct reading *f)
{
	char at[300];

	if (f->expects_key)
		rc_config_report_error(f->r,
			"%s: is neither 'key = value', nor [section], nor a comment", where(f, at));
	f->expects_key = false;
}

static struct rc_str trim(struct rc_str s)
{
	while (s.len && isspace((unsigned char)s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len && isspace((unsigned char)s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static void unknown_section(struct reading *f, const char *name)
{
	struct rc_nearest nearest;
	char at[300];

	rc_nearest_init(&nearest, name);
	for (uint32_t i = 0; rc_option_sections[i]; i++)
		rc_nearest_offer(&nearest, rc_option_sections[i]);
	if (nearest.best)
		rc_config_report_error(f->r, "%s: unknown section [%s]; did you mean [%s]?",
			where(f, at), name, nearest.best);
	else
		rc_config_report_error(f->r,
			"%s: unknown section [%s]; there are [server], [ingest], [tls], [http], [admin], [auth], "
			"[limits], [log], [echo] and [namespace NAME]",
			where(f, at), name);
}

/* "[namespace chat]" with whatever follows it. */
static void enter_section(struct reading *f, struct rc_str line)
{
	const char *end = memchr(line.ptr, ']', line.len);
	struct rc_str inside, rest, argument = {0};
	char name[SECTION_NAME_MAX + 1], at[300];
	const char *known = NULL;

	f->section = NULL;
	f->ns = 0;
	if (!end) {
		rc_config_report_error(
			f->r, "%s: the section's closing ] is missing", where(f, at));
		return;
	}
	rest = trim((struct rc_str){end + 1, line.len - (size_t)(end + 1 - line.ptr)});
	if (rest.len && rest.ptr[0] != ';' && rest.ptr[0] != '#')
		rc_config_report_error(
			f->r, "%s: nothing but a comment may follow the section's ]", where(f, at));

	inside = trim((struct rc_str){line.ptr + 1, (size_t)(end - line.ptr - 1)});
	snprintf(name, sizeof(name), "%.*s", (int)RC_MIN(inside.len, (size_t)SECTION_NAME_MAX),
		inside.ptr);
	for (size_t i = 0; i < inside.len; i++)
		if (isspace((unsigned char)inside.ptr[i])) {
			argument = trim((struct rc_str){inside.ptr + i, inside.len - i});
			inside.len = i;
			break;
		}
	for (uint32_t i = 0; rc_option_sections[i]; i++)
		if (rc_str_eq(inside, rc_str_of(rc_option_sections[i])))
			known = rc_option_sections[i];
	if (!known || (argument.len && strcmp(known, "namespace") != 0)) {
		unknown_section(f, name);
		return;
	}
	if (strcmp(known, "namespace") == 0) {
		snprintf(name, sizeof(name), "%.*s",
			(int)RC_MIN(argument.len, (size_t)SECTION_NAME_MAX),
			argument.len ? argument.ptr : "");
		f->ns = rc_config_namespace_get(f->c, name, where(f, at), f->r);
		if (f->ns == RC_NONE)
			return;
	}
	f->section = known;
}

/* The next line without its newline; false at the end. */
static bool next_line(struct reading *f, struct rc_str *line)
{
	const char *end;

	if (f->left.len == 0)
		return false;
	end = memchr(f->left.ptr, '\n', f->left.len);
	line->ptr = f->left.ptr;
	line->len = end ? (size_t)(end - f->left.ptr) : f->left.len;
	f->left.ptr += line->len + (end ? 1 : 0);
	f->left.len -= line->len + (end ? 1 : 0);
	f->line++;
	return true;
}

/* inih's fgets. What is not for inih reaches it as an empty line. */
static char *feed_line(char *out, int size, void *reading)
{
	struct reading *f = reading;
	struct rc_str line;
	size_t room = (size_t)size - 2; /* the newline and the NUL */
	char at[300];

	expect_no_more(f);
	if (!next_line(f, &line))
		return NULL;
	if (f->line == 1 && rc_str_starts(line, RC_STR("\xef\xbb\xbf"))) {
		line.ptr += 3;
		line.len -= 3;
	}
	line = trim(line);
	strcpy(out, "\n");
	if (line.len == 0 || line.ptr[0] == ';' || line.ptr[0] == '#')
		return out;
	if (memchr(line.ptr, 0, line.len)) {
		rc_config_report_error(f->r, "%s: contains a NUL byte", where(f, at));
		return out;
	}
	if (line.ptr[0] == '[') {
		enter_section(f, line);
		return out;
	}
	if (line.len > room) {
		rc_config_report_error(f->r, "%s: the line is %zu bytes long; %zu are allowed",
			where(f, at), line.len, room);
		return out;
	}
	memcpy(out, line.ptr, line.len);
	strcpy(out + line.len, "\n");
	f->expects_key = true;
	return out;
}

static int take_key(void *reading, const char *inih_section, const char *key, const char *value)
{
	struct reading *f = reading;
	struct rc_config_origin origin = {.source = RC_CONFIG_FILE, .line = f->line};
	char at[300], hint[RC_HINT_SIZE];
	uint32_t row, *seen;

	(void)inih_section; /* cut at 50 bytes; the reader knows better */
	f->expects_key = false;
	if (!f->section)
		return 1;
	row = rc_option_find(f->section, key);
	if (row == RC_NONE) {
		rc_option_hint(f->section, key, hint);
		rc_config_report_error(f->r, "%s: unknown key '%.60s' in [%s]%s", where(f, at), key,
			f->section, hint);
		return 1;
	}
	seen = &f->seen[row][f->ns];
	if (*seen) {
		rc_config_report_error(f->r, "%s: %s is set a second time; line %u has it already",
			where(f, at), key, *seen);
		return 1;
	}
	*seen = f->line;
	if (rc_config_apply(f->c, row, f->ns, value, origin, where(f, at), f->r) < 0 &&
		strstr(value, " #"))
		rc_config_report_warning(
			f->r, "%s: a comment after a value begins with ;, not #", where(f, at));
	return 1;
}

int rc_config_load_text(struct rc_config *c, const char *path, const char *text, size_t len,
	struct rc_config_report *r)
{
	uint32_t errors = r->errors;
	struct reading *f = calloc(1, sizeof(*f));

	if (!f)
		return rc_config_report_error(r, "%s: out of memory", path);
	f->c = c;
	f->r = r;
	f->path = path;
	f->left = (struct rc_str){text, len};
	f->section = "server";
	snprintf(c->file, sizeof(c->file), "%s", path);
	if (ini_parse_stream(feed_line, f, take_key, f) < 0)
		rc_config_report_error(r, "%s: out of memory", path);
	expect_no_more(f);
	free(f);
	return r->errors == errors ? 0 : -1;
}

int rc_config_load_file(struct rc_config *c, const char *path, struct rc_config_report *r)
{
	FILE *in = fopen(path, "re");
	char *text;
	size_t len;
	int rc;

	if (!in)
		return rc_config_report_error(
			r, "cannot open the configuration file %s: %s", path, strerror(errno));
	text = malloc(FILE_BYTES_MAX + 1);
	if (!text) {
		fclose(in);
		return rc_config_report_error(r, "%s: out of memory", path);
	}
	errno = 0;
	len = fread(text, 1, FILE_BYTES_MAX + 1, in);
	if (ferror(in))
		rc = rc_config_report_error(
			r, "cannot read the configuration file %s: %s", path, strerror(errno));
	else if (len > FILE_BYTES_MAX)
		rc = rc_config_report_error(
			r, "%s: is larger than 1MiB, so it is no configuration file", path);
	else
		rc = rc_config_load_text(c, path, text, len, r);
	fclose(in);
	free(text);
	return rc;
}
