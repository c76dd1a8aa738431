/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers for people; the contract is in figures.h.
 */
#include "cli/figures.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* From here on a rate is shorter with a letter than with its digits. */
#define RATE_DIGITS_MAX 1e7

const char *rc_figure_count(uint64_t value, char out[RC_FIGURE_SIZE])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, value);
	char *p = out;
	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return out;
}

const char *rc_figure_signed(int64_t value, char out[RC_FIGURE_SIZE])
{
	if (value >= 0)
		return rc_figure_count((uint64_t)value, out);
	char rest[RC_FIGURE_SIZE];
	/* 26 bytes at most: 19 digits, 6 commas, the end. */
	snprintf(out, RC_FIGURE_SIZE, "-%.30s", rc_figure_count(0 - (uint64_t)value, rest));
	return out;
}

/* Three digits that matter, and no exponent whatever the rounding. */
static void three_digits(double value, const char *unit, char out[RC_FIGURE_SIZE])
{
	int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
	char number[RC_FIGURE_SIZE];
	snprintf(number, sizeof(number), "%.*f", decimals, value);
	/* "1.50" says no more than "1.5". */
	size_t len = strlen(number);
	while (decimals > 0 && number[len - 1] == '0')
		number[--len] = '\0';
	if (decimals > 0 && number[len - 1] == '.')
		number[--len] = '\0';
	snprintf(out, RC_FIGURE_SIZE, "%.20s %s", number, unit);
}

const char *rc_figure_rate(double value, char out[RC_FIGURE_SIZE])
{
	static const char *const units[] = {"M", "G", "T", "P", "E"};
	if (!isfinite(value)) {
		snprintf(out, RC_FIGURE_SIZE, "-");
		return out;
	}
	value = value < 0 ? 0 : value;
	if (value == 0)
		snprintf(out, RC_FIGURE_SIZE, "0");
	else if (value < 99.95)
		snprintf(out, RC_FIGURE_SIZE, "%.1f", value);
	else if (value < RATE_DIGITS_MAX)
		return rc_figure_count((uint64_t)(value + 0.5), out);
	else {
		size_t u = 0;
		for (value /= 1e6; value >= 999.5 && u + 1 < RC_ARRAY_LEN(units); u++)
			value /= 1000;
		three_digits(RC_MIN(value, 999999.0), units[u], out);
	}
	return out;
}

const char *rc_figure_time(uint64_t ns, char out[RC_FIGURE_SIZE])
{
	/* A unit begins where what is below it would be rounded up to a thousand. */
	if (ns >= 999500000)
		three_digits((double)ns / 1e9, "s", out);
	else if (ns >= 999500)
		three_digits((double)ns / 1e6, "ms", out);
	else if (ns >= 1000)
		three_digits((double)ns / 1e3, "us", out);
	else
		snprintf(out, RC_FIGURE_SIZE, "%" PRIu64 " ns", ns);
	return out;
}

const char *rc_figure_bytes(double value, char out[RC_FIGURE_SIZE])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	if (!isfinite(value)) {
		snprintf(out, RC_FIGURE_SIZE, "-");
		return out;
	}
	value = value < 0 ? 0 : value;
	if (value < 1023.5) {
		snprintf(out, RC_FIGURE_SIZE, "%.0f B", value);
		return out;
	}
	size_t u = 0;
	for (value /= 1024; value >= 1023.5 && u + 1 < RC_ARRAY_LEN(units); u++)
		value /= 1024;
	three_digits(RC_MIN(value, 999999.0), units[u], out);
	return out;
}

const char *rc_figure_uptime(uint64_t seconds, char out[RC_FIGURE_SIZE])
{
	int len = 0;
	if (seconds >= 86400)
		len = snprintf(out, RC_FIGURE_SIZE, "%" PRIu64 " d ", seconds / 86400);
	snprintf(out + len, RC_FIGURE_SIZE - (size_t)len, "%02u:%02u:%02u",
		(unsigned)(seconds / 3600 % 24), (unsigned)(seconds / 60 % 60),
		(unsigned)(seconds % 60));
	return out;
}
