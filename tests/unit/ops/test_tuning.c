/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies in tuning/ says the same as the host check, and the script that moves interrupts can take it back. Runs in the
 * top folder of the source.
 */
#include "tree.h"

#include <ctype.h>
#include <sys/wait.h>

#include "ops/hostcheck.h"

/* What the files in tuning/ are made for. */
#define CLIENTS 1000000

static char root[TREE_PATH];
static struct rc_config config;

static int set_up(void **state)
{
	(void)state;
	tree_make(root);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tree_remove(root);
	return 0;
}

static void read_source(const char *path, char *out, size_t size)
{
	if (access(path, R_OK) != 0)
		fail_msg("%s is not here; run this in the top folder of the source", path);
	size_t len = tree_read("", path, out, size);
	assert_true(len > 0 && len < size - 1);
}

static int no_ring(uint32_t entries, void *params)
{
	(void)entries;
	(void)params;
	return -ENOSYS;
}

static const struct rc_host_check *check_of(const char *id)
{
	for (uint32_t i = 0; i < rc_host_check_count; i++)
		if (strcmp(rc_host_checks[i].id, id) == 0)
			return &rc_host_checks[i];
	return NULL;
}

/* "key = value" with blanks round it; false for comments and empty lines. */
static bool setting_of(char *line, char **key, char **value)
{
	char *equals = strchr(line, '=');
	if (line[0] == '#' || equals == NULL)
		return false;
	*equals = '\0';
	*key = line;
	*value = equals + 1;
	while (**value == ' ')
		++*value;
	for (char *end = *key + strlen(*key); end > *key && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	return true;
}

static void the_sysctl_file_sets_what_the_host_check_wants(void **state)
{
	(void)state;
	static char text[16384];
	static struct rc_host_finding finding[RC_HOST_CHECKS_MAX];
	uint32_t set = 0, wanted = 0;
	read_source("tuning/99-ringcast.conf", text, sizeof(text));
	for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
		char *key, *value, path[256] = "/proc/sys/";
		if (!setting_of(line, &key, &value))
			continue;
		const struct rc_host_check *check = check_of(key);
		if (check == NULL || !check->in_sysctl_file)
			fail_msg("the file sets %s, which the table does not ask for", key);
		/* The very number, where the row is a number against a bound. */
		unsigned long long numbers[3] = {0};
		assert_true(sscanf(value, "%llu %llu %llu", &numbers[0], &numbers[1],
				    &numbers[2]) >= 1);
		if (check->look == NULL && numbers[check->field] != check->want)
			fail_msg("the file sets %s to %s, the table wants %llu", key, value,
				(unsigned long long)check->want);
		strncat(path, key, sizeof(path) - strlen(path) - 1);
		for (char *dot = strchr(path, '.'); dot != NULL; dot = strchr(dot, '.'))
			*dot = '/';
		tree_write(root, path, value);
		set++;
	}
	struct rc_host_env env = {.root = root, .max_clients = CLIENTS, .uring_setup = no_ring};
	uint32_t count = rc_host_run(&env, finding);
	for (uint32_t i = 0; i < count; i++) {
		if (!finding[i].check->in_sysctl_file)
			continue;
		wanted++;
		if (finding[i].verdict != RC_HOST_OK)
			fail_msg("with the file %s is %s: found %s, wanted %s",
				finding[i].check->id, rc_host_verdict_name(finding[i].verdict),
				finding[i].found, finding[i].wanted);
	}
	assert_int_equal(set, wanted);
}

/* The number after a key of the unit, or of a line of limits. */
static unsigned long long number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);
	if (at == NULL)
		fail_msg("there is no %s", key);
	return strtoull(at + strlen(key), NULL, 10);
}

static void unit_and_limits_allow_a_million_clients(void **state)
{
	(void)state;
	static char unit[16384], limits[4096];
	read_source("tuning/ringcast.service", unit, sizeof(unit));
	read_source("tuning/99-ringcast.limits.conf", limits, sizeof(limits));
	rc_config_init(&config);
	assert_true(number_after(unit, "\nLimitNOFILE=") >=
		    rc_host_descriptors(&config, CLIENTS, RC_SHARDS_MAX));
	assert_int_equal(
		number_after(unit, "\nLimitNOFILE="), number_after(limits, "hard  nofile"));
	assert_int_equal(
		number_after(limits, "soft  nofile"), number_after(limits, "hard  nofile"));
	assert_non_null(strstr(unit, "\nLimitMEMLOCK=infinity\n"));
	assert_non_null(strstr(limits, "hard  memlock  unlimited"));
	assert_non_null(strstr(unit, "\nExecReload=/bin/kill -HUP $MAINPID\n"));
	/* The default drain_timeout is 10 s, and closing comes after it. */
	assert_true(number_after(unit, "\nTimeoutStopSec=") >= 15);
	for (const char *const *call = (const char *const[]){"io_uring_setup", "io_uring_enter",
		     "io_uring_register", NULL};
		*call != NULL; call++)
		assert_non_null(strstr(strstr(unit, "\nSystemCallFilter="), *call));
}

/* ---- irq-affinity --------------------------------------------------------------------------- */

#define QUEUES "/sys/class/net/eth9/queues/"

static void make_card(void)
{
	char target[2 * TREE_PATH], link[2 * TREE_PATH];
	tree_write(root, "/sys/devices/system/cpu/online", "0-3\n");
	tree_write(root, "/sys/devices/card/msi_irqs/40", "msix\n");
	tree_write(root, "/sys/devices/card/msi_irqs/41", "msix\n");
	tree_write(root, "/sys/devices/card/msi_irqs/42", "msix\n");
	tree_write(root, "/proc/interrupts",
		"           CPU0       CPU1\n"
		" 40:          0          0   PCI-MSIX-0000:00:03.0   0-edge      eth9-config\n"
		" 41:          7          0   PCI-MSIX-0000:00:03.0   1-edge      eth9-TxRx-0\n"
		" 42:          0          9   PCI-MSIX-0000:00:03.0   2-edge      eth9-TxRx-1\n");
	tree_write(root, "/proc/irq/40/smp_affinity_list", "0-3\n");
	tree_write(root, "/proc/irq/41/smp_affinity_list", "0-3\n");
	tree_write(root, "/proc/irq/42/smp_affinity_list", "3\n");
	tree_write(root, QUEUES "rx-0/rps_cpus", "0\n");
	tree_write(root, QUEUES "rx-1/rps_cpus", "0\n");
	tree_write(root, QUEUES "tx-0/xps_cpus", "0\n");
	tree_write(root, QUEUES "tx-1/xps_cpus", "f\n");
	snprintf(target, sizeof(target), "%s/sys/devices/card", root);
	snprintf(link, sizeof(link), "%s/sys/class/net/eth9/device", root);
	assert_int_equal(symlink(target, link), 0);
}

static int run_script(const char *arguments)
{
	char command[4 * TREE_PATH];
	assert_int_equal(access("tuning/irq-affinity", X_OK), 0);
	snprintf(command, sizeof(command), "SYSROOT='%s' tuning/irq-affinity %s >'%s/out' 2>&1",
		root, arguments, root);
	int status = system(command);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void file_holds(const char *path, const char *text)
{
	char now[64];
	tree_read(root, path, now, sizeof(now));
	now[strcspn(now, "\n")] = '\0';
	if (strcmp(now, text) != 0)
		fail_msg("%s holds %s, not %s", path, now, text);
}

static void card_is_as_it_was(void)
{
	file_holds("/proc/irq/40/smp_affinity_list", "0-3");
	file_holds("/proc/irq/41/smp_affinity_list", "0-3");
	file_holds("/proc/irq/42/smp_affinity_list", "3");
	file_holds(QUEUES "tx-0/xps_cpus", "0");
	file_holds(QUEUES "tx-1/xps_cpus", "f");
	file_holds(QUEUES "rx-0/rps_cpus", "0");
}

static void the_plan_for_a_card_changes_nothing(void **state)
{
	(void)state;
	char out[4096];
	make_card();
	assert_int_equal(run_script("eth9"), 0);
	tree_read(root, "/out", out, sizeof(out));
	assert_non_null(strstr(out, "/proc/irq/41/smp_affinity_list"));
	assert_null(strstr(out, "/proc/irq/40/"));
	card_is_as_it_was();
}

static void what_was_applied_to_a_card_is_taken_back(void **state)
{
	(void)state;
	make_card();
	assert_int_equal(run_script("--apply --cpus=1,3 eth9"), 0);
	file_holds("/proc/irq/40/smp_affinity_list", "0-3");
	file_holds("/proc/irq/41/smp_affinity_list", "1");
	file_holds("/proc/irq/42/smp_affinity_list", "3");
	file_holds(QUEUES "tx-0/xps_cpus", "2");
	file_holds(QUEUES "tx-1/xps_cpus", "8");
	/* As many queues as CPUs: no spreading by software. */
	file_holds(QUEUES "rx-0/rps_cpus", "0");
	/* Applied again with another list, it still goes back to the first state. */
	assert_int_equal(run_script("--apply eth9"), 0);
	file_holds("/proc/irq/41/smp_affinity_list", "0");
	file_holds("/proc/irq/42/smp_affinity_list", "1");
	file_holds(QUEUES "tx-0/xps_cpus", "5");
	file_holds(QUEUES "tx-1/xps_cpus", "a");
	file_holds(QUEUES "rx-0/rps_cpus", "5");
	assert_int_equal(run_script("--undo eth9"), 0);
	card_is_as_it_was();
	assert_int_equal(run_script("--undo eth9"), 2);
}

static void masks_beyond_32_cpus_have_a_group_for_each_32(void **state)
{
	(void)state;
	make_card();
	tree_write(root, "/sys/devices/system/cpu/online", "0-127\n");
	assert_int_equal(run_script("--apply --cpus=0,31,32,100 eth9"), 0);
	file_holds(QUEUES "tx-0/xps_cpus", "1,00000001");
	file_holds(QUEUES "tx-1/xps_cpus", "10,00000000,00000000,80000000");
}

static void wrong_arguments_of_the_script_change_nothing(void **state)
{
	(void)state;
	make_card();
	static const char *const wrong[] = {"", "--apply", "--apply eth0", "--apply --cpus=9 eth9",
		"--apply --cpus=3-1 eth9", "--apply --cpus=x eth9", "--apply --what eth9",
		"--apply eth9 eth9", "--undo eth9", "--apply ../net/eth9"};
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong); i++)
		if (run_script(wrong[i]) != 2)
			fail_msg("'%s' was taken", wrong[i]);
	card_is_as_it_was();
}

#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TREE(the_sysctl_file_sets_what_the_host_check_wants),
		IN_TREE(unit_and_limits_allow_a_million_clients),
		IN_TREE(the_plan_for_a_card_changes_nothing),
		IN_TREE(what_was_applied_to_a_card_is_taken_back),
		IN_TREE(masks_beyond_32_cpus_have_a_group_for_each_32),
		IN_TREE(wrong_arguments_of_the_script_change_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
