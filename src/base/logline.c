/* SPDX-License-Identifier: Apache-2.0 */
#include "base/logline.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/logrow.h"

static enum rc_level level_max = RC_LEVEL_INFO;
static bool json_lines;
static _Thread_local const struct rc_logline_sink *sink;

static const char level_name[][6] = {
	[RC_LEVEL_ERROR] = "error",
	[RC_LEVEL_WARN] = "warn",
	[RC_LEVEL_INFO] = "info",
	[RC_LEVEL_DEBUG] = "debug",
};

void rc_logline_level(enum rc_level level)
{
	level_max = level;
}

void rc_logline_json(bool json)
{
	json_lines = json;
}

bool rc_logline_is_json(void)
{
	return json_lines;
}

bool rc_logline_shown(enum rc_level level)
{
	return level <= level_max;
}

const char *rc_logline_level_name(enum rc_level level)
{
	return level_name[level];
}

void rc_logline_to(const struct rc_logline_sink *to)
{
	sink = to;
}

void rc_logline_put(enum rc_log_where where, const char *line, size_t len)
{
	int saved_errno = errno;
	ssize_t n;

	if (sink) {
		sink->put(sink->ctx, where, line, len);
	} else if (where == RC_LOG_MAIN) {
		do {
			n = write(STDERR_FILENO, line, len);
		} while (n < 0 && errno == EINTR);
	}
	errno = saved_errno;
}

/* The new length, when snprintf has said `added` of a line of `size` bytes at `len`. */
static size_t append(size_t len, size_t size, int added)
{
	if (added < 0)
		return len;
	return len + (size_t)added < size ? len + (size_t)added : size - 1;
}

/* What came from outside must not be able to begin a line of its own or to talk to the terminal. */
static void clean(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < 0x20 || c == 0x7f)
			text[i] = '?';
	}
}

static void RC_PRINTF(3, 0)
	emit_text(enum rc_level level, uint64_t suppressed, const char *format, va_list args)
{
	char line[RC_LOGLINE_MAX];
	/* A byte less, so that the newline always has its place. */
	const size_t size = sizeof(line) - 1;
	int saved_errno = errno;

	rc_clock_iso8601(rc_clock_wall_ms(), line);
	size_t len = RC_ISO8601_LEN;
	len = append(len, size, snprintf(line + len, size - len, " %-5s ", level_name[level]));
	size_t text = len;
	if (suppressed > 0)
		len = append(len, size,
			snprintf(line + len, size - len, "(%llu alike left out) ",
				(unsigned long long)suppressed));
	/* Callers print strerror of what has just failed. */
	errno = saved_errno;
	len = append(len, size, vsnprintf(line + len, size - len, format, args));
	clean(line + text, len - text);
	line[len++] = '\n';
	rc_logline_put(RC_LOG_MAIN, line, len);
	errno = saved_errno;
}

static void RC_PRINTF(3, 0)
	emit(enum rc_level level, uint64_t suppressed, const char *format, va_list args)
{
	char msg[RC_LOGLINE_MAX];
	struct rc_logrow row;

	if (!json_lines) {
		emit_text(level, suppressed, format, args);
		return;
	}
	size_t len = append(0, sizeof(msg), vsnprintf(msg, sizeof(msg), format, args));
	rc_logrow_begin(&row, level, (struct rc_str){msg, len});
	if (suppressed > 0)
		rc_logrow_number(&row, "alike_left_out", suppressed);
	rc_logrow_end(&row, RC_LOG_MAIN);
}

void rc_logline(enum rc_level level, const char *format, ...)
{
	if (level > level_max)
		return;
	va_list args;
	va_start(args, format);
	emit(level, 0, format, args);
	va_end(args);
}

void rc_logline_rated(struct rc_lograte *rate, uint64_t now_ms, uint32_t interval_ms,
	enum rc_level level, const char *format, ...)
{
	if (level > level_max)
		return;
	if (now_ms < rate->next_ms) {
		rate->suppressed++;
		return;
	}
	va_list args;
	va_start(args, format);
	emit(level, rate->suppressed, format, args);
	va_end(args);
	rate->suppressed = 0;
	rate->next_ms = now_ms + interval_ms;
}
