/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of the whole gateway: lines of shards and of the main thread go into a ring each, and one thread writes them, so that
 * nobody waits for a disk or for who reads the pipe. A ring that is full drops lines, counts them, and the next line that finds
 * room is preceded by one that says how many.
 *
 *   shard, main ──ring──▶ log thread ──▶ standard error
 *                                   └──▶ the access log: a file, opened anew at SIGHUP, or standard error
 *
 * Main thread but for what is marked shared.
 */
#ifndef RC_SHARD_LOGS_H
#define RC_SHARD_LOGS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/logline.h"
#include "config/config.h"
#include "mem/region.h"
#include "ops/counters.h"
#include "sync/sleeper.h"
#include "sync/spsc.h"

#define RC_LOG_RING_BYTES (256u << 10)

struct rc_logs;

/* What one thread writes into. */
struct rc_log_lane {
	struct rc_spsc ring;
	struct rc_logline_sink sink;
	struct rc_logs *logs;
	struct rc_counters_shard *counters; /* NULL: the main thread's */
	uint64_t lost;                      /* since the last line that found room */
};

struct rc_logs {
	struct rc_sleeper sleeper; /* shared; of its own line */
	const struct rc_config *config;
	struct rc_region memory;
	struct rc_log_lane *lanes; /* one for each shard, then the main thread's */
	uint32_t count;
	pthread_t thread;
	bool started;
	int wake_fd;
	uint64_t failed_seen; /* by the shard that counts */
	/* the log thread's, while there is one */
	int access_fd; /* -1: none */
	bool torn;     /* the last line of the access log is there in part */
	bool given_up; /* the gateway ends, and nobody takes the lines */
	/* shared */
	_Atomic uint32_t stop;
	_Atomic uint32_t reopen;
	_Atomic uint64_t failed; /* lines that could not be written */
};

/* The access log has a file of its own. */
bool rc_logs_has_file(const struct rc_config *config);
/* Whether it could be opened, as far as can be told without making it. */
int rc_logs_try(const struct rc_config *config, struct rc_error *err) RC_MUST_USE;
size_t rc_logs_bytes(uint32_t shards);
/* Rings, files, the thread. From here on the calling thread's lines go through its ring. */
int rc_logs_open(struct rc_logs *logs, const struct rc_config *config, uint32_t shards,
	struct rc_error *err) RC_MUST_USE;
/* The sink of a shard's thread. */
const struct rc_logline_sink *rc_logs_sink(
	struct rc_logs *logs, uint32_t shard, struct rc_counters_shard *counters);
/* Lines that could not be written since the last call. One shard's thread. */
uint64_t rc_logs_failed(struct rc_logs *logs);
/* The file was moved away: begins a new one. */
void rc_logs_reopen(struct rc_logs *logs);
/* Writes what is there, as far as somebody takes it, and ends. After the shards. */
void rc_logs_close(struct rc_logs *logs);

#endif
