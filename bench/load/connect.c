/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's connection: opened, written to, lost, left. See client.h.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "local.h"
#include "proto/websocket.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define READ_MASK (POLLIN | POLLRDHUP)

uint32_t load_client_index(const struct load_worker *w, const struct load_client *c)
{
	return (load_slot(w, c) - w->members[c->group].first) * w->shared->workers + w->index;
}

static const struct load_url *url_of(const struct load_worker *w, const struct load_client *c)
{
	const struct load_subscriber *s = &w->plan->target->subscriber;

	return w->members[c->group].group->echo ? &s->echo_url : &s->url;
}

int load_client_init(struct load_worker *w, struct load_client *c, uint8_t group)
{
	const struct load_group *g = w->members[group].group;
	uint32_t index, channel[64], *list = channel, more;

	*c = (struct load_client){.fd = -1, .group = group, .sub.channel = RC_NONE};
	index = load_client_index(w, c);
	if (g->subscriptions == 0 || g->channels == 0)
		return 0;
	c->sub.channel = load_plan_channel(g, index, 0);
	more = g->subscriptions - 1;
	if (more == 0 && !g->recover)
		return 0;
	if (more > RC_ARRAY_LEN(channel) && !(list = calloc(more, sizeof(*list))))
		return -ENOMEM;
	for (uint32_t k = 0; k < more; k++)
		list[k] = load_plan_channel(g, index, k + 1);
	c->more = load_subs_open(list, more, g->recover);
	if (list != channel)
		free(list);
	w->extra_bytes += load_subs_memory(c->more);
	return c->more ? 0 : -ENOMEM;
}

void load_client_deinit(struct load_worker *w, struct load_client *c)
{
	if (c->extra) {
		load_tls_close(c->extra->tls);
		free(c->extra->out);
		free(c->extra->head);
		free(c->extra);
	}
	if (c->fd >= 0)
		close(c->fd);
	load_stream_deinit(&c->stream);
	w->extra_bytes -= load_subs_memory(c->more);
	load_subs_close(c->more);
	c->more = NULL;
	c->extra = NULL;
	c->fd = -1;
}

/* ---- extra memory ------------------------------------------------------------------------------- */

struct load_extra *load_client_extra(struct load_worker *w, struct load_client *c)
{
	if (!c->extra) {
		c->extra = calloc(1, sizeof(*c->extra));
		if (c->extra)
			w->extra_bytes += sizeof(*c->extra);
		else
			load_client_lost(w, c, "out of memory: say fewer clients");
	}
	return c->extra;
}

static void drop_extra(struct load_worker *w, struct load_client *c)
{
	struct load_extra *x = c->extra;

	if (!x)
		return;
	load_tls_close(x->tls);
	w->extra_bytes -= sizeof(*x) + x->out_cap;
	free(x->out);
	free(x->head);
	free(x);
	c->extra = NULL;
}

/* An open client keeps only what it needs. */
static void spare_extra(struct load_worker *w, struct load_client *c)
{
	const struct load_group *g = load_members_of(w, c)->group;
	struct load_extra *x = c->extra;

	if (!x || c->state != LOAD_OPEN || x->out_len > x->out_pos)
		return;
	w->extra_bytes -= x->out_cap;
	free(x->out);
	free(x->head);
	x->out = x->head = NULL;
	x->out_pos = x->out_len = x->out_cap = x->head_len = 0;
	if (!x->tls && !g->echo && g->reading == LOAD_READS)
		drop_extra(w, c);
}

/* ---- the end of a connection -------------------------------------------------------------------- */

static void disconnect(struct load_worker *w, struct load_client *c, bool abruptly)
{
	static const struct linger now = {.l_onoff = 1};
	uint32_t slot = load_slot(w, c);

	if (c->flags & LOAD_WATCHED)
		load_ring_cancel(&w->ring, load_tag(LOAD_OP_READABLE, c->generation, slot));
	if (c->flags & LOAD_AWAITED)
		load_ring_cancel(&w->ring, load_tag(LOAD_OP_WRITABLE, c->generation, slot));
	if (c->fd >= 0) {
		/* A poll holds the connection open until its cancellation is through. */
		load_ring_settle(&w->ring);
		if (abruptly)
			(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		else
			(void)shutdown(c->fd, SHUT_WR);
		drop_extra(w, c);
		close(c->fd);
	}
	drop_extra(w, c);
	c->fd = -1;
	c->generation++;
	c->flags &= (uint8_t) ~(LOAD_WATCHED | LOAD_AWAITED | LOAD_THROTTLED);
	c->stream.stopped = true;
	if (w->fed != c) {
		w->extra_bytes -= load_stream_memory(&c->stream);
		load_stream_deinit(&c->stream);
	}
	rc_wheel_cancel(&w->wheel, slot);
}

/* Over all subscriptions. */
static struct load_sub *sub_at(struct load_client *c, uint32_t k)
{
	if (k == 0)
		return c->sub.channel == RC_NONE ? NULL : &c->sub;
	return c->more && k - 1 < c->more->count ? &c->more->sub[k - 1] : NULL;
}

/*
 * It was open and is not any more: nothing is expected by it now, and what is published until it is back it does
 * not miss by anybody's fault. See shared.h for `expected`.
 */
static void closed(struct load_worker *w, struct load_client *c)
{
	struct load_members *m = load_members_of(w, c);
	struct load_sub *sub;

	for (uint32_t k = 0; (sub = sub_at(c, k)); k++) {
		bool begun = sub->track.last > 0 || (sub->flags & LOAD_SUB_BEGUN);

		if (c->flags & LOAD_COUNTED) {
			uint64_t sequence;

			atomic_fetch_sub_explicit(
				&w->shared->subscribers[sub->channel], 1, memory_order_seq_cst);
			sequence = load_get(&w->shared->sequence[sub->channel]);
			load_add(&m->stats->expected, 0 - (sequence - sub->track.last));
		}
		if (begun)
			sub->flags |= LOAD_SUB_BACK;
	}
	c->flags &= (uint8_t)~LOAD_COUNTED;
	load_add(&m->stats->open, UINT64_MAX);
}

/* Publishers are counted as opened, too. */
static bool anybody_was_open(const struct load_worker *w)
{
	uint64_t opened = 0, publishers = 0;

	for (uint32_t g = 0; g < w->plan->groups; g++) {
		publishers += w->plan->group[g].publishers;
		for (uint32_t i = 0; i < w->shared->workers; i++)
			opened += load_get(&w->shared->worker[i].group[g].opened);
	}
	return w->reached || opened > publishers;
}

void load_client_lost(struct load_worker *w, struct load_client *c, const char *why)
{
	struct load_members *m = load_members_of(w, c);
	bool was_open = c->state == LOAD_OPEN;
	const struct load_url *url = url_of(w, c);

	if (c->state <= LOAD_WAITING || c->state == LOAD_GONE)
		return;
	disconnect(w, c, false);
	if (was_open) {
		closed(w, c);
		load_add(&m->stats->closed, 1);
		c->state = LOAD_GONE;
		return;
	}
	w->connecting--;
	load_add(&m->stats->connecting, UINT64_MAX);
	load_add(&m->stats->failed, 1);
	if (!anybody_was_open(w)) {
		load_worker_fail(w, "no client reached %s:%u: %s", url->host, url->port, why);
		return;
	}
	/* Shown if it matters in the end. */
	(void)snprintf(w->stats->error, sizeof(w->stats->error), "%s", why);
	c->state = LOAD_AWAY;
	rc_wheel_set(&w->wheel, load_slot(w, c), load_tick(w, w->now_ns + LOAD_RETRY_NS));
}

void load_client_leave(struct load_worker *w, struct load_client *c, bool cleanly)
{
	struct load_members *m = load_members_of(w, c);
	static const unsigned char normal[2] = {1000 >> 8, 1000 & 0xff};

	RC_DASSERT(c->state == LOAD_OPEN);
	if (cleanly && (url_of(w, c)->scheme == LOAD_WS || url_of(w, c)->scheme == LOAD_WSS) &&
		!load_client_send_frame(w, c, RC_WS_CLOSE, normal, sizeof(normal)))
		return;
	disconnect(w, c, !cleanly);
	closed(w, c);
	load_add(&m->stats->dropped, 1);
	load_traffic_queue(w, c);
}

/* ---- the beginning ------------------------------------------------------------------------------ */

static const char *connect_failure(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "the connection was refused. Start the server there, or give the address "
		       "at which it listens";
	case EADDRNOTAVAIL:
		return "the source addresses have no port left. Give more of them (--sources)";
	case EMFILE:
	case ENFILE:
		return "no descriptor is left. Raise RLIMIT_NOFILE (ulimit -n), or say fewer "
		       "clients";
	case EHOSTUNREACH:
	case ENETUNREACH:
		return "no route leads there. See that the address is right";
	case ETIMEDOUT:
		return "nothing answers there. See that the address is right and that no "
		       "firewall is between";
	case ECONNRESET:
	case EPIPE:
		return "the server closed the connection. Look into its log";
	default:
		return strerror(error);
	}
}

static int socket_of(struct load_worker *w, struct load_client *c, const struct load_url *url)
{
	int family = url->address.ss_family, one = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (w->plan->sources > 0 && family == AF_INET) {
		/* Clients of all groups go round. */
		struct sockaddr_in from = {.sin_family = AF_INET,
			.sin_addr = w->plan->source[load_client_index(w, c) % w->plan->sources]};

		(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		if (bind(fd, (struct sockaddr *)&from, sizeof(from))) {
			int error = errno;

			close(fd);
			return -error;
		}
	}
	return fd;
}

void load_client_connect(struct load_worker *w, struct load_client *c)
{
	const struct load_url *url = url_of(w, c);
	uint64_t limit_ns = (uint64_t)(w->plan->connect_timeout * 1e9);
	int fd;

	RC_DASSERT(c->state == LOAD_WAITING && c->fd < 0 && !c->extra);
	c->state = LOAD_CONNECTING;
	w->connecting++;
	load_add(&load_members_of(w, c)->stats->connecting, 1);
	if (!load_client_extra(w, c))
		return;
	c->extra->begun_ns = w->now_ns;
	fd = socket_of(w, c, url);
	if (fd < 0) {
		load_client_lost(w, c, connect_failure(-fd));
		return;
	}
	c->fd = fd;
	if (connect(fd, (const struct sockaddr *)&url->address, url->address_len) &&
		errno != EINPROGRESS) {
		load_client_lost(w, c, connect_failure(errno));
		return;
	}
	rc_wheel_set(&w->wheel, load_slot(w, c), load_tick(w, w->now_ns + limit_ns) + 1);
	c->flags |= LOAD_AWAITED;
	load_ring_await(
		&w->ring, fd, POLLOUT, load_tag(LOAD_OP_WRITABLE, c->generation, load_slot(w, c)));
}

static void handshake(struct load_worker *w, struct load_client *c)
{
	int rc = load_tls_handshake(c->extra->tls, &c->extra->tls_want);
	char why[300];

	if (rc == 0) {
		load_speech_begin(w, c);
	} else if (rc != -EAGAIN) {
		(void)snprintf(why, sizeof(why), "TLS failed: %s", load_tls_why(c->extra->tls));
		load_client_lost(w, c, why);
	} else if (c->extra->tls_want & POLLOUT && !(c->flags & LOAD_AWAITED)) {
		c->flags |= LOAD_AWAITED;
		load_ring_await(&w->ring, c->fd, POLLOUT,
			load_tag(LOAD_OP_WRITABLE, c->generation, load_slot(w, c)));
	}
}

static void connected(struct load_worker *w, struct load_client *c)
{
	const struct load_url *url = url_of(w, c);
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		load_client_lost(w, c, connect_failure(error ? error : errno));
		return;
	}
	c->flags |= LOAD_WATCHED;
	load_ring_watch(&w->ring, c->fd, READ_MASK,
		load_tag(LOAD_OP_READABLE, c->generation, load_slot(w, c)));
	if (url->scheme != LOAD_WSS && url->scheme != LOAD_SSES) {
		load_speech_begin(w, c);
		return;
	}
	c->state = LOAD_HANDSHAKE;
	c->extra->tls = load_tls_open(w->tls, c->fd, url->host);
	if (!c->extra->tls)
		load_client_lost(w, c, "out of memory: say fewer clients");
	else
		handshake(w, c);
}

void load_client_opened(struct load_worker *w, struct load_client *c)
{
	struct load_members *m = load_members_of(w, c);
	uint64_t taken = w->now_ns - c->extra->begun_ns;

	w->reached = true;
	w->connecting--;
	load_add(&m->stats->connecting, UINT64_MAX);
	c->state = LOAD_OPEN;
	c->stream.attentive = false;
	rc_wheel_cancel(&w->wheel, load_slot(w, c));
	load_add(&m->stats->connect[rc_hist_bucket(taken)], 1);
	load_add(&m->stats->opened, 1);
	load_add(&m->stats->open, 1);
	if (c->flags & LOAD_ONCE)
		load_add(&m->stats->returned, 1);
	c->flags |= LOAD_ONCE;
	if (m->group->echo) {
		load_echo_opened(w, c);
		return;
	}
	if (m->group->reading == LOAD_READS_SLOWLY)
		c->extra->allowance_ns = w->now_ns;
	if (m->group->reading == LOAD_READS_NEVER && c->flags & LOAD_WATCHED) {
		/* Data would wake us for nothing; that the server gives up is to be seen. */
		load_ring_cancel(
			&w->ring, load_tag(LOAD_OP_READABLE, c->generation, load_slot(w, c)));
		c->generation++;
		load_ring_watch(&w->ring, c->fd, POLLRDHUP,
			load_tag(LOAD_OP_READABLE, c->generation, load_slot(w, c)));
		if (c->flags & LOAD_AWAITED)
			load_ring_await(&w->ring, c->fd, POLLOUT,
				load_tag(LOAD_OP_WRITABLE, c->generation, load_slot(w, c)));
	}
	spare_extra(w, c);
}

/* ---- ready -------------------------------------------------------------------------------------- */

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

static void read_tls(struct load_worker *w, struct load_client *c)
{
	uint32_t generation = c->generation;
	unsigned char *buffer = load_buffer(w, LOAD_BATCH);

	/* All that OpenSSL holds: the poll says nothing about it. */
	while (c->generation == generation) {
		ssize_t n = load_tls_read(c->extra->tls, buffer, LOAD_BUFFER, &c->extra->tls_want);

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			load_client_lost(w, c,
				n == 0 ? connect_failure(ECONNRESET) : load_tls_why(c->extra->tls));
			return;
		}
		load_add(&w->stats->reads, 1);
		load_add(&w->stats->bytes, (uint64_t)n);
		w->now_ns = rc_clock_mono_ns();
		if (c->state == LOAD_UPGRADING)
			load_speech_http(w, c, buffer, (size_t)n);
		else
			load_receive_take(w, c, buffer, (size_t)n);
	}
}

bool load_client_readable(struct load_worker *w, struct load_client *c)
{
	const struct load_group *g = load_members_of(w, c)->group;

	if (c->fd < 0 || c->state <= LOAD_CONNECTING || c->flags & LOAD_THROTTLED)
		return false;
	if (c->state == LOAD_OPEN && g->reading == LOAD_READS_NEVER) {
		load_client_lost(w, c, connect_failure(ECONNRESET));
		return false;
	}
	if (c->state == LOAD_HANDSHAKE)
		handshake(w, c);
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

void load_client_timer(struct load_worker *w, struct load_client *c)
{
	if (c->flags & LOAD_THROTTLED) {
		c->flags &= (uint8_t)~LOAD_THROTTLED;
		load_ready(w, c);
	} else if (c->state == LOAD_AWAY) {
		load_traffic_queue(w, c);
	} else {
		load_client_lost(w, c,
			c->state == LOAD_CONNECTING || c->state == LOAD_HANDSHAKE
				? "it did not answer in time. See that the address is right, or "
				  "give it more time"
			: c->state == LOAD_UPGRADING
				? "it did not answer the HTTP request in time. See that the "
				  "target's URL is right, or give it more time"
				: "it did not answer the subscription in time. See that the "
				  "target's profile says what this server wants to hear");
	}
}

/* ---- output ------------------------------------------------------------------------------------- */

/* Bytes taken; -EAGAIN; another -errno. */
static ssize_t put(struct load_client *c, const void *bytes, size_t len)
{
	ssize_t n;

	if (c->extra && c->extra->tls)
		return load_tls_write(c->extra->tls, bytes, len, &c->extra->tls_want);
	n = send(c->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

static bool keep(struct load_worker *w, struct load_client *c, const char *bytes, size_t len)
{
	struct load_extra *x = load_client_extra(w, c);

	if (!x)
		return false;
	if (x->out_len + len > x->out_cap) {
		size_t cap = rc_pow2_ceil(RC_MAX(x->out_len + len, 512u));
		char *bigger = realloc(x->out, cap);

		if (!bigger) {
			load_client_lost(w, c, "out of memory: say fewer clients");
			return false;
		}
		w->extra_bytes += cap - x->out_cap;
		x->out = bigger;
		x->out_cap = (uint32_t)cap;
	}
	memcpy(x->out + x->out_len, bytes, len);
	x->out_len += (uint32_t)len;
	if (!(c->flags & LOAD_AWAITED)) {
		c->flags |= LOAD_AWAITED;
		load_ring_await(&w->ring, c->fd, POLLOUT,
			load_tag(LOAD_OP_WRITABLE, c->generation, load_slot(w, c)));
	}
	return true;
}

bool load_client_send(struct load_worker *w, struct load_client *c, const void *bytes, size_t len)
{
	const char *at = bytes;
	ssize_t n = 0;

	if (c->fd < 0)
		return false;
	if (!c->extra || c->extra->out_len == c->extra->out_pos) {
		while (len > 0 && (n = put(c, at, len)) > 0) {
			at += n;
			len -= (size_t)n;
		}
		if (n < 0 && n != -EAGAIN && n != -EINTR) {
			load_client_lost(w, c, connect_failure((int)-n));
			return false;
		}
	}
	return len == 0 || keep(w, c, at, len);
}

bool load_client_send_frame(struct load_worker *w, struct load_client *c, uint8_t opcode,
	const void *payload, size_t len)
{
	unsigned char small[14 + 1024], *frame = small;
	uint32_t mask = (uint32_t)rc_prng_next(&w->prng);
	size_t head;
	bool sent;

	if (len > sizeof(small) - 14 && !(frame = malloc(14 + len))) {
		load_client_lost(w, c, "out of memory: say fewer clients");
		return false;
	}
	head = rc_ws_masked_header(frame, opcode, true, len, mask);
	if (len > 0)
		memcpy(frame + head, payload, len);
	rc_ws_mask(frame + head, len, mask, 0);
	sent = load_client_send(w, c, frame, head + len);
	if (frame != small)
		free(frame);
	return sent;
}

void load_client_writable(struct load_worker *w, struct load_client *c)
{
	struct load_extra *x = c->extra;

	c->flags &= (uint8_t)~LOAD_AWAITED;
	if (c->state == LOAD_CONNECTING) {
		connected(w, c);
		return;
	}
	if (c->state == LOAD_HANDSHAKE) {
		handshake(w, c);
		return;
	}
	while (x && x->out_pos < x->out_len) {
		ssize_t n = put(c, x->out + x->out_pos, x->out_len - x->out_pos);

		if (n == -EAGAIN || n == -EINTR) {
			c->flags |= LOAD_AWAITED;
			load_ring_await(&w->ring, c->fd, POLLOUT,
				load_tag(LOAD_OP_WRITABLE, c->generation, load_slot(w, c)));
			return;
		}
		if (n <= 0) {
			load_client_lost(w, c, connect_failure(n < 0 ? (int)-n : EPIPE));
			return;
		}
		x->out_pos += (uint32_t)n;
	}
	if (x)
		x->out_pos = x->out_len = 0;
	spare_extra(w, c);
}

/* ---- the end of the run ------------------------------------------------------------------------- */

void load_client_settle(struct load_worker *w, struct load_client *c)
{
	struct load_members *m = load_members_of(w, c);
	struct load_sub *sub;

	if (c->state != LOAD_OPEN || m->group->may_lose || m->group->echo)
		return;
	for (uint32_t k = 0; (sub = sub_at(c, k)); k++) {
		uint64_t sequence = load_get(&w->shared->sequence[sub->channel]);
		uint64_t lacks = sequence > sub->track.last ? sequence - sub->track.last : 0;
		struct load_faults faults = {.lost = lacks};

		if (lacks == 0)
			continue;
		if (sub->flags & LOAD_SUB_BACK)
			load_add(&m->stats->missed_away, lacks);
		else if (sub->track.last > 0 || sub->flags & LOAD_SUB_BEGUN)
			load_count_faults(w, c, sub->channel, &faults);
	}
}
