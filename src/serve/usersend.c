/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages to users and to sessions, and their ends: from whoever sends to the homes, from there to the shards concerned, and into
 * the output of each connection. See users.h.
 */
#include "serve/binary.h"
#include "serve/users.h"

#include "base/clock.h"
#include "proto/base64.h"
#include "proto/sse.h"

#define SESSION_RAW 12u

/* ---- sessions ------------------------------------------------------------------------------------ */

bool rc_session_decode(const struct rc_serve *sv, struct rc_str id, uint32_t *shard, uint32_t *slot)
{
	unsigned char raw[SESSION_RAW + 4];
	char text[RC_WS_SESSION_LEN - 1];
	uint64_t secret;
	uint32_t place;
	long len;

	if (id.len != RC_WS_SESSION_LEN || id.ptr[0] != 'c')
		return false;
	for (size_t i = 0; i < sizeof(text); i++) {
		char at = id.ptr[1 + i];
		if (at == '+' || at == '/')
			return false;
		text[i] = (char)(at == '-' ? '+' : at == '_' ? '/' : at);
	}
	len = (long)rc_base64_decode((struct rc_str){text, sizeof(text)}, raw, sizeof(raw));
	if (len != SESSION_RAW)
		return false;
	memcpy(&place, raw, sizeof(place));
	memcpy(&secret, raw + sizeof(place), sizeof(secret));
	place ^= (uint32_t)rc_hash_u64(&sv->hub->key, secret);
	*shard = place >> 24;
	*slot = place & 0xffffff;
	return *shard < sv->hub->limits.shards;
}

/* In a time that does not tell how far two ids agree. */
static bool same_id(const char *a, const char *b)
{
	unsigned char differ = 0;

	for (size_t i = 0; i < RC_WS_SESSION_LEN; i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return differ == 0;
}

struct rc_conn *rc_session_find(const struct rc_serve *sv, struct rc_str id)
{
	char session[RC_WS_SESSION_LEN];
	uint32_t shard, slot;

	if (!rc_session_decode(sv, id, &shard, &slot) || shard != sv->shard ||
		slot >= sv->conns->mark)
		return NULL;
	struct rc_conn *c = &sv->conns->at[slot];
	if (c->state != RC_CONN_OPEN || (c->kind != RC_CONN_WS && c->kind != RC_CONN_SSE))
		return NULL;
	rc_ws_session(sv, c, session);
	return same_id(session, id.ptr) ? c : NULL;
}

/* ---- delivery ------------------------------------------------------------------------------------ */

/* What one message is, while it is given to one after the other. */
struct giving {
	const struct rc_user_message *m;
	struct rc_str text; /* the whole object */
	char reason[RC_REASON_MAX + 1];
};

static void write_text(struct rc_serve *sv, const struct rc_user_message *m, struct giving *g)
{
	struct rc_textbuf b = {.ptr = sv->users->text, .cap = sv->hub->limits.frame_max};
	char iso[RC_ISO8601_LEN];

	rc_clock_iso8601(m->timestamp_ms, iso);
	rc_textbuf_add_text(&b, "{\"type\":\"event\",\"event\":");
	rc_textbuf_add_string(&b, m->event);
	rc_textbuf_add_text(&b, ",\"direct\":true,\"timestamp\":");
	rc_textbuf_add_string(&b, (struct rc_str){iso, sizeof(iso)});
	if (m->json) {
		rc_textbuf_add_text(&b, ",\"data\":");
		rc_textbuf_add(&b, m->data.len ? m->data : RC_STR("null"));
	} else {
		rc_textbuf_add_text(&b, ",\"encoding\":\"base64\",\"data\":\"");
		rc_textbuf_add_base64(&b, m->data);
		rc_textbuf_add_char(&b, '"');
	}
	rc_textbuf_add_char(&b, '}');
	RC_ASSERT(!b.full);
	g->text = rc_textbuf_str(&b);
}

static void begin(struct rc_serve *sv, const struct rc_user_message *m, struct giving *g)
{
	g->m = m;
	g->text = (struct rc_str){NULL, 0};
	if (!m->code) {
		write_text(sv, m, g);
		return;
	}
	RC_ASSERT(m->event.len <= RC_REASON_MAX);
	(void)rc_str_copy(g->reason, m->event);
	g->reason[m->event.len] = '\0';
}

static bool give_sse(struct rc_serve *sv, struct rc_conn *c, const struct giving *g)
{
	struct rc_str none = {NULL, 0};
	size_t bound = rc_sse_block_bound(g->m->event, g->text, none);
	unsigned char *room = NULL;

	if (c->out_len <= sv->config->output_max)
		room = rc_conn_reserve(sv->conns, c, (uint32_t)bound, UINT32_MAX);
	if (!room) {
		rc_count(sv->counters, RC_C_output_overflows, 1);
		rc_sse_end(sv, c, RC_C_close_too_slow);
		return false;
	}
	rc_conn_commit(sv->conns, c, (uint32_t)rc_sse_block(room, g->m->event, g->text, none));
	return true;
}

static bool give_ws(struct rc_serve *sv, struct rc_conn *c, const struct giving *g)
{
	if (RC_UNLIKELY(c->stage & RC_WS_BIN)) {
		rc_bin_direct(sv, c, g->m->event, g->m->data, g->m->json, g->m->timestamp_ms);
		return c->state == RC_CONN_OPEN;
	}
	struct rc_textbuf b = rc_ws_begin(sv, c, g->text.len);

	if (!b.ptr)
		return false;
	rc_textbuf_add(&b, g->text);
	rc_ws_end(sv, c, &b);
	return true;
}

/* One that can't take it is closed, and thereby knows. */
static void give(struct rc_serve *sv, struct rc_conn *c, const struct giving *g)
{
	if (g->m->code) {
		rc_user_end(sv, c, g->m->code, g->reason, RC_C_close_operator);
		return;
	}
	if (c->state != RC_CONN_OPEN)
		return;
	/* A stream that is about to begin has nowhere to put it. */
	if (c->kind == RC_CONN_HTTP) {
		rc_conn_kill(sv->conns, c);
		return;
	}
	if (c->kind == RC_CONN_WS ? give_ws(sv, c, g)
				  : c->kind == RC_CONN_SSE && give_sse(sv, c, g))
		rc_count(sv->counters, RC_C_direct_delivered, 1);
}

static void give_user(struct rc_serve *sv, uint32_t local, const struct giving *g)
{
	struct rc_users *u = sv->users;
	const struct rc_user_local *l = rc_user_block(sv, local);

	u->walk = l->first;
	while (u->walk != RC_NONE) {
		const struct rc_user_member *m = rc_user_block(sv, u->walk);
		u->walk = m->next;
		if (m->joined)
			give(sv, &sv->conns->at[m->slot], g);
	}
}

void rc_user_deliver(struct rc_serve *sv, const struct rc_user_message *m, uint32_t home)
{
	struct rc_str rest = m->targets, id;
	uint64_t stamp = ++sv->users->stamp;
	struct giving g;

	begin(sv, m, &g);
	while (rc_user_next(&rest, &id)) {
		uint64_t hash = rc_user_hash(sv, id);
		if (rc_user_home(sv, hash) != home)
			continue;
		uint32_t local = rc_user_local_find(sv, id, hash);
		if (local == RC_NONE)
			continue;
		struct rc_user_local *l = rc_user_block(sv, local);
		if (l->stamp == stamp)
			continue;
		l->stamp = stamp;
		give_user(sv, local, &g);
	}
}

static uint64_t deliver_session(struct rc_serve *sv, const struct rc_user_message *m)
{
	struct rc_conn *c = rc_session_find(sv, m->targets);
	struct giving g;

	if (!c) {
		rc_count(sv->counters, RC_C_direct_nobody, m->code == 0);
		return 0;
	}
	begin(sv, m, &g);
	give(sv, c, &g);
	return 1;
}

/* ---- records ------------------------------------------------------------------------------------- */

static size_t sent_bytes(const struct rc_user_message *m)
{
	return sizeof(struct rc_user_sent) + m->targets.len + m->event.len + m->data.len;
}

/* False: no room. */
static bool put(struct rc_serve *sv, const struct rc_user_message *m, enum rc_user_kind kind,
	uint32_t shard)
{
	bool is_ask = kind == RC_USER_SEND;
	size_t len = sent_bytes(m);
	struct rc_user_sent *r = sv->port.user_reserve(sv->port.ctx, shard, is_ask, len);

	if (!r)
		return false;
	*r = (struct rc_user_sent){
		.kind = kind,
		.home = sv->shard,
		.from = m->from,
		.timestamp_ms = m->timestamp_ms,
		.targets_len = (uint32_t)m->targets.len,
		.data_len = (uint32_t)m->data.len,
		.code = m->code,
		.event_len = (uint8_t)m->event.len,
		.session = m->session,
		.json = m->json,
	};
	char *at = rc_str_copy(r->bytes, m->targets);
	at = rc_str_copy(at, m->event);
	(void)rc_str_copy(at, m->data);
	sv->port.user_commit(sv->port.ctx, shard, is_ask, len);
	return true;
}

static struct rc_user_message message_of(const struct rc_user_sent *r)
{
	const char *at = r->bytes;

	return (struct rc_user_message){
		.from = r->from,
		.targets = {at, r->targets_len},
		.event = {at + r->targets_len, r->event_len},
		.data = {at + r->targets_len + r->event_len, r->data_len},
		.timestamp_ms = r->timestamp_ms,
		.code = r->code,
		.session = r->session,
		.json = r->json,
	};
}

void rc_user_deliver_told(struct rc_serve *sv, const struct rc_user_sent *r)
{
	struct rc_user_message m = message_of(r);

	rc_user_deliver(sv, &m, r->home);
}

/* ---- the home ------------------------------------------------------------------------------------ */

/* The shards where the users are whose home is this one. */
static uint64_t concerned(struct rc_serve *sv, const struct rc_user_message *m,
	uint64_t *connections, uint32_t *nobody)
{
	struct rc_str rest = m->targets, id;
	uint64_t stamp = ++sv->users->stamp, shards = 0;

	while (rc_user_next(&rest, &id)) {
		uint64_t hash = rc_user_hash(sv, id);
		if (rc_user_home(sv, hash) != sv->shard)
			continue;
		uint32_t at = rc_user_home_find(sv, id, hash);
		struct rc_user *u = at == RC_NONE ? NULL : rc_user_block(sv, at);
		if (!u || u->count == 0) {
			(*nobody)++;
			continue;
		}
		if (u->stamp == stamp)
			continue;
		u->stamp = stamp;
		*connections += u->count;
		for (uint32_t i = 0; i < sv->hub->limits.shards; i++)
			shards |= (uint64_t)(u->on[i] > 0) << i;
	}
	return shards;
}

/* What a home is about to do. */
struct plan {
	uint64_t shards, connections;
	uint32_t nobody;
};

/* from: who has to have room for an outcome besides; this shard: nobody. False: no room somewhere. */
static bool home_room(
	struct rc_serve *sv, const struct rc_user_message *m, uint32_t from, struct plan *plan)
{
	size_t outcome = sizeof(struct rc_outcome) + RC_USER_RECORD_ROOM;
	size_t deliver = sent_bytes(m) + RC_USER_RECORD_ROOM;
	uint64_t self = (uint64_t)1 << sv->shard;

	*plan = (struct plan){0};
	if (!m->session)
		plan->shards = concerned(sv, m, &plan->connections, &plan->nobody);
	for (uint64_t left = (plan->shards | (uint64_t)1 << from) & ~self; left; left &= left - 1) {
		uint32_t shard = (uint32_t)__builtin_ctzll(left);
		size_t need =
			(plan->shards >> shard & 1 ? deliver : 0) + (shard == from ? outcome : 0);
		if (!sv->port.user_room(sv->port.ctx, shard, false, need))
			return false;
	}
	return true;
}

/* Its own connections last: one that ends with it has things to say in the same rings. The number of connections. */
static uint64_t home_send(
	struct rc_serve *sv, const struct rc_user_message *m, const struct plan *plan)
{
	uint64_t self = (uint64_t)1 << sv->shard;

	if (m->session)
		return deliver_session(sv, m);
	if (!m->code)
		rc_count(sv->counters, RC_C_direct_nobody, plan->nobody);
	for (uint64_t left = plan->shards & ~self; left; left &= left - 1) {
		if (!put(sv, m, RC_USER_DELIVER, (uint32_t)__builtin_ctzll(left)))
			RC_FAIL("room for a message was asked for before");
	}
	if (plan->shards & self)
		rc_user_deliver(sv, m, sv->shard);
	return plan->connections;
}

bool rc_user_send_asked(struct rc_serve *sv, const struct rc_user_sent *r)
{
	struct rc_user_message m = message_of(r);
	struct rc_outcome outcome = {.to = m.from};
	struct plan plan;

	if (!home_room(sv, &m, m.from.shard, &plan))
		return false;
	outcome.offset = home_send(sv, &m, &plan);
	sv->port.outcome(sv->port.ctx, m.from.shard, &outcome);
	return true;
}

/* ---- whoever sends ------------------------------------------------------------------------------- */

enum rc_route rc_users_send(struct rc_serve *sv, const struct rc_user_message *m,
	uint64_t *connections, uint32_t *parts)
{
	uint64_t self = (uint64_t)1 << sv->shard, homes = 0;
	struct rc_str rest = m->targets, id;
	uint32_t shard, slot;
	struct plan plan;

	*connections = 0;
	*parts = 0;
	if (m->session && rc_session_decode(sv, m->targets, &shard, &slot))
		homes = (uint64_t)1 << shard;
	else if (m->session)
		rc_count(sv->counters, RC_C_direct_nobody, m->code == 0);
	while (!m->session && rc_user_next(&rest, &id))
		homes |= (uint64_t)1 << rc_user_home(sv, rc_user_hash(sv, id));
	for (uint64_t left = homes & ~self; left; left &= left - 1) {
		if (!sv->port.user_room(
			    sv->port.ctx, (uint32_t)__builtin_ctzll(left), true, sent_bytes(m)))
			return RC_ROUTE_FULL;
	}
	if ((homes & self) && !home_room(sv, m, sv->shard, &plan))
		return RC_ROUTE_FULL;
	for (uint64_t left = homes & ~self; left; left &= left - 1) {
		if (!put(sv, m, RC_USER_SEND, (uint32_t)__builtin_ctzll(left)))
			RC_FAIL("room for a message was asked for before");
		(*parts)++;
	}
	if (homes & self)
		*connections = home_send(sv, m, &plan);
	if (!m->code)
		rc_count(sv->counters, RC_C_direct_sent, 1);
	return *parts ? RC_ROUTE_AWAY : RC_ROUTE_DONE;
}
