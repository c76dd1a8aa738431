/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients whose handshakes are what is measured: connect, shake hands, close, and again. The first one of each is made while all
 * connect; with it a client counts as open, though it has no connection, and waits for the others. The server is told
 * nothing, not even good-bye: the end of the stream is what it sees.
 */
#include <errno.h>

#include "base/clock.h"
#include "local.h"

#define NO_TICKET \
	"the server closed the connection before it gave a session to resume. See that it issues tickets, or leave out --resume"

static void count(struct load_worker *w, struct load_client *c)
{
	struct load_members *m = load_members_of(w, c);
	uint64_t begun = c->extra->begun_ns;

	load_add(&m->stats->handshakes, 1);
	if (load_tls_resumed(c->extra->tls))
		load_add(&m->stats->resumed, 1);
	if (begun >= w->window_from && begun < w->window_to)
		load_add(&m->stats->latency[rc_hist_bucket(rc_clock_mono_ns() - begun)], 1);
}

/* False: the ticket is still to come, or the client was lost. */
static bool has_ticket(struct load_worker *w, struct load_client *c)
{
	ssize_t n = 0;

	while (!load_tls_can_resume(w->tls) &&
		(n = load_tls_read(c->extra->tls, load_buffer(w, LOAD_BATCH), LOAD_BUFFER,
			 &c->extra->tls_want)) > 0)
		;
	if (load_tls_can_resume(w->tls))
		return true;
	if (n != -EAGAIN)
		load_client_lost(w, c, n == 0 ? NO_TICKET : load_tls_why(c->extra->tls));
	return false;
}

void load_shake_done(struct load_worker *w, struct load_client *c)
{
	struct load_members *m = load_members_of(w, c);
	bool first = !(c->flags & LOAD_ONCE);

	if (first && m->group->resume && !has_ticket(w, c))
		return;
	w->reached = true;
	w->connecting--;
	load_add(&m->stats->connecting, UINT64_MAX);
	if (first) {
		c->flags |= LOAD_ONCE;
		load_add(
			&m->stats->connect[rc_hist_bucket(rc_clock_mono_ns() - c->extra->begun_ns)],
			1);
		load_add(&m->stats->opened, 1);
		load_add(&m->stats->open, 1);
	} else {
		count(w, c);
	}
	load_client_disconnect(w, c, false);
	c->state = LOAD_AWAY;
	if (m->begun && load_flows(w))
		load_traffic_queue(w, c);
}

void load_shake_turn(struct load_worker *w, struct load_members *m)
{
	if (m->begun || !load_flows(w))
		return;
	m->begun = true;
	for (uint32_t i = 0; i < m->count; i++) {
		struct load_client *c = &w->client[m->first + i];

		if (c->state == LOAD_AWAY && c->flags & LOAD_ONCE)
			load_traffic_queue(w, c);
	}
}
