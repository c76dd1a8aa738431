/* SPDX-License-Identifier: Apache-2.0
 *
 * record.c against the records of RFC 8448, cut streams, wrong headers, and forgers. OpenSSL is the other end in
 * test_interop.c.
 */
#include <openssl/evp.h>

#include "engine.h"
#include "hex.h"

static const uint8_t rfc_client_secret[32] = {0x9e, 0x40, 0x64, 0x6c, 0xe7, 0x9a, 0x7f, 0x9d, 0xc0,
	0x5a, 0xf8, 0x88, 0x9b, 0xce, 0x65, 0x52, 0x87, 0x5a, 0xfa, 0x0b, 0x06, 0xdf, 0x00, 0x87,
	0xf7, 0x92, 0xeb, 0xb7, 0xc1, 0x75, 0x04, 0xa5};
static const uint8_t rfc_server_secret[32] = {0xa1, 0x1a, 0xf9, 0xf0, 0x55, 0x31, 0xf8, 0x56, 0xad,
	0x47, 0x11, 0x6b, 0x45, 0xa9, 0x50, 0x32, 0x82, 0x04, 0xb4, 0xf4, 0x4b, 0xfb, 0x6b, 0x3a,
	0x4b, 0x4f, 0x1f, 0x3f, 0xcb, 0x63, 0x16, 0x43};

static void records_are_those_of_the_rfc(void **state)
{
	static const char client_data[] =
		"1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a"
		"9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";
	static const char server_data[] =
		"17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602d"
		"cb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d";
	static const char client_close[] = "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3";
	static const char server_close[] = "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9";
	static const uint8_t close_notify[2] = {1, 0};
	uint8_t wire[256], wanted[256], plain[50];
	struct rc_tls_keys k;
	struct rc_tls_opened got;
	uint32_t len, need;

	(void)state;
	for (uint32_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)i;
	assert_int_equal(rc_tls_keys_13(&k, RC_TLS_AES_128_GCM, rfc_client_secret,
				 rfc_server_secret, 32, 1, true),
		0);
	len = hex_bytes(server_data, wanted, sizeof(wanted));
	assert_int_equal(
		rc_tls_seal(engine, &k, RC_TLS_DATA, plain, sizeof(plain), 16384, wire), len);
	assert_memory_equal(wire, wanted, len);
	len = hex_bytes(server_close, wanted, sizeof(wanted));
	assert_int_equal(rc_tls_seal(engine, &k, RC_TLS_ALERT, close_notify, 2, 16384, wire), len);
	assert_memory_equal(wire, wanted, len);

	len = hex_bytes(client_data, wire, sizeof(wire));
	len += hex_bytes(client_close, wire + len, sizeof(wire) - len);
	assert_int_equal(rc_tls_open(engine, &k, wire, len, &got, &need), 72);
	assert_int_equal(got.type, RC_TLS_DATA);
	assert_int_equal(got.len, sizeof(plain));
	assert_memory_equal(got.data, plain, sizeof(plain));
	assert_int_equal(rc_tls_open(engine, &k, wire + 72, len - 72, &got, &need), 24);
	assert_int_equal(got.type, RC_TLS_ALERT);
	assert_int_equal(rc_tls_asks(RC_TLS_1_3, got.type, got.data, got.len), RC_TLS_ASKS_CLOSE);
	assert_int_equal(k.receive.sequence, 2);
}

/* One record of any type, also of those that seal would not be asked for. In 1.3 type 0 adds a zero of padding, so that the inner
 * type is whatever stands last in bytes. */
static uint32_t seal_one(
	struct rc_tls_keys *k, int type, const void *bytes, size_t len, unsigned char *out)
{
	size_t n =
		rc_tls_seal(engine, k, (enum rc_tls_type)type, bytes, len, RC_TLS_PLAIN_MAX, out);

	assert_int_equal(n, len + rc_tls_overhead(k));
	return (uint32_t)n;
}

static void lengths_are_exact(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	static const size_t lengths[] = {1, 2, 15, 16, 17, 99, 100, 101, 199, 200, 201, 16383,
		16384, 16385, 32768, 32769, 65536};
	static const uint32_t record_maxima[] = {1, 100, 4096, 16384};

	for (uint32_t m = 0; m < RC_ARRAY_LEN(record_maxima); m++) {
		for (uint32_t i = 0; i < RC_ARRAY_LEN(lengths); i++) {
			uint32_t record_max = record_maxima[m], need;
			size_t len = lengths[i], have = 0, at = 0, sealed_len;
			unsigned char *bytes = filled(len), *wire;
			struct rc_tls_keys ours, theirs;

			made_up_keys(version, cipher, &ours, &theirs);
			sealed_len = rc_tls_sealed_len(&ours, len, record_max);
			wire = malloc(sealed_len);
			assert_non_null(wire);
			assert_int_equal(rc_tls_seal(engine, &ours, RC_TLS_DATA, bytes, len,
						 record_max, wire),
				sealed_len);
			while (at < sealed_len) {
				struct rc_tls_opened got;
				int32_t n = rc_tls_open(
					engine, &theirs, wire + at, sealed_len - at, &got, &need);
				assert_true(n > 0 && (uint32_t)n <= RC_TLS_RECORD_MAX);
				assert_int_equal(got.type, RC_TLS_DATA);
				assert_int_equal(got.len, RC_MIN(len - have, (size_t)record_max));
				assert_memory_equal(got.data, bytes + have, got.len);
				have += got.len;
				at += (size_t)n;
			}
			assert_int_equal(have, len);
			assert_int_equal(ours.send.sequence, theirs.receive.sequence);
			free(bytes);
			free(wire);
		}
	}
}

static void records_of_every_boundary_length_come_back(void **state)
{
	(void)state;
	each(lengths_are_exact);
}

static void cut(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	unsigned char *bytes = filled(300), wire[400];
	struct rc_tls_keys ours, theirs, before;
	struct rc_tls_opened got;
	uint32_t total, need;

	made_up_keys(version, cipher, &ours, &theirs);
	before = theirs;
	total = seal_one(&ours, RC_TLS_DATA, bytes, 300, wire);
	for (uint32_t at = 0; at < total; at++) {
		/* A copy of its own, so that a read beyond the end is seen. */
		unsigned char *part = malloc(at ? at : 1);
		assert_non_null(part);
		memcpy(part, wire, at);
		assert_int_equal(rc_tls_open(engine, &theirs, part, at, &got, &need), 0);
		assert_int_equal(need, at < RC_TLS_HEADER ? RC_TLS_HEADER : total);
		assert_memory_equal(part, wire, at);
		assert_memory_equal(&theirs, &before, sizeof(theirs));
		free(part);
	}
	assert_int_equal(rc_tls_open(engine, &theirs, wire, total, &got, &need), total);
	assert_memory_equal(got.data, bytes, 300);
	free(bytes);
}

static void a_cut_record_is_waited_for_and_left_alone(void **state)
{
	(void)state;
	each(cut);
}

static void forge(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	unsigned char *bytes = filled(100), wire[200], copy[200];
	struct rc_tls_keys ours, theirs, before;
	uint32_t total;

	made_up_keys(version, cipher, &ours, &theirs);
	before = theirs;
	total = seal_one(&ours, RC_TLS_DATA, bytes, 100, wire);
	for (uint32_t at = 0; at < total; at++) {
		for (int bit = 0; bit < 8; bit++) {
			struct rc_tls_opened got = {0};
			uint32_t need;
			int32_t rc;

			memcpy(copy, wire, total);
			copy[at] ^= (unsigned char)(1 << bit);
			rc = rc_tls_open(engine, &theirs, copy, total, &got, &need);
			assert_memory_equal(&theirs, &before, sizeof(theirs));
			if (at < RC_TLS_HEADER) {
				/* The length may also have grown beyond what is there. */
				assert_true(rc < 0 || (at >= 3 && rc == 0 && need > total));
				continue;
			}
			assert_int_equal(rc, -RC_TLS_ALERT_BAD_RECORD_MAC);
			for (uint32_t i = 0; i < got.len; i++)
				assert_int_equal(got.data[i], 0);
			assert_int_equal(got.len, 100 + (version == RC_TLS_1_3));
		}
	}
	free(bytes);
}

static void a_forged_bit_anywhere_is_found_and_leaves_no_plain_text(void **state)
{
	(void)state;
	each(forge);
}

static void out_of_order(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	unsigned char first[64], second[64], copy[64];
	struct rc_tls_keys ours, theirs;
	struct rc_tls_opened got;
	uint32_t n, need;

	made_up_keys(version, cipher, &ours, &theirs);
	n = seal_one(&ours, RC_TLS_DATA, "first", 5, first);
	assert_int_equal(seal_one(&ours, RC_TLS_DATA, "other", 5, second), n);
	memcpy(copy, second, n);
	assert_int_equal(
		rc_tls_open(engine, &theirs, copy, n, &got, &need), -RC_TLS_ALERT_BAD_RECORD_MAC);
	memcpy(copy, first, n);
	assert_int_equal(rc_tls_open(engine, &theirs, copy, n, &got, &need), n);
	memcpy(copy, first, n);
	assert_int_equal(
		rc_tls_open(engine, &theirs, copy, n, &got, &need), -RC_TLS_ALERT_BAD_RECORD_MAC);
	assert_int_equal(rc_tls_open(engine, &theirs, second, n, &got, &need), n);
}

static void a_record_left_out_or_played_again_is_found(void **state)
{
	(void)state;
	each(out_of_order);
}

static void take_back(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	size_t len = 10 * 1000 + 7, sealed_len, whole;
	unsigned char *bytes = filled(len), *once, *again;
	struct rc_tls_keys ours, theirs;
	uint64_t first;

	made_up_keys(version, cipher, &ours, &theirs);
	sealed_len = rc_tls_sealed_len(&ours, len, 1000);
	whole = 1000 + rc_tls_overhead(&ours);
	once = malloc(sealed_len);
	again = malloc(sealed_len);
	assert_true(once != NULL && again != NULL);
	first = ours.send.sequence;
	assert_int_equal(
		rc_tls_seal(engine, &ours, RC_TLS_DATA, bytes, len, 1000, once), sealed_len);
	assert_int_equal(ours.send.sequence, first + 11);
	/* From any record on, the same bytes are the same records; also when other sizes were tried in between. */
	for (uint32_t kept = 0; kept < 11; kept++) {
		ours.send.sequence = first + kept;
		assert_int_equal(rc_tls_seal(engine, &ours, RC_TLS_DATA, bytes + kept * 1000,
					 len - kept * 1000, 1000, again),
			sealed_len - kept * whole);
		assert_int_equal(ours.send.sequence, first + 11);
		assert_memory_equal(again, once + kept * whole, sealed_len - kept * whole);
	}
	free(bytes);
	free(once);
	free(again);
}

static void what_is_taken_back_and_sealed_again_is_the_same(void **state)
{
	(void)state;
	each(take_back);
}

static void at_the_end(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	unsigned char wire[128];
	struct rc_tls_keys ours, theirs;
	struct rc_tls_opened got;
	uint32_t n, need;

	made_up_keys(version, cipher, &ours, &theirs);
	ours.send.sequence = theirs.receive.sequence = UINT64_MAX - 1;
	assert_int_equal(rc_tls_seal(engine, &ours, RC_TLS_DATA, "ab", 2, 1, wire), 0);
	assert_true(ours.send.sequence == UINT64_MAX - 1);
	n = seal_one(&ours, RC_TLS_DATA, "a", 1, wire);
	assert_int_equal(rc_tls_open(engine, &theirs, wire, n, &got, &need), n);
	assert_int_equal(rc_tls_seal(engine, &ours, RC_TLS_DATA, "a", 1, 1, wire), 0);
	assert_true(theirs.receive.sequence == UINT64_MAX);
	assert_int_equal(
		rc_tls_open(engine, &theirs, wire, n, &got, &need), -RC_TLS_ALERT_INTERNAL_ERROR);
}

static void a_sequence_never_comes_round(void **state)
{
	(void)state;
	each(at_the_end);
}

static void nonce_of_gcm_12_is_the_salt_and_the_begin_plus_the_sequence(void **state)
{
	static const uint8_t begin[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe};
	static const uint8_t wanted[3][8] = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 1}};
	unsigned char wire[64];
	struct rc_tls_keys ours, theirs;
	struct rc_tls_opened got;
	uint32_t need;

	(void)state;
	made_up_keys(RC_TLS_1_2, RC_TLS_AES_128_GCM, &ours, &theirs);
	memcpy(ours.send.iv + 4, begin, sizeof(begin));
	for (int i = 0; i < 3; i++) {
		uint32_t n = seal_one(&ours, RC_TLS_DATA, "abc", 3, wire);
		assert_memory_equal(wire + RC_TLS_HEADER, wanted[i], 8);
		/* Who opens reads it off the record. */
		assert_int_equal(rc_tls_open(engine, &theirs, wire, n, &got, &need), n);
		assert_memory_equal(got.data, "abc", 3);
	}
}

static int32_t open_header(enum rc_tls_version version, enum rc_tls_cipher cipher, int type,
	int major, int minor, uint32_t len, uint32_t *need)
{
	unsigned char header[5] = {(unsigned char)type, (unsigned char)major, (unsigned char)minor,
		(unsigned char)(len >> 8), (unsigned char)len};
	struct rc_tls_keys ours, theirs;
	struct rc_tls_opened got;

	made_up_keys(version, cipher, &ours, &theirs);
	return rc_tls_open(engine, &theirs, header, sizeof(header), &got, need);
}

static void headers(enum rc_tls_version version, enum rc_tls_cipher cipher)
{
	struct rc_tls_keys ours, theirs;
	uint32_t need, extra;

	made_up_keys(version, cipher, &ours, &theirs);
	extra = rc_tls_overhead(&ours) - RC_TLS_HEADER;
	for (int type = 0; type < 256; type++) {
		bool known =
			type == RC_TLS_DATA || (version == RC_TLS_1_2 && type >= 20 && type < 23);
		assert_int_equal(open_header(version, cipher, type, 3, 3, 100, &need),
			known ? 0 : -RC_TLS_ALERT_UNEXPECTED_MESSAGE);
	}
	for (int minor = 0; minor < 256; minor++)
		assert_int_equal(open_header(version, cipher, 23, 3, minor, 100, &need),
			minor >= 1 && minor <= 4 ? 0 : -RC_TLS_ALERT_PROTOCOL_VERSION);
	assert_int_equal(
		open_header(version, cipher, 23, 2, 3, 100, &need), -RC_TLS_ALERT_PROTOCOL_VERSION);
	assert_int_equal(
		open_header(version, cipher, 23, 3, 3, RC_TLS_PLAIN_MAX + extra, &need), 0);
	assert_int_equal(need, RC_TLS_HEADER + RC_TLS_PLAIN_MAX + extra);
	assert_true(need <= RC_TLS_RECORD_MAX);
	assert_int_equal(
		open_header(version, cipher, 23, 3, 3, RC_TLS_PLAIN_MAX + extra + 1, &need),
		-RC_TLS_ALERT_RECORD_OVERFLOW);
	assert_int_equal(open_header(version, cipher, 23, 3, 3, 65535, &need),
		-RC_TLS_ALERT_RECORD_OVERFLOW);
	extra -= version == RC_TLS_1_3;
	assert_int_equal(open_header(version, cipher, 23, 3, 3, extra, &need), 0);
	assert_int_equal(open_header(version, cipher, 23, 3, 3, extra - 1, &need),
		-RC_TLS_ALERT_BAD_RECORD_MAC);
	assert_int_equal(
		open_header(version, cipher, 23, 3, 3, 0, &need), -RC_TLS_ALERT_BAD_RECORD_MAC);
}

static void a_wrong_header_is_refused_before_the_record_is_there(void **state)
{
	(void)state;
	each(headers);
}

/* What a record with this inner text (type and padding in it) is opened as. */
static int32_t open_inner(const void *inner, size_t len, struct rc_tls_opened *got)
{
	static unsigned char wire[RC_TLS_RECORD_MAX];
	struct rc_tls_keys ours, theirs;
	uint32_t need, n;
	int32_t rc;

	made_up_keys(RC_TLS_1_3, RC_TLS_AES_256_GCM, &ours, &theirs);
	n = seal_one(&ours, 0, inner, len, wire);
	rc = rc_tls_open(engine, &theirs, wire, n, got, &need);
	assert_true(rc < 0 || rc == (int32_t)n);
	return rc;
}

static void padding_is_taken_off_and_the_type_must_be_there(void **state)
{
	static unsigned char zeros[RC_TLS_PLAIN_MAX], full[RC_TLS_PLAIN_MAX];
	struct rc_tls_opened got;

	(void)state;
	assert_true(open_inner("data\x17\0\0\0", 8, &got) > 0);
	assert_int_equal(got.type, RC_TLS_DATA);
	assert_int_equal(got.len, 4);
	/* Zeros before the type are data. */
	assert_true(open_inner("\0\0\0\x17", 4, &got) > 0);
	assert_int_equal(got.len, 3);
	assert_true(open_inner("\x17", 1, &got) > 0);
	assert_int_equal(got.type, RC_TLS_DATA);
	assert_int_equal(got.len, 0);
	full[0] = RC_TLS_DATA;
	assert_true(open_inner(full, sizeof(full), &got) > 0);
	assert_int_equal(got.len, 0);
	assert_int_equal(open_inner(zeros, 1, &got), -RC_TLS_ALERT_UNEXPECTED_MESSAGE);
	assert_int_equal(open_inner(zeros, sizeof(zeros), &got), -RC_TLS_ALERT_UNEXPECTED_MESSAGE);
	for (int type = 1; type < 256; type++) {
		unsigned char inner[2] = {'x', (unsigned char)type};
		bool known = type >= 21 && type <= 23;
		int32_t rc = open_inner(inner, 2, &got);
		assert_true(known ? rc > 0 && got.type == type
				  : rc == -RC_TLS_ALERT_UNEXPECTED_MESSAGE);
		/* Only data may be nothing. */
		rc = open_inner(inner + 1, 1, &got);
		assert_true(type == RC_TLS_DATA ? rc > 0 : rc == -RC_TLS_ALERT_UNEXPECTED_MESSAGE);
	}
}

/* Sealed here by hand, for seal makes none without bytes: TLS 1.2, AES-128-GCM, record 1. */
static uint32_t seal_nothing(const struct rc_tls_keys *k, uint8_t type, unsigned char *out)
{
	unsigned char nonce[12] = {0}, aad[13] = {0, 0, 0, 0, 0, 0, 0, 1, type, 3, 3, 0, 0};
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;

	memcpy(nonce, k->send.iv, 4);
	nonce[11] = 0x77;
	memcpy(out, (unsigned char[]){type, 3, 3, 0, 24}, 5);
	memcpy(out + 5, nonce + 4, 8);
	assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, k->send.key, nonce), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, aad, sizeof(aad)), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, out + 13, &n), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + 13), 1);
	EVP_CIPHER_CTX_free(ctx);
	return 29;
}

static void only_data_may_be_empty_in_12(void **state)
{
	(void)state;
	for (uint8_t type = 20; type <= 23; type++) {
		struct rc_tls_keys ours, theirs;
		struct rc_tls_opened got;
		unsigned char wire[32];
		uint32_t n, need;
		int32_t rc;

		made_up_keys(RC_TLS_1_2, RC_TLS_AES_128_GCM, &ours, &theirs);
		n = seal_nothing(&ours, type, wire);
		rc = rc_tls_open(engine, &theirs, wire, n, &got, &need);
		assert_int_equal(
			rc, type == RC_TLS_DATA ? (int32_t)n : -RC_TLS_ALERT_UNEXPECTED_MESSAGE);
		assert_int_equal(got.len, 0);
	}
}

/* Another connection, cipher and direction at every call: no context keeps anything of the call before. */
static void connections_take_turns(void **state)
{
	struct rc_tls_keys ours[2 * RC_TLS_CIPHERS], theirs[2 * RC_TLS_CIPHERS];
	unsigned char wire[64];

	(void)state;
	for (int i = 0; i < 2 * RC_TLS_CIPHERS; i++)
		made_up_keys(versions[i % 2], (enum rc_tls_cipher)(i / 2), &ours[i], &theirs[i]);
	for (int round = 0; round < 30; round++) {
		for (int i = 0; i < 2 * RC_TLS_CIPHERS; i++) {
			struct rc_tls_opened got;
			uint32_t need, n = seal_one(&ours[i], RC_TLS_DATA, "a turn", 6, wire);
			bool spoil = round % 3 == 1;

			wire[n - 1] ^= spoil;
			if (spoil) {
				assert_int_equal(
					rc_tls_open(engine, &theirs[i], wire, n, &got, &need),
					-RC_TLS_ALERT_BAD_RECORD_MAC);
				ours[i].send.sequence--;
				continue;
			}
			assert_int_equal(rc_tls_open(engine, &theirs[i], wire, n, &got, &need), n);
			assert_memory_equal(got.data, "a turn", 6);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_those_of_the_rfc),
		cmocka_unit_test(records_of_every_boundary_length_come_back),
		cmocka_unit_test(a_cut_record_is_waited_for_and_left_alone),
		cmocka_unit_test(a_forged_bit_anywhere_is_found_and_leaves_no_plain_text),
		cmocka_unit_test(a_record_left_out_or_played_again_is_found),
		cmocka_unit_test(what_is_taken_back_and_sealed_again_is_the_same),
		cmocka_unit_test(a_sequence_never_comes_round),
		cmocka_unit_test(nonce_of_gcm_12_is_the_salt_and_the_begin_plus_the_sequence),
		cmocka_unit_test(a_wrong_header_is_refused_before_the_record_is_there),
		cmocka_unit_test(padding_is_taken_off_and_the_type_must_be_there),
		cmocka_unit_test(only_data_may_be_empty_in_12),
		cmocka_unit_test(connections_take_turns),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
