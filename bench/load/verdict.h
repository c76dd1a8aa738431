/* SPDX-License-Identifier: Apache-2.0
 *
 * What to think of a run: the figures are the server's, or the generator's, or nobody's. Pure: from a filled result. The
 * rules are explained in README.md, "When the generator is the limit".
 */
#ifndef LOAD_VERDICT_H
#define LOAD_VERDICT_H

#include "totals.h"

/* One more sentence; beyond LOAD_NOTES_MAX they are dropped. */
void load_note(struct load_result *r, const char *format, ...) RC_PRINTF(2, 3);
/* The worst wins: unusable, faulty, interrupted, limited, ok. */
void load_worsen(struct load_result *r, enum load_verdict verdict);
/* Lost events, refused clients: what the counts of the filled result say. undelivered: expected, and neither came nor is accounted for. */
void load_judge_faults(struct load_result *r, uint64_t undelivered);
/* from, to: the ends of the window. Does nothing with plan->own_limit, or when nothing was measured. */
void load_judge_limits(
	struct load_result *r, const struct load_totals *from, const struct load_totals *to);

#endif
