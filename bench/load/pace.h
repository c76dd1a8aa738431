/* SPDX-License-Identifier: Apache-2.0
 *
 * When the events of an open loop are due. Event k of a publisher is due at start + (first + k * shares / share) / rate, rounded
 * down to a nanosecond: what the rounding leaves is carried in integers, so that no drift comes up in hours. Pure, one owner.
 */
#ifndef LOAD_PACE_H
#define LOAD_PACE_H

#include "base/base.h"

#define LOAD_PACE_NEVER UINT64_MAX

struct load_pace {
	uint64_t next_ns; /* when the next event is due */
	uint64_t step_ns; /* from one event to the next: step_ns + step_part / whole */
	unsigned __int128 part, step_part,
		whole; /* part < whole is what next_ns was rounded down by */
};

/*
 * rate: events a second of all publishers together, above 0; taken to the millionth. Of these events, share / shares are this
 * publisher's, and `first` of others' go before its first one. share <= shares <= 2^32, first < 2^32.
 */
void load_pace_begin(struct load_pace *p, uint64_t start_ns, double rate, uint64_t share,
	uint64_t shares, uint64_t first);

/* The next event is on its way. */
static inline void load_pace_step(struct load_pace *p)
{
	p->part += p->step_part;
	if (p->part >= p->whole) {
		p->part -= p->whole;
		p->next_ns++;
	}
	if (__builtin_add_overflow(p->next_ns, p->step_ns, &p->next_ns))
		p->next_ns = LOAD_PACE_NEVER;
}

#endif
