/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of the events that a channel keeps, for whoever asks: a WebSocket client, the HTTP API.
 */
#ifndef RC_SERVE_HISTORY_H
#define RC_SERVE_HISTORY_H

#include "proto/since.h"
#include "proto/textbuf.h"
#include "serve/serve.h"

/* To whom the answer goes. */
struct rc_history_asker {
	uint32_t slot, generation;
	uint8_t id_len;
	char id[RC_MSG_ID_MAX];
};

size_t rc_history_bytes(void);
void rc_history_init(struct rc_serve *sv, void *memory);
/* False: too many at once. The answer may come before this returns. */
bool rc_history_ask(struct rc_serve *sv, const struct rc_history_asker *asker,
	const struct rc_msg_history *h) RC_MUST_USE;
/* The events of an answer and what ends its object, into a buffer with room for so much. */
size_t rc_history_bound(const struct rc_fetched *f);
void rc_history_write(struct rc_textbuf *b, const struct rc_fetched *f, bool complete);

#endif
