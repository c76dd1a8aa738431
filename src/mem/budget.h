/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory budget: a line per region that the gateway will ever use, added up before anything is allocated, printed
 * as a table, and refused when the host (or its cgroup) can't hold it. Start-up only, main thread.
 */
#ifndef RC_MEM_BUDGET_H
#define RC_MEM_BUDGET_H

#include "base/base.h"
#include "base/error.h"

#define RC_BUDGET_LINES_MAX 48

struct rc_budget_line {
	char name[40];   /* "connection table" */
	char detail[56]; /* "20000 x 128 B" */
	uint64_t bytes;  /* all shards together */
	bool kernel; /* memory the kernel holds for us (sockets), not part of our own mappings */
};

struct rc_budget {
	uint32_t count;
	struct rc_budget_line line[RC_BUDGET_LINES_MAX];
};

/* detail may be NULL. */
void rc_budget_add(
	struct rc_budget *b, const char *name, const char *detail, uint64_t bytes, bool kernel);
uint64_t rc_budget_total(const struct rc_budget *b, bool kernel);
/* The smallest of physical memory and the cgroup limits (v2 memory.max up the tree, v1 limit_in_bytes); never 0. */
uint64_t rc_budget_host_bytes(void);
/* Fails with a sentence that names the largest lines and their options when the user-space total exceeds `available`. */
int rc_budget_check(
	const struct rc_budget *b, uint64_t available, struct rc_error *err) RC_MUST_USE;
/* Writes the table, aligned, with units and both totals, to a FILE-like callback, one line (no newline) per call. */
void rc_budget_print(
	const struct rc_budget *b, void (*line)(void *ctx, const char *text), void *ctx);

#endif
