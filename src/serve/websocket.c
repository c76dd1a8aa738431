/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of the JSON protocol: framing, messages, heartbeats, closing. Its ext, while it has one, is a struct ws_input: a
 * client at rest has none.
 */
#include "serve/serve.h"

#include <stdio.h>

#include "proto/base64.h"
#include "proto/http1.h"
#include "proto/message.h"
#include "proto/websocket.h"

#define FRAGMENTS_MAX 1024u
/* Bytes that stay free behind output_max, so that the close frame of a client over its limit still has room. */
#define CLOSE_ROOM 512u

struct ws_input {
	struct rc_ws_decoder decoder;
	unsigned char *message; /* what came of an unfinished message */
	uint32_t len, size;
};

/* ---- output ------------------------------------------------------------------------------------- */

/* Besides its answers a client that recovers has a batch of events waiting. */
static uint32_t output_max(const struct rc_serve *sv)
{
	const struct rc_hub_limits *l = &sv->hub->limits;

	return sv->config->output_max + (l->keeps_history ? RC_FETCH_BYTES + 2 * l->frame_max : 0);
}

struct rc_textbuf rc_ws_begin(struct rc_serve *sv, struct rc_conn *c, size_t bound)
{
	struct rc_textbuf b = {0};

	if (c->state != RC_CONN_OPEN)
		return b;
	if (c->out_len <= output_max(sv)) {
		unsigned char *room = rc_conn_reserve(
			sv->conns, c, (uint32_t)bound + 10, output_max(sv) + (uint32_t)bound + 10);
		if (room) {
			b.ptr = (char *)room + 10;
			b.cap = bound;
			return b;
		}
	}
	rc_count(sv->counters, RC_C_output_overflows, 1);
	rc_ws_close(sv, c, RC_CLOSE_TOO_SLOW, "answers pile up unread", RC_C_close_too_slow);
	return b;
}

void rc_ws_end(struct rc_serve *sv, struct rc_conn *c, const struct rc_textbuf *b)
{
	if (!b->ptr)
		return;
	RC_ASSERT(!b->full);
	unsigned char *frame = (unsigned char *)b->ptr - 10;
	unsigned char header[10];
	size_t header_len = rc_ws_header(header, RC_WS_TEXT, true, b->len);

	if (header_len < 10)
		memmove(frame + header_len, b->ptr, b->len);
	memcpy(frame, header, header_len);
	rc_conn_commit(sv->conns, c, (uint32_t)(header_len + b->len));
}

void rc_ws_error(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw, const char *code,
	bool temporary, const char *message)
{
	struct rc_textbuf b = rc_ws_begin(sv, c, 256 + id_raw.len + 12 * strlen(message));

	if (!b.ptr)
		return;
	rc_msg_error(&b, id_raw, code, temporary, rc_str_of(message), sv->wall_ms);
	rc_ws_end(sv, c, &b);
}

void rc_ws_gap(struct rc_serve *sv, struct rc_conn *c, const struct rc_replica *r,
	const char *reason, uint64_t missed, uint64_t offset)
{
	struct rc_textbuf b = rc_ws_begin(sv, c, 1024);
	char text[RC_POSITION_MAX];
	struct rc_str position = {text, 0};

	if (!b.ptr)
		return;
	if (!r->pattern)
		position.len = rc_position_text(r->epoch, offset, text);
	rc_msg_gap(&b, rc_replica_name(r), reason, missed, position);
	rc_ws_end(sv, c, &b);
	rc_count(sv->counters, RC_C_gaps_sent, 1);
}

static void write_control(
	struct rc_serve *sv, struct rc_conn *c, uint8_t opcode, const void *bytes, size_t len)
{
	unsigned char frame[2 + RC_WS_CONTROL_MAX];
	size_t header = rc_ws_header(frame, opcode, true, len);

	if (len)
		memcpy(frame + header, bytes, len);
	if (!rc_conn_write(sv->conns, c, frame, (uint32_t)(header + len), output_max(sv))) {
		rc_count(sv->counters, RC_C_output_overflows, 1);
		rc_ws_close(
			sv, c, RC_CLOSE_TOO_SLOW, "answers pile up unread", RC_C_close_too_slow);
	}
}

void rc_ws_close(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *reason,
	enum rc_counter counted)
{
	unsigned char frame[RC_WS_CLOSE_FRAME_MAX];

	if (c->state != RC_CONN_OPEN)
		return;
	rc_count(sv->counters, counted, 1);
	size_t len = rc_ws_close_frame(frame, code, reason);
	bool said = rc_conn_write(sv->conns, c, frame, (uint32_t)len, UINT32_MAX);
	if (c->kind == RC_CONN_WS)
		rc_ws_drop_subs(sv, c);
	c->flags |= RC_CONN_CLOSE_SENT;
	if (said)
		rc_conn_finish(sv->conns, c);
	else
		rc_conn_kill(sv->conns, c);
}

void rc_ws_close_back(struct rc_serve *sv, struct rc_conn *c, const struct rc_ws_piece *piece)
{
	char reason[RC_WS_CONTROL_MAX];
	size_t len = piece->len > 2 ? piece->len - 2 : 0;

	if (len)
		memcpy(reason, piece->ptr + 2, len);
	reason[len] = '\0';
	/* 1005, none was given, becomes an empty close. */
	rc_ws_close(sv, c, piece->close_code, reason, RC_C_close_client);
}

/* ---- messages ----------------------------------------------------------------------------------- */

static void unsupported(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m)
{
	rc_ws_error(
		sv, c, m->id_raw, "unsupported", false, "this gateway does not take such messages");
}

void rc_ws_message(struct rc_serve *sv, struct rc_conn *c, struct rc_str text)
{
	struct rc_msg m;
	struct rc_msg_fault fault;

	if (rc_msg_parse(text, &m, &fault) < 0) {
		rc_count(sv->counters, RC_C_messages_bad, 1);
		rc_ws_error(sv, c, m.id_raw, fault.code, false, fault.message);
		return;
	}
	if ((m.type == RC_MSG_SUBSCRIBE || m.type == RC_MSG_UNSUBSCRIBE ||
		    m.type == RC_MSG_HISTORY) &&
		rc_ws_waits_in_line(sv, c, &m, text))
		return;
	switch (m.type) {
	case RC_MSG_SUBSCRIBE:
		rc_ws_subscribe(sv, c, &m);
		break;
	case RC_MSG_UNSUBSCRIBE:
		rc_ws_unsubscribe(sv, c, &m);
		break;
	case RC_MSG_PING: {
		struct rc_textbuf b = rc_ws_begin(sv, c, 128 + m.id_raw.len);
		if (b.ptr) {
			rc_msg_pong(&b, m.id_raw, sv->wall_ms);
			rc_ws_end(sv, c, &b);
		}
		break;
	}
	case RC_MSG_PONG:
		break;
	case RC_MSG_HISTORY:
		rc_ws_history(sv, c, &m);
		break;
	default:
		unsupported(sv, c, &m);
	}
}

static void handle_message(struct rc_serve *sv, struct rc_conn *c, struct rc_str text)
{
	rc_count(sv->counters, RC_C_messages_in, 1);
	rc_ws_message(sv, c, text);
}

static void free_message(struct rc_serve *sv, struct ws_input *in)
{
	rc_pool_put(sv->pool, in->message, in->size);
	in->message = NULL;
	in->len = in->size = 0;
}

static bool gather(struct rc_serve *sv, struct ws_input *in, const struct rc_ws_piece *piece)
{
	uint64_t need = (uint64_t)in->len + piece->len;

	if (need > in->size) {
		size_t size = rc_pool_size((size_t)RC_MAX(need, 256u));
		unsigned char *fresh = rc_pool_get(sv->pool, size);
		if (!fresh)
			return false;
		if (in->len)
			memcpy(fresh, in->message, in->len);
		rc_pool_put(sv->pool, in->message, in->size);
		in->message = fresh;
		in->size = (uint32_t)size;
	}
	memcpy(in->message + in->len, piece->ptr, piece->len);
	in->len = (uint32_t)need;
	return true;
}

static void handle_control(struct rc_serve *sv, struct rc_conn *c, const struct rc_ws_piece *piece)
{
	rc_count(sv->counters, RC_C_frames_control_in, 1);
	if (piece->opcode == RC_WS_PING)
		write_control(sv, c, RC_WS_PONG, piece->ptr, piece->len);
	else if (piece->opcode == RC_WS_CLOSE)
		rc_ws_close_back(sv, c, piece);
}

static void handle_data(struct rc_serve *sv, struct rc_conn *c, struct ws_input *in,
	const struct rc_ws_piece *piece)
{
	if (piece->opcode == RC_WS_BINARY) {
		rc_ws_close(sv, c, 1003, "messages are JSON text", RC_C_close_protocol);
		return;
	}
	if (piece->first && piece->last) {
		handle_message(sv, c, (struct rc_str){(char *)piece->ptr, piece->len});
		return;
	}
	if (!gather(sv, in, piece)) {
		rc_ws_close(sv, c, 1013, "no memory for the message, try again later",
			RC_C_close_capacity);
		return;
	}
	if (piece->last) {
		/* Taken out first: answering may end the connection, and `in` with it. */
		unsigned char *message = in->message;
		uint32_t len = in->len, size = in->size;
		in->message = NULL;
		in->len = in->size = 0;
		handle_message(sv, c, (struct rc_str){(char *)message, len});
		rc_pool_put(sv->pool, message, size);
	}
}

static enum rc_counter counter_of(uint16_t code)
{
	return code == 1007   ? RC_C_close_bad_utf8
	       : code == 1009 ? RC_C_close_too_big
	       : code == 1008 ? RC_C_close_policy
			      : RC_C_close_protocol;
}

void rc_ws_input(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t length)
{
	const struct rc_ws_limits limits = {
		.message_max = sv->config->client_message_max,
		.fragments_max = FRAGMENTS_MAX,
		.masked = true,
		.check_utf8 = true,
	};
	struct ws_input fresh;
	struct ws_input *in = c->ext;
	struct rc_ws_piece piece;
	size_t len = length;

	if (!in) {
		memset(&fresh, 0, sizeof(fresh));
		in = &fresh;
	}
	while (c->state == RC_CONN_OPEN) {
		enum rc_ws_result result = rc_ws_next(&in->decoder, &limits, &bytes, &len, &piece);
		if (result == RC_WS_MORE)
			break;
		if (result == RC_WS_CONTROL)
			handle_control(sv, c, &piece);
		else if (result == RC_WS_DATA)
			handle_data(sv, c, in, &piece);
		else
			rc_ws_close(sv, c, piece.close_code, piece.reason,
				counter_of(piece.close_code));
	}
	if (c->state == RC_CONN_OPEN && !rc_ws_at_rest(&in->decoder)) {
		if (in != &fresh)
			return;
		c->ext = rc_pool_get(sv->pool, sizeof(*in));
		if (c->ext) {
			memcpy(c->ext, &fresh, sizeof(fresh));
			return;
		}
		rc_ws_close(sv, c, 1013, "no memory for the message, try again later",
			RC_C_close_capacity);
	}
	/* At rest, or over. What a connection that is gone had in ext was given back by rc_ws_gone. */
	if (in == &fresh || c->ext == in) {
		free_message(sv, in);
		if (in != &fresh) {
			rc_pool_put(sv->pool, in, sizeof(*in));
			c->ext = NULL;
		}
	}
}

/* ---- coming and going --------------------------------------------------------------------------- */

void rc_ws_session(const struct rc_serve *sv, const struct rc_conn *c, char out[RC_WS_SESSION_LEN])
{
	/* Where it is, masked by the half that nobody can guess, then that half: 96 bits, 16 characters. */
	uint64_t mask = rc_hash_u64(&sv->hub->key, c->secret);
	uint32_t place = (uint32_t)(sv->shard << 24 | (rc_conn_slot(sv->conns, c) & 0xffffff)) ^
			 (uint32_t)mask;
	unsigned char raw[12];
	char text[16];

	memcpy(raw, &place, 4);
	memcpy(raw + 4, &c->secret, 8);
	(void)rc_base64_encode(raw, sizeof(raw), text);
	out[0] = 'c';
	for (int i = 0; i < 16; i++)
		out[1 + i] = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
}

void rc_ws_open(struct rc_serve *sv, struct rc_conn *c, struct rc_str query)
{
	struct rc_str rest = query, key, value;
	char session[RC_WS_SESSION_LEN];
	uint32_t sub;

	c->kind = RC_CONN_WS;
	c->secret = rc_random_secret(&sv->secrets);
	sv->clients++;
	rc_gauge_set(sv->counters, RC_C_clients, sv->clients);
	rc_count(sv->counters, RC_C_clients_opened, 1);
	while (rc_http_query_next(&rest, &key, &value)) {
		if (rc_str_eq(key, RC_STR("heartbeat")) && rc_str_eq(value, RC_STR("json")))
			c->flags |= RC_CONN_JSON_HEARTBEAT;
	}
	rc_ws_session(sv, c, session);
	struct rc_textbuf b = rc_ws_begin(sv, c, 512);
	if (!b.ptr)
		return;
	rc_msg_connected(&b, (struct rc_str){session, sizeof(session)}, (struct rc_str){NULL, 0},
		sv->config->heartbeat_ms, RC_STR(RC_VERSION));
	rc_ws_end(sv, c, &b);
	if (rc_replica_subscribe(sv->hub, rc_conn_slot(sv->conns, c), &c->subs,
		    RC_STR(RC_HUB_BROADCAST), false, RC_SUB_HIDDEN, &sub) != RC_SUBSCRIBED) {
		rc_count(sv->counters, RC_C_subscribe_refused_full, 1);
		rc_ws_error(sv, c, (struct rc_str){NULL, 0}, "server_capacity_exceeded", true,
			"the gateway has no room for one more client");
		rc_ws_close(sv, c, RC_CLOSE_OVER_CAPACITY, "over capacity", RC_C_close_capacity);
		return;
	}
	/* Spread over the interval, so that clients who came together are not all pinged together. */
	rc_conn_timer(sv->conns, c, 1 + rc_prng_below(&sv->prng, sv->config->heartbeat_ms));
	rc_ws_subscribe_query(sv, c, query);
}

/* Where the client stands in its patterns, whether an event came or not: so that it can come back there. */
static void tell_positions(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_textbuf b = {0};
	bool first = true;

	for (uint32_t i = c->subs; i != RC_NONE; i = rc_hub_sub(sv->hub, i)->next) {
		const struct rc_sub *s = rc_hub_sub(sv->hub, i);
		const struct rc_replica *r = rc_hub_replica(sv->hub, s->replica);
		if (!r->pattern || s->cursor != r->log.tail ||
			(s->flags & (RC_SUB_PAUSED | RC_SUB_HELD | RC_SUB_CONFLATED)))
			continue;
		if (first) {
			b = rc_ws_begin(sv, c,
				128 + (size_t)c->sub_count *
						(RC_CHANNEL_MAX + 8 +
							RC_STREAM_TEXT_MAX(
								sv->hub->limits.shards)));
			if (!b.ptr)
				return;
			rc_msg_positions_begin(&b, sv->wall_ms);
		}
		rc_msg_positions_stream(&b, rc_replica_name(r), rc_hub_position(sv->hub), first);
		first = false;
	}
	if (first)
		return;
	rc_msg_positions_end(&b);
	rc_ws_end(sv, c, &b);
}

void rc_ws_timer(struct rc_serve *sv, struct rc_conn *c)
{
	uint32_t heartbeat = sv->config->heartbeat_ms;
	uint64_t silent = (uint64_t)(sv->conns->tick - c->heard_tick) * RC_CONN_TICK_MS;

	if (c->state != RC_CONN_OPEN) {
		rc_count(sv->counters, RC_C_unanswered_closes, 1);
		rc_conn_kill(sv->conns, c);
		return;
	}
	if (silent >= 2 * (uint64_t)heartbeat) {
		rc_ws_close(sv, c, RC_CLOSE_HEARTBEAT, "no sign of life for two heartbeats",
			RC_C_close_heartbeat);
		return;
	}
	if (!(c->flags & RC_CONN_BLOCKED) && c->out_len == 0) {
		write_control(sv, c, RC_WS_PING, "", 0);
		rc_count(sv->counters, RC_C_pings_sent, 1);
		if (c->flags & RC_CONN_JSON_HEARTBEAT) {
			struct rc_textbuf b = rc_ws_begin(sv, c, 128);
			if (b.ptr) {
				rc_msg_ping(&b, sv->wall_ms);
				rc_ws_end(sv, c, &b);
			}
		}
		if (sv->hub->limits.keeps_history)
			tell_positions(sv, c);
	}
	rc_conn_timer(sv->conns, c,
		(uint32_t)RC_MIN((uint64_t)heartbeat, 2 * (uint64_t)heartbeat - silent));
}

void rc_ws_bye(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_textbuf b = rc_ws_begin(sv, c, 256);

	if (b.ptr) {
		uint32_t after = sv->config->reconnect_jitter_ms;
		rc_msg_bye(&b, "shutdown", after ? 1 + rc_prng_below(&sv->prng, after) : 0);
		rc_ws_end(sv, c, &b);
	}
	rc_ws_close(sv, c, 1012, "the gateway stops", RC_C_close_shutdown);
}

void rc_ws_renew(struct rc_serve *sv, struct rc_conn *c)
{
	rc_ws_close(sv, c, RC_CLOSE_RENEW, "the keys of this connection are used up, come back",
		RC_C_close_renewed);
}

void rc_ws_gone(struct rc_serve *sv, struct rc_conn *c)
{
	struct ws_input *in = c->ext;

	rc_ws_drop_subs(sv, c);
	sv->clients--;
	rc_gauge_set(sv->counters, RC_C_clients, sv->clients);
	rc_count(sv->counters, RC_C_clients_closed, 1);
	if (in) {
		free_message(sv, in);
		rc_pool_put(sv->pool, in, sizeof(*in));
		c->ext = NULL;
	}
}
