/* SPDX-License-Identifier: Apache-2.0
 *
 * A publisher: it decides when an event leaves and on which channel, its link carries it. See publisher.h.
 *
 * Three things can hold an event back, and they are told apart. That it is not due, or that the closed loop is full, is the scenario.
 * That the window is used up or the socket is full is the server: the event keeps the time at which it was meant to leave, so the wait
 * is in its latency. Whatever is left is this thread being busy elsewhere: that is `late`.
 */
#include "publisher.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "closed.h"
#include "draw.h"
#include "link.h"
#include "names.h"
#include "pace.h"

/* Of one turn: the thread's readers wait meanwhile. */
#define TURN_EVENTS   1024u
#define TURN_BYTES    (256u * 1024)
#define LOOK_AGAIN_NS 50000u
#define CREDIT_MAX    65535u

struct load_publisher {
	const struct load_plan *plan;
	const struct load_group *group;
	struct load_shared *shared;
	struct load_worker_stats *stats;
	struct load_group_stats *counts;
	uint32_t id, number; /* in the run, in its group */
	uint32_t turn_events;
	struct load_draw draw;
	struct load_names names;
	char path[LOAD_PATH_MAX];
	struct load_pace pace;
	struct load_closed closed;
	bool begun, measuring;
	uint64_t window_from, window_to; /* UINT64_MAX: not yet */
	uint64_t overdue_told;           /* our part of the word */
	uint64_t now_ns;                 /* of the call that we are in */
	uint64_t free_since_ns;          /* window and socket have let us since then */
	/* Put, and not yet in the words that others see. */
	uint64_t put, put_expected;
	struct load_link link;
};

/* ---- opening and closing ------------------------------------------------------------------------ */

static int say_who(const struct load_publisher *p, int rc, struct rc_error *err)
{
	const struct load_url *url = &p->plan->target->publisher.url;

	rc_error_prefix(err, "%s %u of %s at %s:%u", p->group->command ? "backend" : "publisher",
		p->number, p->group->name, url->host, (unsigned)url->port);
	return rc;
}

static void on_acked(void *ctx, uint64_t time_ns)
{
	struct load_publisher *p = ctx;

	load_add(&p->counts->acked, 1);
	/* What was due in the window, whenever the answer comes: the longest waits end after it. */
	if (time_ns >= p->window_from && time_ns < p->window_to)
		load_add(&p->counts->ack[rc_hist_bucket(
				 p->now_ns > time_ns ? p->now_ns - time_ns : 0)],
			1);
}

/*
 * Where subscribers wait for every event, one that was refused would be counted as lost: the run ends with the server's words. Where only
 * acknowledgements are measured, a server that says "later" is a result.
 */
static int on_refused(void *ctx, uint16_t code, const struct rc_error *err)
{
	struct load_publisher *p = ctx;

	(void)err;
	load_add(&p->counts->refused, 1);
	return p->group->acks_only && code >= RINGCAST_NACK_TEMPORARY ? 0 : -EPROTO;
}

/* A backend: a command came, and was answered when it is sound. */
static void on_asked(void *ctx, bool sound)
{
	struct load_publisher *p = ctx;

	load_add(sound ? &p->counts->answered : &p->counts->corrupted, 1);
}

/* Room for all that its part of the clients may ask at once. */
static uint32_t credit_of(const struct load_group *g)
{
	uint64_t all = (uint64_t)g->clients * g->in_flight;

	if (!g->command)
		return 0;
	return g->in_flight ? (uint32_t)RC_MIN(all / g->backends + 1, CREDIT_MAX) : CREDIT_MAX;
}

static void number_it(struct load_publisher *p, uint32_t group, uint32_t number)
{
	p->number = number;
	p->id = number;
	for (uint32_t g = 0; g < group; g++)
		p->id += load_group_links(&p->plan->group[g]);
}

static int open_link(struct load_publisher *p, struct rc_error *err)
{
	const struct load_talk_hooks hooks = {.ctx = p,
		.acked = on_acked,
		.refused = on_refused,
		.asked = p->group->command ? on_asked : NULL,
		.credit = credit_of(p->group)};
	struct rc_str path;
	int rc = load_names_path(
		&p->names, &p->draw, &p->plan->target->publisher.url, p->path, &path, err);

	if (rc < 0)
		return rc;
	/* {session}: behind those of the clients. */
	return load_link_open(&p->link, p->plan, path, p->plan->clients + p->id,
		p->group->command ? p->group->reply : p->group->payload, &hooks, rc_clock_mono_ns(),
		err);
}

int load_publisher_open(struct load_publisher **out, const struct load_plan *plan,
	struct load_shared *shared, struct load_worker_stats *stats, uint32_t group,
	uint32_t number, struct rc_error *err)
{
	struct load_publisher *p = calloc(1, sizeof(*p));
	int rc;

	*out = NULL;
	if (p == NULL)
		return load_talk_no_memory(err);
	p->plan = plan;
	p->group = &plan->group[group];
	p->shared = shared;
	p->stats = stats;
	p->window_from = p->window_to = UINT64_MAX;
	p->counts = &stats->group[group];
	p->turn_events = RC_MAX(1u, RC_MIN(TURN_EVENTS, TURN_BYTES / (p->group->payload + 64)));
	number_it(p, group, number);
	rc = p->group->command ? 0 : load_draw_open(&p->draw, p->group, number);
	if (rc == 0)
		rc = load_names_open(&p->names, plan, &p->draw);
	rc = rc < 0 ? load_talk_no_memory(err) : open_link(p, err);
	if (rc < 0) {
		rc = say_who(p, rc, err);
		load_publisher_close(p);
		return rc;
	}
	if (!p->group->command)
		rc = load_closed_open(&p->closed, plan, shared, group, number, p->link.talk.acks);
	if (rc < 0) {
		load_publisher_close(p);
		return load_talk_no_memory(err);
	}
	*out = p;
	return 0;
}

void load_publisher_close(struct load_publisher *p)
{
	if (p == NULL)
		return;
	load_link_close(&p->link);
	load_closed_close(&p->closed);
	load_draw_close(&p->draw);
	load_names_close(&p->names);
	free(p);
}

/* ---- publishing --------------------------------------------------------------------------------- */

static uint32_t subscribers_of(const struct load_publisher *p, uint32_t index)
{
	return atomic_load_explicit(
		&p->shared->subscribers[load_draw_channel(&p->draw, index)], memory_order_seq_cst);
}

/* One event to the output; load_link_room() allows it. */
static int put(
	struct load_publisher *p, uint32_t index, uint64_t time_ns, bool more, struct rc_error *err)
{
	uint32_t channel = load_draw_channel(&p->draw, index);
	const struct load_event event = {
		.publisher = p->id & 0xffff,
		.channel = channel,
		.len = p->group->payload,
		.sequence = load_get(&p->shared->sequence[channel]) + 1,
		.time_ns = time_ns,
	};

	/*
	 * Before the event can be anywhere: a reader that sees a higher one calls it foreign. And before subscribers are read: a client
	 * that goes does it the other way round (shared.h), so that one of both knows of the other.
	 */
	atomic_store_explicit(&p->shared->sequence[channel], event.sequence, memory_order_seq_cst);
	p->put++;
	p->put_expected += subscribers_of(p, index);
	return load_talk_put(&p->link.talk, load_names_get(&p->names, index), &event, more, err);
}

/* The counts before the bytes: nothing may arrive that is not expected. */
static int send_put(struct load_publisher *p, struct rc_error *err)
{
	if (p->put == 0)
		return 0;
	load_add(&p->counts->published, p->put);
	load_add(&p->counts->published_bytes, p->put * p->group->payload);
	load_add(&p->counts->expected, p->put_expected);
	p->put = p->put_expected = 0;
	return load_link_flush(&p->link, err);
}

/*
 * What is due before the window's end leaves even after it: a server that stands still across the end would otherwise keep
 * the events out of every latency that it held back itself.
 */
static bool is_due(const struct load_publisher *p)
{
	return p->pace.next_ns <= p->now_ns && p->pace.next_ns < p->window_to;
}

/* Everything that is due, each with its own time. */
static int publish_open(struct load_publisher *p, uint64_t *next_ns, struct rc_error *err)
{
	uint32_t room = RC_MIN(load_link_room(&p->link), p->turn_events);
	uint32_t put_now = 0;
	int rc = 0;

	while (rc == 0 && put_now < room && is_due(p)) {
		uint64_t due_ns = p->pace.next_ns;
		uint64_t could_ns = RC_MAX(due_ns, p->free_since_ns);
		uint32_t index = load_draw_next(&p->draw);

		load_pace_step(&p->pace);
		put_now++;
		rc = put(p, index, due_ns, put_now < room && is_due(p), err);
		if (p->measuring)
			load_add(&p->stats->late[rc_hist_bucket(
					 p->now_ns > could_ns ? p->now_ns - could_ns : 0)],
				1);
	}
	if (rc == 0)
		rc = send_put(p, err);
	/* Without room it is input, or the socket, that is waited for. */
	if (load_link_room(&p->link) > 0 && p->pace.next_ns < p->window_to)
		*next_ns = p->pace.next_ns;
	else
		*next_ns = UINT64_MAX;
	return rc;
}

/* As many as the loop has room for; each is meant to leave when it leaves. */
static int publish_closed(struct load_publisher *p, uint64_t *next_ns, struct rc_error *err)
{
	uint32_t room = RC_MIN(load_link_room(&p->link), p->turn_events);
	uint32_t put_now = 0;
	bool more;
	int rc = 0;

	load_closed_look(&p->closed, p->now_ns);
	more = room > 0 && load_closed_allows(&p->closed);
	while (rc == 0 && more) {
		uint32_t index = load_draw_next(&p->draw);

		uint32_t channel = load_draw_channel(&p->draw, index);

		load_closed_sent(&p->closed, p->stats, channel,
			load_get(&p->shared->sequence[channel]) + 1, subscribers_of(p, index));
		put_now++;
		more = put_now < room && load_closed_allows(&p->closed);
		rc = put(p, index, rc_clock_mono_ns(), more, err);
	}
	if (rc == 0)
		rc = send_put(p, err);
	if (load_link_room(&p->link) == 0)
		*next_ns = UINT64_MAX;
	else if (load_closed_allows(&p->closed))
		*next_ns = p->now_ns;
	else if (p->shared->workers > 1)
		*next_ns = p->now_ns + LOOK_AGAIN_NS;
	else
		*next_ns = p->now_ns + LOAD_CLOSED_STUCK_NS;
	return rc;
}

/* The phase is the caller's; its beginning is of the same phase or a later one. */
static void follow_phase(struct load_publisher *p, enum load_phase phase)
{
	p->measuring = phase == LOAD_MEASURE;
	if (p->measuring && p->window_from == UINT64_MAX)
		p->window_from = load_get(&p->shared->start_ns);
	if (phase >= LOAD_DRAIN && p->window_to == UINT64_MAX)
		p->window_to = load_get(&p->shared->start_ns);
}

static uint64_t overdue(const struct load_publisher *p)
{
	if (p->pace.next_ns >= p->window_to)
		return 0;
	return (p->window_to - 1 - p->pace.next_ns) / RC_MAX(p->pace.step_ns, 1u) + 1;
}

/* How many events of the window have not left; not only this publisher's count is in the word. */
static void tell_overdue(struct load_publisher *p)
{
	uint64_t count = overdue(p);

	load_add(&p->counts->overdue, count - p->overdue_told);
	p->overdue_told = count;
}

/* The window is over, events that were due in it have not left, and it is not too late for them. */
static bool has_backlog(const struct load_publisher *p, enum load_phase phase, uint64_t now_ns)
{
	return phase == LOAD_DRAIN && p->begun && p->group->rate > 0 && overdue(p) > 0 &&
	       now_ns < p->window_to + (uint64_t)(p->plan->drain * 1e9);
}

static void begin(struct load_publisher *p)
{
	p->begun = true;
	p->free_since_ns = 0;
	if (p->group->rate > 0)
		load_pace_begin(&p->pace, load_get(&p->shared->start_ns), p->group->rate,
			p->draw.share, p->draw.shares, p->draw.before);
}

int load_publisher_turn(struct load_publisher *p, enum load_phase phase, uint64_t now_ns,
	uint64_t *next_ns, struct rc_error *err)
{
	int rc;

	*next_ns = UINT64_MAX;
	follow_phase(p, phase);
	if (p->link.more) {
		rc = load_publisher_io(p, now_ns, err);
		if (rc < 0)
			return rc;
		if (p->link.more)
			*next_ns = now_ns;
	}
	if (!load_link_ready(&p->link)) {
		*next_ns = p->link.deadline_ns;
		rc = load_link_check(&p->link, now_ns, err);
		return rc < 0 ? say_who(p, rc, err) : 0;
	}
	if (p->draw.count == 0 ||
		!(phase == LOAD_WARM || phase == LOAD_MEASURE || has_backlog(p, phase, now_ns)))
		return 0;
	/* The worker's time is that of the beginning of its turn, and what it did since counts against it. */
	p->now_ns = RC_MAX(now_ns, rc_clock_mono_ns());
	if (!p->begun)
		begin(p);
	if (p->group->rate > 0)
		rc = publish_open(p, &now_ns, err);
	else
		rc = publish_closed(p, &now_ns, err);
	*next_ns = RC_MIN(*next_ns, now_ns);
	if (phase == LOAD_DRAIN)
		tell_overdue(p);
	return rc < 0 ? say_who(p, rc, err) : 0;
}

/* ---- the rest ----------------------------------------------------------------------------------- */

int load_publisher_io(struct load_publisher *p, uint64_t now_ns, struct rc_error *err)
{
	bool free_before = load_link_room(&p->link) > 0;
	int rc;

	p->now_ns = RC_MAX(now_ns, rc_clock_mono_ns());
	follow_phase(p, atomic_load_explicit(&p->shared->phase, memory_order_acquire));
	rc = load_link_io(&p->link, err);
	if (!free_before && load_link_room(&p->link) > 0)
		p->free_since_ns = p->now_ns;
	return rc < 0 ? say_who(p, rc, err) : 0;
}

int load_publisher_fd(const struct load_publisher *p)
{
	return p->link.fd;
}

short load_publisher_events(const struct load_publisher *p)
{
	return load_link_events(&p->link);
}

bool load_publisher_ready(const struct load_publisher *p)
{
	return load_link_ready(&p->link);
}

bool load_publisher_idle(const struct load_publisher *p)
{
	const struct load_talk *talk = &p->link.talk;

	return load_outbuf_waiting(&talk->out) == 0 &&
	       (!talk->acks || talk->sent == talk->acked + talk->refused);
}
