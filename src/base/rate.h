/* SPDX-License-Identifier: Apache-2.0
 *
 * A token bucket in four bytes: `count` in each `per_ns`, and `burst` at once. It is kept as the moment at which the bucket will be
 * full again (GCRA), in units of which one is a part of an event, so that no rate has to be rounded to whole nanoseconds:
 *
 *   now ──────────────────▶ full_at          ahead = full_at - now: what was taken and has not come back
 *    │◀──── ahead ────────▶│                 n more fit while ahead + n <= burst
 *
 * The units wrap. A full_at that lies behind, or further ahead than burst allows, is of a bucket that is full; a bucket that nobody
 * touched for so long that the units came round may lack some of its burst for the time in which that fills again, never more.
 * Pure, any thread.
 */
#ifndef RC_BASE_RATE_H
#define RC_BASE_RATE_H

#include <stdatomic.h>

#include "base/base.h"

#define RC_RATE_COUNT_MAX  UINT32_C(2000000000)
#define RC_RATE_EVENTS_MAX UINT32_C(1000000) /* of count and of burst, where events are counted */

struct rc_rate {
	uint32_t count; /* 0: no limit */
	uint32_t burst; /* in units */
	uint64_t per_ns;
	uint8_t shift; /* an event is 1 << shift units */
};

/* Of events: a thousandth of one is counted. burst 0 is taken as 1. */
static inline struct rc_rate rc_rate_of(uint32_t count, uint64_t per_ns, uint32_t burst)
{
	RC_ASSERT(count <= RC_RATE_EVENTS_MAX && burst <= RC_RATE_EVENTS_MAX && per_ns > 0);
	return (struct rc_rate){count, RC_MAX(burst, 1u) << 10, per_ns, 10};
}

/* Of bytes, a second. */
static inline struct rc_rate rc_rate_of_bytes(uint32_t count, uint32_t burst)
{
	RC_ASSERT(count <= RC_RATE_COUNT_MAX && burst <= RC_RATE_COUNT_MAX);
	return (struct rc_rate){count, RC_MAX(burst, 1u), 1000000000u, 0};
}

/* The clock of this rate. */
static inline uint32_t rc_rate_now(const struct rc_rate *r, uint64_t now_ns)
{
	uint64_t unit = (uint64_t)r->count << r->shift;

	if (!r->count)
		return 0;
	/* The second product is below 2^63 for every rate that the asserts above let through, with per_ns up to a second; a longer
	 * per_ns is divided by a thousand first. */
	uint64_t part = now_ns % r->per_ns, per = r->per_ns;
	if (per > 1000000000u) {
		part /= 1000;
		per /= 1000;
	}
	return (uint32_t)(now_ns / r->per_ns * unit + part * unit / per);
}

static inline uint32_t rc_rate_ahead(const struct rc_rate *r, uint32_t full_at, uint32_t now)
{
	uint32_t ahead = full_at - now;

	return ahead > r->burst ? 0 : ahead;
}

/* Takes n, if they are there. More than burst are never there. */
static inline bool rc_rate_take(
	const struct rc_rate *r, uint32_t *full_at, uint64_t now_ns, uint32_t n)
{
	uint32_t now = rc_rate_now(r, now_ns);
	uint64_t ahead = rc_rate_ahead(r, *full_at, now) + ((uint64_t)n << r->shift);

	if (!r->count)
		return true;
	if (ahead > r->burst)
		return false;
	*full_at = now + (uint32_t)ahead;
	return true;
}

/* The same for a bucket of several threads. The bucket is all that they tell each other, so nothing is ordered. */
static inline bool rc_rate_take_shared(
	const struct rc_rate *r, _Atomic uint32_t *full_at, uint64_t now_ns, uint32_t n)
{
	uint32_t seen = atomic_load_explicit(full_at, memory_order_relaxed), mine;

	do {
		mine = seen;
		if (!rc_rate_take(r, &mine, now_ns, n))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		full_at, &seen, mine, memory_order_relaxed, memory_order_relaxed));
	return true;
}

/* Milliseconds until one fits; 0: now. */
static inline uint32_t rc_rate_wait_ms(const struct rc_rate *r, uint32_t full_at, uint64_t now_ns)
{
	uint64_t ahead =
		rc_rate_ahead(r, full_at, rc_rate_now(r, now_ns)) + (UINT64_C(1) << r->shift);

	if (!r->count || ahead <= r->burst)
		return 0;
	return (uint32_t)RC_MIN(
		(ahead - r->burst) * (r->per_ns / 1000) / ((uint64_t)r->count << r->shift) / 1000 +
			1,
		(uint64_t)UINT32_MAX);
}

#endif
