/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses as text and back, nets, and sets of them.
 */
#include <stdio.h>

#include "../unit.h"

#include "base/netset.h"

static struct rc_netset set;

static struct rc_netaddr at(const char *text)
{
	struct rc_netaddr a;

	assert_true(rc_netaddr_parse(rc_str_of(text), &a));
	return a;
}

static void fill(const char *text)
{
	struct rc_str bad;
	const char *why;

	memset(&set, 0, sizeof(set));
	if (!rc_netset_add(&set, rc_str_of(text), &bad, &why))
		fail_msg("'%.*s' %s", (int)bad.len, bad.ptr, why);
}

static bool has(const char *text)
{
	struct rc_netaddr a = at(text);

	return rc_netset_has(&set, &a);
}

static void addresses_are_read_strictly_and_written_as_they_were(void **state)
{
	static const char *const good[] = {
		"192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::1", "::"};
	static const char *const bad[] = {"", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4",
		"1.2.3.4 ", " 1.2.3.4", "[::1]", "::1%eth0", "1:2:3:4:5:6:7:8:9",
		":::", "0x7f.1.1.1", "localhost", "1.2.3.4:80", "fe80::1::2",
		"2001:0db8:0000:0000:0000:0000:0000:0001:0000:0000:0000"};
	struct rc_netaddr a;
	char text[RC_NETADDR_TEXT];

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(good); i++) {
		a = at(good[i]);
		assert_int_equal(rc_netaddr_format(&a, text), strlen(good[i]));
		assert_string_equal(text, good[i]);
	}
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++)
		assert_false(rc_netaddr_parse(rc_str_of(bad[i]), &a));
	assert_false(rc_netaddr_parse(RC_STR("1.2.3.4\0"), &a));
	a = at("::ffff:192.0.2.7");
	assert_int_equal(a.family, 4);
	a.port = 80;
	(void)rc_netaddr_format(&a, text);
	assert_string_equal(text, "192.0.2.7:80");
	a = at("2001:db8::1");
	a.port = 65535;
	(void)rc_netaddr_format(&a, text);
	assert_string_equal(text, "[2001:db8::1]:65535");
	memset(&a, 0, sizeof(a));
	(void)rc_netaddr_format(&a, text);
	assert_string_equal(text, "?");
}

static void ports_have_no_zero_in_front(void **state)
{
	static const char *const bad[] = {
		"", "00", "080", "65536", "99999", "100000", "-1", "+1", "1 ", "a"};
	uint16_t port;

	(void)state;
	assert_true(rc_netaddr_parse_port(RC_STR("0"), &port) && port == 0);
	assert_true(rc_netaddr_parse_port(RC_STR("65535"), &port) && port == 65535);
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++)
		assert_false(rc_netaddr_parse_port(rc_str_of(bad[i]), &port));
}

static void an_address_is_within_a_net_by_its_first_bits(void **state)
{
	struct rc_netaddr a = at("192.0.2.129"), v6 = at("2001:db8::1"), none = {0};
	struct rc_netaddr net = at("192.0.2.128");

	(void)state;
	assert_true(rc_netaddr_within(&a, &net, 25));
	assert_true(rc_netaddr_within(&a, &net, 0));
	assert_false(rc_netaddr_within(&a, &net, 32));
	assert_false(rc_netaddr_within(&a, &net, 33));
	assert_false(rc_netaddr_within(&v6, &net, 0));
	assert_false(rc_netaddr_within(&none, &none, 0));
}

static void a_set_has_what_it_lists_and_nothing_beside(void **state)
{
	(void)state;
	fill("192.0.2.1, 10.0.0.0/8\t2001:db8::/33\n203.0.113.64/26 # an office\n#10.9.9.9/99 all of it");
	assert_true(has("192.0.2.1"));
	assert_true(has("10.0.0.0"));
	assert_true(has("10.255.255.255"));
	assert_true(has("::ffff:10.1.2.3"));
	assert_true(has("2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"));
	assert_true(has("203.0.113.127"));
	assert_false(has("192.0.2.0"));
	assert_false(has("192.0.2.2"));
	assert_false(has("9.255.255.255"));
	assert_false(has("11.0.0.0"));
	assert_false(has("2001:db8:8000::"));
	assert_false(has("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"));
	assert_false(has("203.0.113.63"));
	assert_false(has("203.0.113.128"));
	/* The same bytes in the other family. */
	assert_false(has("a00::1"));
	assert_false(has("c000:201::"));
	fill("");
	assert_int_equal(set.count, 0);
	assert_false(has("0.0.0.0"));
	assert_false(has("::"));
}

static void words_stand_for_nets(void **state)
{
	(void)state;
	fill("loopback");
	assert_true(has("127.0.0.1") && has("127.255.255.255") && has("::1"));
	assert_false(has("::2") || has("::") || has("128.0.0.0") || has("10.0.0.1"));
	fill("private,loopback");
	assert_true(
		has("10.0.0.1") && has("172.31.255.255") && has("192.168.0.1") && has("fd00::1"));
	assert_false(has("172.32.0.0") || has("192.169.0.0") || has("fe00::") || has("8.8.8.8"));
	assert_true(has("127.0.0.1"));
}

static void ranges_that_overlap_become_one_in_any_order(void **state)
{
	(void)state;
	fill("10.0.0.5 10.0.0.0/24 10.0.0.7 10.0.1.0 10.0.0.0/16 9.0.0.1");
	assert_int_equal(set.count, 2);
	assert_true(has("10.0.255.255") && has("9.0.0.1"));
	assert_false(has("10.1.0.0"));
	fill("1.0.0.0 3.0.0.0 5.0.0.0 0.0.0.0/5");
	assert_int_equal(set.count, 1);
	assert_false(rc_netset_has_all(&set));
	fill("::1 0.0.0.0/0 10.0.0.0/8");
	assert_int_equal(set.count, 2);
	assert_true(rc_netset_has_all(&set));
	assert_false(has("::2"));
	fill("::/0");
	assert_true(rc_netset_has_all(&set));
	assert_true(has("::") && has("ffff::"));
	/* IPv4 is no part of IPv6 here. */
	assert_false(has("1.2.3.4"));
	fill("::ffff:10.0.0.0/104");
	assert_true(has("10.9.9.9"));
	assert_false(has("11.0.0.0"));
}

static void what_is_none_is_refused_with_its_reason(void **state)
{
	static const struct {
		const char *text, *bad, *why;
	} cases[] = {
		{"10.0.0.1 proxy.example", "proxy.example", "is no address"},
		{"10.0.0.1/8", "10.0.0.1/8", "bits set behind its prefix"},
		{"2001:db8::1/32", "2001:db8::1/32", "bits set behind its prefix"},
		{"10.0.0.0/33", "10.0.0.0/33", "more bits"},
		{"::/129", "::/129", "more bits"},
		{"10.0.0.0/", "10.0.0.0/", "no number of bits"},
		{"10.0.0.0/08", "10.0.0.0/08", "no number of bits"},
		{"10.0.0.0/8/8", "10.0.0.0/8/8", "no number of bits"},
		{"10.0.0.0/255.0.0.0", "10.0.0.0/255.0.0.0", "no number of bits"},
		{"::ffff:10.0.0.0/95", "::ffff:10.0.0.0/95", "write it as IPv4"},
		{"Loopback", "Loopback", "is no address"},
		{"127.0.0.1:80", "127.0.0.1:80", "is no address"},
		{"[::1]", "[::1]", "is no address"},
		{"10.0.0.1;10.0.0.2", "10.0.0.1;10.0.0.2", "is no address"},
		{"/8", "/8", "is no address"},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(cases); i++) {
		struct rc_str bad;
		const char *why;

		memset(&set, 0, sizeof(set));
		assert_false(rc_netset_add(&set, rc_str_of(cases[i].text), &bad, &why));
		assert_true(rc_str_eq(bad, rc_str_of(cases[i].bad)));
		assert_non_null(strstr(why, cases[i].why));
	}
}

static void five_hundred_and_twelve_fit_and_all_are_found(void **state)
{
	struct rc_str bad;
	const char *why;
	char text[32];

	(void)state;
	memset(&set, 0, sizeof(set));
	for (uint32_t i = 0; i < RC_NETSET_MAX; i++) {
		/* In an order that is none. */
		uint32_t n = i * 301 % RC_NETSET_MAX;
		(void)snprintf(text, sizeof(text), "10.%u.%u.0/25", n / 256, n % 256);
		assert_true(rc_netset_add(&set, rc_str_of(text), &bad, &why));
	}
	assert_int_equal(set.count, RC_NETSET_MAX);
	for (uint32_t n = 0; n < RC_NETSET_MAX; n++) {
		(void)snprintf(text, sizeof(text), "10.%u.%u.127", n / 256, n % 256);
		assert_true(has(text));
		(void)snprintf(text, sizeof(text), "10.%u.%u.128", n / 256, n % 256);
		assert_false(has(text));
	}
	assert_false(rc_netset_add(&set, RC_STR("9.0.0.0"), &bad, &why));
	assert_non_null(strstr(why, "512"));
	/* What swallows others needs no place. */
	assert_true(rc_netset_add(&set, RC_STR("10.0.0.0/8"), &bad, &why));
	assert_int_equal(set.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_strictly_and_written_as_they_were),
		cmocka_unit_test(ports_have_no_zero_in_front),
		cmocka_unit_test(an_address_is_within_a_net_by_its_first_bits),
		cmocka_unit_test(a_set_has_what_it_lists_and_nothing_beside),
		cmocka_unit_test(words_stand_for_nets),
		cmocka_unit_test(ranges_that_overlap_become_one_in_any_order),
		cmocka_unit_test(what_is_none_is_refused_with_its_reason),
		cmocka_unit_test(five_hundred_and_twelve_fit_and_all_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
