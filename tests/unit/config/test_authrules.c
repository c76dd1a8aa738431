/* SPDX-License-Identifier: Apache-2.0
 *
 * What the options of [auth] must be to each other.
 */
#include "finishing.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static void without_keys_everybody_is_let_in_and_with_keys_nobody_without_a_token(void **state)
{
	(void)state;
	expect_fine();
	assert_false(rc_config_has_keys(&config));
	assert_true(rc_config_anonymous(&config));
	set("auth.jwks", "keys.json");
	assert_true(rc_config_has_keys(&config));
	assert_false(rc_config_anonymous(&config));
	set("auth.anonymous", "yes");
	expect_fine();
	assert_true(rc_config_anonymous(&config));
	set("auth.anonymous", "no");
	expect_fine();
	assert_false(rc_config_anonymous(&config));
}

static void what_is_asked_of_tokens_needs_a_key(void **state)
{
	static const char *const keys[] = {"hmac_secret", "hmac_secret_file", "public_key", "jwks"};
	char name[64];

	(void)state;
	set("auth.issuer", "https://a.example/");
	expect_error("[auth] issuer has no effect without a key");
	set("auth.audience", "us");
	expect_error("[auth] audience has no effect without a key");
	set("auth.anonymous", "no");
	expect_error("[auth] anonymous = no lets nobody in without a key");
	for (size_t i = 0; i < RC_ARRAY_LEN(keys); i++) {
		reset(NULL);
		snprintf(name, sizeof(name), "auth.%s", keys[i]);
		set(name, SECRET);
		set("auth.issuer", "https://a.example/");
		set("auth.anonymous", "no");
		expect_fine();
	}
}

static void the_secret_of_the_stronger_source_counts(void **state)
{
	(void)state;
	set("auth.hmac_secret", SECRET);
	set("auth.hmac_secret_file", "secret");
	expect_error("[auth] has both hmac_secret and hmac_secret_file");
	assert_int_equal(
		rc_config_set(&config, "auth.hmac_secret_file", "secret", RC_CONFIG_FILE, &report),
		0);
	assert_int_equal(
		rc_config_set(&config, "auth.hmac_secret", SECRET, RC_CONFIG_ENV, &report), 0);
	expect_fine();
	assert_string_equal(config.auth_hmac_secret, SECRET);
	assert_string_equal(config.auth_hmac_secret_file, "");
	reset(NULL);
	assert_int_equal(
		rc_config_set(&config, "auth.hmac_secret", SECRET, RC_CONFIG_FILE, &report), 0);
	assert_int_equal(
		rc_config_set(&config, "auth.hmac_secret_file", "secret", RC_CONFIG_FLAG, &report),
		0);
	expect_fine();
	assert_string_equal(config.auth_hmac_secret, "");
	assert_string_equal(config.auth_hmac_secret_file, "secret");
}

static void the_user_is_named_by_a_claim_that_means_nothing_else(void **state)
{
	static const char *const taken[] = {
		"channels", "publish", "scope", "scopes", "info", "exp", "aud", "iss"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(taken); i++) {
		set("auth.user_claim", taken[i]);
		expect_error("can't name the user");
	}
	set("auth.user_claim", "");
	expect_error("can't name the user");
	set("auth.user_claim", "https://a.example/uid");
	expect_fine();
}

static void a_cookie_has_a_name_that_cookies_can_have(void **state)
{
	static const char *const bad[] = {"a b", "a=b", "a;b", "a\"", "a,b", "(a)", "a/b"};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		set("auth.cookie", bad[i]);
		expect_error("is no name of a cookie");
	}
	set("auth.cookie", "__Host-rc.token_1");
	expect_fine();
}

static void the_largest_token_should_fit_into_a_request(void **state)
{
	(void)state;
	set("request_head_max", "4KiB");
	expect_fine();
	assert_int_equal(report.warnings, 0);
	set("auth.jwks", "keys.json");
	expect_warning("token_max = 8KiB does not fit into a request of request_head_max = 4KiB");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup(name, reset)
	const struct CMUnitTest tests[] = {
		CASE(without_keys_everybody_is_let_in_and_with_keys_nobody_without_a_token),
		CASE(what_is_asked_of_tokens_needs_a_key),
		CASE(the_secret_of_the_stronger_source_counts),
		CASE(the_user_is_named_by_a_claim_that_means_nothing_else),
		CASE(a_cookie_has_a_name_that_cookies_can_have),
		CASE(the_largest_token_should_fit_into_a_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
