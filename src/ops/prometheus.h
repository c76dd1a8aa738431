/* SPDX-License-Identifier: Apache-2.0
 *
 * The counters as text for Prometheus: exposition format 0.0.4, or OpenMetrics 1.0 for who asks. A pure writer into the
 * caller's buffer; any thread, since all it reads are the shared counters and what is fixed at start.
 *
 * Names are ringcast_*, in seconds and bytes; labels only shard, transport, namespace, reason (and version, of the build).
 * A counter of the list becomes a family by rules (prometheus.c), so a new line in the list shows up by itself.
 *
 * Histograms are folded into fixed bounds. Where a bound cuts a bucket of base/hist.h, which is at most 6.25 % wide, the
 * whole bucket counts as above it: no value is ever told smaller than it was. The sums are exact.
 */
#ifndef RC_OPS_PROMETHEUS_H
#define RC_OPS_PROMETHEUS_H

#include "config/config.h"
#include "ops/counters.h"

#define RC_PROMETHEUS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define RC_PROMETHEUS_OPEN_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Of the whole gateway, fixed at start: a limit, or whether something is there (0 or 1). */
struct rc_prometheus_fact {
	const char *name; /* behind ringcast_ */
	const char *help;
	uint64_t value;
};

/* A line of the memory budget. */
struct rc_prometheus_memory {
	const char *what;
	uint64_t bytes;
	bool kernel;
};

struct rc_prometheus {
	const struct rc_counters *counters;
	const struct rc_config *config; /* for the names of namespaces */
	const char *version;
	const struct rc_prometheus_fact *facts;
	uint32_t fact_count;
	const struct rc_prometheus_memory *memory;
	uint32_t memory_count;
};

/* The name of a counter or a histogram in /metrics, with the label that tells it from others of its family. out: 160 bytes. */
void rc_prometheus_name(const struct rc_counters_meta *meta, char out[160]);
/* What an Accept header (ptr NULL: none) prefers. */
bool rc_prometheus_wants_open(struct rc_str accept);
/* Bytes that rc_prometheus_write can never exceed for the same p, whatever was counted. */
size_t rc_prometheus_bound(const struct rc_prometheus *p, bool open);
/* Writes everything and returns its length; 0 when it does not fit into cap. */
size_t rc_prometheus_write(const struct rc_prometheus *p, bool open, char *out, size_t cap);

#endif
