/* SPDX-License-Identifier: Apache-2.0
 *
 * A message to one of many users, each with three connections on this shard: from the ask to its three outputs. However many users
 * there are, it should cost the same, but for what the processor's caches no longer hold.
 */
#include "rig/crowd.h"
#include "shim.h"

#define ROUND 256u

static void *open_crowd(uint64_t users)
{
	return crowd_open((uint32_t)users);
}

static void run_send(void *state)
{
	for (uint32_t i = 0; i < ROUND; i++) {
		crowd_pick(state);
		crowd_send(state);
	}
	crowd_flush(state);
}

static void close_crowd(void *state)
{
	crowd_close(state);
}

const struct micro_case micro_users[] = {
	{"users/send/100x3", 100, ROUND, 0, open_crowd, run_send, close_crowd},
	{"users/send/1000x3", 1000, ROUND, 0, open_crowd, run_send, close_crowd},
	{"users/send/10000x3", 10000, ROUND, 0, open_crowd, run_send, close_crowd},
	{0},
};
