/* SPDX-License-Identifier: Apache-2.0
 *
 * `ringcast stat` against gateways that this test stands in for. The program's files are not in the library, so
 * they are taken in here.
 */
#include "tree.h"

#include <fcntl.h>

#include "cli/args.c"
#include "cli/figures.c"
#include "cli/findgateway.c"
#include "cli/json.c"
#include "cli/stat.c"
#include "cli/statlook.c"

#define OUT_MAX 65536

static char root[TREE_PATH];
static char file[TREE_PATH + 16];
static char out[OUT_MAX];
static char err_out[OUT_MAX];
static struct rc_counters gateway;

static void start(struct rc_counters *c, const char *path)
{
	struct rc_error err = {""};
	if (rc_counters_create(c, path, 2, &err) != 0)
		fail_msg("%s", err.text);
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
	rc_counters_destroy(&gateway);
	unsetenv("RUNTIME_DIRECTORY");
	tree_remove(root);
	return 0;
}

/* Runs the subcommand with up to six arguments; what it printed is in out and err_out. */
static int run(const char *const *arguments)
{
	char copy[8][TREE_PATH + 32];
	char *argv[9] = {NULL};
	int argc = 0;
	snprintf(copy[0], sizeof(copy[0]), "stat");
	argv[argc++] = copy[0];
	for (; *arguments != NULL; arguments++) {
		assert_true(argc < 8);
		snprintf(copy[argc], sizeof(copy[argc]), "%s", *arguments);
		argv[argc] = copy[argc];
		argc++;
	}
	char path[2][2 * TREE_PATH];
	int kept[2];
	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/out%d", root, i);
		int fd = open(path[i], O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_true(fd >= 0);
		kept[i] = dup(i + 1);
		assert_int_equal(dup2(fd, i + 1), i + 1);
		close(fd);
	}
	int status = rc_cli_stat(argc, argv);
	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		dup2(kept[i], i + 1);
		close(kept[i]);
	}
	tree_read(root, "/out0", out, sizeof(out));
	tree_read(root, "/out1", err_out, sizeof(err_out));
	return status;
}
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})
/* As --file=..., since another gateway may run on this host. */
static const char *this_file(void)
{
	static char option[TREE_PATH + 32];
	snprintf(option, sizeof(option), "--file=%s", file);
	return option;
}

static void printed(const char *text)
{
	if (strstr(out, text) == NULL)
		fail_msg("'%s' is not in:\n%s", text, out);
}

static void not_printed(const char *text)
{
	if (strstr(out, text) != NULL)
		fail_msg("'%s' is in:\n%s", text, out);
}

static void stat_sums_the_shards_and_hides_zeros(void **state)
{
	(void)state;
	rc_count(rc_counters_shard(&gateway, 0), RC_C_deliveries, 1234000);
	rc_count(rc_counters_shard(&gateway, 1), RC_C_deliveries, 567);
	rc_count_hist(rc_counters_shard(&gateway, 1), RC_H_turn_ns, 2500000, 10);
	assert_int_equal(RUN(this_file()), 0);
	printed("2 shards");
	printed("  deliveries                              1,234,567  Events handed");
	printed("turn_ns");
	printed(" ms");
	not_printed("accepts");
	not_printed("publish_to_flush_ns");
	not_printed("heartbeat");
}

static void stat_of_one_shard_shows_that_alone(void **state)
{
	(void)state;
	rc_count(rc_counters_shard(&gateway, 0), RC_C_deliveries, 5);
	rc_count(rc_counters_shard(&gateway, 1), RC_C_sends, 6);
	assert_int_equal(RUN(this_file(), "--shard=1"), 0);
	printed("shard 1 of 2");
	printed("  sends ");
	not_printed("  deliveries ");
	assert_int_equal(RUN(this_file(), "--shard=2"), 2);
}

static void stat_all_shows_zeros_too(void **state)
{
	(void)state;
	assert_int_equal(RUN(this_file()), 0);
	printed("nothing was counted yet");
	assert_int_equal(RUN(this_file(), "--all"), 0);
	for (uint32_t i = 0; i < RC_COUNTER_COUNT; i++)
		printed(rc_counter_meta((enum rc_counter)i)->name);
	printed("publish_to_flush_ns");
}

static void stat_shows_a_gauge_that_went_below_zero_as_such(void **state)
{
	(void)state;
	rc_gauge_add(rc_counters_shard(&gateway, 0), RC_C_clients, -3);
	assert_int_equal(RUN(this_file()), 0);
	printed(" -3  Clients");
	assert_int_equal(RUN(this_file(), "--json"), 0);
	printed("\"clients\":-3,");
}

static void stat_as_json_is_one_line_with_every_key(void **state)
{
	(void)state;
	rc_count(rc_counters_shard(&gateway, 0), RC_C_sends, 9);
	rc_count_hist(rc_counters_shard(&gateway, 0), RC_H_turn_ns, 7, 2);
	assert_int_equal(RUN(this_file(), "--json"), 0);
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
	printed("{\"version\":\"");
	printed("\"alive\":true");
	printed("\"shard\":null");
	printed("\"sends\":9");
	printed("\"accepts\":0");
	printed("\"turn_ns\":{\"count\":2,\"p50\":7,");
	printed("\"publish_to_flush_ns\":{\"count\":0,");
	not_printed("rates");
	/* Its braces meet. */
	int depth = 0;
	for (const char *p = out; *p != '\0'; p++)
		depth += *p == '{' ? 1 : *p == '}' ? -1 : 0;
	assert_int_equal(depth, 0);
}

static void json_escapes_what_it_must(void **state)
{
	(void)state;
	char path[2 * TREE_PATH];
	snprintf(path, sizeof(path), "%s/json", root);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	rc_json_text(f, "a\"b\\c\n");
	fclose(f);
	tree_read(root, "/json", out, sizeof(out));
	assert_string_equal(out, "\"a\\\"b\\\\c\\u000a\"");
}

static void watch_stops_after_the_count_and_shows_rates(void **state)
{
	(void)state;
	rc_count(rc_counters_shard(&gateway, 0), RC_C_sends, 1);
	assert_int_equal(RUN(this_file(), "--watch=0.01", "--count=2"), 0);
	printed("0/s");
	assert_int_equal(RUN(this_file(), "--watch=0.01", "--count=3", "--json"), 0);
	uint32_t lines = 0;
	for (const char *p = out; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	assert_int_equal(lines, 3);
	printed("\"rates\":{");
	printed("\"sends\":0.0");
}

static void rates_and_quantiles_are_of_what_lies_between_two_looks(void **state)
{
	(void)state;
	struct rc_counters_view v;
	struct rc_error err;
	struct rc_look look[2] = {0};
	uint64_t since[RC_HIST_BUCKETS];
	struct rc_counters_shard *shard = rc_counters_shard(&gateway, 0);
	assert_int_equal(rc_counters_open(&v, file, &err), 0);
	assert_true(rc_look_init(&look[0], v.meta_count) && rc_look_init(&look[1], v.meta_count));
	rc_count(shard, RC_C_sends, 100);
	rc_count_hist(shard, RC_H_turn_ns, 1000000, 50);
	rc_look_take(&look[0], &v, RC_NONE);
	rc_count(shard, RC_C_sends, 30);
	rc_count_hist(shard, RC_H_turn_ns, 16, 3);
	rc_look_take(&look[1], &v, RC_NONE);
	look[0].mono_ns = 1000000000;
	look[1].mono_ns = 3000000000;
	assert_true(rate_since(&look[1], &look[0], rc_counters_find(&v, "sends")) == 15.0);
	uint32_t turn = rc_counters_find(&v, "turn_ns");
	assert_int_equal(hist_since(&look[1], &look[0], turn, since), 3);
	assert_int_equal(rc_hist_quantile(since, 1.0), 16);
	assert_int_equal(hist_since(&look[1], NULL, turn, since), 53);
	rc_look_deinit(&look[0]);
	rc_look_deinit(&look[1]);
	rc_counters_close(&v);
}

static void watch_ends_with_the_gateway_after_a_last_look(void **state)
{
	(void)state;
	char copy[TREE_PATH + 16];
	rc_count(rc_counters_shard(&gateway, 0), RC_C_sends, 77);
	snprintf(copy, sizeof(copy), "%s/copy", root);
	assert_int_equal(link(file, copy), 0);
	rc_counters_destroy(&gateway);
	snprintf(file, sizeof(file), "%s", copy);
	assert_int_equal(RUN(this_file(), "--watch=0.01"), 3);
	printed("  sends                                          77");
	printed("has ended");
	assert_non_null(strstr(err_out, "has ended"));
}

static void stat_finds_a_gateway_by_its_process(void **state)
{
	(void)state;
	char pid[32];
	rc_count(rc_counters_shard(&gateway, 0), RC_C_sends, 4321);
	snprintf(pid, sizeof(pid), "--pid=%ld", (long)getpid());
	assert_int_equal(RUN(pid), 0);
	printed("4,321");
}

static void of_several_gateways_one_must_be_chosen(void **state)
{
	(void)state;
	struct rc_counters other;
	char path[2 * TREE_PATH];
	snprintf(path, sizeof(path), "%s/8.counters", root);
	start(&other, path);
	assert_int_equal(RUN("--all"), 2);
	assert_non_null(strstr(err_out, path));
	assert_non_null(strstr(err_out, file));
	rc_counters_destroy(&other);
}

static void without_a_gateway_stat_says_so_with_status_3(void **state)
{
	(void)state;
	assert_int_equal(RUN("--pid=2147483647"), 3);
	assert_non_null(strstr(err_out, "no gateway with process id 2147483647"));
	assert_int_equal(RUN("--file=/nonexistent/x.counters"), 3);
	assert_non_null(strstr(err_out, "/nonexistent/x.counters"));
	tree_write(root, "/noise", "x");
	char option[2 * TREE_PATH];
	snprintf(option, sizeof(option), "--file=%s/noise", root);
	assert_int_equal(RUN(option), 1);
}

static void a_gateway_whose_heart_stopped_is_shown_as_such(void **state)
{
	(void)state;
	rc_counters_heartbeat(&gateway, rc_clock_wall_ms() - 60000);
	assert_int_equal(RUN(this_file()), 0);
	printed("its last heartbeat was 60 s ago");
}

static void a_file_cut_short_under_stat_is_an_error_and_no_crash(void **state)
{
	(void)state;
	struct session s = {.o = {.shard = RC_NONE}};
	struct rc_error err;
	assert_int_equal(rc_counters_open(&s.v, file, &err), 0);
	assert_true(rc_look_init(&s.look[0], s.v.meta_count));
	assert_int_equal(truncate(file, 4096), 0);
	assert_false(rc_counters_guarded(look_on, &s));
	rc_look_deinit(&s.look[0]);
	rc_counters_close(&s.v);
}

static void wrong_command_lines_end_with_status_2(void **state)
{
	(void)state;
	static const char *const wrong_ones[] = {"--pid=0", "--pid=x", "--pid=99999999999",
		"--shard=-1", "--shard=", "--watch=0", "--watch=nan", "--watch=1x", "--count=0",
		"--nothing", "stray", "--pid"};
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong_ones); i++)
		if (RUN(wrong_ones[i]) != 2 || strlen(err_out) == 0)
			fail_msg("'%s' was taken", wrong_ones[i]);
	assert_int_equal(RUN("--pid=1", "--file=x"), 2);
	assert_int_equal(RUN("--help"), 0);
	printed("usage: ringcast stat");
}

#define WITH_GATEWAY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_GATEWAY(stat_sums_the_shards_and_hides_zeros),
		WITH_GATEWAY(stat_of_one_shard_shows_that_alone),
		WITH_GATEWAY(stat_all_shows_zeros_too),
		WITH_GATEWAY(stat_shows_a_gauge_that_went_below_zero_as_such),
		WITH_GATEWAY(stat_as_json_is_one_line_with_every_key),
		WITH_GATEWAY(json_escapes_what_it_must),
		WITH_GATEWAY(watch_stops_after_the_count_and_shows_rates),
		WITH_GATEWAY(rates_and_quantiles_are_of_what_lies_between_two_looks),
		WITH_GATEWAY(watch_ends_with_the_gateway_after_a_last_look),
		WITH_GATEWAY(stat_finds_a_gateway_by_its_process),
		WITH_GATEWAY(of_several_gateways_one_must_be_chosen),
		WITH_GATEWAY(without_a_gateway_stat_says_so_with_status_3),
		WITH_GATEWAY(a_gateway_whose_heart_stopped_is_shown_as_such),
		WITH_GATEWAY(a_file_cut_short_under_stat_is_an_error_and_no_crash),
		WITH_GATEWAY(wrong_command_lines_end_with_status_2),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
