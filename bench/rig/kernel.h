/* SPDX-License-Identifier: Apache-2.0
 *
 * A kernel that costs nothing, behind the seam of io/io.h: a send is taken whole and completes in the next turn, what a
 * client is to have sent is put in by hand, the clock moves by one step a turn and randomness is the same in every process.
 * So a shard's own work can be timed and counted by itself, and counted alike each time.
 *
 * It takes the place of io/uring.c by being linked before it, and of clock_gettime(2) and getrandom(2) by --wrap. One thread.
 */
#ifndef BENCH_RIG_KERNEL_H
#define BENCH_RIG_KERNEL_H

#include "io/io.h"

/* Descriptors begin here, far above any real one: what is called with them beside the seam finds nothing and does nothing. */
#define KERNEL_FD_FIRST (1 << 24)

/* A connection arrives at the listener that was armed as this one, 0 or 1. Its descriptor. */
int kernel_accept(struct rc_io *io, uint32_t which);
/* Bytes arrive; they are copied, since who receives them may change them. One piece per descriptor and turn. */
void kernel_receive(struct rc_io *io, int fd, const void *bytes, uint32_t len);
/* What was sent so far. */
uint64_t kernel_sends(const struct rc_io *io);
uint64_t kernel_sent_bytes(const struct rc_io *io);
/* The last send's beginning, at most 4 KiB of it, when keeping was asked for. */
void kernel_keep_last(struct rc_io *io);
const void *kernel_last(const struct rc_io *io, uint32_t *len);
/* Both clocks move on. */
void kernel_pass(uint64_t ns);

#endif
