/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the replica's side share among themselves: replica.c (subscribers and their cursors), interest.c (asking the
 * owners), events.c (what the owners tell), history.c (what stays), fetch.c (what of it others get), stream.c (replicas that follow others).
 */
#ifndef RC_HUB_REPLICA_H
#define RC_HUB_REPLICA_H

#include "hub/hub.h"

/* By name, or RC_NONE. */
uint32_t rc_replica_named(const struct rc_hub *h, struct rc_str name, uint32_t hash);
/* A new one, which nobody was asked for yet. RC_NONE: no room. */
uint32_t rc_replica_create(struct rc_hub *h, struct rc_str name, uint32_t hash, bool pattern);
void rc_replica_destroy(struct rc_hub *h, uint32_t index);
/* Nobody needs it any more. */
void rc_replica_leave(struct rc_hub *h, uint32_t index);
/* Lets go of what neither a cursor nor the history needs; every cursor is at `low` or above. */
void rc_replica_trim(struct rc_hub *h, struct rc_replica *r, uint64_t low);
/* All cursors are at the tail. */
void rc_replica_settled(struct rc_hub *h, struct rc_replica *r);
void rc_replica_clear(struct rc_hub *h, struct rc_replica *r);
void rc_replica_mark_dirty(struct rc_hub *h, uint32_t index);
void rc_replica_unmark_dirty(struct rc_hub *h, uint32_t index);
/* Bytes of the log changed. */
void rc_replica_held_changed(struct rc_hub *h, const struct rc_replica *r, uint32_t before);

/* A cursor at the tail. RC_NONE: no room. */
uint32_t rc_replica_join(
	struct rc_hub *h, uint32_t index, uint32_t conn, uint32_t *first_sub, uint32_t flags);
/* The subscription of that connection to a channel, pattern or stream, or to a view of it; or RC_NONE. */
uint32_t rc_replica_find_by_base(
	const struct rc_hub *h, uint32_t conn, uint32_t first_sub, uint32_t base);
/* It was there without anybody who read it, and now somebody does. */
void rc_replica_used_again(struct rc_hub *h, uint32_t index);

/* Somebody reads it: subscribers, or streams that follow it. */
static inline bool rc_replica_used(const struct rc_replica *r)
{
	return r->count || (r->linked_count && r->rendition == RC_RENDITION_WS);
}

/* It stays while its subscribers and followers are told something, which may end them all. */
static inline bool rc_replica_pin(struct rc_replica *r)
{
	bool was = r->pinned;

	r->pinned = true;
	return was;
}

static inline void rc_replica_unpin(struct rc_hub *h, uint32_t index, bool was)
{
	struct rc_replica *r = rc_hub_replica(h, index);

	r->pinned = was;
	if (!was && !rc_replica_used(r) && r->owned == RC_NONE && r->state != RC_REPLICA_LEAVING)
		rc_replica_leave(h, index);
}

/* ---- history.c */

struct rc_history_bounds {
	uint64_t ordinal; /* of the oldest that is kept; count_tail: none is */
	uint64_t trimmed_stamp;
	uint32_t trimmed_time_ms;
};

/* What the namespace lets it keep; and all that is there, whatever that is. */
struct rc_history_bounds rc_history_bounds(const struct rc_hub *h, const struct rc_replica *r);
struct rc_history_bounds rc_history_bounds_of_log(const struct rc_replica *r);

/* The log's frames are the channel's last events without a hole. */
static inline uint64_t rc_history_offset(const struct rc_replica *r, uint64_t ordinal)
{
	return r->offset - (r->log.count_tail - 1 - ordinal);
}

static inline uint64_t rc_history_ordinal(const struct rc_replica *r, uint64_t offset)
{
	return r->log.count_tail - 1 - (r->offset - offset);
}

/* ---- interest.c */

/* The shards that order what it stands for. */
uint64_t rc_replica_owners(const struct rc_hub *h, const struct rc_replica *r);

/* Tells the owners what it wants, now or as soon as there is room. */
void rc_replica_ask(struct rc_hub *h, uint32_t index);
/* One more view of it, or one less, is deflated. */
void rc_replica_deflated(struct rc_hub *h, uint32_t index, bool more);
/* Somebody came back before the owners heard that all had left. */
void rc_replica_come_back(struct rc_hub *h, uint32_t index);

/* ---- stream.c. The member is pinned by the caller of the first two. What is said of streams holds for views. */

/* A member of streams has begun, or was refused. */
void rc_stream_member_ready(struct rc_hub *h, uint32_t member, bool taken);
/* An event of a member reaches the streams that follow it. */
void rc_stream_follow(struct rc_hub *h, uint32_t member, const struct rc_tell *t);
void rc_stream_leave(struct rc_hub *h, uint32_t stream);
/* It has a subscriber more, or (UINT32_MAX) one less. */
void rc_stream_counted(struct rc_hub *h, const struct rc_replica *stream, uint32_t more);

/* Follows the channel or pattern of that name. False: no room. */
bool rc_stream_add_member(struct rc_hub *h, uint32_t stream, struct rc_str name);

/* ---- view.c */

/* An event of its base; what was kept back until now is still kept. */
void rc_view_append(struct rc_hub *h, uint32_t view, const struct rc_tell *t);
/* Its frames are deflated. */
bool rc_view_deflates(const struct rc_replica *r);
/* Its last subscriber has gone. */
void rc_view_free(struct rc_hub *h, uint32_t view);

/* ---- events.c */

/* What comes through a pattern says how far the stream is: the frame becomes one that does, until the next event. */
void rc_events_position(struct rc_hub *h, struct rc_tell *t);

/* Room for an event of at most len bytes; NULL: it can't be delivered, which those who care were told. */
unsigned char *rc_replica_room(struct rc_hub *h, uint32_t index, uint32_t len);
/* The same; but where there is none nothing is done about it. */
unsigned char *rc_replica_reserve(struct rc_hub *h, struct rc_replica *r, uint32_t len);
/* The room holds it. */
void rc_replica_appended(struct rc_hub *h, uint32_t index, const struct rc_tell *t,
	const unsigned char *frame, uint32_t len);

#endif
