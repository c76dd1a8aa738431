/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients that send events and wait for the same events to come back: in_flight of them each, or at a rate over all clients of
 * the group. A client is the only publisher of its sequence; the event's channel is its index.
 */
#include <stdlib.h>

#include "local.h"
#include "proto/websocket.h"

static bool flows(const struct load_worker *w)
{
	return w->phase == LOAD_WARM || w->phase == LOAD_MEASURE;
}

static bool send_one(struct load_worker *w, struct load_client *c, uint64_t due_ns)
{
	struct load_members *m = load_members_of(w, c);
	struct load_extra *x = c->extra;
	struct load_event event = {.publisher = c->group,
		.channel = load_client_index(w, c),
		.len = m->group->payload,
		.sequence = x->sent + 1,
		.time_ns = due_ns};
	char small[4096], *bytes = event.len > sizeof(small) ? malloc(event.len) : small;
	bool sent;

	if (!bytes) {
		load_client_lost(w, c, "out of memory: say a smaller payload");
		return false;
	}
	load_event_encode(bytes, &event);
	x->sent++;
	load_add(&m->stats->published, 1);
	load_add(&m->stats->published_bytes, event.len);
	load_add(&m->stats->expected, 1);
	sent = load_client_send_frame(w, c, RC_WS_TEXT, bytes, event.len);
	if (bytes != small)
		free(bytes);
	return sent;
}

void load_echo_opened(struct load_worker *w, struct load_client *c)
{
	c->extra->sent = 0;
	load_track_begin(&c->sub.track, 1);
	load_echo_more(w, c);
}

void load_echo_more(struct load_worker *w, struct load_client *c)
{
	const struct load_group *g = load_members_of(w, c)->group;

	if (g->rate > 0 || !flows(w))
		return;
	/* Lost ones don't hold it up: what came after them says that they will not come. */
	while (c->state == LOAD_OPEN && c->extra->sent - c->sub.track.last < g->in_flight)
		if (!send_one(w, c, w->now_ns))
			return;
}

void load_echo_event(struct load_worker *w, struct load_client *c, const struct load_event *event)
{
	struct load_members *m = load_members_of(w, c);
	struct load_faults faults = {0};

	if (c->state != LOAD_OPEN || event->channel != load_client_index(w, c) ||
		event->publisher != c->group || event->sequence > c->extra->sent) {
		faults.foreign = 1;
	} else if (load_track_take(&c->sub.track, event->sequence, &faults)) {
		load_add(&m->stats->deliveries, 1);
		load_add(&m->stats->delivery_bytes, event->len);
		if (event->time_ns >= w->window_from && event->time_ns < w->window_to)
			load_add(&m->stats->latency[rc_hist_bucket(
					 w->now_ns - RC_MIN(w->now_ns, event->time_ns))],
				1);
	}
	if (faults.lost | faults.duplicated | faults.reordered | faults.foreign)
		load_count_faults(w, c, RC_NONE, &faults);
}

/* At a rate: those whose time has come. In a closed loop: when events begin to flow, everybody begins. */
void load_echo_turn(struct load_worker *w, struct load_members *m)
{
	double every_ns;

	if (!flows(w))
		return;
	if (m->group->rate <= 0) {
		for (uint32_t i = 0; i < m->count && !m->stormed; i++)
			if (w->client[m->first + i].state == LOAD_OPEN)
				load_echo_more(w, &w->client[m->first + i]);
		m->stormed = true;
		return;
	}
	every_ns = 1e9 / (m->group->rate * m->count / m->group->clients);
	if (m->due_ns == 0)
		m->due_ns = (double)load_get(&w->shared->start_ns);
	/* No more than 64 at a time, so that answers are read between. */
	for (int i = 0; i < 64 && m->due_ns <= (double)w->now_ns; i++) {
		uint64_t due_ns = (uint64_t)m->due_ns;
		struct load_client *c = NULL;

		for (uint32_t tries = 0; tries < m->count; tries++) {
			c = &w->client[m->first + m->turn];
			m->turn = (m->turn + 1) % m->count;
			if (c->state == LOAD_OPEN)
				break;
		}
		m->due_ns += every_ns;
		if (!c || c->state != LOAD_OPEN)
			continue;
		load_add(&w->stats->late[rc_hist_bucket(w->now_ns - due_ns)], 1);
		(void)send_one(w, c, due_ns);
	}
}
