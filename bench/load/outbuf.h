/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes that wait for a descriptor to take them. Grows by doubling and is never given back before the end. One owner.
 *
 *   ptr   | gone | waiting | free |
 *         0      at        len    cap
 */
#ifndef LOAD_OUTBUF_H
#define LOAD_OUTBUF_H

#include <stdlib.h>

#include "base/base.h"

struct load_outbuf {
	unsigned char *ptr;
	size_t at, len, cap;
};

/* Room for `more` bytes behind len: the place, valid until the next call; NULL: no memory, nothing has changed. Moves what waits. */
static inline unsigned char *load_outbuf_room(struct load_outbuf *b, size_t more)
{
	if (b->cap - b->len < more && b->at > 0) {
		memmove(b->ptr, b->ptr + b->at, b->len - b->at);
		b->len -= b->at;
		b->at = 0;
	}
	if (b->cap - b->len < more) {
		size_t cap = (size_t)rc_pow2_ceil(b->len + more);
		unsigned char *ptr = realloc(b->ptr, cap);

		if (ptr == NULL)
			return NULL;
		b->ptr = ptr;
		b->cap = cap;
	}
	return b->ptr + b->len;
}

static inline size_t load_outbuf_waiting(const struct load_outbuf *b)
{
	return b->len - b->at;
}

/* So many of the waiting bytes are gone. */
static inline void load_outbuf_took(struct load_outbuf *b, size_t len)
{
	b->at += len;
	if (b->at == b->len)
		b->at = b->len = 0;
}

#endif
