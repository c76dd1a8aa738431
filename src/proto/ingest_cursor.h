/* SPDX-License-Identifier: Apache-2.0
 *
 * Two small cursors for the ingest frames: `struct in` reads from a slice and remembers that it ran out, `struct out`
 * writes into a buffer and remembers that it was too small; so each frame is a list of its fields, judged once, at
 * the end. Included by the files ingest*.c, binary.c and event_bin.c alone, which is why the names carry no prefix. Pure, any thread.
 */
#ifndef RC_PROTO_INGEST_CURSOR_H
#define RC_PROTO_INGEST_CURSOR_H

#include "proto/ingest.h"

#include <endian.h>
#include <errno.h>

/* ---- reading ----------------------------------------------------------------------------------- */

struct in {
	const unsigned char *at;
	size_t left;
	bool short_of; /* a field was not there: everything read since is zero */
};

static inline struct in in_of(struct rc_str body)
{
	return (struct in){(const unsigned char *)body.ptr, body.len, false};
}

static inline const unsigned char *take(struct in *in, size_t len)
{
	const unsigned char *at = in->at;

	if (in->short_of || in->left < len) {
		in->short_of = true;
		return NULL;
	}
	if (len != 0)
		in->at += len;
	in->left -= len;
	return at;
}

static inline uint8_t take_u8(struct in *in)
{
	const unsigned char *at = take(in, 1);

	return at ? at[0] : 0;
}

static inline uint16_t load_u16(const unsigned char *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return le16toh(value);
}

static inline uint32_t load_u32(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static inline uint16_t take_u16(struct in *in)
{
	const unsigned char *at = take(in, 2);

	return at ? load_u16(at) : 0;
}

static inline uint32_t take_u32(struct in *in)
{
	const unsigned char *at = take(in, 4);

	return at ? load_u32(at) : 0;
}

static inline uint64_t take_u64(struct in *in)
{
	const unsigned char *at = take(in, 8);
	uint64_t value = 0;

	if (at)
		memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

static inline struct rc_str take_bytes(struct in *in, size_t len)
{
	const unsigned char *at = take(in, len);
	return at && len ? (struct rc_str){(const char *)at, len} : (struct rc_str){"", 0};
}

static inline int all_read(const struct in *in)
{
	return in->short_of || in->left != 0 ? -EBADMSG : 0;
}

/* ---- writing ----------------------------------------------------------------------------------- */

struct out {
	unsigned char *first;
	size_t cap;
	size_t used; /* stays where it was when something did not fit */
	bool full;
};

static inline unsigned char *room(struct out *out, size_t len)
{
	unsigned char *at;

	if (out->full || out->cap - out->used < len) {
		out->full = true;
		return NULL;
	}
	at = out->first + out->used;
	out->used += len;
	return at;
}

static inline void store(unsigned char *at, uint64_t value, size_t len)
{
	value = htole64(value);
	memcpy(at, &value, len);
}

static inline void put(struct out *out, uint64_t value, size_t len)
{
	unsigned char *at = room(out, len);

	if (at)
		store(at, value, len);
}

static inline void put_bytes(struct out *out, struct rc_str bytes)
{
	unsigned char *at = room(out, bytes.len);

	if (at && bytes.len != 0)
		memcpy(at, bytes.ptr, bytes.len);
}

/* A string behind a length of prefix_len bytes; one that is too long for it counts as not fitting. */
static inline void put_str(struct out *out, struct rc_str text, size_t prefix_len)
{
	if (text.len >> (8 * prefix_len) != 0) {
		out->full = true;
		return;
	}
	put(out, text.len, prefix_len);
	put_bytes(out, text);
}

/* Words for people: cut rather than refused, and never inside a UTF-8 character. */
static inline void put_text(struct out *out, struct rc_str text)
{
	if (text.len > RINGCAST_TEXT_MAX) {
		text.len = RINGCAST_TEXT_MAX;
		while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xc0) == 0x80)
			text.len--;
	}
	put_str(out, text, 1);
}

static inline struct out out_of(void *first, size_t cap, uint8_t type, uint8_t flags)
{
	struct out out = {first, cap, 0, false};

	put(&out, 0, RINGCAST_WIRE_LENGTH_LEN);
	put(&out, type, 1);
	put(&out, flags, 1);
	put(&out, 0, 2);
	return out;
}

static inline size_t finish(struct out *out)
{
	if (out->full || out->used - RINGCAST_WIRE_LENGTH_LEN > UINT32_MAX)
		return 0;
	store(out->first, out->used - RINGCAST_WIRE_LENGTH_LEN, RINGCAST_WIRE_LENGTH_LEN);
	return out->used;
}

#endif
