/* SPDX-License-Identifier: Apache-2.0
 *
 * One value of one option: from text into its field and back. What is written can be read again and is the same. Pure.
 */
#ifndef RC_CONFIG_VALUE_H
#define RC_CONFIG_VALUE_H

#include "config/options.h"

/* Room for any value as text and its NUL. */
#define RC_VALUE_TEXT_SIZE RC_CONFIG_TEXT_SIZE
/* Room for the reason why a value was refused, and for the words on what is allowed. */
#define RC_VALUE_WHY_SIZE 256

/* Room for any field. */
union rc_value {
	uint32_t u32;
	uint64_t u64;
	bool yes;
	char text[RC_CONFIG_TEXT_SIZE];
	struct rc_address address;
	struct rc_config_cpus cpus;
};

/* Writes o->size bytes to field. 0, or -1 with a reason that ends in what would be right; the field is then untouched. */
int rc_value_parse(const struct rc_option *o, void *field, const char *text,
	char why[RC_VALUE_WHY_SIZE]) RC_MUST_USE;
void rc_value_format(const struct rc_option *o, const void *field, char out[RC_VALUE_TEXT_SIZE]);
/* A number of the option (its field's unit) as it would be written: 64KiB, 10s. */
void rc_value_format_number(
	const struct rc_option *o, uint64_t number, char out[RC_VALUE_TEXT_SIZE]);
/* "0, or a power of two from 64KiB to 256MiB", "yes or no", "one of error, warn, info, debug" ... */
void rc_value_describe(const struct rc_option *o, char out[RC_VALUE_WHY_SIZE]);

#endif
