/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of plain lines; the contract is in topbatch.h.
 */
#include "cli/topbatch.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

#define LIST_MAX 256u

static void number(FILE *out, double value, const char *format)
{
	if (isnan(value))
		fputc('-', out);
	else
		fprintf(out, format, value);
	fputc('\n', out);
}

static void print_gateway(FILE *out, const struct rc_top_source *s)
{
	const struct rc_top_gateway *g = &s->model.gateway;
	const struct rc_top_snap *now = rc_top_now(&s->model);
	uint64_t until = s->alive ? now->wall_ms : s->seen_ms;
	char time[RC_ISO8601_LEN];
	rc_clock_iso8601(s->wall_ms, time);
	fprintf(out, "time %.*s\n", RC_ISO8601_LEN, time);
	fprintf(out, "gateway.pid %" PRIu32 "\n", g->pid);
	fprintf(out, "gateway.version %s\n", g->program_version);
	fprintf(out, "gateway.shards %" PRIu32 "\n", g->shard_count);
	fprintf(out, "gateway.alive %d\n", s->alive);
	fprintf(out, "gateway.uptime_s %" PRIu64 "\n",
		until > g->start_wall_ms ? (until - g->start_wall_ms) / 1000 : 0);
	fprintf(out, "gateway.heartbeat_age_ms %" PRIu64 "\n",
		s->wall_ms > now->heartbeat_ms ? s->wall_ms - now->heartbeat_ms : 0);
	/* A file's name may have any byte in it. */
	fputs("gateway.file ", out);
	for (const char *c = g->path; *c != '\0'; c++)
		fputc(*c < ' ' || *c > '~' ? '?' : *c, out);
	fprintf(out, "\ninterval_s %.3f\n", rc_top_seconds(&s->model, RC_TOP_INTERVAL));
	/* Less than one when it has not looked for so long. */
	fprintf(out, "minute_s %.3f\n", rc_top_seconds(&s->model, RC_TOP_MINUTE));
}

static void print_gauge(FILE *out, const struct rc_top_model *m, const char *key, const char *name)
{
	int64_t value;
	if (rc_top_value(m, name, &value))
		fprintf(out, "%s %" PRId64 "\n", key, value);
	else
		fprintf(out, "%s -\n", key);
}

static void print_figures(FILE *out, const struct rc_top_model *m)
{
	static const char *const gauges[][2] = {{"clients", "clients"},
		{"clients.sse", "clients_sse"}, {"clients.behind", "clients_behind"},
		{"users", "users"}, {"memory.log_bytes", "log_bytes"},
		{"memory.arena_used_bytes", "arena_used_bytes"},
		{"memory.arena_size_bytes", "arena_size_bytes"},
		{"memory.history_bytes", "history_bytes"}};
	static const char *const rates[] = {"events_published", "sys_events", "deliveries",
		"send_bytes", "messages_in", "clients_opened", "clients_closed"};
	for (size_t i = 0; i < RC_ARRAY_LEN(gauges); i++)
		print_gauge(out, m, gauges[i][0], gauges[i][1]);
	fputs("rate.events ", out);
	number(out, rc_top_rate_of_events(m), "%.1f");
	for (size_t i = 0; i < RC_ARRAY_LEN(rates); i++) {
		fprintf(out, "rate.%s ", rates[i]);
		number(out, rc_top_rate_of(m, rates[i]), "%.1f");
	}
	for (uint32_t h = 0; h < m->gateway.hist_count; h++) {
		const char *name = m->gateway.meta[m->gateway.hist[h]].name;
		struct rc_top_quantiles q = rc_top_quantiles(m, RC_TOP_INTERVAL, h);
		const uint64_t values[] = {q.p50, q.p90, q.p99, q.max};
		static const char *const keys[] = {"p50", "p90", "p99", "max"};
		fprintf(out, "histogram.%s.count %" PRIu64 "\n", name, q.count);
		for (size_t i = 0; i < RC_ARRAY_LEN(keys); i++) {
			fprintf(out, "histogram.%s.%s ", name, keys[i]);
			number(out, q.count > 0 ? (double)values[i] : NAN, "%.0f");
		}
	}
}

static void print_shards(FILE *out, const struct rc_top_model *m)
{
	static struct rc_top_shard rows[RC_COUNTERS_SHARDS_MAX];
	rc_top_shards(m, RC_TOP_BY_SHARD, rows);
	for (uint32_t i = 0; i < m->gateway.shard_count; i++) {
		const struct {
			const char *key;
			double value;
			const char *format;
		} cells[] = {{"load", rows[i].load, "%.3f"}, {"clients", rows[i].clients, "%.0f"},
			{"deliveries", rows[i].deliveries, "%.1f"},
			{"events", rows[i].events, "%.1f"}, {"behind", rows[i].behind, "%.0f"},
			{"log_bytes", rows[i].log_bytes, "%.0f"}};
		for (size_t c = 0; c < RC_ARRAY_LEN(cells); c++) {
			fprintf(out, "shard.%" PRIu32 ".%s ", rows[i].shard, cells[c].key);
			number(out, cells[c].value, cells[c].format);
		}
	}
}

static void print_list(FILE *out, const struct rc_top_model *m, bool trouble)
{
	struct rc_top_row rows[LIST_MAX];
	uint32_t count = (trouble ? rc_top_troubles : rc_top_closes)(m, rows, LIST_MAX);
	for (uint32_t i = 0; i < count; i++) {
		const char *name = m->gateway.meta[rows[i].entry].name;
		const char *list = trouble ? "trouble" : "close";
		fprintf(out, "%s.%s.total %" PRIu64 "\n", list, name, rows[i].total);
		fprintf(out, "%s.%s.minute %" PRIu64 "\n", list, name, rows[i].minute);
		fprintf(out, "%s.%s.rate ", list, name);
		number(out, rows[i].rate, "%.1f");
	}
}

static void print_verdict(FILE *out, const struct rc_top_model *m)
{
	struct rc_top_verdict v = rc_top_verdict(m);
	fprintf(out, "verdict.kinds %" PRIu32 "\n",
		v.lately + rc_top_saturated(v.load) + rc_top_saturated(v.memory));
	fputs("verdict.load ", out);
	number(out, v.load, "%.3f");
	fputs("verdict.memory ", out);
	number(out, v.memory, "%.3f");
}

void rc_top_batch_print(FILE *out, const struct rc_top_source *s)
{
	print_gateway(out, s);
	print_figures(out, &s->model);
	print_shards(out, &s->model);
	print_verdict(out, &s->model);
	print_list(out, &s->model, false);
	print_list(out, &s->model, true);
	fputc('\n', out);
}
