/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults are counted; limits are inferred. A rule that infers one names the figure that it goes by.
 */
#include "verdict.h"

#include <stdarg.h>

/* Shares of the window. */
#define CPU_FULL     0.95
#define CPU_BUSY     0.70
#define WAITED_SHARE 0.05
/* Shares of the latency that was measured. */
#define TURN_SHARE 0.25
#define LATE_SHARE 0.10
#define LATE_NS    1000000u
#define FULL_SHARE 0.50

void load_note(struct load_result *r, const char *format, ...)
{
	va_list args;

	if (r->notes == LOAD_NOTES_MAX)
		return;
	va_start(args, format);
	vsnprintf(r->note[r->notes++], sizeof(r->note[0]), format, args);
	va_end(args);
}

void load_worsen(struct load_result *r, enum load_verdict verdict)
{
	static const int badness[] = {[LOAD_OK] = 0,
		[LOAD_LIMITED] = 1,
		[LOAD_INTERRUPTED] = 2,
		[LOAD_FAULTY] = 3,
		[LOAD_UNUSABLE] = 4};

	if (badness[verdict] > badness[r->verdict])
		r->verdict = verdict;
}

static void fault(struct load_result *r, uint64_t count, const char *one, const char *many)
{
	if (count == 0)
		return;
	load_worsen(r, LOAD_FAULTY);
	load_note(r, "%llu %s.", (unsigned long long)count, count == 1 ? one : many);
}

void load_judge_faults(struct load_result *r, uint64_t undelivered)
{
	const struct load_faults *f = &r->faults;
	uint64_t closed = 0, failed = 0, refused = 0, full = 0;

	for (uint32_t i = 0; i < r->plan->groups; i++) {
		const struct load_group_stats *s = &r->group[i].sum;

		refused += load_get(&s->refused);
		if (r->plan->group[i].resume)
			full += load_get(&s->handshakes) - load_get(&s->resumed);
		if (r->plan->group[i].may_lose)
			continue;
		closed += load_get(&s->closed);
		failed += load_get(&s->failed);
	}
	if (load_plan_commands(r->plan)) {
		fault(r, f->lost, "answer was lost", "answers were lost");
		fault(r, f->duplicated, "answer came twice", "answers came twice");
		fault(r, f->corrupted, "command, answer or frame was corrupt",
			"commands, answers or frames were corrupt");
		fault(r, f->foreign, "answer came to what was not asked",
			"answers came to what was not asked");
	} else {
		fault(r, f->lost, "event was lost", "events were lost");
		fault(r, f->duplicated, "event came twice", "events came twice");
		fault(r, f->reordered, "event came after a later one of its channel",
			"events came after later ones of their channel");
		fault(r, f->corrupted, "event or frame was corrupt",
			"events or frames were corrupt");
		fault(r, f->foreign, "event came to a client that had not asked for it",
			"events came to clients that had not asked for them");
	}
	fault(r, closed, "client was closed by the server; its log may say why",
		"clients were closed by the server; its log may say why");
	fault(r, failed, "attempt of a client to connect and subscribe failed",
		"attempts of clients to connect and subscribe failed");
	fault(r, full, "handshake was to resume a session and was a full one",
		"handshakes were to resume a session and were full ones");
	fault(r, refused,
		load_plan_commands(r->plan) ? "command was refused"
					    : "event was refused by the server",
		load_plan_commands(r->plan) ? "commands were refused"
					    : "events were refused by the server");
	if (f->lost == 0)
		fault(r, undelivered, "delivery was still missing at the end",
			"deliveries were still missing at the end");
}

static void limited(struct load_result *r)
{
	load_worsen(r, LOAD_LIMITED);
}

/* The worker that waited longest. */
static void judge_waits(
	struct load_result *r, const struct load_totals *from, const struct load_totals *to)
{
	uint32_t workers = r->plan->threads * r->plan->processes, worst = 0;
	uint64_t longest = 0;
	double share;

	for (uint32_t i = 0; i < workers; i++) {
		uint64_t waited = to->worker[i].waited_ns - from->worker[i].waited_ns;

		if (waited > longest) {
			longest = waited;
			worst = i;
		}
	}
	share = (double)longest / (r->window * 1e9);
	if (share <= WAITED_SHARE)
		return;
	limited(r);
	load_note(r,
		"The generator was disturbed: others had worker %u's CPU for %.0f %% of the window while it was "
		"ready to run. Give it a CPU of its own (--cpus), and the server another.",
		worst, share * 100);
}

void load_judge_limits(
	struct load_result *r, const struct load_totals *from, const struct load_totals *to)
{
	const struct load_quantiles *latency = r->latency.count ? &r->latency : &r->ack;
	double reads = (double)(to->reads - from->reads);
	double full = (double)(to->full_reads - from->full_reads);
	bool server_full = r->server_known && r->server_cpu_seconds > CPU_FULL * 0.95 * r->window;

	if (r->plan->own_limit || r->window <= 0)
		return;
	if (r->generator_busiest > CPU_FULL) {
		limited(r);
		load_note(r,
			"The generator was the limit: its busiest worker used %.0f %% of a CPU. Give it more "
			"--threads, each with a CPU of its own (--cpus).",
			r->generator_busiest * 100);
	}
	/* Clients that only wait have no latency that a wait of ours could be in. */
	if (latency->count || r->published)
		judge_waits(r, from, to);
	if (r->generator_busiest > CPU_BUSY && latency->count &&
		(double)r->turn.p99 > TURN_SHARE * (double)latency->p99) {
		limited(r);
		load_note(r,
			"The generator adds to the latency: its busiest worker used %.0f %% of a CPU, and a turn "
			"of its loop took %.3f ms (p99) of the %.3f ms measured. Give it more --threads.",
			r->generator_busiest * 100, (double)r->turn.p99 / 1e6,
			(double)latency->p99 / 1e6);
	}
	if (latency->count && r->late.p99 > LATE_NS &&
		(double)r->late.p99 > LATE_SHARE * (double)latency->p99) {
		limited(r);
		load_note(r,
			"The generator published late: %.3f ms after the intended time (p99), of %.3f ms measured. "
			"Give it more --threads, or a CPU of its own (--cpus).",
			(double)r->late.p99 / 1e6, (double)latency->p99 / 1e6);
	}
	if (r->generator_busiest > CPU_BUSY && reads > 0 && full > FULL_SHARE * reads &&
		!server_full) {
		limited(r);
		load_note(r,
			"The generator had a backlog: %.0f %% of its reads filled their buffer, its busiest "
			"worker used %.0f %% of a CPU, and the server had CPU left. Give it more --threads.",
			100 * full / reads, r->generator_busiest * 100);
	}
}
