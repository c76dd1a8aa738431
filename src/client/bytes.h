/* SPDX-License-Identifier: Apache-2.0
 *
 * Little-endian numbers in memory and the fields of a body, for the client library, which links with nothing of the gateway.
 * Pure.
 */
#ifndef RC_CLIENT_BYTES_H
#define RC_CLIENT_BYTES_H

#include <stdbool.h>
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

/* Takes fields off the front of a body; what is not there makes it short for good, and everything read since is empty. */
struct rc_client_body {
	const unsigned char *at;
	size_t left;
	bool short_of;
};

static inline const unsigned char *rc_client_take(struct rc_client_body *b, size_t len)
{
	const unsigned char *at = b->at;

	if (b->short_of || b->left < len) {
		b->short_of = true;
		return NULL;
	}
	b->at += len;
	b->left -= len;
	return at;
}

static inline uint64_t rc_client_take_number(struct rc_client_body *b, size_t len)
{
	const unsigned char *at = rc_client_take(b, len);

	return at ? rc_client_load(at, len) : 0;
}

/* A string behind its length, ended by a zero byte in out; what has no room makes the body short too. */
static inline size_t rc_client_take_text(
	struct rc_client_body *b, size_t prefix, char *out, size_t out_size)
{
	size_t len = (size_t)rc_client_take_number(b, prefix);
	const unsigned char *at;

	out[0] = 0;
	if (len >= out_size)
		b->short_of = true;
	at = rc_client_take(b, len);
	if (!at)
		return 0;
	memcpy(out, at, len);
	out[len] = 0;
	return len;
}

#endif
