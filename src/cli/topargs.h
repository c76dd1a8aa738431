/* SPDX-License-Identifier: Apache-2.0
 *
 * What `ringcast top` is told on its command line. Main thread.
 */
#ifndef RC_CLI_TOPARGS_H
#define RC_CLI_TOPARGS_H

#include "base/base.h"

struct rc_top_args {
	uint32_t pid;     /* 0 = any */
	const char *file; /* NULL = any; borrowed from argv */
	double interval_s;
	uint64_t count; /* 0 = for ever */
	bool batch;
};

/* 0; 2 when the line is wrong, which was said; -1 when help was printed. */
RC_MUST_USE int rc_top_args_parse(struct rc_top_args *a, int argc, char **argv);

#endif
