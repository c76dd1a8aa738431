/* SPDX-License-Identifier: Apache-2.0
 *
 * io_uring behind the seam. The floor is liburing 2.3 and Linux 6.1; features are probed, never inferred from a version.
 */
#include <errno.h>
#include <liburing.h>
#include <linux/tls.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/io.h"
#include "mem/region.h"

#define TAG_GENERATION_BITS 24
#define SETUP_RETRY_NS      2000000000u

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* Told to the handler as RC_IO_RECV. The buffer of such a completion holds more than what was received:
 *
 *   io_uring_recvmsg_out │ cmsghdr, type of the record │ payload
 */
#define OP_RECORDS      0x82u
#define RECORDS_CONTROL CMSG_SPACE(1)
#define RECORDS_HEAD    (sizeof(struct io_uring_recvmsg_out) + RECORDS_CONTROL)

struct group {
	struct io_uring_buf_ring *ring;
	unsigned char *buffers;
	uint32_t count;
	uint32_t bytes;
	uint16_t first_id; /* ids of the large group follow those of the small one */
	uint32_t out;      /* buffers that hold data we were told of and did not give back */
	uint32_t returned; /* given back since the last advance */
};

struct rc_io {
	struct io_uring ring;
	struct group group[RC_IO_GROUPS];
	struct rc_region buffers;
	struct msghdr
		records; /* only says how much control data is wanted; read whenever one is armed */
	uint64_t overflows;
	bool overflow_seen;
	char features[96];
};

static uint64_t pack(unsigned op, struct rc_io_tag tag)
{
	return (uint64_t)op << 56 |
	       (uint64_t)(tag.generation & ((1u << TAG_GENERATION_BITS) - 1)) << 32 | tag.slot;
}

/* ---- opening ------------------------------------------------------------------------------------ */

static int sysctl_uring_disabled(void)
{
	FILE *f = fopen("/proc/sys/kernel/io_uring_disabled", "re");
	int value = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%d", &value) != 1) // NOLINT(cert-err34-c): a bad value stays -1
		value = -1;
	(void)fclose(f);
	return value;
}

static int explain_setup(int error, struct rc_error *err)
{
	struct rlimit lock = {0, 0};
	int disabled = sysctl_uring_disabled();

	switch (error) {
	case EPERM:
		if (disabled > 0)
			return rc_error_set(err,
				"this kernel refuses io_uring: kernel.io_uring_disabled is %d; "
				"run 'sysctl kernel.io_uring_disabled=0', or with 1 add the user's group to "
				"kernel.io_uring_group",
				disabled);
		return rc_error_set(err,
			"io_uring is refused although kernel.io_uring_disabled allows it: a seccomp filter of "
			"the container forbids it; run with '--security-opt seccomp=unconfined' or a profile that "
			"allows io_uring_setup, io_uring_enter and io_uring_register");
	case ENOSYS:
		return rc_error_set(err,
			"this kernel has no io_uring, or a sandbox's seccomp filter hides it; ringcast needs "
			"Linux 6.1 or newer");
	case EINVAL:
		return rc_error_set(err,
			"this kernel's io_uring lacks a feature that ringcast needs (DEFER_TASKRUN and "
			"SINGLE_ISSUER, Linux 6.1); boot a newer kernel");
	case ENOMEM:
		(void)getrlimit(RLIMIT_MEMLOCK, &lock);
		return rc_error_set(err,
			"no locked memory for the io_uring queues: RLIMIT_MEMLOCK is %llu KiB; raise it "
			"(LimitMEMLOCK=infinity in a systemd unit, 'ulimit -l'), or use fewer shards or a smaller "
			"submit_entries",
			(unsigned long long)lock.rlim_cur / 1024);
	case EMFILE:
	case ENFILE:
		return rc_error_set(err,
			"no descriptor left for io_uring: raise RLIMIT_NOFILE ('ulimit -n', LimitNOFILE)");
	default:
		return rc_error_set(err, "io_uring_setup failed: %s", strerror(error));
	}
}

static int setup_ring(struct rc_io *io, uint32_t entries, struct rc_error *err)
{
	uint64_t deadline = rc_clock_mono_ns() + SETUP_RETRY_NS;

	for (;;) {
		struct io_uring_params params;
		memset(&params, 0, sizeof(params));
		params.flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
			       IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
			       IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;
		params.cq_entries = RC_MIN(RC_MAX(entries * 8, 16384u), 65536u);
		int rc = io_uring_queue_init_params(entries, &io->ring, &params);
		if (rc == 0)
			break;
		/* The pages of a ring that just went away are still counted for a moment (seen on 6.18). */
		if (rc != -ENOMEM || rc_clock_mono_ns() > deadline)
			return explain_setup(-rc, err);
		usleep(50000);
	}
	if ((io->ring.features & IORING_FEAT_NODROP) && (io->ring.features & IORING_FEAT_EXT_ARG))
		return 0;
	io_uring_queue_exit(&io->ring);
	return explain_setup(EINVAL, err);
}

static const struct {
	uint8_t op;
	const char *name;
} required_ops[] = {
	{IORING_OP_ACCEPT, "ACCEPT"},
	{IORING_OP_CONNECT, "CONNECT"},
	{IORING_OP_RECV, "RECV"},
	{IORING_OP_SEND, "SEND"},
	{IORING_OP_POLL_ADD, "POLL_ADD"},
	{IORING_OP_CLOSE, "CLOSE"},
	{IORING_OP_MSG_RING, "MSG_RING"},
	{IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL"},
};

static int probe(struct rc_io *io, struct rc_error *err)
{
	struct io_uring_probe *p = io_uring_get_probe_ring(&io->ring);

	if (!p)
		return rc_error_set(
			err, "this kernel's io_uring can't be probed; ringcast needs Linux 6.1");
	for (size_t i = 0; i < RC_ARRAY_LEN(required_ops); i++) {
		if (!io_uring_opcode_supported(p, required_ops[i].op)) {
			io_uring_free_probe(p);
			return rc_error_set(err,
				"this kernel's io_uring lacks %s; ringcast needs Linux 6.1 or newer",
				required_ops[i].name);
		}
	}
	(void)snprintf(io->features, sizeof(io->features), "%s%s",
		io_uring_opcode_supported(p, IORING_OP_SEND_ZC) ? "send_zc " : "",
		(io->ring.features & (1u << 15)) ? "min_wait" : "");
	io_uring_free_probe(p);
	return 0;
}

static size_t group_bytes(const struct rc_io_options *o, int g)
{
	return rc_align_up(sizeof(struct io_uring_buf) * o->buffers[g], 4096) +
	       (size_t)o->buffers[g] * o->buffer_bytes[g];
}

uint64_t rc_io_bytes(const struct rc_io_options *o)
{
	uint64_t cq = RC_MIN(RC_MAX(o->submit_entries * 8, 16384u), 65536u);

	return group_bytes(o, RC_IO_SMALL) + group_bytes(o, RC_IO_LARGE) + cq * 16 +
	       (uint64_t)o->submit_entries * (64 + 4);
}

static int open_group(struct rc_io *io, int g, unsigned char *memory, const struct rc_io_options *o,
	struct rc_error *err)
{
	struct group *grp = &io->group[g];
	struct io_uring_buf_reg reg;

	grp->count = o->buffers[g];
	grp->bytes = o->buffer_bytes[g];
	grp->first_id = (uint16_t)(g == RC_IO_LARGE ? o->buffers[RC_IO_SMALL] : 0);
	grp->ring = (struct io_uring_buf_ring *)(void *)memory;
	grp->buffers = memory + rc_align_up(sizeof(struct io_uring_buf) * grp->count, 4096);
	memset(&reg, 0, sizeof(reg));
	reg.ring_addr = (uint64_t)(uintptr_t)grp->ring;
	reg.ring_entries = grp->count;
	reg.bgid = (uint16_t)g;
	int rc = io_uring_register_buf_ring(&io->ring, &reg, 0);
	if (rc == -EINVAL)
		return rc_error_set(err,
			"this kernel has no provided buffer rings; ringcast needs Linux 6.1 or newer");
	if (rc < 0)
		return explain_setup(-rc, err);
	io_uring_buf_ring_init(grp->ring);
	int mask = io_uring_buf_ring_mask(grp->count);
	for (uint32_t i = 0; i < grp->count; i++)
		io_uring_buf_ring_add(grp->ring, grp->buffers + (size_t)i * grp->bytes, grp->bytes,
			(uint16_t)(grp->first_id + i), mask, (int)i);
	io_uring_buf_ring_advance(grp->ring, (int)grp->count);
	return 0;
}

int rc_io_open(struct rc_io **out, const struct rc_io_options *o, struct rc_error *err)
{
	struct rc_io *io = calloc(1, sizeof(*io));
	size_t small = rc_align_up(group_bytes(o, RC_IO_SMALL), 4096);
	unsigned limits[2] = {1, 1};

	*out = NULL;
	if (!io)
		return rc_error_set(err, "out of memory");
	io->records.msg_controllen = RECORDS_CONTROL;
	if (setup_ring(io, o->submit_entries, err) < 0) {
		free(io);
		return -1;
	}
	if (probe(io, err) < 0 || rc_region_open(&io->buffers, small + group_bytes(o, RC_IO_LARGE),
					  0, o->node, err) < 0)
		goto fail;
	/* The kernel goes round all of them: touched now, not on the way of the first messages. */
	memset(io->buffers.base, 0, small + group_bytes(o, RC_IO_LARGE));
	if (open_group(io, RC_IO_SMALL, io->buffers.base, o, err) < 0 ||
		open_group(io, RC_IO_LARGE, (unsigned char *)io->buffers.base + small, o, err) < 0)
		goto fail;
	/* Nothing of ours should reach the kernel's worker threads; one of each kind bounds what does. */
	(void)io_uring_register_iowq_max_workers(&io->ring, limits);
	*out = io;
	return 0;
fail:
	rc_io_close(io);
	return -1;
}

int rc_io_enable(struct rc_io *io)
{
	/* The call itself: Debian 12's liburing 2.3 declares io_uring_enable_rings but does not export it. */
	int rc = (int)syscall(
		__NR_io_uring_register, io->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);

	return rc < 0 ? -errno : 0;
}

void rc_io_close(struct rc_io *io)
{
	if (!io)
		return;
	io_uring_queue_exit(&io->ring);
	rc_region_close(&io->buffers);
	free(io);
}

int rc_io_ring_fd(const struct rc_io *io)
{
	return io->ring.ring_fd;
}

const char *rc_io_features(const struct rc_io *io)
{
	return io->features;
}

/* ---- asking ------------------------------------------------------------------------------------- */

static struct io_uring_sqe *next_sqe(struct rc_io *io)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&io->ring);

	if (RC_LIKELY(sqe != NULL))
		return sqe;
	for (int tries = 0; tries < 1000; tries++) {
		int rc = io_uring_submit(&io->ring);
		if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
			break;
		sqe = io_uring_get_sqe(&io->ring);
		if (sqe)
			return sqe;
		(void)io_uring_get_events(&io->ring);
	}
	RC_FAIL("io_uring takes no more requests");
	return NULL;
}

void rc_io_accept(struct rc_io *io, int listener, struct rc_io_tag tag)
{
	struct io_uring_sqe *sqe = next_sqe(io);

	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	sqe->user_data = pack(RC_IO_ACCEPT, tag);
}

void rc_io_cancel_accept(struct rc_io *io, struct rc_io_tag tag)
{
	struct io_uring_sqe *sqe = next_sqe(io);

	io_uring_prep_cancel64(sqe, pack(RC_IO_ACCEPT, tag), 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = 0;
}

void rc_io_connect(struct rc_io *io, int fd, struct rc_io_tag tag, const struct sockaddr *address,
	socklen_t len)
{
	struct io_uring_sqe *sqe = next_sqe(io);

	io_uring_prep_connect(sqe, fd, address, len);
	sqe->user_data = pack(RC_IO_CONNECT, tag);
}

void rc_io_cancel_connect(struct rc_io *io, struct rc_io_tag tag)
{
	struct io_uring_sqe *sqe = next_sqe(io);

	io_uring_prep_cancel64(sqe, pack(RC_IO_CONNECT, tag), 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = 0;
}

void rc_io_recv(struct rc_io *io, int fd, struct rc_io_tag tag, enum rc_io_group group,
	enum rc_io_recv_how how)
{
	struct io_uring_sqe *sqe = next_sqe(io);

	/* With no room for payload the kernel would report every arrival as the end of the stream. */
	RC_ASSERT(how != RC_IO_RECORDS || io->group[group].bytes > RECORDS_HEAD);
	if (how == RC_IO_RECORDS)
		io_uring_prep_recvmsg_multishot(sqe, fd, &io->records, 0);
	else if (how == RC_IO_MULTISHOT)
		io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	else
		io_uring_prep_recv(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = (uint16_t)group;
	sqe->user_data = pack(how == RC_IO_RECORDS ? OP_RECORDS : RC_IO_RECV, tag);
}

void rc_io_send(struct rc_io *io, int fd, struct rc_io_tag tag, const void *bytes, uint32_t len)
{
	struct io_uring_sqe *sqe = next_sqe(io);

	io_uring_prep_send(sqe, fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	sqe->user_data = pack(RC_IO_SEND, tag);
}

void rc_io_poll_out(struct rc_io *io, int fd, struct rc_io_tag tag)
{
	struct io_uring_sqe *sqe = next_sqe(io);

	io_uring_prep_poll_add(sqe, fd, POLLOUT);
	sqe->user_data = pack(RC_IO_POLLOUT, tag);
}

void rc_io_poll_readable(struct rc_io *io, int fd, struct rc_io_tag tag)
{
	struct io_uring_sqe *sqe = next_sqe(io);

	io_uring_prep_poll_add(sqe, fd, POLLIN);
	sqe->user_data = pack(RC_IO_READABLE, tag);
}

void rc_io_poll_in(struct rc_io *io, int fd, struct rc_io_tag tag)
{
	struct io_uring_sqe *sqe = next_sqe(io);

	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	sqe->user_data = pack(RC_IO_POLLIN, tag);
}

void rc_io_close_fd(struct rc_io *io, int fd)
{
	struct io_uring_sqe *sqe = next_sqe(io);

	io_uring_prep_close(sqe, fd);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = 0;
}

void rc_io_wake(struct rc_io *io, int ring_fd)
{
	struct io_uring_sqe *sqe = next_sqe(io);

	io_uring_prep_msg_ring(sqe, ring_fd, 0, pack(RC_IO_WAKE, (struct rc_io_tag){0, 0}), 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = 0;
}

/* ---- running ------------------------------------------------------------------------------------ */

/* What the kernel did not take at once is offered again: no send may still point into a log when this returns. */
static void submit_rest(struct rc_io *io)
{
	for (int tries = 0; io_uring_sq_ready(&io->ring) != 0; tries++) {
		RC_ASSERT(tries < 1000);
		(void)io_uring_submit_and_get_events(&io->ring);
	}
}

void rc_io_submit(struct rc_io *io)
{
	(void)io_uring_submit_and_get_events(&io->ring);
	submit_rest(io);
}

void rc_io_submit_and_wait(struct rc_io *io, uint64_t timeout_ns)
{
	struct __kernel_timespec ts = {
		.tv_sec = (long long)(timeout_ns / 1000000000u),
		.tv_nsec = (long long)(timeout_ns % 1000000000u),
	};
	struct io_uring_cqe *cqe;

	(void)io_uring_submit_and_wait_timeout(&io->ring, &cqe, 1, &ts, NULL);
	submit_rest(io);
}

bool rc_io_pending(const struct rc_io *io)
{
	return io_uring_cq_ready(&io->ring) != 0 ||
	       (IO_URING_READ_ONCE(*io->ring.sq.kflags) &
		       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

static void return_buffer(struct group *g, uint16_t id)
{
	io_uring_buf_ring_add(g->ring, g->buffers + (size_t)(id - g->first_id) * g->bytes, g->bytes,
		id, io_uring_buf_ring_mask(g->count), (int)g->returned);
	g->returned++;
	g->out--;
}

/* From what the kernel put into the buffer to what the handler is told: the payload and its type. */
static void unwrap(struct rc_io_event *ev)
{
	struct io_uring_recvmsg_out out;
	struct cmsghdr c;

	ev->op = RC_IO_RECV;
	if (ev->res < 0) {
		ev->data = NULL;
		return;
	}
	if (!ev->data || (size_t)ev->res < RECORDS_HEAD) {
		ev->data = NULL;
		ev->res = -EIO;
		return;
	}
	/* Copies: the size of a buffer is an option, so they may lie anywhere. */
	memcpy(&out, ev->data, sizeof(out));
	memcpy(&c, ev->data + sizeof(out), sizeof(c));
	if (out.controllen >= CMSG_LEN(1) && c.cmsg_level == SOL_TLS &&
		c.cmsg_type == TLS_GET_RECORD_TYPE)
		ev->record = ev->data[sizeof(out) + CMSG_LEN(0)];
	ev->res -= (int32_t)RECORDS_HEAD;
	ev->data += RECORDS_HEAD;
	/* Nobody may take for data what could be an alert; nor the rest of something for its whole. */
	if (out.flags & (MSG_CTRUNC | MSG_TRUNC))
		ev->res = -EIO;
	/* The end of the stream comes as a head without payload. So does an empty alert or handshake message, with its type;
	 * no TLS allows it. */
	if (ev->res == 0 && ev->record)
		ev->res = -EPROTO;
	if (ev->res <= 0) {
		ev->data = NULL;
		ev->record = 0;
	}
}

static void complete(struct rc_io *io, const struct io_uring_cqe *cqe,
	void (*handle)(void *ctx, const struct rc_io_event *ev), void *ctx)
{
	struct rc_io_event ev = {
		.op = (enum rc_io_op)(cqe->user_data >> 56),
		.tag = {(uint32_t)cqe->user_data,
			(uint32_t)(cqe->user_data >> 32) & ((1u << TAG_GENERATION_BITS) - 1)},
		.res = cqe->res,
		.more = (cqe->flags & IORING_CQE_F_MORE) != 0,
	};
	uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	struct group *g = NULL;

	if (cqe->flags & IORING_CQE_F_BUFFER) {
		/* The completion doesn't name the group; ids are unique over both. */
		g = &io->group[id >= io->group[RC_IO_LARGE].first_id];
		g->out++;
		ev.data = g->buffers + (size_t)(id - g->first_id) * g->bytes;
	}
	if (cqe->user_data >> 56 == OP_RECORDS)
		unwrap(&ev);
	handle(ctx, &ev);
	if (g)
		return_buffer(g, id);
}

uint32_t rc_io_reap(
	struct rc_io *io, void (*handle)(void *ctx, const struct rc_io_event *ev), void *ctx)
{
	uint32_t total = io_uring_cq_ready(&io->ring);
	struct io_uring_cq *cq = &io->ring.cq;
	uint32_t head = *cq->khead;

	if (IO_URING_READ_ONCE(*io->ring.sq.kflags) & IORING_SQ_CQ_OVERFLOW)
		io->overflows++;
	/* Sends first: they move cursors, and nobody may see a subscription between its send and its cursor. */
	for (uint32_t i = 0; i < total; i++) {
		const struct io_uring_cqe *cqe = &cq->cqes[(head + i) & cq->ring_mask];
		if (cqe->user_data >> 56 == RC_IO_SEND)
			complete(io, cqe, handle, ctx);
	}
	for (uint32_t i = 0; i < total; i++) {
		/* A copy: the handler may submit. */
		struct io_uring_cqe cqe = cq->cqes[(head + i) & cq->ring_mask];
		uint64_t op = cqe.user_data >> 56;
		if (op != RC_IO_SEND && op != 0)
			complete(io, &cqe, handle, ctx);
	}
	io_uring_smp_store_release(cq->khead, head + total);
	for (int g = 0; g < RC_IO_GROUPS; g++) {
		if (io->group[g].returned) {
			io_uring_buf_ring_advance(io->group[g].ring, (int)io->group[g].returned);
			io->group[g].returned = 0;
		}
	}
	return total;
}

uint64_t rc_io_overflows(const struct rc_io *io)
{
	return io->overflows;
}

uint32_t rc_io_buffers_free(const struct rc_io *io, enum rc_io_group group)
{
	return io->group[group].count - io->group[group].out;
}
