/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys out of secrets, PEM and JWKS: which are taken, for what, and what is said of those that are not.
 */
#include "tokens.h"

#include <limits.h>

#include <openssl/x509.h>

#include "auth/auth.h"
#include "base/file.h"

static struct rc_error err;

static void says(const char *words)
{
	if (!strstr(err.text, words))
		fail_msg("'%s' does not say '%s'", err.text, words);
}

static void warns(const struct rc_keys *keys, uint32_t count, const char *words)
{
	assert_int_equal(keys->warnings, count);
	if (!strstr(keys->warning[count - 1], words))
		fail_msg("'%s' does not say '%s'", keys->warning[count - 1], words);
}

/* ---- secrets -------------------------------------------------------------------------------------- */

static void a_secret_is_as_long_as_its_digest_at_least(void **state)
{
	static const struct {
		enum rc_alg alg;
		size_t least;
	} cases[] = {{RC_ALG_HS256, 32}, {RC_ALG_HS384, 48}, {RC_ALG_HS512, 64}};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct rc_keys *keys = rc_keys_new(&config);

		assert_int_equal(rc_keys_add_secret(keys, cases[i].alg,
					 (struct rc_str){SECRET, cases[i].least - 1},
					 (struct rc_str){0}, "here", &err),
			-1);
		says("here: the secret has");
		assert_int_equal(keys->count, 0);
		assert_int_equal(rc_keys_add_secret(keys, cases[i].alg,
					 (struct rc_str){SECRET, cases[i].least},
					 (struct rc_str){0}, "here", &err),
			0);
		assert_int_equal(keys->count, 1);
		rc_keys_close(keys);
	}
}

static void a_pem_file_is_no_secret(void **state)
{
	EVP_PKEY *pkey = new_pkey(RC_ALG_RS256);
	struct rc_keys *keys = rc_keys_new(&config);

	(void)state;
	assert_int_equal(rc_keys_add_secret(keys, RC_ALG_HS256, pem_of(pkey, false),
				 (struct rc_str){0}, "here", &err),
		-1);
	says("name it as public_key");
	rc_keys_close(keys);
	EVP_PKEY_free(pkey);
}

/* ---- PEM ------------------------------------------------------------------------------------------ */

static struct rc_keys *keys_of_pem(struct rc_str pem)
{
	struct rc_keys *keys = rc_keys_new(&config);

	if (rc_pem_read(keys, pem, "file.pem", &err) == 0)
		return keys;
	rc_keys_close(keys);
	return NULL;
}

static void a_public_key_is_for_the_algorithm_of_its_type(void **state)
{
	static const enum rc_alg algs[] = {RC_ALG_RS256, RC_ALG_ES256, RC_ALG_EDDSA};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(algs); i++) {
		EVP_PKEY *pkey = new_pkey(algs[i]);
		struct rc_keys *keys = keys_of_pem(pem_of(pkey, false));

		assert_non_null(keys);
		assert_int_equal(keys->count, 1);
		assert_int_equal(keys->key[0].alg, algs[i]);
		assert_null(keys->key[0].mac);
		assert_false(keys->key[0].has_kid);
		rc_keys_close(keys);
		EVP_PKEY_free(pkey);
	}
}

static void an_algorithm_that_is_named_must_fit_the_key(void **state)
{
	static const uint32_t named[] = {
		RC_CONFIG_RS256, RC_CONFIG_PS256, RC_CONFIG_ES256, RC_CONFIG_EDDSA};
	static const enum rc_alg alg[] = {RC_ALG_RS256, RC_ALG_PS256, RC_ALG_ES256, RC_ALG_EDDSA};
	static const enum rc_alg types[] = {RC_ALG_RS256, RC_ALG_ES256, RC_ALG_EDDSA};

	(void)state;
	for (size_t t = 0; t < RC_ARRAY_LEN(types); t++) {
		EVP_PKEY *pkey = new_pkey(types[t]);

		for (size_t n = 0; n < RC_ARRAY_LEN(named); n++) {
			config.auth_public_key_algorithm = named[n];
			bool fits = alg[n] == types[t] ||
				    (alg[n] == RC_ALG_PS256 && types[t] == RC_ALG_RS256);
			struct rc_keys *keys = keys_of_pem(pem_of(pkey, false));

			assert_int_equal(keys != NULL, fits);
			if (keys)
				assert_int_equal(keys->key[0].alg, alg[n]);
			else
				says("the key can't be one for");
			rc_keys_close(keys);
		}
		EVP_PKEY_free(pkey);
	}
}

static struct rc_str certificate_of(EVP_PKEY *pkey, long until_s)
{
	static char text[8192];
	X509 *x = X509_new();
	BIO *out = BIO_new(BIO_s_mem());
	int len;

	X509_gmtime_adj(X509_getm_notBefore(x), -86400l * 2);
	X509_gmtime_adj(X509_getm_notAfter(x), until_s);
	assert_int_equal(X509_set_pubkey(x, pkey), 1);
	assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(out, x), 1);
	len = BIO_read(out, text, sizeof(text));
	BIO_free(out);
	X509_free(x);
	return (struct rc_str){text, (size_t)len};
}

static void a_certificate_gives_its_key(void **state)
{
	EVP_PKEY *pkey = new_pkey(RC_ALG_ES256);
	struct rc_keys *keys = keys_of_pem(certificate_of(pkey, 86400));

	(void)state;
	assert_non_null(keys);
	assert_int_equal(keys->key[0].alg, RC_ALG_ES256);
	assert_int_equal(keys->warnings, 0);
	rc_keys_close(keys);
	keys = keys_of_pem(certificate_of(pkey, -86400));
	assert_non_null(keys);
	warns(keys, 1, "file.pem: block 1 in it: the certificate has expired");
	rc_keys_close(keys);
	EVP_PKEY_free(pkey);
}

static void several_keys_may_stand_in_one_file(void **state)
{
	EVP_PKEY *a = new_pkey(RC_ALG_ES256), *b = new_pkey(RC_ALG_EDDSA);
	char text[20000];
	struct rc_keys *keys;
	struct rc_str pem;
	size_t len;

	(void)state;
	pem = pem_of(a, false);
	len = (size_t)snprintf(text, sizeof(text), "# ours\n%.*s", (int)pem.len, pem.ptr);
	/* Each one that is made has a signature of its own, and these differ in length. */
	pem = certificate_of(a, 86400);
	len += (size_t)snprintf(
		text + len, sizeof(text) - len, "\n\nand theirs\n%.*s", (int)pem.len, pem.ptr);
	pem = pem_of(b, false);
	len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s", (int)pem.len, pem.ptr);
	keys = keys_of_pem((struct rc_str){text, len});
	assert_non_null(keys);
	assert_int_equal(keys->count, 3);
	assert_int_equal(keys->key[2].alg, RC_ALG_EDDSA);
	rc_keys_close(keys);
	/* Cut off in the last of them. */
	assert_null(keys_of_pem((struct rc_str){text, len - 40}));
	says("file.pem: block 3 in it is damaged");
	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
}

static void what_a_pem_file_should_not_be_is_said(void **state)
{
	EVP_PKEY *rsa = EVP_RSA_gen(1024), *p384 = EVP_EC_gen("P-384"),
		 *ed = new_pkey(RC_ALG_EDDSA);

	(void)state;
	assert_null(keys_of_pem((struct rc_str){NULL, 0}));
	says("file.pem: there is no public key");
	assert_null(keys_of_pem(RC_STR("{\"keys\":[]}")));
	says("file.pem: there is no public key");
	assert_null(keys_of_pem(
		RC_STR("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")));
	says("damaged, or of an unknown kind");
	assert_null(keys_of_pem(pem_of(ed, true)));
	says("is a private key");
	assert_null(keys_of_pem(pem_of(rsa, false)));
	says("the RSA key has 1024 bits");
	assert_null(keys_of_pem(pem_of(p384, false)));
	says("RSA, EC on P-256, or Ed25519");
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(ed);
}

static void more_keys_than_there_is_room_for_are_refused(void **state)
{
	struct rc_keys *keys = rc_keys_new(&config);

	(void)state;
	for (uint32_t i = 0; i < RC_KEYS_MAX; i++)
		assert_int_equal(rc_keys_add_secret(keys, RC_ALG_HS256, RC_STR(SECRET),
					 (struct rc_str){0}, "here", &err),
			0);
	assert_int_equal(rc_keys_add_secret(keys, RC_ALG_HS256, RC_STR(SECRET), (struct rc_str){0},
				 "here", &err),
		-1);
	says("more than 128 keys");
	rc_keys_close(keys);
}

/* ---- JWKS ----------------------------------------------------------------------------------------- */

/* Of RFC 7517 A.1 and RFC 8037 A.2. */
#define N                                                                                       \
	"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSo" \
	"c_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YG" \
	"jQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt" \
	"-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDK" \
	"gw"
#define RSA  "\"kty\":\"RSA\",\"n\":\"" N "\",\"e\":\"AQAB\""
#define EC_X "\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\""
#define EC_Y "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\""
#define EC   "\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X "," EC_Y
#define OKP \
	"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define OCT32 "\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\""
#define OCT \
	"\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg\""

static struct rc_keys *keys_of_jwks(const char *text)
{
	struct rc_keys *keys = rc_keys_new(&config);

	err.text[0] = '\0';
	if (rc_jwks_read(keys, rc_str_of(text), "keys.json", &err) == 0)
		return keys;
	rc_keys_close(keys);
	return NULL;
}

/* One key with these members, behind one that is good. */
static struct rc_keys *keys_of_jwk(const char *members)
{
	char text[4096];

	snprintf(text, sizeof(text), "{\"keys\":[{" OKP "},{%s}]}", members);
	return keys_of_jwks(text);
}

static void keys_of_each_type_are_taken_for_their_algorithm(void **state)
{
	static const struct {
		const char *members;
		enum rc_alg alg;
	} cases[] = {
		{RSA, RC_ALG_RS256},
		{RSA ",\"alg\":\"RS256\"", RC_ALG_RS256},
		{RSA ",\"alg\":\"PS256\"", RC_ALG_PS256},
		{EC, RC_ALG_ES256},
		{EC ",\"alg\":\"ES256\",\"use\":\"sig\"", RC_ALG_ES256},
		{OKP ",\"alg\":\"EdDSA\",\"key_ops\":[\"sign\",\"verify\"]", RC_ALG_EDDSA},
		{OKP ",\"alg\":\"Ed25519\"", RC_ALG_EDDSA},
		{OCT32, RC_ALG_HS256},
		{OCT ",\"alg\":\"HS384\"", RC_ALG_HS384},
		{OCT ",\"alg\":\"HS512\",\"x5c\":[\"a\"],\"more\":{\"x\":1}", RC_ALG_HS512},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct rc_keys *keys = keys_of_jwk(cases[i].members);

		if (!keys)
			fail_msg("%s: %s", cases[i].members, err.text);
		assert_int_equal(keys->count, 2);
		assert_int_equal(keys->warnings, 0);
		assert_int_equal(keys->key[1].alg, cases[i].alg);
		assert_int_equal(keys->key[1].mac != NULL, cases[i].alg <= RC_ALG_HS512);
		assert_int_equal(keys->key[1].verifier != NULL, cases[i].alg > RC_ALG_HS512);
		rc_keys_close(keys);
	}
}

static void keys_that_do_not_say_it_are_for_what_the_configuration_says(void **state)
{
	struct rc_keys *keys;

	(void)state;
	config.auth_public_key_algorithm = RC_CONFIG_PS256;
	config.auth_hmac_algorithm = RC_CONFIG_HS512;
	keys = keys_of_jwks("{\"keys\":[{" RSA "},{" OCT "},{" EC "}]}");
	assert_non_null(keys);
	assert_int_equal(keys->key[0].alg, RC_ALG_PS256);
	assert_int_equal(keys->key[1].alg, RC_ALG_HS512);
	assert_int_equal(keys->key[2].alg, RC_ALG_ES256);
	rc_keys_close(keys);
}

static void a_kid_is_kept(void **state)
{
	struct rc_keys *keys = keys_of_jwk(OCT ",\"kid\":\"\\u00e4/1\"");
	char members[600];

	(void)state;
	assert_non_null(keys);
	assert_true(keys->key[1].has_kid);
	assert_true(rc_str_eq(
		(struct rc_str){keys->key[1].kid, keys->key[1].kid_len}, RC_STR("\xc3\xa4/1")));
	assert_false(keys->key[0].has_kid);
	rc_keys_close(keys);
	snprintf(members, sizeof(members), OCT ",\"kid\":\"%0257d\"", 0);
	assert_null(keys_of_jwk(members));
	says("keys.json: key 2 in it: its kid is no text, or longer than 256 bytes");
	assert_null(keys_of_jwk(OCT ",\"kid\":1"));
	says("its kid is no text");
}

static void keys_for_others_are_left_out_with_a_warning(void **state)
{
	static const struct {
		const char *members, *words;
	} cases[] = {
		{"\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"A\",\"y\":\"A\"",
			"key 2 in it: left out: its kind"},
		{"\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"A\"", "its kind (kty, crv)"},
		{"\"kty\":\"AKP\",\"alg\":\"ML-DSA-44\",\"pub\":\"A\"", "its kind (kty, crv)"},
		{"", "its kind (kty, crv)"},
		{"\"kty\":7", "its kind (kty, crv)"},
		{RSA ",\"use\":\"enc\"", "not for verifying"},
		{RSA ",\"use\":1", "not for verifying"},
		{OCT ",\"key_ops\":[\"sign\"]", "not for verifying"},
		{OCT ",\"key_ops\":\"verify\"", "not for verifying"},
		{RSA ",\"alg\":\"RS512\"", "its alg is not one of ours"},
		{RSA ",\"alg\":\"none\"", "its alg is not one of ours"},
		{OCT ",\"alg\":\"A128GCM\"", "its alg is not one of ours"},
		{OCT ",\"alg\":7", "its alg is not one of ours"},
		{EC ",\"alg\":\"Ed25519\"", "its alg is not one of ours"},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct rc_keys *keys = keys_of_jwk(cases[i].members);

		if (!keys)
			fail_msg("%s: %s", cases[i].members, err.text);
		assert_int_equal(keys->count, 1);
		warns(keys, 1, cases[i].words);
		rc_keys_close(keys);
	}
}

static void keys_for_us_that_are_wrong_refuse_the_file(void **state)
{
	static const struct {
		const char *members, *words;
	} cases[] = {
		{RSA ",\"alg\":\"HS256\"", "one for secrets, and it is a public key"},
		{EC ",\"alg\":\"HS256\"", "one for secrets, and it is a public key"},
		{RSA ",\"alg\":\"ES256\"", "the key can't be one for ES256"},
		{EC ",\"alg\":\"RS256\"", "the key can't be one for RS256"},
		{OCT ",\"alg\":\"RS256\"", "one for public keys, and it is a secret"},
		{"\"kty\":\"oct\"", "its k is missing"},
		{"\"kty\":\"oct\",\"k\":\"c2hvcnQ\"", "the secret has 5 bytes"},
		{"\"kty\":\"oct\",\"k\":\"c2hvcnQ=\"", "not base64url"},
		{OCT32 ",\"alg\":\"HS512\"", "HS512 needs 64"},
		{"\"kty\":\"RSA\",\"n\":\"" N "\"", "the numbers of the key are missing or wrong"},
		{"\"kty\":\"RSA\",\"n\":\"" N "\",\"e\":\"AQABAAABAAABAAABAAABAA\"",
			"odd exponent"},
		{"\"kty\":\"RSA\",\"n\":\"" N "\",\"e\":\"AQAC\"", "odd exponent"},
		{"\"kty\":\"RSA\",\"n\":\"" N "\",\"e\":\"AQ\"", "odd exponent"},
		{"\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"", "which can be broken"},
		{"\"kty\":\"RSA\",\"n\":\"\",\"e\":\"\"", "missing or wrong"},
		{"\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X, "missing or wrong"},
		/* No point of the curve. */
		{"\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X
		 ",\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyQ\"",
			"missing or wrong"},
		{"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"", "missing or wrong"},
		{"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"", "missing or wrong"},
		{OCT ",\"kty\":\"RSA\"", "is no object, or has a member twice"},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		if (keys_of_jwk(cases[i].members))
			fail_msg("%s is taken", cases[i].members);
		says("keys.json: key 2 in it");
		says(cases[i].words);
	}
}

static void what_is_no_jwks_is_refused(void **state)
{
	static const char unclosed[] = "{\"keys\":[{" OCT "}]";
	static const char twice[] = "{\"keys\":[{" OCT "}],\"keys\":[]}";
	static const char *const bad[] = {"", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[1]}",
		"{\"keys\":[]}", unclosed, twice, "{\"keys\":[null]}",
		"{\"keys\":[[[[[[[[[[[]]]]]]]]]]]}", "{\"keys\":[{\"kty\":\"x\"}]}"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		if (keys_of_jwks(bad[i]))
			fail_msg("%s is taken", bad[i]);
		says("keys.json: ");
	}
}

static void a_private_key_in_a_jwks_is_used_as_a_public_one_and_told(void **state)
{
	struct rc_keys *keys =
		keys_of_jwk(OKP ",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"");

	(void)state;
	assert_non_null(keys);
	assert_int_equal(keys->count, 2);
	warns(keys, 1, "is a private key");
	rc_keys_close(keys);
}

/* ---- all of them, from files ---------------------------------------------------------------------- */

static char folder[] = "/tmp/rc-keys-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

/* Into a new file that takes the place of the old one. */
static void put_file(char *path, const char *name, struct rc_str text, mode_t mode)
{
	char fresh[PATH_MAX];
	FILE *out;

	snprintf(path, RC_CONFIG_TEXT_SIZE, "%s/%s", folder, name);
	snprintf(fresh, sizeof(fresh), "%s/fresh", folder);
	out = fopen(fresh, "we");
	assert_non_null(out);
	assert_int_equal(fwrite(text.ptr, 1, text.len, out), text.len);
	assert_int_equal(fchmod(fileno(out), mode), 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(rename(fresh, path), 0);
}

static void hear(void *ctx, bool warning, const char *text)
{
	char *heard = ctx;

	snprintf(heard + strlen(heard), 2000 - strlen(heard), "%s%s\n", warning ? "! " : "", text);
}

static void secret_pem_and_jwks_are_read_together(void **state)
{
	EVP_PKEY *pkey = new_pkey(RC_ALG_ES256);
	char heard[2000] = "";
	struct rc_auth *auth;

	(void)state;
	put_file(config.auth_hmac_secret_file, "secret", RC_STR(SECRET "\r\n"), 0600);
	put_file(config.auth_public_key, "keys.pem", pem_of(pkey, false), 0644);
	put_file(config.auth_jwks, "keys.json", RC_STR("{\"keys\":[{" OKP "},{\"kty\":\"x\"}]}"),
		0644);
	assert_int_equal(rc_auth_open(&auth, &config, &err), 0);
	assert_int_equal(auth->keys->count, 3);
	assert_result(verify(auth->keys, token(HS256, GOOD)), RC_TOKEN_OK);
	rc_auth_describe(auth, hear, heard);
	assert_non_null(strstr(heard, "3 keys: 1 for HS256, 1 for ES256, 1 for EdDSA\n"));
	assert_non_null(strstr(heard, "! "));
	assert_null(strstr(heard, SECRET));
	rc_auth_close(auth);
	EVP_PKEY_free(pkey);
}

static void a_secret_that_everybody_can_read_is_told(void **state)
{
	struct rc_keys *keys;

	(void)state;
	put_file(config.auth_hmac_secret_file, "secret", RC_STR(SECRET), 0644);
	put_file(config.auth_jwks, "keys.json", RC_STR("{\"keys\":[{" OCT "}]}"), 0644);
	assert_int_equal(rc_keys_open(&keys, &config, &err), 0);
	warns(keys, 2, "keys.json holds a secret and can be read by everybody; chmod 600");
	rc_keys_close(keys);
}

static void a_secret_in_the_configuration_is_one_too(void **state)
{
	struct rc_auth *auth;

	(void)state;
	assert_false(rc_config_has_keys(&config));
	assert_int_equal(rc_auth_open(&auth, &config, &err), 0);
	assert_null(auth->keys);
	rc_auth_close(auth);
	snprintf(config.auth_hmac_secret, sizeof(config.auth_hmac_secret), "%s", SECRET);
	config.auth_hmac_algorithm = RC_CONFIG_HS512;
	assert_true(rc_config_has_keys(&config));
	assert_int_equal(rc_auth_open(&auth, &config, &err), 0);
	assert_int_equal(auth->keys->key[0].alg, RC_ALG_HS512);
	rc_auth_close(auth);
}

static void a_file_that_can_not_be_read_is_named(void **state)
{
	static char large[(1 << 20) + 1];
	struct rc_auth *auth;

	(void)state;
	snprintf(config.auth_jwks, sizeof(config.auth_jwks), "%s/nothing", folder);
	assert_int_equal(rc_auth_open(&auth, &config, &err), -1);
	says("/nothing: can't be opened: No such file");
	snprintf(config.auth_jwks, sizeof(config.auth_jwks), "%s", folder);
	assert_int_equal(rc_auth_try(&config, &err), -1);
	says("is not a file");
	memset(large, ' ', sizeof(large));
	put_file(config.auth_jwks, "large", (struct rc_str){large, sizeof(large)}, 0600);
	assert_int_equal(rc_auth_try(&config, &err), -1);
	says("larger than 1 MiB");
	put_file(config.auth_jwks, "empty", (struct rc_str){large, 0}, 0600);
	assert_int_equal(rc_auth_try(&config, &err), -1);
	says("is not JSON");
}

static void a_change_of_a_file_is_seen(void **state)
{
	char path[RC_CONFIG_TEXT_SIZE];
	uint64_t none = rc_auth_stamp(&config), first, second, third;

	(void)state;
	put_file(config.auth_jwks, "watched", RC_STR("one"), 0600);
	first = rc_auth_stamp(&config);
	assert_int_equal(first, rc_auth_stamp(&config));
	assert_true(first != none);
	/* As long, perhaps within the same tick of the file system's clock: another file all the same. */
	put_file(path, "watched", RC_STR("two"), 0600);
	second = rc_auth_stamp(&config);
	assert_true(second != first);
	assert_int_equal(truncate(path, 1), 0);
	third = rc_auth_stamp(&config);
	assert_true(third != second);
	assert_int_equal(unlink(path), 0);
	assert_true(rc_auth_stamp(&config) != third);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup(name, tokens_reset)
	const struct CMUnitTest tests[] = {
		CASE(a_secret_is_as_long_as_its_digest_at_least),
		CASE(a_pem_file_is_no_secret),
		CASE(a_public_key_is_for_the_algorithm_of_its_type),
		CASE(an_algorithm_that_is_named_must_fit_the_key),
		CASE(a_certificate_gives_its_key),
		CASE(several_keys_may_stand_in_one_file),
		CASE(what_a_pem_file_should_not_be_is_said),
		CASE(more_keys_than_there_is_room_for_are_refused),
		CASE(keys_of_each_type_are_taken_for_their_algorithm),
		CASE(keys_that_do_not_say_it_are_for_what_the_configuration_says),
		CASE(a_kid_is_kept),
		CASE(keys_for_others_are_left_out_with_a_warning),
		CASE(keys_for_us_that_are_wrong_refuse_the_file),
		CASE(what_is_no_jwks_is_refused),
		CASE(a_private_key_in_a_jwks_is_used_as_a_public_one_and_told),
		CASE(secret_pem_and_jwks_are_read_together),
		CASE(a_secret_that_everybody_can_read_is_told),
		CASE(a_secret_in_the_configuration_is_one_too),
		CASE(a_file_that_can_not_be_read_is_named),
		CASE(a_change_of_a_file_is_seen),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
