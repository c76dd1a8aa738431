/* SPDX-License-Identifier: Apache-2.0
 *
 * `ringcast check`: what it prints and how it ends. The program's files are not in the library, so they are taken in
 * here.
 */
#include "tree.h"

#include <fcntl.h>

#include "cli/check.c"
#include "cli/checktls.c"
#include "cli/json.c"

static char root[TREE_PATH];
static char out[65536];

static int set_up(void **state)
{
	(void)state;
	tree_make(root);
	tree_write(root, "/proc/self/limits", "Max open files  1024  20000  files\n");
	tree_write(root, "/proc/sys/vm/swappiness", "60\n");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tree_remove(root);
	return 0;
}

/* The subcommand as it is, but on the fabricated host and with a kernel that has io_uring. */
static int run(const char *one, const char *two)
{
	char copy[4][2 * TREE_PATH];
	char *argv[5] = {NULL};
	int argc = 0;
	snprintf(copy[0], sizeof(copy[0]), "check");
	snprintf(copy[1], sizeof(copy[1]), "--root=%s", root);
	argv[argc++] = copy[0];
	argv[argc++] = copy[1];
	for (int i = 0; i < 2; i++) {
		const char *argument = i == 0 ? one : two;
		if (argument == NULL)
			continue;
		snprintf(copy[argc], sizeof(copy[argc]), "%s", argument);
		argv[argc] = copy[argc];
		argc++;
	}
	char path[2 * TREE_PATH];
	snprintf(path, sizeof(path), "%s/out", root);
	fflush(NULL);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), kept[2];
	assert_true(fd >= 0);
	for (int i = 0; i < 2; i++) {
		kept[i] = dup(i + 1);
		dup2(fd, i + 1);
	}
	close(fd);
	int status = rc_cli_check(argc, argv);
	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		dup2(kept[i], i + 1);
		close(kept[i]);
	}
	tree_read(root, "/out", out, sizeof(out));
	return status;
}

static void printed(const char *text)
{
	if (strstr(out, text) == NULL)
		fail_msg("'%s' is not in:\n%s", text, out);
}

/* Where the sandbox of the test itself forbids io_uring the host is never fit. */
static bool rings_work(void)
{
	static struct rc_host_finding finding[RC_HOST_CHECKS_MAX];
	struct rc_host_env env = rc_host_env_real(1, 1);
	uint32_t count = rc_host_run(&env, finding);
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(finding[i].check->id, "io_uring.setup") == 0)
			return finding[i].verdict == RC_HOST_OK;
	return false;
}

static void advice_alone_ends_with_status_0(void **state)
{
	(void)state;
	if (!rings_work()) {
		print_message("io_uring is not to be had here\n");
		skip();
	}
	assert_int_equal(run("--clients=10000", NULL), 0);
	printed("vm.swappiness");
	printed("cost: tables of idle clients");
	printed("mend: sysctl -w vm.swappiness=10");
	printed("0 bad");
}

static void something_required_that_is_missing_ends_with_status_1(void **state)
{
	(void)state;
	assert_int_equal(run("--clients=50000", NULL), 1);
	printed("  bad      limit.nofile");
	printed("LimitNOFILE=50832");
	printed("until what is bad is mended");
	assert_int_equal(run("--clients=50000", "--json"), 1);
	printed("{\"fit\":false,");
	printed("{\"id\":\"limit.nofile\",\"group\":\"limits\",\"verdict\":\"bad\",\"required\":true,");
}

static void every_check_is_printed_under_its_group(void **state)
{
	(void)state;
	run(NULL, NULL);
	for (uint32_t i = 0; i < rc_host_check_count; i++)
		printed(rc_host_checks[i].id);
	const char *last = out;
	for (uint32_t g = 0; g < RC_HOST_GROUP_COUNT; g++) {
		char title[32];
		snprintf(title, sizeof(title), "\n%s\n", rc_host_group_name((enum rc_host_group)g));
		const char *at = strstr(out, title);
		assert_non_null(at);
		assert_true(at > last);
		last = at;
	}
}

/* As --config=PATH, of a file with that text. */
static const char *configuration(const char *text)
{
	static char argument[2 * TREE_PATH + 16];

	tree_write(root, "/ringcast.conf", text);
	snprintf(argument, sizeof(argument), "--config=%s/ringcast.conf", root);
	return argument;
}

static void the_host_is_held_against_what_the_configuration_asks(void **state)
{
	(void)state;
	assert_int_equal(run(configuration("[server]\nmax_clients = 50000\n"), NULL), 1);
	printed("ringcast.conf: fine");
	printed("max_clients 50000");
	printed("LimitNOFILE=50832");
	/* What the command line says is stronger. */
	run(configuration("[server]\nmax_clients = 50000\nmemory = 1GiB\n"), "--clients=300");
	printed("max_clients 300 and memory 1024 MiB");
	printed("  ok       limit.nofile");
}

static void a_wrong_configuration_is_told_by_file_and_line(void **state)
{
	(void)state;
	const char *wrong_one =
		configuration("[server]\nmax_clients = 400\nmax_cients = 5\nheartbeat = 5\n");
	assert_int_equal(run(wrong_one, NULL), 1);
	printed("ringcast.conf:3: unknown key 'max_cients' in [server]; did you mean max_clients?");
	printed("ringcast.conf:4: ");
	printed("ringcast.conf: wrong");
	/* The host is looked at all the same, with what could be read. */
	printed("max_clients 400");
	printed("io_uring.setup");
	assert_int_equal(run(wrong_one, "--json"), 1);
	printed("{\"fit\":false,\"config\":{\"fine\":false,\"file\":\"");
	printed("ringcast.conf:3: unknown key 'max_cients' in [server]; did you mean max_clients?\",\"");
}

static void a_configuration_that_is_not_there_ends_with_status_1(void **state)
{
	(void)state;
	assert_int_equal(run("--config=/nowhere/ringcast.conf", NULL), 1);
	printed("/nowhere/ringcast.conf");
	assert_int_equal(run("--config=", NULL), 2);
}

static void sizes_are_taken_with_units(void **state)
{
	(void)state;
	uint64_t n;
	assert_true(parse_size("4096", &n) && n == 4096);
	assert_true(parse_size("512MiB", &n) && n == (uint64_t)512 << 20);
	assert_true(parse_size("2TiB", &n) && n == (uint64_t)2 << 40);
	assert_false(parse_size("", &n));
	assert_false(parse_size("MiB", &n));
	assert_false(parse_size("5MB", &n));
	assert_false(parse_size("-5", &n));
	assert_false(parse_size("99999999999TiB", &n));
}

static void wrong_command_lines_end_with_status_2(void **state)
{
	(void)state;
	static const char *const wrong_ones[] = {"--clients=0", "--clients=many", "--clients=1KiB",
		"--clients=999999999999", "--memory=lots", "--nothing", "stray", "--clients"};
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong_ones); i++)
		if (run(wrong_ones[i], NULL) != 2)
			fail_msg("'%s' was taken", wrong_ones[i]);
	assert_int_equal(run("--help", NULL), 0);
	printed("usage: ringcast check");
}

#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TREE(advice_alone_ends_with_status_0),
		IN_TREE(something_required_that_is_missing_ends_with_status_1),
		IN_TREE(every_check_is_printed_under_its_group),
		IN_TREE(the_host_is_held_against_what_the_configuration_asks),
		IN_TREE(a_wrong_configuration_is_told_by_file_and_line),
		IN_TREE(a_configuration_that_is_not_there_ends_with_status_1),
		IN_TREE(sizes_are_taken_with_units),
		IN_TREE(wrong_command_lines_end_with_status_2),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
