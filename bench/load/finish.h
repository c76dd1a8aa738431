/* SPDX-License-Identifier: Apache-2.0
 *
 * The conductor's own state, and how it becomes a result when the workers have ended. Its thread only.
 */
#ifndef LOAD_FINISH_H
#define LOAD_FINISH_H

#include "crew.h"
#include "live.h"
#include "verdict.h"
#include "watch.h"

struct load_conductor {
	const struct load_plan *plan;
	struct load_shared *shared;
	struct load_result *r;
	struct load_crew crew;
	struct load_watch watch;
	struct load_live live;

	enum load_phase phase;
	uint64_t begin_ns, phase_ns;
	uint64_t window_ns; /* 0: it did not come to that */
	uint32_t wanted;    /* clients and publishers */
	bool publishes, closed_loop, acks, inexact;

	struct load_totals *start, *end; /* of the window */
	struct load_totals *last,
		*next;           /* of the timeline: where its next point begins, and room */
	struct load_totals *now; /* one of these two: the latest */
	struct load_seen seen, last_seen, start_seen, end_seen;
	bool server_gone;

	uint64_t storms; /* bits of the groups whose storm has begun */
	uint64_t storm_ns;
	uint64_t moved, moved_ns; /* progress, and when it was last seen */
};

#define LOAD_REASON_SIZE 257

/* All workers have ended: why an attempt of theirs failed, fit for a terminal. False: nobody said. */
bool load_finish_reason(const struct load_conductor *c, char out[LOAD_REASON_SIZE]);
/* Kernel, CPU, time of day. */
void load_finish_host(struct load_result *r);
/* All workers have ended: what they counted becomes c->r, with its verdict. */
void load_finish(struct load_conductor *c);

#endif
