/* SPDX-License-Identifier: Apache-2.0
 *
 * What consumers are sent: events again, dead letters, new events, in this order for each of them, since the older ones stand in the
 * way of the newer. Each turn goes over those with something to do, within a budget; who finds no room stays where it is in the line.
 */
#include "hub/consumers.h"

#include "base/clock.h"
#include "proto/json.h"
#include "proto/textbuf.h"

#define TICK_MS         10u
#define TICK_NS         (TICK_MS * 1000000ull)
#define TIMERS_PER_TURN 1024u
#define TELLS_PER_TURN  4096u
#define TELLS_AT_ONCE   64u /* for one, before the next has its turn */
#define WALK_PER_TURN   8192u
#define RETRY_MS        1000u /* a dead letter for which there is no room */
#define ROOM_POLL_NS    200000ull

enum outcome { DONE, BLOCKED };

/* ---- those with something to do ------------------------------------------------------------------- */

void rc_consumer_due(struct rc_hub *h, uint32_t index)
{
	struct rc_consumers *all = &h->consumers;
	struct rc_consumer *c = rc_consumer_at(h, index);

	if (c->due)
		return;
	c->due = true;
	c->due_next = RC_NONE;
	c->due_prev = all->due_last;
	if (all->due_last != RC_NONE)
		rc_consumer_at(h, all->due_last)->due_next = index;
	else
		all->due_first = index;
	all->due_last = index;
}

void rc_consumer_undue(struct rc_hub *h, uint32_t index)
{
	struct rc_consumers *all = &h->consumers;
	struct rc_consumer *c = rc_consumer_at(h, index);

	if (!c->due)
		return;
	if (c->due_prev != RC_NONE)
		rc_consumer_at(h, c->due_prev)->due_next = c->due_next;
	else
		all->due_first = c->due_next;
	if (c->due_next != RC_NONE)
		rc_consumer_at(h, c->due_next)->due_prev = c->due_prev;
	else
		all->due_last = c->due_prev;
	c->due = false;
}

static void line_up(struct rc_hub *h, uint32_t consumed)
{
	struct rc_consumers *all = &h->consumers;

	rc_consumed_at(h, consumed)->due_next = RC_NONE;
	if (all->channel_last != RC_NONE)
		rc_consumed_at(h, all->channel_last)->due_next = consumed;
	else
		all->channel_first = consumed;
	all->channel_last = consumed;
}

void rc_consumed_event(struct rc_hub *h, uint32_t consumed)
{
	struct rc_consumed *d = rc_consumed_at(h, consumed);

	/* Whom a walk under way has passed already had nothing of it then. */
	d->fresh = true;
	if (d->due)
		return;
	d->due = true;
	line_up(h, consumed);
}

/* Channels with new events: their consumers have something to do. */
static void walk_channels(struct rc_hub *h)
{
	struct rc_consumers *all = &h->consumers;
	uint32_t left = WALK_PER_TURN;

	while (all->channel_first != RC_NONE) {
		uint32_t index = all->channel_first;
		struct rc_consumed *d = rc_consumed_at(h, index);
		if (d->fresh && d->walk == RC_NONE) {
			d->fresh = false;
			d->walk = d->first;
		}
		for (; d->walk != RC_NONE; d->walk = rc_consumer_at(h, d->walk)->next) {
			const struct rc_consumer *c = rc_consumer_at(h, d->walk);
			if (left-- == 0)
				return;
			if (c->shard != RC_NONE && !c->held)
				rc_consumer_due(h, d->walk);
		}
		all->channel_first = d->due_next;
		if (all->channel_first == RC_NONE)
			all->channel_last = RC_NONE;
		if (d->fresh) {
			line_up(h, index);
			continue;
		}
		d->due = false;
		rc_consumed_settle(h, index);
	}
}

/* ---- time --------------------------------------------------------------------------------------- */

uint32_t rc_consumer_tick(const struct rc_hub *h)
{
	return (uint32_t)(h->now_ns / TICK_NS);
}

static void set_timer(struct rc_hub *h, uint32_t index, uint64_t ms)
{
	uint32_t ticks = (uint32_t)(ms / TICK_MS + 1);
	uint32_t due = rc_consumer_tick(h) + ticks;

	/* 0 says that it is not set. */
	rc_wheel_set(&h->consumers.wheel, index, due ? due : 1);
}

static uint32_t left_of(const struct rc_hub *h, uint32_t since_ms, uint32_t timeout_ms)
{
	uint32_t gone = h->now_ms - since_ms;

	return gone >= timeout_ms ? 0 : timeout_ms - gone;
}

void rc_consumer_timer(struct rc_hub *h, uint32_t index)
{
	const struct rc_consumer *c = rc_consumer_at(h, index);
	uint32_t least = UINT32_MAX;

	if (c->shard == RC_NONE) {
		set_timer(h, index, h->limits.ack_ttl_ms);
		return;
	}
	for (uint32_t i = 0; i < c->count && !c->held; i++) {
		const struct rc_window_event *e = &c->window[i];
		uint32_t left = e->state == RC_WINDOW_DYING ? RETRY_MS
							    : left_of(h, e->sent_ms, c->timeout_ms);
		if (e->state != RC_WINDOW_AGAIN)
			least = RC_MIN(least, left);
	}
	if (least == UINT32_MAX)
		rc_wheel_cancel(&h->consumers.wheel, index);
	else
		set_timer(h, index, least);
}

static void fire(void *ctx, uint32_t index)
{
	struct rc_hub *h = ctx;
	struct rc_consumer *c = rc_consumer_at(h, index);

	if (c->shard == RC_NONE) {
		rc_count(h->counters, RC_C_consumers_expired, 1);
		rc_consumer_end(h, index);
		return;
	}
	for (uint32_t i = 0; i < c->count && !c->held; i++) {
		struct rc_window_event *e = &c->window[i];
		if (e->state != RC_WINDOW_SENT || left_of(h, e->sent_ms, c->timeout_ms))
			continue;
		/* Whoever comes back gets everything again at once; only time makes a dead letter. */
		e->state = e->tries < c->retries ? RC_WINDOW_AGAIN : RC_WINDOW_DYING;
		e->tries += e->state == RC_WINDOW_AGAIN;
		c->to_do++;
	}
	if (c->to_do)
		rc_consumer_due(h, index);
	rc_consumer_timer(h, index);
}

/* ---- events ------------------------------------------------------------------------------------- */

uint64_t rc_consumer_kept(const struct rc_hub *h, const struct rc_consumer *c)
{
	const struct rc_owned *o = rc_consumer_owned(h, c);
	const struct rc_replica *r = o->replica == RC_NONE ? NULL : rc_hub_replica(h, o->replica);

	return r ? rc_history_offset(r, rc_log_count_head(&r->log)) : o->offset + 1;
}

/* One that is there. */
static void look_up(const struct rc_hub *h, const struct rc_consumer *c, uint64_t offset,
	struct rc_log_frame *f)
{
	const struct rc_replica *r = rc_hub_replica(h, rc_consumer_owned(h, c)->replica);

	rc_log_frame_number(&r->log, rc_history_ordinal(r, offset), f);
}

static bool tell_event(struct rc_hub *h, const struct rc_consumer *c, uint64_t offset,
	uint32_t tries, const struct rc_log_frame *f)
{
	const struct rc_consumer_told told = {
		.kind = RC_CONSUMER_EVENT,
		.slot = c->slot,
		.generation = c->generation,
		.round = c->round,
		.tries = tries,
		.offset = offset,
		.frame = f->bytes,
		.frame_len = f->len,
	};

	return h->port.tell_consumer(h->port.ctx, c->shard, &told);
}

/* It is remembered until something later is acknowledged: the connection that is told may be another's already, or none. */
static bool tell_gap(struct rc_hub *h, struct rc_consumer *c, uint64_t missed, uint64_t offset)
{
	const struct rc_consumer_told told = {
		.kind = RC_CONSUMER_GAP,
		.slot = c->slot,
		.generation = c->generation,
		.epoch = rc_consumer_owned(h, c)->epoch,
		.offset = offset,
		.missed = missed,
	};

	if (c->shard != RC_NONE && !h->port.tell_consumer(h->port.ctx, c->shard, &told))
		return false;
	c->gap_at = offset;
	rc_count(h->counters, RC_C_acked_trimmed, missed);
	return true;
}

/* ---- dead letters ------------------------------------------------------------------------------- */

static void add_member(struct rc_textbuf *b, const char *name, struct rc_str value)
{
	if (value.len == 0)
		return;
	rc_textbuf_add_text(b, name);
	rc_textbuf_add_string(b, value);
}

/* Its data: the event, and what became of it. */
static struct rc_str letter(struct rc_hub *h, const struct rc_consumer *c,
	const struct rc_window_event *e, const struct rc_event_view *v)
{
	struct rc_textbuf b = {.ptr = h->consumers.data, .cap = h->limits.frame_max};
	const struct rc_owned *o = rc_consumer_owned(h, c);

	rc_textbuf_add_text(&b, "{\"channel\":");
	rc_textbuf_add_string(&b, rc_owned_name(o));
	rc_textbuf_add_text(&b, ",\"offset\":");
	rc_textbuf_add_u64(&b, e->offset);
	rc_textbuf_add_text(&b, ",\"event\":\"");
	rc_textbuf_add(&b, v->event_raw);
	rc_textbuf_add_text(&b, "\",\"reason\":\"retries\",\"tries\":");
	rc_textbuf_add_u64(&b, (uint64_t)e->tries + 1);
	add_member(&b, ",\"user\":", rc_consumer_user(c));
	add_member(&b, ",\"clientId\":", rc_consumer_client(c));
	rc_textbuf_add_text(&b, v->base64 ? ",\"encoding\":\"base64\",\"data\":\"" : ",\"data\":");
	rc_textbuf_add(&b, v->data);
	rc_textbuf_add_text(&b, v->base64 ? "\"}" : "}");
	RC_ASSERT(!b.full);
	return rc_textbuf_str(&b);
}

static struct rc_str dead_name(const struct rc_owned *o, char out[RC_CHANNEL_MAX])
{
	char *end = rc_str_copy(rc_str_copy(out, RC_STR(RC_DEAD_PREFIX)), rc_owned_name(o));

	return (struct rc_str){out, (size_t)(end - out)};
}

/* False: no room now. */
static bool bury(struct rc_hub *h, const struct rc_consumer *c, const struct rc_window_event *e,
	const struct rc_log_frame *f)
{
	const struct rc_owned *o = rc_consumer_owned(h, c);
	char name[RC_CHANNEL_MAX], event[RC_EVENT_NAME_MAX];
	struct rc_event_view v;
	struct rc_outcome outcome;
	uint64_t wall_ms = rc_clock_wall_ms();

	if (!rc_event_ws_parse(f->bytes, f->len, &v))
		RC_FAIL("an event that was kept is not read again");
	struct rc_str quoted = {v.event_raw.ptr - 1, v.event_raw.len + 2};
	int len = rc_json_string_decode(quoted, event, sizeof(event));
	RC_ASSERT(len > 0);
	const struct rc_publish p = {
		.from = {.shard = RC_NONE},
		.channel = dead_name(o, name),
		.event = {event, (size_t)len},
		.data = letter(h, c, e, &v),
		.timestamp_ms = wall_ms,
		.time_ms = wall_ms,
		.taken_ns = h->now_ns,
		.hash = o->hash,
		.json = true,
	};
	if (!rc_owner_publish(h, &p, &outcome)) {
		h->consumers.blocked = true;
		return false;
	}
	if (outcome.nack)
		return false;
	rc_count(h->counters, RC_C_dead_letters, 1);
	return true;
}

/* ---- one consumer ------------------------------------------------------------------------------- */

/* What is to be sent again or buried, and is not there any more: at the window's beginning, where the oldest stand. */
static enum outcome give_up(struct rc_hub *h, struct rc_consumer *c)
{
	uint32_t end = rc_window_find(c, rc_consumer_kept(h, c));
	uint64_t missed = 0, last = 0;

	for (uint32_t i = 0; i < end; i++) {
		if (c->window[i].state == RC_WINDOW_SENT)
			continue;
		missed++;
		last = c->window[i].offset;
	}
	if (missed == 0)
		return DONE;
	if (!tell_gap(h, c, missed, last))
		return BLOCKED;
	for (uint32_t i = end; i-- > 0;) {
		if (c->window[i].state != RC_WINDOW_SENT)
			rc_window_drop(c, i, 1);
	}
	return DONE;
}

static bool receives(const struct rc_consumer *c)
{
	return c->shard != RC_NONE && !c->held;
}

static enum outcome old_events(struct rc_hub *h, struct rc_consumer *c, uint32_t *left)
{
	for (uint32_t i = 0; i < c->count && c->to_do && *left; i++) {
		struct rc_window_event *e = &c->window[i];
		struct rc_log_frame f;
		if (e->state == RC_WINDOW_SENT || (e->state == RC_WINDOW_AGAIN && !receives(c)))
			continue;
		/* A letter that was buried may have taken the memory of old events. */
		if (e->offset < rc_consumer_kept(h, c)) {
			*left = 0;
			break;
		}
		look_up(h, c, e->offset, &f);
		if (e->state == RC_WINDOW_DYING) {
			/* A full table of channels is looked at again by the timer. */
			if (!bury(h, c, e, &f)) {
				if (h->consumers.blocked)
					return BLOCKED;
				continue;
			}
			rc_window_drop(c, i--, 1);
		} else {
			if (!tell_event(h, c, e->offset, e->tries, &f))
				return BLOCKED;
			rc_count(h->counters, RC_C_redeliveries, e->tries != 0);
			e->state = RC_WINDOW_SENT;
			e->sent_ms = h->now_ms;
			c->to_do--;
		}
		(*left)--;
	}
	return DONE;
}

static enum outcome new_events(struct rc_hub *h, struct rc_consumer *c, uint32_t *left)
{
	const struct rc_owned *o = rc_consumer_owned(h, c);
	uint32_t bytes_max = h->limits.ack_window_bytes;
	uint64_t kept = rc_consumer_kept(h, c);

	/* While nothing can be sent the gap may grow: it is told once. */
	if (c->next_offset < kept && c->count < c->capacity &&
		(c->count == 0 || c->bytes < bytes_max)) {
		if (!tell_gap(h, c, kept - c->next_offset, kept - 1))
			return BLOCKED;
		c->next_offset = kept;
	}
	while (*left && c->count < c->capacity && c->next_offset >= kept &&
		c->next_offset <= o->offset) {
		struct rc_log_frame f;
		look_up(h, c, c->next_offset, &f);
		if (c->count && c->bytes + f.len > bytes_max)
			break;
		if (!tell_event(h, c, c->next_offset, 0, &f))
			return BLOCKED;
		c->window[c->count++] = (struct rc_window_event){
			.offset = c->next_offset++, .sent_ms = h->now_ms, .len = f.len};
		c->bytes += f.len;
		(*left)--;
	}
	return DONE;
}

static enum outcome serve(struct rc_hub *h, uint32_t index, uint32_t *left)
{
	struct rc_consumer *c = rc_consumer_at(h, index);

	if (c->to_do && (give_up(h, c) == BLOCKED || old_events(h, c, left) == BLOCKED))
		return BLOCKED;
	if (receives(c) && new_events(h, c, left) == BLOCKED)
		return BLOCKED;
	return DONE;
}

void rc_consumer_turn(struct rc_hub *h)
{
	struct rc_consumers *all = &h->consumers;
	uint32_t budget = TELLS_PER_TURN, blocked = RC_NONE;

	if (!all->on)
		return;
	all->blocked = false;
	(void)rc_wheel_advance(&all->wheel, rc_consumer_tick(h), TIMERS_PER_TURN, fire, h);
	walk_channels(h);
	/* Those that find no room go behind the others, who may be of other shards; when the first of them comes round it is over. */
	while (budget && all->due_first != RC_NONE && all->due_first != blocked) {
		uint32_t index = all->due_first;
		uint32_t left = RC_MIN(TELLS_AT_ONCE, budget), before = left;
		all->blocked = false;
		enum outcome outcome = serve(h, index, &left);
		budget -= before - left;
		struct rc_consumer *c = rc_consumer_at(h, index);
		rc_consumer_undue(h, index);
		if (!c->timer.due || c->to_do)
			rc_consumer_timer(h, index);
		if (outcome == BLOCKED && blocked == RC_NONE)
			blocked = index;
		if (outcome == BLOCKED || left == 0)
			rc_consumer_due(h, index);
		if (budget)
			budget--;
	}
	all->blocked = blocked != RC_NONE;
}

bool rc_consumer_busy(const struct rc_hub *h)
{
	const struct rc_consumers *all = &h->consumers;

	return all->on && (all->due_first != RC_NONE || all->channel_first != RC_NONE);
}

uint64_t rc_consumer_wait_ns(const struct rc_hub *h)
{
	const struct rc_consumers *all = &h->consumers;

	if (!all->on)
		return UINT64_MAX;
	if (rc_consumer_busy(h))
		return all->blocked ? ROOM_POLL_NS : 1;
	uint32_t ticks = rc_wheel_next(&all->wheel);
	return ticks == UINT32_MAX ? UINT64_MAX : ticks * TICK_NS;
}
