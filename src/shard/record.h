/* SPDX-License-Identifier: Apache-2.0
 *
 * What crosses between shards: a record is one of the structs below and the bytes that belong to it, as they lie. Asks may need room in
 * tells, and wait in their ring without it; tells never need room anywhere (route.c). One thread.
 */
#ifndef RC_SHARD_RECORD_H
#define RC_SHARD_RECORD_H

#include "proto/trace.h"
#include "serve/survey.h"
#include "shard/shard.h"

enum record {
	/* asks */
	REC_PUBLISH = 1,
	REC_INTEREST,
	REC_CLAIM,
	REC_GIVE_BACK,
	REC_FETCH,
	REC_API_ASK,
	REC_SURVEY,
	REC_USER_ASK,
	REC_PRESENCE_CHANGE,
	REC_PRESENCE_ASK,
	REC_COMMAND_ASK,
	REC_CONSUMER_ASK,
	/* tells */
	REC_EVENT,
	REC_INTEREST_OK,
	REC_OUTCOME,
	REC_GRANT,
	REC_EVICT,
	REC_FETCHED,
	REC_STAMP,
	REC_API_TELL,
	REC_SURVEYED,
	REC_USER_TELL,
	REC_PRESENCE_TOLD,
	REC_COMMAND_TELL,
	REC_CONSUMER_TOLD,
};

struct publish_record {
	struct rc_publisher_ref from;
	uint64_t timestamp_ms;
	uint64_t taken_ns;
	uint64_t time_ms;
	uint32_t hash;
	uint32_t data_len;
	uint16_t channel_len;
	uint8_t event_len;
	bool json;
	bool traced;
	bool muted;
	struct rc_mute mute;
	char bytes[]; /* trace, channel, event, data */
};

struct interest_record {
	uint32_t shard, replica, token;
	uint16_t name_len;
	bool on, deflated;
	char name[];
};

struct id_record {
	struct rc_holder who;
	uint64_t sequence;
	uint32_t id_len;
	char id[RC_PUBLISHER_ID_MAX];
};

struct grant_record {
	struct rc_holder to;
	uint64_t sequence;
	bool taken;
};

struct fetch_record {
	struct rc_fetch fetch; /* names: behind it */
	char names[];
};

struct fetched_record {
	struct rc_fetched fetched; /* frames: behind it */
	unsigned char frames[];
};
_Static_assert(sizeof(struct rc_fetched) % 8 == 0, "frames stand at multiples of 8");

struct presence_record {
	uint32_t hash;
	int32_t connections, anonymous, unlisted;
	uint16_t channel_len, user_len, info_len;
	char bytes[]; /* channel, user, info */
};

struct presence_ask_record {
	struct rc_presence_ask ask; /* channel: behind it */
	char channel[];
};

struct presence_told_record {
	struct rc_presence_told told; /* users: behind it */
	char users[];
};
_Static_assert(sizeof(struct presence_told_record) <= sizeof(struct fetched_record),
	"fetch_room is asked for both");

struct consumer_ask_record {
	struct rc_consumer_ask ask; /* channel, user, client: behind it */
	char bytes[];
};

struct consumer_told_record {
	struct rc_consumer_told told; /* frame: behind it */
	unsigned char frame[];
};

struct event_record {
	uint64_t epoch, offset, key, taken_ns, stamp, time_ms;
	uint32_t hash;
	uint32_t frame_len;
	uint16_t name_len;
	bool direct, pattern, muted, deflated;
	/* struct rc_mute where it is muted, a u32 with the length where it is deflated too (0: not worth it), name, frame, deflated */
	char bytes[];
};

/* The rings of a pair: what this shard writes, and what it reads. */
static inline struct rc_pair *rc_route_to(const struct rc_shard *s, uint32_t shard)
{
	return rc_gateway_pair(s->gateway, s->index, shard);
}

static inline struct rc_pair *rc_route_from(const struct rc_shard *s, uint32_t shard)
{
	return rc_gateway_pair(s->gateway, shard, s->index);
}

static inline void rc_route_commit(
	struct rc_shard *s, struct rc_spsc *ring, uint32_t shard, enum record type, size_t len)
{
	rc_spsc_commit(ring, type, len);
	rc_count(s->counters, RC_C_ring_records_out, 1);
	s->touched |= (uint64_t)1 << shard;
}

/* False: no room. */
static inline bool rc_route_put(struct rc_shard *s, struct rc_spsc *ring, uint32_t shard,
	enum record type, const void *bytes, size_t len)
{
	void *room = rc_spsc_reserve(ring, len);

	if (!room) {
		rc_count(s->counters, RC_C_ring_full, 1);
		return false;
	}
	memcpy(room, bytes, len);
	rc_route_commit(s, ring, shard, type, len);
	return true;
}

#endif
