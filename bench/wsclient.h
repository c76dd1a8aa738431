/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens a WebSocket subscriber the slow and certain way, before anything is measured: blocking, one at a time, each step
 * answered before the next. It does not check Sec-WebSocket-Accept, so that the floor need not compute one.
 */
#ifndef BENCH_WSCLIENT_H
#define BENCH_WSCLIENT_H

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "bench.h"

#define BENCH_CONNECT_SECONDS 10

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static inline void bench_send_all(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			bench_die_errno("send");
		at += n;
		len -= (size_t)n;
	}
}

/*
 * source: 0 lets the kernel choose, else the client comes from 127.0.0.source, since each address has ports of its own
 * towards one server. -1 and errno when the connection is refused.
 */
static inline int bench_connect(const struct sockaddr_in *server, uint32_t source)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct timeval limit = {.tv_sec = BENCH_CONNECT_SECONDS};

	if (fd < 0)
		bench_die_errno("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (source) {
		struct sockaddr_in from = {.sin_family = AF_INET};

		from.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + source);
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		if (bind(fd, (struct sockaddr *)&from, sizeof(from)))
			bench_die_errno("bind");
	}
	if (connect(fd, (const struct sockaddr *)server, sizeof(*server))) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

struct bench_setup {
	int fd;
	size_t len;
	unsigned char bytes[4096];
};

static inline void bench_setup_more(struct bench_setup *s)
{
	ssize_t n;

	if (s->len == sizeof(s->bytes))
		bench_die("an answer of the server is longer than %zu bytes", sizeof(s->bytes));
	do
		n = recv(s->fd, s->bytes + s->len, sizeof(s->bytes) - s->len, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		bench_die("no answer to the upgrade or the subscription: %s", strerror(errno));
	if (n == 0)
		bench_die("the server closed the connection during the upgrade or the "
			  "subscription: '%.*s'",
			(int)RC_MIN(s->len, 200), (const char *)s->bytes);
	s->len += (size_t)n;
}

static inline void bench_setup_drop(struct bench_setup *s, size_t count)
{
	s->len -= count;
	memmove(s->bytes, s->bytes + count, s->len);
}

static inline void bench_upgrade(struct bench_setup *s)
{
	static const char request[] = "GET /ws HTTP/1.1\r\n"
				      "Host: bench\r\n"
				      "Upgrade: websocket\r\n"
				      "Connection: Upgrade\r\n"
				      "Sec-WebSocket-Key: YmVuY2hiZW5jaGJlbmNoIQ==\r\n"
				      "Sec-WebSocket-Version: 13\r\n\r\n";
	const unsigned char *end;

	bench_send_all(s->fd, request, sizeof(request) - 1);
	while (!(end = memmem(s->bytes, s->len, "\r\n\r\n", 4)))
		bench_setup_more(s);
	if (s->len < 12 || memcmp(s->bytes, "HTTP/1.1 101", 12) != 0)
		bench_die("the upgrade was refused: '%.*s'", (int)RC_MIN(s->len, 200),
			(const char *)s->bytes);
	bench_setup_drop(s, (size_t)(end - s->bytes) + 4);
}

/* Takes frames until one answers the subscription. */
static inline void bench_await_ack(struct bench_setup *s)
{
	for (;;) {
		size_t head = 2, len;
		const unsigned char *body;
		bool acknowledged;

		while (s->len < 4)
			bench_setup_more(s);
		len = s->bytes[1];
		if (len == 126) {
			head = 4;
			len = (size_t)s->bytes[2] << 8 | s->bytes[3];
		}
		while (s->len < head + len)
			bench_setup_more(s);
		body = s->bytes + head;
		if (s->bytes[0] != 0x81 || memmem(body, len, "\"type\":\"error\"", 14))
			bench_die("the subscription was refused: '%.*s'", (int)len,
				(const char *)body);
		acknowledged = memmem(body, len, "\"type\":\"subscription-ack\"", 25) != NULL;
		bench_setup_drop(s, head + len);
		if (acknowledged)
			return;
	}
}

/* A client's text frame with the mask 0, which leaves the bytes as they are. At most 1 KiB of text. */
static inline void bench_ws_text(int fd, const char *text)
{
	size_t len = strlen(text), head = len < 126 ? 2 : 4;
	unsigned char frame[8 + 1024] = {0x81};

	RC_ASSERT(len <= 1024);
	if (len < 126) {
		frame[1] = (unsigned char)(0x80 | len);
	} else {
		frame[1] = 0x80 | 126;
		frame[2] = (unsigned char)(len >> 8);
		frame[3] = (unsigned char)len;
	}
	memcpy(frame + head + 4, text, len);
	bench_send_all(fd, frame, head + 4 + len);
}

/* Connected, upgraded, subscribed, acknowledged; blocking; nothing left unread. */
static inline int bench_ws_open(
	const struct sockaddr_in *server, uint32_t source, const char *channel)
{
	struct bench_setup s = {.fd = bench_connect(server, source)};
	char text[512];

	if (s.fd < 0)
		bench_die_errno("connect");
	bench_upgrade(&s);
	snprintf(text, sizeof(text), "{\"type\":\"subscribe\",\"id\":\"1\",\"channels\":[\"%s\"]}",
		channel);
	bench_ws_text(s.fd, text);
	bench_await_ack(&s);
	if (s.len != 0)
		bench_die("the server said more than the acknowledgement: %zu bytes", s.len);
	return s.fd;
}

#endif
