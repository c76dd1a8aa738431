/* SPDX-License-Identifier: Apache-2.0
 *
 * How a publisher's connection begins, is kept alive and ends, and what other shards say about it. The publisher outlives its
 * connection until all that it sent is decided; only then its id may go to another.
 */
#include "auth/auth.h"
#include "serve/commands.h"
#include "serve/publisher.h"

/* ---- coming and going --------------------------------------------------------------------------- */

void rc_ingest_wants_tls(struct rc_serve *sv, struct rc_conn *c)
{
	rc_publisher_error(sv, c, RINGCAST_ERROR_BAD_FRAME, "this port speaks TLS");
	if (c->state == RC_CONN_OPEN)
		rc_conn_finish(sv->conns, c);
}

void rc_ingest_renew(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_publisher *p = c->ext;

	if (!p || p->stage >= RC_STAGE_CLOSING)
		return;
	rc_publisher_bye(sv, c, RINGCAST_BYE_RENEW, 0);
	if (c->state == RC_CONN_OPEN)
		rc_publisher_stop_taking(sv, p);
}

bool rc_ingest_open(struct rc_serve *sv, struct rc_conn *c, struct rc_str identity)
{
	bool room = sv->port.sum(sv->port.ctx, RC_C_publishers) < sv->config->max_publishers;
	uint32_t slot = room ? rc_slab_get(&sv->publishers) : RC_NONE;

	if (slot == RC_NONE) {
		rc_publisher_error(
			sv, c, RINGCAST_ERROR_OVER_CAPACITY, "no room for one more publisher");
		if (c->state == RC_CONN_OPEN)
			rc_conn_finish(sv->conns, c);
		return false;
	}
	struct rc_publisher *p = rc_publisher_at(sv, slot);
	memset(p, 0, sizeof(*p));
	p->conn = rc_conn_slot(sv->conns, c);
	p->generation = sv->publisher_generation[slot];
	p->stage = RC_STAGE_HELLO;
	p->id_len = (uint8_t)identity.len;
	if (identity.len)
		(void)rc_str_copy(p->id, identity);
	p->certified = identity.len > 0;
	c->ext = p;
	c->stage = RC_WS_LIVE;
	rc_count(sv->counters, RC_C_publishers_opened, 1);
	rc_gauge_set(sv->counters, RC_C_publishers, sv->publishers.used);
	return true;
}

static void settle(struct rc_serve *sv, struct rc_publisher *p)
{
	uint32_t slot = rc_publisher_slot(sv, p);
	struct rc_holder who = {sv->shard, slot, p->generation};

	if (p->id_len && p->stage != RC_STAGE_CLAIM) {
		p->stage = RC_STAGE_RETURNING;
		if (!sv->port.give_back(sv->port.ctx, (struct rc_str){p->known, p->known_len}, &who,
			    p->taken)) {
			rc_publisher_list_wait(sv, p);
			return;
		}
	}
	rc_publisher_unlist(sv, p);
	rc_publisher_forget(sv, p);
	rc_pool_put(sv->pool, p->window, p->size * sizeof(*p->window));
	sv->publisher_generation[slot]++;
	rc_slab_put(&sv->publishers, slot);
	rc_count(sv->counters, RC_C_publishers_closed, 1);
	rc_gauge_set(sv->counters, RC_C_publishers, sv->publishers.used);
}

void rc_ingest_gone(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_publisher *p = c->ext;

	c->ext = NULL;
	rc_ws_drop_subs(sv, c);
	if (!p)
		return;
	rc_publisher_tell(sv, p);
	p->conn = RC_NONE;
	if (p->stage == RC_STAGE_HELLO)
		p->id_len = 0;
	if (p->outstanding) {
		p->stage = RC_STAGE_SETTLING;
		/* The desk is told first, though not from here: it may be in the middle of giving it something. */
		if (p->backend)
			rc_publisher_list_wait(sv, p);
		return;
	}
	/* Not now: the caller may be in the middle of this publisher's frame. */
	if (p->stage != RC_STAGE_CLAIM)
		p->stage = RC_STAGE_RETURNING;
	rc_publisher_list_wait(sv, p);
}

static void heartbeat(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	uint64_t interval = sv->config->heartbeat_ms;
	rc_publisher_tell(sv, p);
	if (rc_publisher_expired(sv, p)) {
		rc_publisher_fail(sv, c, p, RINGCAST_ERROR_UNAUTHORIZED, "the token has expired");
		return;
	}
	uint64_t silent = (uint64_t)(sv->conns->tick - c->heard_tick) * RC_CONN_TICK_MS;

	if (p->backend && rc_backend_stalled(sv, c))
		return;
	/* One that is held back can't be heard. */
	if (c->flags & RC_CONN_HELD)
		silent = 0;
	if (silent >= 2 * interval) {
		rc_publisher_fail(
			sv, c, p, RINGCAST_ERROR_TIMEOUT, "no sign of life for two heartbeats");
		return;
	}
	bool idle = !(c->flags & RC_CONN_BLOCKED) && c->out_len == 0;
	rc_publisher_reply(sv, c, frame, rc_ingest_ping_encode(frame, sizeof(frame), sv->wall_ms));
	if (idle && sv->hub->limits.keeps_history)
		rc_ws_tell_positions(sv, c);
	if (c->state == RC_CONN_OPEN)
		rc_conn_timer(sv->conns, c, (uint32_t)RC_MIN(interval, 2 * interval - silent));
}

/*
 * The file of services was read again. A publisher whose credential stands in it goes on with what it allows now; the others are told,
 * and end when what they sent is decided. Whoever came with a signed token keeps it until that expires.
 */
void rc_ingest_services_changed(struct rc_serve *sv)
{
	const struct rc_services *services = sv->auth ? sv->auth->services : NULL;

	for (uint32_t slot = 0; slot < sv->conns->mark; slot++) {
		struct rc_conn *c = &sv->conns->at[slot];
		struct rc_publisher *p = c->kind == RC_CONN_INGEST ? c->ext : NULL;
		uint32_t compared;

		if (c->state != RC_CONN_OPEN || !p || !p->right || !p->right->grant.listed ||
			p->stage >= RC_STAGE_CLOSING)
			continue;
		const struct rc_grant *now =
			services ? rc_services_match(services, p->right->grant.proof,
					   p->right->grant.digest, &compared)
				 : NULL;
		if (!now || !rc_publisher_grant(sv, p, now))
			rc_publisher_fail(sv, c, p, RINGCAST_ERROR_UNAUTHORIZED,
				"the token is not valid any more");
		else if (p->backend && !(p->scopes & RC_SCOPE_BACKEND))
			rc_publisher_fail(sv, c, p, RINGCAST_ERROR_UNAUTHORIZED,
				"the token does not allow to be a backend any more");
		else
			rc_ingest_right_changed(sv, c, p);
	}
}

void rc_ingest_timer(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_publisher *p = c->ext;

	if (c->state != RC_CONN_OPEN)
		rc_conn_kill(sv->conns, c);
	else if (p && p->stage == RC_STAGE_HELLO)
		rc_publisher_fail(sv, c, p, RINGCAST_ERROR_TIMEOUT, "no HELLO came");
	else if (p && p->stage == RC_STAGE_LIVE)
		heartbeat(sv, c, p);
}

__attribute__((noinline)) static void go_on(
	struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p)
{
	if (p->events_lost)
		rc_backend_drained(sv, c, p);
	if ((c->flags & RC_CONN_HELD) && p->stage == RC_STAGE_LIVE)
		rc_publisher_list_wait(sv, p);
}

/* After most sends there is nothing that waited for them. */
void rc_ingest_drained(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_publisher *p = c->ext;

	if (p && ((c->flags & RC_CONN_HELD) || p->events_lost))
		go_on(sv, c, p);
}

void rc_ingest_bye(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_publisher *p = c->ext;

	if (!p || p->stage >= RC_STAGE_CLOSING || c->state != RC_CONN_OPEN)
		return;
	if (sv->draining)
		rc_publisher_bye(sv, c, RINGCAST_BYE_SHUTDOWN,
			sv->config->reconnect_jitter_ms
				? 1 + rc_prng_below(&sv->prng, sv->config->reconnect_jitter_ms)
				: 0);
	if (c->state == RC_CONN_OPEN)
		rc_publisher_stop_taking(sv, p);
}

void rc_ingest_hold(struct rc_serve *sv, struct rc_conn *c)
{
	c->flags |= RC_CONN_HELD;
	if (c->ext)
		rc_publisher_list_wait(sv, c->ext);
}

bool rc_ingest_settled(const struct rc_serve *sv)
{
	return sv->publishers.used == 0;
}

/* ---- what other shards say ---------------------------------------------------------------------- */

void rc_ingest_outcome(struct rc_serve *sv, const struct rc_outcome *o)
{
	struct rc_publisher *p = rc_publisher_find(sv, o->to.slot, o->to.generation);

	/* A publisher waits for its outcomes before it goes. */
	RC_ASSERT(p && p->outstanding > 0);
	p->outstanding--;
	rc_publisher_decided(sv, p, o->to.entry, o, o->to.sequence);
	struct rc_conn *c = rc_publisher_conn(sv, p);
	if (c && (c->flags & RC_CONN_HELD) && p->stage == RC_STAGE_LIVE)
		rc_publisher_list_wait(sv, p);
	if (p->stage == RC_STAGE_SETTLING && p->outstanding == 0) {
		p->stage = RC_STAGE_RETURNING;
		rc_publisher_list_wait(sv, p);
	}
}

void rc_ingest_granted(
	struct rc_serve *sv, const struct rc_holder *to, bool taken, uint64_t sequence)
{
	struct rc_publisher *p = rc_publisher_find(sv, to->slot, to->generation);
	struct rc_conn *c = p ? rc_publisher_conn(sv, p) : NULL;

	/* One that is gone gives back what it was granted, or has done so. */
	if (!c || p->stage != RC_STAGE_CLAIMING || c->state != RC_CONN_OPEN)
		return;
	if (!taken) {
		p->id_len = 0;
		rc_publisher_fail(sv, c, p, RINGCAST_ERROR_OVER_CAPACITY,
			"another connection with this publisher id came first");
		return;
	}
	p->taken = p->acked = sequence;
	rc_publisher_welcome(sv, c, p);
	if (c->state == RC_CONN_OPEN)
		rc_publisher_list_wait(sv, p);
}

void rc_ingest_evicted(struct rc_serve *sv, const struct rc_holder *who)
{
	struct rc_publisher *p = rc_publisher_find(sv, who->slot, who->generation);
	struct rc_conn *c = p ? rc_publisher_conn(sv, p) : NULL;

	if (!c || c->state != RC_CONN_OPEN || p->stage >= RC_STAGE_CLOSING)
		return;
	rc_publisher_bye(sv, c, RINGCAST_BYE_REPLACED, RINGCAST_BYE_NEVER);
	if (c->state == RC_CONN_OPEN)
		rc_publisher_stop_taking(sv, p);
}

void rc_ingest_turn(struct rc_serve *sv)
{
	uint32_t slot = sv->waiting_first;

	sv->waiting_first = RC_NONE;
	while (slot != RC_NONE) {
		struct rc_publisher *p = rc_publisher_at(sv, slot);
		struct rc_conn *c = rc_publisher_conn(sv, p);
		uint32_t next = p->wait_next;
		p->wait_listed = false;
		if (!c || p->stage == RC_STAGE_CLOSING) {
			if (!rc_backend_leave(sv, p))
				rc_publisher_list_wait(sv, p);
			else if (!c && p->outstanding == 0)
				settle(sv, p);
		} else if (p->stage == RC_STAGE_CLAIM) {
			rc_publisher_claim(sv, c, p);
		} else if (sv->busy && p->stage == RC_STAGE_LIVE) {
			rc_publisher_list_wait(sv, p);
		} else if (p->stage <= RC_STAGE_LIVE && p->stage != RC_STAGE_CLAIMING) {
			rc_ingest_go_on(sv, c, p);
		}
		slot = next;
	}
	slot = sv->ack_first;
	sv->ack_first = RC_NONE;
	while (slot != RC_NONE) {
		struct rc_publisher *p = rc_publisher_at(sv, slot);
		uint32_t next = p->ack_next;
		p->ack_listed = false;
		rc_publisher_write_acks(sv, p);
		slot = next;
	}
}
