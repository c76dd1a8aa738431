/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON messages between a client and the gateway, protocol ringcast.v1.json: what a client says, parsed into slices
 * of its text; what the gateway says, appended to a text buffer (the JSON alone, no frame around it). Nothing is
 * allocated. Pure, any thread.
 *
 * A parsed message borrows the text: it is valid as long as that is.
 */
#ifndef RC_PROTO_MESSAGE_H
#define RC_PROTO_MESSAGE_H

#include "base/base.h"
#include "proto/json.h"
#include "proto/names.h"
#include "proto/textbuf.h"

/* Nesting of a client's message, its payload included. */
#define RC_MSG_DEPTH_MAX 64
/* Bytes of an id, its quotes included. */
#define RC_MSG_ID_MAX 128

enum rc_msg_type {
	RC_MSG_SUBSCRIBE,
	RC_MSG_UNSUBSCRIBE,
	RC_MSG_PUBLISH,
	RC_MSG_COMMAND,
	RC_MSG_PRESENCE,
	RC_MSG_HISTORY,
	RC_MSG_ACK,
	RC_MSG_REFRESH,
	RC_MSG_AUTH,
	RC_MSG_PING,
	RC_MSG_PONG,
	RC_MSG_OTHER
};

/* The words that all mean "channels"; an acknowledgement uses the plural of the one that was used. */
enum rc_msg_word {
	RC_WORD_CHANNELS,
	RC_WORD_CHANNEL,
	RC_WORD_CATEGORIES,
	RC_WORD_CATEGORY,
	RC_WORD_ROOMS,
	RC_WORD_ROOM
};

/* A type that the gateway itself understands; `command` is one of them. */
bool rc_msg_type_known(struct rc_str type);

/* Whether a name, of a field or in a query, is one of these. */
bool rc_msg_word_named(struct rc_str name, enum rc_msg_word *word);

/* Values that the message did not have are of kind RC_JSON_NONE. Which fields a type needs is the caller's to say. */
struct rc_msg {
	enum rc_msg_type type;
	struct rc_str
		type_raw;     /* the JSON string, quotes included; decodes to a valid event name */
	struct rc_str id_raw; /* the JSON string or number, to echo back; empty when none */
	bool has_channels;
	enum rc_msg_word word;
	struct rc_json_value channels; /* a string, or an array of strings */
	struct rc_str event_raw;       /* the JSON string, quotes included; empty when none */
	struct rc_json_value since, before, filter, ack, rate, window, key, summary;
	struct rc_json_value payload, data, action;
	struct rc_json_value client_id, limit, offset, token;
	struct rc_json_value idempotent;
	struct rc_str token_text; /* instead of token, where it came as it is; else NULL */
};

/* Why a message is refused, in the words of an error message. */
struct rc_msg_fault {
	const char *code; /* stable, snake_case: "bad_json", "bad_request" or "bad_channel" */
	char message[160];
};

/* The first fault is the one that is told: a second one is dropped. fault->code is NULL before. */
void RC_PRINTF(3, 4)
	rc_msg_blame(struct rc_msg_fault *fault, const char *code, const char *format, ...);
/* The beginning of a value, for such a text: without quotes, and not cut inside a character. */
struct rc_str rc_msg_excerpt(struct rc_json_value v);

/*
 * 0, or -EINVAL with the fault filled in. id_raw is filled in either case when the message had an id that could be read,
 * so that the error can answer it. A field that is known may stand once only; unknown ones are ignored.
 */
RC_MUST_USE int rc_msg_parse(struct rc_str text, struct rc_msg *out, struct rc_msg_fault *fault);

/* Walks the names of `channels`, also when it is a single string. Borrows the message's text. */
struct rc_msg_channels {
	struct rc_json_iter array;
	struct rc_str single;
};

void rc_msg_channels_begin(struct rc_msg_channels *it, const struct rc_msg *m);
/*
 * 1: the next name, decoded into buf and NUL-terminated. 0: no more. -EINVAL: it is too long or cannot be decoded; name
 * then borrows up to 64 of its bytes, for the error's text, and the walk can go on. A name is not classified here.
 */
RC_MUST_USE int rc_msg_channels_next(
	struct rc_msg_channels *it, char buf[RC_CHANNEL_MAX + 1], struct rc_str *name);

/* ---- gateway to client. id_raw is echoed as it is, and left out when empty. Texts are valid UTF-8. */

/* user is left out when empty, expires when 0. */
void rc_msg_connected(struct rc_textbuf *b, struct rc_str session, struct rc_str user,
	uint64_t expires_ms, uint32_t heartbeat_ms, struct rc_str version);
/* expires_ms: 0 = never, and left out. */
void rc_msg_refreshed(
	struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms, uint64_t expires_ms);
/* The event has its place. */
void rc_msg_ack(struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms, struct rc_str channel,
	uint64_t epoch, uint64_t offset);
/* What a backend answered; without json it is opaque bytes, which become base64. */
void rc_msg_reply(struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms, struct rc_str data,
	bool json);
void rc_msg_error(struct rc_textbuf *b, struct rc_str id_raw, const char *code, bool temporary,
	struct rc_str message, uint64_t wall_ms);
/* field: a JSON Pointer; without an address it is left out. */
void rc_msg_error_field(struct rc_textbuf *b, struct rc_str id_raw, const char *code,
	bool temporary, struct rc_str message, struct rc_str field, uint64_t wall_ms);
void rc_msg_pong(struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms);
void rc_msg_ping(struct rc_textbuf *b, uint64_t wall_ms);
void rc_msg_bye(struct rc_textbuf *b, const char *code, uint32_t reconnect_after_ms);
/*
 * channel: empty leaves it out, where a stream has several. reason: "slow", "trimmed", or one of rc_msg_suback_reason.
 * RC_MSG_NO_COUNT leaves `missed` out. position: the text of a position in the channel, or of one in the stream where a
 * pattern is meant; empty leaves it out.
 */
#define RC_MSG_NO_COUNT UINT64_MAX
void rc_msg_gap(struct rc_textbuf *b, struct rc_str channel, const char *reason, uint64_t missed,
	struct rc_str position);

/*
 * An acknowledgement, in steps, since its lists may be long:
 *
 *   begin, channel *, [ positions, ( position | stream ) *, [ recovered, outcome *, [ reasons, reason * ] ] ] end
 *
 * Only the caller knows how far it came, so end is told whether positions were begun.
 */
void rc_msg_suback_begin(struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms,
	enum rc_msg_word word, bool unsubscribe);
void rc_msg_suback_channel(struct rc_textbuf *b, struct rc_str name, bool first);
void rc_msg_suback_positions(struct rc_textbuf *b);
void rc_msg_suback_position(
	struct rc_textbuf *b, struct rc_str name, uint64_t epoch, uint64_t offset, bool first);
/* The position of a pattern: a text of rc_stream_text. */
void rc_msg_suback_stream(struct rc_textbuf *b, struct rc_str name, struct rc_str text, bool first);
void rc_msg_suback_recovered(struct rc_textbuf *b);
void rc_msg_suback_outcome(struct rc_textbuf *b, struct rc_str name, bool recovered, bool first);
void rc_msg_suback_reasons(struct rc_textbuf *b);
/* reason: "epoch", "trimmed", "ahead" or "too_many". */
void rc_msg_suback_reason(struct rc_textbuf *b, struct rc_str name, const char *reason, bool first);
void rc_msg_suback_end(struct rc_textbuf *b, bool positions);

/* Where the patterns of a client stand: begin, stream *, end. */
void rc_msg_positions_begin(struct rc_textbuf *b, uint64_t wall_ms);
void rc_msg_positions_stream(
	struct rc_textbuf *b, struct rc_str name, struct rc_str text, bool first);
void rc_msg_positions_end(struct rc_textbuf *b);

/* begin, ( event | opaque ) *, end. */
void rc_msg_history_begin(
	struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms, struct rc_str channel);
/* json: the payload of the event's text frame, as it is. */
void rc_msg_history_event(struct rc_textbuf *b, struct rc_str json, bool first);
/* The payload of a binary frame (a raw event), which becomes a string in base64. */
void rc_msg_history_opaque(struct rc_textbuf *b, struct rc_str bytes, bool first);
/* offset: the channel's present one. first_offset: that of the oldest event kept, 0 when none is. */
void rc_msg_history_end(struct rc_textbuf *b, uint64_t epoch, uint64_t offset,
	uint64_t first_offset, bool complete, bool more);

/* begin, [ users ], end. users: what stands between the brackets. */
void rc_msg_presence_begin(
	struct rc_textbuf *b, struct rc_str id_raw, uint64_t wall_ms, struct rc_str channel);
void rc_msg_presence_users(struct rc_textbuf *b, struct rc_str users);
void rc_msg_presence_end(
	struct rc_textbuf *b, uint32_t count, uint32_t clients, uint32_t anonymous, bool complete);

#endif
