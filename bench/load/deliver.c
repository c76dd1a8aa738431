/* SPDX-License-Identifier: Apache-2.0
 *
 * What arrived on an upgraded connection, taken apart: each event verified, tracked and timed.
 */
#include <stdio.h>

#include "local.h"
#include "proto/websocket.h"

/* One feed of one client. Sums are added to the shared words once at its end. */
struct reading {
	struct load_worker *w;
	struct load_client *c;
	struct load_members *m;
	uint64_t deliveries, bytes;
	uint64_t owed;      /* to be added to `expected`, see shared.h */
	uint64_t uncounted; /* 1: nobody expected deliveries to this client */
	bool awaited;       /* a closed loop may wait for them */
	const char *broken;
	bool asks; /* it sent what it awaits */
	bool gone; /* the server said goodbye */
};

static struct load_faulty_channel *faulty(struct load_worker_stats *stats, uint32_t channel)
{
	for (uint32_t i = 0; i < LOAD_FAULTY_MAX; i++) {
		struct load_faulty_channel *f = &stats->faulty[(channel + i) % LOAD_FAULTY_MAX];
		uint64_t holds = load_get(&f->channel_plus_1);

		if (holds == 0)
			load_add(&f->channel_plus_1, (uint64_t)channel + 1);
		if (holds == 0 || holds == (uint64_t)channel + 1)
			return f;
	}
	return NULL;
}

void load_count_faults(struct load_worker *w, struct load_client *c, uint32_t channel,
	const struct load_faults *faults)
{
	struct load_group_stats *s = load_members_of(w, c)->stats;
	struct load_faulty_channel *f = channel == RC_NONE ? NULL : faulty(w->stats, channel);

	load_add(&s->lost, faults->lost);
	load_add(&s->duplicated, faults->duplicated);
	load_add(&s->reordered, faults->reordered);
	load_add(&s->corrupted, faults->corrupted);
	load_add(&s->foreign, faults->foreign);
	if (!f)
		return;
	load_add(&f->lost, faults->lost);
	load_add(&f->duplicated, faults->duplicated);
	load_add(&f->reordered, faults->reordered);
	load_add(&f->corrupted, faults->corrupted);
	load_add(&f->foreign, faults->foreign);
}

static void split(struct reading *r, uint64_t ns)
{
	const struct load_shared *shared = r->w->shared;
	struct load_group_stats *s = r->m->stats;

	if (load_get(&shared->storm) == 0)
		load_add(&s->before_storm[rc_hist_bucket(ns)], 1);
	else if (load_get(&shared->calm) == 0)
		load_add(&s->in_storm[rc_hist_bucket(ns)], 1);
}

static void delivered(struct reading *r, const struct load_event *event)
{
	const struct load_worker *w = r->w;

	r->deliveries++;
	r->bytes += event->len;
	r->owed += r->uncounted;
	if (r->awaited)
		load_add(&w->stats->slot_arrived[load_event_slot(event->channel, event->sequence)],
			1);
	if (event->time_ns >= w->window_from && event->time_ns < w->window_to) {
		uint64_t now = w->now_ns;
		uint64_t ns = now > event->time_ns ? now - event->time_ns : 0;

		load_add(&r->m->stats->latency[rc_hist_bucket(ns)], 1);
		if (w->storms)
			split(r, ns);
	}
}

/* Not the next one in order of a subscription that goes well. */
static __attribute__((noinline)) void irregular(struct reading *r, const struct load_event *event)
{
	struct load_worker *w = r->w;
	struct load_client *c = r->c;
	struct load_sub *sub = load_subs_find(&c->sub, c->more, event->channel);
	struct load_faults faults = {0};

	if (!sub || event->sequence > load_get(&w->shared->sequence[event->channel])) {
		faults.foreign = 1;
		/* The event may be of another run, with more channels. */
		load_count_faults(w, c,
			event->channel < w->plan->channels ? event->channel : RC_NONE, &faults);
		return;
	}
	if (sub->flags & LOAD_SUB_BACK) {
		/* A server may repeat what it had seen before. */
		if (event->sequence > sub->track.last) {
			uint64_t missed = event->sequence - sub->track.last - 1;

			faults.lost = load_sub_owed(sub, missed);
			load_add(&r->m->stats->missed_away, missed - faults.lost);
			r->owed += r->uncounted * (missed - faults.lost);
			load_track_begin(&sub->track, event->sequence);
		}
		load_sub_settled(sub);
	}
	if (load_track_take(&sub->track, event->sequence, &faults))
		delivered(r, event);
	if (r->uncounted)
		r->owed += faults.lost;
	if (faults.lost | faults.duplicated | faults.reordered)
		load_count_faults(w, c, event->channel, &faults);
}

static void on_event(void *ctx, const struct load_event *event, struct rc_str before)
{
	struct reading *r = ctx;
	struct load_client *c = r->c;
	struct load_sub *sub = &c->sub;

	if (RC_UNLIKELY(r->asks)) {
		if (r->m->group->command)
			load_command_event(r->w, c, event, before);
		else
			load_echo_event(r->w, c, event);
		return;
	}
	if (RC_UNLIKELY(sub->channel != event->channel))
		sub = c->more ? load_subs_search(c->more, event->channel) : NULL;
	if (RC_LIKELY(sub && sub->track.last + 1 == event->sequence &&
		      sub->track.seen == UINT64_MAX && !(sub->flags & LOAD_SUB_BACK) &&
		      event->sequence <= load_get(&r->w->shared->sequence[event->channel]))) {
		sub->track.last = event->sequence;
		delivered(r, event);
	} else {
		irregular(r, event);
	}
	if (RC_UNLIKELY(c->more && c->more->place && sub)) {
		struct load_place *place = load_subs_place(&c->sub, c->more, sub);
		uint64_t offset = load_place_offset(before);

		if (offset > 0)
			place->offset = offset;
	}
}

static void on_text(void *ctx, struct rc_str text)
{
	struct reading *r = ctx;

	load_speech_text(r->w, r->c, text);
}

static void on_control(void *ctx, uint8_t opcode, struct rc_str payload)
{
	struct reading *r = ctx;

	if (opcode == RC_WS_CLOSE) {
		const unsigned char *code = (const unsigned char *)payload.ptr;
		size_t reason = payload.len > 2 ? payload.len - 2 : 0;

		(void)snprintf(r->w->goodbye, sizeof(r->w->goodbye),
			"the server closed the connection: %d %.*s. Look into its log",
			payload.len >= 2 ? code[0] << 8 | code[1] : 1005, (int)reason,
			reason ? payload.ptr + 2 : "");
		r->gone = true;
		r->c->stream.stopped = true;
	} else if (opcode == RC_WS_PING) {
		(void)load_client_send_frame(r->w, r->c, RC_WS_PONG, payload.ptr, payload.len);
	}
}

static void on_corrupt(void *ctx)
{
	struct reading *r = ctx;
	struct load_client *c = r->c;
	const struct load_faults one = {.corrupted = 1};

	load_count_faults(r->w, c, c->more && c->more->count ? RC_NONE : c->sub.channel, &one);
}

static const struct load_stream_calls calls = {on_event, on_text, on_control, on_corrupt};

void load_deliver(struct load_worker *w, struct load_client *c, unsigned char *bytes, size_t len)
{
	struct load_members *m = load_members_of(w, c);
	enum load_scheme scheme = w->plan->target->subscriber.url.scheme;
	struct reading r = {.w = w,
		.c = c,
		.m = m,
		.asks = load_group_asks(m->group),
		.uncounted = !(c->flags & LOAD_COUNTED) && !m->group->may_lose,
		.awaited = (c->flags & LOAD_COUNTED) && !m->group->may_lose};
	bool sse = !r.asks && (scheme == LOAD_SSE || scheme == LOAD_SSES);
	uint64_t kept = load_stream_memory(&c->stream);

	w->fed = c;
	r.broken = sse ? load_stream_take_sse(&c->stream, &calls, &r, bytes, len)
		       : load_stream_take(&c->stream, &calls, &r, bytes, len);
	if (r.deliveries > 0) {
		load_add(&m->stats->deliveries, r.deliveries);
		load_add(&m->stats->delivery_bytes, r.bytes);
	}
	if (r.owed)
		load_add(&m->stats->expected, r.owed);
	w->fed = NULL;
	/* It was lost by what it was told. */
	if (c->fd < 0)
		load_stream_deinit(&c->stream);
	w->extra_bytes += load_stream_memory(&c->stream) - kept;
	if (c->fd < 0)
		return;
	if (r.broken) {
		on_corrupt(&r);
		load_client_lost(w, c, r.broken);
	} else if (r.gone) {
		load_client_lost(w, c, w->goodbye);
	} else if (m->group->command) {
		load_command_more(w, c);
	} else if (r.asks && c->state == LOAD_OPEN) {
		load_echo_more(w, c);
	}
}
