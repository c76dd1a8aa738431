/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of the binary ingest protocol, read and written: stateless, over bytes that the caller owns; every slice
 * that comes out points into the bytes that went in. Pure, any thread. The numbers are in ringcast/wire.h, the
 * specification in README.md.
 *
 * Parsers return 0 or -EBADMSG when the body can't be read, unless they say more. They check the shape of a body and
 * never what its words mean: whether a channel is a channel name is for the caller, who can answer with a NACK.
 * Encoders write one whole frame and return its bytes, or 0 when it does not fit into cap (or a string is longer
 * than its prefix can say).
 */
#ifndef RC_PROTO_INGEST_H
#define RC_PROTO_INGEST_H

#include "base/base.h"
#include "ringcast/wire.h"

struct rc_ingest_frame {
	uint8_t type, flags;
	struct rc_str body;
	size_t total; /* bytes of the frame in all, its length included */
};

/*
 * The frame at the start of bytes. 0; 1 when more bytes are needed (out->total is then how many in all, or 0 while
 * the length itself is not there); -EMSGSIZE when its total is over frame_max, said as soon as the length is known;
 * -EBADMSG when the length is below 4 or reserved is not 0. After an error framing is lost.
 */
int rc_ingest_frame(
	const void *bytes, size_t len, size_t frame_max, struct rc_ingest_frame *out) RC_MUST_USE;

/* The flags that a frame of this type may carry. */
uint8_t rc_ingest_flags_known(uint8_t type);
/* "PUBLISH", for messages to people; "unknown" for the rest. */
const char *rc_ingest_type_name(uint8_t type);

/* ---- events ------------------------------------------------------------------------------------ */

struct rc_ingest_publish {
	uint64_t sequence;     /* > 0, the parsers see to it */
	uint64_t timestamp_ms; /* since 1970; 0 = the gateway's time */
	struct rc_str channel; /* empty in a BROADCAST */
	struct rc_str event;
	struct rc_str payload;
	struct rc_str trace; /* RINGCAST_TRACE_LEN bytes, or empty */
};

/* flags: of the frame; one of them says that a trace is there. The encoders go by event->trace for that, and set the flag. */
int rc_ingest_publish_parse(
	struct rc_str body, uint8_t flags, struct rc_ingest_publish *out) RC_MUST_USE;
int rc_ingest_broadcast_parse(
	struct rc_str body, uint8_t flags, struct rc_ingest_publish *out) RC_MUST_USE;
size_t rc_ingest_publish_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_ingest_publish *event);
size_t rc_ingest_broadcast_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_ingest_publish *event);

/* Whom a SEND or a CLOSE is for. */
struct rc_ingest_target {
	uint8_t kind;   /* RINGCAST_TARGET_ */
	uint16_t count; /* at least 1 */
	struct rc_str
		list; /* users: each behind a byte with its length, none checked; a session: its id */
};

struct rc_ingest_send {
	struct rc_ingest_publish event; /* without a channel */
	struct rc_ingest_target target;
};

struct rc_ingest_close {
	uint64_t sequence; /* > 0 */
	struct rc_ingest_target target;
	uint16_t code;
	struct rc_str reason;
};

int rc_ingest_send_parse(struct rc_str body, struct rc_ingest_send *out) RC_MUST_USE;
int rc_ingest_close_parse(struct rc_str body, struct rc_ingest_close *out) RC_MUST_USE;
size_t rc_ingest_send_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_ingest_send *send);
size_t rc_ingest_close_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_ingest_close *close);

/* A walk over the events of a BATCH. */
struct rc_ingest_batch {
	struct rc_str rest;
	uint32_t left; /* events */
	bool traced;
};

int rc_ingest_batch_begin(
	struct rc_str body, uint8_t flags, struct rc_ingest_batch *it) RC_MUST_USE;
/* 1 and an event, 0 at the end (where nothing may be left over), -EBADMSG. */
int rc_ingest_batch_next(struct rc_ingest_batch *it, struct rc_ingest_publish *out) RC_MUST_USE;
/*
 * Walks it all: 0, or -EBADMSG, so that a broken batch is refused before any event of it is taken. An empty batch and
 * sequences that do not grow within it are broken too.
 */
int rc_ingest_batch_check(struct rc_str body, uint8_t flags) RC_MUST_USE;

/*
 * Writing a BATCH into one buffer: begin, add as often as it fits, end. begin and add return the bytes that the frame
 * takes so far, or 0 when it does not fit and the buffer is as it was; end returns the frame's bytes. With the flag TRACE each
 * event must have one.
 */
size_t rc_ingest_batch_encode_begin(void *out, size_t cap, uint8_t flags);
size_t rc_ingest_batch_encode_add(
	void *out, size_t cap, size_t used, const struct rc_ingest_publish *event);
size_t rc_ingest_batch_encode_end(void *out, size_t used);

/* ---- backends: ingest_backend.c --------------------------------------------------------------------- */

/* Of REGISTER: a type of messages that this connection takes. */
struct rc_ingest_entry {
	struct rc_str type;
	uint8_t mode;  /* RINGCAST_MODE_ */
	uint8_t flags; /* RINGCAST_ENTRY_ */
	struct rc_str field;
};

struct rc_ingest_register {
	uint32_t credit;
	uint16_t count;
	struct rc_str list; /* of entries, as they lie */
};

/* All entries are there and nothing behind them; what they mean is not looked at. */
int rc_ingest_register_parse(struct rc_str body, struct rc_ingest_register *out) RC_MUST_USE;
/* Takes the next entry off a list. False: it was the last. */
bool rc_ingest_register_next(struct rc_str *list, struct rc_ingest_entry *out);
size_t rc_ingest_register_encode(void *out, size_t cap, uint32_t credit,
	const struct rc_ingest_entry *entries, uint16_t count);

/* What the gateway answers it with. */
struct rc_ingest_registered {
	uint32_t credit;
	uint32_t timeout_ms;
	uint16_t count;
};
int rc_ingest_registered_parse(struct rc_str body, struct rc_ingest_registered *out) RC_MUST_USE;
size_t rc_ingest_registered_encode(
	void *out, size_t cap, const struct rc_ingest_registered *registered);

struct rc_ingest_command {
	uint64_t id; /* 0: no reply is wanted */
	uint32_t deadline_ms;
	struct rc_str session, user, type;
	struct rc_str message; /* the client's id, as it wrote it */
	struct rc_str payload;
};
int rc_ingest_command_parse(struct rc_str body, struct rc_ingest_command *out) RC_MUST_USE;
size_t rc_ingest_command_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_ingest_command *command);
/* Bytes of the frame. */
size_t rc_ingest_command_bytes(const struct rc_ingest_command *command);

struct rc_ingest_reply {
	uint64_t id;
	struct rc_str code; /* empty: it is an answer */
	struct rc_str payload;
};
int rc_ingest_reply_parse(struct rc_str body, struct rc_ingest_reply *out) RC_MUST_USE;
size_t rc_ingest_reply_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_ingest_reply *reply);
/* 1 to 64 bytes of [a-z0-9_]. */
bool rc_ingest_code_valid(struct rc_str code);

struct rc_ingest_assign {
	uint64_t sequence; /* > 0 */
	struct rc_str session;
	bool on;
	uint16_t count;      /* at least 1 */
	struct rc_str names; /* each behind a byte with its length, none checked */
};
int rc_ingest_assign_parse(struct rc_str body, struct rc_ingest_assign *out) RC_MUST_USE;
size_t rc_ingest_assign_encode(void *out, size_t cap, const struct rc_ingest_assign *assign);

/* ---- HELLO ------------------------------------------------------------------------------------- */

/* From the client. What a later version appends to a HELLO is skipped. */
struct rc_ingest_hello {
	uint8_t version;
	struct rc_str publisher; /* empty = no idempotency */
	struct rc_str token;     /* empty = none */
	uint64_t last_known; /* the last sequence that the client knows to be decided, 0 = none */
};

/*
 * -EPROTO: not the magic; -EPROTONOSUPPORT: a version other than ours, which is in out->version, the rest is not
 * read; -EINVAL: read, but the publisher id is not one.
 */
int rc_ingest_hello_parse(struct rc_str body, struct rc_ingest_hello *out) RC_MUST_USE;
size_t rc_ingest_hello_encode(void *out, size_t cap, const struct rc_ingest_hello *hello);
/* 0 to 64 bytes of [A-Za-z0-9_.:-]. */
bool rc_ingest_publisher_valid(struct rc_str publisher);

/* From the gateway. */
struct rc_ingest_welcome {
	uint8_t version;
	struct rc_str server;   /* the gateway's version, for people */
	uint64_t last_sequence; /* that the gateway holds for the publisher id, 0 = none */
	uint32_t frame_max;     /* whole frames, bytes */
	uint32_t message_max;   /* payloads, bytes */
	uint32_t credit;        /* events that may be outstanding */
};

/* Errors as rc_ingest_hello_parse, without -EINVAL. */
int rc_ingest_welcome_parse(struct rc_str body, struct rc_ingest_welcome *out) RC_MUST_USE;
size_t rc_ingest_welcome_encode(void *out, size_t cap, const struct rc_ingest_welcome *welcome);

/* ---- answers and control ----------------------------------------------------------------------- */

struct rc_ingest_ack {
	uint64_t sequence;
	bool positioned; /* the frame has the flag POSITION, epoch and offset are there */
	struct rc_str epoch;
	uint64_t offset;
};
int rc_ingest_ack_parse(struct rc_str body, uint8_t flags, struct rc_ingest_ack *out) RC_MUST_USE;
size_t rc_ingest_ack_encode(void *out, size_t cap, const struct rc_ingest_ack *ack);

struct rc_ingest_nack {
	uint64_t sequence;
	uint16_t code;
	struct rc_str text; /* the encoder cuts it to 255 bytes, not inside a character */
};
int rc_ingest_nack_parse(struct rc_str body, struct rc_ingest_nack *out) RC_MUST_USE;
size_t rc_ingest_nack_encode(void *out, size_t cap, const struct rc_ingest_nack *nack);

int rc_ingest_flow_parse(struct rc_str body, uint32_t *credit) RC_MUST_USE;
size_t rc_ingest_flow_encode(void *out, size_t cap, uint32_t credit);

/* PING and PONG have the same body: a token that is echoed. */
int rc_ingest_ping_parse(struct rc_str body, uint64_t *token) RC_MUST_USE;
size_t rc_ingest_ping_encode(void *out, size_t cap, uint64_t token);
size_t rc_ingest_pong_encode(void *out, size_t cap, uint64_t token);

struct rc_ingest_error {
	uint16_t code;
	struct rc_str text; /* as in NACK */
};
int rc_ingest_error_parse(struct rc_str body, struct rc_ingest_error *out) RC_MUST_USE;
size_t rc_ingest_error_encode(void *out, size_t cap, const struct rc_ingest_error *error);

struct rc_ingest_bye {
	uint16_t code;
	uint32_t reconnect_after_ms; /* RINGCAST_BYE_NEVER: don't */
};
int rc_ingest_bye_parse(struct rc_str body, struct rc_ingest_bye *out) RC_MUST_USE;
size_t rc_ingest_bye_encode(void *out, size_t cap, const struct rc_ingest_bye *bye);

/* Room that is enough for each frame that the gateway sends. */
#define RC_INGEST_ANSWER_MAX 320

#endif
