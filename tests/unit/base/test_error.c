/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/error.h"

static void set_replaces_and_returns_minus_one(void **state)
{
	struct rc_error err = {.text = "old and longer"};
	(void)state;
	assert_int_equal(rc_error_set(&err, "port %d is taken", 80), -1);
	assert_string_equal(err.text, "port 80 is taken");
}

static void prefix_gathers_context_from_the_inside_out(void **state)
{
	struct rc_error err;
	(void)state;
	rc_error_set(&err, "no such file");
	assert_int_equal(rc_error_prefix(&err, "line %d", 7), -1);
	rc_error_prefix(&err, "%s", "ringcast.conf");
	assert_string_equal(err.text, "ringcast.conf: line 7: no such file");
}

static void set_may_use_its_own_old_text(void **state)
{
	struct rc_error err;
	(void)state;
	rc_error_set(&err, "refused");
	rc_error_set(&err, "bind: %s; try again as root", err.text);
	assert_string_equal(err.text, "bind: refused; try again as root");
}

static void too_long_a_text_is_cut_at_its_end(void **state)
{
	struct rc_error err;
	char longer[sizeof(err.text) + 100];
	(void)state;
	memset(longer, 'y', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';

	rc_error_set(&err, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	rc_error_prefix(&err, "context");
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "context: yyy", 12);
	rc_error_prefix(&err, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_int_equal(err.text[sizeof(err.text) - 2], 'y');
	rc_error_prefix(&err, "%.1022s", longer);
	assert_int_equal(err.text[sizeof(err.text) - 2], ':');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_replaces_and_returns_minus_one),
		cmocka_unit_test(prefix_gathers_context_from_the_inside_out),
		cmocka_unit_test(set_may_use_its_own_old_text),
		cmocka_unit_test(too_long_a_text_is_cut_at_its_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
