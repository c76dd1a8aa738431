/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishing: events are encoded straight into the window, alone, or one behind the other into an open BATCH. What people.c says
 * has its place among them.
 */
#include "client.h"
#include "bytes.h"

/* Every gateway takes a frame of this size, so a batch never has to be taken apart again. */
#define BATCH_BYTES RINGCAST_FRAME_MAX_FLOOR
/* Header and count; both are completed when it is closed. */
#define BATCH_HEADER (RINGCAST_WIRE_HEADER_LEN + 2)
/* What may pile up although more was announced. */
#define MORE_BYTES 65536
/* How often publish looks for answers although it has room. */
#define LOOK_EVERY 64

/* To people, not to a channel. */
static bool is_personal(const struct rc_client_event *e)
{
	return e->target != 0 || e->type == RINGCAST_FRAME_ASSIGN;
}

/* CLOSE and ASSIGN carry nothing. */
static bool has_data(const struct rc_client_event *e)
{
	return e->type != RINGCAST_FRAME_CLOSE && e->type != RINGCAST_FRAME_ASSIGN;
}

/* All fields but the payload and, in a BATCH, its length. */
static size_t head_len(const struct rc_client_event *e)
{
	size_t to = e->type == RINGCAST_FRAME_BROADCAST ? 0
		    : is_personal(e)                    ? rc_client_people_len(e)
							: 1 + e->channel_len;

	if (e->type == RINGCAST_FRAME_ASSIGN)
		return 8 + to;
	return 8 + to + 1 + e->name_len + (has_data(e) ? 8 : 0) +
	       (e->trace ? RINGCAST_TRACE_LEN : 0);
}

static void put_event(
	unsigned char *at, const struct rc_client_event *e, uint64_t sequence, bool in_batch)
{
	at = rc_client_store(at, sequence, 8);
	if (is_personal(e)) {
		at = rc_client_put_people(at, e);
	} else if (e->type != RINGCAST_FRAME_BROADCAST) {
		at = rc_client_store(at, e->channel_len, 1);
		at = rc_client_store_bytes(at, e->channel, e->channel_len);
	}
	if (e->type == RINGCAST_FRAME_ASSIGN)
		return;
	at = rc_client_store(at, e->name_len, 1);
	at = rc_client_store_bytes(at, e->name, e->name_len);
	if (!has_data(e))
		return;
	at = rc_client_store(at, e->timestamp_ms, 8);
	if (e->trace)
		at = rc_client_store_bytes(at, e->trace, RINGCAST_TRACE_LEN);
	if (in_batch)
		at = rc_client_store(at, e->len, 4);
	rc_client_store_bytes(at, e->data, e->len);
}

static uint64_t count_event(struct ringcast *r, struct rc_client_record *record)
{
	uint64_t sequence = r->next_sequence++;

	if (record->count++ == 0)
		record->first = sequence;
	record->last = sequence;
	r->events++;
	return sequence;
}

/* The three ways into the window: false when there is no room. */

static bool append_alone(struct ringcast *r, const struct rc_client_event *e, uint64_t *sequence)
{
	size_t len = RINGCAST_WIRE_HEADER_LEN + head_len(e) + e->len;
	unsigned char *at = rc_client_window_reserve(r, len);

	if (!at)
		return false;
	at = rc_client_header(at, len, e->type, e->flags);
	*sequence = count_event(r, rc_client_window_take(r, len));
	put_event(at, e, *sequence, false);
	return true;
}

static bool append_to_batch(struct ringcast *r, const struct rc_client_event *e, uint64_t *sequence)
{
	size_t len = head_len(e) + 4 + e->len;
	struct rc_client_record *record = rc_client_window_open(r, len);
	unsigned char *at;

	if (!record || r->batch_flags != e->flags || record->count == RINGCAST_BATCH_MAX ||
		record->len + len > BATCH_BYTES)
		return false;
	at = r->bytes + record->at % r->o.window_bytes + record->len;
	record->len += (uint32_t)len;
	r->tail += len;
	r->unsent_bytes += len;
	*sequence = count_event(r, record);
	put_event(at, e, *sequence, true);
	return true;
}

static bool append_batch(struct ringcast *r, const struct rc_client_event *e, uint64_t *sequence)
{
	size_t len = BATCH_HEADER + head_len(e) + 4 + e->len;
	unsigned char *at = rc_client_window_reserve(r, len);
	struct rc_client_record *record;

	if (!at)
		return false;
	rc_client_header(at, len, RINGCAST_FRAME_BATCH, e->flags);
	record = rc_client_window_take(r, len);
	record->open = true;
	r->batch_flags = e->flags;
	*sequence = count_event(r, record);
	put_event(at + BATCH_HEADER, e, *sequence, true);
	return true;
}

static bool append(struct ringcast *r, const struct rc_client_event *e, uint64_t *sequence)
{
	bool batchable = r->batching && e->type == RINGCAST_FRAME_PUBLISH;
	size_t batch_len = BATCH_HEADER + head_len(e) + 4 + e->len;

	if (r->next_sequence == 0 || r->events >= r->o.window_events)
		return false;
	if (batchable && append_to_batch(r, e, sequence))
		return true;
	rc_client_window_close(r);
	if (batchable && batch_len <= BATCH_BYTES && batch_len <= r->o.window_bytes)
		return append_batch(r, e, sequence);
	return append_alone(r, e, sequence);
}

static int wait_for_room(struct ringcast *r, const struct rc_client_event *e, uint64_t *sequence)
{
	uint64_t since = rc_client_now_ms();

	while (true) {
		int left = rc_client_left(since, r->o.publish_timeout_ms);

		(void)rc_client_turn(r, left);
		if (r->state == RINGCAST_STATE_FAILED)
			return RINGCAST_FAILED;
		if (append(r, e, sequence))
			return RINGCAST_OK;
		if (left == 0)
			return RINGCAST_AGAIN;
	}
}

void rc_client_after(struct ringcast *r, bool more)
{
	size_t enough = r->o.coalesce_bytes;

	if (r->in_callback)
		return;
	if ((more || r->batching) && enough < MORE_BYTES)
		enough = MORE_BYTES;
	if (r->state != RINGCAST_STATE_READY) {
		if (!more && !r->batching)
			rc_client_step(r);
		return;
	}
	if (++r->publishes % LOOK_EVERY == 0)
		rc_client_look(r);
	if (r->unblocked && r->unsent_bytes + (r->ctl_len - r->ctl_off) >= enough)
		rc_client_send(r);
}

int rc_client_publish(struct ringcast *r, struct rc_client_event *e, unsigned known, unsigned flags,
	uint64_t *sequence)
{
	size_t frame_len;
	uint64_t given = 0;
	int rc;

	if (e->name_len > RINGCAST_EVENT_MAX || (e->len != 0 && !e->data) ||
		(flags & ~(RINGCAST_MORE | known)) != 0)
		return RINGCAST_INVALID;
	e->trace = r->traced && !is_personal(e) ? r->trace : NULL;
	frame_len = RINGCAST_WIRE_HEADER_LEN + head_len(e);
	if (e->len > UINT32_MAX - frame_len || frame_len + e->len > r->o.window_bytes)
		return RINGCAST_TOO_LARGE;
	/* Both 0 until the gateway has said them. */
	if ((r->frame_max != 0 && frame_len + e->len > r->frame_max) ||
		(r->message_max != 0 && e->len > r->message_max))
		return RINGCAST_TOO_LARGE;
	if (r->state == RINGCAST_STATE_FAILED)
		return RINGCAST_FAILED;
	e->flags = (uint8_t)((flags & known) | (e->trace ? RINGCAST_FLAG_TRACE : 0));
	if (!append(r, e, &given)) {
		/* A batch that is held open would hold its place for ever. */
		rc_client_window_close(r);
		if (r->in_callback)
			return RINGCAST_AGAIN;
		rc = wait_for_room(r, e, &given);
		if (rc != RINGCAST_OK)
			return rc;
	}
	if (sequence)
		*sequence = given;
	rc_client_after(r, (flags & RINGCAST_MORE) != 0);
	return RINGCAST_OK;
}

int ringcast_publish_at(struct ringcast *r, const char *channel, const char *event,
	uint64_t timestamp_ms, const void *data, size_t len, unsigned int flags, uint64_t *sequence)
{
	struct rc_client_event e = {.type = RINGCAST_FRAME_PUBLISH,
		.channel = channel,
		.name = event,
		.timestamp_ms = timestamp_ms,
		.data = data,
		.len = len};

	if (!channel || !event || !*event)
		return RINGCAST_INVALID;
	e.channel_len = strlen(channel);
	e.name_len = strlen(event);
	if (e.channel_len == 0 || e.channel_len > RINGCAST_CHANNEL_MAX)
		return RINGCAST_INVALID;
	return rc_client_publish(r, &e, RINGCAST_FLAGS_SEND, flags, sequence);
}

int ringcast_publish(struct ringcast *r, const char *channel, const char *event, const void *data,
	size_t len, unsigned int flags, uint64_t *sequence)
{
	return ringcast_publish_at(r, channel, event, 0, data, len, flags, sequence);
}

int ringcast_broadcast(struct ringcast *r, const char *event, const void *data, size_t len,
	unsigned int flags, uint64_t *sequence)
{
	struct rc_client_event e = {
		.type = RINGCAST_FRAME_BROADCAST, .name = event, .data = data, .len = len};

	if (!event || !*event)
		return RINGCAST_INVALID;
	e.name_len = strlen(event);
	return rc_client_publish(r, &e, RINGCAST_FLAGS_SEND, flags, sequence);
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* So many bytes from twice as many digits. Returns whether they are not all zero; -1: they are none. */
static int hex(const char *text, unsigned char *out, size_t bytes)
{
	int any = 0;

	for (size_t i = 0; i < bytes; i++) {
		int high = nibble(text[2 * i]), low = high < 0 ? -1 : nibble(text[2 * i + 1]);

		if (low < 0)
			return -1;
		out[i] = (unsigned char)(high << 4 | low);
		any |= out[i];
	}
	return any != 0;
}

int ringcast_set_trace(struct ringcast *r, const char *traceparent)
{
	/* 00-TRACE-PARENT-FLAGS */
	const size_t len = 3 + 32 + 1 + 16 + 1 + 2;
	unsigned char trace[RINGCAST_TRACE_LEN];

	if (!traceparent || !*traceparent) {
		r->traced = false;
		return RINGCAST_OK;
	}
	if (strlen(traceparent) != len || strncmp(traceparent, "00-", 3) != 0 ||
		traceparent[35] != '-' || traceparent[52] != '-' ||
		hex(traceparent + 3, trace, 16) != 1 || hex(traceparent + 36, trace + 16, 8) != 1 ||
		hex(traceparent + 53, trace + 24, 1) < 0)
		return RINGCAST_INVALID;
	memcpy(r->trace, trace, sizeof(trace));
	r->traced = true;
	return RINGCAST_OK;
}

int ringcast_batch_begin(struct ringcast *r)
{
	if (r->batching)
		return RINGCAST_MISUSE;
	r->batching = true;
	return RINGCAST_OK;
}

int ringcast_batch_end(struct ringcast *r)
{
	if (!r->batching)
		return RINGCAST_MISUSE;
	r->batching = false;
	rc_client_window_close(r);
	rc_client_after(r, false);
	return r->state == RINGCAST_STATE_FAILED ? RINGCAST_FAILED : RINGCAST_OK;
}
