/* SPDX-License-Identifier: Apache-2.0
 *
 * --cpus: the CPUs that workers run on. First process, before the fork.
 */
#ifndef LOAD_CPULIST_H
#define LOAD_CPULIST_H

#include "plan.h"

/* "0-3,8"; each must be one that this process may use. */
int load_cpus_parse(struct load_plan *plan, const char *text, struct rc_error *err) RC_MUST_USE;

#endif
