/* SPDX-License-Identifier: Apache-2.0
 *
 * The profiles that are built in, and the largest that is read from a file.
 */
#ifndef LOAD_PROFILE_H
#define LOAD_PROFILE_H

#include "target.h"

#define LOAD_PROFILE_BYTES_MAX 65536u
#define LOAD_PROFILE_VALUE_MAX 4096u

struct load_profile {
	const char *name;
	const char *text;
	const char *end;
};

extern const struct load_profile load_profiles[];
extern const uint32_t load_profile_count;

#endif
