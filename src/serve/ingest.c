/* SPDX-License-Identifier: Apache-2.0
 *
 * The binary port. A publisher's frames are taken in order; each event goes to its channel's owner; what the owners decided is
 * acknowledged in order.
 *
 *   window   entry per frame (per event, where each has its own acknowledgement) between head and tail:
 *            sequence | remaining: events that are not decided yet, +1 while a BATCH is only partly taken
 *            ACK goes out for the decided entries at the head, one for as many as possible
 *
 * Back-pressure: with the window full, a ring full, or acknowledgements unread, the frame stays where it is and nothing more is
 * read. The publisher outlives its connection until all that it sent is decided; only then its id may go to another.
 */
#include "serve/serve.h"

#include <errno.h>
#include <stdio.h>

#include "proto/ingest.h"
#include "proto/json.h"

#define WINDOW_MIN 32u
#define OUT_HIGH   (256u * 1024) /* unread answers above which nothing more is taken */
#define OUT_MAX    (4u << 20)    /* room for the answers to all that was taken until then */
#define JSON_DEPTH 128u

enum stage {
	STAGE_HELLO,    /* the first frame is awaited */
	STAGE_CLAIM,    /* the id is to be claimed; its home's ring was full */
	STAGE_CLAIMING, /* the home will answer */
	STAGE_LIVE,
	STAGE_CLOSING,   /* nothing more is taken; ends when all is acknowledged */
	STAGE_SETTLING,  /* the connection is gone, events are undecided */
	STAGE_RETURNING, /* the id is to be given back; its home's ring was full */
};

struct entry {
	uint64_t sequence;
	uint64_t epoch;
	uint64_t offset;
	uint32_t remaining;
	uint8_t flags; /* of the frame */
	bool positioned;
};

struct publisher {
	struct entry *window;
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
	bool batch_open; /* batch_entry counts one more, for events that were not taken yet */
	char id[RC_PUBLISHER_ID_MAX];
};

static struct publisher *at(const struct rc_serve *sv, uint32_t slot)
{
	return rc_slab_at(&sv->publishers, slot);
}

static uint32_t slot_of(const struct rc_serve *sv, const struct publisher *p)
{
	return (uint32_t)((size_t)((const unsigned char *)p - sv->publishers.base) /
			  sv->publishers.stride);
}

static struct publisher *find(const struct rc_serve *sv, uint32_t slot, uint32_t generation)
{
	if (slot >= sv->publishers.mark || sv->publisher_generation[slot] != generation)
		return NULL;
	return at(sv, slot);
}

static struct rc_conn *conn_of(const struct rc_serve *sv, const struct publisher *p)
{
	return p->conn == RC_NONE ? NULL : &sv->conns->at[p->conn];
}

size_t rc_ingest_publisher_bytes(void)
{
	return rc_align_up(sizeof(struct publisher), 8);
}

/* ---- lists -------------------------------------------------------------------------------------- */

static void list_ack(struct rc_serve *sv, struct publisher *p)
{
	if (p->ack_listed)
		return;
	p->ack_listed = true;
	p->ack_next = sv->ack_first;
	sv->ack_first = slot_of(sv, p);
}

static void list_wait(struct rc_serve *sv, struct publisher *p)
{
	if (p->wait_listed)
		return;
	p->wait_listed = true;
	p->wait_next = sv->waiting_first;
	sv->waiting_first = slot_of(sv, p);
}

static void unlist(struct rc_serve *sv, struct publisher *p)
{
	uint32_t slot = slot_of(sv, p);

	if (p->ack_listed) {
		uint32_t *link = &sv->ack_first;
		while (*link != slot)
			link = &at(sv, *link)->ack_next;
		*link = p->ack_next;
	}
	if (p->wait_listed) {
		uint32_t *link = &sv->waiting_first;
		while (*link != slot)
			link = &at(sv, *link)->wait_next;
		*link = p->wait_next;
	}
	p->ack_listed = p->wait_listed = false;
}

/* ---- answers ------------------------------------------------------------------------------------ */

/* An answer that can't be given ends the connection: the publisher then asks again what was taken. */
static void reply(struct rc_serve *sv, struct rc_conn *c, const void *frame, size_t len)
{
	RC_ASSERT(len > 0);
	if (!rc_conn_write(sv->conns, c, frame, (uint32_t)len, OUT_MAX))
		rc_conn_kill(sv->conns, c);
}

static void send_error(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *text)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_error e = {.code = code, .text = rc_str_of(text)};

	rc_count(sv->counters, RC_C_ingest_errors, 1);
	reply(sv, c, frame, rc_ingest_error_encode(frame, sizeof(frame), &e));
}

static void send_bye(struct rc_serve *sv, struct rc_conn *c, uint16_t code, uint32_t after_ms)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_bye b = {.code = code, .reconnect_after_ms = after_ms};

	reply(sv, c, frame, rc_ingest_bye_encode(frame, sizeof(frame), &b));
}

static void send_nack(
	struct rc_serve *sv, struct rc_conn *c, uint64_t sequence, uint16_t code, const char *text)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_nack n = {.sequence = sequence, .code = code, .text = rc_str_of(text)};

	rc_count(sv->counters, RC_C_ingest_nacks, 1);
	reply(sv, c, frame, rc_ingest_nack_encode(frame, sizeof(frame), &n));
}

/* Nothing more is taken. What was taken of a batch is all that there is of it. */
static void close_taking(struct rc_serve *sv, struct publisher *p)
{
	p->stage = STAGE_CLOSING;
	if (p->batch_open) {
		p->batch_open = false;
		p->window[p->batch_entry & (p->size - 1)].remaining--;
	}
	list_ack(sv, p);
}

/* The stage of one whose connection ended over the answer was set when it went. */
static void fail(struct rc_serve *sv, struct rc_conn *c, struct publisher *p, uint16_t code,
	const char *text)
{
	send_error(sv, c, code, text);
	if (c->state == RC_CONN_OPEN)
		close_taking(sv, p);
}

static void end_if_settled(struct rc_serve *sv, struct publisher *p)
{
	struct rc_conn *c = conn_of(sv, p);

	if (p->stage == STAGE_CLOSING && p->head == p->tail && c)
		rc_conn_finish(sv->conns, c);
}

static void write_acks(struct rc_serve *sv, struct publisher *p)
{
	struct rc_conn *c = conn_of(sv, p);
	unsigned char frame[RC_INGEST_ANSWER_MAX];

	while (p->head != p->tail && p->window[p->head & (p->size - 1)].remaining == 0) {
		const struct entry *e = &p->window[p->head & (p->size - 1)];
		const struct entry *next = &p->window[(p->head + 1) & (p->size - 1)];
		p->head++;
		/* One acknowledgement covers a run of decided entries, up to one that wants its own. */
		if (p->head != p->tail && next->remaining == 0 &&
			!((e->flags) & (RINGCAST_FLAG_POSITION | RINGCAST_FLAG_WANT_ACK)))
			continue;
		if (!c || c->state == RC_CONN_DEAD)
			continue;
		char epoch[12];
		p->acked = RC_MAX(p->acked, e->sequence);
		struct rc_ingest_ack ack = {.sequence = p->acked};
		if (e->positioned) {
			ack.positioned = true;
			ack.epoch = (struct rc_str){epoch, rc_epoch_text(e->epoch, epoch)};
			ack.offset = e->offset;
		}
		rc_count(sv->counters, RC_C_ingest_acks, 1);
		reply(sv, c, frame, rc_ingest_ack_encode(frame, sizeof(frame), &ack));
		/* The reply may have been one too many. */
		c = conn_of(sv, p);
	}
	end_if_settled(sv, p);
}

/* ---- the window --------------------------------------------------------------------------------- */

static bool window_room(struct rc_serve *sv, struct publisher *p)
{
	uint32_t used = p->tail - p->head;

	if (p->outstanding >= sv->config->ingest_window || used >= sv->config->ingest_window)
		return false;
	if (used < p->size)
		return true;
	uint32_t size = RC_MAX(p->size * 2, WINDOW_MIN);
	struct entry *window = rc_pool_get(sv->pool, size * sizeof(*window));
	if (!window)
		return false;
	for (uint32_t i = p->head; i != p->tail; i++)
		window[i & (size - 1)] = p->window[i & (p->size - 1)];
	rc_pool_put(sv->pool, p->window, p->size * sizeof(*window));
	p->window = window;
	p->size = size;
	return true;
}

static uint32_t push(struct publisher *p, uint64_t sequence, uint8_t flags, uint32_t remaining)
{
	uint32_t index = p->tail++;

	p->window[index & (p->size - 1)] =
		(struct entry){.sequence = sequence, .flags = flags, .remaining = remaining};
	return index;
}

static void decided(struct rc_serve *sv, struct publisher *p, uint32_t index,
	const struct rc_outcome *o, uint64_t sequence)
{
	struct entry *e = &p->window[index & (p->size - 1)];
	struct rc_conn *c = conn_of(sv, p);

	RC_ASSERT(e->remaining > 0 && index - p->head < p->tail - p->head);
	e->remaining--;
	if (o->nack && c && c->state != RC_CONN_DEAD)
		send_nack(sv, c, sequence, o->nack, "the gateway has no room for one more channel");
	if (!o->nack && (e->flags & RINGCAST_FLAG_POSITION)) {
		e->positioned = true;
		e->epoch = o->epoch;
		e->offset = o->offset;
	}
	list_ack(sv, p);
}

/* ---- taking events ------------------------------------------------------------------------------ */

/* 0, or why the event is refused before it goes anywhere. */
static uint16_t judge(const struct rc_serve *sv, const struct rc_ingest_publish *e, uint8_t flags,
	bool broadcast, const char **text)
{
	if (flags & ~RINGCAST_FLAGS_EVENT) {
		*text = "the frame has flags that this gateway does not know";
		return RINGCAST_NACK_NOT_SUPPORTED;
	}
	if (flags & RINGCAST_FLAG_DURABLE) {
		*text = "this gateway keeps no journal";
		return RINGCAST_NACK_NOT_SUPPORTED;
	}
	if (!broadcast &&
		(rc_name_classify(e->channel) != RC_NAME_CHANNEL || rc_name_reserved(e->channel))) {
		*text = "not the name of a channel that one may publish to";
		return RINGCAST_NACK_BAD_CHANNEL;
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

static enum rc_counter refused_counter(uint16_t code)
{
	return code == RINGCAST_NACK_TOO_LARGE ? RC_C_events_refused_too_big
					       : RC_C_events_refused_bad;
}

/* Takes one event for the entry, whose remaining counts it already. False: no room, nothing was done. */
static bool take(struct rc_serve *sv, struct rc_conn *c, struct publisher *p,
	const struct rc_ingest_publish *e, uint8_t flags, bool broadcast, uint32_t index)
{
	struct rc_outcome outcome = {0};
	const char *text = NULL;

	if (e->sequence <= p->taken) {
		rc_count(sv->counters, RC_C_events_deduplicated, 1);
		p->window[index & (p->size - 1)].remaining--;
		list_ack(sv, p);
		return true;
	}
	uint16_t code = judge(sv, e, flags, broadcast, &text);
	if (code) {
		rc_count(sv->counters, refused_counter(code), 1);
		p->taken = e->sequence;
		p->window[index & (p->size - 1)].remaining--;
		list_ack(sv, p);
		send_nack(sv, c, e->sequence, code, text);
		return true;
	}
	struct rc_publish publish = {
		.from = {sv->shard, slot_of(sv, p), p->generation, index, e->sequence},
		.channel = broadcast ? RC_STR(RC_HUB_BROADCAST) : e->channel,
		.event = e->event,
		.data = e->payload,
		.timestamp_ms = e->timestamp_ms ? e->timestamp_ms : sv->wall_ms,
		.taken_ns = sv->now_ns,
		.json = (flags & RINGCAST_FLAG_JSON) != 0,
	};
	switch (sv->port.publish(sv->port.ctx, &publish, &outcome)) {
	case RC_ROUTE_FULL:
		return false;
	case RC_ROUTE_AWAY:
		p->outstanding++;
		break;
	case RC_ROUTE_DONE:
		decided(sv, p, index, &outcome, e->sequence);
		break;
	}
	p->taken = e->sequence;
	if (broadcast)
		rc_count(sv->counters, RC_C_broadcasts, 1);
	return true;
}

enum taken { TAKEN, STALLED };

static enum taken take_one(struct rc_serve *sv, struct rc_conn *c, struct publisher *p,
	const struct rc_ingest_frame *f, bool broadcast)
{
	struct rc_ingest_publish e;
	int rc = broadcast ? rc_ingest_broadcast_parse(f->body, &e)
			   : rc_ingest_publish_parse(f->body, &e);

	if (rc < 0) {
		fail(sv, c, p, RINGCAST_ERROR_BAD_BODY, "the body of this frame can't be read");
		return TAKEN;
	}
	if (!window_room(sv, p))
		return STALLED;
	uint32_t index = push(p, e.sequence, f->flags, 1);
	if (!take(sv, c, p, &e, f->flags, broadcast, index)) {
		p->tail--;
		return STALLED;
	}
	return TAKEN;
}

static enum taken take_batch(struct rc_serve *sv, struct rc_conn *c, struct publisher *p,
	const struct rc_ingest_frame *f)
{
	bool each = (f->flags & RINGCAST_FLAG_POSITION) != 0;
	struct rc_ingest_batch it;
	struct rc_ingest_publish e;
	uint32_t done = 0;

	if (p->batch_done == 0 && rc_ingest_batch_check(f->body) < 0) {
		fail(sv, c, p, RINGCAST_ERROR_BAD_BODY, "the events of this batch can't be read");
		return TAKEN;
	}
	if (rc_ingest_batch_begin(f->body, &it) < 0)
		RC_ASSERT(false && "a batch that was checked can't be read");
	while (rc_ingest_batch_next(&it, &e) > 0) {
		if (done++ < p->batch_done)
			continue;
		if (c->state != RC_CONN_OPEN)
			return STALLED;
		if (!window_room(sv, p))
			return STALLED;
		uint32_t index;
		if (each) {
			index = push(p, e.sequence, f->flags, 1);
		} else {
			if (p->batch_done == 0)
				p->batch_entry = push(p, e.sequence, f->flags, 1);
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
		list_ack(sv, p);
	}
	p->batch_done = 0;
	return TAKEN;
}

/* ---- frames ------------------------------------------------------------------------------------- */

static bool token_equal(struct rc_str given, struct rc_str wanted)
{
	unsigned char differ = given.len != wanted.len;

	/* In time that depends on the given one alone. */
	for (size_t i = 0; i < given.len; i++)
		differ |=
			(unsigned char)(given.ptr[i] ^ wanted.ptr[wanted.len ? i % wanted.len : 0]);
	return !differ;
}

static void welcome(struct rc_serve *sv, struct rc_conn *c, struct publisher *p)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_welcome w = {
		.version = RINGCAST_WIRE_VERSION,
		.server = RC_STR("ringcast/" RC_VERSION),
		.last_sequence = p->taken,
		.frame_max = sv->config->ingest_frame_max,
		.message_max = sv->config->max_message,
		.credit = sv->config->ingest_window,
	};

	p->stage = STAGE_LIVE;
	rc_conn_timer(sv->conns, c, sv->config->heartbeat_ms);
	reply(sv, c, frame, rc_ingest_welcome_encode(frame, sizeof(frame), &w));
}

static void claim(struct rc_serve *sv, struct rc_conn *c, struct publisher *p)
{
	struct rc_holder who = {sv->shard, slot_of(sv, p), p->generation};

	p->stage = STAGE_CLAIMING;
	c->flags |= RC_CONN_HELD;
	if (!sv->port.claim(sv->port.ctx, (struct rc_str){p->id, p->id_len}, &who)) {
		p->stage = STAGE_CLAIM;
		list_wait(sv, p);
	}
}

static void hello(struct rc_serve *sv, struct rc_conn *c, struct publisher *p, struct rc_str body)
{
	struct rc_ingest_hello h;
	struct rc_str token = rc_str_of(sv->config->ingest_token);

	switch (rc_ingest_hello_parse(body, &h)) {
	case 0:
		break;
	case -EPROTONOSUPPORT:
		fail(sv, c, p, RINGCAST_ERROR_VERSION, "this gateway speaks version 1");
		return;
	default:
		fail(sv, c, p, RINGCAST_ERROR_BAD_HELLO,
			"not a HELLO, or a publisher id that is none");
		return;
	}
	if (token.len && !token_equal(h.token, token)) {
		fail(sv, c, p, RINGCAST_ERROR_UNAUTHORIZED, "the token is missing or wrong");
		return;
	}
	if (sv->draining) {
		fail(sv, c, p, RINGCAST_ERROR_OVER_CAPACITY, "the gateway is shutting down");
		return;
	}
	(void)rc_str_copy(p->id, h.publisher);
	p->id_len = (uint8_t)h.publisher.len;
	if (p->id_len)
		claim(sv, c, p);
	else
		welcome(sv, c, p);
}

static enum taken handle(struct rc_serve *sv, struct rc_conn *c, struct publisher *p,
	const struct rc_ingest_frame *f)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_bye bye;
	uint64_t echoed;
	uint32_t credit;

	if (p->stage == STAGE_HELLO) {
		if (f->type == RINGCAST_FRAME_HELLO)
			hello(sv, c, p, f->body);
		else
			fail(sv, c, p, RINGCAST_ERROR_HELLO_EXPECTED,
				"the first frame must be HELLO");
		return TAKEN;
	}
	if (f->flags & ~rc_ingest_flags_known(f->type)) {
		bool event = f->type == RINGCAST_FRAME_PUBLISH ||
			     f->type == RINGCAST_FRAME_BROADCAST || f->type == RINGCAST_FRAME_BATCH;
		/* Said once per frame; its events are refused one by one, or a later ACK would seem to cover them. */
		if (p->batch_done == 0)
			send_error(sv, c, RINGCAST_ERROR_UNKNOWN_FLAGS, "unknown flags");
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
	case RINGCAST_FRAME_PING:
		if (rc_ingest_ping_parse(f->body, &echoed) < 0)
			fail(sv, c, p, RINGCAST_ERROR_BAD_BODY, "a PING carries eight bytes");
		else
			reply(sv, c, frame, rc_ingest_pong_encode(frame, sizeof(frame), echoed));
		return TAKEN;
	case RINGCAST_FRAME_PONG:
		return TAKEN;
	case RINGCAST_FRAME_FLOW:
		/* A publisher is sent nothing but answers to what it sent, so its window holds by itself. */
		if (rc_ingest_flow_parse(f->body, &credit) < 0)
			fail(sv, c, p, RINGCAST_ERROR_BAD_BODY, "a FLOW carries four bytes");
		return TAKEN;
	case RINGCAST_FRAME_BYE:
		if (rc_ingest_bye_parse(f->body, &bye) < 0)
			fail(sv, c, p, RINGCAST_ERROR_BAD_BODY, "a BYE carries six bytes");
		else
			close_taking(sv, p);
		return TAKEN;
	case RINGCAST_FRAME_HELLO:
		fail(sv, c, p, RINGCAST_ERROR_HELLO_EXPECTED, "a second HELLO");
		return TAKEN;
	default:
		send_error(sv, c, RINGCAST_ERROR_UNKNOWN_TYPE, "unknown type of frame");
		return TAKEN;
	}
}

/* Takes whole frames from the input; returns the bytes used. */
static uint32_t process(struct rc_serve *sv, struct rc_conn *c, struct publisher *p,
	const unsigned char *bytes, uint32_t len)
{
	uint32_t used = 0;

	while (c->state == RC_CONN_OPEN && p->stage <= STAGE_LIVE && !(c->flags & RC_CONN_HELD)) {
		struct rc_ingest_frame f;
		int rc =
			rc_ingest_frame(bytes + used, len - used, sv->config->ingest_frame_max, &f);
		if (rc == 1)
			break;
		if (rc < 0) {
			fail(sv, c, p,
				rc == -EMSGSIZE ? RINGCAST_ERROR_FRAME_TOO_LARGE
						: RINGCAST_ERROR_BAD_FRAME,
				rc == -EMSGSIZE ? "a frame is larger than frame_max"
						: "not a frame");
			break;
		}
		if (c->out_len > OUT_HIGH) {
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
			list_wait(sv, p);
			break;
		}
		rc_count(sv->counters, RC_C_ingest_frames, 1);
		used += (uint32_t)f.total;
	}
	if (c->state == RC_CONN_OPEN && p->stage == STAGE_CLOSING) {
		list_ack(sv, p);
		return len;
	}
	return used;
}

void rc_ingest_input(struct rc_serve *sv, struct rc_conn *c, unsigned char *bytes, uint32_t len)
{
	struct publisher *p = c->ext;
	uint32_t limit = sv->config->ingest_frame_max + (256u * 1024);
	uint32_t used = 0;

	if (p->stage == STAGE_CLOSING)
		return;
	if (c->in_len == 0)
		used = process(sv, c, p, bytes, len);
	if (c->state != RC_CONN_OPEN)
		return;
	if (used < len && !rc_conn_keep(sv->conns, c, bytes + used, len - used, limit)) {
		fail(sv, c, p, RINGCAST_ERROR_OVER_CAPACITY, "no memory for this frame");
		return;
	}
	if (used == 0 && c->in_len) {
		used = process(sv, c, p, c->in, c->in_len);
		if (c->state == RC_CONN_OPEN && used)
			rc_conn_used(sv->conns, c, RC_MIN(used, c->in_len));
	}
}

static void go_on(struct rc_serve *sv, struct rc_conn *c, struct publisher *p)
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

/* ---- coming and going --------------------------------------------------------------------------- */

bool rc_ingest_open(struct rc_serve *sv, struct rc_conn *c)
{
	bool room = sv->port.sum(sv->port.ctx, RC_C_publishers) < sv->config->max_publishers;
	uint32_t slot = room ? rc_slab_get(&sv->publishers) : RC_NONE;

	if (slot == RC_NONE) {
		send_error(sv, c, RINGCAST_ERROR_OVER_CAPACITY, "no room for one more publisher");
		if (c->state == RC_CONN_OPEN)
			rc_conn_finish(sv->conns, c);
		return false;
	}
	struct publisher *p = at(sv, slot);
	memset(p, 0, sizeof(*p));
	p->conn = rc_conn_slot(sv->conns, c);
	p->generation = sv->publisher_generation[slot];
	p->stage = STAGE_HELLO;
	c->ext = p;
	rc_count(sv->counters, RC_C_publishers_opened, 1);
	rc_gauge_set(sv->counters, RC_C_publishers, sv->publishers.used);
	return true;
}

static void settle(struct rc_serve *sv, struct publisher *p)
{
	uint32_t slot = slot_of(sv, p);
	struct rc_holder who = {sv->shard, slot, p->generation};

	if (p->id_len && p->stage != STAGE_CLAIM) {
		p->stage = STAGE_RETURNING;
		if (!sv->port.give_back(
			    sv->port.ctx, (struct rc_str){p->id, p->id_len}, &who, p->taken)) {
			list_wait(sv, p);
			return;
		}
	}
	unlist(sv, p);
	rc_pool_put(sv->pool, p->window, p->size * sizeof(*p->window));
	sv->publisher_generation[slot]++;
	rc_slab_put(&sv->publishers, slot);
	rc_count(sv->counters, RC_C_publishers_closed, 1);
	rc_gauge_set(sv->counters, RC_C_publishers, sv->publishers.used);
}

void rc_ingest_gone(struct rc_serve *sv, struct rc_conn *c)
{
	struct publisher *p = c->ext;

	c->ext = NULL;
	if (!p)
		return;
	p->conn = RC_NONE;
	if (p->stage == STAGE_HELLO)
		p->id_len = 0;
	if (p->outstanding) {
		p->stage = STAGE_SETTLING;
		return;
	}
	/* Not now: the caller may be in the middle of this publisher's frame. */
	if (p->stage != STAGE_CLAIM)
		p->stage = STAGE_RETURNING;
	list_wait(sv, p);
}

static void heartbeat(struct rc_serve *sv, struct rc_conn *c, struct publisher *p)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	uint64_t interval = sv->config->heartbeat_ms;
	uint64_t silent = (uint64_t)(sv->conns->tick - c->heard_tick) * RC_CONN_TICK_MS;

	/* One that is held back can't be heard. */
	if (c->flags & RC_CONN_HELD)
		silent = 0;
	if (silent >= 2 * interval) {
		fail(sv, c, p, RINGCAST_ERROR_TIMEOUT, "no sign of life for two heartbeats");
		return;
	}
	reply(sv, c, frame, rc_ingest_ping_encode(frame, sizeof(frame), sv->wall_ms));
	if (c->state == RC_CONN_OPEN)
		rc_conn_timer(sv->conns, c, (uint32_t)RC_MIN(interval, 2 * interval - silent));
}

void rc_ingest_timer(struct rc_serve *sv, struct rc_conn *c)
{
	struct publisher *p = c->ext;

	if (c->state != RC_CONN_OPEN)
		rc_conn_kill(sv->conns, c);
	else if (p && p->stage == STAGE_HELLO)
		fail(sv, c, p, RINGCAST_ERROR_TIMEOUT, "no HELLO came");
	else if (p && p->stage == STAGE_LIVE)
		heartbeat(sv, c, p);
}

void rc_ingest_drained(struct rc_serve *sv, struct rc_conn *c)
{
	struct publisher *p = c->ext;

	if (p && (c->flags & RC_CONN_HELD) && p->stage == STAGE_LIVE)
		list_wait(sv, p);
}

void rc_ingest_bye(struct rc_serve *sv, struct rc_conn *c)
{
	struct publisher *p = c->ext;

	if (!p || p->stage >= STAGE_CLOSING || c->state != RC_CONN_OPEN)
		return;
	if (sv->draining)
		send_bye(sv, c, RINGCAST_BYE_SHUTDOWN,
			sv->config->reconnect_jitter_ms
				? 1 + rc_prng_below(&sv->prng, sv->config->reconnect_jitter_ms)
				: 0);
	if (c->state == RC_CONN_OPEN)
		close_taking(sv, p);
}

void rc_ingest_hold(struct rc_serve *sv, struct rc_conn *c)
{
	c->flags |= RC_CONN_HELD;
	if (c->ext)
		list_wait(sv, c->ext);
}

bool rc_ingest_settled(const struct rc_serve *sv)
{
	return sv->publishers.used == 0;
}

/* ---- what other shards say ---------------------------------------------------------------------- */

void rc_ingest_outcome(struct rc_serve *sv, const struct rc_outcome *o)
{
	struct publisher *p = find(sv, o->to.slot, o->to.generation);

	/* A publisher waits for its outcomes before it goes. */
	RC_ASSERT(p && p->outstanding > 0);
	p->outstanding--;
	decided(sv, p, o->to.entry, o, o->to.sequence);
	struct rc_conn *c = conn_of(sv, p);
	if (c && (c->flags & RC_CONN_HELD) && p->stage == STAGE_LIVE)
		list_wait(sv, p);
	if (p->stage == STAGE_SETTLING && p->outstanding == 0) {
		p->stage = STAGE_RETURNING;
		list_wait(sv, p);
	}
}

void rc_ingest_granted(
	struct rc_serve *sv, const struct rc_holder *to, bool taken, uint64_t sequence)
{
	struct publisher *p = find(sv, to->slot, to->generation);
	struct rc_conn *c = p ? conn_of(sv, p) : NULL;

	/* One that is gone gives back what it was granted, or has done so. */
	if (!c || p->stage != STAGE_CLAIMING || c->state != RC_CONN_OPEN)
		return;
	if (!taken) {
		p->id_len = 0;
		fail(sv, c, p, RINGCAST_ERROR_OVER_CAPACITY,
			"another connection with this publisher id came first");
		return;
	}
	p->taken = p->acked = sequence;
	welcome(sv, c, p);
	if (c->state == RC_CONN_OPEN)
		list_wait(sv, p);
}

void rc_ingest_evicted(struct rc_serve *sv, const struct rc_holder *who)
{
	struct publisher *p = find(sv, who->slot, who->generation);
	struct rc_conn *c = p ? conn_of(sv, p) : NULL;

	if (!c || c->state != RC_CONN_OPEN || p->stage >= STAGE_CLOSING)
		return;
	send_bye(sv, c, RINGCAST_BYE_REPLACED, RINGCAST_BYE_NEVER);
	if (c->state == RC_CONN_OPEN)
		close_taking(sv, p);
}

void rc_ingest_turn(struct rc_serve *sv)
{
	uint32_t slot = sv->waiting_first;

	sv->waiting_first = RC_NONE;
	while (slot != RC_NONE) {
		struct publisher *p = at(sv, slot);
		struct rc_conn *c = conn_of(sv, p);
		uint32_t next = p->wait_next;
		p->wait_listed = false;
		if (!c) {
			if (p->outstanding == 0)
				settle(sv, p);
		} else if (p->stage == STAGE_CLAIM) {
			claim(sv, c, p);
		} else if (sv->busy && p->stage == STAGE_LIVE) {
			list_wait(sv, p);
		} else if (p->stage <= STAGE_LIVE && p->stage != STAGE_CLAIMING) {
			go_on(sv, c, p);
		}
		slot = next;
	}
	slot = sv->ack_first;
	sv->ack_first = RC_NONE;
	while (slot != RC_NONE) {
		struct publisher *p = at(sv, slot);
		uint32_t next = p->ack_next;
		p->ack_listed = false;
		write_acks(sv, p);
		slot = next;
	}
}
