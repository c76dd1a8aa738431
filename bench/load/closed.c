/* SPDX-License-Identifier: Apache-2.0 */
#include "closed.h"

#include <errno.h>
#include <stdlib.h>

/* Subscribers change while clients come and go: not often enough to go over all channels every turn, and each publisher does. */
#define COUNT_EVERY_NS 500000000ull
#define COUNT_ONE_NS   10u

int load_closed_open(struct load_closed *c, const struct load_plan *plan,
	struct load_shared *shared, uint32_t group, uint32_t number, bool acks)
{
	const struct load_group *own = &plan->group[group];
	uint32_t publishers = RC_MAX(own->publishers, 1u);

	*c = (struct load_closed){
		.plan = plan,
		.shared = shared,
		.group = group,
		.acks = acks,
		.each = own->in_flight >= publishers,
		.share = own->in_flight / publishers + (number < own->in_flight % publishers),
	};
	for (uint32_t g = 0; g < plan->groups; g++) {
		const struct load_group *other = &plan->group[g];

		if (other->first_channel < own->first_channel + own->channels &&
			own->first_channel < other->first_channel + other->channels) {
			c->related |= 1u << g;
			c->each &= other->churn_per_second <= 0 && other->storm_after_seconds <= 0;
		}
	}
	if (c->each)
		c->event = calloc(c->share, sizeof(*c->event));
	return c->each && !c->event ? -ENOMEM : 0;
}

void load_closed_close(struct load_closed *c)
{
	free(c->event);
	c->event = NULL;
}

static void count_subscribers(struct load_closed *c, uint64_t now_ns)
{
	const struct load_group *own = &c->plan->group[c->group];

	c->subscribers = 0;
	for (uint32_t i = 0; i < own->channels; i++)
		c->subscribers += atomic_load_explicit(
			&c->shared->subscribers[own->first_channel + i], memory_order_relaxed);
	c->counted_ns = now_ns;
	c->by_acks = own->acks_only || c->subscribers == 0;
}

/* What is lost, and known to be, is no longer on its way. */
static uint64_t settled(const struct load_group_stats *s)
{
	return load_get(&s->deliveries) + load_get(&s->lost) + load_get(&s->told) +
	       load_get(&s->missed_away);
}

static void look_at_acks(struct load_closed *c)
{
	uint64_t published = 0, decided = 0;

	c->outstanding = 0;
	if (!c->acks)
		return;
	for (uint32_t w = 0; w < c->shared->workers; w++) {
		const struct load_group_stats *s = &c->shared->worker[w].group[c->group];

		/* Decided first: an event that leaves meanwhile must not be missing. */
		decided += load_get(&s->acked) + load_get(&s->refused);
		published += load_get(&s->published);
	}
	c->outstanding = (int64_t)(published - decided);
}

static uint64_t slot_sum(const struct load_closed *c, uint32_t slot, bool due)
{
	uint64_t sum = 0;

	for (uint32_t w = 0; w < c->shared->workers; w++) {
		const struct load_worker_stats *s = &c->shared->worker[w];

		sum += load_get(due ? &s->slot_due[slot] : &s->slot_arrived[slot]);
	}
	return sum;
}

static void look_at_each(struct load_closed *c)
{
	while (c->count > 0 &&
		slot_sum(c, c->event[c->first].slot, false) >= c->event[c->first].due) {
		c->first = (c->first + 1) % c->share;
		c->count--;
	}
}

/* A client that went has taken with it what it was due. */
static bool unsteady(const struct load_group_stats *s)
{
	return (load_get(&s->lost) | load_get(&s->told) | load_get(&s->closed) |
		       load_get(&s->dropped) | load_get(&s->missed_away)) != 0;
}

static void look_at_deliveries(struct load_closed *c, uint64_t now_ns)
{
	uint64_t expected = 0, arrived = 0;

	for (uint32_t w = 0; w < c->shared->workers; w++) {
		for (uint32_t g = 0; g < c->plan->groups; g++) {
			const struct load_group_stats *s = &c->shared->worker[w].group[g];

			if (!(c->related & 1u << g))
				continue;
			/* Subscribers that may lose are not expected to get anything. */
			if (!c->plan->group[g].may_lose) {
				arrived += settled(s);
				c->each &= !unsteady(s);
			}
			expected += load_get(&s->expected);
		}
	}
	c->outstanding = (int64_t)(expected - arrived);
	if (arrived != c->arrived || c->arrived_ns == 0 || expected == arrived) {
		c->arrived = arrived;
		c->arrived_ns = now_ns;
	} else if (now_ns - c->arrived_ns >= LOAD_CLOSED_STUCK_NS) {
		c->outstanding = c->limit;
		c->arrived_ns = now_ns;
		c->each = false;
	}
	if (c->each)
		look_at_each(c);
}

void load_closed_look(struct load_closed *c, uint64_t now_ns)
{
	const struct load_group *own = &c->plan->group[c->group];
	uint64_t others = own->in_flight > 0 ? own->in_flight - 1u : 0;
	uint64_t every = COUNT_EVERY_NS + (uint64_t)own->channels * own->publishers * COUNT_ONE_NS;

	if (c->counted_ns == 0 || now_ns - c->counted_ns >= every)
		count_subscribers(c, now_ns);
	if (c->by_acks) {
		c->limit = (int64_t)others;
		look_at_acks(c);
	} else {
		c->limit = (int64_t)(others * c->subscribers / own->channels);
		look_at_deliveries(c, now_ns);
	}
}

void load_closed_sent(struct load_closed *c, struct load_worker_stats *own, uint32_t channel,
	uint64_t sequence, uint64_t subscribers)
{
	uint32_t slot = load_event_slot(channel, sequence);

	if (c->by_acks) {
		c->outstanding += c->acks;
		return;
	}
	c->outstanding += (int64_t)subscribers;
	load_add(&own->slot_due[slot], subscribers);
	if (!c->each)
		return;
	RC_ASSERT(c->count < c->share);
	c->event[(c->first + c->count) % c->share] =
		(struct load_in_flight){slot, slot_sum(c, slot, true)};
	c->count++;
}
