/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunked bodies: what is read, in whatever cut, and what is refused at the byte that is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "proto/chunked.h"

static char body[1 << 16];
static size_t body_len;

/* All of the text in pieces of so many bytes; the result, *used of all of it. */
static int feed(const char *text, size_t len, size_t piece, size_t *used)
{
	struct rc_chunked c = {0};
	size_t at = 0;

	body_len = 0;
	while (at < len) {
		size_t n = RC_MIN(piece, len - at), done = 0;
		/* Its own memory, so that reading past the end is seen. */
		char *copy = malloc(n);
		int rc = RC_CHUNKED_DATA;

		memcpy(copy, text + at, n);
		while (rc == RC_CHUNKED_DATA) {
			struct rc_str data;
			size_t step;

			rc = rc_chunked_next(&c, copy + done, n - done, &step, &data);
			done += step;
			assert_true(done <= n);
			if (rc == RC_CHUNKED_DATA) {
				assert_true(data.len > 0 && data.ptr + data.len == copy + done);
				memcpy(body + body_len, data.ptr, data.len);
				body_len += data.len;
			} else {
				assert_int_equal(data.len, 0);
			}
		}
		free(copy);
		at += done;
		if (rc != RC_CHUNKED_MORE) {
			*used = at;
			return rc;
		}
		assert_int_equal(done, n);
	}
	*used = at;
	return RC_CHUNKED_MORE;
}

static void expect_body(const char *text, const char *wanted, size_t rest)
{
	size_t len = strlen(text), used;

	for (size_t piece = 1; piece <= len; piece++) {
		assert_int_equal(feed(text, len, piece, &used), RC_CHUNKED_END);
		assert_int_equal(used, len - rest);
		assert_int_equal(body_len, strlen(wanted));
		assert_memory_equal(body, wanted, body_len);
	}
}

static void expect_refused(const char *text, size_t len, size_t at)
{
	size_t used;

	for (size_t piece = 1; piece <= len; piece++) {
		if (feed(text, len, piece, &used) != -400 || used != at)
			fail_msg("'%.*s' in pieces of %zu: at %zu, not at %zu", (int)len, text,
				piece, used, at);
	}
}

#define REFUSED(text, at) expect_refused(text, sizeof(text) - 1, at)

static void bodies_are_read_in_every_cut(void **state)
{
	(void)state;
	expect_body("0\r\n\r\n", "", 0);
	expect_body("5\r\nhello\r\n0\r\n\r\n", "hello", 0);
	expect_body("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", 0);
	expect_body("1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", "\r\n", 0);
	expect_body("A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n", "0123456789abcdefghij", 0);
	expect_body("0005\r\nhello\r\n000\r\n\r\n", "hello", 0);
}

static void what_follows_belongs_to_the_next_request(void **state)
{
	(void)state;
	expect_body("2\r\nhi\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "hi", 16);
	expect_body("0\r\n\r\n\r\n", "", 2);
}

static void extensions_and_trailers_are_read_over(void **state)
{
	(void)state;
	expect_body("2;a=b;c=\"d e\"\r\nhi\r\n0;last\r\n\r\n", "hi", 0);
	expect_body("2\r\nhi\r\n0\r\nX-Sum: 1\r\nContent-Length:\t7 \r\n\r\n", "hi", 0);
	expect_body("0\r\nx:\r\n\r\n", "", 0);
}

static void sizes_that_are_none_are_refused(void **state)
{
	(void)state;
	REFUSED("\r\n", 0);
	REFUSED("g\r\n", 0);
	REFUSED("-1\r\n", 0);
	REFUSED("+1\r\n", 0);
	REFUSED(" 1\r\n", 0);
	REFUSED("1 \r\n", 1);
	REFUSED("1\t;a\r\n", 1);
	REFUSED("0x5\r\n", 1);
	REFUSED("5,5\r\n", 1);
	REFUSED("5_0\r\n", 1);
	REFUSED("\0005\r\n", 0);
	REFUSED("5\000\r\n", 1);
	REFUSED(";a\r\n", 0);
	REFUSED("5\n", 1);
	REFUSED("5\rx", 2);
	REFUSED("5\r\r\n", 2);
	/* One digit too many, and a number that 63 bits do not hold. */
	REFUSED("00000000000000005\r\n", 16);
	REFUSED("8000000000000000\r\n", 15);
	REFUSED("ffffffffffffffff\r\n", 15);
}

static void the_largest_size_is_taken(void **state)
{
	static const char text[] = "7fffffffffffffff\r\nx";
	size_t used;

	(void)state;
	assert_int_equal(feed(text, sizeof(text) - 1, 1, &used), RC_CHUNKED_MORE);
	assert_int_equal(body_len, 1);
}

static void chunks_end_where_they_said(void **state)
{
	(void)state;
	REFUSED("5\r\nhello0\r\n\r\n", 8);
	REFUSED("5\r\nhello\n0\r\n\r\n", 8);
	REFUSED("5\r\nhello\rx", 9);
	REFUSED("5\r\nhello world\r\n0\r\n\r\n", 8);
	REFUSED("5\r\nhello\r\n\r\n0\r\n\r\n", 10);
}

static void extensions_hold_no_line_end_and_no_nul(void **state)
{
	(void)state;
	REFUSED("2;a\nhi", 3);
	REFUSED("2;a\r\rhi", 4);
	REFUSED("2;a\000\r\n", 3);
	REFUSED("2;a\177\r\n", 3);
}

static void trailers_are_fields(void **state)
{
	(void)state;
	REFUSED("0\r\n folded: 1\r\n\r\n", 3);
	REFUSED("0\r\n\tx\r\n\r\n", 3);
	REFUSED("0\r\n: 1\r\n\r\n", 3);
	REFUSED("0\r\nname : 1\r\n\r\n", 7);
	REFUSED("0\r\nname\r\n\r\n", 7);
	REFUSED("0\r\na: 1\r\n b\r\n\r\n", 9);
	REFUSED("0\r\na: \000\r\n\r\n", 6);
	REFUSED("0\r\na: 1\n\r\n", 7);
	REFUSED("0\r\nGET / HTTP/1.1\r\n\r\n", 6);
	REFUSED("0\r\n\rx", 4);
	REFUSED("0\r\n\n", 3);
}

static void extensions_and_trailers_are_bounded(void **state)
{
	static char text[2 * RC_CHUNKED_EXTRA_MAX];
	size_t used, head = (size_t)snprintf(text, sizeof(text), "1;");

	(void)state;
	memset(text + head, 'x', sizeof(text) - head);
	assert_int_equal(feed(text, sizeof(text), sizeof(text), &used), -400);
	assert_int_equal(used, head + RC_CHUNKED_EXTRA_MAX);

	head = (size_t)snprintf(text, sizeof(text), "0\r\na:");
	memset(text + head, 'x', sizeof(text) - head);
	assert_int_equal(feed(text, sizeof(text), sizeof(text), &used), -400);
	assert_int_equal(used, 3 + RC_CHUNKED_EXTRA_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_are_read_in_every_cut),
		cmocka_unit_test(what_follows_belongs_to_the_next_request),
		cmocka_unit_test(extensions_and_trailers_are_read_over),
		cmocka_unit_test(sizes_that_are_none_are_refused),
		cmocka_unit_test(the_largest_size_is_taken),
		cmocka_unit_test(chunks_end_where_they_said),
		cmocka_unit_test(extensions_hold_no_line_end_and_no_nul),
		cmocka_unit_test(trailers_are_fields),
		cmocka_unit_test(extensions_and_trailers_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
