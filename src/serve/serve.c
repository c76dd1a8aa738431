/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/serve.h"
#include "serve/survey.h"

#include "conn/tls.h"
#include "serve/history.h"
#include "serve/replay.h"
#include "serve/api.h"

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
	return publishers_bytes(config) + replays_bytes(config) + rc_history_bytes();
}

void rc_serve_init(struct rc_serve *sv, void *memory)
{
	size_t n = publishers_per_shard(sv->config);

	rc_slab_init(&sv->publishers, memory, (uint32_t)rc_ingest_publisher_bytes(), (uint32_t)n);
	sv->publishers_max = (uint32_t)n;
	sv->publisher_generation =
		(uint32_t *)(void *)((unsigned char *)memory +
				     rc_align_up(n * rc_ingest_publisher_bytes(), RC_CACHE_LINE));
	rc_replay_init(sv, (unsigned char *)memory + publishers_bytes(sv->config));
	rc_history_init(sv,
		(unsigned char *)memory + publishers_bytes(sv->config) + replays_bytes(sv->config));
	sv->ack_first = sv->waiting_first = sv->http_go_first = RC_NONE;
	sv->http_bodies_max = sv->config->http_body_memory ? sv->config->http_body_memory
							   : sv->config->memory / 8;
	if (sv->hub)
		sv->http_bodies_max /= sv->hub->limits.shards;
	sv->http_bodies_max = RC_MAX(sv->http_bodies_max, 2 * (uint64_t)sv->config->http_body_max);
}

static enum rc_conn_kind kind_of(enum rc_port port)
{
	if (port == RC_PORT_HTTP || port == RC_PORT_ADMIN)
		return RC_CONN_HTTP;
	return port == RC_PORT_INGEST ? RC_CONN_INGEST : RC_CONN_HANDSHAKE;
}

void rc_serve_accepted(struct rc_serve *sv, int fd, enum rc_port port)
{
	static const char full[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n"
				   "Content-Length: 0\r\nConnection: close\r\n\r\n";
	struct rc_conn *c = rc_conn_open(sv->conns, fd, kind_of(port));

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
	if (c->kind == RC_CONN_HANDSHAKE) {
		rc_handshake_open(
			sv, c, port == RC_PORT_HTTPS ? RC_TLS_CLIENTS : RC_TLS_PUBLISHERS);
		return;
	}
	if (port == RC_PORT_ADMIN)
		c->stage = RC_HTTP_ON_ADMIN_PORT;
	if (port == RC_PORT_INGEST && !rc_ingest_open(sv, c, (struct rc_str){NULL, 0}))
		return;
	rc_serve_arm(sv, c);
}

void rc_serve_arm(struct rc_serve *sv, struct rc_conn *c)
{
	if (c->flags & (RC_CONN_RECV_ARMED | RC_CONN_HELD) && c->state == RC_CONN_OPEN)
		return;
	switch (c->kind) {
	case RC_CONN_WS:
		rc_conn_recv(sv->conns, c, RC_IO_SMALL,
			c->flags & RC_CONN_KTLS ? RC_IO_RECORDS : RC_IO_MULTISHOT);
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

/* The peer's close_notify or fatal alert: it will send no more. */
static void notified(struct rc_serve *sv, struct rc_conn *c)
{
	c->flags |= RC_CONN_NOTIFIED;
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
		notified(sv, c);
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
		notified(sv, c);
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
	default:
		/* One that was about to become a stream. */
		if (c->subs != RC_NONE)
			rc_ws_drop_subs(sv, c);
		rc_http_gone(sv, c);
	}
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
	if (rc_hub_replica(sv->hub, replica)->rendition == RC_RENDITION_WS)
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

void rc_serve_turn(struct rc_serve *sv)
{
	rc_ingest_turn(sv);
	if (sv->replay_first != RC_NONE)
		rc_replay_turn(sv);
	if (sv->api)
		rc_api_turn(sv);
	rc_http_turn(sv);
	if (sv->tls)
		rc_handshake_turn(sv);
	if (sv->survey_count)
		rc_survey_turn(sv);
	if (sv->lag.looking || sv->now_ns >= sv->lag.next_ns)
		rc_lag_turn(sv);
}

void rc_serve_outcome(struct rc_serve *sv, const struct rc_outcome *outcome)
{
	if (outcome->to.slot & RC_API_SLOT)
		rc_api_outcome(sv, outcome);
	else
		rc_ingest_outcome(sv, outcome);
}

bool rc_serve_pending(const struct rc_serve *sv)
{
	return (sv->replay_first != RC_NONE && !sv->replay_refused) ||
	       (sv->tls && rc_handshake_pending(sv)) || sv->lag.looking ||
	       (sv->survey_count && rc_survey_pending(sv));
}

void rc_serve_ready(struct rc_serve *sv, struct rc_conn *c)
{
	rc_handshake_ready(sv, c);
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
		rc_conn_kill(sv->conns, c);
		break;
	case RC_CONN_INGEST:
		rc_ingest_bye(sv, c);
		break;
	default:
		rc_http_bye(sv, c);
	}
}
