/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "mem/region.h"

static void a_region_is_zero_and_writable_to_its_end(void **state)
{
	struct rc_region r;
	struct rc_error err;
	(void)state;
	assert_int_equal(rc_region_open(&r, 100001, 0, -1, &err), 0);
	assert_true(r.len >= 100001);
	unsigned char *p = r.base;
	for (size_t i = 0; i < r.len; i++)
		assert_int_equal(p[i], 0);
	memset(p, 1, r.len);
	rc_region_close(&r);
	assert_null(r.base);
}

static void a_huge_region_is_aligned_to_two_mib_and_written_everywhere(void **state)
{
	(void)state;
	for (size_t len = 1; len < (size_t)7 << 20; len += 1234567) {
		struct rc_region r;
		struct rc_error err;
		assert_int_equal(rc_region_open(&r, len, RC_REGION_HUGE, 0, &err), 0);
		assert_true(((uintptr_t)r.base & ((2u << 20) - 1)) == 0);
		assert_true(r.len >= len && r.len % (2u << 20) == 0);
		for (size_t i = 0; i < r.len; i += 4096)
			((unsigned char *)r.base)[i] = 1;
		((unsigned char *)r.base)[r.len - 1] = 1;
		rc_region_close(&r);
	}
}

static void a_shared_region_is_seen_by_a_child(void **state)
{
	struct rc_region r;
	struct rc_error err;
	(void)state;
	assert_int_equal(rc_region_open(&r, 4096, RC_REGION_SHARED, -1, &err), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		memcpy(r.base, "hello", 6);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_string_equal(r.base, "hello");
	rc_region_close(&r);
}

static void a_node_that_does_not_exist_is_no_error(void **state)
{
	static const int nodes[] = {0, 63, 64, 1023, 1024, 100000};
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(nodes); i++) {
		struct rc_region r;
		struct rc_error err;
		assert_int_equal(rc_region_open(&r, 65536, 0, nodes[i], &err), 0);
		memset(r.base, 1, r.len);
		rc_region_close(&r);
	}
}

static void the_impossible_is_refused_with_advice(void **state)
{
	static const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 4};
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(sizes); i++) {
		struct rc_region r = {&r, 1};
		struct rc_error err;
		assert_int_equal(rc_region_open(&r, sizes[i], RC_REGION_HUGE, -1, &err), -1);
		assert_non_null(strstr(err.text, "overcommit"));
		assert_null(r.base);
		rc_region_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_region_is_zero_and_writable_to_its_end),
		cmocka_unit_test(a_huge_region_is_aligned_to_two_mib_and_written_everywhere),
		cmocka_unit_test(a_shared_region_is_seen_by_a_child),
		cmocka_unit_test(a_node_that_does_not_exist_is_no_error),
		cmocka_unit_test(the_impossible_is_refused_with_advice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
