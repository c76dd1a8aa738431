/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens from arbitrary bytes: as a whole token, as a header that is signed, as claims that were signed. Properties: a token is only
 * good with the signature that it has to have; a block of claims says of itself where everything is, and all in it is what
 * whoever reads it relies on.
 */
#include <stdio.h>
#include <stdlib.h>

#include "auth/sign.h"
#include "base/utf8.h"
#include "proto/json.h"

#define NOW_MS 1700000000000ull
#define SECRET "0123456789abcdef0123456789abcdef"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rc_config config;
static struct rc_keys *keys;
static struct rc_signer signer;
static union {
	struct rc_claims claims;
	char bytes[RC_CLAIMS_MAX];
} block;
static char text[65536];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct rc_error err;
	EVP_PKEY *pkey;
	int rc;

	(void)argc, (void)argv;
	rc_config_init(&config);
	keys = rc_keys_new(&config);
	RC_ASSERT(keys != NULL);
	rc = rc_keys_add_secret(keys, RC_ALG_HS256, RC_STR(SECRET), RC_STR("k1"), "secret", &err);
	RC_ASSERT(rc == 0);
	pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	rc = rc_keys_add_public(keys, RC_ALG_EDDSA, pkey, (struct rc_str){0}, "key", &err);
	RC_ASSERT(rc == 0);
	EVP_PKEY_free(pkey);
	rc = rc_signer_secret(&signer, RC_ALG_HS256, RC_STR(SECRET), &err);
	RC_ASSERT(rc == 0);
	return 0;
}

/* An exact copy, so that a byte behind it is seen to be touched. */
static enum rc_token_result verify(struct rc_str token)
{
	char *copy = malloc(token.len + (token.len == 0));
	enum rc_token_result result;

	RC_ASSERT(copy != NULL);
	(void)rc_str_copy(copy, token);
	result = rc_token_verify(keys, (struct rc_str){copy, token.len}, NOW_MS, &block.claims);
	free(copy);
	RC_ASSERT(result < RC_TOKEN_RESULTS && rc_token_reason(result)[0]);
	return result;
}

static void check_block(void)
{
	const struct rc_claims *c = &block.claims;
	size_t len = c->size - offsetof(struct rc_claims, bytes), at = c->user_len;
	struct rc_str info = rc_claims_info(c), item;

	RC_ASSERT(c->size >= offsetof(struct rc_claims, bytes) && c->size <= RC_CLAIMS_MAX);
	RC_ASSERT(c->user_len <= RC_USER_MAX &&
		  (c->user_len == 0 || rc_event_name_valid(rc_claims_user(c))));
	for (uint32_t i = 0; i < RC_CLAIM_LISTS; i++) {
		struct rc_str list = rc_claims_list(c, (enum rc_claim_list)i);

		RC_ASSERT(c->list[i].at == at && at + list.len <= len);
		RC_ASSERT(list.len == 0 || (c->present >> i & 1));
		at += list.len;
		while (list.len) {
			RC_ASSERT(1 + (size_t)(unsigned char)list.ptr[0] <= list.len);
			RC_ASSERT(rc_claims_next(&list, &item) && item.len > 0);
			RC_ASSERT(i >= RC_CLAIM_COMMANDS || rc_name_classify(item) != RC_NAME_BAD);
			RC_ASSERT(rc_utf8_valid(item.ptr, item.len));
		}
	}
	RC_ASSERT(c->info_at == at && at + info.len == len && info.len <= RC_INFO_MAX);
	RC_ASSERT(info.len == 0 || rc_json_validate(info, 16) == 0);
	RC_ASSERT(info.len == 0 || !memchr(info.ptr, '\n', info.len));
	RC_ASSERT(c->max_connections <= 1000000000);
	RC_ASSERT(c->expires_ms == 0 || c->expires_ms > NOW_MS);
}

static void as_token(struct rc_str token)
{
	if (verify(token) != RC_TOKEN_OK)
		return;
	check_block();
	memcpy(text, token.ptr, token.len);
	text[token.len - 1] = text[token.len - 1] == 'A' ? 'E' : 'A';
	RC_ASSERT(verify((struct rc_str){text, token.len}) != RC_TOKEN_OK);
}

static void as_header(struct rc_str header)
{
	int64_t len = rc_token_sign(&signer, header, RC_STR("{\"exp\":1800000000}"), text);

	RC_ASSERT(len > 0);
	if (verify((struct rc_str){text, (size_t)len}) == RC_TOKEN_OK)
		check_block();
}

static void as_claims(struct rc_str payload, uint8_t policy)
{
	enum rc_token_result result;

	config.auth_require_expiry = policy & 1;
	strcpy(config.auth_issuer, policy & 2 ? "me, https://a.example/" : "");
	strcpy(config.auth_audience, policy & 4 ? "us" : "");
	strcpy(config.auth_user_claim, policy & 8 ? "uid" : "sub");
	result = rc_claims_read(payload, &config, NOW_MS, &block.claims);
	RC_ASSERT(result < RC_TOKEN_RESULTS);
	if (result == RC_TOKEN_OK)
		check_block();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rc_str input = {(const char *)data, size};

	if (size < 2 || size > 10000)
		return 0;
	input.ptr++;
	input.len--;
	switch (data[0] % 4) {
	case 0:
		as_token(input);
		break;
	case 1:
		as_header(input);
		break;
	default:
		as_claims(input, (uint8_t)(data[0] / 4));
	}
	return 0;
}
