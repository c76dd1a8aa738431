/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of the JSON protocol: framing, messages, heartbeats, closing. Its ext, while it has one, is a struct ws_input: a
 * client at rest has none.
 */
#include "serve/limits.h"
#include "serve/accesslog.h"
#include "serve/serve.h"

#include <stdio.h>

#include "hub/view.h"
#include "proto/base64.h"
#include "proto/message.h"
#include "proto/websocket.h"
#include "serve/binary.h"
#include "serve/commands.h"
#include "serve/inflate.h"
#include "serve/quality.h"
#include "serve/say.h"
#include "serve/session.h"
#include "serve/users.h"

#define FRAGMENTS_MAX 1024u
/* Bytes that stay free behind output_max, so that the close frame of a client over its limit still has room. */
#define CLOSE_ROOM 512u

struct ws_input {
	struct rc_ws_decoder decoder;
	unsigned char *message; /* what came of an unfinished message */
	uint32_t len, size;
	uint32_t since_tick; /* when what is unfinished began, or before */
	struct rc_inflate_rest rest;
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
	size_t header_len = rc_ws_header(
		header, c->stage & RC_WS_BIN ? RC_WS_BINARY : RC_WS_TEXT, true, b->len);

	if (header_len < 10)
		memmove(frame + header_len, b->ptr, b->len);
	memcpy(frame, header, header_len);
	rc_conn_commit(sv->conns, c, (uint32_t)(header_len + b->len));
}

static void tell_error(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw,
	const char *code, bool temporary, const char *message, struct rc_str field)
{
	rc_count(sv->counters, RC_C_messages_bad, 1);
	if (rc_bin_is(c)) {
		rc_bin_error(sv, c, id_raw, code, message);
		return;
	}
	struct rc_textbuf b =
		rc_ws_begin(sv, c, 256 + id_raw.len + 12 * strlen(message) + 6 * field.len);
	if (!b.ptr)
		return;
	rc_msg_error_field(&b, id_raw, code, temporary, rc_str_of(message), field, sv->wall_ms);
	rc_ws_end(sv, c, &b);
}

void rc_ws_error(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw, const char *code,
	bool temporary, const char *message)
{
	tell_error(sv, c, id_raw, code, temporary, message, (struct rc_str){NULL, 0});
}

void rc_ws_error_field(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw,
	const char *code, const char *message, const char *field)
{
	tell_error(sv, c, id_raw, code, false, message, rc_str_of(field));
}

void rc_ws_gap(struct rc_serve *sv, struct rc_conn *c, const struct rc_replica *r,
	const char *reason, uint64_t missed, uint64_t offset)
{
	char text[RC_POSITION_MAX];
	struct rc_str position = {text, 0};

	const struct rc_replica *base = rc_hub_base(sv->hub, r);
	bool whole = r == base || rc_view_of_whole(r);

	/* A view that has each event of its base counts back from the newest of these. */
	if (r != base && whole)
		offset += base->offset;
	if (!base->pattern && whole)
		position.len = rc_position_text(base->epoch, offset, text);
	rc_count(sv->counters, RC_C_gaps_sent, 1);
	if (rc_bin_is(c)) {
		rc_bin_gap(sv, c, rc_replica_name(base), reason, missed, position);
		return;
	}
	struct rc_textbuf b = rc_ws_begin(sv, c, 1024);
	if (!b.ptr)
		return;
	rc_msg_gap(&b, rc_replica_name(base), reason, missed, position);
	rc_ws_end(sv, c, &b);
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
	rc_access_client(sv, c, code, rc_str_of(reason));
	size_t len = rc_ws_close_frame(frame, code, reason);
	bool said = rc_conn_write(sv->conns, c, frame, (uint32_t)len, UINT32_MAX);
	if (c->kind == RC_CONN_WS)
		rc_ws_drop_subs(sv, c);
	rc_users_leave(sv, c);
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

static void pong(struct rc_serve *sv, struct rc_conn *c, struct rc_str id_raw)
{
	if (rc_bin_is(c)) {
		rc_bin_pong(sv, c, id_raw);
		return;
	}
	struct rc_textbuf b = rc_ws_begin(sv, c, 128 + id_raw.len);
	if (!b.ptr)
		return;
	rc_msg_pong(&b, id_raw, sv->wall_ms);
	rc_ws_end(sv, c, &b);
}

/* fault: of what could not be read (parsed < 0). */
static void handle(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m, int parsed,
	const struct rc_msg_fault *fault, struct rc_str text)
{
	/* What comes from the line was said before it was asked who the client is. */
	if (RC_UNLIKELY(rc_ws_stage(c) != RC_WS_LIVE) && !sv->from_line &&
		!rc_ws_admits(sv, c, m, parsed, text))
		return;
	if (parsed < 0) {
		rc_ws_error(sv, c, m->id_raw, fault->code, false, fault->message);
		return;
	}
	if ((m->type == RC_MSG_SUBSCRIBE || m->type == RC_MSG_UNSUBSCRIBE ||
		    m->type == RC_MSG_HISTORY || m->type == RC_MSG_PRESENCE) &&
		rc_ws_waits_in_line(sv, c, m, text))
		return;
	struct rc_say s = {.c = c, .id = m->id_raw};
	switch (m->type) {
	case RC_MSG_SUBSCRIBE:
		rc_ws_subscribe(sv, c, m);
		break;
	case RC_MSG_UNSUBSCRIBE:
		rc_ws_unsubscribe(sv, c, m);
		break;
	case RC_MSG_PING:
		pong(sv, c, m->id_raw);
		break;
	case RC_MSG_PONG:
		break;
	case RC_MSG_HISTORY:
		rc_say_history(sv, &s, m);
		break;
	case RC_MSG_PRESENCE:
		rc_say_presence(sv, &s, m);
		break;
	case RC_MSG_PUBLISH:
		rc_say_publish(sv, &s, m, text);
		break;
	case RC_MSG_AUTH:
		rc_ws_auth(sv, c, m);
		break;
	case RC_MSG_REFRESH:
		rc_ws_refresh(sv, c, m);
		break;
	case RC_MSG_COMMAND:
		rc_ws_command(sv, c, m);
		break;
	case RC_MSG_ACK:
		rc_ws_ack(sv, c, m);
		break;
	default:
		if (m->type == RC_MSG_OTHER && m->payload.kind != RC_JSON_NONE)
			rc_ws_command(sv, c, m);
		else
			unsupported(sv, c, m);
	}
}

void rc_ws_message(struct rc_serve *sv, struct rc_conn *c, struct rc_str text)
{
	struct rc_msg m;
	struct rc_msg_fault fault;
	struct rc_bin_room room;
	int parsed = rc_bin_is(c) ? rc_bin_read(text, &m, &fault, &room)
				  : rc_msg_parse(text, &m, &fault);

	handle(sv, c, &m, parsed, &fault, text);
}

static void handle_one(struct rc_serve *sv, struct rc_conn *c, struct rc_str text)
{
	rc_count(sv->counters, RC_C_messages_in, 1);
	rc_conn_aside(sv->conns, c)->messages_in++;
	if (rc_limits_message(sv, c, (uint32_t)text.len))
		rc_ws_message(sv, c, text);
}

/* Of a binary message each frame counts as one. */
static void handle_frames(struct rc_serve *sv, struct rc_conn *c, struct rc_str text)
{
	size_t len;

	do {
		len = rc_bin_next(sv, c, text);
		if (len == 0)
			return;
		handle_one(sv, c, (struct rc_str){text.ptr, len});
		text.ptr += len;
		text.len -= len;
	} while (text.len && c->state == RC_CONN_OPEN);
}

/* Who asked for it may say several things at once, a line each; each counts as a message. */
static void handle_message(struct rc_serve *sv, struct rc_conn *c, struct rc_str text)
{
	const char *at = text.ptr, *end = text.len ? text.ptr + text.len : text.ptr;

	if (rc_bin_is(c)) {
		handle_frames(sv, c, text);
		return;
	}
	if (RC_LIKELY(!(c->stage & RC_WS_BATCH)) || text.len == 0) {
		handle_one(sv, c, text);
		return;
	}
	while (at < end && c->state == RC_CONN_OPEN) {
		const char *line = at;
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		if (!stop)
			stop = end;
		at = stop < end ? stop + 1 : end;
		if (stop > line)
			handle_one(sv, c, (struct rc_str){line, (size_t)(stop - line)});
	}
}

/* As it came, whole. */
static void handle_whole(struct rc_serve *sv, struct rc_conn *c, const unsigned char *bytes,
	size_t len, bool deflated)
{
	struct rc_str text = {(const char *)bytes, len};

	if (!deflated || rc_inflate_message(sv, c, bytes, len, &text))
		handle_message(sv, c, text);
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
	if (piece->opcode == RC_WS_PING && rc_limits_message(sv, c, (uint32_t)piece->len))
		write_control(sv, c, RC_WS_PONG, piece->ptr, piece->len);
	else if (piece->opcode == RC_WS_PONG) {
		rc_quality_pong(sv, c, piece->ptr, piece->len);
		(void)rc_limits_pong(sv, c, (uint32_t)piece->len);
	} else if (piece->opcode == RC_WS_CLOSE)
		rc_ws_close_back(sv, c, piece);
}

static void handle_data(struct rc_serve *sv, struct rc_conn *c, struct ws_input *in,
	const struct rc_ws_piece *piece)
{
	if (piece->opcode != (rc_bin_is(c) ? RC_WS_BINARY : RC_WS_TEXT)) {
		rc_ws_close(sv, c, 1003,
			rc_bin_is(c) ? "messages are binary frames" : "messages are JSON text",
			RC_C_close_protocol);
		return;
	}
	if (piece->first && piece->last) {
		if (RC_LIKELY(!piece->deflated && !(c->stage & (RC_WS_BATCH | RC_WS_BIN))))
			handle_one(sv, c, (struct rc_str){(const char *)piece->ptr, piece->len});
		else
			handle_whole(sv, c, piece->ptr, piece->len, piece->deflated);
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
		handle_whole(sv, c, message, len, piece->deflated);
		rc_pool_put(sv->pool, message, size);
	}
}

/* Once per message that does not come in one piece. */
static void time_message(struct rc_serve *sv, struct rc_conn *c, struct ws_input *in)
{
	uint32_t timeout = sv->config->limit_message_timeout_ms;
	uint32_t due = sv->conns->tick + timeout / RC_CONN_TICK_MS + 1;

	in->since_tick = sv->conns->tick;
	/* The timer is the heartbeat's, which comes a little early then. Before that auth_timeout bounds all. */
	if (timeout && rc_ws_stage(c) == RC_WS_LIVE &&
		(!c->timer.due || (int32_t)(c->timer.due - due) > 0))
		rc_conn_timer(sv->conns, c, timeout);
}

/* Milliseconds that what is unfinished has left; 0: its time is over. */
static uint32_t message_left(const struct rc_serve *sv, const struct ws_input *in)
{
	uint64_t timeout = sv->config->limit_message_timeout_ms;
	uint64_t taken = (uint64_t)(sv->conns->tick - in->since_tick) * RC_CONN_TICK_MS;

	return timeout == 0 ? UINT32_MAX : taken >= timeout ? 0 : (uint32_t)(timeout - taken);
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
		.deflate = c->window_bits != 0,
	};
	struct ws_input fresh;
	struct ws_input *in = c->ext;
	struct rc_ws_piece piece;
	size_t len = length;
	bool ended = false; /* a message, since when another has begun */
	bool waits = false;

	if (RC_UNLIKELY(in && in->rest.bytes)) {
		/* More records of TLS that came with those before. */
		if (!rc_inflate_keep(sv, c, &in->rest, bytes, len))
			rc_ws_close(sv, c, 1013, "no memory for the message, try again later",
				RC_C_close_capacity);
		return;
	}
	if (!in) {
		memset(&fresh, 0, sizeof(fresh));
		in = &fresh;
	}
	while (c->state == RC_CONN_OPEN) {
		waits = len > 0 && rc_inflate_waits(sv, c);
		if (waits)
			break;
		enum rc_ws_result result = rc_ws_next(&in->decoder, &limits, &bytes, &len, &piece);
		if (result == RC_WS_MORE)
			break;
		ended |= result == RC_WS_DATA && piece.last;
		if (result == RC_WS_CONTROL)
			handle_control(sv, c, &piece);
		else if (result == RC_WS_DATA)
			handle_data(sv, c, in, &piece);
		else
			rc_ws_close(sv, c, piece.close_code, piece.reason,
				counter_of(piece.close_code));
	}
	if (c->state == RC_CONN_OPEN && (waits || !rc_ws_at_rest(&in->decoder))) {
		if (in == &fresh) {
			c->ext = rc_pool_get(sv->pool, sizeof(*in));
			if (c->ext)
				in = memcpy(c->ext, &fresh, sizeof(fresh));
			ended = true;
		}
		if (c->ext && (ended || waits))
			time_message(sv, c, in);
		if (c->ext && (!waits || rc_inflate_keep(sv, c, &in->rest, bytes, len)))
			return;
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

/* With what waited. */
void rc_ws_go_on(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len)
{
	struct ws_input *in = c->ext;

	in->rest = (struct rc_inflate_rest){0};
	c->flags &= (uint16_t)~RC_CONN_HELD;
	if (c->state == RC_CONN_OPEN)
		rc_ws_input(sv, c, bytes, len);
}

bool rc_ws_ends_later(struct rc_conn *c)
{
	struct ws_input *in = c->ext;

	if (!in || !in->rest.bytes)
		return false;
	in->rest.last = true;
	return true;
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

/* Whether it can't tell from the events themselves where it stands: patterns, which may be quiet for long, and raw channels. */
static bool position_is_told(const struct rc_serve *sv, const struct rc_sub *s)
{
	const struct rc_replica *r = rc_hub_replica(sv->hub, s->replica);
	const struct rc_replica *base = rc_hub_base(sv->hub, r);
	const struct rc_hub_namespace *ns = &sv->hub->namespaces[r->ns];
	bool raw = rc_hub_is_raw(sv->hub, r->ns, rc_replica_name(base));

	return (base->pattern || (raw && ns->history_size)) && s->cursor == r->log.tail &&
	       !rc_view_keeps_back(r) &&
	       !(s->flags & (RC_SUB_PAUSED | RC_SUB_HELD | RC_SUB_CONFLATED | RC_SUB_HIDDEN));
}

static struct rc_str position_of(
	struct rc_serve *sv, const struct rc_replica *r, char text[RC_POSITION_MAX])
{
	if (r->pattern)
		return rc_hub_position(sv->hub);
	return (struct rc_str){text, rc_position_text(r->epoch, r->offset, text)};
}

/* Where the client stands, whether an event came or not: so that it can come back there. */
void rc_ws_tell_positions(struct rc_serve *sv, struct rc_conn *c)
{
	struct rc_textbuf b = {0};
	char text[RC_POSITION_MAX];
	bool first = true;

	for (uint32_t i = c->subs; i != RC_NONE && c->state == RC_CONN_OPEN;
		i = rc_hub_sub(sv->hub, i)->next) {
		const struct rc_replica *r = rc_hub_sub_base(sv->hub, i);
		if (!position_is_told(sv, rc_hub_sub(sv->hub, i)))
			continue;
		if (rc_bin_is(c)) {
			rc_bin_position(sv, c, rc_replica_name(r), position_of(sv, r, text));
			/* Over its limit it has been closed, and has no subscriptions. */
			if (c->state != RC_CONN_OPEN)
				return;
			continue;
		}
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
		rc_msg_positions_stream(&b, rc_replica_name(r), position_of(sv, r, text), first);
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
	if (c->ext && message_left(sv, c->ext) == 0) {
		rc_ws_close(sv, c, 1008, "a message was not complete in time", RC_C_close_stalled);
		return;
	}
	rc_limits_rest(sv, c);
	if (rc_ws_stage(c) != RC_WS_LIVE) {
		rc_ws_not_known(sv, c);
		return;
	}
	if (rc_session_over(sv, c)) {
		rc_ws_close(sv, c, RC_CLOSE_TOKEN, "token expired", RC_C_close_token);
		return;
	}
	if (silent >= 2 * (uint64_t)heartbeat) {
		rc_ws_close(sv, c, RC_CLOSE_HEARTBEAT, "no sign of life for two heartbeats",
			RC_C_close_heartbeat);
		return;
	}
	if (!(c->flags & RC_CONN_BLOCKED) && c->out_len == 0) {
		unsigned char ping[RC_QUALITY_PING];
		rc_quality_ping(sv, c, ping);
		write_control(sv, c, RC_WS_PING, ping, sizeof(ping));
		rc_count(sv->counters, RC_C_pings_sent, 1);
		if (c->flags & RC_CONN_JSON_HEARTBEAT) {
			struct rc_textbuf b = rc_ws_begin(sv, c, 128);
			if (b.ptr) {
				rc_msg_ping(&b, sv->wall_ms);
				rc_ws_end(sv, c, &b);
			}
		}
		if (sv->hub->limits.keeps_history)
			rc_ws_tell_positions(sv, c);
	}
	uint64_t next = RC_MIN((uint64_t)heartbeat, 2 * (uint64_t)heartbeat - silent);
	if (c->ext)
		next = RC_MIN(next, (uint64_t)message_left(sv, c->ext));
	rc_conn_timer(sv->conns, c, rc_session_clamp(sv, c, (uint32_t)next));
}

void rc_ws_bye(struct rc_serve *sv, struct rc_conn *c)
{
	uint32_t after = sv->config->reconnect_jitter_ms;

	after = after ? 1 + rc_prng_below(&sv->prng, after) : 0;
	if (rc_bin_is(c)) {
		rc_bin_bye(sv, c, after);
	} else {
		struct rc_textbuf b = rc_ws_begin(sv, c, 256);
		if (b.ptr)
			rc_msg_bye(&b, "shutdown", after);
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

	rc_access_client(sv, c, 1006, RC_STR("the connection was lost"));
	if (rc_session_user(sv, c).len && rc_ws_stage(c) == RC_WS_LIVE)
		rc_gauge_add(sv->counters, RC_C_clients_known, -1);
	if (c->window_bits)
		rc_gauge_add(sv->counters, RC_C_clients_deflate, -1);
	rc_ws_drop_subs(sv, c);
	sv->clients--;
	rc_gauge_set(sv->counters, RC_C_clients, sv->clients);
	rc_count(sv->counters, RC_C_clients_closed, 1);
	if (in) {
		rc_inflate_drop(sv, &in->rest);
		free_message(sv, in);
		rc_pool_put(sv->pool, in, sizeof(*in));
		c->ext = NULL;
	}
}
