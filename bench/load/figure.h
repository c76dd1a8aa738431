/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures as people read them: three digits that count, in a unit that fits. Each function writes a NUL-terminated text
 * that is never longer than LOAD_FIGURE_MAX and returns out, so that it can stand among printf's arguments. Below 0, or no
 * number: a dash. Any thread.
 */
#ifndef LOAD_FIGURE_H
#define LOAD_FIGURE_H

#include "target.h"

#define LOAD_FIGURE_MAX 32
#define LOAD_DASH       "-"

enum load_unit {
	LOAD_UNIT_COUNT,   /* 9,812,334 */
	LOAD_UNIT_RATE,    /* 9,812,334 a second; below 100 with a digit behind the point */
	LOAD_UNIT_NS,      /* 812 ns, 4.91 us, 1.02 ms, 1.5 s: with the micro sign */
	LOAD_UNIT_BYTES,   /* 256 B, 1.5 KiB, 12.3 MiB */
	LOAD_UNIT_SECONDS, /* 5.00 s */
	LOAD_UNIT_CPUS,    /* 0.98 */
	LOAD_UNIT_RATIO    /* 1.013 */
};

const char *load_figure(char out[LOAD_FIGURE_MAX], enum load_unit unit, double value);
/* scheme://host:port/path; of a query only that there is one, since it may hold a token and results are handed around. */
const char *load_figure_url(char *out, size_t cap, const struct load_url *url);
/* How many columns of a terminal the text takes: characters, not bytes. */
int load_figure_width(const char *text);

#endif
