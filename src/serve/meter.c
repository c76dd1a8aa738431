/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client sends, against its rates. A meter is a block of the pool that a client has from its first message on and until its
 * buckets are full again at a heartbeat: one that only listens has none.
 *
 *   within ──one too many──▶ warned: `rate_limited` once ──grace──▶ one more too many: 4105
 *      ▲                        │ what comes meanwhile is dropped; more than one burst of it: 4105 at once
 *      └── FORGIVEN_MS with nothing too many ──┘
 *
 * Without memory for a meter the message passes and is counted: what it asks for needs memory too, and will not find it.
 */
#include "serve/limits.h"

#define FORGIVEN_MS 10000u

/* Instead of a meter: the one pong has come. */
#define PONG_SEEN (RC_NONE - 1)

/* Of requests that are answered one by one: so many times what the rate allows in FORGIVEN_MS, or the burst. */
#define DENIED_FACTOR 2u

struct meter {
	uint32_t full_at[RC_RATES];
	uint32_t warned_tick; /* when it was warned */
	uint32_t denied_tick; /* since when requests are counted that were refused */
	uint32_t excess : 31; /* dropped since the warning, in messages; 0 and not warned: none */
	uint32_t warned : 1;
	uint32_t denied;
};

#define EXCESS_MAX 0x7fffffffu

static const char too_much[] = "more messages or bytes than a client may send; slow down";

static struct meter *meter_at(const struct rc_serve *sv, uint32_t at)
{
	return (struct meter *)(void *)(sv->pool->arena->base + (size_t)at * 16);
}

/* NULL: it is not metered. */
static struct meter *meter_of(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_conn_aside *aside = rc_conn_aside(sv->conns, c);
	struct meter *m;

	if (!sv->limits || rc_limits_entry(sv, c) == RC_LIMITS_EXEMPT || aside->address == RC_NONE)
		return NULL;
	if (aside->meter < PONG_SEEN)
		return meter_at(sv, aside->meter);
	m = rc_pool_get(sv->pool, sizeof(*m));
	if (!m) {
		rc_count(sv->counters, RC_C_meters_refused, 1);
		return NULL;
	}
	memset(m, 0, sizeof(*m));
	for (uint32_t i = 0; i < RC_RATES; i++)
		m->full_at[i] = rc_rate_now(&sv->limits->client[i], sv->now_ns);
	aside->meter = (uint32_t)((size_t)((unsigned char *)m - sv->pool->arena->base) / 16);
	return m;
}

void rc_limits_meter_free(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_conn_aside *aside = rc_conn_aside(sv->conns, c);

	if (aside->meter >= PONG_SEEN)
		return;
	rc_pool_put(sv->pool, meter_at(sv, aside->meter), sizeof(struct meter));
	aside->meter = RC_NONE;
}

static uint32_t ms_since(const struct rc_serve *sv, uint32_t tick)
{
	return (uint32_t)RC_MIN(
		(uint64_t)(sv->conns->tick - tick) * RC_CONN_TICK_MS, (uint64_t)UINT32_MAX);
}

static bool forgiven(const struct rc_serve *sv, const struct meter *m)
{
	return !m->warned ||
	       ms_since(sv, m->warned_tick) > sv->config->limit_grace_ms + FORGIVEN_MS;
}

void rc_limits_rest(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_conn_aside *aside = rc_conn_aside(sv->conns, c);
	const struct meter *m;

	if (aside->meter >= PONG_SEEN) {
		aside->meter = RC_NONE;
		return;
	}
	m = meter_at(sv, aside->meter);
	if (!forgiven(sv, m) || (m->denied && ms_since(sv, m->denied_tick) <= FORGIVEN_MS))
		return;
	for (uint32_t i = 0; i < RC_RATES; i++) {
		const struct rc_rate *r = &sv->limits->client[i];
		if (r->count && rc_rate_ahead(r, m->full_at[i], rc_rate_now(r, sv->now_ns)))
			return;
	}
	rc_limits_meter_free(sv, c);
}

static bool take(struct rc_serve *sv, struct meter *m, enum rc_rate_kind kind, uint32_t n)
{
	const struct rc_rate *r = &sv->limits->client[kind];

	/* What is larger than the burst counts as much as that: else it could never be had. */
	return rc_rate_take(r, &m->full_at[kind], sv->now_ns, RC_MIN(n, r->burst >> r->shift));
}

static void close_for(struct rc_serve *sv, struct rc_conn *c, const char *reason)
{
	rc_serve_end(sv, c, RC_CLOSE_RATE, reason, RC_C_close_rate);
}

/* Of what is dropped: one message, or as much of a burst of messages as it is of one of bytes, for reading it was work. */
static uint32_t excess_of(const struct rc_serve *sv, uint32_t len)
{
	const struct rc_rate *bytes = &sv->limits->client[RC_RATE_BYTE];
	uint64_t part = bytes->count ? (uint64_t)len * sv->config->limit_message_burst /
					       (bytes->burst >> bytes->shift)
				     : 0;

	return (uint32_t)RC_MIN(RC_MAX(part, (uint64_t)1), (uint64_t)1 << 30);
}

bool rc_limits_message(struct rc_serve *sv, struct rc_conn *c, uint32_t len)
{
	const struct rc_str none = {NULL, 0};
	struct meter *m = meter_of(sv, c);

	if (!m || (take(sv, m, RC_RATE_MESSAGE, 1) && take(sv, m, RC_RATE_BYTE, len)))
		return true;
	rc_count(sv->counters, RC_C_messages_rate_limited, 1);
	if (forgiven(sv, m)) {
		m->warned = true;
		m->excess = 1;
		m->warned_tick = sv->conns->tick;
		rc_ws_error(sv, c, none, "rate_limited", true, too_much);
		return false;
	}
	m->excess = RC_MIN(m->excess + excess_of(sv, len), 1u << 30) & EXCESS_MAX;
	if (m->excess > sv->config->limit_message_burst ||
		ms_since(sv, m->warned_tick) >= sv->config->limit_grace_ms)
		close_for(sv, c, "more messages or bytes than a client may send");
	return false;
}

bool rc_limits_pong(struct rc_serve *sv, struct rc_conn *c, uint32_t len)
{
	struct rc_conn_aside *aside = rc_conn_aside(sv->conns, c);

	if (aside->meter != RC_NONE)
		return rc_limits_message(sv, c, len);
	aside->meter = PONG_SEEN;
	return true;
}

bool rc_limits_request(struct rc_serve *sv, struct rc_conn *c, enum rc_rate_kind kind, uint32_t n)
{
	static const enum rc_counter counted[RC_RATES] = {
		[RC_RATE_SUBSCRIBE] = RC_C_subscribe_rate_limited,
		[RC_RATE_PUBLISH] = RC_C_publish_rate_limited,
		[RC_RATE_COMMAND] = RC_C_command_rate_limited,
	};
	/* What backends ask for is bounded by their credit. */
	struct meter *m = c->kind == RC_CONN_INGEST ? NULL : meter_of(sv, c);

	RC_ASSERT(counted[kind]);
	if (!m || take(sv, m, kind, n))
		return true;
	rc_count(sv->counters, counted[kind], 1);
	const struct rc_rate *r = &sv->limits->client[kind];
	if (m->denied == 0 || ms_since(sv, m->denied_tick) > FORGIVEN_MS) {
		m->denied = 0;
		m->denied_tick = sv->conns->tick;
	}
	uint64_t allowed =
		RC_MAX((uint64_t)r->count * FORGIVEN_MS / 1000, (uint64_t)(r->burst >> r->shift));
	if (++m->denied > DENIED_FACTOR * allowed)
		close_for(sv, c, "goes on asking for more than a client may");
	return false;
}
