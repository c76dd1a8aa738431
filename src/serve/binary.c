/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames of who listens: read into messages, and written as answers. See binary.h.
 */
#include "serve/binary.h"

#include <endian.h>

#include "proto/since.h"
#include "serve/api.h"
#include "serve/publisher.h"
#include "serve/session.h"

/* The largest of the small frames: a SUBSCRIBE with a name and a stream position. */
#define SMALL_MAX 2048u

/* ---- output ------------------------------------------------------------------------------------- */

void rc_bin_say(struct rc_serve *sv, struct rc_conn *c, const void *frame, size_t len)
{
	RC_ASSERT(len > 0);
	if (c->kind == RC_CONN_INGEST) {
		if (c->state == RC_CONN_OPEN)
			rc_publisher_reply(sv, c, frame, len);
		return;
	}
	struct rc_textbuf b = rc_ws_begin(sv, c, len);
	if (!b.ptr)
		return;
	memcpy(b.ptr, frame, len);
	b.len = len;
	rc_ws_end(sv, c, &b);
}

static void say_error(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *text)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_error e = {.code = code, .text = rc_str_of(text)};

	rc_bin_say(sv, c, frame, rc_ingest_error_encode(frame, sizeof(frame), &e));
}

static void fail(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *text)
{
	say_error(sv, c, code, text);
	if (c->kind == RC_CONN_WS)
		rc_ws_close(sv, c, 1002, text, RC_C_close_protocol);
	else if (c->state == RC_CONN_OPEN)
		rc_publisher_stop_taking(sv, c->ext);
}

/* What the words of an error are in the answer to a PUBLISH, to a SUBSCRIBE, and to anything else. */
static const struct words {
	const char *code;
	uint16_t nack;
	uint8_t verdict;
	uint16_t error;
} words[] = {
	{"bad_channel", RINGCAST_NACK_BAD_CHANNEL, RINGCAST_VERDICT_BAD_CHANNEL,
		RINGCAST_ERROR_BAD_REQUEST},
	{"bad_event", RINGCAST_NACK_BAD_EVENT, RINGCAST_VERDICT_BAD_CHANNEL,
		RINGCAST_ERROR_BAD_REQUEST},
	{"too_large", RINGCAST_NACK_TOO_LARGE, RINGCAST_VERDICT_LIMIT, RINGCAST_ERROR_BAD_REQUEST},
	{"forbidden", RINGCAST_NACK_FORBIDDEN, RINGCAST_VERDICT_FORBIDDEN,
		RINGCAST_ERROR_NOT_ALLOWED},
	{"unauthorized", RINGCAST_NACK_FORBIDDEN, RINGCAST_VERDICT_FORBIDDEN,
		RINGCAST_ERROR_TOKEN_REFUSED},
	{"rate_limited", RINGCAST_NACK_RATE_LIMIT, RINGCAST_VERDICT_RATE_LIMIT,
		RINGCAST_ERROR_RATE_LIMIT},
	{"limit_exceeded", RINGCAST_NACK_OVER_CAPACITY, RINGCAST_VERDICT_LIMIT,
		RINGCAST_ERROR_LIMIT},
	{"server_capacity_exceeded", RINGCAST_NACK_OVER_CAPACITY, RINGCAST_VERDICT_OVER_CAPACITY,
		RINGCAST_ERROR_BUSY},
	{"unsupported", RINGCAST_NACK_NOT_SUPPORTED, RINGCAST_VERDICT_BAD_CHANNEL,
		RINGCAST_ERROR_NOT_SUPPORTED},
	{"unknown_flags", RINGCAST_NACK_NOT_SUPPORTED, RINGCAST_VERDICT_BAD_CHANNEL,
		RINGCAST_ERROR_UNKNOWN_FLAGS},
	{"type", RINGCAST_NACK_NOT_SUPPORTED, RINGCAST_VERDICT_BAD_CHANNEL,
		RINGCAST_ERROR_UNKNOWN_TYPE},
	{"body", RINGCAST_NACK_BAD_PAYLOAD, RINGCAST_VERDICT_BAD_CHANNEL, RINGCAST_ERROR_BAD_BODY},
};
static const struct words other_words = {
	"", RINGCAST_NACK_BAD_PAYLOAD, RINGCAST_VERDICT_BAD_SINCE, RINGCAST_ERROR_BAD_REQUEST};

static const struct words *words_of(const char *code)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(words); i++) {
		if (strcmp(words[i].code, code) == 0)
			return &words[i];
	}
	return &other_words;
}

static uint64_t sequence_of(struct rc_str id)
{
	uint64_t sequence = 0;

	RC_ASSERT(id.len == 1 + sizeof(sequence));
	memcpy(&sequence, id.ptr + 1, sizeof(sequence));
	return le64toh(sequence);
}

void rc_bin_error(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, const char *code,
	const char *message)
{
	const struct words *w = words_of(code);
	uint8_t type = id.len ? (uint8_t)id.ptr[0] : 0;

	if (type == RINGCAST_FRAME_PUBLISH) {
		unsigned char frame[RC_INGEST_ANSWER_MAX];
		struct rc_ingest_nack n = {
			.sequence = sequence_of(id), .code = w->nack, .text = rc_str_of(message)};
		rc_bin_say(sv, c, frame, rc_ingest_nack_encode(frame, sizeof(frame), &n));
	} else if (type == RINGCAST_FRAME_COMMAND) {
		rc_bin_replied(sv, c, id, rc_str_of(code), rc_str_of(message), false);
	} else if (type == RINGCAST_FRAME_SUBSCRIBE) {
		rc_bin_subscribed(sv, c, (struct rc_str){id.ptr + 1, id.len - 1}, false, w->verdict,
			rc_str_of(message));
	} else if (w->error == RINGCAST_ERROR_BAD_BODY) {
		fail(sv, c, w->error, message);
	} else {
		say_error(sv, c, w->error, message);
	}
}

void rc_bin_greet(struct rc_serve *sv, struct rc_conn *c)
{
	const struct rc_claims *claims = rc_session_claims(sv, c);
	char session[RC_WS_SESSION_LEN];
	unsigned char frame[SMALL_MAX];
	struct rc_bin_welcome w = {
		.common = {.version = RINGCAST_WIRE_VERSION,
			.server = RC_STR("ringcast/" RC_VERSION),
			.frame_max = sv->config->client_message_max,
			.message_max =
				RC_MIN(sv->config->max_message, sv->config->client_message_max),
			.credit = UINT32_MAX},
		.session = {session, sizeof(session)},
		.user = rc_session_user(sv, c),
		.heartbeat_ms = sv->config->heartbeat_ms,
		.expires_ms = claims ? claims->expires_ms : 0,
	};

	rc_ws_session(sv, c, session);
	rc_bin_say(sv, c, frame, rc_bin_welcome_encode(frame, sizeof(frame), &w));
}

void rc_bin_subscribed(struct rc_serve *sv, struct rc_conn *c, struct rc_str name, bool off,
	uint8_t verdict, struct rc_str text)
{
	unsigned char frame[SMALL_MAX];
	struct rc_bin_subscribed s = {.name = name, .verdict = verdict, .text = text};

	rc_bin_say(sv, c, frame,
		rc_bin_subscribed_encode(frame, sizeof(frame), off ? RINGCAST_FLAG_OFF : 0, &s));
}

void rc_bin_unsubscribed(struct rc_serve *sv, struct rc_conn *c, struct rc_str id)
{
	rc_bin_subscribed(sv, c, (struct rc_str){id.ptr + 1, id.len - 1}, true,
		RINGCAST_VERDICT_LIVE, (struct rc_str){"", 0});
}

void rc_bin_pong(struct rc_serve *sv, struct rc_conn *c, struct rc_str id)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];

	rc_bin_say(sv, c, frame, rc_ingest_pong_encode(frame, sizeof(frame), sequence_of(id)));
}

void rc_bin_published(
	struct rc_serve *sv, struct rc_conn *c, struct rc_str id, uint64_t epoch, uint64_t offset)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	char text[12];
	struct rc_ingest_ack a = {.sequence = sequence_of(id),
		.positioned = true,
		.epoch = {text, rc_epoch_text(epoch, text)},
		.offset = offset};

	rc_bin_say(sv, c, frame, rc_ingest_ack_encode(frame, sizeof(frame), &a));
}

void rc_bin_replied(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, struct rc_str code,
	struct rc_str data, bool json)
{
	const struct rc_ingest_reply r = {.id = sequence_of(id), .code = code, .payload = data};
	size_t bound = 64 + code.len + data.len;
	struct rc_textbuf b = rc_ws_begin(sv, c, bound);

	if (!b.ptr)
		return;
	b.len = rc_ingest_reply_encode(b.ptr, bound, json ? RINGCAST_FLAG_JSON : 0, &r);
	RC_ASSERT(b.len > 0);
	rc_ws_end(sv, c, &b);
}

struct rc_str rc_bin_number(struct rc_str id, char buf[RC_U64_TEXT_MAX])
{
	return (struct rc_str){buf, rc_u64_text(sequence_of(id), buf)};
}

void rc_bin_refreshed(struct rc_serve *sv, struct rc_conn *c)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	const struct rc_claims *claims = rc_session_claims(sv, c);

	rc_bin_say(sv, c, frame,
		rc_bin_refreshed_encode(frame, sizeof(frame), claims ? claims->expires_ms : 0));
}

void rc_bin_position(
	struct rc_serve *sv, struct rc_conn *c, struct rc_str name, struct rc_str position)
{
	unsigned char frame[SMALL_MAX];
	struct rc_bin_position p = {.name = name, .position = position};

	rc_bin_say(sv, c, frame, rc_bin_position_encode(frame, sizeof(frame), &p));
}

void rc_bin_gap(struct rc_serve *sv, struct rc_conn *c, struct rc_str name, const char *reason,
	uint64_t missed, struct rc_str position)
{
	unsigned char frame[SMALL_MAX];
	struct rc_bin_gap g = {
		.reason = strcmp(reason, "slow") == 0 ? RINGCAST_GAP_SLOW : RINGCAST_GAP_TRIMMED,
		.missed = missed == RC_MSG_NO_COUNT ? RINGCAST_GAP_UNKNOWN : missed,
		.channel = name,
		.position = position,
	};

	rc_bin_say(sv, c, frame, rc_bin_gap_encode(frame, sizeof(frame), &g));
}

void rc_bin_bye(struct rc_serve *sv, struct rc_conn *c, uint32_t after_ms)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_bye b = {.code = RINGCAST_BYE_SHUTDOWN, .reconnect_after_ms = after_ms};

	rc_bin_say(sv, c, frame, rc_ingest_bye_encode(frame, sizeof(frame), &b));
}

void rc_bin_direct(struct rc_serve *sv, struct rc_conn *c, struct rc_str event, struct rc_str data,
	bool json, uint64_t timestamp_ms)
{
	const struct rc_bin_event e = {
		.flags = json ? RINGCAST_FLAG_JSON : 0,
		.timestamp_ms = timestamp_ms,
		.channel = {"", 0},
		.event = event,
		.payload = data.len || !json ? data : RC_STR("null"),
	};
	size_t bound = 64 + event.len + e.payload.len;
	struct rc_textbuf b = rc_ws_begin(sv, c, bound);

	if (!b.ptr)
		return;
	b.len = rc_bin_event_encode(b.ptr, bound, &e);
	RC_ASSERT(b.len > 0);
	rc_ws_end(sv, c, &b);
}

/* ---- input -------------------------------------------------------------------------------------- */

size_t rc_bin_next(struct rc_serve *sv, struct rc_conn *c, struct rc_str message)
{
	struct rc_ingest_frame f;

	if (rc_ingest_frame(message.ptr, message.len, message.len, &f) == 0)
		return f.total;
	fail(sv, c, RINGCAST_ERROR_BAD_FRAME, "a message holds whole frames");
	return 0;
}

/* In quotes, as the fields of a message stand. False: it has bytes that no such text has. */
static bool quote(struct rc_str text, char *room, size_t cap, struct rc_json_value *out)
{
	if (text.len + 2 > cap)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char b = text.ptr[i];
		if (b < 0x20 || b == 0x7f || b == '"' || b == '\\')
			return false;
	}
	room[0] = '"';
	*(char *)rc_str_copy(room + 1, text) = '"';
	*out = (struct rc_json_value){RC_JSON_STRING, {room, text.len + 2}};
	return true;
}

static void set_id(struct rc_msg *m, struct rc_bin_room *room, uint8_t type, struct rc_str of)
{
	room->id[0] = (char)type;
	(void)rc_str_copy(room->id + 1, of);
	m->id_raw = (struct rc_str){room->id, 1 + of.len};
}

static int blame(struct rc_msg_fault *fault, const char *code, const char *message)
{
	rc_msg_blame(fault, code, "%s", message);
	return -1;
}

static int bad_body(struct rc_msg_fault *fault)
{
	return blame(fault, "body", "the body of this frame can't be read");
}

static int read_subscribe(const struct rc_ingest_frame *f, struct rc_msg *m,
	struct rc_msg_fault *fault, struct rc_bin_room *room)
{
	struct rc_bin_subscribe s;
	bool off = (f->flags & RINGCAST_FLAG_OFF) != 0;

	if (rc_bin_subscribe_parse(f->body, &s) < 0)
		return bad_body(fault);
	set_id(m, room, RINGCAST_FRAME_SUBSCRIBE, s.name);
	m->type = off ? RC_MSG_UNSUBSCRIBE : RC_MSG_SUBSCRIBE;
	m->has_channels = !off || s.name.len;
	if (!quote(s.name, room->name, sizeof(room->name), &m->channels))
		return blame(
			fault, "bad_channel", "this is not the name of a channel or a pattern");
	if (!off && s.since.len && !quote(s.since, room->since, sizeof(room->since), &m->since))
		return blame(fault, "bad_request", "since is none");
	/* A number stands there as a number. */
	bool digits = !off && s.since.len > 0;
	for (size_t i = 0; digits && i < s.since.len; i++)
		digits = s.since.ptr[i] >= '0' && s.since.ptr[i] <= '9';
	if (digits)
		m->since = (struct rc_json_value){RC_JSON_NUMBER, {room->since + 1, s.since.len}};
	return 0;
}

/* Whose answer names a number of the client's own, which stands first. */
static int read_numbered(const struct rc_ingest_frame *f, struct rc_msg *m, enum rc_msg_type type,
	struct rc_msg_fault *fault, struct rc_bin_room *room)
{
	if (f->body.len < 8)
		return bad_body(fault);
	m->type = type;
	set_id(m, room, f->type, (struct rc_str){f->body.ptr, 8});
	return 0;
}

static int read_publish(const struct rc_ingest_frame *f, struct rc_msg *m,
	struct rc_msg_fault *fault, struct rc_bin_room *room)
{
	struct rc_ingest_publish e;

	if (rc_ingest_publish_parse(f->body, f->flags, &e) < 0)
		return bad_body(fault);
	return read_numbered(f, m, RC_MSG_PUBLISH, fault, room);
}

/* What it says is JSON, as that of other clients. */
static int read_command(const struct rc_ingest_frame *f, struct rc_msg *m,
	struct rc_msg_fault *fault, struct rc_bin_room *room)
{
	struct rc_json_value type;
	struct rc_bin_command c;

	if (rc_bin_command_parse(f->body, &c) < 0)
		return bad_body(fault);
	if (read_numbered(f, m, RC_MSG_OTHER, fault, room) < 0)
		return -1;
	if (!rc_event_name_valid(c.type) || !quote(c.type, room->type, sizeof(room->type), &type))
		return blame(fault, "bad_request",
			"a type is 1 to 128 bytes without quotes, backslashes, control characters");
	if (!(f->flags & RINGCAST_FLAG_JSON) || rc_json_validate(c.payload, RC_MSG_DEPTH_MAX) < 0)
		return blame(fault, "bad_json", "what a command says is JSON, and flagged so");
	m->type = rc_str_eq(c.type, RC_STR("command")) ? RC_MSG_COMMAND : RC_MSG_OTHER;
	m->type_raw = type.raw;
	m->action = m->payload = rc_json_root(c.payload);
	if (f->flags & RINGCAST_FLAG_IDEMPOTENT)
		m->idempotent = (struct rc_json_value){RC_JSON_TRUE, RC_STR("true")};
	return 0;
}

static int read_token(const struct rc_ingest_frame *f, struct rc_msg *m, enum rc_msg_type type,
	struct rc_msg_fault *fault)
{
	m->type = type;
	return rc_bin_token_parse(f->body, &m->token_text) < 0 ? bad_body(fault) : 0;
}

static uint8_t flags_known(uint8_t type)
{
	return type == RINGCAST_FRAME_PUBLISH
		       ? RINGCAST_FLAG_JSON | RINGCAST_FLAG_WANT_ACK | RINGCAST_FLAG_POSITION |
				 RINGCAST_FLAG_TRACE | RINGCAST_FLAG_NO_ECHO
		       : rc_ingest_flags_known(type);
}

int rc_bin_read(
	struct rc_str frame, struct rc_msg *m, struct rc_msg_fault *fault, struct rc_bin_room *room)
{
	struct rc_ingest_frame f;
	int rc;

	memset(m, 0, sizeof(*m));
	m->type = RC_MSG_OTHER;
	fault->code = NULL;
	if (rc_ingest_frame(frame.ptr, frame.len, frame.len, &f) != 0)
		RC_FAIL("a frame that was found whole is not");
	switch (f.type) {
	case RINGCAST_FRAME_SUBSCRIBE:
		rc = read_subscribe(&f, m, fault, room);
		break;
	case RINGCAST_FRAME_PUBLISH:
		rc = read_publish(&f, m, fault, room);
		break;
	case RINGCAST_FRAME_PING:
		rc = f.body.len == 8 ? read_numbered(&f, m, RC_MSG_PING, fault, room)
				     : bad_body(fault);
		break;
	case RINGCAST_FRAME_PONG:
		m->type = RC_MSG_PONG;
		return 0;
	case RINGCAST_FRAME_COMMAND:
		rc = read_command(&f, m, fault, room);
		break;
	case RINGCAST_FRAME_AUTH:
		rc = read_token(&f, m, RC_MSG_AUTH, fault);
		break;
	case RINGCAST_FRAME_REFRESH:
		rc = read_token(&f, m, RC_MSG_REFRESH, fault);
		break;
	default:
		return blame(fault, "type", "this gateway does not take such frames");
	}
	if (rc == 0 && (f.flags & ~flags_known(f.type)))
		return blame(fault, "unknown_flags", "the frame has flags that are not known");
	return rc;
}

int rc_bin_event_read(
	struct rc_str frame, bool validated, uint32_t message_max, struct rc_api_event *out)
{
	struct rc_ingest_frame f;
	struct rc_ingest_publish e;

	if (rc_ingest_frame(frame.ptr, frame.len, frame.len, &f) != 0 ||
		rc_ingest_publish_parse(f.body, f.flags, &e) < 0)
		RC_FAIL("a PUBLISH that was read can't be read again");
	*out = (struct rc_api_event){.channel = e.channel,
		.event = e.event,
		.data = e.payload,
		.json = (f.flags & RINGCAST_FLAG_JSON) != 0,
		.echo = !(f.flags & RINGCAST_FLAG_NO_ECHO)};
	if (rc_name_classify(e.channel) != RC_NAME_CHANNEL || rc_name_reserved(e.channel))
		return RC_API_BAD_CHANNEL;
	if (!rc_event_name_valid(e.event))
		return RC_API_BAD_EVENT;
	if (e.payload.len > message_max)
		return RC_API_TOO_LARGE;
	if (!validated && out->json && rc_json_validate(e.payload, RC_MSG_DEPTH_MAX) < 0)
		return RC_API_BAD_JSON;
	if (e.trace.len && rc_trace_valid((const unsigned char *)e.trace.ptr)) {
		out->traced = true;
		memcpy(out->trace, e.trace.ptr, sizeof(out->trace));
	}
	return RC_API_UNDECIDED;
}
