/* SPDX-License-Identifier: Apache-2.0
 *
 * What subscribe takes from a command line: addresses with and without a scheme, and what belongs to TLS.
 */
#include "../unit.h"

#include <stdio.h>

#include "cli/args.c"
#include "cli/eventline.c"
#include "cli/json.c"
#include "cli/subscribe.c"
#include "cli/wsclient.c"

static struct options o;

static int parse_quietly(const char *const *args)
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
	int status = parse(&o, argc, argv);
	(void)fflush(stderr);
	(void)dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	return status;
}

#define PARSE(...) parse_quietly((const char *[]){"subscribe", __VA_ARGS__, NULL})

static void expect_address(bool over_tls, const char *host, uint16_t port, const char *path)
{
	assert_int_equal(o.over_tls, over_tls);
	assert_string_equal(o.host, host);
	assert_int_equal(o.port, port);
	assert_string_equal(o.path, path);
}

static void an_address_may_have_a_scheme_a_port_and_a_path(void **state)
{
	(void)state;
	assert_int_equal(PARSE("news"), 0);
	expect_address(false, "127.0.0.1", 8080, "/ws");
	assert_int_equal(PARSE("--server", "h:1", "--path", "/x", "news"), 0);
	expect_address(false, "h", 1, "/x");
	assert_int_equal(PARSE("--server", "wss://h:8443", "news"), 0);
	expect_address(true, "h", 8443, "/ws");
	assert_int_equal(PARSE("--server", "WSS://h:8443/a?b=c", "news"), 0);
	expect_address(true, "h", 8443, "/a?b=c");
	assert_int_equal(PARSE("--server", "wss://h", "--path", "/x", "news"), 0);
	expect_address(true, "h", 443, "/x");
	assert_int_equal(PARSE("--server", "ws://[::1]/ws", "news"), 0);
	expect_address(false, "::1", 80, "/ws");
}

static void an_address_that_is_none_is_wrong(void **state)
{
	static const char *const wrong_ones[] = {"h", "h:1/ws", "wss://", "wss://h:0", "wss://h:x",
		"wss:///ws", "wss://a:b:1", "wss://h/a b", "https://h:1", "wss://h/#a"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong_ones); i++)
		assert_int_equal(PARSE("--server", wrong_ones[i], "news"), USAGE);
	assert_int_equal(PARSE("--server", "wss://h/a", "--path", "/b", "news"), USAGE);
	assert_int_equal(PARSE("--path", "ws", "news"), USAGE);
}

static void options_of_tls_are_for_tls(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--ca", "c", "--server", "wss://h", "--cert", "d", "--key", "k",
				 "--server-name", "n", "news"),
		0);
	assert_string_equal(o.tls.ca, "c");
	assert_string_equal(o.tls.certificate, "d");
	assert_string_equal(o.tls.key, "k");
	assert_string_equal(o.tls.name, "n");
	assert_false(o.tls.insecure);
	assert_int_equal(PARSE("--server", "wss://h", "--insecure", "news"), 0);
	assert_true(o.tls.insecure);
	assert_int_equal(PARSE("--server", "h:1", "--insecure", "news"), USAGE);
	assert_int_equal(PARSE("--server", "ws://h", "--ca", "c", "news"), USAGE);
	assert_int_equal(PARSE("--server", "wss://h", "--key", "k", "news"), USAGE);
	assert_int_equal(PARSE("--server", "wss://h", "--insecure", "--ca", "c", "news"), USAGE);
	assert_int_equal(PARSE("--server", "wss://h", "--server-name", "", "news"), USAGE);
	/* A file that can't be read is wrong usage, before anybody is asked. */
	struct subscribe s = {.o = &o, .status = -1};
	assert_int_equal(PARSE("--server", "wss://127.0.0.1:1", "--ca", "/nowhere", "news"), 0);
	assert_int_equal(run(&s), USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_may_have_a_scheme_a_port_and_a_path),
		cmocka_unit_test(an_address_that_is_none_is_wrong),
		cmocka_unit_test(options_of_tls_are_for_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
