/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring for a test, the completions that it gave, and waiting for them: for events, within a bound that only a hang meets.
 */
#ifndef RC_TESTS_UNIT_RINGS_H
#define RC_TESTS_UNIT_RINGS_H

#include "../unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "io/io.h"
#include "io/socket.h"

#define RINGS_EVENTS      4096
#define RINGS_PATIENCE_NS 20000000000ull

struct ring_event {
	enum rc_io_op op;
	struct rc_io_tag tag;
	int32_t res;
	bool more;
	uint8_t record;
	unsigned char first, last; /* of the data */
};

struct ring {
	struct rc_io *io;
	uint32_t count;
	struct ring_event event[RINGS_EVENTS];
	uint64_t bytes;              /* received in all */
	unsigned char data[1 << 16]; /* what was received, while it fits */
	/* Called for each completion, besides; may be NULL. */
	void (*also)(struct ring *r, const struct rc_io_event *ev);
};

static const struct rc_io_options rings_options = {
	.submit_entries = 64,
	.buffers = {8, 4},
	.buffer_bytes = {256, 4096},
	.node = -1,
};

/* Leaves the test as skipped, with the reason, where the kernel or its sandbox gives no ring. */
static inline void ring_open(struct ring *r, const struct rc_io_options *options)
{
	struct rc_error err = {{0}};

	memset(r, 0, sizeof(*r));
	if (rc_io_open(&r->io, options, &err) < 0) {
		print_message("skipped: %s\n", err.text);
		skip();
	}
	assert_non_null(r->io);
	assert_int_equal(rc_io_enable(r->io), 0);
}

static inline void ring_close(struct ring *r)
{
	rc_io_close(r->io);
	r->io = NULL;
}

static inline void ring_take(void *ctx, const struct rc_io_event *ev)
{
	struct ring *r = ctx;

	assert_true(r->count < RINGS_EVENTS);
	struct ring_event *e = &r->event[r->count++];
	*e = (struct ring_event){.op = ev->op,
		.tag = ev->tag,
		.res = ev->res,
		.more = ev->more,
		.record = ev->record};
	if (ev->op == RC_IO_RECV && ev->res > 0) {
		assert_non_null(ev->data);
		e->first = ev->data[0];
		e->last = ev->data[ev->res - 1];
		if (r->bytes + (uint64_t)ev->res <= sizeof(r->data))
			memcpy(r->data + r->bytes, ev->data, (size_t)ev->res);
		r->bytes += (uint64_t)ev->res;
	} else {
		assert_null(ev->data);
		assert_int_equal(ev->record, 0);
	}
	if (r->also)
		r->also(r, ev);
}

/* Until `count` completions have come since the last ring_forget, or done says so. */
static inline void ring_until(
	struct ring *r, bool (*done)(const struct ring *r, uint64_t n), uint64_t n)
{
	uint64_t end = rc_clock_mono_ns() + RINGS_PATIENCE_NS;

	for (;;) {
		(void)rc_io_reap(r->io, ring_take, r);
		if (done(r, n))
			return;
		assert_true(rc_clock_mono_ns() < end);
		rc_io_submit_and_wait(r->io, 100000000);
	}
}

static inline bool ring_has(const struct ring *r, uint64_t n)
{
	return r->count >= n;
}

static inline bool ring_has_bytes(const struct ring *r, uint64_t n)
{
	return r->bytes >= n;
}

static inline void ring_forget(struct ring *r)
{
	r->count = 0;
	r->bytes = 0;
}

/* All that completes without anybody doing anything more. */
static inline void ring_drain(struct ring *r)
{
	do {
		rc_io_submit(r->io);
	} while (rc_io_reap(r->io, ring_take, r) > 0);
}

static inline int ring_listener(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct rc_socket_options options = {.backlog = 64, .nodelay = true};
	struct rc_error err = {{0}};
	int fd = rc_socket_listen((struct sockaddr *)&a, sizeof(a), "127.0.0.1:0", &options, &err);

	assert_true(fd >= 0);
	assert_true(rc_socket_port(fd) != 0);
	return fd;
}

static inline int ring_connect(int listener)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(rc_socket_port(listener))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* What has been connected to it; the last packet of a handshake may still be on its way. */
static inline int ring_accept(int listener, int flags)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};

	assert_int_equal(poll(&p, 1, (int)(RINGS_PATIENCE_NS / 1000000)), 1);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | flags);
	if (fd < 0)
		fail_msg("accept: %s", strerror(errno));
	return fd;
}

/* Two ends of a stream; the first one for the ring. */
static inline void ring_pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
}

#endif
