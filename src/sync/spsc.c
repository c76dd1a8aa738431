/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/spsc.h"

struct header {
	uint32_t len;
	uint32_t type;
};

_Static_assert(sizeof(struct header) == RC_SPSC_RECORD_HEADER, "a record begins with its header");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "positions are lock-free");
_Static_assert(offsetof(struct rc_spsc, head) % RC_FALSE_SHARING == 0, "reader's lines apart");
_Static_assert(offsetof(struct rc_spsc, data) % RC_FALSE_SHARING == 0, "constants apart");

static inline uint64_t footprint(size_t len)
{
	return rc_align_up(RC_SPSC_RECORD_HEADER + (uint64_t)len, 8);
}

static inline struct header *header_at(const struct rc_spsc *q, uint64_t pos)
{
	return (struct header *)(void *)(q->data + (pos & (q->capacity - 1)));
}

void rc_spsc_init(struct rc_spsc *q, void *data, size_t capacity)
{
	RC_ASSERT(capacity >= 4096 && rc_is_pow2(capacity));
	/* Lengths are 32 bits. */
	RC_ASSERT((uint64_t)capacity <= (uint64_t)1 << 32);
	RC_ASSERT(((uintptr_t)data & 7) == 0);
	memset(q, 0, sizeof(*q));
	atomic_init(&q->tail, 0);
	atomic_init(&q->head, 0);
	q->data = data;
	q->capacity = capacity;
}

size_t rc_spsc_payload_max(const struct rc_spsc *q)
{
	return (size_t)(q->capacity / 2 - RC_SPSC_RECORD_HEADER);
}

/* Bytes to fill up before a record of `need` bytes may begin. */
static inline uint64_t padding_for(const struct rc_spsc *q, uint64_t need)
{
	uint64_t to_end = q->capacity - (q->tail_local & (q->capacity - 1));
	return need > to_end ? to_end : 0;
}

static inline bool has_free(struct rc_spsc *q, uint64_t bytes)
{
	if (RC_LIKELY(q->tail_local + bytes - q->head_cached <= q->capacity))
		return true;
	/* Pairs with the release in rc_spsc_release(): the reader has done with what lies before head. */
	q->head_cached = atomic_load_explicit(&q->head, memory_order_acquire);
	return q->tail_local + bytes - q->head_cached <= q->capacity;
}

bool rc_spsc_has_room(struct rc_spsc *q, size_t len)
{
	RC_ASSERT(len <= rc_spsc_payload_max(q));
	uint64_t need = footprint(len);
	return has_free(q, padding_for(q, need) + need);
}

void *rc_spsc_reserve(struct rc_spsc *q, size_t len)
{
	RC_ASSERT(len <= rc_spsc_payload_max(q));
	uint64_t need = footprint(len);
	uint64_t padding = padding_for(q, need);
	if (!has_free(q, padding + need))
		return NULL;
	if (padding != 0) {
		/* Committed at once, so that the place stays the same whatever length the record ends up with. */
		struct header *pad = header_at(q, q->tail_local);
		pad->len = (uint32_t)(padding - RC_SPSC_RECORD_HEADER);
		pad->type = RC_SPSC_TYPE_PAD;
		q->tail_local += padding;
	}
	return header_at(q, q->tail_local) + 1;
}

void rc_spsc_commit(struct rc_spsc *q, uint32_t type, size_t len)
{
	uint64_t need = footprint(len);
	RC_DASSERT(type != RC_SPSC_TYPE_PAD);
	/* Not longer than what was reserved, as far as can be told. */
	RC_ASSERT(
		padding_for(q, need) == 0 && q->tail_local + need - q->head_cached <= q->capacity);
	struct header *h = header_at(q, q->tail_local);
	h->len = (uint32_t)len;
	h->type = type;
	q->tail_local += need;
}

bool rc_spsc_publish(struct rc_spsc *q)
{
	if (atomic_load_explicit(&q->tail, memory_order_relaxed) == q->tail_local)
		return false;
	/* Pairs with the acquire in rc_spsc_peek(): records are whole before they are seen. */
	atomic_store_explicit(&q->tail, q->tail_local, memory_order_release);
	return true;
}

size_t rc_spsc_used(const struct rc_spsc *q)
{
	return (size_t)(q->tail_local - q->head_cached);
}

bool rc_spsc_peek(struct rc_spsc *q, struct rc_spsc_record *out)
{
	for (;;) {
		if (q->head_local == q->tail_cached) {
			/* Pairs with the release in rc_spsc_publish(). */
			q->tail_cached = atomic_load_explicit(&q->tail, memory_order_acquire);
			if (q->head_local == q->tail_cached)
				return false;
		}
		const struct header *h = header_at(q, q->head_local);
		if (RC_LIKELY(h->type != RC_SPSC_TYPE_PAD)) {
			out->type = h->type;
			out->len = h->len;
			out->payload = h + 1;
			return true;
		}
		q->head_local += footprint(h->len);
	}
}

void rc_spsc_consume(struct rc_spsc *q, const struct rc_spsc_record *record)
{
	RC_DASSERT(record->payload == (const void *)(header_at(q, q->head_local) + 1));
	q->head_local += footprint(record->len);
	RC_DASSERT(q->head_local <= q->tail_cached);
}

void rc_spsc_release(struct rc_spsc *q)
{
	if (atomic_load_explicit(&q->head, memory_order_relaxed) == q->head_local)
		return;
	/* Pairs with the acquire in has_free(): the writer may write here again. */
	atomic_store_explicit(&q->head, q->head_local, memory_order_release);
}

bool rc_spsc_empty(struct rc_spsc *q)
{
	/* Padding alone is nothing to read; peek skips it and then looks at tail afresh. */
	struct rc_spsc_record record;
	return !rc_spsc_peek(q, &record);
}
