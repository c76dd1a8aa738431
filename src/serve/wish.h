/* SPDX-License-Identifier: Apache-2.0
 *
 * How a client wants what it subscribes to: filter, rate, window, acknowledgements, read from its message; and what was agreed on at
 * its upgrade. One thread.
 */
#ifndef RC_SERVE_WISH_H
#define RC_SERVE_WISH_H

#include "hub/view.h"
#include "proto/message.h"
#include "serve/serve.h"

struct rc_wish {
	struct rc_view_spec view; /* its slices lie in `text` */
	bool said;                /* anything of it; false: the rest is zero */
	bool acked;
	uint32_t ack_timeout_ms, ack_retries, ack_window;
	struct rc_str client_id;
	char text[RC_VIEW_KEY_MAX + RC_VIEW_FILTER_MAX + 128];
};

/* A word of a message, or a query, that says so. */
bool rc_wish_named(struct rc_str name);
/* The publisher's bytes are the whole message there. */
bool rc_wish_is_raw(const struct rc_serve *sv, struct rc_str name);
/* 0, or -1 with the fault filled in. */
RC_MUST_USE int rc_wish_read(struct rc_serve *sv, struct rc_conn *c, const struct rc_msg *m,
	struct rc_wish *out, struct rc_msg_fault *fault);
/* The view of that channel or pattern that the connection gets. wish: NULL = nothing was said. */
struct rc_view_spec rc_wish_view(const struct rc_serve *sv, const struct rc_conn *c,
	const struct rc_wish *wish, struct rc_str name);

/* Channels as they are: nothing was said, nor agreed on at the upgrade. */
static inline bool rc_wish_is_plain(const struct rc_conn *c, const struct rc_wish *wish)
{
	return c->kind == RC_CONN_WS && !(c->stage & (RC_WS_BATCH | RC_WS_BIN)) &&
	       !c->window_bits && !(wish && wish->said);
}

#endif
