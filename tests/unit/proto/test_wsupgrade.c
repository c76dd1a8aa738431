/* SPDX-License-Identifier: Apache-2.0
 *
 * The WebSocket handshake: what is an upgrade, what each other request is told, and the answer's key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "proto/wsupgrade.h"

#define KEY     "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEYED   "Sec-WebSocket-Key: " KEY "\r\n"

static int check_line(const char *line, const char *fields, struct rc_ws_upgrade *up)
{
	static char text[2048];
	struct rc_http_request r;
	int len = snprintf(text, sizeof(text), "%s\r\nHost: a\r\n%s\r\n", line, fields);

	assert_in_range(len, 1, sizeof(text) - 1);
	assert_int_equal(rc_http_parse(text, (size_t)len, sizeof(text), &r), 0);
	return rc_ws_upgrade_check(&r, up);
}

static int check(const char *fields)
{
	struct rc_ws_upgrade up;

	return check_line("GET /ws HTTP/1.1", fields, &up);
}

static void upgrade_takes_what_a_browser_sends(void **state)
{
	struct rc_ws_upgrade up;

	(void)state;
	assert_int_equal(
		check_line("GET /ws?channel=a HTTP/1.1",
			"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" VERSION KEYED
			"Sec-WebSocket-Protocol: ringcast.v1.json, bearer.x\r\n"
			"Sec-WebSocket-Extensions: permessage-deflate\r\n"
			"Origin: http://a\r\n",
			&up),
		0);
	assert_true(rc_str_eq(up.key, RC_STR(KEY)));
	assert_true(rc_str_eq(up.protocols, RC_STR("ringcast.v1.json, bearer.x")));
	assert_true(rc_str_eq(up.extensions, RC_STR("permessage-deflate")));
}

static void upgrade_without_protocol_or_extension_leaves_them_empty(void **state)
{
	struct rc_ws_upgrade up;

	(void)state;
	assert_int_equal(check_line("GET / HTTP/1.1", UPGRADE VERSION KEYED, &up), 0);
	assert_int_equal(up.protocols.len, 0);
	assert_int_equal(up.extensions.len, 0);
}

static void upgrade_may_be_spread_over_several_fields(void **state)
{
	(void)state;
	assert_int_equal(check("Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
			       "Upgrade: websocket\r\n" VERSION KEYED),
		0);
}

static void upgrade_by_another_method_is_405(void **state)
{
	struct rc_ws_upgrade up;

	(void)state;
	assert_int_equal(check_line("POST / HTTP/1.1", UPGRADE VERSION KEYED, &up), -405);
	assert_int_equal(check_line("get / HTTP/1.1", UPGRADE VERSION KEYED, &up), -405);
}

static void upgrade_that_is_none_or_of_another_version_is_426(void **state)
{
	struct rc_ws_upgrade up;

	(void)state;
	assert_int_equal(check(""), -426);
	assert_int_equal(check(VERSION KEYED), -426);
	assert_int_equal(check("Connection: Upgrade\r\n" VERSION KEYED), -426);
	assert_int_equal(check("Upgrade: websocket\r\n" VERSION KEYED), -426);
	assert_int_equal(check("Upgrade: websocket\r\nConnection: close\r\n" VERSION KEYED), -426);
	assert_int_equal(check("Upgrade: h2c\r\nConnection: Upgrade\r\n" VERSION KEYED), -426);
	assert_int_equal(
		check("Upgrade: websockets\r\nConnection: Upgrade\r\n" VERSION KEYED), -426);
	assert_int_equal(check(UPGRADE KEYED), -426);
	assert_int_equal(check(UPGRADE "Sec-WebSocket-Version: 8\r\n" KEYED), -426);
	assert_int_equal(check(UPGRADE "Sec-WebSocket-Version: 013\r\n" KEYED), -426);
	assert_int_equal(check(UPGRADE "Sec-WebSocket-Version: 13, 8\r\n" KEYED), -426);
	assert_int_equal(check(UPGRADE VERSION VERSION KEYED), -426);
	assert_int_equal(check_line("GET / HTTP/1.0", UPGRADE VERSION KEYED, &up), -426);
}

static void upgrade_with_a_bad_key_is_400(void **state)
{
	(void)state;
	assert_int_equal(check(UPGRADE VERSION), -400);
	assert_int_equal(check(UPGRADE VERSION "Sec-WebSocket-Key:\r\n"), -400);
	assert_int_equal(check(UPGRADE VERSION KEYED KEYED), -400);
	assert_int_equal(
		check(UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n"), -400);
	assert_int_equal(
		check(UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n"), -400);
	assert_int_equal(
		check(UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n"), -400);
	/* 17 and 18 bytes fill 24 characters too. */
	assert_int_equal(
		check(UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQA=\r\n"), -400);
	assert_int_equal(
		check(UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n"), -400);
}

static void upgrade_with_a_body_is_400(void **state)
{
	(void)state;
	assert_int_equal(check(UPGRADE VERSION KEYED "Content-Length: 1\r\n"), -400);
	assert_int_equal(check(UPGRADE VERSION KEYED "Transfer-Encoding: chunked\r\n"), -400);
	assert_int_equal(check(UPGRADE VERSION KEYED "Content-Length: 0\r\n"), 0);
}

static void upgrade_answer_proves_the_key_of_the_rfc(void **state)
{
	static const char expected[] = "HTTP/1.1 101 Switching Protocols\r\n"
				       "Upgrade: websocket\r\n"
				       "Connection: Upgrade\r\n"
				       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
	char out[512];
	size_t len = rc_ws_upgrade_answer(out, sizeof(out), RC_STR(KEY), (struct rc_str){0});

	(void)state;
	assert_int_equal(len, sizeof(expected) - 1);
	assert_memory_equal(out, expected, len);
}

static void upgrade_answer_names_the_protocol(void **state)
{
	static const char expected[] = "HTTP/1.1 101 Switching Protocols\r\n"
				       "Upgrade: websocket\r\n"
				       "Connection: Upgrade\r\n"
				       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
				       "Sec-WebSocket-Protocol: ringcast.v1.json\r\n\r\n";
	char out[512];
	size_t len =
		rc_ws_upgrade_answer(out, sizeof(out), RC_STR(KEY), RC_STR("ringcast.v1.json"));

	(void)state;
	assert_int_equal(len, sizeof(expected) - 1);
	assert_memory_equal(out, expected, len);
	for (size_t cap = 0; cap < len; cap++) {
		out[cap] = '~';
		assert_int_equal(
			rc_ws_upgrade_answer(out, cap, RC_STR(KEY), RC_STR("ringcast.v1.json")), 0);
		assert_int_equal(out[cap], '~');
	}
	assert_int_equal(
		rc_ws_upgrade_answer(out, len, RC_STR(KEY), RC_STR("ringcast.v1.json")), len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(upgrade_takes_what_a_browser_sends),
		cmocka_unit_test(upgrade_without_protocol_or_extension_leaves_them_empty),
		cmocka_unit_test(upgrade_may_be_spread_over_several_fields),
		cmocka_unit_test(upgrade_by_another_method_is_405),
		cmocka_unit_test(upgrade_that_is_none_or_of_another_version_is_426),
		cmocka_unit_test(upgrade_with_a_bad_key_is_400),
		cmocka_unit_test(upgrade_with_a_body_is_400),
		cmocka_unit_test(upgrade_answer_proves_the_key_of_the_rfc),
		cmocka_unit_test(upgrade_answer_names_the_protocol),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
