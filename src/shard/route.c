/* SPDX-License-Identifier: Apache-2.0
 *
 * Between shards. Two rings per ordered pair: an ask may need room in tells, and waits in its ring without it; a tell never
 * needs room anywhere. So there is no cycle in which full rings wait for each other.
 *
 * A record is one of the structs below and the bytes that belong to it, as they lie.
 */
#include "shard/shard.h"

#include "proto/event.h"
#include "serve/survey.h"

#define RECORDS_PER_TURN 4096u

enum record {
	/* asks */
	REC_PUBLISH = 1,
	REC_INTEREST,
	REC_CLAIM,
	REC_GIVE_BACK,
	REC_FETCH,
	REC_API_ASK,
	REC_SURVEY,
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
	char bytes[]; /* channel, event, data */
};

struct interest_record {
	uint32_t shard, replica, token;
	uint16_t name_len;
	bool on;
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

struct event_record {
	uint64_t epoch, offset, key, taken_ns, stamp, time_ms;
	uint32_t hash;
	uint32_t frame_len;
	uint16_t name_len;
	bool direct, pattern;
	char bytes[]; /* name, frame */
};

static struct rc_pair *to(const struct rc_shard *s, uint32_t shard)
{
	return rc_gateway_pair(s->gateway, s->index, shard);
}

static struct rc_pair *from(const struct rc_shard *s, uint32_t shard)
{
	return rc_gateway_pair(s->gateway, shard, s->index);
}

static void commit(
	struct rc_shard *s, struct rc_spsc *ring, uint32_t shard, enum record type, size_t len)
{
	rc_spsc_commit(ring, type, len);
	rc_count(s->counters, RC_C_ring_records_out, 1);
	s->touched |= (uint64_t)1 << shard;
}

static bool put(struct rc_shard *s, struct rc_spsc *ring, uint32_t shard, enum record type,
	const void *bytes, size_t len)
{
	void *room = rc_spsc_reserve(ring, len);

	if (!room) {
		rc_count(s->counters, RC_C_ring_full, 1);
		return false;
	}
	memcpy(room, bytes, len);
	commit(s, ring, shard, type, len);
	return true;
}

/* ---- the hub's port ----------------------------------------------------------------------------- */

static bool can_tell(void *ctx, uint64_t shards, size_t name_len, size_t frame_len)
{
	struct rc_shard *s = ctx;

	for (uint64_t left = shards & ~((uint64_t)1 << s->index); left; left &= left - 1) {
		uint32_t shard = (uint32_t)__builtin_ctzll(left);
		/* And the outcome for the publisher, who may be on that very shard. */
		if (!rc_spsc_has_room(&to(s, shard)->tells,
			    sizeof(struct event_record) + name_len + frame_len +
				    sizeof(struct rc_outcome) + 3 * RC_SPSC_RECORD_HEADER))
			return false;
	}
	return true;
}

static void tell(void *ctx, uint32_t shard, const struct rc_tell *t)
{
	struct rc_shard *s = ctx;

	if (shard == s->index) {
		rc_replica_tell(&s->hub, t);
		return;
	}
	size_t len = sizeof(struct event_record) + t->channel.len + t->frame_len;
	struct rc_spsc *ring = &to(s, shard)->tells;
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
	};
	memcpy(e->bytes, t->channel.ptr, t->channel.len);
	memcpy(e->bytes + t->channel.len, t->frame, t->frame_len);
	commit(s, ring, shard, REC_EVENT, len);
}

static bool tell_interest(void *ctx, uint32_t shard, const struct rc_interest_ok *ok)
{
	struct rc_shard *s = ctx;

	if (shard == s->index) {
		rc_replica_interest_ok(&s->hub, ok);
		return true;
	}
	return put(s, &to(s, shard)->tells, shard, REC_INTEREST_OK, ok, sizeof(*ok));
}

static bool ask_interest(void *ctx, uint32_t shard, const struct rc_interest *ask)
{
	struct rc_shard *s = ctx;

	if (shard == s->index)
		return rc_owner_interest(&s->hub, ask);
	size_t len = sizeof(struct interest_record) + ask->name.len;
	struct rc_spsc *ring = &to(s, shard)->asks;
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
	};
	memcpy(r->name, ask->name.ptr, ask->name.len);
	commit(s, ring, shard, REC_INTEREST, len);
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
	return rc_spsc_has_room(&to(s, shard)->tells, sizeof(struct fetched_record) + need) ? need
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
	struct rc_spsc *ring = &to(s, shard)->tells;
	struct fetched_record *r = rc_spsc_reserve(ring, len);
	RC_ASSERT(r);
	r->fetched = *fetched;
	r->fetched.frames = NULL;
	if (fetched->frames_len)
		memcpy(r->frames, fetched->frames, fetched->frames_len);
	commit(s, ring, shard, REC_FETCHED, len);
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

/* ---- the port of serve -------------------------------------------------------------------------- */

static enum rc_route publish(void *ctx, const struct rc_publish *p, struct rc_outcome *out)
{
	struct rc_shard *s = ctx;
	uint32_t owner = rc_hub_owner(&s->hub, p->hash);

	if (owner == s->index)
		return rc_owner_publish(&s->hub, p, out) ? RC_ROUTE_DONE : RC_ROUTE_FULL;
	size_t len = sizeof(struct publish_record) + p->channel.len + p->event.len + p->data.len;
	struct rc_spsc *ring = &to(s, owner)->asks;
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
	};
	char *at = rc_str_copy(r->bytes, p->channel);
	at = rc_str_copy(at, p->event);
	(void)rc_str_copy(at, p->data);
	commit(s, ring, owner, REC_PUBLISH, len);
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
	return put(s, &to(s, home)->asks, home, type, &r, sizeof(r));
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
	struct rc_spsc *ring = &to(s, shard)->asks;
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
	commit(s, ring, shard, REC_FETCH, len);
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
	return put(s, &to(s, shard)->asks, shard, REC_API_ASK, bytes, len);
}

static bool api_tell(void *ctx, uint32_t shard, const void *bytes, size_t len)
{
	struct rc_shard *s = ctx;

	if (shard != s->index)
		return put(s, &to(s, shard)->tells, shard, REC_API_TELL, bytes, len);
	rc_api_told(&s->serve, bytes, len);
	return true;
}

static bool survey(void *ctx, uint32_t shard, const struct rc_survey_ask *ask)
{
	struct rc_shard *s = ctx;

	return put(s, &to(s, shard)->asks, shard, REC_SURVEY, ask, sizeof(*ask));
}

/* ---- the port of home --------------------------------------------------------------------------- */

static bool can_answer(void *ctx, uint32_t a, uint32_t b)
{
	struct rc_shard *s = ctx;
	uint32_t both[2] = {a, b};
	size_t two = 2 * (sizeof(struct grant_record) + RC_SPSC_RECORD_HEADER);

	for (int i = 0; i < 2; i++) {
		if (both[i] != RC_NONE && both[i] != s->index &&
			!rc_spsc_has_room(&to(s, both[i])->tells, two))
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
	else if (!put(s, &to(s, who->shard)->tells, who->shard, REC_GRANT, &r, sizeof(r)))
		RC_FAIL("room for a grant was asked for before");
}

static void evict(void *ctx, const struct rc_holder *who)
{
	struct rc_shard *s = ctx;

	if (who->shard == s->index)
		rc_ingest_evicted(&s->serve, who);
	else if (!put(s, &to(s, who->shard)->tells, who->shard, REC_EVICT, who, sizeof(*who)))
		RC_FAIL("room for an eviction was asked for before");
}

void rc_route_ports(struct rc_shard *s, struct rc_hub_port *hub, struct rc_home_port *home,
	struct rc_serve_port *serve)
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
		.namespace_of = namespace_of,
		.channels = channels,
	};
	*home = (struct rc_home_port){
		.ctx = s, .can_answer = can_answer, .grant = grant, .evict = evict};
	*serve = (struct rc_serve_port){
		.ctx = s,
		.publish = publish,
		.claim = claim,
		.give_back = give_back,
		.fetch = fetch,
		.sum = sum,
		.api_ask = api_ask,
		.api_tell = api_tell,
		.survey = survey,
	};
}

/* ---- receiving ---------------------------------------------------------------------------------- */

static bool take_publish(struct rc_shard *s, const struct publish_record *r)
{
	struct rc_outcome outcome;
	struct rc_spsc *back = &to(s, r->from.shard)->tells;
	const char *at = r->bytes;
	struct rc_publish p = {
		.from = r->from,
		.timestamp_ms = r->timestamp_ms,
		.taken_ns = r->taken_ns,
		.time_ms = r->time_ms,
		.hash = r->hash,
		.json = r->json,
	};

	if (!rc_spsc_has_room(back, sizeof(outcome)))
		return false;
	p.channel = (struct rc_str){at, r->channel_len};
	p.event = (struct rc_str){at + r->channel_len, r->event_len};
	p.data = (struct rc_str){at + r->channel_len + r->event_len, r->data_len};
	if (!rc_owner_publish(&s->hub, &p, &outcome))
		return false;
	if (!put(s, back, r->from.shard, REC_OUTCOME, &outcome, sizeof(outcome)))
		RC_FAIL("room for an outcome was asked for before");
	return true;
}

/* The piece is made in the ring itself. */
static bool take_survey(struct rc_shard *s, const struct rc_survey_ask *ask)
{
	struct rc_spsc *back = &to(s, ask->shard)->tells;
	struct rc_survey_piece *piece = rc_spsc_reserve(back, sizeof(*piece));

	if (!piece)
		return false;
	rc_survey_piece(&s->serve, ask, piece);
	commit(s, back, ask->shard, REC_SURVEYED,
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
	default:
		RC_FAIL("unknown ask");
		return true;
	}
}

static void take_tell(struct rc_shard *s, uint32_t other, const struct rc_spsc_record *record)
{
	switch (record->type) {
	case REC_EVENT: {
		const struct event_record *e = record->payload;
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
		rc_replica_tell(&s->hub, &t);
		break;
	}
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
		struct rc_spsc *tells = &from(s, i)->tells;
		for (uint32_t n = 0; n < RECORDS_PER_TURN && rc_spsc_peek(tells, &record); n++) {
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
		struct rc_spsc *asks = &from(s, i)->asks;
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
			told &= put(s, &to(s, i)->tells, i, REC_STAMP, &stamp, sizeof(stamp));
	}
	if (told)
		s->stamp_told = stamp;
}

void rc_route_publish(struct rc_shard *s)
{
	uint64_t told = 0;

	for (uint64_t left = s->touched; left; left &= left - 1) {
		uint32_t shard = (uint32_t)__builtin_ctzll(left);
		struct rc_pair *pair = to(s, shard);
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
		if (i != s->index &&
			(!rc_spsc_empty(&from(s, i)->tells) || !rc_spsc_empty(&from(s, i)->asks)))
			return false;
	}
	return true;
}
