/* SPDX-License-Identifier: Apache-2.0
 *
 * A message to one of few users, and to one of many: there is no scan, so both cost the same.
 */
#include "path.h"
#include "rig/crowd.h"

static void send_body(void *ctx)
{
	crowd_send(ctx);
}

static void send_to(uint32_t users, uint32_t times)
{
	struct crowd *k = crowd_open(users);

	for (uint32_t i = 0; i < times; i++) {
		crowd_pick(k);
		counted(send_body, k);
		crowd_flush(k);
	}
	crowd_close(k);
}

static void few(uint32_t times, uint32_t crowd)
{
	(void)crowd;
	send_to(100, times);
}

static void many(uint32_t times, uint32_t crowd)
{
	(void)crowd;
	send_to(10000, times);
}

const struct path path_users[] = {
	{"send_100", "message to one of 100 users with three connections", {1000, 3000}, {0}, 1,
		few},
	{"send_10000", "message to one of 10,000 users with three connections", {1000, 3000}, {0},
		1, many},
	{0},
};
