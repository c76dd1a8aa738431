/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of the binary port: taken in order, each event judged and handed to its channel's owner. A frame that finds no
 * room stays where it is, and nothing more is read until it does.
 */
#include "serve/commands.h"
#include "serve/proof.h"
#include "serve/publisher.h"
#include "serve/validation.h"

#include "serve/limits.h"

#include <errno.h>
#include <stdio.h>

#include "proto/json.h"
#include "proto/trace.h"

#define JSON_DEPTH 128u

/* ---- taking events ------------------------------------------------------------------------------ */

/* 0, or why the event is refused before it goes anywhere. */
uint16_t rc_ingest_judge(const struct rc_serve *sv, struct rc_publisher *p, enum rc_scope scope,
	const struct rc_ingest_publish *e, uint8_t flags, const char **text)
{
	if (flags & ~RINGCAST_FLAGS_EVENT) {
		*text = "the frame has flags that this gateway does not know";
		return RINGCAST_NACK_NOT_SUPPORTED;
	}
	if (flags & RINGCAST_FLAG_DURABLE) {
		*text = "this gateway keeps no journal";
		return RINGCAST_NACK_NOT_SUPPORTED;
	}
	if (scope == RC_SCOPE_PUBLISH &&
		(rc_name_classify(e->channel) != RC_NAME_CHANNEL || rc_name_reserved(e->channel))) {
		*text = "not the name of a channel that one may publish to";
		return RINGCAST_NACK_BAD_CHANNEL;
	}
	if (!rc_publisher_may(sv, p, scope, e->channel)) {
		*text = scope == RC_SCOPE_PUBLISH
				? "the token does not allow to publish to this channel"
				: "the token does not allow this";
		return RINGCAST_NACK_FORBIDDEN;
	}
	if (!rc_event_name_valid(e->event)) {
		*text = "an event name is 1 to 128 bytes of UTF-8 without control characters";
		return RINGCAST_NACK_BAD_EVENT;
	}
	if (e->payload.len > sv->config->max_message) {
		*text = "the payload is larger than max_message";
		return RINGCAST_NACK_TOO_LARGE;
	}
	if ((flags & RINGCAST_FLAG_JSON) && rc_json_validate(e->payload, JSON_DEPTH) < 0) {
		*text = "the payload is not JSON";
		return RINGCAST_NACK_BAD_PAYLOAD;
	}
	return 0;
}

/* One that is none is as if it were not there. */
static const unsigned char *trace_of(const struct rc_ingest_publish *e)
{
	const unsigned char *trace = (const unsigned char *)e->trace.ptr;

	return e->trace.len && rc_trace_valid(trace) ? trace : NULL;
}

enum rc_counter rc_ingest_refused_counter(uint16_t code)
{
	return code == RINGCAST_NACK_TOO_LARGE      ? RC_C_events_refused_too_big
	       : code == RINGCAST_NACK_FORBIDDEN    ? RC_C_events_refused_forbidden
	       : code == RINGCAST_NACK_INVALID_DATA ? RC_C_events_refused_invalid
						    : RC_C_events_refused_bad;
}

static void refuse(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	uint64_t sequence, uint32_t index, uint16_t code, const char *text)
{
	rc_count(sv->counters, rc_ingest_refused_counter(code), 1);
	p->taken = sequence;
	p->window[index & (p->size - 1)].remaining--;
	rc_publisher_list_ack(sv, p);
	rc_publisher_nack(sv, c, sequence, code, text);
}

/* Whether its namespace takes it; else it is refused. */
__attribute__((noinline)) static bool takes(struct rc_serve *sv, struct rc_conn *c,
	struct rc_publisher *p, const struct rc_ingest_publish *e, uint8_t flags, uint32_t index)
{
	struct rc_schema_fault why;
	char text[RC_INVALID_TEXT] = "its namespace takes no event of this name";

	switch (rc_validate(sv->rules, e->channel, e->event, e->payload,
		(flags & RINGCAST_FLAG_JSON) != 0, &why)) {
	case RC_VALID:
		return true;
	case RC_INVALID_SIZE:
		refuse(sv, c, p, e->sequence, index, RINGCAST_NACK_TOO_LARGE,
			"the payload is larger than its namespace takes");
		return false;
	case RC_INVALID_DATA:
		rc_invalid_text(&why, text);
		break;
	case RC_INVALID_EVENT:
		break;
	}
	refuse(sv, c, p, e->sequence, index, RINGCAST_NACK_INVALID_DATA, text);
	return false;
}

/* Takes one event for the entry, whose remaining counts it already. False: no room, nothing was done. */
static bool take(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_publish *e, uint8_t flags, bool broadcast, uint32_t index)
{
	struct rc_outcome outcome = {0};
	const char *text = NULL;

	if (e->sequence <= p->taken) {
		rc_count(sv->counters, RC_C_events_deduplicated, 1);
		p->window[index & (p->size - 1)].remaining--;
		rc_publisher_list_ack(sv, p);
		return true;
	}
	uint16_t code = rc_ingest_judge(
		sv, p, broadcast ? RC_SCOPE_BROADCAST : RC_SCOPE_PUBLISH, e, flags, &text);
	if (!code && !broadcast && sv->rules && !takes(sv, c, p, e, flags, index))
		return true;
	if (code) {
		refuse(sv, c, p, e->sequence, index, code, text);
		return true;
	}
	struct rc_publish publish = {
		.from = {sv->shard, rc_publisher_slot(sv, p), p->generation, index, e->sequence},
		.channel = broadcast ? RC_STR(RC_HUB_BROADCAST) : e->channel,
		.event = e->event,
		.data = e->payload,
		.trace = trace_of(e),
		.timestamp_ms = e->timestamp_ms ? e->timestamp_ms : sv->wall_ms,
		.taken_ns = sv->now_ns,
		.time_ms = sv->wall_ms,
		.json = (flags & RINGCAST_FLAG_JSON) != 0,
	};
	publish.hash = rc_hub_hash(sv->hub, publish.channel);
	switch (sv->port.publish(sv->port.ctx, &publish, &outcome)) {
	case RC_ROUTE_FULL:
		return false;
	case RC_ROUTE_AWAY:
		p->outstanding++;
		break;
	case RC_ROUTE_DONE:
		rc_publisher_decided(sv, p, index, &outcome, e->sequence);
		break;
	}
	p->taken = e->sequence;
	if (broadcast) {
		rc_count(sv->counters, RC_C_broadcasts, 1);
		rc_publisher_used(sv, p, RC_SCOPE_BROADCAST);
	}
	return true;
}

enum taken { TAKEN, STALLED };

static enum taken take_one(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_frame *f, bool broadcast)
{
	struct rc_ingest_publish e;
	int rc = broadcast ? rc_ingest_broadcast_parse(f->body, f->flags, &e)
			   : rc_ingest_publish_parse(f->body, f->flags, &e);

	if (rc < 0) {
		rc_publisher_fail(
			sv, c, p, RINGCAST_ERROR_BAD_BODY, "the body of this frame can't be read");
		return TAKEN;
	}
	if (!rc_publisher_room(sv, p))
		return STALLED;
	uint32_t index = rc_publisher_push(p, e.sequence, f->flags, 1);
	if (!take(sv, c, p, &e, f->flags, broadcast, index)) {
		p->tail--;
		return STALLED;
	}
	return TAKEN;
}

static enum taken take_batch(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_frame *f)
{
	bool each = (f->flags & RINGCAST_FLAG_POSITION) != 0;
	struct rc_ingest_batch it;
	struct rc_ingest_publish e;
	uint32_t done = 0;

	if (p->batch_done == 0 && rc_ingest_batch_check(f->body, f->flags) < 0) {
		rc_publisher_fail(sv, c, p, RINGCAST_ERROR_BAD_BODY,
			"the events of this batch can't be read");
		return TAKEN;
	}
	if (rc_ingest_batch_begin(f->body, f->flags, &it) < 0)
		RC_FAIL("a batch that was checked can't be read");
	while (rc_ingest_batch_next(&it, &e) > 0) {
		if (done++ < p->batch_done)
			continue;
		if (c->state != RC_CONN_OPEN)
			return STALLED;
		if (!rc_publisher_room(sv, p))
			return STALLED;
		uint32_t index;
		if (each) {
			index = rc_publisher_push(p, e.sequence, f->flags, 1);
		} else {
			if (p->batch_done == 0)
				p->batch_entry = rc_publisher_push(p, e.sequence, f->flags, 1);
			p->batch_open = true;
			index = p->batch_entry;
			p->window[index & (p->size - 1)].remaining++;
		}
		if (!take(sv, c, p, &e, f->flags, false, index)) {
			if (each)
				p->tail--;
			else
				p->window[index & (p->size - 1)].remaining--;
			if (!each && p->batch_done == 0) {
				p->batch_open = false;
				p->tail--;
			}
			return STALLED;
		}
		p->window[index & (p->size - 1)].sequence = e.sequence;
		p->batch_done++;
	}
	if (!each) {
		p->batch_open = false;
		p->window[p->batch_entry & (p->size - 1)].remaining--;
		rc_publisher_list_ack(sv, p);
	}
	p->batch_done = 0;
	return TAKEN;
}

/* ---- frames ------------------------------------------------------------------------------------- */

/* Who it proves to be, and what that lets it do. False: it was told no. */
static bool admit(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_hello *h)
{
	static const struct rc_grant anybody = {
		.size = sizeof(anybody), .scopes = RC_SCOPES_INGEST};
	const struct rc_grant *grant = &anybody;
	enum rc_credential how = RC_CREDENTIAL_GOOD;

	if (p->certified) {
		how = rc_credential_certificate(sv, c, (struct rc_str){p->id, p->id_len}, &grant);
	} else if (h->token.len && (rc_credential_wanted(sv) || rc_credential_signed(sv))) {
		how = rc_credential_token(sv, c, RC_AUTH_AT_INGEST, h->token, &grant);
	} else if (rc_credential_wanted(sv)) {
		rc_credential_failed(sv, c, RC_AUTH_AT_INGEST, false);
		how = RC_CREDENTIAL_WRONG;
	}
	if (how == RC_CREDENTIAL_TOO_MANY)
		rc_publisher_fail(sv, c, p, RINGCAST_ERROR_OVER_CAPACITY,
			"too many wrong tokens came from this address; try again later");
	else if (how != RC_CREDENTIAL_GOOD)
		rc_publisher_fail(sv, c, p, RINGCAST_ERROR_UNAUTHORIZED,
			p->certified ? "the certificate is that of no service"
				     : "the token is missing or wrong");
	else if (!rc_publisher_grant(sv, p, grant))
		rc_publisher_fail(
			sv, c, p, RINGCAST_ERROR_OVER_CAPACITY, "no memory for one more publisher");
	else
		return true;
	return false;
}

static void hello(
	struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p, struct rc_str body)
{
	struct rc_ingest_hello h;

	switch (rc_ingest_hello_parse(body, &h)) {
	case 0:
		break;
	case -EPROTONOSUPPORT:
		rc_publisher_fail(
			sv, c, p, RINGCAST_ERROR_VERSION, "this gateway speaks version 1");
		return;
	default:
		rc_publisher_fail(sv, c, p, RINGCAST_ERROR_BAD_HELLO,
			"not a HELLO, or a publisher id that is none");
		return;
	}
	if (p->certified && h.publisher.len &&
		!rc_str_eq(h.publisher, (struct rc_str){p->id, p->id_len})) {
		rc_publisher_fail(sv, c, p, RINGCAST_ERROR_UNAUTHORIZED,
			"the publisher id is not the name in the certificate");
		return;
	}
	if (!admit(sv, c, p, &h))
		return;
	if (sv->draining) {
		rc_publisher_fail(
			sv, c, p, RINGCAST_ERROR_OVER_CAPACITY, "the gateway is shutting down");
		return;
	}
	if (!p->certified) {
		(void)rc_str_copy(p->id, h.publisher);
		p->id_len = (uint8_t)h.publisher.len;
	}
	rc_publisher_identify(sv, p);
	if (p->id_len)
		rc_publisher_claim(sv, c, p);
	else
		rc_publisher_welcome(sv, c, p);
}

static enum taken handle(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const struct rc_ingest_frame *f)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_bye bye;
	uint64_t echoed;

	if (p->stage == RC_STAGE_HELLO) {
		if (f->type == RINGCAST_FRAME_HELLO)
			hello(sv, c, p, f->body);
		else
			rc_publisher_fail(sv, c, p, RINGCAST_ERROR_HELLO_EXPECTED,
				"the first frame must be HELLO");
		return TAKEN;
	}
	if (rc_publisher_expired(sv, p)) {
		rc_publisher_fail(sv, c, p, RINGCAST_ERROR_UNAUTHORIZED, "the token has expired");
		return TAKEN;
	}
	if (f->flags & ~rc_ingest_flags_known(f->type)) {
		bool event = f->type == RINGCAST_FRAME_PUBLISH ||
			     f->type == RINGCAST_FRAME_BROADCAST ||
			     f->type == RINGCAST_FRAME_BATCH || f->type == RINGCAST_FRAME_SEND ||
			     f->type == RINGCAST_FRAME_CLOSE || f->type == RINGCAST_FRAME_ASSIGN;
		/* Said once per frame; its events are refused one by one, or a later ACK would seem to cover them. */
		if (p->batch_done == 0)
			rc_publisher_error(sv, c, RINGCAST_ERROR_UNKNOWN_FLAGS, "unknown flags");
		if (!event || c->state != RC_CONN_OPEN)
			return TAKEN;
	}
	switch (f->type) {
	case RINGCAST_FRAME_PUBLISH:
		return take_one(sv, c, p, f, false);
	case RINGCAST_FRAME_BROADCAST:
		return take_one(sv, c, p, f, true);
	case RINGCAST_FRAME_BATCH:
		return take_batch(sv, c, p, f);
	case RINGCAST_FRAME_SEND:
	case RINGCAST_FRAME_CLOSE:
		return rc_ingest_message(sv, c, p, f) ? TAKEN : STALLED;
	case RINGCAST_FRAME_SUBSCRIBE:
		rc_ingest_subscribe(sv, c, p, f);
		return TAKEN;
	case RINGCAST_FRAME_PING:
		if (rc_ingest_ping_parse(f->body, &echoed) < 0)
			rc_publisher_fail(
				sv, c, p, RINGCAST_ERROR_BAD_BODY, "a PING carries eight bytes");
		else
			rc_publisher_reply(
				sv, c, frame, rc_ingest_pong_encode(frame, sizeof(frame), echoed));
		return TAKEN;
	case RINGCAST_FRAME_PONG:
		return TAKEN;
	case RINGCAST_FRAME_REGISTER:
	case RINGCAST_FRAME_REPLY:
	case RINGCAST_FRAME_ASSIGN:
	case RINGCAST_FRAME_FLOW:
		return rc_backend_frame(sv, c, p, f) ? TAKEN : STALLED;
	case RINGCAST_FRAME_BYE:
		if (rc_ingest_bye_parse(f->body, &bye) < 0)
			rc_publisher_fail(
				sv, c, p, RINGCAST_ERROR_BAD_BODY, "a BYE carries six bytes");
		else
			rc_publisher_stop_taking(sv, p);
		return TAKEN;
	case RINGCAST_FRAME_HELLO:
		rc_publisher_fail(sv, c, p, RINGCAST_ERROR_HELLO_EXPECTED, "a second HELLO");
		return TAKEN;
	default:
		rc_publisher_error(sv, c, RINGCAST_ERROR_UNKNOWN_TYPE, "unknown type of frame");
		return TAKEN;
	}
}

/* Takes whole frames from the input; returns the bytes used. */
static uint32_t process(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	const unsigned char *bytes, uint32_t len)
{
	uint32_t used = 0;

	while (c->state == RC_CONN_OPEN && p->stage <= RC_STAGE_LIVE &&
		!(c->flags & RC_CONN_HELD)) {
		struct rc_ingest_frame f;
		int rc =
			rc_ingest_frame(bytes + used, len - used, sv->config->ingest_frame_max, &f);
		if (rc == 1)
			break;
		if (rc < 0) {
			rc_publisher_fail(sv, c, p,
				rc == -EMSGSIZE ? RINGCAST_ERROR_FRAME_TOO_LARGE
						: RINGCAST_ERROR_BAD_FRAME,
				rc == -EMSGSIZE ? "a frame is larger than frame_max"
						: "not a frame");
			break;
		}
		if (c->out_len > RC_PUBLISHER_OUT_HIGH) {
			/* Goes on when its answers are read, of which rc_ingest_drained tells. */
			c->flags |= RC_CONN_HELD;
			rc_count(sv->counters, RC_C_ingest_stalled, 1);
			break;
		}
		if (handle(sv, c, p, &f) == STALLED) {
			if (c->state != RC_CONN_OPEN)
				break;
			c->flags |= RC_CONN_HELD;
			rc_count(sv->counters, RC_C_ingest_stalled, 1);
			rc_publisher_list_wait(sv, p);
			break;
		}
		rc_count(sv->counters, RC_C_ingest_frames, 1);
		used += (uint32_t)f.total;
	}
	if (c->state == RC_CONN_OPEN && p->stage == RC_STAGE_CLOSING) {
		rc_publisher_list_ack(sv, p);
		return len;
	}
	return used;
}

void rc_ingest_input(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len)
{
	struct rc_publisher *p = c->ext;
	uint32_t limit = sv->config->ingest_frame_max + (256u * 1024);
	uint32_t used = 0;

	if (p->stage == RC_STAGE_CLOSING)
		return;
	if (p->stage == RC_STAGE_HELLO && rc_serve_is_tls_hello(c, bytes, len))
		rc_count(sv->counters, RC_C_tls_on_plain_port, 1);
	if (c->in_len == 0)
		used = process(sv, c, p, bytes, len);
	if (c->state != RC_CONN_OPEN)
		return;
	if (used < len && !rc_conn_keep(sv->conns, c, bytes + used, len - used, limit)) {
		rc_publisher_fail(
			sv, c, p, RINGCAST_ERROR_OVER_CAPACITY, "no memory for this frame");
		return;
	}
	if (used == 0 && c->in_len) {
		used = process(sv, c, p, c->in, c->in_len);
		if (c->state == RC_CONN_OPEN && used)
			rc_conn_used(sv->conns, c, RC_MIN(used, c->in_len));
	}
}

void rc_ingest_go_on(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p)
{
	c->flags &= (uint16_t)~RC_CONN_HELD;
	if (c->in_len) {
		uint32_t used = process(sv, c, p, c->in, c->in_len);
		if (c->state == RC_CONN_OPEN && used)
			rc_conn_used(sv->conns, c, RC_MIN(used, c->in_len));
	}
	if (c->state == RC_CONN_OPEN)
		rc_serve_arm(sv, c);
}
