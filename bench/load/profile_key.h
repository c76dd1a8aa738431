/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of profiles and how their values get into a target: for profile.c and profile_key.c alone.
 *
 * All strings of a target lie behind it in the same memory. None of them is longer than its line, so three times the text has
 * room for all, with the headers of both sections at places of their own since these grow.
 */
#ifndef LOAD_PROFILE_KEY_H
#define LOAD_PROFILE_KEY_H

#include "profile.h"

#define LOAD_KEYS_MAX 40

enum load_section { LOAD_OF_TARGET, LOAD_OF_SUBSCRIBER, LOAD_OF_PUBLISHER, LOAD_SECTIONS };

enum load_form {
	LOAD_FORM_NAME,
	LOAD_FORM_ABOUT,
	LOAD_FORM_PLAIN,
	LOAD_FORM_TEXT,
	LOAD_FORM_HEADER,
	LOAD_FORM_TEMPLATE,
	LOAD_FORM_URL,
	LOAD_FORM_FRAMES,
	LOAD_FORM_RECOVER,
	LOAD_FORM_COUNT
};

struct load_key {
	const char *name;
	enum load_section section;
	enum load_form form;
	size_t at; /* in struct load_target */
};

extern const struct load_key load_keys[];
extern const uint32_t load_key_count;

struct load_reading {
	struct load_target *target;
	char *strings;                /* the next goes here */
	char *headers[LOAD_SECTIONS]; /* the end of each section's */
	enum load_section section;    /* LOAD_SECTIONS: none yet */
	uint32_t line;
	uint32_t seen[LOAD_KEYS_MAX]; /* line on which it was set */
	struct rc_error *err;
};

/* Puts a sentence into the error and returns -EINVAL. */
int load_reading_refuse(struct load_reading *r, const char *sentence);
/* What keys are when the profile does not set them; room: bytes for each of the three kinds of strings. */
int load_keys_begin(struct load_reading *r, const char *file, size_t room) RC_MUST_USE;
/* At most LOAD_PROFILE_VALUE_MAX bytes. 0, or -errno with a sentence; that of a URL begins with the key's name. */
int load_key_take(
	struct load_reading *r, const struct load_key *key, struct rc_str value) RC_MUST_USE;

#endif
