/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/publisher.h"

#include "serve/commands.h"

#include "serve/limits.h"
#include "serve/accesslog.h"

#define WINDOW_MIN 32u

struct rc_publisher *rc_publisher_at(const struct rc_serve *sv, uint32_t slot)
{
	return rc_slab_at(&sv->publishers, slot);
}

uint32_t rc_publisher_slot(const struct rc_serve *sv, const struct rc_publisher *p)
{
	return (uint32_t)((size_t)((const unsigned char *)p - sv->publishers.base) /
			  sv->publishers.stride);
}

struct rc_publisher *rc_publisher_find(
	const struct rc_serve *sv, uint32_t slot, uint32_t generation)
{
	if (slot >= sv->publishers.mark || sv->publisher_generation[slot] != generation)
		return NULL;
	return rc_publisher_at(sv, slot);
}

struct rc_conn *rc_publisher_conn(const struct rc_serve *sv, const struct rc_publisher *p)
{
	return p->conn == RC_NONE ? NULL : &sv->conns->at[p->conn];
}

size_t rc_ingest_publisher_bytes(void)
{
	return rc_align_up(sizeof(struct rc_publisher), 8);
}

/* ---- lists -------------------------------------------------------------------------------------- */

void rc_publisher_list_ack(struct rc_serve *sv, struct rc_publisher *p)
{
	if (p->ack_listed)
		return;
	p->ack_listed = true;
	p->ack_next = sv->ack_first;
	sv->ack_first = rc_publisher_slot(sv, p);
}

void rc_publisher_list_wait(struct rc_serve *sv, struct rc_publisher *p)
{
	if (p->wait_listed)
		return;
	p->wait_listed = true;
	p->wait_next = sv->waiting_first;
	sv->waiting_first = rc_publisher_slot(sv, p);
}

void rc_publisher_unlist(struct rc_serve *sv, struct rc_publisher *p)
{
	uint32_t slot = rc_publisher_slot(sv, p);

	if (p->ack_listed) {
		uint32_t *link = &sv->ack_first;
		while (*link != slot)
			link = &rc_publisher_at(sv, *link)->ack_next;
		*link = p->ack_next;
	}
	if (p->wait_listed) {
		uint32_t *link = &sv->waiting_first;
		while (*link != slot)
			link = &rc_publisher_at(sv, *link)->wait_next;
		*link = p->wait_next;
	}
	p->ack_listed = p->wait_listed = false;
}

/* ---- answers ------------------------------------------------------------------------------------ */

/* An answer that can't be given ends the connection: the publisher then asks again what was taken. */
void rc_publisher_reply(struct rc_serve *sv, struct rc_conn *c, const void *frame, size_t len)
{
	RC_ASSERT(len > 0);
	if (!rc_conn_write(sv->conns, c, frame, (uint32_t)len, RC_PUBLISHER_OUT_MAX))
		rc_conn_kill(sv->conns, c);
}

void rc_publisher_error(struct rc_serve *sv, struct rc_conn *c, uint16_t code, const char *text)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_error e = {.code = code, .text = rc_str_of(text)};

	rc_count(sv->counters, RC_C_ingest_errors, 1);
	rc_publisher_reply(sv, c, frame, rc_ingest_error_encode(frame, sizeof(frame), &e));
}

void rc_publisher_bye(struct rc_serve *sv, struct rc_conn *c, uint16_t code, uint32_t after_ms)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_bye b = {.code = code, .reconnect_after_ms = after_ms};

	rc_publisher_reply(sv, c, frame, rc_ingest_bye_encode(frame, sizeof(frame), &b));
}

void rc_publisher_nack(
	struct rc_serve *sv, struct rc_conn *c, uint64_t sequence, uint16_t code, const char *text)
{
	unsigned char frame[RC_INGEST_ANSWER_MAX];
	struct rc_ingest_nack n = {.sequence = sequence, .code = code, .text = rc_str_of(text)};

	rc_count(sv->counters, RC_C_ingest_nacks, 1);
	rc_publisher_reply(sv, c, frame, rc_ingest_nack_encode(frame, sizeof(frame), &n));
}

/* Nothing more is taken. What was taken of a batch is all that there is of it. */
void rc_publisher_stop_taking(struct rc_serve *sv, struct rc_publisher *p)
{
	struct rc_conn *c = rc_publisher_conn(sv, p);

	p->stage = RC_STAGE_CLOSING;
	/* The desk is told in the turn: here somebody may have been promised room that its word to other shards would take. */
	if (p->backend)
		rc_publisher_list_wait(sv, p);
	if (c)
		rc_ws_drop_subs(sv, c);
	if (p->batch_open) {
		p->batch_open = false;
		p->window[p->batch_entry & (p->size - 1)].remaining--;
	}
	rc_publisher_list_ack(sv, p);
}

/* The stage of one whose connection ended over the answer was set when it went. */
void rc_publisher_fail(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p,
	uint16_t code, const char *text)
{
	rc_publisher_error(sv, c, code, text);
	if (c->state == RC_CONN_OPEN)
		rc_publisher_stop_taking(sv, p);
}

static void end_if_settled(struct rc_serve *sv, struct rc_publisher *p)
{
	struct rc_conn *c = rc_publisher_conn(sv, p);

	if (p->stage == RC_STAGE_CLOSING && p->head == p->tail && c)
		rc_conn_finish(sv->conns, c);
}

void rc_publisher_write_acks(struct rc_serve *sv, struct rc_publisher *p)
{
	struct rc_conn *c = rc_publisher_conn(sv, p);
	unsigned char frame[RC_INGEST_ANSWER_MAX];

	while (p->head != p->tail && p->window[p->head & (p->size - 1)].remaining == 0) {
		const struct rc_publisher_entry *e = &p->window[p->head & (p->size - 1)];
		const struct rc_publisher_entry *next = &p->window[(p->head + 1) & (p->size - 1)];
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
		rc_publisher_reply(sv, c, frame, rc_ingest_ack_encode(frame, sizeof(frame), &ack));
		/* The reply may have been one too many. */
		c = rc_publisher_conn(sv, p);
	}
	end_if_settled(sv, p);
}

/* ---- the window --------------------------------------------------------------------------------- */

bool rc_publisher_room(struct rc_serve *sv, struct rc_publisher *p)
{
	uint32_t used = p->tail - p->head;

	if (p->outstanding >= sv->config->ingest_window || used >= sv->config->ingest_window)
		return false;
	if (used < p->size)
		return true;
	uint32_t size = RC_MAX(p->size * 2, WINDOW_MIN);
	struct rc_publisher_entry *window = rc_pool_get(sv->pool, size * sizeof(*window));
	if (!window)
		return false;
	for (uint32_t i = p->head; i != p->tail; i++)
		window[i & (size - 1)] = p->window[i & (p->size - 1)];
	rc_pool_put(sv->pool, p->window, p->size * sizeof(*window));
	p->window = window;
	p->size = size;
	return true;
}

uint32_t rc_publisher_push(
	struct rc_publisher *p, uint64_t sequence, uint8_t flags, uint32_t remaining)
{
	uint32_t index = p->tail++;

	p->window[index & (p->size - 1)] = (struct rc_publisher_entry){
		.sequence = sequence, .flags = flags, .remaining = remaining};
	return index;
}

void rc_publisher_decided(struct rc_serve *sv, struct rc_publisher *p, uint32_t index,
	const struct rc_outcome *o, uint64_t sequence)
{
	struct rc_publisher_entry *e = &p->window[index & (p->size - 1)];
	struct rc_conn *c = rc_publisher_conn(sv, p);

	RC_ASSERT(e->remaining > 0 && index - p->head < p->tail - p->head);
	e->remaining--;
	if (o->nack && c && c->state != RC_CONN_DEAD)
		rc_publisher_nack(
			sv, c, sequence, o->nack, "the gateway has no room for one more channel");
	if (!o->nack && (e->flags & RINGCAST_FLAG_POSITION)) {
		e->positioned = true;
		e->epoch = o->epoch;
		/* Of a message to users each home tells its part; an event has one. */
		e->offset += o->offset;
	}
	rc_publisher_list_ack(sv, p);
}

/* ---- the id ------------------------------------------------------------------------------------- */

void rc_publisher_welcome(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p)
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

	p->stage = RC_STAGE_LIVE;
	rc_limits_admitted(sv, c);
	rc_conn_timer(sv->conns, c, sv->config->heartbeat_ms);
	rc_publisher_reply(sv, c, frame, rc_ingest_welcome_encode(frame, sizeof(frame), &w));
}

/* An id of one service is not that of another: who has it ends the connection that had it before, and moves its sequence. Who has the
 * token for everything, or needs none, is one; no id that such a publisher can give begins like the others' here. */
void rc_publisher_identify(const struct rc_serve *sv, struct rc_publisher *p)
{
	char text[2 + RC_USER_MAX + 1 + RC_PUBLISHER_ID_MAX];
	char *at = text + 2;

	if (!p->right) {
		(void)rc_str_copy(p->known, (struct rc_str){p->id, p->id_len});
		p->known_len = p->id_len;
		return;
	}
	text[1] = p->right->grant.listed;
	at = rc_str_copy(at, rc_grant_name(&p->right->grant));
	*at++ = 0;
	at = rc_str_copy(at, (struct rc_str){p->id, p->id_len});
	p->known[0] = 1;
	p->known_len = 1 + 2 * sizeof(uint64_t);
	for (int half = 0; half < 2; half++) {
		text[0] = (char)half;
		uint64_t hash = rc_hash(&sv->hub->key, text, (size_t)(at - text));
		memcpy(p->known + 1 + (size_t)half * sizeof(hash), &hash, sizeof(hash));
	}
}

void rc_publisher_claim(struct rc_serve *sv, struct rc_conn *c, struct rc_publisher *p)
{
	struct rc_holder who = {sv->shard, rc_publisher_slot(sv, p), p->generation};

	p->stage = RC_STAGE_CLAIMING;
	c->flags |= RC_CONN_HELD;
	if (!sv->port.claim(sv->port.ctx, (struct rc_str){p->known, p->known_len}, &who)) {
		p->stage = RC_STAGE_CLAIM;
		rc_publisher_list_wait(sv, p);
	}
}

/* ---- what it may do ------------------------------------------------------------------------------ */

static size_t right_bytes(const struct rc_grant *grant)
{
	return offsetof(struct rc_publisher_right, grant) + grant->size;
}

static void drop_right(struct rc_serve *sv, struct rc_publisher *p)
{
	if (p->right)
		rc_pool_put(sv->pool, p->right, right_bytes(&p->right->grant));
	p->right = NULL;
}

bool rc_publisher_grant(struct rc_serve *sv, struct rc_publisher *p, const struct rc_grant *grant)
{
	struct rc_publisher_right *right = NULL;

	/* One that is nobody in particular and has no bounds needs no block. */
	if (grant->name_len || grant->patterns_len || grant->expires_ms || grant->listed) {
		right = rc_pool_get(sv->pool, right_bytes(grant));
		if (!right)
			return false;
		right->last_len = 0;
		memcpy(&right->grant, grant, grant->size);
	}
	drop_right(sv, p);
	p->right = right;
	p->scopes = (uint8_t)grant->scopes;
	return true;
}

void rc_publisher_forget(struct rc_serve *sv, struct rc_publisher *p)
{
	drop_right(sv, p);
}

bool rc_publisher_expired(const struct rc_serve *sv, const struct rc_publisher *p)
{
	/* As long as such a token would let it in, it may stay. */
	return p->right && p->right->grant.expires_ms &&
	       sv->wall_ms >= p->right->grant.expires_ms + sv->config->auth_leeway_ms;
}

bool rc_publisher_may(const struct rc_serve *sv, struct rc_publisher *p, enum rc_scope scope,
	struct rc_str channel)
{
	struct rc_publisher_right *right = p->right;

	if (!(p->scopes & scope) || rc_publisher_expired(sv, p))
		return false;
	if (scope != RC_SCOPE_PUBLISH || !right || !right->grant.patterns_len)
		return true;
	/* Most publishers stay with a channel for a while. */
	if (right->last_len == channel.len && memcmp(right->last, channel.ptr, channel.len) == 0)
		return true;
	if (!rc_grant_publishes(&right->grant, channel))
		return false;
	right->last_len = (uint16_t)channel.len;
	memcpy(right->last, channel.ptr, channel.len);
	return true;
}

void rc_publisher_tell(struct rc_serve *sv, struct rc_publisher *p)
{
	const struct rc_conn *c = rc_publisher_conn(sv, p);
	struct rc_str service = {NULL, 0};

	if (p->right)
		service = rc_grant_name(&p->right->grant);
	if (c)
		rc_audit_publisher(sv, c, service, (struct rc_str){p->id, p->id_len}, p->used);
	memset(p->used, 0, sizeof(p->used));
}

void rc_publisher_used(struct rc_serve *sv, struct rc_publisher *p, enum rc_scope scope)
{
	p->used[scope == RC_SCOPE_BROADCAST ? 0 : scope == RC_SCOPE_SEND ? 1 : 2]++;
	if (!p->told)
		rc_publisher_tell(sv, p);
	p->told = true;
}
