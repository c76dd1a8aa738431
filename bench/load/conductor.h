/* SPDX-License-Identifier: Apache-2.0
 *
 * The conductor's own state, and the files that it is made of. Its thread only.
 *
 *   conduct.c   before the first phase and after the last one     phases.c   connect, warm, measure, drain
 *   pulse.c     what is done all the time                          finish.c   from counts to a result
 */
#ifndef LOAD_CONDUCTOR_H
#define LOAD_CONDUCTOR_H

#include <signal.h>

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
	const volatile sig_atomic_t *signals; /* that came */

	enum load_phase phase;
	uint64_t begin_ns, phase_ns;
	uint64_t window_ns; /* 0: it did not come to that */
	uint32_t wanted;    /* clients and publishers */
	bool publishes;     /* or makes handshakes: the server is at work */
	bool closed_loop, acks, inexact;

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

/* phases.c. The workers are told; returns at once. */
void load_phase_set(struct load_conductor *c, enum load_phase phase);
/* These four: 0, 1 when it ended before its time (the result says why), -errno with a sentence. */
int load_phase_connect(struct load_conductor *c, struct rc_error *err) RC_MUST_USE;
/* WARM or MEASURE for so long. */
int load_phase_flow(struct load_conductor *c, enum load_phase phase, double seconds,
	struct rc_error *err) RC_MUST_USE;
int load_phase_measure(struct load_conductor *c, struct rc_error *err) RC_MUST_USE;
int load_phase_drain(struct load_conductor *c, struct rc_error *err) RC_MUST_USE;

/*
 * pulse.c. Totals and server as they are now, and one more point of the timeline, unless it would be so short that its rates
 * were noise: then the next one begins where it would have begun. Memory is exact where nothing is measured that the look
 * could disturb.
 */
void load_pulse_sample(struct load_conductor *c);
/* After a pause. 0 to go on, 1 to stop because of a signal or the server, -errno. *g is filled in any case. */
int load_pulse_tick(struct load_conductor *c, uint64_t pause_ns, struct load_glance *g,
	struct rc_error *err) RC_MUST_USE;

/* finish.c */
#define LOAD_REASON_SIZE 257

/* All workers have ended: why an attempt of theirs failed, fit for a terminal. False: nobody said. */
bool load_finish_reason(const struct load_conductor *c, char out[LOAD_REASON_SIZE]);
/* Kernel, CPU, time of day. */
void load_finish_host(struct load_result *r);
/* All workers have ended: what they counted becomes c->r, with its verdict. */
void load_finish(struct load_conductor *c);

#endif
