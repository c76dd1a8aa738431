/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring of variable-length records between exactly one writing and one reading thread: how shards talk. Lock-free, no
 * read-modify-write; a record is always contiguous.
 *
 *   header (its own lines):  head | cached tail        written by the reader
 *                            tail | cached head        written by the writer
 *   data, capacity a power of two:
 *     record = u32 len (payload bytes) | u32 type | payload | padding to 8
 *     a record that would cross the end is preceded by a PAD record that fills up to it
 *
 * head and tail are 64-bit byte positions that only grow. The writer reserves, fills, and commits; many commits become
 * visible with one release store (rc_spsc_publish), the reader gives a batch back with one as well.
 *
 *   writer: tail.store(release)  pairs with  reader: tail.load(acquire)
 *   reader: head.store(release)  pairs with  writer: head.load(acquire)
 */
#ifndef RC_SYNC_SPSC_H
#define RC_SYNC_SPSC_H

#include <stdatomic.h>

#include "base/base.h"

#define RC_SPSC_RECORD_HEADER 8u
#define RC_SPSC_TYPE_PAD      UINT32_MAX

struct rc_spsc {
	/* writer's lines */
	_Alignas(RC_FALSE_SHARING) _Atomic uint64_t tail;
	uint64_t tail_local;  /* committed, not yet published */
	uint64_t head_cached; /* the writer's last look at head */
	/* reader's lines */
	_Alignas(RC_FALSE_SHARING) _Atomic uint64_t head;
	uint64_t head_local;
	uint64_t tail_cached;
	/* read by both, never written after init */
	_Alignas(RC_FALSE_SHARING) unsigned char *data;
	uint64_t capacity;
};

struct rc_spsc_record {
	uint32_t type;
	uint32_t len;
	const void *payload; /* 8-byte aligned; borrowed until rc_spsc_consume */
};

/* data: capacity bytes (a power of two, >= 4096), aligned to 8. */
void rc_spsc_init(struct rc_spsc *q, void *data, size_t capacity);
/* Largest payload that always fits into an empty ring: capacity / 2 - header. */
size_t rc_spsc_payload_max(const struct rc_spsc *q);

/* Writer: room for a payload of len (<= payload_max), or NULL when the ring is too full. The same pointer comes again
 * until rc_spsc_commit; nothing is visible before rc_spsc_publish. */
void *rc_spsc_reserve(struct rc_spsc *q, size_t len) RC_MUST_USE;
/* Writer: would a reserve of len succeed now? */
bool rc_spsc_has_room(struct rc_spsc *q, size_t len);
/* Writer: the reserved record gets its type and final length, which may be less than reserved. */
void rc_spsc_commit(struct rc_spsc *q, uint32_t type, size_t len);
/* Writer: makes all that was committed visible. True when there was something. */
bool rc_spsc_publish(struct rc_spsc *q);
/* Writer: bytes in the ring by its last look, 0 to capacity; for metrics and back-pressure. */
size_t rc_spsc_used(const struct rc_spsc *q);

/* Reader: the oldest record that was not consumed, without taking it; false when there is none. */
bool rc_spsc_peek(struct rc_spsc *q, struct rc_spsc_record *out);
/* Reader: takes the record that peek returned. Its memory goes back to the writer with rc_spsc_release. */
void rc_spsc_consume(struct rc_spsc *q, const struct rc_spsc_record *record);
void rc_spsc_release(struct rc_spsc *q);
/* Reader: nothing to read, by a fresh look at tail. */
bool rc_spsc_empty(struct rc_spsc *q);

#endif
