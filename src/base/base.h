/* SPDX-License-Identifier: Apache-2.0
 *
 * What every file may use: slices, assertions, small arithmetic. No state, any thread.
 */
#ifndef RC_BASE_BASE_H
#define RC_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RC_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define RC_LIKELY(x)    __builtin_expect(!!(x), 1)
#define RC_UNLIKELY(x)  __builtin_expect(!!(x), 0)
#define RC_MUST_USE     __attribute__((warn_unused_result))
#define RC_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define RC_CACHE_LINE   64
#define RC_SHARDS_MAX   64 /* of one process: a set of them is the bits of one number */
/* Adjacent lines are fetched in pairs on x86 and are 128 bytes on some aarch64. */
#define RC_FALSE_SHARING 128
#define RC_MIN(a, b)     ((a) < (b) ? (a) : (b))
#define RC_MAX(a, b)     ((a) > (b) ? (a) : (b))
/* "No such index": the end of every list that is linked by u32 indices. */
#define RC_NONE UINT32_MAX

/* Always on: a programmer's error ends the process with file, line and the words of the condition. */
#define RC_ASSERT(cond)                                              \
	do {                                                         \
		if (RC_UNLIKELY(!(cond)))                            \
			rc_assert_failed(__FILE__, __LINE__, #cond); \
	} while (0)

/* A place that can't be reached. */
#define RC_FAIL(why) rc_assert_failed(__FILE__, __LINE__, why)

/* On the path of a delivery: only in the debug and sanitizer builds. */
#ifdef RC_DEBUG
#define RC_DASSERT(cond) RC_ASSERT(cond)
#else
#define RC_DASSERT(cond) ((void)sizeof(!(cond)))
#endif

_Noreturn void rc_assert_failed(const char *file, int line, const char *cond);

/* Bytes that somebody else owns. Never NUL-terminated by promise. The zero value is the empty slice. */
struct rc_str {
	const char *ptr;
	size_t len;
};

#define RC_STR(literal) ((struct rc_str){("" literal), sizeof(literal) - 1})

static inline struct rc_str rc_str_of(const char *text)
{
	return (struct rc_str){text, strlen(text)};
}

static inline bool rc_str_eq(struct rc_str a, struct rc_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Copies the bytes and returns the place behind them. An empty slice may have no address, which memcpy would not take. */
static inline void *rc_str_copy(void *out, struct rc_str s)
{
	if (s.len)
		memcpy(out, s.ptr, s.len);
	return (char *)out + s.len;
}

static inline bool rc_str_starts(struct rc_str s, struct rc_str prefix)
{
	return s.len >= prefix.len &&
	       (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline uint64_t rc_align_up(uint64_t value, uint64_t pow2)
{
	return (value + pow2 - 1) & ~(pow2 - 1);
}

static inline bool rc_is_pow2(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/* Smallest power of two that is >= value; value must be 1 to 2^63. */
static inline uint64_t rc_pow2_ceil(uint64_t value)
{
	return value <= 1 ? 1 : (uint64_t)1 << (64 - __builtin_clzll(value - 1));
}

#endif
