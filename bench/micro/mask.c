/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients send is masked. Short (a pong, a subscribe), usual and long messages; at an address that is a multiple of 64, and
 * three bytes further, as a header of six or eight bytes leaves them. Beside each the same without vectors.
 */
#include <stdlib.h>

#include "proto/websocket.h"
#include "shim.h"

#define ROUND    64u
#define MASK     0x0d0c0b0au
#define OFF(len) ((uint64_t)3 << 32 | (len))

struct state {
	unsigned char *at;
	size_t len;
	unsigned char bytes[16384 + 128];
};

static void *state_open(uint64_t arg)
{
	struct state *s = micro_alloc(sizeof(*s));

	s->len = (uint32_t)arg;
	s->at = (unsigned char *)(((uintptr_t)s->bytes + 63) & ~(uintptr_t)63) + (arg >> 32);
	return s;
}

static void mask(void *state)
{
	const struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i++)
		rc_ws_mask(s->at, s->len, MASK, 0);
}

static void mask_plain(void *state)
{
	const struct state *s = state;

	for (uint32_t i = 0; i < ROUND; i++)
		rc_ws_mask_plain(s->at, s->len, MASK, 0);
}

#define BOTH(name, arg, len)                                                               \
	{"mask/" name, arg, ROUND, ROUND * (len), state_open, mask, free},                 \
	{                                                                                  \
		"mask_plain/" name, arg, ROUND, ROUND *(len), state_open, mask_plain, free \
	}

const struct micro_case micro_mask[] = {
	BOTH("9B", 9, 9),
	BOTH("40B", 40, 40),
	BOTH("40B/off", OFF(40), 40),
	BOTH("128B", 128, 128),
	BOTH("128B/off", OFF(128), 128),
	BOTH("1KiB", 1024, 1024),
	BOTH("1KiB/off", OFF(1024), 1024),
	BOTH("16KiB", 16384, 16384),
	BOTH("16KiB/off", OFF(16384), 16384),
	{0},
};
