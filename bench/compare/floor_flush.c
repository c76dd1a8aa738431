/* SPDX-License-Identifier: Apache-2.0 */
#include <liburing.h>
#include <stdio.h>
#include <sys/socket.h>

#include "floor.h"

#define SENDS_AT_ONCE 128

static enum floor_mode mode;
static struct io_uring uring;

void floor_flush_open(enum floor_mode how)
{
	int rc;

	mode = how;
	if (mode != FLOOR_URING)
		return;
	rc = io_uring_queue_init(
		SENDS_AT_ONCE, &uring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	if (rc < 0)
		floor_die("io_uring: %s", strerror(-rc));
}

/* What a send of `len` bytes came to. The other end of a connection that is gone is noticed by its own event. */
static void sent(struct floor_client *c, ssize_t result, size_t len)
{
	if (result > 0)
		c->pos += (uint64_t)result;
	c->blocked = result < (ssize_t)len;
}

static bool lacks(const struct floor_client *c)
{
	return c->pos != floor_ring_tail() && c->subscribed && !c->blocked;
}

static void flush_coalesced(void)
{
	for (uint32_t i = 0; i < floor_client_count; i++) {
		struct floor_client *c = &floor_clients[i];
		size_t len = (size_t)(floor_ring_tail() - c->pos);

		if (c->ssl && c->subscribed && !c->blocked)
			floor_tls_flush(c);
		else if (lacks(c))
			sent(c,
				send(c->fd, floor_ring_at(c->pos), len,
					MSG_DONTWAIT | MSG_NOSIGNAL),
				len);
	}
}

static void flush_each(void)
{
	for (uint32_t i = 0; i < floor_client_count; i++) {
		struct floor_client *c = &floor_clients[i];

		while (lacks(c)) {
			size_t len = (size_t)(floor_ring_frame_end(c->frame) - c->pos);

			sent(c,
				send(c->fd, floor_ring_at(c->pos), len,
					MSG_DONTWAIT | MSG_NOSIGNAL),
				len);
			if (!c->blocked)
				c->frame++;
		}
	}
}

static void uring_round(unsigned count)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;

	if (io_uring_submit_and_wait(&uring, count) < 0)
		floor_die("io_uring_submit_and_wait");
	io_uring_for_each_cqe(&uring, head, cqe)
	{
		struct floor_client *c = &floor_clients[cqe->user_data];

		sent(c, cqe->res, (size_t)(floor_ring_tail() - c->pos));
		seen++;
	}
	RC_ASSERT(seen == count);
	io_uring_cq_advance(&uring, seen);
}

static void flush_uring(void)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < floor_client_count; i++) {
		struct floor_client *c = &floor_clients[i];
		struct io_uring_sqe *sqe;

		if (!lacks(c))
			continue;
		sqe = io_uring_get_sqe(&uring);
		io_uring_prep_send(sqe, c->fd, floor_ring_at(c->pos),
			(size_t)(floor_ring_tail() - c->pos), MSG_DONTWAIT | MSG_NOSIGNAL);
		io_uring_sqe_set_data64(sqe, i);
		if (++count == SENDS_AT_ONCE) {
			uring_round(count);
			count = 0;
		}
	}
	if (count > 0)
		uring_round(count);
}

void floor_flush(bool unblocked)
{
	static uint64_t flushed;

	if (flushed == floor_ring_tail() && !unblocked)
		return;
	flushed = floor_ring_tail();
	if (mode == FLOOR_COALESCE)
		flush_coalesced();
	else if (mode == FLOOR_URING)
		flush_uring();
	else
		flush_each();
}
