/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/webhookname.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Between two look-ups, however often it is asked. */
#define PAUSE_MS     1000
#define PATIENCE_SEC 1

/* ---- looking up ----------------------------------------------------------------------------------- */

static bool has(const struct rc_webhook_addresses *s, const struct rc_address *a)
{
	for (uint32_t i = 0; i < s->count; i++) {
		if (memcmp(&s->at[i], a, sizeof(*a)) == 0)
			return true;
	}
	return false;
}

bool rc_webhook_addresses_same(
	const struct rc_webhook_addresses *a, const struct rc_webhook_addresses *b)
{
	for (uint32_t i = 0; i < a->count; i++) {
		if (!has(b, &a->at[i]))
			return false;
	}
	return a->count == b->count;
}

static void add(struct rc_webhook_addresses *s, const struct sockaddr *from, uint16_t port)
{
	struct rc_address a = {.family = from->sa_family, .port = port};

	if (from->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, from, sizeof(in));
		memcpy(a.ip, &in.sin_addr, sizeof(in.sin_addr));
	} else if (from->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, from, sizeof(in6));
		memcpy(a.ip, &in6.sin6_addr, sizeof(in6.sin6_addr));
	} else {
		return;
	}
	if (s->count < RC_WEBHOOK_ADDRESSES_MAX && !has(s, &a))
		s->at[s->count++] = a;
}

/* 0, or EAI_…; *out has one at least, or is as it was. */
static int look_up(const char *host, uint16_t port, int flags, struct rc_webhook_addresses *out)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
	struct rc_webhook_addresses found = {.count = 0};
	struct addrinfo *list;
	int rc = getaddrinfo(host, NULL, &hints, &list);

	if (rc)
		return rc;
	for (const struct addrinfo *a = list; a; a = a->ai_next)
		add(&found, a->ai_addr, port);
	freeaddrinfo(list);
	if (!found.count)
		return EAI_NONAME;
	*out = found;
	return 0;
}

/* ---- the thread ----------------------------------------------------------------------------------- */

static void again(struct rc_webhook_name *n)
{
	struct rc_webhook_addresses now;
	int why = look_up(n->host, n->port, 0, &now);

	/* Of counters that one thread reads now and then, no other memory with them. */
	atomic_fetch_add_explicit(&n->failed, why != 0, memory_order_relaxed);
	atomic_store_explicit(&n->why, why, memory_order_relaxed);
	/* Pairs with the release in take(): the shard is done with found. One that is not gets them the next time. */
	if (!why && !rc_webhook_addresses_same(&now, &n->first) &&
		atomic_load_explicit(&n->full, memory_order_acquire) == 0) {
		n->first = n->found = now;
		/* Pairs with the acquire in take(). */
		atomic_store_explicit(&n->full, 1, memory_order_release);
	}
	/* Last, so that who sees it sees what came of it; pairs with the acquire of webhook.c. */
	atomic_fetch_add_explicit(&n->looked, 1, memory_order_release);
}

static void *run(void *arg)
{
	struct rc_webhook_name *n = arg;
	struct pollfd woken = {.fd = n->wake_fd, .events = POLLIN};
	uint64_t times;
	bool soon = false;

	/* Pairs with the release in close(). */
	while (!atomic_load_explicit(&n->ends, memory_order_acquire)) {
		if (!soon && poll(&woken, 1, (int)n->interval_ms) > 0)
			(void)!read(n->wake_fd, &times, sizeof(times));
		if (atomic_load_explicit(&n->ends, memory_order_acquire))
			break;
		/* Relaxed as all of asked: it guards nothing. Who asks from here on does not cut the pause short. */
		atomic_store_explicit(&n->asked, RC_WEBHOOK_NAME_BUSY, memory_order_relaxed);
		again(n);
		(void)poll(&woken, 1, PAUSE_MS);
		soon = atomic_exchange_explicit(&n->asked, RC_WEBHOOK_NAME_IDLE,
			       memory_order_relaxed) == RC_WEBHOOK_NAME_ASKED;
	}
	return NULL;
}

static void wake(const struct rc_webhook_name *n)
{
	const uint64_t one = 1;

	(void)!write(n->wake_fd, &one, sizeof(one));
}

/* ---- main thread ---------------------------------------------------------------------------------- */

int rc_webhook_name_open(struct rc_webhook_name **name, struct rc_webhook_addresses *first,
	const struct rc_webhook_url *url, uint32_t interval_ms, struct rc_error *err)
{
	char host[RC_CONFIG_TEXT_SIZE];

	(void)snprintf(host, sizeof(host), "%.*s", (int)url->host.len, url->host.ptr);
	if (look_up(host, url->port, AI_NUMERICHOST, first) == 0)
		return 0;
	int rc = look_up(host, url->port, 0, first);
	if (rc)
		return rc_error_set(err, "[webhooks] url: the host %s can't be resolved: %s", host,
			gai_strerror(rc));
	struct rc_webhook_name *n = calloc(1, sizeof(*n));
	if (!n)
		return rc_error_set(err, "out of memory");
	memcpy(n->host, host, sizeof(host));
	n->port = url->port;
	n->interval_ms = interval_ms;
	n->first = *first;
	n->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*name = n;
	return n->wake_fd >= 0 ? 0 : rc_error_set(err, "no eventfd: %s", strerror(errno));
}

int rc_webhook_name_start(struct rc_webhook_name *n, struct rc_error *err)
{
	sigset_t all, before;

	/* Signals are for the main thread. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	int rc = pthread_create(&n->thread, NULL, run, n);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return rc_error_set(
			err, "no thread to look up the host of webhooks: %s", strerror(rc));
	n->started = true;
	return 0;
}

void rc_webhook_name_close(struct rc_webhook_name *n)
{
	struct timespec until;

	if (!n)
		return;
	if (n->started) {
		/* Pairs with the acquires in run(). */
		atomic_store_explicit(&n->ends, 1, memory_order_release);
		wake(n);
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += PATIENCE_SEC;
		if (pthread_timedjoin_np(n->thread, NULL, &until) != 0) {
			/* A name server that does not answer; what the thread looks at stays. */
			(void)pthread_detach(n->thread);
			return;
		}
	}
	if (n->wake_fd >= 0)
		(void)close(n->wake_fd);
	free(n);
}

/* ---- the shard ------------------------------------------------------------------------------------ */

void rc_webhook_name_ask(struct rc_webhook_name *n)
{
	if (atomic_exchange_explicit(&n->asked, RC_WEBHOOK_NAME_ASKED, memory_order_relaxed) ==
		RC_WEBHOOK_NAME_IDLE)
		wake(n);
}

bool rc_webhook_name_take(struct rc_webhook_name *n, struct rc_webhook_addresses *out)
{
	/* Pairs with the release in again(). */
	if (!atomic_load_explicit(&n->full, memory_order_acquire))
		return false;
	*out = n->found;
	/* Pairs with the acquire in again(). */
	atomic_store_explicit(&n->full, 0, memory_order_release);
	return true;
}
