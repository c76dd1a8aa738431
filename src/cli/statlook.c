/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks at the counters of a gateway, and what changed between two of them, for people and for programs; the contract
 * is in statlook.h.
 */
#include "cli/statlook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/figures.h"
#include "cli/json.h"

/* The gateway writes its heartbeat once a second; a shard that missed so many is stuck. */
#define HEARTBEAT_LATE_MS 5000

static const struct {
	const char *name;
	double quantile;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1.0}};

/* ---- looking -------------------------------------------------------------------------------- */

bool rc_look_init(struct rc_look *l, uint32_t entries)
{
	l->value = calloc(entries, sizeof(l->value[0]));
	l->hist = calloc(entries, sizeof(l->hist[0]));
	return l->value != NULL && l->hist != NULL;
}

void rc_look_deinit(struct rc_look *l)
{
	free(l->value);
	free(l->hist);
}

void rc_look_take(struct rc_look *l, const struct rc_counters_view *v, uint32_t shard)
{
	l->mono_ns = rc_clock_mono_ns();
	for (uint32_t i = 0; i < v->meta_count; i++)
		if (v->meta[i].kind == RC_KIND_HIST)
			rc_counters_read_hist(v, i, shard, l->hist[i]);
		else
			l->value[i] = rc_counters_read(v, i, shard);
}

/* What a histogram counted since `before`, or ever when that is NULL; returns how many. */
static uint64_t hist_since(const struct rc_look *now, const struct rc_look *before, uint32_t i,
	uint64_t out[RC_HIST_BUCKETS])
{
	uint64_t count = 0;
	for (uint32_t b = 0; b < RC_HIST_BUCKETS; b++) {
		out[b] = now->hist[i][b] - (before == NULL ? 0 : before->hist[i][b]);
		count += out[b];
	}
	return count;
}

static double rate_since(const struct rc_look *now, const struct rc_look *before, uint32_t i)
{
	double seconds = (double)(now->mono_ns - before->mono_ns) / 1e9;
	return seconds > 0 ? (double)(now->value[i] - before->value[i]) / seconds : 0;
}

/* ---- printing for people -------------------------------------------------------------------- */

static void print_head(const struct rc_counters_view *v, uint32_t shard)
{
	uint64_t now = rc_clock_wall_ms(), beat = rc_counters_heartbeat_ms(v);
	uint64_t up = now > v->start_wall_ms ? (now - v->start_wall_ms) / 1000 : 0;
	char text[RC_FIGURE_SIZE];
	printf("ringcast %s, process %" PRIu32 ", up %s, ", v->program_version, v->pid,
		rc_figure_uptime(up, text));
	if (shard == RC_NONE)
		printf("%" PRIu32 " shard%s\n", v->shard_count, v->shard_count == 1 ? "" : "s");
	else
		printf("shard %" PRIu32 " of %" PRIu32 "\n", shard, v->shard_count);
	if (!rc_counters_alive(v))
		printf("this gateway has ended; these are its last counts\n");
	else if (now > beat && now - beat > HEARTBEAT_LATE_MS)
		printf("its last heartbeat was %" PRIu64 " s ago: shard 0 is stuck or starved\n",
			(now - beat) / 1000);
	putchar('\n');
}

void rc_look_print(const struct rc_counters_view *v, uint32_t shard, bool all,
	const struct rc_look *now, const struct rc_look *before)
{
	print_head(v, shard);
	uint32_t shown = 0;
	char text[RC_FIGURE_SIZE];
	for (uint32_t i = 0; i < v->meta_count; i++) {
		const struct rc_counters_meta *m = &v->meta[i];
		if (m->kind == RC_KIND_HIST || (now->value[i] == 0 && !all))
			continue;
		shown++;
		bool gauge = m->kind == RC_KIND_GAUGE;
		printf("  %-28s %20s", m->name,
			gauge ? rc_figure_signed((int64_t)now->value[i], text)
			      : rc_figure_count(now->value[i], text));
		if (before != NULL && gauge)
			printf(" %16s", "");
		else if (before != NULL)
			printf(" %14s/s",
				rc_figure_count(
					(uint64_t)(rate_since(now, before, i) + 0.5), text));
		printf("  %s\n", m->help);
	}
	if (shown == 0)
		printf("  nothing was counted yet; --all shows the zeros\n");

	bool titled = false;
	for (uint32_t i = 0; i < v->meta_count; i++) {
		if (v->meta[i].kind != RC_KIND_HIST)
			continue;
		uint64_t since[RC_HIST_BUCKETS];
		uint64_t count = hist_since(now, before, i, since);
		if (count == 0 && !all)
			continue;
		if (!titled) {
			printf("\n  %-28s %20s", before == NULL ? "since start" : "in the interval",
				"count");
			for (uint32_t q = 0; q < RC_ARRAY_LEN(quantiles); q++)
				printf(" %10s", quantiles[q].name);
			putchar('\n');
			titled = true;
		}
		bool ns = strcmp(v->meta[i].unit, "ns") == 0;
		printf("  %-28s %20s", v->meta[i].name, rc_figure_count(count, text));
		for (uint32_t q = 0; q < RC_ARRAY_LEN(quantiles); q++) {
			uint64_t value = rc_hist_quantile(since, quantiles[q].quantile);
			printf(" %10s",
				ns ? rc_figure_time(value, text) : rc_figure_count(value, text));
		}
		printf("  %s\n", v->meta[i].help);
	}
}

/* ---- printing for programs ------------------------------------------------------------------ */

static void print_json_value(const struct rc_counters_meta *m, uint64_t value)
{
	if (m->kind == RC_KIND_GAUGE)
		printf("%" PRId64, (int64_t)value);
	else
		printf("%" PRIu64, value);
}

static void print_json_hist(uint64_t count, const uint64_t *buckets)
{
	printf("{\"count\":%" PRIu64, count);
	for (uint32_t q = 0; q < RC_ARRAY_LEN(quantiles); q++)
		printf(",\"%s\":%" PRIu64, quantiles[q].name,
			rc_hist_quantile(buckets, quantiles[q].quantile));
	putchar('}');
}

void rc_look_print_json(const struct rc_counters_view *v, uint32_t shard, const struct rc_look *now,
	const struct rc_look *before)
{
	printf("{\"version\":");
	rc_json_text(stdout, v->program_version);
	printf(",\"pid\":%" PRIu32 ",\"file\":", v->pid);
	rc_json_text(stdout, v->path);
	printf(",\"alive\":%s,\"start_ms\":%" PRIu64 ",\"heartbeat_ms\":%" PRIu64
	       ",\"now_ms\":%" PRIu64 ",\"shards\":%" PRIu32 ",\"shard\":",
		rc_counters_alive(v) ? "true" : "false", v->start_wall_ms,
		rc_counters_heartbeat_ms(v), rc_clock_wall_ms(), v->shard_count);
	if (shard == RC_NONE)
		printf("null");
	else
		printf("%" PRIu32, shard);

	/* All of them, zeros too: a program wants the same keys each time. */
	const char *comma = "";
	printf(",\"counters\":{");
	for (uint32_t i = 0; i < v->meta_count; i++) {
		if (v->meta[i].kind == RC_KIND_HIST)
			continue;
		printf("%s", comma);
		rc_json_text(stdout, v->meta[i].name);
		putchar(':');
		print_json_value(&v->meta[i], now->value[i]);
		comma = ",";
	}
	comma = "";
	printf(before == NULL ? "}" : "},\"rates\":{");
	for (uint32_t i = 0; before != NULL && i < v->meta_count; i++) {
		if (v->meta[i].kind != RC_KIND_COUNTER)
			continue;
		printf("%s", comma);
		rc_json_text(stdout, v->meta[i].name);
		printf(":%.1f", rate_since(now, before, i));
		comma = ",";
	}
	comma = "";
	printf(before == NULL ? ",\"histograms\":{" : "},\"histograms\":{");
	for (uint32_t i = 0; i < v->meta_count; i++) {
		if (v->meta[i].kind != RC_KIND_HIST)
			continue;
		uint64_t since[RC_HIST_BUCKETS];
		uint64_t count = hist_since(now, before, i, since);
		printf("%s", comma);
		rc_json_text(stdout, v->meta[i].name);
		putchar(':');
		print_json_hist(count, since);
		comma = ",";
	}
	printf("}}\n");
}
