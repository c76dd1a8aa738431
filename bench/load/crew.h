/* SPDX-License-Identifier: Apache-2.0
 *
 * The workers' threads, in this process and in others that it forks. Children hold nothing but their threads, and die with their
 * parent. The conductor's thread.
 *
 *   this process   workers 0 … threads - 1
 *   child n        workers n * threads … (n + 1) * threads - 1
 */
#ifndef LOAD_CREW_H
#define LOAD_CREW_H

#include <pthread.h>

#include "shared.h"

struct load_crew_member {
	const struct load_plan *plan;
	struct load_shared *shared;
	uint32_t index;
	pthread_t thread;
};

struct load_crew {
	const struct load_plan *plan;
	struct load_shared *shared;
	struct load_crew_member member[LOAD_WORKERS_MAX];
	uint32_t threads; /* that were started in this process */
	pid_t child[LOAD_WORKERS_MAX];
	uint32_t children;
};

/* Call before there is any other thread. On an error nothing is left running. */
int load_crew_start(struct load_crew *crew, const struct load_plan *plan,
	struct load_shared *shared, struct rc_error *err) RC_MUST_USE;
/* -errno with a sentence when a worker gave up or a child ended. */
int load_crew_look(struct load_crew *crew, struct rc_error *err) RC_MUST_USE;
/* The phase is END or told_abort is set: waits for all. False when some had to be left behind: nothing of theirs may be freed. */
bool load_crew_join(struct load_crew *crew);

#endif
