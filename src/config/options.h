/* SPDX-License-Identifier: Apache-2.0
 *
 * The one table of options, from which everything else about the configuration follows. Constant; only config/ includes
 * this.
 *
 * The rows of section "namespace" come last; their offsets are into struct rc_config_namespace, all others' into struct
 * rc_config.
 */
#ifndef RC_CONFIG_OPTIONS_H
#define RC_CONFIG_OPTIONS_H

#include "config/config.h"
#include "config/nearest.h"

enum rc_option_type {
	RC_OPTION_COUNT,
	RC_OPTION_BYTES,
	RC_OPTION_DURATION,
	RC_OPTION_BOOL,
	RC_OPTION_ENUM,
	RC_OPTION_TEXT,
	RC_OPTION_PATH,
	RC_OPTION_ADDRESS,
	RC_OPTION_CPUS,
};

struct rc_option {
	const char *section;
	const char *key;
	const char *standard;     /* the default, as text */
	const char *help;         /* one line */
	const char *why;          /* what to weigh when changing it */
	const char *flag;         /* "--listen", or NULL */
	const char *const *words; /* RC_OPTION_ENUM: the values from 0, then NULL */
	enum rc_option_type type;
	uint32_t offset;
	uint32_t size;
	uint32_t unit_ns;  /* RC_OPTION_DURATION: what the field counts in */
	uint64_t min, max; /* in the field's unit; of text: the longest, in bytes */
	char short_flag;   /* 'l' for -l, or 0 */
	bool zero;         /* 0 is allowed beside min to max, and means off or automatic */
	bool pow2;
	bool secret; /* never printed */
};

/* Another name under which an option is taken. */
struct rc_option_alias {
	const char *section;
	const char *key;
	const char *of_section;
	const char *of_key;
};

extern const struct rc_option rc_options[];
extern const uint32_t rc_option_count;
extern const struct rc_option_alias rc_option_aliases[];
extern const uint32_t rc_option_alias_count;
extern const char *const rc_option_sections[]; /* NULL-terminated, in the order of the table */

/* Row of a key, aliases included; RC_NONE when there is none. */
uint32_t rc_option_find(const char *section, const char *key);
/* The row of the first namespace option. */
uint32_t rc_option_first_namespace(void);
/* " (did you mean 'x'?)" or another help to somebody who wrote an unknown key; "" when there is none. */
void rc_option_hint(const char *section, const char *key, char hint[RC_HINT_SIZE]);

static inline bool rc_option_is_namespace(const struct rc_option *o)
{
	return strcmp(o->section, "namespace") == 0;
}

#endif
