/* SPDX-License-Identifier: Apache-2.0
 *
 * One form of a channel after another, on one connection: until the request is acknowledged both subscriptions are there, and the old one goes
 * on as before (RC_SUB_REPLACED). Then what it has not given yet goes out in front of the acknowledgement, and it ends; the new one begins behind
 * the position that the acknowledgement names.
 */
#include "hub/view.h"
#include "serve/presence.h"
#include "serve/replay.h"
#include "serve/request.h"

/* The one that this takes the place of; RC_NONE: there is none. */
static uint32_t replaced(const struct rc_serve *sv, const struct rc_conn *c, uint32_t sub)
{
	const struct rc_replica *base = rc_hub_sub_base(sv->hub, sub);
	uint32_t old = c->subs;

	while (old != RC_NONE && (!(rc_hub_sub(sv->hub, old)->flags & RC_SUB_REPLACED) ||
					 rc_hub_sub_base(sv->hub, old) != base))
		old = rc_hub_sub(sv->hub, old)->next;
	return old;
}

bool rc_request_is_instead(const struct rc_serve *sv, const struct rc_conn *c, uint32_t sub)
{
	return replaced(sv, c, sub) != RC_NONE;
}

/* What it has not been sent yet becomes the client's own output, in front of the acknowledgement; or it is told of it. */
static void give_rest(struct rc_serve *sv, struct rc_conn *c, uint32_t sub)
{
	const struct rc_sub *s = rc_hub_sub(sv->hub, sub);
	const struct rc_replica *r = rc_hub_replica(sv->hub, s->replica);
	uint64_t missed = s->flags >> RC_SUB_MISSED_SHIFT;
	uint64_t at = s->cursor + (c->mid_sub == sub ? c->mid_left : 0);
	uint32_t except = rc_hub_except(rc_conn_slot(sv->conns, c), c->generation);
	bool hole = s->flags & RC_SUB_HOLE;
	struct rc_log_frame first;

	if (s->flags & RC_SUB_CONFLATED) {
		rc_serve_gap(sv, c, r, "slow", RC_MSG_NO_COUNT, 0);
		return;
	}
	uint64_t left = 0;
	if (at < r->log.tail) {
		rc_log_frame_at(&r->log, at, &first);
		left = r->log.count_tail - first.ordinal;
	}
	if (missed)
		rc_serve_gap(sv, c, r, "slow", missed, r->offset - left);
	if (hole)
		left -= rc_log_excepted(&r->log, except, at, r->log.tail);
	/* Where it had no room for being told it is gone, and its subscriptions with it. */
	while (c->state == RC_CONN_OPEN && at < r->log.tail) {
		const unsigned char *bytes;
		uint32_t len = hole ? rc_log_range_for(&r->log, except, &at, &bytes)
				    : rc_log_range(&r->log, at, &bytes);
		if (len == 0)
			break;
		rc_log_frame_at(&r->log, at, &first);
		if (!rc_conn_write(sv->conns, c, bytes, len, sv->config->output_max)) {
			missed = r->log.count_tail - first.ordinal;
			if (hole)
				missed -= rc_log_excepted(&r->log, except, at, r->log.tail);
			rc_count(sv->counters, RC_C_events_skipped, missed);
			rc_serve_gap(sv, c, r, "slow", missed, r->offset);
			return;
		}
		at += len;
	}
	if (c->state == RC_CONN_OPEN) {
		c->events_out += (uint32_t)left;
		rc_count(sv->counters, RC_C_deliveries, left);
		rc_count_ns(sv->counters, RC_N_deliveries, r->ns, left);
	}
}

/* Nobody counts on a subscription that is gone. */
static void rename_sub(struct rc_serve *sv, struct rc_conn *c, uint32_t old, uint32_t fresh)
{
	for (struct rc_request *r = rc_request_first(sv, c); r; r = r->next) {
		for (uint32_t i = 0; r->kind == RC_REQUEST_SUBSCRIBE && i < r->count; i++) {
			if (r->subs[i] == old)
				r->subs[i] = fresh;
		}
	}
}

/* The old one ends here, and right behind it the new one begins. */
void rc_request_take_places(struct rc_serve *sv, struct rc_conn *c, struct rc_request *r)
{
	for (uint32_t i = 0; i < r->count && c->state == RC_CONN_OPEN; i++) {
		uint32_t sub = r->subs[i] == RC_NONE ? RC_NONE : r->subs[i] & ~RC_REQUEST_FRESH;
		uint32_t old = sub == RC_NONE ? RC_NONE : replaced(sv, c, sub);
		if (old == RC_NONE)
			continue;
		/* With `since` the client says itself from where on it wants to have them. */
		if (rc_replay_of(sv, sub) == RC_NONE &&
			!(rc_hub_sub(sv->hub, old)->flags & RC_SUB_PAUSED)) {
			rc_view_settle(sv->hub, rc_hub_sub(sv->hub, old)->replica);
			give_rest(sv, c, old);
		}
		if (c->state != RC_CONN_OPEN)
			return;
		rename_sub(sv, c, old, sub);
		rc_ws_drop_sub(sv, c, old);
	}
}

/* In whichever form it is read: while one waits to follow another, both end. */
void rc_request_end_sub(struct rc_serve *sv, struct rc_conn *c, uint32_t sub)
{
	const struct rc_request *r = rc_request_first(sv, c);

	while (r && !r->replaces)
		r = r->next;
	uint32_t old = r ? replaced(sv, c, sub) : RC_NONE;
	rc_request_forget(sv, c, sub);
	rc_ws_drop_sub(sv, c, sub);
	if (old == RC_NONE)
		return;
	rc_request_forget(sv, c, old);
	rc_ws_drop_sub(sv, c, old);
}

/* The new one does not come to be: the old one stays. */
void rc_request_give_back(struct rc_serve *sv, struct rc_conn *c, uint32_t sub)
{
	uint32_t old = replaced(sv, c, sub);

	if (old == RC_NONE)
		return;
	rc_hub_sub(sv->hub, old)->flags &= ~(uint32_t)RC_SUB_REPLACED;
	rc_presence_entered(sv, c, old);
	c->sub_count++;
}
