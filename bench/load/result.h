/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run came to, and the forms it is shown in. Filled by the conductor, written at the end. All of it is one
 * thread's.
 */
#ifndef LOAD_RESULT_H
#define LOAD_RESULT_H

#include <stdio.h>

#include "plan.h"
#include "shared.h"

#define LOAD_TIMELINE_MAX 4096 /* samples; when a run is longer, neighbours are merged */
#define LOAD_NOTES_MAX    32

enum load_verdict { LOAD_OK, LOAD_FAULTY, LOAD_UNUSABLE, LOAD_LIMITED, LOAD_INTERRUPTED };

struct load_quantiles {
	uint64_t count, mean, p50, p90, p99, p999, p9999, max; /* ns */
};

struct load_sample {
	double t;       /* seconds since the window began; below 0 before it */
	double seconds; /* that it covers */
	uint64_t clients, deliveries, published, bytes, connects;
	struct load_quantiles latency;
	double server_cpu, generator_cpu; /* CPUs in use; server < 0: not known */
	uint64_t server_rss;
};

struct load_group_result {
	struct load_group_stats sum; /* of all workers, at the end */
	uint64_t window_deliveries, window_bytes, window_published, window_acked;
	uint64_t window_handshakes, window_resumed;
	struct load_quantiles latency, connect, ack;
	struct load_quantiles before_storm, in_storm; /* parts of latency */
};

struct load_result {
	const struct load_plan *plan;
	enum load_verdict verdict;
	char note[LOAD_NOTES_MAX][300]; /* sentences: why, and what to do */
	uint32_t notes;
	char started[32]; /* ISO 8601 */
	char kernel[96], cpu_model[96];
	uint32_t cpus;

	double window; /* seconds measured */
	struct load_group_result group[LOAD_GROUPS_MAX];
	uint64_t deliveries, bytes, published, acked; /* of the window, all groups */
	uint64_t handshakes, resumed;                 /* the same */
	struct load_quantiles latency, connect, ack;
	uint64_t latency_hist[RC_HIST_BUCKETS], connect_hist[RC_HIST_BUCKETS],
		ack_hist[RC_HIST_BUCKETS];
	struct load_faults faults; /* of the whole run, groups that must not lose */
	uint64_t told, missed_away;
	struct {
		uint32_t channel;
		struct load_faults faults;
	} faulty[LOAD_FAULTY_MAX]; /* the worst */
	uint32_t faulty_channels;
	uint64_t opened, failed, closed, dropped, returned, open_at_end;
	uint64_t recovered, unrecovered; /* subscriptions that came back with a position */
	double connect_seconds;          /* from the first connect to the last subscription */
	double storm_seconds; /* from the drop to the last client's return; < 0: no storm, or not all came back */

	bool server_known;
	double server_cpu_seconds, server_waited_seconds; /* in the window */
	uint64_t server_rss_start, server_rss_connected, server_rss_max;
	char server_name[64];
	uint32_t server_processes;

	double generator_cpu_seconds, generator_waited_seconds,
		generator_idle_seconds; /* of the window; busiest worker in: */
	double generator_busiest;       /* 0 to 1 */
	uint64_t generator_memory;
	uint32_t processes, threads;
	uint64_t full_reads, reads;
	struct load_quantiles late, turn;

	struct load_sample timeline[LOAD_TIMELINE_MAX];
	uint32_t samples;
};

void load_quantiles(struct load_quantiles *out, const uint64_t hist[RC_HIST_BUCKETS]);
int load_exit_status(enum load_verdict verdict);
const char *load_verdict_name(enum load_verdict verdict);
/* Of plan->clients, how many ever were subscribed. */
uint64_t load_clients_connected(const struct load_result *r);
/* All below 0 when not known. */
double load_cpu_ns_per_delivery(const struct load_result *r);
double load_cpu_ns_per_handshake(const struct load_result *r);
double load_rss_per_client(const struct load_result *r);

/* result_json.c: the keys are documented in README.md, "The JSON". 0 or -errno. */
int load_result_json(const struct load_result *r, FILE *out) RC_MUST_USE;
/* table.c: for people, 100 columns. What a limited generator can't know is a dash. */
void load_result_table(const struct load_result *r, FILE *out);
/* report.c: one page that needs nothing else; json is any text that load_result_json or bench/compare wrote. 0 or -errno with a sentence. */
int load_report(const char *path, struct rc_str json, struct rc_error *err) RC_MUST_USE;
/* compare.c: two files of load_result_json, figures beside each other with B / A. 0, or 2 after a sentence on stderr. */
int load_compare(const char *path_a, const char *path_b, FILE *out);

#endif
