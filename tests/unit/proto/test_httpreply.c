/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads of HTTP answers: what is read, in whatever cut, and what is refused at the byte that is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "proto/httpreply.h"

#define HEAD_MAX 512u

static struct rc_reply_head reply;

static int parse(const char *text, size_t len)
{
	/* Its own memory, so that reading past the end is seen. */
	char *copy = malloc(len ? len : 1);

	memcpy(copy, text, len);
	int rc = rc_reply_head_parse(copy, len, HEAD_MAX, &reply);
	free(copy);
	return rc;
}

static void takes(const char *text)
{
	size_t len = strlen(text);

	for (size_t n = 0; n < len; n++)
		assert_int_equal(parse(text, n), RC_REPLY_HEAD_PARTIAL);
	assert_int_equal(parse(text, len), 0);
	assert_int_equal(reply.head_len, len);
}

/* At its last byte, and no sooner. */
static void refuses(const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(parse(text, len - 1), RC_REPLY_HEAD_PARTIAL);
	assert_true(parse(text, len) < 0);
}

static void reads_what_servers_say(void **state)
{
	(void)state;
	takes("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nContent-Type: application/json\r\n\r\n");
	assert_int_equal(reply.status, 200);
	assert_int_equal(reply.content_length, 12);
	assert_true(reply.keep_alive);
	takes("HTTP/1.1 204\r\nconnection: Upgrade, CLOSE\r\n\r\n");
	assert_int_equal(reply.status, 204);
	assert_int_equal(reply.content_length, -1);
	assert_false(reply.keep_alive);
	takes("HTTP/1.1 503 \r\nTRANSFER-ENCODING:\tChunked \r\nX:\r\n\r\n");
	assert_true(reply.chunked);
	takes("HTTP/1.0 200 OK\r\n\r\n");
	assert_false(reply.keep_alive);
	takes("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nX: \xc3\xa4\r\n\r\n");
	assert_true(reply.keep_alive);
	assert_false(rc_reply_head_has_body(204));
	assert_true(rc_reply_head_has_body(422));
}

static void refuses_at_the_first_bad_byte(void **state)
{
	(void)state;
	refuses("H\x01");
	refuses("HTTQ");
	refuses("HTTP/2");
	refuses("HTTP/1.2");
	refuses("HTTP/1.1 0");
	refuses("HTTP/1.1 6");
	refuses("HTTP/1.1 2000");
	refuses("HTTP/1.1 20\r\n");
	refuses("HTTP/1.1 200 OK\n");
	refuses("HTTP/1.1 200 OK\r\r");
	refuses("HTTP/1.1 200 OK\r\n folded\r\n");
	refuses("HTTP/1.1 200 OK\r\nX : blank\r\n");
	refuses("HTTP/1.1 200 OK\r\nnothing\r\n");
	refuses("HTTP/1.1 200 OK\r\nX: a\x7f");
	refuses("HTTP/1.1 200 OK\r\nContent-Length: \r\n");
	refuses("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n");
	refuses("HTTP/1.1 200 OK\r\nContent-Length: 1234567890123456789\r\n");
}

static void refuses_two_ends(void **state)
{
	(void)state;
	refuses("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n");
	refuses("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n");
	refuses("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n");
	refuses("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
	refuses("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static void bounds_the_head(void **state)
{
	char text[HEAD_MAX + 1] = "HTTP/1.1 200 OK\r\nX: ";
	char many[HEAD_MAX] = "HTTP/1.1 200 OK\r\n";
	size_t used = strlen(many);

	(void)state;
	memset(text + strlen(text), 'a', HEAD_MAX - strlen(text));
	assert_int_equal(parse(text, HEAD_MAX - 1), RC_REPLY_HEAD_PARTIAL);
	assert_true(parse(text, HEAD_MAX) < 0);
	assert_true(parse(text, HEAD_MAX + 1) < 0);
	for (uint32_t i = 0; i < RC_REPLY_HEAD_FIELDS_MAX; i++, used += 4)
		memcpy(many + used, "a:\r\n", 4);
	memcpy(many + used, "\r\n", 2);
	assert_int_equal(parse(many, used + 2), 0);
	memcpy(many + used, "a:\r\n", 4);
	assert_true(parse(many, used + 4) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_servers_say),
		cmocka_unit_test(refuses_at_the_first_bad_byte),
		cmocka_unit_test(refuses_two_ends),
		cmocka_unit_test(bounds_the_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
