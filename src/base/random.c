/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/logline.h"

void rc_random_bytes(void *out, size_t len)
{
	unsigned char *p = out;
	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			rc_error_line("getrandom(2) failed: %s. Nothing here is safe without it: "
				      "allow the system call in the sandbox (seccomp) that "
				      "ringcast runs in",
				strerror(errno));
			_exit(1);
		}
		p += n;
		len -= (size_t)n;
	}
}

uint64_t rc_random_secret(struct rc_random_pool *pool)
{
	if (pool->left == 0) {
		rc_random_bytes(pool->word, sizeof(pool->word));
		pool->left = RC_ARRAY_LEN(pool->word);
	}
	uint64_t *place = &pool->word[--pool->left];
	uint64_t word = *place;
	/* What was given out is not kept. */
	*place = 0;
	return word;
}

static inline uint64_t rotl(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

/* The state must not be all zero and near seeds should give far streams, so the seed runs through splitmix64. */
void rc_prng_seed(struct rc_prng *prng, uint64_t seed)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(prng->s); i++) {
		seed += 0x9e3779b97f4a7c15u;
		uint64_t z = seed;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		prng->s[i] = z ^ z >> 31;
	}
}

uint64_t rc_prng_next(struct rc_prng *prng)
{
	uint64_t *s = prng->s;
	uint64_t result = rotl(s[1] * 5, 7) * 9;
	uint64_t shifted = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotl(s[3], 45);
	return result;
}

/* The high half of a product is the result; the low half tells the few products that would favour some results. */
uint32_t rc_prng_below(struct rc_prng *prng, uint32_t bound)
{
	RC_ASSERT(bound > 0);
	uint64_t product = (rc_prng_next(prng) >> 32) * bound;
	if (RC_UNLIKELY((uint32_t)product < bound)) {
		/* 2^32 modulo bound */
		uint32_t excess = (uint32_t)(0 - bound) % bound;
		while ((uint32_t)product < excess)
			product = (rc_prng_next(prng) >> 32) * bound;
	}
	return (uint32_t)(product >> 32);
}
