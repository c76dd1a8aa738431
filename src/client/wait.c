/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of libringcast that wait: for room, for answers, for a connection. One poll(2) on one descriptor, never
 * longer than until the next thing that is planned. And what those need to know who wait in a loop of their own.
 */
#include "client.h"

#include <errno.h>
#include <poll.h>

int rc_client_left(uint64_t since_ms, int timeout_ms)
{
	uint64_t gone;

	if (timeout_ms <= 0)
		return timeout_ms < 0 ? -1 : 0;
	gone = rc_client_now_ms() - since_ms;
	return gone >= (uint64_t)timeout_ms ? 0 : timeout_ms - (int)gone;
}

/* ---- for the caller's own loop ----------------------------------------------------------------- */

int ringcast_fd(const struct ringcast *r)
{
	return r->fd;
}

int ringcast_want(const struct ringcast *r)
{
	if (r->fd < 0)
		return 0;
	if (!r->connected && !r->shaking)
		return RINGCAST_WANT_WRITE;
	if (r->tls && rc_client_tls_wants_write(r->tls))
		return RINGCAST_WANT_READ | RINGCAST_WANT_WRITE;
	/* More would only lie there. */
	if (r->stalled && r->rx_len == r->o.receive_bytes)
		return RINGCAST_WANT_WRITE;
	return RINGCAST_WANT_READ |
	       (rc_client_control_waits(r) || rc_client_sendable(r) ? RINGCAST_WANT_WRITE : 0);
}

static int until(uint64_t due, uint64_t now)
{
	if (due <= now)
		return 0;
	return due - now > INT32_MAX ? INT32_MAX : (int)(due - now);
}

int ringcast_timeout(const struct ringcast *r)
{
	uint64_t now = rc_client_now_ms();

	/* What TLS has in hand the descriptor does not show. */
	if (r->connected && r->tls && r->rx_len < r->o.receive_bytes && rc_client_tls_holds(r->tls))
		return 0;
	switch (r->state) {
	case RINGCAST_STATE_WAITING:
		return until(r->retry_at_ms, now);
	case RINGCAST_STATE_CONNECTING:
		if (r->o.connect_timeout_ms < 0)
			return -1;
		return until(r->since_ms + (uint64_t)r->o.connect_timeout_ms, now);
	case RINGCAST_STATE_READY:
		/* Held back for more to come; a socket that is full says by itself when it is not. */
		if (r->unblocked && (rc_client_sendable(r) || rc_client_control_waits(r)))
			return 0;
		if (r->o.ack_timeout_ms < 0)
			return -1;
		if (rc_client_due(r))
			return until(r->since_ms + (uint64_t)r->o.ack_timeout_ms, now);
		if (rc_client_listens(r))
			return until(r->heard_ms + (uint64_t)r->o.ack_timeout_ms, now);
		return -1;
	case RINGCAST_STATE_FAILED:
	default:
		return -1;
	}
}

/* ---- waiting ---------------------------------------------------------------------------------- */

bool rc_client_turn(struct ringcast *r, int timeout_ms)
{
	uint64_t before = r->changes;
	struct pollfd p;
	int wait_ms, want, rc;

	rc_client_step(r);
	if (timeout_ms == 0 || r->changes != before || r->state == RINGCAST_STATE_FAILED)
		return true;
	wait_ms = ringcast_timeout(r);
	if (timeout_ms > 0 && (wait_ms < 0 || timeout_ms < wait_ms))
		wait_ms = timeout_ms;
	want = ringcast_want(r);
	p = (struct pollfd){.fd = r->fd};
	if (want & RINGCAST_WANT_READ)
		p.events |= POLLIN;
	if (want & RINGCAST_WANT_WRITE)
		p.events |= POLLOUT;
	/* A descriptor of -1 is passed over, and it only sleeps. */
	rc = poll(&p, 1, wait_ms);
	if (rc < 0 && errno == EINTR)
		return false;
	rc_client_step(r);
	return true;
}

int ringcast_poll(struct ringcast *r, int timeout_ms)
{
	uint64_t since, before = r->changes;
	int left;

	if (r->in_callback)
		return RINGCAST_MISUSE;
	since = rc_client_now_ms();
	do {
		left = rc_client_left(since, timeout_ms);
		if (!rc_client_turn(r, left))
			break;
	} while (left != 0 && r->changes == before && r->state != RINGCAST_STATE_FAILED);
	return r->state == RINGCAST_STATE_FAILED ? RINGCAST_FAILED : RINGCAST_OK;
}

/* They are for this connection alone, so without one nothing does. */
static bool replies_wait(const struct ringcast *r)
{
	return r->state == RINGCAST_STATE_READY &&
	       (rc_client_control_waits(r) || (r->tls && rc_client_tls_wants_write(r->tls)));
}

int ringcast_flush(struct ringcast *r, int timeout_ms)
{
	uint64_t since;

	if (r->in_callback)
		return RINGCAST_MISUSE;
	rc_client_window_close(r);
	since = rc_client_now_ms();
	while (r->events != 0 || replies_wait(r)) {
		int left = rc_client_left(since, timeout_ms);

		if (r->state == RINGCAST_STATE_FAILED)
			return RINGCAST_FAILED;
		(void)rc_client_turn(r, left);
		if (left == 0 && (r->events != 0 || replies_wait(r)))
			return r->state == RINGCAST_STATE_FAILED ? RINGCAST_FAILED
								 : RINGCAST_TIMEOUT;
	}
	return RINGCAST_OK;
}

int ringcast_wait_ready(struct ringcast *r, int timeout_ms)
{
	uint64_t since;

	if (r->in_callback)
		return RINGCAST_MISUSE;
	since = rc_client_now_ms();
	while (r->state != RINGCAST_STATE_READY) {
		int left = rc_client_left(since, timeout_ms);

		if (r->state == RINGCAST_STATE_FAILED)
			return RINGCAST_FAILED;
		(void)rc_client_turn(r, left);
		if (left == 0 && r->state != RINGCAST_STATE_READY)
			return r->state == RINGCAST_STATE_FAILED ? RINGCAST_FAILED
								 : RINGCAST_TIMEOUT;
	}
	return RINGCAST_OK;
}
