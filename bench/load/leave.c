/* SPDX-License-Identifier: Apache-2.0
 *
 * How a connection ends: lost, left, or settled when the run is over. See client.h.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "local.h"
#include "proto/websocket.h"

void load_client_disconnect(struct load_worker *w, struct load_client *c, bool abruptly)
{
	static const struct linger now = {.l_onoff = 1};
	uint32_t slot = load_slot(w, c);

	if (c->flags & LOAD_WATCHED)
		load_ring_cancel(&w->ring, load_tag(LOAD_OP_READABLE, c->generation, slot));
	if (c->flags & LOAD_AWAITED)
		load_ring_cancel(&w->ring, load_tag(LOAD_OP_WRITABLE, c->generation, slot));
	if (c->fd >= 0) {
		/* A poll holds the connection open until its cancellation is through. */
		load_ring_settle(&w->ring);
		if (abruptly)
			(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		else
			(void)shutdown(c->fd, SHUT_WR);
		load_client_drop_extra(w, c);
		close(c->fd);
	}
	load_client_drop_extra(w, c);
	c->fd = -1;
	c->generation++;
	c->flags &= (uint8_t) ~(LOAD_WATCHED | LOAD_AWAITED | LOAD_THROTTLED | LOAD_ENDING);
	c->stream.stopped = true;
	if (w->fed != c) {
		w->extra_bytes -= load_stream_memory(&c->stream);
		load_stream_deinit(&c->stream);
	}
	rc_wheel_cancel(&w->wheel, slot);
}

/* Over all subscriptions. */
static struct load_sub *sub_at(struct load_client *c, uint32_t k)
{
	if (k == 0)
		return c->sub.channel == RC_NONE ? NULL : &c->sub;
	return c->more && k - 1 < c->more->count ? &c->more->sub[k - 1] : NULL;
}

/*
 * It was open and is not any more: nothing is expected by it now, and what is published until it is back it does
 * not miss by anybody's fault. See shared.h for `expected`.
 */
static void closed(struct load_worker *w, struct load_client *c)
{
	struct load_members *m = load_members_of(w, c);
	struct load_sub *sub;

	for (uint32_t k = 0; (sub = sub_at(c, k)); k++) {
		bool begun = sub->track.last > 0 || (sub->flags & LOAD_SUB_BEGUN);

		if (c->flags & LOAD_COUNTED) {
			uint64_t sequence;

			atomic_fetch_sub_explicit(
				&w->shared->subscribers[sub->channel], 1, memory_order_seq_cst);
			sequence = load_get(&w->shared->sequence[sub->channel]);
			load_add(&m->stats->expected, 0 - (sequence - sub->track.last));
		}
		if (begun) {
			load_sub_settled(sub);
			sub->flags |= LOAD_SUB_BACK;
		}
	}
	c->flags &= (uint8_t)~LOAD_COUNTED;
	load_add(&m->stats->open, UINT64_MAX);
}

static bool anybody_was_open(const struct load_worker *w)
{
	int64_t clients = 0;

	for (uint32_t i = 0; i < w->shared->workers; i++) {
		for (uint32_t g = 0; g < w->plan->groups; g++) {
			const struct load_group_stats *s = &w->shared->worker[i].group[g];

			/* Publishers are counted in both. */
			clients += (int64_t)(load_get(&s->opened) - load_get(&s->feeding));
		}
	}
	return w->reached || clients > 0;
}

void load_client_lost(struct load_worker *w, struct load_client *c, const char *why)
{
	struct load_members *m = load_members_of(w, c);
	bool was_open = c->state == LOAD_OPEN;
	const struct load_url *url = load_client_url(w, c);

	if (c->state <= LOAD_WAITING || c->state == LOAD_GONE)
		return;
	load_client_disconnect(w, c, false);
	/* Shown if it matters in the end. */
	(void)snprintf(w->stats->error, sizeof(w->stats->error), "%s", why);
	if (was_open) {
		closed(w, c);
		load_add(&m->stats->closed, 1);
		c->state = LOAD_GONE;
		return;
	}
	w->connecting--;
	load_add(&m->stats->connecting, UINT64_MAX);
	load_add(&m->stats->failed, 1);
	if (!anybody_was_open(w)) {
		load_worker_fail(w, "no client reached %s:%u: %s", url->host, url->port, why);
		return;
	}
	c->state = LOAD_AWAY;
	rc_wheel_set(&w->wheel, load_slot(w, c), load_tick(w, w->now_ns + LOAD_RETRY_NS));
}

void load_client_leave(struct load_worker *w, struct load_client *c, bool cleanly, uint64_t away_ns)
{
	struct load_members *m = load_members_of(w, c);
	static const unsigned char normal[2] = {1000 >> 8, 1000 & 0xff};

	RC_DASSERT(c->state == LOAD_OPEN);
	if (cleanly &&
		(load_client_url(w, c)->scheme == LOAD_WS ||
			load_client_url(w, c)->scheme == LOAD_WSS) &&
		!load_client_send_frame(w, c, RC_WS_CLOSE, normal, sizeof(normal)))
		return;
	load_client_disconnect(w, c, !cleanly);
	closed(w, c);
	load_add(&m->stats->dropped, 1);
	if (away_ns == 0) {
		load_traffic_queue(w, c);
		return;
	}
	c->state = LOAD_AWAY;
	rc_wheel_set(&w->wheel, load_slot(w, c), load_tick(w, w->now_ns + away_ns));
}

void load_client_settle(struct load_worker *w, struct load_client *c)
{
	struct load_members *m = load_members_of(w, c);
	struct load_sub *sub;

	if (m->group->command)
		load_command_settle(w, c);
	if (c->state != LOAD_OPEN || m->group->may_lose || load_group_asks(m->group))
		return;
	for (uint32_t k = 0; (sub = sub_at(c, k)); k++) {
		uint64_t sequence = load_get(&w->shared->sequence[sub->channel]);
		uint64_t lacks = sequence > sub->track.last ? sequence - sub->track.last : 0;
		struct load_faults faults = {.lost = lacks};

		if (lacks == 0)
			continue;
		if (sub->flags & LOAD_SUB_BACK) {
			faults.lost = load_sub_owed(sub, lacks);
			load_add(&m->stats->missed_away, lacks - faults.lost);
			if (faults.lost > 0)
				load_count_faults(w, c, sub->channel, &faults);
		} else if (sub->track.last > 0 || sub->flags & LOAD_SUB_BEGUN)
			load_count_faults(w, c, sub->channel, &faults);
	}
}
