/* SPDX-License-Identifier: Apache-2.0
 *
 * Users with three connections each on one shard, without sockets: what a message to one of them costs.
 */
#include "rig/crowd.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "serve/users.h"

#define ARENA ((uint64_t)64 << 20)
#define FRAME 16384u

struct crowd {
	struct rc_config config;
	struct rc_hub hub;
	struct rc_buddy arena;
	struct rc_pool pool;
	struct rc_conns conns;
	struct rc_serve sv;
	struct rc_counters_shard *counters;
	struct rc_prng prng;
	uint32_t users;
	void *memory, *state, *table, *homes;
	char target[17];
};

static void *fresh(size_t bytes)
{
	void *at = aligned_alloc(RC_FALSE_SHARING, rc_align_up(bytes, RC_FALSE_SHARING));

	RC_ASSERT(at);
	memset(at, 0, rc_align_up(bytes, RC_FALSE_SHARING));
	return at;
}

static void nothing(void *ctx, struct rc_conn *c)
{
	(void)ctx;
	(void)c;
}

static uint32_t name_of(uint32_t user, char out[16])
{
	return (uint32_t)snprintf(out, 16, "user-%u", user);
}

static void join(struct crowd *k, uint32_t user)
{
	struct rc_conn *c = rc_conn_open(&k->conns, -1, RC_CONN_WS);
	char name[16];
	uint32_t len = name_of(user, name);

	RC_ASSERT(c);
	struct rc_session *s = rc_session_need(&k->sv, c);
	s->claims = rc_pool_get(&k->pool, sizeof(*s->claims) + len);
	RC_ASSERT(s->claims);
	memset(s->claims, 0, sizeof(*s->claims));
	s->claims->size = (uint32_t)sizeof(*s->claims) + len;
	s->claims->user_len = (uint16_t)len;
	memcpy(s->claims->bytes, name, len);
	rc_session_join(&k->sv, c);
}

struct crowd *crowd_open(uint32_t users)
{
	const struct rc_conn_events events = {NULL, nothing, nothing, nothing};
	uint32_t conns = users * CROWD_CONNECTIONS;
	struct crowd *k = fresh(sizeof(*k));

	k->users = users;
	k->memory = aligned_alloc(2u << 20, ARENA);
	k->state = fresh(rc_buddy_state_bytes(ARENA));
	k->table = fresh(rc_conns_bytes(conns));
	k->homes = fresh(rc_users_bytes(conns, conns, FRAME));
	k->counters = fresh(sizeof(*k->counters));
	RC_ASSERT(k->memory);
	rc_config_init(&k->config);
	rc_buddy_init(&k->arena, k->memory, ARENA, k->state);
	rc_pool_init(&k->pool, &k->arena);
	rc_conns_init(&k->conns, k->table, conns, NULL, &k->pool, k->counters, &events, 0, 1000);
	k->hub.limits = (struct rc_hub_limits){.shards = 1, .frame_max = FRAME};
	k->hub.key = (struct rc_hash_key){1, 2};
	k->sv.config = &k->config;
	k->sv.hub = &k->hub;
	k->sv.conns = &k->conns;
	k->sv.pool = &k->pool;
	k->sv.counters = k->counters;
	rc_users_init(&k->sv, k->homes, conns, conns);
	rc_prng_seed(&k->prng, 1);
	/* Their connections lie apart, as those of people do. */
	for (uint32_t i = 0; i < CROWD_CONNECTIONS; i++) {
		for (uint32_t user = 0; user < k->users; user++)
			join(k, user);
	}
	return k;
}

void crowd_send(struct crowd *k)
{
	struct rc_user_message m = {
		.targets = {k->target, 1u + (unsigned char)k->target[0]},
		.event = RC_STR("note"),
		.data = RC_STR("{\"n\":1,\"text\":\"something to read\"}"),
		.timestamp_ms = 1768472100000,
		.json = true,
	};
	uint64_t connections;
	uint32_t parts;
	enum rc_route how = rc_users_send(&k->sv, &m, &connections, &parts);

	RC_ASSERT(how == RC_ROUTE_DONE && connections == CROWD_CONNECTIONS);
}

void crowd_pick(struct crowd *k)
{
	k->target[0] = (char)name_of(rc_prng_below(&k->prng, k->users), k->target + 1);
}

void crowd_flush(struct crowd *k)
{
	struct rc_conn *c;

	while ((c = rc_conn_next_ready(&k->conns)) != NULL)
		rc_conn_sent_out(&k->conns, c, c->out_len);
}

void crowd_close(struct crowd *k)
{
	free(k->memory);
	free(k->state);
	free(k->table);
	free(k->homes);
	free(k->counters);
	free(k);
}
