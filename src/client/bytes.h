/* SPDX-License-Identifier: Apache-2.0
 *
 * Little-endian numbers in memory, for the client library, which links with nothing of the gateway. Pure.
 */
#ifndef RC_CLIENT_BYTES_H
#define RC_CLIENT_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t rc_client_load(const unsigned char *at, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

/* Returns the place behind it, as do the others that write. */
static inline unsigned char *rc_client_store(unsigned char *at, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		at[i] = (unsigned char)(value >> (8 * i));
	return at + len;
}

static inline unsigned char *rc_client_store_bytes(unsigned char *at, const void *bytes, size_t len)
{
	if (len != 0)
		memcpy(at, bytes, len);
	return at + len;
}

#endif
