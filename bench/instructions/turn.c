/* SPDX-License-Identifier: Apache-2.0
 *
 * The turn of a shard in which nothing happens: what the figures of the other paths hold once a turn.
 */
#include "path.h"

static struct rig rig;

static void idle(uint32_t times, uint32_t crowd)
{
	(void)crowd;
	rig_open(&rig, ".", 1, 16, 16);
	for (uint32_t i = 0; i < times; i++)
		counted_turn(&rig, 0);
	rig_close(&rig);
}

const struct path path_turn[] = {
	{"turn", "turn with nothing to do", {100, 300}, {0}, 1, idle},
	{0},
};
