/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of options from text, and the command line.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "config/nearest.h"
#include "options.h"

static bool number_read(const char *text, bool units, double *out)
{
	char *end;

	/* Not the hexadecimal and the infinite, which strtod would take. */
	if (text[strspn(text, "0123456789.eE+-KMGkmg")] != 0)
		return false;
	errno = 0;
	*out = strtod(text, &end);
	if (end == text || errno || !isfinite(*out))
		return false;
	if (units && *end) {
		const char *place = strchr("kKmMgG", *end);

		if (!place || end[1])
			return false;
		*out *= (double)(UINT64_C(1) << (10 * ((place - "kKmMgG") / 2 + 1)));
		return true;
	}
	return *end == 0;
}

static int set_number(const struct load_option *o, void *field, const char *what, const char *text,
	struct rc_error *err)
{
	bool whole = o->kind != LOAD_OPTION_NUMBER;
	double value;

	if (!number_read(text, o->kind == LOAD_OPTION_BYTES, &value) || value < o->min ||
		value > o->max || (whole && value != floor(value))) {
		rc_error_set(err, "%s: '%.60s' is not a %snumber from %.12g to %.12g; say one",
			what, text, whole ? "whole " : "", o->min, o->max);
		return -EINVAL;
	}
	if (o->kind == LOAD_OPTION_NUMBER)
		*(double *)field = value;
	else if (o->size == sizeof(uint64_t))
		*(uint64_t *)field = (uint64_t)value;
	else
		*(uint32_t *)field = (uint32_t)value;
	return 0;
}

static int set_word(const struct load_option *o, void *field, const char *what, const char *text,
	struct rc_error *err)
{
	char list[256] = "";

	for (int i = 0; o->words[i]; i++) {
		size_t at = strlen(list);

		if (strcmp(o->words[i], text) == 0) {
			memcpy(field, &i, sizeof(i));
			return 0;
		}
		snprintf(list + at, sizeof(list) - at, "%s%s", i ? ", " : "", o->words[i]);
	}
	rc_error_set(err, "%s: '%.60s' is none of %s", what, text, list);
	return -EINVAL;
}

static int set_pid(struct load_settings *s, const struct load_option *o, const char *what,
	const char *text, struct rc_error *err)
{
	double value;

	if (!number_read(text, false, &value) || value < o->min || value > o->max ||
		value != floor(value)) {
		rc_error_set(err, "%s: '%.60s' is no process id; say the server's", what, text);
		return -EINVAL;
	}
	if (s->plan.pids == RC_ARRAY_LEN(s->plan.pid)) {
		rc_error_set(err, "%s: %zu processes can be watched and no more", what,
			RC_ARRAY_LEN(s->plan.pid));
		return -EINVAL;
	}
	s->plan.pid[s->plan.pids++] = (pid_t)value;
	return 0;
}

int load_option_set(struct load_settings *s, uint32_t row, const char *what, const char *value,
	struct rc_error *err)
{
	const struct load_option *o = &load_option_table[row];
	void *field = (char *)s + o->offset;

	switch (o->kind) {
	case LOAD_OPTION_COUNT:
	case LOAD_OPTION_BYTES:
	case LOAD_OPTION_NUMBER:
		return set_number(o, field, what, value, err);
	case LOAD_OPTION_FLAG:
		if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
			rc_error_set(err, "%s: '%.60s' is neither yes nor no", what, value);
			return -EINVAL;
		}
		*(bool *)field = strcmp(value, "yes") == 0;
		return 0;
	case LOAD_OPTION_WORD:
		return set_word(o, field, what, value, err);
	case LOAD_OPTION_TEXT:
	case LOAD_OPTION_OUTPUT:
	case LOAD_OPTION_COMPARE:
		if (strlen(value) >= o->size) {
			rc_error_set(err, "%s: longer than %u bytes; make it shorter", what,
				o->size - 1);
			return -EINVAL;
		}
		strcpy(field, value);
		return 0;
	case LOAD_OPTION_PID:
		return set_pid(s, o, what, value, err);
	case LOAD_OPTION_MODE:
		s->mode = (enum load_mode)o->min;
		return 0;
	}
	RC_FAIL("a kind of option that is not in the list");
}

void load_settings_init(struct load_settings *s)
{
	memset(s, 0, sizeof(*s));
	for (uint32_t row = 0; row < load_option_count; row++) {
		const struct load_option *o = &load_option_table[row];
		struct load_option free_of_bounds = *o;
		struct rc_error err;

		if (!o->standard)
			continue;
		/* 0 may stand for "not given" where it could not be given. */
		free_of_bounds.min = 0;
		if (o->kind == LOAD_OPTION_COUNT || o->kind == LOAD_OPTION_BYTES ||
			o->kind == LOAD_OPTION_NUMBER)
			RC_ASSERT(set_number(&free_of_bounds, (char *)s + o->offset, o->name,
					  o->standard, &err) == 0);
		else
			RC_ASSERT(load_option_set(s, row, o->name, o->standard, &err) == 0);
	}
}

struct command_line {
	int argc, at;
	char **argv;
};

static const char *next(struct command_line *c)
{
	return c->at < c->argc ? c->argv[c->at++] : NULL;
}

static int unknown(const char *name, struct rc_error *err)
{
	struct rc_nearest nearest;

	rc_nearest_init(&nearest, name);
	for (uint32_t row = 0; row < load_option_count; row++)
		if (!load_option_table[row].file_only)
			rc_nearest_offer(&nearest, load_option_table[row].name);
	if (nearest.best)
		rc_error_set(err, "unknown option --%.60s; did you mean --%s?", name, nearest.best);
	else
		rc_error_set(err, "unknown option --%.60s; see ringcast-load --help", name);
	return -EINVAL;
}

/* flag: behind its dashes. */
static int option_read(
	struct load_settings *s, struct command_line *c, const char *flag, struct rc_error *err)
{
	char name[64], what[80];
	const char *equals = strchr(flag, '='), *value = equals ? equals + 1 : NULL;
	uint32_t row;
	const struct load_option *o;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(flag, "="), flag);
	snprintf(what, sizeof(what), "--%s", name);
	row = load_option_find(name);
	if (row == RC_NONE || load_option_table[row].file_only)
		return unknown(name, err);
	o = &load_option_table[row];
	if (o->kind == LOAD_OPTION_FLAG || o->kind == LOAD_OPTION_MODE) {
		value = value ? value : "yes"; /* --recover=no takes back what a preset says */
	} else if (o->kind == LOAD_OPTION_OUTPUT && !value) {
		bool bare = c->at == c->argc || strncmp(c->argv[c->at], "--", 2) == 0;

		value = bare ? "-" : next(c);
	} else if (!value) {
		value = next(c);
	}
	if (!value || !*value) {
		rc_error_set(err, "%s needs a value: %s %s", what, what, o->argument);
		return -EINVAL;
	}
	if ((s->by_user >> row & 1) && o->kind != LOAD_OPTION_PID) {
		rc_error_set(err, "%s was given twice; give it once", what);
		return -EINVAL;
	}
	s->by_user |= UINT64_C(1) << row;
	if (o->kind == LOAD_OPTION_COMPARE) {
		const char *b = next(c);

		if (!b || strlen(b) >= sizeof(s->compare_b)) {
			rc_error_set(err, "%s needs two files: %s %s", what, what, o->argument);
			return -EINVAL;
		}
		s->mode = LOAD_COMPARE;
		strcpy(s->compare_b, b);
	}
	return load_option_set(s, row, what, value, err);
}

static int without_scenario(struct load_settings *s, bool any, struct rc_error *err)
{
	if (s->render[0] && s->mode == LOAD_RUN) {
		if (!s->plan.report[0]) {
			rc_error_set(err,
				"--render needs to know where to write: add --report FILE.html");
			return -EINVAL;
		}
		s->mode = LOAD_RENDER;
	}
	if (s->mode != LOAD_RUN)
		return 0;
	rc_error_set(err, "%s; see ringcast-load --help",
		any ? "the scenario comes first, before the options"
		    : "say a scenario, for example: ringcast-load fanout");
	return -EINVAL;
}

int load_settings_read(struct load_settings *s, int argc, char **argv, struct rc_error *err)
{
	struct command_line c = {.argc = argc, .at = 1, .argv = argv};
	bool scenario = argc > 1 && argv[1][0] != '-';
	const char *word;
	int rc = 0;

	load_settings_init(s);
	if (scenario)
		rc = load_scenario(s, next(&c), err);
	while (rc == 0 && (word = next(&c))) {
		if (strncmp(word, "--", 2) == 0 && word[2]) {
			rc = option_read(s, &c, word + 2, err);
		} else {
			rc_error_set(err, "'%.60s' is no option; see ringcast-load --help", word);
			rc = -EINVAL;
		}
	}
	if (rc < 0 || s->mode == LOAD_HELP || s->mode == LOAD_TARGETS)
		return rc;
	if (!scenario)
		return without_scenario(s, argc > 1, err);
	if (s->mode != LOAD_RUN || s->render[0]) {
		rc_error_set(err, "%s works on kept results; leave out the scenario '%s'",
			s->render[0] ? "--render" : "--compare", s->plan.scenario);
		return -EINVAL;
	}
	return 0;
}
