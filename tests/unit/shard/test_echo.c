/* SPDX-License-Identifier: Apache-2.0
 *
 * Events that are not for one client, in random orders: published while its cursor is at the tail, behind it, or in the middle of a frame; with sends
 * that are cut anywhere. What it reads is all that others said, in order, and nothing of its own; the other client reads all.
 */
#define ARENA ((size_t)2 << 20)
#include "flushrig.h"

#include <stdio.h>

#include "base/random.h"

enum { CHANNELS = 4, EVENTS_MAX = 4000, TEXT_MAX = 1 << 16 };

static const char *const channels[CHANNELS] = {"a", "b", "p:x", "p:y"};

/* What one client is to read of a channel, and how far it is. */
struct reader {
	struct rc_conn *c;
	int fd;
	uint32_t due[CHANNELS][EVENTS_MAX], due_count[CHANNELS], at[CHANNELS];
	uint64_t missed, got;
	uint32_t len;
	unsigned char bytes[TEXT_MAX];
};

static struct reader me, other;
static struct rc_prng prng;
static uint32_t serial;

static void handle(struct ring *r, const struct rc_io_event *ev)
{
	struct rc_conn *c = rc_conn_of(&shard.conns, ev->tag);

	(void)r;
	assert_non_null(c);
	if (ev->op == RC_IO_SEND)
		rc_flush_sent(&shard, c, ev->res);
	else if (ev->op == RC_IO_POLLOUT)
		rc_flush_writable(&shard, c);
}

static void turn(void)
{
	config.send_max = 1 + rc_prng_below(&prng, 3000);
	rc_flush(&shard);
	ring_drain(&ring);
	ring_forget(&ring);
	rc_hub_check(&shard.hub);
}

static void say(bool quiet)
{
	uint32_t channel = rc_prng_below(&prng, CHANNELS);
	char data[700];
	int len = snprintf(data, sizeof(data), "{\"n\":%u,\"k\":%u,\"pad\":\"%0*u\"}", ++serial,
		rc_prng_below(&prng, 3), (int)rc_prng_below(&prng, 600) + 1, 0);
	const struct rc_mute mute = {rc_conn_slot(&shard.conns, me.c), me.c->generation};
	const struct rc_publish p = {
		.channel = rc_str_of(channels[channel]),
		.event = RC_STR("e"),
		.data = {data, (size_t)len},
		.timestamp_ms = 1768472100000,
		.taken_ns = 1,
		.json = true,
		.mute = quiet ? &mute : NULL,
	};
	struct rc_outcome out;

	assert_true(rc_owner_publish(&shard.hub, &p, &out));
	assert_int_equal(out.nack, 0);
	other.due[channel][other.due_count[channel]++] = serial;
	if (!quiet)
		me.due[channel][me.due_count[channel]++] = serial;
}

/* A message: the next event of its channel, or with policies that leave some out a later one. */
static void take(struct reader *r, const char *text, bool whole)
{
	const char *name = strstr(text, "\"channel\":\""), *n = strstr(text, "\"n\":");
	const char *missed = strstr(text, "\"missed\":");
	uint32_t k = 0;

	if (missed) {
		assert_false(whole);
		r->missed += strtoul(missed + 9, NULL, 10);
		return;
	}
	assert_true(name && n);
	while (strncmp(name + 11, channels[k], strlen(channels[k])) != 0)
		assert_true(++k < CHANNELS);
	uint32_t value = (uint32_t)strtoul(n + 4, NULL, 10);
	while (!whole && r->at[k] < r->due_count[k] && r->due[k][r->at[k]] != value)
		r->at[k]++;
	assert_true(r->at[k] < r->due_count[k]);
	assert_int_equal(r->due[k][r->at[k]], value);
	r->at[k]++;
	r->got++;
}

/* At most so many bytes. Returns how many there were. */
static size_t read_some(struct reader *r, size_t most, bool whole)
{
	ssize_t got = recv(
		r->fd, r->bytes + r->len, RC_MIN(most, TEXT_MAX - (size_t)r->len), MSG_DONTWAIT);
	uint32_t at = 0;

	if (got <= 0)
		return 0;
	r->len += (uint32_t)got;
	while (r->len - at >= 4) {
		const unsigned char *f = r->bytes + at;
		uint32_t head = f[1] == 126 ? 4 : 2;
		uint32_t size = head == 4 ? (uint32_t)f[2] << 8 | f[3] : f[1];
		char text[2048];
		assert_int_equal(f[0], 0x81);
		assert_true(f[1] <= 126 && size < sizeof(text));
		if (r->len - at < head + size)
			break;
		memcpy(text, f + head, size);
		text[size] = 0;
		take(r, text, whole);
		at += head + size;
	}
	r->len -= at;
	memmove(r->bytes, r->bytes + at, r->len);
	return (size_t)got;
}

static void start(struct reader *r)
{
	int size = 4096;

	memset(r, 0, sizeof(*r));
	r->c = open_client();
	r->fd = peers[rc_conn_slot(&shard.conns, r->c)];
	(void)setsockopt(r->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(r->c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)subscribe(r->c, "a");
	(void)subscribe(r->c, "b");
	(void)subscribe(r->c, "p:*");
}

static void play(uint64_t seed, enum rc_slow_policy policy, struct rc_str key, uint32_t lag)
{
	bool whole = policy == RC_SLOW_DISCONNECT;
	uint32_t idle = 0;

	begin(policy, key);
	gateway.namespaces[0].lag_bytes = lag;
	rc_prng_seed(&prng, seed);
	ring.also = handle;
	serial = 0;
	start(&me);
	start(&other);
	while (serial < 1500) {
		uint32_t what = rc_prng_below(&prng, 100);
		/* The arena is small: who reads must not fall behind by more than it holds. */
		bool room = shard.arena.used_bytes < ARENA / 2;
		if (what < 50 && room)
			say(rc_prng_below(&prng, 3) != 0);
		else if (what < 75)
			turn();
		else if (what < 90)
			(void)read_some(&me, rc_prng_below(&prng, 4000), whole);
		else
			(void)read_some(&other, 60000, whole);
	}
	/* Until a few turns bring nothing more to either. */
	while (idle < 3) {
		turn();
		size_t got = read_some(&me, 60000, whole) + read_some(&other, 60000, whole);
		idle = got || shard.conns.ready_first != RC_NONE || shard.hub.dirty_count
			       ? 0
			       : idle + 1;
	}
	assert_int_equal(me.len, 0);
	assert_true(rc_counter_get(&counters, RC_C_echo_holes) > 20);
}

static void whoever_is_behind_reads_all_but_his_own(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		play(seed, RC_SLOW_DISCONNECT, RC_STR(""), ARENA);
		for (uint32_t k = 0; k < CHANNELS; k++) {
			assert_int_equal(me.at[k], me.due_count[k]);
			assert_int_equal(other.at[k], other.due_count[k]);
		}
		(void)teardown(state);
	}
	ring.io = NULL;
}

static void what_is_skipped_is_counted_without_his_own(void **state)
{
	uint64_t skipped = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		play(seed, RC_SLOW_SKIP, RC_STR(""), 6000);
		for (struct reader *r = &me; r; r = r == &me ? &other : NULL) {
			uint64_t due = 0, left_out = 0;
			for (uint32_t k = 0; k < CHANNELS; k++)
				due += r->due_count[k];
			left_out = due - r->got;
			assert_int_equal(r->missed, left_out);
			skipped += left_out;
		}
		(void)teardown(state);
	}
	assert_true(skipped > 100);
	ring.io = NULL;
}

static void of_the_newest_of_each_key_his_own_are_not_sent(void **state)
{
	uint64_t conflations = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		/* take() finds that nothing comes that is not due. */
		play(seed, RC_SLOW_LATEST, RC_STR("k"), 3000);
		conflations += rc_counter_get(&counters, RC_C_lag_conflations);
		(void)teardown(state);
	}
	assert_true(conflations > 20);
	ring.io = NULL;
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whoever_is_behind_reads_all_but_his_own),
		TEST(what_is_skipped_is_counted_without_his_own),
		TEST(of_the_newest_of_each_key_his_own_are_not_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
