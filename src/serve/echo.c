/* SPDX-License-Identifier: Apache-2.0
 *
 * /echo, for conformance suites: every message comes back whole, in order, and nothing else is ever sent. A message is gathered
 * behind room for its header, and then is the output itself when nothing else waits, so that even a large one is not
 * copied. A client that does not read is not read either.
 */
#include "serve/limits.h"

#include "proto/websocket.h"

#define HEADER_ROOM 16u
#define OUT_HIGH    (256u * 1024) /* above it no more is read */
#define WINDOW_MS   100u

struct echo {
	struct rc_ws_decoder decoder;
	unsigned char *message; /* HEADER_ROOM, then what came */
	uint32_t len, size;
	uint32_t window_tick; /* since when messages are counted */
	uint32_t window_messages;
};

static void free_message(struct rc_serve *sv, struct echo *e)
{
	sv->echo_bytes -= e->size;
	rc_pool_put(sv->pool, e->message, e->size);
	e->message = NULL;
	e->len = e->size = 0;
}

void rc_echo_open(struct rc_serve *sv, struct rc_conn *c)
{
	struct echo *e = rc_pool_get(sv->pool, sizeof(*e));

	c->kind = RC_CONN_ECHO;
	rc_limits_admitted(sv, c);
	sv->clients++;
	rc_gauge_set(sv->counters, RC_C_clients, sv->clients);
	rc_count(sv->counters, RC_C_clients_opened, 1);
	c->ext = e;
	if (!e) {
		rc_ws_close(sv, c, 1013, "no memory", RC_C_close_capacity);
		return;
	}
	memset(e, 0, sizeof(*e));
	e->window_tick = sv->conns->tick;
	rc_conn_timer(sv->conns, c, sv->config->heartbeat_ms);
}

void rc_echo_gone(struct rc_serve *sv, struct rc_conn *c)
{
	struct echo *e = c->ext;

	sv->clients--;
	rc_gauge_set(sv->counters, RC_C_clients, sv->clients);
	rc_count(sv->counters, RC_C_clients_closed, 1);
	if (!e)
		return;
	free_message(sv, e);
	rc_pool_put(sv->pool, e, sizeof(*e));
	c->ext = NULL;
}

static bool gather(struct rc_serve *sv, struct echo *e, const struct rc_ws_piece *piece)
{
	size_t need = HEADER_ROOM + e->len + piece->len;

	if (need > e->size) {
		/* A message that comes in pieces doubles, so that many small ones don't copy it over and over. */
		size_t size = rc_pool_size(
			piece->last && !e->message ? need : RC_MAX(need, (size_t)e->size * 2));
		if (sv->echo_bytes - e->size + size > sv->config->echo_memory)
			return false;
		unsigned char *fresh = rc_pool_get(sv->pool, size);
		if (!fresh)
			return false;
		if (e->message)
			memcpy(fresh + HEADER_ROOM, e->message + HEADER_ROOM, e->len);
		uint32_t len = e->len;
		free_message(sv, e);
		e->message = fresh;
		e->size = (uint32_t)size;
		e->len = len;
		sv->echo_bytes += size;
	}
	if (piece->len)
		memcpy(e->message + HEADER_ROOM + e->len, piece->ptr, piece->len);
	e->len += (uint32_t)piece->len;
	return true;
}

static bool answer(struct rc_serve *sv, struct rc_conn *c, struct echo *e, uint8_t opcode)
{
	unsigned char header[10];
	uint32_t header_len = (uint32_t)rc_ws_header(header, opcode, true, e->len);

	rc_count(sv->counters, RC_C_echo_messages, 1);
	rc_count(sv->counters, RC_C_echo_bytes, e->len);
	e->window_messages++;
	if (!c->out && e->len >= 4096) {
		uint32_t head = HEADER_ROOM - header_len;
		memcpy(e->message + head, header, header_len);
		rc_conn_adopt_out(sv->conns, c, e->message, e->size, head, header_len + e->len);
		sv->echo_bytes -= e->size;
		e->message = NULL;
		e->len = e->size = 0;
		return true;
	}
	unsigned char *room = rc_conn_reserve(sv->conns, c, header_len + e->len, UINT32_MAX);
	if (!room)
		return false;
	memcpy(room, header, header_len);
	if (e->len)
		memcpy(room + header_len, e->message + HEADER_ROOM, e->len);
	rc_conn_commit(sv->conns, c, header_len + e->len);
	e->len = 0;
	if (e->size > 4096)
		free_message(sv, e);
	return true;
}

static void control(struct rc_serve *sv, struct rc_conn *c, const struct rc_ws_piece *piece)
{
	unsigned char frame[2 + RC_WS_CONTROL_MAX];

	if (piece->opcode == RC_WS_CLOSE) {
		rc_ws_close_back(sv, c, piece);
	} else if (piece->opcode == RC_WS_PING) {
		size_t header = rc_ws_header(frame, RC_WS_PONG, true, piece->len);
		if (piece->len)
			memcpy(frame + header, piece->ptr, piece->len);
		if (!rc_conn_write(
			    sv->conns, c, frame, (uint32_t)(header + piece->len), UINT32_MAX))
			rc_conn_kill(sv->conns, c);
	}
}

static void too_big(struct rc_serve *sv, struct rc_conn *c)
{
	rc_ws_close(
		sv, c, 1013, "no memory for this message, try again later", RC_C_close_capacity);
}

void rc_echo_input(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t length)
{
	const struct rc_ws_limits limits = {
		.message_max = sv->config->echo_max_message,
		.fragments_max = RC_CONFIG_ECHO_FRAGMENTS_MAX,
		.masked = true,
		.check_utf8 = true,
	};
	struct echo *e = c->ext;
	struct rc_ws_piece piece;
	size_t len = length;

	while (c->state == RC_CONN_OPEN) {
		enum rc_ws_result result = rc_ws_next(&e->decoder, &limits, &bytes, &len, &piece);
		if (result == RC_WS_MORE)
			break;
		if (result == RC_WS_CONTROL) {
			control(sv, c, &piece);
		} else if (result == RC_WS_DATA) {
			if (!gather(sv, e, &piece) ||
				(piece.last && !answer(sv, c, e, piece.opcode)))
				too_big(sv, c);
		} else {
			rc_ws_close(sv, c, piece.close_code, piece.reason, RC_C_close_protocol);
		}
	}
	if (c->state != RC_CONN_OPEN)
		return;
	uint32_t allowed = RC_CONFIG_ECHO_MESSAGES_PER_SECOND * WINDOW_MS / 1000;
	uint32_t since = (sv->conns->tick - e->window_tick) * RC_CONN_TICK_MS;
	if (since >= WINDOW_MS) {
		e->window_tick = sv->conns->tick;
		e->window_messages = 0;
	} else if (e->window_messages >= allowed) {
		/* Over its rate: the rest is read in the next window. */
		c->flags |= RC_CONN_HELD;
		rc_count(sv->counters, RC_C_recv_paused, 1);
		rc_conn_timer(sv->conns, c, WINDOW_MS - since);
	}
	if (c->out_len > OUT_HIGH)
		c->flags |= RC_CONN_HELD;
}

void rc_echo_drained(struct rc_serve *sv, struct rc_conn *c)
{
	const struct echo *e = c->ext;

	if (!(c->flags & RC_CONN_HELD) || !e ||
		e->window_messages >= RC_CONFIG_ECHO_MESSAGES_PER_SECOND * WINDOW_MS / 1000)
		return;
	c->flags &= (uint16_t)~RC_CONN_HELD;
	rc_serve_arm(sv, c);
}

void rc_echo_timer(struct rc_serve *sv, struct rc_conn *c)
{
	struct echo *e = c->ext;

	if (c->state != RC_CONN_OPEN) {
		rc_conn_kill(sv->conns, c);
		return;
	}
	e->window_tick = sv->conns->tick;
	e->window_messages = 0;
	if ((c->flags & RC_CONN_HELD) && c->out_len <= OUT_HIGH) {
		c->flags &= (uint16_t)~RC_CONN_HELD;
		rc_serve_arm(sv, c);
	}
	/* No pings: nothing but echoes is ever sent. A dead peer is found by the kernel's keepalive. */
	rc_conn_timer(sv->conns, c, sv->config->heartbeat_ms);
}
