/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums over workers.
 */
#include "totals.h"

#include <assert.h>

#include "base/clock.h"

#define WORDS_OF_GROUP (sizeof(struct load_group_stats) / sizeof(load_word))

static_assert(sizeof(struct load_group_stats) == WORDS_OF_GROUP * sizeof(load_word),
	"a group's numbers are words and nothing else");

static void add_histogram(uint64_t *sum, const load_word *words)
{
	for (uint32_t b = 0; b < RC_HIST_BUCKETS; b++)
		sum[b] += load_get(&words[b]);
}

void load_totals_take(
	struct load_totals *t, const struct load_plan *plan, struct load_shared *shared)
{
	memset(t, 0, sizeof(*t));
	for (uint32_t i = 0; i < shared->workers; i++) {
		struct load_worker_stats *w = &shared->worker[i];

		for (uint32_t g = 0; g < plan->groups; g++) {
			load_word *sum = (load_word *)&t->group[g],
				  *from = (load_word *)&w->group[g];

			for (size_t n = 0; n < WORDS_OF_GROUP; n++)
				load_add(&sum[n], load_get(&from[n]));
		}
		t->worker[i] = (struct load_worker_time){.cpu_ns = load_get(&w->cpu_ns),
			.idle_ns = load_get(&w->idle_ns),
			.waited_ns = load_get(&w->waited_ns)};
		t->bytes += load_get(&w->bytes);
		t->reads += load_get(&w->reads);
		t->full_reads += load_get(&w->full_reads);
		t->memory += load_get(&w->memory);
		add_histogram(t->late, w->late);
		add_histogram(t->turn, w->turn_ns);
	}
	t->at_ns = rc_clock_mono_ns();
}

static void glance_at(
	struct load_glance *g, const struct load_group *group, struct load_group_stats *s)
{
	g->wanted += load_get(&s->wanted);
	g->connecting += load_get(&s->connecting);
	g->open += load_get(&s->open);
	g->opened += load_get(&s->opened);
	g->failed += load_get(&s->failed);
	g->closed += load_get(&s->closed);
	g->dropped += load_get(&s->dropped);
	g->returned += load_get(&s->returned);
	g->expected += load_get(&s->expected);
	g->published += load_get(&s->published);
	g->to_ack += load_group_asks(group) ? 0 : load_get(&s->published);
	g->acked += load_get(&s->acked);
	g->refused += load_get(&s->refused);
	g->overdue += load_get(&s->overdue);
	if (!group->may_lose) {
		g->deliveries += load_get(&s->deliveries);
		g->told += load_get(&s->told);
		g->missed_away += load_get(&s->missed_away);
		g->lost += load_get(&s->lost);
	}
	if (group->storm_after_seconds > 0) {
		g->storm_open += load_get(&s->open);
		g->storm_wanted += load_get(&s->wanted);
		g->storm_dropped += load_get(&s->dropped);
		g->storm_returned += load_get(&s->returned);
	}
}

void load_glance_take(
	struct load_glance *g, const struct load_plan *plan, struct load_shared *shared)
{
	*g = (struct load_glance){0};
	for (uint32_t i = 0; i < shared->workers; i++)
		for (uint32_t n = 0; n < plan->groups; n++)
			glance_at(g, &plan->group[n], &shared->worker[i].group[n]);
}

double load_totals_cpu(
	const struct load_totals *from, const struct load_totals *to, uint32_t workers)
{
	double ns = 0;

	for (uint32_t i = 0; i < workers; i++) {
		double cpu = (double)(to->worker[i].cpu_ns - from->worker[i].cpu_ns);
		double idle = (double)(to->worker[i].idle_ns - from->worker[i].idle_ns);

		ns += RC_MAX(cpu - idle, 0.0);
	}
	return ns / 1e9;
}

/* Half as many samples, each twice as long. Of percentiles the worse one stays: they can't be averaged. */
static void halve(struct load_result *r)
{
	uint32_t out = 0;

	for (uint32_t i = 0; i + 1 < r->samples; i += 2) {
		struct load_sample a = r->timeline[i], b = r->timeline[i + 1];
		double sum = RC_MAX(a.seconds + b.seconds, 1e-9);

		b.server_cpu =
			a.server_cpu < 0 || b.server_cpu < 0
				? RC_MAX(a.server_cpu, b.server_cpu)
				: (a.server_cpu * a.seconds + b.server_cpu * b.seconds) / sum;
		b.generator_cpu = (a.generator_cpu * a.seconds + b.generator_cpu * b.seconds) / sum;
		b.t = a.t;
		b.seconds = sum;
		b.deliveries += a.deliveries;
		b.published += a.published;
		b.bytes += a.bytes;
		b.connects += a.connects;
		b.server_rss = RC_MAX(a.server_rss, b.server_rss);
		b.latency.count += a.latency.count;
		b.latency.mean = RC_MAX(a.latency.mean, b.latency.mean);
		b.latency.p50 = RC_MAX(a.latency.p50, b.latency.p50);
		b.latency.p90 = RC_MAX(a.latency.p90, b.latency.p90);
		b.latency.p99 = RC_MAX(a.latency.p99, b.latency.p99);
		b.latency.p999 = RC_MAX(a.latency.p999, b.latency.p999);
		b.latency.p9999 = RC_MAX(a.latency.p9999, b.latency.p9999);
		b.latency.max = RC_MAX(a.latency.max, b.latency.max);
		r->timeline[out++] = b;
	}
	r->samples = out;
}

static void add_counts(struct load_sample *s, const struct load_plan *plan,
	const struct load_totals *from, const struct load_totals *to)
{
	for (uint32_t g = 0; g < plan->groups; g++) {
		const struct load_group_stats *a = &from->group[g], *b = &to->group[g];

		s->deliveries += load_get(&b->deliveries) - load_get(&a->deliveries);
		s->published += load_get(&b->published) - load_get(&a->published);
		s->bytes += load_get(&b->delivery_bytes) - load_get(&a->delivery_bytes);
		s->connects += load_get(&b->opened) - load_get(&b->feeding) -
			       (load_get(&a->opened) - load_get(&a->feeding));
	}
	s->seconds += (double)(to->at_ns - from->at_ns) / 1e9;
}

void load_timeline_extend(
	struct load_result *r, const struct load_totals *from, const struct load_totals *to)
{
	if (r->samples)
		add_counts(&r->timeline[r->samples - 1], r->plan, from, to);
}

void load_timeline_add(struct load_result *r, const struct load_totals *from,
	const struct load_totals *to, uint64_t start_ns, double server_cpu, uint64_t server_rss)
{
	const struct load_plan *plan = r->plan;
	uint32_t workers = plan->threads * plan->processes;
	uint64_t latency[RC_HIST_BUCKETS] = {0};
	struct load_sample *s;

	if (r->samples == LOAD_TIMELINE_MAX)
		halve(r);
	s = &r->timeline[r->samples++];
	*s = (struct load_sample){.t = ((double)from->at_ns - (double)start_ns) / 1e9,
		.server_cpu = server_cpu,
		.server_rss = server_rss};
	add_counts(s, plan, from, to);
	s->generator_cpu = load_totals_cpu(from, to, workers) / RC_MAX(s->seconds, 1e-9);
	for (uint32_t g = 0; g < plan->groups; g++) {
		const struct load_group_stats *a = &from->group[g], *b = &to->group[g];

		s->clients += load_get(&b->open) - load_get(&b->feeding);
		for (uint32_t n = 0; n < RC_HIST_BUCKETS && !plan->group[g].may_lose; n++)
			latency[n] += load_get(&b->latency[n]) - load_get(&a->latency[n]);
	}
	load_quantiles(&s->latency, latency);
}
