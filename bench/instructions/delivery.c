/* SPDX-License-Identifier: Apache-2.0
 *
 * One delivery: from an event's record in the ring to the prepared send, at a shard with subscribers. Publisher and owner
 * are the other shard, which is not counted. The turn that sends also sees the completions of the sends before.
 *
 * "burst" is what a loaded shard does: 64 events come between two turns and go out in one send.
 */
#include "path.h"

#include "proto/ingest.h"
#include "publishing.h"

static struct rig rig;

static void deliver(uint32_t times, uint32_t crowd, uint32_t burst)
{
	char channel[64];
	struct publishing p;

	rig_open(&rig, ".", 2, crowd + 16, 16);
	rig_name(&rig, 0, "orders", channel);
	for (uint32_t i = 0; i < crowd; i++)
		rig_subscribe(&rig, 1, rig_client(&rig, 1), channel);
	publishing_begin(&p, rig_publisher(&rig, 0), channel);
	uint64_t before = rc_counter_get(rig.gateway.shards[1].counters, RC_C_deliveries);
	for (uint32_t i = 0; i < times; i++) {
		publishing_batch(&p, &rig, 0, burst);
		rig_turn(&rig, 0);
		counted_turn(&rig, 1);
	}
	rig_settle(&rig);
	RC_ASSERT(rc_counter_get(rig.gateway.shards[1].counters, RC_C_deliveries) - before ==
		  (uint64_t)times * crowd * burst);
	rig_close(&rig);
}

static void one(uint32_t times, uint32_t crowd)
{
	deliver(times, crowd, 1);
}

static void burst(uint32_t times, uint32_t crowd)
{
	deliver(times, crowd, 64);
}

const struct path path_delivery[] = {
	{"delivery", "event, alone in its turn", {100, 300}, {100, 300}, 1, one},
	{"delivery_burst", "event, 64 in a turn", {100, 300}, {100, 300}, 64, burst},
	{0},
};
