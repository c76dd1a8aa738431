/* SPDX-License-Identifier: Apache-2.0
 *
 * As much of cmocka as the tests need that are run for another machine, for which there is no package of it: whatever fails
 * ends the program with status 1 and says where. tests/e2e/test_cross.py builds with this folder before the system's.
 */
#ifndef RC_TESTS_CROSS_CMOCKA_H
#define RC_TESTS_CROSS_CMOCKA_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
	const char *name;
	void (*run)(void **state);
};

#define cmocka_unit_test(name) \
	{                      \
#name, name    \
	}

static inline void cross_check(int ok, const char *what, const char *file, int line)
{
	if (ok)
		return;
	(void)fprintf(stderr, "%s:%d: %s\n", file, line, what);
	exit(1);
}

#define cross_assert(ok)               cross_check(!!(ok), #ok, __FILE__, __LINE__)
#define assert_true(c)                 cross_assert(c)
#define assert_false(c)                cross_assert(!(c))
#define assert_non_null(p)             cross_assert((p) != NULL)
#define assert_null(p)                 cross_assert((p) == NULL)
#define assert_int_equal(a, b)         cross_assert((uintmax_t)(a) == (uintmax_t)(b))
#define assert_int_not_equal(a, b)     cross_assert((uintmax_t)(a) != (uintmax_t)(b))
#define assert_in_range(v, a, b)       cross_assert((uintmax_t)(v) >= (a) && (uintmax_t)(v) <= (b))
#define assert_string_equal(a, b)      cross_assert(strcmp(a, b) == 0)
#define assert_memory_equal(a, b, len) cross_assert(memcmp(a, b, len) == 0)
#define assert_ptr_equal(a, b)         cross_assert((const void *)(a) == (const void *)(b))
#define fail()                         cross_assert(0)
#define fail_msg(...)                  (fprintf(stderr, __VA_ARGS__), cross_assert(0))
#define print_message(...)             printf(__VA_ARGS__)
#define print_error(...)               fprintf(stderr, __VA_ARGS__)
#define skip()                         return

static inline int cross_run(const struct CMUnitTest *tests, size_t count,
	int (*setup)(void **state), int (*teardown)(void **state))
{
	void *state = NULL;

	cross_check(!setup || setup(&state) == 0, "set-up", __FILE__, __LINE__);
	for (size_t i = 0; i < count; i++) {
		tests[i].run(&state);
		(void)printf("ok %s\n", tests[i].name);
	}
	cross_check(!teardown || teardown(&state) == 0, "tear-down", __FILE__, __LINE__);
	return 0;
}

#define cmocka_run_group_tests(tests, setup, teardown) \
	cross_run(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

#endif
