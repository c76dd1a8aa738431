/* SPDX-License-Identifier: Apache-2.0
 *
 * One publish: from the bytes that a publisher sent to the prepared send of its acknowledgement, with the turn in which that
 * happens. "near" is ordered by the publisher's own shard, "away" by the other one: both shards' turns are counted, and both rings.
 */
#include "path.h"
#include "publishing.h"

static struct rig rig;

static uint64_t acks(uint32_t shard)
{
	return rc_counter_get(rig.gateway.shards[shard].counters, RC_C_ingest_acks);
}

static void near(uint32_t times, uint32_t subscribers, uint32_t batch)
{
	char channel[64];
	struct publishing p;

	rig_open(&rig, ".", 1, 16, 16);
	rig_name(&rig, 0, "orders", channel);
	for (uint32_t i = 0; i < subscribers; i++)
		rig_subscribe(&rig, 0, rig_client(&rig, 0), channel);
	publishing_begin(&p, rig_publisher(&rig, 0), channel);
	uint64_t before = acks(0);
	for (uint32_t i = 0; i < times; i++) {
		if (batch)
			publishing_batch(&p, &rig, 0, batch);
		else
			publishing_one(&p, &rig, 0);
		counted_turn(&rig, 0);
	}
	RC_ASSERT(acks(0) - before == times);
	rig_settle(&rig);
	rig_close(&rig);
}

static void unheard(uint32_t times, uint32_t crowd)
{
	(void)crowd;
	near(times, 0, 0);
}

static void heard(uint32_t times, uint32_t crowd)
{
	(void)crowd;
	near(times, 1, 0);
}

static void batch(uint32_t times, uint32_t crowd)
{
	(void)crowd;
	near(times, 1, 64);
}

static void away(uint32_t times, uint32_t crowd)
{
	char channel[64];
	struct publishing p;

	(void)crowd;
	rig_open(&rig, ".", 2, 16, 16);
	rig_name(&rig, 1, "orders", channel);
	rig_subscribe(&rig, 1, rig_client(&rig, 1), channel);
	publishing_begin(&p, rig_publisher(&rig, 0), channel);
	uint64_t before = acks(0);
	for (uint32_t i = 0; i < times; i++) {
		publishing_one(&p, &rig, 0);
		counted_turn(&rig, 0);
		counted_turn(&rig, 1);
		counted_turn(&rig, 0);
	}
	RC_ASSERT(acks(0) - before == times);
	rig_settle(&rig);
	rig_close(&rig);
}

const struct path path_publish[] = {
	{"publish_unheard", "publish that nobody hears", {100, 300}, {0}, 1, unheard},
	{"publish", "publish, and its delivery to one", {100, 300}, {0}, 1, heard},
	{"publish_batch", "event of a batch of 64, delivered to one", {100, 300}, {0}, 64, batch},
	{"publish_away", "publish through another shard (3 turns)", {100, 300}, {0}, 1, away},
	{0},
};
