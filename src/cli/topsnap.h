/* SPDX-License-Identifier: Apache-2.0
 *
 * What `ringcast top` takes out of a counters file: who wrote it and what is in it, once (rc_top_gateway), and all values at
 * (nearly) one moment, again and again (rc_top_snap). Copies, so that what is shown outlives the file. Everything goes by
 * name: a file of another version may have less, or what nobody here knows. Main thread.
 */
#ifndef RC_CLI_TOPSNAP_H
#define RC_CLI_TOPSNAP_H

#include "ops/counters.h"

/* Histograms of a file that are read; a file may claim thousands. */
#define RC_TOP_HISTS_MAX 8

/* What is told of each shard. */
enum rc_top_column {
	RC_TOP_BUSY_NS,
	RC_TOP_CLIENTS,
	RC_TOP_DELIVERIES,
	RC_TOP_EVENTS,
	RC_TOP_BEHIND,
	RC_TOP_LOG_BYTES,
	RC_TOP_ARENA_USED,
	RC_TOP_ARENA_SIZE,
	RC_TOP_COLUMN_COUNT
};

struct rc_top_gateway {
	struct rc_counters_meta *meta; /* meta_count of them; NULL = nothing is here */
	uint32_t meta_count;
	uint32_t shard_count;
	uint32_t pid;
	uint32_t hist_count;
	uint32_t hist[RC_TOP_HISTS_MAX];      /* their entries */
	uint32_t column[RC_TOP_COLUMN_COUNT]; /* entries, or RC_NONE */
	uint64_t start_wall_ms;
	char program_version[32];
	char path[RC_COUNTERS_PATH_MAX];
};

/* The arrays belong to the shape of one rc_top_gateway. */
struct rc_top_snap {
	uint64_t mono_ns;
	uint64_t wall_ms;
	uint64_t heartbeat_ms;
	uint64_t *value; /* by entry, sums of all shards; of a histogram: how many it counted */
	uint64_t (*hist)[RC_HIST_BUCKETS]; /* by place in rc_top_gateway.hist */
	uint64_t *shard;                   /* RC_TOP_COLUMN_COUNT for each shard */
};

/* False when there is no memory; deinit is valid then as well, twice, and on the zero value. */
bool rc_top_gateway_init(struct rc_top_gateway *g, const struct rc_counters_view *v) RC_MUST_USE;
void rc_top_gateway_deinit(struct rc_top_gateway *g);
/* The entry of that name with one value, or RC_NONE. */
uint32_t rc_top_find(const struct rc_top_gateway *g, const char *name);
/* The place in hist[] of the histogram of that name, or RC_NONE. */
uint32_t rc_top_find_hist(const struct rc_top_gateway *g, const char *name);

bool rc_top_snap_init(struct rc_top_snap *s, const struct rc_top_gateway *g) RC_MUST_USE;
void rc_top_snap_deinit(struct rc_top_snap *s);
void rc_top_snap_copy(
	struct rc_top_snap *to, const struct rc_top_snap *from, const struct rc_top_gateway *g);
/* Reads from the mapping: under rc_counters_guarded. v is what g was made of. */
void rc_top_snap_take(
	struct rc_top_snap *s, const struct rc_top_gateway *g, const struct rc_counters_view *v);

#endif
