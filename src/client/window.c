/* SPDX-License-Identifier: Apache-2.0
 *
 * The window of libringcast: encoded frames that are kept until the gateway has decided them. Drawing and invariants are
 * in client.h.
 */
#include "client.h"
#include "bytes.h"

static uint64_t head(struct ringcast *r)
{
	return r->rec_first == r->rec_end ? r->tail : rc_client_record(r, r->rec_first)->at;
}

/* Where a frame of that length would go: at the tail, or at the front again if it would run over the end. */
static bool place(struct ringcast *r, size_t len, uint64_t *at)
{
	size_t cap = r->o.window_bytes;
	size_t to_end = cap - (size_t)(r->tail % cap);

	if (len > cap)
		return false;
	*at = len <= to_end ? r->tail : r->tail + to_end;
	/* An empty window has no bytes to keep, so what is skipped costs nothing. */
	return r->rec_first == r->rec_end || *at + len - head(r) <= cap;
}

unsigned char *rc_client_window_reserve(struct ringcast *r, size_t len)
{
	uint64_t at;

	if (r->rec_end - r->rec_first > r->record_mask || !place(r, len, &at))
		return NULL;
	return r->bytes + at % r->o.window_bytes;
}

struct rc_client_record *rc_client_window_take(struct ringcast *r, size_t len)
{
	struct rc_client_record *record = rc_client_record(r, r->rec_end);

	*record = (struct rc_client_record){.len = (uint32_t)len};
	(void)place(r, len, &record->at);
	r->rec_end++;
	r->tail = record->at + len;
	r->unsent_bytes += len;
	return record;
}

struct rc_client_record *rc_client_window_open(struct ringcast *r, size_t len)
{
	struct rc_client_record *record;
	size_t cap = r->o.window_bytes;

	if (r->rec_first == r->rec_end)
		return NULL;
	record = rc_client_record(r, r->rec_end - 1);
	if (!record->open || record->at % cap + record->len + len > cap ||
		record->at + record->len + len - head(r) > cap)
		return NULL;
	return record;
}

void rc_client_window_close(struct ringcast *r)
{
	struct rc_client_record *record;
	unsigned char *frame;

	if (r->rec_first == r->rec_end)
		return;
	record = rc_client_record(r, r->rec_end - 1);
	if (!record->open)
		return;
	record->open = false;
	frame = r->bytes + record->at % r->o.window_bytes;
	rc_client_store(frame, record->len - RINGCAST_WIRE_LENGTH_LEN, RINGCAST_WIRE_LENGTH_LEN);
	rc_client_store(frame + RINGCAST_WIRE_HEADER_LEN, record->count, 2);
}

static void decide(struct ringcast *r, uint64_t number)
{
	struct rc_client_record *record = rc_client_record(r, number);

	if (record->decided)
		return;
	record->decided = true;
	r->events -= record->count;
	if (number < r->rec_send)
		r->outstanding -= record->count;
}

/* Decided records leave at the front only; one in the middle keeps its bytes until those before it are decided. */
static void trim(struct ringcast *r)
{
	while (r->rec_first < r->rec_end && rc_client_record(r, r->rec_first)->decided) {
		struct rc_client_record *record = rc_client_record(r, r->rec_first);

		if (record->last > r->acked)
			r->acked = record->last;
		if (r->rec_send == r->rec_first) {
			r->rec_send++;
			r->unsent_bytes -= record->len;
		}
		r->rec_first++;
	}
}

bool rc_client_window_ack(struct ringcast *r, uint64_t sequence)
{
	uint64_t before = r->acked;
	uint64_t number = r->rec_first;

	while (number < r->rec_send && rc_client_record(r, number)->last <= sequence)
		decide(r, number++);
	trim(r);
	/* Inside a BATCH whose events are acknowledged one by one. */
	if (r->rec_first < r->rec_send && rc_client_record(r, r->rec_first)->first <= sequence &&
		sequence > r->acked)
		r->acked = sequence;
	return r->acked != before;
}

bool rc_client_window_nack(struct ringcast *r, uint64_t sequence)
{
	uint64_t low = r->rec_first, high = r->rec_send;

	/* Sequences grow with the record's number. */
	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (rc_client_record(r, mid)->last < sequence)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == r->rec_send || rc_client_record(r, low)->first > sequence ||
		rc_client_record(r, low)->decided)
		return false;
	/* The rest of a BATCH is still open; its own ACK comes. */
	if (rc_client_record(r, low)->count == 1) {
		decide(r, low);
		trim(r);
	}
	return true;
}

void rc_client_window_drop(struct ringcast *r, uint64_t number)
{
	decide(r, number);
	trim(r);
}

bool rc_client_window_rewind(struct ringcast *r, uint64_t held)
{
	uint64_t before = r->acked;

	r->outstanding = 0;
	r->send_off = 0;
	r->rec_send = r->rec_first;
	r->unsent_bytes = 0;
	for (uint64_t number = r->rec_first; number < r->rec_end; number++) {
		struct rc_client_record *record = rc_client_record(r, number);

		r->unsent_bytes += record->len;
		if (record->last <= held && !record->open)
			decide(r, number);
	}
	trim(r);
	return r->acked != before;
}

void rc_client_window_sent(struct ringcast *r, size_t len)
{
	while (r->rec_send < r->rec_end) {
		struct rc_client_record *record = rc_client_record(r, r->rec_send);
		size_t rest = record->len - r->send_off;

		/* Decided ones are skipped, they were not among the bytes. */
		if (record->decided) {
			r->unsent_bytes -= record->len;
			r->rec_send++;
			continue;
		}
		if (len < rest) {
			r->send_off += len;
			return;
		}
		len -= rest;
		r->send_off = 0;
		r->unsent_bytes -= record->len;
		r->outstanding += record->count;
		r->rec_send++;
		if (len == 0)
			return;
	}
}
