/* SPDX-License-Identifier: Apache-2.0
 *
 * Spans of time and what happened in them; the contract is in topmodel.h, rows and lists are in toprows.c.
 */
#include "cli/topmodel.h"

#include <math.h>

#define MARK_EVERY_S 10.0
/* A minute, and as late as seven ticks may be in all. */
#define MINUTE_S 61.0
/* A point is complete when a second is over, or nearly: ticks are never exact. */
#define POINT_S 0.95

static double seconds_between(const struct rc_top_snap *a, const struct rc_top_snap *b)
{
	return b->mono_ns > a->mono_ns ? (double)(b->mono_ns - a->mono_ns) / 1e9 : 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

bool rc_top_model_init(struct rc_top_model *m, struct rc_top_gateway gateway)
{
	*m = (struct rc_top_model){.gateway = gateway};
	bool room = gateway.meta != NULL;
	for (uint32_t i = 0; i < RC_ARRAY_LEN(m->snap); i++)
		room = room && rc_top_snap_init(&m->snap[i], &m->gateway);
	for (uint32_t i = 0; i < RC_TOP_MARKS; i++)
		room = room && rc_top_snap_init(&m->mark[i], &m->gateway);
	m->deliveries = rc_top_find(&m->gateway, "deliveries");
	m->publish_hist = rc_top_find_hist(&m->gateway, "publish_to_flush_ns");
	m->growing.p99_ns = NAN;
	return room;
}

void rc_top_model_deinit(struct rc_top_model *m)
{
	for (uint32_t i = 0; i < RC_ARRAY_LEN(m->snap); i++)
		rc_top_snap_deinit(&m->snap[i]);
	for (uint32_t i = 0; i < RC_TOP_MARKS; i++)
		rc_top_snap_deinit(&m->mark[i]);
	rc_top_gateway_deinit(&m->gateway);
	*m = (struct rc_top_model){0};
}

/* ---- steps ---------------------------------------------------------------------------------- */

struct rc_top_snap *rc_top_model_next(struct rc_top_model *m)
{
	return &m->snap[(m->taken + 1) % 2];
}

static void grow_point(struct rc_top_model *m)
{
	struct rc_top_point *p = &m->growing;
	struct rc_top_quantiles q = rc_top_quantiles(m, RC_TOP_INTERVAL, m->publish_hist);
	if (q.count > 0 && !((double)q.p99 < p->p99_ns))
		p->p99_ns = (double)q.p99;
	p->seconds += rc_top_seconds(m, RC_TOP_INTERVAL);
	if (m->deliveries != RC_NONE)
		p->deliveries += (double)rc_top_grown(m, RC_TOP_INTERVAL, m->deliveries);
	if (p->seconds < POINT_S)
		return;
	p->deliveries = m->deliveries == RC_NONE ? NAN : p->deliveries / p->seconds;
	m->point[m->pointed++ % RC_TOP_POINTS] = *p;
	*p = (struct rc_top_point){.p99_ns = NAN};
}

void rc_top_model_step(struct rc_top_model *m)
{
	m->taken++;
	const struct rc_top_snap *now = rc_top_now(m);
	if (m->taken > 1)
		grow_point(m);
	const struct rc_top_snap *last = &m->mark[(m->marked + RC_TOP_MARKS - 1) % RC_TOP_MARKS];
	if (m->marked == 0 || seconds_between(last, now) >= MARK_EVERY_S)
		rc_top_snap_copy(&m->mark[m->marked++ % RC_TOP_MARKS], now, &m->gateway);
}

const struct rc_top_snap *rc_top_now(const struct rc_top_model *m)
{
	RC_ASSERT(m->taken > 0);
	return &m->snap[m->taken % 2];
}

/* Where the span begins; the present itself before the second snapshot. */
static const struct rc_top_snap *begin_of(const struct rc_top_model *m, enum rc_top_span span)
{
	const struct rc_top_snap *now = rc_top_now(m);
	if (m->taken < 2)
		return now;
	const struct rc_top_snap *before = &m->snap[(m->taken + 1) % 2];
	if (span == RC_TOP_INTERVAL)
		return before;
	/* The oldest mark of the last minute. With long intervals there may be none but the present. */
	uint64_t first = m->marked > RC_TOP_MARKS ? m->marked - RC_TOP_MARKS : 0;
	for (uint64_t i = first; i < m->marked; i++) {
		const struct rc_top_snap *mark = &m->mark[i % RC_TOP_MARKS];
		if (seconds_between(mark, now) <= MINUTE_S && mark->mono_ns < before->mono_ns)
			return mark;
	}
	return before;
}

/* ---- figures -------------------------------------------------------------------------------- */

double rc_top_seconds(const struct rc_top_model *m, enum rc_top_span span)
{
	return seconds_between(begin_of(m, span), rc_top_now(m));
}

uint64_t rc_top_grown(const struct rc_top_model *m, enum rc_top_span span, uint32_t i)
{
	uint64_t before = begin_of(m, span)->value[i], now = rc_top_now(m)->value[i];
	return now > before ? now - before : 0;
}

double rc_top_rate(const struct rc_top_model *m, uint32_t i)
{
	double seconds = rc_top_seconds(m, RC_TOP_INTERVAL);
	if (i == RC_NONE || m->gateway.meta[i].kind == RC_KIND_GAUGE || seconds <= 0)
		return NAN;
	return (double)rc_top_grown(m, RC_TOP_INTERVAL, i) / seconds;
}

double rc_top_rate_of(const struct rc_top_model *m, const char *name)
{
	return rc_top_rate(m, rc_top_find(&m->gateway, name));
}

double rc_top_rate_of_events(const struct rc_top_model *m)
{
	double all = rc_top_rate_of(m, "events_published"), own = rc_top_rate_of(m, "sys_events");
	/* The two are not read at one moment. */
	return isnan(own) || isnan(all) ? all : RC_MAX(all - own, 0.0);
}

bool rc_top_value(const struct rc_top_model *m, const char *name, int64_t *out)
{
	uint32_t i = rc_top_find(&m->gateway, name);
	*out = i == RC_NONE ? 0 : (int64_t)rc_top_now(m)->value[i];
	return i != RC_NONE;
}

struct rc_top_quantiles rc_top_quantiles(
	const struct rc_top_model *m, enum rc_top_span span, uint32_t hist)
{
	struct rc_top_quantiles q = {0};
	if (hist == RC_NONE)
		return q;
	const uint64_t *now = rc_top_now(m)->hist[hist], *before = begin_of(m, span)->hist[hist];
	uint64_t since[RC_HIST_BUCKETS];
	for (uint32_t b = 0; b < RC_HIST_BUCKETS; b++) {
		since[b] = now[b] > before[b] ? now[b] - before[b] : 0;
		q.count += since[b];
	}
	if (q.count == 0)
		return q;
	q.p50 = rc_hist_quantile(since, 0.5);
	q.p90 = rc_hist_quantile(since, 0.9);
	q.p99 = rc_hist_quantile(since, 0.99);
	q.max = rc_hist_quantile(since, 1.0);
	return q;
}

/* ---- the course ----------------------------------------------------------------------------- */

uint32_t rc_top_points(const struct rc_top_model *m)
{
	return (uint32_t)RC_MIN(m->pointed, RC_TOP_POINTS);
}

const struct rc_top_point *rc_top_point(const struct rc_top_model *m, uint32_t i)
{
	RC_ASSERT(i < rc_top_points(m));
	return &m->point[(m->pointed - rc_top_points(m) + i) % RC_TOP_POINTS];
}
