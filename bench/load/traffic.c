/* SPDX-License-Identifier: Apache-2.0
 *
 * Who comes and who goes: the pace of connecting, clients that churn, the storm.
 */
#include "local.h"

#define STORM_AT_ONCE 2048u /* of one turn: completions must be taken between */
#define PICKS         16

/* This worker's part of what the plan gives for all. */
static double share(const struct load_worker *w, double rate)
{
	return rate / w->shared->workers;
}

void load_traffic_queue(struct load_worker *w, struct load_client *c)
{
	c->state = LOAD_WAITING;
	/* One that is still in the list of ready ones comes over when its turn is there. */
	if (!(c->flags & LOAD_LISTED))
		load_list_put(w, &w->waiting, c);
}

static bool may_connect(const struct load_worker *w)
{
	double rate = w->plan->connect_rate;

	if (w->waiting.count == 0)
		return false;
	return rate > 0 ? (double)w->now_ns >= w->connect_due_ns
			: w->connecting < w->plan->connect_at_once;
}

static void let_in(struct load_worker *w)
{
	double every_ns = w->plan->connect_rate > 0 ? 1e9 / share(w, w->plan->connect_rate) : 0;

	/* After a pause the pace goes on from now: nothing is made up for. */
	if (w->connect_due_ns < (double)w->now_ns - 10 * every_ns)
		w->connect_due_ns = (double)w->now_ns;
	for (uint32_t i = 0; i < LOAD_BATCH && may_connect(w) && !w->failed; i++) {
		w->connect_due_ns += every_ns;
		load_client_connect(w, load_list_take(w, &w->waiting));
	}
}

static bool churns(const struct load_worker *w, const struct load_members *m)
{
	return m->group && m->group->churn_per_second > 0 && m->count > 0 && load_flows(w);
}

static void churn(struct load_worker *w, struct load_members *m)
{
	double every_ns = 1e9 / (m->group->churn_per_second * m->count / m->group->clients);

	if (m->due_ns < (double)w->now_ns - 1e9)
		m->due_ns = (double)w->now_ns + every_ns;
	while (m->due_ns <= (double)w->now_ns) {
		m->due_ns += every_ns;
		for (int i = 0; i < PICKS; i++) {
			uint32_t slot = m->first + rc_prng_below(&w->prng, m->count);

			if (w->client[slot].state == LOAD_OPEN) {
				load_client_leave(
					w, &w->client[slot], rc_prng_next(&w->prng) & 1u << 20, 0);
				break;
			}
		}
	}
}

static void storm(struct load_worker *w, struct load_members *m, uint32_t group)
{
	uint64_t asked = load_get(&w->shared->storm) >> group & 1;
	uint64_t away_ns = (uint64_t)(m->group ? m->group->storm_away_seconds * 1e9 : 0);

	if (asked && !m->stormed) {
		m->stormed = true;
		m->storm_left = m->count;
	}
	for (uint32_t i = 0; i < STORM_AT_ONCE && m->storm_left > 0; i++) {
		struct load_client *c = &w->client[m->first + --m->storm_left];

		if (c->state == LOAD_OPEN)
			load_client_leave(w, c, false, away_ns);
	}
}

void load_traffic_turn(struct load_worker *w)
{
	for (uint32_t g = 0; g < w->plan->groups; g++) {
		struct load_members *m = &w->members[g];

		if (churns(w, m))
			churn(w, m);
		storm(w, m, g);
		if (m->group->handshakes)
			load_shake_turn(w, m);
		if (m->group->echo && m->count > 0)
			load_echo_turn(w, m);
		if (m->group->command && m->count > 0)
			load_command_turn(w, m);
	}
	let_in(w);
}

uint64_t load_traffic_next(const struct load_worker *w)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t g = 0; g < w->plan->groups; g++) {
		const struct load_members *m = &w->members[g];

		if (m->storm_left > 0)
			return w->now_ns;
		if (churns(w, m) ||
			(load_group_asks(m->group) && m->group->rate > 0 && load_flows(w)))
			next = RC_MIN(next, (uint64_t)m->due_ns);
	}
	if (may_connect(w))
		return w->now_ns;
	if (w->waiting.count > 0 && w->plan->connect_rate > 0)
		next = RC_MIN(next, (uint64_t)w->connect_due_ns);
	return next;
}
