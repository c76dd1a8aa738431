/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory per idle client: opens N subscribers to a server that runs already, and says by how much the server's memory
 * grew, on the way and at the end; then closes them all, waits until the server has let go of their descriptors, and
 * looks again. Fails when descriptors stay behind.
 *
 * The figure is the growth of the resident set: whatever the server maps on the way is in it, what it had mapped before the
 * first client is not; the kernel's memory for the sockets is in neither.
 */
#include <getopt.h>

#include "wsclient.h"

#define STEPS          4
#define SETTLE_SECONDS 10
/* Each source address has some 28,000 ports by default, and a closed connection keeps its own for a minute. */
#define PER_SOURCE 10000

struct options {
	struct sockaddr_in http;
	uint32_t clients, warm, rounds;
	pid_t pid;
	bool own_channels, json;
};

struct memory {
	uint64_t rss, pss, huge; /* bytes; huge: of rss, in anonymous huge pages */
	uint64_t descriptors;
};

static void usage(FILE *to)
{
	fputs("usage: idle --http ADDR:PORT --pid PID [options]\n"
	      "  --clients N      WebSocket clients with one subscription each (10000)\n"
	      "  --own-channels   each subscribes to a channel of its own, not all to one\n"
	      "  --warm N         clients that come and go before the first look (0)\n"
	      "  --rounds N       open and close all of them so often (1)\n"
	      "  --json           one line a round for a program to read\n",
		to);
}

static void options_read(struct options *o, int argc, char **argv)
{
	static const struct option flags[] = {{"http", required_argument, NULL, 'h'},
		{"pid", required_argument, NULL, 'P'}, {"clients", required_argument, NULL, 'n'},
		{"own-channels", no_argument, NULL, 'o'}, {"warm", required_argument, NULL, 'w'},
		{"rounds", required_argument, NULL, 'r'}, {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'H'}, {0}};
	int flag;

	*o = (struct options){.clients = 10000, .rounds = 1};
	while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
		if (flag == 'h')
			o->http = bench_address("--http", optarg);
		else if (flag == 'P')
			o->pid = (pid_t)bench_number("--pid", optarg, 1, 1 << 22);
		else if (flag == 'n')
			o->clients = (uint32_t)bench_number("--clients", optarg, STEPS, 1000000);
		else if (flag == 'o')
			o->own_channels = true;
		else if (flag == 'w')
			o->warm = (uint32_t)bench_number("--warm", optarg, 0, 1000000);
		else if (flag == 'r')
			o->rounds = (uint32_t)bench_number("--rounds", optarg, 1, 1000);
		else if (flag == 'j')
			o->json = true;
		else {
			usage(flag == 'H' ? stdout : stderr);
			exit(flag == 'H' ? 0 : 2);
		}
	}
	if (optind != argc || o->http.sin_port == 0 || o->pid == 0) {
		usage(stderr);
		exit(2);
	}
}

static uint64_t descriptors_of(pid_t pid)
{
	char path[64];
	uint64_t count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		bench_die_errno(path);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2;
}

static struct memory memory_of(pid_t pid)
{
	struct memory m = {.descriptors = descriptors_of(pid)};
	char path[64], line[256];
	unsigned long long kib;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	file = fopen(path, "r");
	if (!file)
		bench_die_errno(path);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Rss: %llu", &kib) == 1)
			m.rss = kib * 1024;
		else if (sscanf(line, "Pss: %llu", &kib) == 1)
			m.pss = kib * 1024;
		else if (sscanf(line, "AnonHugePages: %llu", &kib) == 1)
			m.huge = kib * 1024;
	}
	fclose(file);
	if (m.rss == 0)
		bench_die("%s has no Rss", path);
	return m;
}

static void show(const char *when, struct memory m, struct memory first, uint64_t clients)
{
	double growth = (double)m.rss - (double)first.rss;

	printf("  %-16s RSS %9.1f KiB, PSS %9.1f KiB, huge pages %6.0f KiB, %6llu descriptors",
		when, (double)m.rss / 1024, (double)m.pss / 1024, (double)m.huge / 1024,
		(unsigned long long)m.descriptors);
	if (clients)
		printf(", %.1f B of RSS a client", growth / (double)clients);
	putchar('\n');
}

static void open_clients(const struct options *o, int *fd, uint32_t from, uint32_t to)
{
	char channel[64] = "idle:all";

	for (uint32_t i = from; i < to; i++) {
		if (o->own_channels)
			snprintf(channel, sizeof(channel), "idle:user-%u", i);
		fd[i] = bench_ws_open(&o->http, 2 + i / PER_SOURCE, channel);
	}
}

/* Closes like a browser that is closed: no close frame. Waits for the server to notice. */
static struct memory close_clients(
	const struct options *o, const int *fd, uint32_t count, uint64_t descriptors)
{
	uint64_t end_ns = bench_now_ns() + SETTLE_SECONDS * BENCH_SECOND;
	const struct timespec pause = {.tv_nsec = 10000000};

	for (uint32_t i = 0; i < count; i++)
		close(fd[i]);
	while (descriptors_of(o->pid) > descriptors) {
		if (bench_now_ns() > end_ns)
			bench_die("%llu descriptors before, %llu after all clients left",
				(unsigned long long)descriptors,
				(unsigned long long)descriptors_of(o->pid));
		nanosleep(&pause, NULL);
	}
	return memory_of(o->pid);
}

static void round_of(const struct options *o, int *fd, uint32_t number)
{
	struct memory before = memory_of(o->pid), half = before, full = before, after;
	char when[32];

	if (!o->json) {
		printf("round %u: %u clients, %s\n", number, o->clients,
			o->own_channels ? "a channel each" : "one channel");
		show("before", before, before, 0);
	}
	for (uint32_t step = 1; step <= STEPS; step++) {
		uint32_t to = (uint32_t)((uint64_t)o->clients * step / STEPS);

		open_clients(o, fd, (uint32_t)((uint64_t)o->clients * (step - 1) / STEPS), to);
		full = memory_of(o->pid);
		if (step == STEPS / 2)
			half = full;
		snprintf(when, sizeof(when), "%u clients", to);
		if (!o->json)
			show(when, full, before, to);
	}
	if (full.descriptors < before.descriptors + o->clients)
		bench_die("process %d has %llu descriptors more, not %u: is it the server?",
			(int)o->pid, (unsigned long long)(full.descriptors - before.descriptors),
			o->clients);
	after = close_clients(o, fd, o->clients, before.descriptors);
	if (!o->json) {
		show("all gone", after, before, 0);
		return;
	}
	uint32_t later = o->clients - o->clients / 2;
	printf("{\"clients\":%u,\"own_channels\":%s,\"round\":%u,\"rss_before\":%llu,"
	       "\"rss_full\":%llu,\"rss_after\":%llu,\"pss_before\":%llu,\"pss_full\":%llu,"
	       "\"pss_after\":%llu,\"huge_full\":%llu,\"rss_per_client\":%.1f,"
	       "\"pss_per_client\":%.1f,\"rss_per_client_second_half\":%.1f}\n",
		o->clients, o->own_channels ? "true" : "false", number,
		(unsigned long long)before.rss, (unsigned long long)full.rss,
		(unsigned long long)after.rss, (unsigned long long)before.pss,
		(unsigned long long)full.pss, (unsigned long long)after.pss,
		(unsigned long long)full.huge, ((double)full.rss - (double)before.rss) / o->clients,
		((double)full.pss - (double)before.pss) / o->clients,
		((double)full.rss - (double)half.rss) / (double)later);
}

int main(int argc, char **argv)
{
	struct options o;
	int *fd;

	options_read(&o, argc, argv);
	bench_need_descriptors(RC_MAX(o.clients, o.warm) + 64);
	fd = bench_alloc(RC_MAX(o.clients, o.warm), sizeof(*fd));
	if (o.warm) {
		uint64_t descriptors = descriptors_of(o.pid);

		open_clients(&o, fd, 0, o.warm);
		close_clients(&o, fd, o.warm, descriptors);
	}
	for (uint32_t number = 1; number <= o.rounds; number++)
		round_of(&o, fd, number);
	free(fd);
	return 0;
}
