/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunk arena of a shard: blocks of 1 KiB times a power of two out of one mapping, split and merged as buddies, so
 * that log chunks, input that waits for its rest, and output that waits for its socket share one budget and nothing
 * fragments for ever. Owned by one thread. Fixed after start: NULL when there is no block, and the caller refuses work.
 *
 *   block of order n: RC_BUDDY_MIN << n bytes, aligned to its size relative to the arena's base
 *   state, one byte for each RC_BUDDY_MIN unit: first unit of a free block = order | FREE, of a used one = order | USED,
 *   else 0. Free lists, one per order, doubly linked through the free blocks themselves.
 */
#ifndef RC_MEM_BUDDY_H
#define RC_MEM_BUDDY_H

#include "base/base.h"

#define RC_BUDDY_MIN    1024u
#define RC_BUDDY_ORDERS 17 /* up to 64 MiB */

struct rc_buddy {
	unsigned char *base;
	unsigned char *state;
	uint32_t units; /* of RC_BUDDY_MIN bytes */
	uint32_t
		top; /* units below have ever been part of a block: what lies above is untouched memory */
	uint64_t used_bytes;
	uint64_t peak_bytes;
	uint32_t free_head[RC_BUDDY_ORDERS]; /* unit index, RC_NONE = empty */
};

/* Bytes of `state` that an arena of `bytes` needs. */
size_t rc_buddy_state_bytes(size_t bytes);
/* bytes: a multiple of RC_BUDDY_MIN. Both memories belong to the caller and start zeroed. */
void rc_buddy_init(struct rc_buddy *b, void *base, size_t bytes, void *state);
/* A block of at least `bytes` (1 to 64 MiB), rounded up to a power of two; NULL when none is left. Not zeroed. */
void *rc_buddy_get(struct rc_buddy *b, size_t bytes) RC_MUST_USE;
void rc_buddy_put(struct rc_buddy *b, void *block);
/* Usable size of a block. */
size_t rc_buddy_size(const struct rc_buddy *b, const void *block);
/* Free bytes in all, whatever their sizes. */
uint64_t rc_buddy_free_bytes(const struct rc_buddy *b);
/* Walks everything and asserts the invariants. */
void rc_buddy_check(const struct rc_buddy *b);

#endif
