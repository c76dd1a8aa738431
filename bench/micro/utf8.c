/* SPDX-License-Identifier: Apache-2.0
 *
 * Text checked as UTF-8: ASCII, letters of two bytes (Cyrillic), of three (Chinese), and a text in which each third word has
 * one letter beyond ASCII. Beside each the same byte by byte, which src/base/utf8.c keeps for the ends of a text.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "shim.h"

#define ROUND  16u
#define ALIGN  64u
#define TEXT_4 4096u

enum kind { ASCII, TWO, THREE, MIXED };
#define CASE(kind, len) ((uint64_t)(kind) << 32 | (len))

struct state {
	size_t len;
	char bytes[ALIGN + TEXT_4 + 8];
};

static void *state_open(uint64_t arg)
{
	static const char *const letter[] = {"a", "\xd0\xb6", "\xe4\xb8\xad", "\xc3\xa4"};
	struct state *s = micro_alloc(sizeof(*s));
	enum kind kind = (enum kind)(arg >> 32);
	uint32_t at = 0;

	s->len = (uint32_t)arg;
	for (uint32_t n = 0; at < s->len; n++) {
		const char *one = kind == MIXED && n % 20 != 7 ? "e" : letter[kind];
		size_t len = strlen(one);

		if (at + len > s->len)
			one = ".", len = 1;
		memcpy(s->bytes + at, one, len);
		at += (uint32_t)len;
	}
	return s;
}

static void check(void *state)
{
	const struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i++)
		RC_ASSERT(rc_utf8_valid(s->bytes, s->len));
}

static void check_plain(void *state)
{
	const struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i++)
		RC_ASSERT(rc_utf8_feed_plain(RC_UTF8_ACCEPT, s->bytes, s->len) == RC_UTF8_ACCEPT);
}

#define BOTH(name, kind, len)                                                                      \
	{"utf8/" name, CASE(kind, len), ROUND, ROUND * (len), state_open, check, free},            \
	{                                                                                          \
		"utf8_plain/" name, CASE(kind, len), ROUND, ROUND *(len), state_open, check_plain, \
			free                                                                       \
	}

const struct micro_case micro_utf8[] = {
	BOTH("ascii/24B", ASCII, 24),
	BOTH("ascii/64B", ASCII, 64),
	BOTH("ascii/4KiB", ASCII, TEXT_4),
	BOTH("two/64B", TWO, 64),
	BOTH("two/4KiB", TWO, TEXT_4),
	BOTH("three/64B", THREE, 64),
	BOTH("three/4KiB", THREE, TEXT_4),
	BOTH("mixed/64B", MIXED, 64),
	BOTH("mixed/4KiB", MIXED, TEXT_4),
	{0},
};
