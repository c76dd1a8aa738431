/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/table.h"

uint32_t rc_table_cells(uint32_t count_max)
{
	return (uint32_t)rc_pow2_ceil((uint64_t)RC_MAX(count_max, 8u) * 2);
}

void rc_table_init(struct rc_table *t, struct rc_table_cell *memory, uint32_t cells)
{
	RC_ASSERT(rc_is_pow2(cells));
	t->cell = memory;
	t->mask = cells - 1;
	t->count = 0;
}

uint32_t rc_table_find(const struct rc_table *t, uint32_t hash,
	bool (*same)(const void *ctx, uint32_t index), const void *ctx)
{
	for (uint32_t i = hash & t->mask;; i = (i + 1) & t->mask) {
		const struct rc_table_cell *c = &t->cell[i];
		if (c->used == 0)
			return RC_NONE;
		if (c->hash == hash && same(ctx, c->used - 1))
			return c->used - 1;
	}
}

void rc_table_add(struct rc_table *t, uint32_t hash, uint32_t index)
{
	uint32_t i = hash & t->mask;

	RC_ASSERT(t->count <= t->mask / 2 + 1);
	while (t->cell[i].used != 0)
		i = (i + 1) & t->mask;
	t->cell[i] = (struct rc_table_cell){hash, index + 1};
	t->count++;
}

void rc_table_remove(struct rc_table *t, uint32_t hash, uint32_t index)
{
	uint32_t hole = hash & t->mask;

	while (t->cell[hole].used != index + 1 || t->cell[hole].hash != hash) {
		RC_ASSERT(t->cell[hole].used != 0);
		hole = (hole + 1) & t->mask;
	}
	/* Whoever probed over the hole moves into it. */
	for (uint32_t i = (hole + 1) & t->mask; t->cell[i].used != 0; i = (i + 1) & t->mask) {
		uint32_t home = t->cell[i].hash & t->mask;
		if (((i - home) & t->mask) >= ((i - hole) & t->mask)) {
			t->cell[hole] = t->cell[i];
			hole = i;
		}
	}
	t->cell[hole].used = 0;
	t->count--;
}
