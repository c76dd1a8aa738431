/* SPDX-License-Identifier: Apache-2.0
 *
 * Compressed messages of clients. One inflater and one message's room for a whole shard: a message is inflated when all of it is there,
 * handled at once, and forgotten.
 *
 * Bounds of one message: on the wire RC_WS_DEFLATED_MAX of client_message_max; inflated client_message_max, and beyond
 * RC_INFLATE_FREE no more than RC_INFLATE_RATIO times what came; blocks rc_inflate_blocks_max. One thread.
 */
#ifndef RC_SERVE_INFLATE_H
#define RC_SERVE_INFLATE_H

#include "serve/serve.h"

/* So much is inflated whatever it was made of. */
#define RC_INFLATE_FREE 65536u
/* A message of nothing but spaces has 1,000; text has 3 to 20. */
#define RC_INFLATE_RATIO 128u

/*
 * What a shard inflates in a turn, at once and again of what waits: in bytes of output, each 2 ns; a byte that came costs up to 20 of
 * them, a message what it takes to begin. So some 4 ms and one message.
 */
#define RC_INFLATE_TURN    (1u << 20)
#define RC_INFLATE_OF_BYTE 20u
#define RC_INFLATE_BEGIN   512u

/* What was received of a client and waits for another turn. Zeroed: nothing. */
struct rc_inflate_rest {
	unsigned char *bytes;
	uint32_t len, size, slot;
	bool last; /* nothing comes behind it: the client has said so already */
	struct rc_inflate_rest *before, *after;
};

/* Memory of a shard; 0: no namespace deflates. */
size_t rc_inflate_room(const struct rc_config *config);
void rc_inflate_begin(struct rc_serve *sv, void *memory);
/* The message, valid until the next is inflated. False: the client was closed. */
bool rc_inflate_message(struct rc_serve *sv, struct rc_conn *c, const unsigned char *bytes,
	size_t len, struct rc_str *out);

/* Whether what came of this client has to wait for another turn. */
static inline bool rc_inflate_waits(const struct rc_serve *sv, const struct rc_conn *c)
{
	return RC_UNLIKELY(c->window_bits) && sv->inflate_spent >= RC_INFLATE_TURN;
}

/* Takes it, behind what waits of it already; nothing more is received until all of it was read. False: no memory. */
RC_MUST_USE bool rc_inflate_keep(struct rc_serve *sv, struct rc_conn *c,
	struct rc_inflate_rest *rest, const unsigned char *bytes, size_t len);
void rc_inflate_drop(struct rc_serve *sv, struct rc_inflate_rest *rest);
/* Goes on with what waits. */
void rc_inflate_turn(struct rc_serve *sv);

#endif
