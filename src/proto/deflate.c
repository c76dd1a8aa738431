/* SPDX-License-Identifier: Apache-2.0
 *
 * zlib, in memory of ours. See deflate.h.
 */
#include "proto/deflate.h"

#include <assert.h>
#include <zlib.h>

/*
 * What one stream may take: zlib needs 200 KB for the window of 15 bits, and successors of it that stand in for it in some
 * distributions up to twice that. What is not used is never touched.
 */
#define DEFLATE_ROOM (512u << 10)
#define INFLATE_ROOM (128u << 10)
/* Of 9: smaller tables to clear for each message than zlib's usual 8, and the same result for messages up to 16 KiB. */
#define MEM_LEVEL 7
/* 00 00 ff ff: the lengths of the empty block that a flush ends with. */
#define TAIL 4u

/* Memory that is taken from the front and only given back as a whole. */
struct room {
	unsigned char *at;
	size_t used, size;
};

struct stream {
	z_stream z;
	struct room room;
	int bits; /* 0 = there is none yet */
};

struct rc_deflater {
	int level;
	struct stream widest; /* 15 bits: what nearly all messages are made with */
	struct stream other;  /* one of the others, made anew when another one is wanted */
};

struct rc_inflater {
	z_stream z;
	struct room room;
};

static_assert(RC_CACHE_LINE == 64, "rooms begin at lines of their own");

static void *room_take(void *opaque, unsigned items, unsigned size)
{
	struct room *r = opaque;
	size_t wanted = rc_align_up((size_t)items * size, 64);

	if (wanted > r->size - r->used)
		return NULL;
	r->used += wanted;
	return r->at + r->used - wanted;
}

static void room_give(void *opaque, void *address)
{
	(void)opaque;
	(void)address;
}

/* ---- making ------------------------------------------------------------------------------------- */

size_t rc_deflater_bytes(void)
{
	return rc_align_up(sizeof(struct rc_deflater), 64) + 2 * (size_t)DEFLATE_ROOM;
}

static void open_stream(struct stream *s, int level, int bits)
{
	s->room.used = 0;
	s->z = (z_stream){.zalloc = room_take, .zfree = room_give, .opaque = &s->room};
	int result = deflateInit2(&s->z, level, Z_DEFLATED, -bits, MEM_LEVEL, Z_DEFAULT_STRATEGY);
	/* The room is enough for every window: the largest was made at start. */
	RC_ASSERT(result == Z_OK);
	s->bits = bits;
}

struct rc_deflater *rc_deflater_init(void *memory, int level)
{
	struct rc_deflater *d = memory;
	unsigned char *rooms = (unsigned char *)memory + rc_align_up(sizeof(*d), 64);

	RC_ASSERT(level >= RC_DEFLATE_LEVEL_MIN && level <= RC_DEFLATE_LEVEL_MAX);
	memset(d, 0, sizeof(*d));
	d->level = level;
	d->widest.room = (struct room){rooms, 0, DEFLATE_ROOM};
	d->other.room = (struct room){rooms + DEFLATE_ROOM, 0, DEFLATE_ROOM};
	open_stream(&d->widest, level, RC_DEFLATE_BITS_MAX);
	return d;
}

size_t rc_deflate(struct rc_deflater *d, int window_bits, const void *bytes, size_t len, void *out,
	size_t cap)
{
	int bits = rc_deflate_window(window_bits, len);
	struct stream *s = bits == RC_DEFLATE_BITS_MAX ? &d->widest : &d->other;

	RC_ASSERT(window_bits >= RC_DEFLATE_BITS_MIN && window_bits <= RC_DEFLATE_BITS_MAX);
	RC_ASSERT(len <= UINT32_MAX && cap <= UINT32_MAX);
	if (s->bits != bits)
		open_stream(s, d->level, bits);
	else
		(void)deflateReset(&s->z);
	s->z.next_in = (z_const Bytef *)(uintptr_t)bytes;
	s->z.avail_in = (uInt)len;
	s->z.next_out = out;
	s->z.avail_out = (uInt)cap;
	(void)deflate(&s->z, Z_SYNC_FLUSH);
	/* With room left over the flush is complete, and its tail is there. */
	return s->z.avail_out > 0 ? s->z.total_out - TAIL : 0;
}

/* ---- reading ------------------------------------------------------------------------------------ */

size_t rc_inflater_bytes(void)
{
	return rc_align_up(sizeof(struct rc_inflater), 64) + INFLATE_ROOM;
}

struct rc_inflater *rc_inflater_init(void *memory)
{
	struct rc_inflater *f = memory;

	memset(f, 0, sizeof(*f));
	f->room = (struct room){
		(unsigned char *)memory + rc_align_up(sizeof(*f), 64), 0, INFLATE_ROOM};
	f->z = (z_stream){.zalloc = room_take, .zfree = room_give, .opaque = &f->room};
	int result = inflateInit2(&f->z, -RC_DEFLATE_BITS_MAX);
	RC_ASSERT(result == Z_OK);
	return f;
}

/* It stands between two blocks. rest: bits of a byte that it has taken and not looked at. */
static bool between(const z_stream *z, int *rest)
{
	*rest = z->data_type & 7;
	return z->data_type & 128;
}

enum rc_inflated rc_inflate(struct rc_inflater *f, const void *bytes, size_t len, void *out,
	size_t cap, size_t *out_len)
{
	static const unsigned char tail[TAIL] = {0x00, 0x00, 0xff, 0xff};
	size_t blocks = rc_inflate_blocks_max(len);
	z_stream *z = &f->z;
	bool at_tail = false;
	int rest;

	RC_ASSERT(len <= UINT32_MAX && cap < UINT32_MAX);
	*out_len = 0;
	(void)inflateReset(z);
	z->next_in = (z_const Bytef *)(uintptr_t)bytes;
	z->avail_in = (uInt)len;
	z->next_out = out;
	/* One more than is allowed, so that it shows when there is more. */
	z->avail_out = (uInt)cap + 1;
	/* Each turn ends at the end of a block, or of what there is to read or to write. */
	for (;;) {
		int result = inflate(z, Z_BLOCK);
		bool ended = result == Z_STREAM_END;

		if (!ended && result != Z_OK && result != Z_BUF_ERROR)
			return RC_INFLATE_BROKEN;
		if (z->avail_out == 0)
			return RC_INFLATE_TOO_BIG;
		if (ended) {
			/* A last block. What follows begins with the next byte, and reaches back no further than here. */
			if (at_tail)
				return RC_INFLATE_BROKEN;
			if (z->avail_in == 0)
				break;
			(void)inflateReset(z);
		} else if (between(z, &rest)) {
			/* Its end is complete with or without the empty block that the tail belongs to. */
			if (z->avail_in == 0 && rest == 0)
				break;
		} else if (z->avail_in > 0 || at_tail) {
			return RC_INFLATE_BROKEN;
		} else {
			at_tail = true;
			z->next_in = (z_const Bytef *)(uintptr_t)tail;
			z->avail_in = sizeof(tail);
			continue;
		}
		if (blocks-- == 0)
			return RC_INFLATE_TOO_BIG;
	}
	*out_len = (size_t)(z->next_out - (unsigned char *)out);
	return RC_INFLATED;
}
