/* SPDX-License-Identifier: Apache-2.0
 *
 * From a channel's name to the channel, among 10 and among 100,000, in random order: the keyed hash, the table, and the
 * comparison of the name. "miss" asks for names that nobody subscribed to.
 */
#include <stdio.h>
#include <stdlib.h>

#include "rig/rig.h"
#include "shim.h"

#define ROUND     64u
#define NAME_SIZE 24u

struct state {
	struct rig rig;
	struct rc_prng prng;
	uint32_t count;
	char (*name)[NAME_SIZE];
	char (*other)[NAME_SIZE];
};

static void *state_open(uint64_t count)
{
	struct state *s = micro_alloc(sizeof(*s));
	uint32_t sub;

	s->count = (uint32_t)count;
	s->name = micro_alloc(count * NAME_SIZE);
	s->other = micro_alloc(count * NAME_SIZE);
	rc_prng_seed(&s->prng, 1);
	rig_open(&s->rig, NULL, 1, 16, s->count + 16);
	struct rc_shard *shard = &s->rig.gateway.shards[0];
	struct rc_conn *c = rc_conn_open(&shard->conns, KERNEL_FD_FIRST - 2, RC_CONN_WS);
	RC_ASSERT(c);
	for (uint32_t i = 0; i < s->count; i++) {
		(void)snprintf(s->name[i], NAME_SIZE, "user:%u", 1000000 + i);
		(void)snprintf(s->other[i], NAME_SIZE, "user:%u", 5000000 + i);
		if (rc_replica_subscribe(&shard->hub, rc_conn_slot(&shard->conns, c), &c->subs,
			    rc_str_of(s->name[i]), false, 0, &sub) != RC_SUBSCRIBED)
			RC_FAIL("no room for one more channel");
	}
	return s;
}

static void state_close(void *state)
{
	struct state *s = state;

	rig_close(&s->rig);
	free(s->name);
	free(s->other);
	free(s);
}

/* Without a list of its own nothing is found for the connection, but the channel is looked up. */
static void look_up(struct state *s, char (*name)[NAME_SIZE])
{
	struct rc_hub *h = &s->rig.gateway.shards[0].hub;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ROUND; i++) {
		const char *one = name[rc_prng_below(&s->prng, s->count)];

		sum += rc_replica_find_sub(h, 0, RC_NONE, (struct rc_str){one, 12});
	}
	micro_keep(sum);
}

static void hit(void *state)
{
	struct state *s = state;

	look_up(s, s->name);
}

static void miss(void *state)
{
	struct state *s = state;

	look_up(s, s->other);
}

const struct micro_case micro_channels[] = {
	{"channels/hit/10", 10, ROUND, 0, state_open, hit, state_close},
	{"channels/miss/10", 10, ROUND, 0, state_open, miss, state_close},
	{"channels/hit/100k", 100000, ROUND, 0, state_open, hit, state_close},
	{"channels/miss/100k", 100000, ROUND, 0, state_open, miss, state_close},
	{0},
};
