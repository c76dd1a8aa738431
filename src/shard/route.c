/* SPDX-License-Identifier: Apache-2.0
 *
 * Between shards. Two rings per ordered pair: an ask may need room in tells, and waits in its ring without it; a tell never
 * needs room anywhere. So there is no cycle in which full rings wait for each other. This is the receiving side; what is put
 * into the rings is in routehub.c and routeserve.c.
 */
#include "shard/record.h"

#include "proto/event.h"
#include "serve/commands.h"

#define RECORDS_PER_TURN 4096u

static bool take_publish(struct rc_shard *s, const struct publish_record *r)
{
	struct rc_outcome outcome;
	struct rc_spsc *back = &rc_route_to(s, r->from.shard)->tells;
	const char *at = r->bytes;
	struct rc_publish p = {
		.from = r->from,
		.timestamp_ms = r->timestamp_ms,
		.taken_ns = r->taken_ns,
		.time_ms = r->time_ms,
		.hash = r->hash,
		.json = r->json,
		.mute = r->muted ? &r->mute : NULL,
	};

	if (!rc_spsc_has_room(back, sizeof(outcome)))
		return false;
	if (r->traced) {
		p.trace = (const unsigned char *)at;
		at += RC_TRACE_BYTES;
	}
	p.channel = (struct rc_str){at, r->channel_len};
	p.event = (struct rc_str){at + r->channel_len, r->event_len};
	p.data = (struct rc_str){at + r->channel_len + r->event_len, r->data_len};
	if (!rc_owner_publish(&s->hub, &p, &outcome))
		return false;
	if (!rc_route_put(s, back, r->from.shard, REC_OUTCOME, &outcome, sizeof(outcome)))
		RC_FAIL("room for an outcome was asked for before");
	return true;
}

/* The piece is made in the ring itself. */
static bool take_survey(struct rc_shard *s, const struct rc_survey_ask *ask)
{
	struct rc_spsc *back = &rc_route_to(s, ask->shard)->tells;
	struct rc_survey_piece *piece = rc_spsc_reserve(back, sizeof(*piece));

	if (!piece)
		return false;
	rc_survey_piece(&s->serve, ask, piece);
	rc_route_commit(s, back, ask->shard, REC_SURVEYED,
		offsetof(struct rc_survey_piece, bytes) + piece->len);
	return true;
}

/* False: no room for what follows from it. */
static bool take_ask(struct rc_shard *s, const struct rc_spsc_record *record)
{
	switch (record->type) {
	case REC_PUBLISH:
		return take_publish(s, record->payload);
	case REC_INTEREST: {
		const struct interest_record *r = record->payload;
		struct rc_interest ask = {
			.name = {r->name, r->name_len},
			.shard = r->shard,
			.replica = r->replica,
			.token = r->token,
			.on = r->on,
			.deflated = r->deflated,
		};
		return rc_owner_interest(&s->hub, &ask);
	}
	case REC_CLAIM: {
		const struct id_record *r = record->payload;
		return rc_home_claim(&s->home, (struct rc_str){r->id, r->id_len}, &r->who);
	}
	case REC_GIVE_BACK: {
		const struct id_record *r = record->payload;
		return rc_home_return(&s->home, (struct rc_str){r->id, r->id_len}, &r->who,
			r->sequence, s->hub.now_s);
	}
	case REC_FETCH: {
		const struct fetch_record *r = record->payload;
		struct rc_fetch q = r->fetch;
		q.names.ptr = r->names;
		return rc_owner_fetch(&s->hub, &q);
	}
	case REC_API_ASK:
		return rc_api_asked(&s->serve, record->payload, record->len);
	case REC_SURVEY:
		return take_survey(s, record->payload);
	case REC_USER_ASK:
		return rc_users_asked(&s->serve, record->payload, record->len);
	case REC_COMMAND_ASK:
		return rc_commands_asked(&s->serve, record->payload, record->len);
	case REC_PRESENCE_CHANGE: {
		const struct presence_record *r = record->payload;
		const char *user = r->bytes + r->channel_len;
		const struct rc_presence_change c = {
			.channel = {r->bytes, r->channel_len},
			.hash = r->hash,
			.user = {user, r->user_len},
			.info = {user + r->user_len, r->info_len},
			.connections = r->connections,
			.anonymous = r->anonymous,
			.unlisted = r->unlisted,
		};
		rc_presence_take(&s->hub, &c);
		return true;
	}
	case REC_PRESENCE_ASK: {
		const struct presence_ask_record *r = record->payload;
		struct rc_presence_ask ask = r->ask;
		ask.channel.ptr = r->channel;
		return rc_presence_answer(&s->hub, &ask);
	}
	case REC_CONSUMER_ASK: {
		const struct consumer_ask_record *r = record->payload;
		struct rc_consumer_ask ask = r->ask;
		ask.channel.ptr = r->bytes;
		ask.user.ptr = r->bytes + ask.channel.len;
		ask.client.ptr = ask.user.ptr + ask.user.len;
		return rc_consumer_asked(&s->hub, &ask);
	}
	default:
		RC_FAIL("unknown ask");
		return true;
	}
}

/* What lies in front of the name and behind the frame where an event is not for everybody, or was deflated already. */
__attribute__((noinline, cold)) static void take_beside(
	const struct event_record *e, struct rc_tell *t, struct rc_mute *mute)
{
	const char *at = e->bytes;

	if (e->muted) {
		memcpy(mute, at, sizeof(*mute));
		t->mute = mute;
		at += sizeof(*mute);
	}
	if (e->deflated) {
		memcpy(&t->deflated_len, at, sizeof(t->deflated_len));
		at += sizeof(t->deflated_len);
	}
	t->channel.ptr = at;
	t->frame = (const unsigned char *)at + e->name_len;
	if (e->deflated)
		t->deflated = t->frame + t->frame_len;
}

static inline void take_event(struct rc_shard *s, uint32_t other, const struct event_record *e)
{
	struct rc_tell t = {
		.channel = {e->bytes, e->name_len},
		.hash = e->hash,
		.epoch = e->epoch,
		.offset = e->offset,
		.key = e->key,
		.taken_ns = e->taken_ns,
		.stamp = e->stamp,
		.time_ms = e->time_ms,
		.from = other,
		.direct = e->direct,
		.pattern = e->pattern,
		.frame = (const unsigned char *)e->bytes + e->name_len,
		.frame_len = e->frame_len,
	};

	struct rc_mute mute;
	if (RC_UNLIKELY(e->muted || e->deflated))
		take_beside(e, &t, &mute);
	rc_replica_tell(&s->hub, &t);
}

static void take_tell(struct rc_shard *s, uint32_t other, const struct rc_spsc_record *record)
{
	switch (record->type) {
	case REC_INTEREST_OK:
		rc_replica_interest_ok(&s->hub, record->payload);
		break;
	case REC_OUTCOME:
		rc_serve_outcome(&s->serve, record->payload);
		break;
	case REC_GRANT: {
		const struct grant_record *r = record->payload;
		rc_ingest_granted(&s->serve, &r->to, r->taken, r->sequence);
		break;
	}
	case REC_EVICT:
		rc_ingest_evicted(&s->serve, record->payload);
		break;
	case REC_FETCHED: {
		const struct fetched_record *r = record->payload;
		struct rc_fetched fetched = r->fetched;
		fetched.frames = r->frames;
		rc_hub_stamped(&s->hub, other, fetched.stamp);
		rc_replay_fetched(&s->serve, &fetched);
		break;
	}
	case REC_STAMP:
		rc_hub_stamped(&s->hub, other, *(const uint64_t *)record->payload);
		break;
	case REC_API_TELL:
		rc_api_told(&s->serve, record->payload, record->len);
		break;
	case REC_SURVEYED:
		rc_survey_told(&s->serve, record->payload);
		break;
	case REC_USER_TELL:
		rc_users_told(&s->serve, record->payload, record->len);
		break;
	case REC_COMMAND_TELL:
		rc_commands_told(&s->serve, record->payload, record->len);
		break;
	case REC_PRESENCE_TOLD: {
		const struct presence_told_record *r = record->payload;
		struct rc_presence_told told = r->told;
		told.users = r->users;
		rc_presence_answered(&s->serve, &told);
		break;
	}
	case REC_CONSUMER_TOLD: {
		const struct consumer_told_record *r = record->payload;
		struct rc_consumer_told told = r->told;
		told.frame = r->frame;
		rc_acked_told(&s->serve, &told);
		break;
	}
	default:
		RC_FAIL("unknown tell");
	}
}

bool rc_route_receive(struct rc_shard *s)
{
	uint64_t handled = 0;

	s->blocked = false;
	for (uint32_t i = 0; i < s->gateway->count; i++) {
		struct rc_spsc_record record;
		if (i == s->index)
			continue;
		struct rc_spsc *tells = &rc_route_from(s, i)->tells;
		for (uint32_t n = 0; n < RECORDS_PER_TURN && rc_spsc_peek(tells, &record); n++) {
			if (RC_LIKELY(record.type == REC_EVENT))
				take_event(s, i, record.payload);
			else
				take_tell(s, i, &record);
			rc_spsc_consume(tells, &record);
			handled++;
		}
		rc_spsc_release(tells);
	}
	for (uint32_t i = 0; i < s->gateway->count; i++) {
		struct rc_spsc_record record;
		if (i == s->index)
			continue;
		struct rc_spsc *asks = &rc_route_from(s, i)->asks;
		for (uint32_t n = 0; n < RECORDS_PER_TURN && rc_spsc_peek(asks, &record); n++) {
			if (!take_ask(s, &record)) {
				s->blocked = true;
				break;
			}
			rc_spsc_consume(asks, &record);
			handled++;
		}
		rc_spsc_release(asks);
	}
	rc_count(s->counters, RC_C_ring_records_in, handled);
	return handled != 0;
}

void rc_route_stamp(struct rc_shard *s)
{
	uint64_t stamp = s->hub.stamp;

	if (stamp == s->stamp_told)
		return;
	bool told = true;
	for (uint32_t i = 0; i < s->gateway->count; i++) {
		if (i != s->index)
			told &= rc_route_put(
				s, &rc_route_to(s, i)->tells, i, REC_STAMP, &stamp, sizeof(stamp));
	}
	if (told)
		s->stamp_told = stamp;
}

void rc_route_publish(struct rc_shard *s)
{
	uint64_t told = 0;

	for (uint64_t left = s->touched; left; left &= left - 1) {
		uint32_t shard = (uint32_t)__builtin_ctzll(left);
		struct rc_pair *pair = rc_route_to(s, shard);
		bool asked = rc_spsc_publish(&pair->asks);
		bool said = rc_spsc_publish(&pair->tells);
		if (asked || said)
			told |= (uint64_t)1 << shard;
	}
	s->touched = 0;
	if (!told)
		return;
	rc_sleeper_fence();
	for (uint64_t left = told; left; left &= left - 1) {
		struct rc_shard *other = &s->gateway->shards[__builtin_ctzll(left)];
		if (rc_sleeper_claim(&other->sleeper)) {
			rc_io_wake(s->io, rc_io_ring_fd(other->io));
			rc_count(s->counters, RC_C_wakeups_sent, 1);
		}
	}
}

bool rc_route_idle(struct rc_shard *s)
{
	for (uint32_t i = 0; i < s->gateway->count; i++) {
		if (i != s->index && (!rc_spsc_empty(&rc_route_from(s, i)->tells) ||
					     !rc_spsc_empty(&rc_route_from(s, i)->asks)))
			return false;
	}
	return true;
}
