/* SPDX-License-Identifier: Apache-2.0 */
#include "rig/kernel.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define LAST_MAX 4096u

/* A receive that is armed, or was. */
struct place {
	struct rc_io_tag tag;
	bool armed, multishot;
};

struct rc_io {
	struct rc_io_event *event; /* that wait for the next reap */
	uint32_t count, size;
	struct place *place; /* by descriptor */
	uint32_t fds, places;
	struct rc_io_tag accept[2];
	unsigned char *bytes; /* that arrived and wait */
	size_t bytes_used, bytes_size;
	uint64_t sends, sent_bytes;
	bool keep;
	uint32_t last_len;
	unsigned char last[LAST_MAX];
};

static uint64_t passed_ns;
static uint64_t random_state = 1;

/* ---- time and chance ---------------------------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
ssize_t __wrap_getrandom(void *out, size_t len, unsigned int flags);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
	uint64_t begin = clock == CLOCK_REALTIME ? 1768472100u : 1000u;

	out->tv_sec = (time_t)(begin + passed_ns / 1000000000u);
	out->tv_nsec = (long)(passed_ns % 1000000000u);
	return 0;
}

ssize_t __wrap_getrandom(void *out, size_t len, unsigned int flags)
{
	unsigned char *at = out;

	(void)flags;
	for (size_t i = 0; i < len; i++) {
		random_state = random_state * 6364136223846793005u + 1442695040888963407u;
		at[i] = (unsigned char)(random_state >> 56);
	}
	return (ssize_t)len;
}

void kernel_pass(uint64_t ns)
{
	passed_ns += ns;
}

/* ---- the seam ----------------------------------------------------------------------------------- */

static void *grown(void *old, uint64_t bytes)
{
	void *fresh = realloc(old, bytes);

	RC_ASSERT(fresh);
	return fresh;
}

static struct rc_io_event *add(struct rc_io *io)
{
	if (RC_UNLIKELY(io->count == io->size)) {
		io->size *= 2;
		io->event = grown(io->event, io->size * sizeof(*io->event));
	}
	return &io->event[io->count++];
}

static struct place *place_of(struct rc_io *io, int fd)
{
	uint32_t index = (uint32_t)(fd - KERNEL_FD_FIRST);

	RC_ASSERT(fd >= KERNEL_FD_FIRST && index < io->fds);
	return &io->place[index];
}

int rc_io_open(struct rc_io **out, const struct rc_io_options *options, struct rc_error *err)
{
	(void)options;
	(void)err;
	struct rc_io *io = grown(NULL, sizeof(*io));
	memset(io, 0, sizeof(*io));
	io->size = 1024;
	io->event = grown(NULL, io->size * sizeof(*io->event));
	io->bytes_size = 1 << 20;
	io->bytes = grown(NULL, io->bytes_size);
	*out = io;
	return 0;
}

uint64_t rc_io_bytes(const struct rc_io_options *options)
{
	(void)options;
	return 0;
}

int rc_io_enable(struct rc_io *io)
{
	(void)io;
	return 0;
}

void rc_io_close(struct rc_io *io)
{
	if (!io)
		return;
	free(io->event);
	free(io->place);
	free(io->bytes);
	free(io);
}

int rc_io_ring_fd(const struct rc_io *io)
{
	(void)io;
	return -1;
}

const char *rc_io_features(const struct rc_io *io)
{
	(void)io;
	return "";
}

void rc_io_accept(struct rc_io *io, int listener, struct rc_io_tag tag)
{
	(void)listener;
	RC_ASSERT(tag.slot < 2);
	io->accept[tag.slot] = tag;
}

void rc_io_recv(struct rc_io *io, int fd, struct rc_io_tag tag, enum rc_io_group group,
	enum rc_io_recv_how how)
{
	(void)group;
	*place_of(io, fd) = (struct place){tag, true, how != RC_IO_ONCE};
}

void rc_io_send(struct rc_io *io, int fd, struct rc_io_tag tag, const void *bytes, uint32_t len)
{
	(void)fd;
	*add(io) = (struct rc_io_event){.op = RC_IO_SEND, .tag = tag, .res = (int32_t)len};
	io->sends++;
	io->sent_bytes += len;
	if (io->keep) {
		io->last_len = RC_MIN(len, LAST_MAX);
		memcpy(io->last, bytes, io->last_len);
	}
}

void rc_io_poll_out(struct rc_io *io, int fd, struct rc_io_tag tag)
{
	(void)fd;
	*add(io) = (struct rc_io_event){.op = RC_IO_POLLOUT, .tag = tag, .res = 4};
}

void rc_io_poll_readable(struct rc_io *io, int fd, struct rc_io_tag tag)
{
	(void)fd;
	*add(io) = (struct rc_io_event){.op = RC_IO_READABLE, .tag = tag, .res = 1};
}

void rc_io_poll_in(struct rc_io *io, int fd, struct rc_io_tag tag)
{
	(void)io;
	(void)fd;
	(void)tag;
}

void rc_io_cancel_accept(struct rc_io *io, struct rc_io_tag tag)
{
	(void)io;
	(void)tag;
}

void rc_io_connect(struct rc_io *io, int fd, struct rc_io_tag tag, const struct sockaddr *address,
	socklen_t len)
{
	(void)io, (void)fd, (void)tag, (void)address, (void)len;
}

void rc_io_cancel_connect(struct rc_io *io, struct rc_io_tag tag)
{
	(void)io, (void)tag;
}

void rc_io_close_fd(struct rc_io *io, int fd)
{
	place_of(io, fd)->armed = false;
}

void rc_io_wake(struct rc_io *io, int ring_fd)
{
	(void)io;
	(void)ring_fd;
}

void rc_io_submit(struct rc_io *io)
{
	(void)io;
}

void rc_io_submit_and_wait(struct rc_io *io, uint64_t timeout_ns)
{
	(void)io;
	(void)timeout_ns;
}

bool rc_io_pending(const struct rc_io *io)
{
	return io->count > 0;
}

uint32_t rc_io_reap(
	struct rc_io *io, void (*handle)(void *ctx, const struct rc_io_event *ev), void *ctx)
{
	uint32_t count = io->count;

	for (uint32_t i = 0; i < count; i++) {
		/* A copy: handling may arm what completes in the turn after. */
		struct rc_io_event ev = io->event[i];

		if (ev.op == RC_IO_RECV)
			ev.data = io->bytes + (uintptr_t)ev.data;
		handle(ctx, &ev);
	}
	memmove(io->event, io->event + count, (io->count - count) * sizeof(*io->event));
	io->count -= count;
	io->bytes_used = 0;
	return count;
}

uint64_t rc_io_overflows(const struct rc_io *io)
{
	(void)io;
	return 0;
}

uint32_t rc_io_buffers_free(const struct rc_io *io, enum rc_io_group group)
{
	(void)io;
	(void)group;
	return 1;
}

/* ---- the other side ----------------------------------------------------------------------------- */

int kernel_accept(struct rc_io *io, uint32_t which)
{
	if (io->fds == io->places) {
		io->places = RC_MAX(io->places * 2, 1024u);
		io->place = grown(io->place, io->places * sizeof(*io->place));
	}
	int fd = KERNEL_FD_FIRST + (int)io->fds;
	io->place[io->fds++] = (struct place){0};
	*add(io) = (struct rc_io_event){
		.op = RC_IO_ACCEPT, .tag = io->accept[which], .res = fd, .more = true};
	return fd;
}

void kernel_receive(struct rc_io *io, int fd, const void *bytes, uint32_t len)
{
	struct place *p = place_of(io, fd);

	RC_ASSERT(p->armed && io->bytes_used + len <= io->bytes_size);
	memcpy(io->bytes + io->bytes_used, bytes, len);
	/* An offset, until it is handed out. */
	*add(io) = (struct rc_io_event){.op = RC_IO_RECV,
		.tag = p->tag,
		.res = (int32_t)len,
		.more = p->multishot,
		.data = (unsigned char *)(uintptr_t)io->bytes_used};
	io->bytes_used += len;
	p->armed = p->multishot;
}

uint64_t kernel_sends(const struct rc_io *io)
{
	return io->sends;
}

uint64_t kernel_sent_bytes(const struct rc_io *io)
{
	return io->sent_bytes;
}

void kernel_keep_last(struct rc_io *io)
{
	io->keep = true;
}

const void *kernel_last(const struct rc_io *io, uint32_t *len)
{
	*len = io->last_len;
	return io->last;
}
