/* SPDX-License-Identifier: Apache-2.0
 *
 * Where `ringcast top` looks: gateways that this test stands in for, their ends and successors, files that are cut short;
 * and the command line.
 */
#include "../ops/tree.h"
#include "topfile.h"

#include "base/clock.h"
#include "cli/args.c"
#include "cli/topargs.c"
#include "cli/topbatch.c"
#include "cli/topsource.c"

static char root[TREE_PATH];
static char file[TREE_PATH + 16];
static struct rc_counters gateway;
static struct rc_top_source source;

static void start(struct rc_counters *c, const char *path)
{
	struct rc_error err = {""};
	if (rc_counters_create(c, path, 2, &err) != 0)
		fail_msg("%s", err.text);
}

/* As SIGKILL leaves it. */
static void kill_gateway(struct rc_counters *c)
{
	close(c->fd);
	c->path[0] = '\0';
	rc_counters_destroy(c);
}

static void look_at(const char *path)
{
	struct rc_counters_view v;
	struct rc_error err = {""};
	if (rc_counters_open(&v, path, &err) != 0)
		fail_msg("%s", err.text);
	assert_true(rc_top_source_init(&source, &v));
}

static int set_up(void **state)
{
	(void)state;
	tree_make(root);
	snprintf(file, sizeof(file), "%s/7.counters", root);
	setenv("RUNTIME_DIRECTORY", root, 1);
	start(&gateway, file);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rc_top_source_deinit(&source);
	rc_counters_destroy(&gateway);
	unsetenv("RUNTIME_DIRECTORY");
	tree_remove(root);
	return 0;
}

static uint64_t value(const char *name)
{
	int64_t v;
	assert_true(rc_top_value(&source.model, name, &v));
	return (uint64_t)v;
}

static void snapshots_are_what_the_gateway_counted(void **state)
{
	(void)state;
	struct rc_top_shard rows[2];
	look_at(file);
	rc_count(rc_counters_shard(&gateway, 0), RC_C_deliveries, 40);
	rc_count(rc_counters_shard(&gateway, 1), RC_C_deliveries, 2);
	rc_gauge_set(rc_counters_shard(&gateway, 1), RC_C_clients, 9);
	rc_count_hist(rc_counters_shard(&gateway, 1), RC_H_publish_to_flush_ns, 5000, 3);
	assert_true(rc_top_source_step(&source));
	assert_true(source.alive && !source.cut);
	assert_int_equal(value("deliveries"), 42);
	assert_true(rc_top_rate_of(&source.model, "deliveries") > 0);
	assert_int_equal(
		rc_top_quantiles(&source.model, RC_TOP_INTERVAL, source.model.publish_hist).count,
		3);
	rc_top_shards(&source.model, RC_TOP_BY_CLIENTS, rows);
	assert_int_equal(rows[0].shard, 1);
	assert_true(rows[0].clients == 9);
}

static void a_gateway_that_ended_leaves_its_last_picture(void **state)
{
	(void)state;
	look_at(file);
	rc_count(rc_counters_shard(&gateway, 0), RC_C_sends, 77);
	rc_counters_destroy(&gateway);
	for (int i = 0; i < 3; i++) {
		assert_true(rc_top_source_step(&source));
		assert_false(source.alive);
		assert_int_equal(value("sends"), 77);
	}
	assert_int_equal(source.model.taken, 2);
}

static void a_successor_at_the_same_path_begins_anew(void **state)
{
	(void)state;
	rc_count(rc_counters_shard(&gateway, 0), RC_C_sends, 1000);
	look_at(file);
	assert_true(rc_top_source_step(&source));
	kill_gateway(&gateway);
	assert_true(rc_top_source_step(&source));
	assert_false(source.alive);
	start(&gateway, file);
	rc_count(rc_counters_shard(&gateway, 0), RC_C_sends, 3);
	assert_true(rc_top_source_step(&source));
	assert_true(source.alive);
	assert_int_equal(value("sends"), 3);
	/* Nothing is subtracted from what another has counted. */
	assert_true(isnan(rc_top_rate_of(&source.model, "sends")));
	assert_true(rc_top_source_step(&source));
	assert_true(rc_top_rate_of(&source.model, "sends") == 0);
	assert_true(rc_top_source_step(&source));
	assert_true(source.alive);
}

static void a_successor_between_two_steps_is_found_as_well(void **state)
{
	(void)state;
	look_at(file);
	kill_gateway(&gateway);
	start(&gateway, file);
	rc_count(rc_counters_shard(&gateway, 0), RC_C_sends, 3);
	assert_true(rc_top_source_step(&source));
	assert_false(source.alive);
	assert_true(rc_top_source_step(&source));
	assert_true(source.alive);
	assert_int_equal(value("sends"), 3);
}

static void in_the_same_folder_who_ran_beside_it_is_no_successor(void **state)
{
	(void)state;
	struct rc_counters beside, after;
	char path[2 * TREE_PATH];
	snprintf(path, sizeof(path), "%s/8.counters", root);
	start(&beside, path);
	look_at(file);
	/* The clock of the wall has milliseconds. */
	uint64_t then = rc_clock_wall_ms();
	while (rc_clock_wall_ms() == then)
		;
	assert_true(rc_top_source_step(&source));
	rc_counters_destroy(&gateway);
	assert_true(rc_top_source_step(&source));
	assert_true(rc_top_source_step(&source));
	assert_false(source.alive);
	snprintf(path, sizeof(path), "%s/9.counters", root);
	start(&after, path);
	assert_true(rc_top_source_step(&source));
	assert_true(source.alive);
	assert_string_equal(source.model.gateway.path, path);
	rc_counters_destroy(&beside);
	rc_counters_destroy(&after);
}

static void a_file_cut_short_keeps_the_last_picture_until_a_successor_comes(void **state)
{
	(void)state;
	rc_count(rc_counters_shard(&gateway, 0), RC_C_sends, 5);
	look_at(file);
	assert_int_equal(truncate(file, 300), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(rc_top_source_step(&source));
		assert_true(source.cut && !source.alive);
		assert_int_equal(value("sends"), 5);
	}
	close(gateway.fd);
	assert_int_equal(unlink(file), 0);
	gateway = (struct rc_counters){.fd = -1};
	start(&gateway, file);
	assert_true(rc_top_source_step(&source));
	assert_true(source.alive && !source.cut);
}

static void a_file_cut_short_before_the_first_look_shows_who_it_was(void **state)
{
	(void)state;
	struct rc_counters_view v;
	struct rc_error err;
	assert_int_equal(rc_counters_open(&v, file, &err), 0);
	assert_int_equal(truncate(file, 0), 0);
	assert_true(rc_top_source_init(&source, &v));
	assert_true(source.cut);
	assert_int_equal(source.model.gateway.pid, getpid());
	close(gateway.fd);
	unlink(file);
	gateway = (struct rc_counters){.fd = -1};
}

static void blocks_are_lines_of_keys_and_values(void **state)
{
	(void)state;
	char text[16384];
	look_at(file);
	rc_count(rc_counters_shard(&gateway, 0), RC_C_close_client, 4);
	rc_count(rc_counters_shard(&gateway, 0), RC_C_gaps_sent, 2);
	assert_true(rc_top_source_step(&source));
	FILE *out = fmemopen(text, sizeof(text), "w");
	assert_non_null(out);
	rc_top_batch_print(out, &source);
	assert_int_equal(fclose(out), 0);
	static const char *const wanted[] = {"\ngateway.alive 1\n", "\nclients 0\n",
		"\nclose.close_client.total 4\n", "\ntrouble.gaps_sent.minute 2\n",
		"\nhistogram.publish_to_flush_ns.p99 -\n", "\nshard.1.deliveries 0.0\n"};
	for (size_t i = 0; i < RC_ARRAY_LEN(wanted); i++)
		if (strstr(text, wanted[i]) == NULL)
			fail_msg("'%s' is not in:\n%s", wanted[i], text);
	/* Every line has both; the empty one is the last. */
	for (char *line = text; *line != '\n'; line = strchr(line, '\n') + 1)
		if (strcspn(line, " ") + 1 >= strcspn(line, "\n"))
			fail_msg("%s", line);
	assert_string_equal(text + strlen(text) - 2, "\n\n");
}

/* ---- the command line ------------------------------------------------------------------------ */

static int parse(struct rc_top_args *a, const char *const *words)
{
	static char copy[8][64];
	char *argv[9] = {NULL};
	int argc = 0;
	for (; words[argc] != NULL; argc++) {
		assert_true(argc < 8);
		snprintf(copy[argc], sizeof(copy[argc]), "%s", words[argc]);
		argv[argc] = copy[argc];
	}
	fflush(NULL);
	int kept = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	assert_true(kept >= 0 && null >= 0);
	(void)dup2(null, STDERR_FILENO);
	int status = rc_top_args_parse(a, argc, argv);
	fflush(NULL);
	(void)dup2(kept, STDERR_FILENO);
	close(kept);
	close(null);
	return status;
}
#define PARSE(a, ...) parse(a, (const char *const[]){"top", __VA_ARGS__, NULL})

static void wrong_command_lines_are_refused(void **state)
{
	static const char *const wrong_ones[] = {"--pid=0", "--pid=x", "--pid=99999999999",
		"--interval=0.09", "--interval=61", "--interval=nan",
		"--interval=", "--interval=1s", "--interval=-1", "-n0", "-nx", "--count=-1",
		"--nothing", "stray", "-x"};
	struct rc_top_args a;
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong_ones); i++)
		if (PARSE(&a, wrong_ones[i]) != 2)
			fail_msg("'%s' was taken", wrong_ones[i]);
	assert_int_equal(PARSE(&a, "--pid=1", "--file=x"), 2);
	assert_int_equal(PARSE(&a, "--interval=0.1", "-b", "-n", "3", "--file=x"), 0);
	assert_true(a.batch && a.count == 3 && a.interval_s == 0.1);
	assert_int_equal(PARSE(&a, "-i", "60", "--pid=5"), 0);
	assert_true(!a.batch && a.count == 0 && a.pid == 5 && a.interval_s == 60);
}

#define WITH_GATEWAY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_GATEWAY(snapshots_are_what_the_gateway_counted),
		WITH_GATEWAY(a_gateway_that_ended_leaves_its_last_picture),
		WITH_GATEWAY(a_successor_at_the_same_path_begins_anew),
		WITH_GATEWAY(a_successor_between_two_steps_is_found_as_well),
		WITH_GATEWAY(in_the_same_folder_who_ran_beside_it_is_no_successor),
		WITH_GATEWAY(a_file_cut_short_keeps_the_last_picture_until_a_successor_comes),
		WITH_GATEWAY(a_file_cut_short_before_the_first_look_shows_who_it_was),
		WITH_GATEWAY(blocks_are_lines_of_keys_and_values),
		cmocka_unit_test(wrong_command_lines_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
