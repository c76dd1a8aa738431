/* SPDX-License-Identifier: Apache-2.0 */
#include "floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define POLL_EVENTS 256

enum role { NOBODY, HTTP_LISTENER, INGEST_LISTENER, CLIENT, FEED };

struct floor_client floor_clients[FLOOR_DESCRIPTORS_MAX];
uint32_t floor_client_count;

static int poll_fd;
static uint8_t role_of[FLOOR_DESCRIPTORS_MAX];
static uint32_t client_of[FLOOR_DESCRIPTORS_MAX];
static struct floor_feed *feed_of[FLOOR_DESCRIPTORS_MAX];

void floor_die(const char *format, ...)
{
	va_list args;

	fputs("floor: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void floor_die_errno(const char *what)
{
	floor_die("%s: %s", what, strerror(errno));
}

void floor_send_all(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			floor_die_errno("send");
		at += n;
		len -= (size_t)n;
	}
}

/* ---- descriptors ------------------------------------------------------------------------------- */

static void watch(int fd, enum role role, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	if (fd >= FLOOR_DESCRIPTORS_MAX)
		floor_die("more than %d descriptors", FLOOR_DESCRIPTORS_MAX);
	role_of[fd] = (uint8_t)role;
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event))
		floor_die_errno("epoll_ctl");
}

static void drop(int fd)
{
	if (role_of[fd] == CLIENT) {
		struct floor_client *c = &floor_clients[client_of[fd]];

		floor_tls_end(c);
		*c = floor_clients[--floor_client_count];
		client_of[c->fd] = client_of[fd];
	}
	free(feed_of[fd]);
	feed_of[fd] = NULL;
	role_of[fd] = NOBODY;
	close(fd);
}

static void listen_on(struct sockaddr_in sa, enum role role, const char *name)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	socklen_t len = sizeof(sa);
	char host[INET_ADDRSTRLEN];

	if (fd < 0)
		floor_die_errno("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, 4096) ||
		getsockname(fd, (struct sockaddr *)&sa, &len))
		floor_die_errno("listen");
	inet_ntop(AF_INET, &sa.sin_addr, host, sizeof(host));
	fprintf(stderr, "floor: listening %s %s:%u\n", name, host, ntohs(sa.sin_port));
	watch(fd, role, EPOLLIN);
}

static void take_in(int listener, enum role role)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		watch(fd, role, role == FEED ? EPOLLIN : EPOLLIN | EPOLLOUT | EPOLLET);
		if (role == FEED) {
			feed_of[fd] = calloc(1, sizeof(struct floor_feed));
			if (!feed_of[fd])
				floor_die("out of memory");
		} else {
			client_of[fd] = floor_client_count;
			floor_clients[floor_client_count] = (struct floor_client){.fd = fd};
			floor_tls_accept(&floor_clients[floor_client_count++]);
		}
	}
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		floor_die_errno("accept");
}

/* ---- the program ------------------------------------------------------------------------------- */

/* True when a client can be sent to again. */
static bool attend(int fd, uint32_t events)
{
	struct floor_client *c;
	bool unblocked = false;

	switch ((enum role)role_of[fd]) {
	case HTTP_LISTENER:
		take_in(fd, CLIENT);
		break;
	case INGEST_LISTENER:
		take_in(fd, FEED);
		break;
	case FEED:
		if (!floor_hear_feed(fd, feed_of[fd]))
			drop(fd);
		break;
	case CLIENT:
		c = &floor_clients[client_of[fd]];
		if (events & EPOLLOUT) {
			unblocked = c->blocked;
			c->blocked = false;
		}
		if (events & (uint32_t)~EPOLLOUT && !floor_hear_client(c))
			drop(fd);
		break;
	case NOBODY:
		break;
	}
	return unblocked;
}

static void turn(void)
{
	struct epoll_event events[POLL_EVENTS];
	int n = epoll_wait(poll_fd, events, POLL_EVENTS, -1);
	bool unblocked = false;

	if (n < 0 && errno != EINTR)
		floor_die_errno("epoll_wait");
	for (int i = 0; i < n; i++)
		unblocked |= attend(events[i].data.fd, events[i].events);
	floor_flush(unblocked);
}

static unsigned long number(const char *flag, const char *text, unsigned long max)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value > max)
		floor_die("%s: '%s' is not a number from 0 to %lu", flag, text, max);
	return value;
}

/* "127.0.0.1:8080" */
static struct sockaddr_in address(const char *flag, const char *text)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN];

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		floor_die("%s: '%s' is not ADDRESS:PORT", flag, text);
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	if (inet_pton(AF_INET, host, &sa.sin_addr) != 1)
		floor_die("%s: '%s' is not an IPv4 address", flag, host);
	sa.sin_port = htons((uint16_t)number(flag, colon + 1, 65535));
	return sa;
}

static void pin(const char *text)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number("--cpu", text, CPU_SETSIZE - 1), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		floor_die("can't run on CPU %s: %s", text, strerror(errno));
}

static void all_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		floor_die_errno("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		floor_die_errno("setrlimit");
}

_Noreturn static void usage(int status)
{
	fputs("usage: floor [--mode coalesce|uring|each] [--raw] [--listen ADDR:PORT] "
	      "[--ingest ADDR:PORT] [--cpu N] [--certificate FILE --key FILE]\n",
		status ? stderr : stdout);
	exit(status);
}

static enum floor_mode mode_of(const char *text)
{
	static const char *const names[] = {"coalesce", "uring", "each"};

	for (unsigned i = 0; i < RC_ARRAY_LEN(names); i++)
		if (strcmp(text, names[i]) == 0)
			return (enum floor_mode)i;
	usage(2);
}

int main(int argc, char **argv)
{
	static const struct option flags[] = {{"mode", required_argument, NULL, 'm'},
		{"listen", required_argument, NULL, 'l'}, {"ingest", required_argument, NULL, 'i'},
		{"certificate", required_argument, NULL, 't'},
		{"key", required_argument, NULL, 'k'}, {"cpu", required_argument, NULL, 'c'},
		{"raw", no_argument, NULL, 'r'}, {"help", no_argument, NULL, 'H'}, {0}};
	struct sockaddr_in http = address("--listen", "127.0.0.1:0"), feed = http;
	enum floor_mode mode = FLOOR_COALESCE;
	const char *certificate = NULL, *key = NULL;
	bool raw = false;
	int flag;

	while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
		if (flag == 'l')
			http = address("--listen", optarg);
		else if (flag == 'i')
			feed = address("--ingest", optarg);
		else if (flag == 'c')
			pin(optarg);
		else if (flag == 'r')
			raw = true;
		else if (flag == 't')
			certificate = optarg;
		else if (flag == 'k')
			key = optarg;
		else if (flag == 'm')
			mode = mode_of(optarg);
		else
			usage(flag == 'H' ? 0 : 2);
	}
	if (optind != argc || !certificate != !key || (certificate && mode != FLOOR_COALESCE))
		usage(2);
	if (certificate)
		floor_tls_open(certificate, key);
	all_descriptors();
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (poll_fd < 0)
		floor_die_errno("epoll_create1");
	floor_ring_open(raw);
	floor_flush_open(mode);
	listen_on(http, HTTP_LISTENER, "http");
	listen_on(feed, INGEST_LISTENER, "ingest");
	fputs("floor: ready\n", stderr);
	for (;;)
		turn();
}
