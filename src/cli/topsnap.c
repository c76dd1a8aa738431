/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies of a counters file; the contract is in topsnap.h.
 */
#include "cli/topsnap.h"

#include <stdlib.h>

#include "base/clock.h"

static const char *const column_name[RC_TOP_COLUMN_COUNT] = {
	[RC_TOP_BUSY_NS] = "busy_ns",
	[RC_TOP_CLIENTS] = "clients",
	[RC_TOP_DELIVERIES] = "deliveries",
	[RC_TOP_EVENTS] = "events_published",
	[RC_TOP_BEHIND] = "clients_behind",
	[RC_TOP_LOG_BYTES] = "log_bytes",
	[RC_TOP_ARENA_USED] = "arena_used_bytes",
	[RC_TOP_ARENA_SIZE] = "arena_size_bytes",
};

/* Those that are shown by name come first, so that no stranger in the file takes their place. */
static const char *const wanted_hist[] = {
	"publish_to_flush_ns", "turn_ns", "client_rtt_ns", "command_ns"};
_Static_assert(RC_ARRAY_LEN(wanted_hist) <= RC_TOP_HISTS_MAX, "room for all that are shown");

/* ---- the gateway ---------------------------------------------------------------------------- */

static bool is_taken(const struct rc_top_gateway *g, uint32_t entry)
{
	for (uint32_t h = 0; h < g->hist_count; h++)
		if (g->hist[h] == entry)
			return true;
	return false;
}

static void choose_hists(struct rc_top_gateway *g)
{
	for (size_t w = 0; w <= RC_ARRAY_LEN(wanted_hist); w++)
		for (uint32_t i = 0; i < g->meta_count && g->hist_count < RC_TOP_HISTS_MAX; i++) {
			bool fits = w == RC_ARRAY_LEN(wanted_hist) ||
				    strcmp(g->meta[i].name, wanted_hist[w]) == 0;
			if (g->meta[i].kind == RC_KIND_HIST && fits && !is_taken(g, i))
				g->hist[g->hist_count++] = i;
		}
}

bool rc_top_gateway_init(struct rc_top_gateway *g, const struct rc_counters_view *v)
{
	*g = (struct rc_top_gateway){.meta_count = v->meta_count,
		.shard_count = v->shard_count,
		.pid = v->pid,
		.start_wall_ms = v->start_wall_ms};
	memcpy(g->program_version, v->program_version, sizeof(g->program_version));
	memcpy(g->path, v->path, sizeof(g->path));
	g->meta = calloc(v->meta_count, sizeof(g->meta[0]));
	if (g->meta == NULL)
		return false;
	memcpy(g->meta, v->meta, v->meta_count * sizeof(g->meta[0]));
	choose_hists(g);
	for (uint32_t c = 0; c < RC_TOP_COLUMN_COUNT; c++)
		g->column[c] = rc_top_find(g, column_name[c]);
	return true;
}

void rc_top_gateway_deinit(struct rc_top_gateway *g)
{
	free(g->meta);
	*g = (struct rc_top_gateway){0};
}

uint32_t rc_top_find(const struct rc_top_gateway *g, const char *name)
{
	for (uint32_t i = 0; i < g->meta_count; i++)
		if (g->meta[i].kind != RC_KIND_HIST && strcmp(g->meta[i].name, name) == 0)
			return i;
	return RC_NONE;
}

uint32_t rc_top_find_hist(const struct rc_top_gateway *g, const char *name)
{
	for (uint32_t h = 0; h < g->hist_count; h++)
		if (strcmp(g->meta[g->hist[h]].name, name) == 0)
			return h;
	return RC_NONE;
}

/* ---- snapshots ------------------------------------------------------------------------------ */

static size_t shard_values(const struct rc_top_gateway *g)
{
	return (size_t)g->shard_count * RC_TOP_COLUMN_COUNT;
}

bool rc_top_snap_init(struct rc_top_snap *s, const struct rc_top_gateway *g)
{
	*s = (struct rc_top_snap){0};
	s->value = calloc(g->meta_count, sizeof(s->value[0]));
	/* One more than there may be: a file without histograms is no lack of memory. */
	s->hist = calloc(g->hist_count + 1u, sizeof(s->hist[0]));
	s->shard = calloc(shard_values(g), sizeof(s->shard[0]));
	return s->value != NULL && s->hist != NULL && s->shard != NULL;
}

void rc_top_snap_deinit(struct rc_top_snap *s)
{
	free(s->value);
	free(s->hist);
	free(s->shard);
	*s = (struct rc_top_snap){0};
}

void rc_top_snap_copy(
	struct rc_top_snap *to, const struct rc_top_snap *from, const struct rc_top_gateway *g)
{
	to->mono_ns = from->mono_ns;
	to->wall_ms = from->wall_ms;
	to->heartbeat_ms = from->heartbeat_ms;
	memcpy(to->value, from->value, g->meta_count * sizeof(to->value[0]));
	memcpy(to->hist, from->hist, g->hist_count * sizeof(to->hist[0]));
	memcpy(to->shard, from->shard, shard_values(g) * sizeof(to->shard[0]));
}

void rc_top_snap_take(
	struct rc_top_snap *s, const struct rc_top_gateway *g, const struct rc_counters_view *v)
{
	s->mono_ns = rc_clock_mono_ns();
	s->wall_ms = rc_clock_wall_ms();
	s->heartbeat_ms = rc_counters_heartbeat_ms(v);
	for (uint32_t i = 0; i < g->meta_count; i++)
		if (g->meta[i].kind != RC_KIND_HIST)
			s->value[i] = rc_counters_read(v, i, RC_NONE);
	for (uint32_t h = 0; h < g->hist_count; h++) {
		uint64_t count = 0;
		rc_counters_read_hist(v, g->hist[h], RC_NONE, s->hist[h]);
		for (uint32_t b = 0; b < RC_HIST_BUCKETS; b++)
			count += s->hist[h][b];
		s->value[g->hist[h]] = count;
	}
	for (uint32_t shard = 0; shard < g->shard_count; shard++)
		for (uint32_t c = 0; c < RC_TOP_COLUMN_COUNT; c++)
			if (g->column[c] != RC_NONE)
				s->shard[(size_t)shard * RC_TOP_COLUMN_COUNT + c] =
					rc_counters_read(v, g->column[c], shard);
}
