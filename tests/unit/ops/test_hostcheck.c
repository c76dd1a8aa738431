/* SPDX-License-Identifier: Apache-2.0
 *
 * The host check against hosts made of files: a good one, and the same with one thing off.
 */
#include "tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/io_uring.h>

#include "ops/hostcheck.h"
#include "ops/hostread.h"

#define CLIENTS     100000
#define DESCRIPTORS 101818
#define MIB         ((uint64_t)1 << 20)

static const struct {
	const char *path;
	const char *text;
} good_host[] = {
	{"/proc/sys/kernel/osrelease", "6.12.4-amd64\n"},
	{"/proc/sys/kernel/io_uring_disabled", "0\n"},
	{"/proc/sys/net/ipv4/tcp_available_ulp", "espintcp mptcp tls\n"},
	{"/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"},
	{"/proc/self/limits",
		"Limit                     Soft Limit           Hard Limit           Units     \n"
		"Max open files            1024                 1048576              files     \n"
		"Max locked memory         8388608              unlimited            bytes     \n"},
	{"/proc/self/status", "Name:\tringcast\nCapEff:\t0000000000000000\nSeccomp:\t0\n"},
	{"/proc/sys/fs/nr_open", "1073741816\n"},
	{"/proc/sys/fs/file-max", "9223372036854775807\n"},
	{"/proc/self/cgroup", "0::/system.slice/ringcast.service\n"},
	{"/sys/fs/cgroup/cgroup.controllers", "cpu memory\n"},
	{"/sys/fs/cgroup/system.slice/cpu.max", "max 100000\n"},
	{"/sys/fs/cgroup/system.slice/memory.max", "max\n"},
	{"/sys/fs/cgroup/system.slice/ringcast.service/cpu.max", "max 100000\n"},
	{"/sys/fs/cgroup/system.slice/ringcast.service/memory.max", "17179869184\n"},
	{"/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"},
	{"/sys/kernel/mm/transparent_hugepage/defrag",
		"always defer defer+madvise [madvise] never\n"},
	{"/proc/meminfo", "MemTotal:  32000000 kB\nHugePages_Total:  300\nHugePages_Free:  300\n"
			  "Hugepagesize:  2048 kB\n"},
	{"/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n"},
	{"/proc/sys/vm/swappiness", "10\n"},
	{"/proc/sys/net/core/somaxconn", "65535\n"},
	{"/proc/sys/net/ipv4/tcp_max_syn_backlog", "65535\n"},
	{"/proc/sys/net/ipv4/tcp_syncookies", "1\n"},
	{"/proc/sys/net/core/netdev_max_backlog", "16384\n"},
	{"/proc/sys/net/ipv4/ip_local_port_range", "10000\t65535\n"},
	{"/proc/sys/net/ipv4/tcp_tw_reuse", "2\n"},
	{"/proc/sys/net/ipv4/tcp_slow_start_after_idle", "0\n"},
	{"/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"},
	{"/proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n"},
	{"/proc/sys/net/core/rmem_max", "1048576\n"},
	{"/proc/sys/net/core/wmem_max", "1048576\n"},
	{"/proc/sys/net/ipv4/tcp_mem", "300000\t400000\t600000\n"},
	{"/proc/sys/net/core/busy_poll", "0\n"},
	{"/proc/sys/net/core/busy_read", "0\n"},
	{"/sys/devices/system/cpu/online", "0-1\n"},
	{"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n"},
	{"/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n"},
	{"/sys/devices/system/cpu/isolated", "\n"},
	{"/sys/devices/system/cpu/smt/active", "0\n"},
	{"/sys/devices/system/node/online", "0\n"},
	{"/proc/1/comm", "systemd\n"},
};

/* The kernel's part in io_uring_setup: refuses with an errno, or flags that it does not know. */
static struct {
	int error;
	uint32_t unknown_flags;
} kernel;

static int fake_uring_setup(uint32_t entries, void *params)
{
	struct io_uring_params *p = params;
	assert_true(entries > 0);
	if (kernel.error != 0)
		return -kernel.error;
	if ((p->flags & kernel.unknown_flags) != 0)
		return -EINVAL;
	p->features = 0x3ffff;
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

struct host {
	char root[TREE_PATH];
	struct rc_host_env env;
	uint32_t count;
	struct rc_host_finding finding[RC_HOST_CHECKS_MAX];
};

static int set_up(void **state)
{
	struct host *h = calloc(1, sizeof(*h));
	assert_non_null(h);
	tree_make(h->root);
	for (size_t i = 0; i < RC_ARRAY_LEN(good_host); i++)
		tree_write(h->root, good_host[i].path, good_host[i].text);
	h->env = (struct rc_host_env){.root = h->root,
		.max_clients = CLIENTS,
		.memory_bytes = 512 * MIB,
		.uring_setup = fake_uring_setup,
		.descriptors = DESCRIPTORS};
	kernel.error = 0;
	kernel.unknown_flags = 0;
	*state = h;
	return 0;
}

static int tear_down(void **state)
{
	struct host *h = *state;
	tree_remove(h->root);
	free(h);
	return 0;
}

static const struct rc_host_finding *look(struct host *h, const char *id)
{
	h->count = rc_host_run(&h->env, h->finding);
	for (uint32_t i = 0; i < h->count; i++)
		if (strcmp(h->finding[i].check->id, id) == 0)
			return &h->finding[i];
	fail_msg("there is no check %s", id);
	return NULL;
}

static void a_good_host_has_nothing_to_mend(void **state)
{
	struct host *h = *state;
	look(h, "io_uring.setup");
	assert_int_equal(h->count, rc_host_check_count);
	for (uint32_t i = 0; i < h->count; i++) {
		const struct rc_host_finding *f = &h->finding[i];
		enum rc_host_verdict right =
			strcmp(f->check->id, "cpu.isolated") == 0 ? RC_HOST_INFO : RC_HOST_OK;
		if (f->verdict != right)
			fail_msg("%s: %s, found %s", f->check->id, rc_host_verdict_name(f->verdict),
				f->found);
		assert_string_equal(f->mend, "");
	}
}

/* One file of the good host with another text (NULL = not there), and what that must lead to. */
static const struct {
	const char *path;
	const char *text;
	const char *id;
	enum rc_host_verdict verdict;
	const char *found; /* NULL = whatever */
} off[] = {
	{"/proc/sys/kernel/osrelease", "6.1.0-50-cloud", "kernel.version", RC_HOST_ADVICE, NULL},
	{"/proc/sys/kernel/osrelease", "5.15.0", "kernel.version", RC_HOST_ADVICE, "5.15.0"},
	{"/proc/sys/kernel/osrelease", "7.0", "kernel.version", RC_HOST_OK, "7.0"},
	{"/proc/sys/kernel/osrelease", "plan9", "kernel.version", RC_HOST_UNKNOWN, NULL},
	{"/proc/sys/kernel/io_uring_disabled", "1", "kernel.io_uring_disabled", RC_HOST_ADVICE,
		"1"},
	{"/proc/sys/kernel/io_uring_disabled", "2", "kernel.io_uring_disabled", RC_HOST_ADVICE,
		"2"},
	{"/proc/sys/kernel/io_uring_disabled", NULL, "kernel.io_uring_disabled", RC_HOST_OK, NULL},
	{"/proc/sys/net/ipv4/tcp_available_ulp", "espintcp mptcp", "kernel.tls", RC_HOST_INFO,
		"not loaded"},
	{"/proc/sys/net/ipv4/tcp_available_ulp", "tlsx", "kernel.tls", RC_HOST_INFO, NULL},
	{"/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet",
		"kernel.clocksource", RC_HOST_ADVICE, "hpet"},
	{"/proc/self/limits", "Max open files            1024    20000    files\n", "limit.nofile",
		RC_HOST_BAD, "20000"},
	{"/proc/self/limits", "Max open files            1024    101818    files\n", "limit.nofile",
		RC_HOST_OK, NULL},
	{"/proc/self/limits", "Max open files            1024    101817    files\n", "limit.nofile",
		RC_HOST_BAD, NULL},
	{"/proc/self/limits", "Max open files            1024    unlimited    files\n",
		"limit.nofile", RC_HOST_OK, "no limit"},
	{"/proc/self/limits", NULL, "limit.nofile", RC_HOST_UNKNOWN, "not there"},
	{"/proc/self/limits", "Max locked memory         8388608   8388608   bytes\n",
		"limit.memlock", RC_HOST_ADVICE, "8 MiB"},
	{"/proc/sys/fs/nr_open", "65536", "fs.nr_open", RC_HOST_ADVICE, "65536"},
	{"/proc/sys/fs/file-max", "65536", "fs.file-max", RC_HOST_BAD, "65536"},
	{"/sys/fs/cgroup/system.slice/ringcast.service/cpu.max", "150000 100000", "cgroup.cpu",
		RC_HOST_ADVICE, "1.50 CPUs"},
	{"/sys/fs/cgroup/system.slice/cpu.max", "50000 100000", "cgroup.cpu", RC_HOST_ADVICE,
		"0.50 CPUs"},
	{"/sys/fs/cgroup/cgroup.controllers", NULL, "cgroup.cpu", RC_HOST_UNKNOWN, NULL},
	{"/sys/fs/cgroup/system.slice/memory.max", "1073741824", "cgroup.memory", RC_HOST_ADVICE,
		"1 GiB"},
	{"/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]", "memory.thp",
		RC_HOST_ADVICE, "never"},
	{"/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never", "memory.thp",
		RC_HOST_OK, "always"},
	{"/sys/kernel/mm/transparent_hugepage/defrag", "[always] defer never", "memory.thp_defrag",
		RC_HOST_ADVICE, "always"},
	{"/proc/meminfo", "HugePages_Free: 0\nHugepagesize: 2048 kB\n", "memory.hugepages",
		RC_HOST_INFO, "0 free of 2 MiB"},
	{"/proc/meminfo", "HugePages_Free: 255\nHugepagesize: 2048 kB\n", "memory.hugepages",
		RC_HOST_ADVICE, "255 free of 2 MiB"},
	{"/proc/meminfo", "HugePages_Free: 1\nHugepagesize: 1048576 kB\n", "memory.hugepages",
		RC_HOST_OK, "1 free of 1 GiB"},
	{"/proc/meminfo", "HugePages_Free: 9\nHugepagesize: 0 kB\n", "memory.hugepages",
		RC_HOST_UNKNOWN, NULL},
	{"/proc/swaps", "Filename\tType\n/dev/vda2 partition 100 0 -2\n", "memory.swap",
		RC_HOST_ADVICE, "1 in use"},
	{"/proc/swaps", NULL, "memory.swap", RC_HOST_OK, "none"},
	{"/proc/sys/vm/swappiness", "60", "vm.swappiness", RC_HOST_ADVICE, "60"},
	{"/proc/sys/vm/swappiness", "0", "vm.swappiness", RC_HOST_OK, "0"},
	{"/proc/sys/net/core/somaxconn", "4096", "net.core.somaxconn", RC_HOST_ADVICE, "4096"},
	{"/proc/sys/net/core/somaxconn", "much", "net.core.somaxconn", RC_HOST_UNKNOWN, NULL},
	{"/proc/sys/net/core/somaxconn", "99999999999999999999999", "net.core.somaxconn",
		RC_HOST_UNKNOWN, NULL},
	{"/proc/sys/net/core/somaxconn", NULL, "net.core.somaxconn", RC_HOST_UNKNOWN, "not there"},
	{"/proc/sys/net/ipv4/tcp_max_syn_backlog", "512", "net.ipv4.tcp_max_syn_backlog",
		RC_HOST_ADVICE, NULL},
	{"/proc/sys/net/ipv4/tcp_syncookies", "0", "net.ipv4.tcp_syncookies", RC_HOST_ADVICE, NULL},
	{"/proc/sys/net/core/netdev_max_backlog", "1000", "net.core.netdev_max_backlog",
		RC_HOST_ADVICE, NULL},
	{"/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999", "net.ipv4.ip_local_port_range",
		RC_HOST_ADVICE, "32768 to 60999"},
	{"/proc/sys/net/ipv4/ip_local_port_range", "60000\t10", "net.ipv4.ip_local_port_range",
		RC_HOST_ADVICE, NULL},
	{"/proc/sys/net/ipv4/tcp_tw_reuse", "0", "net.ipv4.tcp_tw_reuse", RC_HOST_ADVICE, NULL},
	{"/proc/sys/net/ipv4/tcp_slow_start_after_idle", "1", "net.ipv4.tcp_slow_start_after_idle",
		RC_HOST_ADVICE, "1"},
	{"/proc/sys/net/ipv4/tcp_rmem", "9999999\t9999999\t4096", "net.ipv4.tcp_rmem",
		RC_HOST_ADVICE, "9999999 9999999 4096"},
	{"/proc/sys/net/ipv4/tcp_wmem", "4096\t16384", "net.ipv4.tcp_wmem", RC_HOST_UNKNOWN, NULL},
	{"/proc/sys/net/core/rmem_max", "212992", "net.core.rmem_max", RC_HOST_ADVICE, NULL},
	{"/proc/sys/net/core/wmem_max", "212992", "net.core.wmem_max", RC_HOST_ADVICE, NULL},
	{"/proc/sys/net/ipv4/tcp_mem", "300000\t100\t600000", "net.ipv4.tcp_mem", RC_HOST_ADVICE,
		"300000 100 600000"},
	{"/proc/sys/net/netfilter/nf_conntrack_max", "65536", "net.netfilter.nf_conntrack_max",
		RC_HOST_BAD, "65536"},
	{"/proc/sys/net/netfilter/nf_conntrack_max", "150000", "net.netfilter.nf_conntrack_max",
		RC_HOST_ADVICE, NULL},
	{"/proc/sys/net/netfilter/nf_conntrack_max", "262144", "net.netfilter.nf_conntrack_max",
		RC_HOST_OK, NULL},
	{"/proc/sys/net/core/busy_poll", "50", "net.core.busy_poll", RC_HOST_ADVICE, NULL},
	{"/proc/sys/net/core/busy_read", "50", "net.core.busy_read", RC_HOST_ADVICE, NULL},
	{"/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave", "cpu.governor",
		RC_HOST_ADVICE, "powersave on 1 of 2"},
	{"/proc/4242/comm", "irqbalance", "cpu.irqbalance", RC_HOST_ADVICE, "running"},
	{"/proc/irqbalance/comm", "irqbalance", "cpu.irqbalance", RC_HOST_OK, NULL},
	{"/sys/devices/system/cpu/isolated", "2-7", "cpu.isolated", RC_HOST_INFO, "2-7"},
	{"/sys/devices/system/node/online", "0-1", "cpu.numa", RC_HOST_INFO, "nodes 0-1"},
	{"/sys/devices/system/node/online", NULL, "cpu.numa", RC_HOST_OK, "one node"},
	{"/sys/devices/system/cpu/smt/active", "1", "cpu.smt", RC_HOST_INFO, "on"},
};

static void each_thing_that_is_off_is_seen_and_nothing_else(void **state)
{
	struct host *h = *state;
	for (size_t i = 0; i < RC_ARRAY_LEN(off); i++) {
		const char *right = NULL;
		for (size_t g = 0; g < RC_ARRAY_LEN(good_host); g++)
			if (strcmp(good_host[g].path, off[i].path) == 0)
				right = good_host[g].text;
		if (off[i].text != NULL)
			tree_write(h->root, off[i].path, off[i].text);
		else
			tree_unlink(h->root, off[i].path);
		const struct rc_host_finding *f = look(h, off[i].id);
		if (f->verdict != off[i].verdict ||
			(off[i].found != NULL && strcmp(f->found, off[i].found) != 0))
			fail_msg("%s = %s: %s is %s, found %s", off[i].path,
				off[i].text == NULL ? "(gone)" : off[i].text, off[i].id,
				rc_host_verdict_name(f->verdict), f->found);
		if (f->verdict == RC_HOST_ADVICE || f->verdict == RC_HOST_BAD)
			assert_true(strlen(f->check->cost) > 0 && strlen(f->wanted) > 0);
		if ((f->verdict == RC_HOST_ADVICE && strcmp(off[i].id, "kernel.version") != 0) ||
			f->verdict == RC_HOST_BAD)
			assert_true(strlen(f->mend) > 0);
		if (right != NULL)
			tree_write(h->root, off[i].path, right);
		else
			tree_unlink(h->root, off[i].path);
	}
	a_good_host_has_nothing_to_mend(state);
}

static void every_check_but_pure_facts_can_be_off(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < rc_host_check_count; c++) {
		const char *id = rc_host_checks[c].id;
		bool seen = strcmp(id, "io_uring.setup") == 0;
		for (size_t i = 0; i < RC_ARRAY_LEN(off); i++)
			seen = seen || (strcmp(off[i].id, id) == 0 && off[i].verdict != RC_HOST_OK);
		if (!seen)
			fail_msg("no test puts %s off", id);
		for (uint32_t d = 0; d < c; d++)
			assert_string_not_equal(id, rc_host_checks[d].id);
	}
}

static void an_empty_host_is_unknown_and_never_bad(void **state)
{
	struct host *h = *state;
	char empty[TREE_PATH];
	tree_make(empty);
	h->env.root = empty;
	look(h, "io_uring.setup");
	for (uint32_t i = 0; i < h->count; i++) {
		assert_int_not_equal(h->finding[i].verdict, RC_HOST_BAD);
		assert_int_not_equal(h->finding[i].verdict, RC_HOST_ADVICE);
		assert_true(strlen(h->finding[i].found) > 0);
	}
	tree_remove(empty);
}

static void the_right_to_lock_makes_the_limit_of_it_moot(void **state)
{
	struct host *h = *state;
	tree_write(h->root, "/proc/self/limits", "Max locked memory  65536  65536  bytes\n");
	assert_int_equal(look(h, "limit.memlock")->verdict, RC_HOST_ADVICE);
	tree_write(h->root, "/proc/self/status", "CapEff:\t0000000000004000\n");
	assert_int_equal(look(h, "limit.memlock")->verdict, RC_HOST_OK);
	tree_write(h->root, "/proc/self/status", "CapEff:\tffffffffffffbfff\n");
	assert_int_equal(look(h, "limit.memlock")->verdict, RC_HOST_ADVICE);
}

static void fewer_clients_want_less(void **state)
{
	struct host *h = *state;
	tree_write(h->root, "/proc/self/limits", "Max open files  1024  20000  files\n");
	assert_int_equal(look(h, "limit.nofile")->verdict, RC_HOST_BAD);
	h->env.max_clients = 10000;
	h->env.descriptors = 10336;
	assert_int_equal(look(h, "limit.nofile")->verdict, RC_HOST_OK);
}

/* The module's name in a sysctl says less than a socket that took keys. */
static void kernel_tls_is_as_it_was_tried(void **state)
{
	struct host *h = *state;
	struct rc_host_tls tls = {.any = true, .all = true, .found = "every cipher"};
	h->env.tls = &tls;
	tree_write(h->root, "/proc/sys/net/ipv4/tcp_available_ulp", "mptcp\n");
	assert_int_equal(look(h, "kernel.tls")->verdict, RC_HOST_OK);
	assert_string_equal(look(h, "kernel.tls")->found, "every cipher");

	tree_write(h->root, "/proc/sys/net/ipv4/tcp_available_ulp", "mptcp tls\n");
	tls = (struct rc_host_tls){.found = "none", .why_not = "a sandbox forbids it"};
	assert_int_equal(look(h, "kernel.tls")->verdict, RC_HOST_INFO);
	assert_string_equal(look(h, "kernel.tls")->why, "a sandbox forbids it");
	tls.wanted = true;
	assert_int_equal(look(h, "kernel.tls")->verdict, RC_HOST_ADVICE);
	assert_non_null(strstr(look(h, "kernel.tls")->mend, "tuning/README.md"));
	tree_write(h->root, "/proc/sys/net/ipv4/tcp_available_ulp", "mptcp\n");
	assert_non_null(strstr(look(h, "kernel.tls")->mend, "modprobe tls"));
	tls.any = true;
	assert_int_equal(look(h, "kernel.tls")->verdict, RC_HOST_INFO);
}

static void descriptors_are_those_of_clients_publishers_and_listeners(void **state)
{
	(void)state;
	static struct rc_config config;
	rc_config_init(&config);
	config.max_publishers = 256;
	assert_int_equal(rc_host_descriptors(&config, 19672, 1), 20000);
	assert_int_equal(rc_host_descriptors(&config, 19672, 4), 20024);
	/* One listener more in each shard. */
	strcpy(config.tls_certificate, "host.pem");
	assert_int_equal(rc_host_descriptors(&config, 19672, 4), 20028);
	memset(&config.listen, 0, sizeof(config.listen));
	assert_int_equal(rc_host_descriptors(&config, 19672, 4), 20024);
}

/* ---- io_uring ------------------------------------------------------------------------------- */

static uint32_t open_descriptors(void)
{
	uint32_t count = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static void trying_a_ring_leaves_no_descriptor_open(void **state)
{
	struct host *h = *state;
	uint32_t before = open_descriptors();
	look(h, "io_uring.setup");
	kernel.unknown_flags = IORING_SETUP_TASKRUN_FLAG;
	look(h, "io_uring.setup");
	assert_int_equal(open_descriptors(), before);
}

static void a_kernel_that_lacks_a_flag_is_told_which(void **state)
{
	struct host *h = *state;
	static const struct {
		uint32_t flag;
		const char *name;
	} flags[] = {{IORING_SETUP_R_DISABLED, "R_DISABLED"},
		{IORING_SETUP_SUBMIT_ALL, "SUBMIT_ALL"},
		{IORING_SETUP_SINGLE_ISSUER, "SINGLE_ISSUER"},
		{IORING_SETUP_DEFER_TASKRUN, "DEFER_TASKRUN"},
		{IORING_SETUP_TASKRUN_FLAG, "TASKRUN_FLAG"}};
	for (size_t i = 0; i < RC_ARRAY_LEN(flags); i++) {
		kernel.unknown_flags = flags[i].flag;
		const struct rc_host_finding *f = look(h, "io_uring.setup");
		assert_int_equal(f->verdict, RC_HOST_BAD);
		assert_non_null(strstr(f->why, flags[i].name));
	}
}

static void a_refused_ring_is_blamed_on_who_refused_it(void **state)
{
	struct host *h = *state;
	kernel.error = EPERM;
	const struct rc_host_finding *f = look(h, "io_uring.setup");
	assert_int_equal(f->verdict, RC_HOST_BAD);
	assert_non_null(strstr(f->why, "seccomp"));

	tree_write(h->root, "/proc/sys/kernel/io_uring_disabled", "2\n");
	f = look(h, "io_uring.setup");
	assert_non_null(strstr(f->why, "kernel.io_uring_disabled is 2"));
	assert_non_null(strstr(f->mend, "kernel.io_uring_disabled=0"));

	kernel.error = ENOMEM;
	f = look(h, "io_uring.setup");
	assert_non_null(strstr(f->why, "RLIMIT_MEMLOCK"));

	kernel.error = ENOSYS;
	f = look(h, "io_uring.setup");
	assert_non_null(strstr(f->why, "without io_uring"));
	assert_int_equal(f->verdict, RC_HOST_BAD);
}

static void this_very_host_can_be_looked_at(void **state)
{
	(void)state;
	static struct rc_host_finding finding[RC_HOST_CHECKS_MAX];
	struct rc_host_env env = rc_host_env_real(100, 16 * MIB);
	uint32_t before = open_descriptors();
	uint32_t count = rc_host_run(&env, finding);
	for (uint32_t i = 0; i < count; i++)
		assert_true(strlen(finding[i].found) > 0);
	assert_int_equal(open_descriptors(), before);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void numbers_are_taken_only_when_they_are_numbers(void **state)
{
	(void)state;
	uint64_t n;
	assert_true(rc_host_field("4096\t131072 6291456\n", 1, &n));
	assert_int_equal(n, 131072);
	assert_true(rc_host_field("  7", 0, &n));
	assert_int_equal(n, 7);
	assert_true(rc_host_field("max 100000", 0, &n));
	assert_true(n == UINT64_MAX);
	assert_true(rc_host_field("1 unlimited", 1, &n));
	assert_true(n == UINT64_MAX);
	assert_false(rc_host_field("", 0, &n));
	assert_false(rc_host_field("1 2", 2, &n));
	assert_false(rc_host_field("-1", 0, &n));
	assert_false(rc_host_field("0x10", 0, &n));
	assert_false(rc_host_field("18446744073709551616", 0, &n));
	assert_true(rc_host_field("18446744073709551615", 0, &n));
}

static void lines_and_choices_are_cut_to_the_room_there_is(void **state)
{
	(void)state;
	char out[6];
	assert_true(rc_host_line("a: 1\nbc: \t234567890\nd: 3", "bc:", out, sizeof(out)));
	assert_string_equal(out, "23456");
	assert_true(rc_host_line("a: 1\nd:", "d:", out, sizeof(out)));
	assert_string_equal(out, "");
	assert_false(rc_host_line("xbc: 1\n", "bc:", out, sizeof(out)));
	assert_true(rc_host_choice("a [bcdef] g", out, sizeof(out)));
	assert_string_equal(out, "bcdef");
	assert_false(rc_host_choice("a [bcdefg] h", out, sizeof(out)));
	assert_false(rc_host_choice("a ]b[ c", out, sizeof(out)));
	assert_false(rc_host_choice("a b", out, sizeof(out)));
}

static void sizes_are_written_for_people(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {{0, "0 B"}, {1023, "1023 B"}, {1024, "1 KiB"}, {1536, "1.5 KiB"},
		{256 * MIB, "256 MiB"}, {3 * MIB * 1024 / 2, "1.5 GiB"}, {UINT64_MAX, "no limit"}};
	char out[32];
	for (size_t i = 0; i < RC_ARRAY_LEN(sizes); i++) {
		rc_host_bytes(sizes[i].bytes, out, sizeof(out));
		assert_string_equal(out, sizes[i].text);
	}
}

static void a_file_longer_than_the_room_is_cut_and_a_missing_one_said(void **state)
{
	struct host *h = *state;
	char out[5];
	tree_write(h->root, "/long", "123456789");
	assert_int_equal(rc_host_read(h->root, "/long", out, sizeof(out)), 0);
	assert_string_equal(out, "1234");
	assert_int_equal(rc_host_read(h->root, "/none", out, sizeof(out)), -ENOENT);
	assert_string_equal(out, "");
	assert_int_equal(rc_host_read(h->root, "/proc", out, sizeof(out)), -EISDIR);
	assert_string_equal(out, "");
}

#define ON_HOST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_HOST(a_good_host_has_nothing_to_mend),
		ON_HOST(each_thing_that_is_off_is_seen_and_nothing_else),
		cmocka_unit_test(every_check_but_pure_facts_can_be_off),
		ON_HOST(an_empty_host_is_unknown_and_never_bad),
		ON_HOST(the_right_to_lock_makes_the_limit_of_it_moot),
		ON_HOST(fewer_clients_want_less),
		ON_HOST(kernel_tls_is_as_it_was_tried),
		ON_HOST(descriptors_are_those_of_clients_publishers_and_listeners),
		ON_HOST(trying_a_ring_leaves_no_descriptor_open),
		ON_HOST(a_kernel_that_lacks_a_flag_is_told_which),
		ON_HOST(a_refused_ring_is_blamed_on_who_refused_it),
		cmocka_unit_test(this_very_host_can_be_looked_at),
		cmocka_unit_test(numbers_are_taken_only_when_they_are_numbers),
		cmocka_unit_test(lines_and_choices_are_cut_to_the_room_there_is),
		cmocka_unit_test(sizes_are_written_for_people),
		ON_HOST(a_file_longer_than_the_room_is_cut_and_a_missing_one_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
