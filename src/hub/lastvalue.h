/* SPDX-License-Identifier: Apache-2.0
 *
 * The newest event of each key of a channel, for namespaces with slow_policy = latest and a slow_key: what a subscriber who fell
 * behind is given instead of all he missed. Kept once per channel, whatever the number of laggards. Entries are linked by age;
 * over the limit of bytes the oldest key is given up. Owned by the replica; one thread.
 *
 *   bucket[hash] ─▶ entry ─▶ entry         oldest ◀─▶ … ◀─▶ newest
 */
#ifndef RC_HUB_LASTVALUE_H
#define RC_HUB_LASTVALUE_H

#include "base/base.h"
#include "mem/pool.h"

struct rc_last_value {
	unsigned char *frame;
	uint64_t key;
	uint64_t pos; /* of the frame in the log, even when the log has let go of it */
	uint64_t stamp;
	uint32_t len;
	uint32_t chain; /* next of the same bucket, or the next free entry */
	uint32_t older, newer;
	uint32_t except; /* as of the log; 0 with each put */
};

struct rc_last_values {
	struct rc_last_value *entry;
	uint32_t *bucket;
	uint32_t size; /* of both, a power of two */
	uint32_t count;
	uint32_t free_first;
	uint32_t oldest, newest;
	uint64_t bytes;
};

void rc_last_values_init(struct rc_last_values *v);
void rc_last_values_clear(struct rc_last_values *v, struct rc_pool *pool);
/* False: no memory; the key then has no value, rather than an old one. */
bool rc_last_values_put(struct rc_last_values *v, struct rc_pool *pool, uint64_t key, uint64_t pos,
	uint64_t stamp, const void *frame, uint32_t len, uint64_t limit_bytes);
/* The oldest entry at or after pos; RC_NONE when there is none. Then follow `newer`. */
uint32_t rc_last_values_from(const struct rc_last_values *v, uint64_t pos);

#endif
