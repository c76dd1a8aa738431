/* SPDX-License-Identifier: Apache-2.0
 *
 * "Did you mean …?": the nearest of the words that would have been right. Pure.
 */
#ifndef RC_CONFIG_NEAREST_H
#define RC_CONFIG_NEAREST_H

#include "base/base.h"

/* Room for a hint and its NUL. */
#define RC_HINT_SIZE 160

/* Insertions, deletions, changes and swaps of neighbours from a to b. Words of more than 63 bytes count as far. */
uint32_t rc_edit_distance(const char *a, const char *b);

struct rc_nearest {
	const char *word;
	const char *best; /* NULL while nothing is near enough */
	uint32_t distance;
};

void rc_nearest_init(struct rc_nearest *n, const char *word);
/* The candidate must live as long as n. */
void rc_nearest_offer(struct rc_nearest *n, const char *candidate);

#endif
