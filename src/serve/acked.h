/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection's side of acknowledged delivery. The subscription is an ordinary one that is paused for good (RC_SUB_ACKED): it
 * counts, is refused and ends as others do, and never reads its log. What its client gets comes from the channel's owner
 * (hub/consumer.h) and is written to the connection's own output; what the client acknowledges goes to the owner.
 *
 *   NEW ─ the channel has begun ─▶ ASKED ─ the owner says where it stands ─▶ ANSWERED ─ the client is told ─▶ LIVE
 *
 * All that is asked of an owner waits in one line, in its order, so that a full ring costs nothing but time. A block stays until the
 * last of it was asked. Nothing is asked from inside of what an owner tells. Owned by the shard of the connection.
 */
#ifndef RC_SERVE_ACKED_H
#define RC_SERVE_ACKED_H

#include "proto/since.h"
#include "serve/serve.h"
#include "serve/wish.h"

#define RC_ACK_TIMEOUT_DEFAULT 5000u
#define RC_ACK_TIMEOUT_MIN     100u
#define RC_ACK_RETRIES_DEFAULT 3u
#define RC_ACK_WINDOW_DEFAULT  32u

enum rc_acked_phase { RC_ACKED_NEW, RC_ACKED_ASKED, RC_ACKED_ANSWERED, RC_ACKED_LIVE };

/* Acknowledgements of single events that wait for room in a ring. */
#define RC_ACKED_ONES 16u

struct rc_acked {
	uint32_t conn, sub; /* sub RC_NONE: it has ended */
	uint32_t place;     /* in its request */
	uint32_t owner;
	uint32_t consumer, life; /* once ANSWERED */
	uint32_t next;           /* in the line */
	uint32_t to_ask;         /* a bit for each enum rc_consumer_asks */
	uint32_t round;          /* of the last GO: events of others are of no use any more */
	uint32_t timeout_ms, window;
	uint32_t starved; /* bytes for which there was no memory */
	uint16_t retries;
	uint8_t phase;
	uint8_t verdict;
	uint8_t ones;
	uint8_t how; /* enum rc_fetch_how */
	uint8_t client_len;
	bool since, stale; /* as in struct rc_consumer_ask */
	bool listed;
	bool taken, known;
	bool named;    /* it outlives the connection */
	bool ends;     /* by the client's own word */
	bool gone;     /* another connection has it */
	bool too_many; /* not taken, for its user has as many as it may */
	bool stalled; /* the client does not take what it has: events from `skipped` on were not written */
	uint64_t epoch,
		after; /* since; once ANSWERED: the channel's, and the last offset that was acknowledged */
	uint64_t sent; /* the last offset that the client may know */
	uint64_t skipped;
	uint64_t ack;
	uint64_t one[RC_ACKED_ONES];
	char client[RC_CLIENT_ID_MAX];
};

size_t rc_acked_bytes(uint32_t max);
void rc_acked_init(struct rc_serve *sv, void *memory, uint32_t max);
static inline struct rc_acked *rc_acked_at(const struct rc_serve *sv, uint32_t index)
{
	return rc_slab_at(&sv->acked, index);
}
/* That of a subscription, or RC_NONE. */
static inline uint32_t rc_acked_of(const struct rc_serve *sv, uint32_t sub)
{
	const struct rc_sub *s = rc_hub_sub(sv->hub, sub);

	return s->flags & RC_SUB_ACKED ? s->listed_next : RC_NONE;
}

/* ---- wishack.c: what a subscribe says of it. 0, or -1 with the fault filled in. */

int rc_wish_read_ack(const struct rc_serve *sv, const struct rc_msg *m, struct rc_wish *out,
	struct rc_msg_fault *fault) RC_MUST_USE;
/* Whether this channel can be had so; sub: what the connection has of it already, or RC_NONE. */
int rc_wish_check_ack(const struct rc_serve *sv, const struct rc_wish *wish, struct rc_str name,
	uint32_t sub, struct rc_msg_fault *fault) RC_MUST_USE;

/* ---- acked.c */

/* The paused subscription is one of these. RC_NONE: no room. */
uint32_t rc_acked_open(struct rc_serve *sv, struct rc_conn *c, uint32_t sub,
	const struct rc_wish *wish, const struct rc_since *since, uint32_t place);
/* Its channel has begun: the owner is asked. */
void rc_acked_attach(struct rc_serve *sv, uint32_t acked);
/* The client was told where it stands. */
void rc_acked_start(struct rc_serve *sv, uint32_t acked);
/* The client unsubscribes: the consumer is to end with the subscription. */
void rc_acked_ends(struct rc_serve *sv, uint32_t sub);
/* The subscription goes. */
void rc_acked_left(struct rc_serve *sv, uint32_t acked);
/* The client has taken all it had. */
void rc_acked_drained(struct rc_serve *sv, uint32_t acked);
/* Whether something is to be said of what it could resume; *reason: why not, NULL when it did. */
bool rc_acked_outcome(const struct rc_acked *a, const char **reason);

/* request.c: it was answered. */
void rc_ws_acked_answered(struct rc_serve *sv, struct rc_conn *c, uint32_t acked);

#endif
