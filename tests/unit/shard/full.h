/* SPDX-License-Identifier: Apache-2.0
 *
 * An arena without room, for the tests that have flushrig.h: nothing is left for blocks, nor for objects of the size that output begins
 * with.
 */
#ifndef RC_TESTS_UNIT_FULL_H
#define RC_TESTS_UNIT_FULL_H

#include "flushrig.h"

static void *blocks[ARENA / 1024 + 1], *objects[256];
static uint32_t block_count, object_count;

static void fill_arena(void)
{
	while ((blocks[block_count] = rc_buddy_get(&shard.arena, 1024)) != NULL)
		block_count++;
	while (object_count < RC_ARRAY_LEN(objects) &&
		(objects[object_count] = rc_pool_get(&shard.pool, 256)) != NULL)
		object_count++;
}

static void empty_arena(void)
{
	while (block_count > 0)
		rc_buddy_put(&shard.arena, blocks[--block_count]);
	while (object_count > 0)
		rc_pool_put(&shard.pool, objects[--object_count], 256);
}

#endif
