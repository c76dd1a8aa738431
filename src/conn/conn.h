/* SPDX-License-Identifier: Apache-2.0
 *
 * The connections of one shard: table, states, input that waits for its rest, output of their own, the one send in flight,
 * timers, and the order of ending. What the bytes mean is the business of serve/; which channel bytes to send that of
 * shard/flush.c.
 *
 *   OPEN ──finish──▶ FINISHING ──output sent, FIN──▶ LINGERING ──peer's end, or time──▶ DEAD ──nothing in flight──▶ free
 *     └─────────────────────── kill ──────────────────────────────────────────────────▶ ┘
 *
 * A slot is free again only when the kernel holds no request for it, and its generation grows each time, so whoever kept
 * slot and generation recognises a successor.
 *
 * Output: what a connection is sent besides channels (answers, control frames) waits in `out`. A frame of a channel that a short
 * send cut is finished first (mid_left), then `out` goes, then the channels: so no frame is ever inside another.
 * `out` and `in` are blocks of the pool, held only while there is something in them. One thread.
 */
#ifndef RC_CONN_CONN_H
#define RC_CONN_CONN_H

#include <sys/socket.h>

#include "base/base.h"
#include "base/hash.h"
#include "base/wheel.h"
#include "io/io.h"
#include "io/tcpinfo.h"
#include "mem/pool.h"
#include "ops/counters.h"

#define RC_CONN_TICK_MS 10 /* of the timers */

enum rc_conn_kind {
	RC_CONN_HTTP,
	RC_CONN_WS,
	RC_CONN_ECHO,
	RC_CONN_INGEST,
	RC_CONN_HANDSHAKE,
	RC_CONN_SSE,
	RC_CONN_PROXY,   /* a PROXY header may come first */
	RC_CONN_WEBHOOK, /* opened by the gateway itself */
};

enum rc_conn_state {
	RC_CONN_FREE,
	RC_CONN_OPEN,
	RC_CONN_FINISHING, /* no more input is read as such; output still goes */
	RC_CONN_LINGERING, /* FIN is out; waits for the peer's end, so that it can read what it was sent */
	RC_CONN_DEAD, /* shut down; waits for the kernel's last completions */
};

enum rc_conn_flags {
	RC_CONN_RECV_ARMED = 1,
	RC_CONN_SENDING = 2, /* one send is in flight, or its completion was not seen yet */
	RC_CONN_BLOCKED = 4, /* the socket took less than it was given; POLLOUT is armed */
	RC_CONN_READY = 8,   /* in the list of those to flush */
	RC_CONN_HELD = 16,   /* input is not read now: back-pressure */
	RC_CONN_JSON_HEARTBEAT = 32,
	RC_CONN_CLOSE_SENT = 64,
	RC_CONN_STALLED = 128, /* in the shard's list of publishers that wait for room */
	RC_CONN_PING_DUE = 256,
	RC_CONN_TLS = 512,    /* records are made and opened here (tls.h) */
	RC_CONN_KTLS = 1024,  /* by the kernel */
	RC_CONN_REST = 2048,  /* the rest of a record waits to be sent before anything else */
	RC_CONN_SPENT = 4096, /* its keys have made as many records as they may */
	RC_CONN_NOTIFIED =
		8192, /* no more is read: close_notify, or keys that the kernel can't take */
	RC_CONN_LOGGED = 32768,    /* its end was told: the access log, backends */
	RC_CONN_REPLAYING = 16384, /* when `out` is empty it gets more of what it missed */
};

/* What the send in flight was made of. */
enum rc_conn_send { RC_SEND_NONE, RC_SEND_OUT, RC_SEND_LOG, RC_SEND_GATHERED };

struct rc_conn {
	union {
		uint64_t secret; /* half of the session id */
		struct {
			uint32_t next; /* in the queue of those to go on with */
			uint32_t cell; /* where its address is counted */
		} shake;               /* while the TLS handshake lasts */
		uint32_t awaited;      /* bytes, while a PROXY header is not whole */
	};
	unsigned char *out;
	unsigned char *in;
	void *ext; /* the protocol's own, while it needs one */
	uint32_t out_head, out_len, out_size;
	uint32_t in_len, in_size;
	int fd;
	uint32_t generation;
	uint32_t subs;       /* first subscription */
	uint32_t sub_count;  /* hidden ones not counted */
	uint32_t listed;     /* first subscription with something to send */
	uint32_t requests;   /* first subscribe that is not acknowledged yet */
	uint32_t ready_next; /* or the next free slot */
	uint32_t send_sub;   /* the send in flight: from whose log, or where in the gather buffer */
	uint32_t send_len;
	uint32_t mid_left; /* bytes of the cut frame that are still due */
	uint32_t mid_sub;  /* whose it is */
	struct rc_timer timer;
	uint32_t heard_tick;   /* when it last sent anything */
	uint32_t blocked_tick; /* since when it is BLOCKED */
	uint16_t flags;
	uint16_t stage; /* the protocol's own small state */
	uint8_t kind : 4;
	uint8_t window_bits : 4; /* a WebSocket with permessage-deflate: of what it is sent; 0: none */
	uint8_t state;
	uint8_t send_kind;
	uint8_t inflight;    /* requests that the kernel holds */
	uint32_t events_out; /* sent to it; wraps */
};
_Static_assert(sizeof(struct rc_conn) <= 128,
	"two cache lines are what a delivery touches of a connection");

/* What no delivery touches, by the same slot. */
struct rc_conn_aside {
	uint32_t opened_tick;
	uint32_t
		session; /* what serve/ keeps of its client: an offset in the arena, in units of 16 bytes */
	uint32_t address;     /* where its address is counted (serve/limits.h); RC_NONE: nowhere */
	uint32_t meter;       /* that bounds what it sends */
	uint32_t rtt_us;      /* of its heartbeats, smoothed; 0 = none was answered yet */
	uint32_t messages_in; /* wraps */
};

struct rc_conns;

/* What the protocols do when something happens; given by serve/. */
struct rc_conn_events {
	void *ctx;
	/* The connection is over: give back all that belongs to it. It is DEAD already. */
	void (*gone)(void *ctx, struct rc_conn *c);
	void (*timer)(void *ctx, struct rc_conn *c);
	/* `out` is empty again. */
	void (*drained)(void *ctx, struct rc_conn *c);
};

struct rc_conn_tls_shared;

struct rc_conns {
	struct rc_conn *at;
	struct rc_conn_aside *aside;
	uint32_t count_max;
	uint32_t mark;
	uint32_t free_first;
	uint32_t open;    /* slots that are not free */
	uint32_t sending; /* sends whose completion was not seen yet */
	uint32_t ready_first, ready_last;
	struct rc_wheel wheel;
	uint32_t tick; /* now */
	uint32_t linger_ms;
	struct rc_io *io;
	struct rc_pool *pool;
	struct rc_counters_shard *counters;
	struct rc_conn_events events;
	struct rc_conn_tls_shared *tls; /* NULL: plain connections only */
};

size_t rc_conns_bytes(uint32_t count_max);
/* memory: zeroed. */
void rc_conns_init(struct rc_conns *cs, void *memory, uint32_t count_max, struct rc_io *io,
	struct rc_pool *pool, struct rc_counters_shard *counters,
	const struct rc_conn_events *events, uint32_t tick, uint32_t linger_ms);

/* Takes the descriptor over. NULL when the table is full; the descriptor is the caller's still. */
struct rc_conn *rc_conn_open(struct rc_conns *cs, int fd, enum rc_conn_kind kind) RC_MUST_USE;
uint32_t rc_conn_slot(const struct rc_conns *cs, const struct rc_conn *c);
static inline struct rc_conn_aside *rc_conn_aside(
	const struct rc_conns *cs, const struct rc_conn *c)
{
	return &cs->aside[c - cs->at];
}
/* The connection, if slot and generation still name one that is not DEAD; else NULL. */
struct rc_conn *rc_conn_get(const struct rc_conns *cs, uint32_t slot, uint32_t generation);
/* The connection that a completion is for; NULL when it is not there any more. */
struct rc_conn *rc_conn_of(const struct rc_conns *cs, struct rc_io_tag tag);

void rc_conn_recv(
	struct rc_conns *cs, struct rc_conn *c, enum rc_io_group group, enum rc_io_recv_how how);
/* The receive ended (no F_MORE). */
void rc_conn_recv_ended(struct rc_conn *c);

/* Appends to `out`. False when that would exceed limit, or there is no memory. */
bool rc_conn_write(struct rc_conns *cs, struct rc_conn *c, const void *bytes, uint32_t len,
	uint32_t limit) RC_MUST_USE;
/* Room for len more bytes of `out`, contiguous; commit says how many were used. NULL as above. */
unsigned char *rc_conn_reserve(
	struct rc_conns *cs, struct rc_conn *c, uint32_t len, uint32_t limit) RC_MUST_USE;
void rc_conn_commit(struct rc_conns *cs, struct rc_conn *c, uint32_t len);
/* Puts bytes in front of all that waits in `out`: the rest of a frame. */
bool rc_conn_write_first(
	struct rc_conns *cs, struct rc_conn *c, const void *bytes, uint32_t len) RC_MUST_USE;
/* `out` is empty and takes over a block of the pool of which `len` bytes from `head` on are to be sent. */
void rc_conn_adopt_out(struct rc_conns *cs, struct rc_conn *c, unsigned char *block, uint32_t size,
	uint32_t head, uint32_t len);
/* Appends to `in`: input that can't be used before more comes. False: no memory, or over limit. */
bool rc_conn_keep(struct rc_conns *cs, struct rc_conn *c, const void *bytes, uint32_t len,
	uint32_t limit) RC_MUST_USE;
/* The first `len` bytes of `in` are used. */
void rc_conn_used(struct rc_conns *cs, struct rc_conn *c, uint32_t len);

/* What has come and nobody has received, left where it is, or taken: bytes, 0 for the peer's end, -EAGAIN or another error. For the
 * bytes that stand in front of the protocol. */
int rc_conn_peek(const struct rc_conn *c, void *out, uint32_t size);
int rc_conn_take(const struct rc_conn *c, void *out, uint32_t size);
/* wait_readable then waits for so many bytes, or the peer's end; to be set back to 1. */
void rc_conn_wake_at(const struct rc_conn *c, uint32_t bytes);
/* What the kernel has counted; false: it is gone. */
bool rc_conn_traffic(const struct rc_conn *c, struct rc_tcp_info *out) RC_MUST_USE;
/* Polls, outside of receive and send: while a handshake lasts. */
void rc_conn_wait_readable(struct rc_conns *cs, struct rc_conn *c);
void rc_conn_wait_writable(struct rc_conns *cs, struct rc_conn *c);
/* The gateway's own: RC_IO_CONNECT comes. The address stays until the next submit. NULL: no descriptor, or the table is full. */
struct rc_conn *rc_conn_connect(struct rc_conns *cs, enum rc_conn_kind kind,
	const struct sockaddr *address, socklen_t len) RC_MUST_USE;
/* As rc_conn_kill, while it connects. */
void rc_conn_abandon(struct rc_conns *cs, struct rc_conn *c);
/* A request of our own making that keeps the slot from being used again until rc_conn_landed. */
void rc_conn_hold(struct rc_conn *c);

/* It wants to be flushed this turn. */
void rc_conn_ready(struct rc_conns *cs, struct rc_conn *c);
/* The next of them, taken out of the list; it may be DEAD, and is then to be reclaimed. NULL: none. */
struct rc_conn *rc_conn_next_ready(struct rc_conns *cs);
void rc_conn_reclaim(struct rc_conns *cs, struct rc_conn *c);
/* One send at a time. */
void rc_conn_send(struct rc_conns *cs, struct rc_conn *c, enum rc_conn_send kind, uint32_t sub,
	const void *bytes, uint32_t len);
void rc_conn_block(struct rc_conns *cs, struct rc_conn *c);
/* A send of `out` moved this far. */
void rc_conn_sent_out(struct rc_conns *cs, struct rc_conn *c, uint32_t len);

/* Fires events.timer after ms; one timer per connection. */
void rc_conn_timer(struct rc_conns *cs, struct rc_conn *c, uint32_t ms);

/* Sends what is in `out`, then FIN, then waits a little for the peer. */
void rc_conn_finish(struct rc_conns *cs, struct rc_conn *c);
/* All of `out` is gone: FINISHING goes on to LINGERING. */
void rc_conn_flushed(struct rc_conns *cs, struct rc_conn *c);
/* At once, whatever waits. */
void rc_conn_kill(struct rc_conns *cs, struct rc_conn *c);
/* So, with a reset, while nothing is in flight: for floods, which get no words. */
void rc_conn_reset(struct rc_conns *cs, struct rc_conn *c);
/* So, with a last word as far as the socket takes it, before anything was received: who is turned away holds no slot while it reads. */
void rc_conn_turn_away(struct rc_conns *cs, struct rc_conn *c, const void *bytes, uint32_t len);
/* A request came back; frees the slot when it was the last of a dead connection. */
void rc_conn_landed(struct rc_conns *cs, struct rc_conn *c);

#endif
