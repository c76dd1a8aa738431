/* SPDX-License-Identifier: Apache-2.0
 *
 * What one delivery costs in user space: an event of a channel is published at its own shard, and turns are taken until every
 * subscriber was sent it and each completion was seen. The kernel is the one of rig/, whose sends cost nothing; the event's
 * own work is shared by all subscribers. "/64" publishes 64 events before the turns, which go out in one send each:
 * divide by 64 for the cost of a delivery.
 */
#include <stdlib.h>

#include "rig/rig.h"
#include "shim.h"

#define CHANNEL "orders:eu"

struct state {
	struct rig rig;
	char data[130];
};

static void *state_open(uint64_t count)
{
	struct state *s = micro_alloc(sizeof(*s));

	memset(s->data, 'x', sizeof(s->data));
	s->data[0] = s->data[sizeof(s->data) - 1] = '"';
	rig_open(&s->rig, NULL, 1, (uint32_t)count, 16);
	rig_crowd(&s->rig, CHANNEL, (uint32_t)count);
	return s;
}

static void state_close(void *state)
{
	struct state *s = state;

	rig_close(&s->rig);
	free(s);
}

static void publish(struct state *s, uint32_t count)
{
	struct rc_shard *shard = &s->rig.gateway.shards[0];
	struct rc_publish p = {
		.channel = RC_STR(CHANNEL),
		.event = RC_STR("order:created"),
		.data = {s->data, sizeof(s->data)},
		.timestamp_ms = 1768472100000,
		.taken_ns = shard->now_ns,
		.json = true,
	};
	struct rc_outcome out;

	for (uint32_t i = 0; i < count; i++)
		RC_ASSERT(rc_owner_publish(&shard->hub, &p, &out) && out.nack == 0);
	do {
		rig_turn(&s->rig, 0);
	} while (rc_flush_pending(shard) || shard->conns.sending);
}

static void flush(void *state)
{
	publish(state, 1);
}

static void flush_64(void *state)
{
	publish(state, 64);
}

const struct micro_case micro_flush[] = {
	{"flush/1k", 1000, 1000, 0, state_open, flush, state_close},
	{"flush/1k/64", 1000, 1000, 0, state_open, flush_64, state_close},
	{"flush/100k", 100000, 100000, 0, state_open, flush, state_close},
	{"flush/500k", 500000, 500000, 0, state_open, flush, state_close},
	{0},
};
