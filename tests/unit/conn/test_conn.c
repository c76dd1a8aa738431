/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection table over a real ring: slots and generations, output and input that wait, one send at a time, the end of a
 * connection in all its orders, timers. A small loop stands for the shard's.
 */
#include <poll.h>
#include "../io/rings.h"

#include "base/random.h"
#include "conn/conn.h"
#include "mem/poison.h"

#define ARENA ((size_t)1 << 20)
enum { CONNS = 8, LINGER_MS = 1000 };

static struct ring ring;
static struct rc_buddy arena;
static struct rc_pool pool;
static struct rc_counters_shard counters;
static struct rc_conns cs;
static void *table, *arena_memory, *arena_state;

/* What the protocols were told. */
static uint32_t gone_count, timer_count, drained_count;
static uint32_t gone_slot, timer_slot;
static bool kill_on_timer;

static void on_gone(void *ctx, struct rc_conn *c)
{
	(void)ctx;
	assert_int_equal(c->state, RC_CONN_DEAD);
	gone_count++;
	gone_slot = rc_conn_slot(&cs, c);
}

static void on_timer(void *ctx, struct rc_conn *c)
{
	(void)ctx;
	timer_count++;
	timer_slot = rc_conn_slot(&cs, c);
	if (kill_on_timer)
		rc_conn_kill(&cs, c);
}

static void on_drained(void *ctx, struct rc_conn *c)
{
	(void)ctx;
	(void)c;
	drained_count++;
}

static void fire(void *ctx, uint32_t index)
{
	(void)ctx;
	cs.events.timer(cs.events.ctx, &cs.at[index]);
}

static void pass_ms(uint32_t ms)
{
	cs.tick += ms / RC_CONN_TICK_MS;
	(void)rc_wheel_advance(&cs.wheel, cs.tick, 1000, fire, NULL);
	rc_wheel_check(&cs.wheel);
}

static int setup(void **state)
{
	static const struct rc_conn_events events = {NULL, on_gone, on_timer, on_drained};

	(void)state;
	memset(&ring, 0, sizeof(ring));
	table = calloc(1, rc_conns_bytes(CONNS));
	arena_memory = aligned_alloc(4096, ARENA);
	arena_state = calloc(1, rc_buddy_state_bytes(ARENA));
	assert_non_null(table);
	assert_non_null(arena_memory);
	assert_non_null(arena_state);
	rc_buddy_init(&arena, arena_memory, ARENA, arena_state);
	rc_pool_init(&pool, &arena);
	memset(&counters, 0, sizeof(counters));
	gone_count = timer_count = drained_count = 0;
	kill_on_timer = false;
	rc_conns_init(&cs, table, CONNS, NULL, &pool, &counters, &events, 1000, LINGER_MS);
	return 0;
}

/* The ring is opened by the test itself, which is skipped where there is none. */
static void begin(void)
{
	ring_open(&ring, &rings_options);
	cs.io = ring.io;
}

static int teardown(void **state)
{
	(void)state;
	if (ring.io) {
		for (uint32_t i = 0; i < cs.mark; i++) {
			if (cs.at[i].state != RC_CONN_FREE && cs.at[i].state != RC_CONN_DEAD)
				rc_conn_kill(&cs, &cs.at[i]);
		}
		rc_io_submit(ring.io);
		ring_close(&ring);
	}
	assert_int_equal(pool.used_bytes, 0);
	RC_UNPOISON(arena_memory, ARENA);
	free(table);
	free(arena_memory);
	free(arena_state);
	return 0;
}

/* ---- the loop ----------------------------------------------------------------------------------- */

static unsigned char received[1 << 16];
static uint32_t received_len;

static void handle(void *ctx, const struct rc_io_event *ev)
{
	struct rc_conn *c = rc_conn_of(&cs, ev->tag);

	(void)ctx;
	assert_non_null(c);
	if (ev->op == RC_IO_RECV) {
		if (!ev->more)
			rc_conn_recv_ended(c);
		if (c->state == RC_CONN_DEAD) {
			if (!ev->more)
				rc_conn_landed(&cs, c);
			return;
		}
		if (ev->res > 0) {
			assert_true(received_len + (uint32_t)ev->res <= sizeof(received));
			memcpy(received + received_len, ev->data, (size_t)ev->res);
			received_len += (uint32_t)ev->res;
			if (!ev->more)
				rc_conn_recv(&cs, c, RC_IO_SMALL, RC_IO_ONCE);
		} else {
			rc_conn_kill(&cs, c);
		}
		if (!ev->more)
			rc_conn_landed(&cs, c);
	} else if (ev->op == RC_IO_SEND) {
		uint32_t n = ev->res > 0 ? (uint32_t)ev->res : 0;
		assert_true(c->flags & RC_CONN_SENDING);
		c->flags &= (uint16_t)~RC_CONN_SENDING;
		if (c->state == RC_CONN_DEAD) {
			rc_conn_landed(&cs, c);
			return;
		}
		if (ev->res < 0 && ev->res != -EAGAIN) {
			rc_conn_kill(&cs, c);
			rc_conn_landed(&cs, c);
			return;
		}
		rc_conn_sent_out(&cs, c, n);
		if (n < c->send_len)
			rc_conn_block(&cs, c);
		else if (c->out_len)
			rc_conn_ready(&cs, c);
		else
			cs.events.drained(NULL, c);
		if (c->state == RC_CONN_FINISHING && c->out_len == 0)
			rc_conn_flushed(&cs, c);
		rc_conn_landed(&cs, c);
	} else {
		assert_int_equal(ev->op, RC_IO_POLLOUT);
		c->flags &= (uint16_t)~RC_CONN_BLOCKED;
		rc_conn_ready(&cs, c);
		rc_conn_landed(&cs, c);
	}
}

static void flush(void)
{
	struct rc_conn *c;

	while ((c = rc_conn_next_ready(&cs)) != NULL) {
		if (c->state == RC_CONN_DEAD)
			rc_conn_reclaim(&cs, c);
		else if (c->out_len && !(c->flags & (RC_CONN_SENDING | RC_CONN_BLOCKED)))
			rc_conn_send(
				&cs, c, RC_SEND_OUT, RC_NONE, c->out + c->out_head, c->out_len);
		else if (c->state == RC_CONN_FINISHING && c->out_len == 0)
			rc_conn_flushed(&cs, c);
	}
}

/* Turns until done says so. */
static void turns_until(bool (*done)(void))
{
	uint64_t end = rc_clock_mono_ns() + RINGS_PATIENCE_NS;

	for (;;) {
		(void)rc_io_reap(ring.io, handle, NULL);
		flush();
		if (done())
			return;
		assert_true(rc_clock_mono_ns() < end);
		rc_io_submit_and_wait(ring.io, 50000000);
	}
}

static void turns(int count)
{
	for (int i = 0; i < count; i++) {
		(void)rc_io_reap(ring.io, handle, NULL);
		flush();
		rc_io_submit(ring.io);
	}
}

static bool nobody_is_open(void)
{
	return cs.open == 0;
}

static struct rc_conn *open_pair(int *peer)
{
	int fd[2];

	ring_pair(fd);
	*peer = fd[1];
	struct rc_conn *c = rc_conn_open(&cs, fd[0], RC_CONN_WS);
	assert_non_null(c);
	return c;
}

static void assert_out(const struct rc_conn *c, const char *text)
{
	assert_int_equal(c->out_len, strlen(text));
	assert_memory_equal(c->out + c->out_head, text, strlen(text));
}

/* ---- slots -------------------------------------------------------------------------------------- */

static void a_full_table_leaves_the_descriptor_to_the_caller(void **state)
{
	struct rc_conn *c[CONNS];
	int peer[CONNS], fd[2];

	(void)state;
	begin();
	for (uint32_t i = 0; i < CONNS; i++) {
		c[i] = open_pair(&peer[i]);
		assert_int_equal(rc_conn_slot(&cs, c[i]), i);
		assert_int_equal(c[i]->state, RC_CONN_OPEN);
	}
	ring_pair(fd);
	assert_null(rc_conn_open(&cs, fd[0], RC_CONN_WS));
	assert_int_equal(fcntl(fd[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(cs.open, CONNS);
	rc_conn_kill(&cs, c[3]);
	assert_int_equal(cs.open, CONNS - 1);
	c[3] = rc_conn_open(&cs, fd[0], RC_CONN_ECHO);
	assert_int_equal(rc_conn_slot(&cs, c[3]), 3);
	assert_int_equal(c[3]->generation, 1);
	assert_int_equal(c[3]->kind, RC_CONN_ECHO);
	(void)close(fd[1]);
	for (uint32_t i = 0; i < CONNS; i++)
		(void)close(peer[i]);
}

static void a_stale_pair_of_slot_and_generation_names_nobody(void **state)
{
	int peer;

	(void)state;
	begin();
	assert_null(rc_conn_get(&cs, 0, 0));
	struct rc_conn *c = open_pair(&peer);
	assert_ptr_equal(rc_conn_get(&cs, 0, 0), c);
	assert_null(rc_conn_get(&cs, 0, 1));
	assert_null(rc_conn_get(&cs, 1, 0));
	assert_ptr_equal(rc_conn_of(&cs, (struct rc_io_tag){0, 0}), c);
	rc_conn_recv(&cs, c, RC_IO_SMALL, RC_IO_MULTISHOT);
	rc_conn_kill(&cs, c);
	/* Dead: whoever looks for a client finds none; completions still find it. */
	assert_null(rc_conn_get(&cs, 0, 0));
	assert_ptr_equal(rc_conn_of(&cs, (struct rc_io_tag){0, 0}), c);
	turns_until(nobody_is_open);
	assert_null(rc_conn_of(&cs, (struct rc_io_tag){0, 0}));
	assert_null(rc_conn_get(&cs, 0, 0));
	assert_null(rc_conn_get(&cs, 0, 1));
	(void)close(peer);
}

static void generations_wrap_at_24_bits(void **state)
{
	int peer;

	(void)state;
	begin();
	struct rc_conn *c = open_pair(&peer);
	c->generation = 0xffffff;
	rc_conn_recv(&cs, c, RC_IO_SMALL, RC_IO_MULTISHOT);
	turns(1);
	assert_int_equal(write(peer, "x", 1), 1);
	rc_conn_kill(&cs, c);
	turns_until(nobody_is_open);
	assert_int_equal(c->generation, 0);
	(void)close(peer);
}

/* ---- output ------------------------------------------------------------------------------------- */

static void what_is_written_waits_in_order_and_within_the_limit(void **state)
{
	int peer;

	(void)state;
	begin();
	struct rc_conn *c = open_pair(&peer);
	assert_true(rc_conn_write(&cs, c, "hello ", 6, 11));
	assert_true(rc_conn_write(&cs, c, "world", 5, 11));
	assert_false(rc_conn_write(&cs, c, "!", 1, 11));
	assert_false(rc_conn_write(&cs, c, "too long for it", 15, 11));
	assert_out(c, "hello world");
	assert_true(rc_conn_write_first(&cs, c, "Oh, ", 4));
	assert_out(c, "Oh, hello world");
	rc_conn_sent_out(&cs, c, 9);
	assert_out(c, " world");
	assert_true(rc_conn_write_first(&cs, c, "hell", 4));
	assert_out(c, "hell world");
	rc_conn_sent_out(&cs, c, 10);
	assert_null(c->out);
	assert_int_equal(pool.used_bytes, 0);
	assert_true(rc_conn_write_first(&cs, c, "alone", 5));
	assert_out(c, "alone");
	(void)close(peer);
}

static void room_that_was_reserved_and_not_used_goes_back(void **state)
{
	int peer;

	(void)state;
	begin();
	struct rc_conn *c = open_pair(&peer);
	assert_non_null(rc_conn_reserve(&cs, c, 100, 1000));
	rc_conn_commit(&cs, c, 0);
	assert_null(c->out);
	assert_int_equal(pool.used_bytes, 0);
	assert_non_null(rc_conn_reserve(&cs, c, 100, 1000));
	/* Something else comes between: as when a close frame is written instead. */
	assert_true(rc_conn_write(&cs, c, "abc", 3, 1000));
	unsigned char *room = rc_conn_reserve(&cs, c, 5000, 100000);
	assert_non_null(room);
	memcpy(room, "def", 3);
	rc_conn_commit(&cs, c, 3);
	assert_out(c, "abcdef");
	/* And without a commit, until the connection ends. */
	rc_conn_sent_out(&cs, c, 6);
	assert_non_null(rc_conn_reserve(&cs, c, 100, 1000));
	rc_conn_kill(&cs, c);
	assert_int_equal(pool.used_bytes, 0);
	(void)close(peer);
}

static void without_memory_nothing_is_written_and_nothing_is_lost(void **state)
{
	static void *taken[2048];
	uint32_t count = 0;
	char big[4000];
	int peer;

	(void)state;
	begin();
	struct rc_conn *c = open_pair(&peer);
	memset(big, 'b', sizeof(big));
	assert_true(rc_conn_write(&cs, c, "abc", 3, 100000));
	assert_true(rc_conn_keep(&cs, c, "in", 2, 100000));
	while ((taken[count] = rc_buddy_get(&arena, 1024)) != NULL)
		count++;
	assert_false(rc_conn_write(&cs, c, big, sizeof(big), 100000));
	assert_false(rc_conn_write_first(&cs, c, big, sizeof(big)));
	assert_false(rc_conn_keep(&cs, c, big, sizeof(big), 100000));
	assert_out(c, "abc");
	assert_int_equal(c->in_len, 2);
	assert_memory_equal(c->in, "in", 2);
	/* What fits into the block goes. */
	assert_true(rc_conn_write(&cs, c, "def", 3, 100000));
	assert_out(c, "abcdef");
	while (count > 0)
		rc_buddy_put(&arena, taken[--count]);
	assert_true(rc_conn_write(&cs, c, big, sizeof(big), 100000));
	assert_int_equal(c->out_len, 4006);
	(void)close(peer);
}

static void output_is_what_was_written_whatever_was_sent_meanwhile(void **state)
{
	static unsigned char model[1 << 17], bytes[8000];
	uint32_t len = 0;
	struct rc_prng prng;
	int peer;

	(void)state;
	begin();
	struct rc_conn *c = open_pair(&peer);
	rc_prng_seed(&prng, 9);
	for (int step = 0; step < 20000; step++) {
		uint32_t n = 1 + rc_prng_below(&prng, step % 7 ? 200 : (uint32_t)sizeof(bytes));
		switch (rc_prng_below(&prng, 5)) {
		case 0:
		case 1:
			memset(bytes, step, n);
			bytes[0] = (unsigned char)(step >> 8);
			bool fits = len + n <= 60000;
			assert_int_equal(rc_conn_write(&cs, c, bytes, n, 60000), fits);
			if (fits) {
				memcpy(model + len, bytes, n);
				len += n;
			}
			break;
		case 2:
			if (len + n > 60000 || n > 300)
				break;
			memset(bytes, step, n);
			assert_true(rc_conn_write_first(&cs, c, bytes, n));
			memmove(model + n, model, len);
			memcpy(model, bytes, n);
			len += n;
			break;
		default:
			n = RC_MIN(n * 2, len);
			if (n == 0)
				break;
			rc_conn_sent_out(&cs, c, n);
			memmove(model, model + n, len - n);
			len -= n;
		}
		assert_int_equal(c->out_len, len);
		assert_true(c->out_head + c->out_len <= c->out_size);
		if (len == 0)
			assert_int_equal(pool.used_bytes, 0);
		else
			assert_memory_equal(c->out + c->out_head, model, len);
	}
	(void)close(peer);
}

static void input_that_waits_is_kept_and_used_from_the_front(void **state)
{
	static unsigned char model[1 << 16], bytes[3000];
	uint32_t len = 0;
	struct rc_prng prng;
	int peer;

	(void)state;
	begin();
	struct rc_conn *c = open_pair(&peer);
	rc_prng_seed(&prng, 10);
	for (int step = 0; step < 10000; step++) {
		uint32_t n = 1 + rc_prng_below(&prng, sizeof(bytes));
		if (rc_prng_below(&prng, 2)) {
			memset(bytes, step, n);
			bool fits = len + n <= 20000;
			assert_int_equal(rc_conn_keep(&cs, c, bytes, n, 20000), fits);
			if (fits) {
				memcpy(model + len, bytes, n);
				len += n;
			}
		} else if (len) {
			n = RC_MIN(n, len);
			rc_conn_used(&cs, c, n);
			memmove(model, model + n, len - n);
			len -= n;
		}
		assert_int_equal(c->in_len, len);
		if (len == 0)
			assert_int_equal(pool.used_bytes, 0);
		else
			assert_memory_equal(c->in, model, len);
	}
	(void)close(peer);
}

static unsigned char sent_model[600000];
static uint32_t wrote, peer_read;
static int reader;

static bool peer_has_all(void)
{
	unsigned char back[20000];
	ssize_t n = read(reader, back, sizeof(back));

	if (n > 0) {
		assert_memory_equal(back, sent_model + peer_read, (size_t)n);
		peer_read += (uint32_t)n;
	}
	return peer_read == wrote;
}

static void a_slow_reader_blocks_and_gets_every_byte_in_order(void **state)
{
	(void)state;
	begin();
	struct rc_conn *c = open_pair(&reader);
	(void)fcntl(reader, F_SETFL, O_NONBLOCK);
	for (uint32_t i = 0; i < sizeof(sent_model); i++)
		sent_model[i] = (unsigned char)(i / 5 + i / 777);
	wrote = peer_read = 0;
	while (wrote < 400000) {
		assert_true(rc_conn_write(&cs, c, sent_model + wrote, 4000, UINT32_MAX));
		wrote += 4000;
		turns(1);
	}
	turns(3);
	assert_true(c->flags & RC_CONN_BLOCKED);
	assert_int_equal(c->inflight, 1);
	assert_true(rc_counter_get(&counters, RC_C_pollouts) >= 1);
	/* While it is blocked, nothing makes it ready. */
	rc_conn_ready(&cs, c);
	assert_null(rc_conn_next_ready(&cs));
	turns_until(peer_has_all);
	turns(2);
	assert_int_equal(c->out_len, 0);
	assert_int_equal(pool.used_bytes, 0);
	assert_int_equal(c->inflight, 0);
	assert_true(drained_count >= 1);
	(void)close(reader);
}

/* ---- ready -------------------------------------------------------------------------------------- */

static void the_ready_come_out_once_each_and_in_order(void **state)
{
	struct rc_conn *c[CONNS];
	int peer[CONNS];

	(void)state;
	begin();
	for (uint32_t i = 0; i < CONNS; i++)
		c[i] = open_pair(&peer[i]);
	static const uint32_t order[] = {3, 1, 7, 0};
	for (uint32_t i = 0; i < 4; i++) {
		rc_conn_ready(&cs, c[order[i]]);
		rc_conn_ready(&cs, c[order[0]]);
	}
	for (uint32_t i = 0; i < 4; i++)
		assert_ptr_equal(rc_conn_next_ready(&cs), c[order[i]]);
	assert_null(rc_conn_next_ready(&cs));
	rc_conn_ready(&cs, c[5]);
	assert_ptr_equal(rc_conn_next_ready(&cs), c[5]);
	assert_null(rc_conn_next_ready(&cs));
	for (uint32_t i = 0; i < CONNS; i++)
		(void)close(peer[i]);
}

static void one_that_dies_while_it_is_ready_is_freed_when_its_turn_comes(void **state)
{
	int peer[2];

	(void)state;
	begin();
	struct rc_conn *a = open_pair(&peer[0]), *b = open_pair(&peer[1]);
	rc_conn_ready(&cs, a);
	rc_conn_ready(&cs, b);
	rc_conn_kill(&cs, a);
	assert_int_equal(a->state, RC_CONN_DEAD);
	assert_int_equal(cs.open, 2);
	/* Its slot is in the list still: nobody else may get it. */
	int fd[2];
	ring_pair(fd);
	struct rc_conn *c = rc_conn_open(&cs, fd[0], RC_CONN_WS);
	assert_int_equal(rc_conn_slot(&cs, c), 2);
	assert_ptr_equal(rc_conn_next_ready(&cs), a);
	rc_conn_reclaim(&cs, a);
	assert_int_equal(a->state, RC_CONN_FREE);
	assert_ptr_equal(rc_conn_next_ready(&cs), b);
	assert_null(rc_conn_next_ready(&cs));
	assert_int_equal(gone_count, 1);
	(void)close(fd[1]);
	(void)close(peer[0]);
	(void)close(peer[1]);
}

/* ---- ends --------------------------------------------------------------------------------------- */

static void a_kill_waits_for_all_that_the_kernel_holds(void **state)
{
	static unsigned char big[1 << 20];
	int peer;
	char byte;

	(void)state;
	begin();
	struct rc_conn *c = open_pair(&peer);
	rc_conn_recv(&cs, c, RC_IO_SMALL, RC_IO_MULTISHOT);
	rc_conn_recv(&cs, c, RC_IO_SMALL, RC_IO_MULTISHOT);
	assert_int_equal(c->inflight, 1);
	/* More than the arena's blocks allow at once is not needed: the socket takes less. */
	while (!(c->flags & RC_CONN_BLOCKED)) {
		assert_true(rc_conn_write(&cs, c, big, 100000, UINT32_MAX));
		turns(2);
	}
	assert_int_equal(c->inflight, 2);
	assert_true(rc_conn_keep(&cs, c, "rest", 4, 100));
	rc_conn_timer(&cs, c, 50);
	rc_conn_kill(&cs, c);
	rc_conn_kill(&cs, c);
	assert_int_equal(gone_count, 1);
	assert_int_equal(pool.used_bytes, 0);
	assert_int_equal(cs.open, 1);
	assert_false(rc_conn_write(&cs, c, "x", 1, 100));
	turns_until(nobody_is_open);
	assert_int_equal(gone_count, 1);
	pass_ms(100);
	assert_int_equal(timer_count, 0);
	/* The descriptor is closed: the peer sees the end. */
	turns(2);
	while (read(peer, big, sizeof(big)) > 0)
		;
	assert_int_equal(read(peer, &byte, 1), 0);
	(void)close(peer);
}

static void a_finish_sends_what_waits_and_then_says_the_end(void **state)
{
	char text[16] = {0};
	int peer;

	(void)state;
	begin();
	struct rc_conn *c = open_pair(&peer);
	rc_conn_recv(&cs, c, RC_IO_SMALL, RC_IO_MULTISHOT);
	turns(1);
	assert_true(rc_conn_write(&cs, c, "bye", 3, 100));
	rc_conn_finish(&cs, c);
	assert_int_equal(c->state, RC_CONN_FINISHING);
	/* More may follow until it is out. */
	assert_true(rc_conn_write(&cs, c, "!", 1, 100));
	turns(3);
	assert_int_equal(c->state, RC_CONN_LINGERING);
	assert_false(rc_conn_write(&cs, c, "late", 4, 100));
	assert_int_equal(read(peer, text, sizeof(text)), 4);
	assert_string_equal(text, "bye!");
	assert_int_equal(read(peer, text, sizeof(text)), 0);
	assert_int_equal(gone_count, 0);
	/* What the peer still says is read, until it says the end. */
	received_len = 0;
	assert_int_equal(write(peer, "ok", 2), 2);
	turns(2);
	assert_int_equal(received_len, 2);
	assert_int_equal(gone_count, 0);
	(void)close(peer);
	turns_until(nobody_is_open);
	assert_int_equal(gone_count, 1);
}

static void a_finish_without_output_lingers_at_once_and_listens(void **state)
{
	char byte;
	int peer;

	(void)state;
	begin();
	struct rc_conn *c = open_pair(&peer);
	rc_conn_finish(&cs, c);
	assert_int_equal(c->state, RC_CONN_LINGERING);
	assert_true(c->flags & RC_CONN_RECV_ARMED);
	turns(1);
	assert_int_equal(read(peer, &byte, 1), 0);
	rc_conn_finish(&cs, c);
	assert_int_equal(c->inflight, 1);
	(void)close(peer);
	turns_until(nobody_is_open);
	assert_int_equal(gone_count, 1);
}

static void one_that_lingers_too_long_is_ended_by_its_timer(void **state)
{
	int peer;

	(void)state;
	begin();
	kill_on_timer = true;
	struct rc_conn *c = open_pair(&peer);
	rc_conn_finish(&cs, c);
	pass_ms(LINGER_MS - 20);
	assert_int_equal(timer_count, 0);
	assert_int_equal(c->state, RC_CONN_LINGERING);
	pass_ms(40);
	assert_int_equal(timer_count, 1);
	turns_until(nobody_is_open);
	(void)close(peer);
}

static void a_finish_of_a_blocked_one_waits_for_the_reader_or_the_timer(void **state)
{
	(void)state;
	begin();
	kill_on_timer = true;
	for (int round = 0; round < 2; round++) {
		struct rc_conn *c = open_pair(&reader);
		(void)fcntl(reader, F_SETFL, O_NONBLOCK);
		wrote = peer_read = 0;
		while (!(c->flags & RC_CONN_BLOCKED)) {
			assert_true(rc_conn_write(&cs, c, sent_model, 100000, UINT32_MAX));
			wrote += 100000;
			turns(2);
		}
		rc_conn_finish(&cs, c);
		turns(2);
		assert_int_equal(c->state, RC_CONN_FINISHING);
		if (round) {
			pass_ms(LINGER_MS + 20);
			assert_int_equal(c->state, RC_CONN_DEAD);
		} else {
			char back[20000];
			for (uint64_t got = 0; got < wrote;) {
				ssize_t n = read(reader, back, sizeof(back));
				got += n > 0 ? (uint64_t)n : 0;
				turns(1);
			}
			turns(2);
			assert_int_equal(c->state, RC_CONN_LINGERING);
			assert_int_equal(read(reader, back, 1), 0);
		}
		(void)close(reader);
		turns_until(nobody_is_open);
		assert_int_equal(pool.used_bytes, 0);
	}
	assert_int_equal(gone_count, 2);
}

static void a_peer_that_resets_is_an_error_of_the_send(void **state)
{
	(void)state;
	begin();
	int listener = ring_listener();
	int client = ring_connect(listener);
	int fd = ring_accept(listener, SOCK_NONBLOCK);
	struct rc_conn *c = rc_conn_open(&cs, fd, RC_CONN_WS);
	assert_non_null(c);
	rc_socket_reset_on_close(client);
	(void)close(client);
	/* Until the kernel has brought it, a send would go through. */
	struct pollfd reset = {.fd = fd};
	assert_int_equal(poll(&reset, 1, 10000), 1);
	assert_true(rc_conn_write(&cs, c, "x", 1, 10));
	turns_until(nobody_is_open);
	assert_int_equal(gone_count, 1);
	(void)close(listener);
}

/* ---- time --------------------------------------------------------------------------------------- */

static void a_timer_fires_once_not_early_and_may_be_moved(void **state)
{
	int peer[2];

	(void)state;
	begin();
	struct rc_conn *a = open_pair(&peer[0]), *b = open_pair(&peer[1]);
	rc_conn_timer(&cs, a, 101);
	rc_conn_timer(&cs, b, 0);
	pass_ms(10);
	assert_int_equal(timer_count, 1);
	assert_int_equal(timer_slot, rc_conn_slot(&cs, b));
	pass_ms(90);
	assert_int_equal(timer_count, 1);
	rc_conn_timer(&cs, a, 50);
	pass_ms(40);
	assert_int_equal(timer_count, 1);
	pass_ms(10);
	assert_int_equal(timer_count, 2);
	assert_int_equal(timer_slot, rc_conn_slot(&cs, a));
	pass_ms(1000);
	assert_int_equal(timer_count, 2);
	/* A successor in the slot has no timer. */
	rc_conn_timer(&cs, a, 50);
	rc_conn_kill(&cs, a);
	int fd[2];
	ring_pair(fd);
	assert_ptr_equal(rc_conn_open(&cs, fd[0], RC_CONN_WS), a);
	pass_ms(1000);
	assert_int_equal(timer_count, 2);
	(void)close(fd[1]);
	(void)close(peer[0]);
	(void)close(peer[1]);
}

/* ---- in all orders ------------------------------------------------------------------------------ */

static void any_order_of_doings_ends_with_everything_given_back(void **state)
{
	struct rc_conn *c[CONNS] = {NULL};
	int peer[CONNS];
	uint32_t opened = 0;
	struct rc_prng prng;
	static unsigned char bytes[30000];

	(void)state;
	begin();
	kill_on_timer = true;
	rc_prng_seed(&prng, 12);
	for (int step = 0; step < 20000; step++) {
		uint32_t i = rc_prng_below(&prng, CONNS);
		if (c[i] && (c[i]->fd < 0 || c[i]->state == RC_CONN_FREE)) {
			(void)close(peer[i]);
			c[i] = NULL;
		}
		uint32_t what = rc_prng_below(&prng, 100);
		if (!c[i]) {
			/* The table gives the slots in its own order: the place here is the slot's. */
			int fd[2];
			ring_pair(fd);
			struct rc_conn *fresh = rc_conn_open(&cs, fd[0], RC_CONN_WS);
			if (!fresh) {
				(void)close(fd[0]);
				(void)close(fd[1]);
				continue;
			}
			uint32_t slot = rc_conn_slot(&cs, fresh);
			if (c[slot])
				(void)close(peer[slot]);
			c[slot] = fresh;
			peer[slot] = fd[1];
			opened++;
			if (what < 80)
				rc_conn_recv(&cs, fresh, RC_IO_SMALL,
					what < 40 ? RC_IO_MULTISHOT : RC_IO_ONCE);
		} else if (what < 40) {
			(void)!rc_conn_write(
				&cs, c[i], bytes, 1 + rc_prng_below(&prng, sizeof(bytes)), 60000);
		} else if (what < 45 && c[i]->state == RC_CONN_OPEN) {
			(void)!rc_conn_keep(&cs, c[i], bytes, 1 + rc_prng_below(&prng, 500), 2000);
		} else if (what < 55) {
			while (read(peer[i], bytes, sizeof(bytes)) > 0)
				;
		} else if (what < 65) {
			received_len = 0;
			(void)!send(peer[i], bytes, 10, MSG_NOSIGNAL);
		} else if (what < 68) {
			(void)shutdown(peer[i], SHUT_WR);
		} else if (what < 72) {
			rc_conn_finish(&cs, c[i]);
		} else if (what < 74) {
			rc_conn_kill(&cs, c[i]);
		} else if (what < 76 && c[i]->state == RC_CONN_OPEN) {
			rc_conn_timer(&cs, c[i], rc_prng_below(&prng, 500));
		} else if (what < 78) {
			pass_ms(10 * rc_prng_below(&prng, 20));
		} else {
			received_len = 0;
			turns(1);
		}
	}
	assert_true(opened > 200);
	for (uint32_t i = 0; i < cs.mark; i++)
		rc_conn_kill(&cs, &cs.at[i]);
	turns_until(nobody_is_open);
	assert_int_equal(gone_count, opened);
	assert_int_equal(pool.used_bytes, 0);
	assert_int_equal(cs.wheel.count, 0);
	assert_int_equal(cs.ready_first, RC_NONE);
	for (uint32_t i = 0; i < CONNS; i++) {
		if (c[i])
			(void)close(peer[i]);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_full_table_leaves_the_descriptor_to_the_caller),
		TEST(a_stale_pair_of_slot_and_generation_names_nobody),
		TEST(generations_wrap_at_24_bits),
		TEST(what_is_written_waits_in_order_and_within_the_limit),
		TEST(room_that_was_reserved_and_not_used_goes_back),
		TEST(without_memory_nothing_is_written_and_nothing_is_lost),
		TEST(output_is_what_was_written_whatever_was_sent_meanwhile),
		TEST(input_that_waits_is_kept_and_used_from_the_front),
		TEST(a_slow_reader_blocks_and_gets_every_byte_in_order),
		TEST(the_ready_come_out_once_each_and_in_order),
		TEST(one_that_dies_while_it_is_ready_is_freed_when_its_turn_comes),
		TEST(a_kill_waits_for_all_that_the_kernel_holds),
		TEST(a_finish_sends_what_waits_and_then_says_the_end),
		TEST(a_finish_without_output_lingers_at_once_and_listens),
		TEST(one_that_lingers_too_long_is_ended_by_its_timer),
		TEST(a_finish_of_a_blocked_one_waits_for_the_reader_or_the_timer),
		TEST(a_peer_that_resets_is_an_error_of_the_send),
		TEST(a_timer_fires_once_not_early_and_may_be_moved),
		TEST(any_order_of_doings_ends_with_everything_given_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
