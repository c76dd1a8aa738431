/* SPDX-License-Identifier: Apache-2.0
 *
 * Between desk.c, which decides, and deskentry.c, which keeps: an entry is in the list that its state says, and among all by age.
 */
#ifndef RC_SERVE_DESKENTRY_H
#define RC_SERVE_DESKENTRY_H

#include "serve/desk.h"

static inline struct rc_desk_entry *rc_desk_entry(const struct rc_desk *d, uint32_t at)
{
	return rc_slab_at(&d->entries, at);
}

/* As a backend knows it. The generation is odd while the entry is in use, so this is never 0, and never that of one that is not. */
static inline uint64_t rc_desk_id(const struct rc_desk *d, uint32_t at)
{
	return (uint64_t)d->generation[at] << 32 | at;
}

/* The youngest of all, in no list of a state yet. RC_NONE: there is no room. */
uint32_t rc_desk_make(struct rc_desk *d, const struct rc_command *c);
/* It is in no list of a state any more. */
void rc_desk_forget(struct rc_desk *d, uint32_t at);
/* Its text, for as long as it waits or may be given once more. False: no memory. */
bool rc_desk_keep(struct rc_desk *d, uint32_t at, const struct rc_command *c);
void rc_desk_drop_copy(struct rc_desk *d, struct rc_desk_entry *e);

void rc_desk_append(struct rc_desk *d, uint32_t *first, uint32_t *last, uint32_t at);
/* last: NULL for a list that has none. */
void rc_desk_put_first(struct rc_desk *d, uint32_t *first, uint32_t *last, uint32_t at);
/* Out of the list that its state says. */
void rc_desk_unlist(struct rc_desk *d, uint32_t at);
void rc_desk_count_waiting(struct rc_desk *d, int change);

#endif
