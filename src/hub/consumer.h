/* SPDX-License-Identifier: Apache-2.0
 *
 * Delivery that is acknowledged. A consumer is a reader of one channel by the name of his user and his clientId; the channel's owner keeps
 * where he is, reads the events for him out of the channel's history, and sends each to the shard of his connection.
 *
 *   owned ─▶ consumed (channel) ─▶ consumer ─▶ consumer        acked ──── window ────▶ next ──── not sent yet ────▶ newest
 *                                    │ window: offsets that were sent and not acknowledged, the lowest first
 *                                    │ holder: shard, slot, generation of his connection's side (serve/acked.h), or nobody
 *
 *   an event of the window   SENT ─ timeout ─▶ AGAIN ─ sent again ─▶ SENT ─ timeout, no retries left ─▶ DYING ─ $dead: has it ─▶ gone
 *                              └─ acknowledged ─▶ gone, whatever its state
 *
 * All that is decided is decided here, in the order of one thread: acknowledgements, redelivery, dead letters, who holds a consumer.
 * Tells that find no room are told in a later turn; nothing moves before. What history lets go before it was acknowledged is said.
 * A channel with consumers is not forgotten; its history is not held back by them. Part of struct rc_hub: one thread, tables given
 * at start, names and windows from the pool.
 */
#ifndef RC_HUB_CONSUMER_H
#define RC_HUB_CONSUMER_H

#include "base/base.h"
#include "base/wheel.h"
#include "hub/table.h"
#include "mem/slab.h"

#define RC_CLIENT_ID_MAX 64
/* $dead:X is ordered where X is: so dead letters cross no ring, and are taken or not at once. */
#define RC_DEAD_PREFIX "$dead:"
/* What a dead letter has besides the data of its event: names with every byte escaped, numbers, words. */
#define RC_DEAD_OVERHEAD 4096u

struct rc_hub;

enum rc_consumer_asks {
	RC_CONSUMER_ATTACH = 1,
	/* Events may come. What was sent from `offset` on did not reach the connection, or may not have; behind `after` nothing has. */
	RC_CONSUMER_GO,
	RC_CONSUMER_HOLD, /* the connection takes no more at present */
	RC_CONSUMER_ACK,  /* this event and all before it */
	RC_CONSUMER_ACK_ONE,
	RC_CONSUMER_DETACH, /* the connection is gone */
	RC_CONSUMER_END,    /* the client wants no more of it */
};

/* to the owner */
struct rc_consumer_ask {
	uint8_t kind;
	uint8_t how; /* enum rc_fetch_how of `since` */
	bool since;  /* how, epoch and after say where a new consumer begins */
	bool stale;  /* `since` is of another run of the gateway */
	uint16_t retries;
	uint32_t shard, slot, generation; /* who asks */
	uint32_t consumer, life;          /* all but ATTACH */
	uint32_t timeout_ms, window;
	uint64_t epoch, after;
	uint64_t offset; /* GO, ACK, ACK_ONE */
	uint32_t round;  /* GO: echoed in the events that follow from it */
	uint64_t who;    /* ATTACH: whose it is, as it is counted: of one user, or of one address */
	struct rc_str channel;      /* ATTACH; so the others */
	struct rc_str user, client; /* one of them empty: the consumer ends with its connection */
};

enum rc_consumer_tells {
	RC_CONSUMER_ATTACHED = 1,
	RC_CONSUMER_EVENT,
	RC_CONSUMER_GAP, /* `missed` events were trimmed before they were acknowledged; it goes on after `offset` */
	RC_CONSUMER_GONE, /* another connection has it now */
};

/* from the owner */
struct rc_consumer_told {
	uint8_t kind;
	uint8_t verdict;           /* ATTACHED: enum rc_verdict */
	bool taken;                /* ATTACHED: false = no room */
	bool too_many;             /* ATTACHED, not taken: this user has as many as it may */
	bool known;                /* ATTACHED: the consumer was there already */
	uint32_t slot, generation; /* whom it is for */
	uint32_t consumer, life;
	uint32_t tries; /* EVENT: how often it was sent before */
	uint32_t round; /* EVENT: of the GO that it follows from */
	uint32_t frame_len;
	uint64_t epoch;
	uint64_t offset; /* ATTACHED: of the last that is acknowledged; EVENT: its own */
	uint64_t sent;   /* ATTACHED: of the last that was ever sent */
	uint64_t missed;
	const unsigned char *frame;
};

/* ---- data ---------------------------------------------------------------------------------------- */

enum rc_consumer_state { RC_WINDOW_SENT, RC_WINDOW_AGAIN, RC_WINDOW_DYING };

struct rc_window_event {
	uint64_t offset;
	uint32_t sent_ms;
	uint32_t len;   /* of its frame */
	uint32_t tries; /* how often it was sent again */
	uint32_t state;
};

struct rc_consumer {
	struct rc_timer timer; /* with a holder: the next timeout; without: the end */
	uint32_t consumed;
	uint32_t prev, next;         /* of the channel */
	uint32_t due_prev, due_next; /* of those with something to do */
	char *text;                  /* user, clientId: a block of the pool */
	uint16_t user_len, client_len;
	uint32_t hash;                    /* in the table, when named */
	uint32_t payer;                   /* to whom it is counted */
	uint32_t shard, slot, generation; /* the holder; shard RC_NONE: nobody */
	uint32_t round;
	uint32_t timeout_ms;
	uint32_t retries;
	uint32_t
		capacity; /* of the window; it may hold more for a while after a smaller one was asked for */
	uint32_t window_size; /* events of the block */
	uint32_t count;
	uint32_t bytes; /* of the frames in the window */
	uint32_t to_do; /* events in it that are AGAIN or DYING */
	uint64_t
		gap_at; /* the last offset that history let go; 0: the client has acknowledged later ones, so it knows */
	uint64_t next_offset; /* the first that was never sent */
	struct rc_window_event *window;
	bool due;
	bool held;  /* its connection has not said GO */
	bool named; /* found by its names, and kept without a connection */
	/* It was new to who knows an earlier life of the channel, and has acknowledged nothing since. The client may not have heard of that: its
	 * connection may have ended before. */
	bool reborn;
};

/* A user, or an address, with consumers: how many. One of them may not take the room of all. */
struct rc_consumer_payer {
	uint64_t who; /* a keyed hash */
	uint32_t count;
};

/* A channel with consumers. */
struct rc_consumed {
	uint32_t owned;
	uint32_t first, count;
	uint32_t due_next;
	uint32_t
		walk; /* due: the consumer with which the walk goes on; RC_NONE: it has not begun, or is over */
	bool due;
	bool fresh; /* due: an event has come that no walk was begun for */
};

struct rc_consumers {
	bool on;      /* there may be some */
	bool blocked; /* some ring had no room: to be tried again soon */
	struct rc_slab slab, channels, payers;
	uint32_t *life; /* by consumer: grows when it ends */
	struct rc_table table;
	struct rc_table payer_table;
	struct rc_wheel wheel;
	uint32_t due_first, due_last;
	uint32_t channel_first, channel_last; /* of those with new events */
	char *data; /* frame_max bytes: of the dead letter that is being made */
};

/* ---- for the shard -------------------------------------------------------------------------------- */

/* False: no room for what is to be said, nothing was done, come again. */
bool rc_consumer_asked(struct rc_hub *h, const struct rc_consumer_ask *ask) RC_MUST_USE;
/* Once per turn, before the flush: sends, sends again, buries. */
void rc_consumer_turn(struct rc_hub *h);
/* Nanoseconds until there is something to do; UINT64_MAX: nothing. */
uint64_t rc_consumer_wait_ns(const struct rc_hub *h);
/* Something could go out now. */
bool rc_consumer_busy(const struct rc_hub *h);
/* What the channel's consumers have not acknowledged: how many there are, how many of them with a connection, and how far the last
 * is behind. */
struct rc_consumer_lag {
	uint32_t consumers, attached;
	uint64_t unacknowledged; /* of the one that is furthest behind */
};
struct rc_consumer_lag rc_consumer_lag(const struct rc_hub *h, uint32_t owned);

/* ---- between the parts ---------------------------------------------------------------------------- */

/* The channel has a new event. */
void rc_consumed_event(struct rc_hub *h, uint32_t consumed);
void rc_consumer_due(struct rc_hub *h, uint32_t consumer);
void rc_consumer_undue(struct rc_hub *h, uint32_t consumer);
void rc_consumer_end(struct rc_hub *h, uint32_t consumer);
/* Takes events off the window, from place `at` on. */
void rc_window_drop(struct rc_consumer *c, uint32_t at, uint32_t count);
/* The place of the first event at this offset or behind it. */
uint32_t rc_window_find(const struct rc_consumer *c, uint64_t offset);
/* Offset of the oldest event that is still there; the newest one's and 1 when none is. */
uint64_t rc_consumer_kept(const struct rc_hub *h, const struct rc_consumer *c);
/* Its timer stands for what comes next. */
void rc_consumer_timer(struct rc_hub *h, uint32_t consumer);
uint32_t rc_consumer_tick(const struct rc_hub *h);
/* Its walk is over, or a consumer is gone: a channel without any is given back. */
void rc_consumed_settle(struct rc_hub *h, uint32_t consumed);
/* Memory for so many, 0 for none; zeroed. */
size_t rc_consumer_bytes(uint32_t consumers_max, uint32_t frame_max);
void rc_consumer_init(struct rc_hub *h, unsigned char *memory);
/* Walks everything and asserts the invariants. */
void rc_consumer_check(const struct rc_hub *h);

/* All of it is acknowledged, or dead, up to here. */
static inline uint64_t rc_consumer_acked(const struct rc_consumer *c)
{
	return (c->count ? c->window[0].offset : c->next_offset) - 1;
}

#endif
