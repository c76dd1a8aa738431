/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections of user-space TLS without a ring: the requests of conn/ come here, and the test decides how many bytes of a send the
 * socket takes. What it takes goes through a real pair of sockets, so that records which conn/ sends past the ring (alerts)
 * keep their place. The other end of the pair is a peer with the mirrored keys.
 *
 * rc_io_* are defined here, in place of those of io/uring.c.
 */
#ifndef RC_TESTS_UNIT_CONN_TLSRIG_H
#define RC_TESTS_UNIT_CONN_TLSRIG_H

#include "../tls/engine.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/random.h"
#include "conn/tls.h"
#include "mem/poison.h"

#define ARENA       ((size_t)1 << 20)
#define SEALED      (4 * RC_CONN_SEALED_MAX)
#define STREAM_MAX  (4u << 20)
#define LOG_MAX     (1u << 20)
#define ALL         UINT32_MAX
#define RENEW_NEVER 16777216u
enum { CONNS = 4, LINGER_MS = 1000, ASKED_MAX = 64 };

static struct rc_buddy arena;
static struct rc_pool pool;
static struct rc_counters_shard counters;
static struct rc_conns cs;
static void *table, *arena_memory, *arena_state, *tls_memory;
static unsigned char *sealed;
static struct rc_prng prng;

static inline uint32_t below(uint32_t bound)
{
	return rc_prng_below(&prng, bound);
}

/* ---- the peer ----------------------------------------------------------------------------------- */

struct stream {
	unsigned char *bytes;
	size_t len;
};

static struct peer {
	int fd;
	struct rc_tls_keys keys;
	struct stream wire; /* not opened yet */
	struct stream got;  /* plain */
	struct stream sent; /* plain, to us */
	uint32_t records, updates;
	int alert; /* -1: none */
} peer;

static inline void put(struct stream *s, const void *bytes, size_t len)
{
	assert_true(s->len + len <= STREAM_MAX);
	if (len)
		memcpy(s->bytes + s->len, bytes, len);
	s->len += len;
}

static inline bool counts_nonces(void)
{
	return peer.keys.version == RC_TLS_1_2 && peer.keys.cipher != RC_TLS_CHACHA20_POLY1305;
}

/* Whatever left must be one stream of genuine records, each under the next number: so no nonce left with two texts. */
static inline void peer_open(void)
{
	struct rc_tls_opened record;
	uint32_t need;
	size_t at = 0;

	for (;;) {
		unsigned char *wire = peer.wire.bytes + at;
		uint64_t sequence = peer.keys.receive.sequence;
		int32_t used =
			rc_tls_open(engine, &peer.keys, wire, peer.wire.len - at, &record, &need);
		assert_true(used >= 0);
		if (used == 0)
			break;
		/* Nothing may follow a last word. */
		assert_int_equal(peer.alert, -1);
		if (counts_nonces()) {
			for (int i = 0; i < 8; i++)
				assert_int_equal(wire[12 - i], (uint8_t)(sequence >> 8 * i));
		}
		at += (size_t)used;
		peer.records++;
		if (record.type == RC_TLS_DATA) {
			put(&peer.got, record.data, record.len);
		} else if (record.type == RC_TLS_ALERT) {
			assert_int_equal(record.len, 2);
			peer.alert = record.data[1];
		} else {
			assert_int_equal(
				rc_tls_asks(RC_TLS_1_3, record.type, record.data, record.len),
				RC_TLS_ASKS_UPDATE);
			assert_int_equal(rc_tls_keys_next(&peer.keys, &peer.keys.receive), 0);
			peer.updates++;
		}
	}
	memmove(peer.wire.bytes, peer.wire.bytes + at, peer.wire.len - at);
	peer.wire.len -= at;
}

/* At most `most` bytes of what is there. */
static inline void peer_read(size_t most)
{
	while (most) {
		size_t room = RC_MIN(most, STREAM_MAX - peer.wire.len);
		ssize_t n = recv(peer.fd, peer.wire.bytes + peer.wire.len, room, MSG_DONTWAIT);
		if (n <= 0)
			break;
		peer.wire.len += (size_t)n;
		most -= (size_t)n;
	}
	peer_open();
}

static inline void assert_got(const struct stream *wanted)
{
	assert_int_equal(peer.got.len, wanted->len);
	assert_memory_equal(peer.got.bytes, wanted->bytes, wanted->len);
}

static struct stream heard; /* plain, from the peer */

/* ---- in place of the ring ----------------------------------------------------------------------- */

static struct asked {
	enum rc_io_op op;
	int fd;
	struct rc_io_tag tag;
	const void *bytes;
	uint32_t len;
} asked[ASKED_MAX];
static uint32_t asked_count;

static inline void ask(struct asked a)
{
	assert_true(asked_count < ASKED_MAX);
	asked[asked_count++] = a;
}

void rc_io_send(struct rc_io *io, int fd, struct rc_io_tag tag, const void *bytes, uint32_t len)
{
	(void)io;
	assert_true(len > 0);
	ask((struct asked){RC_IO_SEND, fd, tag, bytes, len});
}

void rc_io_recv(struct rc_io *io, int fd, struct rc_io_tag tag, enum rc_io_group group,
	enum rc_io_recv_how how)
{
	(void)io, (void)group, (void)how;
	ask((struct asked){.op = RC_IO_RECV, .fd = fd, .tag = tag});
}

void rc_io_poll_out(struct rc_io *io, int fd, struct rc_io_tag tag)
{
	(void)io;
	ask((struct asked){.op = RC_IO_POLLOUT, .fd = fd, .tag = tag});
}

void rc_io_poll_readable(struct rc_io *io, int fd, struct rc_io_tag tag)
{
	(void)io;
	ask((struct asked){.op = RC_IO_READABLE, .fd = fd, .tag = tag});
}

void rc_io_connect(struct rc_io *io, int fd, struct rc_io_tag tag, const struct sockaddr *address,
	socklen_t len)
{
	(void)io, (void)address, (void)len;
	ask((struct asked){.op = RC_IO_CONNECT, .fd = fd, .tag = tag});
}

void rc_io_cancel_connect(struct rc_io *io, struct rc_io_tag tag)
{
	(void)io, (void)tag;
}

void rc_io_close_fd(struct rc_io *io, int fd)
{
	(void)io;
	(void)close(fd);
}

/* ---- sending, as the flush does it ------------------------------------------------------------------ */

static struct stream log_bytes; /* of the one channel */
static size_t cursor;
static bool gathers;
static struct stream done; /* plain bytes, in the order in which they were said to be done with */
static unsigned char scratch[16384];
static uint32_t spent_count;
static bool lost; /* there was no memory for a rest */

static inline bool more_to_send(const struct rc_conn *c)
{
	return c->out_len || cursor < log_bytes.len || (c->flags & RC_CONN_REST);
}

static inline void sent_gathered(struct rc_conn *c, uint32_t n)
{
	put(&done, scratch, n);
	if (n < c->send_len && !rc_conn_write_first(&cs, c, scratch + n, c->send_len - n))
		lost = true;
}

/* The completion of a send. */
static inline void sent(struct rc_conn *c, int32_t res)
{
	assert_true(c->flags & RC_CONN_SENDING);
	c->flags &= (uint16_t)~RC_CONN_SENDING;
	cs.sending--;
	if (c->state == RC_CONN_DEAD) {
		rc_conn_landed(&cs, c);
		return;
	}
	int64_t became = rc_conn_sent(&cs, c, res > 0 ? (uint32_t)res : 0);
	uint32_t n = became > 0 ? (uint32_t)became : 0;
	if (became < 0) {
		lost = true;
	} else if (c->send_kind == RC_SEND_LOG) {
		put(&done, log_bytes.bytes + cursor, n);
		cursor += n;
	} else if (c->send_kind == RC_SEND_OUT) {
		put(&done, c->out + c->out_head, n);
		rc_conn_sent_out(&cs, c, n);
	} else if (c->send_kind == RC_SEND_GATHERED) {
		sent_gathered(c, n);
	} else {
		assert_int_equal(n, 0);
	}
	if (lost) {
		rc_conn_kill(&cs, c);
		rc_conn_landed(&cs, c);
		return;
	}
	if (became & RC_SENT_BLOCKED)
		rc_conn_block(&cs, c);
	else if (more_to_send(c))
		rc_conn_ready(&cs, c);
	if (c->flags & RC_CONN_SPENT) {
		c->flags &= (uint16_t)~RC_CONN_SPENT;
		spent_count++;
	}
	if (c->state == RC_CONN_FINISHING && !c->out_len && cursor == log_bytes.len)
		rc_conn_flushed(&cs, c);
	rc_conn_landed(&cs, c);
}

static inline void flush_conn(struct rc_conn *c)
{
	uint32_t left = (uint32_t)(log_bytes.len - cursor);

	if (c->flags & (RC_CONN_SENDING | RC_CONN_BLOCKED) || c->state == RC_CONN_LINGERING)
		return;
	if (c->flags & RC_CONN_REST) {
		rc_conn_send_rest(&cs, c);
	} else if (c->out_len) {
		rc_conn_send(&cs, c, RC_SEND_OUT, RC_NONE, c->out + c->out_head, c->out_len);
	} else if (left && gathers) {
		uint32_t len = RC_MIN(left, (uint32_t)sizeof(scratch));
		memcpy(scratch, log_bytes.bytes + cursor, len);
		cursor += len;
		rc_conn_send(&cs, c, RC_SEND_GATHERED, 0, scratch, len);
	} else if (left) {
		rc_conn_send(&cs, c, RC_SEND_LOG, 0, log_bytes.bytes + cursor, left);
	} else if (c->state == RC_CONN_FINISHING) {
		rc_conn_flushed(&cs, c);
	}
}

static inline void flush(void)
{
	struct rc_conn *c;

	assert_int_equal(cs.sending, 0);
	cs.tls->sealed_used = 0;
	while (rc_conn_tls_room(&cs, 0) && (c = rc_conn_next_ready(&cs)) != NULL) {
		if (c->state == RC_CONN_DEAD)
			rc_conn_reclaim(&cs, c);
		else
			flush_conn(c);
	}
	assert_true(cs.tls->sealed_used <= cs.tls->sealed_size);
}

/* What was asked for happens: of a send the socket takes `take` bytes. Polls come back when they may. Receives stay. */
static inline void happen(uint32_t take, bool writable)
{
	struct asked now[ASKED_MAX];
	int32_t res[ASKED_MAX];
	uint32_t count = asked_count;

	memcpy(now, asked, sizeof(now));
	asked_count = 0;
	/* Sends end in the submit; only afterwards somebody hears of it. */
	for (uint32_t i = 0; i < count; i++) {
		uint32_t len = RC_MIN(now[i].len, take);
		res[i] = -EAGAIN;
		if (now[i].op == RC_IO_SEND && len)
			res[i] = (int32_t)send(
				now[i].fd, now[i].bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct rc_conn *c = rc_conn_of(&cs, now[i].tag);
		assert_non_null(c);
		if (now[i].op == RC_IO_SEND) {
			sent(c, res[i]);
		} else if (now[i].op == RC_IO_POLLOUT && (writable || c->state == RC_CONN_DEAD)) {
			c->flags &= (uint16_t)~RC_CONN_BLOCKED;
			if (more_to_send(c) || c->state == RC_CONN_FINISHING)
				rc_conn_ready(&cs, c);
			rc_conn_landed(&cs, c);
		} else if (now[i].op == RC_IO_RECV && c->state == RC_CONN_DEAD) {
			rc_conn_recv_ended(c);
			rc_conn_landed(&cs, c);
		} else {
			ask(now[i]);
		}
	}
}

/* Turns in which everything is taken, until nothing is left to do. */
static inline void settle(const struct rc_conn *c)
{
	do {
		flush();
		happen(ALL, true);
		peer_read(SIZE_MAX);
	} while (cs.ready_first != RC_NONE || (c->flags & (RC_CONN_SENDING | RC_CONN_BLOCKED)));
}

/* ---- a connection ------------------------------------------------------------------------------- */

static inline void on_event(void *ctx, struct rc_conn *c)
{
	(void)ctx, (void)c;
}

static inline void random_bytes(unsigned char *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (unsigned char)rc_prng_next(&prng);
}

static inline void random_keys(
	enum rc_tls_version version, enum rc_tls_cipher cipher, struct rc_tls_keys *ours)
{
	uint32_t len = cipher == RC_TLS_AES_256_GCM ? 48 : 32;
	uint8_t a[48], b[48], master[48];

	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	random_bytes(master, sizeof(master));
	for (int i = 0; i < 2; i++) {
		struct rc_tls_keys *k = i ? &peer.keys : ours;
		if (version == RC_TLS_1_3)
			assert_int_equal(rc_tls_keys_13(k, cipher, a, b, len, 0, i == 0), 0);
		else
			assert_int_equal(rc_tls_keys_12(k, cipher, len, master, a, b, i == 0), 0);
	}
}

static inline void reset_streams(void)
{
	peer.wire.len = peer.got.len = peer.sent.len = log_bytes.len = done.len = 0;
	heard.len = 0;
	peer.records = peer.updates = spent_count = 0;
	peer.alert = -1;
	cursor = 0;
	gathers = lost = false;
}

static inline struct rc_conn *open_conn(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	struct rc_tls_keys ours;
	int fd[2];

	reset_streams();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	struct rc_conn *c = rc_conn_open(&cs, fd[0], RC_CONN_WS);
	assert_non_null(c);
	peer.fd = fd[1];
	random_keys(version, cipher, &ours);
	rc_conn_tls_begin(&cs, c, &ours);
	return c;
}

static inline struct rc_conn_tls *tls_of(const struct rc_conn *c)
{
	return &cs.tls->at[rc_conn_slot(&cs, c)];
}

/* Gone without a trace. */
static inline void end_conn(struct rc_conn *c)
{
	rc_conn_kill(&cs, c);
	happen(0, false);
	while ((c = rc_conn_next_ready(&cs)) != NULL)
		rc_conn_reclaim(&cs, c);
	(void)close(peer.fd);
	assert_int_equal(asked_count, 0);
	assert_int_equal(cs.open, 0);
	assert_int_equal(pool.used_bytes, 0);
	assert_int_equal(rc_counter_get(&counters, RC_C_tls_user), 0);
}

static inline int setup(void **state)
{
	static const struct rc_conn_events events = {NULL, on_event, on_event, on_event};
	struct stream *streams[] = {&peer.wire, &peer.got, &peer.sent, &log_bytes, &done, &heard};

	for (uint32_t i = 0; i < RC_ARRAY_LEN(streams); i++)
		streams[i]->bytes = malloc(STREAM_MAX);
	table = calloc(1, rc_conns_bytes(CONNS));
	arena_memory = aligned_alloc(4096, ARENA);
	arena_state = calloc(1, rc_buddy_state_bytes(ARENA));
	tls_memory = aligned_alloc(64, rc_align_up(rc_conn_tls_bytes(CONNS), 64));
	sealed = malloc(SEALED);
	assert_true(table && arena_memory && arena_state && tls_memory && sealed);
	memset(tls_memory, 0, rc_conn_tls_bytes(CONNS));
	rc_buddy_init(&arena, arena_memory, ARENA, arena_state);
	rc_pool_init(&pool, &arena);
	memset(&counters, 0, sizeof(counters));
	asked_count = 0;
	rc_prng_seed(&prng, 1);
	rc_conns_init(&cs, table, CONNS, NULL, &pool, &counters, &events, 1000, LINGER_MS);
	assert_int_equal(rc_conn_tls_init(&cs, tls_memory, sealed, SEALED, RENEW_NEVER), 0);
	return open_engine(state);
}

static inline int teardown(void **state)
{
	struct stream *streams[] = {&peer.wire, &peer.got, &peer.sent, &log_bytes, &done, &heard};

	for (uint32_t i = 0; i < RC_ARRAY_LEN(streams); i++)
		free(streams[i]->bytes);
	rc_conn_tls_close(&cs);
	RC_UNPOISON(arena_memory, ARENA);
	free(table);
	free(arena_memory);
	free(arena_state);
	free(tls_memory);
	free(sealed);
	return close_engine(state);
}

/* ---- what the peer sends ------------------------------------------------------------------------- */

/* Records of the peer, behind what is in `out` already. */
static inline void peer_seal(
	struct stream *out, enum rc_tls_type type, const void *bytes, size_t len, uint32_t max)
{
	assert_true(out->len + rc_tls_sealed_len(&peer.keys, len, max) <= STREAM_MAX);
	out->len += rc_tls_seal(engine, &peer.keys, type, bytes, len, max, out->bytes + out->len);
	if (type == RC_TLS_DATA)
		put(&peer.sent, bytes, len);
}

/* The peer's next keys; both: it wants ours renewed too. */
static inline void peer_updates(struct stream *out, bool both)
{
	const unsigned char message[5] = {24, 0, 0, 1, both};

	peer_seal(out, RC_TLS_HANDSHAKE, message, sizeof(message), RC_TLS_PLAIN_MAX);
	assert_int_equal(rc_tls_keys_next(&peer.keys, &peer.keys.send), 0);
}

/* One arrival, in a buffer of exactly its size. Returns what its end was. */
static inline enum rc_conn_opened deliver(struct rc_conn *c, const void *bytes, size_t len)
{
	unsigned char *copy = malloc(len ? len : 1);
	struct rc_conn_input in = {.bytes = copy, .len = (uint32_t)len};
	enum rc_conn_opened what;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	while ((what = rc_conn_tls_open(&cs, c, &in)) == RC_OPENED_DATA) {
		assert_true(in.data_len > 0);
		put(&heard, in.data, in.data_len);
	}
	rc_conn_tls_opened(&cs, &in);
	free(copy);
	return what;
}

/* ---- an arena without room ------------------------------------------------------------------------ */

static void *blocks[ARENA / 1024 + 1], *objects[2048];
static uint32_t block_count, object_count;

/* Nothing is left, not even for `bytes`. */
static inline void fill_arena(size_t bytes)
{
	while ((blocks[block_count] = rc_buddy_get(&arena, 1024)) != NULL)
		block_count++;
	while (object_count < RC_ARRAY_LEN(objects) &&
		(objects[object_count] = rc_pool_get(&pool, bytes)) != NULL)
		object_count++;
}

static inline void empty_arena(size_t bytes)
{
	while (block_count > 0)
		rc_buddy_put(&arena, blocks[--block_count]);
	while (object_count > 0)
		rc_pool_put(&pool, objects[--object_count], bytes);
}

#endif
