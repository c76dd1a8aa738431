/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/request.h"

#include "serve/acked.h"
#include "serve/binary.h"
#include "serve/presence.h"
#include "serve/commands.h"
#include "serve/replay.h"
#include "hub/view.h"

/* Messages that wait for those before them. */
#define LATER_MAX 256u
/* What they hold together: several of the largest, or all of an ordinary size. */
#define LATER_BYTES_MAX(sv) (4 * (uint64_t)(sv)->config->client_message_max)

/* A connection keeps its first request as an offset in the arena in units of 16 bytes: 64 GiB are within reach. */
struct rc_request *rc_request_first(const struct rc_serve *sv, const struct rc_conn *c)
{
	return c->requests == RC_NONE ? NULL
				      : (struct rc_request *)(void *)(sv->pool->arena->base +
								      (size_t)c->requests * 16);
}

static void set_first(const struct rc_serve *sv, struct rc_conn *c, const struct rc_request *r)
{
	c->requests =
		r ? (uint32_t)((size_t)((const unsigned char *)r - sv->pool->arena->base) / 16)
		  : RC_NONE;
}

static void free_request(struct rc_serve *sv, struct rc_request *r)
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

void rc_ws_drop_sub(struct rc_serve *sv, struct rc_conn *c, uint32_t sub)
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
	if (rc_acked_of(sv, sub) != RC_NONE)
		rc_acked_left(sv, rc_acked_of(sv, sub));
	if (rc_replay_of(sv, sub) != RC_NONE)
		rc_replay_close(sv, rc_replay_of(sv, sub));
	if (!(rc_hub_sub(sv->hub, sub)->flags & (RC_SUB_HIDDEN | RC_SUB_REPLACED))) {
		rc_presence_left(sv, c, sub);
		c->sub_count--;
	}
	rc_replica_unsubscribe(sv->hub, sub, &c->subs);
}

void rc_ws_drop_subs(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_request *r = rc_request_first(sv, c);

	while (r) {
		struct rc_request *next = r->next;
		free_request(sv, r);
		r = next;
	}
	c->requests = RC_NONE;
	while (c->subs != RC_NONE)
		rc_ws_drop_sub(sv, c, c->subs);
}

/* ---- acknowledging ------------------------------------------------------------------------------ */

static size_t ack_bound(struct rc_serve *sv, const struct rc_request *r)
{
	size_t bound = 256 + r->id_len;

	for (uint32_t i = 0; i < r->count; i++) {
		if (r->subs[i] != RC_NONE)
			bound +=
				2 * (size_t)rc_hub_sub_base(sv->hub, r->subs[i] & ~RC_REQUEST_FRESH)
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
	uint32_t replay = entry == RC_NONE ? RC_NONE : rc_replay_of(sv, entry & ~RC_REQUEST_FRESH);
	const struct rc_replay *p = replay == RC_NONE ? NULL : rc_replay_at(sv, replay);

	return p && p->what == RC_REPLAY_SINCE && p->phase == RC_REPLAY_ANSWERED ? p : NULL;
}

/* Of what a place of the request asked back: its subscription, RC_NONE when it did not. *reason: why it could not; NULL: it could. */
static uint32_t outcome(const struct rc_serve *sv, uint32_t entry, const char **reason)
{
	const struct rc_replay *p = recovering(sv, entry);
	uint32_t acked = entry == RC_NONE || !(entry & RC_REQUEST_FRESH)
				 ? RC_NONE
				 : rc_acked_of(sv, entry & ~RC_REQUEST_FRESH);

	if (acked != RC_NONE)
		return rc_acked_outcome(rc_acked_at(sv, acked), reason) ? entry & ~RC_REQUEST_FRESH
									: RC_NONE;
	if (!p)
		return RC_NONE;
	*reason =
		p->verdict == RC_VERDICT_ALL ? NULL : rc_replay_reason((enum rc_verdict)p->verdict);
	return p->sub;
}

static void write_outcomes(struct rc_serve *sv, const struct rc_request *r, struct rc_textbuf *b)
{
	bool first = true, failed = false;
	const char *reason;

	rc_msg_suback_recovered(b);
	for (uint32_t i = 0; i < r->count; i++) {
		uint32_t sub = outcome(sv, r->subs[i], &reason);
		if (sub == RC_NONE)
			continue;
		rc_msg_suback_outcome(
			b, rc_replica_name(rc_hub_sub_base(sv->hub, sub)), !reason, first);
		first = false;
		failed |= reason != NULL;
	}
	if (!failed)
		return;
	rc_msg_suback_reasons(b);
	first = true;
	for (uint32_t i = 0; i < r->count; i++) {
		uint32_t sub = outcome(sv, r->subs[i], &reason);
		if (sub == RC_NONE || !reason)
			continue;
		rc_msg_suback_reason(
			b, rc_replica_name(rc_hub_sub_base(sv->hub, sub)), reason, first);
		first = false;
	}
}

/* Where it stands once it is acknowledged; empty for a pattern where nothing keeps a history: it would be of no use. */
/* It is subscribed for long, and has not come to the present: whoever remembered that as his position would lose what is between. */
static bool is_behind(const struct rc_serve *sv, uint32_t sub)
{
	const struct rc_sub *s = rc_hub_sub(sv->hub, sub);
	const struct rc_replica *r = rc_hub_replica(sv->hub, s->replica);
	uint32_t replay = rc_replay_of(sv, sub);

	if (replay != RC_NONE)
		return rc_replay_at(sv, replay)->phase >= RC_REPLAY_READING;
	return !(s->flags & (RC_SUB_PAUSED | RC_SUB_HELD)) &&
	       (s->cursor < r->log.tail || rc_view_keeps_back(r));
}

static struct rc_str position_of(struct rc_serve *sv, uint32_t sub, char *text)
{
	const struct rc_replica *rep = rc_hub_sub_base(sv->hub, sub);
	const struct rc_replay *p = recovering(sv, sub);

	if (is_behind(sv, sub))
		return (struct rc_str){"", 0};

	if (p && !rep->pattern && !rc_replay_wanted(p))
		p = NULL;
	if (rc_acked_of(sv, sub) != RC_NONE) {
		const struct rc_acked *acked = rc_acked_at(sv, rc_acked_of(sv, sub));
		return (struct rc_str){text, rc_position_text(acked->epoch, acked->after, text)};
	}
	if (!rep->pattern)
		return (struct rc_str){text, rc_position_text(p ? p->epoch : rep->epoch,
						     p ? p->after : rep->offset, text)};
	if (!sv->hub->limits.keeps_history)
		return (struct rc_str){"", 0};
	return p ? rc_replay_position(sv, p, text) : rc_hub_position(sv->hub);
}

static void write_position(struct rc_serve *sv, uint32_t sub, struct rc_textbuf *b, bool *first)
{
	const struct rc_replica *rep = rc_hub_sub_base(sv->hub, sub);
	char text[RC_STREAM_TEXT_MAX(RC_SHARDS_MAX)];
	struct rc_str position = position_of(sv, sub, text);

	if (position.len == 0)
		return;
	rc_msg_suback_stream(b, rc_replica_name(rep), position, *first);
	*first = false;
}

/* False: it was closed meanwhile. */
static bool settle(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r)
{
	if (r->replaces)
		rc_request_take_places(sv, c, r);
	/* A view lets go of what it has kept back before somebody joins it; not while the answer is being written. */
	for (uint32_t i = 0; i < r->count && c->state == RC_CONN_OPEN; i++) {
		if (r->subs[i] != RC_NONE && (r->subs[i] & RC_REQUEST_FRESH))
			rc_view_settle(sv->hub,
				rc_hub_sub(sv->hub, r->subs[i] & ~RC_REQUEST_FRESH)->replica);
	}
	if (c->state != RC_CONN_OPEN)
		return false;
	return true;
}

/* What is new of it, before it takes the place of anything. False: nobody wants to know. */
static bool list_new(struct rc_serve *sv, struct rc_conn *c, const struct rc_request *r,
	struct rc_client_channels *l)
{
	/* Who listens on the ingest port is no client. */
	if (c->kind == RC_CONN_INGEST || !rc_client_channels_begin(sv, RC_ON_SUBSCRIBE,
						 (size_t)r->count * RC_CHANNEL_MAX, r->count, l))
		return false;
	for (uint32_t i = 0; i < r->count; i++) {
		if (r->subs[i] == RC_NONE || !(r->subs[i] & RC_REQUEST_FRESH))
			continue;
		uint32_t sub = r->subs[i] & ~RC_REQUEST_FRESH;
		if (!r->replaces || !rc_request_is_instead(sv, c, sub))
			rc_client_channels_add(l, rc_replica_name(rc_hub_sub_base(sv->hub, sub)));
	}
	return true;
}

static const uint8_t verdicts[] = {
	[RC_VERDICT_ALL] = RINGCAST_VERDICT_RECOVERED,
	[RC_VERDICT_EPOCH] = RINGCAST_VERDICT_EPOCH,
	[RC_VERDICT_TRIMMED] = RINGCAST_VERDICT_TRIMMED,
	[RC_VERDICT_AHEAD] = RINGCAST_VERDICT_AHEAD,
	[RC_VERDICT_MANY] = RINGCAST_VERDICT_TOO_MANY,
};

/* Its events begin now, unless it is given what it missed first. */
static void resume(struct rc_serve *sv, uint32_t sub)
{
	uint32_t flags = rc_hub_sub(sv->hub, sub)->flags;

	if ((flags & RC_SUB_PAUSED) && !(flags & (RC_SUB_REPLAYING | RC_SUB_ACKED)))
		rc_replica_resume(sv->hub, sub);
}

/* In frames, one for each. */
static void acknowledge_frames(struct rc_serve *sv, struct rc_conn *c, const struct rc_request *r)
{
	for (uint32_t i = 0; i < r->count && c->state == RC_CONN_OPEN; i++) {
		char text[RC_STREAM_TEXT_MAX(RC_SHARDS_MAX)];
		if (r->subs[i] == RC_NONE)
			continue;
		uint32_t sub = r->subs[i] & ~RC_REQUEST_FRESH;
		const struct rc_replay *p = recovering(sv, r->subs[i]);
		const struct rc_replica *rep = rc_hub_sub_base(sv->hub, sub);
		resume(sv, sub);
		rc_bin_subscribed(sv, c, rc_replica_name(rep), false,
			p ? verdicts[p->verdict] : RINGCAST_VERDICT_LIVE,
			position_of(sv, sub, text));
	}
}

static bool acknowledge_json(struct rc_serve *sv, struct rc_conn *c, const struct rc_request *r)
{
	struct rc_textbuf b = rc_ws_begin(sv, c, ack_bound(sv, r));
	bool first = true;

	if (!b.ptr)
		return false;
	rc_msg_suback_begin(&b, (struct rc_str){r->id, r->id_len}, sv->wall_ms,
		(enum rc_msg_word)r->word, false);
	for (uint32_t i = 0; i < r->count; i++) {
		if (r->subs[i] == RC_NONE)
			continue;
		rc_msg_suback_channel(&b,
			rc_replica_name(rc_hub_sub_base(sv->hub, r->subs[i] & ~RC_REQUEST_FRESH)),
			first);
		first = false;
	}
	rc_msg_suback_positions(&b);
	first = true;
	for (uint32_t i = 0; i < r->count; i++) {
		if (r->subs[i] == RC_NONE)
			continue;
		resume(sv, r->subs[i] & ~RC_REQUEST_FRESH);
		write_position(sv, r->subs[i] & ~RC_REQUEST_FRESH, &b, &first);
	}
	if (r->recovers)
		write_outcomes(sv, r, &b);
	rc_msg_suback_end(&b, true);
	rc_ws_end(sv, c, &b);
	return true;
}

/* False: it was closed meanwhile. */
static bool say_acknowledged(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r)
{
	if (!settle(sv, c, r))
		return false;
	if (!rc_bin_is(c))
		return acknowledge_json(sv, c, r);
	acknowledge_frames(sv, c, r);
	return true;
}

static void acknowledge(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r)
{
	struct rc_client_channels l;
	bool tells = rc_client_event_wanted(sv, RC_ON_SUBSCRIBE) && list_new(sv, c, r, &l);
	bool said = say_acknowledged(sv, c, r);

	if (tells) {
		/* None of it came to be. */
		if (!said)
			l.count = 0;
		rc_client_channels_end(sv, c, &l);
	}
	if (!said)
		return;
	for (uint32_t i = 0; i < r->count && c->state == RC_CONN_OPEN; i++) {
		if (r->subs[i] == RC_NONE || !(r->subs[i] & RC_REQUEST_FRESH))
			continue;
		uint32_t sub = r->subs[i] & ~RC_REQUEST_FRESH;
		if (rc_replay_of(sv, sub) != RC_NONE)
			rc_replay_start(sv, rc_replay_of(sv, sub));
		else if (rc_acked_of(sv, sub) != RC_NONE)
			rc_acked_start(sv, rc_acked_of(sv, sub));
	}
}

/* Later requests that counted on a subscription that is to go are refused with the one that made it. */
static void refuse_with(struct rc_serve *sv, struct rc_conn *c, uint32_t sub)
{
	for (struct rc_request *r = rc_request_first(sv, c); r; r = r->next) {
		for (uint32_t i = 0; i < r->count; i++) {
			if (r->subs[i] != sub)
				continue;
			r->subs[i] = RC_NONE;
			r->refused = true;
		}
	}
}

static void refuse(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r)
{
	for (uint32_t i = 0; i < r->count; i++) {
		if (r->subs[i] == RC_NONE || !(r->subs[i] & RC_REQUEST_FRESH))
			continue;
		refuse_with(sv, c, r->subs[i] & ~RC_REQUEST_FRESH);
		if (r->replaces)
			rc_request_give_back(sv, c, r->subs[i] & ~RC_REQUEST_FRESH);
		rc_ws_drop_sub(sv, c, r->subs[i] & ~RC_REQUEST_FRESH);
	}
	struct rc_str id = {r->id, r->id_len};
	if (r->too_many) {
		rc_count(sv->counters, RC_C_subscribe_refused_limit, 1);
		rc_ws_error(sv, c, id, "limit_exceeded", true,
			"this user has as many consumers with acknowledged delivery as it may: "
			"unsubscribe with a clientId ends one");
		return;
	}
	rc_count(sv->counters, RC_C_subscribe_refused_full, 1);
	rc_ws_error(sv, c, id, "server_capacity_exceeded", true,
		"the gateway has no room for these channels");
}

void rc_request_finish(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_request *r;

	while (c->state == RC_CONN_OPEN && (r = rc_request_first(sv, c)) != NULL &&
		r->remaining == 0) {
		set_first(sv, c, r->next);
		if (r->kind == RC_REQUEST_LATER) {
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
static struct rc_request *request_of(struct rc_serve *sv, struct rc_conn *c, uint32_t sub)
{
	uint32_t replay = rc_replay_of(sv, sub), acked = rc_acked_of(sv, sub);
	uint32_t place = acked != RC_NONE    ? rc_acked_at(sv, acked)->place
			 : replay == RC_NONE ? rc_hub_sub(sv->hub, sub)->listed_next
					     : rc_replay_at(sv, replay)->place;

	for (struct rc_request *r = rc_request_first(sv, c); r; r = r->next) {
		if (place < r->count && r->subs[place] == (sub | RC_REQUEST_FRESH))
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
			struct rc_request *r = request_of(sv, c, rep->subs[i]);
			if (!r)
				continue;
			if (s->flags & RC_SUB_ACKED) {
				struct rc_acked *a = rc_acked_at(sv, s->listed_next);
				if (a->phase != RC_ACKED_NEW)
					continue;
				if (taken) {
					rc_acked_attach(sv, s->listed_next);
					continue;
				}
				a->phase = RC_ACKED_ANSWERED;
			} else if (s->flags & RC_SUB_REPLAYING) {
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
				rc_request_finish(sv, c);
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
	struct rc_request *r = request_of(sv, c, rc_replay_at(sv, replay)->sub);

	/* One that is refused already waits for nothing. */
	if (r && r->remaining && --r->remaining == 0)
		rc_request_finish(sv, c);
}

void rc_ws_acked_answered(struct rc_serve *sv, struct rc_conn *c, uint32_t acked)
{
	const struct rc_acked *a = rc_acked_at(sv, acked);
	struct rc_request *r = request_of(sv, c, a->sub);

	if (!r || !r->remaining)
		return;
	r->refused |= !a->taken;
	r->too_many |= a->too_many;
	if (--r->remaining == 0)
		rc_request_finish(sv, c);
}

struct rc_request *rc_request_new(
	struct rc_serve *sv, uint32_t count_max, struct rc_str id, enum rc_msg_word word)
{
	size_t size = sizeof(struct rc_request) + (size_t)count_max * sizeof(uint32_t);
	struct rc_request *r = rc_pool_get(sv->pool, size);

	if (!r)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->size = (uint32_t)size;
	r->word = (uint8_t)word;
	r->id_len = (uint16_t)id.len;
	(void)rc_str_copy(r->id, id);
	return r;
}

/* At the end of the line, unless it stood in it already: then it goes on being the first. */
static void link_request(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r)
{
	struct rc_request *last = rc_request_first(sv, c);

	if (!last || sv->from_line) {
		r->next = last;
		set_first(sv, c, r);
		return;
	}
	while (last->next)
		last = last->next;
	last->next = r;
}

void rc_request_append(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r)
{
	link_request(sv, c, r);
	sv->from_line = false;
	rc_request_finish(sv, c);
}

bool rc_ws_waits_in_line(
	struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m, struct rc_str text)
{
	uint32_t later = 0;
	uint64_t bytes = text.len;

	if (sv->from_line || c->requests == RC_NONE)
		return false;
	for (const struct rc_request *r = rc_request_first(sv, c); r; r = r->next) {
		later += r->kind == RC_REQUEST_LATER;
		bytes += r->text_len;
	}
	/* Subscribes may be under way together; they are acknowledged in order. */
	if (later == 0 && m->type == RC_MSG_SUBSCRIBE && rc_ws_stage(c) == RC_WS_LIVE &&
		!rc_ws_names_waiting(sv, c, m))
		return false;
	struct rc_request *r = later < LATER_MAX && bytes <= LATER_BYTES_MAX(sv)
				       ? rc_pool_get(sv->pool, sizeof(*r) + text.len)
				       : NULL;
	if (!r) {
		rc_ws_error(sv, c, m->id_raw, "server_capacity_exceeded", true,
			"too many requests wait for those before them");
		return true;
	}
	memset(r, 0, sizeof(*r));
	r->size = (uint32_t)(sizeof(*r) + text.len);
	r->kind = RC_REQUEST_LATER;
	r->text_len = (uint32_t)text.len;
	memcpy(r->subs, text.ptr, text.len);
	link_request(sv, c, r);
	return true;
}

bool rc_ws_history_begun(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_request *r = rc_request_new(sv, 0, RC_STR(""), RC_WORD_CHANNELS);

	if (!r)
		return false;
	r->kind = RC_REQUEST_HISTORY;
	r->remaining = 1;
	link_request(sv, c, r);
	sv->from_line = false;
	return true;
}

bool rc_ws_line_begun(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_request *r = rc_request_new(sv, 0, RC_STR(""), RC_WORD_CHANNELS);

	if (!r)
		return false;
	r->kind = RC_REQUEST_WHO;
	r->remaining = 1;
	link_request(sv, c, r);
	sv->from_line = false;
	return true;
}

/* Those before it, of one that was anonymous until now, may wait for their answers still. */
void rc_ws_line_ends(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_request *before = NULL;
	struct rc_request *r = rc_request_first(sv, c);

	while (r && r->kind != RC_REQUEST_WHO) {
		before = r;
		r = r->next;
	}
	RC_ASSERT(r);
	if (before)
		before->next = r->next;
	else
		set_first(sv, c, r->next);
	free_request(sv, r);
}

void rc_ws_line_goes_on(struct rc_serve *sv, struct rc_conn *c)
{
	rc_request_finish(sv, c);
}

void rc_ws_history_done(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_request *r = rc_request_first(sv, c);

	if (!r || r->kind != RC_REQUEST_HISTORY)
		return;
	set_first(sv, c, r->next);
	free_request(sv, r);
	rc_request_finish(sv, c);
}

/* The request waits for this subscription, which stands at that place in it. */
static bool waits(const struct rc_serve *sv, uint32_t sub, uint32_t place)
{
	uint32_t replay = rc_replay_of(sv, sub), acked = rc_acked_of(sv, sub);

	if (acked != RC_NONE)
		return rc_acked_at(sv, acked)->place == place &&
		       rc_acked_at(sv, acked)->phase < RC_ACKED_ANSWERED;
	if (replay == RC_NONE)
		return rc_hub_sub(sv->hub, sub)->listed_next == place;
	return rc_replay_at(sv, replay)->place == place &&
	       rc_replay_undecided(rc_replay_at(sv, replay));
}

/* A request that waits must not name a subscription that is gone. */
void rc_request_forget(struct rc_serve *sv, struct rc_conn *c, uint32_t sub)
{
	for (struct rc_request *r = rc_request_first(sv, c); r; r = r->next) {
		for (uint32_t i = 0; i < r->count; i++) {
			if (r->subs[i] == RC_NONE || (r->subs[i] & ~RC_REQUEST_FRESH) != sub)
				continue;
			const struct rc_sub *s = rc_hub_sub(sv->hub, sub);
			if ((r->subs[i] & RC_REQUEST_FRESH) &&
				(s->flags & (RC_SUB_PAUSED | RC_SUB_HELD)) && waits(sv, sub, i))
				r->remaining--;
			r->subs[i] = RC_NONE;
		}
	}
}
