/* SPDX-License-Identifier: Apache-2.0
 *
 * The flush, once per turn: every connection gets all that lies between its cursors and the tails, in one send.
 *
 *   dirty channels ─▶ their subscribers ─┬─ one channel, nothing else to say: SEND straight from the log
 *                                        └─ else into the list of its connection, and that among those that are ready
 *   ready connections ─▶ rest of a cut frame, then its own output, then its channels: small ranges gathered into
 *                        one buffer, a large one straight from the log
 *
 * Sends end inside the submit; what they did is told by rc_flush_sent at the beginning of the next turn, before anything
 * else is handled. So nothing here needs to outlive the turn.
 *
 * Who lags is looked at here, where the lag is known for nothing: tail minus cursor.
 */
#include "shard/shard.h"

#include <errno.h>

#include "conn/tls.h"

#define PREFETCH      8u
#define GATHER_MAX    16384u /* bytes of one gathered send */
#define GATHER_RANGE  4096u  /* a larger range is sent from the log itself */
#define OUT_SEND_MAX  262144u
#define VICTIMS_MAX   64u
#define UNBLOCKED_LAG 4u /* times lag_bytes */

static struct rc_replica *replica_of(const struct rc_shard *s, const struct rc_sub *sub)
{
	return rc_hub_replica(&s->hub, sub->replica);
}

static uint32_t except_of(const struct rc_shard *s, const struct rc_conn *c)
{
	return rc_hub_except(rc_conn_slot(&s->conns, c), c->generation);
}

/* What can be sent in one go to one with holes: the cursor moves over what is not for this client, which may be all there is. */
__attribute__((noinline, cold)) static uint32_t range_with_holes(struct rc_shard *s,
	const struct rc_conn *c, struct rc_sub *sub, const unsigned char **bytes)
{
	uint64_t pos = sub->cursor;
	uint32_t len = rc_log_range_for(&replica_of(s, sub)->log, except_of(s, c), &pos, bytes);

	if (pos > sub->cursor)
		rc_replica_advance(&s->hub, sub, pos);
	return len;
}

/* False: what is left is not for this client. */
__attribute__((noinline, cold)) static bool more_behind_holes(
	struct rc_shard *s, const struct rc_conn *c, struct rc_sub *sub)
{
	const unsigned char *bytes;

	if (sub->flags & (RC_SUB_PAUSED | RC_SUB_HELD))
		return false;
	return (sub->flags & RC_SUB_CONFLATED) || range_with_holes(s, c, sub, &bytes) ||
	       sub->flags >> RC_SUB_MISSED_SHIFT;
}

static void list_sub(struct rc_shard *s, struct rc_conn *c, uint32_t index)
{
	rc_serve_list(&s->serve, c, index);
}

/* Events between two positions, both frame beginnings (or the tail). */
static uint64_t frames_between(const struct rc_log *log, uint64_t begin, uint64_t end)
{
	struct rc_log_frame a, b;

	if (begin >= end)
		return 0;
	rc_log_frame_at(log, begin, &a);
	if (end == log->tail)
		return log->count_tail - a.ordinal;
	rc_log_frame_at(log, end, &b);
	return b.ordinal - a.ordinal;
}

/* Events that [begin, end) brought to one client. */
static void count_deliveries(struct rc_shard *s, struct rc_conn *c, const struct rc_replica *r,
	uint64_t begin, uint64_t end)
{
	/* Subscribers stand at the same few positions: the last answer mostly serves the next one too. */
	static _Thread_local struct {
		const struct rc_replica *r;
		uint32_t token;
		uint64_t begin, end, tail, frames;
	} memo;
	if (memo.r != r || memo.token != r->token || memo.begin != begin || memo.end != end ||
		memo.tail != r->log.tail) {
		struct rc_log_frame a, b;
		rc_log_frame_at(&r->log, begin, &a);
		memo.frames = r->log.count_tail - a.ordinal;
		if (end < r->log.tail) {
			rc_log_frame_at(&r->log, end, &b);
			memo.frames = b.ordinal - a.ordinal;
		}
		memo.r = r;
		memo.token = r->token;
		memo.begin = begin;
		memo.end = end;
		memo.tail = r->log.tail;
	}
	c->events_out += (uint32_t)memo.frames;
	rc_count(s->counters, RC_C_deliveries, memo.frames);
	rc_count_ns(s->counters, RC_N_deliveries, r->ns, memo.frames);
}

/* ---- those who don't keep up -------------------------------------------------------------------- */

static void add_missed(struct rc_shard *s, struct rc_sub *sub, uint64_t missed)
{
	uint64_t had = sub->flags >> RC_SUB_MISSED_SHIFT;

	rc_count(s->counters, RC_C_events_skipped, missed);
	rc_count_ns(s->counters, RC_N_skipped, replica_of(s, sub)->ns, missed);
	/* The count saturates at a million; the position that goes with it stays right. */
	missed = RC_MIN(had + missed, (uint64_t)RC_SUB_MISSED_MAX);
	sub->flags = (sub->flags & RC_SUB_FLAGS) | (uint32_t)missed << RC_SUB_MISSED_SHIFT;
}

/* The rest of a frame that the client has half of moves to its output, so that the cursor is free to go. */
static bool free_cursor(struct rc_shard *s, struct rc_conn *c, uint32_t index)
{
	struct rc_sub *sub = rc_hub_sub(&s->hub, index);
	const unsigned char *bytes;

	if ((c->flags & RC_CONN_SENDING) && c->send_kind == RC_SEND_LOG && c->send_sub == index)
		return false; /* how far it came is not known yet */
	if (c->mid_left == 0 || c->mid_sub != index)
		return true;
	uint32_t len = rc_log_range(&replica_of(s, sub)->log, sub->cursor, &bytes);
	RC_ASSERT(len >= c->mid_left);
	if (!rc_conn_write_first(&s->conns, c, bytes, c->mid_left))
		return false;
	len = c->mid_left;
	c->mid_left = 0;
	c->mid_sub = RC_NONE;
	rc_replica_advance(&s->hub, sub, sub->cursor + len);
	return true;
}

static void skip_to(struct rc_shard *s, struct rc_conn *c, uint32_t index, uint64_t pos)
{
	struct rc_sub *sub = rc_hub_sub(&s->hub, index);
	struct rc_replica *r = replica_of(s, sub);

	if (!free_cursor(s, c, index) || sub->cursor >= pos)
		return;
	uint64_t missed = frames_between(&r->log, sub->cursor, pos);
	if (sub->flags & RC_SUB_HOLE)
		missed -= rc_log_excepted(&r->log, except_of(s, c), sub->cursor, pos);
	add_missed(s, sub, missed);
	rc_replica_advance(&s->hub, sub, pos);
}

/*
 * `latest`: what is older than the newest event is not sent to one who is behind. With a key he is only marked: what he gets
 * is decided when he can take it.
 */
static void conflate(struct rc_shard *s, struct rc_conn *c, uint32_t index)
{
	struct rc_sub *sub = rc_hub_sub(&s->hub, index);
	struct rc_replica *r = replica_of(s, sub);
	struct rc_log_frame last;

	if (!free_cursor(s, c, index) || sub->cursor == r->log.tail)
		return;
	rc_count(s->counters, RC_C_lag_conflations, 1);
	if (s->hub.namespaces[r->ns].key.len) {
		sub->flags |= RC_SUB_CONFLATED;
		return;
	}
	rc_log_frame_last(&r->log, &last);
	uint64_t skipped = frames_between(&r->log, sub->cursor, last.pos);
	rc_count(s->counters, RC_C_events_skipped, skipped);
	rc_count_ns(s->counters, RC_N_skipped, r->ns, skipped);
	rc_replica_advance(&s->hub, sub, last.pos);
}

/* The newest of each key that he has not had, in order, as the connection's own output. False: no memory now. */
static bool give_last_values(struct rc_shard *s, struct rc_conn *c, uint32_t index)
{
	struct rc_sub *sub = rc_hub_sub(&s->hub, index);
	struct rc_replica *r = replica_of(s, sub);
	uint32_t except = except_of(s, c);
	const struct rc_last_value *e;
	uint32_t total = 0;
	uint64_t given = 0;

	for (uint32_t i = rc_last_values_from(&r->last, sub->cursor); i != RC_NONE; i = e->newer) {
		e = &r->last.entry[i];
		total += e->except == except ? 0 : e->len;
	}
	if (total) {
		unsigned char *room = rc_conn_reserve(&s->conns, c, total, UINT32_MAX);
		if (!room)
			return false;
		for (uint32_t i = rc_last_values_from(&r->last, sub->cursor); i != RC_NONE;
			i = e->newer) {
			e = &r->last.entry[i];
			if (e->except == except)
				continue;
			memcpy(room, e->frame, e->len);
			room += e->len;
			given++;
		}
		rc_conn_commit(&s->conns, c, total);
	}
	c->events_out += (uint32_t)given;
	rc_count(s->counters, RC_C_deliveries, given);
	rc_count_ns(s->counters, RC_N_deliveries, r->ns, given);
	sub->flags &= ~(uint32_t)RC_SUB_CONFLATED;
	rc_replica_advance(&s->hub, sub, r->log.tail);
	return true;
}

static void disconnect_slow(struct rc_shard *s, struct rc_conn *c)
{
	rc_count(s->counters, RC_C_lag_disconnects, 1);
	rc_serve_end(&s->serve, c, RC_CLOSE_TOO_SLOW, "too far behind", RC_C_close_too_slow);
}

static bool lags(const struct rc_shard *s, const struct rc_conn *c, const struct rc_replica *r,
	const struct rc_sub *sub, uint32_t lag_max)
{
	struct rc_log_frame f;

	if (sub->flags & RC_SUB_CONFLATED)
		return false;
	/* Who takes all that he is given is not slow: it is we who are behind, and hold the publishers back for it. */
	uint64_t limit = c->flags & RC_CONN_BLOCKED ? lag_max : (uint64_t)lag_max * UNBLOCKED_LAG;
	if ((sub->flags & RC_SUB_PAST) && sub->cursor >= rc_history_low(&s->hub, r))
		return false; /* what it reads would be kept without it */
	if (r->log.tail - sub->cursor > limit)
		return true;
	uint32_t lag_ms = s->hub.namespaces[r->ns].lag_ms;
	if (lag_ms == 0 || !(c->flags & RC_CONN_BLOCKED) || sub->cursor == r->log.tail)
		return false;
	rc_log_frame_at(&r->log, sub->cursor, &f);
	return s->hub.now_ms - f.tick_ms > lag_ms;
}

/* True: the connection is to be closed, which the caller does when nobody walks over the channel any more. */
static bool punish(struct rc_shard *s, struct rc_conn *c, struct rc_replica *r, uint32_t index)
{
	struct rc_log_frame last;

	switch (s->hub.namespaces[r->ns].policy) {
	case RC_SLOW_SKIP:
		rc_log_frame_last(&r->log, &last);
		rc_count(s->counters, RC_C_lag_skips, 1);
		skip_to(s, c, index, last.pos);
		return false;
	case RC_SLOW_LATEST:
		conflate(s, c, index);
		return false;
	default:
		return true;
	}
}

/* The connection has no subscription any more, whatever state it is in: those who call this walk until none is left. */
static void let_go(struct rc_shard *s, struct rc_conn *c)
{
	if (c->subs != RC_NONE)
		rc_conn_kill(&s->conns, c);
}

void rc_flush_overrun(struct rc_shard *s, uint32_t replica)
{
	struct rc_replica *r = rc_hub_replica(&s->hub, replica);
	const struct rc_hub_namespace *ns = &s->hub.namespaces[r->ns];

	for (uint32_t i = 0; i < r->count;) {
		uint32_t index = r->subs[i];
		struct rc_sub *sub = rc_hub_sub(&s->hub, index);
		struct rc_conn *c = &s->conns.at[sub->conn];
		if ((sub->flags & RC_SUB_PAUSED) || sub->cursor == r->log.tail) {
			i++;
			continue;
		}
		/* Who has half of a frame of which the rest finds no memory can't be kept: this log goes. */
		if (ns->policy != RC_SLOW_DISCONNECT && free_cursor(s, c, index)) {
			if (ns->policy == RC_SLOW_LATEST && ns->key.len) {
				conflate(s, c, index);
			} else {
				rc_count(s->counters, RC_C_lag_skips, 1);
				skip_to(s, c, index, r->log.tail);
			}
			i++;
			continue;
		}
		rc_count_ns(s->counters, RC_N_lag_disconnects, r->ns, 1);
		disconnect_slow(s, c); /* takes it out of the array */
		let_go(s, c);
	}
	if (r->count)
		rc_replica_release(&s->hub, r, r->log.tail);
}

void rc_flush_lost(struct rc_shard *s, uint32_t replica)
{
	struct rc_replica *r = rc_hub_replica(&s->hub, replica);

	while (r->count) {
		struct rc_conn *c = &s->conns.at[rc_hub_sub(&s->hub, r->subs[0])->conn];
		rc_serve_end(&s->serve, c, RC_CLOSE_OVER_CAPACITY,
			"the gateway has no memory for an event", RC_C_close_capacity);
		let_go(s, c);
	}
}

/* ---- one connection ----------------------------------------------------------------------------- */

/* One send less. What can't be sealed any more in this turn ends the budget of the channels or of the turn. */
static void spend(struct rc_shard *s, const struct rc_conn *c)
{
	if (s->send_budget)
		s->send_budget--;
	if (RC_UNLIKELY(c->flags & RC_CONN_TLS) && !rc_conn_tls_room(&s->conns, s->seal_spare)) {
		s->send_left = s->send_budget;
		s->send_budget = 0;
	}
}

static void send_from_log(struct rc_shard *s, struct rc_conn *c, uint32_t index,
	const unsigned char *bytes, uint32_t len)
{
	rc_conn_send(
		&s->conns, c, RC_SEND_LOG, index, bytes, RC_MIN(len, s->gateway->config->send_max));
	spend(s, c);
}

/* Takes those out of the list that have nothing to send. Returns the first that has. */
static uint32_t first_listed(struct rc_shard *s, struct rc_conn *c)
{
	while (c->listed != RC_NONE) {
		struct rc_sub *sub = rc_hub_sub(&s->hub, c->listed);
		if (RC_LIKELY(!(sub->flags & (RC_SUB_PAUSED | RC_SUB_HELD | RC_SUB_HOLE)))) {
			if (sub->cursor < replica_of(s, sub)->log.tail ||
				sub->flags >> RC_SUB_MISSED_SHIFT)
				break;
		} else if ((sub->flags & RC_SUB_HOLE) && more_behind_holes(s, c, sub)) {
			break;
		}
		sub->flags &= ~(uint32_t)RC_SUB_LISTED;
		c->listed = sub->listed_next;
	}
	return c->listed;
}

/* Copies small ranges of several channels behind each other. Returns their bytes; their cursors have moved. */
static uint32_t gather(struct rc_shard *s, struct rc_conn *c)
{
	unsigned char *out = s->scratch + s->scratch_used;
	uint32_t room = RC_MIN(GATHER_MAX, RC_SHARD_SCRATCH - s->scratch_used);
	uint32_t total = 0;
	uint32_t *link = &c->listed;

	while (*link != RC_NONE) {
		struct rc_sub *sub = rc_hub_sub(&s->hub, *link);
		const struct rc_log *log = &replica_of(s, sub)->log;
		const unsigned char *bytes;
		bool still = sub->flags & (RC_SUB_PAUSED | RC_SUB_HELD | RC_SUB_CONFLATED);
		uint32_t len = still ? 0
			       : RC_UNLIKELY(sub->flags & RC_SUB_HOLE)
				       ? range_with_holes(s, c, sub, &bytes)
				       : rc_log_range(log, sub->cursor, &bytes);
		if (sub->flags & RC_SUB_CONFLATED) {
			link = &sub->listed_next;
			continue;
		}
		if (len && (len > GATHER_RANGE || len > room - total)) {
			link = &sub->listed_next;
			continue;
		}
		if (len) {
			memcpy(out + total, bytes, len);
			total += len;
			count_deliveries(s, c, replica_of(s, sub), sub->cursor, sub->cursor + len);
			rc_replica_advance(&s->hub, sub, sub->cursor + len);
			if (sub->cursor < log->tail)
				continue;
		}
		*link = sub->listed_next;
		sub->flags &= ~(uint32_t)RC_SUB_LISTED;
	}
	return total;
}

/* What those who were skipped over get before their channel goes on. */
static void make_up(struct rc_shard *s, struct rc_conn *c)
{
	for (uint32_t i = c->listed; i != RC_NONE;) {
		struct rc_sub *sub = rc_hub_sub(&s->hub, i);
		uint32_t next = sub->listed_next;
		if ((sub->flags & RC_SUB_CONFLATED) && !give_last_values(s, c, i))
			rc_count(s->counters, RC_C_arena_refused, 1);
		uint64_t missed = sub->flags >> RC_SUB_MISSED_SHIFT;
		if (missed) {
			const struct rc_replica *r = replica_of(s, sub);
			sub->flags &= RC_SUB_FLAGS;
			uint64_t behind = frames_between(&r->log, sub->cursor, r->log.tail);
			rc_serve_gap(&s->serve, c, r, "slow", missed, r->offset - behind);
			if (c->state != RC_CONN_OPEN)
				return;
		}
		i = next;
	}
}

static void flush_conn(struct rc_shard *s, struct rc_conn *c)
{
	const unsigned char *bytes;

	if (c->flags & (RC_CONN_SENDING | RC_CONN_BLOCKED) || c->state == RC_CONN_LINGERING)
		return;
	if (RC_UNLIKELY(c->flags & RC_CONN_REST)) {
		rc_conn_send_rest(&s->conns, c);
		spend(s, c);
		return;
	}
	if (c->mid_left) {
		struct rc_sub *sub = rc_hub_sub(&s->hub, c->mid_sub);
		uint32_t len =
			RC_UNLIKELY(sub->flags & RC_SUB_HOLE)
				? range_with_holes(s, c, sub, &bytes)
				: rc_log_range(&replica_of(s, sub)->log, sub->cursor, &bytes);
		send_from_log(s, c, c->mid_sub, bytes, c->out_len ? c->mid_left : len);
		return;
	}
	if (c->out_len == 0 && c->state == RC_CONN_OPEN && first_listed(s, c) != RC_NONE)
		make_up(s, c);
	if (c->out_len) {
		rc_conn_send(&s->conns, c, RC_SEND_OUT, RC_NONE, c->out + c->out_head,
			RC_MIN(c->out_len, OUT_SEND_MAX));
		spend(s, c);
		return;
	}
	if (c->state == RC_CONN_FINISHING) {
		rc_conn_flushed(&s->conns, c);
		return;
	}
	uint32_t first = first_listed(s, c);
	if (first == RC_NONE)
		return;
	struct rc_sub *sub = rc_hub_sub(&s->hub, first);
	uint32_t len;
	if (RC_LIKELY(!(sub->flags & (RC_SUB_CONFLATED | RC_SUB_HOLE))))
		len = rc_log_range(&replica_of(s, sub)->log, sub->cursor, &bytes);
	else if (sub->flags & RC_SUB_CONFLATED)
		return; /* no memory for what it is owed; its next event tries again */
	else
		len = range_with_holes(s, c, sub, &bytes);
	if (sub->listed_next == RC_NONE || len > GATHER_RANGE ||
		RC_SHARD_SCRATCH - s->scratch_used < GATHER_MAX) {
		send_from_log(s, c, first, bytes, len);
		return;
	}
	uint32_t at = s->scratch_used;
	uint32_t total = gather(s, c);
	s->scratch_used += total;
	rc_conn_send(&s->conns, c, RC_SEND_GATHERED, at, s->scratch + at, total);
	spend(s, c);
}

/* ---- one channel -------------------------------------------------------------------------------- */

static void flush_replica(struct rc_shard *s, struct rc_replica *r, bool alone)
{
	uint32_t victims[VICTIMS_MAX];
	uint32_t victim_count = 0;
	uint32_t lag_max = rc_replica_lag_max(&s->hub, r);
	uint64_t tail = r->log.tail;

	while (r->flush_left > 0 && s->send_budget > 0 && victim_count < VICTIMS_MAX) {
		uint32_t place = r->flush_next;
		uint32_t index = r->subs[place];
		struct rc_sub *sub = rc_hub_sub(&s->hub, index);
		struct rc_conn *c = &s->conns.at[sub->conn];

		if (place + 2 * PREFETCH < r->count)
			__builtin_prefetch(rc_slab_at(&s->hub.subs, r->subs[place + 2 * PREFETCH]));
		if (place + PREFETCH < r->count)
			__builtin_prefetch(
				&s->conns.at[rc_hub_sub(&s->hub, r->subs[place + PREFETCH])->conn],
				1);
		r->flush_next = place + 1 == r->count ? 0 : place + 1;
		r->flush_left--;
		if ((sub->flags & RC_SUB_PAUSED) || sub->cursor == tail || c->state != RC_CONN_OPEN)
			continue;
		if (RC_UNLIKELY(lags(s, c, r, sub, lag_max)) && !(c->flags & RC_CONN_SENDING) &&
			punish(s, c, r, index)) {
			victims[victim_count++] = sub->conn;
			rc_count_ns(s->counters, RC_N_lag_disconnects, r->ns, 1);
			r->flush_low = RC_MIN(r->flush_low, sub->cursor);
			continue;
		}
		if (!(sub->flags & RC_SUB_CONFLATED))
			r->flush_low = RC_MIN(r->flush_low, sub->cursor);
		if (RC_UNLIKELY(sub->flags & RC_SUB_HELD))
			continue;
		if (alone && c->out_len == 0 && c->mid_left == 0 && c->listed == RC_NONE &&
			!(c->flags & (RC_CONN_SENDING | RC_CONN_BLOCKED | RC_CONN_REST)) &&
			sub->cursor < tail && !(sub->flags >> RC_SUB_MISSED_SHIFT) &&
			!(sub->flags & (RC_SUB_CONFLATED | RC_SUB_HOLE))) {
			const unsigned char *bytes;
			uint32_t len = rc_log_range(&r->log, sub->cursor, &bytes);
			send_from_log(s, c, index, bytes, len);
			continue;
		}
		list_sub(s, c, index);
		rc_conn_ready(&s->conns, c);
	}
	bool again = r->flush_left > 0;
	if (!again) {
		if (r->taken_ns && s->flushed_count < RC_SHARD_FLUSHED_MAX)
			s->flushed_ns[s->flushed_count++] = r->taken_ns;
		r->taken_ns = 0;
		rc_replica_release(&s->hub, r, r->flush_low);
	}
	rc_replica_clean(&s->hub, again);
	/* From here on the replica may go with its last subscriber. */
	for (uint32_t i = 0; i < victim_count; i++)
		disconnect_slow(s, &s->conns.at[victims[i]]);
}

void rc_flush(struct rc_shard *s)
{
	bool alone = s->hub.dirty_count == 1;
	uint32_t channels = s->hub.dirty_count;
	uint32_t last = s->conns.ready_last;
	struct rc_conn *c;

	/* The completion queue ran over: what a send did must be known before its memory is used again. */
	if (s->conns.sending)
		return;
	s->scratch_used = 0;
	if (s->conns.tls)
		s->conns.tls->sealed_used = 0;
	s->send_budget = s->gateway->config->send_budget;
	s->send_left = 0;
	s->seal_spare = RC_SHARD_SEALED / 2; /* is for connections */
	while (channels-- > 0 && s->send_budget > 0 && rc_replica_dirty(&s->hub))
		flush_replica(s, rc_replica_dirty(&s->hub), alone);
	/* At least those who were ready before the channels were visited, so that nobody waits for ever. */
	bool older = last != RC_NONE;
	s->send_budget += s->send_left;
	s->seal_spare = 0;
	while ((s->send_budget > 0 || older) && rc_conn_tls_room(&s->conns, 0) &&
		(c = rc_conn_next_ready(&s->conns)) != NULL) {
		older = older && rc_conn_slot(&s->conns, c) != last;
		if (c->state == RC_CONN_DEAD)
			rc_conn_reclaim(&s->conns, c);
		else
			flush_conn(s, c);
	}
	if (s->send_budget == 0)
		rc_count(s->counters, RC_C_turn_budget_exhausted, 1);
}

bool rc_flush_pending(const struct rc_shard *s)
{
	return s->hub.dirty_first != RC_NONE || s->conns.ready_first != RC_NONE;
}

/* ---- what became of it -------------------------------------------------------------------------- */

static void sent_from_log(struct rc_shard *s, struct rc_conn *c, uint32_t index, uint32_t n)
{
	struct rc_sub *sub = rc_hub_sub(&s->hub, index);
	struct rc_replica *r = replica_of(s, sub);
	uint64_t begin = sub->cursor;
	uint64_t end = begin + n;

	if (n == 0) {
		list_sub(s, c, index);
		return;
	}
	c->mid_left = 0;
	c->mid_sub = RC_NONE;
	if (end < r->log.tail) {
		struct rc_log_frame f;
		rc_log_frame_at(&r->log, end, &f);
		if (f.pos != end) {
			c->mid_left = (uint32_t)(f.pos + f.len - end);
			c->mid_sub = index;
		}
	}
	count_deliveries(s, c, r, begin, end);
	if (n == c->send_len && r->log.tail - end > s->hub.namespaces[r->ns].lag_bytes / 4)
		s->backlogged = true;
	rc_replica_advance(&s->hub, sub, end);
	if (end < r->log.tail)
		list_sub(s, c, index);
}

static bool sent_gathered(struct rc_shard *s, struct rc_conn *c, uint32_t at, uint32_t n)
{
	/* The cursors have moved already; what the socket did not take becomes the client's own output. */
	return n == c->send_len ||
	       rc_conn_write_first(&s->conns, c, s->scratch + at + n, c->send_len - n);
}

static bool more_to_send(const struct rc_conn *c)
{
	return c->out_len || c->mid_left || c->listed != RC_NONE || (c->flags & RC_CONN_REST);
}

void rc_flush_sent(struct rc_shard *s, struct rc_conn *c, int32_t res)
{
	uint32_t taken = res > 0 ? (uint32_t)res : 0;
	bool kept = true;

	RC_ASSERT(c->flags & RC_CONN_SENDING);
	c->flags &= (uint16_t)~RC_CONN_SENDING;
	s->conns.sending--;
	rc_count(s->counters, RC_C_sends, 1);
	rc_count(s->counters, RC_C_send_bytes, taken);
	if (c->state == RC_CONN_DEAD) {
		rc_conn_landed(&s->conns, c);
		return;
	}
	if (res < 0 && res != -EAGAIN && res != -EINTR && res != -ENOBUFS && res != -ENOMEM) {
		rc_count(s->counters, RC_C_send_errors, 1);
		if (!rc_serve_send_failed(&s->serve, c, res)) {
			rc_conn_landed(&s->conns, c);
			return;
		}
	}
	int64_t done = rc_conn_sent(&s->conns, c, taken);
	uint32_t n = done > 0 ? (uint32_t)done : 0;
	if (done < 0)
		kept = false;
	else if (c->send_kind == RC_SEND_LOG)
		sent_from_log(s, c, c->send_sub, n);
	else if (c->send_kind == RC_SEND_OUT)
		rc_conn_sent_out(&s->conns, c, n);
	else if (c->send_kind == RC_SEND_GATHERED)
		kept = sent_gathered(s, c, c->send_sub, n);
	if (!kept) {
		/* No memory for the rest of a frame: the stream can't go on. */
		rc_count(s->counters, RC_C_arena_refused, 1);
		if (c->state == RC_CONN_OPEN)
			rc_count(s->counters, RC_C_close_too_slow, 1);
		rc_conn_kill(&s->conns, c);
		rc_conn_landed(&s->conns, c);
		return;
	}
	if (done & RC_SENT_BLOCKED) {
		rc_count(s->counters, taken ? RC_C_sends_short : RC_C_sends_eagain, 1);
		rc_conn_block(&s->conns, c);
	} else if (more_to_send(c)) {
		rc_conn_ready(&s->conns, c);
	}
	if (RC_UNLIKELY(c->flags & RC_CONN_SPENT))
		rc_serve_renew(&s->serve, c);
	if (c->send_kind == RC_SEND_OUT && c->out_len == 0 && c->state == RC_CONN_OPEN)
		rc_serve_drained(&s->serve, c);
	if (c->state == RC_CONN_FINISHING && c->out_len == 0 && c->mid_left == 0)
		rc_conn_flushed(&s->conns, c);
	rc_conn_landed(&s->conns, c);
}

void rc_flush_writable(struct rc_shard *s, struct rc_conn *c)
{
	c->flags &= (uint16_t)~RC_CONN_BLOCKED;
	if (more_to_send(c) || c->state == RC_CONN_FINISHING)
		rc_conn_ready(&s->conns, c);
	rc_conn_landed(&s->conns, c);
}
