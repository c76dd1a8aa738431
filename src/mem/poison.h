/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells AddressSanitizer which parts of our own pools nobody may touch, so that a use after put is reported like a use
 * after free. Nothing in other builds. Both ends of a range must be multiples of 8.
 */
#ifndef RC_MEM_POISON_H
#define RC_MEM_POISON_H

#include "base/base.h"

#if defined(__SANITIZE_ADDRESS__)
#define RC_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RC_ASAN 1
#endif
#endif

#ifdef RC_ASAN
#include <sanitizer/asan_interface.h>
#define RC_POISON(ptr, len)   __asan_poison_memory_region((ptr), (len))
#define RC_UNPOISON(ptr, len) __asan_unpoison_memory_region((ptr), (len))
/* For a function that keeps its list inside poisoned objects. */
#define RC_NO_ASAN __attribute__((no_sanitize("address"), noinline))
#else
#define RC_POISON(ptr, len)   ((void)(ptr), (void)(len))
#define RC_UNPOISON(ptr, len) ((void)(ptr), (void)(len))
#define RC_NO_ASAN
#endif

#endif
