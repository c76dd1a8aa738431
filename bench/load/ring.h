/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker's io_uring: polls, and receives by the batch. Linux 6.1 and liburing 2.3 are enough. One thread, which must be
 * the one that opened it.
 *
 * A poll ends by itself when the kernel says so (no IORING_CQE_F_MORE): whoever takes the completion arms it anew. Completions of
 * what was closed meanwhile are told by their generation.
 */
#ifndef LOAD_RING_H
#define LOAD_RING_H

#include <liburing.h>

#include "base/base.h"
#include "base/error.h"

enum load_op { LOAD_OP_NONE, LOAD_OP_READABLE, LOAD_OP_WRITABLE, LOAD_OP_RECEIVE, LOAD_OP_OUTLET };

#define LOAD_GENERATION_MASK 0xffffffu

struct load_ring {
	struct io_uring uring;
	bool open;
};

/* op:8 | generation:24 | slot:32 */
static inline uint64_t load_tag(enum load_op op, uint32_t generation, uint32_t slot)
{
	return (uint64_t)op << 56 | (uint64_t)(generation & LOAD_GENERATION_MASK) << 32 | slot;
}

static inline enum load_op load_tag_op(uint64_t tag)
{
	return (enum load_op)(tag >> 56);
}

static inline uint32_t load_tag_generation(uint64_t tag)
{
	return (uint32_t)(tag >> 32) & LOAD_GENERATION_MASK;
}

static inline uint32_t load_tag_slot(uint64_t tag)
{
	return (uint32_t)tag;
}

/* 0, or -errno with a sentence. */
int load_ring_open(struct load_ring *r, struct rc_error *err) RC_MUST_USE;
void load_ring_close(struct load_ring *r);

/* Completes each time that the descriptor becomes ready anew. */
void load_ring_watch(struct load_ring *r, int fd, uint32_t poll_mask, uint64_t tag);
/* Completes once. */
void load_ring_await(struct load_ring *r, int fd, uint32_t poll_mask, uint64_t tag);
/* The poll with this tag, if there is one. Its last completion may still come. */
void load_ring_cancel(struct load_ring *r, uint64_t tag);
/* What is there now, -EAGAIN when nothing: it completes within the next load_ring_enter. */
void load_ring_receive(struct load_ring *r, int fd, void *out, size_t cap, uint64_t tag);
/*
 * To be called before a descriptor is closed: requests that were not submitted yet name it by number, which may soon be another's.
 */
void load_ring_settle(struct load_ring *r);

/* Submits, and lets completions come in; doesn't wait. */
void load_ring_enter(struct load_ring *r);
/* Submits and sleeps until there is a completion, at most ns. */
void load_ring_sleep(struct load_ring *r, uint64_t ns);
/* Something to submit, or the kernel has completions to hand over. No system call. */
bool load_ring_stirs(const struct load_ring *r);

#endif
