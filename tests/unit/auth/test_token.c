/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens: those that are good by every algorithm, the examples of the RFCs, and everything that is tried against verifiers.
 */
#include "tokens.h"

#include <openssl/crypto.h>

static const enum rc_alg all[] = {RC_ALG_HS256, RC_ALG_HS384, RC_ALG_HS512, RC_ALG_RS256,
	RC_ALG_PS256, RC_ALG_ES256, RC_ALG_EDDSA};

struct pair {
	struct rc_keys *keys;
	struct rc_signer signer;
};

static struct pair pairs[RC_ALGS];

static int make_pairs(void **state)
{
	struct rc_error err;

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(all); i++) {
		struct pair *p = &pairs[all[i]];

		if (all[i] <= RC_ALG_HS512) {
			p->keys = keys_of_secret(all[i]);
			p->signer = signer_of_secret(all[i]);
			continue;
		}
		EVP_PKEY *pkey = new_pkey(all[i]);

		p->keys = rc_keys_new(&config);
		assert_int_equal(rc_keys_add_public(p->keys, all[i], pkey, (struct rc_str){0},
					 "the key", &err),
			0);
		p->signer = (struct rc_signer){all[i], pkey};
	}
	return 0;
}

static int free_pairs(void **state)
{
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(all); i++) {
		rc_keys_close(pairs[all[i]].keys);
		rc_signer_close(&pairs[all[i]].signer);
	}
	return 0;
}

static struct rc_str good_token(enum rc_alg alg)
{
	char header[64];

	snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", rc_alg_name(alg));
	return signed_by(&pairs[alg].signer, header, GOOD);
}

static void a_token_of_every_algorithm_is_good_with_its_key_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(all); i++) {
		struct rc_str t = good_token(all[i]);

		assert_result(verify(pairs[all[i]].keys, t), RC_TOKEN_OK);
		assert_true(rc_str_eq(rc_claims_user(&block.claims), RC_STR("anna")));
		for (size_t k = 0; k < RC_ARRAY_LEN(all); k++)
			if (k != i)
				assert_result(verify(pairs[all[k]].keys, t), RC_TOKEN_ALGORITHM);
	}
}

static void the_same_bytes_under_another_algorithm_are_refused(void **state)
{
	char header[64];

	(void)state;
	/* Signed as one, said to be the other, held against the key of the other. */
	for (size_t i = 0; i < RC_ARRAY_LEN(all); i++)
		for (size_t k = 0; k < RC_ARRAY_LEN(all); k++) {
			snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", rc_alg_name(all[k]));
			if (k != i)
				assert_result(
					verify(pairs[all[k]].keys,
						signed_by(&pairs[all[i]].signer, header, GOOD)),
					RC_TOKEN_SIGNATURE);
		}
}

static void no_byte_of_a_token_can_be_changed(void **state)
{
	static const unsigned char bits[] = {1, 2, 4, 8, 16, 32, 64, 128};
	char copy[4096];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(all); i++) {
		struct rc_str t = good_token(all[i]);

		for (size_t at = 0; at < t.len; at++) {
			/* All of them where that is cheap. */
			for (size_t bit = all[i] > RC_ALG_HS512 ? at % 8 : 0;
				bit<8; bit += all[i]> RC_ALG_HS512 ? 8 : 1) {
				memcpy(copy, t.ptr, t.len);
				copy[at] = (char)(copy[at] ^ bits[bit]);
				assert_true(verify(pairs[all[i]].keys,
						    (struct rc_str){copy, t.len}) != RC_TOKEN_OK);
			}
		}
	}
}

static void no_beginning_of_a_token_and_nothing_behind_it_is_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(all); i++) {
		struct rc_str t = good_token(all[i]);
		char copy[4096];

		for (size_t len = 0; len < t.len; len++)
			assert_true(verify(pairs[all[i]].keys, (struct rc_str){t.ptr, len}) !=
				    RC_TOKEN_OK);
		memcpy(copy, t.ptr, t.len);
		for (int c = 0; c < 256; c++) {
			copy[t.len] = (char)c;
			assert_true(verify(pairs[all[i]].keys, (struct rc_str){copy, t.len + 1}) !=
				    RC_TOKEN_OK);
		}
	}
}

static void the_last_character_has_one_writing(void **state)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char copy[4096];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(all); i++) {
		struct rc_str t = good_token(all[i]);
		int good = 0;

		memcpy(copy, t.ptr, t.len);
		for (size_t c = 0; c < 64; c++) {
			copy[t.len - 1] = alphabet[c];
			good += verify(pairs[all[i]].keys, (struct rc_str){copy, t.len}) ==
				RC_TOKEN_OK;
		}
		assert_int_equal(good, 1);
	}
}

/* ---- the RFCs ------------------------------------------------------------------------------------- */

/* RFC 7515 A.1: header and payload with line ends in them, a key of 64 bytes. */
static void the_example_of_hs256_verifies(void **state)
{
	static const char example[] =
		"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
		".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
		".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
	static const char jwks[] =
		"{\"keys\":[{\"kty\":\"oct\",\"k\":"
		"\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}]}";
	struct rc_keys *keys = rc_keys_new(&config);
	struct rc_error err;

	(void)state;
	assert_int_equal(rc_jwks_read(keys, rc_str_of(jwks), "example", &err), 0);
	assert_result(rc_token_verify(keys, rc_str_of(example), 1300819379000ull, &block.claims),
		RC_TOKEN_OK);
	assert_int_equal(block.claims.user_len, 0);
	assert_result(
		rc_token_verify(keys, rc_str_of(example), NOW_MS, &block.claims), RC_TOKEN_EXPIRED);
	rc_keys_close(keys);
}

/* RFC 8037 A.4: the payload is no JSON, so the signature is all that can be good. */
static void the_example_of_ed25519_verifies(void **state)
{
	static const char jwks[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
				   "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
	static const char example[] =
		"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
		".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
	struct rc_keys *keys = rc_keys_new(&config);
	struct rc_error err;
	char changed[sizeof(example)];

	(void)state;
	assert_int_equal(rc_jwks_read(keys, rc_str_of(jwks), "example", &err), 0);
	assert_result(verify(keys, rc_str_of(example)), RC_TOKEN_MALFORMED);
	memcpy(changed, example, sizeof(example));
	changed[70] = changed[70] == 'A' ? 'B' : 'A';
	assert_result(
		verify(keys, (struct rc_str){changed, sizeof(example) - 1}), RC_TOKEN_SIGNATURE);
	rc_keys_close(keys);
}

/* RFC 7515 A.3: the same claims as in A.1. */
static void the_example_of_es256_verifies(void **state)
{
	static const char jwks[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
				   "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
				   "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";
	static const char example[] =
		"eyJhbGciOiJFUzI1NiJ9"
		".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
		".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
	struct rc_keys *keys = rc_keys_new(&config);
	struct rc_error err;

	(void)state;
	assert_int_equal(rc_jwks_read(keys, rc_str_of(jwks), "example", &err), 0);
	assert_result(rc_token_verify(keys, rc_str_of(example), 1300819379000ull, &block.claims),
		RC_TOKEN_OK);
	rc_keys_close(keys);
}

/* ---- attacks -------------------------------------------------------------------------------------- */

static struct rc_str unsigned_token(const char *header, const char *signature)
{
	size_t len = rc_base64url_encode(header, strlen(header), token_text);

	token_text[len++] = '.';
	len += rc_base64url_encode(GOOD, strlen(GOOD), token_text + len);
	token_text[len++] = '.';
	memcpy(token_text + len, signature, strlen(signature));
	return (struct rc_str){token_text, len + strlen(signature)};
}

static void a_token_without_a_signature_is_refused_however_none_is_written(void **state)
{
	static const char *const none[] = {"none", "None", "NONE", "nOnE", "none ", " none", "",
		"no\\u006ee", "HS256 ", "hs256", "Hs256", "HS257", "RS512", "ES384", "dir", "A",
		"HS256HS256HS256HS256"};
	char header[100];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(none); i++)
		for (size_t k = 0; k < RC_ARRAY_LEN(all); k++) {
			snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", none[i]);
			assert_result(verify(pairs[all[k]].keys, unsigned_token(header, "")),
				RC_TOKEN_ALGORITHM);
			assert_result(verify(pairs[all[k]].keys, unsigned_token(header, "AAAA")),
				RC_TOKEN_ALGORITHM);
		}
	/* With an algorithm that is right, nothing is no signature either. */
	for (size_t k = 0; k < RC_ARRAY_LEN(all); k++) {
		snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", rc_alg_name(all[k]));
		assert_result(
			verify(pairs[all[k]].keys, unsigned_token(header, "")), RC_TOKEN_SIGNATURE);
	}
}

static void a_public_key_is_no_secret(void **state)
{
	static const enum rc_alg asymmetric[] = {RC_ALG_RS256, RC_ALG_PS256, RC_ALG_ES256};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(asymmetric); i++) {
		const struct pair *p = &pairs[asymmetric[i]];
		struct rc_str pem = pem_of(p->signer.pkey, false);
		struct rc_signer s;
		struct rc_error err;

		/* In each writing that the attacker may try. */
		for (size_t cut = 0; cut < 2; cut++)
			for (uint32_t alg = RC_ALG_HS256; alg <= RC_ALG_HS512; alg++) {
				char header[64];

				snprintf(header, sizeof(header), "{\"alg\":\"%s\"}",
					rc_alg_name((enum rc_alg)alg));
				assert_int_equal(
					rc_signer_secret(&s, (enum rc_alg)alg,
						(struct rc_str){pem.ptr, pem.len - cut}, &err),
					0);
				assert_result(verify(p->keys, signed_by(&s, header, GOOD)),
					RC_TOKEN_ALGORITHM);
				rc_signer_close(&s);
			}
	}
}

static void es256_has_no_signature_that_fits_everything(void **state)
{
	unsigned char raw[64];
	char text[100];

	(void)state;
	for (int kind = 0; kind < 6; kind++) {
		static const unsigned char order[32] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff,
			0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
			0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

		memset(raw, kind == 1 ? 0xff : 0, sizeof(raw));
		if (kind == 2 || kind == 4)
			memcpy(raw, order, 32);
		if (kind == 3 || kind == 4)
			memcpy(raw + 32, order, 32);
		if (kind == 5)
			raw[31] = raw[63] = 1;
		text[rc_base64url_encode(raw, sizeof(raw), text)] = '\0';
		assert_result(verify(pairs[RC_ALG_ES256].keys,
				      unsigned_token("{\"alg\":\"ES256\"}", text)),
			RC_TOKEN_SIGNATURE);
	}
}

static void es256_takes_no_der(void **state)
{
	struct rc_str t = good_token(RC_ALG_ES256);
	unsigned char der[100];
	size_t len = sizeof(der);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t dot = (size_t)((char *)memrchr(t.ptr, '.', t.len) - t.ptr);

	(void)state;
	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL,
				 pairs[RC_ALG_ES256].signer.pkey, NULL),
		1);
	assert_int_equal(EVP_DigestSign(ctx, der, &len, (const unsigned char *)t.ptr, dot), 1);
	EVP_MD_CTX_free(ctx);
	len = rc_base64url_encode(der, len, token_text + dot + 1);
	assert_result(verify(pairs[RC_ALG_ES256].keys, (struct rc_str){token_text, dot + 1 + len}),
		RC_TOKEN_SIGNATURE);
}

static void es256_counts_the_zeros_in_front_of_a_number(void **state)
{
	int seen = 0;

	(void)state;
	/* One of 128 signatures has a number that begins with a zero byte. */
	for (int i = 0; i < 4000 && seen < 3; i++) {
		struct rc_str t = good_token(RC_ALG_ES256);
		unsigned char raw[64];
		const char *dot = memrchr(t.ptr, '.', t.len);

		assert_int_equal(rc_base64url_decode((struct rc_str){dot + 1,
							     (size_t)(t.ptr + t.len - dot - 1)},
					 raw, sizeof(raw)),
			64);
		if (raw[0] && raw[32])
			continue;
		seen++;
		assert_result(verify(pairs[RC_ALG_ES256].keys, t), RC_TOKEN_OK);
	}
	assert_int_equal(seen, 3);
}

static void what_is_no_token_is_malformed(void **state)
{
	static const char *const bad[] = {"", ".", "..", "...", "a", "a.b", "a.b.c", "e30.e30.",
		"e30.e30.AAAA", "bnVsbA.e30.AAAA", "W10.e30.AAAA", "eyJhbGciOjF9.e30.AAAA",
		"eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9.e30", "eyJhbGciOiJIUzI1NiJ9.e30.!!!!",
		"eyJhbGciOiJIUzI1NiJ9.e30.AAAA.AAAA", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA.AAAA.AAAA",
		"eyJhbGciOiJIUzI1NiJ9=.e30=.AAAA", " eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
		"eyJhbGciOiJIUzI1NiJ9.e30.AAAA\n", "eyJhbGciOiJIUzI1NiJ9.e30.AAA+",
		"eyJhbGciOiJIUzI1NiJ9.e30.AAAAA"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++)
		assert_result(
			verify(pairs[RC_ALG_HS256].keys, rc_str_of(bad[i])), RC_TOKEN_MALFORMED);
	/* A byte of zero is one of those that mean nothing. */
	for (size_t at = 0; at < 30; at++) {
		struct rc_str t = good_token(RC_ALG_HS256);

		token_text[at] = '\0';
		assert_result(verify(pairs[RC_ALG_HS256].keys, t), RC_TOKEN_MALFORMED);
	}
}

static void a_header_is_read_strictly(void **state)
{
	static const struct {
		const char *header;
		enum rc_token_result result;
	} cases[] = {
		{"{\"typ\":\"jwt\",\"alg\":\"HS256\"}", RC_TOKEN_OK},
		{"{\"typ\":\"at+jwt\",\"alg\":\"HS256\"}", RC_TOKEN_OK},
		{"{\"typ\":\"application/at+JWT\",\"alg\":\"HS256\"}", RC_TOKEN_OK},
		{" {\"alg\" : \"HS256\", \"jku\":\"https://evil.example/\", \"x\":{\"y\":[1]}}",
			RC_TOKEN_OK},
		{"{\"\\u0061lg\":\"HS\\u0032\\u0035\\u0036\"}", RC_TOKEN_OK},
		{"{\"typ\":\"logout+jwt\",\"alg\":\"HS256\"}", RC_TOKEN_MALFORMED},
		{"{\"typ\":\"application/\",\"alg\":\"HS256\"}", RC_TOKEN_MALFORMED},
		{"{\"typ\":5,\"alg\":\"HS256\"}", RC_TOKEN_MALFORMED},
		{"{\"typ\":null,\"alg\":\"HS256\"}", RC_TOKEN_MALFORMED},
		{"{\"crit\":[\"exp\"],\"alg\":\"HS256\",\"exp\":1}", RC_TOKEN_MALFORMED},
		{"{\"crit\":[],\"alg\":\"HS256\"}", RC_TOKEN_MALFORMED},
		{"{\"crit\":null,\"alg\":\"HS256\"}", RC_TOKEN_MALFORMED},
		{"{\"crit\":[\"b64\"],\"b64\":false,\"alg\":\"HS256\"}", RC_TOKEN_MALFORMED},
		{"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", RC_TOKEN_MALFORMED},
		{"{\"alg\":\"none\",\"alg\":\"HS256\"}", RC_TOKEN_MALFORMED},
		{"{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}", RC_TOKEN_MALFORMED},
		{"{\"x\":1,\"alg\":\"HS256\",\"x\":2}", RC_TOKEN_MALFORMED},
		{"{\"alg\":[\"HS256\"]}", RC_TOKEN_MALFORMED},
		{"{\"alg\":null}", RC_TOKEN_MALFORMED},
		{"{\"alg\":256}", RC_TOKEN_MALFORMED},
		{"{\"alg\":\"HS256\\u0000\"}", RC_TOKEN_MALFORMED},
		{"{}", RC_TOKEN_MALFORMED},
		{"[]", RC_TOKEN_MALFORMED},
		{"\"HS256\"", RC_TOKEN_MALFORMED},
		{"{\"alg\":\"HS256\"}}", RC_TOKEN_MALFORMED},
		{"{\"alg\":\"HS256\",}", RC_TOKEN_MALFORMED},
		{"{\"alg\":\"HS256\",\"x\":[[[[1]]]]}", RC_TOKEN_MALFORMED},
		{"{\"alg\":\"HS256\",\"x\":\"\xff\"}", RC_TOKEN_MALFORMED},
		{"", RC_TOKEN_MALFORMED},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		enum rc_token_result got =
			verify(pairs[RC_ALG_HS256].keys, token(cases[i].header, GOOD));

		if (got != cases[i].result)
			fail_msg("%s: %s", cases[i].header, rc_token_reason(got));
	}
}

static void a_header_is_bounded(void **state)
{
	char header[4096] = "{\"alg\":\"HS256\"";
	size_t len = strlen(header);

	(void)state;
	for (int i = 0; i < 30; i++)
		len += (size_t)snprintf(header + len, sizeof(header) - len, ",\"m%d\":1", i);
	snprintf(header + len, sizeof(header) - len, "}");
	assert_result(verify(pairs[RC_ALG_HS256].keys, token(header, GOOD)), RC_TOKEN_MALFORMED);
	snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"x\":\"%02000d\"}", 0);
	assert_result(verify(pairs[RC_ALG_HS256].keys, token(header, GOOD)), RC_TOKEN_MALFORMED);
	snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"%0100d\":1}", 0);
	assert_result(verify(pairs[RC_ALG_HS256].keys, token(header, GOOD)), RC_TOKEN_MALFORMED);
}

static void a_kid_is_a_name_and_nothing_else(void **state)
{
	static const struct {
		const char *kid; /* as JSON */
		enum rc_token_result result;
	} cases[] = {
		{"\"k1\"", RC_TOKEN_OK},
		{"\"\\u006b1\"", RC_TOKEN_OK},
		{"\"k2\"", RC_TOKEN_SIGNATURE},
		{"\"k3\"", RC_TOKEN_ALGORITHM},
		{"\"K1\"", RC_TOKEN_UNKNOWN_KEY},
		{"\"\"", RC_TOKEN_UNKNOWN_KEY},
		{"\"../../../../dev/null\"", RC_TOKEN_UNKNOWN_KEY},
		{"\"/proc/sys/kernel/randomize_va_space\"", RC_TOKEN_UNKNOWN_KEY},
		{"\"k1' OR '1'='1\"", RC_TOKEN_UNKNOWN_KEY},
		{"\"k1\\u0000\"", RC_TOKEN_MALFORMED},
		{"\"\\ud800\"", RC_TOKEN_MALFORMED},
		{"1", RC_TOKEN_MALFORMED},
		{"null", RC_TOKEN_MALFORMED},
		{"[\"k1\"]", RC_TOKEN_MALFORMED},
	};
	struct rc_keys *keys = rc_keys_new(&config);
	struct rc_error err;
	char header[600];

	(void)state;
	assert_int_equal(rc_keys_add_secret(keys, RC_ALG_HS256, RC_STR("another" SECRET),
				 RC_STR("k2"), "2", &err),
		0);
	assert_int_equal(
		rc_keys_add_secret(keys, RC_ALG_HS256, RC_STR(SECRET), RC_STR("k1"), "1", &err), 0);
	assert_int_equal(
		rc_keys_add_secret(keys, RC_ALG_HS512, RC_STR(SECRET), RC_STR("k3"), "3", &err), 0);
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":%s}", cases[i].kid);
		enum rc_token_result got = verify(keys, token(header, GOOD));

		if (got != cases[i].result)
			fail_msg("%s: %s", header, rc_token_reason(got));
	}
	snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%0400d\"}", 0);
	assert_result(verify(keys, token(header, GOOD)), RC_TOKEN_UNKNOWN_KEY);
	/* Without a kid each key of the algorithm is tried. */
	assert_result(verify(keys, token(HS256, GOOD)), RC_TOKEN_OK);
	rc_keys_close(keys);
	/* A key that has no name is meant by every name. */
	assert_result(verify(pairs[RC_ALG_HS256].keys,
			      token("{\"alg\":\"HS256\",\"kid\":\"theirs\"}", GOOD)),
		RC_TOKEN_OK);
}

static void without_a_kid_only_so_many_keys_are_tried(void **state)
{
	struct rc_keys *keys = rc_keys_new(&config);
	struct rc_error err;
	char secret[64];

	(void)state;
	for (int i = 0; i < 8; i++) {
		snprintf(secret, sizeof(secret), "%040d", i);
		assert_int_equal(rc_keys_add_secret(keys, RC_ALG_HS256, rc_str_of(secret),
					 (struct rc_str){0}, "key", &err),
			0);
	}
	assert_int_equal(
		rc_keys_add_secret(keys, RC_ALG_HS256, RC_STR(SECRET), RC_STR("last"), "key", &err),
		0);
	assert_result(verify(keys, token(HS256, GOOD)), RC_TOKEN_SIGNATURE);
	assert_result(
		verify(keys, token("{\"alg\":\"HS256\",\"kid\":\"last\"}", GOOD)), RC_TOKEN_OK);
	rc_keys_close(keys);
}

static size_t allocated;

static void *count_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	allocated += size;
	return malloc(size);
}

static void *count_realloc(void *at, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	allocated += size;
	return realloc(at, size);
}

static void count_free(void *at, const char *file, int line)
{
	(void)file, (void)line;
	free(at);
}

static void a_token_that_is_too_large_is_not_looked_at(void **state)
{
	size_t len = 1 << 20;
	char *large = malloc(len);

	(void)state;
	assert_non_null(large);
	memset(large, 'A', len);
	memcpy(large, "eyJhbGciOiJIUzI1NiJ9.", 21);
	large[len - 10] = '.';
	allocated = 0;
	assert_result(
		verify(pairs[RC_ALG_HS256].keys, (struct rc_str){large, len}), RC_TOKEN_TOO_LARGE);
	assert_result(
		verify(pairs[RC_ALG_HS256].keys, (struct rc_str){large, 8193}), RC_TOKEN_TOO_LARGE);
	assert_int_equal(allocated, 0);
	assert_true(verify(pairs[RC_ALG_HS256].keys, (struct rc_str){large, 8192}) !=
		    RC_TOKEN_TOO_LARGE);
	free(large);
}

/* What OpenSSL takes for one verification, in all. It gives it back: the sanitizer would tell. */
static void a_verification_allocates_a_bounded_amount(void **state)
{
	static char payload[7000];

	(void)state;
	snprintf(payload, sizeof(payload), "{\"exp\":1700000300,\"x\":\"%05000d\"}", 0);
	for (size_t i = 0; i < RC_ARRAY_LEN(all); i++) {
		char header[64];
		struct rc_str t;

		snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", rc_alg_name(all[i]));
		t = signed_by(&pairs[all[i]].signer, header, payload);
		assert_result(verify(pairs[all[i]].keys, t), RC_TOKEN_OK);
		allocated = 0;
		assert_result(verify(pairs[all[i]].keys, t), RC_TOKEN_OK);
		print_message("%s: %zu bytes\n", rc_alg_name(all[i]), allocated);
		assert_in_range(allocated, 1, 32768);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_of_every_algorithm_is_good_with_its_key_only),
		cmocka_unit_test(the_same_bytes_under_another_algorithm_are_refused),
		cmocka_unit_test(no_byte_of_a_token_can_be_changed),
		cmocka_unit_test(no_beginning_of_a_token_and_nothing_behind_it_is_good),
		cmocka_unit_test(the_last_character_has_one_writing),
		cmocka_unit_test(the_example_of_hs256_verifies),
		cmocka_unit_test(the_example_of_ed25519_verifies),
		cmocka_unit_test(the_example_of_es256_verifies),
		cmocka_unit_test(a_token_without_a_signature_is_refused_however_none_is_written),
		cmocka_unit_test(a_public_key_is_no_secret),
		cmocka_unit_test(es256_has_no_signature_that_fits_everything),
		cmocka_unit_test(es256_takes_no_der),
		cmocka_unit_test(es256_counts_the_zeros_in_front_of_a_number),
		cmocka_unit_test(what_is_no_token_is_malformed),
		cmocka_unit_test(a_header_is_read_strictly),
		cmocka_unit_test(a_header_is_bounded),
		cmocka_unit_test(a_kid_is_a_name_and_nothing_else),
		cmocka_unit_test(without_a_kid_only_so_many_keys_are_tried),
		cmocka_unit_test(a_token_that_is_too_large_is_not_looked_at),
		cmocka_unit_test(a_verification_allocates_a_bounded_amount),
	};

	/* Before OpenSSL allocates anything. */
	(void)CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free);
	(void)tokens_reset(NULL);
	return cmocka_run_group_tests(tests, make_pairs, free_pairs);
}
