/* SPDX-License-Identifier: Apache-2.0
 *
 * Before the first phase and after the last one.
 */
#include "conduct.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "conductor.h"

#define MILLI UINT64_C(1000000)

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	(void)number;
	if (signals++)
		_exit(130); /* the children go with us */
}

static int run(struct load_conductor *c, struct rc_error *err)
{
	int rc = load_phase_connect(c, err);

	if (rc == 0 && c->plan->warm > 0)
		rc = load_phase_flow(c, LOAD_WARM, c->plan->warm, err);
	if (rc == 0)
		rc = load_phase_measure(c, err);
	/* After a signal nothing is waited for, and after a stall it was. */
	return rc == 0 ? load_phase_drain(c, err) : rc;
}

static void look_at_plan(struct load_conductor *c)
{
	const struct load_target *t = c->plan->target;

	for (uint32_t i = 0; i < c->plan->groups; i++) {
		const struct load_group *g = &c->plan->group[i];
		bool sends = g->publishers > 0 || (load_group_asks(g) && g->clients > 0);

		c->wanted += g->clients + load_group_links(g);
		c->publishes |= sends || g->handshakes;
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
	c->signals = &signals;
	rc = begin(c, err);
	if (rc == 0) {
		rc = run(c, err);
		flowed = c->phase > LOAD_CONNECT;
		if (rc < 0 || r->verdict == LOAD_INTERRUPTED)
			atomic_store(&c->shared->told_abort, 1);
		load_phase_set(c, LOAD_END);
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
			if (!c->server_gone)
				load_note(r, "The run broke off: %s.", err->text);
			c->inexact = true;
			rc = 0;
		}
	}
	if (rc >= 0)
		load_finish(c);
	free(c->start);
	free(c);
	return rc < 0 ? rc : 0;
}
