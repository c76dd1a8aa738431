/* SPDX-License-Identifier: Apache-2.0
 *
 * The phases, one function each.
 */
#include <errno.h>

#include "base/clock.h"
#include "conductor.h"

#define MILLI UINT64_C(1000000)
/* What comes twice comes soon. */
#define SETTLE_NS (100 * MILLI)
/* Where clients come and go, nobody can say how many deliveries there are still to be. */
#define INEXACT_DRAIN_SECONDS 1.0

void load_phase_set(struct load_conductor *c, enum load_phase phase)
{
	uint64_t now = rc_clock_mono_ns();

	c->phase = phase;
	c->phase_ns = now;
	atomic_store_explicit(&c->shared->start_ns, now, memory_order_relaxed);
	/* Pairs with the workers' acquire: who sees the phase sees when it began. */
	atomic_store_explicit(&c->shared->phase, phase, memory_order_release);
}

static int not_all_connected(
	const struct load_conductor *c, const struct load_glance *g, struct rc_error *err)
{
	const char *name = c->plan->target->name;

	if (g->opened == 0 && g->failed == 0)
		rc_error_set(err,
			"no connection to %s in %g s: does the server run, and at that address (--url, "
			"--publish-url)?",
			name, c->plan->connect_timeout);
	else
		rc_error_set(err,
			"%llu of %llu connections are open, %llu attempts failed, and nothing has moved for "
			"%g s: look at the server's limits (clients, descriptors) and its log, or ask for "
			"fewer --clients",
			(unsigned long long)g->open, (unsigned long long)g->wanted,
			(unsigned long long)g->failed, c->plan->connect_timeout);
	return -ETIMEDOUT;
}

int load_phase_connect(struct load_conductor *c, struct rc_error *err)
{
	uint64_t patience = (uint64_t)((c->plan->connect_timeout + 2) * 1e9);
	uint64_t moved_ns = rc_clock_mono_ns(), before = UINT64_MAX;
	struct load_glance g;
	bool half = false;
	int rc;

	do {
		uint64_t now = rc_clock_mono_ns();

		rc = load_pulse_tick(c, 2 * MILLI, &g, err);
		/* A failed attempt is no progress: it will be tried again and again. */
		if (g.opened != before)
			moved_ns = now;
		before = g.opened;
		/* Memory by the number of clients wants a point between none and all. */
		if (!half && g.wanted >= c->wanted && g.open >= g.wanted / 2) {
			half = true;
			load_pulse_sample(c);
		}
		if (rc == 0 && now - moved_ns > patience)
			rc = not_all_connected(c, &g, err);
	} while (rc == 0 && (g.wanted < c->wanted || g.open < g.wanted));
	c->r->connect_seconds = (double)(rc_clock_mono_ns() - c->begin_ns) / 1e9;
	load_pulse_sample(c);
	c->r->server_rss_connected = c->seen.rss;
	return rc;
}

/* Deliveries that were to be and are neither here nor accounted for. */
static uint64_t outstanding(const struct load_glance *g)
{
	uint64_t here = g->deliveries + g->told + g->missed_away;

	/* Workers are read one after the other: the difference may be below 0 for a moment. */
	return (int64_t)(g->expected - here) > 0 ? g->expected - here : 0;
}

/* A sum that changes whenever something arrives. */
static uint64_t progress(const struct load_glance *g)
{
	return g->deliveries + g->acked + g->refused + g->told + g->missed_away + g->returned;
}

/* A closed loop in which nothing comes back will not go on by itself. */
static bool stalled(struct load_conductor *c, const struct load_glance *g)
{
	uint64_t now = rc_clock_mono_ns();

	if (progress(g) != c->moved || !c->closed_loop || g->published == 0) {
		c->moved = progress(g);
		c->moved_ns = now;
	}
	if ((double)(now - c->moved_ns) < c->plan->drain * 1e9)
		return false;
	load_worsen(c->r, LOAD_FAULTY);
	load_note(c->r,
		"%s for %g s with events in flight, so the run was stopped: the server lost them, or stands "
		"still.",
		g->expected == 0 && g->acked < g->to_ack ? "Nothing was acknowledged"
							 : "Nothing came back",
		c->plan->drain);
	return true;
}

static void begin_storms(struct load_conductor *c)
{
	double seconds = (double)(rc_clock_mono_ns() - c->phase_ns) / 1e9;
	uint64_t due = 0;

	for (uint32_t i = 0; i < c->plan->groups; i++) {
		double after = c->plan->group[i].storm_after_seconds;

		if (after > 0 && after <= seconds)
			due |= UINT64_C(1) << i;
	}
	if (due == c->storms)
		return;
	c->storms = due;
	if (c->storm_ns == 0)
		c->storm_ns = rc_clock_mono_ns();
	atomic_store_explicit(&c->shared->storm, due, memory_order_release);
}

int load_phase_flow(
	struct load_conductor *c, enum load_phase phase, double seconds, struct rc_error *err)
{
	struct load_glance g;
	uint64_t end;
	int rc = 0;

	load_phase_set(c, phase);
	c->moved_ns = c->phase_ns;
	end = c->phase_ns + (uint64_t)(seconds * 1e9);
	while (rc == 0) {
		uint64_t now = rc_clock_mono_ns();

		if (now >= end)
			return 0;
		rc = load_pulse_tick(c, RC_MIN(10 * MILLI, end - now), &g, err);
		if (phase == LOAD_MEASURE)
			begin_storms(c);
		if (rc == 0 && stalled(c, &g))
			rc = 1;
	}
	return rc;
}

int load_phase_measure(struct load_conductor *c, struct rc_error *err)
{
	int rc;

	load_pulse_sample(c);
	c->start_seen = c->seen;
	*c->start = *c->now;
	c->window_ns = c->now->at_ns;
	rc = load_phase_flow(c, LOAD_MEASURE, c->plan->seconds, err);
	load_pulse_sample(c);
	c->end_seen = c->seen;
	*c->end = *c->now;
	c->r->window = (double)(c->end->at_ns - c->start->at_ns) / 1e9;
	return rc;
}

int load_phase_drain(struct load_conductor *c, struct rc_error *err)
{
	double patience =
		c->inexact ? RC_MIN(c->plan->drain, INEXACT_DRAIN_SECONDS) : c->plan->drain;
	uint64_t moved_ns, before = UINT64_MAX;
	struct load_glance g;
	int rc = 0;

	load_phase_set(c, LOAD_DRAIN);
	moved_ns = c->phase_ns;
	while (rc == 0) {
		uint64_t now = rc_clock_mono_ns(), still = now - moved_ns;
		bool storm = c->storm_ns && c->r->storm_seconds < 0;

		rc = load_pulse_tick(c, 5 * MILLI, &g, err);
		if (progress(&g) != before)
			moved_ns = now;
		before = progress(&g);
		/* What an open loop owes it sends for so long: publisher.c keeps to the same time. */
		if (g.overdue > 0 && (double)(now - c->phase_ns) < c->plan->drain * 1e9)
			continue;
		if (still > SETTLE_NS && !storm && outstanding(&g) == 0 &&
			(!c->acks || g.acked + g.refused >= g.to_ack))
			break;
		if ((double)still > (storm ? c->plan->drain : patience) * 1e9)
			break;
	}
	return rc;
}
