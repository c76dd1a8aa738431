/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of a channel: where chunks end, what a position finds, what trimming may take, and a random walk against a plain
 * array of frames.
 */
#include "../unit.h"

#include "base/random.h"
#include "hub/log.h"

#define ARENA ((size_t)16 << 20)

static struct rc_buddy arena;
static void *memory, *state_bytes;
static struct rc_log log_;

static void open_arena(size_t bytes)
{
	memory = aligned_alloc(4096, bytes);
	state_bytes = calloc(1, rc_buddy_state_bytes(bytes));
	assert_non_null(memory);
	assert_non_null(state_bytes);
	rc_buddy_init(&arena, memory, bytes, state_bytes);
	memset(&log_, 0, sizeof(log_));
}

static int setup(void **state)
{
	(void)state;
	open_arena(ARENA);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rc_log_check(&log_);
	rc_log_clear(&log_, &arena);
	rc_log_check(&log_);
	rc_buddy_check(&arena);
	assert_int_equal(arena.used_bytes, 0);
	rc_buddy_init(&arena, memory, (size_t)arena.units * RC_BUDDY_MIN, state_bytes);
	free(memory);
	free(state_bytes);
	return 0;
}

/* A frame's bytes follow from its ordinal. */
static unsigned char byte_of(uint64_t ordinal, uint32_t at)
{
	return (unsigned char)(ordinal * 37 + at * 11 + at / 251);
}

static bool append(uint32_t len)
{
	uint64_t ordinal = log_.count_tail;
	unsigned char *room = rc_log_reserve(&log_, &arena, len);

	if (!room)
		return false;
	for (uint32_t i = 0; i < len; i++)
		room[i] = byte_of(ordinal, i);
	rc_log_commit(&log_, len,
		&(struct rc_log_mark){.tick_ms = (uint32_t)ordinal * 3,
			.time_ms = (uint32_t)ordinal * 4,
			.key = ordinal * 5 + 1,
			.stamp = ordinal * 2 + 7});
	return true;
}

/* The frame that was appended as number `ordinal` and begins at pos, looked at from `from` within it. */
static void assert_frame(uint64_t from, uint64_t ordinal, uint64_t pos, uint32_t len)
{
	struct rc_log_frame f;

	rc_log_frame_at(&log_, from, &f);
	assert_int_equal(f.pos, pos);
	assert_int_equal(f.len, len);
	assert_int_equal(f.ordinal, ordinal);
	assert_int_equal(f.tick_ms, (uint32_t)ordinal * 3);
	assert_int_equal(f.key, ordinal * 5 + 1);
	for (uint32_t i = 0; i < len; i += RC_MAX(len / 64, 1u))
		assert_int_equal(f.bytes[i], byte_of(ordinal, i));
}

static void the_zero_value_is_an_empty_log(void **state)
{
	const unsigned char *bytes;

	(void)state;
	rc_log_check(&log_);
	assert_int_equal(rc_log_range(&log_, 0, &bytes), 0);
	rc_log_trim(&log_, &arena, UINT64_MAX);
	rc_log_clear(&log_, &arena);
	assert_int_equal(log_.tail, 0);
	assert_int_equal(log_.head, 0);
	assert_int_equal(arena.used_bytes, 0);
}

static void a_frame_never_straddles_chunks(void **state)
{
	struct rc_log_chunk *first;
	const unsigned char *bytes;
	uint32_t in_first = 0;

	(void)state;
	while (append(100) && log_.first == log_.last)
		in_first++;
	first = log_.first;
	assert_true(in_first >= 2);
	/* One more would have met the index. */
	assert_true(sizeof(*first) + (in_first + 1) * (100 + sizeof(struct rc_log_entry)) >
		    first->size);
	assert_true(sizeof(*first) + in_first * (100 + sizeof(struct rc_log_entry)) <= first->size);
	assert_int_equal(first->len, in_first * 100);
	assert_int_equal(log_.last->pos, in_first * 100);
	/* A range ends with its chunk, and the position behind it goes on in the next. */
	assert_int_equal(rc_log_range(&log_, 0, &bytes), in_first * 100);
	assert_int_equal(rc_log_range(&log_, in_first * 100, &bytes), 100);
	assert_ptr_equal(bytes, log_.last->bytes);
	assert_int_equal(rc_log_range(&log_, in_first * 100 - 1, &bytes), 1);
	assert_int_equal(rc_log_range(&log_, log_.tail, &bytes), 0);
	assert_frame(in_first * 100 - 1, in_first - 1, (in_first - 1) * 100, 100);
	assert_frame(in_first * 100, in_first, in_first * 100, 100);
}

static void a_chunk_fills_up_to_its_last_byte(void **state)
{
	uint32_t room = RC_BUDDY_MIN - (uint32_t)sizeof(struct rc_log_chunk) -
			2 * (uint32_t)sizeof(struct rc_log_entry);

	(void)state;
	assert_true(append(1));
	assert_true(append(room - 1));
	assert_ptr_equal(log_.first, log_.last);
	rc_log_check(&log_);
	assert_frame(0, 0, 0, 1);
	assert_frame(1, 1, 1, room - 1);
	/* Not even one byte more. */
	assert_true(append(1));
	assert_ptr_not_equal(log_.first, log_.last);
	assert_frame(1, 1, 1, room - 1);
	assert_frame(room, 2, room, 1);
}

static void frames_of_one_byte_fill_a_chunk_with_index(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 5000; i++)
		assert_true(append(1));
	rc_log_check(&log_);
	for (uint32_t i = 0; i < 5000; i++)
		assert_frame(i, i, i, 1);
}

static void a_position_within_a_frame_finds_that_frame(void **state)
{
	(void)state;
	assert_true(append(10));
	assert_true(append(20));
	assert_true(append(1));
	assert_true(append(30));
	for (uint64_t pos = 0; pos < 61; pos++) {
		if (pos < 10)
			assert_frame(pos, 0, 0, 10);
		else if (pos < 30)
			assert_frame(pos, 1, 10, 20);
		else if (pos < 31)
			assert_frame(pos, 2, 30, 1);
		else
			assert_frame(pos, 3, 31, 30);
	}
	struct rc_log_frame f;
	rc_log_frame_last(&log_, &f);
	assert_int_equal(f.pos, 31);
	assert_int_equal(f.ordinal, 3);
}

static void chunks_double_and_shrink_again_when_they_are_not_used(void **state)
{
	uint32_t before = 0;

	(void)state;
	for (int i = 0; i < 40000; i++) {
		assert_true(append(100));
		if (log_.last->size != before) {
			assert_true(before == 0 || log_.last->size == before * 2);
			before = log_.last->size;
		}
	}
	assert_int_equal(before, 256 * 1024);
	/* By clearing, and by trimming to the very end, which is the same. */
	for (int round = 0; round < 2; round++) {
		rc_log_clear(&log_, &arena);
		for (uint32_t size = 256 * 1024; size >= RC_BUDDY_MIN; size /= 2) {
			assert_true(append(100));
			assert_int_equal(log_.held, size);
			if (round)
				rc_log_trim(&log_, &arena, log_.tail);
			else
				rc_log_clear(&log_, &arena);
			assert_int_equal(arena.used_bytes, 0);
			assert_int_equal(log_.head, log_.tail);
		}
		assert_true(append(100));
		assert_int_equal(log_.held, RC_BUDDY_MIN);
		for (int i = 0; i < 10000; i++)
			assert_true(append(100));
	}
}

static void a_burst_like_the_last_one_lies_in_one_chunk(void **state)
{
	const unsigned char *bytes;

	(void)state;
	for (int round = 0; round < 5; round++) {
		uint64_t pos = log_.tail;
		for (int i = 0; i < 64; i++)
			assert_true(append(150));
		uint32_t len = rc_log_range(&log_, pos, &bytes);
		if (round)
			assert_int_equal(len, 64 * 150);
		rc_log_clear(&log_, &arena);
	}
}

static void trimming_takes_whole_chunks_before_the_position_only(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++)
		assert_true(append(100));
	while (log_.first) {
		struct rc_log_chunk *c = log_.first;
		uint64_t end = c->pos + c->len;
		uint64_t held = arena.used_bytes;
		rc_log_trim(&log_, &arena, end - 1);
		assert_ptr_equal(log_.first, c);
		assert_int_equal(arena.used_bytes, held);
		assert_frame(end - 1, end / 100 - 1, end - 100, 100);
		uint32_t size = c->size;
		rc_log_trim(&log_, &arena, end);
		assert_ptr_not_equal(log_.first, c);
		assert_int_equal(arena.used_bytes, held - size);
		assert_int_equal(log_.head, end);
		rc_log_check(&log_);
		/* A second time takes nothing more, nor does an older position. */
		rc_log_trim(&log_, &arena, end);
		rc_log_trim(&log_, &arena, 0);
		assert_int_equal(log_.head, end);
	}
	assert_int_equal(log_.head, 20000);
	assert_int_equal(log_.count_tail, 200);
}

static void a_cursor_in_a_cut_frame_survives_trimming_to_it(void **state)
{
	const unsigned char *bytes;

	(void)state;
	for (int i = 0; i < 50; i++)
		assert_true(append(300));
	/* 17 frames and 123 bytes were sent. */
	uint64_t cursor = 17 * 300 + 123;
	rc_log_trim(&log_, &arena, cursor);
	assert_true(log_.head <= cursor);
	assert_frame(cursor, 17, 17 * 300, 300);
	uint32_t len = rc_log_range(&log_, cursor, &bytes);
	assert_true(len >= 177);
	for (uint32_t i = 0; i < 177; i++)
		assert_int_equal(bytes[i], byte_of(17, 123 + i));
}

static void positions_go_on_after_everything_was_freed(void **state)
{
	(void)state;
	for (int round = 0; round < 5; round++) {
		uint64_t pos = log_.tail;
		uint64_t count = log_.count_tail;
		for (int i = 0; i < 30; i++)
			assert_true(append(64));
		assert_frame(pos, count, pos, 64);
		assert_frame(log_.tail - 1, count + 29, pos + 29 * 64, 64);
		rc_log_clear(&log_, &arena);
		rc_log_check(&log_);
		assert_int_equal(log_.head, pos + 30 * 64);
		assert_int_equal(log_.tail, log_.head);
		assert_int_equal(log_.held, 0);
	}
}

static void a_huge_frame_gets_a_chunk_of_its_own(void **state)
{
	const unsigned char *bytes;

	(void)state;
	assert_true(append(50));
	assert_true(append(3u << 20));
	assert_true(append(50));
	assert_frame(50, 1, 50, 3u << 20);
	assert_frame(50 + (2u << 20), 1, 50, 3u << 20);
	/* Behind the huge one there was room in its block. */
	assert_int_equal(rc_log_range(&log_, 50, &bytes), (3u << 20) + 50);
	/* The next chunk is of the usual size. */
	assert_true(log_.chunk_next <= 256 * 1024);
	rc_log_trim(&log_, &arena, 50 + (3u << 20));
	assert_frame(log_.tail - 1, 2, 50 + (3u << 20), 50);
	rc_log_trim(&log_, &arena, log_.tail);
	assert_int_equal(arena.used_bytes, 0);
}

static void the_largest_frame_is_taken(void **state)
{
	(void)state;
	assert_true(append(RC_LOG_FRAME_MAX));
	assert_frame(RC_LOG_FRAME_MAX - 1, 0, 0, RC_LOG_FRAME_MAX);
}

static void a_room_that_was_not_used_does_no_harm(void **state)
{
	(void)state;
	assert_non_null(rc_log_reserve(&log_, &arena, 500));
	rc_log_check(&log_);
	/* More than what is left in the chunk that the first call took. */
	assert_non_null(rc_log_reserve(&log_, &arena, 5000));
	rc_log_check(&log_);
	assert_true(append(40));
	assert_true(append(5000));
	rc_log_check(&log_);
	assert_frame(0, 0, 0, 40);
	assert_frame(40, 1, 40, 5000);
	/* Less was committed than reserved. */
	unsigned char *room = rc_log_reserve(&log_, &arena, 1000);
	assert_non_null(room);
	for (uint32_t i = 0; i < 7; i++)
		room[i] = byte_of(2, i);
	rc_log_commit(&log_, 7, &(struct rc_log_mark){.tick_ms = 6, .key = 11});
	assert_frame(5040, 2, 5040, 7);
	rc_log_trim(&log_, &arena, log_.tail);
	assert_int_equal(arena.used_bytes, 0);
}

static void a_full_arena_refuses_and_leaves_the_log_as_it_was(void **state)
{
	(void)state;
	(void)teardown(NULL);
	open_arena(16 * 1024);
	uint32_t taken = 0;
	while (append(900))
		taken++;
	assert_true(taken > 5);
	rc_log_check(&log_);
	assert_int_equal(log_.tail, taken * 900);
	assert_frame(log_.tail - 1, taken - 1, (taken - 1) * 900, 900);
	assert_false(append(900));
	/* What a smaller chunk would have been wanted for still goes into a block of the smallest size, if there is one. */
	rc_log_trim(&log_, &arena, log_.first->pos + log_.first->len);
	assert_true(append(900));
	rc_log_check(&log_);
	assert_frame(log_.tail - 1, taken, taken * 900, 900);
}

static void when_no_large_chunk_is_left_a_small_one_will_do(void **state)
{
	(void)state;
	(void)teardown(NULL);
	open_arena(16 * 1024);
	for (int i = 0; i < 12; i++)
		assert_true(append(500));
	assert_true(log_.chunk_next >= 4096);
	/* Only single units are left over. */
	void *taken[16];
	uint32_t count = 0;
	while ((taken[count] = rc_buddy_get(&arena, RC_BUDDY_MIN)) != NULL)
		count++;
	assert_true(count > 0);
	rc_buddy_put(&arena, taken[--count]);
	/* Whatever room was left in the present chunk is filled first. */
	uint32_t appended = 0;
	while (append(500))
		appended++;
	assert_true(appended >= 1);
	assert_int_equal(log_.last->size, RC_BUDDY_MIN);
	rc_log_check(&log_);
	while (count > 0)
		rc_buddy_put(&arena, taken[--count]);
}

/* ---- what is known of frames -------------------------------------------------------------------- */

static bool append_with(uint32_t len, struct rc_log_mark mark)
{
	unsigned char *room = rc_log_reserve(&log_, &arena, len);

	if (!room)
		return false;
	memset(room, (int)(log_.count_tail & 0xff), len);
	rc_log_commit(&log_, len, &mark);
	rc_log_check(&log_);
	return true;
}

static void frames_are_found_by_their_number(void **state)
{
	struct rc_log_frame f;

	(void)state;
	assert_int_equal(rc_log_count_head(&log_), 0);
	for (uint32_t i = 0; i < 300; i++)
		assert_true(append(1 + i % 7 * 100));
	assert_true(log_.first != log_.last);
	uint64_t pos = 0;
	for (uint32_t i = 0; i < 300; i++) {
		rc_log_frame_number(&log_, i, &f);
		assert_int_equal(f.ordinal, i);
		assert_int_equal(f.pos, pos);
		assert_int_equal(f.len, 1 + i % 7 * 100);
		assert_int_equal(f.stamp, i * 2 + 7);
		assert_int_equal(f.time_ms, i * 4);
		assert_int_equal(f.bytes[0], byte_of(i, 0));
		pos += f.len;
	}
	rc_log_frame_last(&log_, &f);
	assert_int_equal(f.ordinal, 299);
	/* What was trimmed is counted on. */
	rc_log_trim(&log_, &arena, log_.tail / 2);
	uint64_t head = rc_log_count_head(&log_);
	assert_true(head > 0 && head < 299);
	rc_log_frame_number(&log_, head, &f);
	assert_int_equal(f.pos, log_.head);
	assert_int_equal(f.ordinal, head);
	rc_log_clear(&log_, &arena);
	assert_int_equal(rc_log_count_head(&log_), 300);
	assert_true(append(10));
	assert_int_equal(rc_log_count_head(&log_), 300);
	rc_log_frame_number(&log_, 300, &f);
	assert_int_equal(f.len, 10);
}

static void the_newest_frame_that_was_trimmed_is_remembered(void **state)
{
	struct rc_log_frame f;

	(void)state;
	for (uint32_t i = 0; i < 200; i++)
		assert_true(append(100));
	assert_int_equal(log_.trimmed_stamp, 0);
	rc_log_trim(&log_, &arena, log_.tail / 2);
	rc_log_frame_number(&log_, rc_log_count_head(&log_), &f);
	assert_int_equal(log_.trimmed_stamp, f.stamp - 2);
	assert_int_equal(log_.trimmed_time_ms, f.time_ms - 4);
	/* A room that was never used is no frame. */
	rc_log_clear(&log_, &arena);
	assert_int_equal(log_.trimmed_stamp, 199 * 2 + 7);
	assert_non_null(rc_log_reserve(&log_, &arena, 10));
	rc_log_clear(&log_, &arena);
	assert_int_equal(log_.trimmed_stamp, 199 * 2 + 7);
	assert_int_equal(log_.trimmed_time_ms, 199 * 4);
}

static void frames_behind_a_stamp_and_since_a_time_are_found(void **state)
{
	(void)state;
	assert_int_equal(rc_log_after_stamp(&log_, 0), 0);
	assert_int_equal(rc_log_since_tick(&log_, 0), 0);
	/* Several in the same millisecond, and holes between the stamps. */
	for (uint32_t i = 0; i < 500; i++)
		assert_true(append_with(1 + i % 50 * 20,
			(struct rc_log_mark){.tick_ms = i / 3 * 2,
				.time_ms = 1000 + i / 5,
				.stamp = 10 + i * 3}));
	for (int trimmed = 0; trimmed < 2; trimmed++) {
		uint64_t head = rc_log_count_head(&log_);
		for (uint64_t stamp = 0; stamp < 10 + 500 * 3 + 5; stamp++) {
			uint64_t want = head;
			while (want < 500 && 10 + want * 3 <= stamp)
				want++;
			assert_int_equal(rc_log_after_stamp(&log_, stamp), want);
		}
		for (uint32_t tick = 0; tick < 340; tick++) {
			uint64_t want = head;
			while (want < 500 && want / 3 * 2 < tick)
				want++;
			assert_int_equal(rc_log_since_tick(&log_, tick), want);
		}
		for (uint32_t time = 990; time < 1110; time++) {
			uint64_t want = head;
			while (want < 500 && 1000 + want / 5 < time)
				want++;
			assert_int_equal(rc_log_since_time(&log_, time), want);
		}
		rc_log_trim(&log_, &arena, log_.tail / 2);
		assert_true(rc_log_count_head(&log_) > 0);
	}
	/* A chunk without frames behind them all. */
	while (log_.last->count)
		assert_non_null(rc_log_reserve(&log_, &arena, 300000));
	assert_int_equal(rc_log_after_stamp(&log_, 10 + 499 * 3), 500);
	assert_int_equal(rc_log_after_stamp(&log_, 10 + 499 * 3 - 1), 499);
	assert_int_equal(rc_log_since_time(&log_, 2000), 500);
}

static void clocks_may_wrap_within_a_log(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 400; i++)
		assert_true(append_with(50,
			(struct rc_log_mark){
				.tick_ms = UINT32_MAX - 200 + i, .time_ms = UINT32_MAX - 100 + i}));
	for (uint32_t i = 0; i < 400; i++) {
		assert_int_equal(rc_log_since_tick(&log_, UINT32_MAX - 200 + i), i);
		assert_int_equal(rc_log_since_time(&log_, UINT32_MAX - 100 + i), i);
	}
	assert_int_equal(rc_log_since_tick(&log_, 200), 400);
	assert_int_equal(rc_log_since_tick(&log_, UINT32_MAX - 300), 0);
}

static void the_time_never_goes_back_along_a_log(void **state)
{
	static const uint32_t times[] = {4000000000u, 4000000005u, 4000000003u, 4000000004u,
		4000000006u, 3999999000u, 4000000006u};
	static const uint32_t kept[] = {4000000000u, 4000000005u, 4000000005u, 4000000005u,
		4000000006u, 4000000006u, 4000000006u};
	struct rc_log_frame f;

	(void)state;
	for (uint32_t i = 0; i < RC_ARRAY_LEN(times); i++) {
		assert_true(append_with(500, (struct rc_log_mark){.time_ms = times[i]}));
		rc_log_frame_last(&log_, &f);
		assert_int_equal(f.time_ms, kept[i]);
	}
	/* Nor over an emptied one. */
	rc_log_clear(&log_, &arena);
	assert_true(append_with(500, (struct rc_log_mark){.time_ms = 4000000001u}));
	rc_log_frame_last(&log_, &f);
	assert_int_equal(f.time_ms, 4000000006u);
}

/* ---- the queue ---------------------------------------------------------------------------------- */

static void assert_queue(const struct rc_log_queue *q, uint32_t chunks, uint64_t bytes)
{
	const struct rc_log_chunk *older = NULL;
	uint64_t sum = 0;
	uint32_t count = 0;

	for (const struct rc_log_chunk *c = q->first; c; c = c->newer) {
		assert_ptr_equal(c->older, older);
		older = c;
		sum += c->size;
		count++;
	}
	assert_ptr_equal(q->last, older);
	assert_int_equal(sum, q->bytes);
	assert_int_equal(q->bytes, bytes);
	if (chunks != UINT32_MAX)
		assert_int_equal(count, chunks);
}

static void a_queue_knows_every_chunk_of_its_logs(void **state)
{
	struct rc_log_queue q = {0};

	(void)state;
	for (int i = 0; i < 40; i++)
		assert_true(append(400));
	assert_queue(&q, 0, 0);
	/* Those that it has too. */
	rc_log_enqueue(&log_, &q, 77);
	assert_queue(&q, UINT32_MAX, log_.held);
	assert_ptr_equal(q.first, log_.first);
	assert_ptr_equal(q.last, log_.last);
	for (int i = 0; i < 40; i++)
		assert_true(append(400));
	assert_queue(&q, UINT32_MAX, log_.held);
	for (const struct rc_log_chunk *c = q.first; c; c = c->newer)
		assert_int_equal(c->tag, 77);
	rc_log_trim(&log_, &arena, log_.tail / 2);
	assert_queue(&q, UINT32_MAX, log_.held);
	rc_log_clear(&log_, &arena);
	assert_queue(&q, 0, 0);
	assert_true(append(400));
	assert_queue(&q, 1, log_.held);
	rc_log_dequeue(&log_);
	assert_queue(&q, 0, 0);
	rc_log_dequeue(&log_);
	assert_true(append(4000));
	assert_queue(&q, 0, 0);
}

static void chunks_of_several_logs_stand_in_the_order_in_which_they_began(void **state)
{
	struct rc_log other = {0}, *logs[2] = {&log_, &other};
	struct rc_log_queue q = {0};
	struct rc_prng prng;

	(void)state;
	rc_prng_seed(&prng, 5);
	rc_log_enqueue(&log_, &q, 0);
	rc_log_enqueue(&other, &q, 1);
	for (int i = 0; i < 3000; i++) {
		struct rc_log *l = logs[rc_prng_below(&prng, 2)];
		uint32_t what = rc_prng_below(&prng, 100);
		if (what < 80) {
			uint32_t len = 1 + rc_prng_below(&prng, 3000);
			assert_non_null(rc_log_reserve(l, &arena, len));
			rc_log_commit(l, len, &(struct rc_log_mark){.stamp = (uint64_t)i});
		} else if (what < 90) {
			rc_log_trim(l, &arena, l->tail - RC_MIN(l->tail - l->head, 20000u));
		} else if (what < 95 && q.first) {
			struct rc_log_chunk *c = q.first;
			rc_log_requeue(&q, c);
			assert_ptr_equal(q.last, c);
		} else if (what < 97 && q.first) {
			/* As the budget does it: whose log it is says the tag. */
			struct rc_log_chunk *c = q.first;
			uint64_t end = c->pos + c->len;
			rc_log_trim(logs[c->tag], &arena, end);
			assert_true(logs[0]->head >= end || logs[1]->head >= end);
		} else if (what < 98) {
			rc_log_dequeue(l);
			rc_log_enqueue(l, &q, l == &other);
		}
		rc_log_check(&log_);
		rc_log_check(&other);
		assert_queue(&q, UINT32_MAX, log_.held + other.held);
	}
	rc_log_clear(&other, &arena);
	assert_queue(&q, UINT32_MAX, log_.held);
	rc_log_dequeue(&log_);
}

/* ---- against a plain array ---------------------------------------------------------------------- */

enum { FRAMES = 6000 };

struct model_frame {
	uint64_t pos;
	uint32_t len;
};

static uint32_t random_len(struct rc_prng *prng)
{
	switch (rc_prng_below(prng, 20)) {
	case 0:
		return 1 + rc_prng_below(prng, 40000);
	case 1:
		return 900 + rc_prng_below(prng, 120);
	default:
		return 1 + rc_prng_below(prng, 400);
	}
}

static void a_random_walk_agrees_with_an_array(void **state)
{
	static struct model_frame model[FRAMES];
	struct rc_prng prng;
	uint32_t count = 0, oldest = 0;

	(void)state;
	rc_prng_seed(&prng, 11);
	while (count < FRAMES) {
		uint32_t what = rc_prng_below(&prng, 100);
		if (what < 70) {
			uint32_t len = random_len(&prng);
			model[count] = (struct model_frame){log_.tail, len};
			assert_true(append(len));
			count++;
			if (log_.held > 4u << 20)
				rc_log_trim(&log_, &arena, log_.tail - (1u << 20));
		} else if (what < 75 && log_.tail > log_.head) {
			uint64_t span = log_.tail - log_.head;
			uint64_t pos = log_.head + rc_prng_below(&prng, (uint32_t)span + 1);
			rc_log_trim(&log_, &arena, pos);
			assert_true(log_.head <= pos);
		} else if (what < 76 && rc_prng_below(&prng, 10) == 0) {
			rc_log_clear(&log_, &arena);
			assert_int_equal(arena.used_bytes, 0);
		}
		rc_log_check(&log_);
		assert_int_equal(arena.used_bytes, log_.held);
		while (oldest < count && model[oldest].pos < log_.head)
			oldest++;
		assert_int_equal(log_.count_tail, count);
		if (log_.head == log_.tail)
			continue;
		/* head stands at the beginning of a frame. */
		assert_int_equal(model[oldest].pos, log_.head);
		uint32_t i = oldest + rc_prng_below(&prng, count - oldest);
		uint64_t from = model[i].pos + rc_prng_below(&prng, model[i].len);
		assert_frame(from, i, model[i].pos, model[i].len);
		const unsigned char *bytes;
		uint32_t len = rc_log_range(&log_, from, &bytes);
		uint64_t end = from + len;
		/* The range ends where some frame ends, and holds the rest of this one. */
		assert_true(end >= model[i].pos + model[i].len);
		uint32_t k = i;
		while (model[k].pos + model[k].len < end)
			k++;
		assert_int_equal(model[k].pos + model[k].len, end);
		assert_int_equal(bytes[0], byte_of(i, (uint32_t)(from - model[i].pos)));
		assert_int_equal(bytes[len - 1], byte_of(k, model[k].len - 1));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_zero_value_is_an_empty_log),
		TEST(a_frame_never_straddles_chunks),
		TEST(a_chunk_fills_up_to_its_last_byte),
		TEST(frames_of_one_byte_fill_a_chunk_with_index),
		TEST(a_position_within_a_frame_finds_that_frame),
		TEST(chunks_double_and_shrink_again_when_they_are_not_used),
		TEST(a_burst_like_the_last_one_lies_in_one_chunk),
		TEST(trimming_takes_whole_chunks_before_the_position_only),
		TEST(a_cursor_in_a_cut_frame_survives_trimming_to_it),
		TEST(positions_go_on_after_everything_was_freed),
		TEST(a_huge_frame_gets_a_chunk_of_its_own),
		TEST(the_largest_frame_is_taken),
		TEST(a_room_that_was_not_used_does_no_harm),
		TEST(a_full_arena_refuses_and_leaves_the_log_as_it_was),
		TEST(when_no_large_chunk_is_left_a_small_one_will_do),
		TEST(frames_are_found_by_their_number),
		TEST(the_newest_frame_that_was_trimmed_is_remembered),
		TEST(frames_behind_a_stamp_and_since_a_time_are_found),
		TEST(clocks_may_wrap_within_a_log),
		TEST(the_time_never_goes_back_along_a_log),
		TEST(a_queue_knows_every_chunk_of_its_logs),
		TEST(chunks_of_several_logs_stand_in_the_order_in_which_they_began),
		TEST(a_random_walk_agrees_with_an_array),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
