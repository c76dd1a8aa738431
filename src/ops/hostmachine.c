/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks of memory and processors: huge pages, swap, frequency, interrupts, nodes.
 */
#include "ops/hostlook.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "ops/hostread.h"

#define THP "/sys/kernel/mm/transparent_hugepage/"

/* The chosen word of a file of several; false when it was said that it can't be read. */
static bool read_choice(const struct rc_host_env *env, const char *path, struct rc_host_finding *f,
	char *out, size_t size)
{
	char text[128];
	int rc = rc_host_read(env->root, path, text, sizeof(text));
	if (rc == 0 && rc_host_choice(text, out, size))
		return true;
	rc_host_unread(f, rc);
	return false;
}

RC_HOST_LOOK(thp_enabled)
{
	char word[24];
	snprintf(f->wanted, sizeof(f->wanted), "madvise or always");
	if (!read_choice(env, check->reads, f, word, sizeof(word)))
		return;
	rc_host_say(f, strcmp(word, "never") != 0 ? RC_HOST_OK : RC_HOST_ADVICE, "%s", word);
	snprintf(f->mend, sizeof(f->mend), "echo madvise > " THP "enabled");
}

RC_HOST_LOOK(thp_defrag)
{
	char word[24];
	snprintf(f->wanted, sizeof(f->wanted), "anything but always");
	if (!read_choice(env, check->reads, f, word, sizeof(word)))
		return;
	rc_host_say(f, strcmp(word, "always") != 0 ? RC_HOST_OK : RC_HOST_ADVICE, "%s", word);
	snprintf(f->mend, sizeof(f->mend), "echo madvise > " THP "defrag");
}

/* A number of /proc/meminfo; false when the line is not there. */
static bool meminfo(const char *text, const char *key, uint64_t *out)
{
	char line[64];
	return rc_host_line(text, key, line, sizeof(line)) && rc_host_field(line, 0, out);
}

RC_HOST_LOOK(hugepages)
{
	char text[RC_HOST_TEXT_MAX], amount[32];
	uint64_t free_pages, size_kib;
	int rc = rc_host_read(env->root, check->reads, text, sizeof(text));
	if (rc != 0 || !meminfo(text, "HugePages_Free:", &free_pages) ||
		!meminfo(text, "Hugepagesize:", &size_kib) || size_kib == 0) {
		rc_host_unread(f, rc);
		return;
	}
	uint64_t size = size_kib * 1024;
	uint64_t want = (env->memory_bytes + size - 1) / size;
	snprintf(f->wanted, sizeof(f->wanted), ">= %" PRIu64 " free, or transparent ones", want);
	rc_host_bytes(size, amount, sizeof(amount));
	bool none = free_pages == 0;
	rc_host_say(f,
		free_pages >= want ? RC_HOST_OK
		: none             ? RC_HOST_INFO
				   : RC_HOST_ADVICE,
		"%" PRIu64 " free of %s", free_pages, amount);
	snprintf(f->why, sizeof(f->why), "%s",
		none ? "none are reserved, so transparent huge pages are used"
		     : "some are reserved, but too few for the option memory");
	snprintf(f->mend, sizeof(f->mend), "sysctl -w vm.nr_hugepages=%" PRIu64 " soon after boot",
		want);
}

RC_HOST_LOOK(swap)
{
	char text[RC_HOST_TEXT_MAX];
	snprintf(f->wanted, sizeof(f->wanted), "none");
	int rc = rc_host_read(env->root, check->reads, text, sizeof(text));
	if (rc != 0 && rc != -ENOENT) {
		rc_host_unread(f, rc);
		return;
	}
	/* One line of titles, then one for each device. */
	uint32_t devices = 0;
	for (const char *p = strchr(text, '\n'); p != NULL; p = strchr(p + 1, '\n'))
		devices++;
	if (devices == 0) {
		rc_host_say(f, RC_HOST_OK, "none");
		return;
	}
	rc_host_say(f, RC_HOST_ADVICE, "%u in use", devices);
	snprintf(f->mend, sizeof(f->mend), "swapoff -a, and out of /etc/fstab; or MemorySwapMax=0");
}

struct governors {
	const struct rc_host_env *env;
	uint32_t seen;
	uint32_t slow;
	char name[32]; /* one that is not performance */
};

static bool look_at_cpu(void *ctx, const char *name)
{
	struct governors *g = ctx;
	if (strncmp(name, "cpu", 3) != 0 || name[3] < '0' || name[3] > '9')
		return true;
	char path[128], text[32];
	snprintf(
		path, sizeof(path), "/sys/devices/system/cpu/%.16s/cpufreq/scaling_governor", name);
	if (rc_host_read(g->env->root, path, text, sizeof(text)) != 0)
		return true;
	g->seen++;
	if (strcmp(text, "performance") != 0) {
		g->slow++;
		memcpy(g->name, text, sizeof(g->name));
	}
	return true;
}

RC_HOST_LOOK(governor)
{
	(void)check;
	struct governors g = {.env = env};
	snprintf(f->wanted, sizeof(f->wanted), "performance");
	int rc = rc_host_folder(env->root, "/sys/devices/system/cpu", look_at_cpu, &g);
	if (rc != 0)
		rc_host_unread(f, rc);
	else if (g.seen == 0)
		rc_host_say(f, RC_HOST_OK, "not chosen here");
	else if (g.slow == 0)
		rc_host_say(f, RC_HOST_OK, "performance");
	else
		rc_host_say(f, RC_HOST_ADVICE, "%s on %u of %u", g.name, g.slow, g.seen);
	snprintf(f->mend, sizeof(f->mend), "cpupower frequency-set -g performance");
}

struct process_search {
	const struct rc_host_env *env;
	bool found;
};

static bool look_at_process(void *ctx, const char *name)
{
	struct process_search *s = ctx;
	if (strspn(name, "0123456789") < strlen(name))
		return true;
	char path[64], text[32];
	snprintf(path, sizeof(path), "/proc/%.16s/comm", name);
	s->found = rc_host_read(s->env->root, path, text, sizeof(text)) == 0 &&
		   strcmp(text, "irqbalance") == 0;
	return !s->found;
}

RC_HOST_LOOK(irqbalance)
{
	(void)check;
	struct process_search s = {.env = env};
	snprintf(f->wanted, sizeof(f->wanted), "not running");
	int rc = rc_host_folder(env->root, "/proc", look_at_process, &s);
	if (rc != 0) {
		rc_host_unread(f, rc);
		return;
	}
	rc_host_say(f, s.found ? RC_HOST_ADVICE : RC_HOST_OK, s.found ? "running" : "not running");
	snprintf(f->mend, sizeof(f->mend),
		"systemctl disable --now irqbalance, then tuning/irq-affinity --apply INTERFACE");
}

RC_HOST_LOOK(isolated)
{
	char text[96];
	snprintf(f->wanted, sizeof(f->wanted), "a matter of taste");
	int rc = rc_host_read(env->root, check->reads, text, sizeof(text));
	if (rc != 0)
		rc_host_unread(f, rc);
	else
		rc_host_say(f, RC_HOST_INFO, "%.90s", text[0] == '\0' ? "none" : text);
}

RC_HOST_LOOK(numa)
{
	char text[48];
	snprintf(f->wanted, sizeof(f->wanted), "shards on the network card's node");
	int rc = rc_host_read(env->root, check->reads, text, sizeof(text));
	if (rc == -ENOENT || (rc == 0 && strpbrk(text, ",-") == NULL)) {
		rc_host_say(f, RC_HOST_OK, "one node");
		return;
	}
	if (rc != 0) {
		rc_host_unread(f, rc);
		return;
	}
	rc_host_say(f, RC_HOST_INFO, "nodes %s", text);
	snprintf(f->mend, sizeof(f->mend),
		"numactl --cpunodebind=N --membind=N, or NUMAPolicy= and CPUAffinity= in the unit");
}

RC_HOST_LOOK(smt)
{
	char text[16];
	snprintf(f->wanted, sizeof(f->wanted), "one shard for each core");
	int rc = rc_host_read(env->root, check->reads, text, sizeof(text));
	if (rc != 0 && rc != -ENOENT) {
		rc_host_unread(f, rc);
		return;
	}
	bool active = strcmp(text, "1") == 0;
	rc_host_say(f, active ? RC_HOST_INFO : RC_HOST_OK, active ? "on" : "off");
	snprintf(f->mend, sizeof(f->mend), "name one thread of each core in the option cpus");
}
