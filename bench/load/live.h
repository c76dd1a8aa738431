/* SPDX-License-Identifier: Apache-2.0
 *
 * What one sees while it runs: a line on standard error, redrawn in place on a terminal, once in five seconds otherwise. The
 * conductor's thread.
 */
#ifndef LOAD_LIVE_H
#define LOAD_LIVE_H

#include <stdio.h>

#include "base/base.h"

struct load_live {
	FILE *out; /* NULL: quiet */
	bool terminal;
	uint64_t shown_ns;
	int width; /* of what stands there now */
};

struct load_live_line {
	const char *phase;
	double seconds; /* since the phase began */
	uint64_t clients, wanted;
	double deliveries_per_second;
	uint64_t p50, p99; /* 0: nothing to tell */
	double server_cpu; /* < 0: not known */
	uint64_t server_rss;
};

void load_live_open(struct load_live *l, FILE *out, bool quiet);
/* Shows the line if it is time for one; at_once: in any case. */
void load_live_show(struct load_live *l, const struct load_live_line *line, bool at_once);
/* Leaves an empty line behind on a terminal. */
void load_live_close(struct load_live *l);

#endif
