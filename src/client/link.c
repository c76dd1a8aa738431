/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection of libringcast: WAITING for the next try, CONNECTING (first TCP, then TLS where it is wanted, then the
 * greeting), READY. Nothing
 * here waits; wait.c does.
 */
#include "client.h"
#include "bytes.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SEND_BYTES  ((size_t)256 * 1024)
#define SEND_PIECES 8
#define RECV_ROUNDS 16

uint64_t rc_client_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* splitmix64: jitter, no secrets. */
static uint64_t random_upto(struct ringcast *r, uint64_t max)
{
	uint64_t z = (r->random += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % (max + 1);
}

static uint64_t backoff(struct ringcast *r)
{
	uint64_t most = r->o.backoff_min_ms;

	for (unsigned i = 0; i < r->attempts && most < r->o.backoff_max_ms; i++)
		most *= 2;
	if (most > r->o.backoff_max_ms)
		most = r->o.backoff_max_ms;
	return random_upto(r, most);
}

void rc_client_disconnect(struct ringcast *r, bool for_good, const char *why)
{
	uint64_t now = rc_client_now_ms();
	bool reached = r->connected;
	bool answered = r->shaking; /* somebody, but with the wrong certificate perhaps */
	bool farewell = r->draining;

	snprintf(r->why, sizeof(r->why), "%s", why);
	if (r->tls)
		rc_client_tls_end(r->tls);
	if (r->fd >= 0)
		close(r->fd);
	if (r->state == RINGCAST_STATE_READY && now - r->ready_ms >= r->o.backoff_max_ms)
		r->attempts = 0;
	r->fd = -1;
	r->shaking = r->connected = r->draining = false;
	r->unblocked = false;
	r->ctl_len = r->ctl_off = r->rx_len = 0;
	r->stalled = r->asked = r->registered = false;
	/* Who waits for a reply waits at that connection. */
	r->connection++;
	/* Half a frame and what was under way go again, from the first byte, on the next connection. */
	rc_client_window_rewind(r, 0);

	if (for_good || (farewell && r->bye_after_ms == RINGCAST_BYE_NEVER)) {
		rc_client_tell_state(r, RINGCAST_STATE_FAILED, r->why);
		return;
	}
	if (farewell) {
		/* All of the gateway's clients were told the same time. */
		r->retry_at_ms = now + r->bye_after_ms + random_upto(r, r->o.backoff_min_ms);
	} else if (!reached && !answered && r->address + 1 < r->address_count) {
		r->address++;
		r->retry_at_ms = now;
	} else {
		/* Why it was refused is not to be hidden at once by another address where nobody listens. */
		if (answered)
			r->address = (r->address + 1) % r->address_count;
		else if (!reached)
			r->address = 0;
		r->retry_at_ms = now + backoff(r);
		r->attempts++;
	}
	rc_client_tell_state(r, RINGCAST_STATE_WAITING, r->why);
}

static void lost(struct ringcast *r, const char *doing, int error)
{
	char why[160];

	snprintf(why, sizeof(why), "%s: %s", doing, strerror(error));
	rc_client_disconnect(r, false, why);
}

/* The same over TLS. Its end forgets the words, so they are taken before. */
static void tls_lost(struct ringcast *r)
{
	char why[RC_CLIENT_TLS_WHY];

	snprintf(why, sizeof(why), "%s", rc_client_tls_why(r->tls));
	rc_client_disconnect(r, false, why);
}

/* ---- out --------------------------------------------------------------------------------------- */

/* Whether a frame may begin to leave. */
static bool may_begin(const struct ringcast *r, uint64_t number, uint32_t outstanding)
{
	return number < r->rec_end && !r->records[number & r->record_mask].open && !r->draining &&
	       outstanding < r->credit;
}

bool rc_client_sendable(const struct ringcast *r)
{
	return r->state == RINGCAST_STATE_READY &&
	       (r->send_off != 0 || may_begin(r, r->rec_send, r->outstanding));
}

/* Frames that were taken while the gateway's limit was another one or not known. */
static void refuse_what_is_too_large(struct ringcast *r)
{
	rc_client_window_sent(r, 0);
	while (r->send_off == 0 && r->rec_send < r->rec_end) {
		struct rc_client_record *record = rc_client_record(r, r->rec_send);
		uint64_t sequence = record->first;

		if (record->open || record->len <= r->frame_max)
			return;
		rc_client_window_drop(r, r->rec_send);
		rc_client_window_sent(r, 0);
		r->changes++;
		rc_client_tell_nack(r, sequence, RINGCAST_NACK_TOO_LARGE,
			"the frame is larger than the gateway takes");
	}
}

/* Pieces of memory for one sendmsg: of the window, from rec_send on. Returns how many. */
static size_t gather(struct ringcast *r, struct iovec *pieces, size_t max, bool only_the_rest)
{
	size_t count = 0, total = 0, off = r->send_off, enough = SEND_BYTES;
	uint32_t outstanding = r->outstanding;

	if (r->tls)
		enough = RC_CLIENT_TLS_STAGE;
	for (uint64_t i = r->rec_send; total < enough; i++, off = 0) {
		struct rc_client_record *record = rc_client_record(r, i);
		unsigned char *at;

		if (off == 0 && (only_the_rest || !may_begin(r, i, outstanding)))
			break;
		if (record->decided)
			continue;
		if (record->len > r->frame_max)
			break;
		at = r->bytes + record->at % r->o.window_bytes + off;
		if (count != 0 &&
			(unsigned char *)pieces[count - 1].iov_base + pieces[count - 1].iov_len ==
				at) {
			pieces[count - 1].iov_len += record->len - off;
		} else {
			if (count == max)
				break;
			pieces[count++] = (struct iovec){at, record->len - off};
		}
		total += record->len - off;
		outstanding += record->count;
	}
	return count;
}

/* Bytes that were taken, or -errno. */
static ssize_t send_pieces(struct ringcast *r, struct iovec *pieces, size_t count)
{
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
	ssize_t sent;

	if (r->tls)
		return rc_client_tls_write(r->tls, pieces, count);
	do
		sent = sendmsg(r->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

/* Who flushes waits for that. */
static void control_is_out(struct ringcast *r)
{
	r->ctl_off = r->ctl_len = 0;
	r->changes += r->state == RINGCAST_STATE_READY;
}

/* One send: 1, more may go; 0, nothing more goes now; -errno, the connection is broken. */
static int send_some(struct ringcast *r)
{
	struct iovec pieces[SEND_PIECES];
	size_t ctl = 0, wanted = 0, count = 0;
	bool nothing_under_way, ctl_waits;
	ssize_t sent;
	int rc;

	rc = r->tls ? rc_client_tls_flush(r->tls) : 0;
	if (rc != 0) {
		r->unblocked = false;
		return rc == -EAGAIN ? 0 : rc;
	}
	if (r->tls)
		r->unblocked = true;
	if (r->state == RINGCAST_STATE_READY) {
		refuse_what_is_too_large(r);
		rc_client_control_due(r);
	}
	nothing_under_way = r->outstanding == 0 && r->send_off == 0;
	ctl_waits = r->ctl_len > r->ctl_off;
	if (ctl_waits && r->send_off == 0) {
		ctl = r->ctl_len - r->ctl_off;
		pieces[count++] = (struct iovec){r->ctl + r->ctl_off, ctl};
	}
	if (r->state == RINGCAST_STATE_READY)
		count += gather(r, pieces + count, SEND_PIECES - count, ctl_waits && ctl == 0);
	for (size_t i = 0; i < count; i++)
		wanted += pieces[i].iov_len;
	if (wanted == 0)
		return 0;
	sent = send_pieces(r, pieces, count);
	if (sent < 0) {
		r->unblocked = false;
		return sent == -EAGAIN ? 0 : (int)sent;
	}
	if ((size_t)sent < ctl) {
		r->ctl_off += (size_t)sent;
	} else {
		if (ctl != 0)
			control_is_out(r);
		rc_client_window_sent(r, (size_t)sent - ctl);
	}
	if (nothing_under_way && (r->outstanding != 0 || r->send_off != 0))
		r->since_ms = rc_client_now_ms();
	if (r->tls)
		r->unblocked = !rc_client_tls_wants_write(r->tls);
	else
		r->unblocked = (size_t)sent == wanted;
	return r->unblocked;
}

/* Bytes; 0: the gateway hung up; -errno. */
static ssize_t receive_some(struct ringcast *r, void *at, size_t room)
{
	ssize_t got;

	if (r->tls)
		return rc_client_tls_read(r->tls, at, room);
	do
		got = recv(r->fd, at, room, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static void receive_failed(struct ringcast *r, ssize_t got)
{
	if (got == 0 && r->draining)
		rc_client_disconnect(r, false, "the gateway said good-bye");
	else if (r->tls)
		tls_lost(r);
	else if (got == 0)
		rc_client_disconnect(r, false, "the gateway closed the connection");
	else
		lost(r, "receiving", (int)-got);
}

static void receive(struct ringcast *r)
{
	for (int round = 0; round < RECV_ROUNDS && r->fd >= 0; round++) {
		size_t room = r->o.receive_bytes - r->rx_len;
		ssize_t got;

		/* Only while answers have no room to wait in. */
		if (room == 0)
			return;
		got = receive_some(r, r->rx + r->rx_len, room);
		if (got == -EAGAIN)
			return;
		if (got <= 0) {
			receive_failed(r, got);
			return;
		}
		r->rx_len += (size_t)got;
		r->heard_ms = rc_client_now_ms();
		r->asked = false;
		rc_client_answers(r);
		/* One record at a time comes out of TLS, so a short read means nothing. */
		if ((size_t)got < room && !r->tls)
			return;
	}
}

void rc_client_send(struct ringcast *r)
{
	int rc = 1;

	while (r->connected && rc == 1)
		rc = send_some(r);
	if (rc < 0) {
		/* What the gateway said before it hung up tells more than the error does. */
		receive(r);
		if (r->fd >= 0 && r->tls)
			tls_lost(r);
		else if (r->fd >= 0)
			lost(r, "sending", -rc);
	}
}

/* ---- coming and going -------------------------------------------------------------------------- */

static void stream_is_up(struct ringcast *r)
{
	r->shaking = false;
	r->connected = true;
	r->changes++;
	rc_client_say_hello(r);
}

static void shake(struct ringcast *r)
{
	int rc = rc_client_tls_shake(r->tls);

	if (rc > 0)
		stream_is_up(r);
	else if (rc < 0)
		tls_lost(r);
}

static void tcp_is_up(struct ringcast *r)
{
	if (!r->tls) {
		stream_is_up(r);
	} else if (rc_client_tls_begin(r->tls, r->fd) < 0) {
		lost(r, "TLS", ENOMEM);
	} else {
		r->shaking = true;
		shake(r);
	}
}

static void begin(struct ringcast *r)
{
	const struct sockaddr *to = (const struct sockaddr *)&r->addresses[r->address];
	int on = 1;

	r->since_ms = rc_client_now_ms();
	rc_client_tell_state(r, RINGCAST_STATE_CONNECTING, "");
	r->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (r->fd < 0) {
		lost(r, "socket", errno);
		return;
	}
	/* Frames leave in one piece as it is; waiting for more would only add latency. */
	(void)setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(r->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (connect(r->fd, to, r->address_lens[r->address]) == 0)
		tcp_is_up(r);
	else if (errno != EINPROGRESS && errno != EINTR)
		lost(r, "connecting", errno);
}

static void look_whether_tcp_is_up(struct ringcast *r)
{
	struct pollfd p = {r->fd, POLLOUT, 0};
	int error = 0;
	socklen_t len = sizeof(error);

	if (poll(&p, 1, 0) != 1)
		return;
	if (getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error != 0)
		lost(r, "connecting", error);
	else
		tcp_is_up(r);
}

static bool passed(uint64_t since_ms, int timeout_ms, uint64_t now)
{
	return timeout_ms >= 0 && now - since_ms >= (uint64_t)timeout_ms;
}

/* Nothing came for so long. A PING first, for there may have been nothing to say. */
static void ask(struct ringcast *r, uint64_t now)
{
	if (r->asked) {
		rc_client_disconnect(r, false, "the gateway is silent");
		return;
	}
	r->asked = true;
	r->heard_ms = now;
	rc_client_ping(r);
}

static void look_at_the_time(struct ringcast *r)
{
	uint64_t now = rc_client_now_ms();

	if (r->state == RINGCAST_STATE_CONNECTING &&
		passed(r->since_ms, r->o.connect_timeout_ms, now))
		rc_client_disconnect(r, false,
			r->shaking ? "the TLS handshake was not done in time"
				   : "the gateway did not greet in time");
	else if (r->state == RINGCAST_STATE_READY && rc_client_due(r) &&
		 passed(r->since_ms, r->o.ack_timeout_ms, now))
		rc_client_disconnect(r, false, "the gateway did not acknowledge in time");
	else if (r->state == RINGCAST_STATE_READY && rc_client_listens(r) &&
		 passed(r->heard_ms, r->o.ack_timeout_ms, now))
		ask(r, now);
}

void rc_client_look(struct ringcast *r)
{
	if (!r->unblocked) {
		rc_client_step(r);
	} else {
		receive(r);
		look_at_the_time(r);
	}
}

void rc_client_step(struct ringcast *r)
{
	if (r->state == RINGCAST_STATE_FAILED)
		return;
	if (r->state == RINGCAST_STATE_WAITING && rc_client_now_ms() >= r->retry_at_ms)
		begin(r);
	if (r->state == RINGCAST_STATE_CONNECTING && r->shaking)
		shake(r);
	else if (r->state == RINGCAST_STATE_CONNECTING && !r->connected && r->fd >= 0)
		look_whether_tcp_is_up(r);
	if (r->connected)
		receive(r);
	if (r->connected)
		rc_client_send(r);
	/* Commands and pings whose answers had no room before. */
	while (r->connected && r->stalled && rc_client_reply_ready(r)) {
		size_t before = r->rx_len;

		rc_client_answers(r);
		if (r->rx_len == before)
			break;
		rc_client_send(r);
	}
	if (r->state == RINGCAST_STATE_READY && r->draining && !rc_client_due(r))
		rc_client_disconnect(r, false, "the gateway said good-bye");
	look_at_the_time(r);
}
