/* SPDX-License-Identifier: Apache-2.0
 *
 * The turn of a shard:
 *
 *   completions ─▶ messages of other shards ─▶ timers ─▶ publishers that waited ─▶ flush ─▶ submit, and sleep if nothing is left
 *
 * Time is read once per turn.
 */
#include "shard/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/logline.h"
#include "hub/view.h"
#include "io/socket.h"
#include "mem/seal.h"
#include "serve/commands.h"
#include "tls/record.h"

#define SECOND_NS        1000000000ull
#define TIMERS_PER_TURN  1024u
#define SWEEP_PER_SECOND 20000u
#define ACCEPT_PAUSE_NS  100000000ull
#define ROOM_POLL_NS     200000ull /* how soon to look again where a ring was full */
#define DRAIN_PER_TURN   1024u

#define SLOT_CONTROL RC_PORTS /* the slots before it are the listeners */

static struct rc_io_tag accept_tag(const struct rc_shard *s, int which)
{
	return (struct rc_io_tag){(uint32_t)which, s->accept_generation & 0xffffff};
}

/* ---- accepting ---------------------------------------------------------------------------------- */

static void accept_start(struct rc_shard *s)
{
	for (int i = 0; i < RC_PORTS; i++) {
		if (!s->accepting[i] && s->listener[i] >= 0) {
			s->accepting[i] = true;
			rc_io_accept(s->io, s->listener[i], accept_tag(s, i));
		}
	}
}

/*
 * Descriptors ran out. The one that was kept for this takes a waiting connection and closes it, so that its client learns of
 * it; then accepting rests a little, or it would spin.
 */
static void accept_starved(struct rc_shard *s, int which)
{
	rc_count(s->counters, RC_C_accept_emfile, 1);
	if (s->spare_fd >= 0) {
		(void)close(s->spare_fd);
		int fd = accept4(s->listener[which], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			(void)close(fd);
		s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	s->accept_again_ns = s->now_ns + ACCEPT_PAUSE_NS;
}

static void accepted(struct rc_shard *s, const struct rc_io_event *ev)
{
	int which = (int)ev->tag.slot;

	if (ev->res >= 0) {
		if (s->drain_begun)
			(void)close(ev->res);
		else
			rc_serve_accepted(&s->serve, ev->res, (enum rc_port)which);
	}
	if (ev->more)
		return;
	s->accepting[which] = false;
	if (s->drain_begun)
		return;
	if (ev->res == -EMFILE || ev->res == -ENFILE || ev->res == -ENOMEM || ev->res == -ENOBUFS) {
		accept_starved(s, which);
		return;
	}
	if (ev->res < 0)
		rc_count(s->counters, RC_C_accept_errors, 1);
	else
		rc_count(s->counters, RC_C_accept_rearmed, 1);
	accept_start(s);
}

/* ---- completions -------------------------------------------------------------------------------- */

static void received(struct rc_shard *s, struct rc_conn *c, const struct rc_io_event *ev)
{
	if (!ev->more)
		rc_conn_recv_ended(c);
	if (c->state == RC_CONN_DEAD) {
		if (!ev->more)
			rc_conn_landed(&s->conns, c);
		return;
	}
	uint32_t generation = c->generation;
	if (ev->res > 0) {
		rc_count(s->counters, RC_C_recv_bytes, (uint64_t)ev->res);
		if (RC_UNLIKELY(ev->record && ev->record != RC_TLS_DATA))
			rc_serve_record(&s->serve, c, ev->record, ev->data, (uint32_t)ev->res);
		else
			rc_serve_input(&s->serve, c, ev->data, (uint32_t)ev->res);
		if (!ev->more && c->generation == generation && c->state != RC_CONN_DEAD)
			rc_serve_arm(&s->serve, c);
	} else {
		rc_serve_input_ended(&s->serve, c, ev->res);
	}
	if (!ev->more)
		rc_conn_landed(&s->conns, c);
}

static void handle(void *ctx, const struct rc_io_event *ev)
{
	struct rc_shard *s = ctx;
	struct rc_conn *c;

	switch (ev->op) {
	case RC_IO_ACCEPT:
		accepted(s, ev);
		return;
	case RC_IO_WAKE:
		return;
	case RC_IO_POLLIN:
		if (!ev->more)
			rc_io_poll_in(
				s->io, s->gateway->wake_fd, (struct rc_io_tag){SLOT_CONTROL, 0});
		return;
	default:
		break;
	}
	c = rc_conn_of(&s->conns, ev->tag);
	RC_ASSERT(c); /* a slot is not free while the kernel holds a request for it */
	if (ev->op == RC_IO_RECV)
		received(s, c, ev);
	else if (ev->op == RC_IO_SEND)
		rc_flush_sent(s, c, ev->res);
	else if (ev->op == RC_IO_CONNECT)
		rc_serve_connected(&s->serve, c, ev->res);
	else if (ev->op == RC_IO_READABLE || c->kind == RC_CONN_HANDSHAKE)
		rc_serve_ready(&s->serve, c);
	else
		rc_flush_writable(s, c);
}

/* ---- time --------------------------------------------------------------------------------------- */

static void fire(void *ctx, uint32_t index)
{
	struct rc_shard *s = ctx;

	rc_serve_timer(&s->serve, &s->conns.at[index]);
}

/*
 * The turn that ends, and what its events took. Sends end inside the submit, so all that the flush was done with had
 * reached its sockets by now; and where there were sends, their completions kept the shard from sleeping.
 */
static void measure(struct rc_shard *s, uint64_t now_ns)
{
	uint64_t end_ns = s->slept ? s->now_ns : now_ns;

	for (uint32_t i = 0; i < s->flushed_count; i++)
		rc_count_hist(s->counters, RC_H_publish_to_flush_ns, end_ns - s->flushed_ns[i], 1);
	s->flushed_count = 0;
	if (s->now_ns)
		rc_count(s->counters, RC_C_busy_ns, (s->slept ? s->sleep_ns : now_ns) - s->now_ns);
	if (!s->slept && s->now_ns)
		rc_count_hist(s->counters, RC_H_turn_ns, now_ns - s->now_ns, 1);
}

static void take_time(struct rc_shard *s)
{
	uint64_t now_ns = rc_clock_mono_ns();

	measure(s, now_ns);
	s->now_ns = now_ns;
	rc_hub_time(&s->hub, s->now_ns);
	s->conns.tick = (uint32_t)(s->now_ns / (RC_CONN_TICK_MS * 1000000ull));
	s->serve.now_ns = s->now_ns;
	s->serve.wall_ms = rc_clock_wall_ms();
}

static void each_second(struct rc_shard *s)
{
	if (s->now_ns < s->second_ns)
		return;
	s->second_ns = s->now_ns + SECOND_NS;
	rc_owner_sweep(&s->hub, SWEEP_PER_SECOND);
	rc_top_second(&s->hub.top);
	rc_history_sweep(&s->hub, SWEEP_PER_SECOND);
	rc_route_stamp(s);
	rc_home_sweep(&s->home, s->hub.now_s, SWEEP_PER_SECOND);
	rc_gauge_set(s->counters, RC_C_arena_used_bytes, s->arena.used_bytes);
	rc_gauge_set(s->counters, RC_C_connections, s->conns.open);
	rc_gauge_set(s->counters, RC_C_cq_overflows, rc_io_overflows(s->io));
	if (s->index == 0) {
		rc_counters_heartbeat(&s->gateway->counters, s->serve.wall_ms);
		rc_count(s->counters, RC_C_log_failed, rc_logs_failed(&s->gateway->logs));
	}
}

/* ---- ending ------------------------------------------------------------------------------------- */

/*
 * Backends go when no client waits for them any more. Where that takes too long, the clients are told so. Pairs with itself: who sees
 * all shards counted finds no command outstanding anywhere, for none begin.
 */
static void drain_backends(struct rc_shard *s)
{
	struct rc_gateway *g = s->gateway;
	uint64_t patience_ns = (uint64_t)g->config->drain_timeout_ms * 1000000u / 4;

	if (s->drain_backends)
		return;
	if (s->now_ns + patience_ns >= s->drain_end_ns)
		rc_commands_give_up(&s->serve);
	if (!s->drain_answered && rc_commands_settled(&s->serve)) {
		s->drain_answered = true;
		atomic_fetch_add_explicit(&g->answered, 1, memory_order_acq_rel);
	}
	if (atomic_load_explicit(&g->answered, memory_order_acquire) < g->count)
		return;
	s->drain_backends = true;
	for (uint32_t i = 0; i < s->conns.mark; i++) {
		struct rc_conn *c = &s->conns.at[i];
		if (c->kind == RC_CONN_INGEST)
			rc_serve_drain(&s->serve, c);
	}
}

/*
 * Draining: no one is let in; publishers are told and their events decided; what the channels hold goes out; then the clients
 * are told when to come back, a few per turn. True when nothing is left or time is up.
 */
static bool drain(struct rc_shard *s)
{
	struct rc_gateway *g = s->gateway;

	if (!s->drain_begun) {
		s->drain_begun = true;
		s->serve.draining = true;
		s->drain_end_ns = s->now_ns + (uint64_t)g->config->drain_timeout_ms * 1000000u;
		for (int i = 0; i < RC_PORTS; i++) {
			if (s->accepting[i])
				rc_io_cancel_accept(s->io, accept_tag(s, i));
			if (s->listener[i] >= 0)
				(void)close(s->listener[i]);
			s->listener[i] = -1;
		}
		for (uint32_t i = 0; i < s->conns.mark; i++) {
			struct rc_conn *c = &s->conns.at[i];
			/* Whose handshake would only be over later is let in no more, or nobody would tell it. */
			if ((c->kind == RC_CONN_INGEST && !rc_backend_is(c)) ||
				c->kind == RC_CONN_HANDSHAKE || c->kind == RC_CONN_PROXY)
				rc_serve_drain(&s->serve, c);
		}
	}
	drain_backends(s);
	if (s->now_ns >= s->drain_end_ns)
		return true;
	/* Commands of all shards go through these, with a connection or without one. */
	if (s->serve.webhooks && !s->drain_backends)
		return false;
	if (!s->drain_told && rc_ingest_settled(&s->serve) && rc_api_settled(&s->serve)) {
		s->drain_told = true;
		atomic_fetch_add_explicit(&g->drained, 1, memory_order_acq_rel);
	}
	/* Only when every shard's publishers have settled is nothing more to come for our clients. */
	if (atomic_load_explicit(&g->drained, memory_order_acquire) < g->count ||
		!rc_route_idle(s) || s->hub.view_heap_count || s->hub.dirty_first != RC_NONE ||
		rc_consumer_busy(&s->hub))
		return false;
	for (uint32_t n = 0; n < RC_MIN(DRAIN_PER_TURN, s->conns.mark); n++) {
		struct rc_conn *c = &s->conns.at[s->drain_next++ % s->conns.mark];
		if (c->state != RC_CONN_OPEN || c->kind == RC_CONN_INGEST)
			continue;
		/* One that has something coming gets it first; who doesn't take it, only while there is time. */
		bool pending = c->listed != RC_NONE || c->mid_left ||
			       (c->flags & (RC_CONN_SENDING | RC_CONN_REST));
		if (!pending || s->now_ns + SECOND_NS >= s->drain_end_ns)
			rc_serve_drain(&s->serve, c);
	}
	return s->conns.open == 0;
}

/* ---- the turn ----------------------------------------------------------------------------------- */

/* Until there is something to do about who is in the channels. */
static uint64_t presence_ns(const struct rc_shard *s)
{
	const struct rc_presence *p = &s->hub.presence;

	if (p->blocked)
		return ROOM_POLL_NS;
	if (p->fresh || p->next_ns <= s->now_ns)
		return 1;
	return p->next_ns - s->now_ns;
}

/* Until something that was kept back is due. */
static uint64_t kept_ns(const struct rc_shard *s)
{
	uint64_t view_ns = rc_view_next(&s->hub);
	uint64_t next = rc_consumer_wait_ns(&s->hub);

	if (view_ns != UINT64_MAX)
		next = RC_MIN(next, view_ns > s->now_ns ? view_ns - s->now_ns : 1);
	return next;
}

static uint64_t sleep_ns(struct rc_shard *s)
{
	uint64_t next = s->second_ns > s->now_ns ? s->second_ns - s->now_ns : 1;
	uint32_t ticks = rc_wheel_next(&s->conns.wheel);

	if (ticks != UINT32_MAX)
		next = RC_MIN(next, (uint64_t)ticks * RC_CONN_TICK_MS * 1000000u);
	if (s->blocked || s->hub.ask_first != RC_NONE || s->serve.waiting_first != RC_NONE ||
		s->serve.replay_refused || s->serve.acked_refused || rc_api_waiting(&s->serve) ||
		rc_users_waiting(&s->serve))
		next = RC_MIN(next, (uint64_t)ROOM_POLL_NS);
	if (s->serve.commands && !rc_commands_idle(&s->serve))
		next = RC_MIN(next, rc_commands_ns(&s->serve));
	if (s->hub.presence.on && !s->drain_begun)
		next = RC_MIN(next, presence_ns(s));
	if (rc_hub_keeps(&s->hub))
		next = RC_MIN(next, kept_ns(s));
	if (s->accept_again_ns)
		next = RC_MIN(next, (uint64_t)ACCEPT_PAUSE_NS);
	if (s->drain_begun)
		next = RC_MIN(next, (uint64_t)RC_CONN_TICK_MS * 1000000u);
	return next;
}

static bool spin(struct rc_shard *s, uint64_t until_ns)
{
	do {
		if (rc_io_pending(s->io) || !rc_route_idle(s))
			return true;
	} while (rc_clock_mono_ns() < until_ns);
	return false;
}

/* What is being sent keeps it awake: the kernel sends within the submit. */
static void fall_asleep(struct rc_shard *s)
{
	if (!s->slept && s->conns.sending == 0) {
		s->slept = true;
		s->sleep_ns = rc_clock_mono_ns();
	}
}

static void submit(struct rc_shard *s)
{
	uint32_t poll_us = s->gateway->config->busy_poll_us;

	s->slept = false;
	if (rc_flush_pending(s) || s->backlogged || rc_serve_pending(&s->serve) ||
		(!s->blocked && !rc_route_idle(s)) ||
		atomic_load_explicit(&s->gateway->stopping, memory_order_acquire) >
			s->drain_begun) {
		rc_io_submit(s->io);
		return;
	}
	if (poll_us) {
		rc_io_submit(s->io);
		fall_asleep(s);
		if (spin(s, rc_clock_mono_ns() + (uint64_t)poll_us * 1000))
			return;
	}
	rc_sleeper_prepare(&s->sleeper);
	if ((s->blocked || rc_route_idle(s)) && atomic_load_explicit(&s->gateway->stopping,
							memory_order_acquire) <= s->drain_begun) {
		rc_count(s->counters, RC_C_sleeps, 1);
		fall_asleep(s);
		rc_io_submit_and_wait(s->io, sleep_ns(s));
	} else {
		rc_io_submit(s->io);
	}
	rc_sleeper_awake(&s->sleeper);
}

bool rc_shard_turn(struct rc_shard *s)
{
	bool done = false;

	take_time(s);
	s->backlogged = false;
	(void)rc_io_reap(s->io, handle, s);
	s->serve.busy = s->backlogged;
	if (!s->backlogged)
		(void)rc_route_receive(s);
	(void)rc_wheel_advance(&s->conns.wheel, s->conns.tick, TIMERS_PER_TURN, fire, s);
	each_second(s);
	if (s->accept_again_ns && s->now_ns >= s->accept_again_ns) {
		s->accept_again_ns = 0;
		accept_start(s);
	}
	if (s->hub.ask_first != RC_NONE)
		rc_replica_ask_again(&s->hub);
	rc_serve_turn(&s->serve);
	uint32_t stopping = atomic_load_explicit(&s->gateway->stopping, memory_order_acquire);
	if (stopping)
		done = stopping > 1 || drain(s);
	/* When all are sent away nobody is told who leaves. */
	if (!s->drain_begun)
		rc_presence_turn(&s->hub);
	if (rc_hub_keeps(&s->hub)) {
		rc_consumer_turn(&s->hub);
		/* What is kept back goes before they are sent away. */
		rc_view_turn(&s->hub, s->drain_begun);
	}
	rc_flush(s);
	rc_route_publish(s);
	submit(s);
	rc_count(s->counters, RC_C_turns, 1);
	return !done;
}

void rc_shard_begin(struct rc_shard *s)
{
	char name[16];
	uint32_t sub;
	uint32_t nobody = RC_NONE;

	(void)snprintf(name, sizeof(name), "shard-%u", s->index);
	(void)prctl(PR_SET_NAME, name);
	rc_logline_to(rc_logs_sink(&s->gateway->logs, s->index, s->counters));
	int rc = rc_io_enable(s->io);
	if (rc < 0) {
		rc_error_line("shard %u: its ring can't be enabled: %s", s->index, strerror(-rc));
		RC_ASSERT(rc == 0);
	}
	take_time(s);
	/* The channel that everybody hears exists for as long as the shard does. */
	if (rc_replica_subscribe(&s->hub, RC_NONE, &nobody, RC_STR(RC_HUB_BROADCAST), false,
		    RC_SUB_HIDDEN, &sub) != RC_SUBSCRIBED)
		RC_FAIL("no room for the first channel");
	s->hub.broadcast = rc_hub_sub(&s->hub, sub)->replica;
	rc_hub_replica(&s->hub, s->hub.broadcast)->pinned = true;
	rc_replica_unsubscribe(&s->hub, sub, &nobody);
	accept_start(s);
	rc_io_poll_in(s->io, s->gateway->wake_fd, (struct rc_io_tag){SLOT_CONTROL, 0});
	s->second_ns = s->now_ns;
	rc_seal_thread();
}

void *rc_shard_run(void *shard)
{
	struct rc_shard *s = shard;

	rc_shard_begin(s);
	while (rc_shard_turn(s))
		;
	atomic_fetch_add_explicit(&s->gateway->ended, 1, memory_order_acq_rel);
	return NULL;
}
