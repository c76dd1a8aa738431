/* SPDX-License-Identifier: Apache-2.0 */
#include "shard/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/logrow.h"

#define WAIT_MS 200 /* between two looks at whether a writer that nobody reads is to end */

/* What lies in a ring. */
struct line {
	uint64_t lost; /* lines before this one that found no room */
	char text[];
};

/* ---- the side of those who log -------------------------------------------------------------------- */

static void wake(struct rc_logs *logs)
{
	uint64_t one = 1;

	(void)!write(logs->wake_fd, &one, sizeof(one));
}

static void put(void *ctx, enum rc_log_where where, const char *text, size_t len)
{
	struct rc_log_lane *lane = ctx;
	struct line *line = rc_spsc_reserve(&lane->ring, sizeof(*line) + len);

	if (!line) {
		lane->lost++;
		if (lane->counters)
			rc_count(lane->counters, RC_C_log_dropped, 1);
		return;
	}
	line->lost = lane->lost;
	lane->lost = 0;
	memcpy(line->text, text, len);
	rc_spsc_commit(&lane->ring, (uint32_t)where, sizeof(*line) + len);
	(void)rc_spsc_publish(&lane->ring);
	/* Pairs with rc_sleeper_prepare() in the log thread. */
	rc_sleeper_fence();
	if (rc_sleeper_claim(&lane->logs->sleeper))
		wake(lane->logs);
}

/* ---- the log thread ------------------------------------------------------------------------------- */

static bool stopping(struct rc_logs *logs)
{
	/* Pairs with the release in rc_logs_close(). */
	return atomic_load_explicit(&logs->stop, memory_order_acquire) != 0;
}

/* Room for a line in a pipe, which a write of at most PIPE_BUF then fills without waiting. Files always have some. */
static bool writable(struct rc_logs *logs, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	for (;;) {
		bool last = stopping(logs);
		int n = poll(&p, 1, WAIT_MS);

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		if (n == 0 && last) {
			logs->given_up = true;
			return false;
		}
	}
}

static void write_line(struct rc_logs *logs, int fd, const char *text, size_t len)
{
	bool torn = fd == logs->access_fd && logs->torn;
	size_t whole = len;

	if (torn)
		logs->torn = write(fd, "\n", 1) != 1;
	while (len && fd >= 0 && !logs->given_up) {
		ssize_t n = writable(logs, fd) ? write(fd, text, len) : -1;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		text += n;
		len -= (size_t)n;
	}
	if (fd == logs->access_fd && len && len < whole)
		logs->torn = true;
	if (len && fd >= 0)
		atomic_fetch_add_explicit(&logs->failed, 1, memory_order_relaxed);
}

static void tell_lost(struct rc_logs *logs, uint64_t lost)
{
	struct rc_logrow row;

	rc_logrow_begin(&row, RC_LEVEL_WARN,
		RC_STR("lines were left out: the log is not taken as fast as it comes"));
	rc_logrow_number(&row, "lines", lost);
	rc_logrow_close(&row);
	write_line(logs, STDERR_FILENO, row.text, row.len);
}

static bool drain(struct rc_logs *logs, struct rc_log_lane *lane)
{
	struct rc_spsc_record record;
	bool any = false;

	while (rc_spsc_peek(&lane->ring, &record)) {
		const struct line *line = record.payload;

		if (line->lost)
			tell_lost(logs, line->lost);
		write_line(logs, record.type == RC_LOG_ACCESS ? logs->access_fd : STDERR_FILENO,
			line->text, record.len - sizeof(*line));
		rc_spsc_consume(&lane->ring, &record);
		rc_spsc_release(&lane->ring);
		any = true;
	}
	return any;
}

static bool idle(struct rc_logs *logs)
{
	for (uint32_t i = 0; i < logs->count; i++) {
		if (!rc_spsc_empty(&logs->lanes[i].ring))
			return false;
	}
	return true;
}

static int open_access(const struct rc_config *config)
{
	/* Not to wait for the reader of a named pipe. */
	return open(config->log_access,
		O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

static void reopen(struct rc_logs *logs)
{
	struct rc_logrow row;
	int fd = open_access(logs->config);

	if (fd >= 0) {
		(void)close(logs->access_fd);
		logs->access_fd = fd;
		return;
	}
	rc_logrow_begin(&row, RC_LEVEL_ERROR,
		RC_STR("the access log can't be opened anew, the old file goes on"));
	rc_logrow_text(&row, "path", rc_str_of(logs->config->log_access));
	rc_logrow_text(&row, "why", rc_str_of(strerror(errno)));
	rc_logrow_close(&row);
	write_line(logs, STDERR_FILENO, row.text, row.len);
}

static void sleep_until_woken(struct rc_logs *logs)
{
	struct pollfd p = {.fd = logs->wake_fd, .events = POLLIN};
	uint64_t count;

	rc_sleeper_prepare(&logs->sleeper);
	/* Pairs with the stores of rc_logs_close() and rc_logs_reopen(), which wake after them. */
	if (idle(logs) && !stopping(logs))
		(void)poll(&p, 1, -1);
	rc_sleeper_awake(&logs->sleeper);
	(void)!read(logs->wake_fd, &count, sizeof(count));
}

static void *run(void *ctx)
{
	struct rc_logs *logs = ctx;
	bool last = false;

	(void)prctl(PR_SET_NAME, "log");
	while (!last) {
		bool any = false;

		/* Looked at first: what was logged before is then in the rings. */
		last = stopping(logs);
		/* Pairs with the release in rc_logs_reopen(). */
		if (atomic_exchange_explicit(&logs->reopen, 0, memory_order_acquire))
			reopen(logs);
		for (uint32_t i = 0; i < logs->count; i++)
			any |= drain(logs, &logs->lanes[i]);
		if (!any && !last)
			sleep_until_woken(logs);
	}
	return NULL;
}

/* ---- the main thread ------------------------------------------------------------------------------ */

bool rc_logs_has_file(const struct rc_config *config)
{
	return strcmp(config->log_access, "none") != 0 && strcmp(config->log_access, "stderr") != 0;
}

static int not_opened(const struct rc_config *config, struct rc_error *err)
{
	return rc_error_set(err,
		"[log] access = %s can't be opened: %s; name a file that the gateway may write, or none",
		config->log_access, strerror(errno));
}

/* One that is not there yet is made, where its folder lets us. */
static bool may_write(const char *path)
{
	char folder[RC_CONFIG_TEXT_SIZE];
	const char *slash = strrchr(path, '/');
	struct stat st;

	if (stat(path, &st) == 0) {
		errno = EISDIR;
		return !S_ISDIR(st.st_mode) && access(path, W_OK) == 0;
	}
	if (errno != ENOENT)
		return false;
	(void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path + 1) : 1,
		slash ? path : ".");
	return access(folder, W_OK | X_OK) == 0;
}

int rc_logs_try(const struct rc_config *config, struct rc_error *err)
{
	return !rc_logs_has_file(config) || may_write(config->log_access) ? 0
									  : not_opened(config, err);
}

static size_t lanes_bytes(uint32_t shards)
{
	return rc_align_up(((size_t)shards + 1) * sizeof(struct rc_log_lane), 4096);
}

size_t rc_logs_bytes(uint32_t shards)
{
	return lanes_bytes(shards) + ((size_t)shards + 1) * RC_LOG_RING_BYTES;
}

static int start(struct rc_logs *logs, struct rc_error *err)
{
	sigset_t all, before;
	int rc;

	/* Signals are for the main thread. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&logs->thread, NULL, run, logs);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return rc_error_set(err, "no thread for the log: %s", strerror(rc));
	logs->started = true;
	return 0;
}

int rc_logs_open(
	struct rc_logs *logs, const struct rc_config *config, uint32_t shards, struct rc_error *err)
{
	*logs = (struct rc_logs){.config = config, .wake_fd = -1, .access_fd = -1};
	if (rc_logs_has_file(config)) {
		logs->access_fd = open_access(config);
		if (logs->access_fd < 0)
			return not_opened(config, err);
	} else if (strcmp(config->log_access, "stderr") == 0) {
		logs->access_fd = STDERR_FILENO;
	}
	logs->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (logs->wake_fd < 0)
		return rc_error_set(err, "no eventfd: %s", strerror(errno));
	if (rc_region_open(&logs->memory, rc_logs_bytes(shards), 0, -1, err) < 0)
		return rc_error_prefix(err, "rings of the log");
	logs->lanes = logs->memory.base;
	logs->count = shards + 1;
	unsigned char *rings = (unsigned char *)logs->memory.base + lanes_bytes(shards);
	for (uint32_t i = 0; i < logs->count; i++) {
		struct rc_log_lane *lane = &logs->lanes[i];

		rc_spsc_init(&lane->ring, rings + (size_t)i * RC_LOG_RING_BYTES, RC_LOG_RING_BYTES);
		lane->sink = (struct rc_logline_sink){lane, put};
		lane->logs = logs;
	}
	if (start(logs, err) < 0)
		return -1;
	rc_logline_to(&logs->lanes[shards].sink);
	return 0;
}

const struct rc_logline_sink *rc_logs_sink(
	struct rc_logs *logs, uint32_t shard, struct rc_counters_shard *counters)
{
	if (!logs->started)
		return NULL;
	logs->lanes[shard].counters = counters;
	return &logs->lanes[shard].sink;
}

uint64_t rc_logs_failed(struct rc_logs *logs)
{
	uint64_t failed = atomic_load_explicit(&logs->failed, memory_order_relaxed);
	uint64_t more = failed - logs->failed_seen;

	logs->failed_seen = failed;
	return more;
}

void rc_logs_reopen(struct rc_logs *logs)
{
	if (!logs->started || !rc_logs_has_file(logs->config))
		return;
	/* Pairs with the acquire in run(). */
	atomic_store_explicit(&logs->reopen, 1, memory_order_release);
	wake(logs);
}

void rc_logs_close(struct rc_logs *logs)
{
	if (!logs->config)
		return;
	rc_logline_to(NULL);
	if (logs->started) {
		/* Pairs with the acquire in stopping(). */
		atomic_store_explicit(&logs->stop, 1, memory_order_release);
		wake(logs);
		(void)pthread_join(logs->thread, NULL);
	}
	if (rc_logs_has_file(logs->config) && logs->access_fd >= 0)
		(void)close(logs->access_fd);
	if (logs->wake_fd >= 0)
		(void)close(logs->wake_fd);
	rc_region_close(&logs->memory);
	*logs = (struct rc_logs){.config = NULL, .wake_fd = -1, .access_fd = -1};
}
