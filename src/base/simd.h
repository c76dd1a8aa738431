/* SPDX-License-Identifier: Apache-2.0
 *
 * Sixteen bytes at a time, so that a loop is written once for x86_64 (SSE2, which every one has), aarch64 (NEON, likewise) and
 * plain C. A vector is a type of the compiler's own: ==, >=, &, |, ^ and ~ work on its bytes, a comparison yields FF or 00
 * in each. Only what has no operator is a function here. Pure, any thread.
 *
 * RC_SIMD_PLAIN does without the instructions of either: what unit tests build for comparison.
 */
#ifndef RC_BASE_SIMD_H
#define RC_BASE_SIMD_H

#include "base/base.h"

#if defined(__SSE2__) && !defined(RC_SIMD_PLAIN)
#include <emmintrin.h>
#define RC_SIMD_SSE2 1
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(RC_SIMD_PLAIN)
#include <arm_neon.h>
#define RC_SIMD_NEON 1
#endif

#define RC_V16 16u

typedef uint8_t rc_v16 __attribute__((vector_size(16)));

static inline rc_v16 rc_v16_load(const void *p)
{
	rc_v16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void rc_v16_store(void *p, rc_v16 v)
{
	memcpy(p, &v, sizeof(v));
}

static inline rc_v16 rc_v16_splat(uint8_t byte)
{
	return (rc_v16){byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte,
		byte, byte, byte, byte};
}

/* The eight bytes, and once more. */
static inline rc_v16 rc_v16_twice(uint64_t eight)
{
	return (rc_v16)(uint64_t __attribute__((vector_size(16)))){eight, eight};
}

/* A byte below 20 hex, unsigned; the compilers make more of a minimum than of a comparison. */
static inline rc_v16 rc_v16_below_space(rc_v16 v)
{
#if defined(RC_SIMD_SSE2)
	return (rc_v16)_mm_cmpeq_epi8(_mm_min_epu8((__m128i)v, _mm_set1_epi8(0x1f)), (__m128i)v);
#else
	return (rc_v16)(v < rc_v16_splat(0x20));
#endif
}

/* Which is the first byte that has its high bit, 0 to 15; 16 when none has. Made for what comparisons yield. */
static inline uint32_t rc_v16_first(rc_v16 v)
{
#if defined(RC_SIMD_SSE2)
	return (uint32_t)__builtin_ctz((uint32_t)_mm_movemask_epi8((__m128i)v) | 0x10000u);
#elif defined(RC_SIMD_NEON)
	/* Four bits of each byte, in order: the nearest that there is to a mask of bits. */
	uint8x16_t high = vreinterpretq_u8_s8(vshrq_n_s8(vreinterpretq_s8_u8((uint8x16_t)v), 7));
	uint64_t bits =
		vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(high), 4)), 0);
	return bits ? (uint32_t)__builtin_ctzll(bits) / 4 : RC_V16;
#else
	for (uint32_t i = 0; i < RC_V16; i++) {
		if (v[i] & 0x80)
			return i;
	}
	return RC_V16;
#endif
}

/* Other than 0 when any byte has its high bit. */
static inline uint64_t rc_v16_high(rc_v16 v)
{
#if defined(RC_SIMD_SSE2)
	return (uint32_t)_mm_movemask_epi8((__m128i)v);
#elif defined(RC_SIMD_NEON)
	return vmaxvq_u8((uint8x16_t)v) & 0x80u;
#else
	uint64_t word[2];

	memcpy(word, &v, sizeof(word));
	return (word[0] | word[1]) & 0x8080808080808080u;
#endif
}

/* The last `n` bytes (1 to 3) of what came before, then all of v but its own last n. n is a constant. */
#define rc_v16_behind(before, v, n)                                                             \
	__builtin_shufflevector(before, v, 16 - (n), 17 - (n), 18 - (n), 19 - (n), 20 - (n),    \
		21 - (n), 22 - (n), 23 - (n), 24 - (n), 25 - (n), 26 - (n), 27 - (n), 28 - (n), \
		29 - (n), 30 - (n), 31 - (n))

/*
 * table[index] for each byte of index, all of them below 16. x86_64 has it from SSSE3 on (2006), which is not in every one:
 * who calls this is marked RC_SIMD_LOOKUP_CODE, and asks rc_simd_has_lookup() before.
 */
#if defined(RC_SIMD_SSE2)
#include <tmmintrin.h>
#define RC_SIMD_LOOKUP_CODE __attribute__((target("ssse3")))
static inline bool rc_simd_has_lookup(void)
{
	return __builtin_cpu_supports("ssse3");
}

static inline RC_SIMD_LOOKUP_CODE __attribute__((always_inline)) rc_v16 rc_v16_lookup(
	rc_v16 table, rc_v16 index)
{
	return (rc_v16)_mm_shuffle_epi8((__m128i)table, (__m128i)index);
}
#elif defined(RC_SIMD_NEON)
#define RC_SIMD_LOOKUP_CODE
static inline bool rc_simd_has_lookup(void)
{
	return true;
}

static inline rc_v16 rc_v16_lookup(rc_v16 table, rc_v16 index)
{
	return (rc_v16)vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)index);
}
#else
#define RC_SIMD_LOOKUP_CODE
static inline bool rc_simd_has_lookup(void)
{
	return true;
}

static inline rc_v16 rc_v16_lookup(rc_v16 table, rc_v16 index)
{
	rc_v16 out = table;

	for (uint32_t i = 0; i < RC_V16; i++)
		out[i] = table[index[i] & 15];
	return out;
}
#endif

#endif
