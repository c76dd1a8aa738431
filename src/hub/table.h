/* SPDX-License-Identifier: Apache-2.0
 *
 * From a hash to the index of an object: open addressing, linear probing, deletion by shifting back, so that it never
 * degrades. The objects and their comparison are the caller's. Sized at start, half full at most. One thread.
 */
#ifndef RC_HUB_TABLE_H
#define RC_HUB_TABLE_H

#include "base/base.h"

struct rc_table_cell {
	uint32_t hash;
	uint32_t
		used; /* index + 1; 0 = empty, so that fresh memory is an empty table and is touched only as it fills */
};

struct rc_table {
	struct rc_table_cell *cell;
	uint32_t mask;
	uint32_t count;
};

/* Cells for count_max objects. */
uint32_t rc_table_cells(uint32_t count_max);
/* cells: a power of two; memory: zeroed. */
void rc_table_init(struct rc_table *t, struct rc_table_cell *memory, uint32_t cells);
/* The index for which same(ctx, index) holds, or RC_NONE. */
uint32_t rc_table_find(const struct rc_table *t, uint32_t hash,
	bool (*same)(const void *ctx, uint32_t index), const void *ctx);
/* The caller made sure that there is room and that no equal one is in it. */
void rc_table_add(struct rc_table *t, uint32_t hash, uint32_t index);
void rc_table_remove(struct rc_table *t, uint32_t hash, uint32_t index);

#endif
