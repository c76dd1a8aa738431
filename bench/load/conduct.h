/* SPDX-License-Identifier: Apache-2.0
 *
 * A run, from the first connect to the verdict. The first process's main thread; there must be no other yet.
 */
#ifndef LOAD_CONDUCT_H
#define LOAD_CONDUCT_H

#include "result.h"

/*
 * 0: *r is filled and has a verdict. -errno with a sentence: it could not be measured.
 * SIGINT and SIGTERM end it with what was measured so far; a second one ends the process.
 */
int load_conduct(
	const struct load_plan *plan, struct load_result *r, struct rc_error *err) RC_MUST_USE;

#endif
