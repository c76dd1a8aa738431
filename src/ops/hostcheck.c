/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of checks and the loop over it. A row without `look` is a sysctl: one number against a bound.
 */
#include "ops/hostcheck.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <errno.h>

#include "config/listeners.h"
#include "ops/hostlook.h"
#include "ops/hostread.h"

#define DESCRIPTORS_OWN       64
#define DESCRIPTORS_PER_SHARD 6 /* besides its listeners */

/* NOLINTBEGIN(bugprone-macro-parentheses): they are parts of initializers */
#define SYSCTL(id_, group_) .id = id_, .reads = "sysctl " id_, .group = group_
#define OWN(id_, reads_, group_, look_) \
	.id = id_, .reads = reads_, .group = group_, .look = rc_look_##look_
#define WANT(bound_, want_) .in_sysctl_file = true, .bound = RC_HOST_##bound_, .want = want_
/* NOLINTEND(bugprone-macro-parentheses) */

const struct rc_host_check rc_host_checks[] = {
	/* kernel */
	{OWN("kernel.version", "/proc/sys/kernel/osrelease", RC_HOST_KERNEL, kernel_version),
		.cost = "older kernels lack what makes io_uring cheap here, or have it with known faults"},
	{OWN("io_uring.setup", "io_uring_setup(2) with the flags of a shard", RC_HOST_KERNEL,
		 uring_setup),
		.required = true, .cost = "the gateway does not start"},
	{OWN("kernel.io_uring_disabled", "sysctl kernel.io_uring_disabled", RC_HOST_KERNEL,
		 uring_disabled),
		.cost = "io_uring is refused to some users or to all"},
	{OWN("kernel.tls", "setsockopt(TCP_ULP), or sysctl net.ipv4.tcp_available_ulp",
		 RC_HOST_KERNEL, tls),
		.cost = "the gateway makes the records of TLS itself: some 270 bytes more for each client, "
			"and a copy of what is sent"},
	{OWN("kernel.clocksource",
		 "/sys/devices/system/clocksource/clocksource0/current_clocksource", RC_HOST_KERNEL,
		 clocksource),
		.cost = "reading the clock becomes a system call, some of them in every turn"},

	/* limits */
	{OWN("limit.nofile", "/proc/self/limits, hard limit of open files", RC_HOST_LIMITS, nofile),
		.required = true, .cost = "fewer clients can connect than max_clients says"},
	{OWN("limit.memlock", "/proc/self/limits and CAP_IPC_LOCK", RC_HOST_LIMITS, memlock),
		.cost = "rings and registered memory count against it: the start fails with ENOMEM, "
			"or goes on without registered memory"},
	{OWN("fs.nr_open", "sysctl fs.nr_open", RC_HOST_LIMITS, descriptors_sysctl),
		.cost = "the limit of open files can't be raised above it"},
	{OWN("fs.file-max", "sysctl fs.file-max", RC_HOST_LIMITS, descriptors_sysctl),
		.required = true, .cost = "accepts fail with ENFILE before max_clients is reached"},
	{OWN("cgroup.cpu", "/sys/fs/cgroup/.../cpu.max", RC_HOST_LIMITS, cgroup_cpu),
		.cost = "a shard that used up its quota stands still for the rest of the period, "
			"often 50 ms and more"},
	{OWN("cgroup.memory", "/sys/fs/cgroup/.../memory.max", RC_HOST_LIMITS, cgroup_memory),
		.cost = "the gateway and the kernel's socket memory share it; at the limit the OOM "
			"killer ends the gateway"},

	/* memory */
	{OWN("memory.thp", "/sys/kernel/mm/transparent_hugepage/enabled", RC_HOST_MEMORY,
		 thp_enabled),
		.cost = "logs and tables lie on 4 KiB pages: more TLB misses in every flush"},
	{OWN("memory.thp_defrag", "/sys/kernel/mm/transparent_hugepage/defrag", RC_HOST_MEMORY,
		 thp_defrag),
		.cost = "any process may stand still while the kernel compacts memory"},
	{OWN("memory.hugepages", "/proc/meminfo", RC_HOST_MEMORY, hugepages),
		.cost = "huge pages depend on what is free in one piece at start"},
	{OWN("memory.swap", "/proc/swaps", RC_HOST_MEMORY, swap),
		.cost = "a page of the gateway that was swapped out stops its shard for milliseconds"},
	{SYSCTL("vm.swappiness", RC_HOST_MEMORY), WANT(AT_MOST, 10),
		.cost = "tables of idle clients are swapped out to make room for file cache"},

	/* network */
	{SYSCTL("net.core.somaxconn", RC_HOST_NETWORK), WANT(AT_LEAST, 65535),
		.cost = "caps the option backlog: in a reconnect storm the accept queue overflows and "
			"clients wait 1 s and more for their SYN to be sent again"},
	{SYSCTL("net.ipv4.tcp_max_syn_backlog", RC_HOST_NETWORK), WANT(AT_LEAST, 65535),
		.cost = "half-open connections of a reconnect storm are dropped or fall back to cookies"},
	{SYSCTL("net.ipv4.tcp_syncookies", RC_HOST_NETWORK), WANT(AT_LEAST, 1),
		.cost = "a full SYN queue drops clients instead of serving them with less"},
	{SYSCTL("net.core.netdev_max_backlog", RC_HOST_NETWORK), WANT(AT_LEAST, 16384),
		.cost = "bursts over loopback, veth and RPS are dropped before TCP sees them"},
	{OWN("net.ipv4.ip_local_port_range", "sysctl net.ipv4.ip_local_port_range", RC_HOST_NETWORK,
		 port_range),
		.in_sysctl_file = true, .want = 50000,
		.cost = "a proxy or load generator on this host runs out of ports to one address"},
	{SYSCTL("net.ipv4.tcp_tw_reuse", RC_HOST_NETWORK), WANT(AT_LEAST, 1),
		.cost = "ports of outgoing connections lie idle for a minute each"},
	{SYSCTL("net.ipv4.tcp_slow_start_after_idle", RC_HOST_NETWORK), WANT(EXACTLY, 0),
		.cost = "after a pause a burst to a client starts with a small window: some round trips"},
	{SYSCTL("net.ipv4.tcp_rmem", RC_HOST_NETWORK), .field = 2, WANT(AT_LEAST, 6291456),
		.cost = "a publisher far away can't fill its line"},
	{SYSCTL("net.ipv4.tcp_wmem", RC_HOST_NETWORK), .field = 2, WANT(AT_LEAST, 4194304),
		.cost = "a client far away can't be sent more than this per round trip"},
	{SYSCTL("net.core.rmem_max", RC_HOST_NETWORK), WANT(AT_LEAST, 1048576),
		.cost = "a larger receive buffer asked for by a program is cut to this without a word"},
	{SYSCTL("net.core.wmem_max", RC_HOST_NETWORK), WANT(AT_LEAST, 1048576),
		.cost = "a larger send buffer asked for by a program is cut to this without a word"},
	{OWN("net.ipv4.tcp_mem", "sysctl net.ipv4.tcp_mem", RC_HOST_NETWORK, tcp_mem),
		.cost = "above the second number TCP shrinks windows, above the third it drops data"},
	{OWN("net.netfilter.nf_conntrack_max", "sysctl net.netfilter.nf_conntrack_max",
		 RC_HOST_NETWORK, conntrack),
		.required = true,
		.cost = "when the table is full new connections are dropped without an answer"},
	{SYSCTL("net.core.busy_poll", RC_HOST_NETWORK), WANT(EXACTLY, 0),
		.cost = "every poll(2) on the host spins; the gateway has its own option busy_poll"},
	{SYSCTL("net.core.busy_read", RC_HOST_NETWORK), WANT(EXACTLY, 0),
		.cost = "every blocking read on the host spins"},

	/* cpu */
	{OWN("cpu.governor", "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor", RC_HOST_CPU,
		 governor),
		.cost = "a core that slept starts slowly: tens of microseconds for the first event"},
	{OWN("cpu.irqbalance", "/proc/*/comm", RC_HOST_CPU, irqbalance),
		.cost = "interrupts wander away from the cores that tuning/irq-affinity gave them"},
	{OWN("cpu.isolated", "/sys/devices/system/cpu/isolated", RC_HOST_CPU, isolated),
		.cost = ""},
	{OWN("cpu.numa", "/sys/devices/system/node/online", RC_HOST_CPU, numa),
		.cost = "memory and the network card on another node add 100 ns to each miss"},
	{OWN("cpu.smt", "/sys/devices/system/cpu/smt/active", RC_HOST_CPU, smt),
		.cost = "two shards on the two threads of a core share its caches and units"},
};
const uint32_t rc_host_check_count = RC_ARRAY_LEN(rc_host_checks);
_Static_assert(RC_ARRAY_LEN(rc_host_checks) <= RC_HOST_CHECKS_MAX, "raise RC_HOST_CHECKS_MAX");

void rc_host_say(struct rc_host_finding *f, enum rc_host_verdict verdict, const char *found, ...)
{
	va_list args;
	va_start(args, found);
	vsnprintf(f->found, sizeof(f->found), found, args);
	va_end(args);
	f->verdict = verdict;
}

void rc_host_unread(struct rc_host_finding *f, int error)
{
	rc_host_say(f, RC_HOST_UNKNOWN, "%s", error == -ENOENT ? "not there" : "can't be read");
	if (error != 0 && error != -ENOENT)
		snprintf(f->why, sizeof(f->why), "%s", strerror(-error));
}

static void look_sysctl(
	const struct rc_host_env *env, const struct rc_host_check *check, struct rc_host_finding *f)
{
	static const char *const sign[] = {
		[RC_HOST_AT_LEAST] = ">=", [RC_HOST_AT_MOST] = "<=", [RC_HOST_EXACTLY] = "="};
	static const char *const place[] = {"", "second number ", "third number "};
	snprintf(f->wanted, sizeof(f->wanted), "%s%s %" PRIu64, place[check->field],
		sign[check->bound], check->want);

	char text[96];
	uint64_t value;
	int rc = rc_host_sysctl(env->root, check->id, text, sizeof(text));
	if (rc != 0 || !rc_host_field(text, check->field, &value)) {
		rc_host_unread(f, rc);
		return;
	}
	for (char *tab = text; (tab = strchr(tab, '\t')) != NULL;)
		*tab = ' ';
	bool fits = check->bound == RC_HOST_AT_LEAST  ? value >= check->want
		    : check->bound == RC_HOST_AT_MOST ? value <= check->want
						      : value == check->want;
	rc_host_say(f,
		fits              ? RC_HOST_OK
		: check->required ? RC_HOST_BAD
				  : RC_HOST_ADVICE,
		"%s", text);
	/* A value of several numbers is mended as a whole, by the file. */
	if (check->field == 0)
		snprintf(f->mend, sizeof(f->mend), "sysctl -w %s=%" PRIu64, check->id, check->want);
	else
		snprintf(f->mend, sizeof(f->mend),
			"cp tuning/99-ringcast.conf /etc/sysctl.d/ && sysctl --system");
}

static int real_uring_setup(uint32_t entries, void *params)
{
	long fd = syscall(SYS_io_uring_setup, entries, params);
	return fd < 0 ? -errno : (int)fd;
}

struct rc_host_env rc_host_env_real(uint64_t max_clients, uint64_t memory_bytes)
{
	return (struct rc_host_env){.root = "",
		.max_clients = max_clients,
		.memory_bytes = memory_bytes,
		.uring_setup = real_uring_setup};
}

uint32_t rc_host_run(const struct rc_host_env *env, struct rc_host_finding out[RC_HOST_CHECKS_MAX])
{
	for (uint32_t i = 0; i < rc_host_check_count; i++) {
		const struct rc_host_check *check = &rc_host_checks[i];
		struct rc_host_finding *f = &out[i];
		*f = (struct rc_host_finding){.check = check, .verdict = RC_HOST_UNKNOWN};
		if (check->look != NULL)
			check->look(env, check, f);
		else
			look_sysctl(env, check, f);
		/* What is fine, or can't be seen, needs no command. */
		if (f->verdict == RC_HOST_OK || f->verdict == RC_HOST_UNKNOWN)
			f->mend[0] = '\0';
	}
	return rc_host_check_count;
}

uint64_t rc_host_descriptors(const struct rc_config *config, uint64_t max_clients, uint32_t shards)
{
	struct rc_config_listener listeners[RC_CONFIG_LISTENERS_MAX];
	uint32_t count = rc_config_listeners(config, listeners);

	return max_clients + config->max_publishers + DESCRIPTORS_OWN +
	       (uint64_t)shards * (DESCRIPTORS_PER_SHARD + count);
}

const char *rc_host_verdict_name(enum rc_host_verdict verdict)
{
	static const char *const names[] = {[RC_HOST_OK] = "ok",
		[RC_HOST_INFO] = "info",
		[RC_HOST_ADVICE] = "advice",
		[RC_HOST_BAD] = "bad",
		[RC_HOST_UNKNOWN] = "unknown"};
	RC_ASSERT((size_t)verdict < RC_ARRAY_LEN(names));
	return names[verdict];
}

const char *rc_host_group_name(enum rc_host_group group)
{
	static const char *const names[] = {"kernel", "limits", "memory", "network", "cpu"};
	RC_ASSERT((size_t)group < RC_ARRAY_LEN(names));
	return names[group];
}
