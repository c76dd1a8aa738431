/* SPDX-License-Identifier: Apache-2.0
 *
 * See ring.h.
 */
#include "ring.h"

#include <errno.h>
#include <unistd.h>

#define SUBMIT_ENTRIES   1024u
#define COMPLETE_ENTRIES 65536u /* a storm completes a poll per client at once */
#define SETUP_TRIES      40
#define SETUP_PAUSE_US   50000u

static int explain(int error, struct rc_error *err)
{
	switch (error) {
	case EPERM:
		rc_error_set(err,
			"this host refuses io_uring: run 'sysctl kernel.io_uring_disabled=0', or in a "
			"container allow io_uring_setup, io_uring_enter and io_uring_register "
			"(--security-opt seccomp=…)");
		break;
	case ENOSYS:
	case EINVAL:
		rc_error_set(err, "this kernel's io_uring is missing or too old: ringcast-load "
				  "needs Linux 6.1 or newer");
		break;
	case ENOMEM:
		rc_error_set(err, "no locked memory for io_uring's queues: raise RLIMIT_MEMLOCK "
				  "(ulimit -l), or say fewer --threads");
		break;
	case EMFILE:
	case ENFILE:
		rc_error_set(err, "no descriptor left for io_uring: raise RLIMIT_NOFILE (ulimit "
				  "-n), or say fewer --clients");
		break;
	default:
		rc_error_set(err,
			"io_uring can't be set up: %s; look into the kernel's log (dmesg)",
			strerror(error));
	}
	return -error;
}

int load_ring_open(struct load_ring *r, struct rc_error *err)
{
	int rc = 0;

	for (int i = 0; i < SETUP_TRIES; i++) {
		struct io_uring_params params = {
			.flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
				 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
				 IORING_SETUP_CQSIZE,
			.cq_entries = COMPLETE_ENTRIES,
		};

		rc = io_uring_queue_init_params(SUBMIT_ENTRIES, &r->uring, &params);
		/* The pages of a ring that just went away are still counted for a moment. */
		if (rc != -ENOMEM)
			break;
		usleep(SETUP_PAUSE_US);
	}
	if (rc < 0)
		return explain(-rc, err);
	r->open = true;
	if (!(r->uring.features & IORING_FEAT_NODROP) ||
		!(r->uring.features & IORING_FEAT_EXT_ARG)) {
		load_ring_close(r);
		return explain(EINVAL, err);
	}
	/* Saves looking up the descriptor at each enter. */
	(void)io_uring_register_ring_fd(&r->uring);
	return 0;
}

void load_ring_close(struct load_ring *r)
{
	if (r->open)
		io_uring_queue_exit(&r->uring);
	r->open = false;
}

static struct io_uring_sqe *next(struct load_ring *r)
{
	struct io_uring_sqe *sqe;

	while (RC_UNLIKELY(!(sqe = io_uring_get_sqe(&r->uring))))
		load_ring_enter(r);
	return sqe;
}

void load_ring_watch(struct load_ring *r, int fd, uint32_t poll_mask, uint64_t tag)
{
	struct io_uring_sqe *sqe = next(r);

	io_uring_prep_poll_multishot(sqe, fd, poll_mask);
	sqe->user_data = tag;
}

void load_ring_await(struct load_ring *r, int fd, uint32_t poll_mask, uint64_t tag)
{
	struct io_uring_sqe *sqe = next(r);

	io_uring_prep_poll_add(sqe, fd, poll_mask);
	sqe->user_data = tag;
}

void load_ring_cancel(struct load_ring *r, uint64_t tag)
{
	struct io_uring_sqe *sqe = next(r);

	io_uring_prep_cancel64(sqe, tag, 0);
	sqe->user_data = load_tag(LOAD_OP_NONE, 0, 0);
}

void load_ring_receive(struct load_ring *r, int fd, void *out, size_t cap, uint64_t tag)
{
	struct io_uring_sqe *sqe = next(r);

	io_uring_prep_recv(sqe, fd, out, cap, MSG_DONTWAIT);
	sqe->user_data = tag;
}

void load_ring_settle(struct load_ring *r)
{
	while (io_uring_sq_ready(&r->uring) > 0)
		load_ring_enter(r);
}

/*
 * -EINTR, -EAGAIN (no memory just now) and -EBUSY (completions must be taken first; the kernel keeps the rest) pass; nothing else
 * can be wrong with a ring that was opened.
 */
static void check(int rc)
{
	RC_ASSERT(rc >= 0 || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY || rc == -ETIME);
}

void load_ring_enter(struct load_ring *r)
{
	check(io_uring_submit_and_get_events(&r->uring));
}

void load_ring_sleep(struct load_ring *r, uint64_t ns)
{
	struct __kernel_timespec ts = {
		.tv_sec = (long long)(ns / 1000000000u), .tv_nsec = (long long)(ns % 1000000000u)};
	struct io_uring_cqe *cqe;

	check(io_uring_submit_and_wait_timeout(&r->uring, &cqe, 1, &ts, NULL));
}

bool load_ring_stirs(const struct load_ring *r)
{
	return io_uring_sq_ready(&r->uring) > 0 || io_uring_cq_ready(&r->uring) > 0 ||
	       (IO_URING_READ_ONCE(*r->uring.sq.kflags) &
		       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}
