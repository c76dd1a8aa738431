/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "config/webhookrules.h"

static struct rc_error err;

/* In memory of its own, so that reading past the end is seen. */
static bool takes(const char *text, const char *host, unsigned port, const char *path)
{
	char *copy = strdup(text);
	struct rc_webhook_url url;
	bool fits = rc_webhook_url_parse(copy, &url, &err) == 0 &&
		    rc_str_eq(url.host, rc_str_of(host)) && url.port == port &&
		    rc_str_eq(url.path, rc_str_of(path));

	free(copy);
	return fits;
}

static void refuses(const char *text, const char *words)
{
	char *copy = strdup(text);
	struct rc_webhook_url url;

	assert_int_equal(rc_webhook_url_parse(copy, &url, &err), -1);
	free(copy);
	assert_non_null(strstr(err.text, words));
}

static void takes_urls_apart(void **state)
{
	struct rc_webhook_url url;

	(void)state;
	assert_true(takes("http://a", "a", 80, "/"));
	assert_true(takes("http://a/", "a", 80, "/"));
	assert_true(takes("http://a.example:8080/x/y?z=1&q=/", "a.example", 8080, "/x/y?z=1&q=/"));
	assert_true(takes("http://127.0.0.1:1", "127.0.0.1", 1, "/"));
	assert_true(takes("http://[::1]:65535/x", "::1", 65535, "/x"));
	assert_true(takes("http://[fe80::1]", "fe80::1", 80, "/"));
	assert_true(takes("http://a/@:8", "a", 80, "/@:8"));
	assert_true(takes("HTTP://a", "a", 80, "/"));
	assert_int_equal(rc_webhook_url_parse("http://[::1]:7/x?y", &url, &err), 0);
	assert_true(rc_str_eq(url.authority, RC_STR("[::1]:7")));
}

static void refuses_what_is_no_such_url(void **state)
{
	(void)state;
	refuses("", "begins with http://");
	refuses("http:/a", "begins with http://");
	refuses("a.example/x", "begins with http://");
	refuses("ftp://a", "begins with http://");
	refuses("http://", "names no host");
	refuses("http:///x", "names no host");
	refuses("http://:80/", "names no host");
	refuses("http://[]/", "names no host");
	refuses("http://[::1", "']'");
	refuses("http://[", "']'");
	refuses("http://[::1]x/", "port");
	refuses("http://a:/", "port");
	refuses("http://a:0/", "port");
	refuses("http://a:65536/", "port");
	refuses("http://a:8o/", "port");
	refuses("http://a:000080/", "port");
	refuses("http://a:-1/", "port");
	refuses("http://a?x", "'/' is missing");
	refuses("http://ann@a/", "names a user");
	refuses("http://ann:secret@a:80/", "names a user");
	/* What would end the request's line, or a field. */
	refuses("http://a/x y", "%XX");
	refuses("http://a/x\r\nX: y", "%XX");
	refuses("http://a/\x7f", "%XX");
	refuses("http://a/\xc3\xa4", "%XX");
	refuses("http://a/x#y", "%XX");
}

static void says_what_to_do_about_tls(void **state)
{
	(void)state;
	refuses("https://a.example/", "a proxy on loopback");
	refuses("HTTPS://a.example/", "a proxy on loopback");
}

static void finds_words_in_lists(void **state)
{
	struct rc_str rest = RC_STR(" a:b,,c\t$connect ,"), word;
	static const char *const words[] = {"a:b", "c", "$connect"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(words); i++) {
		assert_true(rc_webhook_list_next(&rest, &word));
		assert_true(rc_str_eq(word, rc_str_of(words[i])));
	}
	assert_false(rc_webhook_list_next(&rest, &word));
	assert_true(rc_webhook_list_has("a, b", RC_STR("b")));
	assert_false(rc_webhook_list_has("ab", RC_STR("b")));
	assert_false(rc_webhook_list_has("", RC_STR("b")));
	assert_true(rc_webhook_list_has("*", RC_STR("b")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_urls_apart),
		cmocka_unit_test(refuses_what_is_no_such_url),
		cmocka_unit_test(says_what_to_do_about_tls),
		cmocka_unit_test(finds_words_in_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
