/* SPDX-License-Identifier: Apache-2.0 */
#include "mem/seal.h"

#include <stdio.h>
#include <stdlib.h>

/* Names that the linker's --wrap gives. Weak, because without the flags nobody defines the real ones. */
void *__real_malloc(size_t size) __attribute__((weak));
void *__real_calloc(size_t count, size_t size) __attribute__((weak));
void *__real_realloc(void *ptr, size_t size) __attribute__((weak));
void *__real_aligned_alloc(size_t alignment, size_t size) __attribute__((weak));
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

#ifdef RC_DEBUG

static _Thread_local bool sealed;
static _Thread_local uint32_t suspended;

void rc_seal_thread(void)
{
	sealed = true;
}

void rc_seal_suspend(void)
{
	suspended++;
}

void rc_seal_resume(void)
{
	RC_ASSERT(suspended > 0);
	suspended--;
}

bool rc_seal_enforced(void)
{
	return __real_malloc != NULL;
}

static void check(const char *function, size_t size, const void *caller)
{
	if (RC_LIKELY(!sealed || suspended > 0))
		return;
	sealed = false;
	(void)fprintf(stderr,
		"ringcast: %s of %zu bytes on a data-path thread after start, called from %p\n",
		function, size, caller);
	abort();
}

#else

void rc_seal_thread(void)
{
}

void rc_seal_suspend(void)
{
}

void rc_seal_resume(void)
{
}

bool rc_seal_enforced(void)
{
	return false;
}

static inline void check(const char *function, size_t size, const void *caller)
{
	(void)function;
	(void)size;
	(void)caller;
}

#endif

void *__wrap_malloc(size_t size)
{
	check("malloc", size, __builtin_return_address(0));
	return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	check("calloc", count * size, __builtin_return_address(0));
	return __real_calloc(count, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
	check("realloc", size, __builtin_return_address(0));
	return __real_realloc(ptr, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	check("aligned_alloc", size, __builtin_return_address(0));
	return __real_aligned_alloc(alignment, size);
}
