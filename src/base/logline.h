/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines for the operator: "2026-01-15T10:15:00.000Z info  text", or one JSON object each. Whole lines, any thread. A thread that
 * has a sink gives its lines there and never waits; without one they go to standard error at once. The data path never logs an
 * event: it counts, and reports through a rate-limited line. Lines with fields are built in logrow.h.
 */
#ifndef RC_BASE_LOGLINE_H
#define RC_BASE_LOGLINE_H

#include "base/base.h"

/* At most PIPE_BUF, so that lines of several threads into one pipe never mix. */
#define RC_LOGLINE_MAX 2048

enum rc_level { RC_LEVEL_ERROR, RC_LEVEL_WARN, RC_LEVEL_INFO, RC_LEVEL_DEBUG };
enum rc_log_where { RC_LOG_MAIN, RC_LOG_ACCESS };

/* Set once at start, before threads. */
void rc_logline_level(enum rc_level level);
void rc_logline_json(bool json);
bool rc_logline_is_json(void);
bool rc_logline_shown(enum rc_level level);
const char *rc_logline_level_name(enum rc_level level);

void rc_logline(enum rc_level level, const char *format, ...) RC_PRINTF(2, 3);

/* One line per interval_ms at most; the next one says how many were left out. Zero value is valid; one thread each. */
struct rc_lograte {
	uint64_t next_ms;
	uint64_t suppressed;
};
void rc_logline_rated(struct rc_lograte *rate, uint64_t now_ms, uint32_t interval_ms,
	enum rc_level level, const char *format, ...) RC_PRINTF(5, 6);

/* Takes whole lines, their newline included, without waiting. */
struct rc_logline_sink {
	void *ctx;
	void (*put)(void *ctx, enum rc_log_where where, const char *line, size_t len);
};
/* For the lines of this thread; NULL: none. Must outlive its use. */
void rc_logline_to(const struct rc_logline_sink *sink);
/* A whole line. Without a sink those of the access log go nowhere. */
void rc_logline_put(enum rc_log_where where, const char *line, size_t len);

#define rc_error_line(...) rc_logline(RC_LEVEL_ERROR, __VA_ARGS__)
#define rc_warn_line(...)  rc_logline(RC_LEVEL_WARN, __VA_ARGS__)
#define rc_info_line(...)  rc_logline(RC_LEVEL_INFO, __VA_ARGS__)
#define rc_debug_line(...) rc_logline(RC_LEVEL_DEBUG, __VA_ARGS__)

#endif
