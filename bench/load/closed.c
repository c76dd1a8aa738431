/* SPDX-License-Identifier: Apache-2.0 */
#include "closed.h"

/* Subscribers change while clients come and go: not often enough to go over all channels every turn, and each publisher does. */
#define COUNT_EVERY_NS 500000000ull
#define COUNT_ONE_NS   10u

void load_closed_open(struct load_closed *c, const struct load_plan *plan,
	struct load_shared *shared, uint32_t group, bool acks)
{
	const struct load_group *own = &plan->group[group];

	*c = (struct load_closed){
		.plan = plan,
		.shared = shared,
		.group = group,
		.acks = acks,
	};
	for (uint32_t g = 0; g < plan->groups; g++) {
		const struct load_group *other = &plan->group[g];

		if (other->first_channel < own->first_channel + own->channels &&
			own->first_channel < other->first_channel + other->channels)
			c->related |= 1u << g;
	}
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

static void look_at_deliveries(struct load_closed *c, uint64_t now_ns)
{
	uint64_t expected = 0, arrived = 0;

	for (uint32_t w = 0; w < c->shared->workers; w++) {
		for (uint32_t g = 0; g < c->plan->groups; g++) {
			const struct load_group_stats *s = &c->shared->worker[w].group[g];

			if (!(c->related & 1u << g))
				continue;
			/* Subscribers that may lose are not expected to get anything. */
			if (!c->plan->group[g].may_lose)
				arrived += settled(s);
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
	}
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
