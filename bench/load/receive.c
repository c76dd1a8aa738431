/* SPDX-License-Identifier: Apache-2.0
 *
 * Which clients have something to read, and receives by the batch.
 */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "local.h"

/* Bytes that a slow reader may read now; 0: its timer is set. */
static uint64_t allowance(struct load_worker *w, struct load_client *c)
{
	uint64_t rate = load_members_of(w, c)->group->read_bytes_per_second;
	struct load_extra *x = c->extra;
	uint64_t most = RC_MAX(rate / 4, 1u), since = w->now_ns - x->allowance_ns;

	if (since > LOAD_SECOND / 100) {
		x->allowance += (uint64_t)((double)rate * (double)since / 1e9);
		x->allowance = RC_MIN(x->allowance, most);
		x->allowance_ns = w->now_ns;
	}
	if (x->allowance >= RC_MAX(rate / 20, 1u))
		return x->allowance;
	c->flags |= LOAD_THROTTLED;
	rc_wheel_set(&w->wheel, load_slot(w, c), load_tick(w, w->now_ns + LOAD_SECOND / 20));
	return 0;
}

/*
 * What OpenSSL holds, of which the poll says nothing; but no more at a time than a receive brings, for the others wait meanwhile.
 * A slow reader takes what it may.
 */
static void read_tls(struct load_worker *w, struct load_client *c)
{
	bool slow =
		c->state == LOAD_OPEN && load_members_of(w, c)->group->reading == LOAD_READS_SLOWLY;
	uint64_t room = slow ? RC_MIN(c->extra->allowance, LOAD_BUFFER) : LOAD_BUFFER;
	uint64_t taken = 0;
	uint32_t generation = c->generation;
	unsigned char *buffer = load_buffer(w, LOAD_BATCH);

	while (c->generation == generation && taken < room) {
		ssize_t n = load_tls_read(c->extra->tls, buffer, room - taken, &c->extra->tls_want);

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			load_client_lost(w, c,
				n == 0 ? load_connect_why(ECONNRESET)
				       : load_tls_why(c->extra->tls));
			return;
		}
		if (taken == 0)
			load_add(&w->stats->reads, 1);
		taken += (uint64_t)n;
		load_add(&w->stats->bytes, (uint64_t)n);
		w->now_ns = rc_clock_mono_ns();
		if (slow)
			c->extra->allowance -= (uint64_t)n;
		if (c->state == LOAD_UPGRADING)
			load_speech_http(w, c, buffer, (size_t)n);
		else
			load_deliver(w, c, buffer, (size_t)n);
	}
	if (c->generation != generation)
		return;
	if (!slow)
		load_add(&w->stats->full_reads, 1);
	load_ready(w, c);
}

/* True: it may be received by the batch; false: seen to, or nothing is to be read. */
static bool may_receive(struct load_worker *w, struct load_client *c)
{
	const struct load_group *g = load_members_of(w, c)->group;

	if (c->fd < 0 || c->state <= LOAD_CONNECTING || c->flags & LOAD_THROTTLED)
		return false;
	if (c->state == LOAD_OPEN && g->reading == LOAD_READS_NEVER) {
		load_client_lost(w, c, load_connect_why(ECONNRESET));
		return false;
	}
	if (c->state == LOAD_HANDSHAKE)
		load_client_handshake(w, c);
	if (c->fd < 0)
		return false;
	if (c->state == LOAD_OPEN && g->reading == LOAD_READS_SLOWLY && allowance(w, c) == 0)
		return false;
	if (c->extra && c->extra->tls) {
		if (c->state > LOAD_HANDSHAKE)
			read_tls(w, c);
		return false;
	}
	return true;
}

static void received(struct load_worker *w, uint32_t i, uint32_t generation, int result)
{
	struct load_client *c = &w->client[w->batch[i]];
	uint32_t cap = LOAD_BUFFER;

	if (generation != (c->generation & LOAD_GENERATION_MASK) || c->fd < 0)
		return;
	if (result == -EAGAIN || result == -EINTR)
		return;
	if (result <= 0) {
		load_client_lost(w, c, "the server closed the connection. Look into its log");
		return;
	}
	load_add(&w->stats->reads, 1);
	load_add(&w->stats->bytes, (uint64_t)result);
	if (c->state == LOAD_OPEN && load_members_of(w, c)->group->reading == LOAD_READS_SLOWLY) {
		c->extra->allowance -= RC_MIN(c->extra->allowance, (uint64_t)result);
		cap = 1;
	} else if ((uint32_t)result == cap) {
		load_add(&w->stats->full_reads, 1);
	}
	/* Less than it could take is all there was; what comes later is told by the poll. But not an end that it has told. */
	if ((uint32_t)result >= cap || c->flags & LOAD_ENDING)
		load_ready(w, c);
	if (c->state == LOAD_UPGRADING)
		load_speech_http(w, c, load_buffer(w, i), (size_t)result);
	else
		load_deliver(w, c, load_buffer(w, i), (size_t)result);
}

static void readable(
	struct load_worker *w, struct load_client *c, uint64_t tag, int events, uint32_t flags)
{
	const struct load_group *g = load_members_of(w, c)->group;

	if (!(flags & IORING_CQE_F_MORE)) {
		bool never = c->state == LOAD_OPEN && g->reading == LOAD_READS_NEVER;

		load_ring_watch(&w->ring, c->fd, never ? POLLRDHUP : POLLIN | POLLRDHUP, tag);
	}
	if (events > 0 && events & (POLLRDHUP | POLLHUP | POLLERR))
		c->flags |= LOAD_ENDING;
	load_ready(w, c);
}

static void outlet_ready(struct load_worker *w, const struct io_uring_cqe *cqe)
{
	struct load_outlet *o = &w->outlet[load_tag_slot(cqe->user_data)];

	if (load_tag_generation(cqe->user_data) != (o->generation & LOAD_GENERATION_MASK))
		return;
	o->armed = 0;
	if (w->broken_ns == 0 && load_publisher_io(o->publisher, w->now_ns, &w->err))
		load_worker_publisher_broke(w);
}

void load_receive_completions(struct load_worker *w)
{
	struct io_uring *uring = &w->ring.uring;
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;

	io_uring_for_each_cqe(uring, head, cqe)
	{
		uint64_t tag = cqe->user_data;
		uint32_t slot = load_tag_slot(tag);
		struct load_client *c;

		seen++;
		switch (load_tag_op(tag)) {
		case LOAD_OP_RECEIVE:
			received(w, slot, load_tag_generation(tag), cqe->res);
			break;
		case LOAD_OP_OUTLET:
			outlet_ready(w, cqe);
			break;
		case LOAD_OP_READABLE:
		case LOAD_OP_WRITABLE:
			c = &w->client[slot];
			if (load_tag_generation(tag) != (c->generation & LOAD_GENERATION_MASK) ||
				c->fd < 0)
				break;
			if (load_tag_op(tag) == LOAD_OP_READABLE)
				readable(w, c, tag, cqe->res, cqe->flags);
			else
				load_client_writable(w, c);
			break;
		case LOAD_OP_NONE:
			break;
		}
		/* Handlers may ask for much; the queue must not stay full meanwhile. */
		if (seen == 256) {
			io_uring_cq_advance(uring, seen);
			seen = 0;
		}
	}
	io_uring_cq_advance(uring, seen);
}

void load_receive_batch(struct load_worker *w)
{
	uint32_t n = 0;

	while (n < LOAD_BATCH) {
		struct load_client *c = load_list_take(w, &w->ready);
		uint32_t room = LOAD_BUFFER;

		if (!c)
			break;
		c->flags &= (uint8_t)~LOAD_LISTED;
		if (c->state == LOAD_WAITING) {
			load_list_put(w, &w->waiting, c);
			continue;
		}
		if (!may_receive(w, c))
			continue;
		if (c->state == LOAD_OPEN &&
			load_members_of(w, c)->group->reading == LOAD_READS_SLOWLY)
			room = (uint32_t)RC_MIN(room, c->extra->allowance);
		w->batch[n] = load_slot(w, c);
		load_ring_receive(&w->ring, c->fd, load_buffer(w, n), room,
			load_tag(LOAD_OP_RECEIVE, c->generation, n));
		n++;
	}
	if (n == 0)
		return;
	load_ring_enter(&w->ring);
	w->now_ns = rc_clock_mono_ns();
	load_receive_completions(w);
}
