/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets and what is asked of a socket outside the ring: rare, by plain system calls.
 */
#ifndef RC_IO_SOCKET_H
#define RC_IO_SOCKET_H

#include <sys/socket.h>

#include "base/base.h"
#include "base/error.h"

#define RC_SOCKET_TEXT 64 /* "[ffff:…]:65535" with its NUL */

struct rc_socket_options {
	uint32_t backlog;
	uint32_t notsent_lowat;   /* bytes */
	uint32_t user_timeout_ms; /* 0 = the kernel's */
	uint32_t keepalive_s;     /* 0 = off */
	bool nodelay;
};

/* 0 when nobody listens there, not even one who would share; else -1. */
int rc_socket_free(const struct sockaddr *address, socklen_t len, const char *text,
	struct rc_error *err) RC_MUST_USE;
/*
 * A listener that shares its port with those of other shards (SO_REUSEPORT); what is set on it, accepted sockets
 * inherit. text names the address in messages. Returns the descriptor or -1.
 */
int rc_socket_listen(const struct sockaddr *address, socklen_t len, const char *text,
	const struct rc_socket_options *options, struct rc_error *err) RC_MUST_USE;
/* To connect with: non-blocking. The descriptor, or -errno. */
int rc_socket_open(int family);
/* The port that the kernel chose. */
uint16_t rc_socket_port(int fd);
/*
 * A connection whose packets are handled on cpu[i] goes to the i-th listener of the group (in the order of listening), all
 * others by the kernel's hash. One call for the whole group. 0 or -errno.
 */
int rc_socket_steer_by_cpu(int fd, const uint16_t *cpu, uint32_t count);
/* "address:port" of the other side; "?" when it is gone. */
void rc_socket_peer(int fd, char out[RC_SOCKET_TEXT]);
/* Polls find the socket readable when so many bytes are there, or the peer sends no more. 1 is how a socket begins. */
void rc_socket_wake_at(int fd, uint32_t bytes);
/* A last word, as far as the socket takes it at once. */
void rc_socket_send_now(int fd, const void *bytes, size_t len);
/* Ends both directions, so that an armed receive completes. */
void rc_socket_shutdown(int fd);
/* No more to send; the peer may go on until it has read everything. */
void rc_socket_shutdown_write(int fd);
/* Makes the next close a reset: for peers that must not hold a port or a buffer any longer. */
void rc_socket_reset_on_close(int fd);

/*
 * What is there and what fits, at once: > 0 bytes, 0 the peer sends no more (read only), -EAGAIN, or -errno. For libraries
 * that want to do their reading and writing themselves; peek leaves the bytes where they are.
 */
ssize_t rc_socket_read(int fd, void *out, size_t size);
ssize_t rc_socket_peek(int fd, void *out, size_t size);
ssize_t rc_socket_write(int fd, const void *bytes, size_t len);

#endif
