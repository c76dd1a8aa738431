/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/acked.h"

#include <stdio.h>

#include "proto/event.h"
#include "proto/message.h"
#include "serve/commands.h"
#include "serve/request.h"
#include "serve/replay.h"
#include "serve/session.h"

/* Who has more than this waiting gets no further events before it is gone. */
#define OUT_ENOUGH 16384u

size_t rc_acked_bytes(uint32_t max)
{
	return max ? rc_align_up((size_t)max * sizeof(struct rc_acked), RC_CACHE_LINE) +
			       (size_t)max * sizeof(uint32_t)
		   : 0;
}

void rc_acked_init(struct rc_serve *sv, void *memory, uint32_t max)
{
	size_t blocks = rc_align_up((size_t)max * sizeof(struct rc_acked), RC_CACHE_LINE);

	rc_slab_init(&sv->acked, memory, sizeof(struct rc_acked), max);
	sv->acked_generation = (uint32_t *)(void *)((unsigned char *)memory + blocks);
}

/* ---- the line ------------------------------------------------------------------------------------ */

static void line_up(struct rc_serve *sv, uint32_t index)
{
	struct rc_acked *a = rc_acked_at(sv, index);

	if (a->listed)
		return;
	a->listed = true;
	a->next = RC_NONE;
	if (sv->acked_last != RC_NONE)
		rc_acked_at(sv, sv->acked_last)->next = index;
	else
		sv->acked_first = index;
	sv->acked_last = index;
}

static void ask_later(struct rc_serve *sv, uint32_t index, enum rc_consumer_asks what)
{
	rc_acked_at(sv, index)->to_ask |= 1u << what;
	line_up(sv, index);
}

static struct rc_str channel_of(const struct rc_serve *sv, const struct rc_acked *a)
{
	return rc_replica_name(rc_hub_sub_base(sv->hub, a->sub));
}

/* Whom his consumers are counted to: a user, whatever address he is at. */
static uint64_t who_pays(const struct rc_serve *sv, const struct rc_conn *c)
{
	const struct rc_hash_key *key = &sv->hub->key;
	struct rc_str user = rc_session_user(sv, c);

	return user.len ? rc_hash(key, user.ptr, user.len)
			: rc_hash_u64(key, rc_session_address_hash(sv, c, key));
}

static bool ask(struct rc_serve *sv, uint32_t index, enum rc_consumer_asks what, uint64_t offset)
{
	const struct rc_acked *a = rc_acked_at(sv, index);
	struct rc_consumer_ask q = {
		.kind = (uint8_t)what,
		.shard = sv->shard,
		.slot = index,
		.generation = sv->acked_generation[index],
		.consumer = a->consumer,
		.life = a->life,
		.offset = offset,
		.round = a->round,
	};

	if (what == RC_CONSUMER_GO)
		q.after = a->sent;
	if (what == RC_CONSUMER_ATTACH) {
		q.how = a->how;
		q.since = a->since;
		q.stale = a->stale;
		q.retries = a->retries;
		q.timeout_ms = a->timeout_ms;
		q.window = a->window;
		q.epoch = a->epoch;
		q.after = a->after;
		q.channel = channel_of(sv, a);
		q.who = who_pays(sv, &sv->conns->at[a->conn]);
		if (a->named)
			q.user = rc_session_user(sv, &sv->conns->at[a->conn]);
		q.client = (struct rc_str){a->client, a->client_len};
	}
	return sv->port.consumer(sv->port.ctx, a->owner, &q);
}

/* The acknowledgements of single events. False: no room for all of them. */
static bool ask_ones(struct rc_serve *sv, uint32_t index)
{
	struct rc_acked *a = rc_acked_at(sv, index);

	for (; a->ones; a->ones--) {
		if (!ask(sv, index, RC_CONSUMER_ACK_ONE, a->one[a->ones - 1]))
			return false;
	}
	a->to_ask &= ~(1u << RC_CONSUMER_ACK_ONE);
	return true;
}

/* The next of what is to be asked. False: no room. */
static bool ask_next(struct rc_serve *sv, uint32_t index)
{
	struct rc_acked *a = rc_acked_at(sv, index);
	enum rc_consumer_asks what = (enum rc_consumer_asks)__builtin_ctz(a->to_ask);
	uint64_t offset = what == RC_CONSUMER_ACK ? a->ack : a->skipped;

	if (what == RC_CONSUMER_ACK_ONE)
		return ask_ones(sv, index);
	/* An answer may come before the question returns. */
	a->to_ask &= ~(1u << what);
	if (what == RC_CONSUMER_ATTACH)
		a->phase = RC_ACKED_ASKED;
	if (!ask(sv, index, what, offset)) {
		a->to_ask |= 1u << what;
		if (what == RC_CONSUMER_ATTACH)
			a->phase = RC_ACKED_NEW;
		return false;
	}
	if (what == RC_CONSUMER_GO)
		a->skipped = UINT64_MAX;
	return true;
}

/* Its subscription has ended, and the owner knows or was never asked. */
static bool over(const struct rc_acked *a)
{
	return a->sub == RC_NONE && a->to_ask == 0 && a->phase != RC_ACKED_ASKED;
}

static void free_block(struct rc_serve *sv, uint32_t index)
{
	sv->acked_generation[index]++;
	rc_slab_put(&sv->acked, index);
}

/* Another connection has the consumer: the client is told, and its subscription ends. */
static void give_away(struct rc_serve *sv, uint32_t index)
{
	struct rc_acked *a = rc_acked_at(sv, index);
	struct rc_conn *c = &sv->conns->at[a->conn];
	uint32_t sub = a->sub;
	struct rc_str name = channel_of(sv, a), none = {NULL, 0};
	struct rc_client_channels told;
	char text[RC_CHANNEL_MAX + 128];

	(void)snprintf(text, sizeof(text),
		"another connection of this user and clientId goes on with channel '%.*s'",
		(int)name.len, name.ptr);
	rc_ws_error(sv, c, none, "replaced", false, text);
	struct rc_textbuf b = rc_ws_begin(sv, c, 256 + name.len);
	if (b.ptr) {
		rc_msg_suback_begin(&b, none, sv->wall_ms, RC_WORD_CHANNELS, true);
		rc_msg_suback_channel(&b, name, true);
		rc_msg_suback_end(&b, false);
		rc_ws_end(sv, c, &b);
	}
	/* Too much waiting for it closes it, and with it all subscriptions. */
	if (rc_acked_at(sv, index)->sub == RC_NONE)
		return;
	/* Of one that was not acknowledged nobody was told. */
	if (a->phase == RC_ACKED_LIVE &&
		rc_client_channels_begin(sv, RC_ON_UNSUBSCRIBE, name.len, 1, &told)) {
		rc_client_channels_add(&told, name);
		rc_client_channels_end(sv, c, &told);
	}
	rc_request_forget(sv, c, sub);
	rc_ws_drop_sub(sv, c, sub);
	rc_request_finish(sv, c);
}

/* What found no memory would find it now, or goes on when the client has read what it has. */
static bool is_fed(struct rc_serve *sv, uint32_t index)
{
	struct rc_acked *a = rc_acked_at(sv, index);
	struct rc_conn *c = &sv->conns->at[a->conn];

	if (!a->starved)
		return true;
	if (c->out_len == 0 && c->state == RC_CONN_OPEN) {
		if (!rc_conn_reserve(sv->conns, c, a->starved, UINT32_MAX))
			return false;
		rc_conn_commit(sv->conns, c, 0);
		rc_acked_drained(sv, index);
	}
	a->starved = 0;
	return true;
}

void rc_acked_turn(struct rc_serve *sv)
{
	uint32_t starved = RC_NONE;

	sv->acked_refused = false;
	while (sv->acked_first != RC_NONE && sv->acked_first != starved) {
		uint32_t index = sv->acked_first;
		struct rc_acked *a = rc_acked_at(sv, index);
		if (a->gone && a->sub != RC_NONE)
			give_away(sv, index);
		/* What it would say of its consumer is of no use to the owner. */
		if (a->gone)
			a->to_ask = 0;
		while (a->to_ask) {
			if (!ask_next(sv, index)) {
				sv->acked_refused = true;
				return;
			}
		}
		sv->acked_first = a->next;
		if (sv->acked_first == RC_NONE)
			sv->acked_last = RC_NONE;
		a->listed = false;
		if (over(a)) {
			free_block(sv, index);
		} else if (!is_fed(sv, index)) {
			/* Behind the others, and no more of them in this turn. */
			sv->acked_refused = true;
			line_up(sv, index);
			if (starved == RC_NONE)
				starved = index;
		}
	}
}

/* ---- coming and going --------------------------------------------------------------------------- */

static void take_since(struct rc_serve *sv, struct rc_acked *a, const struct rc_since *since)
{
	a->since = true;
	switch (since->kind) {
	case RC_SINCE_BEGINNING:
		a->how = RC_FETCH_BEGINNING;
		break;
	case RC_SINCE_TIME:
		a->how = RC_FETCH_TIME;
		a->after = since->time_ms;
		break;
	case RC_SINCE_STREAM:
		a->how = RC_FETCH_STAMP;
		a->stale = since->epoch != sv->hub->limits.stream_epoch ||
			   since->count != sv->hub->limits.shards;
		a->after = a->stale ? 0 : since->stamps[a->owner];
		break;
	default:
		a->how = RC_FETCH_OFFSET;
		a->epoch = since->epoch;
		a->after = since->offset;
	}
}

uint32_t rc_acked_open(struct rc_serve *sv, struct rc_conn *c, uint32_t sub,
	const struct rc_wish *wish, const struct rc_since *since, uint32_t place)
{
	struct rc_sub *s = rc_hub_sub(sv->hub, sub);
	uint32_t index = rc_slab_get(&sv->acked);

	RC_ASSERT((s->flags & RC_SUB_PAUSED) && s->listed_next == RC_NONE);
	if (index == RC_NONE) {
		rc_count(sv->counters, RC_C_consumers_refused, 1);
		return RC_NONE;
	}
	struct rc_acked *a = rc_acked_at(sv, index);
	*a = (struct rc_acked){
		.conn = rc_conn_slot(sv->conns, c),
		.sub = sub,
		.place = place,
		.owner = rc_hub_owner(sv->hub, rc_hub_sub_base(sv->hub, sub)->hash),
		.next = RC_NONE,
		.timeout_ms = wish->ack_timeout_ms,
		.window = wish->ack_window,
		.retries = (uint16_t)wish->ack_retries,
		.client_len = (uint8_t)wish->client_id.len,
		/* A clientId alone can be guessed. */
		.named = wish->client_id.len && rc_session_user(sv, c).len,
		.skipped = UINT64_MAX,
	};
	(void)rc_str_copy(a->client, wish->client_id);
	if (since)
		take_since(sv, a, since);
	s->flags |= RC_SUB_ACKED;
	s->listed_next = index;
	return index;
}

void rc_acked_attach(struct rc_serve *sv, uint32_t index)
{
	ask_later(sv, index, RC_CONSUMER_ATTACH);
}

void rc_acked_start(struct rc_serve *sv, uint32_t index)
{
	rc_acked_at(sv, index)->phase = RC_ACKED_LIVE;
	ask_later(sv, index, RC_CONSUMER_GO);
}

void rc_acked_ends(struct rc_serve *sv, uint32_t sub)
{
	uint32_t index = rc_acked_of(sv, sub);

	if (index != RC_NONE)
		rc_acked_at(sv, index)->ends = true;
}

static void let_go(struct rc_serve *sv, uint32_t index)
{
	const struct rc_acked *a = rc_acked_at(sv, index);

	ask_later(sv, index, a->ends ? RC_CONSUMER_END : RC_CONSUMER_DETACH);
}

void rc_acked_left(struct rc_serve *sv, uint32_t index)
{
	struct rc_acked *a = rc_acked_at(sv, index);
	struct rc_sub *s = rc_hub_sub(sv->hub, a->sub);

	s->flags &= ~(uint32_t)RC_SUB_ACKED;
	s->listed_next = RC_NONE;
	a->sub = RC_NONE;
	a->starved = 0;
	a->to_ask &= ~(1u << RC_CONSUMER_ATTACH | 1u << RC_CONSUMER_GO | 1u << RC_CONSUMER_HOLD);
	/* While it is asked for, its answer says whom to let go. */
	if (a->phase >= RC_ACKED_ANSWERED && a->taken)
		let_go(sv, index);
	else
		line_up(sv, index);
}

/* ---- what the owner tells ------------------------------------------------------------------------ */

static void attached(struct rc_serve *sv, uint32_t index, const struct rc_consumer_told *t)
{
	struct rc_acked *a = rc_acked_at(sv, index);

	a->phase = RC_ACKED_ANSWERED;
	a->taken = t->taken;
	a->too_many = t->too_many;
	a->known = t->known;
	a->verdict = t->verdict;
	a->consumer = t->consumer;
	a->life = t->life;
	a->epoch = t->epoch;
	a->after = t->offset;
	a->sent = t->sent;
	if (a->sub != RC_NONE)
		rc_ws_acked_answered(sv, &sv->conns->at[a->conn], index);
	else if (a->taken)
		let_go(sv, index);
	else
		line_up(sv, index);
}

static void stall(struct rc_serve *sv, uint32_t index, struct rc_conn *c, uint64_t offset)
{
	struct rc_acked *a = rc_acked_at(sv, index);

	a->skipped = RC_MIN(a->skipped, offset);
	if (a->stalled)
		return;
	a->stalled = true;
	c->flags |= RC_CONN_REPLAYING;
	ask_later(sv, index, RC_CONSUMER_HOLD);
}

void rc_acked_drained(struct rc_serve *sv, uint32_t index)
{
	struct rc_acked *a = rc_acked_at(sv, index);

	if (!a->stalled)
		return;
	a->stalled = false;
	a->round++;
	a->to_ask &= ~(1u << RC_CONSUMER_HOLD);
	ask_later(sv, index, RC_CONSUMER_GO);
}

static void event(struct rc_serve *sv, uint32_t index, const struct rc_consumer_told *t)
{
	struct rc_acked *a = rc_acked_at(sv, index);
	struct rc_conn *c = &sv->conns->at[a->conn];

	/* Those of an earlier round come again. */
	if (a->sub == RC_NONE || a->gone || t->round != a->round || c->state != RC_CONN_OPEN)
		return;
	if (a->stalled || c->out_len > OUT_ENOUGH) {
		stall(sv, index, c, t->offset);
		return;
	}
	unsigned char *room =
		rc_conn_reserve(sv->conns, c, t->frame_len + RC_EVENT_REDELIVERED_MAX, UINT32_MAX);
	if (!room) {
		/* What follows must not come before it: who acknowledges that would acknowledge this, too. */
		rc_count(sv->counters, RC_C_arena_refused, 1);
		a->starved = t->frame_len + RC_EVENT_REDELIVERED_MAX;
		stall(sv, index, c, t->offset);
		return;
	}
	size_t len = t->frame_len;
	if (t->tries)
		len = rc_event_ws_redelivered(room, t->frame, t->frame_len, t->tries);
	else
		memcpy(room, t->frame, len);
	rc_conn_commit(sv->conns, c, (uint32_t)len);
	a->sent = RC_MAX(a->sent, t->offset);
	c->events_out++;
	rc_count(sv->counters, RC_C_deliveries, 1);
}

void rc_acked_told(struct rc_serve *sv, const struct rc_consumer_told *t)
{
	if (sv->acked_generation[t->slot] != t->generation)
		return;
	struct rc_acked *a = rc_acked_at(sv, t->slot);
	switch (t->kind) {
	case RC_CONSUMER_ATTACHED:
		attached(sv, t->slot, t);
		break;
	case RC_CONSUMER_EVENT:
		event(sv, t->slot, t);
		break;
	case RC_CONSUMER_GAP:
		if (a->sub != RC_NONE && !a->gone)
			rc_ws_gap(sv, &sv->conns->at[a->conn], rc_hub_sub_base(sv->hub, a->sub),
				"trimmed", t->missed, t->offset);
		break;
	default:
		a->gone = true;
		line_up(sv, t->slot);
	}
}

bool rc_acked_outcome(const struct rc_acked *a, const char **reason)
{
	*reason = NULL;
	if (!a->named && !a->since)
		return false;
	if (a->verdict != RC_VERDICT_ALL)
		*reason = rc_replay_reason((enum rc_verdict)a->verdict);
	else if (!a->known && !a->since)
		*reason = "new";
	return true;
}

/* ---- what the client acknowledges ----------------------------------------------------------------- */

static void refuse(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, const char *text)
{
	rc_count(sv->counters, RC_C_acks_refused, 1);
	rc_ws_error(sv, c, id, "bad_request", false, text);
}

/* Takes the position out of the message. NULL, or what is wrong. */
static const char *read_ack(const struct rc_msg *m, bool *one, uint64_t *epoch, uint64_t *offset)
{
	char text[RC_POSITION_MAX];
	int len;

	*one = m->id_raw.len != 0;
	if (*one == (m->offset.kind != RC_JSON_NONE))
		return "ack has either an offset, which means all up to it, or an id, which means one event";
	if (!*one)
		return m->offset.kind == RC_JSON_NUMBER && rc_u64_parse(m->offset.raw, offset) == 0
			       ? NULL
			       : "'offset' must be that of an event";
	len = m->id_raw.ptr[0] == '"' ? rc_json_string_decode(m->id_raw, text, sizeof(text)) : -1;
	if (len < 0 || rc_position_parse((struct rc_str){text, (size_t)len}, epoch, offset) < 0)
		return "'id' of an ack must be the position of an event, epoch@offset";
	return NULL;
}

static void take_one(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m, uint32_t index,
	uint64_t offset)
{
	struct rc_acked *a = rc_acked_at(sv, index);

	/* A client may acknowledge a whole window one by one before the line has its turn. */
	if (a->ones == RC_ACKED_ONES)
		(void)ask_ones(sv, index);
	if (a->ones == RC_ACKED_ONES) {
		rc_count(sv->counters, RC_C_acks_refused, 1);
		rc_ws_error(sv, c, m->id_raw, "server_capacity_exceeded", true,
			"too many acknowledgements wait: acknowledge this event again");
		return;
	}
	a->one[a->ones++] = offset;
	ask_later(sv, index, RC_CONSUMER_ACK_ONE);
}

void rc_ws_ack(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m)
{
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name;
	uint64_t epoch = 0, offset = 0;
	bool one;

	rc_msg_channels_begin(&it, m);
	if (m->channels.kind != RC_JSON_STRING || rc_msg_channels_next(&it, buf, &name) <= 0) {
		refuse(sv, c, m->id_raw, "ack needs a channel");
		return;
	}
	const char *wrong = read_ack(m, &one, &epoch, &offset);
	uint32_t sub =
		wrong ? RC_NONE
		      : rc_replica_find_sub(sv->hub, rc_conn_slot(sv->conns, c), c->subs, name);
	uint32_t index = sub == RC_NONE ? RC_NONE : rc_acked_of(sv, sub);
	struct rc_acked *a = index == RC_NONE ? NULL : rc_acked_at(sv, index);
	if (!wrong && (!a || a->phase != RC_ACKED_LIVE || a->gone))
		wrong = "this client does not acknowledge what is in that channel";
	else if (!wrong && one && epoch != a->epoch)
		wrong = "that event is of another life of the channel";
	else if (!wrong && (offset == 0 || offset > a->sent))
		wrong = "that event was not sent to this client";
	if (wrong) {
		refuse(sv, c, m->id_raw, wrong);
	} else if (one) {
		take_one(sv, c, m, index, offset);
	} else {
		a->ack = RC_MAX(a->ack, offset);
		ask_later(sv, index, RC_CONSUMER_ACK);
	}
}
