/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of a channel on a shard: an append-only stream of encoded frames, and at the same time the output queue of every
 * subscriber. A position is the number of bytes since the log's birth; a subscriber is a position.
 *
 *   log ─▶ chunk ─▶ chunk ─▶ chunk          chunks are blocks of the arena, a channel that idles holds none
 *          ┌──────────────────────────────┐
 *          │ header │ frames →   ← index  │  a frame never straddles chunks, so a range within a chunk can be
 *          └──────────────────────────────┘  sent as it lies
 *
 * The index holds an entry per frame, growing down from the chunk's end. It tells where frames begin, how old they are
 * and what key they carry, so nobody parses a frame again.
 *
 * Nothing refers to a chunk's memory across a turn: sends end inside the submit. So trimming frees at once.
 * Owned by one shard. Invariants: head <= tail; chunks cover [head, tail) without holes; count_tail counts every frame
 * ever appended.
 */
#ifndef RC_HUB_LOG_H
#define RC_HUB_LOG_H

#include "base/base.h"
#include "mem/buddy.h"

struct rc_log_entry {
	uint32_t start;   /* byte offset from the chunk's first frame byte */
	uint32_t tick_ms; /* when it was appended, milliseconds since start, wraps */
	uint32_t
		time_ms; /* when the gateway took it in, low bits of milliseconds since 1970; never goes back along a log */
	uint32_t except; /* who is not to get it (rc_hub_except); 0 = it is for everybody */
	uint64_t key;    /* hash of the namespace's slow_key field; 0 = none */
	uint64_t stamp;  /* the owner's number of the event; grows along a log of one owner */
};

/* Chunks of all logs that are kept as history, in the order in which they began: the oldest goes first. */
struct rc_log_queue {
	struct rc_log_chunk *first, *last;
	struct rc_log_chunk *swept; /* where who looks through them goes on; NULL = at the first */
	uint64_t bytes;             /* of their blocks */
	uint64_t losses;            /* how often something was let go that somebody may want */
};

struct rc_log_chunk {
	struct rc_log_chunk *next;
	uint64_t pos;                       /* of the first byte of frames */
	uint64_t count_first;               /* ordinal of its first frame */
	uint32_t len;                       /* bytes of frames */
	uint32_t count;                     /* frames */
	uint32_t size;                      /* of the whole block */
	uint32_t tag;                       /* whose log this is, for who finds it in the queue */
	struct rc_log_chunk *older, *newer; /* in the queue, when the log is in one */
	unsigned char bytes[];
};

/* What is remembered of a frame. */
struct rc_log_mark {
	uint32_t tick_ms, time_ms;
	uint64_t key, stamp;
};

/* The zero value is an empty log. */
struct rc_log {
	struct rc_log_chunk *first;
	struct rc_log_chunk *last;
	uint64_t head;              /* oldest position that is kept */
	uint64_t tail;              /* where the next frame will begin */
	uint64_t count_tail;        /* frames ever appended */
	uint32_t chunk_next;        /* size of the next chunk: doubles while chunks fill up */
	uint32_t held;              /* bytes of all chunks */
	struct rc_log_queue *queue; /* its chunks are in this; NULL = in none */
	uint32_t tag;
	uint32_t trimmed_time_ms; /* of the newest frame that was trimmed */
	uint64_t trimmed_stamp;   /* the same; 0 = none was */
	uint64_t trimmed_when;    /* the queue's losses with that one */
	uint32_t time_ms;         /* of the newest frame */
};

/* A frame's place, for those who walk. */
struct rc_log_frame {
	uint64_t pos;
	uint64_t ordinal;
	uint32_t len;
	uint32_t tick_ms;
	uint32_t time_ms;
	uint32_t except;
	uint64_t key;
	uint64_t stamp;
	const unsigned char *bytes;
};

/* Largest frame that a log takes. */
#define RC_LOG_FRAME_MAX (8u << 20)

/* Room for a frame of at most len bytes at the tail, or NULL when the arena has none. */
unsigned char *rc_log_reserve(struct rc_log *log, struct rc_buddy *arena, uint32_t len) RC_MUST_USE;
/* The reserved room holds a frame of len bytes now. */
void rc_log_commit(struct rc_log *log, uint32_t len, const struct rc_log_mark *mark);
/* The newest frame is not for that one. */
void rc_log_except_last(struct rc_log *log, uint32_t except);
/* Bytes that can be sent from pos on without leaving its chunk: *out points at them. 0 at the tail. head <= pos <= tail. */
uint32_t rc_log_range(const struct rc_log *log, uint64_t pos, const unsigned char **out);
/*
 * As rc_log_range, for one who is not to get the frames that are marked with `except`: steps over those at *pos, and ends before the
 * next one. *pos is the beginning of a frame, or in one that is his.
 */
uint32_t rc_log_range_for(
	const struct rc_log *log, uint32_t except, uint64_t *pos, const unsigned char **out);
/* So many frames of [begin, end), both beginnings, are marked so. */
uint64_t rc_log_excepted(const struct rc_log *log, uint32_t except, uint64_t begin, uint64_t end);
/* The frame that holds pos (pos < tail) or begins there. */
void rc_log_frame_at(const struct rc_log *log, uint64_t pos, struct rc_log_frame *out);
/* The newest frame; the log must hold one. */
void rc_log_frame_last(const struct rc_log *log, struct rc_log_frame *out);
/* Ordinal of the oldest frame that is kept, count_tail when there is none. */
uint64_t rc_log_count_head(const struct rc_log *log);
/* The frame of that ordinal: count_head <= ordinal < count_tail. */
void rc_log_frame_number(const struct rc_log *log, uint64_t ordinal, struct rc_log_frame *out);
/* The first frame whose stamp is greater, that was appended at tick_ms or later, or taken in at time_ms or later: its ordinal,
 * count_tail when there is none. */
uint64_t rc_log_after_stamp(const struct rc_log *log, uint64_t stamp);
uint64_t rc_log_since_tick(const struct rc_log *log, uint32_t tick_ms);
uint64_t rc_log_since_time(const struct rc_log *log, uint32_t time_ms);
/* The log's chunks enter the queue, those that it has too; or leave it. */
void rc_log_enqueue(struct rc_log *log, struct rc_log_queue *queue, uint32_t tag);
void rc_log_dequeue(struct rc_log *log);
/* The next chunk of the log is not larger than this, rounded to what the arena gives, unless a frame is. */
void rc_log_plan(struct rc_log *log, uint32_t size_max);
/* Frees what lies wholly before pos, but never what is not yet before it. */
void rc_log_trim(struct rc_log *log, struct rc_buddy *arena, uint64_t pos);
/* Frees everything; head = tail. */
void rc_log_clear(struct rc_log *log, struct rc_buddy *arena);
void rc_log_check(const struct rc_log *log);

#endif
