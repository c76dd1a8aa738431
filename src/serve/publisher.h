/* SPDX-License-Identifier: Apache-2.0
 *
 * A publisher: how far it got, what of it is undecided, and the answers it is sent. Its frames are taken by ingest.c; when it
 * comes and goes is the business of ingestconn.c.
 *
 *   window   entry per frame (per event, where each has its own acknowledgement) between head and tail:
 *            sequence | remaining: events that are not decided yet, +1 while a BATCH is only partly taken
 *            ACK goes out for the decided entries at the head, one for as many as possible
 *
 * Back-pressure: with the window full, a ring full, or acknowledgements unread, the frame stays where it is and nothing more is
 * read. The publisher outlives its connection until all that it sent is decided; only then its id may go to another.
 */
#ifndef RC_SERVE_PUBLISHER_H
#define RC_SERVE_PUBLISHER_H

#include "auth/service.h"
#include "proto/ingest.h"
#include "serve/serve.h"

#define RC_PUBLISHER_OUT_HIGH (256u * 1024) /* unread answers above which nothing more is taken */
#define RC_PUBLISHER_OUT_MAX  (4u << 20) /* room for the answers to all that was taken until then */

enum rc_publisher_stage {
	RC_STAGE_HELLO,    /* the first frame is awaited */
	RC_STAGE_CLAIM,    /* the id is to be claimed; its home's ring was full */
	RC_STAGE_CLAIMING, /* the home will answer */
	RC_STAGE_LIVE,
	RC_STAGE_CLOSING,   /* nothing more is taken; ends when all is acknowledged */
	RC_STAGE_SETTLING,  /* the connection is gone, events are undecided */
	RC_STAGE_RETURNING, /* the id is to be given back; its home's ring was full */
};

struct rc_publisher_entry {
	uint64_t sequence;
	uint64_t epoch;
	uint64_t offset;
	uint32_t remaining;
	uint8_t flags; /* of the frame */
	bool positioned;
};

/* What its token or certificate lets it do, where that is not everything; a block of the pool. */
struct rc_publisher_right {
	uint16_t last_len;         /* 0: none */
	char last[RC_CHANNEL_MAX]; /* the channel that was last found to be allowed */
	struct rc_grant grant;     /* its patterns stand behind it */
};

struct rc_publisher {
	struct rc_publisher_entry *window;
	uint64_t taken; /* highest sequence that was taken in */
	uint64_t acked; /* highest that was acknowledged; what is acknowledged never goes back */
	uint32_t size;  /* of window, a power of two */
	uint32_t head, tail;
	uint32_t outstanding; /* events that are not decided */
	uint32_t batch_done;  /* events of the BATCH at hand that were taken */
	uint32_t batch_entry;
	uint32_t conn; /* RC_NONE = gone */
	uint32_t generation;
	uint32_t ack_next, wait_next;
	uint8_t stage;
	uint8_t id_len;
	bool ack_listed, wait_listed;
	uint8_t scopes;   /* enum rc_scope */
	uint32_t used[3]; /* broadcasts, sends, disconnects that are not told to the audit yet */
	bool told;        /* the first of them was, at once */
	struct rc_publisher_right *right;
	bool backend;         /* it has registered as one (commands.h) */
	uint32_t events_lost; /* of clients, that it was not told of */
	bool certified;       /* id is the name in its certificate */
	bool batch_open;      /* batch_entry counts one more, for events that were not taken yet */
	char id[RC_PUBLISHER_ID_MAX];
	uint8_t known_len;
	char known
		[RC_PUBLISHER_ID_MAX]; /* the id as its home knows it, which tells services apart */
};

/* Publishers by place; find answers NULL when the place has another one now. */
struct rc_publisher *rc_publisher_at(const struct rc_serve *sv, uint32_t slot);
uint32_t rc_publisher_slot(const struct rc_serve *sv, const struct rc_publisher *p);
struct rc_publisher *rc_publisher_find(
	const struct rc_serve *sv, uint32_t slot, uint32_t generation);
struct rc_conn *rc_publisher_conn(const struct rc_serve *sv, const struct rc_publisher *p);
/* Something is decided: acknowledgements are written at the end of the turn. */
void rc_publisher_list_ack(struct rc_serve *sv, struct rc_publisher *p);
/* Waits for room, or for its end: looked at in the next turn. */
void rc_publisher_list_wait(struct rc_serve *sv, struct rc_publisher *p);
void rc_publisher_unlist(struct rc_serve *sv, struct rc_publisher *p);
/* Answers. One that finds no room ends the connection: the publisher then asks again what was taken. */
void rc_publisher_reply(struct rc_serve *sv, struct rc_conn *c, const void *frame, size_t len);
void rc_publisher_error(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *text);
void rc_publisher_bye(struct rc_serve *sv, struct rc_conn *c, uint16_t code, uint32_t after_ms);
void rc_publisher_nack(
	struct rc_serve *sv, struct rc_conn *c, uint64_t sequence, uint16_t code, const char *text);
/* Nothing more is taken; the connection ends when all is acknowledged. */
void rc_publisher_stop_taking(struct rc_serve *sv, struct rc_publisher *p);
/* An ERROR that ends the connection after what came before is acknowledged. */
void rc_publisher_fail(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	uint16_t code, const char *text);
/* ACKs for the decided entries at the head of the window. */
void rc_publisher_write_acks(struct rc_serve *sv, struct rc_publisher *p);
/* Room for one more event, in the window and within the credit. */
bool rc_publisher_room(struct rc_serve *sv, struct rc_publisher *p);
/* The index of a new entry. */
uint32_t rc_publisher_push(
	struct rc_publisher *p, uint64_t sequence, uint8_t flags, uint32_t remaining);
/* One event of the entry was sequenced or refused. */
void rc_publisher_decided(struct rc_serve *sv, struct rc_publisher *p, uint32_t index,
	const struct rc_outcome *o, uint64_t sequence);
/* HELLO is answered, it may publish. */
void rc_publisher_welcome(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p);
/* Settles under which name the home of its id knows it; once, when it is known who it is. */
void rc_publisher_identify(const struct rc_serve *sv, struct rc_publisher *p);
/* Asks the home of its id for it; not read until that answers. */
void rc_publisher_claim(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p);

/* What a grant allows is what it may do from now on. False: no memory. */
bool rc_publisher_grant(
	struct rc_serve *sv, struct rc_publisher *p, const struct rc_grant *grant) RC_MUST_USE;
/* Whether it may do that now. channel: of an event; else empty. */
bool rc_publisher_may(const struct rc_serve *sv, struct rc_publisher *p, enum rc_scope scope,
	struct rc_str channel);
/* It did something that goes beyond publishing: the audit is told of the first at once, of the rest in sums. */
void rc_publisher_used(struct rc_serve *sv, struct rc_publisher *p, enum rc_scope scope);
/* The sums, now. */
void rc_publisher_tell(struct rc_serve *sv, struct rc_publisher *p);
/* Gives back what was granted, at its end. */
void rc_publisher_forget(struct rc_serve *sv, struct rc_publisher *p);
/* Its token was good until a moment that is over. */
bool rc_publisher_expired(const struct rc_serve *sv, const struct rc_publisher *p);

/* ---- ingest.c, for ingestsend.c: 0, or why an event is refused before it goes anywhere. scope: PUBLISH, which alone has a channel,
 * BROADCAST or SEND. */
uint16_t rc_ingest_judge(const struct rc_serve *sv, struct rc_publisher *p, enum rc_scope scope,
	const struct rc_ingest_publish *e, uint8_t flags, const char **text);
enum rc_counter rc_ingest_refused_counter(uint16_t code);
/* ---- ingestsend.c: a SEND or a CLOSE. False: no room, nothing was done. */
bool rc_ingest_message(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_frame *f);
/* ---- ingestread.c: a SUBSCRIBE; and what it may read has changed. */
void rc_ingest_subscribe(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_frame *f);
void rc_ingest_right_changed(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p);
/* ---- ingest.c, for ingestconn.c: takes what waits in the input, and reads on. */
void rc_ingest_go_on(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p);

#endif
