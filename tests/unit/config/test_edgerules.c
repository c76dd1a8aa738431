/* SPDX-License-Identifier: Apache-2.0
 *
 * Trusted proxies, PROXY headers, and origins as the operator writes them.
 */
#include "finishing.h"

#include <unistd.h>

#include "config/listeners.h"

static bool trusts(const char *text)
{
	struct rc_netaddr a;

	assert_true(rc_netaddr_parse(rc_str_of(text), &a));
	return rc_netset_has(&config.trusted, &a);
}

static void nobody_is_trusted_by_default(void **state)
{
	(void)state;
	expect_fine();
	assert_int_equal(config.trusted.count, 0);
	assert_int_equal(config.proxy_protocol, RC_CONFIG_PROXY_OFF);
	assert_int_equal(config.http_forwarded, RC_CONFIG_FORWARDED_X);
	assert_int_equal(config.http_origin_check, RC_CONFIG_CHECK_AUTO);
}

static void proxies_are_listed_in_the_option_and_in_a_file(void **state)
{
	char path[] = "/tmp/rc-proxies-XXXXXX";
	static const char text[] = "# ours\n198.51.100.0/24\n2001:db8::/32 # and theirs\n";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	set("trusted_proxies", "loopback, 10.1.0.0/16");
	set("trusted_proxies_file", path);
	expect_fine();
	assert_int_equal(report.warnings, 0);
	assert_true(trusts("127.0.0.1") && trusts("::1") && trusts("10.1.2.3"));
	assert_true(trusts("198.51.100.7") && trusts("2001:db8::7"));
	assert_false(trusts("10.2.0.0") || trusts("192.0.2.1"));
	assert_int_equal(pwrite(fd, "1.2.3/8\n", 8, 0), 8);
	reset(NULL);
	set("trusted_proxies_file", path);
	expect_error("'1.2.3/8' is no address");
	assert_int_equal(ftruncate(fd, 70000), 0);
	set("trusted_proxies_file", path);
	expect_error("larger than 64 KiB");
	close(fd);
	unlink(path);
	set("trusted_proxies_file", path);
	expect_error("cannot open trusted_proxies_file");
}

static void a_list_that_can_not_be_read_is_refused(void **state)
{
	(void)state;
	set("trusted_proxies", "10.0.0.1/8");
	expect_error("[server] trusted_proxies: '10.0.0.1/8' has bits set behind its prefix");
	set("trusted_proxies", "haproxy");
	expect_error("'haproxy' is no address");
	set("trusted_proxies", "0.0.0.0/0");
	expect_warning("everybody can say that he is somebody else");
}

static void headers_need_somebody_to_believe(void **state)
{
	static const char *const keys[] = {"server.proxy_protocol", "ingest.proxy_protocol",
		"tls.proxy_protocol", "tls.ingest_proxy_protocol", "admin.proxy_protocol"};
	char words[100];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(keys); i++) {
		for (int pass = 0; pass < 2; pass++) {
			set("tls.certificate", "host.pem");
			set("tls.ingest_listen", "127.0.0.1:7443");
			set("admin.listen", "127.0.0.1:8081");
			set(keys[i], pass ? "optional" : "required");
			const char *dot = strchr(keys[i], '.');
			(void)snprintf(words, sizeof(words), "[%.*s] %s = %s believes nobody",
				(int)(dot - keys[i]), keys[i], dot + 1,
				pass ? "optional" : "required");
			expect_error(words);
			set("tls.certificate", "host.pem");
			set("tls.ingest_listen", "127.0.0.1:7443");
			set("admin.listen", "127.0.0.1:8081");
			set(keys[i], pass ? "optional" : "required");
			set("trusted_proxies", "192.0.2.1");
			expect_fine();
			reset(NULL);
		}
	}
	/* Where nobody listens it does no harm. */
	set("admin.proxy_protocol", "required");
	expect_fine();
}

static void origins_are_written_as_browsers_do(void **state)
{
	static const char good[] =
		"https://App.Example.com http://localhost:5173,https://*.example.com "
		"http://[::1]:8080 null chrome-extension://abcdef *";
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"app.example.com", "is no origin"},
		{"//app.example.com", "is no origin"},
		{"https:app.example.com", "is no origin"},
		{"://app.example.com", "is no origin"},
		{"ht tps://a.example", "is no origin"},
		{"https://", "has no host"},
		{"https://app.example.com/", "without a path"},
		{"https://app.example.com/x", "without a path"},
		{"https://app.example.com?x", "without a path"},
		{"https://app.example.com:443", "own port"},
		{"http://app.example.com:80", "own port"},
		{"https://app.example.com:", "no port"},
		{"https://app.example.com:x", "no port"},
		{"https://app.example.com:*", "no port"},
		{"https://app.example.com:0", "no port"},
		{"https://app.example.com:65536", "no port"},
		{"https://user@app.example.com", "names a user"},
		{"https://user:1@app.example.com", "no port"},
		{"https://app.example.com.", "a dot at its end"},
		{"https://app..example.com", "an empty part"},
		{"https://.example.com", "an empty part"},
		{"https://*", "has a *"},
		{"https://*.com", "top-level domain"},
		{"https://*.*.example.com", "has a *"},
		{"https://**.example.com", "has a *"},
		{"https://app.*.example.com", "has a *"},
		{"https://app*.example.com", "has a *"},
		{"https://*app.example.com", "has a *"},
		{"*://app.example.com", "is no origin"},
		{"*.example.com", "is no origin"},
		{"https://m\xc3\xbcnchen.example", "xn--"},
		{"https://[::1", "no IPv6 address"},
		{"https://[::g]", "no IPv6 address"},
		{"https://[1.2.3.4]", "no IPv6 address"},
		{"nulls", "is no origin"},
	};

	(void)state;
	set("http.origins", good);
	expect_fine();
	assert_int_equal(report.warnings, 0);
	assert_non_null(strstr(config.http_origins, "https://app.example.com http"));
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		reset(NULL);
		set("http.origins", bad[i].text);
		if (rc_config_finish(&config, &report) == 0)
			fail_msg("taken: %s", bad[i].text);
		if (!strstr(report.error[0], bad[i].why))
			fail_msg("%s: %s", bad[i].text, report.error[0]);
	}
}

static void a_cookie_and_every_origin_do_not_go_together(void **state)
{
	(void)state;
	set("auth.hmac_secret", "0123456789abcdef0123456789abcdef");
	set("auth.cookie", "token");
	expect_fine();
	assert_int_equal(report.warnings, 0);
	set("http.origins", "https://app.example.com *");
	expect_error("[http] origins = * lets every page");
	set("auth.hmac_secret", "0123456789abcdef0123456789abcdef");
	set("auth.cookie", "token");
	set("http.origins", "*");
	set("http.origin_check", "no");
	expect_warning("[http] origin_check = no");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nobody_is_trusted_by_default, reset),
		cmocka_unit_test_setup(proxies_are_listed_in_the_option_and_in_a_file, reset),
		cmocka_unit_test_setup(a_list_that_can_not_be_read_is_refused, reset),
		cmocka_unit_test_setup(headers_need_somebody_to_believe, reset),
		cmocka_unit_test_setup(origins_are_written_as_browsers_do, reset),
		cmocka_unit_test_setup(a_cookie_and_every_origin_do_not_go_together, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
