/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of an event through a view, and the views in which something is due: a heap by time, which the shard's loop looks at once a turn and before
 * it sleeps. What is gathered for one turn only is due at once.
 */
#include "hub/viewparts.h"

#include "proto/filter.h"

/* Views that a turn looks at; the others wait for the next, which does not sleep. */
#define PER_TURN 4096u

/* ---- the heap ----------------------------------------------------------------------------------- */

static struct rc_view *view_at(const struct rc_hub *h, uint32_t place)
{
	return rc_hub_replica(h, h->view_heap[place])->view;
}

static void set(struct rc_hub *h, uint32_t place, uint32_t index)
{
	h->view_heap[place] = index;
	rc_hub_replica(h, index)->view->heap_at = place;
}

static void swap(struct rc_hub *h, uint32_t a, uint32_t b)
{
	uint32_t index = h->view_heap[a];

	set(h, a, h->view_heap[b]);
	set(h, b, index);
}

static void sift(struct rc_hub *h, uint32_t place)
{
	while (place && view_at(h, place)->due_ns < view_at(h, (place - 1) / 2)->due_ns) {
		swap(h, place, (place - 1) / 2);
		place = (place - 1) / 2;
	}
	for (;;) {
		uint32_t least = place;
		for (uint32_t child = 2 * place + 1; child <= 2 * place + 2; child++) {
			if (child < h->view_heap_count &&
				view_at(h, child)->due_ns < view_at(h, least)->due_ns)
				least = child;
		}
		if (least == place)
			return;
		swap(h, place, least);
		place = least;
	}
}

void rc_view_due(struct rc_hub *h, uint32_t index, uint64_t due_ns)
{
	struct rc_view *v = rc_hub_replica(h, index)->view;
	uint32_t place = v->heap_at;

	v->due_ns = due_ns;
	if (due_ns == UINT64_MAX) {
		if (place == RC_NONE)
			return;
		v->heap_at = RC_NONE;
		if (place != --h->view_heap_count) {
			set(h, place, h->view_heap[h->view_heap_count]);
			sift(h, place);
		}
		return;
	}
	if (place == RC_NONE) {
		place = h->view_heap_count++;
		set(h, place, index);
	}
	sift(h, place);
}

uint64_t rc_view_next(const struct rc_hub *h)
{
	return h->view_heap_count ? view_at(h, 0)->due_ns : UINT64_MAX;
}

static void plan(struct rc_hub *h, uint32_t index)
{
	const struct rc_view *v = rc_hub_replica(h, index)->view;
	uint64_t due_ns = rc_rate_next(&v->rate);

	if (v->broken)
		due_ns = 0;
	else if (v->gather.count)
		due_ns = RC_MIN(due_ns, v->spec.window_ms ? v->gather.close_ns : 0);
	if (due_ns != v->due_ns)
		rc_view_due(h, index, due_ns);
}

/* ---- an event ----------------------------------------------------------------------------------- */

const struct rc_event_view *rc_view_parsed(
	struct rc_hub *h, const unsigned char *frame, uint32_t len)
{
	if (frame == h->parsed_frame)
		return h->parsed_well ? &h->parsed : NULL;
	return rc_event_ws_parse(frame, len, &h->parsed_other) ? &h->parsed_other : NULL;
}

static bool matches(struct rc_hub *h, const struct rc_view *v, const struct rc_event_view *e)
{
	if (!v->filter)
		return true;
	rc_count(h->counters, RC_C_view_filter_evaluations, 1);
	if (e && rc_filter_match(
			 v->filter, e->event_raw, e->base64 ? (struct rc_str){NULL, 0} : e->data))
		return true;
	rc_count(h->counters, RC_C_view_events_filtered, 1);
	return false;
}

bool rc_view_wants(struct rc_hub *h, const struct rc_replica *r, const struct rc_view_event *e)
{
	const struct rc_view *v = r->view;

	/* The counts of a window are of what comes, not of what was. */
	if (v->spec.summary)
		return false;
	return !v->filter || matches(h, v, rc_view_parsed(h, e->frame, e->len));
}

/* What was kept back or gathered is the view's own, and mostly comes when no event is being told. */
static size_t form(struct rc_hub *h, const struct rc_replica *r, const struct rc_view_event *e,
	unsigned char *room)
{
	struct rc_deflated *d = &h->deflated;
	bool own = !d->live;

	if (own)
		rc_deflated_begin(d, NULL, NULL, 0);
	size_t written = rc_view_form(h, r, e, room);
	if (own)
		rc_deflated_end(d);
	else if (e->frame != d->told_frame && e->frame != h->pattern_frame)
		rc_deflated_forget(d, e->frame);
	return written;
}

bool rc_view_emit(struct rc_hub *h, uint32_t index, const unsigned char *frame, uint32_t len,
	const struct rc_view_mark *mark)
{
	struct rc_replica *r = rc_hub_replica(h, index);
	const struct rc_view_event e = {.frame = frame, .len = len, .offset = mark->offset};
	size_t bound = rc_view_form_bound(h, r, &e);
	unsigned char *room;

	if (bound == 0)
		return true;
	if (r->view->quiet) {
		room = rc_replica_reserve(h, r, (uint32_t)bound);
		r->view->broken |= !room;
		if (!room)
			return true;
	} else {
		room = rc_replica_room(h, index, (uint32_t)bound);
		if (!room)
			return false;
	}
	size_t written = form(h, r, &e, room);
	RC_DASSERT(written && written <= bound);
	const struct rc_tell t = {.hash = mark->hash,
		/* A window is one value. */
		.key = r->view->spec.window_ms ? 0 : mark->key,
		.stamp = mark->stamp,
		.time_ms = mark->time_ms,
		.taken_ns = mark->taken_ns,
		.from = mark->from,
		.mute = mark->mute};
	rc_replica_appended(h, index, &t, room, (uint32_t)written);
	return true;
}

bool rc_view_pass(struct rc_hub *h, uint32_t index, const unsigned char *frame, uint32_t len,
	const struct rc_view_mark *mark)
{
	const struct rc_view_spec *spec = &rc_hub_replica(h, index)->view->spec;

	if (!spec->window_ms && !spec->batch)
		return rc_view_emit(h, index, frame, len, mark);
	/* In a batch it would come to him with the others. */
	if (mark->mute && !spec->window_ms)
		return rc_gather_flush(h, index) && rc_view_emit(h, index, frame, len, mark);
	return rc_gather_add(h, index, frame, len, mark);
}

/* The namespace of a pattern is not that of every channel that it matches. */
static bool is_raw(const struct rc_hub *h, const struct rc_replica *base, const struct rc_tell *t)
{
	uint32_t ns = base->pattern ? h->port.namespace_of(h->port.ctx, t->channel) : base->ns;

	return rc_hub_is_raw(h, ns, t->channel);
}

/* Binary ones are neither filtered nor kept back, and raw events are told apart from those that look like an object. */
static void append_binary(struct rc_hub *h, uint32_t index, const struct rc_tell *t)
{
	const struct rc_replica *base = rc_hub_base(h, rc_hub_replica(h, index));
	struct rc_tell with = *t;
	struct rc_view_event e = {
		.offset = t->offset, .raw = is_raw(h, base, t), .channel = t->channel};

	if (base->pattern && !e.raw)
		rc_events_position(h, &with);
	else if (base->pattern && h->limits.keeps_history)
		e.position = rc_hub_position(h);
	e.frame = with.frame;
	e.len = with.frame_len;
	size_t bound = rc_view_form_bound(h, rc_hub_replica(h, index), &e);
	if (bound == 0)
		return;
	unsigned char *room = rc_replica_room(h, index, (uint32_t)bound);
	if (!room)
		return;
	size_t len = rc_view_form(h, rc_hub_replica(h, index), &e, room);
	RC_ASSERT(len && len <= bound);
	rc_replica_appended(h, index, t, room, (uint32_t)len);
}

static bool is_binary(const struct rc_view *v)
{
	return v->spec.format == RC_VIEW_BIN_WS || v->spec.format == RC_VIEW_BIN_TCP;
}

void rc_view_append(struct rc_hub *h, uint32_t index, const struct rc_tell *t)
{
	struct rc_replica *r = rc_hub_replica(h, index);
	const struct rc_view *v = r->view;
	struct rc_tell with = *t;

	/* Who is not acknowledged yet begins behind this event. */
	if (r->count == r->paused || v->broken)
		return;
	/* Where another view ended for this very event, this one may have come to its place behind those that are still to be told. */
	if (r->newest_from == t->from && r->newest_stamp == t->stamp)
		return;
	r->newest_from = t->from;
	r->newest_stamp = t->stamp;
	if (is_binary(v)) {
		append_binary(h, index, t);
		return;
	}
	if (v->filter) {
		if (h->parsed_frame != t->frame) {
			h->parsed_well = rc_event_ws_parse(t->frame, t->frame_len, &h->parsed);
			h->parsed_frame = t->frame;
		}
		if (!matches(h, v, h->parsed_well ? &h->parsed : NULL))
			return;
	}
	if (rc_hub_base(h, r)->pattern)
		rc_events_position(h, &with);
	const struct rc_view_mark mark = {.offset = t->offset,
		.key = t->key,
		.stamp = t->stamp,
		.time_ms = t->time_ms,
		.taken_ns = t->taken_ns,
		.hash = t->hash,
		.from = t->from,
		.mute = t->mute};
	bool alive = v->spec.rate ? rc_rate_take(h, index, with.frame, with.frame_len, &mark)
				  : rc_view_pass(h, index, with.frame, with.frame_len, &mark);
	if (alive)
		plan(h, index);
}

/* ---- what is due -------------------------------------------------------------------------------- */

void rc_view_drop(struct rc_hub *h, uint32_t index)
{
	struct rc_view *v = rc_hub_replica(h, index)->view;

	rc_gather_drop(h, &v->gather);
	rc_rate_drop(h, &v->rate);
	v->broken = false;
	rc_view_due(h, index, UINT64_MAX);
}

bool rc_view_keeps_back(const struct rc_replica *r)
{
	return r->rendition == RC_RENDITION_VIEW && (r->view->gather.count || r->view->rate.bytes);
}

void rc_view_settle(struct rc_hub *h, uint32_t index)
{
	struct rc_replica *r = rc_hub_replica(h, index);
	struct rc_view *v = r->view;

	if (r->rendition != RC_RENDITION_VIEW || v->due_ns == UINT64_MAX)
		return;
	if (r->count == r->paused) {
		rc_view_drop(h, index);
		return;
	}
	v->quiet = true;
	(void)(rc_rate_flush(h, index, true) && rc_gather_flush(h, index));
	v->quiet = false;
	plan(h, index);
}

/* The pins are the caller's: the view may be gone behind each of these. */
static void come_due(struct rc_hub *h, uint32_t index, bool all)
{
	struct rc_replica *r = rc_hub_replica(h, index);
	struct rc_view *v = r->view;

	if (v->broken) {
		rc_view_drop(h, index);
		/* It is walked until nobody is left. */
		bool pinned = rc_replica_pin(r);
		h->port.replica_lost(h->port.ctx, index);
		rc_replica_unpin(h, index, pinned);
		return;
	}
	if (r->count == r->paused) {
		rc_view_drop(h, index);
		return;
	}
	if (!rc_rate_flush(h, index, all))
		return;
	if (v->gather.count && (all || v->spec.window_ms == 0 || v->gather.close_ns <= h->now_ns) &&
		!rc_gather_flush(h, index))
		return;
	if (all)
		rc_view_drop(h, index);
	else
		plan(h, index);
}

void rc_view_turn(struct rc_hub *h, bool all)
{
	for (uint32_t n = 0; n < PER_TURN && h->view_heap_count; n++) {
		if (!all && view_at(h, 0)->due_ns > h->now_ns)
			return;
		come_due(h, h->view_heap[0], all);
	}
}
