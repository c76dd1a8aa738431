/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <pthread.h>

#include "mem/seal.h"

/* Or the compiler leaves out what nobody uses. */
static void *volatile kept;

static void by_malloc(void *ctx)
{
	(void)ctx;
	rc_seal_thread();
	kept = malloc(10);
}

static void by_calloc(void *ctx)
{
	(void)ctx;
	rc_seal_thread();
	kept = calloc(10, 10);
}

static void by_realloc(void *ctx)
{
	(void)ctx;
	rc_seal_thread();
	kept = realloc(ctx, 100);
}

static void by_aligned_alloc(void *ctx)
{
	(void)ctx;
	rc_seal_thread();
	kept = aligned_alloc(64, 64);
}

static void after_resume(void *ctx)
{
	rc_seal_thread();
	rc_seal_suspend();
	rc_seal_suspend();
	rc_seal_resume();
	rc_seal_resume();
	by_malloc(ctx);
}

static void while_suspended(void *ctx)
{
	(void)ctx;
	rc_seal_thread();
	rc_seal_suspend();
	rc_seal_suspend();
	rc_seal_resume();
	kept = malloc(10);
	free(kept);
	rc_seal_resume();
}

static void freeing_only(void *ctx)
{
	rc_seal_thread();
	free(ctx);
}

static void *seal_and_leave(void *arg)
{
	(void)arg;
	rc_seal_thread();
	return NULL;
}

static void on_another_thread(void *ctx)
{
	pthread_t thread;
	(void)ctx;
	if (pthread_create(&thread, NULL, seal_and_leave, NULL) != 0 ||
		pthread_join(thread, NULL) != 0)
		abort();
	kept = malloc(10);
	free(kept);
}

static int needs_enforcement(void)
{
	if (rc_seal_enforced())
		return 1;
	print_message("needs a debug build that is linked with --wrap\n");
	return 0;
}

static void a_sealed_thread_cannot_allocate(void **state)
{
	(void)state;
	if (!needs_enforcement())
		skip();
	void *old = malloc(10);
	assert_true(unit_aborts(by_malloc, NULL));
	assert_true(unit_aborts(by_calloc, NULL));
	assert_true(unit_aborts(by_realloc, old));
	assert_true(unit_aborts(by_aligned_alloc, NULL));
	assert_true(unit_aborts(after_resume, NULL));
	free(old);
}

static void a_sealed_thread_may_free_and_others_may_allocate(void **state)
{
	(void)state;
	void *old = malloc(10);
	assert_false(unit_aborts(freeing_only, old));
	assert_false(unit_aborts(while_suspended, NULL));
	assert_false(unit_aborts(on_another_thread, NULL));
	free(old);
}

static void before_the_seal_everything_allocates(void **state)
{
	(void)state;
	unsigned char *p = malloc(10);
	assert_non_null(p);
	memset(p, 7, 10);
	unsigned char *more = realloc(p, 1000);
	assert_non_null(more);
	assert_int_equal(more[9], 7);
	free(more);
	p = calloc(10, 100);
	assert_non_null(p);
	assert_int_equal(p[999], 0);
	free(p);
	p = aligned_alloc(4096, 8192);
	assert_non_null(p);
	assert_true(((uintptr_t)p & 4095) == 0);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_thread_cannot_allocate),
		cmocka_unit_test(a_sealed_thread_may_free_and_others_may_allocate),
		cmocka_unit_test(before_the_seal_everything_allocates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
