/* SPDX-License-Identifier: Apache-2.0
 *
 * From counts to a result.
 */
#include "conductor.h"

#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"

void load_finish_host(struct load_result *r)
{
	struct utsname host;
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "re");
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	rc_clock_iso8601(rc_clock_wall_ms(), r->started);
	r->started[RC_ISO8601_LEN] = 0;
	if (uname(&host) == 0)
		snprintf(r->kernel, sizeof(r->kernel), "%.20s %.65s", host.sysname, host.release);
	r->cpus = cpus > 0 ? (uint32_t)cpus : 1;
	while (file && !r->cpu_model[0] && fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');

		line[strcspn(line, "\n")] = 0;
		if (colon && strncmp(line, "model name", 10) == 0)
			snprintf(r->cpu_model, sizeof(r->cpu_model), "%.95s",
				colon + 1 + strspn(colon + 1, " "));
	}
	if (file)
		fclose(file);
}

bool load_finish_reason(const struct load_conductor *c, char out[LOAD_REASON_SIZE])
{
	for (uint32_t i = 0; i < c->shared->workers; i++) {
		const char *error = c->shared->worker[i].error;
		size_t len = strnlen(error, sizeof(c->shared->worker[i].error));

		for (size_t n = 0; n < len; n++)
			out[n] = error[n] < ' ' || error[n] > '~' ? '?' : error[n];
		out[len] = 0;
		if (len)
			return true;
	}
	return false;
}

static void add_words(uint64_t *sum, const load_word *words)
{
	for (uint32_t b = 0; b < RC_HIST_BUCKETS; b++)
		sum[b] += load_get(&words[b]);
}

static void quantiles_of(struct load_quantiles *out, const load_word *words)
{
	uint64_t hist[RC_HIST_BUCKETS] = {0};

	add_words(hist, words);
	load_quantiles(out, hist);
}

static void finish_group(struct load_conductor *c, uint32_t i, const struct load_totals *last)
{
	const struct load_group_stats *a = &c->start->group[i], *b = &c->end->group[i];
	struct load_group_result *g = &c->r->group[i];
	struct load_result *r = c->r;
	bool counts = !c->plan->group[i].may_lose;

	memcpy(&g->sum, &last->group[i], sizeof(g->sum));
	g->window_deliveries = load_get(&b->deliveries) - load_get(&a->deliveries);
	g->window_bytes = load_get(&b->delivery_bytes) - load_get(&a->delivery_bytes);
	g->window_published = load_get(&b->published) - load_get(&a->published);
	g->window_acked = load_get(&b->acked) - load_get(&a->acked);
	g->window_handshakes = load_get(&b->handshakes) - load_get(&a->handshakes);
	g->window_resumed = load_get(&b->resumed) - load_get(&a->resumed);
	quantiles_of(&g->latency, g->sum.latency);
	quantiles_of(&g->before_storm, g->sum.before_storm);
	quantiles_of(&g->in_storm, g->sum.in_storm);
	quantiles_of(&g->connect, g->sum.connect);
	quantiles_of(&g->ack, g->sum.ack);

	r->deliveries += g->window_deliveries;
	r->bytes += g->window_bytes;
	r->published += g->window_published;
	r->acked += g->window_acked;
	r->handshakes += g->window_handshakes;
	r->resumed += g->window_resumed;
	add_words(r->connect_hist, g->sum.connect);
	add_words(r->ack_hist, g->sum.ack);
	/* Of clients alone: a publisher stays counted to the end. */
	r->opened += load_get(&g->sum.opened) - load_get(&g->sum.feeding);
	r->failed += load_get(&g->sum.failed);
	r->closed += load_get(&g->sum.closed);
	r->dropped += load_get(&g->sum.dropped);
	r->returned += load_get(&g->sum.returned);
	r->recovered += load_get(&g->sum.recovered);
	r->unrecovered += load_get(&g->sum.unrecovered);
	r->open_at_end += load_get(&b->open) - load_get(&b->feeding);
	if (!counts)
		return;
	/* A reader that is slow on purpose says nothing about the server. */
	add_words(r->latency_hist, g->sum.latency);
	r->told += load_get(&g->sum.told);
	r->missed_away += load_get(&g->sum.missed_away);
	r->faults.lost += load_get(&g->sum.lost);
	r->faults.duplicated += load_get(&g->sum.duplicated);
	r->faults.reordered += load_get(&g->sum.reordered);
	r->faults.corrupted += load_get(&g->sum.corrupted);
	r->faults.foreign += load_get(&g->sum.foreign);
}

static uint64_t weight(const struct load_faults *f)
{
	return f->lost + f->duplicated + f->reordered + f->corrupted + f->foreign;
}

static void add_channel(struct load_result *r, uint32_t channel, const struct load_faults *f)
{
	uint32_t at = 0;

	while (at < r->faulty_channels && r->faulty[at].channel != channel)
		at++;
	if (at == r->faulty_channels) {
		if (at == LOAD_FAULTY_MAX)
			return;
		r->faulty_channels++;
		r->faulty[at].channel = channel;
	}
	r->faulty[at].faults.lost += f->lost;
	r->faulty[at].faults.duplicated += f->duplicated;
	r->faulty[at].faults.reordered += f->reordered;
	r->faulty[at].faults.corrupted += f->corrupted;
	r->faulty[at].faults.foreign += f->foreign;
}

/* The worst first; at most LOAD_FAULTY_MAX of them. */
static void sort_channels(struct load_result *r)
{
	for (uint32_t i = 0; i < r->faulty_channels; i++)
		for (uint32_t n = i + 1; n < r->faulty_channels; n++)
			if (weight(&r->faulty[n].faults) > weight(&r->faulty[i].faults)) {
				__typeof__(r->faulty[0]) spare = r->faulty[i];

				r->faulty[i] = r->faulty[n];
				r->faulty[n] = spare;
			}
}

static void finish_channels(struct load_conductor *c)
{
	for (uint32_t i = 0; i < c->shared->workers; i++)
		for (uint32_t n = 0; n < LOAD_FAULTY_MAX; n++) {
			const struct load_faulty_channel *from = &c->shared->worker[i].faulty[n];
			uint64_t channel = load_get(&from->channel_plus_1);
			const struct load_faults faults = {.lost = load_get(&from->lost),
				.duplicated = load_get(&from->duplicated),
				.reordered = load_get(&from->reordered),
				.corrupted = load_get(&from->corrupted),
				.foreign = load_get(&from->foreign)};

			if (channel && weight(&faults))
				add_channel(c->r, (uint32_t)(channel - 1), &faults);
		}
	sort_channels(c->r);
}

static void finish_server(struct load_conductor *c)
{
	struct load_result *r = c->r;

	r->server_known = c->seen.known;
	r->server_processes = c->watch.processes;
	snprintf(r->server_name, sizeof(r->server_name), "%s", c->watch.name);
	if (r->window <= 0)
		return;
	r->server_cpu_seconds = (double)(c->end_seen.cpu_ns - c->start_seen.cpu_ns) / 1e9;
	r->server_waited_seconds = (double)(c->end_seen.waited_ns - c->start_seen.waited_ns) / 1e9;
}

static void finish_generator(struct load_conductor *c, const struct load_totals *last)
{
	struct load_result *r = c->r;
	uint64_t late[RC_HIST_BUCKETS], turn[RC_HIST_BUCKETS];

	r->generator_memory = last->memory;
	for (uint32_t b = 0; b < RC_HIST_BUCKETS; b++) {
		late[b] = c->end->late[b] - c->start->late[b];
		turn[b] = c->end->turn[b] - c->start->turn[b];
	}
	load_quantiles(&r->late, late);
	load_quantiles(&r->turn, turn);
	r->reads = c->end->reads - c->start->reads;
	r->full_reads = c->end->full_reads - c->start->full_reads;
	for (uint32_t i = 0; i < c->shared->workers && r->window > 0; i++) {
		const struct load_worker_time *a = &c->start->worker[i], *b = &c->end->worker[i];
		double cpu = (double)(b->cpu_ns - a->cpu_ns) / 1e9;
		double idle = RC_MIN((double)(b->idle_ns - a->idle_ns) / 1e9, cpu);

		r->generator_cpu_seconds += cpu;
		r->generator_idle_seconds += idle;
		r->generator_waited_seconds += (double)(b->waited_ns - a->waited_ns) / 1e9;
		r->generator_busiest =
			RC_MAX(r->generator_busiest, RC_MIN((cpu - idle) / r->window, 1.0));
	}
}

void load_finish(struct load_conductor *c)
{
	struct load_totals *last = c->next;
	struct load_result *r = c->r;
	struct load_glance glance;
	char reason[LOAD_REASON_SIZE];
	uint64_t accounted, window_ns = c->window_ns ? c->window_ns : rc_clock_mono_ns();

	load_totals_take(last, c->plan, c->shared);
	load_timeline_extend(r, c->last, last);
	/* Interrupted before the window's end: what was counted until then. */
	for (uint32_t i = 0; i < c->plan->groups; i++)
		finish_group(c, i, last);
	load_quantiles(&r->latency, r->latency_hist);
	load_quantiles(&r->connect, r->connect_hist);
	load_quantiles(&r->ack, r->ack_hist);
	finish_channels(c);
	finish_server(c);
	finish_generator(c, last);
	for (uint32_t i = 0; i < r->samples; i++)
		r->timeline[i].t -= (double)(window_ns - c->begin_ns) / 1e9;

	load_glance_take(&glance, c->plan, c->shared);
	accounted = glance.deliveries + glance.told + glance.missed_away + glance.lost;
	load_judge_faults(
		r, c->inexact || r->verdict == LOAD_INTERRUPTED || glance.expected < accounted
			   ? 0
			   : glance.expected - accounted);
	if (c->acks && !c->inexact && r->verdict != LOAD_INTERRUPTED &&
		glance.acked + glance.refused < glance.to_ack) {
		load_worsen(r, LOAD_FAULTY);
		load_note(r, "Of %llu published events %llu were never acknowledged.",
			(unsigned long long)glance.to_ack,
			(unsigned long long)(glance.to_ack - glance.acked - glance.refused));
	}
	if (glance.overdue > 0 && r->verdict != LOAD_INTERRUPTED) {
		load_worsen(r, LOAD_FAULTY);
		load_note(r,
			"%llu events were due in the window and could not leave within %g s after it: the server "
			"does not take so many a second, and the latencies are without them. Ask for a lower "
			"--rate.",
			(unsigned long long)glance.overdue, c->plan->drain);
	}
	if (r->failed && load_finish_reason(c, reason))
		load_note(r, "The last attempt that failed: %.200s", reason);
	if (load_plan_commands(c->plan) && glance.refused > 0 && load_finish_reason(c, reason))
		load_note(r, "Of the answers that refused: %.200s", reason);
	if (c->storm_ns && r->storm_seconds < 0 && r->verdict != LOAD_INTERRUPTED) {
		load_worsen(r, LOAD_FAULTY);
		load_note(r, "Not all clients that dropped came back.");
	}
	if (r->told)
		load_note(r, "The server left out %llu events and said so.",
			(unsigned long long)r->told);
	if (c->window_ns && r->window > 0)
		load_judge_limits(r, c->start, c->end);
	else
		load_note(r, "It was stopped before the window began: nothing was measured.");
}
