/* SPDX-License-Identifier: Apache-2.0
 *
 * Giving a subscriber what it missed, before its live events.
 *
 *   NEW ─ its channels have begun ─▶ CHECKING ─ the owners say what is there ─▶ ANSWERED ─ it is told ─▶ READING
 *                                                                                                          │
 *     one owner: where its last batch ends the live stream begins, since both come through one ring        ▼
 *     several:   the cursor is held at the tail, and what the owners had up to the stamps that had come  LAST ─▶ live
 *                by then is read. When that is much, the cursor is let go and each owner read to its
 *                present first
 *
 * A batch is asked for when the client has taken the one before: so a replay goes at the reader's speed and needs no memory of
 * its own. Where the history lies on this very shard, and the client reads it as it lies, none of this happens: its cursor is set back.
 *
 * Owned by the shard of the connection. A replay belongs to a subscription, which knows it by listed_next.
 */
#ifndef RC_SERVE_REPLAY_H
#define RC_SERVE_REPLAY_H

#include "proto/since.h"
#include "serve/serve.h"

/* In the slot of a fetch: it belongs to a request for history (history.c). */
#define RC_REPLAY_HISTORY_SLOT 0x80000000u

enum rc_replay_phase {
	RC_REPLAY_NEW,
	RC_REPLAY_CHECKING,
	RC_REPLAY_ANSWERED,
	RC_REPLAY_READING,
	RC_REPLAY_LAST,
};

enum rc_replay_what { RC_REPLAY_SINCE, RC_REPLAY_FIRST /* what a new subscriber gets at once */ };

struct rc_replay {
	uint32_t conn, sub;
	uint32_t place;      /* in its request */
	uint32_t next, prev; /* of those to go on with */
	uint32_t owner;      /* the one, or of FIRST the one that is read now */
	uint32_t name_at;    /* FIRST: which member is read now */
	uint8_t what, phase, verdict;
	uint8_t kind; /* enum rc_since_kind */
	bool broad;   /* several channels or patterns: `stamps` counts, not `after` */
	bool listed;
	bool asking;  /* an answer may come before the question returns */
	bool checked; /* broad, LAST: the verdict was given after the cursor was held */
	uint64_t epoch;
	uint64_t until; /* FIRST, of one channel: events behind this stamp come as live ones */
	uint64_t after; /* offset of the one channel; a time; of FIRST a place */
	uint64_t *
		stamps; /* broad: by owner, what the client has; behind them those up to which LAST reads, and of which losses it knows */
	uint64_t due;   /* owners whose answer has not come */
	uint64_t left;  /* owners that are still to be asked */
};

size_t rc_replay_bytes(const struct rc_config *config);
void rc_replay_init(struct rc_serve *sv, void *memory);
/* The paused subscription is to be given what came since, or the newest events. RC_NONE: no room. */
uint32_t rc_replay_open(struct rc_serve *sv, struct rc_conn *c, uint32_t sub,
	enum rc_replay_what what, const struct rc_since *since);
struct rc_replay *rc_replay_at(const struct rc_serve *sv, uint32_t replay);
/* Its channels have begun. False: there is nothing to ask, the verdict stands. */
bool rc_replay_check(struct rc_serve *sv, uint32_t replay);
/* The client was told: what it missed follows. The replay is over when the subscription is no longer REPLAYING. */
void rc_replay_start(struct rc_serve *sv, uint32_t replay);
/* The subscription ends. */
void rc_replay_close(struct rc_serve *sv, uint32_t replay);
/* The replay of a subscription, or RC_NONE. */
uint32_t rc_replay_of(const struct rc_serve *sv, uint32_t sub);
/* It waits for an answer to its first question. */
static inline bool rc_replay_undecided(const struct rc_replay *p)
{
	return p->phase < RC_REPLAY_ANSWERED;
}
/* There is something to give, whole or not. */
bool rc_replay_wanted(const struct rc_replay *p);
/* Where the client stands, or where its live events begin when nothing is given before them, as text. */
struct rc_str rc_replay_position(struct rc_serve *sv, const struct rc_replay *p, char *out);
const char *rc_replay_reason(enum rc_verdict verdict);

#endif
