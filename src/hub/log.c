/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/log.h"

#define CHUNK_MIN RC_BUDDY_MIN
#define CHUNK_MAX (256u * 1024)

static struct rc_log_entry *entry(const struct rc_log_chunk *c, uint32_t i)
{
	unsigned char *end = (unsigned char *)(uintptr_t)c + c->size;

	return (struct rc_log_entry *)(void *)end - 1 - i;
}

static uint32_t room(const struct rc_log_chunk *c)
{
	uint32_t index = (c->count + 1) * (uint32_t)sizeof(struct rc_log_entry);
	uint32_t used = (uint32_t)sizeof(*c) + c->len + index;

	return used >= c->size ? 0 : c->size - used;
}

static struct rc_log_chunk *chunk_at(const struct rc_log *log, uint64_t pos)
{
	/* Nearly every reader is in the newest chunk. */
	if (log->last && pos >= log->last->pos)
		return log->last;
	struct rc_log_chunk *c = log->first;
	while (c && pos >= c->pos + c->len)
		c = c->next;
	return c;
}

/* The entry of the frame that holds the byte at `at`. */
static uint32_t find(const struct rc_log_chunk *c, uint32_t at)
{
	uint32_t low = 0, high = c->count;

	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;
		if (entry(c, mid)->start <= at)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* ---- the queue ---------------------------------------------------------------------------------- */

static void enqueue(struct rc_log_queue *q, struct rc_log_chunk *c)
{
	c->older = q->last;
	c->newer = NULL;
	if (q->last)
		q->last->newer = c;
	else
		q->first = c;
	q->last = c;
	q->bytes += c->size;
}

static void dequeue(struct rc_log_queue *q, struct rc_log_chunk *c)
{
	if (c->older)
		c->older->newer = c->newer;
	else
		q->first = c->newer;
	if (c->newer)
		c->newer->older = c->older;
	else
		q->last = c->older;
	if (q->swept == c)
		q->swept = c->newer;
	q->bytes -= c->size;
}

void rc_log_enqueue(struct rc_log *log, struct rc_log_queue *queue, uint32_t tag)
{
	RC_ASSERT(!log->queue);
	log->queue = queue;
	log->tag = tag;
	for (struct rc_log_chunk *c = log->first; c; c = c->next) {
		c->tag = tag;
		enqueue(queue, c);
	}
}

void rc_log_dequeue(struct rc_log *log)
{
	if (!log->queue)
		return;
	for (struct rc_log_chunk *c = log->first; c; c = c->next)
		dequeue(log->queue, c);
	log->queue = NULL;
}

/* ---- appending ---------------------------------------------------------------------------------- */

unsigned char *rc_log_reserve(struct rc_log *log, struct rc_buddy *arena, uint32_t len)
{
	struct rc_log_chunk *last = log->last;

	RC_ASSERT(len > 0 && len <= RC_LOG_FRAME_MAX);
	if (last && room(last) >= len)
		return last->bytes + last->len;
	size_t need = sizeof(*last) + len + sizeof(struct rc_log_entry);
	size_t want = RC_MAX(need, (size_t)RC_MAX(log->chunk_next, CHUNK_MIN));
	struct rc_log_chunk *c = rc_buddy_get(arena, want);
	if (!c && want > need)
		c = rc_buddy_get(arena, need);
	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->size = (uint32_t)rc_buddy_size(arena, c);
	c->pos = log->tail;
	c->count_first = log->count_tail;
	if (last)
		last->next = c;
	else
		log->first = c;
	log->last = c;
	log->held += c->size;
	log->chunk_next = RC_MIN(c->size * 2, CHUNK_MAX);
	if (log->queue) {
		c->tag = log->tag;
		enqueue(log->queue, c);
	}
	return c->bytes;
}

void rc_log_commit(struct rc_log *log, uint32_t len, const struct rc_log_mark *mark)
{
	struct rc_log_chunk *c = log->last;

	RC_DASSERT(room(c) >= len && len > 0);
	/* A clock that was set back, or a shard whose turn began earlier: the order stays. */
	if (log->count_tail == 0 || (int32_t)(mark->time_ms - log->time_ms) > 0)
		log->time_ms = mark->time_ms;
	*entry(c, c->count) = (struct rc_log_entry){
		.start = c->len,
		.tick_ms = mark->tick_ms,
		.time_ms = log->time_ms,
		.key = mark->key,
		.stamp = mark->stamp,
	};
	c->count++;
	c->len += len;
	log->tail += len;
	log->count_tail++;
}

void rc_log_except_last(struct rc_log *log, uint32_t except)
{
	RC_DASSERT(log->last && log->last->count);
	entry(log->last, log->last->count - 1)->except = except;
}

uint32_t rc_log_range(const struct rc_log *log, uint64_t pos, const unsigned char **out)
{
	RC_DASSERT(pos >= log->head && pos <= log->tail);
	if (pos == log->tail)
		return 0;
	const struct rc_log_chunk *c = chunk_at(log, pos);
	uint32_t at = (uint32_t)(pos - c->pos);
	*out = c->bytes + at;
	return c->len - at;
}

uint32_t rc_log_range_for(
	const struct rc_log *log, uint32_t except, uint64_t *pos, const unsigned char **out)
{
	while (*pos < log->tail) {
		const struct rc_log_chunk *c = chunk_at(log, *pos);
		uint32_t at = (uint32_t)(*pos - c->pos);
		uint32_t i = find(c, at), end;

		if (entry(c, i)->start == at) {
			while (i < c->count && entry(c, i)->except == except)
				i++;
			at = i < c->count ? entry(c, i)->start : c->len;
			*pos = c->pos + at;
		}
		if (i == c->count)
			continue;
		for (end = i + 1; end < c->count && entry(c, end)->except != except; end++)
			;
		*out = c->bytes + at;
		return (end < c->count ? entry(c, end)->start : c->len) - at;
	}
	return 0;
}

uint64_t rc_log_excepted(const struct rc_log *log, uint32_t except, uint64_t begin, uint64_t end)
{
	uint64_t count = 0;

	while (begin < end) {
		const struct rc_log_chunk *c = chunk_at(log, begin);

		for (uint32_t i = find(c, (uint32_t)(begin - c->pos)); i < c->count; i++)
			count += entry(c, i)->except == except && c->pos + entry(c, i)->start < end;
		begin = c->pos + c->len;
	}
	return count;
}

static void describe(const struct rc_log_chunk *c, uint32_t i, struct rc_log_frame *out)
{
	const struct rc_log_entry *e = entry(c, i);
	uint32_t end = i + 1 < c->count ? entry(c, i + 1)->start : c->len;

	out->pos = c->pos + e->start;
	out->ordinal = c->count_first + i;
	out->len = end - e->start;
	out->tick_ms = e->tick_ms;
	out->time_ms = e->time_ms;
	out->except = e->except;
	out->key = e->key;
	out->stamp = e->stamp;
	out->bytes = c->bytes + e->start;
}

void rc_log_frame_at(const struct rc_log *log, uint64_t pos, struct rc_log_frame *out)
{
	RC_DASSERT(pos >= log->head && pos < log->tail);
	const struct rc_log_chunk *c = chunk_at(log, pos);
	describe(c, find(c, (uint32_t)(pos - c->pos)), out);
}

void rc_log_frame_last(const struct rc_log *log, struct rc_log_frame *out)
{
	rc_log_frame_at(log, log->tail - 1, out);
}

uint64_t rc_log_count_head(const struct rc_log *log)
{
	return log->first ? log->first->count_first : log->count_tail;
}

void rc_log_frame_number(const struct rc_log *log, uint64_t ordinal, struct rc_log_frame *out)
{
	const struct rc_log_chunk *c = log->last;

	RC_DASSERT(ordinal >= rc_log_count_head(log) && ordinal < log->count_tail);
	if (ordinal < c->count_first) {
		c = log->first;
		while (ordinal >= c->count_first + c->count)
			c = c->next;
	}
	describe(c, (uint32_t)(ordinal - c->count_first), out);
}

/* The first entry for which `after` says yes; they say no up to there. */
static uint64_t first_that(const struct rc_log *log,
	bool (*after)(const struct rc_log_entry *e, uint64_t bound), uint64_t bound)
{
	for (const struct rc_log_chunk *c = log->first; c; c = c->next) {
		uint32_t low = 0, high = c->count;
		if (c->count == 0 || !after(entry(c, c->count - 1), bound))
			continue;
		while (low < high) {
			uint32_t mid = low + (high - low) / 2;
			if (after(entry(c, mid), bound))
				high = mid;
			else
				low = mid + 1;
		}
		return c->count_first + low;
	}
	return log->count_tail;
}

static bool stamp_after(const struct rc_log_entry *e, uint64_t stamp)
{
	return e->stamp > stamp;
}

static bool not_before_tick(const struct rc_log_entry *e, uint64_t tick_ms)
{
	return (int32_t)(e->tick_ms - (uint32_t)tick_ms) >= 0;
}

uint64_t rc_log_after_stamp(const struct rc_log *log, uint64_t stamp)
{
	return first_that(log, stamp_after, stamp);
}

static bool not_before_time(const struct rc_log_entry *e, uint64_t time_ms)
{
	return (int32_t)(e->time_ms - (uint32_t)time_ms) >= 0;
}

uint64_t rc_log_since_time(const struct rc_log *log, uint32_t time_ms)
{
	return first_that(log, not_before_time, time_ms);
}

uint64_t rc_log_since_tick(const struct rc_log *log, uint32_t tick_ms)
{
	return first_that(log, not_before_tick, tick_ms);
}

/*
 * The size with which an emptied log begins again: one chunk for all that it held last time, so that a burst is one range
 * and goes out in one send; half of it when that was not used by a quarter.
 */
static void plan_next(struct rc_log *log)
{
	const struct rc_log_chunk *last = log->last;
	uint32_t size = (uint32_t)rc_pow2_ceil(RC_MAX(RC_MIN(log->held, CHUNK_MAX), CHUNK_MIN));

	if (log->first == last && last->len < last->size / 4)
		size = RC_MAX(size / 2, CHUNK_MIN);
	log->chunk_next = size;
}

void rc_log_plan(struct rc_log *log, uint32_t size_max)
{
	log->chunk_next = RC_MIN(log->chunk_next, RC_MAX(size_max, CHUNK_MIN));
}

static void drop_first(struct rc_log *log, struct rc_buddy *arena)
{
	struct rc_log_chunk *c = log->first;

	log->first = c->next;
	if (!log->first)
		log->last = NULL;
	log->held -= c->size;
	log->head = c->pos + c->len;
	if (c->count) {
		log->trimmed_stamp = entry(c, c->count - 1)->stamp;
		log->trimmed_time_ms = entry(c, c->count - 1)->time_ms;
		if (log->queue)
			log->trimmed_when = ++log->queue->losses;
	}
	if (log->queue)
		dequeue(log->queue, c);
	rc_buddy_put(arena, c);
}

void rc_log_trim(struct rc_log *log, struct rc_buddy *arena, uint64_t pos)
{
	if (log->first && pos >= log->tail) {
		rc_log_clear(log, arena);
		return;
	}
	while (log->first && log->first->pos + log->first->len <= pos)
		drop_first(log, arena);
}

void rc_log_clear(struct rc_log *log, struct rc_buddy *arena)
{
	if (log->first)
		plan_next(log);
	while (log->first)
		drop_first(log, arena);
	log->head = log->tail;
}

void rc_log_check(const struct rc_log *log)
{
	uint64_t pos = log->head;
	uint64_t held = 0;
	const struct rc_log_chunk *last = NULL;

	RC_ASSERT(log->head <= log->tail);
	for (const struct rc_log_chunk *c = log->first; c; c = c->next) {
		RC_ASSERT(c->pos == pos);
		RC_ASSERT(sizeof(*c) + c->len + c->count * sizeof(struct rc_log_entry) <= c->size);
		for (uint32_t i = 0; i < c->count; i++) {
			uint32_t end = i + 1 < c->count ? entry(c, i + 1)->start : c->len;
			RC_ASSERT(entry(c, i)->start < end);
		}
		pos += c->len;
		held += c->size;
		last = c;
	}
	RC_ASSERT(pos == log->tail && held == log->held && last == log->last);
	RC_ASSERT(!last || last->count_first + last->count == log->count_tail);
}
