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
#define RINGCAST_FRAME_SEND      12
#define RINGCAST_FRAME_CLOSE     13
#define RINGCAST_FRAME_REGISTER  14
#define RINGCAST_FRAME_COMMAND   15
#define RINGCAST_FRAME_REPLY     16
/* Those who listen: backends, and clients of the WebSocket subprotocol ringcast.v1.bin. */
#define RINGCAST_FRAME_SUBSCRIBE 17
#define RINGCAST_FRAME_EVENT     18
#define RINGCAST_FRAME_ASSIGN    19
#define RINGCAST_FRAME_GAP       20
#define RINGCAST_FRAME_AUTH      21 /* from clients alone, as REFRESH */
#define RINGCAST_FRAME_REFRESH   22
#define RINGCAST_FRAME_POSITION  23

/* Which of several backends a command goes to. */
#define RINGCAST_MODE_ROUND_ROBIN 0
#define RINGCAST_MODE_USER        1 /* one user's always to the same */
#define RINGCAST_MODE_FIELD       2 /* by a top-level field of the payload */

/* Of an entry of REGISTER: a command may be given to another backend when this one dies. */
#define RINGCAST_ENTRY_IDEMPOTENT 1

/* What SEND and CLOSE are for. */
#define RINGCAST_TARGET_USER    1
#define RINGCAST_TARGET_SESSION 2
#define RINGCAST_TARGET_USERS   3

/* Flags of PUBLISH, BATCH, BROADCAST and SEND. CLOSE has WANT_ACK and POSITION, ACK has POSITION alone; the others have none. */
#define RINGCAST_FLAG_JSON     0x01 /* the payload is one JSON text; else opaque bytes */
#define RINGCAST_FLAG_WANT_ACK 0x02 /* acknowledge at once after this event, don't wait for more */
#define RINGCAST_FLAG_POSITION 0x04 /* the event's own ACK, which carries its position */
#define RINGCAST_FLAG_DURABLE  0x08 /* acknowledge only when it is on disk */
#define RINGCAST_FLAG_TRACE    0x10 /* RINGCAST_TRACE_LEN bytes of traceparent behind the timestamp */
#define RINGCAST_FLAG_AGAIN    0x20 /* of a COMMAND: another backend may have had it before */
#define RINGCAST_FLAGS_EVENT   0x1f
#define RINGCAST_FLAGS_SEND    0x0f /* no TRACE: it goes to no channel */
#define RINGCAST_FLAGS_CLOSE   0x06
#define RINGCAST_FLAGS_ACK     0x04
#define RINGCAST_FLAGS_COMMAND 0x21
#define RINGCAST_FLAGS_REPLY   0x01
/* EVENT has JSON and TRACE as PUBLISH has them, POSITION where a stream position stands behind the event's name, and: */
#define RINGCAST_FLAG_OWN        0x20 /* the gateway's own word in a channel: join, leave, presence */
#define RINGCAST_FLAGS_DELIVERED 0x35
#define RINGCAST_FLAG_IDEMPOTENT \
	0x20 /* COMMAND from a client: another backend may have it too, when one dies */
#define RINGCAST_FLAG_NO_ECHO 0x40 /* PUBLISH from a client: not to itself */
#define RINGCAST_FLAG_OFF     0x80 /* SUBSCRIBE: unsubscribes, or says that it is so */

/* Limits of the format. What one gateway allows of frame and payload, it says in its HELLO. */
#define RINGCAST_PUBLISHER_ID_MAX 64
#define RINGCAST_CHANNEL_MAX      255
#define RINGCAST_EVENT_MAX        128
#define RINGCAST_TEXT_MAX         255
#define RINGCAST_TOKEN_MAX        65535
#define RINGCAST_TRACE_LEN        25 /* trace id 16, parent id 8, flags 1, as W3C Trace Context has them */
#define RINGCAST_BATCH_MAX        65535
#define RINGCAST_USER_MAX         128
#define RINGCAST_USERS_MAX        1000  /* of one frame */
#define RINGCAST_USERS_BYTES_MAX  16384 /* of their ids, each with its length */
#define RINGCAST_REASON_MAX       123
#define RINGCAST_TYPES_MAX        256 /* entries of one REGISTER */
#define RINGCAST_TYPE_MAX         128
#define RINGCAST_FIELD_MAX        64
#define RINGCAST_CODE_MAX         64   /* of a REPLY that is an error */
#define RINGCAST_ASSIGN_MAX       1000 /* channels of one ASSIGN */
#define RINGCAST_CLOSE_MIN        4000 /* codes of a CLOSE; 0 stands for 4004 */
#define RINGCAST_CLOSE_MAX        4999
/* No gateway's frame_max is smaller. It counts the whole frame, length included. */
#define RINGCAST_FRAME_MAX_FLOOR 65536

/* NACK: that event was refused. From TEMPORARY on, the same event may be taken later (with a new sequence). */
#define RINGCAST_NACK_BAD_CHANNEL \
	1 /* not a channel name, or one that the gateway keeps for itself */
#define RINGCAST_NACK_BAD_EVENT   2 /* not an event name: empty, too long, or not UTF-8 */
#define RINGCAST_NACK_BAD_PAYLOAD 3 /* flagged JSON and is not */
#define RINGCAST_NACK_TOO_LARGE   4 /* the payload is over message_max, or what its namespace takes */
#define RINGCAST_NACK_FORBIDDEN   5 /* the token does not allow it */
#define RINGCAST_NACK_NOT_SUPPORTED \
	6 /* a flag that this gateway can't honour: unknown, or durable without journal */
#define RINGCAST_NACK_BAD_TARGET     7 /* no id of a user, too many of them, or a bad code or reason */
#define RINGCAST_NACK_INVALID_DATA   8 /* not what its namespace takes; the text names the field */
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
#define RINGCAST_ERROR_TOO_SLOW        54  /* it does not read what it subscribed to */
#define RINGCAST_ERROR_LIVES           100 /* the boundary, not a code */
#define RINGCAST_ERROR_UNKNOWN_TYPE    101
#define RINGCAST_ERROR_UNKNOWN_FLAGS   102
#define RINGCAST_ERROR_NOT_ALLOWED     103 /* what the token does not allow */
#define RINGCAST_ERROR_UNKNOWN_COMMAND 104 /* a REPLY to what is not outstanding */
#define RINGCAST_ERROR_BAD_REPLY       105 /* too large, not JSON, or a code that is none; answer again */
#define RINGCAST_ERROR_NO_ROOM         106 /* for one more backend, or for its types */
/* From here on to clients of ringcast.v1.bin alone. Where they end the client, a WebSocket close follows, whose code says so. */
#define RINGCAST_ERROR_TOKEN_REFUSED 110 /* refused, or needed and missing */
#define RINGCAST_ERROR_RATE_LIMIT    111
#define RINGCAST_ERROR_BAD_REQUEST   112
#define RINGCAST_ERROR_BUSY          113 /* no room now */
#define RINGCAST_ERROR_LIMIT         114 /* as many as it may have */
#define RINGCAST_ERROR_NOT_SUPPORTED 115

/* SUBSCRIBE from the gateway: what became of it. 2 to 127: subscribed from now on, and why what was missed can't be given. */
#define RINGCAST_VERDICT_LIVE          0
#define RINGCAST_VERDICT_RECOVERED     1
#define RINGCAST_VERDICT_EPOCH         2
#define RINGCAST_VERDICT_TRIMMED       3
#define RINGCAST_VERDICT_AHEAD         4
#define RINGCAST_VERDICT_TOO_MANY      5
#define RINGCAST_VERDICT_REFUSED       128 /* the boundary, not a code: from here on not subscribed */
#define RINGCAST_VERDICT_BAD_CHANNEL   129
#define RINGCAST_VERDICT_BAD_SINCE     130
#define RINGCAST_VERDICT_FORBIDDEN     131
#define RINGCAST_VERDICT_LIMIT         132 /* as many channels as it may have */
#define RINGCAST_VERDICT_OVER_CAPACITY 133 /* temporary, as the next */
#define RINGCAST_VERDICT_RATE_LIMIT    134

/* GAP: why events are missing. */
#define RINGCAST_GAP_SLOW    0
#define RINGCAST_GAP_TRIMMED 1
/* In GAP's missed: nobody knows how many. */
#define RINGCAST_GAP_UNKNOWN 0xffffffffffffffffull

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
