/* SPDX-License-Identifier: Apache-2.0
 *
 * What serve/ and the homes of publisher ids ask of the shard. A shard that is its own counterpart is called at once.
 */
#include "shard/record.h"

static enum rc_route publish(void *ctx, const struct rc_publish *p, struct rc_outcome *out)
{
	struct rc_shard *s = ctx;
	uint32_t owner = rc_hub_owner(&s->hub, p->hash);

	if (owner == s->index)
		return rc_owner_publish(&s->hub, p, out) ? RC_ROUTE_DONE : RC_ROUTE_FULL;
	struct rc_str trace = {(const char *)p->trace, p->trace ? RC_TRACE_BYTES : 0};
	size_t len = sizeof(struct publish_record) + trace.len + p->channel.len + p->event.len +
		     p->data.len;
	struct rc_spsc *ring = &rc_route_to(s, owner)->asks;
	struct publish_record *r = rc_spsc_reserve(ring, len);
	if (!r) {
		rc_count(s->counters, RC_C_ring_full, 1);
		return RC_ROUTE_FULL;
	}
	*r = (struct publish_record){
		.from = p->from,
		.timestamp_ms = p->timestamp_ms,
		.taken_ns = p->taken_ns,
		.time_ms = p->time_ms,
		.hash = p->hash,
		.data_len = (uint32_t)p->data.len,
		.channel_len = (uint16_t)p->channel.len,
		.event_len = (uint8_t)p->event.len,
		.json = p->json,
		.traced = trace.len != 0,
		.muted = p->mute != NULL,
	};
	if (RC_UNLIKELY(p->mute))
		r->mute = *p->mute;
	char *at = rc_str_copy(r->bytes, trace);
	at = rc_str_copy(at, p->channel);
	at = rc_str_copy(at, p->event);
	(void)rc_str_copy(at, p->data);
	rc_route_commit(s, ring, owner, REC_PUBLISH, len);
	return RC_ROUTE_AWAY;
}

static uint32_t home_of(const struct rc_shard *s, struct rc_str id)
{
	return rc_hub_owner(&s->hub, rc_home_hash(&s->gateway->key, id));
}

static bool send_id(struct rc_shard *s, enum record type, struct rc_str id,
	const struct rc_holder *who, uint64_t sequence)
{
	uint32_t home = home_of(s, id);
	struct id_record r = {.who = *who, .sequence = sequence, .id_len = (uint32_t)id.len};

	if (home == s->index)
		return type == REC_CLAIM
			       ? rc_home_claim(&s->home, id, who)
			       : rc_home_return(&s->home, id, who, sequence, s->hub.now_s);
	memcpy(r.id, id.ptr, id.len);
	return rc_route_put(s, &rc_route_to(s, home)->asks, home, type, &r, sizeof(r));
}

static bool claim(void *ctx, struct rc_str id, const struct rc_holder *who)
{
	return send_id(ctx, REC_CLAIM, id, who, 0);
}

static bool give_back(void *ctx, struct rc_str id, const struct rc_holder *who, uint64_t sequence)
{
	return send_id(ctx, REC_GIVE_BACK, id, who, sequence);
}

static bool fetch(void *ctx, uint32_t shard, const struct rc_fetch *q)
{
	struct rc_shard *s = ctx;

	if (shard == s->index)
		return rc_owner_fetch(&s->hub, q);
	size_t len = sizeof(struct fetch_record) + q->names.len;
	struct rc_spsc *ring = &rc_route_to(s, shard)->asks;
	if (len > rc_spsc_payload_max(ring))
		return false;
	struct fetch_record *r = rc_spsc_reserve(ring, len);
	if (!r) {
		rc_count(s->counters, RC_C_ring_full, 1);
		return false;
	}
	r->fetch = *q;
	r->fetch.names.ptr = NULL;
	(void)rc_str_copy(r->names, q->names);
	rc_route_commit(s, ring, shard, REC_FETCH, len);
	return true;
}

static bool presence(void *ctx, uint32_t owner, const struct rc_presence_ask *ask)
{
	struct rc_shard *s = ctx;

	if (owner == s->index)
		return rc_presence_answer(&s->hub, ask);
	size_t len = sizeof(struct presence_ask_record) + ask->channel.len;
	struct rc_spsc *ring = &rc_route_to(s, owner)->asks;
	struct presence_ask_record *r = rc_spsc_reserve(ring, len);
	if (!r) {
		rc_count(s->counters, RC_C_ring_full, 1);
		return false;
	}
	r->ask = *ask;
	r->ask.channel.ptr = NULL;
	(void)rc_str_copy(r->channel, ask->channel);
	rc_route_commit(s, ring, owner, REC_PRESENCE_ASK, len);
	return true;
}

static bool consumer(void *ctx, uint32_t owner, const struct rc_consumer_ask *ask)
{
	struct rc_shard *s = ctx;

	if (owner == s->index)
		return rc_consumer_asked(&s->hub, ask);
	size_t len = sizeof(struct consumer_ask_record) + ask->channel.len + ask->user.len +
		     ask->client.len;
	struct rc_spsc *ring = &rc_route_to(s, owner)->asks;
	struct consumer_ask_record *r = rc_spsc_reserve(ring, len);
	if (!r) {
		rc_count(s->counters, RC_C_ring_full, 1);
		return false;
	}
	r->ask = *ask;
	r->ask.channel.ptr = r->ask.user.ptr = r->ask.client.ptr = NULL;
	char *at = rc_str_copy(r->bytes, ask->channel);
	at = rc_str_copy(at, ask->user);
	(void)rc_str_copy(at, ask->client);
	rc_route_commit(s, ring, owner, REC_CONSUMER_ASK, len);
	return true;
}

static uint64_t sum(void *ctx, enum rc_counter counter)
{
	const struct rc_shard *s = ctx;

	return rc_counters_sum(&s->gateway->counters, counter);
}

static bool api_ask(void *ctx, uint32_t shard, const void *bytes, size_t len)
{
	struct rc_shard *s = ctx;

	if (shard == s->index)
		return rc_api_asked(&s->serve, bytes, len);
	return rc_route_put(s, &rc_route_to(s, shard)->asks, shard, REC_API_ASK, bytes, len);
}

static bool api_tell(void *ctx, uint32_t shard, const void *bytes, size_t len)
{
	struct rc_shard *s = ctx;

	if (shard != s->index)
		return rc_route_put(
			s, &rc_route_to(s, shard)->tells, shard, REC_API_TELL, bytes, len);
	rc_api_told(&s->serve, bytes, len);
	return true;
}

static bool survey(void *ctx, uint32_t shard, const struct rc_survey_ask *ask)
{
	struct rc_shard *s = ctx;

	return rc_route_put(s, &rc_route_to(s, shard)->asks, shard, REC_SURVEY, ask, sizeof(*ask));
}

static struct rc_spsc *user_ring(struct rc_shard *s, uint32_t shard, bool is_ask)
{
	struct rc_pair *pair = rc_route_to(s, shard);

	return is_ask ? &pair->asks : &pair->tells;
}

static bool user_room(void *ctx, uint32_t shard, bool is_ask, size_t len)
{
	struct rc_shard *s = ctx;
	bool room = rc_spsc_has_room(user_ring(s, shard, is_ask), len);

	rc_count(s->counters, RC_C_ring_full, !room);
	return room;
}

static void *user_reserve(void *ctx, uint32_t shard, bool is_ask, size_t len)
{
	struct rc_shard *s = ctx;
	void *room = rc_spsc_reserve(user_ring(s, shard, is_ask), len);

	rc_count(s->counters, RC_C_ring_full, !room);
	return room;
}

static void user_commit(void *ctx, uint32_t shard, bool is_ask, size_t len)
{
	struct rc_shard *s = ctx;

	rc_route_commit(
		s, user_ring(s, shard, is_ask), shard, is_ask ? REC_USER_ASK : REC_USER_TELL, len);
}

static void *command_reserve(void *ctx, uint32_t shard, bool is_ask, size_t len)
{
	struct rc_shard *s = ctx;

	return len <= rc_spsc_payload_max(user_ring(s, shard, is_ask))
		       ? user_reserve(ctx, shard, is_ask, len)
		       : NULL;
}

static void command_commit(void *ctx, uint32_t shard, bool is_ask, size_t len)
{
	struct rc_shard *s = ctx;

	rc_route_commit(s, user_ring(s, shard, is_ask), shard,
		is_ask ? REC_COMMAND_ASK : REC_COMMAND_TELL, len);
}

static void tell_outcome(void *ctx, uint32_t shard, const struct rc_outcome *outcome)
{
	struct rc_shard *s = ctx;

	if (!rc_route_put(s, &rc_route_to(s, shard)->tells, shard, REC_OUTCOME, outcome,
		    sizeof(*outcome)))
		RC_FAIL("room for an outcome was asked for before");
}

/* ---- the port of home --------------------------------------------------------------------------- */

static bool can_answer(void *ctx, uint32_t a, uint32_t b)
{
	struct rc_shard *s = ctx;
	uint32_t both[2] = {a, b};
	size_t two = 2 * (sizeof(struct grant_record) + RC_SPSC_RECORD_HEADER);

	for (int i = 0; i < 2; i++) {
		if (both[i] != RC_NONE && both[i] != s->index &&
			!rc_spsc_has_room(&rc_route_to(s, both[i])->tells, two))
			return false;
	}
	return true;
}

static void grant(void *ctx, const struct rc_holder *who, bool taken, uint64_t sequence)
{
	struct rc_shard *s = ctx;
	struct grant_record r = {*who, sequence, taken};

	if (who->shard == s->index)
		rc_ingest_granted(&s->serve, who, taken, sequence);
	else if (!rc_route_put(s, &rc_route_to(s, who->shard)->tells, who->shard, REC_GRANT, &r,
			 sizeof(r)))
		RC_FAIL("room for a grant was asked for before");
}

static void evict(void *ctx, const struct rc_holder *who)
{
	struct rc_shard *s = ctx;

	if (who->shard == s->index)
		rc_ingest_evicted(&s->serve, who);
	else if (!rc_route_put(s, &rc_route_to(s, who->shard)->tells, who->shard, REC_EVICT, who,
			 sizeof(*who)))
		RC_FAIL("room for an eviction was asked for before");
}

void rc_route_serve_ports(
	struct rc_shard *s, struct rc_home_port *home, struct rc_serve_port *serve)
{
	*home = (struct rc_home_port){
		.ctx = s, .can_answer = can_answer, .grant = grant, .evict = evict};
	*serve = (struct rc_serve_port){
		.ctx = s,
		.publish = publish,
		.claim = claim,
		.give_back = give_back,
		.fetch = fetch,
		.presence = presence,
		.consumer = consumer,
		.sum = sum,
		.api_ask = api_ask,
		.api_tell = api_tell,
		.survey = survey,
		.user_room = user_room,
		.user_reserve = user_reserve,
		.user_commit = user_commit,
		.command_reserve = command_reserve,
		.command_commit = command_commit,
		.outcome = tell_outcome,
	};
}
