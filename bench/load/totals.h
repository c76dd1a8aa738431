/* SPDX-License-Identifier: Apache-2.0
 *
 * What all workers have counted, at one moment: numbers of the conductor's own, so that two moments can be compared.
 */
#ifndef LOAD_TOTALS_H
#define LOAD_TOTALS_H

#include "result.h"

struct load_worker_time {
	uint64_t cpu_ns, idle_ns, waited_ns;
};

struct load_totals {
	uint64_t at_ns;
	struct load_group_stats group[LOAD_GROUPS_MAX];
	struct load_worker_time worker[LOAD_WORKERS_MAX];
	uint64_t bytes, reads, full_reads, memory;
	uint64_t late[RC_HIST_BUCKETS], turn[RC_HIST_BUCKETS];
};

/* The few numbers that the conductor asks for many times a second. */
struct load_glance {
	uint64_t wanted, connecting, open, opened, failed, closed, dropped, returned;
	uint64_t published;
	/* Of groups that must not lose, for of the others nothing is expected. */
	uint64_t deliveries, expected, told, missed_away, lost;
	uint64_t
		to_ack; /* published by publishers, which the server may acknowledge; echoes are not */
	uint64_t acked, refused, overdue;
	uint64_t storm_open, storm_wanted, storm_dropped,
		storm_returned; /* of groups with a storm */
};

void load_totals_take(
	struct load_totals *t, const struct load_plan *plan, struct load_shared *shared);
void load_glance_take(
	struct load_glance *g, const struct load_plan *plan, struct load_shared *shared);

/* CPU seconds of the generator between two moments, polling that found nothing left out. */
double load_totals_cpu(
	const struct load_totals *from, const struct load_totals *to, uint32_t workers);

/* The stretch from one moment to the next becomes one more sample, seconds of which begin at start_ns. */
void load_timeline_add(struct load_result *r, const struct load_totals *from,
	const struct load_totals *to, uint64_t start_ns, double server_cpu, uint64_t server_rss);

/* The counts of a stretch that is too short for a sample of its own become the last sample's. */
void load_timeline_extend(
	struct load_result *r, const struct load_totals *from, const struct load_totals *to);

#endif
