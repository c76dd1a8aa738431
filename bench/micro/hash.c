/* SPDX-License-Identifier: Apache-2.0
 *
 * The keyed hash over names of channels: short, usual and longest.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "shim.h"

#define ROUND 64u

struct state {
	size_t len;
	char bytes[ROUND + 256];
};

static void *state_open(uint64_t len)
{
	struct state *s = micro_alloc(sizeof(*s));

	s->len = len;
	for (size_t i = 0; i < sizeof(s->bytes); i++)
		s->bytes[i] = (char)('a' + i % 26);
	return s;
}

static void hash(void *state)
{
	static const struct rc_hash_key key = {1, 2};
	const struct state *s = state;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ROUND; i++)
		sum += rc_hash(&key, s->bytes + i, s->len);
	micro_keep(sum);
}

static void hash_word(void *state)
{
	static const struct rc_hash_key key = {1, 2};
	uint64_t sum = 0;

	(void)state;
	for (uint32_t i = 0; i < ROUND; i++)
		sum += rc_hash_u64(&key, i);
	micro_keep(sum);
}

const struct micro_case micro_hash[] = {
	{"hash/word", 0, ROUND, 0, state_open, hash_word, free},
	{"hash/16B", 16, ROUND, ROUND * 16, state_open, hash, free},
	{"hash/32B", 32, ROUND, ROUND * 32, state_open, hash, free},
	{"hash/255B", 255, ROUND, ROUND * 255, state_open, hash, free},
	{0},
};
