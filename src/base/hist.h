/* SPDX-License-Identifier: Apache-2.0
 *
 * A log-linear histogram of u64 values: 16 sub-buckets per power of two, at most 6.25 % off. Its memory is a flat array
 * of u64 that can live in the counters file. One writer; a reader of another process may see it while it changes.
 */
#ifndef RC_BASE_HIST_H
#define RC_BASE_HIST_H

#include "base/base.h"

#define RC_HIST_SUB_BITS 4
#define RC_HIST_BUCKETS  ((64 - RC_HIST_SUB_BITS + 1) << RC_HIST_SUB_BITS)

uint32_t rc_hist_bucket(uint64_t value);
/* Smallest and largest value that fall into a bucket. */
uint64_t rc_hist_low(uint32_t bucket);
uint64_t rc_hist_high(uint32_t bucket);
/* Highest value of the bucket in which the quantile (0 to 1) lies; 0 when nothing was counted. */
uint64_t rc_hist_quantile(const uint64_t *buckets, double quantile);

#endif
