/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines out of a stream that comes in any pieces. The program's files are not in the library, so they are taken in here.
 */
#include "../unit.h"

#include <stdio.h>

#include "cli/lines.c"

/* What came out: "1:text|", "2:long|" ... */
static char out[512];
static size_t out_len;

static void note(const struct rc_lines *l, const char *text, size_t len)
{
	out_len += (size_t)snprintf(
		out + out_len, sizeof(out) - out_len, "%d:%.*s|", (int)l->number, (int)len, text);
}

static void take(struct rc_lines *l)
{
	struct rc_str line;
	enum rc_line got;

	while ((got = rc_lines_next(l, &line)) != RC_LINE_MORE) {
		if (got == RC_LINE_LONG)
			note(l, "(long)", 6);
		else
			note(l, line.ptr, line.len);
	}
}

/* Feeds the text in pieces of `piece` bytes through a buffer of `size`. */
static const char *cut(const char *text, size_t size, size_t piece)
{
	struct rc_lines l = {.buf = malloc(size), .size = size};
	size_t len = strlen(text), room;

	assert_non_null(l.buf);
	out_len = 0;
	out[0] = '\0';
	while (len > 0) {
		char *at = rc_lines_room(&l, &room);
		assert_true(room > 0);
		size_t n = RC_MIN(RC_MIN(piece, room), len);
		memcpy(at, text, n);
		l.end += n;
		text += n;
		len -= n;
		take(&l);
	}
	l.ended = true;
	take(&l);
	free(l.buf);
	return out;
}

static void check(const char *text, size_t size, const char *wanted)
{
	for (size_t piece = 1; piece <= strlen(text) + 1; piece++)
		assert_string_equal(cut(text, size, piece), wanted);
}

static void lines_are_the_same_in_whatever_pieces_they_come(void **state)
{
	(void)state;
	check("one\ntwo\n\nfour\n", 16, "1:one|2:two|3:|4:four|");
}

static void the_last_line_needs_no_end(void **state)
{
	(void)state;
	check("one\ntwo", 16, "1:one|2:two|");
	check("", 16, "");
	check("\n", 16, "1:|");
}

static void a_line_as_long_as_allowed_is_whole(void **state)
{
	(void)state;
	check("1234567\n1234567", 8, "1:1234567|2:1234567|");
}

static void a_line_that_is_too_long_is_told_of_once_and_the_next_is_whole(void **state)
{
	(void)state;
	check("a\n123456789012345678901234\nb\n", 8, "1:a|2:(long)|3:b|");
	check("12345678\nb", 8, "1:(long)|2:b|");
	check("a\n123456789012345678901234", 8, "1:a|2:(long)|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_the_same_in_whatever_pieces_they_come),
		cmocka_unit_test(the_last_line_needs_no_end),
		cmocka_unit_test(a_line_as_long_as_allowed_is_whole),
		cmocka_unit_test(a_line_that_is_too_long_is_told_of_once_and_the_next_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
