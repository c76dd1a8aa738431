/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/conn.h"

#include "conn/tls.h"
#include "io/socket.h"

#define BLOCK_MIN 256u

static struct rc_io_tag tag_of(const struct rc_conns *cs, const struct rc_conn *c)
{
	return (struct rc_io_tag){rc_conn_slot(cs, c), c->generation};
}

size_t rc_conns_bytes(uint32_t count_max)
{
	return (size_t)count_max * (sizeof(struct rc_conn) + sizeof(struct rc_conn_aside));
}

void rc_conns_init(struct rc_conns *cs, void *memory, uint32_t count_max, struct rc_io *io,
	struct rc_pool *pool, struct rc_counters_shard *counters,
	const struct rc_conn_events *events, uint32_t tick, uint32_t linger_ms)
{
	memset(cs, 0, sizeof(*cs));
	cs->at = memory;
	cs->aside = (struct rc_conn_aside *)(void *)(cs->at + count_max);
	cs->count_max = count_max;
	cs->free_first = RC_NONE;
	cs->ready_first = cs->ready_last = RC_NONE;
	cs->tick = tick;
	cs->linger_ms = linger_ms;
	cs->io = io;
	cs->pool = pool;
	cs->counters = counters;
	cs->events = *events;
	rc_wheel_init(&cs->wheel, &cs->at[0].timer, sizeof(struct rc_conn), tick);
}

uint32_t rc_conn_slot(const struct rc_conns *cs, const struct rc_conn *c)
{
	return (uint32_t)(c - cs->at);
}

struct rc_conn *rc_conn_open(struct rc_conns *cs, int fd, enum rc_conn_kind kind)
{
	uint32_t slot = cs->free_first;

	if (slot != RC_NONE)
		cs->free_first = cs->at[slot].ready_next;
	else if (cs->mark < cs->count_max)
		slot = cs->mark++;
	else
		return NULL;
	struct rc_conn *c = &cs->at[slot];
	uint32_t generation = c->generation;
	memset(c, 0, sizeof(*c));
	c->generation = generation;
	c->fd = fd;
	c->kind = (unsigned char)(kind & 15);
	c->state = RC_CONN_OPEN;
	c->subs = c->listed = c->requests = c->ready_next = c->mid_sub = RC_NONE;
	c->heard_tick = cs->tick;
	cs->aside[slot] = (struct rc_conn_aside){
		.opened_tick = cs->tick,
		.session = RC_NONE,
		.address = RC_NONE,
		.meter = RC_NONE,
	};
	cs->open++;
	return c;
}

struct rc_conn *rc_conn_get(const struct rc_conns *cs, uint32_t slot, uint32_t generation)
{
	struct rc_conn *c = &cs->at[slot];

	if (slot >= cs->mark || c->generation != generation || c->state == RC_CONN_FREE ||
		c->state == RC_CONN_DEAD)
		return NULL;
	return c;
}

struct rc_conn *rc_conn_of(const struct rc_conns *cs, struct rc_io_tag tag)
{
	if (tag.slot >= cs->mark || cs->at[tag.slot].generation != tag.generation ||
		cs->at[tag.slot].state == RC_CONN_FREE)
		return NULL;
	return &cs->at[tag.slot];
}

static void release(struct rc_conns *cs, struct rc_conn *c)
{
	rc_io_close_fd(cs->io, c->fd);
	c->fd = -1;
	c->state = RC_CONN_FREE;
	c->generation = (c->generation + 1) & 0xffffff;
	c->ready_next = cs->free_first;
	cs->free_first = rc_conn_slot(cs, c);
	cs->open--;
}

/* ---- input -------------------------------------------------------------------------------------- */

void rc_conn_recv(
	struct rc_conns *cs, struct rc_conn *c, enum rc_io_group group, enum rc_io_recv_how how)
{
	if (c->state == RC_CONN_DEAD || (c->flags & RC_CONN_RECV_ARMED))
		return;
	c->flags |= RC_CONN_RECV_ARMED;
	c->inflight++;
	rc_io_recv(cs->io, c->fd, tag_of(cs, c), group, how);
}

void rc_conn_recv_ended(struct rc_conn *c)
{
	RC_ASSERT(c->flags & RC_CONN_RECV_ARMED);
	c->flags &= (uint16_t)~RC_CONN_RECV_ARMED;
}

/* A block with room for `need` bytes, the old contents at its beginning. */
static bool regrow(struct rc_conns *cs, unsigned char **block, uint32_t *size, uint32_t head,
	uint32_t len, uint32_t need)
{
	size_t want = rc_pool_size(RC_MAX(need, BLOCK_MIN));
	unsigned char *fresh = rc_pool_get(cs->pool, want);

	if (!fresh)
		return false;
	if (len)
		memcpy(fresh, *block + head, len);
	rc_pool_put(cs->pool, *block, *size);
	*block = fresh;
	*size = (uint32_t)want;
	return true;
}

bool rc_conn_keep(
	struct rc_conns *cs, struct rc_conn *c, const void *bytes, uint32_t len, uint32_t limit)
{
	if (len > limit || c->in_len > limit - len)
		return false;
	uint32_t need = c->in_len + len;
	if (need > c->in_size) {
		uint32_t grown = c->in_len ? RC_MAX(need, RC_MIN(c->in_size * 2, limit)) : need;
		if (!regrow(cs, &c->in, &c->in_size, 0, c->in_len, grown))
			return false;
	}
	memcpy(c->in + c->in_len, bytes, len);
	c->in_len = need;
	return true;
}

void rc_conn_used(struct rc_conns *cs, struct rc_conn *c, uint32_t len)
{
	RC_ASSERT(len <= c->in_len);
	c->in_len -= len;
	if (c->in_len) {
		memmove(c->in, c->in + len, c->in_len);
		return;
	}
	rc_pool_put(cs->pool, c->in, c->in_size);
	c->in = NULL;
	c->in_size = 0;
}

/* ---- output ------------------------------------------------------------------------------------- */

static void free_out(struct rc_conns *cs, struct rc_conn *c)
{
	rc_pool_put(cs->pool, c->out, c->out_size);
	c->out = NULL;
	c->out_head = c->out_len = c->out_size = 0;
}

unsigned char *rc_conn_reserve(struct rc_conns *cs, struct rc_conn *c, uint32_t len, uint32_t limit)
{
	if (c->state != RC_CONN_OPEN && c->state != RC_CONN_FINISHING)
		return NULL;
	if (len > limit || c->out_len > limit - len)
		return NULL;
	if (c->out_head + c->out_len + len > c->out_size) {
		uint32_t need = c->out_len + len;
		if (need <= c->out_size / 2 + c->out_size / 4) {
			memmove(c->out, c->out + c->out_head, c->out_len);
		} else {
			uint32_t grown = c->out_len ? RC_MAX(need, c->out_size * 2) : need;
			if (!regrow(cs, &c->out, &c->out_size, c->out_head, c->out_len, grown) &&
				!regrow(cs, &c->out, &c->out_size, c->out_head, c->out_len, need))
				return NULL;
		}
		c->out_head = 0;
	}
	return c->out + c->out_head + c->out_len;
}

void rc_conn_commit(struct rc_conns *cs, struct rc_conn *c, uint32_t len)
{
	RC_ASSERT(c->out_head + c->out_len + len <= c->out_size);
	c->out_len += len;
	if (c->out_len == 0 && c->out)
		free_out(cs, c);
	else
		rc_conn_ready(cs, c);
}

bool rc_conn_write(
	struct rc_conns *cs, struct rc_conn *c, const void *bytes, uint32_t len, uint32_t limit)
{
	unsigned char *room = rc_conn_reserve(cs, c, len, limit);

	if (!room)
		return false;
	memcpy(room, bytes, len);
	rc_conn_commit(cs, c, len);
	return true;
}

bool rc_conn_write_first(struct rc_conns *cs, struct rc_conn *c, const void *bytes, uint32_t len)
{
	size_t want = rc_pool_size(RC_MAX(c->out_len + len, BLOCK_MIN));
	unsigned char *fresh = rc_pool_get(cs->pool, want);

	if (!fresh)
		return false;
	memcpy(fresh, bytes, len);
	if (c->out_len)
		memcpy(fresh + len, c->out + c->out_head, c->out_len);
	uint32_t total = c->out_len + len;
	free_out(cs, c);
	rc_conn_adopt_out(cs, c, fresh, (uint32_t)want, 0, total);
	return true;
}

void rc_conn_adopt_out(struct rc_conns *cs, struct rc_conn *c, unsigned char *block, uint32_t size,
	uint32_t head, uint32_t len)
{
	RC_ASSERT(c->out == NULL);
	c->out = block;
	c->out_size = size;
	c->out_head = head;
	c->out_len = len;
	rc_conn_ready(cs, c);
}

void rc_conn_ready(struct rc_conns *cs, struct rc_conn *c)
{
	if (c->flags & (RC_CONN_READY | RC_CONN_SENDING | RC_CONN_BLOCKED))
		return;
	if (c->state != RC_CONN_OPEN && c->state != RC_CONN_FINISHING)
		return;
	uint32_t slot = rc_conn_slot(cs, c);
	c->flags |= RC_CONN_READY;
	c->ready_next = RC_NONE;
	if (cs->ready_last != RC_NONE)
		cs->at[cs->ready_last].ready_next = slot;
	else
		cs->ready_first = slot;
	cs->ready_last = slot;
}

struct rc_conn *rc_conn_next_ready(struct rc_conns *cs)
{
	if (cs->ready_first == RC_NONE)
		return NULL;
	struct rc_conn *c = &cs->at[cs->ready_first];
	cs->ready_first = c->ready_next;
	if (cs->ready_first == RC_NONE)
		cs->ready_last = RC_NONE;
	c->flags &= (uint16_t)~RC_CONN_READY;
	return c;
}

void rc_conn_reclaim(struct rc_conns *cs, struct rc_conn *c)
{
	if (c->state == RC_CONN_DEAD && c->inflight == 0 && !(c->flags & RC_CONN_READY))
		release(cs, c);
}

void rc_conn_send(struct rc_conns *cs, struct rc_conn *c, enum rc_conn_send kind, uint32_t sub,
	const void *bytes, uint32_t len)
{
	RC_DASSERT(!(c->flags & (RC_CONN_SENDING | RC_CONN_BLOCKED)) && len > 0);
	c->send_kind = (uint8_t)kind;
	c->send_sub = sub;
	c->send_len = len;
	if (RC_UNLIKELY(c->flags & (RC_CONN_TLS | RC_CONN_KTLS)))
		rc_conn_tls_send(cs, c, bytes, len);
	else
		rc_conn_hand_over(cs, c, bytes, len);
}

int rc_conn_peek(const struct rc_conn *c, void *out, uint32_t size)
{
	return (int)rc_socket_peek(c->fd, out, size);
}

int rc_conn_take(const struct rc_conn *c, void *out, uint32_t size)
{
	return (int)rc_socket_read(c->fd, out, size);
}

void rc_conn_wake_at(const struct rc_conn *c, uint32_t bytes)
{
	rc_socket_wake_at(c->fd, bytes);
}

bool rc_conn_traffic(const struct rc_conn *c, struct rc_tcp_info *out)
{
	return rc_tcp_info(c->fd, out);
}

void rc_conn_wait_readable(struct rc_conns *cs, struct rc_conn *c)
{
	c->inflight++;
	rc_io_poll_readable(cs->io, c->fd, tag_of(cs, c));
}

void rc_conn_wait_writable(struct rc_conns *cs, struct rc_conn *c)
{
	c->inflight++;
	rc_io_poll_out(cs->io, c->fd, tag_of(cs, c));
}

struct rc_conn *rc_conn_connect(
	struct rc_conns *cs, enum rc_conn_kind kind, const struct sockaddr *address, socklen_t len)
{
	int fd = rc_socket_open(address->sa_family);
	struct rc_conn *c = fd < 0 ? NULL : rc_conn_open(cs, fd, kind);

	if (!c) {
		if (fd >= 0)
			rc_io_close_fd(cs->io, fd);
		return NULL;
	}
	c->inflight++;
	rc_io_connect(cs->io, fd, tag_of(cs, c), address, len);
	return c;
}

void rc_conn_hold(struct rc_conn *c)
{
	c->inflight++;
}

void rc_conn_block(struct rc_conns *cs, struct rc_conn *c)
{
	c->flags |= RC_CONN_BLOCKED;
	c->blocked_tick = cs->tick;
	c->inflight++;
	rc_count(cs->counters, RC_C_pollouts, 1);
	rc_io_poll_out(cs->io, c->fd, tag_of(cs, c));
}

void rc_conn_sent_out(struct rc_conns *cs, struct rc_conn *c, uint32_t len)
{
	RC_ASSERT(len <= c->out_len);
	c->out_head += len;
	c->out_len -= len;
	if (c->out_len == 0)
		free_out(cs, c);
}

/* ---- time and end ------------------------------------------------------------------------------- */

void rc_conn_timer(struct rc_conns *cs, struct rc_conn *c, uint32_t ms)
{
	uint32_t ticks = RC_MAX((ms + RC_CONN_TICK_MS - 1) / RC_CONN_TICK_MS, 1u);

	rc_wheel_set(&cs->wheel, rc_conn_slot(cs, c), cs->tick + ticks);
}

void rc_conn_finish(struct rc_conns *cs, struct rc_conn *c)
{
	if (c->state != RC_CONN_OPEN)
		return;
	c->state = RC_CONN_FINISHING;
	rc_conn_timer(cs, c, cs->linger_ms);
	if (c->out_len == 0 && c->mid_left == 0 && !(c->flags & RC_CONN_SENDING))
		rc_conn_flushed(cs, c);
	else
		rc_conn_ready(cs, c);
}

void rc_conn_flushed(struct rc_conns *cs, struct rc_conn *c)
{
	if (c->state != RC_CONN_FINISHING)
		return;
	if (c->flags & RC_CONN_REST) {
		rc_conn_ready(cs, c);
		return;
	}
	c->state = RC_CONN_LINGERING;
	if (c->flags & (RC_CONN_TLS | RC_CONN_KTLS))
		rc_conn_tls_notify(cs, c);
	rc_socket_shutdown_write(c->fd);
	rc_conn_timer(cs, c, cs->linger_ms);
	/* Somebody must notice the peer's end, also where input was held back. */
	if (!(c->flags & RC_CONN_RECV_ARMED))
		rc_conn_recv(cs, c, RC_IO_SMALL, RC_IO_ONCE);
}

/* All that it holds is given back; its descriptor and slot follow when nothing is in flight any more. */
static void give_back(struct rc_conns *cs, struct rc_conn *c)
{
	c->state = RC_CONN_DEAD;
	rc_wheel_cancel(&cs->wheel, rc_conn_slot(cs, c));
	cs->events.gone(cs->events.ctx, c);
	if (c->out)
		free_out(cs, c);
	if (c->in)
		rc_conn_used(cs, c, c->in_len);
	if (c->flags & (RC_CONN_TLS | RC_CONN_KTLS))
		rc_conn_tls_free(cs, c);
}

void rc_conn_kill(struct rc_conns *cs, struct rc_conn *c)
{
	if (c->state == RC_CONN_DEAD || c->state == RC_CONN_FREE)
		return;
	give_back(cs, c);
	/* An armed receive or poll does not end by a close; it does by this. */
	rc_socket_shutdown(c->fd);
	rc_conn_reclaim(cs, c);
}

void rc_conn_abandon(struct rc_conns *cs, struct rc_conn *c)
{
	if (c->state == RC_CONN_DEAD || c->state == RC_CONN_FREE)
		return;
	/* A shutdown would make some kernels connect once more. */
	rc_io_cancel_connect(cs->io, tag_of(cs, c));
	give_back(cs, c);
	rc_conn_reclaim(cs, c);
}

void rc_conn_reset(struct rc_conns *cs, struct rc_conn *c)
{
	RC_ASSERT(c->state == RC_CONN_OPEN && c->inflight == 0);
	rc_socket_reset_on_close(c->fd);
	give_back(cs, c);
	/* A shutdown would say goodbye properly. */
	rc_conn_reclaim(cs, c);
}

void rc_conn_turn_away(struct rc_conns *cs, struct rc_conn *c, const void *bytes, uint32_t len)
{
	unsigned char came[2048];
	/* What came is taken, whatever it is: on what is left unread the kernel would answer with a reset. */
	ssize_t taken = rc_socket_read(c->fd, came, sizeof(came));

	(void)taken;
	if (len)
		rc_socket_send_now(c->fd, bytes, len);
	rc_conn_kill(cs, c);
}

void rc_conn_landed(struct rc_conns *cs, struct rc_conn *c)
{
	RC_ASSERT(c->inflight > 0);
	c->inflight--;
	rc_conn_reclaim(cs, c);
}
