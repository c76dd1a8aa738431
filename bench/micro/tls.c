/* SPDX-License-Identifier: Apache-2.0
 *
 * The record layer in user space, keyed anew for each call as in a shard, where every call is another connection's. 64 KiB is
 * one call of four records when sealing, four calls when opening. Opening happens in place, so its figure contains a copy
 * of the sealed bytes.
 */
#include <stdlib.h>

#include "shim.h"
#include "tls/record.h"

#define LEN_MAX  65536u
#define WIRE_MAX (LEN_MAX + 4 * RC_TLS_OVERHEAD_MAX)
#define CALLS    16u
#define CASE(version, cipher, len) \
	((uint64_t)(version) << 32 | (uint64_t)(cipher) << 24 | (uint64_t)(len))

struct state {
	struct rc_tls_engine *engine;
	struct rc_tls_keys keys[CALLS];
	size_t len, wire_len;
	uint8_t plain[LEN_MAX], wire[WIRE_MAX], work[WIRE_MAX];
};

static void make_keys(struct rc_tls_keys *k, uint64_t arg, uint8_t salt)
{
	enum rc_tls_cipher cipher = (enum rc_tls_cipher)(arg >> 24 & 0xff);
	uint8_t secret[RC_TLS_SECRET_MAX];

	memset(secret, salt, sizeof(secret));
	if (arg >> 32 == RC_TLS_1_3)
		RC_ASSERT(rc_tls_keys_13(k, cipher, secret, secret, 32, 0, true) == 0);
	else
		RC_ASSERT(rc_tls_keys_12(k, cipher, 32, secret, secret, secret, true) == 0);
	/* What is sealed is opened again. */
	k->receive = k->send;
}

static void seal(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < CALLS; i++) {
		s->wire_len = rc_tls_seal(s->engine, &s->keys[i], RC_TLS_DATA, s->plain, s->len,
			RC_TLS_PLAIN_MAX, s->wire);
		RC_ASSERT(s->wire_len > 0);
	}
	micro_keep(s->wire[s->wire_len - 1]);
}

static void *seal_open(uint64_t arg)
{
	struct state *s = micro_alloc(sizeof(*s));

	s->engine = rc_tls_engine_open();
	RC_ASSERT(s->engine != NULL);
	s->len = arg & 0xffffff;
	for (uint8_t i = 0; i < CALLS; i++)
		make_keys(&s->keys[i], arg, i);
	return s;
}

/* All keys the same, so that one sealed range serves them all. */
static void *open_open(uint64_t arg)
{
	struct state *s = seal_open(arg);

	for (uint32_t i = 1; i < CALLS; i++)
		s->keys[i] = s->keys[0];
	s->wire_len = rc_tls_seal(
		s->engine, &s->keys[0], RC_TLS_DATA, s->plain, s->len, RC_TLS_PLAIN_MAX, s->wire);
	return s;
}

static void open_records(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < CALLS; i++) {
		size_t at = 0;

		memcpy(s->work, s->wire, s->wire_len);
		s->keys[i].receive.sequence = s->keys[1].send.sequence;
		while (at < s->wire_len) {
			struct rc_tls_opened got;
			uint32_t need;
			int32_t n = rc_tls_open(s->engine, &s->keys[i], s->work + at,
				s->wire_len - at, &got, &need);
			RC_ASSERT(n > 0);
			at += (size_t)n;
			micro_keep(got.len);
		}
	}
}

static void state_close(void *state)
{
	struct state *s = state;

	rc_tls_engine_close(s->engine);
	free(s);
}

static void keys_13(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < CALLS; i++)
		make_keys(&s->keys[i], CASE(RC_TLS_1_3, RC_TLS_AES_128_GCM, 0), (uint8_t)i);
}

static void keys_12(void *state)
{
	struct state *s = state;

	for (uint32_t i = 0; i < CALLS; i++)
		make_keys(&s->keys[i], CASE(RC_TLS_1_2, RC_TLS_AES_128_GCM, 0), (uint8_t)i);
}

#define SIZE(cipher_name, version, cipher, size_name, size)                                \
	{"tls/seal/" cipher_name "/" size_name, CASE(version, cipher, size), CALLS,        \
		CALLS * (size), seal_open, seal, state_close},                             \
	{                                                                                  \
		"tls/open/" cipher_name "/" size_name, CASE(version, cipher, size), CALLS, \
			CALLS *(size), open_open, open_records, state_close                \
	}
#define SIZES(cipher_name, version, cipher)                        \
	SIZE(cipher_name, version, cipher, "128B", 128u),          \
		SIZE(cipher_name, version, cipher, "1KiB", 1024u), \
		SIZE(cipher_name, version, cipher, "8KiB", 8192u), \
		SIZE(cipher_name, version, cipher, "64KiB", 65536u)

const struct micro_case micro_tls[] = {
	SIZES("aes128", RC_TLS_1_3, RC_TLS_AES_128_GCM),
	SIZES("aes256", RC_TLS_1_3, RC_TLS_AES_256_GCM),
	SIZES("chacha20", RC_TLS_1_3, RC_TLS_CHACHA20_POLY1305),
	SIZES("1.2/aes128", RC_TLS_1_2, RC_TLS_AES_128_GCM),
	{"tls/keys/1.3", 0, CALLS, 0, seal_open, keys_13, state_close},
	{"tls/keys/1.2", 0, CALLS, 0, seal_open, keys_12, state_close},
	{0},
};
