/* SPDX-License-Identifier: Apache-2.0
 *
 * A path is a piece of the gateway's work that can be done any number of times over, all alike. The program does `times` of one
 * path under callgrind, which counts what runs inside counted() and nothing else; bench/count-instructions takes the
 * difference of two such runs, so that what only the first ones cost falls out too.
 */
#ifndef BENCH_INSTRUCTIONS_PATH_H
#define BENCH_INSTRUCTIONS_PATH_H

#include "rig/rig.h"

struct path {
	const char *name;
	const char *what; /* one of what, for people */
	/* Both times are done. Powers of ten apart they need not be, but of the same number of digits: argv is on the stack. */
	uint32_t times[2];
	/* Subscribers, where the cost is split into those of an event and of a subscriber; {0} elsewhere. */
	uint32_t crowd[2];
	uint32_t each; /* of what is named, done by one of the times */
	void (*run)(uint32_t times, uint32_t crowd);
};

extern const struct path path_turn[], path_delivery[], path_publish[], path_client[], path_text[],
	path_users[];

/* callgrind collects from its beginning to its end. Not from inside itself. */
void counted(void (*body)(void *ctx), void *ctx);
/* A turn of the shard, counted. */
void counted_turn(struct rig *rig, uint32_t shard);

#endif
