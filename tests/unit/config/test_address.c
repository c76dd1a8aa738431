/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening addresses and CPU lists.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "config/address.h"
#include "config/cpus.h"

static struct rc_address parsed(const char *text)
{
	struct rc_address a;
	const char *why = "";

	if (rc_address_parse(&a, rc_str_of(text), &why) < 0)
		fail_msg("%s was refused: %s", text, why);
	return a;
}

static void address_is_written_as_it_was_read(void **state)
{
	static const struct {
		const char *text, *written;
	} cases[] = {
		{"127.0.0.1:8080", "127.0.0.1:8080"},
		{"0.0.0.0:0", "0.0.0.0:0"},
		{"*:65535", "0.0.0.0:65535"},
		{"localhost:1", "127.0.0.1:1"},
		{"[::1]:8080", "[::1]:8080"},
		{"[::]:8080", "[::]:8080"},
		{"[2001:0db8:0:0::0001]:00443", "[2001:db8::1]:443"},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
			"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	};
	char out[RC_ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct rc_address a = parsed(cases[i].text), again;

		rc_address_format(&a, out);
		assert_string_equal(out, cases[i].written);
		again = parsed(out);
		assert_memory_equal(&a, &again, sizeof(a));
	}
}

static void address_that_is_not_numbers_and_a_port_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"8080",
		"127.0.0.1",
		"127.0.0.1:",
		":8080",
		"127.0.0.1:65536",
		"127.0.0.1:-1",
		"127.0.0.1:80x",
		"127.0.0.1: 80",
		"127.0.0.1:000080",
		"127.0.0:80",
		"256.0.0.1:80",
		"example.com:80",
		"::1:8080",
		"[::1]",
		"[::1]8080",
		"[]:80",
		"[*]:80",
		"[127.0.0.1]:80",
		"[localhost]:80",
		"[::1%lo]:80",
		"[::g]:80",
		"[::1:80",
		"::1]:80",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:80",
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		struct rc_address a = {.port = 4711};
		const char *why = NULL;

		if (rc_address_parse(&a, rc_str_of(bad[i]), &why) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_non_null(why);
		assert_int_equal(a.port, 4711);
	}
}

static void address_with_a_nul_inside_is_refused(void **state)
{
	struct rc_address a;
	const char *why;

	(void)state;
	assert_int_equal(rc_address_parse(&a, RC_STR("127.0.0.1\0:80"), &why), -1);
}

static void address_knows_loopback(void **state)
{
	static const struct {
		const char *text;
		bool loopback;
	} cases[] = {
		{"127.0.0.1:1", true},
		{"127.9.9.9:1", true},
		{"[::1]:1", true},
		{"[::ffff:127.0.0.1]:1", true},
		{"localhost:1", true},
		{"128.0.0.1:1", false},
		{"*:1", false},
		{"[::]:1", false},
		{"[::2]:1", false},
		{"[::ffff:10.0.0.1]:1", false},
		{"[7f00::1]:1", false},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct rc_address a = parsed(cases[i].text);

		assert_int_equal(rc_address_is_loopback(&a), cases[i].loopback);
	}
}

static void addresses_collide_on_the_same_port_of_the_same_or_any_host(void **state)
{
	static const struct {
		const char *a, *b;
		bool collide;
	} cases[] = {
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
		{"*:80", "127.0.0.2:80", true},
		{"127.0.0.2:80", "*:80", true},
		{"[::1]:80", "127.0.0.1:80", false},
		{"[::]:80", "[::1]:80", true},
		{"[::1]:80", "[::2]:80", false},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct rc_address a = parsed(cases[i].a), b = parsed(cases[i].b);

		assert_int_equal(rc_address_collides(&a, &b), cases[i].collide);
	}
}

static void address_becomes_a_socket_address(void **state)
{
	struct sockaddr_storage out;
	struct rc_address a = parsed("127.0.0.1:8080");
	const struct sockaddr_in *in = (const struct sockaddr_in *)&out;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&out;

	(void)state;
	assert_int_equal(rc_address_sockaddr(&a, &out), sizeof(*in));
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(in->sin_port, htons(8080));
	assert_int_equal(in->sin_addr.s_addr, htonl(INADDR_LOOPBACK));

	a = parsed("[::1]:443");
	assert_int_equal(rc_address_sockaddr(&a, &out), sizeof(*in6));
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_int_equal(in6->sin6_port, htons(443));
	assert_memory_equal(&in6->sin6_addr, &in6addr_loopback, 16);
}

static void cpus_keep_their_order_and_are_written_as_ranges(void **state)
{
	static const struct {
		const char *text, *written;
		uint32_t count;
	} cases[] = {
		{"", "", 0},
		{"  ", "", 0},
		{"0", "0", 1},
		{"1023", "1023", 1},
		{"0-3,8", "0-3,8", 5},
		{"8,0-3", "8,0-3", 5},
		{" 0 - 3 , 8 ", "0-3,8", 5},
		{"0,1,2,5", "0-2,5", 4},
		{"3,2,1", "3,2,1", 3},
		{"5-5", "5", 1},
		{"0-63", "0-63", 64},
		{"007", "7", 1},
	};
	char out[RC_CONFIG_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct rc_config_cpus cpus;
		const char *why = "";

		if (rc_cpus_parse(&cpus, cases[i].text, &why) < 0)
			fail_msg("'%s' was refused: %s", cases[i].text, why);
		assert_int_equal(cpus.count, cases[i].count);
		rc_cpus_format(&cpus, out, sizeof(out));
		assert_string_equal(out, cases[i].written);
	}
}

static void cpus_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = {
		"a",
		"-",
		"-1",
		"1-",
		"1,",
		",1",
		"1,,2",
		"1 2",
		"3-1",
		"1,1",
		"0-3,2",
		"1024",
		"0-1024",
		"99999999999999999999",
		"0-64",
		"1--2",
		"1-2-3",
		"1.5",
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		struct rc_config_cpus cpus = {.count = 77};
		const char *why = NULL;

		if (rc_cpus_parse(&cpus, bad[i], &why) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_non_null(why);
		assert_int_equal(cpus.count, 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_is_written_as_it_was_read),
		cmocka_unit_test(address_that_is_not_numbers_and_a_port_is_refused),
		cmocka_unit_test(address_with_a_nul_inside_is_refused),
		cmocka_unit_test(address_knows_loopback),
		cmocka_unit_test(addresses_collide_on_the_same_port_of_the_same_or_any_host),
		cmocka_unit_test(address_becomes_a_socket_address),
		cmocka_unit_test(cpus_keep_their_order_and_are_written_as_ranges),
		cmocka_unit_test(cpus_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
