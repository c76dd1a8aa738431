/* SPDX-License-Identifier: Apache-2.0
 *
 * From where on a client wants events, in each of its spellings, and against the channels of its request.
 */
#include <errno.h>
#include <stdio.h>

#include "../unit.h"

#include "proto/since.h"

#define T0 1768472100000ull /* 2026-01-15T10:15:00.000Z */

static const struct rc_hash_key key = {1, 2};
static struct rc_since_table table;
static struct rc_msg_fault fault;

static struct rc_msg parse(const char *text)
{
	struct rc_msg m;

	if (rc_msg_parse(rc_str_of(text), &m, &fault) != 0)
		fail_msg("%s: %s", text, fault.message);
	return m;
}

static struct rc_since since_of_text(const char *text)
{
	struct rc_since s;

	if (rc_msg_since_text(rc_str_of(text), &s) != 0)
		fail_msg("'%s' is refused", text);
	return s;
}

static void text_knows_every_spelling(void **state)
{
	struct rc_since s;

	(void)state;
	s = since_of_text("aaaaaaaaab@41");
	assert_true(s.kind == RC_SINCE_POSITION && s.epoch == 1 && s.offset == 41);
	s = since_of_text("aaaaaaaaab~12.0.7");
	assert_true(s.kind == RC_SINCE_STREAM && s.epoch == 1 && s.count == 3);
	assert_true(s.stamps[0] == 12 && s.stamps[1] == 0 && s.stamps[2] == 7);
	assert_int_equal(since_of_text("beginning").kind, RC_SINCE_BEGINNING);
	s = since_of_text("2026-01-15T11:15:00.000+01:00");
	assert_true(s.kind == RC_SINCE_TIME && s.time_ms == T0);
	s = since_of_text("1768472100000");
	assert_true(s.kind == RC_SINCE_TIME && s.time_ms == T0);
	s = since_of_text("0");
	assert_true(s.kind == RC_SINCE_TIME && s.time_ms == 0);
}

static void text_refuses_everything_else(void **state)
{
	static const char *const bad[] = {"", " ", "Beginning", "beginning ", "-1", "1.5", "1e3",
		"01", "18446744073709551616", "aaaaaaaaab", "aaaaaaaaab@", "aaaaaaaaab@1~2",
		"2026-01-15", "null", "\xff"};
	struct rc_since s;

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++)
		assert_int_equal(rc_msg_since_text(rc_str_of(bad[i]), &s), -EINVAL);
	assert_int_equal(rc_msg_since_text((struct rc_str){NULL, 0}, &s), -EINVAL);
}

/* What both ways say of a channel. */
static int find(const struct rc_msg *m, const char *channel, struct rc_since *out)
{
	struct rc_since other;
	int result = rc_msg_since_of(m, rc_str_of(channel), out);

	if (rc_msg_since_check(&table, m, &key, &fault) == 0) {
		assert_int_equal(rc_msg_since_find(&table, rc_str_of(channel), &other), result);
		if (result == 1)
			assert_int_equal(other.kind, out->kind);
	}
	return result;
}

static void since_of_looks_up_the_channel(void **state)
{
	struct rc_since s;
	struct rc_msg m =
		parse("{\"type\":\"subscribe\",\"channels\":[\"a\",\"b:c\",\"d\",\"e:*\"],"
		      "\"since\":{\"b\\u003ac\":\"aaaaaaaaab@4\", \"a\" : 1768472100000 ,"
		      "\"e:*\":\"aaaaaaaaab\\u007e5\"}}");

	(void)state;
	assert_int_equal(find(&m, "b:c", &s), 1);
	assert_true(s.kind == RC_SINCE_POSITION && s.offset == 4);
	assert_int_equal(find(&m, "a", &s), 1);
	assert_true(s.kind == RC_SINCE_TIME && s.time_ms == T0);
	assert_int_equal(find(&m, "e:*", &s), 1);
	assert_true(s.kind == RC_SINCE_STREAM && s.stamps[0] == 5);
	assert_int_equal(find(&m, "d", &s), 0);
	assert_int_equal(find(&m, "x", &s), 0);

	m = parse("{\"type\":\"subscribe\",\"channels\":[\"a\",\"b\"],\"since\":\"beginning\"}");
	assert_int_equal(find(&m, "a", &s), 1);
	assert_int_equal(s.kind, RC_SINCE_BEGINNING);
	assert_int_equal(find(&m, "b", &s), 1);
	m = parse("{\"type\":\"subscribe\",\"channel\":\"a\"}");
	assert_int_equal(find(&m, "a", &s), 0);
	m = parse("{\"type\":\"subscribe\",\"channel\":\"a\",\"since\":{}}");
	assert_int_equal(find(&m, "a", &s), 0);
	m = parse("{\"type\":\"subscribe\",\"channel\":\"a\",\"since\":[]}");
	assert_int_equal(rc_msg_since_of(&m, RC_STR("a"), &s), -EINVAL);
	m = parse("{\"type\":\"subscribe\",\"channel\":\"a\",\"since\":{\"a\":null}}");
	assert_int_equal(rc_msg_since_of(&m, RC_STR("a"), &s), -EINVAL);
}

static void assert_check(const char *channels, const char *since, const char *message)
{
	char text[1024];
	struct rc_msg m;
	int result;

	snprintf(text, sizeof(text), "{\"type\":\"subscribe\",\"channels\":%s,\"since\":%s}",
		channels, since);
	m = parse(text);
	result = rc_msg_since_check(&table, &m, &key, &fault);
	if (message == NULL) {
		assert_int_equal(result, 0);
		assert_null(fault.code);
		return;
	}
	assert_int_equal(result, -EINVAL);
	assert_string_equal(fault.code, "bad_request");
	assert_string_equal(fault.message, message);
}

static void check_takes_what_fits_the_channels(void **state)
{
	(void)state;
	assert_check("\"a\"", "\"aaaaaaaaab@1\"", NULL);
	assert_check("[\"a\",\"a\"]", "\"aaaaaaaaab@1\"", NULL);
	assert_check("[\"a\",\"b:*\"]", "\"aaaaaaaaab~1\"", NULL);
	assert_check("[\"a\",\"b:*\"]", "\"beginning\"", NULL);
	assert_check("[\"a\",\"b:*\"]", "1", NULL);
	assert_check("[\"a\",\"b:*\"]", "{}", NULL);
	assert_check(
		"[\"a\",\"b:*\",\"a\"]", "{\"b:*\":\"aaaaaaaaab~1\",\"a\":\"aaaaaaaaab@1\"}", NULL);
	assert_check("[\"a\",\"\\ud800\"]", "{\"a\":7}", NULL);
}

static void check_refuses_with_a_sentence(void **state)
{
	static const char any[] = "'since' must be a position, \"beginning\" or a time, or an "
				  "object that gives one for each channel";
	static const char several[] = "'since' gives the position of one channel for several; send "
				      "an object that gives one for each";

	(void)state;
	assert_check("\"a\"", "null", any);
	assert_check("\"a\"", "true", any);
	assert_check("\"a\"", "[]", any);
	assert_check("\"a\"", "\"\"", any);
	assert_check("\"a\"", "-1", any);
	assert_check("\"a\"", "1.5", any);
	assert_check("\"a\"", "\"\\ud800\"", any);
	assert_check("\"a\"", "{\"a\":{}}", any);
	assert_check("\"a\"", "{\"a\":null}", any);
	assert_check("\"a\"", "{\"a\":\"aaaaaaaaab@01\"}", any);
	assert_check("[\"a\",\"b\"]", "\"aaaaaaaaab@1\"", several);
	assert_check(
		"\"a:*\"", "\"aaaaaaaaab@1\"", "'since' gives the position of a channel for 'a:*'");
	assert_check("\"a:*\"", "{\"a:*\":\"aaaaaaaaab@1\"}",
		"'since' gives the position of a channel for 'a:*'");
	assert_check("[\"a\"]", "{\"a\":1,\"b\":1}",
		"'since' names 'b', which is not among the channels of this request");
	assert_check("[\"a\"]", "{\"\":1}",
		"'since' names '', which is not among the channels of this request");
	assert_check("[\"a\"]", "{\"\\ud800\":1}",
		"'since' names '\\ud800', which is not among the channels of this request");
	assert_check("[\"a\",\"b\"]", "{\"a\":1,\"\\u0061\":1}", "'since' names 'a' twice");
}

/* {"type":…,"channels":["c0",…],"since":{"c(n-1)":1,…}}, in malloc. */
static char *many(uint32_t channels, uint32_t keys)
{
	size_t cap = 64 + 24 * (size_t)(channels + keys), len;
	char *text = malloc(cap);

	assert_non_null(text);
	len = (size_t)snprintf(text, cap, "{\"type\":\"subscribe\",\"channels\":[");
	for (uint32_t i = 0; i < channels; i++)
		len += (size_t)snprintf(text + len, cap - len, "%s\"c%u\"", i ? "," : "", i);
	len += (size_t)snprintf(text + len, cap - len, "],\"since\":{");
	for (uint32_t i = keys; i-- > 0;)
		len += (size_t)snprintf(text + len, cap - len, "\"c%u\":%u%s", i, i, i ? "," : "");
	snprintf(text + len, cap - len, "}}");
	return text;
}

static void check_holds_as_many_channels_as_it_says(void **state)
{
	char *text = many(5000, RC_SINCE_KEYS_MAX);
	struct rc_msg m = parse(text);
	struct rc_since s;
	char name[16];

	(void)state;
	memset(&table, 0xff, sizeof(table));
	assert_int_equal(rc_msg_since_check(&table, &m, &key, &fault), 0);
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		assert_int_equal(
			rc_msg_since_find(&table, rc_str_of(name), &s), i < RC_SINCE_KEYS_MAX);
		assert_true(i >= RC_SINCE_KEYS_MAX || s.time_ms == i);
	}
	free(text);
	text = many(1000, 1001);
	m = parse(text);
	assert_int_equal(rc_msg_since_check(&table, &m, &key, &fault), -EINVAL);
	assert_string_equal(fault.message,
		"'since' names 'c1000', which is not among the channels of this request");
	free(text);
	text = many(5000, RC_SINCE_KEYS_MAX + 1);
	m = parse(text);
	assert_int_equal(rc_msg_since_check(&table, &m, &key, &fault), -EINVAL);
	assert_string_equal(
		fault.message, "'since' names more than 2048 channels; send several requests");
	free(text);
}

static void history_takes_its_fields(void **state)
{
	struct rc_msg_history h;
	struct rc_msg m = parse("{\"type\":\"history\",\"channel\":\"n\\u0065ws\"}");

	(void)state;
	assert_int_equal(rc_msg_history_of(&m, &h, &fault), 0);
	assert_string_equal(h.channel_text, "news");
	assert_int_equal(h.channel.len, 4);
	assert_true(h.since.kind == RC_SINCE_NONE && !h.has_before && h.limit == 100);
	m = parse(
		"{\"type\":\"history\",\"channels\":[\"a\"],\"since\":\"aaaaaaaaab@3\",\"limit\":1}");
	assert_int_equal(rc_msg_history_of(&m, &h, &fault), 0);
	assert_true(h.since.kind == RC_SINCE_POSITION && h.since.offset == 3 && h.limit == 1);
	m = parse(
		"{\"type\":\"history\",\"channel\":\"a\",\"before\":\"aaaaaaaaab@3\",\"limit\":1000}");
	assert_int_equal(rc_msg_history_of(&m, &h, &fault), 0);
	assert_true(h.has_before && h.before_epoch == 1 && h.before_offset == 3);
	assert_int_equal(h.limit, 1000);
	assert_int_equal(h.since.kind, RC_SINCE_NONE);
}

static void history_refuses_with_a_sentence(void **state)
{
	static const struct {
		const char *fields, *code, *message;
	} bad[] = {
		{"\"x\":1", "bad_request", "history needs one channel"},
		{"\"channels\":[]", "bad_request", "history needs one channel"},
		{"\"channels\":[\"a\",\"b\"]", "bad_request", "history needs one channel"},
		{"\"channel\":\"\\ud800\"", "bad_channel",
			"'\\ud800' is not the name of a channel"},
		{"\"channel\":\"a\",\"since\":{\"a\":1}", "bad_request",
			"'since' must be a position, \"beginning\" or a time"},
		{"\"channel\":\"a\",\"since\":null", "bad_request",
			"'since' must be a position, \"beginning\" or a time"},
		{"\"channel\":\"a\",\"before\":1", "bad_request",
			"'before' must be a position of the channel"},
		{"\"channel\":\"a\",\"before\":\"aaaaaaaaab~3\"", "bad_request",
			"'before' must be a position of the channel"},
		{"\"channel\":\"a\",\"since\":1,\"before\":\"aaaaaaaaab@3\"", "bad_request",
			"'since' and 'before' exclude each other; send one"},
		{"\"channel\":\"a\",\"limit\":0", "bad_request",
			"'limit' must be a number from 1 to 1000"},
		{"\"channel\":\"a\",\"limit\":1001", "bad_request",
			"'limit' must be a number from 1 to 1000"},
		{"\"channel\":\"a\",\"limit\":\"5\"", "bad_request",
			"'limit' must be a number from 1 to 1000"},
		{"\"channel\":\"a\",\"limit\":1.0", "bad_request",
			"'limit' must be a number from 1 to 1000"},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(bad); i++) {
		char text[256];
		struct rc_msg_history h;
		struct rc_msg m;

		snprintf(text, sizeof(text), "{\"type\":\"history\",%s}", bad[i].fields);
		m = parse(text);
		assert_int_equal(rc_msg_history_of(&m, &h, &fault), -EINVAL);
		assert_string_equal(fault.code, bad[i].code);
		assert_string_equal(fault.message, bad[i].message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_knows_every_spelling),
		cmocka_unit_test(text_refuses_everything_else),
		cmocka_unit_test(since_of_looks_up_the_channel),
		cmocka_unit_test(check_takes_what_fits_the_channels),
		cmocka_unit_test(check_refuses_with_a_sentence),
		cmocka_unit_test(check_holds_as_many_channels_as_it_says),
		cmocka_unit_test(history_takes_its_fields),
		cmocka_unit_test(history_refuses_with_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
