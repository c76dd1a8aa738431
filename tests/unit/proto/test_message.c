/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages: what a client says and how it is refused; what the gateway says, to the byte; the buffer that it is put
 * together in.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/message.h"

#define T0 1768472100000ull /* 2026-01-15T10:15:00.000Z */

static void assert_str(struct rc_str s, const char *want)
{
	if (!rc_str_eq(s, rc_str_of(want)))
		fail_msg("is    %.*s\nwants %s", (int)s.len, s.ptr, want);
}

static struct rc_msg parse(const char *text)
{
	struct rc_msg m;
	struct rc_msg_fault fault;

	if (rc_msg_parse(rc_str_of(text), &m, &fault) != 0)
		fail_msg("%s: %s: %s", text, fault.code, fault.message);
	return m;
}

static void assert_fault(const char *text, const char *code, const char *message, const char *id)
{
	struct rc_msg m;
	struct rc_msg_fault fault;

	if (rc_msg_parse(rc_str_of(text), &m, &fault) != -EINVAL)
		fail_msg("taken: %s", text);
	assert_string_equal(fault.code, code);
	assert_string_equal(fault.message, message);
	assert_str(m.id_raw, id);
}

static void parse_knows_every_type_by_its_name(void **state)
{
	static const struct {
		const char *text;
		enum rc_msg_type type;
	} known[] = {
		{"{\"type\":\"subscribe\"}", RC_MSG_SUBSCRIBE},
		{"{\"type\":\"unsubscribe\"}", RC_MSG_UNSUBSCRIBE},
		{"{\"type\":\"publish\"}", RC_MSG_PUBLISH},
		{"{\"type\":\"command\"}", RC_MSG_COMMAND},
		{"{\"type\":\"presence\"}", RC_MSG_PRESENCE},
		{"{\"type\":\"history\"}", RC_MSG_HISTORY},
		{"{\"type\":\"ack\"}", RC_MSG_ACK},
		{"{\"type\":\"refresh\"}", RC_MSG_REFRESH},
		{"{\"type\":\"ping\"}", RC_MSG_PING},
		{"{\"type\":\"pong\"}", RC_MSG_PONG},
		{"{\"type\":\"chat:send\"}", RC_MSG_OTHER},
		{"{\"type\":\"Ping\"}", RC_MSG_OTHER},
		{"{\"t\\u0079pe\":\"p\\u0069ng\"}", RC_MSG_PING},
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(known); i++)
		assert_int_equal(parse(known[i].text).type, known[i].type);
	assert_str(parse("{\"type\":\"chat:send\"}").type_raw, "\"chat:send\"");
}

static void parse_yields_every_field_as_its_own_bytes(void **state)
{
	struct rc_msg m = parse(
		" {\"type\":\"publish\",\"id\":\"k-1\",\"channel\":\"a\",\"event\":\"e\\n\","
		"\"data\":{ \"x\": 1 },\"since\":{\"a\":\"e@1\"},\"before\":\"e@9\",\"filter\":\"event = 'x'\","
		"\"ack\":{\"timeout\":5000},\"rate\":10,\"window\":100,\"key\":\"k\","
		"\"summary\":true,\"payload\":null,\"action\":[1],\"clientId\":\"c\",\"limit\":5,"
		"\"offset\":7,\"token\":\"t\",\"unknown\":{\"type\":1},\"unknown\":2} ");

	(void)state;
	assert_int_equal(m.type, RC_MSG_PUBLISH);
	assert_str(m.id_raw, "\"k-1\"");
	assert_true(m.has_channels);
	assert_int_equal(m.word, RC_WORD_CHANNEL);
	assert_str(m.channels.raw, "\"a\"");
	assert_str(m.event_raw, "\"e\\n\"");
	assert_int_equal(m.data.kind, RC_JSON_OBJECT);
	assert_str(m.data.raw, "{ \"x\": 1 }");
	assert_str(m.since.raw, "{\"a\":\"e@1\"}");
	assert_str(m.before.raw, "\"e@9\"");
	assert_str(m.filter.raw, "\"event = 'x'\"");
	assert_str(m.ack.raw, "{\"timeout\":5000}");
	assert_str(m.rate.raw, "10");
	assert_str(m.window.raw, "100");
	assert_str(m.key.raw, "\"k\"");
	assert_int_equal(m.summary.kind, RC_JSON_TRUE);
	assert_int_equal(m.payload.kind, RC_JSON_NULL);
	assert_int_equal(m.action.kind, RC_JSON_ARRAY);
	assert_str(m.client_id.raw, "\"c\"");
	assert_str(m.limit.raw, "5");
	assert_str(m.offset.raw, "7");
	assert_str(m.token.raw, "\"t\"");
}

static void parse_leaves_absent_fields_empty(void **state)
{
	struct rc_msg m = parse("{\"type\":\"ping\"}");

	(void)state;
	assert_int_equal(m.id_raw.len, 0);
	assert_false(m.has_channels);
	assert_int_equal(m.channels.kind, RC_JSON_NONE);
	assert_int_equal(m.event_raw.len, 0);
	assert_int_equal(m.since.kind, RC_JSON_NONE);
	assert_int_equal(m.token.kind, RC_JSON_NONE);
}

static void parse_takes_each_word_for_channels(void **state)
{
	static const char *const words[] = {
		[RC_WORD_CHANNELS] = "channels",
		[RC_WORD_CHANNEL] = "channel",
		[RC_WORD_CATEGORIES] = "categories",
		[RC_WORD_CATEGORY] = "category",
		[RC_WORD_ROOMS] = "rooms",
		[RC_WORD_ROOM] = "room",
	};

	(void)state;
	for (size_t i = 0; i < RC_ARRAY_LEN(words); i++) {
		char text[80];
		struct rc_msg m;

		snprintf(text, sizeof(text), "{\"%s\":[\"x\"],\"type\":\"subscribe\"}", words[i]);
		m = parse(text);
		assert_true(m.has_channels);
		assert_int_equal(m.word, i);
		assert_str(m.channels.raw, "[\"x\"]");
	}
}

static void parse_refuses_with_a_code_and_a_sentence(void **state)
{
	(void)state;
	assert_fault("{\"type\":\"ping\"", "bad_json",
		"message is not valid JSON, or nests deeper than 64", "");
	assert_fault("", "bad_json", "message is not valid JSON, or nests deeper than 64", "");
	assert_fault("[1]", "bad_request", "message must be a JSON object", "");
	assert_fault("\"ping\"", "bad_request", "message must be a JSON object", "");
	assert_fault("{}", "bad_request", "message has no 'type'", "");
	assert_fault("{\"type\":1}", "bad_request", "'type' must be a string", "");
	assert_fault("{\"type\":null}", "bad_request", "'type' must be a string", "");
	assert_fault("{\"type\":\"\"}", "bad_request",
		"'type' must be 1 to 128 bytes of text without control characters", "");
	assert_fault("{\"type\":\"a\\nb\"}", "bad_request",
		"'type' must be 1 to 128 bytes of text without control characters", "");
	assert_fault("{\"type\":\"\\ud800\"}", "bad_request",
		"'type' must be 1 to 128 bytes of text without control characters", "");
	assert_fault("{\"type\":\"ping\",\"id\":true}", "bad_request",
		"'id' must be a string or a number", "");
	assert_fault("{\"type\":\"ping\",\"id\":null}", "bad_request",
		"'id' must be a string or a number", "");
	assert_fault("{\"type\":\"publish\",\"event\":{}}", "bad_request",
		"'event' must be a string", "");
	assert_fault("{\"type\":\"subscribe\",\"channels\":{}}", "bad_channel",
		"'channels' must be a string or an array of strings", "");
	assert_fault("{\"type\":\"subscribe\",\"rooms\":[\"a\",1]}", "bad_channel",
		"'rooms' must be a string or an array of strings", "");
	assert_fault("{\"type\":\"subscribe\",\"room\":\"a\",\"channels\":[]}", "bad_request",
		"'room' and 'channels' both name the channels; send one", "");
	assert_fault("{\"type\":\"ping\",\"type\":\"ping\"}", "bad_request",
		"'type' stands twice in the message", "");
	assert_fault("{\"type\":\"x\",\"data\":1,\"d\\u0061ta\":1}", "bad_request",
		"'data' stands twice in the message", "");
	assert_fault("{\"type\":\"subscribe\",\"channels\":[],\"channels\":[]}", "bad_request",
		"'channels' stands twice in the message", "");
}

static void parse_finds_the_id_that_a_fault_answers(void **state)
{
	(void)state;
	assert_fault("{\"type\":1,\"id\":\"x\\u0041\"}", "bad_request", "'type' must be a string",
		"\"x\\u0041\"");
	assert_fault("{\"id\":-1.5e3}", "bad_request", "message has no 'type'", "-1.5e3");
	assert_fault(
		"{\"type\":1,\"event\":2,\"id\":3}", "bad_request", "'type' must be a string", "3");
	assert_fault("{\"id\":1,\"type\":\"a\",\"id\":2}", "bad_request",
		"'id' stands twice in the message", "1");
}

static void parse_bounds_the_id(void **state)
{
	char text[256], id[160];

	(void)state;
	memset(id, 'i', sizeof(id));
	snprintf(text, sizeof(text), "{\"type\":\"ping\",\"id\":\"%.*s\"}", RC_MSG_ID_MAX - 2, id);
	assert_int_equal(parse(text).id_raw.len, RC_MSG_ID_MAX);
	snprintf(text, sizeof(text), "{\"type\":\"ping\",\"id\":\"%.*s\"}", RC_MSG_ID_MAX - 1, id);
	assert_fault(text, "bad_request", "'id' is longer than 128 bytes", "");
}

static void channels_next_decodes_each_name(void **state)
{
	struct rc_msg m =
		parse("{\"type\":\"subscribe\",\"channels\":[\"a\", \"b\\u003ac\",\"\"]}");
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name;

	(void)state;
	rc_msg_channels_begin(&it, &m);
	assert_int_equal(rc_msg_channels_next(&it, buf, &name), 1);
	assert_str(name, "a");
	assert_int_equal(rc_msg_channels_next(&it, buf, &name), 1);
	assert_str(name, "b:c");
	assert_string_equal(buf, "b:c");
	assert_int_equal(rc_msg_channels_next(&it, buf, &name), 1);
	assert_str(name, "");
	assert_int_equal(rc_msg_channels_next(&it, buf, &name), 0);
	assert_int_equal(rc_msg_channels_next(&it, buf, &name), 0);
}

static void channels_next_takes_a_single_string_once(void **state)
{
	struct rc_msg m = parse("{\"type\":\"subscribe\",\"room\":\"lobby\"}");
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name;

	(void)state;
	rc_msg_channels_begin(&it, &m);
	assert_int_equal(rc_msg_channels_next(&it, buf, &name), 1);
	assert_str(name, "lobby");
	assert_int_equal(rc_msg_channels_next(&it, buf, &name), 0);

	m = parse("{\"type\":\"unsubscribe\"}");
	rc_msg_channels_begin(&it, &m);
	assert_int_equal(rc_msg_channels_next(&it, buf, &name), 0);
	m = parse("{\"type\":\"unsubscribe\",\"channels\":[]}");
	rc_msg_channels_begin(&it, &m);
	assert_int_equal(rc_msg_channels_next(&it, buf, &name), 0);
}

static void channels_next_goes_on_behind_a_bad_name(void **state)
{
	char text[640], wide[256];
	struct rc_msg m;
	struct rc_msg_channels it;
	char buf[RC_CHANNEL_MAX + 1];
	struct rc_str name;

	(void)state;
	memset(wide, 'w', sizeof(wide));
	memcpy(wide + 62, "\xe5\xae\x8c", 3);
	snprintf(text, sizeof(text),
		"{\"type\":\"subscribe\",\"channels\":[\"%.256s\",\"\\ud800\",\"%.255s\"]}", wide,
		wide);
	m = parse(text);
	rc_msg_channels_begin(&it, &m);
	assert_int_equal(rc_msg_channels_next(&it, buf, &name), -EINVAL);
	assert_int_equal(name.len, 62);
	assert_memory_equal(name.ptr, wide, 62);
	assert_int_equal(rc_msg_channels_next(&it, buf, &name), -EINVAL);
	assert_str(name, "\\ud800");
	assert_int_equal(rc_msg_channels_next(&it, buf, &name), 1);
	assert_int_equal(name.len, 255);
	assert_int_equal(rc_msg_channels_next(&it, buf, &name), 0);
}

/* ---- gateway to client */

static char page[1024];

static struct rc_textbuf fresh(void)
{
	return (struct rc_textbuf){page, 0, sizeof(page), false};
}

static void assert_text(const struct rc_textbuf *b, const char *want)
{
	assert_false(b->full);
	assert_str(rc_textbuf_str(b), want);
	assert_int_equal(rc_json_validate(rc_textbuf_str(b), 8), 0);
}

static void connected_names_session_and_user(void **state)
{
	struct rc_textbuf b = fresh();

	(void)state;
	rc_msg_connected(
		&b, RC_STR("c8Jk"), RC_STR("us\"er"), 1700000000000, 30000, RC_STR("0.1.0"));
	assert_text(&b,
		"{\"type\":\"connected\",\"session\":\"c8Jk\",\"user\":\"us\\\"er\",\"expires\":1700000000000,"
		"\"heartbeat\":30000,\"version\":\"0.1.0\"}");
	b = fresh();
	rc_msg_connected(&b, RC_STR("c8Jk"), RC_STR(""), 0, 0, RC_STR("0.1.0"));
	assert_text(&b, "{\"type\":\"connected\",\"session\":\"c8Jk\",\"heartbeat\":0,"
			"\"version\":\"0.1.0\"}");
}

static void error_is_written_as_the_protocol_shows(void **state)
{
	struct rc_textbuf b = fresh();

	(void)state;
	rc_msg_error(&b, RC_STR("\"1\""), "forbidden", false,
		RC_STR("token does not allow channel 'admin'"), T0);
	assert_text(&b,
		"{\"type\":\"error\",\"id\":\"1\",\"code\":\"forbidden\",\"temporary\":false,"
		"\"message\":\"token does not allow channel 'admin'\","
		"\"timestamp\":\"2026-01-15T10:15:00.000Z\","
		"\"data\":{\"error\":\"token does not allow channel 'admin'\"}}");
	b = fresh();
	rc_msg_error(&b, RC_STR(""), "over_capacity", true, RC_STR("a \"b\"\n"), T0);
	assert_text(&b, "{\"type\":\"error\",\"code\":\"over_capacity\",\"temporary\":true,"
			"\"message\":\"a \\\"b\\\"\\n\",\"timestamp\":\"2026-01-15T10:15:00.000Z\","
			"\"data\":{\"error\":\"a \\\"b\\\"\\n\"}}");
}

static void small_messages_are_written_as_the_protocol_shows(void **state)
{
	struct rc_textbuf b = fresh();

	(void)state;
	rc_msg_pong(&b, RC_STR("17"), T0);
	assert_text(&b, "{\"type\":\"pong\",\"id\":17,\"timestamp\":\"2026-01-15T10:15:00.000Z\"}");
	b = fresh();
	rc_msg_ping(&b, T0 + 5);
	assert_text(&b, "{\"type\":\"ping\",\"timestamp\":\"2026-01-15T10:15:00.005Z\"}");
	b = fresh();
	rc_msg_bye(&b, "shutdown", 1500);
	assert_text(&b, "{\"type\":\"bye\",\"code\":\"shutdown\",\"reconnect\":{\"after\":1500}}");
	b = fresh();
	rc_msg_gap(&b, RC_STR("news"), "slow", 17, RC_STR("aaaaaaaaab@59"));
	assert_text(&b, "{\"type\":\"gap\",\"channel\":\"news\",\"reason\":\"slow\","
			"\"missed\":17,\"position\":\"aaaaaaaaab@59\"}");
	b = fresh();
	rc_msg_gap(&b, RC_STR("a:*"), "trimmed", RC_MSG_NO_COUNT, RC_STR(""));
	assert_text(&b, "{\"type\":\"gap\",\"channel\":\"a:*\",\"reason\":\"trimmed\"}");
	b = fresh();
	rc_msg_gap(&b, RC_STR(""), "epoch", RC_MSG_NO_COUNT, RC_STR(""));
	assert_text(&b, "{\"type\":\"gap\",\"reason\":\"epoch\"}");
}

static void acknowledgement_is_put_together_in_steps(void **state)
{
	struct rc_textbuf b = fresh();

	(void)state;
	rc_msg_suback_begin(&b, RC_STR("\"1\""), T0, RC_WORD_CATEGORY, false);
	rc_msg_suback_channel(&b, RC_STR("a:b"), true);
	rc_msg_suback_channel(&b, RC_STR("c:**"), false);
	rc_msg_suback_positions(&b);
	rc_msg_suback_position(&b, RC_STR("a:b"), 0, 41, true);
	rc_msg_suback_position(&b, RC_STR("d"), 2, 0, false);
	rc_msg_suback_end(&b, true);
	assert_text(&b, "{\"type\":\"subscription-ack\",\"id\":\"1\","
			"\"timestamp\":\"2026-01-15T10:15:00.000Z\","
			"\"data\":{\"categories\":[\"a:b\",\"c:**\"],"
			"\"positions\":{\"a:b\":\"aaaaaaaaaa@41\",\"d\":\"aaaaaaaaac@0\"}}}");
	b = fresh();
	rc_msg_suback_begin(&b, RC_STR(""), T0, RC_WORD_ROOMS, true);
	rc_msg_suback_end(&b, false);
	assert_text(&b, "{\"type\":\"unsubscription-ack\","
			"\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"data\":{\"rooms\":[]}}");
	b = fresh();
	rc_msg_suback_begin(&b, RC_STR(""), T0, RC_WORD_CHANNEL, false);
	rc_msg_suback_channel(&b, RC_STR("x"), true);
	rc_msg_suback_positions(&b);
	rc_msg_suback_end(&b, true);
	assert_text(&b, "{\"type\":\"subscription-ack\","
			"\"timestamp\":\"2026-01-15T10:15:00.000Z\","
			"\"data\":{\"channels\":[\"x\"],\"positions\":{}}}");
}

static void acknowledgement_says_what_was_recovered(void **state)
{
	struct rc_textbuf b = fresh();

	(void)state;
	rc_msg_suback_begin(&b, RC_STR("1"), T0, RC_WORD_CHANNELS, false);
	rc_msg_suback_channel(&b, RC_STR("a"), true);
	rc_msg_suback_channel(&b, RC_STR("b:*"), false);
	rc_msg_suback_positions(&b);
	rc_msg_suback_position(&b, RC_STR("a"), 0, 41, true);
	rc_msg_suback_stream(&b, RC_STR("b:*"), RC_STR("aaaaaaaaab~1.2"), false);
	rc_msg_suback_recovered(&b);
	rc_msg_suback_outcome(&b, RC_STR("a"), true, true);
	rc_msg_suback_outcome(&b, RC_STR("b:*"), false, false);
	rc_msg_suback_reasons(&b);
	rc_msg_suback_reason(&b, RC_STR("b:*"), "epoch", true);
	rc_msg_suback_reason(&b, RC_STR("c"), "trimmed", false);
	rc_msg_suback_end(&b, true);
	assert_text(&b, "{\"type\":\"subscription-ack\",\"id\":1,"
			"\"timestamp\":\"2026-01-15T10:15:00.000Z\","
			"\"data\":{\"channels\":[\"a\",\"b:*\"],"
			"\"positions\":{\"a\":\"aaaaaaaaaa@41\",\"b:*\":\"aaaaaaaaab~1.2\"},"
			"\"recovered\":{\"a\":true,\"b:*\":false},"
			"\"reasons\":{\"b:*\":\"epoch\",\"c\":\"trimmed\"}}}");
}

static void positions_are_written_as_the_protocol_shows(void **state)
{
	struct rc_textbuf b = fresh();

	(void)state;
	rc_msg_positions_begin(&b, T0);
	rc_msg_positions_stream(&b, RC_STR("a:*"), RC_STR("aaaaaaaaab~12.9"), true);
	rc_msg_positions_stream(&b, RC_STR("**"), RC_STR("aaaaaaaaab~12.9"), false);
	rc_msg_positions_end(&b);
	assert_text(&b, "{\"type\":\"positions\",\"timestamp\":\"2026-01-15T10:15:00.000Z\","
			"\"positions\":{\"a:*\":\"aaaaaaaaab~12.9\",\"**\":\"aaaaaaaaab~12.9\"}}");
}

static void history_is_put_together_in_steps(void **state)
{
	struct rc_textbuf b = fresh();

	(void)state;
	rc_msg_history_begin(&b, RC_STR("\"h\""), T0, RC_STR("news"));
	rc_msg_history_event(&b, RC_STR("{\"type\":\"event\"}"), true);
	rc_msg_history_event(&b, RC_STR("[1]"), false);
	rc_msg_history_opaque(&b, (struct rc_str){"\x01\x02", 2}, false);
	rc_msg_history_end(&b, 1, 60, 12, true, false);
	assert_text(&b, "{\"type\":\"history\",\"id\":\"h\","
			"\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"channel\":\"news\","
			"\"events\":[{\"type\":\"event\"},[1],\"AQI=\"],"
			"\"position\":\"aaaaaaaaab@60\",\"first\":\"aaaaaaaaab@12\","
			"\"complete\":true,\"more\":false}");
	b = fresh();
	rc_msg_history_begin(&b, RC_STR(""), T0, RC_STR("news"));
	rc_msg_history_end(&b, 1, 0, 0, false, true);
	assert_text(&b, "{\"type\":\"history\",\"timestamp\":\"2026-01-15T10:15:00.000Z\","
			"\"channel\":\"news\",\"events\":[],\"position\":\"aaaaaaaaab@0\","
			"\"complete\":false,\"more\":true}");
}

static void presence_is_put_together_in_steps(void **state)
{
	struct rc_textbuf b = fresh();

	(void)state;
	rc_msg_presence_begin(&b, RC_STR("4"), T0, RC_STR("room:1"));
	rc_msg_presence_users(&b, RC_STR("{\"user\":\"u\",\"connections\":2}"));
	rc_msg_presence_end(&b, 1, 3, 1, true);
	assert_text(&b, "{\"type\":\"presence\",\"id\":4,"
			"\"timestamp\":\"2026-01-15T10:15:00.000Z\",\"channel\":\"room:1\","
			"\"users\":[{\"user\":\"u\",\"connections\":2}],"
			"\"count\":1,\"clients\":3,\"anonymous\":1,\"complete\":true}");
	b = fresh();
	rc_msg_presence_begin(&b, RC_STR(""), T0, RC_STR("room:1"));
	rc_msg_presence_end(&b, 0, 0, 0, false);
	assert_text(&b, "{\"type\":\"presence\",\"timestamp\":\"2026-01-15T10:15:00.000Z\","
			"\"channel\":\"room:1\",\"count\":0,\"clients\":0,\"anonymous\":0,"
			"\"complete\":false}");
}

/* ---- the buffer */

static void textbuf_writes_nothing_more_once_it_is_full(void **state)
{
	char room[8];
	struct rc_textbuf b = {room, 0, 4, false};

	(void)state;
	memset(room, 'X', sizeof(room));
	rc_textbuf_add_text(&b, "abc");
	rc_textbuf_add_text(&b, "de");
	assert_true(b.full);
	rc_textbuf_add_char(&b, 'f');
	rc_textbuf_add_u64(&b, 1);
	rc_textbuf_add_escaped(&b, RC_STR("g"));
	rc_textbuf_add_string(&b, RC_STR(""));
	assert_int_equal(b.len, 3);
	assert_memory_equal(room, "abcXXXXX", 8);
}

static void textbuf_takes_what_fits_exactly(void **state)
{
	char room[8];
	struct rc_textbuf b = {room, 0, 6, false};

	(void)state;
	rc_textbuf_add_escaped(&b, RC_STR("\n"));
	rc_textbuf_add_string(&b, RC_STR("\""));
	rc_textbuf_add(&b, (struct rc_str){NULL, 0});
	rc_textbuf_add_escaped(&b, (struct rc_str){NULL, 0});
	assert_false(b.full);
	assert_str(rc_textbuf_str(&b), "\\n\"\\\"\"");
	rc_textbuf_add_char(&b, 'x');
	assert_true(b.full);
}

static void textbuf_writes_numbers_in_full(void **state)
{
	struct rc_textbuf b = fresh();

	(void)state;
	rc_textbuf_add_u64(&b, 0);
	rc_textbuf_add_char(&b, ' ');
	rc_textbuf_add_u64(&b, 9);
	rc_textbuf_add_char(&b, ' ');
	rc_textbuf_add_u64(&b, 10);
	rc_textbuf_add_char(&b, ' ');
	rc_textbuf_add_u64(&b, UINT64_MAX);
	assert_str(rc_textbuf_str(&b), "0 9 10 18446744073709551615");
}

static void messages_that_do_not_fit_say_so(void **state)
{
	struct rc_textbuf whole = fresh();

	(void)state;
	rc_msg_error(&whole, RC_STR("\"1\""), "forbidden", false, RC_STR("no \"a\""), T0);
	for (size_t cap = 0; cap <= whole.len; cap++) {
		char *room = malloc(cap > 0 ? cap : 1);
		struct rc_textbuf b = {room, 0, cap, false};

		assert_non_null(room);
		rc_msg_error(&b, RC_STR("\"1\""), "forbidden", false, RC_STR("no \"a\""), T0);
		assert_int_equal(b.full, cap < whole.len);
		assert_true(b.len <= cap);
		assert_memory_equal(room, page, b.len);
		free(room);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_knows_every_type_by_its_name),
		cmocka_unit_test(parse_yields_every_field_as_its_own_bytes),
		cmocka_unit_test(parse_leaves_absent_fields_empty),
		cmocka_unit_test(parse_takes_each_word_for_channels),
		cmocka_unit_test(parse_refuses_with_a_code_and_a_sentence),
		cmocka_unit_test(parse_finds_the_id_that_a_fault_answers),
		cmocka_unit_test(parse_bounds_the_id),
		cmocka_unit_test(channels_next_decodes_each_name),
		cmocka_unit_test(channels_next_takes_a_single_string_once),
		cmocka_unit_test(channels_next_goes_on_behind_a_bad_name),
		cmocka_unit_test(connected_names_session_and_user),
		cmocka_unit_test(error_is_written_as_the_protocol_shows),
		cmocka_unit_test(small_messages_are_written_as_the_protocol_shows),
		cmocka_unit_test(acknowledgement_is_put_together_in_steps),
		cmocka_unit_test(acknowledgement_says_what_was_recovered),
		cmocka_unit_test(positions_are_written_as_the_protocol_shows),
		cmocka_unit_test(history_is_put_together_in_steps),
		cmocka_unit_test(presence_is_put_together_in_steps),
		cmocka_unit_test(textbuf_writes_nothing_more_once_it_is_full),
		cmocka_unit_test(textbuf_takes_what_fits_exactly),
		cmocka_unit_test(textbuf_writes_numbers_in_full),
		cmocka_unit_test(messages_that_do_not_fit_say_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
