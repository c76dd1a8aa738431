/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with a configuration, all of it and not only the first thing, as lines for the operator. The caller owns
 * it; the zero value is an empty report.
 */
#ifndef RC_CONFIG_REPORT_H
#define RC_CONFIG_REPORT_H

#include <stdio.h>

#include "base/base.h"

#define RC_CONFIG_REPORT_LINES     20
#define RC_CONFIG_REPORT_LINE_SIZE 480

struct rc_config_report {
	uint32_t errors; /* counted on beyond the lines that are kept */
	uint32_t warnings;
	char error[RC_CONFIG_REPORT_LINES][RC_CONFIG_REPORT_LINE_SIZE];
	char warning[RC_CONFIG_REPORT_LINES][RC_CONFIG_REPORT_LINE_SIZE];
};

/* Returns -1, so that `return rc_config_report_error(r, ...)` reads well. Bytes that are no text are shown as '?'. */
int rc_config_report_error(struct rc_config_report *r, const char *format, ...) RC_PRINTF(2, 3);
void rc_config_report_warning(struct rc_config_report *r, const char *format, ...) RC_PRINTF(2, 3);
/* "error: …" and "warning: …" lines, and how many more there were. */
void rc_config_report_print(const struct rc_config_report *r, FILE *out);

#endif
