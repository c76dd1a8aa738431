/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of the binary protocol for those who listen: backends on the ingest port, and clients of the WebSocket subprotocol
 * ringcast.v1.bin, which puts these frames into binary messages. Framing, events that are published, answers: ingest.h, whose
 * words on parsers and encoders hold here too. Pure, any thread.
 */
#ifndef RC_PROTO_BINARY_H
#define RC_PROTO_BINARY_H

#include "proto/event.h"
#include "proto/ingest.h"

/* From a client: from where on it wants a channel or a pattern. With RINGCAST_FLAG_OFF: no more of it; an empty name: of any. */
struct rc_bin_subscribe {
	struct rc_str name;
	struct rc_str since; /* a text of since.h; empty: from now on */
};
int rc_bin_subscribe_parse(struct rc_str body, struct rc_bin_subscribe *out) RC_MUST_USE;
size_t rc_bin_subscribe_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_bin_subscribe *s);

/* The gateway's answer. */
struct rc_bin_subscribed {
	struct rc_str name;
	uint8_t verdict;    /* RINGCAST_VERDICT_ */
	struct rc_str text; /* its position; refused: why, for people */
};
int rc_bin_subscribed_parse(struct rc_str body, struct rc_bin_subscribed *out) RC_MUST_USE;
size_t rc_bin_subscribed_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_bin_subscribed *s);

struct rc_bin_gap {
	uint8_t reason;  /* RINGCAST_GAP_ */
	uint64_t missed; /* RINGCAST_GAP_UNKNOWN */
	struct rc_str channel, position;
};
int rc_bin_gap_parse(struct rc_str body, struct rc_bin_gap *out) RC_MUST_USE;
size_t rc_bin_gap_encode(void *out, size_t cap, const struct rc_bin_gap *gap);

/* How far it has come in a channel or pattern, while nothing comes. */
struct rc_bin_position {
	struct rc_str name, position;
};
int rc_bin_position_parse(struct rc_str body, struct rc_bin_position *out) RC_MUST_USE;
size_t rc_bin_position_encode(void *out, size_t cap, const struct rc_bin_position *position);

/* COMMAND from a client, which is answered by REPLY as a backend answers the gateway. */
struct rc_bin_command {
	uint64_t id; /* the client's own */
	struct rc_str type;
	struct rc_str payload;
};
int rc_bin_command_parse(struct rc_str body, struct rc_bin_command *out) RC_MUST_USE;
size_t rc_bin_command_encode(
	void *out, size_t cap, uint8_t flags, const struct rc_bin_command *command);

/* AUTH, and REFRESH from a client. */
int rc_bin_token_parse(struct rc_str body, struct rc_str *token) RC_MUST_USE;
size_t rc_bin_token_encode(void *out, size_t cap, uint8_t type, struct rc_str token);
/* REFRESH from the gateway: milliseconds since 1970, 0 = never. */
int rc_bin_refreshed_parse(struct rc_str body, uint64_t *expires_ms) RC_MUST_USE;
size_t rc_bin_refreshed_encode(void *out, size_t cap, uint64_t expires_ms);

/* The gateway's HELLO to a client: as to a publisher, and behind that who it is. */
struct rc_bin_welcome {
	struct rc_ingest_welcome common;
	struct rc_str session, user; /* user: empty for none */
	uint32_t heartbeat_ms;
	uint64_t expires_ms; /* of its token; 0: never */
};
int rc_bin_welcome_parse(struct rc_str body, struct rc_bin_welcome *out) RC_MUST_USE;
size_t rc_bin_welcome_encode(void *out, size_t cap, const struct rc_bin_welcome *welcome);

/* ---- EVENT -------------------------------------------------------------------------------------- */

struct rc_bin_event {
	uint8_t flags; /* of the frame: RINGCAST_FLAGS_DELIVERED; the encoder sets TRACE and POSITION by what is there */
	uint64_t offset;       /* 0: sent to the user, in no channel */
	uint64_t timestamp_ms; /* 0: raw */
	struct rc_str trace;   /* RINGCAST_TRACE_LEN bytes, or empty */
	struct rc_str channel;
	struct rc_str event;    /* empty: raw */
	struct rc_str position; /* of the stream, through a pattern; empty: none */
	struct rc_str payload;
};
int rc_bin_event_parse(struct rc_str body, uint8_t flags, struct rc_bin_event *out) RC_MUST_USE;
size_t rc_bin_event_encode(void *out, size_t cap, const struct rc_bin_event *event);

/*
 * The EVENT frame of an event that is there as the frame of rc_event_ws_encode: what is common to all binary subscribers. With ws it
 * stands in a binary WebSocket frame. Of a raw event the frame tells neither channel nor offset, so they are given; of others they
 * are not looked at. bound is at least what is written, and 0 for what is no event's frame.
 */
struct rc_bin_source {
	const unsigned char *frame;
	uint32_t len;
	bool raw;
	struct rc_str channel;
	uint64_t offset;
	struct rc_str position; /* of the stream, where a raw event comes through a pattern */
};
size_t rc_bin_rendition_bound(const struct rc_bin_source *s);
/* 0: it is none. */
size_t rc_bin_rendition(unsigned char *out, const struct rc_bin_source *s, bool ws);

#endif
