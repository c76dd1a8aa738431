/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/replayread.h"

#include "hub/view.h"
#include "proto/event.h"
#include "proto/message.h"
#include "proto/names.h"
#include "proto/sse.h"

enum written { WRITTEN, NOT_WANTED, NO_MEMORY };

/* As write_event, for who reads a view. */
static enum written write_view(struct rc_serve *sv, struct rc_conn *c, const struct rc_replay *p,
	const struct rc_replica *r, const unsigned char *frame, const struct rc_fetched_frame *head)
{
	char text[RC_STREAM_TEXT_MAX(RC_SHARDS_MAX)];
	const struct rc_replica *base = rc_replay_base(sv, p);
	struct rc_view_event e = {
		.frame = frame,
		.len = head->len,
		.offset = head->offset,
		.raw = base->pattern ? head->name_len != 0
				     : rc_hub_is_raw(sv->hub, base->ns, rc_replica_name(base)),
		.channel = rc_replica_name(base),
	};

	if (base->pattern)
		e.channel = (struct rc_str){(const char *)frame + head->len, head->name_len};
	if (p->broad && e.raw) {
		e.position = rc_replay_position(sv, p, text);
	} else if (p->broad) {
		e.len = (uint32_t)rc_event_ws_position(
			sv->hub->pattern_frame, frame, head->len, rc_replay_position(sv, p, text));
		e.frame = sv->hub->pattern_frame;
		sv->hub->pattern_frame_len = 0;
	}
	size_t bound = rc_view_bound(sv->hub, r, &e);
	if (bound == 0)
		return NOT_WANTED;
	unsigned char *room = rc_conn_reserve(sv->conns, c, (uint32_t)bound, UINT32_MAX);
	if (!room)
		return NO_MEMORY;
	rc_conn_commit(sv->conns, c, (uint32_t)rc_view_render(sv->hub, r, &e, room));
	return WRITTEN;
}

/* Makes the client's own rendition of an event. */
static enum written write_event(struct rc_serve *sv, struct rc_conn *c, const struct rc_replay *p,
	const struct rc_replica *r, const unsigned char *frame, const struct rc_fetched_frame *head)
{
	uint32_t len = head->len;

	char text[RC_STREAM_TEXT_MAX(RC_SHARDS_MAX)];
	struct rc_str position = {NULL, 0};
	bool bare = r->rendition == RC_RENDITION_SSE_BARE;
	size_t bound = len;

	if (r->rendition == RC_RENDITION_VIEW)
		return write_view(sv, c, p, r, frame, head);
	if (p->broad)
		position = rc_replay_position(sv, p, text);
	if (r->rendition != RC_RENDITION_WS)
		bound = rc_sse_bound(frame, len, position, bare);
	else if (p->broad)
		bound = RC_EVENT_POSITION_BOUND(len, position.len);
	if (bound == 0)
		return NOT_WANTED;
	unsigned char *room = rc_conn_reserve(sv->conns, c, (uint32_t)bound, UINT32_MAX);
	if (!room)
		return NO_MEMORY;
	if (r->rendition != RC_RENDITION_WS) {
		len = (uint32_t)rc_sse_encode(room, frame, len, position, bare);
	} else if (p->broad) {
		len = (uint32_t)rc_event_ws_position(room, frame, len, position);
	} else {
		memcpy(room, frame, len);
	}
	rc_conn_commit(sv->conns, c, len);
	return WRITTEN;
}

static void tell_gap(struct rc_serve *sv, struct rc_conn *c, struct rc_replay *p, uint64_t missed,
	uint64_t offset)
{
	rc_serve_gap(sv, c, rc_replay_base(sv, p), "trimmed", missed, offset);
}

/* The events of an answer. False: not all found room; the replay stands behind those that did. */
static bool take_events(
	struct rc_serve *sv, struct rc_conn *c, struct rc_replay *p, const struct rc_fetched *f)
{
	const struct rc_replica *r = rc_replay_replica(sv, p);
	const unsigned char *at = f->frames;
	bool first = p->what == RC_REPLAY_FIRST;

	for (uint32_t i = 0; i < f->frames_count; i++) {
		const struct rc_fetched_frame *head = (const void *)at;
		uint64_t was = p->broad ? p->stamps[f->from] : 0;
		/* What is newer than the place where the live events begin comes with those. */
		bool later =
			first && head->stamp > (p->broad ? p->stamps[rc_replay_shards(sv) + f->from]
							 : p->until);
		if (p->broad && !first)
			p->stamps[f->from] = head->stamp;
		enum written done =
			later ? NOT_WANTED : write_event(sv, c, p, r, at + sizeof(*head), head);
		if (done == NO_MEMORY) {
			if (p->broad)
				p->stamps[f->from] = was;
			rc_count(sv->counters, RC_C_arena_refused, 1);
			return false;
		}
		if (!p->broad && !first)
			p->after = head->offset;
		if (done == WRITTEN) {
			rc_count(sv->counters, RC_C_deliveries, 1);
			rc_count(sv->counters, RC_C_events_replayed, 1);
		}
		at += rc_fetched_frame_bytes(head);
	}
	return true;
}

/* ---- reading ------------------------------------------------------------------------------------ */

/* Its live events begin. */
void rc_replay_go_live(struct rc_serve *sv, uint32_t index)
{
	const struct rc_replay *p = rc_replay_at(sv, index);
	struct rc_conn *c = &sv->conns->at[p->conn];
	struct rc_sub *s = rc_hub_sub(sv->hub, p->sub);
	uint32_t sub = p->sub;

	rc_replay_close(sv, index);
	if (s->flags & RC_SUB_PAUSED) {
		rc_replica_resume(sv->hub, sub);
		return;
	}
	s->flags &= ~(uint32_t)RC_SUB_HELD;
	rc_serve_list(sv, c, sub);
	rc_conn_ready(sv->conns, c);
}

/* The next member of a stream of which a new subscriber gets the newest event; false when there is none. */
static bool next_first(struct rc_serve *sv, struct rc_replay *p, struct rc_str *name)
{
	const struct rc_replica *r = rc_replay_base(sv, p);

	if (!rc_replica_is_stream(r)) {
		*name = rc_replica_name(r);
		return !r->pattern && p->name_at == 0;
	}
	while (p->name_at + 1 < r->name_len) {
		const char *at = r->name + 1 + p->name_at;
		*name = (struct rc_str){at + 1, (unsigned char)at[0]};
		uint32_t ns = sv->hub->port.namespace_of(sv->hub->port.ctx, *name);
		if (!rc_name_is_pattern(*name) && sv->hub->namespaces[ns].first_latest)
			return true;
		p->name_at += 1 + (uint32_t)name->len;
		p->after = 0;
	}
	return false;
}

static void read_first(struct rc_serve *sv, uint32_t index)
{
	struct rc_replay *p = rc_replay_at(sv, index);
	struct rc_fetch q = {.how = RC_FETCH_LATEST, .after = p->after};
	struct rc_str name;

	if (!next_first(sv, p, &name)) {
		rc_replay_go_live(sv, index);
		return;
	}
	p->owner = rc_hub_owner(sv->hub, rc_hub_hash(sv->hub, name));
	q.after = p->after;
	(void)rc_replay_ask(sv, index, p->owner, &q, name);
}

void rc_replay_read(struct rc_serve *sv, uint32_t index)
{
	struct rc_replay *p = rc_replay_at(sv, index);
	const struct rc_replica *r = rc_replay_base(sv, p);
	struct rc_fetch q = {.how = RC_FETCH_OFFSET, .epoch = p->epoch, .after = p->after};
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str names = rc_replay_names(r, buf);

	if (p->what == RC_REPLAY_FIRST) {
		read_first(sv, index);
		return;
	}
	if (!p->broad) {
		(void)rc_replay_ask(sv, index, p->owner, &q, rc_replica_name(r));
		return;
	}
	if (p->left == 0 && p->phase == RC_REPLAY_READING) {
		rc_replay_hold(sv, p);
		p->checked = false;
		rc_replay_read_the_last(sv, p);
	}
	if (p->left == 0) {
		rc_replay_go_live(sv, index);
		return;
	}
	uint32_t owner = (uint32_t)__builtin_ctzll(p->left);
	q.how = RC_FETCH_STAMP;
	q.broad = true;
	q.kept = p->checked;
	q.after = p->stamps[owner];
	q.until = p->phase == RC_REPLAY_LAST ? p->stamps[rc_replay_shards(sv) + owner] : UINT64_MAX;
	(void)rc_replay_ask(sv, index, owner, &q, names);
}

void rc_replay_took_one(struct rc_serve *sv, uint32_t index, const struct rc_fetched *f)
{
	struct rc_replay *p = rc_replay_at(sv, index);
	struct rc_conn *c = &sv->conns->at[p->conn];

	uint64_t first = f->first_offset ? f->first_offset : f->offset + 1;

	if (f->verdict != RC_VERDICT_ALL && first > p->after + 1) {
		tell_gap(sv, c, p, first - 1 - p->after, first - 1);
		if (c->state != RC_CONN_OPEN)
			return;
		p->after = first - 1;
	}
	if (take_events(sv, c, p, f) && !f->more)
		rc_replay_go_live(sv, index);
	else
		rc_replay_run(sv, index);
}

void rc_replay_took_many(struct rc_serve *sv, uint32_t index, const struct rc_fetched *f)
{
	struct rc_replay *p = rc_replay_at(sv, index);
	struct rc_conn *c = &sv->conns->at[p->conn];

	uint64_t *told = &p->stamps[2 * rc_replay_shards(sv) + f->from];

	if (f->verdict != RC_VERDICT_ALL && f->lost > *told) {
		*told = f->losses;
		tell_gap(sv, c, p, RC_MSG_NO_COUNT, 0);
		if (c->state != RC_CONN_OPEN)
			return;
	}
	if (take_events(sv, c, p, f) && !f->more) {
		p->stamps[f->from] = RC_MAX(p->stamps[f->from], f->next);
		p->left &= ~rc_replay_bit(f->from);
	} else if (p->phase == RC_REPLAY_LAST && p->checked) {
		/* It is much, and would keep the log from being trimmed for long. */
		rc_replica_pause(sv->hub, p->sub);
		p->checked = false;
		p->phase = RC_REPLAY_READING;
		p->left = rc_replay_all(sv);
	}
	rc_replay_run(sv, index);
}

void rc_replay_took_first(struct rc_serve *sv, uint32_t index, const struct rc_fetched *f)
{
	struct rc_replay *p = rc_replay_at(sv, index);
	struct rc_conn *c = &sv->conns->at[p->conn];

	/* For want of memory it begins without. */
	(void)take_events(sv, c, p, f);
	p->after = f->next;
	if (f->more) {
		rc_replay_run(sv, index);
		return;
	}
	if (!p->broad) {
		rc_replay_go_live(sv, index);
		return;
	}
	const struct rc_replica *r = rc_replay_base(sv, p);
	p->name_at += 1 + (uint32_t)(unsigned char)r->name[1 + p->name_at];
	p->after = 0;
	rc_replay_run(sv, index);
}
