/* SPDX-License-Identifier: Apache-2.0
 *
 * With a made-up /proc and /sys in a folder of its own.
 */
#include "../unit.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "mem/hostmem.h"

#define MIB ((uint64_t)1 << 20)

static char root[PATH_MAX / 4];

static int set_up(void **state)
{
	const char *folder = getenv("TMPDIR");
	(void)state;
	(void)snprintf(root, sizeof(root), "%s/hostmem.XXXXXX", folder == NULL ? P_tmpdir : folder);
	return mkdtemp(root) == NULL ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *name, const char *text)
{
	char path[PATH_MAX];
	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void meminfo(const char *total_kib)
{
	char text[200];
	(void)snprintf(text, sizeof(text), "MemTotal:       %s kB\nMemFree: 12 kB\n", total_kib);
	write_file("proc/meminfo", text);
}

static void without_any_file_there_is_no_limit(void **state)
{
	(void)state;
	assert_true(rc_hostmem_limit(root) == UINT64_MAX);
}

static void without_a_cgroup_it_is_the_physical_memory(void **state)
{
	(void)state;
	meminfo("4096000");
	assert_true(rc_hostmem_limit(root) == 4000 * MIB);
}

static void version_2_takes_the_smallest_up_the_tree(void **state)
{
	(void)state;
	meminfo("4096000");
	write_file("proc/self/cgroup", "0::/system.slice/ringcast.service\n");
	write_file("sys/fs/cgroup/system.slice/ringcast.service/memory.max", "max\n");
	assert_true(rc_hostmem_limit(root) == 4000 * MIB);
	write_file("sys/fs/cgroup/system.slice/ringcast.service/memory.max", "524288000\n");
	assert_true(rc_hostmem_limit(root) == 500 * MIB);
	write_file("sys/fs/cgroup/system.slice/memory.max", "314572800\n");
	assert_true(rc_hostmem_limit(root) == 300 * MIB);
	write_file("sys/fs/cgroup/memory.max", "104857600\n");
	assert_true(rc_hostmem_limit(root) == 100 * MIB);
	/* A limit above what the host has is none. */
	meminfo("51200");
	assert_true(rc_hostmem_limit(root) == 50 * MIB);
}

static void version_1_looks_at_its_memory_controller(void **state)
{
	(void)state;
	meminfo("4096000");
	write_file("proc/self/cgroup", "12:cpu,cpuacct:/c\n11:hugetlb,memory:/docker/abc\n0::/\n");
	write_file("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "104857600\n");
	write_file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	assert_true(rc_hostmem_limit(root) == 100 * MIB);
}

static void in_a_container_the_own_root_counts_though_the_path_is_the_hosts(void **state)
{
	(void)state;
	meminfo("4096000");
	write_file("proc/self/cgroup", "5:memory:/docker/unseen\n");
	write_file("sys/fs/cgroup/memory/memory.limit_in_bytes", "209715200\n");
	assert_true(rc_hostmem_limit(root) == 200 * MIB);
	write_file("proc/self/cgroup", "0::/../../outside\n");
	write_file("sys/fs/cgroup/memory.max", "104857600\n");
	assert_true(rc_hostmem_limit(root) == 100 * MIB);
}

static void nonsense_is_no_limit(void **state)
{
	(void)state;
	meminfo("4096000");
	write_file("proc/self/cgroup", "what\nis:this\n::\n0::/a\n");
	write_file("sys/fs/cgroup/a/memory.max", "0\n");
	write_file("sys/fs/cgroup/memory.max", "-1\n");
	assert_true(rc_hostmem_limit(root) == 4000 * MIB);
	write_file("proc/meminfo", "MemTotal: none\n");
	assert_true(rc_hostmem_limit(root) == UINT64_MAX);
	write_file("proc/meminfo", "");
	assert_true(rc_hostmem_limit(root) == UINT64_MAX);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(without_any_file_there_is_no_limit),
		IN_A_FOLDER(without_a_cgroup_it_is_the_physical_memory),
		IN_A_FOLDER(version_2_takes_the_smallest_up_the_tree),
		IN_A_FOLDER(version_1_looks_at_its_memory_controller),
		IN_A_FOLDER(in_a_container_the_own_root_counts_though_the_path_is_the_hosts),
		IN_A_FOLDER(nonsense_is_no_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
