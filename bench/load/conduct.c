/* SPDX-License-Identifier: Apache-2.0
 *
 * The phases, one function each. While a phase lasts, tick() is called over and over: it looks after workers, server and
 * signals, and samples once a second.
 */
#include "conduct.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "crew.h"
#include "finish.h"

#define SECOND UINT64_C(1000000000)
#define MILLI  UINT64_C(1000000)
/* What comes twice comes soon. */
#define SETTLE_NS     (100 * MILLI)
#define SHORT_SECONDS 0.05
/* Where clients come and go, nobody can say how many deliveries there are still to be. */
#define INEXACT_DRAIN_SECONDS 1.0

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	(void)number;
	if (signals++)
		_exit(130); /* the children go with us */
}

static void set_phase(struct load_conductor *c, enum load_phase phase)
{
	uint64_t now = rc_clock_mono_ns();

	c->phase = phase;
	c->phase_ns = now;
	atomic_store_explicit(&c->shared->start_ns, now, memory_order_relaxed);
	/* Pairs with the workers' acquire: who sees the phase sees when it began. */
	atomic_store_explicit(&c->shared->phase, phase, memory_order_release);
}

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

/*
 * Totals and server as they are now, and one more point of the timeline, unless it would be so short that its rates were
 * noise: then the next one begins where it would have begun. Memory is exact where nothing is measured that the look could disturb.
 */
static void sample(struct load_conductor *c)
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
		g->storm_returned >= g->storm_dropped && g->storm_open >= g->storm_wanted)
		c->r->storm_seconds = (double)(rc_clock_mono_ns() - c->storm_ns) / 1e9;
}

/* 0 to go on, 1 to stop because of a signal or the server, -errno. *g is filled in any case. */
static int tick(
	struct load_conductor *c, uint64_t pause_ns, struct load_glance *g, struct rc_error *err)
{
	const struct timespec pause = {.tv_nsec = (long)pause_ns};
	int rc;

	nanosleep(&pause, NULL);
	load_glance_take(g, c->plan, c->shared);
	rc = load_crew_look(&c->crew, err);
	if (rc < 0)
		return rc;
	if (signals) {
		load_worsen(c->r, LOAD_INTERRUPTED);
		load_note(c->r, "Interrupted: this is what was measured until then.");
		return 1;
	}
	look_at_storm(c, g);
	if (rc_clock_mono_ns() - c->last->at_ns >= SECOND) {
		sample(c);
		show(c, g, true);
	} else {
		show(c, g, false);
	}
	return c->server_gone;
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

static int connect_all(struct load_conductor *c, struct rc_error *err)
{
	uint64_t patience = (uint64_t)((c->plan->connect_timeout + 2) * 1e9);
	uint64_t moved_ns = rc_clock_mono_ns(), before = UINT64_MAX;
	struct load_glance g;
	bool half = false;
	int rc;

	do {
		uint64_t now = rc_clock_mono_ns();

		rc = tick(c, 2 * MILLI, &g, err);
		/* A failed attempt is no progress: it will be tried again and again. */
		if (g.opened != before)
			moved_ns = now;
		before = g.opened;
		/* Memory by the number of clients wants a point between none and all. */
		if (!half && g.wanted >= c->wanted && g.open >= g.wanted / 2) {
			half = true;
			sample(c);
		}
		if (rc == 0 && now - moved_ns > patience)
			rc = not_all_connected(c, &g, err);
	} while (rc == 0 && (g.wanted < c->wanted || g.open < g.wanted));
	c->r->connect_seconds = (double)(rc_clock_mono_ns() - c->begin_ns) / 1e9;
	sample(c);
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

/* WARM or MEASURE for so long. 1: it ended before its time. */
static int flow(
	struct load_conductor *c, enum load_phase phase, double seconds, struct rc_error *err)
{
	struct load_glance g;
	uint64_t end;
	int rc = 0;

	set_phase(c, phase);
	c->moved_ns = c->phase_ns;
	end = c->phase_ns + (uint64_t)(seconds * 1e9);
	while (rc == 0) {
		uint64_t now = rc_clock_mono_ns();

		if (now >= end)
			return 0;
		rc = tick(c, RC_MIN(10 * MILLI, end - now), &g, err);
		if (phase == LOAD_MEASURE)
			begin_storms(c);
		if (rc == 0 && stalled(c, &g))
			rc = 1;
	}
	return rc;
}

static int measure(struct load_conductor *c, struct rc_error *err)
{
	int rc;

	sample(c);
	c->start_seen = c->seen;
	*c->start = *c->now;
	c->window_ns = c->now->at_ns;
	rc = flow(c, LOAD_MEASURE, c->plan->seconds, err);
	sample(c);
	c->end_seen = c->seen;
	*c->end = *c->now;
	c->r->window = (double)(c->end->at_ns - c->start->at_ns) / 1e9;
	return rc;
}

static int drain(struct load_conductor *c, struct rc_error *err)
{
	double patience =
		c->inexact ? RC_MIN(c->plan->drain, INEXACT_DRAIN_SECONDS) : c->plan->drain;
	uint64_t moved_ns, before = UINT64_MAX;
	struct load_glance g;
	int rc = 0;

	set_phase(c, LOAD_DRAIN);
	moved_ns = c->phase_ns;
	while (rc == 0) {
		uint64_t now = rc_clock_mono_ns(), still = now - moved_ns;
		bool storm = c->storm_ns && c->r->storm_seconds < 0;

		rc = tick(c, 5 * MILLI, &g, err);
		if (progress(&g) != before)
			moved_ns = now;
		before = progress(&g);
		if (still > SETTLE_NS && !storm && outstanding(&g) == 0 &&
			(!c->acks || g.acked + g.refused >= g.to_ack))
			break;
		if ((double)still > (storm ? c->plan->drain : patience) * 1e9)
			break;
	}
	return rc;
}

static int run(struct load_conductor *c, struct rc_error *err)
{
	int rc = connect_all(c, err);

	if (rc == 0 && c->plan->warm > 0)
		rc = flow(c, LOAD_WARM, c->plan->warm, err);
	if (rc == 0)
		rc = measure(c, err);
	/* After a signal nothing is waited for, and after a stall it was. */
	return rc == 0 ? drain(c, err) : rc;
}

static void look_at_plan(struct load_conductor *c)
{
	const struct load_target *t = c->plan->target;

	for (uint32_t i = 0; i < c->plan->groups; i++) {
		const struct load_group *g = &c->plan->group[i];
		bool sends = g->publishers > 0 || (g->echo && g->clients > 0);

		c->wanted += g->clients + g->publishers;
		c->publishes |= sends;
		c->closed_loop |= sends && g->in_flight > 0;
		c->acks |= g->publishers > 0 &&
			   (t->publisher.url.scheme == LOAD_INGEST || t->publisher.ack[0]);
		c->inexact |= g->churn_per_second > 0 || g->storm_after_seconds > 0 || g->may_lose;
	}
}

static int begin(struct load_conductor *c, struct rc_error *err)
{
	struct load_result *r = c->r;
	struct sigaction action = {.sa_handler = on_signal};
	uint32_t workers = c->plan->threads * c->plan->processes;
	int rc;

	*r = (struct load_result){.plan = c->plan,
		.storm_seconds = -1,
		.threads = c->plan->threads,
		.processes = c->plan->processes};
	c->start = calloc(4, sizeof(*c->start));
	if (!c->start) {
		rc_error_set(err, "no memory for the figures");
		return -ENOMEM;
	}
	c->end = c->start + 1;
	c->last = c->start + 2;
	c->next = c->start + 3;
	look_at_plan(c);
	rc = load_watch_open(&c->watch, c->plan, err);
	if (rc < 0)
		return rc;
	c->shared = load_shared_open(workers, RC_MAX(c->plan->channels, 1u), err);
	if (!c->shared)
		return -ENOMEM;
	load_watch_look(&c->watch, true, &c->seen);
	c->last_seen = c->seen;
	r->server_rss_start = c->seen.rss;
	load_finish_host(r);
	load_live_open(&c->live, stderr, c->plan->quiet);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	rc = load_crew_start(&c->crew, c->plan, c->shared, err);
	c->phase_ns = c->begin_ns = c->last->at_ns = rc_clock_mono_ns();
	return rc;
}

/* What the server, or the kernel, said to the last attempt that failed. */
static void add_reason(struct load_conductor *c, struct rc_error *err)
{
	char reason[LOAD_REASON_SIZE];
	size_t at = strlen(err->text);

	if (load_finish_reason(c, reason))
		snprintf(err->text + at, sizeof(err->text) - at, " (the last attempt: %s)", reason);
}

/* A worker gave up: its connections may have ended because the server has, which takes a moment to be seen. */
static void look_for_death(struct load_conductor *c, struct rc_error *err)
{
	const struct timespec pause = {.tv_nsec = 10 * (long)MILLI};
	char first[200];

	for (uint32_t i = 0; i < 20 && c->seen.known && !c->seen.gone; i++) {
		nanosleep(&pause, NULL);
		load_watch_look(&c->watch, false, &c->seen);
	}
	if (!c->seen.gone)
		return;
	snprintf(first, sizeof(first), "%.199s", err->text);
	rc_error_set(err, "the server's process %d ended; its log may say why (%s)",
		(int)c->seen.gone, first);
}

int load_conduct(const struct load_plan *plan, struct load_result *r, struct rc_error *err)
{
	struct load_conductor *c = calloc(1, sizeof(*c));
	bool flowed;
	int rc;

	if (!c) {
		rc_error_set(err, "no memory for the conductor");
		return -ENOMEM;
	}
	c->plan = plan;
	c->r = r;
	rc = begin(c, err);
	if (rc == 0) {
		rc = run(c, err);
		flowed = c->phase > LOAD_CONNECT;

		if (rc < 0 || r->verdict == LOAD_INTERRUPTED)
			atomic_store(&c->shared->told_abort, 1);
		set_phase(c, LOAD_END);
		if (!load_crew_join(&c->crew))
			load_note(
				r, "A worker did not end in time; its last counts may be missing.");
		load_live_close(&c->live);
		if (rc == -ETIMEDOUT)
			add_reason(c, err);
		else if (rc == -EIO)
			look_for_death(c, err);
		if (rc < 0 && flowed) {
			/* What was measured until then stands beside the reason. */
			load_worsen(r, LOAD_FAULTY);
			load_note(r, "The run broke off: %s.", err->text);
			c->inexact = true;
			rc = 1;
		}
	}
	if (rc >= 0)
		load_finish(c);
	free(c->start);
	free(c);
	return rc < 0 ? rc : 0;
}
