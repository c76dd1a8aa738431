/* SPDX-License-Identifier: Apache-2.0
 *
 * What the hub asks of the shard: to tell other shards, and to ask them. A shard that is its own counterpart is called at once.
 */
#include "shard/record.h"

static bool can_tell(void *ctx, uint64_t shards, size_t name_len, size_t frame_len)
{
	struct rc_shard *s = ctx;

	for (uint64_t left = shards & ~((uint64_t)1 << s->index); left; left &= left - 1) {
		uint32_t shard = (uint32_t)__builtin_ctzll(left);
		/* And the outcome for the publisher, who may be on that very shard. */
		if (!rc_spsc_has_room(&rc_route_to(s, shard)->tells,
			    sizeof(struct event_record) + sizeof(struct rc_mute) + name_len +
				    frame_len + sizeof(struct rc_outcome) +
				    3 * RC_SPSC_RECORD_HEADER))
			return false;
	}
	return true;
}

__attribute__((noinline)) static void tell_away(
	struct rc_shard *s, uint32_t shard, const struct rc_tell *t)
{
	size_t mute = RC_UNLIKELY(t->mute) ? sizeof(*t->mute) : 0;
	bool deflated = RC_UNLIKELY(t->deflated != NULL);
	size_t len = sizeof(struct event_record) + mute + t->channel.len + t->frame_len +
		     (deflated ? sizeof(t->deflated_len) + t->deflated_len : 0);
	struct rc_spsc *ring = &rc_route_to(s, shard)->tells;
	struct event_record *e = rc_spsc_reserve(ring, len);
	RC_ASSERT(e);
	*e = (struct event_record){
		.epoch = t->epoch,
		.offset = t->offset,
		.key = t->key,
		.taken_ns = t->taken_ns,
		.stamp = t->stamp,
		.time_ms = t->time_ms,
		.hash = t->hash,
		.frame_len = t->frame_len,
		.name_len = (uint16_t)t->channel.len,
		.direct = t->direct,
		.pattern = t->pattern,
		.muted = mute != 0,
		.deflated = deflated,
	};
	char *at = e->bytes;
	if (RC_UNLIKELY(mute))
		at = (char *)memcpy(at, t->mute, mute) + mute;
	if (RC_UNLIKELY(deflated))
		at = (char *)memcpy(at, &t->deflated_len, sizeof(t->deflated_len)) +
		     sizeof(t->deflated_len);
	memcpy(at, t->channel.ptr, t->channel.len);
	memcpy(at + t->channel.len, t->frame, t->frame_len);
	if (RC_UNLIKELY(deflated))
		memcpy(at + t->channel.len + t->frame_len, t->deflated, t->deflated_len);
	rc_route_commit(s, ring, shard, REC_EVENT, len);
}

static void tell(void *ctx, uint32_t shard, const struct rc_tell *t)
{
	struct rc_shard *s = ctx;

	if (shard == s->index)
		rc_replica_tell(&s->hub, t);
	else
		tell_away(s, shard, t);
}

static bool tell_interest(void *ctx, uint32_t shard, const struct rc_interest_ok *ok)
{
	struct rc_shard *s = ctx;

	if (shard == s->index) {
		rc_replica_interest_ok(&s->hub, ok);
		return true;
	}
	return rc_route_put(
		s, &rc_route_to(s, shard)->tells, shard, REC_INTEREST_OK, ok, sizeof(*ok));
}

static bool ask_interest(void *ctx, uint32_t shard, const struct rc_interest *ask)
{
	struct rc_shard *s = ctx;

	if (shard == s->index)
		return rc_owner_interest(&s->hub, ask);
	size_t len = sizeof(struct interest_record) + ask->name.len;
	struct rc_spsc *ring = &rc_route_to(s, shard)->asks;
	struct interest_record *r = rc_spsc_reserve(ring, len);
	if (!r) {
		rc_count(s->counters, RC_C_ring_full, 1);
		return false;
	}
	*r = (struct interest_record){
		.shard = ask->shard,
		.replica = ask->replica,
		.token = ask->token,
		.name_len = (uint16_t)ask->name.len,
		.on = ask->on,
		.deflated = ask->deflated,
	};
	memcpy(r->name, ask->name.ptr, ask->name.len);
	rc_route_commit(s, ring, shard, REC_INTEREST, len);
	return true;
}

static void replica_ready(void *ctx, uint32_t replica, bool taken)
{
	struct rc_shard *s = ctx;

	rc_serve_replica_ready(&s->serve, replica, taken);
}

static void replica_overrun(void *ctx, uint32_t replica)
{
	rc_flush_overrun(ctx, replica);
}

static void replica_lost(void *ctx, uint32_t replica)
{
	rc_flush_lost(ctx, replica);
}

static uint32_t fetch_room(void *ctx, uint32_t shard)
{
	struct rc_shard *s = ctx;
	/* One event of any size must fit. */
	uint32_t need = s->hub.fetch_size;

	if (shard == s->index)
		return need;
	return rc_spsc_has_room(&rc_route_to(s, shard)->tells, sizeof(struct fetched_record) + need)
		       ? need
		       : 0;
}

static void tell_fetched(void *ctx, uint32_t shard, const struct rc_fetched *fetched)
{
	struct rc_shard *s = ctx;

	if (shard == s->index) {
		rc_replay_fetched(&s->serve, fetched);
		return;
	}
	size_t len = sizeof(struct fetched_record) + fetched->frames_len;
	struct rc_spsc *ring = &rc_route_to(s, shard)->tells;
	struct fetched_record *r = rc_spsc_reserve(ring, len);
	RC_ASSERT(r);
	r->fetched = *fetched;
	r->fetched.frames = NULL;
	if (fetched->frames_len)
		memcpy(r->frames, fetched->frames, fetched->frames_len);
	rc_route_commit(s, ring, shard, REC_FETCHED, len);
}

static bool ask_presence(void *ctx, uint32_t owner, const struct rc_presence_change *c)
{
	struct rc_shard *s = ctx;

	if (owner == s->index) {
		rc_presence_take(&s->hub, c);
		return true;
	}
	size_t len = sizeof(struct presence_record) + c->channel.len + c->user.len + c->info.len;
	struct rc_spsc *ring = &rc_route_to(s, owner)->asks;
	struct presence_record *r = rc_spsc_reserve(ring, len);
	if (!r) {
		rc_count(s->counters, RC_C_ring_full, 1);
		return false;
	}
	*r = (struct presence_record){
		.hash = c->hash,
		.connections = c->connections,
		.anonymous = c->anonymous,
		.unlisted = c->unlisted,
		.channel_len = (uint16_t)c->channel.len,
		.user_len = (uint16_t)c->user.len,
		.info_len = (uint16_t)c->info.len,
	};
	char *at = rc_str_copy(r->bytes, c->channel);
	at = rc_str_copy(at, c->user);
	(void)rc_str_copy(at, c->info);
	rc_route_commit(s, ring, owner, REC_PRESENCE_CHANGE, len);
	return true;
}

static void tell_presence(void *ctx, uint32_t shard, const struct rc_presence_told *told)
{
	struct rc_shard *s = ctx;

	if (shard == s->index) {
		rc_presence_answered(&s->serve, told);
		return;
	}
	size_t len = sizeof(struct presence_told_record) + told->users_len;
	struct rc_spsc *ring = &rc_route_to(s, shard)->tells;
	struct presence_told_record *r = rc_spsc_reserve(ring, len);
	RC_ASSERT(r);
	r->told = *told;
	r->told.users = NULL;
	(void)rc_str_copy(r->users, (struct rc_str){told->users, told->users_len});
	rc_route_commit(s, ring, shard, REC_PRESENCE_TOLD, len);
}

static const uint32_t *subs_of(void *ctx, const struct rc_mute *who)
{
	struct rc_shard *s = ctx;
	const struct rc_conn *c = rc_conn_get(&s->conns, who->conn, who->generation);

	return c ? &c->subs : NULL;
}

static bool tell_consumer(void *ctx, uint32_t shard, const struct rc_consumer_told *told)
{
	struct rc_shard *s = ctx;

	if (shard == s->index) {
		rc_acked_told(&s->serve, told);
		return true;
	}
	size_t len = sizeof(struct consumer_told_record) + told->frame_len;
	struct rc_spsc *ring = &rc_route_to(s, shard)->tells;
	struct consumer_told_record *r = rc_spsc_reserve(ring, len);
	if (!r) {
		rc_count(s->counters, RC_C_ring_full, 1);
		return false;
	}
	r->told = *told;
	r->told.frame = NULL;
	if (told->frame_len)
		memcpy(r->frame, told->frame, told->frame_len);
	rc_route_commit(s, ring, shard, REC_CONSUMER_TOLD, len);
	return true;
}

static uint32_t namespace_of(void *ctx, struct rc_str channel)
{
	const struct rc_shard *s = ctx;

	return rc_config_namespace(s->gateway->config, channel);
}

static uint64_t channels(void *ctx)
{
	const struct rc_shard *s = ctx;

	return rc_counters_sum(&s->gateway->counters, RC_C_channels);
}

void rc_route_hub_port(struct rc_shard *s, struct rc_hub_port *hub)
{
	*hub = (struct rc_hub_port){
		.ctx = s,
		.can_tell = can_tell,
		.tell = tell,
		.tell_interest = tell_interest,
		.ask_interest = ask_interest,
		.replica_ready = replica_ready,
		.replica_overrun = replica_overrun,
		.replica_lost = replica_lost,
		.fetch_room = fetch_room,
		.tell_fetched = tell_fetched,
		.ask_presence = ask_presence,
		.tell_presence = tell_presence,
		.subs_of = subs_of,
		.tell_consumer = tell_consumer,
		.namespace_of = namespace_of,
		.channels = channels,
	};
}
