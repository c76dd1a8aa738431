/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor under the fan-out figure: the least that a server can do which sends the same bytes to the same readers. It
 * takes the same upgrade, subscription and ingest protocol as the gateway, sends every event to every subscriber,
 * limits nothing, checks almost nothing, and never closes a slow client. One thread, epoll.
 *
 *   coalesce   each turn takes all input that is there, then one send(2) per client of all that it lacks
 *   uring      the same, the sends submitted to an io_uring 128 at a time
 *   each       one send(2) per client and event
 *
 * With --raw a frame holds the publisher's bytes and nothing else: the shortest frames there are, for measuring a reader.
 *
 * Events lie in a ring that is mapped twice in a row, so that what a client lacks is always one range. A client that is a
 * whole ring behind ends the program: the bench never lets that happen.
 */
#include <fcntl.h>
#include <getopt.h>
#include <liburing.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "proto/websocket.h"
#include "proto/wsupgrade.h"
#include "publisher.h"

#define POLL_EVENTS   256
#define RING_BYTES    (8u << 20)
#define FRAMES_MAX    65536u /* ends of frames that are remembered, for mode each */
#define FEED_BYTES    (4u << 20)
#define FRAME_MAX     (2u << 20)
#define CREDIT        65535u
#define SENDS_AT_ONCE 128
#define SLOTS_MAX     20000

enum mode { COALESCE, URING, EACH };
enum role { NOBODY, HTTP_LISTENER, INGEST_LISTENER, CLIENT, FEED };

struct client {
	uint64_t pos;   /* the ring's bytes before this one went out */
	uint64_t frame; /* mode each: the first frame that did not go out whole */
	int fd;
	bool upgraded, subscribed, blocked;
};

/* An ingest connection. */
struct feed {
	size_t len;
	unsigned char bytes[FEED_BYTES];
};

static enum mode mode;
static bool raw;
static int poll_fd;
static uint8_t role_of[SLOTS_MAX];
static uint32_t client_of[SLOTS_MAX];
static struct feed *feed_of[SLOTS_MAX];
static struct client client[SLOTS_MAX];
static uint32_t client_count;
static bool unblocked; /* somebody can be sent to again */
static unsigned char *ring;
static uint64_t tail;                      /* bytes that were ever put into the ring */
static uint64_t frame_tail;                /* frames */
static uint64_t offset;                    /* of the last event */
static char channel[RINGCAST_CHANNEL_MAX]; /* and its channel: another one begins at offset 1 */
static size_t channel_len;
static uint64_t frame_end[FRAMES_MAX];
static struct io_uring uring;

/* ---- descriptors ------------------------------------------------------------------------------- */

static void watch(int fd, enum role role, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	if (fd >= SLOTS_MAX)
		bench_die("more than %d descriptors", SLOTS_MAX);
	role_of[fd] = (uint8_t)role;
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event))
		bench_die_errno("epoll_ctl");
}

static void drop(int fd)
{
	if (role_of[fd] == CLIENT) {
		client[client_of[fd]] = client[--client_count];
		client_of[client[client_of[fd]].fd] = client_of[fd];
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
		bench_die_errno("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, 4096) ||
		getsockname(fd, (struct sockaddr *)&sa, &len))
		bench_die_errno("listen");
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
			feed_of[fd] = bench_alloc(1, sizeof(struct feed));
		} else {
			client_of[fd] = client_count;
			client[client_count++] = (struct client){.fd = fd};
		}
	}
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		bench_die_errno("accept");
}

/* ---- clients ----------------------------------------------------------------------------------- */

/* The key is all that is read of the request. */
static void upgrade(int fd, const char *request, size_t len)
{
	static const char field[] = "Sec-WebSocket-Key: ";
	const char *key = memmem(request, len, field, sizeof(field) - 1);
	char answer[512];
	size_t key_len = 24, at = sizeof(field) - 1;

	if (!key || (size_t)(request + len - key) < at + key_len)
		bench_die("an upgrade without Sec-WebSocket-Key");
	bench_send_all(fd, answer,
		rc_ws_upgrade_answer(answer, sizeof(answer), (struct rc_str){key + at, key_len},
			(struct rc_str){0}));
}

/* Whether a frame asks for a subscription: what else clients say is of no interest. */
static bool subscribes(unsigned char *frame, size_t len)
{
	size_t head = len > 1 && (frame[1] & 0x7f) == 126 ? 8 : 6;
	uint32_t mask;

	if (len <= head)
		return false;
	memcpy(&mask, frame + head - sizeof(mask), sizeof(mask));
	rc_ws_mask(frame + head, len - head, mask, 0);
	return memmem(frame + head, len - head, "subscribe", 9);
}

/* A client says one thing at a time here, whole: the upgrade, then a subscription to the channel that there is. */
static void hear(int fd)
{
	static const char ack[] = "\x81\x1b{\"type\":\"subscription-ack\"}";
	struct client *c = &client[client_of[fd]];
	unsigned char bytes[4096];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		if (!c->upgraded) {
			upgrade(fd, (const char *)bytes, (size_t)n);
			c->upgraded = true;
		} else if (!c->subscribed && subscribes(bytes, (size_t)n)) {
			bench_send_all(fd, ack, sizeof(ack) - 1);
			c->subscribed = true;
			c->pos = tail;
			c->frame = frame_tail;
		}
	}
	if (n == 0 || errno != EAGAIN)
		drop(fd);
}

/* ---- ingest ------------------------------------------------------------------------------------ */

static unsigned char *append(unsigned char *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

/* The frame that the gateway would make of it, at the end of the ring. */
static void encode(const struct rc_ingest_publish *event)
{
	unsigned char *first = ring + (tail & (RING_BYTES - 1)), *at = first + 4;
	char text[64 + RINGCAST_CHANNEL_MAX + RINGCAST_EVENT_MAX], iso[RC_ISO8601_LEN];
	size_t len, body;

	if (raw) {
		at = first + rc_ws_header(first, RC_WS_TEXT, true, event->payload.len);
		at = append(at, event->payload.ptr, event->payload.len);
		tail += (size_t)(at - first);
		frame_end[frame_tail++ % FRAMES_MAX] = tail;
		return;
	}
	if (!rc_str_eq(event->channel, (struct rc_str){channel, channel_len})) {
		channel_len = event->channel.len;
		memcpy(channel, event->channel.ptr, channel_len);
		offset = 0;
	}
	len = (size_t)snprintf(text, sizeof(text),
		"{\"type\":\"event\",\"channel\":\"%.*s\",\"event\":\"%.*s\",\"offset\":%llu",
		(int)event->channel.len, event->channel.ptr, (int)event->event.len,
		event->event.ptr, (unsigned long long)++offset);
	body = len + sizeof(",\"timestamp\":\"\",\"data\":}") - 1 + sizeof(iso) +
	       event->payload.len;
	if (body < 126 || body > UINT16_MAX)
		bench_die("a frame of %zu bytes", body);
	rc_clock_iso8601(rc_clock_wall_ms(), iso);
	first[0] = 0x81;
	first[1] = 126;
	first[2] = (unsigned char)(body >> 8);
	first[3] = (unsigned char)body;
	at = append(at, text, len);
	at = append(at, ",\"timestamp\":\"", 14);
	at = append(at, iso, sizeof(iso));
	at = append(at, "\",\"data\":", 9);
	at = append(at, event->payload.ptr, event->payload.len);
	*at++ = '}';
	RC_ASSERT((size_t)(at - first) == body + 4);
	tail += body + 4;
	frame_end[frame_tail++ % FRAMES_MAX] = tail;
}

static void acknowledge(int fd, uint64_t sequence)
{
	struct rc_ingest_ack ack = {.sequence = sequence};
	unsigned char out[64];

	bench_send_all(fd, out, rc_ingest_ack_encode(out, sizeof(out), &ack));
}

static void obey(int fd, const struct rc_ingest_frame *frame)
{
	struct rc_ingest_publish event;
	struct rc_ingest_batch batch;
	struct rc_ingest_welcome welcome = {.version = RINGCAST_WIRE_VERSION,
		.server = RC_STR("floor"),
		.frame_max = FRAME_MAX,
		.message_max = UINT16_MAX,
		.credit = CREDIT};
	unsigned char out[128];

	switch (frame->type) {
	case RINGCAST_FRAME_HELLO:
		bench_send_all(fd, out, rc_ingest_welcome_encode(out, sizeof(out), &welcome));
		return;
	case RINGCAST_FRAME_PUBLISH:
		if (rc_ingest_publish_parse(frame->body, &event))
			bench_die("a PUBLISH can't be read");
		encode(&event);
		acknowledge(fd, event.sequence);
		return;
	case RINGCAST_FRAME_BATCH:
		if (rc_ingest_batch_begin(frame->body, &batch))
			bench_die("a BATCH can't be read");
		while (rc_ingest_batch_next(&batch, &event) > 0)
			encode(&event);
		acknowledge(fd, event.sequence);
		return;
	default:
		return;
	}
}

static void ingest(int fd)
{
	struct feed *feed = feed_of[fd];
	struct rc_ingest_frame frame;
	size_t at = 0;
	ssize_t n;
	int rc;

	while ((n = recv(fd, feed->bytes + feed->len, FEED_BYTES - feed->len, MSG_DONTWAIT)) > 0) {
		feed->len += (size_t)n;
		if (feed->len == FEED_BYTES)
			break;
	}
	while ((rc = rc_ingest_frame(feed->bytes + at, feed->len - at, FRAME_MAX, &frame)) == 0) {
		obey(fd, &frame);
		at += frame.total;
	}
	feed->len -= at;
	memmove(feed->bytes, feed->bytes + at, feed->len);
	if (n == 0 || (n < 0 && errno != EAGAIN) || rc < 0)
		drop(fd);
}

/* ---- sending ----------------------------------------------------------------------------------- */

static const unsigned char *at_pos(uint64_t pos)
{
	if (tail - pos > RING_BYTES)
		bench_die("a client is more than %u bytes behind", RING_BYTES);
	return ring + (pos & (RING_BYTES - 1));
}

/* What a send of `len` bytes came to. The other end of a connection that is gone is noticed by its own event. */
static void sent(struct client *c, ssize_t result, size_t len)
{
	if (result > 0)
		c->pos += (uint64_t)result;
	c->blocked = result < (ssize_t)len;
}

static bool lacks(const struct client *c)
{
	return c->pos != tail && c->subscribed && !c->blocked;
}

static void flush_coalesced(void)
{
	for (uint32_t i = 0; i < client_count; i++) {
		struct client *c = &client[i];
		size_t len = (size_t)(tail - c->pos);

		if (lacks(c))
			sent(c, send(c->fd, at_pos(c->pos), len, MSG_DONTWAIT | MSG_NOSIGNAL), len);
	}
}

static void flush_each(void)
{
	for (uint32_t i = 0; i < client_count; i++) {
		struct client *c = &client[i];

		while (lacks(c)) {
			size_t len = (size_t)(frame_end[c->frame % FRAMES_MAX] - c->pos);

			sent(c, send(c->fd, at_pos(c->pos), len, MSG_DONTWAIT | MSG_NOSIGNAL), len);
			if (!c->blocked)
				c->frame++;
		}
	}
}

static void uring_round(unsigned count)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;

	if (io_uring_submit_and_wait(&uring, count) < 0)
		bench_die("io_uring_submit_and_wait");
	io_uring_for_each_cqe(&uring, head, cqe)
	{
		struct client *c = &client[cqe->user_data];

		sent(c, cqe->res, (size_t)(tail - c->pos));
		seen++;
	}
	RC_ASSERT(seen == count);
	io_uring_cq_advance(&uring, seen);
}

static void flush_uring(void)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < client_count; i++) {
		struct client *c = &client[i];
		struct io_uring_sqe *sqe;

		if (!lacks(c))
			continue;
		sqe = io_uring_get_sqe(&uring);
		io_uring_prep_send(sqe, c->fd, at_pos(c->pos), (size_t)(tail - c->pos),
			MSG_DONTWAIT | MSG_NOSIGNAL);
		io_uring_sqe_set_data64(sqe, i);
		if (++count == SENDS_AT_ONCE) {
			uring_round(count);
			count = 0;
		}
	}
	if (count > 0)
		uring_round(count);
}

static void flush(void)
{
	static uint64_t flushed;

	if (flushed == tail && !unblocked)
		return;
	flushed = tail;
	unblocked = false;
	if (mode == COALESCE)
		flush_coalesced();
	else if (mode == URING)
		flush_uring();
	else
		flush_each();
}

/* ---- the program ------------------------------------------------------------------------------- */

static void turn(void)
{
	struct epoll_event events[POLL_EVENTS];
	int n = epoll_wait(poll_fd, events, POLL_EVENTS, -1);

	if (n < 0 && errno != EINTR)
		bench_die_errno("epoll_wait");
	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		switch ((enum role)role_of[fd]) {
		case HTTP_LISTENER:
			take_in(fd, CLIENT);
			break;
		case INGEST_LISTENER:
			take_in(fd, FEED);
			break;
		case FEED:
			ingest(fd);
			break;
		case CLIENT:
			if (events[i].events & EPOLLOUT && client[client_of[fd]].blocked) {
				client[client_of[fd]].blocked = false;
				unblocked = true;
			}
			if (events[i].events & (uint32_t)~EPOLLOUT)
				hear(fd);
			break;
		case NOBODY:
			break;
		}
	}
	flush();
}

static void ring_open(void)
{
	int fd = memfd_create("floor", MFD_CLOEXEC);
	unsigned char *room =
		mmap(NULL, 2 * (size_t)RING_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || ftruncate(fd, RING_BYTES) || room == MAP_FAILED ||
		mmap(room, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
			MAP_FAILED ||
		mmap(room + RING_BYTES, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			fd, 0) == MAP_FAILED)
		bench_die_errno("the ring's memory");
	close(fd);
	ring = room;
}

static void uring_open(void)
{
	int rc = io_uring_queue_init(
		SENDS_AT_ONCE, &uring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);

	if (rc < 0)
		bench_die("io_uring: %s", strerror(-rc));
}

_Noreturn static void usage(int status)
{
	fputs("usage: floor [--mode coalesce|uring|each] [--raw] [--listen ADDR:PORT] "
	      "[--ingest ADDR:PORT] [--cpu N]\n",
		status ? stderr : stdout);
	exit(status);
}

int main(int argc, char **argv)
{
	static const struct option flags[] = {{"mode", required_argument, NULL, 'm'},
		{"listen", required_argument, NULL, 'l'}, {"ingest", required_argument, NULL, 'i'},
		{"cpu", required_argument, NULL, 'c'}, {"raw", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'H'}, {0}};
	static const char *const names[] = {"coalesce", "uring", "each"};
	struct sockaddr_in http = bench_address("--listen", "127.0.0.1:0"), feed = http;
	int flag;

	while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
		if (flag == 'l')
			http = bench_address("--listen", optarg);
		else if (flag == 'i')
			feed = bench_address("--ingest", optarg);
		else if (flag == 'c')
			bench_pin((int)bench_number("--cpu", optarg, 0, CPU_SETSIZE - 1));
		else if (flag == 'r')
			raw = true;
		else if (flag != 'm')
			usage(flag == 'H' ? 0 : 2);
		else {
			for (mode = COALESCE; strcmp(optarg, names[mode]) != 0;)
				if (++mode > EACH)
					usage(2);
		}
	}
	if (optind != argc)
		usage(2);
	bench_need_descriptors(1024);
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (poll_fd < 0)
		bench_die_errno("epoll_create1");
	ring_open();
	if (mode == URING)
		uring_open();
	listen_on(http, HTTP_LISTENER, "http");
	listen_on(feed, INGEST_LISTENER, "ingest");
	fputs("floor: ready\n", stderr);
	for (;;)
		turn();
}
