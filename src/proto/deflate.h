/* SPDX-License-Identifier: Apache-2.0
 *
 * DEFLATE of whole messages, each by itself, as permessage-deflate has them (RFC 7692, section 7.2): what is made ends in front of the
 * 00 00 ff ff that a flush leaves, what is read has it put behind. zlib does the work, in memory that is given at start: one of each
 * belongs to a shard, whatever number of clients it has. After init nothing is allocated. One thread.
 */
#ifndef RC_PROTO_DEFLATE_H
#define RC_PROTO_DEFLATE_H

#include "base/base.h"

#define RC_DEFLATE_LEVEL_MIN 1
#define RC_DEFLATE_LEVEL_MAX 9

#define RC_DEFLATE_BITS_MIN 9 /* zlib makes no window of 8 */
#define RC_DEFLATE_BITS_MAX 15

/* ---- making ------------------------------------------------------------------------------------- */

struct rc_deflater;

/* Bytes of memory that a deflater takes, aligned to 64. */
size_t rc_deflater_bytes(void);
/* In that memory; level: 1 the fastest to 9 the smallest. */
struct rc_deflater *rc_deflater_init(void *memory, int level);
/*
 * The whole message at once, with a window of 9 to 15 bits. Bytes that are to be sent of what was written to out; 0: it found no room in
 * cap, of which four bytes and one are for what is not sent. So who wants to save something gives less than len.
 */
size_t rc_deflate(struct rc_deflater *d, int window_bits, const void *bytes, size_t len, void *out,
	size_t cap) RC_MUST_USE;
/* The window that a message of that length is made with; who has any that gives the same gets the same bytes. */
static inline int rc_deflate_window(int window_bits, size_t len)
{
	/* No distance is longer than the message. */
	return len <= (size_t)1 << window_bits ? RC_DEFLATE_BITS_MAX : window_bits;
}

/* ---- reading ------------------------------------------------------------------------------------ */

struct rc_inflater;

enum rc_inflated {
	RC_INFLATED,
	RC_INFLATE_BROKEN,  /* no DEFLATE, or cut before its end */
	RC_INFLATE_TOO_BIG, /* more than was allowed, in bytes or blocks */
};

size_t rc_inflater_bytes(void);
struct rc_inflater *rc_inflater_init(void *memory);
/*
 * A whole message, its frames behind each other: to out, at most cap bytes, and out has one more. Blocks may end (BFINAL) and others follow behind the
 * byte that they end in, as section 7.2.3.5 has it. Nothing at all is broken: an empty message is a byte of 0 (7.2.3.6).
 * Blocks cost without giving anything, so a message has a number of them that goes with its length.
 */
RC_MUST_USE enum rc_inflated rc_inflate(struct rc_inflater *f, const void *bytes, size_t len,
	void *out, size_t cap, size_t *out_len);
/* Blocks that a message of len bytes may have. */
static inline size_t rc_inflate_blocks_max(size_t len)
{
	return 64 + len / 64;
}

#endif
