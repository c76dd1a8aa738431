/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker: the thread that holds clients and publishers. Runs until the phase is END or told_abort; what stops it otherwise
 * is a sentence in its stats' error. Never exits the process.
 */
#ifndef LOAD_WORKER_H
#define LOAD_WORKER_H

#include "shared.h"

/* index: which of shared->workers. Everything it needs is made inside; 0, or -errno after error was written. */
int load_worker_run(const struct load_plan *plan, struct load_shared *shared, uint32_t index);

#endif
