/* SPDX-License-Identifier: Apache-2.0
 *
 * The record layer in user space: plain bytes to records and back. Knows no socket and holds no buffer; all state of a
 * connection is its struct rc_tls_keys. The cipher contexts belong to the shard and are keyed anew for each call, which
 * costs 0.1 to 0.2 microseconds and saves every idle client a kilobyte or more.
 */
#ifndef RC_TLS_RECORD_H
#define RC_TLS_RECORD_H

#include "tls/keys.h"

#define RC_TLS_HEADER       5u
#define RC_TLS_PLAIN_MAX    16384u /* of one record */
#define RC_TLS_OVERHEAD_MAX 29u    /* header, explicit nonce or type, tag */
/* The largest record that may come in. The RFCs let ciphers add up to 256 and 2048 bytes; none of these adds more than this. */
#define RC_TLS_RECORD_MAX (RC_TLS_PLAIN_MAX + RC_TLS_OVERHEAD_MAX)

enum rc_tls_type {
	RC_TLS_CHANGE_CIPHER_SPEC = 20,
	RC_TLS_ALERT = 21,
	RC_TLS_HANDSHAKE = 22,
	RC_TLS_DATA = 23,
};

enum rc_tls_alert {
	RC_TLS_ALERT_CLOSE_NOTIFY = 0,
	RC_TLS_ALERT_UNEXPECTED_MESSAGE = 10,
	RC_TLS_ALERT_BAD_RECORD_MAC = 20,
	RC_TLS_ALERT_RECORD_OVERFLOW = 22,
	RC_TLS_ALERT_HANDSHAKE_FAILURE = 40,
	RC_TLS_ALERT_DECODE_ERROR = 50,
	RC_TLS_ALERT_ILLEGAL_PARAMETER = 47,
	RC_TLS_ALERT_PROTOCOL_VERSION = 70,
	RC_TLS_ALERT_INTERNAL_ERROR = 80,
	RC_TLS_ALERT_USER_CANCELED = 90,
	RC_TLS_ALERT_NO_RENEGOTIATION = 100,
};

/* Cipher contexts; one per thread. */
struct rc_tls_engine;
struct rc_tls_engine *rc_tls_engine_open(
	void) RC_MUST_USE; /* NULL: OpenSSL lacks a cipher, or memory */
void rc_tls_engine_close(struct rc_tls_engine *e);

/* What each record has besides its plain bytes. */
uint32_t rc_tls_overhead(const struct rc_tls_keys *k);
/* Bytes of the records that hold len plain bytes, cut into records of at most record_max plain bytes. */
size_t rc_tls_sealed_len(const struct rc_tls_keys *k, size_t len, uint32_t record_max);
/*
 * Seals len > 0 bytes as records of record_max plain bytes each, the last one shorter, behind each other in out, which must
 * have room for rc_tls_sealed_len(). Moves k->send.sequence on. Returns the bytes written, 0 when OpenSSL failed (then the
 * connection must end). Bytes that never left the process may be taken back by setting the sequence back.
 */
size_t rc_tls_seal(struct rc_tls_engine *e, struct rc_tls_keys *k, enum rc_tls_type type,
	const void *bytes, size_t len, uint32_t record_max, unsigned char *out) RC_MUST_USE;

struct rc_tls_opened {
	uint8_t type;        /* enum rc_tls_type, the inner one in 1.3 */
	unsigned char *data; /* within the record that was given: opened in place */
	uint32_t len;        /* may be 0 */
};

/*
 * The first record in bytes. > 0: the record's length on the wire; out describes it and k->receive.sequence moved on.
 * 0: the record is not complete; *need is its whole length when the header is there, else RC_TLS_HEADER.
 * < 0: minus the alert with which the connection is to end: header of another protocol or version, too long, forged, padding
 * without a type, an alert or handshake record with nothing in it. In TLS 1.3 that includes every record that is not
 * encrypted, change_cipher_spec too, which is let pass only before the client's Finished (RFC 8446 5).
 * A forged record is wiped, so that nothing of it can be taken for data.
 */
int32_t rc_tls_open(struct rc_tls_engine *e, struct rc_tls_keys *k, unsigned char *bytes,
	size_t len, struct rc_tls_opened *out, uint32_t *need) RC_MUST_USE;

/* What a record that is no data asks for. */
enum rc_tls_asks {
	RC_TLS_ASKS_NOTHING,
	RC_TLS_ASKS_CLOSE,       /* the peer will send no more: close_notify */
	RC_TLS_ASKS_END,         /* a fatal alert, or a warning that says as much */
	RC_TLS_ASKS_UPDATE,      /* KeyUpdate: the receiving keys are to be renewed */
	RC_TLS_ASKS_UPDATE_BOTH, /* and the peer wants ours renewed too */
};
/*
 * A record of another type than data. Returns an enum rc_tls_asks, or minus the alert: renegotiation, a handshake message that
 * has no place here, malformed or cut ones (a message that shares its record with another, or spans two, is refused: after
 * the handshake nobody needs to), heartbeat. For the kernel's records too, which is why it takes no keys.
 */
int rc_tls_asks(enum rc_tls_version version, uint8_t type, const unsigned char *data, uint32_t len);

#endif
