/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1 heads. Each request is parsed whole and from every prefix of it, in memory that ends where the bytes end: a prefix
 * must be PARTIAL until the byte that decides, and from there on give the verdict of the whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <cmocka.h>

#include "proto/http1.h"

#define HEAD_MAX 8192
#define HOST     "Host: a\r\n"

static char *last_bytes;
static struct rc_http_request last;
static size_t decided_at; /* length of the shortest prefix that is not PARTIAL */

static int parse_bytes(const char *bytes, size_t len, size_t head_max)
{
	int verdict;

	free(last_bytes);
	last_bytes = malloc(len);
	memcpy(last_bytes, bytes, len);
	verdict = rc_http_parse(last_bytes, len, head_max, &last);
	decided_at = len;
	for (size_t n = len; n-- > 0;) {
		struct rc_http_request r;
		char *part = malloc(n);
		int rc;

		memcpy(part, bytes, n);
		rc = rc_http_parse(part, n, head_max, &r);
		if (rc != RC_HTTP_PARTIAL) {
			assert_int_equal(rc, verdict);
			assert_int_equal(decided_at, n + 1);
			decided_at = n;
		}
		free(part);
	}
	return verdict;
}

static int parse(const char *text)
{
	return parse_bytes(text, strlen(text), HEAD_MAX);
}

static int teardown(void **state)
{
	(void)state;
	free(last_bytes);
	last_bytes = NULL;
	return 0;
}

static void assert_str(struct rc_str s, const char *text)
{
	assert_int_equal(s.len, strlen(text));
	assert_memory_equal(s.ptr, text, s.len);
}

/* ---- what is taken ---- */

static void parse_takes_a_request_apart(void **state)
{
	static const char text[] =
		"GET /ws?channel=a&channel=b HTTP/1.1\r\nHost: localhost:8080\r\n"
		"X-Empty:\r\nX-Space: \t two words \t\r\nX-Latin: caf\xe9\r\n\r\nrest";

	(void)state;
	assert_int_equal(parse(text), 0);
	assert_str(last.method, "GET");
	assert_str(last.target, "/ws?channel=a&channel=b");
	assert_str(last.path, "/ws");
	assert_str(last.query, "channel=a&channel=b");
	assert_int_equal(last.minor, 1);
	assert_true(last.keep_alive);
	assert_false(last.chunked);
	assert_int_equal(last.content_length, -1);
	assert_int_equal(last.head_len, sizeof(text) - 1 - 4);
	assert_int_equal(decided_at, last.head_len);
	assert_int_equal(last.header_count, 4);
	assert_str(last.header[1].name, "X-Empty");
	assert_str(last.header[1].value, "");
	assert_str(last.header[2].value, "two words");
	assert_str(rc_http_header_get(&last, "x-latin"), "caf\xe9");
}

static void parse_passes_over_two_empty_lines_and_no_more(void **state)
{
	(void)state;
	assert_int_equal(parse("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), 0);
	assert_int_equal(last.head_len, 4 + 16 + 9 + 2);
	assert_int_equal(parse("\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), -400);
	assert_int_equal(decided_at, 5);
	assert_int_equal(parse("\nGET / HTTP/1.1\r\n" HOST "\r\n"), -400);
	assert_int_equal(parse("\r\rGET / HTTP/1.1\r\n" HOST "\r\n"), -400);
}

static void parse_reads_the_framing_of_the_body(void **state)
{
	(void)state;
	assert_int_equal(parse("POST / HTTP/1.1\r\n" HOST "content-length: 12\r\n\r\n"), 0);
	assert_int_equal(last.content_length, 12);
	assert_int_equal(parse("POST / HTTP/1.1\r\n" HOST "Content-Length:0\r\n\r\n"), 0);
	assert_int_equal(last.content_length, 0);
	assert_int_equal(
		parse("POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n\r\n"), 0);
	assert_int_equal(last.content_length, INT64_MAX);
	assert_int_equal(parse("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"), 0);
	assert_true(last.chunked);
	assert_int_equal(last.content_length, -1);
}

static void parse_decides_whether_the_connection_stays(void **state)
{
	(void)state;
	assert_int_equal(parse("GET / HTTP/1.1\r\n" HOST "Connection: foo, CLOSE\r\n\r\n"), 0);
	assert_false(last.keep_alive);
	assert_int_equal(parse("GET / HTTP/1.1\r\n" HOST
			       "Connection: keep-alive\r\nConnection: close\r\n\r\n"),
		0);
	assert_false(last.keep_alive);
	assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n"), 0);
	assert_int_equal(last.minor, 0);
	assert_false(last.keep_alive);
	assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), 0);
	assert_true(last.keep_alive);
}

static void parse_treats_a_higher_minor_version_as_1_1(void **state)
{
	(void)state;
	assert_int_equal(parse("GET / HTTP/1.9\r\n" HOST "\r\n"), 0);
	assert_int_equal(last.minor, 1);
	assert_int_equal(parse("GET / HTTP/1.9\r\n\r\n"), -400);
}

static void parse_takes_an_absolute_target_apart(void **state)
{
	(void)state;
	assert_int_equal(parse("GET http://A:80/p?q HTTP/1.1\r\nHost: a:80\r\n\r\n"), 0);
	assert_str(last.path, "/p");
	assert_str(last.query, "q");
	assert_str(last.target, "http://A:80/p?q");
	assert_int_equal(parse("GET HTTPS://a HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
	assert_str(last.path, "/");
	assert_int_equal(parse("GET http://a?q=/x HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
	assert_str(last.path, "/");
	assert_str(last.query, "q=/x");
	assert_int_equal(parse("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
	assert_str(last.path, "*");
	assert_int_equal(parse("GET http://a/ HTTP/1.0\r\n\r\n"), 0);
}

static void parse_takes_the_asterisk_for_options_alone(void **state)
{
	(void)state;
	assert_int_equal(parse("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 0);
	assert_str(last.path, "*");
	assert_int_equal(parse("GET * HTTP/1.1\r\n" HOST "\r\n"), -400);
	assert_int_equal(parse("OPTIONS */ HTTP/1.1\r\n" HOST "\r\n"), -400);
}

static void parse_takes_64_fields_and_refuses_the_65th_with_431(void **state)
{
	char text[2048] = "GET / HTTP/1.1\r\n" HOST;

	(void)state;
	for (int i = 1; i < RC_HTTP_HEADERS_MAX; i++)
		strcat(text, "a: b\r\n");
	strcat(text, "\r\n");
	assert_int_equal(parse(text), 0);
	assert_int_equal(last.header_count, RC_HTTP_HEADERS_MAX);
	text[strlen(text) - 2] = '\0';
	strcat(text, "a: b\r\n\r\n");
	assert_int_equal(parse(text), -431);
}

/* ---- what is refused ---- */

static void parse_refuses_malformed_requests(void **state)
{
	static const char *const bad[] = {
		" GET / HTTP/1.1\r\n" HOST "\r\n",
		" / HTTP/1.1\r\n" HOST "\r\n",
		"GET  / HTTP/1.1\r\n" HOST "\r\n",
		"GET /  HTTP/1.1\r\n" HOST "\r\n",
		"GET\t/ HTTP/1.1\r\n" HOST "\r\n",
		"GET / HTTP/1.1 \r\n" HOST "\r\n",
		"GET / HTTP/1.1\n" HOST "\r\n",
		"GET / HTTP/1.1\r" HOST "\r\n",
		"GET /\r\n\r\n",
		"GET / http/1.1\r\n" HOST "\r\n",
		"GET / HTTP/1.10\r\n" HOST "\r\n",
		"GET / HTTP/1,1\r\n" HOST "\r\n",
		"GET / HTTP/x.1\r\n" HOST "\r\n",
		"GET / HTTP/1.x\r\n" HOST "\r\n",
		"GET / HTTPS/1.1\r\n" HOST "\r\n",
		"G{T / HTTP/1.1\r\n" HOST "\r\n",
		"GET /a#b HTTP/1.1\r\n" HOST "\r\n",
		"GET /\x7f HTTP/1.1\r\n" HOST "\r\n",
		"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n",
		"GET /\x01 HTTP/1.1\r\n" HOST "\r\n",
		"GET x HTTP/1.1\r\n" HOST "\r\n",
		"GET a:80 HTTP/1.1\r\n" HOST "\r\n",
		"GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n",
		"GET http:///x HTTP/1.1\r\nHost:\r\n\r\n",
		"GET http:/x HTTP/1.1\r\n" HOST "\r\n",
		"GET h HTTP/1.1\r\n" HOST "\r\n",
		"GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n",
		"GET http://b/ HTTP/1.1\r\n" HOST "\r\n",
		"GET http://a:80/ HTTP/1.1\r\n" HOST "\r\n",
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		int rc = parse(bad[i]);

		if (rc != -400)
			print_error("%d for: %s\n", rc, bad[i]);
		assert_int_equal(rc, -400);
	}
}

static void parse_refuses_malformed_fields(void **state)
{
	static const char *const bad[] = {
		HOST "a : b\r\n",
		HOST "a\t: b\r\n",
		HOST "a\r\n",
		HOST ": b\r\n",
		HOST " a: b\r\n",
		HOST "a: b\r\n c\r\n",
		HOST "a: b\r\n\tc: d\r\n",
		HOST "a: b\n",
		HOST "a: b\nc: d\r\n",
		HOST "a: b\rc: d\r\n",
		HOST "a: b\r\r\n",
		HOST "a: \x01\r\n",
		HOST "a: b\x7f\r\n",
		HOST "a: b\x0b\r\n",
		HOST "\xe9: b\r\n",
		HOST "a(b): c\r\n",
		"",
		HOST HOST,
		HOST "host: b\r\n",
		"Host: a b\r\n",
		"Host: a,b\r\n",
		"Host: u@a\r\n",
		"Host: a/b\r\n",
		"Host: \xe9\r\n",
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		char text[256] = "GET / HTTP/1.1\r\n";
		int rc;

		strcat(text, bad[i]);
		strcat(text, "\r\n");
		rc = parse(text);
		if (rc != -400)
			print_error("%d for: %s\n", rc, text);
		assert_int_equal(rc, -400);
	}
}

static void parse_refuses_a_zero_byte_anywhere(void **state)
{
	static const char good[] = "GET /a HTTP/1.1\r\nHost: a\r\nb: c\r\n\r\n";
	char text[sizeof(good)];

	(void)state;
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		memcpy(text, good, sizeof(good));
		text[i] = '\0';
		assert_int_equal(parse_bytes(text, sizeof(good) - 1, HEAD_MAX), -400);
		assert_int_equal(decided_at, i + 1);
	}
}

static void parse_lets_no_request_hide_in_another(void **state)
{
	static const struct {
		const char *fields;
		int verdict;
	} cases[] = {
		{"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", -400},
		{"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", -400},
		{"Content-Length: 4\r\nContent-Length: 4\r\n", -400},
		{"Content-Length: 4\r\nContent-Length: 5\r\n", -400},
		{"Content-Length: 4, 4\r\n", -400},
		{"Content-Length: 4,5\r\n", -400},
		{"Content-Length: +4\r\n", -400},
		{"Content-Length: -4\r\n", -400},
		{"Content-Length: 0x4\r\n", -400},
		{"Content-Length: 4 4\r\n", -400},
		{"Content-Length: 4;\r\n", -400},
		{"Content-Length:\r\n", -400},
		{"Content-Length: 9223372036854775808\r\n", -400},
		{"Content-Length: 18446744073709551620\r\n", -400},
		{"Content-Length: 00000000000000000004\r\n", -400},
		{"Content-Length : 4\r\n", -400},
		{"Transfer-Encoding : chunked\r\n", -400},
		{"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", -400},
		{"Transfer-Encoding:\r\n", -400},
		{"Transfer-Encoding: \x0b"
		 "chunked\r\n",
			-400},
		{"Transfer-Encoding:\r\n chunked\r\n", -400},
		{"Transfer-Encoding: gzip, chunked\r\n", -501},
		{"Transfer-Encoding: chunked, chunked\r\n", -501},
		{"Transfer-Encoding: chunked, identity\r\n", -501},
		{"Transfer-Encoding: identity\r\n", -501},
		{"Transfer-Encoding: xchunked\r\n", -501},
		{"Transfer-Encoding: \"chunked\"\r\n", -501},
		{"Transfer-Encoding: chunked;q=1\r\n", -501},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		char text[256] = "POST / HTTP/1.1\r\n" HOST;
		int rc;

		strcat(text, cases[i].fields);
		strcat(text, "\r\n");
		rc = parse(text);
		if (rc != cases[i].verdict)
			print_error("%d for: %s\n", rc, text);
		assert_int_equal(rc, cases[i].verdict);
	}
	assert_int_equal(parse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), -400);
}

static void parse_answers_501_and_505_to_what_it_does_not_speak(void **state)
{
	(void)state;
	assert_int_equal(parse("CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"), -501);
	assert_int_equal(parse("ABCDEFGHIJKLMNOPQRSTUVWXY / HTTP/1.1\r\n" HOST "\r\n"), -501);
	assert_int_equal(parse("ABCDEFGHIJKLMNOPQRSTUVWX / HTTP/1.1\r\n" HOST "\r\n"), 0);
	assert_int_equal(parse("GET / HTTP/2.0\r\n" HOST "\r\n"), -505);
	assert_int_equal(parse("GET / HTTP/0.9\r\n" HOST "\r\n"), -505);
	assert_int_equal(parse("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), -505);
}

static void parse_refuses_garbage_at_its_first_byte(void **state)
{
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

	(void)state;
	assert_int_equal(parse_bytes(hello, sizeof(hello) - 1, HEAD_MAX), -400);
	assert_int_equal(decided_at, 1);
	assert_int_equal(parse("RCST\x01\x02"), -400);
	assert_int_equal(decided_at, 5);
	assert_int_equal(parse("GET / XTTP"), -400);
	assert_int_equal(decided_at, 7);
}

static void parse_holds_heads_to_their_limit(void **state)
{
	static const char text[] = "GET /abc HTTP/1.1\r\n" HOST "\r\n";
	const size_t len = sizeof(text) - 1, line_len = 19;

	(void)state;
	assert_int_equal(parse_bytes(text, len, len), 0);
	for (size_t max = 0; max < len; max++) {
		int verdict = max < line_len ? -414 : -431;

		/* The whole, and exactly as much as is allowed: both are too much. */
		assert_int_equal(rc_http_parse(text, len, max, &last), verdict);
		assert_int_equal(rc_http_parse(text, max, max, &last), verdict);
		if (max > 0)
			assert_int_equal(rc_http_parse(text, max - 1, max, &last), RC_HTTP_PARTIAL);
	}
}

/* ---- fields, lists, queries ---- */

static void header_get_finds_the_first_in_any_case(void **state)
{
	struct rc_str value;
	uint32_t index = 0;

	(void)state;
	assert_int_equal(parse("GET / HTTP/1.1\r\n" HOST "x-a: 1\r\nX-A: 2\r\nX-Ab: 3\r\n\r\n"), 0);
	assert_str(rc_http_header_get(&last, "X-a"), "1");
	assert_null(rc_http_header_get(&last, "X").ptr);
	assert_int_equal(rc_http_header_count(&last, "x-a"), 2);
	assert_int_equal(rc_http_header_count(&last, "y"), 0);
	assert_true(rc_http_header_next(&last, "x-a", &index, &value));
	assert_str(value, "1");
	assert_true(rc_http_header_next(&last, "x-a", &index, &value));
	assert_str(value, "2");
	assert_false(rc_http_header_next(&last, "x-a", &index, &value));
}

static void list_walks_its_elements_and_passes_over_empty_ones(void **state)
{
	struct rc_str rest = RC_STR(" ,a b,, \tc\t ,,d ,"), token;

	(void)state;
	assert_true(rc_http_list_next(&rest, &token));
	assert_str(token, "a b");
	assert_true(rc_http_list_next(&rest, &token));
	assert_str(token, "c");
	assert_true(rc_http_list_next(&rest, &token));
	assert_str(token, "d");
	assert_false(rc_http_list_next(&rest, &token));
	assert_true(rc_http_list_has(RC_STR("keep-alive, Upgrade"), "upgrade"));
	assert_false(rc_http_list_has(RC_STR("keep-alive, Upgrades"), "upgrade"));
	assert_false(rc_http_list_has(RC_STR("x upgrade"), "upgrade"));
	assert_false(rc_http_list_has((struct rc_str){0}, "upgrade"));
}

static void query_walks_its_pairs(void **state)
{
	struct rc_str rest = RC_STR("a=1&&b&c=&=d&e=f=g&a=2"), key, value;
	static const char *const expected[][2] = {
		{"a", "1"}, {"b", ""}, {"c", ""}, {"", "d"}, {"e", "f=g"}, {"a", "2"}};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(expected); i++) {
		assert_true(rc_http_query_next(&rest, &key, &value));
		assert_str(key, expected[i][0]);
		assert_str(value, expected[i][1]);
	}
	assert_false(rc_http_query_next(&rest, &key, &value));
	rest = RC_STR("&&");
	assert_false(rc_http_query_next(&rest, &key, &value));
}

static void unescape_reads_percent_and_plus(void **state)
{
	char out[16];

	(void)state;
	assert_int_equal(rc_http_unescape(RC_STR("a%20b+c%c3%A4"), true, out, sizeof(out)), 7);
	assert_memory_equal(out, "a b c\xc3\xa4", 7);
	assert_int_equal(rc_http_unescape(RC_STR("a+%2B"), false, out, sizeof(out)), 3);
	assert_memory_equal(out, "a++", 3);
	assert_int_equal(rc_http_unescape(RC_STR("%00"), false, out, sizeof(out)), 1);
	assert_int_equal(out[0], 0);
	assert_int_equal(rc_http_unescape((struct rc_str){0}, false, out, 0), 0);
}

static void unescape_refuses_bad_escapes_and_short_room(void **state)
{
	static const char *const bad[] = {"%", "a%", "%2", "%g0", "%0g", "%%20", "%-1", "% 1"};
	char out[4];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++)
		assert_int_equal(
			rc_http_unescape(rc_str_of(bad[i]), false, out, sizeof(out)), -EINVAL);
	assert_int_equal(rc_http_unescape(RC_STR("%41234"), false, out, sizeof(out)), 4);
	assert_int_equal(rc_http_unescape(RC_STR("%412345"), false, out, sizeof(out)), -ENOSPC);
}

static void unescape_works_in_place(void **state)
{
	char text[] = "%41%42c%44";

	(void)state;
	assert_int_equal(rc_http_unescape(rc_str_of(text), false, text, sizeof(text)), 4);
	assert_memory_equal(text, "ABcD", 4);
}

/* ---- answers ---- */

static void answer_is_a_whole_response_or_nothing(void **state)
{
	static const char expected[] =
		"HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n"
		"Connection: close\r\nSec-WebSocket-Version: 13\r\n\r\nbody";
	char out[512];
	size_t len;

	(void)state;
	for (size_t cap = 0; cap <= sizeof(expected); cap++) {
		out[cap] = '~';
		len = rc_http_answer(out, cap, 426, "Sec-WebSocket-Version: 13\r\n", "text/plain",
			RC_STR("body"), true);
		assert_int_equal(len, cap < sizeof(expected) - 1 ? 0 : sizeof(expected) - 1);
		assert_int_equal(out[cap], '~');
	}
	assert_memory_equal(out, expected, sizeof(expected) - 1);
}

static void answer_without_body_says_so(void **state)
{
	static const char ok[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n";
	static const char none[] = "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n";
	char out[256];

	(void)state;
	assert_int_equal(
		rc_http_answer(out, sizeof(out), 200, NULL, NULL, (struct rc_str){0}, false),
		sizeof(ok) - 1);
	assert_memory_equal(out, ok, sizeof(ok) - 1);
	assert_int_equal(rc_http_answer(out, sizeof(out), 204, NULL, NULL, RC_STR("x"), false),
		sizeof(none) - 1);
	assert_memory_equal(out, none, sizeof(none) - 1);
}

static void the_head_of_an_answer_stands_alone(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: "
				   "18446744073709551615\r\nConnection: close\r\nX: y\r\n\r\n";
	char out[256];

	(void)state;
	for (size_t cap = 0; cap < sizeof(head) - 1; cap++)
		assert_int_equal(
			rc_http_answer_head(out, cap, 200, "X: y\r\n", "a/b", UINT64_MAX, true), 0);
	assert_int_equal(rc_http_answer_head(
				 out, sizeof(head) - 1, 200, "X: y\r\n", "a/b", UINT64_MAX, true),
		sizeof(head) - 1);
	assert_memory_equal(out, head, sizeof(head) - 1);
}

static void reason_is_never_null(void **state)
{
	(void)state;
	for (int status = 0; status < 1000; status++)
		assert_true(strlen(rc_http_reason(status)) > 0);
	assert_string_equal(rc_http_reason(431), "Request Header Fields Too Large");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_takes_a_request_apart),
		cmocka_unit_test(parse_passes_over_two_empty_lines_and_no_more),
		cmocka_unit_test(parse_reads_the_framing_of_the_body),
		cmocka_unit_test(parse_decides_whether_the_connection_stays),
		cmocka_unit_test(parse_treats_a_higher_minor_version_as_1_1),
		cmocka_unit_test(parse_takes_an_absolute_target_apart),
		cmocka_unit_test(parse_takes_the_asterisk_for_options_alone),
		cmocka_unit_test(parse_takes_64_fields_and_refuses_the_65th_with_431),
		cmocka_unit_test(parse_refuses_malformed_requests),
		cmocka_unit_test(parse_refuses_malformed_fields),
		cmocka_unit_test(parse_refuses_a_zero_byte_anywhere),
		cmocka_unit_test(parse_lets_no_request_hide_in_another),
		cmocka_unit_test(parse_answers_501_and_505_to_what_it_does_not_speak),
		cmocka_unit_test(parse_refuses_garbage_at_its_first_byte),
		cmocka_unit_test(parse_holds_heads_to_their_limit),
		cmocka_unit_test(header_get_finds_the_first_in_any_case),
		cmocka_unit_test(list_walks_its_elements_and_passes_over_empty_ones),
		cmocka_unit_test(query_walks_its_pairs),
		cmocka_unit_test(unescape_reads_percent_and_plus),
		cmocka_unit_test(unescape_refuses_bad_escapes_and_short_room),
		cmocka_unit_test(unescape_works_in_place),
		cmocka_unit_test(answer_is_a_whole_response_or_nothing),
		cmocka_unit_test(answer_without_body_says_so),
		cmocka_unit_test(the_head_of_an_answer_stands_alone),
		cmocka_unit_test(reason_is_never_null),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
