/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration files, right and wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "config/apply.h"
#include "config/value.h"

static struct rc_config config;
static struct rc_config_report report;

static int load_bytes(const char *text, size_t len)
{
	memset(&report, 0, sizeof(report));
	rc_config_init(&config);
	return rc_config_load_text(&config, "test.ini", text, len, &report);
}

static int load(const char *text)
{
	return load_bytes(text, strlen(text));
}

static void expect_taken(const char *text)
{
	if (load(text) < 0)
		fail_msg("refused: %s", report.error[0]);
	assert_int_equal(report.errors, 0);
	assert_int_equal(report.warnings, 0);
}

static void expect_error(const char *text, const char *at, const char *words)
{
	assert_int_equal(load(text), -1);
	assert_int_equal(report.errors, 1);
	if (strncmp(report.error[0], at, strlen(at)) != 0 || !strstr(report.error[0], words))
		fail_msg("'%s' is not at '%s' with '%s'", report.error[0], at, words);
}

static void file_sets_options_of_all_sections(void **state)
{
	(void)state;
	expect_taken("\xef\xbb\xbf; a comment\n"
		     "# another\n"
		     "[server]\n"
		     "listen = [::1]:9000\n"
		     "max_clients=500\r\n"
		     "   memory : 1GiB   ; after the value\n"
		     "\n"
		     "[ingest] ; here too\n"
		     "token = abc;def=ghi ; only after a blank\n"
		     "[echo]\n"
		     "enabled = yes\n"
		     "[namespace]\n"
		     "lag_bytes = 2MiB\n"
		     "[ namespace   chat ]\n"
		     "\tslow_policy = latest\n"
		     "\tslow_key = symbol");
	assert_int_equal(config.listen.port, 9000);
	assert_int_equal(config.max_clients, 500);
	assert_int_equal(config.memory, UINT64_C(1) << 30);
	assert_string_equal(config.ingest_token, "abc;def=ghi");
	assert_true(config.echo);
	assert_int_equal(config.ns[0].lag_bytes, 2 << 20);
	assert_int_equal(config.namespace_count, 1);
	assert_string_equal(config.ns[1].name, "chat");
	assert_int_equal(config.ns[1].slow_policy, RC_CONFIG_SLOW_LATEST);
	assert_string_equal(config.ns[1].slow_key, "symbol");
	assert_string_equal(config.file, "test.ini");
	assert_int_equal(rc_config_origin(&config, rc_option_find("server", "memory"), 0)->line, 6);
}

static void indented_lines_are_keys_of_their_own(void **state)
{
	(void)state;
	expect_taken("[server]\n  max_clients = 500\n  shards = 3\n\tbacklog = 100\n");
	assert_int_equal(config.shards, 3);
	assert_int_equal(config.backlog, 100);
}

static void keys_before_any_section_are_the_servers(void **state)
{
	(void)state;
	expect_taken("shards = 3\n");
	assert_int_equal(config.shards, 3);
}

static void empty_files_are_fine(void **state)
{
	(void)state;
	expect_taken("");
	expect_taken("\n\n\n");
	expect_taken("; nothing");
	expect_taken("[namespace chat]\n");
	assert_int_equal(config.namespace_count, 1);
}

static void echo_can_be_switched_on_in_the_server_section(void **state)
{
	(void)state;
	expect_taken("[server]\necho = yes\necho_max_message = 1MiB\necho_memory = 4MiB\n");
	assert_true(config.echo);
	assert_int_equal(config.echo_max_message, 1 << 20);
	assert_int_equal(config.echo_memory, 4 << 20);
	expect_error("[server]\necho = yes\n[echo]\nenabled = no\n", "test.ini:4: ", "line 2");
}

static void errors_name_the_file_and_the_line(void **state)
{
	(void)state;
	expect_error("[server]\n\n\nmax_clients = 7\n",
		"test.ini:4: max_clients = 7: ", "20 to 4000000");
	expect_error("shards = x\r\n", "test.ini:1: shards = x: ", "whole number");
	expect_error("\nheartbeat = 30", "test.ini:2: heartbeat = 30: ", "30s");
}

static void unknown_keys_are_refused_with_the_nearest(void **state)
{
	(void)state;
	expect_error("[server]\nmax_client = 100\n", "test.ini:2: unknown key 'max_client'",
		"did you mean max_clients?");
	expect_error("[server]\ntoken = geheim\n", "test.ini:2: unknown key 'token'", "[ingest]");
	assert_null(strstr(report.error[0], "geheim"));
	expect_error(
		"[echo]\nqqqqqqqqq = 1\n", "test.ini:2: unknown key 'qqqqqqqqq' in [echo]", "");
}

static void unknown_sections_are_refused_once_and_their_keys_skipped(void **state)
{
	(void)state;
	expect_error("[servr]\nx = 1\ny = 2\n[server]\nshards = 2\n",
		"test.ini:1: unknown section [servr]", "did you mean [server]?");
	assert_int_equal(config.shards, 2);
	expect_error("[completely else]\n", "test.ini:1: ", "there are [server]");
	expect_error("[server two]\n", "test.ini:1: ", "unknown section [server two]");
	expect_error("[]\n", "test.ini:1: ", "unknown section []");
	expect_error("[server\nshards = 2\n", "test.ini:1: ", "]");
	expect_error("[server] shards = 2\n", "test.ini:1: ", "comment");
}

static void the_same_key_twice_in_a_section_is_an_error(void **state)
{
	(void)state;
	expect_error("[server]\nshards = 2\nshards = 3\n", "test.ini:3: ", "line 2");
	assert_int_equal(config.shards, 2);
	expect_error(
		"[server]\nshards = 2\n[ingest]\n[server]\nshards = 2\n", "test.ini:5: ", "line 2");
	expect_error(
		"[namespace]\nraw = no\n[namespace default]\nraw = no\n", "test.ini:4: ", "line 2");
	expect_taken("[namespace a]\nraw = no\n[namespace b]\nraw = no\n[namespace]\nraw = yes\n");
}

static void all_mistakes_are_reported_and_counted_beyond_twenty(void **state)
{
	char text[2000] = "";

	(void)state;
	assert_int_equal(
		load("[server]\nshards = x\n[nix]\na = b\n[echo]\nmemory\nenabled = 7\n"), -1);
	assert_int_equal(report.errors, 4);
	for (int i = 0; i < 25; i++)
		sprintf(text + strlen(text), "unknown%d = 1\n", i);
	assert_int_equal(load(text), -1);
	assert_int_equal(report.errors, 25);
	assert_non_null(strstr(report.error[19], "test.ini:20: "));
}

static void lines_that_are_no_keys_are_refused(void **state)
{
	(void)state;
	expect_error("[server]\nshards\n", "test.ini:2: ", "key = value");
	expect_error("shards 2", "test.ini:1: ", "key = value");
	expect_error("= 2\n", "test.ini:1: ", "unknown key ''");
}

static void comment_with_a_hash_after_a_value_gets_a_hint(void **state)
{
	(void)state;
	assert_int_equal(load("shards = 2 # two\n"), -1);
	assert_int_equal(report.warnings, 1);
	assert_non_null(strstr(report.warning[0], "test.ini:1: "));
}

static void lines_longer_than_the_parser_takes_are_refused_and_not_cut(void **state)
{
	char text[600];

	(void)state;
	/* The longest values fit. */
	memset(text, 0, sizeof(text));
	strcpy(text, "[ingest]\ntoken_file = ");
	memset(text + strlen(text), 'a', RC_CONFIG_TEXT_SIZE - 1);
	expect_taken(text);
	assert_int_equal(strlen(config.ingest_token_file), RC_CONFIG_TEXT_SIZE - 1);

	memset(text, 0, sizeof(text));
	strcpy(text, "\nshards = 2 ;");
	memset(text + strlen(text), 'x', 400);
	expect_error(text, "test.ini:2: ", "bytes long");

	/* A long comment is nobody's business, and the line numbers stay right. */
	memset(text, ';', 500);
	strcpy(text + 500, "\nshards = x\n");
	expect_error(text, "test.ini:2: shards", "whole number");
}

static void lines_fit_to_the_byte(void **state)
{
	char text[320];
	uint32_t longest = 0;

	(void)state;
	for (uint32_t len = 100; len < 290; len++) {
		memset(text, ' ', sizeof(text));
		memcpy(text, "shards = 2", 10);
		memcpy(text + len - 2, ";x\nbacklog = 100\n", 17);
		if (load_bytes(text, len + 17 - 2) == 0) {
			longest = len;
			assert_int_equal(config.shards, 2);
			assert_int_equal(config.backlog, 100);
		} else {
			assert_int_equal(report.errors, 1);
			assert_non_null(strstr(report.error[0], "test.ini:1: the line is "));
		}
	}
	assert_true(longest >= 190);
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	static const char nul[] = "shards = 2\nbacklog = 1\0 00\n";

	(void)state;
	assert_int_equal(load_bytes(nul, sizeof(nul) - 1), -1);
	assert_int_equal(report.errors, 1);
	assert_string_equal(report.error[0], "test.ini:2: contains a NUL byte");
	assert_int_equal(config.backlog, 4096);

	expect_error("[namespace]\nslow_key = a\x1b[31mb\n", "test.ini:2: ", "control");
	assert_null(strchr(report.error[0], 0x1b));
}

static void secrets_are_not_quoted_in_errors(void **state)
{
	(void)state;
	expect_error("[ingest]\ntoken = geh\x01"
		     "eim\n",
		"test.ini:2: token ", "control");
	assert_null(strstr(report.error[0], "geh"));
}

static void namespaces_have_proper_names_and_are_at_most_64(void **state)
{
	char text[4096] = "";

	(void)state;
	expect_taken("[namespace A-z_0.9]\n");
	expect_error("[namespace a b]\n", "test.ini:1: ", "no name");
	expect_error("[namespace a:b]\nraw = yes\n", "test.ini:1: ", "no name");
	expect_taken("[namespace aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n"
		     "raw = yes\n");
	assert_int_equal(strlen(config.ns[1].name), 63);
	assert_true(config.ns[1].raw);
	expect_error("[namespace aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]",
		"test.ini:1: ", "no name");
	for (int i = 0; i < 64; i++)
		sprintf(text + strlen(text), "[namespace n%d]\n", i);
	expect_taken(text);
	strcat(text, "[namespace n63]\nraw = yes\n");
	expect_taken(text);
	strcat(text, "[namespace n64]\n");
	expect_error(text, "test.ini:67: ", "one too many");
}

static void expect_file_error(const char *path, const char *words)
{
	memset(&report, 0, sizeof(report));
	rc_config_init(&config);
	assert_int_equal(rc_config_load_file(&config, path, &report), -1);
	assert_int_equal(report.errors, 1);
	assert_non_null(strstr(report.error[0], path));
	assert_non_null(strstr(report.error[0], words));
}

static void files_that_cannot_be_read_are_said_so(void **state)
{
	char directory[] = "/tmp/ringcast-config-XXXXXX", path[64];
	bool was_root = geteuid() == 0;
	FILE *out;

	(void)state;
	assert_non_null(mkdtemp(directory));
	expect_file_error(directory, "directory");
	snprintf(path, sizeof(path), "%s/missing.ini", directory);
	expect_file_error(path, "No such file");

	snprintf(path, sizeof(path), "%s/some.ini", directory);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs("[server]\nshards = 2\n", out);
	fclose(out);
	memset(&report, 0, sizeof(report));
	assert_int_equal(rc_config_load_file(&config, path, &report), 0);
	assert_int_equal(config.shards, 2);

	/* Root reads everything, so it becomes somebody else for a moment. */
	assert_int_equal(chmod(directory, 0755), 0);
	assert_int_equal(chmod(path, 0), 0);
	if (was_root && seteuid(65534) != 0) {
		print_message("unreadable file: skipped, root cannot become another user here\n");
	} else {
		expect_file_error(path, "Permission denied");
		assert_true(!was_root || seteuid(0) == 0);
	}

	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, (1 << 20) + 1), 0);
	expect_file_error(path, "larger than 1MiB");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_sets_options_of_all_sections),
		cmocka_unit_test(indented_lines_are_keys_of_their_own),
		cmocka_unit_test(keys_before_any_section_are_the_servers),
		cmocka_unit_test(empty_files_are_fine),
		cmocka_unit_test(echo_can_be_switched_on_in_the_server_section),
		cmocka_unit_test(errors_name_the_file_and_the_line),
		cmocka_unit_test(unknown_keys_are_refused_with_the_nearest),
		cmocka_unit_test(unknown_sections_are_refused_once_and_their_keys_skipped),
		cmocka_unit_test(the_same_key_twice_in_a_section_is_an_error),
		cmocka_unit_test(all_mistakes_are_reported_and_counted_beyond_twenty),
		cmocka_unit_test(lines_that_are_no_keys_are_refused),
		cmocka_unit_test(comment_with_a_hash_after_a_value_gets_a_hint),
		cmocka_unit_test(lines_longer_than_the_parser_takes_are_refused_and_not_cut),
		cmocka_unit_test(lines_fit_to_the_byte),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		cmocka_unit_test(secrets_are_not_quoted_in_errors),
		cmocka_unit_test(namespaces_have_proper_names_and_are_at_most_64),
		cmocka_unit_test(files_that_cannot_be_read_are_said_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
