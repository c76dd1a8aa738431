/* SPDX-License-Identifier: Apache-2.0 */
#include "mem/pool.h"

struct rc_pool_page {
	struct rc_pool_page *next, *prev;
	uint32_t free_head; /* byte offset in the page of the first free object, 0 = none */
	uint32_t mark;      /* byte offset from which nothing was ever given out */
	uint16_t used;
	uint16_t stride;
	uint8_t class_index;
	unsigned char pad[64 - 2 * sizeof(void *) - 13];
};
_Static_assert(sizeof(struct rc_pool_page) == 64, "objects begin aligned");

/* Half steps between powers of two keep the waste below a third. */
static const uint16_t class_bytes[RC_POOL_CLASSES] = {
	16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1008};

static uint32_t class_of(size_t bytes)
{
	for (uint32_t i = 0; i < RC_POOL_CLASSES; i++) {
		if (bytes <= class_bytes[i])
			return i;
	}
	return RC_NONE;
}

static struct rc_pool_page *page_of(const struct rc_pool *p, const void *object)
{
	size_t at = (size_t)((const unsigned char *)object - p->arena->base);

	return (struct rc_pool_page *)(void *)(p->arena->base + (at & ~(size_t)(RC_POOL_PAGE - 1)));
}

static void link_page(struct rc_pool *p, struct rc_pool_page *page)
{
	page->prev = NULL;
	page->next = p->partial[page->class_index];
	if (page->next)
		page->next->prev = page;
	p->partial[page->class_index] = page;
}

static void unlink_page(struct rc_pool *p, struct rc_pool_page *page)
{
	if (page->next)
		page->next->prev = page->prev;
	if (page->prev)
		page->prev->next = page->next;
	else
		p->partial[page->class_index] = page->next;
}

static bool page_full(const struct rc_pool_page *page)
{
	return page->free_head == 0 && page->mark + page->stride > RC_POOL_PAGE;
}

void rc_pool_init(struct rc_pool *p, struct rc_buddy *arena)
{
	memset(p, 0, sizeof(*p));
	p->arena = arena;
}

size_t rc_pool_size(size_t bytes)
{
	uint32_t c = class_of(bytes);

	return c == RC_NONE ? rc_pow2_ceil(bytes) : class_bytes[c];
}

void *rc_pool_get(struct rc_pool *p, size_t bytes)
{
	uint32_t c = class_of(bytes);

	if (c == RC_NONE) {
		void *block = rc_buddy_get(p->arena, bytes);
		if (block)
			p->used_bytes += rc_buddy_size(p->arena, block);
		return block;
	}
	struct rc_pool_page *page = p->partial[c];
	if (!page) {
		page = rc_buddy_get(p->arena, RC_POOL_PAGE);
		if (!page)
			return NULL;
		memset(page, 0, sizeof(*page));
		page->class_index = (uint8_t)c;
		page->stride = class_bytes[c];
		page->mark = sizeof(*page);
		link_page(p, page);
	}
	unsigned char *object;
	if (page->free_head) {
		object = (unsigned char *)page + page->free_head;
		memcpy(&page->free_head, object, sizeof(page->free_head));
	} else {
		object = (unsigned char *)page + page->mark;
		page->mark += page->stride;
	}
	page->used++;
	p->used_bytes += page->stride;
	if (page_full(page))
		unlink_page(p, page);
	return object;
}

void rc_pool_put(struct rc_pool *p, void *object, size_t bytes)
{
	if (!object)
		return;
	uint32_t c = class_of(bytes);
	if (c == RC_NONE) {
		p->used_bytes -= rc_buddy_size(p->arena, object);
		rc_buddy_put(p->arena, object);
		return;
	}
	struct rc_pool_page *page = page_of(p, object);
	RC_DASSERT(page->class_index == c && page->used > 0);
	bool was_full = page_full(page);

	memcpy(object, &page->free_head, sizeof(page->free_head));
	page->free_head = (uint32_t)((unsigned char *)object - (unsigned char *)page);
	page->used--;
	p->used_bytes -= page->stride;
	if (was_full)
		link_page(p, page);
	/* One empty page of a class is kept, so that a single object that comes and goes costs nothing. */
	if (page->used == 0 && (page->next || page->prev)) {
		unlink_page(p, page);
		rc_buddy_put(p->arena, page);
	}
}
