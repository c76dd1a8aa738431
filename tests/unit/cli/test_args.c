/* SPDX-License-Identifier: Apache-2.0
 *
 * What publish and subscribe take from a command line, and what they refuse before any connection.
 */
#include "../unit.h"

#include <stdio.h>

#include "cli/args.c"
#include "cli/lines.c"
#include "cli/publish.c"

static char token[TOKEN_MAX + 2];

/* The arguments up to NULL, with standard error silenced. o borrows them until the next call. */
static int parse_quietly(struct options *o, const char *const *args)
{
	static char words[16][64];
	char *argv[17];
	int argc = 0;

	for (; args[argc] != NULL; argc++) {
		assert_true(argc < 16 && strlen(args[argc]) < sizeof(words[0]));
		argv[argc] = strcpy(words[argc], args[argc]);
	}
	argv[argc] = NULL;
	(void)fflush(stderr);
	int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	assert_true(saved >= 0 && null >= 0);
	(void)dup2(null, STDERR_FILENO);
	int status = parse(o, token, argc, argv);
	(void)fflush(stderr);
	(void)dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	return status;
}

#define PARSE(o, ...) parse_quietly(o, (const char *[]){"publish", __VA_ARGS__, NULL})

static int set_up(void **state)
{
	(void)state;
	unsetenv("RINGCAST_INGEST_SERVER");
	unsetenv("RINGCAST_INGEST_TOKEN");
	return 0;
}

static void durations_have_a_unit_and_bounds(void **state)
{
	int ms = 0;

	(void)state;
	assert_true(rc_args_duration("500ms", &ms) && ms == 500);
	assert_true(rc_args_duration("2s", &ms) && ms == 2000);
	assert_true(rc_args_duration("3m", &ms) && ms == 180000);
	assert_true(rc_args_duration("24h", &ms) && ms == 86400000);
	static const char *const wrong_ones[] = {
		"", "5", "0s", "-1s", "1.5s", "s", "25h", "1d", "1s ", "99999999999999999999s"};
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong_ones); i++)
		assert_false(rc_args_duration(wrong_ones[i], &ms));
}

static void servers_have_a_host_and_a_port(void **state)
{
	char host[RC_ARGS_HOST_SIZE];
	uint16_t port = 0;

	(void)state;
	assert_true(rc_args_server("localhost:80", host, &port));
	assert_string_equal(host, "localhost");
	assert_int_equal(port, 80);
	assert_true(rc_args_server("[::1]:65535", host, &port));
	assert_string_equal(host, "::1");
	assert_int_equal(port, 65535);
	static const char *const wrong_ones[] = {"", "host", "host:", ":80", "::1:80", "host:0",
		"host:65536", "host:8a", "[]:80", "host:-1"};
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong_ones); i++)
		assert_false(rc_args_server(wrong_ones[i], host, &port));
}

static void a_terminal_is_shown_text_alone(void **state)
{
	(void)state;
	assert_true(rc_args_printable(RC_STR("caf\xc3\xa9 \xe2\x82\xac\t1")));
	assert_true(rc_args_printable(RC_STR("")));
	assert_false(rc_args_printable(RC_STR("\x1b[0m")));
	assert_false(rc_args_printable(RC_STR("\xc2\x9b"
					      "0m")));
	assert_false(rc_args_printable(RC_STR("a\nb")));
	assert_false(rc_args_printable(RC_STR("\x7f")));
	assert_false(rc_args_printable(RC_STR("\xff")));
}

static void publish_reads_channel_event_and_data_around_options(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(PARSE(&o, "news", "--quiet", "added", "{\"id\":1}", "--timeout", "3s"), 0);
	assert_string_equal(o.channel, "news");
	assert_string_equal(o.event, "added");
	assert_true(rc_str_eq(o.data, RC_STR("{\"id\":1}")));
	assert_true(o.quiet && !o.lines && !o.text);
	assert_int_equal(o.timeout_ms, 3000);
	assert_string_equal(o.server, "127.0.0.1:7400");
	assert_int_equal(PARSE(&o, "news", "added", "--", "-5"), 0);
	assert_true(rc_str_eq(o.data, RC_STR("-5")));
}

static void publish_reads_lines_when_the_data_is_a_dash(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(PARSE(&o, "news", "added", "-"), 0);
	assert_true(o.lines);
}

static void a_broadcast_has_no_channel(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(PARSE(&o, "--broadcast", "added", "1"), 0);
	assert_null(o.channel);
	assert_string_equal(o.event, "added");
	assert_int_equal(PARSE(&o, "--broadcast", "news", "added", "1"), USAGE);
}

static void publish_refuses_what_can_not_be_sent(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(PARSE(&o, "news"), USAGE);
	assert_int_equal(PARSE(&o, "news", "added", "1", "2"), USAGE);
	assert_int_equal(PARSE(&o, "bad channel", "added", "1"), USAGE);
	assert_int_equal(PARSE(&o, "news:*", "added", "1"), USAGE);
	assert_int_equal(PARSE(&o, "news", "", "1"), USAGE);
	assert_int_equal(PARSE(&o, "news", "added", "not json"), USAGE);
	assert_int_equal(PARSE(&o, "news", "added", ""), USAGE);
	assert_int_equal(PARSE(&o, "--text", "news", "added", "not json"), 0);
	assert_int_equal(PARSE(&o, "--timeout", "5", "news", "added", "1"), USAGE);
	assert_int_equal(PARSE(&o, "--server", "nowhere", "news", "added", "1"), USAGE);
	assert_int_equal(PARSE(&o, "--nonsense", "news", "added", "1"), USAGE);
}

static void the_environment_names_server_and_token_unless_options_do(void **state)
{
	struct options o;

	(void)state;
	setenv("RINGCAST_INGEST_SERVER", "10.0.0.1:1", 1);
	setenv("RINGCAST_INGEST_TOKEN", "from-env", 1);
	assert_int_equal(PARSE(&o, "news", "added", "1"), 0);
	assert_string_equal(o.server, "10.0.0.1:1");
	assert_string_equal(o.token, "from-env");
	assert_int_equal(PARSE(&o, "--server", "[::1]:2", "--token", "t", "news", "added", "1"), 0);
	assert_string_equal(o.server, "[::1]:2");
	assert_string_equal(o.token, "t");
	set_up(NULL);
}

static void the_token_is_the_first_line_of_its_file(void **state)
{
	struct options o;
	char path[] = "/tmp/ringcast-token-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(PARSE(&o, "--token-file", path, "news", "added", "1"), USAGE);
	assert_int_equal(write(fd, "secret\nmore\n", 12), 12);
	assert_int_equal(PARSE(&o, "--token-file", path, "news", "added", "1"), 0);
	assert_string_equal(o.token, "secret");
	assert_int_equal(
		PARSE(&o, "--token", "t", "--token-file", path, "news", "added", "1"), USAGE);
	close(fd);
	unlink(path);
	assert_int_equal(PARSE(&o, "--token-file", path, "news", "added", "1"), USAGE);
}

static void publish_over_tls_says_so_in_the_address(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(PARSE(&o, "--server", "tls://h:1", "--ca", "c", "news", "added", "1"), 0);
	assert_true(o.over_tls);
	assert_string_equal(o.tls.ca, "c");
	assert_int_equal(PARSE(&o, "--ca", "c", "news", "added", "1"), USAGE);
	assert_int_equal(PARSE(&o, "--insecure", "news", "added", "1"), USAGE);
	assert_int_equal(PARSE(&o, "--server", "tls://h", "news", "added", "1"), USAGE);
	assert_int_equal(
		PARSE(&o, "--server", "tls://h:1", "--key", "k", "news", "added", "1"), USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_have_a_unit_and_bounds),
		cmocka_unit_test(servers_have_a_host_and_a_port),
		cmocka_unit_test(a_terminal_is_shown_text_alone),
		cmocka_unit_test(publish_reads_channel_event_and_data_around_options),
		cmocka_unit_test(publish_reads_lines_when_the_data_is_a_dash),
		cmocka_unit_test(a_broadcast_has_no_channel),
		cmocka_unit_test(publish_refuses_what_can_not_be_sent),
		cmocka_unit_test(the_environment_names_server_and_token_unless_options_do),
		cmocka_unit_test(the_token_is_the_first_line_of_its_file),
		cmocka_unit_test(publish_over_tls_says_so_in_the_address),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
