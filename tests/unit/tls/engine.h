/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of record.c start with: the engine, the table of versions and ciphers, bytes.
 */
#ifndef RC_TESTS_UNIT_TLS_ENGINE_H
#define RC_TESTS_UNIT_TLS_ENGINE_H

#include "../unit.h"
#include "tls/keys.h"
#include "tls/record.h"

static const enum rc_tls_version versions[] = {RC_TLS_1_2, RC_TLS_1_3};
static struct rc_tls_engine *engine;

static inline int open_engine(void **state)
{
	(void)state;
	engine = rc_tls_engine_open();
	return engine ? 0 : -1;
}

static inline int close_engine(void **state)
{
	(void)state;
	rc_tls_engine_close(engine);
	return 0;
}

/* Calls body for each version and cipher. */
static inline void each(void (*body)(enum rc_tls_version version, enum rc_tls_cipher cipher))
{
	for (uint32_t i = 0; i < RC_ARRAY_LEN(versions); i++)
		for (int cipher = 0; cipher < RC_TLS_CIPHERS; cipher++)
			body(versions[i], (enum rc_tls_cipher)cipher);
}

static inline unsigned char *filled(size_t len)
{
	unsigned char *bytes = malloc(len ? len : 1);

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(i * 7 + i / 251 + 1);
	return bytes;
}

/* Keys of both ends without a handshake. */
static inline void made_up_keys(enum rc_tls_version version, enum rc_tls_cipher cipher,
	struct rc_tls_keys *ours, struct rc_tls_keys *theirs)
{
	struct rc_tls_keys *ends[] = {ours, theirs};
	uint8_t a[48], b[48];

	memset(a, 0x11, sizeof(a));
	memset(b, 0x22, sizeof(b));
	for (int i = 0; i < 2; i++) {
		if (version == RC_TLS_1_3)
			assert_int_equal(rc_tls_keys_13(ends[i], cipher, a, b, 32, 0, i == 0), 0);
		else
			assert_int_equal(rc_tls_keys_12(ends[i], cipher, 32, a, a, b, i == 0), 0);
	}
}

#endif
