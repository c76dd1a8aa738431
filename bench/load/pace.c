/* SPDX-License-Identifier: Apache-2.0 */
#include "pace.h"

/* A rate is kept in events per 10^6 seconds, so 10^15 ns hold a whole number of them. */
#define RATE_UNIT    1000000.0
#define RATE_MAX     1e12
#define RATE_UNIT_NS 1000000000000000ull

void load_pace_begin(struct load_pace *p, uint64_t start_ns, double rate, uint64_t share,
	uint64_t shares, uint64_t first)
{
	uint64_t per_unit = (uint64_t)(RC_MIN(rate, RATE_MAX) * RATE_UNIT + 0.5);
	unsigned __int128 step, ahead;

	RC_ASSERT(rate > 0 && share > 0 && share <= shares && shares <= (uint64_t)1 << 32);
	RC_ASSERT(first <= UINT32_MAX);
	per_unit = RC_MAX(per_unit, 1u);
	/* Times as multiples of 1 / whole ns. Below 2^64 * 2^32, 2^50 * 2^32 and 2^32 * 2^50 * 2^32. */
	p->whole = (unsigned __int128)per_unit * share;
	step = (unsigned __int128)RATE_UNIT_NS * shares;
	ahead = (unsigned __int128)RATE_UNIT_NS * first * share;
	p->step_part = step % p->whole;
	step /= p->whole;
	p->step_ns = step < UINT64_MAX ? (uint64_t)step : UINT64_MAX;
	p->part = ahead % p->whole;
	ahead /= p->whole;
	if (ahead > UINT64_MAX - start_ns)
		ahead = UINT64_MAX - start_ns;
	p->next_ns = start_ns + (uint64_t)ahead;
}
