/* SPDX-License-Identifier: Apache-2.0
 *
 * How much memory this process may ever have: the host's, or less when its cgroup or one above it says so. Start-up
 * only.
 */
#ifndef RC_MEM_HOSTMEM_H
#define RC_MEM_HOSTMEM_H

#include "base/base.h"

/*
 * Reads proc/meminfo, proc/self/cgroup and sys/fs/cgroup below `root` ("" for the real ones). UINT64_MAX when nothing
 * there says a limit.
 */
uint64_t rc_hostmem_limit(const char *root);

#endif
