/* SPDX-License-Identifier: Apache-2.0
 *
 * Which listeners are opened, what must not collide, and what must not be shown to the world.
 */
#include "finishing.h"

#include "config/listeners.h"

static const char *const options[RC_CONFIG_LISTENERS_MAX] = {
	"server.listen", "ingest.listen", "tls.listen", "tls.ingest_listen", "admin.listen"};

static void with_certificate(void)
{
	set("tls.certificate", "host.pem");
}

/* The names of those that are opened, in order. */
static void expect_listeners(const char *names)
{
	struct rc_config_listener open[RC_CONFIG_LISTENERS_MAX];
	uint32_t count = rc_config_listeners(&config, open);
	char text[200] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s.%s", i ? " " : "",
			open[i].section, open[i].key);
	assert_string_equal(text, names);
}

static void what_is_none_or_lacks_a_certificate_is_not_opened(void **state)
{
	(void)state;
	expect_listeners("server.listen ingest.listen");
	with_certificate();
	expect_listeners("server.listen ingest.listen tls.listen");
	set("tls.ingest_listen", "127.0.0.1:7443");
	expect_listeners("server.listen ingest.listen tls.listen tls.ingest_listen");
	set("admin.listen", "127.0.0.1:8081");
	expect_listeners("server.listen ingest.listen tls.listen tls.ingest_listen admin.listen");
	set("admin.listen", "none");
	set("listen", "none");
	set("tls.listen", "none");
	expect_listeners("ingest.listen tls.ingest_listen");
	expect_fine();
	assert_int_equal(report.warnings, 0);
}

static void something_must_be_listened_on(void **state)
{
	(void)state;
	set("listen", "none");
	expect_fine();
	reset(NULL);
	set("ingest.listen", "none");
	expect_fine();
	reset(NULL);
	set("listen", "none");
	set("ingest.listen", "none");
	expect_error("[server] listen and [ingest] listen are none; give one of them an address");
	set("listen", "none");
	set("ingest.listen", "none");
	with_certificate();
	expect_fine();
	assert_int_equal(report.warnings, 0);
}

static void none_is_taken_from_flags_and_files(void **state)
{
	static const char text[] = "listen = none\n[ingest]\nlisten = none ; nobody publishes\n";
	char flag[] = "--listen=none", *argv[] = {flag};
	struct rc_config_args args;

	(void)state;
	assert_int_equal(rc_config_load_flags(&config, 1, argv, &args, &report), 0);
	assert_int_equal(config.listen.family, 0);
	reset(NULL);
	assert_int_equal(rc_config_load_text(&config, "x", text, strlen(text), &report), 0);
	assert_int_equal(config.listen.family, 0);
	assert_int_equal(config.ingest_listen.family, 0);
	assert_int_equal(rc_config_set(&config, "listen", "nowhere", RC_CONFIG_FLAG, &report), -1);
}

/* All pairs of the five, with what says which two they are. */
static void listeners_must_not_collide(void **state)
{
	static const char *const texts[] = {"[server] listen", "[ingest] listen", "[tls] listen",
		"[tls] ingest_listen", "[admin] listen"};
	char words[200];

	(void)state;
	for (uint32_t a = 0; a < RC_CONFIG_LISTENERS_MAX; a++)
		for (uint32_t b = a + 1; b < RC_CONFIG_LISTENERS_MAX; b++) {
			with_certificate();
			set(options[a], "127.0.0.1:9999");
			set(options[b], "127.0.0.1:9999");
			snprintf(words, sizeof(words),
				"%s = 127.0.0.1:9999 and %s = 127.0.0.1:9999 would take the same "
				"port; give one of them another",
				texts[a], texts[b]);
			expect_error(words);

			with_certificate();
			set(options[a], "127.0.0.1:0");
			set(options[b], "127.0.0.1:0");
			expect_fine();
			reset(NULL);
		}
	set("listen", "*:7400");
	set("insecure", "yes");
	expect_error("same port");
	with_certificate();
	set("listen", "*:8443");
	set("insecure", "yes");
	expect_error("[server] listen = 0.0.0.0:8443 and [tls] listen = 127.0.0.1:8443");
}

static void a_listener_that_is_not_opened_collides_with_nothing(void **state)
{
	(void)state;
	set("listen", "127.0.0.1:8443");
	expect_fine();
	reset(NULL);
	with_certificate();
	set("listen", "127.0.0.1:8443");
	set("tls.listen", "none");
	set("tls.ingest_listen", "127.0.0.1:7443");
	expect_fine();
}

static void open_ingest_is_refused_unless_it_is_secured_or_wanted(void **state)
{
	(void)state;
	set("ingest.listen", "*:7400");
	expect_error("token_file");
	set("ingest.listen", "*:7400");
	set("ingest.open", "yes");
	expect_warning("[ingest] is open: everybody who reaches 0.0.0.0:7400 may publish");
	set("ingest.token", "short");
	expect_warning("guessed");
}

static void a_token_in_clear_is_warned_of(void **state)
{
	(void)state;
	set("ingest.token", "0123456789abcdef");
	expect_fine();
	assert_int_equal(report.warnings, 0);
	set("ingest.listen", "[::]:7400");
	expect_warning("[ingest] listen = [::]:7400 in clear, for everybody on the way to read: "
		       "take them in at [tls] ingest_listen");
	/* What it advises is without a warning. */
	with_certificate();
	set("ingest.token", "0123456789abcdef");
	set("ingest.listen", "none");
	set("tls.ingest_listen", "[::]:7443");
	expect_fine();
	assert_int_equal(report.warnings, 0);
}

static void set_keys(void)
{
	set("auth.public_key", "keys.pem");
}

static void clients_without_keys_are_refused_a_public_address_unless_it_is_wanted(void **state)
{
	(void)state;
	set("listen", "*:8080");
	expect_error(
		"[server] listen = 0.0.0.0:8080 lets everybody who reaches it read every channel");
	set("listen", "*:8080");
	set("insecure", "yes");
	expect_warning(
		"[server] is insecure: everybody who reaches 0.0.0.0:8080 may read every channel");
	set("listen", "*:8080");
	set_keys();
	expect_fine();
	assert_int_equal(report.warnings, 0);
	reset(NULL);
	with_certificate();
	set("tls.listen", "*:8443");
	expect_error("[tls] listen = 0.0.0.0:8443 lets everybody");
	with_certificate();
	set("tls.listen", "*:8443");
	set("tls.client_ca", "clients.pem");
	set("tls.clients", "required");
	expect_fine();
	assert_int_equal(report.warnings, 0);
	reset(NULL);
	/* The admin's port takes clients too. */
	set("admin.listen", "*:8081");
	set("admin.token", "0123456789abcdef");
	expect_error(
		"[admin] listen = 0.0.0.0:8081 lets everybody who reaches it read every channel");
	/* Whoever reads a namespace that is for anyone needs no token, also where there are keys. */
	set_keys();
	expect_fine();
	assert_false(rc_config_anonymous(&config));
	reset(NULL);
	set_keys();
	set("namespace.public.allow_subscribe", "anyone");
	expect_fine();
	assert_true(rc_config_anonymous(&config));
	reset(NULL);
}

static void the_admins_token_in_clear_is_warned_of(void **state)
{
	(void)state;
	set("admin.token", "0123456789abcdef");
	expect_fine();
	assert_int_equal(report.warnings, 0);
	set("listen", "*:8080");
	set_keys();
	expect_warning("the admin token is sent to [server] listen = 0.0.0.0:8080 in clear");
	set("admin.token", "0123456789abcdef");
	set("listen", "*:8080");
	set_keys();
	set("admin.listen", "*:8081");
	expect_warning("the admin token is sent to [admin] listen = 0.0.0.0:8081 in clear");
	/* What it advises is without a warning. */
	set("admin.token", "0123456789abcdef");
	set("listen", "*:8080");
	set_keys();
	set("admin.listen", "127.0.0.1:8081");
	expect_fine();
	assert_int_equal(report.warnings, 0);
	reset(NULL);
	set("admin.token", "short");
	expect_warning("the admin token is shorter than 16 characters and can be guessed");
}

static void open_ingest_over_tls_is_refused_unless_it_is_secured_or_wanted(void **state)
{
	(void)state;
	with_certificate();
	set("tls.ingest_listen", "*:7443");
	expect_error(
		"[tls] ingest_listen = 0.0.0.0:7443 lets everybody who reaches it publish: set "
		"publishers = required");
	with_certificate();
	set("tls.ingest_listen", "*:7443");
	set("tls.client_ca", "publishers.pem");
	set("tls.publishers", "optional");
	expect_error("publishers = required");
	with_certificate();
	set("tls.ingest_listen", "*:7443");
	set("tls.client_ca", "publishers.pem");
	set("tls.publishers", "required");
	expect_fine();
	assert_int_equal(report.warnings, 0);
	reset(NULL);
	with_certificate();
	set("tls.ingest_listen", "*:7443");
	set("ingest.open", "yes");
	expect_warning("[tls] is open: everybody who reaches 0.0.0.0:7443 may publish");
}

static void a_certificate_that_is_required_at_one_port_only_is_warned_of(void **state)
{
	(void)state;
	with_certificate();
	set("tls.client_ca", "ca.pem");
	set("tls.clients", "required");
	set("listen", "*:8080");
	set_keys();
	expect_warning("[tls] clients = required does not hold at [server] listen = 0.0.0.0:8080");
	with_certificate();
	set("tls.client_ca", "ca.pem");
	set("tls.publishers", "required");
	set("tls.ingest_listen", "*:7443");
	set("ingest.listen", "*:7400");
	set("ingest.open", "yes");
	assert_int_equal(rc_config_finish(&config, &report), 0);
	assert_int_equal(report.warnings, 2);
	assert_non_null(strstr(report.warning[1],
		"publishers = required does not hold at [ingest] listen = 0.0.0.0:7400"));
	reset(NULL);
	/* On loopback a proxy or a program of the operator's own may well stand. */
	with_certificate();
	set("tls.client_ca", "ca.pem");
	set("tls.clients", "required");
	expect_fine();
	assert_int_equal(report.warnings, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_none_or_lacks_a_certificate_is_not_opened, reset),
		cmocka_unit_test_setup(something_must_be_listened_on, reset),
		cmocka_unit_test_setup(none_is_taken_from_flags_and_files, reset),
		cmocka_unit_test_setup(listeners_must_not_collide, reset),
		cmocka_unit_test_setup(a_listener_that_is_not_opened_collides_with_nothing, reset),
		cmocka_unit_test_setup(
			open_ingest_is_refused_unless_it_is_secured_or_wanted, reset),
		cmocka_unit_test_setup(a_token_in_clear_is_warned_of, reset),
		cmocka_unit_test_setup(
			clients_without_keys_are_refused_a_public_address_unless_it_is_wanted,
			reset),
		cmocka_unit_test_setup(the_admins_token_in_clear_is_warned_of, reset),
		cmocka_unit_test_setup(
			open_ingest_over_tls_is_refused_unless_it_is_secured_or_wanted, reset),
		cmocka_unit_test_setup(
			a_certificate_that_is_required_at_one_port_only_is_warned_of, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
