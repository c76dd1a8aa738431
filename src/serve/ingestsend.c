/* SPDX-License-Identifier: Apache-2.0
 *
 * SEND and CLOSE of the binary port: judged here, taken by the homes of their users (users.h). They stand in the publisher's window as
 * events do, each with as many outcomes as homes are concerned.
 */
#include "serve/publisher.h"
#include "serve/users.h"

struct message {
	struct rc_ingest_send send;
	struct rc_ingest_close close;
	const struct rc_ingest_target *target;
	uint64_t sequence;
	bool closes;
};

static bool parse(const struct rc_ingest_frame *f, struct message *m)
{
	m->closes = f->type == RINGCAST_FRAME_CLOSE;
	if (m->closes) {
		m->target = &m->close.target;
		if (rc_ingest_close_parse(f->body, &m->close) < 0)
			return false;
		m->sequence = m->close.sequence;
		return true;
	}
	m->target = &m->send.target;
	if (rc_ingest_send_parse(f->body, &m->send) < 0)
		return false;
	m->sequence = m->send.event.sequence;
	return true;
}

static bool target_valid(const struct rc_ingest_target *t)
{
	struct rc_str rest = t->list, id;

	if (t->kind == RINGCAST_TARGET_SESSION)
		return t->list.len == RC_WS_SESSION_LEN;
	if (t->count > RC_USER_LIST_MAX || rest.len > RC_USER_TARGETS_MAX)
		return false;
	while (rc_user_next(&rest, &id)) {
		if (!rc_user_id_valid(id))
			return false;
	}
	return true;
}

static bool close_valid(const struct rc_ingest_close *c)
{
	if (c->code && (c->code < RINGCAST_CLOSE_MIN || c->code > RINGCAST_CLOSE_MAX))
		return false;
	/* What may be a user's id may be a reason; it may also be empty. */
	return c->reason.len == 0 ||
	       (c->reason.len <= RC_REASON_MAX && rc_user_id_valid(c->reason));
}

/* 0, or why it is refused. */
static uint16_t judge(const struct rc_serve *sv, struct rc_publisher *p, const struct message *m,
	uint8_t flags, const char **text)
{
	uint16_t code = 0;

	if (!m->closes) {
		code = rc_ingest_judge(sv, p, RC_SCOPE_SEND, &m->send.event, flags, text);
	} else if (flags & ~RINGCAST_FLAGS_CLOSE) {
		*text = "the frame has flags that this gateway does not know";
		code = RINGCAST_NACK_NOT_SUPPORTED;
	} else if (!rc_publisher_may(sv, p, RC_SCOPE_DISCONNECT, (struct rc_str){NULL, 0})) {
		*text = "the token does not allow this";
		code = RINGCAST_NACK_FORBIDDEN;
	}
	if (code)
		return code;
	if (!target_valid(m->target)) {
		*text = "a user's id is 1 to 128 bytes of UTF-8 without control characters, a session's 17; "
			"a list has at most 1000 users and 16384 bytes";
		return RINGCAST_NACK_BAD_TARGET;
	}
	if (m->closes && !close_valid(&m->close)) {
		*text = "the code of a close is 4000 to 4999, its reason at most 123 bytes of UTF-8";
		return RINGCAST_NACK_BAD_TARGET;
	}
	return 0;
}

static struct rc_user_message message_of(
	const struct rc_serve *sv, const struct message *m, uint8_t flags)
{
	struct rc_user_message out = {
		.targets = m->target->list,
		.session = m->target->kind == RINGCAST_TARGET_SESSION,
	};

	if (m->closes) {
		out.code = m->close.code ? m->close.code : RC_CLOSE_OPERATOR;
		out.event = m->close.reason;
		return out;
	}
	const struct rc_ingest_publish *e = &m->send.event;
	out.event = e->event;
	out.data = e->payload;
	out.timestamp_ms = e->timestamp_ms ? e->timestamp_ms : sv->wall_ms;
	out.json = (flags & RINGCAST_FLAG_JSON) != 0;
	return out;
}

static void decided(struct rc_serve *sv, struct rc_publisher *p, uint32_t index)
{
	p->window[index & (p->size - 1)].remaining--;
	rc_publisher_list_ack(sv, p);
}

/* False: no room. */
static bool take(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct message *m, uint8_t flags, uint32_t index)
{
	const char *text = NULL;

	if (m->sequence <= p->taken) {
		rc_count(sv->counters, RC_C_events_deduplicated, 1);
		decided(sv, p, index);
		return true;
	}
	uint16_t code = judge(sv, p, m, flags, &text);
	if (code) {
		rc_count(sv->counters, rc_ingest_refused_counter(code), 1);
		p->taken = m->sequence;
		decided(sv, p, index);
		rc_publisher_nack(sv, c, m->sequence, code, text);
		return true;
	}
	struct rc_user_message out = message_of(sv, m, flags);
	struct rc_outcome here = {0};
	uint32_t parts;
	out.from = (struct rc_publisher_ref){
		sv->shard, rc_publisher_slot(sv, p), p->generation, index, m->sequence};
	if (rc_users_send(sv, &out, &here.offset, &parts) == RC_ROUTE_FULL)
		return false;
	rc_publisher_used(sv, p, m->closes ? RC_SCOPE_DISCONNECT : RC_SCOPE_SEND);
	p->taken = m->sequence;
	p->outstanding += parts;
	p->window[index & (p->size - 1)].remaining += parts;
	/* What was decided here counts as one part more. */
	rc_publisher_decided(sv, p, index, &here, m->sequence);
	return true;
}

bool rc_ingest_message(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_frame *f)
{
	struct message m;

	if (!parse(f, &m)) {
		rc_publisher_fail(
			sv, c, p, RINGCAST_ERROR_BAD_BODY, "the body of this frame can't be read");
		return true;
	}
	if (!rc_publisher_room(sv, p))
		return false;
	uint32_t index = rc_publisher_push(p, m.sequence, f->flags, 1);
	if (take(sv, c, p, &m, f->flags, index))
		return true;
	p->tail--;
	return false;
}
