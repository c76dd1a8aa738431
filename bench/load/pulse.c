/* SPDX-License-Identifier: Apache-2.0
 *
 * What the conductor does all the time: look after workers, server and signals, sample once a second, and show it.
 */
#include <time.h>

#include "base/clock.h"
#include "conductor.h"

#define SECOND UINT64_C(1000000000)
/* Rates of a shorter stretch are noise. */
#define SHORT_SECONDS 0.05
#define MOMENT_NS     200000000

static void show(struct load_conductor *c, const struct load_glance *g, bool at_once)
{
	static const char *const names[] = {"connect", "warm", "measure", "drain", "end"};
	const struct load_sample *s =
		c->r->samples ? &c->r->timeline[c->r->samples - 1] : &(struct load_sample){0};
	struct load_live_line line = {.phase = names[c->phase],
		.seconds = (double)(rc_clock_mono_ns() - c->phase_ns) / 1e9,
		.clients = g->open,
		.wanted = g->wanted,
		.deliveries_per_second = s->seconds > 0 ? (double)s->deliveries / s->seconds : 0,
		.p50 = s->latency.p50,
		.p99 = s->latency.p99,
		.server_cpu = c->r->samples ? s->server_cpu : -1,
		.server_rss = s->server_rss};

	load_live_show(&c->live, &line, at_once);
}

static void note_death(struct load_conductor *c)
{
	if (c->server_gone)
		return;
	c->server_gone = true;
	load_worsen(c->r, LOAD_FAULTY);
	load_note(c->r, "The server's process %d ended during the run; its log may say why.",
		(int)c->seen.gone);
}

void load_pulse_sample(struct load_conductor *c)
{
	bool quiet = c->phase != LOAD_MEASURE || !c->publishes;
	struct load_totals *spare = c->last;
	double cpu = -1, seconds;

	load_totals_take(c->next, c->plan, c->shared);
	load_watch_look(&c->watch, quiet, &c->seen);
	c->now = c->next;
	c->r->server_rss_max = RC_MAX(c->r->server_rss_max, c->seen.rss);
	if (c->seen.gone)
		note_death(c);
	seconds = (double)(c->now->at_ns - c->last->at_ns) / 1e9;
	if (seconds < SHORT_SECONDS)
		return;
	if (c->seen.known)
		cpu = (double)(c->seen.cpu_ns - c->last_seen.cpu_ns) / 1e9 / seconds;
	load_timeline_add(c->r, c->last, c->now, c->begin_ns, cpu, c->seen.rss);
	c->last_seen = c->seen;
	c->last = c->now;
	c->next = spare;
}

/* When everybody who dropped in the storm is back. */
static void look_at_storm(struct load_conductor *c, const struct load_glance *g)
{
	if (c->storm_ns && c->r->storm_seconds < 0 && g->storm_dropped > 0 &&
		g->storm_returned >= g->storm_dropped && g->storm_open >= g->storm_wanted) {
		c->r->storm_seconds = (double)(rc_clock_mono_ns() - c->storm_ns) / 1e9;
		atomic_store_explicit(&c->shared->calm, 1, memory_order_relaxed);
	}
}

int load_pulse_tick(
	struct load_conductor *c, uint64_t pause_ns, struct load_glance *g, struct rc_error *err)
{
	const struct timespec pause = {.tv_nsec = (long)pause_ns}, moment = {.tv_nsec = MOMENT_NS};
	int rc;

	nanosleep(&pause, NULL);
	load_glance_take(g, c->plan, c->shared);
	rc = load_crew_look(&c->crew, err);
	if (rc < 0)
		return rc;
	if (*c->signals) {
		load_worsen(c->r, LOAD_INTERRUPTED);
		load_note(c->r, "Interrupted: this is what was measured until then.");
		return 1;
	}
	look_at_storm(c, g);
	if (rc_clock_mono_ns() - c->last->at_ns >= SECOND) {
		load_pulse_sample(c);
		show(c, g, true);
	} else {
		show(c, g, false);
	}
	if (!c->server_gone)
		return 0;
	/* Clients are closed one after the other; each that is shall be counted. */
	nanosleep(&moment, NULL);
	return 1;
}
