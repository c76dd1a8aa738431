/* SPDX-License-Identifier: Apache-2.0
 *
 * Who listens on the binary port: backends that subscribe to channels. They are subscribers as WebSocket clients are, by the same
 * requests (binary.h), with other rights: the scope `read` or `backend` shows them every channel and its past.
 */
#include "serve/binary.h"
#include "serve/publisher.h"

static bool may_read(const struct rc_publisher *p)
{
	return (p->scopes & (RC_SCOPE_READ | RC_SCOPE_BACKEND)) != 0;
}

void rc_ingest_subscribe(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_frame *f)
{
	const char *whole = f->body.ptr - RINGCAST_WIRE_HEADER_LEN;
	struct rc_bin_subscribe s;

	if (f->body.len == 0 || rc_bin_subscribe_parse(f->body, &s) < 0) {
		rc_publisher_fail(
			sv, c, p, RINGCAST_ERROR_BAD_BODY, "the body of this frame can't be read");
		return;
	}
	if (!may_read(p) && !(f->flags & RINGCAST_FLAG_OFF)) {
		rc_count(sv->counters, RC_C_subscribe_refused_forbidden, 1);
		rc_bin_subscribed(sv, c, s.name, false, RINGCAST_VERDICT_FORBIDDEN,
			RC_STR("the token does not allow to subscribe"));
		return;
	}
	rc_ws_message(sv, c, (struct rc_str){whole, f->total});
}

void rc_ingest_right_changed(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p)
{
	if (may_read(p))
		return;
	for (uint32_t sub = c->subs, next; sub != RC_NONE && c->state == RC_CONN_OPEN; sub = next) {
		next = rc_hub_sub(sv->hub, sub)->next;
		rc_bin_subscribed(sv, c, rc_replica_name(rc_hub_sub_base(sv->hub, sub)), true,
			RINGCAST_VERDICT_FORBIDDEN, RC_STR("the token does not allow it any more"));
	}
	rc_ws_drop_subs(sv, c);
}

void rc_ingest_end(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *reason)
{
	struct rc_publisher *p = c->ext;

	if (c->state != RC_CONN_OPEN || !p)
		return;
	rc_publisher_fail(sv, c, p,
		code == RC_CLOSE_TOO_SLOW ? RINGCAST_ERROR_TOO_SLOW : RINGCAST_ERROR_OVER_CAPACITY,
		reason);
}
