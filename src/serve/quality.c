/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/quality.h"

#include "serve/lag.h"
#include "serve/session.h"
#include "serve/snapshot.h"

#define SYS_CHANNEL "$sys:quality"
/* Events that one shard tells in a second; those beyond are counted. */
#define TOLD_PER_SECOND 10u
#define SECOND_NS       1000000000ull

/* ---- telling ------------------------------------------------------------------------------------ */

static void tell(struct rc_serve *sv, struct rc_str event, struct rc_str json)
{
	struct rc_outcome outcome;
	struct rc_publish p = {
		.from = {sv->shard, RC_NONE, 0, 0, 0},
		.channel = RC_STR(SYS_CHANNEL),
		.event = event,
		.data = json,
		.timestamp_ms = sv->wall_ms,
		.taken_ns = sv->now_ns,
		.time_ms = sv->wall_ms,
		.hash = rc_hub_hash(sv->hub, RC_STR(SYS_CHANNEL)),
		.json = true,
	};

	/* Nothing of clients waits for it: where there is no room it is left out. */
	if (sv->quality.told >= TOLD_PER_SECOND ||
		sv->port.publish(sv->port.ctx, &p, &outcome) == RC_ROUTE_FULL) {
		rc_count(sv->counters, RC_C_sys_events_left_out, 1);
		return;
	}
	sv->quality.told++;
	rc_count(sv->counters, RC_C_sys_events, 1);
}

static void add_ms(struct rc_textbuf *b, uint32_t us)
{
	rc_textbuf_add_u64(b, us / 1000);
	rc_textbuf_add_char(b, '.');
	rc_textbuf_add_char(b, (char)('0' + us / 100 % 10));
}

static void tell_slow(struct rc_serve *sv, const struct rc_conn *c, uint32_t rtt_us)
{
	char json[512 + 6 * RC_USER_MAX], session[RC_WS_SESSION_LEN], address[RC_NETADDR_TEXT];
	struct rc_textbuf b = {.ptr = json, .cap = sizeof(json)};
	struct rc_netaddr peer = rc_session_address(sv, c);
	struct rc_str user = rc_session_user(sv, c);

	rc_ws_session(sv, c, session);
	rc_textbuf_add_text(&b, "{\"session\":");
	rc_textbuf_add_string(&b, (struct rc_str){session, sizeof(session)});
	if (user.len) {
		rc_textbuf_add_text(&b, ",\"user\":");
		rc_textbuf_add_string(&b, user);
	}
	rc_textbuf_add_text(&b, ",\"address\":");
	rc_textbuf_add_string(&b, (struct rc_str){address, rc_netaddr_format(&peer, address)});
	rc_textbuf_add_text(&b, ",\"rtt\":");
	add_ms(&b, rtt_us);
	rc_textbuf_add_char(&b, '}');
	if (!b.full)
		tell(sv, RC_STR("slow_rtt"), (struct rc_str){json, b.len});
}

/* ---- heartbeats --------------------------------------------------------------------------------- */

static uint64_t mask(const struct rc_serve *sv, const struct rc_conn *c)
{
	return rc_hash_u64(&sv->hub->key, ~c->secret);
}

void rc_quality_ping(
	const struct rc_serve *sv, const struct rc_conn *c, unsigned char out[RC_QUALITY_PING])
{
	uint64_t sent = sv->now_ns ^ mask(sv, c);

	memcpy(out, &sent, RC_QUALITY_PING);
}

static enum rc_quality of_rtt(const struct rc_serve *sv, uint32_t rtt_us)
{
	if (rtt_us >= (uint64_t)sv->config->rtt_poor_ms * 1000)
		return RC_QUALITY_POOR;
	return rtt_us >= (uint64_t)sv->config->rtt_fair_ms * 1000 ? RC_QUALITY_FAIR
								  : RC_QUALITY_GOOD;
}

void rc_quality_pong(struct rc_serve *sv, struct rc_conn *c, const unsigned char *bytes, size_t len)
{
	static const enum rc_counter counted[] = {
		[RC_QUALITY_GOOD] = RC_C_heartbeats_good,
		[RC_QUALITY_FAIR] = RC_C_heartbeats_fair,
		[RC_QUALITY_POOR] = RC_C_heartbeats_poor,
	};
	uint32_t *rtt = &rc_conn_aside(sv->conns, c)->rtt_us;
	uint64_t sent;

	if (len != RC_QUALITY_PING)
		return;
	memcpy(&sent, bytes, sizeof(sent));
	sent ^= mask(sv, c);
	/* After two heartbeats it would have been closed. */
	uint64_t most = 2 * (uint64_t)sv->config->heartbeat_ms * 1000000u + SECOND_NS;
	if (sent > sv->now_ns || sv->now_ns - sent > most)
		return;
	uint32_t sample = (uint32_t)RC_MIN((sv->now_ns - sent) / 1000, (uint64_t)UINT32_MAX / 8);
	enum rc_quality before = of_rtt(sv, *rtt);
	*rtt = RC_MAX(*rtt ? (uint32_t)(((uint64_t)*rtt * 7 + sample) / 8) : sample, 1u);
	enum rc_quality now = of_rtt(sv, *rtt);
	rc_count_hist(sv->counters, RC_H_client_rtt_ns, sv->now_ns - sent, 1);
	rc_count(sv->counters, counted[now], 1);
	if (now == RC_QUALITY_POOR && before != RC_QUALITY_POOR)
		tell_slow(sv, c, *rtt);
}

enum rc_quality rc_quality_of(const struct rc_serve *sv, const struct rc_conn *c)
{
	enum rc_quality q = of_rtt(sv, rc_conn_aside(sv->conns, c)->rtt_us);
	struct rc_lag lag;

	if (!rc_lag_of(sv, c, &lag))
		return q;
	/* What waits for it is as late as what takes long. */
	uint64_t late_ms = RC_MAX(lag.age_ms, lag.blocked_ms);
	if (late_ms >= sv->config->rtt_poor_ms)
		return RC_QUALITY_POOR;
	return late_ms >= sv->config->rtt_fair_ms ? RC_MAX(q, RC_QUALITY_FAIR) : q;
}

/* ---- looking at it ------------------------------------------------------------------------------ */

void rc_quality_add(struct rc_textbuf *b, const struct rc_serve *sv, const struct rc_conn *c)
{
	static const char *const words[] = {
		[RC_QUALITY_GOOD] = "good", [RC_QUALITY_FAIR] = "fair", [RC_QUALITY_POOR] = "poor"};
	const struct rc_conn_aside *aside = rc_conn_aside(sv->conns, c);
	struct rc_tcp_info info;

	if (aside->rtt_us) {
		rc_textbuf_add_text(b, ",\"rtt\":");
		add_ms(b, aside->rtt_us);
	}
	rc_textbuf_add_text(b, ",\"quality\":");
	rc_textbuf_add_string(b, rc_str_of(words[rc_quality_of(sv, c)]));
	rc_textbuf_add_text(b, ",\"messagesIn\":");
	rc_textbuf_add_u64(b, aside->messages_in);
	rc_textbuf_add_text(b, ",\"eventsOut\":");
	rc_textbuf_add_u64(b, c->events_out);
	if (rc_conn_traffic(c, &info)) {
		rc_textbuf_add_text(b, ",\"bytesIn\":");
		rc_textbuf_add_u64(b, info.bytes_in);
		rc_textbuf_add_text(b, ",\"bytesOut\":");
		rc_textbuf_add_u64(b, info.bytes_out);
	}
}

/* ---- time --------------------------------------------------------------------------------------- */

/* Users who were here a moment ago and are again, many at once: something between them and us has gone. */
static void look_at_reconnects(struct rc_serve *sv)
{
	uint64_t now = sv->port.sum(sv->port.ctx, RC_C_user_reconnects);
	uint64_t came = now - sv->quality.reconnects;
	char json[128];
	struct rc_textbuf b = {.ptr = json, .cap = sizeof(json)};

	sv->quality.reconnects = now;
	if (!sv->config->reconnect_spike || came < sv->config->reconnect_spike)
		return;
	rc_textbuf_add_text(&b, "{\"reconnects\":");
	rc_textbuf_add_u64(&b, came);
	rc_textbuf_add_text(&b, ",\"clients\":");
	rc_textbuf_add_u64(&b, sv->port.sum(sv->port.ctx, RC_C_clients));
	rc_textbuf_add_char(&b, '}');
	tell(sv, RC_STR("reconnects"), (struct rc_str){json, b.len});
}

void rc_quality_turn(struct rc_serve *sv)
{
	sv->quality.next_ns = sv->now_ns + SECOND_NS;
	sv->quality.told = 0;
	/* One shard looks for all. */
	if (sv->shard == 0)
		look_at_reconnects(sv);
	rc_snapshot_turn(sv);
}
