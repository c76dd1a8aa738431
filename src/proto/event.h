/* SPDX-License-Identifier: Apache-2.0
 *
 * The event on its way to WebSocket clients: one complete frame that is made once and then sent to every subscriber. And
 * the texts of its place in the channel: epoch and position. Nothing is allocated. Pure; an encoder belongs to one
 * thread.
 *
 *   {"type":"event","channel":"…","event":"…","offset":42,"timestamp":"2026-01-15T10:15:00.000Z","data":…}
 *
 * JSON data stands there byte for byte; opaque data as "encoding":"base64","data":"…".
 */
#ifndef RC_PROTO_EVENT_H
#define RC_PROTO_EVENT_H

#include "base/base.h"
#include "base/clock.h"

/* All slices are borrowed for the call. channel and event are valid names. */
struct rc_event {
	struct rc_str channel, event;
	struct rc_str
		data; /* when json, a text that rc_json_validate accepted (empty means null); else any bytes */
	uint64_t offset, timestamp_ms;
	bool json;
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

#endif
