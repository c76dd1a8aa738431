/* SPDX-License-Identifier: Apache-2.0
 *
 * From where on a client wants events: `since` in its messages, in a query, in Last-Event-ID. And the request for history,
 * which is made of such points. Nothing is allocated. Pure, any thread.
 *
 *   "aaaaaaaaab@41"              behind this event of one channel
 *   "aaaaaaaaab~12.0.7"          behind this place in the stream of all channels
 *   "beginning"                  everything that is kept
 *   "2026-01-15T10:15:00.000Z"   from this moment on; also as milliseconds since 1970
 */
#ifndef RC_PROTO_SINCE_H
#define RC_PROTO_SINCE_H

#include "base/base.h"
#include "base/hash.h"
#include "proto/event.h"
#include "proto/message.h"

enum rc_since_kind {
	RC_SINCE_NONE,
	RC_SINCE_POSITION,
	RC_SINCE_STREAM,
	RC_SINCE_BEGINNING,
	RC_SINCE_TIME
};

/* Only the fields of its kind mean something. */
struct rc_since {
	enum rc_since_kind kind;
	uint32_t count;         /* stream: how many stamps */
	uint64_t epoch, offset; /* position; of stream the epoch only */
	uint64_t time_ms;
	uint64_t stamps[RC_SHARDS_MAX];
};

/* The text of a query, of a header, of a decoded JSON string: 0, or -EINVAL. */
RC_MUST_USE int rc_msg_since_text(struct rc_str decoded, struct rc_since *out);

/*
 * What the message's `since` says of one channel: 1, or 0 where it says nothing, or -EINVAL. Looks through the whole object;
 * for requests with many channels there is the table below.
 */
RC_MUST_USE int rc_msg_since_of(
	const struct rc_msg *m, struct rc_str channel, struct rc_since *out);

/* Channels that a `since` may name, so that a table of fixed size and keyed hash holds them. */
#define RC_SINCE_KEYS_MAX 2048

/*
 * Which channel's `since` stands where in the message. The caller's memory, 32 KiB, of which only what the message needs is
 * touched; it needs no preparation. Filled by rc_msg_since_check and valid as long as the message.
 */
struct rc_since_table {
	const struct rc_msg *m;
	struct rc_hash_key key;
	uint32_t mask;
	struct rc_since_slot {
		uint32_t pos; /* of the key's first quote in m->since.raw; 0: the slot is free */
		uint16_t len; /* of the key, quotes included */
		bool seen;    /* the request names this channel */
	} slots[2 * RC_SINCE_KEYS_MAX];
};

/*
 * The whole `since` of a subscribe against the channels that it names. 0: it is well-formed, stands for channels of this
 * request only, once each, and the position of a channel stands for a channel, and for one alone; then the table answers. -EINVAL
 * with the fault. Names that are no names are passed over: their error is another.
 */
RC_MUST_USE int rc_msg_since_check(struct rc_since_table *table, const struct rc_msg *m,
	const struct rc_hash_key *key, struct rc_msg_fault *fault);
/* 1, or 0 where the message says nothing of this channel. After a check that returned 0. */
RC_MUST_USE int rc_msg_since_find(
	const struct rc_since_table *table, struct rc_str channel, struct rc_since *out);

#define RC_HISTORY_LIMIT_DEFAULT 100
#define RC_HISTORY_LIMIT_MAX     1000

/* `history`, its fields decoded. At most one of since and before is there. */
struct rc_msg_history {
	char channel_text[RC_CHANNEL_MAX + 1];
	struct rc_str channel; /* in channel_text: the value can't be copied. Not classified */
	struct rc_since since;
	bool has_before;
	uint64_t before_epoch, before_offset;
	uint32_t limit;
};

/* 0, or -EINVAL with the fault. */
RC_MUST_USE int rc_msg_history_of(
	const struct rc_msg *m, struct rc_msg_history *out, struct rc_msg_fault *fault);

#endif
