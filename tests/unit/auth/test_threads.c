/* SPDX-License-Identifier: Apache-2.0
 *
 * The same keys in the hands of several threads at once, as shards have them.
 */
#include "tokens.h"

#include <pthread.h>

#define THREADS 4
#define ROUNDS  50

static const enum rc_alg all[] = {
	RC_ALG_HS256, RC_ALG_HS512, RC_ALG_RS256, RC_ALG_PS256, RC_ALG_ES256, RC_ALG_EDDSA};
#define KEYS RC_ARRAY_LEN(all)

static struct rc_keys *keys;
static struct {
	char text[2048];
	size_t len;
} tokens[KEYS];

static void make_all(void)
{
	struct rc_error err;

	keys = rc_keys_new(&config);
	assert_non_null(keys);
	for (size_t i = 0; i < KEYS; i++) {
		struct rc_signer s = {all[i], NULL};
		char header[64];

		if (all[i] <= RC_ALG_HS512) {
			s = signer_of_secret(all[i]);
			assert_int_equal(rc_keys_add_secret(keys, all[i], RC_STR(SECRET),
						 (struct rc_str){0}, "secret", &err),
				0);
		} else {
			s.pkey = new_pkey(all[i]);
			assert_int_equal(rc_keys_add_public(keys, all[i], s.pkey,
						 (struct rc_str){0}, "key", &err),
				0);
		}
		snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", rc_alg_name(all[i]));
		struct rc_str t = signed_by(&s, header, GOOD);

		memcpy(tokens[i].text, t.ptr, t.len);
		tokens[i].len = t.len;
		rc_signer_close(&s);
	}
}

/* Each has a block and a changed token of its own. */
static void *verify_all(void *arg)
{
	struct rc_claims *claims = malloc(RC_CLAIMS_MAX);
	uintptr_t wrong = claims == NULL;
	char changed[2048];

	(void)arg;
	for (int round = 0; round < ROUNDS && !wrong; round++)
		for (size_t i = 0; i < KEYS; i++) {
			wrong += rc_token_verify(keys,
					 (struct rc_str){tokens[i].text, tokens[i].len}, NOW_MS,
					 claims) != RC_TOKEN_OK;
			memcpy(changed, tokens[i].text, tokens[i].len);
			changed[tokens[i].len - 8] = changed[tokens[i].len - 8] == 'A' ? 'B' : 'A';
			wrong += rc_token_verify(keys, (struct rc_str){changed, tokens[i].len},
					 NOW_MS, claims) != RC_TOKEN_SIGNATURE;
		}
	free(claims);
	return (void *)wrong;
}

static void threads_verify_with_the_same_keys(void **state)
{
	pthread_t thread[THREADS];
	void *wrong;

	(void)state;
	make_all();
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, verify_all, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(thread[i], &wrong), 0);
		assert_null(wrong);
	}
	rc_keys_close(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_verify_with_the_same_keys),
	};

	(void)tokens_reset(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
