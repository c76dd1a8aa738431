/* SPDX-License-Identifier: Apache-2.0
 *
 * A client: one connection to the server at a time, and what it has seen of its channels. Owned by its worker, which has all of
 * its clients in one array; the zero value is one that was never connected.
 *
 *   AWAY ─▶ WAITING ─▶ CONNECTING ─▶ (TLS) ─▶ UPGRADING ─▶ GREETING ─▶ WELCOME ─▶ SUBSCRIBING ─▶ OPEN
 *     ▲ a pause after a failure, churn, storm ◀──────────────────────────────────────────────┤
 *                                                       the server closed: GONE, for good ◀──┘
 *
 * An open plain client costs its struct and nothing else. Extra memory is there while it is on the way, while output could not
 * be sent, and always for TLS, slow readers, echo, and commands.
 */
#ifndef LOAD_CLIENT_H
#define LOAD_CLIENT_H

#include "base/wheel.h"
#include "stream.h"
#include "subs.h"

struct load_worker;
struct load_extra;
struct load_commands;

enum load_client_state {
	LOAD_AWAY,
	LOAD_WAITING, /* in the worker's list of those that may connect when the pace allows */
	LOAD_CONNECTING,
	LOAD_HANDSHAKE, /* of TLS; where it is all that is wanted, AWAY follows */
	LOAD_UPGRADING, /* the answer to the upgrade, or to the GET of SSE */
	LOAD_GREETING,
	LOAD_WELCOME,
	LOAD_SUBSCRIBING,
	LOAD_OPEN,
	LOAD_GONE
};

enum {
	LOAD_LISTED = 1, /* in the list of those with something to read */
	LOAD_WATCHED = 2,
	LOAD_AWAITED = 4,    /* a poll for room to send */
	LOAD_COUNTED = 8,    /* in shared->subscribers */
	LOAD_ONCE = 16,      /* was open before */
	LOAD_THROTTLED = 32, /* reads again when its timer fires */
	LOAD_ENDING = 64,    /* behind what is there to read is the end */
};

struct load_client {
	int fd;
	uint32_t generation; /* of the connection, for completions */
	uint32_t next;       /* in the list that it is in */
	uint8_t state, group, flags;
	struct rc_timer timer; /* connect timeout, pause, or throttle */
	struct load_sub sub;   /* the first subscription */
	struct load_subs *more;
	struct load_stream stream;
	struct load_extra *extra;
};

static_assert(sizeof(struct load_client) <= 112, "100,000 clients are to be cheap");

/* What only some clients have, or for a short time. */
struct load_extra {
	struct load_tls *tls;
	char *out; /* what could not be sent yet: out_pos to out_len */
	uint32_t out_pos, out_len, out_cap;
	char *head; /* of the server's HTTP answer, so far */
	uint32_t head_len;
	uint32_t acknowledged;          /* subscriptions, of this connection */
	char key[24];                   /* Sec-WebSocket-Key */
	uint64_t begun_ns;              /* connect() */
	uint64_t allowance_ns;          /* slow: the time up to which its bytes were reckoned */
	uint64_t allowance;             /* slow: bytes that it may read now */
	uint64_t sent;                  /* echo: the last sequence */
	uint64_t returned;              /* echo: events that came back */
	struct load_commands *commands; /* that it has sent; command.c */
	short tls_want;
};

/* Its index within its group, over all workers. */
uint32_t load_client_index(const struct load_worker *w, const struct load_client *c);
/* Its subscriptions' memory. 0 or -ENOMEM. */
int load_client_init(struct load_worker *w, struct load_client *c, uint8_t group) RC_MUST_USE;
void load_client_deinit(struct load_worker *w, struct load_client *c);

/* WAITING: begins to connect. */
void load_client_connect(struct load_worker *w, struct load_client *c);
/* An open one goes (churn, storm), cleanly or not, and queues up to come back. */
void load_client_leave(
	struct load_worker *w, struct load_client *c, bool cleanly, uint64_t away_ns);
void load_client_writable(struct load_worker *w, struct load_client *c);
void load_client_timer(struct load_worker *w, struct load_client *c);
/* All is subscribed that is to be: it is OPEN. */
void load_client_opened(struct load_worker *w, struct load_client *c);
/*
 * The connection ends, by the server's doing or for what it did: a failed attempt, or an open client lost. why: a sentence for
 * the operator, shown when the server was never reached.
 */
void load_client_lost(struct load_worker *w, struct load_client *c, const char *why);

/* The connection, if there is one, is closed; what the client is in becomes its caller's to say. */
void load_client_disconnect(struct load_worker *w, struct load_client *c, bool abruptly);

/* Memory for what is extra, or NULL after the client was lost for want of it. */
struct load_extra *load_client_extra(struct load_worker *w, struct load_client *c);
void load_client_drop_extra(struct load_worker *w, struct load_client *c);
/* What an open client does not need any more. */
void load_client_spare(struct load_worker *w, struct load_client *c);
/* Sends, or keeps what the socket does not take now. False: the client was lost. */
bool load_client_send(struct load_worker *w, struct load_client *c, const void *bytes, size_t len);
/* The same as one masked WebSocket frame. */
bool load_client_send_frame(struct load_worker *w, struct load_client *c, uint8_t opcode,
	const void *payload, size_t len);

/* Once, when the run ends: what an open client still lacks. */
void load_client_settle(struct load_worker *w, struct load_client *c);

#endif
