/* SPDX-License-Identifier: Apache-2.0
 *
 * Small objects of any size out of the chunk arena: names, vectors, states that exist for a while. Pages of 16 KiB are
 * cut into objects of one class (16 to 1024 bytes); an empty page goes back to the arena. From 1 KiB on an object is a
 * block of the arena itself. Owned by one thread. The caller remembers the size, so an object costs no header.
 *
 *   page (aligned to its size within the arena): header 64 B | object | object | ...
 */
#ifndef RC_MEM_POOL_H
#define RC_MEM_POOL_H

#include "base/base.h"
#include "mem/buddy.h"

#define RC_POOL_CLASSES 12
#define RC_POOL_PAGE    16384u

struct rc_pool_page;

struct rc_pool {
	struct rc_buddy *arena;
	struct rc_pool_page *partial[RC_POOL_CLASSES]; /* pages with a free object */
	uint64_t used_bytes;                           /* of objects, rounded up to their class */
};

void rc_pool_init(struct rc_pool *p, struct rc_buddy *arena);
/* NULL when the arena is full. Not zeroed; aligned to 16. */
void *rc_pool_get(struct rc_pool *p, size_t bytes) RC_MUST_USE;
/* bytes: what was asked for. object may be NULL. */
void rc_pool_put(struct rc_pool *p, void *object, size_t bytes);
/* What a get of `bytes` really holds. */
size_t rc_pool_size(size_t bytes);

#endif
