/* SPDX-License-Identifier: Apache-2.0
 *
 * A hierarchical timer wheel over nodes that live inside the caller's own objects, linked by index, so that a
 * connection's timer costs twelve bytes and nothing is allocated. Owned by one thread.
 *
 *   4 levels of 64 slots; a tick is whatever the caller counts in, and may wrap. Level n covers 64^(n+1) ticks; what lies further
 *   away waits in the last level and is placed again when its slot comes round.
 *
 * Invariant: a node with due == 0 is in no list. A due time that has passed fires at the next advance.
 */
#ifndef RC_BASE_WHEEL_H
#define RC_BASE_WHEEL_H

#include "base/base.h"

#define RC_WHEEL_LEVELS 4
#define RC_WHEEL_SLOTS  64

/* The zero value is a timer that is not set. */
struct rc_timer {
	uint32_t next;
	uint32_t prev;
	uint32_t due; /* tick; 0 = not set */
};

struct rc_wheel {
	unsigned char *first; /* the timer of index 0 */
	size_t stride;        /* bytes from one index's timer to the next's */
	uint32_t
		tick; /* all that is due at or before this tick has fired; in a fire, its timer's */
	uint32_t count;                 /* timers set */
	uint64_t used[RC_WHEEL_LEVELS]; /* a bit per slot that is not empty */
	uint32_t head[RC_WHEEL_LEVELS][RC_WHEEL_SLOTS];
};

/* `first` is the struct rc_timer of index 0; index i's lies at first + i * stride. */
void rc_wheel_init(struct rc_wheel *w, void *first, size_t stride, uint32_t tick);
/* Sets or moves the timer. A due tick <= w->tick fires at the next advance that moves the tick. Since ticks wrap, due
 * lies less than 2^31 ticks ahead: more counts as passed. There is no "never": cancel instead. */
void rc_wheel_set(struct rc_wheel *w, uint32_t index, uint32_t due);
void rc_wheel_cancel(struct rc_wheel *w, uint32_t index);
/*
 * Moves on to `tick` and calls fire for each timer that is due, at most `budget` of them (the rest at the next call,
 * with the same or a later tick). A timer is unset before its fire is called; fire may set or cancel any timer,
 * also its own. Returns how many fired.
 */
uint32_t rc_wheel_advance(struct rc_wheel *w, uint32_t tick, uint32_t budget,
	void (*fire)(void *ctx, uint32_t index), void *ctx);
/* Ticks from w->tick to the moment at which advance should next be called: never later than the first due timer, at
 * least 1; UINT32_MAX when no timer is set. */
uint32_t rc_wheel_next(const struct rc_wheel *w);
/* Walks everything and asserts the invariants. */
void rc_wheel_check(const struct rc_wheel *w);

#endif
