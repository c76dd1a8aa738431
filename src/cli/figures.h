/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers as people read them, for what the subcommands print. Each writes at most RC_FIGURE_SIZE bytes, ASCII, and returns
 * out. Any thread.
 */
#ifndef RC_CLI_FIGURES_H
#define RC_CLI_FIGURES_H

#include "base/base.h"

#define RC_FIGURE_SIZE 32

/* "1,234,567" */
const char *rc_figure_count(uint64_t value, char out[RC_FIGURE_SIZE]);
/* The same of a gauge, which may have gone below zero. */
const char *rc_figure_signed(int64_t value, char out[RC_FIGURE_SIZE]);
/* What happens a second: "0.3", "12.0", "1,234", "12.3 M", without the unit; "-" when it is not known (NAN). */
const char *rc_figure_rate(double value, char out[RC_FIGURE_SIZE]);
/* "999 ns", "12.3 us", "1.5 ms", "3.25 s": three digits. */
const char *rc_figure_time(uint64_t ns, char out[RC_FIGURE_SIZE]);
/* "999 B", "1.5 KiB" */
const char *rc_figure_bytes(double value, char out[RC_FIGURE_SIZE]);
/* "1 d 02:03:04", "02:03:04" */
const char *rc_figure_uptime(uint64_t seconds, char out[RC_FIGURE_SIZE]);

#endif
