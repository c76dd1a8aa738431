/* SPDX-License-Identifier: Apache-2.0
 *
 * The event on its way to WebSocket clients: one complete frame that is made once and then sent to every subscriber. And
 * the texts of its place: epoch, position in the channel, position in the stream of all channels. Nothing is allocated.
 * Pure; an encoder belongs to one thread.
 *
 *   {"type":"event","channel":"…","event":"…","offset":42,"timestamp":"2026-01-15T10:15:00.000Z","data":…}
 *
 * What the gateway itself says in a channel has another type (join, leave, presence), and may name a user behind the timestamp.
 * "traceparent":"…" may stand there in a publisher's event. JSON data stands there byte for byte; opaque data as
 * "encoding":"base64","data":"…". What comes through a pattern may have
 * "position":"…" behind that.
 */
#ifndef RC_PROTO_EVENT_H
#define RC_PROTO_EVENT_H

#include "base/base.h"
#include "base/clock.h"

/* What stands as its type: a publisher's event, or the gateway's own word about who is in the channel. */
enum rc_event_kind {
	RC_EVENT_PUBLISHED,
	RC_EVENT_JOIN,
	RC_EVENT_LEAVE,
	RC_EVENT_PRESENCE,
	RC_EVENT_KINDS
};

/* All slices are borrowed for the call. channel and event are valid names. */
struct rc_event {
	struct rc_str channel, event;
	struct rc_str
		data; /* when json, a text that rc_json_validate accepted (empty means null); else any bytes */
	uint64_t offset, timestamp_ms;
	bool json;
	uint8_t kind; /* enum rc_event_kind; raw ones are RC_EVENT_PUBLISHED */
	struct rc_str
		user; /* valid UTF-8; whom it is about, if it is not published; may be empty */
	const unsigned char *trace; /* RC_TRACE_BYTES (trace.h); NULL = none, or not told */
};

/* The text of the last timestamp: most events share its second. The zero value is valid. */
struct rc_event_encoder {
	uint64_t ms;
	char iso[RC_ISO8601_LEN];
};

/* At least as many bytes as the frame will have. */
size_t rc_event_ws_bound(const struct rc_event *e, bool raw);
/*
 * Writes one complete unmasked server frame and returns its length. raw: the publisher's bytes are the whole payload, in
 * a text frame when json, else in a binary one.
 */
size_t rc_event_ws_encode(
	struct rc_event_encoder *encoder, unsigned char *out, const struct rc_event *e, bool raw);

/* ---- the frame again: other renditions are made from it (event_view.c) */

/* Bytes that rc_event_ws_position may write for a frame and a position of these lengths. */
#define RC_EVENT_POSITION_BOUND(frame_len, position_len) ((frame_len) + (position_len) + 32)
/*
 * Copies the frame with ,"position":"…" in front of its last brace, under a header of its own, and returns the length. What
 * is not a whole unmasked text frame that begins as an event's object and ends with a brace (a raw event) is copied as it
 * is. The position is one that this file wrote: it needs no escapes.
 */
size_t rc_event_ws_position(
	unsigned char *out, const unsigned char *frame, size_t frame_len, struct rc_str position);

/*
 * The same with ,"redelivered":times there. At most RC_EVENT_REDELIVERED_MAX bytes longer than the frame.
 */
#define RC_EVENT_REDELIVERED_MAX 40
size_t rc_event_ws_redelivered(
	unsigned char *out, const unsigned char *frame, size_t frame_len, uint32_t times);

/* Slices of the frame. */
struct rc_event_view {
	struct rc_str payload;   /* the whole object */
	struct rc_str channel;   /* needs no decoding */
	struct rc_str event_raw; /* without its quotes (they stand around it), still escaped */
	struct rc_str data;      /* the JSON text, or the base64 without its quotes */
	struct rc_str trace;     /* without its quotes; empty when there is none */
	struct rc_str position;  /* without its quotes; empty when there is none */
	struct rc_str timestamp; /* RC_ISO8601_LEN bytes */
	uint64_t offset;         /* modulo 2^64, where a raw event imitates one */
	bool escaped;            /* event_raw holds a backslash */
	bool base64;
	bool own; /* what the gateway itself says: not published by anybody */
};

/*
 * True when the frame has exactly the layout that rc_event_ws_encode and rc_event_ws_position write. It looks at what stands
 * around the fields and steps over what is in them, so the time does not depend on the data. Any bytes are safe; but that
 * data is JSON, or base64, is as true as the frame is the encoder's: a raw event can imitate the layout.
 */
RC_MUST_USE bool rc_event_ws_parse(
	const unsigned char *frame, size_t len, struct rc_event_view *out);

/* ---- epoch and position: "aaaaaaaaab@41" */

#define RC_EPOCH_BITS   48
#define RC_EPOCH_LEN    10 /* digits of five bits, [a-z2-7], the highest first */
#define RC_POSITION_MAX (RC_EPOCH_LEN + 1 + 20)

/* epoch < 2^48. Writes RC_EPOCH_LEN bytes, no NUL, and returns that. */
size_t rc_epoch_text(uint64_t epoch, char out[12]);
/* 0 or -EINVAL; takes what rc_epoch_text writes and nothing else. */
RC_MUST_USE int rc_epoch_parse(struct rc_str text, uint64_t *epoch);
/* Writes at most RC_POSITION_MAX bytes, no NUL, and returns their number. */
size_t rc_position_text(uint64_t epoch, uint64_t offset, char out[RC_POSITION_MAX]);
/* 0 or -EINVAL; takes what rc_position_text writes and nothing else. */
RC_MUST_USE int rc_position_parse(struct rc_str text, uint64_t *epoch, uint64_t *offset);

/*
 * ---- position in the stream: "aaaaaaaaab~12.0.7", the gateway's own epoch and the last stamp of each shard, in their order.
 * It says what a client has of any set of channels and patterns.
 */

#define RC_STREAM_TEXT_MAX(shards) (RC_EPOCH_LEN + 21 * (size_t)(shards))

/* 1 to RC_SHARDS_MAX stamps. Writes at most RC_STREAM_TEXT_MAX(count) bytes, no NUL, and returns their number. */
size_t rc_stream_text(uint64_t epoch, const uint64_t *stamps, uint32_t count, char *out);
/* 0 or -EINVAL; takes what rc_stream_text writes and nothing else. Out parameters mean nothing after -EINVAL. */
RC_MUST_USE int rc_stream_parse(
	struct rc_str text, uint64_t *epoch, uint64_t stamps[RC_SHARDS_MAX], uint32_t *count);
/* The position just before the event that has this one and that stamp: as rc_stream_text. 0 when two shards stand at that stamp, and
 * which of them gave it can't be told. */
size_t rc_stream_text_before(struct rc_str text, uint64_t stamp, char *out);

#endif
