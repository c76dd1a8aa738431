/* SPDX-License-Identifier: Apache-2.0
 *
 * SipHash-1-3, keyed: for every table whose keys a client chooses. Pure.
 */
#ifndef RC_BASE_HASH_H
#define RC_BASE_HASH_H

#include "base/base.h"

struct rc_hash_key {
	uint64_t k0, k1;
};

uint64_t rc_hash(const struct rc_hash_key *key, const void *bytes, size_t len);
/* The same for a single word, without the loop. Equal to rc_hash over the 8 little-endian bytes. */
uint64_t rc_hash_u64(const struct rc_hash_key *key, uint64_t word);

#endif
