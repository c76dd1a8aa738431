/* SPDX-License-Identifier: Apache-2.0
 *
 * How a connection begins: a socket from one of the source addresses, TLS, and at the end of all talk an open client. See client.h.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "local.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define READ_MASK (POLLIN | POLLRDHUP)

const char *load_connect_why(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "the connection was refused. Start the server there, or give the address "
		       "at which it listens";
	case EADDRNOTAVAIL:
		return "the source addresses have no port left. Give more of them (--sources)";
	case ENODEV:
		return "a source address is not one of this machine's. Look at --sources";
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
			/* Not a matter of ports: those are taken when it connects. */
			int error = errno == EADDRNOTAVAIL ? ENODEV : errno;

			close(fd);
			return -error;
		}
	}
	return fd;
}

void load_client_connect(struct load_worker *w, struct load_client *c)
{
	const struct load_url *url = load_client_url(w, c);
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
		load_client_lost(w, c, load_connect_why(-fd));
		return;
	}
	c->fd = fd;
	if (connect(fd, (const struct sockaddr *)&url->address, url->address_len) &&
		errno != EINPROGRESS) {
		load_client_lost(w, c, load_connect_why(errno));
		return;
	}
	rc_wheel_set(&w->wheel, load_slot(w, c), load_tick(w, w->now_ns + limit_ns) + 1);
	c->flags |= LOAD_AWAITED;
	load_ring_await(
		&w->ring, fd, POLLOUT, load_tag(LOAD_OP_WRITABLE, c->generation, load_slot(w, c)));
}

void load_client_handshake(struct load_worker *w, struct load_client *c)
{
	int rc = load_tls_handshake(c->extra->tls, &c->extra->tls_want);
	char why[300];

	if (rc == 0 && load_members_of(w, c)->group->handshakes) {
		load_shake_done(w, c);
	} else if (rc == 0) {
		load_speech_begin(w, c);
	} else if (rc != -EAGAIN) {
		(void)snprintf(why, sizeof(why), "%s: %s", load_tls_what(c->extra->tls),
			load_tls_why(c->extra->tls));
		load_client_lost(w, c, why);
	} else if (c->extra->tls_want & POLLOUT && !(c->flags & LOAD_AWAITED)) {
		c->flags |= LOAD_AWAITED;
		load_ring_await(&w->ring, c->fd, POLLOUT,
			load_tag(LOAD_OP_WRITABLE, c->generation, load_slot(w, c)));
	}
}

void load_client_connected(struct load_worker *w, struct load_client *c)
{
	const struct load_url *url = load_client_url(w, c);
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		load_client_lost(w, c, load_connect_why(error ? error : errno));
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
	if (!c->extra->tls) {
		load_client_lost(w, c, "out of memory: say fewer clients");
		return;
	}
	if (load_members_of(w, c)->group->resume)
		load_tls_resume(c->extra->tls, w->tls);
	load_client_handshake(w, c);
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
	if (m->group->command) {
		load_command_opened(w, c);
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
	load_client_spare(w, c);
}
