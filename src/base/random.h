/* SPDX-License-Identifier: Apache-2.0
 *
 * Randomness: the kernel's for what must not be guessed, a small generator for jitter.
 */
#ifndef RC_BASE_RANDOM_H
#define RC_BASE_RANDOM_H

#include "base/base.h"

/* Fills from getrandom(2). Ends the process with a message when the kernel refuses, which only a broken sandbox does. */
void rc_random_bytes(void *out, size_t len);

/*
 * Unguessable words out of a buffer that one thread owns, refilled from the kernel 512 bytes at a time: a system call
 * per 64 words. The zero value is valid.
 */
struct rc_random_pool {
	uint32_t left;
	uint64_t word[64];
};
uint64_t rc_random_secret(struct rc_random_pool *pool);

/* xoshiro256**: jitter and spreading, never secrets. One thread each. */
struct rc_prng {
	uint64_t s[4];
};
void rc_prng_seed(struct rc_prng *prng, uint64_t seed);
uint64_t rc_prng_next(struct rc_prng *prng);
/* Evenly 0 to bound - 1; bound > 0. */
uint32_t rc_prng_below(struct rc_prng *prng, uint32_t bound);

#endif
