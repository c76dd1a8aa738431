/* SPDX-License-Identifier: Apache-2.0
 *
 * Sending over user-space TLS: short sends of every length, what is taken back, rests, keys that wear out. The peer opens all that
 * left, so a record sealed twice with one nonce and two texts could not pass.
 */
#include "tlsrig.h"

/* ---- anything ----------------------------------------------------------------------------------- */

static uint32_t any_len(void)
{
	static const uint32_t most[] = {1, 100, 5000, 40000, 120000};

	return 1 + below(most[below(RC_ARRAY_LEN(most))]);
}

/* How many bytes the socket takes of a send: often all, often none, often about a record's boundary. */
static uint32_t any_take(const struct rc_conn_tls *t)
{
	uint32_t record = t->record_max + rc_tls_overhead(&t->keys);

	switch (below(6)) {
	case 0:
		return 0;
	case 1:
		return below(64);
	case 2:
		return record * below(5);
	case 3:
		return record * (1 + below(4)) + below(60) - 30;
	case 4:
		return below(70000);
	default:
		return ALL;
	}
}

static void any_output(struct rc_conn *c)
{
	static unsigned char bytes[200000];
	uint32_t len = any_len();

	random_bytes(bytes, RC_MIN(len, 64u));
	bytes[len - 1] = (unsigned char)below(256);
	if (below(2)) {
		if (c->out_len < 200000)
			(void)!rc_conn_write(&cs, c, bytes, len, UINT32_MAX);
	} else if (log_bytes.len + len <= LOG_MAX) {
		put(&log_bytes, bytes, len);
		rc_conn_ready(&cs, c);
	}
}

static void any_update(struct rc_conn *c)
{
	unsigned char bytes[128];
	struct stream s = {bytes, 0};

	peer_seal(&s, RC_TLS_DATA, "x", 1, 1);
	peer_updates(&s, below(4) != 0);
	assert_int_equal(deliver(c, bytes, s.len), RC_OPENED_NOTHING);
}

static void any_sequence(uint64_t seed)
{
	rc_prng_seed(&prng, seed);
	enum rc_tls_version version = versions[below(2)];
	struct rc_conn *c = open_conn(version, (enum rc_tls_cipher)below(RC_TLS_CIPHERS));

	cs.tls->renew_records = version == RC_TLS_1_3 && below(2) ? 16 + below(50) : RENEW_NEVER;
	for (int step = 0; step < 120; step++) {
		if (below(2))
			any_output(c);
		if (version == RC_TLS_1_3 && below(12) == 0)
			any_update(c);
		if (below(10) == 0)
			cs.tick += 2000 / RC_CONN_TICK_MS;
		gathers = below(3) == 0;
		flush();
		happen(any_take(tls_of(c)), below(2));
		if (below(2))
			peer_read(below(3) ? SIZE_MAX : 1 + below(9000));
	}
	assert_int_equal(c->state, RC_CONN_OPEN);
	settle(c);
	assert_int_equal(cursor, log_bytes.len);
	assert_int_equal(c->out_len, 0);
	assert_got(&done);
	rc_conn_finish(&cs, c);
	settle(c);
	assert_int_equal(peer.alert, RC_TLS_ALERT_CLOSE_NOTIFY);
	assert_int_equal(peer.wire.len, 0);
	assert_int_equal(c->state, RC_CONN_LINGERING);
	end_conn(c);
}

static void any_sequence_of_sends_arrives_as_one_stream(void **state)
{
	(void)state;
	print_message("seeds: ");
	for (uint64_t seed = 1; seed <= 100; seed++) {
		print_message("%llu ", (unsigned long long)seed);
		any_sequence(seed);
	}
	print_message("\n");
}

/* ---- cuts --------------------------------------------------------------------------------------- */

/* One send of 3 records and a bit, of which n bytes are taken; then other bytes, then all. */
static void cut_at(struct rc_conn *c, uint32_t n)
{
	unsigned char plain[3 * 4096 + 100], other[50];
	struct rc_conn_tls *t = tls_of(c);
	uint32_t overhead = rc_tls_overhead(&t->keys), record = 4096 + overhead;
	uint64_t sequence = t->keys.send.sequence;

	random_bytes(plain, 64);
	memset(plain + 64, (int)(n & 255), sizeof(plain) - 64);
	memset(other, (int)(~n & 255), sizeof(other));
	done.len = peer.got.len = 0;
	c->blocked_tick = cs.tick; /* records of 4 KiB */
	assert_true(rc_conn_write(&cs, c, plain, sizeof(plain), UINT32_MAX));
	flush();
	assert_int_equal(t->sealed_len, sizeof(plain) + 4 * overhead);
	assert_int_equal(t->keys.send.sequence, sequence + 4);
	happen(n, false);
	uint32_t begun = RC_MIN((n + record - 1) / record, 4u);
	assert_int_equal(t->keys.send.sequence, sequence + begun);
	assert_int_equal(done.len, RC_MIN(begun * 4096, (uint32_t)sizeof(plain)));
	assert_int_equal(!!(c->flags & RC_CONN_REST), n % record != 0 && n < t->sealed_len);
	assert_int_equal(!!(c->flags & RC_CONN_BLOCKED), n < t->sealed_len);
	/* In front of what was not begun: it must not share a record number with what left. */
	if (c->out_len)
		assert_true(rc_conn_write_first(&cs, c, other, sizeof(other)));
	settle(c);
	assert_got(&done);
	assert_int_equal(peer.wire.len, 0);
	assert_null(t->rest);
}

static void cut(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	struct rc_conn *c = open_conn(version, cipher);
	uint32_t record = 4096 + rc_tls_overhead(&tls_of(c)->keys);
	uint32_t all = 3 * record + 100 + rc_tls_overhead(&tls_of(c)->keys);

	for (uint32_t border = 0; border <= 3 * record; border += record)
		for (uint32_t n = border < 25 ? 0 : border - 25; n < border + 25; n++)
			cut_at(c, n);
	for (uint32_t n = 60; n < all; n += 397)
		cut_at(c, n);
	for (uint32_t n = all - 25; n <= all; n++)
		cut_at(c, n);
	end_conn(c);
}

static void a_send_that_is_cut_anywhere_goes_on_with_the_rest_of_its_record(void **state)
{
	(void)state;
	each(cut);
}

static void rest_in_pieces(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	struct rc_conn *c = open_conn(version, cipher);
	unsigned char plain[300];

	random_bytes(plain, sizeof(plain));
	assert_true(rc_conn_write(&cs, c, plain, sizeof(plain), UINT32_MAX));
	flush();
	while (c->flags & (RC_CONN_SENDING | RC_CONN_BLOCKED)) {
		happen(0, false);
		happen(0, true);
		flush();
		happen(1, false);
		happen(0, true);
		flush();
		peer_read(SIZE_MAX);
	}
	peer_read(SIZE_MAX);
	assert_int_equal(peer.got.len, sizeof(plain));
	assert_memory_equal(peer.got.bytes, plain, sizeof(plain));
	end_conn(c);
}

static void a_rest_goes_byte_by_byte(void **state)
{
	(void)state;
	each(rest_in_pieces);
}

static void without_memory_for_a_rest(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	struct rc_conn *c = open_conn(version, cipher);
	unsigned char plain[8192] = {1};
	uint32_t record = 4096 + rc_tls_overhead(&tls_of(c)->keys);

	/* Exactly between two records nothing has to be kept. */
	c->blocked_tick = cs.tick;
	assert_true(rc_conn_write(&cs, c, plain, sizeof(plain), UINT32_MAX));
	fill_arena(16);
	flush();
	happen(record, false);
	assert_false(lost);
	assert_int_equal(c->state, RC_CONN_OPEN);
	empty_arena(16);
	settle(c);
	assert_int_equal(peer.got.len, sizeof(plain));
	/* In the middle of one, its rest has no place: what left can't be made whole any more. */
	assert_true(rc_conn_write(&cs, c, plain, sizeof(plain), UINT32_MAX));
	fill_arena(16);
	flush();
	happen(record + 7, false);
	assert_true(lost);
	assert_int_equal(c->state, RC_CONN_FREE);
	empty_arena(16);
	(void)close(peer.fd);
	assert_int_equal(pool.used_bytes, 0);
}

static void without_memory_for_the_rest_the_connection_ends(void **state)
{
	(void)state;
	each(without_memory_for_a_rest);
}

/* ---- keys that wear out --------------------------------------------------------------------------- */

static void wears_out(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	struct rc_conn *c = open_conn(version, cipher);
	uint32_t per_key = 0, records;

	cs.tls->renew_records = 16;
	for (int i = 0; i < 100; i++) {
		assert_true(rc_conn_write(&cs, c, "0123456789", 10, UINT32_MAX));
		records = peer.updates;
		settle(c);
		per_key = peer.updates == records ? per_key + 1 : 0;
		if (version == RC_TLS_1_3)
			assert_true(per_key <= 16);
	}
	assert_got(&done);
	assert_int_equal(peer.got.len, 1000);
	if (version == RC_TLS_1_3) {
		assert_int_equal(spent_count, 0);
		/* The KeyUpdate is the last record of its key. */
		assert_int_equal(peer.updates, 100 / 16);
	} else {
		/* The Finished was the first record of 16. */
		assert_int_equal(spent_count, 100 - 14);
		assert_int_equal(peer.updates, 0);
	}
	end_conn(c);
}

static void a_worn_key_is_renewed_in_13_and_ends_the_connection_in_12(void **state)
{
	(void)state;
	each(wears_out);
}

static void an_update_that_is_owed_waits_for_the_send_and_is_owed_once(void **state)
{
	unsigned char bytes[400], plain[20000] = {0};
	struct stream s = {bytes, 0};

	(void)state;
	for (int cipher = 0; cipher < RC_TLS_CIPHERS; cipher++) {
		struct rc_conn *c = open_conn(RC_TLS_1_3, (enum rc_tls_cipher)cipher);
		s.len = 0;
		assert_true(rc_conn_write(&cs, c, plain, sizeof(plain), UINT32_MAX));
		flush();
		/* While the send is in flight, and while a record is cut. */
		for (int i = 0; i < 5; i++) {
			peer_updates(&s, true);
			if (i == 2) {
				assert_int_equal(deliver(c, bytes, s.len), RC_OPENED_NOTHING);
				s.len = 0;
				assert_null(tls_of(c)->rest);
				happen(16384 + 300, false);
			}
		}
		assert_int_equal(deliver(c, bytes, s.len), RC_OPENED_NOTHING);
		assert_true(tls_of(c)->owes_update);
		settle(c);
		assert_int_equal(peer.updates, 1);
		assert_got(&done);
		/* With nothing to send it goes at once. */
		s.len = 0;
		peer_updates(&s, true);
		assert_int_equal(deliver(c, bytes, s.len), RC_OPENED_NOTHING);
		settle(c);
		assert_int_equal(peer.updates, 2);
		/* Without memory, with the next send that finds some. */
		s.len = 0;
		peer_updates(&s, true);
		fill_arena(32);
		assert_int_equal(deliver(c, bytes, s.len), RC_OPENED_NOTHING);
		assert_true(tls_of(c)->owes_update);
		empty_arena(32);
		assert_true(rc_conn_write(&cs, c, "x", 1, UINT32_MAX));
		settle(c);
		assert_int_equal(peer.updates, 3);
		assert_got(&done);
		end_conn(c);
	}
}

/* ---- the end, and room ---------------------------------------------------------------------------- */

static void ends_behind(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	struct rc_conn *c = open_conn(version, cipher);

	assert_true(rc_conn_write(&cs, c, "goodbye", 7, UINT32_MAX));
	rc_conn_finish(&cs, c);
	flush();
	happen(9, false);
	assert_int_equal(c->state, RC_CONN_FINISHING);
	assert_int_equal(c->out_len, 0);
	/* An alert would stand in the middle of a record. */
	rc_conn_tls_refuse(&cs, c, RC_TLS_ALERT_INTERNAL_ERROR);
	settle(c);
	assert_int_equal(c->state, RC_CONN_LINGERING);
	assert_got(&done);
	assert_int_equal(peer.got.len, 7);
	assert_int_equal(peer.alert, RC_TLS_ALERT_CLOSE_NOTIFY);
	assert_int_equal(peer.wire.len, 0);
	end_conn(c);
}

static void close_notify_comes_behind_the_rest(void **state)
{
	(void)state;
	each(ends_behind);
}

static void the_scratch_is_never_overrun(void **state)
{
	static unsigned char plain[200000];

	(void)state;
	for (int small = 0; small < 2; small++) {
		struct rc_conn *c = open_conn(RC_TLS_1_2, RC_TLS_AES_128_GCM);
		uint32_t sends = 0;

		put(&log_bytes, plain, sizeof(plain));
		cs.tls->sealed_used = 0;
		while (rc_conn_tls_room(&cs, 0)) {
			c->blocked_tick = small ? cs.tick : 0;
			c->flags &= (uint16_t)~RC_CONN_READY;
			rc_conn_send(&cs, c, RC_SEND_LOG, 0, plain, sizeof(plain));
			assert_true(cs.tls->sealed_used <= cs.tls->sealed_size);
			assert_int_equal(c->send_len, small ? 32768 : RC_CONN_SEAL_MAX);
			sends++;
			/* All of it is taken back, but not the room. */
			c->send_kind = RC_SEND_NONE;
			c->flags &= (uint16_t)~RC_CONN_SENDING;
			c->inflight--;
			cs.sending--;
			asked_count--;
		}
		assert_true(sends >= SEALED / RC_CONN_SEALED_MAX);
		end_conn(c);
	}
}

static void one_that_is_killed_with_a_rest_leaves_nothing(void **state)
{
	(void)state;
	struct rc_conn *c = open_conn(RC_TLS_1_3, RC_TLS_CHACHA20_POLY1305);
	assert_int_equal(rc_counter_get(&counters, RC_C_tls_user), 1);
	assert_true(rc_conn_write(&cs, c, "goodbye", 7, UINT32_MAX));
	flush();
	happen(9, false);
	assert_true(c->flags & RC_CONN_REST);
	happen(9, true);
	flush();
	assert_true(c->flags & RC_CONN_SENDING);
	end_conn(c);
	/* Once more in the same slot: nothing of the one before is found. */
	c = open_conn(RC_TLS_1_2, RC_TLS_AES_128_GCM);
	assert_true(rc_conn_write(&cs, c, "hello", 5, UINT32_MAX));
	settle(c);
	assert_int_equal(peer.got.len, 5);
	end_conn(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(any_sequence_of_sends_arrives_as_one_stream),
		TEST(a_send_that_is_cut_anywhere_goes_on_with_the_rest_of_its_record),
		TEST(a_rest_goes_byte_by_byte),
		TEST(without_memory_for_the_rest_the_connection_ends),
		TEST(a_worn_key_is_renewed_in_13_and_ends_the_connection_in_12),
		TEST(an_update_that_is_owed_waits_for_the_send_and_is_owed_once),
		TEST(close_notify_comes_behind_the_rest),
		TEST(the_scratch_is_never_overrun),
		TEST(one_that_is_killed_with_a_rest_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
