/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of a connection after its handshake. With kernel TLS (RC_CONN_KTLS) a connection sends and receives as a plain one does;
 * only its records are counted. In user space (RC_CONN_TLS):
 *
 *   plain bytes ──seal──▶ scratch of the shard ──one SEND──▶ socket
 *                                                └─ short: records that did not begin to leave are taken back, the rest of the
 *                                                   one that was cut waits in `rest` (RC_CONN_REST) and goes first
 *   receive buffer ──open in place──▶ plain bytes; a record whose end has not come waits in `part`
 *
 * So an idle client holds its keys and nothing else. Taking a record back means that its sequence number is used again, for
 * other bytes perhaps: allowed only because none of its ciphertext left the process.
 *
 * rest may also hold records of our own making (KeyUpdate), sealed in their turn: nothing is sealed while a send that could be
 * taken back is in flight.
 */
#ifndef RC_CONN_TLS_H
#define RC_CONN_TLS_H

#include "conn/conn.h"
#include "tls/record.h"

#define RC_CONN_SEAL_MAX 65536u /* plain bytes that one send seals */
/* Sealed, in the smallest records that are made. */
#define RC_CONN_SEALED_MAX (RC_CONN_SEAL_MAX + RC_CONN_SEAL_MAX / 4096u * RC_TLS_OVERHEAD_MAX)

struct rc_conn_tls {
	struct rc_tls_keys keys;
	unsigned char *rest, *part; /* blocks of the pool */
	uint32_t rest_head, rest_len, rest_size;
	uint32_t part_len, part_size;
	uint32_t sealed_at, sealed_len; /* the send in flight, in the scratch; 0: it is the rest */
	uint16_t record_max;            /* of its records */
	bool owes_update;               /* a KeyUpdate of ours is due when no send is in flight */
	uint8_t empty; /* records without data that came, those with data taken off */
};
_Static_assert(
	sizeof(struct rc_conn_tls) <= 272, "what an idle client of user-space TLS costs more");

/* What the streams of one shard share. */
struct rc_conn_tls_shared {
	struct rc_conn_tls *at; /* by slot; NULL: no TLS in this gateway */
	uint32_t *records; /* by slot: sent through the kernel; the topmost bit tells TLS 1.3 */
	struct rc_tls_engine *engine;
	unsigned char *sealed; /* what this turn's sends are made of */
	uint32_t sealed_size, sealed_used;
	uint32_t renew_records;
};

size_t rc_conn_tls_bytes(uint32_t count_max);
/* memory: zeroed, rc_conn_tls_bytes. 0, or -1: OpenSSL lacks a cipher. */
int rc_conn_tls_init(struct rc_conns *cs, void *memory, unsigned char *sealed, uint32_t sealed_size,
	uint32_t renew_records) RC_MUST_USE;
void rc_conn_tls_close(struct rc_conns *cs);

/* The handshake is over; nothing is sent or armed. From here on records are made here. */
void rc_conn_tls_begin(struct rc_conns *cs, struct rc_conn *c, const struct rc_tls_keys *keys);
/* Or by the kernel, which is given the keys. False: it refused them, the connection is of no use any more. */
bool rc_conn_ktls_begin(
	struct rc_conns *cs, struct rc_conn *c, const struct rc_tls_keys *keys) RC_MUST_USE;
enum rc_tls_version rc_conn_ktls_version(const struct rc_conns *cs, const struct rc_conn *c);
/* A receive failed: without this, sends on Linux 6.12 fail for it too. */
void rc_conn_ktls_clear_error(const struct rc_conn *c);
/* As rc_ktls_take_record. */
int rc_conn_ktls_take(const struct rc_conn *c, uint8_t *type, void *bytes, size_t size);

/* ---- receiving in user space */

enum rc_conn_opened {
	RC_OPENED_NOTHING, /* all of the input is used */
	RC_OPENED_DATA,
	RC_OPENED_CLOSED, /* close_notify, or an alert that says as much */
	RC_OPENED_BAD,    /* the alert that it deserves was sent */
};
struct rc_conn_input {
	unsigned char *bytes; /* what is not looked at yet */
	uint32_t len;
	unsigned char *data; /* DATA: plain bytes, valid until the next call */
	uint32_t data_len;
	unsigned char *block; /* of the pool, in which they are, or NULL */
	uint32_t block_size;
	enum rc_conn_opened after; /* what follows the data */
};
/* Call it until it says something else than DATA, then done() in any case; the connection may be gone in between, and then
 * only done() is called. */
enum rc_conn_opened rc_conn_tls_open(
	struct rc_conns *cs, struct rc_conn *c, struct rc_conn_input *in) RC_MUST_USE;
void rc_conn_tls_opened(struct rc_conns *cs, struct rc_conn_input *in);

/* ---- sending */

/* Room for one more send in this turn. `spare` bytes are left to others. */
static inline bool rc_conn_tls_room(const struct rc_conns *cs, uint32_t spare)
{
	const struct rc_conn_tls_shared *t = cs->tls;

	return !t || t->sealed_size - t->sealed_used >= RC_CONN_SEALED_MAX + spare;
}
void rc_conn_send_rest(struct rc_conns *cs, struct rc_conn *c);
/* Ends what is sent in good order: close_notify, at once, as far as the socket takes it. */
void rc_conn_tls_notify(struct rc_conns *cs, struct rc_conn *c);
/* A fatal alert, likewise; the caller ends the connection. */
void rc_conn_tls_refuse(struct rc_conns *cs, struct rc_conn *c, int32_t description);

/* What became of a send of which the socket took n bytes: how many of the plain bytes are done with, and whether it takes no more
 * at present. -1: no memory for what must still go, the connection can't go on. */
#define RC_SENT_BLOCKED (1ll << 32)
int64_t rc_conn_tls_sent(struct rc_conns *cs, struct rc_conn *c, uint32_t n);
static inline int64_t rc_conn_sent(struct rc_conns *cs, struct rc_conn *c, uint32_t n)
{
	if (RC_UNLIKELY(c->flags & RC_CONN_TLS))
		return rc_conn_tls_sent(cs, c, n);
	return n < c->send_len ? n | RC_SENT_BLOCKED : n;
}

/* ---- conn.c only */

/* Seals what is to be sealed, or counts, and hands it over. c->send_len becomes what that is of the plain bytes. */
void rc_conn_tls_send(struct rc_conns *cs, struct rc_conn *c, const void *bytes, uint32_t len);
/* What the wire is to carry, in the one send. */
static inline void rc_conn_hand_over(
	struct rc_conns *cs, struct rc_conn *c, const void *bytes, uint32_t len)
{
	c->flags |= RC_CONN_SENDING;
	cs->sending++;
	c->inflight++;
	rc_io_send(cs->io, c->fd, (struct rc_io_tag){(uint32_t)(c - cs->at), c->generation}, bytes,
		len);
}
void rc_conn_tls_free(struct rc_conns *cs, struct rc_conn *c);

#endif
