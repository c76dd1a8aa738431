/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of tickets: when new ones are made, how long the old ones are understood.
 */
#include <openssl/core_names.h>

#include "../unit.h"
#include "tls/tickets.h"

enum { LIFETIME_S = 1000 };
/* Long after any machine was started: the clock of the tickets is the monotonic one. */
#define NOW_S 1000000000u

struct sealed {
	unsigned char name[RC_TLS_TICKET_NAME], iv[EVP_MAX_IV_LENGTH], tag[32], text[32];
};

static struct rc_tls_tickets *t;

static int setup(void **state)
{
	(void)state;
	t = rc_tls_tickets_open(LIFETIME_S);
	return t ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	rc_tls_tickets_close(t);
	return 0;
}

/* As OpenSSL does it; its own return values. */
static int use_key(struct sealed *s, bool seal)
{
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	static const unsigned char text[16] = "sixteen letters";
	unsigned char out[32], tag[32];
	size_t tag_len = 0;
	int len = 0;
	int rc = rc_tls_tickets_key(t, s->name, s->iv, cipher, mac, seal);

	if (rc > 0) {
		assert_int_equal(EVP_MAC_init(mac, NULL, 0, NULL), 1);
		assert_int_equal(EVP_MAC_update(mac, text, sizeof(text)), 1);
		assert_int_equal(EVP_MAC_final(mac, tag, &tag_len, sizeof(tag)), 1);
		assert_int_equal(tag_len, 32);
		assert_int_equal(EVP_CipherUpdate(cipher, out, &len, seal ? text : s->text, 16), 1);
		if (seal) {
			memcpy(s->tag, tag, 32);
			memcpy(s->text, out, 16);
		} else {
			assert_memory_equal(s->tag, tag, 32);
		}
	}
	EVP_CIPHER_CTX_free(cipher);
	EVP_MAC_CTX_free(mac);
	EVP_MAC_free(hmac);
	return rc;
}

static void a_ticket_is_understood_until_its_keys_time_is_over(void **state)
{
	struct sealed s = {0};

	(void)state;
	assert_int_equal(use_key(&s, true), 1);
	assert_int_equal(use_key(&s, false), 1);
	assert_true(rc_tls_tickets_rotate(t, NOW_S));
	assert_int_equal(use_key(&s, false), 2);
	assert_false(rc_tls_tickets_rotate(t, NOW_S + LIFETIME_S / 2 - 1));
	assert_true(rc_tls_tickets_rotate(t, NOW_S + LIFETIME_S / 2));
	assert_int_equal(use_key(&s, false), 2);
	assert_false(rc_tls_tickets_rotate(t, NOW_S + LIFETIME_S - 1));
	assert_int_equal(use_key(&s, false), 2);
	assert_true(rc_tls_tickets_rotate(t, NOW_S + LIFETIME_S));
	assert_int_equal(use_key(&s, false), 0);
}

static void new_tickets_have_the_newest_key_and_an_iv_of_their_own(void **state)
{
	struct sealed a = {0}, b = {0}, c = {0};

	(void)state;
	assert_int_equal(use_key(&a, true), 1);
	assert_int_equal(use_key(&b, true), 1);
	assert_memory_equal(a.name, b.name, sizeof(a.name));
	assert_memory_not_equal(a.iv, b.iv, 16);
	assert_true(rc_tls_tickets_rotate(t, NOW_S));
	assert_int_equal(use_key(&c, true), 1);
	assert_memory_not_equal(a.name, c.name, sizeof(a.name));
	assert_int_equal(use_key(&c, false), 1);
}

static void a_name_that_nobody_gave_is_unknown(void **state)
{
	struct sealed s = {.name = "none of ours"};

	(void)state;
	assert_int_equal(use_key(&s, false), 0);
}

/* The main thread was held up, or the machine slept: nothing breaks, and no key stays for ever. */
static void rotation_is_never_too_late_or_too_often(void **state)
{
	struct sealed s[12] = {0};
	uint64_t now_s = NOW_S;

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(s); i++, now_s += LIFETIME_S / 2) {
		assert_true(rc_tls_tickets_rotate(t, now_s));
		assert_false(rc_tls_tickets_rotate(t, now_s));
		assert_int_equal(use_key(&s[i], true), 1);
		for (size_t k = 0; k <= i; k++)
			assert_int_equal(use_key(&s[k], false), k == i ? 1 : k + 2 >= i ? 2 : 0);
	}
	assert_true(rc_tls_tickets_rotate(t, now_s + 100 * LIFETIME_S));
	assert_int_equal(use_key(&s[11], false), 2);
	assert_false(rc_tls_tickets_rotate(t, now_s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_ticket_is_understood_until_its_keys_time_is_over, setup, teardown),
		cmocka_unit_test_setup_teardown(
			new_tickets_have_the_newest_key_and_an_iv_of_their_own, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_name_that_nobody_gave_is_unknown, setup, teardown),
		cmocka_unit_test_setup_teardown(
			rotation_is_never_too_late_or_too_often, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
