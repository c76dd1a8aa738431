/* SPDX-License-Identifier: Apache-2.0
 *
 * What is agreed on permessage-deflate: offers as clients make them, as they should not, and the answer.
 */
#include "../unit.h"

#include <stdio.h>

#include "proto/wsdeflate.h"

static enum rc_ws_offer offered(const char *line, struct rc_ws_deflate *out)
{
	/* In memory of its own, which ends where the line ends. */
	size_t len = strlen(line);
	char *copy = malloc(len + (len == 0));
	enum rc_ws_offer result;

	memcpy(copy, line, len);
	result = rc_ws_deflate_offer((struct rc_str){copy, len}, out);
	free(copy);
	return result;
}

/* The window that was agreed on, 0 when none was; the line is not against the grammar. */
static int window(const char *line)
{
	struct rc_ws_deflate d;
	enum rc_ws_offer result = offered(line, &d);

	assert_int_not_equal(result, RC_WS_OFFER_BAD);
	assert_int_equal(result == RC_WS_OFFER_TAKEN, d.window_bits != 0);
	return d.window_bits;
}

static void offer_without_parameters_is_taken_with_the_largest_window(void **state)
{
	struct rc_ws_deflate d;

	(void)state;
	assert_int_equal(offered("permessage-deflate", &d), RC_WS_OFFER_TAKEN);
	assert_int_equal(d.window_bits, 15);
	assert_false(d.told);
}

static void offer_may_have_all_four_parameters(void **state)
{
	(void)state;
	assert_int_equal(
		window("permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
		       "server_max_window_bits=11; client_max_window_bits=9"),
		11);
	assert_int_equal(window("permessage-deflate; client_max_window_bits"), 15);
	assert_int_equal(window("permessage-deflate\t;\tserver_max_window_bits\t=\t\"1\\2\" "), 12);
}

static void offer_of_every_window_from_9_to_15_is_taken(void **state)
{
	char line[64];

	(void)state;
	for (int bits = 0; bits < 100; bits++) {
		(void)snprintf(
			line, sizeof(line), "permessage-deflate; server_max_window_bits=%d", bits);
		assert_int_equal(window(line), bits >= 9 && bits <= 15 ? bits : 0);
		(void)snprintf(
			line, sizeof(line), "permessage-deflate; client_max_window_bits=%d", bits);
		assert_int_equal(window(line), bits >= 8 && bits <= 15 ? 15 : 0);
	}
}

static void offer_that_cannot_be_granted_is_passed_over_for_the_next(void **state)
{
	static const char *const bad[] = {
		"permessage-deflate; server_max_window_bits=8",
		"permessage-deflate; server_max_window_bits",
		"permessage-deflate; server_max_window_bits=010",
		"permessage-deflate; server_max_window_bits=+9",
		"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
		"permessage-deflate; server_max_window_bits=\"1111\"",
		"permessage-deflate; client_max_window_bits=16",
		"permessage-deflate; client_max_window_bits; client_max_window_bits",
		"permessage-deflate; client_no_context_takeover=\"\\1\"",
		"permessage-deflate; server_no_context_takeover; server_no_context_takeover",
		"permessage-deflate; Server_no_context_takeover",
		"permessage-deflate; x",
		"x-webkit-deflate-frame",
		"",
	};
	char line[256];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		assert_int_equal(window(bad[i]), 0);
		(void)snprintf(line, sizeof(line),
			"%s, permessage-deflate; server_max_window_bits=10,,permessage-deflate",
			bad[i]);
		assert_int_equal(window(line), 10);
	}
}

static void line_against_the_grammar_is_told_even_behind_an_offer_that_was_taken(void **state)
{
	static const char *const bad[] = {"a b", "a;", "a; ;", "a; b=", "a; b=\"", "a; b=\"\"",
		"a; b=\"x", "a; b=\"x\\", "a; b=\"x y\"", "a; b=\"x\"y", "a=b", ";", "=", "a; =b",
		"\"a\"", "a; b=c=d", "a\r", "(x)", "a; b=\x80"};
	struct rc_ws_deflate d;
	char line[128];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		assert_int_equal(offered(bad[i], &d), RC_WS_OFFER_BAD);
		(void)snprintf(line, sizeof(line), "permessage-deflate, %s", bad[i]);
		assert_int_equal(offered(line, &d), RC_WS_OFFER_BAD);
		assert_int_equal(d.window_bits, 0);
	}
}

static void answer_names_the_window_when_the_offer_did(void **state)
{
	char text[RC_WS_DEFLATE_ANSWER_MAX];
	struct rc_ws_deflate d = {.window_bits = 15};
	struct rc_str answer = {text, rc_ws_deflate_answer(&d, text)};

	(void)state;
	assert_true(rc_str_eq(answer, RC_STR(RC_WS_DEFLATE_OFFER)));
	assert_true(rc_ws_deflate_answered(answer));
	d = (struct rc_ws_deflate){.window_bits = 9, .told = true};
	answer.len = rc_ws_deflate_answer(&d, text);
	assert_true(rc_str_eq(answer, RC_STR(RC_WS_DEFLATE_OFFER "; server_max_window_bits=9")));
	assert_true(rc_ws_deflate_answered(answer));
}

static void answer_that_no_server_may_give_is_refused(void **state)
{
	static const char *const bad[] = {"", "permessage-deflate", "x", "permessage-deflate;",
		RC_WS_DEFLATE_OFFER "; client_max_window_bits=10", RC_WS_DEFLATE_OFFER "; x",
		RC_WS_DEFLATE_OFFER ", x", "permessage-deflate; client_no_context_takeover"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++)
		assert_false(rc_ws_deflate_answered(rc_str_of(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offer_without_parameters_is_taken_with_the_largest_window),
		cmocka_unit_test(offer_may_have_all_four_parameters),
		cmocka_unit_test(offer_of_every_window_from_9_to_15_is_taken),
		cmocka_unit_test(offer_that_cannot_be_granted_is_passed_over_for_the_next),
		cmocka_unit_test(
			line_against_the_grammar_is_told_even_behind_an_offer_that_was_taken),
		cmocka_unit_test(answer_names_the_window_when_the_offer_did),
		cmocka_unit_test(answer_that_no_server_may_give_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
