/* SPDX-License-Identifier: Apache-2.0
 *
 * Inheritance, the token, what options must be to each other, and the printouts.
 */
#include "finishing.h"

#include <sys/stat.h>
#include <unistd.h>

static struct rc_config again;

static void defaults_fit_together(void **state)
{
	(void)state;
	expect_fine();
	assert_int_equal(report.warnings, 0);
}

static void namespaces_inherit_what_they_do_not_set(void **state)
{
	uint32_t first = rc_option_first_namespace();

	(void)state;
	set("namespace.chat.raw", "yes");
	set("namespace.lag_time", "7s");
	set("namespace.slow_policy", "latest");
	set("namespace.default.slow_key", "id");
	set("namespace.quote.lag_time", "1s");
	expect_fine();
	assert_int_equal(config.namespace_count, 2);
	assert_true(config.ns[1].raw);
	assert_false(config.ns[2].raw);
	assert_int_equal(config.ns[1].lag_time_ms, 7000);
	assert_int_equal(config.ns[2].lag_time_ms, 1000);
	assert_int_equal(config.ns[2].slow_policy, RC_CONFIG_SLOW_LATEST);
	assert_string_equal(config.ns[1].slow_key, "id");
	assert_int_equal(rc_config_origin(&config, first, 1)->source, RC_CONFIG_INHERITED);
}

static void namespace_of_a_channel_is_what_stands_before_the_first_colon(void **state)
{
	static const struct {
		const char *channel;
		uint32_t ns;
	} cases[] = {
		{"chat:room", 1},
		{"chat:", 1},
		{"chat:a:b", 1},
		{"chats:room", 2},
		{"chat", 0},
		{"cha:room", 0},
		{"chatx:room", 0},
		{":chat:", 0},
		{"x:chat:", 0},
		{"", 0},
		{":", 0},
		{"Chat:room", 0},
		{"default:x", 0},
	};
	char lengthy[300];

	(void)state;
	set("namespace.chat.raw", "yes");
	set("namespace.chats.raw", "yes");
	expect_fine();
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++)
		assert_int_equal(
			rc_config_namespace(&config, rc_str_of(cases[i].channel)), cases[i].ns);
	memset(lengthy, 'c', sizeof(lengthy));
	lengthy[255] = ':';
	assert_int_equal(rc_config_namespace(&config, (struct rc_str){lengthy, 300}), 0);
	assert_int_equal(rc_config_namespace(&config, RC_STR("chat\0:x")), 0);
	assert_int_equal(rc_config_namespace(&config, (struct rc_str){NULL, 0}), 0);
}

static void sizes_must_fit_into_each_other(void **state)
{
	(void)state;
	set("max_message", "128KiB");
	set("ingest.frame_max", "128KiB");
	expect_error("at least 129KiB");
	set("max_message", "128KiB");
	set("ingest.frame_max", "129KiB");
	expect_fine();
	reset(NULL);

	set("namespace.chat.lag_bytes", "127KiB");
	expect_error(
		"[namespace chat] lag_bytes = 127KiB is less than twice max_message = 64KiB: set "
		"lag_bytes to at least 128KiB");
	set("namespace.chat.lag_bytes", "128KiB");
	expect_fine();
	reset(NULL);

	set("echo.memory", "15MiB");
	expect_error("16MiB");
}

static void history_leaves_memory_to_what_goes_out(void **state)
{
	(void)state;
	set("memory", "256MiB");
	set("history_memory", "160MiB");
	expect_fine();
	reset(NULL);
	set("memory", "256MiB");
	set("history_memory", "161MiB");
	expect_error("history_memory = 161MiB is more than five eighths of memory = 256MiB");

	set("namespace.price.on_subscribe", "latest");
	expect_error("[namespace price] on_subscribe = latest needs a history");
	set("namespace.price.on_subscribe", "latest");
	set("namespace.price.history_size", "1");
	set("namespace.price.slow_key", "symbol");
	expect_fine();
	assert_int_equal(report.warnings, 0);
}

static void join_leave_goes_with_what_leaves_it_a_place(void **state)
{
	(void)state;
	set("namespace.room.join_leave", "yes");
	expect_error("[namespace room] join_leave needs presence");
	set("namespace.room.presence", "yes");
	set("namespace.room.join_leave", "yes");
	expect_fine();
	assert_int_equal(config.ns[1].presence_linger_ms, 5000);
	assert_int_equal(config.ns[1].presence_max, 1000);
	reset(NULL);
	set("namespace.presence", "yes");
	set("namespace.join_leave", "yes");
	set("namespace.raw", "yes");
	expect_error("join_leave = yes and raw = yes exclude each other");
	set("namespace.room.presence", "yes");
	set("namespace.room.join_leave", "yes");
	set("namespace.room.slow_policy", "latest");
	expect_error("does not go with slow_policy or on_subscribe = latest");
	set("namespace.room.presence", "yes");
	set("namespace.room.join_leave", "yes");
	set("namespace.room.on_subscribe", "latest");
	set("namespace.room.history_size", "1");
	expect_error("does not go with slow_policy or on_subscribe = latest");
	set("max_message", "1KiB");
	set("namespace.room.presence", "yes");
	set("namespace.room.join_leave", "yes");
	set("namespace.room.lag_bytes", "8KiB");
	expect_error("set lag_bytes to at least 32KiB");
}

static void memory_must_suffice_for_the_shards(void **state)
{
	(void)state;
	set("memory", "16MiB");
	set("shards", "4");
	expect_fine();
	reset(NULL);
	set("memory", "16MiB");
	set("shards", "5");
	expect_error("set memory to at least 20MiB");
	set("memory", "16MiB");
	set("cpus", "0-4");
	expect_error("5 shards");
	set("memory", "16MiB");
	expect_fine();
	assert_int_equal(rc_config_check_memory(&config, 4, &report), 0);
	assert_int_equal(rc_config_check_memory(&config, 5, &report), -1);
	reset(NULL);

	set("shards", "2");
	set("namespace.lag_bytes", "129MiB");
	expect_error("at least 258MiB");
	set("shards", "64");
	set("memory", "1TiB");
	set("namespace.lag_bytes", "256MiB");
	set("ingest.frame_max", "16MiB");
	expect_fine();
}

static void cpus_must_suffice_for_the_shards(void **state)
{
	(void)state;
	set("shards", "3");
	set("cpus", "0-1");
	expect_error("set shards to 2");
	set("shards", "1");
	set("cpus", "0-1");
	expect_warning("last 1 are not used");
}

static void useless_settings_are_warned_of(void **state)
{
	(void)state;
	set("namespace.chat.slow_key", "id");
	expect_warning("[namespace chat] slow_key");
	set("drain_timeout", "1s");
	expect_warning("reconnect_jitter");
}

static void nothing_is_compared_after_a_refused_value(void **state)
{
	(void)state;
	assert_int_equal(
		rc_config_set(&config, "ingest.frame_max", "2MB", RC_CONFIG_FLAG, &report), -1);
	set("max_message", "1MiB");
	assert_int_equal(rc_config_finish(&config, &report), -1);
	assert_int_equal(report.errors, 1);
}

static char token_path[] = "/tmp/ringcast-token-XXXXXX";

static void write_token(const char *text, size_t len, mode_t mode)
{
	FILE *out = fopen(token_path, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, len, out), len);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(token_path, mode), 0);
	reset(NULL);
	set("ingest.token_file", token_path);
}

static int make_token(void **state)
{
	int fd = mkstemp(token_path);

	close(fd);
	return fd < 0 ? -1 : reset(state);
}

static int remove_token(void **state)
{
	(void)state;
	unlink(token_path);
	strcpy(token_path + strlen(token_path) - 6, "XXXXXX");
	return 0;
}

static void token_comes_from_the_first_line_of_its_file(void **state)
{
	char lengthy[400];

	(void)state;
	write_token("0123456789abcdef\r\nmore\n", 23, 0600);
	set("ingest.listen", "*:7400");
	expect_fine();
	assert_string_equal(config.ingest_token, "0123456789abcdef");
	assert_int_equal(report.warnings, 1); /* it travels in clear, but it is one */

	write_token("0123456789abcdef", 16, 0644);
	expect_warning("chmod 600");

	memset(lengthy, 'g', sizeof(lengthy));
	write_token(lengthy, RC_CONFIG_TEXT_SIZE - 1, 0600);
	expect_fine();
	assert_int_equal(strlen(config.ingest_token), RC_CONFIG_TEXT_SIZE - 1);
	for (size_t len = RC_CONFIG_TEXT_SIZE; len < 400; len += 60) {
		write_token(lengthy, len, 0600);
		expect_error("159 are allowed");
	}
	write_token("", 0, 0600);
	expect_error("no token");
	write_token("\n0123456789abcdef", 17, 0600);
	expect_error("no token");
	write_token("0123\0", 6, 0600);
	expect_error("no token");
	write_token("01\t23", 5, 0600);
	expect_error("control");
	set("ingest.token_file", "/nonexistent/token");
	expect_error("/nonexistent/token: No such file");
	set("ingest.token_file", "/");
	expect_error("directory");
}

static void the_admins_token_has_a_file_of_its_own(void **state)
{
	(void)state;
	write_token("0123456789abcdef", 16, 0600);
	set("ingest.token_file", "");
	set("admin.token_file", token_path);
	expect_fine();
	assert_string_equal(config.admin_token, "0123456789abcdef");
	assert_string_equal(config.ingest_token, "");
	set("admin.token", "fedcba9876543210");
	expect_error("[admin] has both");
}

static void token_and_token_file_contradict_each_other_from_one_source(void **state)
{
	(void)state;
	write_token("0123456789abcdef", 16, 0600);
	set("ingest.token", "fedcba9876543210");
	expect_error("both");

	/* The stronger one wins: first the token, then the file. */
	assert_int_equal(
		rc_config_set(&config, "ingest.token_file", token_path, RC_CONFIG_FILE, &report),
		0);
	set("ingest.token", "fedcba9876543210");
	expect_fine();
	assert_string_equal(config.ingest_token, "fedcba9876543210");
	assert_string_equal(config.ingest_token_file, "");

	reset(NULL);
	set("ingest.token_file", token_path);
	assert_int_equal(
		rc_config_set(&config, "ingest.token", "fedcba9876543210", RC_CONFIG_FILE, &report),
		0);
	expect_fine();
	assert_string_equal(config.ingest_token, "0123456789abcdef");
}

static char *printed(const struct rc_config *c)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	rc_config_print(c, out);
	fclose(out);
	return text;
}

static void compare_values(void)
{
	char a[RC_VALUE_TEXT_SIZE], b[RC_VALUE_TEXT_SIZE];

	assert_int_equal(config.namespace_count, again.namespace_count);
	for (uint32_t row = 0; row < rc_option_count; row++) {
		const struct rc_option *o = &rc_options[row];
		uint32_t last = rc_option_is_namespace(o) ? config.namespace_count : 0;

		for (uint32_t ns = 0; ns <= last; ns++) {
			assert_string_equal(config.ns[ns].name, again.ns[ns].name);
			assert_memory_equal(rc_config_field(&config, row, ns),
				rc_config_field(&again, row, ns), o->size);
			rc_value_format(o, rc_config_field(&config, row, ns), a);
			rc_value_format(o, rc_config_field(&again, row, ns), b);
			assert_string_equal(a, b);
		}
	}
}

static void read_back(const char *text)
{
	memset(&report, 0, sizeof(report));
	rc_config_init(&again);
	if (rc_config_load_text(&again, "printed", text, strlen(text), &report) < 0 ||
		rc_config_finish(&again, &report) < 0)
		fail_msg("%s", report.error[0]);
}

static void printout_is_read_back_to_the_same_values(void **state)
{
	char path[RC_CONFIG_TEXT_SIZE], *text;

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	set("listen", "[2001:db8::1]:443");
	set("auth.public_key", "/etc/ringcast/keys.pem");
	set("cpus", "8,0-3");
	set("busy_poll", "1500us");
	set("memory", "1073741825");
	set("handshake_timeout", "1001ms");
	set("counters", path);
	set("log_level", "debug");
	set("echo", "on");
	set("namespace.raw", "yes");
	set("namespace.chat.raw", "no");
	set("namespace.A-z.slow_policy", "latest");
	set("namespace.A-z.slow_key", "a;b = [c] #d");
	set("ingest.listen", "none");
	set("tls.certificate", "/etc/ringcast/host.pem");
	set("tls.listen", "none");
	set("tls.ingest_listen", "[::1]:7443");
	set("tls.client_ca", "/etc/ringcast/publishers.pem");
	set("tls.publishers", "required");
	set("tls.min_version", "1.3");
	set("tls.kernel", "no");
	expect_fine();
	assert_int_equal(report.warnings, 0);
	text = printed(&config);
	read_back(text);
	free(text);
	compare_values();
}

static void printout_of_every_bound_is_read_back(void **state)
{
	char value[RC_VALUE_TEXT_SIZE], name[100], *text;

	(void)state;
	for (int high = 0; high < 2; high++) {
		reset(NULL);
		for (uint32_t row = 0; row < rc_option_count; row++) {
			const struct rc_option *o = &rc_options[row];

			if (o->type > RC_OPTION_DURATION)
				continue;
			rc_value_format_number(o, high ? o->max : o->min, value);
			snprintf(name, sizeof(name), "%s.%s", o->section, o->key);
			set(name, value);
		}
		text = printed(&config);
		memset(&report, 0, sizeof(report));
		rc_config_init(&again);
		assert_int_equal(rc_config_load_text(&again, "p", text, strlen(text), &report), 0);
		free(text);
		compare_values();
	}
}

static void printout_says_where_values_come_from_and_stars_secrets(void **state)
{
	static const char file[] = "[server]\nshards = 2\n[namespace chat]\nraw = yes\n";
	static char variable[] = "RINGCAST_BACKLOG=100";
	char *env[] = {variable, NULL}, *text;

	(void)state;
	assert_int_equal(rc_config_load_text(&config, "x.ini", file, strlen(file), &report), 0);
	assert_int_equal(rc_config_load_env(&config, env, &report), 0);
	set("ingest.token", "geheimgeheimgeheim");
	expect_fine();
	text = printed(&config);
	assert_null(strstr(text, "geheim"));
	assert_non_null(strstr(text, "\n; token = ***  "));
	assert_non_null(strstr(text, "shards = 2                                  ; line 2\n"));
	assert_non_null(
		strstr(text, "backlog = 100                               ; environment\n"));
	assert_non_null(strstr(text, "max_clients = 10000                         ; default\n"));
	assert_non_null(
		strstr(text, "lag_time = 10s                              ; from [namespace]\n"));
	assert_non_null(strstr(text, "x.ini"));
	read_back(text);
	assert_string_equal(again.ingest_token, "");
	free(text);
}

static char *example(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	rc_config_example(out);
	fclose(out);
	return text;
}

static void example_yields_the_defaults_with_and_without_its_semicolons(void **state)
{
	char *text = example();
	uint32_t uncommented = 0;

	(void)state;
	expect_fine();
	read_back(text);
	compare_values();

	for (char *at = text; (at = strstr(at, "\n;")); at++)
		if (at[2] >= 'a' && at[2] <= 'z') {
			at[1] = ' ';
			uncommented++;
		}
	assert_int_equal(uncommented, rc_option_count);
	read_back(text);
	assert_int_equal(report.warnings, 0);
	compare_values();
	for (uint32_t row = 0; row < rc_option_count; row++)
		assert_int_equal(rc_config_origin(&again, row, 0)->source, RC_CONFIG_FILE);
	free(text);
}

static void example_lines_are_short_enough_to_read(void **state)
{
	char *text = example();

	(void)state;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (strlen(line) > 90)
			fail_msg("%s", line);
	free(text);
}

static void help_names_every_option(void **state)
{
	char *text = NULL, key[64];
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	rc_config_help(out);
	fclose(out);
	for (uint32_t row = 0; row < rc_option_count; row++) {
		snprintf(key, sizeof(key), "\n  %s ", rc_options[row].key);
		assert_non_null(strstr(text, key));
		assert_non_null(strstr(text, rc_options[row].help));
		if (rc_options[row].flag)
			assert_non_null(strstr(text, rc_options[row].flag));
	}
	free(text);
}

static void report_prints_its_lines_and_how_many_more(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	for (int i = 0; i < 23; i++)
		rc_config_report_error(&report, "number %d\n", i);
	rc_config_report_warning(&report, "\x1b[2Jbeware");
	rc_config_report_print(&report, out);
	fclose(out);
	assert_non_null(strstr(text, "error: number 0?\n"));
	assert_non_null(
		strstr(text, "error: number 19?\nerror: and 3 more\nwarning: ?[2Jbeware\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(defaults_fit_together, reset),
		cmocka_unit_test_setup(namespaces_inherit_what_they_do_not_set, reset),
		cmocka_unit_test_setup(
			namespace_of_a_channel_is_what_stands_before_the_first_colon, reset),
		cmocka_unit_test_setup(sizes_must_fit_into_each_other, reset),
		cmocka_unit_test_setup(history_leaves_memory_to_what_goes_out, reset),
		cmocka_unit_test_setup(join_leave_goes_with_what_leaves_it_a_place, reset),
		cmocka_unit_test_setup(memory_must_suffice_for_the_shards, reset),
		cmocka_unit_test_setup(cpus_must_suffice_for_the_shards, reset),
		cmocka_unit_test_setup(useless_settings_are_warned_of, reset),
		cmocka_unit_test_setup(nothing_is_compared_after_a_refused_value, reset),
		cmocka_unit_test_setup_teardown(
			token_comes_from_the_first_line_of_its_file, make_token, remove_token),
		cmocka_unit_test_setup_teardown(
			the_admins_token_has_a_file_of_its_own, make_token, remove_token),
		cmocka_unit_test_setup_teardown(
			token_and_token_file_contradict_each_other_from_one_source, make_token,
			remove_token),
		cmocka_unit_test_setup(printout_is_read_back_to_the_same_values, reset),
		cmocka_unit_test_setup(printout_of_every_bound_is_read_back, reset),
		cmocka_unit_test_setup(
			printout_says_where_values_come_from_and_stars_secrets, reset),
		cmocka_unit_test_setup(
			example_yields_the_defaults_with_and_without_its_semicolons, reset),
		cmocka_unit_test_setup(example_lines_are_short_enough_to_read, reset),
		cmocka_unit_test_setup(help_names_every_option, reset),
		cmocka_unit_test_setup(report_prints_its_lines_and_how_many_more, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
