/* SPDX-License-Identifier: Apache-2.0
 *
 * What the options of [tls] must be to each other.
 */
#include "finishing.h"

static void with_certificate(void)
{
	set("tls.certificate", "host.pem");
}

static void nothing_is_asked_of_a_gateway_without_tls(void **state)
{
	(void)state;
	set("tls.listen", "none");
	set("tls.min_version", "1.3");
	set("tls.kernel", "yes");
	set("tls.max_handshakes", "16");
	expect_fine();
	assert_int_equal(report.warnings, 0);
	reset(NULL);
	/* As a printout or the example has it. */
	set("tls.listen", "127.0.0.1:8443");
	set("tls.ingest_listen", "none");
	set("tls.key", "");
	set("tls.clients", "no");
	expect_fine();
	assert_int_equal(report.warnings, 0);
}

static void what_needs_a_certificate_has_no_effect_without(void **state)
{
	static const struct {
		const char *key, *value;
	} cases[] = {
		{"key", "host.key"},
		{"certificate_folder", "/etc/ringcast/hosts"},
		{"ocsp", "host.ocsp"},
		{"client_ca", "ca.pem"},
		{"listen", "0.0.0.0:443"},
		{"ingest_listen", "127.0.0.1:7443"},
		{"clients", "required"},
		{"publishers", "optional"},
	};
	char name[64], words[200];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		snprintf(name, sizeof(name), "tls.%s", cases[i].key);
		snprintf(words, sizeof(words),
			"[tls] %s = %s has no effect without certificate: set certificate to",
			cases[i].key, cases[i].value);
		set(name, cases[i].value);
		expect_error(words);
	}
	set("tls.key", "host.key");
	set("tls.clients", "required");
	assert_int_equal(rc_config_finish(&config, &report), -1);
	assert_int_equal(report.errors, 2);
}

static void the_longest_path_leaves_room_for_the_advice(void **state)
{
	char path[RC_CONFIG_TEXT_SIZE];

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	set("tls.certificate_folder", path);
	expect_error("or remove certificate_folder");
}

static void a_certificate_needs_a_listener(void **state)
{
	(void)state;
	with_certificate();
	set("tls.listen", "none");
	expect_error(
		"[tls] certificate has no effect while listen and ingest_listen are both none: "
		"give one of them an address");
	with_certificate();
	set("tls.listen", "none");
	set("tls.ingest_listen", "127.0.0.1:7443");
	expect_fine();
	assert_int_equal(report.warnings, 0);
}

static void asking_for_certificates_needs_authorities(void **state)
{
	(void)state;
	with_certificate();
	set("tls.clients", "optional");
	expect_error("[tls] clients = optional needs client_ca: set it to");
	with_certificate();
	set("tls.ingest_listen", "127.0.0.1:7443");
	set("tls.publishers", "required");
	expect_error("[tls] publishers = required needs client_ca: set it to");
	with_certificate();
	set("tls.client_ca", "ca.pem");
	set("tls.clients", "optional");
	expect_fine();
	assert_int_equal(report.warnings, 0);
}

static void what_does_nothing_is_warned_of(void **state)
{
	(void)state;
	with_certificate();
	set("tls.client_ca", "ca.pem");
	expect_warning("[tls] client_ca has no effect while clients and publishers are both no");
	with_certificate();
	set("tls.client_ca", "ca.pem");
	set("tls.publishers", "required");
	expect_warning("[tls] publishers = required has no effect while ingest_listen is none");
	with_certificate();
	set("tls.client_ca", "ca.pem");
	set("tls.clients", "optional");
	set("tls.listen", "none");
	set("tls.ingest_listen", "127.0.0.1:7443");
	expect_warning("[tls] clients = optional has no effect while listen is none");
}

static void one_address_must_not_take_all_handshakes(void **state)
{
	(void)state;
	with_certificate();
	set("tls.max_handshakes", "100");
	expect_warning("[tls] max_handshakes_per_address = 256 is more than max_handshakes = 100");
	with_certificate();
	set("tls.max_handshakes", "100");
	set("tls.max_handshakes_per_address", "100");
	expect_fine();
	assert_int_equal(report.warnings, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_is_asked_of_a_gateway_without_tls, reset),
		cmocka_unit_test_setup(what_needs_a_certificate_has_no_effect_without, reset),
		cmocka_unit_test_setup(the_longest_path_leaves_room_for_the_advice, reset),
		cmocka_unit_test_setup(a_certificate_needs_a_listener, reset),
		cmocka_unit_test_setup(asking_for_certificates_needs_authorities, reset),
		cmocka_unit_test_setup(what_does_nothing_is_warned_of, reset),
		cmocka_unit_test_setup(one_address_must_not_take_all_handshakes, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
