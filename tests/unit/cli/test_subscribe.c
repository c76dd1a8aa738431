/* SPDX-License-Identifier: Apache-2.0
 *
 * What subscribe takes from a command line: addresses with and without a scheme, what belongs to TLS, from where on. What it then asks
 * the gateway for, and what it says about events that were missed.
 */
#include "../unit.h"

#include <stdio.h>

#include "cli/args.c"
#include "cli/commandargs.c"
#include "cli/eventline.c"
#include "cli/json.c"
#include "cli/subscribe.c"
#include "cli/subscribeargs.c"
#include "cli/wsclient.c"
#include "cli/wsinflate.c"

static struct rc_subscribe_options o;

static int parse_quietly(const char *const *args)
{
	static char words[16][64];
	static char *argv[17];
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
	int status = rc_subscribe_parse(&o, argc, argv);
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
		assert_int_equal(PARSE("--server", wrong_ones[i], "news"), RC_SUBSCRIBE_USAGE);
	assert_int_equal(
		PARSE("--server", "wss://h/a", "--path", "/b", "news"), RC_SUBSCRIBE_USAGE);
	assert_int_equal(PARSE("--path", "ws", "news"), RC_SUBSCRIBE_USAGE);
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
	assert_int_equal(PARSE("--server", "h:1", "--insecure", "news"), RC_SUBSCRIBE_USAGE);
	assert_int_equal(PARSE("--server", "ws://h", "--ca", "c", "news"), RC_SUBSCRIBE_USAGE);
	assert_int_equal(PARSE("--server", "wss://h", "--key", "k", "news"), RC_SUBSCRIBE_USAGE);
	assert_int_equal(PARSE("--server", "wss://h", "--insecure", "--ca", "c", "news"),
		RC_SUBSCRIBE_USAGE);
	assert_int_equal(
		PARSE("--server", "wss://h", "--server-name", "", "news"), RC_SUBSCRIBE_USAGE);
	/* A file that can't be read is wrong usage, before anybody is asked. */
	struct subscribe s = {.o = &o, .status = -1};
	assert_int_equal(PARSE("--server", "wss://127.0.0.1:1", "--ca", "/nowhere", "news"), 0);
	assert_int_equal(run(&s), RC_SUBSCRIBE_USAGE);
}

static void since_fits_the_channels(void **state)
{
	static const char *const any[] = {
		"bq2dkx5r7m~12.9", "beginning", "2026-01-15T10:15:00Z", "1768472100000"};
	static const char *const wrong[] = {"", "yesterday", "-1", "bq2dkx5r7m@", "2026-01-15"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(any); i++) {
		assert_int_equal(PARSE("--since", any[i], "news", "agent:*"), 0);
		assert_string_equal(o.since, any[i]);
	}
	for (size_t i = 0; i < RC_ARRAY_LEN(wrong); i++)
		assert_int_equal(PARSE("--since", wrong[i], "news"), RC_SUBSCRIBE_USAGE);
	assert_int_equal(PARSE("--since", "f4icw7gf55@41", "news"), 0);
	assert_int_equal(PARSE("--since", "f4icw7gf55@41", "news", "b"), RC_SUBSCRIBE_USAGE);
	assert_int_equal(PARSE("--since", "f4icw7gf55@41", "agent:*"), RC_SUBSCRIBE_USAGE);
	assert_int_equal(PARSE("news"), 0);
	assert_null(o.since);
}

/* The text of the request that goes to the gateway. */
static void expect_request(const char *want)
{
	struct subscribe s = {.o = &o, .status = -1};
	unsigned char frame[512];
	struct rc_error err;
	uint32_t mask;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	rc_wsclient_init(&s.ws, ends[0]);
	assert_int_equal(send_request(&s, &err), 0);
	ssize_t n = read(ends[1], frame, sizeof(frame));
	size_t head = strlen(want) < 126 ? 6 : 8;
	assert_int_equal(n, head + strlen(want));
	memcpy(&mask, frame + head - 4, sizeof(mask));
	rc_ws_mask(frame + head, strlen(want), mask, 0);
	assert_memory_equal(frame + head, want, strlen(want));
	rc_wsclient_deinit(&s.ws);
	close(ends[1]);
}

static void the_request_says_since_when(void **state)
{
	(void)state;
	assert_int_equal(PARSE("news", "agent:*"), 0);
	expect_request("{\"type\":\"subscribe\",\"id\":\"1\",\"channels\":[\"news\",\"agent:*\"]}");
	assert_int_equal(PARSE("--since", "f4icw7gf55@41", "news"), 0);
	expect_request("{\"type\":\"subscribe\",\"id\":\"1\",\"channels\":[\"news\"],"
		       "\"since\":\"f4icw7gf55@41\"}");
	assert_int_equal(PARSE("--since", "1768472100000", "news"), 0);
	expect_request("{\"type\":\"subscribe\",\"id\":\"1\",\"channels\":[\"news\"],"
		       "\"since\":1768472100000}");
}

/* What goes to standard error when this comes. */
static void expect_said(const char *message, const char *want)
{
	struct subscribe s = {.o = &o, .status = -1};
	struct rc_eventline m;
	char said[512] = {0};
	int ends[2], saved = dup(STDERR_FILENO);

	(void)fflush(stderr);
	assert_int_equal(pipe(ends), 0);
	(void)dup2(ends[1], STDERR_FILENO);
	rc_eventline_parse(&m, rc_str_of(message), false);
	control_came(&s, &m, rc_str_of(message));
	(void)fflush(stderr);
	(void)dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	assert_true(read(ends[0], said, sizeof(said) - 1) >= 0);
	close(ends[0]);
	assert_string_equal(said, want);
	assert_int_equal(s.status, -1);
}

static void what_was_missed_is_said(void **state)
{
	(void)state;
	assert_int_equal(PARSE("news"), 0);
	expect_said("{\"type\":\"gap\",\"channel\":\"news\",\"reason\":\"slow\",\"missed\":17}",
		"ringcast subscribe: 17 events of news were missed: they came faster than they were "
		"read\n");
	expect_said("{\"type\":\"gap\",\"channel\":\"a:*\",\"reason\":\"trimmed\"}",
		"ringcast subscribe: some events of a:* were missed: they are not kept any more\n");
	expect_said("{\"type\":\"gap\",\"channel\":\"news\",\"missed\":17}",
		"ringcast subscribe: 17 events of news were missed\n");
	expect_said(
		"{\"type\":\"subscription-ack\",\"id\":\"1\",\"data\":{\"channels\":[\"a\",\"b\"],"
		"\"recovered\":{\"a\":false,\"b\":false},"
		"\"reasons\":{\"a\":\"epoch\",\"b\\u003ac\":\"trimmed\"}}}",
		"ringcast subscribe: not all events of a since then can be given (epoch)\n"
		"ringcast subscribe: not all events of b:c since then can be given (trimmed)\n");
	expect_said("{\"type\":\"subscription-ack\",\"id\":\"1\",\"data\":{\"channels\":[\"a\"],"
		    "\"recovered\":{\"a\":true}}}",
		"");
	expect_said("{\"type\":\"subscription-ack\",\"data\":7}", "");
	expect_said("{\"type\":\"positions\",\"positions\":{\"a:*\":\"bq2dkx5r7m~1\"}}", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_may_have_a_scheme_a_port_and_a_path),
		cmocka_unit_test(an_address_that_is_none_is_wrong),
		cmocka_unit_test(options_of_tls_are_for_tls),
		cmocka_unit_test(since_fits_the_channels),
		cmocka_unit_test(the_request_says_since_when),
		cmocka_unit_test(what_was_missed_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
