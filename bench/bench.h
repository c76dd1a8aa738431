/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bench programs share: how they fail, what time it is, which CPU they run on, and what another process has
 * used. Each program is one thread and owns everything; a failure ends it with status 1 and a sentence.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

#define BENCH_SECOND 1000000000ull

_Noreturn static inline void bench_die(const char *format, ...) RC_PRINTF(1, 2);
_Noreturn static inline void bench_die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

_Noreturn static inline void bench_die_errno(const char *what)
{
	bench_die("%s: %s", what, strerror(errno));
}

static inline uint64_t bench_clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		bench_die_errno("clock_gettime");
	return (uint64_t)ts.tv_sec * BENCH_SECOND + (uint64_t)ts.tv_nsec;
}

static inline uint64_t bench_now_ns(void)
{
	return bench_clock_ns(CLOCK_MONOTONIC);
}

/* The clock of all threads of a process, to the nanosecond, which stat and schedstat of a running thread are not. */
static inline clockid_t bench_cpu_clock(pid_t pid)
{
	clockid_t clock;
	int rc = clock_getcpuclockid(pid, &clock);

	if (rc)
		bench_die("no CPU clock of process %d: %s", (int)pid, strerror(rc));
	return clock;
}

/* How long the threads of a process were ready to run and another ran on their CPU; 0 where the kernel does not say. */
static inline uint64_t bench_waited_ns(pid_t pid)
{
	uint64_t sum = 0;
	char path[300];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		bench_die("%s: %s", path, strerror(errno));
	while ((entry = readdir(dir))) {
		unsigned long long waited = 0;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", (int)pid,
			entry->d_name);
		file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%*u %llu", &waited) == 1)
			sum += waited;
		fclose(file);
	}
	closedir(dir);
	return sum;
}

static inline void bench_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		bench_die("can't run on CPU %d: %s", cpu, strerror(errno));
}

static inline uint64_t bench_number(const char *flag, const char *text, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value < min || value > max)
		bench_die("%s: '%s' is not a number from %llu to %llu", flag, text,
			(unsigned long long)min, (unsigned long long)max);
	return value;
}

static inline double bench_seconds(const char *flag, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value > 0.0 && value <= 3600.0))
		bench_die("%s: '%s' is not a number of seconds up to 3600", flag, text);
	return value;
}

/* "127.0.0.1:8080" */
static inline struct sockaddr_in bench_address(const char *flag, const char *text)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN];

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		bench_die("%s: '%s' is not ADDRESS:PORT", flag, text);
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	if (inet_pton(AF_INET, host, &sa.sin_addr) != 1)
		bench_die("%s: '%s' is not an IPv4 address", flag, host);
	sa.sin_port = htons((uint16_t)bench_number(flag, colon + 1, 0, 65535));
	return sa;
}

/* Raises the limit on descriptors to what may be had, and fails where that is too few. */
static inline void bench_need_descriptors(uint64_t count)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		bench_die_errno("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		bench_die_errno("setrlimit");
	if (limit.rlim_cur < count)
		bench_die("%llu descriptors are needed and %llu allowed: ask for fewer clients, or "
			  "raise the hard limit (ulimit -Hn)",
			(unsigned long long)count, (unsigned long long)limit.rlim_cur);
}

static inline void *bench_alloc(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		bench_die("out of memory");
	return memory;
}

#endif
