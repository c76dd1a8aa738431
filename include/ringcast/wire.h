/* SPDX-License-Identifier: Apache-2.0
 *
 * The numbers of ringcast's binary ingest protocol (TCP, default port 7400), and nothing else: for those who write a
 * client of their own, in C or C++. The protocol itself, byte for byte, is specified in src/proto/README.md.
 *
 *   every frame, little-endian:
 *     0        4      5       6          8
 *     | length | type | flags | reserved | body ...       length counts what follows it: 4 + the body's bytes
 */
#ifndef RINGCAST_WIRE_H
#define RINGCAST_WIRE_H

#define RINGCAST_WIRE_VERSION 1
#define RINGCAST_WIRE_PORT    7400

#define RINGCAST_WIRE_MAGIC     "RCST"
#define RINGCAST_WIRE_MAGIC_LEN 4

#define RINGCAST_WIRE_LENGTH_LEN 4 /* the length itself */
#define RINGCAST_WIRE_HEADER_LEN 8 /* length, type, flags, reserved */
#define RINGCAST_WIRE_LENGTH_MIN 4 /* the smallest value of length: an empty body */

/* Frame types. A number once given is never given another meaning. 0 is never a type. */
#define RINGCAST_FRAME_HELLO     1
#define RINGCAST_FRAME_PUBLISH   2
#define RINGCAST_FRAME_BATCH     3
#define RINGCAST_FRAME_ACK       4
#define RINGCAST_FRAME_NACK      5
#define RINGCAST_FRAME_BROADCAST 6
#define RINGCAST_FRAME_FLOW      7
#define RINGCAST_FRAME_PING      8
#define RINGCAST_FRAME_PONG      9
#define RINGCAST_FRAME_ERROR     10
#define RINGCAST_FRAME_BYE       11
/* Numbers that are given, frames that version 1 of the gateway answers with ERROR_UNKNOWN_TYPE. */
#define RINGCAST_FRAME_SEND      12
#define RINGCAST_FRAME_CLOSE     13
#define RINGCAST_FRAME_REGISTER  14
#define RINGCAST_FRAME_COMMAND   15
#define RINGCAST_FRAME_REPLY     16
#define RINGCAST_FRAME_SUBSCRIBE 17
#define RINGCAST_FRAME_EVENT     18

/* Flags of PUBLISH, BATCH and BROADCAST. ACK has POSITION alone; the other frames have none. */
#define RINGCAST_FLAG_JSON     0x01 /* the payload is one JSON text; else opaque bytes */
#define RINGCAST_FLAG_WANT_ACK 0x02 /* acknowledge at once after this event, don't wait for more */
#define RINGCAST_FLAG_POSITION 0x04 /* the event's own ACK, which carries its position */
#define RINGCAST_FLAG_DURABLE  0x08 /* acknowledge only when it is on disk */
#define RINGCAST_FLAGS_EVENT   0x0f
#define RINGCAST_FLAGS_ACK     0x04

/* Limits of the format. What one gateway allows of frame and payload, it says in its HELLO. */
#define RINGCAST_PUBLISHER_ID_MAX 64
#define RINGCAST_CHANNEL_MAX      255
#define RINGCAST_EVENT_MAX        128
#define RINGCAST_TEXT_MAX         255
#define RINGCAST_TOKEN_MAX        65535
#define RINGCAST_BATCH_MAX        65535
/* No gateway's frame_max is smaller. It counts the whole frame, length included. */
#define RINGCAST_FRAME_MAX_FLOOR 65536

/* NACK: that event was refused. From TEMPORARY on, the same event may be taken later (with a new sequence). */
#define RINGCAST_NACK_BAD_CHANNEL \
	1 /* not a channel name, or one that the gateway keeps for itself */
#define RINGCAST_NACK_BAD_EVENT   2 /* not an event name: empty, too long, or not UTF-8 */
#define RINGCAST_NACK_BAD_PAYLOAD 3 /* flagged JSON and is not */
#define RINGCAST_NACK_TOO_LARGE   4 /* the payload is over message_max */
#define RINGCAST_NACK_FORBIDDEN   5 /* the token does not allow it */
#define RINGCAST_NACK_NOT_SUPPORTED \
	6 /* a flag that this gateway can't honour: unknown, or durable without journal */
#define RINGCAST_NACK_TEMPORARY      100 /* the boundary, not a code */
#define RINGCAST_NACK_OVER_CAPACITY  101 /* no memory or no room for one more channel */
#define RINGCAST_NACK_RATE_LIMIT     102
#define RINGCAST_NACK_SHUTTING_DOWN  103
#define RINGCAST_NACK_JOURNAL_FAILED 104
#define RINGCAST_NACK_INTERNAL       105

/*
 * ERROR: about the connection. 1 to 49: it closes, and coming back with the same bytes can't help. 50 to 99: it
 * closes, come back after a pause. From 100: it lives, only the frame in question was not taken.
 */
#define RINGCAST_ERROR_BAD_FRAME       1 /* framing is lost: a length below 4, or reserved is not 0 */
#define RINGCAST_ERROR_FRAME_TOO_LARGE 2  /* over frame_max */
#define RINGCAST_ERROR_BAD_HELLO       3  /* not the magic, or a publisher id that is none */
#define RINGCAST_ERROR_VERSION         4  /* not a version that the gateway speaks */
#define RINGCAST_ERROR_HELLO_EXPECTED  5  /* the first frame was another, or a second HELLO came */
#define RINGCAST_ERROR_UNAUTHORIZED    6  /* token missing, wrong or expired */
#define RINGCAST_ERROR_BAD_BODY        7  /* the body of a known frame can't be read */
#define RINGCAST_ERROR_RETRY           50 /* the boundary, not a code */
#define RINGCAST_ERROR_OVER_CAPACITY   51
#define RINGCAST_ERROR_TIMEOUT         52 /* no HELLO, or no answer to PING, in time */
#define RINGCAST_ERROR_INTERNAL        53
#define RINGCAST_ERROR_LIVES           100 /* the boundary, not a code */
#define RINGCAST_ERROR_UNKNOWN_TYPE    101
#define RINGCAST_ERROR_UNKNOWN_FLAGS   102

/* BYE: why this side wants to end. */
#define RINGCAST_BYE_DONE     0 /* nothing more to say */
#define RINGCAST_BYE_SHUTDOWN 1 /* the gateway stops or restarts */
#define RINGCAST_BYE_REPLACED 2 /* another connection came with the same publisher id */
#define RINGCAST_BYE_IDLE     3 /* silent for too long */
#define RINGCAST_BYE_OPERATOR 4 /* an operator closed it */
#define RINGCAST_BYE_RENEW    5 /* its TLS keys are used up: come back at once */
/* In BYE's reconnect_after_ms: do not come back by yourself. */
#define RINGCAST_BYE_NEVER 0xffffffffu

#endif
