/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "mem/budget.h"

#define GIB ((uint64_t)1 << 30)

static void totals_keep_user_space_and_kernel_apart(void **state)
{
	struct rc_budget b = {0};
	(void)state;
	rc_budget_add(&b, "a", NULL, 10, false);
	rc_budget_add(&b, "b", NULL, 5, true);
	rc_budget_add(&b, "c", NULL, 1, false);
	assert_true(rc_budget_total(&b, false) == 11);
	assert_true(rc_budget_total(&b, true) == 5);
}

static void an_absurd_total_saturates(void **state)
{
	struct rc_budget b = {0};
	struct rc_error err;
	(void)state;
	rc_budget_add(&b, "a", NULL, UINT64_MAX - 1, false);
	rc_budget_add(&b, "b", NULL, 3, false);
	assert_true(rc_budget_total(&b, false) == UINT64_MAX);
	assert_int_equal(rc_budget_check(&b, UINT64_MAX - 1, &err), -1);
}

static void check_lets_pass_what_fits_exactly(void **state)
{
	struct rc_budget b = {0};
	struct rc_error err;
	(void)state;
	rc_budget_add(&b, "a", NULL, 100, false);
	rc_budget_add(&b, "sockets", NULL, 1000, true);
	assert_int_equal(rc_budget_check(&b, 100, &err), 0);
	assert_int_equal(rc_budget_check(&b, 99, &err), -1);
}

static void a_refusal_names_the_largest_three_in_order(void **state)
{
	struct rc_budget b = {0};
	struct rc_error err;
	(void)state;
	rc_budget_add(&b, "small", NULL, 1, false);
	rc_budget_add(&b, "connections", "connections_max 20000", 2 * GIB, false);
	rc_budget_add(&b, "socket buffers", NULL, 100 * GIB, true);
	rc_budget_add(&b, "arena", "arena_mib 4096", 4 * GIB, false);
	rc_budget_add(&b, "twin", "same size", 2 * GIB, false);
	assert_int_equal(rc_budget_check(&b, GIB, &err), -1);
	const char *first = strstr(err.text, "arena (arena_mib 4096: 4.0 GiB)");
	const char *second = strstr(err.text, "connections (connections_max 20000: 2.0 GiB)");
	const char *third = strstr(err.text, "twin (same size: 2.0 GiB)");
	assert_non_null(first);
	assert_non_null(second);
	assert_non_null(third);
	assert_true(first < second && second < third);
	assert_null(strstr(err.text, "small"));
	assert_null(strstr(err.text, "socket"));
	assert_non_null(strstr(err.text, "needs 8.0 GiB"));
	assert_non_null(strstr(err.text, "allows 1.0 GiB"));
}

static void names_too_long_are_cut(void **state)
{
	struct rc_budget b = {0};
	char longer[200];
	(void)state;
	memset(longer, 'n', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	rc_budget_add(&b, longer, longer, 1, false);
	assert_int_equal(strlen(b.line[0].name), sizeof(b.line[0].name) - 1);
	assert_int_equal(strlen(b.line[0].detail), sizeof(b.line[0].detail) - 1);
}

struct page {
	char text[16][200];
	size_t count;
};

static void collect(void *ctx, const char *text)
{
	struct page *p = ctx;
	assert_true(p->count < RC_ARRAY_LEN(p->text));
	assert_true(strlen(text) < sizeof(p->text[0]));
	memcpy(p->text[p->count++], text, strlen(text) + 1);
}

static void print_makes_a_table_with_both_totals(void **state)
{
	struct rc_budget b = {0};
	struct page p = {0};
	(void)state;
	rc_budget_add(&b, "connection table", "20000 x 128 B", 2560000, false);
	rc_budget_add(&b, "sockets", NULL, 3 * GIB, true);
	rc_budget_add(&b, "arena", NULL, 1023, false);
	rc_budget_print(&b, collect, &p);
	assert_int_equal(p.count, 5);
	assert_string_equal(p.text[0], "connection table     20000 x 128 B      2.4 MiB");
	assert_string_equal(p.text[1], "arena                                    1023 B");
	assert_string_equal(p.text[2], "total                                   2.4 MiB");
	assert_string_equal(p.text[3], "sockets                                 3.0 GiB");
	assert_string_equal(p.text[4], "total in the kernel                     3.0 GiB");
}

static void units_change_where_the_number_would_read_1024(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} expected[] = {{0, " 0 B"}, {1023, " 1023 B"}, {1024, " 1.0 KiB"}, {1048575, " 1.0 MiB"},
		{1048000, " 1023.4 KiB"}, {UINT64_MAX, " 16.0 EiB"}};
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(expected); i++) {
		struct rc_budget b = {0};
		struct page p = {0};
		rc_budget_add(&b, "x", NULL, expected[i].bytes, false);
		rc_budget_print(&b, collect, &p);
		size_t len = strlen(p.text[0]);
		size_t want = strlen(expected[i].text);
		assert_true(len > want);
		assert_string_equal(p.text[0] + len - want, expected[i].text);
	}
}

static void the_host_has_memory(void **state)
{
	(void)state;
	assert_true(rc_budget_host_bytes() > (1u << 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(totals_keep_user_space_and_kernel_apart),
		cmocka_unit_test(an_absurd_total_saturates),
		cmocka_unit_test(check_lets_pass_what_fits_exactly),
		cmocka_unit_test(a_refusal_names_the_largest_three_in_order),
		cmocka_unit_test(names_too_long_are_cut),
		cmocka_unit_test(print_makes_a_table_with_both_totals),
		cmocka_unit_test(units_change_where_the_number_would_read_1024),
		cmocka_unit_test(the_host_has_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
