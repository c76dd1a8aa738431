/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects of one size in one mapping, named by u32 index. Fresh objects come from a mark that moves up (so memory is
 * touched only when it is needed), given-back ones from a free list that runs through their first four bytes. Owned by
 * one thread. Fixed after start: a full slab answers RC_NONE.
 */
#ifndef RC_MEM_SLAB_H
#define RC_MEM_SLAB_H

#include "base/base.h"

struct rc_slab {
	unsigned char *base;
	uint32_t stride; /* bytes; a multiple of 8 */
	uint32_t count_max;
	uint32_t mark; /* indices below have been given out at least once */
	uint32_t used;
	uint32_t free_head;
};

/* Over the caller's memory of at least stride * count_max bytes, aligned to 8; its contents need not be zero. */
void rc_slab_init(struct rc_slab *s, void *memory, uint32_t stride, uint32_t count_max);
/* RC_NONE when full. The object's bytes are whatever they were: the caller sets every field. */
uint32_t rc_slab_get(struct rc_slab *s) RC_MUST_USE;
/* Under ASan the object is poisoned until it is got again. Asserts in debug builds that it was not free. */
void rc_slab_put(struct rc_slab *s, uint32_t index);

static inline void *rc_slab_at(const struct rc_slab *s, uint32_t index)
{
	RC_DASSERT(index < s->mark);
	return s->base + (size_t)index * s->stride;
}

#endif
