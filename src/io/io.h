/* SPDX-License-Identifier: Apache-2.0
 *
 * The seam to the kernel: all that a shard asks of it while it runs. uring.c is the implementation. Owned by one shard's
 * thread from rc_io_enable() on; opened by the main thread, so that a missing kernel feature is told before any port is.
 *
 * A completion names the operation, and the slot and generation of the object it was for. Never a pointer: an object
 * that was closed meanwhile has another generation, and its late completions are recognised.
 *
 * Sends never outlive the submit: MSG_DONTWAIT makes the kernel answer at once, short or -EAGAIN, so the bytes belong to
 * the caller again as soon as rc_io_submit() returned.
 */
#ifndef RC_IO_IO_H
#define RC_IO_IO_H

#include <sys/socket.h>

#include "base/base.h"
#include "base/error.h"

enum rc_io_op {
	RC_IO_ACCEPT = 1, /* multishot; res = new descriptor */
	RC_IO_RECV,       /* res = bytes in ev->data, 0 = end */
	RC_IO_SEND,
	RC_IO_POLLOUT,  /* one-shot */
	RC_IO_READABLE, /* one-shot */
	RC_IO_POLLIN,   /* multishot, for eventfds */
	RC_IO_WAKE,     /* another shard rang */
	RC_IO_CONNECT,  /* res = 0, or why not */
};

/* Two pools of registered receive buffers. */
enum rc_io_group { RC_IO_SMALL, RC_IO_LARGE, RC_IO_GROUPS };

enum rc_io_recv_how {
	RC_IO_ONCE,
	RC_IO_MULTISHOT, /* one completion per arrival until told otherwise */
	RC_IO_RECORDS, /* multishot, on a socket of kernel TLS: each completion tells the record's type */
};

struct rc_io_tag {
	uint32_t slot;
	uint32_t generation; /* 24 bits */
};

struct rc_io_event {
	enum rc_io_op op;
	struct rc_io_tag tag;
	int32_t res;
	bool more;           /* a multishot operation goes on; without it, it must be armed again */
	uint8_t record;      /* RC_IO_RECORDS with res > 0: the TLS record's type; else 0 */
	unsigned char *data; /* RECV with res > 0: borrowed until the handler returns */
};

struct rc_io_options {
	uint32_t submit_entries;
	uint32_t buffers[RC_IO_GROUPS]; /* power of two, <= 32768 */
	uint32_t buffer_bytes[RC_IO_GROUPS];
	int node; /* NUMA node of the buffers, -1 = any */
};

struct rc_io;

/* Probes, explains what is missing in one sentence that says how to mend it. The ring starts disabled. */
int rc_io_open(
	struct rc_io **out, const struct rc_io_options *options, struct rc_error *err) RC_MUST_USE;
/* Bytes that rc_io_open will map, for the budget. */
uint64_t rc_io_bytes(const struct rc_io_options *options);
/* In the thread that will use it. 0 or -errno. */
int rc_io_enable(struct rc_io *io) RC_MUST_USE;
/* In the thread that used it (or the opener, when never enabled). */
void rc_io_close(struct rc_io *io);
/* For other shards' rc_io_wake. */
int rc_io_ring_fd(const struct rc_io *io);
/* What this kernel has besides the required features, for one start-up line. */
const char *rc_io_features(const struct rc_io *io);

void rc_io_accept(struct rc_io *io, int listener, struct rc_io_tag tag);
void rc_io_recv(struct rc_io *io, int fd, struct rc_io_tag tag, enum rc_io_group group,
	enum rc_io_recv_how how);
void rc_io_send(struct rc_io *io, int fd, struct rc_io_tag tag, const void *bytes, uint32_t len);
void rc_io_poll_out(struct rc_io *io, int fd, struct rc_io_tag tag);
void rc_io_poll_readable(struct rc_io *io, int fd, struct rc_io_tag tag);
void rc_io_poll_in(struct rc_io *io, int fd, struct rc_io_tag tag);
/* The address is read inside the next submit. */
void rc_io_connect(struct rc_io *io, int fd, struct rc_io_tag tag, const struct sockaddr *address,
	socklen_t len);
/* Ends the connect that was asked for with this tag; its completion comes. */
void rc_io_cancel_connect(struct rc_io *io, struct rc_io_tag tag);
/* Ends the accept that was armed with this tag. */
void rc_io_cancel_accept(struct rc_io *io, struct rc_io_tag tag);
/* Closes the descriptor; no completion. */
void rc_io_close_fd(struct rc_io *io, int fd);
/* Rings another shard, inside the next submit. */
void rc_io_wake(struct rc_io *io, int ring_fd);

/* Hands what was asked for to the kernel without waiting, and lets it run what is due. */
void rc_io_submit(struct rc_io *io);
/* The same, then sleeps until something completes or timeout_ns passed. */
void rc_io_submit_and_wait(struct rc_io *io, uint64_t timeout_ns);
/* Something completed, or could be made to complete without a wait. Cheap; for spinning. */
bool rc_io_pending(const struct rc_io *io);
/* Calls handle for every completion that is there now. Returns their number. */
uint32_t rc_io_reap(
	struct rc_io *io, void (*handle)(void *ctx, const struct rc_io_event *ev), void *ctx);
/* Completions that the kernel had to keep aside because the queue was full. */
uint64_t rc_io_overflows(const struct rc_io *io);
/* Times a receive found no buffer is seen as res == -ENOBUFS by the handler. Buffers free now: */
uint32_t rc_io_buffers_free(const struct rc_io *io, enum rc_io_group group);

#endif
