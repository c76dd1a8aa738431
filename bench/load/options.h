/* SPDX-License-Identifier: Apache-2.0
 *
 * The one table of options, from which --help, the parser, the bounds, the defaults and the keys of a mixed file all
 * follow. First process, before the fork.
 *
 *   table's defaults → preset's defaults → command line → load_settings_build → load_plan_finish
 */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include "plan.h"

#define LOAD_OPTIONS_MAX 64

enum load_mode { LOAD_RUN, LOAD_HELP, LOAD_TARGETS, LOAD_COMPARE, LOAD_RENDER };

/* What was asked for, before it is divided into groups. */
struct load_settings {
	enum load_mode mode;
	struct load_plan plan;   /* what is the run's; its groups are made by load_settings_build */
	struct load_group group; /* what is a group's; presets of two groups divide it */
	double share;            /* percent of the clients that are in the second group */
	char target[1024], url[1024], publish_url[1024], echo_url[1024];
	char sources[1024], cpus[256];
	char file[1024]; /* mixed */
	char compare_a[1024], compare_b[1024], render[1024];
	uint64_t by_user; /* rows that the user gave; the others hold defaults */
};

enum load_option_kind {
	LOAD_OPTION_COUNT,   /* uint32_t */
	LOAD_OPTION_BYTES,   /* uint64_t or uint32_t; 64K and 1M are understood */
	LOAD_OPTION_NUMBER,  /* double */
	LOAD_OPTION_FLAG,    /* bool */
	LOAD_OPTION_WORD,    /* an enum */
	LOAD_OPTION_TEXT,    /* char[] */
	LOAD_OPTION_PID,     /* one more */
	LOAD_OPTION_OUTPUT,  /* char[]; without a value it is "-" */
	LOAD_OPTION_COMPARE, /* two texts */
	LOAD_OPTION_MODE     /* prints something, and that is all */
};

/* Where an option may stand besides the command line. */
enum load_option_scope { LOAD_OF_PROGRAM, LOAD_OF_RUN, LOAD_OF_GROUP };

struct load_option {
	const char *name;     /* "connect-rate": a flag behind two dashes, a key in a file */
	const char *argument; /* "N", for --help */
	const char *standard; /* the default as text; NULL: the zero value */
	const char *help;
	const char *const *words; /* LOAD_OPTION_WORD, NULL-terminated */
	enum load_option_kind kind;
	enum load_option_scope scope;
	uint32_t offset, size; /* in struct load_settings */
	double min, max;
	bool file_only; /* a key of a mixed file, no flag */
};

struct load_preset {
	const char *name;
	const char *about;
	const char *defaults; /* "clients=1000 channels=1": names of the table */
};

extern const struct load_option load_option_table[];
extern const uint32_t load_option_count;
extern const struct load_preset load_preset_table[];
extern const uint32_t load_preset_count;

/* Row of a name, or RC_NONE. */
uint32_t load_option_find(const char *name);
/* The field of *s gets the value. what: how to call the option in the sentence, "--clients" or "file:3: clients". */
int load_option_set(struct load_settings *s, uint32_t row, const char *what, const char *value,
	struct rc_error *err) RC_MUST_USE;
bool load_option_given(const struct load_settings *s, const char *name);

/* The table's defaults. */
void load_settings_init(struct load_settings *s);
/* The command line; nothing is printed. 0, or -EINVAL with a sentence. */
int load_settings_read(
	struct load_settings *s, int argc, char **argv, struct rc_error *err) RC_MUST_USE;
/* A preset's defaults and its name; unknown names list the known ones. */
int load_scenario(struct load_settings *s, const char *name, struct rc_error *err) RC_MUST_USE;
/* The plan's groups and its target. Afterwards load_plan_finish. */
int load_settings_build(struct load_settings *s, struct rc_error *err) RC_MUST_USE;
/* Groups and run from the file s->file; what the user gave on the command line stays. */
int load_mixed(struct load_settings *s, struct rc_error *err) RC_MUST_USE;
int load_mixed_text(struct load_settings *s, const char *path, struct rc_str text,
	struct rc_error *err) RC_MUST_USE;
/* s->group as the next of the plan's groups. first_channel: RC_NONE, or the beginning of another group's range. */
int load_group_add(struct load_settings *s, const char *name, uint32_t first_channel,
	struct rc_error *err) RC_MUST_USE;

void load_help(FILE *out);

#endif
