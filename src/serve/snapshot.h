/* SPDX-License-Identifier: Apache-2.0
 *
 * How the whole gateway does, told on `$sys:metrics` once a second while somebody hears it: the shard that orders that channel knows
 * whether anybody does, and reads the counters of all. Nobody waits for it; where there is no room for one it is left out. One thread.
 */
#ifndef RC_SERVE_SNAPSHOT_H
#define RC_SERVE_SNAPSHOT_H

#include "serve/serve.h"

/* Once a second. */
void rc_snapshot_turn(struct rc_serve *sv);
/* Upper bounds of the buckets in which times are told, in ns; what is longer comes into one more. For tests too. */
#define RC_SNAPSHOT_BOUNDS 49u
uint64_t rc_snapshot_bound(uint32_t i);

#endif
