/* SPDX-License-Identifier: Apache-2.0 */
#include "mem/region.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem/poison.h"

#define HUGE_BYTES ((size_t)2 << 20)
#define NODES_MAX  1024
#define WORD_BITS  (8 * sizeof(unsigned long))

static int map_failed(struct rc_error *err, size_t len)
{
	return rc_error_set(err,
		"the kernel refused to map %zu MiB of memory: %s. Lower the limits in the "
		"configuration, or check `ulimit -v` and the sysctl vm.overcommit_memory",
		len >> 20, strerror(errno));
}

/*
 * Preferred, not strict: a strict binding makes the kernel kill processes when one node is full while another has
 * memory to spare. By system call, because libnuma would be a dependency for this one line.
 */
static void bind_to_node(void *base, size_t len, int node)
{
	unsigned long mask[NODES_MAX / WORD_BITS] = {0};
	if (node < 0 || node >= NODES_MAX)
		return;
	mask[(unsigned)node / WORD_BITS] = 1ul << ((unsigned)node % WORD_BITS);
	/* The kernel takes one from the count of bits. */
	(void)syscall(SYS_mbind, base, len, MPOL_PREFERRED, mask, NODES_MAX + 1ul, 0u);
}

int rc_region_open(struct rc_region *r, size_t len, unsigned flags, int node, struct rc_error *err)
{
	*r = (struct rc_region){0};
	RC_ASSERT(len > 0);
	bool huge = (flags & RC_REGION_HUGE) != 0;
	size_t unit = huge ? HUGE_BYTES : (size_t)sysconf(_SC_PAGESIZE);
	if (len > SIZE_MAX / 2) {
		errno = ENOMEM;
		return map_failed(err, len);
	}
	size_t want = rc_align_up(len, unit);
	/* mmap aligns to pages only: a unit more is asked for, and both ends are given back. */
	size_t slack = huge ? HUGE_BYTES : 0;
	/* Not counted against overcommit: the memory budget has been checked, and most is touched late or never. */
	int how = MAP_ANONYMOUS | MAP_NORESERVE |
		  ((flags & RC_REGION_SHARED) != 0 ? MAP_SHARED : MAP_PRIVATE);

	unsigned char *at = mmap(NULL, want + slack, PROT_READ | PROT_WRITE, how, -1, 0);
	if (at == MAP_FAILED)
		return map_failed(err, want);
	unsigned char *base = at;
	if (huge) {
		size_t before = (size_t)(-(uintptr_t)at & (HUGE_BYTES - 1));
		base = at + before;
		if (before > 0)
			(void)munmap(at, before);
		if (before < slack)
			(void)munmap(base + want, slack - before);
		(void)madvise(base, want, MADV_HUGEPAGE);
	}
	bind_to_node(base, want, node);
	r->base = base;
	r->len = want;
	return 0;
}

void rc_region_close(struct rc_region *r)
{
	if (r->base == NULL)
		return;
	/* The next mapping at this address must not inherit what a pool has poisoned here. */
	RC_UNPOISON(r->base, r->len);
	RC_ASSERT(munmap(r->base, r->len) == 0);
	*r = (struct rc_region){0};
}
