/* SPDX-License-Identifier: Apache-2.0
 *
 * What /proc and the processes' CPU clocks say.
 */
#include "watch.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static bool has(const struct load_watch *w, pid_t pid)
{
	for (uint32_t i = 0; i < w->processes; i++)
		if (w->process[i].pid == pid)
			return true;
	return false;
}

static bool add(struct load_watch *w, pid_t pid, bool child)
{
	struct load_watched *p = &w->process[w->processes];
	clockid_t clock;

	if (w->processes == LOAD_WATCHED_MAX || has(w, pid) ||
		clock_getcpuclockid(pid, &clock) != 0)
		return false;
	*p = (struct load_watched){.pid = pid, .clock = clock, .child = child};
	w->processes++;
	return true;
}

static pid_t parent_of(const char *pid)
{
	char path[64], text[512];
	const char *end;
	FILE *file;
	size_t len;
	int parent;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = 0;
	/* The name stands in brackets and may hold any bytes, brackets too. */
	end = strrchr(text, ')');
	return end && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

/* Children of those that are known, and theirs. This process is nobody's server, whoever started it. */
static void add_children(struct load_watch *w)
{
	bool more = w->processes > 0;

	while (more) {
		struct dirent *entry;
		DIR *dir = opendir("/proc");

		more = false;
		while (dir && (entry = readdir(dir))) {
			pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

			if (!isdigit((unsigned char)entry->d_name[0]) || pid == getpid() ||
				has(w, pid))
				continue;
			pid_t parent = parent_of(entry->d_name);
			if (parent > 0 && parent != getpid() && has(w, parent) && add(w, pid, true))
				more = true;
		}
		if (dir)
			closedir(dir);
	}
}

static void read_name(struct load_watch *w)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)w->process[0].pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(w->name, sizeof(w->name), file))
		w->name[strcspn(w->name, "\n")] = 0;
	fclose(file);
}

static const struct sockaddr_storage *server_address(const struct load_plan *plan)
{
	const struct load_target *t = plan->target;

	for (uint32_t i = 0; i < plan->groups; i++)
		if (plan->group[i].clients)
			return plan->group[i].echo ? &t->subscriber.echo_url.address
						   : &t->subscriber.url.address;
	return &t->publisher.url.address;
}

int load_watch_open(struct load_watch *w, const struct load_plan *plan, struct rc_error *err)
{
	pid_t pid[LOAD_WATCHED_MAX];
	uint32_t count;

	*w = (struct load_watch){.processes = 0};
	for (uint32_t i = 0; i < plan->pids; i++)
		if (!add(w, plan->pid[i], false) && !has(w, plan->pid[i])) {
			rc_error_set(err,
				"--pid: there is no process %d; say the server's, or leave it "
				"out",
				(int)plan->pid[i]);
			return -ESRCH;
		}
	if (plan->pids == 0) {
		count = load_watch_listeners(server_address(plan), pid, LOAD_WATCHED_MAX);
		for (uint32_t i = 0; i < count; i++)
			(void)add(w, pid[i], false);
	}
	if (w->processes)
		read_name(w);
	add_children(w);
	return 0;
}

static uint64_t waited_by(pid_t pid)
{
	uint64_t sum = 0;
	char path[300];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		unsigned long long waited = 0;
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", (int)pid,
			entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%*u %llu", &waited) == 1)
			sum += waited;
		fclose(file);
	}
	closedir(dir);
	return sum;
}

static uint64_t rss_rollup(pid_t pid)
{
	unsigned long long kib = 0;
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (kib == 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "Rss: %llu", &kib) != 1)
			kib = 0;
	fclose(file);
	return kib * 1024;
}

static uint64_t rss_of(pid_t pid, bool exact)
{
	unsigned long long pages = 0;
	uint64_t rss = exact ? rss_rollup(pid) : 0;
	char path[64];
	FILE *file;

	if (rss)
		return rss;
	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The clock of a process that ended and was not yet waited for still answers; its memory is gone. */
static bool is_gone(pid_t pid)
{
	char path[64], state = 'X';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return true;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	fclose(file);
	return state == 'Z' || state == 'X';
}

void load_watch_look(struct load_watch *w, bool exact, struct load_seen *seen)
{
	*seen = (struct load_seen){.known = w->processes > 0};
	if (exact)
		add_children(w);
	for (uint32_t i = 0; i < w->processes; i++) {
		struct load_watched *p = &w->process[i];
		struct timespec ts;

		if (!p->gone && is_gone(p->pid))
			p->gone = true;
		if (!p->gone && clock_gettime(p->clock, &ts) == 0) {
			p->cpu_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
			p->waited_ns = RC_MAX(p->waited_ns, waited_by(p->pid));
			seen->rss += rss_of(p->pid, exact);
		}
		if (p->gone && !p->child)
			seen->gone = p->pid;
		seen->cpu_ns += p->cpu_ns;
		seen->waited_ns += p->waited_ns;
	}
}
