/* SPDX-License-Identifier: Apache-2.0
 *
 * Who makes the records, as it is told at start and by `ringcast check`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "shard/tlspath.h"

static struct rc_config config;
static struct rc_ktls_ability ability;

static int reset(void **state)
{
	(void)state;
	rc_config_init(&config);
	strcpy(config.tls_certificate, "host.pem");
	memset(&ability, 0, sizeof(ability));
	return 0;
}

static void can(bool tls13, enum rc_ktls_cipher cipher)
{
	ability.send[tls13][cipher] = ability.receive[tls13][cipher] = true;
}

static void expect(enum rc_tls_path path, const char *text)
{
	char says[RC_TLS_PATH_SIZE];

	assert_int_equal(rc_tls_path(&config, &ability, says), path);
	assert_string_equal(says, text);
}

static void without_a_certificate_there_is_no_path(void **state)
{
	(void)state;
	config.tls_certificate[0] = 0;
	expect(RC_TLS_PATH_OFF, "TLS: off: no certificate is named in [tls]");
}

static void a_kernel_that_can_all_takes_all(void **state)
{
	(void)state;
	for (int v = 0; v < 2; v++)
		for (int i = 0; i < RC_KTLS_CIPHERS; i++)
			can(v, (enum rc_ktls_cipher)i);
	expect(RC_TLS_PATH_KERNEL, "TLS: kernel (TLS 1.2 and 1.3, every cipher)");
	config.tls_min_version = 1;
	expect(RC_TLS_PATH_KERNEL, "TLS: kernel (TLS 1.3, every cipher)");
	config.tls_kernel = RC_CONFIG_KERNEL_NO;
	expect(RC_TLS_PATH_USER, "TLS: user space: [tls] kernel = no");
}

static void a_kernel_that_can_some_takes_those_that_go_both_ways(void **state)
{
	(void)state;
	can(false, RC_KTLS_AES_128_GCM);
	can(true, RC_KTLS_AES_128_GCM);
	can(true, RC_KTLS_AES_256_GCM);
	ability.send[true][RC_KTLS_CHACHA20_POLY1305] = true;
	strcpy(ability.why_not, "modprobe chacha20poly1305");
	expect(RC_TLS_PATH_MIXED,
		"TLS: kernel (TLS 1.2 AES-128-GCM, TLS 1.3 AES-128-GCM AES-256-GCM), the rest in user "
		"space: modprobe chacha20poly1305");
}

static void a_kernel_that_can_none_that_is_spoken_takes_none(void **state)
{
	(void)state;
	strcpy(ability.why_not, "modprobe tls");
	expect(RC_TLS_PATH_USER, "TLS: user space: modprobe tls");
	can(false, RC_KTLS_AES_128_GCM);
	config.tls_min_version = 1;
	expect(RC_TLS_PATH_USER, "TLS: user space: modprobe tls");
}

static void the_longest_reason_fits(void **state)
{
	char says[RC_TLS_PATH_SIZE];

	(void)state;
	for (int v = 0; v < 2; v++)
		for (int i = 0; i < RC_KTLS_CIPHERS - v; i++)
			can(v, (enum rc_ktls_cipher)i);
	memset(ability.why_not, 'w', sizeof(ability.why_not) - 1);
	assert_int_equal(rc_tls_path(&config, &ability, says), RC_TLS_PATH_MIXED);
	assert_int_equal(strspn(strchr(says, 'w'), "w"), sizeof(ability.why_not) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(without_a_certificate_there_is_no_path, reset),
		cmocka_unit_test_setup(a_kernel_that_can_all_takes_all, reset),
		cmocka_unit_test_setup(a_kernel_that_can_some_takes_those_that_go_both_ways, reset),
		cmocka_unit_test_setup(a_kernel_that_can_none_that_is_spoken_takes_none, reset),
		cmocka_unit_test_setup(the_longest_reason_fits, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
