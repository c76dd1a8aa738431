/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks of limits that bound how many clients fit: descriptors, locked memory, control groups, and the tables of the
 * network. What is wanted follows from what the gateway is asked to hold.
 */
#include "ops/hostlook.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ops/hostread.h"

#define KIB ((uint64_t)1024)
#define MIB (KIB * KIB)
/* What an idle TCP connection costs the kernel, measured on 6.18, with its receive armed. */
#define SOCKET_BYTES (6 * KIB)
/* Rings and receive buffers of the shards, beside the memory that the configuration names. */
#define RING_BYTES       (64 * MIB)
#define CAP_IPC_LOCK_BIT 14

/* Hard limit out of /proc/self/limits. */
static int hard_limit(const struct rc_host_env *env, const char *name, uint64_t *out)
{
	char text[RC_HOST_TEXT_MAX], line[128];
	int rc = rc_host_read(env->root, "/proc/self/limits", text, sizeof(text));
	if (rc != 0)
		return rc;
	/* "soft hard unit" */
	return rc_host_line(text, name, line, sizeof(line)) && rc_host_field(line, 1, out)
		       ? 0
		       : -EINVAL;
}

static void say_count(struct rc_host_finding *f, enum rc_host_verdict verdict, uint64_t count)
{
	if (count == UINT64_MAX)
		rc_host_say(f, verdict, "no limit");
	else
		rc_host_say(f, verdict, "%" PRIu64, count);
}

static enum rc_host_verdict judge(const struct rc_host_check *check, bool fits)
{
	return fits ? RC_HOST_OK : check->required ? RC_HOST_BAD : RC_HOST_ADVICE;
}

RC_HOST_LOOK(nofile)
{
	uint64_t want = env->descriptors, have;
	snprintf(f->wanted, sizeof(f->wanted), ">= %" PRIu64, want);
	int rc = hard_limit(env, "Max open files", &have);
	if (rc != 0) {
		rc_host_unread(f, rc);
		return;
	}
	say_count(f, judge(check, have >= want), have);
	snprintf(f->why, sizeof(f->why), "for %" PRIu64 " clients", env->max_clients);
	snprintf(f->mend, sizeof(f->mend),
		"LimitNOFILE=%" PRIu64 " in the unit, or tuning/99-ringcast.limits.conf", want);
}

static bool may_lock_all(const struct rc_host_env *env)
{
	char text[RC_HOST_TEXT_MAX], line[64];
	return rc_host_read(env->root, "/proc/self/status", text, sizeof(text)) == 0 &&
	       rc_host_line(text, "CapEff:", line, sizeof(line)) &&
	       (strtoull(line, NULL, 16) >> CAP_IPC_LOCK_BIT & 1) != 0;
}

RC_HOST_LOOK(memlock)
{
	char amount[32];
	uint64_t want = env->memory_bytes + RING_BYTES, have;
	rc_host_bytes(want, amount, sizeof(amount));
	snprintf(f->wanted, sizeof(f->wanted), ">= %s, or CAP_IPC_LOCK", amount);
	if (may_lock_all(env)) {
		rc_host_say(f, RC_HOST_OK, "CAP_IPC_LOCK");
		return;
	}
	int rc = hard_limit(env, "Max locked memory", &have);
	if (rc != 0) {
		rc_host_unread(f, rc);
		return;
	}
	rc_host_bytes(have, amount, sizeof(amount));
	rc_host_say(f, judge(check, have >= want), "%s", amount);
	snprintf(f->mend, sizeof(f->mend),
		"LimitMEMLOCK=infinity in the unit, or tuning/99-ringcast.limits.conf");
}

RC_HOST_LOOK(descriptors_sysctl)
{
	uint64_t want = env->descriptors, have;
	snprintf(f->wanted, sizeof(f->wanted), ">= %" PRIu64, want);
	char text[32];
	int rc = rc_host_sysctl(env->root, check->id, text, sizeof(text));
	if (rc != 0 || !rc_host_field(text, 0, &have)) {
		rc_host_unread(f, rc);
		return;
	}
	say_count(f, judge(check, have >= want), have);
	snprintf(f->mend, sizeof(f->mend), "sysctl -w %s=%" PRIu64, check->id, want);
}

RC_HOST_LOOK(conntrack)
{
	/* Closed connections stay in the table for two minutes; a storm has each client there twice. */
	uint64_t want = 2 * env->max_clients, have;
	snprintf(f->wanted, sizeof(f->wanted), "not loaded, or >= %" PRIu64, want);
	char text[32];
	int rc = rc_host_sysctl(env->root, check->id, text, sizeof(text));
	if (rc == -ENOENT) {
		rc_host_say(f, RC_HOST_OK, "not loaded");
		return;
	}
	if (rc != 0 || !rc_host_field(text, 0, &have)) {
		rc_host_unread(f, rc);
		return;
	}
	say_count(f,
		have >= want               ? RC_HOST_OK
		: have >= env->max_clients ? RC_HOST_ADVICE
					   : RC_HOST_BAD,
		have);
	snprintf(f->mend, sizeof(f->mend),
		"sysctl -w %s=%" PRIu64 ", or exempt the port from tracking (tuning/README.md)",
		check->id, want);
}

RC_HOST_LOOK(tcp_mem)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), low, pressure, high;
	uint64_t want = env->max_clients * 4 * KIB / page;
	snprintf(f->wanted, sizeof(f->wanted), "second number >= %" PRIu64 " pages", want);
	char text[96];
	int rc = rc_host_sysctl(env->root, check->id, text, sizeof(text));
	if (rc != 0 || !rc_host_field(text, 0, &low) || !rc_host_field(text, 1, &pressure) ||
		!rc_host_field(text, 2, &high)) {
		rc_host_unread(f, rc);
		return;
	}
	rc_host_say(f, judge(check, pressure >= want), "%" PRIu64 " %" PRIu64 " %" PRIu64, low,
		pressure, high);
	snprintf(f->why, sizeof(f->why), "4 KiB under way to each of %" PRIu64 " clients",
		env->max_clients);
	snprintf(f->mend, sizeof(f->mend), "sysctl -w %s='%" PRIu64 " %" PRIu64 " %" PRIu64 "'",
		check->id, RC_MAX(low, want / 4 * 3), RC_MAX(pressure, want),
		RC_MAX(high, want / 2 * 3));
}

RC_HOST_LOOK(port_range)
{
	uint64_t first, last;
	snprintf(f->wanted, sizeof(f->wanted), ">= %" PRIu64 " ports", check->want);
	char text[32];
	int rc = rc_host_sysctl(env->root, check->id, text, sizeof(text));
	if (rc != 0 || !rc_host_field(text, 0, &first) || !rc_host_field(text, 1, &last)) {
		rc_host_unread(f, rc);
		return;
	}
	bool fits = last >= first && last - first + 1 >= check->want;
	rc_host_say(f, judge(check, fits), "%" PRIu64 " to %" PRIu64, first, last);
	snprintf(f->mend, sizeof(f->mend), "sysctl -w %s='10000 65535'", check->id);
}

/*
 * Looks at `file` in the process's own group and in every one above it, because the tightest holds. Calls each with the text
 * of those that are there. 0; -ENOSYS without cgroup v2; or -errno.
 */
static int each_group(const struct rc_host_env *env, const char *file,
	void (*each)(void *ctx, const char *text), void *ctx)
{
	char text[RC_HOST_TEXT_MAX], group[512], path[640];
	if (rc_host_read(env->root, "/sys/fs/cgroup/cgroup.controllers", text, sizeof(text)) != 0)
		return -ENOSYS;
	int rc = rc_host_read(env->root, "/proc/self/cgroup", text, sizeof(text));
	if (rc != 0)
		return rc;
	if (!rc_host_line(text, "0::", group, sizeof(group)))
		return -ENOSYS;
	for (;;) {
		bool top = group[0] == '\0' || strcmp(group, "/") == 0;
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", top ? "" : group, file);
		if (rc_host_read(env->root, path, text, sizeof(text)) == 0)
			each(ctx, text);
		if (top)
			return 0;
		char *slash = strrchr(group, '/');
		*(slash == NULL ? group : slash) = '\0';
	}
}

static void say_no_groups(struct rc_host_finding *f, int rc)
{
	if (rc == -ENOSYS)
		rc_host_say(f, RC_HOST_UNKNOWN, "no cgroup v2");
	else
		rc_host_unread(f, rc);
}

/* Thousandths of a CPU. */
static void least_quota(void *ctx, const char *text)
{
	uint64_t *least = ctx, quota, period;
	if (rc_host_field(text, 0, &quota) && rc_host_field(text, 1, &period) &&
		quota <= UINT32_MAX && period != 0)
		*least = RC_MIN(*least, quota * 1000 / period);
}

RC_HOST_LOOK(cgroup_cpu)
{
	uint64_t least = UINT64_MAX;
	snprintf(f->wanted, sizeof(f->wanted), "no quota");
	int rc = each_group(env, "cpu.max", least_quota, &least);
	if (rc != 0) {
		say_no_groups(f, rc);
		return;
	}
	if (least == UINT64_MAX) {
		rc_host_say(f, RC_HOST_OK, "no quota");
		return;
	}
	rc_host_say(f, judge(check, false), "%" PRIu64 ".%02" PRIu64 " CPUs", least / 1000,
		least % 1000 / 10);
	snprintf(f->mend, sizeof(f->mend),
		"give it whole CPUs (AllowedCPUs=, cpuset) and no CPUQuota= or cpu limit");
}

static void least_memory(void *ctx, const char *text)
{
	uint64_t *least = ctx, bytes;
	if (rc_host_field(text, 0, &bytes))
		*least = RC_MIN(*least, bytes);
}

RC_HOST_LOOK(cgroup_memory)
{
	uint64_t want = env->memory_bytes + RING_BYTES + env->max_clients * SOCKET_BYTES;
	uint64_t least = UINT64_MAX;
	char amount[32];
	rc_host_bytes(want, amount, sizeof(amount));
	snprintf(f->wanted, sizeof(f->wanted), ">= %s", amount);
	int rc = each_group(env, "memory.max", least_memory, &least);
	if (rc != 0) {
		say_no_groups(f, rc);
		return;
	}
	rc_host_bytes(least, amount, sizeof(amount));
	rc_host_say(f, judge(check, least >= want), "%s", amount);
	snprintf(f->mend, sizeof(f->mend), "raise MemoryMax= or the container's memory limit");
}
