/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of a publisher's channels, made once: one look-up for each event. One owner.
 */
#ifndef LOAD_NAMES_H
#define LOAD_NAMES_H

#include "draw.h"

/* As much as a path with a channel's name in it can be. */
#define LOAD_PATH_MAX (sizeof(((struct load_url *)0)->path) + 128)

struct load_names {
	char *text;   /* one behind the other */
	uint32_t *at; /* where each begins, and where the last one ends */
};

/* 0 or -ENOMEM. */
int load_names_open(struct load_names *n, const struct load_plan *plan,
	const struct load_draw *draw) RC_MUST_USE;
void load_names_close(struct load_names *n);

/* index: of the draw. Valid until close. */
static inline struct rc_str load_names_get(const struct load_names *n, uint32_t index)
{
	return (struct rc_str){n->text + n->at[index], n->at[index + 1] - n->at[index]};
}

/*
 * The url's path with {channel} replaced: such a path leads to one channel alone. *path points into the url or into out. 0, or -EINVAL with
 * a sentence when there are more channels than one.
 */
int load_names_path(const struct load_names *n, const struct load_draw *draw,
	const struct load_url *url, char out[LOAD_PATH_MAX], struct rc_str *path,
	struct rc_error *err) RC_MUST_USE;

#endif
