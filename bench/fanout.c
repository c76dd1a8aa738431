/* SPDX-License-Identifier: Apache-2.0
 *
 * Publisher and reader of the fan-out figure, in one thread on one CPU: N subscribers of one channel, K events in flight,
 * where an event is done when all N have received it. Says deliveries a second, the server's CPU per delivery, and the
 * time from publish to reception; fails when a subscriber did not receive exactly what was published.
 *
 * The reader must cost less than the server, or it is the reader that is measured: one recv(2) of all that is there, four
 * bytes of each frame looked at. Unless --sleep it does not sleep but looks every 20 us, so that the server does not pay
 * for waking it up, and that what arrives meanwhile is taken together.
 */
#include <getopt.h>
#include <sys/epoll.h>

#include "base/hist.h"
#include "stream.h"

#define POLL_EVENTS   64
#define LOOK_NS       20000
#define RECEIVE_BYTES (1u << 20)
#define DRAIN_SECONDS 10
#define INGEST_SLOT   UINT32_MAX
#define WAITED_MUCH   0.05
#define IN_FLIGHT_MAX 4096

struct options {
	struct sockaddr_in http, ingest;
	uint32_t subscribers, in_flight;
	size_t payload_len;
	double warm_seconds, seconds;
	pid_t pid;
	int cpu;
	bool sleep, json;
};

/* What is known of an offset in flight, kept at offset modulo the ring's size. */
struct flight {
	uint64_t published_ns;
	uint64_t batch_last; /* the last offset that was published at the same moment */
	uint32_t here;       /* subscribers whose last offset this is */
};

/* A figure and its clocks at one moment. */
struct sample {
	uint64_t ns, server_ns, server_waited_ns, own_ns, own_waited_ns, idle_ns, deliveries, bytes;
};

struct bench {
	struct options opt;
	struct bench_layout layout;
	struct bench_publisher publisher;
	struct bench_sub *sub;
	unsigned char *buffer;
	int epoll;
	clockid_t server_clock;
	uint64_t flight_mask;
	struct flight *flight;
	uint64_t done; /* the last offset that every subscriber has */
	uint64_t deliveries, bytes;
	uint64_t idle_ns;    /* own CPU spent waiting by polling */
	uint64_t idle_since; /* 0 = not now */
	bool full;           /* the last look found as much as a look can show */
	bool measuring;
	uint64_t latency[RC_HIST_BUCKETS];
};

static void usage(FILE *to)
{
	fputs("usage: fanout --http ADDR:PORT --ingest ADDR:PORT [options]\n"
	      "  --subscribers N   WebSocket clients of one channel (1000)\n"
	      "  --in-flight K     events that not everybody has received yet (64)\n"
	      "  --payload BYTES   of each event's JSON (128)\n"
	      "  --warm SECONDS    before the window (0.5)\n"
	      "  --seconds SECONDS the window (3)\n"
	      "  --pid PID         the server, for its CPU time\n"
	      "  --cpu N           run on this CPU\n"
	      "  --sleep           sleep when there is nothing to read, instead of polling\n"
	      "  --json            one line for a program to read\n",
		to);
}

static void options_read(struct options *o, int argc, char **argv)
{
	static const struct option flags[] = {{"http", required_argument, NULL, 'h'},
		{"ingest", required_argument, NULL, 'i'},
		{"subscribers", required_argument, NULL, 'n'},
		{"in-flight", required_argument, NULL, 'k'},
		{"payload", required_argument, NULL, 'p'}, {"warm", required_argument, NULL, 'w'},
		{"seconds", required_argument, NULL, 's'}, {"pid", required_argument, NULL, 'P'},
		{"cpu", required_argument, NULL, 'c'}, {"sleep", no_argument, NULL, 'S'},
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'H'}, {0}};
	int flag;

	*o = (struct options){.subscribers = 1000,
		.in_flight = 64,
		.payload_len = 128,
		.warm_seconds = 0.5,
		.seconds = 3,
		.cpu = -1};
	while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
		if (flag == 'h')
			o->http = bench_address("--http", optarg);
		else if (flag == 'i')
			o->ingest = bench_address("--ingest", optarg);
		else if (flag == 'n')
			o->subscribers =
				(uint32_t)bench_number("--subscribers", optarg, 1, 1000000);
		else if (flag == 'k')
			o->in_flight =
				(uint32_t)bench_number("--in-flight", optarg, 1, IN_FLIGHT_MAX);
		else if (flag == 'p')
			o->payload_len = bench_number(
				"--payload", optarg, BENCH_PAYLOAD_MIN, BENCH_PAYLOAD_MAX);
		else if (flag == 'w')
			o->warm_seconds = bench_seconds("--warm", optarg);
		else if (flag == 's')
			o->seconds = bench_seconds("--seconds", optarg);
		else if (flag == 'P')
			o->pid = (pid_t)bench_number("--pid", optarg, 1, 1 << 22);
		else if (flag == 'c')
			o->cpu = (int)bench_number("--cpu", optarg, 0, CPU_SETSIZE - 1);
		else if (flag == 'S')
			o->sleep = true;
		else if (flag == 'j')
			o->json = true;
		else {
			usage(flag == 'H' ? stdout : stderr);
			exit(flag == 'H' ? 0 : 2);
		}
	}
	if (optind != argc || o->http.sin_port == 0 || o->ingest.sin_port == 0) {
		usage(stderr);
		exit(2);
	}
}

static struct flight *flight_at(struct bench *b, uint64_t offset)
{
	return &b->flight[offset & b->flight_mask];
}

static void watch(struct bench *b, int fd, uint32_t slot)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = slot};

	if (slot != INGEST_SLOT)
		event.events |= EPOLLET;
	if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &event))
		bench_die_errno("epoll_ctl");
}

static void publish(struct bench *b)
{
	uint64_t first = b->publisher.sequence + 1, now;
	uint32_t count = b->opt.in_flight - (uint32_t)(b->publisher.sequence - b->done);

	/* The gateway acknowledges what was delivered, sooner or later: wait for it, rather than overrun its window. */
	while (b->publisher.sequence - b->publisher.acked + count > b->publisher.limits.credit)
		bench_publisher_read(&b->publisher, 0);
	now = bench_now_ns();
	for (uint64_t offset = first; offset < first + count; offset++) {
		struct flight *f = flight_at(b, offset);

		RC_ASSERT(f->here == 0);
		f->published_ns = now;
		f->batch_last = first + count - 1;
	}
	bench_publish(&b->publisher, count);
}

/* The subscriber moved from offset `from` to `to`. */
static void delivered(struct bench *b, uint64_t from, uint64_t to, uint64_t now)
{
	if (to > b->publisher.sequence)
		bench_die("a subscriber received more than was published");
	b->deliveries += to - from;
	flight_at(b, from)->here--;
	flight_at(b, to)->here++;
	while (flight_at(b, b->done)->here == 0)
		b->done++;
	if (!b->measuring)
		return;
	for (uint64_t offset = from + 1, last; offset <= to; offset = last + 1) {
		const struct flight *f = flight_at(b, offset);

		last = RC_MIN(to, f->batch_last);
		b->latency[rc_hist_bucket(now - f->published_ns)] += last - offset + 1;
	}
}

static void receive(struct bench *b, struct bench_sub *sub)
{
	uint64_t before;
	ssize_t n;

	for (;;) {
		size_t rest = sub->rest_len, room = RECEIVE_BYTES - rest;

		memcpy(b->buffer, sub->rest, rest);
		n = recv(sub->fd, b->buffer + rest, room, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			bench_die_errno("recv");
		if (n == 0)
			bench_die("the server closed a subscriber's connection");
		b->bytes += (size_t)n;
		before = sub->offset;
		bench_sub_take(sub, &b->layout, b->buffer, rest + (size_t)n);
		if (sub->offset != before)
			delivered(b, before, sub->offset, bench_now_ns());
		/* Edge-triggered: what comes after a read that did not fill the buffer is a new edge. */
		if ((size_t)n < room)
			return;
	}
}

/* Before a look at what has arrived, unless there is more than one look can show. */
static void pause_briefly(struct bench *b)
{
	uint64_t end_ns = bench_now_ns() + LOOK_NS;

	if (!b->idle_since)
		b->idle_since = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while (bench_now_ns() < end_ns)
		;
}

static void turn(struct bench *b)
{
	struct epoll_event events[POLL_EVENTS];
	int n;

	if (!b->opt.sleep && !b->full)
		pause_briefly(b);
	n = epoll_wait(b->epoll, events, POLL_EVENTS, b->opt.sleep ? 100 : 0);
	if (n < 0 && errno != EINTR)
		bench_die_errno("epoll_wait");
	b->full = n == POLL_EVENTS;
	if (n <= 0)
		return;
	if (b->idle_since) {
		b->idle_ns += bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - b->idle_since;
		b->idle_since = 0;
	}
	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == INGEST_SLOT)
			bench_publisher_read(&b->publisher, MSG_DONTWAIT);
		else
			receive(b, &b->sub[events[i].data.u32]);
	}
}

static void run_until(struct bench *b, uint64_t end_ns, uint64_t stall_ns)
{
	uint64_t now = bench_now_ns(), moved_ns = now, done = b->done;

	while (now < end_ns) {
		if (b->publisher.sequence - b->done < b->opt.in_flight)
			publish(b);
		turn(b);
		now = bench_now_ns();
		if (b->done != done) {
			done = b->done;
			moved_ns = now;
		} else if (now - moved_ns > stall_ns) {
			bench_die("offset %llu has not reached everybody for %llu s",
				(unsigned long long)done + 1,
				(unsigned long long)(stall_ns / BENCH_SECOND));
		}
	}
}

/* Publishes nothing more, and waits until everybody has everything and all is acknowledged. */
static void drain(struct bench *b)
{
	uint64_t end_ns = bench_now_ns() + DRAIN_SECONDS * BENCH_SECOND;

	while (b->done != b->publisher.sequence || b->publisher.acked != b->publisher.sequence) {
		if (bench_now_ns() > end_ns)
			bench_die("%llu events published, %llu acknowledged, %llu received by all",
				(unsigned long long)b->publisher.sequence,
				(unsigned long long)b->publisher.acked,
				(unsigned long long)b->done);
		turn(b);
	}
	for (uint32_t i = 0; i < b->opt.subscribers; i++) {
		const struct bench_sub *sub = &b->sub[i];

		if (sub->offset != b->publisher.sequence || sub->rest_len != 0 ||
			sub->bytes != bench_layout_bytes(&b->layout, sub->offset))
			bench_die("subscriber %u has %llu bytes up to offset %llu of %llu", i,
				(unsigned long long)sub->bytes, (unsigned long long)sub->offset,
				(unsigned long long)b->publisher.sequence);
	}
}

static struct sample sample(const struct bench *b)
{
	uint64_t own_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);

	return (struct sample){
		.ns = bench_now_ns(),
		.server_ns = b->opt.pid ? bench_clock_ns(b->server_clock) : 0,
		.server_waited_ns = b->opt.pid ? bench_waited_ns(b->opt.pid) : 0,
		.own_ns = own_ns,
		.own_waited_ns = bench_waited_ns(getpid()),
		.idle_ns = b->idle_ns + (b->idle_since ? own_ns - b->idle_since : 0),
		.deliveries = b->deliveries,
		.bytes = b->bytes,
	};
}

static void report(const struct bench *b, struct sample from, struct sample to)
{
	double ns = (double)(to.ns - from.ns),
	       deliveries = (double)(to.deliveries - from.deliveries);
	double rate = deliveries / (ns / 1e9);
	double server = (double)(to.server_ns - from.server_ns);
	double reader =
		((double)(to.own_ns - from.own_ns) - (double)(to.idle_ns - from.idle_ns)) / ns;
	double p50 = (double)rc_hist_quantile(b->latency, 0.5) / 1e3;
	double p99 = (double)rc_hist_quantile(b->latency, 0.99) / 1e3;
	double server_waited = (double)(to.server_waited_ns - from.server_waited_ns) / ns;
	double reader_waited = (double)(to.own_waited_ns - from.own_waited_ns) / ns;
	bool limits = reader > 0.95 && (!b->opt.pid || server / ns < 0.9);

	if (deliveries == 0)
		bench_die("nothing was delivered within the window");
	if (limits)
		fprintf(stderr,
			"fanout: the reader is at %.0f %% of its CPU and the server at %.0f %%: the "
			"deliveries a second are the reader's, only the CPU per delivery is the "
			"server's\n",
			reader * 100, server / ns * 100);
	if (!b->opt.json && RC_MAX(server_waited, reader_waited) > WAITED_MUCH)
		fprintf(stderr,
			"fanout: other processes want the same CPUs: the server waited for %.0f %% of "
			"the time and the reader for %.0f %%; the deliveries a second say little\n",
			server_waited * 100, reader_waited * 100);
	if (b->opt.json) {
		printf("{\"subscribers\":%u,\"in_flight\":%u,\"payload\":%zu,\"seconds\":%.3f,"
		       "\"deliveries\":%.0f,\"deliveries_per_second\":%.0f,\"bytes_per_second\":%.0f,"
		       "\"server_cpu_ns_per_delivery\":%.2f,\"server_cpu\":%.4f,\"reader_cpu\":%.4f,"
		       "\"server_waited\":%.4f,\"reader_waited\":%.4f,"
		       "\"latency_p50_us\":%.1f,\"latency_p99_us\":%.1f,\"reader_limits\":%s}\n",
			b->opt.subscribers, b->opt.in_flight, b->opt.payload_len, ns / 1e9,
			deliveries, rate, (double)(to.bytes - from.bytes) / (ns / 1e9),
			server / deliveries, server / ns, reader, server_waited, reader_waited, p50,
			p99, limits ? "true" : "false");
		return;
	}
	printf("%u subscribers, %u in flight, %zu B payload, %.2f s\n", b->opt.subscribers,
		b->opt.in_flight, b->opt.payload_len, ns / 1e9);
	printf("  %.0f deliveries/s, %.2f GB/s\n", rate, (double)(to.bytes - from.bytes) / ns);
	if (b->opt.pid)
		printf("  server: %.3f us of CPU a delivery, %.0f %% of a CPU\n",
			server / deliveries / 1e3, server / ns * 100);
	printf("  publish to reception: p50 %.0f us, p99 %.0f us\n  reader: %.0f %% of its CPU\n",
		p50, p99, reader * 100);
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct sample from, to;
	char channel[64];

	options_read(&b.opt, argc, argv);
	bench_pin(b.opt.cpu);
	bench_need_descriptors(b.opt.subscribers + 32);
	if (b.opt.pid)
		b.server_clock = bench_cpu_clock(b.opt.pid);
	/* A channel that nobody used before: its offsets begin at 1. */
	snprintf(channel, sizeof(channel), "bench:%08x",
		(unsigned)(bench_now_ns() >> 10) ^ (unsigned)getpid() << 16);
	bench_layout_init(&b.layout, channel, b.opt.payload_len);
	b.buffer = bench_alloc(RECEIVE_BYTES, 1);
	b.sub = bench_alloc(b.opt.subscribers, sizeof(*b.sub));
	b.flight_mask = rc_pow2_ceil(b.opt.in_flight + 2) - 1;
	b.flight = bench_alloc(b.flight_mask + 1, sizeof(*b.flight));
	b.flight[0].here = b.opt.subscribers;
	b.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (b.epoll < 0)
		bench_die_errno("epoll_create1");
	for (uint32_t i = 0; i < b.opt.subscribers; i++) {
		bench_sub_init(
			&b.sub[i], bench_ws_open(&b.opt.http, i / 20000, channel), &b.layout);
		watch(&b, b.sub[i].fd, i);
	}
	bench_publisher_open(
		&b.publisher, &b.opt.ingest, channel, b.opt.payload_len, b.opt.in_flight);
	watch(&b, b.publisher.fd, INGEST_SLOT);

	run_until(&b, bench_now_ns() + (uint64_t)(b.opt.warm_seconds * 1e9),
		DRAIN_SECONDS * BENCH_SECOND);
	b.measuring = true;
	from = sample(&b);
	run_until(&b, from.ns + (uint64_t)(b.opt.seconds * 1e9), DRAIN_SECONDS * BENCH_SECOND);
	to = sample(&b);
	b.measuring = false;
	drain(&b);
	report(&b, from, to);
	return 0;
}
