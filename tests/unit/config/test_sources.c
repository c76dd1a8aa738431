/* SPDX-License-Identifier: Apache-2.0
 *
 * Environment and flags, and which of the sources is heard.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "config/apply.h"

static struct rc_config config;
static struct rc_config_report report;
static struct rc_config_args args;

/* The callees do not write; C cannot say so of an array of pointers. */
#define ENV(...) ((char *const *)(const char *const[]){__VA_ARGS__, NULL})

static int reset(void **state)
{
	(void)state;
	memset(&report, 0, sizeof(report));
	rc_config_init(&config);
	return 0;
}

static int load_env(char *const *env)
{
	return rc_config_load_env(&config, env, &report);
}

static int load_flags(char *const *argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return rc_config_load_flags(&config, argc, argv, &args, &report);
}

static void environment_sets_options(void **state)
{
	(void)state;
	assert_int_equal(
		load_env(ENV("PATH=/bin", "RINGCAST_MAX_CLIENTS=500", "RINGCAST_INGEST_TOKEN=a=b",
			"RINGCAST_ECHO=yes", "RINGCAST_ECHO_MAX_MESSAGE=1MiB",
			"RINGCAST_NAMESPACE_LAG_BYTES=2MiB",
			"RINGCAST_NAMESPACE_CHAT_ROOM_LAG_TIME=5s")),
		0);
	assert_int_equal(config.max_clients, 500);
	assert_string_equal(config.ingest_token, "a=b");
	assert_true(config.echo);
	assert_int_equal(config.echo_max_message, 1 << 20);
	assert_int_equal(config.ns[0].lag_bytes, 2 << 20);
	assert_int_equal(config.namespace_count, 1);
	assert_string_equal(config.ns[1].name, "chat_room");
	assert_int_equal(config.ns[1].lag_time_ms, 5000);
	assert_int_equal(report.warnings, 0);
}

static void a_variable_means_the_longest_key_that_it_ends_with(void **state)
{
	(void)state;
	assert_int_equal(load_env(ENV("RINGCAST_NAMESPACE_ALLOW_PRESENCE=user",
				 "RINGCAST_NAMESPACE_CHAT_PRESENCE=yes")),
		0);
	assert_int_equal(config.namespace_count, 1);
	assert_string_equal(config.ns[1].name, "chat");
	assert_true(config.ns[1].presence);
	assert_false(config.ns[0].presence);
	assert_int_equal(config.ns[0].allow_presence, RC_CONFIG_ALLOW_USER);
}

static void every_option_has_a_variable_of_its_own(void **state)
{
	char variable[200];

	(void)state;
	for (uint32_t row = 0; row < rc_option_count; row++) {
		const struct rc_option *o = &rc_options[row];
		bool server = strcmp(o->section, "server") == 0;

		snprintf(variable, sizeof(variable), "RINGCAST_%s%s%s=%s", server ? "" : o->section,
			server ? "" : "_", o->key, o->standard);
		for (char *at = variable; *at != '='; at++)
			if (*at >= 'a' && *at <= 'z')
				*at = (char)(*at - 32);
		assert_int_equal(load_env(ENV(variable)), 0);
		assert_int_equal(report.warnings, 0);
		for (uint32_t other = 0; other < rc_option_count; other++) {
			bool set = rc_config_origin(&config, other, 0)->source == RC_CONFIG_ENV;

			assert_int_equal(set, other <= row && rc_options[other].standard[0]);
		}
	}
}

static void environment_finds_namespaces_of_the_file_whatever_their_letters(void **state)
{
	(void)state;
	assert_int_equal(
		rc_config_set(&config, "namespace.My-Chat.v2.raw", "yes", RC_CONFIG_FILE, &report),
		0);
	assert_int_equal(load_env(ENV("RINGCAST_NAMESPACE_MY_CHAT_V2_LAG_TIME=5s")), 0);
	assert_int_equal(config.namespace_count, 1);
	assert_int_equal(config.ns[1].lag_time_ms, 5000);

	assert_int_equal(
		rc_config_set(&config, "namespace.my.chat.v2.raw", "yes", RC_CONFIG_FILE, &report),
		0);
	assert_int_equal(load_env(ENV("RINGCAST_NAMESPACE_MY_CHAT_V2_LAG_TIME=5s")), -1);
	assert_non_null(strstr(report.error[0], "My-Chat.v2"));
}

static void environment_with_an_unknown_name_is_warned_of(void **state)
{
	(void)state;
	assert_int_equal(load_env(ENV("RINGCAST_MAX_CLIENT=5", "RINGCAST_=1",
				 "RINGCAST_NAMESPACE_CHAT=1", "XRINGCAST_SHARDS=2")),
		0);
	assert_int_equal(report.warnings, 3);
	assert_non_null(strstr(report.warning[0], "RINGCAST_MAX_CLIENTS?"));
	assert_int_equal(config.namespace_count, 0);
}

static void environment_of_kubernetes_and_empty_variables_are_left_alone(void **state)
{
	(void)state;
	assert_int_equal(
		load_env(ENV("RINGCAST_PORT=tcp://10.0.0.1:8080",
			"RINGCAST_PORT_8080_TCP_ADDR=10.0.0.1", "RINGCAST_SERVICE_HOST=10.0.0.1",
			"RINGCAST_SERVICE_PORT=8080", "RINGCAST_SERVICE_PORT_HTTP=8080",
			"RINGCAST_CONFIG=x.ini", "RINGCAST_SHARDS=")),
		0);
	assert_int_equal(report.warnings, 0);
}

static void environment_of_other_commands_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(load_env(ENV("RINGCAST_TOKEN=eyJ", "RINGCAST_INGEST_SERVER=host:7400",
				 "RINGCAST_SKIP_DEPS=1", "RINGCAST_TOKENS=x")),
		0);
	assert_int_equal(report.warnings, 1);
	assert_non_null(strstr(report.warning[0], "RINGCAST_TOKENS "));
}

static void environment_errors_name_the_variable_and_no_secret(void **state)
{
	(void)state;
	assert_int_equal(
		load_env(ENV("RINGCAST_SHARDS=many", "RINGCAST_INGEST_TOKEN=geheim ;")), -1);
	assert_int_equal(report.errors, 2);
	assert_non_null(strstr(report.error[0], "RINGCAST_SHARDS: "));
	assert_null(strstr(report.error[1], "geheim"));
}

static void flags_set_options_in_every_spelling(void **state)
{
	(void)state;
	assert_int_equal(load_flags(ENV("--listen=*:80", "--ingest", "127.0.0.1:1", "--shards", "2",
				 "--cpus=0-1", "--set", "max_clients=500", "--set=ingest.token=a=b",
				 "-s", "namespace.chat.raw=yes", "--set", "namespace.raw=on", "-c",
				 "some.ini", "--check-config", "--print-config")),
		0);
	assert_int_equal(config.listen.port, 80);
	assert_int_equal(config.ingest_listen.port, 1);
	assert_int_equal(config.shards, 2);
	assert_int_equal(config.cpus.count, 2);
	assert_int_equal(config.max_clients, 500);
	assert_string_equal(config.ingest_token, "a=b");
	assert_string_equal(config.ns[1].name, "chat");
	assert_true(config.ns[0].raw && config.ns[1].raw);
	assert_string_equal(args.config, "some.ini");
	assert_true(args.check_config && args.print_config);
	assert_false(args.help || args.example_config);
	assert_int_equal(load_flags(ENV("-l", "[::1]:81", "-i", "[::1]:82", "-h")), 0);
	assert_int_equal(config.listen.port, 81);
	assert_int_equal(config.ingest_listen.port, 82);
	assert_true(args.help);
}

static void flags_that_are_wrong_are_refused(void **state)
{
	static const struct {
		const char *argument;
		const char *words;
	} bad[] = {
		{"--lisen=*:80", "did you mean --listen?"},
		{"--set", "needs a value"},
		{"--listen", "needs a value"},
		{"--config=", "needs a path"},
		{"--set=max_clients", "key=value"},
		{"--set=max_client=1", "did you mean max_clients?"},
		{"--set=nowhere.max_clients=1", "in [server]"},
		{"--set=server.chat.max_clients=1", "unknown option"},
		{"--set=namespace.a:b.raw=yes", "no name"},
		{"--set=namespace..raw=", "must be yes"},
		{"--set=.=1", "unknown option"},
		{"--set==1", "unknown option"},
		{"--shards=x", "--shards: shards = x: "},
		{"--help=yes", "takes no value"},
		{"serve", "unexpected argument"},
		{"-z", "unknown flag"},
		{"-", "unknown flag"},
		{"--", "unknown flag"},
		{"", "unexpected argument"},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		reset(NULL);
		if (load_flags(ENV(bad[i].argument)) == 0)
			fail_msg("'%s' was taken", bad[i].argument);
		assert_int_equal(report.errors, 1);
		if (!strstr(report.error[0], bad[i].words))
			fail_msg("'%s' does not say '%s'", report.error[0], bad[i].words);
	}
}

static void stronger_sources_win_in_whatever_order_they_are_read(void **state)
{
	static const char *const values[] = {"", "", "11", "12", "13"};
	static const enum rc_config_source orders[][3] = {
		{RC_CONFIG_FILE, RC_CONFIG_ENV, RC_CONFIG_FLAG},
		{RC_CONFIG_FLAG, RC_CONFIG_ENV, RC_CONFIG_FILE},
		{RC_CONFIG_ENV, RC_CONFIG_FLAG, RC_CONFIG_FILE},
		{RC_CONFIG_FLAG, RC_CONFIG_FILE, RC_CONFIG_ENV},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(orders); i++) {
		reset(NULL);
		for (size_t n = 0; n < 3; n++)
			assert_int_equal(rc_config_set(&config, "shards", values[orders[i][n]],
						 orders[i][n], &report),
				0);
		assert_int_equal(config.shards, 13);
		assert_int_equal(
			config.origin[rc_option_find("server", "shards")].source, RC_CONFIG_FLAG);
	}
}

static void overridden_values_are_checked_all_the_same(void **state)
{
	(void)state;
	assert_int_equal(rc_config_set(&config, "shards", "2", RC_CONFIG_FLAG, &report), 0);
	assert_int_equal(rc_config_set(&config, "shards", "x", RC_CONFIG_FILE, &report), -1);
	assert_int_equal(config.shards, 2);
}

static void load_reads_all_sources(void **state)
{
	char path[] = "/tmp/ringcast-config-XXXXXX", variable[64];
	char *const *flags = ENV("--set", "namespace.chat.lag_time=3s", "--shards", "3");
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_true(dprintf(fd, "shards = 1\nbacklog = 101\nmax_clients = 1001\n"
				"[namespace chat]\nlag_time = 1s\nraw = yes\n") > 0);
	close(fd);
	snprintf(variable, sizeof(variable), "RINGCAST_CONFIG=%s", path);
	assert_int_equal(rc_config_load(&config, 4, flags,
				 ENV("RINGCAST_SHARDS=2", "RINGCAST_BACKLOG=102",
					 "RINGCAST_NAMESPACE_CHAT_LAG_TIME=2s", variable),
				 &args, &report),
		0);
	assert_int_equal(report.warnings, 0);
	assert_string_equal(args.config, path);
	assert_int_equal(config.shards, 3);
	assert_int_equal(config.backlog, 102);
	assert_int_equal(config.max_clients, 1001);
	assert_int_equal(config.ns[1].lag_time_ms, 3000);
	assert_true(config.ns[1].raw);
	assert_int_equal(config.namespace_count, 1);
	assert_int_equal(unlink(path), 0);
}

static void load_of_help_does_not_touch_the_file(void **state)
{
	(void)state;
	assert_int_equal(rc_config_load(&config, 3, ENV("-c", "/nonexistent", "--help"),
				 ENV("RINGCAST_SHARDS=x"), &args, &report),
		0);
	assert_true(args.help);
	assert_int_equal(report.errors, 0);
	assert_int_equal(rc_config_load(&config, 2, ENV("-c", "/nonexistent"),
				 ENV("RINGCAST_SHARDS=x"), &args, &report),
		-1);
	assert_int_equal(report.errors, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(environment_sets_options, reset),
		cmocka_unit_test_setup(a_variable_means_the_longest_key_that_it_ends_with, reset),
		cmocka_unit_test_setup(every_option_has_a_variable_of_its_own, reset),
		cmocka_unit_test_setup(
			environment_finds_namespaces_of_the_file_whatever_their_letters, reset),
		cmocka_unit_test_setup(environment_with_an_unknown_name_is_warned_of, reset),
		cmocka_unit_test_setup(
			environment_of_kubernetes_and_empty_variables_are_left_alone, reset),
		cmocka_unit_test_setup(environment_of_other_commands_is_left_alone, reset),
		cmocka_unit_test_setup(environment_errors_name_the_variable_and_no_secret, reset),
		cmocka_unit_test_setup(flags_set_options_in_every_spelling, reset),
		cmocka_unit_test_setup(flags_that_are_wrong_are_refused, reset),
		cmocka_unit_test_setup(stronger_sources_win_in_whatever_order_they_are_read, reset),
		cmocka_unit_test_setup(overridden_values_are_checked_all_the_same, reset),
		cmocka_unit_test_setup(load_reads_all_sources, reset),
		cmocka_unit_test_setup(load_of_help_does_not_touch_the_file, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
