/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory above `top` belongs to no block. It is taken only when the free lists below have nothing, and from the lowest
 * address on; a block that is taken there may begin below top when what lies between is free. Free neighbours of one
 * parent are always merged, so below top the free blocks are as large as they can be.
 */
#include "mem/buddy.h"

#include "mem/poison.h"

#define STATE_FREE  0x40u
#define STATE_USED  0x80u
#define STATE_ORDER 0x3fu

/* What a free block begins with. */
struct link {
	uint32_t next;
	uint32_t prev;
};

static inline unsigned char *block_at(const struct rc_buddy *b, uint32_t unit)
{
	return b->base + (size_t)unit * RC_BUDDY_MIN;
}

static inline size_t order_bytes(uint32_t order)
{
	return (size_t)RC_BUDDY_MIN << order;
}

RC_NO_ASAN static struct link link_read(const struct rc_buddy *b, uint32_t unit)
{
	return *(const struct link *)(const void *)block_at(b, unit);
}

RC_NO_ASAN static void link_next(const struct rc_buddy *b, uint32_t unit, uint32_t next)
{
	((struct link *)(void *)block_at(b, unit))->next = next;
}

RC_NO_ASAN static void link_prev(const struct rc_buddy *b, uint32_t unit, uint32_t prev)
{
	((struct link *)(void *)block_at(b, unit))->prev = prev;
}

size_t rc_buddy_state_bytes(size_t bytes)
{
	return bytes / RC_BUDDY_MIN;
}

void rc_buddy_init(struct rc_buddy *b, void *base, size_t bytes, void *state)
{
	RC_ASSERT(bytes % RC_BUDDY_MIN == 0 && bytes / RC_BUDDY_MIN < RC_NONE);
	RC_ASSERT(((uintptr_t)base & 7) == 0);
	*b = (struct rc_buddy){
		.base = base,
		.state = state,
		.units = (uint32_t)(bytes / RC_BUDDY_MIN),
	};
	/* An earlier pool in the same memory may have left its marks. */
	RC_UNPOISON(base, bytes);
	for (uint32_t order = 0; order < RC_BUDDY_ORDERS; order++)
		b->free_head[order] = RC_NONE;
}

static void list_add(struct rc_buddy *b, uint32_t unit, uint32_t order)
{
	uint32_t head = b->free_head[order];
	b->state[unit] = (unsigned char)(STATE_FREE | order);
	link_next(b, unit, head);
	link_prev(b, unit, RC_NONE);
	if (head != RC_NONE)
		link_prev(b, head, unit);
	b->free_head[order] = unit;
}

static void list_remove(struct rc_buddy *b, uint32_t unit, uint32_t order)
{
	struct link l = link_read(b, unit);
	RC_DASSERT(b->state[unit] == (STATE_FREE | order));
	if (l.prev == RC_NONE)
		b->free_head[order] = l.next;
	else
		link_next(b, l.prev, l.next);
	if (l.next != RC_NONE)
		link_prev(b, l.next, l.prev);
	b->state[unit] = 0;
}

/* Makes a block free, merged with its buddy as often as that one is free as a whole. */
static void block_free(struct rc_buddy *b, uint32_t unit, uint32_t order)
{
	RC_POISON(block_at(b, unit), order_bytes(order));
	while (order + 1 < RC_BUDDY_ORDERS) {
		uint32_t buddy = unit ^ (uint32_t)1 << order;
		if (buddy >= b->units || b->state[buddy] != (STATE_FREE | order))
			break;
		list_remove(b, buddy, order);
		b->state[unit] = 0;
		unit = RC_MIN(unit, buddy);
		order++;
	}
	list_add(b, unit, order);
}

/* Is everything from `unit` to top free? At most one block per order lies there, all others would have merged. */
static bool free_up_to_top(const struct rc_buddy *b, uint32_t unit)
{
	while (unit < b->top) {
		if (!(b->state[unit] & STATE_FREE))
			return false;
		unit += (uint32_t)1 << (b->state[unit] & STATE_ORDER);
	}
	return true;
}

/* A block out of memory above top, or RC_NONE. Called when no free block of this order or a larger one exists. */
static uint32_t take_at_top(struct rc_buddy *b, uint32_t order)
{
	uint64_t size = (uint64_t)1 << order;
	uint64_t unit = b->top & ~(size - 1);
	if (!free_up_to_top(b, (uint32_t)unit))
		unit += size;
	if (unit + size > b->units)
		return RC_NONE;

	uint32_t from = b->top;
	b->top = (uint32_t)(unit + size);
	for (uint32_t u = (uint32_t)unit; u < from;) {
		uint32_t sub = b->state[u] & STATE_ORDER;
		list_remove(b, u, sub);
		u += (uint32_t)1 << sub;
	}
	/* What alignment leaves out becomes free blocks, each as large as its address allows. */
	while (from < unit) {
		uint32_t sub = (uint32_t)__builtin_ctz(from);
		block_free(b, from, sub);
		from += (uint32_t)1 << sub;
	}
	return (uint32_t)unit;
}

static uint32_t take_free(struct rc_buddy *b, uint32_t order)
{
	for (uint32_t have = order; have < RC_BUDDY_ORDERS; have++) {
		uint32_t unit = b->free_head[have];
		if (unit == RC_NONE)
			continue;
		list_remove(b, unit, have);
		while (have > order) {
			have--;
			list_add(b, unit + ((uint32_t)1 << have), have);
		}
		return unit;
	}
	return RC_NONE;
}

void *rc_buddy_get(struct rc_buddy *b, size_t bytes)
{
	RC_ASSERT(bytes > 0 && bytes <= order_bytes(RC_BUDDY_ORDERS - 1));
	uint32_t order = 0;
	if (bytes > RC_BUDDY_MIN)
		order = 64 - (uint32_t)__builtin_clzll((bytes - 1) / RC_BUDDY_MIN);

	uint32_t unit = take_free(b, order);
	if (unit == RC_NONE)
		unit = take_at_top(b, order);
	if (unit == RC_NONE)
		return NULL;

	b->state[unit] = (unsigned char)(STATE_USED | order);
	b->used_bytes += order_bytes(order);
	b->peak_bytes = RC_MAX(b->peak_bytes, b->used_bytes);
	RC_UNPOISON(block_at(b, unit), order_bytes(order));
	return block_at(b, unit);
}

/* The unit of a block that is in use; anything else is a programmer's error. */
static uint32_t used_unit(const struct rc_buddy *b, const void *block)
{
	size_t pos = (size_t)((const unsigned char *)block - b->base);
	RC_ASSERT(pos % RC_BUDDY_MIN == 0 && pos / RC_BUDDY_MIN < b->top);
	uint32_t unit = (uint32_t)(pos / RC_BUDDY_MIN);
	RC_ASSERT(b->state[unit] & STATE_USED);
	return unit;
}

void rc_buddy_put(struct rc_buddy *b, void *block)
{
	uint32_t unit = used_unit(b, block);
	uint32_t order = b->state[unit] & STATE_ORDER;
	b->used_bytes -= order_bytes(order);
	block_free(b, unit, order);
}

size_t rc_buddy_size(const struct rc_buddy *b, const void *block)
{
	return order_bytes(b->state[used_unit(b, block)] & STATE_ORDER);
}

uint64_t rc_buddy_free_bytes(const struct rc_buddy *b)
{
	return (uint64_t)b->units * RC_BUDDY_MIN - b->used_bytes;
}

void rc_buddy_check(const struct rc_buddy *b)
{
	uint64_t used = 0;
	uint32_t listed[RC_BUDDY_ORDERS] = {0};
	uint32_t unit = 0;

	RC_ASSERT(b->top <= b->units);
	while (unit < b->top) {
		uint32_t order = b->state[unit] & STATE_ORDER;
		uint32_t size = (uint32_t)1 << order;
		bool is_free = (b->state[unit] & STATE_FREE) != 0;
		RC_ASSERT(is_free != ((b->state[unit] & STATE_USED) != 0));
		RC_ASSERT(order < RC_BUDDY_ORDERS && unit % size == 0 && size <= b->top - unit);
		for (uint32_t i = 1; i < size; i++)
			RC_ASSERT(b->state[unit + i] == 0);
		if (is_free) {
			uint32_t buddy = unit ^ size;
			RC_ASSERT(order + 1 == RC_BUDDY_ORDERS || buddy >= b->units ||
				  b->state[buddy] != b->state[unit]);
			listed[order]++;
		} else {
			used += order_bytes(order);
		}
		unit += size;
	}
	for (; unit < b->units; unit++)
		RC_ASSERT(b->state[unit] == 0);

	for (uint32_t order = 0; order < RC_BUDDY_ORDERS; order++) {
		uint32_t prev = RC_NONE;
		for (uint32_t u = b->free_head[order]; u != RC_NONE; u = link_read(b, u).next) {
			RC_ASSERT(u < b->top && b->state[u] == (STATE_FREE | order));
			RC_ASSERT(link_read(b, u).prev == prev);
			RC_ASSERT(listed[order]-- > 0);
			prev = u;
		}
		RC_ASSERT(listed[order] == 0);
	}
	RC_ASSERT(used == b->used_bytes && used <= b->peak_bytes);
}
