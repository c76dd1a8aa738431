/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/limits.h"

#include <stdio.h>

#include "proto/http1.h"
#include "proto/ingest.h"
#include "serve/session.h"

#define SECOND_NS UINT64_C(1000000000)

/* ---- start -------------------------------------------------------------------------------------- */

/* Who goes by HTTP is one of a few: others are let in by WebSocket. One without a place would only have his debts forgotten. */
static uint32_t speakers_max(uint32_t connections_max)
{
	return connections_max / 4 + 1;
}

static size_t addresses_bytes(const struct rc_config *config, uint32_t connections_max)
{
	bool any = config->limit_connections_per_address || config->limit_accept_rate_per_address ||
		   config->limit_handshake_rate_per_address ||
		   config->limit_request_rate_per_address || config->limit_auth_failures;

	return any ? rc_tally_bytes(connections_max) : 0;
}

static size_t speakers_bytes(const struct rc_config *config, uint32_t connections_max)
{
	bool any = config->limit_byte_rate || config->limit_subscribe_rate ||
		   config->limit_publish_rate || config->limit_command_rate;

	return any ? rc_tally_bytes(speakers_max(connections_max)) : 0;
}

size_t rc_limits_bytes(const struct rc_config *config, uint32_t connections_max)
{
	return addresses_bytes(config, connections_max) + speakers_bytes(config, connections_max);
}

/* What was published is what costs others most: its debts are forgotten last. */
static enum rc_tally_bucket place_of(enum rc_rate_kind kind)
{
	static const uint8_t places[RC_RATES] = {
		[RC_RATE_BYTE] = 0,
		[RC_RATE_SUBSCRIBE] = 1,
		[RC_RATE_COMMAND] = 2,
		[RC_RATE_PUBLISH] = RC_TALLY_BUCKETS - 1,
	};

	RC_ASSERT(kind != RC_RATE_MESSAGE);
	return (enum rc_tally_bucket)places[kind];
}

void rc_limits_init(
	struct rc_limits *l, const struct rc_config *config, void *memory, uint32_t connections_max)
{
	size_t first = addresses_bytes(config, connections_max);

	memset(l, 0, sizeof(*l));
	rc_random_bytes(&l->key, sizeof(l->key));
	if (first)
		rc_tally_init(&l->addresses, memory, connections_max);
	if (speakers_bytes(config, connections_max))
		rc_tally_init(&l->speakers, (unsigned char *)memory + first,
			speakers_max(connections_max));
	l->addresses.rate[RC_TALLY_ACCEPTS] = rc_rate_of(config->limit_accept_rate_per_address,
		SECOND_NS, config->limit_accept_burst_per_address);
	l->addresses.rate[RC_TALLY_HANDSHAKES] =
		rc_rate_of(config->limit_handshake_rate_per_address, SECOND_NS,
			config->limit_handshake_burst_per_address);
	l->addresses.rate[RC_TALLY_REQUESTS] = rc_rate_of(config->limit_request_rate_per_address,
		SECOND_NS, config->limit_request_burst_per_address);
	l->addresses.rate[RC_TALLY_FAILURES] = rc_rate_of(config->limit_auth_failures,
		config->limit_auth_failures_window_ms * UINT64_C(1000000),
		config->limit_auth_failures);
	l->accepts = rc_rate_of(config->limit_accept_rate, SECOND_NS, config->limit_accept_burst);
	l->handshakes =
		rc_rate_of(config->limit_handshake_rate, SECOND_NS, config->limit_handshake_burst);
	l->client[RC_RATE_MESSAGE] =
		rc_rate_of(config->limit_message_rate, SECOND_NS, config->limit_message_burst);
	l->client[RC_RATE_BYTE] =
		rc_rate_of_bytes(config->limit_byte_rate, config->limit_byte_burst);
	l->client[RC_RATE_SUBSCRIBE] =
		rc_rate_of(config->limit_subscribe_rate, SECOND_NS, config->limit_subscribe_burst);
	l->client[RC_RATE_PUBLISH] =
		rc_rate_of(config->limit_publish_rate, SECOND_NS, config->limit_publish_burst);
	l->client[RC_RATE_COMMAND] =
		rc_rate_of(config->limit_command_rate, SECOND_NS, config->limit_command_burst);
	for (uint32_t kind = RC_RATE_MESSAGE + 1; kind < RC_RATES; kind++)
		l->speakers.rate[place_of((enum rc_rate_kind)kind)] = l->client[kind];
}

/* ---- addresses ---------------------------------------------------------------------------------- */

static bool loopback(const struct rc_netaddr *a)
{
	static const uint8_t one[16] = {[15] = 1};

	return (a->family == 4 && a->ip[0] == 127) ||
	       (a->family == 6 && memcmp(a->ip, one, sizeof(one)) == 0);
}

static bool exempt(const struct rc_serve *sv, const struct rc_netaddr *a)
{
	/* A proxy is not who comes through it. */
	return (sv->config->limit_exempt_loopback && loopback(a)) ||
	       rc_netset_has(&sv->config->trusted, a);
}

/* Of all of IPv4, of the first bits of IPv6. */
static uint64_t hash_of(const struct rc_serve *sv, const struct rc_netaddr *a)
{
	uint8_t bytes[17] = {a->family};
	uint32_t bits = a->family == 4 ? 32 : RC_MIN(sv->config->limit_ipv6_prefix, 128u);

	memcpy(bytes + 1, a->ip, (bits + 7) / 8);
	if (bits % 8)
		bytes[1 + bits / 8] &= (uint8_t)(0xff00 >> (bits % 8));
	return rc_hash(&sv->limits->key, bytes, sizeof(bytes));
}

static void noted(struct rc_serve *sv, bool forgot)
{
	if (forgot)
		rc_count(sv->counters, RC_C_addresses_forgotten, 1);
}

/* Counts the connection for that address; false: it has as many as it may, or came too often. */
static bool enter(
	struct rc_serve *sv, struct rc_conn *c, const struct rc_netaddr *a, bool *too_fast)
{
	struct rc_conn_aside *aside = rc_conn_aside(sv->conns, c);
	uint32_t entry;
	bool forgot = false;
	enum rc_tally_result result = rc_tally_enter(&sv->limits->addresses, hash_of(sv, a),
		sv->config->limit_connections_per_address, sv->now_ns, &entry, &forgot);

	noted(sv, forgot);
	*too_fast = result == RC_TALLY_TOO_FAST;
	if (result == RC_TALLY_TOO_FAST) {
		rc_count(sv->counters, RC_C_accept_refused_address_rate, 1);
		return false;
	}
	if (result == RC_TALLY_TOO_MANY) {
		rc_count(sv->counters, RC_C_accept_refused_address, 1);
		return false;
	}
	if (result == RC_TALLY_UNCOUNTED && sv->limits->addresses.set_count)
		rc_count(sv->counters, RC_C_addresses_uncounted, 1);
	aside->address = (aside->address & RC_LIMITS_PENDING) |
			 (result == RC_TALLY_TAKEN ? entry : RC_LIMITS_NOWHERE);
	return true;
}

/* It counts for nobody any more. */
static void leave(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_conn_aside *aside = rc_conn_aside(sv->conns, c);
	uint32_t entry = rc_limits_entry(sv, c);

	if (entry < RC_LIMITS_NOWHERE)
		rc_tally_leave(&sv->limits->addresses, entry);
	aside->address = (aside->address & RC_LIMITS_PENDING) | RC_LIMITS_EXEMPT;
}

/* ---- coming ------------------------------------------------------------------------------------- */

/* With a word, where it would be understood: not on a TLS port. */
static void turn_away(
	struct rc_serve *sv, struct rc_conn *c, enum rc_port port, int status, const char *message)
{
	unsigned char text[RC_INGEST_ANSWER_MAX + 512];
	size_t len = 0;

	if (port == RC_PORT_HTTP || port == RC_PORT_ADMIN) {
		char body[256];
		int n = snprintf(
			body, sizeof(body), "%d %s\n%s\n", status, rc_http_reason(status), message);
		len = rc_http_answer_head((char *)text, sizeof(text), status, "Retry-After: 5\r\n",
			"text/plain; charset=utf-8", (uint64_t)n, true);
		memcpy(text + len, body, (size_t)n);
		len += (size_t)n;
	} else if (port == RC_PORT_INGEST) {
		const struct rc_ingest_error error = {
			.code = RINGCAST_ERROR_OVER_CAPACITY, .text = rc_str_of(message)};
		len = rc_ingest_error_encode(text, sizeof(text), &error);
	}
	rc_conn_turn_away(sv->conns, c, text, (uint32_t)len);
}

void rc_limits_arrived(struct rc_serve *sv, struct rc_conn *c)
{
	rc_conn_aside(sv->conns, c)->address = RC_LIMITS_PENDING | RC_LIMITS_EXEMPT;
	rc_gauge_add(sv->counters, RC_C_unauthenticated, 1);
}

bool rc_limits_accepted(struct rc_serve *sv, struct rc_conn *c, enum rc_port port)
{
	uint32_t most = sv->config->limit_max_unauthenticated;
	bool too_fast;

	if (!sv->limits)
		return true;
	struct rc_netaddr a = rc_session_address(sv, c);
	if (exempt(sv, &a))
		return true;
	if (!enter(sv, c, &a, &too_fast)) {
		if (too_fast)
			rc_conn_reset(sv->conns, c);
		else
			turn_away(sv, c, port, 429,
				"this address has as many connections as it may have");
		return false;
	}
	/* Only what is left then is held against all. */
	if (!rc_rate_take_shared(
		    &sv->limits->accepts, &sv->limits->accepts_full_at, sv->now_ns, 1)) {
		rc_count(sv->counters, RC_C_accept_refused_rate, 1);
		rc_conn_reset(sv->conns, c);
		return false;
	}
	/* This one is counted already. */
	if (most && sv->port.sum(sv->port.ctx, RC_C_unauthenticated) > most) {
		rc_count(sv->counters, RC_C_accept_refused_unauthenticated, 1);
		turn_away(sv, c, port, 503, "too many connections have not said who they are yet");
		return false;
	}
	return true;
}

bool rc_limits_handshake(struct rc_serve *sv, struct rc_conn *c)
{
	uint32_t entry = rc_limits_entry(sv, c);

	if (!sv->limits || entry == RC_LIMITS_EXEMPT)
		return true;
	if (entry != RC_LIMITS_NOWHERE &&
		!rc_tally_take_of(&sv->limits->addresses, entry, RC_TALLY_HANDSHAKES, sv->now_ns)) {
		rc_count(sv->counters, RC_C_tls_refused_address_rate, 1);
		return false;
	}
	if (!rc_rate_take_shared(
		    &sv->limits->handshakes, &sv->limits->handshakes_full_at, sv->now_ns, 1)) {
		rc_count(sv->counters, RC_C_tls_refused_rate, 1);
		return false;
	}
	return true;
}

bool rc_limits_http(struct rc_serve *sv, struct rc_conn *c)
{
	const struct rc_session *s = rc_session_of(sv, c);
	bool taken = true, forgot = false;

	if (!sv->limits)
		return true;
	/* It was to become a client and did not; now the proxy asks for another. */
	if (rc_conn_aside(sv->conns, c)->address & RC_LIMITS_TOLD)
		leave(sv, c);
	uint32_t entry = rc_limits_entry(sv, c);
	if (entry < RC_LIMITS_NOWHERE)
		taken = rc_tally_take_of(
			&sv->limits->addresses, entry, RC_TALLY_REQUESTS, sv->now_ns);
	else if (entry == RC_LIMITS_EXEMPT && s && s->peer.family && !exempt(sv, &s->peer))
		taken = rc_tally_take(&sv->limits->addresses, hash_of(sv, &s->peer),
			RC_TALLY_REQUESTS, 1, sv->now_ns, &forgot);
	noted(sv, forgot);
	if (!taken)
		rc_count(sv->counters, RC_C_http_rate_limited, 1);
	return taken;
}

bool rc_limits_client(struct rc_serve *sv, struct rc_conn *c)
{
	const struct rc_session *s = rc_session_of(sv, c);
	bool too_fast;

	/* One that was counted when it came is counted. */
	if (!sv->limits || rc_limits_entry(sv, c) != RC_LIMITS_EXEMPT || !s || !s->peer.family ||
		exempt(sv, &s->peer))
		return true;
	if (!enter(sv, c, &s->peer, &too_fast))
		return false;
	rc_conn_aside(sv->conns, c)->address |= RC_LIMITS_TOLD;
	return true;
}

void rc_limits_admitted(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_conn_aside *aside = rc_conn_aside(sv->conns, c);

	if (aside->address == RC_NONE || !(aside->address & RC_LIMITS_PENDING))
		return;
	aside->address &= ~RC_LIMITS_PENDING;
	rc_gauge_add(sv->counters, RC_C_unauthenticated, -1);
}

void rc_limits_gone(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_conn_aside *aside = rc_conn_aside(sv->conns, c);

	rc_limits_meter_free(sv, c);
	if (aside->address == RC_NONE)
		return;
	rc_limits_admitted(sv, c);
	leave(sv, c);
	aside->address = RC_NONE;
}

/* ---- what is said over HTTP --------------------------------------------------------------------- */

/* Of the user, or of whom else it is known no more than where he comes from. */
static uint64_t speaker(const struct rc_serve *sv, struct rc_str user, const struct rc_netaddr *a)
{
	char text[1 + RC_USER_MAX];

	if (!user.len)
		return hash_of(sv, a);
	/* No family of addresses. */
	text[0] = 0;
	(void)rc_str_copy(text + 1, user);
	return rc_hash(&sv->limits->key, text, 1 + user.len);
}

bool rc_limits_spoken(struct rc_serve *sv, struct rc_conn *c, enum rc_rate_kind kind, uint32_t n,
	uint32_t *wait_s)
{
	static const enum rc_counter counted[RC_RATES] = {
		[RC_RATE_BYTE] = RC_C_messages_rate_limited,
		[RC_RATE_SUBSCRIBE] = RC_C_subscribe_rate_limited,
		[RC_RATE_PUBLISH] = RC_C_publish_rate_limited,
		[RC_RATE_COMMAND] = RC_C_command_rate_limited,
	};
	bool forgot = false;

	if (!sv->limits || !sv->limits->speakers.set_count)
		return true;
	struct rc_netaddr a = rc_session_address(sv, c);
	if (exempt(sv, &a))
		return true;
	uint64_t who = speaker(sv, rc_session_user(sv, c), &a);
	if (rc_tally_take(&sv->limits->speakers, who, place_of(kind), n, sv->now_ns, &forgot))
		return true;
	rc_count(sv->counters, counted[kind], 1);
	*wait_s =
		rc_tally_wait_ms(&sv->limits->speakers, who, place_of(kind), sv->now_ns) / 1000 + 1;
	return false;
}

/* ---- authentication ----------------------------------------------------------------------------- */

bool rc_limits_may_try(struct rc_serve *sv, const struct rc_conn *c)
{
	if (!sv->limits || !sv->config->limit_auth_failures)
		return true;
	struct rc_netaddr a = rc_session_address(sv, c);
	if (exempt(sv, &a) || rc_tally_wait_ms(&sv->limits->addresses, hash_of(sv, &a),
				      RC_TALLY_FAILURES, sv->now_ns) == 0)
		return true;
	rc_count(sv->counters, RC_C_auth_refused_rate, 1);
	return false;
}

void rc_limits_failed(struct rc_serve *sv, const struct rc_conn *c)
{
	bool forgot = false;

	rc_count(sv->counters, RC_C_auth_failures, 1);
	if (!sv->limits || !sv->config->limit_auth_failures)
		return;
	struct rc_netaddr a = rc_session_address(sv, c);
	if (!exempt(sv, &a))
		(void)rc_tally_take(&sv->limits->addresses, hash_of(sv, &a), RC_TALLY_FAILURES, 1,
			sv->now_ns, &forgot);
	noted(sv, forgot);
}

uint32_t rc_limits_retry_s(const struct rc_serve *sv)
{
	uint32_t failures = sv->config->limit_auth_failures;

	return failures ? sv->config->limit_auth_failures_window_ms / failures / 1000 + 1 : 1;
}
