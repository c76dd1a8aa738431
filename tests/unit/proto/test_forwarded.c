/* SPDX-License-Identifier: Apache-2.0
 *
 * X-Forwarded-For and Forwarded: walked from the right, and what can't be read ends the walk.
 */
#include <stdio.h>

#include "../unit.h"

#include "proto/forwarded.h"

static struct rc_netset trusted;

static int setup(void **state)
{
	struct rc_str bad;
	const char *why;

	(void)state;
	memset(&trusted, 0, sizeof(trusted));
	return rc_netset_add(&trusted, RC_STR("10.0.0.0/8, 2001:db8:10::/48"), &bad, &why) ? 0 : -1;
}

static struct rc_http_request request;

/* Lines as they stand, each with its CR LF. */
static void head(const char *lines)
{
	static char text[40000];
	int len = snprintf(text, sizeof(text), "GET /ws HTTP/1.1\r\nHost: h\r\n%s\r\n", lines);

	assert_true(len > 0 && (size_t)len < sizeof(text));
	assert_int_equal(rc_http_parse(text, (size_t)len, sizeof(text), &request), 0);
}

static struct rc_forwarded read_from(enum rc_forwarded_header header, const char *peer)
{
	struct rc_netaddr a;

	assert_true(rc_netaddr_parse(rc_str_of(peer), &a));
	return rc_forwarded_read(&request, header, &trusted, a);
}

static void expect(enum rc_forwarded_header header, const char *lines, const char *client)
{
	char text[RC_NETADDR_TEXT];

	head(lines);
	struct rc_forwarded f = read_from(header, "10.0.0.1");
	(void)rc_netaddr_format(&f.client, text);
	if (strcmp(text, client) != 0)
		fail_msg("%s: %s, not %s", lines, text, client);
}

static void x(const char *value, const char *client)
{
	char lines[1000];

	(void)snprintf(lines, sizeof(lines), "X-Forwarded-For: %s\r\n", value);
	expect(RC_X_FORWARDED_FOR, lines, client);
}

static void f(const char *value, const char *client)
{
	char lines[1000];

	(void)snprintf(lines, sizeof(lines), "Forwarded: %s\r\n", value);
	expect(RC_FORWARDED, lines, client);
}

static void nodes_are_addresses_with_or_without_a_port(void **state)
{
	static const struct {
		const char *text, *is;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1"},
		{"192.0.2.1:80", "192.0.2.1:80"},
		{"192.0.2.1:_hidden", "192.0.2.1"},
		{"2001:db8::1", "2001:db8::1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"[2001:db8::1]:65535", "[2001:db8::1]:65535"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"[::ffff:192.0.2.1]:7", "192.0.2.1:7"},
		{"::1", "::1"},
	};
	static const char *const bad[] = {"", "unknown", "_hidden", "localhost",
		"192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:08", "192.0.2.1:_",
		"192.0.2.1:_a:", "192.0.2", ":80", "[192.0.2.1]", "[192.0.2.1]:80", "[2001:db8::1",
		"2001:db8::1]", "[2001:db8::1]80", "[2001:db8::1]:", "[]", "[]:80", "[::1%eth0]",
		"fe80::1%1", "192.0.2.1 ", "\"192.0.2.1\"", "192.0.2.1/32", "3221225985",
		"0300.0.2.1", "[[::1]]", "::1:65536:1:2:3:4:5:6:7"};
	struct rc_netaddr a;
	char text[RC_NETADDR_TEXT];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		assert_true(rc_forwarded_node(rc_str_of(cases[i].text), &a));
		(void)rc_netaddr_format(&a, text);
		assert_string_equal(text, cases[i].is);
	}
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		if (rc_forwarded_node(rc_str_of(bad[i]), &a))
			fail_msg("taken: %s", bad[i]);
	}
}

static void the_first_from_the_right_that_is_not_trusted_is_the_client(void **state)
{
	(void)state;
	x("192.0.2.1", "192.0.2.1");
	x("6.6.6.6, 192.0.2.1", "192.0.2.1");
	x("10.0.0.9, 192.0.2.1", "192.0.2.1");
	x("6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1");
	x("6.6.6.6,192.0.2.1 ,\t10.0.0.2 , 2001:db8:10::5", "192.0.2.1");
	x("2001:db8:11::1", "2001:db8:11::1");
	x("192.0.2.1:4711", "192.0.2.1:4711");
	/* All of them: who is furthest away. */
	x("10.0.0.9", "10.0.0.9");
	x("10.0.0.3, 10.0.0.2", "10.0.0.3");
	f("for=192.0.2.1", "192.0.2.1");
	f("for=6.6.6.6, for=192.0.2.1;proto=https, for=10.0.0.2;by=10.0.0.1", "192.0.2.1");
	f("for=\"[2001:db8:11::1]:4711\"", "[2001:db8:11::1]:4711");
	f("For=\"192.0.2.1:80\";By=x", "192.0.2.1:80");
	f("by=10.0.0.1 ; for=192.0.2.1 ; host=h", "192.0.2.1");
	f(";;for=192.0.2.1;;", "192.0.2.1");
	f("for=\"192\\.0.2.\\1\"", "192.0.2.1");
	/* Without the quotes that it should have. */
	f("for=192.0.2.1:80", "192.0.2.1:80");
	f("for=[2001:db8:11::1]:80", "[2001:db8:11::1]:80");
}

static void lines_are_one_list(void **state)
{
	(void)state;
	expect(RC_X_FORWARDED_FOR,
		"X-Forwarded-For: 6.6.6.6\r\nAccept: */*\r\nx-forwarded-for: 192.0.2.1\r\n"
		"X-FORWARDED-FOR: 10.0.0.2\r\n",
		"192.0.2.1");
	expect(RC_X_FORWARDED_FOR,
		"X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nX-Forwarded-For: 10.0.0.2, 10.0.0.3\r\n",
		"192.0.2.1");
	expect(RC_FORWARDED, "Forwarded: for=6.6.6.6\r\nForwarded: for=192.0.2.1, for=10.0.0.2\r\n",
		"192.0.2.1");
	/* A string does not go on in the next line. */
	expect(RC_FORWARDED, "Forwarded: for=\"6.6.6.6\r\nForwarded: for=192.0.2.1\r\n",
		"192.0.2.1");
	expect(RC_FORWARDED, "Forwarded: for=\"6.6.6.6\r\nForwarded: for=10.0.0.2\r\n", "10.0.0.2");
}

static void only_the_chosen_header_is_looked_at(void **state)
{
	(void)state;
	expect(RC_X_FORWARDED_FOR, "Forwarded: for=6.6.6.6\r\n", "10.0.0.1");
	expect(RC_FORWARDED, "X-Forwarded-For: 6.6.6.6\r\n", "10.0.0.1");
	expect(RC_FORWARDED, "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=192.0.2.1\r\n",
		"192.0.2.1");
	expect(RC_X_FORWARDED_FOR, "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=6.6.6.6\r\n",
		"192.0.2.1");
	expect(RC_X_FORWARDED_FOR, "X-Forwarded-For-More: 6.6.6.6\r\nX-Forwarded: 6.6.6.6\r\n",
		"10.0.0.1");
}

static void nobody_believes_a_stranger(void **state)
{
	(void)state;
	head("X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6;proto=https\r\nX-Forwarded-Proto: https\r\n");
	for (int header = RC_X_FORWARDED_FOR; header <= RC_FORWARDED; header++) {
		struct rc_forwarded r = read_from((enum rc_forwarded_header)header, "192.0.2.1");
		assert_int_equal(r.client.ip[0], 192);
		assert_int_equal(r.scheme, RC_SCHEME_UNKNOWN);
	}
}

static void what_tells_no_address_ends_the_walk(void **state)
{
	static const char *const none[] = {"unknown", "_hidden", "", "garbage", "6.6.6",
		"6.6.6.6.6", "6.6.6.6 6.6.6.6", "6.6.6.6:99999", "[6.6.6.6]", "\"6.6.6.6\"",
		"6.6.6.6;7.7.7.7"};
	static const char *const elements[] = {"for=unknown", "for=_hidden", "by=6.6.6.6", "",
		"for=", "for", "for=6.6.6.6;for=7.7.7.7", "for =6.6.6.6", "for= 6.6.6.6",
		"=6.6.6.6", "for=6.6.6.6 proto=https", "for=6.6.6.6;proto",
		"for=6.6.6.6;proto=http;proto=https", "6.6.6.6", "for=\"6.6.6.6", "for=6.6.6.6\"",
		"for=\"6.6.6.6\"x", "for=\"\"", "for=\"6.6.6.6\\\"", "for=6.6.6.6;\"x\"=y",
		"for=(6.6.6.6)", "for=6.6.6.6;by=a=b"};
	char text[500];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(none); i++) {
		(void)snprintf(text, sizeof(text), "1.1.1.1, %s, 10.0.0.7", none[i]);
		x(text, "10.0.0.7");
		(void)snprintf(text, sizeof(text), "1.1.1.1, %s", none[i]);
		x(text, "10.0.0.1");
		/* Left of the client it is nobody's business. */
		(void)snprintf(text, sizeof(text), "%s, 192.0.2.1, 10.0.0.7", none[i]);
		x(text, "192.0.2.1");
	}
	for (size_t i = 0; i < RC_ARRAY_LEN(elements); i++) {
		(void)snprintf(text, sizeof(text), "for=1.1.1.1, %s, for=10.0.0.7", elements[i]);
		f(text, "10.0.0.7");
		(void)snprintf(text, sizeof(text), "%s, for=192.0.2.1, for=10.0.0.7", elements[i]);
		f(text, "192.0.2.1");
	}
}

static void quotes_to_the_left_change_nothing_to_the_right(void **state)
{
	(void)state;
	f("for=\", for=192.0.2.1", "192.0.2.1");
	f("for=\", for=\"192.0.2.1\"", "192.0.2.1");
	f("\", for=\"[2001:db8:11::1]\"", "2001:db8:11::1");
	f("\\\", for=\"192.0.2.1\"", "192.0.2.1");
	/* A comma within a string separates nothing, whatever else is in it. */
	f("for=192.0.2.1;host=\"a, for=6.6.6.6\"", "192.0.2.1");
	f("for=192.0.2.1;host=\"a\\\", for=6.6.6.6\"", "192.0.2.1");
	f("for=192.0.2.1;host=\"a\\\\\"", "192.0.2.1");
	f("for=6.6.6.6, for=192.0.2.1;host=\"\\\", for=7.7.7.7\\\"\"", "192.0.2.1");
	/* And X-Forwarded-For knows no strings. */
	x("\"6.6.6.6, 192.0.2.1", "192.0.2.1");
}

static void the_scheme_is_that_of_the_client(void **state)
{
	static const struct {
		const char *lines;
		enum rc_forwarded_header header;
		enum rc_forwarded_scheme scheme;
	} cases[] = {
		{"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n", RC_X_FORWARDED_FOR,
			RC_SCHEME_HTTPS},
		{"X-Forwarded-Proto: HTTP\r\n", RC_X_FORWARDED_FOR, RC_SCHEME_HTTP},
		{"X-Forwarded-Proto: http, https\r\n", RC_X_FORWARDED_FOR, RC_SCHEME_UNKNOWN},
		{"X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https\r\n", RC_X_FORWARDED_FOR,
			RC_SCHEME_UNKNOWN},
		{"X-Forwarded-Proto: wss\r\n", RC_X_FORWARDED_FOR, RC_SCHEME_UNKNOWN},
		{"Forwarded: proto=https\r\n", RC_X_FORWARDED_FOR, RC_SCHEME_UNKNOWN},
		{"Forwarded: for=1.1.1.1;proto=https\r\n", RC_FORWARDED, RC_SCHEME_HTTPS},
		{"Forwarded: proto=\"http\";for=1.1.1.1\r\n", RC_FORWARDED, RC_SCHEME_HTTP},
		{"Forwarded: for=1.1.1.1;proto=https, for=10.0.0.2;proto=http\r\n", RC_FORWARDED,
			RC_SCHEME_HTTPS},
		{"Forwarded: for=1.1.1.1, for=10.0.0.2;proto=http\r\n", RC_FORWARDED,
			RC_SCHEME_UNKNOWN},
		{"Forwarded: for=1.1.1.1\r\nX-Forwarded-Proto: https\r\n", RC_FORWARDED,
			RC_SCHEME_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		head(cases[i].lines);
		assert_int_equal(read_from(cases[i].header, "10.0.0.1").scheme, cases[i].scheme);
	}
}

static void a_chain_without_end_is_not_followed_to_its_end(void **state)
{
	static char lines[20000];
	char text[RC_NETADDR_TEXT];
	size_t len = (size_t)snprintf(lines, sizeof(lines), "X-Forwarded-For: 6.6.6.6");

	(void)state;
	for (int i = 0; i < 1000; i++)
		len += (size_t)snprintf(
			lines + len, sizeof(lines) - len, ",10.0.%d.%d", i / 250, i % 250);
	(void)snprintf(lines + len, sizeof(lines) - len, "\r\n");
	head(lines);
	struct rc_forwarded r = read_from(RC_X_FORWARDED_FOR, "10.0.0.1");
	(void)rc_netaddr_format(&r.client, text);
	/* The 64th from the right, of 0 to 999. */
	assert_string_equal(text, "10.0.3.186");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_are_addresses_with_or_without_a_port),
		cmocka_unit_test(the_first_from_the_right_that_is_not_trusted_is_the_client),
		cmocka_unit_test(lines_are_one_list),
		cmocka_unit_test(only_the_chosen_header_is_looked_at),
		cmocka_unit_test(nobody_believes_a_stranger),
		cmocka_unit_test(what_tells_no_address_ends_the_walk),
		cmocka_unit_test(quotes_to_the_left_change_nothing_to_the_right),
		cmocka_unit_test(the_scheme_is_that_of_the_client),
		cmocka_unit_test(a_chain_without_end_is_not_followed_to_its_end),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
