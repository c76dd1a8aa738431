/* SPDX-License-Identifier: Apache-2.0 */
#include "io/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int apply(int fd, const struct rc_socket_options *o)
{
	if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 || set(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		return -1;
	if (o->nodelay && set(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0)
		return -1;
	if (o->notsent_lowat && set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)o->notsent_lowat) < 0)
		return -1;
	if (o->user_timeout_ms &&
		set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)o->user_timeout_ms) < 0)
		return -1;
	if (o->keepalive_s) {
		int interval = (int)RC_MAX(o->keepalive_s / 4, 1u);
		if (set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) < 0 ||
			set(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)RC_MIN(o->keepalive_s, 32767u)) <
				0 ||
			set(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval) < 0 ||
			set(fd, IPPROTO_TCP, TCP_KEEPCNT, 4) < 0)
			return -1;
	}
	return 0;
}

int rc_socket_free(
	const struct sockaddr *address, socklen_t len, const char *text, struct rc_error *err)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = 0;

	if (fd < 0)
		return rc_error_set(err, "no socket for %s: %s", text, strerror(errno));
	/* Without SO_REUSEPORT: two gateways on one port would each get a part of the clients. */
	if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 || bind(fd, address, len) < 0 ||
		listen(fd, 1) < 0)
		rc = rc_error_set(err, "can't listen on %s: %s%s", text, strerror(errno),
			errno == EADDRINUSE
				? "; another program has the port, choose one with --listen or --ingest"
			: errno == EACCES ? "; ports below 1024 need CAP_NET_BIND_SERVICE"
					  : "");
	(void)close(fd);
	return rc;
}

int rc_socket_listen(const struct sockaddr *address, socklen_t len, const char *text,
	const struct rc_socket_options *o, struct rc_error *err)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return rc_error_set(err, "no socket for %s: %s", text, strerror(errno));
	if (apply(fd, o) < 0) {
		(void)rc_error_set(
			err, "a socket option for %s was refused: %s", text, strerror(errno));
	} else if (bind(fd, address, len) < 0) {
		(void)rc_error_set(err, "can't listen on %s: %s%s", text, strerror(errno),
			errno == EADDRINUSE
				? "; another program has the port, choose one with --listen or --ingest"
			: errno == EACCES ? "; ports below 1024 need CAP_NET_BIND_SERVICE"
					  : "");
	} else if (listen(fd, (int)o->backlog) < 0) {
		(void)rc_error_set(err, "can't listen on %s: %s", text, strerror(errno));
	} else {
		return fd;
	}
	(void)close(fd);
	return -1;
}

int rc_socket_open(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

uint16_t rc_socket_port(int fd)
{
	struct sockaddr_storage a = {0};
	socklen_t len = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return 0;
	/* The port lies at the same place for both families. */
	_Static_assert(
		offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
		"sockaddr_in and sockaddr_in6");
	uint16_t port;
	memcpy(&port, (const char *)&a + offsetof(struct sockaddr_in, sin_port), sizeof(port));
	return ntohs(port);
}

int rc_socket_steer_by_cpu(int fd, const uint16_t *cpu, uint32_t count)
{
	/* ld cpu; for each shard: jeq cpu[i] -> ret i; then an index that no listener has: the kernel's own hash. */
	struct sock_filter code[2 + 2 * 256];
	uint16_t n = 0;

	RC_ASSERT(count <= 256);
	code[n++] = (struct sock_filter){
		BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_CPU)};
	for (uint32_t i = 0; i < count; i++) {
		code[n++] = (struct sock_filter){BPF_JMP | BPF_JEQ | BPF_K, 0, 1, cpu[i]};
		code[n++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, i};
	}
	code[n++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, UINT32_MAX};
	struct sock_fprog program = {.len = n, .filter = code};
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0)
		return -errno;
	return 0;
}

void rc_socket_peer(int fd, char out[RC_SOCKET_TEXT])
{
	struct sockaddr_storage a = {0};
	socklen_t len = sizeof(a);
	char host[INET6_ADDRSTRLEN];

	if (getpeername(fd, (struct sockaddr *)&a, &len) == 0) {
		if (a.ss_family == AF_INET6) {
			struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a;
			if (inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host))) {
				(void)snprintf(
					out, RC_SOCKET_TEXT, "[%s]:%u", host, ntohs(v6->sin6_port));
				return;
			}
		} else if (a.ss_family == AF_INET) {
			struct sockaddr_in *v4 = (struct sockaddr_in *)&a;
			if (inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host))) {
				(void)snprintf(
					out, RC_SOCKET_TEXT, "%s:%u", host, ntohs(v4->sin_port));
				return;
			}
		}
	}
	(void)snprintf(out, RC_SOCKET_TEXT, "?");
}

void rc_socket_wake_at(int fd, uint32_t bytes)
{
	(void)set(fd, SOL_SOCKET, SO_RCVLOWAT, (int)bytes);
}

void rc_socket_send_now(int fd, const void *bytes, size_t len)
{
	(void)!send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void rc_socket_shutdown(int fd)
{
	(void)shutdown(fd, SHUT_RDWR);
}

void rc_socket_shutdown_write(int fd)
{
	(void)shutdown(fd, SHUT_WR);
}

void rc_socket_reset_on_close(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static ssize_t receive(int fd, void *out, size_t size, int flags)
{
	ssize_t n;

	do
		n = recv(fd, out, size, MSG_DONTWAIT | flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t rc_socket_read(int fd, void *out, size_t size)
{
	return receive(fd, out, size, 0);
}

ssize_t rc_socket_peek(int fd, void *out, size_t size)
{
	return receive(fd, out, size, MSG_PEEK);
}

ssize_t rc_socket_write(int fd, const void *bytes, size_t len)
{
	ssize_t n;

	do
		n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
