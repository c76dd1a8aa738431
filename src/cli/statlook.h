/* SPDX-License-Identifier: Apache-2.0
 *
 * A look: every value of a counters file at (nearly) one moment. Two of them give rates and the quantiles of what lies in
 * between. Belongs to the subcommand stat; one thread.
 */
#ifndef RC_CLI_STATLOOK_H
#define RC_CLI_STATLOOK_H

#include "ops/counters.h"

/* The arrays have an element for each entry of the file. */
struct rc_look {
	uint64_t mono_ns;
	uint64_t *value;                   /* of counters and gauges */
	uint64_t (*hist)[RC_HIST_BUCKETS]; /* of histograms */
};

/* False when there is no memory; deinit is valid then as well, and on the zero value. */
bool rc_look_init(struct rc_look *l, uint32_t entries) RC_MUST_USE;
void rc_look_deinit(struct rc_look *l);
/* shard: an index, or RC_NONE for the sum of all. */
void rc_look_take(struct rc_look *l, const struct rc_counters_view *v, uint32_t shard);
/* To standard output; before is NULL when only one look was taken. all: also what is zero. */
void rc_look_print(const struct rc_counters_view *v, uint32_t shard, bool all,
	const struct rc_look *now, const struct rc_look *before);
/* One line; always every key. */
void rc_look_print_json(const struct rc_counters_view *v, uint32_t shard, const struct rc_look *now,
	const struct rc_look *before);

#endif
