/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscribing and unsubscribing. A subscribe is acknowledged when the owners of all its channels have answered, with the
 * position at which each begins; until then its subscriptions are paused. The requests of a connection are acknowledged in the order
 * in which they came.
 *
 *   connection.requests ─▶ request ─▶ request        request: id, word, subs[]
 */
#include "serve/serve.h"

#include <stdio.h>

#include "proto/http1.h"
#include "proto/message.h"
#include "serve/replay.h"

/* In subs[]: this request brought the subscription into being. */
#define FRESH       0x80000000u
#define REQUEST_END RC_NONE
/* Messages that wait for those before them. */
#define LATER_MAX 256u

enum request_kind {
	SUBSCRIBE,
	HISTORY, /* asked, and not answered yet */
	LATER, /* a message that must not overtake those before it: text_len bytes where subs stand */
};

struct request {
	struct request *next;
	uint32_t remaining; /* answers that are missing */
	uint32_t count;
	uint32_t size; /* of the block */
	uint32_t text_len;
	uint8_t word;
	uint8_t id_len;
	bool silent; /* nobody asked by a message: no acknowledgement is due */
	bool refused;
	bool recovers; /* with `since` */
	uint8_t kind;
	char id[RC_MSG_ID_MAX];
	uint32_t subs[];
};

/* A connection keeps its first request as an offset in the arena in units of 16 bytes: 64 GiB are within reach. */
static struct request *first_request(const struct rc_serve *sv, const struct rc_conn *c)
{
	return c->requests == REQUEST_END ? NULL
					  : (struct request *)(void *)(sv->pool->arena->base +
								       (size_t)c->requests * 16);
}

static void set_first(const struct rc_serve *sv, struct rc_conn *c, const struct request *r)
{
	c->requests =
		r ? (uint32_t)((size_t)((const unsigned char *)r - sv->pool->arena->base) / 16)
		  : REQUEST_END;
}

static void free_request(struct rc_serve *sv, struct request *r)
{
	rc_pool_put(sv->pool, r, r->size);
}

void rc_serve_unlist(struct rc_serve *sv, struct rc_conn *c, uint32_t sub)
{
	struct rc_sub *s = rc_hub_sub(sv->hub, sub);
	uint32_t *link = &c->listed;

	if (!(s->flags & RC_SUB_LISTED))
		return;
	while (*link != sub)
		link = &rc_hub_sub(sv->hub, *link)->listed_next;
	*link = s->listed_next;
	s->flags &= ~(uint32_t)RC_SUB_LISTED;
}

/* Its stream can't go on, not even to a close frame. */
static void cut_off(struct rc_serve *sv, struct rc_conn *c)
{
	c->flags |= RC_CONN_CLOSE_SENT;
	c->state = RC_CONN_LINGERING;
	rc_conn_timer(sv->conns, c, 1);
}

static void drop(struct rc_serve *sv, struct rc_conn *c, uint32_t sub)
{
	if ((c->flags & RC_CONN_SENDING) && c->send_kind == RC_SEND_LOG && c->send_sub == sub) {
		/* The completion queue ran over: how much of a frame went out is not known, and later nobody can say what followed. */
		c->send_kind = RC_SEND_NONE;
		c->mid_left = 0;
		c->mid_sub = RC_NONE;
		if (c->state != RC_CONN_DEAD)
			cut_off(sv, c);
	} else if (c->mid_left && c->mid_sub == sub) {
		/* The rest of a frame that is half sent must follow, or the stream is broken. */
		const struct rc_sub *s = rc_hub_sub(sv->hub, sub);
		const unsigned char *bytes;
		uint32_t len =
			rc_log_range(&rc_hub_replica(sv->hub, s->replica)->log, s->cursor, &bytes);
		uint32_t left = c->mid_left;
		c->mid_left = 0;
		RC_ASSERT(len >= left);
		if (c->state != RC_CONN_DEAD && !rc_conn_write_first(sv->conns, c, bytes, left)) {
			rc_count(sv->counters, RC_C_arena_refused, 1);
			cut_off(sv, c);
		}
		c->mid_sub = RC_NONE;
	}
	rc_serve_unlist(sv, c, sub);
	if (rc_replay_of(sv, sub) != RC_NONE)
		rc_replay_close(sv, rc_replay_of(sv, sub));
	if (!(rc_hub_sub(sv->hub, sub)->flags & RC_SUB_HIDDEN))
		c->sub_count--;
	rc_replica_unsubscribe(sv->hub, sub, &c->subs);
}

void rc_ws_drop_subs(struct rc_serve *sv, struct rc_conn *c)
{
	struct request *r = first_request(sv, c);

	while (r) {
		struct request *next = r->next;
		free_request(sv, r);
		r = next;
	}
	c->requests = REQUEST_END;
	while (c->subs != RC_NONE)
		drop(sv, c, c->subs);
}

/* ---- acknowledging ------------------------------------------------------------------------------ */

static size_t ack_bound(struct rc_serve *sv, const struct request *r)
{
	size_t bound = 256 + r->id_len;

	for (uint32_t i = 0; i < r->count; i++) {
		if (r->subs[i] != RC_NONE)
			bound += 2 * (size_t)rc_hub_replica(sv->hub,
					     rc_hub_sub(sv->hub, r->subs[i] & ~FRESH)->replica)
						 ->name_len +
				 64;
		if (r->subs[i] != RC_NONE && r->recovers)
			bound += 2 * (size_t)RC_CHANNEL_MAX + 64;
		if (r->subs[i] != RC_NONE && sv->hub->limits.keeps_history)
			bound += RC_STREAM_TEXT_MAX(sv->hub->limits.shards);
	}
	return bound;
}

/* The subscription of a place in the request, if it is to get what it missed; else NULL. */
static const struct rc_replay *recovering(const struct rc_serve *sv, uint32_t entry)
{
	uint32_t replay = entry == RC_NONE ? RC_NONE : rc_replay_of(sv, entry & ~FRESH);
	const struct rc_replay *p = replay == RC_NONE ? NULL : rc_replay_at(sv, replay);

	return p && p->what == RC_REPLAY_SINCE && p->phase == RC_REPLAY_ANSWERED ? p : NULL;
}

static void write_outcomes(struct rc_serve *sv, const struct request *r, struct rc_textbuf *b)
{
	bool first = true, failed = false;

	rc_msg_suback_recovered(b);
	for (uint32_t i = 0; i < r->count; i++) {
		const struct rc_replay *p = recovering(sv, r->subs[i]);
		if (!p)
			continue;
		rc_msg_suback_outcome(b,
			rc_replica_name(
				rc_hub_replica(sv->hub, rc_hub_sub(sv->hub, p->sub)->replica)),
			p->verdict == RC_VERDICT_ALL, first);
		first = false;
		failed |= p->verdict != RC_VERDICT_ALL;
	}
	if (!failed)
		return;
	rc_msg_suback_reasons(b);
	first = true;
	for (uint32_t i = 0; i < r->count; i++) {
		const struct rc_replay *p = recovering(sv, r->subs[i]);
		if (!p || p->verdict == RC_VERDICT_ALL)
			continue;
		rc_msg_suback_reason(b,
			rc_replica_name(
				rc_hub_replica(sv->hub, rc_hub_sub(sv->hub, p->sub)->replica)),
			rc_replay_reason((enum rc_verdict)p->verdict), first);
		first = false;
	}
}

static void write_position(struct rc_serve *sv, uint32_t sub, struct rc_textbuf *b, bool *first)
{
	const struct rc_replica *rep = rc_hub_replica(sv->hub, rc_hub_sub(sv->hub, sub)->replica);
	const struct rc_replay *p = recovering(sv, sub);
	char text[RC_STREAM_TEXT_MAX(RC_STREAM_SHARDS_MAX)];

	if (p && !rep->pattern && !rc_replay_wanted(p))
		p = NULL;
	if (!rep->pattern)
		rc_msg_suback_position(b, rc_replica_name(rep), p ? p->epoch : rep->epoch,
			p ? p->after : rep->offset, *first);
	else if (sv->hub->limits.keeps_history)
		rc_msg_suback_stream(b, rc_replica_name(rep),
			p ? rc_replay_position(sv, p, text) : rc_hub_position(sv->hub), *first);
	else
		return; /* without a history it would be of no use */
	*first = false;
}

static void acknowledge(struct rc_serve *sv, struct rc_conn *c, struct request *r)
{
	struct rc_textbuf b = rc_ws_begin(sv, c, ack_bound(sv, r));
	bool first = true;

	if (!b.ptr)
		return;
	rc_msg_suback_begin(&b, (struct rc_str){r->id, r->id_len}, sv->wall_ms,
		(enum rc_msg_word)r->word, false);
	for (uint32_t i = 0; i < r->count; i++) {
		if (r->subs[i] == RC_NONE)
			continue;
		const struct rc_sub *s = rc_hub_sub(sv->hub, r->subs[i] & ~FRESH);
		rc_msg_suback_channel(
			&b, rc_replica_name(rc_hub_replica(sv->hub, s->replica)), first);
		first = false;
	}
	rc_msg_suback_positions(&b);
	first = true;
	for (uint32_t i = 0; i < r->count; i++) {
		if (r->subs[i] == RC_NONE)
			continue;
		uint32_t sub = r->subs[i] & ~FRESH;
		uint32_t flags = rc_hub_sub(sv->hub, sub)->flags;
		if ((flags & RC_SUB_PAUSED) && !(flags & RC_SUB_REPLAYING))
			rc_replica_resume(sv->hub, sub);
		write_position(sv, sub, &b, &first);
	}
	if (r->recovers)
		write_outcomes(sv, r, &b);
	rc_msg_suback_end(&b, true);
	rc_ws_end(sv, c, &b);
	for (uint32_t i = 0; i < r->count && c->state == RC_CONN_OPEN; i++) {
		uint32_t replay = r->subs[i] == RC_NONE || !(r->subs[i] & FRESH)
					  ? RC_NONE
					  : rc_replay_of(sv, r->subs[i] & ~FRESH);
		if (replay != RC_NONE)
			rc_replay_start(sv, replay);
	}
}

/* Later requests that counted on a subscription that is to go are refused with the one that made it. */
static void refuse_with(struct rc_serve *sv, struct rc_conn *c, uint32_t sub)
{
	for (struct request *r = first_request(sv, c); r; r = r->next) {
		for (uint32_t i = 0; i < r->count; i++) {
			if (r->subs[i] != sub)
				continue;
			r->subs[i] = RC_NONE;
			r->refused = true;
		}
	}
}

static void refuse(struct rc_serve *sv, struct rc_conn *c, struct request *r)
{
	for (uint32_t i = 0; i < r->count; i++) {
		if (r->subs[i] == RC_NONE || !(r->subs[i] & FRESH))
			continue;
		refuse_with(sv, c, r->subs[i] & ~FRESH);
		drop(sv, c, r->subs[i] & ~FRESH);
	}
	rc_count(sv->counters, RC_C_subscribe_refused_full, 1);
	rc_ws_error(sv, c, (struct rc_str){r->id, r->id_len}, "server_capacity_exceeded", true,
		"the gateway has no room for these channels");
}

static void finish_requests(struct rc_serve *sv, struct rc_conn *c)
{
	struct request *r;

	while (c->state == RC_CONN_OPEN && (r = first_request(sv, c)) != NULL &&
		r->remaining == 0) {
		set_first(sv, c, r->next);
		if (r->kind == LATER) {
			sv->from_line = true;
			rc_ws_message(sv, c, (struct rc_str){(char *)r->subs, r->text_len});
			sv->from_line = false;
		} else if (r->refused) {
			refuse(sv, c, r);
		} else {
			acknowledge(sv, c, r);
		}
		free_request(sv, r);
	}
}

/* Where a subscription stands in a request, while it waits: its listed_next is not needed yet. */
static struct request *request_of(struct rc_serve *sv, struct rc_conn *c, uint32_t sub)
{
	uint32_t replay = rc_replay_of(sv, sub);
	uint32_t place = replay == RC_NONE ? rc_hub_sub(sv->hub, sub)->listed_next
					   : rc_replay_at(sv, replay)->place;

	for (struct request *r = first_request(sv, c); r; r = r->next) {
		if (place < r->count && r->subs[place] == (sub | FRESH))
			return r;
	}
	return NULL;
}

void rc_ws_replica_ready(struct rc_serve *sv, uint32_t replica, bool taken)
{
	/* Finishing a request may change the array that is walked: begin again after each. */
	for (bool again = true; again;) {
		struct rc_replica *rep = rc_hub_replica(sv->hub, replica);
		again = false;
		for (uint32_t i = 0; i < rep->count; i++) {
			struct rc_sub *s = rc_hub_sub(sv->hub, rep->subs[i]);
			if (!(s->flags & RC_SUB_PAUSED) || s->listed_next == RC_NONE)
				continue;
			struct rc_conn *c = &sv->conns->at[s->conn];
			struct request *r = request_of(sv, c, rep->subs[i]);
			if (!r)
				continue;
			if (s->flags & RC_SUB_REPLAYING) {
				struct rc_replay *p = rc_replay_at(sv, s->listed_next);
				if (p->phase != RC_REPLAY_NEW)
					continue;
				if (taken && rc_replay_check(sv, s->listed_next))
					continue;
				p->phase = RC_REPLAY_ANSWERED;
			} else {
				s->listed_next = RC_NONE;
			}
			r->refused |= !taken;
			/* One that is refused already waits for nothing but its turn. */
			if (r->remaining && --r->remaining == 0) {
				/* A refusal may take the last subscriber and with it the replica. */
				bool last = rep->count == 1;
				finish_requests(sv, c);
				if (last)
					return;
				again = true;
				break;
			}
		}
	}
}

void rc_ws_replay_answered(struct rc_serve *sv, struct rc_conn *c, uint32_t replay)
{
	struct request *r = request_of(sv, c, rc_replay_at(sv, replay)->sub);

	/* One that is refused already waits for nothing. */
	if (r && r->remaining && --r->remaining == 0)
		finish_requests(sv, c);
}

/* ---- asking ------------------------------------------------------------------------------------- */

static struct request *new_request(
	struct rc_serve *sv, uint32_t count_max, struct rc_str id, enum rc_msg_word word)
{
	size_t size = sizeof(struct request) + (size_t)count_max * sizeof(uint32_t);
	struct request *r = rc_pool_get(sv->pool, size);

	if (!r)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->size = (uint32_t)size;
	r->word = (uint8_t)word;
	r->id_len = (uint8_t)id.len;
	(void)rc_str_copy(r->id, id);
	return r;
}

/* What the subscription gets before its live events. False: no room. */
static bool add_replay(struct rc_serve *sv, struct rc_conn *c, struct request *r, uint32_t sub,
	const struct rc_since *since)
{
	const struct rc_replica *rep = rc_hub_replica(sv->hub, rc_hub_sub(sv->hub, sub)->replica);

	if (!since && (rep->pattern || !sv->hub->namespaces[rep->ns].first_latest))
		return true;
	uint32_t replay =
		rc_replay_open(sv, c, sub, since ? RC_REPLAY_SINCE : RC_REPLAY_FIRST, since);
	if (replay == RC_NONE)
		return false;
	rc_replay_at(sv, replay)->place = r->count;
	r->recovers |= since != NULL;
	return true;
}

/* since: NULL when nothing was said of this one. */
static bool add(struct rc_serve *sv, struct rc_conn *c, struct request *r, struct rc_str name,
	bool pattern, const struct rc_since *since)
{
	uint32_t sub;
	enum rc_subscribe_result result = rc_replica_subscribe(
		sv->hub, rc_conn_slot(sv->conns, c), &c->subs, name, pattern, RC_SUB_PAUSED, &sub);

	if (result == RC_SUBSCRIBE_FULL)
		return false;
	struct rc_sub *s = rc_hub_sub(sv->hub, sub);
	if (result == RC_SUBSCRIBED) {
		bool active = rc_hub_replica(sv->hub, s->replica)->state == RC_REPLICA_ACTIVE;
		c->sub_count++;
		r->subs[r->count] = sub | FRESH;
		if (!add_replay(sv, c, r, sub, since)) {
			r->count++;
			return false;
		}
		uint32_t replay = rc_replay_of(sv, sub);
		if (!active && replay == RC_NONE)
			s->listed_next = r->count;
		if (!active || (replay != RC_NONE && rc_replay_check(sv, replay)))
			r->remaining++;
		sub |= FRESH;
	}
	r->subs[r->count++] = sub;
	return true;
}

/* At the end of the line, unless it stood in it already: then it goes on being the first. */
static void link_request(struct rc_serve *sv, struct rc_conn *c, struct request *r)
{
	struct request *last = first_request(sv, c);

	if (!last || sv->from_line) {
		r->next = last;
		set_first(sv, c, r);
		return;
	}
	while (last->next)
		last = last->next;
	last->next = r;
}

static void append_request(struct rc_serve *sv, struct rc_conn *c, struct request *r)
{
	link_request(sv, c, r);
	sv->from_line = false;
	finish_requests(sv, c);
}

bool rc_ws_waits_in_line(
	struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m, struct rc_str text)
{
	uint32_t later = 0;

	if (sv->from_line || c->requests == REQUEST_END)
		return false;
	for (const struct request *r = first_request(sv, c); r; r = r->next)
		later += r->kind == LATER;
	/* Subscribes may be under way together; they are acknowledged in order. */
	if (later == 0 && m->type == RC_MSG_SUBSCRIBE)
		return false;
	struct request *r = later < LATER_MAX ? rc_pool_get(sv->pool, sizeof(*r) + text.len) : NULL;
	if (!r) {
		rc_ws_error(sv, c, m->id_raw, "server_capacity_exceeded", true,
			"too many requests wait for those before them");
		return true;
	}
	memset(r, 0, sizeof(*r));
	r->size = (uint32_t)(sizeof(*r) + text.len);
	r->kind = LATER;
	r->text_len = (uint32_t)text.len;
	memcpy(r->subs, text.ptr, text.len);
	link_request(sv, c, r);
	return true;
}

bool rc_ws_history_begun(struct rc_serve *sv, struct rc_conn *c)
{
	struct request *r = new_request(sv, 0, RC_STR(""), RC_WORD_CHANNELS);

	if (!r)
		return false;
	r->kind = HISTORY;
	r->remaining = 1;
	link_request(sv, c, r);
	sv->from_line = false;
	return true;
}

void rc_ws_history_done(struct rc_serve *sv, struct rc_conn *c)
{
	struct request *r = first_request(sv, c);

	if (!r || r->kind != HISTORY)
		return;
	set_first(sv, c, r->next);
	free_request(sv, r);
	finish_requests(sv, c);
}

static void bad_name(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, struct rc_str name)
{
	char text[128];
	int shown = (int)RC_MIN(name.len, (size_t)64);

	/* Only what is printable is shown: the name is the client's. */
	for (int i = 0; i < shown; i++) {
		if (name.ptr[i] < 0x20 || name.ptr[i] > 0x7e)
			shown = i;
	}
	(void)snprintf(text, sizeof(text), "'%.*s' is not the name of a channel or a pattern",
		shown, shown ? name.ptr : "");
	rc_count(sv->counters, RC_C_subscribe_refused_bad_name, 1);
	rc_ws_error(sv, c, id, "bad_channel", false, text);
}

/* 0 when the name may be subscribed; the error was sent otherwise. */
static int check_name(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, struct rc_str name)
{
	if (rc_name_classify(name) == RC_NAME_BAD) {
		bad_name(sv, c, id, name);
		return -1;
	}
	if (rc_name_reserved(name)) {
		rc_count(sv->counters, RC_C_subscribe_refused_forbidden, 1);
		rc_ws_error(sv, c, id, "forbidden", false,
			"channels that begin with $ are the gateway's own");
		return -1;
	}
	return 0;
}

static int check_count(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, uint32_t more)
{
	char text[128];

	if (c->sub_count + (uint64_t)more <= sv->config->max_channels_per_client)
		return 0;
	(void)snprintf(text, sizeof(text), "a client may hold %u channels at most",
		sv->config->max_channels_per_client);
	rc_count(sv->counters, RC_C_subscribe_refused_limit, 1);
	rc_ws_error(sv, c, id, "limit_exceeded", false, text);
	return -1;
}

static void no_room(struct rc_serve *sv, struct rc_conn *c, struct request *r)
{
	for (uint32_t i = 0; i < r->count; i++) {
		struct rc_sub *s = rc_hub_sub(sv->hub, r->subs[i] & ~FRESH);
		if ((r->subs[i] & FRESH) && s->listed_next == i && !(s->flags & RC_SUB_REPLAYING))
			s->listed_next = RC_NONE;
	}
	r->refused = true;
	r->remaining = 0;
	append_request(sv, c, r);
}

void rc_ws_subscribe(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m)
{
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name;
	uint32_t count = 0, fresh = 0;
	int more;

	rc_count(sv->counters, RC_C_subscribe_requests, 1);
	if (!m->has_channels) {
		rc_ws_error(sv, c, m->id_raw, "bad_request", false, "subscribe needs channels");
		return;
	}
	if (m->filter.kind || m->ack.kind || m->rate.kind || m->window.kind) {
		rc_ws_error(sv, c, m->id_raw, "unsupported", false,
			"filter, ack, rate and window are not offered by this gateway");
		return;
	}
	rc_msg_channels_begin(&it, m);
	while ((more = rc_msg_channels_next(&it, buf, &name)) != 0) {
		if (more < 0) {
			bad_name(sv, c, m->id_raw, name);
			return;
		}
		if (check_name(sv, c, m->id_raw, name) < 0)
			return;
		count++;
		fresh += rc_replica_find_sub(sv->hub, rc_conn_slot(sv->conns, c), c->subs, name) ==
			 RC_NONE;
	}
	if (count == 0) {
		rc_ws_error(sv, c, m->id_raw, "bad_request", false, "subscribe names no channel");
		return;
	}
	if (check_count(sv, c, m->id_raw, fresh) < 0)
		return;
	struct rc_since_table table;
	struct rc_msg_fault fault;
	struct rc_since since;
	bool recovers = m->since.kind != RC_JSON_NONE;
	if (recovers && rc_msg_since_check(&table, m, &sv->hub->key, &fault) < 0) {
		rc_ws_error(sv, c, m->id_raw, fault.code, false, fault.message);
		return;
	}
	struct request *r = new_request(sv, count, m->id_raw, m->word);
	if (!r) {
		rc_count(sv->counters, RC_C_subscribe_refused_full, 1);
		rc_ws_error(sv, c, m->id_raw, "server_capacity_exceeded", true,
			"the gateway has no memory for this request");
		return;
	}
	rc_msg_channels_begin(&it, m);
	while (rc_msg_channels_next(&it, buf, &name) > 0) {
		bool from = recovers && rc_msg_since_find(&table, name, &since) == 1;
		if (!add(sv, c, r, name, rc_name_classify(name) == RC_NAME_PATTERN,
			    from ? &since : NULL)) {
			no_room(sv, c, r);
			return;
		}
	}
	append_request(sv, c, r);
}

static bool is_channel_word(struct rc_str key, enum rc_msg_word *word)
{
	static const struct {
		struct rc_str key;
		enum rc_msg_word word;
	} words[] = {
		{RC_STR("channel"), RC_WORD_CHANNEL},
		{RC_STR("channels"), RC_WORD_CHANNELS},
		{RC_STR("category"), RC_WORD_CATEGORY},
		{RC_STR("categories"), RC_WORD_CATEGORIES},
		{RC_STR("room"), RC_WORD_ROOM},
		{RC_STR("rooms"), RC_WORD_ROOMS},
	};

	for (size_t i = 0; i < RC_ARRAY_LEN(words); i++) {
		if (rc_str_eq(key, words[i].key)) {
			*word = words[i].word;
			return true;
		}
	}
	return false;
}

void rc_ws_subscribe_query(struct rc_serve *sv, struct rc_conn *c, struct rc_str query)
{
	struct rc_str rest = query, key, value, none = {NULL, 0};
	enum rc_msg_word word = RC_WORD_CHANNELS, seen;
	char buf[RC_CHANNEL_MAX];
	uint32_t count = 0;
	struct rc_since since = {.kind = RC_SINCE_NONE};
	bool understood = true, patterns = false;

	while (rc_http_query_next(&rest, &key, &value)) {
		if (rc_str_eq(key, RC_STR("since"))) {
			int since_len = rc_http_unescape(value, true, buf, sizeof(buf));
			understood = since_len >= 0 && since.kind == RC_SINCE_NONE &&
				     rc_msg_since_text(
					     (struct rc_str){buf, (size_t)since_len}, &since) == 0;
		}
		if (!understood)
			break;
		if (!is_channel_word(key, &seen))
			continue;
		int len = rc_http_unescape(value, true, buf, sizeof(buf));
		struct rc_str name = {buf, len < 0 ? 0 : (size_t)len};
		if (check_name(sv, c, none, name) < 0)
			return;
		patterns |= rc_name_classify(name) == RC_NAME_PATTERN;
		if (count++ == 0)
			word = seen;
	}
	if (!understood || (since.kind == RC_SINCE_POSITION && (count > 1 || patterns))) {
		rc_ws_error(sv, c, none, "bad_request", false,
			understood
				? "since is the position of one channel, and other or several are named"
				: "since is no position, no time and not \"beginning\"");
		return;
	}
	if (count == 0 || check_count(sv, c, none, count) < 0)
		return;
	struct request *r = new_request(sv, count, RC_STR(""), word);
	if (!r) {
		rc_ws_error(sv, c, none, "server_capacity_exceeded", true,
			"the gateway has no memory for this request");
		return;
	}
	rest = query;
	while (rc_http_query_next(&rest, &key, &value)) {
		if (!is_channel_word(key, &seen))
			continue;
		int len = rc_http_unescape(value, true, buf, sizeof(buf));
		struct rc_str name = {buf, (size_t)len};
		if (!add(sv, c, r, name, rc_name_classify(name) == RC_NAME_PATTERN,
			    since.kind == RC_SINCE_NONE ? NULL : &since)) {
			no_room(sv, c, r);
			return;
		}
	}
	append_request(sv, c, r);
}

/* ---- leaving ------------------------------------------------------------------------------------ */

/* The request waits for this subscription, which stands at that place in it. */
static bool waits(const struct rc_serve *sv, uint32_t sub, uint32_t place)
{
	uint32_t replay = rc_replay_of(sv, sub);

	if (replay == RC_NONE)
		return rc_hub_sub(sv->hub, sub)->listed_next == place;
	return rc_replay_at(sv, replay)->place == place &&
	       rc_replay_undecided(rc_replay_at(sv, replay));
}

/* A request that waits must not name a subscription that is gone. */
static void forget_in_requests(struct rc_serve *sv, struct rc_conn *c, uint32_t sub)
{
	for (struct request *r = first_request(sv, c); r; r = r->next) {
		for (uint32_t i = 0; i < r->count; i++) {
			if (r->subs[i] == RC_NONE || (r->subs[i] & ~FRESH) != sub)
				continue;
			const struct rc_sub *s = rc_hub_sub(sv->hub, sub);
			if ((r->subs[i] & FRESH) && (s->flags & (RC_SUB_PAUSED | RC_SUB_HELD)) &&
				waits(sv, sub, i))
				r->remaining--;
			r->subs[i] = RC_NONE;
		}
	}
}

void rc_ws_unsubscribe(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m)
{
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name;
	bool first = true;
	size_t bound = 256 + m->id_raw.len;
	int more;

	if (m->has_channels) {
		rc_msg_channels_begin(&it, m);
		while ((more = rc_msg_channels_next(&it, buf, &name)) != 0) {
			if (more < 0) {
				bad_name(sv, c, m->id_raw, name);
				return;
			}
			if (check_name(sv, c, m->id_raw, name) < 0)
				return;
			bound += name.len + 8;
		}
	} else {
		for (uint32_t sub = c->subs; sub != RC_NONE; sub = rc_hub_sub(sv->hub, sub)->next)
			bound += rc_hub_replica(sv->hub, rc_hub_sub(sv->hub, sub)->replica)
					 ->name_len +
				 8;
	}
	struct rc_textbuf b = rc_ws_begin(sv, c, bound);
	if (!b.ptr)
		return;
	rc_msg_suback_begin(
		&b, m->id_raw, sv->wall_ms, m->has_channels ? m->word : RC_WORD_CHANNELS, true);
	if (m->has_channels) {
		rc_msg_channels_begin(&it, m);
		while (rc_msg_channels_next(&it, buf, &name) > 0) {
			rc_msg_suback_channel(&b, name, first);
			first = false;
		}
	} else {
		for (uint32_t sub = c->subs; sub != RC_NONE; sub = rc_hub_sub(sv->hub, sub)->next) {
			if (rc_hub_sub(sv->hub, sub)->flags & RC_SUB_HIDDEN)
				continue;
			rc_msg_suback_channel(&b,
				rc_replica_name(
					rc_hub_replica(sv->hub, rc_hub_sub(sv->hub, sub)->replica)),
				first);
			first = false;
		}
	}
	rc_msg_suback_end(&b, false);
	rc_ws_end(sv, c, &b);
	/* The acknowledgement is in place; leaving may put the rest of a cut frame before it. */
	if (m->has_channels) {
		rc_msg_channels_begin(&it, m);
		while (rc_msg_channels_next(&it, buf, &name) > 0) {
			uint32_t sub = rc_replica_find_sub(
				sv->hub, rc_conn_slot(sv->conns, c), c->subs, name);
			if (sub == RC_NONE)
				continue;
			forget_in_requests(sv, c, sub);
			drop(sv, c, sub);
		}
	} else {
		uint32_t sub = c->subs;
		while (sub != RC_NONE) {
			uint32_t next = rc_hub_sub(sv->hub, sub)->next;
			if (!(rc_hub_sub(sv->hub, sub)->flags & RC_SUB_HIDDEN)) {
				forget_in_requests(sv, c, sub);
				drop(sv, c, sub);
			}
			sub = next;
		}
	}
	/* Who was cut off may not be found among the subscribers any more. */
	if (c->state != RC_CONN_OPEN)
		rc_ws_drop_subs(sv, c);
	finish_requests(sv, c);
}
