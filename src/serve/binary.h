/* SPDX-License-Identifier: Apache-2.0
 *
 * The binary tongue of who listens: WebSocket clients with the subprotocol ringcast.v1.bin, and backends on the ingest port. What is
 * asked and answered is the same as in JSON, and so are the handlers; here a frame becomes the struct rc_msg that they take, and what
 * they answer becomes frames.
 *
 *   binary message ─▶ frames ─▶ rc_bin_frame ─▶ rc_msg ─▶ rc_ws_subscribe, rc_say_publish, …     WebSocket
 *   ingest frame SUBSCRIBE ───────────┘                        │
 *             rc_conn.out ◀─ frames ◀─ rc_bin_error, rc_bin_subscribed, … ◀─ in place of JSON
 *
 * A message's id is what its answer has to say of it: the type of its frame, then a sequence of eight bytes or the name of a channel.
 * One thread.
 */
#ifndef RC_SERVE_BINARY_H
#define RC_SERVE_BINARY_H

#include "proto/binary.h"
#include "proto/message.h"
#include "serve/serve.h"

static inline bool rc_bin_is(const struct rc_conn *c)
{
	return c->kind == RC_CONN_INGEST || (c->kind == RC_CONN_WS && (c->stage & RC_WS_BIN));
}

/* What of a binary message the next frame takes; 0: it was told that there is none, and is being closed. */
size_t rc_bin_next(struct rc_serve *sv, struct rc_conn *c, struct rc_str message);

/* What the slices of a message that came as a frame point into, besides the frame. */
struct rc_bin_room {
	char id[1 + RC_CHANNEL_MAX + 1];
	char name[RC_CHANNEL_MAX + 3];
	char since[RC_STREAM_TEXT_MAX(RC_STREAM_SHARDS_MAX) + 3];
	char type[RC_EVENT_NAME_MAX + 3];
};

/* One whole frame as rc_msg_parse reads a text: 0, or -1 and the fault, whose code is one for rc_bin_error. */
int rc_bin_read(struct rc_str frame, struct rc_msg *m, struct rc_msg_fault *fault,
	struct rc_bin_room *room) RC_MUST_USE;
/* What a client publishes, by the fields and in the words of rc_api_event_read. */
struct rc_api_event;
int rc_bin_event_read(struct rc_str frame, bool validated, uint32_t message_max,
	struct rc_api_event *out) RC_MUST_USE;

/* ---- answers */

/* A small frame. */
void rc_bin_say(struct rc_serve *sv, struct rc_conn *c, const void *frame, size_t len);
/* As rc_ws_error; some faults of a frame end the connection. */
void rc_bin_error(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, const char *code,
	const char *message);
void rc_bin_greet(struct rc_serve *sv, struct rc_conn *c);
/* off: it is not subscribed any more, or never was, as the verdict says. */
void rc_bin_subscribed(struct rc_serve *sv, struct rc_conn *c, struct rc_str name, bool off,
	uint8_t verdict, struct rc_str text);
void rc_bin_unsubscribed(struct rc_serve *sv, struct rc_conn *c, struct rc_str id);
void rc_bin_pong(struct rc_serve *sv, struct rc_conn *c, struct rc_str id);
void rc_bin_published(
	struct rc_serve *sv, struct rc_conn *c, struct rc_str id, uint64_t epoch, uint64_t offset);
/* code: empty for an answer. */
void rc_bin_replied(struct rc_serve *sv, struct rc_conn *c, struct rc_str id, struct rc_str code,
	struct rc_str data, bool json);
/* The number of a frame as a client of JSON would write it. */
struct rc_str rc_bin_number(struct rc_str id, char buf[RC_U64_TEXT_MAX]);
void rc_bin_refreshed(struct rc_serve *sv, struct rc_conn *c);
void rc_bin_position(
	struct rc_serve *sv, struct rc_conn *c, struct rc_str name, struct rc_str position);
void rc_bin_gap(struct rc_serve *sv, struct rc_conn *c, struct rc_str name, const char *reason,
	uint64_t missed, struct rc_str position);
void rc_bin_bye(struct rc_serve *sv, struct rc_conn *c, uint32_t after_ms);
/* A message to its user or session. */
void rc_bin_direct(struct rc_serve *sv, struct rc_conn *c, struct rc_str event, struct rc_str data,
	bool json, uint64_t timestamp_ms);

#endif
