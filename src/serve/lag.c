/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/lag.h"

#define SUBS_MAX       1024u
#define CONNS_PER_TURN 1024u
#define LOOK_NS        1000000000ull

static uint64_t behind(const struct rc_serve *sv, uint32_t sub)
{
	const struct rc_sub *s = rc_hub_sub(sv->hub, sub);

	if (s->flags & RC_SUB_PAUSED)
		return 0;
	return rc_hub_replica(sv->hub, s->replica)->log.tail - s->cursor;
}

static void of_channel(const struct rc_serve *sv, uint32_t sub, struct rc_lag *out)
{
	const struct rc_sub *s = rc_hub_sub(sv->hub, sub);
	const struct rc_log *log = &rc_hub_replica(sv->hub, s->replica)->log;
	/* A conflated cursor may lie below what is kept. */
	uint64_t from = RC_MAX(s->cursor, log->head);
	struct rc_log_frame f;

	if (from >= log->tail)
		return;
	rc_log_frame_at(log, from, &f);
	out->events = log->count_tail - f.ordinal;
	out->age_ms = sv->hub->now_ms - f.tick_ms;
}

/* The subscription that is given what it missed, if there is one. */
static uint32_t replayed_sub(const struct rc_serve *sv, const struct rc_conn *c)
{
	uint32_t seen = 0;

	for (uint32_t sub = c->subs; sub != RC_NONE && seen < SUBS_MAX; seen++) {
		const struct rc_sub *s = rc_hub_sub(sv->hub, sub);
		if (s->flags & (RC_SUB_REPLAYING | RC_SUB_PAST))
			return sub;
		sub = s->next;
	}
	return RC_NONE;
}

bool rc_lag_of(const struct rc_serve *sv, const struct rc_conn *c, struct rc_lag *out)
{
	uint64_t most = 0;
	uint32_t seen = 0;

	*out = (struct rc_lag){.sub = RC_NONE};
	if (c->listed == RC_NONE && c->out_len == 0 && !(c->flags & RC_CONN_BLOCKED))
		return false;
	for (uint32_t sub = c->listed; sub != RC_NONE && seen < SUBS_MAX; seen++) {
		uint64_t bytes = behind(sv, sub);
		out->bytes += bytes;
		if (bytes > most) {
			most = bytes;
			out->sub = sub;
		}
		sub = rc_hub_sub(sv->hub, sub)->listed_next;
	}
	out->bytes += c->out_len;
	if (out->bytes == 0 && !(c->flags & RC_CONN_BLOCKED))
		return false;
	uint32_t replayed = replayed_sub(sv, c);
	if (out->sub == RC_NONE)
		out->sub = replayed;
	if (out->sub != RC_NONE)
		of_channel(sv, out->sub, out);
	if (c->flags & RC_CONN_BLOCKED)
		out->blocked_ms = (uint64_t)(sv->conns->tick - c->blocked_tick) * RC_CONN_TICK_MS;
	out->why = replayed != RC_NONE          ? "replaying"
		   : c->flags & RC_CONN_BLOCKED ? "socket full"
						: "waiting for its turn";
	return true;
}

/* ---- once a second ------------------------------------------------------------------------------ */

static void look_at(struct rc_serve *sv, const struct rc_conn *c)
{
	struct rc_lag lag;

	if (!rc_lag_is_client(c) || !rc_lag_of(sv, c, &lag))
		return;
	sv->lag.count++;
	sv->lag.bytes = RC_MAX(sv->lag.bytes, lag.bytes);
	sv->lag.blocked_ms = RC_MAX(sv->lag.blocked_ms, lag.blocked_ms);
	rc_count_hist(sv->counters, RC_H_lag_bytes, lag.bytes, 1);
}

static void looked(struct rc_serve *sv)
{
	sv->lag.looking = false;
	rc_gauge_set(sv->counters, RC_C_clients_behind, sv->lag.count);
	rc_gauge_set(sv->counters, RC_C_lag_max_bytes, sv->lag.bytes);
	rc_gauge_set(sv->counters, RC_C_lag_max_ms, sv->lag.blocked_ms);
}

void rc_lag_turn(struct rc_serve *sv)
{
	struct rc_serve_lag *l = &sv->lag;

	if (!l->looking) {
		l->next_ns = sv->now_ns + LOOK_NS;
		/* Nobody was behind, and no socket has been full since: there is nothing to see. */
		uint64_t pollouts = rc_counter_get(sv->counters, RC_C_pollouts);
		if (l->count == 0 && pollouts == l->pollouts)
			return;
		*l = (struct rc_serve_lag){
			.looking = true, .next_ns = l->next_ns, .pollouts = pollouts};
	}
	for (uint32_t n = 0; n < CONNS_PER_TURN && l->at < sv->conns->mark; n++)
		look_at(sv, &sv->conns->at[l->at++]);
	if (l->at >= sv->conns->mark)
		looked(sv);
}
