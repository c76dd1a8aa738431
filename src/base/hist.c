/* SPDX-License-Identifier: Apache-2.0
 *
 * Values below 16 have a bucket each. From there on, the bucket is the position of the highest bit and the four bits
 * that follow it.
 */
#include "base/hist.h"

#define SUBS (1u << RC_HIST_SUB_BITS)

uint32_t rc_hist_bucket(uint64_t value)
{
	if (value < SUBS)
		return (uint32_t)value;
	uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - RC_HIST_SUB_BITS;
	return ((shift + 1) << RC_HIST_SUB_BITS) | ((uint32_t)(value >> shift) & (SUBS - 1));
}

static uint32_t shift_of(uint32_t bucket)
{
	uint32_t group = bucket >> RC_HIST_SUB_BITS;
	return group == 0 ? 0 : group - 1;
}

uint64_t rc_hist_low(uint32_t bucket)
{
	RC_ASSERT(bucket < RC_HIST_BUCKETS);
	if (bucket < SUBS)
		return bucket;
	return (uint64_t)(SUBS | (bucket & (SUBS - 1))) << shift_of(bucket);
}

uint64_t rc_hist_high(uint32_t bucket)
{
	return rc_hist_low(bucket) + (((uint64_t)1 << shift_of(bucket)) - 1);
}

/* Another process may count meanwhile: whole words, in no order. */
static uint64_t count_at(const uint64_t *buckets, uint32_t i)
{
	return __atomic_load_n(&buckets[i], __ATOMIC_RELAXED);
}

uint64_t rc_hist_quantile(const uint64_t *buckets, double quantile)
{
	uint64_t total = 0;
	for (uint32_t i = 0; i < RC_HIST_BUCKETS; i++)
		total += count_at(buckets, i);
	if (total == 0)
		return 0;

	/* The rank, 1 to total, of the value that is asked for: quantile * total, rounded up. */
	uint64_t rank = 1;
	if (quantile >= 1.0) {
		rank = total;
	} else if (quantile > 0.0) {
		double exact = quantile * (double)total;
		rank = (uint64_t)exact;
		if ((double)rank < exact)
			rank++;
		rank = RC_MIN(RC_MAX(rank, 1u), total);
	}

	uint64_t seen = 0;
	uint32_t last = 0;
	for (uint32_t i = 0; i < RC_HIST_BUCKETS && seen < rank; i++) {
		uint64_t count = count_at(buckets, i);
		if (count > 0)
			last = i;
		seen += count;
	}
	return rc_hist_high(last);
}
