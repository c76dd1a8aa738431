/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines for the operator on standard error: "2026-01-15T10:15:00.000Z info  text". Whole lines, one write(2) each, any
 * thread. The data path never logs an event: it counts, and reports through a rate-limited line.
 */
#ifndef RC_BASE_LOGLINE_H
#define RC_BASE_LOGLINE_H

#include "base/base.h"

enum rc_level { RC_LEVEL_ERROR, RC_LEVEL_WARN, RC_LEVEL_INFO, RC_LEVEL_DEBUG };

/* Set once at start, before threads. */
void rc_logline_level(enum rc_level level);
void rc_logline(enum rc_level level, const char *format, ...) RC_PRINTF(2, 3);

/* One line per interval_ms at most; the next one says how many were left out. Zero value is valid; one thread each. */
struct rc_lograte {
	uint64_t next_ms;
	uint64_t suppressed;
};
void rc_logline_rated(struct rc_lograte *rate, uint64_t now_ms, uint32_t interval_ms,
	enum rc_level level, const char *format, ...) RC_PRINTF(5, 6);

#define rc_error_line(...) rc_logline(RC_LEVEL_ERROR, __VA_ARGS__)
#define rc_warn_line(...)  rc_logline(RC_LEVEL_WARN, __VA_ARGS__)
#define rc_info_line(...)  rc_logline(RC_LEVEL_INFO, __VA_ARGS__)
#define rc_debug_line(...) rc_logline(RC_LEVEL_DEBUG, __VA_ARGS__)

#endif
