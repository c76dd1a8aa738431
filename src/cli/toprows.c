/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the model: shards, close reasons, trouble; the contract is in topmodel.h.
 */
#include "cli/topmodel.h"

#include <math.h>
#include <stdlib.h>

/* ---- shards --------------------------------------------------------------------------------- */

static double *sort_key(struct rc_top_shard *row, enum rc_top_sort sort)
{
	switch (sort) {
	case RC_TOP_BY_LOAD:
		return &row->load;
	case RC_TOP_BY_CLIENTS:
		return &row->clients;
	case RC_TOP_BY_DELIVERIES:
		return &row->deliveries;
	case RC_TOP_BY_EVENTS:
		return &row->events;
	case RC_TOP_BY_BEHIND:
		return &row->behind;
	case RC_TOP_BY_LOG:
		return &row->log_bytes;
	case RC_TOP_BY_SHARD:
	case RC_TOP_SORT_COUNT:
		break;
	}
	return NULL;
}

/* What is not known sorts last. */
static double ordered(double value)
{
	return isnan(value) ? -INFINITY : value;
}

static int compare_shards(const void *pa, const void *pb, void *ctx)
{
	struct rc_top_shard a = *(const struct rc_top_shard *)pa;
	struct rc_top_shard b = *(const struct rc_top_shard *)pb;
	const double *key_a = sort_key(&a, *(enum rc_top_sort *)ctx);
	const double *key_b = sort_key(&b, *(enum rc_top_sort *)ctx);
	if (key_a != NULL && key_b != NULL && ordered(*key_a) != ordered(*key_b))
		return ordered(*key_a) < ordered(*key_b) ? 1 : -1;
	return a.shard < b.shard ? -1 : 1;
}

static double gauge_of(
	const struct rc_top_model *m, const uint64_t *values, enum rc_top_column column)
{
	return m->gateway.column[column] == RC_NONE ? NAN : (double)(int64_t)values[column];
}

static double rate_of(const struct rc_top_model *m, const uint64_t *now, const uint64_t *before,
	enum rc_top_column column)
{
	double seconds = rc_top_seconds(m, RC_TOP_INTERVAL);
	if (m->gateway.column[column] == RC_NONE || seconds <= 0)
		return NAN;
	return now[column] > before[column] ? (double)(now[column] - before[column]) / seconds : 0;
}

void rc_top_shards(const struct rc_top_model *m, enum rc_top_sort sort, struct rc_top_shard *rows)
{
	for (uint32_t s = 0; s < m->gateway.shard_count; s++) {
		size_t at = (size_t)s * RC_TOP_COLUMN_COUNT;
		const uint64_t *now = rc_top_now(m)->shard + at;
		/* Nothing is known of before the first snapshot; then there are no seconds either. */
		const uint64_t *before = m->snap[(m->taken + 1) % 2].shard + at;
		rows[s] = (struct rc_top_shard){
			.shard = s,
			.load = rate_of(m, now, before, RC_TOP_BUSY_NS) / 1e9,
			.clients = gauge_of(m, now, RC_TOP_CLIENTS),
			.deliveries = rate_of(m, now, before, RC_TOP_DELIVERIES),
			.events = rate_of(m, now, before, RC_TOP_EVENTS),
			.behind = gauge_of(m, now, RC_TOP_BEHIND),
			.log_bytes = gauge_of(m, now, RC_TOP_LOG_BYTES),
		};
	}
	qsort_r(rows, m->gateway.shard_count, sizeof(rows[0]), compare_shards, &sort);
}

/* ---- lists of counters ---------------------------------------------------------------------- */

static struct rc_top_row row_of(const struct rc_top_model *m, uint32_t entry)
{
	return (struct rc_top_row){
		.entry = entry,
		.total = rc_top_now(m)->value[entry],
		.minute = rc_top_grown(m, RC_TOP_MINUTE, entry),
		.rate = rc_top_rate(m, entry),
	};
}

/* Puts a row where it belongs among the `count` best, of which there are at most max. */
static uint32_t insert(struct rc_top_row *rows, uint32_t count, uint32_t max, struct rc_top_row row,
	bool (*before)(const struct rc_top_row *, const struct rc_top_row *))
{
	uint32_t at = count;
	while (at > 0 && before(&row, &rows[at - 1]))
		at--;
	if (at == max)
		return count;
	uint32_t kept = RC_MIN(count, max - 1);
	memmove(&rows[at + 1], &rows[at], (kept - at) * sizeof(rows[0]));
	rows[at] = row;
	return kept + 1;
}

static bool more_often(const struct rc_top_row *a, const struct rc_top_row *b)
{
	return a->total > b->total;
}

uint32_t rc_top_closes(const struct rc_top_model *m, struct rc_top_row *rows, uint32_t max)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < m->gateway.meta_count; i++) {
		const struct rc_counters_meta *meta = &m->gateway.meta[i];
		if (meta->kind == RC_KIND_COUNTER && strncmp(meta->name, "close_", 6) == 0 &&
			rc_top_now(m)->value[i] > 0)
			count = insert(rows, count, max, row_of(m, i), more_often);
	}
	return count;
}

bool rc_top_is_trouble(const char *name)
{
	static const char *const words[] = {"refused", "limited", "failed", "failures", "dropped",
		"error", "overflow", "starved", "lost", "unauthorized"};
	static const char *const names[] = {"gaps_sent", "dead_letters", "events_skipped",
		"lag_disconnects", "lapped", "acked_trimmed", "accept_emfile", "presence_full",
		"commands_timeout", "commands_no_backend", "commands_busy", "backends_stalled",
		"webhook_timeouts", "webhook_cut", "webhook_answers_bad",
		/* lighter: somebody else's fault, or known to who it befell */
		"commands_forbidden", "http_forbidden", "http_bad", "ingest_nacks", "replies_bad",
		"history_squeezed", "consumers_expired", "inflate_bombs", "inflate_broken",
		"tls_bad_records", "tls_bad_messages", "sys_events_left_out"};
	/* Reasons of closes have a list of their own. */
	if (strncmp(name, "close_", 6) == 0)
		return false;
	for (size_t i = 0; i < RC_ARRAY_LEN(words); i++)
		if (strstr(name, words[i]) != NULL)
			return true;
	for (size_t i = 0; i < RC_ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool worse(const struct rc_top_row *a, const struct rc_top_row *b)
{
	bool now_a = a->rate > 0, now_b = b->rate > 0;
	if (now_a != now_b)
		return now_a;
	return a->minute != b->minute ? a->minute > b->minute : a->total > b->total;
}

static bool counts_trouble(const struct rc_top_model *m, uint32_t entry)
{
	const struct rc_counters_meta *meta = &m->gateway.meta[entry];
	return meta->kind == RC_KIND_COUNTER && rc_top_is_trouble(meta->name);
}

uint32_t rc_top_troubles(const struct rc_top_model *m, struct rc_top_row *rows, uint32_t max)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < m->gateway.meta_count; i++)
		if (counts_trouble(m, i) && rc_top_now(m)->value[i] > 0)
			count = insert(rows, count, max, row_of(m, i), worse);
	return count;
}

/* ---- the verdict ---------------------------------------------------------------------------- */

/* Takes `share` of `shard` when it is the largest so far. */
static void largest(double *most, uint32_t *at, double share, uint32_t shard)
{
	if (isnan(share) || share <= *most)
		return;
	*most = share;
	*at = shard;
}

struct rc_top_verdict rc_top_verdict(const struct rc_top_model *m)
{
	struct rc_top_verdict v = {.load = NAN, .memory = NAN};
	for (uint32_t i = 0; i < m->gateway.meta_count; i++) {
		if (!counts_trouble(m, i))
			continue;
		v.counted++;
		v.ever += rc_top_now(m)->value[i] > 0;
		v.lately += rc_top_grown(m, RC_TOP_MINUTE, i) > 0;
	}
	for (uint32_t s = 0; s < m->gateway.shard_count; s++) {
		size_t at = (size_t)s * RC_TOP_COLUMN_COUNT;
		const uint64_t *now = rc_top_now(m)->shard + at;
		const uint64_t *before = m->snap[(m->taken + 1) % 2].shard + at;
		double size = gauge_of(m, now, RC_TOP_ARENA_SIZE);
		largest(&v.load, &v.busiest, rate_of(m, now, before, RC_TOP_BUSY_NS) / 1e9, s);
		if (size > 0)
			largest(&v.memory, &v.fullest, gauge_of(m, now, RC_TOP_ARENA_USED) / size,
				s);
	}
	return v;
}
