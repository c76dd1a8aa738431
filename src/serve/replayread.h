/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two halves of replays share: replay.c decides what can be given, replayread.c gives it.
 */
#ifndef RC_SERVE_REPLAYREAD_H
#define RC_SERVE_REPLAYREAD_H

#include "serve/replay.h"

static inline struct rc_replica *rc_replay_replica(
	const struct rc_serve *sv, const struct rc_replay *p)
{
	return rc_hub_replica(sv->hub, rc_hub_sub(sv->hub, p->sub)->replica);
}

/* The channel, pattern or stream that is meant. */
static inline const struct rc_replica *rc_replay_base(
	const struct rc_serve *sv, const struct rc_replay *p)
{
	return rc_hub_base(sv->hub, rc_replay_replica(sv, p));
}

static inline uint32_t rc_replay_shards(const struct rc_serve *sv)
{
	return sv->hub->limits.shards;
}

static inline uint64_t rc_replay_bit(uint32_t shard)
{
	return (uint64_t)1 << shard;
}

static inline uint64_t rc_replay_all(const struct rc_serve *sv)
{
	return rc_replay_shards(sv) == 64 ? UINT64_MAX : rc_replay_bit(rc_replay_shards(sv)) - 1;
}

/* ---- replay.c */

/* It goes on in this turn, or the next. */
void rc_replay_run(struct rc_serve *sv, uint32_t index);
/* From here on the log keeps what comes, and the owners are to be read up to what had come. */
void rc_replay_hold(struct rc_serve *sv, const struct rc_replay *p);
void rc_replay_read_the_last(struct rc_serve *sv, struct rc_replay *p);
/* A batch of so many events from one owner. False: no room. */
bool rc_replay_ask(struct rc_serve *sv, uint32_t index, uint32_t owner, struct rc_fetch *q,
	struct rc_str names);
/* The members of what is replayed, each behind its length. */
struct rc_str rc_replay_names(const struct rc_replica *r, char buf[RC_CHANNEL_MAX + 1]);

/* ---- replayread.c */

/* Its live events begin. */
void rc_replay_go_live(struct rc_serve *sv, uint32_t index);
/* Asks for what comes next, or goes live. */
void rc_replay_read(struct rc_serve *sv, uint32_t index);
void rc_replay_took_one(struct rc_serve *sv, uint32_t index, const struct rc_fetched *f);
void rc_replay_took_many(struct rc_serve *sv, uint32_t index, const struct rc_fetched *f);
void rc_replay_took_first(struct rc_serve *sv, uint32_t index, const struct rc_fetched *f);

#endif
