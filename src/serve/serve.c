/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/serve.h"
#include "serve/survey.h"

#include "conn/tls.h"
#include "auth/service.h"
#include "serve/edge.h"
#include "serve/history.h"
#include "serve/inflate.h"
#include "serve/limits.h"
#include "serve/presence.h"
#include "serve/quality.h"
#include "serve/replay.h"
#include "serve/session.h"
#include "serve/api.h"
#include "serve/commands.h"
#include "serve/webhook.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static uint32_t publishers_per_shard(const struct rc_config *config)
{
	return config->max_publishers;
}

static size_t publishers_bytes(const struct rc_config *config)
{
	size_t n = publishers_per_shard(config);

	return rc_align_up(
		rc_align_up(n * rc_ingest_publisher_bytes(), RC_CACHE_LINE) + n * sizeof(uint32_t),
		RC_CACHE_LINE);
}

static size_t replays_bytes(const struct rc_config *config)
{
	return rc_align_up(rc_replay_bytes(config), RC_CACHE_LINE);
}

size_t rc_serve_bytes(const struct rc_config *config)
{
	size_t tables = publishers_bytes(config) + replays_bytes(config) + rc_history_bytes() +
			rc_presence_request_bytes();

	return rc_align_up(tables, RC_CACHE_LINE) + rc_inflate_room(config) + RC_GRANT_MAX;
}

void rc_serve_init(struct rc_serve *sv, void *memory)
{
	size_t n = publishers_per_shard(sv->config);

	rc_slab_init(&sv->publishers, memory, (uint32_t)rc_ingest_publisher_bytes(), (uint32_t)n);
	sv->publishers_max = (uint32_t)n;
	sv->publisher_generation =
		(uint32_t *)(void *)((unsigned char *)memory +
				     rc_align_up(n * rc_ingest_publisher_bytes(), RC_CACHE_LINE));
	sv->acked_first = sv->acked_last = RC_NONE;
	rc_replay_init(sv, (unsigned char *)memory + publishers_bytes(sv->config));
	unsigned char *next =
		(unsigned char *)memory + publishers_bytes(sv->config) + replays_bytes(sv->config);
	rc_history_init(sv, next);
	rc_presence_init(sv, next + rc_history_bytes());
	sv->grant_room = (struct rc_grant *)(void *)((unsigned char *)memory +
						     rc_serve_bytes(sv->config) - RC_GRANT_MAX);
	rc_inflate_begin(sv, (unsigned char *)sv->grant_room - rc_inflate_room(sv->config));
	sv->ack_first = sv->waiting_first = sv->http_go_first = RC_NONE;
	sv->http_bodies_max = sv->config->http_body_memory ? sv->config->http_body_memory
							   : sv->config->memory / 8;
	if (sv->hub)
		sv->http_bodies_max /= sv->hub->limits.shards;
	sv->http_bodies_max = RC_MAX(sv->http_bodies_max, 2 * (uint64_t)sv->config->http_body_max);
}

void rc_serve_accepted(struct rc_serve *sv, int fd, enum rc_port port)
{
	static const char full[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n"
				   "Content-Length: 0\r\nConnection: close\r\n\r\n";
	bool room = sv->conns->open + rc_webhooks_kept(sv) < sv->conns->count_max;
	struct rc_conn *c = room ? rc_conn_open(sv->conns, fd, RC_CONN_HTTP) : NULL;

	rc_count(sv->counters, RC_C_accepts, 1);
	if (!c) {
		rc_count(sv->counters, RC_C_accept_refused_capacity, 1);
		if (port == RC_PORT_HTTP || port == RC_PORT_ADMIN)
			(void)send(fd, full, sizeof(full) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)close(fd);
		return;
	}
	rc_gauge_set(sv->counters, RC_C_connections, sv->conns->open);
	rc_conn_timer(sv->conns, c, sv->config->handshake_timeout_ms);
	rc_limits_arrived(sv, c);
	rc_edge_accepted(sv, c, port);
}

void rc_serve_arm(struct rc_serve *sv, struct rc_conn *c)
{
	if (c->flags & (RC_CONN_RECV_ARMED | RC_CONN_HELD) && c->state == RC_CONN_OPEN)
		return;
	switch (c->kind) {
	case RC_CONN_WS:
		rc_conn_recv(sv->conns, c, RC_IO_SMALL,
			/* Whose messages may have to wait is received from one buffer at a time. */
			c->window_bits            ? RC_IO_ONCE
			: c->flags & RC_CONN_KTLS ? RC_IO_RECORDS
						  : RC_IO_MULTISHOT);
		break;
	case RC_CONN_INGEST:
		if (sv->busy && c->state == RC_CONN_OPEN)
			rc_ingest_hold(sv, c);
		else
			rc_conn_recv(sv->conns, c, RC_IO_LARGE, RC_IO_ONCE);
		break;
	default:
		rc_conn_recv(sv->conns, c, RC_IO_SMALL, RC_IO_ONCE);
	}
}

void rc_serve_notified(struct rc_serve *sv, struct rc_conn *c)
{
	c->flags |= RC_CONN_NOTIFIED;
	/* What came before it is read first, when it is its turn. */
	if (c->state == RC_CONN_OPEN && c->kind == RC_CONN_WS && rc_ws_ends_later(c))
		return;
	/* A publisher's answers are still due; its close_notify follows them. */
	if (c->state == RC_CONN_OPEN && c->kind != RC_CONN_INGEST)
		rc_conn_tls_notify(sv->conns, c);
	rc_serve_input_ended(sv, c, 0);
}

static void bad_tls(struct rc_serve *sv, struct rc_conn *c)
{
	if (c->state == RC_CONN_OPEN && c->kind != RC_CONN_HTTP && c->kind != RC_CONN_INGEST)
		rc_count(sv->counters, RC_C_close_protocol, 1);
	rc_conn_kill(sv->conns, c);
}

static void records(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len)
{
	struct rc_conn_input in = {.bytes = bytes, .len = len};
	enum rc_conn_opened what = RC_OPENED_DATA;
	uint32_t generation = c->generation;

	while (c->generation == generation && c->state == RC_CONN_OPEN &&
		(what = rc_conn_tls_open(sv->conns, c, &in)) == RC_OPENED_DATA)
		rc_serve_plain(sv, c, in.data, in.data_len);
	rc_conn_tls_opened(sv->conns, &in);
	if (c->generation != generation || c->state != RC_CONN_OPEN)
		return;
	if (what == RC_OPENED_CLOSED)
		rc_serve_notified(sv, c);
	else if (what == RC_OPENED_BAD)
		bad_tls(sv, c);
}

void rc_serve_record(struct rc_serve *sv, struct rc_conn *c, uint8_t type,
	const unsigned char *bytes, uint32_t len)
{
	int asks = rc_tls_asks(rc_conn_ktls_version(sv->conns, c), type, bytes, len);

	if (c->state == RC_CONN_DEAD)
		return;
	if (asks < 0) {
		rc_count(sv->counters, RC_C_tls_bad_messages, 1);
		rc_conn_tls_refuse(sv->conns, c, -asks);
		bad_tls(sv, c);
	} else if (asks == RC_TLS_ASKS_CLOSE || asks == RC_TLS_ASKS_END) {
		rc_serve_notified(sv, c);
	} else if (asks != RC_TLS_ASKS_NOTHING) {
		/* The kernel can't follow, or not on all versions that are around. What comes behind it can't be read; what is
		 * to be said still is. */
		if (c->state != RC_CONN_LINGERING)
			c->flags |= RC_CONN_NOTIFIED;
		rc_serve_renew(sv, c);
	}
}

/* What waits at the front of a socket of kernel TLS, where a plain receive could not take it. */
static void take_record(struct rc_serve *sv, struct rc_conn *c)
{
	unsigned char bytes[256];
	uint8_t type;
	int len = rc_conn_ktls_take(c, &type, bytes, sizeof(bytes));
	uint32_t generation = c->generation;

	if (len < 0 && len != -EAGAIN) {
		rc_serve_input_ended(sv, c, len == -EIO ? -EBADMSG : len);
		return;
	}
	if (len >= 0)
		rc_serve_record(sv, c, type, bytes, (uint32_t)len);
	if (c->generation == generation && c->state != RC_CONN_DEAD &&
		!(c->flags & RC_CONN_NOTIFIED))
		rc_serve_arm(sv, c);
}

void rc_serve_input(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len)
{
	if (c->flags & RC_CONN_TLS)
		records(sv, c, bytes, len);
	else
		rc_serve_plain(sv, c, bytes, len);
}

void rc_serve_plain(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len)
{
	c->heard_tick = sv->conns->tick;
	/* Who is on the way out is read only so that he can read us to the end. */
	if (c->state != RC_CONN_OPEN)
		return;
	switch (c->kind) {
	case RC_CONN_HTTP:
		rc_http_input(sv, c, bytes, len);
		break;
	case RC_CONN_WS:
		rc_ws_input(sv, c, bytes, len);
		break;
	case RC_CONN_ECHO:
		rc_echo_input(sv, c, bytes, len);
		break;
	case RC_CONN_SSE:
		rc_sse_input(sv, c);
		break;
	case RC_CONN_WEBHOOK:
		rc_webhook_input(sv, c, bytes, len);
		break;
	case RC_CONN_PROXY:
		break; /* it is not received from */
	default:
		rc_ingest_input(sv, c, bytes, len);
	}
}

/* What a record deserves that the kernel, or the ring, ended the receiving with; -1: the error is not about records. */
static int32_t deserved_alert(int res)
{
	switch (res) {
	case -EBADMSG:
	case -EKEYEXPIRED:
		return RC_TLS_ALERT_BAD_RECORD_MAC;
	case -EMSGSIZE:
		return RC_TLS_ALERT_RECORD_OVERFLOW;
	case -EINVAL: /* its header is none */
	case -EPROTO: /* it is empty, and no data */
		return RC_TLS_ALERT_UNEXPECTED_MESSAGE;
	default:
		return -1;
	}
}

bool rc_serve_send_failed(struct rc_serve *sv, struct rc_conn *c, int res)
{
	if (c->kind == RC_CONN_WEBHOOK) {
		rc_webhook_unsendable(sv, c);
		return false;
	}
	/* The kernel tells whoever comes next what was wrong with what it received, a sender too. */
	bool received = (c->flags & RC_CONN_KTLS) && deserved_alert(res) >= 0;

	if (received && (c->flags & RC_CONN_NOTIFIED))
		return true;
	if (received)
		rc_serve_input_ended(sv, c, res);
	else if (c->state == RC_CONN_OPEN)
		rc_count(sv->counters, RC_C_close_io_error, 1);
	if (c->state != RC_CONN_DEAD)
		rc_conn_kill(sv->conns, c);
	return false;
}

void rc_serve_input_ended(struct rc_serve *sv, struct rc_conn *c, int res)
{
	if (res == -ENOBUFS || res == -EINTR || res == -EAGAIN) {
		if (res == -ENOBUFS)
			rc_count(sv->counters, RC_C_recv_starved, 1);
		rc_serve_arm(sv, c);
		return;
	}
	if (c->kind == RC_CONN_WEBHOOK) {
		rc_webhook_ended(sv, c, res);
		return;
	}
	if (res == -EIO && (c->flags & RC_CONN_KTLS)) {
		take_record(sv, c);
		return;
	}
	if ((c->flags & RC_CONN_KTLS) && deserved_alert(res) >= 0) {
		rc_conn_ktls_clear_error(c);
		if (c->state == RC_CONN_FINISHING ||
			(c->state == RC_CONN_OPEN && (c->flags & RC_CONN_NOTIFIED)))
			return;
		if (c->state == RC_CONN_OPEN) {
			rc_count(sv->counters,
				res == -EPROTO ? RC_C_tls_bad_messages : RC_C_tls_bad_records, 1);
			rc_conn_tls_refuse(sv->conns, c, deserved_alert(res));
		}
		bad_tls(sv, c);
		return;
	}
	if (c->state == RC_CONN_OPEN && (c->flags & (RC_CONN_TLS | RC_CONN_KTLS))) {
		if (res == 0 && !(c->flags & RC_CONN_NOTIFIED))
			rc_count(sv->counters, RC_C_tls_truncated, 1);
	}
	if (c->state == RC_CONN_OPEN && c->kind != RC_CONN_HTTP && c->kind != RC_CONN_INGEST)
		rc_count(sv->counters, res < 0 ? RC_C_close_io_error : RC_C_close_going_away, 1);
	if (c->state == RC_CONN_OPEN && c->kind == RC_CONN_INGEST && res == 0) {
		/* A publisher that shut down its side may still wait for acknowledgements. */
		rc_ingest_bye(sv, c);
		return;
	}
	if (c->state == RC_CONN_OPEN && c->kind == RC_CONN_HTTP && res == 0) {
		rc_http_ended(sv, c);
		return;
	}
	/* What is on its way out still goes to one that has shut down its own side only. A timer bounds it. */
	if (c->state == RC_CONN_FINISHING && res == 0)
		return;
	rc_conn_kill(sv->conns, c);
}

void rc_serve_gone(struct rc_serve *sv, struct rc_conn *c)
{
	switch (c->kind) {
	case RC_CONN_WS:
		rc_ws_gone(sv, c);
		break;
	case RC_CONN_ECHO:
		rc_echo_gone(sv, c);
		break;
	case RC_CONN_SSE:
		rc_sse_gone(sv, c);
		break;
	case RC_CONN_INGEST:
		rc_ingest_gone(sv, c);
		break;
	case RC_CONN_HANDSHAKE:
		rc_handshake_gone(sv, c);
		break;
	case RC_CONN_WEBHOOK:
		rc_webhook_gone(sv, c);
		break;
	case RC_CONN_PROXY:
		break;
	default:
		/* One that was about to become a stream. */
		if (c->subs != RC_NONE)
			rc_ws_drop_subs(sv, c);
		rc_http_gone(sv, c);
	}
	rc_session_end(sv, c);
	rc_limits_gone(sv, c);
}

void rc_serve_timer(struct rc_serve *sv, struct rc_conn *c)
{
	rc_count(sv->counters, RC_C_timers_fired, 1);
	switch (c->kind) {
	case RC_CONN_HTTP:
		rc_http_timer(sv, c);
		break;
	case RC_CONN_WS:
		rc_ws_timer(sv, c);
		break;
	case RC_CONN_ECHO:
		rc_echo_timer(sv, c);
		break;
	case RC_CONN_SSE:
		rc_sse_timer(sv, c);
		break;
	case RC_CONN_HANDSHAKE:
		rc_handshake_timer(sv, c);
		break;
	case RC_CONN_PROXY:
		rc_edge_timer(sv, c);
		break;
	case RC_CONN_WEBHOOK:
		rc_webhook_timer(sv, c);
		break;
	default:
		rc_ingest_timer(sv, c);
	}
}

void rc_serve_gap(struct rc_serve *sv, struct rc_conn *c, const struct rc_replica *r,
	const char *reason, uint64_t missed, uint64_t offset)
{
	if (c->kind == RC_CONN_SSE)
		rc_sse_gap_to(sv, c, r, reason, missed, offset);
	else
		rc_ws_gap(sv, c, r, reason, missed, offset);
}

void rc_serve_end(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *reason,
	enum rc_counter counted)
{
	if (c->kind == RC_CONN_SSE)
		rc_sse_end(sv, c, counted);
	else if (c->kind == RC_CONN_INGEST)
		rc_ingest_end(sv, c, code, reason);
	else
		rc_ws_close(sv, c, code, reason, counted);
}

void rc_serve_replay_answered(struct rc_serve *sv, struct rc_conn *c, uint32_t replay)
{
	if (c->kind == RC_CONN_SSE)
		rc_sse_answered(sv, c, replay);
	else
		rc_ws_replay_answered(sv, c, replay);
}

void rc_serve_replica_ready(struct rc_serve *sv, uint32_t replica, bool taken)
{
	if (!rc_replica_is_stream(rc_hub_replica(sv->hub, replica)))
		rc_ws_replica_ready(sv, replica, taken);
	else
		rc_sse_ready(sv, replica, taken);
}

void rc_serve_drained(struct rc_serve *sv, struct rc_conn *c)
{
	if (c->flags & RC_CONN_REPLAYING)
		rc_replay_drained(sv, c);

	if (c->kind == RC_CONN_ECHO)
		rc_echo_drained(sv, c);
	else if (c->kind == RC_CONN_INGEST)
		rc_ingest_drained(sv, c);
	else if (c->kind == RC_CONN_HTTP)
		rc_http_drained(sv, c);
}

static void follow_auth(struct rc_serve *sv)
{
	struct rc_serve_auth *shared = sv->auth_shared;
	/* Pairs with the release in shard/auth.c: the pointer is at least as new as the version. */
	uint64_t version = atomic_load_explicit(&shared->version, memory_order_acquire);

	if (version != sv->auth_seen) {
		sv->auth = atomic_load_explicit(&shared->current, memory_order_acquire);
		/* The first is what it began with. */
		if (sv->auth_seen) {
			rc_count(sv->counters, RC_C_auth_reloads, 1);
			rc_ingest_services_changed(sv);
			rc_ws_services_changed(sv);
		}
		sv->auth_seen = version;
		/* Nothing here holds the old one any more; pairs with the acquire in shard/auth.c. */
		atomic_store_explicit(&shared->seen[sv->shard], version, memory_order_release);
	}
	if (sv->shard == 0) {
		uint64_t failed = atomic_load_explicit(&shared->failed, memory_order_relaxed);

		rc_count(sv->counters, RC_C_auth_reloads_failed, failed - sv->auth_failed);
		sv->auth_failed = failed;
	}
}

static void follow_rules(struct rc_serve *sv)
{
	struct rc_serve_rules *shared = sv->rules_shared;
	/* Pairs with the release in shard/rules.c: the pointer is at least as new as the version. */
	uint64_t version = atomic_load_explicit(&shared->version, memory_order_acquire);

	if (version != sv->rules_seen) {
		sv->rules = atomic_load_explicit(&shared->current, memory_order_acquire);
		/* The first is what it began with. */
		if (sv->rules_seen)
			rc_count(sv->counters, RC_C_schema_reloads, 1);
		sv->rules_seen = version;
		/* Nothing here holds the old ones any more; pairs with the acquire in shard/rules.c. */
		atomic_store_explicit(&shared->seen[sv->shard], version, memory_order_release);
	}
	if (sv->shard == 0) {
		uint64_t failed = atomic_load_explicit(&shared->failed, memory_order_relaxed);

		rc_count(sv->counters, RC_C_schema_reloads_failed, failed - sv->rules_failed);
		sv->rules_failed = failed;
	}
}

void rc_serve_turn(struct rc_serve *sv)
{
	if (sv->auth_shared)
		follow_auth(sv);
	rc_ingest_turn(sv);
	if (sv->inflater)
		rc_inflate_turn(sv);
	if (sv->replay_first != RC_NONE)
		rc_replay_turn(sv);
	if (sv->acked_first != RC_NONE)
		rc_acked_turn(sv);
	if (sv->api)
		rc_api_turn(sv);
	rc_http_turn(sv);
	if (sv->users)
		rc_users_turn(sv);
	if (sv->commands && !rc_commands_idle(sv))
		rc_commands_turn(sv);
	if (sv->tls)
		rc_handshake_turn(sv);
	if (sv->survey_count)
		rc_survey_turn(sv);
	if (sv->now_ns >= sv->quality.next_ns) {
		rc_quality_turn(sv);
		if (sv->rules_shared)
			follow_rules(sv);
	}
	if (sv->lag.looking || sv->now_ns >= sv->lag.next_ns)
		rc_lag_turn(sv);
}

void rc_serve_outcome(struct rc_serve *sv, const struct rc_outcome *outcome)
{
	/* What the gateway says of itself nobody waits for. */
	if (outcome->to.slot == RC_NONE)
		return;
	if (outcome->to.slot & RC_API_SLOT)
		rc_api_outcome(sv, outcome);
	else
		rc_ingest_outcome(sv, outcome);
}

bool rc_serve_pending(const struct rc_serve *sv)
{
	return (sv->replay_first != RC_NONE && !sv->replay_refused) ||
	       (sv->acked_first != RC_NONE && !sv->acked_refused) || sv->http_go_first != RC_NONE ||
	       sv->inflate_first || (sv->tls && rc_handshake_pending(sv)) || sv->lag.looking ||
	       (sv->survey_count && rc_survey_pending(sv));
}

void rc_serve_ready(struct rc_serve *sv, struct rc_conn *c)
{
	if (c->kind == RC_CONN_PROXY)
		rc_edge_ready(sv, c);
	else
		rc_handshake_ready(sv, c);
}

void rc_serve_connected(struct rc_serve *sv, struct rc_conn *c, int res)
{
	if (c->state != RC_CONN_DEAD)
		rc_webhook_connected(sv, c, res);
	rc_conn_landed(sv->conns, c);
}

void rc_serve_renew(struct rc_serve *sv, struct rc_conn *c)
{
	c->flags &= (uint16_t)~RC_CONN_SPENT;
	if (c->state != RC_CONN_OPEN)
		return;
	rc_count(sv->counters, RC_C_tls_renewed, 1);
	if (c->kind == RC_CONN_INGEST)
		rc_ingest_renew(sv, c);
	else if (c->kind == RC_CONN_HTTP)
		rc_http_bye(sv, c);
	else if (c->kind == RC_CONN_SSE)
		rc_sse_end(sv, c, RC_C_close_renewed);
	else
		rc_ws_renew(sv, c);
}

void rc_serve_drain(struct rc_serve *sv, struct rc_conn *c)
{
	if (c->state != RC_CONN_OPEN)
		return;
	switch (c->kind) {
	case RC_CONN_WS:
		rc_ws_bye(sv, c);
		break;
	case RC_CONN_ECHO:
		rc_ws_close(sv, c, 1012, "the gateway stops", RC_C_close_shutdown);
		break;
	case RC_CONN_SSE:
		rc_sse_bye(sv, c);
		break;
	case RC_CONN_HANDSHAKE:
	case RC_CONN_PROXY:
		rc_conn_kill(sv->conns, c);
		break;
	case RC_CONN_INGEST:
		rc_ingest_bye(sv, c);
		break;
	case RC_CONN_WEBHOOK:
		rc_webhook_drain(sv, c);
		break;
	default:
		rc_http_bye(sv, c);
	}
}
