/* SPDX-License-Identifier: Apache-2.0
 *
 * Receiving over user-space TLS: records cut anywhere, many in one arrival, the end behind data, keys that change between, and what
 * a peer may not do.
 */
#include "tlsrig.h"

#include <openssl/evp.h>

static unsigned char wire_bytes[1 << 20];

static struct stream empty_wire(void)
{
	return (struct stream){wire_bytes, 0};
}

/* A record of the peer with nothing in it. In 1.3 a type of 0 is padding, behind what then is the type. In 1.2 it is made by
 * hand, because rc_tls_seal makes none. */
static void seal_nothing(struct stream *out)
{
	static const char *const names[] = {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"};
	static const unsigned char type = RC_TLS_DATA;
	struct rc_tls_direction *d = &peer.keys.send;
	unsigned char aad[13] = {0}, nonce[12], *at = out->bytes + out->len;
	uint32_t chacha = peer.keys.cipher == RC_TLS_CHACHA20_POLY1305;
	int n;

	if (peer.keys.version == RC_TLS_1_3) {
		out->len += rc_tls_seal(engine, &peer.keys, (enum rc_tls_type)0, &type, 1, 1, at);
		return;
	}
	memcpy(nonce, d->iv, sizeof(nonce));
	for (int i = 0; i < 8; i++) {
		aad[7 - i] = (uint8_t)(d->sequence >> 8 * i);
		nonce[11 - i] ^= aad[7 - i];
	}
	memcpy(aad + 8, (unsigned char[]){RC_TLS_DATA, 3, 3}, 3);
	memcpy(at, (unsigned char[]){RC_TLS_DATA, 3, 3, 0, chacha ? 16 : 24}, 5);
	at += 5;
	if (!chacha) {
		memcpy(at, nonce + 4, 8);
		at += 8;
	}
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, names[peer.keys.cipher], NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, d->key, nonce, NULL), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, aad, sizeof(aad)), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, at, &n), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, at), 1);
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	d->sequence++;
	out->len = (size_t)(at + 16 - out->bytes);
}

static void seal_text(struct stream *out, const char *text)
{
	peer_seal(out, RC_TLS_DATA, text, strlen(text), RC_TLS_PLAIN_MAX);
}

static void assert_heard(const char *text)
{
	assert_int_equal(heard.len, strlen(text));
	assert_memory_equal(heard.bytes, text, heard.len);
}

/* ---- pieces ------------------------------------------------------------------------------------- */

static void cut_at(struct rc_conn *c, const struct stream *s, size_t first, size_t second)
{
	heard.len = 0;
	assert_int_equal(deliver(c, s->bytes, first), RC_OPENED_NOTHING);
	assert_int_equal(deliver(c, s->bytes + first, second), RC_OPENED_NOTHING);
	assert_int_equal(
		deliver(c, s->bytes + first + second, s->len - first - second), RC_OPENED_NOTHING);
	assert_heard("hello, dear world");
	assert_null(tls_of(c)->part);
}

static void cut(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	struct rc_conn *c = open_conn(version, cipher);
	size_t len = 1;

	for (size_t first = 0; first < len; first++) {
		for (size_t second = 0; second <= len - first; second += 7) {
			struct stream s = empty_wire();
			seal_text(&s, "hello, ");
			seal_nothing(&s);
			seal_text(&s, "dear world");
			len = s.len;
			cut_at(c, &s, first, second);
			assert_int_equal(pool.used_bytes, 0);
		}
	}
	end_conn(c);
}

static void records_may_be_cut_anywhere(void **state)
{
	(void)state;
	each(cut);
}

static void byte_by_byte(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	static unsigned char plain[RC_TLS_PLAIN_MAX];
	struct rc_conn *c = open_conn(version, cipher);
	struct stream s = empty_wire();

	random_bytes(plain, sizeof(plain));
	peer_seal(&s, RC_TLS_DATA, plain, sizeof(plain), RC_TLS_PLAIN_MAX);
	/* What is held is as much as what came, not as what the header promises. */
	for (size_t i = 0; i < s.len; i++) {
		assert_int_equal(deliver(c, s.bytes + i, 1), RC_OPENED_NOTHING);
		assert_true(pool.used_bytes <= RC_MAX(2 * (i + 1), (size_t)16));
	}
	assert_int_equal(heard.len, sizeof(plain));
	assert_memory_equal(heard.bytes, plain, sizeof(plain));
	assert_int_equal(pool.used_bytes, 0);
	end_conn(c);
}

static void the_block_of_a_cut_record_is_as_large_as_what_came(void **state)
{
	(void)state;
	each(byte_by_byte);
}

static void many(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	struct rc_conn *c = open_conn(version, cipher);
	struct stream s = empty_wire();
	struct rc_conn_input in;

	for (int i = 0; i < 40; i++) {
		seal_text(&s, "one");
		seal_nothing(&s);
		if (version == RC_TLS_1_3 && i % 10 == 3)
			peer_updates(&s, false);
		seal_text(&s, "more");
	}
	in = (struct rc_conn_input){.bytes = s.bytes, .len = (uint32_t)s.len};
	assert_int_equal(rc_conn_tls_open(&cs, c, &in), RC_OPENED_DATA);
	assert_int_equal(in.data_len, 40 * 7);
	for (int i = 0; i < 40; i++)
		assert_memory_equal(in.data + 7 * i, "onemore", 7);
	assert_int_equal(rc_conn_tls_open(&cs, c, &in), RC_OPENED_NOTHING);
	rc_conn_tls_opened(&cs, &in);
	end_conn(c);
}

static void many_records_of_one_arrival_are_one_piece(void **state)
{
	(void)state;
	each(many);
}

static void any_stream(uint64_t seed)
{
	static unsigned char plain[40000];

	rc_prng_seed(&prng, seed);
	enum rc_tls_version version = versions[below(2)];
	struct rc_conn *c = open_conn(version, (enum rc_tls_cipher)below(RC_TLS_CIPHERS));
	struct stream s = empty_wire();
	uint32_t empty = 0;

	for (int i = 0; i < 30; i++) {
		uint32_t len = 1 + below(below(2) ? 100 : sizeof(plain));
		uint32_t record = len / (1 + below(5));
		random_bytes(plain, RC_MIN(len, 64u));
		if (s.len + 2 * len + 400 < sizeof(wire_bytes)) {
			record = RC_MIN(record, RC_TLS_PLAIN_MAX);
			peer_seal(&s, RC_TLS_DATA, plain, len, RC_MAX(record, 1u));
			empty -= empty > 0;
		}
		if (empty < 30 && below(3) == 0) {
			seal_nothing(&s);
			empty++;
		}
		if (empty < 30 && version == RC_TLS_1_3 && below(5) == 0) {
			peer_updates(&s, below(2));
			empty++;
		}
	}
	for (size_t at = 0; at < s.len;) {
		size_t len = 1 + below(below(3) ? 3000 : 70000);
		len = RC_MIN(len, s.len - at);
		assert_int_equal(deliver(c, s.bytes + at, len), RC_OPENED_NOTHING);
		at += len;
		settle(c);
	}
	assert_int_equal(heard.len, peer.sent.len);
	assert_memory_equal(heard.bytes, peer.sent.bytes, heard.len);
	end_conn(c);
}

static void any_stream_in_any_pieces_comes_through(void **state)
{
	(void)state;
	print_message("seeds: ");
	for (uint64_t seed = 1; seed <= 100; seed++) {
		print_message("%llu ", (unsigned long long)seed);
		any_stream(seed);
	}
	print_message("\n");
}

/* ---- ends ----------------------------------------------------------------------------------------- */

static void closes(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	static const unsigned char close_notify[2] = {1, 0};
	struct rc_conn *c = open_conn(version, cipher);
	struct stream s = empty_wire();

	seal_text(&s, "last ");
	seal_text(&s, "words");
	peer_seal(&s, RC_TLS_ALERT, close_notify, 2, 2);
	/* Nobody may speak after it. */
	seal_text(&s, "not heard");
	assert_int_equal(deliver(c, s.bytes, s.len), RC_OPENED_CLOSED);
	assert_heard("last words");
	assert_true(c->flags & RC_CONN_NOTIFIED);
	end_conn(c);
}

static void the_end_comes_behind_the_data(void **state)
{
	(void)state;
	each(closes);
}

static void forged(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	for (int cut_too = 0; cut_too < 2; cut_too++) {
		struct rc_conn *c = open_conn(version, cipher);
		struct stream s = empty_wire();
		uint64_t before = rc_counter_get(&counters, RC_C_tls_bad_records);

		seal_text(&s, "genuine");
		size_t at = s.len;
		seal_text(&s, "forged");
		s.bytes[s.len - 1] ^= 1;
		size_t first = cut_too ? at + 9 : 0;
		assert_int_equal(deliver(c, s.bytes, first), RC_OPENED_NOTHING);
		assert_int_equal(deliver(c, s.bytes + first, s.len - first), RC_OPENED_BAD);
		assert_heard(cut_too ? "genuine" : "");
		assert_int_equal(rc_counter_get(&counters, RC_C_tls_bad_records), before + 1);
		peer_read(SIZE_MAX);
		assert_int_equal(peer.alert, RC_TLS_ALERT_BAD_RECORD_MAC);
		end_conn(c);
	}
}

static void a_forged_record_ends_it_with_an_alert(void **state)
{
	(void)state;
	each(forged);
}

/* As a protocol does that closes over the first piece. The block is the input's by then. */
static void killed(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	struct rc_conn *c = open_conn(version, cipher);
	struct stream s = empty_wire();

	seal_text(&s, "first");
	seal_text(&s, "second");
	assert_int_equal(deliver(c, s.bytes, 11), RC_OPENED_NOTHING);
	struct rc_conn_input in = {.bytes = s.bytes + 11, .len = (uint32_t)s.len - 11};
	assert_int_equal(rc_conn_tls_open(&cs, c, &in), RC_OPENED_DATA);
	assert_non_null(in.block);
	rc_conn_kill(&cs, c);
	assert_int_equal(in.data_len, 5);
	assert_memory_equal(in.data, "first", 5);
	rc_conn_tls_opened(&cs, &in);
	(void)close(peer.fd);
	assert_int_equal(cs.open, 0);
	assert_int_equal(pool.used_bytes, 0);
	assert_int_equal(rc_counter_get(&counters, RC_C_tls_user), 0);
}

static void one_that_is_killed_between_two_pieces_leaves_nothing(void **state)
{
	(void)state;
	each(killed);
}

static void without_memory(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	struct rc_conn *c = open_conn(version, cipher);
	struct stream s = empty_wire();

	seal_text(&s, "a record of which a part comes");
	fill_arena(16);
	assert_int_equal(deliver(c, s.bytes, 10), RC_OPENED_BAD);
	empty_arena(16);
	peer_read(SIZE_MAX);
	assert_int_equal(peer.alert, RC_TLS_ALERT_INTERNAL_ERROR);
	end_conn(c);
}

static void without_memory_for_a_part_it_ends(void **state)
{
	(void)state;
	each(without_memory);
}

/* ---- floods --------------------------------------------------------------------------------------- */

static void floods(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	for (int updates = 0; updates <= (version == RC_TLS_1_3); updates++) {
		struct rc_conn *c = open_conn(version, cipher);
		uint64_t before = rc_counter_get(&counters, RC_C_tls_bad_messages);
		struct stream s = empty_wire();

		/* As many as records with data are no matter. */
		for (int i = 0; i < 100; i++) {
			seal_text(&s, "x");
			updates ? peer_updates(&s, false) : seal_nothing(&s);
		}
		assert_int_equal(deliver(c, s.bytes, s.len), RC_OPENED_NOTHING);
		assert_int_equal(heard.len, 100);
		/* The last of those stands without one behind it. */
		for (int i = 0; i < 32; i++) {
			s = empty_wire();
			updates ? peer_updates(&s, false) : seal_nothing(&s);
			assert_int_equal(deliver(c, s.bytes, s.len),
				i < 31 ? RC_OPENED_NOTHING : RC_OPENED_BAD);
		}
		assert_int_equal(rc_counter_get(&counters, RC_C_tls_bad_messages), before + 1);
		peer_read(SIZE_MAX);
		assert_int_equal(peer.alert, RC_TLS_ALERT_UNEXPECTED_MESSAGE);
		end_conn(c);
	}
}

static void many_records_without_data_end_it(void **state)
{
	(void)state;
	each(floods);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(records_may_be_cut_anywhere),
		TEST(the_block_of_a_cut_record_is_as_large_as_what_came),
		TEST(many_records_of_one_arrival_are_one_piece),
		TEST(any_stream_in_any_pieces_comes_through),
		TEST(the_end_comes_behind_the_data),
		TEST(a_forged_record_ends_it_with_an_alert),
		TEST(one_that_is_killed_between_two_pieces_leaves_nothing),
		TEST(without_memory_for_a_part_it_ends),
		TEST(many_records_without_data_end_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
