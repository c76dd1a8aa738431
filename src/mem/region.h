/* SPDX-License-Identifier: Apache-2.0
 *
 * Large mappings that are reserved at start and touched only as they are used: anonymous, zero, huge pages by madvise
 * where the kernel gives them, bound to the NUMA node of the shard that owns them. Start-up only.
 */
#ifndef RC_MEM_REGION_H
#define RC_MEM_REGION_H

#include "base/base.h"
#include "base/error.h"

struct rc_region {
	void *base;
	size_t len;
};

enum rc_region_flags {
	RC_REGION_HUGE =
		1, /* MADV_HUGEPAGE, aligned to 2 MiB; silently without where the kernel can't */
	RC_REGION_SHARED = 2, /* MAP_SHARED (anonymous) */
};

/* node < 0: no binding. A binding that the kernel refuses (no NUMA, seccomp) is not an error. */
int rc_region_open(struct rc_region *r, size_t len, unsigned flags, int node,
	struct rc_error *err) RC_MUST_USE;
void rc_region_close(struct rc_region *r);

#endif
