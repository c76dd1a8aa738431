/* SPDX-License-Identifier: Apache-2.0
 *
 * A timer lies in level n when it is due in less than 64^(n+1) ticks, in the slot that the n-th group of six bits of its
 * due tick names. When the wheel comes to a tick whose lower groups are zero, the slot of the level above is taken apart
 * and its timers are placed again, lower. The bitmaps let it jump from one slot that holds something to the next.
 */
#include "base/wheel.h"

#define SLOT_BITS 6u
#define SLOT_MASK (RC_WHEEL_SLOTS - 1u)
#define LEVEL_TOP (RC_WHEEL_LEVELS - 1u)
/* The first timer of a list has, instead of a predecessor, the list's own place: level and slot. */
#define IN_HEAD 0x80000000u

_Static_assert(RC_WHEEL_SLOTS == 1u << SLOT_BITS, "a slot is six bits of a tick");

static inline struct rc_timer *timer_at(const struct rc_wheel *w, uint32_t index)
{
	RC_DASSERT(index < IN_HEAD);
	return (struct rc_timer *)(void *)(w->first + (size_t)index * w->stride);
}

/* Ticks wrap: "later" is less than half the circle ahead. */
static inline bool is_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

void rc_wheel_init(struct rc_wheel *w, void *first, size_t stride, uint32_t tick)
{
	RC_ASSERT(stride >= sizeof(struct rc_timer) && stride % _Alignof(struct rc_timer) == 0);
	memset(w, 0, sizeof(*w));
	w->first = first;
	w->stride = stride;
	w->tick = tick;
	for (uint32_t level = 0; level < RC_WHEEL_LEVELS; level++)
		for (uint32_t slot = 0; slot < RC_WHEEL_SLOTS; slot++)
			w->head[level][slot] = RC_NONE;
}

/* Links a timer that is in no list; it may be due at w->tick itself, in a slot that is about to fire. */
static void place(struct rc_wheel *w, uint32_t index, uint32_t due)
{
	uint32_t ahead = due - w->tick;
	uint32_t level = 0;
	while (level < LEVEL_TOP && ahead >> (SLOT_BITS * (level + 1)) != 0)
		level++;
	/* What is further away than all levels reach passes its slot in the last one a few times too early. */
	uint32_t slot = due >> (SLOT_BITS * level) & SLOT_MASK;

	struct rc_timer *t = timer_at(w, index);
	uint32_t *head = &w->head[level][slot];
	t->due = due;
	t->prev = IN_HEAD | level << SLOT_BITS | slot;
	t->next = *head;
	if (*head != RC_NONE)
		timer_at(w, *head)->prev = index;
	*head = index;
	w->used[level] |= (uint64_t)1 << slot;
}

static void unlink_timer(struct rc_wheel *w, struct rc_timer *t)
{
	if (t->next != RC_NONE)
		timer_at(w, t->next)->prev = t->prev;
	if (!(t->prev & IN_HEAD)) {
		timer_at(w, t->prev)->next = t->next;
	} else {
		uint32_t level = (t->prev & ~IN_HEAD) >> SLOT_BITS;
		uint32_t slot = t->prev & SLOT_MASK;
		w->head[level][slot] = t->next;
		if (t->next == RC_NONE)
			w->used[level] &= ~((uint64_t)1 << slot);
	}
	t->due = 0;
}

void rc_wheel_set(struct rc_wheel *w, uint32_t index, uint32_t due)
{
	RC_ASSERT(index < IN_HEAD);
	struct rc_timer *t = timer_at(w, index);
	if (t->due != 0)
		unlink_timer(w, t);
	else
		w->count++;
	if (!is_after(due, w->tick))
		due = w->tick + 1;
	/* Zero means unset; once in 2^32 ticks a timer fires one tick late. */
	if (due == 0)
		due = 1;
	place(w, index, due);
}

void rc_wheel_cancel(struct rc_wheel *w, uint32_t index)
{
	RC_ASSERT(index < IN_HEAD);
	struct rc_timer *t = timer_at(w, index);
	if (t->due == 0)
		return;
	unlink_timer(w, t);
	w->count--;
}

/* Takes apart the slots that begin at w->tick. Each timer goes straight to the level that its distance asks for. */
static void cascade(struct rc_wheel *w)
{
	for (uint32_t level = LEVEL_TOP; level > 0; level--) {
		uint32_t shift = SLOT_BITS * level;
		if ((w->tick & (((uint32_t)1 << shift) - 1)) != 0)
			continue;
		uint32_t slot = w->tick >> shift & SLOT_MASK;
		uint32_t index = w->head[level][slot];
		w->head[level][slot] = RC_NONE;
		w->used[level] &= ~((uint64_t)1 << slot);
		while (index != RC_NONE) {
			struct rc_timer *t = timer_at(w, index);
			uint32_t next = t->next;
			place(w, index, t->due);
			index = next;
		}
	}
}

static inline __attribute__((always_inline)) uint32_t next_of(
	const struct rc_wheel *w, uint32_t level, uint32_t best)
{
	if (w->used[level] == 0)
		return best;
	uint32_t shift = SLOT_BITS * level;
	uint32_t now = w->tick >> shift;
	/* Rotated so that bit 0 is the slot after this one; this one itself comes last, a whole round away. */
	uint32_t from = (now + 1) & SLOT_MASK;
	uint64_t bits = w->used[level] >> from | w->used[level] << (-from & SLOT_MASK);
	uint32_t begins = (now + 1 + (uint32_t)__builtin_ctzll(bits)) << shift;
	return RC_MIN(best, begins - w->tick);
}

/* Each turn asks, so the levels are not looped over. */
uint32_t rc_wheel_next(const struct rc_wheel *w)
{
	_Static_assert(RC_WHEEL_LEVELS == 4, "each level is asked");
	return next_of(w, 3, next_of(w, 2, next_of(w, 1, next_of(w, 0, UINT32_MAX))));
}

uint32_t rc_wheel_advance(struct rc_wheel *w, uint32_t tick, uint32_t budget,
	void (*fire)(void *ctx, uint32_t index), void *ctx)
{
	uint32_t fired = 0;
	while (is_after(tick, w->tick)) {
		uint32_t ahead = rc_wheel_next(w);
		if (ahead > tick - w->tick) {
			w->tick = tick;
			break;
		}
		/* The new tick holds while its timers fire: a timer that one of them sets to fire at once goes to the next tick. */
		w->tick += ahead;
		cascade(w);
		const uint32_t *head = &w->head[0][w->tick & SLOT_MASK];
		while (*head != RC_NONE) {
			if (fired == budget) {
				/* Not all of this tick has fired, so the wheel stands before it. */
				w->tick--;
				return fired;
			}
			uint32_t index = *head;
			unlink_timer(w, timer_at(w, index));
			w->count--;
			fired++;
			fire(ctx, index);
		}
	}
	return fired;
}

void rc_wheel_check(const struct rc_wheel *w)
{
	uint32_t count = 0;
	for (uint32_t level = 0; level < RC_WHEEL_LEVELS; level++) {
		for (uint32_t slot = 0; slot < RC_WHEEL_SLOTS; slot++) {
			uint32_t index = w->head[level][slot];
			RC_ASSERT((w->used[level] >> slot & 1) == (index != RC_NONE));
			uint32_t prev = IN_HEAD | level << SLOT_BITS | slot;
			while (index != RC_NONE) {
				const struct rc_timer *t = timer_at(w, index);
				RC_ASSERT(t->due != 0 && is_after(t->due, w->tick));
				RC_ASSERT(t->prev == prev);
				uint32_t ahead = t->due - w->tick;
				uint32_t slot_of_due = t->due >> (SLOT_BITS * level) & SLOT_MASK;
				RC_ASSERT(slot_of_due == slot);
				RC_ASSERT(level == LEVEL_TOP ||
					  ahead <= (uint32_t)1 << (SLOT_BITS * (level + 1)));
				RC_ASSERT(++count <= w->count);
				prev = index;
				index = t->next;
			}
		}
	}
	RC_ASSERT(count == w->count);
}
