/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of keys from arbitrary bytes: JWKS and PEM. Properties: a file that is taken gives at least one key, each made for one
 * algorithm and nothing else; one that is not says why, in a sentence that can be printed.
 */
#include <stdlib.h>

#include "auth/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rc_config config;

static void check(const struct rc_keys *keys, int result, const struct rc_error *err)
{
	unsigned char signature[64] = {1};

	RC_ASSERT(keys->count <= RC_KEYS_MAX);
	if (result < 0)
		RC_ASSERT(err->text[0] != '\0');
	else
		RC_ASSERT(result == 0 && keys->count > 0);
	for (uint32_t i = 0; i < keys->count; i++) {
		const struct rc_key *k = &keys->key[i];

		RC_ASSERT(k->alg < RC_ALGS && k->kid_len <= RC_KID_MAX);
		RC_ASSERT((k->mac != NULL) == (k->alg <= RC_ALG_HS512));
		RC_ASSERT((k->verifier != NULL) == (k->alg > RC_ALG_HS512));
		RC_ASSERT(!rc_key_verify(k, RC_STR("x.y"), signature, sizeof(signature)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rc_str text = {(const char *)data, size};
	struct rc_error err = {.text = ""};
	struct rc_keys *keys;

	if (size > 1 << 14)
		return 0;
	if (!config.auth_token_max)
		rc_config_init(&config);
	keys = rc_keys_new(&config);
	RC_ASSERT(keys != NULL);
	check(keys, rc_jwks_read(keys, text, "keys.json", &err), &err);
	rc_keys_close(keys);
	keys = rc_keys_new(&config);
	RC_ASSERT(keys != NULL);
	err.text[0] = '\0';
	check(keys, rc_pem_read(keys, text, "keys.pem", &err), &err);
	rc_keys_close(keys);
	return 0;
}
