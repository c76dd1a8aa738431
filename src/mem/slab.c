/* SPDX-License-Identifier: Apache-2.0 */
#include "mem/slab.h"

#include "mem/poison.h"

/* What a free object begins with. The mark is only for finding a second put in debug builds. */
struct link {
	uint32_t next;
	uint32_t mark;
};

#define FREE_MARK 0xf4eeb10cu

static inline struct link *link_at(const struct rc_slab *s, uint32_t index)
{
	return (struct link *)(void *)(s->base + (size_t)index * s->stride);
}

void rc_slab_init(struct rc_slab *s, void *memory, uint32_t stride, uint32_t count_max)
{
	RC_ASSERT(stride >= sizeof(struct link) && stride % 8 == 0);
	RC_ASSERT(((uintptr_t)memory & 7) == 0);
	RC_ASSERT(count_max < RC_NONE);
	/* An earlier pool in the same memory may have left its marks. */
	RC_UNPOISON(memory, (size_t)stride * count_max);
	*s = (struct rc_slab){
		.base = memory,
		.stride = stride,
		.count_max = count_max,
		.free_head = RC_NONE,
	};
}

uint32_t rc_slab_get(struct rc_slab *s)
{
	uint32_t index = s->free_head;
	if (index != RC_NONE) {
		RC_UNPOISON(link_at(s, index), s->stride);
		s->free_head = link_at(s, index)->next;
#ifdef RC_DEBUG
		link_at(s, index)->mark = 0;
#endif
	} else if (s->mark < s->count_max) {
		index = s->mark++;
	} else {
		return RC_NONE;
	}
	s->used++;
	return index;
}

#ifdef RC_DEBUG
RC_NO_ASAN static struct link link_read(const struct rc_slab *s, uint32_t index)
{
	return *link_at(s, index);
}

/* An object's own bytes may look like the mark, so the mark alone only says that the list is worth walking. */
static bool is_free(const struct rc_slab *s, uint32_t index)
{
	if (link_read(s, index).mark != (FREE_MARK ^ index))
		return false;
	for (uint32_t i = s->free_head; i != RC_NONE; i = link_read(s, i).next)
		if (i == index)
			return true;
	return false;
}
#endif

void rc_slab_put(struct rc_slab *s, uint32_t index)
{
	RC_ASSERT(index < s->mark && s->used > 0);
#ifdef RC_DEBUG
	RC_ASSERT(!is_free(s, index));
	link_at(s, index)->mark = FREE_MARK ^ index;
#endif
	link_at(s, index)->next = s->free_head;
	RC_POISON(link_at(s, index), s->stride);
	s->free_head = index;
	s->used--;
}
